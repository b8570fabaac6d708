//! The vocabulary of the line as types that cannot hold a bad value.
//!
//! A `board` is plugged in; its `chip` answers through a PKCS#11 `token`; the triple certificate
//! fingerprint, SPKI hash and chip UID is its [`Identity`]. A [`Unit`] is (product, board serial)
//! with its history, a run is one attempt at one unit. Every type with a rule has a private field
//! and one parser, used by serde, the command line and the window alike.

mod aws;
mod board;
mod ca;
mod command;
mod fleet;
mod identity;
pub mod label;
mod log;
mod manifest;
mod operator;
pub mod profile;
pub mod reason;
mod report;
mod run;
mod template;
mod unit;
mod wire;

pub use aws::{
    AccountId, AttributeName, AttributeValue, ExternalId, ParameterName, PolicyName, ProvisioningTemplateName, Region,
    RoleArn, TargetName, ThingName, ThingTypeName, TopicName, arn_place,
};
pub use board::{Device, LaneNumber, PortPath, UsbIds};
pub use ca::{CaAct, CaEnd, CaMode, CaName, CaPlan, JoinTemplate, SigningCa};
pub use command::{CommandError, CommandLine, may_be_said};
pub use fleet::{Arn, TemplateKind, TemplatePlan};
pub use identity::{ChipUid, Fingerprint, Identity, KnownIdentity, Sha256, SpkiHash};
pub use log::{KeyName, RulingReason};
pub use manifest::{EntryPlace, ManifestEntry};
pub use operator::{
    BadgeCode, InvalidBadge, InvalidPin, OperatorRef, PersonName, Persons, Pin, Proof, Role, TRIES, lockout,
};
pub use reason::{Failure, ReasonCode};
pub use report::{ReportFormat, ReportScope};
pub use run::{BatchName, EventId, RunId, Slip, StationName, Step, Verdict};
pub use template::{Template, TemplateError, Variables};
pub use unit::{BoardSerial, Product, Unit};
pub use wire::{Bytes, certificate_pem, request_pem};

/// An hour's shift or a night's drift is nobody's fault; a clock that is further off than this is wrong, or
/// what is dated by it is.
pub const CLOCK_TOLERANCE: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Why a text is not a value of the domain. `what` is the domain word, `rule` says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {what}: {rule}")]
pub struct Invalid {
    pub what: &'static str,
    pub value: String,
    pub rule: &'static str,
}

/// A text newtype: a private field, one parser, and the same rule for serde, clap and `FromStr`.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.to_owned().try_into()
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::Invalid;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err($crate::domain::Invalid { what: $what, value: text, rule: $rule })
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
use text_type;

/// Printable text of a bounded length without control characters: the rule most names share.
fn printable(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && text.trim() == text && !text.chars().any(char::is_control)
}
