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
