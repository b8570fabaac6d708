//! Adding people, and taking rights and data away again.
//!
//! Role and state of a person follow from events, the PIN from `People`: two commits, and the power may
//! fail between them. So whatever gives a right is made ready first and *given* by its event, and
//! whatever takes one away is taken by its event first. What is left of a command that was cut off is
//! a person with fewer rights than asked for, and repeating the command finishes it.

use super::SignedIn;
use super::pin;
use crate::audit::LineEvent;
use crate::domain::{Failure, OperatorRef, PersonName, Pin, ReasonCode, Role};
use crate::ports::{Credential, People, Person};
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
    let person = log.person(name.as_str()).await?;
    // The PIN of somebody who is no operator opens nothing; the event makes it count.
    set_pin(&log, people, &person, pin).await?;
    log.line(LineEvent::OperatorAdded { person: person.clone(), role }).await?;
    Ok(person)
}

/// The person may no longer sign in. O-606 for the last active administrator: nobody could add one again.
pub async fn disable(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    let operators = people.operators().await?;
    let may_administer = |known: &&Person| is_active(known) && known.role == Some(Role::Administrator);
    let mut administrators = operators.iter().filter(may_administer);
    if person.role == Some(Role::Administrator) && administrators.all(|known| known.who.id == person.who.id) {
        return Err(not_now(format!("{name} is the last administrator: add another first")));
    }
    log.line(LineEvent::OperatorDisabled { person: person.who }).await?;
    Ok(())
}

/// A new PIN, which ends a lock, too.
pub async fn reset(log: &LogWriter, people: &dyn People, by: &SignedIn, name: &str, pin: &Pin) -> Result<(), Failure> {
    let log = administering(log, by)?;
    let person = active(people, name).await?;
    // Cut off after the event, the old PIN and its lock stand, and nobody was told otherwise: no PIN
    // ever counts that the log does not know of.
    log.line(LineEvent::OperatorReset { person: person.who.clone() }).await?;
    set_pin(&log, people, &person.who, pin).await
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

async fn set_pin(log: &LogWriter, people: &dyn People, person: &OperatorRef, pin: &Pin) -> Result<(), Failure> {
    let pin_hash = pin::hash(pin, log.random()?).await?;
    people.set_credential(person.id, Credential { pin_hash, failures: 0, locked_until: None }).await
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
