//! AWS IoT Core, through the AWS SDK.
//!
//! Registering is reconciling: *look* at what the target holds, *judge* it against what the unit
//! shall have, *write* what is missing, and look again until all of it is there. The last look is
//! the read-back. So a run that was killed anywhere, a second station and a second attempt all take
//! the same road, and nothing is written that is there already.
//!
//! What is missing is only ever a modelled `ResourceNotFoundException`; any other answer is an
//! error. What is missing after a write is AWS being eventually consistent: it is polled to the
//! deadline. What is there and not ours is never touched. Certificates that a ruling took from the
//! unit are taken off first, and off they stay.
//!
//! Credentials come from the SDK's default chain when a call needs them; nothing here keeps, logs
//! or shows them.

pub(super) mod call;
mod claim;
mod dates;
mod examine;
pub(super) mod failure;
mod issue;
mod judge;
pub(super) mod look;
mod permissions;
pub(super) mod quota;
mod register;
mod stands;
mod withdraw;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_iot::Client;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::adapters::aws_account::{self, Access};
use crate::audit::event::{Holding, TargetRecord, Withdrawal};
use crate::config::Target;
use crate::domain::{Failure, Fingerprint, ProvisioningTemplateName, ReasonCode, SigningCa, TargetName};
use crate::ports::{Cloud, Issuance, Made, MadeBefore, Prepared, Rations, ReadBack, Refusal, Registration, TakenBack};
use call::Link;
use dates::Dates;

pub use examine::AwsExaminer;
pub use permissions::{StationPolicy, station_policies};

/// A TCP connection that does not come about is given up after this: a dead proxy cannot hang a unit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// One HTTP exchange.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// For setting a certificate INACTIVE, retries included.
const DEACTIVATE_WITHIN: Duration = Duration::from_secs(15);
/// For taking back what a unit registered, propagation included.
const WITHDRAW_WITHIN: Duration = Duration::from_secs(60);
/// For the address that a device is to connect to; it is asked once.
const ENDPOINT_WITHIN: Duration = Duration::from_secs(10);
/// For the header's and `doctor`'s look at a target.
const PROBE_WITHIN: Duration = Duration::from_secs(3);
/// For a claim of minutes.
const CLAIM_WITHIN: Duration = Duration::from_secs(15);
/// No registration is given more time than this, whatever the profile says.
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// Has this computer the root certificates that AWS's server certificates end at? The SDK's TLS
/// panics where there is none, so this is asked before the first client is made. `A-314`.
pub fn root_certificates() -> Result<(), Failure> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        return Ok(());
    }
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let cause = format!("this computer has no root certificates (Debian: ca-certificates); {}", errors.join("; "));
    Err(Failure::new(ReasonCode::CLOUD_ROOTS, cause.trim_end_matches("; ")))
}

/// The configured targets, one SDK client each. Shared by all lanes: rates, caches and connections
/// are per target.
#[derive(Debug)]
pub struct AwsCloud {
    links: BTreeMap<TargetName, Link>,
}

/// By name. Makes no AWS call and cannot fail: what is wrong shows at the first call.
pub(super) async fn links(targets: &[Target]) -> BTreeMap<TargetName, Link> {
    let mut links = BTreeMap::new();
    for target in targets {
        links.insert(target.name.clone(), link(target, aws_account::of_target(target).await));
    }
    links
}

/// The same with credentials of the caller's own.
pub(super) fn links_with(
    targets: &[Target],
    credentials: impl ProvideCredentials + 'static,
) -> BTreeMap<TargetName, Link> {
    let credentials = SharedCredentialsProvider::new(credentials);
    let link_of =
        |target: &Target| (target.name.clone(), link(target, aws_account::of_target_with(target, credentials.clone())));
    targets.iter().map(link_of).collect()
}

/// For a person's commands: their calls count with those of all stations, and boards go first.
pub(super) fn sharing(links: BTreeMap<TargetName, Link>, rations: &Arc<dyn Rations>) -> BTreeMap<TargetName, Link> {
    links.into_iter().map(|(name, link)| (name, link.sharing_behind_boards(Arc::clone(rations)))).collect()
}

pub(super) fn link_of<'l>(links: &'l BTreeMap<TargetName, Link>, target: &TargetName) -> Result<&'l Link, Failure> {
    links.get(target).ok_or_else(|| {
        Failure::new(ReasonCode::CONFIG_INVALID, format!("there is no target {target} in the configuration"))
            .with("target", target)
    })
}

impl AwsCloud {
    /// Credentials from the target's AWS profile, or from the default chain (environment, profile, SSO, process,
    /// instance role) where it names none. Makes no AWS call and cannot fail: what is wrong shows at the first call, as `A-311`.
    pub async fn new(targets: &[Target]) -> Self {
        Self { links: links(targets).await }
    }

    /// The same with credentials of the caller's own and nothing from the environment: for local
    /// stand-ins, whose keys must never meet a real account.
    pub fn with_credentials(targets: &[Target], credentials: impl ProvideCredentials + 'static) -> Self {
        Self { links: links_with(targets, credentials) }
    }

    /// The same, with the calls of all stations counted together.
    pub fn sharing(self, rations: &Arc<dyn Rations>) -> Self {
        let shared = |(name, link): (TargetName, Link)| (name, link.sharing(Arc::clone(rations)));
        Self { links: self.links.into_iter().map(shared).collect() }
    }

    fn link(&self, target: &TargetName) -> Result<&Link, Failure> {
        link_of(&self.links, target)
    }
}

#[async_trait::async_trait]
impl Cloud for AwsCloud {
    async fn issue(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Made, Failure> {
        issue::issue(self.link(&issuance.target)?, issuance, before).await
    }

    async fn register(&self, registration: &Registration) -> Result<TargetRecord, Refusal> {
        match self.link(&registration.target) {
            Ok(link) if registration.patient => register::register(&link.patient(), registration).await,
            Ok(link) => register::register(link, registration).await,
            Err(failure) => Err(Refusal { failure, certificate_left: false }),
        }
    }

    async fn stands(&self, held: &ReadBack) -> Result<(), Failure> {
        stands::stands(self.link(&held.target)?, held).await
    }

    async fn deactivate(&self, target: &TargetName, certificate: &Fingerprint) -> Result<(), Failure> {
        let link = self.link(target)?;
        write::deactivate(link, certificate, Instant::now() + DEACTIVATE_WITHIN).await
    }

    async fn withdraw(&self, holding: &Holding, act: Withdrawal) -> TakenBack {
        match self.link(&holding.target) {
            Ok(link) => withdraw::withdraw(link, holding, act, Instant::now() + WITHDRAW_WITHIN).await,
            Err(failure) => TakenBack { failure: Some(failure), ..TakenBack::default() },
        }
    }

    async fn probe(&self, target: &TargetName) -> Result<(), Failure> {
        let link = self.link(target)?;
        look::fetch_endpoint(link, Instant::now() + PROBE_WITHIN).await.map(drop)
    }

    async fn takes_from(&self, target: &TargetName, ca: &SigningCa, joining: bool) -> Result<(), Failure> {
        let link = self.link(target)?;
        let seen = look::fetch_ca(link, ca, Instant::now() + PROBE_WITHIN).await?;
        judge::usable(&seen, ca, target)?;
        if joining { judge::joins(&seen, ca, target) } else { Ok(()) }
    }

    async fn made_before(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Option<Made>, Failure> {
        issue::registered_before(self.link(&issuance.target)?, issuance, before).await
    }

    async fn prepare(&self, registration: &Registration) -> Result<Prepared, Refusal> {
        match self.link(&registration.target) {
            Ok(link) => register::prepare(link, registration).await,
            Err(failure) => Err(Refusal { failure, certificate_left: false }),
        }
    }

    async fn claim(
        &self,
        target: &TargetName,
        template: &ProvisioningTemplateName,
    ) -> Result<(String, SecretString), Failure> {
        claim::create(self.link(target)?, template, Instant::now() + CLAIM_WITHIN).await
    }

    async fn endpoint(&self, target: &TargetName) -> Result<String, Failure> {
        look::cached_endpoint(self.link(target)?, Instant::now() + ENDPOINT_WITHIN).await
    }
}

/// The SDK's own retries are off: attempts are counted, paced and bounded in [`call`], where the
/// unit's deadline is known.
fn link(target: &Target, access: Access) -> Link {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let dates = Dates::default();
    let mut config = aws_sdk_iot::config::Builder::from(&access.config)
        .interceptor(dates.clone())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(endpoint) = &target.endpoint {
        config = config.endpoint_url(endpoint);
    }
    Link::new(target, access, dates, Client::from_conf(config.build()))
}
