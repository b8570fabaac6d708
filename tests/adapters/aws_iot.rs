//! The AWS adapter against MiniStack (SigV4 verified) and moto. Both are looked at from outside
//! with plain SDK calls under root keys, not through the adapter.
//!
//! The same stories run on both peers. Where moto deviates from AWS, the product is not bent:
//! - moto checks no signatures here, so wrong keys and missing permissions are told on MiniStack only;
//! - moto's CreateThing overwrites; the adapter looks first, so no story depends on it;
//! - moto's endpoint is random per call: only that there is one is checked.
//!
//! What no peer does (throttling, 5xx, eventual consistency, lost answers) is in `aws_iot_faults.rs`.
//!
//! The peers' virtual environment is `LINESEAL_TEST_VENV` (`tests/peers/requirements.txt`),
//! `target/test-venv` where that is unset. A peer that does not start fails the tests.

#[path = "aws_iot_account.rs"]
mod account;
#[path = "aws_iot_ca.rs"]
mod ca;
#[path = "aws_iot_causes.rs"]
mod causes;
#[path = "aws_iot_csr.rs"]
mod csr;
#[path = "../peers/distant.rs"]
mod distant;
#[path = "aws_iot_faults.rs"]
mod faults;
#[path = "aws_iot_matrix.rs"]
mod matrix;
#[path = "aws_iot_methods.rs"]
mod methods;
#[path = "aws_iot_practice.rs"]
mod practice;
#[path = "aws_iot_rations.rs"]
mod rations;
#[path = "aws_iot_replaced.rs"]
mod replaced;
#[path = "../peers/responder.rs"]
mod responder;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use aws_sdk_iot::types::{AttributePayload, CertificateStatus as AwsStatus};
use lineseal::adapters::aws_iot::AwsCloud;
use lineseal::config::Target;
use lineseal::domain::profile::{CertificateStatus, Method, PolicyPlan};
use lineseal::domain::{Bytes, Fingerprint, ReasonCode};
use lineseal::ports::{Cloud, ReadBack, Refusal, Registration};
use lineseal::practice::cloud::{MiniStack, MiniStackPlan, PythonServer};
use lineseal::practice::proxy::Proxy;
use tokio::sync::OnceCell;

use replaced::{
    a_certificate_of_a_units_past_that_another_thing_uses_is_foreign, a_unit_repaired_twice_loses_both_certificates,
    after_a_crash_while_a_certificate_comes_off_the_rest_is_done, any_other_certificate_on_the_thing_stays_foreign,
    the_certificate_of_a_units_past_comes_off_and_the_new_one_takes_its_place,
    what_others_gave_a_certificate_of_a_units_past_is_left_on_it,
};

/// A running peer and the keys that a station has there.
pub struct Peer {
    pub endpoint: String,
    pub region: String,
    pub station: Credentials,
}

/// The peers are started once for all tests and end with the test process.
pub async fn ministack() -> &'static Peer {
    static PEER: OnceCell<(MiniStack, Peer)> = OnceCell::const_new();
    let start = async || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-iot");
        let plan = MiniStackPlan { venv: venv(), folder, state: None, port: None, mtls: false };
        let running = MiniStack::start(&plan).await.unwrap();
        let peer =
            Peer { endpoint: running.endpoint(), region: running.region().to_string(), station: running.credentials() };
        (running, peer)
    };
    &PEER.get_or_init(start).await.1
}

pub async fn moto() -> &'static Peer {
    static PEER: OnceCell<(PythonServer, Peer)> = OnceCell::const_new();
    let start = async || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aws-iot");
        let script = include_str!("../peers/moto_loopback.py");
        let within = Duration::from_secs(60);
        let running = PythonServer::start("moto", &venv(), &folder, script, &[], within).await.unwrap();
        let port = running.announcement::<BTreeMap<String, u16>>().unwrap()["port"];
        let peer = Peer {
            endpoint: format!("http://127.0.0.1:{port}"),
            region: "us-east-1".into(),
            station: Credentials::new("AKIAMOTOMOTOMOTO", "moto", None, None, "test"),
        };
        (running, peer)
    };
    &PEER.get_or_init(start).await.1
}

fn venv() -> PathBuf {
    match std::env::var_os("LINESEAL_TEST_VENV") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv"),
    }
}

impl Peer {
    fn targets(&self, endpoint: &str) -> [Target; 1] {
        [Target {
            name: "plant".parse().unwrap(),
            region: self.region.parse().unwrap(),
            aws_profile: None,
            endpoint: Some(endpoint.to_owned()),
            account: None,
            role: None,
            sts_endpoint: None,
            mqtt: None,
        }]
    }

    fn cloud(&self) -> AwsCloud {
        self.cloud_at(&self.endpoint)
    }

    fn cloud_at(&self, endpoint: &str) -> AwsCloud {
        AwsCloud::with_credentials(&self.targets(endpoint), self.station.clone())
    }

    /// The view from outside: root's.
    fn raw(&self) -> Client {
        let config = aws_sdk_iot::Config::builder()
            .behavior_version(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new(self.region.clone()))
            .endpoint_url(&self.endpoint)
            .credentials_provider(Credentials::new("test", "unchecked", None, None, "test"))
            .build();
        Client::from_conf(config)
    }
}

#[derive(Debug, Clone, Copy)]
enum Key {
    P256,
    Rsa2048,
}

/// A new unit with names of its own, all of them.
fn unit(key: Key) -> Registration {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("gw-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let certificate = certificate(key, &name);
    Registration {
        target: "plant".parse().unwrap(),
        method: Method::WithoutCa,
        fingerprint: Fingerprint::of(&certificate),
        certificate,
        twin: None,
        certificate_status: CertificateStatus::Active,
        thing: name.parse().unwrap(),
        thing_type: Some(format!("type-{name}").parse().unwrap()),
        attributes: BTreeMap::from([("serial".parse().unwrap(), name.parse().unwrap())]),
        policy: PolicyPlan { name: format!("policy-{name}").parse().unwrap(), document: POLICY.to_owned() },
        parameters: BTreeMap::new(),
        replaces: Vec::new(),
        patient: false,
        deadline: Duration::from_secs(20),
    }
}

const POLICY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:Connect"],
    "Resource":["arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"],
    "Condition":{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}}}]}"#;
/// The same, in another order and without spaces.
const POLICY_REORDERED: &str = r#"{"Statement":[{"Condition":{"Bool":{"iot:Connection.Thing.IsAttached":["true"]}},"Resource":["arn:aws:iot:*:*:client/${iot:Connection.Thing.ThingName}"],"Action":["iot:Connect"],"Effect":"Allow"}],"Version":"2012-10-17"}"#;
const POLICY_WIDER: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iot:*"],"Resource":["*"]}]}"#;

fn certificate(key: Key, name: &str) -> Bytes {
    let key = match key {
        Key::P256 => rcgen::KeyPair::generate().unwrap(),
        Key::Rsa2048 => rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap(),
    };
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    Bytes(params.self_signed(&key).unwrap().der().to_vec())
}

fn pem(certificate: &Bytes) -> String {
    lineseal::domain::certificate_pem(certificate)
}

/// What a person with a console does, or what a killed run had done.
struct Hand<'a> {
    raw: Client,
    unit: &'a Registration,
}

impl Hand<'_> {
    async fn thing_type(&self) {
        let name = self.unit.thing_type.as_ref().unwrap().as_str();
        self.raw.create_thing_type().thing_type_name(name).send().await.unwrap();
    }

    async fn certificate(&self, status: AwsStatus) -> String {
        let pem = pem(&self.unit.certificate);
        let made = self.raw.register_certificate_without_ca().certificate_pem(pem).status(status).send().await;
        made.unwrap().certificate_arn.unwrap()
    }

    async fn thing(&self) {
        let attributes = self.unit.attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        self.raw
            .create_thing()
            .thing_name(self.unit.thing.as_str())
            .set_thing_type_name(self.unit.thing_type.as_ref().map(ToString::to_string))
            .attribute_payload(AttributePayload::builder().set_attributes(Some(attributes)).build())
            .send()
            .await
            .unwrap();
    }

    async fn bare_thing(&self, name: &str) {
        self.raw.create_thing().thing_name(name).send().await.unwrap();
    }

    async fn policy(&self, document: &str) {
        let name = self.unit.policy.name.as_str();
        self.raw.create_policy().policy_name(name).policy_document(document).send().await.unwrap();
    }

    async fn attach_policy(&self, arn: &str) {
        let name = self.unit.policy.name.as_str();
        self.raw.attach_policy().policy_name(name).target(arn).send().await.unwrap();
    }

    async fn attach_thing(&self, thing: &str, arn: &str) {
        self.raw.attach_thing_principal().thing_name(thing).principal(arn).send().await.unwrap();
    }
}

/// Everything that the target holds for the unit, as plain lists.
#[derive(Debug, PartialEq)]
struct Held {
    certificate_status: Option<String>,
    certificates_with_this_id: usize,
    things_with_this_name: usize,
    thing_type: Option<String>,
    attributes: BTreeMap<String, String>,
    principals: Vec<String>,
    things_of_certificate: Vec<String>,
    attached_policies: Vec<String>,
}

async fn held(raw: &Client, unit: &Registration) -> Held {
    let id = unit.fingerprint.to_string();
    let mut certificates = Vec::new();
    let mut pages = raw.list_certificates().into_paginator().send();
    while let Some(page) = pages.next().await {
        certificates.extend(page.unwrap().certificates.unwrap_or_default());
    }
    let mine: Vec<_> = certificates.iter().filter(|found| found.certificate_id() == Some(&id)).collect();
    let mut things = Vec::new();
    let mut pages = raw.list_things().into_paginator().send();
    while let Some(page) = pages.next().await {
        things.extend(page.unwrap().things.unwrap_or_default());
    }
    let things: Vec<_> =
        things.iter().filter(|found| found.thing_name() == Some(unit.thing.as_str())).cloned().collect();
    let mut held = Held {
        certificate_status: mine.first().and_then(|found| found.status()).map(|status| status.as_str().to_owned()),
        certificates_with_this_id: mine.len(),
        things_with_this_name: things.len(),
        thing_type: things.first().and_then(|found| found.thing_type_name.clone()).filter(|name| !name.is_empty()),
        attributes: things.first().and_then(|found| found.attributes.clone()).unwrap_or_default().into_iter().collect(),
        principals: Vec::new(),
        things_of_certificate: Vec::new(),
        attached_policies: Vec::new(),
    };
    if !things.is_empty() {
        let answer = raw.list_thing_principals().thing_name(unit.thing.as_str()).send().await.unwrap();
        held.principals = answer.principals.unwrap_or_default();
    }
    if let Some(arn) = mine.first().and_then(|found| found.certificate_arn()) {
        let answer = raw.list_principal_things().principal(arn).send().await.unwrap();
        held.things_of_certificate = answer.things.unwrap_or_default();
        let answer = raw.list_attached_policies().target(arn).send().await.unwrap();
        held.attached_policies =
            answer.policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_name).collect();
    }
    held
}

/// The unit is registered whole, once, and nothing else hangs on it.
async fn assert_whole(raw: &Client, unit: &Registration) {
    let held = held(raw, unit).await;
    let arn = held.principals.first().cloned().unwrap_or_default();
    assert!(arn.ends_with(&format!(":cert/{}", unit.fingerprint)), "{held:?}");
    let attributes = unit.attributes.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let whole = Held {
        certificate_status: Some(unit.certificate_status.as_str().to_owned()),
        certificates_with_this_id: 1,
        things_with_this_name: 1,
        thing_type: unit.thing_type.as_ref().map(ToString::to_string),
        attributes,
        principals: vec![arn],
        things_of_certificate: vec![unit.thing.to_string()],
        attached_policies: vec![unit.policy.name.to_string()],
    };
    assert_eq!(held, whole);
}

fn code(refusal: &Refusal) -> ReasonCode {
    refusal.failure.code
}

const ALL_PARTS: [&str; 6] = ["thing-type", "certificate", "thing", "policy", "policy-attachment", "thing-attachment"];

async fn a_new_unit_gets_everything_and_the_record_says_so(peer: &Peer) {
    for key in [Key::P256, Key::Rsa2048] {
        let unit = unit(key);
        let record = peer.cloud().register(&unit).await.unwrap();
        assert_eq!(record.created, ALL_PARTS, "{key:?}");
        assert!(record.adopted.is_empty());
        assert!(record.certificate_arn.ends_with(&format!(":{}:cert/{}", record.account, unit.fingerprint)));
        assert!(record.thing_arn.ends_with(&format!(":thing/{}", unit.thing)));
        assert!(!record.endpoint.is_empty());
        assert_eq!(record.status, CertificateStatus::Active);
        assert_whole(&peer.raw(), &unit).await;
    }
}

async fn a_second_time_everything_is_adopted_and_nothing_made_twice(peer: &Peer) {
    let unit = unit(Key::P256);
    let cloud = peer.cloud();
    let first = cloud.register(&unit).await.unwrap();
    // Another process, with no memory of the first.
    for cloud in [cloud, peer.cloud()] {
        let again = cloud.register(&unit).await.unwrap();
        assert!(again.created.is_empty());
        assert_eq!(again.adopted, ALL_PARTS);
        assert_eq!(again.certificate_arn, first.certificate_arn);
        assert_whole(&peer.raw(), &unit).await;
    }
}

async fn after_a_crash_between_any_two_steps_the_rest_is_made(peer: &Peer) {
    for done in 0..=ALL_PARTS.len() {
        let unit = unit(Key::P256);
        let hand = Hand { raw: peer.raw(), unit: &unit };
        let mut arn = String::new();
        for part in &ALL_PARTS[..done] {
            match *part {
                "thing-type" => hand.thing_type().await,
                "certificate" => arn = hand.certificate(AwsStatus::Active).await,
                "thing" => hand.thing().await,
                "policy" => hand.policy(POLICY).await,
                "policy-attachment" => hand.attach_policy(&arn).await,
                _ => hand.attach_thing(unit.thing.as_str(), &arn).await,
            }
        }
        let record = peer.cloud().register(&unit).await.unwrap();
        assert_eq!(record.adopted, ALL_PARTS[..done]);
        assert_eq!(record.created, ALL_PARTS[done..]);
        assert_whole(&hand.raw, &unit).await;
    }
}

async fn a_thing_with_another_certificate_is_foreign_and_stays_as_it_is(peer: &Peer) {
    let (theirs, mut ours) = (unit(Key::P256), unit(Key::P256));
    peer.cloud().register(&theirs).await.unwrap();
    ours.thing = theirs.thing.clone();
    ours.attributes = theirs.attributes.clone();
    ours.thing_type = theirs.thing_type.clone();
    let refusal = peer.cloud().register(&ours).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::THING_FOREIGN);
    assert_eq!(refusal.failure.args["thing"], ours.thing.as_str());
    assert!(refusal.failure.args["other"].ends_with(&theirs.fingerprint.to_string()));
    assert!(!refusal.certificate_left);
    assert_whole(&peer.raw(), &theirs).await;
    assert_eq!(held(&peer.raw(), &ours).await.certificates_with_this_id, 0);
}

async fn a_second_certificate_on_our_own_thing_is_foreign_too(peer: &Peer) {
    let (unit, other) = (unit(Key::P256), unit(Key::P256));
    peer.cloud().register(&unit).await.unwrap();
    let arn = Hand { raw: peer.raw(), unit: &other }.certificate(AwsStatus::Active).await;
    Hand { raw: peer.raw(), unit: &unit }.attach_thing(unit.thing.as_str(), &arn).await;
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::THING_FOREIGN);
    assert_eq!(refusal.failure.args["other"], arn);
}

async fn a_thing_that_we_would_not_have_made_is_foreign(peer: &Peer) {
    let unit = unit(Key::P256);
    Hand { raw: peer.raw(), unit: &unit }.bare_thing(unit.thing.as_str()).await;
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::THING_FOREIGN);
    assert!(!refusal.certificate_left);
    assert_eq!(held(&peer.raw(), &unit).await.attributes, BTreeMap::new());
}

async fn our_own_thing_under_another_profile_is_an_error_and_not_foreign(peer: &Peer) {
    let unit = unit(Key::P256);
    peer.cloud().register(&unit).await.unwrap();
    let mut changed = unit.clone();
    changed.attributes.insert("site".parse().unwrap(), "osaka".parse().unwrap());
    assert_eq!(code(&peer.cloud().register(&changed).await.unwrap_err()), ReasonCode::CLOUD_STATUS);
    changed.thing_type = None;
    assert_eq!(code(&peer.cloud().register(&changed).await.unwrap_err()), ReasonCode::CLOUD_THING_TYPE);
    assert_whole(&peer.raw(), &unit).await;
}

async fn a_certificate_on_another_thing_is_foreign_and_nothing_is_written(peer: &Peer) {
    let unit = unit(Key::P256);
    let hand = Hand { raw: peer.raw(), unit: &unit };
    let other = format!("{}-other", unit.thing);
    let arn = hand.certificate(AwsStatus::Active).await;
    hand.bare_thing(&other).await;
    hand.attach_thing(&other, &arn).await;
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CERTIFICATE_FOREIGN);
    assert_eq!(refusal.failure.args["other"], other);
    assert!(!refusal.certificate_left);
    let held = held(&hand.raw, &unit).await;
    assert_eq!((held.things_with_this_name, held.things_of_certificate), (0, vec![other]));
}

/// Nobody needs a key to write it, and to AWS it is another certificate.
async fn a_certificate_that_is_registered_in_its_other_form_is_foreign_and_nothing_is_written(peer: &Peer) {
    let first = unit(Key::P256);
    peer.cloud().register(&first).await.unwrap();
    let other_form = Registration { twin: Some(first.fingerprint), ..unit(Key::P256) };
    let refusal = peer.cloud().register(&other_form).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CERTIFICATE_FOREIGN);
    assert_eq!(refusal.failure.args["other"], first.fingerprint.to_string());
    let held = held(&peer.raw(), &other_form).await;
    assert_eq!((held.things_with_this_name, held.things_of_certificate), (0, vec![]));
}

async fn a_policy_is_compared_as_json_and_never_changed(peer: &Peer) {
    let same = unit(Key::P256);
    Hand { raw: peer.raw(), unit: &same }.policy(POLICY_REORDERED).await;
    let record = peer.cloud().register(&same).await.unwrap();
    assert_eq!(record.adopted, ["policy"]);

    let differs = unit(Key::P256);
    Hand { raw: peer.raw(), unit: &differs }.policy(POLICY_WIDER).await;
    let cloud = peer.cloud();
    let refusal = cloud.register(&differs).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::POLICY_DIFFERS);
    assert_eq!(refusal.failure.args["policy"], differs.policy.name.as_str());
    assert!(!refusal.certificate_left);
    let raw = peer.raw();
    let kept = raw.get_policy().policy_name(differs.policy.name.as_str()).send().await.unwrap();
    assert_eq!(kept.policy_document(), Some(POLICY_WIDER));
    assert_eq!(held(&raw, &differs).await.certificates_with_this_id, 0);

    // Put right by its owner, it is accepted by the same station.
    raw.delete_policy().policy_name(differs.policy.name.as_str()).send().await.unwrap();
    cloud.register(&differs).await.unwrap();
}

async fn another_policy_on_our_certificate_is_an_error(peer: &Peer) {
    let (unit, other) = (unit(Key::P256), unit(Key::P256));
    let record = peer.cloud().register(&unit).await.unwrap();
    let hand = Hand { raw: peer.raw(), unit: &other };
    hand.policy(POLICY_WIDER).await;
    hand.attach_policy(&record.certificate_arn).await;
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_STATUS);
    assert_eq!(refusal.failure.args["other"], other.policy.name.as_str());
}

async fn what_a_failed_run_set_inactive_becomes_active_again(peer: &Peer) {
    let unit = unit(Key::P256);
    let cloud = peer.cloud();
    cloud.register(&unit).await.unwrap();
    cloud.deactivate(&unit.target, &unit.fingerprint).await.unwrap();
    assert_eq!(held(&peer.raw(), &unit).await.certificate_status.as_deref(), Some("INACTIVE"));
    let record = cloud.register(&unit).await.unwrap();
    assert_eq!(record.created, ["certificate-status"]);
    assert_eq!(record.adopted, ALL_PARTS);
    assert_whole(&peer.raw(), &unit).await;
}

async fn a_certificate_is_registered_inactive_where_the_profile_says_so(peer: &Peer) {
    let mut unit = unit(Key::P256);
    unit.certificate_status = CertificateStatus::Inactive;
    let record = peer.cloud().register(&unit).await.unwrap();
    assert_eq!(record.status, CertificateStatus::Inactive);
    assert_whole(&peer.raw(), &unit).await;
}

async fn a_status_that_is_not_ours_to_undo_is_an_error(peer: &Peer) {
    let revoked = unit(Key::P256);
    Hand { raw: peer.raw(), unit: &revoked }.certificate(AwsStatus::Active).await;
    let id = revoked.fingerprint.to_string();
    peer.raw().update_certificate().certificate_id(&id).new_status(AwsStatus::Revoked).send().await.unwrap();
    let refusal = peer.cloud().register(&revoked).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_STATUS);
    assert_eq!(refusal.failure.args["other"], "REVOKED");

    let mut in_use = unit(Key::P256);
    Hand { raw: peer.raw(), unit: &in_use }.certificate(AwsStatus::Active).await;
    in_use.certificate_status = CertificateStatus::Inactive;
    assert_eq!(code(&peer.cloud().register(&in_use).await.unwrap_err()), ReasonCode::CLOUD_STATUS);
    assert_eq!(held(&peer.raw(), &in_use).await.certificate_status.as_deref(), Some("ACTIVE"));
}

async fn a_deprecated_thing_type_is_told_before_anything_is_written(peer: &Peer) {
    let unit = unit(Key::P256);
    let hand = Hand { raw: peer.raw(), unit: &unit };
    hand.thing_type().await;
    let name = unit.thing_type.as_ref().unwrap().as_str();
    hand.raw.deprecate_thing_type().thing_type_name(name).send().await.unwrap();
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_THING_TYPE);
    assert_eq!(held(&hand.raw, &unit).await.certificates_with_this_id, 0);
}

async fn sixteen_lanes_at_once_share_type_and_policy(peer: &Peer) {
    let cloud = peer.cloud();
    let first = unit(Key::P256);
    let units: Vec<_> = (0..16)
        .map(|_| Registration { thing_type: first.thing_type.clone(), policy: first.policy.clone(), ..unit(Key::P256) })
        .collect();
    let mut lanes = Vec::new();
    for unit in &units {
        lanes.push(cloud.register(unit));
    }
    for ended in join_all(lanes).await {
        ended.unwrap();
    }
    for unit in &units {
        assert_whole(&peer.raw(), unit).await;
    }
}

async fn two_stations_with_the_same_unit_make_it_once(peer: &Peer) {
    let unit = unit(Key::P256);
    let (one, other) = (peer.cloud(), peer.cloud());
    let (one, other) = tokio::join!(one.register(&unit), other.register(&unit));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.certificate_arn, other.certificate_arn);
    let made = |record: &lineseal::audit::event::TargetRecord| record.created.contains(&"certificate".to_owned());
    assert!(made(&one) != made(&other), "{one:?} {other:?}");
    assert_whole(&peer.raw(), &unit).await;
}

async fn a_cloud_that_is_down_is_told_within_the_deadline_and_is_there_again_after(peer: &Peer) {
    let upstream = peer.endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let proxy = Proxy::start(upstream).await.unwrap();
    let cloud = peer.cloud_at(&proxy.endpoint());
    let target = "plant".parse().unwrap();
    cloud.probe(&target).await.unwrap();

    proxy.down().await;
    let mut unit = unit(Key::P256);
    unit.deadline = Duration::from_secs(5);
    let began = Instant::now();
    let refusal = cloud.register(&unit).await.unwrap_err();
    assert!(began.elapsed() < unit.deadline + Duration::from_secs(1));
    assert_eq!(code(&refusal), ReasonCode::CLOUD_UNREACHABLE);
    assert!(!refusal.certificate_left);
    let began = Instant::now();
    assert_eq!(cloud.probe(&target).await.unwrap_err().code, ReasonCode::CLOUD_UNREACHABLE);
    assert!(began.elapsed() < Duration::from_secs(4));
    let failure = cloud.deactivate(&target, &unit.fingerprint).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_UNREACHABLE);

    proxy.up().await.unwrap();
    unit.deadline = Duration::from_secs(20);
    cloud.register(&unit).await.unwrap();
    assert_whole(&peer.raw(), &unit).await;
}

async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut ended: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, end) in running.iter_mut().zip(&mut ended) {
            if end.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *end = Some(output);
            }
        }
        if ended.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    ended.into_iter().flatten().collect()
}

macro_rules! on_each_peer {
    ($($story:ident,)*) => {
        mod on_ministack {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::ministack().await).await;
            })*
        }
        mod on_moto {
            $(#[tokio::test]
            async fn $story() {
                super::$story(super::moto().await).await;
            })*
        }
    };
}

on_each_peer! {
    a_new_unit_gets_everything_and_the_record_says_so,
    a_second_time_everything_is_adopted_and_nothing_made_twice,
    after_a_crash_between_any_two_steps_the_rest_is_made,
    a_thing_with_another_certificate_is_foreign_and_stays_as_it_is,
    a_second_certificate_on_our_own_thing_is_foreign_too,
    a_thing_that_we_would_not_have_made_is_foreign,
    our_own_thing_under_another_profile_is_an_error_and_not_foreign,
    a_certificate_on_another_thing_is_foreign_and_nothing_is_written,
    a_certificate_that_is_registered_in_its_other_form_is_foreign_and_nothing_is_written,
    a_policy_is_compared_as_json_and_never_changed,
    another_policy_on_our_certificate_is_an_error,
    what_a_failed_run_set_inactive_becomes_active_again,
    a_certificate_is_registered_inactive_where_the_profile_says_so,
    a_status_that_is_not_ours_to_undo_is_an_error,
    a_deprecated_thing_type_is_told_before_anything_is_written,
    sixteen_lanes_at_once_share_type_and_policy,
    two_stations_with_the_same_unit_make_it_once,
    a_cloud_that_is_down_is_told_within_the_deadline_and_is_there_again_after,
    the_certificate_of_a_units_past_comes_off_and_the_new_one_takes_its_place,
    after_a_crash_while_a_certificate_comes_off_the_rest_is_done,
    a_unit_repaired_twice_loses_both_certificates,
    any_other_certificate_on_the_thing_stays_foreign,
    a_certificate_of_a_units_past_that_another_thing_uses_is_foreign,
    what_others_gave_a_certificate_of_a_units_past_is_left_on_it,
}

/// However many calls there are: a unit's time is the network's.
#[tokio::test]
async fn a_unit_waits_for_four_round_trips_read_back_included_and_its_first_for_one_more() {
    let peer = ministack().await;
    let address = peer.endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let network = distant::Distant::before(address, Duration::from_millis(100)).await.unwrap();
    let cloud = peer.cloud_at(&network.endpoint());
    let first = unit(Key::P256);
    // The profile's type and policy are made with its first unit.
    let next = Registration { thing_type: first.thing_type.clone(), policy: first.policy.clone(), ..unit(Key::P256) };
    for (unit, round_trips) in [(first, 5), (next, 4)] {
        cloud.register(&unit).await.unwrap();
        let exchanges = network.take();
        assert!(exchanges.len() >= 9, "{}", exchanges.len());
        assert_eq!(distant::one_after_the_other(exchanges), round_trips);
    }
}
