use crate::audit::TreeHead;
use crate::domain::Failure;

/// How far this station has seen the log come, kept outside of the log's database. One process at a
/// time writes it: the one that drives the station. L-524 for whatever is wrong with it.
#[async_trait::async_trait]
pub trait HighWaterMark: Send + Sync {
    /// `None`: there is none. A damaged one is a failure.
    async fn read(&self) -> Result<Option<TreeHead>, Failure>;

    /// The mark is at `head` or beyond, and on disk, when this returns; where it stands comes back. It is
    /// never lowered.
    async fn raise(&self, head: TreeHead) -> Result<TreeHead, Failure>;

    /// Sets the mark whatever it was: after a ruling.
    async fn reset(&self, head: TreeHead) -> Result<(), Failure>;
}
