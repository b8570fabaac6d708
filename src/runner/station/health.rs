//! Cloud and printer, looked at from time to time for the header.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::config::Config;
use crate::domain::Failure;
use crate::runner::driver::Shared;
use crate::runner::view::Health;

const EVERY: Duration = Duration::from_secs(15);

/// Sends (cloud, printer) until nobody listens.
pub(super) async fn watch(shared: Shared, config: Arc<Config>, out: mpsc::Sender<(Health, Health)>) {
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
        let printer = match &shared.printer {
            Some(printer) => health(printer.ready().await),
            None => Health::Unknown,
        };
        if out.send((cloud, printer)).await.is_err() {
            return;
        }
    }
}

fn health(result: Result<(), Failure>) -> Health {
    result.map_or_else(Health::Bad, |()| Health::Good)
}
