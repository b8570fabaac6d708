//! What a station works with: one of each port.

use std::sync::Arc;

use super::custody::Custody;
use super::log::LogWriter;
use crate::ports::{
    BoardDialogue, BoardSource, Cloud, Connections, Fleets, IssuingService, LabelPrinter, Signals, Tokens,
};

/// Made by `bootstrap` from the configuration.
pub struct Equipment {
    pub boards: Box<dyn BoardSource>,
    pub dialogue: Arc<dyn BoardDialogue>,
    pub tokens: Arc<dyn Tokens>,
    pub cloud: Arc<dyn Cloud>,
    pub connections: Arc<dyn Connections>,
    pub issuing: Arc<dyn IssuingService>,
    pub fleets: Arc<dyn Fleets>,
    pub printer: Option<Arc<dyn LabelPrinter>>,
    /// Sounds and lights, where there are any.
    pub signals: Option<Arc<dyn Signals>>,
    /// Writes in this station's name; in its operator's once the log knows who that is.
    pub log: LogWriter,
    /// Keeps that log's promises outside of it.
    pub custody: Custody,
    pub operator_name: Option<String>,
    /// A person vouches for this computer's clock although the log is ahead of it.
    pub clock_is_right: bool,
}
