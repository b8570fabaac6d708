//! What the log holds. `bytes` of an event is the JSON written here, once, and never re-encoded.
//!
//! People are named by id and salted hash only. Certificates, challenges and signatures are kept
//! whole, so that an outsider can repeat every check years later.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::ser::Error as _;
use serde_json::value::RawValue;

use super::flat;
use crate::domain::profile::{CertificateStatus, ConnectMode, KeyKind, WriteBack};
use crate::domain::{
    AccountId, Arn, BatchName, BoardSerial, Bytes, CaAct, CaEnd, CaMode, CaName, ChipUid, Device, EntryPlace, EventId,
    Failure, Fingerprint, Identity, KnownIdentity, LaneNumber, ManifestEntry, OperatorRef, Persons, PolicyName,
    Product, Proof, ProvisioningTemplateName, Region, ReportFormat, ReportScope, Role, RunId, Sha256, SpkiHash,
    StationName, Step, TargetName, TemplateKind, ThingName, TopicName, Unit, Variables, Verdict,
};

/// One event: the envelope and what happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The encoding's version.
    pub v: u32,
    pub id: EventId,
    /// The station's clock; order is by sequence, never by this.
    pub at: Timestamp,
    pub station: StationName,
    pub operator: Option<OperatorRef>,
    pub run: Option<RunId>,
    pub body: Body,
}

/// The version that this code writes. Since 2 a run that still has its board looks at the chip a third
/// time before it passes.
pub const VERSION: u32 = 2;

#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    Run(RunEvent),
    Line(LineEvent),
}

impl Event {
    /// The leaf's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Event { v, id, at, station, operator, run, body } = self;
        let envelope = EnvelopeOut { v: *v, id, at, station, operator: operator.as_ref(), run: run.as_ref() };
        // Most are shorter; those with a certificate grow once.
        let mut bytes = Vec::with_capacity(1024);
        serde_json::to_writer(&mut bytes, &envelope)?;
        match body {
            Body::Run(happened) => flat::write(&mut bytes, happened)?,
            Body::Line(happened) => flat::write(&mut bytes, happened)?,
        }
        Ok(bytes)
    }

    /// As it stands in the log, for whoever puts it into another document.
    pub fn to_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.encode()?)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let EnvelopeIn { v, id, at, station, operator, run, event } = serde_json::from_slice(bytes)?;
        let body = match flat::read(&event, bytes) {
            Some(happened) => Body::Run(happened?),
            None => match flat::read(&event, bytes) {
                Some(happened) => Body::Line(happened?),
                None => return Err(serde::de::Error::custom(format!("no event is called {event:?}"))),
            },
        };
        Ok(Self { v, id, at, station, operator, run, body })
    }
}

/// Within something larger, as it is on its own.
impl serde::Serialize for Event {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = String::from_utf8(self.encode().map_err(S::Error::custom)?).map_err(S::Error::custom)?;
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// What lies beside the body, in this order.
#[derive(serde::Serialize)]
struct EnvelopeOut<'e> {
    v: u32,
    id: &'e EventId,
    at: &'e Timestamp,
    station: &'e StationName,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<&'e OperatorRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'e RunId>,
}

#[derive(serde::Deserialize)]
struct EnvelopeIn<'e> {
    v: u32,
    id: EventId,
    at: Timestamp,
    station: StationName,
    operator: Option<OperatorRef>,
    run: Option<RunId>,
    /// Names the body's variant.
    #[serde(borrow)]
    event: Cow<'e, str>,
}

/// What happens to one run; `provisioning::Run` is the fold over these.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// The run was made by an air-gapped station, whose log has its events first: they were proven to be
    /// there, and are told here once more.
    Captured {
        capture: Capture,
    },
    /// The intent: committed before the effect.
    StepBegan {
        step: Step,
    },
    /// Ends `identify`.
    Identified {
        unit: Unit,
        variables: Variables,
        /// The board is asked once more before the run may pass.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        again: bool,
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
        /// The ruling that opened this run; the claim uses it up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ruling: Option<EventId>,
        /// Certificates that rulings took from the unit: none of them may be left on its thing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaces: Vec<Fingerprint>,
        /// The entry of the batch's shipment manifest that this claim used, or had used before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        entry: Option<EntryPlace>,
    },
    /// Before register: certificate and UID were read again and are the same.
    ReadAgain {
        reading: Reading,
    },
    /// Before the verdict, its chip let go of: the board was asked again, and has the serial number that it had.
    IdentifiedAgain {
        serial: BoardSerial,
    },
    /// The intent to have the chip sign a request for a certificate: what it is to sign is fixed before the chip
    /// sees it.
    RequestMade {
        target: TargetName,
        thing: ThingName,
        /// CertificationRequestInfo, DER (RFC 2986 §4.1).
        info: Bytes,
    },
    /// The request, signed by the chip and verified on this host. It goes out after this: from here on somebody may
    /// have made a certificate that nobody has recorded yet.
    CertificateRequested {
        target: TargetName,
        /// PKCS#10, DER.
        request: Bytes,
    },
    /// AWS is to make a key for the unit, and a certificate for it: from here on it may have. The key itself never comes
    /// to any log.
    KeysRequested {
        target: TargetName,
        thing: ThingName,
    },
    /// The certificate that the unit is registered with, by the chip's own key or by one that AWS made. Its fingerprint
    /// is this unit's alone from here on.
    CertificateIssued {
        issued: IssuedCertificate,
    },
    /// AWS has applied its fleet's template to the certificate. It answers once, so this is kept before anything is read
    /// back.
    Provisioned {
        target: TargetName,
        certificate: Fingerprint,
        device_configuration: BTreeMap<String, String>,
    },
    /// The board was given what AWS made of it: the device configuration, and its key where AWS made that.
    BoardConfigured {},
    /// The intent to register, with everything that is about to be written.
    RegisterIntended {
        fingerprint: Fingerprint,
        thing: ThingName,
        targets: Vec<TargetName>,
        /// The unit's own key is to make a connection to each of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connect: Option<ConnectMode>,
    },
    /// The token has the certificate that was made for its key, read back.
    CertificateKept {
        /// As the profile names it.
        object: String,
        /// By this run.
        written: bool,
    },
    /// It has it not, and the profile does not insist.
    CertificateNotKept {
        object: String,
        failure: Failure,
    },
    /// One target holds all of it, read back.
    Registered {
        target: TargetRecord,
    },
    /// The unit's own key has made its connection to one target.
    Connected {
        connection: ConnectionRecord,
    },
    /// It has not, and the profile does not insist.
    NotConnected {
        target: TargetName,
        failure: Failure,
    },
    /// What a run registered, or may have, is set INACTIVE: before the verdict where it ends in FAIL, and after it
    /// where the unit is locked by then and something is left.
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
        /// The target that was being asked to register has answered, and this attempt left no certificate there that
        /// could be ACTIVE. Else one may be.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        untouched: bool,
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
    /// The one that was printed is void, for the reason that a person typed: another copy is owed.
    LabelReplaced {
        kind: LabelKind,
        /// Which one it is, from 2.
        copy: u32,
        reason: FreeText,
    },
    /// The label was scanned back at its board's lane, and is the right one.
    LabelConfirmed {
        kind: LabelKind,
        copy: u32,
    },
}

/// What happens outside of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEvent {
    StationStarted {
        version: String,
    },
    StationStopped {},
    /// The log could not be written by this station, and can be again: boards were left waiting.
    LogReturned {
        since: Timestamp,
        failure: Failure,
    },
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
    /// The log's name, stated once: the origin of every checkpoint of it.
    LogOpened {
        origin: String,
    },
    /// A key whose signatures vouch for this log from here on.
    LogKeyAdded {
        /// The verifier key (C2SP signed-note): name, key id, Ed25519 public key.
        key: String,
        role: LogKeyRole,
        /// The key that this one takes the place of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<String>,
    },
    OperatorAdded {
        person: OperatorRef,
        role: Role,
        /// SHA-256 of the salted hash that the PIN is compared with: another one in the database is nobody's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin_sha256: Option<Sha256>,
    },
    /// The person may no longer sign in.
    OperatorDisabled {
        person: OperatorRef,
    },
    /// The person has a new PIN, and may sign in again.
    OperatorReset {
        person: OperatorRef,
        /// As in `OperatorAdded`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pin_sha256: Option<Sha256>,
    },
    /// The person's role is another from here on.
    OperatorRole {
        person: OperatorRef,
        role: Role,
    },
    /// The person has a badge, and no other any more.
    BadgeGiven {
        person: OperatorRef,
        /// SHA-256 of the keyed hash that a scanned badge is looked up by: another one in the database is nobody's.
        badge_sha256: Sha256,
    },
    /// The person has none any more.
    BadgeRevoked {
        person: OperatorRef,
    },
    /// A badge that opens nothing here; `locked`: one too many, and all badges have to wait.
    BadgeRefused {
        /// Whose it was, where it is on record.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<OperatorRef>,
        locked: bool,
    },
    /// The person operates this station from here on.
    SignedIn {
        person: OperatorRef,
        proof: Proof,
    },
    /// The person does so no longer.
    SignedOut {
        person: OperatorRef,
        why: SignOut,
    },
    /// Nobody did anything here for a while: boards are begun again once somebody has signed in.
    StationLocked {
        person: OperatorRef,
    },
    /// A wrong PIN; `locked`: one too many, and the person has to wait.
    SignInRefused {
        person: OperatorRef,
        locked: bool,
    },
    /// Name and salt behind an id were deleted; its events stay.
    PersonForgotten {
        person: uuid::Uuid,
    },
    /// A text that somebody typed, and its salt, were deleted; the event that commits to it stays.
    TextForgotten {
        text: uuid::Uuid,
    },
    /// A correction by people who answer for it. Nothing before it changes.
    Ruled {
        #[serde(flatten)]
        ruling: Ruling,
        /// The second of the two persons; the first is the event's operator.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        second: Option<OperatorRef>,
        /// How many the station's configuration asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        persons: Option<Persons>,
        reason: FreeText,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        evidence: Vec<Evidence>,
        /// What it rests on that is no file at hand: a ticket's number, where a photo lies.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        references: Vec<FreeText>,
    },
    /// The intent to change a setting in the station's file.
    SettingIntended {
        setting: String,
        /// `None`: the file said nothing of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        old: Option<String>,
        new: String,
        /// SHA-256 of the file as it is to be.
        file: Sha256,
    },
    /// What became of it. An intent without an end was cut off: the file's hash tells whether it was written.
    SettingEnded {
        setting: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A label that belongs to no unit is about to be printed, to see whether labels come out.
    TestLabelIntended {},
    TestLabelEnded {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// What became of a withdrawal in one of its targets: the intent is the ruling.
    Withdrawn {
        /// The ruling that withdraws the unit.
        by: EventId,
        unit: Unit,
        target: TargetName,
        /// `inactive`, `detached`, `certificate-deleted`, `thing-deleted`: what was made so; what was so already is not named.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changed: Vec<String>,
        /// Certificates of its chip's key that no run had recorded, and that were taken back, too.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<Fingerprint>,
        /// Something is left, and why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// These HELD runs left for a station that has a cloud.
    HeldExported {
        runs: Vec<HeldRun>,
    },
    /// All runs of such a file were taken in.
    HeldImported {
        /// SHA-256 of the file.
        file: Sha256,
        /// The log that its runs are of, and the event by which that log let them go.
        origin: String,
        exported: u64,
        /// The verifier key that vouched for it.
        key: String,
        runs: u64,
    },
    /// One row of a history made elsewhere.
    Imported {
        source: ImportSource,
        unit: Unit,
        fingerprint: Fingerprint,
        /// Where the history has the whole certificate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        spki: Option<SpkiHash>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certificate: Option<Bytes>,
        /// By the certificate, as a profile of the product reads it there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<ChipUid>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thing: Option<ThingName>,
        /// When the history says it happened.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        date: Option<Timestamp>,
        /// What the row contradicts; it binds nothing then.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conflicts: Vec<ImportConflict>,
    },
    /// The whole file was taken in.
    ImportEnded {
        /// SHA-256 of the file.
        file: Sha256,
        rows: u64,
        conflicts: u64,
    },
    /// A certificate that a profile trusts: each stands in the log once, so that what a run was decided by
    /// is at hand years later.
    CertificatePinned {
        certificate: Bytes,
    },
    /// A revocation list that a profile names, likewise.
    CrlPinned {
        crl: Bytes,
    },
    /// From here on this is the newest list that a CA made of one scope: an older one decides nothing any more.
    CrlTakenUp {
        /// SHA-256 over the CA's key, its name and the list's scope.
        series: Sha256,
        /// Counts the lists of the series.
        nth: u64,
        list: CrlFacts,
    },
    /// Some entries of a vendor's list, which counts once it is taken in whole.
    ManifestListed {
        /// Names the list: SHA-256 over the batch, the file and all of its entries.
        list: Sha256,
        /// How many of the list's entries stand in events before this one.
        before: u64,
        entries: Vec<ManifestEntry>,
    },
    /// A vendor's list is part of the batch's shipment manifest from here on.
    ManifestImported {
        batch: BatchName,
        list: Sha256,
        /// SHA-256 of the file.
        file: Sha256,
        /// Its name without folders.
        name: String,
        entries: u64,
        /// SHA-256 of the certificates whose keys signed its entries; none: it was not signed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signers: Vec<Fingerprint>,
    },
    /// The intent to change what a target knows of an own CA.
    CaIntended {
        act: CaAct,
        ca: CaName,
        fingerprint: Fingerprint,
        target: TargetName,
        /// As the configuration has it.
        mode: CaMode,
        auto_registration: bool,
    },
    /// What became of it. An intent without an end was cut off: the act is repeated, and finds or does it.
    CaEnded {
        act: CaAct,
        ca: CaName,
        fingerprint: Fingerprint,
        target: TargetName,
        end: CaEnd,
    },
    /// The intent to make a provisioning template in a target.
    TemplateIntended {
        template: ProvisioningTemplateName,
        target: TargetName,
        kind: TemplateKind,
        /// SHA-256 of the body that AWS is sent.
        body: Sha256,
        role: Arn,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hook: Option<Arn>,
    },
    /// What became of it. An intent without an end was cut off: the act is repeated, and finds or does it.
    TemplateEnded {
        template: ProvisioningTemplateName,
        target: TargetName,
        /// It was not there before.
        made: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The intent to have a claim certificate made. An intent without an end may have left one, INACTIVE.
    ClaimIntended {
        template: ProvisioningTemplateName,
        policy: PolicyName,
        target: TargetName,
    },
    ClaimEnded {
        template: ProvisioningTemplateName,
        target: TargetName,
        /// Of the certificate that was made. Its key is nowhere here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// The log was copied here from another store, leaf by leaf.
    LogMigrated {
        from: String,
        size: u64,
        root: Sha256,
    },
    /// The bytes of leaves `first..end` were moved to a file; their hashes stay.
    Archived {
        first: u64,
        end: u64,
        /// SHA-256 of the archive.
        file: Sha256,
    },
    /// A report is about to leave the log: its file has this SHA-256 once it is in its place.
    Exported {
        scope: ReportScope,
        format: ReportFormat,
        /// Persons are named by what only this log can tell who they are.
        pseudonymous: bool,
        runs: u64,
        file: Sha256,
    },
    BackedUp {
        size: u64,
        root: Sha256,
        /// SHA-256 of the copy.
        file: Sha256,
    },
    /// A backup was put in the log's place.
    Restored {
        size: u64,
        root: Sha256,
        file: Sha256,
        /// There was a log, with a mark of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        replaced: bool,
    },
}

impl LineEvent {
    /// The id of the event that pins what has this SHA-256, whoever writes it.
    pub fn pinned_as(sha256: &[u8; 32]) -> EventId {
        EventId::from_random(std::array::from_fn(|at| sha256[at]))
    }

    /// The id of the event that takes up the `nth` list of a series, whoever writes it.
    pub fn taken_up_as(series: &Sha256, nth: u64) -> EventId {
        let what = [b"lineseal crl v1 ".as_slice(), series.as_bytes(), &nth.to_be_bytes()].concat();
        Self::pinned_as(Sha256::of(&what).as_bytes())
    }
}

/// Why a person no longer operates a station.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignOut {
    /// A person said so.
    Asked,
    /// Another person signed in.
    Replaced,
    /// They may sign in no more.
    Disabled,
    /// The station ended.
    Stopped,
}

/// Where a run was made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Capture {
    /// The name of that log.
    pub origin: String,
    pub station: StationName,
    /// The number on the unit's slip there.
    pub slip: u64,
    /// The run's last event there.
    pub last: u64,
}

/// A HELD run as it leaves its station.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HeldRun {
    pub run: RunId,
    pub slip: u64,
    /// Its last event: a file in which anything is missing is not this one.
    pub last: u64,
}

/// What a key vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKeyRole {
    /// A station's own: signs each checkpoint.
    Station,
    /// A second pair of eyes: signs what it has verified.
    Cosigner,
}

/// What people may decide about a unit, or about the log itself.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "ruling", rename_all = "kebab-case")]
pub enum Ruling {
    /// The unit may be tried once more.
    Release { unit: Unit },
    /// The unit is never taken again.
    Scrap { unit: Unit },
    /// After a repair: the unit's binding moves from the old identity to the new one.
    Rebind {
        unit: Unit,
        old: KnownIdentity,
        new: Identity,
        /// The run that proved the new identity and was refused. `run` is the envelope's word.
        #[serde(rename = "proven_by")]
        run: RunId,
    },
    /// What the unit registered is taken back. It is refused from here on, until a release opens one run that
    /// may register it again; its claim stays.
    Withdraw {
        unit: Unit,
        act: Withdrawal,
        /// What the log knows of it, target by target.
        targets: Vec<Holding>,
    },
    /// The log is known to be behind these checkpoints, or could not be compared with their copies;
    /// the station may claim again.
    Rollback {
        /// The log as it was found.
        size: u64,
        root: Sha256,
        /// What it was found to contradict: signed checkpoints, whole.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        known: Vec<String>,
    },
}

impl Ruling {
    /// The unit that it is about.
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Ruling::Release { unit }
            | Ruling::Scrap { unit }
            | Ruling::Rebind { unit, .. }
            | Ruling::Withdraw { unit, .. } => Some(unit),
            Ruling::Rollback { .. } => None,
        }
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Ruling::Release { .. } => "release",
            Ruling::Scrap { .. } => "scrap",
            Ruling::Rebind { .. } => "rebind",
            Ruling::Withdraw { .. } => "withdraw",
            Ruling::Rollback { .. } => "rollback",
        }
    }

    /// Whose it is to make.
    pub fn roles(&self) -> &'static [Role] {
        match self {
            Ruling::Rollback { .. } => &RULE_ON_THE_LOG,
            Ruling::Withdraw { .. } => &WITHDRAW_UNITS,
            Ruling::Release { .. } | Ruling::Scrap { .. } | Ruling::Rebind { .. } => &RULE_ON_UNITS,
        }
    }
}

/// Who may rule on a unit.
pub const RULE_ON_UNITS: [Role; 2] = [Role::Qa, Role::Administrator];
/// Who may rule on the log itself.
pub const RULE_ON_THE_LOG: [Role; 2] = [Role::Supervisor, Role::Administrator];

/// Who says which chips a vendor has shipped.
pub const TAKE_IN_LISTS: [Role; 2] = [Role::Supervisor, Role::Qa];
/// Who takes a report out of the log.
pub const EXPORT_REPORTS: [Role; 3] = [Role::Supervisor, Role::Qa, Role::Administrator];
/// Who may take back what a unit registered.
pub const WITHDRAW_UNITS: [Role; 2] = [Role::Supervisor, Role::Administrator];

/// How what a unit registered is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withdrawal {
    /// Its certificates are set INACTIVE; everything stays where it is.
    Deactivate,
    /// Its certificates come off thing and policy and are deleted, its thing with them; the policy stays.
    Delete,
}

/// What a unit registered, or meant to, in one target.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holding {
    pub target: TargetName,
    pub certificates: Vec<Fingerprint>,
    /// Things that were read back with one of these on them.
    pub things: Vec<ThingName>,
    /// Things that were meant and never read back: who made them is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intended: Vec<ThingName>,
    pub policies: Vec<PolicyName>,
    /// Requests for a certificate whose answer no run recorded: AWS may have made one for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Unanswered>,
}

/// By what a certificate can be found that nobody recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unanswered {
    /// Of the chip's key.
    pub spki: SpkiHash,
    /// The request went out then.
    pub since: Timestamp,
}

/// A text that a person typed: committed here, kept apart from the log with its salt, so that it can
/// be forgotten without rewriting anything.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FreeText {
    pub id: uuid::Uuid,
    /// SHA-256(32-byte salt ‖ UTF-8 text), 64 hexadecimal digits.
    pub text_sha256: String,
}

/// A file that a ruling rests on; the file itself is kept by QA.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Its name without folders.
    pub name: String,
    pub sha256: Sha256,
}

/// Where an imported row stood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImportSource {
    /// SHA-256 of the file.
    pub file: Sha256,
    /// From 1; the header is line 1.
    pub line: u64,
}

/// What an imported row contradicts.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ImportConflict {
    pub rule: ConflictRule,
    /// Who holds it, and under which certificate.
    pub unit: Unit,
    pub fingerprint: Fingerprint,
    /// The event that made the holder's binding.
    pub seq: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictRule {
    /// The certificate is another unit's.
    Certificate,
    /// The key is another unit's or another certificate's.
    Key,
    /// The chip is another unit's.
    Uid,
    /// The unit has another certificate.
    Unit,
}

/// Why the chip is asked to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    First,
    BeforeRegister,
    /// Right before the verdict, when everything about the unit is done.
    AfterConnect,
}

impl Purpose {
    /// As it stands in the challenge.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::First => "first",
            Purpose::BeforeRegister => "before-register",
            Purpose::AfterConnect => "after-connect",
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
    /// The same of the private key; `None`: it was not found, or the event is older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_found_as: Option<String>,
    /// The same of the object that holds the UID, where the profile names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid_found_as: Option<String>,
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
    /// For TLS 1.3; the salt is as long as the hash. No challenge is signed so.
    RsaPssRsaeSha256,
}

/// What the host's verifier found, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    pub key: KeyKind,
    pub spki: SpkiHash,
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
    /// An intermediate has expired and the profile accepts that: the path was looked at as of this
    /// moment, RFC 3339, the beginning of the certificate's own validity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_as_of: Option<String>,
    /// The revocation lists that were asked; none of them names a certificate of the path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crls: Vec<CrlFacts>,
}

/// Which revocation list it was.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CrlFacts {
    pub issuer: String,
    /// The CRL number in hexadecimal, where the list has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// RFC 3339, UTC.
    pub this_update: String,
    pub next_update: String,
    /// Of the DER.
    pub sha256: Sha256,
}

impl CrlFacts {
    /// The newer of two lists is greater: by date, and by number (RFC 5280 §5.2.3) where a CA dates by the day.
    pub fn age(&self) -> (&str, Option<(usize, &str)>) {
        (&self.this_update, self.number.as_deref().map(|number| (number.len(), number)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// This claim made the binding.
    New,
    /// The unit held this very identity before.
    Known,
    /// The unit holds this certificate, and its key or chip UID was not known: this claim adds it.
    Completed,
    /// A ruling moved the unit's binding to this identity.
    Rebound,
}

/// A certificate that was made for the unit's own key, or with one by AWS.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IssuedCertificate {
    pub target: TargetName,
    pub fingerprint: Fingerprint,
    /// DER.
    pub certificate: Bytes,
    /// What lies between it and its root, where whoever made it said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<Bytes>,
    /// SHA-256 of the request (PKCS#10) by which it was asked for in this run; `None`: AWS made its key, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Sha256>,
    pub origin: IssuedOrigin,
    /// Who made it, where that was not the target: the endpoint's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The token is to keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_back: Option<WriteBack>,
}

/// Whence an issued certificate comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IssuedOrigin {
    /// Made for this very request.
    Made,
    /// Made for an earlier request of this unit whose answer was never recorded.
    Found,
    /// Recorded by an earlier run of this unit.
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
    /// Certificates of this unit's past that this run took off the thing and its policy, or set INACTIVE.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<Fingerprint>,
    /// What a fleet's template answers a device with.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub device_configuration: BTreeMap<String, String>,
    /// How the certificate that this run attached is on its thing; `None`: found attached, or AWS does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
}

/// AWS's thingPrincipalType.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attachment {
    /// AWS attaches the certificate to no other thing.
    Exclusive,
    NonExclusive,
}

/// A connection that the unit's own key made, as its thing, and what the broker let it do.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ConnectionRecord {
    pub target: TargetName,
    /// `host:port`.
    pub endpoint: String,
    /// The thing's name.
    pub client_id: ThingName,
    /// `TLSv1_2`, `TLSv1_3`.
    pub tls: String,
    /// As IANA registers it.
    pub cipher: String,
    /// How the chip signed for it; the signature was verified here before it went out.
    pub scheme: SignatureScheme,
    /// SHA-256 of the broker's certificate.
    pub broker: Fingerprint,
    /// Topics on which a message that was published came back.
    pub topics: Vec<TopicName>,
    pub refused: RefusedTopic,
    /// The one that succeeded included.
    pub tries: u32,
    pub ms: u64,
}

/// What the broker said to a topic that the policy does not allow.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RefusedTopic {
    pub topic: TopicName,
    pub subscribe: Refused,
    /// `None`: the connection was over by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Refused>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// SUBACK with return code 0x80.
    Suback,
    /// It ended the connection.
    Closed,
    /// PUBACK, from a broker that also says so of what it throws away: it tells nothing.
    Acknowledged,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_without_revocation_lists_is_written_as_it_always_was() {
        let old = concat!(
            r#"{"key":"ec-p256","spki":"SHA","subject":"CN=chip","issuer":"CN=vendor","serial":"01","#,
            r#""not_before":"2020-01-01T00:00:00Z","not_after":"9999-12-31T23:59:59Z","path":["SHA"]}"#
        )
        .replace("SHA", &"0".repeat(64));
        let decision: Decision = serde_json::from_str(&old).unwrap();
        assert_eq!((&decision.path_as_of, decision.crls.len()), (&None, 0));
        assert_eq!(serde_json::to_string(&decision).unwrap(), old);
        let crl = CrlFacts {
            issuer: "CN=vendor".to_owned(),
            number: Some("07".to_owned()),
            this_update: "2026-01-01T00:00:00Z".to_owned(),
            next_update: "2027-01-01T00:00:00Z".to_owned(),
            sha256: Sha256::of(b"list"),
        };
        let as_of = Some("2023-01-01T00:00:00Z".to_owned());
        let new = Decision { path_as_of: as_of, crls: vec![crl], ..decision };
        assert_eq!(serde_json::from_str::<Decision>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
    }

    /// An event lies flat in its envelope: a field that has the name of one of the envelope's could be
    /// written and never be read again.
    #[test]
    fn every_ruling_is_read_back_as_it_was_written() {
        let unit = || Unit { product: "gateway".parse().unwrap(), serial: "A1".parse().unwrap() };
        let new = |text: &[u8]| Identity { fingerprint: Fingerprint::of(text), spki: SpkiHash::of(text), uid: None };
        let run = RunId::from_random([7; 16]);
        let imported = KnownIdentity { fingerprint: Fingerprint::of(b"old"), spki: None, uid: None };
        let known = KnownIdentity { uid: Some("00112233".parse().unwrap()), ..new(b"older").into() };
        let note = "origin\n1\n".to_owned();
        for ruling in [
            Ruling::Release { unit: unit() },
            Ruling::Scrap { unit: unit() },
            Ruling::Rebind { unit: unit(), old: imported, new: new(b"new"), run },
            Ruling::Rebind { unit: unit(), old: known, new: new(b"new"), run },
            Ruling::Withdraw {
                unit: unit(),
                act: Withdrawal::Delete,
                targets: vec![Holding {
                    target: "main".parse().unwrap(),
                    certificates: vec![Fingerprint::of(b"old")],
                    things: vec!["gw-A1".parse().unwrap()],
                    intended: vec!["gw-A2".parse().unwrap()],
                    policies: vec!["device".parse().unwrap()],
                    unanswered: vec![Unanswered { spki: SpkiHash::of(b"key"), since: Timestamp::UNIX_EPOCH }],
                }],
            },
            Ruling::Rollback { size: 1, root: Sha256::of(b""), known: vec![note] },
        ] {
            let person = |id: u128| OperatorRef { id: uuid::Uuid::from_u128(id), name_sha256: "0".repeat(64) };
            let event = Event {
                v: VERSION,
                id: EventId::from_random([1; 16]),
                at: Timestamp::UNIX_EPOCH,
                station: "L1".parse().unwrap(),
                operator: Some(person(1)),
                run: None,
                body: Body::Line(LineEvent::Ruled {
                    ruling,
                    second: Some(person(2)),
                    persons: Some(Persons::Two),
                    reason: FreeText { id: uuid::Uuid::from_u128(3), text_sha256: "0".repeat(64) },
                    evidence: vec![Evidence { name: "photo.jpg".to_owned(), sha256: Sha256::of(b"photo") }],
                    references: vec![FreeText { id: uuid::Uuid::from_u128(4), text_sha256: "1".repeat(64) }],
                }),
            };
            let bytes = event.encode().unwrap();
            assert_eq!(Event::decode(&bytes).unwrap(), event, "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
