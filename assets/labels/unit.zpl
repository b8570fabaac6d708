^XA
^FX A unit's label: 50 x 30 mm at 203 dpi (8 dots a millimetre), ZPL II.^FS
^FX Left: a DataMatrix with thing name and certificate fingerprint, separated by a space.^FS
^FX Right: what a person reads. PRACTICE is written over the foot on the practice line only.^FS
^FX A long thing name takes up to three lines.^FS
^FX Every field with a variable needs the FH command: values come with hexadecimal codes.^FS
^CI28
^PW400
^LL240
^LH0,0
^FO12,14^BXN,4,200,,,6,!^FH^FD{thing} {fingerprint}^FS
^FO210,14^A0N,30,26^FH^FD{serial}^FS
^FO210,48^A0N,20,18^FH^FD{product}^FS
^FO210,72^A0N,18,16^FB186,3,0,L^FH^FD{thing}^FS
^FO210,128^A0N,44,42^FH^FD{verdict}^FS
^FO210,172^A0N,18,16^FH^FD{time}^FS
^FO12,196^A0N,46,62^FH^FD{practice}^FS
^XZ
