//! The audit store of one station: SQLite, write-ahead log, synced at every commit.
//!
//! Several processes may have one file open: every write takes SQLite's write lock first, so a
//! number of the log and a claim are given once.

mod backup;
mod indexes;
mod moved;
mod open;
mod place;
mod segments;
mod session;
mod station_lock;
mod words;

use std::path::Path;

pub use backup::{BroughtIn, Copy, back_up, back_up_from, bring_in, take_in};
pub use moved::Moved;
pub use open::{Durability, Limits};
pub use station_lock::StationLock;

use super::store::error::StoreError;
use super::store::session::Session;
use super::store::{LogStore, LogVerifier};
use crate::domain::Failure;
use session::SqliteSession;

/// The database's name within a data directory.
pub const FILE: &str = "lineseal.db";
/// The folder beside it in which archives are looked for.
pub const ARCHIVES: &str = "archives";

/// Opens the database file `path` for reading and writing. Creates it (mode 0600) and its directory
/// (0700) when absent, and brings an older schema up to date. Blocks on the disk.
pub fn open(path: &Path) -> Result<LogStore, Failure> {
    open_with(path, Limits::default())
}

/// [`open`] with other bounds.
pub fn open_with(path: &Path, limits: Limits) -> Result<LogStore, Failure> {
    let name_file = |error: StoreError| Failure::from(error).with("path", path.display());
    let writer = open::writer(path, limits).map_err(name_file)?;
    let reader = open::reader(path, limits).map_err(name_file)?;
    LogStore::new(Box::new(reader), Some(Box::new(writer)))
}

/// Opens an existing database only to look: nothing is created, migrated or locked, and every write is
/// refused with L-503.
pub fn open_reader(path: &Path) -> Result<LogStore, Failure> {
    let reader =
        open::reader(path, Limits::default()).map_err(|error| Failure::from(error).with("path", path.display()))?;
    LogStore::new(Box::new(reader), None)
}

/// Verifies the log in `path` without writing to it. `folder` takes the scratch database, which grows
/// to about half of the log's size and is gone afterwards.
pub fn verifier(path: &Path, folder: &Path) -> Result<LogVerifier, Failure> {
    let name_file = |error: StoreError| Failure::from(error).with("path", path.display());
    let log = open::reader(path, Limits::default()).map_err(name_file)?;
    // Each page is read once. Memory that is used again and again stays in the processor's own.
    log.connection().pragma_update(None, "cache_size", -1_024).map_err(|error| name_file(error.into()))?;
    Ok(LogVerifier::new(Box::new(log), scratch(folder)?))
}

/// An empty log in a file of its own that is gone with the session: nothing in it has to last.
pub(super) fn scratch(folder: &Path) -> Result<Box<dyn Session>, Failure> {
    Ok(Box::new(open::scratch(folder)?))
}

/// The log in `path`, to be copied.
pub fn source(path: &Path) -> Result<Box<dyn Session>, Failure> {
    let reader = open::reader(path, Limits::default());
    Ok(Box::new(reader.map_err(|error| Failure::from(error).with("path", path.display()))?))
}

/// Where a log is copied to: made when absent.
pub fn target(path: &Path) -> Result<Box<dyn Session>, Failure> {
    let writer = open::writer(path, Limits::default());
    Ok(Box::new(writer.map_err(|error| Failure::from(error).with("path", path.display()))?))
}

/// What the writing connection (the reading one, when opened to read only) reports about itself.
pub async fn durability(store: &LogStore) -> Result<Durability, Failure> {
    store
        .with_session(|session| match session.any().downcast_mut::<SqliteSession>() {
            Some(session) => open::durability(session.connection()),
            None => Err(StoreError::Illegal("this log is not in SQLite".to_owned())),
        })
        .await
}
