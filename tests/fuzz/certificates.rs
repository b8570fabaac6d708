//! What a token shows: certificates, and answers to a challenge.

use std::path::PathBuf;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use jiff::Timestamp;
use lineseal::audit::x509;
use lineseal::domain::profile::{Crl, CrlCoverage, ExpiredIntermediate, KeyKind, Trust, UidRule};
use lineseal::domain::{Failure, Fingerprint, ReasonCode};
use lineseal::provisioning::checks::{Checked, check_certificate, check_trust, spki_hash, verify_signature};

use super::corpus::{self, KINDS, MESSAGE, SIGNER};
use super::engine::{Target, kind_of};

pub fn trust() -> Trust {
    Trust {
        roots: vec![corpus::file("certificates", "root.der")],
        intermediates: vec![corpus::file("certificates", "intermediate.der")],
        issuer: None,
        expired_intermediate: ExpiredIntermediate::Refuse,
        crls: Vec::new(),
        crl_coverage: CrlCoverage::Chain,
        keys: KeyKind::ALL.to_vec(),
        uid: UidRule::Certificate,
        uid_from_cn: Some(regex::Regex::new("-(?<uid>.*)$").unwrap()),
    }
}

pub fn leaves() -> Vec<Vec<u8>> {
    KINDS.iter().map(|kind| corpus::file("certificates", &format!("leaf-{kind}.der"))).collect()
}

pub fn check(der: &[u8], trust: &Trust) -> Result<Checked, Failure> {
    check_certificate(der, None, trust, now())
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn outcome<T>(answer: &Result<T, Failure>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(failure) => format!("{} {}", failure.code, kind_of(&failure.cause)),
    }
}

/// The same bytes in every place where a certificate or a revocation list may stand.
#[test]
fn a_bent_certificate_is_never_accepted_nor_a_revocation_forgotten() {
    let (trust, leaves) = (trust(), leaves());
    for leaf in &leaves {
        assert_eq!(check(leaf, &trust).unwrap().identity.fingerprint, Fingerprint::of(leaf));
    }
    let check = |input: &[u8]| {
        let shown = check(input, &trust);
        if let Ok(checked) = &shown {
            assert!(leaves.iter().any(|leaf| leaf == input), "a certificate that no CA has made was accepted");
            assert_eq!(checked.identity.fingerprint, Fingerprint::of(input));
        }
        let hash = spki_hash(input);
        if let (Ok(hash), Some(spki)) = (&hash, x509::spki(input)) {
            assert_eq!(*hash, lineseal::domain::SpkiHash::of(spki.0), "the two readers disagree");
        }
        let _ = (x509::issued(input, &leaves[0]), x509::issued(&trust.intermediates[0], input));
        let pinned = [
            Trust { roots: vec![input.to_vec()], ..trust.clone() },
            Trust { intermediates: vec![input.to_vec()], ..trust.clone() },
        ];
        let pinned =
            pinned.map(|trust| outcome(&check_trust(&trust, now())) + &outcome(&self::check(&leaves[0], &trust)));
        // All leaves are on the corpus's list: whatever else a list is, it does not let one of them through.
        let listed = Trust { crls: vec![Crl { file: PathBuf::from("list"), der: input.to_vec() }], ..trust.clone() };
        let listed = self::check(&leaves[0], &listed);
        assert!(listed.is_err(), "a chip that was revoked was accepted");
        format!("{} {} {pinned:?} {}", outcome(&shown), outcome(&hash), outcome(&listed))
    };
    Target { name: "certificates", inputs: 6_000, seeds: vec![], words: &[], check: &check }.run();
}

#[test]
fn the_corpus_s_own_list_revokes_its_chips() {
    let list = Crl { file: PathBuf::from("list"), der: corpus::file("certificates", "revoked.crl") };
    let trust = Trust { crls: vec![list], crl_coverage: CrlCoverage::Leaf, ..trust() };
    assert_eq!(check(&leaves()[0], &trust).unwrap_err().code, ReasonCode::CERTIFICATE_REVOKED);
}

/// A CA signs whatever it is given, so that every field is really looked at.
#[test]
fn what_a_ca_has_signed_is_taken_for_what_it_says_and_no_more() {
    let key = rcgen::KeyPair::generate().unwrap();
    let signer = corpus::authority(SIGNER).self_signed(&key).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &key.serialize_der()).unwrap();
    let trust = Trust { roots: vec![signer.der().to_vec()], intermediates: Vec::new(), ..trust() };
    let spki = spki_hash(&leaves()[0]).unwrap();
    let answer = corpus::file("answers", "p256");
    let seal = |tbs: &[u8]| {
        let signature = pair.sign(&SystemRandom::new(), tbs).unwrap();
        let bits = tlv(0x03, &[&[0], signature.as_ref()].concat());
        // ecdsa-with-SHA256 (RFC 5758 §3.2).
        const ALGORITHM: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        tlv(0x30, &[tbs, ALGORITHM, &bits].concat())
    };
    let genuine = check(&seal(&corpus::file("signed", "p256")), &trust).unwrap();
    verify_signature(&genuine, MESSAGE, &answer).unwrap();
    let check = |input: &[u8]| {
        let der = seal(input);
        let checked = check(&der, &trust);
        if let Ok(checked) = &checked {
            assert_eq!(checked.identity.fingerprint, Fingerprint::of(&der));
            assert_eq!(checked.identity.spki, spki_hash(&der).unwrap());
            let proven = verify_signature(checked, MESSAGE, &answer).is_ok();
            assert!(!proven || checked.identity.spki == spki, "an answer verifies under another key");
        }
        outcome(&checked)
    };
    Target { name: "signed", inputs: 30_000, seeds: vec![], words: &["\u{5}\0", "chip-04"], check: &check }.run();
}

#[test]
fn a_bent_answer_never_verifies() {
    let trust = trust();
    let genuine: Vec<(Checked, Vec<u8>)> = leaves()
        .iter()
        .zip(KINDS)
        .map(|(leaf, kind)| (check(leaf, &trust).unwrap(), corpus::file("answers", kind)))
        .collect();
    for (checked, answer) in &genuine {
        verify_signature(checked, MESSAGE, answer).unwrap();
    }
    let check = |input: &[u8]| {
        let outcomes = genuine.iter().map(|(checked, answer)| {
            let verified = verify_signature(checked, MESSAGE, input);
            assert!(verified.is_err() || input == answer, "an answer that no chip has given verifies");
            outcome(&verified)
        });
        outcomes.collect::<Vec<_>>().join(" ")
    };
    Target { name: "answers", inputs: 20_000, seeds: vec![], words: &[], check: &check }.run();
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        n @ 0..=0x7f => out.push(n as u8),
        n @ 0x80..=0xffff => out.extend([0x82, (n >> 8) as u8, n as u8]),
        n => out.extend([0x83, (n >> 16) as u8, (n >> 8) as u8, n as u8]),
    }
    out.extend_from_slice(content);
    out
}
