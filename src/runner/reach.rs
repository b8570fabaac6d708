//! The way to a board's chip: its serial number, then its token.

use std::path::PathBuf;

use crate::domain::profile::{Dialogue, IdentifySource, Prepare, Profile, TokenPlan};
use crate::domain::{CommandLine, Device, Failure, ReasonCode, StationName, Variables};
use crate::ports::{Answer, BoardDialogue, TokenAccess};
use crate::provisioning::device_variables;

/// The serial number from the profile's source, with `prepare` around it: what names the answer
/// waits for it. The port is closed afterwards. `scan`: what the barcode scanner reads.
pub async fn identify(
    dialogue: &dyn BoardDialogue,
    profile: &Profile,
    device: &Device,
    station: &StationName,
    scan: impl AsyncFnOnce() -> Option<String>,
) -> Result<Answer, Failure> {
    let answer = ask(dialogue, profile, device, station, scan).await?;
    let mut variables = device_variables(device, station, &profile.product);
    if let (true, IdentifySource::Dialogue(question)) = (profile.identify.again, &profile.identify.source) {
        says_it_twice(dialogue, device, question, &variables, &answer).await?;
    }
    variables.extend(answer.clone());
    // Whatever a command would refuse is found before any of them is started.
    let token = profile.token.command.as_ref();
    commands(profile, true).chain(token).try_for_each(|command| command_line(command, &variables).map(drop))?;
    for prepare in profile.prepare.iter().filter(|prepare| prepare.needs_answer()) {
        dialogue.prepare(device, prepare, &variables).await?;
    }
    Ok(answer)
}

/// One digit that is lost on the line, and still looks like a serial number, would bind the chip for ever to a unit
/// that does not exist: a board that can be asked is asked twice before anything is done in its name.
async fn says_it_twice(
    dialogue: &dyn BoardDialogue,
    device: &Device,
    question: &Dialogue,
    variables: &Variables,
    first: &Answer,
) -> Result<(), Failure> {
    let again = dialogue.ask(device, question, variables).await?;
    let [first, again] = [first, &again].map(|answer| answer.get("serial").map(String::as_str).unwrap_or_default());
    if first == again {
        return Ok(());
    }
    let cause = format!("asked twice, the board said serial number {first:?} and then {again:?}");
    Err(Failure::new(ReasonCode::BOARD_ANSWER, cause).with("port", &device.path))
}

/// No more than its serial number needs: nothing is prepared for its chip.
pub async fn ask(
    dialogue: &dyn BoardDialogue,
    profile: &Profile,
    device: &Device,
    station: &StationName,
    scan: impl AsyncFnOnce() -> Option<String>,
) -> Result<Answer, Failure> {
    if let Some(denied) = &device.denied {
        return Err(Failure::new(ReasonCode::PORT_DENIED, denied).with("port", &device.path));
    }
    let variables = device_variables(device, station, &profile.product);
    commands(profile, false).try_for_each(|command| command_line(command, &variables).map(drop))?;
    for prepare in profile.prepare.iter().filter(|prepare| !prepare.needs_answer()) {
        dialogue.prepare(device, prepare, &variables).await?;
    }
    match &profile.identify.source {
        IdentifySource::UsbSerial => usb_serial(device),
        IdentifySource::Dialogue(question) => dialogue.ask(device, question, &variables).await,
        IdentifySource::Barcode { timeout } => match tokio::time::timeout(*timeout, scan()).await {
            Ok(Some(text)) => Ok(Variables::from([("serial".to_owned(), text)])),
            _ => {
                let cause = format!("no barcode was scanned within {timeout:?}");
                Err(Failure::new(ReasonCode::BOARD_SILENT, cause))
            }
        },
    }
}

/// Those of `prepare` that wait for the answer, or that do not.
fn commands(profile: &Profile, with_answer: bool) -> impl Iterator<Item = &CommandLine> {
    profile.prepare.iter().filter(move |prepare| prepare.needs_answer() == with_answer).filter_map(|it| match it {
        Prepare::Command { command, .. } => Some(command),
        Prepare::Dialogue(_) => None,
    })
}

fn command_line(command: &CommandLine, variables: &Variables) -> Result<Vec<String>, Failure> {
    command.render(variables).map_err(|error| Failure::new(ReasonCode::CONFIG_VALUE, error.to_string()))
}

fn usb_serial(device: &Device) -> Result<Variables, Failure> {
    match &device.usb_serial {
        Some(serial) => Ok(Variables::from([("serial".to_owned(), serial.clone())])),
        None => Err(Failure::new(ReasonCode::BOARD_SERIAL, "the board has no USB serial number")),
    }
}

pub fn access(plan: &TokenPlan, variables: &Variables) -> Result<TokenAccess, Failure> {
    let mut environment = std::collections::BTreeMap::new();
    for (name, template) in &plan.environment {
        let value = template
            .render(variables)
            .map_err(|error| Failure::new(ReasonCode::CONFIG_VALUE, format!("environment {name}: {error}")))?;
        environment.insert(name.clone(), value);
    }
    Ok(TokenAccess {
        module: plan.module.clone(),
        environment,
        command: plan.command.as_ref().map(|command| command_line(command, variables)).transpose()?,
        slot: plan.slot.clone(),
        certificate: plan.certificate.clone(),
        key: plan.key.clone(),
        uid: plan.uid.clone(),
        pin: plan.pin.clone(),
        port: variables.get("port").filter(|port| !port.is_empty()).map(PathBuf::from),
        call_timeout: plan.call_timeout,
        open_timeout: plan.open_timeout,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::time::Duration;

    use super::*;

    /// A board over a line that loses a digit now and then.
    struct Line(Mutex<VecDeque<&'static str>>);

    #[async_trait::async_trait]
    impl BoardDialogue for Line {
        async fn ask(&self, _: &Device, _: &Dialogue, _: &Variables) -> Result<Answer, Failure> {
            let next = self.0.lock().unwrap().pop_front();
            let serial = next.ok_or_else(|| Failure::new(ReasonCode::BOARD_SILENT, "no byte"))?;
            Ok(Answer::from([("serial".to_owned(), serial.to_owned()), ("uptime".to_owned(), format!("{self:p}"))]))
        }

        async fn prepare(&self, _: &Device, _: &Prepare, _: &Variables) -> Result<(), Failure> {
            Ok(())
        }

        async fn deliver(
            &self,
            _: &Device,
            _: &Prepare,
            _: &Variables,
            _: &secrecy::SecretString,
        ) -> Result<(), Failure> {
            Ok(())
        }
    }

    async fn asked(answers: &[&'static str]) -> Result<(), Failure> {
        let line = Line(Mutex::new(answers.iter().copied().collect()));
        let question = Dialogue {
            baud: 115_200,
            send: None,
            expect: regex::bytes::Regex::new("(?P<serial>.+)").unwrap(),
            timeout: Duration::from_secs(1),
            retries: 0,
        };
        let device = Device {
            path: "usb-0:1".parse().unwrap(),
            instance: "1".to_owned(),
            node: Some("/dev/ttyACM0".to_owned()),
            usb: None,
            usb_serial: None,
            interface: None,
            product: None,
            denied: None,
        };
        let first = line.ask(&device, &question, &Variables::new()).await?;
        says_it_twice(&line, &device, &question, &Variables::new(), &first).await
    }

    #[tokio::test]
    async fn a_serial_number_that_was_heard_two_ways_is_nobodys() {
        let garbled = asked(&["A-1004", "A-1001"]).await.unwrap_err();
        assert_eq!(garbled.code, ReasonCode::BOARD_ANSWER);
        assert!(garbled.cause.contains("A-1004") && garbled.cause.contains("A-1001"), "{garbled}");
        assert_eq!(asked(&["A-1001"]).await.unwrap_err().code, ReasonCode::BOARD_SILENT);
        asked(&["A-1001", "A-1001"]).await.unwrap();
    }
}
