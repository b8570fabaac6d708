//! Time per unit beyond token and cloud, on the practice line: boards one after the other with the
//! clock around every call into token, cloud and board; then all lanes at once.
//!
//! `cargo bench --bench unit` (the release profile: a build of ten minutes the first time), or
//! `cargo bench --profile dev --bench unit`. Needs what the practice line needs: `assets/practice.sh`
//! once, or `LINESEAL_PRACTICE_VENV`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it reports by itself")]

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use jiff::Timestamp;
use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, WorkerTokens};
use lineseal::adapters::sqlite::StationLock;
use lineseal::adapters::system::SystemClock;
use lineseal::audit::event::{Holding, Reading, SignatureScheme, TargetRecord, Withdrawal};
use lineseal::bootstrap;
use lineseal::domain::profile::{Dialogue, ObjectName, Prepare};
use lineseal::domain::{
    Device, Failure, Fingerprint, LaneNumber, ProvisioningTemplateName, SigningCa, TargetName, Variables, Verdict,
};
use lineseal::ports::{
    Answer, BoardDialogue, Clock as _, Cloud, Contents, Issuance, Kept, Made, MadeBefore, Prepared, ReadBack, Refusal,
    Registration, TakenBack, Token, TokenAccess, Tokens,
};
use lineseal::practice::line::{PracticeLine, PracticePlan};
use lineseal::provisioning::UnitRecord;
use lineseal::runner::view::{Command, LaneState, Snapshot};
use lineseal::runner::{self, StationHandle};
use secrecy::SecretString;

#[derive(Parser)]
struct Options {
    /// Boards one after the other, P-256 and RSA-2048 in turn.
    #[arg(long, default_value_t = 20)]
    units: usize,
    /// Boards at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..=16))]
    lanes: u8,
    /// The Python environment that holds MiniStack.
    #[arg(long, env = "LINESEAL_PRACTICE_VENV", default_value = "target/practice-venv")]
    venv: PathBuf,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Not counted: the first units make the policy and the thing type.
const WARM_UP: usize = 2;
/// Longer than any good unit takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let options = Options::parse();
    let result = bootstrap::runtime().map_err(Trouble::from).and_then(|runtime| {
        let result = runtime.block_on(measure(&options));
        runtime.shutdown_timeout(Duration::from_secs(2));
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("{trouble}");
            ExitCode::FAILURE
        }
    }
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

async fn measure(options: &Options) -> Result<(), Trouble> {
    let meter = Arc::new(Meter::default());
    let folder = tempfile::tempdir()?;
    let mut bench = Bench::start(options, folder.path().to_owned(), &meter).await?;
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("profile {profile}, {cores} cores, load {} at the start", load());

    let mut units = Vec::new();
    for number in 0..WARM_UP + options.units {
        let unit = bench.one(&meter).await?;
        if number >= WARM_UP {
            units.push(unit);
        }
    }
    report(&units);
    let (count, took) = bench.all_at_once().await?;
    let rate = f64::from(count) / took.as_secs_f64();
    println!("\n{count} boards at once: {:.0} ms to the last seal, {rate:.1} units/s", millis(took));
    println!("load {} at the end", load());
    bench.stop().await
}

/// One unit's times.
struct Unit {
    /// From the port's link to the run's first event: detection and the debounce of the configuration.
    arrival: Duration,
    /// From the run's first event to its verdict.
    run: Duration,
    token: Duration,
    cloud: Duration,
    /// The board's answer to the identify question.
    board: Duration,
}

impl Unit {
    fn rest(&self) -> Duration {
        self.run.saturating_sub(self.token + self.cloud)
    }
}

fn report(units: &[Unit]) {
    println!("\n{} units one after the other, ms{:>15}{:>9}{:>9}", units.len(), "median", "p95", "max");
    let row = |name: &str, of: &dyn Fn(&Unit) -> f64| {
        let mut values: Vec<f64> = units.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let [median, p95, max] = [0.5, 0.95, 1.0].map(|share| quantile(&values, share));
        println!("{name:<42}{median:>9.1}{p95:>9.1}{max:>9.1}");
    };
    row("arrival: link to first event", &|unit| millis(unit.arrival));
    row("run: first event to verdict", &|unit| millis(unit.run));
    row("  token calls", &|unit| millis(unit.token));
    row("  cloud calls", &|unit| millis(unit.cloud));
    row("  rest = run - token - cloud", &|unit| millis(unit.rest()));
    row("    of it the board's answer", &|unit| millis(unit.board));
    row("rest / run, %", &|unit| 100.0 * unit.rest().as_secs_f64() / unit.run.as_secs_f64());
}

/// The smallest value that `share` of `sorted` do not exceed; 0 for none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// How busy this machine is: one minute's average.
fn load() -> impl Display {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

struct Bench {
    line: PracticeLine,
    station: StationHandle,
    /// Keeps a second station off the data.
    _lock: StationLock,
    lanes: Vec<LaneNumber>,
}

impl Bench {
    async fn start(options: &Options, folder: PathBuf, meter: &Arc<Meter>) -> Result<Self, Trouble> {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_lineseal"));
        let plan = PracticePlan {
            dir: folder,
            venv: options.venv.clone(),
            maker: program.clone(),
            lanes: options.lanes,
            connect: None,
        };
        let line = PracticeLine::start(plan, bootstrap::entropy()).await?;
        let config = Arc::new(line.config().clone());
        let (mut equipment, lock) =
            bootstrap::equip_with_credentials(&config, &line.data_dir(), Some("bench"), line.credentials()).await?;
        let tokens = Arc::new(WorkerTokens::new(program, [WORKER_ARGUMENT.into()]));
        equipment.tokens = Arc::new(Timed { inner: tokens, meter: meter.clone() });
        equipment.cloud = Arc::new(Timed { inner: equipment.cloud, meter: meter.clone() });
        equipment.dialogue = Arc::new(Timed { inner: equipment.dialogue, meter: meter.clone() });
        let lanes = line.lanes().collect();
        Ok(Self { station: runner::start(config, equipment), line, _lock: lock, lanes })
    }

    /// A good board in the first lane, from plugging in to unplugging.
    async fn one(&mut self, meter: &Meter) -> Result<Unit, Trouble> {
        let lane = *self.lanes.first().ok_or("no lane")?;
        self.line.plug(lane, None).await?;
        let plugged = SystemClock.now();
        let record = self.next().await?;
        let unit = Unit {
            arrival: between(plugged, record.started),
            run: between(record.started, record.finished),
            token: meter.token.take(),
            cloud: meter.cloud.take(),
            board: meter.board.take(),
        };
        self.clear().await?;
        Ok(unit)
    }

    /// A good board in every lane; how many, and the time from the word to the last verdict.
    async fn all_at_once(&mut self) -> Result<(u32, Duration), Trouble> {
        self.command(Command::Pause).await?;
        self.until(|snapshot| snapshot.paused).await?;
        for lane in self.lanes.clone() {
            self.line.plug(lane, None).await?;
        }
        // Past the debounce: no board still has to arrive.
        tokio::time::sleep(2 * self.line.config().detection.debounce + Duration::from_millis(200)).await;
        let began = SystemClock.now();
        self.command(Command::Continue).await?;
        let (mut count, mut last) = (0, began);
        for _ in 0..self.lanes.len() {
            last = last.max(self.next().await?.finished);
            count += 1;
        }
        self.clear().await?;
        Ok((count, between(began, last)))
    }

    async fn next(&mut self) -> Result<UnitRecord, Trouble> {
        let record = tokio::time::timeout(PATIENCE, self.station.finished.recv()).await?;
        let record = record.ok_or("the station ended")?;
        if record.verdict != Verdict::Pass {
            return Err(format!("{} ended {}: {:?}", record.run, record.verdict.as_str(), record.cause).into());
        }
        Ok(record)
    }

    async fn clear(&mut self) -> Result<(), Trouble> {
        for lane in self.lanes.clone() {
            self.line.unplug(lane);
        }
        let gone = |snapshot: &Snapshot| {
            snapshot.lanes.iter().all(|lane| !matches!(lane.state, LaneState::Finished { present: true, .. }))
        };
        self.until(gone).await
    }

    async fn until(&mut self, holds: impl Fn(&Snapshot) -> bool) -> Result<(), Trouble> {
        tokio::time::timeout(PATIENCE, self.station.snapshots.wait_for(|snapshot| holds(snapshot))).await??;
        Ok(())
    }

    async fn command(&self, command: Command) -> Result<(), Trouble> {
        self.station.commands.send(command).await.map_err(|_| "the station ended".into())
    }

    async fn stop(self) -> Result<(), Trouble> {
        self.command(Command::Stop).await?;
        drop(self.station.finished);
        Ok(self.station.task.await??)
    }
}

fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

/// What was spent since it was last asked.
#[derive(Default)]
struct Meter {
    token: Spent,
    cloud: Spent,
    board: Spent,
}

#[derive(Default)]
struct Spent(AtomicU64);

impl Spent {
    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        let nanos = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_add(nanos, Ordering::Relaxed);
        done
    }

    fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

/// A port with the clock around each call.
struct Timed<T: ?Sized> {
    meter: Arc<Meter>,
    inner: Arc<T>,
}

#[async_trait::async_trait]
impl<T: Tokens + ?Sized> Tokens for Timed<T> {
    async fn open(&self, access: &TokenAccess) -> Result<Box<dyn Token>, Failure> {
        let inner = self.meter.token.during(self.inner.open(access)).await?;
        Ok(Box::new(TimedToken { meter: self.meter.clone(), inner }))
    }
}

struct TimedToken {
    meter: Arc<Meter>,
    inner: Box<dyn Token>,
}

#[async_trait::async_trait]
impl Token for TimedToken {
    async fn read(&mut self) -> Result<Reading, Failure> {
        self.meter.token.during(self.inner.read()).await
    }

    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        self.meter.token.during(self.inner.sign(message, scheme)).await
    }

    async fn keep(&mut self, name: &ObjectName, certificate: &[u8]) -> Result<Kept, Failure> {
        self.meter.token.during(self.inner.keep(name, certificate)).await
    }

    async fn contents(&mut self) -> Result<Contents, Failure> {
        self.meter.token.during(self.inner.contents()).await
    }

    async fn close(self: Box<Self>) {
        self.meter.token.during(self.inner.close()).await
    }
}

#[async_trait::async_trait]
impl<T: Cloud + ?Sized> Cloud for Timed<T> {
    async fn issue(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Made, Failure> {
        self.meter.cloud.during(self.inner.issue(issuance, before)).await
    }

    async fn made_before(&self, issuance: &Issuance, before: &MadeBefore) -> Result<Option<Made>, Failure> {
        self.meter.cloud.during(self.inner.made_before(issuance, before)).await
    }

    async fn prepare(&self, registration: &Registration) -> Result<Prepared, Refusal> {
        self.meter.cloud.during(self.inner.prepare(registration)).await
    }

    async fn claim(
        &self,
        target: &TargetName,
        template: &ProvisioningTemplateName,
    ) -> Result<(String, SecretString), Failure> {
        self.meter.cloud.during(self.inner.claim(target, template)).await
    }

    async fn register(&self, registration: &Registration) -> Result<TargetRecord, Refusal> {
        self.meter.cloud.during(self.inner.register(registration)).await
    }

    async fn stands(&self, held: &ReadBack) -> Result<(), Failure> {
        self.meter.cloud.during(self.inner.stands(held)).await
    }

    async fn deactivate(&self, target: &TargetName, certificate: &Fingerprint) -> Result<(), Failure> {
        self.meter.cloud.during(self.inner.deactivate(target, certificate)).await
    }

    async fn withdraw(&self, holding: &Holding, act: Withdrawal) -> TakenBack {
        self.inner.withdraw(holding, act).await
    }

    // The health check runs beside the units and belongs to none.
    async fn probe(&self, target: &TargetName) -> Result<(), Failure> {
        self.inner.probe(target).await
    }

    async fn takes_from(&self, target: &TargetName, ca: &SigningCa, joining: bool) -> Result<(), Failure> {
        self.inner.takes_from(target, ca, joining).await
    }

    async fn endpoint(&self, target: &TargetName) -> Result<String, Failure> {
        self.meter.cloud.during(self.inner.endpoint(target)).await
    }
}

#[async_trait::async_trait]
impl<T: BoardDialogue + ?Sized> BoardDialogue for Timed<T> {
    async fn ask(&self, device: &Device, dialogue: &Dialogue, variables: &Variables) -> Result<Answer, Failure> {
        self.meter.board.during(self.inner.ask(device, dialogue, variables)).await
    }

    async fn prepare(&self, device: &Device, prepare: &Prepare, variables: &Variables) -> Result<(), Failure> {
        self.meter.board.during(self.inner.prepare(device, prepare, variables)).await
    }

    async fn deliver(
        &self,
        device: &Device,
        prepare: &Prepare,
        variables: &Variables,
        key: &SecretString,
    ) -> Result<(), Failure> {
        self.meter.board.during(self.inner.deliver(device, prepare, variables, key)).await
    }
}
