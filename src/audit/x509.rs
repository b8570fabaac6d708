//! Who signed a certificate, asked the same way today and years later.

pub(crate) mod name;

use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};
use webpki::aws_lc_rs as standard;
use x509_cert::der::{self, AnyRef, Decode, Reader, SliceReader, Tag, Tagged};

/// Did the key in `issuer` sign `certificate`, and is the one's subject the other's issuer (RFC 5280 §7.1)? Both are
/// DER.
/// Whether `issuer` may issue certificates at all, and when, is another question.
pub fn issued(issuer: &[u8], certificate: &[u8]) -> bool {
    let (Ok(issuer), Ok(certificate)) = (Parts::of(issuer), Parts::of(certificate)) else { return false };
    let fits = |algorithm: &&&dyn SignatureVerificationAlgorithm| {
        algorithm.signature_alg_id().as_ref() == certificate.algorithm
            && algorithm.public_key_alg_id().as_ref() == issuer.key_algorithm
    };
    name::same_name(issuer.subject, certificate.issuer)
        && ACCEPTED
            .iter()
            .filter(fits)
            .any(|algorithm| algorithm.verify_signature(issuer.key, certificate.signed, certificate.signature).is_ok())
}

/// The SubjectPublicKeyInfo of a certificate, as it stands there, and the bits of its key.
pub fn spki(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    Parts::of(certificate).ok().map(|parts| (parts.spki, parts.key))
}

/// The DER of issuer and subject.
pub fn names(certificate: &[u8]) -> Option<[&[u8]; 2]> {
    let signed = SliceReader::new(contents(certificate, Tag::Sequence).ok()?).ok()?.tlv_bytes().ok()?;
    before_the_key(signed).ok().map(|(issuer, subject, _)| [issuer, subject])
}

/// Where the parts stand that a signature is checked by: bytes from the certificate's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// TBSCertificate.
    pub signed: usize,
    /// The BIT STRING.
    pub signature: usize,
    pub spki: usize,
    /// The certificate's own signature, as `openssl dgst` is told of it; `None`: not one that is accepted.
    pub digest: Option<&'static str>,
}

/// `None`: it is no certificate.
pub fn places(certificate: &[u8]) -> Option<Places> {
    let parts = Parts::of(certificate).ok()?;
    // Each is a part of the certificate.
    let at = |part: &[u8]| part.as_ptr().addr() - certificate.as_ptr().addr();
    Some(Places {
        signed: at(parts.signed),
        signature: at(parts.signature_bits),
        spki: at(parts.spki),
        digest: digest(parts.algorithm),
    })
}

fn digest(algorithm: &[u8]) -> Option<&'static str> {
    const ECDSA_WITH: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    const PKCS1: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    let is = |known: &dyn SignatureVerificationAlgorithm| known.signature_alg_id().as_ref() == algorithm;
    if !ACCEPTED.iter().any(|known| is(*known)) {
        return None;
    }
    let after = |prefix| algorithm.strip_prefix(prefix).and_then(|rest| rest.first());
    Some(match (after(ECDSA_WITH), after(PKCS1)) {
        (Some(2), _) | (_, Some(11)) => "-sha256",
        (Some(3), _) | (_, Some(12)) => "-sha384",
        (Some(4), _) | (_, Some(13)) => "-sha512",
        _ if is(standard::RSA_PSS_2048_8192_SHA256_LEGACY_KEY) => {
            "-sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32"
        }
        _ if is(standard::RSA_PSS_2048_8192_SHA384_LEGACY_KEY) => {
            "-sha384 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:48"
        }
        _ => "-sha512 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:64",
    })
}

/// Of a Certificate (RFC 5280 §4.1), each as its very bytes.
struct Parts<'a> {
    /// TBSCertificate.
    signed: &'a [u8],
    /// The contents of the signature's AlgorithmIdentifier.
    algorithm: &'a [u8],
    signature: &'a [u8],
    /// The BIT STRING that it is in.
    signature_bits: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    spki: &'a [u8],
    /// The contents of its AlgorithmIdentifier, and the key's bits.
    key_algorithm: &'a [u8],
    key: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let (signed, algorithm, signature_bits) = reader.sequence(|whole| {
            Ok::<_, der::Error>((whole.tlv_bytes()?, contents(whole.tlv_bytes()?, Tag::Sequence)?, whole.tlv_bytes()?))
        })?;
        let signature = bits(signature_bits)?;
        reader.finish()?;
        let (issuer, subject, mut tbs) = before_the_key(signed)?;
        let spki = tbs.tlv_bytes()?;
        let mut key = SliceReader::new(contents(spki, Tag::Sequence)?)?;
        let (key_algorithm, key) = (contents(key.tlv_bytes()?, Tag::Sequence)?, bits(key.tlv_bytes()?)?);
        Ok(Self { signed, algorithm, signature, signature_bits, issuer, subject, spki, key_algorithm, key })
    }
}

/// Issuer and subject of a TBSCertificate, and the reader at what follows them.
fn before_the_key(signed: &[u8]) -> der::Result<(&[u8], &[u8], SliceReader<'_>)> {
    const EXPLICIT_VERSION: u8 = 0xa0;
    let mut tbs = SliceReader::new(contents(signed, Tag::Sequence)?)?;
    if tbs.peek_byte() == Some(EXPLICIT_VERSION) {
        tbs.tlv_bytes()?;
    }
    let [_serial, _algorithm, issuer, _validity, subject] = [(); 5].map(|()| tbs.tlv_bytes());
    Ok((issuer?, subject?, tbs))
}

fn contents(tlv: &[u8], tag: Tag) -> der::Result<&[u8]> {
    let any = AnyRef::from_der(tlv)?;
    any.tag().assert_eq(tag)?;
    Ok(any.value())
}

/// A BIT STRING of whole bytes.
fn bits(tlv: &[u8]) -> der::Result<&[u8]> {
    match contents(tlv, Tag::BitString)? {
        [0, bytes @ ..] => Ok(bytes),
        _ => Err(der::ErrorKind::Value { tag: Tag::BitString }.into()),
    }
}

/// ECDSA on the three NIST curves with each SHA-2, once as RFC 5758 §3.2 wants it and once with
/// explicit NULL parameters; RSA PKCS#1 v1.5 and PSS (RFC 4055) with keys of 2048 to 8192 bits.
pub(crate) static ACCEPTED: &[&dyn SignatureVerificationAlgorithm] = &[
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

/// r ‖ s (PKCS#11 §6.3.1) as the SEQUENCE of two INTEGERs that X.509 tools take (RFC 3279 §2.2.3).
pub fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let both = [integer(r), integer(s)].concat();
    [tagged_length(0x30, both.len()), both].concat()
}

fn integer(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let mut digits = number[start..].to_vec();
    if digits.first().is_none_or(|byte| byte & 0x80 != 0) {
        digits.insert(0, 0);
    }
    [tagged_length(0x02, digits.len()), digits].concat()
}

/// Two halves of P-521 are the longest: 138 bytes. What an event holds may be longer nonsense.
fn tagged_length(tag: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short @ ..0x80) => vec![tag, short],
        Ok(byte) => vec![tag, 0x81, byte],
        Err(_) => [&[tag, 0x84][..], &u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()].concat(),
    }
}
