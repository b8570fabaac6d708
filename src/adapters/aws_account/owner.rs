//! Whose the credentials are: AWS STS says, and those of another account sign nothing.

use aws_config::SdkConfig;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;

use crate::adapters::aws_iot::failure::{Trouble, classify};
use crate::domain::{AccountId, Failure, ReasonCode};

/// Credentials that were not handed out, and why: sorted already.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.failure.cause)]
pub(in crate::adapters) struct Withheld(pub Trouble);

/// Who somebody is to AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::adapters) struct Owner {
    pub account: AccountId,
    /// Of the user or the role's session.
    pub arn: String,
}

impl Owner {
    /// `A-371`: it is another one.
    pub fn is(&self, account: Option<&AccountId>) -> Result<(), Trouble> {
        let Some(wanted) = account.filter(|wanted| **wanted != self.account) else { return Ok(()) };
        let cause = format!("the credentials are {}, and the target is account {wanted}", self.arn);
        let failure = Failure::new(ReasonCode::CLOUD_ELSEWHERE, cause).with("found", &self.account);
        Err(Trouble::never(failure.with("account", wanted)))
    }
}

/// GetCallerIdentity, which nobody needs a permission for.
pub(in crate::adapters) async fn owner(sts: &SdkConfig) -> Result<Owner, Trouble> {
    let answer = aws_sdk_sts::Client::new(sts).get_caller_identity().send().await;
    let answer = answer.map_err(|error| {
        let mut trouble = classify::<GetCallerIdentityError>(&error);
        trouble.failure.cause = format!("sts:GetCallerIdentity: {}", trouble.failure.cause);
        trouble
    })?;
    let account = answer.account.as_deref().and_then(|account| account.parse().ok());
    account.zip(answer.arn).map(|(account, arn)| Owner { account, arn }).ok_or_else(|| {
        let cause = "sts:GetCallerIdentity: the answer lacks what AWS's model promises";
        Trouble::refused(ReasonCode::CLOUD_FAILED, cause.to_owned())
    })
}

/// The same credentials, where they are this account's.
pub(super) fn of_account(
    account: &AccountId,
    credentials: SharedCredentialsProvider,
    sts: SdkConfig,
) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(OfAccount { account: account.clone(), credentials, sts })
}

#[derive(Debug)]
struct OfAccount {
    account: AccountId,
    credentials: SharedCredentialsProvider,
    sts: SdkConfig,
}

impl ProvideCredentials for OfAccount {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl OfAccount {
    async fn credentials(&self) -> provider::Result {
        let credentials = self.credentials.provide_credentials().await?;
        // With these very ones: a second look at their source may find others.
        let with_these = SharedCredentialsProvider::new(credentials.clone());
        let sts = self.sts.to_builder().credentials_provider(with_these).build();
        let withheld = |trouble| CredentialsError::provider_error(Withheld(trouble));
        let owner = owner(&sts).await.map_err(withheld)?;
        owner.is(Some(&self.account)).map_err(withheld)?;
        Ok(credentials)
    }
}
