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
use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_ID, KEY_LABEL, UID_LABEL};
use lineseal::practice::vendor::{CHIP_NAME_PREFIX, ROOT_NAME, Validity, VendorCa};
use lineseal::runner::view::Snapshot;
use serde_json::{Value, json};

use crate::bench::{Bench, Chip, new_uid};
use crate::gate::{Gate, gated};
use crate::log;
use crate::peers::Cloud;
use crate::plant::{events, two_stations};
use crate::program::Program;
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

fn says(told: &str, label: &str, value: &str) {
    let said =
        |line: &str| line.trim_start().strip_prefix(label).is_some_and(|rest| rest.trim_start().starts_with(value));
    assert!(told.lines().any(said), "{label} {value}: {told}");
}

/// What QA has to go by, long after the boards are gone: why it failed, and whose the identity is.
#[tokio::test(flavor = "multi_thread")]
async fn qa_sees_from_the_units_history_alone_why_it_failed_and_with_what_it_collides() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let genuine = bench.chip(KeyKind::EcP256);
    let (copy, moved, rekeyed) = (bench.counterfeit(&genuine), bench.copy(&genuine), second_key(&bench, &genuine));
    let mut station = Station::start(&bench).await;
    for (name, chip, expected) in [
        ("GENUINE", &genuine, "PASS"),
        ("COPY", &copy, "FAIL S-101"),
        ("MOVED", &moved, "FAIL S-105"),
        ("REKEYED", &rekeyed, "FAIL S-107"),
    ] {
        assert_eq!(attempt(&mut bench, &mut station, name, chip).await.0, expected, "{name}");
    }
    let log = station.stop().await;
    let claim = log.iter().find(|logged| logged.kind() == "claimed").unwrap();
    let show = async |name: &str| {
        let serial = bench.serial(name);
        let told = Program::on(&bench, ["audit", "show", &serial]).run().await.expect(0).out;
        let json = Program::on(&bench, ["audit", "show", &serial, "--json"]).run().await.expect(0).json().remove(0);
        (told, json["evidence"].clone())
    };

    // A good one: asked three times, each answer verified, down to the root that the profile pins.
    let (told, evidence) = show("GENUINE").await;
    let asked = evidence["challenges"].as_array().unwrap();
    let purposes: Vec<_> = asked.iter().map(|asked| asked["fields"]["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["first", "before-register", "after-connect"]);
    assert!(asked.iter().all(|asked| asked["verified"] == true && asked["is_this_runs"] == true), "{evidence}");
    assert!(asked.iter().all(|asked| asked["fields"]["serial"] == bench.serial("GENUINE")), "{evidence}");
    assert_eq!((&evidence["path"][2]["root"], &evidence["path"][2]["pinned"]), (&json!(true), &json!(true)));
    says(&told, "verified", "under the certificate's key");
    says(&told, "is for", "this run, board, port and purpose");
    for part in [
        &format!("CN={ROOT_NAME},"),
        "pinned root: the path ends here",
        &format!("certificate {CERTIFICATE_LABEL}, key {KEY_LABEL}, UID {UID_LABEL}"),
        "the same certificate and UID, opened in ",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }

    // Its copy: what it answered, and that it is no answer.
    let (told, evidence) = show("COPY").await;
    let asked = &evidence["challenges"][0];
    assert_eq!((&asked["verified"], &evidence["decision"]), (&json!(false), &Value::Null));
    assert_eq!(asked["signature"].as_str().unwrap().len(), 2 * 64, "{asked}");
    says(&told, "REFUSED", "the answer does not verify");
    says(&told, "certificate", "read, and not proven");
    says(&told, "subject", &format!("CN={CHIP_NAME_PREFIX}{}", genuine.uid.as_str().to_uppercase()));
    says(&told, "SHA-256", &genuine.fingerprint());

    // Its chip on another board, and another key of its chip: each side by side with the board that has it.
    for (name, rules) in [("MOVED", &["certificate", "key", "chip-uid"][..]), ("REKEYED", &["chip-uid"])] {
        let (told, evidence) = show(name).await;
        let collisions = evidence["collisions"].as_array().unwrap();
        assert_eq!(collisions.iter().map(|it| it["rule"].as_str().unwrap()).collect::<Vec<_>>(), rules);
        for collision in collisions {
            assert_eq!((&collision["seq"], &collision["run"]), (&json!(claim.seq), &claim.event["run"]));
            assert_eq!(collision["serial"], bench.serial("GENUINE"));
            assert_eq!(collision["certificate_sha256"], genuine.fingerprint());
            assert_eq!(collision["chip_uid"], genuine.uid.as_str());
        }
        says(&told, "collides", &format!("chip UID is held by practice-board {}", bench.serial("GENUINE")));
        says(&told, "since", &format!("event {} of run {}", claim.seq, claim.event["run"].as_str().unwrap()));
        says(&told, "verified", "under the certificate's key");
    }
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}
