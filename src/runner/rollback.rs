//! Was the log put back, or rewritten? It is compared with what is known of it elsewhere, before
//! anything is claimed.
//!
//! Evidence is the high-water mark, what this process has seen of the log itself, the newest checkpoint
//! stored with it, and the newest copies in each place: a size that the log has not reached, or another
//! root at a size that it has. A copy counts when a key of the log signed it, or the key that this
//! station holds, which a restored log may not know yet. Any other note of the log's name counts where it is
//! of a longer log: database and key may both have been put back, to before a key was replaced, and nothing
//! that is here knows the key then. Two logs may share a name, or somebody may have forged the note, who
//! could have made the place unreadable, too: each wants a person. What is of no longer log is reported and
//! passed over.
//!
//! A ruling lifts what it names: checkpoints that the log contradicts, for ever; places that could not
//! be read, until a run is started or resumed, because what they would have told is not known.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use tokio::task::JoinSet;

use super::custody::{Custody, open_log};
use super::log::LogWriter;
use crate::audit::event::{LogKeyRole, Ruling};
use crate::audit::note::{Checkpoint, SignedCheckpoint, VerifierKey};
use crate::audit::proof::{ProveError, root_at};
use crate::audit::{Body, LineEvent, Node, TreeHead};
use crate::domain::{Failure, KeyName, ReasonCode, Sha256, StationName};
use crate::ports::{History, LogKey, Logged, Receipt, Wanted};

/// Copies that are looked at in each place. An older one tells nothing that a newer one does not, as
/// long as the log is one; `audit verify` compares all that it is given.
const NEWEST: usize = 32;

/// How the log stands to what is known of it elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The log as it is.
    pub head: TreeHead,
    /// Checkpoints that it contradicts, whole; the high-water mark as one without signatures.
    pub contradicted: BTreeSet<String>,
    /// Those of them that no key signed that the log knows.
    strangers: BTreeSet<String>,
    /// What could not be read: L-522 for a place, L-524 for the mark.
    pub unread: Vec<Failure>,
    /// What the newest ruling on a rollback covers.
    ruling: Option<Covered>,
}

#[derive(Debug, Clone, PartialEq)]
struct Covered {
    known: BTreeSet<String>,
    /// No run was started or resumed since.
    fresh: bool,
}

impl Standing {
    /// Why nothing may be claimed: L-521, L-522 or L-524. `None`: nothing speaks against the log, or a
    /// ruling covers all that does.
    pub fn failure(&self) -> Option<Failure> {
        let ruled = |note: &&String| self.ruling.as_ref().is_some_and(|ruling| ruling.known.contains(*note));
        let against = |stranger: bool| {
            self.contradicted.iter().find(|note| !ruled(note) && self.strangers.contains(*note) == stranger)
        };
        if let Some(note) = against(false).or_else(|| against(true)) {
            let size = self.head.size;
            let what = match size_of(note) {
                Some(known) if self.strangers.contains(note) => {
                    format!("the log has {size} events, and a copy has {known} by a key that the log does not know")
                }
                Some(known) if known > size => format!("the log has {size} events, and had {known}"),
                Some(known) => format!("the log's first {known} events are not those that were signed"),
                None => "a checkpoint of the log is contradicted".to_owned(),
            };
            let more = self.contradicted.iter().filter(|note| !ruled(note)).count() - 1;
            let more = if more == 0 { String::new() } else { format!(" ({more} more checkpoints say so)") };
            return Some(Failure::new(ReasonCode::LOG_ROLLED_BACK, what + &more));
        }
        match &self.ruling {
            Some(ruling) if ruling.fresh => None,
            _ => self.unread.first().cloned(),
        }
    }

    /// What people may rule: the log as it was found, and all that it is known to contradict. `None`:
    /// there is nothing to rule on.
    pub fn ruling(&self) -> Option<Ruling> {
        self.failure()?;
        let mut known = self.contradicted.clone();
        // A place that is away today is back tomorrow, and its old copies are still ruled on.
        known.extend(self.ruling.iter().flat_map(|ruling| ruling.known.iter().cloned()));
        let (size, root) = (self.head.size, Sha256::from_bytes(self.head.root));
        Some(Ruling::Rollback { size, root, known: known.into_iter().collect() })
    }
}

fn size_of(note: &str) -> Option<u64> {
    note.lines().nth(1)?.parse().ok()
}

/// Compares the log with everything that is known of it elsewhere. What is known is read first and the
/// log last: whatever is said of it in between, by stations that go on writing, it is by then.
pub async fn found(station: &StationName, custody: &Custody) -> Result<Standing, Failure> {
    let history = &*custody.history;
    let trust = Trust::of(station, custody).await?;
    let mut evidence = Evidence::default();
    match custody.mark.read().await {
        Ok(Some(mark)) => {
            let checkpoint = Checkpoint::new(trust.origin.clone(), mark);
            evidence.notes.push((mark, checkpoint.to_string()));
        }
        Ok(None) => evidence.unread.extend(lost_mark(station, history).await?),
        Err(failure) => evidence.unread.push(failure),
    }
    let seen = *custody.seen.lock().await;
    evidence.notes.extend(seen.map(|seen| (seen, Checkpoint::new(trust.origin.clone(), seen).to_string())));
    if let Some(stored) = history.latest_checkpoint().await? {
        match stored.note.parse::<SignedCheckpoint>() {
            Ok(signed) => evidence.notes.push((signed.checkpoint().head(), stored.note)),
            Err(error) => tracing::warn!(size = stored.size, %error, "the log's newest checkpoint can't be read"),
        }
    }
    copies(custody, history.tree_head().await?.size, &Arc::new(trust), &mut evidence).await;
    let head = history.tree_head().await?;
    let longer = evidence.strangers.into_iter().filter(|(known, _)| known.size > head.size);
    let strangers: BTreeSet<String> = longer.map(|(_, note)| note).collect();
    let mut contradicted = strangers.clone();
    for (known, note) in evidence.notes {
        if contradicts(history, head, known).await? {
            contradicted.insert(note);
            if seen == Some(known) {
                keep(custody, known).await?;
            }
        }
    }
    let ruling = match history.rollback_ruling().await? {
        Some(ruling) => Some(covered(history, &ruling).await?),
        None => None,
    };
    Ok(Standing { head, contradicted, strangers, unread: evidence.unread, ruling })
}

/// Lets the station begin, or says why not: compares, opens the log for signing, and sets the mark.
pub async fn pass(log: &LogWriter, custody: &Custody) -> Result<(), Failure> {
    let standing = found(&log.station, custody).await?;
    if let Some(failure) = standing.failure() {
        return Err(failure);
    }
    open_log(log, custody).await?;
    let head = custody.history.tree_head().await?;
    if standing.contradicted.is_empty() && standing.unread.is_empty() {
        custody.mark.raise(head).await.map(drop)
    } else {
        // Ruled on: the log is what it is from here on.
        custody.mark.reset(head).await?;
        *custody.seen.lock().await = Some(head);
        Ok(())
    }
}

/// The log's head. L-521 where the log does not go on from the head that this process has seen before:
/// it was put back meanwhile, and may have grown since.
pub async fn head(custody: &Custody) -> Result<TreeHead, Failure> {
    // Held over both: what one lane has seen is compared with what the next one finds.
    let mut seen = custody.seen.lock().await;
    let head = custody.history.tree_head().await?;
    if let Some(known) = *seen
        && contradicts(&*custody.history, head, known).await?
    {
        keep(custody, known).await?;
        return Err(went_back(head, known));
    }
    *seen = Some(head);
    Ok(head)
}

/// The same, and L-521 also where the log does not go on from the mark, L-524 where the mark that would
/// tell is gone.
pub async fn goes_on(station: &StationName, custody: &Custody) -> Result<TreeHead, Failure> {
    // Read in this order: a verdict in between raises both.
    let mark = custody.mark.read().await?;
    let head = head(custody).await?;
    match mark {
        Some(mark) if contradicts(&*custody.history, head, mark).await? => Err(went_back(head, mark)),
        Some(_) => Ok(head),
        None => lost_mark(station, &*custody.history).await?.map_or(Ok(head), Err),
    }
}

/// What one process alone has seen outlives it, and is shown to whoever rules.
async fn keep(custody: &Custody, seen: TreeHead) -> Result<(), Failure> {
    custody.mark.raise(seen).await.map(drop)
}

fn went_back(head: TreeHead, known: TreeHead) -> Failure {
    let cause = format!("the log has {} events and is not the one that had {}", head.size, known.size);
    Failure::new(ReasonCode::LOG_ROLLED_BACK, cause)
}

/// L-521 where the log, which is at `head`, does not have what was recorded in it before.
pub async fn has(custody: &Custody, head: TreeHead, recorded: Receipt) -> Result<(), Failure> {
    let Receipt { seq, leaf } = recorded;
    let there = head.size > seq && custody.history.hashes(&[Node { level: 0, index: seq }]).await? == [leaf.0];
    let lost = || Failure::new(ReasonCode::LOG_ROLLED_BACK, format!("event {seq}, just written, is not in the log"));
    if there { Ok(()) } else { Err(lost()) }
}

/// Is this why a station takes no board until something changes outside of it, as opposed to a log that
/// can't be read or written at all?
pub fn blocks(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ReasonCode::LOG_ROLLED_BACK | ReasonCode::COPIES_UNREADABLE | ReasonCode::MARK_FAILED | ReasonCode::LOG_KEY
    )
}

/// Whose word counts.
struct Trust {
    origin: KeyName,
    keys: Vec<VerifierKey>,
    /// The log knows no key at all.
    new: bool,
}

impl Trust {
    async fn of(station: &StationName, custody: &Custody) -> Result<Self, Failure> {
        let origin = custody.origin(station).await?;
        let known = custody.keys().await?;
        let (new, mut keys) = (known.all().is_empty(), known.of_stations());
        if let Some(public) = custody.signer.public().await?
            && let Ok(key) = VerifierKey::from_public(origin.clone(), public)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
        Ok(Self { origin, keys, new })
    }

    /// The head that `note` is of, and whether a key signed it that is known; `None`: it is of no head of
    /// this log.
    fn told(&self, place: &str, note: &str) -> Option<(TreeHead, bool)> {
        let signed: SignedCheckpoint = match note.parse() {
            Ok(signed) => signed,
            Err(error) => {
                tracing::warn!(place, %error, "a file among the copies is no checkpoint");
                return None;
            }
        };
        let checkpoint = signed.checkpoint();
        if *checkpoint.origin() != self.origin {
            // Several logs may share a place.
            return None;
        }
        match signed.verify(&self.keys) {
            Ok(_) => Some((checkpoint.head(), true)),
            Err(_) if self.new => Some((checkpoint.head(), true)),
            Err(error) => {
                let size = checkpoint.head().size;
                tracing::warn!(place, size, %error, "a copy that no key of the log signed");
                Some((checkpoint.head(), false))
            }
        }
    }
}

#[derive(Default)]
struct Evidence {
    notes: Vec<(TreeHead, String)>,
    /// By keys that are not known.
    strangers: Vec<(TreeHead, String)>,
    unread: Vec<Failure>,
}

/// In one place.
#[derive(Default)]
struct Found {
    notes: Vec<(TreeHead, String)>,
    strangers: Vec<(TreeHead, String)>,
}

/// Every place at once: one that is slow holds up no other.
async fn copies(custody: &Custody, size: u64, trust: &Arc<Trust>, evidence: &mut Evidence) {
    let mut looks = JoinSet::new();
    for place in &custody.places {
        let (judge, name, place) = (trust.clone(), place.name().to_owned(), place.clone());
        let found: Arc<std::sync::Mutex<Found>> = Arc::default();
        let into = found.clone();
        let counts = Arc::new(move |note: &str| {
            let Some((head, known)) = judge.told(&name, note) else { return false };
            let mut found = into.lock().unwrap_or_else(PoisonError::into_inner);
            let of = if known { &mut found.notes } else { &mut found.strangers };
            // Newest first.
            if of.len() < NEWEST {
                of.push((head, note.to_owned()));
            }
            known
        });
        let wanted = Wanted { origin: trust.origin.clone(), log: size, count: NEWEST, counts };
        looks.spawn(async move { (place.newest(&wanted).await, found) });
    }
    while let Some(Ok((newest, found))) = looks.join_next().await {
        match newest {
            Ok(_) => {
                let found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
                evidence.notes.extend(found.notes);
                evidence.strangers.extend(found.strangers);
            }
            Err(failure) => evidence.unread.push(failure),
        }
    }
}

/// Was the log, which is at `head` now, never at `known`?
pub async fn contradicts(history: &dyn History, head: TreeHead, known: TreeHead) -> Result<bool, Failure> {
    Ok(known.size > head.size || root(history, known.size).await? != known.root)
}

/// The log's root when it had `size` events.
pub async fn root(history: &dyn History, size: u64) -> Result<[u8; 32], Failure> {
    // Which hashes are needed is known before any is read; reading waits, and the proof does not.
    let mut nodes = Vec::new();
    let asked = root_at(size, |needed| {
        nodes = needed.to_vec();
        Err(())
    });
    if let Ok(root) = asked {
        return Ok(root);
    }
    let hashes = history.hashes(&nodes).await?;
    root_at(size, |_| Ok::<_, std::convert::Infallible>(hashes))
        .map_err(|error: ProveError<_>| Failure::new(ReasonCode::STORE_CORRUPT, error.to_string()))
}

/// Where the log has named this station's key there was a mark before it. A log that a command has just
/// brought here says so itself, and may come without one.
async fn lost_mark(station: &StationName, history: &dyn History) -> Result<Option<Failure>, Failure> {
    let known = |key: &LogKey| key.role == LogKeyRole::Station && key.station == *station;
    if !history.keys().await?.iter().any(known) {
        return Ok(None);
    }
    let head = history.tree_head().await?;
    let last = history.events(head.size.saturating_sub(1), 1).await?.pop();
    let brought = last.is_some_and(|(logged, _)| {
        matches!(
            logged.event.body,
            Body::Line(LineEvent::LogMigrated { .. } | LineEvent::Restored { replaced: false, .. })
        )
    });
    let cause = format!("the high-water mark of {station} is gone, and its log has {} events", head.size);
    Ok((!brought).then(|| Failure::new(ReasonCode::MARK_FAILED, cause)))
}

async fn covered(history: &dyn History, ruling: &Logged) -> Result<Covered, Failure> {
    let known = match &ruling.event.body {
        Body::Line(LineEvent::Ruled { ruling: Ruling::Rollback { known, .. }, .. }) => known.iter().cloned().collect(),
        _ => BTreeSet::new(),
    };
    let fresh = history.newest_run().await?.is_none_or(|begun| begun < ruling.receipt.seq);
    Ok(Covered { known, fresh })
}
