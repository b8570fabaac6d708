use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::{
    BatchName, ChipUid, Failure, Fingerprint, LaneNumber, Product, ReasonCode, ReportScope, RunId, Sha256, StationName,
    ThingName, Verdict,
};

/// What a report is made from. However many runs there are, only a page of them is in memory.
#[async_trait::async_trait]
pub trait Reports: Send + Sync {
    /// At most so many runs are in the scope by now: a measure of how far a report is.
    async fn extent(&self, scope: &ReportScope) -> Result<u64, Failure>;

    /// The next runs of the scope that have a verdict, each once: those of one unit together and in the order in
    /// which they began, and those that never learned their unit's serial number last. `before`: only runs that
    /// began before this event, so that a line at work adds none meanwhile.
    async fn runs(
        &self,
        scope: &ReportScope,
        before: u64,
        after: Option<&ReportPlace>,
        limit: u32,
    ) -> Result<ReportPage, Failure>;
}

/// Where a page of runs ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportPlace {
    Unit {
        product: String,
        serial: String,
        seq: u64,
    },
    /// Among the runs of no unit; the first of them after `None`.
    OfNone(Option<u64>),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ReportPage {
    pub runs: Vec<ReportedRun>,
    /// `None`: it was the last.
    pub next: Option<ReportPlace>,
}

/// A run as its report has it.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedRun {
    /// Its first event.
    pub seq: u64,
    /// The event that has its verdict.
    pub sealed: u64,
    pub run: RunId,
    pub station: StationName,
    pub lane: LaneNumber,
    pub product: Product,
    pub serial: Option<String>,
    pub batch: Option<BatchName>,
    pub operator: Option<Uuid>,
    pub thing: Option<ThingName>,
    pub fingerprint: Option<Fingerprint>,
    pub uid: Option<ChipUid>,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub verdict: Verdict,
    pub reason: Option<ReasonCode>,
    /// It was HELD, and taken up again.
    pub resumed: bool,
    /// HELD for its board, which came back and passed in another run: nothing is held any more.
    pub came_back: bool,
    /// QA has ruled that its unit is never taken again.
    pub scrapped: bool,
}

/// A file that a report is written to: beside its place until it is kept, and gone where it never is.
pub trait ReportFile: std::io::Write + std::io::Seek + Send {
    /// What was written is on the disk from here on, and has this SHA-256 there. O-630 where it is not.
    fn finish(&mut self) -> Result<Written, Failure>;
    /// Puts it in its place. O-606 where something is there by now.
    fn keep(self: Box<Self>) -> Result<(), Failure>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub sha256: Sha256,
    pub bytes: u64,
}
