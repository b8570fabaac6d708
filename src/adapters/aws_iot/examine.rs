//! A target looked at for `doctor`: nothing is changed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::time::{Instant, timeout};

use super::call::Link;
use super::failure::{Trouble, classify_credentials};
use super::look::fetch_endpoint;
use super::permissions::{Right, Sample, ask, place, rights};
use super::quota::Action;
use super::{link_of, links, links_with};
use crate::adapters::aws_account::owner;
use crate::adapters::system::SystemClock;
use crate::config::{Config, Target};
use crate::domain::{Failure, ReasonCode, TargetName, Verdict};
use crate::ports::{Caller, Clock as _, Credentials, Examined, Examiner, Pace, Permission};

/// For each question, its retries included: a person waits.
const WITHIN: Duration = Duration::from_secs(10);

/// The configured targets and what is needed in them.
#[derive(Debug)]
pub struct AwsExaminer {
    links: BTreeMap<TargetName, Link>,
    targets: BTreeMap<TargetName, (Target, BTreeSet<Right>)>,
}

impl AwsExaminer {
    /// Credentials as [`AwsCloud::new`](super::AwsCloud::new) takes them. Makes no call and cannot fail.
    pub async fn new(config: &Config) -> Self {
        Self { links: links(&config.targets).await, targets: of_targets(config) }
    }

    /// With credentials of the caller's own and nothing from the environment.
    pub fn with_credentials(config: &Config, credentials: impl ProvideCredentials + 'static) -> Self {
        Self { links: links_with(&config.targets, credentials), targets: of_targets(config) }
    }
}

fn of_targets(config: &Config) -> BTreeMap<TargetName, (Target, BTreeSet<Right>)> {
    config.targets.iter().map(|it| (it.name.clone(), (it.clone(), rights(config, it)))).collect()
}

#[async_trait::async_trait]
impl Examiner for AwsExaminer {
    async fn examine(&self, target: &TargetName) -> Examined {
        let link = link_of(&self.links, target);
        let (Ok(link), Some((target, rights))) = (link, self.targets.get(target)) else {
            let unknown = || Failure::new(ReasonCode::CONFIG_INVALID, format!("there is no target {target}"));
            return Examined {
                credentials: Err(unknown()),
                caller: Err(unknown()),
                endpoint: Err(unknown()),
                clock: None,
                permissions: Vec::new(),
                pace: None,
            };
        };
        let credentials = credentials(link).await;
        let caller = match &credentials {
            Ok(_) => caller(link).await,
            Err(failure) => Err(failure.clone()),
        };
        let sent = SystemClock.now();
        let endpoint = match &caller {
            Ok(_) => fetch_endpoint(link, Instant::now() + WITHIN).await,
            Err(failure) => Err(failure.clone()),
        };
        let clock = link.dates.skew(sent, SystemClock.now());
        // Of one that is away every question would only take its time.
        let away = endpoint.as_ref().is_err_and(|failure| failure.code.verdict() == Verdict::Held);
        let permissions = match &caller {
            Ok(caller) if !away => permissions(link, target, caller, rights).await,
            _ => Vec::new(),
        };
        Examined { credentials, caller, endpoint, clock, permissions, pace: pace(rights) }
    }
}

/// Where they come from, before anybody asks whose they are.
async fn credentials(link: &Link) -> Result<Credentials, Failure> {
    let named = |failure: Failure| failure.with("target", &link.target);
    let none = |cause: &str| named(Failure::new(ReasonCode::CLOUD_CREDENTIALS, cause));
    let provider: SharedCredentialsProvider =
        link.access.sts.credentials_provider().ok_or_else(|| none("no provider of credentials"))?;
    let provided = timeout(WITHIN, provider.provide_credentials()).await;
    let provided = provided.unwrap_or_else(|_| Err(CredentialsError::provider_timed_out(WITHIN)));
    let provided = provided.map_err(|error| named(classify_credentials(&error).failure))?;
    let features = provided.get_property::<Vec<AwsCredentialFeature>>().cloned().unwrap_or_default();
    let source: Vec<String> = features.iter().map(|feature| format!("{feature:?}")).collect();
    let expires = provided.expiry().and_then(|expiry| expiry.duration_since(SystemTime::UNIX_EPOCH).ok());
    let expires = expires.and_then(|since| jiff::Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok());
    let source = if source.is_empty() { "CredentialsCode".to_owned() } else { source.join(" + ") };
    Ok(Credentials { source, expires })
}

async fn caller(link: &Link) -> Result<Caller, Failure> {
    let named = |Trouble { failure, .. }: Trouble| failure.with("target", &link.target);
    let owner = owner(&link.access.sts).await.map_err(named)?;
    owner.is(link.account.as_ref()).map_err(named)?;
    Ok(Caller { account: owner.account, arn: owner.arn })
}

/// One after the other: a station may be working by the same rates.
async fn permissions(link: &Link, target: &Target, caller: &Caller, rights: &BTreeSet<Right>) -> Vec<Permission> {
    let mut random = [0; 16];
    // Without random bytes the names are still nobody's: no unit is called so.
    let _ = aws_lc_rs::rand::fill(&mut random);
    let here = Target { account: Some(caller.account.clone()), ..target.clone() };
    let sample = Sample::new(random, place(&here));
    let mut asked = Vec::new();
    for right in rights {
        let answer = ask(link, right, &sample, Instant::now() + WITHIN).await;
        let (action, resource) = (right.action.iam_name().to_owned(), right.resource.at(target));
        asked.push(Permission { action, resource, need: right.need, answer });
    }
    asked
}

/// A unit's certificate, its other form and the read-back: nothing else is called as often for its rate.
const DESCRIBES_A_UNIT: u32 = 3;

fn pace(rights: &BTreeSet<Right>) -> Option<Pace> {
    let slowest = Action::DescribeCertificate;
    let called = rights.iter().any(|right| right.action == slowest);
    called.then(|| Pace { units_per_second: slowest.rate() / DESCRIBES_A_UNIT, slowest: slowest.iam_name().to_owned() })
}
