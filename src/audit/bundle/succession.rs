//! Keys that were replaced, and the successors that they themselves signed for.

use std::collections::BTreeMap;

use super::verify::{BundleError, Files};
use super::{File, rotation_name};
use crate::audit::event::LogKeyRole;
use crate::audit::note::VerifierKey;
use crate::audit::tlog_proof::TlogProof;
use crate::audit::{Body, Event, LineEvent};
use crate::domain::KeyName;

/// An event by which a key of the log was replaced.
pub(super) struct Rotation {
    pub seq: u64,
    pub old: VerifierKey,
    pub new: VerifierKey,
    /// The old key signed a checkpoint that has the event: the log's next key is its own word.
    pub proof: Option<TlogProof>,
}

impl Rotation {
    pub fn file(&self) -> Option<File> {
        self.proof.as_ref().map(|proof| File::new(rotation_name(self.seq), proof.to_string()))
    }
}

/// In the order of the log, with those proofs that are of one.
pub(super) fn rotations<'e>(events: impl Iterator<Item = (u64, &'e [u8])>, proofs: &[TlogProof]) -> Vec<Rotation> {
    let proven = |mut rotation: Rotation| {
        rotation.proof = proofs.iter().find(|proof| proof.index == rotation.seq).cloned();
        rotation
    };
    events.filter_map(|(seq, bytes)| rotation(seq, bytes)).map(proven).collect()
}

/// The same out of a bundle. `signed`: those that come with a proof of the old key's, which has to hold.
pub(super) fn verified_rotations(
    files: &Files,
    origin: &KeyName,
    events: &BTreeMap<u64, &[u8]>,
    signed: &[u64],
) -> Result<Vec<Rotation>, BundleError> {
    let mut rotations = rotations(events.iter().map(|(seq, bytes)| (*seq, *bytes)), &[]);
    for seq in signed {
        let name = rotation_name(*seq);
        let found = rotations.iter_mut().find(|rotation| rotation.seq == *seq);
        let (rotation, bytes) = found.zip(events.get(seq)).ok_or_else(|| BundleError::Derived(name.clone()))?;
        let wrong = |source| BundleError::Proof { name: name.clone(), source };
        let proof: TlogProof = files.text(&name)?.parse().map_err(wrong)?;
        if proof.index != *seq {
            return Err(BundleError::OtherEvent { name, index: proof.index });
        }
        if proof.extra.is_some() || proof.checkpoint.checkpoint().origin() != origin {
            return Err(BundleError::Derived(name));
        }
        proof.verify(bytes, std::slice::from_ref(&rotation.old)).map_err(wrong)?;
        rotation.proof = Some(proof);
    }
    Ok(rotations)
}

fn rotation(seq: u64, bytes: &[u8]) -> Option<Rotation> {
    let Body::Line(LineEvent::LogKeyAdded { key, role: LogKeyRole::Station, replaces: Some(old) }) =
        Event::decode(bytes).ok()?.body
    else {
        return None;
    };
    Some(Rotation { seq, old: old.parse().ok()?, new: key.parse().ok()?, proof: None })
}

/// The size of the largest checkpoint that `key` vouches for: the one with the event that replaced it.
pub(super) fn replaced(rotations: &[Rotation], key: &VerifierKey) -> Option<u64> {
    rotations.iter().filter(|rotation| rotation.old == *key).map(|rotation| rotation.seq + 1).min()
}

/// Keys that `trusted` ones signed for, through others where it is so, and the events that say it.
pub(super) fn successors(trusted: &[VerifierKey], rotations: &[Rotation]) -> (Vec<VerifierKey>, Vec<u64>) {
    let (mut keys, mut by) = (Vec::new(), Vec::new());
    for Rotation { seq, old, new, proof } in rotations {
        if proof.is_some() && (trusted.contains(old) || keys.contains(old)) {
            keys.push(new.clone());
            by.push(*seq);
        }
    }
    (keys, by)
}
