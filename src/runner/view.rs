//! What the window draws and what it may ask for. A snapshot is built from committed events only:
//! a PASS in it is in the log.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use super::doctor::Finding;
use crate::audit::event::{LabelKind, LabelStatus};
use crate::config::{Change, LaneSetting, Look, PrinterChoice, Setting};
use crate::domain::label::Dots;
use crate::domain::{
    BadgeCode, BatchName, BoardSerial, Device, Failure, LaneNumber, PersonName, Pin, PortPath, Proof, Role,
    RulingReason, RunId, StationName, Step, TargetName, ThingName, Verdict,
};

/// The whole station at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    pub station: StationName,
    /// The practice line: said across the window.
    pub practice: bool,
    /// In whose name boards are begun: signed in, or named where the log knows nobody.
    pub operator: Option<String>,
    pub desk: DeskView,
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
    /// Labels that are to be scanned on their boards.
    pub scan_back: Vec<ScanBack>,
    /// The label that somebody asked to see.
    pub label: Option<LabelView>,
    /// The names of the configured profiles, for opening a batch.
    pub profiles: Vec<String>,
    /// Why the last command was refused.
    pub notice: Option<Failure>,
    /// Units that waited for the cloud and failed (O-617), until their slips are scanned.
    pub pulled: Vec<Failure>,
    /// Boards that no lane could take.
    pub refused: Vec<(Device, Failure)>,
    /// For an administrator who asked to see them.
    pub settings: Option<SettingsView>,
}

/// The station's settings, as its file has them now.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingsView {
    /// Where they stand.
    pub file: String,
    pub lanes: Vec<LaneSetting>,
    /// The ones that are taken first, then what lies beside them.
    pub profiles: Vec<ProfileSetting>,
    pub printer: PrinterChoice,
    pub language: Option<String>,
    pub theme: Look,
    /// Changed since the station was started, which goes on as it was.
    pub pending: Vec<Setting>,
    /// What became of what was asked last.
    pub answer: Option<Answer>,
    /// A lane is being taught its port.
    pub teaching: Option<(LaneNumber, TeachView)>,
    /// There is a printer now.
    pub prints: bool,
    pub test: TestLabel,
    pub targets: Vec<TargetName>,
    /// The station may ask them: it is not air-gapped.
    pub can_look: bool,
    pub look: TargetsLook,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileSetting {
    /// As the station's file names it, or would.
    pub file: String,
    /// Boards of its product are taken.
    pub taken: bool,
}

/// How far a lane is taught its port.
#[derive(Debug, Clone, PartialEq)]
pub enum TeachView {
    /// For a board, in that lane; the one before was in another's port.
    Waiting { refused: Option<Failure> },
    /// A board was plugged in there.
    Offered(PortPath),
    /// Nobody plugged in a board.
    NobodyCame,
}

/// A label that is no unit's, to see whether labels come out.
#[derive(Debug, Clone, PartialEq)]
pub enum TestLabel {
    None,
    Printing,
    Ended(Result<(), Failure>),
}

#[derive(Debug, Clone, PartialEq)]
pub enum TargetsLook {
    None,
    Looking,
    Found(Arc<Vec<Finding>>),
}

/// What an administrator asks of the station's settings.
#[derive(Debug, Clone, PartialEq)]
pub enum SettingsOrder {
    Show,
    Hide,
    Change(Change),
    /// The next board that is plugged in shows which port is this lane's.
    Teach(LaneNumber),
    /// The port that was shown is the lane's from here on.
    TakePort,
    StopTeaching,
    TestLabel,
    LookAtTargets,
}

/// Who operates the station, and how that may change.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskView {
    pub state: DeskState,
    /// What a badge's barcode begins with.
    pub badge_prefix: String,
    /// What became of what was asked of it last.
    pub answer: Option<Answer>,
    /// For an administrator who asked to see them.
    pub people: Option<Vec<PersonView>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeskState {
    /// The log was not asked yet.
    Unknown,
    /// The log knows nobody: everybody may operate.
    NoPeople,
    /// `required`: no board is begun before somebody signs in.
    Nobody {
        required: bool,
    },
    /// A badge was shown, and its person's PIN is asked for.
    BadgeShown {
        name: String,
    },
    SignedIn {
        name: String,
        role: Role,
        proof: Proof,
    },
    /// The person did nothing for a while. Running boards go on.
    Locked {
        name: String,
        required: bool,
    },
}

/// `number` counts on: the same answer twice is two answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub number: u64,
    pub result: Result<(), Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    pub name: String,
    pub role: Role,
    pub disabled: bool,
    pub badge: bool,
    /// Too many wrong PINs; until then.
    pub locked_until: Option<Timestamp>,
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
        /// `None`: the station is printing it.
        label: Option<LabelStatus>,
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

/// What an administrator asks, who signed in with a PIN; the first one is added by whoever comes.
#[derive(Debug, Clone, PartialEq)]
pub enum PeopleOrder {
    Show,
    Hide,
    /// Or a disabled person is taken back.
    Add {
        name: PersonName,
        role: Role,
        pin: Pin,
    },
    Disable(String),
    Role {
        name: String,
        role: Role,
    },
    NewPin {
        name: String,
        pin: Pin,
    },
    GiveBadge {
        name: String,
        code: BadgeCode,
    },
    RevokeBadge(String),
}

impl Command {
    /// What a scanned line asks for. A badge is a secret from here on.
    pub fn scanned(line: &str, badge_prefix: &str) -> Command {
        let code = line.strip_prefix(badge_prefix).map(|code| SecretString::from(code.trim()));
        match code.map(BadgeCode::try_from) {
            Some(Ok(code)) => Command::Badge(code),
            // As a badge that nobody has, it is repeated nowhere.
            Some(Err(_)) => Command::Scan(badge_prefix.to_owned()),
            None => Command::Scan(line.to_owned()),
        }
    }
}

/// A label that is out, and waits to be scanned at its board's lane.
#[derive(Debug, Clone, PartialEq)]
pub struct ScanBack {
    pub run: RunId,
    pub lane: LaneNumber,
    pub serial: Option<BoardSerial>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LabelView {
    pub run: RunId,
    pub serial: Option<BoardSerial>,
    pub status: LabelStatus,
    /// Which copy it is, from 1.
    pub copy: u32,
    /// It was scanned back.
    pub confirmed: bool,
    pub picture: Arc<Dots>,
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
    /// What this run's label looks like.
    ShowLabel(RunId),
    /// That label is no good: void it, and print another copy.
    Reprint {
        run: RunId,
        reason: RulingReason,
    },
    /// Finish HELD units now.
    ResumeHeld,
    /// A badge was scanned.
    Badge(BadgeCode),
    /// Name and PIN.
    SignIn {
        name: String,
        pin: Pin,
    },
    /// The PIN of whoever showed their badge.
    BadgePin(Pin),
    SignOut,
    /// A person touched the window, and asked for nothing of the station.
    Here,
    People(PeopleOrder),
    Settings(SettingsOrder),
    /// End: running boards are aborted and recorded as such.
    Stop,
}
