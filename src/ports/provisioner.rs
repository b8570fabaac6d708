use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::TlsKey;
use crate::domain::profile::MqttPort;
use crate::domain::{Bytes, Failure, ParameterName, ProvisioningTemplateName, TargetName, ThingName};

/// What a fleet is entered by.
#[derive(Debug, Clone)]
pub struct Entry {
    pub target: TargetName,
    /// As DescribeEndpoint says; where the target has a broker of its own, that is taken.
    pub endpoint: String,
    pub template: ProvisioningTemplateName,
    pub papers: Papers,
    /// The MQTT client id: nobody else's, or the broker would take one connection for the other.
    pub client: String,
    pub port: MqttPort,
    /// Whom the endpoint's certificate may come from, DER; `None`: the system's roots.
    pub roots: Option<Vec<Bytes>>,
    /// For the connection and all that is said over it.
    pub deadline: Duration,
}

/// A claim.
#[derive(Debug, Clone)]
pub enum Papers {
    /// PEM.
    Files {
        certificate: PathBuf,
        key: PathBuf,
    },
    Given {
        certificate_pem: String,
        private_key: SecretString,
    },
}

/// A private key that AWS made for a board. It is in memory only, signs until it is delivered, and is wiped when this is
/// dropped.
pub trait MadeKey: TlsKey {
    fn pem(&self) -> &SecretString;
}

/// What a fleet's template has made of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioned {
    /// `None`: the template names none.
    pub thing: Option<ThingName>,
    pub configuration: BTreeMap<String, String>,
}

/// Enters devices into AWS IoT Core by a claim (fleet provisioning over MQTT).
#[async_trait::async_trait]
pub trait Fleets: Send + Sync {
    /// Connects with the claim. `A-365` the claim can't be used, `A-341`, `A-342` no way
    /// to the broker, `A-369` cut, silent or no MQTT.
    async fn enter(&self, entry: &Entry) -> Result<Box<dyn Fleet>, Failure>;
}

/// One connection by a claim. What AWS gives as proof that a certificate is this connection's own stays here.
#[async_trait::async_trait]
pub trait Fleet: Send {
    /// CreateCertificateFromCsr: AWS's certificate, DER. Nobody has compared its key. `A-366`, `A-369`.
    async fn certify(&mut self, csr_pem: &str) -> Result<Bytes, Failure>;

    /// CreateKeysAndCertificate: AWS's certificate, DER, and the private key that belongs to it. `A-366`, `A-369`.
    async fn certify_new_key(&mut self) -> Result<(Bytes, Box<dyn MadeKey>), Failure>;

    /// RegisterThing, with the certificate that came last. `A-366` refused, `A-367` by the hook, `A-368` the
    /// certificate was not given to this connection, or too long ago.
    async fn provision(&mut self, parameters: &BTreeMap<ParameterName, String>) -> Result<Provisioned, Failure>;

    async fn leave(self: Box<Self>);
}
