//! A CA's private key: a file of mode 0600, or an object in a PKCS#11 token, which it never leaves.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;

use crate::adapters::log_key::read_private;
use crate::adapters::pkcs11::{WorkerTokens, access_to, refuse_open_pin};
use crate::audit::event::SignatureScheme;
use crate::config::TokenKey;
use crate::domain::{CaName, Failure, ReasonCode};
use crate::ports::{CaSigner, TokenAccess, Tokens as _};

/// PKCS#8, SEC 1 or PKCS#1 in PEM, not encrypted. Read when it is needed, and forgotten.
pub struct FileCaKey {
    ca: CaName,
    path: PathBuf,
}

impl FileCaKey {
    pub fn new(ca: CaName, path: PathBuf) -> Self {
        Self { ca, path }
    }
}

#[async_trait::async_trait]
impl CaSigner for FileCaKey {
    async fn sign(&self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        let (path, message) = (self.path.clone(), message.to_vec());
        let signed = tokio::task::spawn_blocking(move || sign_with(&path, &message, scheme)).await;
        signed.unwrap_or_else(|error| Err(error.to_string())).map_err(|cause| unusable(&self.ca, &cause))
    }
}

fn sign_with(path: &Path, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, String> {
    let in_file = |what: &str| format!("{} {what}", path.display());
    let pem = read_private(path).map_err(|failure| failure.cause)?.ok_or_else(|| in_file("is not there"))?;
    let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
        .map_err(|_| in_file("holds no private key in PEM, or an encrypted one"))?;
    let random = SystemRandom::new();
    let ecdsa = match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        SignatureScheme::EcdsaSecp384r1Sha384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        SignatureScheme::EcdsaSecp521r1Sha512 => &ECDSA_P521_SHA512_FIXED_SIGNING,
        SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::RsaPssRsaeSha256 => {
            let padding: &dyn RsaEncoding = match scheme {
                SignatureScheme::RsaPssRsaeSha256 => &RSA_PSS_SHA256,
                _ => &RSA_PKCS1_SHA256,
            };
            let other = |_| in_file("holds no RSA key, and the CA's certificate has one");
            let pair = match &key {
                PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(other)?,
                key => RsaKeyPair::from_pkcs8(key.secret_der()).map_err(other)?,
            };
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(padding, &random, message, &mut signature).map_err(|_| in_file("does not sign"))?;
            return Ok(signature);
        }
    };
    let other = |_| in_file("holds no EC key on the curve of the CA's certificate");
    let pair = match &key {
        PrivateKeyDer::Sec1(der) => EcdsaKeyPair::from_private_key_der(ecdsa, der.secret_sec1_der()).map_err(other)?,
        key => EcdsaKeyPair::from_pkcs8(ecdsa, key.secret_der()).map_err(other)?,
    };
    let signature = pair.sign(&random, message).map_err(|_| in_file("does not sign"))?;
    Ok(signature.as_ref().to_vec())
}

/// Each signature in a worker process of its own.
pub struct TokenCaKey {
    ca: CaName,
    tokens: WorkerTokens,
    access: TokenAccess,
}

impl TokenCaKey {
    pub fn new(ca: CaName, tokens: WorkerTokens, token: &TokenKey) -> Self {
        Self { ca, tokens, access: access_to(token) }
    }
}

#[async_trait::async_trait]
impl CaSigner for TokenCaKey {
    async fn sign(&self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        // What a board's token would be told apart by is one and the same here.
        let failed = |failure: Failure| unusable(&self.ca, &failure.to_string());
        refuse_open_pin(&self.access).map_err(|cause| unusable(&self.ca, &cause))?;
        let mut token = self.tokens.open(&self.access).await.map_err(failed)?;
        let signature = token.sign(message, scheme).await;
        token.close().await;
        signature.map_err(failed)
    }
}

fn unusable(ca: &CaName, cause: &str) -> Failure {
    Failure::new(ReasonCode::CA_KEY, cause).with("ca", ca)
}
