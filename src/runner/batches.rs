//! Work orders: opened and closed as events, one open batch a station.

use super::log::LogWriter;
use super::manifest::{self, BadEntry, Checked, Source};
use crate::audit::LineEvent;
use crate::config::Config;
use crate::domain::profile::ManifestPlan;
use crate::domain::{BatchName, Failure, ReasonCode};
use crate::ports::Manifests;

/// Opens a batch. `O-606` when one is open already, the name was used before, or the profile does
/// not exist.
pub async fn open_batch(
    log: &LogWriter,
    config: &Config,
    name: BatchName,
    profile: &str,
    planned: u64,
) -> Result<(), Failure> {
    log.line(may_open(log, config, name, profile, planned).await?).await?;
    Ok(())
}

/// Opens it with a vendor's list, in one: no board is taken in between.
#[allow(clippy::too_many_arguments)] // two commands in one transaction
pub async fn open_batch_with(
    log: &LogWriter,
    manifests: &dyn Manifests,
    config: &Config,
    name: BatchName,
    profile: &str,
    planned: u64,
    source: &Source,
    told: Told<'_>,
) -> Result<Checked, Failure> {
    let opening = may_open(log, config, name.clone(), profile, planned).await?;
    let plan = plan(config, profile)?;
    let checked = manifest::check(manifests, source, plan, &name, told.bad).await?;
    manifest::take(log, source, plan, &name, &checked, Some(opening), told.done).await?;
    Ok(checked)
}

/// Takes a vendor's list into a batch that is open. The very file that it has already changes nothing.
pub async fn add_manifest(
    log: &LogWriter,
    manifests: &dyn Manifests,
    config: &Config,
    name: &BatchName,
    source: &Source,
    told: Told<'_>,
) -> Result<Checked, Failure> {
    let refuse = |cause: String| Failure::new(ReasonCode::NOT_NOW, cause);
    let batches = log.store.batches().await?;
    let batch = batches.iter().find(|batch| batch.name == *name);
    let batch = batch.ok_or_else(|| refuse(format!("there is no batch {name}")))?;
    if batch.closed.is_some() {
        return Err(refuse(format!("batch {name} is closed")));
    }
    let plan = plan(config, &batch.profile)?;
    let checked = manifest::check(manifests, source, plan, name, told.bad).await?;
    if checked.known.is_none() {
        manifest::take(log, source, plan, name, &checked, None, told.done).await?;
    }
    Ok(checked)
}

/// Whom an import tells what it finds, and how far it is.
pub struct Told<'t> {
    pub bad: &'t mut dyn FnMut(&BadEntry),
    pub done: &'t mut dyn FnMut(u64),
}

fn plan<'c>(config: &'c Config, profile: &str) -> Result<&'c ManifestPlan, Failure> {
    let found = config.profiles.iter().find(|known| known.name == profile);
    found.and_then(|profile| profile.manifest.as_ref()).ok_or_else(|| {
        let cause = format!("the profile {profile:?} has no [manifest], which says how a vendor's list is read");
        Failure::new(ReasonCode::CONFIG_INVALID, cause)
    })
}

/// The event that opens it.
async fn may_open(
    log: &LogWriter,
    config: &Config,
    name: BatchName,
    profile: &str,
    planned: u64,
) -> Result<LineEvent, Failure> {
    let refuse = |cause: String| Err(Failure::new(ReasonCode::NOT_NOW, cause));
    let Some(profile) = config.profiles.iter().find(|known| known.name == profile) else {
        let known: Vec<&str> = config.profiles.iter().map(|profile| profile.name.as_str()).collect();
        return refuse(format!("there is no profile {profile:?}; there are {}", known.join(", ")));
    };
    if let Some(open) = log.store.open_batch(&log.station).await? {
        return refuse(format!("batch {} is open; close it first", open.name));
    }
    if log.store.batches().await?.iter().any(|batch| batch.name == name) {
        return refuse(format!("there was a batch {name} before"));
    }
    let (profile, product) = (profile.name.clone(), profile.product.clone());
    Ok(LineEvent::BatchOpened { batch: name, profile, product, planned })
}

/// Closes the station's open batch and says which it was.
pub async fn close_batch(log: &LogWriter) -> Result<BatchName, Failure> {
    match log.store.open_batch(&log.station).await? {
        Some(open) => {
            log.line(LineEvent::BatchClosed { batch: open.name.clone() }).await?;
            Ok(open.name)
        }
        None => Err(Failure::new(ReasonCode::NOT_NOW, "no batch is open")),
    }
}
