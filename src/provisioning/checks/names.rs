//! Constraints on directory names (RFC 5280 §4.2.1.10). `webpki` compares no directory names and refuses
//! whatever is below a CA that constrains them; here they are compared, and nothing else of it is done here.
//!
//! The verifier gets such a CA's certificate with the tags of these constraints changed to those of a form
//! that nobody's names have, so that it passes them over, and what it finds there of other forms it decides
//! (see [`shown`](super::shown)). A path that holds then holds only if the names do.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag, Tagged};
use x509_cert::name::{Name, RelativeDistinguishedName};

use super::extensions::{contents, extension};
use super::fields::{Fields, expect};
use super::shown::Change;
use crate::audit::x509::name::folded;

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");

/// Context-specific tags: of permittedSubtrees and excludedSubtrees, and of two forms of a GeneralName.
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const DIRECTORY_NAME: u8 = 0xa4;
const EDI_PARTY_NAME: u8 = 0xa5;

/// A CA that constrains the directory names below it.
#[derive(Debug)]
pub(super) struct Constrained {
    permitted: Vec<Name>,
    excluded: Vec<Name>,
    /// The tags, as the verifier gets them.
    pub changes: Vec<Change>,
}

impl Constrained {
    /// `None`: it constrains no directory name, or not in a way that can be read; then the verifier refuses.
    pub(super) fn parse(certificate: &[u8]) -> Option<Self> {
        let value = extension(certificate, NAME_CONSTRAINTS).ok()??;
        let mut found = Self { permitted: vec![], excluded: vec![], changes: vec![] };
        found.read(certificate, value).ok()?;
        if found.changes.is_empty() { None } else { Some(found) }
    }

    fn read(&mut self, certificate: &[u8], constraints: &[u8]) -> der::Result<()> {
        let mut sides = SliceReader::new(AnyRef::from_der(constraints)?.value())?;
        while !sides.is_finished() {
            let side = sides.tlv_bytes()?;
            let into = match side.first() {
                Some(&PERMITTED) => &mut self.permitted,
                Some(&EXCLUDED) => &mut self.excluded,
                _ => return Err(der::ErrorKind::Failed.into()),
            };
            let mut subtrees = SliceReader::new(contents(side)?)?;
            while !subtrees.is_finished() {
                let subtree = expect(&mut subtrees, Tag::Sequence)?;
                let base = SliceReader::new(contents(subtree)?)?.tlv_bytes()?;
                if base.first() == Some(&DIRECTORY_NAME) {
                    into.push(Name::from_der(contents(base)?)?);
                    // A part of the certificate: so many bytes from its beginning.
                    self.changes.push((base.as_ptr().addr() - certificate.as_ptr().addr(), EDI_PARTY_NAME));
                }
            }
        }
        Ok(())
    }

    /// May a certificate below this CA have its names? Its subject and each directory name among its others
    /// have to be within a permitted subtree, where there is one, and in none that is excluded. What can't be
    /// compared for certain is in no permitted subtree and in every excluded one.
    pub(super) fn allows(&self, certificate: &[u8]) -> bool {
        let Ok(names) = names(certificate) else { return false };
        names.iter().all(|name| {
            let permitted = self.permitted.iter().any(|base| within(name, base) == Some(true));
            let excluded = self.excluded.iter().any(|base| within(name, base) != Some(false));
            (permitted || self.permitted.is_empty()) && !excluded
        })
    }
}

/// The subject, and the directory names of subjectAltName.
fn names(certificate: &[u8]) -> der::Result<Vec<Name>> {
    let mut names = vec![Fields::parse(certificate)?.subject];
    if let Some(value) = extension(certificate, SUBJECT_ALT_NAME)? {
        let mut others = SliceReader::new(contents(value)?)?;
        while !others.is_finished() {
            let other = others.tlv_bytes()?;
            if other.first() == Some(&DIRECTORY_NAME) {
                names.push(Name::from_der(contents(other)?)?);
            }
        }
    }
    Ok(names)
}

/// Does the name begin with `base`, RDN by RDN? `None`: nobody can say.
fn within(name: &Name, base: &Name) -> Option<bool> {
    let (name, base) = (name.as_ref(), base.as_ref());
    if base.len() > name.len() {
        return Some(false);
    }
    all(name.iter().zip(base.iter()).map(|(own, other)| same_rdn(own, other)))
}

/// One that differs decides, whatever is unknown of the others.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut sum = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return part,
            None => sum = None,
        }
    }
    sum
}

fn same_rdn(one: &RelativeDistinguishedName, other: &RelativeDistinguishedName) -> Option<bool> {
    if one.len() != other.len() {
        return Some(false);
    }
    all(one.iter().map(|attribute| {
        let mut of_its_type = other.iter().filter(|it| it.oid == attribute.oid);
        match (of_its_type.next(), of_its_type.next()) {
            (None, _) => Some(false),
            (Some(theirs), None) => same_value(attribute, theirs),
            (Some(_), Some(_)) => None,
        }
    }))
}

/// RFC 5280 §7.1, as far as it is certain: values that are the same bytes, and texts of ASCII, which are
/// compared without case and with every run of spaces as one.
fn same_value(one: &AttributeTypeAndValue, other: &AttributeTypeAndValue) -> Option<bool> {
    let (one, other) = (&one.value, &other.value);
    if one.tag() == other.tag() && one.value() == other.value() {
        return Some(true);
    }
    let text = |value: &der::Any| matches!(value.tag(), Tag::PrintableString | Tag::Utf8String);
    if !text(one) || !text(other) {
        return None;
    }
    let (one, other) = (folded(one.value())?, folded(other.value())?);
    Some(one == other)
}
