use std::io::Read;
use std::ops::ControlFlow;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::list::{self, LONGEST};
use crate::domain::profile::{ManifestEncoding, ManifestField, ManifestForm, ManifestFormat, ManifestPlan};
use crate::domain::{Fingerprint, ManifestEntry, SpkiHash};

const PRINT: &str = "aa0000000000000000000000000000000000000000000000000000000000000a";

fn field(at: &str, form: ManifestForm) -> Option<ManifestField> {
    Some(ManifestField { at: at.to_owned(), form })
}

fn csv_plan() -> ManifestPlan {
    ManifestPlan {
        required: false,
        format: ManifestFormat::Csv { separator: None, encoding: ManifestEncoding::Utf8 },
        uid: field("UID", ManifestForm::Hex),
        fingerprint: field("SHA-256", ManifestForm::Hex),
        certificate: None,
        key: None,
    }
}

fn read(mut source: impl Read, plan: &ManifestPlan) -> (Vec<ManifestEntry>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    list::read(&mut source, plan, &mut |item| {
        match item {
            Ok(entry) => good.push(entry),
            Err(error) => bad.push(error.to_string()),
        }
        ControlFlow::Continue(())
    });
    (good, bad)
}

fn good(text: &str, plan: &ManifestPlan) -> Vec<ManifestEntry> {
    let (good, bad) = read(text.as_bytes(), plan);
    assert_eq!(bad, Vec::<String>::new());
    good
}

#[test]
fn what_spreadsheets_make_of_a_list_is_one_list() {
    let plain = format!("UID,Lot,SHA-256\n00112233,\"7, 8\",{PRINT}\n\n00112244,7,{PRINT}\n00112255,7,{PRINT}\n");
    let expected = good(&plain, &csv_plan());
    let lines: Vec<u64> = expected.iter().map(|entry| entry.line).collect();
    assert_eq!(lines, [2, 4, 5]);
    assert_eq!(expected[0].uid.as_ref().unwrap().as_str(), "00112233");
    assert_eq!(expected[0].fingerprint.unwrap().to_string(), PRINT);
    for same in [
        format!("\u{feff}{plain}"),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        plain.trim_end().to_owned(),
        plain.replace(",7,", ";7;").replace("UID,Lot,", "UID;Lot;").replace("33,\"", "33;\"").replace("\",", "\";"),
        plain.replace("00112233", "00:11:22:33"),
        plain.replace("00112233", " 0x00 11 22 33 "),
        plain.replace("aa0", "AA0"),
    ] {
        assert_eq!(good(&same, &csv_plan()), expected, "{same:?}");
    }
    // As many empty lines before the header as somebody left.
    let below: Vec<u64> = good(&format!("\n\n{plain}"), &csv_plan()).iter().map(|entry| entry.line).collect();
    assert_eq!(below, [4, 6, 7]);
}

/// As vendors write inches, and as somebody loses a quote: the chips on the lines behind it are not lost in a note.
#[test]
fn a_quote_that_goes_over_lines_is_a_mistake_and_hides_no_chip() {
    let inches = "UID,Note\n00112233,a\n00112244,\"5 reel\n00112255,c\n00112266,5\" reel\n00112277,e\n";
    let lost = "UID,Note\n00112233,\"12\n00112244,b\n00112255,c\n";
    let halves = "UID,Note\n\"00112233\n00112244\",b\n00112255,c\n";
    let plan = ManifestPlan { fingerprint: None, ..csv_plan() };
    for (text, line) in [(inches, 3), (lost, 2), (halves, 2)] {
        for text in [text.to_owned(), text.trim_end().to_owned(), text.replace('\n', "\r\n")] {
            let (_, bad) = read(text.as_bytes(), &plan);
            let expected = format!("line {line}: a quote is opened here and not closed before the line ends");
            assert!(bad.len() == 1 && bad[0].starts_with(&expected), "{bad:?} in {text:?}");
        }
    }
    // A certificate has lines; what comes behind it is none of it.
    let certificate = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert.pem();
    let plan = ManifestPlan { certificate: field("PEM", ManifestForm::Base64), ..plan };
    let open = format!("UID,PEM\n00112233,\"{certificate}00112244,\n00112255,\n");
    let (_, bad) = read(open.as_bytes(), &plan);
    assert!(bad.len() == 1 && bad[0].starts_with("line 2: a quote"), "{bad:?}");
    let (closed, bad) = read(format!("UID,PEM\n00112233,\"{certificate}\"\n00112244,\n").as_bytes(), &plan);
    assert_eq!(closed.iter().map(|entry| entry.line).collect::<Vec<_>>(), [2]);
    let behind = certificate.lines().count() + 3;
    assert!(bad.len() == 1 && bad[0].starts_with(&format!("line {behind}: says no certificate")), "{bad:?}");
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let text = format!(
        "UID,SHA-256\nxyz,\n00112233,{PRINT}\n00,\n,\n00112244\n00112255,{}\n00112266,\n,{PRINT}\n",
        &PRINT[2..]
    );
    let (good, bad) = read(text.as_bytes(), &csv_plan());
    assert_eq!(good.len(), 1);
    assert_eq!(
        bad,
        [
            "line 2: \"xyz\" is not hexadecimal",
            "line 4: \"00\" is no chip UID: 4 to 64 bytes",
            "line 5: says neither UID, certificate nor key",
            "line 6: 1 fields where the header has 2",
            &format!("line 7: {:?} is no SHA-256 of a certificate: 32 bytes", &PRINT[2..]),
            // As a spreadsheet loses a column: another certificate of this UID would be on the list.
            "line 8: says no certificate, for which the profile's [manifest] names a field",
            "line 9: says no UID, for which the profile's [manifest] names a field",
        ]
    );
    for (text, wrong) in [
        ("", "line 1: the file is empty"),
        ("UID,Lot\n", "line 1: no column is called \"SHA-256\", among [\"UID\", \"Lot\"]"),
        ("UID,SHA-256,UID\n", "line 1: two columns are called \"UID\""),
    ] {
        assert_eq!(read(text.as_bytes(), &csv_plan()).1, [wrong]);
    }
}

#[test]
fn a_header_in_the_encoding_of_an_office_in_japan_is_read() {
    let plan = ManifestPlan {
        format: ManifestFormat::Csv { separator: Some(b';'), encoding: ManifestEncoding::ShiftJis },
        uid: field("チップ番号", ManifestForm::Hex),
        fingerprint: None,
        ..csv_plan()
    };
    let (bytes, _, _) = encoding_rs::SHIFT_JIS.encode("チップ番号;備考\n00112233;表\n");
    let (good, bad) = read(&bytes[..], &plan);
    assert_eq!((good.len(), bad.len()), (1, 0), "{bad:?}");
    let utf8 = ManifestPlan {
        format: ManifestFormat::Csv { separator: Some(b';'), encoding: ManifestEncoding::Utf8 },
        ..plan
    };
    assert!(read(&bytes[..], &utf8).1[0].contains("is not UTF-8"));
}

/// A chip whose certificate has its key so is refused (C-105): the list would keep out every genuine chip.
#[test]
fn a_key_that_no_chip_can_show_is_refused_by_its_line() {
    let key = rcgen::KeyPair::generate().unwrap();
    let info = rustls_pki_types::pem::PemObject::from_pem_slice(key.public_key_pem().as_bytes());
    let info: rustls_pki_types::SubjectPublicKeyInfoDer<'_> = info.unwrap();
    // SEQUENCE (57) { AlgorithmIdentifier (21), BIT STRING (34) { no unused bits, 02 or 03, X } }.
    let mut compressed = vec![0x30, 0x39];
    compressed.extend_from_slice(&info[2..23]);
    compressed.extend_from_slice(&[0x03, 0x22, 0x00, 0x02 | (info[info.len() - 1] & 1)]);
    compressed.extend_from_slice(&info[27..59]);
    // An RSA key of 2048 bits, its AlgorithmIdentifier without the NULL.
    let mut rsa = vec![0x30, 0x82, 0x01, 0x20, 0x30, 0x0b, 0x06, 0x09];
    rsa.extend_from_slice(
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x03\x82\x01\x0f\x00\x30\x82\x01\x0a\x02\x82\x01\x01\x00",
    );
    rsa.extend([0xc5; 256]);
    rsa.extend_from_slice(b"\x02\x03\x01\x00\x01");
    let edwards = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().public_key_pem();
    let plan = ManifestPlan { uid: None, fingerprint: None, key: field("Key", ManifestForm::Base64), ..csv_plan() };
    for (text, why) in [
        (STANDARD.encode(&compressed), "the ec-p256 key is compressed"),
        (STANDARD.encode(&rsa), "the rsa-2048 key is without NULL parameters"),
        (format!("\"{edwards}\""), "the key is 1.3.101.112"),
    ] {
        let (good, bad) = read(format!("Key\n{}\n{text}\n", STANDARD.encode(&*info)).as_bytes(), &plan);
        assert_eq!((good.len(), bad.len()), (1, 1), "{bad:?}");
        assert!(bad[0].starts_with("line 3: ") && bad[0].contains(why), "{bad:?}");
    }
}

#[test]
fn a_key_is_the_same_however_a_vendor_writes_it() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let info = rustls_pki_types::pem::PemObject::from_pem_slice(key.public_key_pem().as_bytes());
    let info: rustls_pki_types::SubjectPublicKeyInfoDer<'_> = info.unwrap();
    let expected = SpkiHash::of(&info);
    let point = &info[info.len() - 65..];
    let plan = |form| ManifestPlan { uid: None, fingerprint: None, key: field("Key", form), ..csv_plan() };
    let pem = key.public_key_pem();
    for (text, form) in [
        (expected.to_string(), ManifestForm::Hex),
        (STANDARD.encode(expected.as_bytes()), ManifestForm::Base64),
        (STANDARD.encode(&*info), ManifestForm::Base64),
        (hex::encode_upper(&*info), ManifestForm::Hex),
        (hex::encode(point), ManifestForm::Hex),
        (hex::encode(&point[1..]), ManifestForm::Hex),
        (URL_SAFE_NO_PAD.encode(point), ManifestForm::Base64),
        (pem, ManifestForm::Hex),
    ] {
        let found = good(&format!("Key\n\"{text}\"\n"), &plan(form));
        assert_eq!(found[0].spki, Some(expected), "{text}");
    }
    let by_certificate = ManifestPlan {
        certificate: field("Cert", ManifestForm::Base64),
        fingerprint: field("SHA-256", ManifestForm::Hex),
        ..plan(ManifestForm::Hex)
    };
    let own = Fingerprint::of(certificate.der());
    let line =
        |print: &str, key: &str| format!("Cert,SHA-256,Key\n{},{print},{key}\n", STANDARD.encode(certificate.der()));
    let found = good(&line("", ""), &by_certificate);
    assert_eq!((found[0].fingerprint, found[0].spki), (Some(own), Some(expected)));
    assert!(read(line(PRINT, "").as_bytes(), &by_certificate).1[0].contains("is not the certificate's"));
    assert!(read(line("", PRINT).as_bytes(), &by_certificate).1[0].contains("is not the certificate's"));
}

/// A signer, and entries as Microchip's Trust Platform has them.
struct Signer {
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        Self { key: pair, certificate: certificate.der().to_vec() }
    }

    fn plan(&self) -> ManifestPlan {
        ManifestPlan {
            format: ManifestFormat::SignedJson { signers: vec![self.certificate.clone()] },
            uid: field("/uniqueId", ManifestForm::Hex),
            fingerprint: None,
            certificate: field("/publicKeySet/keys/0/x5c/0", ManifestForm::Base64),
            key: field("/publicKeySet/keys/0", ManifestForm::Hex),
            ..csv_plan()
        }
    }

    fn header(&self) -> serde_json::Value {
        let thumbprint = URL_SAFE_NO_PAD.encode(Fingerprint::of(&self.certificate).as_bytes());
        json!({ "typ": "JWT", "alg": "ES256", "kid": "TCnpnzYB8M3CO776ByPJ2yX3KYo", "x5t#S256": thumbprint })
    }

    fn sign(&self, header: &serde_json::Value, payload: &serde_json::Value) -> serde_json::Value {
        let protected = URL_SAFE_NO_PAD.encode(header.to_string());
        let payload = URL_SAFE_NO_PAD.encode(payload.to_string());
        let message = format!("{protected}.{payload}");
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        json!({ "payload": payload, "protected": protected, "header": { "uniqueId": "ffff" }, "signature": signature })
    }

    fn entry(&self, uid: &str) -> serde_json::Value {
        self.sign(&self.header(), &payload(uid))
    }
}

fn payload(uid: &str) -> serde_json::Value {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let point = key.public_key_raw();
    json!({
        "version": 1, "model": "ATECC608A", "uniqueId": uid,
        "publicKeySet": { "keys": [{
            "kid": "0", "kty": "EC", "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..]),
            "x5c": [STANDARD.encode(certificate.der())],
        }] },
    })
}

fn refused(signer: &Signer, entry: &serde_json::Value) -> String {
    let (good, bad) = read(json!([entry]).to_string().as_bytes(), &signer.plan());
    assert_eq!((good.len(), bad.len()), (0, 1), "{good:?} {bad:?}");
    bad[0].clone()
}

#[test]
fn signed_entries_are_read_and_say_whose_they_are() {
    let signer = Signer::new();
    let text = json!([signer.entry("0123f1822c38dd7a01"), signer.entry("0123f1822c38dd7a02")]).to_string();
    let mut numbers = Vec::new();
    let signers = list::read(&mut text.as_bytes(), &signer.plan(), &mut |item| {
        let entry = item.unwrap();
        assert!(entry.uid.is_some() && entry.fingerprint.is_some() && entry.spki.is_some());
        numbers.push(entry.line);
        ControlFlow::Continue(())
    });
    assert_eq!((numbers, signers), (vec![1, 2], vec![Fingerprint::of(&signer.certificate)]));
    // What is not signed is not read: the header beside it names another chip.
    let without = signer.sign(&json!({ "alg": "ES256" }), &payload("0123f1822c38dd7a03"));
    assert_eq!(good(&json!([without]).to_string(), &signer.plan()).len(), 1);
}

/// The example of Microchip's own manual is read as its payload says, and is not believed: its signer is
/// none that the profile names.
#[test]
fn an_entry_that_is_not_vouched_for_is_refused() {
    let (signer, other) = (Signer::new(), Signer::new());
    let entry = signer.entry("0123f1822c38dd7a01");
    assert!(refused(&signer, &other.entry("01020304")).contains("which the profile does not name"));
    // Another's signature under the right name.
    let forged = other.sign(&signer.header(), &payload("01020304"));
    assert_eq!(refused(&signer, &forged), "entry 1: the signature does not verify");
    let with = |name: &str, value: serde_json::Value| {
        let mut header = signer.header();
        header[name] = value;
        signer.sign(&header, &payload("01020304"))
    };
    for alg in ["none", "None", "HS256", "ES384", "RS256", "es256", ""] {
        assert!(refused(&signer, &with("alg", json!(alg))).contains("not with ES256"), "{alg}");
    }
    assert!(refused(&signer, &with("crit", json!(["exp"]))).contains("\"crit\""));
    assert!(refused(&signer, &with("b64", json!(false))).contains("\"b64\""));
    assert!(refused(&signer, &with("x5t#S256", json!(7))).contains("x5t#S256"));
    // A key that is in everybody's hands, taken for a secret.
    let mut confused = with("alg", json!("HS256"));
    confused["signature"] = json!(URL_SAFE_NO_PAD.encode(Fingerprint::of(&signer.certificate).as_bytes()));
    assert!(refused(&signer, &confused).contains("not with ES256"));
    for name in ["payload", "protected", "signature"] {
        let mut cut = entry.clone();
        cut.as_object_mut().unwrap().remove(name);
        assert!(refused(&signer, &cut).contains(name));
        let text = entry[name].as_str().unwrap();
        for length in [0, 1, text.len() / 2, text.len() - 1] {
            cut[name] = json!(text[..length]);
            refused(&signer, &cut);
        }
        // DER, padding, a second signature behind the first.
        cut[name] = json!(format!("{text}="));
        refused(&signer, &cut);
        cut[name] = json!(format!("{text}AAAA"));
        refused(&signer, &cut);
    }
}

#[test]
fn no_bit_of_a_signed_entry_can_be_flipped() {
    let signer = Signer::new();
    let entry = signer.entry("0123f1822c38dd7a01");
    for name in ["protected", "payload", "signature"] {
        let text = entry[name].as_str().unwrap().as_bytes();
        // A certificate's middle is like its rest: every bit of the beginning and the end.
        for at in (0..text.len()).filter(|at| *at < 120 || *at + 20 > text.len()) {
            for bit in 0..7 {
                let mut flipped = text.to_vec();
                flipped[at] ^= 1 << bit;
                let mut changed = entry.clone();
                changed[name] = json!(String::from_utf8(flipped).unwrap());
                refused(&signer, &changed);
            }
        }
    }
}

#[test]
fn a_list_that_breaks_off_is_told_at_its_entry() {
    let signer = Signer::new();
    let text = json!([signer.entry("01020304"), signer.entry("01020305")]).to_string();
    let (good, bad) = read(&text.as_bytes()[..text.len() - 20], &signer.plan());
    assert_eq!(good.len(), 1);
    assert!(bad[0].starts_with("entry 2: EOF"), "{bad:?}");
    for wrong in ["{}", "7", "[] []", "[", "[,]", "nonsense"] {
        assert_eq!(read(wrong.as_bytes(), &signer.plan()).1.len(), 1, "{wrong}");
    }
}

/// A quote, a bracket or a text that is never closed.
#[test]
fn what_never_ends_is_not_read_into_memory() {
    let endless = || std::io::repeat(b'a').take(64 * LONGEST as u64);
    let (_, bad) = read((&b"UID,SHA-256\n\""[..]).chain(endless()), &csv_plan());
    assert!(bad.iter().any(|bad| bad.contains("is something not closed?")), "{bad:?}");
    let signer = Signer::new();
    let (_, bad) = read((&b"[{\"payload\": \""[..]).chain(endless()), &signer.plan());
    assert!(bad.iter().any(|bad| bad.contains("is something not closed?")), "{bad:?}");
    let (_, bad) = read(endless(), &csv_plan());
    assert_eq!(bad, ["line 1: the first line does not end"]);
}

proptest! {
    #[test]
    fn no_file_is_too_strange_to_be_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let signer = Signer::new();
        for plan in [csv_plan(), signer.plan()] {
            read(&bytes[..], &plan);
            let mut beginning = b"UID,SHA-256\n".to_vec();
            beginning.extend(&bytes);
            read(&beginning[..], &plan);
        }
    }

    #[test]
    fn no_list_that_was_damaged_is_read_as_another(at in 0_usize..2000, byte in any::<u8>()) {
        let signer = Signer::new();
        let whole = json!([signer.entry("0123f1822c38dd7a01")]).to_string();
        let (expected, _) = read(whole.as_bytes(), &signer.plan());
        let mut bytes = whole.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let (found, bad) = read(&bytes[..], &signer.plan());
        prop_assert!(found == expected || !bad.is_empty(), "{}", String::from_utf8_lossy(&bytes));
    }
}
