//! Constraints on directory names and URIs (RFC 5280 §4.2.1.10). `webpki` compares neither and refuses
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
const URI: u8 = 0x86;
const REGISTERED_ID: u8 = 0x88;

/// A CA that constrains the directory names or URIs below it.
#[derive(Debug)]
pub(super) struct Constrained {
    permitted: Subtrees,
    excluded: Subtrees,
    /// The tags, as the verifier gets them.
    pub changes: Vec<Change>,
}

#[derive(Debug, Default)]
struct Subtrees {
    names: Vec<Name>,
    /// A host, or a domain, which begins with a point; in small letters.
    hosts: Vec<String>,
}

impl Constrained {
    /// `None`: it constrains neither, or not in a way that can be read; then the verifier refuses.
    pub(super) fn parse(certificate: &[u8]) -> Option<Self> {
        let value = extension(certificate, NAME_CONSTRAINTS).ok()??;
        let mut found = Self { permitted: Subtrees::default(), excluded: Subtrees::default(), changes: vec![] };
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
                let passed_over = match base.first() {
                    Some(&DIRECTORY_NAME) => {
                        into.names.push(Name::from_der(contents(base)?)?);
                        EDI_PARTY_NAME
                    }
                    Some(&URI) => {
                        into.hosts.push(domain(untagged(base)?).ok_or(der::ErrorKind::Failed)?);
                        REGISTERED_ID
                    }
                    _ => continue,
                };
                // A part of the certificate: so many bytes from its beginning.
                self.changes.push((base.as_ptr().addr() - certificate.as_ptr().addr(), passed_over));
            }
        }
        Ok(())
    }

    /// May a certificate below this CA have its names? Its subject and each directory name and URI among its
    /// others have to be within a permitted subtree of their form, where there is one, and in none that is
    /// excluded. What can't be compared for certain is in no permitted subtree and in every excluded one.
    pub(super) fn allows(&self, certificate: &[u8]) -> bool {
        let Ok((names, uris)) = names(certificate) else { return false };
        let (permitted, excluded) = (&self.permitted, &self.excluded);
        let names = names.iter().all(|name| allowed(&permitted.names, &excluded.names, |base| within(name, base)));
        let uris = uris.iter().all(|uri| {
            let host = host(uri);
            allowed(&permitted.hosts, &excluded.hosts, |base| Some(is_in(host.as_deref()?, base)))
        });
        names && uris
    }
}

fn allowed<B>(permitted: &[B], excluded: &[B], within: impl Fn(&B) -> Option<bool>) -> bool {
    let inside = permitted.is_empty() || permitted.iter().any(|base| within(base) == Some(true));
    inside && excluded.iter().all(|base| within(base) == Some(false))
}

/// The subject and the directory names of subjectAltName, and its URIs.
fn names(certificate: &[u8]) -> der::Result<(Vec<Name>, Vec<&[u8]>)> {
    let (mut names, mut uris) = (vec![Fields::parse(certificate)?.subject], Vec::new());
    if let Some(value) = extension(certificate, SUBJECT_ALT_NAME)? {
        let mut others = SliceReader::new(contents(value)?)?;
        while !others.is_finished() {
            let other = others.tlv_bytes()?;
            match other.first() {
                Some(&DIRECTORY_NAME) => names.push(Name::from_der(contents(other)?)?),
                Some(&URI) => uris.push(untagged(other)?),
                _ => {}
            }
        }
    }
    Ok((names, uris))
}

/// The contents of an implicitly tagged text.
fn untagged(name: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(name)?;
    let header = der::Header::decode(&mut reader)?;
    reader.read_slice(header.length())
}

/// A constraint on URIs: a host, or a domain with a point before it.
fn domain(base: &[u8]) -> Option<String> {
    let labels = base.strip_prefix(b".").unwrap_or(base);
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let whole = labels.split(|byte| *byte == b'.').all(|label| !label.is_empty() && label.iter().all(letter));
    whole.then(|| String::from_utf8_lossy(base).to_ascii_lowercase())
}

/// The host of a URI (RFC 3986 §3.2) that has a name; `None`: it has none that could be compared.
fn host(uri: &[u8]) -> Option<String> {
    let (_scheme, rest) = std::str::from_utf8(uri).ok()?.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let host = domain(host.as_bytes()).filter(|host| !host.starts_with('.'))?;
    // An address, and no name.
    let numbered = host.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    (!numbered).then_some(host)
}

fn is_in(host: &str, base: &str) -> bool {
    if base.starts_with('.') { host.len() > base.len() && host.ends_with(base) } else { host == base }
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
