//! Bytes from a hostile token: whatever they are, they end in a reason code.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::forge::{Key, tlv};
use super::*;
use crate::provisioning::checks::verify_signature;

struct Fixture {
    vendor: Vendor,
    trust: Trust,
    key: Key,
    leaf: Vec<u8>,
    checked: Checked,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let vendor = Vendor::new();
    let key = Key::new(KeyKind::EcP256);
    let leaf = vendor.issue(vendor.leaf(&key).with(super::forge::basic_constraints(false)));
    let trust = Trust {
        uid: UidRule::Certificate,
        uid_from_cn: Some(regex::Regex::new("-(?<uid>.*)$").unwrap()),
        ..vendor.trust()
    };
    let checked = passes(&leaf, &trust);
    Fixture { vendor, trust, key, leaf, checked }
});

/// Some bytes overwritten, some put in, some cut out.
fn bend(bytes: &[u8], edits: &[(u16, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (place, value, kind) in edits {
        let place = usize::from(*place) % (bytes.len() + 1);
        match kind % 4 {
            0 => bytes.insert(place, *value),
            1 if place < bytes.len() => drop(bytes.remove(place)),
            2 => bytes.truncate(place),
            _ => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= value;
                }
            }
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    prop::collection::vec(any::<(u16, u8, u8)>(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_unreadable(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(check(&bytes, &FIXTURE.trust).is_err());
        let wrapped = tlv(0x30, &bytes);
        prop_assert!(check(&wrapped, &FIXTURE.trust).is_err());
    }

    #[test]
    fn a_bent_certificate_is_refused(edits in edits()) {
        let bent = bend(&FIXTURE.leaf, &edits);
        if bent != FIXTURE.leaf {
            prop_assert!(check(&bent, &FIXTURE.trust).is_err());
        }
    }

    /// The CA signs whatever it is given, so that the bent fields are really looked at.
    #[test]
    fn a_bent_certificate_that_the_ca_signed_does_no_harm(edits in edits(), seconds in any::<i64>()) {
        let tbs = FIXTURE.vendor.leaf(&FIXTURE.key).with(super::forge::basic_constraints(false));
        let bent = bend(&tbs.der(KeyKind::EcP256), &edits);
        let der = tbs.seal(&bent, &FIXTURE.vendor.issuer_key);
        let now = Timestamp::from_second(seconds % 300_000_000_000).unwrap_or(Timestamp::MIN);
        for now in [now, at(NOW)] {
            if let Ok(checked) = check_certificate(&der, None, &FIXTURE.trust, now) {
                // And the rest of the machinery takes what came out.
                prop_assert!(verify_signature(&checked, b"", &[1; 64]).is_err());
            }
        }
    }

    #[test]
    fn pinned_certificates_may_be_anything(edits in edits()) {
        let bent = bend(&FIXTURE.vendor.issuer, &edits);
        let trust = trust(&[&FIXTURE.vendor.root, &bent], &[&bent]);
        let _ = check(&FIXTURE.leaf, &trust);
    }

    #[test]
    fn a_random_answer_never_verifies(answer in prop::collection::vec(any::<u8>(), 0..600), message in any::<Vec<u8>>()) {
        prop_assert!(verify_signature(&FIXTURE.checked, &message, &answer).is_err());
    }

    #[test]
    fn a_random_answer_of_the_right_length_never_verifies(answer in any::<[u8; 32]>(), tail in any::<[u8; 32]>()) {
        prop_assert!(verify_signature(&FIXTURE.checked, b"message", &[answer, tail].concat()).is_err());
    }

    #[test]
    fn a_public_key_may_be_anything(edits in edits()) {
        let mut checked = FIXTURE.checked.clone();
        checked.spki = bend(&checked.spki, &edits);
        let answer = FIXTURE.key.answer(b"message");
        if checked.spki != FIXTURE.checked.spki {
            let _ = verify_signature(&checked, b"message", &answer);
        }
    }
}
