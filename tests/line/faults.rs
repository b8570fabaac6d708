//! `lineseal practice --fault NAME`, the real program: each bad board with its verdict, reason code
//! and exit status, and what the cloud knows of it afterwards.

use std::collections::BTreeSet;

use crate::log;
use crate::peers::{Cloud, Witness};
use crate::program::Program;

/// What a show with one fault left behind.
struct Show {
    /// Each finished unit's verdict and code, in order.
    outcomes: Vec<String>,
    records: Vec<serde_json::Value>,
    cloud: Witness,
    log: Vec<log::Logged>,
    _dir: tempfile::TempDir,
}

async fn play(fault: &str, status: i32) -> Show {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(["practice", "--headless", "--json", "--lanes", "2", "--fault", fault]);
    let ended = program.data_dir(dir.path()).run().await.expect(status);
    let records = ended.json();
    let outcome = |record: &serde_json::Value| match record["reason"].as_str() {
        Some(reason) => format!("{} {reason}", record["verdict"].as_str().unwrap()),
        None => record["verdict"].as_str().unwrap().to_owned(),
    };
    Show {
        outcomes: records.iter().map(outcome).collect(),
        records,
        cloud: Cloud::left_by_practice(dir.path()).await.witness(),
        log: log::read(&dir.path().join("data")),
        _dir: dir,
    }
}

/// The board is refused, and no thing, certificate or attachment knows of it.
async fn refused(fault: &str, outcome: &str, status: i32) {
    let show = play(fault, status).await;
    assert_eq!(show.outcomes, [outcome]);
    assert!(show.cloud.things.is_empty() && show.cloud.certificates.is_empty(), "{:?}", show.cloud);
    assert_eq!(show.records[0]["targets"], serde_json::json!([]));
    assert_eq!(show.records[0]["label"]["status"], "none");
    assert!(log::all(&show.log, "claimed").is_empty());
    assert!(log::all(&show.log, "register-intended").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn key_missing() {
    refused("key-missing", "FAIL T-207", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_copied() {
    refused("certificate-copied", "FAIL S-101", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_ca() {
    refused("foreign-ca", "FAIL C-102", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired() {
    refused("expired", "FAIL C-103", 1).await;
}

/// Its name is the first board's, its chip the second's: what the cloud took of that is switched off.
#[tokio::test(flavor = "multi_thread")]
async fn board_exchanged() {
    let show = play("board-exchanged", 1).await;
    assert_eq!(show.outcomes, ["FAIL S-109"]);
    let cause = show.records[0]["cause"].as_str().unwrap();
    let first = show.records[0]["board"]["serial"].as_str().unwrap();
    assert!(cause.contains(&format!("number {first}-X")) && cause.contains(&format!("was {first} ")), "{cause}");
    assert!(show.cloud.certificates.values().all(|certificate| certificate.status == "INACTIVE"));
    assert!(log::all(&show.log, "label-intended").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn unplugged() {
    refused("unplugged", "ABORTED B-105", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_board() {
    refused("silent-board", "ERROR B-102", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hung_token() {
    refused("hung-token", "ERROR T-204", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicate() {
    let show = play("duplicate", 1).await;
    assert_eq!(show.outcomes, ["PASS", "FAIL S-105"]);
    // The first board keeps what it has, and the second has nothing.
    let first = show.records[0]["thing"].as_str().unwrap();
    assert_eq!(show.cloud.things.keys().collect::<Vec<_>>(), [first]);
    assert_eq!(show.cloud.certificates.len(), 1);
    assert_eq!(show.records[0]["certificate"]["sha256"], show.records[1]["certificate"]["sha256"]);
    assert_ne!(show.records[0]["board"]["serial"], show.records[1]["board"]["serial"]);
    // Whom it collides with is named.
    assert!(show.records[1]["cause"].as_str().unwrap().contains(show.records[0]["board"]["serial"].as_str().unwrap()));
    assert_eq!(log::all(&show.log, "claimed").len(), 1);
    assert_eq!(log::all(&show.log, "label-intended").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_down() {
    // What was HELD stays it: the unit passes in a run of its own, since its chip has to make a connection.
    let show = play("cloud-down", 4).await;
    assert_eq!(show.outcomes, ["HELD A-301", "PASS"]);
    assert_ne!(show.records[0]["run"], show.records[1]["run"]);
    assert_eq!(show.records[0]["board"]["serial"], show.records[1]["board"]["serial"]);
    assert!(show.records[0]["slip"].is_u64());
    assert_eq!(show.records[0]["label"]["status"], "printed");
    assert_eq!(show.records[1]["label"]["status"], "printed");
    assert_eq!(show.records[1]["targets"][0]["connection"]["outcome"], "ok");
    let papers: Vec<&str> =
        log::all(&show.log, "label-ended").iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(papers, ["slip", "unit"]);
    let things: BTreeSet<&str> = show.cloud.things.keys().map(String::as_str).collect();
    assert_eq!(things, [show.records[1]["thing"].as_str().unwrap()].into());
    let (id, certificate) = show.cloud.certificates.first_key_value().unwrap();
    assert_eq!(
        (id.as_str(), certificate.status.as_str()),
        (show.records[1]["certificate"]["sha256"].as_str().unwrap(), "ACTIVE")
    );
    assert_eq!(show.cloud.certificates.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn printer_down() {
    let show = play("printer-down", 0).await;
    assert_eq!(show.outcomes, ["PASS"]);
    assert_eq!(show.records[0]["label"]["status"], "pending");
    assert_eq!(show.cloud.things.len(), 1);
    // It came out by itself when the printer was back.
    let ends: Vec<&str> =
        log::all(&show.log, "label-ended").iter().map(|event| event["status"].as_str().unwrap()).collect();
    assert_eq!((ends.first(), ends.last()), (Some(&"pending"), Some(&"printed")));
    assert_eq!(ends.iter().filter(|status| **status == "printed").count(), 1);
}

/// What it writes is read from elsewhere later, and by commands that are given the whole path.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_named_from_where_one_stands_can_be_used_from_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let practice = || Program::new(["practice", "--headless", "--units", "1"]).current_dir(dir.path());
    practice().data_dir("p".as_ref()).run().await.expect(0);
    let config = dir.path().join("p/lineseal.toml");
    Program::new(["config", "check"]).config(&config).run().await.expect(0);
    practice().data_dir(&dir.path().join("p")).run().await.expect(0);
}

/// All of it in one go, as a stranger runs it.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_show() {
    let dir = tempfile::tempdir().unwrap();
    let program = Program::new(["practice", "--headless", "--json"]).data_dir(dir.path());
    let ended = program.run().await.expect(0);
    assert!(ended.err.contains("12 boards PASS"), "{}", ended.err);
    assert!(!ended.err.contains("expected"), "{}", ended.err);
    let passed: BTreeSet<String> = ended
        .json()
        .iter()
        .filter(|record| record["verdict"] == "PASS")
        .map(|record| record["thing"].as_str().unwrap().to_owned())
        .collect();
    // Ten good ones, the first board of `duplicate`, and those of `cloud-down` and `printer-down`.
    assert_eq!(passed.len(), 13);
    let cloud = Cloud::left_by_practice(dir.path()).await.witness();
    // What the cloud took of the exchanged board is switched off.
    let (on, off): (Vec<_>, Vec<_>) =
        cloud.certificates.values().partition(|certificate| certificate.status == "ACTIVE");
    assert_eq!((on.len(), off.len()), (13, 1));
    let things: BTreeSet<String> = on.iter().flat_map(|certificate| certificate.things.clone()).collect();
    assert_eq!(things, passed);
    assert_eq!(cloud.things.len(), 14);
    assert_eq!(cloud.policies.keys().collect::<Vec<_>>(), ["practice-device"]);
}
