//! AWS's registry of CAs. As with devices: look, write what is missing, look until it is there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_iot::operation::register_ca_certificate::RegisterCACertificateError;
use aws_sdk_iot::types::{AutoRegistrationStatus, CaCertificateStatus, CertificateMode, RegistrationConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::Instant;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::adapters::aws_iot::call::{Link, Refused, pause_after};
use crate::adapters::aws_iot::look::{absent_if, holds, incomplete};
use crate::adapters::aws_iot::quota::Action;
use crate::adapters::aws_iot::{link_of, links, links_with, sharing};
use crate::config::Target;
use crate::domain::{
    CaEnd, CaMode, CaPlan, Failure, Fingerprint, JoinTemplate, ReasonCode, TargetName, certificate_pem,
};
use crate::ports::{Authorities, HeldCa, Rations};

/// For one act in one target, retries and read-back included: a person waits.
const WITHIN: Duration = Duration::from_secs(30);
/// What exists in this account is to be seen by then.
const SEEN_WITHIN: Duration = Duration::from_secs(8);
/// Of CAs that stand in a new one's way, so many are named.
const NAMED: usize = 20;

/// The configured targets.
#[derive(Debug)]
pub struct AwsAuthorities {
    links: BTreeMap<TargetName, Link>,
}

impl AwsAuthorities {
    /// Credentials from the AWS default chain.
    pub async fn new(targets: &[Target]) -> Self {
        Self { links: links(targets).await }
    }

    /// With credentials of the caller's own and nothing from the environment.
    pub fn with_credentials(targets: &[Target], credentials: impl ProvideCredentials + 'static) -> Self {
        Self { links: links_with(targets, credentials) }
    }

    /// The same, with the calls of all stations counted together.
    pub fn sharing(self, rations: &Arc<dyn Rations>) -> Self {
        Self { links: sharing(self.links, rations) }
    }
}

#[async_trait::async_trait]
impl Authorities for AwsAuthorities {
    async fn find(&self, target: &TargetName, ca: &Fingerprint) -> Result<Option<HeldCa>, Failure> {
        let link = link_of(&self.links, target)?;
        Ok(describe(link, &ca.to_string(), deadline()).await?.map(|(held, _)| held))
    }

    async fn all(&self, target: &TargetName) -> Result<Vec<HeldCa>, Failure> {
        let link = link_of(&self.links, target)?;
        all(link, deadline()).await
    }

    async fn registration_code(&self, target: &TargetName) -> Result<String, Failure> {
        let link = link_of(&self.links, target)?;
        let send = || link.client.get_registration_code().send();
        let answer =
            link.call(Action::GetRegistrationCode, deadline(), send).await.map_err(|refused| refused.failure)?;
        answer.registration_code.ok_or_else(|| incomplete(link, Action::GetRegistrationCode))
    }

    async fn register(&self, plan: &CaPlan, proof: Option<&[u8]>) -> Result<CaEnd, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        if let Some(held) = planned(link, plan, by).await? {
            return as_planned(&held, plan).map(|()| CaEnd::Found);
        }
        let exists = write(link, plan, proof, by).await?;
        // Where AWS says that it exists, what is not to be seen soon is another account's.
        let by = if exists.is_some() { by.min(Instant::now() + SEEN_WITHIN) } else { by };
        match (until(link, plan, by, Option::is_some).await, exists) {
            (Ok(Some(held)), _) => as_planned(&held, plan).map(|()| CaEnd::Done),
            (Err(failure), Some(other)) if failure.code == ReasonCode::CLOUD_NOT_YET => Err(taken(plan, &other)),
            (Ok(None), _) => Err(not_yet(plan)),
            (Err(failure), _) => Err(failure),
        }
    }

    async fn update(&self, plan: &CaPlan) -> Result<CaEnd, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let Some(held) = planned(link, plan, by).await? else { return Err(absent(plan)) };
        same_mode(&held, plan)?;
        if as_planned(&held, plan).is_ok() {
            return Ok(CaEnd::Found);
        }
        let auto =
            if plan.auto_registration { AutoRegistrationStatus::Enable } else { AutoRegistrationStatus::Disable };
        let id = plan.ca.fingerprint.to_string();
        let config = plan.template.as_ref().map(registration_config);
        // What is not wanted any more goes with its template.
        let remove = (!plan.auto_registration && held.template.is_some()).then_some(true);
        let send = || {
            let request = link.client.update_ca_certificate().certificate_id(&id);
            let request = request.new_status(CaCertificateStatus::Active).new_auto_registration_status(auto.clone());
            request.set_registration_config(config.clone()).set_remove_auto_registration(remove).send()
        };
        link.call(Action::UpdateCaCertificate, by, send).await.map_err(|refused| refused.failure)?;
        let wanted = |held: &Option<HeldCa>| held.as_ref().is_some_and(|held| as_planned(held, plan).is_ok());
        until(link, plan, by, wanted).await.map(|_| CaEnd::Done)
    }

    async fn deactivate(&self, plan: &CaPlan) -> Result<CaEnd, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let Some(held) = planned(link, plan, by).await? else { return Err(absent(plan)) };
        if !held.active {
            return Ok(CaEnd::Found);
        }
        let id = plan.ca.fingerprint.to_string();
        let send = || {
            let request = link.client.update_ca_certificate().certificate_id(&id);
            request.new_status(CaCertificateStatus::Inactive).send()
        };
        link.call(Action::UpdateCaCertificate, by, send).await.map_err(|refused| refused.failure)?;
        let inactive = |held: &Option<HeldCa>| held.as_ref().is_some_and(|held| !held.active);
        until(link, plan, by, inactive).await.map(|_| CaEnd::Done)
    }

    async fn delete(&self, plan: &CaPlan) -> Result<CaEnd, Failure> {
        let (link, by) = (link_of(&self.links, &plan.target)?, deadline());
        let Some(held) = planned(link, plan, by).await? else { return Ok(CaEnd::Found) };
        if held.active {
            let cause = format!("CA {} is ACTIVE in target {}: deactivate it first", plan.ca.name, plan.target);
            return Err(Failure::new(ReasonCode::NOT_NOW, cause)
                .with("target", &plan.target)
                .with("ca", &plan.ca.name));
        }
        let id = plan.ca.fingerprint.to_string();
        let send = || link.client.delete_ca_certificate().certificate_id(&id).send();
        let answer = link.call(Action::DeleteCaCertificate, by, send).await;
        // Somebody was faster, or the first attempt's answer was lost.
        absent_if(answer, |error| error.is_resource_not_found_exception())?;
        until(link, plan, by, Option::is_none).await.map(|_| CaEnd::Done)
    }
}

fn deadline() -> Instant {
    Instant::now() + WITHIN
}

/// `Some`: it exists already, somewhere; what AWS says of it.
async fn write(link: &Link, plan: &CaPlan, proof: Option<&[u8]>, by: Instant) -> Result<Option<String>, Failure> {
    let pem = certificate_pem(&plan.ca.certificate);
    let proof = proof.map(certificate_pem);
    let mode = match plan.mode {
        CaMode::SniOnly => CertificateMode::SniOnly,
        CaMode::Default => CertificateMode::Default,
    };
    let config = plan.template.as_ref().map(registration_config);
    let send = || {
        let request = link.client.register_ca_certificate().ca_certificate(&pem).certificate_mode(mode.clone());
        let request = request.set_as_active(true).allow_auto_registration(plan.auto_registration);
        request.set_verification_certificate(proof.clone()).set_registration_config(config.clone()).send()
    };
    let Refused { failure, answer, .. } = match link.call(Action::RegisterCaCertificate, by, send).await {
        Ok(answer) => {
            let id = answer.certificate_id.ok_or_else(|| incomplete(link, Action::RegisterCaCertificate))?;
            if id == plan.ca.fingerprint.to_string() {
                return Ok(None);
            }
            let cause = format!("AWS calls the CA {id}, its DER hashes to {}", plan.ca.fingerprint);
            return Err(Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &plan.target));
        }
        Err(refused) => refused,
    };
    match answer {
        Some(error) if error.is_resource_already_exists_exception() => Ok(Some(match *error {
            RegisterCACertificateError::ResourceAlreadyExistsException(other) => {
                format!("{} ({})", other.resource_arn.unwrap_or_default(), failure.cause)
            }
            _ => failure.cause,
        })),
        Some(error) if error.is_limit_exceeded_exception() => Err(limit(link, plan, &failure.cause, by).await),
        _ => Err(failure),
    }
}

fn registration_config(template: &JoinTemplate) -> RegistrationConfig {
    RegistrationConfig::builder().template_body(&template.body).role_arn(&template.role).build()
}

/// What the target holds under the plan's CA, known to be that certificate.
async fn planned(link: &Link, plan: &CaPlan, by: Instant) -> Result<Option<HeldCa>, Failure> {
    let Some((held, pem)) = describe(link, &plan.ca.fingerprint.to_string(), by).await? else { return Ok(None) };
    if !holds(&pem, &plan.ca.certificate) {
        let cause = format!("what AWS holds as {} is another certificate", held.id);
        return Err(Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &plan.target));
    }
    Ok(Some(held))
}

/// Looks until it is so: AWS IoT is eventually consistent. `A-304` at the deadline.
async fn until(
    link: &Link,
    plan: &CaPlan,
    by: Instant,
    is_so: impl Fn(&Option<HeldCa>) -> bool + Send,
) -> Result<Option<HeldCa>, Failure> {
    let mut attempts = 0;
    loop {
        let held = match planned(link, plan, by).await {
            // The time was over in the middle of a look; the one before has said what it is about.
            Err(failure) if failure.code == ReasonCode::CLOUD_UNREACHABLE && attempts > 0 && Instant::now() >= by => {
                return Err(not_yet(plan));
            }
            held => held?,
        };
        if is_so(&held) {
            return Ok(held);
        }
        attempts += 1;
        let pause = pause_after(attempts);
        if Instant::now() + pause >= by {
            return Err(not_yet(plan));
        }
        tokio::time::sleep(pause).await;
    }
}

/// With its PEM.
async fn describe(link: &Link, id: &str, by: Instant) -> Result<Option<(HeldCa, String)>, Failure> {
    let send = || link.client.describe_ca_certificate().certificate_id(id).send();
    let answer = link.call(Action::DescribeCaCertificate, by, send).await;
    let Some(answer) = absent_if(answer, |error| error.is_resource_not_found_exception())? else { return Ok(None) };
    let template = answer.registration_config.and_then(|config| {
        Some(JoinTemplate { body: config.template_body?, role: config.role_arn.unwrap_or_default() })
    });
    let held = answer.certificate_description.and_then(|found| {
        let (arn, pem) = (found.certificate_arn?, found.certificate_pem?);
        let held = HeldCa {
            id: found.certificate_id?.parse().ok()?,
            account: arn.split(':').nth(4)?.parse().ok()?,
            arn,
            region: link.region.clone(),
            subject: subject_of(&pem),
            // From before there were modes, and of stand-ins that know none.
            mode: match found.certificate_mode {
                Some(CertificateMode::SniOnly) => CaMode::SniOnly,
                _ => CaMode::Default,
            },
            active: found.status? == CaCertificateStatus::Active,
            auto_registration: found.auto_registration_status == Some(AutoRegistrationStatus::Enable),
            template,
        };
        Some((held, pem))
    });
    let held = held.ok_or_else(|| incomplete(link, Action::DescribeCaCertificate))?;
    link.is_at_home(&held.0.arn)?;
    Ok(Some(held))
}

/// Somebody else's CA may be one that this program can't read: empty.
fn subject_of(pem: &str) -> String {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok();
    let certificate = der.and_then(|der| Certificate::from_der(&der).ok());
    certificate.map(|certificate| certificate.tbs_certificate().subject().to_string()).unwrap_or_default()
}

async fn all(link: &Link, by: Instant) -> Result<Vec<HeldCa>, Failure> {
    let mut ids = Vec::new();
    let mut page = None;
    loop {
        let send = || link.client.list_ca_certificates().set_marker(page.clone()).send();
        let answer = link.call(Action::ListCaCertificates, by, send).await.map_err(|refused| refused.failure)?;
        ids.extend(answer.certificates.unwrap_or_default().into_iter().filter_map(|ca| ca.certificate_id));
        page = answer.next_marker.filter(|marker| !marker.is_empty());
        if page.is_none() {
            break;
        }
    }
    ids.sort();
    let mut held = Vec::new();
    for id in ids {
        // Deleted since the list was made.
        held.extend(describe(link, &id, by).await?.map(|(held, _)| held));
    }
    Ok(held)
}

/// `A-335` with both sides.
fn as_planned(held: &HeldCa, plan: &CaPlan) -> Result<(), Failure> {
    same_mode(held, plan)?;
    let status = |active| if active { "ACTIVE" } else { "INACTIVE" };
    let join = |template: &Option<JoinTemplate>| match template {
        Some(JoinTemplate { body, role }) => format!("template {} as {role}", Fingerprint::of(body.as_bytes())),
        None => "no template".to_owned(),
    };
    let told = |active, auto: bool, template: &Option<JoinTemplate>| {
        let auto = if auto { "auto-registration" } else { "no auto-registration" };
        format!("{}, {auto}, {}", status(active), join(template))
    };
    let same_template = match (&held.template, &plan.template) {
        (Some(held), Some(plan)) => held.role == plan.role && same_json(&held.body, &plan.body),
        // Without auto-registration AWS may keep a template that nothing uses.
        (_, None) => !held.auto_registration || held.template.is_none(),
        (None, Some(_)) => false,
    };
    if held.active && held.auto_registration == plan.auto_registration && same_template {
        return Ok(());
    }
    let there = told(held.active, held.auto_registration, &held.template);
    let asked = told(true, plan.auto_registration, &plan.template);
    Err(differs(plan, format!("account {} has it {there}; the configuration asks for {asked}", held.account)))
}

fn same_mode(held: &HeldCa, plan: &CaPlan) -> Result<(), Failure> {
    if held.mode == plan.mode {
        return Ok(());
    }
    let (there, asked) = (held.mode.as_str(), plan.mode.as_str());
    Err(differs(plan, format!("account {} has it in mode {there}, the configuration asks for {asked}", held.account)))
}

fn same_json(one: &str, other: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    parsed(one).is_some_and(|one| Some(one) == parsed(other))
}

fn about(plan: &CaPlan, code: ReasonCode, cause: String) -> Failure {
    let cause = format!("CA {} ({}), target {}: {cause}", plan.ca.name, plan.ca.fingerprint, plan.target);
    Failure::new(code, cause).with("target", &plan.target).with("ca", &plan.ca.name)
}

fn differs(plan: &CaPlan, cause: String) -> Failure {
    about(plan, ReasonCode::CA_DIFFERS, cause)
}

fn absent(plan: &CaPlan) -> Failure {
    about(plan, ReasonCode::CA_ABSENT, "it is not registered there".to_owned())
}

fn not_yet(plan: &CaPlan) -> Failure {
    about(plan, ReasonCode::CLOUD_NOT_YET, "written, but not to be seen before the deadline".to_owned())
}

/// `other`: what AWS said.
fn taken(plan: &CaPlan, other: &str) -> Failure {
    let mode = plan.mode.as_str();
    about(plan, ReasonCode::CA_TAKEN, format!("mode {mode} is asked for here, and another account has it: {other}"))
}

/// Which are there under the same subject.
async fn limit(link: &Link, plan: &CaPlan, said: &str, by: Instant) -> Failure {
    let own = Certificate::from_der(&plan.ca.certificate).map(|own| own.tbs_certificate().subject().to_string());
    let subject = own.unwrap_or_default();
    let others = all(link, by).await.unwrap_or_default();
    let same = others.iter().filter(|held| held.subject == subject).map(|held| held.id.to_string()).take(NAMED);
    let same = same.collect::<Vec<_>>().join(", ");
    about(plan, ReasonCode::CA_LIMIT, format!("{said}; of {subject:?} there are: {same}"))
}
