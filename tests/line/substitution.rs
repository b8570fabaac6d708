//! What the log knows of earlier boards: the same board again, and chips where they don't belong.

use lineseal::audit::event::LabelStatus;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_ID, KEY_LABEL};
use lineseal::practice::vendor::Validity;

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_board_plugged_again_passes_again_and_makes_nothing_twice() {
    let cloud = Cloud::ministack().await;
    let mut bench = Bench::new(2, &cloud).await;
    let chip = bench.chip(KeyKind::Rsa2048);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "A", &chip);
    let first = station.unit().await;
    assert_outcome(&first, "PASS");
    assert_eq!(first.label.status, LabelStatus::Printed);
    let once = cloud.witness();

    bench.unplug(1);
    station.until_gone(&[1]).await;
    // Into another port: a unit is no lane's.
    bench.plug(2, "A", &chip);
    let second = station.unit().await;
    assert_outcome(&second, "PASS");
    assert_ne!(second.run, first.run);
    assert_eq!(second.label.status, LabelStatus::None);
    assert_eq!(second.targets, first.targets);
    assert_eq!(cloud.witness(), once);

    let log = station.stop().await;
    let standings: Vec<_> = log::all(&log, "claimed").iter().map(|claim| claim["standing"].clone()).collect();
    assert_eq!(standings, ["new", "known"]);
    let made: Vec<_> = log::all(&log, "registered").iter().map(|event| event["target"]["created"].clone()).collect();
    assert_eq!(made[1], serde_json::json!([]));
    assert_ne!(made[0], made[1]);
    assert_eq!(log::all(&log, "label-intended").len(), 1);
    assert_eq!(bench.printer.printed(), 1);
}

/// One good board first; then another board with `other`'s chip, under `name`.
async fn after_a_good_one(name: &str, other: impl FnOnce(&Bench<'_>, &Chip) -> Chip) -> String {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let good = bench.chip(KeyKind::EcP256);
    let other = other(&bench, &good);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "GOOD", &good);
    assert_outcome(&station.unit().await, "PASS");
    bench.unplug(1);
    station.until_gone(&[1]).await;
    bench.plug(1, name, &other);
    let record = station.unit().await;
    let log = station.stop().await;
    let outcome = crate::station::outcome(&record);
    if outcome != "PASS" {
        // It bound nothing, registered nothing, and the good one is as it was.
        assert_eq!(log::all(&log, "claimed").len(), 1);
        assert_eq!(log::all(&log, "register-intended").len(), 1);
        assert!(log::all(&log, "deactivated").is_empty());
        let cloud = Cloud::shared().await.witness();
        let certificate = &cloud.certificates[&good.fingerprint()];
        assert_eq!((certificate.status.as_str(), certificate.things.len()), ("ACTIVE", 1));
        assert_eq!(other.fingerprint() == good.fingerprint(), cloud.certificates.contains_key(&other.fingerprint()));
        assert!(name == "GOOD" || !cloud.things.contains_key(&bench.thing(name)));
        // The cause names who holds it, for QA.
        assert!(record.cause.clone().unwrap().contains(&bench.serial("GOOD")), "{record:?}");
    }
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_board_with_another_chip_fails() {
    assert_eq!(after_a_good_one("GOOD", |bench, _| bench.chip(KeyKind::EcP256)).await, "FAIL S-108");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_chip_on_another_board_fails() {
    assert_eq!(after_a_good_one("OTHER", |bench, chip| bench.copy(chip)).await, "FAIL S-105");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_over_a_known_key_fails() {
    for name in ["GOOD", "OTHER"] {
        let outcome = after_a_good_one(name, |bench, chip| {
            let certificate = bench.vendor.issue(&chip.spki, &chip.uid, Validity::Good).unwrap();
            let copy = bench.copy(chip);
            copy.token.replace_certificate(CERTIFICATE_LABEL, KEY_ID, &certificate).unwrap();
            Chip { certificate, ..copy }
        });
        assert_eq!(outcome.await, "FAIL S-106", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_of_a_known_chip_fails() {
    let outcome = after_a_good_one("OTHER", |bench, chip| {
        let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
        let certificate = bench.vendor.issue(&spki, &chip.uid, Validity::Good).unwrap();
        bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&chip.uid));
        Chip { token, spki, uid: chip.uid.clone(), certificate }
    });
    assert_eq!(outcome.await, "FAIL S-107");
}

/// The nearest legitimate cases.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_board_and_another_board_with_a_chip_of_its_own_pass() {
    assert_eq!(after_a_good_one("GOOD", |bench, chip| bench.copy(chip)).await, "PASS");
    assert_eq!(after_a_good_one("OTHER", |bench, _| bench.chip(KeyKind::EcP256)).await, "PASS");
}
