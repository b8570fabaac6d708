//! Each check by itself, for a person who wants to know which of them would fail, and why.

use jiff::Timestamp;

use super::certificate::{check_trust, parsed};
use super::fields::{Fields, rfc3339};
use super::texts::check_texts;
use super::{key, path, uid};
use crate::domain::profile::{KeyKind, Trust};
use crate::domain::{ChipUid, Failure, Fingerprint, ReasonCode, SpkiHash};

/// What is looked at, in the order in which a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The board's serial number, and what the profile makes of its answer.
    Identify,
    Token,
    Certificate,
    /// The profile's own CAs and revocation lists.
    Pins,
    /// Who signed it.
    Issuer,
    Validity,
    Path,
    Revocation,
    Key,
    Uid,
    Proof,
    Manifest,
    /// What the log has bound, locked or ruled.
    Log,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub check: Check,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "failure")]
pub enum Outcome {
    Good,
    Bad(Failure),
    /// What stands in its way is named before it.
    Open,
}

impl Finding {
    pub fn of(check: Check, result: Result<(), Failure>) -> Self {
        Self { check, outcome: result.map_or_else(Outcome::Bad, |()| Outcome::Good) }
    }

    pub fn open(check: Check) -> Self {
        Self { check, outcome: Outcome::Open }
    }

    pub fn failure(&self) -> Option<&Failure> {
        match &self.outcome {
            Outcome::Bad(failure) => Some(failure),
            Outcome::Good | Outcome::Open => None,
        }
    }
}

/// What a certificate says, proven by nothing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CertificateFacts {
    pub sha256: Fingerprint,
    pub spki_sha256: SpkiHash,
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    pub not_before: String,
    pub not_after: String,
    /// `ec-p256`, `rsa-1024`.
    pub key: String,
    /// By the profile's `uid_from_cn`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<ChipUid>,
    /// Of a kind that a challenge is known for.
    #[serde(skip)]
    pub kind: Option<KeyKind>,
    #[serde(skip)]
    pub spki: Vec<u8>,
}

impl CertificateFacts {
    /// `C-101`: it can't be read. No profile is asked, so no UID is found.
    pub fn of(der: &[u8]) -> Result<Self, Failure> {
        Ok(Self::from_fields(der, parsed(der)?))
    }

    fn from_fields(der: &[u8], fields: Fields<'_>) -> Self {
        Self {
            sha256: Fingerprint::of(der),
            spki_sha256: SpkiHash::of(fields.spki),
            uid: None,
            not_before: rfc3339(fields.not_before),
            not_after: rfc3339(fields.not_after),
            key: key::name(fields.spki),
            kind: key::kind_within(fields.spki, &KeyKind::ALL).ok(),
            spki: fields.spki.to_vec(),
            subject: fields.subject_text,
            issuer: fields.issuer_text,
            serial: fields.serial,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// `None`: it can't be read.
    pub certificate: Option<CertificateFacts>,
    /// From [`Check::Certificate`] to [`Check::Uid`].
    pub findings: Vec<Finding>,
}

/// [`check_certificate`](super::check_certificate), but going on after what fails: it is good exactly
/// where every finding here is.
pub fn examine(der: &[u8], chip: Option<&ChipUid>, trust: &Trust, now: Timestamp) -> Examined {
    const LATER: [Check; 7] =
        [Check::Pins, Check::Issuer, Check::Validity, Check::Path, Check::Revocation, Check::Key, Check::Uid];
    let fields = match parsed(der).and_then(|fields| check_texts(der).map(|()| fields)) {
        Ok(fields) => fields,
        Err(failure) => {
            let unread = Finding::of(Check::Certificate, Err(failure));
            let findings = std::iter::once(unread).chain(LATER.map(Finding::open)).collect();
            return Examined { certificate: None, findings };
        }
    };
    let mut findings = vec![Finding::of(Check::Certificate, Ok(()))];
    let pins = check_trust(trust, now).map(drop);
    let usable = pins.is_ok();
    findings.push(Finding::of(Check::Pins, pins));
    let issued = usable.then(|| path::issued(der, &fields, trust, now));
    let valid = path::check_validity(&fields, now.as_second());
    let path = match (&issued, &valid) {
        (Some(Ok(())), Ok(())) => Some(path::find(der, &fields, trust, now).map(drop)),
        _ => None,
    };
    findings.push(asked(Check::Issuer, issued));
    findings.push(Finding::of(Check::Validity, valid));
    findings.extend(of_path(path));
    let kind = key::kind_within(fields.spki, &trust.keys);
    findings.push(Finding::of(Check::Key, kind.map(drop)));
    let uids = uid::settle(&fields.subject, chip, trust);
    findings.push(Finding::of(Check::Uid, uids.map(drop)));

    let uid = trust.uid_from_cn.as_ref().and_then(|pattern| uid::certified(&fields.subject, pattern).ok());
    let certificate = CertificateFacts { uid, ..CertificateFacts::from_fields(der, fields) };
    Examined { certificate: Some(certificate), findings }
}

fn asked(check: Check, result: Option<Result<(), Failure>>) -> Finding {
    result.map_or_else(|| Finding::open(check), |result| Finding::of(check, result))
}

/// Who was revoked is asked of a path that holds.
fn of_path(found: Option<Result<(), Failure>>) -> [Finding; 2] {
    let (path, revocation) = match found {
        Some(Err(failure)) => match failure.code {
            ReasonCode::CERTIFICATE_REVOKED | ReasonCode::CRL_UNUSABLE => (Some(Ok(())), Some(Err(failure))),
            _ => (Some(Err(failure)), None),
        },
        good => (good.clone(), good),
    };
    [asked(Check::Path, path), asked(Check::Revocation, revocation)]
}
