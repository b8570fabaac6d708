use secrecy::SecretString;

use crate::domain::{
    Failure, Fingerprint, PolicyName, ProvisioningTemplateName, TargetName, TemplateKind, TemplatePlan,
};

/// A provisioning template that a target holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldTemplate {
    pub name: ProvisioningTemplateName,
    pub arn: String,
    pub kind: TemplateKind,
    /// Of the default version.
    pub body: String,
    pub version: i32,
    pub enabled: bool,
    pub role: String,
    pub hook: Option<String>,
    pub description: Option<String>,
}

/// The provisioning templates that AWS IoT Core knows, target by target. What a call writes it reads back.
#[async_trait::async_trait]
pub trait ProvisioningTemplates: Send + Sync {
    /// `None`: the target does not know it.
    async fn find(&self, target: &TargetName, name: &ProvisioningTemplateName)
    -> Result<Option<HeldTemplate>, Failure>;

    /// All of them, by name.
    async fn all(&self, target: &TargetName) -> Result<Vec<HeldTemplate>, Failure>;

    /// `false`: it was there already, as planned. `A-363` it is there otherwise.
    async fn create(&self, plan: &TemplatePlan) -> Result<bool, Failure>;
}

/// A claim certificate that was just made, INACTIVE and without a policy: of no use to anybody yet.
pub struct NewClaim {
    pub fingerprint: Fingerprint,
    pub certificate_pem: String,
    /// PEM.
    pub private_key: SecretString,
}

/// A certificate that has the claim policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldClaim {
    pub fingerprint: Fingerprint,
    pub arn: String,
    /// As AWS calls it.
    pub status: String,
}

/// Where a claim goes, and what it may do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPlan {
    pub target: TargetName,
    pub template: ProvisioningTemplateName,
    pub policy: PolicyName,
}

/// Claim certificates: what a device shows that has no certificate of its own yet.
#[async_trait::async_trait]
pub trait Claims: Send + Sync {
    /// `A-364` the target has no such template for fleets, `A-321` the policy is there and allows something else.
    async fn prepare(&self, plan: &ClaimPlan) -> Result<(), Failure>;

    /// CreateKeysAndCertificate, once: a second attempt would make a second one.
    async fn make(&self, plan: &ClaimPlan) -> Result<NewClaim, Failure>;

    /// Gives it the policy, then sets it ACTIVE.
    async fn release(&self, plan: &ClaimPlan, claim: &Fingerprint) -> Result<(), Failure>;

    /// Deletes what nobody has the key of.
    async fn discard(&self, plan: &ClaimPlan, claim: &Fingerprint) -> Result<(), Failure>;

    /// All that have the policy.
    async fn all(&self, plan: &ClaimPlan) -> Result<Vec<HeldClaim>, Failure>;
}

/// Where a claim's certificate and key are kept for whoever builds them into devices.
pub trait ClaimPlace: Send + Sync {
    /// Nothing is there yet, and something may be.
    fn ready(&self, plan: &ClaimPlan) -> Result<(), Failure>;

    /// On disk when this returns. Replaces nothing.
    fn keep(&self, plan: &ClaimPlan, claim: &NewClaim) -> Result<(), Failure>;
}
