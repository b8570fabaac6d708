//! Calling in a role.

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use super::Withheld;
use crate::adapters::aws_iot::failure::{causes, classify};
use crate::config::Role;
use crate::domain::{Failure, ReasonCode};

/// Stands in the account's CloudTrail.
const SESSION: &str = "lineseal";

/// The role's credentials, taken on with those of `sts` whenever new ones are needed.
pub(super) fn assumed(role: &Role, sts: SdkConfig) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Assumed { role: role.clone(), sts })
}

#[derive(Debug)]
struct Assumed {
    role: Role,
    sts: SdkConfig,
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl Assumed {
    async fn credentials(&self) -> provider::Result {
        let mut role = AssumeRoleProvider::builder(self.role.arn.as_str()).session_name(SESSION).configure(&self.sts);
        if let Some(id) = &self.role.external_id {
            role = role.external_id(id.as_str());
        }
        role.build().await.provide_credentials().await.map_err(|error| self.refused(error))
    }

    /// What AWS STS itself said, where it did: whose fault it is depends on that.
    fn refused(&self, error: CredentialsError) -> CredentialsError {
        let said = causes(&error).find_map(|cause| cause.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>());
        let Some(said) = said else { return error };
        let mut trouble = classify(said);
        trouble.failure.cause = format!("sts:AssumeRole: {}", trouble.failure.cause);
        if trouble.failure.code == ReasonCode::CLOUD_PERMISSION {
            let cause = format!("role {}: {}", self.role.arn, trouble.failure.cause);
            trouble.failure = Failure::new(ReasonCode::ROLE_REFUSED, cause).with("role", &self.role.arn);
        }
        CredentialsError::provider_error(Withheld(trouble))
    }
}
