//! The stand-ins of one practice session: a jig of pseudo-terminal boards with SoftHSM chips, a cloud
//! behind a proxy, a printer. All of it lives in one folder and on loopback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;

use super::board::{Behaviour, PtyBoard};
use super::cloud::{MiniStack, MiniStackPlan};
use super::fault::Fault;
use super::printer::PracticePrinter;
use super::proxy::Proxy;
use super::setup;
use super::token::{SoftHsm, TokenDir};
use super::vendor::{Validity, VendorCa};
use crate::config::{self, Config};
use crate::domain::profile::{ConnectMode, KeyKind};
use crate::domain::{ChipUid, LaneNumber};
use crate::ports::Entropy;

/// Where a practice line lives and what it is made with.
#[derive(Debug, Clone)]
pub struct PracticePlan {
    /// Everything it writes goes here.
    pub dir: PathBuf,
    /// The Python environment with MiniStack.
    pub venv: PathBuf,
    /// The program that makes tokens: this one, or the tests' build of it.
    pub maker: PathBuf,
    pub lanes: u8,
    /// Each chip connects to the cloud by itself.
    pub connect: Option<ConnectMode>,
}

#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    #[error("the practice line's files")]
    Files(#[from] std::io::Error),
    #[error("the practice line's cloud: {0}")]
    Cloud(#[from] super::cloud::MiniStackError),
    #[error("a practice token: {0}")]
    Token(#[from] super::token::TokenError),
    #[error("the practice vendor's CA: {0}")]
    Vendor(#[from] super::vendor::VendorError),
    #[error("the practice line's own configuration is wrong:\n{0}")]
    Config(config::ConfigErrors),
    #[error("{0}")]
    Value(#[from] crate::domain::Invalid),
    #[error("no random bytes: {0}")]
    Random(crate::domain::Failure),
    #[error("a task of the practice line ended by itself")]
    Task(#[from] tokio::task::JoinError),
    #[error("{0} holds something that is not a practice line's: name an empty folder with --data-dir")]
    NotPractice(PathBuf),
    #[error("another practice line works in {0}")]
    Taken(PathBuf),
}

/// How long a board of the fault `unplugged` takes to answer: the cable is pulled meanwhile.
const SLOW_ANSWER: Duration = Duration::from_secs(20);

/// A running practice line.
pub struct PracticeLine {
    plan: PracticePlan,
    config: Config,
    soft_hsm: SoftHsm,
    vendor: VendorCa,
    foreign: VendorCa,
    cloud: MiniStack,
    pub proxy: Proxy,
    pub printer: PracticePrinter,
    entropy: Box<dyn Entropy>,
    jig: BTreeMap<LaneNumber, Plugged>,
    /// Stands in every serial number: boards of another session are other boards.
    session: String,
    made: u32,
    /// A chip that was provisioned before, for the faults that copy one.
    donor: Option<Chip>,
    /// Locked as long as this line lives.
    _taken: std::fs::File,
}

struct Plugged {
    board: PtyBoard,
    serial: String,
    fault: Option<Fault>,
}

#[derive(Clone)]
struct Chip {
    token: TokenDir,
    uid: ChipUid,
    certificate: Vec<u8>,
}

impl PracticeLine {
    /// Sets everything up and returns when the cloud answers.
    pub async fn start(plan: PracticePlan, entropy: Box<dyn Entropy>) -> Result<Self, PracticeError> {
        let taken = take(&plan.dir)?;
        for stale in [setup::PORTS, setup::TOKENS, setup::CHIPS] {
            let dir = plan.dir.join(stale);
            if dir.exists() {
                std::fs::remove_dir_all(&dir)?;
            }
            std::fs::create_dir_all(&dir)?;
        }
        let soft_hsm = SoftHsm::find()?;
        let vendor = VendorCa::load_or_create(&plan.dir.join(setup::VENDOR))?;
        let foreign = VendorCa::create_foreign()?;
        let cloud = MiniStack::start(&MiniStackPlan {
            venv: plan.venv.clone(),
            folder: plan.dir.join(setup::CLOUD),
            state: Some(plan.dir.join(setup::CLOUD).join("state")),
            port: None,
            mtls: plan.connect.is_some(),
        })
        .await?;
        let proxy = Proxy::start(cloud.address()).await?;
        let printer = PracticePrinter::start(plan.dir.join(setup::LABELS)).await?;
        let path = setup::write(&setup::Wiring {
            dir: &plan.dir,
            module: &soft_hsm.module,
            endpoint: &proxy.endpoint(),
            region: cloud.region(),
            printer: printer.address(),
            lanes: plan.lanes,
            broker: plan
                .connect
                .and_then(|mode| Some(setup::Broker { port: cloud.mtls_port()?, ca: cloud.mtls_ca()?, mode })),
        })?;
        let config = config::load(&path).map_err(PracticeError::Config)?;
        let mut session = [0; 3];
        entropy.fill(&mut session).map_err(PracticeError::Random)?;
        Ok(Self {
            plan,
            config,
            soft_hsm,
            vendor,
            foreign,
            cloud,
            proxy,
            printer,
            entropy,
            jig: BTreeMap::new(),
            session: hex::encode_upper(session),
            made: 0,
            donor: None,
            _taken: taken,
        })
    }

    /// The station's configuration for this line; also the file `lineseal.toml` in its folder.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All that this line is made of.
    pub fn dir(&self) -> &Path {
        &self.plan.dir
    }

    pub fn config_file(&self) -> PathBuf {
        self.plan.dir.join(setup::STATION_FILE)
    }

    pub fn labels(&self) -> PathBuf {
        self.plan.dir.join(setup::LABELS)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.plan.dir.join(setup::DATA)
    }

    /// For the practice cloud only; of no use anywhere else.
    pub fn credentials(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(self.cloud.credentials())
    }

    /// The cloud itself, past the proxy.
    pub fn cloud(&self) -> &MiniStack {
        &self.cloud
    }

    pub fn lanes(&self) -> impl Iterator<Item = LaneNumber> + use<> {
        (1..=self.plan.lanes).filter_map(|number| LaneNumber::try_from(number).ok())
    }

    /// The serial number and fault of the board in a lane.
    pub fn plugged(&self, lane: LaneNumber) -> Option<(&str, Option<Fault>)> {
        self.jig.get(&lane).map(|plugged| (plugged.serial.as_str(), plugged.fault))
    }

    /// Makes a board and plugs it into `lane`, whose old board is unplugged first; returns the
    /// serial number. Faults of the line's surroundings make a good board.
    pub async fn plug(&mut self, lane: LaneNumber, fault: Option<Fault>) -> Result<String, PracticeError> {
        self.unplug(lane);
        let serial = self.make_board(lane, fault).await?;
        let behaviour = match fault {
            Some(Fault::SilentBoard) => Behaviour::Silent,
            Some(Fault::BoardExchanged) => Behaviour::Exchanged,
            Some(Fault::Unplugged) => Behaviour::Delayed(SLOW_ANSWER),
            _ => Behaviour::Normal,
        };
        self.place(lane, serial.clone(), behaviour, fault)?;
        Ok(serial)
    }

    /// A good board for every empty lane, all of them made before the first is plugged in: they come at one stroke.
    pub async fn plug_all(&mut self) -> Result<(), PracticeError> {
        let mut boards = Vec::new();
        for lane in self.lanes().filter(|lane| !self.jig.contains_key(lane)).collect::<Vec<_>>() {
            boards.push((lane, self.make_board(lane, None).await?));
        }
        boards.into_iter().try_for_each(|(lane, serial)| self.place(lane, serial, Behaviour::Normal, None))
    }

    /// Plugs a board of the caller's own making: serial number and behaviour as said, over whatever
    /// chip lies in the lane's token folder.
    pub fn plug_as(&mut self, lane: LaneNumber, serial: &str, behaviour: Behaviour) -> Result<(), PracticeError> {
        self.unplug(lane);
        self.place(lane, serial.to_owned(), behaviour, None)
    }

    /// Pulls the cable.
    pub fn unplug(&mut self, lane: LaneNumber) -> Option<String> {
        self.jig.remove(&lane).map(|plugged| {
            plugged.board.unplug();
            plugged.serial
        })
    }

    /// Where the chip of a lane's board keeps its token.
    pub fn token_dir(&self, lane: LaneNumber) -> PathBuf {
        self.plan.dir.join(setup::TOKENS).join(setup::port_name(lane))
    }

    fn place(
        &mut self,
        lane: LaneNumber,
        serial: String,
        behaviour: Behaviour,
        fault: Option<Fault>,
    ) -> Result<(), PracticeError> {
        let ports = self.plan.dir.join(setup::PORTS);
        let board = PtyBoard::plug(&ports, &setup::port_name(lane), &serial, behaviour)?;
        self.jig.insert(lane, Plugged { board, serial, fault });
        Ok(())
    }

    /// Returns the serial number; the chip's token lies where the lane's board will have it.
    async fn make_board(&mut self, lane: LaneNumber, fault: Option<Fault>) -> Result<String, PracticeError> {
        self.made += 1;
        let serial = format!("PR-{}-{:03}", self.session, self.made);
        let dir = self.token_dir(lane);
        if dir.exists() {
            std::fs::remove_dir_all(&dir)?;
        }
        self.make_chip(&dir, fault).await?;
        Ok(serial)
    }

    async fn make_chip(&mut self, dir: &Path, fault: Option<Fault>) -> Result<(), PracticeError> {
        if fault == Some(Fault::Duplicate)
            && let Some(donor) = self.donor.clone()
        {
            let dir = dir.to_owned();
            blocking(move || donor.token.copy_to(&dir)).await?;
            return Ok(());
        }
        let kind = if self.made.is_multiple_of(2) { KeyKind::Rsa2048 } else { KeyKind::EcP256 };
        let (token, spki) = self.make_token(dir, kind).await?;
        let uid = self.new_uid()?;
        let issue = |ca: &VendorCa, validity| ca.issue(&spki, &uid, validity);
        let certificate = match fault {
            Some(Fault::ForeignCa) => issue(&self.foreign, Validity::Good)?,
            Some(Fault::Expired) => issue(&self.vendor, Validity::Expired)?,
            _ => issue(&self.vendor, Validity::Good)?,
        };
        let mut chip = Chip { token, uid, certificate };
        if fault == Some(Fault::CertificateCopied) {
            // What a counterfeiter can read from a genuine chip, and nothing that it keeps to itself.
            let genuine = match self.donor.clone() {
                Some(donor) => donor,
                None => self.make_donor(kind).await?,
            };
            (chip.uid, chip.certificate) = (genuine.uid, genuine.certificate);
        }
        let filled = chip.clone();
        blocking(move || {
            filled.token.import_certificate(setup::CERTIFICATE_LABEL, setup::KEY_ID, &filled.certificate)?;
            filled.token.import_data(setup::UID_LABEL, &uid_bytes(&filled.uid))?;
            match fault {
                Some(Fault::KeyMissing) => filled.token.delete_key(setup::KEY_LABEL),
                Some(Fault::HungToken) => filled.token.hang(),
                _ => Ok(()),
            }
        })
        .await?;
        if fault.is_none() {
            // The lane's folder is made anew for the next board: the donor is a copy of its own.
            let kept = self.plan.dir.join(setup::CHIPS).join(format!("donor-{}", self.made));
            let from = chip.token.clone();
            chip.token = blocking(move || from.copy_to(&kept)).await?;
            if let Some(old) = self.donor.replace(chip) {
                std::fs::remove_dir_all(old.token.path())?;
            }
        }
        Ok(())
    }

    /// A genuine chip that never was on a board.
    async fn make_donor(&mut self, kind: KeyKind) -> Result<Chip, PracticeError> {
        let dir = self.plan.dir.join(setup::CHIPS).join(format!("donor-{}", self.made));
        let (token, spki) = self.make_token(&dir, kind).await?;
        let uid = self.new_uid()?;
        let certificate = self.vendor.issue(&spki, &uid, Validity::Good)?;
        Ok(Chip { token, uid, certificate })
    }

    async fn make_token(&self, dir: &Path, kind: KeyKind) -> Result<(TokenDir, Vec<u8>), PracticeError> {
        let (soft_hsm, maker, dir) = (self.soft_hsm.clone(), self.plan.maker.clone(), dir.to_owned());
        blocking(move || {
            let token = TokenDir::create(&soft_hsm, &maker, &dir, setup::TOKEN_LABEL)?;
            let spki = token.generate_key(kind, setup::KEY_LABEL, setup::KEY_ID)?;
            Ok((token, spki))
        })
        .await
    }

    fn new_uid(&self) -> Result<ChipUid, PracticeError> {
        // As long as an SE050's.
        let mut uid = [0; 18];
        self.entropy.fill(&mut uid).map_err(PracticeError::Random)?;
        Ok(ChipUid::from_bytes(&uid)?)
    }
}

/// Marks `dir` as a practice line's and locks it. A folder with anything else in it is left alone:
/// what a practice line makes anew it first deletes.
fn take(dir: &Path) -> Result<std::fs::File, PracticeError> {
    std::fs::create_dir_all(dir)?;
    let marker = dir.join(setup::MARKER);
    if !marker.exists() && std::fs::read_dir(dir)?.next().is_some() {
        return Err(PracticeError::NotPractice(dir.to_owned()));
    }
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&marker)?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| PracticeError::Taken(dir.to_owned()))?;
    if file.metadata()?.len() == 0 {
        std::fs::write(&marker, "Everything here is practice: no chip, certificate or label of it is real.\n")?;
    }
    Ok(file)
}

fn uid_bytes(uid: &ChipUid) -> Vec<u8> {
    hex::decode(uid.as_str()).unwrap_or_default()
}

/// Token making starts child processes and waits for them.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, super::token::TokenError> + Send + 'static,
) -> Result<T, PracticeError> {
    Ok(tokio::task::spawn_blocking(work).await??)
}
