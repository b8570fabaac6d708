//! Adding people, and taking rights and data away again.
//!
//! Role and state of a person follow from events. The PIN is in `People`, and the event that gives it
//! commits to its hash: both are written at once. What deletes something is told by an event first: cut
//! off in between, it is repeated.

use super::SignedIn;
use super::{badge, pin};
use crate::audit::LineEvent;
use crate::domain::{BadgeCode, Failure, OperatorRef, PersonName, Pin, ReasonCode, Role, Sha256};
use crate::ports::{BadgeKey, People, Person};
use crate::runner::LogWriter;

/// Adds an operator, or takes a disabled one back with a new role and PIN.
///
/// The very first is an administrator and needs nobody's word (`by` is `None`); all others need an
/// administrator's.
pub async fn add(
    log: &LogWriter,
    people: &dyn People,
    by: Option<&SignedIn>,
    name: &PersonName,
    role: Role,
    pin: &Pin,
) -> Result<OperatorRef, Failure> {
    let log = match by {
        Some(by) => administering(log, by)?,
        None => beginning(log, people, role).await?,
    };
    if people.person(name.as_str()).await?.as_ref().is_some_and(is_active) {
        return Err(not_now(format!("{name} is an operator already: disable first, then add with another role")));
    }
    let operators = people.operators().await?;
    let others = operators.iter().filter_map(|known| known.name.as_deref()).filter(|known| *known != name.as_str());
    if let Some(other) = others.into_iter().find(|other| name.looks_like(other)) {
        // Who of them ruled would be told by nothing that people read.
        return Err(not_now(format!("{name} looks like {other}, who is known here: people must be told apart")));
    }
    let person = log.person(name.as_str()).await?;
    let (pin_hash, pin_sha256) = hashed(&log, pin).await?;
    let event = LineEvent::OperatorAdded { person: person.clone(), role, pin_sha256 };
    people.give_pin(person.id, &pin_hash, log.line_event(event)?).await?;
    Ok(person)
}

/// The person may no longer sign in. O-606 for the last active administrator: nobody could add one again.
pub async fn disable(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    leaves_an_administrator(people, &person, name).await?;
    log.line(LineEvent::OperatorDisabled { person: person.who }).await?;
    Ok(())
}

/// Another role, from here on. O-606 for the last active administrator, and for the role that the person has.
pub async fn change_role(
    log: &LogWriter,
    people: &dyn People,
    by: &SignedIn,
    name: &str,
    role: Role,
) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    if person.role == Some(role) {
        return Err(not_now(format!("{name} is {role} already")));
    }
    leaves_an_administrator(people, &person, name).await?;
    log.line(LineEvent::OperatorRole { person: person.who, role }).await?;
    Ok(())
}

/// The badge is the person's from here on, and the one that they had is nobody's. O-626 for another's.
pub async fn give_badge(
    log: &LogWriter,
    people: &dyn People,
    badges: &dyn BadgeKey,
    by: &SignedIn,
    name: &str,
    code: &BadgeCode,
) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    let hash = badge::hash(code, badge::key(&log, badges).await?).await?;
    match people.person_by_badge(&hash).await? {
        Some(known) if known.who.id == person.who.id => {
            return Err(not_now(format!("this is the badge of {name} already")));
        }
        Some(known) => {
            let whose = known.name.unwrap_or_else(|| "somebody else".to_owned());
            return Err(Failure::new(ReasonCode::BADGE_TAKEN, format!("it is the badge of {whose}")));
        }
        None => {}
    }
    let badge_sha256 = Sha256::of(hash.as_bytes());
    let event = log.line_event(LineEvent::BadgeGiven { person: person.who.clone(), badge_sha256 })?;
    people.give_badge(person.who.id, Some(&hash), event).await
}

/// The person's badge is nobody's from here on: it was lost, or copied. O-606 where there is none.
pub async fn revoke_badge(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str) -> Result<(), Failure> {
    let log = administering(log, by)?;
    // Of a disabled person, too: somebody else may be given the badge.
    let person = people.person(name).await?.filter(|person| person.role.is_some());
    let person = person.ok_or_else(|| not_now(format!("{name:?} is no operator")))?;
    if people.credential(person.who.id).await?.is_none_or(|credential| credential.badge_hash.is_none()) {
        return Err(not_now(format!("{name} has no badge")));
    }
    let event = log.line_event(LineEvent::BadgeRevoked { person: person.who.clone() })?;
    people.give_badge(person.who.id, None, event).await
}

/// Nobody could administer anything any more.
async fn leaves_an_administrator(people: &dyn People, person: &Person, name: &str) -> Result<(), Failure> {
    let operators = people.operators().await?;
    let may_administer = |known: &&Person| is_active(known) && known.role == Some(Role::Administrator);
    let mut administrators = operators.iter().filter(may_administer);
    if person.role == Some(Role::Administrator) && administrators.all(|known| known.who.id == person.who.id) {
        return Err(not_now(format!("{name} is the last administrator: add another first")));
    }
    Ok(())
}

/// A new PIN, which ends a lock, too.
pub async fn reset(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str, pin: &Pin) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    let (pin_hash, pin_sha256) = hashed(&log, pin).await?;
    let event = LineEvent::OperatorReset { person: person.who.clone(), pin_sha256 };
    people.give_pin(person.who.id, &pin_hash, log.line_event(event)?).await
}

/// Deletes a person's name, salt and PIN; the events keep an id that means nobody. O-606 while the person
/// is an operator.
pub async fn forget(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = people.person(name).await?.ok_or_else(|| not_now(format!("nobody is called {name:?} here")))?;
    if is_active(&person) {
        return Err(not_now(format!("{name} is an operator: disable first")));
    }
    // The other way round, a name would be missing and nothing would say why.
    log.line(LineEvent::PersonForgotten { person: person.who.id }).await?;
    // Somebody else may have finished it meanwhile: gone is gone.
    people.forget(person.who.id).await.map(drop)
}

/// The log in the name of `by`, who has to be an administrator.
fn administering(log: &LogWriter, by: &SignedIn) -> Result<LogWriter, Failure> {
    by.has_one_of(&[Role::Administrator])?;
    Ok(log.by(by))
}

/// Where nobody was ever added, an administrator may be.
async fn beginning(log: &LogWriter, people: &dyn People, role: Role) -> Result<LogWriter, Failure> {
    if !people.operators().await?.is_empty() {
        let cause = "there are operators: an administrator has to sign in to add another";
        return Err(Failure::new(ReasonCode::OPERATOR_ROLE, cause).with("roles", Role::Administrator));
    }
    if role != Role::Administrator {
        return Err(not_now("the first operator has to be an administrator".to_owned()));
    }
    Ok(log.clone())
}

/// What a PIN is compared with, and what the log says of that: its salt is random, and so the log tells
/// nothing of the PIN.
async fn hashed(log: &LogWriter, pin: &Pin) -> Result<(String, Option<Sha256>), Failure> {
    let pin_hash = pin::hash(pin, log.random()?).await?;
    let committed = Sha256::of(pin_hash.as_bytes());
    Ok((pin_hash, Some(committed)))
}

async fn active(people: &dyn People, name: &str) -> Result<Person, Failure> {
    let known = people.person(name).await?.filter(is_active);
    known.ok_or_else(|| not_now(format!("{name:?} is no operator, or is disabled")))
}

fn is_active(person: &Person) -> bool {
    person.role.is_some() && !person.disabled
}

fn not_now(cause: String) -> Failure {
    Failure::new(ReasonCode::NOT_NOW, cause)
}
