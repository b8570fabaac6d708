//! The log's rows: appending with the tree's head and its stored hashes, reading with the leaf's
//! hash checked.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::error::StoreError;
use super::read::parse;
use super::session::{Row, Session, Sql, Value, number, stored, values};
use super::{archive, claim, history, project, sql};
use crate::audit::event::LabelKind;
use crate::audit::{Body, Event, LeafHash, LineEvent, Node, RunEvent, TreeHead, TreeState};
use crate::domain::{EventId, RunId, Unit, Verdict};
use crate::ports::{Lock, LockKind, Logged, Receipt};

/// Appends to the log within one transaction that nobody else writes in. Nothing counts before
/// [`Appender::finish`] and the commit.
#[derive(Clone)]
pub struct Appender {
    tree: TreeState,
    size_before: u64,
    /// Nodes that the new leaves completed.
    completed: Vec<(Node, [u8; 32])>,
}

impl Appender {
    pub fn begin(session: &mut dyn Session) -> Result<Self, StoreError> {
        let tree = tree(session, sql::LOCK_TREE_HEAD)?;
        Ok(Self { size_before: tree.size(), tree, completed: Vec::new() })
    }

    /// The next leaf; an id that the log holds already gives that event's receipt.
    pub fn push(&mut self, session: &mut dyn Session, event: &Event) -> Result<Receipt, StoreError> {
        match receipt(session, event.id)? {
            Some(receipt) => Ok(receipt),
            None => self.push_new(session, event),
        }
    }

    /// The next leaf, known to be none that the log holds.
    pub fn push_new(&mut self, session: &mut dyn Session, event: &Event) -> Result<Receipt, StoreError> {
        let bytes = event.encode().map_err(StoreError::Encode)?;
        let receipt = self.push_bytes(session, event.id, &bytes)?;
        project::project(session, receipt.seq, event)?;
        Ok(receipt)
    }

    /// The next leaf as bytes that were written elsewhere; nothing is derived from it.
    pub fn push_bytes(&mut self, session: &mut dyn Session, id: EventId, bytes: &[u8]) -> Result<Receipt, StoreError> {
        let receipt = Receipt { seq: self.tree.size(), leaf: LeafHash::of(bytes) };
        session.execute(
            sql::INSERT_EVENT,
            values![stored(receipt.seq)?, id.as_uuid().as_bytes(), bytes, &receipt.leaf.0],
        )?;
        self.tree.append_to(receipt.leaf, &mut self.completed);
        Ok(receipt)
    }

    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// Stores the nodes that are complete, so that a long transaction does not gather them all.
    pub fn spill(&mut self, session: &mut dyn Session) -> Result<(), StoreError> {
        session.insert_hashes(&std::mem::take(&mut self.completed))
    }

    /// Stores the completed nodes and the tree's new head, once for all leaves.
    pub fn finish(self, session: &mut dyn Session) -> Result<(), StoreError> {
        if self.tree.size() == self.size_before {
            return Ok(());
        }
        session.insert_hashes(&self.completed)?;
        let head = self.tree.head();
        session
            .execute(sql::SET_TREE_HEAD, values![stored(head.size)?, &self.tree.edge_bytes(), &head.root])
            .map(|_| ())
    }
}

pub fn append(
    session: &mut dyn Session,
    appender: &mut Appender,
    events: &[Event],
) -> Result<Vec<Receipt>, StoreError> {
    for event in events {
        refuse_a_second_beginning(session, event)?;
        refuse_a_barred_pass(session, event)?;
    }
    let mut receipts = Vec::with_capacity(events.len());
    for event in events {
        // In turn: the one before it may have opened that batch.
        refuse_a_batch_of_another(session, event)?;
        receipts.push(appender.push(session, event)?);
    }
    Ok(receipts)
}

/// Events of a run whose writer knows it up to `known`.
pub fn append_to_run(
    session: &mut dyn Session,
    appender: &mut Appender,
    run: RunId,
    known: u64,
    events: &[Event],
) -> Result<Vec<Receipt>, StoreError> {
    let mut written = true;
    for event in events {
        if event.run != Some(run) {
            return Err(StoreError::Illegal(format!("event {} is none of run {run}", event.id)));
        }
        written &= receipt(session, event.id)?.is_some();
    }
    if !written {
        refuse_the_overtaken(session, run, known)?;
        for event in events {
            refuse_a_second_label(session, run, event)?;
        }
    }
    append(session, appender, events)
}

/// A ruling by persons who know what locks the unit up to event `seen`.
pub fn append_ruling(
    session: &mut dyn Session,
    appender: &mut Appender,
    unit: &Unit,
    seen: Option<u64>,
    ruling: &Event,
) -> Result<Receipt, StoreError> {
    if receipt(session, ruling.id)?.is_none() {
        let newest = history::locks(session, unit)?.into_iter().map(|lock| lock.seq).max();
        if let Some(seq) = newest.filter(|newest| seen.is_none_or(|seen| *newest > seen)) {
            return Err(StoreError::LockedSince { unit: unit.clone(), seq });
        }
    }
    appender.push(session, ruling)
}

/// A run is written on from where its writer knows it, or not at all.
pub fn refuse_the_overtaken(session: &mut dyn Session, run: RunId, known: u64) -> Result<(), StoreError> {
    match last_of(session, run)? {
        Some(last) if last == known => Ok(()),
        Some(last) if last > known => Err(StoreError::Overtaken { run, known, last }),
        _ => Err(StoreError::Lost { run, known }),
    }
}

/// Two stations may take in one air-gapped station's file at once: both have seen that its run is not here.
fn refuse_a_second_beginning(session: &mut dyn Session, event: &Event) -> Result<(), StoreError> {
    let (Body::Run(RunEvent::RunStarted { .. }), Some(run)) = (&event.body, event.run) else { return Ok(()) };
    match last_of(session, run)? {
        Some(last) if receipt(session, event.id)?.is_none() => Err(StoreError::Begun { run, last }),
        _ => Ok(()),
    }
}

/// Two stations may open one name at once, for two products: the boards of whichever came first would all be
/// refused. What stands in the log already is derived as it is.
fn refuse_a_batch_of_another(session: &mut dyn Session, event: &Event) -> Result<(), StoreError> {
    let Body::Line(LineEvent::BatchOpened { batch, profile, product, .. }) = &event.body else { return Ok(()) };
    let other = values![batch.as_str(), profile, product.as_str()];
    match session.row(sql::BATCH_OF_ANOTHER, other, |row| row.i64(0))? {
        Some(_) if receipt(session, event.id)?.is_none() => Err(StoreError::BatchTaken { batch: batch.clone() }),
        _ => Ok(()),
    }
}

fn last_of(session: &mut dyn Session, run: RunId) -> Result<Option<u64>, StoreError> {
    session.row(sql::LAST_OF_RUN, values![run.as_uuid().as_bytes()], |row| row.count(0))
}

/// Two runs of one unit may come to their verdicts at once, at two stations.
fn refuse_a_second_label(session: &mut dyn Session, run: RunId, event: &Event) -> Result<(), StoreError> {
    let Body::Run(RunEvent::Sealed { label: Some(LabelKind::Unit), .. }) = &event.body else { return Ok(()) };
    let taken = session.row(sql::LABEL_OF_UNIT_OF_RUN, values![run.as_uuid().as_bytes()], |row| row.i64(0))?;
    taken.map_or(Ok(()), |_| Err(StoreError::LabelTaken { run }))
}

/// Whoever asked before, this is the moment that counts: nobody else writes.
fn refuse_a_barred_pass(session: &mut dyn Session, event: &Event) -> Result<(), StoreError> {
    let (Body::Run(RunEvent::Sealed { verdict: Verdict::Pass, .. }), Some(run)) = (&event.body, event.run) else {
        return Ok(());
    };
    if receipt(session, event.id)?.is_some() {
        return Ok(());
    }
    refuse_a_twin(session, run, event.at)?;
    let lock = session.row(sql::PASS_BARRED, values![run.as_uuid().as_bytes()], |row| {
        Ok(format!("event {} locks the unit ({})", row.count(1)?, row.str(0)?))
    })?;
    let why = match lock {
        Some(lock) => Some(lock),
        None => unfit(session, run)?,
    };
    let why = match why {
        Some(why) => Some(why),
        None => claim::unlisted_since(session, run)?,
    };
    why.map_or(Ok(()), |why| Err(StoreError::PassBarred { run, why }))
}

/// How long a run may say nothing and still be at work: a station that died leaves its runs open until it
/// starts again, and its boards are carried to the next one.
const AT_WORK: SignedDuration = SignedDuration::from_mins(5);

/// Two boards present with one serial number at two stations: nobody can say which of them is the unit.
pub fn refuse_a_twin(session: &mut dyn Session, run: RunId, now: Timestamp) -> Result<(), StoreError> {
    let others = session.rows(sql::ELSEWHERE, values![run.as_uuid().as_bytes()], |row| {
        let unit = Unit { product: parse(row.str(4)?)?, serial: parse(row.str(5)?)? };
        let twin = StoreError::Twin { unit, run: RunId::from_bytes(row.array(0)?), station: row.str(1)?.to_owned() };
        Ok((twin, row.text(2)?.is_some(), row.count(3)?))
    })?;
    for (twin, ended, last) in others {
        let last = session.one(sql::EVENT_BY_SEQ, values![stored(last)?], logged)?;
        if ended || now.duration_since(last.event.at) < AT_WORK {
            return Err(twin);
        }
    }
    Ok(())
}

/// Why the run can't pass, whatever was ruled since; `None`: it can.
pub fn unfit(session: &mut dyn Session, run: RunId) -> Result<Option<String>, StoreError> {
    let found = session.row(sql::PASS_UNFIT, values![run.as_uuid().as_bytes()], |row| {
        Ok((row.opt_count(0)?, row.text(2)?.map(str::to_owned), row.text(3)?.map(str::to_owned)))
    })?;
    if let Some((Some(seq), ..)) = found {
        return Ok(Some(format!("what its unit registered was taken back by event {seq}")));
    }
    let moved = session.row(sql::RUN_MOVED_AWAY, values![run.as_uuid().as_bytes()], claim::moved_to)?;
    if let Some((seq, new)) = moved {
        return Ok(Some(format!("event {seq} rules that the unit has the chip of certificate {new}")));
    }
    match found {
        None => Ok(None),
        Some((_, product, serial)) => {
            unbound(session, &product.unwrap_or_default(), &serial.unwrap_or_default()).map(Some)
        }
    }
}

/// The ruling that took back what the run's unit had registered, where it came after the run's beginning.
pub fn withdrawn_since(session: &mut dyn Session, run: RunId) -> Result<Option<Lock>, StoreError> {
    session.row(sql::WITHDRAWN_SINCE, values![run.as_uuid().as_bytes()], |row| {
        Ok(Lock { kind: LockKind::Withdrawn, run: None, reason: None, seq: row.count(0)? })
    })
}

/// What the run's unit holds instead of the chip that the run proved.
fn unbound(session: &mut dyn Session, product: &str, serial: &str) -> Result<String, StoreError> {
    let held = session.row(sql::BINDING_OF_UNIT, values![product, serial], |row| {
        Ok(format!("certificate {} (event {})", hex::encode(row.array::<32>(2)?), row.count(8)?))
    })?;
    let held = held.unwrap_or_else(|| "nothing".to_owned());
    Ok(format!("{product} {serial} is not bound to the chip that was proven, but to {held}"))
}

/// The stored head, which must follow from the stored edge and count the stored events.
pub fn head(session: &mut dyn Session) -> Result<TreeHead, StoreError> {
    tree(session, sql::TREE_HEAD).map(|tree| tree.head())
}

fn tree(session: &mut dyn Session, sql: Sql) -> Result<TreeState, StoreError> {
    let (size, edge, root) =
        session.one(sql, &[], |row| Ok((row.count(0)?, row.blob(1)?.to_vec(), row.array::<32>(2)?)))?;
    let tree = TreeState::from_stored(size, &edge).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    if tree.head().root != root {
        return Err(StoreError::Corrupt("the tree's stored root does not follow from its stored edge".to_owned()));
    }
    let events = session.one(sql::NEXT_SEQ, &[], |row| row.count(0))?;
    if events != size {
        return Err(StoreError::Corrupt(format!("the tree has {size} leaves, but the next event would be {events}")));
    }
    Ok(tree)
}

pub fn by_id(session: &mut dyn Session, id: EventId) -> Result<Option<Logged>, StoreError> {
    session.row(sql::EVENT_BY_ID, values![id.as_uuid().as_bytes()], logged)
}

fn receipt(session: &mut dyn Session, id: EventId) -> Result<Option<Receipt>, StoreError> {
    session.row(sql::RECEIPT_BY_ID, values![id.as_uuid().as_bytes()], |row| {
        Ok(Receipt { seq: row.count(0)?, leaf: LeafHash(row.array(1)?) })
    })
}

/// An event's row of (seq, bytes, leaf_hash), as it is.
pub struct Stored {
    pub seq: u64,
    /// Empty: they were archived.
    pub bytes: Vec<u8>,
    pub leaf: LeafHash,
}

pub fn stored_event(row: &dyn Row) -> Result<Stored, StoreError> {
    Ok(Stored { seq: row.count(0)?, bytes: row.blob(1)?.to_vec(), leaf: LeafHash(row.array(2)?) })
}

/// The bytes of an archived event, out of its archive.
pub fn fetch(session: &mut dyn Session, stored: &mut Stored) -> Result<(), StoreError> {
    if stored.bytes.is_empty() {
        stored.bytes = match session.archives().bytes(stored.seq, stored.leaf)? {
            Some(bytes) => bytes,
            None => return Err(archive::missing(session, stored.seq)?),
        };
    }
    Ok(())
}

/// Every event that `sql` answers with, its bytes out of an archive where they are in one.
pub fn events(session: &mut dyn Session, sql: Sql, values: &[Value<'_>]) -> Result<Vec<Logged>, StoreError> {
    let mut rows = session.rows(sql, values, stored_event)?;
    for row in &mut rows {
        fetch(session, row)?;
    }
    rows.iter().map(opened).collect()
}

/// From a row of (seq, bytes, leaf_hash) that is never archived.
pub fn logged(row: &dyn Row) -> Result<Logged, StoreError> {
    opened(&stored_event(row)?)
}

/// Bytes that are not those of the leaf are an error, not an event.
pub fn opened(stored: &Stored) -> Result<Logged, StoreError> {
    let Stored { seq, bytes, leaf } = stored;
    if bytes.is_empty() {
        return Err(StoreError::Archived { seq: *seq, whence: String::new() });
    }
    if LeafHash::of(bytes) != *leaf {
        return Err(StoreError::Corrupt(format!("event {seq} is not what was written: its hash differs")));
    }
    let event =
        Event::decode(bytes).map_err(|error| StoreError::Corrupt(format!("event {seq} is unreadable: {error}")))?;
    Ok(Logged { receipt: Receipt { seq: *seq, leaf: *leaf }, event })
}

/// How many rows are read at a time by what goes over the whole log.
const PAGE: i64 = 1000;

/// Every event from the first to the last, in order, a page at a time: `each` may use the session.
pub fn walk(
    session: &mut dyn Session,
    mut each: impl FnMut(&mut dyn Session, &[Logged]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut next = 0;
    loop {
        let page = events(session, sql::EVENTS_FROM, values![next, PAGE])?;
        let Some(last) = page.last() else { return Ok(()) };
        next = stored(last.receipt.seq + 1)?;
        each(session, &page)?;
    }
}

/// Stored hashes, leaves' own among them. One question for all nodes, and one for all leaves.
pub fn hashes(session: &mut dyn Session, nodes: &[Node]) -> Result<Vec<[u8; 32]>, StoreError> {
    let (leaves, above): (Vec<&Node>, Vec<&Node>) = nodes.iter().partition(|node| node.level == 0);
    let leaves = numbered(session, sql::LEAF_HASHES, leaves.iter().map(|leaf| leaf.index))?;
    let above = numbered(session, sql::HASHES, above.iter().map(|node| node.position()))?;
    nodes
        .iter()
        .map(|node| {
            let found = if node.level == 0 { leaves.get(&node.index) } else { above.get(&node.position()) };
            found.copied().ok_or_else(|| {
                StoreError::Corrupt(format!("the hash of level {}, number {} is missing", node.level, node.index))
            })
        })
        .collect()
}

fn numbered(
    session: &mut dyn Session,
    sql: Sql,
    numbers: impl Iterator<Item = u64>,
) -> Result<HashMap<u64, [u8; 32]>, StoreError> {
    let numbers: Vec<String> = numbers.map(|number| stored(number).map(|n| n.to_string())).collect::<Result<_, _>>()?;
    if numbers.is_empty() {
        return Ok(HashMap::new());
    }
    let found = session.rows(sql, values![&numbers.join(",")], |row| Ok((row.count(0)?, row.array(1)?)))?;
    Ok(found.into_iter().collect())
}

/// Computes the hashes above the leaves where a log was written by a program that kept none.
pub fn fill_hashes(session: &mut dyn Session) -> Result<(), StoreError> {
    let size = head(session)?.size;
    let known = session.one(sql::HASH_COUNT, &[], |row| row.count(0))?;
    if known > 0 || size < 2 {
        return Ok(());
    }
    let mut tree = TreeState::default();
    while tree.size() < size {
        let leaves = session.rows(sql::LEAF_HASHES_FROM, values![stored(tree.size())?, PAGE], |row| row.array(0))?;
        if leaves.is_empty() {
            return Err(StoreError::Corrupt(format!("leaf {} is missing", tree.size())));
        }
        let mut completed = Vec::new();
        leaves.into_iter().for_each(|leaf| tree.append_to(LeafHash(leaf), &mut completed));
        session.insert_hashes(&completed)?;
    }
    Ok(())
}

/// The events' own numbers, as [`number`] reads them.
pub fn size(session: &mut dyn Session) -> Result<u64, StoreError> {
    session.one(sql::NEXT_SEQ, &[], |row| number(row.i64(0)?))
}
