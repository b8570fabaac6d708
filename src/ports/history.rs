use jiff::Timestamp;

use crate::audit::event::{FreeText, ImportConflict, ImportSource, LogKeyRole};
use crate::audit::{Event, Node, TreeHead};
use crate::domain::{
    BatchName, ChipUid, EventId, Failure, Fingerprint, Identity, KnownIdentity, OperatorRef, Product, ReasonCode,
    RunId, StationName, ThingName, Unit, Verdict,
};
use crate::ports::{Collision, Logged, RunLog};

/// What to look for. Everything given must hold; nothing given: everything, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The beginning of it; so for `thing` and `uid`.
    pub serial: Option<String>,
    pub thing: Option<String>,
    pub uid: Option<String>,
    /// The beginning of the certificate's SHA-256 in lower-case hexadecimal.
    pub fingerprint: Option<String>,
    pub product: Option<Product>,
    pub batch: Option<BatchName>,
    pub reason: Option<ReasonCode>,
    pub verdict: Option<Verdict>,
    /// Who operated the run, made the ruling or the import.
    pub operator: Option<uuid::Uuid>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Words, all of which must occur; the last one may be the beginning of a word.
    pub words: Option<String>,
}

/// One thing that was found, newest first by `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Run(RunSummary),
    Ruling(RulingSummary),
    Imported(ImportedRow),
}

impl Found {
    /// The event that it is listed by: a run's first.
    pub fn seq(&self) -> u64 {
        match self {
            Found::Run(run) => run.first_seq,
            Found::Ruling(ruling) => ruling.seq,
            Found::Imported(row) => row.seq,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    pub first_seq: u64,
    pub run: RunId,
    pub station: StationName,
    pub product: Product,
    /// `None` until the board has told it.
    pub unit: Option<Unit>,
    pub batch: Option<BatchName>,
    pub operator: Option<uuid::Uuid>,
    pub thing: Option<ThingName>,
    /// Of the certificate that was read, proven or not.
    pub fingerprint: Option<Fingerprint>,
    pub uid: Option<ChipUid>,
    pub verdict: Option<Verdict>,
    pub reason: Option<ReasonCode>,
    pub started: Timestamp,
    pub finished: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulingSummary {
    pub seq: u64,
    /// `release`, `scrap`, `rebind`, `withdraw` or `rollback`.
    pub ruling: String,
    pub unit: Option<Unit>,
    pub at: Timestamp,
    pub by: Option<OperatorRef>,
    pub second: Option<OperatorRef>,
    pub reason: FreeText,
    /// The event that used it up.
    pub used_seq: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedRow {
    pub seq: u64,
    pub source: ImportSource,
    pub unit: Unit,
    pub fingerprint: Fingerprint,
    pub thing: Option<ThingName>,
    pub date: Option<Timestamp>,
    pub conflicts: Vec<ImportConflict>,
}

/// Where a page ended; the next one begins after it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// The value that the page is ordered by, where that is not the sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None`: that was all.
    pub next: Option<Cursor>,
}

/// Why a unit may not be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    pub kind: LockKind,
    /// The run that failed.
    pub run: Option<RunId>,
    pub reason: Option<ReasonCode>,
    /// The event that made the lock.
    pub seq: u64,
}

/// The gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockKind {
    /// FAIL after its chip was proven.
    Failed,
    /// The imported history contradicts itself.
    Conflict,
    /// What it had registered was taken back.
    Withdrawn,
    /// For good.
    Scrapped,
}

/// Everything that the log knows about a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitHistory {
    pub unit: Unit,
    /// Oldest first.
    pub runs: Vec<RunLog>,
    pub rulings: Vec<Logged>,
    pub imported: Vec<Logged>,
    /// What became of withdrawals, target by target.
    pub withdrawn: Vec<Logged>,
    /// What keeps it from being claimed now.
    pub locks: Vec<Lock>,
}

/// A key that may sign for this log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The verifier key (C2SP signed-note).
    pub key: String,
    pub role: LogKeyRole,
    pub station: StationName,
    pub added_seq: u64,
    /// The event that put another key in its place.
    pub replaced_seq: Option<u64>,
}

/// A checkpoint that was made of this log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    pub size: u64,
    /// The signed note, whole.
    pub note: String,
}

/// Reading the log: for QA, for auditors, and for proofs. Nothing here writes.
#[async_trait::async_trait]
pub trait History: Send + Sync {
    async fn search(&self, search: &Search, after: Option<&Cursor>, limit: u32) -> Result<Page<Found>, Failure>;

    /// Imported rows that contradict something, newest first.
    async fn conflicts(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<ImportedRow>, Failure>;

    /// Units that are locked, by the event that locked them, newest first.
    async fn locked(&self, after: Option<&Cursor>, limit: u32) -> Result<Page<(Unit, Lock)>, Failure>;

    /// Units that are locked, and of which a run meant to register: what they may have left ACTIVE is to be looked for
    /// in their histories.
    async fn locked_after_register(&self) -> Result<Vec<Unit>, Failure>;

    /// Units with this serial number, in every product.
    async fn units(&self, serial: &str) -> Result<Vec<Unit>, Failure>;

    /// `None`: the log does not know the unit.
    async fn unit(&self, unit: &Unit) -> Result<Option<UnitHistory>, Failure>;

    /// What keeps the unit from being claimed now.
    async fn locks(&self, unit: &Unit) -> Result<Vec<Lock>, Failure>;

    /// The identity that the unit is bound to.
    async fn binding(&self, unit: &Unit) -> Result<Option<KnownIdentity>, Failure>;

    /// What a claim of `identity` for the unit would collide with, were it made now. `twin` as in
    /// [`Claim`](crate::ports::Claim).
    async fn collisions(
        &self,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Vec<Collision>, Failure>;

    /// What became of the unit's withdrawals, target by target, oldest first.
    async fn withdrawn(&self, unit: &Unit) -> Result<Vec<Logged>, Failure>;

    /// The latest run that `station` captured under this slip, and that was taken in here.
    async fn run_of_captured(&self, station: &StationName, slip: u64) -> Result<Option<RunLog>, Failure>;

    /// HELD runs that no file was made of yet, oldest first.
    async fn unexported(&self) -> Result<Vec<RunLog>, Failure>;

    /// Who operated runs of the unit.
    async fn operators_of(&self, unit: &Unit) -> Result<Vec<uuid::Uuid>, Failure>;

    /// Events from `seq` on, with their bytes as they were written; a page of at most `limit`.
    async fn events(&self, seq: u64, limit: u32) -> Result<Vec<(Logged, Vec<u8>)>, Failure>;

    /// The bytes of single leaves. L-527 where they are in an archive.
    async fn leaves(&self, seqs: &[u64]) -> Result<Vec<Vec<u8>>, Failure>;

    /// Stored hashes of the tree, in the order asked for.
    async fn hashes(&self, nodes: &[Node]) -> Result<Vec<[u8; 32]>, Failure>;

    async fn tree_head(&self) -> Result<TreeHead, Failure>;

    /// The log's name; `None` before it was opened by a station.
    async fn origin(&self) -> Result<Option<String>, Failure>;

    /// Keys that were ever added, oldest first.
    async fn keys(&self) -> Result<Vec<LogKey>, Failure>;

    /// Checkpoints stored with the log, from this size on, smallest first.
    async fn checkpoints(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Failure>;

    async fn latest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, Failure>;

    /// The event that has this id.
    async fn event(&self, id: EventId) -> Result<Option<Logged>, Failure>;

    /// The latest event by which a run was started or resumed; `None`: there was no run.
    async fn newest_run(&self) -> Result<Option<u64>, Failure>;

    /// The newest ruling on a rollback, if any: (its event's number, size and root it was about).
    async fn rollback_ruling(&self) -> Result<Option<Logged>, Failure>;
}

/// Takes in a history that was made elsewhere.
#[async_trait::async_trait]
pub trait Imports: Send + Sync {
    /// Appends `imported` events in one transaction, each with what it contradicts in the log and in the
    /// rows before it; they come back as they stand in the log.
    ///
    /// Neither side of a contradiction is believed: both units are locked until QA rules, one that a run
    /// has proven and passed among them, and what the row names is burned for every other unit.
    async fn import(&self, rows: Vec<Event>) -> Result<Vec<Logged>, Failure>;
}

/// Keeps checkpoints beside the log that they are of.
#[async_trait::async_trait]
pub trait Checkpoints: Send + Sync {
    /// Stores a signed checkpoint; a second one of the same size adds its signatures.
    async fn keep(&self, checkpoint: &StoredCheckpoint) -> Result<(), Failure>;
}
