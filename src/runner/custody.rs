//! What keeps the log's promises outside of its database, and the key that speaks for the log.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::log::LogWriter;
use super::rollback;
use crate::audit::event::LogKeyRole;
use crate::audit::note::{Checkpoint, SignedCheckpoint, VerifierKey};
use crate::audit::{LineEvent, TreeHead};
use crate::domain::{EventId, Failure, KeyName, ReasonCode, StationName};
use crate::ports::{CheckpointPlace, Checkpoints, HighWaterMark, History, LogKey, LogSigner, StoredCheckpoint};

/// One of each port.
#[derive(Clone)]
pub struct Custody {
    pub history: Arc<dyn History>,
    pub checkpoints: Arc<dyn Checkpoints>,
    pub signer: Arc<dyn LogSigner>,
    pub places: Vec<Arc<dyn CheckpointPlace>>,
    pub mark: Arc<dyn HighWaterMark>,
    /// The newest head of the log that this process has seen; see [`rollback::head`](super::rollback::head).
    pub seen: Arc<Mutex<Option<TreeHead>>>,
    /// The name that the configuration gives the log.
    pub origin: Option<KeyName>,
}

impl Custody {
    /// The log's name, or the one that a new log gets. L-525 where the configuration says another.
    pub async fn origin(&self, station: &StationName) -> Result<KeyName, Failure> {
        let Some(known) = self.history.origin().await? else {
            return match &self.origin {
                Some(origin) => Ok(origin.clone()),
                None => format!("lineseal/{station}").parse().map_err(unusable),
            };
        };
        let known: KeyName = known.parse().map_err(unusable)?;
        match &self.origin {
            Some(other) if *other != known => {
                Err(unusable(format!("this log is named {known}, and \"origin\" in [log] says {other}")))
            }
            _ => Ok(known),
        }
    }

    /// Every key that the log ever knew, replaced ones, too.
    pub async fn keys(&self) -> Result<Keys, Failure> {
        let keys = self.history.keys().await?;
        let parsed = keys.into_iter().map(|known| known.key.parse().map_err(unusable).map(|key| (key, known)));
        Ok(Keys(parsed.collect::<Result<_, _>>()?))
    }

    /// The key that signs for `station` now, as the log has it.
    pub async fn station_key(&self, station: &StationName) -> Result<Option<VerifierKey>, Failure> {
        Ok(self.keys().await?.of(station).cloned())
    }
}

/// The log's keys, and whose they are.
pub struct Keys(Vec<(VerifierKey, LogKey)>);

impl Keys {
    /// Those whose signature makes a text the log's word. A cosigner adds to it, and says nothing alone:
    /// it does not see what is appended.
    pub fn of_stations(&self) -> Vec<VerifierKey> {
        self.stations().map(|(key, _)| key.clone()).collect()
    }

    pub fn all(&self) -> Vec<VerifierKey> {
        self.0.iter().map(|(key, _)| key.clone()).collect()
    }

    pub fn know(&self, public: &[u8; 32]) -> bool {
        self.0.iter().any(|(key, _)| key.public() == public)
    }

    fn of(&self, station: &StationName) -> Option<&VerifierKey> {
        let mut ours = self.stations().filter(|(_, known)| known.station == *station && known.replaced_seq.is_none());
        ours.next_back().map(|(key, _)| key)
    }

    /// The key of a station with this public half, and the event that replaced it.
    fn replaced(&self, public: Option<&[u8; 32]>) -> Option<(&VerifierKey, u64)> {
        let (key, known) = self.stations().find(|(key, _)| Some(key.public()) == public)?;
        Some((key, known.replaced_seq?))
    }

    /// Those that no other has replaced.
    pub(super) fn in_force(&self) -> Vec<VerifierKey> {
        self.stations().filter(|(_, known)| known.replaced_seq.is_none()).map(|(key, _)| key.clone()).collect()
    }

    /// Another station's, or its own of before.
    fn owner(&self, public: &[u8; 32]) -> Option<&StationName> {
        self.stations().find(|(key, _)| key.public() == public).map(|(_, known)| &known.station)
    }

    fn stations(&self) -> impl DoubleEndedIterator<Item = &(VerifierKey, LogKey)> {
        self.0.iter().filter(|(_, known)| known.role == LogKeyRole::Station)
    }
}

/// Names a new log and makes this station's key known to it, where that has not been done; says which
/// key signs. L-525 when it is not the one that the log names: a key that is gone, altered or another
/// is never replaced without a person's word.
pub async fn open_log(log: &LogWriter, custody: &Custody) -> Result<VerifierKey, Failure> {
    if custody.history.origin().await?.is_none() {
        let origin = custody.origin(&log.station).await?.to_string();
        let mut opened = log.line_event(LineEvent::LogOpened { origin })?;
        // Of several stations that name one log at the same moment the first one does: an id stands in a
        // log once.
        opened.id = EventId::from_random(NAMED);
        log.append(vec![opened]).await?;
    }
    let origin = custody.origin(&log.station).await?;
    // Read in this order: a rotation is in the log before it is in the file.
    let mut public = custody.signer.public().await?;
    let keys = custody.keys().await?;
    let known = keys.of(&log.station).cloned();
    if let Some(known) = &known
        && public.as_ref() != Some(known.public())
    {
        // A rotation ended between the log and the file, or is just being made.
        if custody.signer.successor().await?.as_ref() == Some(known.public()) {
            hand_over(custody, &keys, known.public()).await?;
        }
        public = custody.signer.public().await?;
    }
    let (key, added) = match (known, public) {
        (Some(known), Some(public)) if *known.public() == public => (known, None),
        (Some(known), Some(_)) => {
            let cause =
                format!("the signing key here is not {}, the one that the log names for this station", id(&known));
            return Err(unusable(cause));
        }
        (Some(known), None) => {
            let cause = format!("the signing key {} is gone: put it back, or rotate it", id(&known));
            return Err(unusable(cause));
        }
        (None, Some(public)) if keys.know(&public) => {
            let owner = keys.owner(&public).map_or("a cosigner".to_owned(), |station| format!("station {station}"));
            let cause = format!(
                "the signing key here is known to the log as that of {owner}: where the data directory was copied, \
                 or the station renamed, put this key aside, and the station gets one of its own"
            );
            return Err(unusable(cause));
        }
        (None, public) => {
            let public = match public {
                Some(public) => public,
                None => custody.signer.create().await?,
            };
            let key = VerifierKey::from_public(origin, public).map_err(unusable)?;
            let added = LineEvent::LogKeyAdded { key: key.to_string(), role: LogKeyRole::Station, replaces: None };
            (key, Some(added))
        }
    };
    if added.is_some() && matches!(custody.mark.read().await, Ok(None)) {
        // First, since a mark that is absent once the log names the key was lost.
        custody.mark.raise(custody.history.tree_head().await?).await?;
    }
    log.lines(added.into_iter().collect()).await?;
    Ok(key)
}

/// Makes the id of the event that names a log, whoever names it.
const NAMED: [u8; 16] = *b"the log is named";

/// Puts another key in the place of this station's, as an event. Where the key here is one that the log
/// never knew (a lost key's successor, the next one of a token), it is that; else a new one is made.
pub async fn rotate_key(log: &LogWriter, custody: &Custody) -> Result<VerifierKey, Failure> {
    let origin = custody.origin(&log.station).await?;
    let keys = custody.keys().await?;
    let Some(old) = keys.of(&log.station) else { return open_log(log, custody).await };
    let (public, waits) = match custody.signer.public().await? {
        Some(public) if !keys.know(&public) => (public, false),
        Some(_) => (custody.signer.make_successor().await?, true),
        None => (custody.signer.create().await?, false),
    };
    let key = VerifierKey::from_public(origin, public).map_err(unusable)?;
    let (text, replaces) = (key.to_string(), Some(old.to_string()));
    log.line(LineEvent::LogKeyAdded { key: text, role: LogKeyRole::Station, replaces }).await?;
    if waits {
        // Should the power fail before this, the next start does it.
        hand_over(custody, &custody.keys().await?, key.public()).await?;
    }
    Ok(key)
}

/// The key that is here signs, as its last, that the log has another in its place; then that takes it.
/// Whoever knows a replaced key alone, an auditor say, comes from it to its successor by that.
async fn hand_over(custody: &Custody, keys: &Keys, successor: &[u8; 32]) -> Result<(), Failure> {
    if let Some((old, seq)) = keys.replaced(custody.signer.public().await?.as_ref())
        && let Err(failure) = sign_replaced(custody, old, seq).await
    {
        tracing::warn!(%failure, "the replaced key did not sign for its successor: whoever knows it alone is to be told");
    }
    succeed(custody, successor).await
}

async fn sign_replaced(custody: &Custody, old: &VerifierKey, seq: u64) -> Result<(), Failure> {
    let size = seq + 1;
    let signed = sign(custody, old, TreeHead { size, root: rollback::root(&*custody.history, size).await? }).await?;
    custody.checkpoints.keep(&StoredCheckpoint { size, note: signed.to_string() }).await
}

/// The checkpoint of `head`, which may have signatures already, with this key's.
pub(super) async fn sign(custody: &Custody, key: &VerifierKey, head: TreeHead) -> Result<SignedCheckpoint, Failure> {
    let text = Checkpoint::new(key.name().clone(), head);
    let signature = custody.signer.sign(text.to_string().as_bytes()).await?;
    let stored = custody.history.checkpoints(head.size, 1).await?;
    let stored = stored.first().and_then(|stored| stored.note.parse::<SignedCheckpoint>().ok());
    let signed = match stored.filter(|stored| *stored.checkpoint() == text) {
        Some(mut stored) => stored.attach_cosignature(key, &signature).map(|()| stored),
        None => SignedCheckpoint::attach(text, key, &signature),
    };
    signed.map_err(unusable)
}

/// The successor, which is `public`, takes the key's place, unless another process has just seen to it.
async fn succeed(custody: &Custody, public: &[u8; 32]) -> Result<(), Failure> {
    match custody.signer.succeed().await {
        Err(_) if custody.signer.public().await?.as_ref() == Some(public) => Ok(()),
        ended => ended,
    }
}

/// Short, as it stands in a note's signature lines and `audit key list`.
fn id(key: &VerifierKey) -> String {
    format!("{:08x}", key.id())
}

fn unusable(cause: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::LOG_KEY, cause.to_string())
}
