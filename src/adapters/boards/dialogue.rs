//! Dialogues over a board's serial port, and what is done before its chip is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::command::{self, Heard};
use super::conversation;
use crate::domain::profile::{Dialogue, PRIVATE_KEY, Prepare};
use crate::domain::{Device, Failure, ReasonCode, Template, TemplateError, Variables};
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
        let asked = converse(device, dialogue, variables, None).await;
        asked.map_err(|failure| failure.with("port", &device.path))
    }

    /// `K-702` a value that no command is given, and nothing was started; else `B-109` whatever went wrong.
    async fn prepare(&self, device: &Device, prepare: &Prepare, variables: &Variables) -> Result<(), Failure> {
        perform(device, prepare, variables, None).await
    }

    async fn deliver(
        &self,
        device: &Device,
        prepare: &Prepare,
        variables: &Variables,
        key: &SecretString,
    ) -> Result<(), Failure> {
        perform(device, prepare, variables, Some(key)).await
    }
}

async fn perform(
    device: &Device,
    prepare: &Prepare,
    variables: &Variables,
    key: Option<&SecretString>,
) -> Result<(), Failure> {
    let bad_value = |error: String| Failure::new(ReasonCode::CONFIG_VALUE, error).with("port", &device.path);
    let done = match prepare {
        Prepare::Command { command, stdin, timeout } => {
            let line = command.render(variables).map_err(|error| bad_value(error.to_string()))?;
            let stdin = stdin.as_ref().map(|template| rendered(template, variables, key)).transpose();
            let heard = if key.is_some() { Heard::Kept } else { Heard::Told };
            command::run(&line, stdin.map_err(|error| bad_value(error.to_string()))?, *timeout, heard).await
        }
        Prepare::Dialogue(dialogue) => converse(device, dialogue, variables, key).await.map(drop).map_err(|failure| {
            // Consoles echo what they are sent.
            let echoes = key.is_some() && failure.code == ReasonCode::BOARD_ANSWER;
            let cause = if echoes { "another answer than is expected, which is not kept" } else { &failure.cause };
            format!("{}: {cause}", failure.code)
        }),
    };
    done.map_err(|cause| Failure::new(ReasonCode::BOARD_PREPARE, cause).with("port", &device.path))
}

fn rendered(
    template: &Template,
    variables: &Variables,
    key: Option<&SecretString>,
) -> Result<Zeroizing<String>, TemplateError> {
    let value_of = |name: &str| match (name, key) {
        (PRIVATE_KEY, Some(key)) => Some(key.expose_secret()),
        _ => variables.get(name).map(String::as_str),
    };
    template.render_by(value_of).map(Zeroizing::new)
}

async fn converse(
    device: &Device,
    dialogue: &Dialogue,
    variables: &Variables,
    key: Option<&SecretString>,
) -> Result<Answer, Failure> {
    let question = dialogue.send.as_ref().map(|template| rendered(template, variables, key)).transpose();
    let question = question.map_err(|error| Failure::new(ReasonCode::CONFIG_VALUE, error.to_string()))?;
    let Some(node) = device.node.clone() else {
        let cause = "the board has no serial port to ask through";
        return Err(Failure::new(ReasonCode::PORT_FAILED, cause));
    };
    let dialogue = dialogue.clone();
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let flag = stop.0.clone();
    let talk = move || {
        let question = question.as_ref().map(|question| question.as_bytes());
        conversation::hold(&node, &dialogue, question, &flag)
    };
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
