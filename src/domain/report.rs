//! The words of a report: what it is about, and what it is written as.

use jiff::Timestamp;

use super::{BatchName, Invalid};

/// Which runs a report is about: those that began within the time, of the batch where one is named.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ReportScope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Not in it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// RFC 4180: one line a run.
    Csv,
    /// Figures and runs, as `assets/report.schema.json` has them.
    Json,
}

impl ReportFormat {
    pub const ALL: [ReportFormat; 2] = [ReportFormat::Csv, ReportFormat::Json];

    pub fn as_str(self) -> &'static str {
        match self {
            ReportFormat::Csv => "csv",
            ReportFormat::Json => "json",
        }
    }
}

impl std::str::FromStr for ReportFormat {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| Invalid {
            what: "report format",
            value: text.to_owned(),
            rule: "csv or json",
        })
    }
}
