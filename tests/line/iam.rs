//! People and roles of MiniStack's IAM, made from outside under an account's root key, whose signature
//! MiniStack does not check. The SDK's IAM crate would be 20 MB for a few calls.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::peers::Cloud;

/// The account of MiniStack's key `test` and of the users that are made with it.
pub const ACCOUNT: &str = "000000000000";

/// An access key and its secret.
pub struct Keys {
    pub id: String,
    pub secret: String,
}

/// A user of [`ACCOUNT`] that may do what `policy` says.
pub async fn user(cloud: &Cloud, name: &str, policy: &serde_json::Value) -> Keys {
    call(cloud, ACCOUNT, &[("Action", "CreateUser"), ("UserName", name)]).await;
    allow(cloud, name, policy).await;
    let made = call(cloud, ACCOUNT, &[("Action", "CreateAccessKey"), ("UserName", name)]).await;
    Keys { id: tag(&made, "AccessKeyId").to_owned(), secret: tag(&made, "SecretAccessKey").to_owned() }
}

/// In place of what the user might do before.
pub async fn allow(cloud: &Cloud, user: &str, policy: &serde_json::Value) {
    let document = policy.to_string();
    let form = [("Action", "PutUserPolicy"), ("UserName", user), ("PolicyName", "p"), ("PolicyDocument", &document)];
    call(cloud, ACCOUNT, &form).await;
}

/// A role of `account` that whoever `trust` names may take on.
pub async fn role(cloud: &Cloud, account: &str, name: &str, trust: &serde_json::Value, policy: &serde_json::Value) {
    let (trust, policy) = (trust.to_string(), policy.to_string());
    let form = [("Action", "CreateRole"), ("RoleName", name), ("AssumeRolePolicyDocument", &trust)];
    call(cloud, account, &form).await;
    let form = [("Action", "PutRolePolicy"), ("RoleName", name), ("PolicyName", "p"), ("PolicyDocument", &policy)];
    call(cloud, account, &form).await;
}

async fn call(cloud: &Cloud, account: &str, form: &[(&str, &str)]) -> String {
    let key = if account == ACCOUNT { "test" } else { account };
    let pairs: BTreeMap<&str, &str> = form.iter().copied().chain([("Version", "2010-05-08")]).collect();
    let form: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let form = form.join("&");
    let mut stream = TcpStream::connect(("127.0.0.1", cloud.port)).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nx-amz-date: 20260101T000000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, \
         Signature=00\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn tag<'a>(xml: &'a str, name: &str) -> &'a str {
    xml.split_once(&format!("<{name}>")).unwrap().1.split_once(&format!("</{name}>")).unwrap().0
}
