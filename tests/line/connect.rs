//! Each unit's own key connects to MiniStack's broker, which holds it to the policy that was attached to it.

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use lineseal::domain::profile::{ConnectMode, KeyKind};
use lineseal::practice::token::SoftHsm;
use serde_json::json;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, Chip};
use crate::hostile::{self, PLAN};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, outcome};

/// Gives up on the broker and on the cloud sooner.
fn quick(profile: String) -> String {
    profile.replace("deadline_ms = 15000", "deadline_ms = 3000").replace("deadline_ms = 10000", "deadline_ms = 2000")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_chip_connects_by_its_own_key_before_it_passes() {
    let cloud = Cloud::shared_with_broker().await;
    let mut bench = Bench::connecting(2, cloud, ConnectMode::Required, |profile| profile).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::Rsa2048)];
    bench.plug(1, "EC", &chips[0]);
    bench.plug(2, "RSA", &chips[1]);
    let ended = Program::on(&bench, ["run", "--json", "--units", "2"]).run().await.expect(0);
    let events = log::read(&bench.data_dir());
    for (name, schemes) in [("EC", ["ecdsa_secp256r1_sha256"; 2]), ("RSA", ["rsa_pss_rsae_sha256", "rsa_pkcs1_sha256"])]
    {
        let records = ended.json();
        let record = records.iter().find(|record| record["board"]["serial"] == bench.serial(name)).unwrap();
        assert_eq!(record["verdict"], "PASS", "{record}");
        let steps: Vec<_> = record["steps"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
        let expected = ["detect", "identify", "read", "prove", "check", "register", "connect", "seal", "print"];
        assert_eq!(steps, expected);
        let connection = &record["targets"][0]["connection"];
        assert_eq!(connection["outcome"], "ok");
        let run = log::of_run(&events, record["run"].as_str().unwrap());
        let kinds = log::kinds(&run);
        let order =
            ["registered", "step-began connect", "connected", "step-began seal", "challenge-made after-connect"];
        let at = order.map(|kind| kinds.iter().position(|known| known == kind).unwrap_or_else(|| panic!("{kinds:?}")));
        assert!(at.is_sorted(), "{kinds:?}");
        let shown = Program::on(&bench, ["audit", "show", record["run"].as_str().unwrap()]).run().await.expect(0);
        let told = shown.out + &shown.err;
        assert!(schemes.iter().any(|scheme| told.contains(scheme)), "{told}");
        assert!(told.contains(&format!("as {}", bench.thing(name))) && told.contains("SUBSCRIBE"), "{told}");
    }
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}

/// One good board with this profile: verdict and code, and the connection's outcome in its record.
async fn one(mode: ConnectMode, change: impl FnOnce(String) -> String) -> (String, serde_json::Value) {
    let cloud = Cloud::shared_with_broker().await;
    let mut bench = Bench::connecting(1, cloud, mode, |profile| change(quick(profile))).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    station.stop().await;
    let seen = cloud.witness();
    assert_eq!(seen.certificates[&chip.fingerprint()].status, "ACTIVE", "the unit has done nothing wrong");
    (outcome(&record), serde_json::to_value(&record).unwrap()["targets"][0]["connection"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_policy_does_not_allow_is_an_error_or_written_down() {
    let narrow = |profile: String| profile.replace("devices/{thing}/lineseal", "elsewhere/too/{thing}");
    assert_eq!(one(ConnectMode::Required, narrow).await.0, "ERROR A-343");
    let (outcome, connection) = one(ConnectMode::Optional, narrow).await;
    assert_eq!(outcome, "PASS");
    assert_eq!((&connection["outcome"], &connection["reason"]), (&json!("failed"), &json!("A-343")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_allows_what_it_should_refuse_is_an_error() {
    let broad = |profile: String| profile.replace("elsewhere/{thing}", "devices/{thing}/elsewhere");
    assert_eq!(one(ConnectMode::Required, broad).await.0, "ERROR A-344");
}

/// The read-back is over by then, and the verdict is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_comes_to_the_thing_while_the_unit_connects_is_no_pass() {
    let cloud = Cloud::shared_with_broker().await;
    let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    let config = std::fs::read_to_string(&bench.config_file).unwrap();
    let (before, rest) = config.split_once("mqtt = \"localhost:").unwrap();
    let (broker, after) = rest.split_once('"').unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let here = listener.local_addr().unwrap().port();
    std::fs::write(&bench.config_file, format!("{before}mqtt = \"localhost:{here}\"{after}")).unwrap();
    let (iot, thing, broker) = (root(cloud), bench.thing("A"), broker.parse::<u16>().unwrap());
    let meddler = tokio::spawn(async move {
        for nth in 0.. {
            let (mut device, _) = listener.accept().await.unwrap();
            if nth == 0 {
                let made = iot.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
                let second = iot.attach_thing_principal().thing_name(&thing);
                second.principal(made.certificate_arn.unwrap()).send().await.unwrap();
            }
            let mut broker = TcpStream::connect(("127.0.0.1", broker)).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut device, &mut broker).await });
        }
    });
    bench.plug(1, "A", &chip);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    let log = station.stop().await;
    meddler.abort();
    assert_eq!(outcome(&record), "FAIL S-111", "{record:?}");
    assert_eq!(log::all(&log, "connected").len(), 1, "what was shown stays shown");
    assert_eq!(cloud.witness().certificates[&chip.fingerprint()].status, "INACTIVE");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_waits_for_its_board_where_it_has_to_connect_and_its_board_finishes_it() {
    let cloud = Cloud::shared_with_broker().await;
    let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let held = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
    assert_eq!((&held["verdict"], &held["reason"]), (&json!("HELD"), &json!("A-301")));
    bench.unplug(1);
    bench.proxy.up().await.unwrap();

    let waits = Program::on(&bench, ["resume", "--json"]).run().await.expect(4).json().remove(0);
    assert_eq!((&waits["verdict"], &waits["reason"]), (&json!("HELD"), &json!("A-346")), "never PASS without it");
    assert_eq!(cloud.witness().certificates[&chip.fingerprint()].things, [bench.thing("A")]);
    let told = |events: &[log::Logged]| log::all(events, "resumed").len();
    let before = told(&log::read(&bench.data_dir()));
    let again = Program::on(&bench, ["resume", "--json"]).run().await.expect(4).json().remove(0);
    assert_eq!(again["reason"], json!("A-346"));
    assert_eq!(told(&log::read(&bench.data_dir())), before, "nothing is left that it could do");
    let slip = held["slip"].as_u64().unwrap().to_string();
    let early = Program::on(&bench, ["resume", "--slip", &slip]).run().await.expect(3);
    assert!(early.err.contains("A-346"), "{}", early.err);

    bench.plug(1, "A", &chip);
    let passed = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0).json().remove(0);
    assert_eq!((&passed["verdict"], &passed["label"]["status"]), (&json!("PASS"), &json!("printed")));
    assert_eq!(passed["targets"][0]["connection"]["outcome"], "ok");
    let nothing = Program::on(&bench, ["resume"]).run().await.expect(0);
    assert!(nothing.err.contains("nothing waits"), "{}", nothing.err);
}

/// The third signature is the one for TLS.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_lies_or_hangs_in_the_middle_of_a_handshake() {
    let cloud = Cloud::shared_with_broker().await;
    for (plan, expected, status) in
        [("C_Sign 3 other-data", "FAIL S-101", "INACTIVE"), ("C_Sign 3 stall", "ERROR T-204", "ACTIVE")]
    {
        let through_it = |profile: String| {
            let real = SoftHsm::find().unwrap().module.display().to_string();
            let module = format!("module = \"{}\"", hostile::module().display());
            let tokens =
                profile.split_once("SOFTHSM2_CONF = \"").unwrap().1.split_once("/{usb_path}").unwrap().0.to_owned();
            let plan = format!("HOSTILE_PLAN = \"{tokens}/{{usb_path}}/{PLAN}\"");
            profile
                .replace(&format!("module = \"{real}\""), &module)
                .replace("environment = { ", &format!("environment = {{ HOSTILE_REAL = \"{real}\", {plan}, "))
                .replace("call_timeout_ms = 3000", "call_timeout_ms = 2000")
        };
        let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, through_it).await;
        let chip: Chip = bench.chip(KeyKind::EcP256);
        std::fs::write(chip.token.path().join(PLAN), plan).unwrap();
        bench.plug(1, "BAD", &chip);
        let mut station = Station::start(&bench).await;
        let record = station.unit().await;
        let events = station.stop().await;
        hostile::nobody_left(&bench.token_dir(1), plan).await;
        assert_eq!(outcome(&record), expected, "{plan}");
        assert!(log::all(&events, "connected").is_empty(), "{plan}");
        assert_eq!(cloud.witness().certificates[&chip.fingerprint()].status, status, "{plan}");
    }
}
