//! The connection test against mosquitto, which asks for a certificate, and against brokers that are none.
//! The key never leaves its SoftHSM token.

#[path = "mqtt_broker.rs"]
pub mod broker;

use std::time::{Duration, Instant};

use broker::{EVERYTHING, Fake, Misbehaviour, Mosquitto, NOTHING, OWN_TOPICS, ServerCa};
use lineseal::adapters::mqtt::MqttConnections;
use lineseal::audit::event::{ConnectionRecord, Refused, SignatureScheme};
use lineseal::config::Target;
use lineseal::domain::profile::{KeyKind, MqttPort};
use lineseal::domain::{Bytes, ChipUid, Failure, Fingerprint, ReasonCode};
use lineseal::ports::{Connections as _, TlsKey, Token, Tokens as _, Trial};
use lineseal::practice::vendor::{Validity, VendorCa};
use lineseal::runner::ChipSigns;

use crate::pkcs11::bench::{self, Bench, UID};

const DEADLINE: Duration = Duration::from_secs(20);
/// For what shall fail at every try.
const SHORT: Duration = Duration::from_secs(2);
/// What a loaded machine takes on top.
const SLACK: Duration = Duration::from_secs(4);

/// A chip with a certificate of the vendor's, and its open token.
struct Chip {
    bench: Bench,
    certificate: Vec<u8>,
    kind: KeyKind,
    token: Box<dyn Token>,
}

impl Chip {
    async fn new(vendor: &VendorCa, kind: KeyKind) -> Self {
        let bench = Bench::new(kind);
        let certificate = vendor.issue(&bench.spki, &ChipUid::from_bytes(&UID).unwrap(), Validity::Good).unwrap();
        let token = bench::tokens().open(&bench.access()).await.unwrap();
        Self { bench, certificate, kind, token }
    }

    fn trial(&self, deadline: Duration) -> Trial {
        Trial {
            target: "production".parse().unwrap(),
            endpoint: "nowhere.invalid".into(),
            port: MqttPort::Mqtts,
            roots: None,
            only_tls12: false,
            thing: "gw-1".parse().unwrap(),
            chain: vec![Bytes(self.certificate.clone())],
            key: self.kind,
            topics: vec!["devices/gw-1/test".parse().unwrap()],
            refused_topic: Some("devices/gw-2/test".parse().unwrap()),
            message: Bytes(b"lineseal connection v1".to_vec()),
            deadline,
        }
    }

    async fn connect(&mut self, target: Target, trial: &Trial) -> Result<ConnectionRecord, Failure> {
        let mut key = ChipSigns { token: self.token.as_mut(), kind: self.kind, spki: &self.bench.spki, signed: false };
        MqttConnections::new(&[target]).prove(trial, &mut key).await
    }
}

fn vendor() -> VendorCa {
    VendorCa::create_foreign().unwrap()
}

#[tokio::test]
async fn every_kind_of_key_connects_by_either_tls_and_the_broker_holds_it_to_its_topics() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, OWN_TOPICS);
    for (kind, by_12, by_13) in [
        (KeyKind::EcP256, SignatureScheme::EcdsaSecp256r1Sha256, SignatureScheme::EcdsaSecp256r1Sha256),
        (KeyKind::EcP384, SignatureScheme::EcdsaSecp384r1Sha384, SignatureScheme::EcdsaSecp384r1Sha384),
        (KeyKind::EcP521, SignatureScheme::EcdsaSecp521r1Sha512, SignatureScheme::EcdsaSecp521r1Sha512),
        (KeyKind::Rsa2048, SignatureScheme::RsaPkcs1Sha256, SignatureScheme::RsaPssRsaeSha256),
    ] {
        let mut chip = Chip::new(&vendor, kind).await;
        for (only_tls12, tls, scheme) in [(true, "TLSv1_2", by_12), (false, "TLSv1_3", by_13)] {
            if only_tls12 && kind == KeyKind::EcP521 {
                // In TLS 1.2 a key's curve has to be one of those that the client agrees keys by (RFC 8422 §5.1.1),
                // and rustls has none for P-521.
                continue;
            }
            let trial = Trial { only_tls12, ..chip.trial(DEADLINE) };
            let made = chip.connect(broker.target(), &trial).await;
            let made = made.unwrap_or_else(|failure| panic!("{kind:?} {tls}: {failure}\n{}", broker.log()));
            assert_eq!((made.tls.as_str(), made.scheme), (tls, scheme), "{kind:?}");
            assert_eq!((made.tries, made.client_id.as_str()), (1, "gw-1"));
            assert_eq!(made.endpoint, format!("localhost:{}", broker.port));
            assert!(made.cipher.contains("AES") || made.cipher.contains("CHACHA"), "{}", made.cipher);
            assert_eq!(Some(&made.refused.topic), trial.refused_topic.as_ref());
            // mosquitto acknowledges what it throws away.
            assert_eq!((made.refused.subscribe, made.refused.publish), (Refused::Suback, Some(Refused::Acknowledged)));
            let server = std::fs::read(broker.dir.path().join("server.pem")).unwrap();
            let server =
                <rustls::pki_types::CertificateDer<'_> as rustls::pki_types::pem::PemObject>::from_pem_slice(&server);
            assert_eq!(made.broker, Fingerprint::of(&server.unwrap()));
        }
    }
}

#[tokio::test]
async fn a_broker_that_is_not_the_one_meant_gets_no_signature() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, OWN_TOPICS);
    let other = Mosquitto::named("elsewhere.example.com", &vendor, OWN_TOPICS);
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let wrong_ca = broker::target(broker.port, &ServerCa::new());
    let expired = Mosquitto::expired(&vendor);
    for (what, target, code) in [
        ("another CA", wrong_ca, ReasonCode::CONNECT_UNTRUSTED),
        ("another name", other.target(), ReasonCode::CONNECT_UNTRUSTED),
        ("another time", expired.target(), ReasonCode::CLOUD_CLOCK),
    ] {
        let begun = Instant::now();
        let trial = chip.trial(DEADLINE);
        let failure = chip.connect(target, &trial).await.unwrap_err();
        assert_eq!(failure.code, code, "{what}: {failure}");
        assert_eq!(failure.args["target"], "production");
        assert!(begun.elapsed() < SLACK, "{what}: nothing is gained by another try");
    }
    // The token has signed nothing, and still does.
    let trial = chip.trial(DEADLINE);
    chip.connect(broker.target(), &trial).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_the_broker_does_not_know_is_refused_at_every_try() {
    let broker = Mosquitto::start(&vendor(), OWN_TOPICS);
    for only_tls12 in [true, false] {
        let mut chip = Chip::new(&vendor(), KeyKind::EcP256).await;
        let trial = Trial { only_tls12, ..chip.trial(SHORT) };
        let failure = chip.connect(broker.target(), &trial).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::CONNECT_REFUSED, "{failure}");
        assert!(failure.cause.contains("try "), "{failure}");
    }
}

/// As where a policy was attached a moment ago.
#[tokio::test]
async fn what_is_refused_at_first_is_tried_again_until_it_is_known() {
    let vendor = vendor();
    let mut broker = Mosquitto::start(&vendor, NOTHING);
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let (target, trial) = (broker.target(), chip.trial(DEADLINE));
    let allowed = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        broker.allow(OWN_TOPICS);
    };
    let (made, ()) = tokio::join!(chip.connect(target, &trial), allowed);
    assert!(made.unwrap().tries > 1);

    // … and to the deadline, where it is never.
    broker.allow(NOTHING);
    let trial = chip.trial(SHORT);
    let begun = Instant::now();
    let failure = chip.connect(broker.target(), &trial).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONNECT_REFUSED, "{failure}");
    assert!(failure.cause.contains("devices/gw-1/test"), "{failure}");
    assert!(begun.elapsed() < SHORT + SLACK);
}

#[tokio::test]
async fn a_topic_that_should_be_refused_and_is_not_is_named() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, EVERYTHING);
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let trial = chip.trial(DEADLINE);
    let failure = chip.connect(broker.target(), &trial).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONNECT_TOO_BROAD, "{failure}");
    assert!(failure.cause.contains("devices/gw-2/test"), "{failure}");
}

/// A cable that is pulled, a switch that restarts: at that very moment it looks like a refusal.
#[tokio::test]
async fn an_end_of_the_connection_is_a_refusal_only_when_the_next_one_ends_there_too() {
    let vendor = vendor();
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let trial = chip.trial(DEADLINE);

    let cut_off = Fake::start(&vendor, Misbehaviour::CutOffAtSubscribe);
    let failure = chip.connect(cut_off.target(), &trial).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONNECT_TOO_BROAD, "{failure}");

    let cut_off = Fake::start(&vendor, Misbehaviour::CutOffAtPublish);
    let made = chip.connect(cut_off.target(), &trial).await.unwrap();
    let refused = (made.refused.subscribe, made.refused.publish, made.tries);
    assert_eq!(refused, (Refused::Suback, Some(Refused::Acknowledged), 2), "it is no broker's end");

    // AWS IoT Core ends the connection at each; SUBSCRIBE does not keep PUBLISH from being tried.
    let strict = Fake::start(&vendor, Misbehaviour::EndsOverOthers);
    let made = chip.connect(strict.target(), &trial).await.unwrap();
    let refused = (made.refused.subscribe, made.refused.publish, made.tries);
    assert_eq!(refused, (Refused::Closed, Some(Refused::Closed), 4));
}

/// A device that was powered up somewhere and uses the same client id: MQTT lets the newer one in.
#[tokio::test]
async fn a_client_id_that_is_in_use_is_taken_over() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, OWN_TOPICS);
    let mut first = Chip::new(&vendor, KeyKind::EcP256).await;
    let mut second = Chip::new(&vendor, KeyKind::EcP256).await;
    for _ in 0..3 {
        let (one, two) = (first.trial(DEADLINE), second.trial(DEADLINE));
        let both = tokio::join!(first.connect(broker.target(), &one), second.connect(broker.target(), &two));
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}\n{}", broker.log());
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_and_a_name_that_nobody_has_are_unreachable() {
    let vendor = vendor();
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let (nobody, trial) = (broker::target(broker::free_port(), &ServerCa::new()), chip.trial(SHORT));
    let failure = chip.connect(nobody, &trial).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONNECT_UNREACHABLE, "{failure}");
    // AWS's own endpoint, by the system's roots: `nowhere.invalid` (RFC 6761 §6.4).
    let own = Target { mqtt: None, ..broker::target(1, &ServerCa::new()) };
    let failure = chip.connect(own, &trial).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CONNECT_UNREACHABLE, "{failure}");
    assert_eq!(failure.args["endpoint"], "nowhere.invalid:8883");
}

#[tokio::test]
async fn whatever_a_broker_does_instead_ends_in_time_with_its_own_code() {
    let vendor = vendor();
    for (what, code) in [
        (Misbehaviour::Mute, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::Cuts, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::SpeaksHttp, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::Drips, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::SpeaksNoMqtt, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::NeverAccepts, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::SendsNothingBack, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::AsksForNoCertificate, ReasonCode::CONNECT_BROKEN),
        (Misbehaviour::Refuses(5), ReasonCode::CONNECT_REFUSED),
        (Misbehaviour::Refuses(77), ReasonCode::CONNECT_BROKEN),
    ] {
        let fake = Fake::start(&vendor, what);
        let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
        let trial = chip.trial(SHORT);
        let begun = Instant::now();
        let failure = chip.connect(fake.target(), &trial).await.unwrap_err();
        assert_eq!(failure.code, code, "{what:?}: {failure}");
        assert!(begun.elapsed() < SHORT + SLACK, "{what:?} took {:?}", begun.elapsed());
        // Its end of the connection hears of it: no thread of ours waits on.
        fake.over.recv_timeout(SLACK).unwrap_or_else(|_| panic!("{what:?}: the connection stays open"));
    }
}

/// Unplugged, or stopped, in the middle of it.
#[tokio::test]
async fn a_connection_that_nobody_waits_for_any_more_is_hung_up() {
    let vendor = vendor();
    let fake = Fake::start(&vendor, Misbehaviour::NeverAccepts);
    let mut chip = Chip::new(&vendor, KeyKind::EcP256).await;
    let trial = chip.trial(Duration::from_secs(120));
    let waited = tokio::time::timeout(Duration::from_secs(1), chip.connect(fake.target(), &trial)).await;
    assert!(waited.is_err());
    fake.over.recv_timeout(SLACK).expect("the connection is hung up");
}

/// A key that answers as it is told.
struct Scripted(Vec<Result<Vec<u8>, Failure>>, usize);

#[async_trait::async_trait]
impl TlsKey for Scripted {
    async fn sign(&mut self, _: &[u8], _: SignatureScheme) -> Result<Vec<u8>, Failure> {
        self.1 += 1;
        self.0.remove(0)
    }
}

#[tokio::test]
async fn a_token_that_does_not_sign_is_asked_once_and_its_own_failure_is_told() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, OWN_TOPICS);
    let chip = Chip::new(&vendor, KeyKind::EcP256).await;
    for code in [ReasonCode::TOKEN_SILENT, ReasonCode::TOKEN_LOST, ReasonCode::CHIP_LACKS_KEY] {
        let mut key = Scripted(vec![Err(Failure::new(code, "as the test has it"))], 0);
        let failure =
            MqttConnections::new(&[broker.target()]).prove(&chip.trial(DEADLINE), &mut key).await.unwrap_err();
        assert_eq!((failure.code, key.1), (code, 1));
    }
}

/// A certificate copied beside another key: the signature never leaves the station.
#[tokio::test]
async fn a_signature_by_another_key_is_found_before_it_goes_out() {
    let vendor = vendor();
    let broker = Mosquitto::start(&vendor, OWN_TOPICS);
    for kind in [KeyKind::EcP256, KeyKind::Rsa2048] {
        let mut genuine = Chip::new(&vendor, kind).await;
        let mut other = Chip::new(&vendor, kind).await;
        std::mem::swap(&mut genuine.token, &mut other.token);
        let before = broker.log().matches("New connection").count();
        let trial = genuine.trial(DEADLINE);
        let failure = genuine.connect(broker.target(), &trial).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::CHIP_LACKS_KEY, "{failure}");
        assert!(broker.log().matches("New connection").count() <= before + 1, "asked once");
        assert!(!broker.log().contains("gw-1"), "nobody got in: {}", broker.log());
    }
}
