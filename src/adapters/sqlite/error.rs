//! What goes wrong in the store, and the reason code of each.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

use crate::domain::{Failure, ReasonCode};

#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("the database refused")]
    Database(#[from] rusqlite::Error),
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
    #[error("{path} is held by another process{holder}", path = path.display())]
    Held { path: PathBuf, holder: String },
    /// What is stored contradicts itself.
    #[error("{0}")]
    Corrupt(String),
    /// The caller's event cannot stand in the log.
    #[error("{0}")]
    Illegal(String),
    #[error("the event could not be encoded")]
    Encode(#[source] serde_json::Error),
    #[error("the database's thread has ended")]
    Ended,
}

impl StoreError {
    pub(super) fn code(&self) -> ReasonCode {
        match self {
            StoreError::Database(error) => database_code(error),
            StoreError::Migration(error) => migration_code(error),
            StoreError::File { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => ReasonCode::STORE_READ_ONLY,
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => ReasonCode::STORE_FULL,
                _ => ReasonCode::STORE_FAILED,
            },
            StoreError::Newer { .. } => ReasonCode::STORE_NEWER,
            StoreError::ReadOnly { .. } => ReasonCode::STORE_READ_ONLY,
            StoreError::Held { .. } => ReasonCode::STORE_BUSY,
            StoreError::Corrupt(_) => ReasonCode::STORE_CORRUPT,
            StoreError::Older | StoreError::Illegal(_) | StoreError::Encode(_) | StoreError::Ended => {
                ReasonCode::STORE_FAILED
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        Failure::new(error.code(), cause)
    }
}

fn database_code(error: &rusqlite::Error) -> ReasonCode {
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
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => ReasonCode::STORE_BUSY,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => ReasonCode::STORE_CORRUPT,
        // The guards on `events` and `tree_head`: what is stored is not what its head says.
        ErrorCode::ConstraintViolation if failure.extended_code == ffi::SQLITE_CONSTRAINT_TRIGGER => {
            ReasonCode::STORE_CORRUPT
        }
        _ => ReasonCode::STORE_FAILED,
    }
}

fn migration_code(error: &refinery::Error) -> ReasonCode {
    match error.kind() {
        refinery::error::Kind::Connection(_, source) => match source.downcast_ref::<rusqlite::Error>() {
            Some(error) => database_code(error),
            None => ReasonCode::STORE_FAILED,
        },
        refinery::error::Kind::DivergentVersion(..) | refinery::error::Kind::MissingVersion(_) => {
            ReasonCode::STORE_CORRUPT
        }
        _ => ReasonCode::STORE_FAILED,
    }
}
