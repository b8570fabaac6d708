//! Checking a bundle: everything that `verify.py` checks, and which key vouches for it.

use std::collections::BTreeMap;

use super::given::GivenKey;
use super::manifest::{FORMAT, Head, Manifest, VERSION};
use super::runs::{RunShown, runs_of};
use super::succession::{Rotation, replaced, successors, verified_rotations};
use super::write::key_files;
use super::{CHECKPOINT, File, MANIFEST, README, SCRIPT, SUMS, event_name, evidence, proof_name, sums};
use crate::audit::note::{CheckpointError, SignatureError, SignedCheckpoint, VerifierKey};
use crate::audit::tlog_proof::{TlogProof, TlogProofError};
use crate::audit::tree::TreeHead;
use crate::domain::{KeyName, Sha256, Unit};

/// What a bundle that holds has shown.
#[derive(Debug, Clone, PartialEq)]
pub struct BundleReport {
    pub unit: Unit,
    pub origin: KeyName,
    /// The state of the log that the events are proven in.
    pub head: TreeHead,
    pub events: Vec<u64>,
    /// All of these events are of one of them, the unit's rulings, or about the log.
    pub runs: Vec<RunShown>,
    pub signers: Signers,
    /// So many signatures of chips verify under the certificates shown.
    pub chip_answers: usize,
    /// Of those, so many come with the whole path to the certificate that was pinned, and it holds.
    pub paths: usize,
    /// So many names and texts are forgotten.
    pub forgotten: usize,
}

/// Whose signature holds, and who says that this key is to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signers {
    /// The caller knew the key.
    Pinned(Vec<VerifierKey>),
    /// The caller knew a key that these took over from: it signed that itself, in the events `by`.
    Successors { keys: Vec<VerifierKey>, by: Vec<u64> },
    /// The bundle brought the key: whoever made the bundle vouches for himself.
    FromBundle(Vec<VerifierKey>),
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    #[error("{0} is missing")]
    Missing(String),
    #[error("{0} does not belong here")]
    Extra(String),
    #[error("{0} is here twice")]
    Twice(String),
    #[error("{0} is not the file whose sum is in {SUMS}")]
    Changed(String),
    #[error("{name} is unreadable: {cause}")]
    Unreadable { name: String, cause: String },
    #[error("{MANIFEST} is of format {format}, version {version}, which this program does not know")]
    Version { format: String, version: u32 },
    #[error("{CHECKPOINT}")]
    Checkpoint(#[from] CheckpointError),
    #[error("the signatures in {CHECKPOINT}")]
    Signature(#[from] SignatureError),
    #[error(
        "none of the known keys signed the checkpoint: {old:08x} was replaced in event {seq} and did not sign that itself. \
         Have {new} confirmed on another way, and give that with --key"
    )]
    Replaced { seq: u64, old: u32, new: VerifierKey },
    #[error(
        "key {id:08x} was replaced: it vouches for the first {until} events of the log, and {CHECKPOINT} is of {size}, \
         which no key in force signed"
    )]
    Outlived { id: u32, until: u64, size: u64 },
    #[error("{0} alone signed the checkpoint, a cosigner: no key of the log did that is known here")]
    CosignerAlone(KeyName),
    #[error("{name}")]
    Proof { name: String, source: TlogProofError },
    #[error("{name} does not belong to {CHECKPOINT}")]
    OtherCheckpoint { name: String },
    #[error("{name} is for event {index}")]
    OtherEvent { name: String, index: u64 },
    #[error("{0} is not what the rest of the bundle makes of it")]
    Derived(String),
    #[error("the chip's signature in event {seq} does not verify")]
    Chip { seq: u64 },
    #[error("the challenge that is answered in event {seq} was made for another run, board or purpose")]
    Challenge { seq: u64 },
    #[error("event {seq} says that the chip's answer to a challenge of its run was wrong: it is none, or it verifies")]
    Refused { seq: u64 },
    #[error("the certificates that event {seq} was decided by did not sign each other as it says")]
    Path { seq: u64 },
    /// A certificate was made for a key, and the run that had it made claimed another, or asked for something else.
    #[error("event {seq}: the certificate is not one that its run asked for, for the key that it claimed")]
    Issued { seq: u64 },
    #[error("what is said to be behind {sha256} is not, or no event has it")]
    Disclosure { sha256: Sha256 },
    #[error("nothing here says that event {seq} is of the unit {unit}")]
    Foreign { seq: u64, unit: Unit },
    #[error("no event is of the unit {0}")]
    NotOfUnit(Unit),
}

impl BundleError {
    /// With everything below it, in one line.
    pub fn in_full(&self) -> String {
        let below = std::iter::successors(std::error::Error::source(self), |error| error.source());
        std::iter::once(self.to_string()).chain(below.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
    }
}

/// Checks a bundle's files, all of them. `trusted` are keys that the caller has from elsewhere.
pub fn verify(files: &[File], trusted: Option<&[GivenKey]>) -> Result<BundleReport, BundleError> {
    let files = Files::of(files)?;
    files.check_sums()?;
    let manifest: Manifest = serde_json::from_str(files.text(MANIFEST)?)
        .map_err(|error| BundleError::Unreadable { name: MANIFEST.into(), cause: error.to_string() })?;
    if manifest.format != FORMAT || manifest.version != VERSION {
        return Err(BundleError::Version { format: manifest.format, version: manifest.version });
    }
    let mut expected: BTreeMap<String, Option<Vec<u8>>> =
        [SUMS, MANIFEST, CHECKPOINT, README, SCRIPT].map(|name| (name.to_owned(), None)).into();
    let mut derived = |file: File| match expected.insert(file.name.clone(), Some(file.bytes)) {
        None => Ok(()),
        Some(_) => Err(BundleError::Twice(file.name)),
    };

    let checkpoint: SignedCheckpoint = files.text(CHECKPOINT)?.parse()?;
    if manifest.checkpoint != Head::of(checkpoint.checkpoint()) {
        return Err(BundleError::OtherCheckpoint { name: MANIFEST.into() });
    }
    let own: Vec<VerifierKey> = checkpoint.verify(&manifest.keys)?.into_iter().cloned().collect();
    if let Some(silent) = manifest.keys.iter().find(|key| !own.contains(key)) {
        return Err(SignatureError::NoSignature { name: silent.name().to_string(), id: silent.id() }.into());
    }
    manifest.keys.iter().flat_map(key_files).try_for_each(&mut derived)?;

    let mut events = BTreeMap::new();
    for seq in &manifest.events {
        let bytes = files.bytes(&event_name(*seq))?;
        check_event(&files, *seq, bytes, &checkpoint)?;
        derived(File::new(event_name(*seq), bytes))?;
        derived(File::new(proof_name(*seq), files.bytes(&proof_name(*seq))?))?;
        events.insert(*seq, bytes);
    }
    let rotations = verified_rotations(&files, checkpoint.checkpoint().origin(), &events, &manifest.rotations)?;
    rotations.iter().filter_map(Rotation::file).try_for_each(&mut derived)?;
    let signers = match trusted {
        Some(keys) => vouched(&checkpoint, keys, &rotations)?,
        None => Signers::FromBundle(counting(&checkpoint, own, |key| replaced(&rotations, key))?),
    };
    let evidence = evidence::extract(events.iter().map(|(seq, bytes)| (*seq, *bytes)));
    evidence.files.into_iter().try_for_each(&mut derived)?;
    files.are_exactly(&expected)?;

    if let Some(answer) = evidence.answers.iter().find(|answer| !answer.holds()) {
        return Err(BundleError::Chip { seq: answer.signature.0 });
    }
    if let Some(answer) = evidence.answers.iter().find(|answer| !answer.is_of_its_run()) {
        return Err(BundleError::Challenge { seq: answer.signature.0 });
    }
    if let Some(answer) = evidence.answers.iter().find(|answer| !answer.path_holds()) {
        return Err(BundleError::Path { seq: answer.signature.0 });
    }
    if let Some(refused) = evidence.refused.iter().find(|refused| !refused.holds()) {
        return Err(BundleError::Refused { seq: refused.seq });
    }
    if let Some(issued) = evidence.issued.iter().find(|issued| !issued.holds()) {
        return Err(BundleError::Issued { seq: issued.seq });
    }
    let said = |hash: Sha256| events.values().any(|bytes| contains(bytes, hash.to_string().as_bytes()));
    if let Some(wrong) = manifest.disclosures.iter().find(|it| !it.holds() || !said(it.sha256())) {
        return Err(BundleError::Disclosure { sha256: wrong.sha256() });
    }
    let runs = runs_of(&manifest.unit, events.iter().map(|(seq, bytes)| (*seq, *bytes)))?;
    Ok(BundleReport {
        unit: manifest.unit,
        origin: manifest.checkpoint.origin,
        head: checkpoint.checkpoint().head(),
        events: events.into_keys().collect(),
        runs,
        signers,
        chip_answers: evidence.answers.len(),
        paths: evidence.answers.iter().filter(|answer| answer.has_its_path()).count(),
        forgotten: manifest.disclosures.iter().filter(|it| it.is_forgotten()).count(),
    })
}

/// Whoever trusts a key trusts it to say which one came after it. With one that was replaced he was told
/// what came after, and it says nothing more: that may be whoever stole it.
fn vouched(checkpoint: &SignedCheckpoint, given: &[GivenKey], rotations: &[Rotation]) -> Result<Signers, BundleError> {
    let trusted: Vec<VerifierKey> = given.iter().map(|given| given.key.clone()).collect();
    let in_force = given.iter().filter(|given| given.until.is_none()).map(|given| given.key.clone());
    let (successors, by) = successors(&in_force.collect::<Vec<_>>(), rotations);
    let limit = |key: &VerifierKey| {
        let told = given.iter().filter(|given| given.key == *key).filter_map(|given| given.until);
        told.chain(replaced(rotations, key)).min()
    };
    let refused = match counting(checkpoint, signers(checkpoint, &trusted)?, limit) {
        Ok(keys) => return Ok(Signers::Pinned(keys)),
        Err(refused) => refused,
    };
    if let Ok(keys) = counting(checkpoint, signers(checkpoint, &successors)?, limit) {
        return Ok(Signers::Successors { keys, by });
    }
    let known = |key| trusted.contains(key) || successors.contains(key);
    match rotations.iter().find(|rotation| rotation.proof.is_none() && known(&rotation.old)) {
        Some(Rotation { seq, old, new, .. }) => {
            Err(BundleError::Replaced { seq: *seq, old: old.id(), new: new.clone() })
        }
        None => Err(refused),
    }
}

/// Those of the given keys that vouch for this checkpoint by themselves.
///
/// # Errors
/// None of them signed it, it is larger than the one that signed may vouch for, or a cosigner signed it alone.
pub fn vouching(checkpoint: &SignedCheckpoint, given: &[GivenKey]) -> Result<Vec<VerifierKey>, BundleError> {
    let keys: Vec<VerifierKey> = given.iter().map(|given| given.key.clone()).collect();
    let limit =
        |key: &VerifierKey| given.iter().filter(|given| given.key == *key).filter_map(|given| given.until).min();
    counting(checkpoint, signers(checkpoint, &keys)?, limit)
}

/// Those of the keys that signed it.
fn signers(checkpoint: &SignedCheckpoint, keys: &[VerifierKey]) -> Result<Vec<VerifierKey>, BundleError> {
    match checkpoint.verify(keys) {
        Err(SignatureError::NoKnownKey) => Ok(Vec::new()),
        signers => Ok(signers?.into_iter().cloned().collect()),
    }
}

/// Those of the signers that vouch for a checkpoint of this size. One of them has to be a key of the log, which
/// has its name: a cosigner does not see what is appended.
fn counting(
    checkpoint: &SignedCheckpoint,
    mut signers: Vec<VerifierKey>,
    limit: impl Fn(&VerifierKey) -> Option<u64>,
) -> Result<Vec<VerifierKey>, BundleError> {
    let size = checkpoint.checkpoint().head().size;
    let outlived =
        signers.iter().find_map(|key| limit(key).filter(|until| size > *until).map(|until| (key.id(), until)));
    let any = signers.first().map(|key| key.name().clone());
    signers.retain(|key| limit(key).is_none_or(|until| size <= until));
    if signers.iter().any(|key| key.name() == checkpoint.checkpoint().origin()) {
        return Ok(signers);
    }
    Err(match (outlived, any) {
        (Some((id, until)), _) => BundleError::Outlived { id, until, size },
        (None, Some(name)) => BundleError::CosignerAlone(name),
        (None, None) => SignatureError::NoKnownKey.into(),
    })
}

fn check_event(files: &Files, seq: u64, bytes: &[u8], checkpoint: &SignedCheckpoint) -> Result<(), BundleError> {
    let name = proof_name(seq);
    let proof: TlogProof =
        files.text(&name)?.parse().map_err(|source| BundleError::Proof { name: name.clone(), source })?;
    if proof.checkpoint != *checkpoint {
        return Err(BundleError::OtherCheckpoint { name });
    }
    if proof.index != seq {
        return Err(BundleError::OtherEvent { name, index: proof.index });
    }
    if proof.extra.is_some() {
        return Err(BundleError::Derived(name));
    }
    proof.verify_inclusion(bytes).map_err(|source| BundleError::Proof { name, source: source.into() })
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub(super) struct Files<'f>(BTreeMap<&'f str, &'f [u8]>);

impl<'f> Files<'f> {
    fn of(files: &'f [File]) -> Result<Self, BundleError> {
        let mut map = BTreeMap::new();
        for file in files {
            if map.insert(file.name.as_str(), file.bytes.as_slice()).is_some() {
                return Err(BundleError::Twice(file.name.clone()));
            }
        }
        Ok(Self(map))
    }

    fn bytes(&self, name: &str) -> Result<&'f [u8], BundleError> {
        self.0.get(name).copied().ok_or_else(|| BundleError::Missing(name.to_owned()))
    }

    pub(super) fn text(&self, name: &str) -> Result<&'f str, BundleError> {
        std::str::from_utf8(self.bytes(name)?)
            .map_err(|error| BundleError::Unreadable { name: name.to_owned(), cause: error.to_string() })
    }

    /// Finds accidents, and names the file.
    fn check_sums(&self) -> Result<(), BundleError> {
        let given = self.text(SUMS)?;
        let others = || self.0.iter().filter(|(name, _)| **name != SUMS).map(|(name, bytes)| (*name, *bytes));
        if given == sums(others()) {
            return Ok(());
        }
        let lines: BTreeMap<&str, &str> =
            given.lines().filter_map(|line| line.split_once("  ")).map(|(hash, name)| (name, hash)).collect();
        if let Some(name) = lines.keys().find(|name| !self.0.contains_key(**name)) {
            return Err(BundleError::Missing((*name).to_owned()));
        }
        for (name, bytes) in others() {
            match lines.get(name) {
                None => return Err(BundleError::Extra(name.to_owned())),
                Some(hash) if **hash != Sha256::of(bytes).to_string() => {
                    return Err(BundleError::Changed(name.to_owned()));
                }
                Some(_) => {}
            }
        }
        Err(BundleError::Unreadable { name: SUMS.to_owned(), cause: "not as sha256sum writes it, by name".to_owned() })
    }

    /// Those that are expected and no others; where the rest of the bundle determines one, it is that.
    fn are_exactly(&self, expected: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), BundleError> {
        for (name, content) in expected {
            let bytes = self.bytes(name)?;
            if content.as_ref().is_some_and(|content| content != bytes) {
                return Err(BundleError::Derived(name.clone()));
            }
        }
        match self.0.keys().find(|name| !expected.contains_key(**name)) {
            Some(name) => Err(BundleError::Extra((*name).to_owned())),
            None => Ok(()),
        }
    }
}
