//! Shipment manifests: what a batch's lists say of a chip, and what became of their entries.

use super::error::StoreError;
use super::read::parse;
use super::session::{Row, Session, stored, values};
use super::sql;
use crate::domain::{
    BatchName, ChipUid, EntryPlace, Fingerprint, Identity, ManifestEntry, RunId, Sha256, SpkiHash, Unit,
};
use crate::ports::{Collision, CollisionRule, Listing, ManifestTally, Unlisted};

/// What the shipment manifest of a run's batch says of a chip; a run may be of none.
pub fn listing_of_run(
    session: &mut dyn Session,
    run: RunId,
    unit: &Unit,
    identity: &Identity,
) -> Result<Listing, StoreError> {
    let batch = listed_batch_of(session, run)?;
    batch.map_or(Ok(Listing::None), |batch| listed_in(session, &batch, unit, identity))
}

/// The run's batch, where it has a manifest.
pub fn listed_batch_of(session: &mut dyn Session, run: RunId) -> Result<Option<BatchName>, StoreError> {
    session.row(sql::LISTED_BATCH_OF_RUN, values![run.as_uuid().as_bytes()], |row| parse(row.str(0)?))
}

pub fn listing(
    session: &mut dyn Session,
    batch: &BatchName,
    unit: &Unit,
    identity: &Identity,
) -> Result<Listing, StoreError> {
    if session.row(sql::ANY_MANIFEST, values![batch.as_str()], |row| row.i64(0))?.is_none() {
        return Ok(Listing::None);
    }
    listed_in(session, batch, unit, identity)
}

/// By the manifest that the batch has.
fn listed_in(
    session: &mut dyn Session,
    batch: &BatchName,
    unit: &Unit,
    identity: &Identity,
) -> Result<Listing, StoreError> {
    let uid = identity.uid.as_ref().map(ChipUid::as_str);
    let mut named = session.rows(
        sql::ENTRIES_OF_CHIP,
        values![batch.as_str(), uid, identity.fingerprint.as_bytes(), identity.spki.as_bytes()],
        named_of,
    )?;
    named.sort_by_key(|named| (named.place.seq, named.place.line));
    // One list that names it otherwise is one too many.
    if let Some(other) = named.iter().find(|named| !named.entry.agrees(identity)) {
        return Ok(Listing::Unlisted(Unlisted::Differs { entry: other.entry.clone(), place: other.place }));
    }
    let Some(first) = named.first() else {
        return Ok(Listing::Unlisted(Unlisted::Absent { batch: batch.clone() }));
    };
    let foreign = named.iter().filter_map(|named| named.consumed.as_ref()).find(|used| used.unit != *unit);
    if let Some(used) = foreign {
        return Ok(Listing::Consumed(used.clone()));
    }
    let own = named.iter().find(|named| named.consumed.is_some()).unwrap_or(first);
    Ok(Listing::Listed(own.place))
}

/// An entry that shares a part with a chip.
struct Named {
    entry: ManifestEntry,
    place: EntryPlace,
    consumed: Option<Collision>,
}

fn named_of(row: &dyn Row) -> Result<Named, StoreError> {
    let place = EntryPlace { seq: row.count(0)?, imported: row.count(1)?, line: row.count(2)? };
    let entry = ManifestEntry {
        line: place.line,
        uid: row.text(3)?.map(parse).transpose()?,
        fingerprint: row.opt_array(4)?.map(Fingerprint::from_bytes),
        spki: row.opt_array(5)?.map(SpkiHash::from_bytes),
    };
    let consumed = match row.opt_count(6)? {
        Some(seq) => Some(Collision {
            rule: CollisionRule::Entry,
            unit: Unit { product: parse(row.str(7)?)?, serial: parse(row.str(8)?)? },
            fingerprint: Fingerprint::from_bytes(row.array(9)?),
            run: row.opt_array(10)?.map(RunId::from_bytes),
            seq,
        }),
        None => None,
    };
    Ok(Named { entry, place, consumed })
}

/// Derives entries of a list that is not taken in yet.
pub fn listed(session: &mut dyn Session, seq: i64, list: Sha256, entries: &[ManifestEntry]) -> Result<(), StoreError> {
    if session.row(sql::LIST_TAKEN, values![list.as_bytes()], |row| row.i64(0))?.is_some() {
        return Err(StoreError::Illegal(format!("the list {list} was taken in, and gets no further entries")));
    }
    for entry in entries {
        let ManifestEntry { line, uid, fingerprint, spki } = entry;
        session.execute(
            sql::PROJECT_LISTED,
            values![
                seq,
                stored(*line)?,
                list.as_bytes(),
                uid.as_ref().map(ChipUid::as_str),
                fingerprint.as_ref().map(Fingerprint::as_bytes),
                spki.as_ref().map(SpkiHash::as_bytes),
            ],
        )?;
    }
    Ok(())
}

/// The list counts from here on, if it is there whole.
pub fn taken(
    session: &mut dyn Session,
    seq: i64,
    batch: &BatchName,
    (list, file): (Sha256, Sha256),
    entries: u64,
) -> Result<(), StoreError> {
    if session.row(sql::BATCH_NAMED, values![batch.as_str()], |row| row.i64(0))?.is_none() {
        return Err(StoreError::Illegal(format!("a manifest of the batch {batch}, which was never opened")));
    }
    let there = session.one(sql::LISTED, values![list.as_bytes()], |row| row.count(0))?;
    if there != entries || entries == 0 {
        return Err(StoreError::Illegal(format!("the list {list} has {there} entries in the log, and says {entries}")));
    }
    let values = values![seq, list.as_bytes(), batch.as_str(), file.as_bytes(), stored(entries)?];
    session.execute(sql::PROJECT_MANIFEST, values)?;
    Ok(())
}

/// A claim uses an entry; again, by the same unit, changes nothing.
pub fn used(
    session: &mut dyn Session,
    seq: i64,
    run: RunId,
    unit: &Unit,
    identity: &Identity,
    entry: &EntryPlace,
) -> Result<(), StoreError> {
    let changed = session.execute(
        sql::PROJECT_ENTRY_USED,
        values![
            stored(entry.seq)?,
            stored(entry.line)?,
            seq,
            run.as_uuid().as_bytes(),
            unit.product.as_str(),
            unit.serial.as_str(),
            identity.fingerprint.as_bytes(),
        ],
    )?;
    if changed > 0 {
        session.execute(sql::PROJECT_MANIFEST_USED, values![stored(entry.imported)?])?;
    }
    Ok(())
}

pub fn tally(session: &mut dyn Session, batch: &BatchName) -> Result<Option<ManifestTally>, StoreError> {
    let mut tally = session.one(sql::MANIFEST_TALLY, values![batch.as_str()], |row| {
        Ok(ManifestTally {
            files: row.count(0)?,
            entries: row.count(1)?,
            consumed: row.count(2)?,
            ..ManifestTally::default()
        })
    })?;
    if tally.files == 0 {
        return Ok(None);
    }
    for (listed, chips) in
        session.rows(sql::CHIPS_LISTED, values![batch.as_str()], |row| Ok((row.i64(0)?, row.count(1)?)))?
    {
        *(if listed == 0 { &mut tally.unknown } else { &mut tally.matched }) = chips;
    }
    Ok(Some(tally))
}

pub fn imported(session: &mut dyn Session, batch: &BatchName, file: Sha256) -> Result<Option<u64>, StoreError> {
    session.row(sql::MANIFEST_OF_FILE, values![batch.as_str(), file.as_bytes()], |row| row.count(0))
}

pub fn known(
    session: &mut dyn Session,
    batch: &BatchName,
    entries: &[ManifestEntry],
) -> Result<Vec<Option<EntryPlace>>, StoreError> {
    if session.row(sql::ANY_MANIFEST, values![batch.as_str()], |row| row.i64(0))?.is_none() {
        return Ok(vec![None; entries.len()]);
    }
    entries
        .iter()
        .map(|entry| {
            let uid = entry.uid.as_ref().map(ChipUid::as_str);
            let fingerprint = entry.fingerprint.as_ref().map(Fingerprint::as_bytes);
            let spki = entry.spki.as_ref().map(SpkiHash::as_bytes);
            let named = session.row(sql::ENTRIES_OF_CHIP, values![batch.as_str(), uid, fingerprint, spki], named_of)?;
            Ok(named.map(|named| named.place))
        })
        .collect()
}
