//! Taking back what a unit registered: a ruling of two persons first, which locks the unit, then target after
//! target, each with an event of its own. Whatever cuts that off, the unit is withdrawn, what is left is in
//! the log, and the same command finishes it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::Instant;

use super::LogWriter;
use super::rulings::{Rulings, refused};
use crate::audit::event::{Holding, Ruling, Unanswered, WITHDRAW_UNITS, Withdrawal};
use crate::audit::{Body, LineEvent, RunEvent};
use crate::domain::profile::Profile;
use crate::domain::{EventId, Failure, Fingerprint, PolicyName, ReasonCode, RunId, TargetName, ThingName, Unit};
use crate::ports::{Cloud, History, LockKind, Logged, RunLog, TakenBack, UnitHistory};
use crate::provisioning::{Run, left};

/// What is to be taken back.
#[derive(Debug, Clone)]
pub struct Undo {
    pub unit: Unit,
    /// Only what this run registered.
    pub run: Option<RunId>,
    /// Only there.
    pub target: Option<TargetName>,
    pub act: Withdrawal,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Undone {
    /// The ruling: this command's own, or one that it went on with.
    pub seq: u64,
    pub targets: Vec<(TargetName, TakenBack)>,
    /// O-606: runs of the unit that are not over. What they register all the same is set INACTIVE when they are.
    pub open: Vec<Failure>,
}

/// A run that is in the cloud gets to know of the ruling with the next answer.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A run that has said nothing for so long is not at work: its station closes it when it starts again.
const AT_WORK: SignedDuration = SignedDuration::from_mins(5);

impl Rulings<'_> {
    /// O-612 where the log knows of nothing that the unit registered; O-610 and O-611 as for every ruling. What a
    /// target refuses is in the answer: the unit is withdrawn all the same. `waits`: for a run of the unit, told once.
    pub async fn withdraw(
        self,
        undo: &Undo,
        profiles: &[Profile],
        cloud: &dyn Cloud,
        waits: &mut (dyn FnMut(&Run) + Send),
    ) -> Result<Undone, Failure> {
        let unit = &undo.unit;
        let signatories = self.uninvolved(unit, &WITHDRAW_UNITS).await?;
        let history = self.history.unit(unit).await?;
        let history = history.ok_or_else(|| refused(unit, format!("the log knows no {unit}")))?;
        let wanted = holdings(&history, undo, profiles);
        if wanted.is_empty() {
            return Err(refused(unit, format!("the log knows of nothing that {unit} registered")));
        }
        let (log, history_of) = (self.log.by(signatories.first()), self.history);
        let (seq, by, left) = match unfinished(&history, undo.act, &wanted) {
            Some(unfinished) => unfinished,
            None => {
                let ruling = Ruling::Withdraw { unit: unit.clone(), act: undo.act, targets: wanted.clone() };
                let ruled = self.rule(signatories, ruling).await?;
                (ruled.seq, ruled.id, wanted)
            }
        };
        // What is taken back under a run that is writing would be there again after it.
        let open = wait_for_runs(history_of, &log, unit, waits).await?;
        let mut targets = Vec::with_capacity(left.len());
        for holding in left {
            // Whoever released it since let a run register it anew.
            if !is_withdrawn(history_of, unit).await? {
                let cause =
                    format!("{unit} was released meanwhile: what it has there now is not what was to be taken back");
                let failure = Some(Failure::new(ReasonCode::NOT_NOW, cause));
                targets.push((holding.target, TakenBack { failure, ..TakenBack::default() }));
                continue;
            }
            let taken = cloud.withdraw(&holding, undo.act).await;
            let TakenBack { changed, found, failure } = taken.clone();
            let (unit, target) = (unit.clone(), holding.target.clone());
            log.line(LineEvent::Withdrawn { by, unit, target, changed, found, failure }).await?;
            targets.push((holding.target, taken));
        }
        Ok(Undone { seq, targets, open })
    }
}

/// Whichever stations they are of. What is not over in time is told.
async fn wait_for_runs(
    history: &dyn History,
    log: &LogWriter,
    unit: &Unit,
    waits: &mut (dyn FnMut(&Run) + Send),
) -> Result<Vec<Failure>, Failure> {
    let by = Instant::now() + ENDS_WITHIN;
    let mut told = false;
    loop {
        let open = history.unit(unit).await?.as_ref().map(left::open).unwrap_or_default();
        let now = log.clock.now();
        let at_work = |run: &Run| now.duration_since(run.last_by.1) < AT_WORK;
        let Some(run) = open.iter().find(|run| at_work(run)).filter(|_| Instant::now() < by) else {
            return Ok(open.iter().map(not_over).collect());
        };
        if !std::mem::replace(&mut told, true) {
            waits(run);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn is_withdrawn(history: &dyn History, unit: &Unit) -> Result<bool, Failure> {
    let locks = history.unit(unit).await?.map(|history| history.locks).unwrap_or_default();
    Ok(locks.iter().any(|lock| lock.kind == LockKind::Withdrawn))
}

fn not_over(run: &Run) -> Failure {
    let cause = format!(
        "run {} of station {} is not over: what it registers is set INACTIVE when it is, and the same command takes it back",
        run.id, run.station
    );
    Failure::new(ReasonCode::NOT_NOW, cause)
}

/// Targets where a withdrawal has left something, by what the log knows.
pub fn left(history: &UnitHistory) -> Vec<TargetName> {
    let Some((_, by, _, targets)) = withdrawal(history) else { return Vec::new() };
    let targets = targets.iter().map(|holding| &holding.target);
    targets.filter(|target| !is_done(&history.withdrawn, by, target)).cloned().collect()
}

/// The newest withdrawal of a unit that is withdrawn.
fn withdrawal(history: &UnitHistory) -> Option<(u64, EventId, Withdrawal, &[Holding])> {
    if !history.locks.iter().any(|lock| lock.kind == LockKind::Withdrawn) {
        return None;
    }
    history.rulings.iter().rev().find_map(|logged| match &logged.event.body {
        Body::Line(LineEvent::Ruled { ruling: Ruling::Withdraw { act, targets, .. }, .. }) => {
            Some((logged.receipt.seq, logged.event.id, *act, targets.as_slice()))
        }
        _ => None,
    })
}

/// A withdrawal that has all of `wanted` and did not come to its end: what is left of it.
fn unfinished(history: &UnitHistory, act: Withdrawal, wanted: &[Holding]) -> Option<(u64, EventId, Vec<Holding>)> {
    let (seq, by, ruled, targets) = withdrawal(history)?;
    let left = wanted.iter().filter(|holding| !is_done(&history.withdrawn, by, &holding.target));
    let left: Vec<Holding> = left.cloned().collect();
    let covered = wanted.iter().all(|holding| targets.contains(holding));
    (ruled == act && covered && !left.is_empty()).then_some((seq, by, left))
}

fn is_done(withdrawn: &[Logged], ruling: EventId, at: &TargetName) -> bool {
    withdrawn.iter().any(|logged| {
        matches!(&logged.event.body, Body::Line(LineEvent::Withdrawn { by, target, failure: None, .. })
            if *by == ruling && target == at)
    })
}

/// What the unit's runs registered, or began to, in the order of the targets' names.
fn holdings(history: &UnitHistory, undo: &Undo, profiles: &[Profile]) -> Vec<Holding> {
    let mut held = BTreeMap::new();
    for run in history.runs.iter().filter(|log| undo.run.is_none_or(|run| log.run == run)) {
        note(run, profiles, &mut held);
        // Whoever records a certificate has looked for all that were made before.
        if let Some((seq, target, unanswered)) = unanswered(run, profiles)
            && !history.runs.iter().flat_map(|log| &log.events).any(|logged| records_one(logged, seq, &target))
        {
            of(&mut held, &target).unanswered.push(unanswered);
        }
    }
    let asked = |target: &TargetName| undo.target.as_ref().is_none_or(|only| only == target);
    held.into_values().filter(|holding: &Holding| asked(&holding.target)).collect()
}

/// A request of this run whose answer it did not record.
fn unanswered(run: &RunLog, profiles: &[Profile]) -> Option<(u64, TargetName, Unanswered)> {
    let (mut key, mut asked) = (None, None);
    for logged in &run.events {
        match &logged.event.body {
            // What a service of the user's own makes is in no target before it is recorded.
            Body::Run(RunEvent::RunStarted { profile, .. })
                if profiles.iter().any(|it| it.name == *profile && it.register.method.endpoint().is_some()) =>
            {
                return None;
            }
            Body::Run(RunEvent::Claimed { identity, .. }) => key = Some(identity.spki),
            Body::Run(RunEvent::CertificateRequested { target, .. }) => {
                let since = logged.event.at;
                asked = key.map(|spki| (logged.receipt.seq, target.clone(), Unanswered { spki, since }));
            }
            _ => {}
        }
    }
    asked
}

fn records_one(logged: &Logged, after: u64, at: &TargetName) -> bool {
    logged.receipt.seq > after
        && matches!(&logged.event.body, Body::Run(RunEvent::CertificateIssued { issued }) if issued.target == *at)
}

fn note(run: &RunLog, profiles: &[Profile], held: &mut BTreeMap<TargetName, Holding>) {
    let mut policy = None;
    for logged in &run.events {
        match &logged.event.body {
            Body::Run(RunEvent::RunStarted { profile, .. }) => {
                let known = profiles.iter().find(|known| known.name == *profile);
                policy = known.map(|known| known.register.policy.name.clone());
            }
            Body::Run(RunEvent::RegisterIntended { fingerprint, thing, targets, .. }) => {
                for target in targets {
                    let holding = of(held, target);
                    add(&mut holding.certificates, *fingerprint);
                    holding.policies.extend(policy.clone().filter(|policy| !holding.policies.contains(policy)));
                    if !holding.things.contains(thing) {
                        add(&mut holding.intended, thing.clone());
                    }
                }
            }
            Body::Run(RunEvent::Registered { target: record }) => {
                let holding = of(held, &record.target);
                if let Some(certificate) = last::<Fingerprint>(&record.certificate_arn, ":cert/") {
                    add(&mut holding.certificates, certificate);
                }
                if let Some(thing) = last::<ThingName>(&record.thing_arn, ":thing/") {
                    holding.intended.retain(|intended| *intended != thing);
                    add(&mut holding.things, thing);
                }
                if let Ok(policy) = record.policy.parse::<PolicyName>() {
                    add(&mut holding.policies, policy);
                }
            }
            _ => {}
        }
    }
}

fn of<'h>(held: &'h mut BTreeMap<TargetName, Holding>, target: &TargetName) -> &'h mut Holding {
    held.entry(target.clone()).or_insert_with(|| Holding {
        target: target.clone(),
        certificates: Vec::new(),
        things: Vec::new(),
        intended: Vec::new(),
        policies: Vec::new(),
        unanswered: Vec::new(),
    })
}

fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// What an ARN ends with.
fn last<T: std::str::FromStr>(arn: &str, kind: &str) -> Option<T> {
    arn.rsplit_once(kind)?.1.parse().ok()
}

/// The unit that a run was of. O-616 where the log has no such run, or its board told no serial number.
pub fn unit_of(log: &RunLog) -> Result<Unit, Failure> {
    let unit = log.events.iter().find_map(|logged| match &logged.event.body {
        Body::Run(RunEvent::Identified { unit, .. }) => Some(unit.clone()),
        _ => None,
    });
    let unknown =
        || Failure::new(ReasonCode::NOT_IN_LOG, format!("the board of run {} told no serial number", log.run));
    unit.ok_or_else(unknown)
}
