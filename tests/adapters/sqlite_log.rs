//! The log's guards, its tree, and the projections that can be rebuilt from it.

use lineseal::audit::event::LabelKind;
use lineseal::audit::{Event, LineEvent, RunEvent};
use lineseal::domain::{ReasonCode, RunId, Step, Verdict};
use lineseal::ports::AuditStore;
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::store_contract::{bound, claim, closed, event, identity, line, opened, run_id, sealed, started, station};
use super::{Fresh, recomputed};

const PROJECTIONS: [&str; 6] = ["run_events", "runs", "labels", "bindings", "batches", "batch_stations"];

#[tokio::test]
async fn events_can_neither_be_changed_nor_deleted_nor_replaced() {
    let fresh = Fresh::new();
    let store = fresh.store();
    store.append(vec![line(LineEvent::StationStopped {}), line(LineEvent::OperatorNamed {})]).await.unwrap();
    let head = store.head().await.unwrap();
    let raw = fresh.raw();
    for sql in [
        "UPDATE events SET bytes = x'00' WHERE seq = 0",
        "UPDATE events SET seq = 9 WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE seq = 0",
        "REPLACE INTO events (seq, id, bytes, leaf_hash) SELECT 2, id, bytes, leaf_hash FROM events WHERE seq = 0",
        "INSERT INTO events (seq, id, bytes, leaf_hash) VALUES (7, zeroblob(16), x'00', zeroblob(32))",
        "INSERT INTO events (seq, id, bytes, leaf_hash) VALUES (2, zeroblob(16), x'00', zeroblob(31))",
        "DELETE FROM tree_head",
        "UPDATE tree_head SET size = 1",
    ] {
        let refused = raw.execute(sql, []).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation), "{sql}: {refused}");
    }
    assert_eq!(recomputed(&fresh.path()), head);
}

/// Whoever removes the guards first is found when the event is read, and cannot have the log go on.
#[tokio::test]
async fn bytes_that_were_changed_are_not_read_as_an_event() {
    let fresh = Fresh::new();
    let store = fresh.store();
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    let raw = fresh.raw();
    raw.execute_batch(
        "DROP TRIGGER events_are_never_changed;
         UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), 'A1', 'A2') AS BLOB) WHERE seq = 1;",
    )
    .unwrap();
    let found = store.run(run).await.unwrap_err();
    assert_eq!(found.code, ReasonCode::STORE_CORRUPT);
    assert!(found.cause.contains("event 1"), "{found}");
    assert_eq!(store.rebuild_projections().await.unwrap_err().code, ReasonCode::STORE_CORRUPT);

    raw.execute_batch("DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq = 1").unwrap();
    let refused = store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err();
    assert_eq!(refused.code, ReasonCode::STORE_CORRUPT);
    assert_eq!(refused.cause, "the tree has 2 leaves, but the next event would be 1");
    assert_eq!(store.head().await.unwrap_err(), refused);
    raw.execute_batch("DROP TRIGGER tree_head_never_shrinks; UPDATE tree_head SET size = 1, root = zeroblob(32)")
        .unwrap();
    assert_eq!(store.head().await.unwrap_err().code, ReasonCode::STORE_CORRUPT);
}

#[tokio::test]
async fn dropped_projections_are_rebuilt_as_they_were() {
    let fresh = Fresh::new();
    let store = fresh.store();
    write_a_shift(&store).await;
    let before = projections(&fresh.raw());
    assert!(before.iter().all(|(table, rows)| !rows.is_empty() || panic!("{table} is not exercised")));
    store.rebuild_projections().await.unwrap();
    assert_eq!(projections(&fresh.raw()), before);

    let raw = fresh.raw();
    raw.execute_batch("UPDATE runs SET verdict = 'PASS'; DELETE FROM labels; UPDATE bindings SET open = 0").unwrap();
    assert_ne!(projections(&raw), before);
    store.rebuild_projections().await.unwrap();
    assert_eq!(projections(&raw), before);
    assert_eq!(store.head().await.unwrap(), recomputed(&fresh.path()));
}

/// How a later program has them derived anew: an older number stands in the file.
#[tokio::test]
async fn projections_of_an_older_meaning_are_derived_again_at_start() {
    let fresh = Fresh::new();
    let store = fresh.store();
    write_a_shift(&store).await;
    drop(store);
    let raw = fresh.raw();
    let before = projections(&raw);
    for table in PROJECTIONS {
        raw.execute(&format!("DELETE FROM {table}"), []).unwrap();
    }
    raw.pragma_update(None, "user_version", 0).unwrap();
    assert_eq!(lineseal::adapters::sqlite::open_reader(&fresh.path()).err().unwrap().code, ReasonCode::STORE_FAILED);
    drop(fresh.store());
    assert_eq!(projections(&raw), before);
}

/// Every projection gets rows: verdicts, labels, claims, batches.
async fn write_a_shift(store: &dyn AuditStore) {
    store.append(vec![opened("WO-1", 3), opened("WO-2", 9), opened("WO-3", 1), closed("WO-2")]).await.unwrap();
    let verdicts = [Verdict::Pass, Verdict::Fail, Verdict::Held, Verdict::Held, Verdict::Aborted];
    for (n, verdict) in verdicts.into_iter().enumerate() {
        let n = u32::try_from(n).unwrap();
        let mut claim = claim(&format!("A{n}"), identity(n));
        claim.run = run_id();
        store.append(started(claim.run, &format!("A{n}"), Some("WO-1"))).await.unwrap();
        bound(store.claim(claim.clone()).await);
        let label = match verdict {
            Verdict::Pass => Some(LabelKind::Unit),
            Verdict::Held => Some(LabelKind::Slip),
            _ => None,
        };
        store.append(vec![sealed(claim.run, verdict, label)]).await.unwrap();
        if n == 3 {
            let kind = LabelKind::Slip;
            let again = [RunEvent::LabelIntended { kind }, RunEvent::LabelSettled { kind, printed: true }];
            store.append(again.map(|body| event(claim.run, body)).to_vec()).await.unwrap();
            store.append(vec![sealed(claim.run, Verdict::Pass, Some(LabelKind::Unit))]).await.unwrap();
        }
    }
    store.append(started(run_id(), "A0", Some("WO-1"))).await.unwrap();
}

/// All rows of all projections, in a fixed order.
fn projections(connection: &Connection) -> Vec<(&'static str, Vec<Vec<Value>>)> {
    PROJECTIONS
        .iter()
        .map(|table| {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
            let columns = statement.column_count();
            let rows = statement
                .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            (*table, rows)
        })
        .collect()
}

/// What a line may do next, over a handful of runs and chips so that they meet.
#[derive(Debug, Clone)]
enum Act {
    Start(usize),
    Step(usize),
    Claim(usize, u32),
    Seal(usize, Verdict),
    Label(usize),
    Batch(bool),
    Stop(u8),
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = prop_oneof![
        Just(Verdict::Pass),
        Just(Verdict::Fail),
        Just(Verdict::Error),
        Just(Verdict::Aborted),
        Just(Verdict::Held)
    ];
    prop_oneof![
        (0..4usize).prop_map(Act::Start),
        (0..4usize).prop_map(Act::Step),
        (0..4usize, 0..3u32).prop_map(|(run, chip)| Act::Claim(run, chip)),
        (0..4usize, verdict).prop_map(|(run, verdict)| Act::Seal(run, verdict)),
        (0..4usize).prop_map(Act::Label),
        any::<bool>().prop_map(Act::Batch),
        (1..6u8).prop_map(Act::Stop),
    ]
}

fn events_of(act: &Act, runs: &[RunId; 4]) -> Vec<Event> {
    match act {
        Act::Start(run) => started(runs[*run], &format!("A{run}"), Some("WO-1")),
        Act::Step(run) => vec![event(runs[*run], RunEvent::StepBegan { step: Step::Read })],
        Act::Seal(run, verdict) => vec![sealed(runs[*run], *verdict, Some(LabelKind::Unit))],
        Act::Label(run) => vec![event(runs[*run], RunEvent::LabelIntended { kind: LabelKind::Unit })],
        Act::Batch(open) => vec![if *open { opened("WO-1", 1) } else { closed("WO-1") }],
        Act::Stop(count) => (0..*count).map(|_| line(LineEvent::StationStopped {})).collect(),
        Act::Claim(..) => vec![],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is asked, in whatever order, and whatever of it is refused: the head is the tree
    /// over the stored bytes, and the projections are what the events say.
    #[test]
    fn the_head_and_the_projections_follow_from_the_bytes(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let fresh = Fresh::new();
        let store = fresh.store();
        let runs = std::array::from_fn(|_| run_id());
        runtime.block_on(async {
            for act in &acts {
                let size = store.head().await.unwrap().size;
                if let Act::Claim(run, chip) = act {
                    let mut claim = claim(&format!("A{run}"), identity(*chip));
                    claim.run = runs[*run];
                    store.claim(claim).await.unwrap();
                    continue;
                }
                match store.append(events_of(act, &runs)).await {
                    Ok(receipts) => {
                        for (n, receipt) in receipts.iter().enumerate() {
                            assert_eq!(receipt.seq, size + n as u64);
                        }
                    }
                    // A run that starts twice, or is sealed when it cannot be.
                    Err(refused) => {
                        let twice = matches!(act, Act::Start(_)).then_some(ReasonCode::RUN_OVERTAKEN);
                        assert_eq!(refused.code, twice.unwrap_or(ReasonCode::STORE_FAILED), "{refused}");
                        assert_eq!(store.head().await.unwrap().size, size);
                    }
                }
            }
            assert_eq!(store.head().await.unwrap(), recomputed(&fresh.path()));
            let before = projections(&fresh.raw());
            store.rebuild_projections().await.unwrap();
            assert_eq!(projections(&fresh.raw()), before);
            store.unsettled_labels(&station()).await.unwrap();
        });
    }
}
