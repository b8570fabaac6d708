//! Copies in a folder: a share, a second disk, a stick.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{LONGEST_NOTE, name, size_in, unread, unwritten};
use crate::adapters::durable;
use crate::domain::{Failure, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint};

/// A share whose server is gone answers nothing for minutes.
const WITHIN: Duration = Duration::from_secs(15);

/// A folder that exists: it is never made here, because a share that is not mounted would come to be a
/// folder on the log's own disk.
pub struct Directory {
    path: PathBuf,
    name: String,
    data_dir: PathBuf,
    /// One call at a time: those that hang are one thread, not one a try.
    turn: Arc<Semaphore>,
}

impl Directory {
    pub fn new(path: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { name: path.display().to_string(), path, data_dir: data_dir.into(), turn: Arc::new(Semaphore::new(1)) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", WITHIN.as_secs()));
        let turn = timeout(WITHIN, self.turn.clone().acquire_owned()).await.map_err(|_| late())?;
        let path = self.path.clone();
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&path);
            drop(turn);
            result
        });
        timeout(WITHIN, done).await.map_err(|_| late())?.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

#[async_trait::async_trait]
impl CheckpointPlace for Directory {
    fn name(&self) -> &str {
        &self.name
    }

    async fn is_elsewhere(&self) -> Result<bool, Failure> {
        let data_dir = self.data_dir.clone();
        let devices = self.blocking(move |path| Ok((path.metadata()?.dev(), data_dir.metadata()?.dev()))).await;
        devices.map(|(here, log)| here != log).map_err(|error| unread(&self.name, error))
    }

    async fn put(&self, station: &StationName, checkpoint: &StoredCheckpoint) -> Result<(), Failure> {
        let (station, size, note) = (station.clone(), checkpoint.size, checkpoint.note.clone());
        let kept = self.blocking(move |path| {
            let first = path.join(name(&station, size, None));
            if keeps(&first, &note)? {
                return Ok(());
            }
            let beside = path.join(name(&station, size, Some(&note)));
            match keeps(&beside, &note)? {
                true => Ok(()),
                false => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} was altered", beside.display()))),
            }
        });
        kept.await.map_err(|error| unwritten(&self.name, error))
    }

    async fn newest(&self, _log: u64, count: usize) -> Result<Vec<String>, Failure> {
        let read = self.blocking(move |path| {
            let mut names = Vec::new();
            for entry in path.read_dir()? {
                let name = entry?.file_name();
                names.extend(name.to_str().and_then(size_in).map(|size| (size, name)));
            }
            names.sort_unstable_by(|a, b| b.cmp(a));
            names.truncate(count);
            names.iter().map(|(_, name)| read(&path.join(name))).collect::<io::Result<Vec<_>>>()
        });
        read.await.map_err(|error| unread(&self.name, error))
    }
}

/// Does `path` hold `note` now? `false`: it holds something else.
fn keeps(path: &Path, note: &str) -> io::Result<bool> {
    match durable::create(path, note.as_bytes(), 0o644) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read(path)? == note),
        Err(error) => Err(error),
    }
}

/// What is no text is no note: it may be read as one that nobody signed.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_NOTE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
