//! Claim certificates: a policy that allows nothing but to ask for a certificate, and certificates that have it.

use std::str::FromStr as _;
use std::time::Duration;

use aws_sdk_iot::types::CertificateStatus;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::SecretString;
use tokio::time::Instant;

use super::templates::describe;
use super::{AwsFleet, deadline, same_json};
use crate::adapters::aws_iot::call::{Link, Refused, pause_after};
use crate::adapters::aws_iot::link_of;
use crate::adapters::aws_iot::look::{absent_if, incomplete};
use crate::adapters::aws_iot::quota::Action;
use crate::domain::{Failure, Fingerprint, ReasonCode, Region, TemplateKind};
use crate::ports::{ClaimPlan, Claims, HeldClaim, NewClaim};

/// A page of certificates.
const NEWEST: i32 = 250;
const SHOWN_AFTER: Duration = Duration::from_secs(2);

#[async_trait::async_trait]
impl Claims for AwsFleet {
    async fn prepare(&self, plan: &ClaimPlan) -> Result<(), Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let template = describe(link, &plan.template, by).await?;
        if !template.is_some_and(|held| held.kind == TemplateKind::Fleet) {
            let cause = format!("there is no provisioning template {} for fleets", plan.template);
            return Err(about(plan, ReasonCode::TEMPLATE_ABSENT, cause));
        }
        let wanted = policy_document(plan, &link.region);
        loop {
            if let Some(held) = policy(link, plan, by).await? {
                return if same_json(&held, &wanted) {
                    Ok(())
                } else {
                    let cause = format!("policy {} is there with another document than {wanted}", plan.policy);
                    Err(about(plan, ReasonCode::POLICY_DIFFERS, cause).with("policy", &plan.policy))
                };
            }
            let send = || {
                let request = link.client.create_policy().policy_name(plan.policy.as_str());
                request.policy_document(&wanted).send()
            };
            match link.call(Action::CreatePolicy, by, send).await {
                Ok(_) => return Ok(()),
                // Somebody was faster: what it says is looked at.
                Err(Refused { answer: Some(error), failure, .. }) if error.is_resource_already_exists_exception() => {
                    if Instant::now() >= by {
                        return Err(failure);
                    }
                }
                Err(refused) => return Err(refused.failure),
            }
        }
    }

    async fn make(&self, plan: &ClaimPlan) -> Result<NewClaim, Failure> {
        let link = link_of(&self.links, &plan.target)?;
        // Looked at before, so that what a lost answer has made can be told from what was there.
        let before = newest_inactive(link, deadline()).await;
        let send = || link.client.create_keys_and_certificate().set_as_active(false).send();
        let answer = link.call_until_lost(Action::CreateKeysAndCertificate, deadline(), send).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(refused) if refused.lost => return Err(perhaps_left(link, plan, before, refused.failure).await),
            Err(refused) => return Err(refused.failure),
        };
        let key = answer.key_pair.and_then(|pair| pair.private_key).map(SecretString::from);
        let (Some(id), Some(certificate_pem), Some(private_key)) = (answer.certificate_id, answer.certificate_pem, key)
        else {
            return Err(incomplete(link, Action::CreateKeysAndCertificate));
        };
        let der = CertificateDer::from_pem_slice(certificate_pem.as_bytes()).ok();
        let fingerprint = der.map(|der| Fingerprint::of(&der)).filter(|found| found.to_string() == id);
        let fingerprint = fingerprint.ok_or_else(|| incomplete(link, Action::CreateKeysAndCertificate))?;
        Ok(NewClaim { fingerprint, certificate_pem, private_key })
    }

    async fn release(&self, plan: &ClaimPlan, claim: &Fingerprint) -> Result<(), Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let mut attempts = 0;
        loop {
            // What was made a moment ago may not be visible yet.
            if let Some(held) = describe_claim(link, claim, by).await? {
                let send = || link.client.attach_policy().policy_name(plan.policy.as_str()).target(&held.arn).send();
                let answer = link.call(Action::AttachPolicy, by, send).await;
                let attached = absent_if(answer, |error| error.is_resource_not_found_exception())?;
                if attached.is_some() && set_active(link, claim, by).await? {
                    return Ok(());
                }
            }
            attempts += 1;
            let pause = pause_after(attempts);
            if Instant::now() + pause >= by {
                let cause = format!("claim {claim} was made, but is not to be seen before the deadline");
                return Err(about(plan, ReasonCode::CLOUD_NOT_YET, cause));
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn discard(&self, plan: &ClaimPlan, claim: &Fingerprint) -> Result<(), Failure> {
        let link = link_of(&self.links, &plan.target)?;
        let id = claim.to_string();
        let send = || link.client.delete_certificate().certificate_id(&id).send();
        let answer = link.call(Action::DeleteCertificate, deadline(), send).await;
        absent_if(answer, |error| error.is_resource_not_found_exception()).map(drop)
    }

    async fn all(&self, plan: &ClaimPlan) -> Result<Vec<HeldClaim>, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let mut claims = Vec::new();
        for id in holders(link, plan, by).await? {
            // Deleted since the list was made.
            claims.extend(describe_claim(link, &id, by).await?);
        }
        Ok(claims)
    }
}

/// The newest certificates that are INACTIVE, by their ids.
async fn newest_inactive(link: &Link, by: Instant) -> Result<Vec<String>, Failure> {
    let send = || link.client.list_certificates().ascending_order(false).page_size(NEWEST).send();
    let answer = link.call(Action::ListCertificates, by, send).await.map_err(|refused| refused.failure)?;
    let inactive = answer.certificates.unwrap_or_default().into_iter();
    let inactive = inactive.filter(|found| found.status == Some(CertificateStatus::Inactive));
    Ok(inactive.filter_map(|found| found.certificate_id).collect())
}

/// `A-348`: AWS may have made a certificate whose key nobody has. Which one, as far as that can be told: a line at
/// work makes INACTIVE certificates, too, so nothing is deleted here.
async fn perhaps_left(link: &Link, plan: &ClaimPlan, before: Result<Vec<String>, Failure>, lost: Failure) -> Failure {
    // AWS may take a moment to show what it has.
    tokio::time::sleep(SHOWN_AFTER).await;
    let left = match (before, newest_inactive(link, deadline()).await) {
        (Ok(before), Ok(now)) => {
            let new: Vec<String> = now.into_iter().filter(|id| !before.contains(id)).collect();
            match new.as_slice() {
                [] => "no new one that is INACTIVE is to be seen".to_owned(),
                new => format!("new since then and INACTIVE: {}", new.join(", ")),
            }
        }
        (Err(failure), _) | (_, Err(failure)) => format!("which one can't be told: {failure}"),
    };
    about(plan, ReasonCode::CLAIM_PERHAPS_LEFT, format!("{}: {}; {left}", lost.code, lost.cause))
}

/// AWS IoT Core developer guide, "Provisioning by claim": the claim may ask for a certificate, by whichever way, and
/// have this template applied to it.
fn policy_document(plan: &ClaimPlan, region: &Region) -> String {
    let partition = match region.as_str() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    let of = |kind: &str| {
        let at = format!("arn:{partition}:iot:{region}:*:{kind}/$aws");
        let template = &plan.template;
        serde_json::json!([
            format!("{at}/certificates/create/*"),
            format!("{at}/certificates/create-from-csr/*"),
            format!("{at}/provisioning-templates/{template}/provision/*"),
        ])
    };
    let statement = |actions: &[&str], resource: serde_json::Value| serde_json::json!({ "Effect": "Allow", "Action": actions, "Resource": resource });
    serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [
            statement(&["iot:Connect"], format!("arn:{partition}:iot:{region}:*:client/*").into()),
            statement(&["iot:Publish", "iot:Receive"], of("topic")),
            statement(&["iot:Subscribe"], of("topicfilter")),
        ],
    })
    .to_string()
}

async fn policy(link: &Link, plan: &ClaimPlan, by: Instant) -> Result<Option<String>, Failure> {
    let send = || link.client.get_policy().policy_name(plan.policy.as_str()).send();
    let answer = link.call(Action::GetPolicy, by, send).await;
    let Some(found) = absent_if(answer, |error| error.is_resource_not_found_exception())? else { return Ok(None) };
    found.policy_document.map(Some).ok_or_else(|| incomplete(link, Action::GetPolicy))
}

/// `false`: it is not to be seen yet.
async fn set_active(link: &Link, claim: &Fingerprint, by: Instant) -> Result<bool, Failure> {
    let id = claim.to_string();
    let active = CertificateStatus::Active;
    let send = || link.client.update_certificate().certificate_id(&id).new_status(active.clone()).send();
    let answer = link.call(Action::UpdateCertificate, by, send).await;
    if absent_if(answer, |error| error.is_resource_not_found_exception())?.is_none() {
        return Ok(false);
    }
    let held = describe_claim(link, claim, by).await?;
    Ok(held.is_some_and(|held| held.status == active.as_str()))
}

async fn describe_claim(link: &Link, claim: &Fingerprint, by: Instant) -> Result<Option<HeldClaim>, Failure> {
    let id = claim.to_string();
    let send = || link.client.describe_certificate().certificate_id(&id).send();
    let answer = link.call(Action::DescribeCertificate, by, send).await;
    let Some(found) = absent_if(answer, |error| error.is_resource_not_found_exception())? else { return Ok(None) };
    let held = found.certificate_description.and_then(|found| {
        Some(HeldClaim { fingerprint: *claim, arn: found.certificate_arn?, status: found.status?.as_str().to_owned() })
    });
    held.map(Some).ok_or_else(|| incomplete(link, Action::DescribeCertificate))
}

async fn holders(link: &Link, plan: &ClaimPlan, by: Instant) -> Result<Vec<Fingerprint>, Failure> {
    let mut holders = Vec::new();
    let mut page = None;
    loop {
        let send = || {
            let request = link.client.list_targets_for_policy().policy_name(plan.policy.as_str());
            request.set_marker(page.clone()).send()
        };
        let answer = link.call(Action::ListTargetsForPolicy, by, send).await;
        let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else {
            return Ok(holders);
        };
        let ids = answer.targets.unwrap_or_default();
        let ids = ids.iter().filter_map(|arn| Fingerprint::from_str(arn.rsplit_once(":cert/")?.1).ok());
        holders.extend(ids);
        page = answer.next_marker.filter(|marker| !marker.is_empty());
        if page.is_none() {
            return Ok(holders);
        }
    }
}

fn about(plan: &ClaimPlan, code: ReasonCode, cause: String) -> Failure {
    Failure::new(code, format!("target {}: {cause}", plan.target))
        .with("target", &plan.target)
        .with("template", &plan.template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_may_ask_for_a_certificate_and_nothing_else() {
        let plan = ClaimPlan {
            target: "plant".parse().unwrap(),
            template: "meters".parse().unwrap(),
            policy: "claims".parse().unwrap(),
        };
        let document = policy_document(&plan, &"cn-north-1".parse().unwrap());
        let value: serde_json::Value = serde_json::from_str(&document).unwrap();
        let said = value["Statement"].as_array().unwrap();
        assert_eq!(said.len(), 3);
        for topic in said[1]["Resource"].as_array().unwrap() {
            let topic = topic.as_str().unwrap();
            assert!(topic.starts_with("arn:aws-cn:iot:cn-north-1:*:topic/$aws/"), "{topic}");
            let scoped = topic.contains("/certificates/create") || topic.contains("/meters/provision/");
            assert!(scoped, "{topic}");
        }
    }
}
