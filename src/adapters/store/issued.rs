//! Certificates that were made for units' own keys: whose each is, and which may have been made unseen.

use jiff::Timestamp;

use super::error::StoreError;
use super::project::nanoseconds;
use super::read::parse;
use super::session::{Session, values};
use super::{claim, sql};
use crate::audit::event::IssuedCertificate;
use crate::domain::{Bytes, Fingerprint, RunId, TargetName, Unit};
use crate::ports::MadeBefore;

/// A request goes out: somebody may make a certificate from here on.
pub fn requested(
    session: &mut dyn Session,
    seq: i64,
    at: Timestamp,
    run: RunId,
    target: &TargetName,
) -> Result<(), StoreError> {
    let unit = unit_of(session, run)?;
    let (key, product, serial) = (run.as_uuid(), unit.product.as_str(), unit.serial.as_str());
    let values = values![seq, key.as_bytes(), product, serial, target.as_str(), nanoseconds(at)];
    session.execute(sql::PROJECT_REQUESTED, values)?;
    Ok(())
}

/// Refused where the certificate is another unit's, by whatever the log knows.
pub fn issued(session: &mut dyn Session, seq: i64, run: RunId, issued: &IssuedCertificate) -> Result<(), StoreError> {
    let unit = unit_of(session, run)?;
    let fingerprint = issued.fingerprint;
    if let Some(holder) = holder_of(session, &unit, &fingerprint)? {
        return Err(StoreError::CertificateTaken { fingerprint, holder });
    }
    let held = claim::held(session, &unit)?;
    let bound =
        held.ok_or_else(|| StoreError::Illegal(format!("a certificate was made for {unit}, which holds no chip")))?;
    let (product, serial, target) = (unit.product.as_str(), unit.serial.as_str(), issued.target.as_str());
    session.execute(sql::PROJECT_ANSWERED, values![product, serial, target])?;
    session.execute(
        sql::PROJECT_ISSUED,
        values![
            fingerprint.as_bytes(),
            product,
            serial,
            target,
            bound.fingerprint.as_bytes(),
            &issued.certificate.0,
            run.as_uuid().as_bytes(),
            seq
        ],
    )?;
    Ok(())
}

/// Another unit that has it, be it as its chip's own or made for its key.
fn holder_of(session: &mut dyn Session, unit: &Unit, fingerprint: &Fingerprint) -> Result<Option<Unit>, StoreError> {
    let holders = claim::matching(session, unit, fingerprint, None, None)?;
    let of_chip = holders.into_iter().find(|holder| holder.fingerprint == *fingerprint && holder.unit != *unit);
    if let Some(holder) = of_chip {
        return Ok(Some(holder.unit));
    }
    Ok(issued_to(session, fingerprint)?.map(|issued| issued.unit).filter(|holder| holder != unit))
}

/// Whose a certificate is that was made for a unit's key.
#[derive(Clone)]
pub struct IssuedTo {
    pub unit: Unit,
    pub run: RunId,
    pub seq: u64,
}

pub fn issued_to(session: &mut dyn Session, fingerprint: &Fingerprint) -> Result<Option<IssuedTo>, StoreError> {
    session.row(sql::ISSUED_TO, values![fingerprint.as_bytes()], |row| {
        let unit = Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? };
        Ok(IssuedTo { unit, run: RunId::from_bytes(row.array(2)?), seq: row.count(3)? })
    })
}

/// What was made for these certificates' units while they were bound by them.
pub fn under(session: &mut dyn Session, bound: &[Fingerprint]) -> Result<Vec<Fingerprint>, StoreError> {
    let mut under = Vec::new();
    for certificate in bound {
        under.extend(session.rows(sql::ISSUED_UNDER, values![certificate.as_bytes()], |row| {
            row.array(0).map(Fingerprint::from_bytes)
        })?);
    }
    Ok(under)
}

/// The ids of all that was made for the unit's key, parted by spaces.
pub fn ids_of(session: &mut dyn Session, product: &str, serial: Option<&str>) -> Result<String, StoreError> {
    let ids = session.rows(sql::ISSUED_IDS, values![product, serial], |row| row.array::<32>(0).map(hex::encode))?;
    Ok(ids.join(" "))
}

pub fn made_before(
    session: &mut dyn Session,
    run: RunId,
    unit: &Unit,
    target: &TargetName,
) -> Result<MadeBefore, StoreError> {
    let (product, serial, target) = (unit.product.as_str(), unit.serial.as_str(), target.as_str());
    let of_unit = values![product, serial, target];
    let certificates = session.rows(sql::ISSUED_OF_UNIT, of_unit, |row| Ok(Bytes(row.blob(0)?.to_vec())))?;
    let elsewhere = session.rows(sql::ISSUED_ELSEWHERE, values![product, serial, target], |row| {
        Ok((parse(row.str(0)?)?, Bytes(row.blob(1)?.to_vec())))
    })?;
    let others = values![product, serial, target, run.as_uuid().as_bytes()];
    let unanswered = session.one(sql::UNANSWERED, others, |row| row.int(0))?;
    let unanswered = unanswered.map(|at| Timestamp::from_nanosecond(i128::from(at))).transpose();
    let unanswered = unanswered.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(MadeBefore { certificates, elsewhere, unanswered })
}

fn unit_of(session: &mut dyn Session, run: RunId) -> Result<Unit, StoreError> {
    let unit = session.row(sql::UNIT_OF_RUN, values![run.as_uuid().as_bytes()], |row| {
        Ok(Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? })
    })?;
    unit.ok_or_else(|| StoreError::Illegal(format!("run {run} has a certificate made and is no unit's")))
}
