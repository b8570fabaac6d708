//! A certificate's extensions, and what its key may be used for.

use x509_cert::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use x509_cert::der::{self, Decode, Reader, SliceReader, Tag};

use super::fields::expect;

/// One extension, as it stands in its certificate or list.
pub(super) struct Extension<'a> {
    pub id: ObjectIdentifier,
    /// The octets that say so.
    pub id_octets: &'a [u8],
    /// The octet that says whether it is critical, where it is there.
    pub critical: Option<&'a [u8]>,
    pub value: &'a [u8],
}

impl Extension<'_> {
    pub(super) fn is_critical(&self) -> bool {
        self.critical.is_some_and(|octet| octet != [0])
    }
}

/// None in version 1.
pub(super) fn extensions(certificate: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    /// Context-specific, of a TBSCertificate.
    const EXTENSIONS: u8 = 0xa3;
    extensions_in(certificate, EXTENSIONS)
}

/// Those of a revocation list, not of its entries.
pub(super) fn list_extensions(list: &[u8]) -> der::Result<Vec<Extension<'_>>> {
    /// Context-specific, of a TBSCertList.
    const EXTENSIONS: u8 = 0xa0;
    extensions_in(list, EXTENSIONS)
}

fn extensions_in(whole: &[u8], tag: u8) -> der::Result<Vec<Extension<'_>>> {
    let mut found = Vec::new();
    let mut fields = SliceReader::new(contents(tbs(whole)?)?)?;
    while !fields.is_finished() {
        let field = fields.tlv_bytes()?;
        if field.first() != Some(&tag) {
            continue;
        }
        let mut extensions = SliceReader::new(contents(contents(field)?)?)?;
        while !extensions.is_finished() {
            const BOOLEAN: u8 = 0x01;
            let mut extension = SliceReader::new(contents(expect(&mut extensions, Tag::Sequence)?)?)?;
            let id = extension.tlv_bytes()?;
            let (id, id_octets) = (ObjectIdentifier::from_der(id)?, contents(id)?);
            let critical = match extension.peek_byte() {
                Some(BOOLEAN) => Some(contents(extension.tlv_bytes()?)?),
                _ => None,
            };
            let value: &OctetStringRef = extension.decode()?;
            found.push(Extension { id, id_octets, critical, value: value.as_bytes() });
        }
    }
    Ok(found)
}

pub(super) fn extension(certificate: &[u8], id: ObjectIdentifier) -> der::Result<Option<&[u8]>> {
    Ok(extensions(certificate)?.into_iter().find(|extension| extension.id == id).map(|extension| extension.value))
}

/// TBSCertificate.
pub(super) fn tbs(certificate: &[u8]) -> der::Result<&[u8]> {
    expect(&mut SliceReader::new(contents(certificate)?)?, Tag::Sequence)
}

pub(super) fn contents(tlv: &[u8]) -> der::Result<&[u8]> {
    Ok(AnyRef::from_der(tlv)?.value())
}

/// A bit of the key usage (RFC 5280 §4.2.1.3), which the verifier looks at nowhere but for revocation lists.
#[derive(Clone, Copy)]
pub(super) enum Usage {
    DigitalSignature = 0,
    KeyCertSign = 5,
    CrlSign = 6,
}

/// May the certificate's key be used so? A certificate that does not say what for is for everything.
/// `Err`: why not.
pub(super) fn usable(certificate: &[u8], usage: Usage) -> Result<(), String> {
    const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
    let unreadable = |error: der::Error| format!("its key usage can't be read: {error}");
    let Some(value) = extension(certificate, KEY_USAGE).map_err(unreadable)? else { return Ok(()) };
    let bits = BitStringRef::from_der(value).map_err(unreadable)?;
    if bits.bits().nth(usage as usize) == Some(true) {
        return Ok(());
    }
    Err(match usage {
        Usage::DigitalSignature => "its key usage does not include digitalSignature, and the chip signs",
        Usage::KeyCertSign => "its key usage does not include keyCertSign, so it may issue no certificate",
        Usage::CrlSign => "its key usage does not include cRLSign, so it may sign no revocation list",
    }
    .to_owned())
}
