//! `lineseal audit …`: reading the log, proving it, correcting it. One file a subcommand.

use std::process::ExitCode;

use super::Global;
use crate::config::Config;

#[derive(clap::Subcommand)]
pub enum Command {}

pub fn main(_global: &Global, _config: &Config, command: Command) -> ExitCode {
    match command {}
}
