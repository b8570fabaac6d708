//! Whose the credentials are, asked of AWS STS before anything is signed with them; and what AWS answers about
//! another account or Region than the target's.

use super::responder::{Do, Responder, found};
use super::*;

const STS: &str = "GetCallerIdentity";
/// MiniStack's, where the station's user is.
const ACCOUNT: &str = "000000000000";

/// A cloud whose target is this account, before MiniStack behind `responder`.
fn cloud_of(account: &str, peer: &Peer, responder: &Responder) -> AwsCloud {
    let mut targets = peer.targets(&responder.endpoint());
    targets[0].account = Some(account.parse().unwrap());
    AwsCloud::with_credentials(&targets, peer.station.clone())
}

/// As AWS STS has it (the query protocol's errors are XML).
fn said(status: u16, code: &str) -> Do {
    let body = format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code></Error></ErrorResponse>");
    Do::Answer { status, error: "", body }
}

#[tokio::test]
async fn nothing_is_sent_until_it_is_known_whose_the_credentials_are() {
    let peer = ministack().await;
    type Fault = fn() -> Do;
    let faults: [(Fault, Option<ReasonCode>); 5] = [
        (|| said(400, "Throttling"), Some(ReasonCode::CLOUD_THROTTLED)),
        (|| said(500, "InternalFailure"), Some(ReasonCode::CLOUD_FAILED)),
        (|| said(403, "InvalidClientTokenId"), Some(ReasonCode::CLOUD_CREDENTIALS)),
        (|| Do::Hang, Some(ReasonCode::CLOUD_UNREACHABLE)),
        // What a page of somebody else's is called is told of every call alike, elsewhere.
        (|| Do::Answer { status: 200, error: "", body: "<html>Welcome</html>".into() }, None),
    ];
    for (fault, expected) in faults {
        let responder =
            Responder::before(&peer.endpoint, move |action, _| if action == STS { fault() } else { Do::Pass }).await;
        let unit = Registration { deadline: Duration::from_secs(6), ..unit(Key::P256) };
        let refusal = cloud_of(ACCOUNT, peer, &responder).register(&unit).await.unwrap_err();
        assert!(expected.is_none_or(|expected| code(&refusal) == expected), "{refusal}");
        assert!(!refusal.certificate_left, "{refusal}");
        assert!(responder.count(STS) > 0);
        assert_eq!(responder.count("DescribeThing") + responder.count("DescribeCertificate"), 0, "{refusal}");
    }
}

#[tokio::test]
async fn it_is_asked_once_for_credentials_that_stay_and_again_where_there_was_no_answer() {
    let peer = ministack().await;
    let rule = |action, count| if action == STS && count == 1 { said(500, "InternalFailure") } else { Do::Pass };
    let responder = Responder::before(&peer.endpoint, rule).await;
    let cloud = cloud_of(ACCOUNT, peer, &responder);
    for _ in 0..3 {
        let unit = unit(Key::P256);
        cloud.register(&unit).await.unwrap();
        assert_whole(&peer.raw(), &unit).await;
    }
    assert_eq!(responder.count(STS), 2);
}

#[tokio::test]
async fn credentials_of_another_account_sign_no_call_of_any_kind() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |_, _| Do::Pass).await;
    let cloud = cloud_of("123456789012", peer, &responder);
    let unit = unit(Key::P256);
    let elsewhere = |failure: &lineseal::domain::Failure| {
        assert_eq!(failure.code, ReasonCode::CLOUD_ELSEWHERE, "{failure}");
        assert_eq!(failure.args["found"], ACCOUNT, "{failure:?}");
        assert_eq!(failure.args["account"], "123456789012");
        assert_eq!(failure.args["target"], "plant");
    };
    let refusal = cloud.register(&unit).await.unwrap_err();
    elsewhere(&refusal.failure);
    assert!(!refusal.certificate_left);
    elsewhere(&cloud.probe(&unit.target).await.unwrap_err());
    elsewhere(&cloud.deactivate(&unit.target, &unit.fingerprint).await.unwrap_err());
    let iot = ["DescribeThing", "DescribeCertificate", "DescribeEndpoint", "UpdateCertificate"];
    assert_eq!(iot.map(|action| responder.count(action)), [0; 4]);
}

/// The credentials are right, and an answer is about another place.
#[tokio::test]
async fn an_answer_about_another_account_or_region_is_not_taken_for_the_targets() {
    let peer = ministack().await;
    for place in ["us-east-1:333333333333", "eu-west-1:000000000000"] {
        let unit = unit(Key::P256);
        let thing = unit.thing.to_string();
        let body = format!(r#"{{"thingName":"{thing}","thingId":"1","thingArn":"arn:aws:iot:{place}:thing/{thing}"}}"#);
        let rule = move |action, _| if action == "DescribeThing" { found(body.clone()) } else { Do::Pass };
        let responder = Responder::before(&peer.endpoint, rule).await;
        let refusal = cloud_of(ACCOUNT, peer, &responder).register(&unit).await.unwrap_err();
        assert_eq!(code(&refusal), ReasonCode::CLOUD_ELSEWHERE, "{refusal}");
        assert_eq!(responder.count("RegisterCertificateWithoutCA"), 0);
        assert_eq!(held(&peer.raw(), &unit).await.certificates_with_this_id, 0);
    }
    let body = r#"{"endpointAddress":"a1b2c3-ats.iot.eu-west-1.amazonaws.com"}"#;
    let rule = move |action, _| if action == "DescribeEndpoint" { found(body.into()) } else { Do::Pass };
    let responder = Responder::before(&peer.endpoint, rule).await;
    let failure = cloud_of(ACCOUNT, peer, &responder).probe(&"plant".parse().unwrap()).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_ELSEWHERE, "{failure}");
    // Nor is a certificate that AWS says it has made elsewhere.
    let unit = unit(Key::P256);
    let id = unit.fingerprint.to_string();
    let body = format!(r#"{{"certificateArn":"arn:aws:iot:us-east-1:333333333333:cert/{id}","certificateId":"{id}"}}"#);
    let rule = move |action, _| match action {
        "RegisterCertificateWithoutCA" => found(body.clone()),
        _ => Do::Pass,
    };
    let responder = Responder::before(&peer.endpoint, rule).await;
    let refusal = cloud_of(ACCOUNT, peer, &responder).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), refusal.certificate_left), (ReasonCode::CLOUD_ELSEWHERE, true));
    assert_eq!(responder.count("AttachPolicy"), 0);
}

/// Nor is it held against the role where AWS STS is away, or busy.
#[tokio::test]
async fn a_role_is_refused_only_where_aws_says_so() {
    let peer = ministack().await;
    type Fault = fn() -> Do;
    let faults: [(Fault, ReasonCode); 6] = [
        (|| said(403, "AccessDenied"), ReasonCode::ROLE_REFUSED),
        (|| said(403, "ExpiredToken"), ReasonCode::CLOUD_EXPIRED),
        (|| said(400, "Throttling"), ReasonCode::CLOUD_THROTTLED),
        (|| said(503, "ServiceUnavailable"), ReasonCode::CLOUD_FAILED),
        (|| Do::Answer { status: 502, error: "", body: "<html>Bad Gateway</html>".into() }, ReasonCode::CLOUD_FAILED),
        (|| Do::Hang, ReasonCode::CLOUD_UNREACHABLE),
    ];
    for (fault, expected) in faults {
        let responder =
            Responder::before(&peer.endpoint, move |action, _| if action == STS { fault() } else { Do::Pass }).await;
        let mut targets = peer.targets(&responder.endpoint());
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/station").parse().unwrap();
        targets[0].role = Some(lineseal::config::Role { arn, external_id: None });
        let cloud = AwsCloud::with_credentials(&targets, peer.station.clone());
        let unit = Registration { deadline: Duration::from_secs(6), ..unit(Key::P256) };
        let refusal = cloud.register(&unit).await.unwrap_err();
        assert_eq!(code(&refusal), expected, "{refusal}");
        assert!(!refusal.certificate_left, "{refusal}");
        assert_eq!(responder.count("DescribeThing"), 0);
    }
}
