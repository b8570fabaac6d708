//! `lineseal audit list`: what happened, newest first.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;

use super::super::{Global, exit, output};
use super::found;
use super::labels::{time, word};
use super::paging::{self, Next, Paging};
use super::reader::{self, Reader};
use super::table::{self, right};
use crate::audit::{Body, LineEvent, RunEvent};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, RunId, TargetName, Unit};
use crate::ports::{Cursor, ImportedRow, Lock, LockKind, Logged, Page, Search};
use crate::provisioning::left;
use crate::texts::{Language, reasons};

#[derive(clap::Args)]
pub struct Options {
    /// Units that wait for a ruling, and why.
    #[arg(long, conflicts_with_all = ["conflicts", "events"])]
    locked: bool,
    /// Imported rows that contradict something, and what.
    #[arg(long, conflicts_with = "events")]
    conflicts: bool,
    /// Every single event.
    #[arg(long)]
    events: bool,
    /// Events from this number on, oldest first.
    #[arg(long, value_name = "SEQ", requires = "events", conflicts_with = "after")]
    from: Option<u64>,
    #[command(flatten)]
    paging: Paging,
}

pub fn main(global: &Global, config: &Config, options: Options) -> ExitCode {
    reader::perform(global, config, async |reader, language| {
        let Options { locked, conflicts, events, from, paging: Paging { limit, after } } = options;
        let after = after.as_ref();
        let next = match (locked, conflicts, events) {
            (true, ..) => {
                let Page { items, next } = reader.history.locked(after, limit).await?;
                let active = active_of(reader, &items).await?;
                print_locked(&items, &active, global.json, language);
                next.map(Next::After)
            }
            (_, true, _) => {
                let Page { items, next } = reader.history.conflicts(after, limit).await?;
                print_conflicts(&items, global.json);
                next.map(Next::After)
            }
            (.., true) => events_page(reader, from, after, limit, global.json).await?,
            _ => {
                let Page { items, next } = reader.history.search(&Search::default(), after, limit).await?;
                found::print(reader, &items, global.json).await?;
                if items.is_empty() {
                    nothing("nothing is in the log yet");
                }
                next.map(Next::After)
            }
        };
        paging::tell(next.as_ref(), global.json);
        Ok(exit::DONE)
    })
}

fn nothing(text: &str) {
    output::say(text);
}

/// Where the certificates of locked units may be ACTIVE all the same.
async fn active_of(reader: &Reader, items: &[(Unit, Lock)]) -> Result<BTreeMap<Unit, Vec<TargetName>>, Failure> {
    let mut active = BTreeMap::new();
    for (unit, _) in items {
        if !active.contains_key(unit) {
            active.insert(unit.clone(), may_be_active(reader, unit).await?);
        }
    }
    Ok(active)
}

/// Of a unit that is locked.
pub async fn may_be_active(reader: &Reader, unit: &Unit) -> Result<Vec<TargetName>, Failure> {
    match reader.history.unit(unit).await {
        Ok(history) => Ok(history.iter().flat_map(left::left).flat_map(|left| left.targets).collect()),
        // In an archive that is not at hand.
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

fn print_locked(items: &[(Unit, Lock)], active: &BTreeMap<Unit, Vec<TargetName>>, as_json: bool, language: &Language) {
    let active = |unit: &Unit| active.get(unit).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return nothing("no unit waits for a ruling");
    }
    if as_json {
        for (unit, lock) in items {
            let mut told = lock_json(unit, lock, language);
            told["may_be_active"] = json!(active(unit));
            output::json(&told).unwrap_or_default();
        }
        return;
    }
    let columns = [right("event"), table::left("product", 20), table::left("serial", 24), table::left("why", 0)];
    let row = |(unit, lock): &(Unit, Lock)| {
        // First what is urgent: the end of a long line is cut off.
        let urgent = active(unit).iter().map(|target| format!("may be ACTIVE in {target}; "));
        let why = urgent.chain([why(lock, language)]).collect::<String>();
        [lock.seq.to_string(), unit.product.to_string(), unit.serial.to_string(), why]
    };
    table::print(&columns, &items.iter().map(row).collect::<Vec<_>>());
}

pub fn lock_json(unit: &Unit, lock: &Lock, language: &Language) -> serde_json::Value {
    let kind = match lock.kind {
        LockKind::Failed => "failed",
        LockKind::Scrapped => "scrapped",
        LockKind::Conflict => "conflict",
        LockKind::Withdrawn => "withdrawn",
    };
    json!({
        "kind": "lock", "seq": lock.seq, "product": unit.product, "serial": unit.serial, "lock": kind,
        "run": lock.run, "reason": lock.reason, "why": why(lock, language),
    })
}

pub fn why(lock: &Lock, language: &Language) -> String {
    let titled = |code: ReasonCode| format!("{code} {}", reasons().text(language, &Failure::new(code, "")).title);
    match (lock.kind, lock.reason) {
        (LockKind::Failed, Some(code)) if code.names_another_unit() => {
            format!("FAIL {} (for that chip only, not for one of its own)", titled(code))
        }
        (LockKind::Failed, Some(code)) => format!("FAIL {}", titled(code)),
        (LockKind::Failed, None) => "FAIL".to_owned(),
        (LockKind::Scrapped, _) => titled(ReasonCode::UNIT_SCRAPPED),
        (LockKind::Conflict, _) => titled(ReasonCode::IMPORT_CONFLICT),
        (LockKind::Withdrawn, _) => titled(ReasonCode::UNIT_WITHDRAWN),
    }
}

fn print_conflicts(items: &[ImportedRow], as_json: bool) {
    if items.is_empty() {
        return nothing("no imported row contradicts anything");
    }
    if as_json {
        items.iter().for_each(|row| output::json(&found::imported_json(row)).unwrap_or_default());
        return;
    }
    let columns = [
        right("event"),
        right("line"),
        table::left("serial", 20),
        table::left("certificate", 12),
        table::left("differs in", 11),
        right("from event"),
        table::left("of certificate", 14),
        table::left("of unit", 0),
    ];
    let rows = items.iter().flat_map(|row| {
        row.conflicts.iter().map(|other| {
            [
                row.seq.to_string(),
                row.source.line.to_string(),
                row.unit.serial.to_string(),
                row.fingerprint.to_string(),
                word(&other.rule),
                other.seq.to_string(),
                other.fingerprint.to_string(),
                other.unit.serial.to_string(),
            ]
        })
    });
    table::print(&columns, &rows.collect::<Vec<_>>());
}

/// Raw events: back from the end of the log, or on from a number.
async fn events_page(
    reader: &mut Reader,
    from: Option<u64>,
    after: Option<&Cursor>,
    limit: u32,
    as_json: bool,
) -> Result<Option<Next>, Failure> {
    let size = reader.history.tree_head().await?.size;
    let (first, past) = match from {
        Some(from) => (from.min(size), from.saturating_add(u64::from(limit)).min(size)),
        None => {
            let past = after.map_or(size, |cursor| cursor.seq.min(size));
            (past.saturating_sub(u64::from(limit)), past)
        }
    };
    let count = u32::try_from(past - first).unwrap_or(limit);
    let mut events = match count {
        0 => Vec::new(),
        _ => whole(reader, first, count).await?,
    };
    let next = match from {
        Some(_) => (past < size).then_some(Next::From(past)),
        None => {
            events.reverse();
            (first > 0).then_some(Next::After(Cursor { value: None, seq: first }))
        }
    };
    if events.is_empty() {
        nothing("there are no such events");
    }
    let none = || "-".to_owned();
    let mut rows = Vec::new();
    for held in &events {
        let (logged, bytes) = match held {
            Held::Here(logged, bytes) => (logged, bytes),
            Held::Archived { first, last } if as_json => {
                output::json(&json!({ "kind": "archived", "first": first, "last": last })).unwrap_or_default();
                continue;
            }
            Held::Archived { first, last } => {
                let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
                let what = "archived".to_owned();
                rows.push([range, none(), none(), what, none(), "in an archive that is not at hand".to_owned()]);
                continue;
            }
        };
        if as_json {
            found::print_event(reader, logged, bytes).await?;
            continue;
        }
        let name = match &logged.event.operator {
            Some(operator) => reader.who(operator.id).await?.to_string(),
            None => "-".to_owned(),
        };
        let (what, about) = about(logged);
        rows.push([
            logged.receipt.seq.to_string(),
            time(logged.event.at),
            logged.event.station.to_string(),
            what,
            name,
            about,
        ]);
    }
    let columns = [
        right("event"),
        table::left("time (UTC)", 19),
        table::left("station", 12),
        table::left("what", 18),
        table::left("operator", 14),
        table::left("unit, or run", 0),
    ];
    table::print(&columns, &rows);
    Ok(next)
}

/// What a page has at a place.
enum Held {
    Here(Box<Logged>, Vec<u8>),
    /// Events in a row whose bytes are in an archive that is not at hand.
    Archived {
        first: u64,
        last: u64,
    },
}

async fn whole(reader: &Reader, first: u64, count: u32) -> Result<Vec<Held>, Failure> {
    match reader.history.events(first, count).await {
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => {}
        answer => return Ok(answer?.into_iter().map(|(logged, bytes)| Held::Here(Box::new(logged), bytes)).collect()),
    }
    let mut held = Vec::new();
    for seq in first..first + u64::from(count) {
        match (reader.history.events(seq, 1).await, held.last_mut()) {
            (Err(failure), Some(Held::Archived { last, .. })) if failure.code == ReasonCode::LOG_ARCHIVED => {
                *last = seq
            }
            (Err(failure), _) if failure.code == ReasonCode::LOG_ARCHIVED => {
                held.push(Held::Archived { first: seq, last: seq });
            }
            (answer, _) => held.extend(answer?.into_iter().map(|(logged, bytes)| Held::Here(Box::new(logged), bytes))),
        }
    }
    Ok(held)
}

/// The event's name, and the unit or run that it is about.
fn about(logged: &Logged) -> (String, String) {
    let name = logged.event.to_json().map_or_else(|_| String::new(), |written| word(&written["event"]));
    let unit = match &logged.event.body {
        Body::Run(RunEvent::Identified { unit, .. } | RunEvent::Claimed { unit, .. }) => Some(unit),
        Body::Line(LineEvent::Imported { unit, .. } | LineEvent::Withdrawn { unit, .. }) => Some(unit),
        Body::Line(LineEvent::Ruled { ruling, .. }) => ruling.unit(),
        _ => None,
    };
    let run = || logged.event.run.as_ref().map(RunId::to_string);
    let about = unit.map(|unit| unit.serial.to_string()).or_else(run).unwrap_or_else(|| "-".to_owned());
    (name, about)
}
