//! Corrections: what people who answer for it decide about a unit, or about the log itself. Each is one
//! more event. Nothing before it changes; least of all does a finished run become anything else: a ruling opens the unit until a
//! new run of it comes to PASS, HELD or FAIL, and the first claim after it uses it up.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::people::{Signatories, SignedIn, commit_text};
use super::{Custody, LogWriter, rollback};
use crate::audit::LineEvent;
use crate::audit::event::{Evidence, RULE_ON_THE_LOG, RULE_ON_UNITS, Ruling};
use crate::domain::{
    EventId, Failure, Fingerprint, Identity, KnownIdentity, OperatorRef, Persons, ReasonCode, Role, RulingReason,
    RunId, Unit, Verdict,
};
use crate::ports::{CollisionRule, History, Lock, LockKind, People};
use crate::provisioning::Run;

/// Who wants a ruling, and how many persons it takes.
#[derive(Debug, Clone)]
pub struct Panel {
    pub first: SignedIn,
    pub second: Option<SignedIn>,
    pub needed: Persons,
}

/// What it rests on.
#[derive(Debug, Clone)]
pub struct Grounds {
    pub reason: RulingReason,
    /// Files; beside them, what is no file at hand.
    pub evidence: Vec<Evidence>,
    pub references: Vec<RulingReason>,
}

/// A ruling as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruled {
    pub seq: u64,
    pub id: EventId,
    pub ruling: Ruling,
    pub first: OperatorRef,
    pub second: Option<OperatorRef>,
}

/// The log that is corrected, and those it is corrected by.
pub struct Rulings<'a> {
    pub log: &'a LogWriter,
    pub people: &'a dyn People,
    pub history: &'a dyn History,
    pub panel: Panel,
    pub grounds: Grounds,
}

/// O-612 where the log holds nothing that the ruling could apply to, and for a unit without evidence; O-610
/// and O-611 as in [`Signatories::new`].
impl Rulings<'_> {
    /// A locked unit may be tried once more. `seen`: what locked it before anybody signed; a lock that came since is
    /// opened by nobody who does not know of it.
    pub async fn release(self, unit: &Unit, seen: &[Lock]) -> Result<Ruled, Failure> {
        let signatories = self.signatories(unit).await?;
        if self.unscrapped(unit).await?.is_empty() {
            return Err(refused(unit, format!("{unit} is not locked: there is nothing to release it from")));
        }
        self.rule_knowing(signatories, Ruling::Release { unit: unit.clone() }, Some(seen)).await
    }

    /// The unit is never taken again, whatever is ruled after it.
    pub async fn scrap(self, unit: &Unit) -> Result<Ruled, Failure> {
        let signatories = self.signatories(unit).await?;
        self.rule(signatories, Ruling::Scrap { unit: unit.clone() }).await
    }

    /// After a repair, the unit's binding moves to the identity that `run` proved, and was refused with. `seen` as for
    /// a release: this opens what locks the unit, too.
    pub async fn rebind(self, unit: &Unit, run: RunId, seen: &[Lock]) -> Result<Ruled, Failure> {
        let signatories = self.signatories(unit).await?;
        self.unscrapped(unit).await?;
        let (new, twin) = self.proven(unit, run).await?;
        let old = self.freed(unit, &new, twin).await?;
        self.rule_knowing(signatories, Ruling::Rebind { unit: unit.clone(), old, new, run }, Some(seen)).await
    }

    /// The log is known to be behind what is known of it elsewhere, or could not be compared: the station
    /// may claim again. It is nobody's run, so nobody operated it.
    pub async fn rollback(self, custody: &Custody) -> Result<Ruled, Failure> {
        let signatories = self.sign(&RULE_ON_THE_LOG, &BTreeSet::new())?;
        let standing = rollback::found(&self.log.station, custody).await?;
        let ruling = standing.ruling().ok_or_else(|| {
            let cause = "nothing speaks against the log as it is: there is no rollback to rule on";
            Failure::new(ReasonCode::RULING_REFUSED, cause)
        })?;
        self.rule(signatories, ruling).await
    }

    async fn signatories(&self, unit: &Unit) -> Result<Signatories, Failure> {
        if self.grounds.evidence.is_empty() && self.grounds.references.is_empty() {
            return Err(refused(unit, "a ruling on a unit names its evidence".to_owned()));
        }
        self.uninvolved(unit, &RULE_ON_UNITS).await
    }

    /// Whoever operated a run of the unit, or did anything in one, does not rule on it.
    pub(super) async fn uninvolved(&self, unit: &Unit, roles: &[Role]) -> Result<Signatories, Failure> {
        if !self.history.units(unit.serial.as_str()).await?.contains(unit) {
            return Err(refused(unit, format!("the log knows no {unit}")));
        }
        let mut operated: BTreeSet<Uuid> = self.history.operators_of(unit).await?.into_iter().collect();
        match self.history.unit(unit).await {
            Ok(history) => {
                let events = history.iter().flat_map(|history| &history.runs).flat_map(|run| &run.events);
                operated.extend(events.filter_map(|logged| logged.event.operator.as_ref()).map(|who| who.id));
            }
            // Who started its runs is known all the same; a unit must not need its archive to be repaired.
            Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => {}
            Err(failure) => return Err(failure),
        }
        self.sign(roles, &operated)
    }

    fn sign(&self, roles: &[Role], operated: &BTreeSet<Uuid>) -> Result<Signatories, Failure> {
        let Panel { first, second, needed } = self.panel.clone();
        Signatories::new(first, second, needed, roles, operated)
    }

    /// What it is locked for, none of it for good.
    async fn unscrapped(&self, unit: &Unit) -> Result<Vec<Lock>, Failure> {
        let locks = self.history.locks(unit).await?;
        match locks.iter().find(|lock| lock.kind == LockKind::Scrapped) {
            Some(Lock { seq, .. }) => {
                Err(refused(unit, format!("{unit} was scrapped (event {seq}): no ruling takes it back")))
            }
            None => Ok(locks),
        }
    }

    /// What the run proved, where it failed for nothing but the unit's being bound to something else; and
    /// its certificate's other form.
    async fn proven(&self, unit: &Unit, run: RunId) -> Result<(Identity, Option<Fingerprint>), Failure> {
        let logged = self.log.store.run(run).await?;
        let logged = logged.ok_or_else(|| refused(unit, format!("the log knows no run {run}")))?;
        let folded = Run::fold(&logged.events)
            .map_err(|error| Failure::new(ReasonCode::STORE_CORRUPT, format!("run {run} makes no sense: {error}")))?;
        if folded.unit.as_ref() != Some(unit) {
            let other = folded.unit.as_ref().map_or("a board that told no serial number".to_owned(), Unit::to_string);
            return Err(refused(unit, format!("run {run} was of {other}")));
        }
        let end = folded.sealed.as_ref().map(|sealed| (sealed.verdict, sealed.reason.as_ref().map(|why| why.code)));
        if end != Some((Verdict::Fail, Some(ReasonCode::UNIT_BOUND))) {
            let ended = match end {
                Some((verdict, Some(code))) => format!("ended {} {code}", verdict.as_str()),
                Some((verdict, None)) => format!("ended {}", verdict.as_str()),
                None => "has not ended".to_owned(),
            };
            let cause = format!("run {run} {ended}; a rebind takes one that ended FAIL {}", ReasonCode::UNIT_BOUND);
            return Err(refused(unit, cause));
        }
        let identity = folded.proven_identity().ok_or_else(|| refused(unit, format!("run {run} proved nothing")))?;
        Ok((identity, folded.twin()))
    }

    /// What the unit is bound to, and `new` would take the place of. `new` has to be nobody's, and never
    /// have been anybody's: this unit's own past is burned, too.
    async fn freed(&self, unit: &Unit, new: &Identity, twin: Option<Fingerprint>) -> Result<KnownIdentity, Failure> {
        let collisions = self.history.collisions(unit, new, twin).await?;
        if let Some(burned) = collisions.iter().find(|collision| collision.rule != CollisionRule::Unit) {
            let what = match burned.rule {
                CollisionRule::Certificate => "certificate",
                CollisionRule::Key => "key",
                CollisionRule::Uid => "chip UID",
                CollisionRule::Unit => "identity",
                CollisionRule::Entry => "manifest entry",
            };
            let since = format!("bound to {} (event {})", burned.unit, burned.seq);
            return Err(refused(unit, format!("the new chip's {what} is burned: {since}")));
        }
        let bound_elsewhere = collisions.iter().any(|collision| collision.rule == CollisionRule::Unit);
        let old = self.history.binding(unit).await?.filter(|_| bound_elsewhere);
        old.ok_or_else(|| refused(unit, format!("{unit} is bound to no other chip now")))
    }

    pub(super) async fn rule(self, signatories: Signatories, ruling: Ruling) -> Result<Ruled, Failure> {
        self.rule_knowing(signatories, ruling, None).await
    }

    /// `seen`: all that may lock the ruling's unit when it is written; `None`: it opens nothing.
    async fn rule_knowing(
        self,
        signatories: Signatories,
        ruling: Ruling,
        seen: Option<&[Lock]>,
    ) -> Result<Ruled, Failure> {
        let Grounds { reason, evidence, references } = self.grounds;
        let reason = commit_text(self.log, self.people, reason.as_str()).await?;
        let mut committed = Vec::with_capacity(references.len());
        for reference in &references {
            committed.push(commit_text(self.log, self.people, reference.as_str()).await?);
        }
        let second = signatories.second().cloned();
        let event = LineEvent::Ruled {
            ruling: ruling.clone(),
            second: second.clone(),
            persons: Some(self.panel.needed),
            reason,
            evidence,
            references: committed,
        };
        let log = self.log.by(signatories.first());
        let id = log.new_event()?;
        let event = log.line_event_as(id, event);
        let seq = match (ruling.unit(), seen) {
            (Some(unit), Some(seen)) => {
                let newest = seen.iter().map(|lock| lock.seq).max();
                log.store.append_ruling(unit, newest, event).await?.seq
            }
            _ => log.append(vec![event]).await?.first().map_or(0, |logged| logged.receipt.seq),
        };
        Ok(Ruled { seq, id, ruling, first: signatories.first().operator().clone(), second })
    }
}

pub(super) fn refused(unit: &Unit, cause: String) -> Failure {
    Failure::new(ReasonCode::RULING_REFUSED, cause).with("unit", &unit.serial)
}
