//! What a unit's runs may have left ACTIVE in the cloud although nobody is to pass with it: told by the unit's history
//! alone, whoever was killed or away in between.
//!
//! The rule: **where a unit is locked (it failed, was scrapped, or withdrawn), every certificate that a run of the
//! locked chip registered, or may have, is set INACTIVE, save one that a PASS stands for**. A PASS stands until the
//! certificate was taken back, or until the very chip fails a substitution rule for what it is itself (`S-…`, save
//! S-111 and S-112, which are about what somebody put beside it in the cloud). Who is open or HELD comes to a verdict
//! first, and is looked at then.

use super::run::{Mark, Run, Stage};
use crate::audit::event::Ruling;
use crate::audit::{Body, LineEvent};
use crate::domain::{Fingerprint, ReasonCode, RunId, TargetName, Verdict};
use crate::ports::{LockKind, UnitHistory};

/// A certificate that is to be set INACTIVE, and the run whose it is: the newest one that left it.
#[derive(Debug, Clone, PartialEq)]
pub struct Left {
    pub run: Run,
    pub targets: Vec<TargetName>,
}

/// Newest run first; each certificate once in a target.
pub fn left(history: &UnitHistory) -> Vec<Left> {
    let held = history.locks.iter().any(|lock| lock.kind != LockKind::Conflict);
    if !held {
        return Vec::new();
    }
    // A run that can't be read is a matter of the log, and keeps no other from being taken back.
    let runs = history.runs.iter().filter_map(|log| Run::fold(&log.events).ok()).collect();
    let told = Told { history, runs };
    let mut known: Vec<(Fingerprint, TargetName)> = Vec::new();
    let mut left = Vec::new();
    for run in told.runs.iter().rev().filter(|run| run.is_over() && told.is_locked(run)) {
        let Some(intent) = &run.intent else { continue };
        let certificate = intent.fingerprint;
        let mut targets = Vec::new();
        for Mark { target, seq } in &run.left {
            let one = (certificate, target.clone());
            if !known.contains(&one) && !told.is_off(&one, *seq) && !told.stands(&one) {
                targets.push(target.clone());
                known.push(one);
            }
        }
        if !targets.is_empty() {
            left.push(Left { run: run.clone(), targets });
        }
    }
    left
}

/// Runs of the unit that have no verdict: they may be at work in the cloud.
pub fn open(history: &UnitHistory) -> Vec<Run> {
    let runs = history.runs.iter().filter_map(|log| Run::fold(&log.events).ok());
    runs.filter(|run| run.stage != Stage::Sealed).collect()
}

struct Told<'h> {
    history: &'h UnitHistory,
    /// Oldest first.
    runs: Vec<Run>,
}

impl Told<'_> {
    /// A failure holds the chip that failed; a ruling, whatever the unit shows.
    fn is_locked(&self, run: &Run) -> bool {
        self.history.locks.iter().any(|lock| match lock.kind {
            LockKind::Scrapped | LockKind::Withdrawn => true,
            LockKind::Failed => lock.run.and_then(|failed| self.chip(failed)) == chip_of(run),
            LockKind::Conflict => false,
        })
    }

    fn chip(&self, id: RunId) -> Option<Fingerprint> {
        self.runs.iter().find(|run| run.id == id).and_then(chip_of)
    }

    /// It was set INACTIVE, deleted or not there, after event `since`.
    fn is_off(&self, one: &(Fingerprint, TargetName), since: u64) -> bool {
        let (certificate, target) = one;
        let by_run = self.runs.iter().filter(|run| is_of(run, certificate)).any(|run| {
            let mut marks = run.taken_back.iter();
            marks.any(|mark| mark.target == *target && mark.seq > since)
        });
        by_run || self.was_withdrawn(one, since)
    }

    /// The target gave it back for a ruling that was made after event `since`: what was done before that, the
    /// withdrawal found.
    fn was_withdrawn(&self, (certificate, target): &(Fingerprint, TargetName), since: u64) -> bool {
        self.history.withdrawn.iter().any(|logged| {
            let Body::Line(LineEvent::Withdrawn { by, target: done, failure: None, .. }) = &logged.event.body else {
                return false;
            };
            done == target
                && self.history.rulings.iter().any(|ruled| {
                    let Body::Line(LineEvent::Ruled { ruling: Ruling::Withdraw { targets, .. }, .. }) =
                        &ruled.event.body
                    else {
                        return false;
                    };
                    let covers = targets.iter().any(|it| it.target == *target && it.certificates.contains(certificate));
                    ruled.event.id == *by && ruled.receipt.seq > since && covers
                })
        })
    }

    /// Some run passed with it there, and nothing has ended that.
    fn stands(&self, one: &(Fingerprint, TargetName)) -> bool {
        let (certificate, target) = one;
        self.runs.iter().filter(|run| run.verdict() == Some(Verdict::Pass) && is_of(run, certificate)).any(|passed| {
            let Some(sealed) = passed.sealed.as_ref().map(|sealed| sealed.receipt.seq) else { return false };
            passed.registered.iter().any(|record| record.target == *target)
                && !self.is_off(one, sealed)
                && !self.runs.iter().any(|failed| is_suspect(failed, sealed) && chip_of(failed) == chip_of(passed))
        })
    }
}

/// It failed after event `since`, for what it shows and not for being locked already.
fn is_suspect(run: &Run, since: u64) -> bool {
    let Some(sealed) = run.sealed.as_ref().filter(|sealed| sealed.verdict == Verdict::Fail) else { return false };
    let substituted = sealed.reason.as_ref().is_some_and(|failure| is_substitution(failure.code));
    sealed.receipt.seq > since && substituted
}

/// For what the chip is. What somebody put beside it in the cloud stops no device that is in use by now.
fn is_substitution(code: ReasonCode) -> bool {
    use ReasonCode as Code;
    let locked = [Code::UNIT_LOCKED, Code::UNIT_SCRAPPED, Code::IMPORT_CONFLICT, Code::UNIT_WITHDRAWN];
    let of_the_cloud = [Code::THING_FOREIGN, Code::CERTIFICATE_FOREIGN];
    code.as_str().starts_with("S-") && !locked.contains(&code) && !of_the_cloud.contains(&code)
}

fn is_of(run: &Run, certificate: &Fingerprint) -> bool {
    run.intent.as_ref().is_some_and(|intent| intent.fingerprint == *certificate)
}

/// The chip's own certificate, proven or not.
fn chip_of(run: &Run) -> Option<Fingerprint> {
    run.reading.as_ref().map(|reading| Fingerprint::of(&reading.certificate))
}
