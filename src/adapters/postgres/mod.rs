//! The audit store of a plant: one log in PostgreSQL, written by all of its stations.
//!
//! Whoever appends locks the row of `tree_head` first, so a number of the log and a claim are given
//! once, whichever station asks. A connection that is lost is sought anew; what was under way is done
//! again, and finds what it had already written by its event's id.

mod catalogue;
mod connection;
mod indexes;
mod open;
mod rations;
mod session;

pub use connection::{Connection, connection};
pub use rations::PostgresRations;

use std::time::Duration;

use super::store::error::StoreError;
use super::store::session::Session;
use super::store::{LogStore, LogVerifier};
use crate::domain::{Failure, ReasonCode};
use open::{Access, Server};
use session::PostgresSession;

/// Opens the plant's log for reading and writing and brings an older schema up to date. Blocks on the
/// network. L-507 when the server is away or lets nobody in.
pub fn open(connection: impl Into<Connection>) -> Result<LogStore, Failure> {
    let connection = connection.into();
    apart(move || {
        let reading = Server::new(connection.clone())?;
        let writer = PostgresSession::open(Server::new(connection)?, Access::Write)?;
        Ok((PostgresSession::open(reading, Access::Read)?, Some(writer)))
    })
}

/// As [`open`], but a server that is away is no reason to fail: whatever is asked of the log answers
/// L-507 until it is there. For a station, which waits.
pub fn open_or_wait(connection: impl Into<Connection>) -> Result<LogStore, Failure> {
    let connection = connection.into();
    apart(move || {
        let server = || Server::new(connection.clone());
        let writer = match PostgresSession::open(server()?, Access::Write) {
            Err(error) if error.is_away() => PostgresSession::waiting(server()?, Access::Write),
            opened => opened?,
        };
        Ok((PostgresSession::waiting(server()?, Access::Read), Some(writer)))
    })
}

/// Opens the plant's log only to look.
pub fn open_reader(connection: impl Into<Connection>) -> Result<LogStore, Failure> {
    let connection = connection.into();
    apart(move || Ok((PostgresSession::open(Server::new(connection)?, Access::Look)?, None)))
}

/// The plant's log, to be copied. Not from within a runtime: the client has one of its own.
pub fn source(connection: impl Into<Connection>) -> Result<Box<dyn Session>, Failure> {
    Ok(Box::new(PostgresSession::open(Server::new(connection.into())?, Access::Look)?))
}

/// Where a log is copied to. Not from within a runtime, either.
pub fn target(connection: impl Into<Connection>) -> Result<Box<dyn Session>, Failure> {
    Ok(Box::new(PostgresSession::open(Server::new(connection.into())?, Access::Write)?))
}

/// Verifies the plant's log without writing to it. `folder` takes the scratch database, which grows to
/// about half of the log's size and is gone afterwards.
pub fn verifier(connection: impl Into<Connection>, folder: &std::path::Path) -> Result<LogVerifier, Failure> {
    let scratch = super::sqlite::scratch(folder)?;
    let connection = connection.into();
    let opened = std::thread::spawn(move || PostgresSession::open(Server::new(connection)?, Access::Look));
    let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "connecting to the database ended in a defect");
    Ok(LogVerifier::new(Box::new(opened.join().map_err(ended)??), scratch))
}

/// The client runs a runtime of its own, which must not sit inside another one.
fn apart(
    opening: impl FnOnce() -> Result<(PostgresSession, Option<PostgresSession>), StoreError> + Send + 'static,
) -> Result<LogStore, Failure> {
    let ended = |_| Failure::new(ReasonCode::STORE_FAILED, "connecting to the database ended in a defect");
    let (reader, writer) = std::thread::spawn(opening).join().map_err(ended)??;
    let writer = writer.map(|writer| Box::new(writer) as Box<dyn Session>);
    Ok(LogStore::new(Box::new(reader), writer)?.answering_within(ANSWERS_WITHIN))
}

/// Longer than any lock, lost connection or slow disk is waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
