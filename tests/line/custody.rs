//! What keeps the log's promises outside of its database: the mark before PASS, checkpoints and their
//! copies, and an old log that is put back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::adapters::mark::MarkFile;
use lineseal::audit::event::{FreeText, LogKeyRole};
use lineseal::audit::note::{NoteKey, SignedCheckpoint, VerifierKey};
use lineseal::audit::{LineEvent, TreeHead};
use lineseal::bootstrap;
use lineseal::config::Config;
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{Failure, ReasonCode, StationName};
use lineseal::ports::{CheckpointPlace, HighWaterMark, LogSigner, StoredCheckpoint, Verification, Wanted};
use lineseal::runner::view::{Command, CopyPlace, Health, LaneState, Snapshot};
use lineseal::runner::{
    Custody, Equipment, LogWriter, checkpoint_and_copy, cosign, open_log, prove, rollback, rotate_key,
};
use secrecy::SecretBox;
use tempfile::TempDir;

use crate::bench::Bench;
use crate::log;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome};

/// A bench whose log is copied to a folder on another disk.
struct Copied<'a> {
    bench: Bench<'a>,
    config: Config,
    copies: TempDir,
}

impl<'a> Copied<'a> {
    async fn new(lanes: u8) -> Copied<'a> {
        let bench = Bench::new(lanes, Cloud::shared().await).await;
        let copies = tempfile::tempdir_in("/dev/shm").unwrap();
        let mut config = bench.config();
        config.log.copies = vec![copies.path().to_owned()];
        // Nothing here waits for a clock: what is copied is copied for a reason.
        config.log.checkpoint_every = Duration::from_secs(3600);
        Copied { bench, config, copies }
    }

    async fn start(&self) -> Station {
        let credentials = SharedCredentialsProvider::new(self.bench.cloud.credentials.clone());
        Station::start_at(Arc::new(self.config.clone()), self.bench.data_dir(), credentials, |_| {}).await
    }

    async fn by_hand(&self) -> (LogWriter, Custody) {
        bootstrap::open_kept_log(&self.config, &self.bench.data_dir(), Some("supervisor")).await.unwrap()
    }

    fn copies(&self) -> Vec<SignedCheckpoint> {
        copies_in(self.copies.path())
    }

    fn database(&self) -> PathBuf {
        self.bench.data_dir().join("lineseal.db")
    }

    async fn rule(&self) {
        rule(&self.config, &self.bench.data_dir()).await;
    }
}

/// The supervisor's word on the log as it stands, from another process than the station's.
pub async fn rule(config: &Config, data_dir: &Path) {
    let (log, custody) = bootstrap::open_kept_log(config, data_dir, Some("supervisor")).await.unwrap();
    let found = rollback::found(&log.station, &custody).await.unwrap();
    let reason = FreeText { id: uuid::Uuid::nil(), text_sha256: "0".repeat(64) };
    let ruling = found.ruling().expect("something to rule on");
    let (second, evidence, references) = (None, Vec::new(), Vec::new());
    log.line(LineEvent::Ruled { ruling, second, persons: None, reason, evidence, references }).await.unwrap();
}

/// Smallest first.
fn copies_in(folder: &Path) -> Vec<SignedCheckpoint> {
    let mut copies: Vec<SignedCheckpoint> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap().parse().unwrap())
        .collect();
    copies.sort_by_key(|copy| copy.checkpoint().head().size);
    copies
}

pub fn refused(snapshot: &Snapshot, code: ReasonCode) -> bool {
    let is = |state: &LaneState| matches!(state, LaneState::Refused { failure } if failure.code == code);
    snapshot.lanes.iter().any(|lane| is(&lane.state))
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} was not seen within a minute");
}

pub fn labels(bench: &Bench<'_>) -> usize {
    let zpl = |entry: &std::io::Result<std::fs::DirEntry>| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "zpl")
    };
    std::fs::read_dir(bench.labels()).map_or(0, |entries| entries.filter(zpl).count())
}

/// A real mark whose disk is full from a moment on.
struct Full {
    mark: MarkFile,
    full: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl HighWaterMark for Full {
    async fn read(&self) -> Result<Option<TreeHead>, Failure> {
        self.mark.read().await
    }
    async fn raise(&self, head: TreeHead) -> Result<TreeHead, Failure> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Failure::new(ReasonCode::MARK_FAILED, "no space left on device"));
        }
        self.mark.raise(head).await
    }
    async fn reset(&self, head: TreeHead) -> Result<(), Failure> {
        self.mark.reset(head).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_whose_mark_cannot_be_written_is_not_shown_and_has_no_label_until_it_can() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    let full = Arc::new(AtomicBool::new(false));
    let mark = Full { mark: MarkFile::of(&bench.data_dir()), full: full.clone() };
    let mut station = Station::start_with(&bench, |equipment| equipment.custody.mark = Arc::new(mark)).await;
    station.until("the lanes", |snapshot| !snapshot.lanes.is_empty()).await;
    full.store(true, Ordering::SeqCst);
    bench.plug(1, "A", &chip);
    let shown = station.until("the refusal", |snapshot| refused(snapshot, ReasonCode::MARK_FAILED)).await;
    assert!(shown.recent.is_empty(), "{:?}", shown.recent);
    assert!(matches!(&shown.log, Health::Bad(failure) if failure.code == ReasonCode::MARK_FAILED));
    let log = station.stop().await;
    let sealed = log::all(&log, "sealed");
    assert_eq!((sealed.len(), &sealed[0]["verdict"]), (1, &"PASS".into()), "it is in the log, and nowhere else");
    assert_eq!(labels(&bench), 0);
    bench.unplug(1);

    // With room again the mark comes first, then the label that the log owes.
    let station = Station::start(&bench).await;
    until("the label", || labels(&bench) == 1).await;
    let log = station.stop().await;
    assert_eq!(log::all(&log, "sealed").len(), 1);
    let mark = MarkFile::of(&bench.data_dir()).read().await.unwrap().unwrap();
    assert!(mark.size > 1 && mark.size <= log.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passs_mark_is_on_disk_when_the_pass_is_told() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    let mark = MarkFile::of(&bench.data_dir()).read().await.unwrap().unwrap();
    let sealed = station.log().iter().find(|event| event.kind() == "sealed").unwrap().seq;
    assert!(mark.size > sealed, "the mark is at {}, the PASS is event {sealed}", mark.size);
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_copied_when_a_batch_closes_and_at_the_end_signed_by_the_key_in_the_log() {
    let line = Copied::new(1).await;
    let mut station = line.start().await;
    let good = |snapshot: &Arc<Snapshot>| snapshot.copies.health == Health::Good;
    station.until("a first copy", good).await;
    let profile = line.config.profiles[0].name.clone();
    station.command(Command::OpenBatch { name: "B1".parse().unwrap(), profile, planned: 1 }).await;
    station.until("the batch", |snapshot| snapshot.batch.is_some()).await;
    let before = line.copies().len();
    station.command(Command::CloseBatch).await;
    until("the batch's copy", || line.copies().len() > before).await;
    let closed = line.copies().len();
    let log = station.stop().await;

    let opened = log::all(&log, "log-opened");
    let added = log::all(&log, "log-key-added");
    assert_eq!((opened.len(), added.len()), (1, 1));
    assert_eq!(opened[0]["origin"], "lineseal/PRACTICE");
    let key: VerifierKey = added[0]["key"].as_str().unwrap().parse().unwrap();
    let copies = line.copies();
    assert!(copies.len() > closed, "{copies:?}");
    for copy in &copies {
        copy.verify(std::slice::from_ref(&key)).unwrap();
    }
    let last = copies.last().unwrap().checkpoint();
    assert_eq!((last.head().size, last.origin().as_str()), (log.len() as u64, "lineseal/PRACTICE"));
    assert_eq!(log.last().unwrap().kind(), "station-stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_log_grows_a_checkpoint_is_made_by_itself() {
    let mut line = Copied::new(1).await;
    line.config.log.checkpoint_every = Duration::from_millis(100);
    let mut station = line.start().await;
    let profile = line.config.profiles[0].name.clone();
    station.command(Command::OpenBatch { name: "B1".parse().unwrap(), profile, planned: 1 }).await;
    station.until("the batch", |snapshot| snapshot.batch.is_some()).await;
    let size = station.log().len() as u64;
    let newest = || line.copies().last().map_or(0, |copy| copy.checkpoint().head().size);
    until("its checkpoint", || newest() >= size).await;
    // A log that does not grow needs none.
    assert_eq!(newest(), size);
    station.stop().await;
}

/// A database that is put back below a running station (a server's, say).
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_goes_back_while_the_station_runs_is_not_vouched_for() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    rollback::pass(&log, &custody).await.unwrap();
    let mark = custody.mark.read().await.unwrap().unwrap();
    custody.mark.reset(TreeHead { size: mark.size + 1, ..mark }).await.unwrap();
    let keeper_would = checkpoint_and_copy(&log, &custody).await.unwrap_err();
    assert_eq!(keeper_would.code, ReasonCode::LOG_ROLLED_BACK);
    assert_eq!(line.copies().len(), 0);
}

/// What the station is held to know the log by, after an old one was put back.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Witness {
    Mark,
    Copies,
    Both,
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_log_that_was_put_back_takes_no_board_until_it_is_ruled_on() {
    for witness in [Witness::Mark, Witness::Copies, Witness::Both] {
        put_back(witness).await;
    }
}

async fn put_back(witness: Witness) {
    let mut line = Copied::new(1).await;
    let chips = [(); 3].map(|()| line.bench.chip(KeyKind::EcP256));
    let mut station = line.start().await;
    line.bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    let backup = std::fs::read(line.database()).unwrap();

    line.bench.unplug(1);
    let mut station = line.start().await;
    line.bench.plug(1, "B", &chips[1]);
    assert_outcome(&station.unit().await, "PASS");
    let before = station.stop().await.len();

    std::fs::write(line.database(), backup).unwrap();
    if witness == Witness::Mark {
        for entry in std::fs::read_dir(line.copies.path()).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    if witness == Witness::Copies {
        std::fs::remove_file(line.bench.data_dir().join(MarkFile::FILE)).unwrap();
    }
    line.bench.unplug(1);
    line.bench.plug(1, "C", &chips[2]);
    let mut station = line.start().await;
    let blocked = |snapshot: &Arc<Snapshot>| refused(snapshot, ReasonCode::LOG_ROLLED_BACK);
    let shown = station.until("the refusal", blocked).await;
    assert!(matches!(&shown.log, Health::Bad(failure) if failure.code == ReasonCode::LOG_ROLLED_BACK), "{witness:?}");
    assert!(log::all(&station.log(), "claimed").len() == 1, "{witness:?}: nothing is claimed");
    let copies = line.copies().len();

    // Neither a command nor a new start gets past it, and nobody vouches for such a log.
    let (log, custody) = line.by_hand().await;
    let failure = checkpoint_and_copy(&log, &custody).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::LOG_ROLLED_BACK);
    station.stop().await;
    let mut station = line.start().await;
    station.until("the refusal again", blocked).await;
    assert_eq!(line.copies().len(), copies, "{witness:?}: no new checkpoint");

    line.rule().await;
    assert_outcome(&station.unit().await, "PASS");
    let log = station.stop().await;
    assert!(log.len() < before * 2);

    // What was ruled on stays ruled on, though the old copies are still there.
    line.bench.unplug(1);
    let station = line.start().await;
    let (writer, custody) = line.by_hand().await;
    let found = rollback::found(&writer.station, &custody).await.unwrap();
    assert_eq!((found.failure(), found.ruling()), (None, None), "{witness:?}");
    assert_eq!(found.contradicted.is_empty(), witness == Witness::Mark, "{witness:?}");
    station.stop().await;
}

/// Deleted, it would let an old log be put back unseen.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_gone_while_the_log_is_in_use_stops_the_line_until_it_is_ruled_on() {
    let mut line = Copied::new(1).await;
    line.config.log.copies.clear();
    let chips = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    // What an office does before the station first starts needs no mark.
    let (log, custody) = line.by_hand().await;
    checkpoint_and_copy(&log, &custody).await.unwrap();
    let mark = line.bench.data_dir().join(MarkFile::FILE);
    let mut station = line.start().await;
    line.bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;

    std::fs::remove_file(&mark).unwrap();
    line.bench.unplug(1);
    line.bench.plug(1, "B", &chips[1]);
    let mut station = line.start().await;
    let shown = station.until("the refusal", |snapshot| refused(snapshot, ReasonCode::MARK_FAILED)).await;
    assert!(matches!(&shown.log, Health::Bad(failure) if failure.cause.contains("is gone")), "{:?}", shown.log);
    assert!(!mark.exists());
    line.rule().await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    assert!(mark.exists());
    line.start().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_is_away_at_start_stops_the_line_until_it_is_back_or_ruled_on() {
    let mut line = Copied::new(1).await;
    let chip = line.bench.chip(KeyKind::EcP256);
    let share = line.copies.path().join("share");
    line.config.log.copies = vec![share.clone()];
    line.bench.plug(1, "A", &chip);
    let mut station = line.start().await;
    let away = |snapshot: &Arc<Snapshot>| refused(snapshot, ReasonCode::COPIES_UNREADABLE);
    station.until("the refusal", away).await;
    std::fs::create_dir(&share).unwrap();
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    assert!(!copies_in(&share).is_empty());

    // Away again, and ruled on: for this time only.
    let kept = line.copies.path().join("kept");
    std::fs::rename(&share, &kept).unwrap();
    let mut station = line.start().await;
    station.until("the refusal", away).await;
    line.rule().await;
    assert_outcome(&station.unit().await, "PASS");
    let shown = station.until("the failed copy", |snapshot| snapshot.copies.health != Health::Unknown).await;
    assert!(matches!(&shown.copies.health, Health::Bad(failure) if failure.code == ReasonCode::COPY_FAILED));
    station.stop().await;
    let mut station = line.start().await;
    station.until("the refusal anew", away).await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_fails_shows_and_is_made_good() {
    let mut line = Copied::new(1).await;
    let share = line.copies.path().join("share");
    std::fs::create_dir(&share).unwrap();
    line.config.log.copies = vec![share.clone()];
    let mut station = line.start().await;
    let good = |snapshot: &Arc<Snapshot>| snapshot.copies.health == Health::Good;
    station.until("a first copy", good).await;
    let kept = line.copies.path().join("kept");
    std::fs::rename(&share, &kept).unwrap();
    let profile = line.config.profiles[0].name.clone();
    station.command(Command::OpenBatch { name: "B1".parse().unwrap(), profile, planned: 1 }).await;
    station.command(Command::CloseBatch).await;
    let bad = |snapshot: &Arc<Snapshot>| matches!(&snapshot.copies.health, Health::Bad(f) if f.code == ReasonCode::COPY_FAILED);
    station.until("the failure", bad).await;
    std::fs::rename(&kept, &share).unwrap();
    // By itself, within the pause before the next try.
    station.until("the copy", good).await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_on_the_logs_own_disk_show_as_none() {
    let mut line = Copied::new(1).await;
    let mut station = line.start().await;
    station.until("elsewhere", |snapshot| snapshot.copies.place == CopyPlace::Elsewhere).await;
    station.stop().await;
    let here = line.bench.dir.path().join("copies");
    std::fs::create_dir(&here).unwrap();
    line.config.log.copies = vec![here];
    let mut station = line.start().await;
    station.until("the same disk", |snapshot| snapshot.copies.place == CopyPlace::SameDisk).await;
    station.stop().await;
    line.config.log.copies.clear();
    let mut station = line.start().await;
    station.until("none", |snapshot| snapshot.copies.place == CopyPlace::Nowhere).await;
    station.stop().await;
}

/// What a thief, or a broken disk, leaves: everything that the station had before a key was lost and replaced,
/// with nobody here who knows the key of the copies that tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_put_back_to_before_its_newest_key_takes_no_board_until_it_is_ruled_on() {
    let line = Copied::new(1).await;
    let key = line.bench.data_dir().join("log.key");
    let kept = tempfile::tempdir().unwrap();
    let files = [line.database(), key.clone(), line.bench.data_dir().join(MarkFile::FILE)];
    let beside = |file: &Path| kept.path().join(file.file_name().unwrap());
    {
        let (log, custody) = line.by_hand().await;
        rollback::pass(&log, &custody).await.unwrap();
        assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    }
    for file in &files {
        std::fs::copy(file, beside(file)).unwrap();
    }
    {
        std::fs::remove_file(&key).unwrap();
        let (log, custody) = line.by_hand().await;
        rotate_key(&log, &custody).await.unwrap();
        assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
        assert_eq!(rollback::pass(&log, &custody).await, Ok(()));
    }
    for file in &files {
        std::fs::copy(beside(file), file).unwrap();
    }
    let (log, custody) = line.by_hand().await;
    let failure = rollback::pass(&log, &custody).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::LOG_ROLLED_BACK);
    assert!(failure.cause.contains("by a key that the log does not know"), "{failure}");
    let unread = bootstrap::witnesses(&line.config, &line.bench.data_dir()).await.unwrap().unread;
    assert!(unread.iter().any(|failure| failure.code == ReasonCode::LOG_ROLLED_BACK), "{unread:?}");
    line.rule().await;
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()));
    assert_eq!(bootstrap::witnesses(&line.config, &line.bench.data_dir()).await.unwrap().unread, []);
}

/// Whoever can write to the share must not be able to stop the line by what tells nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_checkpoint_in_the_share_is_no_evidence_where_it_is_of_no_longer_log() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()));
    let forger = NoteKey::from_seed("lineseal/PRACTICE".parse().unwrap(), &SecretBox::new(Box::new([7; 32]))).unwrap();
    let forged = lineseal::audit::note::Checkpoint::new(
        "lineseal/PRACTICE".parse().unwrap(),
        TreeHead { size: 1_000_000, root: [7; 32] },
    );
    let forged = SignedCheckpoint::sign(forged, &forger).unwrap().to_string();
    let size = custody.history.tree_head().await.unwrap().size;
    let no_longer =
        lineseal::audit::note::Checkpoint::new("lineseal/PRACTICE".parse().unwrap(), TreeHead { size, root: [7; 32] });
    let no_longer = SignedCheckpoint::sign(no_longer, &forger).unwrap().to_string();
    std::fs::write(line.copies.path().join(format!("PRACTICE-{size:020}.checkpoint")), no_longer).unwrap();
    std::fs::write(line.copies.path().join("PRACTICE-00000000000001000001.checkpoint"), b"\xff nonsense").unwrap();
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()));

    // To a log that is new to this folder it is: then database and key were put back together.
    let fresh = Copied::new(1).await;
    std::fs::write(fresh.copies.path().join("PRACTICE-00000000000001000000.checkpoint"), &forged).unwrap();
    let (log, custody) = fresh.by_hand().await;
    assert_eq!(rollback::pass(&log, &custody).await.unwrap_err().code, ReasonCode::LOG_ROLLED_BACK);
    fresh.rule().await;
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mark_is_said_and_ruled_on() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    rollback::pass(&log, &custody).await.unwrap();
    let path = line.bench.data_dir().join(MarkFile::FILE);
    std::fs::write(&path, "7\n").unwrap();
    assert_eq!(rollback::pass(&log, &custody).await.unwrap_err().code, ReasonCode::MARK_FAILED);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "7\n");
    line.rule().await;
    rollback::pass(&log, &custody).await.unwrap();
    let mark = custody.mark.read().await.unwrap().unwrap();
    assert_eq!(mark, custody.history.tree_head().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_gone_is_never_replaced_without_a_persons_word() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    let first = open_log(&log, &custody).await.unwrap();
    assert_eq!(open_log(&log, &custody).await.unwrap(), first, "named once");
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let key = line.bench.data_dir().join("log.key");
    std::fs::remove_file(&key).unwrap();
    for _ in 0..2 {
        assert_eq!(open_log(&log, &custody).await.unwrap_err().code, ReasonCode::LOG_KEY);
        assert_eq!(rollback::pass(&log, &custody).await.unwrap_err().code, ReasonCode::LOG_KEY);
        assert!(!key.exists());
    }
    let second = rotate_key(&log, &custody).await.unwrap();
    assert_ne!(first, second);
    let third = rotate_key(&log, &custody).await.unwrap();
    assert_eq!(open_log(&log, &custody).await.unwrap(), third);
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let keys = custody.history.keys().await.unwrap();
    let replaced: Vec<bool> = keys.iter().map(|key| key.replaced_seq.is_some()).collect();
    assert_eq!(replaced, [true, true, false]);
    let copies = line.copies();
    copies.first().unwrap().verify(std::slice::from_ref(&first)).unwrap();
    copies.last().unwrap().verify(std::slice::from_ref(&third)).unwrap();
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()), "old copies verify by old keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_lost_its_power_between_log_and_file_is_ended_at_the_next_start() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    let old = open_log(&log, &custody).await.unwrap();
    let public = custody.signer.make_successor().await.unwrap();
    let new = VerifierKey::from_public(old.name().clone(), public).unwrap();
    let (role, replaces) = (LogKeyRole::Station, Some(old.to_string()));
    let rotated = log.line(LineEvent::LogKeyAdded { key: new.to_string(), role, replaces }).await.unwrap();
    assert_eq!(custody.signer.public().await.unwrap().as_ref(), Some(old.public()));
    assert_eq!(open_log(&log, &custody).await.unwrap(), new);
    assert_eq!(custody.signer.public().await.unwrap().as_ref(), Some(new.public()));
    let keys = custody.history.keys().await.unwrap();
    let rotation = prove::rotation(&*custody.history, &keys[0]).await.unwrap();
    assert_eq!(rotation.map(|(seq, _)| seq), Some(rotated.seq), "the old key signed for its successor");
    // What it signed alone is no checkpoint of the log as it goes on.
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let copies = line.copies();
    copies.last().unwrap().verify(std::slice::from_ref(&new)).unwrap();
}

/// A share whose server is gone, at the port: whoever asks it waits.
struct Gone;

#[async_trait::async_trait]
impl CheckpointPlace for Gone {
    fn name(&self) -> &str {
        "//gone/share"
    }
    async fn is_elsewhere(&self) -> Result<bool, Failure> {
        Ok(true)
    }
    async fn put(&self, _: &StationName, _: &StoredCheckpoint) -> Result<(), Failure> {
        std::future::pending().await
    }
    async fn newest(&self, _: &Wanted) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_hangs_keeps_no_station_from_ending_and_is_named() {
    let line = Copied::new(1).await;
    let credentials = SharedCredentialsProvider::new(line.bench.cloud.credentials.clone());
    let (config, data_dir) = (Arc::new(line.config.clone()), line.bench.data_dir());
    let change = |equipment: &mut Equipment| equipment.custody.places.push(Arc::new(Gone));
    let mut station = Station::start_at(config, data_dir, credentials, change).await;
    station.until("the start", |snapshot| snapshot.log == Health::Good).await;
    let (log, shown) = station.stop_and_show().await;
    let named = |failure: &Failure| failure.code == ReasonCode::COPY_FAILED && failure.cause.contains("//gone/share");
    assert!(matches!(&shown.copies.health, Health::Bad(failure) if named(failure)), "{:?}", shown.copies);
    // The other one has its copy all the same.
    let copied = line.copies().last().unwrap().checkpoint().head().size;
    assert_eq!(copied, log.len() as u64);
}

/// A key in a token that does not answer any more, at the port.
struct Silent(Arc<dyn LogSigner>);

#[async_trait::async_trait]
impl LogSigner for Silent {
    async fn public(&self) -> Result<Option<[u8; 32]>, Failure> {
        self.0.public().await
    }
    async fn create(&self) -> Result<[u8; 32], Failure> {
        self.0.create().await
    }
    async fn sign(&self, _: &[u8]) -> Result<[u8; 64], Failure> {
        std::future::pending().await
    }
    async fn successor(&self) -> Result<Option<[u8; 32]>, Failure> {
        self.0.successor().await
    }
    async fn make_successor(&self) -> Result<[u8; 32], Failure> {
        self.0.make_successor().await
    }
    async fn succeed(&self) -> Result<(), Failure> {
        self.0.succeed().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_never_signs_keeps_no_station_from_ending() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let change = |equipment: &mut Equipment| {
        equipment.custody.signer = Arc::new(Silent(equipment.custody.signer.clone()));
    };
    let mut station = Station::start_with(&bench, change).await;
    station.until("the start", |snapshot| snapshot.log == Health::Good).await;
    let (log, shown) = station.stop_and_show().await;
    assert_eq!(log.last().unwrap().kind(), "station-stopped");
    let said = |failure: &Failure| failure.cause.contains("the last checkpoint was not made within");
    assert!(matches!(&shown.copies.health, Health::Bad(failure) if said(failure)), "{:?}", shown.copies);
}

#[tokio::test(flavor = "multi_thread")]
async fn qas_key_cosigns_what_the_log_still_is() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let qa = NoteKey::from_seed("qa.example".parse().unwrap(), &SecretBox::new(Box::new([9; 32]))).unwrap();
    let (cosigned, failed) = cosign(&log, &custody, &qa, None).await.unwrap();
    assert_eq!(failed, []);
    let keys = custody.keys().await.unwrap().all();
    assert_eq!(keys.len(), 2);
    let signed: SignedCheckpoint = cosigned.note.parse().unwrap();
    assert_eq!(signed.verify(&keys).unwrap().len(), 2);
    let stored = custody.history.checkpoints(cosigned.size, 1).await.unwrap();
    assert_eq!(stored[0].note, cosigned.note);
    let both = line.copies().iter().filter(|copy| copy.verify(&keys).unwrap().len() == 2).count();
    assert_eq!(both, 1, "the cosigned copy stands beside the first one");
    assert_eq!(cosign(&log, &custody, &qa, Some(999)).await.unwrap_err().code, ReasonCode::NOT_NOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_keeps_its_name() {
    let mut line = Copied::new(1).await;
    line.config.log.origin = Some("plant.example/1".parse().unwrap());
    let (log, custody) = line.by_hand().await;
    let key = open_log(&log, &custody).await.unwrap();
    assert_eq!(key.name().as_str(), "plant.example/1");
    line.config.log.origin = Some("plant.example/2".parse().unwrap());
    let (log, custody) = line.by_hand().await;
    let failure = rollback::pass(&log, &custody).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::LOG_KEY);
    assert!(failure.cause.contains("plant.example/1") && failure.cause.contains("plant.example/2"), "{failure}");
    line.config.log.origin = None;
    let (log, custody) = line.by_hand().await;
    assert_eq!(open_log(&log, &custody).await.unwrap(), key);
}

/// The file is the whole of the mark, so whoever writes it stands for a log that went back.
async fn mark_another_story(line: &Copied<'_>, events_more: u64) {
    let (_, custody) = line.by_hand().await;
    let size = custody.history.tree_head().await.unwrap().size + events_more;
    MarkFile::of(&line.bench.data_dir()).reset(TreeHead { size, root: [7; 32] }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_goes_back_below_a_running_station_takes_no_further_board() {
    let mut line = Copied::new(1).await;
    let chips = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    let mut station = line.start().await;
    line.bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    line.bench.unplug(1);
    // It has grown past the mark since it was put back, so that its size tells nothing.
    mark_another_story(&line, 0).await;
    line.bench.plug(1, "B", &chips[1]);
    let blocked = |snapshot: &Arc<Snapshot>| refused(snapshot, ReasonCode::LOG_ROLLED_BACK);
    let shown = station.until("the refusal", blocked).await;
    assert!(matches!(&shown.log, Health::Bad(failure) if failure.code == ReasonCode::LOG_ROLLED_BACK));
    assert_eq!(log::all(&station.log(), "claimed").len(), 1, "the second board is not taken");
    line.rule().await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

/// Nothing could tell any more whether the log was put back: what is gone is no reason to go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_deleted_below_a_running_station_stops_it_before_the_next_board() {
    let mut line = Copied::new(1).await;
    let chips = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    let mut station = line.start().await;
    line.bench.plug(1, "A", &chips[0]);
    assert_outcome(&station.unit().await, "PASS");
    line.bench.unplug(1);
    std::fs::remove_file(line.bench.data_dir().join(MarkFile::FILE)).unwrap();
    line.bench.plug(1, "B", &chips[1]);
    let blocked = |snapshot: &Arc<Snapshot>| refused(snapshot, ReasonCode::MARK_FAILED);
    station.until("the refusal", blocked).await;
    assert_eq!(log::all(&station.log(), "claimed").len(), 1, "the second board is not taken");
    line.rule().await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keeper_that_finds_the_log_put_back_stops_the_station_before_any_board() {
    let mut line = Copied::new(1).await;
    line.config.log.checkpoint_every = Duration::from_millis(100);
    let mut station = line.start().await;
    station.until("a first copy", |snapshot| snapshot.copies.health == Health::Good).await;
    mark_another_story(&line, 1000).await;
    let bad =
        |snapshot: &Arc<Snapshot>| matches!(&snapshot.log, Health::Bad(f) if f.code == ReasonCode::LOG_ROLLED_BACK);
    station.until("the log's state", bad).await;
    station.stop().await;
}

/// A place that another station copies to just while this one looks.
struct Growing {
    log: LogWriter,
    custody: Custody,
}

#[async_trait::async_trait]
impl CheckpointPlace for Growing {
    fn name(&self) -> &str {
        "a busy share"
    }
    async fn is_elsewhere(&self) -> Result<bool, Failure> {
        Ok(true)
    }
    async fn put(&self, _: &StationName, _: &StoredCheckpoint) -> Result<(), Failure> {
        Ok(())
    }
    async fn newest(&self, _: &Wanted) -> Result<Vec<String>, Failure> {
        self.log.line(LineEvent::StationStopped {}).await?;
        checkpoint_and_copy(&self.log, &self.custody).await?;
        Ok(vec![self.custody.history.latest_checkpoint().await?.unwrap().note])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_grows_while_it_is_compared_is_not_accused() {
    let line = Copied::new(1).await;
    let (log, mut custody) = line.by_hand().await;
    rollback::pass(&log, &custody).await.unwrap();
    let growing = Growing { log: log.clone(), custody: Custody { places: Vec::new(), ..custody.clone() } };
    custody.places = vec![Arc::new(growing)];
    let found = rollback::found(&log.station, &custody).await.unwrap();
    assert_eq!((found.failure(), found.contradicted.len()), (None, 0));
}

/// A mark that is read just when somebody rotates the key: between the key and the head.
struct Rotating {
    mark: MarkFile,
    log: LogWriter,
    custody: Custody,
    /// After so many reads, and which key.
    next: std::sync::Mutex<Option<(usize, VerifierKey)>>,
}

#[async_trait::async_trait]
impl HighWaterMark for Rotating {
    async fn read(&self) -> Result<Option<TreeHead>, Failure> {
        let next = self.next.lock().unwrap().take();
        if let Some((reads, old)) = next {
            if reads > 0 {
                *self.next.lock().unwrap() = Some((reads - 1, old));
                return self.mark.read().await;
            }
            let public = self.custody.signer.make_successor().await?;
            let key = VerifierKey::from_public(old.name().clone(), public).unwrap().to_string();
            let (role, replaces) = (LogKeyRole::Station, Some(old.to_string()));
            self.log.line(LineEvent::LogKeyAdded { key, role, replaces }).await?;
        }
        self.mark.read().await
    }
    async fn raise(&self, head: TreeHead) -> Result<TreeHead, Failure> {
        self.mark.raise(head).await
    }
    async fn reset(&self, head: TreeHead) -> Result<(), Failure> {
        self.mark.reset(head).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_rotated_while_it_signs_leaves_no_checkpoint_that_is_refused_for_ever() {
    let line = Copied::new(1).await;
    let (log, mut custody) = line.by_hand().await;
    let old = open_log(&log, &custody).await.unwrap();
    let rotating = Rotating {
        mark: MarkFile::of(&line.bench.data_dir()),
        log: log.clone(),
        custody: custody.clone(),
        next: std::sync::Mutex::new(None),
    };
    let rotating = Arc::new(rotating);
    rollback::pass(&log, &custody).await.unwrap();
    custody.mark = rotating.clone();
    custody.places.clear();
    // The comparison reads the mark first; then comes the one between the key and the head.
    *rotating.next.lock().unwrap() = Some((1, old.clone()));
    log.line(LineEvent::StationStopped {}).await.unwrap();
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let newest: SignedCheckpoint = custody.history.latest_checkpoint().await.unwrap().unwrap().note.parse().unwrap();
    let key = custody.station_key(&log.station).await.unwrap().unwrap();
    assert_ne!(key, old);
    newest.verify(std::slice::from_ref(&key)).unwrap();
    let verified = bootstrap::verifier(&line.config, &line.bench.data_dir(), &[]).unwrap();
    let verify = move || {
        let mut verified = verified;
        verified.verify(&Verification::default(), &mut |_| {})
    };
    tokio::task::spawn_blocking(verify).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_stations_also_where_a_data_directory_was_copied() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    rollback::pass(&log, &custody).await.unwrap();
    let second = LogWriter { station: "ST-2".parse().unwrap(), ..log };
    let failure = rollback::pass(&second, &custody).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::LOG_KEY);
    assert!(failure.cause.contains("PRACTICE"), "{failure}");
}

/// A cosigner does not see what is appended: its name alone makes no checkpoint the log's.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_only_a_cosigner_signed_is_no_evidence() {
    let line = Copied::new(1).await;
    let (log, custody) = line.by_hand().await;
    assert_eq!(checkpoint_and_copy(&log, &custody).await, Ok(Vec::new()));
    let qa = NoteKey::from_seed("qa.example".parse().unwrap(), &SecretBox::new(Box::new([9; 32]))).unwrap();
    let (cosigned, _) = cosign(&log, &custody, &qa, None).await.unwrap();
    let size = custody.history.tree_head().await.unwrap().size;
    let alone = forge(&cosigned.note, &qa, size);
    std::fs::write(line.copies.path().join(format!("PRACTICE-{size:020}.checkpoint")), alone).unwrap();
    assert_eq!(rollback::pass(&log, &custody).await, Ok(()));
}

/// The note's text with another size, signed by this key alone.
fn forge(note: &str, key: &NoteKey, size: u64) -> String {
    let signed: SignedCheckpoint = note.parse().unwrap();
    let origin = signed.checkpoint().origin().clone();
    let text = lineseal::audit::note::Checkpoint::new(origin.clone(), TreeHead { size, root: [7; 32] });
    let log_key = NoteKey::from_seed(origin, &SecretBox::new(Box::new([1; 32]))).unwrap();
    let mut forged = SignedCheckpoint::sign(text, &log_key).unwrap();
    forged.cosign(key).unwrap();
    forged.to_string()
}
