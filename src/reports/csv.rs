//! RFC 4180: a line a run, in UTF-8, with CRLF.
//!
//! A spreadsheet takes a text for a formula that begins with one of `= + - @`, a tab or a line break, and their full-width
//! forms. Such a text stands behind an apostrophe, which spreadsheets take for "this is text". One that
//! would be mistaken for such a text has another apostrophe: whoever reads the file takes one away wherever one or
//! more of them stand before such a sign.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write as _};

use csv::{Terminator, Writer, WriterBuilder};

use super::Report;
use super::document::Document;
use super::line::{Cell, Line, columns};
use crate::ports::ReportFile;

pub struct CsvDocument {
    writer: Writer<BufWriter<Box<dyn ReportFile>>>,
    /// The field that is being written.
    field: String,
}

/// UTF-8's byte order mark.
const BOM: &[u8] = b"\xef\xbb\xbf";

impl CsvDocument {
    pub fn begin(bom: bool, file: Box<dyn ReportFile>) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        if bom {
            file.write_all(BOM)?;
        }
        let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(file);
        writer.write_record(columns().iter().map(|column| column.name)).map_err(io::Error::from)?;
        Ok(Self { writer, field: String::new() })
    }
}

impl Document for CsvDocument {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        use std::fmt::Write as _;
        for column in columns() {
            let written = match (column.cell)(line) {
                Cell::Text(text) => self.writer.write_field(harmless(&text).as_bytes()),
                cell => {
                    self.field.clear();
                    write!(self.field, "{cell}").map_err(io::Error::other)?;
                    self.writer.write_field(&self.field)
                }
            };
            written.map_err(io::Error::from)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(io::Error::from)
    }

    fn end(self: Box<Self>, _: &Report) -> io::Result<Box<dyn ReportFile>> {
        let file = self.writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// No spreadsheet computes it.
pub fn harmless(text: &str) -> Cow<'_, str> {
    const FORMULAS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    match text.trim_start_matches('\'').starts_with(FORMULAS) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}
