//! Is the file that is written the one that anybody would find? A database that was deleted, moved or
//! replaced goes on taking transactions, which nobody has ever after.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::backup::beside;
use crate::adapters::store::error::StoreError;

/// Device and inode.
type Inode = (u64, u64);

pub(super) struct Place {
    path: PathBuf,
    file: Option<Inode>,
    /// The write-ahead log and its index: there from the first transaction on, for as long as anybody has the
    /// database open.
    beside: [(PathBuf, Option<Inode>); 2],
}

impl Place {
    /// Of a database that was just opened.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        let beside = ["-wal", "-shm"].map(|suffix| (beside(path, suffix), None));
        Ok(Self { path: path.to_owned(), file: inode(path)?, beside })
    }

    /// By their names: to open a file of SQLite's and close it again would give up the locks on it.
    pub fn stands(&mut self) -> Result<(), StoreError> {
        if inode(&self.path)? != self.file {
            return Err(StoreError::Moved { path: self.path.clone() });
        }
        for (path, known) in &mut self.beside {
            let now = inode(path)?;
            if known.is_some() && *known != now {
                return Err(StoreError::Moved { path: path.clone() });
            }
            *known = now;
        }
        Ok(())
    }
}

fn inode(path: &Path) -> Result<Option<Inode>, StoreError> {
    match std::fs::metadata(path) {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StoreError::File { doing: "look for it", path: path.to_owned(), source }),
    }
}
