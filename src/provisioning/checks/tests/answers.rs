//! The challenge, and the chip's answer to it.

use aws_lc_rs::signature;

use super::forge::Key;
use super::*;
use crate::audit::challenge::{ChallengeFacts, challenge, fields};
use crate::audit::event::{Purpose, SignatureScheme};
use crate::domain::{PortPath, RunId, Unit};
use crate::provisioning::checks::{scheme_for, verify_signature};

fn checked(key: &Key) -> Checked {
    let vendor = Vendor::new();
    passes(&vendor.issue(vendor.leaf(key)), &vendor.trust())
}

const MESSAGE: &[u8] = b"a challenge";

#[track_caller]
fn lacks_key(checked: &Checked, message: &[u8], signature: &[u8], cause: &str) {
    let failure = verify_signature(checked, message, signature).expect_err("verified");
    assert_eq!(failure.code, ReasonCode::CHIP_LACKS_KEY);
    assert!(failure.cause.contains(cause), "{failure}");
}

#[test]
fn a_chip_that_holds_the_key_answers() {
    for kind in KeyKind::ALL {
        let key = Key::new(kind);
        let answer = key.answer(MESSAGE);
        verify_signature(&checked(&key), MESSAGE, &answer).unwrap_or_else(|failure| panic!("{kind:?}: {failure}"));
    }
}

#[test]
fn any_flipped_bit_is_caught() {
    for kind in KeyKind::ALL {
        let key = Key::new(kind);
        let (checked, answer) = (checked(&key), key.answer(MESSAGE));
        for bit in [0, 7, answer.len() * 4, answer.len() * 8 - 1] {
            let mut bent = answer.clone();
            bent[bit / 8] ^= 0x80 >> (bit % 8);
            lacks_key(&checked, MESSAGE, &bent, "does not verify");
        }
        lacks_key(&checked, b"another challenge", &answer, "does not verify");
        lacks_key(&checked, b"", &answer, "does not verify");
    }
}

#[test]
fn a_wrong_length_is_named() {
    for (kind, length) in [
        (KeyKind::EcP256, 64),
        (KeyKind::EcP384, 96),
        (KeyKind::EcP521, 132),
        (KeyKind::Rsa2048, 256),
        (KeyKind::Rsa3072, 384),
        (KeyKind::Rsa4096, 512),
    ] {
        let key = Key::new(kind);
        let (checked, answer) = (checked(&key), key.answer(MESSAGE));
        assert_eq!(answer.len(), length);
        let named = format!("a {} signature has {length}", kind.as_str());
        lacks_key(&checked, MESSAGE, &[], &named);
        lacks_key(&checked, MESSAGE, &answer[..length - 1], &named);
        lacks_key(&checked, MESSAGE, &[answer.as_slice(), &[0]].concat(), &named);
        lacks_key(&checked, MESSAGE, &[&[0], answer.as_slice()].concat(), &named);
        lacks_key(&checked, MESSAGE, &vec![0; length], "bytes of zero");
        lacks_key(&checked, MESSAGE, &vec![0xff; length], "does not verify");
    }
    // What an SE050's module has returned for an RSA key.
    lacks_key(&checked(&Key::new(KeyKind::Rsa2048)), MESSAGE, &[0x5a; 64], "64 bytes");
}

#[test]
fn half_an_answer_of_zeros_does_not_verify() {
    let key = Key::new(KeyKind::EcP256);
    let answer = key.answer(MESSAGE);
    let checked = checked(&key);
    lacks_key(&checked, MESSAGE, &[&answer[..32], &[0; 32]].concat(), "does not verify");
    lacks_key(&checked, MESSAGE, &[&[0; 32], &answer[32..]].concat(), "does not verify");
}

#[test]
fn the_wrong_algorithm_is_caught() {
    let key = Key::new(KeyKind::EcP256);
    let der_form = key.ecdsa(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, MESSAGE);
    lacks_key(&checked(&key), MESSAGE, &der_form, "a ec-p256 signature has 64");

    let key = Key::new(KeyKind::EcP521);
    let other_hash = key.ecdsa(&signature::ECDSA_P521_SHA256_FIXED_SIGNING, MESSAGE);
    lacks_key(&checked(&key), MESSAGE, &other_hash, "does not verify");

    let key = Key::new(KeyKind::Rsa2048);
    for padding in [&signature::RSA_PSS_SHA256 as &'static dyn signature::RsaEncoding, &signature::RSA_PKCS1_SHA512] {
        lacks_key(&checked(&key), MESSAGE, &key.rsa_sign(padding, MESSAGE), "does not verify");
    }
}

#[test]
fn a_certificate_copied_over_another_key_is_caught() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
        let (genuine, own) = (Key::new(kind), Key::new(kind));
        lacks_key(&checked(&genuine), MESSAGE, &own.answer(MESSAGE), "does not verify");
    }
    let (genuine, own) = (Key::new(KeyKind::Rsa2048), Key::other_rsa2048());
    lacks_key(&checked(&genuine), MESSAGE, &own.answer(MESSAGE), "does not verify");
    // An own key of another size or kind betrays itself by the length.
    lacks_key(&checked(&genuine), MESSAGE, &Key::new(KeyKind::Rsa3072).answer(MESSAGE), "384 bytes");
    lacks_key(&checked(&genuine), MESSAGE, &Key::new(KeyKind::EcP256).answer(MESSAGE), "64 bytes");
}

#[test]
fn one_scheme_a_kind_of_key() {
    assert_eq!(
        KeyKind::ALL.map(scheme_for),
        [
            SignatureScheme::EcdsaSecp256r1Sha256,
            SignatureScheme::EcdsaSecp384r1Sha384,
            SignatureScheme::EcdsaSecp521r1Sha512,
            SignatureScheme::RsaPkcs1Sha256,
            SignatureScheme::RsaPkcs1Sha256,
            SignatureScheme::RsaPkcs1Sha256,
        ]
    );
}

fn unit(product: &str, serial: &str) -> Unit {
    Unit { product: product.parse().unwrap(), serial: serial.parse().unwrap() }
}

fn run(last: char) -> RunId {
    format!("018f3a52-9c1e-7000-8000-00000000000{last}").parse().unwrap()
}

#[test]
fn every_fact_changes_the_challenge() {
    let (gateway, port): (Unit, PortPath) = (unit("gateway", "A1"), "pci-0000:00:14.0-usb-0:1:1.0".parse().unwrap());
    let other_port: PortPath = "pci-0000:00:14.0-usb-0:2:1.0".parse().unwrap();
    let (other_product, other_serial) = (unit("gatewaz", "A1"), unit("gateway", "A2"));
    let facts = ChallengeFacts {
        run: run('1'),
        unit: &gateway,
        port: &port,
        purpose: Purpose::First,
        log_root: [1; 32],
        random: [2; 32],
    };
    let messages = [
        challenge(&facts),
        challenge(&ChallengeFacts { run: run('2'), ..facts }),
        challenge(&ChallengeFacts { unit: &other_product, ..facts }),
        challenge(&ChallengeFacts { unit: &other_serial, ..facts }),
        challenge(&ChallengeFacts { port: &other_port, ..facts }),
        challenge(&ChallengeFacts { purpose: Purpose::BeforeRegister, ..facts }),
        challenge(&ChallengeFacts { log_root: [3; 32], ..facts }),
        challenge(&ChallengeFacts { random: [3; 32], ..facts }),
    ];
    for (i, one) in messages.iter().enumerate() {
        assert!(messages[i + 1..].iter().all(|other| other != one), "message {i} is not alone");
    }
    assert_eq!(messages[0], challenge(&facts), "the same facts make the same challenge");
}

#[test]
fn a_character_that_moves_from_product_to_serial_changes_the_challenge() {
    let port: PortPath = "p".parse().unwrap();
    let make = |unit: &Unit| {
        challenge(&ChallengeFacts {
            run: run('1'),
            unit,
            port: &port,
            purpose: Purpose::First,
            log_root: [0; 32],
            random: [0; 32],
        })
    };
    assert_ne!(make(&unit("gateway1", "23")), make(&unit("gateway", "123")));
}

#[test]
fn the_challenge_is_what_the_log_promises() {
    let (unit, port): (Unit, PortPath) = (unit("gw", "A1"), "p".parse().unwrap());
    let message = challenge(&ChallengeFacts {
        run: run('1'),
        unit: &unit,
        port: &port,
        purpose: Purpose::BeforeRegister,
        log_root: [0xaa; 32],
        random: [0xbb; 32],
    });
    let mut expected = vec![];
    for field in [
        b"lineseal challenge v1".as_slice(),
        &hex::decode("018f3a529c1e70008000000000000001").unwrap(),
        b"gw",
        b"A1",
        b"p",
        b"before-register",
        &[0xaa; 32],
        &[0xbb; 32],
    ] {
        expected.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
        expected.extend(field);
    }
    assert_eq!(message, expected);
    let told = fields(&message).unwrap();
    assert_eq!(told[1..5], [b"gw".as_slice(), b"A1", b"p", b"before-register"]);
    assert_eq!(
        (told[0], told[5], told[6]),
        (run('1').as_uuid().as_bytes().as_slice(), &[0xaa; 32][..], &[0xbb; 32][..])
    );
    // Nothing else is taken for one.
    for other in [&message[1..], &message[..message.len() - 1], &[message.as_slice(), &[0]].concat(), &[0xff; 300], &[]]
    {
        assert_eq!(fields(other), None);
    }
}
