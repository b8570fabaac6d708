use jiff::Timestamp;

use crate::domain::{AccountId, Failure, TargetName};

/// What one target says to questions that change nothing in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    pub credentials: Result<Credentials, Failure>,
    /// `A-371`: they are not the target's account's.
    pub caller: Result<Caller, Failure>,
    /// Where devices connect.
    pub endpoint: Result<String, Failure>,
    /// `None`: no answer said what time it is.
    pub clock: Option<Skew>,
    /// Every one that the configured profiles need there. Empty where nothing could be asked.
    pub permissions: Vec<Permission>,
    /// `None`: no profile registers there.
    pub pace: Option<Pace>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where the AWS chain found them, in the SDK's words.
    pub source: String,
    pub expires: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub account: AccountId,
    pub arn: String,
}

/// This computer's clock against the target's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skew {
    /// Negative: this computer's is behind.
    pub ahead_ms: i64,
    /// How far that may be off: an answer's Date counts seconds, and it took its time to come.
    pub within_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// As IAM names it.
    pub action: String,
    /// As the policy of `doctor --policy` has it.
    pub resource: String,
    pub need: Need,
    pub answer: Permitted,
}

/// What a permission is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Without it no unit passes, or none can be put right.
    Always,
    /// As long as the thing type and the device policy are not there.
    UntilMade,
    /// `lineseal undo --delete` alone.
    Undo,
    /// What the log tells besides: whether an attachment is exclusive.
    Telling,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permitted {
    Allowed,
    Denied(Failure),
    /// The question could not be asked, or the answer settles nothing.
    Unknown(Failure),
}

/// What the rates that all stations of an account share come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    pub units_per_second: u32,
    /// The call that there are fewest of.
    pub slowest: String,
}

/// Looks at targets for whoever asks whether a line can begin.
#[async_trait::async_trait]
pub trait Examiner: Send + Sync {
    async fn examine(&self, target: &TargetName) -> Examined;
}
