use std::sync::Arc;

use super::StoredCheckpoint;
use crate::domain::{Failure, KeyName, StationName};

/// Somewhere else, where copies of the checkpoints outlive what happens to the log.
#[async_trait::async_trait]
pub trait CheckpointPlace: Send + Sync {
    /// As people know it: a path, `s3://bucket/prefix`.
    fn name(&self) -> &str;

    /// `false`: on the log's own disk, which goes when the log goes.
    async fn is_elsewhere(&self) -> Result<bool, Failure>;

    /// Keeps a copy; it is durable when this returns. Nothing that is there is ever overwritten: another
    /// note of the same size stays beside it. L-523.
    async fn put(&self, station: &StationName, checkpoint: &StoredCheckpoint) -> Result<(), Failure>;

    /// The notes of the largest sizes, of all stations, largest first. L-522, also where so much lies there
    /// that does not count that what does is not found within bounds.
    async fn newest(&self, wanted: &Wanted) -> Result<Vec<String>, Failure>;
}

/// Which notes are looked for.
#[derive(Clone)]
pub struct Wanted {
    pub origin: KeyName,
    /// The log's own size, where the search best begins.
    pub log: u64,
    pub count: usize,
    /// Is a note, which may be anything, one of those? Only they make up `count`.
    pub counts: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}
