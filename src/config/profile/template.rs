//! `[register.template]`: the provisioning template that RegisterThing is given, and its parameters.
//!
//! AWS IoT Core developer guide, "Provisioning templates". The functions are AWS's to perform; what can be told
//! without performing them is told before the line starts.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::config::ca::template_at;
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known, Section};
use crate::domain::ParameterName;
use crate::domain::profile::{CertificateStatus, PARAMETER_VARIABLES, TemplateCertificate, ThingTemplate};

const FUNCTIONS: [&str; 5] = ["Fn::FindInMap", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub"];
const SECTIONS: [&str; 3] = ["Parameters", "Resources", "Mappings"];

/// What the template has to make, as the read-back will judge it. `None`: it could not be read, and nothing is held
/// against it.
pub(super) struct Expected<'a> {
    pub thing_type: Option<bool>,
    pub attributes: Option<BTreeSet<&'a str>>,
    pub status: Option<CertificateStatus>,
    pub policy: Option<&'a str>,
}

/// `with_ca`: the certificate is registered in the name of an own CA. Besides, the file as it was read, once.
pub(super) fn read(entry: &Entry<'_>, known: &Known, with_ca: bool) -> Option<(ThingTemplate, Value)> {
    let section = entry.section("[register.template]")?;
    let body = section.required("file").and_then(|entry| {
        let path = entry.path()?;
        let checked = template_at(&path).and_then(|body| Ok((certificate_of(&body, with_ca)?, body)));
        checked.map_err(|because| entry.report(Mistake::BadFile { key: entry.name.clone(), path, because })).ok()
    });
    let parameters = match section.optional("parameters") {
        Some(entry) => parameters(&entry, known, "[register.template.parameters]"),
        None => Some(BTreeMap::new()),
    };
    let ((certificate, body), parameters) = (body?, parameters?);
    declared_and_given(&section, &body, &parameters)?;
    Some((ThingTemplate { body: body.to_string(), certificate, parameters }, body))
}

/// Nothing that the template says plainly contradicts the profile.
pub(super) fn agrees(entry: &Entry<'_>, body: &Value, expected: &Expected<'_>) -> Option<()> {
    let section = entry.section("[register.template]")?;
    let _ = section.optional("parameters");
    let file = section.optional("file")?;
    let path = file.path()?;
    let agreed = || {
        let resources = body.get("Resources").and_then(Value::as_object).ok_or("holds no \"Resources\"")?;
        agrees_on_thing(properties(one_of(resources, TYPES[0])?)?, expected)?;
        agrees_on_status(properties(one_of(resources, TYPES[1])?)?, expected)?;
        agrees_on_policy(properties(one_of(resources, TYPES[2])?)?, expected)
    };
    agreed().map_err(|because| file.report(Mistake::BadFile { key: file.name.clone(), path, because })).ok()
}

/// Templates by the parameters' names.
pub(super) fn parameters(
    entry: &Entry<'_>,
    known: &Known,
    title: &str,
) -> Option<BTreeMap<ParameterName, crate::domain::Template>> {
    let mut known = known.clone();
    known.names.extend(PARAMETER_VARIABLES.map(str::to_owned));
    let section = entry.section(title)?;
    let read = |(name, value): &(&str, Entry<'_>)| {
        let name = name.parse::<ParameterName>();
        let name = name.map_err(|invalid| value.report(Mistake::Invalid { key: value.name.clone(), invalid })).ok();
        let template = value.template(&known);
        Some((name?, template?))
    };
    section.user_entries().iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// Both ways: what is given and not declared, what has neither a value nor a default.
fn declared_and_given<T>(section: &Section<'_>, body: &Value, given: &BTreeMap<ParameterName, T>) -> Option<()> {
    let none = Map::new();
    let declared = body.get("Parameters").and_then(Value::as_object).unwrap_or(&none);
    let refuse = |because: String| section.report(Mistake::Refused { key: section.name("parameters"), because });
    let strange: Vec<&str> =
        given.keys().map(ParameterName::as_str).filter(|name| !declared.contains_key(*name)).collect();
    if !strange.is_empty() {
        refuse(format!("the template declares no {}", strange.join(", ")));
    }
    let has = |name: &str| given.keys().any(|known| known.as_str() == name);
    let missing: Vec<&str> = declared
        .iter()
        .filter(|(name, spec)| spec.get("Default").is_none() && !has(name))
        .map(|(name, _)| name.as_str())
        .collect();
    if !missing.is_empty() {
        refuse(format!("the template declares {} without a default, and no value is given", missing.join(", ")));
    }
    (strange.is_empty() && missing.is_empty()).then_some(())
}

/// How the template names the certificate, if it is one that makes a unit.
fn certificate_of(body: &Value, with_ca: bool) -> Result<TemplateCertificate, String> {
    let top = body.as_object().ok_or("is no JSON object")?;
    if let Some(other) = top.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
        let because = match other.as_str() {
            "DeviceConfiguration" => "only fleet provisioning answers with one",
            _ => "a provisioning template has Parameters, Resources and Mappings",
        };
        return Err(format!("holds {other:?}: {because}"));
    }
    let none = Map::new();
    let declared = match top.get("Parameters") {
        Some(parameters) => parameters.as_object().ok_or("has \"Parameters\" that are no object")?,
        None => &none,
    };
    for (name, spec) in declared {
        if name.starts_with("AWS::IoT::") {
            return Err(format!("declares {name}, which AWS fills in just-in-time and fleet provisioning only"));
        }
        if spec.get("Type").and_then(Value::as_str) != Some("String") {
            return Err(format!("declares the parameter {name} without \"Type\": \"String\""));
        }
    }
    let resources = top.get("Resources").and_then(Value::as_object).ok_or("holds no \"Resources\"")?;
    for resource in resources.values() {
        well_formed(resource, declared)?;
    }
    let thing = properties(one_of(resources, TYPES[0])?)?;
    let certificate = properties(one_of(resources, TYPES[1])?)?;
    let policy = properties(one_of(resources, TYPES[2])?)?;
    if let Some((name, resource)) = resources.iter().find(|(_, resource)| !is_known(resource)) {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or_default();
        return Err(format!("has the resource {name} of type {kind:?}, which is none of a provisioning template"));
    }
    if !thing.contains_key("ThingName") {
        return Err("has a thing without \"ThingName\"".into());
    }
    if policy.contains_key("PolicyDocument") {
        let because = "AWS names such a policy by a hash; name the profile's by \"PolicyName\"";
        return Err(format!("has a policy with a \"PolicyDocument\": {because}"));
    }
    if !policy.contains_key("PolicyName") {
        return Err("has a policy without \"PolicyName\"".into());
    }
    named_by(certificate, with_ca)
}

const TYPES: [&str; 3] = ["AWS::IoT::Thing", "AWS::IoT::Certificate", "AWS::IoT::Policy"];

fn is_known(resource: &Value) -> bool {
    resource.get("Type").and_then(Value::as_str).is_some_and(|kind| TYPES.contains(&kind))
}

fn one_of<'v>(resources: &'v Map<String, Value>, kind: &str) -> Result<&'v Value, String> {
    let mut found = resources.values().filter(|resource| resource.get("Type").and_then(Value::as_str) == Some(kind));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(format!("has no resource of type {kind}")),
        (Some(_), Some(_)) => Err(format!("has several resources of type {kind}: a unit has one")),
    }
}

fn properties(resource: &Value) -> Result<&Map<String, Value>, String> {
    resource.get("Properties").and_then(Value::as_object).ok_or_else(|| "has a resource without \"Properties\"".into())
}

/// Functions have names that AWS knows, and what they refer to is declared.
fn well_formed(value: &Value, declared: &Map<String, Value>) -> Result<(), String> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| well_formed(item, declared)),
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "Ref" && fields.len() == 1 {
                    let target = value.as_str().ok_or("has a \"Ref\" that names nothing")?;
                    if !declared.contains_key(target) {
                        return Err(format!("refers to {target:?}, which is no parameter of it"));
                    }
                } else if name.starts_with("Fn::") && !FUNCTIONS.contains(&name.as_str()) {
                    return Err(format!("uses {name}; there are {}", FUNCTIONS.join(", ")));
                }
                well_formed(value, declared)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn agrees_on_thing(thing: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), String> {
    match (thing.contains_key("ThingTypeName"), expected.thing_type) {
        (true, Some(false)) => return Err("gives the thing a type, and [register] has no thing_type".into()),
        (false, Some(true)) => return Err("gives the thing no type, and [register] has a thing_type".into()),
        _ => {}
    }
    let none = Value::Object(Map::new());
    let attributes = thing.get("AttributePayload").unwrap_or(&none);
    let (Some(attributes), Some(expected)) = (attributes.as_object(), &expected.attributes) else { return Ok(()) };
    let attributes: BTreeSet<&str> = attributes.keys().map(String::as_str).collect();
    if attributes.iter().any(|name| name.starts_with("Fn::")) || attributes == *expected {
        return Ok(());
    }
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    Err(format!("gives the thing the attributes [{}], [register] has [{}]", list(&attributes), list(expected)))
}

fn agrees_on_policy(policy: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), String> {
    match (policy.get("PolicyName").and_then(Value::as_str), expected.policy) {
        (Some(name), Some(expected)) if name != expected => {
            Err(format!("attaches the policy {name:?}, [register.policy] is {expected:?}"))
        }
        _ => Ok(()),
    }
}

fn agrees_on_status(certificate: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), String> {
    match (certificate.get("Status").and_then(Value::as_str), expected.status) {
        (Some(status), Some(expected)) if !status.eq_ignore_ascii_case(expected.as_str()) => {
            Err(format!("makes the certificate {status}, certificate_status is {}", expected.as_str()))
        }
        _ => Ok(()),
    }
}

fn named_by(certificate: &Map<String, Value>, with_ca: bool) -> Result<TemplateCertificate, String> {
    if !certificate.contains_key("Status") {
        return Err("has a certificate without \"Status\"".into());
    }
    let has = |name: &str| certificate.contains_key(name);
    match (has("CertificateId"), has("CertificatePem"), has("CertificateSigningRequest")) {
        (true, false, false) => Ok(TemplateCertificate::ById),
        (false, true, false) if !with_ca => {
            let because = "AWS takes one so only in the name of a registered CA";
            Err(format!("has a \"CertificatePem\": {because}; name that by \"ca\", or use \"CertificateId\""))
        }
        (false, true, false) => Ok(TemplateCertificate::ByPem),
        (false, false, true) => Err("asks AWS for a certificate; the chip has its own: use \"CertificateId\"".into()),
        _ => Err("names the certificate by none, or several, of CertificateId and CertificatePem".into()),
    }
}
