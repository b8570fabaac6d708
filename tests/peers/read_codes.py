"""Prints what the barcodes of a picture, or of a PDF's first page, say, as a JSON list of {"format", "text"}.

Usage: read_codes.py PICTURE.png|SHEET.pdf
"""

import json
import sys

import zxingcpp
from PIL import Image

if sys.argv[1].endswith(".pdf"):
    import pypdfium2

    # As a printer of 600 dpi rasters it.
    picture = pypdfium2.PdfDocument(sys.argv[1])[0].render(scale=600 / 72).to_pil()
else:
    picture = Image.open(sys.argv[1])
codes = zxingcpp.read_barcodes(picture.convert("L"))
print(json.dumps([{"format": str(code.format), "text": code.text} for code in codes]))
