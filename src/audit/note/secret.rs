//! A signing key held in this process. Where a token holds it instead, the token's signature is attached
//! to the same text: [`SignedCheckpoint::attach`](super::SignedCheckpoint::attach).

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox, SecretString};

use super::key::{KeyError, VerifierKey};
use crate::domain::KeyName;

/// An Ed25519 key that signs notes.
#[derive(Debug)]
pub struct NoteKey {
    verifier: VerifierKey,
    pair: Ed25519KeyPair,
}

/// Why there is no key to sign with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    #[error("not one PKCS#8 private key in PEM")]
    Pem,
    #[error("not an Ed25519 private key")]
    NotEd25519,
    #[error("the key's public half")]
    Public(#[from] KeyError),
}

/// PKCS#8 v1 of an Ed25519 key up to the seed (RFC 8410 §7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

impl NoteKey {
    /// A new key: 32 random bytes are the whole of it.
    pub fn from_seed(name: KeyName, seed: &SecretBox<[u8; 32]>) -> Result<Self, NoteKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret()).map_err(|_| NoteKeyError::NotEd25519)?;
        Self::of(name, pair)
    }

    /// What [`NoteKey::to_pem`] or `openssl genpkey -algorithm ed25519` wrote.
    pub fn from_pem(name: KeyName, pem: &SecretString) -> Result<Self, NoteKeyError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| NoteKeyError::Pem)?;
        let pair = Ed25519KeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| NoteKeyError::NotEd25519)?;
        Self::of(name, pair)
    }

    fn of(name: KeyName, pair: Ed25519KeyPair) -> Result<Self, NoteKeyError> {
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteKeyError::NotEd25519)?;
        Ok(Self { verifier: VerifierKey::from_public(name, public)?, pair })
    }

    /// PKCS#8 in PEM: `openssl pkey` reads it.
    pub fn to_pem(&self) -> Result<SecretString, NoteKeyError> {
        let seed = self.pair.seed().map_err(|_| NoteKeyError::NotEd25519)?;
        let seed = seed.as_be_bytes().map_err(|_| NoteKeyError::NotEd25519)?;
        let der = Zeroizing::new([&PKCS8_PREFIX[..], seed.as_ref()].concat());
        let text = Zeroizing::new(STANDARD.encode(&*der));
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", &*text).into())
    }

    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// A plain signature over a note's text.
    pub(super) fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.pair.sign(text).as_ref().to_vec()
    }
}
