//! The other form of a certificate.
//!
//! An ECDSA signature (r, s) has a second form, (r, n − s), that anyone can write without a key and that
//! verifies as well (SEC 1 §4.1.4). So a certificate with such a signature has a twin: another fingerprint
//! over the same TBSCertificate. Where a fingerprint is all that is known of a chip, both are asked for.

use x509_cert::der::asn1::{AnyRef, UintRef};
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader, Tag, Tagged};

use super::fields::tlv;
use crate::domain::Fingerprint;

/// Orders of P-256, P-384 and P-521 (SEC 2 §2.4.2, §2.5.1, §2.6.1), smallest first.
#[rustfmt::skip]
const ORDERS: [&[u8]; 3] = [
    &[
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ],
    &[
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
        0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
    ],
    &[
        0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09,
        0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38,
        0x64, 0x09,
    ],
];

/// The twin's fingerprint; `None`: it has none, being signed otherwise.
pub fn twin(certificate: &[u8]) -> Option<Fingerprint> {
    written(certificate).ok().flatten().map(|twin| Fingerprint::of(&twin))
}

pub(super) fn written(certificate: &[u8]) -> der::Result<Option<Vec<u8>>> {
    let mut reader = SliceReader::new(certificate)?;
    let (tbs, algorithm, signature) =
        reader.sequence(|whole| Ok::<_, der::Error>((whole.tlv_bytes()?, whole.tlv_bytes()?, whole.tlv_bytes()?)))?;
    let signature = AnyRef::from_der(signature)?;
    signature.tag().assert_eq(Tag::BitString)?;
    let [0, signature @ ..] = signature.value() else { return Ok(None) };
    let mut reader = SliceReader::new(signature)?;
    let (r, s): (UintRef<'_>, UintRef<'_>) =
        reader.sequence(|pair| Ok::<_, der::Error>((pair.decode()?, pair.decode()?)))?;
    reader.finish()?;
    // Both lie below the order; that both lie below a smaller curve's order too does not happen.
    let order = ORDERS.into_iter().find(|order| below(r.as_bytes(), order) && below(s.as_bytes(), order));
    let Some(order) = order else { return Ok(None) };
    let other = difference(order, s.as_bytes());
    let pair = [r.to_der()?, UintRef::new(&other)?.to_der()?].concat();
    let bits = tlv(Tag::BitString, &[&[0], tlv(Tag::Sequence, &pair)?.as_slice()].concat())?;
    tlv(Tag::Sequence, &[tbs, algorithm, &bits].concat()).map(Some)
}

/// Both are big-endian and begin with no zeros.
fn below(number: &[u8], order: &[u8]) -> bool {
    number.len() < order.len() || number.len() == order.len() && number < order
}

/// `order` less a smaller number.
fn difference(order: &[u8], number: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = Vec::with_capacity(order.len());
    let low_first = number.iter().rev().copied().chain(std::iter::repeat(0));
    for (of_order, of_number) in order.iter().rev().zip(low_first) {
        let (digit, first) = of_order.overflowing_sub(of_number);
        let (digit, second) = digit.overflowing_sub(borrow);
        borrow = u8::from(first || second);
        digits.push(digit);
    }
    digits.reverse();
    digits
}
