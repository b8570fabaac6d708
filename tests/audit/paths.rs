//! Certificate paths before openssl: chains of the kinds that vendors have, and both say the same.

use std::path::Path;
use std::process::Command;

use lineseal::audit::x509::issued;
use lineseal::domain::profile::{Crl, CrlCoverage, KeyKind, Trust, UidRule};
use lineseal::provisioning::checks::check_certificate;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, RevokedCertParams, SerialNumber, date_time_ymd,
};

const NOW: &str = "2026-06-01T12:00:00Z";

fn params(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    params
}

fn ca(name: &str, serial: u64) -> CertificateParams {
    let mut params = params(name, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn chip() -> CertificateParams {
    let mut params = params("chip", 7);
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names = vec![rcgen::SanType::DnsName("chip.example".try_into().unwrap())];
    params
}

/// Root, intermediate and chip as changed, and the serial number that the intermediate's list names.
struct Case {
    what: &'static str,
    good: bool,
    root: fn(&mut CertificateParams),
    intermediate: fn(&mut CertificateParams),
    chip: fn(&mut CertificateParams),
    names: Option<u64>,
    foreign: bool,
    /// The issuer as the chip writes it.
    spelled: Option<&'static str>,
}

const GOOD: Case = Case {
    what: "good to the end of 9999",
    good: true,
    root: |_| {},
    intermediate: |_| {},
    chip: |_| {},
    names: None,
    foreign: false,
    spelled: None,
};

/// One policy, critical.
fn policies() -> CustomExtension {
    let policy = [0x30, 0x0a, 0x30, 0x08, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x01];
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 32], policy.to_vec());
    extension.set_criticality(true);
    extension
}

fn printable(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, DnValue::PrintableString(name.try_into().unwrap()));
    distinguished
}

/// A constraint on directory names: `O=` this, permitted or excluded.
fn organization(name: &str, permitted: bool) -> Option<NameConstraints> {
    let mut base = DistinguishedName::new();
    base.push(DnType::OrganizationName, DnValue::PrintableString(name.try_into().unwrap()));
    let (none, some) = (Vec::new(), vec![GeneralSubtree::DirectoryName(base)]);
    let (permitted_subtrees, excluded_subtrees) = if permitted { (some, none) } else { (none, some) };
    Some(NameConstraints { permitted_subtrees, excluded_subtrees })
}

/// `O=Forge Chips` before the common name.
fn of_forge(params: &mut CertificateParams) {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Forge Chips");
    for (kind, value) in params.distinguished_name.iter() {
        name.push(kind.clone(), value.clone());
    }
    params.distinguished_name = name;
}

fn dns(permitted: &str) -> Option<NameConstraints> {
    let permitted_subtrees = vec![GeneralSubtree::DnsName(permitted.to_owned())];
    Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() })
}

#[test]
fn openssl_says_of_every_path_what_we_say() {
    let bad = || Case { good: false, ..GOOD };
    let cases = [
        GOOD,
        Case { what: "a foreign intermediate of the same name", foreign: true, ..bad() },
        Case { what: "an expired chip", chip: |it| it.not_after = date_time_ymd(2025, 1, 1), ..bad() },
        Case { what: "an expired intermediate", intermediate: |it| it.not_after = date_time_ymd(2025, 1, 1), ..bad() },
        Case { what: "an intermediate that is no CA", intermediate: |it| it.is_ca = IsCa::ExplicitNoCa, ..bad() },
        Case { what: "names inside", intermediate: |it| it.name_constraints = dns("example"), ..GOOD },
        Case { what: "names outside", intermediate: |it| it.name_constraints = dns("elsewhere"), ..bad() },
        Case {
            what: "a subject inside a permitted directory name, but for case and spaces",
            intermediate: |it| it.name_constraints = organization("forge  CHIPS ", true),
            chip: of_forge,
            ..GOOD
        },
        Case {
            what: "a subject outside the permitted directory name",
            intermediate: |it| it.name_constraints = organization("Forge", true),
            chip: of_forge,
            ..bad()
        },
        Case {
            what: "a subject without the attribute that is permitted",
            intermediate: |it| it.name_constraints = organization("Forge Chips", true),
            ..bad()
        },
        Case {
            what: "a subject inside an excluded directory name, but for case",
            intermediate: |it| it.name_constraints = organization("FORGE CHIPS", false),
            chip: of_forge,
            ..bad()
        },
        Case {
            what: "a subject outside the excluded directory name",
            intermediate: |it| it.name_constraints = organization("Elsewhere", false),
            chip: of_forge,
            ..GOOD
        },
        Case {
            what: "a root that permits both subjects below it",
            root: |it| it.name_constraints = organization("Forge Chips", true),
            intermediate: of_forge,
            chip: of_forge,
            ..GOOD
        },
        Case {
            what: "a root that permits the chip's and not the intermediate's",
            root: |it| it.name_constraints = organization("Forge Chips", true),
            chip: of_forge,
            ..bad()
        },
        Case {
            what: "a root that excludes the chip's",
            root: |it| it.name_constraints = organization("Forge Chips", false),
            chip: of_forge,
            ..bad()
        },
        Case {
            what: "a root that excludes others",
            root: |it| it.name_constraints = organization("Elsewhere", false),
            chip: of_forge,
            ..GOOD
        },
        Case {
            what: "a constraint and a list that names another",
            intermediate: |it| it.name_constraints = organization("Forge Chips", true),
            chip: of_forge,
            names: Some(8),
            ..GOOD
        },
        Case {
            what: "a constraint and a list that names the chip",
            intermediate: |it| it.name_constraints = organization("Forge Chips", true),
            chip: of_forge,
            names: Some(7),
            ..bad()
        },
        Case {
            what: "for clients",
            chip: |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            ..GOOD
        },
        Case {
            what: "for servers",
            chip: |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            ..bad()
        },
        Case {
            what: "an intermediate that may sign lists only",
            intermediate: |it| it.key_usages = vec![KeyUsagePurpose::CrlSign],
            ..bad()
        },
        Case {
            what: "a root that may sign lists only",
            root: |it| it.key_usages = vec![KeyUsagePurpose::CrlSign],
            ..bad()
        },
        Case {
            what: "CAs that do not say what for",
            root: |it| it.key_usages = vec![],
            intermediate: |it| it.key_usages = vec![],
            ..GOOD
        },
        Case { what: "a chip that signs", chip: |it| it.key_usages = vec![KeyUsagePurpose::DigitalSignature], ..GOOD },
        Case {
            what: "a chip that deciphers keys only",
            chip: |it| it.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
            ..bad()
        },
        Case {
            what: "critical policies all the way",
            intermediate: |it| it.custom_extensions = vec![policies()],
            chip: |it| it.custom_extensions = vec![policies()],
            ..GOOD
        },
        Case {
            what: "an issuer that the chip writes in capitals and another type of text",
            spelled: Some("INTER  mediate"),
            intermediate: |it| it.distinguished_name = printable("inter mediate"),
            ..GOOD
        },
        Case { what: "an issuer of another name", spelled: Some("intermediates"), ..bad() },
        Case {
            what: "no CA below the intermediate, and there is none",
            intermediate: |it| it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
            ..GOOD
        },
        Case { what: "a list that names another", names: Some(8), ..GOOD },
        Case { what: "a list that names the chip", names: Some(7), ..bad() },
    ];
    for case in cases {
        let made = Made::of(&case);
        assert_eq!(made.openssl(), case.good, "openssl: {}", case.what);
        let trust = Trust {
            roots: vec![made.root.der().to_vec()],
            intermediates: vec![made.intermediate.der().to_vec()],
            issuer: None,
            expired_intermediate: Default::default(),
            crls: made.list.iter().map(|der| Crl { file: "list".into(), der: der.clone() }).collect(),
            crl_coverage: CrlCoverage::Leaf,
            keys: KeyKind::ALL.to_vec(),
            uid: UidRule::None,
            uid_from_cn: None,
        };
        let ours = check_certificate(made.chip.der(), None, &trust, NOW.parse().unwrap());
        assert_eq!(ours.is_ok(), case.good, "{}: {ours:?}", case.what);
        // What a bundle repeats of it years later: who signed whom.
        let [root, intermediate, chip] = [&made.root, &made.intermediate, &made.chip].map(|it| it.der().to_vec());
        assert!(issued(&root, &intermediate) && !issued(&root, &chip) && !issued(&chip, &chip), "{}", case.what);
        let others = case.foreign || case.what == "an issuer of another name";
        assert_eq!(issued(&intermediate, &chip), !others, "{}", case.what);
    }
}

struct Made {
    root: Certificate,
    intermediate: Certificate,
    chip: Certificate,
    list: Option<Vec<u8>>,
}

impl Made {
    fn of(case: &Case) -> Made {
        let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
        let root_key = key(&rcgen::PKCS_ECDSA_P521_SHA512);
        let mut root = ca("root", 1);
        (case.root)(&mut root);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let root = Issuer::new(root, root_key);

        let (own, foreign) = (key(&rcgen::PKCS_ECDSA_P256_SHA256), key(&rcgen::PKCS_ECDSA_P256_SHA256));
        let mut intermediate = ca("intermediate", 2);
        (case.intermediate)(&mut intermediate);
        let pinned = intermediate.signed_by(&own, &root).unwrap();
        if let Some(spelled) = case.spelled {
            intermediate.distinguished_name = DistinguishedName::new();
            intermediate.distinguished_name.push(DnType::CommonName, spelled);
        }
        let issuer = Issuer::new(intermediate, if case.foreign { foreign } else { own });

        let mut chip_params = chip();
        (case.chip)(&mut chip_params);
        let chip = chip_params.signed_by(&key(&rcgen::PKCS_ECDSA_P256_SHA256), &issuer).unwrap();
        let list = case.names.map(|serial| {
            let revoked = RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2026, 1, 1),
                reason_code: None,
                invalidity_date: None,
            };
            let list = CertificateRevocationListParams {
                this_update: date_time_ymd(2026, 1, 1),
                next_update: date_time_ymd(2027, 1, 1),
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: vec![revoked],
                key_identifier_method: KeyIdMethod::Sha256,
            };
            list.signed_by(&issuer).unwrap().der().to_vec()
        });
        Made { root: root_certificate, intermediate: pinned, chip, list }
    }

    fn openssl(&self) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        };
        write("root", self.root.pem().as_bytes());
        write("intermediate", self.intermediate.pem().as_bytes());
        write("chip", self.chip.pem().as_bytes());
        let mut command = Command::new("openssl");
        let now: jiff::Timestamp = NOW.parse().unwrap();
        command.current_dir(dir.path()).args(["verify", "-purpose", "sslclient", "-attime"]);
        command.arg(now.as_second().to_string()).args(["-CAfile", "root", "-untrusted", "intermediate"]);
        if let Some(list) = &self.list {
            write("list", list);
            to_pem(dir.path());
            command.args(["-crl_check", "-CRLfile", "list.pem"]);
        }
        command.arg("chip").output().unwrap().status.success()
    }
}

/// openssl takes lists as PEM only.
fn to_pem(dir: &Path) {
    let arguments = ["crl", "-inform", "DER", "-in", "list", "-out", "list.pem"];
    assert!(Command::new("openssl").current_dir(dir).args(arguments).status().unwrap().success());
}
