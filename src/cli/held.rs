//! `lineseal export-held`, `lineseal import-held`: units of an air-gapped line on their way to the cloud.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::exit::{self, Worst};
use super::output::{self, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, places};
use crate::audit::bundle::{File, GivenKey};
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::runner::Errands;
use crate::runner::held::{self, Export};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct ExportOptions {
    /// The file to make; its name ends in .zip.
    #[arg(long, value_name = "FILE.zip")]
    out: PathBuf,
    /// Also what was in a file before.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    acting: Acting,
}

#[derive(clap::Args)]
pub struct ImportOptions {
    /// What `lineseal export-held` made.
    #[arg(value_name = "FILE.zip")]
    file: PathBuf,
    #[command(flatten)]
    acting: Acting,
}

const MADE_BY: &str = concat!("lineseal ", env!("CARGO_PKG_VERSION"));

pub fn export(global: &Global, config: &Config, options: &ExportOptions) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(export_all(global, config, options, &language)), &language)
}

async fn export_all(
    global: &Global,
    config: &Config,
    options: &ExportOptions,
    language: &Language,
) -> Result<(), Failure> {
    if !config.station.air_gapped {
        let cause = "this station has a cloud: `lineseal resume` finishes what waits";
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    }
    let path = &options.out;
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("zip")) || path.exists() {
        let cause = format!("{} does not end in .zip, or is there already", path.display());
        return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
    }
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let log = options.acting.operating(global, &records, config.sign_in.required).await?;
    let Records { people, custody, .. } = records;
    let Export { files, runs, seq, barred } = held::export(&log, &custody, &*people, options.again, MADE_BY).await?;
    for failure in &barred {
        output::failure(failure, language);
    }
    let Some(seq) = seq else {
        say("nothing waits that may leave");
        return Ok(());
    };
    bootstrap::write_bundle(path, &files)?;
    checkpoint(&log, &custody, language).await;
    let slips: Vec<String> = runs.iter().map(|run| run.slip.to_string()).collect();
    say(&format!("{} units in {} (event {seq}): slips {}", runs.len(), path.display(), slips.join(", ")));
    if global.json {
        let told = output::json(&json!({ "seq": seq, "runs": runs }));
        return told.map_err(|error| {
            Failure::new(ReasonCode::STATION_STOPPED, format!("standard output takes no more: {error}"))
        });
    }
    Ok(())
}

pub fn import(global: &Global, config: Config, options: &ImportOptions) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::ended(bootstrap::block_on(import_all(global, config, options, &language)), &language)
}

async fn import_all(
    global: &Global,
    config: Config,
    options: &ImportOptions,
    language: &Language,
) -> Result<ExitCode, Failure> {
    let keys = known_keys(&config)?;
    let (files, sha256) = files_of(&options.file)?;
    let delivery = held::read(&files, &keys)?;
    let config = Arc::new(config);
    let (mut equipment, lock) = bootstrap::equip(&config, &places(global).data_dir, None).await?;
    equipment.operator = options.acting.named(global, &*equipment.people, config.sign_in.required).await?;
    let Errands { records, left, .. } = held::import(config, equipment, delivery, sha256).await?;
    drop(lock);
    let mut worst = Worst::default();
    for record in &records {
        output::unit(record, global.json, language).map_err(|error| {
            Failure::new(ReasonCode::STATION_STOPPED, format!("standard output takes no more: {error}"))
        })?;
        worst.note(record);
    }
    for failure in &left {
        output::failure(failure, language);
    }
    Ok(if left.is_empty() { worst.code() } else { ExitCode::from(exit::NOTHING_DONE) })
}

/// As `audit key show` prints them at the air-gapped stations.
pub fn known_keys(config: &Config) -> Result<Vec<GivenKey>, Failure> {
    let parse = |key: &String| {
        key.parse::<GivenKey>().map_err(|error| {
            let cause = format!("\"air_gapped_keys\" in [log]: {key:?} is no verifier key: {error}");
            Failure::new(ReasonCode::CONFIG_INVALID, cause)
        })
    };
    config.log.air_gapped_keys.iter().map(parse).collect()
}

/// L-541 for what is no honest archive, O-615 for what can't be read. The hash is that of the very bytes.
fn files_of(path: &Path) -> Result<(Vec<File>, Sha256), Failure> {
    bootstrap::read_archive(path).map_err(|failure| match failure.code {
        ReasonCode::LOG_BROKEN => Failure { code: ReasonCode::HELD_FILE_BROKEN, ..failure },
        _ => failure,
    })
}
