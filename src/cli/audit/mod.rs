//! `lineseal audit …`: reading the log, proving it, correcting it. One file a subcommand.

mod archive;
mod backup;
mod migrate;
mod found;
mod labels;
mod list;
mod paging;
mod reader;
mod restore;
mod rule;
mod search;
mod show;
mod table;
mod verify;

use std::process::ExitCode;

use super::Global;
use crate::config::Config;

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
    }
}
