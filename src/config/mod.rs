//! The configuration: raw TOML → checked values. Everything that is wrong is found at once, each
//! with file, line and the nearest right key.
//!
//! [`load`] reads the station's file and every profile it names. The way in is [`section`]: a cursor
//! over one TOML table that remembers which keys were asked for, so that what is left over is
//! unknown, and that hands every mistake to one collector instead of stopping at the first.

mod pem;
mod pkcs11_uri;
mod problem;
mod profile;
mod section;
mod source;
mod station;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::profile::Profile;
use crate::domain::{LaneNumber, Region, StationName, TargetName};

pub use problem::{ConfigErrors, Mistake, Problem};

/// Reads the station's file at `path` and the profiles it names. A relative path inside is relative
/// to the file that names it. Errors: everything that is wrong in all of the files, in order. Tokens'
/// modules and PIN files are not touched: whether they are there is for `doctor` to say.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let problems = problem::Problems::default();
    let config = station::read(path, &problems);
    match (config, problems.into_errors()) {
        (Some(config), None) => Ok(config),
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
    pub targets: Vec<Target>,
    pub profiles: Vec<Profile>,
}

#[derive(Debug, Clone)]
pub struct Station {
    pub name: StationName,
    /// `practice = true` only in the practice line's own configuration.
    pub practice: bool,
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
    },
    Device {
        path: PathBuf,
    },
    Folder {
        path: PathBuf,
    },
}

/// One AWS account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub name: TargetName,
    pub region: Region,
    /// An AWS shared-configuration profile; `None`: the default chain.
    pub aws_profile: Option<String>,
    /// Instead of AWS's own; for VPC endpoints and local stand-ins.
    pub endpoint: Option<String>,
}
