//! Look, judge, write, until nothing is missing.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::LONGEST_DEADLINE;
use super::call::{Link, pause_after};
use super::judge::{Part, judge, parts};
use super::look::{Seen, look};
use super::write::{Progress, write};
use crate::audit::event::TargetRecord;
use crate::domain::{AccountId, Failure, Fingerprint, ReasonCode};
use crate::ports::{Refusal, Registration};

/// See [`Cloud::register`](crate::ports::Cloud::register). `A-301` to `A-304` when the deadline came
/// first; everything else ends at once.
pub(super) async fn register(link: &Link, wanted: &Registration) -> Result<TargetRecord, Refusal> {
    let mut progress = Progress::default();
    reconcile(link, wanted, &mut progress)
        .await
        .map_err(|failure| Refusal { failure, certificate_left: progress.certificate_left })
}

async fn reconcile(link: &Link, wanted: &Registration, progress: &mut Progress) -> Result<TargetRecord, Failure> {
    let document = check(wanted)?;
    let by = Instant::now() + wanted.deadline.min(LONGEST_DEADLINE);
    let mut fruitless = 0;
    let mut waits_for = None;
    loop {
        let seen = match look(link, wanted, progress.certificate_arn.as_deref(), by).await {
            // The time was over in the middle of a look (or, below, of a write): what it was spent on is what the look
            // before had missed.
            Err(failure) if Instant::now() >= by => return Err(waits_for.unwrap_or(failure)),
            seen => seen?,
        };
        let missing = judge(&seen, wanted, &document).inspect_err(|_| {
            // Somebody will put it right; what they did must count at the next attempt.
            link.cache().forget_policy(wanted.policy.name.as_str());
        })?;
        if let Some(policy) = &seen.policy {
            link.cache().remember_policy(wanted.policy.name.as_str(), policy, Instant::now());
        }
        if missing.is_empty() {
            return record(link, wanted, progress, seen);
        }
        if let Some(certificate) = seen.certificate {
            progress.certificate_arn.get_or_insert(certificate.arn);
        }
        let tried = progress.tried.len();
        let todo: BTreeSet<Part> = missing.difference(&progress.tried).copied().collect();
        if !todo.is_empty() {
            match write(link, wanted, &todo, &seen.replaced, progress, by).await {
                Err(failure) if failure.code == ReasonCode::CLOUD_UNREACHABLE && Instant::now() >= by => {
                    return Err(waits_for.unwrap_or(failure));
                }
                wrote => wrote?,
            }
        }
        if progress.tried.len() > tried {
            fruitless = 0;
            continue;
        }
        // Written and not visible, or not yet writable: AWS IoT is eventually consistent.
        fruitless += 1;
        let pause = pause_after(fruitless);
        let names: Vec<_> = missing.iter().map(|part| part.as_str()).collect();
        let cause = format!("written, but not there before the deadline: {}", names.join(", "));
        let not_yet = Failure::new(ReasonCode::CLOUD_NOT_YET, cause).with("target", &wanted.target);
        if Instant::now() + pause >= by {
            return Err(not_yet);
        }
        waits_for = Some(not_yet);
        tokio::time::sleep(pause).await;
    }
}

/// The wanted policy, parsed. Refuses what no AWS call could make right.
fn check(wanted: &Registration) -> Result<serde_json::Value, Failure> {
    let der = Fingerprint::of(&wanted.certificate);
    if der != wanted.fingerprint {
        let cause = format!("the certificate hashes to {der}, its recorded fingerprint is {}", wanted.fingerprint);
        return Err(Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &wanted.target));
    }
    serde_json::from_str(&wanted.policy.document).map_err(|error| {
        let cause = format!("the document of policy {} is not JSON: {error}", wanted.policy.name);
        Failure::new(ReasonCode::CONFIG_INVALID, cause).with("policy", &wanted.policy.name)
    })
}

fn record(link: &Link, wanted: &Registration, progress: &Progress, seen: Seen) -> Result<TargetRecord, Failure> {
    let (Some(certificate), Some(thing)) = (seen.certificate, seen.thing) else {
        let cause = "a whole read-back without certificate or thing";
        return Err(Failure::new(ReasonCode::CLOUD_NOT_YET, cause).with("target", &wanted.target));
    };
    let account = account_of(&certificate.arn).ok_or_else(|| {
        let cause = format!("the certificate's ARN {:?} names no account", certificate.arn);
        Failure::new(ReasonCode::CLOUD_FAILED, cause).with("target", &wanted.target)
    })?;
    let names = |parts: &BTreeSet<Part>| {
        parts.iter().filter(|part| part.replaced().is_none()).map(|part| part.as_str().to_owned()).collect()
    };
    let replaced: BTreeSet<Fingerprint> = progress.made.iter().filter_map(|part| part.replaced()).collect();
    let adopted: BTreeSet<Part> = parts(wanted).difference(&progress.made).copied().collect();
    Ok(TargetRecord {
        target: wanted.target.clone(),
        account,
        region: link.region.clone(),
        certificate_arn: certificate.arn,
        thing_arn: thing.arn,
        policy: wanted.policy.name.to_string(),
        endpoint: seen.endpoint,
        status: wanted.certificate_status,
        created: names(&progress.made),
        adopted: names(&adopted),
        replaced: replaced.into_iter().collect(),
    })
}

/// `arn:partition:iot:region:account:cert/id`.
fn account_of(arn: &str) -> Option<AccountId> {
    arn.split(':').nth(4)?.parse().ok()
}
