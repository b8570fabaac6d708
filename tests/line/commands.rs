//! The command line: what each command prints, and its exit status.

use std::time::{Duration, Instant};

use lineseal::adapters::sqlite::StationLock;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::board::{Behaviour, PtyBoard};
use lineseal::practice::setup::{KEY_LABEL, PORTS};
use lineseal::runner::view::Command;
use serde_json::{Value, json};

use crate::bench::{Bench, port_name};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_opened_counted_and_closed() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let run = async |bench: &Bench<'_>, args: &[&str], status: i32| {
        Program::on(bench, args.iter().copied()).run().await.expect(status)
    };
    assert!(run(&bench, &["batch", "show"], 2).await.err.contains("no batch is open"));
    assert!(run(&bench, &["batch", "close"], 2).await.err.contains("O-606"));
    run(&bench, &["batch", "open", "WO 17/4", "--planned", "25", "--as", "Supervisor"], 0).await;
    assert!(run(&bench, &["batch", "open", "WO 18", "--planned", "1"], 2).await.err.contains("WO 17/4"));

    // Good, bad, and one that passes at its second attempt.
    let mut station = Station::start(&bench).await;
    let good = bench.chip(KeyKind::EcP256);
    bench.plug(1, "GOOD", &good);
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.batch.as_deref(), Some("WO 17/4"));
    bench.unplug(1);
    station.until_gone(&[1]).await;
    let bad = bench.chip(KeyKind::EcP256);
    bad.token.delete_key(KEY_LABEL).unwrap();
    bench.plug(1, "BAD", &bad);
    assert_outcome(&station.unit().await, "FAIL T-207");
    bench.unplug(1);
    station.until_gone(&[1]).await;
    // The station's PIN is wrong for a while: the line's fault, of a unit that is known.
    let late = bench.chip(KeyKind::EcP256);
    std::fs::write(bench.dir.path().join("assets/pin"), "0000").unwrap();
    bench.plug(1, "LATE", &late);
    assert_outcome(&station.unit().await, "ERROR T-206");
    let shown = async |bench: &Bench<'_>| {
        // Another process, while the station works.
        let shown = run(bench, &["batch", "show", "--json"], 0).await.json().remove(0);
        let fields = ["passed", "planned", "failed", "errors", "held", "first_attempts", "first_passes"];
        (shown.clone(), json!(fields.map(|field| shown[field].clone())))
    };
    assert_eq!(shown(&bench).await.1, json!([1, 25, 1, 1, 0, 3, 1]));
    std::fs::write(bench.dir.path().join("assets/pin"), "1234").unwrap();
    station.command(Command::Retry(1.try_into().unwrap())).await;
    assert_outcome(&station.unit().await, "PASS");
    let (batch, figures) = shown(&bench).await;
    // The second attempt makes the unit good, and the first-pass yield no better.
    assert_eq!(figures, json!([2, 25, 1, 0, 0, 3, 1]));
    assert_eq!((&batch["batch"], &batch["product"]), (&json!("WO 17/4"), &json!("practice-board")));
    assert_eq!((&batch["profile"], &batch["closed"]), (&json!("practice"), &Value::Null));
    let view = station.until("the batch's figures", |snapshot| snapshot.batch.as_ref().is_some_and(|b| b.passed == 2));
    let view = view.await.batch.clone().unwrap();
    assert_eq!((view.planned, view.first_attempts, view.first_passes), (25, 3, 1));
    station.stop().await;

    run(&bench, &["batch", "close"], 0).await;
    assert!(run(&bench, &["batch", "open", "WO 17/4", "--planned", "1"], 2).await.err.contains("before"));
    run(&bench, &["batch", "open", "WO 18", "--profile", "practice", "--planned", "1"], 0).await;
    assert!(
        run(&bench, &["batch", "open", "WO 19", "--profile", "nope", "--planned", "1"], 2).await.err.contains("nope")
    );
    let list = run(&bench, &["batch", "list"], 0).await.out;
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].contains("WO 18") && lines[0].contains("open"), "{list}");
    assert!(lines[1].contains("WO 17/4") && lines[1].contains("closed") && lines[1].contains("33.3 %"), "{list}");
    assert!(run(&bench, &["batch", "show", "WO 99"], 2).await.err.contains("there is no batch WO 99"));
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_lists_every_mistake_of_every_file() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let good = Program::on(&bench, ["config", "check"]).run().await.expect(0);
    assert!(good.err.contains("no mistakes"), "{}", good.err);

    let edit = |path: &std::path::Path, change: &dyn Fn(String) -> String| {
        std::fs::write(path, change(std::fs::read_to_string(path).unwrap())).unwrap();
    };
    edit(&bench.config_file, &|text| text.replace("debounce_ms = 150", "debonce_ms = 150"));
    let profile = bench.dir.path().join("assets/practice.toml");
    edit(&profile, &|text| text.replace("\"without-ca\"", "\"withuot-ca\"").replace("{serial}\"", "{seral}\""));
    for command in [["config", "check"].as_slice(), &["run"], &["boards"], &["batch", "list"], &["resume"]] {
        let bad = Program::on(&bench, command.iter().copied()).run().await.expect(2);
        // Each with its file and line, the wrong word and the nearest right one.
        for part in [
            "lineseal.toml:",
            "debonce_ms",
            "debounce_ms",
            "practice.toml:",
            "withuot-ca",
            "without-ca",
            "seral",
            "serial",
        ] {
            assert!(bad.err.contains(part), "{part} in {}", bad.err);
        }
        assert_eq!(bad.out, "");
    }
    // Nothing was started or made.
    assert!(!bench.data_dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_is_status_2_and_help_is_not() {
    Program::new(["practice", "--headless", "--fault", "no-such-fault"]).run().await.expect(2);
    Program::new(["practice", "--headless", "--lanes", "17"]).run().await.expect(2);
    Program::new(["no-such-command"]).run().await.expect(2);
    Program::new(["config", "check", "--config", "/nowhere/lineseal.toml"]).run().await.expect(2);
    Program::new(["--help"]).run().await.expect(0);
    Program::new(["--version"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_lists_what_is_plugged_in_and_why_something_would_not_be_taken() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let empty = Program::on(&bench, ["boards", "--json"]).run().await.expect(0);
    assert_eq!(empty.out, "");
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    bench.plug(2, "B", &chip);
    let ports = bench.dir.path().join(PORTS);
    let _other = PtyBoard::plug(&ports, "some-other-port", "X", Behaviour::Normal).unwrap();
    let listed = Program::on(&bench, ["boards", "--json"]).run().await.expect(0).json();
    assert_eq!(listed.len(), 3, "{listed:?}");
    for (lane, line) in (1..=2).zip(&listed) {
        assert_eq!(line["event"], "present");
        assert_eq!((&line["lane"], &line["port"]), (&json!(lane), &json!(port_name(lane))));
        assert_eq!(line["node"], bench.board(lane).node().display().to_string());
        assert_eq!(line["profile"], "practice");
        assert!(line.get("reason").is_none());
    }
    assert_eq!(listed[2]["port"], "some-other-port");
    assert_eq!(listed[2]["reason"]["code"], "B-101");
    let text = Program::on(&bench, ["boards"]).run().await.expect(0).out;
    assert!(text.contains("lane  1") && text.contains("lane  2") && text.contains("B-101"), "{text}");
    // Looking asks no board and writes no log.
    assert!(log::read(&bench.data_dir()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_station_on_the_same_data_is_refused() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let lock = StationLock::take(&bench.data_dir()).unwrap();
    for command in [["run"].as_slice(), &["resume"]] {
        let refused = Program::on(&bench, command.iter().copied()).run().await.expect(3);
        assert!(refused.err.contains("L-508"), "{}", refused.err);
        assert!(refused.err.contains(&std::process::id().to_string()), "{}", refused.err);
    }
    drop(lock);
    let resumed = Program::on(&bench, ["resume"]).run().await.expect(0);
    assert!(resumed.err.contains("nothing waits"), "{}", resumed.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn held_units_are_resumed_and_their_slips_bring_the_labels() {
    let quick = |text: String| text.replace("deadline_ms = 10000", "deadline_ms = 2000");
    let mut bench = Bench::with_profile(1, Cloud::shared().await, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let held = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
    assert_eq!((&held["verdict"], &held["reason"]), (&json!("HELD"), &json!("A-301")));
    let slip = held["slip"].as_u64().unwrap().to_string();
    assert_eq!(bench.printer.printed(), 1);
    bench.unplug(1);

    // Still down: it goes on waiting, under the same number, without more paper.
    let again = Program::on(&bench, ["resume", "--json"]).run().await.expect(4).json().remove(0);
    assert_eq!((&again["verdict"], &again["slip"]), (&json!("HELD"), &held["slip"]));
    let early = Program::on(&bench, ["resume", "--slip", &slip]).run().await.expect(3);
    assert!(early.err.contains("O-604"), "{}", early.err);

    bench.proxy.up().await.unwrap();
    let passed = Program::on(&bench, ["resume", "--json"]).run().await.expect(0).json().remove(0);
    assert_eq!((&passed["verdict"], &passed["run"]), (&json!("PASS"), &held["run"]));
    assert_eq!(passed["label"]["status"], "pending");
    assert_eq!(bench.printer.printed(), 1);
    let labelled = Program::on(&bench, ["resume", "--json", "--slip", &slip]).run().await.expect(0).json().remove(0);
    assert_eq!(labelled["label"]["status"], "printed");
    assert_eq!(bench.printer.printed(), 2);
    // Scanned twice, printed once; and a slip of nobody's is said to be one.
    Program::on(&bench, ["resume", "--slip", &slip]).run().await.expect(0);
    assert_eq!(bench.printer.printed(), 2);
    let unknown = Program::on(&bench, ["resume", "--slip", "999999"]).run().await.expect(3);
    assert!(unknown.err.contains("O-603"), "{}", unknown.err);
    let nothing = Program::on(&bench, ["resume"]).run().await.expect(0);
    assert!(nothing.err.contains("nothing waits"), "{}", nothing.err);

    let cloud = Cloud::shared().await.witness();
    assert_eq!(cloud.certificates[&chip.fingerprint()].things, [bench.thing("A")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_that_passed_meanwhile_gets_no_second_label() {
    let quick = |text: String| text.replace("deadline_ms = 10000", "deadline_ms = 2000");
    let mut bench = Bench::with_profile(1, Cloud::shared().await, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let held = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
    bench.proxy.up().await.unwrap();
    // Somebody brings the board back instead of waiting: it passes and has its label.
    let passed = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0).json().remove(0);
    assert_eq!((&passed["verdict"], &passed["label"]["status"]), (&json!("PASS"), &json!("printed")));
    assert_eq!(bench.printer.printed(), 2);

    let resumed = Program::on(&bench, ["resume", "--json"]).run().await.expect(0).json().remove(0);
    assert_eq!((&resumed["run"], &resumed["verdict"]), (&held["run"], &json!("PASS")));
    assert_eq!(resumed["label"]["status"], "none");
    let slip = held["slip"].as_u64().unwrap().to_string();
    Program::on(&bench, ["resume", "--slip", &slip]).run().await.expect(0);
    assert_eq!(bench.printer.printed(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_run_as_aborted_and_the_station_in_order() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    let program = Program::on(&bench, ["run", "--json"]).start();
    bench.plug_hung(1, "A", &chip);
    let by = Instant::now() + Duration::from_secs(60);
    while !log::read(&bench.data_dir()).iter().any(|logged| logged.event["step"] == "read") {
        assert!(Instant::now() < by, "no run within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = program.interrupt().expect(3);
    let records = ended.json();
    assert_eq!((&records[0]["verdict"], &records[0]["reason"]), (&json!("ABORTED"), &json!("O-601")));
    let log = log::read(&bench.data_dir());
    assert_eq!(log.last().unwrap().kind(), "station-stopped");

    // With nothing to end, it ends well.
    bench.unplug(1);
    let idle = Program::on(&bench, ["run"]).start();
    let by = Instant::now() + Duration::from_secs(60);
    while log::all(&log::read(&bench.data_dir()), "station-started").len() < 2 {
        assert!(Instant::now() < by, "no station within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    idle.interrupt().expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn practice_and_real_data_and_trust_are_never_mixed() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let config = bench.dir.path().join("lineseal.toml");
    let practice = std::fs::read_to_string(&config).unwrap();
    let real = real_of(&practice);
    assert_ne!(practice, real);
    let refused = |err: &str, why: &str| assert!(err.contains("K-704") && err.contains(why), "{err}");

    // A real station never trusts the practice vendor, ...
    std::fs::write(&config, &real).unwrap();
    let ended = Program::on(&bench, ["run", "--units", "1"]).run().await.expect(3);
    refused(&ended.err, "practice vendor's CA");
    // ... its log is never a practice line's, ...
    Program::on(&bench, ["batch", "list"]).run().await.expect(0);
    std::fs::write(&config, &practice).unwrap();
    let ended = Program::on(&bench, ["run", "--units", "1"]).run().await.expect(3);
    refused(&ended.err, "real station's log");
    // ... and the other way round.
    std::fs::remove_dir_all(bench.data_dir()).unwrap();
    Program::on(&bench, ["batch", "list"]).run().await.expect(0);
    std::fs::write(&config, &real).unwrap();
    let ended = Program::on(&bench, ["batch", "list"]).run().await.expect(3);
    refused(&ended.err, "practice line's log");
}

/// A practice line's configuration as a real station's, whose targets are somebody's.
pub fn real_of(practice: &str) -> String {
    let account = "name = \"practice\"\naccount = \"000000000000\"\n";
    practice.replace("practice = true", "practice = false").replace("name = \"practice\"\n", account)
}
