//! HELD units of an air-gapped station leave in a file, and are taken in where there is a cloud.
//!
//! | file | holds |
//! | --- | --- |
//! | `export/event.json`, `.tlog-proof` | the event that says which runs left, each with its last event |
//! | `<run>/…` | a proof bundle of the run, as `lineseal audit prove --run` makes it |
//!
//! The station's log key signed the checkpoints that all proofs lead to. A run that is missing or cut short is
//! found by the event that let it go.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::custody::Custody;
use super::driver::{Shared, Story, take_in};
use super::equipment::Equipment;
use super::errands::{Errands, fold};
use super::keeper::checkpoint_and_copy;
use super::log::LogWriter;
use super::people;
use super::prove::{Wanted, prove, prove_event};
use super::rollback;
use super::scan::Looks;
use crate::audit::bundle::{self, File, GivenKey, Signers};
use crate::audit::event::{Capture, HeldRun};
use crate::audit::note::{SignatureError, VerifierKey};
use crate::audit::tlog_proof::{TlogProof, TlogProofError};
use crate::audit::{Body, Event, LeafHash, LineEvent, RunEvent};
use crate::config::Config;
use crate::domain::profile::Profile;
use crate::domain::{EventId, Failure, KeyName, ReasonCode, Sha256, StationName, Verdict};
use crate::ports::{Logged, People, Receipt};
use crate::provisioning::{self as core, Run};

const EXPORT: &str = "export";
const EVENT: &str = "event.json";
const PROOF: &str = "event.tlog-proof";

/// What leaves.
#[derive(Debug)]
pub struct Export {
    pub files: Vec<File>,
    pub runs: Vec<HeldRun>,
    /// The event that says so; `None`: nothing waits that may leave, and there is no file.
    pub seq: Option<u64>,
    /// Why the others stay: their units failed, were scrapped or got another chip since.
    pub barred: Vec<Failure>,
}

/// Makes a file of what waits and was in no file yet; `again`: of all that waits.
pub async fn export(
    log: &LogWriter,
    custody: &Custody,
    people: &dyn People,
    again: bool,
    made_by: &str,
) -> Result<Export, Failure> {
    let waiting = if again { log.store.held().await? } else { custody.history.unexported().await? };
    let mut wanted = Vec::with_capacity(waiting.len());
    let mut runs = Vec::with_capacity(waiting.len());
    let mut barred = Vec::new();
    for held in &waiting {
        let run = fold(held)?;
        let (Some(slip), Some(unit), Some((identity, _))) = (run.slip, &run.unit, &run.claim) else { continue };
        // Nobody else hears of what this log has against it: the file has this run alone.
        if let Some(why) = log.store.obstacle(Some(run.id), unit, identity, run.twin()).await? {
            barred.push(core::barred(Some(unit), Some(identity), why).with("slip", slip));
            continue;
        }
        runs.push(HeldRun { run: run.id, slip, last: run.last_seq });
        wanted.push(Wanted { unit: unit.clone(), run: Some(run.id), with_texts: false });
    }
    if runs.is_empty() {
        return Ok(Export { files: Vec::new(), runs, seq: None, barred });
    }
    let seq = log.line(LineEvent::HeldExported { runs: runs.clone() }).await?.seq;
    // One signature for all of it.
    for failure in checkpoint_and_copy(log, custody).await? {
        tracing::error!(%failure, "the checkpoint");
    }
    let (bytes, proof) = prove_event(log, custody, seq).await?;
    let file = |folder: &str, name: &str, bytes: Vec<u8>| File { name: format!("{folder}/{name}"), bytes };
    let mut files = vec![file(EXPORT, EVENT, bytes), file(EXPORT, PROOF, proof.to_string().into_bytes())];
    for wanted in &wanted {
        let folder = wanted.run.map(|run| run.to_string()).unwrap_or_default();
        let proven = prove(log, custody, people, wanted, made_by).await?;
        files.extend(proven.files.into_iter().map(|one| file(&folder, &one.name, one.bytes)));
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Export { files, runs, seq: Some(seq), barred })
}

/// A file whose every event is proven.
#[derive(Debug)]
pub struct Delivery {
    pub origin: KeyName,
    /// Of those that are known, the one that signed.
    pub key: VerifierKey,
    pub exported: u64,
    /// By their slips.
    pub stories: Vec<Story>,
}

/// L-542 where no key of `known` signed it, L-541 where it is not all that was signed.
pub fn read(files: &[File], known: &[GivenKey]) -> Result<Delivery, Failure> {
    let mut folders: BTreeMap<&str, Vec<File>> = BTreeMap::new();
    for File { name, bytes } in files {
        let (folder, name) = name.split_once('/').ok_or_else(|| broken(format!("{name} does not belong here")))?;
        folders.entry(folder).or_default().push(File { name: name.to_owned(), bytes: bytes.clone() });
    }
    let export = folders.remove(EXPORT).unwrap_or_default();
    let (event, proof, key) = exported(&export, known)?;
    let Body::Line(LineEvent::HeldExported { runs }) = &event.body else {
        return Err(broken(format!("{EXPORT}/{EVENT} lets no run go")));
    };
    let origin = proof.checkpoint.checkpoint().origin().clone();
    let mut stories = Vec::with_capacity(runs.len());
    for held in runs {
        let folder = held.run.to_string();
        let bundle = folders.remove(folder.as_str());
        let bundle = bundle.ok_or_else(|| broken(format!("run {folder} is missing")))?;
        stories.push(story(held, &bundle, (&origin, &event.station), known)?);
    }
    if let Some(folder) = folders.into_keys().next() {
        return Err(broken(format!("{folder} does not belong here")));
    }
    stories.sort_by_key(|story| story.capture.slip);
    Ok(Delivery { origin, key, exported: proof.index, stories })
}

fn exported(export: &[File], known: &[GivenKey]) -> Result<(Event, TlogProof, VerifierKey), Failure> {
    let bytes = |name: &str| {
        let found = export.iter().find(|file| file.name == name).map(|file| file.bytes.as_slice());
        found.ok_or_else(|| broken(format!("{EXPORT}/{name} is missing")))
    };
    if let Some(extra) = export.iter().find(|file| ![EVENT, PROOF].contains(&file.name.as_str())) {
        return Err(broken(format!("{EXPORT}/{} does not belong here", extra.name)));
    }
    let unfit = |error: &dyn std::fmt::Display| broken(format!("{EXPORT}/{PROOF}: {error}"));
    let text = std::str::from_utf8(bytes(PROOF)?).map_err(|error| unfit(&error))?;
    let proof: TlogProof = text.parse().map_err(|error: TlogProofError| unfit(&error))?;
    let event = bytes(EVENT)?;
    let origin = proof.checkpoint.checkpoint().origin();
    let unknown = |why: &str| Failure::new(ReasonCode::HELD_FILE_UNKNOWN, format!("the log {origin}: {why}"));
    let keys: Vec<VerifierKey> = known.iter().map(|given| given.key.clone()).collect();
    match proof.verify(event, &keys) {
        Ok(_) => {}
        Err(TlogProofError::Signature(SignatureError::NoKnownKey)) => {
            return Err(unknown("no known key signed for it"));
        }
        Err(error) => return Err(unfit(&error)),
    }
    let key = bundle::vouching(&proof.checkpoint, known).map_err(|error| unknown(&error.in_full()))?.into_iter().next();
    let key = key.ok_or_else(|| unknown("no known key signed for it"))?;
    let event = Event::decode(event).map_err(|error| broken(format!("{EXPORT}/{EVENT}: {error}")))?;
    Ok((event, proof, key))
}

fn story(
    held: &HeldRun,
    bundle: &[File],
    (origin, station): (&KeyName, &StationName),
    known: &[GivenKey],
) -> Result<Story, Failure> {
    let run = held.run;
    let wrong = |cause: &str| broken(format!("run {run}: {cause}"));
    let report = bundle::verify(bundle, Some(known)).map_err(|error| wrong(&error.in_full()))?;
    if report.origin != *origin || matches!(report.signers, Signers::FromBundle(_)) {
        return Err(wrong("it is of another log"));
    }
    let mut events = Vec::new();
    for seq in report.events {
        let name = format!("events/{seq}.json");
        let Some(file) = bundle.iter().find(|file| file.name == name) else { return Err(wrong("an event is missing")) };
        let event = Event::decode(&file.bytes).map_err(|error| wrong(&error.to_string()))?;
        if event.run == Some(run) {
            events.push(Logged { receipt: Receipt { seq, leaf: LeafHash::of(&file.bytes) }, event });
        }
    }
    // Its slip may have been printed while the file was made.
    let later = events.iter().position(|logged| logged.receipt.seq > held.last).unwrap_or(events.len());
    if events.split_off(later).iter().any(|logged| !is_paper(logged)) {
        return Err(wrong("it went on after it was let go"));
    }
    let folded = Run::fold(&events).map_err(|error| wrong(&error.to_string()))?;
    let as_said = folded.verdict() == Some(Verdict::Held)
        && folded.last_seq == held.last
        && folded.slip == Some(held.slip)
        && folded.station == *station
        && folded.captured.is_none();
    if !as_said {
        return Err(wrong("it is not what was let go: an event is missing, or it is another run"));
    }
    let (slip, last) = (held.slip, held.last);
    let capture = Capture { origin: origin.to_string(), station: station.clone(), slip, last };
    Story::of(folded, &events, capture).ok_or_else(|| wrong("it was not claimed and HELD"))
}

fn is_paper(logged: &Logged) -> bool {
    use RunEvent as E;
    let paper = |event: &E| {
        matches!(
            event,
            E::LabelIntended { .. }
                | E::LabelEnded { .. }
                | E::LabelSettled { .. }
                | E::LabelReplaced { .. }
                | E::LabelConfirmed { .. }
        )
    };
    matches!(&logged.event.body, Body::Run(event) if paper(event))
}

fn broken(cause: String) -> Failure {
    Failure::new(ReasonCode::HELD_FILE_BROKEN, cause)
}

/// Claims and registers what was delivered, one by one, as `resume` does. `file`: its SHA-256. What was taken in
/// before stays what it is.
pub async fn import(
    config: Arc<Config>,
    equipment: Equipment,
    delivery: Delivery,
    file: Sha256,
) -> Result<Errands, Failure> {
    super::errands::refuse_air_gapped(&config)?;
    let (_, no_looks) = watch::channel(Looks::default());
    let mut shared = Shared::new(&config, &equipment, no_looks);
    let Equipment { custody, people, operator, .. } = equipment;
    rollback::pass(&shared.log, &custody).await?;
    shared.log = people::operating(&shared.log, &*people, &operator).await?;
    shared.pin(config.profiles.iter().map(|profile| &profile.trust)).await?;
    let done = match take_all(&config, &shared, delivery, file).await {
        Ok(done) => Ok(done.naming(&*people).await),
        Err(failure) => Err(failure),
    };
    for failure in checkpoint_and_copy(&shared.log, &custody).await? {
        tracing::error!(%failure, "the last checkpoint");
    }
    done
}

async fn take_all(config: &Config, shared: &Shared, delivery: Delivery, file: Sha256) -> Result<Errands, Failure> {
    let mut done = Errands::default();
    let runs = delivery.stories.len() as u64;
    for story in delivery.stories {
        let profile = match profile_of(config, shared, &story.run).await? {
            Ok(profile) => Arc::new(profile.clone()),
            Err(failure) => {
                done.left.push(failure);
                continue;
            }
        };
        let (updates, outcomes) = mpsc::channel(16);
        let work = tokio::spawn(take_in(shared.clone(), profile, story, updates));
        done.follow(outcomes).await?;
        work.await.map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, error.to_string()))?;
    }
    if done.left.is_empty() {
        let (origin, key, exported) = (delivery.origin.to_string(), delivery.key.to_string(), delivery.exported);
        let imported = LineEvent::HeldImported { file, origin, exported, key, runs };
        // Once for each file, however often it is taken in.
        shared.log.append(vec![shared.log.line_event_as(id_of(file), imported)]).await?;
    }
    Ok(done)
}

fn id_of(file: Sha256) -> EventId {
    let hash = Sha256::of(&[b"lineseal held v1 ".as_slice(), file.as_bytes()].concat());
    let (id, _) = hash.as_bytes().split_at(16);
    EventId::from_random(id.try_into().unwrap_or_default())
}

/// The product as it is known here, or why its units can't be taken in.
async fn profile_of<'c>(
    config: &'c Config,
    shared: &Shared,
    run: &Run,
) -> Result<Result<&'c Profile, Failure>, Failure> {
    let known = config.profiles.iter().find(|profile| profile.name == run.profile && profile.product == run.product);
    let Some(profile) = known else {
        let cause = format!(
            "run {} was made with profile {:?} of {}, which is not configured",
            run.id, run.profile, run.product
        );
        return Ok(Err(Failure::new(ReasonCode::CONFIG_INVALID, cause)));
    };
    if profile.manifest.as_ref().is_some_and(|plan| plan.required) {
        let listed = match &run.batch {
            Some(batch) => shared.log.store.manifest(batch).await?.is_some(),
            None => false,
        };
        if !listed {
            let cause = format!("run {}: its batch has no shipment manifest here", run.id);
            return Ok(Err(Failure::new(ReasonCode::MANIFEST_MISSING, cause)));
        }
    }
    Ok(Ok(profile))
}
