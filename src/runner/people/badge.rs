//! A badge that is scanned becomes a person who operates a station, or one whose PIN is asked for.
//!
//! A badge is looked up by a hash, as nobody types a name with it. Its code is short, and a plant's badges
//! are often numbered one after the other: whoever tried them all against a stolen database would have every
//! one in hours, whatever the hash. So the hash takes a key that lies outside of the database; whoever has
//! both still pays for each try what a PIN's costs (RFC 9106 §3.1: K is the key, S is constant).

use argon2::{Algorithm, Argon2, Version};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox};

use super::pin::{compute, not_computed, parameters};
use super::sign_in::{SignedIn, minutes_until};
use crate::audit::LineEvent;
use crate::domain::{BadgeCode, Failure, Proof, ReasonCode, TRIES, lockout};
use crate::ports::{BadgeKey, People, Person};
use crate::runner::LogWriter;

/// There is one hash of a badge under one key, or it could not be looked up.
const SALT: &[u8] = b"lineseal badge 1";
/// Bytes.
const LENGTH: usize = 32;

/// What badges a station keeps from being tried one after the other. In this process alone: whoever can start it
/// anew at will has the key, too.
#[derive(Debug, Default)]
pub struct Guesses {
    wrong: u32,
    last: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Guesses {
    /// One more. A right badge in between takes none back: whoever tries others' has one of their own.
    fn count(&mut self, now: Timestamp) {
        const FORGIVEN_AFTER: SignedDuration = SignedDuration::from_hours(2);
        if self.last.is_some_and(|last| now.duration_since(last) > FORGIVEN_AFTER) {
            self.wrong = 0;
        }
        self.wrong = self.wrong.saturating_add(1);
        self.last = Some(now);
        self.until = lockout(self.wrong).map(|wait| now.checked_add(wait).unwrap_or(Timestamp::MAX));
    }
}

/// What a badge is looked up by.
pub async fn hash(code: &BadgeCode, key: SecretBox<[u8; LENGTH]>) -> Result<String, Failure> {
    let code = code.clone();
    compute(move || {
        let argon2 = Argon2::new_with_secret(key.expose_secret(), Algorithm::Argon2id, Version::V0x13, parameters()?)
            .map_err(|error| not_computed(error.into()))?;
        let mut hash = [0; LENGTH];
        argon2
            .hash_password_into(code.expose_secret().as_bytes(), SALT, &mut hash)
            .map_err(|error| not_computed(error.into()))?;
        Ok(hex::encode(hash))
    })
    .await
}

/// The key, which is made where there is none.
pub async fn key(log: &LogWriter, badges: &dyn BadgeKey) -> Result<SecretBox<[u8; LENGTH]>, Failure> {
    match badges.read().await? {
        Some(key) => Ok(key),
        None => badges.keep(SecretBox::new(Box::new(log.random()?))).await,
    }
}

/// Signs in whose badge it is, to operate. O-622 for nobody's, and for a person's who may sign in no more; O-627
/// for one that was put past the log; O-624 after too many that were nobody's. Each but the last is an event.
pub async fn by_badge(
    log: &LogWriter,
    people: &dyn People,
    badges: &dyn BadgeKey,
    guesses: &mut Guesses,
    code: &BadgeCode,
) -> Result<SignedIn, Failure> {
    let now = log.clock.now();
    if let Some(until) = guesses.until.filter(|until| *until > now) {
        let cause = format!("{} badges in a row were nobody's", guesses.wrong);
        return Err(Failure::new(ReasonCode::BADGES_LOCKED, cause).with("minutes", minutes_until(until, now)));
    }
    let known = match badges.read().await? {
        Some(key) => people.person_by_badge(&hash(code, key).await?).await?,
        None => None,
    };
    let refused = match known {
        Some(Person { who, name: Some(name), role: Some(role), disabled: false }) => {
            let credential = people.credential(who.id).await?;
            if credential.is_some_and(|credential| credential.badge_is_as_committed()) {
                return Ok(SignedIn::of(who, name, role, Proof::Badge));
            }
            let cause = format!("the badge on record of {name} is not the one that the log has committed to");
            (Some(who), Failure::new(ReasonCode::BADGE_ALTERED, cause))
        }
        Some(person) => (Some(person.who), unknown("its person may sign in no more")),
        None => (None, unknown("it is on record for nobody")),
    };
    let (person, failure) = refused;
    guesses.count(now);
    log.line(LineEvent::BadgeRefused { person, locked: guesses.wrong >= TRIES }).await?;
    Err(failure)
}

fn unknown(cause: &str) -> Failure {
    Failure::new(ReasonCode::BADGE_UNKNOWN, cause)
}
