//! Cloud and printer, looked at from time to time for the header.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::Config;
use crate::domain::profile::Method;
use crate::domain::{Failure, ReasonCode};
use crate::runner::driver::Shared;
use crate::runner::view::Health;

const EVERY: Duration = Duration::from_secs(15);

/// What is wrong with a CA so that no board need be begun.
const BARRING: [ReasonCode; 3] = [ReasonCode::CA_ABSENT, ReasonCode::CA_INACTIVE, ReasonCode::JOIN_OFF];

/// What was seen.
pub(super) struct Seen {
    pub cloud: Health,
    pub printer: Health,
    /// Profiles whose CA a target does not take certificates from, and why: their boards need not be begun.
    pub barred: BTreeMap<String, Failure>,
}

/// Sends it until nobody listens.
pub(super) async fn watch(shared: Shared, config: Arc<Config>, out: mpsc::Sender<Seen>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let mut cloud = Health::Unknown;
        for target in &config.targets {
            cloud = health(shared.cloud.probe(&target.name).await);
            if cloud != Health::Good {
                break;
            }
        }
        let barred = if cloud == Health::Good { barred(&shared, &config).await } else { BTreeMap::new() };
        let printer = match &shared.printer {
            Some(printer) => health(printer.ready().await),
            None => Health::Unknown,
        };
        if out.send(Seen { cloud, printer, barred }).await.is_err() {
            return;
        }
    }
}

fn health(result: Result<(), Failure>) -> Health {
    result.map_or_else(Health::Bad, |()| Health::Good)
}

/// Only what a target says for certain bars a profile; whatever else is wrong is the run's own affair.
async fn barred(shared: &Shared, config: &Config) -> BTreeMap<String, Failure> {
    let mut barred = BTreeMap::new();
    for profile in &config.profiles {
        let Some(ca) = profile.register.method.ca() else { continue };
        for target in &profile.register.targets {
            let joining = matches!(profile.register.method, Method::JustInTime(_));
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
