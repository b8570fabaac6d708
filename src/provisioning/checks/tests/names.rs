//! Constraints on directory names: compared where they can be, refused where they can't.

use super::forge::{Key, Tbs, attribute, extension, oid, sequence, tlv};
use super::*;
use crate::domain::Fingerprint;

/// What becomes of a chip of this subject below an issuer with this one constraint, and below a root with it:
/// the same.
fn below(side: u8, critical: bool, base: &[u8], subject: &[u8], more: Option<Vec<u8>>) -> Result<Checked, Failure> {
    let vendor = Vendor::new();
    let constraint = extension("2.5.29.30", critical, &sequence(&[&tlv(side, &sequence(&[base]))]));
    let chip = |issuer: &[u8]| {
        let mut chip = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256));
        (chip.subject, chip.issuer) = (subject.to_vec(), issuer.to_vec());
        more.iter().cloned().fold(chip, Tbs::with).sign(&vendor.issuer_key)
    };
    let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(constraint.clone());
    let name = issuer.subject.clone();
    let issuer = issuer.sign(&vendor.root_key);
    let by_issuer = check(&chip(&name), &trust(&[&vendor.root], &[&issuer]));
    if let Ok(checked) = &by_issuer {
        assert_eq!(checked.decision.path[1], Fingerprint::of(&issuer), "as it stands, not as the verifier gets it");
    }

    let root = Tbs::ca(ROOT, ROOT, &vendor.root_key).with(constraint).sign(&vendor.root_key);
    let mut between = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key);
    // Its name has to be allowed, too: it is the chip's with an RDN more. A SEQUENCE that short has two bytes before.
    between.subject = sequence(&[&subject[2..], &attribute("2.5.4.3", 0x0c, "issuer")]);
    let name = between.subject.clone();
    let by_root = check(&chip(&name), &trust(&[&root], &[&between.sign(&vendor.root_key)]));
    assert_eq!(by_root.is_ok(), by_issuer.is_ok(), "{by_root:?}, {by_issuer:?}");
    by_issuer
}

/// The signature is still that of the certificate as it stands.
#[test]
fn a_constraint_that_was_changed_after_it_was_signed_is_no_cas() {
    let vendor = Vendor::new();
    let base = tlv(0xa4, &forge::name("somewhere"));
    let constraint = extension("2.5.29.30", true, &sequence(&[&tlv(0xa0, &sequence(&[&base]))]));
    let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(constraint).sign(&vendor.root_key);
    let chip = |name: &str| Tbs::leaf(name, ISSUER, &Key::new(KeyKind::EcP256)).sign(&vendor.issuer_key);
    passes(&chip("somewhere"), &trust(&[&vendor.root], &[&issuer]));
    let word = b"somewhere";
    let at = issuer.windows(word.len()).position(|part| part == word).unwrap();
    let mut bent = issuer.clone();
    bent[at] = b'n';
    refused(check(&chip("nomewhere"), &trust(&[&vendor.root], &[&bent])), ReasonCode::CERTIFICATE_FOREIGN_CA);
    // Nor is the one that the verifier is shown, were somebody to pin it.
    let mut shown = issuer.clone();
    // All of it: two bytes alone are in a signature now and then.
    let at = shown.windows(base.len()).position(|part| part == base).unwrap();
    shown[at] = 0xa5;
    let elsewhere = |pinned: &[&[u8]]| check(&chip("elsewhere"), &trust(&[&vendor.root], pinned));
    refused(elsewhere(&[&shown]), ReasonCode::CERTIFICATE_FOREIGN_CA);
    refused(elsewhere(&[&issuer, &shown]), ReasonCode::CERTIFICATE_REFUSED);
    refused(elsewhere(&[&shown, &issuer]), ReasonCode::CERTIFICATE_REFUSED);
}

/// What it is called, the subject, the subtree, and whether it is within: not even that is known of some.
type Case<'a> = (&'a str, &'a [u8], &'a [u8], Option<bool>);

#[test]
fn constraints_on_directory_names_hold_and_what_cannot_be_compared_is_refused() {
    const O: &str = "2.5.4.10";
    const CN: &str = "2.5.4.3";
    let [printable, utf8, ia5, bmp] = [0x13, 0x0c, 0x16, 0x1e];
    let rdns = |rdns: &[Vec<u8>]| sequence(&rdns.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let cn = || attribute(CN, utf8, "chip");
    let forge = rdns(&[attribute(O, utf8, "Forge Chips"), cn()]);
    let both = |one: (u8, &str), other: (u8, &str)| {
        let pair = |(tag, value): (u8, &str), kind: &str| sequence(&[&oid(kind), &tlv(tag, value.as_bytes())]);
        tlv(0x31, &[pair(one, CN), pair(other, O)].concat())
    };
    let cases: &[Case<'_>] = &[
        ("the same", &forge, &forge, Some(true)),
        ("the beginning", &forge, &rdns(&[attribute(O, utf8, "Forge Chips")]), Some(true)),
        ("every name", &forge, &rdns(&[]), Some(true)),
        ("another case and more spaces", &forge, &rdns(&[attribute(O, printable, " FORGE   chips ")]), Some(true)),
        ("another word", &forge, &rdns(&[attribute(O, utf8, "Forge")]), Some(false)),
        ("without the space", &forge, &rdns(&[attribute(O, utf8, "ForgeChips")]), Some(false)),
        ("another attribute", &forge, &rdns(&[attribute(CN, utf8, "Forge Chips")]), Some(false)),
        ("longer", &forge, &rdns(&[attribute(O, utf8, "Forge Chips"), cn(), cn()]), Some(false)),
        ("in another order", &forge, &rdns(&[cn(), attribute(O, utf8, "Forge Chips")]), Some(false)),
        ("the end", &forge, &rdns(&[cn()]), Some(false)),
        (
            "an RDN of two",
            &rdns(&[both((utf8, "a"), (utf8, "b"))]),
            &rdns(&[both((printable, "A"), (utf8, "b"))]),
            Some(true),
        ),
        ("two of an RDN", &rdns(&[both((utf8, "a"), (utf8, "b"))]), &rdns(&[attribute(CN, utf8, "a")]), Some(false)),
        ("the same bytes of any type", &rdns(&[attribute(O, ia5, "F")]), &rdns(&[attribute(O, ia5, "F")]), Some(true)),
        ("a type of text that is not compared", &forge, &rdns(&[attribute(O, ia5, "Forge Chips")]), None),
        ("another such", &rdns(&[attribute(O, bmp, "\0F")]), &rdns(&[attribute(O, utf8, "F")]), None),
        ("letters beyond ASCII", &rdns(&[attribute(O, utf8, "Ä")]), &rdns(&[attribute(O, utf8, "ä")]), None),
    ];
    for (what, subject, base, is_within) in cases {
        let base = tlv(0xa4, base);
        for critical in [true, false] {
            let permitted = below(0xa0, critical, &base, subject, None);
            assert_eq!(permitted.is_ok(), *is_within == Some(true), "permitted: {what}: {permitted:?}");
            let excluded = below(0xa1, critical, &base, subject, None);
            assert_eq!(excluded.is_ok(), *is_within == Some(false), "excluded: {what}: {excluded:?}");
            for failure in [permitted, excluded].into_iter().filter_map(Result::err) {
                assert_eq!(failure.code, ReasonCode::CERTIFICATE_REFUSED);
                assert!(failure.cause.contains("NameConstraintViolation"), "{failure}");
            }
        }
    }
    // A second name of the chip counts as its subject does, and one that can't be read is none that is allowed.
    let others = |name: &[u8]| extension("2.5.29.17", false, &sequence(&[&tlv(0xa4, name)]));
    let base = tlv(0xa4, &rdns(&[attribute(O, utf8, "Forge Chips")]));
    below(0xa0, true, &base, &forge, Some(others(&forge))).unwrap();
    for bad in [rdns(&[attribute(O, utf8, "Elsewhere")]), vec![0x30, 0x05, 0x31]] {
        refused(below(0xa0, true, &base, &forge, Some(others(&bad))), ReasonCode::CERTIFICATE_REFUSED);
    }
    let elsewhere = rdns(&[attribute(O, utf8, "Elsewhere")]);
    refused(below(0xa1, true, &base, &elsewhere, Some(others(&forge))), ReasonCode::CERTIFICATE_REFUSED);
    // What no profile of RFC 5280 has, minimum and maximum, is refused as before.
    let minimum = [tlv(0xa4, &forge), vec![0x80, 0x01, 0x01]].concat();
    below(0xa0, true, &minimum, &forge, None).unwrap_err();
}

/// The host of a URI decides, or the domain that it is in; what has no host with a name is in none.
#[test]
fn constraints_on_uris_hold_and_what_has_no_host_is_refused() {
    let subject = forge::name("chip");
    let cases = [
        (".vendor.example", "https://a.vendor.example/x", Some(true)),
        (".vendor.example", "HTTPS://user@A.Vendor.Example:8443?q", Some(true)),
        (".vendor.example", "https://vendor.example/x", Some(false)),
        (".vendor.example", "https://evilvendor.example", Some(false)),
        (".vendor.example", "https://vendor.example.evil/.vendor.example", Some(false)),
        ("vendor.example", "urn2://vendor.example#x", Some(true)),
        ("vendor.example", "https://a.vendor.example", Some(false)),
        ("vendor.example", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", None),
        ("vendor.example", "https://192.0.2.1/", None),
        ("vendor.example", "https://[2001:db8::1]/", None),
        ("vendor.example", "https:///vendor.example", None),
    ];
    let own = |uri: &str| extension("2.5.29.17", false, &sequence(&[&tlv(0x86, uri.as_bytes())]));
    for (base, uri, is_within) in cases {
        let base = tlv(0x86, base.as_bytes());
        let permitted = below(0xa0, true, &base, &subject, Some(own(uri)));
        assert_eq!(permitted.is_ok(), is_within == Some(true), "permitted: {uri}: {permitted:?}");
        let excluded = below(0xa1, true, &base, &subject, Some(own(uri)));
        assert_eq!(excluded.is_ok(), is_within == Some(false), "excluded: {uri}: {excluded:?}");
        // Whoever has no URI is not constrained.
        below(0xa0, true, &base, &subject, None).unwrap();
    }
    // By one that is no host and no domain nothing can be compared.
    for bad in ["https://vendor.example", "", ".", "a..b"] {
        for side in [0xa0, 0xa1] {
            let more = Some(own("https://vendor.example"));
            below(side, true, &tlv(0x86, bad.as_bytes()), &subject, more).unwrap_err();
        }
    }
}
