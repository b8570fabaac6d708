"""Prints what the barcodes of a picture say, as a JSON list of {"format", "text"}.

Usage: read_codes.py PICTURE.png
"""

import json
import sys

import zxingcpp
from PIL import Image

codes = zxingcpp.read_barcodes(Image.open(sys.argv[1]).convert("L"))
print(json.dumps([{"format": str(code.format), "text": code.text} for code in codes]))
