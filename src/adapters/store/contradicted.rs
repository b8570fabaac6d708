//! Events that stand in the log although nothing before them allows it: an earlier program let them pass, or
//! somebody put them there. A verification names them. A station works all the same, and nobody is the better
//! for them: the identity that one names is burned, and every unit that it is about is locked until
//! somebody rules.

use super::claim;
use super::error::StoreError;
use super::read::parse;
use super::session::{Session, values};
use super::sql;
use crate::audit::{Body, Event, LineEvent, RunEvent};
use crate::domain::{ChipUid, Fingerprint, RunId, SpkiHash, Unit};

/// Derives from an event that [`project`](super::project::project) refused. Nothing that an event can say
/// makes this fail.
pub fn burn_and_lock(session: &mut dyn Session, seq: i64, event: &Event) -> Result<(), StoreError> {
    let mut units = Vec::new();
    if let (Body::Run(_), Some(run)) = (&event.body, event.run) {
        session.tell_of_run(run.as_uuid().as_bytes(), seq)?;
        let of_run = session.row(sql::UNIT_OF_RUN, values![run.as_uuid().as_bytes()], |row| {
            Ok(Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? })
        })?;
        units.extend(of_run);
    }
    match &event.body {
        Body::Run(RunEvent::Claimed { unit, identity, .. }) => {
            let named = Named { unit, fingerprint: &identity.fingerprint, spki: Some(&identity.spki) };
            units.extend(burn(session, seq, &named, identity.uid.as_ref(), event.run)?);
        }
        Body::Line(LineEvent::Imported { unit, fingerprint, spki, uid, .. }) => {
            units.extend(burn(session, seq, &Named { unit, fingerprint, spki: spki.as_ref() }, uid.as_ref(), None)?);
        }
        Body::Line(LineEvent::Ruled { ruling, .. }) => units.extend(ruling.unit().cloned()),
        Body::Line(LineEvent::Withdrawn { unit, .. }) => units.push(unit.clone()),
        // A list that is not whole, or not the batch's: the batch has one all the same, and who is not in it
        // was not shipped.
        Body::Line(LineEvent::ManifestImported { batch, list, file, entries, .. }) => {
            let taken = session.row(sql::LIST_TAKEN, values![list.as_bytes()], |row| row.i64(0))?;
            let any = session.row(sql::ANY_MANIFEST, values![batch.as_str()], |row| row.i64(0))?;
            if (taken, any) == (None, None) {
                let entries = i64::try_from(*entries).unwrap_or(i64::MAX);
                let values = values![seq, list.as_bytes(), batch.as_str(), file.as_bytes(), entries];
                session.execute(sql::PROJECT_MANIFEST, values)?;
            }
        }
        _ => {}
    }
    let whatever_it_shows: &[u8] = &[];
    for Unit { product, serial } in &units {
        let values = values![product.as_str(), serial.as_str(), "conflict", whatever_it_shows, seq];
        session.execute(sql::PROJECT_LOCK, values)?;
    }
    Ok(())
}

struct Named<'a> {
    unit: &'a Unit,
    fingerprint: &'a Fingerprint,
    spki: Option<&'a SpkiHash>,
}

/// Returns the units that cannot all be right.
fn burn(
    session: &mut dyn Session,
    seq: i64,
    Named { unit, fingerprint, spki }: &Named<'_>,
    uid: Option<&ChipUid>,
    run: Option<RunId>,
) -> Result<Vec<Unit>, StoreError> {
    let holders = claim::matching(session, unit, fingerprint, *spki, uid)?;
    let units = holders.into_iter().map(|holder| holder.unit).chain([Unit::clone(unit)]).collect();
    let (certificate, key, chip) = (fingerprint.as_bytes(), spki.map(SpkiHash::as_bytes), uid.map(ChipUid::as_str));
    let (product, serial) = (unit.product.as_str(), unit.serial.as_str());
    let run = run.as_ref().map(|run| run.as_uuid().as_bytes());
    session.execute(sql::PROJECT_BURNED, values![seq, product, serial, certificate, key, chip, run])?;
    // Where the certificate was burned before.
    session.execute(sql::PROJECT_KEY_TOLD, values![certificate, key])?;
    session.execute(sql::PROJECT_UID_TOLD, values![certificate, chip])?;
    Ok(units)
}
