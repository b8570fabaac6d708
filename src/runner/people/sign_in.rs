//! A name and a PIN become a person who may do something.

use jiff::Timestamp;

use super::pin::{self, Compared};
use crate::audit::LineEvent;
use crate::domain::{Failure, OperatorRef, Pin, Proof, ReasonCode, Role, TRIES, lockout};
use crate::ports::{Credential, People, Person};
use crate::runner::LogWriter;

/// A person who proved to be one: only [`sign_in`] and [`by_badge`](super::by_badge) make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    operator: OperatorRef,
    name: String,
    role: Role,
    proof: Proof,
}

impl SignedIn {
    pub fn operator(&self) -> &OperatorRef {
        &self.operator
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn role(&self) -> Role {
        self.role
    }

    pub fn proof(&self) -> Proof {
        self.proof
    }

    /// Of a badge, whose PIN was given, too.
    pub(super) fn of(operator: OperatorRef, name: String, role: Role, proof: Proof) -> Self {
        Self { operator, name, role, proof }
    }

    /// Their badge was shown before the PIN.
    pub fn with_badge(self) -> Self {
        Self { proof: Proof::BadgeAndPin, ..self }
    }

    /// As the log has it now.
    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    /// For everything but operating. O-610 unless the person has one of `roles`, O-625 without a PIN: a badge can
    /// be copied.
    pub fn has_one_of(&self, roles: &[Role]) -> Result<(), Failure> {
        if roles.contains(&self.role) {
            if self.proof.has_pin() {
                return Ok(());
            }
            let cause = format!("{} signed in with a badge alone", self.name);
            return Err(Failure::new(ReasonCode::PIN_NEEDED, cause));
        }
        let wanted = roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" / ");
        let cause = format!("{} has the role {}", self.name, self.role);
        Err(Failure::new(ReasonCode::OPERATOR_ROLE, cause).with("roles", wanted))
    }
}

/// Signs a person in who has one of `roles`. O-607 unknown or disabled, O-614 the PIN's record is not the
/// one that the log has committed to, O-609 locked out, O-608 wrong PIN (an event), O-610 another role.
///
/// A try is counted *before* the PIN is looked at and taken back when it was right: of a thousand
/// tries at once, no more are looked at than [`TRIES`], and none escapes the count by a kill. Once a
/// lock is over one more wrong PIN locks again, for longer, until a right one or a reset.
pub async fn sign_in(
    log: &LogWriter,
    people: &dyn People,
    name: &str,
    pin: &Pin,
    roles: &[Role],
) -> Result<SignedIn, Failure> {
    let Some((person, before)) = operator(people, name).await? else {
        // The time that it takes must not tell who exists.
        pin::compare_with_nothing(pin).await?;
        let cause = format!("{name:?} is no operator, or is disabled");
        return Err(Failure::new(ReasonCode::OPERATOR_UNKNOWN, cause));
    };
    as_committed(&person, &before)?;
    let who = person.operator.id;
    let now = log.clock.now();
    if let Some(until) = before.locked_until.filter(|until| *until > now) {
        return Err(locked(&person, until, now));
    }
    let counted = people.count_wrong_pin(who, now).await?;
    if counted.failures > TRIES && counted.failures != before.failures.saturating_add(1) {
        // Others tried in between and used up what there was to try.
        return Err(locked(&person, counted.locked_until.unwrap_or(Timestamp::MAX), now));
    }
    as_committed(&person, &counted)?;
    match pin::compare(pin, counted.pin_hash).await? {
        Compared::Right => people.clear_wrong_pins(who).await?,
        Compared::Wrong => {
            let wait = lockout(counted.failures);
            log.line(LineEvent::SignInRefused { person: person.operator, locked: wait.is_some() }).await?;
            let cause = match wait {
                Some(wait) => format!("wrong PIN number {}: locked for {} minutes", counted.failures, wait.as_mins()),
                None => format!("wrong PIN; {} more and {name} is locked out", TRIES - counted.failures),
            };
            return Err(Failure::new(ReasonCode::OPERATOR_PIN, cause));
        }
    }
    person.has_one_of(roles)?;
    Ok(person)
}

/// The person that `name` would be, if the PIN is right.
async fn operator(people: &dyn People, name: &str) -> Result<Option<(SignedIn, Credential)>, Failure> {
    let Some(Person { who, role: Some(role), disabled: false, .. }) = people.person(name).await? else {
        return Ok(None);
    };
    let credential = people.credential(who.id).await?;
    Ok(credential.map(|credential| (SignedIn::of(who, name.to_owned(), role, Proof::Pin), credential)))
}

/// Whoever can write to the database can put another PIN there, and not into the log.
fn as_committed(person: &SignedIn, credential: &Credential) -> Result<(), Failure> {
    if credential.is_as_committed() {
        return Ok(());
    }
    let cause = format!("the stored PIN of {} is not the one that the log has committed to", person.name);
    Err(Failure::new(ReasonCode::OPERATOR_PIN_ALTERED, cause))
}

fn locked(person: &SignedIn, until: Timestamp, now: Timestamp) -> Failure {
    Failure::new(ReasonCode::OPERATOR_LOCKED, format!("{} is locked out until {until}", person.name))
        .with("minutes", minutes_until(until, now))
}

/// Rounded up: nobody comes back too early.
pub(super) fn minutes_until(until: Timestamp, now: Timestamp) -> i64 {
    until.duration_since(now).as_secs().saturating_add(59) / 60
}
