//! Boards whose things, certificates and attachments one RegisterThing makes, by a template of the profile's own.

use aws_sdk_iot::types::CertificateMode;
use lineseal::domain::certificate_pem;
use lineseal::domain::profile::{ConnectMode, KeyKind};
use serde_json::json;

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::register_thing::{Mood, RegisterThing};
use crate::rulings::root;
use crate::station::{Station, assert_outcome};

const TEMPLATE: &str = "\n[register.template]\nfile = \"template.json\"\n\
    parameters = { Serial = \"{serial}\", Certificate = \"{certificate_id}\", Product = \"{product}\" }\n";
const IN_A_CAS_NAME: &str = "\n[register.template]\nfile = \"template.json\"\n\
    parameters = { Serial = \"{serial}\", Certificate = \"{certificate_pem}\", Ca = \"{ca_certificate_pem}\", Product = \"{product}\" }\n";

/// What the practice profile says of a unit, made by functions.
fn template(certificate: serde_json::Value) -> String {
    let mut certificate = certificate;
    certificate["Status"] = json!("ACTIVE");
    let mut parameters = json!({ "Serial": { "Type": "String" }, "Certificate": { "Type": "String" } });
    parameters["Product"] = json!({ "Type": "String", "Default": "nothing" });
    if certificate.get("CACertificatePem").is_some() {
        parameters["Ca"] = json!({ "Type": "String" });
    }
    json!({
        "Parameters": parameters,
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Fn::Join": ["-", ["practice", { "Ref": "Serial" }]] },
                "ThingTypeName": "practice-board",
                "AttributePayload": { "product": { "Fn::Sub": "${Product}" } },
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": certificate },
            "policy": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "practice-device" } },
        },
    })
    .to_string()
}

fn by_template(profile: String, section: &str) -> String {
    let quick = profile.replace("deadline_ms = 10000", "deadline_ms = 8000");
    quick
        .replace("method = \"without-ca\"", "method = \"template\"")
        .replace("\n# Each chip connects", &format!("{section}\n# Each chip connects"))
}

struct Line<'a> {
    bench: Bench<'a>,
    peer: &'a RegisterThing,
}

impl<'a> Line<'a> {
    async fn new(cloud: &'a Cloud, peer: &'a RegisterThing) -> Line<'a> {
        let bench = Bench::with_profile(1, cloud, |profile| by_template(profile, TEMPLATE)).await;
        let by_id = template(json!({ "CertificateId": { "Ref": "Certificate" } }));
        std::fs::write(bench.dir.path().join("assets/template.json"), by_id).unwrap();
        Line { bench, peer }
    }

    /// One board, plugged and taken out again.
    async fn one(&mut self, name: &str, chip: &Chip, expected: &str) -> String {
        let mut station = Station::start(&self.bench).await;
        self.bench.plug(1, name, chip);
        let record = station.unit().await;
        assert_outcome(&record, expected);
        self.bench.unplug(1);
        station.until_gone(&[1]).await;
        station.stop().await;
        record.cause.unwrap_or_default()
    }

    /// All that a unit shall have, once.
    fn assert_whole(&self, name: &str, chip: &Chip) {
        let seen = self.bench.cloud.witness();
        let thing = &seen.things[&self.bench.thing(name)];
        assert_eq!(thing.attributes["product"], "practice-board");
        assert_eq!((thing.thing_type.as_deref(), thing.principals.len()), (Some("practice-board"), 1));
        let certificate = &seen.certificates[&chip.fingerprint()];
        assert_eq!((&certificate.things, certificate.status.as_str()), (&vec![self.bench.thing(name)], "ACTIVE"));
        assert_eq!(certificate.policies, ["practice-device"]);
        assert!(
            !seen
                .things
                .keys()
                .any(|other| *other != self.bench.thing(name) && other.contains(&self.bench.serial(name)))
        );
    }
}

macro_rules! line {
    ($line:ident) => {
        let shared = Cloud::shared().await;
        let peer = RegisterThing::before(shared.port, shared.region.as_str()).await;
        let cloud = shared.behind(peer.port);
        #[allow(unused_mut)]
        let mut $line = Line::new(&cloud, &peer).await;
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_makes_the_unit_in_one_call_and_a_second_run_makes_nothing() {
    line!(line);
    let chip = line.bench.chip(KeyKind::EcP256);
    line.one("A", &chip, "PASS").await;
    assert_eq!(line.peer.calls(), 1);
    line.assert_whole("A", &chip);
    line.one("A", &chip, "PASS").await;
    assert_eq!(line.peer.calls(), 1, "what is there is adopted");
    let events = log::read(&line.bench.data_dir());
    let records: Vec<_> = log::all(&events, "registered").iter().map(|event| event["target"].clone()).collect();
    let made = records[0]["created"].as_array().unwrap();
    for part in ["certificate", "thing", "policy-attachment", "thing-attachment"] {
        assert!(made.contains(&json!(part)), "{made:?}");
    }
    assert_eq!(records[1]["created"], json!([]));
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// A certificate by its PEM: the CA and its certificate are parameters, and the chip connects.
#[tokio::test(flavor = "multi_thread")]
async fn a_template_registers_a_certificate_in_its_cas_name_and_the_chip_connects() {
    let shared = Cloud::shared_with_broker().await;
    let peer = RegisterThing::before(shared.port, shared.region.as_str()).await;
    let cloud = shared.behind(peer.port);
    let change = |profile: String| {
        by_template(profile, IN_A_CAS_NAME).replace("method = \"template\"", "method = \"template\"\nca = \"own\"")
    };
    let mut bench = Bench::connecting(1, &cloud, ConnectMode::Required, change).await;
    let by_pem = json!({ "CertificatePem": { "Ref": "Certificate" }, "CACertificatePem": { "Ref": "Ca" } });
    std::fs::write(bench.dir.path().join("assets/template.json"), template(by_pem)).unwrap();
    let station = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, station + "\n[ca.own]\ncertificate = \"vendor/intermediate.pem\"\n").unwrap();
    let ca = certificate_pem(bench.vendor.intermediate());
    let request = root(&cloud).register_ca_certificate().ca_certificate(ca).set_as_active(true);
    let ca = request.certificate_mode(CertificateMode::SniOnly).send().await.unwrap().certificate_id;

    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "CA", &chip);
    let record = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0).json().remove(0);
    assert_eq!((&record["verdict"], &record["targets"][0]["connection"]["outcome"]), (&json!("PASS"), &json!("ok")));
    let seen = root(&cloud).describe_certificate().certificate_id(chip.fingerprint()).send().await.unwrap();
    assert_eq!(seen.certificate_description.unwrap().ca_certificate_id, ca);
    assert_eq!(peer.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_aws_refuses_is_an_error_and_passes_once_it_is_mended() {
    line!(line);
    let chip = line.bench.chip(KeyKind::EcP256);
    line.peer.set(Mood::Refuses);
    let cause = line.one("A", &chip, "ERROR A-362").await;
    assert!(cause.contains("made by the test"), "{cause}");
    line.peer.set(Mood::Good);
    line.one("A", &chip, "PASS").await;
    line.assert_whole("A", &chip);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_makes_too_little_or_something_else_never_passes() {
    line!(line);
    let [short, strange] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    line.peer.set(Mood::ForgetsThePolicy);
    let cause = line.one("SHORT", &short, "ERROR A-361").await;
    assert!(cause.contains("policy-attachment"), "{cause}");
    line.peer.set(Mood::MakesAnotherThing);
    let cause = line.one("STRANGE", &strange, "ERROR A-325").await;
    assert!(cause.contains("than-asked"), "{cause}");
    line.peer.set(Mood::Good);
    line.one("SHORT", &short, "PASS").await;
    line.assert_whole("SHORT", &short);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_was_cut_off_in_the_middle_is_held_and_resumed_and_nothing_is_made_twice() {
    line!(line);
    for (name, mood) in [("CUT", Mood::CutsInTheMiddle), ("LOST", Mood::LosesTheAnswer)] {
        let chip = line.bench.chip(KeyKind::EcP256);
        line.peer.set(mood);
        line.one(name, &chip, "HELD A-301").await;
        let calls = line.peer.calls();
        line.peer.set(Mood::Good);
        let resumed = Program::on(&line.bench, ["resume", "--json"]).run().await.expect(0).json().remove(0);
        assert_eq!(resumed["verdict"], "PASS", "{name}");
        line.assert_whole(name, &chip);
        let needed = u32::from(mood == Mood::CutsInTheMiddle);
        assert_eq!(line.peer.calls() - calls, needed, "{name}: what is there is adopted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thing_that_is_somebody_elses_fails_before_the_template_is_used() {
    line!(line);
    let [theirs, ours] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    let aws = root(line.bench.cloud);
    let pem = certificate_pem(&theirs.certificate);
    let arn = aws.register_certificate_without_ca().certificate_pem(pem).send().await.unwrap().certificate_arn.unwrap();
    aws.create_thing().thing_name(line.bench.thing("A")).send().await.unwrap();
    aws.attach_thing_principal().thing_name(line.bench.thing("A")).principal(&arn).send().await.unwrap();
    line.one("A", &ours, "FAIL S-111").await;
    assert_eq!(line.peer.calls(), 0);
    assert!(!line.bench.cloud.witness().certificates.contains_key(&ours.fingerprint()));
}
