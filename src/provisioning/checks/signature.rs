//! The chip's answer, verified on this host: length, algorithm and signature.

use super::Checked;
use crate::audit::event::SignatureScheme;
use crate::domain::Failure;
use crate::domain::profile::KeyKind;

/// The one scheme a key of this kind is asked for.
pub fn scheme_for(key: KeyKind) -> SignatureScheme {
    match key {
        KeyKind::EcP256 => SignatureScheme::EcdsaSecp256r1Sha256,
        KeyKind::EcP384 => SignatureScheme::EcdsaSecp384r1Sha384,
        KeyKind::EcP521 => SignatureScheme::EcdsaSecp521r1Sha512,
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => SignatureScheme::RsaPkcs1Sha256,
    }
}

/// Does `signature` (ECDSA: r ‖ s) over `message` verify under the certificate's key?
/// `S-101` when it does not.
pub fn verify_signature(_checked: &Checked, _message: &[u8], _signature: &[u8]) -> Result<(), Failure> {
    todo!()
}
