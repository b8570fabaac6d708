//! `lineseal run`: the station without a window.

use std::process::ExitCode;
use std::sync::Arc;

use super::exit::Worst;
use super::output::{self, say};
use super::{Global, places};
use crate::bootstrap;
use crate::config::Config;
use crate::domain::Failure;
use crate::runner::StationHandle;
use crate::runner::view::Command;
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// End after this many finished units.
    #[arg(long, value_name = "N")]
    units: Option<u64>,
}

pub fn main(global: &Global, config: Config, options: Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let result = bootstrap::block_on(async {
        let config = Arc::new(config);
        let places = places(global);
        let station = bootstrap::start_station(config, &places.data_dir, global.operator.as_deref()).await?;
        say("the station is ready: plug in a board (Ctrl-C ends)");
        let worst = follow(station.handle, options.units, global.json, &language).await?;
        drop(station.lock);
        Ok(worst)
    });
    match result {
        Ok(worst) => worst.code(),
        Err(failure) => {
            output::failure(&failure, &language);
            ExitCode::from(super::exit::of_failure(&failure))
        }
    }
}

/// Prints finished units until there were enough, the station ends, or a person ends it.
pub async fn follow(
    mut handle: StationHandle,
    units: Option<u64>,
    json: bool,
    language: &Language,
) -> Result<Worst, Failure> {
    let mut worst = Worst::default();
    let mut count = 0;
    let mut stop = bootstrap::stop_signal();
    let mut asked = std::collections::BTreeSet::new();
    loop {
        tokio::select! {
            record = handle.finished.recv() => match record {
                Some(record) => {
                    output::unit(&record, json, language);
                    worst.note(&record);
                    count += 1;
                    if units.is_some_and(|units| count >= units) {
                        let _ = handle.commands.send(Command::Stop).await;
                    }
                }
                None => break,
            },
            () = &mut stop => {
                let _ = handle.commands.send(Command::Stop).await;
                stop = Box::pin(std::future::pending());
            }
            changed = handle.snapshots.changed() => {
                if changed.is_err() {
                    continue;
                }
                let questions = handle.snapshots.borrow_and_update().questions.clone();
                for question in questions {
                    if asked.insert(question.run) {
                        let serial = question.serial.map(|serial| serial.to_string()).unwrap_or_default();
                        say(&format!(
                            "the label of {serial} may or may not have come out; look, stop the station, then: \
                             lineseal resume --label-printed {run} | --print-label {run}",
                            run = question.run
                        ));
                    }
                }
            }
        }
    }
    match handle.task.await {
        Ok(result) => result.map(|()| worst),
        Err(error) => Err(Failure::new(crate::domain::ReasonCode::STATION_STOPPED, error.to_string())),
    }
}
