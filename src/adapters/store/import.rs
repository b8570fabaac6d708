//! Rows of a history made elsewhere: each is kept, and what contradicts is said.

use super::claim::{Binding, matching};
use super::error::StoreError;
use super::issued::{IssuedTo, issued_to};
use super::log::{self, Appender};
use super::session::{Session, values};
use super::sql;
use crate::audit::event::{ConflictRule, ImportConflict};
use crate::audit::{Body, Event, LineEvent};
use crate::domain::{ChipUid, Fingerprint, SpkiHash, Unit};
use crate::ports::Logged;

pub fn import(session: &mut dyn Session, appender: &mut Appender, rows: &[Event]) -> Result<Vec<Logged>, StoreError> {
    rows.iter()
        .map(|row| {
            // As it stands, not as it would be judged today: its own later claim is no contradiction.
            if let Some(known) = log::by_id(session, row.id)? {
                return Ok(known);
            }
            let event = with_conflicts(session, row)?;
            let receipt = appender.push_new(session, &event)?;
            Ok(Logged { receipt, event })
        })
        .collect()
}

fn with_conflicts(session: &mut dyn Session, row: &Event) -> Result<Event, StoreError> {
    let mut event = row.clone();
    let Body::Line(LineEvent::Imported { unit, fingerprint, spki, uid, conflicts, .. }) = &mut event.body else {
        return Err(StoreError::Illegal(format!("event {} is no imported row", row.id)));
    };
    *conflicts = contradicted(session, unit, fingerprint, spki.as_ref(), uid.as_ref())?;
    Ok(event)
}

/// What a row says that cannot be true beside what is held, and what rows before it said.
pub fn contradicted(
    session: &mut dyn Session,
    unit: &Unit,
    fingerprint: &Fingerprint,
    spki: Option<&SpkiHash>,
    uid: Option<&ChipUid>,
) -> Result<Vec<ImportConflict>, StoreError> {
    let holders = matching(session, unit, fingerprint, spki, uid)?;
    let mut found = by_bindings(&holders, unit, fingerprint, spki, uid);
    let made = issued_to(session, fingerprint)?.filter(|made| made.unit != *unit);
    if let Some(IssuedTo { unit, seq, .. }) = made
        && found.iter().all(|conflict| conflict.rule != ConflictRule::Certificate)
    {
        // Made for another unit's key: it is that unit's for ever, as its chip's own is.
        found.insert(0, ImportConflict { rule: ConflictRule::Certificate, unit, fingerprint: *fingerprint, seq });
    }
    if found.iter().all(|conflict| conflict.rule != ConflictRule::Unit) {
        found.extend(said_before(session, unit, fingerprint)?);
    }
    Ok(found)
}

/// A row that contradicted something bound nothing; it said all the same that the unit has another certificate.
fn said_before(
    session: &mut dyn Session,
    unit: &Unit,
    fingerprint: &Fingerprint,
) -> Result<Option<ImportConflict>, StoreError> {
    let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
    session.row(sql::IMPORTED_OTHERWISE, values![product, serial, fingerprint.as_bytes()], |row| {
        let fingerprint = Fingerprint::from_bytes(row.array(1)?);
        Ok(ImportConflict { rule: ConflictRule::Unit, unit: unit.clone(), fingerprint, seq: row.count(0)? })
    })
}

fn by_bindings(
    holders: &[Binding],
    unit: &Unit,
    fingerprint: &Fingerprint,
    spki: Option<&SpkiHash>,
    uid: Option<&ChipUid>,
) -> Vec<ImportConflict> {
    let ours = |holder: &&Binding| holder.open && holder.unit == *unit;
    let certificate = holders.iter().find(|h| h.fingerprint == *fingerprint && !ours(h));
    let key = holders
        .iter()
        .find(|h| spki.is_some() && h.spki.as_ref() == spki && !(ours(h) && h.fingerprint == *fingerprint));
    let chip = holders.iter().find(|h| uid.is_some() && h.uid.as_ref() == uid && !ours(h));
    let known = holders.iter().find(|h| ours(h) && h.fingerprint != *fingerprint);
    [
        (ConflictRule::Certificate, certificate),
        (ConflictRule::Key, key),
        (ConflictRule::Uid, chip),
        (ConflictRule::Unit, known),
    ]
    .into_iter()
    .filter_map(|(rule, holder)| {
        let holder = holder?;
        let Binding { unit, fingerprint, claimed_seq, .. } = holder;
        Some(ImportConflict { rule, unit: unit.clone(), fingerprint: *fingerprint, seq: *claimed_seq })
    })
    .collect()
}
