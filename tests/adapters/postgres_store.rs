//! The PostgreSQL store: the contract of every store, and what only a server can suffer.

#[path = "postgres_crash.rs"]
mod crash;
#[path = "postgres_plant.rs"]
mod plant;
#[path = "postgres_tls.rs"]
mod tls;

use std::sync::Arc;
use std::time::Duration;

use lineseal::adapters::postgres;
use lineseal::adapters::store::LogStore;
use lineseal::audit::event::{LabelKind, Standing};
use lineseal::audit::{Body, LineEvent, RunEvent};
use lineseal::domain::{ReasonCode, Step, Verdict};
use lineseal::ports::{
    AuditStore, Broken, ClaimAnswer, History as _, People as _, Promise, Search, Verification, Verifier as _,
};

use crate::postgres_server::{Database, Postgres, Proxy};
use crate::store_contract::{self, bound, claim, event, identity, line, opened, proven, run_id, sealed, started};

mod schema {
    refinery::embed_migrations!("migrations/postgres");
}

crate::store_contract!(Plant::new());

/// An empty database of its own.
struct Plant {
    database: Database,
}

impl Plant {
    fn new() -> Self {
        Self { database: Postgres::shared().fresh_database() }
    }

    fn store(&self) -> LogStore {
        postgres::open(self.database.config()).unwrap()
    }

    /// The database without the store around it, as `psql` would open it. Not from async code.
    fn raw<T: Send + 'static>(&self, work: impl FnOnce(&mut ::postgres::Client) -> T + Send + 'static) -> T {
        let database = self.database.clone();
        std::thread::spawn(move || work(&mut database.connect())).join().unwrap()
    }
}

#[async_trait::async_trait]
impl store_contract::Peer for Plant {
    async fn open(&self) -> Arc<dyn store_contract::Store> {
        Arc::new(self.store())
    }
}

/// What the program compares a log's schema with, as this database has it.
fn schema_of(client: &mut ::postgres::Client) -> String {
    let mut lines: Vec<String> = client
        .query(include_str!("../../src/adapters/postgres/catalogue.sql"), &[])
        .unwrap()
        .iter()
        .map(|row| {
            let fields = [0, 1, 2].map(|column| row.get::<_, String>(column).replace('\n', "\\n"));
            fields.join("\t") + "\n"
        })
        .collect();
    lines.sort();
    lines.concat()
}

/// `LINESEAL_RENEW=1` writes it anew, after a migration.
#[test]
fn the_schema_that_is_compiled_in_is_the_one_that_the_migrations_make() {
    let fresh = Plant::new();
    // Not by the program: it would refuse what it does not yet know.
    fresh.raw(|client| schema::migrations::runner().run(client).map(drop).unwrap());
    let made = fresh.raw(schema_of);
    if std::env::var_os("LINESEAL_RENEW").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapters/postgres/catalogue.txt");
        std::fs::write(file, &made).unwrap();
    } else {
        assert!(
            made == include_str!("../../src/adapters/postgres/catalogue.txt"),
            "renew it, see migrations/README.md"
        );
    }
}

/// No event tells of a guard that is gone, or of a rule that swallows what is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_was_changed_is_named_by_verify_and_no_station_starts_on_it() {
    let plant = Plant::new();
    let store = plant.store();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    drop(store);
    assert_eq!(found_by_verify(&plant), None);
    for (change, back, named) in [
        (
            "ALTER TABLE events DISABLE TRIGGER events_are_never_deleted",
            "ALTER TABLE events ENABLE TRIGGER events_are_never_deleted",
            "trigger events_are_never_deleted of events is missing or another one",
        ),
        (
            "ALTER TABLE events RENAME CONSTRAINT events_id_key TO kept",
            "ALTER TABLE events RENAME CONSTRAINT kept TO events_id_key",
            "constraint events_id_key of events is missing or another one",
        ),
        (
            "ALTER TABLE bindings DROP CONSTRAINT bindings_fingerprint_key",
            "ALTER TABLE bindings ADD CONSTRAINT bindings_fingerprint_key UNIQUE (fingerprint)",
            "constraint bindings_fingerprint_key of bindings is missing or another one",
        ),
        (
            "CREATE RULE swallowed AS ON INSERT TO bindings DO INSTEAD NOTHING",
            "DROP RULE swallowed ON bindings",
            "rule swallowed of bindings is none of this program's",
        ),
        (
            "ALTER TABLE runs ADD COLUMN note TEXT",
            "ALTER TABLE runs DROP COLUMN note",
            "column note of runs is none of this program's",
        ),
        (
            "ALTER TABLE hashes ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON hashes USING (position < 9)",
            "ALTER TABLE hashes DISABLE ROW LEVEL SECURITY; DROP POLICY half ON hashes",
            "table itself of hashes is missing or another one",
        ),
        (
            "CREATE POLICY half ON hashes USING (position < 9)",
            "DROP POLICY half ON hashes",
            "policy half of hashes is none of this program's",
        ),
        ("CREATE TABLE more () INHERITS (locks)", "DROP TABLE more", "child more of locks is none of this program's"),
        (
            "CREATE TABLE elsewhere (run BYTEA REFERENCES runs (run)); ALTER TABLE runs DISABLE TRIGGER ALL",
            "DROP TABLE elsewhere",
            "of runs is none of this program's",
        ),
        ("ALTER TABLE hashes SET UNLOGGED", "ALTER TABLE hashes SET LOGGED", "table itself of hashes is missing"),
        (
            "DROP INDEX bindings_unit",
            "CREATE UNIQUE INDEX bindings_unit ON bindings (product, serial) WHERE open = 1",
            "index bindings_unit of bindings is missing or another one",
        ),
        (
            "CREATE FUNCTION count(BIGINT) RETURNS BIGINT LANGUAGE sql AS 'SELECT 0::bigint'",
            "DROP FUNCTION count(BIGINT)",
            "of database is none of this program's",
        ),
        (
            "CREATE TRIGGER evil BEFORE INSERT ON bindings FOR EACH ROW EXECUTE FUNCTION refuse('no')",
            "DROP TRIGGER evil ON bindings",
            "trigger evil of bindings is none of this program's",
        ),
        (
            "DROP TRIGGER tree_head_never_shrinks ON tree_head",
            "CREATE TRIGGER tree_head_never_shrinks BEFORE UPDATE ON tree_head FOR EACH ROW
                WHEN (NEW.size <= OLD.size) EXECUTE FUNCTION refuse('the tree only grows')",
            "trigger tree_head_never_shrinks of tree_head is missing or another one",
        ),
        // Nobody has to be able to take this one back.
        (
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "SELECT 1",
            "function refuse() of database is missing or another one",
        ),
    ] {
        plant.raw(move |client| client.batch_execute(change).unwrap());
        let found = found_by_verify(&plant).unwrap_or_else(|| panic!("{change}: not found"));
        assert_eq!(found.promise, Promise::Schema, "{change}: {found}");
        assert!(found.found.contains(named), "{change}: {found}");
        let refused = postgres::open(plant.database.config()).err().map(|refused| refused.code);
        assert_eq!(refused, Some(ReasonCode::STORE_CORRUPT), "{change}");
        plant.raw(move |client| client.batch_execute(back).unwrap());
    }
}

/// The plant's administrators may have a view of their own beside the log.
#[tokio::test]
async fn a_table_or_a_view_beside_the_log_is_no_finding() {
    let plant = Plant::new();
    drop(plant.store());
    plant.raw(|client| {
        client.batch_execute("CREATE TABLE notes (text TEXT); CREATE VIEW shown AS SELECT seq FROM events").unwrap();
    });
    assert_eq!(found_by_verify(&plant), None);
    drop(plant.store());
}

/// Whatever a database or a role looks through first: what the program calls are the server's own functions.
#[tokio::test]
async fn functions_of_another_schema_are_called_by_nothing() {
    let plant = Plant::new();
    let store = plant.store();
    let run = run_id();
    store.append([proven(run, "A1", 1), vec![sealed(run, Verdict::Error, None)]].concat()).await.unwrap();
    let search = Search { serial: Some("A1".to_owned()), ..Default::default() };
    assert_eq!(store.search(&search, None, 10).await.unwrap().items.len(), 1);
    drop(store);
    plant.raw(|client| {
        client
            .batch_execute(
                "CREATE SCHEMA evil;
                 CREATE FUNCTION evil.substr(text, int, int) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
                 DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, evil, pg_catalog',
                     current_database()); END $$",
            )
            .unwrap();
    });
    let found = plant.store().search(&search, None, 10).await.unwrap();
    assert_eq!(found.items.len(), 1);
}

/// Small tables are never vacuumed by the server itself.
#[tokio::test]
async fn what_was_forgotten_is_in_no_file_of_a_table() {
    let server = Postgres::start();
    let plant = Plant { database: server.fresh_database() };
    let store = plant.store();
    let who = uuid::Uuid::from_u128(7);
    store.operator("Zanzibarquux", (who, [1; 32])).await.unwrap();
    let ruling = lineseal::audit::event::Ruling::Scrap { unit: store_contract::unit("A1") };
    let ruled = store_contract::typed(&store, "xylophonefrob", ruling).await;
    let Body::Line(LineEvent::Ruled { reason, .. }) = &ruled.body else { panic!() };
    let text = reason.id;
    store.append(vec![ruled]).await.unwrap();
    server.administer("CHECKPOINT");
    assert_eq!(kept(&server), (true, true));
    assert!(store.forget(who).await.unwrap());
    assert!(store.forget_text(text).await.unwrap());
    server.administer("CHECKPOINT");
    assert!(!kept(&server).0);
    // By these words the ruling was found; the table is too large to be written anew while stations work.
    plant.raw(|client| client.batch_execute("VACUUM FULL records").unwrap());
    server.administer("CHECKPOINT");
    assert_eq!(kept(&server), (false, false));
}

/// Are the name and the word above in a file of the server's tables?
fn kept(server: &Postgres) -> (bool, bool) {
    let mut files = vec![server.folder().join("data/base")];
    let mut found = (false, false);
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        // The server may have removed it meanwhile.
        let bytes = std::fs::read(&path).unwrap_or_default();
        let holds = |word: &str| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
        found = (found.0 || holds("Zanzibarquux"), found.1 || holds("xylophonefrob"));
    }
    found
}

/// An administrator can keep rows out of an index, and then let it be used again: what is read row by row is
/// right, and whoever claims is not told of it.
#[tokio::test]
async fn an_index_that_does_not_have_the_rows_of_its_table_is_named_by_verify() {
    for (index, table) in
        [("bindings_fingerprint_key", "bindings"), ("bindings_unit", "bindings"), ("records_words", "records")]
    {
        let plant = Plant::new();
        let store = plant.store();
        store.append(proven(run_id(), "A1", 1)).await.unwrap();
        let mut claim = store_contract::claim("A1", store_contract::identity(1));
        claim.run = run_id();
        store.append(proven(claim.run, "A1", 1)).await.unwrap();
        store.claim(claim.clone()).await.unwrap();
        store.append(vec![sealed(claim.run, Verdict::Pass, Some(LabelKind::Unit))]).await.unwrap();
        drop(store);
        assert_eq!(found_by_verify(&plant), None);
        plant.raw(move |client| {
            let ready = |client: &mut ::postgres::Client, yes: bool| {
                client.batch_execute(&format!(
                    "UPDATE pg_index SET indisready = {yes}, indisvalid = {yes} WHERE indexrelid = '{index}'::regclass"
                ))
            };
            ready(client, false).unwrap();
            client
                .batch_execute(&format!(
                    "CREATE TEMP TABLE kept AS SELECT * FROM {table}; DELETE FROM {table};
                     INSERT INTO {table} SELECT * FROM kept"
                ))
                .unwrap();
            ready(client, true).unwrap();
        });
        let named = format!("index {index} is not that of the rows of table {table}: ");
        for asked in ["", "CREATE EXTENSION amcheck"] {
            plant.raw(move |client| client.batch_execute(asked).unwrap());
            let found = found_by_verify(&plant).unwrap_or_else(|| panic!("{index} {asked}: not found"));
            assert_eq!((found.promise, found.place.as_str()), (Promise::Schema, "the indexes"), "{index}: {found}");
            assert!(found.found.starts_with(&named), "{index} {asked}: {found}");
            let by_amcheck = found.found.contains("lacks matching index tuple");
            assert_eq!(by_amcheck, !asked.is_empty() && index != "records_words", "{found}");
        }
        plant.raw(move |client| client.batch_execute(&format!("REINDEX INDEX {index}")).unwrap());
        assert_eq!(found_by_verify(&plant), None);
    }
}

fn found_by_verify(plant: &Plant) -> Option<Broken> {
    let folder = tempfile::tempdir().unwrap();
    let mut verifier = postgres::verifier(plant.database.config(), folder.path()).unwrap();
    let what = Verification { projections: true, ..Verification::default() };
    let verify = move || verifier.verify(&what, &mut |_| {}).unwrap().err();
    std::thread::spawn(verify).join().unwrap()
}

#[test]
fn a_migrated_schema_is_a_fresh_one() {
    let mut versions: Vec<_> = schema::migrations::runner().get_migrations().iter().map(|one| one.version()).collect();
    versions.sort_unstable();
    versions.pop();
    let fresh = Plant::new();
    drop(fresh.store());
    let expected = fresh.raw(schema_of);
    for version in versions {
        let older = Plant::new();
        older.raw(move |client| {
            schema::migrations::runner().set_target(refinery::Target::Version(version)).run(client).unwrap();
        });
        assert_ne!(older.raw(schema_of), expected);
        drop(older.store());
        assert_eq!(older.raw(schema_of), expected, "from version {version}");
    }
}

/// No NUL in a text (SQLSTATE 22021), nothing too long for an index (54000), nothing that a guard refuses
/// (P0001), no row that is damaged (XX001), nothing that is denied (42501): whoever wrote it is refused, and
/// no lane beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_piece_that_the_server_refuses_leaves_the_others_be() {
    let plant = Plant::new();
    let store = Arc::new(plant.store());
    // Put there when the stations are at work: no connection is made to such a schema.
    plant.raw(|client| {
        client
            .batch_execute(
                "CREATE FUNCTION refuse_by() RETURNS trigger LANGUAGE plpgsql AS
                     'BEGIN RAISE EXCEPTION USING ERRCODE = substr(NEW.profile, 2), MESSAGE = ''refused''; END';
                 CREATE TRIGGER refused BEFORE INSERT ON batches FOR EACH ROW WHEN (NEW.profile LIKE '!%')
                     EXECUTE FUNCTION refuse_by();
                 CREATE TRIGGER guarded BEFORE INSERT ON batches FOR EACH ROW WHEN (NEW.profile = 'guarded')
                     EXECUTE FUNCTION refuse('no')",
            )
            .unwrap();
    });
    let refused = ["a\0b", "guarded", "!54000", "!XX001", "!42501"];
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut event = opened(&format!("WO-{n}"), 1);
                let why = refused.get(n % 10).copied();
                if let (Some(why), Body::Line(LineEvent::BatchOpened { profile, .. })) = (why, &mut event.body) {
                    *profile = (*why).to_owned();
                }
                (why, store.append(vec![event]).await)
            })
        })
        .collect();
    for task in tasks {
        let (why, answer) = task.await.unwrap();
        assert_eq!(answer.is_err(), why.is_some(), "{why:?}: {answer:?}");
    }
    assert_eq!(store.head().await.unwrap().size, 30);
    assert_whole(&plant);
}

#[test]
fn a_newer_edited_or_foreign_schema_is_refused() {
    let code = |plant: &Plant| postgres::open(plant.database.config()).err().map(|refused| refused.code);
    let fresh = Plant::new();
    drop(fresh.store());
    fresh.raw(|client| {
        let row = "INSERT INTO refinery_schema_history VALUES (99, 'from_the_future', '2031-01-01T00:00:00Z', '1')";
        client.batch_execute(row).unwrap();
    });
    assert_eq!(code(&fresh), Some(ReasonCode::STORE_NEWER));
    fresh.raw(|client| {
        client
            .batch_execute("DELETE FROM refinery_schema_history WHERE version = 99; UPDATE projection SET number = 99")
            .unwrap();
    });
    assert_eq!(code(&fresh), Some(ReasonCode::STORE_NEWER));
    fresh.raw(|client| {
        client.batch_execute("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 1").unwrap()
    });
    assert_eq!(code(&fresh), Some(ReasonCode::STORE_CORRUPT));

    let foreign = Plant::new();
    foreign.raw(|client| client.batch_execute("CREATE TABLE shopping (item TEXT)").unwrap());
    assert_eq!(code(&foreign), Some(ReasonCode::STORE_CORRUPT));
}

#[tokio::test]
async fn the_log_can_neither_be_changed_nor_deleted() {
    let plant = Plant::new();
    let store = plant.store();
    store.append(vec![line(LineEvent::StationStopped {}), line(LineEvent::OperatorNamed {})]).await.unwrap();
    let refused = plant.raw(|client| {
        [
            "UPDATE events SET bytes = '' WHERE seq = 0",
            "DELETE FROM events WHERE seq = 1",
            "TRUNCATE events",
            "DELETE FROM tree_head",
            "TRUNCATE tree_head",
            "UPDATE tree_head SET size = 1",
            "UPDATE hashes SET position = 9",
            "DELETE FROM hashes",
            "TRUNCATE hashes",
        ]
        .map(|sql| client.batch_execute(sql).is_err())
    });
    assert_eq!(refused, [true; 9]);
}

#[tokio::test]
async fn two_stations_that_start_at_once_both_start() {
    let plant = Plant::new();
    let opening: Vec<_> = (0..4)
        .map(|_| {
            let config = plant.database.config();
            tokio::task::spawn_blocking(move || postgres::open(config).map(drop))
        })
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_lost_at_commit_is_read_back_and_nothing_is_written_twice() {
    let plant = Plant::new();
    drop(plant.store());
    for lose in [Proxy::lose_next_commit_answer, Proxy::lose_next_commit] {
        let proxy = Proxy::before(Postgres::shared());
        let store = postgres::open(plant.database.through(&proxy).config()).unwrap();
        let size = store.head().await.unwrap().size;
        lose(&proxy);
        let receipts = store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
        assert_eq!(receipts[0].seq, size);
        lose(&proxy);
        let chip = identity(u32::try_from(size).unwrap());
        assert_eq!(bound(store.claim(claim(&format!("A{size}"), chip)).await).1, Standing::New);
        assert_eq!(store.head().await.unwrap().size, size + 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_to_be_and_used_again_when_it_is_back() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let store = postgres::open(plant.database.through(&proxy).config()).unwrap();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    proxy.cut();
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err().code, ReasonCode::STORE_AWAY);
    assert_eq!(store.claim(claim("A1", identity(1))).await.unwrap_err().code, ReasonCode::STORE_AWAY);
    assert_eq!(store.head().await.unwrap_err().code, ReasonCode::STORE_AWAY);
    assert_eq!(postgres::open(plant.database.through(&proxy).config()).err().unwrap().code, ReasonCode::STORE_AWAY);
    proxy.mend();
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, 1);
    assert_eq!(store.head().await.unwrap().size, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_and_restarted_in_a_run_keeps_what_was_acknowledged() {
    let server = Postgres::start();
    let database = server.fresh_database();
    let store = Arc::new(postgres::open(database.config()).unwrap());
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    let working = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for _ in 0..40 {
                let step = event(run, RunEvent::StepBegan { step: Step::Read });
                // A server may take longer to come back than a store has patience for: the same event, again.
                while let Err(away) = store.append(vec![step.clone()]).await {
                    assert_eq!(away.code, ReasonCode::STORE_AWAY, "{away}");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let _server = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(60));
        server.kill_9();
        server.restart();
        server
    })
    .await
    .unwrap();
    working.await.unwrap();
    store.append(vec![sealed(run, Verdict::Pass, None)]).await.unwrap();
    assert_eq!(store.run(run).await.unwrap().unwrap().events.len(), 43);
}

/// A new log on a server that comes up later is as good as one that was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_opened_while_the_server_was_away_is_used_once_it_is_there() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let way = plant.database.through(&proxy);
    proxy.cut();
    let store = postgres::open_or_wait(way.config()).unwrap();
    assert_eq!(store.head().await.unwrap_err().code, ReasonCode::STORE_AWAY);
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err().code, ReasonCode::STORE_AWAY);
    proxy.mend();
    assert_eq!(store.head().await.unwrap().size, 0);
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, 0);
}

/// Its machine is up and takes what is sent, and the disk behind it hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_there_and_does_not_answer_is_away_and_what_it_did_after_all_is_found() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let store = postgres::open(plant.database.through(&proxy).config()).unwrap();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    proxy.delay_commits(Duration::from_secs(23));
    let event = line(LineEvent::StationStopped {});
    assert_eq!(store.append(vec![event.clone()]).await.unwrap_err().code, ReasonCode::STORE_AWAY);
    proxy.delay_commits(Duration::ZERO);
    assert_eq!(store.append(vec![line(LineEvent::OperatorNamed {}), event]).await.unwrap()[1].seq, 1);
    assert_eq!(store.head().await.unwrap().size, 3);
}

/// While it was away, somebody else brought the database to a schema that this program does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_newer_is_not_written_to() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let store = postgres::open(plant.database.through(&proxy).config()).unwrap();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    proxy.cut();
    plant.raw(|client| client.batch_execute("UPDATE projection SET number = 99").unwrap());
    proxy.mend();
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err().code, ReasonCode::STORE_NEWER);
    assert_eq!(plant.raw(|client| client.query_one("SELECT size FROM tree_head", &[]).unwrap().get::<_, i64>(0)), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_turned_read_only_is_said_to_be_and_used_again_when_it_is_not() {
    let plant = Plant::new();
    let store = plant.store();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    let name = plant.database.name.clone();
    let set = |on: &str| {
        Postgres::shared().administer(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only TO {on};
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        ));
    };
    set("on");
    let refused = store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err();
    assert_eq!(refused.code, ReasonCode::STORE_AWAY, "a standby is not the server: {refused}");
    set("off");
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, 1);
}

/// All lanes at once: the pieces of one transaction, of which one is refused on its own account and one
/// collides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_lanes_in_one_batch_only_those_that_are_wrong_are_refused() {
    let plant = Plant::new();
    let proxy = Proxy::before(Postgres::shared());
    let store = Arc::new(postgres::open(plant.database.through(&proxy).config()).unwrap());
    bound(store.claim(claim("taken", identity(7))).await);
    let before = store.head().await.unwrap().size;
    // Whoever comes while a commit takes its time waits for the next one, together.
    proxy.delay_commits(Duration::from_millis(100));
    let first = line(LineEvent::StationStopped {});
    let opening = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.append(vec![first]).await })
    };
    tokio::time::sleep(Duration::from_millis(30)).await;
    let claims: Vec<_> = (0..16)
        .map(|lane| {
            let (store, claim) = (Arc::clone(&store), claim(&format!("L{lane}"), identity(lane)));
            tokio::spawn(async move { store.claim(claim).await.unwrap() })
        })
        .collect();
    // A run that never started can't be sealed.
    let illegal = store.append(vec![sealed(run_id(), Verdict::Pass, None)]).await;
    assert_eq!(illegal.unwrap_err().code, ReasonCode::STORE_FAILED);
    opening.await.unwrap().unwrap();
    for (lane, claimed) in claims.into_iter().enumerate() {
        match claimed.await.unwrap() {
            ClaimAnswer::Bound(_) => assert_ne!(lane, 7),
            ClaimAnswer::Collides(collisions) => assert_eq!((lane, collisions.len()), (7, 3)),
            refused => panic!("{refused:?}"),
        }
    }
    assert_eq!(store.head().await.unwrap().size, before + 1 + 15);
    assert_whole(&plant);
}

/// One station's line is cut a few times in the middle of its batches, its answers are lost, and
/// another station claims the same chips meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_stations_that_race_while_one_is_cut_one_wins_each_chip() {
    const CHIPS: u32 = 120;
    let plant = Plant::new();
    let proxy = Arc::new(Proxy::before(Postgres::shared()));
    let near = Arc::new(plant.store());
    let far = Arc::new(postgres::open(plant.database.through(&proxy).config()).unwrap());
    let cutting = {
        let proxy = Arc::clone(&proxy);
        std::thread::spawn(move || {
            for round in 0..9 {
                match round % 3 {
                    0 => proxy.lose_next_commit_answer(),
                    1 => proxy.lose_next_commit(),
                    _ => {
                        proxy.cut();
                        proxy.mend();
                    }
                }
                std::thread::sleep(Duration::from_millis(60));
            }
        })
    };
    let race = |store: &Arc<LogStore>, name: &'static str| {
        let tasks: Vec<_> = (0..CHIPS)
            .map(|chip| {
                let (store, claim) = (Arc::clone(store), claim(&format!("{name}{chip}"), identity(chip)));
                tokio::spawn(async move {
                    loop {
                        // What is refused because the database is away is asked again, under the same id.
                        match store.claim(claim.clone()).await {
                            Err(failure) if failure.code == ReasonCode::STORE_AWAY => {}
                            answer => return matches!(answer.unwrap(), ClaimAnswer::Bound(_)),
                        }
                    }
                })
            })
            .collect();
        tasks
    };
    let (far_tasks, near_tasks) = (race(&far, "F"), race(&near, "N"));
    for (chip, (one, two)) in far_tasks.into_iter().zip(near_tasks).enumerate() {
        let (one, two) = (one.await.unwrap(), two.await.unwrap());
        assert!(one != two, "chip {chip}: {one} {two}");
    }
    tokio::task::spawn_blocking(move || cutting.join().unwrap()).await.unwrap();
    assert_eq!(near.head().await.unwrap().size, u64::from(CHIPS));
    assert_whole(&plant);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_the_middle_of_batches_loses_nothing_and_writes_nothing_twice() {
    let server = Postgres::start();
    let database = server.fresh_database();
    let store = Arc::new(postgres::open(database.config()).unwrap());
    let lanes: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for _ in 0..40 {
                    let event = line(LineEvent::StationStopped {});
                    let id = event.id;
                    // A station asks again for what it could not record; so does this.
                    while store.append(vec![event.clone()]).await.is_err() {}
                    acknowledged.push(id.as_uuid().as_bytes().to_vec());
                }
                acknowledged
            })
        })
        .collect();
    let _server = tokio::task::spawn_blocking(move || {
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(60));
            server.kill_9();
            server.restart();
        }
        server
    })
    .await
    .unwrap();
    let mut acknowledged = Vec::new();
    for lane in lanes {
        acknowledged.extend(lane.await.unwrap());
    }
    let plant = Plant { database };
    let mut stored: Vec<Vec<u8>> = plant.raw(|client| {
        client.query("SELECT id FROM events ORDER BY seq", &[]).unwrap().iter().map(|row| row.get(0)).collect()
    });
    assert_eq!(stored.len(), 320);
    stored.sort();
    acknowledged.sort();
    assert_eq!(stored, acknowledged);
    assert_whole(&plant);
}

/// Counted without the store: numbers without a gap, as many as the head says, each id once.
fn assert_whole(plant: &Plant) {
    let counts = plant.raw(|client| {
        let row = client
            .query_one(
                "SELECT count(*), count(DISTINCT id), coalesce(max(seq) + 1, 0), (SELECT size FROM tree_head)
                 FROM events",
                &[],
            )
            .unwrap();
        [0, 1, 2, 3].map(|column| row.get::<_, i64>(column))
    });
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_stations_that_claim_one_chip_at_the_same_moment_one_wins() {
    let plant = Plant::new();
    let stations: Vec<Arc<LogStore>> = (0..4).map(|_| Arc::new(plant.store())).collect();
    let rounds: u32 = if std::env::var_os("LINESEAL_LONG").is_some() { 10_000 } else { 300 };
    for round in 0..rounds {
        let tasks: Vec<_> = stations
            .iter()
            .enumerate()
            .map(|(n, store)| {
                let (store, claim) = (Arc::clone(store), claim(&format!("R{round}-{n}"), identity(round)));
                tokio::spawn(async move { store.claim(claim).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                ClaimAnswer::Bound(bound) => won += u32::from(bound.standing == Standing::New),
                ClaimAnswer::Collides(collisions) => assert_eq!(collisions.len(), 3),
                refused => panic!("{refused:?}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(stations[0].head().await.unwrap().size, u64::from(rounds));
}
