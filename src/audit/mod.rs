//! The log: what an event is, how it becomes a leaf, the tree over all leaves, and what proves it to
//! someone who trusts nobody here: checkpoints, proofs and bundles of them.

pub mod bundle;
pub mod challenge;
pub mod event;
mod flat;
pub mod note;
pub mod proof;
pub mod tlog_proof;
mod tree;
pub mod x509;

pub use event::{Body, Event, LineEvent, RunEvent};
pub use tree::{LEAF_PREFIX, LeafHash, Node, TreeHead, TreeState};
