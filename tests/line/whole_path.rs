//! P-256 and RSA-2048 from the port to the label by the real program, and what witnesses say who had
//! no part in it: OpenSC of the tokens, boto3 of the cloud, a scanner of the labels.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::{CERTIFICATE_LABEL, UID_LABEL};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::bench::{Bench, Chip, port_name};
use crate::log::{self, Logged};
use crate::peers::{Cloud, SeenPolicy, SeenThing, read_object, scan};
use crate::program::Program;

const OPERATOR: &str = "Wilhelmina Technician";

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_path_on_ministack() {
    whole_path(&Cloud::ministack().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_path_on_moto() {
    whole_path(&Cloud::moto().await).await;
}

async fn whole_path(cloud: &Cloud) {
    let mut bench = Bench::new(2, cloud).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::Rsa2048)];
    bench.plug(1, "EC", &chips[0]);
    bench.plug(2, "RSA", &chips[1]);
    let ended = Program::on(&bench, ["run", "--json", "--units", "2", "--as", OPERATOR]).run().await.expect(0);

    let records = ended.json();
    assert_eq!(records.len(), 2, "{}", ended.out);
    let log = log::read(&bench.data_dir());
    for (lane, (name, chip)) in (1..).zip(["EC", "RSA"].into_iter().zip(&chips)) {
        let record = records.iter().find(|record| record["board"]["serial"] == bench.serial(name)).unwrap();
        the_record_is_true(record, &bench, lane, name, chip);
        the_log_is_in_order(record, &log, lane);
        the_proof_can_be_repeated(record, &log, chip);
        a_stranger_repeats_it_from_the_bundle(&bench, name).await;
    }
    nobody_is_named(&log);
    the_witness_sees_what_the_log_claims(cloud, &log, &bench);
    the_labels_carry_thing_and_fingerprint(&bench, &records);
}

/// Every field of the design's JSON, each against where it came from.
fn the_record_is_true(record: &Value, bench: &Bench<'_>, lane: u8, name: &str, chip: &Chip) {
    let der = read_object(&bench.token_dir(lane), "cert", CERTIFICATE_LABEL);
    let uid = hex::encode(read_object(&bench.token_dir(lane), "data", UID_LABEL));
    assert_eq!(der, chip.certificate);
    let certificate = Certificate::from_der(&der).unwrap();
    let tbs = certificate.tbs_certificate();
    let sha256 = |bytes: &[u8]| hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes));

    let keys: BTreeSet<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
    let design = "run station lane operator batch product board certificate chip_uid verdict reason cause thing \
                  targets label slip steps log started finished";
    assert_eq!(keys, design.split_whitespace().collect());
    assert!(record["run"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    assert_eq!(record["operator"], OPERATOR);
    assert_eq!(record["station"], "PRACTICE");
    assert_eq!(record["lane"], lane);
    assert_eq!(record["product"], "practice-board");
    assert_eq!(
        record["board"],
        json!({"serial": bench.serial(name), "port": port_name(lane), "vid": null, "pid": null})
    );
    assert_eq!(record["certificate"]["sha256"], sha256(&der));
    assert_eq!(record["certificate"]["spki_sha256"], sha256(&tbs.subject_public_key_info().to_der().unwrap()));
    let subject = record["certificate"]["subject"].as_str().unwrap();
    assert!(subject.contains(&format!("Lineseal PRACTICE {}", uid.to_uppercase())), "{subject}");
    let issuer = record["certificate"]["issuer"].as_str().unwrap();
    assert!(issuer.contains("Lineseal PRACTICE Vendor Intermediate"), "{issuer}");
    let serial = record["certificate"]["serial"].as_str().unwrap().replace(':', "").to_lowercase();
    assert_eq!(serial, hex::encode(tbs.serial_number().as_bytes()));
    assert_eq!(record["certificate"]["not_before"], "2020-01-01T00:00:00Z");
    assert_eq!(record["certificate"]["not_after"], "9999-12-31T00:00:00Z");
    assert_eq!(record["chip_uid"], uid);
    assert_eq!(record["verdict"], "PASS");
    for nothing in ["batch", "reason", "cause", "slip"] {
        assert_eq!(record[nothing], Value::Null, "{nothing}");
    }
    assert_eq!(record["thing"], bench.thing(name));
    assert_eq!(record["label"], json!({"status": "printed"}));
    let [target] = record["targets"].as_array().unwrap().as_slice() else { panic!("{record}") };
    let account = target["account"].as_str().unwrap();
    let region = bench.cloud.region.as_str();
    assert_eq!(target["region"], region);
    assert_eq!(target["status"], "ACTIVE");
    // AWS names a certificate after its DER.
    let arn = format!("arn:aws:iot:{region}:{account}:cert/{}", sha256(&der));
    assert_eq!(target["certificate_arn"], arn);
    let steps: Vec<&str> =
        record["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["detect", "identify", "read", "prove", "check", "register", "seal", "print"]);
    for step in record["steps"].as_array().unwrap() {
        assert_eq!(step["outcome"], "ok");
        assert!(step["ms"].is_u64(), "{step}");
    }
    let time = |field: &str| {
        let text = record[field].as_str().unwrap();
        assert!(text.ends_with('Z'), "UTC: {text}");
        text.parse::<jiff::Timestamp>().unwrap()
    };
    assert!(time("started") < time("finished"));
}

/// Intent before effect, the verdict before the label, and the receipt is the sealed event's.
fn the_log_is_in_order(record: &Value, log: &[Logged], lane: u8) {
    let events = log::of_run(log, record["run"].as_str().unwrap());
    assert_eq!(
        log::kinds(&events),
        [
            "run-started",
            "step-began identify",
            "identified",
            "step-began read",
            "chip-read",
            "step-began prove",
            "challenge-made first",
            "challenge-answered first",
            "step-began check",
            "claimed",
            "step-began register",
            "read-again",
            "challenge-made before-register",
            "challenge-answered before-register",
            "register-intended",
            "registered",
            "step-began seal",
            "read-again",
            "challenge-made after-connect",
            "challenge-answered after-connect",
            "identified-again",
            "sealed",
            "label-intended",
            "label-ended",
        ]
    );
    let event = |kind: &str| &events.iter().find(|logged| logged.kind() == kind).unwrap().event;
    assert_eq!(event("run-started")["lane"], lane);
    assert_eq!(event("claimed")["standing"], "new");
    assert_eq!(event("register-intended")["thing"], record["thing"]);
    assert_eq!(event("register-intended")["fingerprint"], record["certificate"]["sha256"]);
    assert_eq!(event("label-ended")["status"], "printed");

    let sealed = events.iter().find(|logged| logged.kind() == "sealed").unwrap();
    assert_eq!(sealed.event["verdict"], "PASS");
    assert_eq!(record["log"]["seq"], sealed.seq);
    // RFC 6962 §2.1: the leaf's hash is SHA-256(0x00 ‖ bytes).
    let mut leaf = vec![0];
    leaf.extend(&sealed.bytes);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &leaf);
    assert_eq!(sealed.leaf_hash, hash.as_ref());
    assert_eq!(record["log"]["leaf"], hex::encode(hash));
    assert!(log.iter().enumerate().all(|(index, logged)| logged.seq == index as u64), "a log without gaps");
}

/// Everything that the decision rested on is in the log: without a database, each answer of the chip verifies
/// and each certificate leads to the one that the profile pinned.
async fn a_stranger_repeats_it_from_the_bundle(bench: &Bench<'_>, name: &str) {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("bundle").display().to_string();
    let serial = bench.serial(name);
    Program::on(bench, ["audit", "prove", &serial, "--out", &bundle]).run().await.expect(0);
    let told = &Program::new(["audit", "verify-bundle", &bundle, "--json"]).run().await.expect(0).json()[0];
    assert_eq!((&told["chip_answers"], &told["paths"]), (&3.into(), &3.into()), "{told}");
    let python = std::process::Command::new(crate::peers::venv().join("bin/python"))
        .arg(dir.path().join("bundle/verify.py"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&python.stdout);
    assert!(python.status.success() && said.contains("3 of them with the path"), "{said}");
}

/// Every challenge of the log, under the key of the certificate in the token; and they differ.
fn the_proof_can_be_repeated(record: &Value, log: &[Logged], chip: &Chip) {
    use base64::Engine as _;
    let bytes = |value: &Value| {
        let text = value.as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(text).or_else(|_| hex::decode(text)).unwrap()
    };
    let events = log::of_run(log, record["run"].as_str().unwrap());
    let of = |kind: &str, field: &str| -> Vec<Vec<u8>> {
        events.iter().filter(|logged| logged.kind() == kind).map(|logged| bytes(&logged.event[field])).collect()
    };
    let challenges = of("challenge-made", "challenge");
    let signatures = of("challenge-answered", "signature");
    assert_eq!((challenges.len(), signatures.len()), (3, 3));
    assert!(challenges.iter().enumerate().all(|(n, one)| !challenges[..n].contains(one)));
    let certificate = Certificate::from_der(&chip.certificate).unwrap();
    let spki = certificate.tbs_certificate().subject_public_key_info();
    let key = spki.subject_public_key.raw_bytes();
    for (challenge, signature) in challenges.iter().zip(&signatures) {
        assert!(challenge.windows(21).any(|part| part == b"lineseal challenge v1"));
        let ecdsa = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(challenge, signature);
        let rsa = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(challenge, signature);
        assert!(ecdsa.is_ok() || rsa.is_ok());
    }
}

/// Events know people by id and salted hash.
fn nobody_is_named(log: &[Logged]) {
    let named = log::all(log, "operator-named");
    let [named] = named.as_slice() else { panic!("{named:?}") };
    assert!(named["operator"]["id"].is_string() && named["operator"]["name_sha256"].as_str().unwrap().len() == 64);
    for logged in log {
        assert!(!String::from_utf8_lossy(&logged.bytes).contains(OPERATOR));
    }
}

/// No thing, certificate, policy or attachment more, none less, and none in another state.
fn the_witness_sees_what_the_log_claims(cloud: &Cloud, log: &[Logged], bench: &Bench<'_>) {
    let seen = cloud.witness();
    let registered = log::all(log, "registered");
    let claimed = log::all(log, "claimed");
    assert_eq!((registered.len(), claimed.len()), (2, 2));

    let mut things = BTreeMap::new();
    let mut certificates = BTreeSet::new();
    for event in &registered {
        let run = event["run"].as_str().unwrap();
        let target = &event["target"];
        let claim = claimed.iter().find(|claim| claim["run"] == run).unwrap();
        let fingerprint = claim["identity"]["fingerprint"].as_str().unwrap();
        let thing = target["thing_arn"].as_str().unwrap().rsplit_once('/').unwrap().1;
        let arn = target["certificate_arn"].as_str().unwrap();
        things.insert(
            thing.to_owned(),
            SeenThing {
                thing_type: Some("practice-board".to_owned()),
                attributes: BTreeMap::from([("product".to_owned(), "practice-board".to_owned())]),
                principals: vec![arn.to_owned()],
            },
        );
        let certificate = &seen.certificates[fingerprint];
        assert_eq!(certificate.arn, arn);
        assert_eq!(certificate.status, "ACTIVE");
        assert_eq!(certificate.der_sha256, fingerprint);
        assert_eq!(certificate.things, [thing]);
        assert_eq!(certificate.policies, ["practice-device"]);
        certificates.insert(arn.to_owned());
    }
    assert_eq!(seen.things, things);
    assert_eq!(seen.things.keys().cloned().collect::<BTreeSet<_>>(), [bench.thing("EC"), bench.thing("RSA")].into());
    assert_eq!(seen.certificates.len(), 2);
    let document = serde_json::from_str(include_str!("../../assets/policies/device.json")).unwrap();
    let policy = SeenPolicy { document, targets: certificates.into_iter().collect() };
    assert_eq!(seen.policies, BTreeMap::from([("practice-device".to_owned(), policy)]));
}

fn the_labels_carry_thing_and_fingerprint(bench: &Bench<'_>, records: &[Value]) {
    let mut said: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(bench.labels()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "png") {
            said.extend(scan(&path));
        }
    }
    said.sort();
    let mut expected: Vec<String> = records
        .iter()
        .map(|record| {
            format!("{} {}", record["thing"].as_str().unwrap(), record["certificate"]["sha256"].as_str().unwrap())
        })
        .collect();
    expected.sort();
    assert_eq!(said, expected);
}
