//! A line on the bench: the practice line's stand-ins, each reachable, around any cloud.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use lineseal::config::{self, Config};
use lineseal::domain::profile::{ConnectMode, KeyKind};
use lineseal::domain::{ChipUid, Fingerprint, LaneNumber};
use lineseal::practice::board::{Behaviour, PtyBoard};
use lineseal::practice::printer::PracticePrinter;
use lineseal::practice::proxy::Proxy;
use lineseal::practice::setup::{self, CERTIFICATE_LABEL, KEY_ID, KEY_LABEL, TOKEN_LABEL, UID_LABEL};
use lineseal::practice::token::{SoftHsm, TokenDir};
use lineseal::practice::vendor::{Validity, VendorCa};
use tempfile::TempDir;

use crate::peers::Cloud;
use crate::program::PROGRAM;

/// Boards, chips, vendor, proxy before the cloud, printer and configuration of one line.
pub struct Bench<'a> {
    pub dir: TempDir,
    pub cloud: &'a Cloud,
    pub proxy: Proxy,
    pub printer: PracticePrinter,
    pub vendor: VendorCa,
    pub soft_hsm: SoftHsm,
    pub config_file: PathBuf,
    boards: BTreeMap<u8, PtyBoard>,
    /// Begins every serial number, so that the shared cloud's things are told apart.
    prefix: String,
    chips: AtomicU32,
}

/// A chip on the shelf: what is plugged is a copy.
#[derive(Clone)]
pub struct Chip {
    pub token: TokenDir,
    pub spki: Vec<u8>,
    pub uid: ChipUid,
    pub certificate: Vec<u8>,
}

impl Chip {
    pub fn fingerprint(&self) -> String {
        Fingerprint::of(&self.certificate).to_string()
    }
}

impl<'a> Bench<'a> {
    pub async fn new(lanes: u8, cloud: &'a Cloud) -> Bench<'a> {
        Self::with_profile(lanes, cloud, |profile| profile).await
    }

    /// With another profile than the practice line's own, made from its text.
    pub async fn with_profile(lanes: u8, cloud: &'a Cloud, change: impl FnOnce(String) -> String) -> Bench<'a> {
        Self::made(lanes, cloud, None, change).await
    }

    /// Its chips connect to the cloud by themselves.
    pub async fn connecting(
        lanes: u8,
        cloud: &'a Cloud,
        mode: ConnectMode,
        change: impl FnOnce(String) -> String,
    ) -> Bench<'a> {
        Self::made(lanes, cloud, Some(mode), change).await
    }

    async fn made(
        lanes: u8,
        cloud: &'a Cloud,
        connect: Option<ConnectMode>,
        change: impl FnOnce(String) -> String,
    ) -> Bench<'a> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = tempfile::tempdir().unwrap();
        for folder in [setup::PORTS, setup::TOKENS, setup::CHIPS] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let soft_hsm = SoftHsm::find().unwrap();
        let vendor = VendorCa::create(&dir.path().join(setup::VENDOR)).unwrap();
        let proxy = Proxy::start(([127, 0, 0, 1], cloud.port).into()).await.unwrap();
        let printer = PracticePrinter::start(dir.path().join(setup::LABELS)).await.unwrap();
        let config_file = setup::write(&setup::Wiring {
            dir: dir.path(),
            module: &soft_hsm.module,
            endpoint: &proxy.endpoint(),
            region: &cloud.region,
            printer: printer.address(),
            lanes,
            broker: connect.map(|mode| {
                let (port, ca) = cloud.mqtt.as_ref().expect("a cloud with a broker");
                setup::Broker { port: *port, ca, mode }
            }),
        })
        .unwrap();
        let profile = dir.path().join("assets/practice.toml");
        let before = std::fs::read_to_string(&profile).unwrap();
        std::fs::write(&profile, change(before)).unwrap();
        let prefix = format!("L{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let boards = BTreeMap::new();
        let chips = AtomicU32::new(0);
        Bench { dir, cloud, proxy, printer, vendor, soft_hsm, config_file, boards, prefix, chips }
    }

    pub fn config(&self) -> Config {
        config::load(&self.config_file).unwrap_or_else(|errors| panic!("{errors}"))
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join(setup::DATA)
    }

    pub fn labels(&self) -> PathBuf {
        self.dir.path().join(setup::LABELS)
    }

    /// A serial number of this bench.
    pub fn serial(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    pub fn thing(&self, name: &str) -> String {
        format!("practice-{}", self.serial(name))
    }

    /// A good chip.
    pub fn chip(&self, kind: KeyKind) -> Chip {
        let uid = new_uid();
        let (token, spki) = self.blank(kind, KEY_LABEL);
        let certificate = self.vendor.issue(&spki, &uid, Validity::Good).unwrap();
        self.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&uid));
        Chip { token, spki, uid, certificate }
    }

    /// A token with nothing but a key.
    pub fn blank(&self, kind: KeyKind, key_label: &str) -> (TokenDir, Vec<u8>) {
        let dir = self.shelf();
        let token = TokenDir::create(&self.soft_hsm, Path::new(PROGRAM), &dir, TOKEN_LABEL).unwrap();
        let spki = token.generate_key(kind, key_label, KEY_ID).unwrap();
        (token, spki)
    }

    pub fn fill(&self, token: &TokenDir, label: &str, certificate: &[u8], uid: Option<&ChipUid>) {
        token.import_certificate(label, KEY_ID, certificate).unwrap();
        if let Some(uid) = uid {
            token.import_data(UID_LABEL, &hex::decode(uid.as_str()).unwrap()).unwrap();
        }
    }

    /// Another chip with the same things in it, to be changed.
    pub fn copy(&self, chip: &Chip) -> Chip {
        Chip { token: chip.token.copy_to(&self.shelf()).unwrap(), ..chip.clone() }
    }

    /// What can be read from a genuine chip, over a key of its own.
    pub fn counterfeit(&self, genuine: &Chip) -> Chip {
        let (token, spki) = self.blank(KeyKind::EcP256, KEY_LABEL);
        self.fill(&token, CERTIFICATE_LABEL, &genuine.certificate, Some(&genuine.uid));
        Chip { token, spki, ..genuine.clone() }
    }

    /// A board with this name's serial number and this chip.
    pub fn plug(&mut self, lane: u8, name: &str, chip: &Chip) {
        self.plug_as(lane, name, chip, Behaviour::Normal);
    }

    pub fn plug_as(&mut self, lane: u8, name: &str, chip: &Chip, behaviour: Behaviour) {
        self.mount(lane, chip);
        self.place(lane, name, behaviour);
    }

    /// The terminal behind a lane's port.
    pub fn port(&self, lane: u8) -> String {
        self.boards[&lane].node().display().to_string()
    }

    /// A board whose chip never answers.
    pub fn plug_hung(&mut self, lane: u8, name: &str, chip: &Chip) {
        self.mount(lane, chip);
        // A hanging token can't be copied: the mounted one is hung.
        TokenDir::reopen(&self.soft_hsm, Path::new(PROGRAM), &self.token_dir(lane)).unwrap().hang().unwrap();
        self.place(lane, name, Behaviour::Normal);
    }

    /// A board that says it is another bench's.
    pub fn plug_serial(&mut self, lane: u8, serial: &str, chip: &Chip) {
        self.mount(lane, chip);
        self.place_serial(lane, serial, Behaviour::Normal);
    }

    /// Plugs a board over whatever lies in the lane's token folder.
    fn place(&mut self, lane: u8, name: &str, behaviour: Behaviour) {
        self.place_serial(lane, &self.serial(name), behaviour);
    }

    fn place_serial(&mut self, lane: u8, serial: &str, behaviour: Behaviour) {
        let ports = self.dir.path().join(setup::PORTS);
        let board = PtyBoard::plug(&ports, &port_name(lane), serial, behaviour).unwrap();
        // The old one, if any, is dropped here: its link is the new board's by now.
        self.boards.insert(lane, board);
    }

    pub fn unplug(&mut self, lane: u8) {
        self.boards.remove(&lane).unwrap().unplug();
    }

    pub fn board(&self, lane: u8) -> &PtyBoard {
        &self.boards[&lane]
    }

    /// Changes the chip behind a port.
    pub fn mount(&self, lane: u8, chip: &Chip) {
        let dir = self.token_dir(lane);
        if dir.exists() {
            std::fs::remove_dir_all(&dir).unwrap();
        }
        chip.token.copy_to(&dir).unwrap();
    }

    pub fn token_dir(&self, lane: u8) -> PathBuf {
        self.dir.path().join(setup::TOKENS).join(port_name(lane))
    }

    fn shelf(&self) -> PathBuf {
        let number = self.chips.fetch_add(1, Ordering::Relaxed);
        self.dir.path().join(setup::CHIPS).join(number.to_string())
    }
}

pub fn port_name(lane: u8) -> String {
    setup::port_name(LaneNumber::try_from(lane).unwrap())
}

/// As long as an SE050's.
pub fn new_uid() -> ChipUid {
    ChipUid::from_bytes(&rand::random::<[u8; 18]>()).unwrap()
}
