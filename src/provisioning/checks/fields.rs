//! A certificate's fields, each taken from the very bytes that it has in the certificate.

use std::fmt::Write;

use x509_cert::der::asn1::AnyRef;
use x509_cert::der::{self, Decode, Encode, ErrorKind, Header, Length, Reader, SliceReader, Tag, Tagged};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// What the checks and the log need of a certificate (RFC 5280 §4.1).
///
/// The TBSCertificate is walked by hand rather than decoded whole: the SPKI is hashed as it stands,
/// and a serial number longer than RFC 5280 allows is a vendor's sin, not a reason to refuse a chip.
/// Extensions are the path verifier's business.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Hexadecimal, without the sign octet of a positive number.
    pub serial: String,
    pub subject: Name,
    /// RFC 4514.
    pub subject_text: String,
    pub issuer_text: String,
    /// Seconds since 1970, inclusive.
    pub not_before: i64,
    pub not_after: i64,
    /// SubjectPublicKeyInfo, tag and length included.
    pub spki: &'a [u8],
}

impl<'a> Fields<'a> {
    /// # Errors
    /// When `der` is not one certificate, or goes on after it.
    pub(super) fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let fields = reader.sequence(|certificate| {
            let fields = certificate.sequence(Self::of_tbs)?;
            expect(certificate, Tag::Sequence)?;
            expect(certificate, Tag::BitString)?;
            Ok::<_, der::Error>(fields)
        })?;
        reader.finish()?;
        Ok(fields)
    }

    fn of_tbs(tbs: &mut SliceReader<'a>) -> der::Result<Self> {
        const EXPLICIT_VERSION: u8 = 0xa0;
        if tbs.peek_byte() == Some(EXPLICIT_VERSION) {
            tbs.tlv_bytes()?;
        }
        let serial = AnyRef::from_der(expect(tbs, Tag::Integer)?)?.value();
        // Revocation lists name it byte by byte.
        if !is_shortest(serial) {
            return Err(ErrorKind::Noncanonical { tag: Tag::Integer }.into());
        }
        expect(tbs, Tag::Sequence)?;
        let issuer: Name = tbs.decode()?;
        let (not_before, not_after) =
            tbs.sequence(|validity| Ok::<_, der::Error>((seconds(validity)?, seconds(validity)?)))?;
        let subject: Name = tbs.decode()?;
        let spki = expect(tbs, Tag::Sequence)?;
        while !tbs.is_finished() {
            tbs.tlv_bytes()?;
        }
        Ok(Self {
            serial: hex::encode(match serial {
                [0, rest @ ..] if !rest.is_empty() => rest,
                whole => whole,
            }),
            subject_text: text(&subject)?,
            issuer_text: text(&issuer)?,
            subject,
            not_before,
            not_after,
            spki,
        })
    }
}

/// An INTEGER's contents with no octet too many (X.690 §8.3.2).
pub(super) fn is_shortest(integer: &[u8]) -> bool {
    !matches!(integer, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// The next value, whole, when it has this tag.
pub(super) fn expect<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> der::Result<&'a [u8]> {
    let bytes = reader.tlv_bytes()?;
    AnyRef::from_der(bytes)?.tag().assert_eq(tag)?;
    Ok(bytes)
}

pub(super) fn tlv(tag: Tag, contents: &[u8]) -> der::Result<Vec<u8>> {
    let mut whole = Header::new(tag, Length::try_from(contents.len())?).to_der()?;
    whole.extend_from_slice(contents);
    Ok(whole)
}

pub(super) fn seconds(validity: &mut SliceReader<'_>) -> der::Result<i64> {
    let time: Time = validity.decode()?;
    i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| ErrorKind::DateTime.into())
}

/// `to_string` would panic where the name's own formatting gives up.
pub(super) fn text(name: &Name) -> der::Result<String> {
    let mut text = String::new();
    write!(text, "{name}").map_err(|_| der::Error::from(ErrorKind::Failed))?;
    Ok(text)
}

/// Seconds since 1970 as RFC 3339 text, exact to the end of 9999 (RFC 5280 §4.1.2.5: "no well-defined
/// expiration"), where a time stamp of the log could not follow.
pub(super) fn rfc3339(seconds: i64) -> String {
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let since = jiff::SignedDuration::from_secs(seconds);
    // A certificate's own times lie between the years 0 and 9999; only a broken clock's do not.
    epoch.checked_add(since).map_or_else(|_| format!("{seconds} s since 1970"), |time| format!("{time}Z"))
}
