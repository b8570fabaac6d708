//! A station whose clock fell back: expired certificates would pass by it, good ones would fail.

use std::sync::Arc;

use lineseal::adapters::system::SystemClock;
use lineseal::domain::profile::KeyKind;
use lineseal::ports::Clock;
use lineseal::runner::view::LaneState;

use crate::bench::Bench;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome};

struct Behind(jiff::SignedDuration);

impl Clock for Behind {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() - self.0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_days_behind_the_log_starts_no_run_until_a_person_vouches_for_it() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;

    let behind = |hours| Arc::new(Behind(jiff::SignedDuration::from_hours(hours)));
    // The board is still plugged in.
    let mut station = Station::start_with(&bench, |equipment| equipment.log.clock = behind(48)).await;
    let refused =
        |state: &LaneState| matches!(state, LaneState::Refused { failure } if failure.code.as_str() == "K-703");
    station.until("the refusal", |snapshot| snapshot.lanes.iter().any(|lane| refused(&lane.state))).await;
    station.stop().await;

    // An hour is daylight saving or drift: the log's order is by sequence.
    let mut station = Station::start_with(&bench, |equipment| equipment.log.clock = behind(1)).await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;

    let vouched = Station::start_with(&bench, |equipment| {
        equipment.log.clock = behind(48);
        equipment.clock_is_right = true;
    });
    let mut station = vouched.await;
    assert_outcome(&station.unit().await, "PASS");
    let log = station.stop().await;
    let accepted = log.iter().filter(|event| event.kind() == "clock-accepted").count();
    assert_eq!(accepted, 1);
}
