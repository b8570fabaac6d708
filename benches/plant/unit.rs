//! What a plant has made. Unit number n of a seed is always the same unit, so that any of them can be
//! asked for without having been kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use lineseal::audit::event::{
    Decision, LabelKind, LabelStatus, Purpose, Reading, SignatureScheme, Standing, TargetRecord, TokenFacts, VERSION,
};
use lineseal::audit::{Body, Event, LineEvent, RunEvent};
use lineseal::domain::profile::{CertificateStatus, KeyKind};
use lineseal::domain::{
    BatchName, Bytes, ChipUid, Device, EventId, Failure, Fingerprint, Identity, LaneNumber, OperatorRef, ReasonCode,
    RunId, Sha256, SpkiHash, StationName, ThingName, Unit, Variables, Verdict,
};
use lineseal::ports::Claim;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

#[derive(Debug, Clone, Copy)]
pub struct Plant {
    pub seed: u64,
    pub units: u64,
}

/// A batch is made by one station.
pub const BATCH: u64 = 500;
const STATIONS: u64 = 8;
const OPERATORS: u64 = 24;
/// From one unit to the next.
const TAKT: i64 = 9;
const PRODUCTS: [(&str, &str); 4] =
    [("gateway-g4", "GW4"), ("sensor-node-s2", "SN2"), ("energy-meter", "EM7"), ("環境センサー", "KS1")];
/// What runs end with that do not pass: the code, and the cause as the adapters word it.
const FAILURES: [(ReasonCode, &str); 6] = [
    (ReasonCode::CHIP_LACKS_KEY, "the signature over the challenge does not verify under the certificate's key"),
    (ReasonCode::CERTIFICATE_FOREIGN_CA, "no path to a pinned vendor CA: UnknownIssuer"),
    (ReasonCode::UID_MISMATCH, "the certificate names another chip than the one that was read"),
    (ReasonCode::CERTIFICATE_EXPIRED, "certificate expired: not after 2024-11-30T00:00:00Z"),
    (ReasonCode::CERTIFICATE_BOUND, "bound since another day to another unit, see its history"),
    (ReasonCode::TOKEN_NO_CERTIFICATE, "no object with the certificate's label sss:F0000111 in slot 0"),
];
const ERRORS: [(ReasonCode, &str); 3] = [
    (ReasonCode::TOKEN_SILENT, "C_OpenSession gave no answer within 5 s; the worker was killed"),
    (ReasonCode::BOARD_SILENT, "no answer to the identify question within 3 s"),
    (ReasonCode::CLOUD_PERMISSION, "AccessDeniedException: not authorized to perform iot:AttachPolicy"),
];

/// The certificate of a chip of the practice line (SoftHSM, P-256), as `chip-read` stores it.
const CERTIFICATE: &str = "MIICHjCCAcSgAwIBAgIQYMMNXUIe+dRiLsvqZWnt9DAKBggqhkjOPQQDAjBMMRowGAYDVQQKDBFMaW5lc2VhbCBQUkFDVElDRTEuMCwGA1UEAwwlTGluZXNlYWwgUFJBQ1RJQ0UgVmVuZG9yIEludGVybWVkaWF0ZTAgFw0yMDAxMDEwMDAwMDBaGA85OTk5MTIzMTAwMDAwMFowXTEaMBgGA1UECgwRTGluZXNlYWwgUFJBQ1RJQ0UxPzA9BgNVBAMMNkxpbmVzZWFsIFBSQUNUSUNFIERGOEE2MTc2ODdFN0FCNTU5OEZCNDIxREJENDhFMjg0MEVDMDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB99z6mL9A3R9oxF3cK41pkIzK9MQ16Z6Eui4w5Pm5tregu9iy1X8rCht3rvjbJ72+mDvwHms1vNnt6yTjseRn2jdTBzMB8GA1UdIwQYMBaAFN6G3r0QM2lldMXMhbZ1MIBjPSuDMA4GA1UdDwEB/wQEAwIHgDATBgNVHSUEDDAKBggrBgEFBQcDAjAdBgNVHQ4EFgQUgj9pVEX4/T0RvCxwKIv0Qzf/M1QwDAYDVR0TAQH/BAIwADAKBggqhkjOPQQDAgNIADBFAiEAk0HtfdHDEx3kBqgjWm6i7vnhLoKcZXvj1AYP5VugS38CIA0pjvWbWgeJ9Hl+p0vCYCNwZD1CC+8BvfdqNZleUnn/";
/// Where in it another chip's certificate has something else.
const SERIAL_AT: usize = 15;
const UID_AT: usize = 214;
const KEY_AT: usize = 277;

/// One unit, as far as it can be asked for.
pub struct Made {
    pub number: u64,
    pub unit: Unit,
    pub identity: Identity,
    pub thing: ThingName,
    pub station: StationName,
    pub operator: OperatorRef,
    pub batch: BatchName,
    pub started: Timestamp,
    pub ending: Ending,
    certificate: Bytes,
    random: StdRng,
}

/// How a unit came to its verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Pass,
    Fail(usize),
    /// At the second attempt.
    ErrorThenPass(usize),
    AbortedThenPass,
    HeldThenPass,
}

impl Plant {
    pub fn unit(&self, number: u64) -> Made {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        let ending = match random.random_range(0..1000) {
            0..940 => Ending::Pass,
            940..970 => Ending::Fail(random.random_range(0..FAILURES.len())),
            970..990 => Ending::ErrorThenPass(random.random_range(0..ERRORS.len())),
            990..995 => Ending::AbortedThenPass,
            _ => Ending::HeldThenPass,
        };
        let uid: [u8; 18] = random.random();
        let key: [u8; 64] = {
            let mut key = [0; 64];
            random.fill(&mut key[..]);
            key
        };
        let mut der = STANDARD.decode(CERTIFICATE).unwrap();
        random.fill(&mut der[SERIAL_AT..SERIAL_AT + 16]);
        der[UID_AT..UID_AT + 36].copy_from_slice(hex::encode_upper(uid).as_bytes());
        der[KEY_AT..KEY_AT + 64].copy_from_slice(&key);
        let end = der.len();
        random.fill(&mut der[end - 32..]);

        let batch = number / BATCH;
        let (product, letters) = PRODUCTS[(batch % PRODUCTS.len() as u64) as usize];
        let serial = format!("{letters}-{number:07}");
        Made {
            number,
            thing: format!("{letters}_{number:07}").parse().unwrap(),
            unit: Unit { product: product.parse().unwrap(), serial: serial.parse().unwrap() },
            identity: Identity {
                fingerprint: Fingerprint::of(&der),
                spki: SpkiHash::of(&key),
                uid: Some(ChipUid::from_bytes(&uid).unwrap()),
            },
            station: self.station(batch),
            operator: self.operator(batch % OPERATORS),
            batch: batch_name(batch),
            started: first_day() + SignedDuration::from_secs(TAKT * number as i64),
            ending,
            certificate: Bytes(der),
            random,
        }
    }

    fn station(&self, batch: u64) -> StationName {
        format!("L{}-ST{}", batch % STATIONS / 2 + 1, batch % 2 + 1).parse().unwrap()
    }

    /// Name, id and salt of everybody who works there.
    pub fn people(&self) -> impl Iterator<Item = (String, Uuid, [u8; 32])> {
        let seed = self.seed;
        (0..OPERATORS).map(move |number| {
            let name = format!("operator {number} of {seed}");
            let salt = *Sha256::of(name.as_bytes()).as_bytes();
            (name, Uuid::from_slice(&salt[..16]).unwrap(), salt)
        })
    }

    fn operator(&self, number: u64) -> OperatorRef {
        let (name, id, salt) = self.people().nth(number as usize).unwrap();
        OperatorRef { id, name_sha256: Sha256::of(&[&salt[..], name.as_bytes()].concat()).to_string() }
    }
}

fn batch_name(number: u64) -> BatchName {
    format!("B-{number:05}").parse().unwrap()
}

fn first_day() -> Timestamp {
    "2026-01-05T06:00:00Z".parse().unwrap()
}

impl Made {
    pub fn claim(mut self) -> Claim {
        let run = RunId::made(self.started, self.random.random());
        Claim {
            id: EventId::made(self.started, self.random.random()),
            at: self.started,
            station: self.station,
            operator: Some(self.operator),
            run,
            unit: self.unit,
            identity: self.identity,
            known: None,
            twin: None,
        }
    }

    /// Everything that was logged of it, with the batch's own events where it is its first or last.
    pub fn events(mut self) -> Vec<Event> {
        let mut events = Vec::with_capacity(16);
        let profile = self.unit.product.to_string();
        if self.number.is_multiple_of(BATCH) {
            let (batch, product) = (self.batch.clone(), self.unit.product.clone());
            events.push(self.line(LineEvent::BatchOpened { batch, profile, product, planned: BATCH }));
        }
        match self.ending {
            Ending::Pass => {
                self.proven(&mut events, Standing::New);
                self.passed(&mut events);
            }
            Ending::Fail(which) => {
                let (run, _) = self.begun(&mut events);
                let (code, cause) = FAILURES[which];
                self.sealed(&mut events, run, Verdict::Fail, Some(Failure::new(code, cause)), None);
            }
            Ending::ErrorThenPass(which) => {
                let run = self.started(&mut events);
                let (code, cause) = ERRORS[which];
                self.sealed(&mut events, run, Verdict::Error, Some(Failure::new(code, cause)), None);
                self.proven(&mut events, Standing::New);
                self.passed(&mut events);
            }
            Ending::AbortedThenPass => {
                let run = self.started(&mut events);
                let gone = Failure::new(ReasonCode::BOARD_UNPLUGGED, "the port's link is gone");
                self.sealed(&mut events, run, Verdict::Aborted, Some(gone), None);
                self.proven(&mut events, Standing::New);
                self.passed(&mut events);
            }
            Ending::HeldThenPass => {
                let run = self.proven(&mut events, Standing::New);
                let away = Failure::new(ReasonCode::CLOUD_UNREACHABLE, "dispatch failure: connection refused");
                self.sealed(&mut events, run, Verdict::Held, Some(away), Some(LabelKind::Slip));
                self.label(&mut events, run, LabelKind::Slip);
                self.run_event(&mut events, run, RunEvent::Resumed {});
                self.passed(&mut events);
            }
        }
        if self.number % BATCH == BATCH - 1 {
            let batch = self.batch.clone();
            events.push(self.line(LineEvent::BatchClosed { batch }));
        }
        events
    }

    fn started(&mut self, events: &mut Vec<Event>) -> RunId {
        let run = RunId::made(self.started, self.random.random());
        let lane = (self.number % u64::from(LaneNumber::MAX)) as u8 + 1;
        let device = Device {
            path: format!("pci-0000:00:14.0-usb-0:{lane}:1.0").parse().unwrap(),
            instance: format!("usb-{:x}.{:x}", self.number, self.random.random::<u32>()),
            node: Some(format!("/dev/ttyUSB{lane}")),
            usb: Some("0403:6001".parse().unwrap()),
            usb_serial: None,
            interface: Some(0),
            product: Some("FT232R USB UART".to_owned()),
            denied: None,
        };
        let started = RunEvent::RunStarted {
            lane: LaneNumber::try_from(lane).unwrap(),
            device,
            profile: self.unit.product.to_string(),
            product: self.unit.product.clone(),
            batch: Some(self.batch.clone()),
        };
        self.run_event(events, run, started);
        let variables: Variables = [
            ("port", format!("/dev/ttyUSB{lane}")),
            ("product", self.unit.product.to_string()),
            ("serial", self.unit.serial.to_string()),
            ("station", self.station.to_string()),
            ("usb_path", format!("pci-0000:00:14.0-usb-0:{lane}:1.0")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let unit = self.unit.clone();
        self.run_event(events, run, RunEvent::Identified { unit, variables, again: false });
        run
    }

    /// Up to the proof.
    fn begun(&mut self, events: &mut Vec<Event>) -> (RunId, Identity) {
        let run = self.started(events);
        let uid = self.identity.uid.clone();
        let token = TokenFacts {
            module: "/usr/lib/libsss_pkcs11.so".to_owned(),
            module_version: "Plug and Trust 4.5".to_owned(),
            manufacturer: "NXP".to_owned(),
            token_label: "SSS_PKCS11".to_owned(),
            token_model: "SE050".to_owned(),
            token_serial: "0000000000000001".to_owned(),
            certificate_found_as: "sss:F0000111".to_owned(),
            key_found_as: Some("sss:F0000110".to_owned()),
            uid_found_as: Some("sss:7FFF0206".to_owned()),
            open_ms: self.random.random_range(600..900),
            read_ms: self.random.random_range(80..160),
        };
        let reading = Reading { certificate: self.certificate.clone(), uid: uid.clone(), token };
        self.run_event(events, run, RunEvent::ChipRead { reading });
        let mut challenge = vec![0; 147];
        self.random.fill(&mut challenge[..]);
        let challenge = Bytes(challenge);
        self.run_event(events, run, RunEvent::ChallengeMade { purpose: Purpose::First, challenge });
        let mut signature = vec![0; 64];
        self.random.fill(&mut signature[..]);
        let named = hex::encode_upper(&self.certificate[SERIAL_AT..SERIAL_AT + 16]);
        let decision = Decision {
            key: KeyKind::EcP256,
            spki: self.identity.spki,
            subject: format!("CN=Lineseal PRACTICE {named},O=Lineseal PRACTICE"),
            issuer: "CN=Lineseal PRACTICE Vendor Intermediate,O=Lineseal PRACTICE".to_owned(),
            serial: named.to_lowercase(),
            not_before: "2020-01-01T00:00:00Z".to_owned(),
            not_after: "9999-12-31T00:00:00Z".to_owned(),
            path: vec![self.identity.fingerprint, Fingerprint::of(b"intermediate"), Fingerprint::of(b"root")],
            uid_in_certificate: uid,
            path_as_of: None,
            crls: Vec::new(),
        };
        let answered = RunEvent::ChallengeAnswered {
            purpose: Purpose::First,
            signature: Bytes(signature),
            scheme: SignatureScheme::EcdsaSecp256r1Sha256,
            decision,
        };
        self.run_event(events, run, answered);
        (run, self.identity.clone())
    }

    /// Up to the intent to register.
    fn proven(&mut self, events: &mut Vec<Event>, standing: Standing) -> RunId {
        let (run, identity) = self.begun(events);
        let unit = self.unit.clone();
        let fingerprint = identity.fingerprint;
        let claimed = RunEvent::Claimed { unit, identity, standing, ruling: None, replaces: Vec::new(), entry: None };
        self.run_event(events, run, claimed);
        let (thing, targets) = (self.thing.clone(), vec!["plant".parse().unwrap()]);
        self.run_event(events, run, RunEvent::RegisterIntended { fingerprint, thing, targets, connect: None });
        run
    }

    /// From there to the label.
    fn passed(&mut self, events: &mut Vec<Event>) {
        let run = events.iter().rev().find_map(|event| event.run).unwrap();
        let certificate = self.identity.fingerprint;
        let target = TargetRecord {
            target: "plant".parse().unwrap(),
            account: "123456789012".parse().unwrap(),
            region: "ap-northeast-1".parse().unwrap(),
            certificate_arn: format!("arn:aws:iot:ap-northeast-1:123456789012:cert/{certificate}"),
            thing_arn: format!("arn:aws:iot:ap-northeast-1:123456789012:thing/{}", self.thing),
            policy: "plant-device".to_owned(),
            endpoint: "f7b11509f4d675-ats.iot.ap-northeast-1.amazonaws.com".to_owned(),
            status: CertificateStatus::Active,
            created: ["certificate", "thing", "policy-attachment", "thing-attachment"].map(str::to_owned).to_vec(),
            adopted: ["thing-type", "policy"].map(str::to_owned).to_vec(),
            replaced: Vec::new(),
            device_configuration: Default::default(),
            attachment: None,
        };
        self.run_event(events, run, RunEvent::Registered { target });
        self.sealed(events, run, Verdict::Pass, None, Some(LabelKind::Unit));
        self.label(events, run, LabelKind::Unit);
    }

    fn sealed(
        &mut self,
        events: &mut Vec<Event>,
        run: RunId,
        verdict: Verdict,
        reason: Option<Failure>,
        label: Option<LabelKind>,
    ) {
        let slip = (verdict == Verdict::Held).then_some(self.number);
        self.run_event(events, run, RunEvent::Sealed { verdict, reason, slip, label });
    }

    fn label(&mut self, events: &mut Vec<Event>, run: RunId, kind: LabelKind) {
        self.run_event(events, run, RunEvent::LabelEnded { kind, status: LabelStatus::Printed, failure: None });
    }

    fn run_event(&mut self, events: &mut Vec<Event>, run: RunId, body: RunEvent) {
        let event = self.event(Some(run), Body::Run(body));
        events.push(event);
    }

    fn line(&mut self, body: LineEvent) -> Event {
        self.event(None, Body::Line(body))
    }

    fn event(&mut self, run: Option<RunId>, body: Body) -> Event {
        self.started += SignedDuration::from_nanos(self.random.random_range(1_000_000..300_000_000));
        Event {
            v: VERSION,
            id: EventId::made(self.started, self.random.random()),
            at: self.started,
            station: self.station.clone(),
            operator: Some(self.operator.clone()),
            run,
            body,
        }
    }
}
