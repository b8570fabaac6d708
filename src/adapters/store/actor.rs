//! One thread a connection: databases block, the runner never does.
//!
//! The writer takes all the work that waits, does it in one transaction, each piece behind a
//! savepoint of its own, and answers everyone after the one commit: a plant's lanes share a disk's
//! sync, and one piece that is refused undoes nothing but itself.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::error::StoreError;
use super::log::Appender;
use super::session::{Mode, Session};
use crate::domain::Failure;

/// Requests that may wait; whoever comes next waits outside.
const QUEUE: usize = 64;
/// How long a lost connection is sought anew before the work that waits is refused.
const PATIENCE: Duration = Duration::from_secs(4);
const POLL: Duration = Duration::from_millis(5);
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A piece of work that can be tried again: a connection may be lost in the middle of a commit.
trait Work: Send {
    fn attempt(&mut self, session: &mut dyn Session, appender: Option<&mut Appender>) -> Result<(), StoreError>;
    /// Before it is attempted again.
    fn forget(&mut self);
    /// Tells whoever asked. `failure`: what happened to the transaction as a whole.
    fn answer(self: Box<Self>, failure: Option<&Failure>);
}

/// What is done about a piece of work, and perhaps about those that wait behind it.
type Turn = fn(&mut dyn Session, Box<dyn Work>, &mut mpsc::Receiver<Box<dyn Work>>);

struct Piece<T, F> {
    work: F,
    outcome: Option<Result<T, Failure>>,
    asker: oneshot::Sender<Result<T, Failure>>,
}

/// What is done in a transaction that only reads.
pub trait Reading<T>: FnMut(&mut dyn Session) -> Result<T, StoreError> + Send + 'static {}
impl<T, F: FnMut(&mut dyn Session) -> Result<T, StoreError> + Send + 'static> Reading<T> for F {}

/// What is done in a transaction that writes.
pub trait Writing<T>: FnMut(&mut dyn Session, &mut Appender) -> Result<T, StoreError> + Send + 'static {}
impl<T, F: FnMut(&mut dyn Session, &mut Appender) -> Result<T, StoreError> + Send + 'static> Writing<T> for F {}

struct ReadPiece<F>(F);
struct WritePiece<F>(F);

impl<T: Send, F: Reading<T>> Work for Piece<T, ReadPiece<F>> {
    fn attempt(&mut self, session: &mut dyn Session, _: Option<&mut Appender>) -> Result<(), StoreError> {
        settle(&mut self.outcome, (self.work.0)(session))
    }
    fn forget(&mut self) {
        self.outcome = None;
    }
    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        tell(self.asker, self.outcome, failure);
    }
}

impl<T: Send, F: Writing<T>> Work for Piece<T, WritePiece<F>> {
    fn attempt(&mut self, session: &mut dyn Session, appender: Option<&mut Appender>) -> Result<(), StoreError> {
        let Some(appender) = appender else { return Err(StoreError::Ended) };
        settle(&mut self.outcome, (self.work.0)(session, appender))
    }
    fn forget(&mut self) {
        self.outcome = None;
    }
    fn answer(self: Box<Self>, failure: Option<&Failure>) {
        tell(self.asker, self.outcome, failure);
    }
}

/// Keeps what came of it. An error is passed on for the transaction's sake, with the outcome kept
/// where the error is the piece's own.
fn settle<T>(outcome: &mut Option<Result<T, Failure>>, result: Result<T, StoreError>) -> Result<(), StoreError> {
    match result {
        Ok(value) => {
            *outcome = Some(Ok(value));
            Ok(())
        }
        Err(error) => {
            *outcome = Some(Err(Failure::from(&error)));
            Err(error)
        }
    }
}

fn tell<T>(asker: oneshot::Sender<Result<T, Failure>>, outcome: Option<Result<T, Failure>>, failure: Option<&Failure>) {
    let outcome = match (outcome, failure) {
        // What was refused on its own account stays refused, whatever became of the others.
        (Some(Err(own)), _) => Err(own),
        (_, Some(failure)) => Err(failure.clone()),
        (Some(Ok(value)), None) => Ok(value),
        (None, None) => Err(StoreError::Ended.into()),
    };
    // The asker may have gone; the work stands all the same.
    let _ = asker.send(outcome);
}

/// Owns a connection in a thread of its own.
pub struct Actor {
    /// `None` only while it is dropped.
    work: Option<mpsc::Sender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
    /// How long its end is waited for; `None`: for as long as it takes.
    patience: Option<Duration>,
}

impl Actor {
    pub fn reader(name: &str, session: Box<dyn Session>) -> std::io::Result<Self> {
        Self::start(name, session, |session, first, _| read(session, first))
    }

    pub fn writer(name: &str, session: Box<dyn Session>) -> std::io::Result<Self> {
        Self::start(name, session, |session, first, inbox| {
            let mut pieces = vec![first];
            while pieces.len() < QUEUE {
                match inbox.try_recv() {
                    Ok(piece) => pieces.push(piece),
                    Err(_) => break,
                }
            }
            write(session, pieces);
        })
    }

    fn start(name: &str, mut session: Box<dyn Session>, turn: Turn) -> std::io::Result<Self> {
        let (work, mut inbox) = mpsc::channel::<Box<dyn Work>>(QUEUE);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(first) = inbox.blocking_recv() {
                turn(session.as_mut(), first, &mut inbox);
            }
        })?;
        Ok(Self { work: Some(work), thread: Some(thread), patience: None })
    }

    /// A server that does not answer keeps nobody from ending.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    pub async fn read<T: Send + 'static>(&self, work: impl Reading<T>) -> Result<T, Failure> {
        let (asker, answered) = oneshot::channel();
        self.put(Box::new(Piece { work: ReadPiece(work), outcome: None, asker }), answered).await
    }

    /// Does `work` in a transaction. Work that has begun ends, even when nobody waits any more; it may
    /// be done again after a connection was lost, so what it writes has to say whether it is there.
    pub async fn write<T: Send + 'static>(&self, work: impl Writing<T>) -> Result<T, Failure> {
        let (asker, answered) = oneshot::channel();
        self.put(Box::new(Piece { work: WritePiece(work), outcome: None, asker }), answered).await
    }

    async fn put<T>(
        &self,
        piece: Box<dyn Work>,
        answered: oneshot::Receiver<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let work = self.work.as_ref().ok_or(StoreError::Ended)?;
        work.send(piece).await.map_err(|_| StoreError::Ended)?;
        answered.await.map_err(|_| StoreError::Ended)?
    }
}

impl Drop for Actor {
    /// Waits until the connection is closed, so that the file is whole and unlocked afterwards.
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            let began = Instant::now();
            while self.patience.is_some() && !thread.is_finished() {
                if self.patience.is_some_and(|patience| began.elapsed() > patience) {
                    tracing::warn!("the database does not answer: its connection is left behind");
                    return;
                }
                std::thread::sleep(POLL);
            }
            // A thread that panicked has already answered its asker with `Ended`.
            let _ = thread.join();
        }
    }
}

/// Tries until it is done, refused, or the connection stays lost. A second try is always made, however
/// long the first one took to fail: it finds what the first one did after all.
fn persist(
    session: &mut dyn Session,
    mut attempt: impl FnMut(&mut dyn Session) -> Result<(), StoreError>,
) -> Option<Failure> {
    let began = Instant::now();
    let mut tries = 0;
    loop {
        let error = match attempt(session) {
            Ok(()) => return None,
            Err(error) => error,
        };
        tries += 1;
        session.roll_back();
        // A server that lets everybody in and then does nothing is away, too.
        if !error.is_away() || (tries > 1 && began.elapsed() > PATIENCE) {
            return Some(error.into());
        }
        while let Err(unreached) = session.reconnect() {
            if !unreached.is_away() {
                return Some(unreached.into());
            }
            tracing::debug!(error = %unreached, "the database is away");
            if began.elapsed() > PATIENCE {
                return Some(unreached.into());
            }
            std::thread::sleep(BETWEEN_TRIES);
        }
    }
}

fn read(session: &mut dyn Session, mut piece: Box<dyn Work>) {
    let failure = persist(session, |session| {
        session.begin(Mode::Read)?;
        piece.attempt(session, None)?;
        session.commit()
    });
    piece.answer(failure.as_ref());
}

fn write(session: &mut dyn Session, mut pieces: Vec<Box<dyn Work>>) {
    let mut unanswered = false;
    let failure = persist(session, |session| {
        session.begin(Mode::Write)?;
        if std::mem::take(&mut unanswered) && session.has_committed() {
            // Nothing is done twice: what came of each piece the first time is so.
            session.roll_back();
            return Ok(());
        }
        let mut appender = Appender::begin(session)?;
        // What was said of a piece in a transaction that is lost is not so.
        pieces.iter_mut().for_each(|piece| piece.forget());
        if let [alone] = pieces.as_mut_slice() {
            alone.attempt(session, Some(&mut appender))?;
        } else {
            let mut saved = false;
            for piece in &mut pieces {
                if saved {
                    session.release_and_save()?
                } else {
                    session.save()?
                };
                let before = appender.clone();
                let attempted = piece.attempt(session, Some(&mut appender));
                saved = attempted.is_ok();
                match attempted {
                    Ok(()) => {}
                    Err(error) if error.is_of_one_piece() => {
                        session.roll_back_to_save()?;
                        appender = before;
                    }
                    Err(error) => return Err(error),
                }
            }
            if saved {
                session.release()?;
            }
        }
        appender.finish(session)?;
        unanswered = true;
        session.commit()
    });
    for piece in pieces {
        piece.answer(failure.as_ref());
    }
}
