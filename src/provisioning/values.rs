//! What a profile's templates become for one unit.

use std::collections::BTreeMap;

use super::run::Run;
use crate::audit::event::Decision;
use crate::domain::profile::{Profile, RUN_VARIABLES};
use crate::domain::{
    AttributeName, AttributeValue, Device, Failure, Fingerprint, ParameterName, Product, ReasonCode, Slip, StationName,
    Template, ThingName, TopicName, Unit, Variables, certificate_pem,
};
use crate::ports::Answer;

/// What AWS is going to be told; each value is one that AWS takes.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterValues {
    pub thing: ThingName,
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
}

/// The variables that every template of the run may use.
pub fn variables_of(device: &Device, station: &StationName, unit: &Unit, answer: &Answer) -> Variables {
    let mut variables = answer.clone();
    variables.extend(device_variables(device, station, &unit.product));
    variables.insert("serial".into(), unit.serial.to_string());
    variables
}

/// What is known before the board said a word: for `prepare` and the question itself.
pub fn device_variables(device: &Device, station: &StationName, product: &Product) -> Variables {
    Variables::from([
        ("port".into(), device.node.clone().unwrap_or_default()),
        ("usb_path".into(), device.path.to_string()),
        ("product".into(), product.to_string()),
        ("station".into(), station.to_string()),
    ])
}

pub fn register_values(profile: &Profile, variables: &Variables) -> Result<RegisterValues, Failure> {
    let bad = |cause: String| Failure::new(ReasonCode::CONFIG_VALUE, cause);
    let plan = &profile.register;
    let thing = plan.thing_name.render(variables).map_err(|error| bad(error.to_string()))?;
    let mut attributes = BTreeMap::new();
    for (name, template) in &plan.attributes {
        let text = template.render(variables).map_err(|error| bad(format!("attribute {name}: {error}")))?;
        let value = text.parse::<AttributeValue>().map_err(|error| bad(format!("attribute {name}: {error}")))?;
        attributes.insert(name.clone(), value);
    }
    let thing = thing.parse().map_err(|error| bad(format!("{error}")))?;
    parameter_values(profile, variables, &thing, &[])?;
    Ok(RegisterValues { thing, attributes })
}

/// What the method's provisioning template is told of the unit.
pub fn parameter_values(
    profile: &Profile,
    variables: &Variables,
    thing: &ThingName,
    certificate: &[u8],
) -> Result<BTreeMap<ParameterName, String>, Failure> {
    let method = &profile.register.method;
    let Some(parameters) = method.parameters() else { return Ok(BTreeMap::new()) };
    let mut variables = variables.clone();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("thing", thing.to_string());
    set("certificate_id", Fingerprint::of(certificate).to_string());
    set("certificate_pem", certificate_pem(certificate));
    set("ca_certificate_pem", method.ca().map(|ca| certificate_pem(&ca.certificate)).unwrap_or_default());
    let render = |(name, template): (&ParameterName, &Template)| {
        let bad = |error| Failure::new(ReasonCode::CONFIG_VALUE, format!("parameter {name}: {error}"));
        Ok((name.clone(), template.render(&variables).map_err(bad)?))
    };
    parameters.iter().map(render).collect()
}

/// What the board may be told of itself: the device configuration that AWS answered with, and the run's own variables,
/// which stay what they are whatever a template in AWS calls its keys.
pub fn configure_variables(run: &Run) -> Variables {
    let told = || run.registered.iter().flat_map(|record| &record.device_configuration);
    let mut variables: Variables = told().map(|(name, value)| (name.clone(), value.clone())).collect();
    variables.extend(run.variables.clone());
    let configuration: BTreeMap<&String, &String> = told().collect();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("configuration", serde_json::json!(configuration).to_string());
    set("thing", run.intent.as_ref().map(|intent| intent.thing.to_string()).unwrap_or_default());
    if let Some(certificate) = run.registered_certificate() {
        set("certificate_id", Fingerprint::of(certificate).to_string());
        set("certificate_pem", certificate_pem(certificate));
    }
    variables
}

/// The topics that the unit shall use, and the one that it must not; `None`: it makes no connection.
pub fn connect_values(
    profile: &Profile,
    variables: &Variables,
    thing: &ThingName,
) -> Result<Option<(Vec<TopicName>, TopicName)>, Failure> {
    let Some(plan) = &profile.connect else { return Ok(None) };
    let bad = |cause: String| Failure::new(ReasonCode::CONFIG_VALUE, cause);
    let mut variables = variables.clone();
    variables.insert("thing".to_owned(), thing.to_string());
    let render = |template: &Template| {
        let text = template.render(&variables).map_err(|error| bad(format!("topic: {error}")))?;
        text.parse::<TopicName>().map_err(|error| bad(error.to_string()))
    };
    let topics = plan.topics.iter().map(render).collect::<Result<Vec<_>, _>>()?;
    let refused = render(&plan.refused_topic)?;
    if topics.contains(&refused) {
        return Err(bad(format!("the topic {refused} can't be both allowed and refused")));
    }
    Ok(Some((topics, refused)))
}

/// The variables of a label: those of the run, and what came of it. `operator` is the name of whoever operated
/// the run, which only the people's table knows.
pub fn label_variables(run: &Run, practice: bool, air_gapped: bool, operator: Option<&str>) -> Variables {
    let mut variables: Variables = RUN_VARIABLES.map(|name| (name.to_owned(), String::new())).into();
    // What is known of a board that never told its serial number.
    variables.extend(device_variables(&run.device, &run.station, &run.product));
    variables.extend(run.variables.clone());
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("practice", if practice { "PRACTICE" } else { "" }.to_owned());
    set("batch", run.batch.as_ref().map(ToString::to_string).unwrap_or_default());
    set("lane", run.lane.to_string());
    set("operator", operator.unwrap_or_default().to_owned());
    set("run", run.id.to_string());
    set("copy", run.copy.to_string());
    set("thing", run.intent.as_ref().map(|intent| intent.thing.to_string()).unwrap_or_default());
    let identity = run.claim.as_ref().map(|(identity, _)| identity);
    set("fingerprint", identity.map(|identity| identity.fingerprint.to_string()).unwrap_or_default());
    let uid = identity.and_then(|identity| identity.uid.as_ref());
    set("chip_uid", uid.map(ToString::to_string).unwrap_or_default());
    let decision = run.decision.as_ref();
    let of_certificate = |value: fn(&Decision) -> &String| decision.map(value).cloned().unwrap_or_default();
    set("subject", of_certificate(|decision| &decision.subject));
    set("issuer", of_certificate(|decision| &decision.issuer));
    set("certificate_serial", of_certificate(|decision| &decision.serial));
    set("not_before", of_certificate(|decision| &decision.not_before));
    set("not_after", of_certificate(|decision| &decision.not_after));
    // What AWS calls the unit's certificate, which may be another than its chip's own.
    set("certificate_id", run.registered_fingerprint().map(|registered| registered.to_string()).unwrap_or_default());
    let station = air_gapped.then(|| run.station.clone());
    set("slip", run.slip.map(|number| Slip { number, station }.to_string()).unwrap_or_default());
    let sealed = run.sealed.as_ref();
    set("verdict", sealed.map(|sealed| sealed.verdict.as_str().to_owned()).unwrap_or_default());
    let at = |format: &str| sealed.map(|sealed| sealed.at.strftime(format).to_string()).unwrap_or_default();
    set("time", at("%Y-%m-%dT%H:%M:%SZ"));
    set("date", at("%Y-%m-%d"));
    let reason = sealed.and_then(|sealed| sealed.reason.as_ref());
    set("reason", reason.map(|reason| reason.code.to_string()).unwrap_or_default());
    variables
}
