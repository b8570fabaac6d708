//! A claim of minutes, made by the target's own credentials (provisioning by trusted user).

use secrecy::SecretString;
use tokio::time::Instant;

use super::call::{Link, Refused};
use super::look::incomplete;
use super::quota::Action;
use crate::domain::{Failure, ProvisioningTemplateName, ReasonCode};

/// Certificate and private key, PEM. It is no certificate of the account's and passes by itself, so that nothing is
/// left of an attempt whose answer was lost.
pub(super) async fn create(
    link: &Link,
    template: &ProvisioningTemplateName,
    by: Instant,
) -> Result<(String, SecretString), Failure> {
    let send = || link.client.create_provisioning_claim().template_name(template.as_str()).send();
    let answer = link.call(Action::CreateProvisioningClaim, by, send).await;
    let answer = answer.map_err(|Refused { failure, answer, .. }| match answer {
        Some(error) if error.is_resource_not_found_exception() => {
            Failure { code: ReasonCode::TEMPLATE_ABSENT, ..failure }.with("template", template)
        }
        _ => failure,
    })?;
    let key = answer.key_pair.and_then(|pair| pair.private_key).map(SecretString::from);
    answer.certificate_pem.zip(key).ok_or_else(|| incomplete(link, Action::CreateProvisioningClaim))
}
