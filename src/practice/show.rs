//! The practice line as a show without a window: good boards, then bad ones, each held against what
//! the station has to make of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::board::Behaviour;
use super::fault::Fault;
use super::line::{PracticeError, PracticeLine};
use crate::audit::event::LabelStatus;
use crate::domain::{LaneNumber, ReasonCode, Verdict};
use crate::provisioning::UnitRecord;
use crate::runner::view::{Command, LaneState, Snapshot};

/// The far end of a station that works on the practice line.
pub struct Audience<'a> {
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    pub commands: mpsc::Sender<Command>,
    pub finished: mpsc::Receiver<UnitRecord>,
    /// Called for each finished unit.
    pub unit: &'a mut (dyn FnMut(&UnitRecord) + Send),
    /// Called for what happens between units.
    pub note: &'a mut (dyn FnMut(&str) + Send),
}

/// One board of the show.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub fault: Option<Fault>,
    pub serial: String,
    pub expected: (Verdict, Option<ReasonCode>),
    pub verdict: Option<Verdict>,
    pub code: Option<String>,
}

impl Act {
    pub fn as_expected(&self) -> bool {
        let (verdict, code) = self.expected;
        self.verdict == Some(verdict) && self.code.as_deref() == code.map(ReasonCode::as_str)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    #[error(transparent)]
    Practice(#[from] PracticeError),
    #[error("nothing happened for {0:?} while waiting for {1}")]
    TooLong(Duration, &'static str),
    #[error("the station ended in the middle of the show")]
    Ended,
}

/// Longer than any run of the practice line: the slowest waits for a hung token.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays `units` good boards and then each of `faults`.
pub async fn play(
    line: &mut PracticeLine,
    audience: &mut Audience<'_>,
    units: u64,
    faults: &[Fault],
) -> Result<Vec<Act>, ShowError> {
    let mut acts = Vec::new();
    let lanes: Vec<LaneNumber> = line.lanes().collect();
    let mut left = units;
    while left > 0 {
        let wave: Vec<LaneNumber> = lanes.iter().copied().take(usize::try_from(left).unwrap_or(usize::MAX)).collect();
        for lane in &wave {
            line.plug(*lane, None).await?;
        }
        for _ in &wave {
            let record = audience.next_unit().await?;
            acts.push(act(None, &record, (Verdict::Pass, None)));
        }
        clear(line, audience, &wave).await?;
        left -= wave.len() as u64;
    }
    for fault in faults {
        acts.extend(bad_board(line, audience, &lanes, *fault).await?);
    }
    Ok(acts)
}

async fn bad_board(
    line: &mut PracticeLine,
    audience: &mut Audience<'_>,
    lanes: &[LaneNumber],
    fault: Fault,
) -> Result<Vec<Act>, ShowError> {
    let [lane, ..] = lanes else { return Ok(Vec::new()) };
    let lane = *lane;
    let mut acts = Vec::new();
    match fault {
        Fault::Duplicate => {
            line.plug(lane, None).await?;
            acts.push(act(None, &audience.next_unit().await?, (Verdict::Pass, None)));
            clear(line, audience, &[lane]).await?;
        }
        Fault::CloudDown => {
            line.proxy.down().await;
            (audience.note)("the cloud is down");
        }
        Fault::PrinterDown => {
            line.printer.switch_off().await;
            (audience.note)("the printer is off");
        }
        _ => {}
    }
    line.plug(lane, Some(fault)).await?;
    if fault == Fault::Unplugged {
        audience.until("the run to begin", |snapshot| running(snapshot, lane)).await?;
        line.unplug(lane);
    }
    let record = audience.next_unit().await?;
    acts.push(act(Some(fault), &record, fault.expected()));
    clear(line, audience, &[lane]).await?;
    match fault {
        Fault::CloudDown => acts.push(back_from_held(line, audience, lane, &record).await?),
        Fault::PrinterDown => {
            let before = line.printer.printed();
            line.printer.switch_on().await.map_err(PracticeError::Files)?;
            (audience.note)("the printer is on again: the label that was pending comes out by itself");
            wait_for_label(line, before).await?;
        }
        _ => {}
    }
    Ok(acts)
}

/// The cloud returns; what can be done without the board is, and its slip or the board itself brings its label.
async fn back_from_held(
    line: &mut PracticeLine,
    audience: &mut Audience<'_>,
    lane: LaneNumber,
    held: &UnitRecord,
) -> Result<Act, ShowError> {
    line.proxy.up().await.map_err(PracticeError::Files)?;
    (audience.note)("the cloud is back: HELD units are finished (lineseal resume)");
    audience.command(Command::ResumeHeld).await?;
    let mut record = match audience.finished_without_its_board(lane).await? {
        Some(record) => record,
        None => held.clone(),
    };
    if let (Verdict::Held, Some(serial)) = (record.verdict, &held.board.serial) {
        (audience.note)("the board is plugged in again: its chip makes the connection that is still due");
        line.plug_as(lane, serial, Behaviour::Normal)?;
        record = audience.next_unit().await?;
        clear(line, audience, &[lane]).await?;
    } else if let (Some(slip), LabelStatus::Pending) = (held.slip, record.label.status) {
        let before = line.printer.printed();
        (audience.note)(&format!("slip {slip} is scanned: its label is printed"));
        audience.command(Command::Scan(format!("SLIP-{slip}"))).await?;
        wait_for_label(line, before).await?;
    }
    Ok(act(None, &record, (Verdict::Pass, None)))
}

fn act(fault: Option<Fault>, record: &UnitRecord, expected: (Verdict, Option<ReasonCode>)) -> Act {
    Act {
        fault,
        serial: record.board.serial.clone().unwrap_or_default(),
        expected,
        verdict: Some(record.verdict),
        code: record.reason.clone(),
    }
}

fn running(snapshot: &Snapshot, lane: LaneNumber) -> bool {
    snapshot.lanes.iter().any(|view| view.number == lane && matches!(view.state, LaneState::Running { .. }))
}

/// Takes the boards out and waits until the station has seen it.
async fn clear(line: &mut PracticeLine, audience: &mut Audience<'_>, lanes: &[LaneNumber]) -> Result<(), ShowError> {
    for lane in lanes {
        line.unplug(*lane);
    }
    let gone = |snapshot: &Snapshot| {
        snapshot.lanes.iter().filter(|view| lanes.contains(&view.number)).all(|view| match view.state {
            LaneState::Finished { present, .. } => !present,
            _ => true,
        })
    };
    audience.until("the boards to be gone", gone).await
}

async fn wait_for_label(line: &PracticeLine, before: u32) -> Result<(), ShowError> {
    for _ in 0..PATIENCE.as_millis() / 50 {
        if line.printer.printed() > before {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(ShowError::TooLong(PATIENCE, "a label"))
}

impl Audience<'_> {
    async fn next_unit(&mut self) -> Result<UnitRecord, ShowError> {
        let record = timeout(PATIENCE, self.finished.recv()).await;
        let record = record.map_err(|_| ShowError::TooLong(PATIENCE, "a unit"))?.ok_or(ShowError::Ended)?;
        (self.unit)(&record);
        Ok(record)
    }

    /// `None`: it waits on, for its board.
    async fn finished_without_its_board(&mut self, lane: LaneNumber) -> Result<Option<UnitRecord>, ShowError> {
        let asks_for_its_board = |snapshot: &Snapshot| {
            snapshot.lanes.iter().filter(|view| view.number == lane).any(|view| match &view.state {
                LaneState::Finished { reason: Some(reason), .. } => reason.code == ReasonCode::CONNECT_NEEDS_BOARD,
                _ => false,
            })
        };
        let mut snapshots = self.snapshots.clone();
        let waits_on = snapshots.wait_for(|snapshot| asks_for_its_board(snapshot));
        tokio::select! {
            record = self.next_unit() => record.map(Some),
            seen = timeout(PATIENCE, waits_on) => match seen {
                Ok(Ok(_)) => Ok(None),
                Ok(Err(_)) => Err(ShowError::Ended),
                Err(_) => Err(ShowError::TooLong(PATIENCE, "a unit")),
            },
        }
    }

    async fn until(&mut self, what: &'static str, holds: impl Fn(&Snapshot) -> bool) -> Result<(), ShowError> {
        let waiting = self.snapshots.wait_for(|snapshot| holds(snapshot));
        let seen = timeout(PATIENCE, waiting).await.map_err(|_| ShowError::TooLong(PATIENCE, what))?;
        seen.map(|_| ()).map_err(|_| ShowError::Ended)
    }

    async fn command(&mut self, command: Command) -> Result<(), ShowError> {
        self.commands.send(command).await.map_err(|_| ShowError::Ended)
    }
}
