//! `lineseal audit checkpoint`: what the log was at a size, signed; for keeping elsewhere.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::sign_in::Acting;
use super::super::{Global, checkpoint, places};
use super::ended;
use crate::audit::note::SignedCheckpoint;
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Role};
use crate::ports::StoredCheckpoint;
use crate::runner;

#[derive(clap::Args)]
pub struct Options {
    /// Sign the log as it is now, first.
    #[arg(long)]
    make: bool,
    /// Into this file instead of standard output; it may not be there already.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Add this key's signature (see `audit key new`), once the log was compared. Takes QA or an
    /// administrator (--as).
    #[arg(long, value_name = "KEYFILE")]
    cosign_with: Option<PathBuf>,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    ended(global, Some(config), bootstrap::block_on(perform(global, config, options)))
}

async fn perform(global: &Global, config: &Config, options: &Options) -> Result<ExitCode, Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let (log, custody) = (&records.log, &records.custody);
    let by = match &options.cosign_with {
        Some(_) => Some(options.acting.sign_in(global, &records, &[Role::Qa, Role::Administrator]).await?),
        None => None,
    };
    if options.make {
        for failure in runner::checkpoint_and_copy(log, custody).await? {
            output::failure(&failure, &language);
        }
    }
    let stored = match (&options.cosign_with, by) {
        (Some(file), Some(by)) => {
            let key = bootstrap::cosigner(file)?;
            let (cosigned, failed) = runner::cosign(&log.by(&by), custody, &key, None).await?;
            failed.iter().for_each(|failure| output::failure(failure, &language));
            // The key may have been made known just now: an event of its own.
            checkpoint(log, custody, &language).await;
            cosigned
        }
        _ => {
            let none = || Failure::new(ReasonCode::NOT_NOW, "there is no checkpoint yet: --make signs one");
            records.history.latest_checkpoint().await?.ok_or_else(none)?
        }
    };
    tell(&stored, options, global.json)?;
    Ok(ExitCode::SUCCESS)
}

fn tell(stored: &StoredCheckpoint, options: &Options, as_json: bool) -> Result<(), Failure> {
    if let Some(path) = &options.out {
        bootstrap::write_text(path, &stored.note)?;
        say(&format!("{}: the log's first {} events", path.display(), stored.size));
    }
    if as_json {
        let broken = |error| Failure::new(ReasonCode::LOG_BROKEN, format!("checkpoint {}: {error}", stored.size));
        let signed: SignedCheckpoint = stored.note.parse().map_err(broken)?;
        let (origin, head) = (signed.checkpoint().origin(), signed.checkpoint().head());
        let told = json!({ "origin": origin, "size": head.size, "root": hex::encode(head.root), "note": stored.note });
        output::json(&told).unwrap_or_default();
    } else if options.out.is_none() {
        data(stored.note.strip_suffix('\n').unwrap_or(&stored.note));
    }
    Ok(())
}
