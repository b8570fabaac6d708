//! What is left ACTIVE of units that are locked: a deactivation that failed, or was never tried because somebody was
//! killed. The log knows of all of it (`provisioning::left`), and it is tried again until it is done.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::driver::{Shared, take_back};
use super::errands::keeps_every_unit;
use crate::audit::{Body, RunEvent};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, RunId, StationName, TargetName};
use crate::ports::{History, Logged};
use crate::provisioning::Run;
use crate::provisioning::left::{Left, left};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TookBack {
    /// A unit's serial number, and a target that has its certificate INACTIVE now, or has none.
    pub done: Vec<(String, TargetName)>,
    /// what is still left.
    pub left: Vec<Failure>,
}

/// Of all stations' runs, or of `only` one's.
pub async fn take_back_all(shared: &Shared, config: &Config, only: Option<&StationName>) -> Result<TookBack, Failure> {
    let mut took = TookBack::default();
    let mut away: BTreeSet<TargetName> = BTreeSet::new();
    for (run, targets) in all_left(&*shared.custody.history, only).await? {
        let of_its_own = config.profiles.iter().find(|profile| profile.name == run.profile);
        let Some(profile) = of_its_own.or(config.profiles.first()) else { break };
        let (reachable, not_now): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| !away.contains(target));
        let unheard = |target: &TargetName| still_active(&run, target, "the target is away");
        took.left.extend(not_now.iter().map(unheard));
        if reachable.is_empty() {
            continue;
        }
        // On the command line it is somebody's act; a station does it by itself.
        let acting = if only.is_some() { shared.by_itself(&run) } else { shared.clone() };
        match take_back(acting, Arc::new(profile.clone()), run.clone(), reachable.clone()).await {
            Ok(now) => {
                for target in reachable {
                    if !now.left.iter().any(|left| left.target == target) {
                        took.done.push((serial(&run), target));
                        continue;
                    }
                    let why = last_refusal(shared, run.id, &target).await?;
                    if why.as_ref().is_some_and(|failure| keeps_every_unit(failure.code)) {
                        away.insert(target.clone());
                    }
                    let why = why.map_or_else(String::new, |failure| format!("{}: {}", failure.code, failure.cause));
                    took.left.push(still_active(&run, &target, &why));
                }
            }
            // Another process is at it.
            Err(failure) if failure.code == ReasonCode::RUN_OVERTAKEN => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(took)
}

/// By run, what is left in which targets.
pub async fn all_left(
    history: &dyn History,
    only: Option<&StationName>,
) -> Result<Vec<(Run, Vec<TargetName>)>, Failure> {
    let mut all = Vec::new();
    for unit in history.locked_after_register().await? {
        let known = match history.unit(&unit).await {
            Ok(known) => known,
            // Its story is in an archive that is not at hand; the others' is.
            Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => {
                tracing::warn!(%unit, %failure, "what it may have left is not known");
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let of_unit = known.iter().flat_map(left).map(|Left { run, targets }| (run, targets));
        all.extend(of_unit.filter(|(run, _)| only.is_none_or(|station| run.station == *station)));
    }
    Ok(all)
}

///
pub fn still_active(run: &Run, target: &TargetName, why: &str) -> Failure {
    let certificate = run.intent.as_ref().map(|intent| intent.fingerprint.to_string()).unwrap_or_default();
    let cause = format!("{}, run {}: certificate {certificate} in {target} may be ACTIVE: {why}", serial(run), run.id);
    Failure::new(ReasonCode::CERTIFICATE_LEFT, cause).with("unit", serial(run)).with("target", target)
}

fn serial(run: &Run) -> String {
    run.unit.as_ref().map(|unit| unit.serial.to_string()).unwrap_or_default()
}

async fn last_refusal(shared: &Shared, run: RunId, of: &TargetName) -> Result<Option<Failure>, Failure> {
    let refusal = |logged: &Logged| match &logged.event.body {
        Body::Run(RunEvent::Deactivated { target, failure }) if target == of => failure.clone(),
        _ => None,
    };
    let log = shared.log.store.run(run).await?;
    Ok(log.and_then(|log| log.events.iter().rev().find_map(refusal)))
}
