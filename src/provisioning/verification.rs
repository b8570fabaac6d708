//! The certificate by which a CA's owner shows AWS to have the CA's key: its common name is the
//! registration code that AWS gave (AWS IoT developer guide, "Register your CA certificate").
//!
//! The key may be in a token, so the certificate is made in two steps around the signature. The issuer's
//! name goes in as the very bytes that the CA's certificate has for its subject.

use jiff::{SignedDuration, Timestamp};
use x509_cert::Certificate;
use x509_cert::der::asn1::{GeneralizedTime, UtcTime};
use x509_cert::der::{DateTime, Decode as _, Encode as _};

use super::checks::{self, CertificateFacts};
use crate::audit::event::SignatureScheme;
use crate::domain::profile::KeyKind;
use crate::domain::{Failure, ReasonCode, SigningCa};

/// It is looked at once, at registration; clocks differ.
const BEFORE: SignedDuration = SignedDuration::from_hours(24);
const AFTER: SignedDuration = SignedDuration::from_hours(24 * 7);

/// What the CA has to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    /// TBSCertificate, DER.
    pub message: Vec<u8>,
    pub scheme: SignatureScheme,
    kind: KeyKind,
    /// The CA's.
    spki: Vec<u8>,
}

/// `spki` is any key's: nobody ever uses it. `A-336` where the CA's certificate or key is of a kind that can't
/// be used for this.
pub fn unsigned(
    ca: &SigningCa,
    code: &str,
    spki: &[u8],
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Unsigned, Failure> {
    let refused = |cause: String| Failure::new(ReasonCode::CA_KEY, cause).with("ca", &ca.name);
    let facts = CertificateFacts::of(&ca.certificate).map_err(|failure| refused(failure.cause))?;
    let kind = facts.kind.ok_or_else(|| refused(format!("its key is {}, which is not used here", facts.key)))?;
    let certificate = Certificate::from_der(&ca.certificate).map_err(|error| refused(error.to_string()))?;
    let issuer = certificate.tbs_certificate().subject().to_der().map_err(|error| refused(error.to_string()))?;
    let scheme = checks::scheme_for(kind);
    let name = sequence(&[set(&[sequence(&[COMMON_NAME.to_vec(), tlv(UTF8_STRING, code.as_bytes())])])]);
    let validity = sequence(&[
        time(now - BEFORE).map_err(|error| refused(error.to_string()))?,
        time(now + AFTER).map_err(|error| refused(error.to_string()))?,
    ]);
    let message = sequence(&[
        tlv(VERSION_TAG, &tlv(INTEGER, &[VERSION_3])),
        integer(&serial),
        algorithm(scheme).to_vec(),
        issuer,
        validity,
        name,
        spki.to_vec(),
    ]);
    Ok(Unsigned { message, scheme, kind, spki: facts.spki })
}

impl Unsigned {
    /// The certificate, DER. `A-336`: the signature is not the CA's.
    pub fn signed(&self, ca: &SigningCa, signature: &[u8]) -> Result<Vec<u8>, Failure> {
        checks::verify_under(self.kind, &self.spki, &self.message, signature).map_err(|failure| {
            let cause = format!("the key that signed is not the one of the CA's certificate: {}", failure.cause);
            Failure::new(ReasonCode::CA_KEY, cause).with("ca", &ca.name)
        })?;
        let value = match self.scheme {
            SignatureScheme::RsaPkcs1Sha256 => signature.to_vec(),
            _ => {
                let (r, s) = signature.split_at(signature.len() / 2);
                sequence(&[integer(r), integer(s)])
            }
        };
        Ok(sequence(&[self.message.clone(), algorithm(self.scheme).to_vec(), bit_string(&value)]))
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// [0], explicit.
const VERSION_TAG: u8 = 0xa0;
const VERSION_3: u8 = 2;
/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

/// AlgorithmIdentifier (RFC 5758 §3.2, RFC 4055 §5).
pub(super) fn algorithm(scheme: SignatureScheme) -> &'static [u8] {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => {
            &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]
        }
        SignatureScheme::EcdsaSecp384r1Sha384 => {
            &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03]
        }
        SignatureScheme::EcdsaSecp521r1Sha512 => {
            &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04]
        }
        SignatureScheme::RsaPkcs1Sha256 => {
            &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00]
        }
        // With SHA-256 twice, and a salt of 32 bytes.
        SignatureScheme::RsaPssRsaeSha256 => {
            b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
              \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
              \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
              \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
              \xa2\x03\x02\x01\x20"
        }
    }
}

pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// Of whole bytes.
pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], bytes].concat())
}

fn set(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(SET, &parts.concat())
}

/// A positive one, from its big-endian bytes.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros.min(bytes.len().saturating_sub(1))..];
    let sign: &[u8] = if bytes.first().is_none_or(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    tlv(INTEGER, &[sign, bytes].concat())
}

/// As RFC 5280 §4.1.2.5 wants it: UTCTime through 2049.
fn time(at: Timestamp) -> x509_cert::der::Result<Vec<u8>> {
    let seconds = std::time::Duration::from_secs(at.as_second().max(0).unsigned_abs());
    let date = DateTime::from_unix_duration(seconds)?;
    match UtcTime::from_date_time(date) {
        Ok(utc) => utc.to_der(),
        Err(_) => GeneralizedTime::from_date_time(date).to_der(),
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    if length < 0x80 {
        out.push(length.to_le_bytes()[0]);
    } else {
        let bytes = length.to_be_bytes();
        let from = bytes.iter().take_while(|byte| **byte == 0).count();
        out.push(0x80 | (bytes.len() - from).to_le_bytes()[0]);
        out.extend_from_slice(&bytes[from..]);
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bytes, Fingerprint};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{self as lc, EcdsaKeyPair, RsaKeyPair};
    use rustls_pki_types::CertificateDer;

    const CODE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn ca(key: &rcgen::KeyPair) -> SigningCa {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Neither the order nor the string types that a library would choose.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Plant");
        let printable = rcgen::string::PrintableString::try_from("Own CA").unwrap();
        let common_name = rcgen::DnValue::PrintableString(printable);
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let der = params.self_signed(key).unwrap().der().to_vec();
        SigningCa { name: "plant".parse().unwrap(), fingerprint: Fingerprint::of(&der), certificate: Bytes(der) }
    }

    fn raw_signature(key: &rcgen::KeyPair, unsigned: &Unsigned) -> Vec<u8> {
        let algorithm = match unsigned.scheme {
            SignatureScheme::EcdsaSecp256r1Sha256 => &lc::ECDSA_P256_SHA256_FIXED_SIGNING,
            SignatureScheme::EcdsaSecp384r1Sha384 => &lc::ECDSA_P384_SHA384_FIXED_SIGNING,
            SignatureScheme::EcdsaSecp521r1Sha512 => &lc::ECDSA_P521_SHA512_FIXED_SIGNING,
            SignatureScheme::RsaPkcs1Sha256 => {
                let pair = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&lc::RSA_PKCS1_SHA256, &SystemRandom::new(), &unsigned.message, &mut signature).unwrap();
                return signature;
            }
            SignatureScheme::RsaPssRsaeSha256 => unreachable!("only TLS asks for it"),
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der()).unwrap();
        pair.sign(&SystemRandom::new(), &unsigned.message).unwrap().as_ref().to_vec()
    }

    fn asked(ca: &SigningCa, serial: [u8; 16]) -> Unsigned {
        let any = rcgen::KeyPair::generate().unwrap();
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        unsigned(ca, CODE, &rcgen::PublicKeyData::subject_public_key_info(&any), serial, now).unwrap()
    }

    /// By the verifier of TLS, which builds a path from it to the CA.
    #[test]
    fn whatever_key_the_ca_has_the_certificate_is_one_of_its_own_and_named_as_aws_asked() {
        let keys = [
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap(),
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
            rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap(),
        ];
        for key in &keys {
            let ca = ca(key);
            for serial in [[0; 16], [0xff; 16], [7; 16]] {
                let unsigned = asked(&ca, serial);
                let der = unsigned.signed(&ca, &raw_signature(key, &unsigned)).unwrap();
                let parsed = Certificate::from_der(&der).unwrap();
                assert_eq!(parsed.tbs_certificate().subject().to_string(), format!("CN={CODE}"));
                let issuer = Certificate::from_der(&ca.certificate).unwrap();
                let names = (parsed.tbs_certificate().issuer().to_der(), issuer.tbs_certificate().subject().to_der());
                assert_eq!(names.0.unwrap(), names.1.unwrap());

                let (der, root) = (CertificateDer::from(der), CertificateDer::from(ca.certificate.0.clone()));
                let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
                let leaf = webpki::EndEntityCert::try_from(&der).unwrap();
                let at = "2026-12-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
                let at = rustls_pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(at as u64));
                let path = leaf.verify_for_usage(
                    webpki::ALL_VERIFICATION_ALGS,
                    &anchors,
                    &[],
                    at,
                    webpki::KeyUsage::client_auth(),
                    None,
                    None,
                );
                assert!(path.is_ok(), "{:?}", path.err());
            }
        }
    }

    #[test]
    fn what_another_key_signed_is_never_sent_to_aws() {
        let (key, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let ca = ca(&key);
        let unsigned = asked(&ca, [1; 16]);
        let failure = unsigned.signed(&ca, &raw_signature(&other, &unsigned)).unwrap_err();
        assert_eq!((failure.code, failure.args["ca"].as_str()), (ReasonCode::CA_KEY, "plant"));
        assert_eq!(unsigned.signed(&ca, b"").unwrap_err().code, ReasonCode::CA_KEY);
    }
}
