//! `lineseal audit backup`: a copy of the log while the station works, verified.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::{Global, checkpoint, exit, places};
use crate::audit::LineEvent;
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// The copy: a file that does not exist yet, best on another disk.
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, options, &language)), &language)
}

async fn perform(global: &Global, config: &Config, options: &Options, language: &Language) -> Result<(), Failure> {
    let data_dir = places(global).data_dir;
    let (head, file) = bootstrap::back_up(config, &data_dir, &options.to)?;
    say(&format!("copied {} events; verifying the copy", head.size));
    // A copy that does not verify is kept: it shows what the log was like.
    let derived = match bootstrap::verify_copy(&options.to, &data_dir) {
        // Nobody can say what its tables should hold, but the copy is one, and its hashes can be asked.
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => {
            bootstrap::verify_hashes_of_copy(&options.to, &data_dir)?;
            Err(failure)
        }
        verified => verified,
    };
    if derived.as_ref().is_err_and(|failure| failure.code != ReasonCode::LOG_ARCHIVED) {
        return derived;
    }
    let Records { log, custody, .. } = bootstrap::open_records(config, &data_dir).await?;
    let log = match &global.operator {
        Some(name) => log.named(name).await?,
        None => log,
    };
    log.line(LineEvent::BackedUp { size: head.size, root: Sha256::from_bytes(head.root), file }).await?;
    checkpoint(&log, &custody, language).await;
    let path = options.to.display();
    if global.json {
        let told = json!({ "file": path.to_string(), "sha256": file, "size": head.size, "root": hex::encode(head.root),
            "derived": derived.is_ok() });
        let _ = output::json(&told);
    } else {
        data(&format!("{file}  {path}"));
    }
    derived
}
