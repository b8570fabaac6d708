//! A run, a ruling or an imported row as a line, for people and for programs.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::output;
use super::labels::time;
use super::reader::Reader;
use super::table::{self, Column, left, right};
use crate::domain::{Failure, ReasonCode, Unit};
use crate::ports::{Found, ImportedRow, Logged, RulingSummary, RunSummary};

const COLUMNS: [Column; 7] = [
    right("event"),
    left("time (UTC)", 19),
    left("station", 12),
    left("serial", 24),
    left("verdict", 8),
    left("reason", 6),
    left("thing, or words", 0),
];

pub async fn print(reader: &mut Reader, items: &[Found], as_json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for item in items {
        if as_json {
            // Whoever stopped reading has seen enough.
            output::json(&json_of(reader, item).await?).unwrap_or_default();
        } else {
            rows.push(row(reader, item).await?);
        }
    }
    table::print(&COLUMNS, &rows);
    Ok(())
}

async fn row(reader: &Reader, found: &Found) -> Result<[String; 7], Failure> {
    let none = || "-".to_owned();
    let serial = |unit: Option<&Unit>| unit.map_or_else(none, |unit| unit.serial.to_string());
    let event = found.seq().to_string();
    Ok(match found {
        Found::Run(run) => [
            event,
            time(run.started),
            run.station.to_string(),
            serial(run.unit.as_ref()),
            run.verdict.map_or("open", |verdict| verdict.as_str()).to_owned(),
            run.reason.map_or_else(none, |reason| reason.to_string()),
            run.thing.as_ref().map_or_else(none, ToString::to_string),
        ],
        Found::Ruling(ruling) => [
            event,
            time(ruling.at),
            none(),
            serial(ruling.unit.as_ref()),
            ruling.ruling.clone(),
            none(),
            reader.text(&ruling.reason).await?.unwrap_or_else(|| "forgotten".to_owned()),
        ],
        Found::Imported(row) => [
            event,
            row.date.map_or_else(none, time),
            none(),
            serial(Some(&row.unit)),
            if row.conflicts.is_empty() { "imported" } else { "conflict" }.to_owned(),
            none(),
            row.thing.as_ref().map_or_else(none, ToString::to_string),
        ],
    })
}

pub async fn json_of(reader: &mut Reader, found: &Found) -> Result<Value, Failure> {
    match found {
        Found::Run(run) => run_json(reader, run).await,
        Found::Ruling(ruling) => ruling_json(reader, ruling).await,
        Found::Imported(row) => Ok(imported_json(row)),
    }
}

async fn run_json(reader: &mut Reader, run: &RunSummary) -> Result<Value, Failure> {
    Ok(json!({
        "kind": "run", "seq": run.first_seq, "run": run.run, "station": run.station, "product": run.product,
        "serial": run.unit.as_ref().map(|unit| &unit.serial), "batch": run.batch,
        "operator": reader.who_json(run.operator).await?, "thing": run.thing, "certificate_sha256": run.fingerprint,
        "chip_uid": run.uid, "verdict": run.verdict, "reason": run.reason, "started": run.started,
        "finished": run.finished,
    }))
}

async fn ruling_json(reader: &mut Reader, ruling: &RulingSummary) -> Result<Value, Failure> {
    let words = reader.text(&ruling.reason).await?;
    let reason = json!({
        "id": ruling.reason.id, "text_sha256": ruling.reason.text_sha256, "forgotten": words.is_none(), "text": words,
    });
    Ok(json!({
        "kind": "ruling", "seq": ruling.seq, "ruling": ruling.ruling,
        "product": ruling.unit.as_ref().map(|unit| &unit.product),
        "serial": ruling.unit.as_ref().map(|unit| &unit.serial), "at": ruling.at,
        "by": reader.who_json(ruling.by.as_ref().map(|by| by.id)).await?,
        "second": reader.who_json(ruling.second.as_ref().map(|second| second.id)).await?,
        "reason": reason, "used_by": ruling.used_seq,
    }))
}

pub fn imported_json(row: &ImportedRow) -> Value {
    let conflicts: Vec<Value> = row
        .conflicts
        .iter()
        .map(|conflict| {
            json!({
                "rule": conflict.rule, "product": conflict.unit.product, "serial": conflict.unit.serial,
                "certificate_sha256": conflict.fingerprint, "seq": conflict.seq,
            })
        })
        .collect();
    json!({
        "kind": "imported", "seq": row.seq, "product": row.unit.product, "serial": row.unit.serial,
        "certificate_sha256": row.fingerprint, "thing": row.thing, "date": row.date, "file": row.source.file,
        "line": row.source.line, "conflicts": conflicts,
    })
}

/// An event as a program gets it: its bytes are those of the leaf.
#[derive(serde::Serialize)]
struct Written<'a> {
    seq: u64,
    leaf: String,
    operator: Value,
    event: &'a RawValue,
}

pub async fn print_event(reader: &mut Reader, logged: &Logged, bytes: &[u8]) -> Result<(), Failure> {
    let Logged { receipt, event } = logged;
    let unreadable =
        |error: serde_json::Error| Failure::new(ReasonCode::STORE_CORRUPT, format!("event {}: {error}", receipt.seq));
    let operator = reader.who_json(event.operator.as_ref().map(|operator| operator.id)).await?;
    let raw = serde_json::from_slice(bytes).map_err(unreadable)?;
    let written = Written { seq: receipt.seq, leaf: receipt.leaf.to_hex(), operator, event: raw };
    output::json(&written).unwrap_or_default();
    Ok(())
}
