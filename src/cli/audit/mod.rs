//! `lineseal audit …`: reading the log, proving it, correcting it. One file a subcommand.

mod verify;

use std::process::ExitCode;

use super::Global;
use crate::config::Config;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Reads the whole log again: is it what was written?
    Verify(verify::Options),
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    match command {
        Command::Verify(options) => verify::main(global, config, &options),
    }
}
