//! Every call × every fault for the other ways into AWS IoT: a certificate made for the chip's key, a template, a
//! fleet's calls over HTTP, and just-in-time's looks. Each ends well after another attempt, or with a code that says so
//! and leaves what the next attempt finishes; the cloud is listed afterwards.

use lineseal::adapters::system::SystemClock;
use lineseal::domain::profile::{
    ClaimSource, CsrPlan, FleetKeys, FleetPlan, Issuer, TemplateCertificate, ThingTemplate,
};
use lineseal::domain::{CaMode, CaPlan, request_pem};
use lineseal::ports::{Authorities as _, Clock as _, MadeBefore, Prepared};
use serde_json::json;

use super::ca::{Own, authorities};
use super::csr::{issuance, of_key};
use super::matrix::{Fault, each_fault_at_each_of, is_told};
use super::*;
use crate::register_thing::RegisterThing;

/// For the search among the newest certificates: nobody else makes any here.
async fn of_its_own(name: &'static str) -> &'static Peer {
    static PEERS: tokio::sync::Mutex<BTreeMap<&str, &'static Peer>> = tokio::sync::Mutex::const_new(BTreeMap::new());
    let mut peers = PEERS.lock().await;
    if let Some(peer) = peers.get(name).copied() {
        return peer;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let plan = MiniStackPlan { venv: venv(), folder, state: None, port: None, mtls: false };
    let running = MiniStack::start(&plan);
    // It ends with the test process.
    let running: &'static MiniStack = Box::leak(Box::new(running.await.unwrap()));
    let peer =
        Peer { endpoint: running.endpoint(), region: running.region().to_string(), station: running.credentials() };
    let peer: &'static Peer = Box::leak(Box::new(peer));
    peers.insert(name, peer);
    peer
}

fn within(times: u32) -> Duration {
    Duration::from_secs(if times == 1 { 40 } else { 5 })
}

/// Once, it is nothing that anybody hears of. Of an empty list AWS is believed: then its own doing is what is missing.
fn told(failure: &lineseal::domain::Failure, fault: Fault, call: &str, times: u32) {
    let of_aws = [ReasonCode::TEMPLATE_SHORT, ReasonCode::JOIN_NOT_YET, ReasonCode::JOIN_INCOMPLETE];
    if fault != Fault::EmptyJson || !of_aws.contains(&failure.code) {
        is_told(failure, fault, call);
    }
    assert!(times > 1 || fault == Fault::EmptyJson, "{call} {fault:?} once: {failure}");
}

const OF_A_REQUEST: [&str; 3] = ["CreateCertificateFromCsr", "ListCertificates", "DescribeCertificate"];

#[tokio::test]
async fn a_certificate_under_each_fault_at_each_call_is_made_once_or_found_by_the_next_run() {
    each_fault_at_each_of(&OF_A_REQUEST, move |call, fault, times| async move {
        let peer = of_its_own("aws-iot-requests").await;
        let mut wanted = issuance();
        wanted.deadline = within(times);
        let mut before = MadeBefore::default();
        if call != "CreateCertificateFromCsr" {
            // A killed run's: it is looked for.
            before.unanswered = Some(SystemClock.now());
            let request = request_pem(wanted.request.as_ref().unwrap());
            peer.raw().create_certificate_from_csr().certificate_signing_request(request).send().await.unwrap();
        }
        let responder = fault.before(&peer.endpoint, call, times).await;
        let ended = peer.cloud_at(&responder.endpoint()).issue(&wanted, &before).await;
        assert!(responder.count(call) > 0, "{call} was never made");
        let next = match ended {
            Ok(made) => MadeBefore { certificates: vec![made.certificate], ..MadeBefore::default() },
            Err(failure) => {
                told(&failure, fault, call, times);
                MadeBefore { unanswered: Some(before.unanswered.unwrap_or(wanted.asked)), ..before }
            }
        };
        wanted.deadline = Duration::from_secs(60);
        let made =
            peer.cloud().issue(&wanted, &next).await.unwrap_or_else(|failure| panic!("{call} {fault:?}: {failure}"));
        let id = Fingerprint::of(&made.certificate).to_string();
        let found = of_key(&peer.raw(), wanted.spki).await;
        // What an empty list hides nobody finds: it is INACTIVE, and stays so.
        let hidden = (fault, call) == (Fault::EmptyJson, "ListCertificates");
        assert!(found.iter().all(|(_, status)| status == "INACTIVE"), "{call} {fault:?} {times}: {found:?}");
        assert!(found.len() == 1 || hidden, "{call} {fault:?} {times}: {found:?}");
        assert!(found.iter().any(|(found, _)| *found == id), "{call} {fault:?} {times}: {found:?}");
        // The others look at what is there.
        for (id, _) in found {
            peer.raw().delete_certificate().certificate_id(id).send().await.unwrap();
        }
    })
    .await;
}

const OF_A_TEMPLATE: [&str; 12] = [
    "DescribeCertificate",
    "DescribeThing",
    "DescribeThingType",
    "GetPolicy",
    "DescribeEndpoint",
    "CreateThingType",
    "RegisterCertificateWithoutCA",
    "CreatePolicy",
    "RegisterThing",
    "ListThingPrincipals",
    "ListPrincipalThings",
    "ListAttachedPolicies",
];

/// Made by one RegisterThing.
fn of_template() -> Registration {
    let unit = unit(Key::P256);
    let body = json!({
        "Parameters": { "Thing": { "Type": "String" }, "Certificate": { "Type": "String" } },
        "Resources": {
            "thing": { "Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": { "Ref": "Thing" }, "ThingTypeName": unit.thing_type, "AttributePayload": unit.attributes,
            } },
            "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": { "Ref": "Certificate" }, "Status": "ACTIVE",
            } },
            "policy": { "Type": "AWS::IoT::Policy", "Properties": { "PolicyName": unit.policy.name } },
        },
    });
    let template =
        ThingTemplate { body: body.to_string(), certificate: TemplateCertificate::ById, parameters: BTreeMap::new() };
    let parameters = [("Thing", unit.thing.to_string()), ("Certificate", unit.fingerprint.to_string())];
    let parameters = parameters.map(|(name, value)| (name.parse().unwrap(), value)).into();
    Registration { method: Method::Template { ca: None, template }, parameters, ..unit }
}

#[tokio::test]
async fn a_templates_unit_under_each_fault_at_each_call_is_made_or_is_told_and_the_next_attempt_makes_it_whole() {
    let peer = ministack().await;
    let port = peer.endpoint.rsplit(':').next().unwrap().parse().unwrap();
    let things: &'static RegisterThing = Box::leak(Box::new(RegisterThing::before(port, &peer.region).await));
    let way: &'static str = Box::leak(format!("http://127.0.0.1:{}", things.port).into_boxed_str());
    each_fault_at_each_of(&OF_A_TEMPLATE, move |call, fault, times| async move {
        let unit = Registration { deadline: within(times), ..of_template() };
        let responder = fault.before(way, call, times).await;
        let ended = peer.cloud_at(&responder.endpoint()).register(&unit).await;
        assert!(responder.count(call) > 0, "{call} was never made");
        if let Err(refusal) = ended {
            told(&refusal.failure, fault, call, times);
        }
        let unit = Registration { deadline: Duration::from_secs(60), ..unit };
        let whole = peer.cloud_at(way).register(&unit).await;
        whole.unwrap_or_else(|refusal| panic!("{call} {fault:?} {times}: {refusal}"));
        assert_whole(&peer.raw(), &unit).await;
    })
    .await;
}

/// What its fleet's template makes.
async fn by_hand(peer: &Peer, unit: &Registration) {
    let hand = Hand { raw: peer.raw(), unit };
    let arn = format!("arn:aws:iot:{}:000000000000:cert/{}", peer.region, unit.fingerprint);
    let id = unit.fingerprint.to_string();
    let seen = hand.raw.describe_certificate().certificate_id(&id).send().await;
    let arn = match seen {
        Ok(seen) => seen.certificate_description.unwrap().certificate_arn.unwrap_or(arn),
        Err(_) => hand.certificate(AwsStatus::Active).await,
    };
    hand.raw.update_certificate().certificate_id(&id).new_status(AwsStatus::Active).send().await.unwrap();
    hand.thing().await;
    hand.attach_policy(&arn).await;
    hand.attach_thing(unit.thing.as_str(), &arn).await;
}

const OF_A_FLEET: [&str; 10] = [
    "DescribeCertificate",
    "DescribeThing",
    "DescribeThingType",
    "GetPolicy",
    "DescribeEndpoint",
    "CreateThingType",
    "CreatePolicy",
    "ListThingPrincipals",
    "ListPrincipalThings",
    "ListAttachedPolicies",
];

fn fleet(template: &str) -> Method {
    let plan = FleetPlan {
        template: template.parse().unwrap(),
        claim: ClaimSource::TrustedUser,
        keys: FleetKeys::Chip,
        parameters: BTreeMap::new(),
    };
    Method::Csr(CsrPlan { issuer: Issuer::Fleet(plan), write_back: None })
}

#[tokio::test]
async fn a_fleets_looks_under_each_fault_at_each_call_go_on_or_are_told() {
    each_fault_at_each_of(&OF_A_FLEET, move |call, fault, times| async move {
        let peer = ministack().await;
        let unit = Registration { method: fleet("meters"), deadline: within(times), ..unit(Key::P256) };
        let later = Registration { deadline: Duration::from_secs(60), ..unit.clone() };
        Hand { raw: peer.raw(), unit: &unit }.certificate(AwsStatus::Inactive).await;
        let pending = AwsStatus::PendingActivation;
        let id = unit.fingerprint.to_string();
        peer.raw().update_certificate().certificate_id(&id).new_status(pending).send().await.unwrap();

        let responder = fault.before(&peer.endpoint, call, times).await;
        let under = peer.cloud_at(&responder.endpoint());
        if let Err(refusal) = under.prepare(&unit).await {
            told(&refusal.failure, fault, call, times);
            peer.cloud().prepare(&later).await.unwrap();
        }
        by_hand(peer, &unit).await;
        if let Err(refusal) = under.register(&unit).await {
            told(&refusal.failure, fault, call, times);
        }
        assert!(responder.count(call) > 0, "{call} was never made");
        peer.cloud().register(&later).await.unwrap_or_else(|refusal| panic!("{call} {fault:?} {times}: {refusal}"));
        assert_whole(&peer.raw(), &unit).await;
    })
    .await;
}

const OF_WHAT_WAS_MADE: [&str; 3] = ["ListCertificates", "DescribeCertificate", "DeleteCertificate"];

#[tokio::test]
async fn what_was_certified_and_never_provisioned_goes_under_each_fault_or_with_the_next_run() {
    each_fault_at_each_of(&OF_WHAT_WAS_MADE, move |call, fault, times| async move {
        let peer = of_its_own("aws-iot-certified").await;
        let mut wanted = issuance();
        wanted.deadline = within(times);
        let request = request_pem(wanted.request.as_ref().unwrap());
        let made = peer.raw().create_certificate_from_csr().certificate_signing_request(request).send().await.unwrap();
        let pending = AwsStatus::PendingActivation;
        let id = made.certificate_id.unwrap();
        peer.raw().update_certificate().certificate_id(&id).new_status(pending).send().await.unwrap();
        let before = MadeBefore { unanswered: Some(wanted.asked), ..MadeBefore::default() };
        let responder = fault.before(&peer.endpoint, call, times).await;
        let ended = peer.cloud_at(&responder.endpoint()).made_before(&wanted, &before).await;
        assert!(responder.count(call) > 0, "{call} was never made");
        match ended {
            Ok(known) => assert_eq!(known, None),
            Err(failure) => told(&failure, fault, call, times),
        }
        wanted.deadline = Duration::from_secs(60);
        assert_eq!(peer.cloud().made_before(&wanted, &before).await.unwrap(), None);
        assert_eq!(of_key(&peer.raw(), wanted.spki).await, [], "{call} {fault:?} {times}");
    })
    .await;
}

#[tokio::test]
async fn a_claim_of_minutes_under_each_fault_is_made_or_is_told() {
    let peer = ministack().await;
    let body = json!({ "Resources": { "certificate": { "Type": "AWS::IoT::Certificate", "Properties": {
        "CertificateId": { "Ref": "AWS::IoT::Certificate::Id" }, "Status": "ACTIVE" } } },
        "Parameters": { "AWS::IoT::Certificate::Id": { "Type": "String" } } });
    let name = format!("matrix-{}", std::process::id());
    let template = peer.raw().create_provisioning_template().template_name(&name).template_body(body.to_string());
    template.provisioning_role_arn("arn:aws:iam::000000000000:role/fleet").enabled(true).send().await.unwrap();
    let name: &'static str = Box::leak(name.into_boxed_str());
    each_fault_at_each_of(&["CreateProvisioningClaim"], move |call, fault, times| async move {
        let responder = fault.before(&peer.endpoint, call, times).await;
        let cloud = peer.cloud_at(&responder.endpoint());
        let (target, template) = ("plant".parse().unwrap(), name.parse().unwrap());
        let claim = cloud.claim(&target, &template);
        // It has a quarter of a minute.
        match tokio::time::timeout(Duration::from_secs(40), claim).await.unwrap() {
            Ok((certificate, _)) => assert!(certificate.contains("BEGIN CERTIFICATE")),
            Err(failure) => told(&failure, fault, call, times),
        }
        assert!(responder.count(call) > 0, "{call} was never made");
    })
    .await;
}

const OF_JUST_IN_TIME: [&str; 8] = [
    "DescribeCACertificate",
    "DescribeCertificate",
    "DescribeThing",
    "GetPolicy",
    "DescribeEndpoint",
    "ListThingPrincipals",
    "ListPrincipalThings",
    "ListAttachedPolicies",
];

#[tokio::test]
async fn just_in_times_looks_under_each_fault_at_each_call_go_on_or_are_told_and_make_nothing() {
    let peer = ministack().await;
    let own: &'static Own = Box::leak(Box::new(Own::new()));
    let plan = CaPlan { auto_registration: true, ..own.plan(CaMode::SniOnly) };
    authorities(peer, &peer.endpoint).register(&plan, None).await.unwrap();
    each_fault_at_each_of(&OF_JUST_IN_TIME, move |call, fault, times| async move {
        let signed = own.unit();
        let unit =
            Registration { method: Method::JustInTime(own.signing.clone()), deadline: within(times), ..signed.clone() };
        let responder = fault.before(&peer.endpoint, call, times).await;
        let under = peer.cloud_at(&responder.endpoint());
        match under.prepare(&unit).await {
            Ok(prepared) => assert_eq!(prepared, Prepared::default()),
            Err(refusal) => told(&refusal.failure, fault, call, times),
        }
        let left = held(&peer.raw(), &unit).await;
        assert_eq!((left.certificates_with_this_id, left.things_with_this_name), (0, 0), "{call} {fault:?}");
        // What AWS makes when the chip connects.
        peer.cloud().register(&signed).await.unwrap();
        if let Err(refusal) = under.register(&unit).await {
            told(&refusal.failure, fault, call, times);
        }
        assert!(responder.count(call) > 0, "{call} was never made");
        let later = Registration { deadline: Duration::from_secs(60), ..unit.clone() };
        peer.cloud().register(&later).await.unwrap_or_else(|refusal| panic!("{call} {fault:?} {times}: {refusal}"));
        assert_whole(&peer.raw(), &unit).await;
    })
    .await;
}
