//! What all formats have in common.

use std::io;

use super::csv::CsvDocument;
use super::json::JsonDocument;
use super::{Line, Report};
use crate::domain::ReportFormat;
use crate::ports::ReportFile;

/// A report that is being written. No more of it is in memory than its format demands.
pub trait Document: Send {
    fn line(&mut self, line: &Line) -> io::Result<()>;
    /// Writes what is left of it and gives back its file, all of it written.
    fn end(self: Box<Self>, report: &Report) -> io::Result<Box<dyn ReportFile>>;
}

/// How it is to be written.
#[derive(Debug, Clone)]
pub struct Style {
    /// A CSV file begins with a byte order mark: Excel takes it for UTF-8 then, in Japan, too.
    pub bom: bool,
}

/// Begins a document in this file.
pub fn document(format: ReportFormat, style: &Style, file: Box<dyn ReportFile>) -> io::Result<Box<dyn Document>> {
    Ok(match format {
        ReportFormat::Csv => Box::new(CsvDocument::begin(style.bom, file)?),
        ReportFormat::Json => Box::new(JsonDocument::begin(file)?),
    })
}
