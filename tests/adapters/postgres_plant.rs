//! What befalls a plant: programs of two versions at once, archives that lie at one station, answers that
//! are lost, servers that say nothing.

use std::time::{Duration, Instant};

use lineseal::adapters::postgres::{self, Connection};
use lineseal::adapters::sqlite;
use lineseal::audit::LineEvent;
use lineseal::audit::event::FreeText;
use lineseal::domain::{ReasonCode, Role, Sha256, Verdict};
use lineseal::ports::{
    Archiving, AuditStore as _, Checkpoints as _, History as _, Imports as _, People as _, StoredCheckpoint,
    Verification, Verifier as _,
};
use uuid::Uuid;

use super::Plant;
use crate::postgres_server::{Database, Postgres, Proxy};
use crate::sqlite::archive::{archived, checkpoint, unit};
use crate::store_contract::{claim, identity, imported, line, station};

fn stopped() -> lineseal::audit::Event {
    line(LineEvent::StationStopped {})
}

// --- Programs of two versions

#[tokio::test]
async fn an_older_program_that_is_still_connected_neither_writes_nor_reads_what_a_newer_one_laid_out() {
    let plant = Plant::new();
    let older = plant.store();
    older.append(vec![stopped()]).await.unwrap();
    let number = plant.raw(|client| client.query_one("SELECT number FROM projection", &[]).unwrap().get::<_, i64>(0));
    for (newer, back) in [
        ("UPDATE projection SET number = 99".to_owned(), format!("UPDATE projection SET number = {number}")),
        (
            "INSERT INTO refinery_schema_history VALUES (99, 'from_the_future', '2031-01-01T00:00:00Z', '1')"
                .to_owned(),
            "DELETE FROM refinery_schema_history WHERE version = 99".to_owned(),
        ),
    ] {
        plant.raw(move |client| client.batch_execute(&newer).unwrap());
        assert_eq!(older.append(vec![stopped()]).await.unwrap_err().code, ReasonCode::STORE_NEWER);
        assert_eq!(older.claim(claim("A1", identity(1))).await.unwrap_err().code, ReasonCode::STORE_NEWER);
        assert_eq!(older.open_batch(&station()).await.unwrap_err().code, ReasonCode::STORE_NEWER);
        plant.raw(move |client| client.batch_execute(&back).unwrap());
    }
    assert_eq!(older.append(vec![stopped()]).await.unwrap()[0].seq, 1);
}

#[tokio::test]
async fn projections_are_derived_again_behind_whoever_writes_and_as_a_whole_or_not_at_all() {
    let plant = Plant::new();
    let store = plant.store();
    unit(&store, 1, Verdict::Pass, None).await;
    let older = "UPDATE projection SET number = 1";
    plant.raw(|client| client.batch_execute(older).unwrap());
    let database = plant.database.clone();
    let waited = std::thread::spawn(move || {
        let mut writing = database.connect();
        let mut writing = writing.transaction().unwrap();
        writing.batch_execute("SELECT size FROM tree_head FOR UPDATE").unwrap();
        let refused = postgres::open(database.config()).err().unwrap();
        writing.rollback().unwrap();
        refused
    });
    let waited = tokio::task::spawn_blocking(move || waited.join().unwrap()).await.unwrap();
    assert_eq!(waited.code, ReasonCode::STORE_BUSY, "{waited}");
    drop(plant.store());
    // An event that can't be read: nothing is left emptied, and nothing says that it was brought up to date.
    plant.raw(move |client| {
        let damage = "ALTER TABLE events DISABLE TRIGGER USER; UPDATE events SET bytes = 'x' WHERE seq = 2";
        client.batch_execute(&format!("{older}; {damage}")).unwrap();
    });
    assert_eq!(postgres::open(plant.database.config()).err().unwrap().code, ReasonCode::STORE_CORRUPT);
    let left = plant.raw(|client| {
        let row = client.query_one("SELECT (SELECT number FROM projection), (SELECT count(*) FROM runs)", &[]).unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    });
    assert_eq!(left, (1, 1));
}

// --- Archives

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_events_are_read_from_the_archives_folder_and_a_station_without_it_says_where_they_are() {
    let plant = Plant::new();
    let folder = tempfile::tempdir().unwrap();
    let at = |folder: &std::path::Path| Connection::from(plant.database.config()).with_archives(folder.to_owned());
    let store = postgres::open(at(folder.path())).unwrap();
    let mut runs = Vec::new();
    for n in 0..4 {
        runs.push(unit(&store, n, Verdict::Pass, None).await);
    }
    checkpoint(&store).await;
    let past = store.head().await.unwrap().size - 6;
    let before = store.leaves(&[3]).await.unwrap();
    // A try that died before it was recorded left its file: it begins with the same leaf, and is shorter.
    Archiving::write(&store, 0, 2, folder.path()).await.unwrap();
    assert_eq!(archived(&store, past, folder.path()).await.unwrap(), past);

    // The station that is running finds it, without being started again.
    assert_eq!(store.leaves(&[3]).await.unwrap(), before);
    assert_eq!(store.run(runs[0]).await.unwrap().unwrap().events.len(), 6);
    store.rebuild_projections().await.unwrap();
    plant.raw(|client| {
        let forget = "ALTER TABLE checkpoints DISABLE TRIGGER USER; DELETE FROM checkpoints;
            ALTER TABLE checkpoints ENABLE TRIGGER USER";
        client.batch_execute(forget).unwrap();
    });
    let what = Verification { projections: true, ..Verification::default() };
    let scratch = tempfile::tempdir().unwrap();
    let (connection, copy) = (at(folder.path()), scratch.path().join("copy.db"));
    let scratch_folder = scratch.path().to_owned();
    let archived_leaves = tokio::task::spawn_blocking(move || {
        sqlite::back_up_from(postgres::source(connection.clone()).unwrap().as_mut(), &copy).unwrap();
        let mut verifier = postgres::verifier(connection, &scratch_folder).unwrap();
        verifier.verify(&what, &mut |_| {}).unwrap().unwrap().archived
    })
    .await
    .unwrap();
    assert_eq!(archived_leaves, 0);

    // Another station of the plant has no such file.
    let empty = tempfile::tempdir().unwrap();
    let other = postgres::open(at(empty.path())).unwrap();
    for failure in [
        other.leaves(&[3]).await.unwrap_err(),
        other.run(runs[0]).await.unwrap_err(),
        other.rebuild_projections().await.unwrap_err(),
    ] {
        assert_eq!(failure.code, ReasonCode::LOG_ARCHIVED);
        let told = [station().as_str().to_owned(), format!("lineseal-0-{past}-"), empty.path().display().to_string()];
        assert!(told.iter().all(|part| failure.cause.contains(part.as_str())), "{failure}");
    }
    assert_eq!(other.latest(20).await.unwrap().len(), 1, "a station starts all the same");
    for file in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), empty.path().join(file.file_name())).unwrap();
    }
    assert_eq!(other.leaves(&[3]).await.unwrap(), before);
}

// --- Answers that are lost

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_written_when_the_answer_was_lost_is_written_once_and_answered_as_the_first_time() {
    for lose in [Proxy::lose_next_commit_answer, Proxy::lose_next_commit] {
        let plant = Plant::new();
        let proxy = Proxy::before(Postgres::shared());
        let store = postgres::open(plant.database.through(&proxy).config()).unwrap();
        let who = Uuid::from_u128(7);
        lose(&proxy);
        let person = store.operator("A. Sato", (who, [1; 32])).await.unwrap();
        assert_eq!(person.id, who);
        let pin_sha256 = Some(Sha256::of(b"$argon2id$"));
        let added = line(LineEvent::OperatorAdded { person, role: Role::Qa, pin_sha256 });
        lose(&proxy);
        store.give_pin(who, "$argon2id$", added).await.unwrap();
        lose(&proxy);
        let counted = store.count_wrong_pin(who, "2031-01-01T00:00:00Z".parse().unwrap()).await.unwrap();
        assert_eq!((counted.failures, store.credential(who).await.unwrap().unwrap().failures), (1, 1));
        lose(&proxy);
        assert!(store.forget(who).await.unwrap());
        store.append(vec![line(LineEvent::PersonForgotten { person: who })]).await.unwrap();

        let (id, salt, words) = (Uuid::from_u128(8), [2; 32], "a cold joint");
        let salted: Vec<u8> = [&salt[..], words.as_bytes()].concat();
        let text = FreeText { id, text_sha256: Sha256::of(&salted).to_string() };
        lose(&proxy);
        store.keep_text(&text, salt, words).await.unwrap();
        lose(&proxy);
        assert!(store.forget_text(id).await.unwrap());
        store.append(vec![line(LineEvent::TextForgotten { text: id })]).await.unwrap();

        lose(&proxy);
        assert_eq!(store.import(vec![imported(2, "X1", 41)]).await.unwrap().len(), 1);
        let run = unit(&store, 1, Verdict::Pass, None).await;
        let past = store.head().await.unwrap().size;
        lose(&proxy);
        store.keep(&StoredCheckpoint { size: past, note: format!("o\n{past}\nx\n\n— o AAAA\n") }).await.unwrap();
        let event = line(LineEvent::Archived { first: 0, end: past, file: Sha256::of(b"x") });
        lose(&proxy);
        assert_eq!(store.let_go(event).await.unwrap(), 6, "what is said of people stays");
        assert_eq!(store.run(run).await.unwrap_err().code, ReasonCode::LOG_ARCHIVED);
        assert_eq!(store.head().await.unwrap().size, past + 1);
        super::assert_whole(&plant);
    }
}

// --- Two stations of one name

fn named(database: &Database, name: &str) -> Connection {
    Connection::from(database.config()).of_station(name.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_station_of_one_name_is_refused_while_the_first_is_there_and_commands_are_not() {
    let plant = Plant::new();
    let first = postgres::open_or_wait(named(&plant.database, "ST-1")).unwrap();
    let refused = postgres::open_or_wait(named(&plant.database, "ST-1")).err().unwrap();
    assert_eq!(refused.code, ReasonCode::STATION_TWICE, "{refused}");
    assert!(refused.cause.contains("another station ST-1") && refused.cause.contains("127.0.0.1"), "{refused}");
    let other = postgres::open_or_wait(named(&plant.database, "ST-2")).unwrap();
    plant.store().append(vec![stopped()]).await.unwrap();
    assert_eq!(super::found_by_verify(&plant), None);
    // Another plant's log on the same server is none of this one's.
    let elsewhere = Plant::new();
    drop(postgres::open_or_wait(named(&elsewhere.database, "ST-1")).unwrap());
    for store in [&first, &other] {
        store.append(vec![stopped()]).await.unwrap();
    }
    drop(first);
    drop(postgres::open_or_wait(named(&plant.database, "ST-1")).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_whose_line_was_cut_takes_its_name_again_though_the_server_has_not_noticed() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let store = postgres::open_or_wait(named(&plant.database.through(&proxy), "ST-1")).unwrap();
    for seq in 0..3 {
        assert_eq!(store.append(vec![stopped()]).await.unwrap()[0].seq, seq);
        let refused = postgres::open_or_wait(named(&plant.database, "ST-1")).err().unwrap();
        assert_eq!(refused.code, ReasonCode::STATION_TWICE, "{refused}");
        proxy.strand();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_that_finds_another_in_its_place_when_its_line_is_mended_writes_nothing_until_that_has_gone() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let first = postgres::open_or_wait(named(&plant.database.through(&proxy), "ST-1")).unwrap();
    proxy.cut();
    let second = postgres::open_or_wait(named(&plant.database, "ST-1")).unwrap();
    proxy.mend();
    assert_eq!(first.append(vec![stopped()]).await.unwrap_err().code, ReasonCode::STATION_TWICE);
    assert_eq!(second.append(vec![stopped()]).await.unwrap()[0].seq, 0);
    drop(second);
    assert_eq!(first.append(vec![stopped()]).await.unwrap()[0].seq, 1);
}

// --- Servers that say nothing

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_away_for_every_question_of_a_station_and_keeps_nobody_from_ending() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let way = plant.database.through(&proxy);
    let store = postgres::open(way.config()).unwrap().answering_within(Duration::from_millis(500));
    store.append(vec![stopped()]).await.unwrap();
    proxy.stall();
    let (st, batch) = (station(), "B1".parse().unwrap());
    let codes = [
        store.tally(&batch).await.err(),
        store.held_count().await.err(),
        store.held().await.err(),
        store.unfinished(&st).await.err(),
        store.unsettled_labels(&st).await.err(),
        store.latest(3).await.err(),
        store.run_of_slip(3).await.err(),
        store.batches().await.err(),
        store.open_batch(&st).await.err(),
        store.operator("A. Sato", (Uuid::from_u128(1), [0; 32])).await.err(),
        store.person("A. Sato").await.err(),
        store.tree_head().await.err(),
        store.latest_checkpoint().await.err(),
        store.append(vec![stopped()]).await.err(),
    ];
    assert!(codes.iter().flatten().filter(|failure| failure.code == ReasonCode::STORE_AWAY).count() == codes.len());
    let began = Instant::now();
    drop(store);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());

    // Nor from beginning; and a station that began so goes on once the server answers.
    let config = way.config();
    let waiting = tokio::task::spawn_blocking(move || postgres::open_or_wait(config).unwrap()).await.unwrap();
    assert_eq!(waiting.head().await.unwrap_err().code, ReasonCode::STORE_AWAY);
    proxy.resume();
    let by = Instant::now() + Duration::from_secs(60);
    while let Err(failure) = waiting.append(vec![stopped()]).await {
        assert!(failure.code == ReasonCode::STORE_AWAY && Instant::now() < by, "{failure}");
    }
}
