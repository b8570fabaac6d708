//! Cloud and printer, looked at from time to time for the header.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::domain::profile::Method;
use crate::domain::{Failure, ReasonCode, TargetName, Verdict};
use crate::ports::Readiness;
use crate::runner::driver::Shared;
use crate::runner::view::Health;

const EVERY: Duration = Duration::from_secs(15);

/// What is wrong with a CA so that no board need be begun.
const BARRING: [ReasonCode; 3] = [ReasonCode::CA_ABSENT, ReasonCode::CA_INACTIVE, ReasonCode::JOIN_OFF];

/// What was seen.
pub(super) enum Seen {
    Cloud {
        /// Whether the targets are there, whatever they say of a profile.
        health: Health,
        /// Those that are not.
        unwell: BTreeSet<TargetName>,
        /// A target whose account is another one.
        elsewhere: Option<Failure>,
        /// Profiles that nothing can be registered by, and why: their boards need not be begun.
        barred: BTreeMap<String, Failure>,
    },
    Printer(Health),
}

/// Sends it until nobody listens.
pub(super) async fn watch(shared: Shared, config: Arc<Config>, out: mpsc::Sender<Seen>) {
    tokio::join!(watch_cloud(&shared, &config, &out), watch_printer(&shared, &out));
}

async fn watch_cloud(shared: &Shared, config: &Config, out: &mpsc::Sender<Seen>) {
    let mut every = ticks();
    let mut elsewhere = BTreeMap::new();
    loop {
        every.tick().await;
        let probed = probe(shared, config).await;
        for (target, result) in &probed {
            match result {
                Err(failure) if failure.code == ReasonCode::CLOUD_ELSEWHERE => {
                    elsewhere.insert(target.clone(), failure.clone());
                }
                // One that is away has not shown to be another one by now.
                Err(failure) if failure.code.verdict() == Verdict::Held => {}
                _ => drop(elsewhere.remove(target)),
            }
        }
        let good: Vec<&TargetName> = probed.iter().filter(|(_, it)| it.is_ok()).map(|(target, _)| target).collect();
        let away: Vec<(&TargetName, &Failure)> = probed
            .iter()
            .filter_map(|(target, result)| Some((target, result.as_ref().err()?)))
            .filter(|(_, failure)| failure.code != ReasonCode::CLOUD_ELSEWHERE)
            .collect();
        let health = match away.first() {
            Some((_, failure)) => Health::Bad((*failure).clone()),
            None if probed.is_empty() => Health::Unknown,
            None => Health::Good,
        };
        let unwell = away.iter().map(|(target, _)| (*target).clone()).collect();
        let barred = barred(shared, config, &elsewhere, &good).await;
        let elsewhere = elsewhere.values().next().cloned();
        if out.send(Seen::Cloud { health, unwell, elsewhere, barred }).await.is_err() {
            return;
        }
    }
}

async fn watch_printer(shared: &Shared, out: &mpsc::Sender<Seen>) {
    let mut every = ticks();
    loop {
        every.tick().await;
        let printer = match &shared.printer {
            Some(printer) => match printer.ready().await {
                Ok(Readiness::Ready) => Health::Good,
                Ok(Readiness::Unknown) => Health::Unknown,
                Err(failure) => Health::Bad(failure),
            },
            None => Health::Unknown,
        };
        if out.send(Seen::Printer(printer)).await.is_err() {
            return;
        }
    }
}

fn ticks() -> tokio::time::Interval {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    every
}

/// Side by side, in the configuration's order; with whoever asks they end.
async fn probe(shared: &Shared, config: &Config) -> Vec<(TargetName, Result<(), Failure>)> {
    let unasked = || Failure::new(ReasonCode::CLOUD_FAILED, "the target could not be asked");
    let mut probed: Vec<_> = config.targets.iter().map(|target| (target.name.clone(), Err(unasked()))).collect();
    let mut probes = JoinSet::new();
    for (at, (target, _)) in probed.iter().enumerate() {
        let (cloud, target) = (shared.cloud.clone(), target.clone());
        probes.spawn(async move { (at, cloud.probe(&target).await) });
    }
    while let Some(answered) = probes.join_next().await {
        if let Ok((at, result)) = answered
            && let Some((_, known)) = probed.get_mut(at)
        {
            *known = result;
        }
    }
    probed
}

/// Only what is certain bars a profile; whatever else is wrong is the run's own affair.
async fn barred(
    shared: &Shared,
    config: &Config,
    elsewhere: &BTreeMap<TargetName, Failure>,
    good: &[&TargetName],
) -> BTreeMap<String, Failure> {
    let mut barred = BTreeMap::new();
    for profile in &config.profiles {
        let targets = &profile.register.targets;
        if let Some(failure) = targets.iter().find_map(|target| elsewhere.get(target)) {
            barred.insert(profile.name.clone(), failure.clone());
            continue;
        }
        let Some(ca) = profile.register.method.ca() else { continue };
        let joining = matches!(profile.register.method, Method::JustInTime(_));
        for target in targets.iter().filter(|target| good.contains(target)) {
            match shared.cloud.takes_from(target, ca, joining).await {
                Err(failure) if BARRING.contains(&failure.code) => {
                    barred.insert(profile.name.clone(), failure);
                    break;
                }
                _ => {}
            }
        }
    }
    barred
}
