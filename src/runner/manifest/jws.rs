//! A JSON array of flattened JWS objects (RFC 7515 §7.2.2), one a chip, as Microchip's Trust Platform
//! manifests are. Only what is signed is believed: the unprotected header is there for text searches.

use std::fmt;
use std::io::{BufReader, Read};
use std::ops::ControlFlow;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::{Map, Value};
use x509_cert::der::Decode as _;

use super::list::{BadEntry, Each, Metered};
use super::value::{Said, entry};
use crate::domain::profile::ManifestPlan;
use crate::domain::{Fingerprint, ManifestEntry};

/// Returns the signers of the entries, each once.
pub(super) fn read(
    source: &mut dyn Read,
    plan: &ManifestPlan,
    signers: &[Vec<u8>],
    each: &mut Each<'_>,
) -> Vec<Fingerprint> {
    let meter = Metered::new(BufReader::new(source));
    let since = meter.since();
    let mut entries = Entries {
        plan,
        signers: signers.iter().filter_map(|der| Signer::of(der)).collect(),
        since,
        number: 0,
        used: Vec::new(),
        stopped: false,
        each,
    };
    let mut reader = serde_json::Deserializer::from_reader(meter);
    let ended = reader.deserialize_seq(&mut entries).and_then(|()| reader.end());
    let Entries { number, used, stopped, each, .. } = entries;
    if let Err(error) = ended
        && !stopped
    {
        let _ = each(Err(BadEntry { what: "entry", line: number + 1, wrong: error.to_string() }));
    }
    used
}

struct Entries<'e, 'f> {
    plan: &'e ManifestPlan,
    signers: Vec<Signer>,
    since: std::rc::Rc<std::cell::Cell<usize>>,
    number: u64,
    used: Vec<Fingerprint>,
    stopped: bool,
    each: &'e mut Each<'f>,
}

impl<'de> Visitor<'de> for &mut Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of signed entries")
    }

    /// One at a time: the file may be larger than the memory.
    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(signed) = entries.next_element::<Value>()? {
            self.since.set(0);
            self.number += 1;
            let line = self.number;
            let read = self.entry(&signed).map_err(|wrong| BadEntry { what: "entry", line, wrong });
            if let ControlFlow::Break(()) = (self.each)(read) {
                self.stopped = true;
                return Err(serde::de::Error::custom("nobody listens"));
            }
        }
        Ok(())
    }
}

impl Entries<'_, '_> {
    fn entry(&mut self, signed: &Value) -> Result<ManifestEntry, String> {
        let (payload, signer) = verified(signed, &self.signers)?;
        let read = entry(self.number, self.plan, |field| match payload.pointer(&field.at) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(Said::Text)),
            Some(Value::Object(key)) => Ok(Some(Said::Jwk(key))),
            Some(_) => Err(format!("neither a text nor a key at {:?}", field.at)),
        })?;
        if !self.used.contains(&signer) {
            self.used.push(signer);
        }
        Ok(read)
    }
}

/// A pinned certificate. Its validity is not asked for: what it signed may be imported years later, and
/// the profile trusts it until it names it no more.
struct Signer {
    fingerprint: Fingerprint,
    /// The point, as aws-lc takes it.
    key: Vec<u8>,
}

impl Signer {
    fn of(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?;
        let key = certificate.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes()?.to_vec();
        Some(Self { fingerprint: Fingerprint::of(der), key })
    }
}

/// The payload, once its signature is known to be a pinned signer's.
fn verified(signed: &Value, signers: &[Signer]) -> Result<(Value, Fingerprint), String> {
    let member = |name: &str| {
        signed.get(name).and_then(Value::as_str).ok_or_else(|| format!("no JWS: {name:?} is missing or no text"))
    };
    let (protected, payload, signature) = (member("protected")?, member("payload")?, member("signature")?);
    let decode = |what: &str, text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("the {what} is not base64url without padding"))
    };
    let header: Map<String, Value> = serde_json::from_slice(&decode("protected header", protected)?)
        .map_err(|error| format!("the protected header is no JSON object: {error}"))?;
    // RFC 8725 §3.1: the algorithm is the one that was agreed on, never one that the file chooses.
    match header.get("alg").and_then(Value::as_str) {
        Some("ES256") => {}
        other => return Err(format!("signed with alg {:?}, not with ES256", other.unwrap_or_default())),
    }
    // RFC 7515 §4.1.11: what it names must be understood, and nothing is; RFC 7797 would sign other bytes.
    if let Some(name) = ["crit", "b64"].into_iter().find(|name| header.contains_key(*name)) {
        return Err(format!("the protected header has {name:?}, which is not understood"));
    }
    let named = match header.get("x5t#S256") {
        None => None,
        Some(Value::String(thumbprint)) => Some(decode("x5t#S256", thumbprint)?),
        Some(_) => return Err("x5t#S256 is no text".to_owned()),
    };
    let signature = decode("signature", signature)?;
    let message = [protected.as_bytes(), b".", payload.as_bytes()].concat();
    let mut candidates = signers
        .iter()
        .filter(|signer| named.as_ref().is_none_or(|thumbprint| *thumbprint == signer.fingerprint.as_bytes()))
        .peekable();
    if candidates.peek().is_none() {
        let named = named.map(hex::encode).unwrap_or_default();
        return Err(format!("signed under the certificate {named}, which the profile does not name"));
    }
    // RFC 7518 §3.4: r ‖ s, 64 bytes.
    let good = |signer: &&Signer| {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &signer.key).verify(&message, &signature).is_ok()
    };
    let signer = candidates.find(good).ok_or("the signature does not verify")?;
    let payload = serde_json::from_slice(&decode("payload", payload)?)
        .map_err(|error| format!("the payload is no JSON: {error}"))?;
    Ok((payload, signer.fingerprint))
}
