use std::time::Duration;

use crate::audit::event::{ConnectionRecord, SignatureScheme};
use crate::domain::profile::{KeyKind, MqttPort};
use crate::domain::{Bytes, Failure, TargetName, ThingName, TopicName};

/// One connection that a unit's own key shall make to one target, and what it shall show.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub target: TargetName,
    /// As DescribeEndpoint says; where the target has a broker of its own, that is taken.
    pub endpoint: String,
    pub port: MqttPort,
    /// Whom the endpoint's certificate may come from, DER; `None`: the system's roots.
    pub roots: Option<Vec<Bytes>>,
    pub only_tls12: bool,
    /// The MQTT client id.
    pub thing: ThingName,
    /// DER, the unit's own first.
    pub chain: Vec<Bytes>,
    pub key: KeyKind,
    /// Subscribed and published to, in one connection; of each, `message` comes back.
    pub topics: Vec<TopicName>,
    /// `None`: nothing but the connection itself is tried.
    pub refused_topic: Option<TopicName>,
    /// Nobody else's message is like it.
    pub message: Bytes,
    /// For all tries: what is refused may be allowed in a moment, since permissions take a while to be
    /// known everywhere.
    pub deadline: Duration,
}

/// The key of the unit's certificate, for one TLS handshake after the other.
#[async_trait::async_trait]
pub trait TlsKey: Send {
    /// A signature over `message` that verifies under the certificate's key. ECDSA: r ‖ s. A failure is the
    /// token's, and ends the trial.
    async fn sign(&mut self, message: &[u8], scheme: SignatureScheme) -> Result<Vec<u8>, Failure>;
}

/// Makes connections as devices do.
#[async_trait::async_trait]
pub trait Connections: Send + Sync {
    /// One connection by mutual TLS, MQTT 3.1.1. When this returns, or is dropped, it is over.
    ///
    /// # Errors
    /// `A-341` not reached, `A-342` the broker's certificate is not trusted, `A-343` refused, `A-344` the
    /// topic that should be refused is allowed, `A-345` cut, silent or no MQTT, `A-313` its certificate is
    /// out of date by this clock, `A-314` no roots; what `key` says.
    async fn prove(&self, trial: &Trial, key: &mut dyn TlsKey) -> Result<ConnectionRecord, Failure>;

    /// One connection in which the unit shows its certificate. That the broker does not take it, or hangs up, is no
    /// failure: AWS registers a certificate that it sees for the first time, and ends the connection.
    ///
    /// # Errors
    /// `A-341`, `A-342`, `A-345` where nobody asked for the certificate, `A-314`; what `key` says.
    async fn introduce(&self, trial: &Trial, key: &mut dyn TlsKey) -> Result<(), Failure>;
}
