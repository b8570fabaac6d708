//! A private key that AWS made for a board.

use std::sync::Arc;

use rustls::SignatureScheme as Tls;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};

use crate::audit::event::SignatureScheme;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{MadeKey, TlsKey};

pub(super) struct KeyOfAws {
    /// As AWS has it.
    pem: SecretString,
    signs: Arc<dyn SigningKey>,
}

impl KeyOfAws {
    /// `None`: it is no key, or not the certificate's. No cause: what a parser says of a key may quote it.
    pub fn new(pem: SecretString, certificate: &CertificateDer<'static>) -> Option<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).ok()?;
        let signs = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).ok()?;
        let certified = CertifiedKey::new(vec![certificate.clone()], signs.clone());
        certified.keys_match().ok()?;
        Some(Self { pem, signs })
    }
}

impl MadeKey for KeyOfAws {
    fn pem(&self) -> &SecretString {
        &self.pem
    }
}

#[async_trait::async_trait]
impl TlsKey for KeyOfAws {
    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        let unusable =
            |cause: String| Failure::new(ReasonCode::ISSUED_UNUSABLE, format!("the key that AWS made: {cause}"));
        let tls = match scheme {
            SignatureScheme::RsaPkcs1Sha256 => Tls::RSA_PKCS1_SHA256,
            SignatureScheme::RsaPssRsaeSha256 => Tls::RSA_PSS_SHA256,
            // AWS makes RSA keys (API reference, CreateKeysAndCertificate: "a 2048-bit RSA key pair").
            other => return Err(unusable(format!("it is asked for {other:?}"))),
        };
        let signer = self.signs.choose_scheme(&[tls]).ok_or_else(|| unusable(format!("it makes no {scheme:?}")))?;
        signer.sign(message).map_err(|error| unusable(error.to_string()))
    }
}
