^XA
^FX A unit's label with a QR code: 50 x 30 mm at 203 dpi (8 dots a millimetre), ZPL II.^FS
^FX Left: thing name and certificate fingerprint, separated by a space, as on unit.zpl.^FS
^FX Right: what a person reads; after the batch, which copy of the label this is.^FS
^FX A field block (FB) breaks what is long; any other text that does not fit is told instead of cut.^FS
^CI28
^PW400
^LL240
^LH0,0
^FO8,4^BQN,2,3^FH^FDMA,{thing} {fingerprint}^FS
^FO204,14^A0N,30,26^FH^FD{serial}^FS
^FO204,48^A0N,20,18^FB190,1,0,L^FH^FD{product}^FS
^FO204,72^A0N,18,16^FB190,2,0,L^FH^FD{thing}^FS
^FO204,112^A0N,44,42^FH^FD{verdict}^FS
^FO204,156^A0N,18,16^FH^FD{time}^FS
^FO204,176^A0N,18,16^FB190,1,0,L^FH^FD{batch} #{copy}^FS
^FO12,198^A0N,44,56^FH^FD{practice}^FS
^XZ
