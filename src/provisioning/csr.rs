//! A request for a certificate over the chip's key (PKCS#10, RFC 2986), and what comes back for it.
//!
//! The key never leaves the token, so a request is made in two steps around its signature, as the certificate of
//! [`verification`](super::verification) is.

use jiff::{SignedDuration, Timestamp};
use x509_cert::Certificate;
use x509_cert::attr::Attributes;
use x509_cert::der::{self, Decode as _, Encode as _, Reader as _, SliceReader};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;
use x509_cert::request::{CertReqInfo, Version};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use super::checks::{self, CertificateFacts};
use super::verification::{algorithm, bit_string, sequence};
use crate::audit::event::SignatureScheme;
use crate::audit::x509::{self, ecdsa_der};
use crate::domain::{Failure, Fingerprint, ReasonCode, SigningCa, SpkiHash, ThingName};

/// Of a common name (RFC 5280 appendix A.1, ub-common-name).
const LONGEST_NAME: usize = 64;
/// Clocks differ.
const EARLY: SignedDuration = SignedDuration::from_mins(10);

/// What the chip has to sign: CertificationRequestInfo, DER. `K-702` where the thing's name is none for a
/// certificate.
pub fn info(spki: &[u8], thing: &ThingName) -> Result<Vec<u8>, Failure> {
    let bad = |cause: String| Failure::new(ReasonCode::CONFIG_VALUE, cause);
    subject_fits(thing)?;
    let subject: Name =
        format!("CN={thing}").parse().map_err(|error| bad(format!("{thing} is no common name: {error}")))?;
    let public_key = SubjectPublicKeyInfoOwned::from_der(spki).map_err(|error| bad(error.to_string()))?;
    let info = CertReqInfo { version: Version::V1, subject, public_key, attributes: Attributes::new() };
    info.to_der().map_err(|error| bad(error.to_string()))
}

pub fn subject_fits(thing: &ThingName) -> Result<(), Failure> {
    let length = thing.as_str().len();
    if length <= LONGEST_NAME {
        return Ok(());
    }
    let cause = format!("the thing name {thing} has {length} characters, a certificate's common name {LONGEST_NAME}");
    Err(Failure::new(ReasonCode::CONFIG_VALUE, cause))
}

/// The request, DER, with a signature as PKCS#11 has it, which the caller has verified.
pub fn signed(info: &[u8], scheme: SignatureScheme, signature: &[u8]) -> Vec<u8> {
    let value = match scheme {
        SignatureScheme::RsaPkcs1Sha256 | SignatureScheme::RsaPssRsaeSha256 => signature.to_vec(),
        _ => ecdsa_der(signature),
    };
    sequence(&[info.to_vec(), algorithm(scheme).to_vec(), bit_string(&value)])
}

/// Is this the request that `info` was signed for?
pub fn asks(request: &[u8], info: &[u8]) -> bool {
    let Ok(mut reader) = SliceReader::new(request) else { return false };
    let parts =
        reader.sequence(|whole| Ok::<_, der::Error>((whole.tlv_bytes()?, whole.tlv_bytes()?, whole.tlv_bytes()?)));
    matches!(parts, Ok((asked, ..)) if asked == info) && reader.finish().is_ok()
}

/// Which key a certificate was to be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The chip's own.
    Chips(SpkiHash),
    /// One that AWS makes, which is never this one of the chip's.
    New { but: SpkiHash },
}

/// What may be registered as the unit's: one certificate, for the very key, valid now, no CA's and not the chip's
/// own; where `ca` is to have made it, made by that.
///
/// # Errors
/// `A-351` it is for another key, `A-352` it is none that could be used.
pub fn check_issued(
    der: &[u8],
    key: Wanted,
    own: Fingerprint,
    ca: Option<&SigningCa>,
    now: Timestamp,
) -> Result<Fingerprint, Failure> {
    let fingerprint = Fingerprint::of(der);
    let unusable = |cause: String| Failure::new(ReasonCode::ISSUED_UNUSABLE, cause).with("certificate", fingerprint);
    let facts = CertificateFacts::of(der).map_err(|failure| unusable(failure.cause))?;
    let found = facts.spki_sha256;
    match key {
        Wanted::Chips(key) if found != key => {
            let cause = format!("certificate {fingerprint} is for the key {found}, and {key} was asked for");
            return Err(Failure::new(ReasonCode::ISSUED_OTHER_KEY, cause).with("certificate", fingerprint));
        }
        Wanted::New { but } if found == but => {
            return Err(unusable("it is for the chip's own key, and a new one was asked for".to_owned()));
        }
        Wanted::New { .. } => checks::key_kind(der).map(drop).map_err(|failure| unusable(failure.cause))?,
        Wanted::Chips(_) => {}
    }
    if fingerprint == own {
        return Err(unusable("what came back is the chip's own certificate".to_owned()));
    }
    let certificate = Certificate::from_der(der).map_err(|error| unusable(error.to_string()))?;
    match certificate.tbs_certificate().get_extension::<BasicConstraints>() {
        Ok(Some((_, BasicConstraints { ca: true, .. }))) => {
            return Err(unusable("it is a CA's certificate".to_owned()));
        }
        Ok(_) => {}
        Err(error) => return Err(unusable(format!("its basicConstraints can't be read: {error}"))),
    }
    if !checks::is_valid_at(der, now, EARLY) {
        return Err(unusable(format!("it is valid from {} to {}", facts.not_before, facts.not_after)));
    }
    match ca {
        Some(ca) if !x509::issued(&ca.certificate, der) => {
            Err(unusable(format!("CA {} ({}) did not sign it", ca.name, ca.fingerprint)).with("ca", &ca.name))
        }
        _ => Ok(fingerprint),
    }
}
