//! A run that an air-gapped station made becomes one of this log, and goes on from there as every HELD run
//! does. What was proven there is proven once more here, and what it claims is claimed here first: this log
//! alone says whose a chip is.

use std::sync::Arc;

use super::{Driver, Outcome, Shared, Updates, defect};
use crate::audit::event::{Capture, LabelKind, Purpose};
use crate::audit::{Body, RunEvent};
use crate::domain::profile::Profile;
use crate::domain::{Failure, Identity, ReasonCode, RunId, Unit, Verdict};
use crate::ports::Logged;
use crate::provisioning::{Input, Run, Stage, checks};
use tokio::sync::mpsc;

/// What its own log has of such a run.
#[derive(Debug, Clone)]
pub struct Story {
    /// As it was HELD there.
    pub run: Run,
    pub capture: Capture,
    /// From its start to before its claim, and from there to before it was HELD.
    before: Vec<RunEvent>,
    after: Vec<RunEvent>,
    unit: Unit,
    identity: Identity,
    reason: Failure,
}

impl Story {
    /// `None`: these events tell of no run that was claimed and HELD once.
    pub fn of(run: Run, events: &[Logged], capture: Capture) -> Option<Story> {
        let told = events.iter().map_while(|logged| match &logged.event.body {
            Body::Run(RunEvent::Sealed { .. }) | Body::Line(_) => None,
            Body::Run(event) => Some(event.clone()),
        });
        let told: Vec<RunEvent> = told.collect();
        let claimed = told.iter().position(|event| matches!(event, RunEvent::Claimed { .. }))?;
        let (before, after) = told.split_at(claimed);
        let (RunEvent::Claimed { unit, identity, .. }, after) = (after.first()?.clone(), after.get(1..)?) else {
            return None;
        };
        let reason = run.sealed.as_ref().filter(|sealed| sealed.verdict == Verdict::Held)?.reason.clone()?;
        let (before, after) = (before.to_vec(), after.to_vec());
        Some(Story { run, capture, before, after, unit, identity, reason })
    }

    pub fn id(&self) -> RunId {
        self.run.id
    }

    /// Does what was shown there prove the identity here and now?
    fn proof(&self, profile: &Profile, now: jiff::Timestamp) -> Result<(), Failure> {
        let reading = self.run.reading.as_ref().ok_or_else(|| unproven("its chip was never read"))?;
        let checked = checks::check_certificate(&reading.certificate, reading.uid.as_ref(), &profile.trust, now)?;
        if checked.identity != self.identity {
            return Err(unproven("it claims another identity than its chip showed"));
        }
        let mut asked = None;
        let mut proofs = Vec::new();
        for event in self.before.iter().chain(&self.after) {
            match event {
                RunEvent::ChallengeMade { challenge, .. } => asked = Some(challenge),
                RunEvent::ChallengeAnswered { purpose, signature, .. } => {
                    let challenge = asked.take().ok_or_else(|| unproven("an answer without a challenge"))?;
                    checks::verify_signature(&checked, challenge, signature)?;
                    proofs.push(*purpose);
                }
                _ => {}
            }
        }
        match proofs == [Purpose::First, Purpose::BeforeRegister] {
            true => Ok(()),
            false => Err(unproven("its chip did not sign what a HELD unit's has signed")),
        }
    }
}

fn unproven(cause: &str) -> Failure {
    Failure::new(ReasonCode::CHIP_LACKS_KEY, cause)
}

/// Takes the run in, or goes on with it where an earlier attempt was cut off; one that has its verdict stays
/// what it is.
pub async fn take_in(shared: Shared, profile: Arc<Profile>, story: Story, updates: Updates) {
    let begun = begin(&shared, &story).await;
    let run = match begun {
        Ok(run) => run,
        Err(failure) => {
            let _ = updates.send((0, Outcome::Unrecorded(None, failure))).await;
            return;
        }
    };
    let mut driver = Driver::new(shared, profile, run, 0, mpsc::channel(1), updates);
    match driver.take_in(&story).await {
        Ok(()) => driver.report(Outcome::Done).await,
        Err(failure) => {
            let run = Some(Arc::new(driver.run.clone()));
            let _ = driver.updates.send((0, Outcome::Unrecorded(run, failure))).await;
        }
    }
}

/// All of it up to the claim in one transaction, so that a run of this kind is never anybody's to close.
async fn begin(shared: &Shared, story: &Story) -> Result<Run, Failure> {
    let log = &shared.log;
    if let Some(known) = log.store.run(story.id()).await? {
        let run = Run::fold(&known.events).map_err(defect)?;
        // How far its log had gone is another matter: its slip may have come out since.
        let of = |capture: &Capture| (capture.origin.clone(), capture.station.clone(), capture.slip);
        return match run.captured.as_ref().map(of) == Some(of(&story.capture)) {
            true => Ok(run),
            false => Err(Failure::new(ReasonCode::HELD_FILE_BROKEN, format!("run {} is in this log already", run.id))),
        };
    }
    let Capture { station, slip, .. } = &story.capture;
    let known = match *station == log.station {
        true => Some("this station".to_owned()),
        false => {
            shared.custody.history.run_of_captured(station, *slip).await?.map(|known| format!("run {}", known.run))
        }
    };
    if let Some(known) = known {
        // A slip has to name one unit: what it brings is a label that says PASS.
        let cause = format!("run {}: its slip {slip}@{station} is one of {known} already", story.id());
        return Err(Failure::new(ReasonCode::HELD_FILE_BROKEN, cause));
    }
    let captured = RunEvent::Captured { capture: story.capture.clone() };
    let mut events = story.before.clone();
    events.insert(events.len().min(1), captured);
    let events = events.into_iter().map(|event| log.run_event(story.id(), event)).collect::<Result<_, _>>()?;
    Run::fold(&log.append(events).await?).map_err(defect)
}

impl Driver {
    async fn take_in(&mut self, story: &Story) -> Result<(), Failure> {
        match (&self.run.stage, self.run.verdict()) {
            (Stage::Checking, _) => {
                let proof = story.proof(&self.profile, self.shared.log.clock.now());
                let twin = self.run.twin();
                let input = match proof {
                    Ok(()) => self.claim(story.unit.clone(), story.identity.clone(), twin).await?,
                    Err(failure) => Input::Unproven(failure),
                };
                match input {
                    Input::Claimed => self.hold(story).await,
                    refused => self.until_finished(refused).await,
                }
            }
            (Stage::Claimed, _) => self.hold(story).await,
            (Stage::Sealed, verdict) if verdict != Some(Verdict::Held) => Ok(()),
            // HELD, or cut off on the way from there.
            _ => self.work(Input::Resume).await,
        }
    }

    /// HELD here as it was there, under a number of this log, and without more paper.
    async fn hold(&mut self, story: &Story) -> Result<(), Failure> {
        let no_paper: Option<LabelKind> = None;
        let mut events = story.after.clone();
        let (reason, slip) = (Some(story.reason.clone()), Some(self.run.first_seq));
        events.push(RunEvent::Sealed { verdict: Verdict::Held, reason, slip, label: no_paper });
        self.record(events).await?;
        self.work(Input::Resume).await
    }
}
