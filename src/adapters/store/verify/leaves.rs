//! Every leaf, in order: its bytes, its hash, the nodes above it.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, SyncSender};

use super::checkpoints::Vouched;
use super::{Batch, Stop, broken};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::session::{Session, stored, values};
use crate::adapters::store::sql;
use crate::adapters::store::{archive, log};
use crate::audit::event::FreeText;
use crate::audit::{Body, Event, LEAF_PREFIX, LeafHash, LineEvent, Node, RunEvent, TreeHead, TreeState};
use crate::domain::{OperatorRef, Sha256, Unit};
use crate::ports::{Logged, Progress, Promise, Receipt, Stage};

/// Rows read at a time: few enough that a processor's own memory still has them when they are hashed.
const PAGE: i64 = 256;

/// What was read so far.
#[derive(Default)]
pub(super) struct Leaves {
    tree: TreeState,
    pub archived: u64,
    /// Leaves without bytes, from and to before.
    without: Vec<(u64, u64)>,
    /// What events say was archived, likewise.
    archives: Vec<(u64, u64)>,
    /// Everyone whom an event names, with the hash that it names them by.
    pub named: HashMap<uuid::Uuid, String>,
    /// Whose name an event says was deleted.
    pub forgotten: HashSet<uuid::Uuid>,
    /// Every text that an event commits to, and the event.
    pub typed: Vec<(u64, FreeText)>,
    pub forgotten_texts: HashSet<uuid::Uuid>,
    /// What the last event of each operator says.
    pub operators: HashMap<uuid::Uuid, Operator>,
    /// Rulings that one person made.
    pub ruled_alone: u64,
    /// Rulings on units, and who stood behind them.
    pub rulings: Vec<(u64, Unit, Vec<uuid::Uuid>)>,
}

pub(super) struct Operator {
    /// The event that gave the PIN, and what it commits to.
    pub given: u64,
    pub pin: Option<Sha256>,
    /// The same of the badge; `None`: the person has none.
    pub badge: Option<(u64, Sha256)>,
    pub disabled: bool,
}

/// One row of `events`.
#[derive(Default)]
struct Row {
    seq: u64,
    /// 0x00 ‖ event bytes: what is hashed. Copied once, the bytes are not copied again for that.
    hashed: Vec<u8>,
    leaf: [u8; 32],
    id: [u8; 16],
}

impl Row {
    /// None: only their hash is stored.
    fn bytes(&self) -> Option<&[u8]> {
        self.hashed.get(1..).filter(|bytes| !bytes.is_empty())
    }

    fn fill(&mut self, bytes: &[u8]) {
        self.hashed.clear();
        self.hashed.reserve(1 + bytes.len());
        self.hashed.push(LEAF_PREFIX);
        self.hashed.extend_from_slice(bytes);
    }
}

impl Leaves {
    pub fn head(&self) -> TreeHead {
        self.tree.head()
    }

    /// Leaves before this one may have been read by their hash only.
    pub fn read_from(&self) -> u64 {
        self.without.last().map_or(0, |(_, past)| *past)
    }

    /// Reads all of it. `to`: who derives from the events.
    pub fn read(
        mut self,
        session: &mut dyn Session,
        vouched: &mut Vouched,
        to: Option<Deriver>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Self, Stop> {
        let total = stored_size(session)?;
        let (mut hashes, mut page) = (Hashes::default(), Vec::new());
        vouched.at(&self.tree);
        loop {
            let read = read_page(session, self.tree.size(), &mut page)?;
            if read == 0 {
                break;
            }
            let mut batch = Batch::new();
            for row in &mut page[..read] {
                at_hand(session, row)?;
                let event = self.take(session, row, &mut hashes, vouched, to.is_some())?;
                batch.extend(
                    event.map(|event| Logged { receipt: Receipt { seq: row.seq, leaf: LeafHash(row.leaf) }, event }),
                );
            }
            if let Some(deriver) = &to {
                // Nobody listens any more: what they found is told by them.
                deriver.to.send(batch).map_err(|_| StoreError::Ended)?;
                while let Ok(derived) = deriver.derived.try_recv() {
                    drop(derived);
                }
            }
            progress(Progress { stage: Stage::Events, done: self.tree.size(), total: total.max(self.tree.size()) });
        }
        hashes.end(session)?;
        self.compare_archives()?;
        self.compare_head(session, total)?;
        Ok(self)
    }

    fn take(
        &mut self,
        session: &mut dyn Session,
        row: &Row,
        hashes: &mut Hashes,
        vouched: &mut Vouched,
        decode: bool,
    ) -> Result<Option<Event>, Stop> {
        let seq = self.tree.size();
        let place = || format!("event {seq}");
        if row.seq != seq {
            return Err(broken(Promise::Bytes, place(), format!("it is missing: the next one is event {}", row.seq)));
        }
        let mut event = None;
        match row.bytes() {
            Some(bytes) => {
                if LeafHash::of_prefixed(&row.hashed).0 != row.leaf {
                    return Err(broken(Promise::Bytes, place(), "its bytes are not those that were hashed"));
                }
                let checked = check_bytes(&row.id, bytes, decode);
                event = checked.map_err(|found| broken(Promise::Bytes, place(), found))?;
            }
            None if decode => return Err(archive::missing(session, seq)?.into()),
            None => self.note_archived(seq),
        }
        let leaf = LeafHash(row.leaf);
        hashes.completed.clear();
        self.tree.append_to(leaf, &mut hashes.completed);
        for at in 0..hashes.completed.len() {
            let (node, hash) = hashes.completed[at];
            hashes.expect(session, node.position(), &hash)?;
        }
        vouched.at(&self.tree);
        if let Some(event) = &event {
            self.note(seq, event);
            vouched.note(row.seq, event);
        }
        Ok(event)
    }

    fn note_archived(&mut self, seq: u64) {
        self.archived += 1;
        match self.without.last_mut() {
            Some((_, past)) if *past == seq => *past += 1,
            _ => self.without.push((seq, seq + 1)),
        }
    }

    /// Bytes that are missing and that nobody archived were deleted.
    fn compare_archives(&self) -> Result<(), Stop> {
        let archived =
            |(from, past): &(u64, u64)| self.archives.iter().any(|(first, end)| first <= from && past <= end);
        match self.without.iter().find(|range| !archived(range)) {
            Some((seq, _)) => {
                Err(broken(Promise::Bytes, format!("event {seq}"), "its bytes are gone, and no archive has them"))
            }
            None => Ok(()),
        }
    }

    fn note(&mut self, seq: u64, event: &Event) {
        let mut note = |person: &OperatorRef| {
            self.named.entry(person.id).or_insert_with(|| person.name_sha256.clone());
        };
        if let Some(person) = &event.operator {
            note(person);
        }
        match &event.body {
            Body::Line(LineEvent::OperatorAdded { person, pin_sha256, .. }) => {
                note(person);
                let added = Operator { given: seq, pin: *pin_sha256, badge: None, disabled: false };
                self.operators.insert(person.id, added);
            }
            Body::Line(LineEvent::OperatorReset { person, pin_sha256 }) => {
                note(person);
                // A disabled person is given none.
                let badge = self.operators.get(&person.id).and_then(|known| known.badge);
                let reset = Operator { given: seq, pin: *pin_sha256, badge, disabled: false };
                self.operators.insert(person.id, reset);
            }
            Body::Line(LineEvent::BadgeGiven { person, badge_sha256 }) => {
                note(person);
                if let Some(operator) = self.operators.get_mut(&person.id) {
                    operator.badge = Some((seq, *badge_sha256));
                }
            }
            Body::Line(LineEvent::BadgeRevoked { person }) => {
                note(person);
                if let Some(operator) = self.operators.get_mut(&person.id) {
                    operator.badge = None;
                }
            }
            Body::Line(LineEvent::OperatorDisabled { person }) => {
                note(person);
                if let Some(operator) = self.operators.get_mut(&person.id) {
                    operator.disabled = true;
                }
            }
            Body::Line(
                LineEvent::SignInRefused { person, .. }
                | LineEvent::OperatorRole { person, .. }
                | LineEvent::BadgeRefused { person: Some(person), .. }
                | LineEvent::SignedIn { person, .. }
                | LineEvent::SignedOut { person, .. }
                | LineEvent::StationLocked { person },
            ) => note(person),
            Body::Line(LineEvent::Archived { first, end, .. }) => self.archives.push((*first, *end)),
            Body::Line(LineEvent::PersonForgotten { person }) => {
                self.forgotten.insert(*person);
            }
            Body::Line(LineEvent::TextForgotten { text }) => {
                self.forgotten_texts.insert(*text);
            }
            Body::Line(LineEvent::Ruled { ruling, second, reason, references, .. }) => {
                // Who typed the command chose the configuration that it was enough by.
                self.ruled_alone += u64::from(second.is_none());
                second.iter().for_each(note);
                self.typed.extend(std::iter::once(reason).chain(references).map(|text| (seq, text.clone())));
                if let Some(unit) = ruling.unit() {
                    let who = event.operator.iter().chain(second).map(|person| person.id);
                    self.rulings.push((seq, unit.clone(), who.collect()));
                }
            }
            Body::Run(RunEvent::LabelReplaced { reason, .. }) => self.typed.push((seq, reason.clone())),
            _ => {}
        }
    }

    fn compare_head(&self, session: &mut dyn Session, size: u64) -> Result<(), Stop> {
        let head = self.tree.head();
        if size != head.size {
            let found = format!("the head counts {size} events, {} are there", head.size);
            return Err(broken(Promise::Tree, "the head", found));
        }
        match log::head(session) {
            Ok(stored) if stored == head => Ok(()),
            Ok(stored) => {
                let found =
                    format!("its root is {}, the events' is {}", hex::encode(stored.root), hex::encode(head.root));
                Err(broken(Promise::Tree, "the head", found))
            }
            Err(StoreError::Corrupt(found)) => Err(broken(Promise::Tree, "the head", found)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The id within the bytes is the row's. Only what is derived from, or tells of the log itself, is decoded.
fn check_bytes(id: &[u8; 16], bytes: &[u8], decode: bool) -> Result<Option<Event>, String> {
    let mut filed = uuid::Uuid::encode_buffer();
    let filed = &*uuid::Uuid::from_bytes(*id).hyphenated().encode_lower(&mut filed);
    let name = || name_after_id(after_version(bytes)?.strip_prefix(filed.as_bytes())?);
    if !decode && name().is_some_and(|name| !OF_THE_LOG.contains(&name)) {
        return Ok(None);
    }
    let event = Event::decode(bytes).map_err(|error| format!("it is unreadable: {error}"))?;
    if event.id.as_uuid().as_bytes() != id {
        return Err(format!("it is filed as {filed}, and says that it is {}", event.id));
    }
    Ok(Some(event))
}

/// Who derives from the events. Batches come back when they are done with: memory is given back by the
/// thread that took it, or both would wait for each other at every piece.
pub(super) struct Deriver {
    pub to: SyncSender<Batch>,
    pub derived: Receiver<Batch>,
}

/// Fills the rows of an earlier page again, and says how many.
fn read_page(session: &mut dyn Session, from: u64, page: &mut Vec<Row>) -> Result<usize, StoreError> {
    let mut read = 0;
    session.query(sql::EVENTS_WITH_ID_FROM, values![stored(from)?, PAGE], &mut |row| {
        if page.len() == read {
            page.push(Row::default());
        }
        let into = &mut page[read];
        into.seq = row.count(0)?;
        into.fill(row.blob(1)?);
        into.leaf = row.array(2)?;
        into.id = row.array(3)?;
        read += 1;
        Ok(())
    })?;
    Ok(read)
}

/// With its bytes out of an archive, where that is at hand.
fn at_hand(session: &mut dyn Session, row: &mut Row) -> Result<(), StoreError> {
    if row.bytes().is_none()
        && let Some(bytes) = session.archives().bytes(row.seq, LeafHash(row.leaf))?
    {
        row.fill(&bytes);
    }
    Ok(())
}

/// Rare, and looked for without decoding everything else.
const OF_THE_LOG: [&[u8]; 12] = [
    b"log-key-added",
    b"log-opened",
    b"archived",
    b"ruled",
    b"operator-added",
    b"operator-reset",
    b"operator-disabled",
    b"operator-role",
    b"badge-given",
    b"badge-revoked",
    b"person-forgotten",
    b"text-forgotten",
];

/// What follows on `{"v":N,"id":"`.
fn after_version(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"{\"v\":")?;
    rest[rest.iter().position(|byte| !byte.is_ascii_digit())?..].strip_prefix(b",\"id\":\"")
}

/// The event's name, where `Event::encode` puts it; `None`: the envelope is not as it writes one.
fn name_after_id(rest: &[u8]) -> Option<&[u8]> {
    fn from_quote(text: &[u8]) -> Option<&[u8]> {
        text.iter().position(|byte| *byte == b'"').map(|end| &text[end..])
    }
    let at = rest.strip_prefix(b"\",\"at\":\"")?;
    let station = from_quote(at)?.strip_prefix(b"\",\"station\":\"")?;
    let mut rest = from_quote(station)?.strip_prefix(b"\"")?;
    if let Some(operator) = rest.strip_prefix(b",\"operator\":{\"id\":\"") {
        rest = operator.get(36..)?.strip_prefix(b"\",\"name_sha256\":\"")?.get(64..)?.strip_prefix(b"\"}")?;
    }
    if let Some(run) = rest.strip_prefix(b",\"run\":\"") {
        rest = run.get(36..)?.strip_prefix(b"\"")?;
    }
    let name = rest.strip_prefix(b",\"event\":\"")?;
    let end = name.iter().position(|byte| *byte == b'"')?;
    Some(&name[..end])
}

fn stored_size(session: &mut dyn Session) -> Result<u64, Stop> {
    Ok(session.one(sql::TREE_HEAD, &[], |row| row.count(0))?)
}

/// The stored hashes above the leaves, read along with them.
#[derive(Default)]
struct Hashes {
    page: Vec<(u64, [u8; 32])>,
    /// How many of the page were asked for.
    popped: usize,
    next: u64,
    /// By the latest leaf.
    completed: Vec<(Node, [u8; 32])>,
}

impl Hashes {
    fn expect(&mut self, session: &mut dyn Session, position: u64, hash: &[u8; 32]) -> Result<(), Stop> {
        let place = || format!("stored hash {position}");
        match self.pop(session)? {
            Some((at, stored)) if at == position && stored == *hash => Ok(()),
            Some((at, _)) if at == position => {
                Err(broken(Promise::Tree, place(), "it is not that of the leaves below"))
            }
            Some((at, _)) => Err(broken(Promise::Tree, place(), format!("it is missing, or {at} is one too many"))),
            None => Err(broken(Promise::Tree, place(), "it is missing")),
        }
    }

    fn pop(&mut self, session: &mut dyn Session) -> Result<Option<(u64, [u8; 32])>, Stop> {
        if self.popped == self.page.len() {
            let Self { page, popped, next, .. } = self;
            *popped = 0;
            page.clear();
            session.query(sql::HASHES_FROM, values![stored(*next)?, PAGE], &mut |row| {
                page.push((row.count(0)?, row.array(1)?));
                Ok(())
            })?;
            *next = page.last().map_or(*next, |(position, _)| position + 1);
        }
        let next = self.page.get(self.popped).copied();
        self.popped += usize::from(next.is_some());
        Ok(next)
    }

    fn end(&mut self, session: &mut dyn Session) -> Result<(), Stop> {
        match self.pop(session)? {
            Some((at, _)) => Err(broken(Promise::Tree, format!("stored hash {at}"), "no leaf completes it")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::event::VERSION;
    use crate::domain::{EventId, RunId};

    /// Otherwise each would be decoded for nothing: a third of the speed.
    #[test]
    fn an_event_as_this_program_writes_it_is_known_without_being_decoded() {
        for (operator, run) in [(false, false), (true, true)] {
            let event = Event {
                v: VERSION,
                id: EventId::from_random([7; 16]),
                at: "2026-06-01T12:00:00Z".parse().unwrap(),
                station: "L1".parse().unwrap(),
                operator: operator.then(|| OperatorRef { id: uuid::Uuid::nil(), name_sha256: "0".repeat(64) }),
                run: run.then(|| RunId::from_random([9; 16])),
                body: Body::Run(RunEvent::Resumed {}),
            };
            let bytes = event.encode().unwrap();
            let rest = after_version(&bytes).unwrap().strip_prefix(event.id.to_string().as_bytes()).unwrap();
            assert_eq!(name_after_id(rest), Some(b"resumed".as_slice()));
        }
    }
}
