//! Runs as reports have them, a page at a time.

use uuid::Uuid;

use super::error::StoreError;
use super::project::nanoseconds;
use super::read::{parse, timestamp};
use super::session::{Row, Session, Value, stored, values};
use super::sql;
use crate::domain::{Fingerprint, LaneNumber, ReportScope, RunId, Verdict};
use crate::ports::{ReportPage, ReportPlace, ReportedRun};

/// So few runs are one page, led by their time; more are led by their units, and those of another time passed over.
const FEW: u64 = 20_000;

pub fn extent(session: &mut dyn Session, scope: &ReportScope) -> Result<u64, StoreError> {
    match &scope.batch {
        Some(batch) => session.one(sql::REPORTED_IN_BATCH, values![batch.as_str()], |row| row.count(0)),
        None => {
            let (from, until) = times(scope);
            session.one(sql::RECORDS_WITHIN, values![from, last(until), i64::MAX], |row| row.count(0))
        }
    }
}

pub fn runs(
    session: &mut dyn Session,
    scope: &ReportScope,
    before: u64,
    after: Option<&ReportPlace>,
    limit: u32,
) -> Result<ReportPage, StoreError> {
    let before = stored(before)?;
    if after.is_none() && scope.batch.is_none() && is_of_a_short_time(session, scope)? {
        let (from, until) = times(scope);
        let runs = session.rows(sql::REPORTED_WITHIN, values![from, until, before], run_of)?;
        return Ok(ReportPage { runs, next: None });
    }
    match after {
        Some(ReportPlace::OfNone(seq)) => of_no_unit(session, scope, before, *seq, limit),
        Some(ReportPlace::Unit { product, serial, seq }) => {
            of_units(session, scope, before, (product, serial, stored(*seq)?), limit)
        }
        None => of_units(session, scope, before, ("", "", -1), limit),
    }
}

fn of_units(
    session: &mut dyn Session,
    scope: &ReportScope,
    before: i64,
    (product, serial, seq): (&str, &str, i64),
    limit: u32,
) -> Result<ReportPage, StoreError> {
    let (from, until) = times(scope);
    let mut asked: Vec<Value<'_>> = values![product, serial, seq, from, until, before, i64::from(limit)].to_vec();
    let sql = match &scope.batch {
        Some(batch) => {
            asked.push(batch.as_str().into());
            sql::REPORTED_OF_BATCH
        }
        None => sql::REPORTED,
    };
    let runs = session.rows(sql, &asked, run_of)?;
    let next = match runs.last() {
        Some(run) if runs.len() >= limit as usize => ReportPlace::Unit {
            product: run.product.to_string(),
            serial: run.serial.clone().unwrap_or_default(),
            seq: run.seq,
        },
        _ => ReportPlace::OfNone(None),
    };
    Ok(ReportPage { runs, next: Some(next) })
}

fn of_no_unit(
    session: &mut dyn Session,
    scope: &ReportScope,
    before: i64,
    after: Option<u64>,
    limit: u32,
) -> Result<ReportPage, StoreError> {
    let (from, until) = times(scope);
    let seq = after.map_or(Ok(-1), stored)?;
    let mut asked: Vec<Value<'_>> = values![seq, from, until, before, i64::from(limit)].to_vec();
    let sql = match &scope.batch {
        Some(batch) => {
            asked.push(batch.as_str().into());
            sql::REPORTED_OF_NO_UNIT_IN_BATCH
        }
        None => sql::REPORTED_OF_NO_UNIT,
    };
    let runs = session.rows(sql, &asked, run_of)?;
    let more = runs.last().filter(|_| runs.len() >= limit as usize);
    let next = more.map(|run| ReportPlace::OfNone(Some(run.seq)));
    Ok(ReportPage { runs, next })
}

fn is_of_a_short_time(session: &mut dyn Session, scope: &ReportScope) -> Result<bool, StoreError> {
    let (from, until) = times(scope);
    let count = session.one(sql::RECORDS_WITHIN, values![from, last(until), stored(FEW)?], |row| row.count(0))?;
    Ok(count < FEW)
}

/// From, and before.
fn times(scope: &ReportScope) -> (i64, i64) {
    (scope.from.map_or(i64::MIN, nanoseconds), scope.until.map_or(i64::MAX, nanoseconds))
}

fn last(until: i64) -> i64 {
    if until == i64::MAX { until } else { until.saturating_sub(1) }
}

fn run_of(row: &dyn Row) -> Result<ReportedRun, StoreError> {
    let lane = u8::try_from(row.i64(3)?).ok().and_then(|lane| LaneNumber::try_from(lane).ok());
    Ok(ReportedRun {
        seq: row.count(0)?,
        sealed: row.count(18)?,
        run: RunId::from_bytes(row.array(1)?),
        station: parse(row.str(2)?)?,
        lane: lane.ok_or_else(|| StoreError::Corrupt("a run of no lane".to_owned()))?,
        product: parse(row.str(4)?)?,
        serial: row.text(5)?.map(str::to_owned),
        batch: row.text(6)?.map(parse).transpose()?,
        operator: row.opt_array(7)?.map(Uuid::from_bytes),
        thing: row.text(8)?.map(parse).transpose()?,
        fingerprint: row.opt_array(9)?.map(Fingerprint::from_bytes),
        uid: row.text(10)?.map(parse).transpose()?,
        started: timestamp(row.i64(11)?)?,
        finished: timestamp(row.i64(12)?)?,
        verdict: verdict(row.str(13)?)?,
        reason: row.text(14)?.map(parse).transpose()?,
        resumed: row.i64(15)? != 0,
        came_back: row.i64(16)? != 0,
        scrapped: row.i64(17)? != 0,
    })
}

fn verdict(text: &str) -> Result<Verdict, StoreError> {
    let known = Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == text);
    known.ok_or_else(|| StoreError::Corrupt(format!("{text:?} is no verdict")))
}
