^XA
^FX The slip of a HELD unit: 50 x 30 mm at 203 dpi (8 dots a millimetre), ZPL II.^FS
^FX Its number is how the unit is found again in the blue tray; the DataMatrix holds the same.^FS
^CI28
^PW400
^LL240
^LH0,0
^FO12,14^BXN,7,200,,,6,!^FH^FDSLIP-{slip}^FS
^FO150,14^A0N,26,24^FDHELD^FS
^FO150,44^A0N,76,70^FH^FD{slip}^FS
^FO150,124^A0N,26,24^FH^FD{serial}^FS
^FO12,156^A0N,20,18^FH^FD{product}  {reason}^FS
^FO12,178^A0N,18,16^FH^FD{time}^FS
^FO12,198^A0N,44,56^FH^FD{practice}^FS
^XZ
