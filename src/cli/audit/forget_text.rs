//! `lineseal audit forget-text`

use std::process::ExitCode;

use super::super::output::{self, say};
use super::super::sign_in::Acting;
use super::super::{Global, checkpoint, places};
use super::ended;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, Role};
use crate::runner::people;

#[derive(clap::Args)]
pub struct Options {
    /// The number of the ruling's event, as `lineseal audit list` shows it.
    #[arg(long, value_name = "SEQ")]
    ruling: u64,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    ended(global, Some(config), bootstrap::block_on(perform(global, config, options)))
}

async fn perform(global: &Global, config: &Config, options: &Options) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let by = options.acting.sign_in(global, &records, &[Role::Administrator]).await?;
    people::forget_text(&records.log, &*records.history, &*records.people, &by, options.ruling).await?;
    say("the words are forgotten");
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    checkpoint(&records.log, &records.custody, &language).await;
    Ok(ExitCode::SUCCESS)
}
