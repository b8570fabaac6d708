//! The configuration: raw TOML → checked values. Everything that is wrong is found at once, each
//! with file, line and the nearest right key.
//!
//! [`load`] reads the station's file and every profile it names. The way in is [`section`]: a cursor
//! over one TOML table that remembers which keys were asked for, so that what is left over is
//! unknown, and that hands every mistake to one collector instead of stopping at the first.

mod ca;
mod edit;
mod host;
mod log;
mod pem;
mod pkcs11_uri;
mod problem;
mod profile;
mod section;
mod sign_in;
mod signals;
mod source;
mod station;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::profile::{ObjectName, Pin, Profile, SlotChoice};
use crate::domain::{
    AccountId, CaPlan, ExternalId, Failure, KeyName, LaneNumber, ReasonCode, Region, RoleArn, SigningCa, StationName,
    TargetName,
};

pub use edit::{Change, Edited, LaneSetting, PrinterChoice, PrinterKind, Setting, Settings, edit};
pub use host::{host, is_this_machine};
pub use problem::{ConfigErrors, Mistake, Problem};
pub use signals::{Signals, Words};
pub use window::{Look, ScanEnd, Scanner, Window};

/// The body of a provisioning template in a file, as AWS is sent it. Whether AWS takes it, AWS says.
pub fn provisioning_template(path: &Path) -> Result<String, Failure> {
    let said = |because| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{} {because}", path.display()));
    ca::template_at(path).map(|body| body.to_string()).map_err(said)
}

/// Reads the station's file at `path` and the profiles it names. A relative path inside is relative
/// to the file that names it. Errors: everything that is wrong in all of the files, in order. Tokens'
/// modules and PIN files are not touched: whether they are there is for `doctor` to say.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    read(path, true)
}

/// The station's file alone, for whoever works with its log: a log outlives the products that were made,
/// and is restored on computers that never saw their files. No profile is in it.
pub fn load_without_profiles(path: &Path) -> Result<Config, ConfigErrors> {
    read(path, false)
}

/// As [`load`], of a text that is not at `path` yet.
pub fn load_text(path: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let problems = problem::Problems::default();
    problems.opened(path);
    let config = station::read_source(&source::Source::of(path, text.to_owned(), &problems), true);
    gathered(path, config, problems)
}

fn read(path: &Path, profiles: bool) -> Result<Config, ConfigErrors> {
    let problems = problem::Problems::default();
    let config = station::read(path, profiles, &problems);
    gathered(path, config, problems)
}

fn gathered(path: &Path, config: Option<Config>, problems: problem::Problems) -> Result<Config, ConfigErrors> {
    let files = problems.files();
    match (config, problems.into_errors()) {
        (Some(config), None) => Ok(Config { files, ..config }),
        (_, Some(errors)) => Err(errors),
        (None, None) => Err(ConfigErrors::unread(path)),
    }
}

/// Everything a station needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub station: Station,
    pub detection: Detection,
    pub lanes: Vec<Lane>,
    pub printer: Printer,
    pub sign_in: SignIn,
    pub window: Window,
    pub scanner: Scanner,
    pub signals: Signals,
    pub log: Log,
    pub targets: Vec<Target>,
    pub cas: Vec<Ca>,
    pub profiles: Vec<Profile>,
    /// What all of it was read from, and the files that it names: certificates, lists, keys, PINs. No PKCS#11
    /// module is among them.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Station {
    pub name: StationName,
    /// `practice = true` only in the practice line's own configuration.
    pub practice: bool,
    /// It has no cloud: it proves and claims, and its units are registered where its file is taken in.
    pub air_gapped: bool,
    /// `en` or `ja`; `None`: the environment says.
    pub language: Option<String>,
}

/// Where boards show up.
#[derive(Debug, Clone)]
pub struct Detection {
    /// Directories of links to serial devices, e.g. `/dev/serial/by-path`.
    pub links: Vec<PathBuf>,
    /// Enumerate serial ports with VID, PID and serial number.
    pub serial_ports: bool,
    /// Watch USB for boards without a serial port.
    pub usb: bool,
    /// How long a port must be steady before its board counts as arrived (and gone before it counts
    /// as departed).
    pub debounce: Duration,
}

/// A position of the jig.
#[derive(Debug, Clone)]
pub struct Lane {
    pub number: LaneNumber,
    pub name: String,
    /// Matches the physical path; `None`: takes whichever port comes first and keeps it.
    pub port: Option<regex::Regex>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Printer {
    None,
    /// Raw TCP, usually port 9100.
    Tcp {
        address: String,
        /// It is asked how it is (`~HS`): paper, cover, pause.
        status: bool,
    },
    /// An IPP printer, or a queue of CUPS.
    Ipp(IppQueue),
    Device {
        path: PathBuf,
    },
    Folder {
        path: PathBuf,
    },
}

/// Who may operate the station, once the log knows people. Before that, everybody may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// No board is begun while nobody has signed in.
    pub required: bool,
    /// The configuration does not say whether it is required.
    pub undecided: bool,
    pub badge: BadgeUse,
    /// What a badge's barcode begins with, or the scanner puts before it.
    pub badge_prefix: String,
    /// The station is locked when nobody has done anything for so long; `None`: never.
    pub idle: Option<Duration>,
    /// The key that badges are hashed with; `None`: `badge.key` in the data directory.
    pub badge_key: Option<PathBuf>,
}

/// What a scanned badge is enough for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadgeUse {
    /// To operate. Everything else takes a PIN.
    Alone,
    /// The person's PIN is asked for after it.
    WithPin,
}

impl SignIn {
    /// Where nothing is said of it: a line that ran without people goes on when its log comes to know some. The
    /// practice line has nothing to decide.
    pub fn of(practice: bool) -> Self {
        Self {
            required: false,
            undecided: !practice,
            badge: BadgeUse::Alone,
            badge_prefix: "BADGE-".to_owned(),
            idle: Some(Duration::from_secs(15 * 60)),
            badge_key: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IppQueue {
    /// `ipp://host[:port]/path` or `ipps://…`.
    pub uri: String,
    pub format: IppFormat,
    /// Whom the certificate of an `ipps` printer may come from, DER; `None`: the system's.
    pub roots: Option<Vec<Vec<u8>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IppFormat {
    /// As PDF or PNG, whatever it takes: any office printer.
    Drawn,
    /// As ZPL: the queue of a label printer.
    Zpl,
}

/// The audit log: its name, where it is, and what keeps its promises outside of its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `None`: the log's own, or one made from the station's name for a new log.
    pub origin: Option<KeyName>,
    /// Signs the log's checkpoints.
    pub key: LogKey,
    /// Folders that get a copy of every checkpoint.
    pub copies: Vec<PathBuf>,
    pub s3: Option<S3Copies>,
    /// While the log grows, a checkpoint is made this often.
    pub checkpoint_every: Duration,
    /// How many persons a ruling takes: 1 or 2.
    pub persons: u8,
    /// Verifier keys of air-gapped stations whose files are taken in here.
    pub air_gapped_keys: Vec<String>,
    /// The plant's database; `None`: this station's own file.
    pub postgres: Option<Postgres>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            origin: None,
            key: LogKey::File(None),
            copies: Vec::new(),
            s3: None,
            checkpoint_every: Duration::from_secs(60),
            persons: 2,
            air_gapped_keys: Vec::new(),
            postgres: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogKey {
    /// `None`: `log.key` in the data directory.
    File(Option<PathBuf>),
    /// Ed25519.
    Token(TokenKey),
}

/// A private key in a PKCS#11 token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey {
    pub module: PathBuf,
    pub environment: BTreeMap<String, String>,
    pub slot: SlotChoice,
    pub key: ObjectName,
    pub pin: Option<Pin>,
}

/// A bucket that gets a copy of every checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Copies {
    pub bucket: String,
    /// What the objects' names begin with; empty, or it ends with `/`.
    pub prefix: String,
    pub region: Region,
    /// As a target's.
    pub aws_profile: Option<String>,
    pub endpoint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// A connection string of libpq's form, without a password.
    pub connection: String,
    pub password_file: Option<PathBuf>,
}

/// One AWS account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub name: TargetName,
    pub region: Region,
    /// Whose credentials have to be the target's. `None` in practice, and where nothing is called.
    pub account: Option<AccountId>,
    /// An AWS shared-configuration profile; `None`: the default chain.
    pub aws_profile: Option<String>,
    /// Taken on with those credentials; `None`: they are used as they are.
    pub role: Option<Role>,
    /// Instead of AWS's own; for VPC endpoints and local stand-ins.
    pub endpoint: Option<String>,
    /// AWS STS instead of the Region's own.
    pub sts_endpoint: Option<String>,
    /// Where devices connect, instead of what the account says.
    pub mqtt: Option<Broker>,
}

/// An IAM role that a target is called in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub arn: RoleArn,
    pub external_id: Option<ExternalId>,
}

/// An MQTT broker that stands in for AWS IoT Core's, or the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// A DNS name, or an IP address without brackets.
    pub host: String,
    pub port: u16,
    /// Whom its certificate may come from, DER; `None`: as the profile says.
    pub roots: Option<Vec<Vec<u8>>>,
}

/// An own CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ca {
    pub signing: SigningCa,
    /// There wherever a target has it in DEFAULT mode.
    pub key: Option<CaKey>,
    /// One for each target, in their order.
    pub plans: Vec<CaPlan>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CaKey {
    /// PKCS#8, SEC 1 or PKCS#1 in PEM, mode 0600.
    File(PathBuf),
    Token(TokenKey),
}
