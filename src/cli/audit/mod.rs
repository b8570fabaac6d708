//! `lineseal audit …`: reading the log, proving it, correcting it. One file a subcommand.

mod archive;
mod backup;
mod checkpoint;
mod forget_text;
mod found;
mod import;
mod key;
mod labels;
mod list;
mod migrate;
mod paging;
mod prove;
mod reader;
mod restore;
mod rule;
mod search;
mod show;
pub mod table;
pub mod unit;
mod verify;
mod verify_bundle;

use std::process::ExitCode;

use super::output;
use super::{Global, exit};
use crate::config::Config;
use crate::domain::Failure;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Moves a station's own log into the plant's database, which has to be empty.
    Migrate(migrate::Options),
    /// What happened, newest first.
    List(list::Options),
    /// Finds runs, rulings and imported rows.
    Search(Box<search::Options>),
    /// A unit's whole history, one run, or one event.
    Show(show::Options),
    /// Reads the whole log again: is it what was written?
    Verify(verify::Options),
    /// Copies the log while the station works, and verifies the copy.
    Backup(backup::Options),
    /// Puts a backup in the log's place.
    Restore(restore::Options),
    /// Moves old events' bytes to a file; their hashes stay, and all proofs go on working.
    Archive(archive::Options),
    /// Corrections by two persons who answer for them; each is one more event.
    #[command(subcommand)]
    Rule(rule::Command),
    /// Packs what the log holds of a unit, so that a stranger can check it.
    Prove(prove::Options),
    /// Checks a bundle that somebody handed over. Needs neither a log nor a configuration.
    VerifyBundle(verify_bundle::Options),
    /// The newest signed checkpoint of the log.
    Checkpoint(checkpoint::Options),
    /// The keys whose signatures vouch for the log.
    #[command(subcommand)]
    Key(key::Command),
    /// Takes in a history that was made elsewhere.
    Import(import::Options),
    /// Deletes the words of a ruling's reason; the ruling stays.
    ForgetText(forget_text::Options),
}

/// What is done where nobody has a station; `None`: this is not of that kind.
pub fn without_config(global: &Global, command: &Command) -> Option<ExitCode> {
    match command {
        Command::VerifyBundle(options) => Some(verify_bundle::main(global, options)),
        Command::Key(key::Command::New(options)) => Some(key::new(global, options)),
        _ => None,
    }
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    match command {
        Command::Migrate(options) => migrate::main(global, config, options),
        Command::List(options) => list::main(global, config, options),
        Command::Search(options) => search::main(global, config, &options),
        Command::Show(options) => show::main(global, config, options),
        Command::Verify(options) => verify::main(global, config, &options),
        Command::Backup(options) => backup::main(global, config, &options),
        Command::Restore(options) => restore::main(global, config, &options),
        Command::Archive(options) => archive::main(global, config, &options),
        Command::Rule(command) => rule::main(global, config, command),
        Command::Prove(options) => prove::main(global, config, &options),
        Command::VerifyBundle(options) => verify_bundle::main(global, &options),
        Command::Checkpoint(options) => checkpoint::main(global, config, &options),
        Command::Key(command) => key::main(global, config, &command),
        Command::Import(options) => import::main(global, config, &options),
        Command::ForgetText(options) => forget_text::main(global, config, &options),
    }
}

/// How a command ends whose failures are all told in the same way.
fn ended(global: &Global, config: Option<&Config>, done: Result<ExitCode, Failure>) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.and_then(|it| it.station.language.as_deref()));
    exit::ended(done, &language)
}
