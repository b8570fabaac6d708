//! Opening the database: the file and its rights, what makes it durable, and its schema.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::place::Place;
use super::session::SqliteSession;
use crate::adapters::store::archive::Archives;
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::{Session as _, number};
use crate::adapters::store::{log, project};

mod schema {
    refinery::embed_migrations!("migrations/sqlite");
}

/// The schema version that this program knows.
pub(super) static NEWEST: LazyLock<i64> = LazyLock::new(|| {
    let runner = schema::migrations::runner();
    runner.get_migrations().iter().map(|migration| i64::from(migration.version())).max().unwrap_or(0)
});

/// What bounds the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long one transaction waits for another process's before it fails with L-504.
    pub busy: Duration,
    /// The size the database file may reach, in pages of 4096 bytes; beyond it writes fail with
    /// L-502. `None`: the disk's.
    pub max_pages: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { busy: Duration::from_secs(5), max_pages: None }
    }
}

/// How a connection keeps its promises, as the database itself reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durability {
    /// `wal`.
    pub journal_mode: String,
    /// 2 is FULL: the log is synced at every commit.
    pub synchronous: i64,
    pub foreign_keys: bool,
    pub busy: Duration,
}

/// How long the write-ahead log may get before a commit folds it into the file, and its claim waits for
/// that. SQLite's own 1000 pages would be one claim in eighty; reading 32 MB at start after a power cut
/// takes a few hundredths of a second.
const WAL_PAGES: i64 = 8000;

/// A connection that writes: the file is created when it is absent, brought to this program's schema
/// when it is older.
pub(super) fn writer(path: &Path, limits: Limits) -> Result<SqliteSession, StoreError> {
    let directory = directory_of(path);
    create_directory(&directory)?;
    create_file(path, &directory)?;
    // SQLite opens what it may not write as read-only, and would only say so at the first append.
    if rustix::fs::access(&directory, rustix::fs::Access::WRITE_OK).is_err() {
        return Err(StoreError::ReadOnly { path: directory });
    }
    // Two processes that start at once must not both migrate, nor switch the journal's mode.
    let _turn = take_turn(&directory, limits.busy)?;
    // Before anything is written by this name.
    if std::fs::metadata(path).is_ok_and(|file| file.nlink() > 1) {
        return Err(StoreError::Linked { path: path.to_owned() });
    }
    let connection = Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    configure(&connection, limits)?;
    if connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Corrupt(format!("the file system allows no write-ahead log: journal mode {mode}")));
    }
    connection.pragma_update_and_check(None, "wal_autocheckpoint", WAL_PAGES, |_| Ok(()))?;
    if let Some(pages) = limits.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    migrate(connection, path)
}

/// A connection that only reads. The file must exist and be of this program's schema.
pub(super) fn reader(path: &Path, limits: Limits) -> Result<SqliteSession, StoreError> {
    // Asked here, because SQLite's own answer does not say why; and not by opening the file, since closing it again
    // would give up the locks of a writer of this process, and the next program beside it would take its log away.
    if let Err(error) = rustix::fs::access(path, rustix::fs::Access::READ_OK) {
        return Err(StoreError::File { doing: "open the log", path: path.to_owned(), source: error.into() });
    }
    // A pipe would be waited for for ever.
    if !std::fs::metadata(path).is_ok_and(|file| file.is_file()) {
        return Err(StoreError::Corrupt(format!("{} is no file", path.display())));
    }
    let connection = match is_immutable(path) {
        true => {
            let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(immutable(path), flags(access))?
        }
        false => Connection::open_with_flags(path, flags(OpenFlags::SQLITE_OPEN_READ_ONLY))?,
    };
    configure(&connection, limits)?;
    connection.pragma_update(None, "query_only", true)?;
    match schema_state(&connection)? {
        SchemaState::Current => Ok(SqliteSession::new(connection, Place::of(path)?, archives(path))),
        SchemaState::Behind => Err(StoreError::Older),
        SchemaState::Empty => Err(StoreError::Corrupt(format!("there is nothing in {}", path.display()))),
    }
}

/// On a disk that nobody can write to, and whole: SQLite would want to make an index of a write-ahead log
/// that is not there.
fn is_immutable(path: &Path) -> bool {
    let disk = rustix::fs::statvfs(path).is_ok_and(|disk| disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    disk && super::backup::left_beside(path).is_none()
}

fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut uri = "file://".to_owned();
    for byte in absolute.as_os_str().as_bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            // A string takes all that is written to it.
            byte => drop(write!(uri, "%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// What is found by other ways than the derived tables' own keys is of no use in a scratch database.
const SEARCHED: &str = "DROP INDEX runs_unfinished; DROP INDEX runs_held; DROP INDEX runs_sealed; DROP INDEX runs_unit;
    DROP INDEX runs_batch; DROP INDEX runs_begun; DROP INDEX labels_unsettled;
    DROP INDEX records_serial; DROP INDEX records_thing; DROP INDEX records_fingerprint;
    DROP INDEX records_uid; DROP INDEX records_operator; DROP INDEX records_batch; DROP INDEX records_reason;
    DROP INDEX records_verdict; DROP INDEX records_started; DROP TABLE record_words;";

/// An empty database in a folder of its own within `folder`.
pub(super) fn scratch(folder: &Path) -> Result<SqliteSession, StoreError> {
    let failed = |source| StoreError::File { doing: "make a scratch database", path: folder.to_owned(), source };
    let own = tempfile::Builder::new().prefix(".lineseal-verify-").tempdir_in(folder).map_err(failed)?;
    let mut connection = Connection::open(own.path().join("scratch.db"))?;
    connection.set_prepared_statement_cache_capacity(192);
    connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
    connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    // Kibibytes: what is constant about the memory of a verification.
    connection.pragma_update(None, "cache_size", -65_536)?;
    schema::migrations::runner().run(&mut connection)?;
    connection.execute_batch(SEARCHED)?;
    connection.pragma_update(None, "user_version", project::PROJECTION)?;
    SqliteSession::scratch(connection, own)
}

pub(super) fn durability(connection: &Connection) -> Result<Durability, StoreError> {
    let milliseconds: u64 = number(connection.pragma_query_value(None, "busy_timeout", |row| row.get(0))?)?;
    Ok(Durability {
        journal_mode: connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        synchronous: connection.pragma_query_value(None, "synchronous", |row| row.get(0))?,
        foreign_keys: connection.pragma_query_value(None, "foreign_keys", |row| row.get(0))?,
        busy: Duration::from_millis(milliseconds),
    })
}

fn flags(access: OpenFlags) -> OpenFlags {
    access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_EXRESCODE
}

fn configure(connection: &Connection, limits: Limits) -> Result<(), StoreError> {
    connection.busy_timeout(limits.busy)?;
    // FULL: in WAL mode, NORMAL would lose the last commits in a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Else a forgotten person's name stays in the file, in space that is only marked as free.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(192);
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum SchemaState {
    Current,
    /// Tables are missing, or the projections are of an older meaning.
    Behind,
    /// Nothing was ever put into it.
    Empty,
}

/// Compares what was applied with what this program embeds, by version, name and checksum.
fn schema_state(connection: &Connection) -> Result<SchemaState, StoreError> {
    let runner = schema::migrations::runner();
    let known = runner.get_migrations();
    let newest = *NEWEST;
    let exists: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'refinery_schema_history')",
        [],
        |row| row.get(0),
    )?;
    if !exists {
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        return match tables {
            0 => Ok(SchemaState::Empty),
            _ => Err(StoreError::Corrupt("the file is a database, but not Lineseal's".to_owned())),
        };
    }
    let mut statement =
        connection.prepare("SELECT version, name, applied_on, checksum FROM refinery_schema_history")?;
    let mut rows = statement.query([])?;
    let mut applied = 0;
    while let Some(row) = rows.next()? {
        let (version, name): (i64, String) = (row.get(0)?, row.get(1)?);
        let (applied_on, checksum): (String, String) = (row.get(2)?, row.get(3)?);
        if version > newest {
            return Err(StoreError::Newer { what: "schema version", found: version, known: newest });
        }
        let ours = known.iter().any(|migration| {
            i64::from(migration.version()) == version
                && migration.name() == name
                && migration.checksum().to_string() == checksum
        });
        if !ours || applied_on.parse::<jiff::Timestamp>().is_err() {
            return Err(StoreError::Corrupt(format!("schema version {version} ({name}) is not this program's")));
        }
        applied += 1;
    }
    let derived: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if derived > project::PROJECTION {
        return Err(StoreError::Newer { what: "projection", found: derived, known: project::PROJECTION });
    }
    if applied < known.len() && foreign_schema(connection)?.is_none() {
        // It has what those versions made.
        let cause =
            format!("{applied} of its {} schema versions are on record, and it is laid out by all", known.len());
        return Err(StoreError::Corrupt(cause));
    }
    let current = applied == known.len() && derived == project::PROJECTION;
    Ok(if current { SchemaState::Current } else { SchemaState::Behind })
}

/// Everything that a database of this program's schema has, by kind and name, as it was written.
fn schema_of(connection: &Connection) -> Result<BTreeMap<(String, String), String>, StoreError> {
    let mut statement = connection.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An empty log that nothing else sees.
pub(super) fn in_memory() -> Result<Connection, StoreError> {
    let mut fresh = Connection::open_in_memory()?;
    schema::migrations::runner().run(&mut fresh)?;
    Ok(fresh)
}

/// What ANALYZE makes (SQLite, file format, 2.6.3 to 2.6.5).
const STATISTICS: [&str; 4] = ["sqlite_stat1", "sqlite_stat2", "sqlite_stat3", "sqlite_stat4"];

/// A trigger or an index more, or a guard less, changes what a claim means, and no event tells of it.
pub(super) fn foreign_schema(connection: &Connection) -> Result<Option<String>, StoreError> {
    let fresh = in_memory()?;
    let (ours, theirs) = (schema_of(&fresh)?, schema_of(connection)?);
    let missing = ours.iter().find(|(key, sql)| theirs.get(*key) != Some(*sql));
    // SQLite's own statistics change no answer, and nobody else can make tables of these names.
    let statistics = |(kind, name): &(String, String)| kind == "table" && STATISTICS.contains(&name.as_str());
    let extra = theirs.iter().find(|(key, _)| !ours.contains_key(*key) && !statistics(key));
    Ok(match (missing, extra) {
        (Some(((kind, name), _)), _) => Some(format!("{kind} {name} is missing or another one")),
        (None, Some(((kind, name), _))) => Some(format!("{kind} {name} is none of this program's")),
        (None, None) => None,
    })
}

fn migrate(mut connection: Connection, path: &Path) -> Result<SqliteSession, StoreError> {
    if schema_state(&connection)? == SchemaState::Current {
        refuse_foreign_schema(&connection)?;
        return Ok(SqliteSession::new(connection, Place::of(path)?, archives(path)));
    }
    schema::migrations::runner().run(&mut connection)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut session = SqliteSession::new(connection, Place::of(path)?, archives(path));
    let derived = log::fill_hashes(&mut session).and_then(|()| project::rebuild(&mut session));
    // Whoever says that the file is an older program's has it looked at all the same.
    let derived = derived.and_then(|()| refuse_foreign_schema(session.connection()));
    match derived {
        Ok(()) => session.commit()?,
        Err(error) => {
            session.roll_back();
            return Err(error);
        }
    }
    Ok(session)
}

fn refuse_foreign_schema(connection: &Connection) -> Result<(), StoreError> {
    match foreign_schema(connection)? {
        Some(foreign) => Err(StoreError::Corrupt(format!("the database is not as this program made it: {foreign}"))),
        None => Ok(()),
    }
}

/// Archives are looked for beside the log.
fn archives(path: &Path) -> Archives {
    Archives::in_folder(directory_of(path).join(super::ARCHIVES))
}

pub(super) fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The data directory, which is the station's alone.
pub(super) fn create_directory(directory: &Path) -> Result<(), StoreError> {
    if directory.is_dir() {
        return refuse_shared(directory);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| StoreError::File {
        doing: "create the data directory",
        path: directory.to_owned(),
        source,
    })?;
    sync_directory(&directory_of(directory))
}

/// Whoever may write to the directory can put another log, or another key, in the place of ours.
fn refuse_shared(directory: &Path) -> Result<(), StoreError> {
    let read = |source| StoreError::File { doing: "read the mode of", path: directory.to_owned(), source };
    let metadata = std::fs::metadata(directory).map_err(read)?;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let shared = |who: String| Err(StoreError::Shared { path: directory.to_owned(), who });
    if metadata.mode() & 0o002 != 0 {
        return shared("everybody".to_owned());
    }
    if metadata.mode() & 0o020 != 0 && metadata.gid() != group.as_raw() {
        return shared(format!("group {}", metadata.gid()));
    }
    if metadata.uid() != user.as_raw() && !user.is_root() && metadata.uid() != 0 {
        return shared(format!("user {}", metadata.uid()));
    }
    Ok(())
}

/// The file belongs to the station alone; SQLite gives its WAL and index the same mode.
fn create_file(path: &Path, directory: &Path) -> Result<(), StoreError> {
    let failed = |doing| move |source| StoreError::File { doing, path: path.to_owned(), source };
    if !path.exists()
        && let Some(rest) = super::backup::left_beside(path)
    {
        // SQLite would delete it as nobody's.
        return Err(StoreError::Left { path: path.to_owned(), rest });
    }
    match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => sync_directory(directory),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed("open the log"))?;
            let mode = file.metadata().map_err(failed("read the mode of the log"))?.permissions().mode();
            if mode & 0o077 != 0 {
                let narrowed = Permissions::from_mode(mode & 0o700);
                file.set_permissions(narrowed).map_err(failed("keep others out of the log"))?;
            }
            Ok(())
        }
        Err(error) => Err(failed("create the log")(error)),
    }
}

/// A name is durable only once its directory is.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(|source| StoreError::File {
        doing: "sync the directory",
        path: directory.to_owned(),
        source,
    })
}

/// The folder's own lock is the station's ([`super::StationLock`]).
const TURN: &str = "opening.lock";

/// An advisory lock that is held while opening; waits no longer than `patience`.
fn take_turn(directory: &Path, patience: Duration) -> Result<File, StoreError> {
    let path = directory.join(TURN);
    let failed = |source| StoreError::File { doing: "lock", path: path.clone(), source };
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let handle = open.map_err(failed)?;
    let start = Instant::now();
    loop {
        match handle.try_lock() {
            Ok(()) => return Ok(handle),
            Err(std::fs::TryLockError::WouldBlock) if start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(StoreError::Held { path, holder: String::new() });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}
