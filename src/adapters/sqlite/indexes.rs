//! Whether an index has what its table has. Claims are judged and guarded by indexes: a row that an index
//! has lost is in the log, and nobody who asks for it is told.
//!
//! SQLite's own `integrity_check` looks up every row in every index, which takes minutes where a log is
//! long. Here each index is read once, in its order, and each table once; what they have in common is a sum.

use std::hash::{BuildHasher as _, RandomState};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OptionalExtension as _, Row, Statement};

use crate::adapters::store::error::StoreError;

/// The first index, or page, that is not as its table has it. The schema is known to be this program's.
pub(super) fn foreign_index(connection: &Connection) -> Result<Option<String>, StoreError> {
    // Pages, the order of rows, what columns may hold, how much is in each index, and FTS5's own ways through
    // its index.
    if let Some(found) = told(connection, "PRAGMA quick_check(1)")? {
        // Slow, and says which row.
        let row = |statement: &mut Statement<'_>| -> rusqlite::Result<Option<String>> {
            let told = statement.query_map([], |row| row.get(0))?.filter_map(Result::ok);
            Ok(told.into_iter().find(|told: &String| told.starts_with("row ")))
        };
        let row = connection.prepare("PRAGMA integrity_check").and_then(|mut statement| row(&mut statement));
        return Ok(Some(row.ok().flatten().unwrap_or(found)));
    }
    let secret = Secret(RandomState::new(), RandomState::new());
    for table in tables(connection)? {
        if let Some(index) = differs(connection, &table, &secret)? {
            let place = format!("index {index} is not that of the rows of table {}", table.name);
            let detail = told(connection, &format!("PRAGMA integrity_check('{}')", table.name))?;
            return Ok(Some(detail.map_or_else(|| place.clone(), |detail| format!("{place}: {detail}"))));
        }
    }
    Ok(None)
}

/// What SQLite finds wrong first.
fn told(connection: &Connection, pragma: &str) -> Result<Option<String>, StoreError> {
    match connection.query_row(pragma, [], |row| row.get(0)).optional() {
        Ok(found) => Ok(found.filter(|found| found != "ok")),
        // What SQLite cannot even begin to look at, as an index of words of a version that is none.
        Err(Error::SqliteFailure(failure, Some(found))) if failure.code == ErrorCode::Unknown => Ok(Some(found)),
        Err(error) => Err(error.into()),
    }
}

struct Table {
    name: String,
    indexes: Vec<Index>,
}

struct Index {
    name: String,
    columns: Vec<String>,
    /// Of the rows that it has; empty: all.
    condition: String,
    /// It is the table itself, of one without row numbers.
    is_table: bool,
    /// It is ordered by the row's number, too, and by these before it: SQLite tells of that number as the
    /// row's, and not as the index has it.
    by_number: Option<Vec<String>>,
}

fn tables(connection: &Connection) -> Result<Vec<Table>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT name, wr FROM pragma_table_list
        WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let tables = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?)))?;
    let mut found = Vec::new();
    for table in tables {
        let (name, without_rowid) = table?;
        let indexes = indexes(connection, &name, without_rowid)?;
        found.push(Table { name, indexes });
    }
    Ok(found)
}

fn indexes(connection: &Connection, table: &str, without_rowid: bool) -> Result<Vec<Index>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT i.name, i.origin = 'pk', i.partial, s.sql FROM pragma_index_list(?1) i
        LEFT JOIN sqlite_schema s ON s.name = i.name",
    )?;
    let row_number: Option<String> = connection
        .query_row(
            "SELECT name FROM pragma_table_info(?1) WHERE pk = 1 AND type = 'INTEGER' AND NOT ?2",
            (table, without_rowid),
            |row| row.get(0),
        )
        .optional()?;
    let mut rows = statement.query([table])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let is_table = without_rowid && row.get(1)?;
        let condition = match (row.get(2)?, row.get::<_, Option<String>>(3)?) {
            (true, Some(sql)) => sql.rsplit_once(" WHERE ").map(|(_, condition)| condition.to_owned()),
            _ => None,
        };
        let mut columns = connection.prepare("SELECT coalesce(name, 'rowid') FROM pragma_index_xinfo(?1)")?;
        let columns: Vec<String> = columns.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let number = row_number.as_ref().and_then(|number| columns.iter().position(|column| column == number));
        let by_number = number.map(|at| columns[..=at].to_vec());
        found.push(Index { name, columns, condition: condition.unwrap_or_default(), is_table, by_number });
    }
    Ok(found)
}

/// The first index of the table that has other rows than it, or has them in no order.
fn differs<'t>(connection: &Connection, table: &'t Table, secret: &Secret) -> Result<Option<&'t str>, StoreError> {
    let rows = rows_of(connection, table, secret)?;
    for (index, rows) in table.indexes.iter().zip(rows) {
        let indexed = index_rows(connection, table, index, secret)?;
        if indexed != Some(rows) || misleads(connection, table, index)? {
            return Ok(Some(&index.name));
        }
    }
    Ok(None)
}

/// What each index has to have, by one look at the table.
fn rows_of(connection: &Connection, table: &Table, secret: &Secret) -> Result<Vec<u128>, StoreError> {
    let mut sums = vec![0_u128; table.indexes.len()];
    if sums.is_empty() {
        return Ok(sums);
    }
    let mut asked = Vec::new();
    for Index { columns, condition, .. } in &table.indexes {
        asked.extend(columns.iter().map(String::as_str));
        asked.push(if condition.is_empty() { "1" } else { condition.as_str() });
    }
    let mut statement = connection.prepare(&format!("SELECT {} FROM {} NOT INDEXED", asked.join(", "), table.name))?;
    let mut rows = statement.query([])?;
    let mut entry = Vec::new();
    while let Some(row) = rows.next()? {
        let mut at = 0;
        for (Index { columns, .. }, sum) in table.indexes.iter().zip(&mut sums) {
            if row.get::<_, Option<bool>>(at + columns.len())? == Some(true) {
                write_entry(row, at, columns.len(), &mut entry)?;
                *sum = sum.wrapping_add(secret.of(&entry));
            }
            at += columns.len() + 1;
        }
    }
    Ok(sums)
}

/// What the index has; `None`: not in its order, so that what is looked up may not be found.
fn index_rows(
    connection: &Connection,
    table: &Table,
    index: &Index,
    secret: &Secret,
) -> Result<Option<u128>, StoreError> {
    let by = if index.is_table { "NOT INDEXED".to_owned() } else { format!("INDEXED BY \"{}\"", index.name) };
    let condition = if index.condition.is_empty() { String::new() } else { format!(" WHERE {}", index.condition) };
    let columns = index.columns.join(", ");
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {} {by}{condition}", table.name))?;
    let mut rows = statement.query([])?;
    let (mut sum, mut before, mut entry) = (0_u128, Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        write_entry(row, 0, index.columns.len(), &mut entry)?;
        if entry <= before {
            return Ok(None);
        }
        sum = sum.wrapping_add(secret.of(&entry));
        std::mem::swap(&mut before, &mut entry);
    }
    Ok(Some(sum))
}

/// Is there an entry that is not found by its own key?
fn misleads(connection: &Connection, table: &Table, index: &Index) -> Result<bool, StoreError> {
    let Some(key) = &index.by_number else { return Ok(false) };
    let (table, by) = (&table.name, format!("INDEXED BY \"{}\"", index.name));
    let condition = if index.condition.is_empty() { "1" } else { index.condition.as_str() };
    let same: Vec<String> = key.iter().map(|column| format!("sought.{column} = entry.{column}")).collect();
    // The condition is that of the table that is named last.
    let sought = format!("SELECT 1 FROM {table} AS sought {by} WHERE {condition} AND {}", same.join(" AND "));
    let asked = format!("SELECT 1 FROM {table} AS entry {by} WHERE {condition} AND NOT EXISTS ({sought}) LIMIT 1");
    Ok(connection.prepare(&asked)?.exists([])?)
}

/// As bytes that are in the order in which SQLite has the values: nothing, numbers, texts, blobs.
fn write_entry(row: &Row<'_>, from: usize, columns: usize, entry: &mut Vec<u8>) -> Result<(), StoreError> {
    entry.clear();
    for column in from..from + columns {
        match row.get_ref(column)? {
            ValueRef::Null => entry.push(1),
            ValueRef::Integer(number) => {
                entry.push(2);
                entry.extend_from_slice(&(number ^ i64::MIN).to_be_bytes());
            }
            ValueRef::Text(text) => write_bytes(3, text, entry),
            ValueRef::Blob(bytes) => write_bytes(4, bytes, entry),
            ValueRef::Real(_) => return Err(StoreError::Corrupt(format!("column {column} is a fraction"))),
        }
    }
    Ok(())
}

/// What begins another one comes before it.
fn write_bytes(kind: u8, bytes: &[u8], entry: &mut Vec<u8>) {
    entry.push(kind);
    for byte in bytes {
        entry.push(*byte);
        if *byte == 0 {
            entry.push(0xff);
        }
    }
    entry.extend_from_slice(&[0, 0]);
}

/// Whoever changes an index must not be able to choose what adds up to the same.
struct Secret(RandomState, RandomState);

impl Secret {
    fn of(&self, entry: &[u8]) -> u128 {
        (u128::from(self.0.hash_one(entry)) << 64) | u128::from(self.1.hash_one(entry))
    }
}
