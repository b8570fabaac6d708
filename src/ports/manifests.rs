use crate::domain::{BatchName, EntryPlace, Failure, ManifestEntry, Sha256};

/// Asks what shipment manifests hold already.
#[async_trait::async_trait]
pub trait Manifests: Send + Sync {
    /// The event by which this very file was taken into the batch.
    async fn imported(&self, batch: &BatchName, file: Sha256) -> Result<Option<u64>, Failure>;

    /// For each entry, one of the batch that names the same UID, certificate or key.
    async fn known(&self, batch: &BatchName, entries: Vec<ManifestEntry>) -> Result<Vec<Option<EntryPlace>>, Failure>;
}
