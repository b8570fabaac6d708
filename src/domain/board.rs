//! A board as the station's ports show it.

use super::{Invalid, text_type};

text_type!(
    /// Where a board is plugged in, physically: `pci-0000:00:14.0-usb-0:3:1.0` or a directory link's
    /// name. Never a tty number, which moves on every replug.
    PortPath,
    "port path",
    "1 to 255 printable characters",
    |t| super::printable(t, 255)
);

/// A USB vendor and product id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct UsbIds {
    pub vid: u16,
    pub pid: u16,
}

impl std::fmt::Display for UsbIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vid, self.pid)
    }
}

impl std::str::FromStr for UsbIds {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bad = || Invalid { what: "USB id", value: text.to_owned(), rule: "vid:pid, four hexadecimal digits each" };
        let (vid, pid) = text.split_once(':').ok_or_else(bad)?;
        let parse = |part: &str| {
            if part.len() == 4 { u16::from_str_radix(part, 16).map_err(|_| bad()) } else { Err(bad()) }
        };
        Ok(Self { vid: parse(vid)?, pid: parse(pid)? })
    }
}

/// One board-shaped thing that is plugged in right now.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Device {
    pub path: PortPath,
    /// Differs after every replug, even of the same board into the same port: what makes one
    /// arrival distinguishable from the next.
    pub instance: String,
    /// The serial device to open; `None` for boards without a serial port.
    pub node: Option<String>,
    pub usb: Option<UsbIds>,
    pub usb_serial: Option<String>,
    /// Interface number within the USB device, for boards with several ports.
    pub interface: Option<u8>,
    pub product: Option<String>,
    /// A port the station can see but not open (permissions); the text says why.
    pub denied: Option<String>,
}

/// A lane's number as it is painted on the jig, 1 to 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct LaneNumber(u8);

impl LaneNumber {
    pub const MAX: u8 = 16;
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for LaneNumber {
    type Error = Invalid;
    fn try_from(number: u8) -> Result<Self, Invalid> {
        if (1..=Self::MAX).contains(&number) {
            Ok(Self(number))
        } else {
            Err(Invalid { what: "lane number", value: number.to_string(), rule: "1 to 16" })
        }
    }
}

impl From<LaneNumber> for u8 {
    fn from(lane: LaneNumber) -> u8 {
        lane.0
    }
}

impl std::fmt::Display for LaneNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}
