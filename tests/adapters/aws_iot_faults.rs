//! What AWS does and no stand-in: throttling, 5xx, permissions missing one by one, answers that get
//! lost, writes that are not visible yet, lists in pages. A responder before MiniStack makes them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::responder::{Do, Responder, error, found};
use super::*;
use lineseal::adapters::fleet::AwsFleet;
use lineseal::audit::event::Attachment;
use lineseal::ports::{ClaimPlan, Claims as _};

/// Everything that a fresh registration calls.
pub(super) const CALLS: [&str; 14] = [
    "DescribeCertificate",
    "DescribeThing",
    "DescribeThingType",
    "GetPolicy",
    "DescribeEndpoint",
    "CreateThingType",
    "RegisterCertificateWithoutCA",
    "CreateThing",
    "CreatePolicy",
    "AttachPolicy",
    "AttachThingPrincipal",
    "ListThingPrincipals",
    "ListPrincipalThings",
    "ListAttachedPolicies",
];

#[tokio::test]
async fn each_call_denied_in_turn_names_the_action_and_the_next_attempt_heals() {
    let peer = ministack().await;
    for denied in CALLS {
        let responder = Responder::before(&peer.endpoint, move |action, _| {
            if action == denied { error(403, "AccessDeniedException") } else { Do::Pass }
        })
        .await;
        let unit = unit(Key::P256);
        let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
        assert_eq!(code(&refusal), ReasonCode::CLOUD_PERMISSION, "{denied}");
        assert_eq!(refusal.failure.args["action"], format!("iot:{denied}"));
        assert_eq!(responder.count(denied), 1, "a refusal is not asked for twice");
        let registered = held(&peer.raw(), &unit).await.certificates_with_this_id == 1;
        assert_eq!(refusal.certificate_left, registered, "{denied}");

        peer.cloud().register(&unit).await.unwrap();
        assert_whole(&peer.raw(), &unit).await;
    }
}

#[tokio::test]
async fn each_call_failing_once_or_twice_is_tried_again_and_nothing_is_made_twice() {
    let peer = ministack().await;
    for fails in CALLS {
        let responder = Responder::before(&peer.endpoint, move |action, count| match count {
            1 if action == fails => error(500, "InternalFailureException"),
            2 if action == fails => error(400, "ThrottlingException"),
            _ => Do::Pass,
        })
        .await;
        let unit = unit(Key::P256);
        let record = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap();
        assert_eq!(record.created, ALL_PARTS, "{fails}");
        assert_whole(&peer.raw(), &unit).await;
    }
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_not_written_twice() {
    let peer = ministack().await;
    for lost in CALLS {
        let responder =
            Responder::before(
                &peer.endpoint,
                move |action, count| {
                    if action == lost && count == 1 { Do::PassAndCut } else { Do::Pass }
                },
            )
            .await;
        let unit = unit(Key::P256);
        let record = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap();
        assert_eq!(record.created, ALL_PARTS, "{lost}");
        assert_whole(&peer.raw(), &unit).await;
    }
}

#[tokio::test]
async fn whether_an_attachment_is_exclusive_is_told_where_aws_says_so_and_no_unit_waits_for_it() {
    let peer = ministack().await;
    for (word, told) in [
        ("EXCLUSIVE_THING", Some(Attachment::Exclusive)),
        ("NON_EXCLUSIVE_THING", Some(Attachment::NonExclusive)),
        ("SOMETHING_NEW", None),
    ] {
        let unit = unit(Key::P256);
        let body =
            format!(r#"{{"principalThingObjects":[{{"thingName":"{}","thingPrincipalType":"{word}"}}]}}"#, unit.thing);
        let rule = move |action, _| if action == V2 { found(body.clone()) } else { Do::Pass };
        let responder = Responder::before(&peer.endpoint, rule).await;
        let cloud = peer.cloud_at(&responder.endpoint());
        assert_eq!(cloud.register(&unit).await.unwrap().attachment, told);
        // What was there before is not this run's to tell.
        assert_eq!(cloud.register(&unit).await.unwrap().attachment, None);
    }
    let refusals = [error(403, "AccessDeniedException"), error(500, "InternalFailureException"), Do::Hang];
    for refusal in refusals {
        let refusal = Mutex::new(Some(refusal));
        let rule = move |action, _| {
            if action == V2 { refusal.lock().unwrap().take().unwrap_or(Do::Hang) } else { Do::Pass }
        };
        let responder = Responder::before(&peer.endpoint, rule).await;
        let cloud = peer.cloud_at(&responder.endpoint());
        let began = Instant::now();
        for _ in 0..2 {
            let unit = unit(Key::P256);
            assert_eq!(cloud.register(&unit).await.unwrap().attachment, None);
            assert_whole(&peer.raw(), &unit).await;
        }
        assert!(began.elapsed() < Duration::from_secs(4));
        let asked = responder.count(V2);
        cloud.register(&unit(Key::P256)).await.unwrap();
        assert_eq!(responder.count(V2), asked, "it is left alone for a while");
    }
}

const V2: &str = "ListPrincipalThingsV2";

#[tokio::test]
async fn throttling_is_waited_for_until_the_deadline() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| {
        if action == "CreateThing" { error(400, "ThrottlingException") } else { Do::Pass }
    })
    .await;
    let mut unit = unit(Key::P256);
    unit.deadline = Duration::from_secs(4);
    let began = Instant::now();
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_THROTTLED);
    assert!(refusal.certificate_left);
    assert!(began.elapsed() < unit.deadline + Duration::from_millis(500));
    assert!(responder.count("CreateThing") >= 4);
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_told_and_what_was_registered_is_named() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| {
        if action == "AttachPolicy" { error(503, "ServiceUnavailableException") } else { Do::Pass }
    })
    .await;
    let unit = unit(Key::P256);
    let cloud = peer.cloud_at(&responder.endpoint());
    let refusal = cloud.register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_FAILED);
    assert!(refusal.certificate_left);
    cloud.deactivate(&unit.target, &unit.fingerprint).await.unwrap();
    assert_eq!(held(&peer.raw(), &unit).await.certificate_status.as_deref(), Some("INACTIVE"));
}

#[tokio::test]
async fn a_page_of_somebody_elses_is_no_not_found() {
    let peer = ministack().await;
    // A captive portal, or a proxy that knows no such host.
    let responder = Responder::before(&peer.endpoint, |action, _| match action {
        "DescribeThing" => Do::Answer { status: 404, error: "", body: "<html>Not Found</html>".into() },
        _ => Do::Pass,
    })
    .await;
    let unit = unit(Key::P256);
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_PORTAL, "{refusal}");
    assert!(!refusal.certificate_left);
    assert_eq!(responder.count("CreateThing") + responder.count("RegisterCertificateWithoutCA"), 0);
}

#[tokio::test]
async fn what_is_written_and_not_visible_yet_is_waited_for() {
    let peer = ministack().await;
    // The first question comes before the write, the next three are asked too early.
    let absent = || error(404, "ResourceNotFoundException");
    let responder = Responder::before(&peer.endpoint, move |action, count| match action {
        "DescribeThing" if count <= 4 => absent(),
        "DescribeCertificate" if count <= 3 => absent(),
        "AttachThingPrincipal" if count <= 2 => absent(),
        "CreateThing" if count <= 1 => absent(),
        "ListThingPrincipals" if count <= 5 => found(r#"{"principals":[]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let unit = unit(Key::P256);
    let record = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap();
    assert_eq!(record.created, ALL_PARTS);
    assert_eq!(responder.count("RegisterCertificateWithoutCA"), 1);
    assert_eq!(responder.count("AttachPolicy"), 1);
    assert_whole(&peer.raw(), &unit).await;
}

#[tokio::test]
async fn what_never_becomes_visible_is_told_at_the_deadline_by_name() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| match action {
        "ListPrincipalThings" => found(r#"{"things":[]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let mut unit = unit(Key::P256);
    unit.deadline = Duration::from_secs(3);
    let began = Instant::now();
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_NOT_YET);
    assert!(refusal.failure.cause.contains("thing-attachment"), "{refusal}");
    assert!(refusal.certificate_left);
    assert!(began.elapsed() < unit.deadline + Duration::from_millis(500));
}

#[tokio::test]
async fn an_inactive_that_is_not_visible_yet_is_not_set_twice() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, count| match (action, count) {
        ("UpdateCertificate", 1 | 2) => error(404, "ResourceNotFoundException"),
        _ => Do::Pass,
    })
    .await;
    let unit = unit(Key::P256);
    peer.cloud().register(&unit).await.unwrap();
    peer.cloud_at(&responder.endpoint()).deactivate(&unit.target, &unit.fingerprint).await.unwrap();
    assert_eq!(responder.count("UpdateCertificate"), 3);
    assert_eq!(held(&peer.raw(), &unit).await.certificate_status.as_deref(), Some("INACTIVE"));
}

/// A portal's 200, and no body: to the SDK that is an answer.
#[tokio::test]
async fn a_certificate_is_inactive_when_it_is_seen_to_be_and_not_when_somebody_says_yes() {
    let peer = ministack().await;
    let yes = || Do::Answer { status: 200, error: "", body: "<html>welcome</html>".into() };
    let unit = unit(Key::P256);
    peer.cloud().register(&unit).await.unwrap();
    for (times, inactive) in [(u32::MAX, false), (1, true)] {
        let rule = move |action, count| if action == "UpdateCertificate" && count <= times { yes() } else { Do::Pass };
        let responder = Responder::before(&peer.endpoint, rule).await;
        let ended = peer.cloud_at(&responder.endpoint()).deactivate(&unit.target, &unit.fingerprint).await;
        let status = held(&peer.raw(), &unit).await.certificate_status;
        assert_eq!(ended.is_ok(), inactive, "{ended:?}");
        assert_eq!(status.as_deref(), Some(if inactive { "INACTIVE" } else { "ACTIVE" }));
        if let Err(failure) = ended {
            assert_eq!(failure.code, ReasonCode::CLOUD_NOT_YET, "{failure}");
            assert!(failure.cause.contains("ACTIVE still"), "{failure}");
        }
    }
}

#[tokio::test]
async fn a_broken_body_of_an_error_is_asked_for_again_and_no_refusal() {
    let peer = ministack().await;
    // AWS's own by its header, and what it is stands in the body alone.
    let responder = Responder::before(&peer.endpoint, |action, count| match action {
        "DescribeThing" if count == 1 => Do::Unnamed { status: 404, body: "{\"__type\": \"Resou" },
        _ => Do::Pass,
    })
    .await;
    let unit = unit(Key::P256);
    peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap();
    assert!(responder.count("DescribeThing") >= 3);
    assert_whole(&peer.raw(), &unit).await;
}

/// Something comes to a unit between its read-back and its verdict.
#[tokio::test]
async fn what_has_come_to_a_unit_since_it_was_read_back_is_found() {
    let peer = ministack().await;
    let (unit, other) = (unit(Key::P256), unit(Key::P256));
    let (raw, cloud) = (peer.raw(), peer.cloud());
    let record = cloud.register(&unit).await.unwrap();
    let second = cloud.register(&other).await.unwrap();
    let read_back = ReadBack {
        target: unit.target.clone(),
        thing: unit.thing.clone(),
        fingerprint: unit.fingerprint,
        certificate_arn: record.certificate_arn.clone(),
        policy: unit.policy.clone(),
        deadline: Duration::from_secs(2),
    };
    cloud.stands(&read_back).await.unwrap();
    let hand = Hand { raw: raw.clone(), unit: &unit };

    hand.attach_thing(unit.thing.as_str(), &second.certificate_arn).await;
    assert_eq!(cloud.stands(&read_back).await.unwrap_err().code, ReasonCode::THING_FOREIGN);
    let detach = raw.detach_thing_principal().thing_name(unit.thing.as_str());
    detach.principal(&second.certificate_arn).send().await.unwrap();

    hand.attach_thing(other.thing.as_str(), &record.certificate_arn).await;
    assert_eq!(cloud.stands(&read_back).await.unwrap_err().code, ReasonCode::CERTIFICATE_FOREIGN);
    let detach = raw.detach_thing_principal().thing_name(other.thing.as_str());
    detach.principal(&record.certificate_arn).send().await.unwrap();

    Hand { raw: raw.clone(), unit: &other }.attach_policy(&record.certificate_arn).await;
    assert_eq!(cloud.stands(&read_back).await.unwrap_err().code, ReasonCode::CLOUD_STATUS);
    let detach = raw.detach_policy().policy_name(other.policy.name.as_str());
    detach.target(&record.certificate_arn).send().await.unwrap();
    cloud.stands(&read_back).await.unwrap();

    // What is gone may only not be seen: it is looked for to the deadline.
    raw.detach_policy().policy_name(unit.policy.name.as_str()).target(&record.certificate_arn).send().await.unwrap();
    let failure = cloud.stands(&read_back).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_UNSEEN, "{failure}");
    // The cloud that is away keeps nobody waiting for a verdict that is due.
    let away = Responder::before(&peer.endpoint, |_, _| Do::Cut).await;
    let failure = peer.cloud_at(&away.endpoint()).stands(&read_back).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_UNSEEN, "{failure}");
}

/// Nobody has its key, and no policy names it: whoever asked has to be told what to look for.
#[tokio::test]
async fn a_claim_whose_answer_is_lost_is_named_and_not_asked_for_twice() {
    let peer = ministack().await;
    let plan = ClaimPlan {
        target: "plant".parse().unwrap(),
        template: "meters".parse().unwrap(),
        policy: "lineseal-claim-meters".parse().unwrap(),
    };
    let inactive = async || {
        let mut found = BTreeSet::new();
        let mut pages = peer.raw().list_certificates().into_paginator().send();
        while let Some(page) = pages.next().await {
            let of_page = page.unwrap().certificates.unwrap_or_default();
            let of_page = of_page.into_iter().filter(|found| found.status == Some(AwsStatus::Inactive));
            found.extend(of_page.filter_map(|found| found.certificate_id));
        }
        found
    };
    let before = inactive().await;
    let responder =
        Responder::before(
            &peer.endpoint,
            |action, _| {
                if action == "CreateKeysAndCertificate" { Do::PassAndCut } else { Do::Pass }
            },
        )
        .await;
    let fleet = |endpoint: &str| AwsFleet::with_credentials(&peer.targets(endpoint), peer.station.clone());
    let failure = fleet(&responder.endpoint()).make(&plan).await.map(|claim| claim.fingerprint).unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLAIM_PERHAPS_LEFT, "{failure}");
    assert_eq!(responder.count("CreateKeysAndCertificate"), 1);
    let made = inactive().await.into_iter().find(|id| !before.contains(id) && failure.cause.contains(id.as_str()));
    assert!(made.is_some(), "{failure}");

    // Refused, nothing was made.
    let denied = Responder::before(&peer.endpoint, |action, _| match action {
        "CreateKeysAndCertificate" => error(403, "AccessDeniedException"),
        _ => Do::Pass,
    })
    .await;
    let failure = fleet(&denied.endpoint()).make(&plan).await.map(|claim| claim.fingerprint).unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_PERMISSION, "{failure}");
}

#[tokio::test]
async fn a_foreigner_on_the_second_page_is_found() {
    let peer = ministack().await;
    let unit = unit(Key::P256);
    let record = peer.cloud().register(&unit).await.unwrap();
    let (thing, arn) = (unit.thing.to_string(), record.certificate_arn);

    let first = thing.clone();
    let things = Responder::before(&peer.endpoint, move |action, count| match (action, count) {
        ("ListPrincipalThings", 1) => found(format!(r#"{{"things":["{first}"],"nextToken":"2"}}"#)),
        ("ListPrincipalThings", _) => found(r#"{"things":["gw-other"]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&things.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), things.count("ListPrincipalThings")), (ReasonCode::CERTIFICATE_FOREIGN, 2));

    let first = arn.clone();
    let principals = Responder::before(&peer.endpoint, move |action, count| match (action, count) {
        ("ListThingPrincipals", 1) => found(format!(r#"{{"principals":["{first}"],"nextToken":"2"}}"#)),
        ("ListThingPrincipals", _) => found(r#"{"principals":["us-east-1:cognito"]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&principals.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), principals.count("ListThingPrincipals")), (ReasonCode::THING_FOREIGN, 2));

    let first = unit.policy.name.to_string();
    let policies = Responder::before(&peer.endpoint, move |action, count| match (action, count) {
        ("ListAttachedPolicies", 1) => {
            found(format!(r#"{{"policies":[{{"policyName":"{first}"}}],"nextMarker":"2"}}"#))
        }
        ("ListAttachedPolicies", _) => found(r#"{"policies":[{"policyName":"wider"}]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&policies.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), policies.count("ListAttachedPolicies")), (ReasonCode::CLOUD_STATUS, 2));
    assert_eq!(thing, unit.thing.as_str());
}

#[tokio::test]
async fn an_id_that_is_not_the_hash_of_the_der_is_refused() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| match action {
        "RegisterCertificateWithoutCA" => {
            let id = "00".repeat(32);
            found(format!(
                r#"{{"certificateArn":"arn:aws:iot:us-east-1:000000000000:cert/{id}","certificateId":"{id}"}}"#
            ))
        }
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit(Key::P256)).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_CERTIFICATE);
}

#[tokio::test]
async fn a_peer_that_never_answers_cannot_hang_a_unit() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| match action {
        "DescribeCertificate" => Do::Hang,
        _ => Do::Pass,
    })
    .await;
    let mut unit = unit(Key::P256);
    unit.deadline = Duration::from_secs(2);
    let began = Instant::now();
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_UNREACHABLE);
    assert!(began.elapsed() < unit.deadline + Duration::from_millis(500));
}

#[tokio::test]
async fn a_certificate_that_is_not_the_recorded_one_never_leaves_the_station() {
    let mut unit = unit(Key::P256);
    unit.certificate = certificate(Key::P256, "another");
    let refusal = ministack().await.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_CERTIFICATE);
    assert!(!refusal.certificate_left);
}

#[tokio::test]
async fn a_target_that_is_not_configured_is_a_mistake_of_the_configuration() {
    let mut unit = unit(Key::P256);
    unit.target = "elsewhere".parse().unwrap();
    let refusal = ministack().await.cloud().register(&unit).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CONFIG_INVALID);
}
