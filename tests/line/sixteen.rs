//! Sixteen boards at once.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use lineseal::bootstrap;
use lineseal::domain::Fingerprint;
use lineseal::practice::line::{PracticeLine, PracticePlan};
use lineseal::practice::setup::CERTIFICATE_LABEL;
use serde_json::Value;

use crate::log;
use crate::peers::{read_object, venv};
use crate::program::PROGRAM;
use crate::station::{Station, assert_outcome};

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_boards_at_once_each_in_its_lane() {
    let dir = tempfile::tempdir().unwrap();
    let plan = PracticePlan {
        dir: dir.path().join("line"),
        venv: venv(),
        maker: PathBuf::from(PROGRAM),
        lanes: 16,
        connect: Some(lineseal::domain::profile::ConnectMode::Required),
    };
    let mut line = PracticeLine::start(plan, bootstrap::entropy()).await.unwrap();
    let lanes: Vec<_> = line.lanes().collect();
    assert_eq!(lanes.len(), 16);
    // All are plugged before the station looks: they arrive together.
    let mut plugged = Vec::new();
    for lane in lanes {
        let serial = line.plug(lane, None).await.unwrap();
        let der = read_object(&line.token_dir(lane), "cert", CERTIFICATE_LABEL);
        plugged.push((lane.get(), serial, Fingerprint::of(&der).to_string()));
    }
    let config = Arc::new(line.config().clone());
    let mut station = Station::start_at(config, line.data_dir(), line.credentials(), |_| {}).await;
    let records = station.units(16).await;

    let known: BTreeSet<_> = plugged.into_iter().collect();
    let seen: BTreeSet<_> = records
        .iter()
        .map(|record| {
            assert_outcome(record, "PASS");
            let serial = record.board.serial.clone().unwrap();
            assert_eq!(record.board.port, format!("jig-{:02}", record.lane));
            assert_eq!(record.thing.as_deref(), Some(format!("practice-{serial}").as_str()));
            (record.lane, serial, record.certificate.clone().unwrap().sha256)
        })
        .collect();
    assert_eq!(seen, known);

    let together = records
        .iter()
        .map(|one| {
            records.iter().filter(|other| other.started <= one.finished && one.started <= other.finished).count()
        })
        .max();
    assert!(together >= Some(12), "at most {together:?} of them ran at the same time");

    // The log binds each serial number to its own chip, and so does the cloud.
    let log = station.stop().await;
    let bound: BTreeSet<_> = log::all(&log, "claimed")
        .iter()
        .map(|claim| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&claim["unit"]["serial"]), text(&claim["identity"]["fingerprint"]))
        })
        .collect();
    assert_eq!(bound, known.iter().map(|(_, serial, fingerprint)| (serial.clone(), fingerprint.clone())).collect());
    let cloud = crate::peers::witness(&line.cloud().endpoint(), line.cloud().region().as_str());
    let registered: BTreeSet<_> = cloud
        .certificates
        .iter()
        .map(|(id, certificate)| {
            let [thing] = certificate.things.as_slice() else { panic!("{certificate:?}") };
            assert_eq!(certificate.status, "ACTIVE");
            (thing.strip_prefix("practice-").unwrap().to_owned(), id.clone())
        })
        .collect();
    assert_eq!(registered, bound);
    assert_eq!(cloud.things.len(), 16);
    assert_eq!(line.printer.printed(), 16);
}
