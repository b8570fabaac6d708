//! `lineseal practice`: the practice line, in the window or as text.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::Global;
use super::exit::Worst;
use super::output::{self, data, say};
use crate::bootstrap;
use crate::config::Scanner;
use crate::domain::profile::ConnectMode;
use crate::domain::{Failure, ReasonCode};
use crate::gui;
use crate::gui::practice_panel::{PracticeBridge, PracticeView};
use crate::practice::fault::Fault;
use crate::practice::line::{PracticeError, PracticeLine, PracticePlan};
use crate::practice::panel;
use crate::practice::show::{self, Act, Audience, ShowError};
use crate::runner::view::Command;
use crate::runner::{self, StationHandle};
use crate::texts::Language;

#[derive(clap::Args)]
pub struct Options {
    /// As text, without a window.
    #[arg(long)]
    headless: bool,
    /// How many good boards are provisioned (default 10; 0 with --fault).
    #[arg(long, value_name = "N")]
    units: Option<u64>,
    /// A board, or the line around it, is bad in this way; may be given several times. Without it, the
    /// text mode plays them all after the good boards.
    #[arg(long, value_name = "NAME", value_enum)]
    fault: Vec<Fault>,
    /// The jig's lanes.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    lanes: u8,
    /// The Python environment that holds MiniStack, the local stand-in for AWS.
    #[arg(long, value_name = "DIR", env = "LINESEAL_PRACTICE_VENV", default_value = "target/practice-venv")]
    venv: PathBuf,
}

const GOOD_UNITS: u64 = 10;

pub fn main(global: &Global, options: Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), None);
    let result =
        if options.headless { headless(global, &options, &language) } else { window(global, &options, &language) };
    match result {
        Ok(code) => code,
        Err(PracticeFailure::Station(failure)) => {
            output::failure(&failure, &language);
            ExitCode::from(super::exit::of_failure(&failure))
        }
        Err(error) => {
            say(&format!("the practice line: {error}"));
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                say(&format!("  because: {error}"));
                cause = error.source();
            }
            ExitCode::from(3)
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PracticeFailure {
    #[error(transparent)]
    Station(#[from] Failure),
    #[error(transparent)]
    Practice(#[from] PracticeError),
    #[error(transparent)]
    Show(#[from] ShowError),
    #[error("the window can't be shown: {0} (--headless needs none)")]
    Window(#[from] gui::Error),
}

fn headless(global: &Global, options: &Options, language: &Language) -> Result<ExitCode, PracticeFailure> {
    let runtime = bootstrap::runtime()?;
    let outcome = runtime.block_on(async {
        let (mut line, station) = start(global, options).await?;
        say(&format!("PRACTICE line: labels in {}, the log in {}", line.labels().display(), line.data_dir().display()));
        let mut worst = Worst::default();
        let StationHandle { snapshots, commands, finished, task } = station.handle;
        let acts = {
            let mut unit = |record: &crate::provisioning::UnitRecord| {
                // The show goes on without its reader: nothing of it is real.
                let _ = output::unit(record, global.json, language);
                worst.note(record);
            };
            let mut audience = Audience {
                snapshots,
                commands: commands.clone(),
                finished,
                unit: &mut unit,
                note: &mut |text| say(text),
            };
            let (units, faults) = program(options);
            tokio::select! {
                acts = show::play(&mut line, &mut audience, units, &faults) => Some(acts?),
                () = bootstrap::stop_signal() => None,
            }
        };
        let _ = commands.send(Command::Stop).await;
        task.await.map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, error.to_string()))??;
        drop(station.lock);
        Ok::<_, PracticeFailure>((acts, worst))
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    let (acts, worst) = outcome?;
    Ok(match acts {
        Some(acts) if options.fault.is_empty() => verdict_of_the_show(&acts, global.json),
        Some(_) => worst.code(),
        None => ExitCode::from(3),
    })
}

/// Units and faults that were asked for; without either, ten good boards and then everything bad.
fn program(options: &Options) -> (u64, Vec<Fault>) {
    match (options.units, options.fault.as_slice()) {
        (units, []) if units.is_none() => (GOOD_UNITS, Fault::ALL.to_vec()),
        (units, faults) => (units.unwrap_or(0), faults.to_vec()),
    }
}

/// The whole show has a result of its own: did the station make of each board what it had to?
fn verdict_of_the_show(acts: &[Act], as_json: bool) -> ExitCode {
    let table = |line: &str| if as_json { say(line) } else { data(line) };
    let passed = acts.iter().filter(|act| act.fault.is_none() && act.as_expected()).count();
    table(&format!("{passed} boards PASS"));
    for act in acts.iter().filter(|act| act.fault.is_some() || !act.as_expected()) {
        let (verdict, code) = act.expected;
        let got = act.verdict.map_or("-", crate::domain::Verdict::as_str);
        let name = act.fault.map_or("good board", Fault::name);
        let mut line = format!("{name:<20} {got:<8} {:<6}", act.code.as_deref().unwrap_or("-"));
        if !act.as_expected() {
            line.push_str(&format!("  expected {} {}", verdict.as_str(), code.map_or("-", ReasonCode::as_str)));
        }
        table(line.trim_end());
    }
    if acts.iter().all(Act::as_expected) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn window(global: &Global, options: &Options, language: &Language) -> Result<ExitCode, PracticeFailure> {
    let runtime = bootstrap::runtime()?;
    let (line, station) = runtime.block_on(start(global, options))?;
    let (views, view_receiver) = watch::channel(PracticeView::default());
    let (commands, command_receiver) = mpsc::channel(16);
    let StationHandle { snapshots, commands: to_station, finished, task } = station.handle;
    drop(finished);
    let faults = options.fault.clone();
    let units = options.units.unwrap_or(GOOD_UNITS);
    let to_line = commands.clone();
    let kept = runtime.block_on(async { bootstrap::kept_window(line.config(), &line.data_dir()) });
    // Who says what to show has seen it before.
    let tour = options.units.is_none() && options.fault.is_empty() && panel::tour_is_due(&line);
    let operated = panel::operate(line, units, tour, snapshots.clone(), views, command_receiver);
    let practice = runtime.spawn(async move {
        if let Err(error) = operated.await {
            tracing::error!(%error, "the practice line's boards can't be handled any more");
        }
    });
    let lanes = options.lanes;
    runtime.spawn(async move { panel::ask_for_faults(&to_line, &faults, lanes).await });
    let bridge = gui::Bridge::new(runtime.handle().clone(), snapshots, to_station.clone());
    let shown = gui::open(
        bridge,
        gui::WindowOptions {
            language: language.clone(),
            size: None,
            theme: kept.theme,
            chosen: Some(kept.chosen),
            scanner: Scanner::default(),
            practice: Some(PracticeBridge { views: view_receiver, commands, tour }),
        },
    );
    let ended = runtime.block_on(async {
        let _ = to_station.send(Command::Stop).await;
        task.await
    });
    practice.abort();
    drop(station.lock);
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    shown?;
    ended.map_err(|error| Failure::new(ReasonCode::STATION_STOPPED, error.to_string()))??;
    Ok(ExitCode::SUCCESS)
}

async fn start(global: &Global, options: &Options) -> Result<(PracticeLine, bootstrap::Station), PracticeFailure> {
    let dir = global.data_dir.clone().unwrap_or_else(bootstrap::practice_dir);
    // What is written into its configuration is read from anywhere.
    let dir = std::path::absolute(dir).map_err(PracticeError::Files)?;
    let maker = std::env::current_exe().map_err(PracticeError::Files)?;
    let connect = Some(ConnectMode::Required);
    let plan = PracticePlan { dir, venv: options.venv.clone(), maker, lanes: options.lanes, connect };
    let line = PracticeLine::start(plan, bootstrap::entropy()).await?;
    let config = Arc::new(line.config().clone());
    let operator = global.operator.as_deref().unwrap_or("practice");
    let (equipment, lock) =
        bootstrap::equip_with_credentials(&config, &line.data_dir(), Some(operator), line.credentials()).await?;
    Ok((line, bootstrap::Station { handle: runner::start(config, equipment), lock }))
}
