//! The PostgreSQL store: the contract of every store, and what only a server can suffer.

use std::sync::Arc;
use std::time::Duration;

use lineseal::adapters::postgres;
use lineseal::adapters::store::LogStore;
use lineseal::audit::event::Standing;
use lineseal::audit::{LineEvent, RunEvent};
use lineseal::domain::{ReasonCode, Step, Verdict};
use lineseal::ports::{AuditStore, ClaimAnswer};

use crate::postgres_server::{Database, Postgres, Proxy};
use crate::store_contract::{self, bound, claim, event, identity, line, run_id, sealed, started};

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

/// Every column, index, constraint and guard.
fn schema_of(client: &mut ::postgres::Client) -> Vec<String> {
    let all = "SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
            FROM information_schema.columns WHERE table_schema = 'public'
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1";
    client.query(all, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_migrated_schema_is_a_fresh_one() {
    let newest = i32::try_from(schema::migrations::runner().get_migrations().len()).unwrap();
    let fresh = Plant::new();
    drop(fresh.store());
    let expected = fresh.raw(schema_of);
    for version in 1..newest {
        let older = Plant::new();
        older.raw(move |client| {
            schema::migrations::runner().set_target(refinery::Target::Version(version)).run(client).unwrap();
        });
        assert_ne!(older.raw(schema_of), expected);
        drop(older.store());
        assert_eq!(older.raw(schema_of), expected, "from version {version}");
    }
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
                ClaimAnswer::Locked(lock) => panic!("{lock:?}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(stations[0].head().await.unwrap().size, u64::from(rounds));
}
