//! Signed notes (C2SP signed-note) with plain Ed25519 signatures, and the checkpoint, which is one.
//!
//! One log has one origin, and every key of the log carries the origin as its name, as C2SP
//! tlog-checkpoint wants it ("the log's key name … SHOULD match the origin line"): a key a station, and
//! one more after each rotation. Keys of one name are told apart by their id, a hash of name and public
//! key; whoever knows only one of them passes over the others' signatures. Which station a key belongs
//! to is said by the event that made it known. A cosigner (QA) signs the same text under a name of its
//! own, so that nobody takes its word for the log's.

mod checkpoint;
mod key;
mod secret;

pub use checkpoint::{Checkpoint, CheckpointError, SignatureError, SignedCheckpoint};
pub use key::{KeyError, VerifierKey};
pub use secret::{NoteKey, NoteKeyError};

pub(super) use checkpoint::{base64_exact, decimal, hash_line};

#[cfg(test)]
mod vectors;
