//! Checkpoints, stored with the log and held elsewhere, against the tree as it grows.

use std::collections::{BTreeMap, VecDeque};

use super::leaves::Leaves;
use super::{Stop, broken};
use crate::adapters::store::session::{Session, stored, values};
use crate::adapters::store::sql;
use crate::audit::note::{SignedCheckpoint, VerifierKey};
use crate::audit::{Body, Event, LineEvent, TreeState};
use crate::domain::KeyName;
use crate::ports::{Promise, StoredCheckpoint, Witness};

/// A note that waits for the tree to reach its size.
struct Waiting {
    place: String,
    checkpoint: SignedCheckpoint,
    /// From outside of the database.
    witness: bool,
}

/// Notes that were of the right root, and wait for the keys to be known.
pub(super) struct Vouched {
    waiting: BTreeMap<u64, Vec<Waiting>>,
    /// Sizes are met in order; signatures are judged at the end, when every key is known.
    unsigned: VecDeque<Waiting>,
    keys: Vec<Known>,
    origin: Option<String>,
    covered: Option<u64>,
    /// Of the database's own.
    pub stored: u64,
}

struct Known {
    key: VerifierKey,
    replaced: Option<u64>,
}

impl Vouched {
    pub fn new(session: &mut dyn Session, witnesses: &[Witness]) -> Result<Self, Stop> {
        let mut vouched = Self {
            waiting: BTreeMap::new(),
            unsigned: VecDeque::new(),
            keys: Vec::new(),
            origin: None,
            covered: None,
            stored: 0,
        };
        for Witness { place, checkpoint } in witnesses {
            vouched.wait(place.clone(), checkpoint.clone(), true);
        }
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
                vouched.wait(place, checkpoint, false);
            }
        }
        Ok(vouched)
    }

    fn wait(&mut self, place: String, checkpoint: SignedCheckpoint, witness: bool) {
        let size = checkpoint.checkpoint().head().size;
        self.waiting.entry(size).or_default().push(Waiting { place, checkpoint, witness });
    }

    /// The tree has reached another size.
    pub fn at(&mut self, tree: &TreeState) -> Result<(), Stop> {
        let reached = self.waiting.first_key_value().is_some_and(|(size, _)| *size == tree.size());
        if !reached {
            return Ok(());
        }
        let head = tree.head();
        for waiting in self.waiting.pop_first().map(|(_, waiting)| waiting).unwrap_or_default() {
            if waiting.checkpoint.checkpoint().head() != head {
                let found = format!(
                    "its root is {}, that of the log's first {} events is {}",
                    hex::encode(waiting.checkpoint.checkpoint().head().root),
                    head.size,
                    hex::encode(head.root)
                );
                return Err(broken(Promise::Checkpoint, waiting.place, found));
            }
            self.unsigned.push_back(waiting);
        }
        Ok(())
    }

    /// Keys and names, as the events themselves tell of them.
    pub fn note(&mut self, seq: u64, event: &Event) {
        match &event.body {
            Body::Line(LineEvent::LogOpened { origin }) => {
                self.origin.get_or_insert_with(|| origin.clone());
            }
            Body::Line(LineEvent::LogKeyAdded { key, replaces, .. }) => {
                if let Some(old) =
                    replaces.as_ref().and_then(|old| self.keys.iter_mut().find(|known| known.key.to_string() == *old))
                {
                    old.replaced = Some(seq);
                }
                if let Ok(key) = key.parse() {
                    self.keys.push(Known { key, replaced: None });
                }
            }
            _ => {}
        }
    }

    /// Everything has been read: what is still waiting is of a longer log, and signatures are due.
    pub fn end(&mut self, leaves: &Leaves) -> Result<Option<u64>, Stop> {
        let size = leaves.head().size;
        if let Some(longer) = self.waiting.first_entry().and_then(|mut entry| entry.get_mut().pop()) {
            let found =
                format!("it is of {} leaves, and the log has {size}", longer.checkpoint.checkpoint().head().size);
            return Err(broken(Promise::Checkpoint, longer.place, found));
        }
        let keys: Vec<VerifierKey> = self.keys.iter().map(|known| known.key.clone()).collect();
        while let Some(Waiting { place, checkpoint, witness }) = self.unsigned.pop_front() {
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
            let in_force = |signer: &&&VerifierKey| {
                self.keys.iter().any(|known| known.key == ***signer && known.replaced.is_none_or(|at| at >= of_size))
            };
            if !signers.iter().any(|signer| in_force(&signer)) {
                return Err(broken(Promise::Checkpoint, place, "only keys that had been replaced signed it"));
            }
            if witness {
                self.covered = self.covered.max(Some(of_size));
            }
        }
        Ok(self.covered)
    }
}
