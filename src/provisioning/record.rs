//! A finished unit as one JSON object: what `lineseal run --json` prints and exports carry.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::checks::CertificateFacts;
use super::run::{Run, StepRecord};
use crate::audit::event::{IssuedCertificate, IssuedOrigin, LabelStatus, TargetRecord};
use crate::domain::{Failure, ReasonCode, TargetName, Verdict, profile::CertificateStatus};

/// Scripts rely on these names.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct UnitRecord {
    pub run: String,
    pub station: String,
    pub lane: u8,
    /// The person's id in the log; by name, once somebody who knows names has put it there.
    pub operator: Option<String>,
    pub batch: Option<String>,
    pub product: String,
    pub board: BoardRecord,
    pub certificate: Option<CertificateRecord>,
    /// The certificate that was made for the chip's key, where that is what is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<IssuedSummary>,
    pub chip_uid: Option<String>,
    pub verdict: Verdict,
    pub reason: Option<String>,
    /// The values of the reason's sentence.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reason_args: BTreeMap<String, String>,
    /// The technical cause behind `reason`.
    pub cause: Option<String>,
    pub thing: Option<String>,
    pub targets: Vec<TargetSummary>,
    pub label: LabelRecord,
    /// The number of a HELD unit's slip.
    pub slip: Option<u64>,
    pub steps: Vec<StepSummary>,
    pub log: LogRecord,
    pub started: Timestamp,
    pub finished: Timestamp,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BoardRecord {
    pub serial: Option<String>,
    /// The physical path.
    pub port: String,
    /// Four hexadecimal digits.
    pub vid: Option<String>,
    pub pid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CertificateRecord {
    pub sha256: String,
    pub spki_sha256: String,
    pub subject: String,
    pub issuer: String,
    pub serial: String,
    pub not_before: String,
    pub not_after: String,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct IssuedSummary {
    #[serde(flatten)]
    pub certificate: CertificateRecord,
    pub origin: IssuedOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The object in the token that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_as: Option<String>,
    /// Why the token has it not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_kept: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct TargetSummary {
    pub account: String,
    pub region: String,
    pub certificate_arn: String,
    pub status: CertificateStatus,
    /// What became of the unit's own connection, where one was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionSummary>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ConnectionSummary {
    /// `ok` or `failed`.
    pub outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `TLSv1_3`, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<String>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LabelRecord {
    pub status: LabelStatus,
    /// Which copy it is, where it is not the first: those before are void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<u32>,
    /// It was scanned on its board.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirmed: bool,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct StepSummary {
    pub step: crate::domain::Step,
    /// `ok`, `failed`, or `open` where nothing ended it.
    pub outcome: String,
    pub ms: i64,
}

/// Where the verdict stands in the log.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogRecord {
    pub seq: u64,
    pub leaf: String,
}

impl UnitRecord {
    /// O-617 for a unit that waited for the cloud and failed: somebody has to take it out of its tray.
    pub fn pulled_out(&self) -> Option<Failure> {
        let (slip, code) = (self.slip?, self.reason.as_deref()?);
        if self.verdict != Verdict::Fail {
            return None;
        }
        let unit = self.board.serial.as_deref().unwrap_or("-");
        let failure = Failure::new(ReasonCode::HELD_FAILED, format!("run {} ended FAIL {code}", self.run));
        Some(failure.with("slip", slip).with("unit", unit).with("code", code))
    }

    /// `None` for a run without a verdict.
    pub fn of(run: &Run) -> Option<UnitRecord> {
        let sealed = run.sealed.as_ref()?;
        let certificate =
            run.reading.as_ref().zip(run.decision.as_ref()).map(|(reading, decision)| CertificateRecord {
                sha256: crate::domain::Fingerprint::of(&reading.certificate).to_string(),
                spki_sha256: decision.spki.to_string(),
                subject: decision.subject.clone(),
                issuer: decision.issuer.clone(),
                serial: decision.serial.clone(),
                not_before: decision.not_before.clone(),
                not_after: decision.not_after.clone(),
            });
        Some(UnitRecord {
            run: run.id.to_string(),
            station: run.station.to_string(),
            lane: run.lane.get(),
            operator: run.operator.as_ref().map(|operator| operator.id.to_string()),
            batch: run.batch.as_ref().map(ToString::to_string),
            product: run.product.to_string(),
            board: BoardRecord {
                serial: run.unit.as_ref().map(|unit| unit.serial.to_string()),
                port: run.device.path.to_string(),
                vid: run.device.usb.map(|usb| format!("{:04x}", usb.vid)),
                pid: run.device.usb.map(|usb| format!("{:04x}", usb.pid)),
            },
            certificate,
            issued: run.issued.as_ref().and_then(|issued| IssuedSummary::of(issued, run)),
            chip_uid: chip_uid(run),
            verdict: sealed.verdict,
            reason: sealed.reason.as_ref().map(|reason| reason.code.to_string()),
            reason_args: sealed.reason.as_ref().map(|reason| reason.args.clone()).unwrap_or_default(),
            cause: sealed.reason.as_ref().map(|reason| reason.cause.clone()),
            thing: run.intent.as_ref().map(|intent| intent.thing.to_string()),
            targets: run.registered.iter().map(|record| TargetSummary::of(record, run)).collect(),
            label: LabelRecord {
                status: run.label.status(),
                copy: (run.copy > 1).then_some(run.copy),
                confirmed: run.confirmed,
            },
            slip: run.slip,
            steps: run.steps.iter().map(StepSummary::of).collect(),
            log: LogRecord { seq: sealed.receipt.seq, leaf: sealed.receipt.leaf.to_hex() },
            started: run.started,
            finished: sealed.at,
        })
    }
}

fn chip_uid(run: &Run) -> Option<String> {
    let claimed = run.claim.as_ref().and_then(|(identity, _)| identity.uid.as_ref());
    claimed.or_else(|| run.reading.as_ref()?.uid.as_ref()).map(ToString::to_string)
}

impl IssuedSummary {
    fn of(issued: &IssuedCertificate, run: &Run) -> Option<Self> {
        let facts = CertificateFacts::of(&issued.certificate).ok()?;
        Some(Self {
            certificate: CertificateRecord {
                sha256: facts.sha256.to_string(),
                spki_sha256: facts.spki_sha256.to_string(),
                subject: facts.subject,
                issuer: facts.issuer,
                serial: facts.serial,
                not_before: facts.not_before,
                not_after: facts.not_after,
            },
            origin: issued.origin,
            endpoint: issued.endpoint.clone(),
            kept_as: run.kept.as_ref().filter(|(_, failure)| failure.is_none()).map(|(object, _)| object.clone()),
            not_kept: run.kept.as_ref().and_then(|(_, failure)| Some(failure.as_ref()?.code.to_string())),
        })
    }
}

impl TargetSummary {
    fn of(record: &TargetRecord, run: &Run) -> Self {
        Self {
            account: record.account.to_string(),
            region: record.region.to_string(),
            certificate_arn: record.certificate_arn.clone(),
            status: record.status,
            connection: ConnectionSummary::of(&record.target, run),
        }
    }
}

impl ConnectionSummary {
    fn of(target: &TargetName, run: &Run) -> Option<Self> {
        if let Some(made) = run.connected.iter().find(|made| made.target == *target) {
            let (endpoint, tls) = (Some(made.endpoint.clone()), Some(made.tls.clone()));
            return Some(Self { outcome: "ok".to_owned(), endpoint, tls, reason: None });
        }
        let (_, failure) = run.unconnected.iter().find(|(name, _)| name == target)?;
        let endpoint = failure.args.get("endpoint").cloned();
        Some(Self { outcome: "failed".to_owned(), endpoint, tls: None, reason: Some(failure.code.to_string()) })
    }
}

impl StepSummary {
    fn of(record: &StepRecord) -> Self {
        let outcome = match (record.ended, record.failed) {
            (None, _) => "open",
            (Some(_), true) => "failed",
            (Some(_), false) => "ok",
        };
        let took = record.ended.map_or(0, |ended| ended.duration_since(record.began).as_millis());
        Self { step: record.step, outcome: outcome.to_owned(), ms: i64::try_from(took).unwrap_or(i64::MAX) }
    }
}
