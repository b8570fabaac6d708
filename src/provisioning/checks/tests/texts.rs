//! Texts in names.

use super::forge::{Key, Tbs, oid, sequence, tlv};
use super::*;
use crate::provisioning::checks::spki_hash;

fn named(tag: u8, text: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(0x31, &sequence(&[&oid("2.5.4.3"), &tlv(tag, text)]))])
}

/// The unit would PASS, and neither AWS nor the OpenSSL of whoever is handed its proof could read the chip's
/// certificate.
#[test]
fn a_name_that_is_no_text_of_its_type_is_unreadable() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let issue = |tag, text: &[u8]| vendor.issue(Tbs { subject: named(tag, text), ..vendor.leaf(&key) });
    const UTF8: u8 = 0x0c;
    const T61: u8 = 0x14;
    const BMP: u8 = 0x1e;
    for (tag, bad) in [
        (UTF8, &b"chip \xff"[..]),
        (UTF8, b"chip \xc0\xaf"),
        (UTF8, b"chip \xed\xa0\x80"),
        (UTF8, b"chip \xe5\x9f"),
        (BMP, b"\0c\0h\0"),
        (BMP, b"\0c\xd8\x3c\xdf\x89"),
    ] {
        let der = issue(tag, bad);
        let failure = refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
        assert!(failure.cause.contains("2.5.4.3"), "{failure}");
        // What a history made elsewhere says of it can be taken in.
        spki_hash(&der).unwrap();
    }
    for (tag, good) in
        [(UTF8, "基板 chip".as_bytes()), (UTF8, b""), (T61, b"chip \xff"), (BMP, b"\0c\x57\xfa"), (BMP, b"")]
    {
        passes(&issue(tag, good), &vendor.trust());
    }
}
