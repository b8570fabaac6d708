//! The claim: which identity belongs to which unit, decided and written in one transaction.

use std::collections::BTreeSet;

use super::error::StoreError;
use super::log::{self, Appender};
use super::manifest;
use super::read::parse;
use super::session::{Row, Session, stored, values};
use super::{issued, sql};
use crate::audit::event::{LabelStatus, Standing, VERSION};
use crate::audit::{Body, Event, RunEvent};
use crate::domain::{
    ChipUid, EntryPlace, EventId, Fingerprint, Identity, KnownIdentity, ReasonCode, RunId, SpkiHash, Unit,
};
use crate::ports::{
    Bound, Claim, ClaimAnswer, Collision, CollisionRule, Listing, Lock, LockKind, Logged, Obstacle, Unlisted,
};

/// Binds, or says what stands against it. A claim whose event the log holds already is answered from
/// there.
pub fn claim(session: &mut dyn Session, appender: &mut Appender, claim: &Claim) -> Result<ClaimAnswer, StoreError> {
    if let Some(logged) = log::by_id(session, claim.id)? {
        return answered_before(session, claim, logged);
    }
    if let Some(known) = claim.known {
        log::refuse_the_overtaken(session, claim.run, known)?;
    }
    log::refuse_a_twin(session, claim.run, claim.at)?;
    let (standing, ruling, replaces, entry) =
        match judge_claim(session, claim.run, &claim.unit, &claim.identity, claim.twin)? {
            Judgement::Free { standing, ruling, replaces, entry } => (standing, ruling, replaces, entry),
            Judgement::Collides(collisions) => return Ok(ClaimAnswer::Collides(collisions)),
            Judgement::Locked(lock) => return Ok(ClaimAnswer::Locked(lock)),
            Judgement::Unlisted(why) => return Ok(ClaimAnswer::Unlisted(why)),
        };
    let (unit, identity) = (claim.unit.clone(), claim.identity.clone());
    let event = Event {
        v: VERSION,
        id: claim.id,
        at: claim.at,
        station: claim.station.clone(),
        operator: claim.operator.clone(),
        run: Some(claim.run),
        body: Body::Run(RunEvent::Claimed { unit, identity, standing, ruling, replaces, entry }),
    };
    let receipt = appender.push_new(session, &event)?;
    bound(session, claim, Logged { receipt, event }, standing)
}

/// The answer was lost, the claim was not.
fn answered_before(session: &mut dyn Session, claim: &Claim, logged: Logged) -> Result<ClaimAnswer, StoreError> {
    let Body::Run(RunEvent::Claimed { unit, identity, standing, .. }) = &logged.event.body else {
        return Err(StoreError::Illegal(format!("event {} is in the log and is not a claim", claim.id)));
    };
    if *unit != claim.unit || *identity != claim.identity || logged.event.run != Some(claim.run) {
        return Err(StoreError::Illegal(format!("event {} is in the log as another claim", claim.id)));
    }
    let standing = *standing;
    bound(session, claim, logged, standing)
}

fn bound(
    session: &mut dyn Session,
    claim: &Claim,
    event: Logged,
    standing: Standing,
) -> Result<ClaimAnswer, StoreError> {
    let label = earlier_label(session, &claim.unit, claim.run, stored(event.receipt.seq)?)?;
    Ok(ClaimAnswer::Bound(Box::new(Bound { event, standing, label })))
}

#[derive(Debug, PartialEq)]
pub enum Judgement {
    Free {
        standing: Standing,
        ruling: Option<EventId>,
        replaces: Vec<Fingerprint>,
        /// Of the batch's shipment manifest.
        entry: Option<EntryPlace>,
    },
    /// In the order of [`CollisionRule`].
    Collides(Vec<Collision>),
    Locked(Lock),
    Unlisted(Unlisted),
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Judgement::Free { standing, ruling, replaces, entry } => {
                let standing = match standing {
                    Standing::New => "a new binding",
                    Standing::Known => "what the unit held already",
                    Standing::Completed => "what an imported row held in part",
                    Standing::Rebound => "a binding that a ruling moved",
                };
                f.write_str(standing)?;
                match ruling {
                    Some(ruling) => write!(f, ", opened by ruling {ruling}")?,
                    None => f.write_str(", opened by no ruling")?,
                }
                let replaces: Vec<String> = replaces.iter().map(Fingerprint::to_string).collect();
                match replaces.as_slice() {
                    [] => f.write_str(", in the place of no certificate")?,
                    several => write!(f, ", in the place of {}", several.join(" and "))?,
                }
                match entry {
                    Some(entry) => write!(f, ", by line {} of the shipment manifest", entry.line),
                    None => f.write_str(", by no shipment manifest"),
                }
            }
            Judgement::Collides(collisions) => {
                let told = collisions.iter().map(|Collision { rule, unit, fingerprint, seq, .. }| {
                    let what = match rule {
                        CollisionRule::Certificate => "certificate",
                        CollisionRule::Key => "key",
                        CollisionRule::Uid => "chip UID",
                        CollisionRule::Unit => "unit",
                        CollisionRule::Entry => "entry of the shipment manifest",
                    };
                    format!("the {what} was bound by event {seq} to {unit} under certificate {fingerprint}")
                });
                f.write_str(&told.collect::<Vec<_>>().join("; "))
            }
            Judgement::Locked(lock) => write!(f, "the unit was locked by event {}", lock.seq),
            Judgement::Unlisted(Unlisted::Absent { batch }) => {
                write!(f, "the chip is not in the shipment manifest of batch {batch}")
            }
            Judgement::Unlisted(Unlisted::Differs { .. }) => {
                f.write_str("the shipment manifest says something else of the chip")
            }
        }
    }
}

/// What stands against a claim. The shipment manifest is asked when it is made.
pub fn obstacle(
    session: &mut dyn Session,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Option<Obstacle>, StoreError> {
    Ok(match judge(session, unit, identity, twin)? {
        Judgement::Free { .. } | Judgement::Unlisted(_) => None,
        Judgement::Collides(collisions) => Some(Obstacle::Collides(collisions)),
        Judgement::Locked(lock) => Some(Obstacle::Locked(lock)),
    })
}

/// What keeps the claim that the run made from holding still. A release opens a claim, and none that was made
/// before it; and what was taken back, or ruled to be another chip's place, since the run began is not made good
/// by a run of that time. A list that its batch got since says of its chip what it says of any that comes today.
pub fn obstacle_of_run(
    session: &mut dyn Session,
    run: RunId,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Option<Obstacle>, StoreError> {
    let against = against(session, unit, identity)?;
    let mut collisions = collide(session, &against, unit, identity, twin)?;
    collisions.extend(moved_away(session, unit, identity)?);
    if !collisions.is_empty() {
        return Ok(Some(Obstacle::Collides(collisions)));
    }
    let known = against.holders.iter().any(|holder| holder.open && holder.unit == *unit && holder.is(identity));
    let locks = against.locks.into_iter().filter(|lock| lock.holds(identity, known)).map(|held| held.lock);
    let lock = match locks.max_by_key(|lock| lock.kind) {
        None => log::withdrawn_since(session, run)?,
        lock => lock,
    };
    if let Some(lock) = lock {
        return Ok(Some(Obstacle::Locked(lock)));
    }
    Ok(match manifest::listing_of_run(session, run, unit, identity)? {
        Listing::Consumed(entry) => Some(Obstacle::Collides(vec![entry])),
        Listing::Unlisted(why) => Some(Obstacle::Unlisted(why)),
        Listing::Listed(_) | Listing::None => None,
    })
}

/// What the lists of the run's batch have by now against the chip that its unit holds.
pub fn unlisted_since(session: &mut dyn Session, run: RunId) -> Result<Option<String>, StoreError> {
    if manifest::listed_batch_of(session, run)?.is_none() {
        return Ok(None);
    }
    let unit = session.row(sql::UNIT_OF_RUN, values![run.as_uuid().as_bytes()], |row| {
        Ok(Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? })
    })?;
    let Some(unit) = unit else { return Ok(None) };
    // A run that passes has proven and claimed its chip, so that all of it is known.
    let Some(KnownIdentity { fingerprint, spki: Some(spki), uid }) = held(session, &unit)? else { return Ok(None) };
    let against = match manifest::listing_of_run(session, run, &unit, &Identity { fingerprint, spki, uid })? {
        Listing::Consumed(entry) => Judgement::Collides(vec![entry]),
        Listing::Unlisted(why) => Judgement::Unlisted(why),
        Listing::Listed(_) | Listing::None => return Ok(None),
    };
    Ok(Some(against.to_string()))
}

/// May the run claim this identity for the unit, by all that is bound, locked, ruled, and said by the
/// shipment manifest of the run's batch? A ruling opens a lock; it puts no chip on a vendor's list.
pub fn judge_claim(
    session: &mut dyn Session,
    run: RunId,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Judgement, StoreError> {
    let judged = judge(session, unit, identity, twin)?;
    Ok(match (judged, manifest::listing_of_run(session, run, unit, identity)?) {
        (Judgement::Collides(mut collisions), Listing::Consumed(entry)) => {
            collisions.insert(0, entry);
            Judgement::Collides(collisions)
        }
        (Judgement::Free { .. }, Listing::Consumed(entry)) => Judgement::Collides(vec![entry]),
        (Judgement::Free { .. }, Listing::Unlisted(why)) => Judgement::Unlisted(why),
        (Judgement::Free { standing, ruling, replaces, .. }, Listing::Listed(place)) => {
            Judgement::Free { standing, ruling, replaces, entry: Some(place) }
        }
        (judged, _) => judged,
    })
}

/// May the unit have this identity, by all that is bound, locked and ruled?
fn judge(
    session: &mut dyn Session,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Judgement, StoreError> {
    let against = against(session, unit, identity)?;
    let mut collisions = collide(session, &against, unit, identity, twin)?;
    let Against { holders, locks, .. } = against;
    let held = holders.iter().find(|holder| holder.open && holder.unit == *unit);
    let known = held.is_some_and(|held| held.is(identity));
    let lock =
        locks.into_iter().filter(|lock| lock.holds(identity, known)).map(|held| held.lock).max_by_key(|l| l.kind);
    // What was scrapped is told as that.
    if known && lock.as_ref().is_none_or(|lock| lock.kind != LockKind::Scrapped) {
        collisions.extend(moved_away(session, unit, identity)?);
    }

    // What only a ruling could open is asked for only then: it costs every other claim nothing.
    if collisions.is_empty() && lock.is_none() {
        return free(session, unit, held, identity.uid.as_ref(), known, None);
    }
    if collisions.iter().any(|collision| collision.rule != CollisionRule::Unit) {
        return Ok(Judgement::Collides(collisions));
    }
    // No ruling takes a scrapped unit back.
    if let Some(scrapped) = lock.clone().filter(|lock| lock.kind == LockKind::Scrapped) {
        let scrapped = Judgement::Locked(scrapped);
        return Ok(if collisions.is_empty() { scrapped } else { Judgement::Collides(collisions) });
    }
    let rulings = rulings(session, unit)?;
    match (held, lock) {
        // Another identity on a known board: only a ruling that names both moves the binding.
        (Some(held), _) if !collisions.is_empty() => match rulings.iter().find(|ruling| ruling.moves(held, identity)) {
            Some(ruling) => {
                let mut replaces = replaced(session, unit)?;
                replaces.push(held.fingerprint);
                replaces.extend(issued::under(session, &[held.fingerprint])?);
                Ok(Judgement::Free { standing: Standing::Rebound, ruling: Some(ruling.id), replaces, entry: None })
            }
            None => Ok(Judgement::Collides(collisions)),
        },
        (held, Some(lock)) => match rulings.iter().find(|ruling| ruling.releases) {
            Some(ruling) => free(session, unit, held, identity.uid.as_ref(), known, Some(ruling.id)),
            None => Ok(Judgement::Locked(lock)),
        },
        (held, None) => free(session, unit, held, identity.uid.as_ref(), known, None),
    }
}

/// Two persons ruled that the unit has another chip than this: the one that it held until then passes for it no
/// more, before the new one was seen as after.
fn moved_away(session: &mut dyn Session, unit: &Unit, identity: &Identity) -> Result<Option<Collision>, StoreError> {
    let named = values![unit.product.as_str(), unit.serial.as_str(), identity.fingerprint.as_bytes()];
    session.row(sql::MOVED_AWAY, named, |row| {
        let (seq, new) = moved_to(row)?;
        Ok(Collision { rule: CollisionRule::Unit, unit: unit.clone(), fingerprint: new, run: None, seq })
    })
}

/// From a row of (seq, new_fingerprint).
pub fn moved_to(row: &dyn Row) -> Result<(u64, Fingerprint), StoreError> {
    Ok((row.count(0)?, Fingerprint::from_bytes(row.array(1)?)))
}

fn free(
    session: &mut dyn Session,
    unit: &Unit,
    held: Option<&Binding>,
    uid: Option<&ChipUid>,
    known: bool,
    ruling: Option<EventId>,
) -> Result<Judgement, StoreError> {
    let standing = match held {
        Some(held) if held.imported || (held.uid.is_none() && uid.is_some()) => Standing::Completed,
        _ if known => Standing::Known,
        _ => Standing::New,
    };
    // Only a unit that holds something can have held something else before.
    let replaces = if held.is_some() { replaced(session, unit)? } else { Vec::new() };
    Ok(Judgement::Free { standing, ruling, replaces, entry: None })
}

/// What rulings took from the unit. Every later claim names it: the run that a ruling opened may have
/// ended before it reached the cloud.
fn replaced(session: &mut dyn Session, unit: &Unit) -> Result<Vec<Fingerprint>, StoreError> {
    let mut replaced = session.rows(sql::REPLACED, values![unit.product.as_str(), unit.serial.as_str()], |row| {
        row.array(0).map(Fingerprint::from_bytes)
    })?;
    let mut seen = BTreeSet::new();
    replaced.retain(|fingerprint| seen.insert(*fingerprint));
    // What was made for the key of such a chip went with it.
    let under = issued::under(session, &replaced)?;
    replaced.extend(under);
    Ok(replaced)
}

/// Every rule that the claim breaks. A closed binding still burns its identity, for its own unit as
/// for any other.
fn collisions(holders: &[Binding], unit: &Unit, identity: &Identity) -> Vec<Collision> {
    let ours = |holder: &&Binding| holder.open && holder.unit == *unit;
    let of_certificate = holders.iter().find(|holder| holder.fingerprint == identity.fingerprint);
    let of_key = holders.iter().find(|holder| holder.spki == Some(identity.spki));
    let of_uid = holders.iter().find(|holder| holder.uid.is_some() && holder.uid == identity.uid);
    let of_unit = holders.iter().find(ours);
    [
        (CollisionRule::Certificate, of_certificate.filter(|holder| !ours(holder))),
        (CollisionRule::Key, of_key.filter(|h| !(ours(h) && h.fingerprint == identity.fingerprint))),
        (CollisionRule::Uid, of_uid.filter(|holder| !(ours(holder) && holder.is(identity)))),
        (CollisionRule::Unit, of_unit.filter(|holder| !holder.is(identity))),
    ]
    .into_iter()
    .filter_map(|(rule, holder)| holder.map(|holder| holder.collision(rule)))
    .collect()
}

/// And who holds the certificate in its other form, or had it made for the key of its chip. Where their key is known, it collides by itself; a
/// history made elsewhere may know nothing but the fingerprint.
fn collide(
    session: &mut dyn Session,
    against: &Against,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Vec<Collision>, StoreError> {
    let mut collisions = collisions(&against.holders, unit, identity);
    let of_twin = match twin {
        Some(twin) => issued::issued_to(session, &twin)?.map(|made| (twin, made)),
        None => None,
    };
    let made = against.issued.clone().map(|made| (identity.fingerprint, made));
    for (fingerprint, made) in made.into_iter().chain(of_twin).filter(|(_, made)| made.unit != *unit) {
        let issued::IssuedTo { unit, run, seq } = made;
        if collisions.iter().all(|known| known.rule != CollisionRule::Certificate) {
            let rule = CollisionRule::Certificate;
            collisions.insert(0, Collision { rule, unit, fingerprint, run: Some(run), seq });
        }
    }
    let Some(twin) = twin else { return Ok(collisions) };
    let holders = matching(session, unit, &twin, None, None)?;
    let holder = holders.iter().find(|holder| holder.fingerprint == twin && !(holder.open && holder.unit == *unit));
    // What the certificate itself collides with says it already.
    if let Some(holder) = holder.filter(|_| collisions.iter().all(|known| known.rule != CollisionRule::Certificate)) {
        collisions.push(holder.collision(CollisionRule::Certificate));
        collisions.sort_by_key(|collision| collision.rule);
    }
    Ok(collisions)
}

/// Who holds what, as far as it was ever known.
pub struct Binding {
    pub unit: Unit,
    pub fingerprint: Fingerprint,
    pub spki: Option<SpkiHash>,
    pub uid: Option<ChipUid>,
    pub run: Option<RunId>,
    pub open: bool,
    /// Out of an imported history: what it does not say, a claim completes.
    pub imported: bool,
    pub claimed_seq: u64,
}

impl Binding {
    /// A profile may come to ask for the chip's UID, or cease to: what was not read contradicts nothing.
    fn is(&self, identity: &Identity) -> bool {
        let key = self.spki == Some(identity.spki) || (self.imported && self.spki.is_none());
        let uid = self.uid.is_none() || identity.uid.is_none() || self.uid == identity.uid;
        self.fingerprint == identity.fingerprint && key && uid
    }

    fn collision(&self, rule: CollisionRule) -> Collision {
        let Binding { unit, fingerprint, run, claimed_seq, .. } = self;
        Collision { rule, unit: unit.clone(), fingerprint: *fingerprint, run: *run, seq: *claimed_seq }
    }
}

/// What a claim would collide with now.
pub fn collisions_of(
    session: &mut dyn Session,
    unit: &Unit,
    identity: &Identity,
    twin: Option<Fingerprint>,
) -> Result<Vec<Collision>, StoreError> {
    let against = against(session, unit, identity)?;
    collide(session, &against, unit, identity, twin)
}

/// What the unit holds now.
pub fn held(session: &mut dyn Session, unit: &Unit) -> Result<Option<KnownIdentity>, StoreError> {
    session.row(sql::BINDING_OF_UNIT, values![unit.product.as_str(), unit.serial.as_str()], |row| {
        let Binding { fingerprint, spki, uid, .. } = binding_of(row)?;
        Ok(KnownIdentity { fingerprint, spki, uid })
    })
}

/// What may stand against a claim.
struct Against {
    /// Bindings that share any part with the identity, and the unit's own.
    holders: Vec<Binding>,
    /// The certificate was made for a unit's key.
    issued: Option<issued::IssuedTo>,
    locks: Vec<UnitLock>,
}

/// One question: a claim is asked for while nobody else can write.
fn against(session: &mut dyn Session, unit: &Unit, identity: &Identity) -> Result<Against, StoreError> {
    let Identity { fingerprint, spki, uid } = identity;
    let asked = values![
        fingerprint.as_bytes(),
        spki.as_bytes(),
        uid.as_ref().map(ChipUid::as_str),
        unit.product.as_str(),
        unit.serial.as_str()
    ];
    let mut against = Against { holders: Vec::new(), issued: None, locks: Vec::new() };
    session.query(sql::AGAINST, asked, &mut |row| {
        match row.str(9)? {
            "bound" => against.holders.push(binding_of(row)?),
            "issued" => {
                let Binding { unit, run, claimed_seq: seq, .. } = binding_of(row)?;
                let run = run.ok_or_else(|| StoreError::Corrupt("a certificate was made in no run".to_owned()))?;
                against.issued = Some(issued::IssuedTo { unit, run, seq });
            }
            kind => {
                let (run, reason) = (row.opt_array(5)?, row.text(10)?);
                let failed = match row.blob(2)? {
                    [] => None,
                    _ => Some(Fingerprint::from_bytes(row.array(2)?)),
                };
                against.locks.push(UnitLock { lock: lock(kind, run, reason, row.count(8)?)?, failed });
            }
        }
        Ok(())
    })?;
    Ok(against)
}

pub fn matching(
    session: &mut dyn Session,
    unit: &Unit,
    fingerprint: &Fingerprint,
    spki: Option<&SpkiHash>,
    uid: Option<&ChipUid>,
) -> Result<Vec<Binding>, StoreError> {
    session.rows(
        sql::BINDINGS,
        values![
            fingerprint.as_bytes(),
            spki.map(SpkiHash::as_bytes),
            uid.map(ChipUid::as_str),
            unit.product.as_str(),
            unit.serial.as_str()
        ],
        binding_of,
    )
}

fn binding_of(row: &dyn Row) -> Result<Binding, StoreError> {
    Ok(Binding {
        unit: Unit { product: parse(row.str(0)?)?, serial: parse(row.str(1)?)? },
        fingerprint: Fingerprint::from_bytes(row.array(2)?),
        spki: row.opt_array(3)?.map(SpkiHash::from_bytes),
        uid: row.text(4)?.map(parse).transpose()?,
        run: row.opt_array(5)?.map(RunId::from_bytes),
        open: row.i64(6)? != 0,
        imported: row.i64(7)? != 0,
        claimed_seq: row.count(8)?,
    })
}

/// A lock, and the certificate that it is about; `None`: whatever the unit shows.
struct UnitLock {
    lock: Lock,
    failed: Option<Fingerprint>,
}

impl UnitLock {
    /// A board that fails under another's serial number must not lock out the board that it
    /// pretends to be: a unit's own identity is held only by a failure of its own, and what failed
    /// for being another's holds nothing but itself.
    fn holds(&self, identity: &Identity, known: bool) -> bool {
        let foreign = self.lock.reason.is_some_and(ReasonCode::names_another_unit);
        self.failed.is_none_or(|failed| failed == identity.fingerprint || !(known || foreign))
    }
}

/// From a row of (kind, fingerprint, run, reason, seq).
pub fn lock_of(row: &dyn Row) -> Result<Lock, StoreError> {
    lock(row.str(0)?, row.opt_array(2)?, row.text(3)?, row.count(4)?)
}

fn lock(kind: &str, run: Option<[u8; 16]>, reason: Option<&str>, seq: u64) -> Result<Lock, StoreError> {
    let kind = match kind {
        "failed" => LockKind::Failed,
        "scrapped" => LockKind::Scrapped,
        "conflict" => LockKind::Conflict,
        "withdrawn" => LockKind::Withdrawn,
        other => return Err(StoreError::Corrupt(format!("{other:?} is no kind of lock"))),
    };
    Ok(Lock { kind, run: run.map(RunId::from_bytes), reason: reason.map(parse::<ReasonCode>).transpose()?, seq })
}

/// A ruling that no run has used yet.
struct OpenRuling {
    id: EventId,
    releases: bool,
    old: Option<Fingerprint>,
    new: Option<Identity>,
}

impl OpenRuling {
    fn moves(&self, held: &Binding, identity: &Identity) -> bool {
        self.old == Some(held.fingerprint) && self.new.as_ref() == Some(identity)
    }
}

fn rulings(session: &mut dyn Session, unit: &Unit) -> Result<Vec<OpenRuling>, StoreError> {
    session.rows(sql::OPEN_RULINGS, values![unit.product.as_str(), unit.serial.as_str()], |row| {
        let new = match (row.opt_array(3)?, row.opt_array(4)?) {
            (Some(fingerprint), Some(spki)) => Some(Identity {
                fingerprint: Fingerprint::from_bytes(fingerprint),
                spki: SpkiHash::from_bytes(spki),
                uid: row.text(5)?.map(parse).transpose()?,
            }),
            _ => None,
        };
        Ok(OpenRuling {
            id: EventId::from_bytes(row.array(0)?),
            releases: row.str(1)? == "release",
            old: row.opt_array(2)?.map(Fingerprint::from_bytes),
            new,
        })
    })
}

/// What became of the label that another run of the unit owed before event `seq`. The status is
/// the present one: a label may have been settled since.
pub fn earlier_label(
    session: &mut dyn Session,
    unit: &Unit,
    run: RunId,
    seq: i64,
) -> Result<Option<LabelStatus>, StoreError> {
    session.row(
        sql::UNIT_LABEL,
        values![unit.product.as_str(), unit.serial.as_str(), run.as_uuid().as_bytes(), seq],
        |row| match row.str(0)? {
            "printed" => Ok(LabelStatus::Printed),
            "owed" | "pending" => Ok(LabelStatus::Pending),
            // Sent perhaps, and its end was never seen.
            "intended" | "failed" => Ok(LabelStatus::Failed),
            other => Err(StoreError::Corrupt(format!("{other:?} is no state of a label"))),
        },
    )
}
