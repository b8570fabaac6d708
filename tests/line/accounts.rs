//! Units land in the account that the configuration names, or nowhere.

use aws_credential_types::Credentials;
use lineseal::domain::ReasonCode;
use lineseal::domain::profile::KeyKind;
use lineseal::runner::view::{Health, LaneState, Snapshot};
use serde_json::json;

use crate::bench::{Bench, port_name};
use crate::iam::{self, ACCOUNT};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// Somebody else's, in MiniStack: its root has this number for a key.
const OTHER: &str = "333333333333";

/// Says these lines of the target of this name.
fn say(bench: &Bench<'_>, target: &str, lines: &str) {
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let name = format!("name = \"{target}\"\n");
    assert!(text.contains(&name), "{text}");
    std::fs::write(&bench.config_file, text.replace(&name, &format!("{name}{lines}\n"))).unwrap();
}

/// A second target beside the first, at the same stand-in.
fn add_target(bench: &Bench<'_>, name: &str, lines: &str) {
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let target = text.split("[[targets]]").nth(1).unwrap().split("\n\n").next().unwrap();
    let target = target.replace("\"practice\"", &format!("\"{name}\""));
    std::fs::write(&bench.config_file, format!("{text}\n[[targets]]{}\n{lines}\n", target.trim_end())).unwrap();
}

fn is_elsewhere(snapshot: &Snapshot) -> bool {
    matches!(&snapshot.cloud, Health::Bad(failure) if failure.code == ReasonCode::CLOUD_ELSEWHERE)
}

fn refused(snapshot: &Snapshot, lane: usize) -> Option<String> {
    match &snapshot.lanes.get(lane)?.state {
        LaneState::Refused { failure } => Some(format!("{failure}")),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_another_account_register_nothing_and_no_board_is_begun() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(1, cloud).await;
    let config = std::fs::read_to_string(&bench.config_file).unwrap();
    say(&bench, "practice", &format!("account = \"{OTHER}\""));
    let chip = bench.chip(KeyKind::EcP256);
    // It is there before the station has seen whose the target is.
    bench.plug(1, "EARLY", &chip);
    let mut station = Station::start(&bench).await;
    let seen = station.until("the refusal", |snapshot| refused(snapshot, 0).is_some()).await;
    let why = refused(&seen, 0).unwrap();
    assert!(why.starts_with("A-371: ") && why.contains(ACCOUNT) && why.contains(OTHER), "{why}");
    assert!(is_elsewhere(&seen), "{:?}", seen.cloud);
    let log = station.stop().await;
    assert!(log::all(&log, "run-started").is_empty());
    assert_eq!(log::all(&log, "board-refused")[0]["failure"]["code"], "A-371");
    assert!(!cloud.witness().certificates.contains_key(&chip.fingerprint()));
    // Without a window it is said, too.
    let running = Program::on(&bench, ["run"]).start();
    running.until_said("A-371");
    running.interrupt().expect(0);
    bench.unplug(1);

    // The nearest legitimate case.
    std::fs::write(&bench.config_file, config).unwrap();
    say(&bench, "practice", &format!("account = \"{ACCOUNT}\""));
    bench.plug(1, "EARLY", &chip);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.targets[0].account.as_str(), ACCOUNT);
    station.stop().await;
}

/// It was away when the station began, and its credentials turn out to be others' when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_comes_back_is_asked_whose_it_is_and_its_held_units_wait() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(2, cloud).await;
    say(&bench, "practice", &format!("account = \"{OTHER}\""));
    bench.proxy.down().await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "WAITS", &chip);
    assert_outcome(&station.unit().await, "HELD A-301");
    bench.proxy.up().await.unwrap();
    station.until("another account", |snapshot| is_elsewhere(snapshot)).await;
    let second = bench.chip(KeyKind::EcP256);
    bench.plug(2, "LATER", &second);
    let seen = station.until("the refusal", |snapshot| refused(snapshot, 1).is_some()).await;
    assert_eq!(seen.held, 1);
    station.stop().await;
    // Nor does it get there by being asked for.
    let resumed = Program::on(&bench, ["resume", "--json"]).run().await.expect(4);
    assert_eq!(resumed.json().remove(0)["reason"], "A-371");
    let there = cloud.witness().certificates;
    assert!(![&chip, &second].iter().any(|chip| there.contains_key(&chip.fingerprint())));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_targets_the_wrong_one_stops_its_own_product_and_no_other() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(2, cloud).await;
    add_target(&bench, "other", &format!("account = \"{OTHER}\""));
    say(&bench, "practice", &format!("account = \"{ACCOUNT}\""));
    let assets = bench.dir.path().join("assets");
    let profile = std::fs::read_to_string(assets.join("practice.toml")).unwrap();
    let of_lane = |lane, targets: &str| {
        profile
            .replace("'^jig-[0-9]+$'", &format!("'^{}$'", port_name(lane)))
            .replace("targets = [\"practice\"]", targets)
    };
    let both = of_lane(2, "targets = [\"practice\", \"other\"]").replace("\"practice-board\"", "\"both\"");
    std::fs::write(assets.join("practice.toml"), of_lane(1, "targets = [\"practice\"]")).unwrap();
    std::fs::write(assets.join("both.toml"), both).unwrap();
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let text = text.replace("[\"assets/practice.toml\"]", "[\"assets/practice.toml\", \"assets/both.toml\"]");
    std::fs::write(&bench.config_file, text).unwrap();

    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    station.until("another account", |snapshot| is_elsewhere(snapshot)).await;
    bench.plug(2, "BOTH", &chips[1]);
    let seen = station.until("the refusal", |snapshot| refused(snapshot, 1).is_some()).await;
    assert!(refused(&seen, 1).unwrap().contains(OTHER), "{:?}", refused(&seen, 1));
    bench.plug(1, "ONE", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    let there = cloud.witness().certificates;
    assert_eq!(chips.map(|chip| there.contains_key(&chip.fingerprint())), [true, false]);
}

/// The station's own user may do nothing but take on a role of the account that the units belong to.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_another_account_is_taken_on_and_its_external_id_has_to_be_right() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(1, cloud).await;
    let (user, name) = (bench.serial("user"), bench.serial("role"));
    let arn = format!("arn:aws:iam::{OTHER}:role/{name}");
    let may = |action: &str, resource: &str| {
        let statement = json!({ "Effect": "Allow", "Action": action, "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    };
    let keys = iam::user(cloud, &user, &may("sts:AssumeRole", &arn)).await;
    let trust = json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:user/{user}") },
        "Condition": { "StringEquals": { "sts:ExternalId": "plant-7" } },
    }] });
    iam::role(cloud, OTHER, &name, &trust, &may("iot:*", "*")).await;
    let run = |bench: &Bench<'_>| {
        Program::on(bench, ["run", "--json", "--units", "1"])
            .env("AWS_ACCESS_KEY_ID", &keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &keys.secret)
    };
    let chip = bench.chip(KeyKind::EcP256);
    let lines = format!("account = \"{OTHER}\"\nrole_arn = \"{arn}\"\nexternal_id = \"plant-8\"");
    say(&bench, "practice", &lines);
    bench.plug(1, "ROLE", &chip);
    let ended = run(&bench).run().await.expect(3).json().remove(0);
    assert_eq!((&ended["verdict"], &ended["reason"]), (&json!("ERROR"), &json!("A-372")), "{ended}");
    bench.unplug(1);

    let config = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, config.replace("plant-8", "plant-7")).unwrap();
    bench.plug(1, "ROLE", &chip);
    let ended = run(&bench).run().await.expect(0).json().remove(0);
    assert_eq!((&ended["verdict"], &ended["targets"][0]["account"]), (&json!("PASS"), &json!(OTHER)), "{ended}");
    let there = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new(OTHER, "test", None, None, "test"));
    let there = aws_sdk_iot::Client::from_conf(there.build());
    assert!(there.describe_certificate().certificate_id(chip.fingerprint()).send().await.is_ok());
    assert!(!cloud.witness().certificates.contains_key(&chip.fingerprint()));
}

/// moto as a second opinion: its only account is 123456789012.
#[tokio::test(flavor = "multi_thread")]
async fn moto_tells_whose_the_credentials_are_likewise() {
    let cloud = Cloud::moto().await;
    let mut bench = Bench::new(1, &cloud).await;
    let config = std::fs::read_to_string(&bench.config_file).unwrap();
    say(&bench, "practice", &format!("account = \"{OTHER}\""));
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "MOTO", &chip);
    let mut station = Station::start(&bench).await;
    station.until("the refusal", |snapshot| refused(snapshot, 0).is_some_and(|why| why.contains("123456789012"))).await;
    station.stop().await;
    std::fs::write(&bench.config_file, config).unwrap();
    say(&bench, "practice", "account = \"123456789012\"");
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}
