//! `bundle.json`: what a bundle says of itself.

use crate::audit::note::{Checkpoint, VerifierKey};
use crate::domain::{Bytes, KeyName, Sha256, Unit};

pub(super) const FORMAT: &str = "lineseal-proof-bundle";
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub format: String,
    pub version: u32,
    /// Program and version.
    pub made_by: String,
    pub unit: Unit,
    pub checkpoint: Head,
    pub events: Vec<u64>,
    pub keys: Vec<VerifierKey>,
    /// Events by which a key was replaced that signed for its successor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disclosures: Vec<Disclosure>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub origin: KeyName,
    pub size: u64,
    pub root: Sha256,
}

impl Head {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let head = checkpoint.head();
        Self { origin: checkpoint.origin().clone(), size: head.size, root: Sha256::from_bytes(head.root) }
    }
}

/// Names and free text stand in events as SHA-256(salt ‖ text) only; here is what they stood for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "lowercase", deny_unknown_fields)]
pub enum Disclosure {
    Revealed {
        /// As the event has it.
        sha256: Sha256,
        salt: Bytes,
        text: String,
    },
    /// The salt is gone, and with it the way back to the text.
    Forgotten { sha256: Sha256 },
}

impl Disclosure {
    pub(super) fn sha256(&self) -> Sha256 {
        match self {
            Disclosure::Revealed { sha256, .. } | Disclosure::Forgotten { sha256 } => *sha256,
        }
    }

    pub(super) fn is_forgotten(&self) -> bool {
        matches!(self, Disclosure::Forgotten { .. })
    }

    /// Is it what the hash was made of?
    pub(super) fn holds(&self) -> bool {
        match self {
            Disclosure::Revealed { sha256, salt, text } => *sha256 == Sha256::of(&[salt, text.as_bytes()].concat()),
            Disclosure::Forgotten { .. } => true,
        }
    }
}
