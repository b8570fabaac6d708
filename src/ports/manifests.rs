use super::{Collision, Unlisted};
use crate::domain::{BatchName, EntryPlace, Failure, Identity, ManifestEntry, Sha256, Unit};

/// Asks what shipment manifests hold already.
#[async_trait::async_trait]
pub trait Manifests: Send + Sync {
    /// The event by which this very file was taken into the batch.
    async fn imported(&self, batch: &BatchName, file: Sha256) -> Result<Option<u64>, Failure>;

    /// For each entry, one of the batch that names the same UID, certificate or key.
    async fn known(&self, batch: &BatchName, entries: Vec<ManifestEntry>) -> Result<Vec<Option<EntryPlace>>, Failure>;

    /// What the batch's lists say of a chip on this unit's board. Nothing is used up by asking.
    async fn listing(&self, batch: &BatchName, unit: &Unit, chip: &Identity) -> Result<Listing, Failure>;
}

/// What the shipment manifest of a batch says of a chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The batch has none.
    None,
    Listed(EntryPlace),
    /// Its entry was used, by another unit.
    Consumed(Collision),
    Unlisted(Unlisted),
}
