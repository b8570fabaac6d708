//! ZPL II as far as it says what stands where (Zebra, ZPL II Programming Guide).

/// One command: `^FO12,14` is `FO` with `12,14`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Command<'t> {
    /// From 1.
    pub line: usize,
    pub prefix: char,
    /// As it was written; the font of `^A` belongs to its parameters.
    pub name: &'t str,
    pub parameters: &'t str,
}

impl Command<'_> {
    pub fn is(&self, prefix: char, name: &str) -> bool {
        self.prefix == prefix && self.name.eq_ignore_ascii_case(name)
    }

    /// The parameter at this place, a number of dots or modules.
    pub fn number(&self, at: usize) -> Option<u32> {
        self.parameters.split(',').nth(at)?.trim().parse().ok()
    }

    pub fn letter(&self, at: usize) -> Option<char> {
        self.parameters.split(',').nth(at)?.trim().chars().next()
    }
}

/// A field on the label, from `^FO` or `^FT` to `^FS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub line: usize,
    /// Dots from the label's left and upper edge.
    pub left: u32,
    pub top: u32,
    /// `left` and `top` are the lower left corner: `^FT`.
    pub typeset: bool,
    pub kind: Kind,
    /// Turned by a quarter or three: what is its width lies along the label's height.
    pub upright: bool,
    /// What it holds, hexadecimal codes resolved.
    pub data: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In the scalable font `0`; `boxed`: within a field block, which breaks lines.
    Text {
        width: u32,
        boxed: bool,
    },
    /// `escape`: what begins a sequence that is no text.
    DataMatrix {
        module: u32,
        escape: char,
    },
    Qr {
        module: u32,
    },
    /// Another barcode.
    Bars,
    /// Anything else: another font, a line, a picture.
    Other,
}

/// The sheet and what is on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sheet {
    /// `^PW` and `^LL`, dots.
    pub width: Option<u32>,
    pub height: Option<u32>,
    pub fields: Vec<Field>,
}

pub(super) fn commands(text: &str) -> impl Iterator<Item = Command<'_>> {
    let mut line = 1;
    let mut rest = text;
    std::iter::from_fn(move || {
        let at = rest.find(['^', '~'])?;
        line += newlines(&rest[..at]);
        let prefix = if rest[at..].starts_with('^') { '^' } else { '~' };
        let body = &rest[at + 1..];
        let end = body.find(['^', '~']).unwrap_or(body.len());
        let command = &body[..end];
        // `^A0N` is font 0: the name is one letter.
        let letters = if prefix == '^' && command.starts_with(['A', 'a']) { 1 } else { 2 };
        let cut = command.char_indices().nth(letters).map_or(command.len(), |(at, _)| at);
        let (name, parameters) = command.split_at(cut);
        let found = Command { line, prefix, name, parameters };
        line += newlines(command);
        rest = &body[end..];
        Some(found)
    })
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

pub(super) fn sheet(text: &str) -> Sheet {
    let mut sheet = Sheet::default();
    let mut home = (0, 0);
    let mut turned = 'N';
    let mut default_font = ('A', 0, 0);
    let mut field = Draft::default();
    for command in commands(text) {
        if command.prefix != '^' {
            continue;
        }
        match command.name.to_ascii_uppercase().as_str() {
            "PW" => sheet.width = command.number(0).or(sheet.width),
            "LL" => sheet.height = command.number(0).or(sheet.height),
            "LH" => home = (command.number(0).unwrap_or(0), command.number(1).unwrap_or(0)),
            "FW" => turned = command.letter(0).unwrap_or('N'),
            "CF" => {
                let (height, width) = (command.number(1).unwrap_or(0), command.number(2));
                default_font = (command.letter(0).unwrap_or('A'), height, width.unwrap_or(height));
            }
            name @ ("FO" | "FT") => {
                field.at = (home.0 + command.number(0).unwrap_or(0), home.1 + command.number(1).unwrap_or(0));
                field.typeset = name == "FT";
            }
            "A" => {
                // `0N,30,26`: font and direction stand together.
                let mut letters = command.parameters.chars();
                let font = letters.next().unwrap_or('A');
                field.turned = letters.next().filter(char::is_ascii_alphabetic);
                let height = command.number(1).unwrap_or(default_font.1);
                field.kind = Some(text_in(font, command.number(2).unwrap_or(height)));
            }
            "FB" => field.boxed = true,
            "BX" => {
                field.turned = command.letter(0);
                let escape = command.letter(6).unwrap_or('~');
                field.kind = Some(Kind::DataMatrix { module: command.number(1).unwrap_or(1).max(1), escape });
            }
            "BQ" => {
                field.turned = command.letter(0);
                field.kind = Some(Kind::Qr { module: command.number(2).unwrap_or(1).max(1) });
            }
            "GB" | "GC" | "GD" | "GE" | "GF" | "GS" | "XG" => field.kind = Some(Kind::Other),
            name if is_barcode(name) => field.kind = Some(Kind::Bars),
            "FH" => field.hex = Some(command.parameters.trim().chars().next().unwrap_or('_')),
            "FD" | "FV" => {
                field.line = command.line;
                field.data = match field.hex {
                    Some(indicator) => unescape(command.parameters, indicator),
                    None => command.parameters.to_owned(),
                };
            }
            "FS" => {
                let draft = std::mem::take(&mut field);
                if draft.data.is_empty() {
                    continue;
                }
                let (font, _, width) = default_font;
                let kind = match draft.kind.unwrap_or_else(|| text_in(font, width)) {
                    Kind::Text { width, .. } => Kind::Text { width, boxed: draft.boxed },
                    kind => kind,
                };
                sheet.fields.push(Field {
                    line: draft.line,
                    left: draft.at.0,
                    top: draft.at.1,
                    typeset: draft.typeset,
                    kind,
                    upright: matches!(draft.turned.unwrap_or(turned).to_ascii_uppercase(), 'R' | 'B'),
                    data: draft.data,
                });
            }
            _ => {}
        }
    }
    sheet
}

fn text_in(font: char, width: u32) -> Kind {
    if font == '0' { Kind::Text { width, boxed: false } } else { Kind::Other }
}

/// `^B3`, `^BC` and so on; `^BY` only sets how wide they are.
pub(super) fn is_barcode(name: &str) -> bool {
    name.len() == 2 && name.starts_with('B') && name != "BY"
}

#[derive(Default)]
struct Draft {
    line: usize,
    at: (u32, u32),
    typeset: bool,
    kind: Option<Kind>,
    boxed: bool,
    turned: Option<char>,
    hex: Option<char>,
    data: String,
}

/// `^FH`: the indicator and two hexadecimal digits are one byte.
fn unescape(data: &str, indicator: char) -> String {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let byte = after.get(..2).filter(|_| c == indicator).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &after[2..];
            }
            None => {
                out.extend_from_slice(&rest.as_bytes()[..c.len_utf8()]);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What a QR code's `^FD` says before its text: how much of it may be lost, and how it is written.
pub(super) fn qr_data(data: &str) -> Option<(char, &str)> {
    let (head, text) = data.split_once(',')?;
    let mut letters = head.chars();
    match (letters.next()?, letters.next()?, letters.next()) {
        (level @ ('H' | 'Q' | 'M' | 'L'), 'A', None) => Some((level, text)),
        // The text begins with the mode that it is written in.
        (level @ ('H' | 'Q' | 'M' | 'L'), 'M', None) => Some((level, text.get(1..)?)),
        _ => None,
    }
}

/// What a scanner reads off a filled label, code by code.
pub fn codes(zpl: &str) -> Vec<String> {
    let read = |field: Field| match field.kind {
        Kind::Qr { .. } => qr_data(&field.data).map(|(_, text)| text.to_owned()),
        Kind::DataMatrix { .. } | Kind::Bars => Some(field.data),
        Kind::Text { .. } | Kind::Other => None,
    };
    sheet(zpl).fields.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_as_a_printer_reads_it() {
        let zpl = "^XA\n^FX a note^FS\n^PW400^LL240^LH10,20\n^FO12,14^BXN,4,200,,,6,!^FH^FDa_5Eb c^FS\n\
                   ^FO196,14^A0R,30,26^FDSN1^FS^FT5,6^BQN,2,5^FDQA,x,y^FS^FO1,1^GB10,10,1^FS^XZ";
        let sheet = sheet(zpl);
        assert_eq!((sheet.width, sheet.height), (Some(400), Some(240)));
        let told: Vec<_> = sheet.fields.iter().map(|field| (field.line, field.left, field.top, &*field.data)).collect();
        assert_eq!(told, [(4, 22, 34, "a^b c"), (5, 206, 34, "SN1"), (5, 15, 26, "QA,x,y")]);
        assert_eq!(sheet.fields[0].kind, Kind::DataMatrix { module: 4, escape: '!' });
        assert_eq!(sheet.fields[1].kind, Kind::Text { width: 26, boxed: false });
        assert!(sheet.fields[1].upright && sheet.fields[2].typeset);
        assert_eq!(codes(zpl), ["a^b c", "x,y"]);
    }
}
