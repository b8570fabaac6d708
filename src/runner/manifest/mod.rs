//! Vendors' lists become a batch's shipment manifest.
//!
//! A file is read twice. First everything that is wrong with it is found, and nothing is written; then its
//! entries go into the log, a few hundred an event, and count once the event is there that says so. Neither
//! reading holds more of the file than a few entries.

mod csv;
mod jws;
mod list;
#[cfg(test)]
mod tests;
mod value;

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

pub use list::BadEntry;

use super::log::LogWriter;
use crate::audit::LineEvent;
use crate::domain::profile::ManifestPlan;
use crate::domain::{BatchName, EventId, Failure, Fingerprint, ManifestEntry, ReasonCode, Sha256};
use crate::ports::Manifests;

/// Entries in one event.
const IN_AN_EVENT: usize = 256;
/// Events in one transaction: what others wait for.
const IN_A_TRANSACTION: usize = 4;
/// Whoever needs more opens another batch.
const MOST: u64 = 4_000_000;

/// A vendor's file.
#[derive(Clone)]
pub struct Source {
    /// Without folders.
    pub name: String,
    /// Opens it from its beginning.
    pub open: Arc<dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync>,
}

/// A file without mistakes.
#[derive(Debug, Clone)]
pub struct Checked {
    pub file: Sha256,
    /// Names what was read in it, for this batch.
    list: Sha256,
    pub entries: u64,
    pub signers: Vec<Fingerprint>,
    /// The event by which the batch has this very file already.
    pub known: Option<u64>,
}

/// Reads a file for a batch, and tells everything that is wrong with it. O-613 if anything is.
pub async fn check(
    manifests: &dyn Manifests,
    source: &Source,
    plan: &ManifestPlan,
    batch: &BatchName,
    told: &mut dyn FnMut(&BadEntry),
) -> Result<Checked, Failure> {
    let mut reading = Reading::start(source, plan);
    let (mut bad, mut parts) = (0_u64, Parts::default());
    let mut wrong = Vec::new();
    let mut entries = 0;
    let mut length = None;
    while let Some(items) = reading.next().await {
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Ok(entry) => good.push(entry),
                Err(error) => {
                    bad += 1;
                    told(&error);
                }
            }
        }
        entries += good.len() as u64;
        if entries > MOST {
            return Err(refused(format!("more than {MOST} entries, and nothing was taken")));
        }
        good.iter().for_each(|entry| parts.add(entry));
        wrong.extend(good.iter().filter_map(|entry| of_other_length(&mut length, entry, reading.what)));
        // Told once it is known that the file is not the very one that the batch has.
        let known = manifests.known(batch, good.clone()).await?;
        for (entry, place) in good.iter().zip(known) {
            if let Some(place) = place.filter(|_| wrong.len() < 100_000) {
                let cause =
                    format!("the batch has its UID, certificate or key (event {}, entry {})", place.seq, place.line);
                wrong.push(BadEntry { what: reading.what, line: entry.line, wrong: cause });
            }
        }
    }
    let Whole { file, entries: digest, signers } = reading.ended().await?;
    if let Some(seq) = manifests.imported(batch, file).await? {
        return Ok(Checked { file, list: file, entries, signers, known: Some(seq) });
    }
    wrong.extend(parts.twice(reading_what(plan)));
    wrong.sort_by_key(|error| error.line);
    wrong.iter().for_each(&mut *told);
    bad += wrong.len() as u64;
    if bad > 0 {
        return Err(refused(format!("{bad} mistakes, and nothing was taken")));
    }
    if entries == 0 {
        return Err(refused("the file has no entries".to_owned()));
    }
    let list = Sha256::of(
        &[b"lineseal manifest v1 ", batch.as_str().as_bytes(), b"\0", file.as_bytes(), digest.as_bytes()].concat(),
    );
    Ok(Checked { file, list, entries, signers, known: None })
}

/// Writes what was checked. `opening` is written in the transaction from which on it counts. Taking the
/// same file in once more goes on where it was cut off. `told`: entries that are done, now and then.
pub async fn take(
    log: &LogWriter,
    source: &Source,
    plan: &ManifestPlan,
    batch: &BatchName,
    checked: &Checked,
    opening: Option<LineEvent>,
    told: &mut dyn FnMut(u64),
) -> Result<(), Failure> {
    let changed = || refused("the file was changed while it was read".to_owned());
    let mut reading = Reading::start(source, plan);
    let (mut before, mut events) = (0_u64, Vec::new());
    while let Some(items) = reading.next().await {
        let entries: Vec<ManifestEntry> = items.into_iter().collect::<Result<_, _>>().map_err(|_| changed())?;
        let count = entries.len() as u64;
        let id = derived("listed", &[checked.list.as_bytes(), &before.to_be_bytes()]);
        events.push(log.line_event_as(id, LineEvent::ManifestListed { list: checked.list, before, entries }));
        before += count;
        if events.len() == IN_A_TRANSACTION {
            log.append(std::mem::take(&mut events)).await?;
            told(before);
        }
    }
    let ended = reading.ended().await?;
    if ended.file != checked.file || before != checked.entries {
        return Err(changed());
    }
    if !events.is_empty() {
        log.append(events).await?;
    }
    told(before);
    let Checked { file, list, entries, signers, .. } = checked.clone();
    let id = derived("imported", &[batch.as_str().as_bytes(), b"\0", file.as_bytes()]);
    let imported =
        LineEvent::ManifestImported { batch: batch.clone(), list, file, name: source.name.clone(), entries, signers };
    let mut last = Vec::new();
    if let Some(opening) = opening {
        last.push(log.line_event(opening)?);
    }
    last.push(log.line_event_as(id, imported));
    log.append(last).await.map(drop)
}

/// Chips of one list have UIDs of one length: another one is a line that was cut off.
fn of_other_length(first: &mut Option<(u64, usize)>, entry: &ManifestEntry, what: &'static str) -> Option<BadEntry> {
    let bytes = entry.uid.as_ref()?.as_str().len() / 2;
    let (line, length) = *first.get_or_insert((entry.line, bytes));
    let wrong = format!("its chip UID has {bytes} bytes, and that of {what} {line} has {length}");
    (bytes != length).then_some(BadEntry { what, line: entry.line, wrong })
}

fn derived(what: &str, parts: &[&[u8]]) -> EventId {
    let hash = Sha256::of(&[b"lineseal manifest v1 ", what.as_bytes(), b"\0", &parts.concat()].concat());
    let (id, _) = hash.as_bytes().split_at(16);
    EventId::from_random(id.try_into().unwrap_or_default())
}

fn refused(cause: String) -> Failure {
    Failure::new(ReasonCode::IMPORT_REFUSED, cause)
}

fn reading_what(plan: &ManifestPlan) -> &'static str {
    match plan.format {
        crate::domain::profile::ManifestFormat::Csv { .. } => "line",
        crate::domain::profile::ManifestFormat::SignedJson { .. } => "entry",
    }
}

type Item = Result<ManifestEntry, BadEntry>;

/// What was read from the beginning to the end.
struct Whole {
    file: Sha256,
    /// Of all entries, as they stand in events.
    entries: Sha256,
    signers: Vec<Fingerprint>,
}

/// A file that is read in a thread of its own, no further ahead than a few hundred entries.
struct Reading {
    what: &'static str,
    items: mpsc::Receiver<Vec<Item>>,
    thread: JoinHandle<io::Result<Whole>>,
}

impl Reading {
    fn start(source: &Source, plan: &ManifestPlan) -> Self {
        let (sender, items) = mpsc::channel(2);
        let (source, plan, what) = (source.clone(), plan.clone(), reading_what(plan));
        let thread = tokio::task::spawn_blocking(move || read_all(&source, &plan, &sender));
        Self { what, items, thread }
    }

    async fn next(&mut self) -> Option<Vec<Item>> {
        self.items.recv().await
    }

    async fn ended(self) -> Result<Whole, Failure> {
        let unread = |error: &dyn std::fmt::Display| Failure::new(ReasonCode::CONFIG_INVALID, error.to_string());
        self.thread.await.map_err(|error| unread(&error))?.map_err(|error| unread(&error))
    }
}

fn read_all(source: &Source, plan: &ManifestPlan, items: &mpsc::Sender<Vec<Item>>) -> io::Result<Whole> {
    let mut file = Hashing { inner: (source.open)()?, context: Context::new(&SHA256), failed: None };
    let mut all = Context::new(&SHA256);
    let mut waiting = Vec::with_capacity(IN_AN_EVENT);
    let hand_over = |waiting: &mut Vec<Item>| {
        let full = std::mem::replace(waiting, Vec::with_capacity(IN_AN_EVENT));
        match items.blocking_send(full) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let signers = list::read(&mut file, plan, &mut |item| {
        if let Ok(entry) = &item {
            // A value of the domain is always written.
            all.update(&serde_json::to_vec(entry).unwrap_or_default());
        }
        waiting.push(item);
        if waiting.len() == IN_AN_EVENT { hand_over(&mut waiting) } else { ControlFlow::Continue(()) }
    });
    if !waiting.is_empty() {
        let _ = hand_over(&mut waiting);
    }
    io::copy(&mut file, &mut io::sink())?;
    if let Some(error) = file.failed {
        return Err(error);
    }
    Ok(Whole { file: finished(file.context), entries: finished(all), signers })
}

fn finished(context: Context) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Sha256::from_bytes(hash)
}

/// Hashes what is read.
struct Hashing {
    inner: Box<dyn Read + Send>,
    context: Context,
    /// A disk that fails is no mistake of the vendor's.
    failed: Option<io::Error>,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(out) {
            Ok(read) => {
                self.context.update(&out[..read]);
                Ok(read)
            }
            Err(error) => {
                self.failed = Some(io::Error::new(error.kind(), error.to_string()));
                Err(error)
            }
        }
    }
}

/// Parts of chips, to be compared with each other: sixteen bytes each, whatever they are.
#[derive(Default)]
struct Parts(Vec<(u64, u32, Part)>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Uid,
    Certificate,
    Key,
}

impl Parts {
    fn add(&mut self, entry: &ManifestEntry) {
        let line = u32::try_from(entry.line).unwrap_or(u32::MAX);
        let mut add = |bytes: &[u8], part| {
            let hash = Sha256::of(bytes);
            let (first, _) = hash.as_bytes().split_at(8);
            self.0.push((u64::from_be_bytes(first.try_into().unwrap_or_default()), line, part));
        };
        if let Some(uid) = &entry.uid {
            add(uid.as_str().as_bytes(), Part::Uid);
        }
        if let Some(fingerprint) = &entry.fingerprint {
            add(fingerprint.as_bytes(), Part::Certificate);
        }
        if let Some(spki) = &entry.spki {
            add(spki.as_bytes(), Part::Key);
        }
    }

    /// Entries that have a part of an earlier one.
    fn twice(mut self, what: &'static str) -> Vec<BadEntry> {
        self.0.sort_unstable_by_key(|(hash, line, part)| (*hash, *part, *line));
        let mut found = Vec::new();
        for pair in self.0.windows(2) {
            if let [(hash, first, part), (same, second, of)] = pair
                && (hash, part) == (same, of)
            {
                let name = match part {
                    Part::Uid => "chip UID",
                    Part::Certificate => "certificate",
                    Part::Key => "key",
                };
                let wrong = format!("its {name} is that of {what} {first}");
                found.push(BadEntry { what, line: u64::from(*second), wrong });
            }
        }
        found
    }
}
