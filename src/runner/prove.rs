//! What the log holds of a unit, as a bundle that a stranger can check.

use std::collections::{BTreeMap, BTreeSet};

use super::custody::Custody;
use super::keeper::checkpoint_and_copy;
use super::log::LogWriter;
use crate::audit::bundle::{self, BundleError, Contents, Disclosure, ProvenEvent};
use crate::audit::note::{SignedCheckpoint, VerifierKey};
use crate::audit::proof::{ProveError, prove_inclusion};
use crate::audit::tlog_proof::TlogProof;
use crate::audit::{Body, Event, LineEvent, RunEvent, TreeHead};
use crate::domain::{Bytes, Failure, OperatorRef, ReasonCode, RunId, Sha256, Unit};
use crate::ports::{History, LogKey, Logged, People, StoredCheckpoint};

/// What is to be proven.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub unit: Unit,
    /// This run alone, and what was ruled on the unit before it ended; else everything about the unit.
    pub run: Option<RunId>,
    /// Hand over the words that people typed, too, where they are kept.
    pub with_texts: bool,
}

/// A bundle, and what became of it on the way.
#[derive(Debug, Clone)]
pub struct Proven {
    pub files: Vec<bundle::File>,
    pub events: usize,
    /// The state of the log that they are proven in.
    pub head: TreeHead,
    /// A new checkpoint was needed, and could not be copied there.
    pub uncopied: Vec<Failure>,
}

/// The events of the unit, those that name the log and its keys, and a proof of each under the newest
/// checkpoint; where that is older than one of them, a checkpoint is made first. `made_by`: program and
/// version. O-606 where the log does not know the unit or the run, L-526 where what is stored proves
/// nothing, L-527 where the bytes are in an archive that is not at hand.
pub async fn prove(
    log: &LogWriter,
    custody: &Custody,
    people: &dyn People,
    wanted: &Wanted,
    made_by: &str,
) -> Result<Proven, Failure> {
    let history = &*custody.history;
    let own = events_of(history, wanted).await?;
    let newest = own.iter().map(|logged| logged.receipt.seq).max().unwrap_or(0);
    let Covering { checkpoint, keys, uncopied } = covering(log, custody, newest).await?;
    let head = checkpoint.checkpoint().head();

    let mut seqs: BTreeSet<u64> = own.iter().map(|logged| logged.receipt.seq).collect();
    let beside = names_of_the_log(history).await?.into_iter().chain(trusted(history, &own).await?);
    seqs.extend(beside.filter(|seq| *seq < head.size));
    // What says that the vendor shipped this chip.
    seqs.extend(own.iter().flat_map(|logged| match &logged.event.body {
        Body::Run(RunEvent::Claimed { entry: Some(entry), .. }) => vec![entry.seq, entry.imported],
        _ => Vec::new(),
    }));
    let seqs: Vec<u64> = seqs.into_iter().collect();
    let mut events = Vec::with_capacity(seqs.len());
    for (seq, bytes) in seqs.iter().zip(history.leaves(&seqs).await?) {
        events.push(ProvenEvent { seq: *seq, bytes, proof: inclusion(history, *seq, head.size).await? });
    }
    let rotations = signed_rotations(history, head.size).await?;
    let disclosures = disclosures(people, own.iter().map(|logged| &logged.event), wanted.with_texts).await?;
    let (made_by, unit, count) = (made_by.to_owned(), wanted.unit.clone(), events.len());
    let contents = Contents { made_by, unit, events, checkpoint, keys, rotations, disclosures };
    let files = bundle::write(&contents).map_err(|error: BundleError| broken(error.in_full()))?;
    Ok(Proven { files, events: count, head, uncopied })
}

async fn events_of(history: &dyn History, wanted: &Wanted) -> Result<Vec<Logged>, Failure> {
    let unknown = |cause: String| Failure::new(ReasonCode::NOT_IN_LOG, cause);
    let known = history.unit(&wanted.unit).await?;
    let known = known.ok_or_else(|| unknown(format!("the log does not know the unit {}", wanted.unit)))?;
    match wanted.run {
        Some(run) => {
            let found = known.runs.into_iter().find(|log| log.run == run);
            let found = found.ok_or_else(|| unknown(format!("{run} is no run of the unit {}", wanted.unit)))?;
            // By whose word a unit that had failed was run again, whichever of its runs named it.
            let last = found.events.last().map_or(0, |logged| logged.receipt.seq);
            let before = known.rulings.into_iter().filter(|ruled| ruled.receipt.seq < last);
            Ok(found.events.into_iter().chain(before).collect())
        }
        None => {
            let runs = known.runs.into_iter().flat_map(|log| log.events);
            Ok(runs.chain(known.rulings).chain(known.imported).chain(known.withdrawn).collect())
        }
    }
}

struct Covering {
    checkpoint: SignedCheckpoint,
    /// Those of the log's keys that signed it.
    keys: Vec<VerifierKey>,
    uncopied: Vec<Failure>,
}

/// The newest checkpoint, which has event `seq` below it.
async fn covering(log: &LogWriter, custody: &Custody, seq: u64) -> Result<Covering, Failure> {
    let covers = |stored: &StoredCheckpoint| stored.size > seq;
    let mut latest = custody.history.latest_checkpoint().await?.filter(covers);
    let mut uncopied = Vec::new();
    if latest.is_none() {
        uncopied = checkpoint_and_copy(log, custody).await?;
        latest = custody.history.latest_checkpoint().await?.filter(covers);
    }
    let stored = latest.ok_or_else(|| broken(format!("no checkpoint covers event {seq}")))?;
    let unfit = |error: &dyn std::fmt::Display| broken(format!("checkpoint {}: {error}", stored.size));
    let checkpoint: SignedCheckpoint = stored.note.parse().map_err(|error| unfit(&error))?;
    let all = custody.keys().await?.all();
    let keys = checkpoint.verify(&all).map_err(|error| unfit(&error))?.into_iter().cloned().collect();
    Ok(Covering { checkpoint, keys, uncopied })
}

/// One event's bytes, and that the log has it.
pub async fn prove_event(log: &LogWriter, custody: &Custody, seq: u64) -> Result<(Vec<u8>, TlogProof), Failure> {
    let history = &*custody.history;
    let Covering { checkpoint, .. } = covering(log, custody, seq).await?;
    let bytes = history.leaves(&[seq]).await?.pop().ok_or_else(|| broken(format!("event {seq} is missing")))?;
    let hashes = inclusion(history, seq, checkpoint.checkpoint().head().size).await?;
    Ok((bytes, TlogProof { extra: None, index: seq, hashes, checkpoint }))
}

/// The events that say what the log is called and whose signatures vouch for it.
async fn names_of_the_log(history: &dyn History) -> Result<Vec<u64>, Failure> {
    let mut seqs: Vec<u64> = history.keys().await?.iter().map(|key| key.added_seq).collect();
    // A new log's name and its first key are told in one transaction.
    if let Some(before) = seqs.first().and_then(|first| first.checked_sub(1)) {
        let named = history.events(before, 1).await?;
        let is_name = |event: &Event| matches!(event.body, Body::Line(LineEvent::LogOpened { .. }));
        seqs.extend(named.iter().filter(|(logged, _)| is_name(&logged.event)).map(|(logged, _)| logged.receipt.seq));
    }
    Ok(seqs)
}

/// Rotations of the first `size` events that the key which was replaced signed for itself.
async fn signed_rotations(history: &dyn History, size: u64) -> Result<Vec<TlogProof>, Failure> {
    let mut rotations = Vec::new();
    for key in history.keys().await? {
        if let Some((seq, checkpoint)) = rotation(history, &key).await?.filter(|(seq, _)| *seq < size) {
            let hashes = inclusion(history, seq, checkpoint.checkpoint().head().size).await?;
            rotations.push(TlogProof { extra: None, index: seq, hashes, checkpoint });
        }
    }
    rotations.sort_by_key(|proof| proof.index);
    Ok(rotations)
}

/// The event that replaced `key`, and the checkpoint by which the key vouches for it: its last one. `None`:
/// it was not replaced, or could not sign that.
pub async fn rotation(history: &dyn History, key: &LogKey) -> Result<Option<(u64, SignedCheckpoint)>, Failure> {
    let Some(seq) = key.replaced_seq else { return Ok(None) };
    let stored = history.checkpoints(seq + 1, 1).await?;
    let signed = stored.first().filter(|stored| stored.size == seq + 1).and_then(|stored| {
        let checkpoint: SignedCheckpoint = stored.note.parse().ok()?;
        let key = key.key.parse().ok()?;
        checkpoint.verify(std::slice::from_ref(&key)).is_ok().then_some(checkpoint)
    });
    Ok(signed.map(|checkpoint| (seq, checkpoint)))
}

/// The events that hold what these runs' certificates were judged by, as far as the log has it: one from
/// before it kept such has not.
async fn trusted(history: &dyn History, own: &[Logged]) -> Result<BTreeSet<u64>, Failure> {
    let mut judged_by = BTreeSet::new();
    for logged in own {
        match &logged.event.body {
            Body::Run(RunEvent::ChallengeAnswered { decision, .. }) => {
                judged_by.extend(decision.path.iter().skip(1).map(|certificate| *certificate.as_bytes()));
                judged_by.extend(decision.crls.iter().map(|crl| *crl.sha256.as_bytes()));
            }
            // The list that named it.
            Body::Run(RunEvent::StepFailed { failure, .. }) => {
                let list = failure.args.get("crl_sha256").and_then(|sha256| sha256.parse::<Sha256>().ok());
                judged_by.extend(list.map(|sha256| *sha256.as_bytes()));
            }
            _ => {}
        }
    }
    let mut seqs = BTreeSet::new();
    for sha256 in judged_by {
        seqs.extend(history.event(LineEvent::pinned_as(&sha256)).await?.map(|logged| logged.receipt.seq));
    }
    Ok(seqs)
}

/// Which hashes are needed is known before any is read; reading waits, and the proof does not.
async fn inclusion(history: &dyn History, seq: u64, size: u64) -> Result<Vec<[u8; 32]>, Failure> {
    let mut nodes = Vec::new();
    let asked = prove_inclusion(seq, size, |needed| {
        nodes = needed.to_vec();
        Err(())
    });
    match asked {
        Ok(proof) => Ok(proof),
        Err(ProveError::Read(())) => {
            let hashes = history.hashes(&nodes).await?;
            prove_inclusion(seq, size, |_| Ok::<_, std::convert::Infallible>(hashes))
                .map_err(|error| Failure::new(ReasonCode::STORE_CORRUPT, error.to_string()))
        }
        Err(error) => Err(broken(error.to_string())),
    }
}

/// What stands behind the commitments in these events: words as far as they are handed over, and that
/// names and words are forgotten. A name that is known is not handed over.
async fn disclosures(
    people: &dyn People,
    events: impl Iterator<Item = &Event>,
    with_texts: bool,
) -> Result<Vec<Disclosure>, Failure> {
    let mut found = BTreeMap::new();
    for event in events {
        let ruled = match &event.body {
            Body::Line(LineEvent::Ruled { reason, references, second, .. }) => {
                Some((std::iter::once(reason).chain(references), second.as_ref()))
            }
            _ => None,
        };
        let replaced = match &event.body {
            Body::Run(RunEvent::LabelReplaced { reason, .. }) => Some(reason),
            _ => None,
        };
        for typed in ruled.iter().flat_map(|(typed, _)| typed.clone()).chain(replaced) {
            let sha256 = committed(&typed.text_sha256)?;
            match people.text(typed.id).await? {
                Some((salt, text)) if with_texts => {
                    found.insert(sha256, Disclosure::Revealed { sha256, salt: Bytes(salt.to_vec()), text });
                }
                Some(_) => {}
                None => {
                    found.insert(sha256, Disclosure::Forgotten { sha256 });
                }
            }
        }
        for who in event.operator.iter().chain(ruled.as_ref().and_then(|(_, second)| *second)) {
            let OperatorRef { id, name_sha256 } = who;
            if people.person_by_id(*id).await?.is_some_and(|person| person.name.is_none()) {
                let sha256 = committed(name_sha256)?;
                found.insert(sha256, Disclosure::Forgotten { sha256 });
            }
        }
    }
    Ok(found.into_values().collect())
}

fn committed(hash: &str) -> Result<Sha256, Failure> {
    hash.parse().map_err(|_| Failure::new(ReasonCode::STORE_CORRUPT, format!("{hash:?} is no commitment to a text")))
}

fn broken(cause: String) -> Failure {
    Failure::new(ReasonCode::LOG_BROKEN, cause)
}
