//! A log that was moved elsewhere stays where it was, and is written no more.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::adapters::durable;
use crate::domain::{Failure, ReasonCode};

/// The file beside the database that says so.
pub struct Moved {
    path: PathBuf,
}

impl Moved {
    pub const FILE: &str = "MIGRATED";

    pub fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(Self::FILE) }
    }

    /// On disk before the move counts: there is never a moment with two logs that both go on.
    pub fn say(&self, whereto: &str) -> Result<(), Failure> {
        durable::replace(&self.path, format!("{whereto}\n").as_bytes(), 0o600).map_err(|error| self.failed(&error))
    }

    /// It did not come to that.
    pub fn take_back(&self) -> Result<(), Failure> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    /// K-701 when the log was moved.
    pub fn refuse(&self) -> Result<(), Failure> {
        match std::fs::read_to_string(&self.path) {
            Ok(whereto) => {
                let cause = format!(
                    "the log of this folder was moved to {}: name that database by \"postgres\" in [log]",
                    whereto.trim()
                );
                Err(Failure::new(ReasonCode::CONFIG_INVALID, cause))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        let cause = format!("{}: {error}", self.path.display());
        Failure::new(ReasonCode::STORE_FAILED, cause).with("path", self.path.display())
    }
}
