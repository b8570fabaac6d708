//! A station or its server, killed in the middle of writing: what was acknowledged is there, and nothing
//! is half there.

use std::collections::HashMap;
use std::path::Path;

use lineseal::adapters::postgres;
use lineseal::audit::LineEvent;
use lineseal::ports::{AuditStore as _, Verification, Verifier as _};

use super::Plant;
use crate::killed_writer::{ACKNOWLEDGED, acks, kill_9, let_it_write, runtime, victim, write_for_ever};
use crate::postgres_server::{Database, Postgres};
use crate::store_contract::line;

/// Names the database and a folder to the child that is going to be killed.
const CHILD: &str = "LINESEAL_TEST_KILLED_STATION";

#[test]
fn kill_9_of_a_station_or_of_the_server_loses_nothing_that_was_acknowledged() {
    if let Ok(told) = std::env::var(CHILD) {
        let mut told = told.splitn(3, ' ');
        let (name, port) = (told.next().unwrap().to_owned(), told.next().unwrap().parse().unwrap());
        let store = postgres::open(Database { name, port }.config()).unwrap();
        write_for_ever(&store, &Path::new(told.next().unwrap()).join(ACKNOWLEDGED));
    }
    let kills = if std::env::var_os("LINESEAL_LONG").is_some() { 100 } else { 5 };
    let server = Postgres::start();
    let plant = Plant { database: server.fresh_database() };
    let folder = tempfile::tempdir().unwrap();
    let acknowledged = folder.path().join(ACKNOWLEDGED);
    let Database { name, port } = &plant.database;
    let told = format!("{name} {port} {}", folder.path().display());
    for kill in 1..=kills {
        let test = "postgres_store::crash::kill_9_of_a_station_or_of_the_server_loses_nothing_that_was_acknowledged";
        let mut station = victim(test, CHILD, &told);
        let_it_write(&mut station, &acknowledged);
        if kill % 2 == 0 {
            server.kill_9();
            server.restart();
            // It goes on by itself.
            let_it_write(&mut station, &acknowledged);
        }
        kill_9(&mut station);

        let store = plant.store();
        let size = runtime().block_on(store.head()).unwrap().size;
        let stored = stored_ids(&plant);
        assert_eq!(stored.len() as u64, size, "after kill {kill}");
        for (id, seq) in &acks(&acknowledged) {
            assert_eq!(stored.get(id), Some(seq), "acknowledged, then lost");
        }
        // A batch of three is there whole or not at all, and a round is such a batch and one claim.
        assert!(matches!(size % 4, 0 | 3), "half a batch: {size}");
        if size % 4 == 3 {
            runtime().block_on(store.append(vec![line(LineEvent::StationStopped {})])).unwrap();
        }
        let mut verifier = postgres::verifier(plant.database.config(), folder.path()).unwrap();
        let what = Verification { projections: true, ..Verification::default() };
        verifier.verify(&what, &mut |_| {}).unwrap().unwrap();
    }
}

fn stored_ids(plant: &Plant) -> HashMap<String, i64> {
    plant.raw(|client| {
        let rows = client.query("SELECT id, seq FROM events", &[]).unwrap();
        let id = |row: &::postgres::Row| uuid::Uuid::from_slice(row.get(0)).unwrap().to_string();
        rows.iter().map(|row| (id(row), row.get(1))).collect()
    })
}
