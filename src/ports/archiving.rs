use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::audit::Event;
use crate::domain::{Failure, Sha256};

/// Moves old events' bytes out of the database; their hashes stay, and so do all proofs.
#[async_trait::async_trait]
pub trait Archiving: Send + Sync {
    /// The leaves that may be archived now, from and to before: what comes after the last archive, up to
    /// what an unfinished run, a HELD unit or a label still needs, and no further than the newest
    /// checkpoint. `before`: only what was written before it.
    async fn range(&self, before: Option<Timestamp>) -> Result<(u64, u64), Failure>;

    /// Writes the leaves to a new file in `folder`, on disk when this returns.
    async fn write(&self, first: u64, past: u64, folder: &Path) -> Result<(PathBuf, Sha256), Failure>;

    /// Appends the `archived` event and lets go of the bytes, in one transaction; how many events have
    /// theirs in the archive only.
    async fn let_go(&self, archived: Event) -> Result<u64, Failure>;
}
