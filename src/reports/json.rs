//! The report whole, as `assets/report.schema.json` describes it: runs first, since the figures are known after them.

use std::io::{self, BufWriter, Write as _};

use serde_json::{Map, Value};

use super::Report;
use super::document::Document;
use super::line::{Cell, Line, columns};
use crate::ports::ReportFile;

/// Raised with every change that a reader of the version before would trip over.
pub const VERSION: u32 = 1;

pub struct JsonDocument {
    file: BufWriter<Box<dyn ReportFile>>,
    first: bool,
}

impl JsonDocument {
    pub fn begin(file: Box<dyn ReportFile>) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 16, file);
        write!(file, "{{\"format\":\"lineseal report\",\"version\":{VERSION},\n\"runs\":[")?;
        Ok(Self { file, first: true })
    }
}

impl Document for JsonDocument {
    fn line(&mut self, line: &Line) -> io::Result<()> {
        let value = |cell: Cell<'_>| match cell {
            Cell::Nothing => Value::Null,
            Cell::Count(count) => count.into(),
            Cell::Yes(yes) => yes.into(),
            Cell::Text(text) => text.into_owned().into(),
            cell @ (Cell::Day(_) | Cell::Time(_)) => cell.to_string().into(),
        };
        let object: Map<String, Value> =
            columns().iter().map(|column| (column.name.to_owned(), value((column.cell)(line)))).collect();
        self.file.write_all(if std::mem::take(&mut self.first) { b"\n" } else { b",\n" })?;
        Ok(serde_json::to_writer(&mut self.file, &object)?)
    }

    fn end(mut self: Box<Self>, report: &Report) -> io::Result<Box<dyn ReportFile>> {
        self.file.write_all(b"\n],\n\"report\":")?;
        serde_json::to_writer(&mut self.file, report)?;
        self.file.write_all(b"}\n")?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
    }
}
