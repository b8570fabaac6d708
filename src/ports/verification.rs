use crate::audit::TreeHead;
use crate::audit::note::SignedCheckpoint;
use crate::domain::Failure;

/// What a log is held against.
#[derive(Debug, Clone, Default)]
pub struct Verification {
    /// Checkpoints that an auditor kept: nothing that the log says of itself excuses it from them.
    pub since: Vec<Witness>,
    /// Copies on other disks: two persons may have ruled on those that a log that was put back contradicts.
    pub copies: Vec<Witness>,
    /// Heads of this log that somebody noted without signing them, and where: the high-water mark.
    pub noted: Vec<(String, TreeHead)>,
    /// Derive every projection again and compare. Without it: bytes, tree and checkpoints.
    pub projections: bool,
}

/// A checkpoint from outside of the database.
#[derive(Debug, Clone)]
pub struct Witness {
    /// Where it was found, for the report.
    pub place: String,
    pub checkpoint: SignedCheckpoint,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub head: TreeHead,
    /// Leaves whose bytes are in an archive: their hashes were verified.
    pub archived: u64,
    /// Checkpoints stored with the log, each of its own size's root and signed by a key of the log.
    pub checkpoints: u64,
    /// The largest size that a witness vouches for. What comes after it could have been rewritten by
    /// whoever holds the database and the signing key.
    pub covered: Option<u64>,
    /// What was kept elsewhere, is contradicted by the log, and was ruled on by two persons.
    pub ruled: u64,
    /// Rows of derived tables that were derived again and compared; `None`: not asked for.
    pub rows: Option<u64>,
    /// People and typed texts that were forgotten: their commitments stand, and nothing else.
    pub forgotten_people: u64,
    pub forgotten_texts: u64,
    /// People and typed texts that an event says were forgotten, and whose words are here: it did not come to
    /// that, or somebody has brought them back.
    pub remembered: u64,
    /// Operators whose PIN no event commits to: given by an older program, it could be anybody's.
    pub uncommitted_pins: u64,
    /// Rulings of one person: whether one is enough says the configuration that the command was given.
    pub ruled_alone: u64,
    /// Checkpoints of this log that are held elsewhere, and are not stored with it.
    pub unstored: u64,
    /// Rulings on units of whose runs a part is in an archive that is not at hand: who operated those could
    /// not be held against who ruled.
    pub unjudged: u64,
}

/// The first promise found broken, and where exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {place}: {found}", promise = promise.as_str())]
pub struct Broken {
    pub promise: Promise,
    /// `event 17`, `checkpoint of 400 leaves`, `table bindings, row …`.
    pub place: String,
    pub found: String,
}

/// What a log promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// Every leaf is there, in order, and is what was hashed when it was written.
    Bytes,
    /// The stored hashes and the head are the tree over the leaves.
    Tree,
    /// Stored checkpoints and those held elsewhere are of this very log, and signed by its keys.
    Checkpoint,
    /// No event could have been refused when it was written.
    Claims,
    /// What is derived is what the events say.
    Projection,
    /// Names and typed texts are what the log has committed to.
    People,
    /// The database has the tables, guards and keys of this program, and nothing else that acts; and its
    /// indexes have the rows of their tables.
    Schema,
}

impl Promise {
    pub fn as_str(self) -> &'static str {
        match self {
            Promise::Bytes => "bytes",
            Promise::Tree => "tree",
            Promise::Checkpoint => "checkpoint",
            Promise::Claims => "claims",
            Promise::Projection => "projection",
            Promise::People => "people",
            Promise::Schema => "schema",
        }
    }
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    pub done: u64,
    pub total: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Of events: read, hashed, and with projections derived from again.
    Events,
    /// Of tables: compared.
    Tables,
}

/// Verifies a whole log. Blocks for as long as it takes: the caller gives it a thread.
pub trait Verifier: Send {
    /// A broken promise is an answer; a failure means that nothing is known.
    fn verify(
        &mut self,
        what: &Verification,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Result<Verified, Broken>, Failure>;
}
