//! A profile: how a product is recognised, read, trusted, registered and labelled. Values only;
//! `config` reads them from TOML and has checked all of it before a line starts.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    AttributeName, CommandLine, Fingerprint, ParameterName, PolicyName, Product, ProvisioningTemplateName, SigningCa,
    TargetName, Template, ThingTypeName, UsbIds,
};

/// Variables that every run has once its board is identified; the named groups of the identify
/// answer come on top. `port` is the serial device's node and absent for boards without one.
pub const RUN_VARIABLES: [&str; 5] = ["serial", "port", "usb_path", "product", "station"];

/// Those of them that are known before the board said a word.
pub const DEVICE_VARIABLES: [&str; 4] = ["port", "usb_path", "product", "station"];

/// What a label or slip may name besides: always set, empty where the run has no such value.
/// `practice` is `PRACTICE` on the practice line and empty elsewhere; `fingerprint` up to `chip_uid` are of
/// the chip and its own certificate, `certificate_id` is AWS's, of what is registered.
pub const LABEL_VARIABLES: [&str; 20] = [
    "thing",
    "fingerprint",
    "subject",
    "issuer",
    "certificate_serial",
    "not_before",
    "not_after",
    "chip_uid",
    "certificate_id",
    "verdict",
    "reason",
    "time",
    "date",
    "batch",
    "lane",
    "operator",
    "run",
    "slip",
    "copy",
    "practice",
];

/// What a topic may name besides [`RUN_VARIABLES`].
pub const TOPIC_VARIABLES: [&str; 1] = ["thing"];

/// What `configure` may name besides [`RUN_VARIABLES`], the parameters of the device configuration that AWS answered
/// with, and nothing else: `configuration` is all of it, JSON in one line.
pub const CONFIGURE_VARIABLES: [&str; 4] = ["thing", "certificate_id", "certificate_pem", "configuration"];
/// The private key that AWS made for the board (`keys = "aws"`), PEM. Never a word of a command, and kept nowhere.
pub const PRIVATE_KEY: &str = "private_key";
/// Those of them that are no word of a command: of any length and several lines, and in every list of processes. A
/// command reads them on its standard input.
pub const LONG_VARIABLES: [&str; 3] = ["certificate_pem", "configuration", PRIVATE_KEY];

/// What a parameter of a provisioning template may name besides [`RUN_VARIABLES`]: `certificate_pem` is the unit's,
/// `ca_certificate_pem` that of the CA in whose name it is registered (empty without one).
pub const PARAMETER_VARIABLES: [&str; 4] = ["thing", "certificate_id", "certificate_pem", "ca_certificate_pem"];

#[derive(Debug, Clone)]
pub struct Profile {
    /// The profile's name: its file's stem.
    pub name: String,
    pub product: Product,
    pub matches: Match,
    pub prepare: Vec<Prepare>,
    pub identify: Identify,
    pub token: TokenPlan,
    pub trust: Trust,
    pub register: Register,
    /// `None`: no connection is tried.
    pub connect: Option<ConnectPlan>,
    pub label: Option<LabelPlan>,
    /// `None`: shipment manifests are not read.
    pub manifest: Option<ManifestPlan>,
}

/// Which devices are this product. Every condition that is given must hold; none given matches
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct Match {
    pub usb: Vec<UsbIds>,
    /// On the physical path (or the directory link's name).
    pub path: Option<regex::Regex>,
    pub usb_serial: Option<regex::Regex>,
    pub usb_product: Option<regex::Regex>,
    /// The USB interface number, for boards with several ports.
    pub interface: Option<u8>,
    /// `true`: a serial port is needed; `false`: only devices without one; `None`: either.
    pub serial_port: Option<bool>,
}

/// What is done before the chip is read, e.g. waking it from deep power-down; see
/// [`Prepare::needs_answer`] for when.
#[derive(Debug, Clone)]
pub enum Prepare {
    /// A program and its arguments; exit status 0 within the deadline.
    Command {
        command: CommandLine,
        /// What it reads on its standard input, which ends then.
        stdin: Option<Template>,
        timeout: Duration,
    },
    /// Send, then expect an answer that matches.
    Dialogue(Dialogue),
}

impl Prepare {
    /// Names something that only the board's answer brings (its serial number, a named group), so it
    /// is done after the answer; anything else is done before the question, and may wake the board.
    pub fn needs_answer(&self) -> bool {
        self.variables().any(|name| !DEVICE_VARIABLES.contains(&name))
    }

    /// All that it names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let templates: Box<dyn Iterator<Item = &Template>> = match self {
            Prepare::Command { command, stdin, .. } => Box::new(command.templates().chain(stdin)),
            Prepare::Dialogue(dialogue) => Box::new(dialogue.send.iter()),
        };
        templates.flat_map(Template::variables)
    }
}

/// One question over the board's serial port.
#[derive(Debug, Clone)]
pub struct Dialogue {
    pub baud: u32,
    /// What is sent, escapes already resolved; `None` only listens.
    pub send: Option<Template>,
    /// On the bytes received so far.
    pub expect: regex::bytes::Regex,
    /// For one attempt.
    pub timeout: Duration,
    /// Attempts after the first.
    pub retries: u32,
}

/// Where the board's serial number comes from.
#[derive(Debug, Clone)]
pub struct Identify {
    pub source: IdentifySource,
    /// The board is asked twice before anything is done in its name, and once more before it passes. Not where the source is no question, or the board
    /// can answer only once.
    pub again: bool,
    /// What a serial number of this product looks like, whole.
    pub serial: regex::Regex,
}

#[derive(Debug, Clone)]
pub enum IdentifySource {
    /// USB iSerial; the profile thereby states that it is unique.
    UsbSerial,
    /// The named group `serial` of the answer; other named groups become variables.
    Dialogue(Dialogue),
    /// A scanned barcode, bound to the lane that waits for it.
    Barcode { timeout: Duration },
}

/// How the chip's token is reached through PKCS#11.
#[derive(Debug, Clone)]
pub struct TokenPlan {
    pub module: PathBuf,
    pub environment: BTreeMap<String, Template>,
    /// A program whose standard input and output are a `p11-kit remote`: the module is p11-kit's client, and
    /// the program is started for each of its connections.
    pub command: Option<CommandLine>,
    /// Which slot, when the module shows several with a token; `None` takes the only one.
    pub slot: SlotChoice,
    pub certificate: ObjectName,
    pub key: ObjectName,
    /// A data object whose raw value is the chip's UID.
    pub uid: Option<ObjectName>,
    pub pin: Option<Pin>,
    /// Per PKCS#11 call.
    pub call_timeout: Duration,
    /// For starting the module and opening the session; a silent SE050 peer blocks up to 57 s.
    pub open_timeout: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SlotChoice {
    Only,
    TokenLabel(String),
}

/// An object in a token.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ObjectName {
    /// An SE050 object id: both label forms are tried, then CKA_ID in both byte orders.
    Se050(u32),
    /// From a PKCS#11 URI (RFC 7512): `object` and `id`, at least one of them.
    Attributes { label: Option<String>, id: Option<Vec<u8>> },
}

/// Under which of its names an object answered. NXP's module labels SE050 objects byte-swapped up to
/// version 4.2, and writes CKA_ID little-endian up to 4.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameForm {
    Label,
    SwappedLabel,
    LittleEndianId,
    BigEndianId,
    /// As the profile's PKCS#11 URI has it.
    Uri,
}

impl ObjectName {
    /// Every name that an SE050 object may have, in the order in which they are tried.
    pub fn se050_names(id: u32) -> [(NameForm, String); 4] {
        let id_name = |id: [u8; 4]| format!("id={}", hex::encode(id));
        [
            (NameForm::Label, format!("sss:{id:08X}")),
            (NameForm::SwappedLabel, format!("sss:{:08X}", id.swap_bytes())),
            (NameForm::LittleEndianId, id_name(id.to_le_bytes())),
            (NameForm::BigEndianId, id_name(id.to_be_bytes())),
        ]
    }

    /// Which form of this name `found_as` is; `None`: none.
    pub fn form_of(&self, found_as: &str) -> Option<NameForm> {
        match self {
            ObjectName::Se050(id) => {
                Self::se050_names(*id).into_iter().find_map(|(form, name)| (name == found_as).then_some(form))
            }
            ObjectName::Attributes { .. } => (self.to_string() == found_as).then_some(NameForm::Uri),
        }
    }
}

/// As a person would write it.
impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ObjectName::Se050(id) => write!(f, "{id:#010X}"),
            ObjectName::Attributes { label, id } => {
                let label = label.as_ref().map(|label| format!("object={label}"));
                let id = id.as_ref().map(|id| format!("id={}", hex::encode(id)));
                f.write_str(&[label, id].into_iter().flatten().collect::<Vec<_>>().join(";"))
            }
        }
    }
}

/// Where the PIN comes from; never the TOML itself unless it is empty.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Pin {
    Empty,
    File(PathBuf),
    Environment(String),
}

/// What a certificate must satisfy.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Pinned trust anchors, DER.
    pub roots: Vec<Vec<u8>>,
    pub intermediates: Vec<Vec<u8>>,
    /// The one of them that must have signed the chip's certificate itself, which is registered in that CA's
    /// name.
    pub issuer: Option<Fingerprint>,
    pub expired_intermediate: ExpiredIntermediate,
    /// Without any, nobody is asked whether a certificate was revoked.
    pub crls: Vec<Crl>,
    pub crl_coverage: CrlCoverage,
    pub keys: Vec<KeyKind>,
    pub uid: UidRule,
    /// A regular expression over the certificate subject's CN whose group `uid` is the chip's UID
    /// in hexadecimal.
    pub uid_from_cn: Option<regex::Regex>,
}

/// A certificate revocation list (RFC 5280 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crl {
    /// Where it came from: one file may hold several.
    pub file: PathBuf,
    pub der: Vec<u8>,
}

/// What is asked of the certificates of a path once there are revocation lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CrlCoverage {
    /// A list for the chip's certificate and for every intermediate.
    #[default]
    Chain,
    /// A list for the chip's certificate; intermediates are not asked about.
    Leaf,
    /// Whatever the given lists cover; what none covers passes.
    Listed,
}

/// What becomes of a path over an intermediate that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExpiredIntermediate {
    #[default]
    Refuse,
    /// Good enough that the path was valid when the chip's certificate, itself still valid, began.
    Accept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    EcP256,
    EcP384,
    EcP521,
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl KeyKind {
    pub const ALL: [KeyKind; 6] =
        [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521, KeyKind::Rsa2048, KeyKind::Rsa3072, KeyKind::Rsa4096];
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::EcP256 => "ec-p256",
            KeyKind::EcP384 => "ec-p384",
            KeyKind::EcP521 => "ec-p521",
            KeyKind::Rsa2048 => "rsa-2048",
            KeyKind::Rsa3072 => "rsa-3072",
            KeyKind::Rsa4096 => "rsa-4096",
        }
    }
}

/// `uid = required | certificate | none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UidRule {
    /// Read from the chip and, where `uid_from_cn` is given, equal to the certificate's.
    Required,
    /// Taken from the certificate alone.
    Certificate,
    None,
}

/// How the unit is registered in AWS IoT Core.
#[derive(Debug, Clone)]
pub struct Register {
    pub method: Method,
    pub targets: Vec<TargetName>,
    pub thing_name: Template,
    pub thing_type: Option<ThingTypeName>,
    pub attributes: BTreeMap<AttributeName, Template>,
    pub certificate_status: CertificateStatus,
    pub policy: PolicyPlan,
    /// For all calls of one unit to one target, retries and read-back included.
    pub deadline: Duration,
    pub offline: Offline,
    /// How the board is given what AWS made of it (the method `fleet`).
    pub configure: Option<Prepare>,
}

/// What becomes of a unit whose chip is proven when the cloud cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offline {
    /// It is HELD and finished later; the line goes on.
    Hold,
    /// ERROR: its board stays until the cloud is back.
    Stop,
}

/// How a device gets into AWS IoT Core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Method {
    /// RegisterCertificateWithoutCA with the chip's factory certificate.
    WithoutCa,
    /// RegisterCertificate in the name of an own CA, which the target knows already.
    WithCa(SigningCa),
    /// With a certificate that is made for the chip's key.
    Csr(CsrPlan),
    /// By AWS itself, when the chip first connects with a certificate of this CA (JITP, JITR).
    JustInTime(SigningCa),
    /// RegisterThing with a provisioning template; the certificate is the chip's, of an own CA where one is named.
    Template { ca: Option<SigningCa>, template: ThingTemplate },
}

/// What RegisterThing is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThingTemplate {
    /// JSON. Its functions are AWS's own and stay as they are.
    pub body: String,
    pub certificate: TemplateCertificate,
    pub parameters: BTreeMap<ParameterName, Template>,
}

/// How a provisioning template names the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateCertificate {
    /// `CertificateId`: it has to be registered before.
    ById,
    /// `CertificatePem`: RegisterThing registers it, which AWS does for certificates of a registered CA only.
    ByPem,
}

/// By whom a certificate is registered, once there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registrar<'m> {
    /// By the station, without a CA.
    Station,
    /// By the station, in the name of a CA.
    InNameOf(&'m SigningCa),
    /// By AWS itself, which made it, or has seen it.
    Aws,
}

impl Method {
    /// The CA that the target must know.
    pub fn ca(&self) -> Option<&SigningCa> {
        match (self, self.registrar()) {
            (Method::JustInTime(ca), _) | (_, Registrar::InNameOf(ca)) => Some(ca),
            (_, Registrar::Station | Registrar::Aws) => None,
        }
    }

    pub fn template(&self) -> Option<&ThingTemplate> {
        match self {
            Method::Template { template, .. } => Some(template),
            _ => None,
        }
    }

    pub fn fleet(&self) -> Option<&FleetPlan> {
        match self {
            Method::Csr(CsrPlan { issuer: Issuer::Fleet(plan), .. }) => Some(plan),
            _ => None,
        }
    }

    /// What a provisioning template is told of a unit.
    pub fn parameters(&self) -> Option<&BTreeMap<ParameterName, Template>> {
        let of_template = self.template().map(|template| &template.parameters);
        of_template.or_else(|| self.fleet().map(|fleet| &fleet.parameters))
    }

    pub fn registrar(&self) -> Registrar<'_> {
        match self {
            Method::WithoutCa => Registrar::Station,
            Method::WithCa(ca) => Registrar::InNameOf(ca),
            Method::Template { ca, .. } => ca.as_ref().map_or(Registrar::Station, Registrar::InNameOf),
            Method::Csr(CsrPlan { issuer: Issuer::Aws | Issuer::Fleet(_), .. }) | Method::JustInTime(_) => {
                Registrar::Aws
            }
            Method::Csr(CsrPlan { issuer: Issuer::Endpoint(endpoint), .. }) => {
                endpoint.ca.as_ref().map_or(Registrar::Station, Registrar::InNameOf)
            }
        }
    }

    /// The user's own service that makes the certificates.
    pub fn endpoint(&self) -> Option<&IssuingEndpoint> {
        match self {
            Method::Csr(CsrPlan { issuer: Issuer::Endpoint(endpoint), .. }) => Some(endpoint),
            _ => None,
        }
    }

    /// The CA that signs the chips' own certificates, which are what it registers.
    pub fn chips_ca(&self) -> Option<&SigningCa> {
        match self {
            Method::WithCa(ca) | Method::JustInTime(ca) => Some(ca),
            Method::Template { ca, .. } => ca.as_ref(),
            Method::WithoutCa | Method::Csr(_) => None,
        }
    }

    /// A unit may wait for the cloud: its own key is not needed to register it.
    pub fn may_hold(&self) -> bool {
        match self {
            Method::WithoutCa | Method::WithCa(_) | Method::Template { .. } => true,
            Method::Csr(_) | Method::JustInTime(_) => false,
        }
    }

    pub fn as_str(&self) -> &'static str {
        match self {
            Method::WithoutCa => "without-ca",
            Method::WithCa(_) => "with-ca",
            Method::Csr(CsrPlan { issuer: Issuer::Fleet(_), .. }) => "fleet",
            Method::Csr(_) => "csr",
            Method::JustInTime(_) => "just-in-time",
            Method::Template { .. } => "template",
        }
    }
}

/// How a certificate comes about for the chip's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsrPlan {
    pub issuer: Issuer,
    /// `None`: the token does not get it.
    pub write_back: Option<WriteBackPlan>,
}

/// Where in the token the certificate is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteBackPlan {
    pub object: ObjectName,
    pub mode: WriteBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteBack {
    /// What came of it is recorded, and the run goes on.
    Optional,
    /// No PASS without it.
    Required,
}

/// Who makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issuer {
    /// The target: CreateCertificateFromCsr.
    Aws,
    Endpoint(IssuingEndpoint),
    /// The target, over MQTT and by a claim; it registers the unit, too (fleet provisioning).
    Fleet(FleetPlan),
}

/// How a fleet is entered, and what it is told of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetPlan {
    /// As AWS calls it.
    pub template: ProvisioningTemplateName,
    pub claim: ClaimSource,
    pub keys: FleetKeys,
    pub parameters: BTreeMap<ParameterName, Template>,
}

/// Whose key AWS certifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetKeys {
    /// The chip's own, by a request that it signs (CreateCertificateFromCsr).
    Chip,
    /// One that AWS makes (CreateKeysAndCertificate), and that the board is given; the chip stays what proves who it is.
    Aws,
}

/// What a fleet is entered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimSource {
    /// A claim certificate and its private key, PEM.
    Files { certificate: PathBuf, key: PathBuf },
    /// A claim of minutes, by the AWS credentials of the target (CreateProvisioningClaim).
    TrustedUser,
}

/// A service of the user's own that makes certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuingEndpoint {
    pub url: String,
    /// Where its bearer token comes from.
    pub token: Option<Pin>,
    /// In whose name its certificates are registered; `None`: without a CA.
    pub ca: Option<SigningCa>,
    /// Whom it is known by, DER; `None`: the system's roots.
    pub roots: Option<Vec<Vec<u8>>>,
    pub timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CertificateStatus {
    Active,
    Inactive,
}

impl CertificateStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            CertificateStatus::Active => "ACTIVE",
            CertificateStatus::Inactive => "INACTIVE",
        }
    }
}

/// The device policy: created if absent, compared if present, never silently changed.
#[derive(Debug, Clone)]
pub struct PolicyPlan {
    pub name: PolicyName,
    /// A JSON policy document. `${…}` policy variables are AWS's own and stay as they are.
    pub document: String,
}

/// The connection that a unit's own key makes to each target.
#[derive(Debug, Clone)]
pub struct ConnectPlan {
    pub mode: ConnectMode,
    pub port: MqttPort,
    /// Of each, a message that is published comes back.
    pub topics: Vec<Template>,
    /// The policy refuses it.
    pub refused_topic: Template,
    /// Whom the endpoint's certificate may come from, DER; `None`: the system's roots.
    pub roots: Option<Vec<Vec<u8>>>,
    /// TLS 1.3 is not offered: its RSA signatures (PSS) are none that every token makes.
    pub only_tls12: bool,
    /// For one target, all tries included.
    pub deadline: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectMode {
    /// What came of it is recorded, and the run goes on.
    Optional,
    /// No PASS without it.
    Required,
}

/// Where AWS IoT Core listens for MQTT by client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MqttPort {
    Mqtts,
    /// By the ALPN name `x-amzn-mqtt-ca`, for sites that let nothing else out.
    Https,
}

impl MqttPort {
    pub fn number(self) -> u16 {
        match self {
            MqttPort::Mqtts => 8883,
            MqttPort::Https => 443,
        }
    }
}

#[derive(Debug, Clone)]
pub struct LabelPlan {
    /// ZPL II with `{variables}`; braces of the label itself are doubled.
    pub template: Template,
    /// The slip of a HELD unit.
    pub slip: Template,
    /// The slip of a unit that failed; `None`: it gets none.
    pub fail_slip: Option<Template>,
    /// The label is scanned back at its board's lane.
    pub scan_back: bool,
}

/// How a vendor's list of shipped chips is read.
#[derive(Debug, Clone)]
pub struct ManifestPlan {
    /// No board is taken in a batch that has none.
    pub required: bool,
    pub format: ManifestFormat,
    /// At least one of the four.
    pub uid: Option<ManifestField>,
    pub fingerprint: Option<ManifestField>,
    pub certificate: Option<ManifestField>,
    /// A public key, or the hash of its SubjectPublicKeyInfo.
    pub key: Option<ManifestField>,
}

#[derive(Debug, Clone)]
pub enum ManifestFormat {
    /// Separated values under a header; `None`: the separator that the header has most of.
    Csv { separator: Option<u8>, encoding: ManifestEncoding },
    /// A JSON array of flattened JWS objects (RFC 7515 §7.2.2), each signed with ES256 by one of these
    /// certificates (DER).
    SignedJson { signers: Vec<Vec<u8>> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestEncoding {
    Utf8,
    ShiftJis,
    Windows1252,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestField {
    /// A column's name, or a JSON pointer (RFC 6901) into the signed payload.
    pub at: String,
    pub form: ManifestForm,
}

/// How bytes are written. PEM is known by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestForm {
    /// Upper or lower case, with or without colons or spaces.
    Hex,
    /// Either alphabet, with or without padding (RFC 4648 §4, §5).
    Base64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prepare_entry_waits_for_the_answer_only_if_it_names_it() {
        let command = |arg: &str| Prepare::Command {
            command: CommandLine {
                program: Template::parse("wake").unwrap(),
                args: vec![Template::parse(arg).unwrap()],
            },
            stdin: None,
            timeout: Duration::ZERO,
        };
        assert!(!command("{port} {usb_path} {product} {station}").needs_answer());
        assert!(command("{serial}").needs_answer());
        assert!(command("root@{address}").needs_answer());
        let dialogue = |send: Option<&str>| {
            Prepare::Dialogue(Dialogue {
                baud: 115_200,
                send: send.map(|text| Template::parse(text).unwrap()),
                expect: regex::bytes::Regex::new("OK").unwrap(),
                timeout: Duration::ZERO,
                retries: 0,
            })
        };
        assert!(!dialogue(None).needs_answer() && !dialogue(Some("wake {port}")).needs_answer());
        assert!(dialogue(Some("wake {serial}")).needs_answer());
    }

    #[test]
    fn names_read_as_in_a_uri() {
        assert_eq!(ObjectName::Se050(0xF000_0111).to_string(), "0xF0000111");
        let both = ObjectName::Attributes { label: Some("Cert".into()), id: Some(vec![1, 2]) };
        assert_eq!(both.to_string(), "object=Cert;id=0102");
    }

    #[test]
    fn the_form_that_answered_tells_the_modules_version() {
        let key = ObjectName::Se050(0xF000_0110);
        let forms = ["sss:F0000110", "sss:100100F0", "id=100100f0", "id=f0000110", "sss:F0000111"];
        let [label, swapped, little, big] =
            [NameForm::Label, NameForm::SwappedLabel, NameForm::LittleEndianId, NameForm::BigEndianId].map(Some);
        assert_eq!(forms.map(|found_as| key.form_of(found_as)), [label, swapped, little, big, None]);
    }
}
