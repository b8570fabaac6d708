//! `[register]`: what AWS IoT Core shall hold for a unit.

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::millis;
use super::{Named, csr, fleet, template};
use crate::config::problem::{Mistake, nearest};
use crate::config::section::{Entry, Known, Section};
use crate::domain::profile::{
    CertificateStatus, CsrPlan, DEVICE_VARIABLES, Issuer, Method, Offline, PolicyPlan, Register, Trust,
};
use crate::domain::{AttributeName, AttributeValue, SigningCa, TargetName, Template, ThingName, Variables};

const DEADLINE: Duration = Duration::from_millis(30_000);
/// AWS IoT Core's quota for one policy document, white space not counted.
const POLICY_MAX: usize = 2048;
/// The version of the policy language that AWS IoT Core takes.
const POLICY_VERSION: &str = "2012-10-17";
/// AWS IoT Core's quotas for thing attributes.
const ATTRIBUTES_WITHOUT_TYPE: usize = 3;
const ATTRIBUTES_WITH_TYPE: usize = 50;

pub(super) fn read(
    entry: &Entry<'_>,
    serial_port: Option<bool>,
    known: &Known,
    named: &Named<'_>,
    trust: Option<&Trust>,
) -> Option<Register> {
    let section = entry.section("[register]")?;
    let mut template = None;
    let method = method(&section, known, named, trust, &mut template);
    let targets = section.required("targets").and_then(|entry| {
        let targets = target_names(&entry, named.targets)?;
        one_target(&entry, method.as_ref(), &targets).then_some(targets)
    });
    let thing_name = section.required("thing_name").and_then(|entry| thing_name(&entry, known));
    let thing_type = section.optional("thing_type");
    let with_type = thing_type.is_some();
    let thing_type = thing_type.map_or(Some(None), |entry| entry.parsed().map(Some));
    let attributes = match section.optional("attributes") {
        Some(entry) => attributes(&entry, known, with_type),
        None => Some(BTreeMap::new()),
    };
    let statuses = [CertificateStatus::Active, CertificateStatus::Inactive].map(|status| (status.as_str(), status));
    let certificate_status =
        section.optional("certificate_status").map_or(Some(CertificateStatus::Active), |entry| entry.choice(&statuses));
    if let (Some(Method::JustInTime(_)), Some(CertificateStatus::Inactive)) = (&method, certificate_status) {
        let because = "is \"INACTIVE\", and AWS sets ACTIVE what method = \"just-in-time\" has it register".to_owned();
        section.report(Mistake::Refused { key: section.name("certificate_status"), because });
    }
    let policy = section.required("policy").and_then(|entry| policy(&entry));
    let deadline = millis(&section, "deadline_ms", DEADLINE, 1_000, 600_000);
    let offline = offline(&section, method.as_ref());
    let configure = match method.as_ref().and_then(Method::fleet) {
        Some(plan) => fleet::configure(&section, plan, serial_port, known),
        None => Some(None),
    };
    if let Some(body) = &template {
        template::agrees(
            &section.optional("template")?,
            body,
            &template::Expected {
                thing_type: thing_type.as_ref().map(|name| name.is_some()),
                attributes: attributes.as_ref().map(|attributes| attributes.keys().map(|name| name.as_str()).collect()),
                status: certificate_status,
                policy: policy.as_ref().map(|plan| plan.name.as_str()),
            },
        )?;
    }
    Some(Register {
        method: method?,
        targets: targets?,
        thing_name: thing_name?,
        thing_type: thing_type?,
        attributes: attributes?,
        certificate_status: certificate_status?,
        policy: policy?,
        deadline: deadline?,
        offline: offline?,
        configure: configure?,
    })
}

/// A certificate that is made in one account is unknown in every other.
fn one_target(entry: &Entry<'_>, method: Option<&Method>, targets: &[TargetName]) -> bool {
    let one = !matches!(method, Some(Method::Csr(_))) || targets.len() == 1;
    if !one {
        entry.refuse(format!(
            "names {} targets, method = {:?} takes one: the certificate that is made for a unit in one account is \
             unknown in every other",
            targets.len(),
            method.map_or("", Method::as_str)
        ));
    }
    one
}

fn offline(section: &Section<'_>, method: Option<&Method>) -> Option<Offline> {
    let waits = method.is_none_or(Method::may_hold);
    let Some(entry) = section.optional("offline") else {
        return Some(if waits { Offline::Hold } else { Offline::Stop });
    };
    let offline = entry.choice(&[("hold", Offline::Hold), ("stop", Offline::Stop)])?;
    if offline == Offline::Hold && !waits {
        let name = method.map_or("", Method::as_str);
        entry.refuse(format!(
            "is \"hold\", and with method = {name:?} no unit can wait for the cloud: its own key is needed to register \
             it, and its board would be elsewhere"
        ));
        return None;
    }
    Some(offline)
}

/// `template`: the file of the method's provisioning template, where it has one.
fn method(
    section: &Section<'_>,
    known: &Known,
    named: &Named<'_>,
    trust: Option<&Trust>,
    template: &mut Option<serde_json::Value>,
) -> Option<Method> {
    #[derive(Clone, Copy)]
    enum Kind {
        WithoutCa,
        WithCa,
        Csr,
        JustInTime,
        Template,
        Fleet,
    }
    let kinds = [
        ("without-ca", Kind::WithoutCa),
        ("with-ca", Kind::WithCa),
        ("csr", Kind::Csr),
        ("just-in-time", Kind::JustInTime),
        ("template", Kind::Template),
        ("fleet", Kind::Fleet),
    ];
    let kind = section.optional("method").map_or(Some(Kind::WithoutCa), |entry| entry.choice(&kinds));
    if !matches!(kind, None | Some(Kind::Csr)) {
        section.meaningless(&["csr"], "only method = \"csr\" has a certificate made");
    }
    if !matches!(kind, None | Some(Kind::Template)) {
        section.meaningless(&["template"], "only method = \"template\" has one");
    }
    if !matches!(kind, None | Some(Kind::Fleet)) {
        section.meaningless(&["fleet"], "only method = \"fleet\" has one");
    }
    match kind {
        Some(Kind::Fleet) => {
            section.meaningless(&["ca"], "method = \"fleet\" asks for none: AWS makes the certificate");
            let plan = fleet::read(section, known)?;
            Some(Method::Csr(CsrPlan { issuer: Issuer::Fleet(plan), write_back: None }))
        }
        Some(Kind::Template) => {
            let ca = section.optional("ca").map_or(Some(None), |entry| ca(&entry, named, trust).map(Some));
            let read =
                section.required("template").and_then(|entry| template::read(&entry, known, ca.as_ref()?.is_some()));
            let (ca, (plan, body)) = (ca?, read?);
            *template = Some(body);
            Some(Method::Template { ca, template: plan })
        }
        Some(Kind::Csr) => {
            section.meaningless(&["ca"], "method = \"csr\" has it under [register.csr]");
            csr::read(section, named).map(Method::Csr)
        }
        Some(Kind::WithoutCa) => {
            section.meaningless(&["ca"], "method = \"without-ca\" asks for none");
            Some(Method::WithoutCa)
        }
        Some(Kind::JustInTime) => {
            section.required("ca").and_then(|entry| joining(&entry, named, trust)).map(Method::JustInTime)
        }
        Some(Kind::WithCa) => section.required("ca").and_then(|entry| ca(&entry, named, trust)).map(Method::WithCa),
        None => {
            for key in ["ca", "csr", "template", "fleet"] {
                let _ = section.optional(key);
            }
            None
        }
    }
}

/// A CA of the station's file, which the profile has to trust as the one that signed the chips' certificates.
fn ca(entry: &Entry<'_>, named: &Named<'_>, trust: Option<&Trust>) -> Option<SigningCa> {
    let ca = known_ca(entry, named)?;
    let mut pinned = trust?.roots.iter().chain(&trust?.intermediates);
    if !pinned.any(|der| *der == ca.certificate.0) {
        entry.refuse(format!(
            "{} ({}) is neither among the roots nor the intermediates of [trust], and has to be what signs the \
             chips' certificates",
            ca.name, ca.fingerprint
        ));
        return None;
    }
    Some(ca)
}

/// A CA of the station's file.
pub(super) fn known_ca(entry: &Entry<'_>, named: &Named<'_>) -> Option<SigningCa> {
    let text = entry.string()?;
    if !named.ca_names.iter().any(|name| name == text) {
        entry.report(Mistake::Dangling {
            key: entry.name.clone(),
            what: "CA",
            name: text.to_owned(),
            nearest: nearest(text, named.ca_names.iter().map(String::as_str)),
            known: named.ca_names.to_vec(),
        });
        return None;
    }
    // What is wrong with it has been reported where it stands.
    named.cas.iter().map(|ca| &ca.signing).find(|ca| ca.name.as_str() == text).cloned()
}

/// One that AWS registers devices of by itself, wherever the profile goes.
fn joining(entry: &Entry<'_>, named: &Named<'_>, trust: Option<&Trust>) -> Option<SigningCa> {
    let ca = ca(entry, named, trust)?;
    let plans = named.cas.iter().filter(|known| known.signing.name == ca.name).flat_map(|known| &known.plans);
    let off: Vec<&str> = plans.filter(|plan| !plan.auto_registration).map(|plan| plan.target.as_str()).collect();
    if off.is_empty() {
        return Some(ca);
    }
    entry.refuse(format!(
        "{} has no auto_registration in {}: AWS would register none of its devices by itself there",
        ca.name,
        off.join(" and ")
    ));
    None
}

fn target_names(entry: &Entry<'_>, targets: &[String]) -> Option<Vec<TargetName>> {
    let mut seen: Vec<&str> = Vec::new();
    let read = |item: &Entry<'_>| {
        let text = item.string()?;
        if seen.contains(&text) {
            let (key, value, first) = (item.name.clone(), text.to_owned(), "this very list".to_owned());
            item.report(Mistake::Duplicate { key, value, first });
            return None;
        }
        if let Some(found) = targets.iter().find(|name| *name == text) {
            seen.push(found.as_str());
            // A name that is none has been reported where the target stands.
            return text.parse().ok();
        }
        item.report(Mistake::Dangling {
            key: item.name.clone(),
            what: "target",
            name: text.to_owned(),
            nearest: nearest(text, targets.iter().map(String::as_str)),
            known: targets.to_vec(),
        });
        None
    };
    entry.some_items()?.iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn thing_name(entry: &Entry<'_>, known: &Known) -> Option<Template> {
    let template = entry.template(known)?;
    // What is known without the board's answer is no unit's own.
    if template.variables().all(|name| DEVICE_VARIABLES.contains(&name)) {
        entry.refuse("would be the same for every unit: use {serial}");
        return None;
    }
    let fixed = fixed_part(&template);
    // With the shortest value that a variable may have.
    if format!("{fixed}0").parse::<ThingName>().is_err() {
        entry.refuse(format!("{fixed:?} can't be part of a thing name, which is 1 to 128 of a-z A-Z 0-9 : _ -"));
        return None;
    }
    Some(template)
}

fn attributes(entry: &Entry<'_>, known: &Known, with_type: bool) -> Option<BTreeMap<AttributeName, Template>> {
    let section = entry.section("[register.attributes]")?;
    let entries = section.user_entries();
    let max = if with_type { ATTRIBUTES_WITH_TYPE } else { ATTRIBUTES_WITHOUT_TYPE };
    if entries.len() > max {
        let because = if with_type { "a thing has" } else { "a thing without a thing_type has" };
        entry.refuse(format!("holds {} attributes, {because} {max} at most", entries.len()));
    }
    let mut out = Some(BTreeMap::new());
    for (name, value) in entries {
        let name = match name.parse::<AttributeName>() {
            Ok(name) => Some(name),
            Err(invalid) => {
                value.report(Mistake::Invalid { key: value.name.clone(), invalid });
                None
            }
        };
        match (name, value.template(known)) {
            (Some(name), Some(template)) => {
                if let Err(invalid) = fixed_part(&template).parse::<AttributeValue>() {
                    value.report(Mistake::Invalid { key: value.name.clone(), invalid });
                    out = None;
                } else if let Some(out) = &mut out {
                    out.insert(name, template);
                }
            }
            _ => out = None,
        }
    }
    out
}

/// What remains of a template when its variables are empty.
pub(super) fn fixed_part(template: &Template) -> String {
    let empty: Variables = template.variables().map(|name| (name.to_owned(), String::new())).collect();
    template.render(&empty).unwrap_or_default()
}

fn policy(entry: &Entry<'_>) -> Option<PolicyPlan> {
    let section = entry.section("[register.policy]")?;
    let name = section.required("name").and_then(|entry| entry.parsed());
    let document = section.required("file").and_then(|entry| {
        let path = entry.path()?;
        let checked = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot be read: {error}"))
            .and_then(|text| check_policy(&text).map(|()| text));
        checked.map_err(|because| entry.report(Mistake::BadFile { key: entry.name.clone(), path, because })).ok()
    });
    Some(PolicyPlan { name: name?, document: document? })
}

/// A JSON object that AWS IoT Core would take for a policy as far as can be told from here.
fn check_policy(text: &str) -> Result<(), String> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| format!("is not JSON: {error}"))?;
    if value.get("Version").and_then(|version| version.as_str()) != Some(POLICY_VERSION) {
        return Err(format!("is no AWS IoT policy: \"Version\" must be {POLICY_VERSION:?}"));
    }
    let statements = match value.get("Statement") {
        Some(serde_json::Value::Array(list)) => !list.is_empty(),
        Some(serde_json::Value::Object(_)) => true,
        _ => false,
    };
    if !statements {
        return Err("is no AWS IoT policy: it holds no \"Statement\"".into());
    }
    let size = without_spaces(text);
    if size > POLICY_MAX {
        return Err(format!("is {size} bytes without white space, AWS IoT takes {POLICY_MAX}"));
    }
    Ok(())
}

/// The length of a JSON text without the white space between its tokens; what stands inside strings
/// counts.
fn without_spaces(json: &str) -> usize {
    let (mut size, mut inside, mut escaped) = (0, false, false);
    for byte in json.bytes() {
        if inside || !byte.is_ascii_whitespace() {
            size += 1;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            _ => {}
        }
    }
    size
}
