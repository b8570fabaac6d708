//! Drives one run: asks the core, performs what it says through the ports, records before and after.

mod captured;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::connect::ChipSigns;
use super::custody::Custody;
use super::equipment::Equipment;
use super::labels::{Desk, operator_of};
use super::log::LogWriter;
use super::presence::Presence;
use super::reach;
use super::revocation::{self, Series};
use super::rollback;
use super::scan::{Looks, is_seen_again};
use crate::audit::event::{ConnectionRecord, IssuedOrigin, LabelKind, LabelStatus, Purpose, TargetRecord};
use crate::audit::{Body, RunEvent, TreeHead};
use crate::config::Config;
use crate::domain::profile::{
    ClaimSource, FleetPlan, IdentifySource, Issuer, LabelPlan, Method, MqttPort, Prepare, Profile, Trust,
};
use crate::domain::{
    Bytes, Failure, Fingerprint, Identity, ReasonCode, Step, TargetName, Unit, Variables, Verdict, request_pem,
};
use crate::ports::{
    BoardDialogue, Claim, ClaimAnswer, Cloud, Connections, Entry, Fleet, Fleets, Issuance, IssuingService, Join,
    LabelPictures, LabelPrinter, LockKind, Logged, Made, MadeBefore, MadeKey, Obstacle, Papers, People, Prepared,
    ReadBack, Receipt, Refusal, Registration, RunLog, Token, Tokens, Trial,
};
use crate::provisioning::left::{self, Left};
use crate::provisioning::{Context, Effect, Input, Label, Run, Stage, checks, csr, decide};

pub use captured::{Story, take_in};

/// What every run of a station shares.
#[derive(Clone)]
pub struct Shared {
    pub log: LogWriter,
    pub dialogue: Arc<dyn BoardDialogue>,
    pub tokens: Arc<dyn Tokens>,
    pub cloud: Arc<dyn Cloud>,
    pub connections: Arc<dyn Connections>,
    pub issuing: Arc<dyn IssuingService>,
    pub fleets: Arc<dyn Fleets>,
    pub printer: Option<Arc<dyn LabelPrinter>>,
    pub people: Arc<dyn People>,
    pub pictures: Arc<dyn LabelPictures>,
    pub custody: Custody,
    pub practice: bool,
    pub air_gapped: bool,
    pub presence: Arc<Presence>,
    /// How long after an I/O error the system may still list a board that is gone.
    pub grace: Duration,
    pub looks: watch::Receiver<Looks>,
    lists: Arc<Series>,
}

impl Shared {
    pub fn new(config: &Config, equipment: &Equipment, looks: watch::Receiver<Looks>) -> Self {
        Self {
            log: equipment.log.clone(),
            dialogue: equipment.dialogue.clone(),
            tokens: equipment.tokens.clone(),
            cloud: equipment.cloud.clone(),
            connections: equipment.connections.clone(),
            issuing: equipment.issuing.clone(),
            fleets: equipment.fleets.clone(),
            printer: equipment.printer.clone(),
            people: equipment.people.clone(),
            pictures: equipment.pictures.clone(),
            custody: equipment.custody.clone(),
            practice: config.station.practice,
            air_gapped: config.station.air_gapped,
            presence: Arc::new(Presence::default()),
            grace: config.detection.debounce * 2 + Duration::from_millis(400),
            looks,
            lists: Arc::default(),
        }
    }

    /// The certificates and revocation lists that decide stand in the log, and no newer list does: K-705.
    pub async fn pin(&self, trusts: impl Iterator<Item = &Trust> + Clone) -> Result<(), Failure> {
        revocation::take_up(&self.log, &*self.custody.history, &self.lists, trusts.clone()).await?;
        self.log.pin(trusts).await
    }

    async fn lists_are_newest(&self, profile: &Profile) -> Result<(), Failure> {
        revocation::still_newest(&self.log, &*self.custody.history, &self.lists, &profile.trust).await
    }

    /// For what nobody asks for here: in the name of whoever operated the run. Who happens to sit here meanwhile had no
    /// hand in it, and may rule on its unit.
    pub fn by_itself(&self, run: &Run) -> Self {
        Self { log: self.log.as_operated(run), ..self.clone() }
    }

    pub fn desk(&self) -> Desk<'_> {
        Desk { people: &*self.people, practice: self.practice, air_gapped: self.air_gapped }
    }

    /// A verdict of another run, or a ruling, may have come since this one claimed.
    async fn barred(&self, run: &Run, input: Input) -> Result<Input, Failure> {
        let asks = match &input {
            Input::Resume => true,
            Input::PrintLabel => run.verdict() == Some(Verdict::Pass),
            Input::Registered(_, result) => result.is_ok(),
            _ => is_the_last_look(run, &input),
        };
        let (true, Some(unit), Some((identity, _))) = (asks, &run.unit, &run.claim) else {
            return Ok(input);
        };
        // A label goes on a unit as it is now; a run stands on the claim that it made.
        let claimed = (!matches!(input, Input::PrintLabel)).then_some(run.id);
        let obstacle = self.log.store.obstacle(claimed, unit, identity, run.twin()).await?;
        Ok(match (input, obstacle) {
            (input, None) => input,
            // What another board did under this unit's name does not take back the PASS that was shown. A
            // scrapping does, a withdrawal, and whoever gave the unit another chip.
            (Input::PrintLabel, Some(Obstacle::Locked(lock)))
                if matches!(lock.kind, LockKind::Failed | LockKind::Conflict) =>
            {
                Input::PrintLabel
            }
            (Input::PrintLabel, Some(obstacle)) => Input::Unlabelled(obstacle),
            (_, Some(obstacle)) => Input::Barred(obstacle),
        })
    }

    /// The log goes on from the mark and has what was just written, and the mark is at its head, on disk.
    async fn raise_the_mark(&self, written: Receipt) -> Result<(), Failure> {
        let head = rollback::goes_on(&self.log.station, &self.custody).await?;
        rollback::has(&self.custody, head, written).await?;
        self.custody.mark.raise(head).await.map(drop)
    }
}

/// What the station tells a run.
#[derive(Debug, Clone)]
pub enum Order {
    Interrupt(Failure),
    /// The same, as long as nothing has been claimed.
    Withdraw(Failure),
    /// The barcode scanner read the board's serial number.
    Scanned(String),
}

/// What a run tells the station, after each commit.
#[derive(Debug, Clone)]
pub enum Outcome {
    Progress(Arc<Run>),
    Done(Arc<Run>),
    /// The log could not be written: there is no verdict, whatever happened.
    Unrecorded(Option<Arc<Run>>, Failure),
}

/// Where a run's outcomes go, with the arrival they belong to.
pub type Updates = mpsc::Sender<(u64, Outcome)>;

pub struct Driver {
    shared: Shared,
    profile: Arc<Profile>,
    run: Run,
    /// The arrival of a board that this run is bound to; 0 for work without a board.
    arrival: u64,
    orders: mpsc::Receiver<Order>,
    to_self: mpsc::Sender<Order>,
    updates: Updates,
    token: Option<Box<dyn Token>>,
    /// Entered by a claim, and not left yet.
    fleet: Option<Box<dyn Fleet>>,
    /// What the target had before the fleet's template was applied.
    prepared: Option<Prepared>,
    /// The key that AWS made for the board, until the board has it.
    key: Option<Box<dyn MadeKey>>,
    earlier_label: Option<LabelStatus>,
    operator: Option<String>,
    interrupted: Option<Failure>,
    /// The board of this run has left its port.
    departed: bool,
    /// Targets that could not set a certificate INACTIVE just now.
    unheard: Vec<TargetName>,
}

/// Starts a run for a board that has just arrived, and sees it through.
pub async fn run_board(
    shared: Shared,
    profile: Arc<Profile>,
    started: RunEvent,
    arrival: u64,
    channel: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
    updates: Updates,
) {
    let run = match begin(&shared, started).await {
        Ok(run) => run,
        Err(failure) => {
            let _ = updates.send((arrival, Outcome::Unrecorded(None, failure))).await;
            return;
        }
    };
    Driver::new(shared, profile, run, arrival, channel, updates).drive(Input::Begin).await;
}

/// What a run of a locked unit left ACTIVE is set INACTIVE in these targets: the run as it is then.
pub(super) async fn take_back(
    shared: Shared,
    profile: Arc<Profile>,
    run: Run,
    targets: Vec<TargetName>,
) -> Result<Run, Failure> {
    let (updates, _) = mpsc::channel(1);
    let mut driver = Driver::new(shared, profile, run, 0, mpsc::channel(1), updates);
    driver.until_finished(Input::TakeBack(targets)).await?;
    Ok(driver.run)
}

/// Goes on with a run that the log already knows: recovery, HELD units, labels.
pub async fn go_on(shared: Shared, profile: Arc<Profile>, run: Run, input: Input, updates: Updates) {
    Driver::new(shared, profile, run, 0, mpsc::channel(1), updates).drive(input).await;
}

async fn begin(shared: &Shared, started: RunEvent) -> Result<Run, Failure> {
    // A database may be put back, and answer, without anybody's having noticed that it was away.
    rollback::goes_on(&shared.log.station, &shared.custody).await?;
    let log = &shared.log;
    let event = log.run_event(log.new_run()?, started)?;
    let logged = log.append(vec![event]).await?;
    let first = logged.first().ok_or_else(|| Failure::new(ReasonCode::STORE_FAILED, "no receipt for run-started"))?;
    Run::begin(first).map_err(defect)
}

fn is_verdict(logged: &Logged) -> bool {
    matches!(logged.event.body, Body::Run(RunEvent::Sealed { .. }))
}

fn defect(error: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::STORE_FAILED, error.to_string())
}

impl Driver {
    fn new(
        shared: Shared,
        profile: Arc<Profile>,
        run: Run,
        arrival: u64,
        (to_self, orders): (mpsc::Sender<Order>, mpsc::Receiver<Order>),
        updates: Updates,
    ) -> Driver {
        Driver {
            shared,
            profile,
            run,
            arrival,
            orders,
            to_self,
            updates,
            token: None,
            fleet: None,
            prepared: None,
            key: None,
            earlier_label: None,
            operator: None,
            interrupted: None,
            departed: false,
            unheard: Vec::new(),
        }
    }

    async fn drive(mut self, input: Input) {
        self.report(Outcome::Progress).await;
        let worked = self.work(input).await;
        while let Ok(order) = self.orders.try_recv() {
            self.note_departure(&order);
        }
        if self.departed {
            // Its departure may have been told before its serial number was in the log.
            self.shared.presence.leave(self.arrival);
        }
        match worked {
            Ok(()) => self.report(Outcome::Done).await,
            Err(failure) => {
                tracing::error!(run = %self.run.id, %failure, "the run stops here: nothing more is recorded");
                let run = Arc::new(self.run.clone());
                let _ = self.updates.send((self.arrival, Outcome::Unrecorded(Some(run), failure))).await;
            }
        }
    }

    async fn work(&mut self, input: Input) -> Result<(), Failure> {
        self.come_to_a_verdict(input).await?;
        self.take_back_what_is_left().await
    }

    async fn come_to_a_verdict(&mut self, input: Input) -> Result<(), Failure> {
        if matches!(input, Input::Resume) && self.run.stage != Stage::Sealed {
            self.leave_to_another()?;
            // An earlier resume was cut off: it is closed before the next one begins.
            let why = Failure::new(ReasonCode::STATION_STOPPED, "the station ended while it finished a HELD unit");
            self.until_finished(Input::Recover(why)).await?;
            if self.run.verdict() != Some(Verdict::Held) {
                return Ok(());
            }
        }
        if matches!(input, Input::Resume) {
            self.see_earlier_label().await?;
        }
        if let (Input::PrintLabel, Label::Ended(_, LabelStatus::Pending, _), Some(printer)) =
            (&input, &self.run.label, &self.shared.printer)
            && printer.ready().await.is_err()
        {
            // The next try finds the label as it is; a printer that is off all night fills no log.
            return Ok(());
        }
        self.until_finished(input).await
    }

    /// A unit that is locked by now leaves nothing ACTIVE, whichever of its runs registered it. After the verdict:
    /// before it, another run could still pass with what is set INACTIVE here.
    async fn take_back_what_is_left(&mut self) -> Result<(), Failure> {
        let Run { unit: Some(unit), left, .. } = &self.run else { return Ok(()) };
        match self.run.verdict().filter(|_| self.run.is_over()) {
            Some(Verdict::Fail) => {}
            Some(Verdict::Error | Verdict::Aborted) if !left.is_empty() => {}
            _ => return Ok(()),
        }
        let history = match self.shared.custody.history.unit(unit).await {
            Ok(Some(history)) => history,
            Ok(None) => return Ok(()),
            // The verdict stands, and the station looks for what is left again.
            Err(failure) => {
                tracing::error!(run = %self.run.id, %failure, "what is left ACTIVE of its unit can't be looked for now");
                return Ok(());
            }
        };
        for Left { run, targets } in left::left(&history) {
            let targets: Vec<_> = targets.into_iter().filter(|target| !self.unheard.contains(target)).collect();
            if targets.is_empty() {
                continue;
            }
            let input = Input::TakeBack(targets);
            let taken = if run.id == self.run.id {
                self.until_finished(input).await
            } else {
                // Nobody waits for that run any more: only the log is told.
                let (updates, _) = mpsc::channel(1);
                let (shared, profile) = (self.shared.clone(), self.profile.clone());
                let mut other = Driver::new(shared, profile, run, 0, mpsc::channel(1), updates);
                let taken = Box::pin(other.until_finished(input)).await;
                self.unheard.append(&mut other.unheard);
                taken
            };
            match taken {
                // Somebody else is at it.
                Err(failure) if failure.code == ReasonCode::RUN_OVERTAKEN => {}
                taken => taken?,
            }
        }
        Ok(())
    }

    /// What another station began it is given the time for that the profile allows. Should both work on it
    /// all the same, the log takes it from one of them only.
    fn leave_to_another(&self) -> Result<(), Failure> {
        let (station, at) = &self.run.last_by;
        let targets = u32::try_from(self.profile.register.targets.len()).unwrap_or(u32::MAX);
        let given = self.profile.register.deadline.saturating_mul(targets.saturating_add(1));
        let passed = self.shared.log.clock.now().duration_since(*at).unsigned_abs();
        if *station == self.shared.log.station || passed >= given {
            return Ok(());
        }
        let cause = format!("station {station} is finishing run {}", self.run.id);
        Err(Failure::new(ReasonCode::RUN_OVERTAKEN, cause))
    }

    async fn until_finished(&mut self, mut input: Input) -> Result<(), Failure> {
        loop {
            // Also here: a run whose claim or proof the log has lost comes to no verdict.
            let head = rollback::head(&self.shared.custody).await?;
            if comes_to_a_verdict(&self.run, &input) {
                self.see_earlier_label().await?;
            }
            input = self.by_the_newest_lists(input).await?;
            input = self.shared.barred(&self.run, input).await?;
            if matches!(input, Input::PrintLabel) && names_the_operator(&self.profile) {
                self.operator = operator_of(&*self.shared.people, &self.run).await?;
            }
            let effects = self.decide(input, head)?;
            let mut answer = None;
            for effect in effects {
                if passes(&effect)
                    && let Some(failure) = self.pending_interrupt()
                {
                    // The last moment in which the board can still be said to be gone, or not to be alone.
                    answer = Some(self.interrupt(failure));
                    break;
                }
                answer = match effect {
                    Effect::Record(events) => match self.record(events).await {
                        Ok(()) => None,
                        Err(failure) if failure.code == ReasonCode::LABEL_TAKEN => {
                            answer = Some(Input::LabelTaken);
                            break;
                        }
                        Err(failure) if failure.code == ReasonCode::BOARD_TWIN => {
                            answer = Some(self.interrupt(failure));
                            break;
                        }
                        Err(failure) if failure.code == ReasonCode::CERTIFICATE_BOUND => {
                            // What was made turns out to be another unit's: nothing of it was recorded.
                            answer = Some(self.not_ours(failure)?);
                            break;
                        }
                        Err(failure) if failure.code == ReasonCode::PASS_BARRED => {
                            answer = Some(self.barred_at_last(failure).await?);
                            break;
                        }
                        Err(failure) => return Err(failure),
                    },
                    Effect::PrintNext => Some(Input::PrintLabel),
                    Effect::Finish => return Ok(()),
                    effect => Some(self.perform(effect).await?),
                };
            }
            input = answer.ok_or_else(|| defect("the core left a run without a next step"))?;
        }
    }

    /// Where another station has used a newer revocation list since this one started, nothing is decided by the
    /// older; what is HELD goes on waiting.
    async fn by_the_newest_lists(&mut self, input: Input) -> Result<Input, Failure> {
        let decides = match &input {
            Input::Read(Ok(_)) => self.run.stage == Stage::Reading,
            Input::Resume => true,
            _ => false,
        };
        if !decides {
            return Ok(input);
        }
        match self.shared.lists_are_newest(&self.profile).await {
            Err(failure) if failure.code == ReasonCode::CRL_UNUSABLE => {
                tracing::error!(run = %self.run.id, %failure, "nothing is decided by this list");
                Ok(match input {
                    Input::Resume => Input::Interrupted(failure),
                    _ => Input::Read(Err(failure)),
                })
            }
            // A list that can't be read at all is the core's to tell.
            Err(failure) if failure.code == ReasonCode::CONFIG_INVALID => Ok(input),
            Err(failure) => Err(failure),
            Ok(()) => Ok(input),
        }
    }

    /// The board may have passed, and been labelled, in another run meanwhile: a HELD one that was resumed,
    /// here or elsewhere, or the board plugged in again. The store has the last word when it is sealed.
    async fn see_earlier_label(&mut self) -> Result<(), Failure> {
        if let Some(unit) = &self.run.unit {
            self.earlier_label = self.shared.log.store.unit_label(unit, self.run.id).await?;
        }
        Ok(())
    }

    /// The store has refused the verdict: what it was refused for, by now.
    async fn barred_at_last(&mut self, failure: Failure) -> Result<Input, Failure> {
        let (Some(unit), Some((identity, _))) = (&self.run.unit, &self.run.claim) else { return Err(failure) };
        let obstacle = self.shared.log.store.obstacle(Some(self.run.id), unit, identity, self.run.twin()).await?;
        Ok(obstacle.map_or(Input::Interrupted(failure), Input::Barred))
    }

    fn not_ours(&self, failure: Failure) -> Result<Input, Failure> {
        match &self.run.stage {
            Stage::Issuing { target, .. } => Ok(Input::Issued(target.clone(), Box::new(Err(failure)))),
            _ => Err(failure),
        }
    }

    fn decide(&self, input: Input, head: TreeHead) -> Result<Vec<Effect>, Failure> {
        let context = Context {
            now: self.shared.log.clock.now(),
            random: self.shared.log.random()?,
            log_root: head.root,
            profile: &self.profile,
            printer: self.shared.printer.is_some(),
            earlier_label: self.earlier_label,
            practice: self.shared.practice,
            operator: self.operator.clone(),
            air_gapped: self.shared.air_gapped,
        };
        decide(&self.run, input, &context).map_err(defect)
    }

    /// Commits events of this run. An event that the run's own rules forbid never reaches the log.
    async fn record(&mut self, events: Vec<RunEvent>) -> Result<(), Failure> {
        let mut envelopes = Vec::with_capacity(events.len());
        let mut trial = self.run.clone();
        for event in events {
            let event = self.shared.log.run_event(self.run.id, event)?;
            let trial_receipt = Receipt { seq: 0, leaf: crate::audit::LeafHash([0; 32]) };
            trial.apply(&Logged { receipt: trial_receipt, event: event.clone() }).map_err(defect)?;
            envelopes.push(event);
        }
        let recorded = self.shared.log.append_to(&self.run, envelopes).await?;
        if let Some(verdict) = recorded.iter().find(|logged| is_verdict(logged)) {
            // No database that is put back later takes back what was shown, be it a PASS or the lock of a
            // FAIL: the mark is on disk before this run, and whoever draws it, knows of its verdict.
            self.shared.raise_the_mark(verdict.receipt).await?;
        }
        for logged in recorded {
            self.run.apply(&logged).map_err(defect)?;
            if let Body::Run(RunEvent::Identified { unit, .. }) = &logged.event.body {
                let entered = self.shared.presence.enter(unit, self.arrival, self.to_self.clone());
                self.interrupted = entered.err().or(self.interrupted.take());
            }
        }
        self.report(Outcome::Progress).await;
        Ok(())
    }

    /// Performs one effect. Departure, stop and twins end whatever touches the board or the cloud;
    /// what is only owed to the record goes on.
    async fn perform(&mut self, effect: Effect) -> Result<Input, Failure> {
        match effect {
            Effect::Claim { unit, identity, twin } => {
                if let Some(failure) = self.pending_interrupt() {
                    return Ok(Input::Interrupted(failure));
                }
                return self.claim(unit, identity, twin).await;
            }
            Effect::Deactivate { target, certificate } => {
                let result = self.shared.cloud.deactivate(&target, &certificate).await;
                if result.is_err() {
                    self.unheard.push(target.clone());
                }
                return Ok(Input::Deactivated(target, result));
            }
            Effect::Print { name, zpl } => return Ok(Input::Printed(self.print(&name, &zpl).await)),
            _ => {}
        }
        if let Some(failure) = self.pending_interrupt() {
            return Ok(self.interrupt(failure));
        }
        let mut scans = None;
        let claimed = self.run.claim.is_some();
        let (work, orders) = self.split(&mut scans);
        let input = tokio::select! {
            biased;
            // First, so that what has answered is not lost for what is told at the same moment.
            input = work.perform(effect) => Ok(input),
            failure = interruption(orders, claimed, scans.as_ref()) => Err(failure),
        };
        let input = match input {
            Ok(input) => input,
            Err(failure) => return Ok(self.interrupt(failure)),
        };
        if line_fault(&self.run, &input) && self.arrival != 0 {
            // The cable was pulled first, and the error is only what it looked like from here.
            let looks = self.shared.looks.clone();
            let still_here = async {
                tokio::time::sleep(self.shared.grace).await;
                is_seen_again(looks, self.arrival).await;
            };
            let gone = tokio::select! {
                biased;
                failure = interruption(&mut self.orders, self.run.claim.is_some(), None) => Some(failure),
                () = still_here => None,
            };
            if let Some(failure) = gone {
                return Ok(self.interrupt(failure));
            }
        }
        Ok(input)
    }

    fn pending_interrupt(&mut self) -> Option<Failure> {
        if let Some(failure) = self.interrupted.take() {
            return Some(failure);
        }
        while let Ok(order) = self.orders.try_recv() {
            self.note_departure(&order);
            match order {
                Order::Interrupt(failure) => return Some(failure),
                Order::Withdraw(failure) if self.run.claim.is_none() => return Some(failure),
                Order::Withdraw(_) | Order::Scanned(_) => {}
            }
        }
        None
    }

    fn note_departure(&mut self, order: &Order) {
        self.departed |= matches!(order, Order::Interrupt(failure) if failure.code == ReasonCode::BOARD_UNPLUGGED);
    }

    /// Ends the board's worker process at once, whatever it is doing.
    fn interrupt(&mut self, failure: Failure) -> Input {
        self.departed |= failure.code == ReasonCode::BOARD_UNPLUGGED;
        (self.token, self.fleet, self.key) = (None, None, None);
        Input::Interrupted(failure)
    }

    async fn claim(&mut self, unit: Unit, identity: Identity, twin: Option<Fingerprint>) -> Result<Input, Failure> {
        let log = &self.shared.log;
        let claim = Claim {
            id: log.new_event()?,
            at: log.clock.now(),
            station: log.station.clone(),
            operator: log.operator.clone(),
            run: self.run.id,
            known: Some(self.run.last_seq),
            unit,
            identity,
            twin,
        };
        let answer = match log.store.claim(claim).await {
            // At another station.
            Err(failure) if failure.code == ReasonCode::BOARD_TWIN => return Ok(self.interrupt(failure)),
            answer => answer?,
        };
        match answer {
            ClaimAnswer::Bound(bound) => {
                self.run.apply(&bound.event).map_err(defect)?;
                self.earlier_label = bound.label;
                self.report(Outcome::Progress).await;
                Ok(Input::Claimed)
            }
            ClaimAnswer::Collides(collisions) => Ok(Input::Collided(collisions)),
            ClaimAnswer::Locked(lock) => Ok(Input::Locked(lock)),
            ClaimAnswer::Unlisted(why) => Ok(Input::Unlisted(why)),
        }
    }

    async fn print(&mut self, name: &str, zpl: &str) -> Result<(), Failure> {
        match &self.shared.printer {
            Some(printer) => printer.print(name, zpl).await,
            None => Err(Failure::new(ReasonCode::PRINTER_UNREACHABLE, "no printer is configured")),
        }
    }

    async fn report(&mut self, outcome: fn(Arc<Run>) -> Outcome) {
        // The station listens as long as it lives; when it is gone, nobody draws.
        let _ = self.updates.send((self.arrival, outcome(Arc::new(self.run.clone())))).await;
    }

    /// The parts that an effect needs, apart from the orders that may end it.
    fn split<'a>(&'a mut self, scans: &mut Option<mpsc::Sender<String>>) -> (Work<'a>, &'a mut mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(1);
        *scans = Some(sender);
        let work = Work {
            shared: &self.shared,
            profile: &self.profile,
            run: &self.run,
            token: &mut self.token,
            fleet: &mut self.fleet,
            prepared: &mut self.prepared,
            made_key: &mut self.key,
            scans: receiver,
        };
        (work, &mut self.orders)
    }
}

/// Resolves with the reason to stop; hands scans on meanwhile.
async fn interruption(
    orders: &mut mpsc::Receiver<Order>,
    claimed: bool,
    scans: Option<&mpsc::Sender<String>>,
) -> Failure {
    loop {
        match orders.recv().await {
            Some(Order::Interrupt(failure)) => return failure,
            Some(Order::Withdraw(failure)) if !claimed => return failure,
            Some(Order::Withdraw(_)) => {}
            Some(Order::Scanned(text)) => {
                if let Some(scans) = scans {
                    // One scan is waited for; a second one before it is taken is dropped.
                    let _ = scans.try_send(text);
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// May this answer be the one that the verdict needs?
fn comes_to_a_verdict(run: &Run, input: &Input) -> bool {
    matches!(input, Input::Registered(..) | Input::LabelTaken) || is_the_last_look(run, input)
}

fn passes(effect: &Effect) -> bool {
    let pass = |event: &RunEvent| matches!(event, RunEvent::Sealed { verdict: Verdict::Pass, .. });
    matches!(effect, Effect::Record(events) if events.iter().any(pass))
}

/// Does nothing but the verdict come after this answer of a board, if it is the right one?
fn is_the_last_look(run: &Run, input: &Input) -> bool {
    match (&run.stage, input) {
        (Stage::Challenged { purpose: Purpose::AfterConnect, .. }, Input::Signed(Ok(_))) => !run.asks_again,
        (Stage::Confirmed, Input::IdentifiedAgain(Ok(_))) => true,
        (Stage::Confirmed | Stage::IdentifiedAgain, Input::Configured(Ok(()))) => true,
        _ => false,
    }
}

/// Could this answer be what a pulled cable looks like? Any failure could: to modules that list what
/// they can reach, a chip that is gone has no objects, and a pulled board must not end as FAIL; and half a
/// serial number could. Another chip or another board that answered is neither: it was seen, and is in the
/// log before anyone asks what became of it.
fn line_fault(run: &Run, input: &Input) -> bool {
    match input {
        Input::Identified(result) => result.is_err(),
        Input::IdentifiedAgain(Ok(again)) => {
            let again = again.get("serial").map(String::as_str).unwrap_or_default();
            run.unit
                .as_ref()
                .is_some_and(|unit| unit.serial.as_str() != again && unit.serial.as_str().starts_with(again))
        }
        Input::IdentifiedAgain(Err(_)) | Input::Read(Err(_)) => true,
        Input::Signed(result) => result.is_err(),
        Input::Kept(result) => result.is_err(),
        // The chip signs for it where AWS registers a unit by itself; a cloud never names a token's fault.
        Input::Registered(_, result) => result.as_ref().as_ref().is_err_and(|refusal| {
            let code = refusal.failure.code;
            code == ReasonCode::CHIP_LACKS_KEY || code.as_str().starts_with("T-")
        }),
        Input::Connected(_, result) => result.is_err(),
        Input::Configured(result) => result.is_err(),
        _ => false,
    }
}

/// One effect on the board or the cloud.
struct Work<'a> {
    shared: &'a Shared,
    profile: &'a Profile,
    run: &'a Run,
    token: &'a mut Option<Box<dyn Token>>,
    fleet: &'a mut Option<Box<dyn Fleet>>,
    prepared: &'a mut Option<Prepared>,
    made_key: &'a mut Option<Box<dyn MadeKey>>,
    scans: mpsc::Receiver<String>,
}

impl Work<'_> {
    async fn perform(mut self, effect: Effect) -> Input {
        match effect {
            Effect::Identify => Input::Identified(self.identify().await),
            Effect::IdentifyAgain => Input::IdentifiedAgain(self.identify_again().await),
            Effect::Read => Input::Read(self.read().await),
            Effect::Sign { message, scheme } => {
                let targets = look_at_targets(self.shared, self.profile, self.run);
                let signs = async {
                    match self.token.as_mut() {
                        Some(token) => token.sign(&message, scheme).await,
                        None => Err(Failure::new(ReasonCode::TOKEN_LOST, "the token was closed before it could sign")),
                    }
                };
                let (signed, seen) = tokio::join!(signs, targets);
                Input::Signed(signed.and_then(|signature| seen.map(|()| signature)))
            }
            Effect::Issue(issuance) => {
                let made = self.issue(&issuance).await;
                Input::Issued(issuance.target, Box::new(made))
            }
            Effect::Register(registration) => {
                let target = registration.target.clone();
                let registered = self.register(*registration).await;
                Input::Registered(
                    target.clone(),
                    Box::new(known_otherwise(self.shared, self.run, &target, registered).await),
                )
            }
            Effect::Provision(registration) => {
                let target = registration.target.clone();
                Input::Provisioned(target, Box::new(self.provision(*registration).await))
            }
            Effect::Configure { prepare, variables } => Input::Configured(self.configure(&prepare, &variables).await),
            Effect::Join(join) => {
                let target = join.registration.target.clone();
                let joined = self.join(*join).await;
                Input::Registered(
                    target.clone(),
                    Box::new(known_otherwise(self.shared, self.run, &target, joined).await),
                )
            }
            Effect::Keep { object, certificate } => Input::Kept(match self.token.as_mut() {
                Some(token) => token.keep(&object, &certificate).await,
                None => Err(Failure::new(ReasonCode::TOKEN_LOST, "the token was closed before it could keep anything")),
            }),
            Effect::Connect(trial) => {
                let result = self.connect(&trial).await;
                Input::Connected(trial.target, Box::new(result))
            }
            // The others never touch the board: the caller performs them itself.
            Effect::Record(_)
            | Effect::Claim { .. }
            | Effect::Deactivate { .. }
            | Effect::Print { .. }
            | Effect::PrintNext
            | Effect::Finish => Input::Interrupted(defect("an effect was performed in the wrong place")),
        }
    }

    async fn connect(&mut self, trial: &Trial) -> Result<ConnectionRecord, Failure> {
        let connections = self.shared.connections.clone();
        // Until the board has it, a key that AWS made is here, and shows what the board's connection will.
        if let Some(key) = self.made_key.as_mut() {
            return connections.prove(trial, key.as_mut()).await;
        }
        let (token, spki) = self.key()?;
        let mut key = ChipSigns { token, kind: trial.key, spki: &spki, signed: false };
        connections.prove(trial, &mut key).await
    }

    /// Whatever comes of it, a key that AWS made is gone from here.
    async fn configure(&mut self, prepare: &Prepare, variables: &Variables) -> Result<(), Failure> {
        self.let_go().await;
        let (dialogue, device) = (&self.shared.dialogue, &self.run.device);
        match self.made_key.take() {
            Some(key) => dialogue.deliver(device, prepare, variables, key.pem()).await,
            None => dialogue.prepare(device, prepare, variables).await,
        }
    }

    async fn register(&mut self, registration: Registration) -> Result<TargetRecord, Refusal> {
        let registration = self.with_its_past(registration).await?;
        let Shared { cloud, .. } = self.shared;
        if registration.method.fleet().is_none() {
            return cloud.register(&registration).await;
        }
        let prepared = self.prepared.take().unwrap_or_default();
        let record = prepared.and_then(cloud.register(&registration).await)?;
        self.as_configured(&registration, record).await.map_err(nothing_left)
    }

    async fn with_its_past(&mut self, mut registration: Registration) -> Result<Registration, Refusal> {
        let past = made_before(self.shared, self.run, self.profile, &registration).await.map_err(nothing_left)?;
        registration.replaces.extend(past);
        Ok(registration)
    }

    async fn join(&mut self, Join { registration, mut trial }: Join) -> Result<TargetRecord, Refusal> {
        let prepared = self.shared.cloud.prepare(&registration).await?;
        if prepared.whole {
            return prepared.and_then(self.shared.cloud.register(&registration).await);
        }
        let mut signed = false;
        let shown: Result<(), Failure> = async {
            trial.endpoint = self.shared.cloud.endpoint(&trial.target).await?;
            let connections = self.shared.connections.clone();
            let (token, spki) = self.key()?;
            let mut key = ChipSigns { token, kind: trial.key, spki: &spki, signed: false };
            let introduced = connections.introduce(&trial, &mut key).await;
            signed = key.signed;
            introduced
        }
        .await;
        let end = match shown {
            Ok(()) => self.shared.cloud.register(&registration).await,
            // Whatever the chip has signed for by then, AWS may have registered.
            Err(failure) => Err(Refusal { failure, certificate_left: signed }),
        };
        prepared.and_then(end)
    }

    /// The chip's, and its public half as the first reading has it.
    fn key(&mut self) -> Result<(&mut dyn Token, Vec<u8>), Failure> {
        let lost = |cause: &str| Failure::new(ReasonCode::TOKEN_LOST, cause);
        let certificate = &self.run.reading.as_ref().ok_or_else(|| lost("no certificate was read"))?.certificate;
        let spki = checks::spki_of(certificate)?;
        let token = self.token.as_mut().ok_or_else(|| lost("the token was closed before it could connect"))?;
        Ok((token.as_mut(), spki))
    }

    async fn issue(&mut self, issuance: &Issuance) -> Result<Made, Failure> {
        let unknown = || Failure::new(ReasonCode::CONFIG_INVALID, "the profile has no certificates made");
        let unit = self.run.unit.as_ref().ok_or_else(unknown)?;
        let Method::Csr(plan) = &self.profile.register.method else { return Err(unknown()) };
        let before = self.shared.log.store.made_before(self.run.id, unit, &issuance.target).await?;
        match &plan.issuer {
            Issuer::Aws => self.shared.cloud.issue(issuance, &before).await,
            Issuer::Fleet(fleet) => match self.shared.cloud.made_before(issuance, &before).await? {
                Some(known) => Ok(known),
                None => self.certify(fleet, issuance).await,
            },
            Issuer::Endpoint(endpoint) => {
                let (identity, _) = self.run.claim.as_ref().ok_or_else(unknown)?;
                let (own, now) = (identity.fingerprint, self.shared.log.clock.now());
                // What it made before and can still be registered, it is not asked for again.
                let wanted = csr::Wanted::Chips(issuance.spki);
                let good = |der: &&Bytes| csr::check_issued(der, wanted, own, endpoint.ca.as_ref(), now).is_ok();
                match before.certificates.iter().find(good) {
                    Some(known) => {
                        Ok(Made { certificate: known.clone(), chain: Vec::new(), origin: IssuedOrigin::Known })
                    }
                    None => self.shared.issuing.issue(endpoint, issuance).await,
                }
            }
        }
    }

    /// Enters the fleet; what it made there is registered by the same connection.
    async fn certify(&mut self, plan: &FleetPlan, issuance: &Issuance) -> Result<Made, Failure> {
        let Shared { cloud, fleets, .. } = self.shared;
        let papers = match &plan.claim {
            ClaimSource::Files { certificate, key } => {
                Papers::Files { certificate: certificate.clone(), key: key.clone() }
            }
            ClaimSource::TrustedUser => {
                let (certificate_pem, private_key) = cloud.claim(&issuance.target, &plan.template).await?;
                Papers::Given { certificate_pem, private_key }
            }
        };
        let connect = self.profile.connect.as_ref();
        let entry = Entry {
            target: issuance.target.clone(),
            endpoint: cloud.endpoint(&issuance.target).await?,
            template: plan.template.clone(),
            papers,
            client: format!("lineseal-{}", self.run.id),
            port: connect.map_or(MqttPort::Mqtts, |connect| connect.port),
            roots: connect
                .and_then(|connect| connect.roots.as_ref())
                .map(|roots| roots.iter().cloned().map(Bytes).collect()),
            deadline: issuance.deadline,
        };
        let mut fleet = fleets.enter(&entry).await?;
        let certificate = match &issuance.request {
            Some(request) => fleet.certify(&request_pem(request)).await?,
            None => {
                let (certificate, key) = fleet.certify_new_key().await?;
                *self.made_key = Some(key);
                certificate
            }
        };
        *self.fleet = Some(fleet);
        Ok(Made { certificate, chain: Vec::new(), origin: IssuedOrigin::Made })
    }

    /// AWS makes the unit by the fleet's template, once. `None`: it is all there already, and nothing was asked.
    async fn provision(&mut self, registration: Registration) -> Result<Option<BTreeMap<String, String>>, Refusal> {
        let registration = self.with_its_past(registration).await?;
        let fleet = self.fleet.take();
        let prepared = self.prepared.insert(self.shared.cloud.prepare(&registration).await?);
        let (false, Some(mut fleet)) = (prepared.whole, fleet) else { return Ok(None) };
        let made = fleet.provision(&registration.parameters).await;
        fleet.leave().await;
        // Refused, it is not ACTIVE, and the next run deletes it; unanswered, it may be.
        let provisioned = made.map_err(|failure| {
            let certificate_left = failure.code == ReasonCode::FLEET_BROKEN;
            Refusal { failure, certificate_left }
        })?;
        if let Some(thing) = provisioned.thing.filter(|thing| *thing != registration.thing) {
            let cause = format!("the fleet's template made thing {thing}, the profile asks for {}", registration.thing);
            let failure = Failure::new(ReasonCode::JOIN_OTHERWISE, cause);
            let failure = failure.with("target", &registration.target).with("other", thing);
            return Err(Refusal { failure, certificate_left: true });
        }
        Ok(Some(provisioned.configuration))
    }

    /// With what AWS answered when it made the unit, in this run or in an earlier one.
    async fn as_configured(
        &mut self,
        registration: &Registration,
        record: TargetRecord,
    ) -> Result<TargetRecord, Failure> {
        if self.run.provisioned.is_some() {
            return Ok(record);
        }
        match configured_before(self.shared, self.run, &record).await? {
            Some(device_configuration) => Ok(TargetRecord { device_configuration, ..record }),
            None if self.profile.register.configure.is_none() => Ok(record),
            // Nobody is to be told that there is none.
            None => {
                let cause = "AWS made this unit, and its device configuration was lost before it was in the log: `lineseal undo \
                             UNIT --delete`, and the unit's next run asks anew";
                let failure = Failure::new(ReasonCode::FLEET_BROKEN, cause).with("target", &registration.target);
                Err(failure.with("endpoint", &record.endpoint))
            }
        }
    }

    async fn identify(&mut self) -> Result<Variables, Failure> {
        let Run { device, station, .. } = self.run;
        let scans = &mut self.scans;
        reach::identify(&*self.shared.dialogue, self.profile, device, station, async || scans.recv().await).await
    }

    async fn let_go(&mut self) {
        if let Some(token) = self.token.take() {
            token.close().await;
        }
    }

    async fn identify_again(&mut self) -> Result<Variables, Failure> {
        self.let_go().await;
        let Run { device, station, .. } = self.run;
        let scans = &mut self.scans;
        reach::ask(&*self.shared.dialogue, self.profile, device, station, async || scans.recv().await).await
    }

    /// The first reading opens the token; later ones go to the same worker process, so that a run
    /// stays with the chip that it began with.
    async fn read(&mut self) -> Result<crate::audit::event::Reading, Failure> {
        if self.token.is_none() {
            let access = reach::access(&self.profile.token, &self.run.variables)?;
            *self.token = Some(self.shared.tokens.open(&access).await?);
        }
        match self.token.as_mut() {
            Some(token) => token.read().await,
            None => Err(Failure::new(ReasonCode::TOKEN_LOST, "the token was closed before it could be read")),
        }
    }
}

/// A thing that this unit was registered as before is no stranger's: whoever edited the profile's `thing_name`
/// has to say what becomes of it, and no board is to blame.
async fn known_otherwise(
    shared: &Shared,
    run: &Run,
    target: &TargetName,
    registered: Result<TargetRecord, Refusal>,
) -> Result<TargetRecord, Refusal> {
    let (Err(refusal), Some(unit)) = (&registered, &run.unit) else { return registered };
    let Failure { code: ReasonCode::CERTIFICATE_FOREIGN, args, .. } = &refusal.failure else { return registered };
    let Some(other) = args.get("other").map(|other| format!("/{other}")) else { return registered };
    // A log that does not answer takes nothing back.
    let Ok(history) = shared.custody.history.unit(unit).await else { return registered };
    let is_it = |logged: &Logged| match &logged.event.body {
        Body::Run(RunEvent::Registered { target: record }) => {
            record.target == *target && record.thing_arn.ends_with(&other)
        }
        _ => false,
    };
    let mut events = history.iter().flat_map(|history| &history.runs).flat_map(|run| &run.events);
    let Some(known) = events.find(|logged| is_it(logged)) else { return registered };
    let cause = format!(
        "{}; the log registered this unit under that name (event {}), and the profile asks for another",
        refusal.failure.cause, known.receipt.seq
    );
    let failure = Failure { code: ReasonCode::THING_RENAMED, cause, ..refusal.failure.clone() };
    Err(Refusal { failure, certificate_left: false })
}

/// A chip that has connected is looked at once more, and so is what its targets hold: side by side, since neither
/// waits for the other.
async fn look_at_targets(shared: &Shared, profile: &Profile, run: &Run) -> Result<(), Failure> {
    let last = matches!(run.stage, Stage::Challenged { purpose: Purpose::AfterConnect, .. });
    let (true, Some(_), Some(intent)) = (last, run.connect, &run.intent) else { return Ok(()) };
    for record in &run.registered {
        let held = ReadBack {
            target: record.target.clone(),
            thing: intent.thing.clone(),
            fingerprint: intent.fingerprint,
            certificate_arn: record.certificate_arn.clone(),
            policy: profile.register.policy.clone(),
            deadline: profile.register.deadline,
        };
        shared.cloud.stands(&held).await?;
    }
    Ok(())
}

/// What was made for the unit's key before, or with a key for it, and is not what is registered now: it has expired, its
/// issuer is not the profile's any more, or its key was delivered to the board by an earlier run. Of a target that the profile names it is that target's alone.
async fn made_before(
    shared: &Shared,
    run: &Run,
    profile: &Profile,
    registration: &Registration,
) -> Result<Vec<Fingerprint>, Failure> {
    let Registration { target, method, fingerprint, replaces, .. } = registration;
    let (Method::Csr(_), Some(unit)) = (method, &run.unit) else { return Ok(Vec::new()) };
    let MadeBefore { certificates, elsewhere, .. } = shared.log.store.made_before(run.id, unit, target).await?;
    let renamed = elsewhere.into_iter().filter(|(target, _)| !profile.register.targets.contains(target));
    let all = certificates.into_iter().chain(renamed.map(|(_, der)| der)).map(|der| Fingerprint::of(&der));
    Ok(all.filter(|made| made != fingerprint && !replaces.contains(made)).collect())
}

/// What AWS answered when this certificate was registered: it answers once. `None`: that answer never came to the log.
async fn configured_before(
    shared: &Shared,
    run: &Run,
    record: &TargetRecord,
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let Some(unit) = &run.unit else { return Ok(None) };
    let history = shared.custody.history.unit(unit).await?;
    let told = |body: &Body| match body {
        Body::Run(RunEvent::Registered { target }) if target.certificate_arn == record.certificate_arn => {
            Some(target.device_configuration.clone())
        }
        _ => None,
    };
    let provisioned = |body: &Body| match body {
        Body::Run(RunEvent::Provisioned { certificate, device_configuration, .. })
            if record.certificate_arn.ends_with(&format!(":cert/{certificate}")) =>
        {
            Some(device_configuration.clone())
        }
        _ => None,
    };
    // An empty answer is one where the run that recorded it had the certificate made.
    let made = |body: &Body| {
        matches!(body, Body::Run(RunEvent::CertificateIssued { issued }) if issued.origin == IssuedOrigin::Made
            && record.certificate_arn.ends_with(&format!(":cert/{}", issued.fingerprint)))
    };
    let answer = |log: &RunLog| {
        let provisioned = log.events.iter().find_map(|logged| provisioned(&logged.event.body));
        if provisioned.is_some() {
            return provisioned;
        }
        // As it was recorded before it had an event of its own.
        let told = log.events.iter().find_map(|logged| told(&logged.event.body))?;
        (!told.is_empty() || log.events.iter().any(|logged| made(&logged.event.body))).then_some(told)
    };
    Ok(history.iter().flat_map(|history| &history.runs).rev().find_map(answer))
}

fn nothing_left(failure: Failure) -> Refusal {
    Refusal { failure, certificate_left: false }
}

/// Does this run owe paper that comes by itself (as opposed to on scanning a slip)?
pub fn prints_by_itself(run: &Run) -> bool {
    let pending = match &run.label {
        Label::Owed(kind) | Label::Ended(kind, LabelStatus::Pending, _) => *kind,
        _ => return false,
    };
    run.stage == Stage::Sealed && (pending == LabelKind::Slip || run.slip.is_none() || run.copy > 1)
}

fn names_the_operator(profile: &Profile) -> bool {
    let Some(LabelPlan { template, slip, fail_slip, .. }) = &profile.label else { return false };
    let mut all = [Some(template), Some(slip), fail_slip.as_ref()].into_iter().flatten();
    all.any(|template| template.variables().any(|name| name == "operator"))
}

/// Was a label sent whose end nobody saw?
pub fn needs_an_answer(run: &Run) -> Option<LabelKind> {
    match &run.label {
        Label::Intended(kind) | Label::Ended(kind, LabelStatus::Failed, _) if run.stage == Stage::Sealed => Some(*kind),
        _ => None,
    }
}

/// Is this run waiting for the scanner?
pub fn waits_for_scan(run: &Run, profile: &Profile) -> bool {
    run.step() == Step::Identify
        && run.stage == Stage::Identifying
        && matches!(profile.identify.source, IdentifySource::Barcode { .. })
}
