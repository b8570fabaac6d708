//! What vendors really encode, and what nobody may.

use super::forge::{
    Encoding, Hash, Key, List, NULL, Tbs, attribute, basic_constraints, bits, extended_key_usage, extension, octets,
    oid, rsa_spki, sequence, time, tlv,
};
use super::*;
use crate::audit::x509::issued;
use crate::domain::Fingerprint;
use crate::domain::profile::Crl;
use crate::provisioning::checks::check_trust;

#[test]
fn many_generations_of_one_name_neither_hang_nor_refuse_a_genuine_chip() {
    // The verifier alone gives up after a hundred signatures.
    let root_key = Key::new(KeyKind::EcP256);
    let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
    let keys: Vec<Key> = (0..120).map(|_| Key::new(KeyKind::EcP256)).collect();
    let issuers: Vec<Vec<u8>> = keys.iter().map(|key| Tbs::ca(ISSUER, ROOT, key).sign(&root_key)).collect();
    let pinned: Vec<&[u8]> = issuers.iter().map(Vec::as_slice).collect();
    let trust = trust(&[&root], &pinned);
    for generation in [0, 60, 119] {
        let chip = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&keys[generation]);
        assert_eq!(passes(&chip, &trust).decision.path[1], Fingerprint::of(&issuers[generation]));
    }
    let forged = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&Key::new(KeyKind::EcP256));
    refused(check(&forged, &trust), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn a_generation_that_its_predecessor_vouches_for_passes_under_the_old_root() {
    let (old, new) = (Key::new(KeyKind::EcP521), Key::new(KeyKind::EcP256));
    let root = Tbs::ca(ISSUER, ISSUER, &old).sign(&old);
    let link = Tbs::ca(ISSUER, ISSUER, &new).sign(&old);
    let chip = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&new);
    assert_eq!(passes(&chip, &trust(&[&root], &[&link])).decision.path.len(), 3);
    let stranger = Tbs::ca(ISSUER, ISSUER, &new).sign(&Key::new(KeyKind::EcP521));
    refused(check(&chip, &trust(&[&root], &[&stranger])), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn a_knot_of_cross_signed_cas_ends_in_an_error_and_soon() {
    // Eight CAs that all vouch for one another, and none leads to the root.
    let keys: Vec<Key> = (0..8).map(|_| Key::new(KeyKind::EcP256)).collect();
    let ca = |n: usize| format!("CA {n}");
    let mut knot = Vec::new();
    for (n, key) in keys.iter().enumerate() {
        knot.extend(
            keys.iter().enumerate().filter(|(m, _)| *m != n).map(|(m, by)| Tbs::ca(&ca(n), &ca(m), key).sign(by)),
        );
    }
    let root_key = Key::new(KeyKind::EcP256);
    let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
    let chip = Tbs::leaf(CHIP, &ca(0), &Key::new(KeyKind::EcP256)).sign(&keys[0]);
    let mut pinned: Vec<&[u8]> = knot.iter().map(Vec::as_slice).collect();
    // The verifier's own budget ends it.
    assert!(check(&chip, &trust(&[&root], &pinned)).is_err());
    let way_out = Tbs::ca(&ca(0), ROOT, &keys[0]).sign(&root_key);
    pinned.insert(0, &way_out);
    passes(&chip, &trust(&[&root], &pinned));
}

#[test]
fn two_cas_that_vouch_for_each_other_are_no_loop() {
    let (a, b, root_key) = (Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256));
    let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
    let (a_by_b, b_by_a) = (Tbs::ca("A", "B", &a).sign(&b), Tbs::ca("B", "A", &b).sign(&a));
    let b_by_root = Tbs::ca("B", ROOT, &b).sign(&root_key);
    let chip = Tbs::leaf(CHIP, "A", &Key::new(KeyKind::EcP256)).sign(&a);
    refused(check(&chip, &trust(&[&root], &[&a_by_b, &b_by_a])), ReasonCode::CERTIFICATE_FOREIGN_CA);
    passes(&chip, &trust(&[&root], &[&a_by_b, &b_by_a, &b_by_root]));
}

#[test]
fn a_root_among_the_intermediates_changes_nothing() {
    let vendor = Vendor::new();
    let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let checked = passes(&chip, &trust(&[&vendor.root], &[&vendor.root, &vendor.issuer, &vendor.issuer]));
    assert_eq!(checked.decision.path.len(), 3);
}

#[test]
fn key_identifiers_help_nobody_and_hinder_nobody() {
    let vendor = Vendor::new();
    let subject = |id: &[u8]| extension("2.5.29.14", false, &octets(id));
    let authority = |id: &[u8]| extension("2.5.29.35", false, &sequence(&[&tlv(0x80, id)]));
    let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(subject(b"one")).sign(&vendor.root_key);
    for id in [b"one", b"two"] {
        let chip = vendor.leaf(&Key::new(KeyKind::EcP256)).with(authority(id));
        passes(&vendor.issue(chip.clone()), &trust(&[&vendor.root], &[&issuer]));
        // The right name and identifier over a foreign key.
        let forged = chip.sign(&Key::new(KeyKind::EcP256));
        refused(check(&forged, &trust(&[&vendor.root], &[&issuer])), ReasonCode::CERTIFICATE_FOREIGN_CA);
    }
}

#[test]
fn constraints_on_host_names_are_the_verifiers_own() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let issuer = |side: u8, critical: bool, base: &[u8]| {
        let subtrees = tlv(side, &sequence(&[base]));
        Tbs::ca("constrained", ROOT, &vendor.issuer_key)
            .with(extension("2.5.29.30", critical, &sequence(&[&subtrees])))
            .sign(&vendor.root_key)
    };
    let chip = Tbs::leaf(CHIP, "constrained", &key).sign(&vendor.issuer_key);
    let dns = tlv(0x82, b"other.example");
    for (critical, side) in [(true, 0xa0), (true, 0xa1), (false, 0xa0), (false, 0xa1)] {
        // A form that the chip has no name of says nothing about it.
        passes(&chip, &trust(&[&vendor.root], &[&issuer(side, critical, &dns)]));
    }
    // Excluded host names.
    let named = |host: &[u8]| {
        let names = extension("2.5.29.17", false, &sequence(&[&tlv(0x82, host)]));
        Tbs::leaf(CHIP, "constrained", &key).with(names).sign(&vendor.issuer_key)
    };
    let excluding = trust(&[&vendor.root], &[&issuer(0xa1, true, &dns)]);
    refused(check(&named(b"chip.other.example"), &excluding), ReasonCode::CERTIFICATE_REFUSED);
    passes(&named(b"chip.example"), &excluding);
}

#[test]
fn extended_key_usage_of_an_intermediate_limits_what_is_below_it() {
    let vendor = Vendor::new();
    let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let issuer = |purpose: &str| {
        Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(extended_key_usage(&[purpose])).sign(&vendor.root_key)
    };
    passes(&chip, &trust(&[&vendor.root], &[&issuer("1.3.6.1.5.5.7.3.2")]));
    refused(check(&chip, &trust(&[&vendor.root], &[&issuer("1.3.6.1.5.5.7.3.1")])), ReasonCode::CONFIG_INVALID);
}

#[test]
fn a_doubled_extension_is_refused() {
    let vendor = Vendor::new();
    let leaf = || vendor.leaf(&Key::new(KeyKind::EcP256)).with(basic_constraints(false));
    passes(&vendor.issue(leaf().with(extended_key_usage(&["1.3.6.1.5.5.7.3.2"]))), &vendor.trust());
    refused(
        check(&vendor.issue(leaf().with(basic_constraints(false))), &vendor.trust()),
        ReasonCode::CERTIFICATE_UNREADABLE,
    );
    // With one that says CA and one that does not, in either order.
    for pair in [[true, false], [false, true]] {
        let tbs = vendor.leaf(&Key::new(KeyKind::EcP256));
        let der = vendor.issue(pair.into_iter().fold(tbs, |tbs, ca| tbs.with(basic_constraints(ca))));
        refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    }
}

#[test]
fn times_as_no_certificate_may_have_them_are_unreadable() {
    let vendor = Vendor::new();
    let tbs = || vendor.leaf(&Key::new(KeyKind::EcP256));
    let utc = |text: &str| tlv(0x17, text.as_bytes());
    let general = |text: &str| tlv(0x18, text.as_bytes());
    for not_before in [
        utc("2001010000Z"),
        utc("200101000000+0900"),
        utc("201301000000Z"),
        general("20200101000000.5Z"),
        general("20200101000000"),
        general("20200230000000Z"),
        tlv(0x17, b""),
    ] {
        let der = vendor.issue(Tbs { not_before, ..tbs() });
        refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    }
    // A vendor's sin that harms nobody: RFC 5280 §4.1.2.5 wants UTCTime before 2050.
    for (not_before, not_after) in
        [(general("20200101000000Z"), general("20491231235959Z")), (utc("200101000000Z"), general("20500101000000Z"))]
    {
        passes(&vendor.issue(Tbs { not_before, not_after, ..tbs() }), &vendor.trust());
    }
    // The year 50 in two digits is 1950.
    let der = vendor.issue(Tbs { not_after: time("500101000000Z"), ..tbs() });
    assert!(check(&der, &vendor.trust()).is_err());
}

#[test]
fn negative_and_overlong_serial_numbers_are_a_vendors_sin_and_no_chips() {
    let vendor = Vendor::new();
    for serial in [vec![0xff], vec![0x80; 20], vec![0x7f; 40]] {
        let der = vendor.issue(Tbs { serial: serial.clone(), ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
        assert_eq!(passes(&der, &vendor.trust()).decision.serial, hex::encode(&serial));
    }
    // No number, or one with octets too many: no revocation list would name it by the same bytes.
    for serial in [vec![], vec![0, 0x12], vec![0xff, 0x80]] {
        let der = vendor.issue(Tbs { serial, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
        refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    }
}

#[test]
fn lengths_that_are_not_der_are_unreadable_wherever_they_stand() {
    let vendor = Vendor::new();
    let tbs = vendor.leaf(&Key::new(KeyKind::EcP256));
    let good = tbs.der(KeyKind::EcP256);
    // Inside the signed part, where the CA itself would have written it.
    let [0x30, 0x81, length] = good[..3] else { panic!("a length in one byte") };
    let padded = [&[0x30, 0x82, 0x00, length], &good[3..]].concat();
    let indefinite = [&[0x30, 0x80], &good[3..], &[0, 0]].concat();
    for bad in [padded, indefinite] {
        refused(check(&tbs.seal(&bad, &vendor.issuer_key), &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    }
    passes(&tbs.seal(&good, &vendor.issuer_key), &vendor.trust());
}

#[test]
fn names_of_old_string_types_lead_to_their_cas() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let bmp = |text: &str| {
        let value = sequence(&[&oid("2.5.4.3"), &tlv(0x1e, &utf16(text))]);
        sequence(&[&tlv(0x31, &value)])
    };
    let (root_key, issuer_key) = (Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256));
    let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
    let issuer = Tbs { subject: bmp("中間"), ..Tbs::ca(ISSUER, ROOT, &issuer_key) }.sign(&root_key);
    let chip = Tbs { issuer: bmp("中間"), ..Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)) }.sign(&issuer_key);
    passes(&chip, &trust(&[&root], &[&issuer]));
    let latin = sequence(&[&attribute("2.5.4.3", 0x14, "Issuer")]);
    let other = Tbs { issuer: latin, ..Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)) }.sign(&issuer_key);
    refused(check(&other, &trust(&[&root], &[&issuer])), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn md5_and_sha1_signatures_are_refused_by_name() {
    let vendor = Vendor::new();
    let rsa = Key::new(KeyKind::Rsa2048);
    let root = Tbs::ca(ROOT, ROOT, &rsa).sign(&rsa);
    for weak in ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5"] {
        let id = Some(sequence(&[&oid(weak), NULL]));
        let tbs = Tbs { inner: id.clone(), outer: id, ..Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)) };
        refused(check(&tbs.sign(&rsa), &trust(&[&root], &[])), ReasonCode::CERTIFICATE_REFUSED);
    }
    let pss = Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)).signed_as(Hash::Sha256, Encoding::Pss).sign(&rsa);
    passes(&pss, &trust(&[&root], &[]));
    // What a pinned root is signed with is nobody's concern: it is pinned.
    let sha1 = Some(sequence(&[&oid("1.2.840.10045.4.1")]));
    let old = Tbs { inner: sha1.clone(), outer: sha1, ..Tbs::ca(ROOT, ROOT, &vendor.root_key) }.sign(&vendor.root_key);
    passes(&vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256))), &trust(&[&old], &[&vendor.issuer]));
}

#[test]
fn a_ca_key_under_which_nothing_is_accepted_is_the_profiles_mistake() {
    let vendor = Vendor::new();
    let point = &vendor.issuer_key.spki[vendor.issuer_key.spki.len() - 65..];
    let curve = |parameters: &[u8]| sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), parameters]), &bits(point)]);
    let modulus = [&[0], [0xa5; 128].as_slice()].concat();
    let rsa1024 = rsa_spki(&sequence(&[&tlv(0x02, &modulus), &tlv(0x02, &[1, 0, 1])]));
    let rsa6144 = {
        let modulus = [&[0], [0xa5; 768].as_slice()].concat();
        rsa_spki(&sequence(&[&tlv(0x02, &modulus), &tlv(0x02, &[1, 0, 1])]))
    };
    let explicit = sequence(&[&[0x02, 0x01, 0x01]]);
    let pinned = |spki: Vec<u8>| {
        let ca = Tbs { spki, ..Tbs::ca("odd", ROOT, &vendor.issuer_key) }.sign(&vendor.root_key);
        trust(&[&vendor.root], &[&ca])
    };
    for (spki, named) in [
        (rsa1024, "rsa-1024"),
        (curve(&oid("1.3.132.0.10")), "ec-1.3.132.0.10"),
        (curve(&explicit), "ec-unnamed-curve"),
    ] {
        let failure = check_trust(&pinned(spki), at(NOW)).unwrap_err();
        assert_eq!(
            (failure.code, failure.args["certificate"].as_str()),
            (ReasonCode::CONFIG_INVALID, "intermediate 1")
        );
        assert!(failure.cause.contains(named), "{failure}");
    }
    assert!(check_trust(&pinned(rsa6144), at(NOW)).is_ok());
}

/// Whatever such a CA has issued would be refused, with words that blame the chip.
#[test]
fn a_ca_through_which_no_path_leads_is_the_profiles_mistake() {
    let vendor = Vendor::new();
    let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let constraints = |value: &[u8]| extension("2.5.29.19", true, &sequence(&[value]));
    let length = |octets: &[u8]| constraints(&[&[0x01, 0x01, 0xff], tlv(0x02, octets).as_slice()].concat());
    let subtree = |more: &[u8]| {
        let base = [tlv(0x82, b"elsewhere.example").as_slice(), more].concat();
        extension("2.5.29.30", true, &sequence(&[&tlv(0xa0, &sequence(&[&base]))]))
    };
    let maximum = || subtree(&[0x81, 0x01, 0x05]);
    let bare = || Tbs::leaf(ISSUER, ROOT, &vendor.issuer_key);
    let sha1 = Some(sequence(&[&oid("1.2.840.10045.4.1")]));
    let ca = || Tbs::ca(ISSUER, ROOT, &vendor.issuer_key);
    let cases = [
        ("no basicConstraints", bare()),
        ("CA:FALSE", bare().with(constraints(&[]))),
        ("a path length beyond an octet", bare().with(length(&[0x01, 0x2c]))),
        ("a path length below zero", bare().with(length(&[0xff]))),
        ("a subtree with a maximum", ca().with(maximum())),
        ("for servers only", ca().with(extended_key_usage(&["1.3.6.1.5.5.7.3.1"]))),
        ("SHA-1", Tbs { inner: sha1.clone(), outer: sha1, ..ca() }),
        ("over before it begins", ca().valid("300101000000Z", "200101000000Z")),
    ];
    for (what, odd) in cases {
        // Under its own name, too: such a one leads nowhere either.
        for issuer in [odd.clone(), Tbs { issuer: odd.subject.clone(), ..odd }] {
            let trust = trust(&[&vendor.root], &[&issuer.sign(&vendor.root_key)]);
            let failure = refused(check(&chip, &trust), ReasonCode::CONFIG_INVALID);
            assert_eq!(failure.args["certificate"], "intermediate 1", "{what}");
            assert_eq!(check_trust(&trust, at(NOW)), Err(failure), "{what}");
        }
    }
    for good in [
        bare().with(length(&[0x00])),
        ca().with(subtree(&[])),
        // Out of date is another question.
        ca().valid("200101000000Z", "210101000000Z"),
        ca().valid("400101000000Z", "491231235959Z"),
    ] {
        let trust = trust(&[&vendor.root], &[&good.sign(&vendor.root_key)]);
        assert!(check_trust(&trust, at(NOW)).is_ok());
    }
    let root = Tbs::ca(ROOT, ROOT, &vendor.root_key).with(maximum()).sign(&vendor.root_key);
    let failure = refused(check(&chip, &trust(&[&root], &[&vendor.issuer])), ReasonCode::CONFIG_INVALID);
    assert_eq!(failure.args["certificate"], "root 1");
    let v1 = Tbs { version: None, ..Tbs::leaf(ROOT, ROOT, &vendor.root_key) }.sign(&vendor.root_key);
    assert!(check_trust(&trust(&[&v1], &[&vendor.issuer]), at(NOW)).is_ok());
}

/// RFC 5280 §6.1 with any policy to begin with: they decide nothing, unless somebody demands one.
#[test]
fn critical_policies_hinder_nobody_unless_one_is_demanded() {
    let vendor = Vendor::new();
    let qualified = |id: &str| sequence(&[&sequence(&[&oid(id), &tlv(0x16, b"https://vendor.example/cps")])]);
    let policies = |inside: &[&[u8]]| extension("2.5.29.32", true, &sequence(inside));
    let policy = sequence(&[&oid("1.3.6.1.4.1.99999.1"), &qualified("1.3.6.1.5.5.7.2.1")]);
    let any = sequence(&[&oid("2.5.29.32.0")]);
    let inhibit = |value: &[u8]| extension("2.5.29.54", true, value);
    let constraints = |tag: u8, critical: bool| extension("2.5.29.36", critical, &sequence(&[&tlv(tag, &[0x00])]));
    let good = [policies(&[&policy, &any]), inhibit(&[0x02, 0x01, 0x00]), constraints(0x81, true)];
    let bad = [
        policies(&[]),
        policies(&[&policy, &policy]),
        policies(&[&sequence(&[&oid("1.3.6.1.4.1.99999.1"), &qualified("1.3.6.1.4.1.99999.2")])]),
        inhibit(&[0x02, 0x01, 0xff]),
        inhibit(NULL),
        extension("2.5.29.36", true, NULL),
        constraints(0x82, true),
        // It demands one, critical or not.
        constraints(0x80, true),
        constraints(0x80, false),
        // Not to be shown as harmless on that way.
        extension("2.5.29.33", true, &sequence(&[])),
    ];
    let ways = |odd: &Vec<u8>| {
        let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).with(odd.clone()));
        let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(odd.clone()).sign(&vendor.root_key);
        let plain = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
        (check(&chip, &vendor.trust()), check(&plain, &trust(&[&vendor.root], &[&issuer])), issuer)
    };
    for odd in good {
        let (chip, below, issuer) = ways(&odd);
        chip.unwrap();
        assert_eq!(below.unwrap().decision.path[1], Fingerprint::of(&issuer), "as it stands");
    }
    for odd in bad {
        let (chip, below, _) = ways(&odd);
        refused(chip, ReasonCode::CERTIFICATE_REFUSED);
        refused(below, ReasonCode::CONFIG_INVALID);
    }
    // The signature is that of the certificate as it stands: critical was not made of what was not.
    let tbs = vendor.leaf(&Key::new(KeyKind::EcP256)).with(policies(&[&any]));
    let mut bent = vendor.issue(tbs);
    let flag = bent.windows(3).rposition(|part| part == [0x01, 0x01, 0xff]).unwrap() + 2;
    bent[flag] = 0;
    refused(check(&bent, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

/// RFC 5280 §7.1: vendors' leaves come from templates.
#[test]
fn a_name_may_be_spelled_in_another_way_by_whoever_issued_and_by_its_lists() {
    let vendor = Vendor::new();
    let (utf8, printable) = (0x0c, 0x13);
    let named =
        |tag: u8, name: &str| sequence(&[&attribute("2.5.4.10", tag, "Forge"), &attribute("2.5.4.3", tag, name)]);
    let key = || Key::new(KeyKind::EcP256);
    let chip = |issuer: Vec<u8>| Tbs { issuer, ..vendor.leaf(&key()) };
    let other = named(printable, "test  INTERMEDIATE ");
    let der = vendor.issue(chip(other.clone()));
    let checked = passes(&der, &vendor.trust());
    let path = [Fingerprint::of(&der), Fingerprint::of(&vendor.issuer), Fingerprint::of(&vendor.root)];
    assert_eq!((checked.decision.path, checked.identity.fingerprint), (path.to_vec(), path[0]));
    assert!(issued(&vendor.issuer, &der));
    // An intermediate that spells its root in another way, and its own name, too.
    let respelled = Tbs {
        issuer: named(printable, "TEST ROOT"),
        subject: other.clone(),
        ..Tbs::ca(ISSUER, ROOT, &vendor.issuer_key)
    };
    let respelled = respelled.sign(&vendor.root_key);
    for pinned in [&[&*respelled][..], &[&respelled, &vendor.issuer], &[&vendor.issuer, &respelled]] {
        for issuer in [named(utf8, ISSUER), other.clone(), named(printable, ISSUER)] {
            passes(&vendor.issue(chip(issuer)), &trust(&[&vendor.root], pinned));
        }
    }
    // Its list names it in a third way, and the chip's number.
    let list =
        |serial: &[u8]| List { issuer: named(printable, "test intermediate"), ..List::of(ISSUER) }.naming(serial);
    for (serial, revoked) in [(&[0x12, 0x34, 0x56], true), (&[0x12, 0x34, 0x57], false)] {
        let crl = Crl { file: "list".into(), der: list(serial).sign(&vendor.issuer_key) };
        let trust = Trust { crls: vec![crl], crl_coverage: CrlCoverage::Leaf, ..vendor.trust() };
        assert!(check_trust(&trust, at(NOW)).is_ok());
        match check(&der, &trust) {
            Err(failure) => assert_eq!((failure.code, revoked), (ReasonCode::CERTIFICATE_REVOKED, true)),
            Ok(_) => assert!(!revoked),
        }
    }

    // Who signed decides, not the name; and another word, another order, or a letter beyond ASCII is another name.
    refused(check(&chip(other.clone()).sign(&key()), &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    let turned = sequence(&[&attribute("2.5.4.3", utf8, ISSUER), &attribute("2.5.4.10", utf8, "Forge")]);
    for foreign in
        [named(printable, "Test Intermediates"), named(0x16, ISSUER), named(utf8, "Test Intermediäte"), turned]
    {
        let der = vendor.issue(chip(foreign));
        refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
        assert!(!issued(&vendor.issuer, &der));
    }
    // What is signed is the name as it stands.
    let mut bent = vendor.issue(chip(named(utf8, "TEST Intermediate")));
    let at = bent.windows(4).position(|part| part == b"TEST").unwrap();
    bent[at + 1] = b'e';
    refused(check(&bent, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn an_expired_pin_is_told_and_stops_nothing() {
    let vendor = Vendor::new();
    let old = Tbs::ca(ROOT, ROOT, &vendor.root_key).valid("200101000000Z", "210101000000Z").sign(&vendor.root_key);
    let pins = check_trust(&trust(&[&old, &vendor.root], &[&vendor.issuer]), at(NOW)).unwrap();
    assert_eq!(pins.roots.iter().map(|pin| pin.expired).collect::<Vec<_>>(), [true, false]);
    assert_eq!(pins.roots[0].not_after, "2021-01-01T00:00:00Z");
    assert_eq!((pins.intermediates[0].key.as_str(), pins.intermediates[0].expired), ("ec-p256", false));
}

/// An own CA was renewed, or cross-signed: both certificates are pinned, and AWS knows one of them.
#[test]
fn of_two_certificates_of_the_ca_that_is_asked_for_paths_go_over_that_one() {
    let vendor = Vendor::new();
    let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let renewed = Tbs { serial: vec![9], ..Tbs::ca(ISSUER, ROOT, &vendor.issuer_key) }.sign(&vendor.root_key);
    let other_key = Key::new(KeyKind::EcP256);
    let other = Tbs::ca(ISSUER, ROOT, &other_key).sign(&vendor.root_key);
    for pinned in [[&vendor.issuer, &renewed, &other], [&renewed, &vendor.issuer, &other]] {
        let pinned: Vec<&[u8]> = pinned.iter().map(|der| der.as_slice()).collect();
        for asked in [&vendor.issuer, &renewed] {
            let issuer = Some(Fingerprint::of(asked));
            let trust = Trust { issuer, ..trust(&[&vendor.root], &pinned) };
            assert_eq!(passes(&chip, &trust).decision.path[1], Fingerprint::of(asked));
            // Another CA of that name is another CA.
            let foreign = vendor.leaf(&Key::new(KeyKind::EcP256)).sign(&other_key);
            refused(check(&foreign, &trust), ReasonCode::CERTIFICATE_FOREIGN_CA);
        }
    }
}

/// Somebody may pin a device's certificate by mistake: its key would be a CA's.
#[test]
fn a_pinned_root_is_a_cas_certificate_and_no_deeper_than_it_says() {
    let vendor = Vendor::new();
    let chip = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let root = |constraints: &[u8]| {
        let mut root = Tbs::ca(ROOT, ROOT, &vendor.root_key);
        root.extensions.retain(|it| !it.windows(3).any(|id| id == [0x55, 0x1d, 0x13]));
        root.with(extension("2.5.29.19", true, constraints)).sign(&vendor.root_key)
    };
    let none = root(&sequence(&[]));
    refused(check(&chip, &trust(&[&none], &[&vendor.issuer])), ReasonCode::CONFIG_INVALID);
    let deep = |most: u8| root(&sequence(&[&tlv(0x01, &[0xff]), &tlv(0x02, &[most])]));
    passes(&chip, &trust(&[&deep(1)], &[&vendor.issuer]));
    refused(check(&chip, &trust(&[&deep(0)], &[&vendor.issuer])), ReasonCode::CERTIFICATE_REFUSED);
    // A chip that the root itself has signed is below no other CA.
    let own = Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)).sign(&vendor.root_key);
    passes(&own, &trust(&[&deep(0)], &[]));
}
