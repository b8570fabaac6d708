//! Which mechanism signs what, for a key of which type.

use aws_lc_rs::digest;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{KeyType, ObjectHandle};

use super::objects::Objects;
use crate::audit::event::SignatureScheme;
use crate::domain::{Failure, ReasonCode};

/// NXP's module takes an RSA mechanism for an EC key and returns nonsense: never ask.
pub(super) fn check_key_type(objects: &Objects, key: ObjectHandle, scheme: SignatureScheme) -> Result<(), Failure> {
    let (wanted, name) = match scheme {
        SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::RsaPssRsaeSha256 => (KeyType::RSA, "RSA"),
        SignatureScheme::EcdsaSecp256r1Sha256
        | SignatureScheme::EcdsaSecp384r1Sha384
        | SignatureScheme::EcdsaSecp521r1Sha512 => (KeyType::EC, "EC"),
    };
    match objects.key_type(key)? {
        Some(is) if is == wanted => Ok(()),
        is => {
            let is = is.map_or("not told".to_owned(), |is| is.to_string());
            // The certificate is another chip's: no second try can make its key appear here.
            Err(Failure::new(
                ReasonCode::CHIP_LACKS_KEY,
                format!("the certificate's key is {name}, but CKA_KEY_TYPE of the token's key is {is}"),
            ))
        }
    }
}

/// The log's key, as opposed to a board's.
pub(super) fn check_edwards(objects: &Objects, key: ObjectHandle) -> Result<(), Failure> {
    match objects.key_type(key)? {
        Some(KeyType::EC_EDWARDS) => Ok(()),
        is => {
            let is = is.map_or("not told".to_owned(), |is| is.to_string());
            let cause = format!("the log's key has to be CKK_EC_EDWARDS (Ed25519), its CKA_KEY_TYPE is {is}");
            Err(Failure::new(ReasonCode::TOKEN_MECHANISM, cause))
        }
    }
}

/// The hash is made here: SoftHSM and most chips know only the raw CKM_ECDSA.
pub(super) fn mechanism_and_data(
    offered: &[MechanismType],
    message: &[u8],
    scheme: SignatureScheme,
) -> Result<(Mechanism<'static>, Vec<u8>), Failure> {
    let hash = |algorithm| digest::digest(algorithm, message).as_ref().to_vec();
    let offers = |mechanism| offered.contains(&mechanism);
    let refused =
        |name: &str| Failure::new(ReasonCode::TOKEN_MECHANISM, format!("C_GetMechanismList does not offer {name}"));
    let ecdsa = |algorithm| match offers(MechanismType::ECDSA) {
        true => Ok((Mechanism::Ecdsa, hash(algorithm))),
        false => Err(refused("CKM_ECDSA")),
    };
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => ecdsa(&digest::SHA256),
        SignatureScheme::EcdsaSecp384r1Sha384 => ecdsa(&digest::SHA384),
        SignatureScheme::EcdsaSecp521r1Sha512 => ecdsa(&digest::SHA512),
        SignatureScheme::RsaPkcs1Sha256 if offers(MechanismType::SHA256_RSA_PKCS) => {
            Ok((Mechanism::Sha256RsaPkcs, message.to_vec()))
        }
        SignatureScheme::RsaPkcs1Sha256 if offers(MechanismType::RSA_PKCS) => {
            Ok((Mechanism::RsaPkcs, [&SHA256_DIGEST_INFO[..], &hash(&digest::SHA256)].concat()))
        }
        SignatureScheme::RsaPkcs1Sha256 => Err(refused("CKM_SHA256_RSA_PKCS or CKM_RSA_PKCS")),
        SignatureScheme::RsaPssRsaeSha256 if offers(MechanismType::RSA_PKCS_PSS) => {
            Ok((Mechanism::RsaPkcsPss(pss_sha256()), hash(&digest::SHA256)))
        }
        SignatureScheme::RsaPssRsaeSha256 if offers(MechanismType::SHA256_RSA_PKCS_PSS) => {
            Ok((Mechanism::Sha256RsaPkcsPss(pss_sha256()), message.to_vec()))
        }
        SignatureScheme::RsaPssRsaeSha256 => Err(refused("CKM_RSA_PKCS_PSS or CKM_SHA256_RSA_PKCS_PSS")),
    }
}

/// As TLS has it (RFC 8446 §4.2.3): the salt is as long as the hash.
fn pss_sha256() -> PkcsPssParams {
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() }
}

/// What stands before a SHA-256 hash in a DigestInfo (RFC 8017 §9.2, note 1).
const SHA256_DIGEST_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
