//! Everything that the log knows of a unit.

use serde_json::{Value, json};

use super::super::super::exit;
use super::super::super::output::{self, data, plain};
use super::super::found::{imported_json, json_of};
use super::super::labels::{field, heading, time, word};
use super::super::list::{lock_json, may_be_active, why};
use super::super::reader::Reader;
use super::{Telling, print_certificates, run, unknown};
use crate::audit::event::Ruling;
use crate::audit::{Body, LineEvent};
use crate::domain::{Failure, Fingerprint, KnownIdentity, ReasonCode, Unit};
use crate::ports::{Cursor, Found, ImportedRow, Lock, Logged, Page, RulingSummary, RunLog, RunSummary, Search};
use crate::texts::Language;

/// How many records are asked for at a time.
const PAGE: u32 = 500;

enum Item {
    Run(RunLog),
    /// Its events are in an archive that is not at hand.
    Archived(RunSummary),
    Ruling(RulingSummary, Logged),
    Imported(ImportedRow, Logged),
}

pub async fn show(reader: &mut Reader, unit: &Unit, telling: &Telling<'_>) -> Result<u8, Failure> {
    let (items, archived) = items_of(reader, unit).await?;
    if items.is_empty() {
        return Err(unknown(format!("the log knows no unit {unit}")));
    }
    let code = archived.as_ref().map_or(exit::DONE, exit::of_failure);
    if let Some(failure) = &archived {
        output::failure(failure, telling.language);
    }
    if telling.certificate {
        let (claimed, read) = certificates(&items);
        return Ok(print_certificates(&claimed, &read).max(code));
    }
    let locks = reader.history.locks(unit).await?;
    let withdrawn = reader.history.withdrawn(unit).await?;
    if telling.json {
        for item in &items {
            output::json(&item_json(reader, item).await?).unwrap_or_default();
        }
        for logged in &withdrawn {
            output::json(&withdrawn_json(unit, logged)).unwrap_or_default();
        }
        for lock in &locks {
            output::json(&lock_json(unit, lock, telling.language)).unwrap_or_default();
        }
        return Ok(code);
    }
    data(&plain(&unit.to_string()));
    tell_locks(&locks, telling.language);
    if !locks.is_empty() {
        for target in may_be_active(reader, unit).await? {
            field("may be ACTIVE", format!("its certificate in {target}"));
        }
    }
    if let Some(binding) = reader.history.binding(unit).await? {
        identity("bound to", &binding);
    }
    for item in &items {
        match item {
            Item::Run(log) => run::tell(reader, log, telling.language).await?,
            Item::Archived(run) => tell_archived(reader, run).await?,
            Item::Ruling(ruling, logged) => {
                tell_ruling(reader, ruling, logged).await?;
                tell_withdrawn(logged, &withdrawn);
            }
            Item::Imported(row, _) => tell_imported(row),
        }
    }
    Ok(code)
}

/// Oldest first, and L-527 where events of a run are in an archive.
async fn items_of(reader: &Reader, unit: &Unit) -> Result<(Vec<Item>, Option<Failure>), Failure> {
    let (mut items, mut archived) = (Vec::new(), None);
    for found in records_of(reader, unit).await? {
        items.push(match found {
            Found::Run(summary) => match reader.store.run(summary.run).await {
                Ok(Some(log)) => Item::Run(log),
                Ok(None) => {
                    let cause = format!("run {} is listed, and has no events", summary.run);
                    return Err(Failure::new(ReasonCode::STORE_CORRUPT, cause));
                }
                Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => {
                    archived.get_or_insert(failure);
                    Item::Archived(summary)
                }
                Err(failure) => return Err(failure),
            },
            Found::Ruling(ruling) => {
                let logged = event(reader, ruling.seq).await?;
                Item::Ruling(ruling, logged)
            }
            Found::Imported(row) => {
                let logged = event(reader, row.seq).await?;
                Item::Imported(row, logged)
            }
        });
    }
    Ok((items, archived))
}

async fn event(reader: &Reader, seq: u64) -> Result<Logged, Failure> {
    let event = reader.history.events(seq, 1).await?.pop().map(|(logged, _)| logged);
    event
        .filter(|logged| logged.receipt.seq == seq)
        .ok_or_else(|| Failure::new(ReasonCode::STORE_CORRUPT, format!("event {seq} is missing")))
}

async fn records_of(reader: &Reader, unit: &Unit) -> Result<Vec<Found>, Failure> {
    let search =
        Search { serial: Some(unit.serial.to_string()), product: Some(unit.product.clone()), ..Search::default() };
    let (mut records, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let Page { items, next } = reader.history.search(&search, after.as_ref(), PAGE).await?;
        let found = items.len();
        records.extend(items.into_iter().filter(|found| unit_of(found) == Some(unit)));
        // The search is for a beginning, ordered by the serial number: the very one comes first.
        let past = next.as_ref().is_some_and(|next| next.value.as_deref() != Some(unit.serial.as_str()));
        after = next;
        if found == 0 || past || after.is_none() {
            break;
        }
    }
    records.sort_by_key(Found::seq);
    Ok(records)
}

fn unit_of(found: &Found) -> Option<&Unit> {
    match found {
        Found::Run(run) => run.unit.as_ref(),
        Found::Ruling(ruling) => ruling.unit.as_ref(),
        Found::Imported(row) => Some(&row.unit),
    }
}

fn certificates(items: &[Item]) -> (Vec<Fingerprint>, Vec<&[u8]>) {
    let (mut claimed, mut read) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Run(log) => run::certificates(log, &mut claimed, &mut read),
            Item::Imported(row, logged) => {
                if row.conflicts.is_empty() {
                    claimed.push(row.fingerprint);
                }
                if let Body::Line(LineEvent::Imported { certificate: Some(certificate), .. }) = &logged.event.body {
                    read.push(certificate);
                }
            }
            Item::Archived(_) | Item::Ruling(..) => {}
        }
    }
    (claimed, read)
}

async fn item_json(reader: &mut Reader, item: &Item) -> Result<Value, Failure> {
    let (mut object, more) = match item {
        Item::Run(log) => return run::json_of(reader, log).await,
        Item::Archived(run) => (json_of(reader, &Found::Run(run.clone())).await?, json!({ "archived": true })),
        Item::Ruling(ruling, logged) => (json_of(reader, &Found::Ruling(ruling.clone())).await?, as_logged(logged)),
        Item::Imported(row, logged) => (imported_json(row), as_logged(logged)),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    Ok(object)
}

fn as_logged(logged: &Logged) -> Value {
    json!({ "leaf": logged.receipt.leaf.to_hex(), "event": logged.event.to_json().unwrap_or_default() })
}

fn tell_locks(locks: &[Lock], language: &Language) {
    if locks.is_empty() {
        return field("locked", "no");
    }
    for lock in locks {
        let by = match &lock.run {
            Some(run) => format!("event {} of run {run}", lock.seq),
            None => format!("event {}", lock.seq),
        };
        field("locked", why(lock, language));
        field("  by", by);
    }
}

async fn tell_archived(reader: &mut Reader, run: &RunSummary) -> Result<(), Failure> {
    heading(&format!("run {}  {}", run.run, run.verdict.map_or("open", |verdict| verdict.as_str())));
    field("events", format!("from {}, in an archive", run.first_seq));
    field("station", &run.station);
    if let Some(operator) = run.operator {
        field("operator", reader.who(operator).await?);
    }
    if let Some(batch) = &run.batch {
        field("batch", batch);
    }
    field("started", format!("{} UTC", time(run.started)));
    if let Some(finished) = run.finished {
        field("finished", format!("{} UTC", time(finished)));
    }
    if let Some(reason) = run.reason {
        field("reason", reason);
    }
    if let Some(fingerprint) = run.fingerprint {
        field("certificate", fingerprint);
    }
    if let Some(uid) = &run.uid {
        field("chip UID", uid);
    }
    if let Some(thing) = &run.thing {
        field("thing", thing);
    }
    Ok(())
}

async fn tell_ruling(reader: &mut Reader, summary: &RulingSummary, logged: &Logged) -> Result<(), Failure> {
    heading(&format!("ruling: {}", summary.ruling));
    field("event", format!("{}, leaf hash {}", summary.seq, logged.receipt.leaf.to_hex()));
    field("time", format!("{} UTC", time(summary.at)));
    for (label, person) in [("by", &summary.by), ("second", &summary.second)] {
        if let Some(person) = person {
            field(label, reader.who(person.id).await?);
        }
    }
    field("reason", reader.text(&summary.reason).await?.unwrap_or_else(|| "forgotten".to_owned()));
    if let Body::Line(LineEvent::Ruled { ruling, evidence, references, .. }) = &logged.event.body {
        if let Ruling::Rebind { old, new, run, .. } = ruling {
            identity("from the chip", old);
            identity("to the chip", &new.clone().into());
            field("proven by run", run);
        }
        for file in evidence {
            field("evidence", &file.name);
            field("  SHA-256", file.sha256);
        }
        for text in references {
            field("evidence", reader.text(text).await?.unwrap_or_else(|| "forgotten".to_owned()));
        }
    }
    // Only these open a run, and one only.
    if matches!(&*summary.ruling, "release" | "rebind") {
        field("used up", summary.used_seq.map_or_else(|| "not yet".to_owned(), |seq| format!("by event {seq}")));
    }
    Ok(())
}

/// Target by target, what became of a withdrawal.
fn tell_withdrawn(ruling: &Logged, withdrawn: &[Logged]) {
    let Body::Line(LineEvent::Ruled { ruling: Ruling::Withdraw { act, targets, .. }, .. }) = &ruling.event.body else {
        return;
    };
    field("act", word(act));
    for holding in targets {
        field("target", &holding.target);
        let mut done = false;
        for logged in withdrawn {
            let Body::Line(LineEvent::Withdrawn { by, target, changed, found, failure, .. }) = &logged.event.body
            else {
                continue;
            };
            if *by != ruling.event.id || *target != holding.target {
                continue;
            }
            done |= failure.is_none();
            let what = match failure {
                Some(failure) => format!("something is left: {failure}"),
                None if changed.is_empty() => "nothing was left".to_owned(),
                None => changed.join(", "),
            };
            field("  then", format!("{what} (event {})", logged.receipt.seq));
            for certificate in found {
                field("  found", format!("certificate {certificate}, which no run had recorded"));
            }
        }
        if !done {
            field("  left", "not finished: the same undo goes on with it");
        }
    }
}

fn withdrawn_json(unit: &Unit, logged: &Logged) -> Value {
    let mut object = json!({
        "kind": "withdrawn", "seq": logged.receipt.seq, "product": unit.product, "serial": unit.serial,
        "at": logged.event.at,
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, as_logged(logged)) {
        object.extend(more);
    }
    object
}

fn identity(label: &str, KnownIdentity { fingerprint, spki, uid }: &KnownIdentity) {
    field(label, fingerprint);
    if let Some(spki) = spki {
        field("  SPKI SHA-256", spki);
    }
    if let Some(uid) = uid {
        field("  chip UID", uid);
    }
}

fn tell_imported(row: &ImportedRow) {
    heading("imported row");
    field("event", row.seq);
    field("from file", format!("{}, line {}", row.source.file, row.source.line));
    if let Some(date) = row.date {
        field("date", format!("{} UTC", time(date)));
    }
    field("certificate", row.fingerprint);
    if let Some(thing) = &row.thing {
        field("thing", thing);
    }
    for conflict in &row.conflicts {
        field("contradicts", format!("event {} in its {}: {}", conflict.seq, word(&conflict.rule), conflict.unit));
        field("  certificate", conflict.fingerprint);
    }
}
