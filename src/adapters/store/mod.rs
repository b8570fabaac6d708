//! The audit store, whatever database it is in: `events`, `tree_head` and `hashes` are the log;
//! `people`, `credentials` and `texts` may be forgotten; every other table is derived by [`project`]
//! and can be rebuilt.
//!
//! All statements are here once; a [`Session`] runs them on SQLite or PostgreSQL. One connection
//! writes and one reads, each in its own thread, so that a long question never holds up a claim.

mod actor;
pub mod archive;
mod claim;
mod contradicted;
pub mod copy;
pub mod error;
mod history;
mod import;
mod issued;
pub mod keyed_sum;
pub mod log;
mod manifest;
mod people;
pub mod project;
mod read;
mod report;
pub mod session;
pub mod sql;
mod verify;
mod words;

pub use verify::LogVerifier;

use std::path::{Path, PathBuf};

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use actor::{Actor, Reading, Writing};
use error::StoreError;
use session::Session;

use crate::audit::event::{FreeText, LabelStatus};
use crate::audit::{Body, Event, LineEvent, Node, TreeHead};
use crate::domain::{
    BatchName, EntryPlace, EventId, Failure, Fingerprint, Identity, KnownIdentity, ManifestEntry, OperatorRef,
    ReasonCode, ReportScope, RunId, Sha256, StationName, TargetName, Unit,
};
use crate::ports::{
    Archiving, AuditStore, Batch, BatchTally, Checkpoints, Claim, ClaimAnswer, Collision, Credential, Cursor, Found,
    History, ImportedRow, Imports, Listing, Lock, LogKey, Logged, MadeBefore, ManifestTally, Manifests, Obstacle, Page,
    People, Person, Receipt, ReportPage, ReportPlace, Reports, RunLog, Search, StoredCheckpoint, UnitHistory,
};

/// An open log.
///
/// Failures: L-501 (anything else), L-502 disk full, L-503 not writable, L-504 locked by another
/// process for too long, L-505 damaged or no database of ours, L-506 written by a newer program,
/// L-507 the server is away, L-508 another process is this station. A write that fails leaves nothing behind.
pub struct LogStore {
    // Closed first: only a connection that may write folds SQLite's write-ahead log into the file when
    // it is the last to close.
    reader: Actor,
    /// `None` when it was opened to read only.
    writer: Option<Actor>,
    /// How long a board waits for an answer. `None`: for as long as it takes.
    patience: Option<Duration>,
}

impl LogStore {
    pub fn new(reader: Box<dyn Session>, writer: Option<Box<dyn Session>>) -> Result<LogStore, Failure> {
        let no_thread = |error| Failure::new(ReasonCode::STORE_FAILED, format!("no thread for the database: {error}"));
        let writer = writer.map(|session| Actor::writer("lineseal-writer", session)).transpose().map_err(no_thread)?;
        let reader = Actor::reader("lineseal-reader", reader).map_err(no_thread)?;
        Ok(LogStore { reader, writer, patience: None })
    }

    /// A server that is there and does not answer is away for a board that waits. The work goes on: whoever
    /// asks for something after it finds what came of it.
    pub fn answering_within(mut self, patience: Duration) -> Self {
        for actor in [Some(&mut self.reader), self.writer.as_mut()].into_iter().flatten() {
            actor.set_patience(patience);
        }
        Self { patience: Some(patience), ..self }
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let Some(patience) = self.patience else { return work.await };
        let silent = |_| StoreError::Away(format!("no answer within {patience:?}"));
        tokio::time::timeout(patience, work).await.map_err(silent)?
    }

    /// Derives every projection again from the events, in one transaction. Its size is the log's:
    /// a matter of minutes for millions of events.
    pub async fn rebuild_projections(&self) -> Result<(), Failure> {
        self.write(|session, _| project::rebuild(session)).await
    }

    /// Does `work` on the writing connection (the reading one, when opened to read only).
    pub async fn with_session<T: Send + 'static>(&self, mut work: impl Reading<T>) -> Result<T, Failure> {
        match &self.writer {
            Some(writer) => writer.write(move |session, _| work(session)).await,
            None => self.reader.read(work).await,
        }
    }

    pub async fn write<T: Send + 'static>(&self, work: impl Writing<T>) -> Result<T, Failure> {
        let read_only = || Failure::new(ReasonCode::STORE_READ_ONLY, "the log was opened only to be read");
        self.writer.as_ref().ok_or_else(read_only)?.write(work).await
    }

    pub async fn read<T: Send + 'static>(&self, work: impl Reading<T>) -> Result<T, Failure> {
        self.reader.read(work).await
    }
}

#[async_trait::async_trait]
impl AuditStore for LogStore {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        self.in_time(self.write(move |session, appender| log::append(session, appender, &events))).await
    }

    async fn append_to_run(&self, run: RunId, known: u64, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let append = move |session: &mut dyn Session, appender: &mut log::Appender| {
            log::append_to_run(session, appender, run, known, &events)
        };
        self.in_time(self.write(append)).await
    }

    async fn append_ruling(&self, unit: &Unit, seen: Option<u64>, ruling: Event) -> Result<Receipt, Failure> {
        let unit = unit.clone();
        let append = move |session: &mut dyn Session, appender: &mut log::Appender| {
            log::append_ruling(session, appender, &unit, seen, &ruling)
        };
        self.in_time(self.write(append)).await
    }

    async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, Failure> {
        self.in_time(self.write(move |session, appender| claim::claim(session, appender, &claim))).await
    }

    async fn head(&self) -> Result<TreeHead, Failure> {
        self.in_time(self.read(log::head)).await
    }

    async fn unfinished(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        let station = station.clone();
        self.in_time(self.read(move |session| read::unfinished(session, &station))).await
    }

    async fn held(&self) -> Result<Vec<RunLog>, Failure> {
        self.in_time(self.read(read::held)).await
    }

    async fn held_count(&self) -> Result<u64, Failure> {
        self.in_time(self.read(read::held_count)).await
    }

    async fn unsettled_labels(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        let station = station.clone();
        self.in_time(self.read(move |session| read::unsettled_labels(session, &station))).await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunLog>, Failure> {
        self.in_time(self.read(move |session| read::run(session, run))).await
    }

    async fn run_of_slip(&self, slip: u64) -> Result<Option<RunLog>, Failure> {
        self.in_time(self.read(move |session| read::run_of_slip(session, slip))).await
    }

    async fn unit_label(&self, unit: &Unit, run: RunId) -> Result<Option<LabelStatus>, Failure> {
        let unit = unit.clone();
        self.in_time(self.read(move |session| claim::earlier_label(session, &unit, run, i64::MAX))).await
    }

    async fn made_before(&self, run: RunId, unit: &Unit, target: &TargetName) -> Result<MadeBefore, Failure> {
        let (unit, target) = (unit.clone(), target.clone());
        self.in_time(self.read(move |session| issued::made_before(session, run, &unit, &target))).await
    }

    async fn obstacle(
        &self,
        run: Option<RunId>,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Option<Obstacle>, Failure> {
        let (unit, identity) = (unit.clone(), identity.clone());
        let of = move |session: &mut dyn Session| match run {
            Some(run) => claim::obstacle_of_run(session, run, &unit, &identity, twin),
            None => claim::obstacle(session, &unit, &identity, twin),
        };
        self.in_time(self.read(of)).await
    }

    async fn latest(&self, count: u32) -> Result<Vec<RunLog>, Failure> {
        self.in_time(self.read(move |session| read::latest(session, count))).await
    }

    async fn operator(&self, name: &str, new: (Uuid, [u8; 32])) -> Result<OperatorRef, Failure> {
        let name = name.to_owned();
        self.in_time(self.write(move |session, _| people::named(session, &name, new))).await
    }

    async fn open_batch(&self, station: &StationName) -> Result<Option<Batch>, Failure> {
        let station = station.clone();
        self.in_time(self.read(move |session| read::open_batch(session, &station))).await
    }

    async fn batches(&self) -> Result<Vec<Batch>, Failure> {
        self.in_time(self.read(read::batches)).await
    }

    async fn tally(&self, batch: &BatchName) -> Result<BatchTally, Failure> {
        let batch = batch.clone();
        self.in_time(self.read(move |session| read::tally(session, &batch))).await
    }

    async fn manifest(&self, batch: &BatchName) -> Result<Option<ManifestTally>, Failure> {
        let batch = batch.clone();
        self.in_time(self.read(move |session| manifest::tally(session, &batch))).await
    }
}

#[async_trait::async_trait]
impl People for LogStore {
    async fn operators(&self) -> Result<Vec<Person>, Failure> {
        self.in_time(self.read(people::operators)).await
    }

    async fn person(&self, name: &str) -> Result<Option<Person>, Failure> {
        let name = name.to_owned();
        self.in_time(self.read(move |session| people::by_name(session, &name))).await
    }

    async fn person_by_id(&self, who: Uuid) -> Result<Option<Person>, Failure> {
        self.in_time(self.read(move |session| people::by_id(session, who))).await
    }

    async fn credential(&self, who: Uuid) -> Result<Option<Credential>, Failure> {
        self.in_time(self.read(move |session| people::credential(session, who))).await
    }

    async fn give_pin(&self, who: Uuid, pin_hash: &str, event: Event) -> Result<(), Failure> {
        let pin_hash = pin_hash.to_owned();
        self.in_time(self.write(move |session, appender| {
            appender.push(session, &event)?;
            people::set_pin(session, who, &pin_hash)?;
            match &event.body {
                Body::Line(LineEvent::OperatorAdded { .. }) => people::set_badge(session, who, None),
                _ => Ok(()),
            }
        }))
        .await
    }

    async fn person_by_badge(&self, badge_hash: &str) -> Result<Option<Person>, Failure> {
        let badge_hash = badge_hash.to_owned();
        self.in_time(self.read(move |session| people::by_badge(session, &badge_hash))).await
    }

    async fn give_badge(&self, who: Uuid, badge_hash: Option<&str>, event: Event) -> Result<(), Failure> {
        let badge_hash = badge_hash.map(str::to_owned);
        self.in_time(self.write(move |session, appender| {
            appender.push(session, &event)?;
            people::set_badge(session, who, badge_hash.as_deref())
        }))
        .await
    }

    async fn count_wrong_pin(&self, who: Uuid, now: Timestamp) -> Result<Credential, Failure> {
        self.in_time(self.write(move |session, _| people::count_wrong_pin(session, who, now))).await
    }

    async fn clear_wrong_pins(&self, who: Uuid) -> Result<(), Failure> {
        self.in_time(self.write(move |session, _| people::clear_wrong_pins(session, who))).await
    }

    async fn forget(&self, who: Uuid) -> Result<bool, Failure> {
        self.in_time(self.write(move |session, _| people::forget(session, who))).await
    }

    async fn keep_text(&self, text: &FreeText, salt: [u8; 32], words: &str) -> Result<(), Failure> {
        let (text, words) = (text.clone(), words.to_owned());
        self.in_time(self.write(move |session, _| people::keep_text(session, &text, &salt, &words))).await
    }

    async fn text(&self, id: Uuid) -> Result<Option<([u8; 32], String)>, Failure> {
        self.in_time(self.read(move |session| people::text(session, id))).await
    }

    async fn forget_text(&self, id: Uuid) -> Result<bool, Failure> {
        self.in_time(self.write(move |session, _| people::forget_text(session, id))).await
    }
}

#[async_trait::async_trait]
impl Reports for LogStore {
    async fn extent(&self, scope: &ReportScope) -> Result<u64, Failure> {
        let scope = scope.clone();
        self.read(move |session| report::extent(session, &scope)).await
    }

    async fn runs(
        &self,
        scope: &ReportScope,
        before: u64,
        after: Option<&ReportPlace>,
        limit: u32,
    ) -> Result<ReportPage, Failure> {
        let (scope, after) = (scope.clone(), after.cloned());
        self.read(move |session| report::runs(session, &scope, before, after.as_ref(), limit)).await
    }
}

#[async_trait::async_trait]
impl History for LogStore {
    async fn search(&self, search: &Search, after: Option<&Cursor>, limit: u32) -> Result<Page<Found>, Failure> {
        let (search, after) = (search.clone(), after.cloned());
        self.read(move |session| history::search(session, &search, after.as_ref(), limit)).await
    }

    async fn conflicts(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<ImportedRow>, Failure> {
        let after = after.cloned();
        self.read(move |session| history::conflicts(session, after.as_ref(), limit)).await
    }

    async fn locked(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<(Unit, Lock)>, Failure> {
        let after = after.cloned();
        self.read(move |session| history::locked(session, after.as_ref(), limit)).await
    }

    async fn locked_after_register(&self) -> Result<Vec<Unit>, Failure> {
        self.read(history::locked_after_register).await
    }

    async fn units(&self, serial: &str) -> Result<Vec<Unit>, Failure> {
        let serial = serial.to_owned();
        self.read(move |session| history::units(session, &serial)).await
    }

    async fn unit(&self, unit: &Unit) -> Result<Option<UnitHistory>, Failure> {
        let unit = unit.clone();
        self.read(move |session| history::unit(session, &unit)).await
    }

    async fn locks(&self, unit: &Unit) -> Result<Vec<Lock>, Failure> {
        let unit = unit.clone();
        self.in_time(self.read(move |session| history::locks(session, &unit))).await
    }

    async fn run_of_captured(&self, station: &StationName, slip: u64) -> Result<Option<RunLog>, Failure> {
        let station = station.clone();
        self.in_time(self.read(move |session| read::run_of_captured(session, &station, slip))).await
    }

    async fn unexported(&self) -> Result<Vec<RunLog>, Failure> {
        self.in_time(self.read(|session| read::run_logs(session, sql::UNEXPORTED, &[]))).await
    }

    async fn withdrawn(&self, unit: &Unit) -> Result<Vec<Logged>, Failure> {
        let unit = unit.clone();
        self.in_time(self.read(move |session| history::withdrawn(session, &unit))).await
    }

    async fn binding(&self, unit: &Unit) -> Result<Option<KnownIdentity>, Failure> {
        let unit = unit.clone();
        self.in_time(self.read(move |session| claim::held(session, &unit))).await
    }

    async fn collisions(
        &self,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Vec<Collision>, Failure> {
        let (unit, identity) = (unit.clone(), identity.clone());
        self.in_time(self.read(move |session| claim::collisions_of(session, &unit, &identity, twin))).await
    }

    async fn operators_of(&self, unit: &Unit) -> Result<Vec<Uuid>, Failure> {
        let unit = unit.clone();
        self.read(move |session| history::operators_of(session, &unit)).await
    }

    async fn events(&self, seq: u64, limit: u32) -> Result<Vec<(Logged, Vec<u8>)>, Failure> {
        self.read(move |session| history::events(session, seq, limit)).await
    }

    async fn leaves(&self, seqs: &[u64]) -> Result<Vec<Vec<u8>>, Failure> {
        let seqs = seqs.to_owned();
        self.read(move |session| history::leaves(session, &seqs)).await
    }

    async fn hashes(&self, nodes: &[Node]) -> Result<Vec<[u8; 32]>, Failure> {
        let nodes = nodes.to_owned();
        self.in_time(self.read(move |session| log::hashes(session, &nodes))).await
    }

    async fn tree_head(&self) -> Result<TreeHead, Failure> {
        self.in_time(self.read(log::head)).await
    }

    async fn origin(&self) -> Result<Option<String>, Failure> {
        self.in_time(self.read(history::origin)).await
    }

    async fn keys(&self) -> Result<Vec<LogKey>, Failure> {
        self.in_time(self.read(history::keys)).await
    }

    async fn checkpoints(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Failure> {
        self.in_time(self.read(move |session| history::checkpoints(session, from, limit))).await
    }

    async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Failure> {
        self.in_time(self.read(history::latest_checkpoint)).await
    }

    async fn event(&self, id: EventId) -> Result<Option<Logged>, Failure> {
        self.in_time(self.read(move |session| log::by_id(session, id))).await
    }

    async fn newest_run(&self) -> Result<Option<u64>, Failure> {
        self.in_time(self.read(history::newest_run)).await
    }

    async fn rollback_ruling(&self) -> Result<Option<Logged>, Failure> {
        self.in_time(self.read(history::rollback_ruling)).await
    }
}

#[async_trait::async_trait]
impl Checkpoints for LogStore {
    async fn keep(&self, checkpoint: &StoredCheckpoint) -> Result<(), Failure> {
        let checkpoint = checkpoint.clone();
        self.in_time(self.write(move |session, _| history::keep_checkpoint(session, &checkpoint))).await
    }
}

#[async_trait::async_trait]
impl Archiving for LogStore {
    async fn range(&self, before: Option<Timestamp>) -> Result<(u64, u64), Failure> {
        self.read(move |session| archive::range(session, before)).await
    }

    async fn write(&self, first: u64, past: u64, folder: &Path) -> Result<(PathBuf, Sha256), Failure> {
        let folder = folder.to_owned();
        self.read(move |session| archive::write(session, first, past, &folder)).await
    }

    async fn let_go(&self, archived: Event) -> Result<u64, Failure> {
        self.write(move |session, appender| archive::let_go(session, appender, &archived)).await
    }
}

#[async_trait::async_trait]
impl Imports for LogStore {
    async fn import(&self, rows: Vec<Event>) -> Result<Vec<Logged>, Failure> {
        self.write(move |session, appender| import::import(session, appender, &rows)).await
    }
}

#[async_trait::async_trait]
impl Manifests for LogStore {
    async fn imported(&self, batch: &BatchName, file: Sha256) -> Result<Option<u64>, Failure> {
        let batch = batch.clone();
        self.read(move |session| manifest::imported(session, &batch, file)).await
    }

    async fn known(&self, batch: &BatchName, entries: Vec<ManifestEntry>) -> Result<Vec<Option<EntryPlace>>, Failure> {
        let batch = batch.clone();
        self.read(move |session| manifest::known(session, &batch, &entries)).await
    }

    async fn listing(&self, batch: &BatchName, unit: &Unit, chip: &Identity) -> Result<Listing, Failure> {
        let (batch, unit, chip) = (batch.clone(), unit.clone(), chip.clone());
        self.read(move |session| manifest::listing(session, &batch, &unit, &chip)).await
    }
}
