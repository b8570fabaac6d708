use jiff::Timestamp;

use crate::audit::event::{LabelStatus, Standing};
use crate::audit::{Event, LeafHash, TreeHead};
use crate::domain::{
    BatchName, EntryPlace, EventId, Failure, Fingerprint, Identity, ManifestEntry, OperatorRef, Product, RunId,
    StationName, TargetName, Unit,
};
use crate::ports::{Lock, MadeBefore};

/// Where an event stands in the log: the store has it, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The leaf's index.
    pub seq: u64,
    pub leaf: LeafHash,
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    pub receipt: Receipt,
    pub event: Event,
}

/// One run's events, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct RunLog {
    pub run: RunId,
    pub events: Vec<Logged>,
}

/// The wish to bind `identity` to `unit`, for a run that proved it.
#[derive(Debug, Clone)]
pub struct Claim {
    pub id: EventId,
    pub at: Timestamp,
    pub station: StationName,
    pub operator: Option<OperatorRef>,
    pub run: RunId,
    /// The run's latest event that its writer knows, as for [`AuditStore::append_to_run`]; `None`: nobody else can
    /// have the run.
    pub known: Option<u64>,
    pub unit: Unit,
    pub identity: Identity,
    /// The fingerprint of the certificate's other form, which counts as its own.
    pub twin: Option<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ClaimAnswer {
    Bound(Box<Bound>),
    /// Nothing was written.
    Collides(Vec<Collision>),
    /// Nothing was written: only a ruling opens the unit again.
    Locked(Lock),
    /// Nothing was written: the batch's shipment manifest does not have this chip.
    Unlisted(Unlisted),
}

/// Why a chip is not one that the vendor shipped for the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlisted {
    /// No entry names any part of it.
    Absent { batch: BatchName },
    /// An entry names a part of it, and something else is not as it says.
    Differs { entry: ManifestEntry, place: EntryPlace },
}

/// Why a claim that was made does not hold any more.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    Collides(Vec<Collision>),
    Locked(Lock),
    /// A list that was taken into the run's batch since, and that the claim was not held against.
    Unlisted(Unlisted),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// The `claimed` event, as it is in the log.
    pub event: Logged,
    pub standing: Standing,
    /// The unit's label from an earlier run, where one is on paper or owed.
    pub label: Option<LabelStatus>,
}

/// What a claim collides with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    pub rule: CollisionRule,
    /// Who holds it, and under which certificate.
    pub unit: Unit,
    pub fingerprint: Fingerprint,
    /// The run that claimed it; `None`: it is out of an imported history, or a ruling moves the unit to it.
    pub run: Option<RunId>,
    /// The event that made the holder's binding, or the ruling.
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CollisionRule {
    /// The chip's entry in the batch's shipment manifest was used by another unit.
    Entry,
    /// The certificate is bound to another unit.
    Certificate,
    /// The public key is bound, to another unit or under another certificate.
    Key,
    /// The chip UID is bound to another unit or identity.
    Uid,
    /// The unit is bound to another identity.
    Unit,
}

impl CollisionRule {
    pub fn as_str(self) -> &'static str {
        match self {
            CollisionRule::Entry => "manifest-entry",
            CollisionRule::Certificate => "certificate",
            CollisionRule::Key => "key",
            CollisionRule::Uid => "chip-uid",
            CollisionRule::Unit => "unit",
        }
    }
}

/// A batch that is or was open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub name: BatchName,
    pub profile: String,
    pub product: Product,
    pub planned: u64,
    pub opened: Timestamp,
    pub closed: Option<Timestamp>,
    /// A vendor's list was taken in.
    pub manifest: bool,
}

/// A batch's figures: units by their latest verdict, and first-pass yield by units' first counted
/// attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchTally {
    /// Units whose latest counted run is PASS.
    pub passed: u64,
    pub failed: u64,
    pub errors: u64,
    pub held: u64,
    /// Units with a first counted attempt (ABORTED and HELD are not counted), and how many of those
    /// attempts were PASS.
    pub first_attempts: u64,
    pub first_passes: u64,
}

/// A shipment manifest's figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ManifestTally {
    /// Files that were taken in.
    pub files: u64,
    pub entries: u64,
    /// Entries that a claim used.
    pub consumed: u64,
    /// Chips that proved themselves in the batch and are in the manifest.
    pub matched: u64,
    /// Those that are not.
    pub unknown: u64,
}

impl ManifestTally {
    /// Entries whose chips have not been claimed.
    pub fn missing(&self) -> u64 {
        self.entries.saturating_sub(self.consumed)
    }
}

/// The audit log and what is derived from it. Every method is one transaction; an answer means the
/// data is on disk.
#[async_trait::async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends in order. An event id that the log holds already is not written twice: its receipt
    /// comes back. L-531 where a run would begin that the log has, O-606 where a batch would be opened whose
    /// name was used for another product or profile; nothing is written then.
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure>;

    /// The same for a run that goes on, by a writer that knows it up to event `known`. L-531 where the
    /// run has moved on since, L-521 where the log has it no further than before that event, L-532 where a
    /// label would be owed that another run of the unit has, S-105 where a certificate was issued that is another unit's, L-533 where a PASS would be of a unit that is locked,
    /// bound to another chip, ruled to have one, or of a chip that its batch's lists do not have by now; nothing is written then. Events that the log holds already are read back whatever came after them.
    async fn append_to_run(&self, run: RunId, known: u64, events: Vec<Event>) -> Result<Vec<Receipt>, Failure>;

    /// A ruling that opens `unit` again, by persons who know of what locks it up to event `seen` (`None`: of nothing).
    /// O-612 where it was locked since; nothing is written then.
    async fn append_ruling(&self, unit: &Unit, seen: Option<u64>, ruling: Event) -> Result<Receipt, Failure>;

    /// Binds, or says what it collides with (design of the substitution rules: fingerprint, SPKI and
    /// UID are each unique for ever). B-106 where a board of the same serial number is at another station now;
    /// the same stands against writing a PASS. L-531 and L-521 as for [`append_to_run`](Self::append_to_run).
    async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, Failure>;

    async fn head(&self) -> Result<TreeHead, Failure>;

    /// Runs of `station` without a verdict.
    async fn unfinished(&self, station: &StationName) -> Result<Vec<RunLog>, Failure>;

    /// Runs whose latest verdict is HELD, oldest first; not those that wait for a board which came back and
    /// passed in a later run.
    async fn held(&self) -> Result<Vec<RunLog>, Failure>;

    /// How many runs [`held`](Self::held) would list.
    async fn held_count(&self) -> Result<u64, Failure>;

    /// Sealed runs whose label is owed, pending, or of unknown fate, oldest first.
    async fn unsettled_labels(&self, station: &StationName) -> Result<Vec<RunLog>, Failure>;

    async fn run(&self, run: RunId) -> Result<Option<RunLog>, Failure>;

    /// The run that a HELD unit's slip names.
    async fn run_of_slip(&self, slip: u64) -> Result<Option<RunLog>, Failure>;

    /// What became of the unit's label that another run than `run` owed; `None`: none was ever owed.
    async fn unit_label(&self, unit: &Unit, run: RunId) -> Result<Option<LabelStatus>, Failure>;

    /// Certificates that were made for the unit in the target, by other runs than `run`.
    async fn made_before(&self, run: RunId, unit: &Unit, target: &TargetName) -> Result<MadeBefore, Failure>;

    /// What keeps the unit from passing with this identity now: another binding, or a lock. A `run` that
    /// claimed long ago asks before it goes on, and before it passes, and what its batch's lists say by now counts; `None` asks for a claim that is still to
    /// be made, which a release may open. `twin` as in [`Claim`].
    async fn obstacle(
        &self,
        run: Option<RunId>,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Option<Obstacle>, Failure>;

    /// The latest runs that have a verdict, newest first.
    async fn latest(&self, count: u32) -> Result<Vec<RunLog>, Failure>;

    /// A person's reference; `new` (random id, 32-byte salt) is used if the name is not known yet.
    async fn operator(&self, name: &str, new: (uuid::Uuid, [u8; 32])) -> Result<OperatorRef, Failure>;

    /// The open batch of this station, if any.
    async fn open_batch(&self, station: &StationName) -> Result<Option<Batch>, Failure>;

    /// All batches, newest first.
    async fn batches(&self) -> Result<Vec<Batch>, Failure>;

    async fn tally(&self, batch: &BatchName) -> Result<BatchTally, Failure>;

    /// The batch's shipment manifest; `None`: it has none.
    async fn manifest(&self, batch: &BatchName) -> Result<Option<ManifestTally>, Failure>;
}
