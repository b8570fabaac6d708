//! Making what is missing, and taking off what the unit no longer is; nothing else.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_iot::types::{AttributePayload, CertificateStatus as AwsStatus, ThingPrincipalType};
use tokio::time::Instant;

use super::call::{Link, Refused, pause_after};
use super::judge::{Part, is_certificate, usable};
use super::look::{SeenReplaced, fetch_ca, fetch_certificate, incomplete};
use super::quota::Action;
use crate::domain::profile::{CertificateStatus, Registrar, TemplateCertificate, ThingTemplate};
use crate::domain::{Failure, Fingerprint, ReasonCode, SigningCa, certificate_pem};
use crate::ports::Registration;

/// What this registration has written so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Written, or found to be there while writing: not written again, only looked for.
    pub tried: BTreeSet<Part>,
    pub made: BTreeSet<Part>,
    pub certificate_arn: Option<String>,
    /// This registration made the certificate (or made it ACTIVE), or may have.
    pub certificate_left: bool,
    /// RegisterThing has done what it does.
    pub template_applied: bool,
    /// Why AWS did not take the template, which may have been for what it did not see yet.
    pub template_refused: Option<Failure>,
}

/// The end of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrote {
    Made,
    /// Somebody was faster. Whose it is, the next look tells.
    Exists,
    /// Something it builds on was just made and is not visible yet.
    NotYet,
}

/// Writes `parts`, independent ones side by side. What was made is noted in `progress` whatever
/// becomes of the rest.
pub(super) async fn write(
    link: &Link,
    wanted: &Registration,
    parts: &BTreeSet<Part>,
    replaced: &[SeenReplaced],
    progress: &mut Progress,
    by: Instant,
) -> Result<(), Failure> {
    // The old one first: a unit that is cut off here has no certificate, never two.
    for old in replaced {
        let fingerprint = old.fingerprint;
        let all = [Part::ReplacedOnThing, Part::ReplacedPolicy, Part::ReplacedStatus].map(|part| part(fingerprint));
        let [thing, policy, status] = all.map(|part| parts.contains(&part));
        let (off_thing, off_policy, inactive) = tokio::join!(
            when(thing, detach_thing(link, wanted.thing.as_str(), &old.arn, by)),
            when(policy, detach_policy(link, wanted.policy.name.as_str(), &old.arn, by)),
            when(status, retire(link, &fingerprint, by)),
        );
        let [thing, policy, status] = all;
        progress.note_all([(thing, off_thing), (policy, off_policy), (status, inactive)])?;
    }
    if parts.contains(&Part::ThingType) {
        let wrote = create_thing_type(link, wanted, by).await;
        progress.note(Part::ThingType, wrote)?;
    }

    let template = wanted.method.template();
    let by_template = template.map(|template| by_template(template, parts)).unwrap_or_default();
    let alone = |part| parts.contains(&part) && !by_template.contains(&part);
    let (certificate, status, thing, policy) = tokio::join!(
        when(alone(Part::Certificate), register_certificate(link, wanted, by)),
        when(parts.contains(&Part::CertificateStatus), activate(link, wanted, by)),
        when(alone(Part::Thing), create_thing(link, wanted, by)),
        when(parts.contains(&Part::Policy), create_policy(link, wanted, by)),
    );
    let certificate = certificate.map(|registered| {
        progress.certificate_left |= registered.left;
        if registered.arn.is_some() {
            progress.certificate_arn = registered.arn;
        }
        registered.wrote
    });
    let status = status.map(|(wrote, left)| {
        progress.certificate_left |= left;
        wrote
    });
    let ends = [
        (Part::Certificate, certificate),
        (Part::CertificateStatus, status),
        (Part::Thing, thing),
        (Part::Policy, policy),
    ];
    progress.note_all(ends)?;

    if let Some(template) = template.filter(|_| !by_template.is_empty()) {
        return register_thing(link, wanted, template, by_template, progress, by).await;
    }
    let Some(arn) = progress.certificate_arn.clone() else {
        return Ok(());
    };
    let (policy, thing) = tokio::join!(
        when(parts.contains(&Part::PolicyAttachment), attach_policy(link, wanted, &arn, by)),
        when(parts.contains(&Part::ThingAttachment), attach_thing(link, wanted, &arn, by)),
    );
    progress.note_all([(Part::PolicyAttachment, policy), (Part::ThingAttachment, thing)])
}

/// Sets a certificate INACTIVE until it is seen to be: whoever answers for AWS with a 200 has done nothing. One that
/// was registered a moment ago may not be visible yet, so "not found" is believed at the deadline only.
pub(super) async fn deactivate(link: &Link, certificate: &Fingerprint, by: Instant) -> Result<(), Failure> {
    let mut attempts = 0;
    loop {
        let (seen, missed) = match update_status(link, certificate, AwsStatus::Inactive, by).await {
            Ok(()) => (fetch_certificate(link, certificate, by).await?, ReasonCode::CLOUD_NOT_YET),
            Err(refused) if refused.answer.as_ref().is_some_and(|error| error.is_resource_not_found_exception()) => {
                (None, ReasonCode::CERTIFICATE_ABSENT)
            }
            Err(refused) => return Err(refused.failure),
        };
        let status = seen.as_ref().and_then(|seen| seen.status.as_ref());
        if matches!(status, Some(AwsStatus::Inactive | AwsStatus::Revoked)) {
            return Ok(());
        }
        attempts += 1;
        let pause = pause_after(attempts);
        if Instant::now() + pause >= by {
            let cause = match status {
                Some(status) => {
                    format!("certificate {certificate} was to be set INACTIVE, and is {} still", status.as_str())
                }
                None => format!("certificate {certificate} is not there to be set INACTIVE"),
            };
            return Err(Failure::new(missed, cause).with("target", &link.target));
        }
        tokio::time::sleep(pause).await;
    }
}

impl Progress {
    fn note(&mut self, part: Part, wrote: Result<Wrote, Failure>) -> Result<(), Failure> {
        match wrote? {
            Wrote::Made => {
                self.tried.insert(part);
                self.made.insert(part);
            }
            Wrote::Exists => {
                self.tried.insert(part);
            }
            Wrote::NotYet => {}
        }
        Ok(())
    }

    /// Notes every end, then gives the first failure.
    fn note_all<const N: usize>(&mut self, ends: [(Part, Option<Result<Wrote, Failure>>); N]) -> Result<(), Failure> {
        let mut first = Ok(());
        for (part, wrote) in ends {
            if let Some(wrote) = wrote {
                first = first.and(self.note(part, wrote));
            }
        }
        first
    }
}

/// How registering the certificate ended.
struct Registered {
    wrote: Result<Wrote, Failure>,
    arn: Option<String>,
    left: bool,
}

async fn register_certificate(link: &Link, wanted: &Registration, by: Instant) -> Registered {
    let pem = certificate_pem(&wanted.certificate);
    let status = match wanted.certificate_status {
        CertificateStatus::Active => AwsStatus::Active,
        CertificateStatus::Inactive => AwsStatus::Inactive,
    };
    match wanted.method.registrar() {
        // It was there when it was made, and has only to be seen.
        Registrar::Aws => Registered { wrote: Ok(Wrote::NotYet), arn: None, left: false },
        Registrar::Station => {
            let send =
                || link.client.register_certificate_without_ca().certificate_pem(&pem).status(status.clone()).send();
            let action = Action::RegisterCertificateWithoutCa;
            let answer = link.call(action, by, send).await;
            let made = answer.map(|answer| (answer.certificate_arn, answer.certificate_id));
            registered(link, wanted, action, made, |error| error.is_resource_already_exists_exception())
        }
        Registrar::InNameOf(ca) => {
            let ca_pem = certificate_pem(&ca.certificate);
            let request = || {
                let request = link.client.register_certificate().certificate_pem(&pem);
                request.ca_certificate_pem(&ca_pem).status(status.clone()).send()
            };
            let action = Action::RegisterCertificate;
            let answer = link.call(action, by, request).await;
            let refused = matches!(&answer, Err(Refused { answer: Some(error), .. })
                if error.is_certificate_state_exception());
            let made = answer.map(|answer| (answer.certificate_arn, answer.certificate_id));
            let end = registered(link, wanted, action, made, |error| error.is_resource_already_exists_exception());
            if refused { because_of_ca(link, ca, end, by).await } else { end }
        }
    }
}

/// What RegisterThing makes of `parts`.
fn by_template(template: &ThingTemplate, parts: &BTreeSet<Part>) -> BTreeSet<Part> {
    let made = |part: &Part| match part {
        Part::Thing | Part::PolicyAttachment | Part::ThingAttachment => true,
        Part::Certificate => template.certificate == TemplateCertificate::ByPem,
        _ => false,
    };
    parts.iter().copied().filter(made).collect()
}

/// One call in the place of the single writes.
async fn register_thing(
    link: &Link,
    wanted: &Registration,
    template: &ThingTemplate,
    parts: BTreeSet<Part>,
    progress: &mut Progress,
    by: Instant,
) -> Result<(), Failure> {
    let parameters: HashMap<String, String> =
        wanted.parameters.iter().map(|(name, value)| (name.as_str().to_owned(), value.clone())).collect();
    let send = || {
        let request = link.client.register_thing().template_body(&template.body);
        request.set_parameters(Some(parameters.clone())).send()
    };
    let registers = parts.contains(&Part::Certificate);
    let Refused { failure, answer, lost } = match link.call(Action::RegisterThing, by, send).await {
        Ok(answer) => {
            progress.certificate_left |= registers;
            progress.template_applied = true;
            progress.tried.extend(parts.iter().copied());
            progress.made.extend(parts);
            return match certificate_in(answer.resource_arns.as_ref()) {
                Some(arn) if !is_certificate(arn, &wanted.fingerprint) => {
                    let cause = format!("RegisterThing registered {arn}, the unit's is {}", wanted.fingerprint);
                    Err(Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &link.target))
                }
                _ => Ok(()),
            };
        }
        Err(refused) => refused,
    };
    progress.certificate_left |= registers && lost;
    match answer {
        Some(error) if error.is_resource_registration_failure_exception() || error.is_invalid_request_exception() => {
            let failure = Failure { code: ReasonCode::TEMPLATE_REFUSED, ..failure };
            if error.is_invalid_request_exception() || progress.made.is_empty() {
                return Err(failure);
            }
            // What was made a moment ago may not be visible to it yet.
            progress.template_refused = Some(failure);
            Ok(())
        }
        _ => Err(failure),
    }
}

fn certificate_in(arns: Option<&HashMap<String, String>>) -> Option<&str> {
    arns?.values().map(String::as_str).find(|arn| arn.contains(":cert/"))
}

/// AWS says the same of a CA that is gone, of one that is not ACTIVE, and of a certificate that it can't take.
async fn because_of_ca(link: &Link, ca: &SigningCa, end: Registered, by: Instant) -> Registered {
    let seen = fetch_ca(link, ca, by).await;
    match seen.and_then(|seen| usable(&seen, ca, &link.target)) {
        Ok(()) => end,
        Err(failure) => Registered { wrote: Err(failure), ..end },
    }
}

/// What AWS's answer (ARN and id of the certificate) comes to.
fn registered<E>(
    link: &Link,
    wanted: &Registration,
    action: Action,
    answer: Result<(Option<String>, Option<String>), Refused<E>>,
    exists: impl FnOnce(&E) -> bool,
) -> Registered {
    let failed = |failure, left| Registered { wrote: Err(failure), arn: None, left };
    match answer {
        Ok((Some(arn), Some(id))) => {
            if id != wanted.fingerprint.to_string() {
                let cause = format!("AWS calls the certificate {id}, its DER hashes to {}", wanted.fingerprint);
                let failure = Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &link.target);
                return failed(failure, true);
            }
            match link.is_at_home(&arn) {
                Ok(()) => Registered { wrote: Ok(Wrote::Made), arn: Some(arn), left: true },
                Err(failure) => failed(failure, true),
            }
        }
        Ok(_) => failed(incomplete(link, action), true),
        Err(Refused { failure, answer, lost }) => match answer {
            Some(error) if exists(&error) => {
                // After an attempt of ours that nobody answered, it is that attempt's.
                let wrote = if lost { Wrote::Made } else { Wrote::Exists };
                Registered { wrote: Ok(wrote), arn: None, left: lost }
            }
            _ => failed(failure, lost),
        },
    }
}

/// The unit has claimed this identity, so an INACTIVE certificate is what an earlier run of its own
/// left behind. The second value: is it, or may it be, ACTIVE through this call?
async fn activate(link: &Link, wanted: &Registration, by: Instant) -> (Result<Wrote, Failure>, bool) {
    match update_status(link, &wanted.fingerprint, AwsStatus::Active, by).await {
        Ok(()) => (Ok(Wrote::Made), true),
        Err(refused) => (Err(refused.failure), refused.lost),
    }
}

async fn update_status(
    link: &Link,
    certificate: &Fingerprint,
    status: AwsStatus,
    by: Instant,
) -> Result<(), Refused<aws_sdk_iot::operation::update_certificate::UpdateCertificateError>> {
    let id = certificate.to_string();
    let send = || link.client.update_certificate().certificate_id(&id).new_status(status.clone()).send();
    link.call(Action::UpdateCertificate, by, send).await.map(drop)
}

async fn create_thing_type(link: &Link, wanted: &Registration, by: Instant) -> Result<Wrote, Failure> {
    let name = wanted.thing_type.as_ref().map(|name| name.as_str().to_owned());
    let send = || link.client.create_thing_type().set_thing_type_name(name.clone()).send();
    let answer = link.call(Action::CreateThingType, by, send).await;
    wrote(answer, |error| error.is_resource_already_exists_exception(), |_| false)
}

async fn create_thing(link: &Link, wanted: &Registration, by: Instant) -> Result<Wrote, Failure> {
    let attributes =
        wanted.attributes.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_str().to_owned())).collect();
    let payload = AttributePayload::builder().set_attributes(Some(attributes)).build();
    let send = || {
        link.client
            .create_thing()
            .thing_name(wanted.thing.as_str())
            .set_thing_type_name(wanted.thing_type.as_ref().map(|name| name.as_str().to_owned()))
            .attribute_payload(payload.clone())
            .send()
    };
    let answer = link.call(Action::CreateThing, by, send).await;
    // Not found is the thing type, made a moment ago.
    let existing =
        |error: &aws_sdk_iot::operation::create_thing::CreateThingError| error.is_resource_already_exists_exception();
    wrote(answer, existing, |error| error.is_resource_not_found_exception())
}

async fn create_policy(link: &Link, wanted: &Registration, by: Instant) -> Result<Wrote, Failure> {
    let send = || {
        link.client
            .create_policy()
            .policy_name(wanted.policy.name.as_str())
            .policy_document(&wanted.policy.document)
            .send()
    };
    let answer = link.call(Action::CreatePolicy, by, send).await;
    wrote(answer, |error| error.is_resource_already_exists_exception(), |_| false)
}

async fn attach_policy(link: &Link, wanted: &Registration, arn: &str, by: Instant) -> Result<Wrote, Failure> {
    let send = || link.client.attach_policy().policy_name(wanted.policy.name.as_str()).target(arn).send();
    let answer = link.call(Action::AttachPolicy, by, send).await;
    wrote(answer, |_| false, |error| error.is_resource_not_found_exception())
}

async fn attach_thing(link: &Link, wanted: &Registration, arn: &str, by: Instant) -> Result<Wrote, Failure> {
    // The certificate is this thing's alone, and AWS itself is to see to it.
    let send = || {
        let request = link.client.attach_thing_principal().thing_name(wanted.thing.as_str()).principal(arn);
        request.thing_principal_type(ThingPrincipalType::ExclusiveThing).send()
    };
    let answer = link.call(Action::AttachThingPrincipal, by, send).await;
    wrote(answer, |_| false, |error| error.is_resource_not_found_exception())
}

pub(super) async fn detach_policy(link: &Link, policy: &str, arn: &str, by: Instant) -> Result<Wrote, Failure> {
    let send = || link.client.detach_policy().policy_name(policy).target(arn).send();
    let answer = link.call(Action::DetachPolicy, by, send).await;
    wrote(answer, |_| false, |_| false)
}

pub(super) async fn detach_thing(link: &Link, thing: &str, arn: &str, by: Instant) -> Result<Wrote, Failure> {
    let send = || link.client.detach_thing_principal().thing_name(thing).principal(arn).send();
    let answer = link.call(Action::DetachThingPrincipal, by, send).await;
    // Not found: somebody was faster.
    wrote(answer, |error| error.is_resource_not_found_exception(), |_| false)
}

async fn retire(link: &Link, certificate: &Fingerprint, by: Instant) -> Result<Wrote, Failure> {
    let answer = update_status(link, certificate, AwsStatus::Inactive, by).await;
    answer.map(|()| Wrote::Made).map_err(|refused| refused.failure)
}

/// What AWS refuses as long as anything is attached to it, or seems to be: a detachment takes its time.
pub(super) async fn delete_certificate(link: &Link, certificate: &Fingerprint, by: Instant) -> Result<Wrote, Failure> {
    let id = certificate.to_string();
    let answer =
        link.call(Action::DeleteCertificate, by, || link.client.delete_certificate().certificate_id(&id).send());
    wrote(
        answer.await,
        |error| error.is_resource_not_found_exception(),
        |error| error.is_delete_conflict_exception() || error.is_certificate_state_exception(),
    )
}

/// Likewise.
pub(super) async fn delete_thing(link: &Link, thing: &str, by: Instant) -> Result<Wrote, Failure> {
    let answer = link.call(Action::DeleteThing, by, || link.client.delete_thing().thing_name(thing).send());
    wrote(answer.await, |error| error.is_resource_not_found_exception(), |error| error.is_invalid_request_exception())
}

fn wrote<T, E>(
    answer: Result<T, Refused<E>>,
    exists: impl FnOnce(&E) -> bool,
    not_yet: impl FnOnce(&E) -> bool,
) -> Result<Wrote, Failure> {
    match answer {
        Ok(_) => Ok(Wrote::Made),
        Err(Refused { failure, answer, lost }) => match answer.as_deref() {
            Some(error) if exists(error) => Ok(if lost { Wrote::Made } else { Wrote::Exists }),
            Some(error) if not_yet(error) => Ok(Wrote::NotYet),
            _ => Err(failure),
        },
    }
}

async fn when<T>(asked: bool, write: impl Future<Output = T>) -> Option<T> {
    if asked { Some(write.await) } else { None }
}
