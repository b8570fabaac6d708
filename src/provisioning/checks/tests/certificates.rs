//! Form, path, validity, key.

use super::forge::{
    Encoding, Hash, Key, NULL, Tbs, attribute, basic_constraints, bits, ec_spki, extended_key_usage, extension,
    key_usage, name, octets, oid, path_length, rsa_spki, sequence, time, tlv,
};
use super::*;
use crate::audit::x509::issued;
use crate::domain::{Fingerprint, SpkiHash};
use crate::provisioning::checks::check_trust;

#[test]
fn a_genuine_certificate_yields_identity_and_decision() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let der = vendor.issue(vendor.leaf(&key).with(basic_constraints(false)));
    let checked = passes(&der, &vendor.trust());

    assert_eq!(checked.identity.fingerprint, Fingerprint::of(&der));
    assert_eq!(checked.identity.spki, SpkiHash::of(&key.spki));
    assert_eq!(checked.identity.uid, None);
    assert_eq!(checked.spki, key.spki);
    let decision = checked.decision;
    assert_eq!(decision.key, KeyKind::EcP256);
    assert_eq!(decision.spki, SpkiHash::of(&key.spki));
    assert_eq!(decision.subject, format!("CN={CHIP},O=Forge"));
    assert_eq!(decision.issuer, format!("CN={ISSUER},O=Forge"));
    assert_eq!(decision.serial, "123456");
    assert_eq!(decision.not_before, "2020-01-01T00:00:00Z");
    assert_eq!(decision.not_after, "2049-12-31T23:59:59Z");
    assert_eq!(decision.path, [Fingerprint::of(&der), Fingerprint::of(&vendor.issuer), Fingerprint::of(&vendor.root)]);
    assert_eq!(decision.uid_in_certificate, None);
}

#[test]
fn every_kind_of_key_passes() {
    let vendor = Vendor::new();
    for kind in KeyKind::ALL {
        let key = Key::new(kind);
        let checked = passes(&vendor.issue(vendor.leaf(&key)), &vendor.trust());
        assert_eq!(checked.decision.key, kind);
        assert_eq!(checked.spki, key.spki);
    }
}

#[test]
fn a_root_may_issue_directly() {
    let vendor = Vendor::new();
    let der = Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)).sign(&vendor.root_key);
    let checked = passes(&der, &trust(&[&vendor.root], &[]));
    assert_eq!(checked.decision.path, [Fingerprint::of(&der), Fingerprint::of(&vendor.root)]);
}

#[test]
fn explicit_null_parameters_are_accepted_at_every_level() {
    for (leaf_null, issuer_null, root_null) in
        [(true, false, false), (false, true, false), (false, false, true), (true, true, true)]
    {
        let encode = |tbs: Tbs, null: bool| if null { tbs.null() } else { tbs };
        for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
            let (root_key, issuer_key) = (Key::new(kind), Key::new(kind));
            let root = encode(Tbs::ca(ROOT, ROOT, &root_key), root_null).sign(&root_key);
            let issuer = encode(Tbs::ca(ISSUER, ROOT, &issuer_key), issuer_null).sign(&root_key);
            let leaf = encode(Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)), leaf_null).sign(&issuer_key);
            passes(&leaf, &trust(&[&root], &[&issuer]));
            assert!(issued(&root, &root) && issued(&root, &issuer) && issued(&issuer, &leaf));
            assert!(!issued(&root, &leaf));
        }
    }
}

#[test]
fn null_parameters_excuse_no_forged_signature() {
    let vendor = Vendor::new();
    let forger = Key::new(KeyKind::EcP256);
    let der = vendor.leaf(&Key::new(KeyKind::EcP256)).null().sign(&forger);
    refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn only_null_is_forgiven_in_the_parameters() {
    let vendor = Vendor::new();
    // An INTEGER, and a NULL with bytes behind it.
    for parameters in [&[0x02, 0x01, 0x00][..], &[0x05, 0x00, 0x05, 0x00]] {
        let odd = Some(sequence(&[&oid("1.2.840.10045.4.3.2"), parameters]));
        let der = vendor.issue(Tbs { inner: odd.clone(), outer: odd, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
        refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
    }
}

#[test]
fn inner_and_outer_algorithm_must_agree() {
    let vendor = Vendor::new();
    let tbs = vendor.leaf(&Key::new(KeyKind::EcP256));
    let null = tbs.clone().null().algorithm(KeyKind::EcP256);
    let der = vendor.issue(Tbs { outer: Some(null), ..tbs });
    let failure = refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
    assert!(failure.cause.contains("SignatureAlgorithmMismatch"), "{failure}");
}

#[test]
fn ca_signatures_of_every_accepted_form_pass() {
    let forms = [
        (KeyKind::EcP256, Hash::Sha256, Encoding::Standard),
        (KeyKind::EcP384, Hash::Sha384, Encoding::Standard),
        (KeyKind::EcP521, Hash::Sha256, Encoding::Standard),
        (KeyKind::EcP521, Hash::Sha384, Encoding::Standard),
        (KeyKind::EcP521, Hash::Sha512, Encoding::Standard),
        (KeyKind::EcP521, Hash::Sha256, Encoding::Null),
        (KeyKind::EcP521, Hash::Sha384, Encoding::Null),
        (KeyKind::EcP521, Hash::Sha512, Encoding::Null),
        (KeyKind::Rsa2048, Hash::Sha256, Encoding::Standard),
        (KeyKind::Rsa3072, Hash::Sha384, Encoding::Standard),
        (KeyKind::Rsa4096, Hash::Sha512, Encoding::Standard),
        (KeyKind::Rsa2048, Hash::Sha256, Encoding::Absent),
        (KeyKind::Rsa2048, Hash::Sha384, Encoding::Absent),
        (KeyKind::Rsa2048, Hash::Sha512, Encoding::Absent),
        (KeyKind::Rsa2048, Hash::Sha256, Encoding::Pss),
        (KeyKind::Rsa2048, Hash::Sha384, Encoding::Pss),
        (KeyKind::Rsa2048, Hash::Sha512, Encoding::Pss),
    ];
    for (kind, hash, encoding) in forms {
        let root_key = Key::new(kind);
        let root = Tbs::ca(ROOT, ROOT, &root_key).signed_as(hash, encoding).sign(&root_key);
        let leaf = Tbs::leaf(CHIP, ROOT, &Key::new(KeyKind::EcP256)).signed_as(hash, encoding).sign(&root_key);
        if let Err(failure) = check(&leaf, &trust(&[&root], &[])) {
            panic!("{kind:?} {hash:?} {encoding:?}: {failure}");
        }
    }
}

#[test]
fn a_signature_algorithm_that_is_not_accepted_is_refused_with_its_name() {
    let vendor = Vendor::new();
    // ecdsa-with-SHA1.
    let sha1 = Some(sequence(&[&oid("1.2.840.10045.4.1")]));
    let der = vendor.issue(Tbs { inner: sha1.clone(), outer: sha1, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
    let failure = refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
    assert!(failure.cause.contains("06072a8648ce3d0401"), "{failure}");
}

#[test]
fn bytes_that_are_not_one_certificate_are_unreadable() {
    let vendor = Vendor::new();
    let der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    passes(&der, &vendor.trust());

    let trailing = [der.as_slice(), &[0]].concat();
    let failure = refused(check(&trailing, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    assert!(failure.cause.contains("trailing"), "{failure}");
    let two = [der.as_slice(), &der].concat();
    refused(check(&two, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    for length in 0..der.len() {
        refused(check(&der[..length], &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    }
    refused(check(&[0xff; 600], &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
    refused(check(b"-----BEGIN CERTIFICATE-----", &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
}

#[test]
fn a_length_longer_than_needed_is_not_der() {
    let vendor = Vendor::new();
    let der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let (0x82, high, low) = (der[1], der[2], der[3]) else { panic!("a length in two bytes") };
    let padded = [&[0x30, 0x83, 0x00, high, low], &der[4..]].concat();
    refused(check(&padded, &vendor.trust()), ReasonCode::CERTIFICATE_UNREADABLE);
}

#[test]
fn validity_holds_to_the_second_at_both_ends() {
    let vendor = Vendor::new();
    let der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).valid("250101000000Z", "251231235959Z"));
    let check = |time| check_at(&der, None, &vendor.trust(), at(time));

    let failure = refused(check("2024-12-31T23:59:59Z"), ReasonCode::CERTIFICATE_NOT_YET_VALID);
    assert_eq!(failure.args["not_before"], "2025-01-01T00:00:00Z");
    assert!(check("2025-01-01T00:00:00Z").is_ok());
    assert!(check("2025-12-31T23:59:59.999Z").is_ok());
    let failure = refused(check("2026-01-01T00:00:00Z"), ReasonCode::CERTIFICATE_EXPIRED);
    assert_eq!(failure.args["not_after"], "2025-12-31T23:59:59Z");
}

#[test]
fn the_year_9999_passes_for_leaf_and_cas() {
    let (root_key, issuer_key) = (Key::new(KeyKind::EcP521), Key::new(KeyKind::EcP256));
    let forever = |tbs: Tbs| tbs.valid("200101000000Z", "99991231235959Z");
    let root = forever(Tbs::ca(ROOT, ROOT, &root_key)).sign(&root_key);
    let issuer = forever(Tbs::ca(ISSUER, ROOT, &issuer_key)).sign(&root_key);
    let leaf = forever(Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256))).sign(&issuer_key);
    let trust = trust(&[&root], &[&issuer]);
    let checked = passes(&leaf, &trust);
    assert_eq!(checked.decision.not_after, "9999-12-31T23:59:59Z");
    assert!(check_at(&leaf, None, &trust, Timestamp::MAX).is_ok());
}

#[test]
fn a_clock_before_1970_is_before_every_certificate() {
    let vendor = Vendor::new();
    let der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    for now in [Timestamp::MIN, at("1969-12-31T23:59:59Z"), Timestamp::UNIX_EPOCH] {
        refused(check_at(&der, None, &vendor.trust(), now), ReasonCode::CERTIFICATE_NOT_YET_VALID);
    }
}

#[test]
fn a_certificate_that_ends_before_it_begins_is_refused() {
    let vendor = Vendor::new();
    let der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).valid("300101000000Z", "200101000000Z"));
    refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
}

#[test]
fn a_foreign_ca_of_the_same_names_is_foreign() {
    let (ours, theirs) = (Vendor::new(), Vendor::new());
    let key = Key::new(KeyKind::EcP256);
    let failure = refused(check(&theirs.issue(theirs.leaf(&key)), &ours.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    assert_eq!(failure.args["issuer"], format!("CN={ISSUER},O=Forge"));
    // Nor does it help to be expired besides, to have an odd usage, or to be signed by another kind of key.
    let expired = theirs.issue(theirs.leaf(&key).valid("200101000000Z", "210101000000Z"));
    refused(check(&expired, &ours.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    let server = theirs.issue(theirs.leaf(&key).with(extended_key_usage(&[SERVER_AUTH])));
    refused(check(&server, &ours.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    for kind in [KeyKind::EcP384, KeyKind::EcP521, KeyKind::Rsa2048] {
        let der = Tbs::leaf(CHIP, ISSUER, &key).sign(&Key::new(kind));
        refused(check(&der, &ours.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    }
}

#[test]
fn self_signed_and_unknown_issuers_are_foreign() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    refused(check(&Tbs::leaf(CHIP, CHIP, &key).sign(&key), &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    let stranger = Tbs::leaf(CHIP, "Somebody", &key).sign(&Key::new(KeyKind::EcP256));
    refused(check(&stranger, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn one_flipped_bit_in_the_signature_is_foreign() {
    let vendor = Vendor::new();
    let mut der = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    *der.last_mut().unwrap() ^= 1;
    refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn an_intermediate_must_lead_to_a_pinned_root() {
    let (ours, theirs) = (Vendor::new(), Vendor::new());
    let leaf = theirs.issue(theirs.leaf(&Key::new(KeyKind::EcP256)));
    passes(&leaf, &theirs.trust());
    refused(check(&leaf, &trust(&[&ours.root], &[&theirs.issuer])), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn a_leaf_that_signs_is_no_ca() {
    let vendor = Vendor::new();
    let (middle_key, key) = (Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256));
    let signed = Tbs::leaf(CHIP, "middle", &key).sign(&middle_key);

    let middle = vendor.issue(Tbs::leaf("middle", ISSUER, &middle_key));
    refused(check(&signed, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);
    // Not even when the profile pins it by mistake.
    let failure =
        refused(check(&signed, &trust(&[&vendor.root], &[&vendor.issuer, &middle])), ReasonCode::CONFIG_INVALID);
    assert!(failure.cause.contains("no CA's certificate"), "{failure}");
    let middle = vendor.issue(Tbs::ca("middle", ISSUER, &middle_key));
    passes(&signed, &trust(&[&vendor.root], &[&vendor.issuer, &middle]));
}

#[test]
fn path_length_is_a_limit() {
    let (root_key, upper_key, lower_key) =
        (Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256));
    let root = Tbs::ca(ROOT, ROOT, &root_key).sign(&root_key);
    let lower = Tbs::ca("lower", "upper", &lower_key).sign(&upper_key);
    let leaf = Tbs::leaf(CHIP, "lower", &Key::new(KeyKind::EcP256)).sign(&lower_key);
    let upper = |length| Tbs::leaf("upper", ROOT, &upper_key).with(path_length(length)).sign(&root_key);
    let failure = refused(check(&leaf, &trust(&[&root], &[&upper(0), &lower])), ReasonCode::CERTIFICATE_REFUSED);
    assert!(failure.cause.contains("PathLenConstraintViolated"), "{failure}");
    passes(&leaf, &trust(&[&root], &[&upper(1), &lower]));
}

#[test]
fn a_ca_is_no_chip() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    refused(check(&vendor.issue(Tbs::ca(CHIP, ISSUER, &key)), &vendor.trust()), ReasonCode::CERTIFICATE_IS_CA);
    passes(&vendor.issue(vendor.leaf(&key).with(basic_constraints(false))), &vendor.trust());

    for own in [&vendor.root, &vendor.issuer] {
        refused(check(own, &vendor.trust()), ReasonCode::CERTIFICATE_IS_CA);
    }
    // The CA's key under a certificate that does not say CA.
    let over_ca_key = vendor.issue(vendor.leaf(&vendor.issuer_key));
    refused(check(&over_ca_key, &vendor.trust()), ReasonCode::CERTIFICATE_IS_CA);
    let v1_root = Tbs { version: None, ..Tbs::leaf(ROOT, ROOT, &vendor.root_key) }.sign(&vendor.root_key);
    refused(check(&v1_root, &trust(&[&v1_root], &[])), ReasonCode::CERTIFICATE_IS_CA);
}

#[test]
fn version_1_is_refused_in_a_leaf_and_taken_in_a_root() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let failure = refused(
        check(&vendor.issue(Tbs { version: None, ..vendor.leaf(&key) }), &vendor.trust()),
        ReasonCode::CERTIFICATE_REFUSED,
    );
    assert!(failure.cause.contains("UnsupportedCertVersion"), "{failure}");
    let v1_root = Tbs { version: None, ..Tbs::leaf(ROOT, ROOT, &vendor.root_key) }.sign(&vendor.root_key);
    passes(&vendor.issue(vendor.leaf(&key)), &trust(&[&v1_root], &[&vendor.issuer]));
}

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE: &str = "2.5.29.37.0";

#[test]
fn extended_key_usage_must_allow_client_authentication_if_it_is_there() {
    let vendor = Vendor::new();
    let leaf =
        |purposes: &[&str]| vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).with(extended_key_usage(purposes)));
    for allowed in [&[CLIENT_AUTH][..], &[SERVER_AUTH, CLIENT_AUTH], &[ANY_USAGE]] {
        passes(&leaf(allowed), &vendor.trust());
    }
    for not in [&[SERVER_AUTH][..], &["1.3.6.1.4.1.99999.1"], &[]] {
        refused(check(&leaf(not), &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
    }
}

#[test]
fn a_key_usage_must_allow_the_chip_to_sign_and_its_cas_to_issue() {
    let vendor = Vendor::new();
    let chip = |uses: &[u8]| vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)).with(key_usage(uses)));
    for allowed in [&[0][..], &[0, 2], &[0, 4]] {
        passes(&chip(allowed), &vendor.trust());
    }
    // keyCertSign, keyAgreement, keyEncipherment, nonRepudiation alone, and nothing at all.
    for not in [&[5][..], &[4], &[2], &[1], &[]] {
        let failure = refused(check(&chip(not), &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
        assert!(failure.cause.contains("digitalSignature"), "{failure}");
    }
    // A bit that is among the unused ones is not set; what is no string of bits says nothing.
    for odd in [&[0x03, 0x02, 0x08, 0x80][..], &[0x04, 0x01, 0x80], &[0x03, 0x01, 0x00]] {
        let tbs = vendor.leaf(&Key::new(KeyKind::EcP256)).with(extension("2.5.29.15", true, odd));
        refused(check(&vendor.issue(tbs), &vendor.trust()), ReasonCode::CERTIFICATE_REFUSED);
    }
    let forged = vendor.leaf(&Key::new(KeyKind::EcP256)).with(key_usage(&[4])).sign(&Key::new(KeyKind::EcP256));
    refused(check(&forged, &vendor.trust()), ReasonCode::CERTIFICATE_FOREIGN_CA);

    // digitalSignature, cRLSign: the profile's mistake, told before a chip is there.
    for uses in [&[0][..], &[6], &[0, 5], &[5, 6]] {
        let issuer = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).with(key_usage(uses)).sign(&vendor.root_key);
        let root = Tbs::ca(ROOT, ROOT, &vendor.root_key).with(key_usage(uses)).sign(&vendor.root_key);
        for (trust, named) in
            [(trust(&[&vendor.root], &[&issuer]), "intermediate 1"), (trust(&[&root], &[&vendor.issuer]), "root 1")]
        {
            if uses.contains(&5) {
                passes(&chip(&[0]), &trust);
                continue;
            }
            let failure = refused(check(&chip(&[0]), &trust), ReasonCode::CONFIG_INVALID);
            assert_eq!(failure.args["certificate"], named);
            assert!(failure.cause.contains("keyCertSign"), "{failure}");
            assert_eq!(check_trust(&trust, at(NOW)), Err(failure));
        }
    }
}

#[test]
fn an_unknown_extension_matters_only_if_it_is_critical() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    for id in ["1.3.6.1.4.1.99999.7", "2.5.29.99"] {
        let odd = |critical| extension(id, critical, &octets(b"whatever"));
        passes(&vendor.issue(vendor.leaf(&key).with(odd(false))), &vendor.trust());
        let failure = refused(
            check(&vendor.issue(vendor.leaf(&key).with(odd(true))), &vendor.trust()),
            ReasonCode::CERTIFICATE_REFUSED,
        );
        assert!(failure.cause.contains("UnsupportedCriticalExtension"), "{failure}");
    }
}

#[test]
fn name_constraints_of_an_intermediate_hold() {
    let vendor = Vendor::new();
    let (issuer_key, key) = (Key::new(KeyKind::EcP256), Key::new(KeyKind::EcP256));
    // permittedSubtrees: dNSName chips.example
    let permitted = tlv(0xa0, &sequence(&[&tlv(0x82, b"chips.example")]));
    let issuer = Tbs::ca("constrained", ROOT, &issuer_key)
        .with(extension("2.5.29.30", true, &sequence(&[&permitted])))
        .sign(&vendor.root_key);
    let leaf = |host: &[u8]| {
        let names = extension("2.5.29.17", false, &sequence(&[&tlv(0x82, host)]));
        Tbs::leaf(CHIP, "constrained", &key).with(names).sign(&issuer_key)
    };
    let trust = trust(&[&vendor.root], &[&issuer]);
    passes(&leaf(b"one.chips.example"), &trust);
    let failure = refused(check(&leaf(b"one.other.example"), &trust), ReasonCode::CERTIFICATE_REFUSED);
    assert!(failure.cause.contains("NameConstraintViolation"), "{failure}");
}

#[test]
fn a_genuine_leaf_under_an_expired_intermediate_is_refused_not_called_expired() {
    let vendor = Vendor::new();
    let expired =
        Tbs::ca(ISSUER, ROOT, &vendor.issuer_key).valid("200101000000Z", "210101000000Z").sign(&vendor.root_key);
    let leaf = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let failure = refused(check(&leaf, &trust(&[&vendor.root], &[&expired])), ReasonCode::CERTIFICATE_REFUSED);
    assert!(failure.cause.contains("CertExpired"), "{failure}");
    // Renewed over the same key, in either order.
    passes(&leaf, &trust(&[&vendor.root], &[&expired, &vendor.issuer]));
    passes(&leaf, &trust(&[&vendor.root], &[&vendor.issuer, &expired]));
    // A forged one stays foreign, expired intermediate or not.
    let forged = vendor.leaf(&Key::new(KeyKind::EcP256)).sign(&Key::new(KeyKind::EcP256));
    refused(check(&forged, &trust(&[&vendor.root], &[&expired])), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn a_pinned_roots_own_validity_is_not_asked() {
    let vendor = Vendor::new();
    let old = Tbs::ca(ROOT, ROOT, &vendor.root_key).valid("200101000000Z", "210101000000Z").sign(&vendor.root_key);
    passes(&vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256))), &trust(&[&old], &[&vendor.issuer]));
}

#[test]
fn cross_signed_intermediates_reach_whichever_root_is_pinned() {
    let (root_a, root_b, issuer_key) =
        (Key::new(KeyKind::EcP521), Key::new(KeyKind::EcP384), Key::new(KeyKind::EcP256));
    let a = Tbs::ca("Root A", "Root A", &root_a).sign(&root_a);
    let b = Tbs::ca("Root B", "Root B", &root_b).sign(&root_b);
    let under_a = Tbs::ca(ISSUER, "Root A", &issuer_key).sign(&root_a);
    let under_b = Tbs::ca(ISSUER, "Root B", &issuer_key).sign(&root_b);
    let leaf = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&issuer_key);

    for (root, issuer) in [(&a, &under_a), (&b, &under_b)] {
        let checked = passes(&leaf, &trust(&[root], &[&under_a, &under_b]));
        assert_eq!(checked.decision.path, [Fingerprint::of(&leaf), Fingerprint::of(issuer), Fingerprint::of(root)]);
    }
    // B's own root cross-signed by A: one step more.
    let b_under_a = Tbs::ca("Root B", "Root A", &root_b).sign(&root_a);
    let checked = passes(&leaf, &trust(&[&a], &[&under_b, &b_under_a]));
    assert_eq!(checked.decision.path.len(), 4);
    refused(check(&leaf, &trust(&[&b], &[&under_a])), ReasonCode::CERTIFICATE_FOREIGN_CA);
}

#[test]
fn several_generations_of_one_name_live_in_one_profile() {
    let (first, second) = (Vendor::new(), Vendor::new());
    let both = trust(&[&first.root, &second.root], &[&first.issuer, &second.issuer]);
    for vendor in [&first, &second] {
        let leaf = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
        let checked = passes(&leaf, &both);
        assert_eq!(
            checked.decision.path,
            [Fingerprint::of(&leaf), Fingerprint::of(&vendor.issuer), Fingerprint::of(&vendor.root)]
        );
    }
}

#[test]
fn a_key_kind_that_the_profile_does_not_allow_is_refused() {
    let vendor = Vendor::new();
    for kind in KeyKind::ALL {
        let leaf = vendor.issue(vendor.leaf(&Key::new(kind)));
        let only = Trust { keys: vec![kind], ..vendor.trust() };
        passes(&leaf, &only);
        let others = KeyKind::ALL.into_iter().filter(|other| *other != kind).collect();
        let failure = refused(check(&leaf, &Trust { keys: others, ..vendor.trust() }), ReasonCode::CERTIFICATE_KEY);
        assert_eq!(failure.args["key"], kind.as_str());
    }
}

#[test]
fn keys_that_nobody_can_use_are_refused_by_name() {
    let vendor = Vendor::new();
    let point = |spki: &[u8]| spki[spki.len() - 65..].to_vec();
    let good = Key::new(KeyKind::EcP256);
    let mut off_curve = point(&good.spki);
    off_curve[64] ^= 1;
    let rsa = |bytes: usize, first: u8| {
        let mut modulus = vec![0xa5; bytes];
        modulus[0] = first;
        let integer =
            if first & 0x80 == 0 { tlv(0x02, &modulus) } else { tlv(0x02, &[&[0], modulus.as_slice()].concat()) };
        rsa_spki(&sequence(&[&integer, &tlv(0x02, &[1, 0, 1])]))
    };
    let cases = [
        (rsa(128, 0xa5), "rsa-1024"),
        (rsa(256, 0x45), "rsa-2047"),
        (rsa(257, 0x01), "rsa-2049"),
        (rsa_spki(b"no key"), "rsa-unreadable"),
        (ec_spki("1.3.132.0.10", &point(&good.spki)), "ec-1.3.132.0.10"),
        (ec_spki("1.2.840.10045.3.1.7", &off_curve), "ec-p256"),
        (ec_spki("1.3.132.0.34", &point(&good.spki)), "ec-p384"),
        (ec_spki("1.2.840.10045.3.1.7", &[0]), "ec-p256"),
        (sequence(&[&sequence(&[&oid("1.2.840.10045.2.1"), NULL]), &bits(&point(&good.spki))]), "ec-unnamed-curve"),
        (sequence(&[&sequence(&[&oid("1.3.101.112")]), &bits(&[7; 32])]), "1.3.101.112"),
        (sequence(&[&sequence(&[&oid("1.3.101.112")])]), "?"),
    ];
    for (spki, named) in cases {
        let der = vendor.issue(Tbs { spki, ..vendor.leaf(&good) });
        let failure = refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_KEY);
        assert_eq!(failure.args["key"], named, "{failure}");
    }
}

/// RFC 5480 §2.2 lets a point be compressed, and aws-lc-rs would read a hybrid one, or RSA without its NULL:
/// each would give a key that is bound already a second SPKI hash.
#[test]
fn a_key_has_one_form_and_in_any_other_it_is_refused() {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let point = &key.spki[key.spki.len() - 65..];
    let odd = point[64] & 1;
    let compressed = [&[2 + odd], &point[1..33]].concat();
    let hybrid = [&[6 + odd], &point[1..]].concat();
    let rsa = Key::new(KeyKind::Rsa2048);
    let bare = sequence(&[&sequence(&[&oid("1.2.840.113549.1.1.1")]), &rsa.spki[rsa.spki.len() - 275..]]);
    let cases = [
        (&key, ec_spki("1.2.840.10045.3.1.7", &compressed), "ec-p256 compressed"),
        (&key, ec_spki("1.2.840.10045.3.1.7", &hybrid), "ec-p256 hybrid"),
        (&rsa, bare, "rsa-2048 without NULL parameters"),
    ];
    for (key, spki, named) in cases {
        let der = vendor.issue(Tbs { spki, ..vendor.leaf(key) });
        let failure = refused(check(&der, &vendor.trust()), ReasonCode::CERTIFICATE_KEY);
        assert_eq!(failure.args["key"], named, "{failure}");
        let checked = passes(&vendor.issue(vendor.leaf(key)), &vendor.trust());
        assert_eq!(checked.identity.spki, SpkiHash::of(&key.spki));
    }
}

#[test]
fn serial_numbers_are_written_as_they_are() {
    let vendor = Vendor::new();
    // A positive number with its sign octet, one of 24 bytes as chips have them, zero.
    let long = [&[0x04], [0xab; 23].as_slice()].concat();
    for (serial, written) in [(vec![0, 0xff], "ff"), (long.clone(), hex::encode(&long).as_str()), (vec![0], "00")] {
        let der = vendor.issue(Tbs { serial, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
        assert_eq!(passes(&der, &vendor.trust()).decision.serial, written);
    }
}

#[test]
fn names_are_written_after_rfc_4514() {
    let vendor = Vendor::new();
    let subject = sequence(&[
        &attribute("2.5.4.6", 0x13, "JP"),
        &attribute("2.5.4.10", 0x0c, "A, B + \"C\""),
        &attribute("2.5.4.3", 0x0c, " チップ\u{7}"),
    ]);
    let der = vendor.issue(Tbs { subject, ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
    assert_eq!(passes(&der, &vendor.trust()).decision.subject, r#"CN=\ チップ\07,O=A\, B \+ \"C\",C=JP"#);
    let nameless = vendor.issue(Tbs { subject: sequence(&[]), ..vendor.leaf(&Key::new(KeyKind::EcP256)) });
    assert_eq!(passes(&nameless, &vendor.trust()).decision.subject, "");
}

#[test]
fn utc_and_generalized_time_mean_the_same() {
    let vendor = Vendor::new();
    let tbs = vendor.leaf(&Key::new(KeyKind::EcP256));
    let der = vendor.issue(Tbs { not_before: time("20200101000000Z"), ..tbs });
    assert_eq!(passes(&der, &vendor.trust()).decision.not_before, "2020-01-01T00:00:00Z");
}

#[test]
fn a_profile_whose_own_certificates_are_unusable_is_to_blame_itself() {
    let vendor = Vendor::new();
    let leaf = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    let odd = Tbs::ca(ISSUER, ROOT, &vendor.issuer_key)
        .with(extension("1.3.6.1.4.1.99999.7", true, NULL))
        .sign(&vendor.root_key);
    let v1 = Tbs { version: None, ..Tbs::leaf(ISSUER, ROOT, &vendor.issuer_key) }.sign(&vendor.root_key);
    for (bad, named) in [
        (trust(&[b"no certificate"], &[]), Some("root 1")),
        (trust(&[&vendor.root], &[&vendor.issuer, b""]), Some("intermediate 2")),
        (trust(&[&vendor.root], &[&odd]), Some("intermediate 1")),
        (trust(&[&vendor.root], &[&v1]), Some("intermediate 1")),
        (trust(&[], &[&vendor.issuer]), None),
    ] {
        let failure = refused(check(&leaf, &bad), ReasonCode::CONFIG_INVALID);
        assert_eq!(failure.args.get("certificate").map(String::as_str), named);
        assert_eq!(check_trust(&bad, at(NOW)), Err(failure));
    }
    assert!(check_trust(&vendor.trust(), at(NOW)).is_ok());
    // The unknown critical extension is fine in a root, whose extensions are the profile's word.
    let root =
        Tbs::ca(ROOT, ROOT, &vendor.root_key).with(extension("1.3.6.1.4.1.99999.7", true, NULL)).sign(&vendor.root_key);
    passes(&leaf, &trust(&[&root], &[&vendor.issuer]));
}

#[test]
fn intermediates_alone_are_no_roots() {
    let vendor = Vendor::new();
    let other = Tbs::ca("Other Root", "Other Root", &vendor.root_key).sign(&vendor.root_key);
    let leaf = vendor.issue(vendor.leaf(&Key::new(KeyKind::EcP256)));
    refused(check(&leaf, &trust(&[&other], &[&vendor.issuer])), ReasonCode::CERTIFICATE_FOREIGN_CA);
    assert_ne!(name("Other Root"), name(ROOT));
}
