//! The method `with-ca`, and the CAs themselves. moto knows neither modes, verification nor ListCACertificates, and its
//! DescribeCertificate tells no CA: only whether it takes a certificate in a CA's name is asked of it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use aws_sdk_iot::types::{CaCertificateStatus, CertificateMode};
use lineseal::adapters::own_ca::{AwsAuthorities, FileCaKey};
use lineseal::adapters::system::SystemClock;
use lineseal::domain::{CaEnd, CaMode, CaPlan, JoinTemplate, SigningCa};
use lineseal::ports::{Authorities, CaSigner as _, Clock as _};
use lineseal::provisioning::verification;

use super::responder::{Do, Responder, error, found};
use super::*;

const BODY: &str = r#"{"Resources":{"certificate":{"Type":"AWS::IoT::Certificate","Properties":{}}}}"#;

/// A CA with its key, new.
pub(super) struct Own {
    pub(super) signing: SigningCa,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    dir: tempfile::TempDir,
}

impl Own {
    pub(super) fn new() -> Own {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "The plant's own CA");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        params.not_after = rcgen::date_time_ymd(2046, 1, 1);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let signing =
            SigningCa { name: "own".parse().unwrap(), fingerprint: Fingerprint::of(&der), certificate: Bytes(der) };
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.key"), key.serialize_pem()).unwrap();
        std::fs::set_permissions(dir.path().join("ca.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        Own { signing, issuer: rcgen::Issuer::new(params, key), dir }
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("ca.key")
    }

    fn id(&self) -> String {
        self.signing.fingerprint.to_string()
    }

    /// A unit whose chip it certified.
    pub(super) fn unit(&self) -> Registration {
        let unit = unit(Key::P256);
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, unit.thing.as_str());
        params.not_after = rcgen::date_time_ymd(2046, 1, 1);
        let certificate = Bytes(params.signed_by(&key, &self.issuer).unwrap().der().to_vec());
        let fingerprint = Fingerprint::of(&certificate);
        Registration { method: Method::WithCa(self.signing.clone()), certificate, fingerprint, ..unit }
    }

    pub(super) fn plan(&self, mode: CaMode) -> CaPlan {
        let (target, ca) = ("plant".parse().unwrap(), self.signing.clone());
        CaPlan { target, ca, mode, auto_registration: false, template: None }
    }

    /// By hand, SNI_ONLY and ACTIVE.
    async fn by_hand(&self, peer: &Peer) {
        let request = peer.raw().register_ca_certificate().ca_certificate(pem(&self.signing.certificate));
        request.certificate_mode(CertificateMode::SniOnly).set_as_active(true).send().await.unwrap();
    }

    async fn set(&self, peer: &Peer, status: CaCertificateStatus) {
        peer.raw().update_ca_certificate().certificate_id(self.id()).new_status(status).send().await.unwrap();
    }

    pub(super) async fn proof(&self, authorities: &AwsAuthorities) -> Vec<u8> {
        let code = authorities.registration_code(&"plant".parse().unwrap()).await.unwrap();
        let any = rcgen::PublicKeyData::subject_public_key_info(&rcgen::KeyPair::generate().unwrap());
        let now = SystemClock.now();
        let unsigned = verification::unsigned(&self.signing, &code, &any, [1; 16], now).unwrap();
        let key = FileCaKey::new("own".parse().unwrap(), self.key());
        let signature = key.sign(&unsigned.message, unsigned.scheme).await.unwrap();
        unsigned.signed(&self.signing, &signature).unwrap()
    }
}

pub(super) fn authorities(peer: &Peer, endpoint: &str) -> AwsAuthorities {
    AwsAuthorities::with_credentials(&peer.targets(endpoint), peer.station.clone())
}

async fn ca_of(peer: &Peer, unit: &Registration) -> Option<String> {
    let seen = peer.raw().describe_certificate().certificate_id(unit.fingerprint.to_string()).send().await.unwrap();
    seen.certificate_description.unwrap().ca_certificate_id
}

/// What moto can't show counts as not so: nothing passes that was not read back.
#[tokio::test]
async fn moto_takes_a_certificate_in_its_cas_name_and_as_it_can_not_tell_so_afterwards_it_is_an_error() {
    let peer = moto().await;
    let own = Own::new();
    own.by_hand(peer).await;
    let unit = own.unit();
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), refusal.certificate_left), (ReasonCode::CERTIFICATE_OTHER_CA, true));
    let listed = peer.raw().list_certificates_by_ca().ca_certificate_id(own.id()).send().await.unwrap();
    let ids: Vec<_> = listed.certificates().iter().map(|found| found.certificate_id().unwrap().to_owned()).collect();
    assert_eq!(ids, [unit.fingerprint.to_string()]);
}

#[tokio::test]
async fn a_unit_is_registered_in_its_cas_name_and_a_second_time_nothing_is_made() {
    let peer = ministack().await;
    let own = Own::new();
    own.by_hand(peer).await;
    let unit = own.unit();
    let record = peer.cloud().register(&unit).await.unwrap();
    assert_eq!(record.created, ALL_PARTS);
    assert_eq!(ca_of(peer, &unit).await, Some(own.id()));
    assert_whole(&peer.raw(), &unit).await;
    let again = peer.cloud().register(&unit).await.unwrap();
    assert_eq!((again.created.len(), again.adopted.len()), (0, ALL_PARTS.len()));
    // INACTIVE where the profile says so.
    let quiet = Registration { certificate_status: CertificateStatus::Inactive, ..own.unit() };
    peer.cloud().register(&quiet).await.unwrap();
    assert_whole(&peer.raw(), &quiet).await;
}

#[tokio::test]
async fn without_its_ca_nothing_of_a_unit_is_made_and_what_was_seen_active_is_looked_at_again_when_aws_refuses() {
    let peer = ministack().await;
    let own = Own::new();
    let (unit, cloud, target) = (own.unit(), peer.cloud(), "plant".parse().unwrap());
    let refusal = cloud.register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), refusal.certificate_left), (ReasonCode::CA_ABSENT, false));
    assert_eq!(cloud.takes_from(&target, &own.signing, false).await.unwrap_err().code, ReasonCode::CA_ABSENT);
    own.by_hand(peer).await;
    own.set(peer, CaCertificateStatus::Inactive).await;
    assert_eq!(code(&cloud.register(&unit).await.unwrap_err()), ReasonCode::CA_INACTIVE);
    assert_eq!(cloud.takes_from(&target, &own.signing, false).await.unwrap_err().code, ReasonCode::CA_INACTIVE);
    let nothing = held(&peer.raw(), &unit).await;
    assert_eq!((nothing.certificates_with_this_id, nothing.things_with_this_name), (0, 0));

    own.set(peer, CaCertificateStatus::Active).await;
    cloud.takes_from(&target, &own.signing, false).await.unwrap();
    // Switched off while the station believes what it saw.
    own.set(peer, CaCertificateStatus::Inactive).await;
    let refusal = cloud.register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), refusal.certificate_left), (ReasonCode::CA_INACTIVE, false));
    own.set(peer, CaCertificateStatus::Active).await;
    cloud.register(&unit).await.unwrap();
    assert_whole(&peer.raw(), &unit).await;
    // What is registered stays so.
    own.set(peer, CaCertificateStatus::Inactive).await;
    peer.cloud().register(&unit).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_there_without_its_ca_is_stopped_with_both_sides_shown() {
    let peer = ministack().await;
    let own = Own::new();
    let unit = own.unit();
    Hand { raw: peer.raw(), unit: &unit }.certificate(AwsStatus::Active).await;
    own.by_hand(peer).await;
    let refusal = peer.cloud().register(&unit).await.unwrap_err();
    assert_eq!((code(&refusal), refusal.certificate_left), (ReasonCode::CERTIFICATE_OTHER_CA, false));
    let cause = &refusal.failure.cause;
    assert!(cause.contains("without a CA") && cause.contains(&own.id()), "{cause}");
    assert_eq!(held(&peer.raw(), &unit).await.things_with_this_name, 0);
}

#[tokio::test]
async fn each_call_in_a_cas_name_denied_failing_or_lost_in_turn_leaves_nothing_doubled() {
    let peer = ministack().await;
    let own = Own::new();
    own.by_hand(peer).await;
    for hit in ["DescribeCACertificate", "RegisterCertificate"] {
        let denied = Responder::before(&peer.endpoint, move |action, _| {
            if action == hit { error(403, "AccessDeniedException") } else { Do::Pass }
        })
        .await;
        let unit = own.unit();
        let refusal = peer.cloud_at(&denied.endpoint()).register(&unit).await.unwrap_err();
        assert_eq!(code(&refusal), ReasonCode::CLOUD_PERMISSION, "{hit}");
        assert_eq!(refusal.failure.args["action"], format!("iot:{hit}"));
        peer.cloud().register(&unit).await.unwrap();

        let failing = Responder::before(&peer.endpoint, move |action, count| match count {
            1 if action == hit => error(500, "InternalFailureException"),
            2 if action == hit => error(400, "ThrottlingException"),
            3 if action == hit => Do::PassAndCut,
            _ => Do::Pass,
        })
        .await;
        let unit = own.unit();
        let record = peer.cloud_at(&failing.endpoint()).register(&unit).await.unwrap();
        assert_eq!(record.created, ALL_PARTS, "{hit}");
        assert_eq!(ca_of(peer, &unit).await, Some(own.id()));
        assert_whole(&peer.raw(), &unit).await;
    }
}

#[tokio::test]
async fn a_ca_is_registered_changed_switched_off_and_deleted_and_each_act_may_be_repeated() {
    let peer = ministack().await;
    let own = Own::new();
    let authorities = authorities(peer, &peer.endpoint);
    let plan = own.plan(CaMode::Default);
    assert_eq!(authorities.find(&plan.target, &own.signing.fingerprint).await.unwrap(), None);
    assert_eq!(authorities.update(&plan).await.unwrap_err().code, ReasonCode::CA_ABSENT);
    let proof = own.proof(&authorities).await;
    assert_eq!(authorities.register(&plan, Some(&proof)).await.unwrap(), CaEnd::Done);
    assert_eq!(authorities.register(&plan, None).await.unwrap(), CaEnd::Found);
    let held = authorities.find(&plan.target, &own.signing.fingerprint).await.unwrap().unwrap();
    assert_eq!((held.mode, held.active, held.auto_registration), (CaMode::Default, true, false));
    assert_eq!(held.subject, "CN=The plant's own CA");

    let template = JoinTemplate { body: BODY.into(), role: "arn:aws:iam::000000000000:role/join".into() };
    let joining = CaPlan { auto_registration: true, template: Some(template.clone()), ..plan.clone() };
    let failure = authorities.register(&joining, None).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CA_DIFFERS);
    assert!(failure.cause.contains("no auto-registration") && failure.cause.contains(&template.role), "{failure}");
    assert_eq!(authorities.update(&joining).await.unwrap(), CaEnd::Done);
    assert_eq!(authorities.update(&joining).await.unwrap(), CaEnd::Found);
    let held = authorities.find(&plan.target, &own.signing.fingerprint).await.unwrap().unwrap();
    assert_eq!((held.auto_registration, held.template), (true, Some(template)));
    assert_eq!(authorities.update(&plan).await.unwrap(), CaEnd::Done);

    // The mode is for ever.
    let other = own.plan(CaMode::SniOnly);
    for failure in [authorities.register(&other, None).await, authorities.update(&other).await].map(Result::unwrap_err)
    {
        assert_eq!(failure.code, ReasonCode::CA_DIFFERS);
        assert!(failure.cause.contains("DEFAULT") && failure.cause.contains("SNI_ONLY"), "{failure}");
    }
    assert_eq!(authorities.delete(&plan).await.unwrap_err().code, ReasonCode::NOT_NOW);
    for end in [CaEnd::Done, CaEnd::Found] {
        assert_eq!(authorities.deactivate(&plan).await.unwrap(), end);
    }
    assert_eq!(authorities.register(&plan, None).await.unwrap_err().code, ReasonCode::CA_DIFFERS);
    assert!(authorities.all(&plan.target).await.unwrap().iter().any(|held| held.id == own.signing.fingerprint));
    for end in [CaEnd::Done, CaEnd::Found] {
        assert_eq!(authorities.delete(&plan).await.unwrap(), end);
    }
    assert_eq!(authorities.find(&plan.target, &own.signing.fingerprint).await.unwrap(), None);
}

/// MiniStack lets any number of accounts have a CA in DEFAULT mode; AWS says that it exists.
#[tokio::test]
async fn a_ca_that_another_account_has_is_told_as_such_with_what_aws_says_of_it() {
    let peer = ministack().await;
    let own = Own::new();
    let other = format!("arn:aws:iot:us-east-1:999999999999:cacert/{}", own.id());
    let body = format!(r#"{{"message":"exists","resourceArn":"{other}","resourceId":"{}"}}"#, own.id());
    let responder = Responder::before(&peer.endpoint, move |action, _| match action {
        "RegisterCACertificate" => {
            Do::Answer { status: 409, error: "ResourceAlreadyExistsException", body: body.clone() }
        }
        _ => Do::Pass,
    })
    .await;
    let authorities = authorities(peer, &responder.endpoint());
    let proof = own.proof(&authorities).await;
    let failure = authorities.register(&own.plan(CaMode::Default), Some(&proof)).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CA_TAKEN);
    assert!(failure.cause.contains(&other) && failure.cause.contains("DEFAULT"), "{failure}");
    assert_eq!((failure.args["ca"].as_str(), failure.args["target"].as_str()), ("own", "plant"));
}

/// AWS's limit of ten with one subject, which MiniStack does not have.
#[tokio::test]
async fn where_there_is_no_room_for_a_further_ca_those_of_its_subject_are_named() {
    let peer = ministack().await;
    let (there, own) = (Own::new(), Own::new());
    there.by_hand(peer).await;
    let responder = Responder::before(&peer.endpoint, move |action, _| match action {
        "RegisterCACertificate" => error(410, "LimitExceededException"),
        _ => Do::Pass,
    })
    .await;
    let failure =
        authorities(peer, &responder.endpoint()).register(&own.plan(CaMode::SniOnly), None).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CA_LIMIT);
    assert!(failure.cause.contains(&there.id()), "{failure}");
}

#[tokio::test]
async fn each_call_about_a_ca_failing_throttled_or_lost_in_turn_ends_with_one_ca_as_planned() {
    let peer = ministack().await;
    for hit in [
        "GetRegistrationCode",
        "RegisterCACertificate",
        "DescribeCACertificate",
        "UpdateCACertificate",
        "DeleteCACertificate",
    ] {
        let own = Own::new();
        let plan = own.plan(CaMode::Default);
        let responder = Responder::before(&peer.endpoint, move |action, count| match count {
            1 if action == hit => error(500, "InternalFailureException"),
            2 if action == hit => error(400, "ThrottlingException"),
            3 if action == hit => Do::PassAndCut,
            _ => Do::Pass,
        })
        .await;
        let authorities = authorities(peer, &responder.endpoint());
        let proof = own.proof(&authorities).await;
        assert_eq!(authorities.register(&plan, Some(&proof)).await.unwrap(), CaEnd::Done, "{hit}");
        let listed = authorities.all(&plan.target).await.unwrap();
        assert_eq!(listed.iter().filter(|held| held.id == own.signing.fingerprint).count(), 1);
        assert_eq!(authorities.deactivate(&plan).await.unwrap(), CaEnd::Done, "{hit}");
        assert_eq!(authorities.delete(&plan).await.unwrap(), CaEnd::Done, "{hit}");
        assert!(responder.count(hit) >= 3, "{hit}");
    }
}

#[tokio::test]
async fn each_call_about_a_ca_denied_in_turn_names_the_action() {
    let peer = ministack().await;
    for hit in ["RegisterCACertificate", "DescribeCACertificate", "UpdateCACertificate", "ListCACertificates"] {
        let own = Own::new();
        let plan = own.plan(CaMode::SniOnly);
        let responder = Responder::before(&peer.endpoint, move |action, _| {
            if action == hit { error(403, "AccessDeniedException") } else { Do::Pass }
        })
        .await;
        let authorities = authorities(peer, &responder.endpoint());
        let failed = async {
            authorities.register(&plan, None).await?;
            authorities.deactivate(&plan).await?;
            authorities.all(&plan.target).await
        };
        let failure = failed.await.unwrap_err();
        assert_eq!(
            (failure.code, failure.args["action"].as_str()),
            (ReasonCode::CLOUD_PERMISSION, &*format!("iot:{hit}"))
        );
    }
}

#[tokio::test]
async fn what_is_registered_and_not_visible_yet_is_waited_for() {
    let peer = ministack().await;
    let own = Own::new();
    let responder = Responder::before(&peer.endpoint, |action, count| match (action, count) {
        ("DescribeCACertificate", 1..=3) => error(404, "ResourceNotFoundException"),
        ("ListCACertificates", _) => found(r#"{"certificates":[]}"#.into()),
        _ => Do::Pass,
    })
    .await;
    let authorities = authorities(peer, &responder.endpoint());
    assert_eq!(authorities.register(&own.plan(CaMode::SniOnly), None).await.unwrap(), CaEnd::Done);
    assert_eq!(responder.count("RegisterCACertificate"), 1);
    assert_eq!(authorities.all(&"plant".parse().unwrap()).await.unwrap(), []);
}

#[tokio::test]
async fn a_key_file_is_taken_in_every_form_of_pem_and_from_its_owner_alone() {
    use lineseal::audit::event::SignatureScheme::{EcdsaSecp256r1Sha256, EcdsaSecp384r1Sha384, RsaPkcs1Sha256};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.key");
    let openssl = |args: &[&str]| {
        let done = std::process::Command::new("openssl").args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let file = path.display().to_string();
    let sign = |scheme| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = FileCaKey::new("own".parse().unwrap(), path.clone());
        async move { key.sign(b"message", scheme).await }
    };
    openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-out", &file]);
    assert_eq!(sign(EcdsaSecp256r1Sha256).await.unwrap().len(), 64);
    assert_eq!(sign(EcdsaSecp384r1Sha384).await.unwrap_err().code, ReasonCode::CA_KEY);
    assert_eq!(sign(RsaPkcs1Sha256).await.unwrap_err().code, ReasonCode::CA_KEY);
    openssl(&["genrsa", "-traditional", "-out", &file, "2048"]);
    assert_eq!(sign(RsaPkcs1Sha256).await.unwrap().len(), 256);
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &file]);
    assert_eq!(sign(RsaPkcs1Sha256).await.unwrap().len(), 256);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let key = FileCaKey::new("own".parse().unwrap(), path.clone());
    let failure = key.sign(b"message", RsaPkcs1Sha256).await.unwrap_err();
    assert!(failure.code == ReasonCode::CA_KEY && failure.cause.contains("open to others"), "{failure}");
    std::fs::remove_file(&path).unwrap();
    assert!(key.sign(b"", RsaPkcs1Sha256).await.unwrap_err().cause.contains("is not there"));
}
