//! Two stations never drive one data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::open;
use crate::adapters::store::error::StoreError;
use crate::domain::Failure;

/// Held by the station that drives a data directory, for as long as this value lives; the system
/// releases it even after a kill. Commands that only look, or write between the station's
/// transactions, don't take it.
#[derive(Debug)]
pub struct StationLock {
    /// The folder's own `flock` is the lock: a file in it can be deleted, and another one made and locked.
    _folder: File,
    /// An older program knows this one's alone.
    _named: File,
}

/// Asking whether the lock is held takes it for a moment.
const ASKED: Duration = Duration::from_millis(50);

impl StationLock {
    /// Who holds the lock, for the reader of an error only.
    pub const FILE: &str = "station.lock";

    /// Takes the lock of `data_dir` (created when absent), or fails at once: L-508 when another
    /// process holds it, with that process's id as the argument `pid` where it is known; L-503 or
    /// L-501 when the file cannot be written.
    pub fn take(data_dir: &Path) -> Result<StationLock, Failure> {
        open::create_directory(data_dir)?;
        let path = data_dir.join(Self::FILE);
        let failed = |doing, source| StoreError::File { doing, path: path.clone(), source };
        let folder = File::open(data_dir).map_err(|source| failed("open the folder of", source))?;
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut named = open.map_err(|source| failed("open the station's lock", source))?;
        for lock in [&folder, &named] {
            if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
                // Perhaps somebody only asked whether it is held.
                std::thread::sleep(ASKED);
            }
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held(&path)),
                Err(TryLockError::Error(source)) => return Err(failed("take the station's lock", source).into()),
            }
        }
        // For the reader of an error only; the lock itself does not depend on it.
        named
            .set_len(0)
            .and_then(|()| write!(named, "{}", std::process::id()))
            .map_err(|source| failed("write the station's lock", source))?;
        Ok(StationLock { _folder: folder, _named: named })
    }

    /// Does a station work on `data_dir`? Nothing is made by asking.
    pub fn is_held(data_dir: &Path) -> bool {
        let folder = File::open(data_dir);
        folder.is_ok_and(|folder| matches!(folder.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn held(path: &Path) -> Failure {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(20).read_to_string(&mut text));
    let pid = read.ok().and_then(|_| text.trim().parse::<u32>().ok());
    let holder = pid.map(|pid| format!(" ({pid})")).unwrap_or_default();
    let twice = format!("{} is held by another process{holder}", path.display());
    let failure = Failure::from(StoreError::Twice(twice));
    match pid {
        Some(pid) => failure.with("pid", pid),
        None => failure,
    }
}
