//! What the log holds. `bytes` of an event is the JSON written here, once, and never re-encoded.
//!
//! People are named by id and salted hash only. Certificates, challenges and signatures are kept
//! whole, so that an outsider can repeat every check years later.

use jiff::Timestamp;

use crate::domain::profile::{CertificateStatus, KeyKind};
use crate::domain::{
    AccountId, BatchName, Bytes, ChipUid, Device, EventId, Failure, Fingerprint, Identity, LaneNumber, OperatorRef,
    Product, Region, RunId, StationName, Step, TargetName, ThingName, Unit, Variables, Verdict,
};

/// One event: the envelope and what happened.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// The encoding's version.
    pub v: u32,
    pub id: EventId,
    /// The station's clock; order is by sequence, never by this.
    pub at: Timestamp,
    pub station: StationName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    #[serde(flatten)]
    pub body: Body,
}

/// The version that this code writes.
pub const VERSION: u32 = 1;

impl Event {
    /// The leaf's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum Body {
    Run(RunEvent),
    Line(LineEvent),
}

/// What happens to one run; `provisioning::Run` is the fold over these.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum RunEvent {
    /// A board arrived and a lane took it.
    RunStarted {
        lane: LaneNumber,
        device: Device,
        profile: String,
        product: Product,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        batch: Option<BatchName>,
    },
    /// The intent: committed before the effect.
    StepBegan {
        step: Step,
    },
    /// Ends `identify`.
    Identified {
        unit: Unit,
        variables: Variables,
    },
    /// Ends `read`; `first` is what the run is held to from here on.
    ChipRead {
        reading: Reading,
    },
    /// The intent to have the chip sign: the challenge is fixed before the chip sees it.
    ChallengeMade {
        purpose: Purpose,
        challenge: Bytes,
    },
    /// The chip's answer, verified on this host.
    ChallengeAnswered {
        purpose: Purpose,
        signature: Bytes,
        scheme: SignatureScheme,
        decision: Decision,
    },
    /// Ends `check`: written in the claiming transaction itself.
    Claimed {
        unit: Unit,
        identity: Identity,
        standing: Standing,
    },
    /// Before register: certificate and UID were read again and are the same.
    ReadAgain {
        reading: Reading,
    },
    /// The intent to register, with everything that is about to be written.
    RegisterIntended {
        fingerprint: Fingerprint,
        thing: ThingName,
        targets: Vec<TargetName>,
    },
    /// One target holds all of it, read back.
    Registered {
        target: TargetRecord,
    },
    /// What a run that ends in FAIL had registered is set INACTIVE.
    DeactivateIntended {
        target: TargetName,
    },
    Deactivated {
        target: TargetName,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A step's end when it did not end well.
    StepFailed {
        step: Step,
        failure: Failure,
    },
    /// The verdict. `slip` numbers a HELD unit's slip.
    Sealed {
        verdict: Verdict,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Failure>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slip: Option<u64>,
        /// A label or slip is owed for this verdict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<LabelKind>,
    },
    /// A HELD run is taken up again.
    Resumed {},
    LabelIntended {
        kind: LabelKind,
    },
    LabelEnded {
        kind: LabelKind,
        status: LabelStatus,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A person answered what became of a label whose end nobody saw.
    LabelSettled {
        kind: LabelKind,
        printed: bool,
    },
}

/// What happens outside of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum LineEvent {
    StationStarted {
        version: String,
    },
    StationStopped {},
    /// A person vouched for the computer's clock although the log was ahead of it.
    ClockAccepted {
        ahead: Timestamp,
    },
    /// A person is named in the log for the first time.
    OperatorNamed {},
    BatchOpened {
        batch: BatchName,
        profile: String,
        product: Product,
        planned: u64,
    },
    BatchClosed {
        batch: BatchName,
    },
    /// A board that no lane could take, and why.
    BoardRefused {
        device: Device,
        failure: Failure,
    },
}

/// Why the chip is asked to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    First,
    BeforeRegister,
}

impl Purpose {
    /// As it stands in the challenge.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::First => "first",
            Purpose::BeforeRegister => "before-register",
        }
    }
}

/// What one visit to the token brought.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// The certificate's DER, cut at its own length.
    pub certificate: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<ChipUid>,
    pub token: TokenFacts,
}

/// Where a reading comes from, for QA.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct TokenFacts {
    pub module: String,
    pub module_version: String,
    pub manufacturer: String,
    pub token_label: String,
    pub token_model: String,
    pub token_serial: String,
    /// The name under which the certificate was found: `sss:F0000111`, `id=…`.
    pub certificate_found_as: String,
    /// Milliseconds for opening the module and session, and for reading.
    pub open_ms: u64,
    pub read_ms: u64,
}

/// How the chip signs: named after TLS 1.3's registry (RFC 8446 §4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureScheme {
    EcdsaSecp256r1Sha256,
    EcdsaSecp384r1Sha384,
    EcdsaSecp521r1Sha512,
    RsaPkcs1Sha256,
}

/// What the host's verifier found, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    pub key: KeyKind,
    pub spki: crate::domain::SpkiHash,
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    /// RFC 3339, UTC, exactly as the certificate has it: no time stamp reaches the end of 9999.
    pub not_before: String,
    pub not_after: String,
    /// SHA-256 of each certificate of the path, leaf first, trust anchor last.
    pub path: Vec<Fingerprint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid_in_certificate: Option<ChipUid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// This claim made the binding.
    New,
    /// The unit held this very identity before.
    Known,
}

/// What one target holds after registration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TargetRecord {
    pub target: TargetName,
    pub account: AccountId,
    pub region: Region,
    pub certificate_arn: String,
    pub thing_arn: String,
    pub policy: String,
    pub endpoint: String,
    pub status: CertificateStatus,
    /// `certificate`, `thing`, …: made by this run, as opposed to found and adopted.
    pub created: Vec<String>,
    pub adopted: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// The unit's label.
    Unit,
    /// A HELD unit's slip.
    Slip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelStatus {
    Printed,
    /// Certainly not on paper yet; the spool tries again.
    Pending,
    /// May or may not be on paper: only a person can tell.
    Failed,
    /// None is owed.
    None,
}
