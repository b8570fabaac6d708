//! `lineseal resume`: what waits for the cloud, and what waits for a person's word about a label.

use std::process::ExitCode;
use std::sync::Arc;

use super::exit::{self, Worst};
use super::output::{self, say};
use super::sign_in::Acting;
use super::{Global, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::{Failure, ReasonCode, RunId, Slip};
use crate::runner::take_back::TookBack;
use crate::runner::{self, Errand, Errands};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// Print the label of the unit with this slip (`12`; of an air-gapped station `12@STATION`), once it is PASS.
    #[arg(long, value_name = "SLIP", conflicts_with_all = ["label_printed", "print_label"])]
    slip: Option<Slip>,
    /// The label of this run is there: nothing more is printed.
    #[arg(long, value_name = "RUN", conflicts_with = "print_label")]
    label_printed: Option<RunId>,
    /// The label of this run is not there: print it again.
    #[arg(long, value_name = "RUN")]
    print_label: Option<RunId>,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: Config, options: Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let result = bootstrap::block_on(async {
        let acting = options.acting.clone();
        let errand = match options {
            Options { slip: Some(slip), .. } => Errand::Slip(slip),
            Options { label_printed: Some(run), .. } => Errand::LabelPrinted(run),
            Options { print_label: Some(run), .. } => Errand::PrintLabel(run),
            _ => Errand::Held,
        };
        perform(Arc::new(config), global, &acting, errand, &language).await
    });
    exit::ended(result, &language)
}

/// Does the errand while the station is stopped, and tells of each unit that it touched.
pub async fn perform(
    config: Arc<Config>,
    global: &Global,
    acting: &Acting,
    errand: Errand,
    language: &Language,
) -> Result<ExitCode, Failure> {
    let (mut equipment, lock) = bootstrap::equip(&config, &places(global).data_dir, None).await?;
    equipment.operator = acting.named(global, &*equipment.people, config.sign_in.required).await?;
    let Errands { records, left, taken_back, waiting } = runner::run_errand(config, equipment, errand).await?;
    drop(lock);
    let mut worst = Worst::default();
    for failure in &left {
        output::failure(failure, language);
    }
    let TookBack { done, left: still_active } = taken_back;
    if records.is_empty() && left.is_empty() && done.is_empty() && still_active.is_empty() {
        say("nothing waits");
    }
    for (serial, target) in &done {
        say(&format!("{serial}: its certificate is not ACTIVE in {target} any more"));
    }
    for failure in &still_active {
        output::failure(failure, language);
    }
    for record in &records {
        output::unit(record, global.json, language).map_err(|error| {
            let cause = format!("standard output takes no more records: {error}");
            Failure::new(ReasonCode::STATION_STOPPED, cause)
        })?;
        worst.note(record);
    }
    if waiting > 0 {
        say(&format!("{waiting} more units wait for the same"));
    }
    match still_active.is_empty() {
        true => Ok(worst.code()),
        false => Ok(ExitCode::from(exit::NOTHING_DONE)),
    }
}
