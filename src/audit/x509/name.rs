//! When two names are one (RFC 5280 §7.1), as far as that is certain.

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::name::Name;

/// A name in the form in which it is compared: texts of printable ASCII, be they PrintableString or
/// UTF8String, without case and with every run of spaces as one; any other value as its very bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparable(Vec<Vec<(ObjectIdentifier, Value)>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Text(String),
    Bytes(Tag, Vec<u8>),
}

impl Comparable {
    /// Of a Name's DER. `None`: it can't be read, and is only what it is byte by byte.
    pub(crate) fn of(name: &[u8]) -> Option<Self> {
        let name = Name::from_der(name).ok()?;
        let rdns = name.as_ref().iter().map(|rdn| {
            let mut values: Vec<_> = rdn.iter().map(|attribute| (attribute.oid, value(attribute))).collect();
            values.sort();
            values
        });
        Some(Self(rdns.collect()))
    }
}

/// Both are a Name's DER.
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    one == other || matches!((Comparable::of(one), Comparable::of(other)), (Some(one), Some(other)) if one == other)
}

fn value(attribute: &AttributeTypeAndValue) -> Value {
    let value = &attribute.value;
    let text = matches!(value.tag(), Tag::PrintableString | Tag::Utf8String).then(|| folded(value.value())).flatten();
    text.map_or_else(|| Value::Bytes(value.tag(), value.value().to_vec()), Value::Text)
}

/// `None`: not all of it is printable ASCII.
pub(crate) fn folded(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| matches!(byte, b' '..=b'~')))?;
    Some(text.to_ascii_lowercase().split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}
