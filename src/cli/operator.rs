//! `lineseal operator add|list|role|badge|disable|reset|forget`

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, pin, places};
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{Failure, PersonName, Pin, Role};
use crate::ports::Person;
use crate::runner::people::{self, SignedIn};
use crate::texts::{Language, fl};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Adds a person, or takes a disabled one back. The first is an administrator and needs no --as.
    Add {
        /// As they sign in with it.
        name: PersonName,
        /// technician, qa, supervisor or administrator.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        new: NewPin,
    },
    /// Everyone who was added, by name.
    List,
    /// Gives the person another role.
    Role {
        /// As `lineseal operator list` shows it.
        name: String,
        /// technician, qa, supervisor or administrator.
        #[arg(long)]
        role: Role,
        #[command(flatten)]
        acting: Acting,
    },
    /// Gives the person a badge, instead of the one that they had: scan it when asked.
    Badge {
        /// As `lineseal operator list` shows it.
        name: String,
        /// The person's badge opens nothing any more.
        #[arg(long, conflicts_with = "badge_file")]
        revoke: bool,
        /// Holds what the scanner reads off the badge; without it, the badge is asked for.
        #[arg(long, value_name = "FILE")]
        badge_file: Option<PathBuf>,
        #[command(flatten)]
        acting: Acting,
    },
    /// The person may no longer sign in.
    Disable {
        /// As `lineseal operator list` shows it.
        name: String,
        #[command(flatten)]
        acting: Acting,
    },
    /// Gives the person a new PIN and ends a lock-out.
    Reset {
        /// As `lineseal operator list` shows it.
        name: String,
        #[command(flatten)]
        acting: Acting,
        #[command(flatten)]
        new: NewPin,
    },
    /// Deletes a disabled person's name and PIN. The log keeps an id that means nobody.
    Forget {
        /// As `lineseal operator list` shows it.
        name: String,
        #[command(flatten)]
        acting: Acting,
    },
}

#[derive(clap::Args)]
pub struct NewPin {
    /// Holds the new PIN; without it, the PIN is asked for.
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl NewPin {
    fn of(&self, name: &str) -> Result<Pin, Failure> {
        Ok(pin::new(name, self.new_pin_file.as_deref())?)
    }
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    super::exit::report(bootstrap::block_on(perform(global, config, command, &language)), &language)
}

async fn perform(global: &Global, config: &Config, command: Command, language: &Language) -> Result<(), Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let Records { log, people, .. } = &records;
    let texts = output::texts(language)?;
    match command {
        Command::Add { name, role, acting, new } => {
            let first = people.operators().await?.is_empty();
            let by = if first { None } else { Some(administrator(global, &records, &acting).await?) };
            let pin = new.of(name.as_str())?;
            people::add(log, &**people, by.as_ref(), &name, role, &pin).await?;
            say(&fl!(texts.loader(), "cli-operator-added", name = name.to_string(), role = role.to_string()));
        }
        Command::List => {
            for person in people.operators().await? {
                list(&records, &person, global.json).await?;
            }
            return Ok(());
        }
        Command::Role { name, role, acting } => {
            let by = administrator(global, &records, &acting).await?;
            people::change_role(log, &**people, &by, &name, role).await?;
            say(&fl!(texts.loader(), "cli-operator-added", name = name, role = role.to_string()));
        }
        Command::Badge { name, revoke: true, acting, .. } => {
            let by = administrator(global, &records, &acting).await?;
            people::revoke_badge(log, &**people, &by, &name).await?;
            say(&fl!(texts.loader(), "cli-operator-badge-revoked", name = name));
        }
        Command::Badge { name, badge_file, acting, .. } => {
            let by = administrator(global, &records, &acting).await?;
            let badges = bootstrap::badge_key(config, &places(global).data_dir);
            let code = pin::badge(&name, badge_file.as_deref(), &config.sign_in.badge_prefix)?;
            people::give_badge(log, &**people, &*badges, &by, &name, &code).await?;
            say(&fl!(texts.loader(), "cli-operator-badge", name = name));
        }
        Command::Disable { name, acting } => {
            let by = administrator(global, &records, &acting).await?;
            people::disable(log, &**people, &by, &name).await?;
            say(&fl!(texts.loader(), "cli-operator-disabled", name = name));
        }
        Command::Reset { name, acting, new } => {
            let by = administrator(global, &records, &acting).await?;
            let pin = new.of(&name)?;
            people::reset(log, &**people, &by, &name, &pin).await?;
            say(&fl!(texts.loader(), "cli-operator-reset", name = name));
        }
        Command::Forget { name, acting } => {
            let by = administrator(global, &records, &acting).await?;
            people::forget(log, &**people, &by, &name).await?;
            say(&fl!(texts.loader(), "cli-operator-forgotten"));
        }
    }
    checkpoint(log, &records.custody, language).await;
    Ok(())
}

async fn administrator(global: &Global, records: &Records, acting: &Acting) -> Result<SignedIn, Failure> {
    acting.sign_in(global, records, &[Role::Administrator]).await
}

async fn list(records: &Records, person: &Person, as_json: bool) -> Result<(), Failure> {
    let credential = records.people.credential(person.who.id).await?;
    let now = records.log.clock.now();
    let badge = credential.as_ref().is_some_and(|credential| credential.badge_hash.is_some());
    let locked_until = credential.and_then(|credential| credential.locked_until).filter(|until| *until > now);
    let state = match (&person.name, person.disabled, locked_until) {
        (None, ..) => "forgotten",
        (_, true, _) => "disabled",
        (_, _, Some(_)) => "locked",
        _ => "active",
    };
    if as_json {
        let shown = output::json(&json!({
            "id": person.who.id, "name": person.name, "role": person.role, "state": state,
            "locked_until": locked_until, "badge": badge,
        }));
        // Whoever stopped reading the list has seen enough of it.
        shown.unwrap_or_default();
    } else {
        let role = person.role.map_or("-", Role::as_str);
        let badge = if badge { "badge" } else { "-" };
        data(&format!("{state:<10} {role:<14} {badge:<6} {}", person.name.as_deref().unwrap_or("-")));
    }
    Ok(())
}
