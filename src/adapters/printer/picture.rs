//! ZPL II drawn here: for office printers, for folders, and to look at before it is on paper.

use std::io::Cursor;

use labelize::{Language, RenderOptions};

use crate::domain::label::Dots;
use crate::domain::{Failure, ReasonCode};
use crate::ports::LabelPictures;

/// Dots a millimetre of a 203 dpi print head.
const DPMM: i32 = 8;
/// Where a label does not say its own size (`^PW`, `^LL`): 50 × 30 mm.
const WIDTH_MM: f64 = 50.0;
const HEIGHT_MM: f64 = 30.0;
/// No label printer is wider or longer than this; a label that says so would only eat memory.
const MAX_MM: f64 = 300.0;

/// The pictures that leave this module.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pictures;

impl LabelPictures for Pictures {
    fn png(&self, zpl: &str) -> Result<Vec<u8>, Failure> {
        png(zpl).map_err(undrawn)
    }

    fn pdf(&self, zpl: &str) -> Result<Vec<u8>, Failure> {
        pdf(zpl).map_err(undrawn)
    }

    fn dots(&self, zpl: &str) -> Result<Dots, Failure> {
        let png = png(zpl).map_err(undrawn)?;
        let mut reader = png::Decoder::new(Cursor::new(png)).read_info().map_err(|error| undrawn(error.to_string()))?;
        let size = reader.output_buffer_size().ok_or_else(|| undrawn("it is too large".to_owned()))?;
        let mut grey = vec![0; size];
        let info = reader.next_frame(&mut grey).map_err(|error| undrawn(error.to_string()))?;
        grey.truncate(info.buffer_size());
        Ok(Dots { width: info.width as usize, height: info.height as usize, grey })
    }
}

fn undrawn(cause: String) -> Failure {
    Failure::new(ReasonCode::LABEL_UNRENDERABLE, cause)
}

/// The label's picture, black and white as on paper. `Err`: why there is none.
pub(super) fn png(zpl: &str) -> Result<Vec<u8>, String> {
    labelize::render_png(zpl.as_bytes(), options(zpl)).map(|drawn| drawn.bytes).map_err(|error| error.to_string())
}

/// One page of the label's own size.
pub(super) fn pdf(zpl: &str) -> Result<Vec<u8>, String> {
    labelize::render_pdf(zpl.as_bytes(), options(zpl)).map(|drawn| drawn.bytes).map_err(|error| error.to_string())
}

fn options(zpl: &str) -> RenderOptions {
    RenderOptions {
        language: Some(Language::Zpl),
        width_mm: Some(millimetres(zpl, "^PW").unwrap_or(WIDTH_MM)),
        height_mm: Some(millimetres(zpl, "^LL").unwrap_or(HEIGHT_MM)),
        dpmm: DPMM,
        antialias: false,
    }
}

/// The number of dots after a command that gives a size.
fn millimetres(zpl: &str, command: &str) -> Option<f64> {
    let (_, rest) = zpl.split_once(command)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let millimetres = f64::from(digits.parse::<u16>().ok()?) / f64::from(DPMM);
    (millimetres > 0.0).then_some(millimetres.min(MAX_MM))
}
