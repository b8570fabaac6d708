//! The public key: of which kind it is, and its bits.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{self, Decode, Reader, SliceReader};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::scheme_for;
use crate::audit::event::SignatureScheme;
use crate::domain::profile::KeyKind;
use crate::domain::{Failure, ReasonCode};

/// The kind of this SubjectPublicKeyInfo's key, when the profile allows it.
///
/// # Errors
/// `C-105` with `key`, what it is instead.
pub(super) fn kind_within(spki: &[u8], allowed: &[KeyKind]) -> Result<KeyKind, Failure> {
    let refuse = |key: String, cause: String| {
        let allowed: Vec<_> = allowed.iter().map(|kind| kind.as_str()).collect();
        Failure::new(ReasonCode::CERTIFICATE_KEY, format!("{cause}; the profile allows {}", allowed.join(", ")))
            .with("key", key)
            .with("allowed", allowed.join(", "))
    };
    let info = SubjectPublicKeyInfoRef::from_der(spki)
        .map_err(|error| refuse("?".to_owned(), format!("SubjectPublicKeyInfo: {error}")))?;
    let kind = kind_of(&info).map_err(|key| refuse(key.clone(), format!("the key is {key}")))?;
    if !allowed.contains(&kind) {
        return Err(refuse(kind.as_str().to_owned(), format!("the key is {}", kind.as_str())));
    }
    one_form(&info)
        .map_err(|form| refuse(format!("{} {form}", kind.as_str()), format!("the {} key is {form}", kind.as_str())))?;
    let bits = info.subject_public_key.as_bytes().unwrap_or_default();
    // A point off the curve, an even modulus: no answer could ever verify.
    ParsedPublicKey::new(verification(scheme_for(kind)), bits)
        .map_err(|_| refuse(kind.as_str().to_owned(), format!("the {} key has impossible values", kind.as_str())))?;
    Ok(kind)
}

/// One key is written in one way: another would have an SPKI hash of its own, and the key would be free once more.
/// Vendors write points uncompressed and RSA's parameters as the NULL that RFC 3279 §2.3.1 demands.
fn one_form(info: &SubjectPublicKeyInfoRef<'_>) -> Result<(), &'static str> {
    if info.algorithm.oid == RSA_ENCRYPTION {
        let parameters = info.algorithm.parameters.map(|parameters| parameters.is_null());
        return if parameters == Some(true) { Ok(()) } else { Err("without NULL parameters") };
    }
    match info.subject_public_key.as_bytes() {
        Some([2 | 3, ..]) => Err("compressed"),
        Some([6 | 7, ..]) => Err("hybrid"),
        _ => Ok(()),
    }
}

/// Could a chip that passes have this SubjectPublicKeyInfo, byte for byte? `Err`: why none could.
pub fn is_a_chips(spki: &[u8]) -> Result<(), String> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|error| format!("SubjectPublicKeyInfo: {error}"))?;
    let kind = kind_of(&info).map_err(|key| format!("the key is {key}"))?;
    one_form(&info).map_err(|form| format!("the {} key is {form}", kind.as_str()))
}

/// May a CA have this key? `Err`: why no signature of it would ever be accepted.
pub(super) fn may_sign(spki: &[u8]) -> Result<(), String> {
    let info = SubjectPublicKeyInfoRef::from_der(spki).map_err(|error| format!("SubjectPublicKeyInfo: {error}"))?;
    match kind_of(&info) {
        Ok(_) => Ok(()),
        // Other sizes than a chip's are none of a challenge's business here.
        Err(_)
            if info.algorithm.oid == RSA_ENCRYPTION
                && rsa_bits(&info).is_ok_and(|bits| (2048..=8192).contains(&bits)) =>
        {
            Ok(())
        }
        Err(kind) => Err(format!("its key is {kind}")),
    }
}

/// `ec-p521`, `rsa-6144`.
pub(super) fn name(spki: &[u8]) -> String {
    let kind = SubjectPublicKeyInfoRef::from_der(spki).map(|info| kind_of(&info));
    match kind {
        Ok(Ok(kind)) => kind.as_str().to_owned(),
        Ok(Err(other)) => other,
        Err(_) => "?".to_owned(),
    }
}

/// How a signature is verified: ECDSA as r ‖ s of fixed length.
pub(super) fn verification(scheme: SignatureScheme) -> &'static dyn VerificationAlgorithm {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => &signature::ECDSA_P256_SHA256_FIXED,
        SignatureScheme::EcdsaSecp384r1Sha384 => &signature::ECDSA_P384_SHA384_FIXED,
        SignatureScheme::EcdsaSecp521r1Sha512 => &signature::ECDSA_P521_SHA512_FIXED,
        SignatureScheme::RsaPkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::RsaPssRsaeSha256 => &signature::RSA_PSS_2048_8192_SHA256,
    }
}

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// `Err` holds the name of a kind that Lineseal knows no challenge for.
fn kind_of(info: &SubjectPublicKeyInfoRef<'_>) -> Result<KeyKind, String> {
    match info.algorithm.oid {
        EC_PUBLIC_KEY => {
            let curve =
                info.algorithm.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok());
            match curve {
                Some(SECP256R1) => Ok(KeyKind::EcP256),
                Some(SECP384R1) => Ok(KeyKind::EcP384),
                Some(SECP521R1) => Ok(KeyKind::EcP521),
                Some(other) => Err(format!("ec-{other}")),
                None => Err("ec-unnamed-curve".to_owned()),
            }
        }
        RSA_ENCRYPTION => match rsa_bits(info) {
            Ok(2048) => Ok(KeyKind::Rsa2048),
            Ok(3072) => Ok(KeyKind::Rsa3072),
            Ok(4096) => Ok(KeyKind::Rsa4096),
            Ok(bits) => Err(format!("rsa-{bits}")),
            Err(_) => Err("rsa-unreadable".to_owned()),
        },
        other => Err(other.to_string()),
    }
}

/// The modulus of an RSAPublicKey (RFC 8017 §A.1.1).
fn rsa_bits(info: &SubjectPublicKeyInfoRef<'_>) -> der::Result<usize> {
    let mut reader = SliceReader::new(info.subject_public_key.as_bytes().unwrap_or_default())?;
    let modulus: UintRef = reader.sequence(|key| {
        let modulus = key.decode()?;
        let _exponent: UintRef = key.decode()?;
        Ok::<_, der::Error>(modulus)
    })?;
    reader.finish()?;
    let bytes = modulus.as_bytes();
    let unused = bytes.first().map_or(0, |first| first.leading_zeros() as usize);
    Ok(bytes.len() * 8 - unused)
}
