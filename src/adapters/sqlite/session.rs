//! SQLite's side of the store.

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::open::NEWEST;
use super::place::Place;
use crate::adapters::store::archive::Archives;
use crate::adapters::store::error::StoreError;
use crate::adapters::store::keyed_sum::KeyedSum;
use crate::adapters::store::session::{EachRow, Mode, Row, Session, Sql, Value, stored, values};
use crate::adapters::store::{project, sql};
use crate::audit::Node;

pub(super) struct SqliteSession {
    connection: Connection,
    /// None: it is gone with the session anyway.
    place: Option<Place>,
    archives: Archives,
    /// The open transaction's pages shall not stay in the write-ahead log.
    scrub: bool,
    /// Some: what tells of runs is summed up, not stored.
    told: Option<KeyedSum>,
    /// Removed with the session.
    _folder: Option<tempfile::TempDir>,
}

impl SqliteSession {
    pub(super) fn new(connection: Connection, place: Place, archives: Archives) -> Self {
        Self { connection, place: Some(place), archives, scrub: false, told: None, _folder: None }
    }

    /// A database that is gone with the session. A row for nearly every event would be most of it: of those it
    /// keeps a sum.
    pub(super) fn scratch(connection: Connection, folder: tempfile::TempDir) -> Result<Self, StoreError> {
        let (archives, told) = (Archives::default(), Some(KeyedSum::new()?));
        Ok(Self { connection, place: None, archives, scrub: false, told, _folder: Some(folder) })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The file itself keeps nothing that was deleted (`secure_delete`), once the log's pages are in it. What was
    /// deleted is so, whatever comes of this.
    fn empty_write_ahead_log(&self) {
        let emptied = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        match emptied {
            Ok(0) => {}
            Ok(_) => {
                tracing::error!("what was forgotten stays in the write-ahead log, which others read, until it is full")
            }
            Err(error) => tracing::error!(%error, "what was forgotten stays in the write-ahead log until it is full"),
        }
    }

    /// A statement that every transaction uses.
    fn run(&self, sql: &'static str) -> Result<(), StoreError> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

const LAYOUT: &str = "SELECT (SELECT max(version) FROM refinery_schema_history), user_version FROM pragma_user_version";

impl Drop for SqliteSession {
    /// Whoever closes last folds the write-ahead log into the file: no longer what this connection knows of it,
    /// where another program has begun one of its own meanwhile.
    fn drop(&mut self) {
        if let Some(Err(moved)) = self.place.as_mut().map(Place::stands)
            && let Err(error) = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        {
            tracing::error!(%moved, %error, "the write-ahead log is folded into the file all the same");
        }
    }
}

impl Session for SqliteSession {
    fn begin(&mut self, mode: Mode) -> Result<(), StoreError> {
        match mode {
            Mode::Read => self.run("BEGIN DEFERRED")?,
            Mode::Write => self.run("BEGIN IMMEDIATE")?,
        }
        if let Some(place) = &mut self.place {
            place.stands()?;
        }
        // In the very transaction that is about to rely on it.
        let (version, projection) =
            self.connection.prepare_cached(LAYOUT)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        project::refuse_another_layout(version, *NEWEST, projection)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT")?;
        if std::mem::take(&mut self.scrub) {
            self.empty_write_ahead_log();
        }
        Ok(())
    }

    fn scrub(&mut self) {
        self.scrub = true;
    }

    fn roll_back(&mut self) {
        // A disk that is full may have rolled back already.
        if !self.connection.is_autocommit()
            && let Err(error) = self.run("ROLLBACK")
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    fn save(&mut self) -> Result<(), StoreError> {
        self.run("SAVEPOINT piece")
    }

    fn release(&mut self) -> Result<(), StoreError> {
        self.run("RELEASE piece")
    }

    fn roll_back_to_save(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK TO piece")?;
        self.run("RELEASE piece")
    }

    fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, StoreError> {
        if sql.sqlite.is_empty() {
            return Ok(0);
        }
        Ok(self.connection.prepare_cached(sql.sqlite)?.execute(params_from_iter(values))? as u64)
    }

    fn query(&mut self, sql: Sql, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), StoreError> {
        if sql.sqlite.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(sql.sqlite)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    fn tell_of_run(&mut self, run: &[u8; 16], seq: i64) -> Result<(), StoreError> {
        match &mut self.told {
            Some(told) => told.add(run, seq),
            None => drop(self.execute(sql::PROJECT_RUN_EVENT, values![run, seq])?),
        }
        Ok(())
    }

    /// A scratch database is compared, and has no place that it was opened at.
    fn is_searched(&self) -> bool {
        self.place.is_some()
    }

    fn take_told(&mut self) -> Option<KeyedSum> {
        self.told.take()
    }

    fn insert_hashes(&mut self, nodes: &[(Node, [u8; 32])]) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("INSERT INTO hashes (position, hash) VALUES (?1, ?2)")?;
        for (node, hash) in nodes {
            statement.execute((stored(node.position())?, hash))?;
        }
        Ok(())
    }

    fn match_words(&self, words: &[String]) -> String {
        // FTS5 §3: quoted strings side by side must all occur; a star lets the last one go on.
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("{} *", quoted.join(" "))
    }

    fn ask(&mut self, sql: &str, each: EachRow<'_>) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            each(row)?;
        }
        Ok(())
    }

    fn by_bytes(&self, column: &str) -> String {
        column.to_owned()
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn projection(&mut self) -> Result<i64, StoreError> {
        Ok(self.connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    fn foreign_schema(&mut self) -> Result<Option<String>, StoreError> {
        super::open::foreign_schema(&self.connection)
    }

    fn foreign_index(&mut self) -> Result<Option<String>, StoreError> {
        super::indexes::foreign_index(&self.connection)
    }

    fn foreign_words(&mut self) -> Result<Option<String>, StoreError> {
        super::words::foreign_words(&self.connection)
    }

    fn set_projection(&mut self, number: i64) -> Result<(), StoreError> {
        Ok(self.connection.pragma_update(None, "user_version", number)?)
    }

    fn archives(&mut self) -> &mut Archives {
        &mut self.archives
    }

    fn any(&mut self) -> &mut dyn std::any::Any {
        self
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Row for rusqlite::Row<'_> {
    fn int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.get(column)?)
    }
    fn text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        Ok(self.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?)
    }
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.get_ref(column)?.as_blob_or_null().map_err(rusqlite::Error::from)?)
    }
    fn columns(&self) -> usize {
        self.as_ref().column_count()
    }
    fn name(&self, column: usize) -> Result<&str, StoreError> {
        Ok(self.as_ref().column_name(column)?)
    }
    fn value(&self, column: usize) -> Result<Value<'_>, StoreError> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Int(number)),
            ValueRef::Text(text) => {
                let text = std::str::from_utf8(text);
                text.map(Value::Text).map_err(|_| StoreError::Corrupt(format!("column {column} is no UTF-8")))
            }
            ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes)),
            ValueRef::Real(_) => Err(StoreError::Corrupt(format!("column {column} is a fraction"))),
        }
    }
}
