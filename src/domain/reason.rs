//! Reason codes: stable, documented in `assets/reasons.toml`, never reused.
//!
//! The letter says where to look: `B` board, `T` token, `C` certificate, `S` substitution, `A` AWS,
//! `P` printing, `L` log and store, `O` operator, `K` configuration. Each code carries the verdict
//! that it leads to, so that a cause cannot end in two ways.

use std::collections::BTreeMap;

use super::{Invalid, Verdict};

/// One documented cause. Only the codes of this file exist.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct ReasonCode(&'static str);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal => $verdict:ident;)*) => {
        impl ReasonCode {
            $($(#[$doc])* pub const $name: ReasonCode = ReasonCode($code);)*

            /// Every code, in order.
            pub const ALL: &'static [ReasonCode] = &[$(ReasonCode::$name),*];

            /// The verdict of a run that ends for this reason before it is sealed.
            pub fn verdict(self) -> Verdict {
                match self.0 {
                    $($code => Verdict::$verdict,)*
                    _ => Verdict::Error,
                }
            }
        }
    };
}

impl ReasonCode {
    /// A label that was stopped by this is certainly not on paper: it is tried again without asking anybody.
    pub fn leaves_no_paper(self) -> bool {
        [
            ReasonCode::PRINTER_UNREACHABLE,
            ReasonCode::PRINTER_EMPTY,
            ReasonCode::PRINTER_OPEN,
            ReasonCode::PRINTER_PAUSED,
            ReasonCode::PRINTER_FAULTY,
            ReasonCode::PRINTER_REFUSES,
        ]
        .contains(&self)
    }

    /// An identity that is another's says nothing about the unit whose serial number it came with.
    pub fn names_another_unit(self) -> bool {
        [ReasonCode::CERTIFICATE_BOUND, ReasonCode::KEY_BOUND, ReasonCode::UID_BOUND].contains(&self)
    }
}

reasons! {
    BOARD_UNKNOWN = "B-101" => Error;
    BOARD_SILENT = "B-102" => Error;
    BOARD_ANSWER = "B-103" => Error;
    BOARD_SERIAL = "B-104" => Error;
    BOARD_UNPLUGGED = "B-105" => Aborted;
    BOARD_TWIN = "B-106" => Error;
    PORT_DENIED = "B-107" => Error;
    PORT_FAILED = "B-108" => Error;
    BOARD_PREPARE = "B-109" => Error;
    BOARD_AMBIGUOUS = "B-110" => Error;
    /// More boards are plugged in than the station has lanes.
    BOARD_NO_LANE = "B-111" => Error;
    /// The open batch makes another product.
    BOARD_OTHER_BATCH = "B-112" => Error;

    TOKEN_MODULE = "T-201" => Error;
    TOKEN_ABSENT = "T-202" => Error;
    TOKEN_NO_CERTIFICATE = "T-203" => Fail;
    TOKEN_SILENT = "T-204" => Error;
    TOKEN_LOST = "T-205" => Error;
    TOKEN_PIN = "T-206" => Error;
    TOKEN_NO_KEY = "T-207" => Fail;
    TOKEN_NO_UID = "T-208" => Fail;
    TOKEN_REFUSED = "T-209" => Error;
    TOKEN_CRASHED = "T-210" => Error;
    TOKEN_MECHANISM = "T-211" => Error;

    CERTIFICATE_UNREADABLE = "C-101" => Fail;
    CERTIFICATE_FOREIGN_CA = "C-102" => Fail;
    CERTIFICATE_EXPIRED = "C-103" => Fail;
    CERTIFICATE_NOT_YET_VALID = "C-104" => Fail;
    CERTIFICATE_KEY = "C-105" => Fail;
    CERTIFICATE_IS_CA = "C-106" => Fail;
    CERTIFICATE_NO_UID = "C-107" => Fail;
    /// A constraint of the path not met, an unknown critical extension.
    CERTIFICATE_REFUSED = "C-108" => Fail;
    /// A revocation list of the profile names it, or a CA above it.
    CERTIFICATE_REVOKED = "C-109" => Fail;

    /// The challenge's signature does not verify under the certificate's key.
    CHIP_LACKS_KEY = "S-101" => Fail;
    UID_MISMATCH = "S-102" => Fail;
    CERTIFICATE_BOUND = "S-105" => Fail;
    KEY_BOUND = "S-106" => Fail;
    UID_BOUND = "S-107" => Fail;
    /// The unit is bound to another chip.
    UNIT_BOUND = "S-108" => Fail;
    /// Certificate, key or UID changed in the middle of a run.
    CHIP_CHANGED = "S-109" => Fail;
    THING_FOREIGN = "S-111" => Fail;
    CERTIFICATE_FOREIGN = "S-112" => Fail;
    /// The unit failed before, and nobody has ruled on it.
    UNIT_LOCKED = "S-113" => Fail;
    UNIT_SCRAPPED = "S-114" => Fail;
    /// The imported history contradicts itself about this unit or chip.
    IMPORT_CONFLICT = "S-115" => Fail;
    /// The batch has a shipment manifest, and the chip is not in it.
    CHIP_NOT_SHIPPED = "S-116" => Fail;
    /// The manifest names the chip with another certificate, key or UID.
    CHIP_SHIPPED_OTHERWISE = "S-117" => Fail;
    /// The chip's entry in the manifest was used by another unit.
    ENTRY_CONSUMED = "S-118" => Fail;
    /// What the unit had registered was taken back, and nobody has released it.
    UNIT_WITHDRAWN = "S-119" => Fail;

    CLOUD_UNREACHABLE = "A-301" => Held;
    CLOUD_THROTTLED = "A-302" => Held;
    CLOUD_FAILED = "A-303" => Held;
    CLOUD_NOT_YET = "A-304" => Held;
    /// The station has no cloud: its units are registered where their file is taken in.
    CLOUD_AIR_GAPPED = "A-305" => Held;
    /// The cloud can't be reached, and the profile says that its units don't wait.
    CLOUD_STOPS_LINE = "A-306" => Error;
    CLOUD_CREDENTIALS = "A-311" => Error;
    CLOUD_PERMISSION = "A-312" => Error;
    CLOUD_CLOCK = "A-313" => Error;
    /// This computer has no root certificates to know AWS by.
    CLOUD_ROOTS = "A-314" => Error;
    /// The name of the endpoint can't be resolved: as when the line's network is away.
    CLOUD_UNRESOLVED = "A-315" => Held;
    /// The server's certificate is of nobody whom this computer trusts: somebody must look who stands between.
    CLOUD_INTERCEPTED = "A-316" => Error;
    /// Something else than AWS answered: a network that wants somebody to sign in, or a proxy.
    CLOUD_PORTAL = "A-317" => Held;
    /// The credentials were good, and their time is over.
    CLOUD_EXPIRED = "A-318" => Error;
    POLICY_DIFFERS = "A-321" => Error;
    CLOUD_REFUSED = "A-322" => Error;
    CLOUD_CERTIFICATE = "A-323" => Error;
    CLOUD_LIMIT = "A-324" => Error;
    /// Ours in the cloud, but not in the state the profile asks for.
    CLOUD_STATUS = "A-325" => Error;
    /// The thing type is being deprecated or differs from the profile's.
    CLOUD_THING_TYPE = "A-326" => Error;
    /// The target does not know the CA in whose name the profile registers.
    CA_ABSENT = "A-331" => Error;
    CA_INACTIVE = "A-332" => Error;
    /// Registered already, and not under the profile's CA.
    CERTIFICATE_OTHER_CA = "A-333" => Error;
    /// Another account of the Region has the CA in DEFAULT mode.
    CA_TAKEN = "A-334" => Error;
    /// The CA is registered, and otherwise than the configuration has it.
    CA_DIFFERS = "A-335" => Error;
    /// The CA's private key can't be used, or is another CA's.
    CA_KEY = "A-336" => Error;
    /// AWS takes no further CA of this subject, or in this account.
    CA_LIMIT = "A-337" => Error;
    /// Of a unit that failed or was withdrawn, a certificate may be ACTIVE, and could not be set INACTIVE.
    CERTIFICATE_LEFT = "A-340" => Error;
    /// The MQTT endpoint does not answer at all.
    CONNECT_UNREACHABLE = "A-341" => Error;
    /// The endpoint's certificate is of none of the roots, or of another name.
    CONNECT_UNTRUSTED = "A-342" => Error;
    /// The broker takes the unit's certificate, client id or topic not, to the deadline.
    CONNECT_REFUSED = "A-343" => Error;
    /// The policy allows the topic that it should refuse.
    CONNECT_TOO_BROAD = "A-344" => Error;
    /// The connection broke, was silent, or spoke something else than MQTT.
    CONNECT_BROKEN = "A-345" => Error;
    /// Everything else is done, and only the board itself can make its connection.
    CONNECT_NEEDS_BOARD = "A-346" => Held;
    /// The target could not be looked at again once the unit had connected.
    CLOUD_UNSEEN = "A-347" => Error;
    /// A claim was asked for, and whether AWS made it nobody knows.
    CLAIM_PERHAPS_LEFT = "A-348" => Error;
    /// A person's command did not reach AWS; nothing waits for it.
    COMMAND_UNREACHED = "A-349" => Error;
    /// There is no such certificate to be set INACTIVE: it never was, or is deleted.
    CERTIFICATE_ABSENT = "A-350" => Error;
    /// The certificate that was made is for another key than the chip's.
    ISSUED_OTHER_KEY = "A-351" => Error;
    /// What was made is no certificate that the unit could use.
    ISSUED_UNUSABLE = "A-352" => Error;
    /// The profile's own endpoint for certificates does not answer, or not in time.
    ISSUER_UNREACHABLE = "A-353" => Error;
    /// It refuses the request, or answers with something else.
    ISSUER_FAILED = "A-354" => Error;
    /// The token does not keep the certificate that was made for its key.
    WRITE_BACK_REFUSED = "A-355" => Error;
    /// AWS has not registered the unit by itself, or not set it ACTIVE, before the deadline.
    JOIN_NOT_YET = "A-356" => Error;
    /// The CA's auto-registration is off in the target.
    JOIN_OFF = "A-357" => Error;
    /// What AWS's own template or rule made of the unit is not what the profile says.
    JOIN_OTHERWISE = "A-358" => Fail;
    /// … or it left something out.
    JOIN_INCOMPLETE = "A-359" => Error;
    /// RegisterThing has answered, and the thing, policy or attachment that the profile expects is not there.
    TEMPLATE_SHORT = "A-361" => Error;
    /// AWS does not take the provisioning template, or not with these parameters.
    TEMPLATE_REFUSED = "A-362" => Error;
    /// The provisioning template is there, and otherwise than it was asked for.
    TEMPLATE_DIFFERS = "A-363" => Error;
    /// The target has no provisioning template of that name for fleets.
    TEMPLATE_ABSENT = "A-364" => Error;
    /// The claim can't be read, or the broker does not take it.
    CLAIM_UNUSABLE = "A-365" => Error;
    /// AWS has refused the request for a certificate, or to apply the template.
    FLEET_REJECTED = "A-366" => Error;
    /// The template's hook has refused the device, or did not answer as it should.
    FLEET_HOOK = "A-367" => Error;
    /// The certificate is not this connection's to register, or not any more.
    FLEET_TOKEN = "A-368" => Error;
    /// The connection by the claim broke, was silent, or spoke something else than AWS does.
    FLEET_BROKEN = "A-369" => Error;
    /// The credentials, or what AWS answered, are another account's or Region's than the target's.
    CLOUD_ELSEWHERE = "A-371" => Error;
    /// The target's role may not be taken on.
    ROLE_REFUSED = "A-372" => Error;
    /// Whether a call is allowed could not be asked without making something.
    CLOUD_UNASKED = "A-373" => Error;
    /// This computer's clock and AWS's are too far apart.
    CLOCK_SKEWED = "A-374" => Error;
    /// An own CA's certificate is over, or soon will be.
    CA_EXPIRES = "A-375" => Error;

    PRINTER_UNREACHABLE = "P-401" => Pass;
    PRINTER_INTERRUPTED = "P-402" => Pass;
    LABEL_UNRENDERABLE = "P-403" => Pass;
    PRINTER_EMPTY = "P-411" => Pass;
    PRINTER_OPEN = "P-412" => Pass;
    PRINTER_PAUSED = "P-413" => Pass;
    PRINTER_FAULTY = "P-414" => Pass;
    PRINTER_REFUSES = "P-415" => Pass;
    /// The printer itself ended the label's job.
    LABEL_GIVEN_UP = "P-416" => Pass;
    /// A label that was scanned back is another unit's.
    LABEL_OTHER = "P-421" => Pass;
    LABEL_UNKNOWN = "P-422" => Pass;

    STORE_FAILED = "L-501" => Error;
    STORE_FULL = "L-502" => Error;
    STORE_READ_ONLY = "L-503" => Error;
    STORE_BUSY = "L-504" => Error;
    STORE_CORRUPT = "L-505" => Error;
    STORE_NEWER = "L-506" => Error;
    /// The database server cannot be reached.
    STORE_AWAY = "L-507" => Error;
    /// Another process drives this data directory, or works in the plant's log under this name.
    STATION_TWICE = "L-508" => Error;
    /// The log's file was deleted, moved or replaced under the running station.
    STORE_MOVED = "L-509" => Error;
    /// The log is behind, or contradicts, a checkpoint of it that is kept elsewhere.
    LOG_ROLLED_BACK = "L-521" => Error;
    /// The place that holds copies of the checkpoints could not be read at start.
    COPIES_UNREADABLE = "L-522" => Error;
    COPY_FAILED = "L-523" => Error;
    /// The high-water mark could not be written: no PASS is shown.
    MARK_FAILED = "L-524" => Error;
    LOG_KEY = "L-525" => Error;
    /// A verification found a broken promise.
    LOG_BROKEN = "L-526" => Error;
    /// The bytes were moved to an archive that is not at hand.
    LOG_ARCHIVED = "L-527" => Error;
    /// Another process, or another station, has written the run on.
    RUN_OVERTAKEN = "L-531" => Error;
    /// Another run of the unit has its label, or owes it.
    LABEL_TAKEN = "L-532" => Error;
    /// The unit was locked, or bound to another chip, before the verdict was written.
    PASS_BARRED = "L-533" => Error;
    /// A file of HELD units is not what the station that made it signed.
    HELD_FILE_BROKEN = "L-541" => Error;
    /// … or is signed by nobody who is known here.
    HELD_FILE_UNKNOWN = "L-542" => Error;
    /// The station ended, or was killed, in the middle of the run.
    STATION_STOPPED = "L-511" => Aborted;

    OPERATOR_STOPPED = "O-601" => Aborted;
    SCAN_UNEXPECTED = "O-602" => Error;
    SLIP_UNKNOWN = "O-603" => Error;
    /// Several lanes wait, and nobody said whose serial number this is.
    SCAN_AMBIGUOUS = "O-605" => Error;
    /// Asked for at the wrong moment, or of something that does not exist.
    NOT_NOW = "O-606" => Error;
    OPERATOR_UNKNOWN = "O-607" => Error;
    OPERATOR_PIN = "O-608" => Error;
    /// Too many wrong PINs.
    OPERATOR_LOCKED = "O-609" => Error;
    OPERATOR_ROLE = "O-610" => Error;
    /// A second person is missing, is the same one, or operated the run.
    OPERATOR_SECOND = "O-611" => Error;
    /// The ruling does not fit what the log holds.
    RULING_REFUSED = "O-612" => Error;
    IMPORT_REFUSED = "O-613" => Error;
    /// What the PIN is compared with was changed past the log.
    OPERATOR_PIN_ALTERED = "O-614" => Error;
    /// A command was given an argument that it can't use.
    ARGUMENT_REFUSED = "O-615" => Error;
    /// The unit, run, event or person that a command names is not in the log.
    NOT_IN_LOG = "O-616" => Error;
    /// A unit that was HELD failed when it was finished.
    HELD_FAILED = "O-617" => Error;
    /// A technician took it out again before anything was claimed.
    WRONG_BOARD = "O-640" => Aborted;
    /// What was put in by mistake has been claimed, or has its verdict.
    WRONG_BOARD_LATE = "O-641" => Error;
    /// The slip's unit still waits for the cloud.
    SLIP_NOT_READY = "O-604" => Error;
    /// The log knows people, and none of them has signed in here.
    NOBODY_SIGNED_IN = "O-620" => Error;
    /// Whoever signed in did nothing for a while.
    STATION_LOCKED = "O-621" => Error;
    BADGE_UNKNOWN = "O-622" => Error;
    /// The badge was right, and here that is half of it.
    BADGE_NEEDS_PIN = "O-623" => Error;
    /// Too many badges in a row that are nobody's.
    BADGES_LOCKED = "O-624" => Error;
    /// A badge alone does not prove enough for this.
    PIN_NEEDED = "O-625" => Error;
    BADGE_TAKEN = "O-626" => Error;
    /// The badge on record is not the one that the log has committed to.
    BADGE_ALTERED = "O-627" => Error;
    /// The key that badges are hashed with.
    BADGE_KEY = "O-628" => Error;

    /// A report could not be written to its file.
    REPORT_UNWRITTEN = "O-630" => Error;

    CONFIG_INVALID = "K-701" => Error;
    /// A value made from the board's answer is one that AWS, the label or a command refuses.
    CONFIG_VALUE = "K-702" => Error;
    /// The station's clock is behind its own log.
    CLOCK_BEHIND = "K-703" => Error;
    /// Practice data under a real configuration, or the other way round.
    PRACTICE_MIXED = "K-704" => Error;
    /// A revocation list has expired, is of no CA of the profile, or leaves a certificate uncovered.
    CRL_UNUSABLE = "K-705" => Error;
    /// The profile demands a shipment manifest, and the batch has none, or none is open.
    MANIFEST_MISSING = "K-706" => Error;
    /// Others than the station's user may write to the data directory.
    DIRECTORY_SHARED = "K-707" => Error;
    /// Somebody edited the station's file while a setting was changed in the window.
    CONFIG_CHANGED = "K-708" => Error;
    /// The station may not write its own file.
    CONFIG_READ_ONLY = "K-709" => Error;
    /// A port that is taught to one lane, and is another's.
    PORT_OF_OTHER_LANE = "K-710" => Error;
    /// A command for a sound or the signal tower.
    SIGNAL_FAILED = "K-720" => Error;
    /// The profile asks for another thing name than the one that the unit was registered under.
    THING_RENAMED = "K-730" => Error;
}

impl ReasonCode {
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::str::FromStr for ReasonCode {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        ReasonCode::ALL.iter().copied().find(|code| code.0 == text).ok_or_else(|| Invalid {
            what: "reason code",
            value: text.to_owned(),
            rule: "one of the codes in assets/reasons.toml",
        })
    }
}

impl<'de> serde::Deserialize<'de> for ReasonCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::fmt::Debug for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Why something did not go well: a code for everyone, arguments for the sentence the technician
/// reads, and the technical cause for QA. Never a sentence itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{code}: {cause}")]
pub struct Failure {
    pub code: ReasonCode,
    /// Values for the placeholders of the code's sentences, e.g. `unit`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    pub cause: String,
}

impl Failure {
    pub fn new(code: ReasonCode, cause: impl Into<String>) -> Self {
        Self { code, args: BTreeMap::new(), cause: cause.into() }
    }

    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.args.insert(name.to_owned(), value.to_string());
        self
    }
}
