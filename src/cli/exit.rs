//! What scripts get to see of the outcome.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::output;
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::provisioning::UnitRecord;
use crate::texts::Language;

pub const DONE: u8 = 0;
/// Usage or configuration.
pub const USAGE: u8 = 2;
/// A verification found a broken promise.
pub const BROKEN: u8 = 1;
/// The command could not do its work.
pub const NOTHING_DONE: u8 = 3;

/// For a command that could not do its work at all.
pub fn of_failure(failure: &Failure) -> u8 {
    match failure.code {
        ReasonCode::CONFIG_INVALID
        | ReasonCode::CONFIG_VALUE
        | ReasonCode::CRL_UNUSABLE
        | ReasonCode::ARGUMENT_REFUSED
        | ReasonCode::NOT_IN_LOG
        | ReasonCode::NOT_NOW
        | ReasonCode::IMPORT_REFUSED => USAGE,
        ReasonCode::LOG_BROKEN | ReasonCode::HELD_FILE_BROKEN | ReasonCode::HELD_FILE_UNKNOWN => BROKEN,
        _ => NOTHING_DONE,
    }
}

/// For a command that says itself what it did.
pub fn report(result: Result<(), Failure>, language: &Language) -> ExitCode {
    ended(result.map(|()| ExitCode::SUCCESS), language)
}

/// For a command whose work has more than one good end.
pub fn ended(result: Result<ExitCode, Failure>, language: &Language) -> ExitCode {
    result.unwrap_or_else(|failure| {
        output::failure(&failure, language);
        ExitCode::from(of_failure(&failure))
    })
}

/// The worst of what happened, each run counted by its latest verdict: a HELD unit that was finished
/// afterwards is PASS.
#[derive(Debug, Default)]
pub struct Worst {
    /// By run id.
    latest: BTreeMap<String, Verdict>,
}

impl Worst {
    pub fn note(&mut self, record: &UnitRecord) {
        self.note_run(&record.run, record.verdict);
    }

    /// 3 if any ERROR or ABORTED, else 1 if any FAIL, else 4 if any HELD, else 0.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn note_run(&mut self, run: &str, verdict: Verdict) {
        self.latest.insert(run.to_owned(), verdict);
    }

    fn number(&self) -> u8 {
        let any = |wanted: &[Verdict]| self.latest.values().any(|verdict| wanted.contains(verdict));
        match () {
            () if any(&[Verdict::Error, Verdict::Aborted]) => 3,
            () if any(&[Verdict::Fail]) => 1,
            () if any(&[Verdict::Held]) => 4,
            () => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(noted: &[(&str, Verdict)]) -> u8 {
        let mut worst = Worst::default();
        noted.iter().for_each(|(run, verdict)| worst.note_run(run, *verdict));
        worst.number()
    }

    #[test]
    fn the_worst_verdict_decides() {
        assert_eq!(number(&[]), 0);
        assert_eq!(number(&[("a", Verdict::Pass)]), 0);
        assert_eq!(number(&[("a", Verdict::Held), ("b", Verdict::Pass)]), 4);
        assert_eq!(number(&[("a", Verdict::Held), ("b", Verdict::Fail)]), 1);
        assert_eq!(number(&[("a", Verdict::Fail), ("b", Verdict::Error)]), 3);
        assert_eq!(number(&[("a", Verdict::Aborted)]), 3);
    }

    #[test]
    fn a_run_counts_by_its_latest_verdict() {
        assert_eq!(number(&[("a", Verdict::Held), ("a", Verdict::Pass)]), 0);
        assert_eq!(number(&[("a", Verdict::Held), ("a", Verdict::Held)]), 4);
        assert_eq!(number(&[("a", Verdict::Held), ("a", Verdict::Error)]), 3);
        // Another run of the same board is another attempt: the first one stays what it was.
        assert_eq!(number(&[("a", Verdict::Error), ("b", Verdict::Pass)]), 3);
    }
}
