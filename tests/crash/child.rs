//! The station as a process of its own: the real adapters on the parent's practice line. It tells the
//! parent what its snapshots show, a JSON object a line, and takes commands a line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::adapters::aws_iot::AwsCloud;
use lineseal::adapters::badge_key::BadgeKeyFile;
use lineseal::adapters::boards::{SerialDialogue, StationPorts};
use lineseal::adapters::issuing::HttpIssuing;
use lineseal::adapters::mqtt::{MqttConnections, MqttFleets};
use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, WorkerTokens};
use lineseal::adapters::printer;
use lineseal::adapters::sqlite::{self, StationLock};
use lineseal::adapters::system::{SystemClock, SystemEntropy};
use lineseal::config::{self, Config};
use lineseal::runner::people::Named;
use lineseal::runner::view::{Command, Health, LaneState, Snapshot};
use lineseal::runner::{self, Equipment, LogWriter, StationHandle};

use crate::stores::{Trouble, Troubled, kill_from, paper};

/// The environment that makes a child of this program.
pub const CONFIG: &str = "LINESEAL_TEST_STATION";
pub const DATA: &str = "LINESEAL_TEST_DATA";
pub const ACKNOWLEDGED: &str = "LINESEAL_TEST_ACKNOWLEDGED";
pub const KILL: &str = "LINESEAL_TEST_KILL";
pub const KEY: &str = "LINESEAL_TEST_CLOUD_KEY";
pub const SECRET: &str = "LINESEAL_TEST_CLOUD_SECRET";
/// Stands before each line for the parent, apart from what libtest says.
pub const MARK: char = '@';

/// The test as which a child starts; it calls [`live_if_asked`] first.
pub const ENTRY: &str = "matrix::killed_right_before_and_after_every_write";

/// Does not return in a child.
pub fn live_if_asked() {
    if let Some(config) = std::env::var_os(CONFIG) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live(Path::new(&config)));
        // Standard input has a thread of its own that nothing can wake.
        std::process::exit(0);
    }
}

async fn live(config: &Path) {
    let variable = |name: &str| std::env::var(name).unwrap();
    let config = load(config);
    let data = PathBuf::from(variable(DATA));
    let _lock = StationLock::take(&data).unwrap();
    let trouble = std::env::var(KILL).map_or(Trouble::None, |text| kill_from(&text));
    let store = sqlite::open(&data.join(sqlite::FILE)).unwrap();
    let store = Troubled::new(store, trouble).noting(Path::new(&variable(ACKNOWLEDGED)));
    let credentials = Credentials::new(variable(KEY), variable(SECRET), None, None, "practice");
    let mut station =
        runner::start(config.clone(), equip(&config, store, &data, SharedCredentialsProvider::new(credentials)));
    let commands = station.commands.clone();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let _ = commands.blocking_send(command(&line.unwrap()));
        }
        let _ = commands.blocking_send(Command::Stop);
    });
    while station.snapshots.changed().await.is_ok() {
        say(&shown(&station.snapshots.borrow_and_update()));
    }
    let StationHandle { task, .. } = station;
    task.await.unwrap().unwrap();
}

/// The practice line's configuration, which gives up on the cloud sooner.
pub fn load(path: &Path) -> Arc<Config> {
    let mut config = config::load(path).unwrap_or_else(|errors| panic!("{errors}"));
    for profile in &mut config.profiles {
        profile.register.deadline = Duration::from_secs(6);
    }
    Arc::new(config)
}

/// As `bootstrap` equips a station, but for the store and the program that the workers are.
pub fn equip(config: &Config, store: Troubled, data: &Path, credentials: SharedCredentialsProvider) -> Equipment {
    let people = store.people();
    Equipment {
        custody: store.custody(data),
        boards: Box::new(StationPorts::new(&config.detection)),
        dialogue: Arc::new(SerialDialogue),
        tokens: Arc::new(WorkerTokens::new(env!("CARGO_BIN_EXE_lineseal"), [WORKER_ARGUMENT.into()])),
        cloud: Arc::new(AwsCloud::with_credentials(&config.targets, credentials)),
        connections: Arc::new(MqttConnections::new(&config.targets)),
        issuing: Arc::new(HttpIssuing),
        fleets: Arc::new(MqttFleets::new(Arc::new(MqttConnections::new(&config.targets)))),
        printer: printer::from_config(&config.printer),
        pictures: Arc::new(printer::Pictures),
        signals: None,
        settings: None,
        examiner: None,
        log: LogWriter {
            store: Arc::new(store),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::new()),
            station: config.station.name.clone(),
            operator: None,
        },
        people,
        badges: Arc::new(BadgeKeyFile::new(data.join(BadgeKeyFile::FILE))),
        operator: Named::default(),
        clock_is_right: false,
    }
}

fn command(line: &str) -> Command {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["stop"] => Command::Stop,
        ["resume"] => Command::ResumeHeld,
        ["scan", text] => Command::Scan(text.to_owned()),
        ["settle", run, printed] => {
            Command::SettleLabel { run: run.parse().unwrap(), printed: printed.parse().unwrap() }
        }
        _ => panic!("{line:?} is no command"),
    }
}

/// What a snapshot shows, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Shown {
    pub lanes: Vec<ShownLane>,
    /// Runs whose label's fate the station asks for.
    pub questions: Vec<String>,
    pub notice: Option<String>,
    /// The log's latest failure.
    pub log: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ShownLane {
    /// `free`, `running`, `refused` or `finished`.
    pub state: String,
    pub serial: Option<String>,
    pub verdict: Option<String>,
    /// Of a finished run: its reason's code; of a refused one: why.
    pub code: Option<String>,
    pub label: Option<String>,
    pub slip: Option<u64>,
}

pub fn shown(snapshot: &Snapshot) -> Shown {
    let lane = |state: &LaneState| {
        let mut lane =
            ShownLane { state: "free".into(), serial: None, verdict: None, code: None, label: None, slip: None };
        match state {
            LaneState::Free => {}
            LaneState::Waiting => lane.state = "waiting".into(),
            LaneState::Running { serial, .. } => {
                lane.state = "running".into();
                lane.serial = serial.as_ref().map(ToString::to_string);
            }
            LaneState::Finished { serial, verdict, reason, slip, label, .. } => {
                lane.state = "finished".into();
                lane.serial = serial.as_ref().map(ToString::to_string);
                lane.verdict = Some(verdict.as_str().to_owned());
                lane.code = reason.as_ref().map(|failure| failure.code.to_string());
                lane.label = label.map(|label| paper(label).to_owned());
                lane.slip = *slip;
            }
            LaneState::Refused { failure } => {
                lane.state = "refused".into();
                lane.code = Some(failure.code.to_string());
            }
        }
        lane
    };
    Shown {
        lanes: snapshot.lanes.iter().map(|view| lane(&view.state)).collect(),
        questions: snapshot.questions.iter().map(|question| question.run.to_string()).collect(),
        notice: snapshot.notice.as_ref().map(|failure| failure.code.to_string()),
        log: match &snapshot.log {
            Health::Bad(failure) => Some(failure.code.to_string()),
            Health::Good | Health::Unknown => None,
        },
    }
}

/// Past libtest's capture, on a line of its own.
fn say(shown: &Shown) {
    let line = format!("\n{MARK}{}\n", serde_json::to_string(shown).unwrap());
    let mut out = std::io::stdout().lock();
    // The parent may be gone.
    let _ = out.write_all(line.as_bytes()).and_then(|()| out.flush());
}
