//! Own CAs: what AWS IoT Core is told of whoever signs the chips' certificates.

use super::{Bytes, Failure, Fingerprint, TargetName, text_type};

text_type!(
    /// What the configuration calls an own CA.
    CaName,
    "CA name",
    "1 to 32 of a-z A-Z 0-9 _ -",
    |t| {
        !t.is_empty() && t.len() <= 32 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
);

/// A CA whose chips are registered in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningCa {
    pub name: CaName,
    /// DER.
    pub certificate: Bytes,
    /// AWS's id of it, too.
    pub fingerprint: Fingerprint,
}

/// How AWS IoT Core tells whose devices a CA's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CaMode {
    /// By the server name that a device connects to: any number of accounts may register the CA, and nobody
    /// proves to have its key.
    SniOnly,
    /// By the CA alone: one account of a Region has it, and proves that with the CA's signature over a
    /// registration code.
    Default,
}

impl CaMode {
    pub const ALL: [CaMode; 2] = [CaMode::SniOnly, CaMode::Default];

    pub fn as_str(self) -> &'static str {
        match self {
            CaMode::SniOnly => "SNI_ONLY",
            CaMode::Default => "DEFAULT",
        }
    }
}

/// What AWS makes of a device that it has not seen before (just-in-time provisioning).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinTemplate {
    /// A provisioning template, JSON. Its functions and parameters are AWS's own and stay as they are.
    pub body: String,
    /// The ARN of the role in whose name AWS does it.
    pub role: String,
}

/// What one target shall hold for one CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaPlan {
    pub target: TargetName,
    pub ca: SigningCa,
    pub mode: CaMode,
    /// Devices that connect with an unknown certificate of this CA are registered by AWS itself.
    pub auto_registration: bool,
    pub template: Option<JoinTemplate>,
}

/// What a person does with a CA in a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaAct {
    Register,
    Update,
    Deactivate,
    Delete,
}

impl CaAct {
    pub fn as_str(self) -> &'static str {
        match self {
            CaAct::Register => "register",
            CaAct::Update => "update",
            CaAct::Deactivate => "deactivate",
            CaAct::Delete => "delete",
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaEnd {
    Done,
    /// It was so already.
    Found,
    Failed(Failure),
}
