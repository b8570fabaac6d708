//! `[connect]`: the connection that a unit's own key makes to each target.

use std::time::Duration;

use super::board::millis;
use super::register::fixed_part;
use super::trust::certificates;
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known};
use crate::domain::profile::{CertificateStatus, ConnectMode, ConnectPlan, MqttPort, TOPIC_VARIABLES};
use crate::domain::{Template, TopicName};

/// Permissions that were just attached take a few seconds to be known everywhere.
const DEADLINE: Duration = Duration::from_millis(20_000);

/// `Some(None)`: switched off. `status`: that of `[register]`, where it could be read.
pub(super) fn read(entry: &Entry<'_>, known: &Known, status: Option<CertificateStatus>) -> Option<Option<ConnectPlan>> {
    let section = entry.section("[connect]")?;
    let modes = [("required", Some(ConnectMode::Required)), ("optional", Some(ConnectMode::Optional)), ("off", None)];
    let mode = section.required("mode").and_then(|entry| entry.choice(&modes));
    if mode == Some(None) {
        // The rest may stay for the day on which it is switched on again.
        for key in ["port", "topics", "refused_topic", "roots", "max_tls", "deadline_ms"] {
            let _ = section.optional(key);
        }
        return Some(None);
    }
    let port = section.optional("port").map_or(Some(MqttPort::Mqtts), |entry| port(&entry));
    let mut known = known.clone();
    known.names.extend(TOPIC_VARIABLES.map(str::to_owned));
    let topics = section.required("topics").and_then(|entry| topics(&entry, &known));
    let refused_topic = section.required("refused_topic").and_then(|entry| {
        let template = topic(&entry, &known)?;
        if topics.iter().flatten().any(|allowed| allowed.as_str() == template.as_str()) {
            entry.refuse("is one of the topics that have to be allowed");
            return None;
        }
        Some(template)
    });
    let roots = section.optional("roots").map(|entry| entry.some_items().and_then(|items| certificates(&items)));
    let only_tls12 =
        section.optional("max_tls").map_or(Some(false), |entry| entry.choice(&[("1.2", true), ("1.3", false)]));
    let deadline = millis(&section, "deadline_ms", DEADLINE, 1_000, 300_000);
    if let (Some(Some(_)), Some(CertificateStatus::Inactive)) = (mode, status) {
        let because = "no connection is made by a certificate that is registered INACTIVE ([register])".to_owned();
        section.report(Mistake::Refused { key: section.name("mode"), because });
        return None;
    }
    Some(Some(ConnectPlan {
        mode: mode??,
        port: port?,
        topics: topics?,
        refused_topic: refused_topic?,
        roots: roots.map_or(Some(None), |roots| roots.map(Some))?,
        only_tls12: only_tls12?,
        deadline: deadline?,
    }))
}

fn port(entry: &Entry<'_>) -> Option<MqttPort> {
    let number = entry.integer(1..=i64::from(u16::MAX))?;
    let known = [MqttPort::Mqtts, MqttPort::Https].into_iter().find(|port| i64::from(port.number()) == number);
    if known.is_none() {
        entry.refuse("is 8883, or 443 (by ALPN): AWS IoT Core takes MQTT with client certificates on no other");
    }
    known
}

fn topics(entry: &Entry<'_>, known: &Known) -> Option<Vec<Template>> {
    entry.some_items()?.iter().map(|item| topic(item, known)).collect::<Vec<_>>().into_iter().collect()
}

fn topic(entry: &Entry<'_>, known: &Known) -> Option<Template> {
    let template = entry.template(known)?;
    // With the shortest value that a variable may have.
    if let Err(invalid) = format!("{}0", fixed_part(&template)).parse::<TopicName>() {
        entry.report(Mistake::Invalid { key: entry.name.clone(), invalid });
        return None;
    }
    Some(template)
}
