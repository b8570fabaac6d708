//! The practice line behind its controls in the window: feeds boards by itself until its share is
//! done, and does what the buttons say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::board::Behaviour;
use super::fault::Fault;
use super::line::{PracticeError, PracticeLine};
use super::setup::port_name;
use crate::domain::{LaneNumber, Verdict};
use crate::gui::practice_panel::{PracticeCommand, PracticePort, PracticeView};
use crate::runner::view::{LaneState, LaneView, Snapshot};

/// How long a verdict is left to be looked at before the next board is fed.
const LOOK: Duration = Duration::from_secs(3);
/// How long a jig stays empty between two boards.
const PAUSE: Duration = Duration::from_millis(900);

/// Marks in the practice line's folder that the guided tour has been taken.
const TOUR: &str = "tour-taken";

/// Has nobody taken the guided tour of this practice line yet?
pub fn tour_is_due(line: &PracticeLine) -> bool {
    !line.dir().join(TOUR).exists()
}

/// Runs until the window is gone. With `tour`, the newcomer's hands feed the line until it is over.
pub async fn operate(
    mut line: PracticeLine,
    units: u64,
    tour: bool,
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    views: watch::Sender<PracticeView>,
    mut commands: mpsc::Receiver<PracticeCommand>,
) -> Result<(), PracticeError> {
    let mut feeder = Feeder { left: 0, due: BTreeMap::new() };
    let mut share = Some(units);
    if !tour && let Some(units) = share.take() {
        feeder.begin(units, line.lanes());
    }
    let mut taken_out = TakenOut::new();
    loop {
        views.send_replace(view(&line, &taken_out).await);
        let next = feeder.next();
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => {
                    // Not a second time, however often it is taken.
                    if command == PracticeCommand::TourEnded && let Some(units) = share.take() {
                        feeder.begin(units, line.lanes().filter(|lane| line.plugged(*lane).is_none()));
                    }
                    let held = held(&line, &snapshots.borrow().clone());
                    let in_hand = obey(&mut line, command, held, &mut taken_out).await?;
                    // Whoever takes a lane in hand keeps it.
                    feeder.due.retain(|lane, _| !in_hand.contains(lane));
                }
                None => return Ok(()),
            },
            changed = snapshots.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let snapshot = snapshots.borrow_and_update().clone();
                feeder.look(&line, &snapshot);
            }
            () = sleep_until(next.map(|(_, at)| at)) => {
                if let Some((lane, _)) = next {
                    feeder.act(&mut line, lane).await?;
                }
            }
        }
    }
}

/// Asks for the faults named on the command line: lanes from the last one down, so that good boards
/// are seen beside them.
pub async fn ask_for_faults(commands: &mpsc::Sender<PracticeCommand>, faults: &[Fault], lanes: u8) {
    let ports = (1..=lanes).rev().filter_map(|number| LaneNumber::try_from(number).ok()).map(port_name);
    let mut ports = ports.cycle();
    for fault in faults {
        let command = match fault {
            Fault::CloudDown => PracticeCommand::Cloud { up: false },
            Fault::PrinterDown => PracticeCommand::Printer { up: false },
            fault => {
                let Some(port) = ports.next() else { return };
                PracticeCommand::Fault { port, fault: Some(fault.name().to_owned()) }
            }
        };
        if commands.send(command).await.is_err() {
            return;
        }
    }
}

/// Which lane gets its next board, or loses its old one, and when.
struct Feeder {
    left: u64,
    due: BTreeMap<LaneNumber, Instant>,
}

impl Feeder {
    /// One lane after the other gets its first board.
    fn begin(&mut self, units: u64, lanes: impl Iterator<Item = LaneNumber>) {
        self.left = units;
        let soon = Instant::now() + PAUSE;
        self.due.extend(lanes.enumerate().map(|(index, lane)| (lane, soon + PAUSE * index as u32)));
    }

    fn next(&self) -> Option<(LaneNumber, Instant)> {
        self.due.iter().map(|(lane, at)| (*lane, *at)).min_by_key(|(_, at)| *at)
    }

    /// A board that passed is taken out after a while; any other verdict waits for a person.
    fn look(&mut self, line: &PracticeLine, snapshot: &Snapshot) {
        for view in &snapshot.lanes {
            let passed = matches!(&view.state, LaneState::Finished { verdict: Verdict::Pass, present: true, serial, .. }
                if line.plugged(view.number).map(|(plugged, _)| plugged) == serial.as_ref().map(|serial| serial.as_str()));
            if passed && self.left > 0 {
                self.due.entry(view.number).or_insert_with(|| Instant::now() + LOOK);
            }
        }
    }

    async fn act(&mut self, line: &mut PracticeLine, lane: LaneNumber) -> Result<(), PracticeError> {
        self.due.remove(&lane);
        if line.unplug(lane).is_some() {
            self.due.insert(lane, Instant::now() + PAUSE);
        } else if self.left > 0 {
            self.left -= 1;
            line.plug(lane, None).await?;
        }
        Ok(())
    }
}

/// HELD boards that were taken out, by their serial numbers: each is to come back.
type TakenOut = BTreeMap<LaneNumber, String>;

/// The lanes whose board, which is plugged in, is HELD.
fn held(line: &PracticeLine, snapshot: &Snapshot) -> BTreeSet<LaneNumber> {
    let plugged = |view: &LaneView| line.plugged(view.number).map(|(serial, _)| serial.to_owned());
    let held = |view: &&LaneView| {
        matches!(&view.state, LaneState::Finished { verdict: Verdict::Held, serial: Some(serial), .. }
            if plugged(view).as_deref() == Some(serial.as_str()))
    };
    snapshot.lanes.iter().filter(held).map(|view| view.number).collect()
}

/// Returns the lanes that were taken in hand.
async fn obey(
    line: &mut PracticeLine,
    command: PracticeCommand,
    held: BTreeSet<LaneNumber>,
    taken_out: &mut TakenOut,
) -> Result<Vec<LaneNumber>, PracticeError> {
    match command {
        PracticeCommand::Plug { port } => {
            let Some(lane) = lane_of(line, &port) else { return Ok(Vec::new()) };
            match taken_out.remove(&lane) {
                Some(serial) => line.plug_as(lane, &serial, Behaviour::Normal)?,
                None => {
                    line.plug(lane, None).await?;
                }
            }
            Ok(vec![lane])
        }
        PracticeCommand::Unplug { port } => {
            let Some(lane) = lane_of(line, &port) else { return Ok(Vec::new()) };
            take_out(line, lane, &held, taken_out);
            Ok(vec![lane])
        }
        PracticeCommand::PlugAll => {
            for (lane, serial) in std::mem::take(taken_out) {
                line.plug_as(lane, &serial, Behaviour::Normal)?;
            }
            line.plug_all().await?;
            Ok(line.lanes().collect())
        }
        PracticeCommand::UnplugAll => {
            line.lanes().for_each(|lane| take_out(line, lane, &held, taken_out));
            Ok(line.lanes().collect())
        }
        PracticeCommand::Fault { port, fault } => {
            let Some(lane) = lane_of(line, &port) else { return Ok(Vec::new()) };
            let fault = fault.as_deref().and_then(Fault::named);
            taken_out.remove(&lane);
            if line.unplug(lane).is_some() {
                tokio::time::sleep(PAUSE).await;
            }
            line.plug(lane, fault).await?;
            if fault == Some(Fault::Unplugged) {
                tokio::time::sleep(PAUSE * 2).await;
                line.unplug(lane);
            }
            Ok(vec![lane])
        }
        PracticeCommand::TourEnded => {
            if let Err(error) = std::fs::write(line.dir().join(TOUR), "") {
                tracing::warn!(%error, "the guided tour will begin again at the next start");
            }
            Ok(Vec::new())
        }
        PracticeCommand::Cloud { up } => {
            if up {
                line.proxy.up().await?
            } else {
                line.proxy.down().await
            }
            Ok(Vec::new())
        }
        PracticeCommand::Printer { up } => {
            if up {
                line.printer.switch_on().await?
            } else {
                line.printer.switch_off().await
            }
            Ok(Vec::new())
        }
    }
}

fn take_out(line: &mut PracticeLine, lane: LaneNumber, held: &BTreeSet<LaneNumber>, taken_out: &mut TakenOut) {
    if let Some(serial) = line.unplug(lane)
        && held.contains(&lane)
    {
        taken_out.insert(lane, serial);
    }
}

fn lane_of(line: &PracticeLine, port: &str) -> Option<LaneNumber> {
    line.lanes().find(|lane| port_name(*lane) == port)
}

async fn view(line: &PracticeLine, taken_out: &TakenOut) -> PracticeView {
    PracticeView {
        ports: line
            .lanes()
            .map(|lane| {
                let plugged = line.plugged(lane);
                PracticePort {
                    name: port_name(lane),
                    plugged: plugged.map(|(serial, _)| serial.to_owned()),
                    again: taken_out.get(&lane).cloned(),
                    fault: plugged.and_then(|(_, fault)| fault).map(|fault| fault.name().to_owned()),
                }
            })
            .collect(),
        faults: Fault::ALL
            .iter()
            .filter(|fault| fault.is_of_the_board())
            .map(|fault| fault.name().to_owned())
            .collect(),
        cloud_up: line.proxy.is_up().await,
        printer_up: line.printer.is_up(),
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
