//! The SQLite store: the contract of every store, and what only a file can suffer.

#[path = "sqlite_archive.rs"]
pub mod archive;
#[path = "sqlite_crash.rs"]
mod crash;
#[path = "sqlite_file.rs"]
mod file;
#[path = "sqlite_log.rs"]
mod log;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::audit::{LeafHash, TreeHead, TreeState};
use rusqlite::Connection;

use super::store_contract;

crate::store_contract!(Fresh::new());

/// An empty data directory of its own.
struct Fresh {
    directory: tempfile::TempDir,
}

impl Fresh {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(sqlite::FILE)
    }

    fn store(&self) -> LogStore {
        sqlite::open(&self.path()).unwrap()
    }

    /// The file without the store around it, as the `sqlite3` client would open it.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

#[async_trait::async_trait]
impl store_contract::Peer for Fresh {
    async fn open(&self) -> Arc<dyn store_contract::Store> {
        Arc::new(self.store())
    }
}

/// The tree over the stored bytes, computed from nothing but them; their numbers have no gap and
/// every stored hash is right.
fn recomputed(path: &Path) -> TreeHead {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection.prepare("SELECT seq, bytes, leaf_hash FROM events ORDER BY seq").unwrap();
    let mut rows = statement.query([]).unwrap();
    let mut tree = TreeState::default();
    while let Some(row) = rows.next().unwrap() {
        let bytes: Vec<u8> = row.get(1).unwrap();
        assert_eq!(row.get::<_, i64>(0).unwrap(), i64::try_from(tree.size()).unwrap(), "a gap");
        let leaf = LeafHash::of(&bytes);
        assert_eq!(row.get::<_, [u8; 32]>(2).unwrap(), leaf.0);
        tree.append(leaf);
    }
    tree.head()
}
