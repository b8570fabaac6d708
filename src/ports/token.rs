use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::event::{Reading, SignatureScheme, TokenFacts};
use crate::domain::Failure;
use crate::domain::profile::{ObjectName, Pin, SlotChoice};

/// Everything needed to reach one board's token; a profile's token plan with its templates filled.
#[derive(Debug, Clone)]
pub struct TokenAccess {
    pub module: PathBuf,
    /// Set for this board's worker process only.
    pub environment: BTreeMap<String, String>,
    /// The program behind the module's connections, and its arguments; see
    /// [`TokenPlan::command`](crate::domain::profile::TokenPlan::command).
    pub command: Option<Vec<String>>,
    pub slot: SlotChoice,
    pub certificate: ObjectName,
    pub key: ObjectName,
    pub uid: Option<ObjectName>,
    pub pin: Option<Pin>,
    /// The board's serial port: of all of them the one that its module may open, with those that `environment` names.
    pub port: Option<PathBuf>,
    pub call_timeout: Duration,
    pub open_timeout: Duration,
}

/// Opens tokens: each in a fresh process of its own.
#[async_trait::async_trait]
pub trait Tokens: Send + Sync {
    async fn open(&self, access: &TokenAccess) -> Result<Box<dyn Token>, Failure>;
}

/// One board's open token. Dropping it ends its process, whatever that is doing.
#[async_trait::async_trait]
pub trait Token: Send {
    /// Certificate, UID and facts, read from the token now, never from a cache.
    async fn read(&mut self) -> Result<Reading, Failure>;

    /// Signs `message` with the chip's key; exactly one signature is asked of the chip where the
    /// module allows it. ECDSA answers are r ‖ s (PKCS#11 v3.0 §6.3.1). The caller verifies.
    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure>;

    /// Has it keep a certificate under this name, in the place of an earlier one for the same key and of nothing else,
    /// and reads it back. That the module does not do so is an answer, and the token goes on.
    async fn keep(&mut self, name: &ObjectName, certificate: &[u8]) -> Result<Kept, Failure>;

    /// Everything that it shows, for a person to look at: nothing is decided by it.
    async fn contents(&mut self) -> Result<Contents, Failure>;

    /// Has let go of the token, and of the port that leads to it, when it returns.
    async fn close(self: Box<Self>);
}

/// What became of a certificate that a token was to keep.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Kept {
    /// It has it already.
    Found,
    /// Written, and read back.
    Written,
    /// Why not.
    Refused(String),
}

/// What a token shows of itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contents {
    pub token: TokenFacts,
    pub objects: Vec<TokenObject>,
    /// How many more there are than are listed.
    pub more: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TokenObject {
    pub class: ObjectKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// CKA_ID in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// CKA_KEY_TYPE, as the standard names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    Certificate,
    PrivateKey,
    PublicKey,
    Data,
    Other,
}
