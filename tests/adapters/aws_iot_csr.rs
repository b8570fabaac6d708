//! Certificates that AWS makes for a unit's key: one, whatever becomes of the calls, and INACTIVE until it is recorded.
//! The stories are MiniStack's: moto makes each certificate for a key of its own, whatever the request says, and what a
//! station makes of that is in `tests/line/csr.rs`.

use lineseal::adapters::system::SystemClock;
use lineseal::audit::event::IssuedOrigin;
use lineseal::domain::SpkiHash;
use lineseal::ports::{Clock as _, Issuance, Made, MadeBefore};

use super::responder::{Do, Responder, error};
use super::*;

/// A new key's request.
pub(super) fn issuance() -> Issuance {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "gw-1");
    let request = params.serialize_request(&key).unwrap().der().to_vec();
    Issuance {
        target: "plant".parse().unwrap(),
        thing: "gw-1".parse().unwrap(),
        request: Some(Bytes(request)),
        spki: SpkiHash::of(&rcgen::PublicKeyData::subject_public_key_info(&key)),
        asked: SystemClock.now(),
        deadline: Duration::from_secs(20),
    }
}

/// Ids and status of all that carry the key.
pub(super) async fn of_key(raw: &Client, key: SpkiHash) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for listed in raw.list_certificates().page_size(250).send().await.unwrap().certificates.unwrap() {
        let id = listed.certificate_id.unwrap();
        // Other tests delete theirs meanwhile.
        let Ok(seen) = raw.describe_certificate().certificate_id(&id).send().await else { continue };
        let seen = seen.certificate_description.unwrap();
        let (_, der) = x509_cert::der::pem::decode_vec(seen.certificate_pem.unwrap().as_bytes()).unwrap();
        if lineseal::provisioning::checks::spki_hash(&der).unwrap() == key {
            found.push((id, seen.status.unwrap().as_str().to_owned()));
        }
    }
    found
}

fn inactive(made: &Made) -> Vec<(String, String)> {
    vec![(Fingerprint::of(&made.certificate).to_string(), "INACTIVE".to_owned())]
}

#[tokio::test]
async fn a_certificate_is_made_once_and_found_again() {
    let peer = ministack().await;
    let (cloud, wanted) = (peer.cloud(), issuance());
    let made = cloud.issue(&wanted, &MadeBefore::default()).await.unwrap();
    assert_eq!((made.origin, of_key(&peer.raw(), wanted.spki).await), (IssuedOrigin::Made, inactive(&made)));
    assert_eq!(lineseal::provisioning::checks::spki_hash(&made.certificate).unwrap(), wanted.spki);
    let before = MadeBefore { certificates: vec![made.certificate.clone()], ..MadeBefore::default() };
    let again = cloud.issue(&wanted, &before).await.unwrap();
    assert_eq!((again.origin, &again.certificate), (IssuedOrigin::Known, &made.certificate));
    // Deleted by a person: another one is made.
    peer.raw()
        .delete_certificate()
        .certificate_id(Fingerprint::of(&made.certificate).to_string())
        .send()
        .await
        .unwrap();
    let anew = cloud.issue(&wanted, &before).await.unwrap();
    assert_eq!((anew.origin, of_key(&peer.raw(), wanted.spki).await), (IssuedOrigin::Made, inactive(&anew)));
}

/// What a killed run left behind, and nothing of anybody else's.
#[tokio::test]
async fn what_was_made_and_not_recorded_is_taken_and_its_doubles_go() {
    let peer = ministack().await;
    let (cloud, wanted, other) = (peer.cloud(), issuance(), issuance());
    let pem = |wanted: &Issuance| lineseal::domain::request_pem(wanted.request.as_ref().unwrap());
    let make = async |wanted: &Issuance, active: bool| {
        let request = peer.raw().create_certificate_from_csr().certificate_signing_request(pem(wanted));
        request.set_as_active(active).send().await.unwrap().certificate_id.unwrap()
    };
    let left = [make(&wanted, false).await, make(&wanted, false).await];
    let theirs = make(&other, false).await;
    let active = make(&wanted, true).await;
    let before = MadeBefore { unanswered: Some(wanted.asked), ..MadeBefore::default() };
    let found = cloud.issue(&wanted, &before).await.unwrap();
    let id = Fingerprint::of(&found.certificate).to_string();
    assert!(found.origin == IssuedOrigin::Found && left.contains(&id));
    let mut now = of_key(&peer.raw(), wanted.spki).await;
    now.sort_by_key(|(_, status)| status.clone());
    // One that is ACTIVE was recorded by somebody.
    assert_eq!(now, [(active, "ACTIVE".to_owned()), (id, "INACTIVE".to_owned())]);
    assert_eq!(of_key(&peer.raw(), other.spki).await, [(theirs, "INACTIVE".to_owned())]);
}

/// What becomes of the call, by how often it was made.
type Fault = fn(u32) -> Do;

#[tokio::test]
async fn whatever_becomes_of_the_call_one_certificate_is_made() {
    let peer = ministack().await;
    let faults: [(&str, Fault); 4] = [
        ("its answer is lost", |count| if count == 1 { Do::PassAndCut } else { Do::Pass }),
        ("a failure of AWS's", |count| if count == 1 { error(500, "InternalFailureException") } else { Do::Pass }),
        ("unavailable", |count| if count == 1 { error(503, "ServiceUnavailableException") } else { Do::Pass }),
        ("throttled", |count| if count <= 2 { error(400, "ThrottlingException") } else { Do::Pass }),
    ];
    for (what, fault) in faults {
        let responder = Responder::before(&peer.endpoint, move |action, count| match action {
            "CreateCertificateFromCsr" => fault(count),
            _ => Do::Pass,
        })
        .await;
        let wanted = issuance();
        let made = peer.cloud_at(&responder.endpoint()).issue(&wanted, &MadeBefore::default()).await;
        let made = made.unwrap_or_else(|failure| panic!("{what}: {failure}"));
        assert_eq!(of_key(&peer.raw(), wanted.spki).await, inactive(&made), "{what}");
    }
}

#[tokio::test]
async fn a_station_that_may_not_says_which_action_and_nothing_is_made() {
    let peer = ministack().await;
    let responder = Responder::before(&peer.endpoint, |action, _| match action {
        "CreateCertificateFromCsr" => error(401, "UnauthorizedException"),
        _ => Do::Pass,
    })
    .await;
    let wanted = issuance();
    let failure = peer.cloud_at(&responder.endpoint()).issue(&wanted, &MadeBefore::default()).await.unwrap_err();
    assert_eq!(
        (failure.code, failure.args["action"].as_str()),
        (ReasonCode::CLOUD_PERMISSION, "iot:CreateCertificateFromCsr")
    );
    assert!(of_key(&peer.raw(), wanted.spki).await.is_empty());
}
