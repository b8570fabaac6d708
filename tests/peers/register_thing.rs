//! RegisterThing over HTTP, which neither MiniStack nor moto answers: a proxy before MiniStack that answers
//! `POST /things` by doing there, as root, what the template says, and passes everything else on, signature and all.
//!
//! Written from AWS's API model (`RegisterThingRequest`: `templateBody`, `parameters`; `RegisterThingResponse`:
//! `certificatePem`, `resourceArns`; `ResourceRegistrationFailureException`, HTTP 400) and the developer guide's
//! "Provisioning templates". Of the functions it knows Ref, Fn::Join and Fn::Sub. It checks no permission.
//!
//! Several suites include this file with `#[path]`; each uses a part of it.
#![allow(dead_code, reason = "each suite uses a part of it")]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use aws_sdk_iot::types::{AttributePayload, CertificateStatus};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What becomes of a RegisterThing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// ResourceRegistrationFailureException; nothing is done.
    Refuses,
    /// The thing is made, then the line is cut.
    CutsInTheMiddle,
    /// All of it is done, and the answer is lost.
    LosesTheAnswer,
    /// It says yes, and attaches no policy.
    ForgetsThePolicy,
    /// The thing gets another attribute than the template says.
    MakesAnotherThing,
}

/// A proxy before a MiniStack; ends with this value.
#[derive(Debug)]
pub struct RegisterThing {
    pub port: u16,
    mood: Arc<Mutex<Mood>>,
    calls: Arc<Mutex<u32>>,
    task: AbortHandle,
}

impl RegisterThing {
    pub async fn before(upstream: u16, region: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mood, calls) = (Arc::new(Mutex::new(Mood::Good)), Arc::<Mutex<u32>>::default());
        let upstream = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream));
        let aws = root(upstream, region);
        let (its_mood, its_calls) = (mood.clone(), calls.clone());
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (aws, mood, calls) = (aws.clone(), its_mood.clone(), its_calls.clone());
                tokio::spawn(async move { exchange(client, upstream, &aws, &mood, &calls).await });
            }
        };
        Self { port, mood, calls, task: tokio::spawn(accept).abort_handle() }
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }
}

impl Drop for RegisterThing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn root(upstream: SocketAddr, region: &str) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(region.to_owned()))
        .endpoint_url(format!("http://{upstream}"))
        .credentials_provider(Credentials::new("test", "unchecked", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// One request, one answer, then the connection is closed.
async fn exchange(
    mut client: TcpStream,
    upstream: SocketAddr,
    aws: &Client,
    mood: &Mutex<Mood>,
    calls: &Mutex<u32>,
) -> Option<()> {
    let (head, body) = request(&mut client).await?;
    let mut line = head.split_whitespace();
    if (line.next(), line.next()) != (Some("POST"), Some("/things")) {
        let mut server = TcpStream::connect(upstream).await.ok()?;
        server.write_all(head.replacen("\r\n", "\r\nconnection: close\r\n", 1).as_bytes()).await.ok()?;
        server.write_all(&body).await.ok()?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await.ok()?;
        client.write_all(&answer).await.ok()?;
        return client.shutdown().await.ok();
    }
    *calls.lock().unwrap() += 1;
    let mood = *mood.lock().unwrap();
    let (status, error, answer) = match register(aws, &body, mood).await {
        Some(Ok(answer)) => (200, None, answer),
        Some(Err((error, message))) => (400, Some(error), json!({ "message": message })),
        None => return None,
    };
    let error = error.map(|error| format!("x-amzn-errortype: {error}\r\n")).unwrap_or_default();
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nx-amzn-requestid: 0f\r\n{error}\
         content-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    client.write_all(head.as_bytes()).await.ok()?;
    client.write_all(answer.as_bytes()).await.ok()?;
    client.shutdown().await.ok()
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
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or(0);
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        if client.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((head, body))
}

pub type Refused = (&'static str, String);

fn failed(error: impl std::fmt::Debug) -> Refused {
    ("ResourceRegistrationFailureException", format!("{error:?}"))
}

/// `None`: the line is cut.
async fn register(aws: &Client, body: &[u8], mood: Mood) -> Option<Result<Value, Refused>> {
    if mood == Mood::Refuses {
        return Some(Err(failed("made by the test")));
    }
    let done = perform(aws, body, mood).await;
    match (mood, &done) {
        (Mood::LosesTheAnswer, _) | (Mood::CutsInTheMiddle, Ok(_)) => None,
        _ => Some(done),
    }
}

pub async fn perform(aws: &Client, body: &[u8], mood: Mood) -> Result<Value, Refused> {
    let invalid = |what: &str| ("InvalidRequestException", what.to_owned());
    let request: Value = serde_json::from_slice(body).map_err(|_| invalid("no JSON"))?;
    let template = request["templateBody"].as_str().ok_or_else(|| invalid("no templateBody"))?;
    let template: Value = serde_json::from_str(template).map_err(|_| invalid("the template is no JSON"))?;
    let mut values = HashMap::new();
    for (name, spec) in template["Parameters"].as_object().into_iter().flatten() {
        let given = request["parameters"].get(name).or(spec.get("Default")).and_then(Value::as_str);
        let given = given.ok_or_else(|| invalid(&format!("Cannot resolve reference value: {name}")))?;
        values.insert(name.clone(), given.to_owned());
    }
    let resources: Vec<(&str, Map<String, Value>)> = template["Resources"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, resource)| {
            let resolved = resolve(&resource["Properties"], &values);
            (resource["Type"].as_str().unwrap_or_default(), resolved.as_object().cloned().unwrap_or_default())
        })
        .collect();
    let of = |kind: &str| resources.iter().find(|(known, _)| *known == kind).map(|(_, properties)| properties);
    let text = |properties: &Map<String, Value>, key: &str| properties.get(key)?.as_str().map(str::to_owned);

    let thing = of("AWS::IoT::Thing").ok_or_else(|| invalid("no thing"))?;
    let name = text(thing, "ThingName").ok_or_else(|| invalid("no ThingName"))?;
    let mut attributes: HashMap<String, String> = thing
        .get("AttributePayload")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    if mood == Mood::MakesAnotherThing {
        attributes.insert("more".into(), "than-asked".into());
    }
    let payload = AttributePayload::builder().set_attributes(Some(attributes)).build();
    let made = aws
        .create_thing()
        .thing_name(&name)
        .set_thing_type_name(text(thing, "ThingTypeName"))
        .attribute_payload(payload)
        .send()
        .await
        .map_err(failed)?;
    if mood == Mood::CutsInTheMiddle {
        return Ok(Value::Null);
    }

    let certificate = of("AWS::IoT::Certificate").ok_or_else(|| invalid("no certificate"))?;
    let status = text(certificate, "Status").unwrap_or_default().to_uppercase();
    let status = CertificateStatus::from(status.as_str());
    let id = match (text(certificate, "CertificateId"), text(certificate, "CertificatePem")) {
        (Some(id), None) => id,
        (None, Some(pem)) => {
            let request = aws.register_certificate().certificate_pem(pem).status(status.clone());
            let request = request.set_ca_certificate_pem(text(certificate, "CACertificatePem"));
            request.send().await.map_err(failed)?.certificate_id.unwrap_or_default()
        }
        _ => return Err(invalid("no certificate is named")),
    };
    let held = aws.describe_certificate().certificate_id(&id).send().await.map_err(failed)?;
    let held = held.certificate_description.ok_or_else(|| invalid("no description"))?;
    if held.status.as_ref() != Some(&status) {
        aws.update_certificate().certificate_id(&id).new_status(status).send().await.map_err(failed)?;
    }
    let arn = held.certificate_arn.unwrap_or_default();
    if let (Some(policy), true) = (of("AWS::IoT::Policy"), mood != Mood::ForgetsThePolicy) {
        let policy = text(policy, "PolicyName").ok_or_else(|| invalid("no PolicyName"))?;
        aws.get_policy().policy_name(&policy).send().await.map_err(failed)?;
        aws.attach_policy().policy_name(policy).target(&arn).send().await.map_err(failed)?;
    }
    aws.attach_thing_principal().thing_name(&name).principal(&arn).send().await.map_err(failed)?;
    Ok(json!({
        "certificatePem": held.certificate_pem,
        "resourceArns": { "thing": made.thing_arn, "certificate": arn },
    }))
}

pub fn resolve(value: &Value, values: &HashMap<String, String>) -> Value {
    let Value::Object(fields) = value else {
        return match value {
            Value::Array(items) => items.iter().map(|item| resolve(item, values)).collect(),
            value => value.clone(),
        };
    };
    if let (1, Some((function, argument))) = (fields.len(), fields.iter().next()) {
        match (function.as_str(), argument) {
            ("Ref", Value::String(name)) => return values.get(name).cloned().unwrap_or_default().into(),
            ("Fn::Join", Value::Array(parts)) => {
                let (separator, items) = (parts[0].as_str().unwrap(), resolve(&parts[1], values));
                let items: Vec<&str> = items.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
                return items.join(separator).into();
            }
            ("Fn::Sub", Value::String(text)) => {
                let filled =
                    |text: String, (name, value): (&String, &String)| text.replace(&format!("${{{name}}}"), value);
                return values.iter().fold(text.clone(), filled).into();
            }
            _ => {}
        }
    }
    fields.iter().map(|(name, value)| (name.clone(), resolve(value, values))).collect::<Map<_, _>>().into()
}
