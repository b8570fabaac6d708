//! What leaves the station for strangers, and what comes from them: bundles, reports, checkpoints, cosigners' keys.

use std::path::Path;

use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;

use super::entropy;
use crate::adapters::bundles::{self, ReadError};
use crate::adapters::log_key;
use crate::adapters::report_file::FileBeside;
use crate::audit::bundle;
use crate::audit::note::{NoteKey, VerifierKey};
use crate::domain::{Failure, KeyName, ReasonCode, Sha256};
use crate::ports::ReportFile;

/// Packs a bundle: a zip archive where `path` ends so, else a folder.
pub fn write_bundle(path: &Path, files: &[bundle::File]) -> Result<(), Failure> {
    bundles::write(path, files).map_err(|error| Failure::new(ReasonCode::NOT_NOW, in_full(&error)))
}

/// The files of somebody's bundle. O-615 where there is nothing to read, L-526 where it is no honest bundle.
pub fn read_bundle(path: &Path) -> Result<Vec<bundle::File>, Failure> {
    bundles::read(path).map_err(|error| unread(&error))
}

/// The same of a zip archive, with its SHA-256.
pub fn read_archive(path: &Path) -> Result<(Vec<bundle::File>, Sha256), Failure> {
    bundles::archive(path).map_err(|error| unread(&error))
}

fn unread(error: &ReadError) -> Failure {
    let code = match error {
        ReadError::Read { .. } => ReasonCode::ARGUMENT_REFUSED,
        _ => ReasonCode::LOG_BROKEN,
    };
    Failure::new(code, in_full(error))
}

/// Where a report is written to until it is whole.
pub fn report_file(path: &Path) -> Result<Box<dyn ReportFile>, Failure> {
    Ok(Box::new(FileBeside::begin(path)?))
}

/// A new file with this text.
pub fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    bundles::write_text(path, text).map_err(|error| Failure::new(ReasonCode::NOT_NOW, in_full(&error)))
}

fn in_full(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A new key for a cosigner in a file of its own.
pub fn new_cosigner(path: &Path, name: KeyName) -> Result<VerifierKey, Failure> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy().fill(&mut *seed)?;
    let key = NoteKey::from_seed(name, &SecretBox::new(Box::new(*seed)))
        .map_err(|error| Failure::new(ReasonCode::LOG_KEY, error.to_string()))?;
    log_key::write_cosigner(path, &key)?;
    Ok(key.verifier().clone())
}

/// The cosigner's key in this file.
pub fn cosigner(path: &Path) -> Result<NoteKey, Failure> {
    log_key::read_cosigner(path)
}
