//! Durable appends beside the same rows in a plain table: no tree, nothing derived, no triggers.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite;
use lineseal::audit::Event;
use lineseal::ports::AuditStore as _;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

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
        let plain = Arc::new(PlainTable::open(&home.path().join("plain.db"))?);
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
            let of_ours = time(&store, work.clone(), |store, events| async move {
                store.append(events).await?;
                Ok::<_, Trouble>(())
            });
            let of_ours = of_ours.await?;
            let of_theirs = time(&plain, work, |plain, events| async move { plain.append(events).await }).await?;
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

/// What somebody writes who wants the rows to be there and nothing else, and knows SQLite: one thread owns the
/// connection, and commits at once whatever waits.
struct PlainTable {
    work: Option<mpsc::Sender<Piece>>,
    thread: Option<JoinHandle<Result<(), Trouble>>>,
}

type Piece = (Vec<Event>, oneshot::Sender<()>);

impl PlainTable {
    fn open(path: &Path) -> Result<Self, Trouble> {
        let connection = connect(path)?;
        connection.execute_batch(PLAIN)?;
        let (work, mut inbox) = mpsc::channel::<Piece>(64);
        let thread = std::thread::spawn(move || {
            let mut insert = connection.prepare("INSERT INTO plain (id, bytes) VALUES (?1, ?2)")?;
            while let Some(first) = inbox.blocking_recv() {
                let mut waiting = vec![first];
                waiting.extend(std::iter::from_fn(|| inbox.try_recv().ok()));
                connection.execute_batch("BEGIN IMMEDIATE")?;
                for event in waiting.iter().flat_map(|(events, _)| events) {
                    insert.execute((event.id.as_uuid().as_bytes(), event.encode()?))?;
                }
                connection.execute_batch("COMMIT")?;
                for (_, asker) in waiting {
                    // Whoever has gone is told nothing.
                    let _ = asker.send(());
                }
            }
            Ok(())
        });
        Ok(Self { work: Some(work), thread: Some(thread) })
    }

    async fn append(&self, events: Vec<Event>) -> Result<(), Trouble> {
        let (asker, answered) = oneshot::channel();
        let work = self.work.as_ref().ok_or("it is closed")?;
        work.send((events, asker)).await.map_err(|_| "the plain table's writer ended")?;
        answered.await?;
        Ok(())
    }
}

impl Drop for PlainTable {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

/// As durable as the log, and with a write-ahead log as long.
fn connect(plain: &Path) -> Result<Connection, Trouble> {
    let connection = Connection::open(plain)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 8000, |_| Ok(()))?;
    Ok(connection)
}

/// Each writer does its pieces one after the other; all writers at once.
async fn time<S: Send + Sync + 'static, F: Future<Output = Result<(), Trouble>> + Send + 'static>(
    store: &Arc<S>,
    work: Vec<Vec<Vec<Event>>>,
    append: impl Fn(Arc<S>, Vec<Event>) -> F + Copy + Send + 'static,
) -> Result<Duration, Trouble> {
    let began = Instant::now();
    let writers: Vec<_> = work
        .into_iter()
        .map(|work| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for events in work {
                    append(Arc::clone(&store), events).await?;
                }
                Ok::<_, Trouble>(())
            })
        })
        .collect();
    for writer in writers {
        writer.await??;
    }
    Ok(began.elapsed())
}
