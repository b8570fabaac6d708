//! Copies in a folder: a share, a second disk, a stick.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{LONGEST_NOTE, LOOKED, flooded, name, size_in, tag, unread, unwritten};
use crate::adapters::durable;
use crate::domain::{Failure, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint, Wanted};

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
            let first = path.join(name(&station, size, &note, false));
            if keeps(&first, &note)? {
                return Ok(());
            }
            let beside = path.join(name(&station, size, &note, true));
            match keeps(&beside, &note)? {
                true => Ok(()),
                false => Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} was altered", beside.display()))),
            }
        });
        kept.await.map_err(|error| unwritten(&self.name, error))
    }

    async fn newest(&self, wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let Wanted { origin, count, counts, .. } = wanted.clone();
        let read = self.blocking(move |path| {
            let log = tag(origin.as_str());
            let (mut names, mut more) = (BinaryHeap::new(), false);
            for entry in path.read_dir()? {
                let name = entry?.file_name();
                let Some(size) = name.to_str().and_then(|name| size_in(name, &log)) else { continue };
                names.push(Reverse((size, name)));
                if names.len() > LOOKED {
                    names.pop();
                    more = true;
                }
            }
            let mut notes = Vec::new();
            for Reverse((_, name)) in names.into_sorted_vec() {
                let note = read(&path.join(name))?;
                if counts(&note) {
                    notes.push(note);
                }
                if notes.len() == count {
                    return Ok(notes);
                }
            }
            if more { Err(io::Error::other(flooded())) } else { Ok(notes) }
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
    // A pipe would be waited for.
    if !path.metadata()?.is_file() {
        return Ok(String::new());
    }
    File::open(path)?.take(LONGEST_NOTE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
