//! The station: one task that owns the lanes. Everything reaches it as a message; what it knows
//! leaves it as snapshots and finished units.

mod desk;
mod finishing;
mod health;
mod labels;
mod orders;
mod outage;
mod pace;
mod picture;
mod settings;
mod signals;
mod taking_back;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::audit::event::LabelStatus;
use crate::audit::{LineEvent, RunEvent};
use crate::config::Config;
use crate::domain::profile::Profile;
use crate::domain::{CLOCK_TOLERANCE, Device, Failure, LaneNumber, ReasonCode, RunId, TargetName, Verdict};
use crate::ports::{Batch, BoardSource, Ended, RunLog};
use crate::provisioning::matching::match_profile;
use crate::provisioning::{Input, Run, Stage, UnitRecord};
use crate::runner::arrivals::Change;
use crate::runner::custody::Custody;
use crate::runner::driver::{Order, Outcome, Shared, Updates, go_on, run_board};
use crate::runner::equipment::Equipment;
use crate::runner::errands;
use crate::runner::keeper::{Keeper, News};
use crate::runner::lanes::LaneTable;
use crate::runner::people;
use crate::runner::rollback;
use crate::runner::scan::{BoardEvent, Looks, Scanner};
use crate::runner::spool::Spool;
use crate::runner::view::{BatchView, Command, Health, ManifestView, Snapshot};

use desk::Desk;
use finishing::Finishing;
use outage::{Look, Outage};
use pace::Pace;
use settings::{Settling, Taught};
use signals::Signalling;
use taking_back::TakingBack;

/// A running station.
pub struct StationHandle {
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub commands: mpsc::Sender<Command>,
    /// Each unit once, when its run is over and its label was tried.
    pub finished: mpsc::Receiver<UnitRecord>,
    /// Ends after [`Command::Stop`].
    pub task: JoinHandle<Result<(), Failure>>,
}

const RECENT: usize = 12;
const LABEL_RETRY: Duration = Duration::from_secs(3);
/// Finished units that wait for a slow reader before the line does.
const FINISHED_QUEUE: usize = 256;
/// How often the pace of the batch is looked at where nothing is finished.
const PACE: Duration = Duration::from_secs(60);

/// Starts the station. Runs that a crash left open are closed first, before any board is taken.
pub fn start(config: Arc<Config>, equipment: Equipment) -> StationHandle {
    let (snapshot_sender, snapshots) = watch::channel(Arc::new(picture::empty(&config, &equipment)));
    let (commands, command_receiver) = mpsc::channel(64);
    let (finished_sender, finished) = mpsc::channel(FINISHED_QUEUE);
    let task = tokio::spawn(async move {
        let (updates, update_receiver) = mpsc::channel(256);
        let (look_sender, looks) = watch::channel(Looks::default());
        let mut station = Station::new(config.clone(), &equipment, looks, updates, snapshot_sender, finished_sender);
        station.recover(update_receiver, command_receiver, equipment.boards, look_sender).await
    });
    StationHandle { snapshots, commands, finished, task }
}

/// A board that is plugged in.
struct Present {
    device: Device,
    lane: Option<LaneNumber>,
    orders: Option<mpsc::Sender<Order>>,
    refusal: Option<Failure>,
    /// It came while the station was paused, or before it knew whose its targets are: its run starts after that.
    waiting: bool,
}

/// What a lane shows.
struct LaneNow {
    /// The arrival whose run it shows; 0 for none.
    arrival: u64,
    run: Option<Arc<Run>>,
    refused: Option<Failure>,
}

struct Station {
    config: Arc<Config>,
    profiles: BTreeMap<String, Arc<Profile>>,
    shared: Shared,
    updates: Updates,
    snapshot: watch::Sender<Arc<Snapshot>>,
    finished: mpsc::Sender<UnitRecord>,
    lanes: LaneTable,
    shown: BTreeMap<LaneNumber, LaneNow>,
    boards: BTreeMap<u64, Present>,
    spool: Spool,
    runs: JoinSet<()>,
    view: Snapshot,
    /// The run whose lane's barcode was scanned: the next serial number is its board's.
    scan_for: Option<RunId>,
    /// The newest time in the log, as far as this station has seen.
    newest: Option<jiff::Timestamp>,
    clock_is_right: bool,
    /// Runs that report to no lane: recovery, HELD, labels.
    errands: HashMap<RunId, Errand>,
    custody: Custody,
    /// Why nothing begins here: the log can't be written, or can't be shown to be what it was.
    blocked: Option<Failure>,
    /// Looks whether that is over.
    looking: Option<JoinHandle<Result<Look, Failure>>>,
    /// The log could not be written from then on, and has not been since.
    outage: Option<Outage>,
    /// The log knows that this station has started.
    started: bool,
    desk: Desk,
    settling: Settling,
    /// Arrivals whose run may be in the log and is not known here yet.
    starting: HashSet<u64>,
    /// Runs without a verdict that nobody drives any more, because the log could not be written.
    cut: HashMap<RunId, u64>,
    /// Makes checkpoints and copies them, once nothing is blocked.
    keeper: Option<Keeper>,
    /// Runs that a task is at work on: a second one would write over the first one's story.
    driven: HashSet<RunId>,
    /// HELD runs that are being finished, and whose slip was scanned meanwhile.
    slips: HashSet<RunId>,
    /// Targets that are not there, whatever they say of a profile; `None`: nobody has looked.
    unwell: Option<BTreeSet<TargetName>>,
    /// Profiles that no board can be registered by, as far as the latest look shows.
    barred: BTreeMap<String, Failure>,
    /// Whose the targets' accounts are, and whether they know the CAs that profiles register by, has been looked at, or
    /// nobody asks: no board is begun before.
    looked: bool,
    finishing: Finishing,
    taking_back: TakingBack,
    pace: Pace,
    signals: Option<Signalling>,
    /// Runs whose board was said to be the wrong one.
    withdrawn: HashSet<RunId>,
}

#[derive(Clone, Copy, PartialEq)]
enum Errand {
    Recover,
    Held,
    Label,
}

impl Station {
    fn new(
        config: Arc<Config>,
        equipment: &Equipment,
        looks: watch::Receiver<Looks>,
        updates: Updates,
        snapshot: watch::Sender<Arc<Snapshot>>,
        finished: mpsc::Sender<UnitRecord>,
    ) -> Self {
        let shared = Shared::new(&config, equipment, looks);
        let profiles = config.profiles.iter().map(|p| (p.name.clone(), Arc::new(p.clone()))).collect();
        let asks = config.targets.iter().any(|target| target.account.is_some())
            || config.profiles.iter().any(|profile| profile.register.method.ca().is_some());
        let looked = config.station.air_gapped || !asks;
        let desk = Desk::new(&config.sign_in, equipment);
        Station {
            lanes: LaneTable::new(&config.lanes),
            view: picture::empty(&config, equipment),
            config,
            profiles,
            shared,
            updates,
            snapshot,
            finished,
            shown: BTreeMap::new(),
            boards: BTreeMap::new(),
            spool: Spool::default(),
            runs: JoinSet::new(),
            errands: HashMap::new(),
            scan_for: None,
            newest: None,
            clock_is_right: equipment.clock_is_right,
            custody: equipment.custody.clone(),
            blocked: None,
            looking: None,
            outage: None,
            started: false,
            desk,
            settling: Settling::new(equipment),
            starting: HashSet::new(),
            cut: HashMap::new(),
            keeper: None,
            driven: HashSet::new(),
            slips: HashSet::new(),
            unwell: None,
            barred: BTreeMap::new(),
            looked,
            finishing: Finishing::new(),
            taking_back: TakingBack::new(),
            pace: Pace::default(),
            signals: equipment.signals.clone().map(Signalling::start),
            withdrawn: HashSet::new(),
        }
    }

    /// Closes what a crash left open, then works until told to stop.
    async fn recover(
        &mut self,
        mut updates: mpsc::Receiver<(u64, Outcome)>,
        commands: mpsc::Receiver<Command>,
        boards: Box<dyn BoardSource>,
        looks: watch::Sender<Looks>,
    ) -> Result<(), Failure> {
        match self.begin_log(&mut updates).await {
            Err(failure) if failure.code == ReasonCode::STORE_AWAY || rollback::blocks(&failure) => self.block(failure),
            begun => begun?,
        }
        let scanner = Scanner::start(boards, self.config.detection.debounce, looks)
            .map_err(|error| Failure::new(ReasonCode::PORT_FAILED, error.to_string()))?;
        self.work(scanner, updates, commands).await
    }

    /// The log is what it was: what a crash or an outage left open is closed, and checkpoints are made
    /// from here on.
    async fn open(&mut self, updates: &mut mpsc::Receiver<(u64, Outcome)>, why: Failure) -> Result<(), Failure> {
        let log = self.shared.log.clone();
        self.blocked = None;
        self.view.log = Health::Good;
        self.shared.pin(self.profiles.values().map(|profile| &profile.trust)).await?;
        self.close_runs(updates, why).await?;
        if self.blocked.is_some() {
            return Ok(());
        }
        self.spool.reset();
        for log in log.store.unsettled_labels(&log.station).await? {
            if let (false, Some(run)) = (self.is_driven(log.run), self.fold(&log)) {
                self.spool.note(&Arc::new(run));
            }
        }
        self.view.recent.clear();
        for latest in log.store.latest(RECENT as u32).await? {
            let ours = latest.events.first().is_some_and(|first| first.event.station == log.station);
            if let Some(run) = self.fold(&latest) {
                self.see_time(&run);
                self.view.recent.extend(picture::finished_view(&run).filter(|_| ours));
            }
        }
        if let (true, Some(ahead), Some(_)) = (self.clock_is_right, self.newest, self.clock_is_behind()) {
            log.line(LineEvent::ClockAccepted { ahead }).await?;
            self.newest = None;
        }
        self.count().await;
        if self.keeper.is_none() {
            self.keeper = Some(Keeper::start(log, self.custody.clone(), self.config.log.checkpoint_every));
        }
        Ok(())
    }

    async fn work(
        &mut self,
        mut scanner: Scanner,
        mut updates: mpsc::Receiver<(u64, Outcome)>,
        mut commands: mpsc::Receiver<Command>,
    ) -> Result<(), Failure> {
        let mut retry = tokio::time::interval(LABEL_RETRY);
        retry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (health_sender, mut health) = mpsc::channel(4);
        let watcher = tokio::spawn(health::watch(self.shared.clone(), self.config.clone(), health_sender));
        let mut minutes = tokio::time::interval(PACE);
        minutes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stopping = false;
        loop {
            self.close_settings_behind_whoever_left();
            self.publish();
            if stopping && self.runs.is_empty() {
                break;
            }
            let idle = self.desk.idle_at();
            let taught = self.settling.teaching_ends();
            tokio::select! {
                Some(event) = scanner.events.recv(), if !stopping => self.board(event).await,
                Some((arrival, outcome)) = updates.recv() => self.take_update(arrival, outcome).await,
                command = commands.recv(), if !stopping => match command {
                    Some(Command::Stop) | None => {
                        stopping = true;
                        self.finishing.give_up();
                        self.stop_runs().await;
                    }
                    Some(command) => self.command(command).await,
                },
                Some(_) = self.runs.join_next(), if !self.runs.is_empty() => {}
                looked = outage::looked(&mut self.looking), if !stopping => self.looked_again(looked, &mut updates).await?,
                took = self.taking_back.took(), if !stopping => self.took_back(took),
                news = news(&mut self.keeper) => match news {
                    News::Copies(copies) => self.view.copies = copies,
                    News::Doubt(failure) => self.block(failure),
                },
                Some(seen) = health.recv() => match seen {
                    health::Seen::Printer(printer) => self.view.printer = printer,
                    health::Seen::Cloud { health, unwell, elsewhere, barred } => {
                        // The header tells of a target that nothing is registered in, and of a profile that can
                        // register nothing; the others' units go on.
                        let left = self.taking_back.left();
                        let worse = elsewhere.as_ref().or_else(|| barred.values().next()).or(left).cloned();
                        let unwell = (health != Health::Unknown).then_some(unwell);
                        self.view.cloud = worse.map_or(health, Health::Bad);
                        self.see_cloud(unwell, barred, stopping).await;
                    }
                },
                () = desk::sleep_until(idle), if !stopping => self.lock_desk().await,
                () = desk::sleep_until(taught) => self.settling.nobody_came(),
                done = self.settling.done() => self.settled(done).await,
                signals = heard(&mut self.signals) => self.view.signals = signals,
                // Time goes by: the next picture tells.
                _ = minutes.tick(), if self.view.batch.is_some() => {}
                _ = retry.tick(), if self.spool.waiting() && self.blocked.is_none() && !stopping => self.print_next(),
            }
        }
        watcher.abort();
        self.taking_back.give_up();
        if let Some(looking) = self.looking.take() {
            looking.abort();
        }
        // What the last runs said on their way out.
        while let Ok((arrival, outcome)) = updates.try_recv() {
            self.take_update(arrival, outcome).await;
        }
        self.publish();
        if let Some(signals) = self.signals.take() {
            signals.finish(self.config.station.name.clone()).await;
        }
        if !self.started {
            // Nobody was told that it had.
            return Ok(());
        }
        self.leave_desk().await?;
        self.shared.log.line(LineEvent::StationStopped {}).await?;
        if let Some(keeper) = self.keeper.take() {
            self.view.copies = keeper.finish().await;
            self.publish();
        }
        Ok(())
    }

    async fn see_cloud(
        &mut self,
        unwell: Option<BTreeSet<TargetName>>,
        barred: BTreeMap<String, Failure>,
        stopping: bool,
    ) {
        let unbarred = self.barred.keys().any(|profile| !barred.contains_key(profile));
        let now_well = |target: &TargetName| unwell.as_ref().is_some_and(|unwell| !unwell.contains(target));
        let came_back = unbarred || self.unwell.iter().flatten().any(now_well);
        self.unwell = unwell;
        self.barred = barred;
        let first = !std::mem::replace(&mut self.looked, true);
        if stopping {
            return;
        }
        if first && !self.view.paused {
            self.begin_waiting().await;
        }
        self.finish_by_itself(came_back).await;
        self.take_back_by_itself(came_back);
    }

    async fn stop_runs(&mut self) {
        for board in self.boards.values() {
            if let Some(orders) = &board.orders {
                let stop = Failure::new(ReasonCode::OPERATOR_STOPPED, "the station was stopped");
                let _ = orders.try_send(Order::Interrupt(stop));
            }
        }
    }

    async fn board(&mut self, event: BoardEvent) {
        if let BoardEvent::Changed(_) = event {
            // Somebody plugged it in, or pulled it.
            self.desk.touch();
        }
        match event {
            BoardEvent::Changed(Change::Arrived { arrival, device }) => self.arrived(arrival, device).await,
            BoardEvent::Changed(Change::Departed { arrival, .. }) => self.departed(arrival).await,
            BoardEvent::Blind(failure) => {
                self.view.refused.retain(|(device, _)| device.instance != BLIND);
                if let Some(failure) = failure {
                    tracing::error!(%failure, "the ports can't be listed");
                    if let Ok(path) = BLIND.parse() {
                        let device = Device {
                            path,
                            instance: BLIND.to_owned(),
                            node: None,
                            usb: None,
                            usb_serial: None,
                            interface: None,
                            product: None,
                            denied: None,
                        };
                        self.view.refused.push((device, failure));
                    }
                }
            }
        }
    }

    async fn arrived(&mut self, arrival: u64, device: Device) {
        let profile = match_profile(&self.config.profiles, &device).map(|profile| profile.name.clone());
        if profile.as_ref().is_err_and(|failure| failure.code == ReasonCode::BOARD_UNKNOWN) {
            // A keyboard is no board: only what could be one is worth a word on the screen.
            return;
        }
        let taught = self.teaches(&device);
        if let Some(Taught::Offered) = taught {
            return;
        }
        let lane = self.lanes.assign(&device);
        let profile = match taught {
            Some(Taught::OfAnotherLane(failure)) => Err(failure),
            _ => profile,
        };
        let waiting = self.view.paused && profile.is_ok();
        let present = Present { device, lane: lane.as_ref().ok().copied(), orders: None, refusal: None, waiting };
        self.boards.insert(arrival, present);
        match (lane, profile) {
            (Ok(lane), Ok(profile)) => {
                self.shown.insert(lane, LaneNow { arrival, run: None, refused: None });
                if !waiting {
                    self.begin(arrival, lane, &profile).await;
                }
            }
            (Ok(_), Err(failure)) | (Err(failure), _) => self.refuse(arrival, failure).await,
        }
    }

    /// No run for this board: said in its lane, where it has one, and in the log.
    async fn refuse(&mut self, arrival: u64, failure: Failure) {
        let Some(board) = self.boards.get_mut(&arrival) else { return };
        tracing::warn!(port = %board.device.path, %failure, "this board is not taken");
        let event = LineEvent::BoardRefused { device: board.device.clone(), failure: failure.clone() };
        match board.lane {
            Some(lane) => {
                self.shown.insert(lane, LaneNow { arrival, run: None, refused: Some(failure) });
            }
            None => board.refusal = Some(failure),
        }
        if self.log_is_away() {
            // Said on the screen; the log says how long it was away.
            return;
        }
        let recorded = self.shared.log.line(event).await.map(|_| ());
        self.note_log(recorded);
    }

    /// Starts a run for the board of `arrival`.
    async fn begin(&mut self, arrival: u64, lane: LaneNumber, profile: &str) {
        let Some(profile) = self.profiles.get(profile).cloned() else { return };
        if let (false, Some(board)) = (self.looked, self.boards.get_mut(&arrival)) {
            board.waiting = true;
            return;
        }
        let barred = self.barred.get(&profile.name).cloned();
        if let Some(failure) = self.blocked.clone().or_else(|| self.clock_is_behind()).or(barred) {
            return self.refuse(arrival, failure).await;
        }
        let batch = match self.present_batch().await {
            Ok(batch) => batch,
            Err(failure) if desk::for_want_of_a_person(&failure) => return self.refuse(arrival, failure).await,
            Err(failure) => {
                self.shown.insert(lane, LaneNow { arrival, run: None, refused: Some(failure.clone()) });
                return self.note_log(Err(failure));
            }
        };
        if let Some(batch) = batch.as_ref().filter(|batch| batch.product != profile.product) {
            let cause = format!("batch {} makes {}, this board is {}", batch.name, batch.product, profile.product);
            let failure = Failure::new(ReasonCode::BOARD_OTHER_BATCH, cause).with("profiles", &profile.product);
            return self.refuse(arrival, failure).await;
        }
        if let Some(failure) = lacks_manifest(&profile, batch.as_ref()) {
            return self.refuse(arrival, failure).await;
        }
        let Some(board) = self.boards.get_mut(&arrival) else { return };
        board.waiting = false;
        let orders = mpsc::channel(4);
        board.orders = Some(orders.0.clone());
        let started = RunEvent::RunStarted {
            lane,
            device: board.device.clone(),
            profile: profile.name.clone(),
            product: profile.product.clone(),
            batch: batch.map(|batch| batch.name),
        };
        self.shown.insert(lane, LaneNow { arrival, run: None, refused: None });
        self.starting.insert(arrival);
        self.runs.spawn(run_board(self.shared.clone(), profile, started, arrival, orders, self.updates.clone()));
    }

    /// What a board that is begun now belongs to; O-620, O-621 while nobody operates.
    async fn present_batch(&mut self) -> Result<Option<Batch>, Failure> {
        if let Some(nobody) = self.why_nobody_operates().await? {
            return Err(nobody);
        }
        self.shared.log.store.open_batch(&self.shared.log.station).await
    }

    fn see_time(&mut self, run: &Run) {
        self.newest = self.newest.max(run.sealed.as_ref().map(|sealed| sealed.at));
    }

    /// A clock that lies far behind its own log would let expired certificates pass.
    fn clock_is_behind(&self) -> Option<Failure> {
        let (newest, now) = (self.newest?, self.shared.log.clock.now());
        let behind = newest.duration_since(now);
        (behind > CLOCK_TOLERANCE).then(|| {
            let cause = format!("it is {now} by this computer's clock, and the log already has {newest}");
            Failure::new(ReasonCode::CLOCK_BEHIND, cause)
        })
    }

    async fn departed(&mut self, arrival: u64) {
        self.shared.presence.leave(arrival);
        let Some(board) = self.boards.remove(&arrival) else { return };
        if board.lane.is_some() {
            self.lanes.release(&board.device.path);
        }
        if let Some(orders) = board.orders {
            let gone = Failure::new(ReasonCode::BOARD_UNPLUGGED, "the board left its port in the middle of the run")
                .with("port", &board.device.path);
            // A run that is over has dropped its end; a full channel holds an interruption already.
            let _ = orders.try_send(Order::Interrupt(gone));
        }
    }

    async fn take_update(&mut self, arrival: u64, outcome: Outcome) {
        self.starting.remove(&arrival);
        let run = match &outcome {
            Outcome::Progress(run) | Outcome::Done(run) => Some(run.clone()),
            Outcome::Unrecorded(run, _) => run.clone(),
        };
        if let Some(lane) = self.lane_of(arrival, run.as_deref()) {
            let now = self.shown.entry(lane).or_insert(LaneNow { arrival, run: None, refused: None });
            match &outcome {
                Outcome::Progress(run) | Outcome::Done(run) => now.run = Some(run.clone()),
                // The verdict is in the log; what could not be recorded came after it.
                Outcome::Unrecorded(Some(run), _) if run.stage == Stage::Sealed => now.run = Some(run.clone()),
                Outcome::Unrecorded(_, failure) => now.refused = Some(failure.clone()),
            }
        }
        match outcome {
            Outcome::Progress(run) => {
                self.driven.insert(run.id);
                self.note_begun(&run);
            }
            Outcome::Unrecorded(_, failure) => {
                if let Some(run) = run {
                    self.driven.remove(&run.id);
                    self.slips.remove(&run.id);
                    let errand = self.end_errand(run.id);
                    if run.stage == Stage::Sealed {
                        self.tell(&run, errand).await;
                    }
                    // What somebody else goes on with is closed, and labelled, there.
                    if failure.code != ReasonCode::RUN_OVERTAKEN {
                        if run.stage != Stage::Sealed {
                            self.cut.insert(run.id, arrival);
                        }
                        // Its label, or the question about it, is owed all the same.
                        self.spool.note(&run);
                    }
                    self.finish_next();
                }
                self.note_log(Err(failure));
            }
            Outcome::Done(run) => {
                self.driven.remove(&run.id);
                self.done(&run).await;
            }
        }
    }

    /// The lane that shows this run: its arrival's, or one that showed the very run before.
    fn lane_of(&self, arrival: u64, run: Option<&Run>) -> Option<LaneNumber> {
        self.shown
            .iter()
            .find(|(_, now)| match &now.run {
                Some(shown) => run.is_some_and(|run| run.id == shown.id),
                None => arrival != 0 && now.arrival == arrival,
            })
            .map(|(lane, _)| *lane)
    }

    async fn done(&mut self, run: &Arc<Run>) {
        self.note_log(Ok(()));
        self.see_label(run);
        self.cut.remove(&run.id);
        self.see_time(run);
        self.spool.note(run);
        let errand = self.end_errand(run.id);
        self.note_held(run, errand);
        self.taking_back.note(run);
        if errand == Some(Errand::Label) {
            return self.view.printer = match run.label.status() {
                LabelStatus::Printed => Health::Good,
                _ => self.view.printer.clone(),
            };
        }
        self.count().await;
        self.tell(run, errand).await;
        self.see_withdrawn(run);
        if self.slips.remove(&run.id) {
            self.print(Run::clone(run));
        }
    }

    /// To whoever reads the units that this station finishes. The verdict is in the log, whatever could not be
    /// recorded after it; a label's errand has brought none, nor has one that leaves its unit HELD.
    async fn tell(&mut self, run: &Run, errand: Option<Errand>) {
        if errand == Some(Errand::Label) {
            return;
        }
        self.view.recent.retain(|known| known.run != run.id);
        if let Some(view) = picture::finished_view(run) {
            self.signal(run, view.verdict);
            self.view.recent.insert(0, view);
            self.view.recent.truncate(RECENT);
        }
        let waits_on = errand == Some(Errand::Held) && run.verdict() == Some(Verdict::Held);
        if let Some(mut record) = UnitRecord::of(run).filter(|_| !waits_on) {
            people::name_in(&*self.desk.people, &mut record).await;
            // A reader that is slow stops the line rather than lose a record; without a reader (a window
            // has dropped its end) nothing waits.
            let _ = self.finished.send(record).await;
        }
    }

    fn signal(&self, run: &Run, verdict: Verdict) {
        if let Some(signals) = &self.signals {
            signals.ended(Ended {
                station: self.config.station.name.clone(),
                lane: run.lane,
                serial: run.unit.as_ref().map(|unit| unit.serial.clone()),
                verdict,
                code: run.sealed.as_ref().and_then(|sealed| sealed.reason.as_ref()).map(|reason| reason.code),
            });
        }
    }

    fn end_errand(&mut self, run: RunId) -> Option<Errand> {
        let errand = self.errands.remove(&run);
        if errand == Some(Errand::Label) {
            self.spool.busy = false;
        }
        errand
    }

    fn is_driven(&self, run: RunId) -> bool {
        self.driven.contains(&run) || self.errands.contains_key(&run)
    }

    /// Tries the oldest label that is owed.
    fn print_next(&mut self) {
        if let Some(run) = self.spool.next(|run| self.is_driven(run)) {
            self.print_for(self.shared.by_itself(&run), Run::clone(&run));
        }
    }

    /// Somebody here asks for it.
    fn print(&mut self, run: Run) {
        self.print_for(self.shared.clone(), run);
    }

    fn print_for(&mut self, shared: Shared, run: Run) {
        if self.is_driven(run.id) {
            // Its label stays owed; the spool comes back to it.
            return;
        }
        let Some(profile) = self.profiles.get(&run.profile).cloned() else { return };
        self.spool.busy = true;
        self.errands.insert(run.id, Errand::Label);
        self.runs.spawn(go_on(shared, profile, run, Input::PrintLabel, self.updates.clone()));
    }

    /// `asked`: by somebody here.
    fn errand(&mut self, log: &RunLog, errand: Errand, input: Input, asked: bool) {
        let Some(run) = self.fold(log) else { return };
        let Some(profile) = self.profiles.get(&run.profile).cloned() else {
            tracing::error!(run = %run.id, profile = %run.profile, "its profile is no longer configured");
            return;
        };
        self.errands.insert(run.id, errand);
        let shared = if asked { self.shared.clone() } else { self.shared.by_itself(&run) };
        self.runs.spawn(go_on(shared, profile, run, input, self.updates.clone()));
    }

    fn fold(&mut self, log: &RunLog) -> Option<Run> {
        errands::fold(log)
            .inspect_err(|failure| {
                tracing::error!(%failure, "the log tells of a run that can't be");
                self.view.log = Health::Bad(failure.clone());
            })
            .ok()
    }

    /// The batch's figures, anew from the log.
    async fn count(&mut self) {
        let store = &self.shared.log.store;
        let counted = async {
            let Some(batch) = store.open_batch(&self.shared.log.station).await? else { return Ok(None) };
            let tally = store.tally(&batch.name).await?;
            let manifest = store.manifest(&batch.name).await?;
            Ok(Some(BatchView {
                name: batch.name,
                planned: batch.planned,
                passed: tally.passed,
                held: tally.held,
                first_passes: tally.first_passes,
                first_attempts: tally.first_attempts,
                pace: None,
                manifest: manifest.map(|m| ManifestView {
                    entries: m.entries,
                    consumed: m.consumed,
                    matched: m.matched,
                    unknown: m.unknown,
                }),
            }))
        };
        match (counted.await, store.held_count().await) {
            (Ok(batch), Ok(held)) => {
                let now = self.shared.log.clock.now();
                self.pace.note(batch.as_ref().map(|batch| (&batch.name, batch.passed)), now);
                self.view.batch = batch;
                self.view.held = held;
            }
            (Err(failure), _) | (_, Err(failure)) => self.note_log(Err(failure)),
        }
    }

    fn note_log(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.view.log = self.blocked.clone().map_or(Health::Good, Health::Bad),
            Err(failure) if outage::is_watched(&failure) => self.block(failure),
            Err(failure) => {
                tracing::error!(%failure, "the log");
                self.view.log = Health::Bad(failure);
            }
        }
    }
}

/// A profile may take no board of a batch whose chips nobody listed.
fn lacks_manifest(profile: &Profile, batch: Option<&Batch>) -> Option<Failure> {
    let required = profile.manifest.as_ref().is_some_and(|plan| plan.required);
    let cause = match batch {
        _ if !required => return None,
        None => "no batch is open".to_owned(),
        Some(batch) if !batch.manifest => format!("batch {} has no shipment manifest", batch.name),
        Some(_) => return None,
    };
    Some(Failure::new(ReasonCode::MANIFEST_MISSING, cause))
}

/// The keeper's; none while there is none.
async fn news(keeper: &mut Option<Keeper>) -> News {
    match keeper {
        Some(keeper) => keeper.news().await,
        None => std::future::pending().await,
    }
}

/// How sounds and lights go; nothing where there are none.
async fn heard(signals: &mut Option<Signalling>) -> Health {
    match signals {
        Some(signals) => signals.news().await,
        None => std::future::pending().await,
    }
}

/// Stands for the whole set of ports in the list of refused boards.
const BLIND: &str = "ports";
