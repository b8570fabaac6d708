//! Fleet provisioning: what a device says that has a claim and no certificate of its own yet (AWS IoT Core developer
//! guide, "Device provisioning MQTT API").

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::conversation::ALPN;
use super::ended::Ended;
use super::made_key::KeyOfAws;
use super::reach;
use super::target::{MqttConnections, Place};
use super::wire::Wire;
use crate::adapters::log_key::read_private;
use crate::domain::profile::MqttPort;
use crate::domain::{Bytes, Failure, Fingerprint, ParameterName, ReasonCode, TargetName};
use crate::ports::{Entry, Fleet, Fleets, MadeKey, Papers, Provisioned};

/// Over the same brokers as the devices' own connections.
#[derive(Debug)]
pub struct MqttFleets {
    connections: Arc<MqttConnections>,
    /// By their files, which are read once: until a broker does not take one.
    known: Mutex<HashMap<[PathBuf; 2], Claim>>,
}

impl MqttFleets {
    pub fn new(connections: Arc<MqttConnections>) -> Self {
        Self { connections, known: Mutex::default() }
    }

    fn read_files(&self, files: &[PathBuf; 2], target: &TargetName) -> Result<Claim, Failure> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(claim) = known().get(files) {
            return Ok(claim.clone());
        }
        let claim = claim_of(&files[0], &files[1]).map_err(|cause| unusable(target, cause))?;
        known().insert(files.clone(), claim.clone());
        Ok(claim)
    }

    fn forget(&self, files: &[PathBuf; 2]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(files);
    }
}

/// A claim's certificate and key, which belong together.
type Claim = Arc<CertifiedKey>;

/// Is there all that a fleet is entered with? For who asks before the line starts. `Err`: what is wrong.
pub fn check_claim(certificate: &Path, key: &Path) -> Result<(), String> {
    claim_of(certificate, key).map(drop)
}

#[async_trait::async_trait]
impl Fleets for MqttFleets {
    async fn enter(&self, entry: &Entry) -> Result<Box<dyn Fleet>, Failure> {
        let end = Instant::now() + entry.deadline;
        let (claim, files) = match &entry.papers {
            Papers::Files { certificate, key } => {
                let files = [certificate.clone(), key.clone()];
                (self.read_files(&files, &entry.target)?, Some(files))
            }
            Papers::Given { certificate_pem, private_key } => {
                let claim = parse(certificate_pem.as_bytes(), private_key);
                (claim.map_err(|cause| unusable(&entry.target, cause))?, None)
            }
        };
        let place =
            self.connections.place_of(&entry.target, &entry.endpoint, entry.port.number(), entry.roots.as_deref())?;
        let about =
            About { target: entry.target.clone(), place: place.to_string(), template: entry.template.to_string() };
        match open(&place, claim, &entry.client, end).await {
            Ok(wire) => Ok(Box::new(ByClaim { wire, about, token: None })),
            Err(ended) => {
                // Somebody may put another in its place.
                files.iter().for_each(|files| self.forget(files));
                Err(about.not_entered(ended))
            }
        }
    }
}

fn claim_of(certificate: &Path, key: &Path) -> Result<Claim, String> {
    let unreadable = |path: &Path, because: String| format!("{}: {because}", path.display());
    let pem = std::fs::read(certificate).map_err(|error| unreadable(certificate, error.to_string()))?;
    let secret = match read_private(key) {
        Ok(Some(secret)) => secret,
        Ok(None) => return Err(unreadable(key, "there is no such file".to_owned())),
        Err(failure) => return Err(failure.cause),
    };
    parse(&pem, &secret).map_err(|cause| unreadable(certificate, cause))
}

fn parse(pem: &[u8], key: &SecretString) -> Result<Claim, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("is no certificate in PEM: {error}"))?;
    if chain.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    // What a parser says of a key may quote it.
    let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
        .map_err(|_| "has a key file without a private key in PEM".to_owned())?;
    let key = any_supported_type(&key).map_err(|_| "has a key of a kind that TLS does not know".to_owned())?;
    let claim = CertifiedKey::new(chain, key);
    claim.keys_match().map_err(|_| "has a key file with another certificate's key".to_owned())?;
    Ok(Arc::new(claim))
}

fn unusable(target: &TargetName, cause: String) -> Failure {
    Failure::new(ReasonCode::CLAIM_UNUSABLE, cause).with("target", target)
}

async fn open(place: &Place, claim: Claim, client: &str, end: Instant) -> Result<Wire, Ended> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| Ended::Broken(error.to_string()))?
        .with_root_certificates(place.roots.clone())
        .with_client_cert_resolver(Arc::new(Shown(claim)));
    config.resumption = Resumption::disabled();
    if place.is_aws && place.port == MqttPort::Https.number() {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    let unusable = |error: std::io::Error| Ended::Unreachable(format!("the connection can't be used: {error}"));
    let stream = reach(place, end).await?;
    stream.set_nonblocking(true).map_err(unusable)?;
    let stream = tokio::net::TcpStream::from_std(stream).map_err(unusable)?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(place.name.clone(), stream);
    let stream = match timeout_at(end, shaken).await {
        Ok(shaken) => shaken.map_err(|error| Ended::of_io(&error, "the TLS handshake"))?,
        Err(_) => return Err(Ended::Broken("the broker did not end the TLS handshake in time".to_owned())),
    };
    let mut wire = Wire::new(stream, end);
    // In TLS 1.3 the broker looks at the certificate after its own part of the handshake.
    wire.connect(client).await.map_err(Ended::with_the_certificate_shown)?;
    Ok(wire)
}

/// Whatever the broker asks for: it has one claim.
#[derive(Debug)]
struct Shown(Claim);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Claim> {
        Some(self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Whose doing a failure is of.
struct About {
    target: TargetName,
    place: String,
    template: String,
}

impl About {
    fn failure(&self, code: ReasonCode, cause: String) -> Failure {
        Failure::new(code, cause)
            .with("target", &self.target)
            .with("endpoint", &self.place)
            .with("template", &self.template)
    }

    fn not_entered(&self, ended: Ended) -> Failure {
        match ended {
            Ended::Key(failure) => failure,
            Ended::Unreachable(why) => self.failure(ReasonCode::CONNECT_UNREACHABLE, why),
            Ended::Untrusted(why) => self.failure(ReasonCode::CONNECT_UNTRUSTED, why),
            Ended::WrongClock(why) => self.failure(ReasonCode::CLOUD_CLOCK, why),
            Ended::Refused(why) => self.failure(ReasonCode::CLAIM_UNUSABLE, why),
            ended => self.broken(ended),
        }
    }

    fn broken(&self, ended: Ended) -> Failure {
        self.failure(ReasonCode::FLEET_BROKEN, ended.told())
    }

    fn garbage(&self, topic: &str) -> Failure {
        self.failure(ReasonCode::FLEET_BROKEN, format!("the answer on {topic} is not one of AWS's"))
    }

    /// What came on `rejected`: `statusCode`, `errorCode`, `errorMessage`. A hook may write into the last two whatever
    /// it likes, the `token` that it was shown as well: it is still good for an hour.
    fn rejected(&self, topic: &str, payload: &[u8], token: Option<&str>) -> Failure {
        let said: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        let text = |key: &str| {
            let text = without(token, said[key].as_str().unwrap_or_default());
            text.chars().take(MESSAGE_CHARS).collect::<String>()
        };
        let error = text("errorCode");
        let provisions = topic.ends_with("/provision/json");
        let code = match error.as_str() {
            "InvalidCertificateOwnershipToken" => ReasonCode::FLEET_TOKEN,
            // AWS calls a hook's no an access that is denied.
            "AccessDenied" | "InvocationError" | "InvalidResult" if provisions => ReasonCode::FLEET_HOOK,
            _ => ReasonCode::FLEET_REJECTED,
        };
        let status = said["statusCode"].as_u64().unwrap_or_default();
        let cause = format!("{topic}: {error} ({status}) {}", text("errorMessage"));
        self.failure(code, cause).with("error", &error)
    }
}

/// Of AWS's message, what is kept.
const MESSAGE_CHARS: usize = 300;

fn without(token: Option<&str>, text: &str) -> String {
    match token {
        Some(token) if !token.is_empty() => text.replace(token, "[token]"),
        _ => text.to_owned(),
    }
}

struct ByClaim {
    wire: Wire,
    about: About,
    /// Proof that the certificate which came last is this connection's.
    token: Option<SecretString>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certified {
    certificate_id: String,
    certificate_pem: String,
    certificate_ownership_token: SecretString,
    /// Where AWS made the key, too. Straight from the answer, which is wiped: nothing else has held it.
    private_key: Option<SecretString>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    thing_name: Option<String>,
    #[serde(default)]
    device_configuration: BTreeMap<String, serde_json::Value>,
}

/// The certificate, if it is what AWS calls it.
fn der_of(certified: &Certified) -> Option<CertificateDer<'static>> {
    let der = CertificateDer::from_pem_slice(certified.certificate_pem.as_bytes()).ok()?;
    (Fingerprint::of(&der).to_string() == certified.certificate_id).then_some(der)
}

impl ByClaim {
    async fn ask<T: serde::de::DeserializeOwned>(
        &mut self,
        topic: &str,
        payload: &serde_json::Value,
    ) -> Result<T, Failure> {
        let token = payload["certificateOwnershipToken"].as_str();
        let said = payload.to_string().into_bytes();
        let (accepted, answer) = self.wire.ask(topic, said).await.map_err(|ended| self.about.broken(ended))?;
        match accepted {
            true => serde_json::from_slice(&answer).map_err(|_| self.about.garbage(topic)),
            false => Err(self.about.rejected(topic, &answer, token)),
        }
    }
}

#[async_trait::async_trait]
impl Fleet for ByClaim {
    async fn certify(&mut self, csr_pem: &str) -> Result<Bytes, Failure> {
        const TOPIC: &str = "$aws/certificates/create-from-csr/json";
        let payload = serde_json::json!({ "certificateSigningRequest": csr_pem });
        let certified: Certified = self.ask(TOPIC, &payload).await?;
        let der = der_of(&certified).ok_or_else(|| self.about.garbage(TOPIC))?;
        self.token = Some(certified.certificate_ownership_token);
        Ok(Bytes(der.to_vec()))
    }

    async fn certify_new_key(&mut self) -> Result<(Bytes, Box<dyn MadeKey>), Failure> {
        const TOPIC: &str = "$aws/certificates/create/json";
        let mut certified: Certified = self.ask(TOPIC, &serde_json::json!({})).await?;
        let der = der_of(&certified).ok_or_else(|| self.about.garbage(TOPIC))?;
        let key = certified.private_key.take().and_then(|key| KeyOfAws::new(key, &der)).ok_or_else(|| {
            let cause = format!("the private key in the answer on {TOPIC} is none, or not the certificate's");
            self.about.failure(ReasonCode::ISSUED_UNUSABLE, cause)
        })?;
        self.token = Some(certified.certificate_ownership_token);
        Ok((Bytes(der.to_vec()), Box::new(key)))
    }

    async fn provision(&mut self, parameters: &BTreeMap<ParameterName, String>) -> Result<Provisioned, Failure> {
        let Some(token) = self.token.take() else {
            let cause = "no certificate was asked for on this connection".to_owned();
            return Err(self.about.failure(ReasonCode::FLEET_TOKEN, cause));
        };
        let parameters: HashMap<&str, &str> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let payload = serde_json::json!({
            "certificateOwnershipToken": token.expose_secret(), "parameters": parameters,
        });
        let topic = format!("$aws/provisioning-templates/{}/provision/json", self.about.template);
        let made: Made = self.ask(&topic, &payload).await?;
        let clean = |text: String| without(Some(token.expose_secret()), &text);
        let thing = made.thing_name.map(|name| clean(name).parse()).transpose();
        let thing = thing.map_err(|_| self.about.garbage(&topic))?;
        let told = |(name, value): (String, serde_json::Value)| match value {
            serde_json::Value::String(text) => (clean(name), clean(text)),
            other => (clean(name), clean(other.to_string())),
        };
        Ok(Provisioned { thing, configuration: made.device_configuration.into_iter().map(told).collect() })
    }

    async fn leave(self: Box<Self>) {
        self.wire.part().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_repeated_in_a_refusal_goes_no_further() {
        let about =
            About { target: "plant".parse().unwrap(), place: "broker:8883".to_owned(), template: "meters".to_owned() };
        let token = "eyJhbGciOi".repeat(60);
        let topic = "$aws/provisioning-templates/meters/provision/json";
        for (key, text) in [
            ("errorMessage", format!("{}{token}", "m".repeat(290))),
            ("errorMessage", format!("the token {token} was not good")),
            ("errorCode", format!("No{token}")),
            ("statusCode", token.clone()),
        ] {
            let payload = serde_json::json!({ key: text }).to_string();
            let failure = about.rejected(topic, payload.as_bytes(), Some(&token));
            let told = format!("{failure} {:?}", failure.args);
            assert!(!told.contains("eyJ"), "{told}");
        }
    }
}
