//! `lineseal report` over a plant that is made up: every format says the same, and what somebody else reckons from its
//! lines.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lineseal::audit::{Body, Event, LineEvent, RunEvent};
use lineseal::domain::{Failure, OperatorRef, ReasonCode, Sha256, StationName, Verdict};
use lineseal::ports::{AuditStore as _, History as _, People as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::office::{Office, program};
use crate::store_contract::{event, run_id, started};

const BATCH: &str = "WO-1, \"rush\"; =2 🚚";
/// What people may be called.
const PEOPLE: [&str; 5] = ["=cmd|' /C calc'!A0", "O'Hara, \"Kit\"", "山田 太郎", "مريم", "👩‍🔧 Zoë"];

/// A batch of `units`, and one unit of another, over three days at two stations: with names, serial numbers and
/// orders that files trip over.
async fn plant(office: &Office, units: u32) {
    let mut random = StdRng::seed_from_u64(7);
    let store = office.store();
    let mut people = Vec::new();
    for name in PEOPLE {
        let salt = *Sha256::of(name.as_bytes()).as_bytes();
        people.push(
            store
                .operator(name, (uuid::Uuid::from_u128(u128::from_be_bytes(salt[..16].try_into().unwrap())), salt))
                .await
                .unwrap(),
        );
    }
    let begin: Timestamp = "2026-11-02T05:00:00Z".parse().unwrap();
    let opened = LineEvent::BatchOpened {
        batch: BATCH.parse().unwrap(),
        profile: "practice".to_owned(),
        product: "gateway".parse().unwrap(),
        planned: u64::from(units),
    };
    store.append(vec![Event { at: begin, ..crate::store_contract::line(opened) }]).await.unwrap();
    let reasons = [ReasonCode::CLOUD_UNREACHABLE, ReasonCode::TOKEN_SILENT, ReasonCode::CHIP_LACKS_KEY];
    let mut events = Vec::new();
    for unit in 0..=units {
        let (serial, batch) = match unit {
            0 => ("=1+1".to_owned(), BATCH),
            1 => ("-A,\"1\";".to_owned(), BATCH),
            unit if unit == units => ("OTHER".to_owned(), "WO-2"),
            unit => (format!("G{unit:05}"), BATCH),
        };
        let mut at = begin + SignedDuration::from_secs(i64::from(unit) * 200_000 / i64::from(units));
        loop {
            let operator =
                (random.random_range(0..6) > 0).then(|| people[random.random_range(0..people.len())].clone());
            let verdict = match random.random_range(0..20) {
                0 => Verdict::Error,
                1 => Verdict::Fail,
                2 => Verdict::Aborted,
                3 => Verdict::Held,
                _ => Verdict::Pass,
            };
            let code = reasons[random.random_range(0..reasons.len())];
            let mut run = one_run(&serial, batch, verdict, code, at, operator);
            if random.random_range(0..60) == 0 {
                // It never said what it is.
                run.truncate(1);
                run.push(sealed(run[0].run.unwrap(), Verdict::Error, ReasonCode::BOARD_SILENT));
                run[1].at = at;
            }
            events.extend(run);
            at += SignedDuration::from_secs(random.random_range(60..90_000));
            if verdict == Verdict::Pass || random.random_range(0..4) == 0 {
                break;
            }
        }
        if events.len() > 500 {
            store.append(std::mem::take(&mut events)).await.unwrap();
        }
    }
    store.append(events).await.unwrap();
}

fn one_run(
    serial: &str,
    batch: &str,
    verdict: Verdict,
    code: ReasonCode,
    at: Timestamp,
    operator: Option<OperatorRef>,
) -> Vec<Event> {
    let run = run_id();
    let mut events = started(run, serial, Some(batch));
    events.push(sealed(run, verdict, code));
    if verdict == Verdict::Held && at.as_second() % 2 == 0 {
        events.push(event(run, RunEvent::Resumed {}));
        events.push(sealed(run, Verdict::Pass, code));
    }
    let stations: [StationName; 2] = ["ST-1", "ST-2"].map(|name| name.parse().unwrap());
    for (n, told) in events.iter_mut().enumerate() {
        told.at = at + SignedDuration::from_millis(1700 * n as i64);
        told.station = stations[at.as_second().rem_euclid(5) as usize / 3].clone();
        told.operator.clone_from(&operator);
    }
    events
}

fn sealed(run: lineseal::domain::RunId, verdict: Verdict, code: ReasonCode) -> Event {
    let reason = (verdict != Verdict::Pass).then(|| Failure::new(code, "made up"));
    event(run, RunEvent::Sealed { verdict, reason, slip: (verdict == Verdict::Held).then_some(7), label: None })
}

/// What `tests/peers/judge_report.py` reckons, once it agrees with every file.
fn judged(csv: &str, others: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = std::env::var_os("LINESEAL_TEST_VENV").map_or(root.join("target/test-venv"), PathBuf::from);
    let output = Command::new(venv.join("bin/python"))
        .arg(root.join("tests/peers/judge_report.py"))
        .arg(root.join("assets/report.schema.json"))
        .arg(csv)
        .args(others)
        .output()
        .expect("a Python environment with tests/peers/requirements-reports.txt in LINESEAL_TEST_VENV");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The newest event of the log that tells of a report.
async fn exported(office: &Office) -> Event {
    let store = office.store();
    let size = store.head().await.unwrap().size;
    for seq in (0..size).rev() {
        let (logged, _) = store.events(seq, 1).await.unwrap().remove(0);
        if matches!(logged.event.body, Body::Line(LineEvent::Exported { .. })) {
            return logged.event;
        }
    }
    panic!("no report is in the log");
}

#[tokio::test]
async fn every_format_says_what_somebody_else_reckons_from_the_lines() {
    let office = Office::new();
    plant(&office, 400).await;
    let mut reckoned = Vec::new();
    for scope in [&[BATCH][..], &["--from", "2026-11-03", "--until", "2026-11-03"], &[]] {
        let name = scope.len();
        let files = ["csv", "json"].map(|format| office.path(&format!("{name}.{format}")));
        for (format, file) in ["csv", "json"].iter().zip(&files) {
            let asked = [&["report"], scope, &["--format", format, "--out", file, "--json"]].concat();
            let told = office.run_as("Aiko", &asked, 0).json();
            let bytes = std::fs::read(file).unwrap();
            assert_eq!(told[0]["sha256"], json!(Sha256::of(&bytes)));
            let event = exported(&office).await;
            let Body::Line(LineEvent::Exported { file, runs, .. }) = &event.body else { panic!("{event:?}") };
            assert_eq!((*file, json!(runs)), (Sha256::of(&bytes), told[0]["report"]["figures"]["runs"].clone()));
            let person = office.store().person_by_id(event.operator.unwrap().id).await.unwrap();
            assert_eq!(person.unwrap().name.as_deref(), Some("Aiko"));
        }
        reckoned.push(judged(&files[0], &[&files[1]]));
    }
    let [batch, day, all] = &reckoned[..] else { panic!() };
    let units = |figures: &Value| figures["total"]["units"].as_u64().unwrap();
    assert!(units(batch) > 350 && units(day) > 50 && units(day) < units(batch) && units(batch) < units(all));
    // The figures that the station's own header and `batch show` have.
    let tally = office.run(&["batch", "show", BATCH, "--json"], 0).json();
    for (ours, theirs) in [("passed", "passed"), ("failed", "failed"), ("errors", "errors"), ("held", "held")] {
        assert_eq!(tally[0][ours], batch["units"][theirs], "{ours}");
    }
    assert!(all["groups"]["operator"].as_object().unwrap().len() >= PEOPLE.len());
}

#[tokio::test]
async fn a_report_without_names_names_nobody_and_tells_persons_apart() {
    let office = Office::new();
    plant(&office, 60).await;
    let (named, unnamed) = (office.path("named.csv"), office.path("unnamed.json"));
    office.run_as("Aiko", &["report", "--format", "csv", "--out", &named], 0);
    let ask = ["report", "--format", "json", "--pseudonymous", "--out", &unnamed];
    office.run_as("Aiko", &ask, 0);
    let text = std::fs::read_to_string(&unnamed).unwrap();
    for name in PEOPLE.iter().chain(&["Aiko"]) {
        assert!(!text.contains(&serde_json::to_string(name).unwrap()), "{name}");
    }
    let report: Value = serde_json::from_str(&text).unwrap();
    let groups = report["report"]["figures"]["groups"]["operator"].as_array().unwrap();
    let names: Vec<&str> = groups.iter().filter_map(|group| group["name"].as_str()).collect();
    assert!(names.len() == PEOPLE.len() && names.iter().all(|name| name.starts_with("P-")), "{names:?}");
    // The figures are the same, whoever they are told of.
    let reckoned = judged(&named, &[]);
    assert_eq!(report["report"]["figures"]["total"], reckoned["total"]);
    let event = exported(&office).await;
    assert!(matches!(event.body, Body::Line(LineEvent::Exported { pseudonymous: true, .. })), "{event:?}");
}

#[tokio::test]
async fn a_report_that_cannot_be_made_leaves_nothing() {
    let office = Office::new();
    plant(&office, 20).await;
    let file = office.file("there.csv", "mine");
    let size = office.store().head().await.unwrap().size;
    let refused = |arguments: &[&str], status: i32, code: &str| {
        let told = office.run_as("Aiko", &[&["report", "--format", "csv"], arguments].concat(), status);
        assert!(told.err.contains(code), "{}", told.err);
    };
    refused(&["--out", &file], 2, "O-606");
    refused(&["--out", &office.path("no/such/folder.csv")], 3, "O-630");
    refused(&["WO-?", "--out", &office.path("a.csv")], 2, "O-616");
    refused(&["--from", "2026-11-03", "--until", "2026-11-02", "--out", &office.path("a.csv")], 2, "O-615");
    let nobody = office.run(&["report", "--format", "csv", "--out", &office.path("a.csv")], 2);
    assert!(nobody.err.contains("--as"), "{}", nobody.err);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    assert!(!Path::new(&office.path("a.csv")).exists() && left_beside(&office).is_empty());
    // Who signed in is in the log, and no report.
    let store = office.store();
    for (logged, _) in store.events(size, 1000).await.unwrap() {
        assert!(!matches!(logged.event.body, Body::Line(LineEvent::Exported { .. })), "{logged:?}");
    }
}

fn left_beside(office: &Office) -> Vec<String> {
    let names = std::fs::read_dir(office.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.ends_with(".tmp")).collect()
}

#[tokio::test]
async fn a_report_that_is_stopped_anywhere_is_there_whole_or_not_at_all() {
    let office = Office::new();
    plant(&office, 300).await;
    let mut ends = [0, 0];
    for attempt in 0..24 {
        let file = office.path(&format!("{attempt}.json"));
        let pin = office.path("Aiko");
        let arguments = ["report", "--format", "json", "--out", &file, "--as", "Aiko", "--pin-file", &pin];
        let mut child = office.at_this_station(&mut program(&arguments)).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(attempt * attempt * 5)).await;
        let id = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::INT);
        let done = child.wait().unwrap().success();
        ends[usize::from(done)] += 1;
        assert_eq!(Path::new(&file).exists(), done, "attempt {attempt}");
        if done {
            let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            assert!(report["report"]["figures"]["runs"].as_u64() > Some(300));
        }
        assert_eq!(left_beside(&office), Vec::<String>::new());
    }
    assert!(ends[0] > 0 && ends[1] > 0, "{ends:?}");
}
