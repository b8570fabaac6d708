//! `[ca.NAME]`: own CAs, and what each target shall hold for them.

use std::path::Path;

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::BasicConstraints;

use super::log::token_key;
use super::pem;
use super::problem::{Mistake, nearest};
use super::section::{Entry, Section};
use super::{Ca, CaKey, Target};
use crate::domain::{Bytes, CaMode, CaName, CaPlan, Fingerprint, JoinTemplate, SigningCa};

/// AWS IoT Core's limit for the body of a provisioning template.
const TEMPLATE_MAX: usize = 10_240;
const TOKEN_KEYS: [&str; 6] = ["module", "environment", "uri", "pin", "pin_file", "pin_env"];

/// The CAs that could be read, and every name that was given to one.
pub(super) fn read(entry: &Entry<'_>, targets: &[Target], names: &[String]) -> (Option<Vec<Ca>>, Vec<String>) {
    let Some(section) = entry.section("[ca]") else { return (None, Vec::new()) };
    let entries = section.user_entries();
    let known = entries.iter().map(|(name, _)| (*name).to_owned()).collect();
    let read = |(name, entry): &(&str, Entry<'_>)| ca(name, entry, targets, names);
    (entries.iter().map(read).collect::<Vec<_>>().into_iter().collect(), known)
}

fn ca(name: &str, entry: &Entry<'_>, targets: &[Target], names: &[String]) -> Option<Ca> {
    let title = format!("[ca.{name}]");
    let section = entry.section(&title)?;
    let name = name.parse::<CaName>().map_err(|invalid| {
        entry.report(Mistake::Invalid { key: entry.name.clone(), invalid });
    });
    let certificate = section.required("certificate").and_then(|entry| certificate(&entry));
    let key = section.optional("key").map(|entry| key(&entry, &title));
    let general = settings(&section);
    let template = section.optional("template").map(|entry| template(&entry));
    let special = match section.optional("targets") {
        Some(entry) => special(&entry, &title, names),
        None => Some(Vec::new()),
    };
    let (name, certificate, general, special) = (name.ok()?, certificate?, general?, special?);
    let template = template.map_or(Some(None), |template| template.map(Some))?;
    let fingerprint = Fingerprint::of(&certificate);
    let signing = SigningCa { name, certificate: Bytes(certificate), fingerprint };

    let mut plans = Vec::new();
    for target in targets {
        let own = special.iter().find(|(name, _)| name == target.name.as_str()).map(|(_, settings)| settings);
        let settings = general.clone().but(own);
        let join = match (settings.auto_registration, &template, settings.role) {
            (true, Some(body), Some(role)) => Some(JoinTemplate { body: body.clone(), role }),
            (true, Some(_), None) => {
                entry.refuse(format!("target {} lacks the \"role\" in whose name AWS uses the template", target.name));
                return None;
            }
            _ => None,
        };
        plans.push(CaPlan {
            target: target.name.clone(),
            ca: signing.clone(),
            mode: settings.mode,
            auto_registration: settings.auto_registration,
            template: join,
        });
    }
    if !plans.iter().any(|plan| plan.auto_registration) {
        section.meaningless(&["template"], "no target has auto_registration = true");
    }
    if !plans.iter().any(|plan| plan.template.is_some()) {
        section.meaningless(&["role"], "no target has a template");
    }
    match plans.iter().find(|plan| plan.mode == CaMode::Default) {
        Some(plan) if key.is_none() => {
            let because = format!(
                "is missing: mode = \"DEFAULT\" in target {} takes a signature of the CA; in SNI_ONLY mode none is needed",
                plan.target
            );
            section.report(Mistake::Refused { key: section.name("key"), because });
            return None;
        }
        None => section.meaningless(&["key"], "in SNI_ONLY mode the CA signs nothing for AWS"),
        Some(_) => {}
    }
    Some(Ca { signing, key: key.map_or(Some(None), |key| key.map(Some))?, plans })
}

/// What may differ from target to target.
#[derive(Clone)]
struct Settings<M> {
    mode: M,
    auto_registration: bool,
    role: Option<String>,
}

/// Of one target, where it says anything.
struct Special {
    mode: Option<CaMode>,
    auto_registration: Option<bool>,
    role: Option<String>,
}

impl Settings<CaMode> {
    fn but(self, special: Option<&Special>) -> Self {
        let Some(special) = special else { return self };
        Self {
            mode: special.mode.unwrap_or(self.mode),
            auto_registration: special.auto_registration.unwrap_or(self.auto_registration),
            role: special.role.clone().or(self.role),
        }
    }
}

fn settings(section: &Section<'_>) -> Option<Settings<CaMode>> {
    let read = special_of(section)?;
    Some(Settings {
        mode: read.mode.unwrap_or(CaMode::SniOnly),
        auto_registration: read.auto_registration.unwrap_or(false),
        role: read.role,
    })
}

fn special_of(section: &Section<'_>) -> Option<Special> {
    let modes = CaMode::ALL.map(|mode| (mode.as_str(), mode));
    let mode = section.optional("mode").map(|entry| entry.choice(&modes));
    let auto_registration = section.optional("auto_registration").map(|entry| entry.boolean());
    let role = section.optional("role").map(|entry| role(&entry));
    Some(Special {
        mode: mode.map_or(Some(None), |mode| mode.map(Some))?,
        auto_registration: auto_registration.map_or(Some(None), |auto| auto.map(Some))?,
        role: role.map_or(Some(None), |role| role.map(Some))?,
    })
}

fn special(entry: &Entry<'_>, title: &str, names: &[String]) -> Option<Vec<(String, Special)>> {
    let section = entry.section(format!("{}.targets]", title.trim_end_matches(']')))?;
    let read = |(name, entry): &(&str, Entry<'_>)| {
        if !names.iter().any(|known| known == name) {
            entry.report(Mistake::Dangling {
                key: entry.name.clone(),
                what: "target",
                name: (*name).to_owned(),
                nearest: nearest(name, names.iter().map(String::as_str)),
                known: names.to_vec(),
            });
            return None;
        }
        let own = entry.section(format!("{}.targets.{name}]", title.trim_end_matches(']')))?;
        Some(((*name).to_owned(), special_of(&own)?))
    };
    section.user_entries().iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

/// One certificate, of a CA.
fn certificate(entry: &Entry<'_>) -> Option<Vec<u8>> {
    let path = entry.path()?;
    let read = pem::certificates(&path).and_then(|mut found| match found.len() {
        1 => Ok(found.remove(0)),
        count => Err(format!("holds {count} certificates: name a file with the CA's own alone")),
    });
    let checked = read.and_then(|der| if is_ca(&der) { Ok(der) } else { Err("is no CA's certificate".to_owned()) });
    checked.map_err(|because| entry.report(Mistake::BadFile { key: entry.name.clone(), path, because })).ok()
}

fn is_ca(der: &[u8]) -> bool {
    let Ok(certificate) = Certificate::from_der(der) else { return false };
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>();
    matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
}

/// A file, or an object in a token.
fn key(entry: &Entry<'_>, title: &str) -> Option<CaKey> {
    let title = format!("{}.key]", title.trim_end_matches(']'));
    let section = entry.section(title.as_str())?;
    if let Some(file) = section.optional("file") {
        let because = "the key is a file: either name that, or a token's \"module\" and \"uri\"";
        section.meaningless(&TOKEN_KEYS, because);
        return file.path().map(CaKey::File);
    }
    token_key(&section, &title).map(CaKey::Token)
}

fn template(entry: &Entry<'_>) -> Option<String> {
    let path = entry.path()?;
    let checked = template_at(&path).map(|body| body.to_string());
    checked.map_err(|because| entry.report(Mistake::BadFile { key: entry.name.clone(), path, because })).ok()
}

/// JSON with resources: more can't be told without AWS.
pub(super) fn template_at(path: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))?;
    let resources = value.get("Resources").and_then(serde_json::Value::as_object);
    if resources.is_none_or(serde_json::Map::is_empty) {
        return Err("is no provisioning template: it holds no \"Resources\"".to_owned());
    }
    // AWS counts what it is sent: without the white space that a person writes.
    let sent = value.to_string().len();
    if sent > TEMPLATE_MAX {
        return Err(format!("is {sent} bytes without white space, AWS IoT takes {TEMPLATE_MAX}"));
    }
    Ok(value)
}

/// `arn:aws:iam::111122223333:role/name`, of any partition.
fn role(entry: &Entry<'_>) -> Option<String> {
    let text = entry.text()?;
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let good = matches!(parts[..], ["arn", partition, "iam", "", account, name]
        if partition.starts_with("aws")
            && account.len() == 12
            && account.bytes().all(|b| b.is_ascii_digit())
            && name.strip_prefix("role/").is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace)));
    if !good {
        let because = "write the role's ARN, e.g. arn:aws:iam::111122223333:role/lineseal-join".to_owned();
        entry.report(Mistake::BadValue { key: entry.name.clone(), value: text.to_owned(), because });
    }
    good.then(|| text.to_owned())
}
