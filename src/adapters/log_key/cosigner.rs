//! A cosigner's key: a file that QA keeps, away from the station's.
//!
//! A key in PEM has no name, and a note's signature needs one: the verifier key stands before it in the
//! file, where PEM allows any text (RFC 7468 §2).

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::read_private;
use crate::adapters::durable;
use crate::audit::note::{NoteKey, VerifierKey};
use crate::domain::{Failure, ReasonCode};

/// Writes `key` to a new file, mode 0600. L-525 where it can't be, or the file is there already.
pub fn write_cosigner(path: &Path, key: &NoteKey) -> Result<(), Failure> {
    let pem = key.to_pem().map_err(refused)?;
    let text = SecretString::from(format!("{}\n{}", key.verifier(), pem.expose_secret()));
    durable::create(path, text.expose_secret().as_bytes(), 0o600)
        .map_err(|error| refused(format!("{} can't be made: {error}", path.display())))
}

/// The key that [`write_cosigner`] wrote. L-525 where it is not there, others may read it, or its two
/// halves are not of one key.
pub fn read_cosigner(path: &Path) -> Result<NoteKey, Failure> {
    let in_file = |what: &dyn std::fmt::Display| refused(format!("{}: {what}", path.display()));
    let missing = || Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{}: there is no such file", path.display()));
    let text = read_private(path)?.ok_or_else(missing)?;
    let first = text.expose_secret().lines().next().unwrap_or_default();
    let named: VerifierKey = first.trim().parse().map_err(|error| in_file(&format!("the first line: {error}")))?;
    let key = NoteKey::from_pem(named.name().clone(), &text).map_err(|error| in_file(&error))?;
    if *key.verifier() != named {
        return Err(in_file(&"the first line names another key than the file holds"));
    }
    Ok(key)
}

fn refused(cause: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::LOG_KEY, cause.to_string())
}
