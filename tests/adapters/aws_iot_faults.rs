//! What AWS does and no stand-in: throttling, 5xx, permissions missing one by one, answers that get
//! lost, writes that are not visible yet, lists in pages. A responder before MiniStack makes them:
//! what it does not answer itself it passes on, signature and all.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::*;
use lineseal::audit::event::Attachment;

/// What happens to one request.
pub(super) enum Do {
    Pass,
    Answer {
        status: u16,
        error: &'static str,
        body: String,
    },
    /// AWS does it; the answer is lost.
    PassAndCut,
    /// Nothing ever comes back.
    Hang,
}

pub(super) fn error(status: u16, error: &'static str) -> Do {
    Do::Answer { status, error, body: r#"{"message":"made by the test"}"#.to_owned() }
}

pub(super) fn found(body: String) -> Do {
    Do::Answer { status: 200, error: "", body }
}

/// Counts the requests of each action, from 1, and does what the rule says.
pub(super) struct Responder {
    address: SocketAddr,
    counts: Arc<Mutex<HashMap<&'static str, u32>>>,
    task: AbortHandle,
}

impl Responder {
    pub(super) async fn before(peer: &Peer, rule: impl Fn(&'static str, u32) -> Do + Send + Sync + 'static) -> Self {
        let upstream: SocketAddr = peer.endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Mutex::new(HashMap::new()));
        let (rule, counted) = (Arc::new(rule), Arc::clone(&counts));
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (rule, counted) = (Arc::clone(&rule), Arc::clone(&counted));
                tokio::spawn(async move { exchange(client, upstream, &*rule, &counted).await });
            }
        };
        Self { address, counts, task: tokio::spawn(accept).abort_handle() }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn count(&self, action: &str) -> u32 {
        self.counts.lock().unwrap().get(action).copied().unwrap_or_default()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one answer, then the connection is closed.
async fn exchange(
    mut client: TcpStream,
    upstream: SocketAddr,
    rule: &(dyn Fn(&'static str, u32) -> Do + Send + Sync),
    counts: &Mutex<HashMap<&'static str, u32>>,
) -> Option<()> {
    let (head, body) = request(&mut client).await?;
    let action = action_of(&head);
    let count = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(action).or_default();
        *count += 1;
        *count
    };
    let what = rule(action, count);
    match what {
        Do::Hang => std::future::pending().await,
        Do::Answer { status, error, body } => {
            let error = if error.is_empty() { String::new() } else { format!("x-amzn-errortype: {error}\r\n") };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{error}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            client.write_all(head.as_bytes()).await.ok()?;
            client.write_all(body.as_bytes()).await.ok()?;
        }
        Do::Pass | Do::PassAndCut => {
            let mut server = TcpStream::connect(upstream).await.ok()?;
            let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            server.write_all(head.as_bytes()).await.ok()?;
            server.write_all(&body).await.ok()?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await.ok()?;
            if !matches!(what, Do::PassAndCut) {
                client.write_all(&answer).await.ok()?;
            }
        }
    }
    client.shutdown().await.ok()
}

async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
    let mut body = body;
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// From AWS's API model: the request line of each action that the adapter uses.
fn action_of(head: &str) -> &'static str {
    let mut words = head.split([' ', '?']);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    match (method, path) {
        ("POST", "/certificate/register-no-ca") => "RegisterCertificateWithoutCA",
        ("POST", "/certificate/register") => "RegisterCertificate",
        ("POST", "/cacertificate") => "RegisterCACertificate",
        ("GET", "/cacertificates") => "ListCACertificates",
        ("GET", "/registrationcode") => "GetRegistrationCode",
        ("GET", path) if path.starts_with("/cacertificate/") => "DescribeCACertificate",
        ("PUT", path) if path.starts_with("/cacertificate/") => "UpdateCACertificate",
        ("DELETE", path) if path.starts_with("/cacertificate/") => "DeleteCACertificate",
        ("GET", "/endpoint") => "DescribeEndpoint",
        // AWS STS, at the same stand-in.
        ("POST", "/") => "GetCallerIdentity",
        ("GET", "/principals/things") => "ListPrincipalThings",
        ("POST", "/certificates") => "CreateCertificateFromCsr",
        ("GET", "/certificates") => "ListCertificates",
        ("DELETE", path) if path.starts_with("/certificates/") => "DeleteCertificate",
        ("GET", "/principals/things-v2") => "ListPrincipalThingsV2",
        ("GET", path) if path.starts_with("/certificates/") => "DescribeCertificate",
        ("PUT", path) if path.starts_with("/certificates/") => "UpdateCertificate",
        ("GET", path) if path.starts_with("/things/") && path.ends_with("/principals") => "ListThingPrincipals",
        ("PUT", path) if path.starts_with("/things/") && path.ends_with("/principals") => {
            // No peer holds anybody to it.
            assert!(words.next().is_some_and(|query| query.contains("thingPrincipalType=EXCLUSIVE_THING")), "{head}");
            "AttachThingPrincipal"
        }
        ("DELETE", path) if path.starts_with("/things/") && path.ends_with("/principals") => "DetachThingPrincipal",
        ("GET", path) if path.starts_with("/things/") => "DescribeThing",
        ("POST", path) if path.starts_with("/things/") => "CreateThing",
        ("GET", path) if path.starts_with("/thing-types/") => "DescribeThingType",
        ("POST", path) if path.starts_with("/thing-types/") => "CreateThingType",
        ("GET", path) if path.starts_with("/policies/") => "GetPolicy",
        ("POST", path) if path.starts_with("/policies/") => "CreatePolicy",
        ("POST", path) if path.starts_with("/attached-policies/") => "ListAttachedPolicies",
        ("PUT", path) if path.starts_with("/target-policies/") => "AttachPolicy",
        ("POST", path) if path.starts_with("/target-policies/") => "DetachPolicy",
        other => panic!("{other:?} is no request that the adapter makes"),
    }
}

/// Everything that a fresh registration calls.
const CALLS: [&str; 14] = [
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
        let responder =
            Responder::before(
                peer,
                move |action, _| {
                    if action == denied { error(403, "AccessDeniedException") } else { Do::Pass }
                },
            )
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
        let responder = Responder::before(peer, move |action, count| match count {
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
        let responder = Responder::before(
            peer,
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
        let responder = Responder::before(peer, rule).await;
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
        let responder = Responder::before(peer, rule).await;
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
    let responder =
        Responder::before(
            peer,
            |action, _| {
                if action == "CreateThing" { error(400, "ThrottlingException") } else { Do::Pass }
            },
        )
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
    let responder = Responder::before(peer, |action, _| {
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
    let responder = Responder::before(peer, |action, _| match action {
        "DescribeThing" => Do::Answer { status: 404, error: "", body: "<html>Not Found</html>".into() },
        _ => Do::Pass,
    })
    .await;
    let unit = unit(Key::P256);
    let refusal = peer.cloud_at(&responder.endpoint()).register(&unit).await.unwrap_err();
    assert!([ReasonCode::CLOUD_REFUSED, ReasonCode::CLOUD_FAILED].contains(&code(&refusal)), "{refusal}");
    assert!(!refusal.certificate_left);
    assert_eq!(responder.count("CreateThing") + responder.count("RegisterCertificateWithoutCA"), 0);
}

#[tokio::test]
async fn what_is_written_and_not_visible_yet_is_waited_for() {
    let peer = ministack().await;
    // The first question comes before the write, the next three are asked too early.
    let absent = || error(404, "ResourceNotFoundException");
    let responder = Responder::before(peer, move |action, count| match action {
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
    let responder = Responder::before(peer, |action, _| match action {
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
    let responder = Responder::before(peer, |action, count| match (action, count) {
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

#[tokio::test]
async fn a_foreigner_on_the_second_page_is_found() {
    let peer = ministack().await;
    let unit = unit(Key::P256);
    let record = peer.cloud().register(&unit).await.unwrap();
    let (thing, arn) = (unit.thing.to_string(), record.certificate_arn);

    let first = thing.clone();
    let things = Responder::before(peer, move |action, count| match (action, count) {
        ("ListPrincipalThings", 1) => found(format!(r#"{{"things":["{first}"],"nextToken":"2"}}"#)),
        ("ListPrincipalThings", _) => found(r#"{"things":["gw-other"]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&things.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), things.count("ListPrincipalThings")), (ReasonCode::CERTIFICATE_FOREIGN, 2));

    let first = arn.clone();
    let principals = Responder::before(peer, move |action, count| match (action, count) {
        ("ListThingPrincipals", 1) => found(format!(r#"{{"principals":["{first}"],"nextToken":"2"}}"#)),
        ("ListThingPrincipals", _) => found(r#"{"principals":["us-east-1:cognito"]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let refusal = peer.cloud_at(&principals.endpoint()).register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), principals.count("ListThingPrincipals")), (ReasonCode::THING_FOREIGN, 2));

    let first = unit.policy.name.to_string();
    let policies = Responder::before(peer, move |action, count| match (action, count) {
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
    let responder = Responder::before(peer, |action, _| match action {
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
    let responder = Responder::before(peer, |action, _| match action {
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
async fn a_name_that_does_not_resolve_is_unreachable() {
    let mut unit = unit(Key::P256);
    unit.deadline = Duration::from_secs(3);
    let cloud = ministack().await.cloud_at("http://no-such-host.invalid:1");
    assert_eq!(code(&cloud.register(&unit).await.unwrap_err()), ReasonCode::CLOUD_UNREACHABLE);
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
