//! Units that AWS registers by itself when their chips first connect. MiniStack does what AWS does on such a
//! connection (PENDING_ACTIVATION under the CA, and an end of the connection); what a provisioning template or a rule's
//! Lambda makes of it there, a hand of the test makes here, since no peer runs either.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use aws_sdk_iot::types::{AttributePayload, AutoRegistrationStatus, CertificateMode, CertificateStatus as AwsStatus};
use lineseal::domain::ReasonCode;
use lineseal::domain::certificate_pem;
use lineseal::domain::profile::{ConnectMode, KeyKind};
use lineseal::runner::view::{Command, Health, LaneState};
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::rulings::Line;
use crate::station::Station;

fn root(cloud: &Cloud) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// A line whose vendor's CA is registered with auto-registration.
async fn line(cloud: &Cloud, deadline_ms: u32) -> Bench<'_> {
    let method = "method = \"just-in-time\"\nca = \"own\"";
    let change = |profile: String| {
        let profile = profile.replace("method = \"without-ca\"", method);
        profile.replace("deadline_ms = 10000", &format!("deadline_ms = {deadline_ms}"))
    };
    let bench = Bench::connecting(1, cloud, ConnectMode::Required, change).await;
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let ca = "\n[ca.own]\ncertificate = \"vendor/intermediate.pem\"\nauto_registration = true\n";
    std::fs::write(&bench.config_file, text + ca).unwrap();
    let pem = certificate_pem(bench.vendor.intermediate());
    let request = root(cloud).register_ca_certificate().ca_certificate(pem).certificate_mode(CertificateMode::SniOnly);
    request.set_as_active(true).allow_auto_registration(true).send().await.unwrap();
    bench
}

/// What the rule or template makes of a certificate.
#[derive(Clone)]
struct Makes {
    thing: String,
    policy: Option<&'static str>,
    active: bool,
}

/// Waits for the chip's certificate to be PENDING_ACTIVATION, and makes of it what it shall.
async fn rule(cloud: &Cloud, chip: &Chip, makes: Makes) {
    let client = root(cloud);
    let id = chip.fingerprint();
    let arn = loop {
        let seen = client.describe_certificate().certificate_id(&id).send().await;
        let seen = seen.ok().and_then(|seen| seen.certificate_description);
        if let Some(seen) = seen.filter(|seen| seen.status == Some(AwsStatus::PendingActivation)) {
            break seen.certificate_arn.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // Each may be there from another board.
    let _ = client.create_thing_type().thing_type_name("practice-board").send().await;
    let attributes = AttributePayload::builder().attributes("product", "practice-board").build();
    let thing = client.create_thing().thing_name(&makes.thing).thing_type_name("practice-board");
    let _ = thing.attribute_payload(attributes).send().await;
    for name in ["practice-device", "another-device"] {
        let document = include_str!("../../assets/policies/device.json");
        let _ = client.create_policy().policy_name(name).policy_document(document).send().await;
    }
    client.attach_thing_principal().thing_name(&makes.thing).principal(&arn).send().await.unwrap();
    if let Some(policy) = makes.policy {
        client.attach_policy().policy_name(policy).target(&arn).send().await.unwrap();
    }
    if makes.active {
        client.update_certificate().certificate_id(&id).new_status(AwsStatus::Active).send().await.unwrap();
    }
}

/// One board's record, while the rule works.
async fn run(
    cloud: &Cloud,
    bench: &mut Bench<'_>,
    kind: KeyKind,
    makes: impl FnOnce(String) -> Option<Makes>,
) -> (Chip, Value, i32) {
    let chip = bench.chip(kind);
    bench.plug(1, "A", &chip);
    let program = Program::on(bench, ["run", "--json", "--units", "1"]);
    let ended = match makes(bench.thing("A")) {
        Some(makes) => {
            let ruled = rule(cloud, &chip, makes);
            let (ended, ruled) = tokio::join!(program.run(), tokio::time::timeout(Duration::from_secs(60), ruled));
            ruled.expect("the certificate is registered within a minute");
            ended
        }
        None => program.run().await,
    };
    (chip, ended.json().remove(0), ended.status)
}

fn as_the_profile_has_it(thing: String) -> Makes {
    Makes { thing, policy: Some("practice-device"), active: true }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_connects_is_registered_by_aws_and_passes() {
    let cloud = Cloud::with_broker().await;
    for kind in [KeyKind::EcP256, KeyKind::Rsa2048] {
        let mut bench = line(&cloud, 15_000).await;
        let (chip, record, status) = run(&cloud, &mut bench, kind, |thing| Some(as_the_profile_has_it(thing))).await;
        assert_eq!((status, &record["verdict"]), (0, &json!("PASS")), "{record}");
        assert_eq!(record["targets"][0]["connection"]["outcome"], "ok");
        let seen = cloud.witness();
        let certificate = &seen.certificates[&chip.fingerprint()];
        assert_eq!((certificate.status.as_str(), &certificate.things), ("ACTIVE", &vec![bench.thing("A")]));
        let events = log::read(&bench.data_dir());
        let registered = &log::all(&events, "registered")[0]["target"];
        assert_eq!(registered["created"], json!([]), "nothing was written by the station");
        // Once more: it is there.
        bench.unplug(1);
        bench.plug(1, "A", &chip);
        let again = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0).json().remove(0);
        assert_eq!(again["verdict"], "PASS");
        Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
    }
}

/// What it makes of a thing's name.
type Rule = fn(String) -> Makes;

/// What AWS leaves out is the line's fault, and what it makes otherwise the unit's.
#[tokio::test(flavor = "multi_thread")]
async fn what_aws_makes_of_a_chip_is_held_against_the_profile() {
    let cloud = Cloud::with_broker().await;
    let cases: [(&str, &str, Option<Rule>); 5] = [
        ("ERROR A-356", "PENDING_ACTIVATION", None),
        ("ERROR A-356", "PENDING_ACTIVATION", Some(|thing| Makes { active: false, ..as_the_profile_has_it(thing) })),
        ("ERROR A-359", "ACTIVE", Some(|thing| Makes { policy: None, ..as_the_profile_has_it(thing) })),
        (
            "FAIL A-358",
            "INACTIVE",
            Some(|thing| Makes { policy: Some("another-device"), ..as_the_profile_has_it(thing) }),
        ),
        ("FAIL S-112", "INACTIVE", Some(|thing| as_the_profile_has_it(format!("{thing}-other")))),
    ];
    for (outcome, left, makes) in cases {
        let mut bench = line(&cloud, 3_000).await;
        let (chip, record, _) = run(&cloud, &mut bench, KeyKind::EcP256, |thing| makes.map(|makes| makes(thing))).await;
        let told = format!("{} {}", record["verdict"].as_str().unwrap(), record["reason"].as_str().unwrap());
        assert_eq!(told, outcome, "{record}");
        assert_eq!(cloud.witness().certificates[&chip.fingerprint()].status, left, "{outcome}");
    }
}

/// A board's outcome while the rule works, on a line where QA can rule.
async fn joins(line: &mut Line<'_>, cloud: &Cloud, chip: &Chip, makes: Makes) -> (String, Value) {
    let ruled = tokio::time::timeout(Duration::from_secs(60), rule(cloud, chip, makes));
    let ((outcome, record, _), ruled) = tokio::join!(line.run("A", chip), ruled);
    ruled.expect("the certificate is registered within a minute");
    (outcome, record)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_board_joins_with_its_new_chip_and_the_old_ones_certificate_is_off() {
    let cloud = Cloud::with_broker().await;
    let mut line = Line::of(self::line(&cloud, 5_000).await).await;
    let makes = as_the_profile_has_it(line.bench.thing("A"));
    let [old, new] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(joins(&mut line, &cloud, &old, makes.clone()).await.0, "PASS");
    let (outcome, refused, _) = line.run("A", &new).await;
    assert_eq!(outcome, "FAIL S-108");
    line.ruled(&["rebind", &line.bench.serial("A"), "--run", refused["run"].as_str().unwrap()]).await;
    let (outcome, moved) = joins(&mut line, &cloud, &new, makes).await;
    assert_eq!(outcome, "PASS", "{moved}");
    let seen = cloud.witness();
    let [was, is] = [&old, &new].map(|chip| &seen.certificates[&chip.fingerprint()]);
    assert_eq!((was.status.as_str(), was.things.len(), was.policies.len()), ("INACTIVE", 0, 0));
    assert_eq!((is.status.as_str(), is.things.as_slice()), ("ACTIVE", &[line.bench.thing("A")][..]));
    let log = line.log();
    let last = log::all(&log, "registered").pop().unwrap();
    assert_eq!(last["target"]["replaced"], json!([old.fingerprint()]), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_the_station_set_inactive_passes_once_it_is_put_right_and_released() {
    let cloud = Cloud::with_broker().await;
    let mut line = Line::of(self::line(&cloud, 5_000).await).await;
    let thing = line.bench.thing("A");
    let chip = line.bench.chip(KeyKind::EcP256);
    let makes = Makes { policy: Some("another-device"), ..as_the_profile_has_it(thing) };
    assert_eq!(joins(&mut line, &cloud, &chip, makes).await.0, "FAIL A-358");
    let status = || cloud.witness().certificates[&chip.fingerprint()].status.clone();
    assert_eq!(status(), "INACTIVE");
    let arn = cloud.witness().certificates[&chip.fingerprint()].arn.clone();
    line.cloud.detach_policy().policy_name("another-device").target(&arn).send().await.unwrap();
    line.cloud.attach_policy().policy_name("practice-device").target(&arn).send().await.unwrap();
    line.ruled(&["release", &line.bench.serial("A")]).await;
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!((outcome.as_str(), status().as_str()), ("PASS", "ACTIVE"), "{record}");

    // In use by now: what somebody changes there is theirs, and stops no device.
    line.cloud.attach_policy().policy_name("another-device").target(&arn).send().await.unwrap();
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!((outcome.as_str(), status().as_str()), ("ERROR A-325", "ACTIVE"), "{record}");
    line.cloud.detach_policy().policy_name("another-device").target(&arn).send().await.unwrap();
    line.cloud.create_thing().thing_name("another-units").send().await.unwrap();
    line.attach_to("another-units", &arn).await;
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!((outcome.as_str(), status().as_str()), ("FAIL S-112", "ACTIVE"), "{record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_never_meets_aws_for_a_thing_that_is_another_units() {
    let cloud = Cloud::with_broker().await;
    let mut line = Line::of(self::line(&cloud, 5_000).await).await;
    line.cloud.create_thing().thing_name(line.bench.thing("A")).send().await.unwrap();
    let theirs = line.foreign_principal("A").await;
    let chip = line.bench.chip(KeyKind::EcP256);
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!(outcome, "FAIL S-111", "{record}");
    let seen = cloud.witness();
    assert!(!seen.certificates.contains_key(&chip.fingerprint()), "AWS has never seen it");
    assert_eq!(seen.things[&line.bench.thing("A")].principals, [theirs]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_whose_auto_registration_is_off_is_said_before_a_board_is_begun() {
    let cloud = Cloud::with_broker().await;
    let mut bench = line(&cloud, 5_000).await;
    let id = lineseal::domain::Fingerprint::of(bench.vendor.intermediate()).to_string();
    let client = root(&cloud);
    let switch = async |status: AutoRegistrationStatus| {
        client.update_ca_certificate().certificate_id(&id).new_auto_registration_status(status).send().await.unwrap();
    };
    switch(AutoRegistrationStatus::Disable).await;
    let mut station = Station::start(&bench).await;
    let off = |health: &Health| matches!(health, Health::Bad(failure) if failure.code == ReasonCode::JOIN_OFF);
    station.until("the auto-registration that is off", |snapshot| off(&snapshot.cloud)).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let refused =
        |state: &LaneState| matches!(state, LaneState::Refused { failure } if failure.code == ReasonCode::JOIN_OFF);
    station.until("a board that is not begun", |snapshot| refused(&snapshot.lanes[0].state)).await;
    switch(AutoRegistrationStatus::Enable).await;
    station.until("the CA", |snapshot| snapshot.cloud == Health::Good).await;
    station.command(Command::Retry(1.try_into().unwrap())).await;
    let ruled = rule(&cloud, &chip, as_the_profile_has_it(bench.thing("A")));
    let (record, ()) = tokio::join!(station.unit(), ruled);
    crate::station::assert_outcome(&record, "PASS");
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_away_is_an_error_and_no_unit_waits_for_it() {
    let cloud = Cloud::with_broker().await;
    let mut bench = line(&cloud, 1_500).await;
    bench.proxy.down().await;
    let (_, record, status) = run(&cloud, &mut bench, KeyKind::EcP256, |_| None).await;
    assert_eq!((status, &record["verdict"], &record["reason"]), (3, &json!("ERROR"), &json!("A-306")));
}
