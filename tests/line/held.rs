//! Units that wait for the cloud: finished by the station itself, in order; pulled out where one fails; and
//! products that may not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::domain::profile::KeyKind;
use lineseal::runner::view::Command;
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::log::{Logged, all};
use crate::peers::Cloud;
use crate::program::Program;
use crate::responder::{Do, Responder, error};
use crate::rulings::root;
use crate::station::{Station, assert_outcome};

pub async fn bench(change: fn(String) -> String) -> Bench<'static> {
    let quick = |text: String| change(text.replace("deadline_ms = 10000", "deadline_ms = 2000"));
    Bench::with_profile(1, Cloud::shared().await, quick).await
}

/// Held by a station that works, one after the other; their slips, in this order.
pub async fn hold(bench: &mut Bench<'_>, station: &mut Station, names: &[&str]) -> Vec<(u64, Chip)> {
    let mut held = Vec::new();
    for name in names {
        let chip = bench.chip(KeyKind::EcP256);
        bench.plug(1, name, &chip);
        let record = station.unit().await;
        assert_outcome(&record, "HELD A-301");
        held.push((record.slip.unwrap(), chip));
        bench.unplug(1);
        station.until_gone(&[1]).await;
    }
    held
}

fn of_kind<'l>(log: &'l [Logged], kind: &str) -> Vec<&'l Value> {
    log.iter().filter(|logged| logged.kind() == kind).map(|logged| &logged.event["run"]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_station_finishes_held_units_by_itself_in_their_order_when_the_cloud_is_back() {
    let mut bench = bench(|text| text).await;
    bench.proxy.down().await;
    let mut station = Station::start(&bench).await;
    let names = ["A", "B", "C", "D", "E", "F"];
    let held = hold(&mut bench, &mut station, &names).await;
    station.until("an absent cloud", |shown| format!("{:?}", shown.cloud).contains("A-301")).await;
    bench.proxy.up().await.unwrap();
    // Nobody asks for it, and no board is plugged in.
    let passed = station.units(names.len()).await;
    assert!(passed.iter().all(|record| record.verdict == lineseal::domain::Verdict::Pass), "{passed:#?}");
    station.until("nothing held", |shown| shown.held == 0).await;
    let log = station.stop().await;
    assert_eq!(of_kind(&log, "resumed"), of_kind(&log, "run-started"), "the oldest first");
    let seen = bench.cloud.witness();
    for (name, (_, chip)) in names.iter().zip(&held) {
        assert_eq!(seen.certificates[&chip.fingerprint()].things, [bench.thing(name)]);
    }
}

/// A target of another product is away, and stays so.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_waits_for_the_targets_of_its_own_product_alone() {
    let mut bench = bench(|text| text).await;
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let target = text.split("[[targets]]").nth(1).unwrap().split("\n\n").next().unwrap();
    let port = regex::Regex::new(r"127\.0\.0\.1:\d+").unwrap();
    let dead = port.replace_all(target, "127.0.0.1:1").replace("\"practice\"", "\"dead\"");
    assert!(dead.contains("127.0.0.1:1"), "{dead}");
    std::fs::write(&bench.config_file, format!("{text}\n[[targets]]{}\n", dead.trim_end())).unwrap();
    bench.proxy.down().await;
    let mut station = Station::start(&bench).await;
    hold(&mut bench, &mut station, &["A"]).await;
    bench.proxy.up().await.unwrap();
    assert_outcome(&station.unit().await, "PASS");
    let shown = station.until("nothing held", |shown| shown.held == 0).await;
    assert!(format!("{:?}", shown.cloud).contains("dead"), "{:?}", shown.cloud);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_that_fails_is_pulled_out_by_name_and_the_others_are_finished() {
    let mut bench = bench(|text| text).await;
    bench.proxy.down().await;
    let mut station = Station::start(&bench).await;
    let held = hold(&mut bench, &mut station, &["A", "B", "C"]).await;
    // Meanwhile somebody takes the second one's name.
    let cloud = root(bench.cloud);
    cloud.create_thing().thing_name(bench.thing("B")).send().await.unwrap();
    bench.proxy.up().await.unwrap();
    station.command(Command::ResumeHeld).await;
    let mut outcomes: Vec<String> = station.units(3).await.iter().map(crate::station::outcome).collect();
    outcomes.sort();
    assert_eq!(outcomes, ["FAIL S-111", "PASS", "PASS"]);

    let (slip, serial) = (held[1].0.to_string(), bench.serial("B"));
    let shown = station.until("the one to pull out", |shown| !shown.pulled.is_empty()).await;
    let [pulled] = &shown.pulled[..] else { panic!("{:?}", shown.pulled) };
    let told = ["slip", "unit", "code"].map(|arg| pulled.args[arg].as_str());
    assert_eq!((pulled.code.as_str(), told), ("O-617", [slip.as_str(), &serial, "S-111"]));
    // Whoever has it in their hands scans its slip: no label, and it is not said any more.
    station.command(Command::Scan(format!("SLIP-{slip}"))).await;
    let answered = |shown: &std::sync::Arc<lineseal::runner::view::Snapshot>| {
        shown.pulled.is_empty() && shown.notice.as_ref().is_some_and(|notice| notice.code.as_str() == "O-617")
    };
    station.until("the answer to the slip", answered).await;
    station.stop().await;
    let early = Program::on(&bench, ["resume", "--slip", &slip]).run().await.expect(3);
    assert!(early.err.contains("O-617") && early.err.contains(&serial), "{}", early.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_says_which_unit_to_pull_out_and_stops_where_the_cloud_is_still_away() {
    let mut bench = bench(|text| text).await;
    bench.proxy.down().await;
    let mut station = Station::start(&bench).await;
    let held = hold(&mut bench, &mut station, &["A", "B"]).await;
    station.stop().await;
    let waiting = Program::on(&bench, ["resume", "--json"]).run().await.expect(4);
    assert_eq!(waiting.json().len(), 1, "{}", waiting.err);
    assert!(waiting.err.contains("1 more units wait"), "{}", waiting.err);

    root(bench.cloud).create_thing().thing_name(bench.thing("A")).send().await.unwrap();
    bench.proxy.up().await.unwrap();
    let ended = Program::on(&bench, ["resume", "--json"]).run().await.expect(1);
    let verdicts: Vec<_> = ended.json().iter().map(|record| record["verdict"].clone()).collect();
    assert_eq!(verdicts, [json!("FAIL"), json!("PASS")]);
    let told = ["O-617", "S-111", &bench.serial("A"), &format!("Slip {}:", held[0].0)];
    assert!(told.iter().all(|part| ended.err.contains(part)), "{}", ended.err);
    assert!(!ended.err.contains(&format!("Slip {}:", held[1].0)), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_may_not_wait_is_never_held_and_its_board_is_tried_again() {
    let stop = |text: String| text.replace("deadline_ms = 2000", "deadline_ms = 2000\noffline = \"stop\"");
    let mut bench = bench(stop).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let run = async || Program::on(&bench, ["run", "--json", "--units", "1"]).run().await;
    let stopped = run().await.expect(3).json().remove(0);
    assert_eq!((&stopped["verdict"], &stopped["reason"]), (&json!("ERROR"), &json!("A-306")));
    assert_eq!(stopped["slip"], Value::Null);
    let nothing = Program::on(&bench, ["resume"]).run().await.expect(0);
    assert!(nothing.err.contains("nothing waits"), "{}", nothing.err);
    bench.proxy.up().await.unwrap();
    assert_eq!(run().await.expect(0).json().remove(0)["verdict"], "PASS");
    let log = crate::log::read(&bench.data_dir());
    assert_eq!(all(&log, "claimed").len(), 2);
}

/// A station whose cloud answers as `away` says until the flag is taken down.
async fn behind(
    bench: &Bench<'_>,
    away: impl Fn() -> Do + Send + Sync + 'static,
) -> (Station, Arc<AtomicBool>, Responder) {
    let stands = Arc::new(AtomicBool::new(true));
    let is_away = Arc::clone(&stands);
    let rule = move |_, _| if is_away.load(Ordering::Relaxed) { away() } else { Do::Pass };
    let responder = Responder::before(&bench.cloud.endpoint(), rule).await;
    let mut config = bench.config();
    config.targets[0].endpoint = Some(responder.endpoint());
    let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
    (Station::start_at(Arc::new(config), bench.data_dir(), credentials, |_| {}).await, stands, responder)
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_portal_units_are_held_and_pass_by_themselves_once_somebody_has_signed_in() {
    let mut bench = bench(|text| text).await;
    let page = || Do::Answer { status: 302, error: "", body: "<html>Sign in</html>".into() };
    let (mut station, portal, _responder) = behind(&bench, page).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "HELD A-317");
    station.until("the portal", |shown| format!("{:?}", shown.cloud).contains("A-317")).await;
    portal.store(false, Ordering::Relaxed);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    assert_eq!(bench.cloud.witness().certificates[&chip.fingerprint()].things, [bench.thing("A")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_has_expired_stops_the_board_that_is_plugged_in_and_no_unit_is_held_for_it() {
    let mut bench = bench(|text| text).await;
    let (mut station, expired, _responder) = behind(&bench, || error(403, "ExpiredTokenException")).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "ERROR A-318");
    expired.store(false, Ordering::Relaxed);
    bench.unplug(1);
    station.until_gone(&[1]).await;
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    assert!(of_kind(&station.stop().await, "resumed").is_empty());
}
