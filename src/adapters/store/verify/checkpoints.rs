//! Checkpoints, stored with the log and held elsewhere, against the tree as it grows.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::leaves::Leaves;
use super::{Stop, broken};
use crate::adapters::store::session::{Session, stored, values};
use crate::adapters::store::sql;
use crate::audit::event::{LogKeyRole, Ruling};
use crate::audit::note::{Checkpoint, SignedCheckpoint, VerifierKey};
use crate::audit::{Body, Event, LineEvent, TreeHead, TreeState};
use crate::domain::KeyName;
use crate::ports::{Promise, StoredCheckpoint, Verification, Witness};

/// A note that waits for the tree to reach its size.
struct Waiting {
    place: String,
    checkpoint: SignedCheckpoint,
    from: From,
}

/// Whose word a head is.
#[derive(Clone, Copy, PartialEq)]
enum From {
    /// The database's own.
    Stored,
    /// The station's, outside of the database.
    Copied,
    /// Whoever verifies.
    Brought,
}

/// A head that the log does not have.
struct Contradicted {
    place: String,
    head: TreeHead,
    from: From,
    found: String,
}

/// Notes that were of the right root, and wait for the keys to be known.
pub(super) struct Vouched {
    waiting: BTreeMap<u64, Vec<Waiting>>,
    /// Sizes are met in order; signatures are judged at the end, when every key is known.
    unsigned: VecDeque<Waiting>,
    keys: Vec<Known>,
    origin: Option<String>,
    covered: Option<u64>,
    /// What the log contradicts, and how: two persons may have ruled on it.
    contradicted: Vec<Contradicted>,
    /// What rulings on a log that was put back name.
    ruled: Vec<TreeHead>,
    /// Heads that somebody noted without a signature.
    noted: Vec<(String, TreeHead)>,
    /// Of the database's own.
    pub stored: u64,
    /// Contradicted, and ruled on.
    pub excused: u64,
    /// Of witnesses that hold: of a size of which none is stored.
    pub unstored: u64,
    sizes: BTreeSet<u64>,
}

struct Known {
    key: VerifierKey,
    role: LogKeyRole,
    replaced: Option<u64>,
}

impl Vouched {
    pub fn new(session: &mut dyn Session, what: &Verification) -> Result<Self, Stop> {
        let mut vouched = Self {
            waiting: BTreeMap::new(),
            unsigned: VecDeque::new(),
            keys: Vec::new(),
            origin: None,
            covered: None,
            contradicted: Vec::new(),
            ruled: Vec::new(),
            noted: what.noted.clone(),
            stored: 0,
            excused: 0,
            unstored: 0,
            sizes: BTreeSet::new(),
        };
        for (witnesses, from) in [(&what.since, From::Brought), (&what.copies, From::Copied)] {
            for Witness { place, checkpoint } in witnesses {
                vouched.wait(place.clone(), checkpoint.clone(), from);
            }
        }
        let asked: BTreeSet<u64> = vouched.waiting.keys().copied().collect();
        let mut from = 0;
        loop {
            let page = session.rows(sql::CHECKPOINTS_FROM, values![stored(from)?, 1000], |row| {
                Ok(StoredCheckpoint { size: row.count(0)?, note: row.str(1)?.to_owned() })
            })?;
            let Some(last) = page.last() else { break };
            from = last.size + 1;
            for StoredCheckpoint { size, note } in page {
                let place = format!("checkpoint of {size} leaves");
                let unreadable = |found: String| broken(Promise::Checkpoint, place.clone(), found);
                let checkpoint: SignedCheckpoint =
                    note.parse().map_err(|error: crate::audit::note::CheckpointError| unreadable(error.to_string()))?;
                if checkpoint.checkpoint().head().size != size {
                    let found = format!("it is of {} leaves", checkpoint.checkpoint().head().size);
                    return Err(unreadable(found));
                }
                vouched.stored += 1;
                if asked.contains(&size) {
                    vouched.sizes.insert(size);
                }
                vouched.wait(place, checkpoint, From::Stored);
            }
        }
        Ok(vouched)
    }

    fn wait(&mut self, place: String, checkpoint: SignedCheckpoint, from: From) {
        let size = checkpoint.checkpoint().head().size;
        self.waiting.entry(size).or_default().push(Waiting { place, checkpoint, from });
    }

    /// The tree has reached another size.
    pub fn at(&mut self, tree: &TreeState) {
        let waits = self.waiting.first_key_value().is_some_and(|(size, _)| *size == tree.size());
        let noted = self.noted.iter().any(|(_, noted)| noted.size == tree.size());
        if !waits && !noted {
            return;
        }
        let head = tree.head();
        let differs = |root: [u8; 32]| {
            let (said, is) = (hex::encode(root), hex::encode(head.root));
            format!("its root is {said}, that of the log's first {} events is {is}", head.size)
        };
        let (reached, rest) =
            std::mem::take(&mut self.noted).into_iter().partition(|(_, noted)| noted.size == head.size);
        self.noted = rest;
        for (place, noted) in reached {
            if noted != head {
                let found = differs(noted.root);
                self.contradicted.push(Contradicted { place, head: noted, from: From::Copied, found });
            }
        }
        let reached = if waits { self.waiting.pop_first().map(|(_, waiting)| waiting) } else { None };
        for waiting in reached.unwrap_or_default() {
            let said = waiting.checkpoint.checkpoint().head();
            if said == head {
                self.unsigned.push_back(waiting);
                continue;
            }
            let (Waiting { place, from, .. }, found) = (waiting, differs(said.root));
            self.contradicted.push(Contradicted { place, head: said, from, found });
        }
    }

    /// Keys and names, as the events themselves tell of them.
    pub fn note(&mut self, seq: u64, event: &Event) {
        match &event.body {
            Body::Line(LineEvent::LogOpened { origin }) => {
                self.origin.get_or_insert_with(|| origin.clone());
            }
            Body::Line(LineEvent::LogKeyAdded { key, role, replaces }) => {
                if let Some(old) =
                    replaces.as_ref().and_then(|old| self.keys.iter_mut().find(|known| known.key.to_string() == *old))
                {
                    old.replaced = Some(seq);
                }
                if let Ok(key) = key.parse() {
                    self.keys.push(Known { key, role: *role, replaced: None });
                }
            }
            Body::Line(LineEvent::Ruled { ruling: Ruling::Rollback { known, .. }, .. }) => {
                let head = |text: &String| {
                    let signed = text.parse::<SignedCheckpoint>().map(|signed| signed.checkpoint().head());
                    signed.or_else(|_| text.parse::<Checkpoint>().map(|checkpoint| checkpoint.head())).ok()
                };
                self.ruled.extend(known.iter().filter_map(head));
            }
            _ => {}
        }
    }

    /// Everything has been read: what is still waiting is of a longer log, and signatures are due.
    pub fn end(&mut self, leaves: &Leaves) -> Result<Option<u64>, Stop> {
        let size = leaves.head().size;
        let longer = |of: u64| format!("it is of {of} leaves, and the log has {size}");
        let waiting = std::mem::take(&mut self.waiting).into_values().flatten();
        let beyond = waiting.map(|waiting| (waiting.place, waiting.checkpoint.checkpoint().head(), waiting.from));
        let noted = std::mem::take(&mut self.noted).into_iter().map(|(place, head)| (place, head, From::Copied));
        for (place, head, from) in beyond.chain(noted) {
            self.contradicted.push(Contradicted { place, head, from, found: longer(head.size) });
        }
        for Contradicted { place, head, from, mut found } in std::mem::take(&mut self.contradicted) {
            let ruled = self.ruled.contains(&head);
            if !ruled || from == From::Brought {
                if ruled {
                    // Whoever writes the log writes its rulings, too.
                    found += "; a ruling in the log names it, which is the log's own word";
                }
                return Err(broken(Promise::Checkpoint, place, found));
            }
            self.excused += 1;
        }
        let keys: Vec<VerifierKey> = self.keys.iter().map(|known| known.key.clone()).collect();
        while let Some(Waiting { place, checkpoint, from }) = self.unsigned.pop_front() {
            let of_size = checkpoint.checkpoint().head().size;
            let wrong_name = self.origin.as_ref().is_some_and(|origin| {
                origin.parse::<KeyName>().ok().as_ref() != Some(checkpoint.checkpoint().origin())
            });
            if wrong_name {
                let found = format!("it is of the log {}", checkpoint.checkpoint().origin());
                return Err(broken(Promise::Checkpoint, place, found));
            }
            let signers = checkpoint
                .verify(&keys)
                .map_err(|error| broken(Promise::Checkpoint, place.clone(), error.to_string()))?;
            // The last thing that a key may sign is that it was replaced.
            let in_force = |signer: &&&VerifierKey| {
                self.keys.iter().any(|known| {
                    let stations = known.role == LogKeyRole::Station;
                    stations && known.key == ***signer && known.replaced.is_none_or(|at| at + 1 >= of_size)
                })
            };
            if !signers.iter().any(|signer| in_force(&signer)) {
                return Err(broken(
                    Promise::Checkpoint,
                    place,
                    "only cosigners and keys that had been replaced signed it",
                ));
            }
            if from != From::Stored {
                // Once for all copies of it.
                self.unstored += u64::from(self.sizes.insert(of_size));
                self.covered = self.covered.max(Some(of_size));
            }
        }
        Ok(self.covered)
    }
}
