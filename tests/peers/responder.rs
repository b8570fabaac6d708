//! An HTTP responder in front of a stand-in for AWS: what it does not answer itself it passes on, signature and
//! all. It makes what no stand-in does: throttling, failures, answers that are lost, late, broken or wrong.
//!
//! Several suites include this file with `#[path]`; each uses a part of it.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What happens to one request.
pub enum Do {
    Pass,
    Answer {
        status: u16,
        error: &'static str,
        body: String,
    },
    /// An error of AWS's own by its headers, whose name is nowhere.
    Unnamed {
        status: u16,
        body: &'static str,
    },
    /// AWS does it; the answer is lost.
    PassAndCut,
    /// AWS does it; the answer comes so much later.
    PassLate(Duration),
    /// AWS does it; the connection breaks in the middle of the answer's body.
    PassHalf,
    /// AWS does it; the answer holds this instead.
    PassWrong(&'static str),
    /// AWS never hears of it.
    Cut,
    /// Nothing ever comes back.
    Hang,
}

pub fn error(status: u16, error: &'static str) -> Do {
    Do::Answer { status, error, body: r#"{"message":"made by the test"}"#.to_owned() }
}

pub fn found(body: String) -> Do {
    Do::Answer { status: 200, error: "", body }
}

/// Counts the requests of each action, from 1, and does what the rule says.
pub struct Responder {
    address: SocketAddr,
    counts: Arc<Mutex<HashMap<&'static str, u32>>>,
    task: AbortHandle,
}

impl Responder {
    /// `endpoint`: the server's, `http://ADDRESS`.
    pub async fn before(endpoint: &str, rule: impl Fn(&'static str, u32) -> Do + Send + Sync + 'static) -> Self {
        let upstream: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::new(Mutex::new(HashMap::new()));
        let (rule, counted) = (Arc::new(rule), Arc::clone(&counts));
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (rule, counted) = (Arc::clone(&rule), Arc::clone(&counted));
                tokio::spawn(async move { exchange(client, upstream, &*rule, &counted).await });
            }
        };
        Self { address, counts, task: tokio::spawn(accept).abort_handle() }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn count(&self, action: &str) -> u32 {
        self.counts.lock().unwrap().get(action).copied().unwrap_or_default()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One request, one answer, then the connection is closed.
async fn exchange(
    mut client: TcpStream,
    upstream: SocketAddr,
    rule: &(dyn Fn(&'static str, u32) -> Do + Send + Sync),
    counts: &Mutex<HashMap<&'static str, u32>>,
) -> Option<()> {
    let (head, body) = request(&mut client).await?;
    let action = action_of(&head);
    let count = {
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(action).or_default();
        *count += 1;
        *count
    };
    let what = rule(action, count);
    match what {
        Do::Hang => std::future::pending().await,
        Do::Cut => {}
        Do::Answer { status, error, body } => {
            let error = if error.is_empty() { String::new() } else { format!("x-amzn-errortype: {error}\r\n") };
            client.write_all(answer(status, &error, &body).as_bytes()).await.ok()?;
        }
        Do::Unnamed { status, body } => {
            client.write_all(answer(status, "x-amzn-requestid: 0f\r\n", body).as_bytes()).await.ok()?;
        }
        Do::Pass | Do::PassAndCut | Do::PassLate(_) | Do::PassHalf | Do::PassWrong(_) => {
            let mut server = TcpStream::connect(upstream).await.ok()?;
            let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
            server.write_all(head.as_bytes()).await.ok()?;
            server.write_all(&body).await.ok()?;
            let mut bytes = Vec::new();
            server.read_to_end(&mut bytes).await.ok()?;
            match what {
                Do::PassAndCut => bytes.clear(),
                Do::PassLate(by) => tokio::time::sleep(by).await,
                Do::PassWrong(body) => bytes = answer(200, "x-amzn-requestid: 0f\r\n", body).into_bytes(),
                Do::PassHalf => {
                    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
                    // Of an answer without a body, the head breaks.
                    let half = if body < bytes.len() { body + (bytes.len() - body) / 2 } else { body - 4 };
                    bytes.truncate(half);
                }
                _ => {}
            }
            client.write_all(&bytes).await.ok()?;
        }
    }
    client.shutdown().await.ok()
}

/// `headers` end with a line break each.
fn answer(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

async fn request(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if client.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let body = bytes.split_off(end);
    let head = String::from_utf8(bytes).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.trim().parse::<usize>().unwrap());
    let mut body = body;
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

/// From AWS's API model: the request line of each action that the adapter uses.
fn action_of(head: &str) -> &'static str {
    let mut words = head.split([' ', '?']);
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    match (method, path) {
        ("POST", "/certificate/register-no-ca") => "RegisterCertificateWithoutCA",
        ("POST", "/certificate/register") => "RegisterCertificate",
        ("POST", "/cacertificate") => "RegisterCACertificate",
        ("GET", "/cacertificates") => "ListCACertificates",
        ("GET", "/registrationcode") => "GetRegistrationCode",
        ("GET", path) if path.starts_with("/cacertificate/") => "DescribeCACertificate",
        ("PUT", path) if path.starts_with("/cacertificate/") => "UpdateCACertificate",
        ("DELETE", path) if path.starts_with("/cacertificate/") => "DeleteCACertificate",
        ("GET", "/endpoint") => "DescribeEndpoint",
        // AWS STS, at the same stand-in.
        ("POST", "/") => "GetCallerIdentity",
        ("GET", "/principals/things") => "ListPrincipalThings",
        ("GET", "/principals/things-v2") => "ListPrincipalThingsV2",
        ("POST", "/certificates") => "CreateCertificateFromCsr",
        ("POST", "/keys-and-certificate") => "CreateKeysAndCertificate",
        ("GET", "/certificates") => "ListCertificates",
        ("GET", path) if path.starts_with("/certificates/") => "DescribeCertificate",
        ("PUT", path) if path.starts_with("/certificates/") => "UpdateCertificate",
        ("DELETE", path) if path.starts_with("/certificates/") => "DeleteCertificate",
        ("GET", path) if path.starts_with("/things/") && path.ends_with("/principals") => "ListThingPrincipals",
        ("PUT", path) if path.starts_with("/things/") && path.ends_with("/principals") => {
            // No peer holds anybody to it.
            assert!(words.next().is_some_and(|query| query.contains("thingPrincipalType=EXCLUSIVE_THING")), "{head}");
            "AttachThingPrincipal"
        }
        ("DELETE", path) if path.starts_with("/things/") && path.ends_with("/principals") => "DetachThingPrincipal",
        ("POST", "/things") => "RegisterThing",
        ("POST", path) if path.ends_with("/provisioning-claim") => "CreateProvisioningClaim",
        ("GET", path) if path.starts_with("/provisioning-templates/") => "DescribeProvisioningTemplate",
        ("GET", path) if path.starts_with("/things/") => "DescribeThing",
        ("POST", path) if path.starts_with("/things/") => "CreateThing",
        ("DELETE", path) if path.starts_with("/things/") => "DeleteThing",
        ("GET", path) if path.starts_with("/thing-types/") => "DescribeThingType",
        ("POST", path) if path.starts_with("/thing-types/") => "CreateThingType",
        ("GET", path) if path.starts_with("/policies/") => "GetPolicy",
        ("POST", path) if path.starts_with("/policies/") => "CreatePolicy",
        ("POST", path) if path.starts_with("/attached-policies/") => "ListAttachedPolicies",
        ("PUT", path) if path.starts_with("/target-policies/") => "AttachPolicy",
        ("POST", path) if path.starts_with("/target-policies/") => "DetachPolicy",
        other => panic!("{other:?} is no request that the adapter makes"),
    }
}
