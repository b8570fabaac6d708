//! Claims as files in a folder of the administrator's: the key with mode 0600.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret as _;

use crate::adapters::durable;
use crate::domain::{Failure, ReasonCode};
use crate::ports::{ClaimPlace, ClaimPlan, NewClaim};

/// `TARGET-TEMPLATE.pem` and `TARGET-TEMPLATE.key`.
pub struct ClaimFolder {
    path: PathBuf,
}

impl ClaimFolder {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Of the certificate and of its private key.
    pub fn files(&self, plan: &ClaimPlan) -> [PathBuf; 2] {
        ["pem", "key"].map(|kind| self.path.join(format!("{}-{}.{kind}", plan.target, plan.template)))
    }
}

impl ClaimPlace for ClaimFolder {
    fn ready(&self, plan: &ClaimPlan) -> Result<(), Failure> {
        for file in self.files(plan) {
            match file.try_exists() {
                Ok(false) => {}
                Ok(true) => return Err(unusable(&file, "is there already, and no claim is written over another")),
                Err(error) => return Err(unusable(&file, error)),
            }
        }
        // Whatever keeps a file from being written is known before anything is made that has to be written.
        let probe = self.path.join(format!(".{}-{}.probe", plan.target, plan.template));
        durable::replace(&probe, b"", 0o600).map_err(|error| unusable(&self.path, error))?;
        std::fs::remove_file(&probe).map_err(|error| unusable(&probe, error))
    }

    fn keep(&self, plan: &ClaimPlan, claim: &NewClaim) -> Result<(), Failure> {
        let [certificate, key] = self.files(plan);
        let written =
            |path: &Path, bytes: &[u8], mode| durable::create(path, bytes, mode).map_err(|error| unusable(path, error));
        written(&key, claim.private_key.expose_secret().as_bytes(), 0o600)?;
        written(&certificate, claim.certificate_pem.as_bytes(), 0o644)
    }
}

fn unusable(path: &Path, because: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{}: {because}", path.display()))
}
