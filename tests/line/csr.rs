//! Certificates that are made for the chips' own keys, through the whole line: requested by the key in the token,
//! made by AWS, recorded, and used from then on.

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use lineseal::audit::RunEvent;
use lineseal::domain::Fingerprint;
use lineseal::domain::profile::{ConnectMode, KeyKind};
use serde_json::{Value, json};
use x509_cert::der::{Decode as _, Encode as _};

use crate::bench::Bench;
use crate::gate;
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

pub fn csr(profile: String) -> String {
    profile.replace("method = \"without-ca\"", "method = \"csr\"")
}

fn root(cloud: &Cloud) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// All certificates in the cloud that carry this key, by id, with their status.
async fn of_key(cloud: &Cloud, spki: &[u8]) -> Vec<(String, String)> {
    let client = root(cloud);
    let mut found = Vec::new();
    for id in cloud.witness().certificates.into_keys() {
        let seen = client.describe_certificate().certificate_id(&id).send().await.unwrap();
        let seen = seen.certificate_description.unwrap();
        let pem = seen.certificate_pem.unwrap();
        let (_, der) = x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap();
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        if certificate.tbs_certificate().subject_public_key_info().to_der().unwrap() == spki {
            found.push((id, seen.status.unwrap().as_str().to_owned()));
        }
    }
    found
}

async fn run_one(bench: &Bench<'_>, status: i32) -> Value {
    Program::on(bench, ["run", "--json", "--units", "1"]).run().await.expect(status).json().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_made_for_each_chips_key_and_is_what_connects() {
    let cloud = Cloud::shared_with_broker().await;
    for (name, kind) in [("EC", KeyKind::EcP256), ("RSA", KeyKind::Rsa2048)] {
        let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, csr).await;
        let chip = bench.chip(kind);
        bench.plug(1, name, &chip);
        let record = run_one(&bench, 0).await;
        assert_eq!(
            (&record["verdict"], &record["certificate"]["sha256"]),
            (&json!("PASS"), &json!(chip.fingerprint()))
        );
        let issued = &record["issued"];
        let id = issued["sha256"].as_str().unwrap().to_owned();
        assert_eq!(
            (&issued["origin"], &issued["subject"]),
            (&json!("made"), &json!(format!("CN={}", bench.thing(name))))
        );
        assert_eq!(issued["spki_sha256"], record["certificate"]["spki_sha256"]);
        assert_eq!(record["targets"][0]["connection"]["outcome"], "ok");
        assert!(record["targets"][0]["certificate_arn"].as_str().unwrap().ends_with(&format!(":cert/{id}")));

        let seen = cloud.witness();
        assert_eq!(of_key(cloud, &chip.spki).await, [(id.clone(), "ACTIVE".to_owned())]);
        assert!(!seen.certificates.contains_key(&chip.fingerprint()), "the factory certificate stays where it is");
        assert_eq!(seen.certificates[&id].things, [bench.thing(name)]);
        assert_eq!(seen.certificates[&id].policies, ["practice-device"]);

        let events = log::read(&bench.data_dir());
        let run = log::of_run(&events, record["run"].as_str().unwrap());
        let kinds = log::kinds(&run);
        let order = [
            "request-made",
            "certificate-requested",
            "certificate-issued",
            "register-intended",
            "registered",
            "connected",
        ];
        let at = order.map(|kind| kinds.iter().position(|known| known == kind).unwrap_or_else(|| panic!("{kinds:?}")));
        assert!(at.is_sorted(), "{kinds:?}");
        let der = hex_or_base64(&log::all(&events, "certificate-issued")[0]["issued"]["certificate"]);
        assert_eq!(Fingerprint::of(&der).to_string(), id);
        assert!(log::all(&events, "certificate-requested")[0]["request"].is_string());

        // Once more: nothing new is made.
        bench.unplug(1);
        bench.plug(1, name, &chip);
        let again = run_one(&bench, 0).await;
        assert_eq!((&again["issued"]["sha256"], &again["issued"]["origin"]), (&json!(id), &json!("known")));
        assert_eq!(of_key(cloud, &chip.spki).await.len(), 1);

        let shown = Program::on(&bench, ["audit", "show", record["run"].as_str().unwrap()]).run().await.expect(0);
        let told = shown.out + &shown.err;
        assert!(told.contains("was made for the chip's key") && told.contains(&id), "{told}");
        Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
        let bundle = bench.dir.path().join("bundle.zip").display().to_string();
        let serial = bench.serial(name);
        Program::on(&bench, ["audit", "prove", &serial, "--out", &bundle]).run().await.expect(0);
        Program::on(&bench, ["audit", "verify-bundle", &bundle]).run().await.expect(0);
    }
}

fn hex_or_base64(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// What was made and never recorded is found by its key, and taken: INACTIVE until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_before_a_crash_is_found_and_taken_by_the_next_run() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::with_profile(1, cloud, csr).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    // Held right after the request is in the log; the certificates are made by a stranger's hand, as if the station
    // had been killed between AWS's answer and its record, twice.
    let (station, gate) = gate::gated(&bench, |event| matches!(event, RunEvent::CertificateRequested { .. })).await;
    gate.reached_by(1).await;
    let events = log::read(&bench.data_dir());
    let request = hex_or_base64(&log::all(&events, "certificate-requested")[0]["request"]);
    drop(station);
    let client = root(cloud);
    for _ in 0..2 {
        let pem = lineseal::domain::request_pem(&request);
        client.create_certificate_from_csr().certificate_signing_request(pem).send().await.unwrap();
    }
    let before = of_key(cloud, &chip.spki).await;
    assert_eq!(before.iter().map(|(_, status)| status.as_str()).collect::<Vec<_>>(), ["INACTIVE", "INACTIVE"]);

    let ended = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(3);
    let record =
        ended.json().into_iter().find(|record| record["verdict"] == "PASS").unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!(record["issued"]["origin"], "found");
    let id = record["issued"]["sha256"].as_str().unwrap().to_owned();
    assert!(before.iter().any(|(made, _)| *made == id));
    assert_eq!(of_key(cloud, &chip.spki).await, [(id, "ACTIVE".to_owned())], "the double is gone");
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}

/// Its board is needed to go on: nothing is HELD.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_away_stops_the_line_and_the_board_is_tried_again() {
    let cloud = Cloud::shared().await;
    let quick = |profile: String| csr(profile).replace("deadline_ms = 10000", "deadline_ms = 1500");
    let mut bench = Bench::with_profile(1, cloud, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let stopped = run_one(&bench, 3).await;
    assert_eq!((&stopped["verdict"], &stopped["reason"]), (&json!("ERROR"), &json!("A-306")));
    bench.unplug(1);
    bench.proxy.up().await.unwrap();
    bench.plug(1, "A", &chip);
    assert_eq!(run_one(&bench, 0).await["verdict"], "PASS");
    assert_eq!(of_key(cloud, &chip.spki).await.len(), 1);
}

/// Taken back by two persons, and released: the same certificate where it is still there, a new one where it was
/// deleted.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_fails_has_what_was_made_set_inactive() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::with_profile(1, cloud, csr).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "PASS");
    bench.unplug(1);
    station.until_gone(&[1]).await;
    // Somebody else's certificate on the thing: foreign.
    let client = root(cloud);
    let other = client.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
    let arn = other.certificate_arn.unwrap();
    client.attach_thing_principal().thing_name(bench.thing("A")).principal(&arn).send().await.unwrap();
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "FAIL S-111");
    station.stop().await;
}
