use crate::audit::event::SignatureScheme;
use crate::domain::{AccountId, CaEnd, CaMode, CaPlan, Failure, Fingerprint, JoinTemplate, Region, TargetName};

/// What one target holds for one CA certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCa {
    pub id: Fingerprint,
    pub arn: String,
    pub account: AccountId,
    pub region: Region,
    /// One line, as `openssl x509 -subject` would have it.
    pub subject: String,
    pub mode: CaMode,
    pub active: bool,
    pub auto_registration: bool,
    pub template: Option<JoinTemplate>,
}

/// The CAs that AWS IoT Core knows, target by target. What a call writes it reads back.
#[async_trait::async_trait]
pub trait Authorities: Send + Sync {
    /// `None`: the target does not know it.
    async fn find(&self, target: &TargetName, ca: &Fingerprint) -> Result<Option<HeldCa>, Failure>;

    /// All of them, by id.
    async fn all(&self, target: &TargetName) -> Result<Vec<HeldCa>, Failure>;

    /// What a certificate has to be named, that the CA signs to show that its owner wants it here.
    async fn registration_code(&self, target: &TargetName) -> Result<String, Failure>;

    /// Registers it, ACTIVE. `proof`: the certificate (DER) over the registration code, in DEFAULT mode.
    /// `A-334` another account has it, `A-335` it is there otherwise than planned, `A-337` the limit is reached.
    async fn register(&self, plan: &CaPlan, proof: Option<&[u8]>) -> Result<CaEnd, Failure>;

    /// Brings what may change in line with the plan, and ACTIVE. `A-331`, `A-335` where the mode is another.
    async fn update(&self, plan: &CaPlan) -> Result<CaEnd, Failure>;

    /// No certificate can be registered in its name any more; those that are registered stay as they are.
    async fn deactivate(&self, plan: &CaPlan) -> Result<CaEnd, Failure>;

    /// `O-606` while it is ACTIVE.
    async fn delete(&self, plan: &CaPlan) -> Result<CaEnd, Failure>;
}

/// A CA's private key.
#[async_trait::async_trait]
pub trait CaSigner: Send + Sync {
    /// As PKCS#11 has it: r ‖ s, or as long as the modulus. Nobody has verified it. `A-336` for whatever is
    /// wrong with the key.
    async fn sign(&self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure>;
}
