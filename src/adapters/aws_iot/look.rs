//! What a target holds for one unit, read and not interpreted.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_iot::types::{AutoRegistrationStatus, CaCertificateStatus, CertificateStatus, ThingPrincipalType};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::Instant;

use super::call::{Link, Refused};
use super::quota::Action;
use crate::audit::event::Attachment;
use crate::domain::{Failure, Fingerprint, ReasonCode, SigningCa};
use crate::ports::Registration;

/// What was seen of a thing type or CA is believed for so long: they are shared by thousands of units, and every
/// call spent on them is one that no unit gets.
const BELIEVED_FOR: Duration = Duration::from_secs(300);
/// A policy, which says what a unit may do, and which anybody with the right may change under it.
const POLICY_BELIEVED_FOR: Duration = Duration::from_secs(60);
/// One lane asks; the others go on meanwhile with what they know.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// What nothing depends on takes no unit's time.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
pub(super) const DATA_ENDPOINT: &str = "iot:Data-ATS";

/// Everything that concerns one unit in one target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub certificate: Option<SeenCertificate>,
    pub ca: SeenCa,
    /// The certificate in its other form; looked for before anything was made.
    pub twin: Option<SeenCertificate>,
    pub thing: Option<SeenThing>,
    pub thing_type: SeenThingType,
    /// The policy's document, as text.
    pub policy: Option<String>,
    /// Principals of the thing, e.g. certificate ARNs.
    pub principals: Vec<String>,
    /// Names of the things that the certificate is attached to.
    pub things: Vec<String>,
    /// Names of the policies attached to the certificate.
    pub attached_policies: Vec<String>,
    /// What is there of the certificates that rulings took from the unit.
    pub replaced: Vec<SeenReplaced>,
    /// Host name (and port, with local stand-ins) of the data endpoint.
    pub endpoint: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenCertificate {
    pub arn: String,
    pub id: String,
    pub status: Option<CertificateStatus>,
    pub pem: String,
    /// The id of the CA in whose name it was registered.
    pub ca: Option<String>,
}

/// The CA of the method `with-ca`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SeenCa {
    /// The method asks for none.
    Unasked,
    Absent,
    /// As AWS calls its status.
    NotActive(String),
    /// Another certificate under the id of ours.
    Other,
    /// `joins`: AWS itself registers certificates of it when they are first seen.
    Active {
        joins: bool,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenReplaced {
    pub fingerprint: Fingerprint,
    pub arn: String,
    pub status: Option<CertificateStatus>,
    /// Names of the things and policies that it is still attached to.
    pub things: Vec<String>,
    pub policies: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeenThing {
    pub arn: String,
    pub id: String,
    pub thing_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeenThingType {
    /// The profile names none.
    Unasked,
    Absent,
    Usable,
    Deprecated,
}

/// What rarely changes in a target.
#[derive(Debug, Default)]
pub(super) struct Cache {
    endpoint: Option<String>,
    /// By name.
    policies: HashMap<String, KnownPolicy>,
    /// Usable thing types.
    thing_types: HashMap<String, Instant>,
    /// ACTIVE CAs, and whether they have auto-registration.
    cas: HashMap<Fingerprint, (bool, Instant)>,
    /// Since when the target has not told how certificates are attached.
    attachments_untold: Option<Instant>,
}

/// A policy's document, as AWS answered.
#[derive(Debug)]
struct KnownPolicy {
    document: String,
    /// When the question went out that was answered so.
    seen: Instant,
    /// … and the last one.
    asked: Instant,
}

impl Cache {
    /// `document` is what AWS answered to a question of `asked`. Nothing else makes it any newer.
    fn remember_policy(&mut self, name: &str, document: &str, asked: Instant) {
        if self.policies.get(name).is_none_or(|known| known.seen <= asked) {
            let known = KnownPolicy { document: document.to_owned(), seen: asked, asked };
            self.policies.insert(name.to_owned(), known);
        }
    }

    pub(super) fn forget_policy(&mut self, name: &str) {
        self.policies.remove(name);
    }

    fn forget_ca(&mut self, ca: &SigningCa) {
        self.cas.remove(&ca.fingerprint);
    }

    fn ca(&self, ca: &SigningCa, now: Instant) -> Option<SeenCa> {
        let (joins, seen) = self.cas.get(&ca.fingerprint)?;
        (now.duration_since(*seen) < BELIEVED_FOR).then_some(SeenCa::Active { joins: *joins })
    }

    /// `None`: it is the caller's to ask.
    fn policy(&mut self, name: &str, now: Instant) -> Option<String> {
        let known = self.policies.get_mut(name)?;
        let age = now.duration_since(known.seen);
        let somebody_asks = now.duration_since(known.asked) < ASKED_WITHIN;
        if age < POLICY_BELIEVED_FOR || (somebody_asks && age < POLICY_BELIEVED_FOR + ASKED_WITHIN) {
            return Some(known.document.clone());
        }
        known.asked = now;
        None
    }

    fn has_thing_type(&self, name: &str, now: Instant) -> bool {
        self.thing_types.get(name).is_some_and(|seen| now.duration_since(*seen) < BELIEVED_FOR)
    }
}

/// Reads all of it, independent calls side by side. The certificate's and the thing's lists need
/// their owners to exist: with `certificate_arn` (both were just made) everything is asked at once,
/// without it what does not exist is not asked about.
pub(super) async fn look(
    link: &Link,
    wanted: &Registration,
    certificate_arn: Option<&str>,
    by: Instant,
) -> Result<Seen, Failure> {
    let thing_name = wanted.thing.as_str();
    let certificate = fetch_certificate(link, &wanted.fingerprint, by);
    let ca = async {
        match wanted.method.ca() {
            Some(ca) => cached_ca(link, ca, by).await,
            None => Ok(SeenCa::Unasked),
        }
    };
    let thing = fetch_thing(link, thing_name, by);
    let thing_type = fetch_thing_type(link, wanted, by);
    let policy = fetch_policy(link, wanted.policy.name.as_str(), by);
    let endpoint = cached_endpoint(link, by);
    let replaced = look_at_replaced(link, wanted, by);

    if let Some(arn) = certificate_arn {
        let (certificate, ca, thing, thing_type, policy, endpoint, replaced, principals, things, attached_policies) = tokio::join!(
            certificate,
            ca,
            thing,
            thing_type,
            policy,
            endpoint,
            replaced,
            list_principals(link, thing_name, by),
            list_things(link, arn, by),
            list_policies(link, arn, by),
        );
        return Ok(Seen {
            certificate: certificate?,
            ca: ca?,
            twin: None,
            thing: thing?,
            thing_type: thing_type?,
            policy: policy?,
            endpoint: endpoint?,
            replaced: replaced?,
            principals: principals?,
            things: things?,
            attached_policies: attached_policies?,
        });
    }

    let twin = async {
        match &wanted.twin {
            Some(twin) => fetch_certificate(link, twin, by).await,
            None => Ok(None),
        }
    };
    let (certificate, ca, twin, thing, thing_type, policy, endpoint, replaced) =
        tokio::join!(certificate, ca, twin, thing, thing_type, policy, endpoint, replaced);
    let (certificate, thing) = (certificate?, thing?);
    let of_thing = async {
        match &thing {
            Some(_) => list_principals(link, thing_name, by).await,
            None => Ok(Vec::new()),
        }
    };
    let of_certificate = async {
        match &certificate {
            Some(SeenCertificate { arn, .. }) => {
                let (things, policies) = tokio::join!(list_things(link, arn, by), list_policies(link, arn, by));
                Ok::<_, Failure>((things?, policies?))
            }
            None => Ok((Vec::new(), Vec::new())),
        }
    };
    let (principals, lists) = tokio::join!(of_thing, of_certificate);
    let (things, attached_policies) = lists?;
    Ok(Seen {
        certificate,
        ca: ca?,
        twin: twin?,
        thing,
        thing_type: thing_type?,
        policy: policy?,
        endpoint: endpoint?,
        replaced: replaced?,
        principals: principals?,
        things,
        attached_policies,
    })
}

/// The data endpoint, asked now. It never changes for an account and Region, so it is kept.
pub(super) async fn fetch_endpoint(link: &Link, by: Instant) -> Result<String, Failure> {
    let send = || link.client.describe_endpoint().endpoint_type(DATA_ENDPOINT).send();
    let answer = link.call(Action::DescribeEndpoint, by, send).await.map_err(|refused| refused.failure)?;
    let endpoint = answer.endpoint_address.ok_or_else(|| incomplete(link, Action::DescribeEndpoint))?;
    link.is_endpoint_at_home(&endpoint)?;
    link.cache().endpoint = Some(endpoint.clone());
    Ok(endpoint)
}

pub(super) async fn cached_endpoint(link: &Link, by: Instant) -> Result<String, Failure> {
    let kept = link.cache().endpoint.clone();
    match kept {
        Some(endpoint) => Ok(endpoint),
        None => fetch_endpoint(link, by).await,
    }
}

/// One after the other: a unit has been repaired once, if at all.
async fn look_at_replaced(link: &Link, wanted: &Registration, by: Instant) -> Result<Vec<SeenReplaced>, Failure> {
    let mut replaced = Vec::new();
    for fingerprint in &wanted.replaces {
        let Some(SeenCertificate { arn, status, .. }) = fetch_certificate(link, fingerprint, by).await? else {
            continue;
        };
        let (things, policies) = tokio::join!(list_things(link, &arn, by), list_policies(link, &arn, by));
        let (things, policies) = (things?, policies?);
        replaced.push(SeenReplaced { fingerprint: *fingerprint, arn, status, things, policies });
    }
    Ok(replaced)
}

pub(super) async fn fetch_certificate(
    link: &Link,
    fingerprint: &Fingerprint,
    by: Instant,
) -> Result<Option<SeenCertificate>, Failure> {
    let id = fingerprint.to_string();
    let send = || link.client.describe_certificate().certificate_id(&id).send();
    let answer = link.call(Action::DescribeCertificate, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
        return Ok(None);
    };
    let whole = answer.certificate_description.and_then(|description| {
        Some(SeenCertificate {
            arn: description.certificate_arn?,
            id: description.certificate_id?,
            status: description.status,
            pem: description.certificate_pem?,
            ca: description.ca_certificate_id,
        })
    });
    let whole = whole.ok_or_else(|| incomplete(link, Action::DescribeCertificate))?;
    link.is_at_home(&whole.arn)?;
    Ok(Some(whole))
}

/// A CA that was ACTIVE a moment ago is believed to be.
async fn cached_ca(link: &Link, ca: &SigningCa, by: Instant) -> Result<SeenCa, Failure> {
    let kept = link.cache().ca(ca, Instant::now());
    match kept {
        Some(seen) => Ok(seen),
        None => fetch_ca(link, ca, by).await,
    }
}

/// As it is now; until that is known, nothing is believed of it.
pub(super) async fn fetch_ca(link: &Link, ca: &SigningCa, by: Instant) -> Result<SeenCa, Failure> {
    link.cache().forget_ca(ca);
    let id = ca.fingerprint.to_string();
    let send = || link.client.describe_ca_certificate().certificate_id(&id).send();
    let answer = link.call(Action::DescribeCaCertificate, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
        return Ok(SeenCa::Absent);
    };
    let description = answer.certificate_description;
    let parts =
        description.and_then(|found| Some((found.certificate_pem?, found.status?, found.auto_registration_status)));
    let Some((pem, status, auto)) = parts else {
        return Err(incomplete(link, Action::DescribeCaCertificate));
    };
    if !holds(&pem, &ca.certificate) {
        return Ok(SeenCa::Other);
    }
    if status != CaCertificateStatus::Active {
        return Ok(SeenCa::NotActive(status.as_str().to_owned()));
    }
    let joins = auto == Some(AutoRegistrationStatus::Enable);
    link.cache().cas.insert(ca.fingerprint, (joins, Instant::now()));
    Ok(SeenCa::Active { joins })
}

pub(super) async fn fetch_thing(link: &Link, name: &str, by: Instant) -> Result<Option<SeenThing>, Failure> {
    let send = || link.client.describe_thing().thing_name(name).send();
    let answer = link.call(Action::DescribeThing, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
        return Ok(None);
    };
    let Some(arn) = answer.thing_arn else {
        return Err(incomplete(link, Action::DescribeThing));
    };
    link.is_at_home(&arn)?;
    Ok(Some(SeenThing {
        arn,
        id: answer.thing_id.unwrap_or_default(),
        thing_type: answer.thing_type_name.filter(|name| !name.is_empty()),
        attributes: answer.attributes.unwrap_or_default().into_iter().collect(),
    }))
}

async fn fetch_thing_type(link: &Link, wanted: &Registration, by: Instant) -> Result<SeenThingType, Failure> {
    let Some(name) = &wanted.thing_type else {
        return Ok(SeenThingType::Unasked);
    };
    if link.cache().has_thing_type(name.as_str(), Instant::now()) {
        return Ok(SeenThingType::Usable);
    }
    let send = || link.client.describe_thing_type().thing_type_name(name.as_str()).send();
    let answer = link.call(Action::DescribeThingType, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
        return Ok(SeenThingType::Absent);
    };
    if answer.thing_type_name.is_none() {
        return Err(incomplete(link, Action::DescribeThingType));
    }
    if answer.thing_type_metadata.is_some_and(|metadata| metadata.deprecated) {
        return Ok(SeenThingType::Deprecated);
    }
    link.cache().thing_types.insert(name.as_str().to_owned(), Instant::now());
    Ok(SeenThingType::Usable)
}

/// Is it there?
pub(super) async fn has_thing_type(link: &Link, name: &str, by: Instant) -> Result<bool, Failure> {
    let send = || link.client.describe_thing_type().thing_type_name(name).send();
    let answer = link.call(Action::DescribeThingType, by, send).await;
    absent_if(answer, |error| error.is_resource_not_found_exception()).map(|found| found.is_some())
}

pub(super) async fn fetch_policy(link: &Link, name: &str, by: Instant) -> Result<Option<String>, Failure> {
    let asked = Instant::now();
    let kept = link.cache().policy(name, asked);
    if kept.is_some() {
        return Ok(kept);
    }
    let send = || link.client.get_policy().policy_name(name).send();
    let answer = link.call(Action::GetPolicy, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
        link.cache().forget_policy(name);
        return Ok(None);
    };
    let document = answer.policy_document.ok_or_else(|| incomplete(link, Action::GetPolicy))?;
    link.cache().remember_policy(name, &document, asked);
    Ok(Some(document))
}

pub(super) async fn list_principals(link: &Link, thing: &str, by: Instant) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let mut page = None;
    loop {
        let send = || link.client.list_thing_principals().thing_name(thing).set_next_token(page.clone()).send();
        let answer = link.call(Action::ListThingPrincipals, by, send).await;
        let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
            return Ok(all);
        };
        all.extend(answer.principals.unwrap_or_default());
        page = answer.next_token.filter(|token| !token.is_empty());
        if page.is_none() {
            return Ok(all);
        }
    }
}

pub(super) async fn list_things(link: &Link, certificate_arn: &str, by: Instant) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let mut page = None;
    loop {
        let send =
            || link.client.list_principal_things().principal(certificate_arn).set_next_token(page.clone()).send();
        let answer = link.call(Action::ListPrincipalThings, by, send).await;
        let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
            return Ok(all);
        };
        all.extend(answer.things.unwrap_or_default());
        page = answer.next_token.filter(|token| !token.is_empty());
        if page.is_none() {
            return Ok(all);
        }
    }
}

/// Whether the certificate is on its thing exclusively, asked beside the lists that decide: nothing depends on it.
/// `None`: nothing to ask about, or no answer (a role from before this call, a stand-in without it); then it is
/// left alone for a while.
pub(super) async fn attachment(
    link: &Link,
    wanted: &Registration,
    certificate_arn: Option<&str>,
    by: Instant,
) -> Option<Attachment> {
    let arn = certificate_arn?;
    let now = Instant::now();
    if link.cache().attachments_untold.is_some_and(|since| now.duration_since(since) < BELIEVED_FOR) {
        return None;
    }
    let send = || link.client.list_principal_things_v2().principal(arn).send();
    let answer = match link.call(Action::ListPrincipalThingsV2, by.min(now + TOLD_WITHIN), send).await {
        Ok(answer) => answer,
        Err(refused) => {
            tracing::info!(target_name = %link.target, failure = %refused.failure, "attachments are not told");
            link.cache().attachments_untold = Some(now);
            return None;
        }
    };
    let ours = answer.principal_thing_objects().iter().find(|it| it.thing_name() == wanted.thing.as_str());
    match ours?.thing_principal_type()? {
        ThingPrincipalType::ExclusiveThing => Some(Attachment::Exclusive),
        ThingPrincipalType::NonExclusiveThing => Some(Attachment::NonExclusive),
        _ => None,
    }
}

pub(super) async fn list_policies(link: &Link, certificate_arn: &str, by: Instant) -> Result<Vec<String>, Failure> {
    let mut all = Vec::new();
    let mut page = None;
    loop {
        let send = || link.client.list_attached_policies().target(certificate_arn).set_marker(page.clone()).send();
        let answer = link.call(Action::ListAttachedPolicies, by, send).await;
        let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
            return Ok(all);
        };
        all.extend(answer.policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_name));
        page = answer.next_marker.filter(|marker| !marker.is_empty());
        if page.is_none() {
            return Ok(all);
        }
    }
}

/// Exactly one certificate, and it is this one.
pub(in crate::adapters) fn holds(pem: &str, der: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    matches!(certificates.next(), Some(Ok(first)) if first.as_ref() == der) && certificates.next().is_none()
}

/// `None` only where AWS itself said so, in the modelled exception: an error of a lookup is never
/// "not found".
pub(in crate::adapters) fn absent_if<T, E>(
    answer: Result<T, Refused<E>>,
    not_found: impl FnOnce(&E) -> bool,
) -> Result<Option<T>, Failure> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(refused) if refused.answer.as_deref().is_some_and(not_found) => Ok(None),
        Err(refused) => Err(refused.failure),
    }
}

pub(in crate::adapters) fn incomplete(link: &Link, action: Action) -> Failure {
    let cause = format!("{}: the answer lacks what AWS's model promises", action.iam_name());
    Failure::new(ReasonCode::CLOUD_FAILED, cause).with("target", &link.target).with("action", action.iam_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_believed_for_a_minute_whoever_looks_and_then_one_lane_asks() {
        let (mut cache, begun) = (Cache::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(cache.policy("p", begun), None);
        cache.remember_policy("p", "ours", begun);
        for second in (0..60).step_by(10) {
            assert_eq!(cache.policy("p", at(second)).as_deref(), Some("ours"), "{second}");
        }
        // A look at what is known makes it no newer.
        assert_eq!(cache.policy("p", at(60)), None);
        assert_eq!(cache.policy("p", at(61)).as_deref(), Some("ours"), "somebody asks already");
        assert_eq!(cache.policy("p", at(70)), None, "nobody has answered");
        assert_eq!(cache.policy("p", at(71)), None, "and nobody believes it any more");
        cache.remember_policy("p", "theirs", at(61));
        cache.remember_policy("p", "ours", at(60));
        assert_eq!(cache.policy("p", at(72)).as_deref(), Some("theirs"), "a late answer is no news");
    }
}
