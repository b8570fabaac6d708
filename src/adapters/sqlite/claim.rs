//! The claim: which identity belongs to which unit, decided and written in one transaction.

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row};

use super::error::StoreError;
use super::log::{self, Appender};
use super::{query, sql};
use crate::audit::event::{LabelStatus, Standing, VERSION};
use crate::audit::{Body, Event, RunEvent};
use crate::domain::{ChipUid, Fingerprint, Identity, RunId, SpkiHash, Unit};
use crate::ports::{Claim, ClaimAnswer, Collision, CollisionRule, Logged};

/// Binds, or says what it collides with. A claim whose event the log holds already is answered from
/// there.
pub(super) fn claim(connection: &mut Connection, claim: &Claim) -> Result<ClaimAnswer, StoreError> {
    match log::write(connection, |transaction| claim_within(transaction, claim)) {
        // The UNIQUE constraints have the last word; ask again who holds it.
        Err(StoreError::Database(error)) if is_unique_violation(&error) => {
            let collisions = log::read(connection, |connection| Ok(examine(connection, claim)?.collisions))?;
            if collisions.is_empty() {
                return Err(StoreError::Database(error));
            }
            Ok(ClaimAnswer::Collides(collisions))
        }
        answer => answer,
    }
}

fn claim_within(transaction: &rusqlite::Transaction<'_>, claim: &Claim) -> Result<ClaimAnswer, StoreError> {
    if let Some(logged) = log::by_id(transaction, claim.id)? {
        return answered_before(transaction, claim, logged);
    }
    let found = examine(transaction, claim)?;
    if !found.collisions.is_empty() {
        return Ok(ClaimAnswer::Collides(found.collisions));
    }
    let standing = if found.known { Standing::Known } else { Standing::New };
    let event = Event {
        v: VERSION,
        id: claim.id,
        at: claim.at,
        station: claim.station.clone(),
        operator: claim.operator.clone(),
        run: Some(claim.run),
        body: Body::Run(RunEvent::Claimed {
            unit: claim.unit.clone(),
            identity: claim.identity.clone(),
            standing,
            ruling: None,
        }),
    };
    let mut appender = Appender::begin(transaction)?;
    let receipt = appender.push(&event)?;
    appender.finish()?;
    let label = earlier_label(transaction, &claim.unit, claim.run, log::stored(receipt.seq)?)?;
    Ok(ClaimAnswer::Bound { event: Box::new(Logged { receipt, event }), standing, label })
}

/// The answer was lost, the claim was not.
fn answered_before(connection: &Connection, claim: &Claim, logged: Logged) -> Result<ClaimAnswer, StoreError> {
    let Body::Run(RunEvent::Claimed { unit, identity, standing, .. }) = &logged.event.body else {
        return Err(StoreError::Illegal(format!("event {} is in the log and is not a claim", claim.id)));
    };
    if *unit != claim.unit || *identity != claim.identity || logged.event.run != Some(claim.run) {
        return Err(StoreError::Illegal(format!("event {} is in the log as another claim", claim.id)));
    }
    let standing = *standing;
    let label = earlier_label(connection, &claim.unit, claim.run, log::stored(logged.receipt.seq)?)?;
    Ok(ClaimAnswer::Bound { event: Box::new(logged), standing, label })
}

struct Examined {
    /// The unit holds exactly this identity.
    known: bool,
    /// In the order of [`CollisionRule`].
    collisions: Vec<Collision>,
}

/// Every rule that the claim breaks. A closed binding still burns its identity, for its own unit as
/// for any other.
fn examine(connection: &Connection, claim: &Claim) -> Result<Examined, StoreError> {
    let Claim { unit, identity, .. } = claim;
    let mut collisions = Vec::new();
    let mut collide = |rule: CollisionRule, holder: Option<Binding>, same: &dyn Fn(&Binding) -> bool| {
        if let Some(holder) = holder.filter(|holder| !(holder.open && holder.unit == *unit && same(holder))) {
            let Binding { unit, identity, run, .. } = holder;
            collisions.push(Collision { rule, unit, identity, run });
        }
    };

    let by_certificate = binding(connection, sql::BINDING_BY_FINGERPRINT, [identity.fingerprint.as_bytes()])?;
    collide(CollisionRule::Certificate, by_certificate, &|_| true);

    let by_key = binding(connection, sql::BINDING_BY_SPKI, [identity.spki.as_bytes()])?;
    collide(CollisionRule::Key, by_key, &|holder| holder.identity.fingerprint == identity.fingerprint);

    if let Some(uid) = &identity.uid {
        let by_uid = binding(connection, sql::BINDING_BY_UID, [uid.as_str()])?;
        collide(CollisionRule::Uid, by_uid, &|holder| holder.identity == *identity);
    }

    let of_unit = binding(connection, sql::BINDING_BY_UNIT, [unit.product.as_str(), unit.serial.as_str()])?;
    let known = of_unit.as_ref().is_some_and(|binding| binding.identity == *identity);
    collide(CollisionRule::Unit, of_unit, &|holder| holder.identity == *identity);

    Ok(Examined { known, collisions })
}

struct Binding {
    unit: Unit,
    identity: Identity,
    run: RunId,
    open: bool,
}

fn binding(connection: &Connection, sql: &str, key: impl Params) -> Result<Option<Binding>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(key)?;
    rows.next()?.map(binding_of).transpose()
}

fn binding_of(row: &Row<'_>) -> Result<Binding, StoreError> {
    let uid = row.get::<_, Option<String>>(4)?.map(|text| query::parse::<ChipUid>(&text)).transpose()?;
    Ok(Binding {
        unit: Unit {
            product: query::parse(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?,
            serial: query::parse(row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)?,
        },
        identity: Identity {
            fingerprint: Fingerprint::from_bytes(row.get(2)?),
            spki: SpkiHash::from_bytes(row.get(3)?),
            uid,
        },
        run: query::run_id(row.get(5)?)?,
        open: row.get(6)?,
    })
}

/// What became of the label that another run of the unit owed before event `seq`. The status is
/// the present one: a label may have been settled since.
pub(super) fn earlier_label(
    connection: &Connection,
    unit: &Unit,
    run: RunId,
    seq: i64,
) -> Result<Option<LabelStatus>, StoreError> {
    let state: Option<String> = connection
        .prepare_cached(sql::UNIT_LABEL)?
        .query_row((unit.product.as_str(), unit.serial.as_str(), run.as_uuid().as_bytes(), seq), |row| row.get(0))
        .optional()?;
    state
        .map(|state| match state.as_str() {
            "printed" => Ok(LabelStatus::Printed),
            "owed" | "pending" => Ok(LabelStatus::Pending),
            // Sent perhaps, and its end was never seen.
            "intended" | "failed" => Ok(LabelStatus::Failed),
            other => Err(StoreError::Corrupt(format!("{other:?} is no state of a label"))),
        })
        .transpose()
}

fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.code == ErrorCode::ConstraintViolation
            && failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE)
}
