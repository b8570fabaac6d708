//! What the window draws and what it may ask for. A snapshot is built from committed events only:
//! a PASS in it is in the log.

use jiff::Timestamp;

use crate::audit::event::{LabelKind, LabelStatus};
use crate::domain::{
    BatchName, BoardSerial, Device, Failure, LaneNumber, PortPath, RunId, StationName, Step, ThingName, Verdict,
};

/// The whole station at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub station: StationName,
    /// The practice line: said across the window.
    pub practice: bool,
    pub operator: Option<String>,
    pub batch: Option<BatchView>,
    pub lanes: Vec<LaneView>,
    /// Units that wait for the cloud, of any batch or none.
    pub held: u64,
    /// Newest first.
    pub recent: Vec<FinishedView>,
    pub cloud: Health,
    pub log: Health,
    pub printer: Health,
    /// Copies of the log's checkpoints outside of it.
    pub copies: Copies,
    /// The commands for sounds and the signal tower; not known where there are none.
    pub signals: Health,
    /// No new run starts while this is set; running boards finish.
    pub paused: bool,
    /// Labels whose fate only a person can tell.
    pub questions: Vec<LabelQuestion>,
    /// The names of the configured profiles, for opening a batch.
    pub profiles: Vec<String>,
    /// Why the last command was refused.
    pub notice: Option<Failure>,
    /// Units that waited for the cloud and failed (O-617), until their slips are scanned.
    pub pulled: Vec<Failure>,
    /// Boards that no lane could take.
    pub refused: Vec<(Device, Failure)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct BatchView {
    pub name: BatchName,
    pub planned: u64,
    pub passed: u64,
    pub held: u64,
    /// Of the units whose first counted attempt is known, and how many there are.
    pub first_passes: u64,
    pub first_attempts: u64,
    /// `None`: too little was finished lately to tell.
    pub pace: Option<PaceView>,
    /// `None`: the batch has no shipment manifest.
    pub manifest: Option<ManifestView>,
}

/// How fast a batch goes on, from the units that passed lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceView {
    pub per_hour: u64,
    /// When it is done if it goes on so; `None`: it is done, or nobody would wait for it.
    pub ends: Option<Timestamp>,
    /// When this was worked out.
    pub at: Timestamp,
}

/// How a batch's chips and its shipment manifest meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestView {
    pub entries: u64,
    /// Claimed.
    pub consumed: u64,
    /// Chips that proved themselves, and are in it.
    pub matched: u64,
    /// Chips that proved themselves, and are not.
    pub unknown: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LaneView {
    pub number: LaneNumber,
    /// As the jig is labelled.
    pub name: String,
    pub port: Option<PortPath>,
    pub state: LaneState,
}

#[derive(Debug, Clone, PartialEq)]
pub enum LaneState {
    Free,
    /// A board is in, and its run has not begun.
    Waiting,
    Running {
        run: RunId,
        serial: Option<BoardSerial>,
        step: Step,
        /// The lane waits for the scanner: the board's serial number.
        waits_for_scan: bool,
        /// The board's identity is bound in the log: from here on the run goes to its end.
        claimed: bool,
        started: Timestamp,
    },
    /// Stays until the next board arrives in this lane.
    Finished {
        run: RunId,
        serial: Option<BoardSerial>,
        thing: Option<ThingName>,
        verdict: Verdict,
        reason: Option<Failure>,
        slip: Option<u64>,
        label: LabelStatus,
        /// The last step that began.
        step: Step,
        took_ms: u64,
        /// The board is still plugged in.
        present: bool,
    },
    /// There is no verdict: the log could not be written, or this board can't be taken as it is.
    Refused {
        failure: Failure,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct FinishedView {
    pub run: RunId,
    pub lane: LaneNumber,
    pub serial: Option<BoardSerial>,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Health {
    Unknown,
    Good,
    Bad(Failure),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Copies {
    /// Whether the newest checkpoint was made and is in every place.
    pub health: Health,
    pub place: CopyPlace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyPlace {
    /// No place is configured: that the log was put back could not be proven.
    Nowhere,
    /// On the log's own disk, which is as good as none.
    SameDisk,
    Elsewhere,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LabelQuestion {
    pub run: RunId,
    pub serial: Option<BoardSerial>,
    pub kind: LabelKind,
}

/// What a person may ask of the station.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A line from the barcode scanner.
    Scan(String),
    Pause,
    Continue,
    OpenBatch {
        name: BatchName,
        profile: String,
        planned: u64,
    },
    CloseBatch,
    /// Runs the board that still sits in this lane again (ERROR and ABORTED only).
    Retry(LaneNumber),
    /// This lane's board was put in by mistake: its run ends before anything is claimed.
    WrongBoard {
        lane: LaneNumber,
        run: RunId,
    },
    /// The answer to a [`LabelQuestion`]: it is there (`true`), or print it again.
    SettleLabel {
        run: RunId,
        printed: bool,
    },
    /// Finish HELD units now.
    ResumeHeld,
    /// End: running boards are aborted and recorded as such.
    Stop,
}
