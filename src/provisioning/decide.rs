//! What a run does next. Pure: the same run, input and context give the same effects.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::checks::{self, Checked};
use super::csr;
use super::label::{Paper, paper};
use super::run::{Label, Run, Stage, verdict_of};
use super::values::{
    RegisterValues, configure_variables, connect_values, parameter_values, register_values, variables_of,
};
use crate::audit::RunEvent;
use crate::audit::challenge::{ChallengeFacts, challenge as challenge_message};
use crate::audit::event::{
    ConnectionRecord, IssuedCertificate, LabelKind, LabelStatus, Purpose, Reading, SignatureScheme, TargetRecord,
};
use crate::domain::profile::{
    ConnectMode, FleetKeys, Issuer, Method, MqttPort, ObjectName, Offline, Prepare, Profile, WriteBack, WriteBackPlan,
};
use crate::domain::{
    BoardSerial, Bytes, EntryPlace, Failure, Fingerprint, Identity, ReasonCode, Sha256, SigningCa, Step, TargetName,
    ThingName, Unit, Variables, Verdict,
};
use crate::ports::{
    Answer, Collision, CollisionRule, Issuance, Join, Kept, Lock, LockKind, Made, Obstacle, Refusal, Registration,
    Trial, Unlisted,
};

/// What the world answered.
#[derive(Debug, Clone)]
pub enum Input {
    /// The run was just started.
    Begin,
    Identified(Result<Answer, Failure>),
    IdentifiedAgain(Result<Answer, Failure>),
    Read(Result<Reading, Failure>),
    Signed(Result<Vec<u8>, Failure>),
    /// The claim is in the log, and applied to the run.
    Claimed,
    Collided(Vec<Collision>),
    /// Only a ruling opens the unit again.
    Locked(Lock),
    /// What another station proved proves nothing here.
    Unproven(Failure),
    /// The batch's shipment manifest does not have this chip.
    Unlisted(Unlisted),
    /// The claim that this run made does not hold any more.
    Barred(Obstacle),
    Issued(TargetName, Box<Result<Made, Failure>>),
    /// What the fleet's template answered; `None`: the unit is there already, and AWS was asked for nothing.
    Provisioned(TargetName, Box<Result<Option<BTreeMap<String, String>>, Refusal>>),
    Registered(TargetName, Box<Result<TargetRecord, Refusal>>),
    Kept(Result<Kept, Failure>),
    Connected(TargetName, Box<Result<ConnectionRecord, Failure>>),
    /// The board was given what AWS made of it.
    Configured(Result<(), Failure>),
    /// Another run of the unit came to owe its label while this one was about to pass.
    LabelTaken,
    Deactivated(TargetName, Result<(), Failure>),
    /// The run is over, its unit is locked, and these may hold its certificate ACTIVE.
    TakeBack(Vec<TargetName>),
    /// Unplugged, stopped, or a second board with the same serial: whatever was under way is over.
    Interrupted(Failure),
    /// After a crash: an unfinished run is closed, with what it still owes.
    Recover(Failure),
    /// A HELD run is taken up again.
    Resume,
    /// The label may be printed now.
    PrintLabel,
    /// It may not, and never will: the unit was scrapped, withdrawn, or has another chip.
    Unlabelled(Obstacle),
    Printed(Result<(), Failure>),
}

/// What the runner does, in order. `Record` must have succeeded before the next effect.
#[derive(Debug, Clone)]
pub enum Effect {
    Record(Vec<RunEvent>),
    /// `prepare`, then the board's serial number.
    Identify,
    /// As before, up to the serial number, the token being closed first: a port has one owner.
    IdentifyAgain,
    Read,
    Sign {
        message: Vec<u8>,
        scheme: SignatureScheme,
    },
    Claim {
        unit: Unit,
        identity: Identity,
        twin: Option<Fingerprint>,
    },
    /// By whoever the profile says.
    Issue(Box<Issuance>),
    /// AWS is to apply its fleet's template, once; what comes of it is read back by `Register`.
    Provision(Box<Registration>),
    Register(Box<Registration>),
    /// The chip's key shows itself to the broker, and what AWS makes of it is waited for.
    Join(Box<Join>),
    /// The token keeps the certificate that was made for its key.
    Keep {
        object: ObjectName,
        certificate: Bytes,
    },
    /// With the chip's key.
    Connect(Box<Trial>),
    /// The board is given what AWS made of it, its token being closed first: a port has one owner.
    Configure {
        prepare: Prepare,
        variables: Variables,
    },
    Deactivate {
        target: TargetName,
        certificate: Fingerprint,
    },
    Print {
        name: String,
        zpl: String,
    },
    /// A label or slip is owed: come back with `PrintLabel`.
    PrintNext,
    /// Nothing is left to do for this run.
    Finish,
}

/// What the core may not fetch itself.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    pub now: Timestamp,
    pub random: [u8; 32],
    /// Root of the log's latest tree head.
    pub log_root: [u8; 32],
    pub profile: &'a Profile,
    /// A printer is configured.
    pub printer: bool,
    /// The unit's label from an earlier run, on paper or owed: no second one without asking.
    pub earlier_label: Option<LabelStatus>,
    pub practice: bool,
    /// The name of whoever operated the run, where a label is to name that person.
    pub operator: Option<String>,
    /// Slips of this station count elsewhere.
    pub air_gapped: bool,
}

/// An input that cannot come now: a defect of the runner, never of the line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{input} cannot come in stage {stage}")]
pub struct Unexpected {
    input: String,
    stage: String,
}

pub fn decide(run: &Run, input: Input, context: &Context) -> Result<Vec<Effect>, Unexpected> {
    let unexpected =
        Unexpected { input: format!("{input:?}").chars().take(80).collect(), stage: format!("{:?}", run.stage) };
    let effects = match (&run.stage, input) {
        (Stage::Started, Input::Begin) => begin(Step::Identify, Effect::Identify),
        (Stage::Identifying, Input::Identified(answer)) => identified(run, answer, context),
        (Stage::Reading, Input::Read(reading)) => read(run, reading, context),
        (Stage::ReadingAgain(purpose), Input::Read(reading)) => read_again(run, *purpose, reading, context),
        (Stage::Challenged { purpose, challenge }, Input::Signed(signature)) => {
            signed(run, *purpose, challenge, signature, context)
        }
        (Stage::Claimed, Input::Claimed) => begin(Step::Register, Effect::Read),
        (Stage::Checking, Input::Collided(with)) => fail(run, Step::Check, collision(with), context),
        (Stage::Checking, Input::Unlisted(why)) => {
            fail(run, Step::Check, unlisted(run.proven_identity().as_ref(), why), context)
        }
        (Stage::Checking, Input::Locked(lock)) => fail(run, Step::Check, locked(run.unit.as_ref(), &lock), context),
        (Stage::Checking, Input::Unproven(failure)) => fail(run, Step::Check, failure, context),
        (Stage::Requesting { target, thing, info }, Input::Signed(signature)) => {
            requested(run, (target, thing, info), signature, context)
        }
        (Stage::Issuing { target, thing, request }, Input::Issued(asked, made)) if asked == *target => {
            issued(run, (target, thing, request.as_ref()), *made, context)
        }
        (Stage::Registering, Input::Provisioned(target, answer))
            if run.pending_targets().first() == Some(&target) && run.provisioned.is_none() =>
        {
            provisioned(run, target, *answer, context)
        }
        // An answer counts once, from the target that was asked.
        (Stage::Registering, Input::Registered(target, result)) if run.pending_targets().first() == Some(&target) => {
            registered(run, target, *result, context)
        }
        (Stage::Registering, Input::Kept(result)) if run.keeps_next().is_some() => kept(run, result, context),
        (Stage::Connecting, Input::Connected(target, result)) if run.pending_connections().first() == Some(&target) => {
            connected(run, target, *result, context)
        }
        (Stage::Confirmed | Stage::IdentifiedAgain, Input::Configured(result)) => match result {
            Ok(()) => pass(run, vec![RunEvent::BoardConfigured {}], context),
            Err(failure) => fail(run, run.step(), failure, context),
        },
        (Stage::Confirmed, Input::IdentifiedAgain(answer)) if run.asks_again => identified_again(run, answer, context),
        (Stage::Registering | Stage::Confirmed | Stage::IdentifiedAgain, Input::LabelTaken)
            if run.pending_targets().is_empty() =>
        {
            pass(run, Vec::new(), context)
        }
        (Stage::Failed { failure, .. }, Input::Deactivated(target, result)) if run.deactivate.contains(&target) => {
            let mut effects =
                vec![Effect::Record(vec![RunEvent::Deactivated { target: target.clone(), failure: result.err() }])];
            let rest: Vec<_> = run.deactivate.iter().filter(|pending| **pending != target).cloned().collect();
            effects.extend(deactivate_or_seal(run, failure.clone(), &rest, context));
            effects
        }
        (Stage::Failed { failure, .. }, Input::Recover(_) | Input::Interrupted(_)) => {
            deactivate_or_seal(run, failure.clone(), &run.deactivate, context)
        }
        (Stage::Sealed, Input::Interrupted(_) | Input::Recover(_)) => vec![Effect::Finish],
        (Stage::Resumed | Stage::Registering, Input::Recover(failure) | Input::Interrupted(failure))
            if run.slip.is_some() =>
        {
            // The proof and the claim stand: it goes on waiting for the cloud.
            fail(run, Step::Register, held_again(failure), context)
        }
        (_, Input::Interrupted(failure) | Input::Recover(failure)) => fail(run, run.step(), failure, context),
        (Stage::Sealed, Input::Barred(why)) if run.verdict() == Some(Verdict::Held) => {
            let mut effects = vec![Effect::Record(vec![RunEvent::Resumed {}])];
            effects.extend(fail(run, Step::Register, barred_run(run, why), context));
            effects
        }
        (
            Stage::Registering
            | Stage::Challenged { purpose: Purpose::AfterConnect, .. }
            | Stage::Confirmed
            | Stage::IdentifiedAgain,
            Input::Barred(why),
        ) => {
            // The target that was asked last has answered, and its answer is not recorded yet.
            fail(run, run.step(), barred_run(run, why), context)
        }
        (Stage::Sealed, Input::Resume) if run.verdict() == Some(Verdict::Held) => resume(run, context),
        (Stage::Sealed, Input::TakeBack(targets)) if run.is_over() => take_back(run, &targets),
        (Stage::Sealed, Input::Deactivated(target, result)) if run.deactivate.contains(&target) => {
            let pending: Vec<_> = run.deactivate.iter().filter(|pending| **pending != target).cloned().collect();
            let mut effects = vec![Effect::Record(vec![RunEvent::Deactivated { target, failure: result.err() }])];
            effects.push(deactivate(run, &pending).unwrap_or(Effect::Finish));
            effects
        }
        (Stage::Sealed, Input::PrintLabel) => print(run, context),
        (Stage::Sealed, Input::Unlabelled(why)) => unlabelled(run, why),
        (Stage::Sealed, Input::Printed(result)) if matches!(run.label, Label::Intended(_)) => printed(run, result),
        _ => return Err(unexpected),
    };
    Ok(effects)
}

fn begin(step: Step, effect: Effect) -> Vec<Effect> {
    vec![Effect::Record(vec![RunEvent::StepBegan { step }]), effect]
}

fn identified(run: &Run, answer: Result<Answer, Failure>, context: &Context) -> Vec<Effect> {
    let found = answer.and_then(|answer| {
        let serial = serial_of(&answer, context.profile)?;
        let unit = Unit { product: run.product.clone(), serial };
        let variables = variables_of(&run.device, &run.station, &unit, &answer);
        // Every value the profile makes of the answer is checked before anything is touched.
        let values = register_values(context.profile, &variables)?;
        connect_values(context.profile, &variables, &values.thing)?;
        if let Method::Csr(_) = context.profile.register.method {
            csr::subject_fits(&values.thing)?;
        }
        Ok((unit, variables))
    });
    match found {
        Ok((unit, variables)) => {
            let identified = RunEvent::Identified { unit, variables, again: context.profile.identify.again };
            vec![Effect::Record(vec![identified, RunEvent::StepBegan { step: Step::Read }]), Effect::Read]
        }
        Err(failure) => fail(run, Step::Identify, failure, context),
    }
}

/// The chip was looked at three times, the board only once and before: where a bridge stays and what is
/// behind it is exchanged, this is what shows it.
fn identified_again(run: &Run, answer: Result<Answer, Failure>, context: &Context) -> Vec<Effect> {
    let serial = answer.and_then(|answer| serial_of(&answer, context.profile));
    match (serial, run.unit.as_ref().map(|unit| &unit.serial)) {
        (Ok(serial), Some(first)) if serial == *first => {
            configure(run, vec![RunEvent::IdentifiedAgain { serial }], context)
        }
        (Ok(again), first) => {
            let first = first.map(ToString::to_string).unwrap_or_default();
            let cause = format!("a board with serial number {again} answers, which was {first} when the run began");
            fail(run, run.step(), changed(&cause).with("serial", &again), context)
        }
        (Err(failure), _) => fail(run, run.step(), failure, context),
    }
}

pub fn serial_of(answer: &Answer, profile: &Profile) -> Result<BoardSerial, Failure> {
    let text = answer.get("serial").map(String::as_str).unwrap_or_default();
    let fits = profile.identify.serial.find(text).is_some_and(|found| found.len() == text.len());
    match text.parse::<BoardSerial>() {
        Ok(serial) if fits => Ok(serial),
        Ok(_) => Err(format!("{text:?} does not match {:?} whole", profile.identify.serial.as_str())),
        Err(invalid) => Err(invalid.to_string()),
    }
    .map_err(|cause| Failure::new(ReasonCode::BOARD_SERIAL, cause).with("serial", text))
}

fn read(run: &Run, reading: Result<Reading, Failure>, context: &Context) -> Vec<Effect> {
    let reading = match reading {
        Ok(reading) => reading,
        Err(failure) => return fail(run, Step::Read, failure, context),
    };
    let events = vec![RunEvent::ChipRead { reading: reading.clone() }, RunEvent::StepBegan { step: Step::Prove }];
    match checked(&reading, context) {
        Ok(checked) => challenge(run, Purpose::First, &checked, events, context),
        Err(failure) => {
            let mut effects = vec![Effect::Record(events)];
            effects.extend(fail(run, Step::Prove, failure, context));
            effects
        }
    }
}

fn read_again(run: &Run, purpose: Purpose, reading: Result<Reading, Failure>, context: &Context) -> Vec<Effect> {
    let same = reading.and_then(|again| {
        let first = run.reading.as_ref().ok_or_else(|| changed("there is no first reading"))?;
        let other = |cause| {
            let uid = again.uid.as_ref().map_or("none", |uid| uid.as_str());
            let failure = changed(cause).with("certificate", Fingerprint::of(&again.certificate));
            Err(failure.with("chip_uid", uid))
        };
        match () {
            () if first.certificate != again.certificate => other("another certificate answers"),
            () if !run.read_the_same(&again) => other("another chip UID answers"),
            () => Ok(again),
        }
    });
    match same.and_then(|again| Ok((checked(&again, context)?, again))) {
        Ok((checked, reading)) => challenge(run, purpose, &checked, vec![RunEvent::ReadAgain { reading }], context),
        Err(failure) => fail(run, run.step(), failure, context),
    }
}

fn changed(cause: &str) -> Failure {
    Failure::new(ReasonCode::CHIP_CHANGED, cause)
}

fn checked(reading: &Reading, context: &Context) -> Result<Checked, Failure> {
    checks::check_certificate(&reading.certificate, reading.uid.as_ref(), &context.profile.trust, context.now)
}

fn challenge(
    run: &Run,
    purpose: Purpose,
    checked: &Checked,
    mut events: Vec<RunEvent>,
    context: &Context,
) -> Vec<Effect> {
    let Some(unit) = &run.unit else {
        let failure = Failure::new(ReasonCode::BOARD_SERIAL, "the run has no unit");
        return fail(run, run.step(), failure, context);
    };
    let message = challenge_message(&ChallengeFacts {
        run: run.id,
        unit,
        port: &run.device.path,
        purpose,
        log_root: context.log_root,
        random: context.random,
    });
    events.push(RunEvent::ChallengeMade { purpose, challenge: Bytes(message.clone()) });
    vec![Effect::Record(events), Effect::Sign { message, scheme: checks::scheme_for(checked.decision.key) }]
}

fn signed(
    run: &Run,
    purpose: Purpose,
    challenge: &Bytes,
    signature: Result<Vec<u8>, Failure>,
    context: &Context,
) -> Vec<Effect> {
    let proof = signature.and_then(|signature| {
        let reading = run.reading.as_ref().ok_or_else(|| changed("there is no reading"))?;
        let checked = checked(reading, context)?;
        checks::verify_signature(&checked, challenge, &signature)?;
        Ok((checked, signature))
    });
    let (checked, signature) = match proof {
        Ok(proof) => proof,
        Err(failure) => return fail(run, run.step(), failure, context),
    };
    let answered = RunEvent::ChallengeAnswered {
        purpose,
        signature: Bytes(signature),
        scheme: checks::scheme_for(checked.decision.key),
        decision: checked.decision.clone(),
    };
    match (purpose, &run.unit) {
        (Purpose::First, Some(unit)) => {
            let twin = run.twin();
            vec![
                Effect::Record(vec![answered, RunEvent::StepBegan { step: Step::Check }]),
                Effect::Claim { unit: unit.clone(), identity: checked.identity, twin },
            ]
        }
        (Purpose::First, None) => {
            fail(run, run.step(), Failure::new(ReasonCode::BOARD_SERIAL, "the run has no unit"), context)
        }
        (Purpose::BeforeRegister, _) => match context.profile.register.method {
            Method::Csr(_) => request(run, answered, &checked, context),
            Method::WithoutCa | Method::WithCa(_) | Method::JustInTime(_) | Method::Template { .. } => {
                register(run, vec![answered], checked.identity.fingerprint, context)
            }
        },
        (Purpose::AfterConnect, _) if run.asks_again => vec![Effect::Record(vec![answered]), Effect::IdentifyAgain],
        (Purpose::AfterConnect, _) => configure(run, vec![answered], context),
    }
}

/// The argument of a collision's failure that names, for each rule, the event that made the holder's binding.
pub const COLLIDES: &str = "collides";

pub fn collision(collisions: Vec<Collision>) -> Failure {
    let Some(worst) = collisions.iter().min_by_key(|collision| collision.rule) else {
        return Failure::new(ReasonCode::STORE_FAILED, "the store refused a claim and named no collision");
    };
    let code = match worst.rule {
        CollisionRule::Entry => ReasonCode::ENTRY_CONSUMED,
        CollisionRule::Certificate => ReasonCode::CERTIFICATE_BOUND,
        CollisionRule::Key => ReasonCode::KEY_BOUND,
        CollisionRule::Uid => ReasonCode::UID_BOUND,
        CollisionRule::Unit => ReasonCode::UNIT_BOUND,
    };
    let cause: Vec<String> = collisions
        .iter()
        .map(|c| {
            let no_run = || "an imported row, or a ruling that no run has used".to_owned();
            let since = c.run.map_or_else(no_run, |run| format!("run {run}"));
            format!(
                "{:?}: held by {} since {since} (event {}) under certificate {}",
                c.rule, c.unit, c.seq, c.fingerprint
            )
        })
        .collect();
    let with: Vec<String> = collisions.iter().map(|c| format!("{}@{}", c.rule.as_str(), c.seq)).collect();
    Failure::new(code, cause.join("; ")).with("unit", &worst.unit.serial).with(COLLIDES, with.join(" "))
}

pub fn barred(unit: Option<&Unit>, chip: Option<&Identity>, why: Obstacle) -> Failure {
    match why {
        Obstacle::Unlisted(why) => unlisted(chip, why),
        Obstacle::Collides(collisions) => collision(collisions),
        Obstacle::Locked(lock) => locked(unit, &lock),
    }
}

fn barred_run(run: &Run, why: Obstacle) -> Failure {
    barred(run.unit.as_ref(), run.claim.as_ref().map(|(identity, _)| identity), why)
}

fn locked(unit: Option<&Unit>, lock: &Lock) -> Failure {
    let code = match lock.kind {
        LockKind::Failed => ReasonCode::UNIT_LOCKED,
        LockKind::Scrapped => ReasonCode::UNIT_SCRAPPED,
        LockKind::Conflict => ReasonCode::IMPORT_CONFLICT,
        LockKind::Withdrawn => ReasonCode::UNIT_WITHDRAWN,
    };
    let cause = match (lock.run, lock.reason) {
        (Some(run), Some(reason)) => {
            format!("run {run} ended FAIL {reason} (event {}), and no ruling followed", lock.seq)
        }
        _ => format!("event {} locks the unit, and no ruling followed", lock.seq),
    };
    let serial = unit.map(|unit| unit.serial.to_string()).unwrap_or_default();
    Failure::new(code, cause).with("unit", serial)
}

pub fn unlisted(chip: Option<&Identity>, why: Unlisted) -> Failure {
    match why {
        Unlisted::Absent { batch } => {
            let cause = format!("no list that was taken into batch {batch} names its UID, certificate or key");
            Failure::new(ReasonCode::CHIP_NOT_SHIPPED, cause)
        }
        Unlisted::Differs { entry, place } => {
            let said = |what: &str, value: Option<String>| value.map(|value| format!("{what} {value}"));
            let parts = [
                said("UID", entry.uid.as_ref().map(ToString::to_string)),
                said("certificate", entry.fingerprint.map(|fingerprint| fingerprint.to_string())),
                said("key", entry.spki.map(|spki| spki.to_string())),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            let EntryPlace { seq, imported, line } = place;
            let cause = format!("entry {line} of event {seq} (taken in by event {imported}) says {}", parts.join(", "));
            let differs = chip.map(|chip| entry.contradicted(chip).join(", ")).unwrap_or_default();
            Failure::new(ReasonCode::CHIP_SHIPPED_OTHERWISE, cause).with("part", differs)
        }
    }
}

/// What the chip is to sign, so that a certificate can be made for its key; or AWS makes that, too.
fn request(run: &Run, answered: RunEvent, checked: &Checked, context: &Context) -> Vec<Effect> {
    let register = &context.profile.register;
    let keys = register.method.fleet().map_or(FleetKeys::Chip, |fleet| fleet.keys);
    let none = || Failure::new(ReasonCode::CONFIG_INVALID, "the profile names no target");
    let asked = register_values(context.profile, &run.variables).and_then(|RegisterValues { thing, .. }| {
        let target = register.targets.first().cloned().ok_or_else(none)?;
        Ok((csr::info(&checked.spki, &thing)?, target, thing))
    });
    match asked {
        Ok((_, target, thing)) if keys == FleetKeys::Aws => {
            let event = RunEvent::KeysRequested { target: target.clone(), thing: thing.clone() };
            let (spki, asked, deadline) = (checked.decision.spki, context.now, register.deadline);
            let issuance = Issuance { target, thing, request: None, spki, asked, deadline };
            vec![Effect::Record(vec![answered, event]), Effect::Issue(Box::new(issuance))]
        }
        Ok((info, target, thing)) => {
            let made = RunEvent::RequestMade { target, thing, info: Bytes(info.clone()) };
            let scheme = checks::scheme_for(checked.decision.key);
            vec![Effect::Record(vec![answered, made]), Effect::Sign { message: info, scheme }]
        }
        Err(failure) => {
            let mut effects = vec![Effect::Record(vec![answered])];
            effects.extend(fail(run, Step::Register, failure, context));
            effects
        }
    }
}

/// It goes out only as what the chip's key has signed.
fn requested(
    run: &Run,
    (target, thing, info): (&TargetName, &ThingName, &Bytes),
    signature: Result<Vec<u8>, Failure>,
    context: &Context,
) -> Vec<Effect> {
    let signed = signature.and_then(|signature| {
        let reading = run.reading.as_ref().ok_or_else(|| changed("there is no reading"))?;
        let checked = checked(reading, context)?;
        checks::verify_signature(&checked, info, &signature)?;
        let request = csr::signed(info, checks::scheme_for(checked.decision.key), &signature);
        Ok((Bytes(request), checked.decision.spki))
    });
    match signed {
        Ok((request, spki)) => {
            let event = RunEvent::CertificateRequested { target: target.clone(), request: request.clone() };
            let (target, thing) = (target.clone(), thing.clone());
            let (asked, deadline) = (context.now, context.profile.register.deadline);
            let issuance = Issuance { target, thing, request: Some(request), spki, asked, deadline };
            vec![Effect::Record(vec![event]), Effect::Issue(Box::new(issuance))]
        }
        Err(failure) => fail(run, Step::Register, failure, context),
    }
}

/// What came back is recorded, and this unit's, before anything is done with it.
fn issued(
    run: &Run,
    (target, thing, request): (&TargetName, &ThingName, Option<&Bytes>),
    made: Result<Made, Failure>,
    context: &Context,
) -> Vec<Effect> {
    let issuer = match &context.profile.register.method {
        Method::Csr(plan) => Some(&plan.issuer),
        Method::WithoutCa | Method::WithCa(_) | Method::JustInTime(_) | Method::Template { .. } => None,
    };
    let endpoint = match issuer {
        Some(Issuer::Endpoint(endpoint)) => Some(endpoint),
        Some(Issuer::Aws | Issuer::Fleet(_)) | None => None,
    };
    let good = made.map_err(|failure| may_wait(run, failure, context)).and_then(|made| {
        let (identity, _) = run.claim.as_ref().ok_or_else(|| changed("nothing was claimed"))?;
        let ca = endpoint.and_then(|endpoint| endpoint.ca.as_ref());
        let of_target = |failure: Failure| failure.with("target", target);
        let wanted = match request {
            Some(_) => csr::Wanted::Chips(identity.spki),
            None => csr::Wanted::New { but: identity.spki },
        };
        let fingerprint =
            csr::check_issued(&made.certificate, wanted, identity.fingerprint, ca, context.now).map_err(of_target)?;
        let Made { certificate, chain, origin } = made;
        Ok(IssuedCertificate {
            target: target.clone(),
            fingerprint,
            certificate,
            chain,
            request: request.map(|request| Sha256::of(request)),
            origin,
            endpoint: endpoint.map(|endpoint| endpoint.url.clone()),
            write_back: write_back(context).map(|plan| plan.mode),
        })
    });
    let values = register_values(context.profile, &run.variables);
    match good.and_then(|issued| Ok((issued, RegisterValues { thing: thing.clone(), ..values? }))) {
        Ok((issued, values)) => {
            let (fingerprint, certificate) = (issued.fingerprint, issued.certificate.clone());
            let connect = context.profile.connect.as_ref().map(|plan| plan.mode);
            let (thing, targets) = (thing.clone(), vec![target.clone()]);
            let intended = RunEvent::RegisterIntended { fingerprint, thing, targets, connect };
            let effect = match registration(run, target.clone(), certificate, values, context) {
                Effect::Register(registration) if context.profile.register.method.fleet().is_some() => {
                    Effect::Provision(registration)
                }
                effect => effect,
            };
            vec![Effect::Record(vec![RunEvent::CertificateIssued { issued }, intended]), effect]
        }
        Err(failure) => fail(run, Step::Register, failure, context),
    }
}

/// Intent first, then the first target; the others follow one by one.
fn register(run: &Run, mut events: Vec<RunEvent>, fingerprint: Fingerprint, context: &Context) -> Vec<Effect> {
    let values = match register_values(context.profile, &run.variables) {
        Ok(values) => values,
        Err(failure) => return fail(run, Step::Register, failure, context),
    };
    let targets = context.profile.register.targets.clone();
    let first = targets.first().cloned();
    let connect = context.profile.connect.as_ref().map(|plan| plan.mode);
    events.push(RunEvent::RegisterIntended { fingerprint, thing: values.thing.clone(), targets, connect });
    match first.zip(run.registered_certificate().cloned()) {
        Some((target, certificate)) => {
            vec![Effect::Record(events), registration(run, target, certificate, values, context)]
        }
        None => {
            let failure = Failure::new(ReasonCode::CONFIG_INVALID, "the profile names no target");
            fail(run, Step::Register, failure, context)
        }
    }
}

fn registration(
    run: &Run,
    target: TargetName,
    certificate: Bytes,
    values: RegisterValues,
    context: &Context,
) -> Effect {
    let plan = &context.profile.register;
    let join = match &plan.method {
        Method::JustInTime(ca) => introduction(run, &target, &values.thing, ca, context),
        Method::WithoutCa | Method::WithCa(_) | Method::Csr(_) | Method::Template { .. } => None,
    };
    let registration = Registration {
        target,
        method: plan.method.clone(),
        // Whatever could keep them from being rendered was found when the board had answered.
        parameters: parameter_values(context.profile, &run.variables, &values.thing, &certificate).unwrap_or_default(),
        twin: checks::twin(&certificate),
        fingerprint: Fingerprint::of(&certificate),
        certificate,
        certificate_status: plan.certificate_status,
        thing: values.thing,
        thing_type: plan.thing_type.clone(),
        attributes: values.attributes,
        policy: plan.policy.clone(),
        replaces: run.replaces.clone(),
        deadline: plan.deadline,
        patient: run.slip.is_some(),
    };
    match join {
        Some(trial) => Effect::Join(Box::new(Join { registration, trial })),
        None => Effect::Register(Box::new(registration)),
    }
}

/// AWS has to see whose the chip's certificate is: it comes with the CA's (AWS IoT Core developer guide, "Just-in-time
/// provisioning").
fn introduction(run: &Run, target: &TargetName, thing: &ThingName, ca: &SigningCa, context: &Context) -> Option<Trial> {
    let plan = context.profile.connect.as_ref();
    Some(Trial {
        target: target.clone(),
        endpoint: String::new(),
        port: plan.map_or(MqttPort::Mqtts, |plan| plan.port),
        roots: plan.and_then(|plan| plan.roots.as_ref()).map(|roots| roots.iter().cloned().map(Bytes).collect()),
        only_tls12: plan.is_some_and(|plan| plan.only_tls12),
        thing: thing.clone(),
        chain: vec![run.registered_certificate()?.clone(), ca.certificate.clone()],
        key: run.decision.as_ref()?.key,
        topics: Vec::new(),
        refused_topic: None,
        message: Bytes(Vec::new()),
        deadline: context.profile.register.deadline,
    })
}

/// AWS says it once: it is in the log before anything else is done.
fn provisioned(
    run: &Run,
    target: TargetName,
    answer: Result<Option<BTreeMap<String, String>>, Refusal>,
    context: &Context,
) -> Vec<Effect> {
    let device_configuration = match answer {
        Ok(answer) => answer,
        Err(refusal) => return registered(run, target, Err(refusal), context),
    };
    let certificate = run.intent.as_ref().map(|intent| intent.fingerprint);
    let event = certificate.zip(device_configuration).map(|(certificate, device_configuration)| {
        RunEvent::Provisioned { target: target.clone(), certificate, device_configuration }
    });
    let record = event.map(|event| Effect::Record(vec![event]));
    let next = match register_next(run, target, context) {
        Some(effect) => vec![effect],
        None => fail(run, Step::Register, values_changed(), context),
    };
    record.into_iter().chain(next).collect()
}

fn register_next(run: &Run, target: TargetName, context: &Context) -> Option<Effect> {
    let values = register_values(context.profile, &run.variables).ok()?;
    // Every target holds the thing that was promised.
    let values = RegisterValues { thing: run.intent.as_ref()?.thing.clone(), ..values };
    Some(registration(run, target, run.registered_certificate()?.clone(), values, context))
}

fn values_changed() -> Failure {
    Failure::new(ReasonCode::CONFIG_VALUE, "the profile's values changed")
}

fn registered(run: &Run, target: TargetName, result: Result<TargetRecord, Refusal>, context: &Context) -> Vec<Effect> {
    match result {
        Ok(record) if record.target != target || !run.is_intended(&record) => {
            let cause = format!("the target answered with {} and {}", record.certificate_arn, record.thing_arn);
            let failure = Failure::new(ReasonCode::CLOUD_REFUSED, cause).with("target", &target);
            fail(run, Step::Register, failure, context)
        }
        Ok(record) => {
            let device_configuration = run.provisioned.clone().unwrap_or(record.device_configuration);
            let record = TargetRecord { device_configuration, ..record };
            let next = run.pending_targets().into_iter().find(|pending| *pending != target);
            let Some(next) = next else { return everywhere(run, record, context) };
            let record = RunEvent::Registered { target: record };
            match register_next(run, next, context) {
                Some(effect) => vec![Effect::Record(vec![record]), effect],
                None => {
                    let mut effects = vec![Effect::Record(vec![record])];
                    effects.extend(fail(run, Step::Register, values_changed(), context));
                    effects
                }
            }
        }
        Err(Refusal { failure, certificate_left }) => {
            let failure = may_wait(run, failure, context);
            fail_with(run, Step::Register, failure, !certificate_left, context)
        }
    }
}

/// A product that may not wait for the cloud is never HELD. What waits already goes on waiting.
fn may_wait(run: &Run, failure: Failure, context: &Context) -> Failure {
    let stops = context.profile.register.offline == Offline::Stop && run.slip.is_none();
    if !stops || failure.code.verdict() != Verdict::Held {
        return failure;
    }
    let cause = format!("{}: {}", failure.code, failure.cause);
    Failure { code: ReasonCode::CLOUD_STOPS_LINE, cause, ..failure }
}

/// Every target holds the unit; `last` is the one that has just said so.
fn everywhere(run: &Run, last: TargetRecord, context: &Context) -> Vec<Effect> {
    let first = run.pending_connections().into_iter().next();
    let record = RunEvent::Registered { target: last.clone() };
    let issued = run.issued.as_ref().filter(|issued| run.slip.is_none() && issued.write_back.is_some());
    if let (Some(issued), Some(plan)) = (issued, write_back(context)) {
        let (object, certificate) = (plan.object.clone(), issued.certificate.clone());
        return vec![Effect::Record(vec![record]), Effect::Keep { object, certificate }];
    }
    match (run.slip, first) {
        (None, None) => vec![Effect::Record(vec![record, RunEvent::StepBegan { step: Step::Seal }]), Effect::Read],
        (None, Some(target)) => {
            let held = run.registered.iter().chain([&last]).find(|held| held.target == target);
            connect(run, vec![record, RunEvent::StepBegan { step: Step::Connect }], held, context)
        }
        (Some(_), _) if run.needs_its_board() => {
            let mut effects = vec![Effect::Record(vec![record])];
            effects.extend(fail(run, Step::Connect, needs_board(), context));
            effects
        }
        // The board of a unit that was HELD is elsewhere: its first proof stands.
        (Some(_), _) => pass(run, vec![record], context),
    }
}

fn write_back<'c>(context: &'c Context) -> Option<&'c WriteBackPlan> {
    match &context.profile.register.method {
        Method::Csr(plan) => plan.write_back.as_ref(),
        Method::WithoutCa | Method::WithCa(_) | Method::JustInTime(_) | Method::Template { .. } => None,
    }
}

/// The token has it or does not; then everything goes on as without that.
fn kept(run: &Run, result: Result<Kept, Failure>, context: &Context) -> Vec<Effect> {
    let object = write_back(context).map(|plan| plan.object.to_string()).unwrap_or_default();
    let event = match result {
        Ok(Kept::Found) => RunEvent::CertificateKept { object, written: false },
        Ok(Kept::Written) => RunEvent::CertificateKept { object, written: true },
        Ok(Kept::Refused(why)) => {
            let failure = Failure::new(ReasonCode::WRITE_BACK_REFUSED, why).with("object", &object);
            match run.keeps_next() {
                Some(WriteBack::Optional) => RunEvent::CertificateNotKept { object, failure },
                Some(WriteBack::Required) | None => return fail(run, Step::Register, failure, context),
            }
        }
        // The chip's own faults count always.
        Err(failure) => return fail(run, Step::Register, failure, context),
    };
    match run.pending_connections().into_iter().next() {
        None => vec![Effect::Record(vec![event, RunEvent::StepBegan { step: Step::Seal }]), Effect::Read],
        Some(target) => {
            let held = run.registered.iter().find(|held| held.target == target);
            connect(run, vec![event, RunEvent::StepBegan { step: Step::Connect }], held, context)
        }
    }
}

/// Everything that the cloud can do without the board is done.
fn needs_board() -> Failure {
    let cause = "the profile demands a connection that the unit's own key makes, and its board is elsewhere";
    Failure::new(ReasonCode::CONNECT_NEEDS_BOARD, cause)
}

/// `held`: what the target that is next holds of the unit.
fn connect(run: &Run, events: Vec<RunEvent>, held: Option<&TargetRecord>, context: &Context) -> Vec<Effect> {
    let unknown = || Failure::new(ReasonCode::CONNECT_BROKEN, "nothing is recorded of what the target holds");
    match held.ok_or_else(unknown).and_then(|held| trial(run, held, context)) {
        Ok(trial) => vec![Effect::Record(events), Effect::Connect(Box::new(trial))],
        Err(failure) => {
            let mut effects = vec![Effect::Record(events)];
            effects.extend(fail(run, Step::Connect, failure, context));
            effects
        }
    }
}

fn trial(run: &Run, held: &TargetRecord, context: &Context) -> Result<Trial, Failure> {
    let incomplete = || Failure::new(ReasonCode::CONFIG_VALUE, "the profile's values changed");
    let plan = context.profile.connect.as_ref().ok_or_else(incomplete)?;
    let thing = run.intent.as_ref().ok_or_else(incomplete)?.thing.clone();
    let (topics, refused_topic) = connect_values(context.profile, &run.variables, &thing)?.ok_or_else(incomplete)?;
    let message = format!("lineseal connection v1\n{}\n{}\n{}\n", run.id, held.target, hex::encode(context.random));
    Ok(Trial {
        target: held.target.clone(),
        endpoint: held.endpoint.clone(),
        port: plan.port,
        roots: plan.roots.as_ref().map(|roots| roots.iter().cloned().map(Bytes).collect()),
        only_tls12: plan.only_tls12,
        thing,
        chain: chain(run).ok_or_else(incomplete)?,
        // The chip's, or of the kind that AWS made.
        key: match run.issued.as_ref().filter(|issued| issued.request.is_none()) {
            Some(issued) => checks::key_kind(&issued.certificate)?,
            None => run.decision.as_ref().ok_or_else(incomplete)?.key,
        },
        topics,
        refused_topic: Some(refused_topic),
        message: Bytes(message.into_bytes()),
        deadline: plan.deadline,
    })
}

/// What a device shows, its own certificate first.
fn chain(run: &Run) -> Option<Vec<Bytes>> {
    let above = run.issued.iter().flat_map(|issued| &issued.chain);
    Some(std::iter::once(run.registered_certificate()?).chain(above).cloned().collect())
}

fn connected(
    run: &Run,
    target: TargetName,
    result: Result<ConnectionRecord, Failure>,
    context: &Context,
) -> Vec<Effect> {
    let event = match result {
        Ok(connection) if connection.target == target && run.is_due(&connection) => RunEvent::Connected { connection },
        Ok(connection) => {
            let cause = format!("a connection to {} as {}", connection.target, connection.client_id);
            let failure = Failure::new(ReasonCode::CONNECT_BROKEN, cause).with("target", &target);
            return fail(run, Step::Connect, failure.with("endpoint", connection.endpoint), context);
        }
        Err(failure) if run.connect == Some(ConnectMode::Optional) && is_of_a_connection(failure.code) => {
            RunEvent::NotConnected { target: target.clone(), failure }
        }
        Err(failure) => return fail(run, Step::Connect, failure, context),
    };
    let next = run.pending_connections().into_iter().find(|pending| *pending != target);
    match next {
        Some(next) => {
            let held = run.registered.iter().find(|held| held.target == next);
            connect(run, vec![event], held, context)
        }
        None => vec![Effect::Record(vec![event, RunEvent::StepBegan { step: Step::Seal }]), Effect::Read],
    }
}

/// The way to the broker and what it allows; not the chip, whose faults count always.
fn is_of_a_connection(code: ReasonCode) -> bool {
    use ReasonCode as Code;
    [
        Code::CONNECT_UNREACHABLE,
        Code::CONNECT_UNTRUSTED,
        Code::CONNECT_REFUSED,
        Code::CONNECT_TOO_BROAD,
        Code::CONNECT_BROKEN,
        Code::CLOUD_ROOTS,
        Code::CLOUD_CLOCK,
    ]
    .contains(&code)
}

/// The chip was seen for the last time, and the board is the one that it was: it may be told what is its own.
fn configure(run: &Run, last: Vec<RunEvent>, context: &Context) -> Vec<Effect> {
    let Some(prepare) = &context.profile.register.configure else {
        if run.lacks_its_key() {
            let cause = "the profile does not say how a board is given the key that AWS made for it";
            let mut effects = vec![Effect::Record(last)];
            effects.extend(fail(run, run.step(), Failure::new(ReasonCode::CONFIG_INVALID, cause), context));
            return effects;
        }
        return pass(run, last, context);
    };
    vec![Effect::Record(last), Effect::Configure { prepare: prepare.clone(), variables: configure_variables(run) }]
}

/// Every target holds the unit; `last` is what shows it.
fn pass(run: &Run, last: Vec<RunEvent>, context: &Context) -> Vec<Effect> {
    let owed = context.printer && context.profile.label.is_some() && context.earlier_label.is_none();
    let sealed =
        RunEvent::Sealed { verdict: Verdict::Pass, reason: None, slip: None, label: owed.then_some(LabelKind::Unit) };
    // The paper of a unit that was HELD comes when its slip is scanned: the board is elsewhere now.
    let paper = if owed && run.slip.is_none() { Effect::PrintNext } else { Effect::Finish };
    // In records of their own: what was shown stays shown where the verdict is refused.
    let last = (!last.is_empty()).then_some(Effect::Record(last));
    last.into_iter().chain([Effect::Record(vec![sealed]), paper]).collect()
}

fn resume(run: &Run, context: &Context) -> Vec<Effect> {
    let (Some(fingerprint), Some(certificate)) = (run.registered_fingerprint(), run.registered_certificate()) else {
        return vec![Effect::Finish];
    };
    let mut values = match register_values(context.profile, &run.variables) {
        Ok(values) => values,
        Err(_) => return vec![Effect::Finish],
    };
    // What was promised to the cloud stays what it was, whatever became of the profile since.
    if let Some(intent) = &run.intent {
        values.thing = intent.thing.clone();
    }
    let targets = context.profile.register.targets.clone();
    if targets.is_empty() {
        return vec![Effect::Finish];
    }
    // Lists, CAs and the date are not what they were when it was proven, and perhaps not the profile.
    let method = &context.profile.register.method;
    let doubt = match &run.reading {
        _ if !method.may_hold() => {
            let cause = format!("the profile's method is {} by now, which needs the board", method.as_str());
            Err(Failure::new(ReasonCode::CONFIG_INVALID, cause))
        }
        _ if context.profile.manifest.as_ref().is_some_and(|plan| plan.required) && !run.listed => {
            let cause = "the profile demands a shipment manifest by now, and none had this chip when it was claimed";
            Err(Failure::new(ReasonCode::MANIFEST_MISSING, cause))
        }
        Some(reading) => checked(reading, context).map(drop).map_err(asked_for_since),
        None => Ok(()),
    };
    if let Err(failure) = doubt {
        let mut effects = vec![Effect::Record(vec![RunEvent::Resumed {}])];
        effects.extend(fail(run, Step::Register, failure, context));
        return effects;
    }
    let next = targets.iter().find(|target| !run.registered.iter().any(|record| record.target == **target)).cloned();
    let connect = context.profile.connect.as_ref().map(|plan| plan.mode);
    let needs_its_board = run.connect.max(connect) == Some(ConnectMode::Required);
    let is_told = run.sealed.as_ref().and_then(|sealed| sealed.reason.as_ref()) == Some(&needs_board());
    if next.is_none() && needs_its_board && is_told {
        return vec![Effect::Finish];
    }
    let thing = values.thing.clone();
    let intent = RunEvent::RegisterIntended { fingerprint, thing, targets, connect };
    let mut effects = vec![Effect::Record(vec![RunEvent::Resumed {}, intent])];
    match next {
        Some(target) => effects.push(registration(run, target, certificate.clone(), values, context)),
        // Each was read back and recorded; only the verdict is missing, since a crash or a target that
        // is none any more came in between.
        None if needs_its_board => effects.extend(fail(run, Step::Connect, needs_board(), context)),
        None => effects.extend(pass(run, Vec::new(), context)),
    }
    effects
}

/// What the profile asked for only after the chip was read is no fault of the chip.
fn asked_for_since(failure: Failure) -> Failure {
    use ReasonCode as Code;
    match failure.code {
        Code::TOKEN_NO_UID | Code::CERTIFICATE_NO_UID | Code::CERTIFICATE_KEY => {
            let cause = format!("by the profile of today ({}), which needs the board: {}", failure.code, failure.cause);
            Failure { code: Code::CONFIG_INVALID, cause, ..failure }
        }
        _ => failure,
    }
}

fn held_again(failure: Failure) -> Failure {
    Failure { code: ReasonCode::CLOUD_UNREACHABLE, ..failure }
}

fn fail(run: &Run, step: Step, failure: Failure, context: &Context) -> Vec<Effect> {
    fail_with(run, step, failure, false, context)
}

/// Where it is the unit's fault, whatever this run has left in the targets by now is set INACTIVE; `untouched`: not in
/// the one that was asked last, by what was asked last.
fn fail_with(run: &Run, step: Step, failure: Failure, untouched: bool, context: &Context) -> Vec<Effect> {
    let untouched = untouched && run.asked.is_some();
    let mut left: Vec<TargetName> = Vec::new();
    if verdict_of(failure.code, run) == Verdict::Fail {
        left.extend(run.left.iter().map(|left| left.target.clone()));
        left.extend(run.asked.clone().filter(|asked| !untouched && !left.contains(asked)));
    }
    let mut events = vec![RunEvent::StepFailed { step, failure: failure.clone(), untouched }];
    events.extend(left.iter().map(|target| RunEvent::DeactivateIntended { target: target.clone() }));
    let mut effects = vec![Effect::Record(events)];
    effects.extend(deactivate_or_seal(run, failure, &left, context));
    effects
}

fn deactivate(run: &Run, pending: &[TargetName]) -> Option<Effect> {
    let (target, intent) = (pending.first()?.clone(), run.intent.as_ref()?);
    Some(Effect::Deactivate { target, certificate: intent.fingerprint })
}

/// After the verdict: what was cut off on the way is gone on with.
fn take_back(run: &Run, targets: &[TargetName]) -> Vec<Effect> {
    let more: Vec<TargetName> = targets.iter().filter(|target| run.may_take_back(target)).cloned().collect();
    let intended: Vec<RunEvent> =
        more.iter().map(|target| RunEvent::DeactivateIntended { target: target.clone() }).collect();
    let pending: Vec<TargetName> = run.deactivate.iter().cloned().chain(more).collect();
    let recorded = (!intended.is_empty()).then_some(Effect::Record(intended));
    recorded.into_iter().chain([deactivate(run, &pending).unwrap_or(Effect::Finish)]).collect()
}

fn deactivate_or_seal(run: &Run, failure: Failure, pending: &[TargetName], context: &Context) -> Vec<Effect> {
    if let Some(effect) = deactivate(run, pending) {
        return vec![effect];
    }
    let verdict = verdict_of(failure.code, run);
    let held = verdict == Verdict::Held;
    let plan = context.profile.label.as_ref().filter(|_| context.printer);
    let owed = plan.is_some_and(|plan| match verdict {
        // The slip is printed once: a unit that goes on being HELD keeps its number and its paper.
        Verdict::Held => run.slip.is_none(),
        Verdict::Fail => plan.fail_slip.is_some(),
        _ => false,
    });
    let sealed = RunEvent::Sealed {
        verdict,
        reason: Some(failure),
        slip: held.then(|| run.slip.unwrap_or(run.first_seq)),
        label: owed.then_some(LabelKind::Slip),
    };
    vec![Effect::Record(vec![sealed]), if owed { Effect::PrintNext } else { Effect::Finish }]
}

fn print(run: &Run, context: &Context) -> Vec<Effect> {
    let kind = match &run.label {
        Label::Owed(kind) | Label::Ended(kind, LabelStatus::Pending, _) => *kind,
        _ => return vec![Effect::Finish],
    };
    let Context { profile, practice, air_gapped, operator, .. } = context;
    let Some(Paper { name, zpl }) = paper(run, profile, kind, (*practice, *air_gapped), operator.as_deref()) else {
        return vec![Effect::Finish];
    };
    match zpl {
        Ok(zpl) => vec![Effect::Record(vec![RunEvent::LabelIntended { kind }]), Effect::Print { name, zpl }],
        Err(failure) => vec![
            Effect::Record(vec![RunEvent::LabelIntended { kind }]),
            Effect::Record(vec![RunEvent::LabelEnded { kind, status: LabelStatus::Failed, failure: Some(failure) }]),
            Effect::Finish,
        ],
    }
}

/// What says PASS does not go on a unit that nobody is to take.
fn unlabelled(run: &Run, why: Obstacle) -> Vec<Effect> {
    let (Label::Owed(kind) | Label::Ended(kind, LabelStatus::Pending, _)) = &run.label else {
        return vec![Effect::Finish];
    };
    let failure = Some(barred_run(run, why));
    vec![Effect::Record(vec![RunEvent::LabelEnded { kind: *kind, status: LabelStatus::None, failure }]), Effect::Finish]
}

fn printed(run: &Run, result: Result<(), Failure>) -> Vec<Effect> {
    let Label::Intended(kind) = run.label else { return vec![Effect::Finish] };
    let (status, failure) = match result {
        Ok(()) => (LabelStatus::Printed, None),
        Err(failure) if failure.code.leaves_no_paper() => (LabelStatus::Pending, Some(failure)),
        Err(failure) => (LabelStatus::Failed, Some(failure)),
    };
    vec![Effect::Record(vec![RunEvent::LabelEnded { kind, status, failure }]), Effect::Finish]
}
