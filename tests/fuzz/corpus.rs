//! The saved corpus: what it holds, and how it is made anew.
//!
//! Private keys are thrown away as soon as it is made. So its certificates and signatures are all there
//! ever were of these keys, and whatever else is accepted is forged.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lineseal::adapters::pkcs11::Report;
use lineseal::audit::LineEvent;
use lineseal::audit::event::{Reading, Ruling, TokenFacts};
use lineseal::domain::{Bytes, Failure, Fingerprint, ReasonCode, Verdict};
use lineseal::ports::{Contents, ObjectKind, TokenObject};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use serde_json::json;

use super::engine;
use super::store_contract::{self, line, run_id};

/// What the chips of the corpus have signed.
pub const MESSAGE: &[u8] = b"lineseal fuzz corpus";
/// Signs the certificates of `signed`.
pub const SIGNER: &str = "Fuzz Signer";
pub const KINDS: [&str; 4] = ["p256", "p384", "p521", "rsa2048"];

pub fn file(target: &str, name: &str) -> Vec<u8> {
    let path = engine::corpus(target).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `LINESEAL_RENEW=1` makes the genuine inputs anew; what was found is left where it is.
#[test]
fn the_corpus_is_there_for_every_target() {
    if std::env::var_os("LINESEAL_RENEW").is_some() {
        make();
    }
    for target in ["certificates", "answers", "signed", "worker", "serial", "station", "profile", "events", "manifests"]
    {
        assert!(!engine::saved(target).is_empty() || ["station", "profile"].contains(&target), "{target}");
    }
}

fn make() {
    chips();
    events();
    manifests();
    for (name, text) in [
        ("sn-line", &b"SN=GW4-0030954\r\n"[..]),
        (
            "boot-log",
            b"\x1b[2J[    0.000000] Linux version 6.1\r\nlogin: \r\nSERIAL: 0030954 MAC: 00:11:22:33:44:55\r\n",
        ),
        ("japanese", "型番: G4 SN=A1_^~\r\n".as_bytes()),
        ("noise", b"\xff\x00\xfe\x80SN=\xc3(\r\n"),
    ] {
        write("serial", name, text);
    }
}

fn chips() {
    let root_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let root = authority("Fuzz Root");
    write("certificates", "root.der", root.self_signed(&root_key).unwrap().der());
    let issuer_key = KeyPair::generate().unwrap();
    let intermediate = authority("Fuzz Intermediate");
    let signed = intermediate.signed_by(&issuer_key, &Issuer::from_params(&root, &root_key)).unwrap();
    write("certificates", "intermediate.der", signed.der());
    let (issuer, signer) = (Issuer::from_params(&intermediate, &issuer_key), authority(SIGNER));
    let mut frames = Vec::new();
    for (serial, kind) in (1..).zip(KINDS) {
        let key = match kind {
            "p256" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            "p384" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            "p521" => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512),
            _ => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048),
        }
        .unwrap();
        let mut leaf = named(&format!("chip-04005001ABCDE{serial}"));
        leaf.serial_number = Some(SerialNumber::from(vec![serial]));
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.is_ca = IsCa::ExplicitNoCa;
        let der = leaf.signed_by(&key, &issuer).unwrap().der().to_vec();
        write("certificates", &format!("leaf-{kind}.der"), &der);
        let answer = answer(kind, &key);
        write("answers", kind, &answer);
        // Their outside is made while the tests run, by a key that is there only then.
        let apart = leaf.signed_by(&key, &Issuer::from_params(&signer, &issuer_key)).unwrap();
        write("signed", kind, tbs(apart.der()));
        if kind == "p256" {
            frames = reports(der, answer);
        }
    }
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 1),
        next_update: date_time_ymd(2040, 1, 1),
        crl_number: SerialNumber::from(vec![1]),
        issuing_distribution_point: None,
        revoked_certs: (1..=4)
            .map(|serial| RevokedCertParams {
                serial_number: SerialNumber::from(vec![serial]),
                revocation_time: date_time_ymd(2026, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    write("certificates", "revoked.crl", list.signed_by(&issuer).unwrap().der());
    for (name, frame) in &frames {
        write("worker", name, frame);
    }
    write("worker", "conversation", &frames.iter().flat_map(|(_, frame)| frame.clone()).collect::<Vec<_>>());
}

fn reports(certificate: Vec<u8>, answer: Vec<u8>) -> Vec<(&'static str, Vec<u8>)> {
    let token = TokenFacts {
        module: "/usr/lib/softhsm/libsofthsm2.so".to_owned(),
        token_label: "board 1".to_owned(),
        certificate_found_as: "sss:F0000111".to_owned(),
        ..TokenFacts::default()
    };
    let object = |class, label: &str| TokenObject { class, label: Some(label.to_owned()), id: None, key_type: None };
    let objects = vec![object(ObjectKind::Certificate, "sss:F0000111"), object(ObjectKind::PrivateKey, "sss:F0000110")];
    let contents = Contents { token: token.clone(), objects, more: 0 };
    let reading = Reading { certificate: Bytes(certificate), uid: Some("04005001abcde1".parse().unwrap()), token };
    let frame = |report: Report| {
        let body = serde_json::to_vec(&report).unwrap();
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    };
    vec![
        ("calling", frame(Report::Calling("C_FindObjects".to_owned()))),
        ("opened", frame(Report::Opened)),
        ("read", frame(Report::Read(Box::new(reading)))),
        ("contents", frame(Report::Contents(Box::new(contents)))),
        ("signed", frame(Report::Signed(Bytes(answer)))),
        ("log-key", frame(Report::LogKey(Bytes(vec![7; 32])))),
        ("failed", frame(Report::Failed(Failure::new(ReasonCode::TOKEN_LOST, "CKR_DEVICE_REMOVED").with("pid", 7)))),
    ]
}

fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2049, 12, 31));
    params
}

pub fn authority(common_name: &str) -> CertificateParams {
    let mut params = named(common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn answer(kind: &str, key: &KeyPair) -> Vec<u8> {
    let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der()).unwrap();
        pair.sign(&SystemRandom::new(), MESSAGE).unwrap().as_ref().to_vec()
    };
    match kind {
        "p256" => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        "p384" => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        "p521" => ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING),
        _ => {
            let pair = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), MESSAGE, &mut out).unwrap();
            out
        }
    }
}

/// The first element of the outer sequence; both have lengths of two bytes.
fn tbs(certificate: &[u8]) -> &[u8] {
    assert_eq!((certificate[1], certificate[5]), (0x82, 0x82));
    let length = usize::from(u16::from_be_bytes([certificate[6], certificate[7]]));
    &certificate[4..8 + length]
}

fn events() {
    let run = run_id();
    let mut whole = store_contract::started(run, "A1", Some("WO-7"));
    whole.extend(store_contract::proven(run, "A1", 1));
    whole.push(store_contract::sealed(run, Verdict::Pass, None));
    let ruled = store_contract::ruled(Ruling::Release { unit: store_contract::unit("A1") });
    let single = [
        ("stopped", line(LineEvent::StationStopped {})),
        ("failed", store_contract::failed(run, ReasonCode::CHIP_LACKS_KEY)),
        ("ruled", ruled),
        ("imported", store_contract::imported(1, "A1", 1)),
        ("opened", store_contract::opened("WO-7", 20)),
        ("closed", store_contract::closed("WO-7")),
    ];
    for (name, event) in single {
        write("events", name, &event.encode().unwrap());
    }
    let lines: Vec<Vec<u8>> = whole.iter().map(|event| event.encode().unwrap()).collect();
    write("events", "run", &lines.join(&b'\n'));
}

fn manifests() {
    let print = "aa".repeat(32);
    let plain = format!("UID,Lot,SHA-256\n00112233,\"7,\n8\",{print}\n\n00112244,7,\n");
    write("manifests", "plain.csv", plain.as_bytes());
    write("manifests", "semicolons.csv", plain.replace(',', ";").replace('\n', "\r\n").as_bytes());
    let key = KeyPair::generate().unwrap();
    let certificate = named("Fuzz Manifest Signer").self_signed(&key).unwrap();
    write("manifests", "signer.der", certificate.der());
    let thumbprint = URL_SAFE_NO_PAD.encode(Fingerprint::of(certificate.der()).as_bytes());
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
    let entry = |uid: &str| {
        let chip = KeyPair::generate().unwrap();
        let certificate = named(uid).self_signed(&chip).unwrap();
        let header = json!({ "typ": "JWT", "alg": "ES256", "x5t#S256": thumbprint });
        let payload = json!({
            "version": 1, "model": "ATECC608A", "uniqueId": uid,
            "publicKeySet": { "keys": [{ "kid": "0", "kty": "EC", "crv": "P-256", "x5c": [STANDARD.encode(certificate.der())] }] },
        });
        let [header, payload] = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signature = pair.sign(&SystemRandom::new(), format!("{header}.{payload}").as_bytes()).unwrap();
        json!({ "payload": payload, "protected": header, "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()) })
    };
    let signed = json!([entry("0123f1822c38dd7a01"), entry("0123f1822c38dd7a02")]);
    write("manifests", "signed.json", signed.to_string().as_bytes());
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = engine::corpus(target);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(Path::new(&folder).join(name), bytes).unwrap();
}
