//! Making a bundle.

use super::manifest::{Disclosure, FORMAT, Head, Manifest, VERSION};
use super::verify::{BundleError, verify};
use super::{
    CHECKPOINT, File, MANIFEST, README, SCRIPT, SUMS, event_name, evidence, proof_name, readme, rotation_name,
    succession, sums,
};
use crate::audit::note::{SignedCheckpoint, VerifierKey};
use crate::audit::tlog_proof::TlogProof;
use crate::domain::Unit;

/// What a bundle is made of.
#[derive(Debug, Clone)]
pub struct Contents {
    /// Program and version.
    pub made_by: String,
    pub unit: Unit,
    pub events: Vec<ProvenEvent>,
    /// All proofs lead to it.
    pub checkpoint: SignedCheckpoint,
    /// Those of its signers' keys that are handed over.
    pub keys: Vec<VerifierKey>,
    /// Of events that replaced a key, each under a checkpoint that this key signed.
    pub rotations: Vec<TlogProof>,
    pub disclosures: Vec<Disclosure>,
}

#[derive(Debug, Clone)]
pub struct ProvenEvent {
    pub seq: u64,
    pub bytes: Vec<u8>,
    /// Its inclusion proof under the checkpoint.
    pub proof: Vec<[u8; 32]>,
}

/// The files of a bundle, sorted by name. Nothing leaves that does not verify.
pub fn write(contents: &Contents) -> Result<Vec<File>, BundleError> {
    let mut events: Vec<&ProvenEvent> = contents.events.iter().collect();
    events.sort_by_key(|event| event.seq);
    let evidence = evidence::extract(events.iter().map(|event| (event.seq, event.bytes.as_slice())));
    let rotations =
        succession::rotations(events.iter().map(|event| (event.seq, event.bytes.as_slice())), &contents.rotations);
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: VERSION,
        made_by: contents.made_by.clone(),
        unit: contents.unit.clone(),
        checkpoint: Head::of(contents.checkpoint.checkpoint()),
        events: events.iter().map(|event| event.seq).collect(),
        keys: contents.keys.clone(),
        rotations: contents.rotations.iter().map(|proof| proof.index).collect(),
        disclosures: contents.disclosures.clone(),
    };
    let unreadable =
        |error: serde_json::Error| BundleError::Unreadable { name: MANIFEST.into(), cause: error.to_string() };

    let mut files = vec![
        File::new(MANIFEST, serde_json::to_string_pretty(&manifest).map_err(unreadable)? + "\n"),
        File::new(CHECKPOINT, contents.checkpoint.to_string()),
        File::new(README, readme::text(&manifest, &contents.checkpoint, &evidence, &rotations)),
        File::new(SCRIPT, include_str!("../../../assets/bundle/verify.py")),
    ];
    for event in events {
        let checkpoint = contents.checkpoint.clone();
        let proof = TlogProof { extra: None, index: event.seq, hashes: event.proof.clone(), checkpoint };
        files.push(File::new(event_name(event.seq), event.bytes.clone()));
        files.push(File::new(proof_name(event.seq), proof.to_string()));
    }
    files.extend(contents.rotations.iter().map(|proof| File::new(rotation_name(proof.index), proof.to_string())));
    files.extend(contents.keys.iter().flat_map(key_files));
    files.extend(evidence.files);
    files.push(File::new(SUMS, sums(files.iter().map(|file| (file.name.as_str(), file.bytes.as_slice())))));
    files.sort_by(|one, other| one.name.cmp(&other.name));
    verify(&files, None)?;
    Ok(files)
}

pub(super) fn key_files(key: &VerifierKey) -> [File; 2] {
    let name = format!("keys/{:08x}", key.id());
    [File::new(format!("{name}.vkey"), format!("{key}\n")), File::new(format!("{name}.pem"), key.to_spki_pem())]
}
