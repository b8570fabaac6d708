//! ZPL II → PNG, for labels that go into a folder instead of onto paper.

use std::io::Cursor;

/// Dots a millimetre of a 203 dpi print head.
const DPMM: i32 = 8;
/// Where a label does not say its own size (`^PW`, `^LL`): 50 × 30 mm.
const WIDTH_MM: f64 = 50.0;
const HEIGHT_MM: f64 = 30.0;
/// No label printer is wider or longer than this; a label that says so would only eat memory.
const MAX_MM: f64 = 300.0;

/// The label's picture. `Err`: why there is none, for the debug log.
pub(super) fn png(zpl: &str) -> Result<Vec<u8>, String> {
    let labels = labelize::parse_labels(labelize::Language::Zpl, zpl.as_bytes(), DPMM).map_err(|e| e.to_string())?;
    let label = labels.first().ok_or("there is no label in it")?;
    let options = labelize::DrawerOptions {
        label_width_mm: dots(zpl, "^PW").unwrap_or(WIDTH_MM),
        label_height_mm: dots(zpl, "^LL").unwrap_or(HEIGHT_MM),
        dpmm: DPMM,
        ..Default::default()
    };
    let mut out = Cursor::new(Vec::new());
    labelize::Renderer::new().draw_label_as_png(label, &mut out, options)?;
    Ok(out.into_inner())
}

/// The number after a command that gives a size in dots, in millimetres.
fn dots(zpl: &str, command: &str) -> Option<f64> {
    let (_, rest) = zpl.split_once(command)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let millimetres = f64::from(digits.parse::<u16>().ok()?) / f64::from(DPMM);
    (millimetres > 0.0).then_some(millimetres.min(MAX_MM))
}
