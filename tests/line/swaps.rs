//! Boards and chips that change places in the middle of a run, and twins.

use std::sync::Arc;

use lineseal::audit::RunEvent;
use lineseal::audit::event::{Purpose, Ruling};
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{Identity, Step, Unit};
use lineseal::ports::{Claim, ClaimAnswer};
use lineseal::practice::board::Behaviour;
use lineseal::provisioning::UnitRecord;
use lineseal::runner::view::Snapshot;
use tokio::sync::watch;

use crate::bench::{Bench, Chip};
use crate::gate::{Gate, SwappedChips, gated};
use crate::log;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome, is_pass, outcome, workers};
use crate::store_contract;

/// Between prove and register: the identity is proven and claimed, and nothing was read again.
fn proven(event: &RunEvent) -> bool {
    matches!(event, RunEvent::StepBegan { step: Step::Register })
}

/// The chip was read again, and is about to be challenged again.
fn read_again(event: &RunEvent) -> bool {
    matches!(event, RunEvent::ChallengeMade { purpose: Purpose::BeforeRegister, .. })
}

/// Everything is proven, and the next thing is the cloud.
fn about_to_register(event: &RunEvent) -> bool {
    matches!(event, RunEvent::RegisterIntended { .. })
}

/// Every target holds the unit, and its chip is looked at a last time.
fn about_to_pass(event: &RunEvent) -> bool {
    matches!(event, RunEvent::StepBegan { step: Step::Seal })
}

/// No PASS under another's name: the record, and what the cloud holds for the thing.
fn keeps_its_identity(bench: &Bench<'_>, record: &UnitRecord, owners: &[(&str, &Chip)]) {
    if is_pass(record) {
        let serial = record.board.serial.clone().unwrap();
        let (_, chip) = owners.iter().find(|(name, _)| bench.serial(name) == serial).unwrap();
        assert_eq!(record.certificate.clone().unwrap().sha256, chip.fingerprint());
        assert_eq!(record.chip_uid.as_deref(), Some(chip.uid.as_str()));
    }
}

async fn board_replaced_at(point: fn(&RunEvent) -> bool) {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "A", &a);
    let (mut station, gate) = gated(&bench, point).await;
    gate.reached_by(1).await;
    // Another board into the same port, quicker than anyone can look.
    bench.plug(1, "B", &b);
    let serial_a = bench.serial("A");
    // The lane shows the new arrival: nothing of the first one's run any more.
    let gone = |snapshot: &Arc<Snapshot>| !format!("{:?}", snapshot.lanes[0].state).contains(&serial_a);
    station.until("the second board", gone).await;
    gate.open();
    let records = station.units(2).await;
    assert_outcome(&records[0], "ABORTED B-105");
    assert_eq!(records[0].board.serial, Some(bench.serial("A")));
    assert_outcome(&records[1], "PASS");
    assert_eq!(records[1].board.serial, Some(bench.serial("B")));
    keeps_its_identity(&bench, &records[1], &[("A", &a), ("B", &b)]);
    let cloud = Cloud::shared().await.witness();
    assert!(!cloud.things.contains_key(&bench.thing("A")));
    assert!(!cloud.certificates.contains_key(&a.fingerprint()));
    assert_eq!(cloud.certificates[&b.fingerprint()].things, [bench.thing("B")]);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_replaced_before_it_is_read_again() {
    board_replaced_at(proven).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_replaced_while_it_is_challenged_again() {
    board_replaced_at(read_again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_replaced_right_before_the_cloud_is_asked() {
    board_replaced_at(about_to_register).await;
}

/// The run goes on before the station has noticed: what it passes is still the first board's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_replaced_unnoticed_gives_nobody_anothers_identity() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::Rsa2048));
    bench.plug(1, "A", &a);
    let (mut station, gate) = gated(&bench, proven).await;
    gate.reached_by(1).await;
    gate.open();
    bench.plug(1, "B", &b);
    let records = station.units(2).await;
    for record in &records {
        keeps_its_identity(&bench, record, &[("A", &a), ("B", &b)]);
    }
    // It was read again in time, or it was gone; or the other board's serial number was heard in its place,
    // quicker than a hand could have put it there.
    assert!(["PASS", "ABORTED B-105", "FAIL S-109"].contains(&outcome(&records[0]).as_str()), "{:?}", records[0]);
    assert_eq!(records[1].board.serial, Some(bench.serial("B")));
    assert_outcome(&records[1], "PASS");
    station.stop().await;
}

/// The module finds no certificate any more before the station knows that the board is gone. Pulled is
/// pulled: a FAIL would send a good board to the red tray.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_pulled_together_with_its_chip_is_aborted_and_not_failed() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let (mut station, gate) = gated(&bench, proven).await;
    gate.reached_by(1).await;
    std::fs::remove_dir_all(bench.token_dir(1)).unwrap();
    bench.unplug(1);
    gate.open();
    assert_outcome(&station.unit().await, "ABORTED B-105");
    // Put back, it is the same good board.
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

/// Whoever tries a swap and sees it noticed would pull the cable.
#[tokio::test(flavor = "multi_thread")]
async fn another_chip_that_was_seen_is_in_the_log_however_soon_the_board_is_pulled() {
    for point in [proven, about_to_pass] {
        let mut bench = Bench::new(1, Cloud::shared().await).await;
        let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
        let (swap, swapped) = watch::channel(false);
        let (seen, mut saw) = watch::channel(false);
        let gate = Gate::new(point);
        bench.plug(1, "A", &a);
        let mut station = Station::start_with(&bench, |equipment| {
            equipment.log.store = gate.before(equipment.log.store.clone());
            let other = b.token.path().join("softhsm2.conf");
            equipment.tokens = Arc::new(SwappedChips { workers: workers(), other, swapped, seen });
        })
        .await;
        gate.reached_by(1).await;
        swap.send_replace(true);
        gate.open();
        saw.wait_for(|seen| *seen).await.unwrap();
        bench.unplug(1);
        let record = station.unit().await;
        assert_outcome(&record, "FAIL S-109");
        assert_eq!(record.reason_args["certificate"], b.fingerprint());
        let registered = Cloud::shared().await.witness().certificates.get(&a.fingerprint()).map(|c| c.status.clone());
        assert!(registered.is_none_or(|status| status == "INACTIVE"));
        // Putting the first one back makes nothing good.
        station.until_gone(&[1]).await;
        swap.send_replace(false);
        bench.plug(1, "A", &a);
        assert_outcome(&station.unit().await, "FAIL S-113");
        station.stop().await;
    }
}

/// The log is slow: its board is gone, and another one stands in the lane, before the verdict can be written.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_left_before_its_verdict_was_written_does_not_pass() {
    for followed in [false, true] {
        let mut bench = Bench::new(1, Cloud::shared().await).await;
        let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
        bench.plug(1, "A", &a);
        let (mut station, gate) = gated(&bench, asked_again).await;
        gate.reached_by(1).await;
        let serial_a = bench.serial("A");
        if followed {
            bench.plug(1, "B", &b);
            let gone = |snapshot: &Arc<Snapshot>| !format!("{:?}", snapshot.lanes[0].state).contains(&serial_a);
            station.until("the second board", gone).await;
        } else {
            bench.unplug(1);
            station.until_gone(&[1]).await;
        }
        gate.open();
        let mut records = station.units(if followed { 2 } else { 1 }).await;
        records.sort_by_key(|record| record.board.serial != Some(serial_a.clone()));
        assert_outcome(&records[0], "ABORTED B-105");
        if followed {
            assert_outcome(&records[1], "PASS");
        } else {
            bench.plug(1, "A", &a);
            assert_outcome(&station.unit().await, "PASS");
        }
        station.stop().await;
        assert_eq!(bench.printer.printed(), 1);
    }
}

/// The chip behind the open connection is another one: `other` answers from the gate on. What came of it,
/// and the first chip's certificate in the cloud.
async fn chip_replaced(
    point: fn(&RunEvent) -> bool,
    other: impl FnOnce(&Bench<'_>, &Chip) -> Chip,
) -> (UnitRecord, Option<String>) {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let a = bench.chip(KeyKind::EcP256);
    let other = other(&bench, &a);
    let (swap, swapped) = watch::channel(false);
    let gate = Gate::new(point);
    bench.plug(1, "A", &a);
    let mut station = Station::start_with(&bench, |equipment| {
        equipment.log.store = gate.before(equipment.log.store.clone());
        let other = other.token.path().join("softhsm2.conf");
        equipment.tokens =
            Arc::new(SwappedChips { workers: workers(), other, swapped, seen: watch::Sender::new(false) });
    })
    .await;
    gate.reached_by(1).await;
    swap.send_replace(true);
    gate.open();
    let record = station.unit().await;
    station.stop().await;
    let cloud = Cloud::shared().await.witness();
    let known = |chip: &Chip| cloud.certificates.get(&chip.fingerprint());
    assert!(other.fingerprint() == a.fingerprint() || known(&other).is_none(), "the other chip is in the cloud");
    let status = known(&a).map(|certificate| certificate.status.clone());
    assert_eq!(cloud.things.contains_key(&bench.thing("A")), status.is_some());
    (record, status)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_chip_behind_the_port_is_seen_when_it_is_read_again() {
    let mut other = None;
    let (record, status) = chip_replaced(proven, |bench, _| other.insert(bench.chip(KeyKind::EcP256)).clone()).await;
    assert_outcome(&record, "FAIL S-109");
    // Which one, for QA: it may be known.
    let other = other.unwrap();
    assert_eq!(record.reason_args["certificate"], other.fingerprint());
    assert_eq!(record.reason_args["chip_uid"], other.uid.as_str());
    assert_eq!(status, None, "nothing of it is in the cloud");
}

/// While the cloud was at work, the chip could be changed: it is looked at a last time before anyone reads
/// PASS, and what the cloud took is switched off.
#[tokio::test(flavor = "multi_thread")]
async fn another_chip_after_it_is_registered_is_no_pass() {
    let (record, status) = chip_replaced(about_to_pass, |bench, _| bench.chip(KeyKind::EcP256)).await;
    assert_outcome(&record, "FAIL S-109");
    assert_eq!(status.as_deref(), Some("INACTIVE"));
    let (record, status) = chip_replaced(about_to_pass, |bench, genuine| bench.counterfeit(genuine)).await;
    assert_outcome(&record, "FAIL S-101");
    assert_eq!(status.as_deref(), Some("INACTIVE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counterfeit_chip_behind_the_port_is_seen_when_it_is_challenged_again() {
    for point in [proven, read_again] {
        let (record, status) = chip_replaced(point, |bench, genuine| bench.counterfeit(genuine)).await;
        assert_outcome(&record, "FAIL S-101");
        assert_eq!(status, None, "nothing of it is in the cloud");
    }
}

/// A good board, whose answers change once its run is there.
async fn behaves_from(bench: &mut Bench<'_>, point: fn(&RunEvent) -> bool, then: Behaviour) -> (Station, Chip) {
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let (station, gate) = gated(bench, point).await;
    gate.reached_by(1).await;
    bench.board(1).set_behaviour(then);
    gate.open();
    (station, chip)
}

/// The bridge stays, so no board has left; whenever another one was put behind it, it has another name.
#[tokio::test(flavor = "multi_thread")]
async fn another_board_behind_a_bridge_that_stays_is_no_pass() {
    for point in [identified, proven, about_to_pass] {
        let mut bench = Bench::new(1, Cloud::shared().await).await;
        let (mut station, chip) = behaves_from(&mut bench, point, Behaviour::Other).await;
        let record = station.unit().await;
        assert_outcome(&record, "FAIL S-109");
        assert!(record.cause.unwrap().contains("serial number"));
        let log = station.stop().await;
        assert!(log::all(&log, "label-intended").is_empty());
        let cloud = Cloud::shared().await.witness();
        assert_eq!(cloud.certificates[&chip.fingerprint()].status, "INACTIVE");
    }
}

/// One that says nothing the second time is no other board: it is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_is_silent_when_it_is_asked_again_is_an_error_and_passes_the_next_time() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (mut station, chip) = behaves_from(&mut bench, about_to_pass, Behaviour::Silent).await;
    assert_outcome(&station.unit().await, "ERROR B-102");
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

/// Of a board that can't answer twice the profile says so; nothing is asked of it then.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_answers_once_passes_where_its_profile_says_that_it_does() {
    let once = |profile: String| profile.replace("[identify]\n", "[identify]\nagain = false\n");
    let mut bench = Bench::with_profile(1, Cloud::shared().await, once).await;
    let (mut station, _) = behaves_from(&mut bench, about_to_pass, Behaviour::Silent).await;
    assert_outcome(&station.unit().await, "PASS");
    assert!(log::all(&station.stop().await, "identified-again").is_empty());
}

/// The board was asked for the last time, and its verdict is not written yet.
fn asked_again(event: &RunEvent) -> bool {
    matches!(event, RunEvent::IdentifiedAgain { .. })
}

/// By a ruling, at another station: the log is slow, and the run looked at everything before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_a_ruling_took_from_its_unit_after_the_last_look_is_no_pass() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let (gate, mut store) = (Gate::new(asked_again), None);
    let mut station = Station::start_with(&bench, |equipment| {
        store = Some(equipment.log.store.clone());
        equipment.log.store = gate.before(equipment.log.store.clone());
    })
    .await;
    gate.reached_by(1).await;
    let store = store.unwrap();
    let before = station.log();
    let claim = log::all(&before, "claimed").remove(0);
    let old: Identity = serde_json::from_value(claim["identity"].clone()).unwrap();
    let repaired = store_contract::identity(9);
    let unit: Unit = serde_json::from_value(claim["unit"].clone()).unwrap();
    let run = store_contract::run_id();
    let ruling = Ruling::Rebind { unit: unit.clone(), old: old.into(), new: repaired.clone(), run };
    store.append(vec![store_contract::ruled(ruling)]).await.unwrap();
    let moved = store.claim(Claim { unit, ..store_contract::claim("A", repaired) }).await.unwrap();
    assert!(matches!(moved, ClaimAnswer::Bound(_)), "{moved:?}");
    gate.open();
    assert_outcome(&station.unit().await, "FAIL S-105");
    let log = station.stop().await;
    assert!(log::all(&log, "label-intended").is_empty());
    let cloud = Cloud::shared().await.witness();
    assert_eq!(cloud.certificates[&chip.fingerprint()].status, "INACTIVE");
}

/// The nearest legitimate case: the chip stays the one it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_chip_behind_the_port_passes() {
    for point in [proven, about_to_pass] {
        let (record, status) = chip_replaced(point, |bench, chip| bench.copy(chip)).await;
        assert_outcome(&record, "PASS");
        assert_eq!(status.as_deref(), Some("ACTIVE"));
    }
}

/// The token's files are exchanged under a worker that has them open.
#[tokio::test(flavor = "multi_thread")]
async fn token_files_exchanged_behind_the_port_never_pass_as_anothers() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "A", &a);
    let (mut station, gate) = gated(&bench, proven).await;
    gate.reached_by(1).await;
    bench.mount(1, &b);
    gate.open();
    // SoftHSM finds that what it had open is gone.
    assert_outcome(&station.unit().await, "FAIL T-203");
    station.stop().await;
    let cloud = Cloud::shared().await.witness();
    assert!(!cloud.things.contains_key(&bench.thing("A")));
    assert!([&a, &b].iter().all(|chip| !cloud.certificates.contains_key(&chip.fingerprint())));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_boards_that_change_lanes_are_aborted_and_then_pass_as_themselves() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "A", &a);
    bench.plug(2, "B", &b);
    let (mut station, gate) = gated(&bench, proven).await;
    gate.reached_by(2).await;
    bench.plug(1, "B", &b);
    bench.plug(2, "A", &a);
    // Both second runs wait at the gate, too: both first ones have been seen to be gone.
    gate.reached_by(4).await;
    gate.open();
    let mut records = station.units(4).await;
    records.sort_by_key(|record| (record.started, record.lane));
    for record in &records[..2] {
        assert_outcome(record, "ABORTED B-105");
    }
    let owners = [("A", &a), ("B", &b)];
    for record in &records[2..] {
        assert_outcome(record, "PASS");
        keeps_its_identity(&bench, record, &owners);
    }
    let lane_of = |name: &str| {
        let serial = Some(bench.serial(name));
        records[2..].iter().find(|record| record.board.serial == serial).unwrap().lane
    };
    assert_eq!((lane_of("A"), lane_of("B")), (2, 1));
    let log = station.stop().await;
    assert_eq!(log::all(&log, "registered").len(), 2);
    let cloud = Cloud::shared().await.witness();
    for (name, chip) in owners {
        assert_eq!(cloud.certificates[&chip.fingerprint()].things, [bench.thing(name)]);
    }
}

/// Once each is known, the two chips change boards: neither board may have the other's chip.
#[tokio::test(flavor = "multi_thread")]
async fn two_boards_with_each_others_chips_fail() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "A", &a);
    bench.plug(2, "B", &b);
    let mut station = Station::start(&bench).await;
    for record in station.units(2).await {
        assert_outcome(&record, "PASS");
    }
    bench.unplug(1);
    bench.unplug(2);
    station.until_gone(&[1, 2]).await;
    bench.plug(1, "A", &b);
    bench.plug(2, "B", &a);
    for record in station.units(2).await {
        assert_outcome(&record, "FAIL S-105");
        assert_eq!(record.targets, []);
    }
    station.stop().await;
    let cloud = Cloud::shared().await.witness();
    // Refused is refused: what was good stays as it is.
    for (name, chip) in [("A", &a), ("B", &b)] {
        let certificate = &cloud.certificates[&chip.fingerprint()];
        assert_eq!(
            (certificate.status.as_str(), certificate.things.as_slice()),
            ("ACTIVE", [bench.thing(name)].as_slice())
        );
    }
}

fn identified(event: &RunEvent) -> bool {
    matches!(event, RunEvent::Identified { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_boards_with_one_serial_number_are_both_errors_and_neither_claims() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "TWIN", &a);
    bench.plug(2, "TWIN", &b);
    // Both have said their name before either goes on.
    let (mut station, gate) = gated(&bench, identified).await;
    gate.reached_by(2).await;
    gate.open();
    for record in station.units(2).await {
        assert_outcome(&record, "ERROR B-106");
        assert_eq!(record.board.serial, Some(bench.serial("TWIN")));
    }
    assert!(log::all(&station.log(), "claimed").is_empty());
    assert!(!Cloud::shared().await.witness().things.contains_key(&bench.thing("TWIN")));

    // The nearest legitimate case: the only board of that serial number.
    bench.unplug(1);
    bench.unplug(2);
    station.until_gone(&[1, 2]).await;
    bench.plug(2, "TWIN", &b);
    assert_outcome(&station.unit().await, "PASS");

    // A twin that comes later takes nothing away from the first.
    bench.plug(1, "TWIN", &a);
    assert_outcome(&station.unit().await, "ERROR B-106");
    let log = station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 1);
    assert_eq!(Cloud::shared().await.witness().things[&bench.thing("TWIN")].principals.len(), 1);
}

/// A twin that comes when the first is about to be registered stops it: nobody can say which is which.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_in_the_middle_of_a_run_stops_both() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "TWIN", &a);
    let (mut station, gate) = gated(&bench, about_to_register).await;
    gate.reached_by(1).await;
    bench.plug(2, "TWIN", &b);
    assert_outcome(&station.unit().await, "ERROR B-106");
    gate.open();
    assert_outcome(&station.unit().await, "ERROR B-106");
    let cloud = Cloud::shared().await.witness();
    assert!(!cloud.things.contains_key(&bench.thing("TWIN")));
    assert!([&a, &b].iter().all(|chip| !cloud.certificates.contains_key(&chip.fingerprint())));
    station.stop().await;
}

/// Right before the verdict, too. The claim stands, and the first is itself once the twin is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_twin_right_before_the_verdict_stops_both() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let (a, b) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "TWIN", &a);
    let (mut station, gate) = gated(&bench, about_to_pass).await;
    gate.reached_by(1).await;
    bench.plug(2, "TWIN", &b);
    assert_outcome(&station.unit().await, "ERROR B-106");
    gate.open();
    assert_outcome(&station.unit().await, "ERROR B-106");
    assert_eq!(bench.printer.printed(), 0);
    bench.unplug(1);
    bench.unplug(2);
    station.until_gone(&[1, 2]).await;
    bench.plug(2, "TWIN", &b);
    assert_outcome(&station.unit().await, "FAIL S-108");
    bench.unplug(2);
    station.until_gone(&[2]).await;
    bench.plug(1, "TWIN", &a);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    let cloud = Cloud::shared().await.witness();
    assert_eq!(cloud.certificates[&a.fingerprint()].things, [bench.thing("TWIN")]);
    assert!(!cloud.certificates.contains_key(&b.fingerprint()));
}
