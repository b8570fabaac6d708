//! What the core needs from the world: one trait a file, use-case methods, `Result` everywhere.
//!
//! A refusal is a [`Failure`](crate::domain::Failure): its reason code decides the verdict.

mod archiving;
mod authorities;
mod badges;
mod boards;
mod cloud;
mod connection;
mod copies;
mod dialogue;
mod examination;
mod fleet;
mod history;
mod issuing;
mod manifests;
mod mark;
mod people;
mod printer;
mod provisioner;
mod rations;
mod reports;
mod settings;
mod signals;
mod signer;
mod store;
mod system;
mod token;
mod verification;

pub use archiving::Archiving;
pub use authorities::{Authorities, CaSigner, HeldCa};
pub use badges::BadgeKey;
pub use boards::BoardSource;
pub use cloud::{Cloud, Issuance, Join, Made, MadeBefore, Prepared, ReadBack, Refusal, Registration, TakenBack};
pub use connection::{Connections, TlsKey, Trial};
pub use copies::{CheckpointPlace, Wanted};
pub use dialogue::{Answer, BoardDialogue};
pub use examination::{Caller, Credentials, Examined, Examiner, Need, Pace, Permission, Permitted, Skew};
pub use fleet::{ClaimPlace, ClaimPlan, Claims, HeldClaim, HeldTemplate, NewClaim, ProvisioningTemplates};
pub use history::{
    Checkpoints, Cursor, Found, History, ImportedRow, Imports, Lock, LockKind, LogKey, Page, RulingSummary, RunSummary,
    Search, StoredCheckpoint, UnitHistory,
};
pub use issuing::IssuingService;
pub use manifests::{Listing, Manifests};
pub use mark::HighWaterMark;
pub use people::{Credential, People, Person};
pub use printer::{LabelPictures, LabelPrinter, Readiness};
pub use provisioner::{Entry, Fleet, Fleets, MadeKey, Papers, Provisioned};
pub use rations::{Asked, Ration, Rations};
pub use reports::{ReportFile, ReportPage, ReportPlace, ReportedRun, Reports, Written};
pub use settings::SettingsFile;
pub use signals::{Ended, Light, Signals, Tower};
pub use signer::LogSigner;
pub use store::{
    AuditStore, Batch, BatchTally, Bound, Claim, ClaimAnswer, Collision, CollisionRule, Logged, ManifestTally,
    Obstacle, Receipt, RunLog, Unlisted,
};
pub use system::{Clock, Entropy};
pub use token::{Contents, Kept, ObjectKind, Token, TokenAccess, TokenObject, Tokens};
pub use verification::{Broken, Progress, Promise, Stage, Verification, Verified, Verifier, Witness};
