//! A whole log, from one database into another, whichever the two are.
//!
//! Leaves go over as the bytes they are, in their order and under their ids. Hashes are computed anew and
//! compared, and projections are derived, so nothing is believed that does not follow from the bytes.
//! It is one transaction at either end: what is read is of one moment, and what is written is there as a
//! whole or not at all. Memory is bounded by a page.

use super::error::StoreError;
use super::log::{self, Appender};
use super::session::{Mode, Row, Session, Value, number, stored, values};
use super::{archive, project, sql};
use crate::audit::{Body, Event, LeafHash, LineEvent, TreeHead};
use crate::domain::Sha256;
use crate::ports::Logged;

/// Rows that are read at a time.
const PAGE: i64 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    /// Now, as it was at this head.
    Now(TreeHead),
    /// Before: the answer to that commit was lost.
    Before(TreeHead),
}

/// What somebody who copies a log hears of it and adds to it.
pub trait Copying {
    /// So many leaves of so many are over.
    fn progress(&mut self, done: u64, of: u64);
    /// Everything is over and right, and the next thing is the commit. An event returned here becomes the
    /// copy's next leaf.
    fn closing(&mut self, head: TreeHead) -> Result<Option<Event>, StoreError>;
}

/// Copies the log of `from` into `to`, which has to be empty, or to be the whole copy already.
pub fn copy(from: &mut dyn Session, to: &mut dyn Session, copying: &mut dyn Copying) -> Result<Copied, StoreError> {
    from.begin(Mode::Read)?;
    let copied = to.begin(Mode::Write).and_then(|()| transfer(from, to, copying));
    from.roll_back();
    match copied {
        Ok(copied) => to.commit().map(|()| copied),
        Err(error) => {
            to.roll_back();
            Err(error)
        }
    }
}

fn transfer(from: &mut dyn Session, to: &mut dyn Session, copying: &mut dyn Copying) -> Result<Copied, StoreError> {
    let source = log::head(from)?;
    let mut appender = Appender::begin(to)?;
    if to.row(sql::ANYTHING, &[], |_| Ok(()))?.is_some() {
        return match is_copy(to, source)? {
            true => Ok(Copied::Before(source)),
            false => Err(StoreError::Illegal(
                "the database has a log already: a log is moved only into an empty one".to_owned(),
            )),
        };
    }
    to.grow()?;
    // Before the leaves: a ruling is found by the words that somebody typed.
    people(from, to)?;
    let mut next = 0;
    loop {
        let page = from.rows(sql::EVENTS_WITH_ID_FROM, values![stored(next)?, PAGE], Leaf::of)?;
        if page.is_empty() {
            break;
        }
        let mut events = Vec::with_capacity(page.len());
        for mut leaf in page {
            if leaf.bytes.is_empty() {
                leaf.bytes = match from.archives().bytes(leaf.seq, leaf.hash)? {
                    Some(bytes) => bytes,
                    None => return Err(archive::missing(from, leaf.seq)?),
                };
            }
            events.push(leaf.take(next, to, &mut appender)?);
            next += 1;
        }
        project::derive(to, &events)?;
        appender.spill(to)?;
        copying.progress(next, source.size);
    }
    if appender.head() != source {
        return Err(StoreError::Corrupt(
            "the copy's root is not the log's: its leaves are not those of its tree".to_owned(),
        ));
    }
    checkpoints(from, to)?;
    if let Some(event) = copying.closing(source)? {
        appender.push_new(to, &event)?;
    }
    appender.finish(to)?;
    Ok(Copied::Now(source))
}

/// Does the event after the source's last leaf say that it was copied here?
fn is_copy(to: &mut dyn Session, source: TreeHead) -> Result<bool, StoreError> {
    let said = to.row(sql::EVENT_BY_SEQ, values![stored(source.size)?], log::logged)?;
    Ok(said.is_some_and(|logged| match logged.event.body {
        Body::Line(LineEvent::LogMigrated { size, root, .. }) => {
            size == source.size && root == Sha256::from_bytes(source.root)
        }
        _ => false,
    }))
}

struct Leaf {
    seq: u64,
    bytes: Vec<u8>,
    hash: LeafHash,
    id: [u8; 16],
}

impl Leaf {
    fn of(row: &dyn Row) -> Result<Self, StoreError> {
        Ok(Self { seq: row.count(0)?, bytes: row.blob(1)?.to_vec(), hash: LeafHash(row.array(2)?), id: row.array(3)? })
    }

    fn take(&self, seq: u64, to: &mut dyn Session, appender: &mut Appender) -> Result<Logged, StoreError> {
        if self.seq != seq {
            return Err(StoreError::Corrupt(format!("event {seq} is missing")));
        }
        let corrupt = |what: String| StoreError::Corrupt(format!("event {seq} {what}"));
        let event = Event::decode(&self.bytes).map_err(|error| corrupt(format!("is unreadable: {error}")))?;
        if event.id.as_uuid().as_bytes() != &self.id {
            return Err(corrupt("stands under another id than it has".to_owned()));
        }
        let receipt = appender.push_bytes(to, event.id, &self.bytes)?;
        if receipt.leaf != self.hash {
            return Err(corrupt("is not what was written: its hash differs".to_owned()));
        }
        Ok(Logged { receipt, event })
    }
}

/// What is no part of the log and can't be derived from it.
fn people(from: &mut dyn Session, to: &mut dyn Session) -> Result<(), StoreError> {
    type Person = ([u8; 16], Option<String>, Option<[u8; 32]>, String);
    let person = |row: &dyn Row| -> Result<Person, StoreError> {
        Ok((row.array(0)?, row.text(1)?.map(str::to_owned), row.opt_array(2)?, row.str(3)?.to_owned()))
    };
    pages(
        from,
        sql::PEOPLE_FROM,
        person,
        |person| person.0,
        |(id, name, salt, hash)| {
            to.execute(sql::INSERT_PERSON, values![id, name.as_deref(), salt.as_ref(), hash]).map(drop)
        },
    )?;
    let credential = |row: &dyn Row| {
        let badge = row.text(4)?.map(str::to_owned);
        Ok((row.array(0)?, row.str(1)?.to_owned(), row.i64(2)?, row.int(3)?, badge))
    };
    pages(
        from,
        sql::CREDENTIALS_FROM,
        credential,
        |credential| credential.0,
        |(id, hash, failures, until, badge)| {
            to.execute(sql::SET_CREDENTIAL, values![id, hash, *failures, *until])?;
            to.execute(sql::SET_BADGE, values![id, badge.as_deref()]).map(drop)
        },
    )?;
    let text = |row: &dyn Row| Ok((row.array(0)?, row.array::<32>(1)?, row.str(2)?.to_owned()));
    pages(
        from,
        sql::TEXTS_FROM,
        text,
        |text| text.0,
        |(id, salt, words)| to.execute(sql::KEEP_TEXT, values![id, salt, words]).map(drop),
    )
}

/// Every row of a table whose key is 16 bytes.
fn pages<T>(
    from: &mut dyn Session,
    sql: super::session::Sql,
    map: impl Fn(&dyn Row) -> Result<T, StoreError>,
    key: impl Fn(&T) -> [u8; 16],
    mut each: impl FnMut(&T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = Vec::new();
    loop {
        let page = from.rows(sql, values![&after, PAGE], &map)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = key(last).to_vec();
        page.iter().try_for_each(&mut each)?;
    }
}

fn checkpoints(from: &mut dyn Session, to: &mut dyn Session) -> Result<(), StoreError> {
    let mut next = 0;
    loop {
        let checkpoint = |row: &dyn Row| Ok((row.i64(0)?, row.str(1)?.to_owned()));
        let page = from.rows(sql::CHECKPOINTS_FROM, values![next, PAGE], checkpoint)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        next = last + 1;
        for (size, note) in &page {
            number(*size)?;
            to.execute(sql::KEEP_CHECKPOINT, &[Value::Int(*size), note.into()])?;
        }
    }
}
