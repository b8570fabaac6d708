//! Certificate policies (RFC 5280 §4.2.1.4, §4.2.1.11, §4.2.1.14). `webpki` knows nothing of them and refuses a
//! certificate in which they are critical.
//!
//! No profile asks for a policy, which is initial-any-policy of §6.1.1: then whatever the policies are, a path
//! holds unless one of its certificates demands an explicit one. That tree is not built here: who demands it is
//! refused.

use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag};

use super::extensions::{Extension, contents, extension, extensions};
use super::fields::expect;
use super::shown::Change;

const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
const POLICY_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.36");
const INHIBIT_ANY_POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.54");
/// Of what a policy is qualified by, id-qt-cps and id-qt-unotice are words for people.
const FOR_PEOPLE: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.1"), ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.2.2")];

/// What is critical and understood: shown to the verifier as not critical.
pub(super) fn understood(certificate: &[u8]) -> Vec<Change> {
    const NOT_CRITICAL: u8 = 0x00;
    let Ok(found) = extensions(certificate) else { return Vec::new() };
    let flags = found.iter().filter(|it| it.is_critical() && is_understood(it)).filter_map(|it| it.critical);
    // A part of the certificate: so many bytes from its beginning.
    flags.map(|flag| (flag.as_ptr().addr() - certificate.as_ptr().addr(), NOT_CRITICAL)).collect()
}

fn is_understood(extension: &Extension<'_>) -> bool {
    let read = match extension.id {
        CERTIFICATE_POLICIES => policies(extension.value),
        POLICY_CONSTRAINTS => constraints(extension.value).map(drop),
        INHIBIT_ANY_POLICY => UintRef::from_der(extension.value).map(drop),
        _ => return false,
    };
    read.is_ok()
}

/// Does it ask that every path through it is of some policy, or can nobody say?
pub(super) fn demands_one(certificate: &[u8]) -> bool {
    match extension(certificate, POLICY_CONSTRAINTS) {
        Ok(Some(value)) => constraints(value).unwrap_or(true),
        Ok(None) => false,
        Err(_) => true,
    }
}

/// Known policies, each once, with nothing about them that a machine would have to know.
fn policies(value: &[u8]) -> der::Result<()> {
    let mut known: Vec<ObjectIdentifier> = Vec::new();
    let mut policies = SliceReader::new(inside(value)?)?;
    loop {
        let mut policy = SliceReader::new(contents(expect(&mut policies, Tag::Sequence)?)?)?;
        let id = policy.decode()?;
        if known.contains(&id) {
            return Err(der::ErrorKind::Failed.into());
        }
        known.push(id);
        if !policy.is_finished() {
            let mut qualifiers = SliceReader::new(contents(expect(&mut policy, Tag::Sequence)?)?)?;
            while !qualifiers.is_finished() {
                let mut qualifier = SliceReader::new(contents(expect(&mut qualifiers, Tag::Sequence)?)?)?;
                let id: ObjectIdentifier = qualifier.decode()?;
                if !FOR_PEOPLE.contains(&id) {
                    return Err(der::ErrorKind::Failed.into());
                }
            }
        }
        policy.finish()?;
        if policies.is_finished() {
            return Ok(());
        }
    }
}

/// Is requireExplicitPolicy there?
fn constraints(value: &[u8]) -> der::Result<bool> {
    const REQUIRE_EXPLICIT_POLICY: u8 = 0x80;
    const INHIBIT_POLICY_MAPPING: u8 = 0x81;
    let mut fields = SliceReader::new(inside(value)?)?;
    let mut required = false;
    while !fields.is_finished() {
        match fields.tlv_bytes()?.first() {
            Some(&REQUIRE_EXPLICIT_POLICY) => required = true,
            Some(&INHIBIT_POLICY_MAPPING) => {}
            _ => return Err(der::ErrorKind::Failed.into()),
        }
    }
    Ok(required)
}

/// The contents of one SEQUENCE, exactly.
fn inside(value: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(value)?;
    let whole = expect(&mut reader, Tag::Sequence)?;
    reader.finish()?;
    contents(whole)
}
