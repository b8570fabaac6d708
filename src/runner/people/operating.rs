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
}

/// Does the log know anybody who could sign in? Where it does not, a name is all there is.
pub async fn are_known(people: &dyn People) -> Result<bool, Failure> {
    Ok(!people.operators().await?.is_empty())
}

/// The log in the name of whoever was named: a person who signed in once the log knows people, since a ruling asks
/// who operated a run. O-620 without a PIN then. Nobody named is nobody.
pub async fn operating(log: &LogWriter, people: &dyn People, named: &Named) -> Result<LogWriter, Failure> {
    let Some(name) = &named.name else { return Ok(log.clone()) };
    if !are_known(people).await? {
        return log.clone().named(name).await;
    }
    match &named.pin {
        Some(pin) => Ok(log.by(&prove(log, people, name, pin).await?)),
        None => {
            let cause = format!("{name} was named, and no PIN was given");
            Err(Failure::new(ReasonCode::NOBODY_SIGNED_IN, cause))
        }
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
