//! One good board, the station killed right before and right after each of its writes.

use std::time::Instant;

use lineseal::audit::{Body, RunEvent};
use lineseal::provisioning::Label;

use crate::bench::{Bench, passed};
use crate::child;
use crate::stores::Side;

/// The writes of a good run, from `StationStarted` to the label's end: fewer were not all of them.
const WRITES: u64 = 15;

/// Also where a station's process begins: see [`child::ENTRY`].
#[test]
fn killed_right_before_and_after_every_write() {
    child::live_if_asked();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { every_write(Bench::connecting().await, WRITES).await });
}

/// The same where a certificate is made for the chip's key on the way: one that was made and not recorded is found
/// by the next run, and no second one is made.
#[test]
fn killed_right_before_and_after_every_write_of_a_unit_whose_certificate_is_made() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { every_write(Bench::requesting().await, WRITES + 1).await });
}

/// The same where one RegisterThing makes the unit, by a template of the profile's own.
#[test]
fn killed_right_before_and_after_every_write_of_a_unit_that_a_template_makes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { every_write(Bench::by_template().await, WRITES).await });
}

/// The same for a unit of a fleet: certified and provisioned over MQTT, each of which AWS answers once.
#[test]
fn killed_right_before_and_after_every_write_of_a_unit_of_a_fleet() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { every_write(Bench::in_a_fleet().await, WRITES).await });
}

async fn every_write(mut bench: Bench, writes: u64) {
    let (mut boards, mut questions, mut by_itself) = (0, 0, 0);
    // The numbers of the writes around which the label's fate is unknown.
    let mut unknown = Vec::new();
    let mut write = 0;
    'writes: loop {
        write += 1;
        for side in Side::BOTH {
            let began = Instant::now();
            let serial = bench.plug().await;
            boards += 1;
            let mut station = bench.doomed(write, side);
            let survived = station
                .until_or_death("PASS and its label", |shown| {
                    passed(shown, &serial) && shown.lanes.iter().any(|lane| lane.label.as_deref() == Some("printed"))
                })
                .await;
            let last = match survived {
                true => !station.stop_or_death().await,
                false => {
                    station.died().await;
                    false
                }
            };
            let left = bench.runs(&serial).await;
            let label = left.last().map(|run| run.label.clone());
            let came_out = bench.labels(&serial);

            let asked = bench.settle_down(&serial).await;
            bench.accounts(&serial, 1).await;
            match label {
                // Sealed, and the label not begun: it comes by itself, and nobody is asked.
                Some(Label::Owed(_)) => {
                    assert_eq!((asked, came_out), (0, 0));
                    by_itself += 1;
                }
                Some(Label::Intended(_)) => {
                    assert_eq!(asked, 1, "the fate of a label is unknown, and the station does not ask");
                    questions += 1;
                    unknown.push((write, side, came_out));
                }
                _ => assert_eq!(asked, 0, "write {write} {side:?}: nothing was to be asked"),
            }
            println!("write {write} {side:?}: {:?}, {asked} asked", began.elapsed());
            bench.unplug();
            if last {
                break 'writes;
            }
        }
    }
    assert!(write > writes, "{write}");
    // After the seal; after the label's intent, and before its end.
    assert_eq!((by_itself, questions), (2, 2));
    assert_eq!(unknown.iter().map(|(_, _, came_out)| *came_out).collect::<Vec<_>>(), [0, 1]);

    // The same two moments, and a person who says the opposite of the truth gets what they said.
    for (write, side, came_out) in unknown {
        let serial = bench.plug().await;
        boards += 1;
        bench.doomed(write, side).died().await;
        assert_eq!(bench.labels(&serial), came_out);
        let mut station = bench.station();
        station.until("PASS", |shown| passed(shown, &serial)).await;
        let printed = came_out == 0;
        let asked = bench.settle(&mut station, &serial, |_| printed).await;
        station.stop().await;
        assert_eq!(asked, 1);
        bench.accounts(&serial, if printed { 0 } else { 2 }).await;
        bench.unplug();
    }
    bench.count_in_the_cloud(boards).await;
    let sealed = bench.log().into_iter().filter(|event| matches!(event.body, Body::Run(RunEvent::Sealed { .. })));
    assert!(sealed.count() >= boards);
}
