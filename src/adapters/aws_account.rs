//! Whose account calls go to.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::domain::Region;

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
