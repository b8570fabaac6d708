//! Work orders: opened and closed as events, one open batch a station.

use super::log::LogWriter;
use crate::audit::LineEvent;
use crate::config::Config;
use crate::domain::{BatchName, Failure, ReasonCode};

/// Opens a batch. `O-606` when one is open already, the name was used before, or the profile does
/// not exist.
pub async fn open_batch(
    log: &LogWriter,
    config: &Config,
    name: BatchName,
    profile: &str,
    planned: u64,
) -> Result<(), Failure> {
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
    log.line(LineEvent::BatchOpened { batch: name, profile, product, planned }).await?;
    Ok(())
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
