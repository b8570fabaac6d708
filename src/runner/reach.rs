//! The way to a board's chip: its serial number, then its token.

use crate::domain::profile::{IdentifySource, Prepare, Profile, TokenPlan};
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
    variables.extend(answer.clone());
    // Whatever a command would refuse is found before any of them is started.
    let token = profile.token.command.as_ref();
    commands(profile, true).chain(token).try_for_each(|command| command_line(command, &variables).map(drop))?;
    for prepare in profile.prepare.iter().filter(|prepare| prepare.needs_answer()) {
        dialogue.prepare(device, prepare, &variables).await?;
    }
    Ok(answer)
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
        call_timeout: plan.call_timeout,
        open_timeout: plan.open_timeout,
    })
}
