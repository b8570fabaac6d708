//! What the station asks of its log.

use std::str::FromStr;

use jiff::Timestamp;

use super::error::StoreError;
use super::session::{Row, Session, Sql, Value, values};
use super::{log, sql};
use crate::domain::{BatchName, RunId, StationName};
use crate::ports::{Batch, BatchTally, RunLog};

pub fn unfinished(session: &mut dyn Session, station: &StationName) -> Result<Vec<RunLog>, StoreError> {
    run_logs(session, sql::UNFINISHED, values![station.as_str()])
}

pub fn held(session: &mut dyn Session) -> Result<Vec<RunLog>, StoreError> {
    run_logs(session, sql::HELD, &[])
}

pub fn held_count(session: &mut dyn Session) -> Result<u64, StoreError> {
    session.one(sql::HELD_COUNT, &[], |row| row.count(0))
}

pub fn unsettled_labels(session: &mut dyn Session, station: &StationName) -> Result<Vec<RunLog>, StoreError> {
    run_logs(session, sql::UNSETTLED, values![station.as_str()])
}

pub fn run_of_captured(
    session: &mut dyn Session,
    station: &StationName,
    slip: u64,
) -> Result<Option<RunLog>, StoreError> {
    let Ok(slip) = i64::try_from(slip) else { return Ok(None) };
    Ok(run_logs(session, sql::RUN_OF_CAPTURED, values![station.as_str(), slip])?.pop())
}

pub fn run_of_slip(session: &mut dyn Session, slip: u64) -> Result<Option<RunLog>, StoreError> {
    // A number beyond the database's integers is no slip of ours.
    let Ok(first_seq) = i64::try_from(slip) else { return Ok(None) };
    Ok(run_logs(session, sql::RUN_OF_SLIP, values![first_seq])?.pop())
}

/// Without those that are in an archive which is not at hand.
pub fn latest(session: &mut dyn Session, count: u32) -> Result<Vec<RunLog>, StoreError> {
    let runs = session.rows(sql::LATEST, values![i64::from(count)], |row| row.array(0).map(RunId::from_bytes))?;
    let mut logs = Vec::with_capacity(runs.len());
    for id in runs {
        match run(session, id) {
            Err(StoreError::Archived { .. }) => {}
            log => logs.extend(log?),
        }
    }
    Ok(logs)
}

/// All events of one run, oldest first; `None` for a run that the log does not know.
pub fn run(session: &mut dyn Session, run: RunId) -> Result<Option<RunLog>, StoreError> {
    let events = log::events(session, sql::EVENTS_OF_RUN, values![run.as_uuid().as_bytes()])?;
    Ok((!events.is_empty()).then_some(RunLog { run, events }))
}

/// The runs that `sql` names, each once, whole.
pub fn run_logs(session: &mut dyn Session, sql: Sql, values: &[Value<'_>]) -> Result<Vec<RunLog>, StoreError> {
    let mut runs: Vec<RunId> = session.rows(sql, values, |row| row.array(0).map(RunId::from_bytes))?;
    let mut seen = std::collections::HashSet::new();
    runs.retain(|run| seen.insert(*run));
    runs.into_iter()
        .map(|id| {
            run(session, id)?
                .ok_or_else(|| StoreError::Corrupt(format!("run {id} is listed and has no event in the log")))
        })
        .collect()
}

pub fn open_batch(session: &mut dyn Session, station: &StationName) -> Result<Option<Batch>, StoreError> {
    session.row(sql::OPEN_BATCH, values![station.as_str()], batch_of)
}

pub fn batches(session: &mut dyn Session) -> Result<Vec<Batch>, StoreError> {
    session.rows(sql::BATCHES, &[], batch_of)
}

fn batch_of(row: &dyn Row) -> Result<Batch, StoreError> {
    Ok(Batch {
        name: parse(row.str(0)?)?,
        profile: row.str(1)?.to_owned(),
        product: parse(row.str(2)?)?,
        planned: row.count(3)?,
        opened: timestamp(row.i64(4)?)?,
        closed: row.int(5)?.map(timestamp).transpose()?,
        manifest: row.i64(6)? != 0,
    })
}

/// Units by the verdict sealed last, ABORTED runs left out; and by their first attempt, which is the
/// earliest run that is PASS, FAIL or ERROR by now. A HELD run takes its place among the attempts
/// when it is decided. Runs that never learned their unit's serial are of no unit.
pub fn tally(session: &mut dyn Session, batch: &BatchName) -> Result<BatchTally, StoreError> {
    let mut tally = BatchTally::default();
    for (verdict, units) in counts(session, sql::TALLY_LATEST, batch)? {
        match verdict.as_str() {
            "PASS" => tally.passed = units,
            "FAIL" => tally.failed = units,
            "ERROR" => tally.errors = units,
            "HELD" => tally.held = units,
            other => return Err(StoreError::Corrupt(format!("{other:?} is no verdict"))),
        }
    }
    for (verdict, units) in counts(session, sql::TALLY_FIRST, batch)? {
        tally.first_attempts += units;
        if verdict == "PASS" {
            tally.first_passes = units;
        }
    }
    Ok(tally)
}

fn counts(session: &mut dyn Session, sql: Sql, batch: &BatchName) -> Result<Vec<(String, u64)>, StoreError> {
    session.rows(sql, values![batch.as_str()], |row| Ok((row.str(0)?.to_owned(), row.count(1)?)))
}

/// A domain value from the text that it was stored as.
pub fn parse<T: FromStr<Err = crate::domain::Invalid>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error: crate::domain::Invalid| StoreError::Corrupt(error.to_string()))
}

pub fn timestamp(nanoseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(i128::from(nanoseconds))
        .map_err(|error| StoreError::Corrupt(format!("{nanoseconds} is no time: {error}")))
}
