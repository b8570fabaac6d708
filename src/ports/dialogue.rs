use secrecy::SecretString;

use crate::domain::profile::{Dialogue, Prepare};
use crate::domain::{Device, Failure, Variables};

/// What a board said: the named groups of the expression that its answer matched.
pub type Answer = Variables;

/// Talking to the board itself over its serial port, before its chip is opened by anyone else.
/// The port is closed again when a call returns.
#[async_trait::async_trait]
pub trait BoardDialogue: Send + Sync {
    /// Asks and returns the named groups of the match.
    async fn ask(&self, device: &Device, dialogue: &Dialogue, variables: &Variables) -> Result<Answer, Failure>;

    /// Performs one `prepare` entry.
    async fn prepare(&self, device: &Device, prepare: &Prepare, variables: &Variables) -> Result<(), Failure>;

    /// The same, with a private key for the board, which is [`PRIVATE_KEY`](crate::domain::profile::PRIVATE_KEY) among
    /// the variables. Whatever board or program answers may repeat it, so no failure tells what they said.
    async fn deliver(
        &self,
        device: &Device,
        prepare: &Prepare,
        variables: &Variables,
        key: &SecretString,
    ) -> Result<(), Failure>;
}
