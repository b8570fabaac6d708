use crate::domain::Failure;

/// A label printer that takes ZPL II.
#[async_trait::async_trait]
pub trait LabelPrinter: Send + Sync {
    /// Hands the whole label over. `P-401`: certainly nothing was printed; `P-402`: nobody knows.
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure>;

    /// Would a label be taken now?
    async fn ready(&self) -> Result<(), Failure>;
}
