//! The log as a whole: verified, copied, put back.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{connection, keep_practice_apart};
use crate::adapters::mark::MarkFile;
use crate::adapters::postgres;
use crate::adapters::sqlite::{self, StationLock};
use crate::adapters::store::LogVerifier;
use crate::adapters::system::{SystemClock, SystemEntropy};
use crate::audit::event::{LogKeyRole, Ruling};
use crate::audit::note::{SignedCheckpoint, VerifierKey};
use crate::audit::{Body, LineEvent, TreeHead};
use crate::config::Config;
use crate::domain::{Failure, KeyName, ReasonCode, Sha256};
use crate::ports::{AuditStore, HighWaterMark as _, History as _, People, Verification, Verifier, Wanted, Witness};
use crate::runner::LogWriter;

/// Reads the whole log again, without writing to it; what it notes meanwhile goes to the data directory, or
/// to the system's folder for such where that cannot be written.
/// `archives`: those that are at hand besides the ones in their folder.
pub fn verifier(config: &Config, data_dir: &Path, archives: &[PathBuf]) -> Result<Box<dyn Verifier>, Failure> {
    let folder = scratch_folder(data_dir);
    let mut verifier = match &config.log.postgres {
        Some(database) => postgres::verifier(connection(config, data_dir, database)?, &folder)?,
        None => sqlite::verifier(&data_dir.join(sqlite::FILE), &folder)?,
    };
    for archive in archives {
        verifier.add_archive(archive)?;
    }
    Ok(Box::new(verifier))
}

fn scratch_folder(wanted: &Path) -> PathBuf {
    match rustix::fs::access(wanted, rustix::fs::Access::WRITE_OK) {
        Ok(()) => wanted.to_owned(),
        Err(_) => std::env::temp_dir(),
    }
}

fn add_archives(verifier: &mut LogVerifier, data_dir: &Path) {
    for entry in std::fs::read_dir(archives_of(data_dir)).into_iter().flatten().filter_map(Result::ok) {
        // What is no archive is passed over.
        let _ = verifier.add_archive(&entry.path());
    }
}

/// What lies in the places that are on another disk or in a bucket.
#[derive(Default)]
pub struct Found {
    /// The newest checkpoints of this log.
    pub witnesses: Vec<Witness>,
    /// Such as are named as this log's, and were signed by none of its keys: where they are, and of what
    /// size. In a place where nothing else is they are witnesses: then it is the log that is another. Of a
    /// longer log than this one, they are among what could not be read, too, unless somebody ruled on them.
    pub passed_over: Vec<(String, u64)>,
    /// So many files of a place are named as copies of this log, and hold no checkpoint.
    pub junk: Vec<(String, usize)>,
    pub unread: Vec<Failure>,
}

pub async fn witnesses(config: &Config, data_dir: &Path) -> Result<Found, Failure> {
    let store = match &config.log.postgres {
        Some(database) => postgres::open_reader(connection(config, data_dir, database)?)?,
        None => sqlite::open_reader(&data_dir.join(sqlite::FILE))?,
    };
    let (size, origin) = (store.tree_head().await?.size, store.origin().await?);
    let mut keys: Vec<VerifierKey> = Vec::new();
    let stations = store.keys().await?.into_iter().filter(|known| known.role == LogKeyRole::Station);
    keys.extend(stations.filter_map(|known| known.key.parse().ok()));
    let mut found = Found::default();
    let ruled = match store.rollback_ruling().await?.map(|ruling| ruling.event.body) {
        Some(Body::Line(LineEvent::Ruled { ruling: Ruling::Rollback { known, .. }, .. })) => known,
        _ => Vec::new(),
    };
    let Some(origin) = origin.and_then(|origin| origin.parse::<KeyName>().ok()) else { return Ok(found) };
    // Of a log that was written anew, with keys of its own, the copies know better.
    let signer = super::signer(config, data_dir);
    if let Ok(Some(public)) = signer.public().await
        && let Ok(key) = VerifierKey::from_public(origin.clone(), public)
        && !keys.contains(&key)
    {
        keys.push(key);
    }
    let keys = Arc::new(keys);
    for place in super::places(config, data_dir, super::bucket(config).await?) {
        let strangers = Arc::new(Mutex::new((Vec::new(), 0)));
        let (judge, others, name) = (keys.clone(), strangers.clone(), place.name().to_owned());
        let ours = origin.clone();
        let counts = move |note: &str| {
            let mut others = others.lock().unwrap_or_else(PoisonError::into_inner);
            let (others, junk) = &mut *others;
            let Ok(checkpoint) = note.parse::<SignedCheckpoint>() else {
                *junk += 1;
                return false;
            };
            if *checkpoint.checkpoint().origin() != ours {
                return false;
            }
            let signed = checkpoint.verify(&judge).is_ok();
            if !signed && others.len() < NEWEST {
                others.push(Witness { place: name.clone(), checkpoint });
            }
            signed
        };
        let wanted = Wanted { origin: origin.clone(), log: size, count: NEWEST, counts: Arc::new(counts) };
        let notes = async {
            match place.is_elsewhere().await? {
                true => place.newest(&wanted).await,
                false => Ok(Vec::new()),
            }
        };
        match notes.await {
            Ok(notes) => {
                let (strangers, junk) = std::mem::take(&mut *strangers.lock().unwrap_or_else(PoisonError::into_inner));
                found.junk.extend((junk > 0).then(|| (place.name().to_owned(), junk)));
                if notes.is_empty() {
                    found.witnesses.extend(strangers);
                } else {
                    let longer = |it: &&Witness| {
                        it.checkpoint.checkpoint().head().size > size && !ruled.contains(&it.checkpoint.to_string())
                    };
                    found.unread.extend(strangers.iter().filter(longer).map(|it| unknown(it, size)));
                    let size = |it: Witness| (it.place, it.checkpoint.checkpoint().head().size);
                    found.passed_over.extend(strangers.into_iter().map(size));
                }
                found.witnesses.extend(notes.iter().filter_map(|note| {
                    Some(Witness { place: place.name().to_owned(), checkpoint: note.parse().ok()? })
                }));
            }
            Err(failure) => found.unread.push(failure),
        }
    }
    Ok(found)
}

fn unknown(Witness { place, checkpoint }: &Witness, size: u64) -> Failure {
    let known = checkpoint.checkpoint().head().size;
    let cause = format!(
        "{place}: the log has {size} events, and a copy has {known} by a key that the log does not know: was the log \
         put back to before that key?"
    );
    Failure::new(ReasonCode::LOG_ROLLED_BACK, cause)
}

/// How far this station has seen its log come.
pub async fn high_water_mark(data_dir: &Path) -> Result<Option<TreeHead>, Failure> {
    MarkFile::of(data_dir).read().await
}

/// So many of a place's notes are looked at: each station has its own.
const NEWEST: usize = 32;

/// Where archives go unless told otherwise, and where they are looked for.
pub fn archives_of(data_dir: &Path) -> PathBuf {
    data_dir.join(sqlite::ARCHIVES)
}

/// A copy of the log as it is now, in a new file: its head and the file's hash. A plant's log becomes a
/// file that a station could work with, and that `audit migrate` takes back.
pub fn back_up(config: &Config, data_dir: &Path, to: &Path) -> Result<(TreeHead, Sha256), Failure> {
    let copy = match &config.log.postgres {
        Some(database) => {
            let from = connection(config, data_dir, database)?;
            let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "the copy ended in a defect");
            // The client's own runtime must not sit inside another one.
            std::thread::scope(|scope| {
                let copying = || sqlite::back_up_from(postgres::source(from)?.as_mut(), to);
                scope.spawn(copying).join().map_err(ended)?
            })?
        }
        None => sqlite::back_up(&data_dir.join(sqlite::FILE), to)?,
    };
    Ok((copy.head, copy.file))
}

/// Verifies a copy of the log that is not in its place, with its projections: L-526 at the first broken
/// promise, L-527 where an archive that they follow from is not at hand.
pub fn verify_copy(copy: &Path, data_dir: &Path) -> Result<(), Failure> {
    verify_this_much(copy, data_dir, true)
}

/// Its hashes and checkpoints alone: what can be said without the archives.
pub fn verify_hashes_of_copy(copy: &Path, data_dir: &Path) -> Result<(), Failure> {
    verify_this_much(copy, data_dir, false)
}

fn verify_this_much(copy: &Path, data_dir: &Path, projections: bool) -> Result<(), Failure> {
    let folder = copy.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut verifier = sqlite::verifier(copy, folder)?;
    add_archives(&mut verifier, data_dir);
    let outcome = verifier.verify(&Verification { projections, ..Verification::default() }, &mut |_| {})?;
    let broken = |broken| format!("the copy {} does not verify: {broken}", copy.display());
    outcome.map(drop).map_err(|found| Failure::new(ReasonCode::LOG_BROKEN, broken(found)))
}

/// A backup on its way into the log's place.
pub struct Restoring {
    pub log: LogWriter,
    pub people: Arc<dyn People>,
    /// Closed before it is moved or removed.
    pub incoming: sqlite::BroughtIn,
    path: PathBuf,
    /// Nobody drives the station meanwhile.
    _lock: StationLock,
}

/// Copies `backup` beside the station's log, verifies the copy, and opens it.
pub fn restore(config: &Config, data_dir: &Path, backup: &Path) -> Result<Restoring, Failure> {
    if config.log.postgres.is_some() {
        let cause =
            "the log is in PostgreSQL: `lineseal audit migrate --from BACKUP` fills an empty database with a backup";
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    }
    keep_practice_apart(config, data_dir)?;
    let lock = StationLock::take(data_dir)?;
    let path = data_dir.join(sqlite::FILE);
    let incoming = sqlite::bring_in(backup, &path)?;
    let store = Arc::new(sqlite::open(incoming.path())?);
    // As it is going to be used: brought up to date where it was an older program's.
    verify_copy(incoming.path(), data_dir)?;
    let log = LogWriter {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        station: config.station.name.clone(),
        operator: None,
    };
    Ok(Restoring { log, people: store, incoming, path, _lock: lock })
}

impl Restoring {
    /// Puts it in the log's place; returned is where the log that was there is kept.
    pub fn finish(self) -> Result<Option<PathBuf>, Failure> {
        let Restoring { log, people, incoming, path, _lock } = self;
        drop((log, people));
        sqlite::take_in(incoming, &path)
    }
}

/// How many events the log of a data directory has; `None`: there is no log, or it cannot be read.
pub async fn size_of_log(data_dir: &Path) -> Option<u64> {
    let store = sqlite::open_reader(&data_dir.join(sqlite::FILE)).ok()?;
    Some(AuditStore::head(&store).await.ok()?.size)
}
