//! A history that was made elsewhere becomes events.

mod csv;

pub use self::csv::{BadLine, Columns, Row, Rows, read};

use super::log::LogWriter;
use crate::audit::event::{ImportConflict, ImportSource};
use crate::audit::{Body, LineEvent};
use crate::domain::{EventId, Failure, ReasonCode, Sha256};
use crate::ports::{Imports, Logged};

/// So many rows are one transaction: what a kill can undo, and what others wait for.
const CHUNK: usize = 500;

/// What became of a file.
#[derive(Debug, Clone)]
pub struct Taken {
    pub rows: u64,
    /// Those that the log did not have already.
    pub new: u64,
    /// Rows that contradict the log or each other, as they stand in the log.
    pub conflicts: Vec<Logged>,
}

/// Takes all rows in, in their order. An event's id follows from its row, so taking the same file in
/// once more adds what is missing, and nothing else. `told`: rows that are done, now and then.
pub async fn import(
    log: &LogWriter,
    imports: &dyn Imports,
    rows: &Rows,
    told: &mut dyn FnMut(u64),
) -> Result<Taken, Failure> {
    let size = log.store.head().await?.size;
    let mut taken = Taken { rows: 0, new: 0, conflicts: Vec::new() };
    let mut all = Vec::new();
    for chunk in rows.rows.chunks(CHUNK) {
        let mut events = Vec::with_capacity(chunk.len());
        for row in chunk {
            let id = id_of(rows.file, row)?;
            all.extend_from_slice(id.as_uuid().as_bytes());
            events.push(log.line_event_as(id, event_of(rows.file, row)));
        }
        for logged in imports.import(events).await? {
            taken.rows += 1;
            taken.new += u64::from(logged.receipt.seq >= size);
            if !conflicts_of(&logged).is_empty() {
                taken.conflicts.push(logged);
            }
        }
        told(taken.rows);
    }
    // Of the very rows, since one file can be read in two ways.
    let id = derived("ended", &all);
    let conflicts = taken.conflicts.len() as u64;
    let ended = LineEvent::ImportEnded { file: rows.file, rows: taken.rows, conflicts };
    log.append(vec![log.line_event_as(id, ended)]).await?;
    Ok(taken)
}

/// What an imported row contradicts.
pub fn conflicts_of(logged: &Logged) -> &[ImportConflict] {
    match &logged.event.body {
        Body::Line(LineEvent::Imported { conflicts, .. }) => conflicts,
        _ => &[],
    }
}

fn event_of(file: Sha256, row: &Row) -> LineEvent {
    let Row { line, unit, fingerprint, spki, certificate, uid, thing, date } = row.clone();
    let source = ImportSource { file, line };
    LineEvent::Imported { source, unit, fingerprint, spki, certificate, uid, thing, date, conflicts: Vec::new() }
}

/// From what the row says alone: a later version of this program must come to the same.
fn id_of(file: Sha256, row: &Row) -> Result<EventId, Failure> {
    let Row { line, unit, fingerprint, spki: _, certificate, uid: _, thing, date } = row;
    let said = (file, line, &unit.product, &unit.serial, fingerprint, certificate, thing, date);
    let bytes = serde_json::to_vec(&said).map_err(|error| Failure::new(ReasonCode::STORE_FAILED, error.to_string()))?;
    Ok(derived("row", &bytes))
}

fn derived(what: &str, bytes: &[u8]) -> EventId {
    let hash = Sha256::of(&[b"lineseal import v1 ", what.as_bytes(), b"\0", bytes].concat());
    let (id, _) = hash.as_bytes().split_at(16);
    EventId::from_random(id.try_into().unwrap_or_default())
}
