//! A certificate is public: whoever shows it without its key is seen and told of, and takes nothing from
//! the board that it belongs to.

use lineseal::audit::RunEvent;
use lineseal::domain::profile::KeyKind;

use crate::bench::Bench;
use crate::gate::gated;
use crate::log::{self, Logged};
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome, outcome};

/// So many sightings are in the log, each with what was shown, and QA finds them under the unit's name.
async fn are_told(bench: &Bench<'_>, log: &[Logged], name: &str, count: usize) {
    let failed: Vec<_> =
        log::all(log, "sealed").into_iter().filter(|event| event["reason"]["code"] == "S-101").collect();
    assert_eq!(failed.len(), count);
    for sealed in failed {
        let run = log::of_run(log, sealed["run"].as_str().unwrap());
        let kinds = log::kinds(&run);
        for evidence in ["chip-read", "challenge-made first"] {
            assert!(kinds.iter().any(|kind| kind == evidence), "{evidence}: {kinds:?}");
        }
        assert!(!kinds.iter().any(|kind| kind == "claimed" || kind == "register-intended"), "{kinds:?}");
    }
    if count > 0 {
        let shown = Program::on(bench, ["audit", "show", &bench.serial(name)]).run().await.expect(0);
        assert!(shown.out.contains("S-101"), "{}", shown.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_certificate_blocks_nobody_before_between_and_after_the_genuine_board() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(1, cloud).await;
    let genuine = bench.chip(KeyKind::EcP256);
    let copy = bench.counterfeit(&genuine);
    let mut station = Station::start(&bench).await;
    let mut seen = Vec::new();
    // Under a name of its own, and under the genuine board's.
    for (name, chip) in [
        ("FAKE", &copy),
        ("A", &copy),
        ("A", &genuine),
        ("FAKE", &copy),
        ("A", &copy),
        ("A", &genuine),
        ("A", &copy),
        ("FAKE", &copy),
    ] {
        bench.plug(1, name, chip);
        seen.push(outcome(&station.unit().await));
        bench.unplug(1);
        station.until_gone(&[1]).await;
    }
    let fake = "FAIL S-101";
    assert_eq!(seen, [fake, fake, "PASS", fake, fake, "PASS", fake, fake]);
    let log = station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 2);
    are_told(&bench, &log, "A", 6).await;
    are_told(&bench, &log, "FAKE", 6).await;
    let cloud = cloud.witness();
    let certificate = &cloud.certificates[&genuine.fingerprint()];
    assert_eq!((certificate.status.as_str(), certificate.things.as_slice()), ("ACTIVE", [bench.thing("A")].as_slice()));
    assert!(!cloud.things.contains_key(&bench.thing("FAKE")));
}

fn challenged(event: &RunEvent) -> bool {
    matches!(event, RunEvent::ChallengeMade { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_certificate_in_the_next_lane_at_the_same_moment_blocks_nobody() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(2, cloud).await;
    let genuine = bench.chip(KeyKind::EcP256);
    let copy = bench.counterfeit(&genuine);
    bench.plug(1, "A", &genuine);
    bench.plug(2, "FAKE", &copy);
    let (mut station, gate) = gated(&bench, challenged).await;
    // Both have shown the same certificate, and neither has proven it.
    gate.reached_by(2).await;
    gate.open();
    for record in station.units(2).await {
        let genuine = record.board.serial == Some(bench.serial("A"));
        assert_outcome(&record, if genuine { "PASS" } else { "FAIL S-101" });
    }
    let log = station.stop().await;
    are_told(&bench, &log, "FAKE", 1).await;
    assert_eq!(cloud.witness().certificates[&genuine.fingerprint()].things, [bench.thing("A")]);
}

/// One good chip wired to two lanes: the claim decides, and the loser names the winner.
#[tokio::test(flavor = "multi_thread")]
async fn one_chip_behind_two_ports_at_the_same_moment_passes_once() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(3, cloud).await;
    let (chip, other) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    bench.plug(1, "A", &chip);
    bench.plug(2, "B", &chip);
    bench.plug(3, "BYSTANDER", &other);
    let (mut station, gate) = gated(&bench, challenged).await;
    gate.reached_by(3).await;
    gate.open();
    let mut records = station.units(3).await;
    records.sort_by_key(outcome);
    let [lost, rest @ ..] = &records[..] else { panic!("{records:?}") };
    assert_outcome(lost, "FAIL S-105");
    for record in rest {
        assert_outcome(record, "PASS");
    }
    let won = rest.iter().find(|record| record.board.serial != Some(bench.serial("BYSTANDER"))).unwrap();
    let cause = lost.cause.clone().unwrap();
    assert!(cause.contains(won.board.serial.as_deref().unwrap()) && cause.contains(&won.run.to_string()), "{cause}");
    let log = station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 2);
    assert_eq!(cloud.witness().certificates[&chip.fingerprint()].things.len(), 1);
}
