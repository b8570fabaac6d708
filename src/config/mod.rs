//! The configuration: raw TOML → checked values. Everything that is wrong is found at once, each
//! with file, line and the nearest right key.

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::profile::Profile;
use crate::domain::{LaneNumber, Region, StationName, TargetName};

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
