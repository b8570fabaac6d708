//! What the station looks like from outside: snapshots, from what is committed.

use std::sync::Arc;

use super::{LaneNow, Station, signals};
use crate::config::Config;
use crate::domain::{Step, Verdict};
use crate::provisioning::{Label, Run};
use crate::runner::driver::waits_for_scan;
use crate::runner::equipment::Equipment;
use crate::runner::view::{Copies, DeskState, DeskView, FinishedView, Health, LaneState, LaneView, Snapshot};

/// Before anything is known.
pub(super) fn empty(config: &Config, equipment: &Equipment) -> Snapshot {
    Snapshot {
        station: config.station.name.clone(),
        practice: config.station.practice,
        operator: None,
        desk: DeskView {
            state: DeskState::Unknown,
            badge_prefix: config.sign_in.badge_prefix.clone(),
            answer: None,
            people: None,
        },
        batch: None,
        lanes: Vec::new(),
        held: 0,
        recent: Vec::new(),
        cloud: Health::Unknown,
        log: Health::Unknown,
        printer: Health::Unknown,
        copies: Copies::unknown(&equipment.custody),
        signals: Health::Unknown,
        paused: false,
        questions: Vec::new(),
        scan_back: Vec::new(),
        label: None,
        profiles: Vec::new(),
        notice: None,
        pulled: Vec::new(),
        refused: Vec::new(),
        settings: None,
    }
}

impl Station {
    /// Sends the present picture; an unchanged one wakes nobody.
    pub(super) fn publish(&mut self) {
        let mut view = self.view.clone();
        view.operator = self.desk.operator().map(str::to_owned);
        view.desk.state = self.desk.state();
        view.lanes = self.lane_views();
        view.settings = self.settings_view();
        view.questions = self.spool.questions();
        view.scan_back = self.scan_back();
        view.refused.extend(self.boards.values().filter_map(|b| Some((b.device.clone(), b.refusal.clone()?))));
        view.profiles = self.profiles.keys().cloned().collect();
        if let Some(batch) = &mut view.batch {
            batch.pace = self.pace.view(batch.planned, self.shared.log.clock.now());
        }
        if let Some(signals) = &self.signals {
            signals.show(signals::tower(&view));
        }
        self.snapshot.send_if_modified(|known| {
            let changed = **known != view;
            if changed {
                *known = Arc::new(view);
            }
            changed
        });
    }

    fn lane_views(&self) -> Vec<LaneView> {
        self.lanes
            .lanes()
            .map(|(number, name)| LaneView {
                number,
                name: name.to_owned(),
                port: self
                    .shown
                    .get(&number)
                    .and_then(|now| self.boards.get(&now.arrival))
                    .map(|b| b.device.path.clone()),
                state: self.shown.get(&number).map_or(LaneState::Free, |now| self.lane_state(now)),
            })
            .collect()
    }

    fn lane_state(&self, now: &LaneNow) -> LaneState {
        if let Some(failure) = &now.refused {
            return LaneState::Refused { failure: failure.clone() };
        }
        let Some(run) = &now.run else {
            let present = self.boards.contains_key(&now.arrival);
            return if present { LaneState::Waiting } else { LaneState::Free };
        };
        let serial = run.unit.as_ref().map(|unit| unit.serial.clone());
        match &run.sealed {
            Some(sealed) => LaneState::Finished {
                run: run.id,
                serial,
                thing: run.intent.as_ref().map(|intent| intent.thing.clone()),
                verdict: sealed.verdict,
                reason: sealed.reason.clone(),
                slip: run.slip,
                label: match run.label {
                    // On its way to the printer; what becomes of it is known in a moment.
                    Label::Owed(_) | Label::Intended(_) if self.is_driven(run.id) => None,
                    _ => Some(run.label.status()),
                },
                step: run
                    .steps
                    .iter()
                    .rev()
                    .map(|record| record.step)
                    .find(|step| *step < Step::Seal || sealed.verdict == Verdict::Pass)
                    .unwrap_or(Step::Detect),
                took_ms: u64::try_from(sealed.at.duration_since(run.started).as_millis()).unwrap_or(0),
                present: self.boards.contains_key(&now.arrival),
            },
            None => LaneState::Running {
                run: run.id,
                serial,
                step: run.step(),
                waits_for_scan: self.profiles.get(&run.profile).is_some_and(|profile| waits_for_scan(run, profile)),
                claimed: run.claim.is_some(),
                started: run.started,
            },
        }
    }
}

pub(super) fn finished_view(run: &Run) -> Option<FinishedView> {
    Some(FinishedView {
        run: run.id,
        lane: run.lane,
        serial: run.unit.as_ref().map(|unit| unit.serial.clone()),
        verdict: run.verdict()?,
    })
}
