//! Derived tables, the log's against those derived anew.

use aws_lc_rs::digest::{Context, SHA256};
use uuid::Uuid;

use super::{Stop, broken};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::keyed_sum::KeyedSum;
use crate::adapters::store::session::{Mode, Row, Session, Value};
use crate::adapters::store::sql::{PROJECTIONS, Projection, RUN_EVENTS};
use crate::adapters::store::{log, project};
use crate::ports::Promise;

/// Rows that are compared by one hash.
const CHUNK: u64 = 4096;

/// One of the two databases.
pub(super) struct Side<'s>(pub &'s mut dyn Session);

/// Compares all tables and counts their rows.
pub(super) fn compare(
    log: &mut Side<'_>,
    scratch: &mut Side<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Stop> {
    let total = PROJECTIONS.len() as u64;
    let mut rows = 0;
    for (done, projection) in PROJECTIONS.iter().enumerate() {
        let told = if projection.table == RUN_EVENTS { scratch.0.take_told() } else { None };
        rows += match told {
            Some(told) if log.tells(projection, &told)? => told.rows(),
            Some(_) => {
                tell(log, scratch)?;
                compare_rows(log, scratch, projection)?
            }
            None => compare_rows(log, scratch, projection)?,
        };
        progress(done as u64 + 1, total);
    }
    Ok(rows)
}

/// Row by row, in their order; the first that differs is told.
fn compare_rows(log: &mut Side<'_>, scratch: &mut Side<'_>, projection: &Projection) -> Result<u64, Stop> {
    let (stored, derived) = std::thread::scope(|scope| {
        let derived = scope.spawn(|| scratch.hashes(projection));
        (log.hashes(projection), derived.join())
    });
    let (stored, derived) = (stored?, derived.map_err(|_| StoreError::Ended)??);
    if stored != derived {
        let shared = stored.chunks.iter().zip(&derived.chunks).take_while(|(a, b)| a == b).count();
        return Err(first_difference(log, scratch, projection, shared as u64 * CHUNK)?);
    }
    Ok(stored.rows)
}

/// Only their sum is known, which says that something differs and not what: here are the rows.
fn tell(log: &mut Side<'_>, scratch: &mut Side<'_>) -> Result<(), StoreError> {
    scratch.0.begin(Mode::Write)?;
    log::walk(log.0, |_, events| {
        events.iter().try_for_each(|logged| project::tell_of_run(scratch.0, logged.receipt.seq, &logged.event))
    })?;
    scratch.0.commit()
}

#[derive(PartialEq, Eq)]
struct TableHashes {
    rows: u64,
    chunks: Vec<[u8; 32]>,
}

impl Side<'_> {
    fn question(&self, projection: &Projection, window: &str) -> String {
        let order: Vec<String> = projection
            .order
            .iter()
            .map(|(column, is_text)| if *is_text { self.0.by_bytes(column) } else { (*column).to_owned() })
            .collect();
        format!("SELECT * FROM {} ORDER BY {}{window}", projection.table, order.join(", "))
    }

    fn hashes(&mut self, projection: &Projection) -> Result<TableHashes, StoreError> {
        let question = self.question(projection, "");
        let mut hashes = TableHashes { rows: 0, chunks: Vec::new() };
        let mut context = Context::new(&SHA256);
        let mut line = Vec::new();
        self.0.ask(&question, &mut |row| {
            line.clear();
            write_row(row, &mut line)?;
            context.update(&line);
            hashes.rows += 1;
            if hashes.rows.is_multiple_of(CHUNK) {
                hashes.chunks.push(take(&mut context));
            }
            Ok(())
        })?;
        hashes.chunks.push(take(&mut context));
        Ok(hashes)
    }

    /// Its rows are those that were told, each once and in their order: whoever looks for a run's events goes by it.
    fn tells(&mut self, projection: &Projection, told: &KeyedSum) -> Result<bool, StoreError> {
        let question = self.question(projection, "");
        let (mut stored, mut ordered, mut last) = (told.begin_again(), true, None);
        self.0.ask(&question, &mut |row| {
            let (Ok(run), Ok(seq)) = (row.array(0), row.i64(1)) else {
                // What no event can have told: the rows say which it is.
                ordered = false;
                return Ok(());
            };
            let this = (run, seq);
            ordered &= row.columns() == 2 && last < Some(this);
            last = Some(this);
            stored.add(&this.0, this.1);
            Ok(())
        })?;
        Ok(ordered && stored.is_of_the_same_rows(told))
    }

    fn rows(&mut self, projection: &Projection, from: u64) -> Result<Vec<Told>, StoreError> {
        let question = self.question(projection, &format!(" LIMIT {CHUNK} OFFSET {from}"));
        let mut rows = Vec::new();
        self.0.ask(&question, &mut |row| {
            rows.push(readable(row)?);
            Ok(())
        })?;
        Ok(rows)
    }
}

fn take(context: &mut Context) -> [u8; 32] {
    let digest = std::mem::replace(context, Context::new(&SHA256)).finish();
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Each value with its kind and length before it: no two rows are written alike.
fn write_row(row: &dyn Row, line: &mut Vec<u8>) -> Result<(), StoreError> {
    for column in 0..row.columns() {
        let (kind, bytes): (u8, &[u8]) = match row.value(column)? {
            Value::Null => (0, &[]),
            Value::Int(number) => {
                line.push(1);
                line.extend_from_slice(&number.to_be_bytes());
                continue;
            }
            Value::Text(text) => (2, text.as_bytes()),
            Value::Bytes(bytes) => (3, bytes),
        };
        line.push(kind);
        line.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        line.extend_from_slice(bytes);
    }
    Ok(())
}

/// Each column's name and value, as a person reads them.
type Told = Vec<(String, String)>;

fn readable(row: &dyn Row) -> Result<Told, StoreError> {
    let mut values = Vec::with_capacity(row.columns());
    for column in 0..row.columns() {
        let name = row.name(column)?;
        let value = match row.value(column)? {
            Value::Null => "nothing".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::Bytes(bytes) => match Uuid::from_slice(bytes) {
                Ok(run) if name == "run" => run.to_string(),
                _ => hex::encode(bytes),
            },
        };
        values.push((name.to_owned(), value));
    }
    Ok(values)
}

fn first_difference(
    log: &mut Side<'_>,
    scratch: &mut Side<'_>,
    projection: &Projection,
    from: u64,
) -> Result<Stop, StoreError> {
    let (stored, derived) = (log.rows(projection, from)?, scratch.rows(projection, from)?);
    let at = stored.iter().zip(&derived).take_while(|(a, b)| a == b).count();
    let is_key = |name: &str| projection.order.iter().any(|(column, _)| *column == name);
    let key = |row: &Told| joined(row.iter().filter(|(name, _)| is_key(name)), " ");
    let (found, key) = match (stored.get(at), derived.get(at)) {
        (Some(stored), Some(derived)) if key(stored) == key(derived) => {
            let differ = stored.iter().zip(derived).filter(|(a, b)| a != b);
            let told = differ.map(|((name, is), (_, says))| format!("{name} is {is}; the events say {says}"));
            (told.collect::<Vec<_>>().join(", "), key(stored))
        }
        (stored, derived) => {
            let row = |row: Option<&Told>| row.map_or_else(|| "no row".to_owned(), |row| joined(row.iter(), ", "));
            let keys = stored.or(derived).map(key).unwrap_or_default();
            (format!("stored: {}; the events say: {}", row(stored), row(derived)), keys)
        }
    };
    let place = format!("table {}, row {} ({key})", projection.table, from + at as u64 + 1);
    Ok(broken(Promise::Projection, place, found))
}

fn joined<'t>(columns: impl Iterator<Item = &'t (String, String)>, between: &str) -> String {
    columns.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(between)
}
