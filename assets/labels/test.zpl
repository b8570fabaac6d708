^XA
^FX Printed from the settings to see whether labels come out: 50 x 30 mm at 203 dpi, ZPL II.^FS
^FX The frame shows where the label's edges are.^FS
^CI28
^PW400
^LL240
^LH0,0
^FO4,4^GB392,232,3^FS
^FO20,20^A0N,40,40^FDTEST^FS
^FO20,70^A0N,22,20^FB360,3,0,L^FH^FD{station}^FS
^FO20,150^A0N,20,18^FH^FD{time}^FS
^FO20,184^A0N,36,40^FH^FD{practice}^FS
^XZ
