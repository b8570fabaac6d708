//! The audit store of one station: SQLite, write-ahead log, synced at every commit.
//!
//! Several processes may have one file open: every write takes SQLite's write lock first, so a
//! number of the log and a claim are given once.

mod open;
mod session;
mod station_lock;

use std::path::Path;

pub use open::{Durability, Limits};
pub use station_lock::StationLock;

use super::store::LogStore;
use super::store::error::StoreError;
use crate::domain::Failure;
use session::SqliteSession;

/// The database's name within a data directory.
pub const FILE: &str = "lineseal.db";

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

/// What the writing connection (the reading one, when opened to read only) reports about itself.
pub async fn durability(store: &LogStore) -> Result<Durability, Failure> {
    store
        .with_session(|session| match session.any().downcast_mut::<SqliteSession>() {
            Some(session) => open::durability(session.connection()),
            None => Err(StoreError::Illegal("this log is not in SQLite".to_owned())),
        })
        .await
}
