//! A small log with one unit's history among other events, and the bundle of that unit.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::LazyLock;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, RSA_PKCS1_SHA256, RsaKeyPair,
};
use lineseal::audit::bundle::{Contents, Disclosure, File, ProvenEvent, write};
use lineseal::audit::challenge::{ChallengeFacts, challenge};
use lineseal::audit::event::Purpose;
use lineseal::audit::note::{Checkpoint, NoteKey, SignedCheckpoint};
use lineseal::audit::proof::prove_inclusion;
use lineseal::audit::tlog_proof::TlogProof;
use lineseal::audit::{Event, LeafHash, Node, TreeState};
use lineseal::domain::{Bytes, RunId, Unit};
use lineseal::practice::vendor::{Validity, VendorCa};
use rcgen::PublicKeyData as _;
use secrecy::SecretBox;
use serde_json::{Value, json};

/// The operator whose name is gone.
const FORGOTTEN: usize = 1;

pub const ORIGIN: &str = "plant.example/lineseal";

/// A log in memory, with the nodes that a store would keep.
#[derive(Default)]
pub struct Log {
    pub events: Vec<Vec<u8>>,
    stored: HashMap<Node, [u8; 32]>,
    tree: TreeState,
}

impl Log {
    pub fn push(&mut self, bytes: Vec<u8>) {
        let leaf = LeafHash::of(&bytes);
        self.stored.insert(Node { level: 0, index: self.tree.size() }, leaf.0);
        self.stored.extend(self.tree.append(leaf));
        self.events.push(bytes);
    }

    pub fn read(&self) -> impl FnOnce(&[Node]) -> Result<Vec<[u8; 32]>, Infallible> {
        |nodes| Ok(nodes.iter().map(|node| self.stored[node]).collect())
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint::new(ORIGIN.parse().unwrap(), self.tree.head())
    }
}

pub fn key(name: &str, seed: u8) -> NoteKey {
    NoteKey::from_seed(name.parse().unwrap(), &SecretBox::new(Box::new([seed; 32]))).unwrap()
}

pub fn station_key() -> NoteKey {
    key(ORIGIN, 1)
}

/// It signed before [`station_key`], and for it.
pub fn first_key() -> NoteKey {
    key(ORIGIN, 3)
}

pub fn qa_key() -> NoteKey {
    key("plant.example/qa", 2)
}

pub fn unit() -> Unit {
    Unit { product: "gateway-g4".parse().unwrap(), serial: "F0000111".parse().unwrap() }
}

/// The unit's bundle: a run for each kind of key that a chip may have, and a name that is forgotten
/// beside one that is not.
pub fn contents() -> Contents {
    contents_of(vec![Chip::p256(), Chip::p384(), Chip::p521(), Chip::rsa()])
}

pub fn contents_of(chips: Vec<Chip>) -> Contents {
    contents_where(chips, |_| ())
}

/// … with each event of a run as `change` leaves it.
pub fn contents_where(chips: Vec<Chip>, change: impl Fn(&mut Value)) -> Contents {
    let Written { log, beside, runs, imported, rotation } = written(chips.into_iter().map(|it| (it, unit())), change);
    let own = [beside, runs.concat(), vec![imported]].concat();
    contents_in(&log, rotation, unit(), own)
}

/// Two bundles out of one log: of the unit, which passed, and of another one, which did not.
pub fn bundles_of_two() -> [Vec<File>; 2] {
    let other = Unit { serial: "F0000222".parse().unwrap(), ..unit() };
    let sealed = std::cell::Cell::new(0);
    let boards = [(Chip::p256(), unit()), (Chip::p256(), other.clone())];
    let Written { log, beside, runs, rotation, .. } = written(boards, |body| {
        if body["event"] == "sealed" && sealed.replace(sealed.get() + 1) == 1 {
            let reason = json!({ "code": "S-105", "args": {}, "cause": "the chip is another unit's" });
            *body = json!({ "event": "sealed", "verdict": "FAIL", "reason": reason });
        }
    });
    let bundle = |unit, run: &Vec<u64>| {
        write(&contents_in(&log, rotation.clone(), unit, [beside.clone(), run.clone()].concat())).unwrap()
    };
    [bundle(unit(), &runs[0]), bundle(other, &runs[1])]
}

/// A log, and where in it what stands that bundles are made of.
struct Written {
    log: Log,
    /// Pinned certificates, and the change of the key.
    beside: Vec<u64>,
    runs: Vec<Vec<u64>>,
    imported: u64,
    rotation: TlogProof,
}

fn written(boards: impl IntoIterator<Item = (Chip, Unit)>, change: impl Fn(&mut Value)) -> Written {
    let mut log = Log::default();
    let mut own = Vec::new();
    log.push(encode(json!({ "event": "station-started", "version": "0.1.0" })));
    let boards: Vec<(Chip, Unit)> = boards.into_iter().collect();
    let vendor = [VENDOR.intermediate().to_vec(), VENDOR.root().to_vec()];
    let others: BTreeSet<_> =
        boards.iter().flat_map(|(chip, _)| &chip.issuers).filter(|it| !vendor.contains(it)).collect();
    for pinned in pinned().into_iter().chain(others.into_iter().map(|der| pin(der))) {
        own.push(log.events.len() as u64);
        log.push(encode(pinned));
    }
    let replaced = log.events.len() as u64;
    own.push(replaced);
    let (key, replaces) = (station_key().verifier().to_string(), first_key().verifier().to_string());
    log.push(encode(json!({ "event": "log-key-added", "key": key, "role": "station", "replaces": replaces })));
    let rotation = TlogProof {
        extra: None,
        index: replaced,
        hashes: prove_inclusion(replaced, replaced + 1, log.read()).unwrap(),
        checkpoint: SignedCheckpoint::sign(log.checkpoint(), &first_key()).unwrap(),
    };
    let mut runs = Vec::new();
    for (number, (chip, unit)) in boards.into_iter().enumerate() {
        let mut events = Vec::new();
        for mut body in run(&chip, run_of(number).parse().unwrap(), &unit) {
            change(&mut body);
            log.push(encode(json!({ "event": "station-started", "version": "0.1.0" })));
            events.push(log.events.len() as u64);
            // Another operator is at the station when a run ends.
            let operator = if body["event"] == "sealed" { FORGOTTEN } else { 0 };
            log.push(encode_by(operator, Some(number), body));
        }
        runs.push(events);
    }
    let at = log.events.len() as u64;
    log.push(encode(imported()));
    log.push(encode(json!({ "event": "station-stopped" })));
    Written { log, beside: own, runs, imported: at, rotation }
}

fn contents_in(log: &Log, rotation: TlogProof, unit: Unit, own: Vec<u64>) -> Contents {
    let mut checkpoint = SignedCheckpoint::sign(log.checkpoint(), &station_key()).unwrap();
    checkpoint.cosign(&qa_key()).unwrap();
    let size = log.events.len() as u64;
    let proven = |seq: u64| ProvenEvent {
        seq,
        bytes: log.events[seq as usize].clone(),
        proof: prove_inclusion(seq, size, log.read()).unwrap(),
    };
    Contents {
        made_by: "lineseal 0.1.0".to_owned(),
        unit,
        events: own.into_iter().map(proven).collect(),
        checkpoint,
        keys: [station_key(), qa_key()].map(|key| key.verifier().clone()).into(),
        rotations: vec![rotation],
        disclosures: vec![
            Disclosure::Revealed {
                sha256: name_hash(0).parse().unwrap(),
                salt: Bytes(vec![0; 32]),
                text: "Grace \"O'Malley\" $(x)".to_owned(),
            },
            Disclosure::Forgotten { sha256: name_hash(FORGOTTEN).parse().unwrap() },
        ],
    }
}

pub fn files() -> Vec<File> {
    write(&contents()).unwrap()
}

/// With one run only, for tests that start programs for every file of it.
pub fn few_files() -> Vec<File> {
    write(&contents_of(vec![Chip::p256()])).unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn name_hash(number: usize) -> String {
    let salt = [u8::try_from(number).unwrap(); 32];
    sha256(&[&salt[..], b"Grace \"O'Malley\" $(x)"].concat())
}

fn encode(body: Value) -> Vec<u8> {
    encode_by(0, None, body)
}

/// `run`: the number of the run that it happened in.
fn encode_by(operator: usize, run: Option<usize>, body: Value) -> Vec<u8> {
    let mut event = json!({
        "v": 1,
        "id": format!("0190a000-0000-7000-8000-{:012x}", rand::random::<u32>()),
        "at": "2026-11-24T09:00:00Z",
        "station": "line-1",
        "operator": { "id": "7c1f9c3e-3c26-4b52-8a2d-0d0a4a4f5c11", "name_sha256": name_hash(operator) },
    });
    if let Some(number) = run {
        event["run"] = run_of(number).into();
    }
    event.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let event = Event::decode(&serde_json::to_vec(&event).unwrap()).unwrap();
    event.encode().unwrap()
}

/// A row of the plant's own history before Lineseal.
fn imported() -> Value {
    let certificate = Chip::p256().certificate;
    json!({
        "event": "imported", "source": { "file": "00".repeat(32), "line": 2 }, "unit": unit(),
        "fingerprint": sha256(&certificate), "certificate": Bytes(certificate)
    })
}

fn run_of(number: usize) -> String {
    format!("0190a000-0000-7000-8000-{number:012x}")
}

/// The vendor's CA, which issues every chip's certificate.
static VENDOR: LazyLock<VendorCa> = LazyLock::new(|| VendorCa::create_foreign().unwrap());

/// The vendor's certificates, as the log pins them.
pub fn pinned() -> [Value; 2] {
    [VENDOR.root(), VENDOR.intermediate()].map(pin)
}

fn pin(der: &[u8]) -> Value {
    json!({ "event": "certificate-pinned", "certificate": Bytes(der.to_vec()) })
}

/// Where the boards are plugged in.
pub const PORT: &str = "pci-0000:00:14.0-usb-0:3:1.0";

/// What happens in a run.
pub fn run(chip: &Chip, run: RunId, unit: &Unit) -> Vec<Value> {
    let token = json!({
        "module": "libsss_pkcs11.so", "module_version": "1", "manufacturer": "NXP", "token_label": "SSS",
        "token_model": "SE05x", "token_serial": "0001", "certificate_found_as": "sss:F0000111", "open_ms": 1,
        "read_ms": 1
    });
    let reading = json!({ "certificate": Bytes(chip.certificate.clone()), "token": token });
    let path: Vec<_> = std::iter::once(&chip.certificate).chain(&chip.issuers).map(|der| sha256(der)).collect();
    let mut bodies = vec![
        json!({
            "event": "run-started", "lane": 1, "device": { "path": PORT, "instance": "1" }, "profile": "gateway",
            "product": unit.product
        }),
        json!({ "event": "identified", "unit": unit, "variables": {} }),
        json!({ "event": "chip-read", "reading": reading }),
    ];
    for purpose in [Purpose::First, Purpose::BeforeRegister] {
        let port = &PORT.parse().unwrap();
        let (log_root, random) = (rand::random(), rand::random());
        let challenge = challenge(&ChallengeFacts { run, unit, port, purpose, log_root, random });
        let signature = (chip.sign)(&challenge);
        bodies.push(json!({ "event": "challenge-made", "purpose": purpose, "challenge": Bytes(challenge) }));
        bodies.push(json!({
            "event": "challenge-answered", "purpose": purpose, "signature": Bytes(signature), "scheme": chip.scheme,
            "decision": {
                "key": "ec-p256", "spki": sha256(&chip.spki), "subject": "CN=chip", "issuer": "CN=vendor",
                "serial": "01", "not_before": "2026-01-01T00:00:00Z", "not_after": "9999-12-31T23:59:59Z", "path": path
            }
        }));
    }
    bodies.push(json!({ "event": "sealed", "verdict": "PASS" }));
    bodies
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

pub struct Chip {
    pub certificate: Vec<u8>,
    /// Whose certificates are above its own, nearest first.
    pub issuers: Vec<Vec<u8>>,
    spki: Vec<u8>,
    scheme: &'static str,
    sign: Sign,
}

impl Chip {
    pub fn p256() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        Self::ecdsa(&key, &ECDSA_P256_SHA256_FIXED_SIGNING, "ecdsa_secp256r1_sha256")
    }

    fn p384() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        Self::ecdsa(&key, &ECDSA_P384_SHA384_FIXED_SIGNING, "ecdsa_secp384r1_sha384")
    }

    fn p521() -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();
        Self::ecdsa(&key, &ECDSA_P521_SHA512_FIXED_SIGNING, "ecdsa_secp521r1_sha512")
    }

    fn ecdsa(key: &rcgen::KeyPair, algorithm: &'static EcdsaSigningAlgorithm, scheme: &'static str) -> Self {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &key.serialize_der()).unwrap();
        let sign = move |message: &[u8]| pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        let (certificate, issuers) = (certificate(key), vec![VENDOR.intermediate().to_vec(), VENDOR.root().to_vec()]);
        Self { certificate, issuers, spki: key.subject_public_key_info(), scheme, sign: Box::new(sign) }
    }

    fn rsa() -> Self {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let pair = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        let (certificate, spki) = (certificate(&key), key.subject_public_key_info());
        let issuers = vec![VENDOR.intermediate().to_vec(), VENDOR.root().to_vec()];
        Self { certificate, issuers, spki, scheme: "rsa_pkcs1_sha256", sign: Box::new(sign) }
    }

    /// With a certificate of another vendor, made by `issue` for this key.
    pub fn of(issue: impl FnOnce(&rcgen::KeyPair) -> (Vec<u8>, Vec<Vec<u8>>)) -> Self {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let (certificate, issuers) = issue(&key);
        Self { certificate, issuers, ..Self::ecdsa(&key, &ECDSA_P256_SHA256_FIXED_SIGNING, "ecdsa_secp256r1_sha256") }
    }
}

fn certificate(key: &rcgen::KeyPair) -> Vec<u8> {
    let uid = "0400500112233445566778899aabbccddeef".parse().unwrap();
    VENDOR.issue(&key.subject_public_key_info(), &uid, Validity::Good).unwrap()
}
