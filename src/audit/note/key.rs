//! Public keys of notes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::{Invalid, KeyName};

/// Whose Ed25519 signature counts, written as signed notes' tools write it:
/// `<name>+<id>+<base64 of 0x01 and the public key>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    name: KeyName,
    public: [u8; 32],
}

/// Why a text or bytes are not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a verifier key is <name>+<id>+<key>, in exactly the form that its tool prints")]
    Format,
    #[error("the key's name")]
    Name(#[from] Invalid),
    #[error("the key is for another algorithm than Ed25519")]
    Algorithm,
    #[error("the key's id does not belong to its name and public key")]
    Id,
    #[error("the 32 bytes are no Ed25519 public key")]
    Point,
}

/// C2SP signed-note's signature type.
const ED25519_TYPE: u8 = 0x01;

/// SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410 §4).
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

impl VerifierKey {
    pub fn from_public(name: KeyName, public: [u8; 32]) -> Result<Self, KeyError> {
        let key = Self { name, public };
        match signed_note::StandardVerifier::new(&key.to_string()) {
            Ok(_) => Ok(key),
            Err(_) => Err(KeyError::Point),
        }
    }

    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Short for the key in a note: the start of a hash, so it names a key and proves none.
    pub fn id(&self) -> u32 {
        signed_note::key_id(self.name.as_str(), &self.typed())
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// For `openssl pkeyutl -verify -pubin -rawin`.
    pub fn to_spki_pem(&self) -> String {
        let der = [&SPKI_PREFIX[..], &self.public].concat();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    fn typed(&self) -> [u8; 33] {
        let mut typed = [ED25519_TYPE; 33];
        typed[1..].copy_from_slice(&self.public);
        typed
    }
}

impl signed_note::Verifier for VerifierKey {
    fn name(&self) -> &str {
        self.name.as_str()
    }
    fn key_id(&self) -> u32 {
        self.id()
    }
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(text, signature).is_ok()
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Format)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Format)?;
        let name = name.parse()?;
        let key = STANDARD.decode(key).map_err(|_| KeyError::Format)?;
        let (&[kind], public) = key.split_first_chunk().ok_or(KeyError::Format)?;
        if kind != ED25519_TYPE {
            return Err(KeyError::Algorithm);
        }
        let key = Self::from_public(name, public.try_into().map_err(|_| KeyError::Format)?)?;
        if id != format!("{:08x}", key.id()) {
            return Err(KeyError::Id);
        }
        Ok(key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, self.id(), STANDARD.encode(self.typed()))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> String {
        key.to_string()
    }
}
