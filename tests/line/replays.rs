//! Somebody between the station and a genuine chip: what the chip answered to anything but this very
//! challenge proves nothing.

use std::sync::{Arc, Mutex};

use lineseal::adapters::pkcs11::WorkerTokens;
use lineseal::audit::event::{Reading, SignatureScheme};
use lineseal::domain::Failure;
use lineseal::domain::profile::{KeyKind, ObjectName};
use lineseal::ports::{Contents, Kept, Token, TokenAccess, Tokens};

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::station::{Station, assert_outcome, workers};

/// What is done with the station's questions.
#[derive(Clone, Copy)]
enum Trick {
    /// They are handed on, and the answers noted.
    HandOn,
    /// The chip answers a challenge that differs in this field, counted from zero.
    Bend(usize),
    /// The run's question of this number, counted from zero, gets an answer that was noted before.
    Replay { question: usize, answer: usize },
}

#[derive(Clone)]
struct Between {
    workers: WorkerTokens,
    trick: Arc<Mutex<Trick>>,
    /// Every answer of a chip so far.
    noted: Arc<Mutex<Vec<Vec<u8>>>>,
}

struct Wire {
    chip: Box<dyn Token>,
    between: Between,
    questions: usize,
}

#[async_trait::async_trait]
impl Tokens for Between {
    async fn open(&self, access: &TokenAccess) -> Result<Box<dyn Token>, Failure> {
        let chip = self.workers.open(access).await?;
        Ok(Box::new(Wire { chip, between: self.clone(), questions: 0 }))
    }
}

#[async_trait::async_trait]
impl Token for Wire {
    async fn read(&mut self) -> Result<Reading, Failure> {
        self.chip.read().await
    }

    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure> {
        let (trick, question) = (*self.between.trick.lock().unwrap(), self.questions);
        self.questions += 1;
        match trick {
            Trick::Replay { question: at, answer } if at == question => {
                return Ok(self.between.noted.lock().unwrap()[answer].clone());
            }
            Trick::Bend(field) => return self.chip.sign(&bent(message, field), scheme).await,
            Trick::HandOn | Trick::Replay { .. } => {}
        }
        let answer = self.chip.sign(message, scheme).await?;
        self.between.noted.lock().unwrap().push(answer.clone());
        Ok(answer)
    }

    async fn keep(&mut self, name: &ObjectName, certificate: &[u8]) -> Result<Kept, Failure> {
        self.chip.keep(name, certificate).await
    }

    async fn contents(&mut self) -> Result<Contents, Failure> {
        self.chip.contents().await
    }

    async fn close(self: Box<Self>) {
        self.chip.close().await;
    }
}

/// The challenge with the last byte of one field changed: each is behind its length in four bytes.
fn bent(message: &[u8], field: usize) -> Vec<u8> {
    let mut end = 0;
    for _ in 0..=field {
        let length = u32::from_be_bytes(message[end..end + 4].try_into().unwrap());
        end += 4 + usize::try_from(length).unwrap();
    }
    let mut bent = message.to_vec();
    bent[end - 1] ^= 1;
    bent
}

struct Attack<'a> {
    bench: Bench<'a>,
    station: Station,
    between: Between,
}

impl Attack<'static> {
    async fn new() -> Attack<'static> {
        let bench = Bench::new(2, Cloud::shared().await).await;
        let (trick, noted) = (Arc::new(Mutex::new(Trick::HandOn)), Arc::default());
        let between = Between { workers: workers(), trick, noted };
        let tokens = Arc::new(between.clone());
        let station = Station::start_with(&bench, |equipment| equipment.tokens = tokens).await;
        Attack { bench, station, between }
    }

    async fn run(&mut self, lane: u8, name: &str, chip: &Chip, trick: Trick, expected: &str) {
        *self.between.trick.lock().unwrap() = trick;
        self.bench.plug(lane, name, chip);
        assert_outcome(&self.station.unit().await, expected);
        self.bench.unplug(lane);
        self.station.until_gone(&[lane]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_challenge_of_any_other_run_board_port_or_purpose_proves_nothing() {
    let mut attack = Attack::new().await;
    for (name, kind) in [("EC", KeyKind::EcP256), ("RSA", KeyKind::Rsa2048)] {
        let chip = attack.bench.chip(kind);
        // Context, run, product, serial number, port, purpose, the log's root, random bytes.
        for field in 0..8 {
            attack.run(1, name, &chip, Trick::Bend(field), "FAIL S-101").await;
        }
        // The nearest legitimate case: the same chip through the same hands, asked what the station asked.
        attack.run(1, name, &chip, Trick::HandOn, "PASS").await;
    }
    let log = attack.station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 2);
    assert_eq!(log::all(&log, "challenge-answered").len(), 2 * 3);
}

/// Recorded while the genuine board was at the station, and shown by a board that has its certificate.
#[tokio::test(flavor = "multi_thread")]
async fn answers_recorded_in_an_earlier_run_prove_nothing_under_any_name_in_any_lane() {
    let mut attack = Attack::new().await;
    let genuine = attack.bench.chip(KeyKind::EcP256);
    let copy = attack.bench.counterfeit(&genuine);
    attack.run(1, "A", &genuine, Trick::HandOn, "PASS").await;
    assert_eq!(attack.between.noted.lock().unwrap().len(), 3);
    for (lane, name, answer) in [(1, "A", 0), (1, "A", 1), (1, "A", 2), (2, "A", 0), (2, "B", 0)] {
        let replay = Trick::Replay { question: 0, answer };
        attack.run(lane, name, &copy, replay, "FAIL S-101").await;
        // Nor from the chip that gave them.
        attack.run(lane, name, &genuine, replay, "FAIL S-101").await;
    }
    attack.run(2, "A", &genuine, Trick::HandOn, "PASS").await;
    let log = attack.station.stop().await;
    assert_eq!(log::all(&log, "claimed").len(), 2);
    let cloud = Cloud::shared().await.witness();
    let certificate = &cloud.certificates[&genuine.fingerprint()];
    assert_eq!((certificate.status.as_str(), certificate.things.len()), ("ACTIVE", 1));
    assert!(!cloud.things.contains_key(&attack.bench.thing("B")));
}

/// Of one run, and of one purpose: the chip may have gone since it gave the first.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_same_run_serves_no_second_time() {
    let mut attack = Attack::new().await;
    for (question, status) in [(1, None), (2, Some("INACTIVE"))] {
        let (name, chip) = (format!("AGAIN-{question}"), attack.bench.chip(KeyKind::EcP256));
        let answer = attack.between.noted.lock().unwrap().len();
        attack.run(1, &name, &chip, Trick::Replay { question, answer }, "FAIL S-101").await;
        let cloud = Cloud::shared().await.witness();
        let known = cloud.certificates.get(&chip.fingerprint()).map(|certificate| certificate.status.as_str());
        assert_eq!(known, status, "{name}");
    }
    let chip = attack.bench.chip(KeyKind::EcP256);
    attack.run(1, "GOOD", &chip, Trick::HandOn, "PASS").await;
    attack.station.stop().await;
}
