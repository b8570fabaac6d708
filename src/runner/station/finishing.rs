//! HELD units are finished by themselves once the cloud is back, and at once when somebody asks: the oldest
//! first, a few at a time. How fast is the cloud adapter's to say, and boards go before them there.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Errand, Station};
use crate::domain::profile::Profile;
use crate::domain::{Failure, RunId, Verdict};
use crate::ports::RunLog;
use crate::provisioning::{Input, Run, Stage, UnitRecord};
use crate::runner::errands;

/// At a time: what a unit waits for AWS hides in the calls of the others.
const AT_A_TIME: usize = 4;
/// After a pass that finished nothing, doubled with each further one.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
const AT_LEAST_EVERY: Duration = Duration::from_secs(15 * 60);

/// Where the station is in finishing what was HELD.
pub(super) struct Finishing {
    /// In their order.
    waiting: VecDeque<RunLog>,
    /// Those under way that the log knows to be taken up again: the next one follows on them, not beside them.
    begun: HashSet<RunId>,
    /// Somebody here asked for this pass.
    asked: bool,
    /// Some unit of this pass came to its end.
    finished: bool,
    /// Passes in a row that finished nothing.
    fruitless: u32,
    /// By itself, not before.
    not_before: Instant,
}

impl Finishing {
    /// What the last shift left waits until this one has begun.
    pub(super) fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            begun: HashSet::new(),
            asked: false,
            finished: false,
            fruitless: 0,
            not_before: Instant::now() + AGAIN_AFTER,
        }
    }

    /// Nothing more is begun.
    pub(super) fn give_up(&mut self) {
        self.waiting.clear();
    }
}

impl Station {
    /// All that wait, whichever station held them.
    pub(super) async fn finish_all(&mut self) -> Result<(), Failure> {
        errands::refuse_air_gapped(&self.config)?;
        let held = self.shared.log.store.held().await?;
        self.finish(held, true);
        Ok(())
    }

    /// Those of this station, where the cloud is there and nothing speaks against it: another station finishes
    /// its own, and two would only be in each other's way.
    pub(super) async fn finish_by_itself(&mut self, came_back: bool) {
        if came_back {
            (self.finishing.fruitless, self.finishing.not_before) = (0, Instant::now());
        }
        let due = Instant::now() >= self.finishing.not_before;
        let idle = self.finishing.waiting.is_empty() && !self.errands.values().any(|errand| *errand == Errand::Held);
        let some_can = self.config.profiles.iter().any(|profile| self.can_register(profile));
        if !some_can || self.view.held == 0 || self.blocked.is_some() || !(due && idle) {
            return;
        }
        match self.shared.log.store.held().await {
            Ok(mut held) => {
                let station = &self.shared.log.station;
                held.retain(|log| log.events.first().is_some_and(|first| first.event.station == *station));
                // What can register nothing would only be HELD again; what goes elsewhere does not wait for it.
                let profile_of = |log: &RunLog| self.profiles.get(&errands::fold(log).ok()?.profile);
                held.retain(|log| profile_of(log).is_none_or(|profile| self.can_register(profile)));
                if held.is_empty() {
                    return self.end_pass();
                }
                self.finish(held, false);
            }
            Err(failure) => self.note_log(Err(failure)),
        }
    }

    /// As far as the latest look shows: each of its targets is there, and takes its units.
    fn can_register(&self, profile: &Profile) -> bool {
        let Some(unwell) = &self.unwell else { return false };
        !self.barred.contains_key(&profile.name)
            && !profile.register.targets.iter().any(|target| unwell.contains(target))
    }

    fn finish(&mut self, held: Vec<RunLog>, asked: bool) {
        // One run of a unit at a time: the later one must see what became of the earlier one's label.
        let mut units = HashSet::new();
        self.finishing.waiting.clear();
        for log in held {
            let unit = errands::fold(&log).ok().and_then(|run| run.unit);
            if !self.is_driven(log.run) && unit.is_none_or(|unit| units.insert(unit)) {
                self.finishing.waiting.push_back(log);
            }
        }
        (self.finishing.finished, self.finishing.asked) = (false, asked);
        self.finish_next();
    }

    /// As many as there is room for.
    pub(super) fn finish_next(&mut self) {
        if self.blocked.is_some() {
            self.finishing.waiting.clear();
        }
        while self.has_room() {
            let Some(log) = self.finishing.waiting.pop_front() else { break };
            if !self.is_driven(log.run) {
                self.errand(&log, Errand::Held, Input::Resume, self.finishing.asked);
            }
        }
    }

    fn has_room(&self) -> bool {
        let under_way = self.errands.iter().filter(|(_, errand)| **errand == Errand::Held).map(|(run, _)| run);
        under_way.clone().count() < AT_A_TIME && under_way.clone().all(|run| self.finishing.begun.contains(run))
    }

    /// How far a run is that may be one of these.
    pub(super) fn note_begun(&mut self, run: &Run) {
        if self.errands.get(&run.id) == Some(&Errand::Held) && run.stage != Stage::Sealed {
            self.finishing.begun.insert(run.id);
            self.finish_next();
        }
    }

    /// What became of a run, where it was HELD or is.
    pub(super) fn note_held(&mut self, run: &Arc<Run>, errand: Option<Errand>) {
        self.finishing.begun.remove(&run.id);
        match (errand, run.verdict()) {
            (Some(Errand::Held), Some(Verdict::Held)) => {
                let reason = run.sealed.as_ref().and_then(|sealed| sealed.reason.as_ref());
                if let Some(reason) = reason.filter(|reason| errands::keeps_every_unit(reason.code)) {
                    // The others would only wait for the same.
                    let target = reason.args.get("target").cloned();
                    let profiles = &self.profiles;
                    self.finishing.waiting.retain(|log| {
                        let profile = errands::fold(log).ok().and_then(|run| profiles.get(&run.profile).cloned());
                        profile.is_some_and(|profile| !errands::goes_to(&profile, &target))
                    });
                }
            }
            (Some(Errand::Held), _) => {
                self.finishing.finished = true;
                let pulled = UnitRecord::of(run).and_then(|record| record.pulled_out());
                self.view.pulled.extend(pulled);
            }
            (None, Some(Verdict::Held)) => {
                (self.finishing.fruitless, self.finishing.not_before) = (0, Instant::now() + AGAIN_AFTER);
                return;
            }
            _ => return,
        }
        self.finish_next();
        if !self.errands.values().any(|errand| *errand == Errand::Held) {
            self.end_pass();
        }
    }

    fn end_pass(&mut self) {
        let Finishing { finished, fruitless, .. } = self.finishing;
        self.finishing.fruitless = if finished { 0 } else { fruitless + 1 };
        let pause = AGAIN_AFTER.saturating_mul(1 << self.finishing.fruitless.min(10)).min(AT_LEAST_EVERY);
        self.finishing.not_before = Instant::now() + pause;
    }
}
