//! Whose account calls go to.

mod owner;
mod role;

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::time::SystemTimeSource;

use crate::config::{Target, host, is_this_machine};
use crate::domain::Region;

pub(super) use owner::{Withheld, owner};

/// For one question to AWS STS: the SDK itself waits 5 s for credentials.
const STS_WITHIN: Duration = Duration::from_secs(4);
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

pub fn region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// Credentials from the AWS default chain or, where one is named, from that profile alone: the chain asks the
/// environment first, and would take every call into its account. Makes no call and cannot fail.
pub async fn config(of: &Region, profile: Option<&str>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region(of));
    if let Some(profile) = profile {
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::without_region().with_region(Some(region(of))))
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    loader.load().await
}

/// How one target is called.
#[derive(Debug, Clone)]
pub(super) struct Access {
    /// Its credentials are handed out only once they are known to be the target's account's: nothing can be
    /// signed with any others.
    pub config: SdkConfig,
    /// For AWS STS, with whatever credentials there are.
    pub sts: SdkConfig,
}

/// Makes no call and cannot fail.
pub(super) async fn of_target(target: &Target) -> Access {
    access(target, config(&target.region, target.aws_profile.as_deref()).await)
}

/// With credentials of the caller's own and nothing from the environment.
pub(super) fn of_target_with(target: &Target, credentials: SharedCredentialsProvider) -> Access {
    let base = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(region(&target.region))
        .time_source(SystemTimeSource::new())
        .credentials_provider(credentials);
    access(target, base.build())
}

fn access(target: &Target, base: SdkConfig) -> Access {
    let mut sts = base.to_builder();
    sts.set_endpoint_url(sts_endpoint(target).map(str::to_owned).or(base.endpoint_url().map(str::to_owned)));
    // Attempts are counted where the call is that needs the credentials.
    let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_WITHIN).operation_timeout(STS_WITHIN).build();
    sts.set_timeout_config(Some(timeouts)).set_retry_config(Some(RetryConfig::disabled()));
    let sts = sts.build();
    let with = |credentials: Option<SharedCredentialsProvider>, config: &SdkConfig| {
        let mut config = config.to_builder();
        config.set_credentials_provider(credentials);
        config.build()
    };
    let credentials = match &target.role {
        Some(role) => Some(role::assumed(role, sts.clone())),
        None => base.credentials_provider(),
    };
    let sts = with(credentials.clone(), &sts);
    let credentials = match (&target.account, credentials) {
        (Some(account), Some(credentials)) => Some(owner::of_account(account, credentials, sts.clone())),
        (_, credentials) => credentials,
    };
    Access { config: with(credentials, &base), sts }
}

/// A stand-in on this machine stands in for AWS STS, too; a VPC endpoint of AWS IoT does not.
fn sts_endpoint(target: &Target) -> Option<&str> {
    let here = |endpoint: &&str| is_this_machine(host(endpoint));
    target.sts_endpoint.as_deref().or_else(|| target.endpoint.as_deref().filter(here))
}
