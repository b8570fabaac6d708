//! The log as a whole: verified, copied, put back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{connection, keep_practice_apart};
use crate::adapters::mark::MarkFile;
use crate::adapters::postgres;
use crate::adapters::sqlite::{self, StationLock};
use crate::adapters::store::LogVerifier;
use crate::adapters::system::{SystemClock, SystemEntropy};
use crate::audit::TreeHead;
use crate::audit::note::SignedCheckpoint;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::ports::{AuditStore, HighWaterMark as _, History as _, People, Verifier, Witness};
use crate::runner::LogWriter;

/// Reads the whole log again, without writing to it; what it notes meanwhile goes to the data directory.
/// `archives`: those that are at hand besides the ones in their folder.
pub fn verifier(config: &Config, data_dir: &Path, archives: &[PathBuf]) -> Result<Box<dyn Verifier>, Failure> {
    let mut verifier = match &config.log.postgres {
        Some(database) => postgres::verifier(connection(config, data_dir, database)?, data_dir)?,
        None => sqlite::verifier(&data_dir.join(sqlite::FILE), data_dir)?,
    };
    for archive in archives {
        verifier.add_archive(archive)?;
    }
    Ok(Box::new(verifier))
}

fn add_archives(verifier: &mut LogVerifier, data_dir: &Path) {
    for entry in std::fs::read_dir(archives_of(data_dir)).into_iter().flatten().filter_map(Result::ok) {
        // What is no archive is passed over.
        let _ = verifier.add_archive(&entry.path());
    }
}

/// The newest checkpoint of this log in every place that is on another disk or in a bucket, and what
/// could not be read.
pub async fn witnesses(config: &Config, data_dir: &Path) -> Result<(Vec<Witness>, Vec<Failure>), Failure> {
    let store = match &config.log.postgres {
        Some(database) => postgres::open_reader(connection(config, data_dir, database)?)?,
        None => sqlite::open_reader(&data_dir.join(sqlite::FILE))?,
    };
    let (size, origin) = (store.tree_head().await?.size, store.origin().await?);
    let (mut found, mut unread) = (Vec::new(), Vec::new());
    for place in super::places(config, data_dir, super::bucket(config).await?) {
        let notes = async {
            match place.is_elsewhere().await? {
                true => place.newest(size, NEWEST).await,
                false => Ok(Vec::new()),
            }
        };
        match notes.await {
            // Whatever else lies there is of no log, or of another one.
            Ok(notes) => found.extend(notes.iter().filter_map(|note| {
                let checkpoint: SignedCheckpoint = note.parse().ok()?;
                let ours = origin.as_deref() == Some(checkpoint.checkpoint().origin().as_str());
                ours.then(|| Witness { place: place.name().to_owned(), checkpoint })
            })),
            Err(failure) => unread.push(failure),
        }
    }
    Ok((found, unread))
}

/// How far this station has seen its log come.
pub async fn high_water_mark(data_dir: &Path) -> Result<Option<TreeHead>, Failure> {
    MarkFile::of(data_dir).read().await
}

/// So many of a place's notes are looked at: each station has its own.
const NEWEST: usize = 32;

/// Where archives go unless told otherwise, and where they are looked for.
pub fn archives_of(data_dir: &Path) -> PathBuf {
    data_dir.join(sqlite::ARCHIVES)
}

/// A copy of the log as it is now, in a new file: its head and the file's hash. A plant's log becomes a
/// file that a station could work with, and that `audit migrate` takes back.
pub fn back_up(config: &Config, data_dir: &Path, to: &Path) -> Result<(TreeHead, Sha256), Failure> {
    let copy = match &config.log.postgres {
        Some(database) => {
            let from = connection(config, data_dir, database)?;
            let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "the copy ended in a defect");
            // The client's own runtime must not sit inside another one.
            std::thread::scope(|scope| {
                let copying = || sqlite::back_up_from(postgres::source(from)?.as_mut(), to);
                scope.spawn(copying).join().map_err(ended)?
            })?
        }
        None => sqlite::back_up(&data_dir.join(sqlite::FILE), to)?,
    };
    Ok((copy.head, copy.file))
}

/// Verifies a copy of the log that is not in its place.
pub fn verifier_of_copy(copy: &Path, data_dir: &Path) -> Result<Box<dyn Verifier>, Failure> {
    let folder = copy.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut verifier = sqlite::verifier(copy, folder)?;
    add_archives(&mut verifier, data_dir);
    Ok(Box::new(verifier))
}

/// A backup on its way into the log's place.
pub struct Restoring {
    pub log: LogWriter,
    pub people: Arc<dyn People>,
    pub head: TreeHead,
    pub file: Sha256,
    incoming: PathBuf,
    path: PathBuf,
    /// Nobody drives the station meanwhile.
    _lock: StationLock,
}

/// Copies `backup` beside the station's log and opens the copy.
pub fn restore(config: &Config, data_dir: &Path, backup: &Path) -> Result<Restoring, Failure> {
    if config.log.postgres.is_some() {
        let cause =
            "the log is in PostgreSQL: `lineseal audit migrate --from BACKUP` fills an empty database with a backup";
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    }
    keep_practice_apart(config, data_dir)?;
    let lock = StationLock::take(data_dir)?;
    let path = data_dir.join(sqlite::FILE);
    let (incoming, copy) = sqlite::bring_in(backup, &path)?;
    let store = Arc::new(sqlite::open(&incoming)?);
    let log = LogWriter {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        station: config.station.name.clone(),
        operator: None,
    };
    let (head, file) = (copy.head, copy.file);
    Ok(Restoring { log, people: store, head, file, incoming, path, _lock: lock })
}

impl Restoring {
    /// Puts it in the log's place; returned is where the log that was there is kept.
    pub fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Restoring { log, people, head, file, incoming, path, _lock } = self;
        drop((log, people));
        sqlite::take_in(&incoming, &path, &sqlite::Copy { head, file })
    }
}

/// How many events the log of a data directory has; `None`: there is no log, or it cannot be read.
pub async fn size_of_log(data_dir: &Path) -> Option<u64> {
    let store = sqlite::open_reader(&data_dir.join(sqlite::FILE)).ok()?;
    Some(AuditStore::head(&store).await.ok()?.size)
}
