//! A whole log from one database into another, in either direction.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use lineseal::adapters::store::copy::{self, Copied, Copying};
use lineseal::adapters::store::error::StoreError;
use lineseal::adapters::store::session::Session;
use lineseal::adapters::store::{LogStore, LogVerifier};
use lineseal::adapters::{postgres, sqlite};
use lineseal::audit::event::{LogKeyRole, Ruling};
use lineseal::audit::note::{Checkpoint, NoteKey, SignedCheckpoint};
use lineseal::audit::{Body, Event, LineEvent, TreeHead};
use lineseal::domain::{ReasonCode, Role, Sha256, Verdict};
use lineseal::ports::{
    AuditStore as _, Checkpoints as _, History as _, People as _, StoredCheckpoint, Verification, Verifier as _,
    Witness,
};

use secrecy::SecretBox;

use crate::postgres_server::{Database, Postgres};
use crate::store_contract::{
    claim, failed, identity, imported, line, officials, proven, run_id, sealed, started, typed, unit,
};

/// Ends with the event that says where it came from, and knows how far it came.
struct Moving {
    last: Option<u64>,
    told: u64,
}

impl Copying for Moving {
    fn progress(&mut self, done: u64, of: u64) {
        assert!(self.told < done && done <= of);
        self.told = done;
    }

    fn closing(&mut self, head: TreeHead) -> Result<Option<Event>, StoreError> {
        assert_eq!(self.told, head.size);
        self.last = Some(head.size);
        let root = Sha256::from_bytes(head.root);
        Ok(Some(line(LineEvent::LogMigrated { from: "here".to_owned(), size: head.size, root })))
    }
}

/// Off the runtime, as the client wants it.
async fn copied<S, T>(from: S, to: T) -> Result<Copied, StoreError>
where
    S: FnOnce() -> Box<dyn Session> + Send + 'static,
    T: FnOnce() -> Box<dyn Session> + Send + 'static,
{
    let work = move || copy::copy(from().as_mut(), to().as_mut(), &mut Moving { last: None, told: 0 });
    tokio::task::spawn_blocking(move || std::thread::spawn(work).join().unwrap()).await.unwrap()
}

fn of_file(path: &Path) -> impl FnOnce() -> Box<dyn Session> + Send + 'static {
    let path = path.to_owned();
    move || sqlite::source(&path).unwrap()
}

fn into_file(path: &Path) -> impl FnOnce() -> Box<dyn Session> + Send + 'static {
    let path = path.to_owned();
    move || sqlite::target(&path).unwrap()
}

fn of_plant(database: &Database) -> impl FnOnce() -> Box<dyn Session> + Send + 'static {
    let database = database.clone();
    move || postgres::source(database.config()).unwrap()
}

fn into_plant(database: &Database) -> impl FnOnce() -> Box<dyn Session> + Send + 'static {
    let database = database.clone();
    move || postgres::target(database.config()).unwrap()
}

/// Units that passed, failed and were ruled on, people, what they typed, and a checkpoint.
async fn life(store: &LogStore, units: u32) -> SignedCheckpoint {
    let person = store.operator("A. Sato", (uuid::Uuid::from_u128(7), [7; 32])).await.unwrap();
    store.operator("B. Mori", (uuid::Uuid::from_u128(8), [8; 32])).await.unwrap();
    let pin_sha256 = Some(Sha256::of(b"$argon2id$"));
    let added = line(LineEvent::OperatorAdded { person: person.clone(), role: Role::Qa, pin_sha256 });
    store.give_pin(person.id, "$argon2id$", added).await.unwrap();
    let badge = line(LineEvent::BadgeGiven { person: person.clone(), badge_sha256: Sha256::of(b"keyed") });
    store.give_badge(person.id, Some("keyed"), badge).await.unwrap();
    store.count_wrong_pin(person.id, Timestamp::UNIX_EPOCH).await.unwrap();
    store.count_wrong_pin(person.id, Timestamp::UNIX_EPOCH).await.unwrap();
    store.forget(uuid::Uuid::from_u128(8)).await.unwrap();
    officials(store).await;
    let key = key();
    let added = LineEvent::LogKeyAdded { key: key.verifier().to_string(), role: LogKeyRole::Station, replaces: None };
    store.append(vec![line(LineEvent::LogOpened { origin: ORIGIN.to_owned() }), line(added)]).await.unwrap();
    let mut waiting = Vec::new();
    for number in 0..units {
        let run = run_id();
        let serial = format!("U{number}");
        if number % 50 == 0 {
            store.append(std::mem::take(&mut waiting)).await.unwrap();
            store.append(proven(run, &serial, number)).await.unwrap();
            store.append(vec![failed(run, ReasonCode::CERTIFICATE_REFUSED)]).await.unwrap();
            let release = typed(store, "again", Ruling::Release { unit: unit(&serial) }).await;
            store.append(vec![release]).await.unwrap();
            store.claim(claim(&format!("C{number}"), identity(1_000_000 + number))).await.unwrap();
        } else {
            waiting.extend(started(run, &serial, None));
            waiting.push(sealed(run, Verdict::Pass, None));
        }
    }
    store.append(waiting).await.unwrap();
    let head = store.head().await.unwrap();
    let signed = SignedCheckpoint::sign(Checkpoint::new(ORIGIN.parse().unwrap(), head), &key).unwrap();
    store.keep(&StoredCheckpoint { size: head.size, note: signed.to_string() }).await.unwrap();
    signed
}

const ORIGIN: &str = "plant.example/lineseal";

fn key() -> NoteKey {
    NoteKey::from_seed(ORIGIN.parse().unwrap(), &SecretBox::new(Box::new([7; 32]))).unwrap()
}

/// Every leaf as it was, and everything else that a log holds.
async fn same(one: &LogStore, other: &LogStore, size: u64) {
    for seq in (0..size).step_by(500) {
        let (left, right) = (one.events(seq, 500).await.unwrap(), other.events(seq, 500).await.unwrap());
        let until = usize::try_from((size - seq).min(500)).unwrap();
        assert_eq!(left[..until], right[..until]);
    }
    assert_eq!(one.latest_checkpoint().await.unwrap(), other.latest_checkpoint().await.unwrap());
    for name in ["A. Sato", "B. Mori"] {
        assert_eq!(one.person(name).await.unwrap(), other.person(name).await.unwrap());
    }
    let who = uuid::Uuid::from_u128(7);
    // What is in it is shown by nothing.
    let (left, right) = (one.credential(who).await.unwrap(), other.credential(who).await.unwrap());
    assert!(left.is_some_and(|credential| credential.failures == 2 && Some(credential) == right));
    assert!(other.person_by_id(uuid::Uuid::from_u128(8)).await.unwrap().is_some(), "forgotten, and still meant");
}

/// By the auditor who kept this checkpoint.
async fn verified(kept: &SignedCheckpoint, open: impl FnOnce() -> LogVerifier + Send + 'static) {
    let witness = Witness { place: "kept".to_owned(), checkpoint: kept.clone() };
    let verify = move || {
        open()
            .verify(&Verification { copies: vec![witness], projections: true, ..Verification::default() }, &mut |_| {})
    };
    tokio::task::spawn_blocking(move || std::thread::spawn(verify).join().unwrap()).await.unwrap().unwrap().unwrap();
}

/// What a nightly `vacuumdb` has passed over while it was empty the server takes for empty: each row of a long
/// history would read all that came before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_goes_into_a_database_that_was_vacuumed_empty_and_no_table_is_read_whole() {
    const ROWS: u32 = 1500;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lineseal.db");
    let store = sqlite::open(&file).unwrap();
    let rows = (0..ROWS).map(|n| imported(u64::from(n) + 2, &format!("I{n}"), n)).collect();
    lineseal::ports::Imports::import(&store, rows).await.unwrap();
    drop(store);
    let database = Postgres::shared().fresh_database();
    drop(postgres::open(database.config()).unwrap());
    let asked = database.clone();
    let read = std::thread::spawn(move || {
        asked.connect().batch_execute("VACUUM ANALYZE").unwrap();
        asked
    });
    let asked = tokio::task::spawn_blocking(move || read.join().unwrap()).await.unwrap();
    copied(of_file(&file), into_plant(&database)).await.unwrap();
    let read = std::thread::spawn(move || {
        let mut client = asked.connect();
        // What a server counts it tells when the session that did it has ended.
        for _ in 0..600 {
            let counted = "SELECT coalesce(sum(n_tup_ins) FILTER (WHERE relname = 'imported_rows'), 0)::bigint,
                coalesce(max(seq_tup_read), 0)::bigint FROM pg_stat_user_tables";
            let row = client.query_one(counted, &[]).unwrap();
            let (written, read): (i64, i64) = (row.get(0), row.get(1));
            if written >= i64::from(ROWS) {
                return read;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the server counts nothing");
    });
    let read = tokio::task::spawn_blocking(move || read.join().unwrap()).await.unwrap();
    assert!(read < 20 * i64::from(ROWS), "{read} rows were read by scans for {ROWS} that were written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_goes_from_a_file_to_a_server_and_back_and_stays_the_log_it_was() {
    let units = if std::env::var_os("LINESEAL_LONG").is_some() { 33_400 } else { 600 };
    let folder = tempfile::tempdir().unwrap();
    let (file, back) = (folder.path().join("lineseal.db"), folder.path().join("back.db"));
    let store = sqlite::open(&file).unwrap();
    let kept = life(&store, units).await;
    let head = store.head().await.unwrap();

    let database = Postgres::shared().fresh_database();
    assert_eq!(copied(of_file(&file), into_plant(&database)).await.unwrap(), Copied::Now(head));
    let plant = Arc::new(postgres::open(database.config()).unwrap());
    assert_eq!(plant.head().await.unwrap().size, head.size + 1);
    same(&store, &plant, head.size).await;
    let last = plant.events(head.size, 1).await.unwrap();
    assert!(matches!(&last[0].0.event.body, Body::Line(LineEvent::LogMigrated { size, .. }) if *size == head.size));
    let (config, scratch) = (database.config(), folder.path().to_owned());
    verified(&kept, move || postgres::verifier(config, &scratch).unwrap()).await;
    // What is burned stays burned, and what is locked locked.
    let taken = plant.claim(claim("another", identity(1_000_000))).await.unwrap();
    assert!(matches!(taken, lineseal::ports::ClaimAnswer::Collides(_)));

    let head = plant.head().await.unwrap();
    assert_eq!(copied(of_plant(&database), into_file(&back)).await.unwrap(), Copied::Now(head));
    let again = sqlite::open(&back).unwrap();
    same(&plant, &again, head.size).await;
    let scratch = folder.path().to_owned();
    verified(&kept, move || sqlite::verifier(&back, &scratch).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_whole_or_not_there_and_never_made_over_another_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lineseal.db");
    let store = sqlite::open(&file).unwrap();
    life(&store, 60).await;
    let head = store.head().await.unwrap();

    // Somebody's hand in the file: one byte of the last event but one.
    let raw = rusqlite::Connection::open(&file).unwrap();
    let seq = i64::try_from(head.size - 2).unwrap();
    raw.execute_batch("DROP TRIGGER events_are_never_changed").unwrap();
    let whole: Vec<u8> = raw.query_row("SELECT bytes FROM events WHERE seq = ?1", [seq], |row| row.get(0)).unwrap();
    let other = String::from_utf8(whole.clone()).unwrap().replace("2026", "2027").into_bytes();
    let edit = |bytes: &Vec<u8>| raw.execute("UPDATE events SET bytes = ?1 WHERE seq = ?2", (bytes, seq)).unwrap();
    edit(&other);
    let database = Postgres::shared().fresh_database();
    let refused = copied(of_file(&file), into_plant(&database)).await.unwrap_err();
    assert_eq!(refused.code(), ReasonCode::STORE_CORRUPT);
    let plant = postgres::open(database.config()).unwrap();
    assert_eq!(plant.head().await.unwrap().size, 0);
    assert_eq!(plant.person("A. Sato").await.unwrap(), None);
    edit(&whole);

    assert_eq!(copied(of_file(&file), into_plant(&database)).await.unwrap(), Copied::Now(head));
    assert_eq!(copied(of_file(&file), into_plant(&database)).await.unwrap(), Copied::Before(head));
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    let refused = copied(of_file(&file), into_plant(&database)).await.unwrap_err();
    assert!(refused.to_string().contains("only into an empty one"), "{refused}");
    assert_eq!(plant.head().await.unwrap().size, head.size + 1);
}
