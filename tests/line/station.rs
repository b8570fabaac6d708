//! The real station within the test's own process, so that a test can hold it at a chosen point.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, WorkerTokens};
use lineseal::adapters::sqlite::StationLock;
use lineseal::bootstrap;
use lineseal::config::Config;
use lineseal::domain::{Failure, Verdict};
use lineseal::provisioning::UnitRecord;
use lineseal::runner::view::{Command, LaneView, Snapshot};
use lineseal::runner::{self, Equipment, StationHandle};
use tokio::time::timeout;

use crate::bench::Bench;
use crate::log::{self, Logged};
use crate::program::PROGRAM;

/// Longer than any wait of the product's own on these lines.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Station {
    handle: StationHandle,
    data_dir: std::path::PathBuf,
    _lock: StationLock,
}

impl Station {
    pub async fn start(bench: &Bench<'_>) -> Station {
        Self::start_with(bench, |_| {}).await
    }

    /// With one part put before or in place of a real one.
    pub async fn start_with(bench: &Bench<'_>, change: impl FnOnce(&mut Equipment)) -> Station {
        let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
        Self::start_at(Arc::new(bench.config()), bench.data_dir(), credentials, change).await
    }

    pub async fn start_at(
        config: Arc<Config>,
        data_dir: std::path::PathBuf,
        credentials: SharedCredentialsProvider,
        change: impl FnOnce(&mut Equipment),
    ) -> Station {
        let equipped = bootstrap::equip_with_credentials(&config, &data_dir, Some("tester"), credentials).await;
        let (mut equipment, lock) = equipped.unwrap();
        // Its own choice is this very program, which is a test here.
        equipment.tokens = Arc::new(workers());
        change(&mut equipment);
        Station { handle: runner::start(config, equipment), data_dir, _lock: lock }
    }

    /// The next finished unit.
    pub async fn unit(&mut self) -> UnitRecord {
        timeout(PATIENCE, self.handle.finished.recv()).await.expect("a unit within a minute").expect("a station")
    }

    pub async fn units(&mut self, count: usize) -> Vec<UnitRecord> {
        let mut units = Vec::new();
        for _ in 0..count {
            units.push(self.unit().await);
        }
        units
    }

    /// Returns when the station shows what is waited for.
    pub async fn until(&mut self, what: &str, holds: impl FnMut(&Arc<Snapshot>) -> bool) -> Arc<Snapshot> {
        let seen = timeout(PATIENCE, self.handle.snapshots.wait_for(holds)).await;
        seen.unwrap_or_else(|_| panic!("{what} was not seen within a minute")).unwrap().clone()
    }

    /// Returns when the station has seen that the lanes' boards are gone.
    pub async fn until_gone(&mut self, lanes: &[u8]) {
        let gone = |view: &LaneView| !lanes.contains(&view.number.get()) || view.port.is_none();
        self.until("an empty lane", |snapshot| snapshot.lanes.iter().all(gone)).await;
    }

    pub async fn command(&self, command: Command) {
        self.handle.commands.send(command).await.unwrap();
    }

    pub fn log(&self) -> Vec<Logged> {
        log::read(&self.data_dir)
    }

    /// In order, with everything written.
    pub async fn stop(self) -> Vec<Logged> {
        self.stop_and_show().await.0
    }

    /// How it ends where the log takes no last word.
    pub async fn end(self) -> Result<(), Failure> {
        self.command(Command::Stop).await;
        timeout(PATIENCE, self.handle.task).await.expect("the station ends").unwrap()
    }

    /// The same, and the last that was to be seen.
    pub async fn stop_and_show(self) -> (Vec<Logged>, Arc<Snapshot>) {
        self.command(Command::Stop).await;
        timeout(PATIENCE, self.handle.task).await.expect("the station ends").unwrap().unwrap();
        let last = self.handle.snapshots.borrow().clone();
        (log::read(&self.data_dir), last)
    }
}

/// Workers of the program under test.
pub fn workers() -> WorkerTokens {
    WorkerTokens::new(PROGRAM, [WORKER_ARGUMENT.into()])
}

/// `PASS`, `FAIL S-101`.
pub fn outcome(record: &UnitRecord) -> String {
    match &record.reason {
        Some(reason) => format!("{} {reason}", record.verdict.as_str()),
        None => record.verdict.as_str().to_owned(),
    }
}

pub fn assert_outcome(record: &UnitRecord, expected: &str) {
    assert_eq!(outcome(record), expected, "{record:#?}");
}

pub fn is_pass(record: &UnitRecord) -> bool {
    record.verdict == Verdict::Pass
}
