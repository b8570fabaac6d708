//! The audit store of a plant: one log in PostgreSQL, written by all of its stations.
//!
//! Whoever appends locks the row of `tree_head` first, so a number of the log and a claim are given
//! once, whichever station asks. A connection that is lost is sought anew; what was under way is done
//! again, and finds what it had already written by its event's id.

mod open;
mod session;

use postgres::Config;

use super::store::error::StoreError;
use super::store::session::Session;
use super::store::{LogStore, LogVerifier};
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

/// Verifies the plant's log without writing to it. `folder` takes the scratch database, which grows to
/// about half of the log's size and is gone afterwards.
pub fn verifier(config: Config, folder: &std::path::Path) -> Result<LogVerifier, Failure> {
    let scratch = super::sqlite::scratch(folder)?;
    let opened = std::thread::spawn(move || open::reader(&Server::new(config)?));
    let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "connecting to the database ended in a defect");
    Ok(LogVerifier::new(Box::new(opened.join().map_err(ended)??), scratch))
}

/// The client runs a runtime of its own, which must not sit inside another one.
fn apart(
    opening: impl FnOnce() -> Result<(PostgresSession, Option<PostgresSession>), StoreError> + Send + 'static,
) -> Result<LogStore, Failure> {
    let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "connecting to the database ended in a defect");
    let (reader, writer) = std::thread::spawn(opening).join().map_err(ended)??;
    LogStore::new(Box::new(reader), writer.map(|writer| Box::new(writer) as Box<dyn Session>))
}
