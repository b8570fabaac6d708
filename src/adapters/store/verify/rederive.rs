//! What the events say, derived once more beside the log, and every decision judged again.

use super::{Stop, broken, rulings};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::Session;
use crate::adapters::store::{claim, import, log, project};
use crate::audit::event::{ConflictRule, ImportConflict};
use crate::audit::{Body, LineEvent, RunEvent};
use crate::domain::Verdict;
use crate::ports::{Logged, Promise};

#[derive(Default)]
pub(super) struct Rederived {
    pub events: u64,
}

impl Rederived {
    pub fn take(&mut self, scratch: &mut dyn Session, logged: &Logged) -> Result<(), Stop> {
        let seq = logged.receipt.seq;
        let place = || format!("event {seq}");
        let refused = |error: StoreError| match error {
            error if error.is_of_one_piece() => {
                broken(Promise::Claims, place(), format!("it cannot follow on the events before it: {error}"))
            }
            error => Stop::Store(error),
        };
        match &logged.event.body {
            Body::Run(RunEvent::Claimed { unit, identity, standing, ruling, replaces, entry }) => {
                let Some(run) = logged.event.run else {
                    return Err(broken(Promise::Claims, place(), "a claim of no run".to_owned()));
                };
                let judged = claim::judge_claim(scratch, run, unit, identity, None)?;
                let (standing, ruling, replaces, entry) = (*standing, *ruling, replaces.clone(), *entry);
                let expected = claim::Judgement::Free { standing, ruling, replaces, entry };
                if judged != expected {
                    let found = match &judged {
                        claim::Judgement::Free { .. } => {
                            format!("it says {expected}; by the events before it: {judged}")
                        }
                        _ => format!("{unit} could not claim that chip then: {judged}"),
                    };
                    return Err(broken(Promise::Claims, place(), found));
                }
            }
            Body::Line(LineEvent::Imported { unit, fingerprint, spki, uid, conflicts, .. }) => {
                let expected = import::contradicted(scratch, unit, fingerprint, spki.as_ref(), uid.as_ref())?;
                if *conflicts != expected {
                    let found = format!("it contradicts {}, and says {}", told(&expected), told(conflicts));
                    return Err(broken(Promise::Claims, place(), found));
                }
            }
            Body::Line(LineEvent::Ruled { ruling, second, persons, .. }) => {
                let people = (logged.event.operator.as_ref(), second.as_ref());
                rulings::judge(scratch, seq, ruling, people, *persons)?;
            }
            Body::Run(RunEvent::Sealed { verdict: Verdict::Pass, .. }) => {
                let unfit = logged.event.run.map(|run| log::unfit(scratch, run)).transpose()?;
                if let Some(found) = unfit.flatten() {
                    return Err(broken(Promise::Claims, place(), format!("a PASS, and {found}")));
                }
            }
            _ => {}
        }
        project::project(scratch, seq, &logged.event).map_err(refused)?;
        self.events += 1;
        Ok(())
    }
}

fn told(conflicts: &[ImportConflict]) -> String {
    let one = |ImportConflict { rule, unit, fingerprint, seq }: &ImportConflict| {
        let rule = match rule {
            ConflictRule::Certificate => "certificate",
            ConflictRule::Key => "key",
            ConflictRule::Uid => "chip",
            ConflictRule::Unit => "unit",
        };
        format!("event {seq} in its {rule} ({unit}, certificate {fingerprint})")
    };
    let told: Vec<String> = conflicts.iter().map(one).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(" and ") }
}
