//! Everything that is derived from events, derived in one place: live, and when it is rebuilt.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction};

use super::error::StoreError;
use super::{log, sql};
use crate::audit::event::{LabelKind, LabelStatus, Standing};
use crate::audit::{Body, Event, LineEvent, RunEvent};
use crate::domain::RunId;

/// What the derived tables mean. Raise it with every change of [`project`] or of their layout: a
/// database with a lower number is derived again at the next start.
pub(super) const PROJECTION: i64 = 1;

/// All derived tables.
const TABLES: [&str; 6] = ["run_events", "runs", "labels", "bindings", "batches", "batch_stations"];

/// Derives from one event. Fails on what cannot follow from the events before it.
pub(super) fn project(transaction: &Connection, seq: u64, event: &Event) -> Result<(), StoreError> {
    let seq = log::stored(seq)?;
    match &event.body {
        Body::Run(happened) => {
            let run = event
                .run
                .ok_or_else(|| StoreError::Illegal(format!("event {} of a run does not say of which", event.id)))?;
            transaction.prepare_cached(sql::PROJECT_RUN_EVENT)?.execute((bytes(&run), seq))?;
            project_run(transaction, seq, event, run, happened)
        }
        Body::Line(happened) => project_line(transaction, seq, event, happened),
    }
}

/// Empties all derived tables and derives them again from every event, in order.
pub(super) fn rebuild(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    for table in TABLES {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    let mut statement = transaction.prepare(sql::EVENTS_FROM)?;
    let mut rows = statement.query([0])?;
    while let Some(row) = rows.next()? {
        let logged = log::logged(row)?;
        project(transaction, logged.receipt.seq, &logged.event)?;
    }
    transaction.pragma_update(None, "user_version", PROJECTION)?;
    Ok(())
}

fn project_run(
    transaction: &Connection,
    seq: i64,
    event: &Event,
    run: RunId,
    happened: &RunEvent,
) -> Result<(), StoreError> {
    let key = bytes(&run);
    let station = event.station.as_str();
    match happened {
        RunEvent::RunStarted { lane, device, profile, product, batch } => {
            transaction.prepare_cached(sql::PROJECT_RUN_STARTED)?.execute((
                seq,
                key,
                station,
                lane.get(),
                device.path.as_str(),
                profile,
                product.as_str(),
                batch.as_ref().map(|batch| batch.as_str()),
                event.operator.as_ref().map(|operator| *operator.id.as_bytes()),
                nanoseconds(event.at),
            ))?;
        }
        RunEvent::Identified { unit, .. } => {
            transaction.prepare_cached(sql::PROJECT_IDENTIFIED)?.execute((
                key,
                unit.product.as_str(),
                unit.serial.as_str(),
            ))?;
        }
        RunEvent::Claimed { unit, identity, standing: Standing::New, .. } => {
            transaction.prepare_cached(sql::PROJECT_CLAIMED)?.execute((
                seq,
                unit.product.as_str(),
                unit.serial.as_str(),
                identity.fingerprint.as_bytes(),
                identity.spki.as_bytes(),
                identity.uid.as_ref().map(|uid| uid.as_str()),
                key,
            ))?;
        }
        RunEvent::RegisterIntended { thing, .. } => {
            transaction.prepare_cached(sql::PROJECT_REGISTER_INTENDED)?.execute((key, thing.as_str()))?;
        }
        RunEvent::Sealed { verdict, reason, slip, label } => {
            let changed = transaction.prepare_cached(sql::PROJECT_SEALED)?.execute((
                key,
                verdict.as_str(),
                reason.as_ref().map(|failure| failure.code.as_str()),
                slip.map(log::stored).transpose()?,
                nanoseconds(event.at),
                seq,
            ))?;
            if changed == 0 {
                // A finished run is never turned into anything else; only HELD is open.
                return Err(StoreError::Illegal(format!(
                    "run {run} cannot be sealed {}: it never started, or has its verdict",
                    verdict.as_str()
                )));
            }
            if *verdict != crate::domain::Verdict::Held {
                transaction.prepare_cached(sql::PROJECT_SLIP_OVERTAKEN)?.execute([key])?;
            }
            if let Some(kind) = label {
                transaction.prepare_cached(sql::PROJECT_LABEL_OWED)?.execute((key, kind_text(*kind), station, seq))?;
            }
        }
        RunEvent::LabelIntended { kind } => label(transaction, key, *kind, station, "intended", seq)?,
        RunEvent::LabelEnded { kind, status, .. } => {
            let state = match status {
                LabelStatus::Printed => "printed",
                LabelStatus::Pending => "pending",
                LabelStatus::Failed => "failed",
                LabelStatus::None => "none",
            };
            label(transaction, key, *kind, station, state, seq)?;
        }
        RunEvent::LabelSettled { kind, printed } => {
            label(transaction, key, *kind, station, if *printed { "printed" } else { "owed" }, seq)?;
        }
        RunEvent::Claimed { .. }
        | RunEvent::StepBegan { .. }
        | RunEvent::ChipRead { .. }
        | RunEvent::ChallengeMade { .. }
        | RunEvent::ChallengeAnswered { .. }
        | RunEvent::ReadAgain { .. }
        | RunEvent::Registered { .. }
        | RunEvent::DeactivateIntended { .. }
        | RunEvent::Deactivated { .. }
        | RunEvent::StepFailed { .. }
        | RunEvent::Resumed {} => {}
    }
    Ok(())
}

fn project_line(transaction: &Connection, seq: i64, event: &Event, happened: &LineEvent) -> Result<(), StoreError> {
    match happened {
        LineEvent::BatchOpened { batch, profile, product, planned } => {
            transaction.prepare_cached(sql::PROJECT_BATCH_OPENED)?.execute((
                batch.as_str(),
                profile,
                product.as_str(),
                log::stored(*planned)?,
                nanoseconds(event.at),
                seq,
            ))?;
            transaction.prepare_cached(sql::PROJECT_BATCH_STATION)?.execute((
                seq,
                event.station.as_str(),
                batch.as_str(),
            ))?;
        }
        LineEvent::BatchClosed { batch } => {
            let at = nanoseconds(event.at);
            transaction.prepare_cached(sql::PROJECT_BATCH_CLOSED)?.execute((batch.as_str(), at))?;
            transaction.prepare_cached(sql::PROJECT_BATCH_LEFT)?.execute([batch.as_str()])?;
        }
        LineEvent::StationStarted { .. }
        | LineEvent::LogOpened { .. }
        | LineEvent::LogKeyAdded { .. }
        | LineEvent::OperatorAdded { .. }
        | LineEvent::OperatorDisabled { .. }
        | LineEvent::OperatorReset { .. }
        | LineEvent::SignInRefused { .. }
        | LineEvent::PersonForgotten { .. }
        | LineEvent::Ruled { .. }
        | LineEvent::Imported { .. }
        | LineEvent::ImportEnded { .. }
        | LineEvent::LogMigrated { .. }
        | LineEvent::Archived { .. }
        | LineEvent::BackedUp { .. }
        | LineEvent::Restored { .. }
        | LineEvent::ClockAccepted { .. }
        | LineEvent::StationStopped {}
        | LineEvent::OperatorNamed {}
        | LineEvent::BoardRefused { .. } => {}
    }
    Ok(())
}

fn label(
    transaction: &Connection,
    run: &[u8; 16],
    kind: LabelKind,
    station: &str,
    state: &str,
    seq: i64,
) -> Result<(), StoreError> {
    transaction.prepare_cached(sql::PROJECT_LABEL)?.execute((run, kind_text(kind), station, state, seq))?;
    Ok(())
}

fn kind_text(kind: LabelKind) -> &'static str {
    match kind {
        LabelKind::Unit => "unit",
        LabelKind::Slip => "slip",
    }
}

fn bytes(run: &RunId) -> &[u8; 16] {
    run.as_uuid().as_bytes()
}

/// For the record only, so a clock beyond the year 2262 (or before 1678) is cut there.
fn nanoseconds(at: Timestamp) -> i64 {
    let exact = at.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}
