#!/bin/sh
# Makes the two font files of this folder again from the Debian package fonts-morisawa-bizud-gothic.
# Needs fonttools (pip install fonttools) for `pyftsubset`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
source=${1:-/usr/share/fonts/truetype/bizud-gothic}
set_of_characters=$(mktemp)
trap 'rm -f "$set_of_characters"' EXIT

# Latin, Greek and Cyrillic punctuation as used in both languages, and the whole of JIS X 0208.
python3 - >"$set_of_characters" <<'PYTHON'
chars = {chr(c) for c in range(0x20, 0x7F)} | {chr(c) for c in range(0xA0, 0x180)}
chars |= set("–—‘’“”…·•‰€™←↑→↓−×÷≤≥≠℃〜～￥／（）")
for row in range(0xA1, 0xFF):
    for cell in range(0xA1, 0xFF):
        try:
            chars.add(bytes([row, cell]).decode("euc_jp"))
        except UnicodeDecodeError:
            pass
print("\n".join(f"U+{ord(c):04X}" for c in sorted(chars)))
PYTHON

for weight in Regular Bold; do
    pyftsubset "$source/BIZUDPGothic-$weight.ttf" \
        --unicodes-file="$set_of_characters" \
        --output-file="$here/BIZUDPGothic-$weight.ttf" \
        --layout-features='kern' --no-hinting --desubroutinize --name-IDs='*' --notdef-outline --ignore-missing-unicodes
done
