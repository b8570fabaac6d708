//! A board whose serial number is on a sticker: the scanner says it, the waiting lane takes it.

use lineseal::domain::profile::KeyKind;
use lineseal::runner::view::{Command, LaneState, Snapshot};

use crate::bench::Bench;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome};

async fn bench(lanes: u8) -> Bench<'static> {
    Bench::with_profile(lanes, Cloud::shared().await, |text| {
        let (before, rest) = text.split_once("[identify]").unwrap();
        let (_, after) = rest.split_once("# One SoftHSM token a board").unwrap();
        let identify = "source = \"barcode\"\ntimeout_ms = 30000\nserial = '[A-Z0-9-]{4,32}'\n";
        format!("{before}[identify]\n{identify}\n# One SoftHSM token a board{after}")
    })
    .await
}

fn waits(snapshot: &Snapshot, lane: u8) -> bool {
    let waiting = |state: &LaneState| matches!(state, LaneState::Running { waits_for_scan: true, .. });
    snapshot.lanes.iter().any(|view| view.number.get() == lane && waiting(&view.state))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanned_serial_number_binds_to_the_lane_that_waits() {
    let mut bench = bench(2).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    for (lane, name, chip) in [(2, "SECOND", &chips[1]), (1, "FIRST", &chips[0])] {
        bench.plug(lane, "THE-BOARD-ITSELF-SAYS-NOTHING", chip);
        station.until("a lane that waits for the scanner", |snapshot| waits(snapshot, lane)).await;
        station.command(Command::Scan(bench.serial(name))).await;
        let record = station.unit().await;
        assert_outcome(&record, "PASS");
        assert_eq!((record.lane, record.board.serial.as_ref()), (lane, Some(&bench.serial(name))));
        assert_eq!(record.thing, Some(bench.thing(name)));
        assert_eq!(record.certificate.unwrap().sha256, chip.fingerprint());
    }
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_nobody_waits_for_is_refused_and_one_of_another_shape_is_an_error() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    station.command(Command::Scan(bench.serial("A"))).await;
    let refused = |snapshot: &std::sync::Arc<Snapshot>| {
        snapshot.notice.as_ref().is_some_and(|notice| notice.code.as_str() == "O-602")
    };
    station.until("the refusal", refused).await;

    bench.plug(1, "UNUSED", &chip);
    station.until("a lane that waits for the scanner", |snapshot| waits(snapshot, 1)).await;
    station.command(Command::Scan("not a serial number".into())).await;
    assert_outcome(&station.unit().await, "ERROR B-104");

    // Tried again, the right sticker passes: what was refused before binds nothing.
    station.command(Command::Retry(1.try_into().unwrap())).await;
    station.until("a lane that waits for the scanner", |snapshot| waits(snapshot, 1)).await;
    station.command(Command::Scan(bench.serial("A"))).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.board.serial, Some(bench.serial("A")));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_two_lanes_wait_for_is_no_boards_until_its_lane_is_named() {
    let mut bench = bench(2).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    bench.plug(1, "UNUSED", &chips[0]);
    bench.plug(2, "UNUSED", &chips[1]);
    station.until("both lanes to wait", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    station.command(Command::Scan(bench.serial("SECOND"))).await;
    let said = |code: &'static str| {
        move |snapshot: &std::sync::Arc<Snapshot>| {
            snapshot.notice.as_ref().is_some_and(|notice| notice.code.as_str() == code)
        }
    };
    station.until("the question whose it is", said("O-605")).await;
    let still = station.until("both lanes to wait on", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    assert!(still.recent.is_empty());

    station.command(Command::Scan("LANE-9".into())).await;
    station.until("the refusal of a lane that does not wait", said("O-602")).await;
    station.command(Command::Scan("LANE-2".into())).await;
    station.command(Command::Scan(bench.serial("SECOND"))).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!((record.lane, record.board.serial.as_ref()), (2, Some(&bench.serial("SECOND"))));
    assert_eq!(record.certificate.unwrap().sha256, chips[1].fingerprint());

    // One lane is left: nothing has to be named any more.
    station.command(Command::Scan(bench.serial("FIRST"))).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!((record.lane, record.board.serial.as_ref()), (1, Some(&bench.serial("FIRST"))));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_lane_that_waits_no_more_leaves_the_scan_to_nobody() {
    let mut bench = bench(2).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    bench.plug(1, "UNUSED", &chips[0]);
    bench.plug(2, "UNUSED", &chips[1]);
    station.until("both lanes to wait", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    station.command(Command::Scan("LANE-2".into())).await;
    bench.unplug(2);
    assert_outcome(&station.unit().await, "ABORTED B-105");
    // Lane 1 waits alone now, and this is still not its serial number.
    station.command(Command::Scan(bench.serial("SECOND"))).await;
    let refused = |snapshot: &std::sync::Arc<Snapshot>| {
        snapshot.notice.as_ref().is_some_and(|notice| notice.code.as_str() == "O-602")
    };
    station.until("the refusal", refused).await;

    // Nor does the choice pass to the next board in the lane that was named.
    bench.plug(2, "UNUSED", &chips[2]);
    station.until("both lanes to wait again", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    station.command(Command::Scan("LANE-2".into())).await;
    bench.unplug(2);
    assert_outcome(&station.unit().await, "ABORTED B-105");
    bench.plug(2, "UNUSED", &chips[2]);
    station.until("both lanes to wait once more", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    station.command(Command::Scan(bench.serial("FIRST"))).await;
    station.until("the refusal", refused).await;
    let still = station.until("both lanes to wait on", |snapshot| waits(snapshot, 1) && waits(snapshot, 2)).await;
    assert!(still.lanes.iter().all(|lane| matches!(lane.state, LaneState::Running { .. })));
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_put_in_by_mistake_is_taken_out_before_anything_is_bound_and_not_after() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    let lane = 1.try_into().unwrap();
    bench.plug(1, "UNUSED", &chip);
    let snapshot = station.until("a lane that waits for the scanner", |snapshot| waits(snapshot, 1)).await;
    let LaneState::Running { run, claimed: false, .. } = snapshot.lanes[0].state else {
        panic!("{:?}", snapshot.lanes[0].state)
    };
    station.command(Command::WrongBoard { lane, run }).await;
    let record = station.unit().await;
    assert_outcome(&record, "ABORTED O-640");

    // It was the right one after all: nothing of it was bound, and it passes.
    station.command(Command::Retry(lane)).await;
    station.until("a lane that waits for the scanner", |snapshot| waits(snapshot, 1)).await;
    // What was asked about the run before is not done to this one.
    station.command(Command::WrongBoard { lane, run }).await;
    let late = |snapshot: &std::sync::Arc<Snapshot>| {
        snapshot.notice.as_ref().is_some_and(|notice| notice.code.as_str() == "O-641")
    };
    let snapshot = station.until("that it is too late", late).await;
    assert!(waits(&snapshot, 1));
    station.command(Command::Scan(bench.serial("A"))).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    // Its verdict stays.
    let finished =
        station.until("the verdict", |snapshot| matches!(snapshot.lanes[0].state, LaneState::Finished { .. }));
    let LaneState::Finished { run, .. } = finished.await.lanes[0].state else { unreachable!() };
    station.command(Command::WrongBoard { lane, run }).await;
    station.until("that it is too late", late).await;
    station.stop().await;
}
