//! Everything that is derived from events, derived in one place: live, when it is rebuilt, and when
//! it is verified.

use jiff::Timestamp;

use super::error::StoreError;
use super::session::{Row, Session, Value, stored, values};
use super::{archive, contradicted, issued, log, manifest, sql, words};
use crate::audit::event::{ConflictRule, ImportConflict, LabelKind, LabelStatus, Purpose, Ruling, Standing};
use crate::audit::{Body, Event, LineEvent, RunEvent};
use crate::domain::{ChipUid, Failure, ReasonCode, RunId, Sha256, Unit, Verdict};
use crate::ports::Logged;

/// What the derived tables mean. Raise it with every change of [`project`] or of their layout: a
/// database with a lower number is derived again at the next start.
pub const PROJECTION: i64 = 11;

/// What a transaction finds of the schema and of the projections, held against what this program knows:
/// another one may have changed both since this connection was made.
pub fn refuse_another_layout(version: i64, newest: i64, projection: i64) -> Result<(), StoreError> {
    if version > newest {
        return Err(StoreError::Newer { what: "schema version", found: version, known: newest });
    }
    if projection > PROJECTION {
        return Err(StoreError::Newer { what: "projection", found: projection, known: PROJECTION });
    }
    if (version, projection) != (newest, PROJECTION) {
        return Err(StoreError::Older);
    }
    Ok(())
}

/// Derives from one event. Fails on what cannot follow from the events before it.
pub fn project(session: &mut dyn Session, seq: u64, event: &Event) -> Result<(), StoreError> {
    tell_of_run(session, seq, event)?;
    let seq = stored(seq)?;
    match (&event.body, event.run) {
        (Body::Run(happened), Some(run)) => project_run(session, seq, event, run, happened),
        (Body::Run(_), None) => Err(of_no_run(event)),
        (Body::Line(happened), _) => project_line(session, seq, event, happened),
    }
}

/// The part of [`project`] that fills `run_events`.
pub fn tell_of_run(session: &mut dyn Session, seq: u64, event: &Event) -> Result<(), StoreError> {
    match (&event.body, &event.run) {
        (Body::Run(_), Some(run)) => session.tell_of_run(bytes(run), stored(seq)?),
        (Body::Run(_), None) => Err(of_no_run(event)),
        (Body::Line(_), _) => Ok(()),
    }
}

fn of_no_run(event: &Event) -> StoreError {
    StoreError::Illegal(format!("event {} of a run does not say of which", event.id))
}

/// Empties all derived tables and derives them again from every event, in order.
pub fn rebuild(session: &mut dyn Session) -> Result<(), StoreError> {
    archive::require_all(session)?;
    session.grow()?;
    clear(session)?;
    log::walk(session, derive)?;
    session.set_projection(PROJECTION)
}

/// Derives from events that stand in the log, whatever they say: all of them at once, and one by one only
/// where one contradicts what came before it.
pub fn derive(session: &mut dyn Session, events: &[Logged]) -> Result<(), StoreError> {
    let each = |session: &mut dyn Session, logged: &Logged| project(session, logged.receipt.seq, &logged.event);
    if whole(session, |session| events.iter().try_for_each(|logged| each(session, logged)))?.is_none() {
        return Ok(());
    }
    for logged in events {
        if let Some(error) = whole(session, |session| each(session, logged))? {
            let seq = logged.receipt.seq;
            tracing::error!(seq, %error, "the log contradicts itself: what this event names is burned and locked");
            contradicted::burn_and_lock(session, stored(seq)?, &logged.event)?;
        }
    }
    Ok(())
}

/// Nothing of it where it fails on its own account: the error.
fn whole(
    session: &mut dyn Session,
    work: impl FnOnce(&mut dyn Session) -> Result<(), StoreError>,
) -> Result<Option<StoreError>, StoreError> {
    session.save()?;
    match work(session) {
        Ok(()) => session.release().map(|()| None),
        Err(error) if error.is_of_one_piece() => session.roll_back_to_save().map(|()| Some(error)),
        Err(error) => Err(error),
    }
}

pub fn clear(session: &mut dyn Session) -> Result<(), StoreError> {
    session.execute(sql::FORGET_INDEX, &[])?;
    for projection in sql::PROJECTIONS {
        session.script(&format!("DELETE FROM {}", projection.table))?;
    }
    Ok(())
}

fn project_run(
    session: &mut dyn Session,
    seq: i64,
    event: &Event,
    run: RunId,
    happened: &RunEvent,
) -> Result<(), StoreError> {
    let key = bytes(&run);
    let station = event.station.as_str();
    match happened {
        RunEvent::RunStarted { lane, device, profile, product, batch } => {
            session.execute(
                sql::PROJECT_RUN_STARTED,
                values![
                    seq,
                    key,
                    station,
                    i64::from(lane.get()),
                    device.path.as_str(),
                    profile,
                    product.as_str(),
                    batch.as_ref().map(|batch| batch.as_str()),
                    event.operator.as_ref().map(|operator| operator.id.as_bytes()),
                    nanoseconds(event.at),
                ],
            )?;
        }
        RunEvent::Captured { capture } => {
            let slip = stored(capture.slip)?;
            session.execute(sql::PROJECT_CAPTURED, values![key, capture.station.as_str(), slip, seq])?;
        }
        RunEvent::Identified { unit, .. } => {
            session.execute(sql::PROJECT_IDENTIFIED, values![key, unit.product.as_str(), unit.serial.as_str()])?;
        }
        RunEvent::ChipRead { reading } => {
            let fingerprint = crate::domain::Fingerprint::of(&reading.certificate);
            let uid = reading.uid.as_ref().map(|uid| uid.as_str());
            session.execute(sql::PROJECT_CHIP_READ, values![key, fingerprint.as_bytes(), uid])?;
        }
        RunEvent::ChallengeAnswered { purpose: Purpose::First, decision, .. } => {
            let uid = decision.uid_in_certificate.as_ref().map(|uid| uid.as_str());
            session.execute(sql::PROJECT_PROVEN, values![key, uid, decision.spki.as_bytes()])?;
        }
        RunEvent::Claimed { unit, identity, standing, ruling, entry, .. } => {
            let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
            let (spki, uid) = (identity.spki.as_bytes(), identity.uid.as_ref().map(|uid| uid.as_str()));
            let fingerprint = identity.fingerprint.as_bytes();
            let had = match standing {
                Standing::Known => {
                    session.row(sql::BINDING_OF, values![product, serial, fingerprint], |row| row.i64(0))?.is_some()
                }
                Standing::Completed => {
                    session.execute(sql::PROJECT_COMPLETED, values![product, serial, spki, uid, key, fingerprint])? > 0
                }
                Standing::New | Standing::Rebound => {
                    if *standing == Standing::Rebound {
                        session.execute(sql::PROJECT_UNBOUND, values![product, serial])?;
                    }
                    bind(session, values![seq, product, serial, fingerprint, spki, uid, key, false])?;
                    true
                }
            };
            if !had {
                return Err(StoreError::Illegal(format!("{unit} claims again what it never had")));
            }
            if let Some(ruling) = ruling {
                session.execute(sql::PROJECT_RULING_USED, values![ruling.as_uuid().as_bytes(), seq])?;
                session.execute(sql::PROJECT_UNLOCKED, values![product, serial])?;
            }
            if let Some(entry) = entry {
                manifest::used(session, seq, run, unit, identity, entry)?;
            }
        }
        RunEvent::CertificateRequested { target, .. } => issued::requested(session, seq, event.at, run, target)?,
        RunEvent::CertificateIssued { issued } => issued::issued(session, seq, run, issued)?,
        RunEvent::RegisterIntended { thing, .. } => {
            session.execute(sql::PROJECT_REGISTER_INTENDED, values![key, thing.as_str()])?;
        }
        RunEvent::Sealed { verdict, reason, slip, label } => {
            let code = reason.as_ref().map(|failure| failure.code);
            let before = session.row(sql::RUN_TO_RECORD, values![key], run_row)?;
            // A finished run is never turned into anything else; only HELD is open.
            let Some(before) = before.filter(|run| run.verdict.as_deref().is_none_or(|verdict| verdict == "HELD"))
            else {
                return Err(StoreError::Illegal(format!(
                    "run {run} cannot be sealed {}: it never started, or has its verdict",
                    verdict.as_str()
                )));
            };
            session.execute(
                sql::PROJECT_SEALED,
                values![
                    key,
                    verdict.as_str(),
                    code.map(ReasonCode::as_str),
                    slip.map(stored).transpose()?,
                    nanoseconds(event.at),
                    seq,
                ],
            )?;
            if *verdict != Verdict::Held && before.verdict.is_some() {
                session.execute(sql::PROJECT_SLIP_OVERTAKEN, values![key])?;
            }
            if let Some(kind) = label {
                session.execute(sql::PROJECT_LABEL_OWED, values![key, kind_text(*kind), station, seq])?;
            }
            if *verdict == Verdict::Fail && !code.is_some_and(refuses_a_locked_unit) {
                session.execute(sql::PROJECT_LOCKED, values![key])?;
                if !code.is_some_and(ReasonCode::names_another_unit) || holds_anything(session, &before)? {
                    session.execute(sql::PROJECT_RULINGS_OVERTAKEN, values![key, seq])?;
                }
            }
            record_run(session, key, &before, event.at, *verdict, reason.as_ref())?;
        }
        RunEvent::Resumed {} => {
            session.execute(sql::PROJECT_RESUMED, values![key, seq])?;
        }
        RunEvent::LabelIntended { kind } => label(session, key, *kind, station, "intended", seq)?,
        RunEvent::LabelEnded { kind, status, .. } => {
            let state = match status {
                LabelStatus::Printed => "printed",
                LabelStatus::Pending => "pending",
                LabelStatus::Failed => "failed",
                LabelStatus::None => "none",
            };
            label(session, key, *kind, station, state, seq)?;
        }
        RunEvent::LabelSettled { kind, printed } => {
            label(session, key, *kind, station, if *printed { "printed" } else { "owed" }, seq)?;
        }
        RunEvent::LabelReplaced { kind, .. } => {
            // Whoever asked for it prints it.
            session.execute(sql::PROJECT_LABEL_OWED, values![key, kind_text(*kind), station, seq])?;
        }
        RunEvent::LabelConfirmed { .. }
        | RunEvent::StepBegan { .. }
        | RunEvent::ChallengeMade { .. }
        | RunEvent::ChallengeAnswered { .. }
        | RunEvent::ReadAgain { .. }
        | RunEvent::IdentifiedAgain { .. }
        | RunEvent::BoardConfigured {}
        | RunEvent::RequestMade { .. }
        | RunEvent::KeysRequested { .. }
        | RunEvent::Provisioned { .. }
        | RunEvent::CertificateKept { .. }
        | RunEvent::CertificateNotKept { .. }
        | RunEvent::Registered { .. }
        | RunEvent::Connected { .. }
        | RunEvent::NotConnected { .. }
        | RunEvent::DeactivateIntended { .. }
        | RunEvent::Deactivated { .. }
        | RunEvent::StepFailed { .. } => {}
    }
    Ok(())
}

/// As [`sql::PROJECT_BOUND`] has it. What the unit was said to have, in contradiction to something else, makes room
/// for what it has: only such a row can stand in the way of one that may be bound.
fn bind(session: &mut dyn Session, row: &[Value<'_>; 8]) -> Result<(), StoreError> {
    let [_, product, serial, fingerprint, spki, uid, ..] = *row;
    if session.execute(sql::PROJECT_BOUND_IF_FREE, row)? == 0 {
        session.execute(sql::PROJECT_CLEARED, &[fingerprint, product, serial])?;
        session.execute(sql::PROJECT_PARTS_CLEARED, &[spki, uid, product, serial])?;
        session.execute(sql::PROJECT_BOUND, row)?;
    }
    Ok(())
}

/// A unit that is refused because it is locked stays locked for what it failed with first.
fn refuses_a_locked_unit(code: ReasonCode) -> bool {
    use ReasonCode as Code;
    [Code::UNIT_LOCKED, Code::UNIT_SCRAPPED, Code::IMPORT_CONFLICT, Code::UNIT_WITHDRAWN].contains(&code)
}

fn holds_anything(session: &mut dyn Session, run: &RunRow) -> Result<bool, StoreError> {
    let bound = session.row(sql::BINDING_OF_UNIT, values![&run.product, run.serial.as_deref()], |_| Ok(()))?;
    Ok(bound.is_some())
}

fn project_line(session: &mut dyn Session, seq: i64, event: &Event, happened: &LineEvent) -> Result<(), StoreError> {
    let station = event.station.as_str();
    match happened {
        LineEvent::BatchOpened { batch, profile, product, planned } => {
            let at = nanoseconds(event.at);
            session.execute(
                sql::PROJECT_BATCH_OPENED,
                values![batch.as_str(), profile, product.as_str(), stored(*planned)?, at, seq],
            )?;
            session.execute(sql::PROJECT_BATCH_STATION, values![seq, station, batch.as_str()])?;
        }
        LineEvent::BatchClosed { batch } => {
            let at = nanoseconds(event.at);
            session.execute(sql::PROJECT_BATCH_CLOSED, values![batch.as_str(), at])?;
            session.execute(sql::PROJECT_BATCH_LEFT, values![batch.as_str()])?;
        }
        LineEvent::OperatorAdded { person, role, pin_sha256 } => {
            let pin = pin_sha256.as_ref().map(Sha256::as_bytes);
            session.execute(sql::PROJECT_OPERATOR, values![person.id.as_bytes(), role.as_str(), seq, pin])?;
        }
        LineEvent::OperatorReset { person, pin_sha256 } => {
            let pin = pin_sha256.as_ref().map(Sha256::as_bytes);
            session.execute(sql::PROJECT_PIN, values![person.id.as_bytes(), pin])?;
        }
        LineEvent::OperatorRole { person, role } => {
            session.execute(sql::PROJECT_ROLE, values![person.id.as_bytes(), role.as_str()])?;
        }
        LineEvent::BadgeGiven { person, badge_sha256 } => {
            session.execute(sql::PROJECT_BADGE, values![person.id.as_bytes(), badge_sha256.as_bytes()])?;
        }
        LineEvent::BadgeRevoked { person } => {
            session.execute(sql::PROJECT_BADGE, values![person.id.as_bytes(), Value::Null])?;
        }
        LineEvent::OperatorDisabled { person } => {
            session.execute(sql::PROJECT_OPERATOR_DISABLED, values![person.id.as_bytes()])?;
        }
        LineEvent::LogOpened { origin } => {
            session.execute(sql::PROJECT_ORIGIN, values![seq, origin])?;
        }
        LineEvent::LogKeyAdded { key, role, replaces } => {
            session.execute(sql::PROJECT_LOG_KEY, values![seq, key, text_of(role), station])?;
            if let Some(old) = replaces {
                session.execute(sql::PROJECT_LOG_KEY_REPLACED, values![old, seq])?;
            }
        }
        LineEvent::Archived { first, end, file } => {
            let (first, end) = (stored(*first)?, stored(*end)?);
            session.execute(sql::PROJECT_ARCHIVED, values![first, end, file.as_bytes(), seq])?;
        }
        LineEvent::Ruled { ruling, reason, .. } => {
            let words = words_of_ruling(session, happened)?;
            ruled(session, seq, event, ruling, reason.id.as_bytes(), &words)?;
        }
        LineEvent::HeldExported { runs } => {
            for held in runs {
                session.execute(sql::PROJECT_EXPORTED, values![bytes(&held.run), seq])?;
            }
        }
        LineEvent::Withdrawn { by, unit, target, failure, .. } => {
            let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
            let ruling =
                session.row(sql::WITHDRAWING, values![by.as_uuid().as_bytes(), product, serial], |row| row.i64(0))?;
            let Some(ruling) = ruling else {
                return Err(StoreError::Illegal(format!("{unit} was withdrawn from {target} by no ruling")));
            };
            let reason = failure.as_ref().map(|failure| failure.code.as_str());
            session.execute(sql::PROJECT_WITHDRAWN, values![seq, ruling, product, serial, target.as_str(), reason])?;
        }
        LineEvent::Imported { .. } => imported(session, seq, event, happened)?,
        LineEvent::ManifestListed { list, entries, .. } => manifest::listed(session, seq, *list, entries)?,
        LineEvent::ManifestImported { batch, list, file, entries, .. } => {
            manifest::taken(session, seq, batch, (*list, *file), *entries)?;
        }
        LineEvent::StationStarted { .. }
        | LineEvent::LogReturned { .. }
        | LineEvent::ClockAccepted { .. }
        | LineEvent::StationStopped {}
        | LineEvent::OperatorNamed {}
        | LineEvent::SignInRefused { .. }
        | LineEvent::BadgeRefused { .. }
        | LineEvent::SignedIn { .. }
        | LineEvent::SignedOut { .. }
        | LineEvent::StationLocked { .. }
        | LineEvent::PersonForgotten { .. }
        | LineEvent::TextForgotten { .. }
        | LineEvent::CertificatePinned { .. }
        | LineEvent::CrlPinned { .. }
        | LineEvent::CrlTakenUp { .. }
        | LineEvent::BoardRefused { .. }
        | LineEvent::ImportEnded { .. }
        | LineEvent::CaIntended { .. }
        | LineEvent::CaEnded { .. }
        | LineEvent::TemplateIntended { .. }
        | LineEvent::TemplateEnded { .. }
        | LineEvent::ClaimIntended { .. }
        | LineEvent::ClaimEnded { .. }
        | LineEvent::HeldImported { .. }
        | LineEvent::LogMigrated { .. }
        | LineEvent::SettingIntended { .. }
        | LineEvent::SettingEnded { .. }
        | LineEvent::TestLabelIntended {}
        | LineEvent::TestLabelEnded { .. }
        | LineEvent::Exported { .. }
        | LineEvent::BackedUp { .. }
        | LineEvent::Restored { .. } => {}
    }
    Ok(())
}

fn ruled(
    session: &mut dyn Session,
    seq: i64,
    event: &Event,
    ruling: &Ruling,
    reason: &[u8; 16],
    words: &str,
) -> Result<(), StoreError> {
    let unit = ruling.unit();
    let (old, new) = match ruling {
        Ruling::Rebind { old, new, .. } => (Some(old), Some(new)),
        _ => (None, None),
    };
    session.execute(
        sql::PROJECT_RULED,
        values![
            seq,
            event.id.as_uuid().as_bytes(),
            ruling.as_str(),
            unit.map(|unit| unit.product.as_str()),
            unit.map(|unit| unit.serial.as_str()),
            old.map(|identity| identity.fingerprint.as_bytes()),
            new.map(|identity| identity.fingerprint.as_bytes()),
            new.map(|identity| identity.spki.as_bytes()),
            new.and_then(|identity| identity.uid.as_ref()).map(|uid| uid.as_str()),
            reason,
        ],
    )?;
    if let Some(unit) = unit {
        let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
        session.execute(sql::PROJECT_RULINGS_REPLACED, values![product, serial, seq])?;
        let lock = match ruling {
            Ruling::Scrap { .. } => Some("scrapped"),
            Ruling::Withdraw { .. } => Some("withdrawn"),
            Ruling::Release { .. } | Ruling::Rebind { .. } | Ruling::Rollback { .. } => None,
        };
        if let Some(lock) = lock {
            session.execute(sql::PROJECT_LOCK, values![product, serial, lock, &[] as &[u8], seq])?;
        }
    }
    let new_fingerprint = new.map(|identity| identity.fingerprint.as_bytes());
    record(session, &Record { kind: "ruling", seq, event, unit, fingerprint: new_fingerprint, thing: None, words })
}

/// What a ruling is found by: what was typed for it, as far as it was not forgotten, and its files' names.
pub fn words_of_ruling(session: &mut dyn Session, ruled: &LineEvent) -> Result<String, StoreError> {
    let LineEvent::Ruled { ruling, reason, evidence, references, .. } = ruled else { return Ok(String::new()) };
    let mut texts = vec![ruling.as_str().to_owned()];
    texts.extend(ruling.unit().map(|unit| unit.serial.to_string()));
    for typed in std::iter::once(reason).chain(references) {
        texts.extend(session.row(sql::TEXT, values![typed.id.as_bytes()], |row| Ok(row.str(1)?.to_owned()))?);
    }
    texts.extend(evidence.iter().map(|file| file.name.clone()));
    Ok(words::index(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn imported(session: &mut dyn Session, seq: i64, event: &Event, happened: &LineEvent) -> Result<(), StoreError> {
    let LineEvent::Imported { unit, fingerprint, spki, uid, thing, conflicts, .. } = happened else { return Ok(()) };
    let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
    let (certificate, key) = (fingerprint.as_bytes(), spki.as_ref().map(|spki| spki.as_bytes()));
    let chip = uid.as_ref().map(ChipUid::as_str);
    let count = i64::try_from(conflicts.len()).unwrap_or(i64::MAX);
    session.execute(sql::PROJECT_IMPORTED, values![seq, product, serial, certificate, count])?;
    let known = session.row(sql::BINDING_OF, values![product, serial, certificate], |row| row.i64(0))?;
    if issued::issued_to(session, fingerprint)?.is_some_and(|made| made.unit != *unit) {
        // It is burned as what was made for the other unit's key, which goes on having it.
    } else if contradicts_a_binding(session, conflicts)? {
        let burned = values![seq, product, serial, certificate, key, chip, Value::Null];
        session.execute(sql::PROJECT_BURNED, burned)?;
    } else if known.is_none() {
        bind(session, values![seq, product, serial, certificate, key, chip, Value::Null, true])?;
    }
    if key.is_some() {
        session.execute(sql::PROJECT_KEY_TOLD, values![certificate, key])?;
    }
    if chip.is_some() {
        session.execute(sql::PROJECT_UID_TOLD, values![certificate, chip])?;
    }
    // Neither side of a contradiction is believed.
    let nothing: &[u8] = &[];
    for unit in conflicts.iter().map(|conflict| &conflict.unit).chain((!conflicts.is_empty()).then_some(unit)) {
        let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
        session.execute(sql::PROJECT_LOCK, values![product, serial, "conflict", nothing, seq])?;
    }
    let thing = thing.as_ref().map(|thing| thing.as_str());
    let words = words::index(&[product, serial, thing.unwrap_or_default()]);
    let fingerprint = Some(fingerprint.as_bytes());
    record(session, &Record { kind: "imported", seq, event, unit: Some(unit), fingerprint, thing, words: &words })
}

/// And not only what another row said, and bound nothing by: the later of two such rows is bound, under a lock.
fn contradicts_a_binding(session: &mut dyn Session, conflicts: &[ImportConflict]) -> Result<bool, StoreError> {
    for ImportConflict { rule, unit, fingerprint, .. } in conflicts {
        let held = values![unit.product.as_str(), unit.serial.as_str(), fingerprint.as_bytes()];
        if *rule != ConflictRule::Unit || session.row(sql::BINDING_OF, held, |_| Ok(()))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What QA finds that is no run.
struct Record<'a> {
    kind: &'a str,
    seq: i64,
    event: &'a Event,
    unit: Option<&'a Unit>,
    fingerprint: Option<&'a [u8; 32]>,
    thing: Option<&'a str>,
    words: &'a str,
}

fn record(session: &mut dyn Session, record: &Record<'_>) -> Result<(), StoreError> {
    let Record { kind, seq, event, unit, fingerprint, thing, words } = record;
    session.execute(
        sql::PROJECT_RECORD,
        values![
            *seq,
            *kind,
            Value::Null,
            event.station.as_str(),
            unit.map(|unit| unit.product.as_str()),
            unit.map(|unit| unit.serial.as_str()),
            Value::Null,
            event.operator.as_ref().map(|operator| operator.id.as_bytes()),
            *thing,
            *fingerprint,
            Value::Null,
            Value::Null,
            Value::Null,
            nanoseconds(event.at),
            Value::Null,
            *words,
        ],
    )?;
    index_words(session, *seq, words)
}

fn index_words(session: &mut dyn Session, seq: i64, words: &str) -> Result<(), StoreError> {
    if session.is_searched() {
        session.execute(sql::INDEX_WORDS, values![seq, words])?;
    }
    Ok(())
}

/// A run as QA finds it, once it has a verdict, and again when it gets another. `run`: as it was before.
fn record_run(
    session: &mut dyn Session,
    key: &[u8; 16],
    run: &RunRow,
    finished: Timestamp,
    verdict: Verdict,
    reason: Option<&Failure>,
) -> Result<(), StoreError> {
    let some = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let code = reason.map(|failure| failure.code.as_str());
    // AWS's console knows such a unit by the certificate that was made for it.
    let made = match run.issued {
        true => issued::ids_of(session, &run.product, run.serial.as_deref())?,
        false => String::new(),
    };
    let words = words::index(&[
        &made,
        &run.product,
        &some(&run.serial),
        &some(&run.batch),
        &some(&run.thing),
        verdict.as_str(),
        code.unwrap_or_default(),
        reason.map(|failure| failure.cause.as_str()).unwrap_or_default(),
    ]);
    if run.verdict.is_some() && session.is_searched() {
        let before = session.one(sql::WORDS, values![run.seq], |row| Ok(row.str(0)?.to_owned()))?;
        session.execute(sql::UNINDEX_WORDS, values![run.seq, &before])?;
    }
    session.execute(
        sql::PROJECT_RECORD,
        values![
            run.seq,
            "run",
            key,
            &run.station,
            &run.product,
            run.serial.as_deref(),
            run.batch.as_deref(),
            run.operator.as_ref(),
            run.thing.as_deref(),
            run.fingerprint.as_ref(),
            run.uid.as_deref(),
            verdict.as_str(),
            code,
            run.started,
            nanoseconds(finished),
            &words,
        ],
    )?;
    index_words(session, run.seq, &words)
}

fn run_row(row: &dyn Row) -> Result<RunRow, StoreError> {
    let text = |column| Ok::<_, StoreError>(row.text(column)?.map(str::to_owned));
    Ok(RunRow {
        seq: row.i64(0)?,
        station: row.str(1)?.to_owned(),
        product: row.str(2)?.to_owned(),
        serial: text(3)?,
        batch: text(4)?,
        operator: row.opt_array::<16>(5)?,
        thing: text(6)?,
        fingerprint: row.opt_array::<32>(7)?,
        uid: text(8)?,
        verdict: text(9)?,
        started: row.i64(10)?,
        issued: row.i64(11)? != 0,
    })
}

struct RunRow {
    seq: i64,
    station: String,
    product: String,
    serial: Option<String>,
    batch: Option<String>,
    operator: Option<[u8; 16]>,
    thing: Option<String>,
    fingerprint: Option<[u8; 32]>,
    uid: Option<String>,
    verdict: Option<String>,
    started: i64,
    issued: bool,
}

fn label(
    session: &mut dyn Session,
    run: &[u8; 16],
    kind: LabelKind,
    station: &str,
    state: &str,
    seq: i64,
) -> Result<(), StoreError> {
    session.execute(sql::PROJECT_LABEL, values![run, kind_text(kind), station, state, seq])?;
    Ok(())
}

fn kind_text(kind: LabelKind) -> &'static str {
    match kind {
        LabelKind::Unit => "unit",
        LabelKind::Slip => "slip",
    }
}

fn text_of(role: &crate::audit::event::LogKeyRole) -> &'static str {
    match role {
        crate::audit::event::LogKeyRole::Station => "station",
        crate::audit::event::LogKeyRole::Cosigner => "cosigner",
    }
}

fn bytes(run: &RunId) -> &[u8; 16] {
    run.as_uuid().as_bytes()
}

/// For the record only, so a clock beyond the year 2262 (or before 1678) is cut there.
pub fn nanoseconds(at: Timestamp) -> i64 {
    let exact = at.as_nanosecond();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}
