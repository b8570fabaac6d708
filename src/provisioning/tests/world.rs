//! A world for one run: a chip with a real key under a real chain, and answers by script. It keeps
//! the driver's promises (an event is applied as soon as it is recorded, and a refusal is a defect)
//! and tells what happened, line by line.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use crate::audit::event::{
    ConnectionRecord, IssuedOrigin, LabelStatus, Purpose, Reading, Refused, RefusedTopic, SignatureScheme, Standing,
    TargetRecord, VERSION,
};
use crate::audit::{Body, Event, LeafHash, RunEvent};
use crate::domain::profile::*;
use crate::domain::{
    Bytes, CommandLine, Device, EventId, Failure, Fingerprint, Identity, LaneNumber, ReasonCode, RunId, SigningCa,
    SpkiHash, TargetName, Template, Unit, Variables, Verdict,
};
use crate::ports::{Issuance, Kept, Logged, Made, Receipt, Registration, Trial};
use crate::provisioning::checks::tests::forge::{Key, Tbs, basic_constraints};
use crate::provisioning::{Context, Effect, Illegal, Input, Run, Unexpected, decide};

pub const SERIAL: &str = "A-0001";
pub const UID: &str = "0400500112233445566778899aabbccddeef";

/// A chip: its key, and what it says of itself.
#[derive(Clone)]
pub struct Chip {
    pub key: std::sync::Arc<Key>,
    pub reading: Reading,
}

impl Chip {
    fn make(vendor: &Vendor, uid: &str) -> Self {
        let key = Key::new(KeyKind::EcP256);
        let certificate =
            Tbs::leaf(&format!("chip-{uid}"), "World Root", &key).with(basic_constraints(false)).sign(&vendor.key);
        let reading = Reading {
            certificate: Bytes(certificate),
            uid: Some(uid.parse().unwrap()),
            token: crate::audit::event::TokenFacts::default(),
        };
        Self { key: std::sync::Arc::new(key), reading }
    }

    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.reading.certificate)
    }

    pub fn identity(&self) -> Identity {
        Identity { fingerprint: self.fingerprint(), spki: SpkiHash::of(&self.key.spki), uid: self.reading.uid.clone() }
    }
}

struct Vendor {
    key: Key,
    root: Vec<u8>,
}

/// Two genuine chips of one vendor; signing them again for every test would tell nothing more.
pub static CHIPS: LazyLock<[Chip; 2]> = LazyLock::new(|| {
    let other = UID.replace("0112", "0113");
    [Chip::make(&VENDOR, UID), Chip::make(&VENDOR, &other)]
});

/// A key that the cloud made.
pub static OF_AWS: LazyLock<Key> = LazyLock::new(|| Key::new(KeyKind::Rsa2048));

static VENDOR: LazyLock<Vendor> = LazyLock::new(|| {
    let key = Key::new(KeyKind::EcP256);
    let root = Tbs::ca("World Root", "World Root", &key).sign(&key);
    Vendor { key, root }
});

/// Of a vendor that has made none of the chips.
pub fn another_root() -> Vec<u8> {
    let key = Key::new(KeyKind::EcP256);
    Tbs::ca("Another Root", "Another Root", &key).sign(&key)
}

/// One effect on the world, by what it is asked of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Identify,
    IdentifyAgain,
    Read,
    Sign,
    Claim,
    Issue,
    Provision,
    Register,
    Join,
    Keep,
    Connect,
    Configure,
    Deactivate,
    Print,
}

/// What a call is answered with, where it is not the good answer.
pub type Script = Box<dyn FnMut(usize, &Effect) -> Option<Input>>;

pub struct World {
    pub profile: Profile,
    pub chip: Chip,
    pub printer: bool,
    pub earlier_label: Option<LabelStatus>,
    pub log: Vec<Logged>,
    /// Effects and events, as lines.
    pub told: Vec<String>,
    /// Calls so far, in order.
    pub calls: Vec<Call>,
    pub script: Script,
    /// Asked again after each answer: the same input must be refused then.
    pub repeat: bool,
    pub repeats_refused: usize,
    randoms: u8,
}

impl World {
    pub fn new() -> Self {
        let mut world = Self {
            profile: profile(&["one"]),
            chip: CHIPS[0].clone(),
            printer: true,
            earlier_label: None,
            log: Vec::new(),
            told: Vec::new(),
            calls: Vec::new(),
            script: Box::new(|_, _| None),
            repeat: false,
            repeats_refused: 0,
            randoms: 0,
        };
        let first = world.logged(started());
        world.log.push(first);
        world
    }

    pub fn with_targets(targets: &[&str]) -> Self {
        Self { profile: profile(targets), ..Self::new() }
    }

    pub fn connecting(mode: ConnectMode, targets: &[&str]) -> Self {
        let mut world = Self::with_targets(targets);
        world.profile.connect = Some(connect(mode));
        world
    }

    /// A certificate is made for its chip's key.
    pub fn with_request() -> Self {
        let mut world = Self::new();
        world.profile.register.method = Method::Csr(CsrPlan { issuer: Issuer::Aws, write_back: None });
        world.profile.register.offline = Offline::Stop;
        world
    }

    /// It is made by a claim and registered by the fleet's template, and the board is told what AWS answered.
    pub fn in_a_fleet() -> Self {
        let mut world = Self::with_request();
        let plan = FleetPlan {
            template: "meters".parse().unwrap(),
            claim: ClaimSource::TrustedUser,
            keys: FleetKeys::Chip,
            parameters: BTreeMap::from([("Serial".parse().unwrap(), Template::parse("{serial}").unwrap())]),
        };
        world.profile.register.method = Method::Csr(CsrPlan { issuer: Issuer::Fleet(plan), write_back: None });
        world.profile.register.configure = Some(Prepare::Command {
            command: CommandLine {
                program: Template::parse("tell").unwrap(),
                args: vec![Template::parse("{Broker}").unwrap()],
            },
            stdin: None,
            timeout: Duration::from_secs(1),
        });
        world
    }

    /// And AWS makes its key, too.
    pub fn in_a_fleet_of_keys() -> Self {
        let mut world = Self::in_a_fleet();
        if let Method::Csr(CsrPlan { issuer: Issuer::Fleet(plan), .. }) = &mut world.profile.register.method {
            plan.keys = FleetKeys::Aws;
        }
        world
    }

    /// And the token is to keep it.
    pub fn with_write_back(mode: WriteBack) -> Self {
        let mut world = Self::with_request();
        let write_back = Some(WriteBackPlan { object: ObjectName::Se050(2), mode });
        world.profile.register.method = Method::Csr(CsrPlan { issuer: Issuer::Aws, write_back });
        world
    }

    /// AWS registers it by itself.
    pub fn joining() -> Self {
        let mut world = Self::new();
        let certificate = Bytes(VENDOR.root.clone());
        let fingerprint = Fingerprint::of(&certificate);
        let ca = SigningCa { name: "plant".parse().unwrap(), certificate, fingerprint };
        world.profile.register.method = Method::JustInTime(ca);
        world.profile.register.offline = Offline::Stop;
        world
    }

    /// The `nth` call (from 0) of this world is answered by `answer`; all others as they should be.
    pub fn answering(mut self, nth: usize, answer: impl FnOnce(&Effect) -> Input + 'static) -> Self {
        let mut answer = Some(answer);
        let mut before = std::mem::replace(&mut self.script, Box::new(|_, _| None));
        self.script = Box::new(move |call, effect| match () {
            () if call == nth => answer.take().map(|answer| answer(effect)),
            () => before(call, effect),
        });
        self
    }

    /// The run that the log tells of, folded anew as after a restart.
    pub fn run(&self) -> Run {
        Run::fold(&self.log).unwrap_or_else(|illegal| panic!("{illegal}\n{}", self.told.join("\n")))
    }

    /// From the beginning to where nothing is left to do.
    pub fn begin(&mut self) -> Run {
        self.go(Input::Begin)
    }

    pub fn go(&mut self, input: Input) -> Run {
        self.try_go(input).unwrap_or_else(|unexpected| panic!("{unexpected}\n{}", self.told.join("\n")))
    }

    pub fn try_go(&mut self, mut input: Input) -> Result<Run, Unexpected> {
        for _ in 0..100 {
            let run = self.run();
            let again = input.clone();
            let effects = decide(&run, input, &self.context())?;
            let mut again = self.repeat.then_some(again);
            let mut next = None;
            for effect in effects {
                assert!(next.is_none(), "an effect after one that is to be answered: {effect:?}");
                if !matches!(effect, Effect::Record(_))
                    && let Some(again) = again.take()
                {
                    self.say_again(again);
                }
                match effect {
                    Effect::Record(events) => self.record(events),
                    Effect::Finish => {
                        self.told.push("finish".into());
                        return Ok(self.run());
                    }
                    Effect::PrintNext => {
                        self.told.push("print next".into());
                        next = Some(Input::PrintLabel);
                    }
                    effect => next = Some(self.perform(effect)),
                }
            }
            input = next.expect("a next step");
        }
        panic!("it never ends:\n{}", self.told.join("\n"));
    }

    /// The same answer once more: refused, or nothing comes of it.
    fn say_again(&mut self, input: Input) {
        let run = self.run();
        let text = brief(&input);
        match decide(&run, input, &self.context()) {
            Err(_) => self.repeats_refused += 1,
            Ok(effects) => assert!(matches!(effects[..], [Effect::Finish]), "{text} twice: {effects:?}"),
        }
    }

    /// What a crash leaves: everything up to the `count`th event.
    pub fn cut(&mut self, count: usize) {
        self.log.truncate(count);
    }

    pub fn append(&mut self, event: RunEvent) -> Result<(), Illegal> {
        let mut run = self.run();
        let logged = self.logged(event);
        run.apply(&logged)?;
        self.log.push(logged);
        Ok(())
    }

    pub fn context(&mut self) -> Context<'_> {
        self.randoms = self.randoms.wrapping_add(1);
        Context {
            now: "2026-06-01T12:00:00Z".parse().unwrap(),
            random: [self.randoms; 32],
            log_root: [7; 32],
            profile: &self.profile,
            printer: self.printer,
            earlier_label: self.earlier_label,
            air_gapped: false,
            practice: false,
            operator: None,
        }
    }

    /// The sealed events so far.
    pub fn seals(&self) -> Vec<Verdict> {
        self.events()
            .filter_map(|event| match event {
                RunEvent::Sealed { verdict, .. } => Some(*verdict),
                _ => None,
            })
            .collect()
    }

    pub fn events(&self) -> impl Iterator<Item = &RunEvent> {
        self.log.iter().filter_map(|logged| match &logged.event.body {
            Body::Run(event) => Some(event),
            Body::Line(_) => None,
        })
    }

    pub fn count(&self, call: Call) -> usize {
        self.calls.iter().filter(|made| **made == call).count()
    }

    fn record(&mut self, events: Vec<RunEvent>) {
        let told: Vec<String> = events.iter().map(tell).collect();
        self.told.push(format!("record {}", told.join(", ")));
        for event in events {
            let illegal = self.append(event.clone()).err();
            assert_eq!(illegal, None, "{event:?}\n{}", self.told.join("\n"));
        }
    }

    fn perform(&mut self, effect: Effect) -> Input {
        let (call, told) = match &effect {
            Effect::Identify => (Call::Identify, "identify".to_owned()),
            Effect::IdentifyAgain => (Call::IdentifyAgain, "identify again".to_owned()),
            Effect::Read => (Call::Read, "read".to_owned()),
            Effect::Sign { scheme, .. } => (Call::Sign, format!("sign {scheme:?}")),
            Effect::Claim { unit, .. } => (Call::Claim, format!("claim {unit}")),
            Effect::Issue(asked) => (Call::Issue, format!("issue for {} in {}", asked.thing, asked.target)),
            Effect::Provision(asked) => (Call::Provision, format!("provision {} in {}", asked.thing, asked.target)),
            Effect::Register(asked) => (Call::Register, format!("register {} in {}", asked.thing, asked.target)),
            Effect::Join(join) => (Call::Join, format!("join {} in {}", join.registration.thing, join.trial.target)),
            Effect::Keep { object, .. } => (Call::Keep, format!("keep as {object}")),
            Effect::Connect(trial) => (Call::Connect, format!("connect as {} to {}", trial.thing, trial.target)),
            Effect::Configure { .. } => (Call::Configure, "configure".to_owned()),
            Effect::Deactivate { target, .. } => (Call::Deactivate, format!("deactivate in {target}")),
            Effect::Print { name, .. } => (Call::Print, format!("print {name}")),
            Effect::Record(_) | Effect::PrintNext | Effect::Finish => unreachable!("not asked of the world"),
        };
        self.told.push(told);
        self.calls.push(call);
        let scripted = (self.script)(self.calls.len() - 1, &effect);
        if let Some(input) = scripted {
            self.told.push(format!("  {}", brief(&input)));
            return input;
        }
        self.good(&effect)
    }

    /// What a good world answers.
    pub fn good(&mut self, effect: &Effect) -> Input {
        match effect {
            Effect::Identify => Input::Identified(Ok(Variables::from([("serial".into(), SERIAL.into())]))),
            Effect::IdentifyAgain => Input::IdentifiedAgain(Ok(Variables::from([("serial".into(), SERIAL.into())]))),
            Effect::Read => Input::Read(Ok(self.chip.reading.clone())),
            Effect::Sign { message, .. } => Input::Signed(Ok(self.chip.key.answer(message))),
            Effect::Claim { unit, identity, .. } => {
                let claimed = RunEvent::Claimed {
                    unit: unit.clone(),
                    identity: identity.clone(),
                    standing: Standing::New,
                    ruling: None,
                    replaces: Vec::new(),
                    entry: None,
                };
                self.told.push(format!("  {}", tell(&claimed)));
                self.append(claimed).unwrap();
                Input::Claimed
            }
            Effect::Issue(asked) => issued(asked, &self.chip),
            Effect::Provision(asked) => provisioned(asked, &[("Broker", "plant-7")]),
            Effect::Register(asked) => registered(asked),
            Effect::Join(join) => registered(&join.registration),
            Effect::Keep { .. } => Input::Kept(Ok(Kept::Written)),
            Effect::Connect(trial) => connected(trial),
            Effect::Configure { .. } => Input::Configured(Ok(())),
            Effect::Deactivate { target, .. } => Input::Deactivated(target.clone(), Ok(())),
            Effect::Print { .. } => Input::Printed(Ok(())),
            Effect::Record(_) | Effect::PrintNext | Effect::Finish => unreachable!("not asked of the world"),
        }
    }

    /// As the log would hold it next.
    pub fn logged(&self, event: RunEvent) -> Logged {
        let seq = 40 + self.log.len() as u64;
        let event = Event {
            v: VERSION,
            id: EventId::from_random([seq as u8; 16]),
            at: "2026-06-01T12:00:00Z".parse().unwrap(),
            station: "L1".parse().unwrap(),
            operator: None,
            run: Some(run_id()),
            body: Body::Run(event),
        };
        let leaf = LeafHash::of(&event.encode().unwrap());
        Logged { receipt: Receipt { seq, leaf }, event }
    }
}

/// A call's failure as the input that tells of it.
pub fn failing(effect: &Effect, failure: Failure) -> Input {
    match effect {
        Effect::Identify => Input::Identified(Err(failure)),
        Effect::IdentifyAgain => Input::IdentifiedAgain(Err(failure)),
        Effect::Read => Input::Read(Err(failure)),
        Effect::Sign { .. } => Input::Signed(Err(failure)),
        Effect::Claim { .. } => Input::Interrupted(failure),
        Effect::Issue(asked) => Input::Issued(asked.target.clone(), Box::new(Err(failure))),
        Effect::Provision(asked) => {
            let refusal = crate::ports::Refusal { failure, certificate_left: false };
            Input::Provisioned(asked.target.clone(), Box::new(Err(refusal)))
        }
        Effect::Register(asked) => refused(asked, failure, false),
        Effect::Join(join) => refused(&join.registration, failure, false),
        Effect::Keep { .. } => Input::Kept(Err(failure)),
        Effect::Connect(trial) => Input::Connected(trial.target.clone(), Box::new(Err(failure))),
        Effect::Configure { .. } => Input::Configured(Err(failure)),
        Effect::Deactivate { target, .. } => Input::Deactivated(target.clone(), Err(failure)),
        Effect::Print { .. } => Input::Printed(Err(failure)),
        Effect::Record(_) | Effect::PrintNext | Effect::Finish => unreachable!("not asked of the world"),
    }
}

pub fn refused(asked: &Registration, failure: Failure, certificate_left: bool) -> Input {
    let refusal = crate::ports::Refusal { failure, certificate_left };
    Input::Registered(asked.target.clone(), Box::new(Err(refusal)))
}

/// The `register` effect's question, or a panic.
pub fn asked(effect: &Effect) -> &Registration {
    match effect {
        Effect::Register(asked) => asked,
        other => panic!("{other:?} registers nothing"),
    }
}

pub fn registered(asked: &Registration) -> Input {
    Input::Registered(asked.target.clone(), Box::new(Ok(record_of(&asked.target, asked.fingerprint, &asked.thing))))
}

pub fn provisioned(asked: &Registration, configuration: &[(&str, &str)]) -> Input {
    let configuration = configuration.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Input::Provisioned(asked.target.clone(), Box::new(Ok(Some(configuration))))
}

/// For the chip's key, or for one that is made with it.
pub fn issued(asked: &Issuance, chip: &Chip) -> Input {
    let key = if asked.request.is_some() { &chip.key } else { &*OF_AWS };
    Input::Issued(asked.target.clone(), Box::new(Ok(made(key))))
}

/// By the world's vendor, who is the cloud's CA here, too: always the same for one key.
pub fn made(key: &Key) -> Made {
    static MADE: std::sync::Mutex<Vec<(Vec<u8>, Vec<u8>)>> = std::sync::Mutex::new(Vec::new());
    let mut known = MADE.lock().unwrap();
    let certificate = match known.iter().find(|(spki, _)| *spki == key.spki) {
        Some((_, certificate)) => certificate.clone(),
        None => {
            let certificate =
                Tbs::leaf("gw-A-0001", "World Root", key).with(basic_constraints(false)).sign(&VENDOR.key);
            known.push((key.spki.clone(), certificate.clone()));
            certificate
        }
    };
    Made { certificate: Bytes(certificate), chain: Vec::new(), origin: IssuedOrigin::Made }
}

pub fn connected(trial: &Trial) -> Input {
    Input::Connected(trial.target.clone(), Box::new(Ok(connection_of(&trial.target, trial.thing.as_str()))))
}

pub fn connection_of(target: &TargetName, thing: &str) -> ConnectionRecord {
    ConnectionRecord {
        target: target.clone(),
        endpoint: "example.iot.eu-west-1.amazonaws.com:8883".into(),
        client_id: thing.parse().unwrap(),
        tls: "TLSv1_3".into(),
        cipher: "TLS13_AES_128_GCM_SHA256".into(),
        scheme: SignatureScheme::EcdsaSecp256r1Sha256,
        broker: Fingerprint::of(b"broker"),
        topics: vec!["devices/a".parse().unwrap()],
        refused: RefusedTopic {
            topic: "elsewhere".parse().unwrap(),
            subscribe: Refused::Suback,
            publish: Some(Refused::Closed),
        },
        tries: 1,
        ms: 9,
    }
}

/// What a profile says that has the unit's own key connect.
pub fn connect(mode: ConnectMode) -> ConnectPlan {
    ConnectPlan {
        mode,
        port: MqttPort::Mqtts,
        topics: vec![Template::parse("devices/{thing}/test").unwrap()],
        refused_topic: Template::parse("elsewhere/{serial}").unwrap(),
        roots: None,
        only_tls12: false,
        deadline: Duration::from_secs(1),
    }
}

pub fn record_of(target: &TargetName, fingerprint: Fingerprint, thing: &impl std::fmt::Display) -> TargetRecord {
    TargetRecord {
        target: target.clone(),
        account: "123456789012".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        certificate_arn: format!("arn:aws:iot:eu-west-1:123456789012:cert/{fingerprint}"),
        thing_arn: format!("arn:aws:iot:eu-west-1:123456789012:thing/{thing}"),
        policy: "device".into(),
        endpoint: "example.iot.eu-west-1.amazonaws.com".into(),
        status: CertificateStatus::Active,
        created: vec!["certificate".into()],
        adopted: vec![],
        replaced: vec![],
        device_configuration: BTreeMap::new(),
        attachment: None,
    }
}

pub fn failure(code: ReasonCode) -> Failure {
    Failure::new(code, "as the test has it")
}

pub fn run_id() -> RunId {
    RunId::from_random([9; 16])
}

pub fn unit(serial: &str) -> Unit {
    Unit { product: "gateway".parse().unwrap(), serial: serial.parse().unwrap() }
}

pub fn started() -> RunEvent {
    let device = Device {
        path: "pci-usb-0:3:1.0".parse().unwrap(),
        instance: "1".into(),
        node: Some("/dev/ttyACM1".into()),
        usb: None,
        usb_serial: None,
        interface: None,
        product: None,
        denied: None,
    };
    let lane = LaneNumber::try_from(3).unwrap();
    RunEvent::RunStarted { lane, device, profile: "gateway".into(), product: "gateway".parse().unwrap(), batch: None }
}

pub fn profile(targets: &[&str]) -> Profile {
    let object = || ObjectName::Se050(1);
    let template = |text: &str| Template::parse(text).unwrap();
    Profile {
        name: "gateway".to_owned(),
        product: "gateway".parse().unwrap(),
        matches: Match::default(),
        prepare: vec![],
        identify: Identify {
            source: IdentifySource::Dialogue(Dialogue {
                baud: 115_200,
                send: None,
                expect: regex::bytes::Regex::new("(?P<serial>.+)").unwrap(),
                timeout: Duration::from_secs(1),
                retries: 0,
            }),
            again: true,
            serial: regex::Regex::new("[A-Z]-[0-9]{4}").unwrap(),
        },
        token: TokenPlan {
            module: "m.so".into(),
            environment: BTreeMap::new(),
            command: None,
            slot: SlotChoice::Only,
            certificate: object(),
            key: object(),
            uid: Some(object()),
            pin: None,
            call_timeout: Duration::from_secs(1),
            open_timeout: Duration::from_secs(1),
        },
        trust: Trust {
            roots: vec![VENDOR.root.clone()],
            intermediates: vec![],
            keys: vec![KeyKind::EcP256],
            uid: UidRule::Required,
            uid_from_cn: Some(regex::Regex::new("^chip-(?P<uid>[0-9a-f]+)$").unwrap()),
            issuer: None,
            expired_intermediate: Default::default(),
            crls: Vec::new(),
            crl_coverage: Default::default(),
        },
        register: Register {
            method: Method::WithoutCa,
            targets: targets.iter().map(|name| name.parse().unwrap()).collect(),
            thing_name: template("gw-{serial}"),
            thing_type: None,
            attributes: BTreeMap::from([("product".parse().unwrap(), template("{product}"))]),
            certificate_status: CertificateStatus::Active,
            policy: PolicyPlan { name: "device".parse().unwrap(), document: "{}".into() },
            offline: crate::domain::profile::Offline::Hold,
            deadline: Duration::from_secs(1),
            configure: None,
        },
        connect: None,
        label: Some(LabelPlan {
            template: template("^XA{thing}^XZ"),
            slip: template("^XASLIP-{slip}^XZ"),
            fail_slip: None,
            scan_back: false,
        }),
        manifest: None,
    }
}

/// An event in a word or three.
pub fn tell(event: &RunEvent) -> String {
    use RunEvent as E;
    let short = |fingerprint: &Fingerprint| match *fingerprint {
        known if known == CHIPS[0].fingerprint() => "chip 1",
        known if known == CHIPS[1].fingerprint() => "chip 2",
        _ => "an unknown chip",
    };
    let kind = |kind| format!("{kind:?}").to_lowercase();
    match event {
        E::RunStarted { lane, .. } => format!("run-started lane {lane}"),
        E::Captured { capture } => format!("captured {}", capture.slip),
        E::StepBegan { step } => format!("step-began {}", step.as_str()),
        E::Identified { unit, .. } => format!("identified {unit}"),
        E::BoardConfigured {} => "board-configured".into(),
        E::IdentifiedAgain { serial } => format!("identified-again {serial}"),
        E::ChipRead { reading } => format!("chip-read {}", short(&Fingerprint::of(&reading.certificate))),
        E::ChallengeMade { purpose, .. } => format!("challenge-made {}", purpose.as_str()),
        E::ChallengeAnswered { purpose, .. } => format!("challenge-answered {}", purpose.as_str()),
        E::Claimed { identity, standing, .. } => {
            format!("claimed {} {}", short(&identity.fingerprint), format!("{standing:?}").to_lowercase())
        }
        E::ReadAgain { reading } => format!("read-again {}", short(&Fingerprint::of(&reading.certificate))),
        E::RequestMade { target, thing, .. } => format!("request-made {thing} in {target}"),
        E::CertificateRequested { target, .. } => format!("certificate-requested {target}"),
        E::CertificateIssued { issued } => format!("certificate-issued {}", issued.target),
        E::KeysRequested { target, .. } => format!("keys-requested {target}"),
        E::Provisioned { target, .. } => format!("provisioned {target}"),
        E::CertificateKept { object, .. } => format!("certificate-kept {object}"),
        E::CertificateNotKept { object, failure } => format!("certificate-not-kept {object} {}", failure.code),
        E::RegisterIntended { thing, targets, .. } => {
            let targets: Vec<&str> = targets.iter().map(TargetName::as_str).collect();
            format!("register-intended {thing} in {}", targets.join(" and "))
        }
        E::Registered { target } => format!("registered {}", target.target),
        E::Connected { connection } => format!("connected {}", connection.target),
        E::NotConnected { target, failure } => format!("not-connected {target} {}", failure.code),
        E::DeactivateIntended { target } => format!("deactivate-intended {target}"),
        E::Deactivated { target, failure: None } => format!("deactivated {target}"),
        E::Deactivated { target, failure: Some(failure) } => format!("deactivated {target} failed {}", failure.code),
        E::StepFailed { step, failure, .. } => format!("step-failed {} {}", step.as_str(), failure.code),
        E::Sealed { verdict, reason, slip, label } => {
            let mut text = format!("sealed {}", verdict.as_str());
            text += &reason.as_ref().map(|reason| format!(" {}", reason.code)).unwrap_or_default();
            text += &slip.map(|slip| format!(" slip {slip}")).unwrap_or_default();
            text + &label.map(|label| format!(" owes {}", kind(label))).unwrap_or_default()
        }
        E::Resumed {} => "resumed".into(),
        E::LabelIntended { kind: paper } => format!("label-intended {}", kind(*paper)),
        E::LabelEnded { kind: paper, status, .. } => {
            format!("label-ended {} {}", kind(*paper), format!("{status:?}").to_lowercase())
        }
        E::LabelSettled { kind: paper, printed } => format!("label-settled {} {printed}", kind(*paper)),
        E::LabelReplaced { kind: paper, copy, .. } => format!("label-replaced {} {copy}", kind(*paper)),
        E::LabelConfirmed { kind: paper, copy } => format!("label-confirmed {} {copy}", kind(*paper)),
    }
}

fn brief(input: &Input) -> String {
    format!("{input:?}").chars().take(60).collect()
}

pub const PURPOSES: [Purpose; 3] = [Purpose::First, Purpose::BeforeRegister, Purpose::AfterConnect];
