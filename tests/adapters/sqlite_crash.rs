//! Killed in the middle of writing: what was acknowledged is there, and nothing is half there.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::audit::LineEvent;
use lineseal::domain::EventId;
use lineseal::ports::{AuditStore, ClaimAnswer, Verification, Verifier as _};

use super::store_contract::{claim, identity, line, run_id, started};
use super::{Fresh, recomputed};

/// Names the data directory to the child that is going to be killed.
const CHILD: &str = "LINESEAL_TEST_KILLED_WRITER";
const ACKNOWLEDGED: &str = "acknowledged";

/// The test is its own victim: started again with [`CHILD`] set, it writes until it is killed.
#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Some(directory) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&directory));
    }
    let kills: u64 = if std::env::var_os("LINESEAL_LONG").is_some() { 200 } else { 20 };
    let fresh = Fresh::new();
    let acknowledged = fresh.directory.path().join(ACKNOWLEDGED);
    let mut seen_before = 0;
    for kill in 1..=kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sqlite::crash::kill_9_loses_nothing_that_was_acknowledged", "--nocapture"])
            .env(CHILD, fresh.directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Some appends into its life, and then at no particular moment of the next.
        let deadline = Instant::now() + Duration::from_secs(60);
        while acks(&acknowledged).len() < seen_before + 10 {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the writer ended by itself: {status}");
            }
            if Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("the writer is stuck");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_micros(rand::random_range(0..5000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let acks = acks(&acknowledged);
        seen_before = acks.len();
        let store = fresh.store();
        let head = runtime().block_on(store.head()).unwrap();
        assert_eq!(head, recomputed(&fresh.path()), "after kill {kill}");
        let stored = stored_ids(&fresh.path());
        for (id, seq) in &acks {
            assert_eq!(stored.get(id), Some(seq), "acknowledged, then lost");
        }
        // A batch of three is there whole or not at all, and a round is such a batch and one claim.
        assert!(matches!(head.size % 4, 0 | 3), "half a batch: {}", head.size);
        // It goes on from here: the child writes whole rounds only.
        if head.size % 4 == 3 {
            runtime().block_on(store.append(vec![line(LineEvent::StationStopped {})])).unwrap();
        }
        // Stored hashes and derived tables are of the very same transactions.
        let mut verifier = sqlite::verifier(&fresh.path(), fresh.directory.path()).unwrap();
        let what = Verification { projections: true, ..Verification::default() };
        verifier.verify(&what, &mut |_| {}).unwrap().unwrap();
    }
    assert!(seen_before as u64 >= kills * 10);
}

/// Rounds of one batch of three events and one claim, each acknowledged in a file only after the
/// store has answered.
fn write_for_ever(directory: &Path) -> ! {
    let store = sqlite::open(&directory.join(sqlite::FILE)).unwrap();
    let mut acks = OpenOptions::new().create(true).append(true).open(directory.join(ACKNOWLEDGED)).unwrap();
    runtime().block_on(async {
        loop {
            let chip: u32 = rand::random();
            let serial = format!("A{chip}");
            let mut events = started(run_id(), &serial, None);
            events.push(line(LineEvent::OperatorNamed {}));
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            let receipts = store.append(events).await.unwrap();
            for (id, receipt) in ids.iter().zip(&receipts) {
                acks.write_all(format!("{id} {}\n", receipt.seq).as_bytes()).unwrap();
            }
            match store.claim(claim(&serial, identity(chip))).await.unwrap() {
                ClaimAnswer::Bound(bound) => {
                    let (id, seq) = (bound.event.event.id, bound.event.receipt.seq);
                    acks.write_all(format!("{id} {seq}\n").as_bytes()).unwrap();
                }
                refused => panic!("{refused:?}"),
            }
        }
    })
}

/// Whole lines only: the last one may have been cut off by the kill.
fn acks(path: &Path) -> Vec<(String, i64)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let (id, seq) = line.split_once(' ').unwrap();
            (id.to_owned(), seq.parse().unwrap())
        })
        .collect()
}

fn stored_ids(path: &Path) -> HashMap<String, i64> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT id, seq FROM events").unwrap();
    statement
        .query_map([], |row| Ok((uuid::Uuid::from_bytes(row.get(0)?).to_string(), row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}
