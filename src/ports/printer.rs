use crate::domain::Failure;
use crate::domain::label::Dots;

/// A label printer that takes ZPL II.
#[async_trait::async_trait]
pub trait LabelPrinter: Send + Sync {
    /// Hands the whole label over. A code that [leaves no paper](crate::domain::ReasonCode::leaves_no_paper):
    /// certainly nothing was printed; any other: nobody knows.
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure>;

    /// Would a label be taken now, and come out?
    async fn ready(&self) -> Result<Readiness, Failure>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It can be reached, and says nothing of paper or cover.
    Unknown,
}

/// Draws labels where no printer does.
pub trait LabelPictures: Send + Sync {
    /// A PNG of 8 dots a millimetre.
    fn png(&self, zpl: &str) -> Result<Vec<u8>, Failure>;

    /// One page, as large as the label.
    fn pdf(&self, zpl: &str) -> Result<Vec<u8>, Failure>;

    /// Dot by dot, for the window.
    fn dots(&self, zpl: &str) -> Result<Dots, Failure>;
}
