//! The faults of the practice line: each is made in a stand-in, and the product has to find it.

use crate::domain::{ReasonCode, Verdict};

/// What can be wrong on the practice line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// The token has the certificate but not its key.
    KeyMissing,
    /// Another chip's certificate and UID over an own key.
    CertificateCopied,
    /// A certificate of a CA with the right name and another key.
    ForeignCa,
    /// A certificate that has expired.
    Expired,
    /// One chip on two boards.
    Duplicate,
    /// The board behind its USB bridge is another one once it has told its serial number.
    BoardExchanged,
    /// The cable is pulled in the middle of the run.
    Unplugged,
    /// The board does not answer.
    SilentBoard,
    /// The token never answers.
    HungToken,
    /// The cloud can't be reached.
    CloudDown,
    /// The printer is off.
    PrinterDown,
}

impl Fault {
    pub const ALL: [Fault; 11] = [
        Fault::KeyMissing,
        Fault::CertificateCopied,
        Fault::ForeignCa,
        Fault::Expired,
        Fault::Duplicate,
        Fault::BoardExchanged,
        Fault::Unplugged,
        Fault::SilentBoard,
        Fault::HungToken,
        Fault::CloudDown,
        Fault::PrinterDown,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Fault::KeyMissing => "key-missing",
            Fault::CertificateCopied => "certificate-copied",
            Fault::ForeignCa => "foreign-ca",
            Fault::Expired => "expired",
            Fault::Duplicate => "duplicate",
            Fault::BoardExchanged => "board-exchanged",
            Fault::Unplugged => "unplugged",
            Fault::SilentBoard => "silent-board",
            Fault::HungToken => "hung-token",
            Fault::CloudDown => "cloud-down",
            Fault::PrinterDown => "printer-down",
        }
    }

    pub fn named(name: &str) -> Option<Fault> {
        Fault::ALL.into_iter().find(|fault| fault.name() == name)
    }

    /// What the station has to make of it.
    pub fn expected(self) -> (Verdict, Option<ReasonCode>) {
        match self {
            Fault::KeyMissing => (Verdict::Fail, Some(ReasonCode::TOKEN_NO_KEY)),
            Fault::CertificateCopied => (Verdict::Fail, Some(ReasonCode::CHIP_LACKS_KEY)),
            Fault::ForeignCa => (Verdict::Fail, Some(ReasonCode::CERTIFICATE_FOREIGN_CA)),
            Fault::Expired => (Verdict::Fail, Some(ReasonCode::CERTIFICATE_EXPIRED)),
            Fault::Duplicate => (Verdict::Fail, Some(ReasonCode::CERTIFICATE_BOUND)),
            Fault::BoardExchanged => (Verdict::Fail, Some(ReasonCode::CHIP_CHANGED)),
            Fault::Unplugged => (Verdict::Aborted, Some(ReasonCode::BOARD_UNPLUGGED)),
            Fault::SilentBoard => (Verdict::Error, Some(ReasonCode::BOARD_SILENT)),
            Fault::HungToken => (Verdict::Error, Some(ReasonCode::TOKEN_SILENT)),
            Fault::CloudDown => (Verdict::Held, Some(ReasonCode::CLOUD_UNREACHABLE)),
            Fault::PrinterDown => (Verdict::Pass, None),
        }
    }

    /// Is it the board's, as opposed to what stands around the line?
    pub fn is_of_the_board(self) -> bool {
        !matches!(self, Fault::CloudDown | Fault::PrinterDown)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
