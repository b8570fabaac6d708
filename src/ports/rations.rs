use std::time::Duration;

use crate::domain::Failure;

/// Some calls of one kind, to be taken from the bucket that all stations share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The account and Region, as the stations of a plant name them.
    pub place: String,
    pub action: &'static str,
    pub calls: u32,
    /// How long the bucket takes to fill up by one call.
    pub a_call: Duration,
    /// How empty the bucket may be afterwards, as the time that it takes to fill.
    pub at_most: Duration,
}

/// What the bucket said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ration {
    /// Whether the calls were taken: all of them, or none.
    pub taken: bool,
    /// How long the bucket now takes to fill.
    pub full_in: Duration,
    /// How many stations there are.
    pub stations: u32,
}

/// Token buckets that a whole plant shares. They decide when a call is made, and nothing else.
#[async_trait::async_trait]
pub trait Rations: Send + Sync + std::fmt::Debug {
    /// Answers within a second. `L-507` where nobody can say.
    async fn take(&self, asked: Asked) -> Result<Ration, Failure>;
}
