//! What the station asks of its log.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use uuid::Uuid;

use super::error::StoreError;
use super::{log, sql};
use crate::domain::{BatchName, OperatorRef, RunId, StationName};
use crate::ports::{Batch, BatchTally, RunLog};

pub(super) fn unfinished(connection: &Connection, station: &StationName) -> Result<Vec<RunLog>, StoreError> {
    run_logs(connection, sql::UNFINISHED, [station.as_str()])
}

pub(super) fn held(connection: &Connection) -> Result<Vec<RunLog>, StoreError> {
    run_logs(connection, sql::HELD, [])
}

pub(super) fn held_count(connection: &Connection) -> Result<u64, StoreError> {
    let count: i64 = connection.prepare_cached(sql::HELD_COUNT)?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

pub(super) fn unsettled_labels(connection: &Connection, station: &StationName) -> Result<Vec<RunLog>, StoreError> {
    run_logs(connection, sql::UNSETTLED, [station.as_str()])
}

pub(super) fn run_of_slip(connection: &Connection, slip: u64) -> Result<Option<RunLog>, StoreError> {
    // A number beyond SQLite's integers is no slip of ours.
    let Ok(first_seq) = i64::try_from(slip) else { return Ok(None) };
    Ok(run_logs(connection, sql::RUN_OF_SLIP, [first_seq])?.pop())
}

pub(super) fn latest(connection: &Connection, count: u32) -> Result<Vec<RunLog>, StoreError> {
    run_logs(connection, sql::LATEST, [count])
}

/// All events of one run, oldest first; `None` for a run that the log does not know.
pub(super) fn run(connection: &Connection, run: RunId) -> Result<Option<RunLog>, StoreError> {
    let mut statement = connection.prepare_cached(sql::EVENTS_OF_RUN)?;
    let mut rows = statement.query([run.as_uuid().as_bytes()])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(log::logged(row)?);
    }
    Ok((!events.is_empty()).then_some(RunLog { run, events }))
}

/// The runs that `sql` names, each once, whole.
fn run_logs(connection: &Connection, sql: &str, params: impl Params) -> Result<Vec<RunLog>, StoreError> {
    let mut runs: Vec<RunId> = Vec::new();
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        let run = run_id(row.get(0)?)?;
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    runs.into_iter()
        .map(|id| {
            run(connection, id)?
                .ok_or_else(|| StoreError::Corrupt(format!("run {id} is listed and has no event in the log")))
        })
        .collect()
}

pub(super) fn open_batch(connection: &Connection, station: &StationName) -> Result<Option<Batch>, StoreError> {
    let mut statement = connection.prepare_cached(sql::OPEN_BATCH)?;
    let mut rows = statement.query([station.as_str()])?;
    rows.next()?.map(batch_of).transpose()
}

pub(super) fn batches(connection: &Connection) -> Result<Vec<Batch>, StoreError> {
    let mut statement = connection.prepare_cached(sql::BATCHES)?;
    let mut rows = statement.query([])?;
    let mut batches = Vec::new();
    while let Some(row) = rows.next()? {
        batches.push(batch_of(row)?);
    }
    Ok(batches)
}

fn batch_of(row: &Row<'_>) -> Result<Batch, StoreError> {
    Ok(Batch {
        name: parse(&row.get::<_, String>(0)?)?,
        profile: row.get(1)?,
        product: parse(&row.get::<_, String>(2)?)?,
        planned: log::number(row.get(3)?)?,
        opened: timestamp(row.get(4)?)?,
        closed: row.get::<_, Option<i64>>(5)?.map(timestamp).transpose()?,
    })
}

/// Units by the verdict sealed last, ABORTED runs left out; and by their first attempt, which is the
/// earliest run that is PASS, FAIL or ERROR by now. A HELD run takes its place among the attempts
/// when it is decided. Runs that never learned their unit's serial are of no unit.
pub(super) fn tally(connection: &Connection, batch: &BatchName) -> Result<BatchTally, StoreError> {
    let mut tally = BatchTally::default();
    for (verdict, units) in counts(connection, sql::TALLY_LATEST, batch)? {
        match verdict.as_str() {
            "PASS" => tally.passed = units,
            "FAIL" => tally.failed = units,
            "ERROR" => tally.errors = units,
            "HELD" => tally.held = units,
            other => return Err(StoreError::Corrupt(format!("{other:?} is no verdict"))),
        }
    }
    for (verdict, units) in counts(connection, sql::TALLY_FIRST, batch)? {
        tally.first_attempts += units;
        if verdict == "PASS" {
            tally.first_passes = units;
        }
    }
    Ok(tally)
}

fn counts(connection: &Connection, sql: &str, batch: &BatchName) -> Result<Vec<(String, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([batch.as_str()])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push((row.get(0)?, log::number(row.get(1)?)?));
    }
    Ok(counts)
}

/// The person of this exact name; `new` (id and salt) makes one where there is none.
pub(super) fn operator(transaction: &Connection, name: &str, new: (Uuid, [u8; 32])) -> Result<OperatorRef, StoreError> {
    let known = transaction
        .prepare_cached(sql::PERSON_BY_NAME)?
        .query_row([name], |row| Ok((row.get::<_, [u8; 16]>(0)?, row.get(1)?)))
        .optional()?;
    if let Some((id, name_sha256)) = known {
        return Ok(OperatorRef { id: Uuid::from_bytes(id), name_sha256 });
    }
    let (id, salt) = new;
    let name_sha256 = salted_name(&salt, name);
    transaction.prepare_cached(sql::INSERT_PERSON)?.execute((id.as_bytes(), name, salt, &name_sha256))?;
    Ok(OperatorRef { id, name_sha256 })
}

/// SHA-256(salt ‖ name) in hexadecimal.
fn salted_name(salt: &[u8; 32], name: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(salt);
    context.update(name.as_bytes());
    hex::encode(context.finish())
}

/// A domain value from the text that it was stored as.
pub(super) fn parse<T: FromStr<Err = crate::domain::Invalid>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error: crate::domain::Invalid| StoreError::Corrupt(error.to_string()))
}

pub(super) fn run_id(bytes: [u8; 16]) -> Result<RunId, StoreError> {
    parse(&Uuid::from_bytes(bytes).to_string())
}

fn timestamp(nanoseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_err(|error| StoreError::Corrupt(format!("{nanoseconds} is no time: {error}")))
}
