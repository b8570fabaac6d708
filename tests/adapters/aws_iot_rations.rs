//! One account, three stations, one PostgreSQL: what they call together is what the account takes.

use std::sync::{Arc, Mutex};

use lineseal::adapters::own_ca::AwsAuthorities;
use lineseal::adapters::postgres::{self, Connection, PostgresRations};
use lineseal::audit::LineEvent;
use lineseal::ports::{AuditStore as _, Authorities as _, Rations, Verification, Verifier as _};
use tokio::task::AbortHandle;

use super::responder::{Responder, found};
use super::*;
use crate::postgres_server::{Database, Postgres, Proxy as DatabaseProxy};
use crate::store_contract::line;

/// Calls a second: what the stations keep to, and what the account takes, as a bucket of so many that fills so fast.
const RATE: f64 = 8.0;
const QUOTA: f64 = 10.0;
const LANES: usize = 6;

/// Its lanes ask for nothing else than DescribeEndpoint, as fast as they may.
struct Calling {
    lanes: Vec<AbortHandle>,
    /// Holds the station's name in the database.
    _log: lineseal::adapters::store::LogStore,
}

impl Calling {
    fn start(name: &str, database: &Database, cloud: AwsCloud) -> Self {
        let log = postgres::open(Connection::from(database.config()).of_station(name.parse().unwrap())).unwrap();
        let rations: Arc<dyn Rations> = Arc::new(PostgresRations::new(database.config()).unwrap());
        let cloud = Arc::new(cloud.sharing(&rations));
        let lane = |cloud: Arc<AwsCloud>| async move {
            loop {
                if cloud.probe(&"plant".parse().unwrap()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        let lanes = (0..LANES).map(|_| tokio::spawn(lane(Arc::clone(&cloud))).abort_handle()).collect();
        Self { lanes, _log: log }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        self.lanes.iter().for_each(AbortHandle::abort);
    }
}

/// How empty the account's bucket was at its emptiest.
fn emptiest(calls: &[Instant]) -> f64 {
    let (mut level, mut least, mut last) = (QUOTA, QUOTA, None::<Instant>);
    for at in calls {
        let filled = last.map_or(0.0, |last| at.duration_since(last).as_secs_f64() * QUOTA);
        level = (level + filled).min(QUOTA) - 1.0;
        least = least.min(level);
        last = Some(*at);
    }
    least
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stations_keep_to_one_accounts_rate_use_it_and_a_dead_ones_part_is_the_others() {
    let peer = ministack().await;
    let calls: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let counted = Arc::clone(&calls);
    let responder = Responder::before(&peer.endpoint, move |action, _| {
        assert_eq!(action, "DescribeEndpoint");
        counted.lock().unwrap().push(Instant::now());
        found(r#"{"endpointAddress":"a.iot.example"}"#.into())
    })
    .await;
    let database = Postgres::shared().fresh_database();
    let way = DatabaseProxy::before(Postgres::shared());
    let through = database.through(&way);
    let station = |name| Calling::start(name, &through, peer.cloud_at(&responder.endpoint()));
    let mut stations: Vec<Calling> = tokio::task::block_in_place(|| ["S1", "S2", "S3"].map(station).into());
    let during = async |seconds: u64| {
        calls.lock().unwrap().clear();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        std::mem::take(&mut *calls.lock().unwrap())
    };
    let used = |calls: &[Instant], seconds: f64| {
        assert!(emptiest(calls) >= 0.0, "the account would have throttled: {}", emptiest(calls));
        calls.len() as f64 / (RATE * seconds)
    };

    // Their buckets were full once, for all of them together.
    let three = used(&during(8).await, 8.0);
    assert!((0.8..=1.0 + 1.0 / 8.0 + 0.05).contains(&three), "{three}");
    drop(stations.pop());
    let two = used(&during(6).await, 6.0);
    assert!((0.8..=1.05).contains(&two), "{two}");

    // The database is away: each keeps to its part, and nobody to the whole.
    way.cut();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let apart = used(&during(6).await, 6.0);
    assert!((0.5..=1.05).contains(&apart), "{apart}");
    way.mend();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let again = used(&during(5).await, 5.0);
    assert!((0.8..=1.05).contains(&again), "{again}");

    // None of it is the log's: a verification knows it as that.
    drop(stations);
    tokio::task::block_in_place(|| {
        let scratch = tempfile::tempdir().unwrap();
        let mut verifier = postgres::verifier(database.config(), scratch.path()).unwrap();
        let what = Verification { projections: true, ..Verification::default() };
        verifier.verify(&what, &mut |_| {}).unwrap().unwrap();
    });
    let log = tokio::task::block_in_place(|| postgres::open(database.config())).unwrap();
    log.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
}

/// `lineseal ca`, `template` and `claim` are no stations, and call the same account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_administrators_call_counts_with_the_stations_and_leaves_half_of_it_to_boards() {
    let peer = ministack().await;
    let calls: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let counted = Arc::clone(&calls);
    let responder = Responder::before(&peer.endpoint, move |action, _| {
        assert_eq!(action, "GetRegistrationCode");
        counted.lock().unwrap().push(Instant::now());
        found(r#"{"registrationCode":"0123456789abcdef"}"#.into())
    })
    .await;
    let database = Postgres::shared().fresh_database();
    let _log = tokio::task::block_in_place(|| postgres::open(database.config())).unwrap();
    let command = || {
        let rations: Arc<dyn Rations> = Arc::new(PostgresRations::new(database.config()).unwrap());
        let targets = peer.targets(&responder.endpoint());
        let authorities = AwsAuthorities::with_credentials(&targets, peer.station.clone()).sharing(&rations);
        tokio::spawn(async move {
            loop {
                let _ = authorities.registration_code(&"plant".parse().unwrap()).await;
            }
        })
        .abort_handle()
    };
    let commands: Vec<AbortHandle> = (0..3).map(|_| command()).collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    commands.iter().for_each(AbortHandle::abort);
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    assert!(calls.len() as f64 >= RATE * 5.0 * 0.6, "{}", calls.len());
    // Of a second's worth, half is never theirs.
    assert!(emptiest(&calls) >= QUOTA / 2.0 - 1.0, "{}", emptiest(&calls));
}
