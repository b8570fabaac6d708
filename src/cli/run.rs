//! `lineseal run`: the station without a window.

use std::io::{BufRead as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use super::exit::{self, Worst};
use super::output::{self, say};
use super::sign_in::Acting;
use super::{Global, places};
use secrecy::zeroize::Zeroizing;
use tokio::sync::mpsc;

use crate::bootstrap;
use crate::config::{Config, Scanner};
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::runner::view::{Command, Health, LaneState, Snapshot};
use crate::runner::{Equipment, StationHandle, people, rollback};
use crate::texts::{Language, Texts, fl};

#[derive(clap::Args)]
pub struct Options {
    /// End after this many finished units.
    #[arg(long, value_name = "N")]
    units: Option<u64>,
    #[command(flatten)]
    acting: Acting,
}

pub fn main(global: &Global, config: Config, options: Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let result = bootstrap::block_on(async {
        let places = places(global);
        super::remark_on_copies(&config, &places.data_dir, &output::texts(&language)?);
        let scanner = config.scanner.clone();
        let config = Arc::new(config);
        // Before the station begins: whoever stops it then is answered in order, too.
        let mut stop = bootstrap::stop_signal();
        let badge_prefix = config.sign_in.badge_prefix.clone();
        let (mut equipment, lock) = tokio::select! {
            equipped = bootstrap::equip(&config, &places.data_dir, None) => equipped?,
            () = &mut stop => return Ok(Followed::Worked(Worst::default())),
        };
        equipment.clock_is_right = global.clock_is_right;
        equipment.operator = options.acting.named(global, &*equipment.people, config.sign_in.required).await?;
        remark_on_sign_in(&config, &equipment, &output::texts(&language)?).await;
        let station = bootstrap::start_station(config, (equipment, lock));
        scan_from_stdin(station.handle.commands.clone(), scanner, badge_prefix);
        let followed = follow(station.handle, stop, options.units, global.json, &language).await?;
        drop(station.lock);
        Ok(followed)
    });
    let code = result.map(|followed| match followed {
        Followed::Worked(worst) => worst.code(),
        Followed::Refused => ExitCode::from(exit::USAGE),
    });
    exit::ended(code, &language)
}

/// Once the log knows people, somebody should say whether boards are to wait for one of them.
async fn remark_on_sign_in(config: &Config, equipment: &Equipment, texts: &Texts) {
    // Whether the log can be asked at all is the station's to say.
    let nobody = config.sign_in.undecided && equipment.operator.name.is_none();
    if nobody && people::are_known(&*equipment.people).await.unwrap_or(false) {
        say(&fl!(texts.loader(), "cli-nobody-operates"));
    }
}

/// A person's wish that it ends.
type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a station without a window came to its end.
enum Followed {
    Worked(Worst),
    /// The start was refused, for a reason that has been said and that does not pass by itself.
    Refused,
}

/// Prints finished units until there were enough, the station ends, or a person ends it.
async fn follow(
    mut handle: StationHandle,
    mut stop: Stop,
    units: Option<u64>,
    json: bool,
    language: &Language,
) -> Result<Followed, Failure> {
    let texts = output::texts(language)?;
    let mut worst = Worst::default();
    let (mut begun, mut refused) = (false, false);
    let mut count = 0;
    let mut asked = std::collections::BTreeSet::new();
    let mut notice = None;
    let mut unread = None;
    let mut log = Health::Unknown;
    let mut refusals = Vec::new();
    let mut elsewhere = None;
    loop {
        tokio::select! {
            record = handle.finished.recv() => match record {
                Some(record) => {
                    if let Err(error) = output::unit(&record, json, language) {
                        // The log has the unit; whoever reads this output would miss it, and the next.
                        unread = Some(error);
                        let _ = handle.commands.send(Command::Stop).await;
                    }
                    worst.note(&record);
                    // What a crash left open is closed and told, but it is no unit of this shift.
                    let cut_off = record.reason.as_deref() == Some(ReasonCode::STATION_STOPPED.as_str());
                    // Nor is one that was HELD and is finished now: it was counted.
                    let finished = record.slip.is_some() && record.verdict != Verdict::Held;
                    count += u64::from(!cut_off && !finished);
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
                let (questions, said, health, cloud, now) = {
                    let snapshot = handle.snapshots.borrow_and_update();
                    let said = (snapshot.questions.clone(), snapshot.notice.clone(), snapshot.log.clone());
                    (said.0, said.1, said.2, snapshot.cloud.clone(), refusals_of(&snapshot))
                };
                // What the log is the reason for was told with it.
                for refused in now.iter().filter(|refused| !refusals.contains(*refused)) {
                    let (place, failure) = refused;
                    if health != Health::Bad(failure.clone()) {
                        say(&format!("{place}: {}", output::sentence(failure, language)));
                    }
                }
                refusals = now;
                let another = match cloud {
                    Health::Bad(failure) => Some(failure).filter(|it| it.code == ReasonCode::CLOUD_ELSEWHERE),
                    _ => None,
                };
                if let Some(failure) = another.as_ref().filter(|_| another != elsewhere) {
                    output::failure(failure, language);
                }
                elsewhere = another;
                if health != log {
                    match (&log, &health) {
                        (_, Health::Bad(failure)) => output::failure(failure, language),
                        (_, Health::Good) if !begun => say(&fl!(texts.loader(), "cli-ready")),
                        (Health::Bad(_), Health::Good) => say(&fl!(texts.loader(), "cli-log-returned")),
                        _ => {}
                    }
                    begun |= health == Health::Good;
                    // Nobody stands here who could rule while it waits.
                    if let (false, false, Health::Bad(failure)) = (begun, refused, &health)
                        && rollback::blocks(failure)
                    {
                        refused = true;
                        let _ = handle.commands.send(Command::Stop).await;
                    }
                    log = health;
                }
                if said != notice {
                    notice = said;
                    if let Some(failure) = &notice {
                        output::failure(failure, language);
                    }
                }
                for question in questions {
                    if asked.insert(question.run) {
                        let serial = question.serial.map(|serial| serial.to_string()).unwrap_or_default();
                        let run = question.run.to_string();
                        say(&fl!(texts.loader(), "cli-label-unclear", serial = serial, run = run));
                    }
                }
            }
        }
    }
    let ended = handle.task.await;
    if let Some(error) = unread {
        let cause = format!("standard output takes no more records: {error}");
        return Err(Failure::new(ReasonCode::STATION_STOPPED, cause));
    }
    match ended {
        Ok(Ok(())) if refused => Ok(Followed::Refused),
        Ok(result) => result.map(|()| Followed::Worked(worst)),
        Err(error) => Err(Failure::new(ReasonCode::STATION_STOPPED, error.to_string())),
    }
}

/// Why boards that are plugged in, in these lanes and ports, are not begun with.
fn refusals_of(snapshot: &Snapshot) -> Vec<(String, Failure)> {
    let lanes = snapshot.lanes.iter().filter_map(|lane| match &lane.state {
        LaneState::Refused { failure } => Some((lane.name.clone(), failure.clone())),
        _ => None,
    });
    lanes.chain(snapshot.refused.iter().map(|(device, why)| (device.path.to_string(), why.clone()))).collect()
}

/// Bytes: more than any barcode holds.
const LONGEST_SCAN: u64 = 4096;

/// A barcode scanner is a keyboard: each line of standard input is a scan.
/// With what the scanner types around a code, or without: nothing else is read from there.
fn scan_from_stdin(commands: mpsc::Sender<Command>, scanner: Scanner, badge_prefix: String) {
    let read = move || {
        // It may have been a badge.
        let mut line = Zeroizing::new(Vec::new());
        // What a scanner sends need not be UTF-8; only the end of the input ends the scanning.
        while std::io::stdin().lock().take(LONGEST_SCAN).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = Zeroizing::new(String::from_utf8_lossy(&line).trim().to_owned());
            let text = scanner.code(&text).unwrap_or(&text);
            if !text.is_empty() && commands.blocking_send(Command::scanned(text, &badge_prefix)).is_err() {
                return;
            }
            line.clear();
        }
    };
    // The thread waits in a read until the program ends; without it there is no scanner, and that is all.
    if let Err(error) = std::thread::Builder::new().name("scanner".into()).spawn(read) {
        tracing::warn!(%error, "standard input is not read");
    }
}
