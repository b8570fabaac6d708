//! A place that lacks the newest copy that was kept there is not mounted, or was emptied: it would say too little
//! against a log that was put back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{unread, unwritten};
use crate::adapters::durable;
use crate::domain::{Failure, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint, Wanted};

/// A line a log and place: `<size> <place>\t<origin>`, where the size is that of the newest copy.
const FILE: &str = "copies-kept";

/// Remembers, beside the log, what this station has put into a place.
pub struct Remembered<P> {
    place: P,
    memory: Memory,
}

impl<P: CheckpointPlace> Remembered<P> {
    fn line(&self, origin: &str) -> String {
        format!("{}\t{origin}", self.place.name())
    }
}

/// The places of one data directory.
#[derive(Clone)]
pub struct Memory {
    file: PathBuf,
    /// Several places share the file.
    writing: Arc<Mutex<()>>,
}

impl Memory {
    pub fn of(data_dir: &Path) -> Self {
        Self { file: data_dir.join(FILE), writing: Arc::default() }
    }

    pub fn place<P: CheckpointPlace>(&self, place: P) -> Remembered<P> {
        Remembered { place, memory: self.clone() }
    }

    fn remember(&self, line: String, size: u64) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = read(&self.file)?;
        let newest = known.entry(line).or_default();
        if *newest >= size {
            return Ok(());
        }
        *newest = size;
        let text: String = known.iter().map(|(line, size)| format!("{size} {line}\n")).collect();
        durable::replace(&self.file, text.as_bytes(), 0o600)
    }

    /// The disk may take its time, and the runtime serves the lanes.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Memory) -> io::Result<T> + Send + 'static,
    ) -> Result<T, String> {
        let memory = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&memory)).await;
        done.unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| format!("{}: {error}", self.file.display()))
    }
}

#[async_trait::async_trait]
impl<P: CheckpointPlace> CheckpointPlace for Remembered<P> {
    fn name(&self) -> &str {
        self.place.name()
    }

    async fn is_elsewhere(&self) -> Result<bool, Failure> {
        self.place.is_elsewhere().await
    }

    async fn put(&self, station: &StationName, checkpoint: &StoredCheckpoint) -> Result<(), Failure> {
        self.place.put(station, checkpoint).await?;
        let (line, size) = (self.line(checkpoint.note.lines().next().unwrap_or_default()), checkpoint.size);
        let kept = self.memory.blocking(move |memory| memory.remember(line, size)).await;
        kept.map_err(|error| unwritten(self.name(), error))
    }

    async fn newest(&self, wanted: &Wanted) -> Result<Vec<String>, Failure> {
        let (origin, newest) = (wanted.origin.to_string(), Arc::new(AtomicU64::new(0)));
        let (seen, counts, own) = (newest.clone(), wanted.counts.clone(), origin.clone());
        // Whoever signed it: what it is worth, others judge.
        let counts = Arc::new(move |note: &str| {
            let mut lines = note.lines();
            let size = lines.next().filter(|name| *name == own).and_then(|_| lines.next()?.parse::<u64>().ok());
            seen.fetch_max(size.unwrap_or_default(), Ordering::Relaxed);
            counts(note)
        });
        let notes = self.place.newest(&Wanted { counts, ..wanted.clone() }).await?;
        let known = self.memory.blocking(|memory| read(&memory.file)).await;
        let known = known.map_err(|error| unread(self.name(), error))?;
        let Some(kept) = known.get(&self.line(&origin)).copied() else { return Ok(notes) };
        match newest.load(Ordering::Relaxed) {
            newest if newest >= kept => Ok(notes),
            newest => {
                let there = if newest == 0 { "none".to_owned() } else { format!("the newest is of {newest}") };
                let cause = format!("a copy of {kept} events was kept there, and {there}: is it mounted?");
                Err(unread(self.name(), cause))
            }
        }
    }
}

fn read(file: &Path) -> io::Result<BTreeMap<String, u64>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error),
    };
    let lines = text.lines().map(|line| {
        let (size, line) = line.split_once(' ')?;
        Some((line.to_owned(), size.parse().ok()?))
    });
    let damaged = || io::Error::other("it was altered or damaged; where you know why, delete it");
    lines.collect::<Option<_>>().ok_or_else(damaged)
}
