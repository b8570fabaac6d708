//! Look, judge, write, until nothing is missing.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iot::types::CertificateStatus;
use tokio::time::Instant;

use super::LONGEST_DEADLINE;
use super::call::{Link, pause_after};
use super::judge::{Part, is_joining, joins, judge, parts};
use super::look::{Seen, attachment, look};
use super::write::{Progress, write};
use crate::audit::event::{Attachment, TargetRecord};
use crate::domain::{Failure, Fingerprint, ReasonCode, arn_place};
use crate::ports::{Prepared, Refusal, Registration};

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
        let arn = progress.certificate_arn.clone();
        let (seen, attachment) =
            tokio::join!(look(link, wanted, arn.as_deref(), by), attachment(link, wanted, arn.as_deref(), by));
        let seen = match seen {
            // The time was over in the middle of a look (or, below, of a write): what it was spent on is what the look
            // before had missed.
            Err(failure) if Instant::now() >= by => return Err(waits_for.unwrap_or(failure)),
            seen => seen?,
        };
        // What AWS registered of itself, the unit's connection has brought about.
        progress.certificate_left |= is_joining(wanted) && seen.certificate.is_some();
        let missing = judge(&seen, wanted, &document).inspect_err(|_| {
            // Somebody will put it right; what they did must count at the next attempt.
            link.cache().forget_policy(wanted.policy.name.as_str());
        })?;
        if missing.is_empty() {
            return record(link, wanted, progress, seen, attachment);
        }
        let own: BTreeSet<Part> = missing.iter().copied().filter(|part| is_the_stations(*part, &seen)).collect();
        let own: BTreeSet<Part> = own.difference(&progress.tried).copied().collect();
        if wanted.method.fleet().is_some() && !own.is_empty() {
            write(link, wanted, &own, &seen.replaced, progress, by).await?;
            if own.iter().any(|part| progress.tried.contains(part)) {
                continue;
            }
        }
        if is_joining(wanted) {
            // Nothing is written: what AWS makes by itself is waited for, or was to be there by now.
            fruitless += 1;
            let pause = pause_after(fruitless);
            let not_joined = match wanted.method.fleet() {
                Some(_) => too_little(wanted, &missing),
                None => not_joined(&seen, &missing, wanted),
            };
            if Instant::now() + pause >= by {
                return Err(not_joined);
            }
            waits_for = Some(not_joined);
            tokio::time::sleep(pause).await;
            continue;
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
        let not_yet = not_there(wanted, progress, &told(&missing));
        if Instant::now() + pause >= by {
            return Err(not_yet);
        }
        waits_for = Some(not_yet);
        tokio::time::sleep(pause).await;
    }
}

/// Of a unit that AWS makes: what the unit had before it, and what a run that failed set INACTIVE.
fn is_the_stations(part: Part, seen: &Seen) -> bool {
    let inactive = || {
        let certificate = seen.certificate.as_ref();
        certificate.is_some_and(|certificate| certificate.status == Some(CertificateStatus::Inactive))
    };
    part.replaced().is_some() || (part == Part::CertificateStatus && inactive())
}

fn too_little(wanted: &Registration, missing: &BTreeSet<Part>) -> Failure {
    let cause = format!("the fleet's template was applied, and there is no {}", told(missing));
    Failure::new(ReasonCode::TEMPLATE_SHORT, cause).with("target", &wanted.target)
}

/// See [`Cloud::prepare`](crate::ports::Cloud::prepare).
pub(super) async fn prepare(link: &Link, wanted: &Registration) -> Result<Prepared, Refusal> {
    let mut progress = Progress::default();
    let ready = make_ready(link, wanted, &mut progress).await;
    let (whole, stood) = ready.map_err(|failure| Refusal { failure, certificate_left: progress.certificate_left })?;
    let (created, replaced) = (names(&progress.made), replaced(&progress.made));
    Ok(Prepared { whole, stood, certificate_left: progress.certificate_left, created, replaced })
}

/// Is it whole, and was its certificate ACTIVE before?
async fn make_ready(link: &Link, wanted: &Registration, progress: &mut Progress) -> Result<(bool, bool), Failure> {
    let document = check(wanted)?;
    let by = Instant::now() + wanted.deadline.min(LONGEST_DEADLINE);
    let (mut stood, mut fruitless) = (None, 0);
    loop {
        let seen = look(link, wanted, None, by).await?;
        let status = seen.certificate.as_ref().and_then(|certificate| certificate.status.as_ref());
        let stood = *stood.get_or_insert(status == Some(&CertificateStatus::Active));
        let missing = judge(&seen, wanted, &document).map_err(|failure| match failure.code {
            // What has long been in use somebody has changed since.
            ReasonCode::JOIN_OTHERWISE if stood => Failure { code: ReasonCode::CLOUD_STATUS, ..failure },
            _ => failure,
        })?;
        let needed = |part: &Part| match wanted.method.fleet() {
            Some(_) => part.replaced().is_some() || matches!(part, Part::Policy | Part::ThingType),
            None => is_the_stations(*part, &seen),
        };
        let todo: BTreeSet<Part> =
            missing.iter().copied().filter(needed).filter(|part| !progress.tried.contains(part)).collect();
        if todo.is_empty() {
            return Ok((missing.is_empty(), stood));
        }
        write(link, wanted, &todo, &seen.replaced, progress, by).await?;
        if todo.is_disjoint(&progress.tried) {
            fruitless += 1;
            let pause = pause_after(fruitless);
            if Instant::now() + pause >= by {
                return Err(not_there(wanted, progress, &told(&todo)));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// `A-356`, `A-357`, `A-359`.
fn not_joined(seen: &Seen, missing: &BTreeSet<Part>, wanted: &Registration) -> Failure {
    let off = wanted.method.ca().and_then(|ca| joins(&seen.ca, ca, &wanted.target).err());
    let status = seen.certificate.as_ref().map(|certificate| certificate.status.clone());
    let (code, cause) = match (off, status) {
        (Some(off), None) => return off,
        (None, None) => (ReasonCode::JOIN_NOT_YET, "AWS has not registered the certificate".to_owned()),
        (_, Some(status)) if missing.contains(&Part::CertificateStatus) => {
            let status = status.as_ref().map_or("of no known status", |status| status.as_str());
            (ReasonCode::JOIN_NOT_YET, format!("the certificate is registered, and {status}"))
        }
        (_, Some(_)) => {
            let cause = format!("the certificate is registered and ACTIVE, without: {}", told(missing));
            (ReasonCode::JOIN_INCOMPLETE, cause)
        }
    };
    Failure::new(code, cause).with("target", &wanted.target).with("thing", &wanted.thing)
}

/// At the deadline. What AWS made by a template in one call and does not show was never in it.
fn not_there(wanted: &Registration, progress: &Progress, missing: &str) -> Failure {
    if let (Some(refused), false) = (&progress.template_refused, progress.template_applied) {
        return refused.clone();
    }
    let (code, cause) = match progress.template_applied {
        true => (ReasonCode::TEMPLATE_SHORT, format!("RegisterThing has answered, and there is no {missing}")),
        false => (ReasonCode::CLOUD_NOT_YET, format!("written, but not there before the deadline: {missing}")),
    };
    Failure::new(code, cause).with("target", &wanted.target)
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

fn record(
    link: &Link,
    wanted: &Registration,
    progress: &Progress,
    seen: Seen,
    attachment: Option<Attachment>,
) -> Result<TargetRecord, Failure> {
    let (Some(certificate), Some(thing)) = (seen.certificate, seen.thing) else {
        let cause = "a whole read-back without certificate or thing";
        return Err(Failure::new(ReasonCode::CLOUD_NOT_YET, cause).with("target", &wanted.target));
    };
    let account = arn_place(&certificate.arn).1.ok_or_else(|| {
        let cause = format!("the certificate's ARN {:?} names no account", certificate.arn);
        Failure::new(ReasonCode::CLOUD_FAILED, cause).with("target", &wanted.target)
    })?;
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
        replaced: replaced(&progress.made),
        device_configuration: BTreeMap::new(),
        attachment: attachment.filter(|_| progress.made.contains(&Part::ThingAttachment)),
    })
}

/// Of the unit itself.
fn names(parts: &BTreeSet<Part>) -> Vec<String> {
    parts.iter().filter(|part| part.replaced().is_none()).map(|part| part.as_str().to_owned()).collect()
}

fn replaced(parts: &BTreeSet<Part>) -> Vec<Fingerprint> {
    let replaced: BTreeSet<Fingerprint> = parts.iter().filter_map(|part| part.replaced()).collect();
    replaced.into_iter().collect()
}

fn told(parts: &BTreeSet<Part>) -> String {
    parts.iter().map(|part| part.as_str()).collect::<Vec<_>>().join(", ")
}
