//! What goes wrong in the store, and the reason code of each.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::PathBuf;

use postgres::error::SqlState;
use rusqlite::{ErrorCode, ffi};

use crate::domain::{BatchName, Failure, Fingerprint, ReasonCode, RunId, Unit};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database refused")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database refused")]
    Postgres(#[from] postgres::Error),
    #[error("the schema could not be migrated")]
    Migration(#[from] refinery::Error),
    #[error("{path}: could not {doing}", path = path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
    /// Written by a newer program: `what` is at `found`, this program knows up to `known`.
    #[error("{what} {found} is newer than {known}, the latest this program knows")]
    Newer { what: &'static str, found: i64, known: i64 },
    /// To be read only, and not as this program expects it.
    #[error("the log was laid out by an older program; start the station once to bring it up to date")]
    Older,
    #[error("{path} cannot be written", path = path.display())]
    ReadOnly { path: PathBuf },
    /// SQLite keeps one write-ahead log a name: by two names, two logs would grow that know nothing of each other.
    #[error("{path} has another name besides (a hard link), by which another station could write to it: remove one of \
        them, or copy the file", path = path.display())]
    Linked { path: PathBuf },
    /// The data directory.
    #[error("{who} may write to {path}, where the log is", path = path.display())]
    Shared { path: PathBuf, who: String },
    /// A part of a log whose database is gone, and perhaps its newest events.
    #[error("{rest} is part of a log, and {path} that it belongs to is gone: put it back, restore a backup with \
        `lineseal audit restore`, or move the rest away", rest = rest.display(), path = path.display())]
    Left { path: PathBuf, rest: PathBuf },
    /// What is written to it nobody has ever after.
    #[error("{path} was deleted, moved or replaced while it was in use", path = path.display())]
    Moved { path: PathBuf },
    #[error("{path} is held by another process{holder}", path = path.display())]
    Held { path: PathBuf, holder: String },
    /// Another process is this station.
    #[error("{0}")]
    Twice(String),
    /// The server is not there, or does not let this station in.
    #[error("the database server cannot be reached: {0}")]
    Away(String),
    /// How to reach the server is configured wrongly.
    #[error("{0}")]
    Settings(String),
    #[error("the database holds {}, and this station is {}",
        if *log { "the practice line's log" } else { "a plant's log" }, if *log { "a real one" } else { "the practice line" })]
    Practice { log: bool },
    /// What is stored contradicts itself.
    #[error("{0}")]
    Corrupt(String),
    /// The caller's event cannot stand in the log.
    #[error("{0}")]
    Illegal(String),
    /// Somebody asked for what cannot be.
    #[error("{0}")]
    Asked(String),
    /// Somebody else has written the run on.
    #[error("run {run} has gone on to event {last}, and was known up to event {known}")]
    Overtaken { run: RunId, known: u64, last: u64 },
    /// Somebody else has begun the run.
    #[error("run {run} is in the log already, up to event {last}")]
    Begun { run: RunId, last: u64 },
    /// The run's writer was told that it is there.
    #[error("event {known} of run {run} was in the log and is not: the database was put back")]
    Lost { run: RunId, known: u64 },
    /// Somebody else has opened it, for something else.
    #[error("there was a batch {batch} before")]
    BatchTaken { batch: BatchName },
    /// A unit has one label.
    #[error("another run of the unit has its label, or owes it: run {run} cannot owe one")]
    LabelTaken { run: RunId },
    /// A board of the same serial number is at another station.
    #[error("another board presents itself as {unit}: run {run} of station {station} has it, too")]
    Twin { unit: Unit, run: RunId, station: String },
    /// What was claimed does not hold any more.
    #[error("run {run} cannot pass: {why}")]
    PassBarred { run: RunId, why: String },
    /// Whoever ruled had not seen it.
    #[error("event {seq} locks {unit}, and came after its locks were looked at: see what it is, and rule anew")]
    LockedSince { unit: Unit, seq: u64 },
    /// A certificate was made for one unit's key, and is another's.
    #[error("certificate {fingerprint} is {holder}'s")]
    CertificateTaken { fingerprint: Fingerprint, holder: Unit },
    /// `whence`: which archive that is, and where it belongs.
    #[error("event {seq} is in an archive that is not at hand{whence}")]
    Archived { seq: u64, whence: String },
    #[error("the event could not be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("the database's thread has ended")]
    Ended,
}

impl StoreError {
    pub fn code(&self) -> ReasonCode {
        match self {
            StoreError::Sqlite(error) => sqlite_code(error),
            StoreError::Postgres(error) => postgres_code(error),
            StoreError::Migration(error) => migration_code(error),
            StoreError::File { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ReasonCode::STORE_READ_ONLY,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ReasonCode::STORE_FULL,
                ErrorKind::AlreadyExists => ReasonCode::NOT_NOW,
                _ => ReasonCode::STORE_FAILED,
            },
            StoreError::Left { .. } => ReasonCode::STORE_FAILED,
            StoreError::Moved { .. } => ReasonCode::STORE_MOVED,
            StoreError::Newer { .. } => ReasonCode::STORE_NEWER,
            StoreError::ReadOnly { .. } => ReasonCode::STORE_READ_ONLY,
            StoreError::Shared { .. } => ReasonCode::DIRECTORY_SHARED,
            StoreError::Linked { .. } => ReasonCode::STATION_TWICE,
            StoreError::Held { .. } => ReasonCode::STORE_BUSY,
            StoreError::Twice(_) => ReasonCode::STATION_TWICE,
            StoreError::Away(_) => ReasonCode::STORE_AWAY,
            StoreError::Settings(_) => ReasonCode::CONFIG_INVALID,
            StoreError::Practice { .. } => ReasonCode::PRACTICE_MIXED,
            StoreError::Corrupt(_) => ReasonCode::STORE_CORRUPT,
            StoreError::Archived { .. } => ReasonCode::LOG_ARCHIVED,
            StoreError::Asked(_) => ReasonCode::ARGUMENT_REFUSED,
            StoreError::Overtaken { .. } | StoreError::Begun { .. } => ReasonCode::RUN_OVERTAKEN,
            StoreError::Lost { .. } => ReasonCode::LOG_ROLLED_BACK,
            StoreError::BatchTaken { .. } => ReasonCode::NOT_NOW,
            StoreError::LabelTaken { .. } => ReasonCode::LABEL_TAKEN,
            StoreError::PassBarred { .. } => ReasonCode::PASS_BARRED,
            StoreError::LockedSince { .. } => ReasonCode::RULING_REFUSED,
            StoreError::Twin { .. } => ReasonCode::BOARD_TWIN,
            StoreError::CertificateTaken { .. } => ReasonCode::CERTIFICATE_BOUND,
            StoreError::Older | StoreError::Illegal(_) | StoreError::Encode(_) | StoreError::Ended => {
                ReasonCode::STORE_FAILED
            }
        }
    }

    /// The connection is gone; another one may do.
    pub fn is_away(&self) -> bool {
        self.code() == ReasonCode::STORE_AWAY
    }

    /// Undoing the piece of work that it comes from is enough: the transaction around it is whole.
    pub fn is_of_one_piece(&self) -> bool {
        match self {
            StoreError::Illegal(_)
            | StoreError::Asked(_)
            | StoreError::Encode(_)
            | StoreError::Archived { .. }
            | StoreError::Overtaken { .. }
            | StoreError::Begun { .. }
            | StoreError::BatchTaken { .. }
            | StoreError::Lost { .. }
            | StoreError::LabelTaken { .. }
            | StoreError::PassBarred { .. }
            | StoreError::LockedSince { .. }
            | StoreError::Twin { .. }
            | StoreError::CertificateTaken { .. }
            // What it found damaged, others need not come upon.
            | StoreError::Corrupt(_) => true,
            StoreError::Sqlite(rusqlite::Error::SqliteFailure(failure, _)) => {
                matches!(failure.code, ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
            }
            StoreError::Sqlite(error) => sqlite_code(error) == ReasonCode::STORE_CORRUPT,
            // The statement itself is at fault, or what it came upon: data exceptions, broken constraints, rules
            // of SQL, limits, our guards, damaged rows (PostgreSQL, appendix A).
            StoreError::Postgres(error) => error
                .code()
                .is_some_and(|state| matches!(state.code().get(..2), Some("22" | "23" | "42" | "54" | "P0" | "XX"))),
            _ => false,
        }
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Failure {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        let failure = Failure::new(error.code(), cause);
        match error {
            StoreError::Twin { unit, .. } => failure.with("serial", &unit.serial),
            StoreError::LockedSince { unit, .. } => failure.with("unit", &unit.serial),
            StoreError::CertificateTaken { holder, .. } => failure.with("unit", &holder.serial),
            _ => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::from(&error)
    }
}

/// What was written before cannot be read: more than what a disk that is read-only does.
const READING: [i32; 4] =
    [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ, ffi::SQLITE_IOERR_DATA, ffi::SQLITE_IOERR_CORRUPTFS];

fn sqlite_code(error: &rusqlite::Error) -> ReasonCode {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return match error {
            // A column that does not hold what the schema says.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::QueryReturnedNoRows => ReasonCode::STORE_CORRUPT,
            _ => ReasonCode::STORE_FAILED,
        };
    };
    match failure.code {
        ErrorCode::DiskFull => ReasonCode::STORE_FULL,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => ReasonCode::STORE_READ_ONLY,
        // A disk at fault is made read-only by the system, and what SQLite is told by it is no more than that.
        ErrorCode::SystemIoFailure if !READING.contains(&failure.extended_code) => ReasonCode::STORE_READ_ONLY,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ReasonCode::STORE_BUSY,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ReasonCode::STORE_CORRUPT,
        // The guards on `events` and `tree_head`: what is stored is not what its head says.
        ErrorCode::ConstraintViolation if failure.extended_code == ffi::SQLITE_CONSTRAINT_TRIGGER => {
            ReasonCode::STORE_CORRUPT
        }
        _ => ReasonCode::STORE_FAILED,
    }
}

/// By SQLSTATE (PostgreSQL, appendix A); without one the connection itself is at fault.
fn postgres_code(error: &postgres::Error) -> ReasonCode {
    let Some(state) = error.code() else {
        let io = error.source().is_some_and(|source| source.is::<std::io::Error>());
        return if error.is_closed() || io || error.to_string().starts_with("error connecting") {
            ReasonCode::STORE_AWAY
        } else {
            ReasonCode::STORE_FAILED
        };
    };
    match state.code().get(..2) {
        _ if *state == SqlState::QUERY_CANCELED => ReasonCode::STORE_BUSY,
        // Connection, operator intervention (shutdown, crash), authorisation, resources but the disk.
        Some("08" | "57" | "28" | "3D") => ReasonCode::STORE_AWAY,
        _ if *state == SqlState::DISK_FULL => ReasonCode::STORE_FULL,
        Some("53") => ReasonCode::STORE_AWAY,
        Some("25") => ReasonCode::STORE_READ_ONLY,
        Some("40" | "55") => ReasonCode::STORE_BUSY,
        // Damaged data; and our own guards, which raise.
        Some("XX" | "P0") => ReasonCode::STORE_CORRUPT,
        _ if *state == SqlState::INSUFFICIENT_PRIVILEGE => ReasonCode::STORE_READ_ONLY,
        _ => ReasonCode::STORE_FAILED,
    }
}

fn migration_code(error: &refinery::Error) -> ReasonCode {
    match error.kind() {
        refinery::error::Kind::Connection(_, source) => {
            if let Some(error) = source.downcast_ref::<rusqlite::Error>() {
                return sqlite_code(error);
            }
            source.downcast_ref::<postgres::Error>().map_or(ReasonCode::STORE_FAILED, postgres_code)
        }
        refinery::error::Kind::DivergentVersion(..) | refinery::error::Kind::MissingVersion(_) => {
            ReasonCode::STORE_CORRUPT
        }
        _ => ReasonCode::STORE_FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ext4 makes a disk read-only at its first error, and every write fails from then on: a station waits for
    /// that to pass, and shows no PASS meanwhile.
    #[test]
    fn a_disk_that_takes_nothing_is_read_only_and_one_that_gives_nothing_is_at_fault() {
        let of = |extended| sqlite_code(&rusqlite::Error::SqliteFailure(ffi::Error::new(extended), None));
        for extended in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_TRUNCATE] {
            assert_eq!(of(extended), ReasonCode::STORE_READ_ONLY, "{extended}");
        }
        assert_eq!(of(ffi::SQLITE_IOERR_READ), ReasonCode::STORE_FAILED);
    }
}
