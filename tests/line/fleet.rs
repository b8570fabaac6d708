//! Boards that get into AWS IoT by a claim: a certificate for the chip's key over MQTT, and the fleet's template.

use lineseal::domain::profile::{ConnectMode, KeyKind};
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::fleet_peer::{FleetPeer, Mood};
use crate::fleet_setup::Office;
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::rulings::root;
use crate::secrets::{collect, holds};
use crate::station::{Station, assert_outcome};

/// Makes what the practice profile says of a unit.
fn template() -> Value {
    json!({
        "Parameters": {
            "SerialNumber": { "Type": "String" },
            "AWS::IoT::Certificate::Id": { "Type": "String" },
        },
        "DeviceConfiguration": { "Broker": "plant-7.example:8883", "Name": { "Ref": "SerialNumber" } },
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Fn::Join": ["", ["practice-", { "Ref": "SerialNumber" }]] },
                "ThingTypeName": "practice-board",
                "AttributePayload": { "product": "practice-board" },
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" }, "Status": "Active",
            } },
            "policy": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "practice-device" } },
        },
    })
}

struct Line<'a> {
    office: Office<'a>,
    peer: &'a FleetPeer,
    template: String,
}

impl<'a> Line<'a> {
    /// `more`: of `[register.fleet]`; `None`: by a claim's files.
    async fn new(cloud: &'a Cloud, peer: &'a FleetPeer, more: Option<&str>) -> Line<'a> {
        let quick = |profile: String| {
            let profile = profile.replace("deadline_ms = 10000", "deadline_ms = 8000");
            profile.replace("deadline_ms = 15000", "deadline_ms = 3000")
        };
        let office = Office::of(Bench::connecting(1, cloud, ConnectMode::Optional, quick).await).await;
        let template = office.template(&template()).await;
        let [certificate, key] = office.claim(&template).await.map(|path| path.display().to_string());
        let claim = format!("claim = {{ certificate = {certificate:?}, key = {key:?} }}");
        let profile = office.bench.dir.path().join("assets/practice.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let text = text.replace("method = \"without-ca\"", "method = \"fleet\"").replace(
            "\n# Each chip connects",
            &format!(
                "\n[register.fleet]\ntemplate = {template:?}\nparameters = {{ SerialNumber = \"{{serial}}\" }}\n{}\n\
                 \n# Each chip connects",
                more.unwrap_or(&claim)
            ),
        );
        std::fs::write(&profile, text).unwrap();
        Line { office, peer, template }
    }

    /// One board, plugged and taken out again.
    async fn one(&mut self, name: &str, chip: &Chip, expected: &str) -> String {
        let mut station = Station::start(&self.office.bench).await;
        self.office.bench.plug(1, name, chip);
        let record = station.unit().await;
        assert_outcome(&record, expected);
        self.office.bench.unplug(1);
        station.until_gone(&[1]).await;
        station.stop().await;
        record.cause.unwrap_or_default()
    }

    /// The certificates of the chip's key that the cloud holds, and their states.
    async fn of_key(&self, chip: &Chip) -> Vec<(String, String)> {
        let aws = root(self.office.bench.cloud);
        let mut found = Vec::new();
        for certificate in aws.list_certificates().page_size(250).send().await.unwrap().certificates.unwrap() {
            let id = certificate.certificate_id.unwrap();
            // Another test's, deleted since the list was made.
            let Ok(held) = aws.describe_certificate().certificate_id(&id).send().await else { continue };
            let held = held.certificate_description.unwrap();
            let pem = held.certificate_pem.unwrap();
            let der = rustls::pki_types::pem::PemObject::from_pem_slice(pem.as_bytes());
            let der: rustls::pki_types::CertificateDer<'_> = der.unwrap();
            if der.windows(chip.spki.len()).any(|window| window == chip.spki) {
                found.push((id, held.status.unwrap().as_str().to_owned()));
            }
        }
        found
    }

    /// All that a unit shall have, once.
    async fn assert_whole(&self, name: &str, chip: &Chip) -> String {
        let [(id, status)] = &self.of_key(chip).await[..] else { panic!("{:?}", self.of_key(chip).await) };
        assert_eq!(status, "ACTIVE");
        let bench = &self.office.bench;
        let seen = bench.cloud.witness();
        assert_eq!(seen.certificates[id].things, [bench.thing(name)]);
        assert_eq!(seen.certificates[id].policies, ["practice-device"]);
        assert_eq!(seen.things[&bench.thing(name)].principals.len(), 1);
        id.clone()
    }
}

macro_rules! line {
    ($line:ident, $more:expr) => {
        let shared = Cloud::shared_with_broker().await;
        let (_, ca) = shared.mqtt.clone().unwrap();
        let peer = FleetPeer::before(shared.port, shared.region.as_str(), &ca).await;
        let mut cloud = shared.behind(shared.port);
        cloud.mqtt = Some((peer.port, peer.ca.clone()));
        #[allow(unused_mut)]
        let mut $line = Line::new(&cloud, &peer, $more).await;
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_gets_the_chips_own_key_a_certificate_and_a_second_run_gets_none() {
    line!(line, None);
    for (name, kind) in [("EC", KeyKind::EcP256), ("RSA", KeyKind::Rsa2048)] {
        let chip = line.office.bench.chip(kind);
        line.one(name, &chip, "PASS").await;
        let id = line.assert_whole(name, &chip).await;
        let asked = line.peer.asked().len();
        line.one(name, &chip, "PASS").await;
        assert_eq!(line.assert_whole(name, &chip).await, id);
        assert_eq!(line.peer.asked().len(), asked, "what is there is adopted");
    }
    let events = log::read(&line.office.bench.data_dir());
    let first = log::all(&events, "registered")[0];
    assert_eq!(first["target"]["device_configuration"]["Broker"], "plant-7.example:8883");
    let shown =
        Program::on(&line.office.bench, ["audit", "show", &line.office.bench.serial("EC")]).run().await.expect(0);
    assert!(shown.out.contains("plant-7.example:8883"), "{}", shown.out);
    // The broker takes certificates of AWS's alone: it is the new one that connects, and all topics are open there.
    assert!(log::all(&events, "not-connected").iter().all(|event| event["failure"]["code"] == "A-344"));
    assert_eq!(log::all(&events, "not-connected").len(), 4);
    // Neither the claim's key nor what proves a certificate's ownership.
    for logged in &events {
        let text = String::from_utf8_lossy(&logged.bytes);
        assert!(!text.contains("token-") && !text.contains("PRIVATE KEY"), "{text}");
    }
    Program::on(&line.office.bench, ["audit", "verify"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_user_enters_without_a_claims_files_and_the_board_is_given_its_configuration() {
    line!(line, Some("trusted_user = true\nconfigure = { command = [\"./keep\", \"{Broker}\", \"{Name}\"] }"));
    let keep = line.office.bench.dir.path().join("assets/keep");
    let kept = line.office.bench.dir.path().join("kept");
    std::fs::write(&keep, format!("#!/bin/sh\necho \"$1 $2\" > {}\n", kept.display())).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&keep, std::fs::Permissions::from_mode(0o755)).unwrap();
    let chip = line.office.bench.chip(KeyKind::EcP256);
    line.one("A", &chip, "PASS").await;
    line.assert_whole("A", &chip).await;
    let serial = line.office.bench.serial("A");
    assert_eq!(std::fs::read_to_string(&kept).unwrap().trim(), format!("plant-7.example:8883 {serial}"));
    let events = log::read(&line.office.bench.data_dir());
    assert_eq!(log::all(&events, "board-configured").len(), 1);

    // Again, when AWS answers nothing any more: what it had answered is in the log.
    std::fs::remove_file(&kept).unwrap();
    line.one("A", &chip, "PASS").await;
    assert_eq!(std::fs::read_to_string(&kept).unwrap().trim(), format!("plant-7.example:8883 {serial}"));
    // A board that does not take it does not pass.
    std::fs::write(&keep, "#!/bin/sh\nexit 1\n").unwrap();
    line.one("A", &chip, "ERROR B-109").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_is_never_told_an_empty_configuration_because_aws_answer_was_lost() {
    line!(line, Some("trusted_user = true\nconfigure = { command = [\"./keep\"], stdin = \"{configuration}\" }"));
    let keep = line.office.bench.dir.path().join("assets/keep");
    let kept = line.office.bench.dir.path().join("kept");
    std::fs::write(&keep, format!("#!/bin/sh\ncat > {}\n", kept.display())).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&keep, std::fs::Permissions::from_mode(0o755)).unwrap();
    let chip = line.office.bench.chip(KeyKind::EcP256);
    line.peer.set(Mood::ProvisionsInSilence);
    line.one("A", &chip, "ERROR A-369").await;
    line.peer.set(Mood::Good);
    for _ in 0..2 {
        let cause = line.one("A", &chip, "ERROR A-369").await;
        assert!(cause.contains("configuration was lost"), "{cause}");
    }
    assert!(!kept.exists());
    line.assert_whole("A", &chip).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_aws_refuses_has_its_code_and_leaves_nothing_and_the_next_run_passes() {
    line!(line, None);
    for (name, mood, expected) in [
        ("REQUEST", Mood::RejectsRequests, "ERROR A-366"),
        ("GARBAGE", Mood::SaysGarbage, "ERROR A-369"),
        ("TOKEN", Mood::ForgetsTheToken, "ERROR A-368"),
        ("HOOK", Mood::Hook, "ERROR A-367"),
        ("TEMPLATE", Mood::RejectsTheTemplate, "ERROR A-366"),
        ("SILENCE", Mood::ProvisionsInSilence, "ERROR A-369"),
    ] {
        let chip = line.office.bench.chip(KeyKind::EcP256);
        line.peer.set(mood);
        line.one(name, &chip, expected).await;
        line.peer.set(Mood::Good);
        line.one(name, &chip, "PASS").await;
        line.assert_whole(name, &chip).await;
    }
    Program::on(&line.office.bench, ["audit", "verify"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_key_or_another_thing_never_passes() {
    line!(line, None);
    let [key, thing, foreign] = [(); 3].map(|()| line.office.bench.chip(KeyKind::EcP256));
    line.peer.set(Mood::CertifiesAnotherKey);
    let cause = line.one("KEY", &key, "ERROR A-351").await;
    assert!(cause.contains("is for the key"), "{cause}");
    line.peer.set(Mood::MakesAnotherThing);
    line.one("THING", &thing, "FAIL A-358").await;
    assert_eq!(line.of_key(&thing).await[0].1, "INACTIVE");
    line.peer.set(Mood::Good);

    // A thing that is somebody else's: nobody is asked for a template.
    let (aws, name) = (root(line.office.bench.cloud), line.office.bench.thing("FOREIGN"));
    let theirs = aws.create_keys_and_certificate().send().await.unwrap().certificate_arn.unwrap();
    aws.create_thing().thing_name(&name).send().await.unwrap();
    aws.attach_thing_principal().thing_name(&name).principal(theirs).send().await.unwrap();
    let before = line.peer.asked().iter().filter(|topic| topic.contains("/provision/")).count();
    line.one("FOREIGN", &foreign, "FAIL S-111").await;
    let after = line.peer.asked().iter().filter(|topic| topic.contains("/provision/")).count();
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_no_good_and_a_template_that_is_not_there_are_told() {
    line!(line, None);
    let chip = line.office.bench.chip(KeyKind::EcP256);
    let folder = line.office.bench.dir.path().join("claims");
    let key = folder.join(format!("practice-{}.key", line.template));
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let cause = line.one("A", &chip, "ERROR A-365").await;
    assert!(cause.contains("open to others"), "{cause}");
    let good = std::fs::read(&key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    line.one("A", &chip, "ERROR A-365").await;
    std::fs::write(&key, good).unwrap();
    root(line.office.bench.cloud).delete_provisioning_template().template_name(&line.template).send().await.unwrap();
    let cause = line.one("A", &chip, "ERROR A-366").await;
    assert!(cause.contains("InvalidTemplate"), "{cause}");
}

/// A program that the board's key is given to on its standard input.
fn keeper(line: &Line<'_>, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let keep = line.office.bench.dir.path().join("assets/keep");
    let kept = line.office.bench.dir.path().join("kept");
    std::fs::write(&keep, format!("#!/bin/sh\n{}\n", script.replace("KEPT", &kept.display().to_string()))).unwrap();
    std::fs::set_permissions(&keep, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// The AWS certificates of all keys that were made, and what became of them.
async fn states(line: &Line<'_>) -> Vec<(String, String, Vec<String>)> {
    let aws = root(line.office.bench.cloud);
    let events = log::read(&line.office.bench.data_dir());
    let mut found = Vec::new();
    for event in log::all(&events, "certificate-issued") {
        let id = event["issued"]["fingerprint"].as_str().unwrap().to_owned();
        let held =
            aws.describe_certificate().certificate_id(&id).send().await.unwrap().certificate_description.unwrap();
        let things = aws.list_principal_things().principal(held.certificate_arn.unwrap()).send().await.unwrap();
        found.push((id, held.status.unwrap().as_str().to_owned(), things.things.unwrap_or_default()));
    }
    found
}

const KEYS: &str = "trusted_user = true\nkeys = \"aws\"\n\
                    configure = { command = [\"./keep\"], stdin = \"{certificate_pem}{private_key}{configuration}\" }";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_aws_makes_reaches_the_board_and_nobody_else() {
    line!(line, Some(KEYS));
    keeper(&line, "cat > KEPT");
    let chip = line.office.bench.chip(KeyKind::EcP256);
    line.office.bench.plug(1, "A", &chip);
    let ended = Program::on(&line.office.bench, ["run", "-vvv", "--json", "--units", "1"]).run().await.expect(0);
    let [made] = &line.peer.keys()[..] else { panic!("{}", line.peer.keys().len()) };
    let kept_file = line.office.bench.dir.path().join("kept");
    let kept = std::fs::read_to_string(&kept_file).unwrap();
    assert!(kept.contains(made.trim()) && kept.contains("BEGIN CERTIFICATE") && kept.contains("plant-7.example:8883"));

    // The chip's vendor certificate is what was claimed; that key made the connection, and the chip none.
    let record = &ended.json()[0];
    let issued = record["issued"]["sha256"].as_str().unwrap();
    assert_ne!(record["certificate"]["sha256"], issued);
    assert_ne!(record["certificate"]["spki_sha256"], record["issued"]["spki_sha256"]);
    let events = log::read(&line.office.bench.data_dir());
    // Its broker takes any topic: all that a connection by a certificate of AWS's could be refused for.
    let reached = |event: &&Value| event["failure"]["code"] == "A-344";
    assert_eq!(log::all(&events, "not-connected").into_iter().filter(reached).count(), 1);
    assert!(log::all(&events, "certificate-requested").is_empty() && log::all(&events, "keys-requested").len() == 1);

    // Nothing that was written or said holds a line of it.
    std::fs::remove_file(&kept_file).unwrap();
    let mut places = vec![("stdout".to_owned(), ended.out.into_bytes()), ("stderr".to_owned(), ended.err.into_bytes())];
    for folder in [line.office.bench.data_dir(), line.office.bench.labels()] {
        collect(&folder, &mut places);
    }
    let lines: Vec<&str> = made.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(lines.len() > 20);
    // The first lines are the modulus, which stands in the certificate as well (RFC 8017, A.1.2).
    for (name, bytes) in &places {
        for forbidden in lines[7..].iter().map(|line| &line[..line.len().min(40)]) {
            assert!(!holds(bytes, forbidden.as_bytes()), "{name} holds a part of the key");
        }
    }
    // The search works: the certificate's id is found in each.
    for place in ["stdout", "lineseal.db"] {
        let said = places.iter().any(|(name, bytes)| name.contains(place) && holds(bytes, issued.as_bytes()));
        assert!(said, "{place}");
    }
    assert!(places.iter().any(|(name, bytes)| name == "stderr" && bytes.len() > 1_000), "tracing was on");
    Program::on(&line.office.bench, ["audit", "verify"]).run().await.expect(0);
    let bundle = line.office.bench.dir.path().join("bundle.zip");
    let (serial, bundle) = (line.office.bench.serial("A"), bundle.display().to_string());
    Program::on(&line.office.bench, ["audit", "prove", &serial, "--out", &bundle]).run().await.expect(0);
    Program::new(["audit", "verify-bundle", &bundle]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_run_makes_a_key_of_its_own_and_a_board_that_does_not_take_it_does_not_pass() {
    line!(line, Some(KEYS));
    let chip = line.office.bench.chip(KeyKind::EcP256);
    // It repeats all that it was given.
    keeper(&line, "cat; cat >&2; exit 3");
    let cause = line.one("A", &chip, "ERROR B-109").await;
    assert!(cause.ends_with("ended with status 3"), "{cause}");
    keeper(&line, "cat > KEPT");
    for keys in 2..4 {
        line.one("A", &chip, "PASS").await;
        assert_eq!(line.peer.keys().len(), keys);
        let kept = std::fs::read_to_string(line.office.bench.dir.path().join("kept")).unwrap();
        assert!(kept.contains(line.peer.keys().last().unwrap().trim()));
        let mut states = states(&line).await;
        let (_, status, things) = states.pop().unwrap();
        assert_eq!((status.as_str(), things), ("ACTIVE", vec![line.office.bench.thing("A")]));
        assert!(states.iter().all(|(_, status, things)| status == "INACTIVE" && things.is_empty()), "{states:?}");
    }
    // A key that is not the certificate's is nobody's.
    line.peer.set(Mood::CertifiesAnotherKey);
    let other = line.office.bench.chip(KeyKind::EcP256);
    line.one("OTHER", &other, "ERROR A-352").await;
    for (name, mood, expected) in [
        ("REQUEST", Mood::RejectsRequests, "ERROR A-366"),
        ("GARBAGE", Mood::SaysGarbage, "ERROR A-369"),
        ("TOKEN", Mood::ForgetsTheToken, "ERROR A-368"),
        ("SILENCE", Mood::ProvisionsInSilence, "ERROR A-369"),
    ] {
        let chip = line.office.bench.chip(KeyKind::EcP256);
        line.peer.set(mood);
        line.one(name, &chip, expected).await;
        line.peer.set(Mood::Good);
        line.one(name, &chip, "PASS").await;
    }
    Program::on(&line.office.bench, ["audit", "verify"]).run().await.expect(0);
}
