//! Names and typed texts against the commitments in the log. They may be gone; they may not differ.

use std::collections::HashSet;

use super::leaves::Leaves;
use super::{Stop, broken};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::people::salted;
use crate::adapters::store::session::{Session, values};
use crate::adapters::store::sql;
use crate::ports::Promise;

/// The texts that are still there, for deriving what is found by their words.
pub(super) struct Kept(Vec<([u8; 16], [u8; 32], String)>);

impl Kept {
    pub fn copy(&self, scratch: &mut dyn Session) -> Result<(), StoreError> {
        for (id, salt, words) in &self.0 {
            scratch.execute(sql::KEEP_TEXT, values![id, salt, words])?;
        }
        Ok(())
    }
}

/// A name that is there is the one that its hash is of.
pub(super) fn check(session: &mut dyn Session) -> Result<Kept, Stop> {
    let mut wrong = None;
    session.ask("SELECT id, name, salt, name_sha256 FROM people", &mut |row| {
        if let (Some(name), Some(salt)) = (row.text(1)?, row.opt_array::<32>(2)?)
            && salted(&salt, name) != row.str(3)?
        {
            wrong = Some(uuid::Uuid::from_bytes(row.array(0)?));
        }
        Ok(())
    })?;
    if let Some(id) = wrong {
        return Err(broken(Promise::People, format!("person {id}"), "the name is not the one that was committed to"));
    }
    let mut kept = Vec::new();
    session.ask("SELECT id, salt, words FROM texts", &mut |row| {
        kept.push((row.array(0)?, row.array(1)?, row.str(2)?.to_owned()));
        Ok(())
    })?;
    Ok(Kept(kept))
}

#[derive(Default)]
pub(super) struct Forgotten {
    pub people: u64,
    pub texts: u64,
}

/// Whoever an event names is somebody, or was forgotten; and so is what they typed.
pub(super) fn forgotten(session: &mut dyn Session, leaves: &Leaves) -> Result<Forgotten, Stop> {
    let mut forgotten = Forgotten::default();
    for (id, name_sha256) in &leaves.named {
        let person = session.row(sql::PERSON_BY_ID, values![id.as_bytes()], |row| {
            Ok((row.str(1)?.to_owned(), row.text(2)?.is_some()))
        })?;
        match person {
            Some((known, _)) if known != *name_sha256 => {
                let found = "the log has committed to another name";
                return Err(broken(Promise::People, format!("person {id}"), found));
            }
            Some((_, true)) => {}
            Some((_, false)) | None if leaves.forgotten.contains(id) => forgotten.people += 1,
            Some((_, false)) | None => {
                let found = "the name is gone, and no event says that it was forgotten";
                return Err(broken(Promise::People, format!("person {id}"), found));
            }
        }
    }
    let mut seen = HashSet::new();
    for (id, text_sha256) in &leaves.typed {
        let text =
            session.row(sql::TEXT, values![id.as_bytes()], |row| Ok((row.array::<32>(0)?, row.str(1)?.to_owned())))?;
        match text {
            Some((salt, words)) if salted(&salt, &words) != *text_sha256 => {
                let found = "it is not the text that was committed to";
                return Err(broken(Promise::People, format!("text {id}"), found));
            }
            Some(_) => {}
            None => forgotten.texts += u64::from(seen.insert(*id)),
        }
    }
    Ok(forgotten)
}
