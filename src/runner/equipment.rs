//! What a station works with: one of each port.

use std::sync::Arc;

use super::custody::Custody;
use super::log::LogWriter;
use super::people::Named;
use crate::ports::{
    BadgeKey, BoardDialogue, BoardSource, Cloud, Connections, Examiner, Fleets, IssuingService, LabelPictures,
    LabelPrinter, People, SettingsFile, Signals, Tokens,
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
    pub pictures: Arc<dyn LabelPictures>,
    /// Sounds and lights, where there are any.
    pub signals: Option<Arc<dyn Signals>>,
    /// The file that the station was configured by.
    pub settings: Option<Arc<dyn SettingsFile>>,
    /// Looks at the targets for an administrator; `None`: the station is air-gapped.
    pub examiner: Option<Arc<dyn Examiner>>,
    /// Writes in this station's name; in its operator's once the log knows who that is.
    pub log: LogWriter,
    /// Behind the ids in that log, and the words that they typed.
    pub people: Arc<dyn People>,
    /// Keeps that log's promises outside of it.
    pub custody: Custody,
    pub badges: Arc<dyn BadgeKey>,
    /// Who was named as the operator at the start.
    pub operator: Named,
    /// A person vouches for this computer's clock although the log is ahead of it.
    pub clock_is_right: bool,
}
