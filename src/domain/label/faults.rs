//! What is wrong with a label, whatever prints it.

use datamatrix::{DataMatrix, SymbolList};
use qrcode::{EcLevel, QrCode};

use super::zpl::{Field, Kind, Sheet, commands, qr_data, sheet};

/// Something that no printer would make right of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// From 1; the label's own.
    pub line: usize,
    pub because: String,
}

/// What is wrong with a label whose variables have their values.
pub fn faults(zpl: &str) -> Vec<Fault> {
    let mut found = commands_that_are_refused(zpl);
    let sheet = sheet(zpl);
    for field in &sheet.fields {
        if let Err(because) = fits(field, &sheet) {
            found.push(Fault { line: field.line, because });
        }
    }
    found.sort_by_key(|fault| fault.line);
    found
}

/// What is on it that only a label printer could make: for one whose labels are drawn here.
pub fn undrawable(zpl: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    for command in commands(zpl) {
        let name = command.name.to_ascii_uppercase();
        let known = command.prefix == '^' && (DRAWN.contains(&&*name) || OF_THE_PRINTER.contains(&&*name));
        if !known {
            let because = format!("{}{name} can't be drawn for this printer", command.prefix);
            found.push(Fault { line: command.line, because });
        }
    }
    let sheet = sheet(zpl);
    if sheet.width.is_none() || sheet.height.is_none() {
        let because = "it has to say its size, in dots, e.g. ^PW400 and ^LL240".to_owned();
        found.push(Fault { line: 1, because });
    }
    found
}

/// What is drawn here as a label printer makes it.
const DRAWN: [&str; 38] = [
    "XA", "XZ", "FX", "CI", "PW", "LL", "LH", "FO", "FT", "FS", "FD", "FV", "FH", "FB", "FR", "FW", "A", "CF", "BY",
    "BX", "BQ", "BC", "B2", "B3", "B7", "B8", "B9", "BE", "BO", "BU", "GB", "GC", "GD", "GE", "GF", "GS", "LR", "PO",
];

/// What concerns paper and ribbon only.
const OF_THE_PRINTER: [&str; 11] = ["MM", "MN", "MT", "MD", "PR", "PQ", "PM", "LT", "LS", "MC", "MF"];

/// Whatever changes how the rest is read, and whatever makes one label two.
fn commands_that_are_refused(zpl: &str) -> Vec<Fault> {
    let mut found = Vec::new();
    let (mut begun, mut ended) = (0, 0);
    for command in commands(zpl) {
        let mut refuse = |because: &str| {
            let name = command.name.to_ascii_uppercase();
            found.push(Fault { line: command.line, because: format!("{}{name} {because}", command.prefix) });
        };
        if ["CC", "CD", "CT"].iter().any(|name| command.name.eq_ignore_ascii_case(name)) {
            refuse("changes what begins a command: a unit's values could be taken for one");
        } else if command.is('^', "PQ") && command.number(0).is_some_and(|count| count != 1) {
            refuse("prints more than one: a second label is a second piece of paper, which the log has to know");
        } else if command.is('^', "SN") {
            refuse("counts by itself: a label's values come from the log");
        } else if command.is('^', "XA") {
            begun += 1;
            if begun > 1 {
                refuse("begins a second label");
            }
        } else if command.is('^', "XZ") {
            ended += 1;
            if ended > 1 {
                refuse("ends a second label");
            }
        }
    }
    found
}

/// Within the label's edges, as far as these are known.
fn fits(field: &Field, sheet: &Sheet) -> Result<(), String> {
    let (what, along, across) = match &field.kind {
        Kind::DataMatrix { module, escape } => {
            if field.data.contains(*escape) {
                return Err(format!("{:?} holds {escape:?}, which begins a command within its DataMatrix", field.data));
            }
            let side = data_matrix(&field.data)?;
            (
                format!("a DataMatrix of {side} modules of {module} dots"),
                side.saturating_mul(*module),
                side.saturating_mul(*module),
            )
        }
        Kind::Qr { module } => {
            let side = qr(&field.data)?;
            (
                format!("a QR code of {side} modules of {module} dots"),
                side.saturating_mul(*module),
                side.saturating_mul(*module),
            )
        }
        // What it breaks into is for the printer to say.
        Kind::Text { boxed: true, .. } => return Ok(()),
        Kind::Text { width, .. } => (format!("{:?}", field.data), text_width(&field.data, *width), 0),
        Kind::Bars | Kind::Other => return Ok(()),
    };
    let (width, height) = if field.upright { (across, along) } else { (along, across) };
    let below = if field.typeset { 0 } else { height };
    for (has, begins, takes, edge) in
        [(sheet.width, field.left, width, "wide (^PW)"), (sheet.height, field.top, below, "high (^LL)")]
    {
        if let Some(has) = has.filter(|has| begins.saturating_add(takes) > *has) {
            return Err(format!(
                "{what} ends at {} dots, and the label is {has} dots {edge}",
                begins.saturating_add(takes)
            ));
        }
    }
    Ok(())
}

/// At the least: font 0 is proportional, and no two makers' are the same.
fn text_width(text: &str, width: u32) -> u32 {
    let hundredths = |c: char| match c {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' | '-' | '/' => 18,
        'f' | 'r' | 't' | '(' | ')' | '[' | ']' => 25,
        _ => 40,
    };
    text.chars().map(hundredths).sum::<u32>().saturating_mul(width) / 100
}

/// Modules along a side, at the least.
fn data_matrix(data: &str) -> Result<u32, String> {
    let code = DataMatrix::encode(data.as_bytes(), SymbolList::default().enforce_square());
    let code = code.map_err(|_| format!("{} bytes are too many for a DataMatrix", data.len()))?;
    Ok(u32::try_from(code.bitmap().width()).unwrap_or(u32::MAX))
}

fn qr(data: &str) -> Result<u32, String> {
    let Some((level, text)) = qr_data(data) else {
        return Err(
            "a QR code's ^FD begins with what may be lost of it (H, Q, M, L) and A, e.g. ^FDQA,{serial}".to_owned()
        );
    };
    let level = match level {
        'H' => EcLevel::H,
        'Q' => EcLevel::Q,
        'M' => EcLevel::M,
        _ => EcLevel::L,
    };
    let code = QrCode::with_error_correction_level(text.as_bytes(), level);
    let code = code.map_err(|_| format!("{} bytes are too many for a QR code", text.len()))?;
    Ok(u32::try_from(code.width()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(zpl: &str) -> Vec<String> {
        faults(zpl).into_iter().map(|fault| format!("{}: {}", fault.line, fault.because)).collect()
    }

    #[test]
    fn a_code_that_runs_off_the_label_is_told_with_both_numbers() {
        let fingerprint = "0123456789abcdef".repeat(4);
        let label =
            |module: u32| format!("^XA^PW400^LL240\n^FO12,14^BXN,{module},200,,,6,!^FH^FDgw-1 {fingerprint}^FS\n^XZ");
        assert_eq!(told(&label(4)), Vec::<String>::new());
        assert_eq!(
            told(&label(9)),
            ["2: a DataMatrix of 32 modules of 9 dots ends at 302 dots, and the label is 240 dots high (^LL)"]
        );
        let qr = |module: u32| format!("^XA^PW400^LL240\n^FO100,10^BQN,2,{module}^FDMA,{fingerprint}^FS^XZ");
        assert_eq!(told(&qr(4)), Vec::<String>::new());
        assert_eq!(
            told(&qr(8)),
            ["2: a QR code of 33 modules of 8 dots ends at 274 dots, and the label is 240 dots high (^LL)"]
        );
    }

    #[test]
    fn a_line_of_text_that_can_not_fit_is_told_and_one_that_may_is_not() {
        let label = |text: &str| format!("^XA^PW400^FO196,14^A0N,30,26^FD{text}^FS^XZ");
        assert_eq!(told(&label("SN-00012345")), Vec::<String>::new());
        let long = told(&label("SN-0001234500012345000123450"));
        assert_eq!(
            long,
            ["1: \"SN-0001234500012345000123450\" ends at 481 dots, and the label is 400 dots wide (^PW)"]
        );
        // A block breaks it into lines.
        let block = label("SN-0001234500012345000123450").replace("^FD", "^FB200,3^FD");
        assert_eq!(told(&block), Vec::<String>::new());
    }

    #[test]
    fn what_would_make_two_labels_of_one_or_read_values_as_commands_is_refused() {
        for (zpl, because) in [
            ("^XA^PQ2^XZ", "1: ^PQ prints more than one"),
            ("^XA^XZ\n^XA^XZ", "2: ^XA begins a second label"),
            ("^XA\n^CC+^XZ", "2: ^CC changes what begins a command"),
            ("~CT!^XA^XZ", "1: ~CT changes what begins a command"),
            ("^XA^FO1,1^SN001,1,Y^FS^XZ", "1: ^SN counts by itself"),
            ("^XA^FO1,1^BQN,2,4^FDplain^FS^XZ", "1: a QR code's ^FD begins with"),
            ("^XA^FO1,1^BXN,4,200,,,6,!^FDa!b^FS^XZ", "1: \"a!b\" holds '!'"),
        ] {
            let told = told(zpl);
            assert!(told.iter().any(|line| line.starts_with(because)), "{zpl}: {told:?}");
        }
        assert_eq!(told("^XA^PQ1^FO1,1^BQN,2,4^FDQA,plain^FS^XZ"), Vec::<String>::new());
    }

    #[test]
    fn a_drawn_label_holds_nothing_that_is_not_drawn() {
        assert_eq!(undrawable("^XA^PW400^LL240^CI28^MMT^FO1,1^A0N,20,20^FDx^FS^XZ"), []);
        let told: Vec<String> =
            undrawable("^XA^FO1,1\n^XGR:LOGO.GRF^FS~JA^XZ").into_iter().map(|f| f.because).collect();
        let size = "it has to say its size, in dots, e.g. ^PW400 and ^LL240";
        assert_eq!(told, ["^XG can't be drawn for this printer", "~JA can't be drawn for this printer", size]);
    }
}
