//! A station's own log on its way into the plant's database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Records, connection, keep_practice_apart, records_of};
use crate::adapters::postgres::{self, Connection};
use crate::adapters::sqlite::{self, Moved, StationLock};
use crate::adapters::store::copy::{self, Copied, Copying};
use crate::adapters::store::error::StoreError;
use crate::audit::{Event, LineEvent, TreeHead};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::runner::LogWriter;

/// A log that is in the plant's database now.
pub struct Migrated {
    /// As it was when it was copied.
    pub head: TreeHead,
    /// It had been copied before, and only that was not known.
    pub before: bool,
}

/// A station's own log, to be moved into the plant's database; nobody else writes to it meanwhile.
pub struct Move {
    /// The log as it is, for whoever has to prove who they are.
    pub records: Records,
    into: Connection,
    file: PathBuf,
    /// A backup that lies beside a log is not that log: nothing is said of the log when it is moved.
    moved: Option<Moved>,
    _lock: StationLock,
}

impl Move {
    /// `from` is a data directory or a database file in one. K-701 where the configuration names no
    /// database, L-508 while a station runs there.
    pub fn new(config: &Config, from: &Path) -> Result<Self, Failure> {
        let Some(database) = &config.log.postgres else {
            let cause = "\"postgres\" in [log] has to name the database that the log is moved into";
            return Err(Failure::new(ReasonCode::CONFIG_INVALID, cause));
        };
        let file = if from.is_dir() { from.join(sqlite::FILE) } else { from.to_owned() };
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let into = connection(config, folder, database)?;
        if !file.is_file() {
            let cause = format!("there is no log to move: {} is no file", file.display());
            return Err(Failure::new(ReasonCode::NOT_NOW, cause));
        }
        keep_practice_apart(config, folder)?;
        let lock = StationLock::take(folder)?;
        let store = Arc::new(sqlite::open(&file)?);
        let records = records_of(config, folder, store, None);
        let moved = is_same(&file, &folder.join(sqlite::FILE)).then(|| Moved::of(folder));
        Ok(Self { records, into, moved, file, _lock: lock })
    }

    /// Copies everything in one transaction, in the name of whoever `log` is for. `progress` hears how
    /// many leaves of how many are over. The source keeps its log, and is written no more.
    pub async fn perform(
        self,
        log: LogWriter,
        progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<Migrated, Failure> {
        let ended = |error: tokio::task::JoinError| Failure::new(ReasonCode::STORE_FAILED, error.to_string());
        Ok(match tokio::task::spawn_blocking(move || self.copy(log, progress)).await.map_err(ended)?? {
            Copied::Now(head) => Migrated { head, before: false },
            Copied::Before(head) => Migrated { head, before: true },
        })
    }

    fn copy(self, log: LogWriter, progress: impl FnMut(u64, u64) + Send + 'static) -> Result<Copied, Failure> {
        let mut from = sqlite::source(&self.file)?;
        let Self { into, moved, file, .. } = &self;
        let address = into.to_string();
        let moved = moved.as_ref();
        let mut moving = Moving { log, from: file.display().to_string(), moved, address: &address, progress };
        let copied = std::thread::scope(|scope| {
            // The client's own runtime must not sit inside another one.
            let copying = scope.spawn(|| {
                let mut to = postgres::target(into.clone())?;
                copy::copy(from.as_mut(), to.as_mut(), &mut moving).map_err(Failure::from)
            });
            copying.join().unwrap_or_else(|_| Err(Failure::new(ReasonCode::STORE_FAILED, "the copy ended in a defect")))
        });
        let Some(moved) = moved else { return copied };
        match &copied {
            Ok(Copied::Before(_)) => moved.say(&address)?,
            Ok(Copied::Now(_)) => {}
            // Perhaps the answer was lost and nothing else: the next try finds out.
            Err(failure) if failure.code == ReasonCode::STORE_AWAY => {}
            Err(_) => moved.take_back()?,
        }
        copied
    }
}

/// One file under both names, a link or not.
fn is_same(file: &Path, log: &Path) -> bool {
    matches!((file.canonicalize(), log.canonicalize()), (Ok(file), Ok(log)) if file == log)
}

struct Moving<'a, P> {
    log: LogWriter,
    from: String,
    moved: Option<&'a Moved>,
    address: &'a str,
    progress: P,
}

impl<P: FnMut(u64, u64)> Copying for Moving<'_, P> {
    fn progress(&mut self, done: u64, of: u64) {
        (self.progress)(done, of);
    }

    fn closing(&mut self, head: TreeHead) -> Result<Option<Event>, StoreError> {
        let refused = |failure: Failure| StoreError::Illegal(failure.to_string());
        self.moved.map_or(Ok(()), |moved| moved.say(self.address)).map_err(refused)?;
        let root = Sha256::from_bytes(head.root);
        let event = LineEvent::LogMigrated { from: self.from.clone(), size: head.size, root };
        self.log.line_event(event).map(Some).map_err(refused)
    }
}
