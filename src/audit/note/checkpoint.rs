//! Checkpoints (C2SP tlog-checkpoint): what the log was at a size, signed.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, NoteError, Signature, VerificationError, Verifier as _, Verifiers};

use super::key::VerifierKey;
use super::secret::NoteKey;
use crate::audit::tree::TreeHead;
use crate::domain::KeyName;

/// The text that is signed. `Display` writes it, its last newline included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: KeyName,
    head: TreeHead,
    extensions: Vec<String>,
}

/// Why a text is no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error("a checkpoint is three lines or more, none of them empty, each ended by a newline")]
    Lines,
    #[error("the first line is no origin of a log of ours")]
    Origin(#[source] crate::domain::Invalid),
    #[error("the second line is no tree size: a decimal number without leading zeros")]
    Size,
    #[error("the third line is no root hash: 32 bytes in base64")]
    Root,
    #[error("not a signed note: a text, an empty line, and lines of signatures")]
    Note,
}

/// Why signatures do not vouch for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("none of the known keys signed the checkpoint")]
    NoKnownKey,
    #[error("{name} ({id:08x}) did not sign the checkpoint")]
    NoSignature { name: String, id: u32 },
    #[error("the signature of {name} ({id:08x}) is wrong")]
    Wrong { name: String, id: u32 },
    #[error("two known keys are both called {name} ({id:08x})")]
    Ambiguous { name: String, id: u32 },
    #[error("a log's first signature is by a key of the log's own name {origin}, not of {name}")]
    NotTheLogs { origin: KeyName, name: KeyName },
    #[error("the checkpoint cannot be signed: its text is no note")]
    Note,
}

impl Checkpoint {
    pub fn new(origin: KeyName, head: TreeHead) -> Self {
        Self { origin, head, extensions: Vec::new() }
    }

    pub fn origin(&self) -> &KeyName {
        &self.origin
    }

    pub fn head(&self) -> TreeHead {
        self.head
    }

    /// Lines that someone else's log added; ours has none.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.head.size, STANDARD.encode(self.head.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Lines)?;
        let mut lines = body.split('\n');
        if lines.clone().any(|line| line.is_empty() || line.chars().any(|c| c < ' ')) {
            return Err(CheckpointError::Lines);
        }
        let mut line = || lines.next().ok_or(CheckpointError::Lines);
        let origin = line()?.parse().map_err(CheckpointError::Origin)?;
        let size = decimal(line()?).ok_or(CheckpointError::Size)?;
        let root = hash_line(line()?).ok_or(CheckpointError::Root)?;
        let extensions = lines.map(str::to_owned).collect();
        Ok(Self { origin, head: TreeHead { size, root }, extensions })
    }
}

/// A checkpoint and its signatures, verified or not. `Display` writes the note.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    signatures: Vec<Signature>,
}

impl SignedCheckpoint {
    /// The log signs, with a key that carries its origin.
    pub fn sign(checkpoint: Checkpoint, key: &NoteKey) -> Result<Self, SignatureError> {
        let signature = key.sign(checkpoint.to_string().as_bytes());
        Self::attach(checkpoint, key.verifier(), &signature)
    }

    /// The log signed elsewhere, in a token: `signature` is of the bytes of the checkpoint's text. It is
    /// verified first, since a module asked for the wrong mechanism returns nonsense.
    pub fn attach(checkpoint: Checkpoint, key: &VerifierKey, signature: &[u8]) -> Result<Self, SignatureError> {
        if key.name() != checkpoint.origin() {
            return Err(SignatureError::NotTheLogs { origin: checkpoint.origin, name: key.name().clone() });
        }
        let mut signed = Self { checkpoint, signatures: Vec::new() };
        signed.attach_cosignature(key, signature)?;
        Ok(signed)
    }

    /// One more key vouches for the same text: QA's, or another of the log's.
    pub fn cosign(&mut self, key: &NoteKey) -> Result<(), SignatureError> {
        let signature = key.sign(self.checkpoint.to_string().as_bytes());
        self.attach_cosignature(key.verifier(), &signature)
    }

    /// As [`SignedCheckpoint::cosign`] with a signature made elsewhere. An older one of the same key goes.
    pub fn attach_cosignature(&mut self, key: &VerifierKey, signature: &[u8]) -> Result<(), SignatureError> {
        let text = self.checkpoint.to_string();
        if !key.verify(text.as_bytes(), signature) {
            return Err(SignatureError::Wrong { name: key.name().to_string(), id: key.id() });
        }
        let signature =
            Signature::new(key.name().to_string(), key.id(), signature.to_vec()).map_err(|_| SignatureError::Note)?;
        self.signatures.retain(|old| (old.name(), old.id()) != (signature.name(), signature.id()));
        self.signatures.push(signature);
        Ok(())
    }

    /// What is claimed; true only once [`SignedCheckpoint::verify`] says who vouches for it.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The line of the note, counted from one, that holds this key's signature.
    pub(in crate::audit) fn signature_line(&self, key: &VerifierKey) -> Option<usize> {
        let is = |signature: &Signature| signature.name() == key.name().as_str() && signature.id() == key.id();
        let before = self.checkpoint.to_string().lines().count() + 1;
        Some(before + self.signatures.iter().position(is)? + 1)
    }

    /// Which of `keys` signed: at least one, and none of them wrongly (C2SP signed-note: signatures of
    /// unknown keys are passed over, a wrong one of a known key spoils the note).
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, SignatureError> {
        let note = Note::new(self.checkpoint.to_string().as_bytes(), &self.signatures);
        let verified = note.and_then(|note| note.verify(&Known(keys)));
        let (signatures, _) = verified.map_err(|error| match error {
            NoteError::UnverifiedNote => SignatureError::NoKnownKey,
            NoteError::InvalidSignature { name, id } => SignatureError::Wrong { name, id },
            NoteError::VerificationError(VerificationError::AmbiguousKey { name, id }) => {
                SignatureError::Ambiguous { name, id }
            }
            _ => SignatureError::Note,
        })?;
        let signer = |signature: &Signature| {
            keys.iter().find(|key| key.name().as_str() == signature.name() && key.id() == signature.id())
        };
        Ok(signatures.iter().filter_map(signer).collect())
    }
}

struct Known<'k>(&'k [VerifierKey]);

impl Verifiers for Known<'_> {
    fn verifier(&self, name: &str, id: u32) -> Result<&dyn signed_note::Verifier, VerificationError> {
        let mut keys = self.0.iter().filter(|key| key.name().as_str() == name && key.id() == id);
        let name = name.to_owned();
        match keys.next() {
            None => Err(VerificationError::UnknownKey { name, id }),
            Some(key) if keys.any(|other| other != key) => Err(VerificationError::AmbiguousKey { name, id }),
            Some(key) => Ok(key),
        }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.checkpoint)?;
        self.signatures.iter().try_for_each(|signature| f.write_str(&String::from_utf8_lossy(&signature.to_bytes())))
    }
}

impl FromStr for SignedCheckpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let note = Note::from_bytes(text.as_bytes()).map_err(|_| CheckpointError::Note)?;
        let body = std::str::from_utf8(note.text()).map_err(|_| CheckpointError::Note)?;
        let checkpoint = body.parse()?;
        let lines = text.get(body.len() + 1..).unwrap_or_default().lines();
        let signatures = lines.map(|line| Signature::from_bytes(line.as_bytes()).map_err(|_| CheckpointError::Note));
        let signed = Self { checkpoint, signatures: signatures.collect::<Result<_, _>>()? };
        // One form only: what is compared and kept as text is compared and kept whole.
        if signed.to_string() == text { Ok(signed) } else { Err(CheckpointError::Note) }
    }
}

/// A decimal number in its only form.
pub(in crate::audit) fn decimal(text: &str) -> Option<u64> {
    let number = text.parse::<u64>().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64, in its only form.
pub(in crate::audit) fn hash_line(text: &str) -> Option<[u8; 32]> {
    base64_exact(text)?.try_into().ok()
}

/// The engine refuses missing padding and stray bits.
pub(in crate::audit) fn base64_exact(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
