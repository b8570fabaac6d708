//! What a report says, before it is written as anything.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::SerializeStruct as _;

use crate::domain::{BatchName, Product, ReasonCode, ReportScope, StationName, Verdict};

/// All of a report but its runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub head: Head,
    pub figures: Figures,
}

/// What it is about, and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Head {
    pub made: Timestamp,
    /// Who made it, where somebody is known.
    pub by: Option<String>,
    pub station: StationName,
    pub scope: ReportScope,
    pub batch: Option<BatchHead>,
    /// Whose days these are.
    pub time_zone: String,
    /// Persons are named by what only the log can tell who they are.
    pub pseudonymous: bool,
    /// The log as it was when the report was begun: so many events, and the tree over them, in hexadecimal.
    pub log_size: u64,
    pub log_root: String,
    /// The log's newest signed checkpoint (C2SP tlog-checkpoint), whole.
    pub checkpoint: Option<String>,
    /// Its checkpoints are kept nowhere else: that an older log was put in its place could not be proven.
    pub rollback_unprovable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchHead {
    pub name: BatchName,
    pub product: Product,
    pub profile: String,
    pub planned: u64,
    pub opened: Timestamp,
    pub closed: Option<Timestamp>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Runs with a verdict, reference samples among them.
    pub runs: u64,
    pub verdicts: BTreeMap<&'static str, u64>,
    pub units: Units,
    pub total: Yield,
    /// By the groups' order: days and shifts by time, the others by name.
    pub groups: BTreeMap<By, Vec<Group>>,
    /// The most frequent first.
    pub reasons: Vec<Reason>,
    /// Hours in which an attempt ended, in their order.
    pub hours: Vec<Hour>,
    /// In the order of the steps, the whole run last.
    pub steps: Vec<StepTimes>,
}

/// Units by the verdict of the run that ended last, ABORTED runs left out; each is in one of the first four.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Units {
    pub passed: u64,
    pub failed: u64,
    pub errors: u64,
    pub held: u64,
    /// Those that QA ruled never to be taken again, whatever their verdict.
    pub scrapped: u64,
}

impl Units {
    pub fn done(&self) -> u64 {
        self.passed + self.failed + self.errors + self.held
    }
}

/// Units' days: a unit counts once for each day on which it has an attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Yield {
    /// Runs that ended PASS, FAIL or ERROR.
    pub attempts: u64,
    pub units: u64,
    pub first_passes: u64,
    pub final_passes: u64,
    /// Units with more than one attempt.
    pub retested: u64,
}

impl Yield {
    /// From 0 to 1; `None` where there is nothing to count.
    pub fn first_pass_yield(&self) -> Option<f64> {
        share(self.first_passes, self.units)
    }
    pub fn final_yield(&self) -> Option<f64> {
        share(self.final_passes, self.units)
    }
    pub fn retest_rate(&self) -> Option<f64> {
        share(self.retested, self.units)
    }
}

/// With what follows from the counts, so that every reader divides alike.
impl Serialize for Yield {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Yield { attempts, units, first_passes, final_passes, retested } = self;
        let mut out = serializer.serialize_struct("Yield", 8)?;
        out.serialize_field("attempts", attempts)?;
        out.serialize_field("units", units)?;
        out.serialize_field("first_passes", first_passes)?;
        out.serialize_field("final_passes", final_passes)?;
        out.serialize_field("retested", retested)?;
        out.serialize_field("first_pass_yield", &self.first_pass_yield())?;
        out.serialize_field("final_yield", &self.final_yield())?;
        out.serialize_field("retest_rate", &self.retest_rate())?;
        out.end()
    }
}

/// Counts are far below the 2⁵³ that a double holds exactly.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What runs are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    Day,
    Shift,
    Lane,
    Station,
    Operator,
    Product,
}

impl By {
    pub const ALL: [By; 6] = [By::Day, By::Shift, By::Lane, By::Station, By::Operator, By::Product];

    pub fn as_str(self) -> &'static str {
        match self {
            By::Day => "day",
            By::Shift => "shift",
            By::Lane => "lane",
            By::Station => "station",
            By::Operator => "operator",
            By::Product => "product",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `2026-11-30`, `2026-11-30 early`, `ST-1/3`, a station's, person's or product's name; `None`: nobody had
    /// signed in.
    pub name: Option<String>,
    #[serde(flatten)]
    pub count: Yield,
}

/// How often attempts ended so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    pub code: ReasonCode,
    pub failed: u64,
    pub errors: u64,
}

impl Reason {
    pub fn runs(&self) -> u64 {
        self.failed + self.errors
    }
}

/// Attempts that ended within an hour of the wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hour {
    /// `2026-11-30T14:00+09:00`
    pub hour: String,
    pub attempts: u64,
    pub passes: u64,
}

/// How long a step took, in milliseconds, over a sample of the attempts that were not HELD in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepTimes {
    /// `identify`, …; `run` for the whole run.
    pub step: &'static str,
    /// So many runs were looked at that have the step.
    pub runs: u64,
    pub min: u64,
    pub p25: u64,
    pub median: u64,
    pub p75: u64,
    pub p95: u64,
    pub max: u64,
}

/// It ended an attempt.
pub fn counts(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Pass | Verdict::Fail | Verdict::Error)
}
