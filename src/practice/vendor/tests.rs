use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::domain::profile::{KeyKind, Trust, UidRule};
use crate::domain::{Failure, ReasonCode};
use crate::provisioning::checks::{Checked, check_certificate};

fn check(der: &[u8], ca: &VendorCa) -> Result<Checked, Failure> {
    let trust = Trust {
        roots: vec![ca.root().to_vec()],
        intermediates: vec![ca.intermediate().to_vec()],
        keys: KeyKind::ALL.to_vec(),
        uid: UidRule::Required,
        uid_from_cn: Some(regex::Regex::new("^Lineseal PRACTICE (?<uid>[0-9A-F]{36})$").unwrap()),
        issuer: None,
        expired_intermediate: Default::default(),
        crls: Vec::new(),
        crl_coverage: Default::default(),
    };
    check_certificate(der, Some(&uid()), &trust, "2026-06-01T12:00:00Z".parse().unwrap())
}

fn uid() -> ChipUid {
    "0400500119ad7fe28eb27f04c5a8b1c2d3e4".parse().unwrap()
}

#[test]
fn what_it_issues_passes_for_every_kind_of_key() {
    let ca = VendorCa::create_foreign().unwrap();
    for (algorithm, kind) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, KeyKind::EcP256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, KeyKind::EcP384),
        (&rcgen::PKCS_ECDSA_P521_SHA512, KeyKind::EcP521),
        (&rcgen::PKCS_RSA_SHA256, KeyKind::Rsa2048),
    ] {
        let spki = KeyPair::generate_for(algorithm).unwrap().subject_public_key_info();
        let der = ca.issue(&spki, &uid(), Validity::Good).unwrap();
        let checked = check(&der, &ca).unwrap();
        assert_eq!(checked.decision.key, kind);
        assert_eq!(checked.spki, spki);
        assert_eq!(checked.identity.uid, Some(uid()));
        assert_eq!(
            checked.decision.subject,
            "CN=Lineseal PRACTICE 0400500119AD7FE28EB27F04C5A8B1C2D3E4,O=Lineseal PRACTICE"
        );
        assert_eq!(checked.decision.path.len(), 3);
    }
}

#[test]
fn expired_and_foreign_ones_are_told_apart() {
    let (ours, theirs) = (VendorCa::create_foreign().unwrap(), VendorCa::create_foreign().unwrap());
    let spki = KeyPair::generate().unwrap().subject_public_key_info();
    let expired = ours.issue(&spki, &uid(), Validity::Expired).unwrap();
    assert_eq!(check(&expired, &ours).unwrap_err().code, ReasonCode::CERTIFICATE_EXPIRED);
    let foreign = theirs.issue(&spki, &uid(), Validity::Good).unwrap();
    let failure = check(&foreign, &ours).unwrap_err();
    assert_eq!(failure.code, ReasonCode::CERTIFICATE_FOREIGN_CA);
    assert_eq!(failure.args["issuer"], format!("CN={INTERMEDIATE_NAME},O=Lineseal PRACTICE"));
}

#[test]
fn every_certificate_has_a_serial_number_of_its_own() {
    let ca = VendorCa::create_foreign().unwrap();
    let spki = KeyPair::generate().unwrap().subject_public_key_info();
    let serial = || check(&ca.issue(&spki, &uid(), Validity::Good).unwrap(), &ca).unwrap().decision.serial;
    let (first, second) = (serial(), serial());
    assert_ne!(first, second);
    assert_eq!(first.len(), 32);
}

#[test]
fn a_folder_keeps_its_ca() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/on/demand");
    let first = VendorCa::load_or_create(&dir).unwrap();
    let again = VendorCa::load_or_create(&dir).unwrap();
    assert_eq!(first.root(), again.root());
    let spki = KeyPair::generate().unwrap().subject_public_key_info();
    check(&again.issue(&spki, &uid(), Validity::Good).unwrap(), &first).unwrap();

    for (file, der) in [(ROOT_FILE, first.root()), (INTERMEDIATE_FILE, first.intermediate())] {
        assert_eq!(CertificateDer::from_pem_file(dir.join(file)).unwrap().as_ref(), der);
    }
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap()).collect();
    names.sort_by_key(|entry| entry.file_name());
    assert_eq!(
        names.iter().map(|entry| entry.file_name()).collect::<Vec<_>>(),
        ["intermediate.key", "intermediate.pem", "root.key", "root.pem"]
    );
    for entry in names {
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{entry:?}");
    }

    let fresh = VendorCa::create(&dir).unwrap();
    assert_ne!(fresh.root(), first.root());
}

#[test]
fn a_folder_that_was_cut_off_in_the_making_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let first = VendorCa::create(dir.path()).unwrap();
    fs::remove_file(dir.path().join(ROOT_FILE)).unwrap();
    let second = VendorCa::load_or_create(dir.path()).unwrap();
    assert_ne!(first.intermediate(), second.intermediate());
    assert_eq!(VendorCa::load_or_create(dir.path()).unwrap().root(), second.root());
}

#[test]
fn a_damaged_folder_is_an_error_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = |file: &str| dir.path().join(file);
    let error = || {
        let before = fs::read(path(ROOT_FILE)).unwrap();
        let error = VendorCa::load_or_create(dir.path()).unwrap_err();
        assert_eq!(fs::read(path(ROOT_FILE)).unwrap(), before);
        VendorCa::create(dir.path()).unwrap();
        error
    };
    VendorCa::create(dir.path()).unwrap();
    fs::write(path(ROOT_FILE), "no PEM").unwrap();
    assert!(matches!(error(), VendorError::Certificate { .. }));
    fs::write(path(INTERMEDIATE_KEY_FILE), "no PEM").unwrap();
    assert!(matches!(error(), VendorError::Key { .. }));
    fs::remove_file(path(INTERMEDIATE_FILE)).unwrap();
    assert!(matches!(error(), VendorError::File { .. }));
    fs::copy(path(ROOT_KEY_FILE), path(INTERMEDIATE_KEY_FILE)).unwrap();
    assert!(matches!(error(), VendorError::KeyOfAnother { .. }));
}

#[test]
fn a_key_it_cannot_certify_is_an_error() {
    let ca = VendorCa::create_foreign().unwrap();
    assert!(matches!(ca.issue(b"", &uid(), Validity::Good), Err(VendorError::PublicKey(_))));
    let edwards = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().subject_public_key_info();
    let error = ca.issue(&edwards, &uid(), Validity::Good).unwrap_err();
    assert_eq!(error.to_string(), "cannot certify a key of the algorithm 1.3.101.112");
}
