//! Provisioning templates and claim certificates in AWS IoT Core. For the administrator's commands; a station's own
//! calls are in [`aws_iot`](super::aws_iot), so that its role needs none of these.

mod claims;
mod folder;
mod templates;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use tokio::time::Instant;

use super::aws_iot::call::Link;
use super::aws_iot::{links, links_with, sharing};
use crate::config::Target;
use crate::domain::TargetName;
use crate::ports::Rations;
pub use folder::ClaimFolder;

/// For one act in one target, retries and read-back included: a person waits.
const WITHIN: Duration = Duration::from_secs(30);

/// The configured targets.
#[derive(Debug)]
pub struct AwsFleet {
    links: BTreeMap<TargetName, Link>,
}

impl AwsFleet {
    /// Credentials from the AWS default chain.
    pub async fn new(targets: &[Target]) -> Self {
        Self { links: links(targets).await }
    }

    /// With credentials of the caller's own and nothing from the environment.
    pub fn with_credentials(targets: &[Target], credentials: impl ProvideCredentials + Clone + 'static) -> Self {
        Self { links: links_with(targets, credentials) }
    }

    /// The same, with the calls of all stations counted together.
    pub fn sharing(self, rations: &Arc<dyn Rations>) -> Self {
        Self { links: sharing(self.links, rations) }
    }
}

fn deadline() -> Instant {
    Instant::now() + WITHIN
}

fn same_json(one: &str, other: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    parsed(one).is_some_and(|one| Some(one) == parsed(other))
}
