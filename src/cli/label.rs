//! `lineseal label`: what a unit's label looks like, and another copy of it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::audit::unit::UnitName;
use super::output::{self, data};
use super::sign_in::Acting;
use super::{Global, exit, places, resume};
use crate::bootstrap::{self, Reading};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, RulingReason};
use crate::ports::LabelPictures;
use crate::runner::Errand;
use crate::runner::labels::{self, Desk};

#[derive(clap::Subcommand)]
pub enum Command {
    /// The label as it is printed: ZPL on stdout, or drawn into a file. Nothing is printed.
    Show(ShowOptions),
    /// Voids the unit's label and prints another copy.
    Reprint(ReprintOptions),
}

#[derive(clap::Args)]
pub struct ShowOptions {
    #[command(flatten)]
    unit: UnitName,
    /// A picture of it.
    #[arg(long, value_name = "FILE", conflicts_with = "pdf")]
    png: Option<PathBuf>,
    /// A page of its size.
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
}

#[derive(clap::Args)]
pub struct ReprintOptions {
    #[command(flatten)]
    unit: UnitName,
    /// Why the label that is there is no good.
    #[arg(long, value_name = "TEXT")]
    reason: RulingReason,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: Config, command: Command) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let done = bootstrap::block_on(async {
        match command {
            Command::Show(options) => show(global, &config, &options).await,
            Command::Reprint(options) => {
                let unit = options.unit.find(&*reading(global, &config)?.history).await?;
                let errand = Errand::Reprint(unit, options.reason);
                resume::perform(Arc::new(config), global, &options.acting, errand, &language).await
            }
        }
    });
    exit::ended(done, &language)
}

fn reading(global: &Global, config: &Config) -> Result<Reading, Failure> {
    let data_dir = places(global).data_dir;
    let none = || Failure::new(ReasonCode::NOT_IN_LOG, format!("there is no log in {}", data_dir.display()));
    bootstrap::open_reading(config, &data_dir)?.ok_or_else(none)
}

async fn show(global: &Global, config: &Config, options: &ShowOptions) -> Result<ExitCode, Failure> {
    let Reading { history, people, .. } = reading(global, config)?;
    let unit = options.unit.find(&*history).await?;
    let run = labels::run_with_label(&*history, &unit).await?;
    let profile = config.profiles.iter().find(|profile| profile.name == run.profile).ok_or_else(|| {
        let cause = format!("run {} was made with profile {:?}, which is not configured", run.id, run.profile);
        Failure::new(ReasonCode::CONFIG_INVALID, cause)
    })?;
    let desk = Desk { people: &*people, practice: config.station.practice, air_gapped: config.station.air_gapped };
    let zpl = desk.filled(profile, &run).await?;
    let pictures: Arc<dyn LabelPictures> = bootstrap::pictures();
    match (&options.png, &options.pdf) {
        (Some(file), _) => write(file, &pictures.png(&zpl)?)?,
        (None, Some(file)) => write(file, &pictures.pdf(&zpl)?)?,
        (None, None) => data(zpl.trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let refused = |error| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{}: {error}", file.display()));
    std::fs::write(file, bytes).map_err(refused)
}
