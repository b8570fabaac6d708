//! The words of one attempt at one unit.

use super::{printable, text_type};
use uuid::Uuid;

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A version 4 UUID (RFC 9562 §5.4) over 16 random bytes handed in by the caller.
            pub fn from_random(random: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(random).into_uuid())
            }
            /// A version 7 UUID (RFC 9562 §5.7): ids that are made one after the other lie side by side in
            /// an index of millions. Nothing relies on the time in it.
            pub fn made(at: jiff::Timestamp, random: [u8; 10]) -> Self {
                let millis = u64::try_from(at.as_millisecond()).unwrap_or_default();
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
            }
            /// As [`as_uuid`](Self::as_uuid) has its bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = super::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_| super::Invalid {
                    what: stringify!($name),
                    value: text.to_owned(),
                    rule: "a UUID",
                })
            }
        }
    };
}

uuid_type!(
    /// One attempt at one unit.
    RunId
);
uuid_type!(
    /// One event of the log: unique, so an answer lost at commit is read back, not written twice.
    EventId
);

text_type!(
    /// A station's name, e.g. `L3-ST2`.
    StationName,
    "station name",
    "1 to 32 of a-z A-Z 0-9 _ . -",
    |t| !t.is_empty() && t.len() <= 32 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
);
text_type!(
    /// A work order's name.
    BatchName,
    "batch name",
    "1 to 64 printable characters without surrounding spaces",
    |t| printable(t, 64)
);

/// What a slip says: the number of a HELD unit, and at which station it counts, where that is not the one
/// that reads it. `12`, `12@AIR-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    pub number: u64,
    pub station: Option<StationName>,
}

impl std::str::FromStr for Slip {
    type Err = super::Invalid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || super::Invalid { what: "slip", value: text.to_owned(), rule: "a number, or number@station" };
        let (number, station) = text.split_once('@').map_or((text, None), |(number, at)| (number, Some(at)));
        let number = number.parse().map_err(|_| invalid())?;
        Ok(Self { number, station: station.map(str::parse).transpose()? })
    }
}

impl std::fmt::Display for Slip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.station {
            Some(station) => write!(f, "{}@{station}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

/// The steps of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Detect,
    Identify,
    Read,
    Prove,
    Check,
    Register,
    Connect,
    Seal,
    Print,
}

impl Step {
    pub const ALL: [Step; 9] = [
        Step::Detect,
        Step::Identify,
        Step::Read,
        Step::Prove,
        Step::Check,
        Step::Register,
        Step::Connect,
        Step::Seal,
        Step::Print,
    ];
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Detect => "detect",
            Step::Identify => "identify",
            Step::Read => "read",
            Step::Prove => "prove",
            Step::Check => "check",
            Step::Register => "register",
            Step::Connect => "connect",
            Step::Seal => "seal",
            Step::Print => "print",
        }
    }
}

/// How a run ended (OpenHTF's outcomes, plus HELD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    Pass,
    /// The unit's fault: red tray, only a QA ruling opens it again.
    Fail,
    /// The station's or the line's fault: try again.
    Error,
    /// Unplugged or stopped.
    Aborted,
    /// Proven and claimed, waiting for the cloud: blue tray with a numbered slip.
    Held,
}

impl Verdict {
    pub const ALL: [Verdict; 5] = [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted, Verdict::Held];

    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Pass => "PASS",
            Verdict::Fail => "FAIL",
            Verdict::Error => "ERROR",
            Verdict::Aborted => "ABORTED",
            Verdict::Held => "HELD",
        }
    }
}
