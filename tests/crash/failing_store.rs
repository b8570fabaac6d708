//! A disk that is full from the n-th write on: the run stops, nobody sees a PASS that is not in the
//! log, and nothing is printed for it.

use std::ops::RangeInclusive;
use std::time::Duration;

use lineseal::adapters::sqlite;
use lineseal::audit::{Body, Event, RunEvent};
use lineseal::domain::{ReasonCode, Verdict};
use lineseal::runner::view::{Command, Health};
use lineseal::runner::{self, StationHandle};
use tokio::time::timeout;

use crate::bench::Bench;
use crate::child::{self, Shown};
use crate::stores::{Trouble, Troubled};

const PATIENCE: Duration = Duration::from_secs(60);

/// What came of one board on one store.
struct Outcome {
    shown: Shown,
    log_is_good: bool,
    /// Every verdict that any snapshot showed.
    verdicts: Vec<String>,
    events: Vec<Event>,
    labels: usize,
}

impl Outcome {
    fn sealed(&self) -> bool {
        self.events.iter().any(
            |event| matches!(&event.body, Body::Run(RunEvent::Sealed { verdict, .. }) if *verdict == Verdict::Pass),
        )
    }

    fn state(&self) -> &str {
        &self.shown.lanes[0].state
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_from_any_write_on_shows_no_pass_and_prints_nothing() {
    let mut bench = Bench::new().await;
    let mut seal = 0;
    // Writes 1 to 4 are the log's name, its key, the station's own start and the certificates that it trusts:
    // without them there is no station.
    for first in 5.. {
        let outcome = board(&mut bench, first..=u64::MAX, |shown| {
            shown.log.is_some() || shown.lanes.iter().any(|lane| lane.label.as_deref() == Some("printed"))
        })
        .await;
        println!("full from write {first} on: {:?}", outcome.shown);
        let whole = outcome.shown.lanes[0].label.as_deref() == Some("printed");
        if outcome.sealed() && seal == 0 {
            seal = first - 1;
        }
        match seal {
            0 => {
                assert_eq!(outcome.state(), "refused", "write {first}");
                assert_eq!(outcome.shown.lanes[0].code.as_deref(), Some(ReasonCode::STORE_FULL.as_str()));
                assert_eq!(outcome.verdicts, [] as [&str; 0], "write {first}: a verdict that is not in the log");
                assert_eq!(outcome.labels, 0, "write {first}: a label without a verdict");
                assert!(!outcome.log_is_good);
            }
            // The verdict is in the log, and shown; what the log can't take is not done.
            _ => {
                assert_eq!((outcome.state(), &outcome.verdicts[..]), ("finished", &["PASS".to_owned()][..]));
                assert_eq!(outcome.labels, usize::from(first > seal + 1), "write {first}");
            }
        }
        if whole {
            assert_eq!(first, seal + 3, "after the seal: the label's intent and its end");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_whose_start_is_not_recorded_does_not_start() {
    let mut bench = Bench::new().await;
    bench.plug().await;
    for (full, written) in [(1..=1, 0), (2..=2, 1), (3..=3, 2), (4..=4, 3)] {
        let (station, folder) = start(&bench, full);
        let ended = timeout(PATIENCE, station.task).await.expect("it ends").unwrap();
        assert_eq!(ended.unwrap_err().code, ReasonCode::STORE_FULL);
        assert_eq!(events(folder.path()).await.len(), written);
    }
}

/// The disk has room again a moment later: the label that was not begun comes by itself, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_whose_intent_was_not_recorded_comes_when_there_is_room_again() {
    let mut bench = Bench::new().await;
    let printed = |shown: &Shown| shown.lanes.iter().any(|lane| lane.label.as_deref() == Some("printed"));
    let good = board(&mut bench, u64::MAX..=u64::MAX, printed).await;
    let seal = good.events.iter().position(|event| matches!(event.body, Body::Run(RunEvent::Sealed { .. }))).unwrap();
    // Events come in groups; the groups of a run that ends well are these.
    let groups = good.events[..=seal].iter().filter(|event| opens_a_write(event)).count() as u64;
    let outcome = board(&mut bench, groups + 1..=groups + 1, printed).await;
    assert_eq!((outcome.state(), outcome.labels), ("finished", 1));
    let intents = outcome.events.iter().filter(|event| matches!(event.body, Body::Run(RunEvent::LabelIntended { .. })));
    assert_eq!(intents.count(), 1);
}

/// The first event of each write of a run with one target.
fn opens_a_write(event: &Event) -> bool {
    match &event.body {
        Body::Line(_) => true,
        Body::Run(event) => !matches!(
            event,
            RunEvent::StepBegan {
                step: lineseal::domain::Step::Read | lineseal::domain::Step::Prove | lineseal::domain::Step::Check
            } | RunEvent::ChallengeMade { .. }
                | RunEvent::RegisterIntended { .. }
        ),
    }
}

/// One good board at a station whose store fails at these writes.
async fn board(bench: &mut Bench, full: RangeInclusive<u64>, until: impl Fn(&Shown) -> bool) -> Outcome {
    let serial = bench.plug().await;
    let (mut station, folder) = start(bench, full);
    let mut verdicts: Vec<String> = Vec::new();
    let seen = timeout(PATIENCE, async {
        loop {
            let shown = child::shown(&station.snapshots.borrow_and_update());
            let verdict = shown.lanes.first().and_then(|lane| lane.verdict.clone());
            verdicts.extend(verdict.filter(|verdict| verdicts.last() != Some(verdict)));
            if until(&shown) {
                return shown;
            }
            station.snapshots.changed().await.unwrap();
        }
    });
    let shown = match seen.await {
        Ok(shown) => shown,
        Err(_) => panic!("{:?}", child::shown(&station.snapshots.borrow())),
    };
    // What would come late comes within the time in which a label is tried again.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let after = child::shown(&station.snapshots.borrow());
    verdicts.extend(after.lanes[0].verdict.clone().filter(|verdict| verdicts.last() != Some(verdict)));
    let log_is_good = station.snapshots.borrow().log == Health::Good;
    station.commands.send(Command::Stop).await.unwrap();
    let _ = timeout(PATIENCE, station.task).await.expect("it ends").unwrap();
    assert_eq!(shown.lanes[0].state, after.lanes[0].state);
    bench.unplug();
    Outcome { shown, log_is_good, verdicts, events: events(folder.path()).await, labels: bench.labels(&serial) }
}

fn start(bench: &Bench, full: RangeInclusive<u64>) -> (StationHandle, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = child::load(&bench.line.config_file());
    let store = sqlite::open(&folder.path().join(sqlite::FILE)).unwrap();
    let store = Troubled::new(store, Trouble::Full(full));
    let equipment = child::equip(&config, store, folder.path(), bench.line.credentials());
    (runner::start(config, equipment), folder)
}

async fn events(data: &std::path::Path) -> Vec<Event> {
    let connection = rusqlite::Connection::open(data.join(sqlite::FILE)).unwrap();
    let mut statement = connection.prepare("SELECT bytes FROM events ORDER BY seq").unwrap();
    let events = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    events.map(|bytes| Event::decode(&bytes.unwrap()).unwrap()).collect()
}
