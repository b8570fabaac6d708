//! The log: what an event is, how it becomes a leaf, and the tree over all leaves.

pub mod event;
mod tree;

pub use event::{Body, Event, LineEvent, RunEvent};
pub use tree::{LeafHash, Node, TreeHead, TreeState};
