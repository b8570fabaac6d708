//! Label printers: raw TCP (usually port 9100), a device file, an IPP printer or queue, a folder; and labels drawn
//! to be looked at.
//!
//! What counts is what can be said after a failure. `P-401` and `P-411` to `P-415`: certainly nothing is on
//! paper, and the spool may try again. `P-402` and `P-416`: it was handed over and the end was not seen, or
//! was no good one; only a person can tell.

mod device;
mod folder;
mod ipp;
mod picture;
mod status;
mod tcp;

use std::sync::Arc;

pub use device::DevicePrinter;
pub use folder::FolderPrinter;
pub use ipp::IppPrinter;
pub use picture::Pictures;
pub use tcp::TcpPrinter;

use crate::config::Printer;
use crate::domain::{Failure, ReasonCode};
use crate::ports::LabelPrinter;

/// The printer that the configuration names; `None` where it names none.
pub fn from_config(printer: &Printer) -> Option<Arc<dyn LabelPrinter>> {
    match printer {
        Printer::None => None,
        Printer::Tcp { address, status } => {
            let printer = TcpPrinter::new(address.clone());
            Some(Arc::new(if *status { printer } else { printer.without_status() }))
        }
        Printer::Ipp(queue) => Some(Arc::new(IppPrinter::new(queue.clone()))),
        Printer::Device { path } => Some(Arc::new(DevicePrinter::new(path.clone()))),
        Printer::Folder { path } => Some(Arc::new(FolderPrinter::new(path.clone()))),
    }
}

/// Why no label comes out of a printer that can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Paper,
    Open,
    Paused,
    /// The queue is there, its printer is not.
    Offline,
    /// Whatever else somebody has to look at.
    Fault,
}

impl Trouble {
    fn code(self) -> ReasonCode {
        match self {
            Trouble::Paper => ReasonCode::PRINTER_EMPTY,
            Trouble::Open => ReasonCode::PRINTER_OPEN,
            Trouble::Paused => ReasonCode::PRINTER_PAUSED,
            Trouble::Offline => ReasonCode::PRINTER_UNREACHABLE,
            Trouble::Fault => ReasonCode::PRINTER_FAULTY,
        }
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
    #[error("{printer} says: {reason}")]
    Trouble { printer: String, trouble: Trouble, reason: String },
    #[error("{printer} can't be asked: {cause}")]
    Offline { printer: String, cause: String },
    #[error("{printer} does not take it: {because}")]
    Refused { printer: String, because: String },
    #[error("nothing can be drawn for {printer}: {cause}")]
    Undrawn { printer: String, cause: String },
    #[error("{printer} {how} the label's job: {reasons}")]
    GivenUp { printer: String, how: &'static str, reasons: String },
    #[error("what became of it {printer} does not say: {cause}")]
    Unanswered { printer: String, cause: String },
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
            | E::Offline { .. }
            | E::Write { sent: 0, .. } => ReasonCode::PRINTER_UNREACHABLE,
            E::Trouble { trouble, .. } => trouble.code(),
            E::Refused { .. } => ReasonCode::PRINTER_REFUSES,
            E::Undrawn { .. } => ReasonCode::LABEL_UNRENDERABLE,
            E::GivenUp { .. } => ReasonCode::LABEL_GIVEN_UP,
            // A write that was begun and never came back may still go through.
            E::Write { .. }
            | E::WriteTimeout { .. }
            | E::Drain { .. }
            | E::FolderSync { .. }
            | E::Thread { .. }
            | E::Unanswered { .. } => ReasonCode::PRINTER_INTERRUPTED,
        };
        Failure::new(code, error.to_string())
    }
}
