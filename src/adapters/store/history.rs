//! What QA and auditors ask of the log.

use uuid::Uuid;

use super::claim::lock_of;
use super::error::StoreError;
use super::project::nanoseconds;
use super::read::{parse, run_logs, timestamp};
use super::session::{Row, Session, Sql, Value, number, stored, values};
use super::{log, sql, words};
use crate::audit::event::LogKeyRole;
use crate::audit::{Body, LineEvent};
use crate::domain::{Fingerprint, RunId, Unit};
use crate::ports::{
    Cursor, Found, ImportedRow, Lock, LogKey, Logged, Page, RulingSummary, RunSummary, Search, StoredCheckpoint,
    UnitHistory,
};

/// How a search is led through an index, and ordered by it.
enum Lead {
    /// By the beginning of a column: from this to before that.
    Prefix(Sql, Key, Key),
    /// Newest first, by what a column equals.
    Value(Sql, Key),
    Words(String),
    Time,
    Everything,
}

enum Key {
    Text(String),
    Bytes(Vec<u8>),
}

impl Key {
    fn value(&self) -> Value<'_> {
        match self {
            Key::Text(text) => Value::Text(text),
            Key::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
    fn cursor(&self) -> String {
        match self {
            Key::Text(text) => text.clone(),
            Key::Bytes(bytes) => hex::encode(bytes),
        }
    }
}

/// The most selective index first: a search is led by one, and narrowed by the rest.
fn lead(search: &Search) -> Result<Lead, StoreError> {
    if let Some(prefix) = &search.fingerprint {
        let (from, to) = bounds_of_hex(prefix)?;
        return Ok(Lead::Prefix(sql::RECORDS_BY_FINGERPRINT, Key::Bytes(from), Key::Bytes(to)));
    }
    let prefixes = [
        (&search.uid, sql::RECORDS_BY_UID),
        (&search.serial, sql::RECORDS_BY_SERIAL),
        (&search.thing, sql::RECORDS_BY_THING),
    ];
    if let Some((Some(prefix), sql)) = prefixes.into_iter().find(|(prefix, _)| prefix.is_some()) {
        // Every text that begins like this one is below the same text with the last code point behind it.
        let to = format!("{prefix}\u{10ffff}");
        return Ok(Lead::Prefix(sql, Key::Text(prefix.clone()), Key::Text(to)));
    }
    if let Some(text) = &search.words {
        return Ok(Lead::Words(text.clone()));
    }
    let text = |text: &str| Key::Text(text.to_owned());
    Ok(match search {
        Search { reason: Some(reason), .. } => Lead::Value(sql::RECORDS_BY_REASON, text(reason.as_str())),
        Search { operator: Some(operator), .. } => {
            Lead::Value(sql::RECORDS_BY_OPERATOR, Key::Bytes(operator.as_bytes().to_vec()))
        }
        Search { batch: Some(batch), .. } => Lead::Value(sql::RECORDS_BY_BATCH, text(batch.as_str())),
        Search { verdict: Some(verdict), .. } => Lead::Value(sql::RECORDS_BY_VERDICT, text(verdict.as_str())),
        Search { from: None, until: None, .. } => Lead::Everything,
        _ => Lead::Time,
    })
}

/// So few records that all of them are looked at sooner than those of years are passed over.
const FEW: u64 = 1000;

fn is_of_a_short_time(session: &mut dyn Session, search: &Search, after: Option<&Cursor>) -> Result<bool, StoreError> {
    let Search { from, until, .. } = search;
    match after {
        // A search goes on as it began, however many have come since.
        Some(cursor) => Ok(cursor.value.is_some()),
        None if from.is_none() && until.is_none() => Ok(false),
        None => {
            let (from, until) = (from.map_or(i64::MIN, nanoseconds), until.map_or(i64::MAX, nanoseconds));
            let count = session.one(sql::RECORDS_WITHIN, values![from, until, stored(FEW)?], |row| row.count(0))?;
            Ok(count < FEW)
        }
    }
}

/// The bytes that begin with these hexadecimal digits: from, and before.
fn bounds_of_hex(prefix: &str) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
    let pad = |filler: char| {
        let even = if prefix.len().is_multiple_of(2) { prefix.to_owned() } else { format!("{prefix}{filler}") };
        hex::decode(&even).map_err(|_| StoreError::Asked(format!("{prefix:?} is not the beginning of a fingerprint")))
    };
    let (from, mut to) = (pad('0')?, pad('f')?);
    to.resize(33, 0xff);
    Ok((from, to))
}

pub fn search(
    session: &mut dyn Session,
    search: &Search,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<Found>, StoreError> {
    let lead = match lead(search)? {
        Lead::Value(..) if is_of_a_short_time(session, search, after)? => Lead::Time,
        lead => lead,
    };
    let (nobody, operator) = (Uuid::nil(), search.operator);
    let operator_bytes = operator.unwrap_or(nobody);
    let mut values: Vec<Value<'_>> = vec![
        search.serial.as_deref().into(),
        search.thing.as_deref().into(),
        search.uid.as_deref().into(),
        search.product.as_ref().map(|product| product.as_str()).into(),
        search.batch.as_ref().map(|batch| batch.as_str()).into(),
        search.reason.map(|reason| reason.as_str()).into(),
        search.verdict.map(|verdict| verdict.as_str()).into(),
        operator.is_some().into(),
        operator_bytes.as_bytes().into(),
        search.from.map_or(i64::MIN, nanoseconds).into(),
        search.until.map_or(i64::MAX, nanoseconds).into(),
    ];
    // One more than asked for tells whether there is another page.
    let wanted = i64::from(limit) + 1;
    let before = after.map_or(Ok(i64::MAX), |cursor| stored(cursor.seq))?;
    let after_key = after.and_then(|cursor| cursor.value.clone());
    let (sql, from, match_text);
    match &lead {
        Lead::Prefix(statement, first, to) => {
            from = match (&after_key, first) {
                (None, Key::Text(first)) => Key::Text(first.clone()),
                (None, Key::Bytes(first)) => Key::Bytes(first.clone()),
                (Some(value), Key::Text(_)) => Key::Text(value.clone()),
                (Some(value), Key::Bytes(_)) => Key::Bytes(hex::decode(value).map_err(|_| no_cursor())?),
            };
            let seq = after.map_or(Ok(-1), |cursor| stored(cursor.seq))?;
            sql = *statement;
            values.extend([from.value(), seq.into(), to.value(), wanted.into()]);
        }
        Lead::Value(statement, key) => {
            sql = *statement;
            values.extend([key.value(), before.into(), wanted.into()]);
        }
        Lead::Words(text) => {
            let asked = words::asked(text);
            if asked.is_empty() {
                return Ok(Page { items: Vec::new(), next: None });
            }
            match_text = session.match_words(&asked);
            sql = sql::RECORDS_BY_WORDS;
            values.extend([Value::Text(&match_text), before.into(), wanted.into()]);
        }
        Lead::Time => {
            let newest = search.until.map_or(i64::MAX, nanoseconds);
            let time = after_key.map_or(Ok(newest), |value| value.parse().map_err(|_| no_cursor()))?;
            sql = sql::RECORDS_BY_TIME;
            values.extend([Value::Int(time), before.into(), wanted.into()]);
        }
        Lead::Everything => {
            sql = sql::RECORDS;
            values.extend([Value::Int(before), wanted.into()]);
        }
    }
    let rows = session.rows(sql, &values, record_of)?;
    let more = rows.len() > limit as usize;
    let mut items = Vec::with_capacity(rows.len());
    let mut next = None;
    for row in rows.into_iter().take(limit as usize) {
        let value = match &lead {
            Lead::Prefix(sql, ..) => row.key(*sql).map(|key| key.cursor()),
            Lead::Time => Some(row.started_ns.to_string()),
            _ => None,
        };
        next = more.then_some(Cursor { value, seq: row.seq });
        items.push(found(session, row)?);
    }
    Ok(Page { items, next })
}

fn no_cursor() -> StoreError {
    StoreError::Asked("this is no page's end".to_owned())
}

struct Record {
    seq: u64,
    kind: String,
    summary: Option<RunSummary>,
    serial: Option<String>,
    thing: Option<String>,
    fingerprint: Option<[u8; 32]>,
    uid: Option<String>,
    started_ns: i64,
}

impl Record {
    /// The value that a search by prefix is ordered by.
    fn key(&self, sql: Sql) -> Option<Key> {
        match sql {
            sql::RECORDS_BY_FINGERPRINT => self.fingerprint.map(|bytes| Key::Bytes(bytes.to_vec())),
            sql::RECORDS_BY_UID => self.uid.clone().map(Key::Text),
            sql::RECORDS_BY_SERIAL => self.serial.clone().map(Key::Text),
            _ => self.thing.clone().map(Key::Text),
        }
    }
}

fn record_of(row: &dyn Row) -> Result<Record, StoreError> {
    let seq = row.count(0)?;
    let kind = row.str(1)?.to_owned();
    let run = row.opt_array(2)?.map(RunId::from_bytes);
    let serial = row.text(5)?.map(str::to_owned);
    let (thing, uid) = (row.text(8)?.map(str::to_owned), row.text(10)?.map(str::to_owned));
    let fingerprint = row.opt_array::<32>(9)?;
    let started_ns = row.i64(13)?;
    let summary = match (run, row.text(4)?) {
        (Some(run), Some(product)) => {
            let product: crate::domain::Product = parse(product)?;
            let unit = serial.as_deref().map(parse).transpose()?;
            Some(RunSummary {
                first_seq: seq,
                run,
                station: parse(row.str(3)?)?,
                unit: unit.map(|serial| Unit { product: product.clone(), serial }),
                product,
                batch: row.text(6)?.map(parse).transpose()?,
                operator: row.opt_array(7)?.map(Uuid::from_bytes),
                thing: thing.as_deref().map(parse).transpose()?,
                fingerprint: fingerprint.map(Fingerprint::from_bytes),
                uid: uid.as_deref().map(parse).transpose()?,
                verdict: row.text(11)?.map(verdict).transpose()?,
                reason: row.text(12)?.map(parse).transpose()?,
                started: timestamp(started_ns)?,
                finished: row.int(14)?.map(timestamp).transpose()?,
            })
        }
        _ => None,
    };
    Ok(Record { seq, kind, summary, serial, thing, fingerprint, uid, started_ns })
}

fn verdict(text: &str) -> Result<crate::domain::Verdict, StoreError> {
    let quoted = format!("{text:?}");
    serde_json::from_str(&quoted).map_err(|_| StoreError::Corrupt(format!("{text:?} is no verdict")))
}

fn found(session: &mut dyn Session, record: Record) -> Result<Found, StoreError> {
    let seq = stored(record.seq)?;
    match (record.kind.as_str(), record.summary) {
        ("run", Some(summary)) => Ok(Found::Run(summary)),
        ("ruling", _) => {
            let (logged, used) =
                session.one(sql::RULING, values![seq], |row| Ok((log::logged(row)?, row.opt_count(3)?)))?;
            ruling_of(logged, used).map(Found::Ruling)
        }
        ("imported", _) => {
            session.one(sql::EVENT_BY_SEQ, values![seq], log::logged).and_then(imported_of).map(Found::Imported)
        }
        (other, _) => Err(StoreError::Corrupt(format!("record {seq} is of kind {other:?}, and not whole"))),
    }
}

fn ruling_of(logged: Logged, used_seq: Option<u64>) -> Result<RulingSummary, StoreError> {
    let Body::Line(LineEvent::Ruled { ruling, second, reason, .. }) = logged.event.body else {
        return Err(StoreError::Corrupt(format!("event {} is listed as a ruling", logged.receipt.seq)));
    };
    Ok(RulingSummary {
        seq: logged.receipt.seq,
        ruling: ruling.as_str().to_owned(),
        unit: ruling.unit().cloned(),
        at: logged.event.at,
        by: logged.event.operator,
        second,
        reason,
        used_seq,
    })
}

fn imported_of(logged: Logged) -> Result<ImportedRow, StoreError> {
    let Body::Line(LineEvent::Imported { source, unit, fingerprint, thing, date, conflicts, .. }) = logged.event.body
    else {
        return Err(StoreError::Corrupt(format!("event {} is listed as an imported row", logged.receipt.seq)));
    };
    Ok(ImportedRow { seq: logged.receipt.seq, source, unit, fingerprint, thing, date, conflicts })
}

/// Newest first by its event's number.
pub fn conflicts(
    session: &mut dyn Session,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<ImportedRow>, StoreError> {
    let before = after.map_or(Ok(i64::MAX), |cursor| stored(cursor.seq))?;
    let asked = values![before, i64::from(limit) + 1];
    let mut items = session.rows(sql::CONFLICTS, asked, |row| imported_of(log::logged(row)?))?;
    let more = items.len() > limit as usize;
    items.truncate(limit as usize);
    let next = items.last().filter(|_| more).map(|last| Cursor { value: None, seq: last.seq });
    Ok(Page { items, next })
}

/// A cursor names the lock whole: one event locks several units.
pub fn locked(session: &mut dyn Session, after: Option<&Cursor>, limit: u32) -> Result<Page<(Unit, Lock)>, StoreError> {
    let (before, of) = match after {
        None => (i64::MAX, LockKey::default()),
        Some(Cursor { value: None, seq }) => (stored(*seq)?, LockKey::default()),
        Some(Cursor { value: Some(value), seq }) => {
            (stored(*seq)?, serde_json::from_str(value).map_err(|_| no_cursor())?)
        }
    };
    let LockKey(product, serial, kind, fingerprint) = &of;
    let fingerprint = hex::decode(fingerprint).map_err(|_| no_cursor())?;
    let asked = values![before, product, serial, kind, &fingerprint, i64::from(limit) + 1];
    let mut rows = session.rows(sql::LOCKED, asked, |row| {
        let (product, serial) = (row.str(5)?, row.str(6)?);
        let unit = Unit { product: parse(product)?, serial: parse(serial)? };
        let key = LockKey(product.to_owned(), serial.to_owned(), row.str(0)?.to_owned(), hex::encode(row.blob(1)?));
        Ok((key, (unit, lock_of(row)?)))
    })?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = match rows.last().filter(|_| more) {
        Some((key, (_, lock))) => {
            let value = serde_json::to_string(key).map_err(StoreError::Encode)?;
            Some(Cursor { value: Some(value), seq: lock.seq })
        }
        None => None,
    };
    Ok(Page { items: rows.into_iter().map(|(_, item)| item).collect(), next })
}

/// Product, serial, kind, and the certificate in hexadecimal.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct LockKey(String, String, String, String);

/// Each once.
pub fn locked_after_register(session: &mut dyn Session) -> Result<Vec<Unit>, StoreError> {
    let mut units = session.rows(sql::LOCKED_AFTER_REGISTER, &[], |row| {
        Ok(Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? })
    })?;
    let mut known = std::collections::HashSet::new();
    units.retain(|unit| known.insert(unit.clone()));
    Ok(units)
}

pub fn units(session: &mut dyn Session, serial: &str) -> Result<Vec<Unit>, StoreError> {
    // What is no serial number names no unit.
    let Ok(known) = serial.parse::<crate::domain::BoardSerial>() else { return Ok(Vec::new()) };
    session.rows(sql::UNITS_OF_SERIAL, values![serial], |row| {
        Ok(Unit { product: parse(row.str(0)?)?, serial: known.clone() })
    })
}

pub fn unit(session: &mut dyn Session, unit: &Unit) -> Result<Option<UnitHistory>, StoreError> {
    let key = values![unit.product.as_str(), unit.serial.as_str()];
    let runs = run_logs(session, sql::RUNS_OF_UNIT, key)?;
    let rulings = session.rows(sql::RULINGS_OF_UNIT, key, log::logged)?;
    let imported = session.rows(sql::IMPORTED_OF_UNIT, key, log::logged)?;
    let withdrawn = withdrawn(session, unit)?;
    let locks = locks(session, unit)?;
    if runs.is_empty() && rulings.is_empty() && imported.is_empty() {
        return Ok(None);
    }
    Ok(Some(UnitHistory { unit: unit.clone(), runs, rulings, imported, withdrawn, locks }))
}

pub fn withdrawn(session: &mut dyn Session, unit: &Unit) -> Result<Vec<Logged>, StoreError> {
    session.rows(sql::WITHDRAWN_OF_UNIT, values![unit.product.as_str(), unit.serial.as_str()], log::logged)
}

pub fn locks(session: &mut dyn Session, unit: &Unit) -> Result<Vec<Lock>, StoreError> {
    session.rows(sql::LOCKS, values![unit.product.as_str(), unit.serial.as_str()], lock_of)
}

pub fn events(session: &mut dyn Session, seq: u64, limit: u32) -> Result<Vec<(Logged, Vec<u8>)>, StoreError> {
    let mut rows = session.rows(sql::EVENTS_FROM, values![stored(seq)?, i64::from(limit)], log::stored_event)?;
    for row in &mut rows {
        log::fetch(session, row)?;
    }
    rows.into_iter().map(|row| Ok((log::opened(&row)?, row.bytes))).collect()
}

pub fn leaves(session: &mut dyn Session, seqs: &[u64]) -> Result<Vec<Vec<u8>>, StoreError> {
    seqs.iter()
        .map(|seq| {
            let row = session.row(sql::EVENT_BY_SEQ, values![stored(*seq)?], log::stored_event)?;
            let mut row = row.ok_or_else(|| StoreError::Illegal(format!("there is no event {seq}")))?;
            log::fetch(session, &mut row)?;
            log::opened(&row).map(|_| row.bytes)
        })
        .collect()
}

pub fn origin(session: &mut dyn Session) -> Result<Option<String>, StoreError> {
    session.row(sql::ORIGIN, &[], |row| Ok(row.str(0)?.to_owned()))
}

pub fn keys(session: &mut dyn Session) -> Result<Vec<LogKey>, StoreError> {
    session.rows(sql::LOG_KEYS, &[], |row| {
        let role = match row.str(1)? {
            "station" => LogKeyRole::Station,
            "cosigner" => LogKeyRole::Cosigner,
            other => return Err(StoreError::Corrupt(format!("{other:?} is no role of a key"))),
        };
        Ok(LogKey {
            key: row.str(0)?.to_owned(),
            role,
            station: parse(row.str(2)?)?,
            added_seq: row.count(3)?,
            replaced_seq: row.opt_count(4)?,
        })
    })
}

pub fn checkpoints(session: &mut dyn Session, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, StoreError> {
    session.rows(sql::CHECKPOINTS_FROM, values![stored(from)?, i64::from(limit)], checkpoint_of)
}

pub fn latest_checkpoint(session: &mut dyn Session) -> Result<Option<StoredCheckpoint>, StoreError> {
    session.row(sql::LATEST_CHECKPOINT, &[], checkpoint_of)
}

fn checkpoint_of(row: &dyn Row) -> Result<StoredCheckpoint, StoreError> {
    Ok(StoredCheckpoint { size: number(row.i64(0)?)?, note: row.str(1)?.to_owned() })
}

/// A note of the same text gains the signatures that it did not have; another text of the same size is
/// refused: two stations would vouch for two logs.
pub fn keep_checkpoint(session: &mut dyn Session, checkpoint: &StoredCheckpoint) -> Result<(), StoreError> {
    let size = stored(checkpoint.size)?;
    let known = session.row(sql::CHECKPOINT, values![size], checkpoint_of)?;
    let note = match known {
        Some(known) => joined(&known.note, &checkpoint.note).ok_or_else(|| {
            StoreError::Corrupt(format!("another checkpoint of {size} leaves is stored: the log has two stories"))
        })?,
        None => checkpoint.note.clone(),
    };
    session.execute(sql::KEEP_CHECKPOINT, values![size, &note])?;
    Ok(())
}

/// One note with the signatures of both; `None`: they say different things.
fn joined(known: &str, new: &str) -> Option<String> {
    let (text, signatures) = known.split_once("\n\n")?;
    let (new_text, more) = new.split_once("\n\n")?;
    if text != new_text {
        return None;
    }
    let mut note = known.to_owned();
    for line in more.lines().filter(|line| !signatures.lines().any(|known| known == *line)) {
        note.push_str(line);
        note.push('\n');
    }
    Some(note)
}

pub fn newest_run(session: &mut dyn Session) -> Result<Option<u64>, StoreError> {
    session.one(sql::NEWEST_RUN, &[], |row| row.opt_count(0))
}

pub fn rollback_ruling(session: &mut dyn Session) -> Result<Option<Logged>, StoreError> {
    session.row(sql::ROLLBACK_RULING, &[], log::logged)
}

/// People who operated a run of the unit: they may not rule on it.
pub fn operators_of(session: &mut dyn Session, unit: &Unit) -> Result<Vec<Uuid>, StoreError> {
    session.rows(sql::OPERATORS_OF_UNIT, values![unit.product.as_str(), unit.serial.as_str()], |row| {
        row.array(0).map(Uuid::from_bytes)
    })
}
