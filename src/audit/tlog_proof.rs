//! One event's proof as a file (C2SP tlog-proof): its index, its inclusion proof, and the checkpoint.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::note::{CheckpointError, SignatureError, SignedCheckpoint, VerifierKey, base64_exact, decimal, hash_line};
use super::proof::{ProofError, verify_inclusion};
use super::tree::LeafHash;

/// `Display` writes the file `….tlog-proof`.
#[derive(Debug, Clone, PartialEq)]
pub struct TlogProof {
    /// Whatever a log says besides; nobody vouches for it. Ours says nothing.
    pub extra: Option<Vec<u8>>,
    pub index: u64,
    /// The leaf's sibling first.
    pub hashes: Vec<[u8; 32]>,
    pub checkpoint: SignedCheckpoint,
}

/// Why a text is no proof, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    #[error("the first line is not {HEADER}")]
    Header,
    #[error("the line `extra` is not base64")]
    Extra,
    #[error("there is no line `index` with a decimal number without leading zeros")]
    Index,
    #[error("a line of the proof is not 32 bytes in base64")]
    Hash,
    #[error("no empty line ends the proof's hashes")]
    End,
    #[error("the proof's checkpoint")]
    Checkpoint(#[from] CheckpointError),
    #[error("the signatures of the proof's checkpoint")]
    Signature(#[from] SignatureError),
    #[error("the event is not where the proof says")]
    Proof(#[from] ProofError),
}

const HEADER: &str = "c2sp.org/tlog-proof@v1";

impl TlogProof {
    /// Did the log hold these bytes at this index? Answered by those of `trusted` that signed.
    pub fn verify<'k>(&self, event: &[u8], trusted: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, TlogProofError> {
        let signers = self.checkpoint.verify(trusted)?;
        self.verify_inclusion(event)?;
        Ok(signers)
    }

    /// The part of [`TlogProof::verify`] that needs no key.
    pub(super) fn verify_inclusion(&self, event: &[u8]) -> Result<(), ProofError> {
        verify_inclusion(LeafHash::of(event), self.index, self.checkpoint.checkpoint().head(), &self.hashes)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.hashes.iter().try_for_each(|hash| writeln!(f, "{}", STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;
    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        let mut rest = text;
        let mut line = || {
            let (line, after) = rest.split_once('\n')?;
            rest = after;
            Some(line)
        };
        if line() != Some(HEADER) {
            return Err(TlogProofError::Header);
        }
        let mut next = line().ok_or(TlogProofError::Index)?;
        let mut extra = None;
        if let Some(value) = next.strip_prefix("extra ") {
            extra = Some(base64_exact(value).ok_or(TlogProofError::Extra)?);
            next = line().ok_or(TlogProofError::Index)?;
        }
        let index = next.strip_prefix("index ").and_then(decimal).ok_or(TlogProofError::Index)?;
        let mut hashes = Vec::new();
        loop {
            match line().ok_or(TlogProofError::End)? {
                "" => break,
                hash => hashes.push(hash_line(hash).ok_or(TlogProofError::Hash)?),
            }
        }
        Ok(Self { extra, index, hashes, checkpoint: rest.parse()? })
    }
}
