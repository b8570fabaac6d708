//! The chip's answer, verified on this host: length, algorithm and signature.

use aws_lc_rs::signature::UnparsedPublicKey;
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::{Checked, key};
use crate::audit::event::SignatureScheme;
use crate::domain::profile::KeyKind;
use crate::domain::{Failure, ReasonCode, SpkiHash};

/// The argument of a refused answer's failure that is the answer, in hexadecimal.
pub const ANSWER: &str = "answer";

/// Of an answer that is kept: twice as long as any that could be right.
const LONGEST: usize = 1024;

/// The one scheme a key of this kind is asked for.
pub fn scheme_for(key: KeyKind) -> SignatureScheme {
    match key {
        KeyKind::EcP256 => SignatureScheme::EcdsaSecp256r1Sha256,
        KeyKind::EcP384 => SignatureScheme::EcdsaSecp384r1Sha384,
        KeyKind::EcP521 => SignatureScheme::EcdsaSecp521r1Sha512,
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => SignatureScheme::RsaPkcs1Sha256,
    }
}

/// Does `signature` over `message` verify under the certificate's key? ECDSA answers are r ‖ s, each
/// as long as the curve's order (PKCS#11 §6.3.1), RSA answers as long as the modulus.
///
/// # Errors
/// `S-101`, whose cause tells a wrong length, an answer of zeros and a wrong signature apart: a module
/// asked for the wrong mechanism has been seen to return 64 bytes of nonsense for an RSA key. The answer is
/// among its arguments: whoever looks into it later sees whether it is an old one.
pub fn verify_signature(checked: &Checked, message: &[u8], signature: &[u8]) -> Result<(), Failure> {
    verify_under(checked.decision.key, &checked.spki, message, signature)
}

/// The same under the key of a certificate that need not have passed any check.
pub fn verify_under(kind: KeyKind, spki: &[u8], message: &[u8], signature: &[u8]) -> Result<(), Failure> {
    verify_as(scheme_for(kind), kind, spki, message, signature)
}

/// The same by a scheme that need not be the one of a challenge.
pub fn verify_as(
    scheme: SignatureScheme,
    kind: KeyKind,
    spki: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), Failure> {
    let shown = hex::encode(&signature[..signature.len().min(LONGEST)]);
    let refuse =
        |cause: String| Failure::new(ReasonCode::CHIP_LACKS_KEY, cause).with("key", kind.as_str()).with(ANSWER, &shown);

    let expected = signature_length(kind);
    if signature.len() != expected {
        return Err(refuse(format!(
            "the answer has {} bytes, a {} signature has {expected}",
            signature.len(),
            kind.as_str()
        )));
    }
    if signature.iter().all(|byte| *byte == 0) {
        return Err(refuse(format!("the answer is {expected} bytes of zero")));
    }
    let info =
        SubjectPublicKeyInfoRef::from_der(spki).map_err(|error| refuse(format!("SubjectPublicKeyInfo: {error}")))?;
    let bits = info
        .subject_public_key
        .as_bytes()
        .ok_or_else(|| refuse("the public key is not a whole number of bytes".to_owned()))?;
    UnparsedPublicKey::new(key::verification(scheme), bits).verify(message, signature).map_err(|_| {
        refuse(format!(
            "the answer does not verify under the certificate's {} key ({})",
            kind.as_str(),
            SpkiHash::of(spki)
        ))
    })
}

/// In bytes.
fn signature_length(kind: KeyKind) -> usize {
    match kind {
        KeyKind::EcP256 => 2 * 32,
        KeyKind::EcP384 => 2 * 48,
        KeyKind::EcP521 => 2 * 66,
        KeyKind::Rsa2048 => 256,
        KeyKind::Rsa3072 => 384,
        KeyKind::Rsa4096 => 512,
    }
}
