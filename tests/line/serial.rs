//! Boards that misbehave on their serial port.

use std::time::Duration;

use lineseal::domain::profile::KeyKind;
use lineseal::practice::board::Behaviour;
use lineseal::provisioning::UnitRecord;
use lineseal::runner::view::Command;

use crate::bench::Bench;
use crate::log;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome};

async fn one(behaviour: Behaviour) -> UnitRecord {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug_as(1, "A", &chip, behaviour);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    station.stop().await;
    record
}

fn took(record: &UnitRecord) -> Duration {
    record.finished.duration_since(record.started).try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_megabyte_of_garbage_is_no_answer_and_takes_no_longer_than_silence() {
    let record = one(Behaviour::Garbage(1 << 20)).await;
    assert_outcome(&record, "ERROR B-103");
    // Three attempts of half a second, and what the station allows for a cable that was pulled.
    assert!(took(&record) < Duration::from_secs(6), "{:?}", took(&record));
    // The record shows what came, not all of it.
    assert!(record.cause.unwrap().len() < 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_vanishes_while_it_is_read_is_an_unplugged_board() {
    let record = one(Behaviour::VanishMidAnswer).await;
    assert_outcome(&record, "ABORTED B-105");
    // Half an answer names no board.
    assert_eq!(record.board.serial, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_within_the_timeout_is_waited_for() {
    let record = one(Behaviour::Delayed(Duration::from_millis(300))).await;
    assert_outcome(&record, "PASS");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_after_all_attempts_is_silence() {
    let record = one(Behaviour::Delayed(Duration::from_secs(20))).await;
    assert_outcome(&record, "ERROR B-102");
    assert!(took(&record) < Duration::from_secs(6), "{:?}", took(&record));
}

/// ERROR is the line's fault: the same board, still plugged, may be tried again, and passes.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_was_silent_is_tried_again_and_passes() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug_as(1, "A", &chip, Behaviour::Silent);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "ERROR B-102");
    bench.board(1).set_behaviour(Behaviour::Normal);
    station.command(Command::Retry(1.try_into().unwrap())).await;
    assert_outcome(&station.unit().await, "PASS");
    // A PASS is not tried again.
    station.command(Command::Retry(1.try_into().unwrap())).await;
    let log = station.stop().await;
    assert_eq!(log::all(&log, "run-started").len(), 2);
}
