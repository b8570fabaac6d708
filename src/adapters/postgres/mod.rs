//! The audit store of a plant: one log in PostgreSQL, written by all of its stations.
//!
//! Whoever appends locks the row of `tree_head` first, so a number of the log and a claim are given
//! once, whichever station asks. A connection that is lost is sought anew; what was under way is done
//! again, and finds what it had already written by its event's id.

mod open;
mod session;

use postgres::Config;

use super::store::LogStore;
use super::store::error::StoreError;
use super::store::session::Session;
use crate::domain::{Failure, ReasonCode};
use open::Server;
use session::PostgresSession;

/// Opens the plant's log for reading and writing and brings an older schema up to date. Blocks on the
/// network. L-507 when the server is away or lets nobody in.
pub fn open(config: Config) -> Result<LogStore, Failure> {
    apart(move || {
        let server = Server::new(config)?;
        let writer = open::writer(&server)?;
        Ok((open::reader(&server)?, Some(writer)))
    })
}

/// Opens the plant's log only to look.
pub fn open_reader(config: Config) -> Result<LogStore, Failure> {
    apart(move || Ok((open::reader(&Server::new(config)?)?, None)))
}

/// The client runs a runtime of its own, which must not sit inside another one.
fn apart(
    opening: impl FnOnce() -> Result<(PostgresSession, Option<PostgresSession>), StoreError> + Send + 'static,
) -> Result<LogStore, Failure> {
    let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "connecting to the database ended in a defect");
    let (reader, writer) = std::thread::spawn(opening).join().map_err(ended)??;
    LogStore::new(Box::new(reader), writer.map(|writer| Box::new(writer) as Box<dyn Session>))
}
