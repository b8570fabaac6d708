//! A proof bundle: files by which a stranger checks a unit's history offline, without Lineseal, without
//! a secret and without believing whoever handed them over.
//!
//! | file | holds |
//! | --- | --- |
//! | `events/<seq>.json` | an event, byte for byte as it was written |
//! | `proofs/<seq>.tlog-proof` | that the log has it at `seq` |
//! | `rotations/<seq>.tlog-proof` | the same for an event that replaced a key, under a checkpoint that this key signed |
//! | `checkpoint.txt` | the signed note that all proofs lead to |
//! | `keys/<id>.vkey`, `.pem` | who signed; the name stands in the file, since keys share it |
//! | `evidence/<seq>-*` | certificates, challenges and signatures out of the events, as openssl reads them |
//! | `bundle.json` | what is here |
//! | `README.md`, `verify.py` | how to check it, and the whole check |
//! | `SHA256SUMS` | all of the above, against accidents; nobody signs it |

mod evidence;
mod given;
mod manifest;
mod readme;
mod runs;
mod succession;
mod verify;
mod write;

pub use given::{GivenKey, GivenKeyError};
pub use manifest::Disclosure;
pub use runs::RunShown;
pub use verify::{BundleError, BundleReport, Signers, verify, vouching};
pub use write::{Contents, ProvenEvent, write};

use crate::domain::Sha256;

/// A file of a bundle; the name's separator is `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl File {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

const SUMS: &str = "SHA256SUMS";
const MANIFEST: &str = "bundle.json";
const CHECKPOINT: &str = "checkpoint.txt";
const README: &str = "README.md";
const SCRIPT: &str = "verify.py";

fn event_name(seq: u64) -> String {
    format!("events/{seq}.json")
}

fn proof_name(seq: u64) -> String {
    format!("proofs/{seq}.tlog-proof")
}

fn rotation_name(seq: u64) -> String {
    format!("rotations/{seq}.tlog-proof")
}

/// As `sha256sum` writes it, sorted by name.
fn sums<'f>(files: impl Iterator<Item = (&'f str, &'f [u8])>) -> String {
    let mut lines: Vec<_> = files.map(|(name, bytes)| (name, Sha256::of(bytes))).collect();
    lines.sort_unstable();
    lines.iter().map(|(name, hash)| format!("{hash}  {name}\n")).collect()
}
