//! Holds a run at a chosen point: right after an event of the test's choice is in the log.

use std::sync::Arc;
use std::time::Duration;

use lineseal::adapters::pkcs11::WorkerTokens;
use lineseal::audit::event::{LabelStatus, Reading, SignatureScheme};
use lineseal::audit::{Body, Event, RunEvent, TreeHead};
use lineseal::domain::profile::ObjectName;
use lineseal::domain::{BatchName, Failure, Fingerprint, Identity, OperatorRef, RunId, StationName, TargetName, Unit};
use lineseal::ports::{
    AuditStore, Batch, BatchTally, Claim, ClaimAnswer, Contents, Kept, MadeBefore, ManifestTally, Obstacle, Receipt,
    RunLog, Token, TokenAccess, Tokens,
};
use tokio::sync::watch;

use crate::bench::Bench;
use crate::station::Station;

const PATIENCE: Duration = Duration::from_secs(60);

/// A gate in the log: runs that wrote the event wait before it until it is opened.
pub struct Gate {
    at: fn(&RunEvent) -> bool,
    waiting: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Gate {
    pub fn new(at: fn(&RunEvent) -> bool) -> Arc<Gate> {
        Arc::new(Gate { at, waiting: watch::Sender::new(0), open: watch::Sender::new(false) })
    }

    /// Returns when so many runs wait.
    pub async fn reached_by(&self, runs: usize) {
        let mut waiting = self.waiting.subscribe();
        let reached = tokio::time::timeout(PATIENCE, waiting.wait_for(|count| *count >= runs)).await;
        reached.expect("the run reaches the gate within a minute").unwrap();
    }

    /// For good.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// The log, with this gate in it.
    pub fn before(self: &Arc<Gate>, store: Arc<dyn AuditStore>) -> Arc<dyn AuditStore> {
        Arc::new(GatedStore { store, gate: self.clone() })
    }

    async fn pass(&self, events: &[Event]) {
        let held = events.iter().any(|event| matches!(&event.body, Body::Run(event) if (self.at)(event)));
        if held && !*self.open.borrow() {
            self.waiting.send_modify(|count| *count += 1);
            let mut open = self.open.subscribe();
            open.wait_for(|open| *open).await.unwrap();
        }
    }
}

struct GatedStore {
    store: Arc<dyn AuditStore>,
    gate: Arc<Gate>,
}

#[async_trait::async_trait]
impl AuditStore for GatedStore {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let receipts = self.store.append(events.clone()).await;
        self.gate.pass(&events).await;
        receipts
    }
    async fn append_to_run(&self, run: RunId, known: u64, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let receipts = self.store.append_to_run(run, known, events.clone()).await;
        self.gate.pass(&events).await;
        receipts
    }
    async fn append_ruling(&self, unit: &Unit, seen: Option<u64>, ruling: Event) -> Result<Receipt, Failure> {
        self.store.append_ruling(unit, seen, ruling).await
    }
    async fn claim(&self, claim: Claim) -> Result<ClaimAnswer, Failure> {
        self.store.claim(claim).await
    }
    async fn head(&self) -> Result<TreeHead, Failure> {
        self.store.head().await
    }
    async fn unfinished(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        self.store.unfinished(station).await
    }
    async fn held(&self) -> Result<Vec<RunLog>, Failure> {
        self.store.held().await
    }
    async fn held_count(&self) -> Result<u64, Failure> {
        self.store.held_count().await
    }
    async fn unsettled_labels(&self, station: &StationName) -> Result<Vec<RunLog>, Failure> {
        self.store.unsettled_labels(station).await
    }
    async fn run(&self, run: RunId) -> Result<Option<RunLog>, Failure> {
        self.store.run(run).await
    }
    async fn run_of_slip(&self, slip: u64) -> Result<Option<RunLog>, Failure> {
        self.store.run_of_slip(slip).await
    }
    async fn unit_label(&self, unit: &Unit, run: RunId) -> Result<Option<LabelStatus>, Failure> {
        self.store.unit_label(unit, run).await
    }
    async fn made_before(&self, run: RunId, unit: &Unit, target: &TargetName) -> Result<MadeBefore, Failure> {
        self.store.made_before(run, unit, target).await
    }
    async fn obstacle(
        &self,
        run: Option<RunId>,
        unit: &Unit,
        identity: &Identity,
        twin: Option<Fingerprint>,
    ) -> Result<Option<Obstacle>, Failure> {
        self.store.obstacle(run, unit, identity, twin).await
    }
    async fn latest(&self, count: u32) -> Result<Vec<RunLog>, Failure> {
        self.store.latest(count).await
    }
    async fn operator(&self, name: &str, new: (uuid::Uuid, [u8; 32])) -> Result<OperatorRef, Failure> {
        self.store.operator(name, new).await
    }
    async fn open_batch(&self, station: &StationName) -> Result<Option<Batch>, Failure> {
        self.store.open_batch(station).await
    }
    async fn batches(&self) -> Result<Vec<Batch>, Failure> {
        self.store.batches().await
    }
    async fn manifest(&self, batch: &BatchName) -> Result<Option<ManifestTally>, Failure> {
        self.store.manifest(batch).await
    }

    async fn tally(&self, batch: &BatchName) -> Result<BatchTally, Failure> {
        self.store.tally(batch).await
    }
}

/// A connection under which the chip is changed: while `swapped` is set, an open token answers from
/// the other chip. SoftHSM keeps an open token in its memory, a chip on a wire does not; so two real
/// workers on two real tokens stand behind one.
pub struct SwappedChips {
    pub workers: WorkerTokens,
    /// The other chip's SoftHSM configuration.
    pub other: std::path::PathBuf,
    pub swapped: watch::Receiver<bool>,
    /// Set once the other chip was read.
    pub seen: watch::Sender<bool>,
}

struct SwappedChip {
    first: Box<dyn Token>,
    other: Box<dyn Token>,
    swapped: watch::Receiver<bool>,
    seen: watch::Sender<bool>,
}

#[async_trait::async_trait]
impl Tokens for SwappedChips {
    async fn open(&self, access: &TokenAccess) -> Result<Box<dyn Token>, Failure> {
        let mut to_other = access.clone();
        to_other.environment.insert("SOFTHSM2_CONF".into(), self.other.display().to_string());
        Ok(Box::new(SwappedChip {
            first: self.workers.open(access).await?,
            other: self.workers.open(&to_other).await?,
            swapped: self.swapped.clone(),
            seen: self.seen.clone(),
        }))
    }
}

impl SwappedChip {
    fn now(&mut self) -> &mut Box<dyn Token> {
        if *self.swapped.borrow() { &mut self.other } else { &mut self.first }
    }
}

#[async_trait::async_trait]
impl Token for SwappedChip {
    async fn read(&mut self) -> Result<Reading, Failure> {
        let read = self.now().read().await;
        if *self.swapped.borrow() {
            self.seen.send_replace(true);
        }
        read
    }
    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        self.now().sign(message, scheme).await
    }
    async fn close(self: Box<Self>) {
        self.first.close().await;
        self.other.close().await;
    }
    async fn keep(&mut self, name: &ObjectName, certificate: &[u8]) -> Result<Kept, Failure> {
        self.now().keep(name, certificate).await
    }
    async fn contents(&mut self) -> Result<Contents, Failure> {
        self.now().contents().await
    }
}

/// A station whose runs wait there.
pub async fn gated(bench: &Bench<'_>, at: fn(&RunEvent) -> bool) -> (Station, Arc<Gate>) {
    let gate = Gate::new(at);
    let station = Station::start_with(bench, |equipment| {
        equipment.log.store = gate.before(equipment.log.store.clone());
    });
    (station.await, gate)
}
