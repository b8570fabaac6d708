//! Asking whether a call is allowed by making one that cannot do anything.
//!
//! AWS authorises a call before its own handler looks at it. So an exception that only the handler makes (not
//! found, exists already, no certificate, no policy) tells that the call was allowed, and nothing of it was
//! done. Reads ask for what cannot exist, or for what is configured. Writes:
//!
//! - on a certificate of a random id and a thing of a random name: neither exists;
//! - CreateThing with a thing type of a random name, which AWS refuses;
//! - RegisterCertificate… with a PEM that holds no certificate;
//! - CreatePolicy of a policy that exists, or with a document that is none;
//! - CreateThingType of one that exists, else not at all: that would make it.
//!
//! An answer that could come from before the authorisation as well (InvalidRequest) settles nothing.

use std::error::Error;

use aws_sdk_iot::config::http::HttpResponse;
use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iot::types::CertificateStatus;
use tokio::time::Instant;

use super::super::call::{Link, Refused};
use super::super::look::{DATA_ENDPOINT, fetch_policy, has_thing_type};
use super::super::quota::Action;
use super::{Resource, Right};
use crate::domain::{Failure, Fingerprint, ReasonCode};
use crate::ports::Permitted;

/// No certificate: nothing could be registered.
const NO_CSR: &str = "-----BEGIN CERTIFICATE REQUEST-----\nbm8gcmVxdWVzdA==\n-----END CERTIFICATE REQUEST-----\n";
const NO_PEM: &str = "-----BEGIN CERTIFICATE-----\nbm8gY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";
const NO_TEMPLATE: &str = "no template: a question of lineseal doctor";
const NO_POLICY: &str = "no policy: a question of lineseal doctor";

/// Exceptions of AWS IoT's handlers.
const HANDLED: &[&str] = &[
    "CertificateConflictException",
    "CertificateStateException",
    "CertificateValidationException",
    "DeleteConflictException",
    "MalformedPolicyException",
    "ResourceAlreadyExistsException",
    "ResourceNotFoundException",
];

/// Names that nothing has.
#[derive(Debug, Clone)]
pub(in super::super) struct Sample {
    random: String,
    certificate: String,
    /// Partition, Region and account.
    place: String,
}

impl Sample {
    pub fn new(random: [u8; 16], place: String) -> Self {
        Self { random: hex::encode(random), certificate: Fingerprint::of(&random).to_string(), place }
    }

    fn certificate_arn(&self) -> String {
        format!("arn:{}:cert/{}", self.place, self.certificate)
    }

    /// One that the pattern of a profile covers.
    fn thing(&self, pattern: &str) -> String {
        let room = 128_usize.saturating_sub(pattern.len());
        let name = format!("lineseal-doctor-{}", self.random);
        pattern.replacen('*', &name[..name.len().min(room)], 1).replace('*', "0")
    }
}

pub(in super::super) async fn ask(link: &Link, right: &Right, sample: &Sample, by: Instant) -> Permitted {
    let (client, action) = (&link.client, right.action);
    let (id, arn, random) = (sample.certificate.as_str(), &sample.certificate_arn(), &sample.random);
    let name = match &right.resource {
        Resource::Things(pattern) | Resource::ThingGroup(pattern) => sample.thing(pattern),
        Resource::Ca(name)
        | Resource::ProvisioningTemplate(name)
        | Resource::ThingType(name)
        | Resource::Policy(name) => name.clone(),
        Resource::Any | Resource::Certificates => format!("lineseal-doctor-{random}"),
    };
    let name = name.as_str();
    match action {
        Action::AddThingToThingGroup => {
            let nowhere = format!("lineseal-doctor-{random}");
            let (thing, group) = match &right.resource {
                Resource::ThingGroup(_) => (nowhere.as_str(), name),
                _ => (name, nowhere.as_str()),
            };
            let send = || client.add_thing_to_thing_group().thing_name(thing).thing_group_name(group).send();
            said(link, action, by, send).await
        }
        Action::DescribeThingGroup => {
            said(link, action, by, || client.describe_thing_group().thing_group_name(name).send()).await
        }
        Action::ListThingGroupsForThing => {
            said(link, action, by, || client.list_thing_groups_for_thing().thing_name(name).send()).await
        }
        Action::AttachPolicy => {
            said(link, action, by, || client.attach_policy().policy_name(name).target(arn).send()).await
        }
        Action::AttachThingPrincipal => {
            said(link, action, by, || client.attach_thing_principal().thing_name(name).principal(arn).send()).await
        }
        Action::CreateCertificateFromCsr => {
            said(link, action, by, || client.create_certificate_from_csr().certificate_signing_request(NO_CSR).send())
                .await
        }
        Action::ListCertificates => said(link, action, by, || client.list_certificates().page_size(1).send()).await,
        Action::CreatePolicy => create_policy(link, name, by).await,
        Action::CreateThing => create_thing(link, name, random, by).await,
        Action::CreateThingType => create_thing_type(link, name, by).await,
        Action::DeleteCertificate => {
            said(link, action, by, || client.delete_certificate().certificate_id(id).send()).await
        }
        Action::DeleteThing => said(link, action, by, || client.delete_thing().thing_name(name).send()).await,
        Action::DescribeCaCertificate => {
            said(link, action, by, || client.describe_ca_certificate().certificate_id(name).send()).await
        }
        Action::DescribeCertificate => {
            said(link, action, by, || client.describe_certificate().certificate_id(id).send()).await
        }
        Action::DescribeEndpoint => {
            said(link, action, by, || client.describe_endpoint().endpoint_type(DATA_ENDPOINT).send()).await
        }
        Action::DescribeThing => said(link, action, by, || client.describe_thing().thing_name(name).send()).await,
        Action::DescribeThingType => {
            said(link, action, by, || client.describe_thing_type().thing_type_name(name).send()).await
        }
        Action::DetachPolicy => {
            said(link, action, by, || client.detach_policy().policy_name(name).target(arn).send()).await
        }
        Action::DetachThingPrincipal => {
            said(link, action, by, || client.detach_thing_principal().thing_name(name).principal(arn).send()).await
        }
        Action::GetPolicy => said(link, action, by, || client.get_policy().policy_name(name).send()).await,
        Action::ListAttachedPolicies => {
            said(link, action, by, || client.list_attached_policies().target(arn).send()).await
        }
        Action::ListPrincipalThings => {
            said(link, action, by, || client.list_principal_things().principal(arn).send()).await
        }
        Action::ListPrincipalThingsV2 => {
            said(link, action, by, || client.list_principal_things_v2().principal(arn).send()).await
        }
        Action::ListThingPrincipals => {
            said(link, action, by, || client.list_thing_principals().thing_name(name).send()).await
        }
        Action::RegisterCertificate => {
            let send = || client.register_certificate().certificate_pem(NO_PEM).ca_certificate_pem(NO_PEM).send();
            said(link, action, by, send).await
        }
        Action::RegisterCertificateWithoutCa => {
            let send = || client.register_certificate_without_ca().certificate_pem(NO_PEM).send();
            said(link, action, by, send).await
        }
        Action::RegisterThing => {
            said(link, action, by, || client.register_thing().template_body(NO_TEMPLATE).send()).await
        }
        Action::CreateProvisioningClaim => unasked(link, action, "asking makes a claim"),
        Action::UpdateCertificate => {
            let inactive = CertificateStatus::Inactive;
            let send = || client.update_certificate().certificate_id(id).new_status(inactive.clone()).send();
            said(link, action, by, send).await
        }
        // An administrator's, and no station needs them.
        Action::CreateKeysAndCertificate
        | Action::CreateProvisioningTemplate
        | Action::DeleteCaCertificate
        | Action::DescribeProvisioningTemplate
        | Action::GetRegistrationCode
        | Action::ListCaCertificates
        | Action::ListProvisioningTemplates
        | Action::ListTargetsForPolicy
        | Action::RegisterCaCertificate
        | Action::UpdateCaCertificate => unasked(link, action, "no station makes this call"),
    }
}

/// AWS refuses a thing of a type that does not exist. What does not is told, and what it made is taken back.
async fn create_thing(link: &Link, name: &str, random: &str, by: Instant) -> Permitted {
    let no_type = format!("lineseal-doctor-{random}");
    let action = Action::CreateThing;
    let send = || link.client.create_thing().thing_name(name).thing_type_name(&no_type).send();
    match link.call(action, by, send).await {
        Ok(_) => {
            let gone = link.call(Action::DeleteThing, by, || link.client.delete_thing().thing_name(name).send()).await;
            let left = if gone.is_ok() { "" } else { ", and it is still there" };
            unasked(link, action, &format!("the target made thing {name} of a type that does not exist{left}"))
        }
        Err(refused) => judged(refused),
    }
}

async fn create_policy(link: &Link, name: &str, by: Instant) -> Permitted {
    let document = match fetch_policy(link, name, by).await {
        Ok(Some(document)) => document,
        _ => NO_POLICY.to_owned(),
    };
    let made = document == NO_POLICY;
    let action = Action::CreatePolicy;
    match link
        .call(action, by, || link.client.create_policy().policy_name(name).policy_document(&document).send())
        .await
    {
        Ok(_) if made => unasked(link, action, &format!("the target took what is no policy for {name}: delete it")),
        Ok(_) => Permitted::Allowed,
        Err(refused) => judged(refused),
    }
}

async fn create_thing_type(link: &Link, name: &str, by: Instant) -> Permitted {
    let action = Action::CreateThingType;
    match has_thing_type(link, name, by).await {
        Ok(true) => said(link, action, by, || link.client.create_thing_type().thing_type_name(name).send()).await,
        Ok(false) => unasked(link, action, &format!("thing type {name} is not there, and asking would make it")),
        Err(failure) => Permitted::Unknown(failure),
    }
}

async fn said<T, E, F>(link: &Link, action: Action, by: Instant, send: impl Fn() -> F + Send + Sync) -> Permitted
where
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    T: Send,
{
    link.call(action, by, send).await.map_or_else(judged, |_| Permitted::Allowed)
}

fn judged<E: ProvideErrorMetadata>(refused: Refused<E>) -> Permitted {
    let Refused { failure, answer, .. } = refused;
    let handled = answer.and_then(|error| error.code().map(|code| HANDLED.contains(&code))).unwrap_or(false);
    match failure.code {
        ReasonCode::CLOUD_PERMISSION => Permitted::Denied(failure),
        _ if handled => Permitted::Allowed,
        _ => Permitted::Unknown(failure),
    }
}

fn unasked(link: &Link, action: Action, why: &str) -> Permitted {
    let cause = format!("{}: {why}", action.iam_name());
    let failure = Failure::new(ReasonCode::CLOUD_UNASKED, cause);
    Permitted::Unknown(failure.with("target", &link.target).with("action", action.iam_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_the_pattern_of_a_profile_covers_and_a_thing_can_be_named() {
        let sample = Sample::new([7; 16], "aws:iot:eu-west-1:123456789012".to_owned());
        for pattern in ["gw-*", "*", "*-plant-*", "fixed", &format!("{}*", "x".repeat(120))] {
            let name = sample.thing(pattern);
            assert!(name.parse::<crate::domain::ThingName>().is_ok(), "{name}");
            let regex = format!("^{}$", pattern.replace('*', ".*"));
            assert!(regex::Regex::new(&regex).unwrap().is_match(&name), "{pattern} {name}");
        }
        assert_eq!(sample.certificate.len(), 64);
    }
}
