//! Names, typed texts and PINs against the commitments in the log. Names and texts may be gone where an
//! event says so; none may differ.

use std::collections::HashSet;

use super::leaves::{Leaves, Operator};
use super::{Stop, broken};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::people::{is_committed, salted};
use crate::adapters::store::session::{Session, values};
use crate::adapters::store::sql;
use crate::audit::event::FreeText;
use crate::domain::Sha256;
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

/// A name that is there is the one that its hash is of, and has the salt to show it.
pub(super) fn check(session: &mut dyn Session) -> Result<Kept, Stop> {
    let mut wrong = None;
    session.ask("SELECT id, name, salt, name_sha256 FROM people", &mut |row| {
        if !is_committed(row.text(1)?, row.opt_array(2)?, row.str(3)?) {
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
pub(super) struct Judged {
    pub forgotten_people: u64,
    pub forgotten_texts: u64,
    pub remembered: u64,
    /// Operators whose PIN no event commits to.
    pub uncommitted_pins: u64,
}

/// Whoever an event names is somebody, or was forgotten; so is what they typed; and what they sign in
/// with is what they were given.
pub(super) fn judge(session: &mut dyn Session, leaves: &Leaves) -> Result<Judged, Stop> {
    let mut judged = Judged::default();
    for (id, name_sha256) in &leaves.named {
        let person = session.row(sql::PERSON_BY_ID, values![id.as_bytes()], |row| {
            Ok((row.str(1)?.to_owned(), row.text(2)?.is_some()))
        })?;
        match person {
            Some((known, _)) if known != *name_sha256 => {
                let found = "the log has committed to another name";
                return Err(broken(Promise::People, format!("person {id}"), found));
            }
            Some((_, true)) => judged.remembered += u64::from(leaves.forgotten.contains(id)),
            Some((_, false)) | None if leaves.forgotten.contains(id) => judged.forgotten_people += 1,
            Some((_, false)) | None => {
                let found = "the name is gone, and no event says that it was forgotten";
                return Err(broken(Promise::People, format!("person {id}"), found));
            }
        }
    }
    texts(session, leaves, &mut judged)?;
    pins(session, leaves, &mut judged)?;
    Ok(judged)
}

fn texts(session: &mut dyn Session, leaves: &Leaves, judged: &mut Judged) -> Result<(), Stop> {
    let mut seen = HashSet::new();
    for (seq, FreeText { id, text_sha256 }) in &leaves.typed {
        let place = || format!("text {id} of event {seq}");
        let text =
            session.row(sql::TEXT, values![id.as_bytes()], |row| Ok((row.array::<32>(0)?, row.str(1)?.to_owned())))?;
        match text {
            Some((salt, words)) if salted(&salt, &words) != *text_sha256 => {
                return Err(broken(Promise::People, place(), "it is not the text that was committed to"));
            }
            Some(_) => judged.remembered += u64::from(leaves.forgotten_texts.contains(id) && seen.insert(*id)),
            // The event that says so may be among those whose bytes are not at hand.
            None if leaves.forgotten_texts.contains(id) || *seq < leaves.read_from() => {
                judged.forgotten_texts += u64::from(seen.insert(*id));
            }
            None => {
                return Err(broken(Promise::People, place(), "it is gone, and no event says that it was forgotten"));
            }
        }
    }
    Ok(())
}

/// Only of those who may sign in: what is kept of others opens nothing.
fn pins(session: &mut dyn Session, leaves: &Leaves, judged: &mut Judged) -> Result<(), Stop> {
    let active = leaves.operators.iter().filter(|(_, operator)| !operator.disabled);
    for (id, operator) in active.filter(|(_, operator)| operator.given >= leaves.read_from()) {
        let kept = session.row(sql::CREDENTIAL, values![id.as_bytes()], |row| {
            Ok((Sha256::of(row.str(0)?.as_bytes()), row.text(4)?.map(|badge| Sha256::of(badge.as_bytes()))))
        })?;
        badge(*id, operator, kept.and_then(|(_, badge)| badge))?;
        let Operator { given, pin: Some(committed), .. } = operator else {
            judged.uncommitted_pins += 1;
            continue;
        };
        let found = match kept {
            Some((kept, _)) if kept == *committed => continue,
            Some(_) => format!("it is not the one that event {given} has committed to"),
            None => format!("it is gone; event {given} has given one"),
        };
        return Err(broken(Promise::People, format!("PIN of person {id}"), found));
    }
    Ok(())
}

fn badge(id: uuid::Uuid, operator: &Operator, kept: Option<Sha256>) -> Result<(), Stop> {
    let found = match (operator.badge, kept) {
        (None, None) => return Ok(()),
        (Some((_, committed)), Some(kept)) if kept == committed => return Ok(()),
        (Some((given, _)), Some(_)) => format!("it is not the one that event {given} has committed to"),
        (Some((given, _)), None) => format!("it is gone; event {given} has given one"),
        (None, Some(_)) => "no event has given it".to_owned(),
    };
    Err(broken(Promise::People, format!("badge of person {id}"), found))
}
