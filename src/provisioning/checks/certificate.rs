//! X.509 (RFC 5280): path to the pinned roots, validity, key, UID rule.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use webpki::spki_for_anchor;

use super::fields::{Fields, rfc3339};
use super::revocation::{ListInUse, Lists};
use super::texts::check_texts;
use super::{key, path, uid};
use crate::audit::event::{CrlFacts, Decision};
use crate::domain::profile::{KeyKind, Trust};
use crate::domain::{ChipUid, Failure, Fingerprint, Identity, ReasonCode, SpkiHash};

/// A certificate that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub identity: Identity,
    pub decision: Decision,
    /// The SubjectPublicKeyInfo's DER: what a signature is verified under.
    pub spki: Vec<u8>,
}

/// Checks `der` (one certificate, exactly) against `trust` at time `now`; `uid` is what the chip
/// said of itself.
///
/// The order is: form, who signed it, validity, path, key, UID. What a certificate says of itself is
/// reported once a pinned CA is known to have said it, so a self-made certificate that is expired as
/// well is `C-102`, not `C-103`.
///
/// # Errors
/// * `C-101` not exactly one certificate in DER, or a name in it that is no text of its type;
/// * `C-106` a CA's certificate, or one of the pinned CAs' own keys;
/// * `C-102` no pinned CA signed it, or the one that did leads to no pinned root, or is not the one that the
///   method `with-ca` registers it with;
/// * `C-103`, `C-104` outside of its validity;
/// * `C-109` a revocation list of the profile names it, or a CA above it;
/// * `C-105` not one of the profile's kinds of key;
/// * `T-208`, `C-107`, `S-102` the UID rule;
/// * `C-108` whatever else the verifier refuses: unknown critical extension, name constraints,
///   path length, expired intermediate, X.509 version 1, key usage without digitalSignature, extended
///   key usage without client authentication, a demand for a certificate policy, a signature algorithm
///   that is not accepted;
/// * `K-701`, `K-705` the profile's own certificates or revocation lists can't be used (see
///   [`check_trust`]).
pub fn check_certificate(der: &[u8], uid: Option<&ChipUid>, trust: &Trust, now: Timestamp) -> Result<Checked, Failure> {
    let fields = parsed(der)?;
    check_texts(der)?;
    let path = path::find(der, &fields, trust, now)?;
    let key = key::kind_within(fields.spki, &trust.keys)?;
    let uids = uid::settle(&fields.subject, uid, trust)?;
    let spki = SpkiHash::of(fields.spki);
    Ok(Checked {
        identity: Identity { fingerprint: Fingerprint::of(der), spki, uid: uids.of_identity },
        decision: Decision {
            key,
            spki,
            subject: fields.subject_text,
            issuer: fields.issuer_text,
            serial: fields.serial,
            not_before: rfc3339(fields.not_before),
            not_after: rfc3339(fields.not_after),
            path: path.fingerprints,
            uid_in_certificate: uids.in_certificate,
            path_as_of: path.as_of.map(rfc3339),
            crls: path.crls,
        },
        spki: fields.spki.to_vec(),
    })
}

/// The key's hash of any certificate, checked for nothing but its form (`C-101`).
pub fn spki_hash(der: &[u8]) -> Result<SpkiHash, Failure> {
    Ok(SpkiHash::of(parsed(der)?.spki))
}

/// The SubjectPublicKeyInfo of any certificate, as [`spki_hash`].
pub fn spki_of(der: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(parsed(der)?.spki.to_vec())
}

/// The kind of any certificate's key. `A-352`: it is none that a device could use.
pub fn key_kind(der: &[u8]) -> Result<KeyKind, Failure> {
    let unusable = |failure: Failure| Failure::new(ReasonCode::ISSUED_UNUSABLE, failure.cause);
    parsed(der).and_then(|fields| key::kind_within(fields.spki, &KeyKind::ALL)).map_err(unusable)
}

/// Is it valid at that time, by its own dates? `early`: so much before them counts as well.
pub fn is_valid_at(der: &[u8], now: Timestamp, early: SignedDuration) -> bool {
    parsed(der).is_ok_and(|fields| {
        now.as_second().saturating_add(early.as_secs()) >= fields.not_before && now.as_second() <= fields.not_after
    })
}

pub(super) fn parsed(der: &[u8]) -> Result<Fields<'_>, Failure> {
    Fields::parse(der).map_err(|error| {
        Failure::new(ReasonCode::CERTIFICATE_UNREADABLE, format!("not exactly one X.509 certificate in DER: {error}"))
    })
}

/// Can these pinned certificates and revocation lists be used at all? For the configuration's check,
/// and before a line starts.
///
/// # Errors
/// * `K-701` with the argument `certificate` (`root 1`, `intermediate 2`: counted from one) when one of
///   them can't be parsed, carries what the verifier would refuse in every path, or has a key under which
///   no signature is accepted; or when there is no root;
/// * `K-705` when a revocation list has expired, is of the future or was signed by no pinned CA, or one is missing.
pub fn check_trust(trust: &Trust, now: Timestamp) -> Result<Pins, Failure> {
    let (mut pinned, now) = (path::Pinned::parse(trust)?, now.as_second());
    let lists = Lists::parse(trust, &mut pinned, now)?;
    lists.check(&pinned, now)?;
    let pin = |authority: &path::Authority<'_>| {
        let fields = authority.fields();
        Pin {
            fingerprint: Fingerprint::of(&authority.der),
            subject: fields.as_ref().map_or_else(|| "?".to_owned(), |fields| fields.subject_text.clone()),
            not_before: fields.as_ref().map_or_else(|| "?".to_owned(), |fields| rfc3339(fields.not_before)),
            not_after: fields.as_ref().map_or_else(|| "?".to_owned(), |fields| rfc3339(fields.not_after)),
            key: key::name(&spki_for_anchor(&authority.anchor)),
            expired: fields.is_some_and(|fields| fields.not_after < now),
        }
    };
    Ok(Pins {
        roots: pinned.roots.iter().map(pin).collect(),
        intermediates: pinned.intermediates.iter().map(pin).collect(),
        crls: lists.iter().map(|crl| (crl.file.to_owned(), crl.facts())).collect(),
    })
}

/// The newest list of each CA and scope that the profile names; `K-701`, `K-705` as [`check_trust`].
pub fn lists_in_use(trust: &Trust, now: Timestamp) -> Result<Vec<ListInUse>, Failure> {
    if trust.crls.is_empty() {
        return Ok(Vec::new());
    }
    let (mut pinned, now) = (path::Pinned::parse(trust)?, now.as_second());
    Ok(Lists::parse(trust, &mut pinned, now)?.in_use(now))
}

/// What a profile's trust rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    pub roots: Vec<Pin>,
    pub intermediates: Vec<Pin>,
    /// The newest of each CA and scope, with the file that it is in.
    pub crls: Vec<(PathBuf, CrlFacts)>,
}

/// One pinned certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    pub fingerprint: Fingerprint,
    pub subject: String,
    /// RFC 3339, UTC.
    pub not_before: String,
    pub not_after: String,
    /// `ec-p521`, `rsa-4096`.
    pub key: String,
    pub expired: bool,
}
