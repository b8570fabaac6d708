//! Files that are there whole or not at all, whatever the power does: written beside their place,
//! synced, moved, and the directory synced, too.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// Puts `bytes` in the place of whatever `path` holds.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = Beside::write(path, bytes, mode)?;
    std::fs::rename(&beside.path, path)?;
    sync_directory(path)
}

/// Makes `path`; `AlreadyExists` when it is there.
pub(super) fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let beside = Beside::write(path, bytes, mode)?;
    match renameat_with(CWD, &beside.path, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // Not every file system knows the flag (rename(2)); a hard link replaces nothing, either.
        Err(Errno::INVAL | Errno::NOSYS) => match std::fs::hard_link(&beside.path, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // And a share may know neither. Names differ between stations, so the moment between
                // looking and moving is nobody else's.
                if path.try_exists()? {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                std::fs::rename(&beside.path, path)?;
            }
            linked => linked?,
        },
        Err(error) => return Err(error.into()),
    }
    sync_directory(path)
}

/// Makes what was done to `path`'s name durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::open(directory)?.sync_all() {
        // Network shares may have nothing to sync in a directory (fsync(2): EINVAL).
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// A synced file beside its place, removed unless it was moved there.
struct Beside {
    path: PathBuf,
}

impl Beside {
    fn write(place: &Path, bytes: &[u8], mode: u32) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = place.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = Self { path: place.with_file_name(format!(".{name}.{}.{number}.tmp", std::process::id())) };
        // A process of this number that died here left it.
        match std::fs::remove_file(&beside.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside.path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(beside)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Gone already when it was moved; left over it hurts nobody.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_replaces_nothing_and_what_replaces_leaves_nothing_beside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        create(&path, b"first", 0o600).unwrap();
        assert_eq!(create(&path, b"second", 0o600).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        replace(&path, b"third", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"third");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
