//! What the reading subcommands share: the log, opened only to look, and the people and words that it
//! names by an id.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::output::{self, say};
use super::super::{Global, exit, places};
use crate::audit::event::FreeText;
use crate::bootstrap::{self, Reading};
use crate::config::Config;
use crate::domain::Failure;
use crate::ports::{AuditStore, History, People};
use crate::texts::Language;

/// Opens the log and does `work`, which says how the command ends.
pub fn perform(
    global: &Global,
    config: &Config,
    work: impl AsyncFnOnce(&mut Reader, &Language) -> Result<u8, Failure>,
) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let data_dir = places(global).data_dir;
    let done = bootstrap::block_on(async {
        let Some(Reading { store, history, people, .. }) = bootstrap::open_reading(config, &data_dir)? else {
            say(&format!("there is no log in {}", data_dir.display()));
            return Ok(exit::NOTHING_DONE);
        };
        work(&mut Reader { store, history, people, met: HashMap::new() }, &language).await
    });
    exit::ended(done.map(ExitCode::from), &language)
}

pub struct Reader {
    pub store: Arc<dyn AuditStore>,
    pub history: Arc<dyn History>,
    pub people: Arc<dyn People>,
    met: HashMap<Uuid, Who>,
}

/// Who is behind an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Named(String),
    Forgotten,
    /// Their name never reached this store.
    Unnamed(Uuid),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Named(name) => f.write_str(name),
            Who::Forgotten => f.write_str("forgotten"),
            Who::Unnamed(id) => id.fmt(f),
        }
    }
}

impl Reader {
    pub async fn who(&mut self, id: Uuid) -> Result<Who, Failure> {
        if let Some(known) = self.met.get(&id) {
            return Ok(known.clone());
        }
        let who = match self.people.person_by_id(id).await?.map(|person| person.name) {
            Some(Some(name)) => Who::Named(name),
            Some(None) => Who::Forgotten,
            None => Who::Unnamed(id),
        };
        self.met.insert(id, who.clone());
        Ok(who)
    }

    pub async fn who_json(&mut self, id: Option<Uuid>) -> Result<Value, Failure> {
        let Some(id) = id else { return Ok(Value::Null) };
        Ok(match self.who(id).await? {
            Who::Named(name) => json!({ "id": id, "name": name, "forgotten": false }),
            Who::Forgotten => json!({ "id": id, "name": null, "forgotten": true }),
            Who::Unnamed(_) => json!({ "id": id, "name": null, "forgotten": false }),
        })
    }

    /// What was typed; `None`: forgotten.
    pub async fn text(&self, text: &FreeText) -> Result<Option<String>, Failure> {
        Ok(self.people.text(text.id).await?.map(|(_, words)| words))
    }
}
