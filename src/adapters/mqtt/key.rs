//! The chip's key, as TLS asks for it.

use std::sync::Arc;
use std::time::Instant;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme as Tls};
use tokio::sync::mpsc;

use super::Shared;
use crate::audit::event::SignatureScheme;
use crate::audit::x509::ecdsa_der;
use crate::domain::profile::KeyKind;
use crate::ports::Trial;

/// What the handshake wants signed.
pub(super) struct Ask {
    pub message: Vec<u8>,
    pub scheme: SignatureScheme,
    /// Dropped: there will be no signature.
    pub answer: std::sync::mpsc::SyncSender<Vec<u8>>,
}

/// The unit's certificate and the way to its key; keeps how it signed.
#[derive(Debug)]
pub(super) struct ChipKey {
    certified: Arc<CertifiedKey>,
    signed: Shared<Option<SignatureScheme>>,
}

impl ChipKey {
    pub fn new(trial: &Trial, asks: mpsc::Sender<Ask>, end: Instant) -> Self {
        let signed = Shared::default();
        let key = TokenKey { kind: trial.key, asks, signed: signed.clone(), end };
        let chain = trial.chain.iter().map(|der| CertificateDer::from(der.0.clone())).collect();
        Self { certified: Arc::new(CertifiedKey::new(chain, Arc::new(key))), signed }
    }

    /// How the chip signed; `None`: it was not asked.
    pub fn signed(&self) -> Option<SignatureScheme> {
        self.signed.lock().ok().and_then(|signed| *signed)
    }
}

impl ResolvesClientCert for ChipKey {
    fn resolve(&self, _: &[&[u8]], offered: &[Tls]) -> Option<Arc<CertifiedKey>> {
        self.certified.key.choose_scheme(offered).map(|_| self.certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug, Clone)]
struct TokenKey {
    kind: KeyKind,
    asks: mpsc::Sender<Ask>,
    signed: Shared<Option<SignatureScheme>>,
    end: Instant,
}

/// What a key can sign by, in the order in which it is preferred: PKCS#1 v1.5, where TLS 1.2 takes it, is
/// what every RSA token knows.
fn schemes(kind: KeyKind) -> &'static [(SignatureScheme, Tls)] {
    match kind {
        KeyKind::EcP256 => &[(SignatureScheme::EcdsaSecp256r1Sha256, Tls::ECDSA_NISTP256_SHA256)],
        KeyKind::EcP384 => &[(SignatureScheme::EcdsaSecp384r1Sha384, Tls::ECDSA_NISTP384_SHA384)],
        KeyKind::EcP521 => &[(SignatureScheme::EcdsaSecp521r1Sha512, Tls::ECDSA_NISTP521_SHA512)],
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => &[
            (SignatureScheme::RsaPkcs1Sha256, Tls::RSA_PKCS1_SHA256),
            (SignatureScheme::RsaPssRsaeSha256, Tls::RSA_PSS_SHA256),
        ],
    }
}

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[Tls]) -> Option<Box<dyn Signer>> {
        let (scheme, tls) = schemes(self.kind).iter().find(|(_, tls)| offered.contains(tls))?;
        Some(Box::new(TokenSigner { key: self.clone(), scheme: *scheme, tls: *tls }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.kind {
            KeyKind::EcP256 | KeyKind::EcP384 | KeyKind::EcP521 => SignatureAlgorithm::ECDSA,
            KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => SignatureAlgorithm::RSA,
        }
    }
}

#[derive(Debug)]
struct TokenSigner {
    key: TokenKey,
    scheme: SignatureScheme,
    tls: Tls,
}

impl Signer for TokenSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let none = || rustls::Error::General("the chip did not sign".to_owned());
        let (answer, answered) = std::sync::mpsc::sync_channel(1);
        self.key
            .asks
            .blocking_send(Ask { message: message.to_vec(), scheme: self.scheme, answer })
            .map_err(|_| none())?;
        // Whoever asks the token gives up by itself, and drops the other end.
        let signature = answered.recv().map_err(|_| none())?;
        if Instant::now() >= self.key.end {
            return Err(rustls::Error::General("the chip signed too late".to_owned()));
        }
        if let Ok(mut signed) = self.key.signed.lock() {
            *signed = Some(self.scheme);
        }
        Ok(match self.key.algorithm() {
            SignatureAlgorithm::ECDSA => ecdsa_der(&signature),
            _ => signature,
        })
    }

    fn scheme(&self) -> Tls {
        self.tls
    }
}
