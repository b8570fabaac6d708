//! What was seen against what the unit shall have: whose is it, and what is missing. Pure.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iot::types::CertificateStatus as AwsStatus;

use super::look::{Seen, SeenCa, SeenCertificate, SeenReplaced, SeenThing, SeenThingType, holds};
use crate::domain::profile::{CertificateStatus, Method};
use crate::domain::{Failure, Fingerprint, ReasonCode, SigningCa, TargetName};
use crate::ports::Registration;

/// What a registration consists of, in the order in which it can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A certificate of the unit's past is still on the thing, has our policy, or is not INACTIVE.
    ReplacedOnThing(Fingerprint),
    ReplacedPolicy(Fingerprint),
    ReplacedStatus(Fingerprint),
    ThingType,
    Certificate,
    /// Our certificate is there, INACTIVE, and shall be ACTIVE.
    CertificateStatus,
    Thing,
    Policy,
    PolicyAttachment,
    ThingAttachment,
    ThingGroups,
}

impl Part {
    /// As it stands in the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Part::ReplacedOnThing(_) => "replaced-thing-attachment",
            Part::ReplacedPolicy(_) => "replaced-policy-attachment",
            Part::ReplacedStatus(_) => "replaced-certificate-status",
            Part::ThingType => "thing-type",
            Part::Certificate => "certificate",
            Part::CertificateStatus => "certificate-status",
            Part::Thing => "thing",
            Part::Policy => "policy",
            Part::PolicyAttachment => "policy-attachment",
            Part::ThingAttachment => "thing-attachment",
            Part::ThingGroups => "thing-groups",
        }
    }

    /// The certificate of the unit's past that it is about.
    pub(super) fn replaced(self) -> Option<Fingerprint> {
        match self {
            Part::ReplacedOnThing(old) | Part::ReplacedPolicy(old) | Part::ReplacedStatus(old) => Some(old),
            _ => None,
        }
    }
}

/// What of `wanted` is missing; an error if anything is there that is foreign or that only a person
/// may change. `document` is the wanted policy, parsed.
///
/// What is foreign is told before what merely differs: it is the graver finding.
pub(super) fn judge(
    seen: &Seen,
    wanted: &Registration,
    document: &serde_json::Value,
) -> Result<BTreeSet<Part>, Failure> {
    let mut missing = BTreeSet::new();
    let ours = |principal: &&String| is_certificate(principal, &wanted.fingerprint);
    let past = |principal: &&String| wanted.replaces.iter().any(|old| is_certificate(principal, old));

    let known = |arn: &str| wanted.replaces.iter().any(|old| is_certificate(arn, old));
    if let Some(twin) = seen.twin.as_ref().filter(|twin| !known(&twin.arn)) {
        let cause = format!("certificate {} is registered in its other form, as {}", wanted.fingerprint, twin.id);
        return Err(named(ReasonCode::CERTIFICATE_FOREIGN, wanted, cause).with("other", &twin.id));
    }
    if let Some(other) = seen.things.iter().find(|thing| thing.as_str() != wanted.thing.as_str()) {
        let cause = format!("certificate {} is attached to thing {other:?}", wanted.fingerprint);
        return Err(named(ReasonCode::CERTIFICATE_FOREIGN, wanted, cause).with("other", other));
    }
    if let Some(other) = seen.principals.iter().find(|principal| !ours(principal) && !past(principal)) {
        let cause = format!("thing {} has the principal {other:?}", wanted.thing);
        return Err(named(ReasonCode::THING_FOREIGN, wanted, cause).with("other", other));
    }
    for old in &seen.replaced {
        missing.extend(judge_replaced(old, wanted)?);
    }
    let on_thing = |old: &&Fingerprint| seen.principals.iter().any(|principal| is_certificate(principal, old));
    missing.extend(wanted.replaces.iter().filter(on_thing).map(|old| Part::ReplacedOnThing(*old)));
    let attached = seen.principals.iter().any(|principal| ours(&principal));
    match &seen.thing {
        Some(thing) => judge_thing(thing, !seen.principals.is_empty(), wanted)?,
        None => {
            missing.insert(Part::Thing);
            match seen.thing_type {
                SeenThingType::Absent => {
                    missing.insert(Part::ThingType);
                }
                SeenThingType::Deprecated => {
                    let cause = format!("thing type {:?} is deprecated: no thing can be made with it", type_of(wanted));
                    return Err(named(ReasonCode::CLOUD_THING_TYPE, wanted, cause));
                }
                SeenThingType::Usable | SeenThingType::Unasked => {}
            }
        }
    }
    match &seen.certificate {
        Some(certificate) => missing.extend(judge_certificate(certificate, wanted)?),
        None => {
            judge_ca(&seen.ca, wanted)?;
            missing.insert(Part::Certificate);
        }
    }
    match &seen.policy {
        Some(text) if serde_json::from_str::<serde_json::Value>(text).is_ok_and(|found| found == *document) => {}
        Some(_) => {
            let cause = format!("policy {} holds another document than the profile's", wanted.policy.name);
            return Err(named(ReasonCode::POLICY_DIFFERS, wanted, cause).with("policy", &wanted.policy.name));
        }
        None => {
            missing.insert(Part::Policy);
        }
    }
    if let Some(other) = seen.attached_policies.iter().find(|name| name.as_str() != wanted.policy.name.as_str()) {
        let cause = format!("certificate {} also has the policy {other:?}", wanted.fingerprint);
        // Of what AWS made by itself, nobody else's hand is the cause.
        let code = if is_joining(wanted) { ReasonCode::JOIN_OTHERWISE } else { ReasonCode::CLOUD_STATUS };
        return Err(named(code, wanted, cause).with("other", other));
    }
    if seen.attached_policies.is_empty() {
        missing.insert(Part::PolicyAttachment);
    }
    // Both directions: each list is a reading of its own, and both must have it.
    if !attached || seen.things.is_empty() {
        missing.insert(Part::ThingAttachment);
    }
    if wanted.groups.iter().any(|group| !seen.groups.iter().any(|found| found == group.as_str())) {
        missing.insert(Part::ThingGroups);
    }
    Ok(missing)
}

/// What is left of a certificate that the unit had before. Other policies on it are not ours, and do no
/// harm where it is INACTIVE.
fn judge_replaced(old: &SeenReplaced, wanted: &Registration) -> Result<Vec<Part>, Failure> {
    let SeenReplaced { fingerprint, things, policies, .. } = old;
    if let Some(other) = things.iter().find(|thing| thing.as_str() != wanted.thing.as_str()) {
        let cause = format!("certificate {fingerprint}, which this unit had before, is attached to thing {other:?}");
        return Err(named(ReasonCode::CERTIFICATE_FOREIGN, wanted, cause).with("other", other));
    }
    let ours = |name: &String| name.as_str() == wanted.policy.name.as_str();
    let parts = [
        (!things.is_empty(), Part::ReplacedOnThing(*fingerprint)),
        (policies.iter().any(ours), Part::ReplacedPolicy(*fingerprint)),
        (status_to_change(old, wanted)?, Part::ReplacedStatus(*fingerprint)),
    ];
    Ok(parts.into_iter().filter_map(|(left, part)| left.then_some(part)).collect())
}

fn status_to_change(old: &SeenReplaced, wanted: &Registration) -> Result<bool, Failure> {
    match &old.status {
        Some(AwsStatus::Active) => Ok(true),
        // What is revoked connects as little, and is not ours to undo.
        Some(AwsStatus::Inactive | AwsStatus::Revoked) => Ok(false),
        // Given to a connection that is over: nothing makes it ACTIVE any more.
        Some(AwsStatus::PendingActivation) if wanted.method.fleet().is_some() => Ok(false),
        status => {
            let status = status.as_ref().map_or("of no known status", AwsStatus::as_str);
            let cause = format!("certificate {}, which this unit had before, is {status}", old.fingerprint);
            Err(named(ReasonCode::CLOUD_STATUS, wanted, cause).with("other", status))
        }
    }
}

/// All parts that `wanted` consists of, for the record of what was found.
pub(super) fn parts(wanted: &Registration) -> BTreeSet<Part> {
    let mut all =
        BTreeSet::from([Part::Certificate, Part::Thing, Part::Policy, Part::PolicyAttachment, Part::ThingAttachment]);
    if wanted.thing_type.is_some() {
        all.insert(Part::ThingType);
    }
    if !wanted.groups.is_empty() {
        all.insert(Part::ThingGroups);
    }
    all
}

/// A thing without a certificate of the unit on it is ours only if it is exactly what we would have made.
fn judge_thing(thing: &SeenThing, attached: bool, wanted: &Registration) -> Result<(), Failure> {
    let wanted_attributes: BTreeMap<String, String> =
        wanted.attributes.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned())).collect();
    let same_type = thing.thing_type.as_deref() == type_of(wanted);
    if same_type && thing.attributes == wanted_attributes {
        return Ok(());
    }
    let found = format!("type {:?} and attributes {:?}", thing.thing_type, thing.attributes);
    let asked = format!("type {:?} and attributes {wanted_attributes:?}", type_of(wanted));
    let cause = format!("thing {} has {found}, the profile asks for {asked}", wanted.thing);
    Err(match (attached, same_type) {
        (false, _) => named(ReasonCode::THING_FOREIGN, wanted, cause).with("other", &thing.id),
        (true, false) => named(ReasonCode::CLOUD_THING_TYPE, wanted, cause),
        (true, true) => named(ReasonCode::CLOUD_STATUS, wanted, cause).with("other", &thing.id),
    })
}

fn judge_certificate(found: &SeenCertificate, wanted: &Registration) -> Result<Option<Part>, Failure> {
    if found.id != wanted.fingerprint.to_string() || !holds(&found.pem, &wanted.certificate) {
        let cause = format!("certificate {} is another one in the cloud", found.id);
        return Err(named(ReasonCode::CLOUD_CERTIFICATE, wanted, cause));
    }
    if let Some(ca) = wanted.method.ca().filter(|ca| found.ca.as_deref() != Some(&ca.fingerprint.to_string())) {
        let under = found.ca.as_deref().map_or("without a CA".to_owned(), |other| format!("under the CA {other}"));
        let cause = format!(
            "certificate {} is registered {under}, the profile asks for CA {} ({})",
            found.id, ca.name, ca.fingerprint
        );
        return Err(named(ReasonCode::CERTIFICATE_OTHER_CA, wanted, cause).with("ca", &ca.name));
    }
    match (&found.status, wanted.certificate_status) {
        (Some(AwsStatus::Active), CertificateStatus::Active) => Ok(None),
        (Some(AwsStatus::Inactive), CertificateStatus::Inactive) => Ok(None),
        (Some(AwsStatus::PendingActivation), CertificateStatus::Active) if is_joining(wanted) => {
            Ok(Some(Part::CertificateStatus))
        }
        (Some(AwsStatus::PendingActivation), _) if wanted.method.fleet().is_some() => Ok(Some(Part::CertificateStatus)),
        (Some(AwsStatus::Inactive), CertificateStatus::Active) => Ok(Some(Part::CertificateStatus)),
        // Someone activated it, revoked it, or is giving it away: not this station's to undo.
        (status, asked) => {
            let status = status.as_ref().map_or("of no known status", AwsStatus::as_str);
            let cause = format!("certificate {} is {status}, the profile asks for {}", found.id, asked.as_str());
            Err(named(ReasonCode::CLOUD_STATUS, wanted, cause).with("other", status))
        }
    }
}

/// No certificate can be registered in the name of a CA that the target does not know, or does not let sign.
fn judge_ca(seen: &SeenCa, wanted: &Registration) -> Result<(), Failure> {
    match wanted.method.ca() {
        Some(ca) => usable(seen, ca, &wanted.target),
        None => Ok(()),
    }
}

/// `A-331`, `A-332`, `A-323`.
pub(super) fn usable(seen: &SeenCa, ca: &SigningCa, target: &TargetName) -> Result<(), Failure> {
    let SigningCa { name, fingerprint, .. } = ca;
    let (code, cause) = match seen {
        SeenCa::Active { .. } | SeenCa::Unasked => return Ok(()),
        SeenCa::Absent => (ReasonCode::CA_ABSENT, format!("CA {name} ({fingerprint}) is not registered there")),
        SeenCa::NotActive(status) => (ReasonCode::CA_INACTIVE, format!("CA {name} ({fingerprint}) is {status}")),
        SeenCa::Other => {
            (ReasonCode::CLOUD_CERTIFICATE, format!("what AWS holds as {fingerprint} is not the certificate of {name}"))
        }
    };
    Err(Failure::new(code, cause).with("target", target).with("ca", name))
}

/// `A-357`.
pub(super) fn joins(seen: &SeenCa, ca: &SigningCa, target: &TargetName) -> Result<(), Failure> {
    if *seen != (SeenCa::Active { joins: false }) {
        return Ok(());
    }
    let cause = format!("CA {} ({}) is ACTIVE, and its auto-registration is off", ca.name, ca.fingerprint);
    Err(Failure::new(ReasonCode::JOIN_OFF, cause).with("target", target).with("ca", &ca.name))
}

/// Is the principal (an ARN) this certificate? Account and Region are the client's own.
pub(super) fn is_certificate(principal: &str, certificate: &Fingerprint) -> bool {
    principal.rsplit_once(":cert/").is_some_and(|(_, id)| id == certificate.to_string())
}

/// AWS registers the unit by itself.
pub(super) fn is_joining(wanted: &Registration) -> bool {
    matches!(wanted.method, Method::JustInTime(_)) || wanted.method.fleet().is_some()
}

fn type_of(wanted: &Registration) -> Option<&str> {
    wanted.thing_type.as_ref().map(|name| name.as_str())
}

fn named(code: ReasonCode, wanted: &Registration, cause: String) -> Failure {
    Failure::new(code, cause).with("target", &wanted.target).with("thing", &wanted.thing)
}

#[cfg(test)]
mod tests;
