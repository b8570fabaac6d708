//! `lineseal audit migrate --from DATA_DIR|FILE`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bootstrap::{self, Move};
use crate::cli::Global;
use crate::cli::exit;
use crate::cli::output::{self, say};
use crate::cli::sign_in::Acting;
use crate::config::Config;
use crate::domain::{Failure, Role, Sha256};

#[derive(clap::Args)]
pub struct Options {
    /// The data directory of the station whose log is moved, or the database file in it.
    #[arg(long, value_name = "DATA_DIR|FILE")]
    from: PathBuf,
    #[command(flatten)]
    acting: Acting,
}

const TELL_EVERY: Duration = Duration::from_secs(2);

pub fn main(global: &Global, config: &Config, options: Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, options)), &language)
}

async fn perform(global: &Global, config: &Config, options: Options) -> Result<(), Failure> {
    let moving = Move::new(config, &options.from)?;
    let records = &moving.records;
    // Who may is known to the log that is moved; one without people is anybody's, as the first of them is.
    let log = if records.people.operators().await?.is_empty() {
        records.log.clone()
    } else {
        let person = options.acting.sign_in(global, records, &[Role::Administrator]).await?;
        records.log.by(&person)
    };
    let mut told = Instant::now();
    let progress = move |done: u64, of: u64| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            say(&format!("{done} of {of} events"));
        }
    };
    let migrated = moving.perform(log, progress).await?;
    let (size, root) = (migrated.head.size, Sha256::from_bytes(migrated.head.root));
    if global.json {
        let shown = output::json(&json!({ "size": size, "root": root, "before": migrated.before }));
        // Whoever stopped reading has seen enough of it.
        return shown.or(Ok(()));
    }
    if migrated.before {
        say(&format!("the log was there already: {size} events, root {root}"));
    } else {
        say(&format!("the log is moved: {size} events, root {root}"));
    }
    Ok(())
}
