//! `lineseal audit archive`: old events' bytes to a file, their hashes where they are.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::sign_in::Acting;
use super::super::{Global, checkpoint, exit, places};
use crate::audit::LineEvent;
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Role};
use crate::texts::{Language, fl};

#[derive(clap::Args)]
pub struct Options {
    /// Only what was written before this day (UTC).
    #[arg(long, value_name = "YYYY-MM-DD")]
    before: jiff::civil::Date,
    /// Where the archive goes (default: the folder `archives` of the data directory, where it is looked
    /// for).
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, options, &language)), &language)
}

async fn perform(global: &Global, config: &Config, options: &Options, language: &Language) -> Result<(), Failure> {
    let data_dir = places(global).data_dir;
    let records = bootstrap::open_records(config, &data_dir).await?;
    let by = options.acting.sign_in(global, &records, &[Role::Administrator]).await?;
    let Records { log, archiving, custody, .. } = &records;
    let midnight = options.before.to_zoned(jiff::tz::TimeZone::UTC);
    let before = midnight.map_err(|error| Failure::new(ReasonCode::ARGUMENT_REFUSED, error.to_string()))?.timestamp();
    let (first, past) = archiving.range(Some(before)).await?;
    let texts = output::texts(language)?;
    if first == past {
        say(&fl!(texts.loader(), "cli-archive-nothing"));
        return Ok(());
    }
    let folder = options.to.clone().unwrap_or_else(|| bootstrap::archives_of(&data_dir));
    let (path, file) = archiving.write(first, past, &folder).await?;
    let log = log.by(&by);
    let gone = archiving.let_go(log.line_event(LineEvent::Archived { first, end: past, file })?).await?;
    checkpoint(&log, custody, language).await;
    let last = past - 1;
    say(&fl!(texts.loader(), "cli-archive-done", first = first, last = last, gone = gone));
    let path = path.display();
    if global.json {
        let told = json!({ "file": path.to_string(), "sha256": file, "first": first, "past": past, "events": gone });
        let _ = output::json(&told);
    } else {
        data(&format!("{file}  {path}"));
    }
    Ok(())
}
