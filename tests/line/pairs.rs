//! Two attempts at once, and one attempt at two stations at once.
//!
//! Of several faults of one board the code is that of the first check that finds one:
//!
//! 1. the certificate: its form (C-101), a CA's own key (C-106), who signed it (C-102), its dates (C-103,
//!    C-104), path and revocation lists (C-108, C-109), its key (C-105), the UID (T-208, C-107, S-102);
//! 2. the challenge (S-101): only what has answered it is compared with the log;
//! 3. the claim, all of it in one transaction: an entry of the shipment manifest that another unit used
//!    (S-118), then certificate (S-105), key (S-106) and UID (S-107) of another, then the unit's own other
//!    chip (S-108), then what locks the unit (S-114, S-115, S-113), then the manifest itself (S-117, S-116).
//!    The cause names everything that collides, not the first alone;
//! 4. the cloud: the thing (S-111), the certificate (S-112).

use std::sync::Arc;

use lineseal::audit::RunEvent;
use lineseal::audit::event::Purpose;
use lineseal::domain::Step;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_ID, KEY_LABEL};
use lineseal::practice::vendor::{Validity, VendorCa};
use lineseal::runner::view::Snapshot;

use crate::bench::{Bench, Chip, new_uid};
use crate::gate::{Gate, gated};
use crate::log;
use crate::peers::Cloud;
use crate::plant::{events, two_stations};
use crate::station::{Station, assert_outcome, outcome};

fn identified(event: &RunEvent) -> bool {
    matches!(event, RunEvent::Identified { .. })
}

fn proven(event: &RunEvent) -> bool {
    matches!(event, RunEvent::StepBegan { step: Step::Register })
}

/// Both stations have asked their chips, and neither has an answer.
fn challenged(event: &RunEvent) -> bool {
    matches!(event, RunEvent::ChallengeMade { purpose: Purpose::First, .. })
}

/// A chip of this UID under this key's certificate, whoever signed it.
fn chip_of(bench: &Bench<'_>, vendor: &VendorCa, in_certificate: &Chip, validity: Validity) -> Chip {
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let certificate = vendor.issue(&spki, &in_certificate.uid, validity).unwrap();
    let uid = new_uid();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&uid));
    Chip { token, spki, uid, certificate }
}

/// The vendor certifies the chip's key once more.
fn recertified(bench: &Bench<'_>, vendor: &VendorCa, chip: &Chip) -> Chip {
    let certificate = vendor.issue(&chip.spki, &chip.uid, Validity::Good).unwrap();
    let copy = bench.copy(chip);
    copy.token.replace_certificate(CERTIFICATE_LABEL, KEY_ID, &certificate).unwrap();
    Chip { certificate, ..copy }
}

/// Another key pair of the same chip.
fn second_key(bench: &Bench<'_>, chip: &Chip) -> Chip {
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let certificate = bench.vendor.issue(&spki, &chip.uid, Validity::Good).unwrap();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&chip.uid));
    Chip { token, spki, uid: chip.uid.clone(), certificate }
}

async fn attempt(bench: &mut Bench<'_>, station: &mut Station, name: &str, chip: &Chip) -> (String, String) {
    bench.plug(1, name, chip);
    let record = station.unit().await;
    bench.unplug(1);
    station.until_gone(&[1]).await;
    (outcome(&record), record.cause.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_faults_of_one_chip_the_earlier_check_names_the_code_every_time() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let foreign = VendorCa::create_foreign().unwrap();
    let (genuine, other) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    let without_key = {
        // The other chip's certificate, without its key and beside a UID of its own.
        let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
        let uid = new_uid();
        bench.fill(&token, CERTIFICATE_LABEL, &other.certificate, Some(&uid));
        Chip { token, spki, uid, certificate: other.certificate.clone() }
    };
    let mut station = Station::start(&bench).await;
    assert_eq!(attempt(&mut bench, &mut station, "GENUINE", &genuine).await.0, "PASS");
    for (what, chip, expected) in [
        ("a foreign CA and another's UID", chip_of(&bench, &foreign, &other, Validity::Good), "FAIL C-102"),
        ("a foreign CA and expired", chip_of(&bench, &foreign, &other, Validity::Expired), "FAIL C-102"),
        ("a foreign CA and a bound key", recertified(&bench, &foreign, &genuine), "FAIL C-102"),
        ("expired and another's UID", chip_of(&bench, &bench.vendor, &other, Validity::Expired), "FAIL C-103"),
        ("another's UID and no key", without_key, "FAIL S-102"),
        ("a bound certificate and no key", bench.counterfeit(&genuine), "FAIL S-101"),
    ] {
        for _ in 0..2 {
            assert_eq!(attempt(&mut bench, &mut station, "B", &chip).await.0, expected, "{what}");
        }
    }
    // Of all that nothing sticks to the board or the chips.
    assert_eq!(attempt(&mut bench, &mut station, "B", &other).await.0, "PASS");
    assert_eq!(attempt(&mut bench, &mut station, "GENUINE", &genuine).await.0, "PASS");
    let log = station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_collisions_the_chips_come_before_the_boards_and_all_are_told() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (first, second) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    let mut station = Station::start(&bench).await;
    assert_eq!(attempt(&mut bench, &mut station, "ONE", &first).await.0, "PASS");
    assert_eq!(attempt(&mut bench, &mut station, "TWO", &second).await.0, "PASS");
    let (one, two) = (bench.serial("ONE"), bench.serial("TWO"));
    for (what, chip, expected, collisions) in [
        ("its certificate, key and UID are another's", bench.copy(&first), "FAIL S-105", 4),
        ("its key and UID are another's", recertified(&bench, &bench.vendor, &first), "FAIL S-106", 3),
        ("its UID is another's", second_key(&bench, &first), "FAIL S-107", 2),
        ("nothing of it is anybody's", bench.chip(KeyKind::EcP256), "FAIL S-108", 1),
    ] {
        let (outcome, cause) = attempt(&mut bench, &mut station, "TWO", &chip).await;
        assert_eq!(outcome, expected, "{what}: {cause}");
        // The board itself is known with another chip in every case.
        assert!(cause.contains(&two) && (collisions == 1 || cause.contains(&one)), "{what}: {cause}");
        assert_eq!(cause.split("; ").count(), collisions, "{what}: {cause}");
    }
    assert_eq!(attempt(&mut bench, &mut station, "TWO", &second).await.0, "PASS");
    station.stop().await;
}

/// The genuine board is taken out in the middle of its run for one with its certificate, and put into the
/// lane beside.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_swapped_for_its_copy_passes_in_the_next_lane_and_the_copy_nowhere() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(2, cloud).await;
    let genuine = bench.chip(KeyKind::EcP256);
    let copy = bench.counterfeit(&genuine);
    bench.plug(1, "A", &genuine);
    let (mut station, gate) = gated(&bench, proven).await;
    gate.reached_by(1).await;
    bench.plug(1, "FAKE", &copy);
    let serial = bench.serial("A");
    let gone = |snapshot: &Arc<Snapshot>| !format!("{:?}", snapshot.lanes[0].state).contains(&serial);
    station.until("the copy", gone).await;
    bench.plug(2, "A", &genuine);
    gate.reached_by(2).await;
    gate.open();
    let mut records = station.units(3).await;
    records.sort_by_key(outcome);
    let [aborted, fake, passed] = &records[..] else { panic!("{records:?}") };
    assert_outcome(aborted, "ABORTED B-105");
    assert_outcome(fake, "FAIL S-101");
    assert_outcome(passed, "PASS");
    assert_eq!((fake.lane, passed.lane, passed.board.serial.as_ref()), (1, 2, Some(&serial)));
    station.stop().await;
    let seen = cloud.witness();
    assert_eq!(seen.certificates[&genuine.fingerprint()].things, [bench.thing("A")]);
    assert!(!seen.things.contains_key(&bench.thing("FAKE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_boards_with_one_serial_number_the_one_with_a_known_chip_fails_alone_and_the_other_passes() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (known, own) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    let mut station = Station::start(&bench).await;
    assert_eq!(attempt(&mut bench, &mut station, "KNOWN", &known).await.0, "PASS");
    station.stop().await;

    bench.plug(1, "TWIN", &known);
    bench.plug(2, "TWIN", &own);
    let (mut station, gate) = gated(&bench, identified).await;
    gate.reached_by(2).await;
    gate.open();
    // While both are there nobody can say whose the serial number is.
    for record in station.units(2).await {
        assert_outcome(&record, "ERROR B-106");
    }
    bench.unplug(1);
    bench.unplug(2);
    station.until_gone(&[1, 2]).await;
    assert_eq!(attempt(&mut bench, &mut station, "TWIN", &known).await.0, "FAIL S-105");
    assert_eq!(attempt(&mut bench, &mut station, "TWIN", &own).await.0, "PASS");
    assert_eq!(attempt(&mut bench, &mut station, "KNOWN", &known).await.0, "PASS");
    let log = station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 3);
}

/// Each at a station of one plant, both at the same point of their runs; the outcomes, and how many claimed.
async fn at_two_stations(chips: impl FnOnce(&Bench<'_>) -> [Chip; 2]) -> (Vec<String>, usize) {
    let (mut first, mut second, database) = two_stations(Cloud::shared().await).await;
    let [one, two] = chips(&first);
    first.plug(1, "ONE", &one);
    second.plug(1, "TWO", &two);
    let gate = Gate::new(challenged);
    let station = async |bench: &Bench<'_>| {
        Station::start_with(bench, |equipment| equipment.log.store = gate.before(equipment.log.store.clone())).await
    };
    let (mut left, mut right) = (station(&first).await, station(&second).await);
    gate.reached_by(2).await;
    gate.open();
    let records = [left.unit().await, right.unit().await];
    left.stop().await;
    right.stop().await;
    let seen = Cloud::shared().await.witness();
    let mut outcomes = Vec::new();
    for (record, thing) in records.iter().zip([first.thing("ONE"), second.thing("TWO")]) {
        outcomes.push(outcome(record));
        assert_eq!(seen.things.contains_key(&thing), outcome(record) == "PASS", "{record:?}");
    }
    // Who loses is told who won.
    let lost = records.iter().find(|record| record.reason.as_deref().is_some_and(|code| code != "S-101"));
    if let (Some(lost), Some(won)) = (lost, records.iter().find(|record| record.reason.is_none())) {
        assert!(lost.cause.as_ref().unwrap().contains(&won.run.to_string()), "{lost:?}");
    }
    outcomes.sort();
    (outcomes, log::all(&events(&database), "claimed").len())
}

fn outcomes(sorted: [&str; 2]) -> Vec<String> {
    sorted.map(str::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_under_two_certificates_at_two_stations_at_once_passes_at_one() {
    let seen = at_two_stations(|bench| {
        let chip = bench.chip(KeyKind::EcP256);
        [recertified(bench, &bench.vendor, &chip), chip]
    });
    assert_eq!(seen.await, (outcomes(["FAIL S-106", "PASS"]), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_of_one_chip_at_two_stations_at_once_pass_at_one() {
    let seen = at_two_stations(|bench| {
        let chip = bench.chip(KeyKind::EcP256);
        [second_key(bench, &chip), chip]
    });
    assert_eq!(seen.await, (outcomes(["FAIL S-107", "PASS"]), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_certificate_at_two_stations_at_once_passes_at_none_and_blocks_no_genuine_board() {
    let seen = at_two_stations(|bench| {
        let genuine = bench.chip(KeyKind::EcP256);
        [bench.counterfeit(&genuine), bench.counterfeit(&genuine)]
    });
    assert_eq!(seen.await, (outcomes(["FAIL S-101", "FAIL S-101"]), 0));
    let seen = at_two_stations(|bench| {
        let genuine = bench.chip(KeyKind::EcP256);
        [bench.counterfeit(&genuine), genuine]
    });
    assert_eq!(seen.await, (outcomes(["FAIL S-101", "PASS"]), 1));
}

/// The nearest legitimate case.
#[tokio::test(flavor = "multi_thread")]
async fn two_chips_of_one_vendor_at_two_stations_at_once_both_pass() {
    let seen = at_two_stations(|bench| [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)]);
    assert_eq!(seen.await, (outcomes(["PASS", "PASS"]), 2));
}
