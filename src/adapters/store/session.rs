//! What a database must be able to do. SQLite and PostgreSQL speak nearly the same SQL; where they
//! don't, a statement has two texts.

use super::archive::Archives;
use super::error::StoreError;
use super::keyed_sum::KeyedSum;
use super::sql;
use crate::audit::Node;

/// One statement, in both dialects. Parameters are written `?1`, `?2`, … in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sql {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Sql {
    pub const fn both(text: &'static str) -> Self {
        Self { sqlite: text, postgres: text }
    }
}

/// A parameter. Numbers are 64-bit and signed, as in both databases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Value::Int(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Value::Int(i64::from(yes))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Value::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Value::Bytes(bytes)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// Parameters of several types as one slice.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::adapters::store::session::Value::from($value)),*] };
}
pub(crate) use values;

/// A row of an answer; columns count from 0. `None` is NULL.
pub trait Row {
    fn int(&self, column: usize) -> Result<Option<i64>, StoreError>;
    fn text(&self, column: usize) -> Result<Option<&str>, StoreError>;
    fn bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError>;
    fn columns(&self) -> usize;
    /// What the column is called.
    fn name(&self, column: usize) -> Result<&str, StoreError>;
    /// Whatever it is, as the column's type has it.
    fn value(&self, column: usize) -> Result<Value<'_>, StoreError>;
}

fn there<T>(value: Option<T>, column: usize) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::Corrupt(format!("column {column} is NULL")))
}

impl dyn Row + '_ {
    pub fn i64(&self, column: usize) -> Result<i64, StoreError> {
        there(self.int(column)?, column)
    }
    pub fn count(&self, column: usize) -> Result<u64, StoreError> {
        number(self.i64(column)?)
    }
    pub fn opt_count(&self, column: usize) -> Result<Option<u64>, StoreError> {
        self.int(column)?.map(number).transpose()
    }
    pub fn str(&self, column: usize) -> Result<&str, StoreError> {
        there(self.text(column)?, column)
    }
    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        there(self.bytes(column)?, column)
    }
    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        there(self.opt_array(column)?, column)
    }
    pub fn opt_array<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, StoreError> {
        let Some(bytes) = self.bytes(column)? else { return Ok(None) };
        let wrong = |_| StoreError::Corrupt(format!("column {column} has {} bytes, not {N}", bytes.len()));
        bytes.try_into().map(Some).map_err(wrong)
    }
}

/// Both databases' integers are signed.
pub fn stored(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::Asked(format!("{number} is more than a log can count")))
}

pub fn number(stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Corrupt(format!("{stored} where a count was stored")))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything read is of the same moment; nothing is written.
    Read,
    /// Nobody else writes the log until it ends.
    Write,
}

/// Takes one row of an answer.
pub type EachRow<'r> = &'r mut dyn FnMut(&dyn Row) -> Result<(), StoreError>;

/// One connection. A transaction is open from `begin` to `commit` or `roll_back`.
pub trait Session: Send {
    fn begin(&mut self, mode: Mode) -> Result<(), StoreError>;
    /// An answer means that it is on disk.
    fn commit(&mut self) -> Result<(), StoreError>;
    fn roll_back(&mut self);
    /// With its commit, what this transaction deletes shall be gone from the database's files, too, and not only
    /// be marked as free.
    fn scrub(&mut self);
    /// In a writing transaction that has just begun: was the one before it committed? For whoever lost the
    /// answer to that commit.
    fn has_committed(&self) -> bool {
        false
    }

    fn save(&mut self) -> Result<(), StoreError>;
    fn release(&mut self) -> Result<(), StoreError>;
    /// Keeps the piece that ends, and saves for the next.
    fn release_and_save(&mut self) -> Result<(), StoreError> {
        self.release()?;
        self.save()
    }
    /// Undoes everything since `save`; an error means that the whole transaction is lost.
    fn roll_back_to_save(&mut self) -> Result<(), StoreError>;

    /// The number of rows that changed.
    fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, StoreError>;

    fn query(&mut self, sql: Sql, values: &[Value<'_>], each: EachRow<'_>) -> Result<(), StoreError>;

    /// Event `seq` tells of the run.
    fn tell_of_run(&mut self, run: &[u8; 16], seq: i64) -> Result<(), StoreError> {
        self.execute(sql::PROJECT_RUN_EVENT, values![run, seq]).map(|_| ())
    }

    /// Somebody looks for words in it.
    fn is_searched(&self) -> bool {
        true
    }

    /// What [`tell_of_run`](Self::tell_of_run) was told, where it is only summed up. The rows are stored from the
    /// moment on that this is taken.
    fn take_told(&mut self) -> Option<KeyedSum> {
        None
    }

    /// Stores interior nodes of the tree.
    fn insert_hashes(&mut self, nodes: &[(Node, [u8; 32])]) -> Result<(), StoreError>;

    /// All of these words, the last one perhaps cut off, as the database's own search has it.
    fn match_words(&self, words: &[String]) -> String;

    /// A question that is made up while the program runs, without parameters; rows come as they are read,
    /// however many there are.
    fn ask(&mut self, sql: &str, each: EachRow<'_>) -> Result<(), StoreError>;

    /// What a text column is ordered by so that both databases agree: its bytes.
    fn by_bytes(&self, column: &str) -> String;

    /// Statements that are used once, without parameters.
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;

    /// In this transaction tables grow so much that a plan made for what they hold, or are known to have held,
    /// would be none.
    fn grow(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes a connection that was lost anew. Only called after an error that says so.
    fn reconnect(&mut self) -> Result<(), StoreError> {
        Err(StoreError::Away("this database has no connection that could be made anew".to_owned()))
    }

    /// What in the schema is not this program's, or is missing; `None`: nothing.
    fn foreign_schema(&mut self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// The first index that has other rows than its table, where the schema is this program's; `None`: none.
    fn foreign_index(&mut self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// What the index of words holds otherwise than `records` does; `None`: nothing, or the database makes
    /// the index by itself.
    fn foreign_words(&mut self) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    /// The database's own mark of the projections' meaning.
    fn projection(&mut self) -> Result<i64, StoreError>;
    fn set_projection(&mut self, number: i64) -> Result<(), StoreError>;

    /// Archives that are at hand.
    fn archives(&mut self) -> &mut Archives;

    fn any(&mut self) -> &mut dyn std::any::Any;
}

impl dyn Session + '_ {
    /// Every row, mapped.
    pub fn rows<T>(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
        map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.query(sql, values, &mut |row| {
            rows.push(map(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, mapped.
    pub fn row<T>(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
        map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut found = None;
        self.query(sql, values, &mut |row| {
            if found.is_none() {
                found = Some(map(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The one row that must be there.
    pub fn one<T>(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
        map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.row(sql, values, map)?
            .ok_or_else(|| StoreError::Corrupt(format!("a row is missing that is always there: {}", sql.sqlite)))
    }
}
