//! Label printers: raw TCP (usually port 9100), a device file, a folder.
//!
//! What counts is what can be said after a failure. `P-401`: not one byte left the station, so nothing
//! is on paper and the spool may try again. `P-402`: bytes were handed over and the end was not seen;
//! only a person can tell.

mod device;
mod folder;
mod render;
mod tcp;

use std::sync::Arc;

pub use device::DevicePrinter;
pub use folder::FolderPrinter;
pub use tcp::TcpPrinter;

use crate::config::Printer;
use crate::domain::{Failure, ReasonCode};
use crate::ports::LabelPrinter;

/// The printer that the configuration names; `None` where it names none.
pub fn from_config(printer: &Printer) -> Option<Arc<dyn LabelPrinter>> {
    match printer {
        Printer::None => None,
        Printer::Tcp { address } => Some(Arc::new(TcpPrinter::new(address.clone()))),
        Printer::Device { path } => Some(Arc::new(DevicePrinter::new(path.clone()))),
        Printer::Folder { path } => Some(Arc::new(FolderPrinter::new(path.clone()))),
    }
}

/// What stopped a label, before its reason code.
#[derive(Debug, thiserror::Error)]
enum PrintError {
    #[error("cannot connect to {printer}: {cause}")]
    Connect { printer: String, cause: std::io::Error },
    #[error("{printer} did not answer the connection within {seconds} s")]
    ConnectTimeout { printer: String, seconds: u64 },
    #[error("cannot open {printer}: {cause}")]
    Open { printer: String, cause: std::io::Error },
    #[error("{printer} is no device")]
    NoDevice { printer: String },
    #[error("{printer} is still busy with an earlier label")]
    Busy { printer: String },
    #[error("{printer} took {sent} of {size} bytes: {cause}")]
    Write { printer: String, sent: usize, size: usize, cause: std::io::Error },
    #[error("{printer} took {sent} of {size} bytes and then no more for {seconds} s")]
    WriteTimeout { printer: String, sent: usize, size: usize, seconds: u64 },
    #[error("{printer} broke the connection off after the label: {cause}")]
    Drain { printer: String, cause: std::io::Error },
    #[error("cannot write the label into {printer}: {cause}")]
    Folder { printer: String, cause: std::io::Error },
    #[error("the label is in {printer}, but perhaps not on disk: {cause}")]
    FolderSync { printer: String, cause: std::io::Error },
    #[error("the printing thread for {printer} ended early")]
    Thread { printer: String },
}

impl From<PrintError> for Failure {
    fn from(error: PrintError) -> Self {
        use PrintError as E;
        let code = match &error {
            E::Connect { .. }
            | E::ConnectTimeout { .. }
            | E::Open { .. }
            | E::NoDevice { .. }
            | E::Busy { .. }
            | E::Folder { .. }
            | E::Write { sent: 0, .. } => ReasonCode::PRINTER_UNREACHABLE,
            // A write that was begun and never came back may still go through.
            E::Write { .. } | E::WriteTimeout { .. } | E::Drain { .. } | E::FolderSync { .. } | E::Thread { .. } => {
                ReasonCode::PRINTER_INTERRUPTED
            }
        };
        Failure::new(code, error.to_string())
    }
}
