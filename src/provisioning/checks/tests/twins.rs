//! A certificate in its other form is as genuine, and must not be taken for another chip's.

use super::forge::{Key, Tbs};
use super::*;
use crate::domain::Fingerprint;
use crate::provisioning::checks::twin;
use crate::provisioning::checks::twin::written;

#[test]
fn an_ecdsa_certificate_passes_in_two_forms_that_know_each_other() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        let ca = Key::new(kind);
        let root = Tbs::ca(ISSUER, ISSUER, &ca).sign(&ca);
        let trust = trust(&[&root], &[]);
        for _ in 0..4 {
            let chip = Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&ca);
            let other = written(&chip).unwrap().unwrap();
            assert_ne!(other, chip);
            assert_eq!(passes(&other, &trust).identity.spki, passes(&chip, &trust).identity.spki);
            assert_eq!(twin(&chip), Some(Fingerprint::of(&other)));
            assert_eq!(twin(&other), Some(Fingerprint::of(&chip)));
        }
    }
}

#[test]
fn an_rsa_certificate_has_one_form() {
    let ca = Key::new(KeyKind::Rsa2048);
    assert_eq!(twin(&Tbs::leaf(CHIP, ISSUER, &Key::new(KeyKind::EcP256)).sign(&ca)), None);
    assert_eq!(twin(b"no certificate"), None);
}
