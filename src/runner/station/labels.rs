//! Labels that are out: shown in the window, printed once more, scanned on their boards.

use std::sync::Arc;

use super::{LaneNow, Station};
use crate::domain::profile::Profile;
use crate::domain::{Failure, ReasonCode, RulingReason, RunId};
use crate::ports::AuditStore;
use crate::provisioning::Run;
use crate::runner::errands::fold;
use crate::runner::labels;
use crate::runner::view::{LabelView, ScanBack};

impl Station {
    pub(super) async fn show_label(&mut self, run: RunId) -> Result<(), Failure> {
        let run = run_of(self.shared.log.store.clone(), run).await?;
        let profile = self.profile_of(&run)?;
        let zpl = self.shared.desk().filled(&profile, &run).await?;
        let pictures = self.shared.pictures.clone();
        let drawn = tokio::task::spawn_blocking(move || pictures.dots(&zpl)).await;
        let drawn = drawn.map_err(|error| Failure::new(ReasonCode::LABEL_UNRENDERABLE, error.to_string()))?;
        self.view.label = Some(LabelView {
            run: run.id,
            serial: run.unit.as_ref().map(|unit| unit.serial.clone()),
            status: run.label.status(),
            copy: run.copy,
            confirmed: run.confirmed,
            picture: Arc::new(drawn?),
        });
        Ok(())
    }

    pub(super) async fn reprint(&mut self, run: RunId, reason: &RulingReason) -> Result<(), Failure> {
        if self.is_driven(run) {
            return Err(Failure::new(ReasonCode::NOT_NOW, "the unit is being finished: ask again in a moment"));
        }
        let known = run_of(self.shared.log.store.clone(), run).await?;
        let replaced = Arc::new(labels::replace(&self.shared, &known, reason).await?);
        self.know(&replaced);
        self.spool.note(&replaced);
        self.print(Run::clone(&replaced));
        if self.view.label.as_ref().is_some_and(|label| label.run == run) {
            // It says which copy it is.
            self.show_label(run).await?;
        }
        Ok(())
    }

    /// Lanes whose board has a label that nobody has scanned yet.
    pub(super) fn scan_back(&self) -> Vec<ScanBack> {
        let of_lane = |(lane, now): (_, &LaneNow)| {
            let run = now.run.as_ref().filter(|run| self.waits_to_be_scanned(run))?;
            Some(ScanBack { run: run.id, lane, serial: run.unit.as_ref().map(|unit| unit.serial.clone()) })
        };
        self.shown.iter().filter_map(|(lane, now)| of_lane((*lane, now))).collect()
    }

    pub(super) fn waits_for_labels(&self) -> bool {
        self.shown.values().any(|now| now.run.as_ref().is_some_and(|run| self.waits_to_be_scanned(run)))
    }

    fn waits_to_be_scanned(&self, run: &Run) -> bool {
        self.profiles.get(&run.profile).is_some_and(|profile| labels::waits_to_be_scanned(run, profile))
    }

    /// Is this the very label that a lane's board waits for? Then it is recorded.
    pub(super) async fn confirmed_by(&mut self, scan: &str) -> Result<bool, Failure> {
        let shown = self.shown.values().filter_map(|now| now.run.clone());
        let waiting: Vec<Arc<Run>> = shown.filter(|run| self.waits_to_be_scanned(run)).collect();
        for run in waiting {
            let profile = self.profile_of(&run)?;
            if self.is_driven(run.id) || !self.shared.desk().is_on_label(&profile, &run, scan).await? {
                continue;
            }
            let confirmed = Arc::new(labels::confirm(&self.shared, &run).await?);
            self.know(&confirmed);
            return Ok(true);
        }
        Ok(false)
    }

    /// What was scanned while a label was waited for: whose it is.
    pub(super) fn other_label(&self, scan: &str) -> impl Future<Output = Result<Failure, Failure>> + use<> {
        let waits = self.scan_back().iter().map(|it| it.lane.to_string()).collect::<Vec<_>>().join(", ");
        let (history, scan) = (self.custody.history.clone(), scan.to_owned());
        async move {
            Ok(match labels::unit_of_scan(&*history, &scan).await? {
                Some(unit) => {
                    let cause = format!("lanes {waits} wait for their labels; this one is of {unit}");
                    Failure::new(ReasonCode::LABEL_OTHER, cause).with("unit", &unit.serial).with("lanes", waits)
                }
                None => {
                    let cause = format!("lanes {waits} wait for their labels; this is on none");
                    Failure::new(ReasonCode::LABEL_UNKNOWN, cause).with("scan", scan).with("lanes", waits)
                }
            })
        }
    }

    fn profile_of(&self, run: &Run) -> Result<Arc<Profile>, Failure> {
        let unknown = || {
            let cause = format!("run {} was made with profile {:?}, which is not configured", run.id, run.profile);
            Failure::new(ReasonCode::CONFIG_INVALID, cause)
        };
        self.profiles.get(&run.profile).cloned().ok_or_else(unknown)
    }

    /// Whichever lane shows this run shows it as it is now, and so does its label's picture.
    fn know(&mut self, run: &Arc<Run>) {
        if let Some(now) = self.shown.values_mut().find(|now| now.run.as_ref().is_some_and(|it| it.id == run.id)) {
            now.run = Some(run.clone());
        }
        self.see_label(run);
    }

    /// What became of the label that is shown in the window.
    pub(super) fn see_label(&mut self, run: &Run) {
        if let Some(label) = self.view.label.as_mut().filter(|label| label.run == run.id) {
            (label.status, label.copy, label.confirmed) = (run.label.status(), run.copy, run.confirmed);
        }
    }
}

/// As the log has it now.
async fn run_of(store: Arc<dyn AuditStore>, run: RunId) -> Result<Run, Failure> {
    let known = store.run(run).await?;
    fold(&known.ok_or_else(|| Failure::new(ReasonCode::NOT_NOW, format!("there is no run {run}")))?)
}
