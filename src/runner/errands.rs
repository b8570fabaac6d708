//! Work without a board: HELD units, slips, labels whose fate only a person knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::driver::{Outcome, Shared, go_on, needs_an_answer};
use super::equipment::Equipment;
use super::keeper::checkpoint_and_copy;
use super::labels;
use super::log::LogWriter;
use super::people;
use super::rollback;
use super::scan::Looks;
use super::take_back::{TookBack, take_back_all};
use crate::audit::RunEvent;
use crate::config::Config;
use crate::domain::profile::Profile;
use crate::domain::{Failure, ReasonCode, RulingReason, RunId, Slip, Unit, Verdict};
use crate::ports::{People, RunLog};
use crate::provisioning::{Input, Run, UnitRecord};

/// What may be asked for on the command line while the station is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Finish every HELD unit in the cloud.
    Held,
    /// Print the label of the unit with this slip.
    Slip(Slip),
    /// The label is there.
    LabelPrinted(RunId),
    /// The label is not there: print it again.
    PrintLabel(RunId),
    /// The unit's label is out and no good: another copy, for this reason.
    Reprint(Unit, RulingReason),
}

/// What came of an errand.
#[derive(Debug, Default)]
pub struct Errands {
    /// Runs that it touched.
    pub records: Vec<UnitRecord>,
    /// L-531: what was left to whoever goes on with it.
    pub left: Vec<Failure>,
    /// What was left ACTIVE of units that are locked.
    pub taken_back: TookBack,
    /// Units that were not tried, since what keeps one waiting keeps all.
    pub waiting: usize,
}

impl Errands {
    /// With the operators' names in what is told.
    pub(super) async fn naming(mut self, people: &dyn People) -> Self {
        for record in &mut self.records {
            people::name_in(people, record).await;
        }
        self
    }

    /// Until a run's work is done.
    pub(super) async fn follow(&mut self, mut outcomes: mpsc::Receiver<(u64, Outcome)>) -> Result<(), Failure> {
        while let Some((_, outcome)) = outcomes.recv().await {
            match outcome {
                Outcome::Progress(_) => {}
                Outcome::Done(run) => self.records.extend(UnitRecord::of(&run)),
                // The others are still this errand's.
                Outcome::Unrecorded(_, failure) if failure.code == ReasonCode::RUN_OVERTAKEN => {
                    self.left.push(failure);
                }
                Outcome::Unrecorded(_, failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// O-606: what is HELD there is finished where its file is taken in.
pub fn refuse_air_gapped(config: &Config) -> Result<(), Failure> {
    match config.station.air_gapped {
        true => {
            let cause = "this station is air-gapped: `lineseal export-held` makes a file of what waits";
            Err(Failure::new(ReasonCode::NOT_NOW, cause))
        }
        false => Ok(()),
    }
}

/// Does the errand.
pub async fn run_errand(config: Arc<Config>, equipment: Equipment, errand: Errand) -> Result<Errands, Failure> {
    // No errand touches a board.
    let (_, no_looks) = watch::channel(Looks::default());
    let mut shared = Shared::new(&config, &equipment, no_looks);
    let Equipment { custody, people, operator, .. } = equipment;
    rollback::pass(&shared.log, &custody).await?;
    shared.log = people::operating(&shared.log, &*people, &operator).await?;
    let log = &shared.log;
    let done = perform(&config, &shared, &errand).await;
    let done = match done {
        Ok(done) => Ok(done.naming(&*people).await),
        Err(failure) => Err(failure),
    };
    // Whatever came of it is in the log.
    for failure in checkpoint_and_copy(log, &custody).await? {
        tracing::error!(%failure, "the last checkpoint");
    }
    done
}

async fn perform(config: &Config, shared: &Shared, errand: &Errand) -> Result<Errands, Failure> {
    let log = &shared.log;
    let work: Vec<(Run, Input)> = match errand {
        Errand::Held => {
            refuse_air_gapped(config)?;
            shared.pin(config.profiles.iter().map(|profile| &profile.trust)).await?;
            let held = log.store.held().await?;
            let known = held.iter().filter_map(|log| {
                // A run that can't be read keeps no other unit from being finished.
                fold(log).inspect_err(|failure| tracing::error!(%failure, "left as it is")).ok()
            });
            known.map(|run| (run, Input::Resume)).collect()
        }
        Errand::Slip(slip) => vec![(run_of_slip(shared, slip).await?, Input::PrintLabel)],
        Errand::LabelPrinted(run) => {
            let settled = settle(log, &questioned(log, *run).await?, true).await?;
            return Ok(Errands { records: UnitRecord::of(&settled).into_iter().collect(), ..Errands::default() });
        }
        Errand::PrintLabel(run) => {
            let settled = settle(log, &questioned(log, *run).await?, false).await?;
            vec![(settled, Input::PrintLabel)]
        }
        Errand::Reprint(unit, reason) => {
            let run = labels::run_with_label(&*shared.custody.history, unit).await?;
            vec![(labels::replace(shared, &run, reason).await?, Input::PrintLabel)]
        }
    };
    let mut done = Errands::default();
    // What keeps every unit that goes to one of these; the others have accounts of their own.
    let mut away = BTreeSet::new();
    for (run, input) in work {
        let Some(profile) = config.profiles.iter().find(|profile| profile.name == run.profile) else {
            let cause = format!("run {} was made with profile {:?}, which is not configured", run.id, run.profile);
            return Err(Failure::new(ReasonCode::CONFIG_INVALID, cause));
        };
        if away.iter().any(|target| goes_to(profile, target)) {
            done.waiting += 1;
            continue;
        }
        let (updates, outcomes) = mpsc::channel(16);
        let work = tokio::spawn(go_on(shared.clone(), Arc::new(profile.clone()), run, input, updates));
        done.follow(outcomes).await?;
        work.await.map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, error.to_string()))?;
        if let (Errand::Held, Some(record)) = (errand, done.records.last().filter(|it| is_kept_by_the_line(it))) {
            // The others would only wait for the same.
            away.insert(record.reason_args.get("target").cloned());
        }
    }
    if *errand == Errand::Held {
        done.taken_back = take_back_all(shared, config, None).await?;
    }
    Ok(done)
}

/// `None`: nobody knows which target it is about.
pub fn goes_to(profile: &Profile, target: &Option<String>) -> bool {
    target.as_ref().is_none_or(|name| profile.register.targets.iter().any(|target| target.as_str() == name))
}

fn is_kept_by_the_line(record: &UnitRecord) -> bool {
    let code = record.reason.as_deref().and_then(|code| code.parse().ok());
    record.verdict == Verdict::Held && code.is_some_and(keeps_every_unit)
}

/// Does every other unit wait for the same?
pub fn keeps_every_unit(code: ReasonCode) -> bool {
    use ReasonCode as Code;
    let of_the_line = [
        Code::CLOUD_UNREACHABLE,
        Code::CLOUD_THROTTLED,
        Code::CLOUD_CREDENTIALS,
        Code::CLOUD_PERMISSION,
        Code::CLOUD_CLOCK,
        Code::CLOUD_ROOTS,
        Code::CLOUD_UNRESOLVED,
        Code::CLOUD_INTERCEPTED,
        Code::CLOUD_PORTAL,
        Code::CLOUD_EXPIRED,
        Code::CLOUD_ELSEWHERE,
        Code::ROLE_REFUSED,
    ];
    of_the_line.contains(&code)
}

/// The unit that a slip names. One of an air-gapped station says which.
pub async fn run_of_slip_as_it_is(shared: &Shared, slip: &Slip) -> Result<Run, Failure> {
    let unknown = || Failure::new(ReasonCode::SLIP_UNKNOWN, format!("no HELD unit has slip {slip}")).with("slip", slip);
    let log = &shared.log;
    if let Some(station) = slip.station.as_ref().filter(|station| **station != log.station) {
        let known = shared.custody.history.run_of_captured(station, slip.number).await?;
        return fold(&known.ok_or_else(unknown)?);
    }
    let run = fold(&log.store.run_of_slip(slip.number).await?.ok_or_else(unknown)?)?;
    if run.slip != Some(slip.number) {
        return Err(unknown());
    }
    Ok(run)
}

/// The same, once it may have its label.
pub async fn run_of_slip(shared: &Shared, slip: &Slip) -> Result<Run, Failure> {
    let run = run_of_slip_as_it_is(shared, slip).await?;
    if let Some(pulled) = UnitRecord::of(&run).and_then(|record| record.pulled_out()) {
        return Err(pulled);
    }
    let waits_for = run.sealed.as_ref().and_then(|sealed| sealed.reason.clone());
    if let Some(failure) = waits_for.filter(|failure| failure.code == ReasonCode::CONNECT_NEEDS_BOARD) {
        return Err(failure.with("slip", slip));
    }
    if run.verdict() != Some(Verdict::Pass) {
        return Err(Failure::new(ReasonCode::SLIP_NOT_READY, "the unit is not registered yet").with("slip", slip));
    }
    Ok(run)
}

/// Records what a person says of a label whose end nobody saw.
pub async fn settle(log: &LogWriter, run: &Run, printed: bool) -> Result<Run, Failure> {
    let Some(kind) = needs_an_answer(run) else {
        let cause = format!("nothing is open about the label of run {}", run.id);
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    };
    let event = log.run_event(run.id, RunEvent::LabelSettled { kind, printed })?;
    let mut settled = run.clone();
    for logged in log.append_to(run, vec![event]).await? {
        settled.apply(&logged).map_err(|error| Failure::new(ReasonCode::STORE_FAILED, error.to_string()))?;
    }
    Ok(settled)
}

/// The run that the log tells of.
pub fn fold(log: &RunLog) -> Result<Run, Failure> {
    Run::fold(&log.events).map_err(|error| Failure::new(ReasonCode::STORE_CORRUPT, format!("run {}: {error}", log.run)))
}

async fn questioned(log: &LogWriter, run: RunId) -> Result<Run, Failure> {
    let known = log.store.run(run).await?;
    let known = known.ok_or_else(|| Failure::new(ReasonCode::NOT_NOW, format!("there is no run {run}")))?;
    fold(&known)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred HELD units are not each tried in vain; what may be one unit's own keeps no other from its turn.
    #[test]
    fn what_keeps_every_unit_is_what_lies_between_the_line_and_its_cloud() {
        let told: Vec<_> =
            ReasonCode::ALL.iter().filter(|code| keeps_every_unit(**code)).map(|code| code.as_str()).collect();
        assert_eq!(
            told,
            [
                "A-301", "A-302", "A-311", "A-312", "A-313", "A-314", "A-315", "A-316", "A-317", "A-318", "A-371",
                "A-372"
            ]
        );
    }
}
