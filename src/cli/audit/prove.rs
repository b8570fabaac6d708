//! `lineseal audit prove`: what the log holds of a unit, for a stranger.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, say};
use super::super::{Global, places};
use super::ended;
use super::unit::UnitName;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, RunId};
use crate::runner::prove::{Proven, Wanted, prove};
use crate::texts::fl;

/// That the events are in the log is proven; that these are all of the unit's is the word of whoever made
/// the bundle.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    unit: UnitName,
    /// This run alone, by its id; `lineseal audit show` tells it.
    #[arg(long)]
    run: Option<RunId>,
    /// Hand over the words that people typed, too.
    #[arg(long)]
    with_texts: bool,
    /// A zip archive, if it ends so, else a folder. Neither may be there already.
    #[arg(long, value_name = "FILE.zip|DIR")]
    out: PathBuf,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let done = bootstrap::block_on(perform(global, config, options)).map_err(|failure| match failure.code {
        // The log is not what was written: what was to be proven is refuted.
        ReasonCode::STORE_CORRUPT => Failure { code: ReasonCode::LOG_BROKEN, ..failure },
        _ => failure,
    });
    ended(global, Some(config), done)
}

async fn perform(global: &Global, config: &Config, options: &Options) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let unit = options.unit.find(&*records.history).await?;
    let wanted = Wanted { unit, run: options.run, with_texts: options.with_texts };
    let made_by = concat!("lineseal ", env!("CARGO_PKG_VERSION"));
    let proven = prove(&records.log, &records.custody, &*records.people, &wanted, made_by).await?;
    let Proven { files, events, head, uncopied } = &proven;
    bootstrap::write_bundle(&options.out, files)?;
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    uncopied.iter().for_each(|failure| output::failure(failure, &language));
    let file = options.out.display().to_string();
    let (texts, events, count) = (output::texts(&language)?, *events, files.len());
    say(&fl!(texts.loader(), "cli-proven", file = file, events = events, size = head.size, files = count));
    if global.json {
        let told = json!({
            "file": options.out, "unit": wanted.unit, "events": events, "size": head.size,
            "root": hex::encode(head.root),
        });
        // The bundle is there, whoever reads this.
        output::json(&told).unwrap_or_default();
    }
    Ok(ExitCode::SUCCESS)
}
