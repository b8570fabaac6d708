//! Where a target's devices connect, and whom they trust there.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::config::{Broker, Target};
use crate::domain::{Bytes, Failure, ReasonCode, TargetName};
use crate::ports::Trial;

/// Makes connections to the configured targets.
#[derive(Debug, Default)]
pub struct MqttConnections {
    /// Of the targets that do not go to AWS's own endpoint.
    brokers: BTreeMap<TargetName, Broker>,
    /// The system's.
    roots: OnceLock<Arc<RootCertStore>>,
}

impl MqttConnections {
    pub fn new(targets: &[Target]) -> Self {
        let brokers = targets.iter().filter_map(|target| Some((target.name.clone(), target.mqtt.clone()?))).collect();
        Self { brokers, roots: OnceLock::new() }
    }

    pub(super) fn place(&self, trial: &Trial) -> Result<Place, Failure> {
        self.place_of(&trial.target, &trial.endpoint, trial.port.number(), trial.roots.as_deref())
    }

    /// `endpoint`, `port` and `roots` where the target has no broker of its own that says otherwise.
    pub(super) fn place_of(
        &self,
        target: &TargetName,
        endpoint: &str,
        port: u16,
        roots: Option<&[Bytes]>,
    ) -> Result<Place, Failure> {
        let broker = self.brokers.get(target);
        let (host, port) = match broker {
            Some(broker) => (broker.host.clone(), broker.port),
            None => (endpoint.to_owned(), port),
        };
        let name = ServerName::try_from(host.clone()).map_err(|error| {
            Failure::new(ReasonCode::CONNECT_UNREACHABLE, format!("{host:?} is no endpoint: {error}"))
                .with("target", target)
                .with("endpoint", &host)
        })?;
        let given = || roots.map(|roots| roots.iter().map(|der| der.0.clone()).collect());
        let roots = match broker.and_then(|broker| broker.roots.clone()).or_else(given) {
            Some(roots) => Arc::new(store(roots)?),
            None => self.system_roots()?,
        };
        let is_aws = broker.is_none() || is_of_aws(&host);
        Ok(Place { host, port, name, roots, is_aws })
    }

    fn system_roots(&self) -> Result<Arc<RootCertStore>, Failure> {
        if let Some(known) = self.roots.get() {
            return Ok(known.clone());
        }
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            let cause = "this computer has no root certificates (Debian: ca-certificates)";
            return Err(Failure::new(ReasonCode::CLOUD_ROOTS, cause));
        }
        Ok(self.roots.get_or_init(|| Arc::new(store)).clone())
    }
}

/// A VPC endpoint leads to AWS IoT Core, too.
fn is_of_aws(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|suffix| host.ends_with(suffix))
}

fn store(roots: Vec<Vec<u8>>) -> Result<RootCertStore, Failure> {
    let mut store = RootCertStore::empty();
    for der in roots {
        store
            .add(CertificateDer::from(der))
            .map_err(|error| Failure::new(ReasonCode::CONFIG_INVALID, format!("a root of [connect]: {error}")))?;
    }
    Ok(store)
}

/// Where a trial goes.
#[derive(Debug)]
pub(super) struct Place {
    pub host: String,
    pub port: u16,
    pub name: ServerName<'static>,
    pub roots: Arc<RootCertStore>,
    /// AWS IoT Core itself: what it acknowledges it has allowed.
    pub is_aws: bool,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn aws_is_asked_as_aws_by_whatever_endpoint() {
        for host in [
            "a1b2c3-ats.iot.ap-northeast-1.amazonaws.com",
            "vpce-0123.iot-data.ap-northeast-1.vpce.AMAZONAWS.com.",
            "a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(super::is_of_aws(host), "{host}");
        }
        for host in ["broker.example.com", "amazonaws.com.example.com", "notamazonaws.com", "localhost"] {
            assert!(!super::is_of_aws(host), "{host}");
        }
    }
}
