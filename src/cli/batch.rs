//! `lineseal batch open|manifest|close|list|show`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;

use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, places};
use crate::audit::event::TAKE_IN_LISTS;
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{BatchName, Failure, ReasonCode};
use crate::ports::{Batch, BatchTally, ManifestTally};
use crate::runner::manifest::{BadEntry, Checked, Source};
use crate::runner::{self, LogWriter, Told, people};
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
        /// The vendor's list of the chips that were shipped for it, read as the profile's [manifest] says.
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        #[command(flatten)]
        acting: Acting,
    },
    /// Takes another list of the vendor's into a batch that is open.
    Manifest {
        name: BatchName,
        file: PathBuf,
        #[command(flatten)]
        acting: Acting,
    },
    /// Closes the open batch.
    Close {
        #[command(flatten)]
        acting: Acting,
    },
    /// All batches, newest first.
    List,
    /// One batch's figures; the open one's without a name.
    Show { name: Option<BatchName> },
}

pub fn main(global: &Global, config: &Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    super::exit::report(bootstrap::block_on(perform(global, config, command, &language)), &language)
}

async fn perform(global: &Global, config: &Config, command: Command, language: &Language) -> Result<(), Failure> {
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let log = in_whose_name(global, config, &command, &records).await?;
    let (custody, manifests) = (records.custody, records.manifests);
    match command {
        Command::Open { name, profile, planned, manifest, .. } => {
            let profile = match (profile, config.profiles.as_slice()) {
                (Some(profile), _) => profile,
                (None, [only]) => only.name.clone(),
                (None, _) => {
                    let cause = "there are several profiles: say which with --profile";
                    return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
                }
            };
            match manifest {
                None => runner::open_batch(&log, config, name.clone(), &profile, planned).await?,
                Some(file) => {
                    let (source, mut words) = (source(&file)?, Words::new(global.json));
                    let opened = runner::open_batch_with(
                        &log,
                        &*manifests,
                        config,
                        name.clone(),
                        &profile,
                        planned,
                        &source,
                        words.told(),
                    );
                    taken(&opened.await?, global.json);
                }
            }
            say(&format!("batch {name} is open for {planned} units of {profile}"));
            checkpoint(&log, &custody, language).await;
        }
        Command::Manifest { name, file, .. } => {
            let (source, mut words) = (source(&file)?, Words::new(global.json));
            let checked = runner::add_manifest(&log, &*manifests, config, &name, &source, words.told()).await?;
            taken(&checked, global.json);
            checkpoint(&log, &custody, language).await;
        }
        Command::Close { .. } => {
            let name = runner::close_batch(&log).await?;
            say(&format!("batch {name} is closed"));
            checkpoint(&log, &custody, language).await;
        }
        Command::List => {
            for batch in log.store.batches().await? {
                let tally = log.store.tally(&batch.name).await?;
                let manifest = log.store.manifest(&batch.name).await?;
                print(&batch, &tally, manifest.as_ref(), global.json);
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
            let manifest = log.store.manifest(&found.name).await?;
            print(found, &log.store.tally(&found.name).await?, manifest.as_ref(), global.json);
        }
    }
    Ok(())
}

/// A list says which chips the vendor shipped: whoever takes one in answers for it, once there are people.
async fn in_whose_name(
    global: &Global,
    config: &Config,
    command: &Command,
    records: &Records,
) -> Result<LogWriter, Failure> {
    let required = config.sign_in.required;
    match command {
        Command::Open { manifest: None, acting, .. } | Command::Close { acting } => {
            acting.operating(global, records, required).await
        }
        Command::Open { acting, .. } | Command::Manifest { acting, .. } => {
            if people::are_known(&*records.people).await? {
                let person = acting.sign_in(global, records, &TAKE_IN_LISTS).await?;
                return Ok(records.log.by(&person));
            }
            acting.operating(global, records, required).await
        }
        Command::List | Command::Show { .. } => Ok(records.log.clone()),
    }
}

/// The file, from its beginning each time.
fn source(path: &Path) -> Result<Source, Failure> {
    let unread =
        |error: std::io::Error| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{}: {error}", path.display()));
    let path = path.canonicalize().map_err(unread)?;
    if !path.is_file() {
        // What is read twice must be the same twice.
        return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{} is no file", path.display())));
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let open = move || Ok(Box::new(std::fs::File::open(&path)?) as Box<dyn std::io::Read + Send>);
    Ok(Source { name, open: Arc::new(open) })
}

/// Mistakes and progress, as they come.
struct Words {
    bad: Box<dyn FnMut(&BadEntry)>,
    done: Box<dyn FnMut(u64)>,
}

impl Words {
    fn new(as_json: bool) -> Self {
        let bad = move |bad: &BadEntry| {
            say(&bad.to_string());
            if as_json {
                output::json(&json!({ "line": bad.line, "wrong": bad.wrong })).unwrap_or_default();
            }
        };
        let mut told = 0;
        let done = move |done: u64| {
            // A terminal is no film.
            if done / 100_000 > told {
                told = done / 100_000;
                say(&format!("{done} entries"));
            }
        };
        Self { bad: Box::new(bad), done: Box::new(done) }
    }

    fn told(&mut self) -> Told<'_> {
        Told { bad: &mut *self.bad, done: &mut *self.done }
    }
}

fn taken(checked: &Checked, as_json: bool) {
    let new = checked.known.is_none();
    match checked.known {
        None => say(&format!("{} entries were taken in", checked.entries)),
        Some(seq) => say(&format!("the batch has this very file already (event {seq}); nothing has changed")),
    }
    if as_json {
        let told = json!({ "entries": checked.entries, "file": checked.file, "new": new, "signers": checked.signers });
        output::json(&told).unwrap_or_default();
    }
}

fn print(batch: &Batch, tally: &BatchTally, manifest: Option<&ManifestTally>, as_json: bool) {
    let state = if batch.closed.is_some() { "closed" } else { "open" };
    if as_json {
        let shown = output::json(&json!({
            "batch": batch.name, "profile": batch.profile, "product": batch.product, "planned": batch.planned,
            "opened": batch.opened, "closed": batch.closed, "passed": tally.passed, "failed": tally.failed,
            "errors": tally.errors, "held": tally.held, "first_passes": tally.first_passes,
            "first_attempts": tally.first_attempts,
            "manifest": manifest.map(|manifest| json!({
                "files": manifest.files, "entries": manifest.entries, "matched": manifest.matched,
                "consumed": manifest.consumed, "missing": manifest.missing(), "unknown": manifest.unknown,
            })),
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
    if let Some(manifest) = manifest {
        data(&format!(
            "    manifest: {} entries; matched {}, consumed {}, missing {}, unknown {}",
            manifest.entries,
            manifest.matched,
            manifest.consumed,
            manifest.missing(),
            manifest.unknown,
        ));
    }
}
