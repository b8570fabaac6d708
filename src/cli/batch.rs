//! `lineseal batch open|close|list|show`

use std::process::ExitCode;

use serde_json::json;

use super::output::{self, data, say};
use super::{Global, checkpoint, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{BatchName, Failure, ReasonCode};
use crate::ports::{Batch, BatchTally};
use crate::runner;
use crate::texts::Language;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Opens a batch; one is open at a station at a time.
    Open {
        name: BatchName,
        /// The profile whose product the batch makes (may be left out where there is one only).
        #[arg(long)]
        profile: Option<String>,
        /// How many units are planned.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        planned: u64,
    },
    /// Closes the open batch.
    Close,
    /// All batches, newest first.
    List,
    /// One batch's figures; the open one's without a name.
    Show { name: Option<BatchName> },
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    match bootstrap::block_on(perform(global, config, command, &language)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure, &language);
            ExitCode::from(super::exit::of_failure(&failure))
        }
    }
}

async fn perform(global: &Global, config: &Config, command: Command, language: &Language) -> Result<(), Failure> {
    let (log, custody) = bootstrap::open_kept_log(config, &places(global).data_dir, global.operator.as_deref()).await?;
    match command {
        Command::Open { name, profile, planned } => {
            let profile = match (profile, config.profiles.as_slice()) {
                (Some(profile), _) => profile,
                (None, [only]) => only.name.clone(),
                (None, _) => {
                    let cause = "there are several profiles: say which with --profile";
                    return Err(Failure::new(ReasonCode::CONFIG_INVALID, cause));
                }
            };
            runner::open_batch(&log, config, name.clone(), &profile, planned).await?;
            say(&format!("batch {name} is open for {planned} units of {profile}"));
            checkpoint(&log, &custody, language).await;
        }
        Command::Close => {
            let name = runner::close_batch(&log).await?;
            say(&format!("batch {name} is closed"));
            checkpoint(&log, &custody, language).await;
        }
        Command::List => {
            for batch in log.store.batches().await? {
                let tally = log.store.tally(&batch.name).await?;
                print(&batch, &tally, global.json);
            }
        }
        Command::Show { name } => {
            let open = log.store.open_batch(&log.station).await?;
            let batches = log.store.batches().await?;
            let wanted = name.as_ref().or(open.as_ref().map(|batch| &batch.name));
            let found = batches.iter().find(|batch| Some(&batch.name) == wanted).ok_or_else(|| {
                let cause = match &name {
                    Some(name) => format!("there is no batch {name}"),
                    None => "no batch is open; say which".to_owned(),
                };
                Failure::new(ReasonCode::NOT_NOW, cause)
            })?;
            print(found, &log.store.tally(&found.name).await?, global.json);
        }
    }
    Ok(())
}

fn print(batch: &Batch, tally: &BatchTally, as_json: bool) {
    let state = if batch.closed.is_some() { "closed" } else { "open" };
    if as_json {
        let shown = output::json(&json!({
            "batch": batch.name, "profile": batch.profile, "product": batch.product, "planned": batch.planned,
            "opened": batch.opened, "closed": batch.closed, "passed": tally.passed, "failed": tally.failed,
            "errors": tally.errors, "held": tally.held, "first_passes": tally.first_passes,
            "first_attempts": tally.first_attempts,
        }));
        // Whoever stopped reading the list has seen enough of it.
        return shown.unwrap_or_default();
    }
    let yield_ = match tally.first_attempts {
        0 => "-".to_owned(),
        attempts => format!("{:.1} %", 100.0 * tally.first_passes as f64 / attempts as f64),
    };
    data(&format!(
        "{:<24} {state:<7} {:>6}/{:<6} PASS {:>6}  FAIL {:>4}  ERROR {:>4}  HELD {:>4}  first-pass yield {yield_}",
        batch.name.as_str(),
        tally.passed,
        batch.planned,
        tally.passed,
        tally.failed,
        tally.errors,
        tally.held,
    ));
}
