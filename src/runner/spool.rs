//! Labels that are owed: printed by themselves as soon as the printer takes them, one at a time,
//! and never twice without asking.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::driver::{needs_an_answer, prints_by_itself};
use super::view::LabelQuestion;
use crate::domain::RunId;
use crate::provisioning::Run;

/// The paper that this station still owes.
#[derive(Default)]
pub struct Spool {
    owed: BTreeMap<u64, Arc<Run>>,
    questions: BTreeMap<u64, Arc<Run>>,
    /// One label is at the printer.
    pub busy: bool,
}

impl Spool {
    /// Takes note of what a sealed run owes now.
    pub fn note(&mut self, run: &Arc<Run>) {
        self.owed.remove(&run.first_seq);
        self.questions.remove(&run.first_seq);
        if prints_by_itself(run) {
            self.owed.insert(run.first_seq, run.clone());
        } else if needs_an_answer(run).is_some() {
            self.questions.insert(run.first_seq, run.clone());
        }
    }

    /// Before it is noted anew from the log.
    pub fn reset(&mut self) {
        self.owed.clear();
        self.questions.clear();
    }

    /// The oldest label to try, unless one is being tried. A run that somebody is at work on is left
    /// alone: two writers would tell two stories of it.
    pub fn next(&self, is_driven: impl Fn(RunId) -> bool) -> Option<Arc<Run>> {
        if self.busy { None } else { self.owed.values().find(|run| !is_driven(run.id)).cloned() }
    }

    pub fn waiting(&self) -> bool {
        !self.owed.is_empty()
    }

    pub fn question(&self, run: RunId) -> Option<Arc<Run>> {
        self.questions.values().find(|known| known.id == run).cloned()
    }

    pub fn questions(&self) -> Vec<LabelQuestion> {
        self.questions
            .values()
            .filter_map(|run| {
                Some(LabelQuestion {
                    run: run.id,
                    serial: run.unit.as_ref().map(|unit| unit.serial.clone()),
                    kind: needs_an_answer(run)?,
                })
            })
            .collect()
    }
}
