//! Makes checkpoints while the log grows, keeps them with the log, and copies them to every place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, sleep_until, timeout};

use super::custody::{Custody, open_log, sign};
use super::log::LogWriter;
use super::rollback;
use super::view::{Copies, CopyPlace, Health};
use crate::audit::LineEvent;
use crate::audit::event::LogKeyRole;
use crate::audit::note::{NoteKey, SignedCheckpoint};
use crate::domain::{Failure, ReasonCode, StationName};
use crate::ports::{CheckpointPlace, StoredCheckpoint};

/// A copy that failed is tried again after this, and later after ever longer pauses.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// At the end the last checkpoint may take this long, and so may its copies.
const FAREWELL: Duration = Duration::from_secs(20);

/// The task beside a station that works.
pub struct Keeper {
    /// What is in the log now is worth a checkpoint.
    soon: mpsc::Sender<()>,
    end: oneshot::Sender<oneshot::Sender<()>>,
    copies: watch::Receiver<Copies>,
    doubts: mpsc::Receiver<Failure>,
    task: JoinHandle<()>,
}

/// What the station hears of it.
pub enum News {
    /// How the copies are, when that has changed.
    Copies(Copies),
    /// Why the log is not vouched for: [`rollback::blocks`] the station.
    Doubt(Failure),
}

impl Keeper {
    /// Begins; `every`: the time between two checkpoints of a log that grows.
    pub fn start(log: LogWriter, custody: Custody, every: Duration) -> Self {
        let (soon, wishes) = mpsc::channel(1);
        let (end, ends) = oneshot::channel();
        let (sender, copies) = watch::channel(Copies::unknown(&custody));
        let (doubter, doubts) = mpsc::channel(1);
        let task = tokio::spawn(work(log, custody, every, (wishes, ends), sender, doubter));
        Self { soon, end, copies, doubts, task }
    }

    pub fn checkpoint_soon(&self) {
        // A full queue holds this very wish already.
        let _ = self.soon.try_send(());
    }

    pub async fn news(&mut self) -> News {
        tokio::select! {
            Some(failure) = self.doubts.recv() => News::Doubt(failure),
            Ok(()) = self.copies.changed() => News::Copies(self.copies.borrow_and_update().clone()),
            else => std::future::pending().await,
        }
    }

    /// The last checkpoint, copied everywhere or as long as that may take; then how the copies are.
    pub async fn finish(self) -> Copies {
        let (done, finished) = oneshot::channel();
        if self.end.send(done).is_ok() {
            let _ = finished.await;
        }
        self.task.abort();
        self.copies.borrow().clone()
    }
}

impl Copies {
    /// Before anything was copied.
    pub fn unknown(custody: &Custody) -> Self {
        let place = if custody.places.is_empty() { CopyPlace::Nowhere } else { CopyPlace::Elsewhere };
        Self { health: Health::Unknown, place }
    }
}

/// What a command does after its last event: the station's checkpoint, copied to every place. Returned
/// are the copies that failed; the next checkpoint's will be tried again.
pub async fn checkpoint_and_copy(log: &LogWriter, custody: &Custody) -> Result<Vec<Failure>, Failure> {
    // A log that was put back is not vouched for.
    if let Some(failure) = rollback::found(&log.station, custody).await?.failure() {
        return Err(failure);
    }
    match checkpoint(log, custody).await? {
        Some(checkpoint) => Ok(copy(&log.station, custody, &checkpoint).await),
        None => Ok(Vec::new()),
    }
}

/// QA's second signature on the checkpoint of `size` (the newest without one), once the log's own is
/// right and the log still has that root. The key is made known to the log at its first use.
pub async fn cosign(
    log: &LogWriter,
    custody: &Custody,
    key: &NoteKey,
    size: Option<u64>,
) -> Result<(StoredCheckpoint, Vec<Failure>), Failure> {
    let stored = match size {
        Some(size) => custody.history.checkpoints(size, 1).await?.into_iter().find(|stored| stored.size == size),
        None => custody.history.latest_checkpoint().await?,
    };
    let stored = stored.ok_or_else(|| Failure::new(ReasonCode::NOT_NOW, "there is no such checkpoint to cosign"))?;
    let broken = |cause: String| Failure::new(ReasonCode::LOG_BROKEN, cause);
    let mut signed: SignedCheckpoint =
        stored.note.parse().map_err(|error| broken(format!("checkpoint {}: {error}", stored.size)))?;
    let keys = custody.keys().await?;
    signed.verify(&keys.of_stations()).map_err(|error| broken(format!("checkpoint {}: {error}", stored.size)))?;
    let head = signed.checkpoint().head();
    if rollback::root(&*custody.history, head.size).await? != head.root {
        return Err(broken(format!("the log's first {} events are not those of the checkpoint", head.size)));
    }
    if key.verifier().name() == signed.checkpoint().origin() {
        // Its signature would pass for the log's own.
        let cause = format!("a cosigner has a name of its own, not {}, the log's", key.verifier().name());
        return Err(Failure::new(ReasonCode::LOG_KEY, cause));
    }
    signed.cosign(key).map_err(|error| Failure::new(ReasonCode::LOG_KEY, error.to_string()))?;
    if !keys.know(key.verifier().public()) {
        let key = key.verifier().to_string();
        log.line(LineEvent::LogKeyAdded { key, role: LogKeyRole::Cosigner, replaces: None }).await?;
    }
    let cosigned = StoredCheckpoint { size: stored.size, note: signed.to_string() };
    custody.checkpoints.keep(&cosigned).await?;
    let failed = copy(&log.station, custody, &cosigned).await;
    Ok((cosigned, failed))
}

/// The log's newest checkpoint, made and stored where the log has grown since the last one. `None`: the
/// log is empty.
async fn checkpoint(log: &LogWriter, custody: &Custody) -> Result<Option<StoredCheckpoint>, Failure> {
    for _ in 0..ROTATIONS {
        let key = open_log(log, custody).await?;
        // Whoever signed a log that was put back would vouch for two.
        let head = rollback::goes_on(&log.station, custody).await?;
        let latest = custody.history.latest_checkpoint().await?.filter(|latest| latest.size == head.size);
        // One that only a replaced key has signed says no more than that it was replaced.
        let in_force = custody.keys().await?.in_force();
        let signed = |note: &str| note.parse::<SignedCheckpoint>().is_ok_and(|it| it.verify(&in_force).is_ok());
        if let Some(latest) = latest.filter(|latest| signed(&latest.note)) {
            return Ok(Some(latest));
        }
        if head.size == 0 {
            return Ok(None);
        }
        let signed = sign(custody, &key, head).await;
        // A command may rotate the key at any moment, and what a key signs beyond its replacement counts for
        // nothing, for ever. One that stands in the log still stood when `head` was read.
        if custody.station_key(&log.station).await?.as_ref() == Some(&key) {
            let checkpoint = StoredCheckpoint { size: head.size, note: signed?.to_string() };
            custody.checkpoints.keep(&checkpoint).await?;
            return Ok(Some(checkpoint));
        }
    }
    Err(Failure::new(ReasonCode::LOG_KEY, "the signing key was rotated again and again"))
}

/// A person rotates a key once; that the next try meets another rotation is no accident.
const ROTATIONS: usize = 3;

/// To every place at once; what failed.
async fn copy(station: &StationName, custody: &Custody, checkpoint: &StoredCheckpoint) -> Vec<Failure> {
    let mut copies = JoinSet::new();
    for place in &custody.places {
        let (place, station, checkpoint) = (place.clone(), station.clone(), checkpoint.clone());
        copies.spawn(async move { place.put(&station, &checkpoint).await });
    }
    copies.join_all().await.into_iter().filter_map(Result::err).collect()
}

async fn work(
    log: LogWriter,
    custody: Custody,
    every: Duration,
    (mut wishes, mut ends): (mpsc::Receiver<()>, oneshot::Receiver<oneshot::Sender<()>>),
    out: watch::Sender<Copies>,
    doubts: mpsc::Sender<Failure>,
) {
    let (newest, _) = watch::channel(None);
    let (told, mut tells) = mpsc::channel(16);
    let mut copiers = JoinSet::new();
    for (number, place) in custody.places.iter().cloned().enumerate() {
        copiers.spawn(copier(number, log.station.clone(), place, newest.subscribe(), told.clone()));
    }
    let mut state = State { made: Ok(()), places: vec![None; custody.places.len()] };
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let farewell = loop {
        tokio::select! {
            done = &mut ends => break done.ok(),
            _ = tick.tick() => {}
            Some(()) = wishes.recv() => {}
            Some((number, outcome)) = tells.recv() => {
                state.places[number] = Some(outcome);
                out.send_replace(state.picture(&custody));
                continue;
            }
        }
        state.made = tokio::select! {
            made = make(&log, &custody, &newest) => made,
            // Whatever keeps this one from being made has the last one's time and no more.
            done = &mut ends => break done.ok(),
        };
        if let Some(doubt) = state.made.as_ref().err().filter(|failure| rollback::blocks(failure)) {
            // One that has not been heard yet says the same.
            let _ = doubts.try_send(doubt.clone());
        }
        out.send_replace(state.picture(&custody));
    };
    let late = |what: String| Failure::new(ReasonCode::COPY_FAILED, format!("{what} within {} s", FAREWELL.as_secs()));
    state.made = timeout(FAREWELL, make(&log, &custody, &newest))
        .await
        .unwrap_or_else(|_| Err(late("the last checkpoint was not made".to_owned())));
    // Each copier tries the last one at least once, and ends.
    drop((newest, told));
    let mut waiting: BTreeSet<usize> = (0..custody.places.len()).collect();
    let last = async {
        loop {
            tokio::select! {
                Some((number, outcome)) = tells.recv() => state.places[number] = Some(outcome),
                Some(Ok(number)) = copiers.join_next() => { waiting.remove(&number); }
                else => break,
            }
        }
    };
    if timeout(FAREWELL, last).await.is_err() {
        for number in waiting {
            let name = custody.places[number].name();
            let late = late(format!("{name}: the last checkpoint was not copied")).with("place", name);
            state.places[number] = Some(Err(late));
        }
    }
    for failure in state.failures() {
        tracing::error!(%failure, "the last checkpoint");
    }
    out.send_replace(state.picture(&custody));
    if let Some(done) = farewell {
        let _ = done.send(());
    }
}

async fn make(
    log: &LogWriter,
    custody: &Custody,
    newest: &watch::Sender<Option<Arc<StoredCheckpoint>>>,
) -> Result<(), Failure> {
    let made = checkpoint(log, custody).await.inspect_err(|failure| tracing::error!(%failure, "no checkpoint"))?;
    if let Some(made) = made {
        newest.send_if_modified(|known| {
            let new = known.as_ref().is_none_or(|known| **known != made);
            if new {
                *known = Some(Arc::new(made));
            }
            new
        });
    }
    Ok(())
}

struct State {
    /// The last attempt at a checkpoint.
    made: Result<(), Failure>,
    /// `None`: nothing was copied there yet. `true`: on another disk than the log.
    places: Vec<Option<Result<bool, Failure>>>,
}

impl State {
    fn failures(&self) -> impl Iterator<Item = &Failure> {
        let places = self.places.iter().filter_map(|place| place.as_ref()?.as_ref().err());
        self.made.as_ref().err().into_iter().chain(places)
    }

    fn picture(&self, custody: &Custody) -> Copies {
        let health = match self.failures().next() {
            Some(failure) => Health::Bad(failure.clone()),
            None if self.places.iter().all(Option::is_some) => Health::Good,
            None => Health::Unknown,
        };
        let on_this_disk = |place: &Option<Result<bool, Failure>>| matches!(place, Some(Ok(false)));
        let place = match custody.places.as_slice() {
            [] => CopyPlace::Nowhere,
            _ if self.places.iter().all(on_this_disk) => CopyPlace::SameDisk,
            _ => CopyPlace::Elsewhere,
        };
        Copies { health, place }
    }
}

/// Copies the newest checkpoint to one place, again and again until it is there or a newer one is made;
/// says which place that was.
async fn copier(
    number: usize,
    station: StationName,
    place: Arc<dyn CheckpointPlace>,
    mut newest: watch::Receiver<Option<Arc<StoredCheckpoint>>>,
    told: mpsc::Sender<(usize, Result<bool, Failure>)>,
) -> usize {
    let mut failed: Option<(Instant, Duration)> = None;
    loop {
        let again = async {
            match failed {
                Some((at, _)) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let over = tokio::select! {
            changed = newest.changed() => changed.is_err(),
            () = again => false,
        };
        let checkpoint = newest.borrow_and_update().clone();
        // After the last one was copied there is nothing more to do.
        let owed = !over || failed.is_some();
        if let (Some(checkpoint), true) = (checkpoint, owed) {
            let copied = async {
                place.put(&station, &checkpoint).await?;
                place.is_elsewhere().await
            };
            let outcome = copied.await;
            failed = match &outcome {
                Ok(_) => None,
                Err(failure) => {
                    tracing::error!(place = place.name(), size = checkpoint.size, %failure, "not copied");
                    let pause = failed.map_or(FIRST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
                    Some((Instant::now() + pause, pause))
                }
            };
            if told.send((number, outcome)).await.is_err() {
                return number;
            }
        }
        if over {
            return number;
        }
    }
}
