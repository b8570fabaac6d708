//! Fleet provisioning by CreateCertificateFromCsr and CreateKeysAndCertificate, which MiniStack's broker does not answer: a
//! mosquitto that asks for a certificate, and behind it a responder that does in MiniStack, as root, what AWS would.
//!
//! Written from the developer guide's "Device provisioning MQTT API": `$aws/certificates/create-from-csr/json`,
//! `$aws/certificates/create/json` and `$aws/provisioning-templates/NAME/provision/json`, each with `/accepted` and `/rejected`. It asks no hook, checks no
//! policy, and takes an ownership token once.
//!
//! Several suites include this file with `#[path]`; each uses a part of it.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_iot::Client;
use aws_sdk_iot::types::CertificateStatus;
use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rumqttc::mqttbytes::QoS;
use rumqttc::mqttbytes::v4::{Connect, Packet, PubAck, Publish, Subscribe};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::register_thing::{self, perform, resolve};

const LARGEST: usize = 1 << 20;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    RejectsRequests,
    /// A certificate, but of a key of its own.
    CertifiesAnotherKey,
    SaysGarbage,
    /// `InvalidCertificateOwnershipToken`.
    ForgetsTheToken,
    /// The hook's no.
    Hook,
    RejectsTheTemplate,
    /// All of it is done, and nothing is said.
    ProvisionsInSilence,
    MakesAnotherThing,
}

/// A broker and what answers behind it; ends with this value.
pub struct FleetPeer {
    pub port: u16,
    /// Whom the broker's certificate comes from, PEM.
    pub ca: String,
    mood: Arc<Mutex<Mood>>,
    said: Arc<Mutex<Vec<String>>>,
    keys: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
    child: Child,
    _dir: TempDir,
}

impl FleetPeer {
    /// `devices`: PEM of whoever certifies claims and devices.
    pub async fn before(ministack: u16, region: &str, devices: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, port, inside) = (broker_files(&dir, devices), free_port(), free_port());
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        let path = |name: &str| dir.path().join(name).display().to_string();
        let config = format!(
            "per_listener_settings false\nallow_anonymous true\nuser {user}\npersistence false\n\
             log_type all\nlog_dest file {}\nlistener {inside} 127.0.0.1\n\
             listener {port} 127.0.0.1\nrequire_certificate true\ncafile {}\ncertfile {}\nkeyfile {}\n",
            path("log"),
            path("devices.pem"),
            path("server.pem"),
            path("server.key"),
        );
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(dir.path().join("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto in PATH or /usr/sbin (Debian: apt-get install mosquitto)");
        let stream = until_it_listens(inside).await;
        let (mood, said) = (Arc::new(Mutex::new(Mood::Good)), Arc::<Mutex<Vec<String>>>::default());
        let aws = register_thing::root(SocketAddr::from((Ipv4Addr::LOCALHOST, ministack)), region);
        let keys = Arc::<Mutex<Vec<String>>>::default();
        let responder = Responder {
            keys: keys.clone(),
            stream,
            received: BytesMut::new(),
            aws,
            tokens: HashMap::new(),
            mood: mood.clone(),
            said: said.clone(),
        };
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move { responder.answer(ready).await }).abort_handle();
        is_ready.await.expect("the responder is subscribed");
        Self { port, ca, mood, said, keys, task, child, _dir: dir }
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The private keys that were made, PEM.
    pub fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }

    /// The topics that were asked on.
    pub fn asked(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for FleetPeer {
    fn drop(&mut self) {
        self.task.abort();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn broker_files(dir: &TempDir, devices: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("server.pem", &server.pem());
    file("server.key", &own.serialize_pem());
    file("devices.pem", devices);
    ca
}

fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

async fn until_it_listens(port: u16) -> TcpStream {
    for _ in 0..200 {
        if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("mosquitto does not listen");
}

struct Responder {
    stream: TcpStream,
    received: BytesMut,
    aws: Client,
    /// Certificate ids.
    tokens: HashMap<String, String>,
    mood: Arc<Mutex<Mood>>,
    said: Arc<Mutex<Vec<String>>>,
    keys: Arc<Mutex<Vec<String>>>,
}

/// `errorCode` and `statusCode`.
type Rejected = (&'static str, u16, String);

impl Responder {
    async fn answer(mut self, ready: tokio::sync::oneshot::Sender<()>) {
        self.say(Packet::Connect(Connect { keep_alive: 0, ..Connect::new("the-cloud") })).await;
        self.hear().await;
        for (pkid, topic) in [
            (1, "$aws/certificates/create-from-csr/json"),
            (2, "$aws/provisioning-templates/+/provision/json"),
            (3, "$aws/certificates/create/json"),
        ] {
            self.say(Packet::Subscribe(Subscribe { pkid, ..Subscribe::new(topic, QoS::AtLeastOnce) })).await;
            self.hear().await;
        }
        let _ = ready.send(());
        loop {
            let Packet::Publish(asked) = self.hear().await else { continue };
            self.say(Packet::PubAck(PubAck::new(asked.pkid))).await;
            self.said.lock().unwrap().push(asked.topic.clone());
            let mood = *self.mood.lock().unwrap();
            let answer = match asked.topic.split('/').collect::<Vec<_>>()[..] {
                [_, "certificates", "create", ..] => self.make_keys(mood).await,
                [_, "certificates", ..] => self.certify(&asked.payload, mood).await,
                [_, _, template, ..] => self.provision(template, &asked.payload, mood).await,
                _ => continue,
            };
            let (end, payload) = match answer {
                _ if mood == Mood::ProvisionsInSilence && asked.topic.contains("/provision/") => continue,
                Ok(_) if mood == Mood::SaysGarbage => ("accepted", json!({ "hello": "world" })),
                Ok(answer) => ("accepted", answer),
                Err((code, status, message)) => {
                    ("rejected", json!({ "statusCode": status, "errorCode": code, "errorMessage": message }))
                }
            };
            let topic = format!("{}/{end}", asked.topic);
            self.say(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, payload.to_string()))).await;
        }
    }

    async fn certify(&mut self, payload: &[u8], mood: Mood) -> Result<Value, Rejected> {
        let asked: Value = serde_json::from_slice(payload).unwrap();
        let mut request = asked["certificateSigningRequest"].as_str().unwrap().to_owned();
        if mood == Mood::RejectsRequests {
            return Err(("InvalidCertificateSigningRequest", 400, "made by the test".to_owned()));
        }
        if mood == Mood::CertifiesAnotherKey {
            let key = KeyPair::generate().unwrap();
            request = CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        }
        let made = self.aws.create_certificate_from_csr().certificate_signing_request(request).send().await;
        let made = made.map_err(|error| ("InternalFailure", 500, format!("{error:?}")))?;
        let (id, pem) = (made.certificate_id.unwrap(), made.certificate_pem.unwrap());
        let token = self.own(&id).await;
        Ok(json!({ "certificateId": id, "certificatePem": pem, "certificateOwnershipToken": token }))
    }

    async fn make_keys(&mut self, mood: Mood) -> Result<Value, Rejected> {
        if mood == Mood::RejectsRequests {
            return Err(("InternalFailure", 500, "made by the test".to_owned()));
        }
        let made = self.aws.create_keys_and_certificate().send().await;
        let made = made.map_err(|error| ("InternalFailure", 500, format!("{error:?}")))?;
        let (id, pem) = (made.certificate_id.unwrap(), made.certificate_pem.unwrap());
        let mut key = made.key_pair.unwrap().private_key.unwrap();
        self.keys.lock().unwrap().push(key.clone());
        if mood == Mood::CertifiesAnotherKey {
            key = KeyPair::generate().unwrap().serialize_pem();
        }
        let token = self.own(&id).await;
        Ok(json!({
            "certificateId": id, "certificatePem": pem, "privateKey": key, "certificateOwnershipToken": token,
        }))
    }

    /// As AWS has what was made over MQTT.
    async fn own(&mut self, id: &str) -> String {
        let pending = CertificateStatus::PendingActivation;
        self.aws.update_certificate().certificate_id(id).new_status(pending).send().await.unwrap();
        let token = format!("token-{id}");
        self.tokens.insert(token.clone(), id.to_owned());
        token
    }

    async fn provision(&mut self, template: &str, payload: &[u8], mood: Mood) -> Result<Value, Rejected> {
        let asked: Value = serde_json::from_slice(payload).unwrap();
        let token = asked["certificateOwnershipToken"].as_str().unwrap_or_default();
        let id = self.tokens.remove(token).filter(|_| mood != Mood::ForgetsTheToken);
        let id =
            id.ok_or(("InvalidCertificateOwnershipToken", 400, "Certificate ownership token is invalid.".to_owned()))?;
        let found = self.aws.describe_provisioning_template().template_name(template).send().await;
        let found = found.map_err(|_| ("InvalidTemplate", 400, "Template does not exist.".to_owned()))?;
        match mood {
            Mood::Hook => return Err(("AccessDenied", 403, "Access Denied".to_owned())),
            Mood::RejectsTheTemplate => return Err(("ProvisioningFailed", 400, "made by the test".to_owned())),
            _ => {}
        }
        let body: Value = serde_json::from_str(&found.template_body.unwrap()).unwrap();
        let mut parameters = asked["parameters"].clone();
        parameters["AWS::IoT::Certificate::Id"] = json!(id);
        if mood == Mood::MakesAnotherThing {
            parameters["SerialNumber"] = json!(format!("{}-another", parameters["SerialNumber"].as_str().unwrap()));
        }
        let request = json!({ "templateBody": body.to_string(), "parameters": parameters }).to_string();
        perform(&self.aws, request.as_bytes(), register_thing::Mood::Good)
            .await
            .map_err(|(_, message)| ("ProvisioningFailed", 400, message))?;
        let values: HashMap<String, String> = parameters
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let thing = resolve(&body["Resources"]["thing"]["Properties"]["ThingName"], &values);
        let configuration = match body.get("DeviceConfiguration") {
            Some(configuration) => resolve(configuration, &values),
            None => json!({}),
        };
        Ok(json!({ "thingName": thing, "deviceConfiguration": configuration }))
    }

    async fn say(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        packet.write(&mut bytes, LARGEST).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn hear(&mut self) -> Packet {
        loop {
            if let Ok(packet) = Packet::read(&mut self.received, LARGEST) {
                return packet;
            }
            assert!(self.stream.read_buf(&mut self.received).await.unwrap() > 0, "mosquitto is gone");
        }
    }
}
