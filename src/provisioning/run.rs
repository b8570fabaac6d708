//! A run as the fold over its events. What is not written in the log did not happen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{checks, csr};
use crate::audit::event::{
    Capture, ConnectionRecord, Decision, IssuedCertificate, LabelKind, LabelStatus, Purpose, Reading, Standing,
    TargetRecord,
};
use crate::audit::{Body, RunEvent};
use crate::domain::profile::{CertificateStatus, ConnectMode, WriteBack};
use crate::domain::{
    BatchName, Bytes, Device, EventId, Failure, Fingerprint, Identity, LaneNumber, OperatorRef, Product, ReasonCode,
    RunId, Sha256, StationName, Step, TargetName, ThingName, Unit, Variables, Verdict,
};
use crate::ports::{Logged, Receipt};

/// One attempt at one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: RunId,
    /// The encoding's version when it began: what was promised then.
    pub v: u32,
    pub station: StationName,
    pub operator: Option<OperatorRef>,
    pub lane: LaneNumber,
    pub device: Device,
    pub profile: String,
    pub product: Product,
    pub batch: Option<BatchName>,
    pub started: Timestamp,
    /// The sequence number of the first event: a HELD unit's slip is numbered by it.
    pub first_seq: u64,
    /// Of the last event: whoever goes on with the run says that it is known up to here.
    pub last_seq: u64,
    /// Who wrote that, and when by its clock.
    pub last_by: (StationName, Timestamp),

    /// Another station made it.
    pub captured: Option<Capture>,
    pub stage: Stage,
    pub unit: Option<Unit>,
    pub variables: Variables,
    /// The board is asked for its serial number once more before it passes.
    pub asks_again: bool,
    pub reading: Option<Reading>,
    /// What the first proof found.
    pub decision: Option<Decision>,
    pub claim: Option<(Identity, Standing)>,
    /// By an entry of its batch's shipment manifest.
    pub listed: bool,
    /// The ruling that opened this run again, and that its claim used up.
    pub ruling: Option<EventId>,
    /// Certificates that this or earlier rulings took from the unit.
    pub replaces: Vec<Fingerprint>,
    /// The certificate that was made for its key, or with one, where it is not the chip's own that is registered.
    pub issued: Option<IssuedCertificate>,
    /// What its fleet's template answered in this run.
    pub provisioned: Option<BTreeMap<String, String>>,
    /// The board was given what AWS made of it.
    pub configured: bool,
    /// What became of it in the token, where that was to keep it: the object, and why not.
    pub kept: Option<(String, Option<Failure>)>,
    pub intent: Option<RegisterIntent>,
    pub registered: Vec<TargetRecord>,
    /// The target that is being asked to register, and has not answered.
    pub asked: Option<TargetName>,
    /// Where its certificate may be ACTIVE by what this run did.
    pub left: Vec<Mark>,
    /// Where it was set INACTIVE again, or found not to be there.
    pub taken_back: Vec<Mark>,
    /// The most that was ever promised of the unit's own connections.
    pub connect: Option<ConnectMode>,
    pub connected: Vec<ConnectionRecord>,
    /// Targets to which it made none, where that is no reason not to pass.
    pub unconnected: Vec<(TargetName, Failure)>,
    /// Targets whose certificate is to be set INACTIVE before the run may be sealed.
    pub deactivate: Vec<TargetName>,
    pub steps: Vec<StepRecord>,
    pub sealed: Option<Sealed>,
    /// The first HELD seal's slip, which stays with the unit.
    pub slip: Option<u64>,
    pub label: Label,
    /// Which copy of its label that is, from 1: those before are void.
    pub copy: u32,
    /// That copy was scanned back, and is the right one.
    pub confirmed: bool,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    Started,
    Identifying,
    Identified,
    Reading,
    Read,
    Proving,
    Challenged {
        purpose: Purpose,
        challenge: Bytes,
    },
    Proven,
    Checking,
    Claimed,
    ReadingAgain(Purpose),
    ReadAgain(Purpose),
    ProvenAgain,
    /// The chip is to sign this request.
    Requesting {
        target: TargetName,
        thing: ThingName,
        info: Bytes,
    },
    /// A certificate is being made for it.
    Issuing {
        target: TargetName,
        thing: ThingName,
        /// `None`: its key, too.
        request: Option<Bytes>,
    },
    Issued {
        thing: ThingName,
    },
    Registering,
    /// Every target holds the unit; its own key connects to one after the other.
    Connecting,
    /// Every target holds the unit, and its chip is still there.
    Confirmed,
    /// And the board around it is the one that was asked first.
    IdentifiedAgain,
    Failed {
        step: Step,
        failure: Failure,
    },
    Sealed,
    Resumed,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RegisterIntent {
    pub fingerprint: Fingerprint,
    pub thing: ThingName,
    pub targets: Vec<TargetName>,
}

/// In a target, as of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub target: TargetName,
    pub seq: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    pub step: Step,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub failed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sealed {
    pub verdict: Verdict,
    pub reason: Option<Failure>,
    pub at: Timestamp,
    pub receipt: Receipt,
}

/// What became of the paper.
#[derive(Debug, Clone, PartialEq)]
pub enum Label {
    NotOwed,
    /// Nothing was sent to the printer yet.
    Owed(LabelKind),
    /// Sent, and the end was not seen.
    Intended(LabelKind),
    Ended(LabelKind, LabelStatus, Option<Failure>),
}

impl Label {
    pub fn status(&self) -> LabelStatus {
        match self {
            Label::NotOwed => LabelStatus::None,
            Label::Owed(_) => LabelStatus::Pending,
            Label::Intended(_) => LabelStatus::Failed,
            Label::Ended(_, status, _) => *status,
        }
    }
}

/// An event that cannot follow on what a run is.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Illegal {
    #[error("a run begins with run-started, not {event}")]
    NotStarted { event: &'static str },
    #[error("{event} cannot follow in stage {stage}")]
    Order { event: &'static str, stage: String },
    #[error("a run that {why} cannot end as {verdict:?}")]
    Verdict { verdict: Verdict, why: &'static str },
    #[error("event {event} belongs to no run")]
    Foreign { event: &'static str },
}

impl Run {
    /// The run that these events tell of.
    pub fn fold(events: &[Logged]) -> Result<Run, Illegal> {
        let (first, rest) = events.split_first().ok_or(Illegal::NotStarted { event: "nothing" })?;
        let mut run = Run::begin(first)?;
        for logged in rest {
            run.apply(logged)?;
        }
        Ok(run)
    }

    /// From its first event.
    pub fn begin(logged: &Logged) -> Result<Run, Illegal> {
        let event = &logged.event;
        match (&event.body, event.run) {
            (Body::Run(RunEvent::RunStarted { lane, device, profile, product, batch }), Some(id)) => Ok(Run {
                id,
                v: event.v,
                station: event.station.clone(),
                operator: event.operator.clone(),
                lane: *lane,
                device: device.clone(),
                profile: profile.clone(),
                product: product.clone(),
                batch: batch.clone(),
                started: event.at,
                first_seq: logged.receipt.seq,
                last_seq: logged.receipt.seq,
                last_by: (event.station.clone(), event.at),
                captured: None,
                stage: Stage::Started,
                unit: None,
                variables: Variables::new(),
                asks_again: false,
                reading: None,
                decision: None,
                claim: None,
                listed: false,
                ruling: None,
                replaces: Vec::new(),
                issued: None,
                provisioned: None,
                configured: false,
                kept: None,
                intent: None,
                registered: Vec::new(),
                asked: None,
                left: Vec::new(),
                taken_back: Vec::new(),
                connect: None,
                connected: Vec::new(),
                unconnected: Vec::new(),
                deactivate: Vec::new(),
                steps: vec![StepRecord { step: Step::Detect, began: event.at, ended: Some(event.at), failed: false }],
                sealed: None,
                slip: None,
                label: Label::NotOwed,
                copy: 1,
                confirmed: false,
            }),
            (Body::Run(other), _) => Err(Illegal::NotStarted { event: name_of(other) }),
            (Body::Line(_), _) => Err(Illegal::NotStarted { event: "an event of the line" }),
        }
    }

    /// Takes one more event of this run, or refuses it and stays as it was.
    pub fn apply(&mut self, logged: &Logged) -> Result<(), Illegal> {
        let Body::Run(event) = &logged.event.body else {
            return Err(Illegal::Foreign { event: "of the line" });
        };
        if logged.event.run != Some(self.id) {
            return Err(Illegal::Foreign { event: name_of(event) });
        }
        let next = self.next_stage(event)?;
        let (at, seq) = (logged.event.at, logged.receipt.seq);
        match event {
            RunEvent::Captured { capture } => self.captured = Some(capture.clone()),
            RunEvent::StepBegan { step } => {
                self.steps.push(StepRecord { step: *step, began: at, ended: None, failed: false });
            }
            RunEvent::Identified { unit, variables, again } => {
                self.unit = Some(unit.clone());
                self.variables = variables.clone();
                self.asks_again = *again;
                self.end_step(at, false);
            }
            RunEvent::ChipRead { reading } => {
                self.reading = Some(reading.clone());
                self.end_step(at, false);
            }
            RunEvent::ChallengeAnswered { purpose: Purpose::First, decision, .. } => {
                self.decision = Some(decision.clone());
                self.end_step(at, false);
            }
            RunEvent::Claimed { identity, standing, ruling, replaces, entry, .. } => {
                self.listed = entry.is_some();
                self.claim = Some((identity.clone(), *standing));
                (self.ruling, self.replaces) = (*ruling, replaces.clone());
                self.end_step(at, false);
            }
            RunEvent::RegisterIntended { fingerprint, thing, targets, connect } => {
                self.intent =
                    Some(RegisterIntent { fingerprint: *fingerprint, thing: thing.clone(), targets: targets.clone() });
                // Nobody takes it back by another profile.
                self.connect = self.connect.max(*connect);
                self.asked = self.pending_targets().into_iter().next();
            }
            RunEvent::CertificateIssued { issued } => self.issued = Some(issued.clone()),
            RunEvent::Provisioned { device_configuration, .. } => {
                self.provisioned = Some(device_configuration.clone());
            }
            RunEvent::BoardConfigured {} => self.configured = true,
            RunEvent::CertificateKept { object, .. } => self.kept = Some((object.clone(), None)),
            RunEvent::CertificateNotKept { object, failure } => {
                self.kept = Some((object.clone(), Some(failure.clone())));
            }
            RunEvent::Registered { target } => {
                self.registered.retain(|known| known.target != target.target);
                self.registered.push(target.clone());
                self.may_be_left(target.target.clone(), seq);
                self.asked = self.pending_targets().into_iter().next();
                if self.asked.is_none() {
                    self.end_step(at, false);
                }
            }
            RunEvent::Connected { connection } => {
                self.connected.push(connection.clone());
                self.end_connect(at);
            }
            RunEvent::NotConnected { target, failure } => {
                self.unconnected.push((target.clone(), failure.clone()));
                self.end_connect(at);
            }
            RunEvent::DeactivateIntended { target } => self.deactivate.push(target.clone()),
            RunEvent::Deactivated { target, failure } => {
                self.deactivate.retain(|pending| pending != target);
                let done = failure.is_none();
                if failure.as_ref().is_none_or(|failure| failure.code == ReasonCode::CERTIFICATE_ABSENT) {
                    self.left.retain(|left| left.target != *target);
                    self.taken_back.push(Mark { target: target.clone(), seq });
                }
                for record in self.registered.iter_mut().filter(|record| done && record.target == *target) {
                    record.status = CertificateStatus::Inactive;
                }
            }
            RunEvent::StepFailed { untouched, .. } => {
                // What has not answered may have done what it was asked for.
                if let Some(asked) = self.asked.take().filter(|_| !untouched) {
                    self.may_be_left(asked, seq);
                }
                self.end_step(at, true);
            }
            RunEvent::Sealed { verdict, reason, slip, label } => {
                self.end_step(at, *verdict != Verdict::Pass);
                self.slip = self.slip.or(*slip);
                if label.is_some() {
                    (self.copy, self.confirmed) = (1, false);
                }
                self.label = match label {
                    Some(kind) => Label::Owed(*kind),
                    // Held once more: whatever became of its slip stays as it is.
                    None if *verdict == Verdict::Held => self.label.clone(),
                    None => Label::NotOwed,
                };
                self.sealed = Some(Sealed { verdict: *verdict, reason: reason.clone(), at, receipt: logged.receipt });
                if self.step() != Step::Seal || self.steps.last().is_some_and(|record| record.failed) {
                    self.steps.push(StepRecord { step: Step::Seal, began: at, ended: Some(at), failed: false });
                }
            }
            RunEvent::Resumed {} => {
                self.steps.push(StepRecord { step: Step::Register, began: at, ended: None, failed: false });
            }
            RunEvent::LabelIntended { kind } => {
                self.label = Label::Intended(*kind);
                self.steps.push(StepRecord { step: Step::Print, began: at, ended: None, failed: false });
            }
            RunEvent::LabelEnded { kind, status, failure } => {
                self.label = Label::Ended(*kind, *status, failure.clone());
                self.end_step(at, *status != LabelStatus::Printed);
            }
            RunEvent::LabelSettled { kind, printed } => {
                self.label = match printed {
                    true => Label::Ended(*kind, LabelStatus::Printed, None),
                    false => Label::Owed(*kind),
                };
            }
            RunEvent::LabelReplaced { kind, copy, .. } => {
                (self.label, self.copy, self.confirmed) = (Label::Owed(*kind), *copy, false);
            }
            RunEvent::LabelConfirmed { .. } => self.confirmed = true,
            RunEvent::RunStarted { .. }
            | RunEvent::ChallengeMade { .. }
            | RunEvent::ChallengeAnswered { .. }
            | RunEvent::ReadAgain { .. }
            | RunEvent::RequestMade { .. }
            | RunEvent::CertificateRequested { .. }
            | RunEvent::KeysRequested { .. }
            | RunEvent::IdentifiedAgain { .. } => {}
        }
        self.stage = next;
        self.last_seq = logged.receipt.seq;
        self.last_by = (logged.event.station.clone(), at);
        Ok(())
    }

    /// Targets of the intent that do not hold the unit yet, in the profile's order.
    pub fn pending_targets(&self) -> Vec<TargetName> {
        let Some(intent) = &self.intent else { return Vec::new() };
        let done = |name: &TargetName| self.registered.iter().any(|record| record.target == *name);
        intent.targets.iter().filter(|name| !done(name)).cloned().collect()
    }

    /// Targets that were not connected to yet, in the profile's order.
    pub fn pending_connections(&self) -> Vec<TargetName> {
        let (Some(intent), Some(_)) = (&self.intent, self.connect) else { return Vec::new() };
        let done = |name: &TargetName| {
            self.connected.iter().any(|record| record.target == *name)
                || self.unconnected.iter().any(|(target, _)| target == name)
        };
        intent.targets.iter().filter(|name| !done(name)).cloned().collect()
    }

    /// Only its board could make the connections that were promised.
    pub(super) fn needs_its_board(&self) -> bool {
        self.connect == Some(ConnectMode::Required) && !self.pending_connections().is_empty()
    }

    /// What the first proof proved.
    pub fn proven_identity(&self) -> Option<Identity> {
        let (reading, decision) = (self.reading.as_ref()?, self.decision.as_ref()?);
        // Where both named one, they are the same: the UID rule saw to it.
        let uid = reading.uid.as_ref().or(decision.uid_in_certificate.as_ref()).cloned();
        Some(Identity { fingerprint: Fingerprint::of(&reading.certificate), spki: decision.spki, uid })
    }

    /// The certificate that stands for the unit in the cloud: made for its key, or the chip's own. DER.
    pub fn registered_certificate(&self) -> Option<&Bytes> {
        match &self.issued {
            Some(issued) => Some(&issued.certificate),
            None => self.reading.as_ref().map(|reading| &reading.certificate),
        }
    }

    /// Its fingerprint, where it was claimed.
    pub fn registered_fingerprint(&self) -> Option<Fingerprint> {
        let claimed = self.claim.as_ref().map(|(identity, _)| identity.fingerprint);
        self.issued.as_ref().map_or(claimed, |issued| Some(issued.fingerprint))
    }

    /// The other form of the certificate that was read.
    pub fn twin(&self) -> Option<Fingerprint> {
        checks::twin(&self.reading.as_ref()?.certificate)
    }

    /// The step that is under way, or was last.
    pub fn step(&self) -> Step {
        self.steps.last().map_or(Step::Detect, |record| record.step)
    }

    pub fn verdict(&self) -> Option<Verdict> {
        self.sealed.as_ref().map(|sealed| sealed.verdict)
    }

    fn may_be_left(&mut self, target: TargetName, seq: u64) {
        self.left.retain(|left| left.target != target);
        self.left.push(Mark { target, seq });
    }

    /// It is over, and nothing of it waits: what it left may be set INACTIVE. What waits comes to a verdict first.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Sealed && self.verdict() != Some(Verdict::Held)
    }

    fn end_step(&mut self, at: Timestamp, failed: bool) {
        if let Some(open) = self.steps.last_mut().filter(|record| record.ended.is_none()) {
            open.ended = Some(at);
            open.failed = failed;
        }
    }

    /// The step has gone well where each of its connections has.
    fn end_connect(&mut self, at: Timestamp) {
        if self.pending_connections().is_empty() {
            self.end_step(at, !self.unconnected.is_empty());
        }
    }

    /// The transition table: total, and the only place that says what may follow on what.
    fn next_stage(&self, event: &RunEvent) -> Result<Stage, Illegal> {
        use RunEvent as E;
        use Stage as S;
        let next = match (&self.stage, event) {
            (S::Started, E::Captured { .. }) if self.captured.is_none() => S::Started,
            (S::Started, E::StepBegan { step: Step::Identify }) => S::Identifying,
            (S::Identifying, E::Identified { unit, .. }) if unit.product == self.product => S::Identified,
            (S::Identified, E::StepBegan { step: Step::Read }) => S::Reading,
            (S::Reading, E::ChipRead { .. }) => S::Read,
            (S::Read, E::StepBegan { step: Step::Prove }) => S::Proving,
            (S::Proving, E::ChallengeMade { purpose: Purpose::First, challenge }) => {
                S::Challenged { purpose: Purpose::First, challenge: challenge.clone() }
            }
            (S::ReadAgain(due), E::ChallengeMade { purpose, challenge }) if due == purpose => {
                S::Challenged { purpose: *purpose, challenge: challenge.clone() }
            }
            (S::Challenged { purpose, .. }, E::ChallengeAnswered { purpose: answered, decision, .. })
                if purpose == answered && self.decides_the_reading(decision) =>
            {
                match purpose {
                    Purpose::First => S::Proven,
                    Purpose::BeforeRegister => S::ProvenAgain,
                    Purpose::AfterConnect => S::Confirmed,
                }
            }
            (S::Proven, E::StepBegan { step: Step::Check }) => S::Checking,
            (S::Checking, E::Claimed { unit, identity, .. })
                if Some(unit) == self.unit.as_ref() && self.proved(identity) =>
            {
                S::Claimed
            }
            (S::Claimed, E::StepBegan { step: Step::Register }) => S::ReadingAgain(Purpose::BeforeRegister),
            (S::Registering, E::CertificateKept { .. }) if self.keeps_next().is_some() => S::Registering,
            (S::Registering, E::CertificateNotKept { .. }) if self.keeps_next() == Some(WriteBack::Optional) => {
                S::Registering
            }
            (S::Registering, E::StepBegan { step: Step::Connect | Step::Seal }) if self.keeps_next().is_some() => {
                return Err(self.order(event));
            }
            (S::Registering, E::StepBegan { step: Step::Connect }) if self.looks_again() && self.connect.is_some() => {
                S::Connecting
            }
            (S::Connecting, E::Connected { connection }) if self.is_due(connection) => S::Connecting,
            (S::Connecting, E::NotConnected { target, .. })
                if self.connect == Some(ConnectMode::Optional) && self.pending_connections().contains(target) =>
            {
                S::Connecting
            }
            (S::Registering, E::StepBegan { step: Step::Seal }) if self.looks_again() && self.connect.is_none() => {
                S::ReadingAgain(Purpose::AfterConnect)
            }
            (S::Connecting, E::StepBegan { step: Step::Seal }) if self.pending_connections().is_empty() => {
                S::ReadingAgain(Purpose::AfterConnect)
            }
            (S::ReadingAgain(purpose), E::ReadAgain { reading }) if self.read_the_same(reading) => {
                S::ReadAgain(*purpose)
            }
            (S::Confirmed, E::BoardConfigured {}) if !self.asks_again => S::Confirmed,
            (S::IdentifiedAgain, E::BoardConfigured {}) => S::IdentifiedAgain,
            (S::Confirmed, E::IdentifiedAgain { serial })
                if self.unit.as_ref().is_some_and(|unit| unit.serial == *serial) =>
            {
                S::IdentifiedAgain
            }
            (S::ProvenAgain, E::RequestMade { target, thing, info }) => {
                S::Requesting { target: target.clone(), thing: thing.clone(), info: info.clone() }
            }
            (S::Requesting { target: due, thing, info }, E::CertificateRequested { target, request })
                if due == target && csr::asks(request, info) =>
            {
                S::Issuing { target: target.clone(), thing: thing.clone(), request: Some(request.clone()) }
            }
            (S::ProvenAgain, E::KeysRequested { target, thing }) => {
                S::Issuing { target: target.clone(), thing: thing.clone(), request: None }
            }
            (S::Issuing { target, thing, request }, E::CertificateIssued { issued })
                if issued.target == *target && self.is_as_asked(issued, request.as_ref()) =>
            {
                S::Issued { thing: thing.clone() }
            }
            // What was made for one target is registered there and nowhere else.
            (S::Issued { thing: asked }, E::RegisterIntended { fingerprint, thing, targets, .. })
                if asked == thing
                    && self.issued.as_ref().is_some_and(|issued| {
                        issued.fingerprint == *fingerprint && *targets == [issued.target.clone()]
                    }) =>
            {
                S::Registering
            }
            (S::ProvenAgain | S::Resumed, E::RegisterIntended { fingerprint, thing, targets, .. })
                if self.registered_fingerprint() == Some(*fingerprint)
                    && self.keeps_its_thing(thing)
                    && !targets.is_empty() =>
            {
                S::Registering
            }
            (S::Registering, E::Provisioned { target, certificate, .. })
                if self.pending_targets().contains(target)
                    && self.provisioned.is_none()
                    && self.issued.as_ref().is_some_and(|issued| issued.fingerprint == *certificate) =>
            {
                S::Registering
            }
            (S::Registering, E::Registered { target })
                if self.pending_targets().contains(&target.target) && self.is_intended(target) =>
            {
                S::Registering
            }
            (S::Sealed | S::Failed { .. }, E::StepFailed { .. }) => return Err(self.order(event)),
            (_, E::StepFailed { step, failure, .. }) => S::Failed { step: *step, failure: failure.clone() },
            (S::Failed { step, failure }, E::DeactivateIntended { target })
                if failure.code.verdict() == Verdict::Fail && self.may_take_back(target) =>
            {
                S::Failed { step: *step, failure: failure.clone() }
            }
            (S::Failed { step, failure }, E::Deactivated { target, .. }) if self.deactivate.contains(target) => {
                S::Failed { step: *step, failure: failure.clone() }
            }
            (S::Sealed, E::DeactivateIntended { target }) if self.is_over() && self.may_take_back(target) => S::Sealed,
            (S::Sealed, E::Deactivated { target, .. }) if self.deactivate.contains(target) => S::Sealed,
            (_, E::Sealed { verdict, reason, slip, label }) => {
                self.may_seal(*verdict, reason.as_ref())?;
                self.may_owe(*verdict, *slip, *label)?;
                S::Sealed
            }
            (S::Sealed, E::Resumed {}) if self.verdict() == Some(Verdict::Held) => S::Resumed,
            (S::Sealed, E::LabelIntended { kind }) if self.may_print(*kind) => S::Sealed,
            (S::Sealed, E::LabelEnded { kind, .. }) if self.label == Label::Intended(*kind) => S::Sealed,
            // It was never sent, and never will be.
            (S::Sealed, E::LabelEnded { kind, status: LabelStatus::None, .. }) if self.may_print(*kind) => S::Sealed,
            (S::Sealed, E::LabelSettled { kind, .. })
                if matches!(&self.label,
                    Label::Intended(k) | Label::Ended(k, LabelStatus::Failed, _) if k == kind) =>
            {
                S::Sealed
            }
            // Whether an earlier copy came out is settled before another one is asked for.
            (S::Sealed, E::LabelReplaced { kind, copy, .. })
                if self.has_printed(*kind) && self.copy.checked_add(1) == Some(*copy) =>
            {
                S::Sealed
            }
            (S::Sealed, E::LabelConfirmed { kind, copy })
                if self.has_printed(*kind) && self.copy == *copy && !self.confirmed =>
            {
                S::Sealed
            }
            _ => return Err(self.order(event)),
        };
        Ok(next)
    }

    /// What the verifier found is about the certificate that this run read.
    fn decides_the_reading(&self, decision: &Decision) -> bool {
        let read = self.reading.as_ref().map(|reading| Fingerprint::of(&reading.certificate));
        read.is_some() && decision.path.first() == read.as_ref()
    }

    /// The identity is that of the certificate which was read and proven, with a UID that it or its
    /// chip named.
    fn proved(&self, identity: &Identity) -> bool {
        let (Some(reading), Some(decision)) = (&self.reading, &self.decision) else { return false };
        let uids = [&reading.uid, &decision.uid_in_certificate];
        identity.fingerprint == Fingerprint::of(&reading.certificate)
            && identity.spki == decision.spki
            && (identity.uid.is_none() || uids.contains(&&identity.uid))
    }

    /// Every target holds the unit, and its board may still be asked: that of a unit that was HELD is
    /// elsewhere.
    pub(super) fn looks_again(&self) -> bool {
        self.intent.is_some() && self.pending_targets().is_empty() && self.slip.is_none()
    }

    /// Every target holds the unit, and its token is to keep the certificate that was made.
    pub(super) fn keeps_next(&self) -> Option<WriteBack> {
        let due = self.looks_again() && self.kept.is_none();
        self.issued.as_ref().and_then(|issued| issued.write_back).filter(|_| due)
    }

    /// Another look at the chip showed what the first did.
    pub fn read_the_same(&self, again: &Reading) -> bool {
        self.reading.as_ref().is_some_and(|first| first.certificate == again.certificate && first.uid == again.uid)
    }

    /// Asked for by this request, for the key that was proven and claimed; or by none, with a key of its own.
    fn is_as_asked(&self, issued: &IssuedCertificate, request: Option<&Bytes>) -> bool {
        let Some((Identity { spki: chips, .. }, _)) = &self.claim else { return false };
        let Ok(key) = checks::spki_hash(&issued.certificate) else { return false };
        (key == *chips) == request.is_some()
            && issued.fingerprint == Fingerprint::of(&issued.certificate)
            && issued.request == request.map(|request| Sha256::of(request))
    }

    /// AWS made a key for the board, and the board was not given it.
    pub(super) fn lacks_its_key(&self) -> bool {
        !self.configured && self.issued.as_ref().is_some_and(|issued| issued.request.is_none())
    }

    /// What was promised to the cloud once stays what it was.
    fn keeps_its_thing(&self, thing: &ThingName) -> bool {
        self.intent.as_ref().is_none_or(|intent| intent.thing == *thing)
    }

    /// A target that this run meant to register in, and that is not being taken back yet.
    pub(super) fn may_take_back(&self, target: &TargetName) -> bool {
        let asked = self.intent.as_ref().is_some_and(|intent| intent.targets.contains(target));
        let holds = self.left.iter().any(|left| left.target == *target);
        self.intent.is_some() && (asked || holds) && !self.deactivate.contains(target)
    }

    /// The target's answer is about this unit's certificate and thing: AWS's own names say so
    /// (`…:cert/` and the certificate's id, which is its fingerprint; `…:thing/` and its name).
    pub(super) fn is_intended(&self, record: &TargetRecord) -> bool {
        self.intent.as_ref().is_some_and(|RegisterIntent { fingerprint, thing, .. }| {
            record.certificate_arn.ends_with(&format!(":cert/{fingerprint}"))
                && record.thing_arn.ends_with(&format!(":thing/{thing}"))
        })
    }

    /// A connection that is still to be made, as this unit's thing.
    pub(super) fn is_due(&self, connection: &ConnectionRecord) -> bool {
        self.pending_connections().contains(&connection.target)
            && self.intent.as_ref().is_some_and(|intent| intent.thing == connection.client_id)
    }

    fn has_printed(&self, kind: LabelKind) -> bool {
        matches!(&self.label, Label::Ended(printed, LabelStatus::Printed, _) if *printed == kind)
    }

    fn may_print(&self, kind: LabelKind) -> bool {
        match &self.label {
            Label::Owed(owed) => *owed == kind,
            Label::Ended(owed, LabelStatus::Pending, _) => *owed == kind,
            _ => false,
        }
    }

    /// A PASS needs every promise kept; any other verdict needs the failure that it came from.
    fn may_seal(&self, verdict: Verdict, reason: Option<&Failure>) -> Result<(), Illegal> {
        let no = |why| Err(Illegal::Verdict { verdict, why });
        match (&self.stage, verdict) {
            (Stage::Sealed, _) => no("is sealed"),
            (Stage::Registering, Verdict::Pass) if self.v > 1 && self.looks_again() => {
                no("did not look at the chip once more")
            }
            (Stage::Confirmed, Verdict::Pass) if self.asks_again => no("did not ask the board once more"),
            (Stage::Registering | Stage::Confirmed | Stage::IdentifiedAgain, Verdict::Pass) => {
                let Some(intent) = &self.intent else { return no("did not register") };
                let Some(certificate) = self.registered_fingerprint() else { return no("claimed nothing") };
                match () {
                    () if !self.pending_targets().is_empty() => no("has not registered in every target"),
                    () if self.needs_its_board() => no("has not connected to every target"),
                    () if certificate != intent.fingerprint => no("registered another certificate"),
                    () if self.decision.is_none() => no("proved nothing"),
                    () if self.lacks_its_key() => no("did not give the board its key"),
                    () if reason.is_some() => no("has a reason to fail"),
                    () => Ok(()),
                }
            }
            (_, Verdict::Pass) => no("did not come to the end of register"),
            (Stage::Failed { failure, .. }, _) if reason != Some(failure) => no("failed for another reason"),
            (Stage::Failed { .. }, _) if !self.deactivate.is_empty() => no("has certificates to set INACTIVE"),
            (Stage::Failed { failure, .. }, verdict) if verdict_of(failure.code, self) == verdict => Ok(()),
            (Stage::Failed { .. }, _) => no("failed for a reason of another verdict"),
            _ => no("has not failed"),
        }
    }

    /// A slip's number belongs to HELD, and each paper to its verdict.
    fn may_owe(&self, verdict: Verdict, slip: Option<u64>, label: Option<LabelKind>) -> Result<(), Illegal> {
        let held = verdict == Verdict::Held;
        let number = held.then(|| self.slip.unwrap_or(self.first_seq));
        match label {
            _ if slip != number => Err(Illegal::Verdict { verdict, why: "has another slip" }),
            Some(LabelKind::Unit) if verdict != Verdict::Pass => Err(Illegal::Verdict { verdict, why: "owes a label" }),
            Some(LabelKind::Slip) if !held && verdict != Verdict::Fail => {
                Err(Illegal::Verdict { verdict, why: "owes a slip" })
            }
            _ => Ok(()),
        }
    }

    fn order(&self, event: &RunEvent) -> Illegal {
        Illegal::Order { event: name_of(event), stage: format!("{:?}", self.stage) }
    }
}

/// The verdict that a reason leads to. HELD is for what is proven, claimed and meant to be
/// registered in targets that do not hold it yet (a certificate that was made on the way is none to wait with);
/// else the same cause is an ERROR, since nothing could be
/// finished later. A unit that was HELD goes on waiting whatever the station's or the line's fault is
/// (credentials that have expired, a stop): trying again is another resume, not its board. Only its own
/// fault ends it.
pub fn verdict_of(code: ReasonCode, run: &Run) -> Verdict {
    match code.verdict() {
        Verdict::Fail => Verdict::Fail,
        _ if run.slip.is_some() => Verdict::Held,
        Verdict::Held if run.issued.is_some() => Verdict::Error,
        Verdict::Held if run.claim.is_some() && !run.pending_targets().is_empty() => Verdict::Held,
        Verdict::Held | Verdict::Pass => Verdict::Error,
        verdict => verdict,
    }
}

fn name_of(event: &RunEvent) -> &'static str {
    match event {
        RunEvent::RunStarted { .. } => "run-started",
        RunEvent::Captured { .. } => "captured",
        RunEvent::StepBegan { .. } => "step-began",
        RunEvent::Identified { .. } => "identified",
        RunEvent::ChipRead { .. } => "chip-read",
        RunEvent::ChallengeMade { .. } => "challenge-made",
        RunEvent::ChallengeAnswered { .. } => "challenge-answered",
        RunEvent::Claimed { .. } => "claimed",
        RunEvent::ReadAgain { .. } => "read-again",
        RunEvent::IdentifiedAgain { .. } => "identified-again",
        RunEvent::BoardConfigured {} => "board-configured",
        RunEvent::RequestMade { .. } => "request-made",
        RunEvent::CertificateRequested { .. } => "certificate-requested",
        RunEvent::KeysRequested { .. } => "keys-requested",
        RunEvent::Provisioned { .. } => "provisioned",
        RunEvent::CertificateIssued { .. } => "certificate-issued",
        RunEvent::CertificateKept { .. } => "certificate-kept",
        RunEvent::CertificateNotKept { .. } => "certificate-not-kept",
        RunEvent::RegisterIntended { .. } => "register-intended",
        RunEvent::Registered { .. } => "registered",
        RunEvent::Connected { .. } => "connected",
        RunEvent::NotConnected { .. } => "not-connected",
        RunEvent::DeactivateIntended { .. } => "deactivate-intended",
        RunEvent::Deactivated { .. } => "deactivated",
        RunEvent::StepFailed { .. } => "step-failed",
        RunEvent::Sealed { .. } => "sealed",
        RunEvent::Resumed {} => "resumed",
        RunEvent::LabelIntended { .. } => "label-intended",
        RunEvent::LabelEnded { .. } => "label-ended",
        RunEvent::LabelSettled { .. } => "label-settled",
        RunEvent::LabelReplaced { .. } => "label-replaced",
        RunEvent::LabelConfirmed { .. } => "label-confirmed",
    }
}
