//! The test's side: the practice line that lives on, stations that are started and killed, and what
//! the log, the cloud and the paper say afterwards.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::audit::event::Standing;
use lineseal::audit::{Body, Event, LeafHash, RunEvent, TreeState};
use lineseal::domain::profile::ConnectMode;
use lineseal::domain::{LaneNumber, RunId, Verdict};
use lineseal::ports::AuditStore as _;
use lineseal::practice::line::{PracticeLine, PracticePlan};
use lineseal::provisioning::Run;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::child::{self, Shown, ShownLane};
use crate::fleet_peer::FleetPeer;
use crate::register_thing::RegisterThing;
use crate::stores::Side;

/// Longer than anything here takes on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A practice line with one lane, and the station's data.
pub struct Bench {
    pub line: PracticeLine,
    cloud: Client,
    data: PathBuf,
    acknowledged: PathBuf,
    /// What stands between the station and the cloud, where the method needs more than MiniStack answers.
    _peer: Option<Box<dyn Any + Send + Sync>>,
    /// Certificates of the cloud that are no unit's: a claim.
    others: usize,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Bench {
        Self::with(None).await
    }

    /// Each chip has to connect to the cloud by itself.
    pub async fn connecting() -> Bench {
        Self::with(Some(ConnectMode::Required)).await
    }

    /// And each has a certificate made for its key.
    pub async fn requesting() -> Bench {
        let bench = Self::connecting().await;
        let profile = bench.line.config_file().parent().unwrap().join("assets/practice.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        std::fs::write(&profile, text.replace("method = \"without-ca\"", "method = \"csr\"")).unwrap();
        bench
    }

    /// And each is made by RegisterThing.
    pub async fn by_template() -> Bench {
        let mut bench = Self::connecting().await;
        let cloud = bench.line.cloud();
        let peer = RegisterThing::before(cloud.address().port(), cloud.region().as_str()).await;
        bench.rewire("endpoint = ", &format!("\"http://127.0.0.1:{}\"", peer.port));
        let mut template = unit_template("Certificate");
        template["Parameters"]["Certificate"] = json!({ "Type": "String" });
        bench.in_profile(
            "template",
            "[register.template]\nfile = \"template.json\"\n\
             parameters = { SerialNumber = \"{serial}\", Certificate = \"{certificate_id}\" }\n",
        );
        std::fs::write(bench.assets().join("template.json"), template.to_string()).unwrap();
        bench._peer = Some(Box::new(peer));
        bench
    }

    /// Each gets in by a claim. Its broker allows every topic, so no chip connects.
    pub async fn in_a_fleet() -> Bench {
        let mut bench = Self::connecting().await;
        let cloud = bench.line.cloud();
        let devices = cloud.mtls_ca().unwrap().to_owned();
        let peer = FleetPeer::before(cloud.address().port(), cloud.region().as_str(), &devices).await;
        let mut template = unit_template("AWS::IoT::Certificate::Id");
        template["Parameters"]["AWS::IoT::Certificate::Id"] = json!({ "Type": "String" });
        let made = bench.cloud.create_provisioning_template().template_name("meters").enabled(true);
        let role = "arn:aws:iam::000000000000:role/lineseal-fleet";
        made.template_body(template.to_string()).provisioning_role_arn(role).send().await.unwrap();
        let claim = bench.cloud.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
        let (pem, key) = (claim.certificate_pem.unwrap(), claim.key_pair.unwrap().private_key.unwrap());
        std::fs::write(bench.assets().join("claim.pem"), pem).unwrap();
        std::fs::write(bench.assets().join("claim.key"), key).unwrap();
        let secret = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(bench.assets().join("claim.key"), secret).unwrap();
        std::fs::write(bench.assets().join("fleet-ca.pem"), &peer.ca).unwrap();
        bench.rewire("mqtt = ", &format!("\"localhost:{}\"", peer.port));
        bench.rewire("mqtt_roots = ", "[\"assets/fleet-ca.pem\"]");
        bench.in_profile(
            "fleet",
            "[register.fleet]\ntemplate = \"meters\"\nparameters = { SerialNumber = \"{serial}\" }\n\
             claim = { certificate = \"claim.pem\", key = \"claim.key\" }\n",
        );
        let profile = bench.assets().join("practice.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        assert!(text.contains("mode = \"required\""), "{text}");
        std::fs::write(&profile, text.replace("mode = \"required\"", "mode = \"off\"")).unwrap();
        bench._peer = Some(Box::new(peer));
        bench.others = 1;
        bench
    }

    fn assets(&self) -> PathBuf {
        self.line.config_file().parent().unwrap().join("assets")
    }

    /// Another value for the line of the station's file that begins so.
    fn rewire(&self, key: &str, value: &str) {
        let path = self.line.config_file();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().any(|line| line.starts_with(key)), "{text}");
        let new = |line: &str| if line.starts_with(key) { format!("{key}{value}\n") } else { format!("{line}\n") };
        std::fs::write(path, text.lines().map(new).collect::<String>()).unwrap();
    }

    fn in_profile(&self, method: &str, section: &str) {
        let profile = self.assets().join("practice.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        let text = text.replace("method = \"without-ca\"", &format!("method = {method:?}"));
        std::fs::write(&profile, text.replace("\n# Each chip connects", &format!("\n{section}\n# Each chip connects")))
            .unwrap();
    }

    async fn with(connect: Option<ConnectMode>) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let venv = std::env::var_os("LINESEAL_TEST_VENV").expect("LINESEAL_TEST_VENV names the peers' environment");
        let plan = PracticePlan {
            dir: folder.path().join("line"),
            venv: venv.into(),
            maker: env!("CARGO_BIN_EXE_lineseal").into(),
            lanes: 1,
            connect,
        };
        let line = PracticeLine::start(plan, lineseal::bootstrap::entropy()).await.unwrap();
        let cloud = aws_sdk_iot::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(line.cloud().region().to_string()))
            .endpoint_url(line.cloud().endpoint())
            // MiniStack's root, who may list everything; the station's user may not.
            .credentials_provider(Credentials::new("test", "unchecked", None, None, "test"))
            .build();
        Bench {
            cloud: Client::from_conf(cloud),
            data: line.data_dir(),
            acknowledged: folder.path().join("acknowledged"),
            _peer: None,
            others: 0,
            line,
            _folder: folder,
        }
    }

    /// A new good board in the lane; its serial number.
    pub async fn plug(&mut self) -> String {
        self.line.plug(lane(), None).await.unwrap()
    }

    pub fn unplug(&mut self) {
        self.line.unplug(lane());
    }

    /// A station that lives until it is told to stop.
    pub fn station(&self) -> Station {
        self.start(None)
    }

    /// A station that dies at its `write`th write to the store.
    pub fn doomed(&self, write: u64, side: Side) -> Station {
        self.start(Some(format!("{write} {side:?}")))
    }

    fn start(&self, kill: Option<String>) -> Station {
        let credentials = self.line.cloud().credentials();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", child::ENTRY, "--nocapture"])
            .env(child::CONFIG, self.line.config_file())
            .env(child::DATA, &self.data)
            .env(child::ACKNOWLEDGED, &self.acknowledged)
            .env(child::KEY, credentials.access_key_id())
            .env(child::SECRET, credentials.secret_access_key())
            .env_remove(child::KILL)
            .envs(kill.map(|kill| (child::KILL, kill)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Station { process, input, lines: BufReader::new(output).lines(), shown: Shown::default() }
    }

    /// Every event, oldest first, from the bytes alone: their numbers have no gap, their hashes and
    /// the stored root are right, and all that the store ever acknowledged is there.
    pub fn log(&self) -> Vec<Event> {
        let path = self.data.join(sqlite::FILE);
        if !path.exists() {
            return Vec::new();
        }
        // A station may be writing: first what was acknowledged, then one moment of the log.
        let acknowledged = whole_lines(&self.acknowledged);
        let mut connection = Connection::open(&path).unwrap();
        let transaction = connection.transaction().unwrap();
        let mut statement = transaction.prepare("SELECT seq, bytes, leaf_hash FROM events ORDER BY seq").unwrap();
        let mut rows = statement.query([]).unwrap();
        let (mut tree, mut events) = (TreeState::default(), Vec::new());
        while let Some(row) = rows.next().unwrap() {
            let bytes: Vec<u8> = row.get(1).unwrap();
            assert_eq!(row.get::<_, i64>(0).unwrap(), i64::try_from(tree.size()).unwrap(), "a gap");
            let leaf = LeafHash::of(&bytes);
            assert_eq!(row.get::<_, [u8; 32]>(2).unwrap(), leaf.0);
            tree.append(leaf);
            events.push(Event::decode(&bytes).unwrap());
        }
        let (size, root): (i64, [u8; 32]) = transaction
            .query_row("SELECT size, root FROM tree_head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!((size, root), (i64::try_from(tree.size()).unwrap(), tree.head().root), "the stored tree head");
        let numbers: HashMap<String, usize> =
            events.iter().enumerate().map(|(number, event): (usize, &Event)| (event.id.to_string(), number)).collect();
        for line in acknowledged {
            let (id, number) = line.split_once(' ').unwrap();
            assert_eq!(numbers.get(id), Some(&number.parse().unwrap()), "acknowledged, then lost");
        }
        events
    }

    /// The runs of a board, oldest first, as far as they had come to know its serial number. Every run
    /// of the log can be told.
    pub async fn runs(&self, serial: &str) -> Vec<Run> {
        self.log();
        let store = self.reader();
        let mut runs: BTreeMap<u64, Run> = BTreeMap::new();
        for run in self.run_ids() {
            let log = store.run(run).await.unwrap().unwrap();
            let run = Run::fold(&log.events).unwrap_or_else(|illegal| panic!("{illegal}: {log:#?}"));
            if run.unit.as_ref().is_some_and(|unit| unit.serial.as_str() == serial) {
                runs.insert(run.first_seq, run);
            }
        }
        runs.into_values().collect()
    }

    fn run_ids(&self) -> Vec<RunId> {
        let mut ids: Vec<RunId> = self.log().into_iter().filter_map(|event| event.run).collect();
        ids.dedup();
        ids.sort();
        ids.dedup();
        ids
    }

    fn reader(&self) -> LogStore {
        sqlite::open_reader(&self.data.join(sqlite::FILE)).unwrap()
    }

    /// Runs whose label is owed or in question.
    pub async fn unsettled(&self) -> Vec<String> {
        let runs = self.reader().unsettled_labels(&self.line.config().station.name).await.unwrap();
        runs.into_iter().map(|log| log.run.to_string()).collect()
    }

    /// How many labels (not slips) of this board came out.
    pub fn labels(&self, serial: &str) -> usize {
        self.paper(serial).iter().filter(|zpl| !zpl.contains("SLIP-")).count()
    }

    pub fn slips(&self, serial: &str) -> usize {
        self.paper(serial).iter().filter(|zpl| zpl.contains("SLIP-")).count()
    }

    fn paper(&self, serial: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.line.labels()).into_iter().flatten().map(|entry| entry.unwrap().path());
        let labels = files.filter(|path| path.extension().is_some_and(|extension| extension == "zpl"));
        labels.map(|path| std::fs::read_to_string(path).unwrap()).filter(|zpl| zpl.contains(serial)).collect()
    }

    /// After the last station has ended: the board passed, every run has its verdict, the cloud holds
    /// it once, nothing is owed, and the label came out as often as it should.
    pub async fn accounts(&self, serial: &str, labels: usize) {
        let runs = self.runs(serial).await;
        let last = runs.last().unwrap_or_else(|| panic!("{serial} never ran"));
        assert_eq!(last.verdict(), Some(Verdict::Pass), "{serial}: {last:#?}");
        for run in &runs {
            assert!(run.verdict().is_some(), "a run was left open: {run:#?}");
            assert_ne!(run.verdict(), Some(Verdict::Fail), "a good board failed: {run:#?}");
        }
        assert_eq!(self.unsettled().await, [] as [String; 0], "paper is owed");
        assert_eq!(self.labels(serial), labels, "labels of {serial}");

        let events = self.log();
        let run_of = |event: &&Event| event.run.is_some_and(|id| runs.iter().any(|run| run.id == id));
        let (mut bound, mut created) = (0, 0);
        for event in events.iter().filter(run_of) {
            match &event.body {
                Body::Run(RunEvent::Claimed { standing: Standing::New, .. }) => bound += 1,
                Body::Run(RunEvent::Registered { target }) => {
                    created += usize::from(target.created.iter().any(|part| part == "certificate"));
                }
                _ => {}
            }
        }
        assert_eq!(bound, 1, "one claim makes the binding, the others find it");
        assert!(created <= 1, "the certificate was made {created} times");
        self.in_the_cloud(serial, last).await;
    }

    /// One thing, its one certificate (that of the chip, or the one made for its key, ACTIVE), one policy on it; and in the whole
    /// account as many of each as boards.
    async fn in_the_cloud(&self, serial: &str, run: &Run) {
        let thing = format!("practice-{serial}");
        assert_eq!(run.intent.as_ref().unwrap().thing.as_str(), thing);
        let principals = self.cloud.list_thing_principals().thing_name(&thing).send().await.unwrap();
        let [principal] = principals.principals() else { panic!("{thing}: {principals:?}") };
        let id = run.registered_fingerprint().unwrap().to_string();
        assert!(principal.ends_with(&format!(":cert/{id}")), "{principal}");
        let certificate = self.cloud.describe_certificate().certificate_id(&id).send().await.unwrap();
        let certificate = certificate.certificate_description().unwrap();
        assert_eq!(certificate.status(), Some(&aws_sdk_iot::types::CertificateStatus::Active));
        let policies = self.cloud.list_attached_policies().target(principal).send().await.unwrap();
        assert_eq!(policies.policies().len(), 1, "{policies:?}");
        let things = self.cloud.list_principal_things().principal(principal).send().await.unwrap();
        assert_eq!(things.things(), [thing]);
    }

    /// The whole account holds this many units, and nothing else.
    pub async fn count_in_the_cloud(&self, units: usize) {
        let certificates = self.cloud.list_certificates().page_size(250).send().await.unwrap();
        let things = self.cloud.list_things().max_results(250).send().await.unwrap();
        assert_eq!((certificates.certificates().len() - self.others, things.things().len()), (units, units));
    }

    /// Sees the board in the lane through to PASS with a station that is not killed, answers what it
    /// asks by what is on the paper, and ends it.
    ///
    /// Returns how often it asked.
    pub async fn settle_down(&self, serial: &str) -> usize {
        let mut station = self.station();
        station.until("PASS", |shown| passed(shown, serial)).await;
        let asked = self.settle(&mut station, serial, |labels| labels > 0).await;
        station.stop().await;
        asked
    }

    /// Waits until nothing is owed but what the station asks for, and answers that with `printed` (of
    /// the number of labels that came out).
    pub async fn settle(&self, station: &mut Station, serial: &str, printed: impl Fn(usize) -> bool) -> usize {
        let mut asked = 0;
        let by = Instant::now() + PATIENCE;
        loop {
            let owed = self.unsettled().await;
            if owed.is_empty() {
                return asked;
            }
            station.look().await;
            if owed == station.shown.questions {
                let [run] = &owed[..] else { panic!("{owed:?}") };
                asked += 1;
                let answer = printed(self.labels(serial));
                station.tell(&format!("settle {run} {answer}")).await;
                station.until("no question", |shown| shown.questions.is_empty()).await;
            }
            assert!(Instant::now() < by, "{owed:?} stays owed; {:?}", station.shown);
        }
    }
}

pub fn passed(shown: &Shown, serial: &str) -> bool {
    finished(shown, serial, "PASS")
}

pub fn finished(shown: &Shown, serial: &str, verdict: &str) -> bool {
    shown.lanes.iter().any(|lane| lane.serial.as_deref() == Some(serial) && lane.verdict.as_deref() == Some(verdict))
}

/// Makes what the practice profile says of a unit.
fn unit_template(certificate: &str) -> Value {
    json!({
        "Parameters": { "SerialNumber": { "Type": "String" } },
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Fn::Join": ["-", ["practice", { "Ref": "SerialNumber" }]] },
                "ThingTypeName": "practice-board",
                "AttributePayload": { "product": "practice-board" },
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": certificate }, "Status": "ACTIVE",
            } },
            "policy": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": "practice-device" } },
        },
    })
}

fn lane() -> LaneNumber {
    LaneNumber::try_from(1).unwrap()
}

/// The last line may have been cut off by the kill.
fn whole_lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(str::to_owned).collect()
}

/// A station's process.
pub struct Station {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    /// Its latest snapshot.
    pub shown: Shown,
}

impl Station {
    pub fn lane(&self) -> Option<&ShownLane> {
        self.shown.lanes.first()
    }

    pub async fn tell(&mut self, line: &str) {
        // A station that has just died can't be told anything.
        let _ = self.input.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// Waits for a snapshot in which `holds`.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Shown) -> bool) {
        assert!(self.until_or_death(what, holds).await, "the station died before {what}");
    }

    /// As [`until`](Self::until); `false` when the station died before that.
    pub async fn until_or_death(&mut self, what: &str, holds: impl Fn(&Shown) -> bool) -> bool {
        let seen = timeout(PATIENCE, async {
            while !holds(&self.shown) {
                if !self.next().await {
                    return false;
                }
            }
            true
        });
        match seen.await {
            Ok(seen) => seen,
            Err(_) => panic!("no {what} within {PATIENCE:?}: {:?}", self.shown),
        }
    }

    /// Takes a snapshot if one comes soon.
    pub async fn look(&mut self) {
        let _ = timeout(Duration::from_millis(20), self.next()).await;
    }

    pub fn is_dead(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// The next snapshot; `false` at the end of the process.
    async fn next(&mut self) -> bool {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some(json) = line.strip_prefix(child::MARK) {
                self.shown = serde_json::from_str(json).unwrap();
                return true;
            }
        }
        false
    }

    /// SIGKILL, now.
    pub async fn kill(mut self) {
        self.process.start_kill().unwrap();
        assert!(killed(self.ended().await));
    }

    /// Ends it as a person would; it says goodbye in the log.
    pub async fn stop(mut self) {
        self.tell("stop").await;
        let status = self.ended().await;
        assert!(status.success(), "{status}");
    }

    /// As [`stop`](Self::stop); `true` when it was killed on its way out instead.
    pub async fn stop_or_death(mut self) -> bool {
        self.tell("stop").await;
        let status = self.ended().await;
        assert!(status.success() || killed(status), "{status}");
        killed(status)
    }

    /// It was to die by itself, and by SIGKILL.
    pub async fn died(mut self) {
        let status = self.ended().await;
        assert!(killed(status), "{status}");
    }

    async fn ended(&mut self) -> ExitStatus {
        while timeout(PATIENCE, self.next()).await.expect("it ends") {}
        timeout(PATIENCE, self.process.wait()).await.expect("it ends").unwrap()
    }
}

fn killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}
