//! Killed while a HELD unit is finished, and while its label is printed on scanning the slip.

use lineseal::domain::Verdict;
use lineseal::provisioning::Label;
use tokio::time::Instant;

use crate::bench::{Bench, PATIENCE, Station, finished};
use crate::stores::Side;

/// Started, resumed with the intent, registered, sealed; the label's intent and end.
const WRITES: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_a_held_unit_is_finished() {
    let mut bench = Bench::new().await;
    let mut boards = 0;
    let mut write = 1; // The station's start is the other matrix's.
    'writes: loop {
        write += 1;
        for side in Side::BOTH {
            let (serial, slip) = held(&mut bench).await;
            boards += 1;
            let mut station = bench.doomed(write, side);
            let survived = finish(&bench, &mut station, &serial, slip).await;
            let last = match survived {
                true => !station.stop_or_death().await,
                false => {
                    station.died().await;
                    false
                }
            };
            let run = bench.runs(&serial).await.pop().unwrap();
            let in_question = matches!(run.label, Label::Intended(_));

            let mut station = bench.station();
            let asked = see_through(&bench, &mut station, &serial, slip).await;
            station.stop().await;
            assert_eq!(asked, usize::from(in_question), "write {write} {side:?}: {:?}", run.label);
            bench.accounts(&serial, 1).await;
            assert_eq!(bench.slips(&serial), 1, "a unit that stays HELD keeps its slip");
            assert_eq!(bench.runs(&serial).await.len(), 1, "without the board");
            println!("write {write} {side:?}: {:?} {:?}", run.verdict(), run.label);
            if last {
                break 'writes;
            }
        }
    }
    assert!(write > WRITES, "{write}");
    bench.count_in_the_cloud(boards).await;
}

/// A unit that is HELD, its slip printed, its board taken out, and the cloud back.
async fn held(bench: &mut Bench) -> (String, u64) {
    bench.line.proxy.down().await;
    let serial = bench.plug().await;
    let mut station = bench.station();
    station
        .until("HELD and its slip", |shown| {
            finished(shown, &serial, "HELD") && shown.lanes.iter().any(|lane| lane.label.as_deref() == Some("printed"))
        })
        .await;
    let slip = station.lane().and_then(|lane| lane.slip).unwrap();
    station.stop().await;
    bench.unplug();
    bench.line.proxy.up().await.unwrap();
    (serial, slip)
}

/// Resumes, scans the slip; `false` when the station dies on the way.
async fn finish(bench: &Bench, station: &mut Station, serial: &str, slip: u64) -> bool {
    if !station.until_or_death("a snapshot", |shown| !shown.lanes.is_empty()).await {
        return false;
    }
    station.tell("resume").await;
    let by = Instant::now() + PATIENCE;
    while bench.runs(serial).await.pop().unwrap().verdict() != Some(Verdict::Pass) {
        station.look().await;
        if station.is_dead() {
            return false;
        }
        assert!(Instant::now() < by, "it stays {:?}: {:#?}", station.shown, bench.runs(serial).await);
    }
    station.tell(&format!("scan SLIP-{slip}")).await;
    while bench.labels(serial) == 0 || !bench.unsettled().await.is_empty() {
        station.look().await;
        if station.is_dead() {
            return false;
        }
        assert!(Instant::now() < by, "no label: {:?}", station.shown);
    }
    true
}

/// As a technician would: resume; scan the slip unless the station asks first; answer by the paper.
async fn see_through(bench: &Bench, station: &mut Station, serial: &str, slip: u64) -> usize {
    station.until("a snapshot", |shown| !shown.lanes.is_empty()).await;
    let run = bench.runs(serial).await.pop().unwrap();
    if run.verdict() != Some(Verdict::Pass) {
        station.tell("resume").await;
        let by = Instant::now() + PATIENCE;
        while bench.runs(serial).await.pop().unwrap().verdict() != Some(Verdict::Pass) {
            station.look().await;
            assert!(Instant::now() < by, "it stays {:?}: {:#?}", station.shown, bench.runs(serial).await);
        }
    }
    if station.shown.questions.is_empty() {
        station.tell(&format!("scan SLIP-{slip}")).await;
    }
    bench.settle(station, serial, |labels| labels > 0).await
}
