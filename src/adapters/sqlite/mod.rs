//! The audit store of one station: SQLite, write-ahead log, synced at every commit.
//!
//! `events` and `tree_head` are the log; every other table but `people` is derived from it by
//! [`project`] and can be rebuilt. Several processes may have one file open: every write takes
//! SQLite's write lock first, so a number of the log and a claim are given once.

mod actor;
mod claim;
mod error;
mod log;
mod open;
mod project;
mod query;
mod sql;
mod station_lock;

use std::path::Path;

pub use open::{Durability, Limits};
pub use station_lock::StationLock;

use actor::Actor;
use error::StoreError;

use crate::audit::event::LabelStatus;
use crate::audit::{Event, TreeHead};
use crate::domain::{BatchName, Failure, OperatorRef, ReasonCode, RunId, StationName, Unit};
use crate::ports::{AuditStore, Batch, BatchTally, Claim, ClaimAnswer, Receipt, RunLog};

/// One open database: a connection that writes and one that reads, each in its own thread, so that
/// a long question never holds up a claim.
///
/// Failures: L-501 (anything else), L-502 disk full, L-503 not writable, L-504 locked by another
/// process for longer than [`Limits::busy`], L-505 damaged or no database of ours, L-506 written by
/// a newer program. A write that fails leaves nothing behind.
pub struct SqliteStore {
    // Closed first: only a connection that may write folds the write-ahead log into the file when it
    // is the last to close.
    reader: Actor,
    /// `None` when it was opened to read only.
    writer: Option<Actor>,
}

impl SqliteStore {
    /// The database's name within a data directory.
    pub const FILE: &str = "lineseal.db";

    /// Opens the database file `path` for reading and writing. Creates it (mode 0600) and its
    /// directory (0700) when absent, and brings an older schema up to date. Blocks on the disk.
    pub fn open(path: &Path) -> Result<SqliteStore, Failure> {
        Self::open_with(path, Limits::default())
    }

    /// [`SqliteStore::open`] with other bounds.
    pub fn open_with(path: &Path, limits: Limits) -> Result<SqliteStore, Failure> {
        let name_file = |error: StoreError| Failure::from(error).with("path", path.display());
        let writer = open::writer(path, limits).map_err(name_file)?;
        let reader = open::reader(path, limits).map_err(name_file)?;
        Ok(SqliteStore { reader: start("lineseal-reader", reader)?, writer: Some(start("lineseal-writer", writer)?) })
    }

    /// Opens an existing database only to look: nothing is created, migrated or locked, and every
    /// write is refused with L-503.
    pub fn open_reader(path: &Path) -> Result<SqliteStore, Failure> {
        let reader =
            open::reader(path, Limits::default()).map_err(|error| Failure::from(error).with("path", path.display()))?;
        Ok(SqliteStore { reader: start("lineseal-reader", reader)?, writer: None })
    }

    /// Derives every projection again from the events, in one transaction. Its size is the log's:
    /// a matter of minutes for millions of events.
    pub async fn rebuild_projections(&self) -> Result<(), Failure> {
        self.write(project::rebuild).await
    }

    /// What the writing connection (the reading one, when opened to read only) reports about itself.
    pub async fn durability(&self) -> Result<Durability, Failure> {
        self.writer.as_ref().unwrap_or(&self.reader).run(|connection| open::durability(connection)).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.writer()?.run(move |connection| log::write(connection, work)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Failure> {
        self.reader.run(move |connection| log::read(connection, work)).await
    }

    fn writer(&self) -> Result<&Actor, Failure> {
        self.writer
            .as_ref()
            .ok_or_else(|| Failure::new(ReasonCode::STORE_READ_ONLY, "the log was opened only to be read"))
    }
}

#[async_trait::async_trait]
impl AuditStore for SqliteStore {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        self.write(move |transaction| log::append(transaction, &events)).await
    }

    async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, Failure> {
        self.writer()?.run(move |connection| claim::claim(connection, &claim)).await
    }

    async fn head(&self) -> Result<TreeHead, Failure> {
        self.read(log::head).await
    }

    async fn unfinished(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        let station = station.clone();
        self.read(move |connection| query::unfinished(connection, &station)).await
    }

    async fn held(&self) -> Result<Vec<RunLog>, Failure> {
        self.read(query::held).await
    }

    async fn held_count(&self) -> Result<u64, Failure> {
        self.read(query::held_count).await
    }

    async fn unsettled_labels(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        let station = station.clone();
        self.read(move |connection| query::unsettled_labels(connection, &station)).await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunLog>, Failure> {
        self.read(move |connection| query::run(connection, run)).await
    }

    async fn run_of_slip(&self, slip: u64) -> Result<Option<RunLog>, Failure> {
        self.read(move |connection| query::run_of_slip(connection, slip)).await
    }

    async fn unit_label(&self, unit: &Unit, run: RunId) -> Result<Option<LabelStatus>, Failure> {
        let unit = unit.clone();
        self.read(move |connection| claim::earlier_label(connection, &unit, run, i64::MAX)).await
    }

    async fn latest(&self, count: u32) -> Result<Vec<RunLog>, Failure> {
        self.read(move |connection| query::latest(connection, count)).await
    }

    async fn operator(&self, name: &str, new: (uuid::Uuid, [u8; 32])) -> Result<OperatorRef, Failure> {
        let name = name.to_owned();
        self.write(move |transaction| query::operator(transaction, &name, new)).await
    }

    async fn open_batch(&self, station: &StationName) -> Result<Option<Batch>, Failure> {
        let station = station.clone();
        self.read(move |connection| query::open_batch(connection, &station)).await
    }

    async fn batches(&self) -> Result<Vec<Batch>, Failure> {
        self.read(query::batches).await
    }

    async fn tally(&self, batch: &BatchName) -> Result<BatchTally, Failure> {
        let batch = batch.clone();
        self.read(move |connection| query::tally(connection, &batch)).await
    }
}

fn start(name: &str, connection: rusqlite::Connection) -> Result<Actor, Failure> {
    Actor::start(name, connection)
        .map_err(|error| Failure::new(ReasonCode::STORE_FAILED, format!("no thread for the database: {error}")))
}
