//! Own CAs through the whole line: registered by a person, in one or several accounts, and boards whose chips
//! they certified.

use std::os::unix::fs::PermissionsExt as _;

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use aws_sdk_iot::types::{CaCertificateStatus, CertificateMode};
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{Fingerprint, ReasonCode};
use lineseal::practice::token::TokenDir;
use lineseal::practice::vendor::{Validity, VendorCa};
use lineseal::runner::view::{Command, Health, LaneState, LaneView};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use crate::bench::{Bench, Chip, new_uid};
use crate::log;
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::station::{Station, assert_outcome};

/// Stand for two accounts in MiniStack, which knows them by such keys.
const ACCOUNTS: [&str; 2] = ["111111111111", "222222222222"];
const WITH_CA: &str = "method = \"with-ca\"\nca = \"own\"";

/// A line whose vendor's CA is its own, with `Root` as administrator.
struct Line<'a> {
    bench: Bench<'a>,
}

impl<'a> Line<'a> {
    async fn new(cloud: &'a Cloud, ca: &str) -> Line<'a> {
        let change = |profile: String| profile.replace("method = \"without-ca\"", WITH_CA);
        let line = Line { bench: Bench::with_profile(1, cloud, change).await };
        line.configure(&format!("\n[ca.own]\ncertificate = \"vendor/intermediate.pem\"\n{ca}\n"));
        let (pin, args) = (line.pin(), ["operator", "add", "Root", "--role", "administrator", "--new-pin-file"]);
        Program::on(&line.bench, [&args[..], &[&pin]].concat()).run().await.expect(0);
        line
    }

    fn configure(&self, more: &str) {
        let text = std::fs::read_to_string(&self.bench.config_file).unwrap();
        std::fs::write(&self.bench.config_file, text + more).unwrap();
    }

    fn pin(&self) -> String {
        let path = self.bench.dir.path().join("pin-root");
        std::fs::write(&path, "root's own pin\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// `lineseal ca …` by Root.
    async fn ca(&self, args: &[&str], status: i32) -> Ended {
        let pin = self.pin();
        let args = [&["ca"], args, &["--json", "--as", "Root", "--pin-file", &pin]].concat();
        self.program(&args).run().await.expect(status)
    }

    /// With the keys of both accounts where AWS's configuration names them.
    fn program(&self, args: &[&str]) -> Program {
        let keys = |account: &str| {
            format!("[account-{account}]\naws_access_key_id = {account}\naws_secret_access_key = test\n")
        };
        let file = self.bench.dir.path().join("aws-credentials");
        std::fs::write(&file, ACCOUNTS.map(keys).concat()).unwrap();
        let none = self.bench.dir.path().join("aws-config").display().to_string();
        Program::on(&self.bench, args.iter().copied())
            .env("AWS_SHARED_CREDENTIALS_FILE", &file.display().to_string())
            .env("AWS_CONFIG_FILE", &none)
    }

    fn ca_id(&self) -> String {
        Fingerprint::of(self.bench.vendor.intermediate()).to_string()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        log::all(&log::read(&self.bench.data_dir()), kind).into_iter().cloned().collect()
    }
}

/// From outside, as the account's root.
fn account(cloud: &Cloud, key: &str) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new(key, "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

async fn described(client: &Client, id: &str) -> Option<(CaCertificateStatus, CertificateMode, bool)> {
    let answer = client.describe_ca_certificate().certificate_id(id).send().await.ok()?;
    let found = answer.certificate_description?;
    let auto = found.auto_registration_status.is_some_and(|auto| auto.as_str() == "ENABLE");
    Some((found.status?, found.certificate_mode?, auto))
}

fn refused_for(state: &LaneState, code: ReasonCode) -> bool {
    matches!(state, LaneState::Refused { failure } if failure.code == code)
}

/// It was plugged in before the station had seen anything of the cloud.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_is_there_first_is_not_begun_before_the_first_look_at_its_ca() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud, "").await;
    let chip = line.bench.chip(KeyKind::EcP256);
    line.bench.plug(1, "EARLY", &chip);
    let mut station = Station::start(&line.bench).await;
    // There is no lane before the station has begun.
    let is_refused = |state: &LaneState| refused_for(state, ReasonCode::CA_ABSENT);
    let seen = |lanes: &[LaneView]| lanes.first().is_some_and(|lane| is_refused(&lane.state));
    station.until("a board that is not begun", |snapshot| seen(&snapshot.lanes)).await;
    let log = station.stop().await;
    assert!(log::all(&log, "run-started").is_empty(), "nothing is read, and nothing claimed");
    assert_eq!(log::all(&log, "board-refused")[0]["failure"]["code"], "A-331");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_waits_for_its_ca_and_is_then_registered_in_that_cas_name() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud, "").await;
    let root = account(cloud, "test");
    let chip = line.bench.chip(KeyKind::EcP256);

    // Nobody has registered the CA: said before a board comes, and no board is begun.
    let mut station = Station::start(&line.bench).await;
    let is = |code: ReasonCode| move |health: &Health| matches!(health, Health::Bad(failure) if failure.code == code);
    let (absent, inactive) = (is(ReasonCode::CA_ABSENT), is(ReasonCode::CA_INACTIVE));
    station.until("the CA's absence", |snapshot| absent(&snapshot.cloud)).await;
    line.bench.plug(1, "OWN", &chip);
    let refused = |code| move |state: &LaneState| refused_for(state, code);
    let is_refused = refused(ReasonCode::CA_ABSENT);
    station.until("a board that is not begun", |snapshot| is_refused(&snapshot.lanes[0].state)).await;

    let ended = line.ca(&["register", "own"], 0).await;
    let told = ended.json().remove(0);
    assert_eq!(
        (&told["end"], &told["target"], &told["fingerprint"]),
        (&json!("done"), &json!("practice"), &json!(line.ca_id()))
    );
    assert_eq!(
        described(&root, &line.ca_id()).await.unwrap(),
        (CaCertificateStatus::Active, CertificateMode::SniOnly, false)
    );
    station.until("the CA", |snapshot| snapshot.cloud == Health::Good).await;
    station.command(Command::Retry(1.try_into().unwrap())).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    let seen = root.describe_certificate().certificate_id(chip.fingerprint()).send().await.unwrap();
    let seen = seen.certificate_description.unwrap();
    assert_eq!((seen.ca_certificate_id, seen.status.unwrap().as_str()), (Some(line.ca_id()), "ACTIVE"));
    assert_eq!(cloud.witness().certificates[&chip.fingerprint()].things, [line.bench.thing("OWN")]);
    line.bench.unplug(1);
    station.until_gone(&[1]).await;

    // Switched off later: what is registered stays so, and no further board is begun.
    line.ca(&["deactivate", "own"], 0).await;
    station.until("the CA that is off", |snapshot| inactive(&snapshot.cloud)).await;
    line.ca(&["update", "own"], 0).await;
    station.until("the CA", |snapshot| snapshot.cloud == Health::Good).await;
    station.stop().await;

    let ends = line.events("ca-ended");
    let told: Vec<_> =
        ends.iter().map(|event| (event["act"].as_str().unwrap(), event["end"].as_str().unwrap())).collect();
    assert_eq!(told, [("register", "done"), ("deactivate", "done"), ("update", "done")]);
    assert!(ends.iter().all(|event| event["operator"].is_object() && event["fingerprint"] == line.ca_id()));
    assert_eq!(line.events("ca-intended").len(), 3);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// The profile trusts the root, too, and so whatever it signs: but not in this CA's name.
#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_another_pinned_ca_certified_is_foreign() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud, "").await;
    line.ca(&["register", "own"], 0).await;
    let other = VendorCa::create(&line.bench.dir.path().join("other")).unwrap();
    let profile = line.bench.dir.path().join("assets/practice.toml");
    let pinned = |name: &str| format!("\"{}\"", line.bench.dir.path().join(name).display());
    let text = std::fs::read_to_string(&profile).unwrap();
    let text = text
        .replace(&pinned("vendor/root.pem"), &format!("{}, {}", pinned("vendor/root.pem"), pinned("other/root.pem")))
        .replace(
            &pinned("vendor/intermediate.pem"),
            &format!("{}, {}", pinned("vendor/intermediate.pem"), pinned("other/intermediate.pem")),
        );
    std::fs::write(&profile, text).unwrap();
    let uid = new_uid();
    let (token, spki) = line.bench.blank(KeyKind::EcP256, lineseal::practice::setup::KEY_LABEL);
    let certificate = other.issue(&spki, &uid, Validity::Good).unwrap();
    line.bench.fill(&token, lineseal::practice::setup::CERTIFICATE_LABEL, &certificate, Some(&uid));
    let foreign = Chip { token, spki, uid, certificate };

    let mut station = Station::start(&line.bench).await;
    line.bench.plug(1, "OTHER", &foreign);
    assert_outcome(&station.unit().await, "FAIL C-102");
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    let own = line.bench.chip(KeyKind::Rsa2048);
    line.bench.plug(1, "OWN", &own);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    assert!(!cloud.witness().certificates.contains_key(&foreign.fingerprint()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_waited_for_the_cloud_is_finished_in_its_cas_name() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud, "").await;
    line.ca(&["register", "own"], 0).await;
    let chip = line.bench.chip(KeyKind::EcP256);
    line.bench.proxy.down().await;
    line.bench.plug(1, "WAITS", &chip);
    let held = line.program(&["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
    assert_eq!((&held["verdict"], &held["reason"]), (&json!("HELD"), &json!("A-301")));
    line.bench.unplug(1);
    line.bench.proxy.up().await.unwrap();
    let resumed = line.program(&["resume", "--json"]).run().await.expect(0).json().remove(0);
    assert_eq!((&resumed["run"], &resumed["verdict"]), (&held["run"], &json!("PASS")));
    let seen = account(cloud, "test").describe_certificate().certificate_id(chip.fingerprint()).send().await.unwrap();
    assert_eq!(seen.certificate_description.unwrap().ca_certificate_id, Some(line.ca_id()));
}

/// The CA's key stays in its token; one account proves to have it, the other needs no proof.
#[tokio::test(flavor = "multi_thread")]
async fn one_ca_is_in_default_mode_in_one_account_and_sni_only_in_another_and_a_board_gets_into_both() {
    let cloud = Cloud::ministack().await;
    let mut line = Line::new(&cloud, "").await;
    let dir = line.bench.dir.path().to_owned();

    // The CA's key pair, made in a token: a CA of its own signs the chips of this line.
    let (hsm, spki) = line.bench.blank(KeyKind::EcP384, "ca");
    let certificate = certified_in_token(&hsm, &spki);
    std::fs::write(dir.join("own.pem"), &certificate.pem).unwrap();
    let text = std::fs::read_to_string(&line.bench.config_file).unwrap();
    let target = text.split("[[targets]]").nth(1).unwrap().split("\n\n").next().unwrap().to_owned();
    let named = |name: &str, account: &str| {
        let target = target.replace("\"practice\"", &format!("\"{name}\""));
        format!("[[targets]]{}\naws_profile = \"account-{account}\"\n", target.trim_end())
    };
    let both = named("production", ACCOUNTS[0]) + &named("staging", ACCOUNTS[1]);
    let key = format!(
        "key = {{ module = {:?}, environment = {{ SOFTHSM2_CONF = {:?} }}, uri = \"pkcs11:object=ca;type=private\", \
         pin_file = {:?} }}",
        line.bench.soft_hsm.module.display().to_string(),
        hsm.path().join("softhsm2.conf").display().to_string(),
        hsm.pin_file().display().to_string(),
    );
    let text = text.replace(&format!("[[targets]]{target}"), &both).replace(
        "certificate = \"vendor/intermediate.pem\"\n",
        &format!("certificate = \"own.pem\"\n{key}\n[ca.own.targets.production]\nmode = \"DEFAULT\"\n"),
    );
    std::fs::write(&line.bench.config_file, text).unwrap();
    let profile = dir.join("assets/practice.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let root = format!("roots = [\"{}\"", dir.join("vendor/root.pem").display());
    let text = text
        .replace(&root, &format!("roots = [\"{}\"", dir.join("own.pem").display()))
        .replace("targets = [\"practice\"]", "targets = [\"production\", \"staging\"]");
    std::fs::write(&profile, text).unwrap();

    let id = Fingerprint::of(&certificate.der).to_string();
    let [first, second] = ACCOUNTS.map(|key| account(&cloud, key));
    // Whoever may read the PIN signs in the CA's name.
    let mode = |mode| std::fs::set_permissions(hsm.pin_file(), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let refused = line.ca(&["register", "own", "--target", "production"], 3).await;
    assert!(refused.err.contains("A-336") && refused.err.contains("chmod 600"), "{}", refused.err);
    mode(0o600);
    let told = line.ca(&["register", "own"], 0).await.json();
    assert_eq!(told.iter().map(|end| &end["end"]).collect::<Vec<_>>(), ["done", "done"]);
    use CaCertificateStatus::Active;
    assert_eq!(described(&first, &id).await, Some((Active, CertificateMode::Default, false)));
    assert_eq!(described(&second, &id).await, Some((Active, CertificateMode::SniOnly, false)));
    assert_eq!(described(&account(&cloud, "test"), &id).await, None);
    // All of it may be repeated, and a target alone be named.
    let again = line.ca(&["register", "own", "--target", "production"], 0).await.json();
    assert_eq!((again.len(), &again[0]["end"]), (1, &json!("found")));

    let chip = certified_by(&line.bench, &certificate);
    line.bench.plug(1, "BOTH", &chip);
    let record = line.program(&["run", "--json", "--units", "1"]).run().await.expect(0).json().remove(0);
    let accounts: Vec<_> = record["targets"].as_array().unwrap().iter().map(|target| &target["account"]).collect();
    assert_eq!(accounts, ACCOUNTS);
    for account in [&first, &second] {
        let seen = account.describe_certificate().certificate_id(chip.fingerprint()).send().await.unwrap();
        assert_eq!(seen.certificate_description.unwrap().ca_certificate_id.as_ref(), Some(&id));
    }
    line.bench.unplug(1);

    // Gone in one account alone.
    line.ca(&["delete", "own", "--target", "staging"], 3).await;
    line.ca(&["deactivate", "own", "--target", "staging"], 0).await;
    line.ca(&["delete", "own", "--target", "staging"], 0).await;
    assert_eq!(described(&second, &id).await, None);
    let listed = line.program(&["ca", "list", "--json"]).run().await.expect(0).json();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!((&listed[0]["target"], &listed[0]["ca"]), (&json!("production"), &json!("own")));
    assert_eq!((&listed[0]["held"]["mode"], &listed[0]["held"]["status"]), (&json!("DEFAULT"), &json!("ACTIVE")));
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_one_target_is_told_and_the_other_is_done_and_only_an_administrator_may() {
    let cloud = Cloud::shared().await;
    let line = Line::new(cloud, "").await;
    let text = std::fs::read_to_string(&line.bench.config_file).unwrap();
    let gone = "[[targets]]\nname = \"gone\"\nregion = \"us-east-1\"\nendpoint = \"http://127.0.0.1:9\"\n\n[[targets]]";
    std::fs::write(&line.bench.config_file, text.replacen("[[targets]]", gone, 1)).unwrap();
    let ended = line.ca(&["register", "own"], 3).await;
    let told = ended.json();
    assert_eq!((&told[0]["end"], &told[0]["failure"]["code"]), (&json!("failed"), &json!("A-301")));
    assert_eq!((&told[1]["target"], &told[1]["end"]), (&json!("practice"), &json!("done")));
    assert!(ended.err.contains("A-301"), "{}", ended.err);
    let ends = line.events("ca-ended");
    assert_eq!(ends[0]["end"]["failed"]["code"], "A-301");
    let again = line.ca(&["register", "own", "--target", "practice"], 0).await.json();
    assert_eq!(again[0]["end"], "found");
    // Both sides of it, without anybody signing in.
    let shown = line.program(&["ca", "show", "own", "--target", "practice", "--json"]).run().await.expect(0).json();
    let modes = (&shown[0]["configured"]["mode"], &shown[0]["held"]["mode"]);
    assert_eq!(modes, (&json!("SNI_ONLY"), &json!("SNI_ONLY")));

    let pin = line.pin();
    let args =
        ["operator", "add", "Tess", "--role", "technician", "--new-pin-file", &pin, "--as", "Root", "--pin-file", &pin];
    Program::on(&line.bench, args).run().await.expect(0);
    let args = ["ca", "delete", "own", "--as", "Tess", "--pin-file", &pin];
    assert!(line.program(&args).run().await.expect(3).err.contains("O-610"));
    assert!(line.program(&["ca", "deactivate", "own"]).run().await.expect(2).err.contains("O-615"));
    assert!(line.ca(&["register", "nope"], 2).await.err.contains("there are own"));
    assert!(line.ca(&["register", "own", "--target", "nope"], 2).await.err.contains("O-615"));
    assert_eq!(line.events("ca-ended").len(), 3);
}

struct TokenCa {
    der: Vec<u8>,
    pem: String,
    hsm: TokenDir,
    spki: Vec<u8>,
}

/// A key in a token, as far as rcgen needs it.
struct InToken<'t> {
    token: &'t TokenDir,
    /// The public key's bits.
    bits: Vec<u8>,
}

impl rcgen::PublicKeyData for InToken<'_> {
    fn der_bytes(&self) -> &[u8] {
        &self.bits
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P384_SHA384
    }
}

impl rcgen::SigningKey for InToken<'_> {
    /// OpenSC signs: nothing of the program under test made the CA.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let dir = tempfile::tempdir().unwrap();
        let (hash, out) = (dir.path().join("hash"), dir.path().join("signature"));
        std::fs::write(&hash, aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, message)).unwrap();
        let [hash, out] = [&hash, &out].map(|path| path.display().to_string());
        let pin = std::fs::read_to_string(self.token.pin_file()).unwrap();
        let args = ["--login", "--pin", pin.trim(), "--sign", "--mechanism", "ECDSA", "--label", "ca"];
        let files = ["--input-file", &hash, "--output-file", &out, "--signature-format", "openssl"];
        crate::peers::pkcs11_tool(self.token.path(), &[&args[..], &files[..]].concat());
        Ok(std::fs::read(out).unwrap())
    }
}

fn in_token<'t>(token: &'t TokenDir, spki: &[u8]) -> InToken<'t> {
    InToken { token, bits: bits_of(spki) }
}

fn bits_of(spki: &[u8]) -> Vec<u8> {
    use x509_cert::der::Decode as _;
    let info = x509_cert::spki::SubjectPublicKeyInfoOwned::from_der(spki).unwrap();
    info.subject_public_key.raw_bytes().to_vec()
}

struct PublicP256(Vec<u8>);

impl rcgen::PublicKeyData for PublicP256 {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

fn ca_params() -> rcgen::CertificateParams {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "The plant's own CA");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params
}

fn certified_in_token(hsm: &TokenDir, spki: &[u8]) -> TokenCa {
    let made = ca_params().self_signed(&in_token(hsm, spki)).unwrap();
    TokenCa { der: made.der().to_vec(), pem: made.pem(), hsm: hsm.clone(), spki: spki.to_vec() }
}

/// A chip that the CA in the token certified.
fn certified_by(bench: &Bench<'_>, ca: &TokenCa) -> Chip {
    use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_LABEL};
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let uid = new_uid();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = format!("{}{}", lineseal::practice::vendor::CHIP_NAME_PREFIX, uid.as_str().to_uppercase());
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::ExplicitNoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let key = PublicP256(bits_of(&spki));
    assert_eq!(key.subject_public_key_info(), spki);
    let issuer = rcgen::Issuer::new(ca_params(), in_token(&ca.hsm, &ca.spki));
    let certificate = params.signed_by(&key, &issuer).unwrap().der().to_vec();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&uid));
    Chip { token, spki, uid, certificate }
}
