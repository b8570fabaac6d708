//! In whose name a station works, and a command that needs no role.

use super::sign_in::{SignedIn, sign_in};
use crate::domain::{Failure, Pin, ReasonCode, Role};
use crate::ports::People;
use crate::provisioning::UnitRecord;
use crate::runner::LogWriter;

/// The person that was named (`--as`), and what they proved it with. Nothing was asked of the log yet: its
/// database may be away.
#[derive(Debug, Clone, Default)]
pub struct Named {
    pub name: Option<String>,
    pub pin: Option<Pin>,
    /// Here nobody operates by name alone once the log knows people.
    pub required: bool,
}

/// Does the log know anybody who could sign in?
pub async fn are_known(people: &dyn People) -> Result<bool, Failure> {
    Ok(!people.operators().await?.is_empty())
}

/// Has whoever comes by this name to prove it? An operator has, since a ruling asks who operated a run; where signing
/// in is `required`, everybody once the log knows people. Else a name is all there is.
pub async fn must_prove(people: &dyn People, name: &str, required: bool) -> Result<bool, Failure> {
    if people.person(name).await?.is_some_and(|person| person.role.is_some()) {
        return Ok(true);
    }
    Ok(required && are_known(people).await?)
}

/// The log in the name of whoever was named. O-620 where that takes a PIN and none was given. Nobody named is nobody.
pub async fn operating(log: &LogWriter, people: &dyn People, named: &Named) -> Result<LogWriter, Failure> {
    let Some(name) = &named.name else { return Ok(log.clone()) };
    match &named.pin {
        Some(pin) if are_known(people).await? => Ok(log.by(&prove(log, people, name, pin).await?)),
        None if must_prove(people, name, named.required).await? => {
            let cause = format!("{name} was named, and no PIN was given");
            Err(Failure::new(ReasonCode::NOBODY_SIGNED_IN, cause))
        }
        _ => log.clone().named(name).await,
    }
}

/// Any role may operate.
pub async fn prove(log: &LogWriter, people: &dyn People, name: &str, pin: &Pin) -> Result<SignedIn, Failure> {
    sign_in(log, people, name, pin, &Role::ALL).await
}

/// The operator's name instead of the id, for whoever reads it: the log has no names. The id stays where the person
/// was forgotten.
pub async fn name_in(people: &dyn People, record: &mut UnitRecord) {
    let Some(id) = record.operator.as_deref().and_then(|id| id.parse().ok()) else { return };
    // A record is told whatever else is wrong.
    let person = people.person_by_id(id).await.inspect_err(|failure| tracing::warn!(%failure, "who operated"));
    if let Some(name) = person.ok().flatten().and_then(|person| person.name) {
        record.operator = Some(name);
    }
}
