//! The real store, with something that happens at its n-th write.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lineseal::adapters::log_key::KeyFile;
use lineseal::adapters::mark::MarkFile;
use lineseal::adapters::store::LogStore;
use lineseal::audit::event::LabelStatus;
use lineseal::audit::{Event, TreeHead};
use lineseal::domain::{
    BatchName, EventId, Failure, Fingerprint, Identity, OperatorRef, ReasonCode, RunId, StationName, TargetName, Unit,
};
use lineseal::ports::{
    AuditStore, Batch, BatchTally, Claim, ClaimAnswer, MadeBefore, ManifestTally, Obstacle, People, Receipt, RunLog,
};
use lineseal::runner::Custody;
use rustix::process::{Signal, getpid, kill_process};

/// Right before the store is asked, or right after it has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Before, Side::After];
}

/// What happens at the writes of a store.
pub enum Trouble {
    None,
    /// This process gets SIGKILL at the write of this number, counted from 1.
    Kill(u64, Side),
    /// Writes of these numbers fail: the disk is full.
    Full(std::ops::RangeInclusive<u64>),
}

/// A store whose writes are counted, acknowledged in a file and in for trouble.
pub struct Troubled {
    inner: Arc<LogStore>,
    trouble: Trouble,
    writes: AtomicU64,
    acknowledged: Option<Mutex<File>>,
}

impl Troubled {
    pub fn new(inner: LogStore, trouble: Trouble) -> Self {
        Self { inner: Arc::new(inner), trouble, writes: AtomicU64::new(0), acknowledged: None }
    }

    /// What the store has acknowledged is noted in `path`, a line an event: its id and number.
    pub fn noting(mut self, path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path).unwrap();
        self.acknowledged = Some(Mutex::new(file));
        self
    }

    /// What keeps the promises of the log in `data`. The keeper's own writes come when they come: they are
    /// not counted.
    pub fn custody(&self, data: &Path) -> Custody {
        Custody {
            history: self.inner.clone(),
            checkpoints: self.inner.clone(),
            signer: Arc::new(KeyFile::new(data.join(KeyFile::FILE))),
            places: Vec::new(),
            mark: Arc::new(MarkFile::of(data)),
            seen: Arc::default(),
            origin: None,
        }
    }

    /// Those behind the ids in the log; nothing of theirs is counted.
    pub fn people(&self) -> Arc<dyn People> {
        self.inner.clone()
    }

    fn before(&self) -> Result<u64, Failure> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        match &self.trouble {
            Trouble::Kill(at, Side::Before) if *at == write => die(),
            Trouble::Full(writes) if writes.contains(&write) => {
                Err(Failure::new(ReasonCode::STORE_FULL, "database or disk is full"))
            }
            _ => Ok(write),
        }
    }

    fn after<'a>(&self, write: u64, stored: impl IntoIterator<Item = (EventId, &'a Receipt)>) {
        if let Some(file) = &self.acknowledged {
            let lines: String = stored.into_iter().map(|(id, receipt)| format!("{id} {}\n", receipt.seq)).collect();
            file.lock().unwrap().write_all(lines.as_bytes()).unwrap();
        }
        if let Trouble::Kill(at, Side::After) = self.trouble
            && at == write
        {
            die();
        }
    }
}

fn die() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    // The signal has no handler to run: this thread just may get a moment more.
    loop {
        std::thread::park();
    }
}

#[async_trait::async_trait]
impl AuditStore for Troubled {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let write = self.before()?;
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let receipts = self.inner.append(events).await?;
        self.after(write, ids.into_iter().zip(&receipts));
        Ok(receipts)
    }

    async fn append_to_run(&self, run: RunId, known: u64, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let write = self.before()?;
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let receipts = self.inner.append_to_run(run, known, events).await?;
        self.after(write, ids.into_iter().zip(&receipts));
        Ok(receipts)
    }

    async fn append_ruling(&self, unit: &Unit, seen: Option<u64>, ruling: Event) -> Result<Receipt, Failure> {
        let write = self.before()?;
        let id = ruling.id;
        let receipt = self.inner.append_ruling(unit, seen, ruling).await?;
        self.after(write, [(id, &receipt)]);
        Ok(receipt)
    }

    async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, Failure> {
        let write = self.before()?;
        let answer = self.inner.claim(claim).await?;
        let event = match &answer {
            ClaimAnswer::Bound(bound) => Some((bound.event.event.id, &bound.event.receipt)),
            ClaimAnswer::Collides(_) | ClaimAnswer::Locked(_) | ClaimAnswer::Unlisted(_) => None,
        };
        self.after(write, event);
        Ok(answer)
    }

    async fn head(&self) -> Result<TreeHead, Failure> {
        self.inner.head().await
    }

    async fn unfinished(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        self.inner.unfinished(station).await
    }

    async fn held(&self) -> Result<Vec<RunLog>, Failure> {
        self.inner.held().await
    }

    async fn held_count(&self) -> Result<u64, Failure> {
        self.inner.held_count().await
    }

    async fn unsettled_labels(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        self.inner.unsettled_labels(station).await
    }

    async fn run(&self, run: RunId) -> Result<Option<RunLog>, Failure> {
        self.inner.run(run).await
    }

    async fn run_of_slip(&self, slip: u64) -> Result<Option<RunLog>, Failure> {
        self.inner.run_of_slip(slip).await
    }

    async fn unit_label(&self, unit: &Unit, run: RunId) -> Result<Option<LabelStatus>, Failure> {
        self.inner.unit_label(unit, run).await
    }

    async fn made_before(&self, run: RunId, unit: &Unit, target: &TargetName) -> Result<MadeBefore, Failure> {
        self.inner.made_before(run, unit, target).await
    }
    async fn obstacle(
        &self,
        run: Option<RunId>,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Option<Obstacle>, Failure> {
        self.inner.obstacle(run, unit, identity, twin).await
    }
    async fn latest(&self, count: u32) -> Result<Vec<RunLog>, Failure> {
        self.inner.latest(count).await
    }

    async fn operator(&self, name: &str, new: (uuid::Uuid, [u8; 32])) -> Result<OperatorRef, Failure> {
        self.inner.operator(name, new).await
    }

    async fn open_batch(&self, station: &StationName) -> Result<Option<Batch>, Failure> {
        self.inner.open_batch(station).await
    }

    async fn batches(&self) -> Result<Vec<Batch>, Failure> {
        self.inner.batches().await
    }

    async fn manifest(&self, batch: &BatchName) -> Result<Option<ManifestTally>, Failure> {
        self.inner.manifest(batch).await
    }

    async fn tally(&self, batch: &BatchName) -> Result<BatchTally, Failure> {
        self.inner.tally(batch).await
    }
}

/// As text, for a child's environment: `7 Before`.
pub fn kill_from(text: &str) -> Trouble {
    let (write, side) = text.split_once(' ').unwrap();
    Trouble::Kill(write.parse().unwrap(), if side == "Before" { Side::Before } else { Side::After })
}

/// The paper of a finished run, in one word.
pub fn paper(status: LabelStatus) -> &'static str {
    match status {
        LabelStatus::Printed => "printed",
        LabelStatus::Pending => "pending",
        LabelStatus::Failed => "unknown",
        LabelStatus::None => "none",
    }
}
