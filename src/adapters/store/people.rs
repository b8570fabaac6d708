//! The people behind the ids, what they sign in with, and the words they typed.

use jiff::Timestamp;
use uuid::Uuid;

use super::error::StoreError;
use super::project::nanoseconds;
use super::read::{parse, timestamp};
use super::session::{Row, Session, Value, stored, values};
use super::{log, project, sql};
use crate::audit::event::FreeText;
use crate::audit::{Body, LineEvent};
use crate::domain::{OperatorRef, Sha256, lockout};
use crate::ports::{Credential, Logged, Person, Receipt};

/// The person of this exact name; `new` (id and salt) makes one where there is none.
pub fn named(session: &mut dyn Session, name: &str, new: (Uuid, [u8; 32])) -> Result<OperatorRef, StoreError> {
    if let Some(known) = by_name(session, name)? {
        return Ok(known.who);
    }
    let (id, salt) = new;
    let name_sha256 = salted(&salt, name);
    session.execute(sql::INSERT_PERSON, values![id.as_bytes(), name, &salt, &name_sha256])?;
    Ok(OperatorRef { id, name_sha256 })
}

/// SHA-256(salt ‖ text) in hexadecimal.
pub fn salted(salt: &[u8; 32], text: &str) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(salt);
    context.update(text.as_bytes());
    hex::encode(context.finish())
}

/// Is this the name that was committed to, or was it forgotten? A name without its salt proves nothing.
pub fn is_committed(name: Option<&str>, salt: Option<[u8; 32]>, name_sha256: &str) -> bool {
    match (name, salt) {
        (Some(name), Some(salt)) => salted(&salt, name) == name_sha256,
        (name, salt) => name.is_none() && salt.is_none(),
    }
}

pub fn by_name(session: &mut dyn Session, name: &str) -> Result<Option<Person>, StoreError> {
    session.row(sql::PERSON_BY_NAME, values![name], person_of)
}

pub fn by_id(session: &mut dyn Session, id: Uuid) -> Result<Option<Person>, StoreError> {
    session.row(sql::PERSON_BY_ID, values![id.as_bytes()], person_of)
}

pub fn operators(session: &mut dyn Session) -> Result<Vec<Person>, StoreError> {
    session.rows(sql::OPERATORS, &[], person_of)
}

/// Nobody signs in, or is told of, under a name that the log has not committed to.
fn person_of(row: &dyn Row) -> Result<Person, StoreError> {
    let (id, name_sha256, name) = (Uuid::from_bytes(row.array(0)?), row.str(1)?.to_owned(), row.text(2)?);
    if !is_committed(name, row.opt_array(5)?, &name_sha256) {
        return Err(StoreError::Corrupt(format!("the name of person {id} is not the one that was committed to")));
    }
    Ok(Person {
        who: OperatorRef { id, name_sha256 },
        name: name.map(str::to_owned),
        role: row.text(3)?.map(parse).transpose()?,
        disabled: row.int(4)?.is_some_and(|disabled| disabled != 0),
    })
}

pub fn credential(session: &mut dyn Session, id: Uuid) -> Result<Option<Credential>, StoreError> {
    session.row(sql::CREDENTIAL, values![id.as_bytes()], |row| {
        Ok(Credential {
            pin_hash: row.str(0)?.to_owned(),
            failures: u32::try_from(row.count(1)?).unwrap_or(u32::MAX),
            locked_until: row.int(2)?.map(timestamp).transpose()?,
            committed: row.opt_array(3)?.map(Sha256::from_bytes),
            badge_hash: row.text(4)?.map(str::to_owned),
            badge_committed: row.opt_array(5)?.map(Sha256::from_bytes),
        })
    })
}

pub fn set_pin(session: &mut dyn Session, id: Uuid, pin_hash: &str) -> Result<(), StoreError> {
    session.execute(sql::SET_CREDENTIAL, values![id.as_bytes(), pin_hash, 0, Value::Null])?;
    Ok(())
}

fn set_credential(session: &mut dyn Session, id: Uuid, credential: &Credential) -> Result<(), StoreError> {
    let Credential { pin_hash, failures, locked_until, .. } = credential;
    let until = locked_until.map(nanoseconds);
    session.execute(sql::SET_CREDENTIAL, values![id.as_bytes(), pin_hash, i64::from(*failures), until])?;
    Ok(())
}

pub fn by_badge(session: &mut dyn Session, badge_hash: &str) -> Result<Option<Person>, StoreError> {
    session.row(sql::PERSON_BY_BADGE, values![badge_hash], person_of)
}

pub fn set_badge(session: &mut dyn Session, id: Uuid, badge_hash: Option<&str>) -> Result<(), StoreError> {
    if session.execute(sql::SET_BADGE, values![id.as_bytes(), badge_hash])? == 0 {
        return Err(StoreError::Illegal(format!("person {id} has nothing to sign in with")));
    }
    Ok(())
}

pub fn count_wrong_pin(session: &mut dyn Session, id: Uuid, now: Timestamp) -> Result<Credential, StoreError> {
    let known = credential(session, id)?;
    let mut counted = known.ok_or_else(|| StoreError::Illegal(format!("person {id} has nothing to sign in with")))?;
    counted.failures = counted.failures.saturating_add(1);
    if let Some(wait) = lockout(counted.failures) {
        counted.locked_until = Some(now.checked_add(wait).unwrap_or(Timestamp::MAX));
    }
    set_credential(session, id, &counted)?;
    Ok(counted)
}

pub fn clear_wrong_pins(session: &mut dyn Session, id: Uuid) -> Result<(), StoreError> {
    session.execute(sql::CLEAR_WRONG_PINS, values![id.as_bytes()])?;
    Ok(())
}

pub fn forget(session: &mut dyn Session, id: Uuid) -> Result<bool, StoreError> {
    let credentials = session.execute(sql::FORGET_CREDENTIAL, values![id.as_bytes()])?;
    let people = session.execute(sql::FORGET_PERSON, values![id.as_bytes()])?;
    session.scrub();
    Ok(credentials + people > 0)
}

pub fn keep_text(session: &mut dyn Session, text: &FreeText, salt: &[u8; 32], typed: &str) -> Result<(), StoreError> {
    if salted(salt, typed) != text.text_sha256 {
        return Err(StoreError::Illegal(format!("text {} is not what the commitment says", text.id)));
    }
    // The same text, sent again after its answer was lost.
    if self::text(session, text.id)?.is_some_and(|(known, words)| known == *salt && words == typed) {
        return Ok(());
    }
    session.execute(sql::KEEP_TEXT, values![text.id.as_bytes(), salt, typed])?;
    Ok(())
}

pub fn text(session: &mut dyn Session, id: Uuid) -> Result<Option<([u8; 32], String)>, StoreError> {
    session.row(sql::TEXT, values![id.as_bytes()], |row| Ok((row.array(0)?, row.str(1)?.to_owned())))
}

/// Deletes a text, and its words where QA would find them.
pub fn forget_text(session: &mut dyn Session, id: Uuid) -> Result<bool, StoreError> {
    if session.execute(sql::FORGET_TEXT, values![id.as_bytes()])? == 0 {
        return Ok(false);
    }
    if let Some(Logged { receipt: Receipt { seq, .. }, event }) = ruling_of(session, id)?
        && let Body::Line(ruled) = &event.body
    {
        let seq = stored(seq)?;
        let known = session.one(sql::WORDS, values![seq], |row| Ok(row.str(0)?.to_owned()))?;
        let without = project::words_of_ruling(session, ruled)?;
        session.execute(sql::UNINDEX_WORDS, values![seq, &known])?;
        session.execute(sql::PROJECT_WORDS, values![seq, &without])?;
        session.execute(sql::INDEX_WORDS, values![seq, &without])?;
        session.execute(sql::MERGE_INDEX, values![])?;
    }
    session.scrub();
    Ok(true)
}

/// Rulings that are looked through at a time.
const PAGE: i64 = 500;

/// For which ruling this was typed: as its reason, or as what it refers to.
fn ruling_of(session: &mut dyn Session, text: Uuid) -> Result<Option<Logged>, StoreError> {
    if let Some(seq) = session.row(sql::RULING_OF_REASON, values![text.as_bytes()], |row| row.i64(0))? {
        return Ok(log::events(session, sql::RULINGS_FROM, values![seq, 1])?.pop());
    }
    let mut from = 0;
    loop {
        let page = log::events(session, sql::RULINGS_FROM, values![from, PAGE])?;
        let Some(last) = page.last() else { return Ok(None) };
        from = stored(last.receipt.seq + 1)?;
        let refers = |logged: &Logged| match &logged.event.body {
            Body::Line(LineEvent::Ruled { references, .. }) => references.iter().any(|known| known.id == text),
            _ => false,
        };
        if let Some(found) = page.into_iter().find(refers) {
            return Ok(Some(found));
        }
    }
}
