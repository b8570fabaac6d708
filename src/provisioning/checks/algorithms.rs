//! The signature algorithms accepted on certificates.

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::aws_lc_rs as standard;

/// ECDSA on the three NIST curves with each SHA-2, once as RFC 5758 §3.2 wants it and once with
/// explicit NULL parameters; RSA PKCS#1 v1.5 and PSS (RFC 4055) with keys of 2048 to 8192 bits.
pub(super) static ACCEPTED: &[&dyn SignatureVerificationAlgorithm] = &[
    standard::ECDSA_P256_SHA256,
    standard::ECDSA_P256_SHA384,
    standard::ECDSA_P256_SHA512,
    standard::ECDSA_P384_SHA256,
    standard::ECDSA_P384_SHA384,
    standard::ECDSA_P384_SHA512,
    standard::ECDSA_P521_SHA256,
    standard::ECDSA_P521_SHA384,
    standard::ECDSA_P521_SHA512,
    &WithNull { id: ECDSA_SHA256_NULL, standard: standard::ECDSA_P256_SHA256 },
    &WithNull { id: ECDSA_SHA384_NULL, standard: standard::ECDSA_P256_SHA384 },
    &WithNull { id: ECDSA_SHA512_NULL, standard: standard::ECDSA_P256_SHA512 },
    &WithNull { id: ECDSA_SHA256_NULL, standard: standard::ECDSA_P384_SHA256 },
    &WithNull { id: ECDSA_SHA384_NULL, standard: standard::ECDSA_P384_SHA384 },
    &WithNull { id: ECDSA_SHA512_NULL, standard: standard::ECDSA_P384_SHA512 },
    &WithNull { id: ECDSA_SHA256_NULL, standard: standard::ECDSA_P521_SHA256 },
    &WithNull { id: ECDSA_SHA384_NULL, standard: standard::ECDSA_P521_SHA384 },
    &WithNull { id: ECDSA_SHA512_NULL, standard: standard::ECDSA_P521_SHA512 },
    standard::RSA_PKCS1_2048_8192_SHA256,
    standard::RSA_PKCS1_2048_8192_SHA384,
    standard::RSA_PKCS1_2048_8192_SHA512,
    // RFC 4055 §5: absent parameters MUST be accepted as well.
    standard::RSA_PKCS1_2048_8192_SHA256_ABSENT_PARAMS,
    standard::RSA_PKCS1_2048_8192_SHA384_ABSENT_PARAMS,
    standard::RSA_PKCS1_2048_8192_SHA512_ABSENT_PARAMS,
    standard::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    standard::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    standard::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// A standard ECDSA algorithm under an identifier whose parameters are an explicit NULL.
///
/// RFC 5758 §3.2 has the parameters absent; NXP's secure elements carry certificates with NULL there,
/// and the verifier compares identifiers byte by byte. Only the identifier differs: key and
/// signature are checked by the same code.
#[derive(Debug)]
struct WithNull {
    id: AlgorithmIdentifier,
    standard: &'static dyn SignatureVerificationAlgorithm,
}

impl SignatureVerificationAlgorithm for WithNull {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        self.standard.verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.standard.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }

    fn fips(&self) -> bool {
        self.standard.fips()
    }
}

/// ecdsa-with-SHA256 (1.2.840.10045.4.3.2), NULL: the contents of the SEQUENCE.
const ECDSA_SHA256_NULL: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x05, 0x00]);
/// ecdsa-with-SHA384 (1.2.840.10045.4.3.3), NULL.
const ECDSA_SHA384_NULL: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03, 0x05, 0x00]);
/// ecdsa-with-SHA512 (1.2.840.10045.4.3.4), NULL.
const ECDSA_SHA512_NULL: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04, 0x05, 0x00]);
