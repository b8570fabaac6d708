//! A label after it is out: another copy of it, and the label scanned on its board.

use std::sync::Arc;
use std::time::Duration;

use lineseal::audit::event::LabelStatus;
use lineseal::domain::profile::KeyKind;
use lineseal::runner::view::{Command, LabelView, Snapshot};

use crate::bench::Bench;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// `[label]` stands last in the practice line's profile.
async fn scanning(lanes: u8) -> Bench<'static> {
    Bench::with_profile(lanes, Cloud::shared().await, |text| format!("{}\nscan_back = true\n", text.trim_end())).await
}

fn notice(snapshot: &Arc<Snapshot>) -> Option<&str> {
    snapshot.notice.as_ref().map(|notice| notice.code.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_is_printed_once_more_for_a_reason_and_the_first_one_is_void() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "COPY", &chip);
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!((record.label.status, record.label.copy), (LabelStatus::Printed, None));
    let run = record.run.parse().unwrap();
    station.command(Command::ShowLabel(run)).await;
    let first = station.until("the label", |snapshot| snapshot.label.is_some()).await;
    let LabelView { picture, copy, .. } = first.label.as_ref().unwrap();
    assert_eq!((picture.width, picture.height, *copy), (400, 240, 1));
    assert!(picture.grey.contains(&0), "something is drawn");

    station.command(Command::Reprint { run, reason: "smudged by flux".parse().unwrap() }).await;
    let reprinted = |snapshot: &Arc<Snapshot>| {
        snapshot.label.as_ref().is_some_and(|label| label.copy == 2 && label.status == LabelStatus::Printed)
    };
    station.until("the second copy", reprinted).await;
    assert_eq!(bench.printer.printed(), 2);
    // What nobody printed is not printed again.
    station
        .command(Command::Reprint { run: lineseal::domain::RunId::from_random([9; 16]), reason: "x".parse().unwrap() })
        .await;
    station.until("the refusal", |snapshot| notice(snapshot) == Some("O-606")).await;
    let log = station.stop().await;
    assert_eq!(log.iter().filter(|logged| logged.kind() == "label-replaced").count(), 1);

    let serial = bench.serial("COPY");
    let shown = Program::on(&bench, ["audit", "show", &serial]).run().await.expect(0).out;
    for part in ["printed, copy 2", "copy 1", "smudged by flux"] {
        assert!(shown.contains(part), "{shown}");
    }
    let picture = bench.dir.path().join("label.png");
    let file = picture.display().to_string();
    Program::on(&bench, ["label", "show", &serial, "--png", &file]).run().await.expect(0);
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    let zpl = Program::on(&bench, ["label", "show", &serial]).run().await.expect(0).out;
    assert!(zpl.contains(&serial.replace('_', "_5F")), "{zpl}");
    Program::on(&bench, ["label", "reprint", &serial]).run().await.expect(2);
    Program::on(&bench, ["label", "reprint", &serial, "--reason", "torn"]).run().await.expect(0);
    assert_eq!(bench.printer.printed(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_label_confirms_and_another_one_is_told_and_never_does() {
    let mut bench = scanning(2).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    bench.plug(1, "ONE", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    let label = |name: &str, chip: &crate::bench::Chip| format!("{} {}", bench.thing(name), chip.fingerprint());
    let (one, two) = (label("ONE", &chips[0]), label("TWO", &chips[1]));
    station.until("a label that waits", |snapshot| snapshot.scan_back.len() == 1).await;

    // On no label of this line.
    station.command(Command::Scan("4900000000000".into())).await;
    station.until("the refusal", |snapshot| notice(snapshot) == Some("P-422")).await;
    station.command(Command::Scan(one.clone())).await;
    station.until("the confirmation", |snapshot| snapshot.scan_back.is_empty() && snapshot.notice.is_none()).await;

    bench.plug(2, "TWO", &chips[1]);
    assert_outcome(&station.unit().await, "PASS");
    station.until("a label that waits", |snapshot| snapshot.scan_back.len() == 1).await;
    station.command(Command::Scan(one)).await;
    let other = station.until("the other label", |snapshot| notice(snapshot) == Some("P-421")).await;
    assert_eq!(other.notice.as_ref().unwrap().args["unit"], bench.serial("ONE"));
    assert_eq!(other.scan_back.len(), 1);
    station.command(Command::Scan(two)).await;
    station.until("the confirmation", |snapshot| snapshot.scan_back.is_empty()).await;
    let log = station.stop().await;
    assert_eq!(log.iter().filter(|logged| logged.kind() == "label-confirmed").count(), 2);
}

/// Only a person can tell whether a label came out of a printer that went away in its middle.
#[tokio::test(flavor = "multi_thread")]
async fn a_printer_that_goes_away_in_the_middle_of_a_label_loses_none_and_doubles_none() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let chips = [bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256)];
    let mut station = Station::start(&bench).await;
    for (at, (name, lane)) in [("OUT", 1), ("NOT-OUT", 2)].into_iter().enumerate() {
        bench.printer.cut_next();
        bench.plug(lane, name, &chips[at]);
        let record = station.unit().await;
        assert_outcome(&record, "PASS");
        assert_eq!(record.label.status, LabelStatus::Failed);
        let run = record.run.parse().unwrap();
        let asks = |snapshot: &Arc<Snapshot>| snapshot.questions.iter().any(|question| question.run == run);
        station.until("the question", asks).await;
        bench.unplug(lane);
        // A start anew asks again, and prints nothing by itself.
        station.stop().await;
        assert_eq!(bench.printer.printed(), 0);
        station = Station::start(&bench).await;
        station.until("the same question", asks).await;
        station.command(Command::SettleLabel { run, printed: name == "OUT" }).await;
        station.until("no question", |snapshot| snapshot.questions.is_empty()).await;
        if name == "NOT-OUT" {
            let out = async {
                while bench.printer.printed() == 0 {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), out).await.expect("the label comes out");
        }
    }
    station.stop().await;
    assert_eq!(bench.printer.printed(), 1, "one was on paper already");
}
