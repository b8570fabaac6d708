//! The composition root: the only place that names concrete adapters.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use aws_credential_types::provider::SharedCredentialsProvider;

use crate::adapters::air_gap::AirGap;
use crate::adapters::aws_iot::{self, AwsCloud, AwsExaminer};
use crate::adapters::badge_key::BadgeKeyFile;
use crate::adapters::boards::{SerialDialogue, StationPorts};
use crate::adapters::copies::{self, Bucket};
use crate::adapters::fleet::{AwsFleet, ClaimFolder};
use crate::adapters::issuing::HttpIssuing;
use crate::adapters::log_key::KeyFile;
use crate::adapters::mark::MarkFile;
use crate::adapters::mqtt::{self, MqttConnections, MqttFleets};
use crate::adapters::own_ca::{AwsAuthorities, FileCaKey, TokenCaKey};
use crate::adapters::pkcs11::{TokenSigner, WorkerTokens};
use crate::adapters::postgres::{self, Connection, PostgresRations};
use crate::adapters::printer;
use crate::adapters::signals::CommandSignals;
use crate::adapters::sqlite::{self, Moved, StationLock};
use crate::adapters::station_file::StationFile;
use crate::adapters::store::LogStore;
use crate::adapters::system::{SystemClock, SystemEntropy};
use crate::adapters::window_file::WindowFile;
use crate::audit::{Body, RunEvent};
use crate::config::{Ca, CaKey, Config, LogKey, Look, Postgres};
use crate::domain::profile::{ClaimSource, Profile, Trust};
use crate::domain::{Device, Failure, ReasonCode};
use crate::ports::{
    Archiving, AuditStore, Authorities, BadgeKey, BoardSource, CaSigner, CheckpointPlace, Checkpoints, Clock, Cloud,
    Entropy, Examiner, History, Imports, LabelPictures, LogSigner, Manifests, People, Rations, Reports, Signals,
};
use crate::provisioning::checks::{self, Pins};
use crate::runner::look::Eyes;
use crate::runner::people::Named;
use crate::runner::{self, Custody, Equipment, LogWriter, StationHandle};

mod doctor;
mod handing_over;
mod moving;
mod safekeeping;

pub use crate::adapters::pkcs11::WORKER_ARGUMENT;
pub use doctor::{StationPolicy, instruments, station_policies};
pub use handing_over::{cosigner, new_cosigner, read_archive, read_bundle, report_file, write_bundle, write_text};
pub use moving::{Migrated, Move};
pub use safekeeping::{
    Found, Restoring, archives_of, back_up, high_water_mark, restore, size_of_log, verifier, verify_copy,
    verify_hashes_of_copy, witnesses,
};

/// Where a station's files are.
#[derive(Debug, Clone)]
pub struct Places {
    pub config: PathBuf,
    pub data_dir: PathBuf,
}

impl Places {
    /// What was asked for, or the platform's folders.
    pub fn new(config: Option<PathBuf>, data_dir: Option<PathBuf>) -> Self {
        let platform = directories::ProjectDirs::from("", "", "lineseal");
        let folder = |pick: fn(&directories::ProjectDirs) -> &Path, fallback: &str| {
            platform.as_ref().map_or_else(|| PathBuf::from(fallback), |dirs| pick(dirs).to_owned())
        };
        Self {
            config: config.unwrap_or_else(|| folder(|dirs| dirs.config_dir(), "/etc/lineseal").join("lineseal.toml")),
            data_dir: data_dir.unwrap_or_else(|| folder(|dirs| dirs.data_dir(), "/var/lib/lineseal")),
        }
    }
}

/// A running station and the lock that keeps a second one off its data.
pub struct Station {
    pub handle: StationHandle,
    pub lock: StationLock,
}

/// Starts the station that `config` describes, with what [`equip`] made.
pub fn start_station(config: Arc<Config>, (equipment, lock): (Equipment, StationLock)) -> Station {
    Station { handle: runner::start(config, equipment), lock }
}

/// Real adapters for everything, AWS credentials from the default chain.
pub async fn equip(
    config: &Config,
    data_dir: &Path,
    operator: Option<&str>,
) -> Result<(Equipment, StationLock), Failure> {
    let cloud = cloud(config).await?;
    let examiner: Option<Arc<dyn Examiner>> = match config.station.air_gapped {
        true => None,
        false => Some(Arc::new(AwsExaminer::new(config).await)),
    };
    let bucket = match &config.log.s3 {
        Some(plan) => Some(Bucket::new(plan).await),
        None => None,
    };
    equip_with(config, data_dir, operator, (cloud, examiner), bucket).await
}

/// The configured targets, for commands that touch no board.
pub async fn cloud(config: &Config) -> Result<Arc<dyn Cloud>, Failure> {
    if config.station.air_gapped {
        return Ok(Arc::new(AirGap));
    }
    aws_iot::root_certificates()?;
    Ok(Arc::new(share(AwsCloud::new(&config.targets).await, config)?))
}

/// Where a plant's stations have one database, they keep to the account's rates together.
fn share(cloud: AwsCloud, config: &Config) -> Result<AwsCloud, Failure> {
    Ok(match rations(config)? {
        Some(rations) => cloud.sharing(&rations),
        None => cloud,
    })
}

fn rations(config: &Config) -> Result<Option<Arc<dyn Rations>>, Failure> {
    let Some(database) = &config.log.postgres else { return Ok(None) };
    let connection = postgres::connection(&database.connection, database.password_file.as_deref())?;
    Ok(Some(Arc::new(PostgresRations::new(connection)?)))
}

/// As [`equip`], with credentials of the caller's own: the practice line never touches a person's.
pub async fn equip_with_credentials(
    config: &Config,
    data_dir: &Path,
    operator: Option<&str>,
    credentials: SharedCredentialsProvider,
) -> Result<(Equipment, StationLock), Failure> {
    aws_iot::root_certificates()?;
    let cloud: Arc<dyn Cloud> = match config.station.air_gapped {
        true => Arc::new(AirGap),
        false => Arc::new(share(AwsCloud::with_credentials(&config.targets, credentials.clone()), config)?),
    };
    let examiner: Option<Arc<dyn Examiner>> = match config.station.air_gapped {
        true => None,
        false => Some(Arc::new(AwsExaminer::with_credentials(config, credentials.clone()))),
    };
    let bucket = config.log.s3.as_ref().map(|plan| Bucket::with_credentials(plan, credentials));
    equip_with(config, data_dir, operator, (cloud, examiner), bucket).await
}

/// The log is not asked for the operator yet: its database may be away.
async fn equip_with(
    config: &Config,
    data_dir: &Path,
    operator: Option<&str>,
    (cloud, examiner): (Arc<dyn Cloud>, Option<Arc<dyn Examiner>>),
    bucket: Option<Bucket>,
) -> Result<(Equipment, StationLock), Failure> {
    refuse_practice_roots(config)?;
    for profile in &config.profiles {
        check_trust(&profile.trust)
            .map_err(|failure| Failure { cause: format!("profile {}: {}", profile.name, failure.cause), ..failure })?;
    }
    let lock = StationLock::take(data_dir)?;
    let plants = |plants: Connection| postgres::open_or_wait(plants.of_station(config.station.name.clone()));
    let Records { log, custody, people, .. } = records_with(config, data_dir, bucket, plants)?;
    let connections = Arc::new(MqttConnections::new(&config.targets));
    let equipment = Equipment {
        boards: boards(config),
        dialogue: Arc::new(SerialDialogue),
        tokens: Arc::new(workers(config, data_dir)),
        cloud,
        fleets: Arc::new(MqttFleets::new(connections.clone())),
        connections,
        issuing: Arc::new(HttpIssuing),
        printer: printer::from_config(&config.printer),
        pictures: pictures(),
        signals: signals(config),
        settings: config.files.first().map(|path| Arc::new(StationFile::at(path)) as _),
        examiner,
        log,
        people,
        custody,
        badges: badge_key(config, data_dir),
        operator: Named { name: operator.map(str::to_owned), pin: None, required: config.sign_in.required },
        clock_is_right: false,
    };
    Ok((equipment, lock))
}

/// What labels look like.
pub fn pictures() -> Arc<dyn LabelPictures> {
    Arc::new(printer::Pictures)
}

/// Sounds and lights, where any are configured.
fn signals(config: &Config) -> Option<Arc<dyn Signals>> {
    (!config.signals.is_empty()).then(|| Arc::new(CommandSignals::new(config.signals.clone())) as _)
}

/// The window's choices, kept in the data directory over the next start.
pub struct KeptWindow {
    pub theme: Look,
    /// Keeps each theme that it is sent.
    pub chosen: tokio::sync::mpsc::Sender<Look>,
}

/// What was chosen in the window before, and a place for what is chosen now. Called on the runtime.
pub fn kept_window(config: &Config, data_dir: &Path) -> KeptWindow {
    let file = WindowFile::of(data_dir, config.window.theme);
    let (chosen, mut choices) = tokio::sync::mpsc::channel(16);
    let theme = file.look();
    tokio::spawn(async move {
        while let Some(look) = choices.recv().await {
            let file = file.clone();
            let kept = tokio::task::spawn_blocking(move || file.keep(look)).await;
            if let Err(error) = kept.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                tracing::warn!(%error, "the theme is not kept for the next start");
            }
        }
    });
    KeptWindow { theme, chosen }
}

/// What the targets know of CAs, with credentials from the default chain.
pub async fn authorities(config: &Config) -> Result<Arc<dyn Authorities>, Failure> {
    aws_iot::root_certificates()?;
    let authorities = AwsAuthorities::new(&config.targets).await;
    Ok(Arc::new(match rations(config)? {
        Some(rations) => authorities.sharing(&rations),
        None => authorities,
    }))
}

/// What the targets know of provisioning templates and claims, likewise.
pub async fn fleet(config: &Config) -> Result<AwsFleet, Failure> {
    aws_iot::root_certificates()?;
    let fleet = AwsFleet::new(&config.targets).await;
    Ok(match rations(config)? {
        Some(rations) => fleet.sharing(&rations),
        None => fleet,
    })
}

/// Where claims are written.
pub fn claim_folder(path: PathBuf) -> ClaimFolder {
    ClaimFolder::new(path)
}

/// The CA's private key, where one is configured.
pub fn ca_signer(config: &Config, ca: &Ca, data_dir: &Path) -> Option<Arc<dyn CaSigner>> {
    let name = ca.signing.name.clone();
    Some(match ca.key.as_ref()? {
        CaKey::File(path) => Arc::new(FileCaKey::new(name, path.clone())),
        CaKey::Token(token) => Arc::new(TokenCaKey::new(name, workers(config, data_dir), token)),
    })
}

/// A module runs as the same user as the station: what is pinned, and what AWS's keys are, it can neither read
/// nor write from there (prctl(2), PR_SET_DUMPABLE). Nor does a crash leave them on the disk.
pub fn keep_memory_private() -> std::io::Result<()> {
    crate::adapters::pkcs11::keep_memory_private()
}

/// Modules see neither the log, nor archives of it, nor the configuration.
fn workers(config: &Config, data_dir: &Path) -> WorkerTokens {
    let archives = data_dir.join(sqlite::ARCHIVES);
    let files: Vec<PathBuf> = config.files.iter().cloned().chain([archives]).collect();
    WorkerTokens::of_this_program(data_dir, &files)
}

/// The life of the PKCS#11 worker process.
pub fn worker_main() -> std::process::ExitCode {
    crate::adapters::pkcs11::worker_main()
}

/// This machine's ports.
pub fn boards(config: &Config) -> Box<dyn BoardSource> {
    Box::new(StationPorts::new(&config.detection))
}

/// What badges are hashed with.
pub fn badge_key(config: &Config, data_dir: &Path) -> Arc<dyn BadgeKey> {
    let path = config.sign_in.badge_key.clone().unwrap_or_else(|| data_dir.join(BadgeKeyFile::FILE));
    Arc::new(BadgeKeyFile::new(path))
}

/// The station's log, for writing in the operator's name.
pub async fn open_log(config: &Config, data_dir: &Path, operator: Option<&str>) -> Result<LogWriter, Failure> {
    named(open_records(config, data_dir).await?.log, operator).await
}

/// The same, with all that keeps its promises: for commands that write.
pub async fn open_kept_log(
    config: &Config,
    data_dir: &Path,
    operator: Option<&str>,
) -> Result<(LogWriter, Custody), Failure> {
    let Records { log, custody, .. } = open_records(config, data_dir).await?;
    Ok((named(log, operator).await?, custody))
}

async fn named(log: LogWriter, operator: Option<&str>) -> Result<LogWriter, Failure> {
    match operator {
        Some(name) => log.named(name).await,
        None => Ok(log),
    }
}

/// The log, the people behind it, and what keeps its promises.
pub struct Records {
    /// In nobody's name: privileged commands act in that of somebody who signed in.
    pub log: LogWriter,
    pub people: Arc<dyn People>,
    pub history: Arc<dyn History>,
    pub checkpoints: Arc<dyn Checkpoints>,
    pub imports: Arc<dyn Imports>,
    pub manifests: Arc<dyn Manifests>,
    pub archiving: Arc<dyn Archiving>,
    pub reports: Arc<dyn Reports>,
    pub custody: Custody,
}

/// The station's log, and the people behind it.
pub async fn open_records(config: &Config, data_dir: &Path) -> Result<Records, Failure> {
    records_with(config, data_dir, bucket(config).await?, postgres::open)
}

async fn bucket(config: &Config) -> Result<Option<Bucket>, Failure> {
    let Some(plan) = &config.log.s3 else { return Ok(None) };
    aws_iot::root_certificates()?;
    Ok(Some(Bucket::new(plan).await))
}

/// Where copies of the checkpoints go.
fn places(config: &Config, data_dir: &Path, bucket: Option<Bucket>) -> Vec<Arc<dyn CheckpointPlace>> {
    let memory = copies::Memory::of(data_dir);
    let folders = copies::directories(&config.log, data_dir).into_iter();
    let folders = folders.map(|folder| Arc::new(memory.place(folder)) as _);
    folders.chain(bucket.map(|bucket| Arc::new(memory.place(bucket)) as _)).collect()
}

/// `plants`: how the plant's database is opened.
fn records_with(
    config: &Config,
    data_dir: &Path,
    bucket: Option<Bucket>,
    plants: impl FnOnce(Connection) -> Result<LogStore, Failure>,
) -> Result<Records, Failure> {
    keep_practice_apart(config, data_dir)?;
    let store = Arc::new(match &config.log.postgres {
        Some(database) => plants(connection(config, data_dir, database)?)?,
        None => {
            Moved::of(data_dir).refuse()?;
            sqlite::open(&data_dir.join(sqlite::FILE))?
        }
    });
    Ok(records_of(config, data_dir, store, bucket))
}

fn records_of(config: &Config, data_dir: &Path, store: Arc<LogStore>, bucket: Option<Bucket>) -> Records {
    let log = LogWriter {
        store: store.clone(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        station: config.station.name.clone(),
        operator: None,
    };
    let custody = custody(config, data_dir, &store, bucket);
    Records {
        log,
        people: store.clone(),
        history: store.clone(),
        checkpoints: store.clone(),
        imports: store.clone(),
        manifests: store.clone(),
        archiving: store.clone(),
        reports: store,
        custody,
    }
}

fn connection(config: &Config, data_dir: &Path, database: &Postgres) -> Result<Connection, Failure> {
    let connection = postgres::connection(&database.connection, database.password_file.as_deref())?;
    Ok(connection.of_practice(config.station.practice).with_archives(archives_of(data_dir)))
}

/// The log and its people, only to be looked at.
pub struct Reading {
    pub store: Arc<dyn AuditStore>,
    pub history: Arc<dyn History>,
    pub people: Arc<dyn People>,
    pub manifests: Arc<dyn Manifests>,
}

/// Opens the station's log to read: nothing is created, migrated or locked. `None`: there is none yet.
pub fn open_reading(config: &Config, data_dir: &Path) -> Result<Option<Reading>, Failure> {
    let path = data_dir.join(sqlite::FILE);
    let store = match &config.log.postgres {
        Some(database) => postgres::open_reader(connection(config, data_dir, database)?)?,
        None if matches!(path.try_exists(), Ok(false)) => return Ok(None),
        None => sqlite::open_reader(&path)?,
    };
    let store = Arc::new(store);
    Ok(Some(Reading { store: store.clone(), history: store.clone(), people: store.clone(), manifests: store }))
}

/// What a person looks at a board's chip with.
pub fn eyes(log: Option<Reading>, config: &Config, data_dir: &Path) -> Eyes {
    Eyes {
        dialogue: Arc::new(SerialDialogue),
        tokens: Arc::new(workers(config, data_dir)),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy::new()),
        log: log.map(|log| (log.store, log.manifests)),
    }
}

/// A station works on this data directory.
pub fn station_works(data_dir: &Path) -> bool {
    StationLock::is_held(data_dir)
}

/// A port has one owner: O-606 where a station that runs on this data directory works with this board.
pub async fn leave_to_station(
    store: &dyn AuditStore,
    config: &Config,
    data_dir: &Path,
    device: &Device,
) -> Result<(), Failure> {
    if !station_works(data_dir) {
        // What is unfinished in the log was cut off.
        return Ok(());
    }
    for log in store.unfinished(&config.station.name).await? {
        let Some(Body::Run(RunEvent::RunStarted { lane, device: at, .. })) =
            log.events.first().map(|it| &it.event.body)
        else {
            continue;
        };
        if at.path == device.path {
            let cause = format!(
                "the station works with the board at {} (lane {lane}, run {}), and a port has one owner at a time: \
                 ask again when its verdict stands",
                device.path, log.run
            );
            return Err(Failure::new(ReasonCode::NOT_NOW, cause).with("port", &device.path));
        }
    }
    Ok(())
}

fn signer(config: &Config, data_dir: &Path) -> Arc<dyn LogSigner> {
    match &config.log.key {
        LogKey::File(path) => Arc::new(KeyFile::new(path.clone().unwrap_or_else(|| data_dir.join(KeyFile::FILE)))),
        LogKey::Token(token) => Arc::new(TokenSigner::new(workers(config, data_dir), token)),
    }
}

fn custody(config: &Config, data_dir: &Path, store: &Arc<LogStore>, bucket: Option<Bucket>) -> Custody {
    Custody {
        history: store.clone(),
        checkpoints: store.clone(),
        signer: signer(config, data_dir),
        places: places(config, data_dir, bucket),
        mark: Arc::new(MarkFile::of(data_dir)),
        seen: Arc::default(),
        origin: config.log.origin.clone(),
    }
}

/// Is every place for copies on the disk of the log itself, which counts as none? A place that is not there
/// now says so itself.
pub fn copies_are_on_the_logs_disk(config: &Config, data_dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    // Before the first start the folder is not there.
    let Some(log) = data_dir.ancestors().find_map(device) else { return false };
    config.log.s3.is_none() && config.log.copies.iter().all(|copies| device(copies) == Some(log))
}

/// Practice data and a real station's never share a folder: the first log made in it decides.
fn keep_practice_apart(config: &Config, data_dir: &Path) -> Result<(), Failure> {
    let mixed = |cause: String| Failure::new(ReasonCode::PRACTICE_MIXED, cause);
    let unwritable = |error: std::io::Error| {
        Failure::new(ReasonCode::STORE_FAILED, format!("{}: {error}", data_dir.display()))
            .with("path", data_dir.display())
    };
    let marker = data_dir.join("PRACTICE");
    let (marked, used) = (marker.exists(), data_dir.join(sqlite::FILE).exists());
    match (config.station.practice, marked, used) {
        (true, false, true) => Err(mixed(format!("{} holds a real station's log", data_dir.display()))),
        (false, true, _) => Err(mixed(format!("{} holds the practice line's log", data_dir.display()))),
        (true, false, false) => {
            std::fs::create_dir_all(data_dir).map_err(unwritable)?;
            std::fs::write(marker, "This log is the practice line's.\n").map_err(unwritable)
        }
        (true, true, _) | (false, false, _) => Ok(()),
    }
}

/// What the profile pins, as it stands today: K-701 or K-705 where no chip could be judged by it.
pub fn check_trust(trust: &Trust) -> Result<Pins, Failure> {
    checks::check_trust(trust, SystemClock.now())
}

/// The claim by which the profile's fleet is entered, where that is in files: A-365 where it could not be. No station
/// stops for it: its other products need none.
pub fn check_claim(profile: &Profile) -> Option<Result<(), Failure>> {
    let ClaimSource::Files { certificate, key } = &profile.register.method.fleet()?.claim else { return None };
    let targets = profile.register.targets.iter().map(|target| target.as_str()).collect::<Vec<_>>().join(" ");
    let unusable = |cause| Failure::new(ReasonCode::CLAIM_UNUSABLE, cause).with("target", targets);
    Some(mqtt::check_claim(certificate, key).map_err(unusable))
}

/// The practice vendor's CA vouches for nothing real.
fn refuse_practice_roots(config: &Config) -> Result<(), Failure> {
    let name = crate::practice::vendor::ROOT_NAME.as_bytes();
    let is_practice = |root: &Vec<u8>| root.windows(name.len()).any(|part| part == name);
    let trusting = config.profiles.iter().find(|profile| profile.trust.roots.iter().any(is_practice));
    match trusting {
        Some(profile) if !config.station.practice => {
            let cause =
                format!("profile {} trusts the practice vendor's CA, and this is no practice line", profile.name);
            Err(Failure::new(ReasonCode::PRACTICE_MIXED, cause))
        }
        _ => Ok(()),
    }
}

/// Where the practice line lives unless told otherwise: never a real station's folder.
pub fn practice_dir() -> PathBuf {
    let platform = directories::ProjectDirs::from("", "", "lineseal-practice");
    platform.map_or_else(|| PathBuf::from("lineseal-practice"), |dirs| dirs.data_dir().to_owned())
}

/// The operating system's random bytes.
pub fn entropy() -> Box<dyn Entropy> {
    Box::new(SystemEntropy::new())
}

/// The runtime that everything but the window runs on.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, format!("no threads to run on: {error}")))
}

/// Runs one command to its end.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(work);
    // A blocked system call of a lost port must not keep the command from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Set on Ctrl-C or SIGTERM; stays unset where the signals can't be taken.
pub fn stop_flag() -> Arc<std::sync::atomic::AtomicBool> {
    let flag = Arc::new(std::sync::atomic::AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, flag.clone()) {
            tracing::warn!(%error, signal, "the signal ends the program at once");
        }
    }
    flag
}

/// Resolves on Ctrl-C or SIGTERM, from this call on: one that comes before anybody waits is not lost.
pub fn stop_signal() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    use tokio::signal::unix::{SignalKind, signal};
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| {
        let stream = signal(kind);
        async {
            match stream {
                Ok(mut stream) => drop(stream.recv().await),
                Err(_) => std::future::pending().await,
            }
        }
    });
    Box::pin(async {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal, getpid, kill_process};

    #[tokio::test]
    async fn a_stop_that_comes_before_anybody_waits_for_it_is_not_lost() {
        let stop = super::stop_signal();
        kill_process(getpid(), Signal::INT).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(60), stop).await.unwrap();
    }
}
