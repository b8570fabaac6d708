//! What a run's verdict rests on: what was read and from where, what the chip was asked and answered, what
//! the certificate leads to, and whose the identity is already.

use serde_json::{Value, json};

use super::super::labels::{bytes, field, fields, word};
use super::super::reader::Reader;
use crate::audit::challenge::{self, ChallengeFacts};
use crate::audit::event::{CrlFacts, Decision, Purpose, Reading, SignatureScheme, TokenFacts};
use crate::audit::{Body, LineEvent, RunEvent};
use crate::domain::{Bytes, Failure, Fingerprint, KnownIdentity, ReasonCode, RunId, Unit};
use crate::ports::{Logged, RunLog};
use crate::provisioning::checks::{ANSWER, CertificateFacts};
use crate::provisioning::{COLLIDES, Run};

pub struct Evidence {
    readings: Vec<Read>,
    decision: Option<Decision>,
    path: Vec<Pinned>,
    challenges: Vec<Asked>,
    collisions: Vec<Held>,
    /// What answered in the place of the chip that was read first: certificate and UID.
    instead: Option<(String, String)>,
}

struct Read {
    seq: u64,
    reading: Reading,
}

/// A certificate of the path.
struct Pinned {
    fingerprint: Fingerprint,
    /// Of the pinned ones: the event that keeps the certificate, and whose it is.
    kept: Option<(u64, String)>,
}

struct Asked {
    seq: u64,
    purpose: Purpose,
    challenge: Bytes,
    /// Of this run, board, port and purpose.
    ours: bool,
    answer: Option<Answer>,
}

struct Answer {
    hex: String,
    scheme: Option<SignatureScheme>,
    /// Why it was refused.
    refused: Option<String>,
}

/// What a claim collided with.
struct Held {
    rule: String,
    seq: u64,
    /// `None`: that event is in an archive.
    by: Option<Holder>,
}

struct Holder {
    unit: Unit,
    run: Option<RunId>,
    identity: KnownIdentity,
}

pub async fn of(reader: &Reader, log: &RunLog, run: &Run) -> Result<Evidence, Failure> {
    let mut evidence = Evidence {
        readings: Vec::new(),
        decision: run.decision.clone(),
        path: path(reader, run).await?,
        challenges: Vec::new(),
        collisions: Vec::new(),
        instead: None,
    };
    for logged in &log.events {
        let Body::Run(event) = &logged.event.body else { continue };
        let seq = logged.receipt.seq;
        match event {
            RunEvent::ChipRead { reading } | RunEvent::ReadAgain { reading } => {
                evidence.readings.push(Read { seq, reading: reading.clone() });
            }
            RunEvent::ChallengeMade { purpose, challenge } => {
                let ours = is_ours(run, *purpose, challenge);
                let asked = Asked { seq, purpose: *purpose, challenge: challenge.clone(), ours, answer: None };
                evidence.challenges.push(asked);
            }
            RunEvent::ChallengeAnswered { signature, scheme, .. } => {
                evidence.answered(Answer { hex: hex::encode(&**signature), scheme: Some(*scheme), refused: None });
            }
            RunEvent::StepFailed { failure, .. } => evidence.failed(reader, failure).await?,
            _ => {}
        }
    }
    Ok(evidence)
}

fn is_ours(run: &Run, purpose: Purpose, challenge: &[u8]) -> bool {
    run.unit.as_ref().is_some_and(|unit| {
        let (log_root, random) = ([0; 32], [0; 32]);
        ChallengeFacts { run: run.id, unit, port: &run.device.path, purpose, log_root, random }.are_of(challenge)
    })
}

/// Leaf first, the pinned root last.
async fn path(reader: &Reader, run: &Run) -> Result<Vec<Pinned>, Failure> {
    let mut path = Vec::new();
    for (at, fingerprint) in run.decision.iter().flat_map(|decision| &decision.path).enumerate() {
        let event = match at {
            0 => None,
            _ => reader.history.event(LineEvent::pinned_as(fingerprint.as_bytes())).await?,
        };
        let kept = event.and_then(|logged| match &logged.event.body {
            Body::Line(LineEvent::CertificatePinned { certificate }) => {
                let subject = CertificateFacts::of(certificate).map_or_else(|_| "?".to_owned(), |facts| facts.subject);
                Some((logged.receipt.seq, subject))
            }
            _ => None,
        });
        path.push(Pinned { fingerprint: *fingerprint, kept });
    }
    Ok(path)
}

impl Evidence {
    fn answered(&mut self, answer: Answer) {
        if let Some(asked) = self.challenges.last_mut().filter(|asked| asked.answer.is_none()) {
            asked.answer = Some(answer);
        }
    }

    async fn failed(&mut self, reader: &Reader, failure: &Failure) -> Result<(), Failure> {
        if let Some(hex) = failure.args.get(ANSWER) {
            self.answered(Answer { hex: hex.clone(), scheme: None, refused: Some(failure.cause.clone()) });
        }
        if failure.code == ReasonCode::CHIP_CHANGED
            && let (Some(certificate), Some(uid)) = (failure.args.get("certificate"), failure.args.get("chip_uid"))
        {
            self.instead = Some((certificate.clone(), uid.clone()));
        }
        for (rule, seq) in failure.args.get(COLLIDES).into_iter().flat_map(|list| collisions(list)) {
            self.collisions.push(Held { rule, seq, by: holder(reader, seq).await? });
        }
        Ok(())
    }

    pub fn tell(&self) {
        if let Some(first) = self.readings.first() {
            self.certificate(&first.reading);
            if let Some(uid) = &first.reading.uid {
                field("chip UID", uid);
            }
            token(&first.reading.token);
        }
        self.challenges.iter().for_each(Asked::tell);
        fields("read again", self.readings.iter().skip(1).map(|read| self.compared(read)));
        if let Some((certificate, uid)) = &self.instead {
            field("answers instead", format!("certificate {certificate}"));
            field("  chip UID", uid);
        }
        self.collisions.iter().for_each(Held::tell);
    }

    fn certificate(&self, reading: &Reading) {
        let fingerprint = Fingerprint::of(&reading.certificate);
        let Some(decision) = &self.decision else {
            field("certificate", "read, and not proven: what follows is what it says of itself");
            if let Ok(says) = CertificateFacts::of(&reading.certificate) {
                field("  subject", says.subject);
                field("  issuer", says.issuer);
                field("  serial", says.serial);
                field("  valid", format!("{} to {}", says.not_before, says.not_after));
                field("  SPKI SHA-256", says.spki_sha256);
            }
            return field("  SHA-256", fingerprint);
        };
        field("certificate", &decision.subject);
        field("  issuer", &decision.issuer);
        field("  serial", &decision.serial);
        field("  valid", format!("{} to {}", decision.not_before, decision.not_after));
        field("  SHA-256", fingerprint);
        field("  key", word(&decision.key));
        field("  SPKI SHA-256", decision.spki);
        if let Some(uid) = &decision.uid_in_certificate {
            field("  UID in it", uid);
        }
        fields("  path", self.path.iter().enumerate().flat_map(|(at, pinned)| self.on_the_path(at, pinned)));
        if let Some(moment) = &decision.path_as_of {
            field("  path as of", format!("{moment}: an intermediate has expired, which the profile accepts"));
        }
        fields("  not revoked", decision.crls.iter().map(revocation_list));
    }

    fn on_the_path(&self, at: usize, pinned: &Pinned) -> Vec<String> {
        let role = self.role(at);
        let mut lines = vec![format!("{}  {role}", pinned.fingerprint)];
        if let Some((seq, subject)) = &pinned.kept {
            lines.push(format!("  {subject}, in event {seq}"));
        }
        lines
    }

    fn role(&self, at: usize) -> &'static str {
        match at {
            0 => "the chip's",
            _ if at + 1 == self.path.len() => "pinned root: the path ends here",
            _ => "pinned intermediate",
        }
    }

    fn compared(&self, read: &Read) -> String {
        let same = self.readings.first().is_some_and(|first| {
            first.reading.certificate == read.reading.certificate && first.reading.uid == read.reading.uid
        });
        let TokenFacts { open_ms, read_ms, .. } = &read.reading.token;
        let what = if same { "the same certificate and UID" } else { "ANOTHER certificate or UID" };
        format!("event {}: {what}, opened in {open_ms} ms, read in {read_ms} ms", read.seq)
    }

    pub fn json(&self) -> Value {
        let readings = self.readings.iter().map(|Read { seq, reading }| {
            json!({
                "seq": seq, "certificate_sha256": Fingerprint::of(&reading.certificate), "chip_uid": reading.uid,
                "token": reading.token,
            })
        });
        let path = self.path.iter().enumerate().map(|(at, pinned)| {
            let (seq, subject) = pinned.kept.clone().unzip();
            json!({
                "sha256": pinned.fingerprint, "pinned": at > 0, "root": at > 0 && at + 1 == self.path.len(),
                "seq": seq, "subject": subject,
            })
        });
        let instead = self.instead.as_ref();
        json!({
            "readings": readings.collect::<Vec<_>>(), "decision": self.decision, "path": path.collect::<Vec<_>>(),
            "challenges": self.challenges.iter().map(Asked::json).collect::<Vec<_>>(),
            "answers_instead": instead.map(|(sha256, uid)| json!({ "certificate_sha256": sha256, "chip_uid": uid })),
            "collisions": self.collisions.iter().map(Held::json).collect::<Vec<_>>(),
        })
    }
}

/// `rule@event`, one behind the other.
fn collisions(list: &str) -> impl Iterator<Item = (String, u64)> {
    list.split_whitespace().filter_map(|one| {
        let (rule, seq) = one.split_once('@')?;
        Some((rule.to_owned(), seq.parse().ok()?))
    })
}

/// Who the event bound an identity to.
async fn holder(reader: &Reader, seq: u64) -> Result<Option<Holder>, Failure> {
    let events = match reader.history.events(seq, 1).await {
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => return Ok(None),
        answer => answer?,
    };
    let logged = events.into_iter().map(|(logged, _)| logged).find(|logged| logged.receipt.seq == seq);
    Ok(logged.and_then(|Logged { event, .. }| match event.body {
        Body::Run(RunEvent::Claimed { unit, identity, .. }) => {
            Some(Holder { unit, run: event.run, identity: identity.into() })
        }
        Body::Line(LineEvent::Imported { unit, fingerprint, spki, uid, .. }) => {
            Some(Holder { unit, run: None, identity: KnownIdentity { fingerprint, spki, uid } })
        }
        _ => None,
    }))
}

fn token(facts: &TokenFacts) {
    let TokenFacts { module, module_version, manufacturer, token_label, token_model, token_serial, .. } = facts;
    let TokenFacts { certificate_found_as, key_found_as, uid_found_as, open_ms, read_ms, .. } = facts;
    let token = [&**manufacturer, token_model, token_serial, token_label].join(" ");
    let mut found = vec![format!("certificate {certificate_found_as}")];
    found.extend(key_found_as.as_ref().map(|name| format!("key {name}")));
    found.extend(uid_found_as.as_ref().map(|name| format!("UID {name}")));
    let timing = format!("opened in {open_ms} ms, read in {read_ms} ms");
    let said = [token, format!("{module} {module_version}"), found.join(", "), timing].map(|it| it.trim().to_owned());
    fields("token", said.into_iter().filter(|facts| !facts.is_empty()));
}

fn revocation_list(crl: &CrlFacts) -> String {
    let number = crl.number.as_deref().unwrap_or("-");
    format!("list {number} of {}, {}, SHA-256 {}", crl.issuer, crl.this_update, crl.sha256)
}

impl Asked {
    fn tell(&self) {
        let purpose = match self.purpose {
            Purpose::First => "to prove the chip",
            Purpose::BeforeRegister => "once more, before registering",
            Purpose::AfterConnect => "once more, before the verdict",
        };
        field("challenge", purpose);
        field("  event", self.seq);
        match challenge::fields(&self.challenge) {
            Some([run, product, serial, port, purpose, root, random]) => {
                if self.ours {
                    field("  is for", "this run, board, port and purpose");
                } else {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let [product, serial, port, purpose] = [product, serial, port, purpose].map(text);
                    let other = format!("run {}, {product} {serial}, {port}, {purpose}", hex::encode(run));
                    field("  is for", format!("ANOTHER: {other}"));
                }
                field("  root of log", hex::encode(root));
                field("  random", hex::encode(random));
            }
            None => field("  is for", "nothing that this program knows"),
        }
        bytes("  bytes", &self.challenge);
        let Some(answer) = &self.answer else { return field("  signature", "none") };
        match hex::decode(&answer.hex) {
            Ok(signature) => bytes("  signature", &signature),
            Err(_) => field("  signature", &answer.hex),
        }
        if let Some(scheme) = &answer.scheme {
            field("  scheme", word(scheme));
        }
        match &answer.refused {
            None => field("  verified", "under the certificate's key"),
            Some(cause) => field("  REFUSED", cause),
        }
    }

    fn json(&self) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = challenge::fields(&self.challenge).map(|[run, product, serial, port, purpose, root, random]| {
            json!({
                "run": uuid::Uuid::from_slice(run).ok(), "product": text(product), "serial": text(serial),
                "port": text(port), "purpose": text(purpose), "log_root": hex::encode(root),
                "random": hex::encode(random),
            })
        });
        let answer = self.answer.as_ref();
        json!({
            "seq": self.seq, "purpose": self.purpose, "challenge": hex::encode(&*self.challenge), "fields": fields,
            "is_this_runs": self.ours, "signature": answer.map(|answer| &answer.hex),
            "scheme": answer.and_then(|answer| answer.scheme),
            "verified": answer.map(|answer| answer.refused.is_none()),
            "refused": answer.and_then(|answer| answer.refused.as_ref()),
        })
    }
}

impl Held {
    fn tell(&self) {
        let what = match &*self.rule {
            "manifest-entry" => "entry of the shipment manifest was used by",
            "certificate" => "certificate is held by",
            "key" => "key is held by",
            "chip-uid" => "chip UID is held by",
            _ => "board is known with another chip:",
        };
        let Some(Holder { unit, run, identity }) = &self.by else {
            return field("collides", format!("{what} event {}, in an archive", self.seq));
        };
        field("collides", format!("{what} {unit}"));
        match run {
            Some(run) => field("  since", format!("event {} of run {run}", self.seq)),
            None => field("  since", format!("event {}, an imported row", self.seq)),
        }
        field("  certificate", identity.fingerprint);
        if let Some(spki) = &identity.spki {
            field("  SPKI SHA-256", spki);
        }
        if let Some(uid) = &identity.uid {
            field("  chip UID", uid);
        }
    }

    fn json(&self) -> Value {
        let by = self.by.as_ref();
        json!({
            "rule": self.rule, "seq": self.seq, "run": by.and_then(|by| by.run),
            "product": by.map(|by| &by.unit.product), "serial": by.map(|by| &by.unit.serial),
            "certificate_sha256": by.map(|by| by.identity.fingerprint), "spki_sha256": by.and_then(|by| by.identity.spki),
            "chip_uid": by.and_then(|by| by.identity.uid.as_ref()),
        })
    }
}
