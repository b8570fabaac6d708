//! How a report names people.

use std::collections::HashMap;

use uuid::Uuid;

use crate::domain::Failure;
use crate::ports::People;

/// Looks each person up once.
pub struct Names<'p> {
    people: &'p dyn People,
    pseudonymous: bool,
    met: HashMap<Uuid, String>,
}

impl<'p> Names<'p> {
    pub fn new(people: &'p dyn People, pseudonymous: bool) -> Self {
        Self { people, pseudonymous, met: HashMap::new() }
    }

    /// A person's name; for one who was forgotten, and for all where that was asked for, what only who has the
    /// log can tell the person by. `None`: nobody had signed in.
    pub async fn of(&mut self, who: Option<Uuid>) -> Result<Option<String>, Failure> {
        let Some(who) = who else { return Ok(None) };
        if let Some(name) = self.met.get(&who) {
            return Ok(Some(name.clone()));
        }
        let name = match self.pseudonymous {
            true => None,
            false => self.people.person_by_id(who).await?.and_then(|person| person.name),
        };
        let name = name.unwrap_or_else(|| pseudonym(who));
        self.met.insert(who, name.clone());
        Ok(Some(name))
    }
}

/// The same person's in every report; the log's own id of the person is random.
fn pseudonym(who: Uuid) -> String {
    let id = who.simple().to_string();
    format!("P-{}", &id[..12])
}
