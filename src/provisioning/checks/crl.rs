//! One certificate revocation list (RFC 5280 §5): `webpki` decides by it, and what it leaves unsaid is
//! read here: number, dates, and by whose key the list is signed.

use std::path::Path;

use rustls_pki_types::SignatureVerificationAlgorithm as Algorithm;
use webpki::{BorrowedCertRevocationList, CertRevocationList, Error, OwnedCertRevocationList};
use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, UintRef};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag};
use x509_cert::name::Name;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::extensions::{contents, list_extensions};
use super::fields::{expect, is_shortest, rfc3339, seconds, text};
use super::path::describe;
use super::shown::{Change, Shown, Spellings};
use crate::audit::event::CrlFacts;
use crate::audit::x509::ACCEPTED;
use crate::domain::profile;
use crate::domain::{CLOCK_TOLERANCE, Sha256};

pub(super) struct Crl<'a> {
    pub file: &'a Path,
    pub list: CertRevocationList<'a>,
    pub sha256: Sha256,
    pub issuer_text: String,
    /// Hexadecimal.
    pub number: Option<String>,
    /// Seconds since 1970.
    pub this_update: i64,
    pub next_update: i64,
    pub scope: Scope,
    /// The issuing distribution point that has no name: the verifier gets the list without it, and whoever asks the
    /// verifier has to look at the scope.
    pub nameless: Option<&'a [u8]>,
    /// What is signed, how, and the signature.
    tbs: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// Which of its CA's certificates a list speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    EndEntities,
    Authorities,
}

impl Scope {
    pub(super) fn speaks_of(self, is_chip: bool) -> bool {
        match self {
            Scope::All => true,
            Scope::EndEntities => is_chip,
            Scope::Authorities => !is_chip,
        }
    }
}

impl<'a> Crl<'a> {
    /// And what the verifier gets, where that is not the list as it stands. `Err`: what is wrong with it.
    pub(super) fn parse(crl: &'a profile::Crl, spellings: &Spellings) -> Result<(Self, Option<Shown>), String> {
        let point = Point::of(&crl.der).ok().flatten();
        let hidden = point.as_ref().filter(|point| point.is_nameless()).map(|point| point.hidden_in(&crl.der));
        let shown = Shown::of_list(&crl.der, hidden.as_deref().unwrap_or_default(), spellings);
        let seen = shown.as_ref().map_or(crl.der.as_slice(), |shown| &shown.der);
        let list = BorrowedCertRevocationList::from_der(seen).map_err(|error| why(&crl.der, &error))?;
        // All of them: later it is read up to the one that is looked for, which is compared byte by byte.
        for (entry, number) in list.into_iter().zip(1..) {
            let entry = entry.map_err(|error| format!("its entry {number} can't be read: {}", describe(&error)))?;
            if !is_shortest(entry.serial_number) {
                let serial = hex::encode(entry.serial_number);
                return Err(format!(
                    "its entry {number} names the serial number {serial} in a form that no certificate has"
                ));
            }
        }
        let list = match &shown {
            Some(shown) => OwnedCertRevocationList::from_der(&shown.der).map_err(|error| describe(&error))?.into(),
            None => BorrowedCertRevocationList::from_der(&crl.der).map_err(|error| why(&crl.der, &error))?.into(),
        };
        let nameless = hidden.and(point.as_ref()).map(|point| point.value);
        let scope = point.map_or(Scope::All, |point| point.scope());
        let crl = Self::read(crl, list, scope, nameless).map_err(|error| error.to_string())?;
        Ok((crl, shown))
    }

    fn read(
        crl: &'a profile::Crl,
        list: CertRevocationList<'a>,
        scope: Scope,
        nameless: Option<&'a [u8]>,
    ) -> der::Result<Self> {
        let mut reader = SliceReader::new(&crl.der)?;
        let (tbs, algorithm, signature) = reader.sequence(|parts| {
            let tbs = expect(parts, Tag::Sequence)?;
            let algorithm = AnyRef::from_der(expect(parts, Tag::Sequence)?)?.value();
            let signature: BitStringRef<'a> = parts.decode()?;
            Ok::<_, der::Error>((tbs, algorithm, signature.as_bytes().unwrap_or_default()))
        })?;
        reader.finish()?;
        SliceReader::new(tbs)?.sequence(|fields| {
            expect(fields, Tag::Integer)?;
            expect(fields, Tag::Sequence)?;
            let issuer: Name = fields.decode()?;
            let (this_update, next_update) = (seconds(fields)?, seconds(fields)?);
            let mut number = None;
            while !fields.is_finished() {
                const EXTENSIONS: u8 = 0xa0;
                let is_extensions = fields.peek_byte() == Some(EXTENSIONS);
                let value = fields.tlv_bytes()?;
                if is_extensions {
                    number = crl_number(AnyRef::from_der(value)?.value())?;
                }
            }
            Ok::<_, der::Error>(Self {
                file: &crl.file,
                sha256: Sha256::of(&crl.der),
                issuer_text: text(&issuer)?,
                number,
                this_update,
                next_update,
                scope,
                nameless,
                list,
                tbs,
                algorithm,
                signature,
            })
        })
    }

    /// Is it signed by the key of this SubjectPublicKeyInfo? The verifier asks that only of the list
    /// that it has picked by name, and a vendor may have several generations of a CA under one name.
    pub(super) fn is_signed_by(&self, spki: &[u8]) -> bool {
        let Ok(info) = SubjectPublicKeyInfoRef::from_der(spki) else { return false };
        let (Some(key), Some(key_algorithm)) = (info.subject_public_key.as_bytes(), key_algorithm(spki)) else {
            return false;
        };
        let fits = |algorithm: &&&dyn Algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == key_algorithm
        };
        ACCEPTED.iter().filter(fits).any(|algorithm| algorithm.verify_signature(key, self.tbs, self.signature).is_ok())
    }

    /// From this second on it says nothing (RFC 5280 §6.3.3 a).
    pub(super) fn has_expired(&self, now: i64) -> bool {
        now >= self.next_update
    }

    /// The newer of two lists is greater: by date, and by number (RFC 5280 §5.2.3) where a CA dates by the day.
    pub fn age(&self) -> (i64, Option<(usize, &str)>) {
        (self.this_update, self.number.as_deref().map(|number| (number.len(), number)))
    }

    /// Made in the future, as no clock of a station or a CA is off: until then it says nothing.
    pub(super) fn is_not_yet_valid(&self, now: i64) -> bool {
        self.this_update > now.saturating_add(CLOCK_TOLERANCE.as_secs())
    }

    pub(super) fn facts(&self) -> CrlFacts {
        CrlFacts {
            issuer: self.issuer_text.clone(),
            number: self.number.clone(),
            this_update: rfc3339(self.this_update),
            next_update: rfc3339(self.next_update),
            sha256: self.sha256,
        }
    }
}

/// The list's IssuingDistributionPoint (RFC 5280 §5.2.5).
struct Point<'a> {
    id: &'a [u8],
    critical: Option<&'a [u8]>,
    value: &'a [u8],
    /// Tags and contents.
    parts: Vec<(u8, &'a [u8])>,
}

impl<'a> Point<'a> {
    const END_ENTITIES: u8 = 0x81;
    const AUTHORITIES: u8 = 0x82;
    const ATTRIBUTES: u8 = 0x85;

    /// `None`: it has none, or several.
    fn of(list: &'a [u8]) -> der::Result<Option<Self>> {
        const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
        let mut found = list_extensions(list)?.into_iter().filter(|it| it.id == ISSUING_DISTRIBUTION_POINT);
        let (Some(own), None) = (found.next(), found.next()) else { return Ok(None) };
        let whole = expect(&mut SliceReader::new(own.value)?, Tag::Sequence)?;
        let mut reader = SliceReader::new(contents(whole)?)?;
        let mut parts = Vec::new();
        while !reader.is_finished() {
            let part = reader.tlv_bytes()?;
            parts.push((part.first().copied().unwrap_or_default(), contents(part)?));
        }
        // Something behind it makes it unreadable, as it does for the verifier.
        let whole = whole.len() == own.value.len();
        Ok(whole.then_some(Self { id: own.id_octets, critical: own.critical, value: own.value, parts }))
    }

    fn says(&self, what: u8) -> bool {
        self.parts.iter().any(|(tag, value)| *tag == what && *value == [0xff])
    }

    fn scope(&self) -> Scope {
        match (self.says(Self::END_ENTITIES), self.says(Self::AUTHORITIES)) {
            (true, false) => Scope::EndEntities,
            (false, true) => Scope::Authorities,
            _ => Scope::All,
        }
    }

    /// It says nothing but that it is for end entities, or for CAs. Without a name it is for every certificate of them,
    /// whatever distribution point that names (RFC 5280 §6.3.3 b 2).
    fn is_nameless(&self) -> bool {
        matches!(self.parts.as_slice(), [(Self::END_ENTITIES | Self::AUTHORITIES, [0xff])])
    }

    /// To be shown as an extension that the verifier passes over.
    fn hidden_in(&self, list: &[u8]) -> Vec<Change> {
        /// 2.5.29.127, which is nothing.
        const NOTHING: u8 = 0x7f;
        const NOT_CRITICAL: u8 = 0;
        let last = self.id.get(self.id.len().saturating_sub(1)..).unwrap_or_default();
        let octets = [(last, NOTHING)].into_iter().chain(self.critical.map(|octet| (octet, NOT_CRITICAL)));
        octets.map(|(at, octet)| (at.as_ptr().addr() - list.as_ptr().addr(), octet)).collect()
    }
}

/// Why the verifier does not take it, in words.
fn why(der: &[u8], error: &Error) -> String {
    let point = Point::of(der).ok().flatten();
    let known = match error {
        _ if point.is_some_and(|point| point.says(Point::ATTRIBUTES)) => {
            "it is for attribute certificates only, and says nothing of a chip or a CA"
        }
        Error::UnsupportedDeltaCrl => "it is a delta list, which tells only what has changed since another one",
        Error::UnsupportedIndirectCrl => "it speaks of other CAs' certificates than its signer's (an indirect list)",
        Error::UnsupportedRevocationReasonsPartitioning => "it is for some of the reasons of a revocation only",
        Error::UnsupportedCrlIssuingDistributionPoint => {
            "it is for a part of the CA's certificates and has no full name of a distribution point"
        }
        Error::UnsupportedCriticalExtension => "it has a critical extension that is not known here",
        _ => return missing(der).ok().flatten().map_or_else(|| describe(error), str::to_owned),
    };
    known.to_owned()
}

/// What RFC 5280 §5.1.2 demands and the list lacks.
fn missing(der: &[u8]) -> der::Result<Option<&'static str>> {
    const INTEGER: u8 = 0x02;
    const SEQUENCE: u8 = 0x30;
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    const EXTENSIONS: u8 = 0xa0;
    let tbs = expect(&mut SliceReader::new(AnyRef::from_der(der)?.value())?, Tag::Sequence)?;
    let mut fields = SliceReader::new(AnyRef::from_der(tbs)?.value())?;
    if fields.peek_byte() != Some(INTEGER) {
        return Ok(Some("it is of version 1, and only those of version 2 are taken"));
    }
    for _version_algorithm_issuer_this_update in 0..4 {
        fields.tlv_bytes()?;
    }
    if !matches!(fields.peek_byte(), Some(UTC_TIME | GENERALIZED_TIME)) {
        return Ok(Some("it does not say when the next one is due (nextUpdate), so it would count for ever"));
    }
    fields.tlv_bytes()?;
    if fields.peek_byte() == Some(SEQUENCE) {
        fields.tlv_bytes()?;
    }
    let bare = fields.peek_byte() != Some(EXTENSIONS);
    Ok(bare.then_some("it has no extensions, and so no list number"))
}

/// The contents of the AlgorithmIdentifier, as it stands.
fn key_algorithm(spki: &[u8]) -> Option<&[u8]> {
    let mut info = SliceReader::new(AnyRef::from_der(spki).ok()?.value()).ok()?;
    Some(AnyRef::from_der(expect(&mut info, Tag::Sequence).ok()?).ok()?.value())
}

/// Of the extensions, which `extensions` is the SEQUENCE of.
fn crl_number(extensions: &[u8]) -> der::Result<Option<String>> {
    const CRL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.20");
    let mut extensions = SliceReader::new(AnyRef::from_der(extensions)?.value())?;
    while !extensions.is_finished() {
        let mut extension = SliceReader::new(AnyRef::from_der(expect(&mut extensions, Tag::Sequence)?)?.value())?;
        let id: ObjectIdentifier = extension.decode()?;
        if id == CRL_NUMBER {
            let _critical: Option<bool> = extension.decode()?;
            let value: &OctetStringRef = extension.decode()?;
            return Ok(Some(hex::encode(UintRef::from_der(value.as_bytes())?.as_bytes())));
        }
    }
    Ok(None)
}
