//! A token's public key as the SubjectPublicKeyInfo that a certificate carries.

use cryptoki::object::{Attribute, AttributeType, ObjectHandle};
use cryptoki::session::Session;
use x509_cert::der::asn1::{Any, BitString, Null, OctetStringRef, UintRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Decode as _, Encode as _, Tag};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::domain::profile::KeyKind;

#[derive(Debug, thiserror::Error)]
pub(super) enum SpkiError {
    #[error("{0}")]
    Module(#[from] cryptoki::error::Error),
    #[error("the public key has no {0}")]
    Missing(&'static str),
    #[error("the public key is not DER: {0}")]
    Der(#[from] der::Error),
}

/// RFC 5480 §2.1.1.
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// RFC 3279 §2.3.1.
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The named curve of an EC kind (RFC 5480 §2.1.1.1); `None` for RSA.
pub(super) fn curve(kind: KeyKind) -> Option<ObjectIdentifier> {
    match kind {
        KeyKind::EcP256 => Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")),
        KeyKind::EcP384 => Some(ObjectIdentifier::new_unwrap("1.3.132.0.34")),
        KeyKind::EcP521 => Some(ObjectIdentifier::new_unwrap("1.3.132.0.35")),
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => None,
    }
}

/// DER.
pub(super) fn of_public_key(session: &Session, key: ObjectHandle, kind: KeyKind) -> Result<Vec<u8>, SpkiError> {
    let (algorithm, parameters, bits) = match curve(kind) {
        Some(curve) => {
            // A DER OCTET STRING around the point (PKCS#11 v3.0 §6.3.3).
            let point = attribute(session, key, AttributeType::EcPoint, "CKA_EC_POINT")?;
            let point = <&OctetStringRef>::from_der(&point)?.as_bytes().to_vec();
            (EC_PUBLIC_KEY, Any::encode_from(&curve)?, point)
        }
        None => {
            let modulus = attribute(session, key, AttributeType::Modulus, "CKA_MODULUS")?;
            let exponent = attribute(session, key, AttributeType::PublicExponent, "CKA_PUBLIC_EXPONENT")?;
            // RSAPublicKey (RFC 8017 §A.1.1).
            let body = [UintRef::new(&modulus)?.to_der()?, UintRef::new(&exponent)?.to_der()?].concat();
            (RSA_ENCRYPTION, Any::encode_from(&Null)?, Any::new(Tag::Sequence, body)?.to_der()?)
        }
    };
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid: algorithm, parameters: Some(parameters) },
        subject_public_key: BitString::from_bytes(&bits)?,
    };
    Ok(info.to_der()?)
}

fn attribute(
    session: &Session,
    key: ObjectHandle,
    wanted: AttributeType,
    name: &'static str,
) -> Result<Vec<u8>, SpkiError> {
    match session.get_attributes(key, &[wanted])?.pop() {
        Some(Attribute::EcPoint(value) | Attribute::Modulus(value) | Attribute::PublicExponent(value)) => Ok(value),
        _ => Err(SpkiError::Missing(name)),
    }
}
