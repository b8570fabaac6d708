//! Killed in the middle of writing: what was acknowledged is there, and nothing is half there.

use std::collections::HashMap;
use std::path::Path;

use lineseal::adapters::sqlite;
use lineseal::audit::LineEvent;
use lineseal::ports::{AuditStore, Verification, Verifier as _};

use super::store_contract::line;
use super::{Fresh, recomputed};
use crate::killed_writer::{ACKNOWLEDGED, acks, kill_9, let_it_write, runtime, victim, write_for_ever};

/// Names the data directory to the child that is going to be killed.
const CHILD: &str = "LINESEAL_TEST_KILLED_WRITER";

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let directory = Path::new(&directory);
        write_for_ever(&sqlite::open(&directory.join(sqlite::FILE)).unwrap(), &directory.join(ACKNOWLEDGED));
    }
    let kills: u64 = if std::env::var_os("LINESEAL_LONG").is_some() { 200 } else { 20 };
    let fresh = Fresh::new();
    let acknowledged = fresh.directory.path().join(ACKNOWLEDGED);
    for kill in 1..=kills {
        let test = "sqlite::crash::kill_9_loses_nothing_that_was_acknowledged";
        let mut child = victim(test, CHILD, fresh.directory.path());
        let_it_write(&mut child, &acknowledged);
        kill_9(&mut child);

        let store = fresh.store();
        let head = runtime().block_on(store.head()).unwrap();
        assert_eq!(head, recomputed(&fresh.path()), "after kill {kill}");
        let stored = stored_ids(&fresh.path());
        for (id, seq) in &acks(&acknowledged) {
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
    assert!(acks(&acknowledged).len() as u64 >= kills * 10);
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
