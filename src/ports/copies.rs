use super::StoredCheckpoint;
use crate::domain::{Failure, StationName};

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

    /// The notes of the largest sizes, of all stations, largest first; `log`: the log's own size, where
    /// the search best begins. What is there is not looked into: it may be anything. L-522.
    async fn newest(&self, log: u64, count: usize) -> Result<Vec<String>, Failure>;
}
