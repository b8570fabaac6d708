//! Durable appends beside the same rows in a plain table: no tree, nothing derived, no triggers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::audit::Event;
use lineseal::ports::AuditStore as _;
use rusqlite::Connection;

use crate::Trouble;
use crate::table::Table;
use crate::unit::Plant;

const PROMISE: f64 = 1.3;
/// Units of one round; the two take turns, so that both meet the same disk.
const UNITS: u64 = 25;
const TURNS: u64 = 12;
const WRITERS: u64 = 8;

pub async fn measure(folder: &Path, plant: &Plant, table: &mut Table) -> Result<(), Trouble> {
    for writers in [1, WRITERS] {
        let home = tempfile::Builder::new().prefix("appends-").tempdir_in(folder)?;
        let store = Arc::new(sqlite::open(&home.path().join("ours.db"))?);
        let plain = home.path().join("plain.db");
        // Open all the time, as ours is: the last to close would fold the write-ahead log into the file.
        let mut connections = (0..writers).map(|_| connect(&plain)).collect::<Result<Vec<_>, _>>()?;
        connections[0].execute_batch(PLAIN)?;
        let (mut ours, mut theirs, mut commits) = (Duration::ZERO, Duration::ZERO, 0);
        // The first turn warms both up.
        for turn in 0..=TURNS {
            let first = plant.units + turn * UNITS * writers;
            let work: Vec<Vec<Vec<Event>>> = (0..writers)
                .map(|writer| {
                    let units = first + writer * UNITS..first + (writer + 1) * UNITS;
                    units.flat_map(|number| transactions(plant.unit(number).events())).collect()
                })
                .collect();
            let count: usize = work.iter().map(Vec::len).sum();
            let began = Instant::now();
            let tasks: Vec<_> = work
                .iter()
                .cloned()
                .map(|work| {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move {
                        for events in work {
                            store.append(events).await?;
                        }
                        Ok::<_, lineseal::domain::Failure>(())
                    })
                })
                .collect();
            for task in tasks {
                task.await??;
            }
            let of_ours = began.elapsed();
            let of_theirs = in_a_plain_table(&mut connections, work).await?;
            if turn > 0 {
                ours += of_ours;
                theirs += of_theirs;
                commits += count;
            }
        }
        let rate = |took: Duration| format!("{:.0} /s", commits as f64 / took.as_secs_f64());
        let of = if writers == 1 { "one writer".to_owned() } else { format!("{writers} writers") };
        table.note(format!("durable appends in the log, {of}"), rate(ours));
        table.note(format!("the same rows in a plain table, {of}"), rate(theirs));
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        table.ratio_at_most(format!("durable appends, {of}: time beside a plain table"), ratio, PROMISE);
    }
    Ok(())
}

/// As a run commits them: the end of a step, often with the beginning of the next.
fn transactions(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut events = events.into_iter().peekable();
    let mut all = Vec::new();
    while let Some(first) = events.next() {
        let mut one = vec![first];
        one.extend(events.next());
        all.push(one);
    }
    all
}

const PLAIN: &str = "CREATE TABLE plain (seq INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT";

/// As durable as the log, and with a write-ahead log as long.
fn connect(plain: &Path) -> Result<Connection, Trouble> {
    let connection = Connection::open(plain)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 8000, |_| Ok(()))?;
    Ok(connection)
}

/// A connection and a thread for each writer, encoding included.
async fn in_a_plain_table(connections: &mut Vec<Connection>, work: Vec<Vec<Vec<Event>>>) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let writers: Vec<_> = work
        .into_iter()
        .zip(connections.drain(..))
        .map(|(work, connection)| {
            tokio::task::spawn_blocking(move || {
                let mut insert = connection.prepare("INSERT INTO plain (id, bytes) VALUES (?1, ?2)")?;
                for events in work {
                    connection.execute_batch("BEGIN IMMEDIATE")?;
                    for event in events {
                        insert.execute((event.id.as_uuid().as_bytes(), event.encode()?))?;
                    }
                    connection.execute_batch("COMMIT")?;
                }
                drop(insert);
                Ok::<_, Trouble>(connection)
            })
        })
        .collect();
    for writer in writers {
        connections.push(writer.await??);
    }
    Ok(began.elapsed())
}
