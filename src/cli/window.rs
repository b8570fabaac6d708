//! `lineseal`: the station window.

use std::process::ExitCode;
use std::sync::Arc;

use super::output;
use super::{Global, places};
use crate::bootstrap;
use crate::config::Config;
use crate::gui;
use crate::runner;
use crate::runner::view::Command;

pub fn main(global: &Global, config: Config) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let failed = |failure: &crate::domain::Failure| {
        output::failure(failure, &language);
        ExitCode::from(super::exit::of_failure(failure))
    };
    let runtime = match bootstrap::runtime() {
        Ok(runtime) => runtime,
        Err(failure) => return failed(&failure),
    };
    let config = Arc::new(config);
    let places = places(global);
    let scanner = config.scanner.clone();
    let kept = runtime.block_on(async { bootstrap::kept_window(&config, &places.data_dir) });
    let equipped = runtime.block_on(bootstrap::equip(&config, &places.data_dir, global.operator.as_deref()));
    let (mut equipment, lock) = match equipped {
        Ok(equipped) => equipped,
        Err(failure) => return failed(&failure),
    };
    equipment.clock_is_right = global.clock_is_right;
    let station = {
        let _runtime = runtime.enter();
        bootstrap::start_station(config, (equipment, lock))
    };
    let runner::StationHandle { snapshots, commands, finished, task } = station.handle;
    drop(finished);
    let bridge = gui::Bridge::new(runtime.handle().clone(), snapshots, commands.clone());
    let bootstrap::KeptWindow { theme, chosen } = kept;
    let shown = gui::open(
        bridge,
        gui::WindowOptions {
            language: language.clone(),
            size: None,
            theme,
            chosen: Some(chosen),
            scanner,
            practice: None,
        },
    );
    let ended = runtime.block_on(async {
        let _ = commands.send(Command::Stop).await;
        task.await
    });
    drop(station.lock);
    match (shown, ended) {
        (Ok(()), Ok(Ok(()))) => ExitCode::SUCCESS,
        (_, Ok(Err(failure))) => failed(&failure),
        (Err(error), _) => {
            output::say(&format!("the window can't be shown: {error}"));
            ExitCode::from(3)
        }
        (_, Err(error)) => {
            output::say(&format!("the station ended by itself: {error}"));
            ExitCode::from(3)
        }
    }
}
