//! Dialogues over a board's serial port, and what is done before its chip is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{command, conversation};
use crate::domain::profile::{Dialogue, Prepare};
use crate::domain::{Device, Failure, ReasonCode, Variables};
use crate::ports::{Answer, BoardDialogue};

/// Talks through the device's serial port, opened for this one call and for no one else.
///
/// A call that is dropped lets go of the port within a tenth of a second.
#[derive(Debug, Clone, Copy, Default)]
pub struct SerialDialogue;

#[async_trait::async_trait]
impl BoardDialogue for SerialDialogue {
    /// `B-102` nothing came, `B-103` bytes came and did not match (or more than 64 KiB of them),
    /// `B-107` the port is another's or not allowed, `B-108` it is not there or was lost, `K-702` the
    /// question names a variable that does not exist.
    async fn ask(&self, device: &Device, dialogue: &Dialogue, variables: &Variables) -> Result<Answer, Failure> {
        let asked = converse(device, dialogue, variables).await;
        asked.map_err(|failure| failure.with("port", &device.path))
    }

    /// `K-702` a value that no command is given, and nothing was started; else `B-109` whatever went wrong.
    async fn prepare(&self, device: &Device, prepare: &Prepare, variables: &Variables) -> Result<(), Failure> {
        let done = match prepare {
            Prepare::Command { command, timeout } => {
                let line = command.render(variables).map_err(|error| {
                    Failure::new(ReasonCode::CONFIG_VALUE, error.to_string()).with("port", &device.path)
                })?;
                command::run(&line, *timeout).await
            }
            Prepare::Dialogue(dialogue) => {
                converse(device, dialogue, variables).await.map(drop).map_err(|failure| failure.to_string())
            }
        };
        done.map_err(|cause| Failure::new(ReasonCode::BOARD_PREPARE, cause).with("port", &device.path))
    }
}

async fn converse(device: &Device, dialogue: &Dialogue, variables: &Variables) -> Result<Answer, Failure> {
    let question = match &dialogue.send {
        Some(template) => Some(
            template.render(variables).map_err(|error| Failure::new(ReasonCode::CONFIG_VALUE, error.to_string()))?,
        ),
        None => None,
    };
    let Some(node) = device.node.clone() else {
        let cause = "the board has no serial port to ask through";
        return Err(Failure::new(ReasonCode::PORT_FAILED, cause));
    };
    let dialogue = dialogue.clone();
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let flag = stop.0.clone();
    let talk = move || conversation::hold(&node, &dialogue, question.as_deref().map(str::as_bytes), &flag);
    match tokio::task::spawn_blocking(talk).await {
        Ok(answer) => answer,
        Err(error) => Err(Failure::new(ReasonCode::PORT_FAILED, format!("the dialogue's thread ended: {error}"))),
    }
}

/// A blocking task cannot be cancelled: it looks at this flag.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
