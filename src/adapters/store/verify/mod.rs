//! Verifying a whole log: every byte hashed again, the tree built anew, every checkpoint compared,
//! every claim judged again, everything derived once more beside the log and compared.
//!
//! Two threads share the work: one reads and hashes, the other derives into a scratch database.
//! Memory is bounded by a few pages of events, whatever the log's size.

mod checkpoints;
mod leaves;
mod people;
mod rederive;
mod rulings;
mod tables;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::error::StoreError;
use super::session::{Mode, Session};
use crate::domain::{Failure, ReasonCode};
use crate::ports::{Broken, Logged, Progress, Promise, Stage, Verification, Verified, Verifier};
use checkpoints::Vouched;
use leaves::{Deriver, Leaves};
use rederive::Rederived;

/// Why a verification ends early.
enum Stop {
    Broken(Box<Broken>),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

fn broken(promise: Promise, place: impl Into<String>, found: impl Into<String>) -> Stop {
    Stop::Broken(Box::new(Broken { promise, place: place.into(), found: found.into() }))
}

/// The events of one page, on their way to be derived from.
type Batch = Vec<Logged>;
/// Pages that may wait between the two threads.
const AHEAD: usize = 8;

/// A connection that reads the log, and a database beside it to derive into.
pub struct LogVerifier {
    log: Box<dyn Session>,
    /// Empty, of the same schema, and gone when the verification ends.
    scratch: Box<dyn Session>,
}

impl LogVerifier {
    pub fn new(log: Box<dyn Session>, scratch: Box<dyn Session>) -> Self {
        Self { log, scratch }
    }

    /// One more archive that is at hand.
    pub fn add_archive(&mut self, path: &std::path::Path) -> Result<(), Failure> {
        Ok(self.log.archives().add(path)?)
    }

    fn attempt(&mut self, what: &Verification, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Verified, Stop> {
        let ended = self.run(what, progress);
        if ended.is_err() {
            self.log.roll_back();
            self.scratch.roll_back();
        }
        ended
    }

    /// What is wrong with it alone, where that can be said.
    fn schema(&mut self) -> Option<Broken> {
        self.log.begin(Mode::Read).ok()?;
        let foreign = self.log.foreign_schema();
        self.log.roll_back();
        let found = foreign.ok().flatten()?;
        Some(Broken { promise: Promise::Schema, place: "the database".to_owned(), found })
    }

    fn run(&mut self, what: &Verification, progress: &mut (dyn FnMut(Progress) + Send)) -> Result<Verified, Stop> {
        let (log, scratch) = (self.log.as_mut(), self.scratch.as_mut());
        log.begin(Mode::Read)?;
        let mut vouched = Vouched::new(log, what)?;
        let texts = people::check(log)?;
        let leaves;
        let mut rederived = None;
        if what.projections {
            let (to, receive) = sync_channel::<Batch>(AHEAD);
            // Room for all that can be on their way.
            let (done, derived) = sync_channel::<Batch>(2 * AHEAD);
            let (read, derived) = std::thread::scope(|scope| {
                let deriving = scope.spawn(move || rederive(scratch, &texts, &receive, &done));
                let read = Leaves::default().read(log, &mut vouched, Some(Deriver { to, derived }), progress);
                (read, deriving.join())
            });
            let derived = derived.map_err(|_| StoreError::Ended)?;
            // Whoever found something first stopped the other: an error of the bytes says more.
            leaves = match (read, &derived) {
                (Err(Stop::Store(StoreError::Ended)), Err(_)) => None,
                (read, _) => Some(read?),
            };
            rederived = Some(derived?);
        } else {
            leaves = Some(Leaves::default().read(log, &mut vouched, None, progress)?);
        }
        let leaves = leaves.ok_or(StoreError::Ended)?;
        let covered = vouched.end(&leaves)?;
        let people = people::judge(log, &leaves)?;
        let rows = match rederived {
            Some(_) => {
                let mut scratch = tables::Side(self.scratch.as_mut());
                Some(tables::compare(&mut tables::Side(log), &mut scratch, &mut |done, total| {
                    progress(Progress { stage: Stage::Tables, done, total });
                })?)
            }
            None => None,
        };
        let unjudged = if what.projections { rulings::operated(log, &leaves)? } else { 0 };
        // Last, since what it let happen says more.
        if let Some(foreign) = self.log.foreign_schema()? {
            return Err(broken(Promise::Schema, "the database", foreign));
        }
        // What was compared above was read row by row; who claims, or asks, is led by an index.
        if what.projections
            && let Some(foreign) = self.log.foreign_index()?
        {
            return Err(broken(Promise::Schema, "the indexes", foreign));
        }
        // Once the index is known to be what the program made, and `records` to be what the events say.
        if what.projections
            && let Some(foreign) = self.log.foreign_words()?
        {
            return Err(broken(Promise::Projection, "the index of words", foreign));
        }
        self.log.commit()?;
        Ok(Verified {
            head: leaves.head(),
            archived: leaves.archived,
            checkpoints: vouched.stored,
            covered,
            ruled: vouched.excused,
            rows,
            forgotten_people: people.forgotten_people,
            forgotten_texts: people.forgotten_texts,
            remembered: people.remembered,
            uncommitted_pins: people.uncommitted_pins,
            unstored: vouched.unstored,
            ruled_alone: leaves.ruled_alone,
            unjudged,
        })
    }
}

fn rederive(
    scratch: &mut dyn Session,
    texts: &people::Kept,
    batches: &Receiver<Batch>,
    done: &SyncSender<Batch>,
) -> Result<Rederived, Stop> {
    scratch.begin(Mode::Write)?;
    texts.copy(scratch)?;
    let mut rederived = Rederived::default();
    for batch in batches {
        for logged in &batch {
            rederived.take(scratch, logged)?;
        }
        // Whether it can be taken back or not.
        let _ = done.try_send(batch);
    }
    scratch.commit()?;
    Ok(rederived)
}

impl Verifier for LogVerifier {
    fn verify(
        &mut self,
        what: &Verification,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Result<Verified, Broken>, Failure> {
        let mut ended = self.attempt(what, progress);
        if let (Err(Stop::Store(StoreError::Archived { .. })), true) = (&ended, what.projections) {
            // Are bytes only in an archive, or were they deleted? Hashes and checkpoints tell without them.
            let less = Verification { projections: false, ..what.clone() };
            if let Err(Stop::Broken(broken)) = self.attempt(&less, progress) {
                ended = Err(Stop::Broken(broken));
            }
        }
        match ended {
            Ok(verified) => Ok(Ok(verified)),
            Err(Stop::Broken(broken)) => Ok(Err(*broken)),
            // A page or a value that can't even be read is not what was written, either.
            Err(Stop::Store(error)) if error.code() == ReasonCode::STORE_CORRUPT => Ok(Err(Broken {
                promise: Promise::Bytes,
                place: "the database itself".to_owned(),
                found: Failure::from(error).cause,
            })),
            Err(Stop::Store(error)) => match self.schema() {
                // What a statement stumbled over is how the tables are.
                Some(broken) if !error.is_away() => Ok(Err(broken)),
                _ => Err(error.into()),
            },
        }
    }
}
