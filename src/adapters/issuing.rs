//! A service of the user's own that makes certificates: one POST, one answer.
//!
//! What it says is a stranger's word: the runner looks at the certificate before it is anybody's.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret as _, SecretString};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::audit::event::IssuedOrigin;
use crate::domain::profile::{IssuingEndpoint, Pin};
use crate::domain::{Bytes, Failure, ReasonCode, request_pem};
use crate::ports::{Issuance, IssuingService, Made};

/// A certificate and what lies above it are a few kilobytes.
const LARGEST_ANSWER: u64 = 64 * 1024;
/// Certificates between the unit's and its root.
const LONGEST_CHAIN: usize = 8;
/// Of an answer that is none, so much is told.
const TOLD: usize = 200;

/// By HTTPS; without TLS to this very machine only, which the configuration has seen to.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpIssuing;

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'q> {
    certificate_signing_request: &'q str,
    thing_name: &'q str,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    certificate_pem: String,
    /// One behind the other.
    #[serde(default)]
    chain_pem: Option<String>,
}

#[async_trait::async_trait]
impl IssuingService for HttpIssuing {
    async fn issue(&self, endpoint: &IssuingEndpoint, issuance: &Issuance) -> Result<Made, Failure> {
        let (endpoint, issuance) = (endpoint.clone(), issuance.clone());
        let url = endpoint.url.clone();
        // Whoever stops waiting leaves it to its own deadline: what it makes then, nobody registers.
        let asked = tokio::task::spawn_blocking(move || ask(&endpoint, &issuance)).await;
        asked
            .unwrap_or_else(|error| Err(Failure::new(ReasonCode::ISSUER_FAILED, error.to_string())))
            .map_err(|failure| failure.with("endpoint", url))
    }
}

fn ask(endpoint: &IssuingEndpoint, issuance: &Issuance) -> Result<Made, Failure> {
    let token = endpoint.token.as_ref().map(token_of).transpose()?;
    exchange(endpoint, issuance, token.as_ref()).map_err(|failure| match &token {
        // A service may repeat what it was sent.
        Some(token) => Failure { cause: failure.cause.replace(token.expose_secret(), "[token]"), ..failure },
        None => failure,
    })
}

fn exchange(endpoint: &IssuingEndpoint, issuance: &Issuance, token: Option<&SecretString>) -> Result<Made, Failure> {
    let unusable = |cause: String| Failure::new(ReasonCode::CONFIG_INVALID, cause);
    let request = issuance.request.as_ref().ok_or_else(|| unusable("there is no request".to_owned()))?;
    let csr = request_pem(request);
    let question = Question { certificate_signing_request: &csr, thing_name: issuance.thing.as_str() };
    let body = serde_json::to_vec(&question).map_err(|error| unusable(error.to_string()))?;
    let mut request = agent(endpoint)?.post(&endpoint.url).content_type("application/json");
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {}", token.expose_secret()));
    }
    let mut response = request.send(&body[..]).map_err(|error| of_error(&error))?;
    let status = response.status().as_u16();
    let read = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
    let body = read.map_err(|error| of_error(&error))?;
    if status != 200 && status != 201 {
        return Err(refused(format!("HTTP {status}: {}", told(&body, token))));
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|error| {
        refused(format!("HTTP {status} and no JSON with certificatePem ({error}): {}", told(&body, token)))
    })?;
    let mut certificates = certificates(&answer.certificate_pem)?;
    if certificates.is_empty() {
        return Err(refused("certificatePem holds no certificate".to_owned()));
    }
    let certificate = certificates.remove(0);
    certificates.extend(answer.chain_pem.as_deref().map(self::certificates).transpose()?.unwrap_or_default());
    if certificates.len() > LONGEST_CHAIN {
        return Err(refused(format!("{} certificates above the unit's own", certificates.len())));
    }
    Ok(Made { certificate, chain: certificates, origin: IssuedOrigin::Made })
}

fn certificates(pem: &str) -> Result<Vec<Bytes>, Failure> {
    let read = CertificateDer::pem_slice_iter(pem.as_bytes());
    let read = read.map(|der| der.map(|der| Bytes(der.to_vec()))).collect::<Result<_, _>>();
    read.map_err(|error| refused(format!("what should be a certificate is no PEM: {error}")))
}

fn agent(endpoint: &IssuingEndpoint) -> Result<Agent, Failure> {
    let roots: Vec<Vec<u8>> = match &endpoint.roots {
        Some(roots) => roots.clone(),
        None => rustls_native_certs::load_native_certs().certs.into_iter().map(|root| root.to_vec()).collect(),
    };
    if roots.is_empty() && endpoint.url.starts_with("https:") {
        let cause = "this computer has no root certificates (Debian: ca-certificates)";
        return Err(Failure::new(ReasonCode::CLOUD_ROOTS, cause));
    }
    let roots: Vec<Certificate<'static>> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .build();
    let mut config = Agent::config_builder();
    if !endpoint.url.starts_with("https:") {
        // It is on this very machine, and a proxy would read the token.
        config = config.proxy(None);
    }
    let config = config
        .tls_config(tls)
        .timeout_global(Some(endpoint.timeout))
        // A token goes to whom the configuration names.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("lineseal/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(config.new_agent())
}

fn token_of(source: &Pin) -> Result<SecretString, Failure> {
    let unusable = |cause: String| Failure::new(ReasonCode::ISSUER_FAILED, cause);
    let text = match source {
        Pin::Empty => String::new(),
        Pin::File(path) => std::fs::read_to_string(path)
            .map_err(|error| unusable(format!("the token's file {} is not readable: {error}", path.display())))?,
        Pin::Environment(name) => std::env::var(name)
            .map_err(|_| unusable(format!("the environment has no variable {name} for the token")))?,
    };
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable("the token is empty, or has characters that no token has".to_owned()));
    }
    Ok(SecretString::from(text))
}

fn of_error(error: &ureq::Error) -> Failure {
    use ureq::Error as E;
    match error {
        E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Io(_) | E::Tls(_) | E::Rustls(_) => {
            Failure::new(ReasonCode::ISSUER_UNREACHABLE, error.to_string())
        }
        _ => refused(error.to_string()),
    }
}

fn refused(cause: String) -> Failure {
    Failure::new(ReasonCode::ISSUER_FAILED, cause)
}

/// The beginning of what is no answer. A service may repeat what it was sent.
fn told(body: &[u8], token: Option<&SecretString>) -> String {
    let text = String::from_utf8_lossy(body);
    let text = token.map_or_else(|| text.to_string(), |token| text.replace(token.expose_secret(), "[token]"));
    if text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace()) {
        return format!("{} bytes that are no text", body.len());
    }
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").chars().take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_repeats_what_it_was_sent_brings_no_token_into_the_log() {
        let token = SecretString::from("s3cret-of-the-station");
        let page = |before: usize| format!("<html>\r\n{}Bearer s3cret-of-the-station\t</html>", "x".repeat(before));
        for before in [0, 1, TOLD - 20, TOLD - 1, 4 * TOLD] {
            let told = told(page(before).as_bytes(), Some(&token));
            assert!(!told.contains("s3cret"), "{told}");
            assert!(told.chars().count() <= TOLD && told.starts_with("<html> "), "{told}");
        }
        let bytes = [b"\x00\x01".as_slice(), b"Bearer s3cret-of-the-station"].concat();
        assert_eq!(told(&bytes, Some(&token)), "30 bytes that are no text");
    }
}
