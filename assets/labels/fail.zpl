^XA
^FX The slip of a unit that failed: 50 x 30 mm at 203 dpi (8 dots a millimetre), ZPL II.^FS
^FX The DataMatrix is the run's id: lineseal audit show tells all of it.^FS
^CI28
^PW400
^LL240
^LH0,0
^FO12,14^BXN,5,200,,,6,!^FH^FD{run}^FS
^FO150,14^A0N,70,66^FH^FD{verdict}^FS
^FO150,86^A0N,40,36^FH^FD{reason}^FS
^FO150,130^A0N,26,24^FB240,1,0,L^FH^FD{serial}^FS
^FO12,160^A0N,20,18^FB380,1,0,L^FH^FD{product}  {station} {lane}^FS
^FO12,180^A0N,18,16^FH^FD{time}^FS
^FO12,200^A0N,40,52^FH^FD{practice}^FS
^XZ
