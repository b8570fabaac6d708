//! The path from the chip's certificate to a pinned root (RFC 5280 §6), found by `webpki`.

use std::time::Duration;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, VerifiedPath};

use super::fields::{Fields, rfc3339};
use crate::audit::x509::ACCEPTED;
use crate::domain::profile::Trust;
use crate::domain::{Failure, Fingerprint, ReasonCode};

/// The path as fingerprints, leaf first, pinned root last. `fields` are those of `der`.
///
/// Two questions, not one, because the verifier alone can't tell a forged certificate from a genuine
/// one that is out of date: first whether any pinned CA, root or intermediate, signed this
/// certificate at all, asked at a time at which it is valid; then whether the whole path holds now.
///
/// A pinned root is a name and a key that the profile vouches for: its own validity is not looked at
/// (RFC 5280 §6.1.1 d).
pub(super) fn find(der: &[u8], fields: &Fields, trust: &Trust, now: Timestamp) -> Result<Vec<Fingerprint>, Failure> {
    let pinned = Pinned::parse(trust)?;
    let roots = pinned.anchors(&pinned.roots)?;
    let mut issuers = roots.clone();
    issuers.extend(pinned.anchors(&pinned.intermediates)?);
    refuse_own(der, fields, &pinned)?;

    let leaf_der = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&leaf_der).map_err(|error| refuse(&error, fields, Stage::Leaf))?;

    let now = now.as_second();
    let while_valid = now.min(fields.not_after).max(fields.not_before);
    verify(&leaf, &issuers, &[], while_valid, AnyUsage).map_err(|error| refuse(&error, fields, Stage::Leaf))?;
    check_validity(fields, now)?;
    let path = verify(&leaf, &roots, &pinned.intermediates, now, DeviceUsage)
        .map_err(|error| refuse(&error, fields, Stage::Path))?;

    let mut fingerprints = vec![Fingerprint::of(der)];
    fingerprints.extend(path.intermediate_certificates().map(|certificate| Fingerprint::of(&certificate.der())));
    // By address: two roots may share name and key and still be two certificates.
    let root = roots.iter().position(|root| std::ptr::eq(root, path.anchor()));
    let root = root.and_then(|index| pinned.roots.get(index)).ok_or_else(|| {
        Failure::new(ReasonCode::CERTIFICATE_REFUSED, "the verifier returned a trust anchor that was not given to it")
    })?;
    fingerprints.push(Fingerprint::of(root));
    Ok(fingerprints)
}

/// The profile's certificates, each known to be usable.
#[derive(Debug)]
pub(super) struct Pinned<'a> {
    roots: Vec<CertificateDer<'a>>,
    intermediates: Vec<CertificateDer<'a>>,
}

impl<'a> Pinned<'a> {
    /// # Errors
    /// `K-701`, naming the certificate: a pinned certificate that is passed over in silence would
    /// later blame the chips that it issued.
    pub(super) fn parse(trust: &'a Trust) -> Result<Self, Failure> {
        if trust.roots.is_empty() {
            return Err(Failure::new(ReasonCode::CONFIG_INVALID, "the profile pins no root certificate"));
        }
        let roots: Vec<_> = trust.roots.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        for (index, root) in roots.iter().enumerate() {
            webpki::anchor_from_trusted_cert(root).map_err(|error| unusable("root", index, &error))?;
        }
        let intermediates: Vec<_> =
            trust.intermediates.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        for (index, intermediate) in intermediates.iter().enumerate() {
            // As strictly as in a path, where an unknown critical extension or version 1 is fatal.
            EndEntityCert::try_from(intermediate).map_err(|error| unusable("intermediate", index, &error))?;
        }
        Ok(Self { roots, intermediates })
    }

    fn anchors<'p>(&'p self, certificates: &'p [CertificateDer<'a>]) -> Result<Vec<TrustAnchor<'p>>, Failure> {
        let anchor = |(index, der)| {
            webpki::anchor_from_trusted_cert(der).map_err(|error| unusable("trust anchor", index, &error))
        };
        certificates.iter().enumerate().map(anchor).collect()
    }
}

/// A pinned CA's own certificate, or another one over a pinned CA's key, is no chip's.
fn refuse_own(der: &[u8], fields: &Fields, pinned: &Pinned) -> Result<(), Failure> {
    for own in pinned.roots.iter().chain(&pinned.intermediates) {
        let same_key = Fields::parse(own).is_ok_and(|own| own.spki == fields.spki);
        if own.as_ref() == der || same_key {
            let cause = format!("{} is one of the profile's own CAs", fields.subject_text);
            return Err(Failure::new(ReasonCode::CERTIFICATE_IS_CA, cause).with("subject", &fields.subject_text));
        }
    }
    Ok(())
}

/// RFC 5280 §4.1.2.5: both ends belong to the period, to the second.
fn check_validity(fields: &Fields, now: i64) -> Result<(), Failure> {
    if now < fields.not_before {
        let not_before = rfc3339(fields.not_before);
        let cause = format!("valid from {not_before}, checked at {}", rfc3339(now));
        return Err(Failure::new(ReasonCode::CERTIFICATE_NOT_YET_VALID, cause).with("not_before", not_before));
    }
    if now > fields.not_after {
        let not_after = rfc3339(fields.not_after);
        let cause = format!("valid until {not_after}, checked at {}", rfc3339(now));
        return Err(Failure::new(ReasonCode::CERTIFICATE_EXPIRED, cause).with("not_after", not_after));
    }
    Ok(())
}

/// One run of the verifier. A profile's revocation lists, and a rule for an expired intermediate under
/// a valid leaf (`at` the leaf's issuance instead of now), belong here.
fn verify<'p>(
    leaf: &'p EndEntityCert<'p>,
    anchors: &'p [TrustAnchor<'p>],
    intermediates: &'p [CertificateDer<'p>],
    at: i64,
    usage: impl ExtendedKeyUsageValidator,
) -> Result<VerifiedPath<'p>, Error> {
    // Before 1970 the verifier has no time, and no certificate is valid.
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at.max(0).unsigned_abs()));
    leaf.verify_for_usage(ACCEPTED, anchors, intermediates, at, usage, None, None)
}

/// Who signed is asked first, what for afterwards.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        purposes.try_for_each(|purpose| purpose.map(|_| ()))
    }
}

/// Extended key usage (RFC 5280 §4.2.1.12): absent, or with client authentication or any usage among
/// its purposes, in the leaf and in every intermediate that has the extension. A chip's certificate that allows, say, server authentication only may not be used for
/// the mutual TLS that it is registered for.
struct DeviceUsage;

impl ExtendedKeyUsageValidator for DeviceUsage {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        /// anyExtendedKeyUsage, 2.5.29.37.0.
        const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[0x55, 0x1d, 0x25, 0x00]);
        /// id-kp-clientAuth, 1.3.6.1.5.5.7.3.2.
        const CLIENT: KeyPurposeId<'static> = KeyPurposeId::new(&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]);

        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if purpose == ANY || purpose == CLIENT {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        Err(Error::RequiredEkuNotFoundContext(webpki::RequiredEkuNotFoundContext {
            required: KeyUsage::client_auth(),
            present,
        }))
    }
}

/// What an error of the verifier speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The chip's certificate and the CA that signed it.
    Leaf,
    /// The whole path.
    Path,
}

fn refuse(error: &Error, fields: &Fields, stage: Stage) -> Failure {
    let code = match (error, stage) {
        // An algorithm that doesn't fit the key of the CA of that name: another key signed.
        (
            Error::UnknownIssuer
            | Error::InvalidSignatureForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_),
            _,
        ) => ReasonCode::CERTIFICATE_FOREIGN_CA,
        (Error::CaUsedAsEndEntity, _) => ReasonCode::CERTIFICATE_IS_CA,
        (
            Error::BadDer
            | Error::BadDerTime
            | Error::TrailingData(_)
            | Error::ExtensionValueInvalid
            | Error::MalformedExtensions,
            Stage::Leaf,
        ) => ReasonCode::CERTIFICATE_UNREADABLE,
        _ => ReasonCode::CERTIFICATE_REFUSED,
    };
    let of = match stage {
        Stage::Leaf => "certificate",
        Stage::Path => "path to a root",
    };
    Failure::new(code, format!("{of}: {}", describe(error)))
        .with("subject", &fields.subject_text)
        .with("issuer", &fields.issuer_text)
}

fn unusable(role: &str, index: usize, error: &Error) -> Failure {
    let name = format!("{role} {}", index + 1);
    Failure::new(ReasonCode::CONFIG_INVALID, format!("pinned {name} can't be used: {}", describe(error)))
        .with("certificate", name)
}

/// The error without the list of everything that would have been accepted.
fn describe(error: &Error) -> String {
    match error {
        Error::UnsupportedSignatureAlgorithmContext(context) => {
            format!(
                "signature algorithm not accepted (AlgorithmIdentifier {})",
                hex::encode(&context.signature_algorithm_id)
            )
        }
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => format!(
            "signature algorithm {} does not fit the CA's key {}",
            hex::encode(&context.signature_algorithm_id),
            hex::encode(&context.public_key_algorithm_id)
        ),
        other => format!("{other:?}"),
    }
}
