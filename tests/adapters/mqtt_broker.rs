//! The other end of a device's connection: mosquitto, and brokers of our own that misbehave.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use lineseal::config::{Broker, Target};
use lineseal::practice::vendor::VendorCa;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tempfile::TempDir;

/// Whom the broker's certificate comes from.
pub struct ServerCa {
    issuer: Issuer<'static, KeyPair>,
    pub der: Vec<u8>,
    pub pem: String,
}

impl ServerCa {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { der: certificate.der().to_vec(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// For this name: certificate and key.
    pub fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// One whose time was over long ago.
    fn issue_expired(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// The topics that the broker lets devices subscribe and publish to.
pub const OWN_TOPICS: &str = "devices/gw-1/#";
pub const EVERYTHING: &str = "#";
pub const NOTHING: &str = "nothing";

/// Of mosquitto's plugin: a plain list of topics (`acl_file`) refuses no SUBSCRIBE.
fn access_to(topics: &str) -> String {
    let acl = |kind: &str| format!(r#"{{"acltype": "{kind}", "topic": "{topics}", "priority": 0, "allow": true}}"#);
    let kinds = ["publishClientSend", "subscribePattern"].map(acl).join(", ");
    let rest = r#""publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true"#;
    let device = r#""groups": [{"groupname": "devices", "roles": [{"rolename": "device"}]}], "clients": []"#;
    format!(
        r#"{{"defaultACLAccess": {{{rest}}}, {device}, "anonymousGroup": "devices",
            "roles": [{{"rolename": "device", "acls": [{kinds}]}}]}}"#
    )
}

/// mosquitto on loopback, which asks every device for a certificate of the practice vendor's.
pub struct Mosquitto {
    pub ca: ServerCa,
    pub port: u16,
    pub dir: TempDir,
    child: Child,
}

impl Mosquitto {
    pub fn start(vendor: &VendorCa, topics: &str) -> Self {
        Self::named("localhost", vendor, topics)
    }

    /// With a certificate for another name.
    pub fn named(name: &str, vendor: &VendorCa, topics: &str) -> Self {
        let ca = ServerCa::new();
        let issued = ca.issue(name);
        Self::with(ca, issued, vendor, topics)
    }

    /// To a clock that is years ahead, every broker is this one.
    pub fn expired(vendor: &VendorCa) -> Self {
        let ca = ServerCa::new();
        let issued = ca.issue_expired("localhost");
        Self::with(ca, issued, vendor, OWN_TOPICS)
    }

    fn with(ca: ServerCa, issued: (rcgen::Certificate, KeyPair), vendor: &VendorCa, topics: &str) -> Self {
        let (dir, (certificate, key)) = (tempfile::tempdir().unwrap(), issued);
        let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        file("server.pem", &certificate.pem());
        file("server.key", &key.serialize_pem());
        file("ca.pem", &ca.pem);
        file("devices.pem", &[vendor.root(), vendor.intermediate()].map(pem).concat());
        let port = free_port();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
        file(
            "mosquitto.conf",
            &format!(
                "listener {port} 127.0.0.1\nuser {user}\nallow_anonymous true\nrequire_certificate true\n\
                 cafile {}\ncertfile {}\nkeyfile {}\nplugin {}\nplugin_opt_config_file {}\n\
                 persistence false\nlog_type all\nlog_dest file {}\n",
                path("devices.pem"),
                path("server.pem"),
                path("server.key"),
                plugin(),
                path("access.json"),
                path("log"),
            ),
        );
        let child = spawn(dir.path(), topics);
        let broker = Self { ca, port, dir, child };
        broker.until_it_listens();
        broker
    }

    /// From now on, by another process on the same port.
    pub fn allow(&mut self, topics: &str) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = spawn(self.dir.path(), topics);
        self.until_it_listens();
    }

    fn until_it_listens(&self) {
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < end, "mosquitto does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    pub fn target(&self) -> Target {
        target(self.port, &self.ca)
    }
}

fn spawn(dir: &Path, topics: &str) -> Child {
    std::fs::write(dir.join("access.json"), access_to(topics)).unwrap();
    Command::new("mosquitto")
        .arg("-c")
        .arg(dir.join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto in PATH or /usr/sbin (Debian: apt-get install mosquitto)")
}

/// mosquitto's plugin that refuses by topic, beside the system's libraries.
fn plugin() -> String {
    let name = "mosquitto_dynamic_security.so";
    let libraries = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let found = libraries.map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("there is no {name} in a folder of /usr/lib")).display().to_string()
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A target whose devices connect to this port here.
pub fn target(port: u16, ca: &ServerCa) -> Target {
    Target {
        name: "production".parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        aws_profile: None,
        endpoint: None,
        account: None,
        role: None,
        sts_endpoint: None,
        mqtt: Some(Broker { host: "localhost".into(), port, roots: Some(vec![ca.der.clone()]) }),
    }
}

pub fn pem(der: &[u8]) -> String {
    lineseal::domain::certificate_pem(der)
}

pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// What one connection does instead of being a broker.
#[derive(Debug, Clone, Copy)]
pub enum Misbehaviour {
    /// Takes the connection and says nothing.
    Mute,
    /// Ends it as soon as something is said.
    Cuts,
    /// Speaks something else than TLS.
    SpeaksHttp,
    /// By TLS, but asks for no client certificate, and is a good broker else.
    AsksForNoCertificate,
    /// Speaks something else than MQTT.
    SpeaksNoMqtt,
    /// CONNACK with this return code.
    Refuses(u8),
    /// Never answers CONNECT.
    NeverAccepts,
    /// Grants everything, acknowledges everything, and sends nothing back.
    SendsNothingBack,
    /// One byte at a time, and never an end.
    Drips,
    /// A good broker, which ends each connection over any topic but the device's own.
    EndsOverOthers,
    /// It allows everything, and its first connection is cut off at the SUBSCRIBE to another's topic.
    CutOffAtSubscribe,
    /// It refuses to subscribe to another's topic, and its first connection is cut off at the PUBLISH.
    CutOffAtPublish,
}

/// A broker of our own, for as many connections as come; tells of each when it is over.
pub struct Fake {
    pub ca: ServerCa,
    pub port: u16,
    pub over: Receiver<()>,
}

impl Fake {
    pub fn start(vendor: &VendorCa, what: Misbehaviour) -> Self {
        let ca = ServerCa::new();
        let (certificate, key) = ca.issue("localhost");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(vendor.root().to_vec())).unwrap();
        roots.add(CertificateDer::from(vendor.intermediate().to_vec())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.unwrap();
        let builder = match what {
            Misbehaviour::AsksForNoCertificate => builder.with_no_client_auth(),
            _ => builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap(),
            ),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = Arc::new(builder.with_single_cert(vec![certificate.der().clone()], key).unwrap());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, over) = sync_channel(64);
        std::thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let (config, sender) = (config.clone(), sender.clone());
                std::thread::spawn(move || {
                    serve(stream.unwrap(), config, what, nth);
                    let _ = sender.try_send(());
                });
            }
        });
        Self { ca, port, over }
    }

    pub fn target(&self) -> Target {
        target(self.port, &self.ca)
    }
}

fn serve(mut stream: TcpStream, config: Arc<rustls::ServerConfig>, what: Misbehaviour, nth: usize) {
    let mut chunk = [0; 4096];
    match what {
        Misbehaviour::Mute => return until_it_is_over(&mut stream),
        Misbehaviour::Cuts => {
            let _ = stream.read(&mut chunk);
            return;
        }
        Misbehaviour::SpeaksHttp => {
            let _ = stream.read(&mut chunk);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            return;
        }
        Misbehaviour::Drips => {
            // The header of a TLS record that is as long as one may be.
            for byte in [0x16, 0x03, 0x03, 0x40, 0x00].into_iter().chain(std::iter::repeat(0)) {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            return;
        }
        _ => {}
    }
    let connection = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    loop {
        let Ok(count @ 1..) = tls.read(&mut chunk) else { return };
        let Some(answers) = answers(&chunk[..count], what, nth) else { return };
        for answer in answers {
            if tls.write_all(&answer).and_then(|()| tls.flush()).is_err() {
                return;
            }
        }
    }
}

/// What is said to these packets, each of which came whole. `None`: the connection is ended.
fn answers(mut bytes: &[u8], what: Misbehaviour, nth: usize) -> Option<Vec<Vec<u8>>> {
    use Misbehaviour::{CutOffAtPublish, CutOffAtSubscribe, EndsOverOthers};
    let mut answers = Vec::new();
    while let [kind, length, rest @ ..] = bytes {
        let (packet, after) = rest.split_at(usize::from(*length).min(rest.len()));
        bytes = after;
        match (kind >> 4, what) {
            (1, Misbehaviour::NeverAccepts) => {}
            (1, Misbehaviour::SpeaksNoMqtt) => answers.push(b"220 smtp.example.com ESMTP\r\n".to_vec()),
            (1, Misbehaviour::Refuses(code)) => answers.push(vec![0x20, 2, 0, code]),
            (1, _) => answers.push(vec![0x20, 2, 0, 0]),
            (8, _) => {
                let others = !packet[4..].starts_with(OWN);
                match what {
                    EndsOverOthers if others => return None,
                    CutOffAtSubscribe if others && nth == 0 => return None,
                    _ => {}
                }
                let code = if matches!(what, CutOffAtPublish) && others { 0x80 } else { 1 };
                answers.push(vec![0x90, 3, packet[0], packet[1], code]);
            }
            (3, _) => {
                let topic = usize::from(packet[1]);
                let others = !packet[2..].starts_with(OWN);
                match what {
                    EndsOverOthers if others => return None,
                    CutOffAtPublish if others && nth == 0 => return None,
                    _ => {}
                }
                answers.push(vec![0x40, 2, packet[2 + topic], packet[3 + topic]]);
                if matches!(what, EndsOverOthers | CutOffAtPublish | CutOffAtSubscribe) && !others {
                    // Back again, as QoS 0: without its packet id.
                    let back = [&packet[..2 + topic], &packet[4 + topic..]].concat();
                    answers.push([vec![0x30, u8::try_from(back.len()).unwrap()], back].concat());
                }
            }
            _ => {}
        }
    }
    Some(answers)
}

/// The topics of the device that the tests connect as.
const OWN: &[u8] = b"devices/gw-1/";

fn until_it_is_over(stream: &mut TcpStream) {
    let mut chunk = [0; 4096];
    while matches!(stream.read(&mut chunk), Ok(1..)) {}
}
