//! One run: what was read, proven, claimed and registered, and how it ended.

use serde_json::{Value, json};

use super::super::labels::{field, fields, heading, reason, time, word};
use super::super::reader::Reader;
use super::evidence;
use crate::audit::event::{IssuedOrigin, RefusedTopic, Standing, TargetRecord};
use crate::audit::{Body, RunEvent};
use crate::domain::{Failure, Fingerprint, OperatorRef, ReasonCode, Verdict};
use crate::ports::{Logged, RunLog};
use crate::provisioning::checks::CertificateFacts;
use crate::provisioning::{Run, UnitRecord};
use crate::texts::{Language, reasons};

pub async fn tell(reader: &mut Reader, log: &RunLog, language: &Language) -> Result<(), Failure> {
    let (run, refused) = folded(log)?;
    let verdict = run.verdict().map_or("open", Verdict::as_str);
    heading(&format!("run {}  {verdict}", run.id));
    place(reader, log, &run).await?;
    steps(&run);
    outcome(&run, language);
    evidence::of(reader, log, &run).await?.tell();
    claim(log, &run);
    issued(log, &run);
    targets(log, &run);
    if let Some(slip) = run.slip {
        field("slip", slip);
    }
    labels(reader, log, &run).await?;
    if let Some(sealed) = &run.sealed {
        field("log", format!("event {}, leaf hash {}", sealed.receipt.seq, sealed.receipt.leaf.to_hex()));
    }
    if !refused.is_empty() {
        let numbers: Vec<String> = refused.iter().map(u64::to_string).collect();
        field("out of order", format!("events {}", numbers.join(", ")));
    }
    Ok(())
}

/// The record of a finished unit, with all events; of a run without a verdict, what is known of it.
pub async fn json_of(reader: &mut Reader, log: &RunLog) -> Result<Value, Failure> {
    let (run, _) = folded(log)?;
    let mut people = Vec::new();
    for operator in operators(log) {
        people.push(reader.who_json(Some(operator.id)).await?);
    }
    let events: Vec<Value> = log
        .events
        .iter()
        .map(|logged| json!({ "seq": logged.receipt.seq, "leaf": logged.receipt.leaf.to_hex(), "event": logged.event.to_json().unwrap_or_default() }))
        .collect();
    let evidence = evidence::of(reader, log, &run).await?.json();
    let more = json!({ "kind": "run", "people": people, "evidence": evidence, "events": events });
    let record = UnitRecord::of(&run).and_then(|record| serde_json::to_value(record).ok());
    let mut object = record.unwrap_or_else(|| {
        json!({
            "run": run.id, "station": run.station, "lane": run.lane.get(), "batch": run.batch, "product": run.product,
            "board": { "serial": run.unit.as_ref().map(|unit| &unit.serial), "port": run.device.path },
            "verdict": null, "started": run.started,
        })
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    Ok(object)
}

/// Adds the fingerprints that the run claimed, and the certificates that it read.
pub fn certificates<'a>(log: &'a RunLog, claimed: &mut Vec<Fingerprint>, read: &mut Vec<&'a [u8]>) {
    for event in run_events(log) {
        match event {
            RunEvent::Claimed { identity, .. } => claimed.push(identity.fingerprint),
            RunEvent::ChipRead { reading } => read.push(&reading.certificate),
            RunEvent::CertificateIssued { issued } => {
                claimed.push(issued.fingerprint);
                read.push(&issued.certificate);
            }
            _ => {}
        }
    }
}

/// The run, and the numbers of events that cannot follow on what was before them: a log that was
/// written over may hold such, and is shown as far as it goes.
fn folded(log: &RunLog) -> Result<(Run, Vec<u64>), Failure> {
    let corrupt = |cause: String| Failure::new(ReasonCode::STORE_CORRUPT, cause);
    let (first, rest) = log.events.split_first().ok_or_else(|| corrupt(format!("run {} has no events", log.run)))?;
    let mut run = Run::begin(first).map_err(|illegal| corrupt(format!("run {}: {illegal}", log.run)))?;
    let refused = rest.iter().filter(|logged| run.apply(logged).is_err()).map(|logged| logged.receipt.seq);
    let refused = refused.collect();
    Ok((run, refused))
}

fn run_events(log: &RunLog) -> impl Iterator<Item = &RunEvent> {
    log.events.iter().filter_map(|logged| match &logged.event.body {
        Body::Run(event) => Some(event),
        Body::Line(_) => None,
    })
}

/// Everybody in whose name something of the run was written.
fn operators(log: &RunLog) -> Vec<&OperatorRef> {
    let mut all: Vec<&OperatorRef> = Vec::new();
    for operator in log.events.iter().filter_map(|logged| logged.event.operator.as_ref()) {
        if !all.contains(&operator) {
            all.push(operator);
        }
    }
    all
}

async fn place(reader: &mut Reader, log: &RunLog, run: &Run) -> Result<(), Failure> {
    let last = log.events.last().map_or(run.first_seq, |logged| logged.receipt.seq);
    field("events", format!("{} to {last}", run.first_seq));
    let board = match &run.unit {
        Some(unit) => format!("{} {}", run.product, unit.serial),
        None => format!("{}, its serial number was not told", run.product),
    };
    field("board", board);
    field("station", format!("{}, lane {}, profile {}", run.station, run.lane, run.profile));
    match run.device.usb {
        Some(usb) => field("port", format!("{} (USB {usb})", run.device.path)),
        None => field("port", &run.device.path),
    }
    for operator in operators(log) {
        field("operator", reader.who(operator.id).await?);
    }
    if let Some(batch) = &run.batch {
        field("batch", batch);
    }
    field("started", format!("{} UTC", time(run.started)));
    if let Some(sealed) = &run.sealed {
        field("finished", format!("{} UTC", time(sealed.at)));
    }
    Ok(())
}

fn steps(run: &Run) {
    let step = |step: &crate::provisioning::StepRecord| {
        let outcome = match (step.ended, step.failed) {
            (None, _) => "open",
            (Some(_), true) => "failed",
            (Some(_), false) => "ok",
        };
        let took = step
            .ended
            .map_or_else(String::new, |ended| format!("{:>7} ms", ended.duration_since(step.began).as_millis()));
        format!("{:<9} {} {outcome:<6} {took}", step.step.as_str(), time(step.began)).trim_end().to_owned()
    };
    fields("steps", run.steps.iter().map(step));
}

fn outcome(run: &Run, language: &Language) {
    let Some(sealed) = &run.sealed else { return field("verdict", "none yet") };
    field("verdict", sealed.verdict.as_str());
    if let Some(failure) = &sealed.reason {
        field("reason", reason(failure, language));
        field("for QA", reasons().text(language, failure).qa);
        field("cause", &failure.cause);
    }
}

fn claim(log: &RunLog, run: &Run) {
    let Some((_, standing)) = &run.claim else { return };
    let seq = log.events.iter().find(|logged| is_claim(logged)).map_or(run.first_seq, |logged| logged.receipt.seq);
    let standing = match standing {
        Standing::New => "the chip is bound to this unit from here on",
        Standing::Known => "the chip was bound to this unit before",
        Standing::Completed => {
            "the unit is known, by less than it shows here: key and UID are bound, too, from here on"
        }
        Standing::Rebound => "a ruling moved the unit to this chip",
    };
    field("claim", format!("event {seq}: {standing}"));
    fields("  before", run.replaces.iter().map(ToString::to_string));
    if let Some(ruling) = &run.ruling {
        field("  by ruling", ruling);
    }
}

fn issued(log: &RunLog, run: &Run) {
    let Some(issued) = &run.issued else { return };
    let at =
        log.events.iter().find(|logged| matches!(&logged.event.body, Body::Run(RunEvent::CertificateIssued { .. })));
    let seq = at.map_or(run.first_seq, |logged| logged.receipt.seq);
    let how = match issued.origin {
        _ if issued.request.is_none() => "was made with a key of AWS's, which the board was to be given",
        IssuedOrigin::Made => "was made for the chip's key",
        IssuedOrigin::Found => "was made for the chip's key earlier, and nobody had recorded it",
        IssuedOrigin::Known => "was made for the chip's key in an earlier run",
    };
    field("issued", format!("event {seq}: a certificate that {how}"));
    if let Ok(says) = CertificateFacts::of(&issued.certificate) {
        field("  subject", says.subject);
        field("  issuer", says.issuer);
        field("  serial", says.serial);
        field("  valid", format!("{} to {}", says.not_before, says.not_after));
    }
    field("  SHA-256", issued.fingerprint);
    if let Some(request) = &issued.request {
        field("  request", format!("SHA-256 {request}"));
    }
    if let Some(endpoint) = &issued.endpoint {
        field("  made by", endpoint);
    }
    match &run.kept {
        Some((object, None)) => field("  in token", object),
        Some((object, Some(failure))) => {
            field("  in token", format!("not as {object}: {} {}", failure.code, failure.cause))
        }
        None => {}
    }
}

/// What became of its paper, and of copies that are void.
async fn labels(reader: &mut Reader, log: &RunLog, run: &Run) -> Result<(), Failure> {
    let copy = if run.copy > 1 { format!(", copy {}", run.copy) } else { String::new() };
    let confirmed = if run.confirmed { ", scanned on its board" } else { "" };
    field("label", format!("{}{copy}{confirmed}", word(&run.label.status())));
    for logged in &log.events {
        let Body::Run(RunEvent::LabelReplaced { copy, reason, .. }) = &logged.event.body else { continue };
        let by = match &logged.event.operator {
            Some(operator) => format!(" by {}", reader.who(operator.id).await?),
            None => String::new(),
        };
        let why = reader.text(reason).await?.unwrap_or_else(|| "forgotten".to_owned());
        let (void, at) = (copy.saturating_sub(1), time(logged.event.at));
        field("  void", format!("copy {void}, {at} UTC{by}: {why} (event {})", logged.receipt.seq));
    }
    Ok(())
}

fn is_claim(logged: &Logged) -> bool {
    matches!(&logged.event.body, Body::Run(RunEvent::Claimed { .. }))
}

fn targets(log: &RunLog, run: &Run) {
    if let Some(intent) = &run.intent {
        field("thing", &intent.thing);
    }
    for record in &run.registered {
        target(record);
        connection(record, run);
    }
    for event in run_events(log) {
        if let RunEvent::Deactivated { target, failure } = event {
            let outcome = match failure {
                None => "certificate set INACTIVE".to_owned(),
                Some(failure) => format!("certificate could not be set INACTIVE: {} {}", failure.code, failure.cause),
            };
            field("taken back", format!("{target}: {outcome}"));
        }
    }
}

fn connection(target: &TargetRecord, run: &Run) {
    if let Some(made) = run.connected.iter().find(|made| made.target == target.target) {
        let (tls, cipher, tries, ms) = (&made.tls, &made.cipher, made.tries, made.ms);
        field("  connected", format!("{} as {}, {tls}, {cipher}, try {tries}, {ms} ms", made.endpoint, made.client_id));
        field("    broker", made.broker);
        field("    signed", word(&made.scheme));
        fields("    and back", made.topics.iter().map(ToString::to_string));
        let RefusedTopic { topic, subscribe, publish } = &made.refused;
        let publish = publish.map_or_else(|| "not tried".to_owned(), |how| word(&how));
        field("    refused", format!("{topic}: SUBSCRIBE {}, PUBLISH {publish}", word(subscribe)));
    }
    if let Some((_, failure)) = run.unconnected.iter().find(|(name, _)| *name == target.target) {
        field("  connected", format!("no: {} {}", failure.code, failure.cause));
    }
}

fn target(target: &TargetRecord) {
    field("target", format!("{}: account {}, {}", target.target, target.account, target.region));
    field("  certificate", format!("{} {}", word(&target.status), target.certificate_arn));
    field("  thing", &target.thing_arn);
    if let Some(attachment) = &target.attachment {
        field("  attached", word(attachment));
    }
    field("  policy", &target.policy);
    field("  endpoint", &target.endpoint);
    for (name, value) in &target.device_configuration {
        field("  told the device", format!("{name} = {value}"));
    }
    for (label, parts) in [("  made", &target.created), ("  found", &target.adopted)] {
        if !parts.is_empty() {
            field(label, parts.join(", "));
        }
    }
    fields("  replaced", target.replaced.iter().map(ToString::to_string));
}
