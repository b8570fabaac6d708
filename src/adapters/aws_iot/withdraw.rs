//! Taking back what a unit registered: look, judge, write, until it is so.
//!
//! Everything is looked at before anything is written: where a stranger's thing, certificate or policy is
//! attached to what is ours, nothing is touched. Certificates are set INACTIVE first, so that wherever it
//! stops nothing connects any more.

use std::collections::BTreeSet;

use aws_sdk_iot::types::CertificateStatus as AwsStatus;
use tokio::time::Instant;

use super::call::{Link, pause_after};
use super::issue::unrecorded;
use super::judge::is_certificate;
use super::look::{fetch_certificate, fetch_thing, list_policies, list_principals, list_things};
use super::write::{self, Wrote};
use crate::audit::event::{Holding, Unanswered, Withdrawal};
use crate::domain::{Failure, Fingerprint, ReasonCode};
use crate::ports::TakenBack;

/// See [`Cloud::withdraw`](crate::ports::Cloud::withdraw). A-304 where AWS did not show it in time.
pub(super) async fn withdraw(link: &Link, holding: &Holding, act: Withdrawal, by: Instant) -> TakenBack {
    let mut changed = BTreeSet::new();
    let mut found = Vec::new();
    let taken = async {
        let mut holding = holding.clone();
        for Unanswered { spki, since } in std::mem::take(&mut holding.unanswered) {
            let known = holding.certificates.clone();
            for der in unrecorded(link, &spki, &known, since, None, by).await? {
                found.push(Fingerprint::of(&der));
                holding.certificates.push(Fingerprint::of(&der));
            }
        }
        take_back(link, &holding, act, by, &mut changed).await
    };
    let failure = taken.await.err();
    TakenBack { changed: changed.into_iter().map(str::to_owned).collect(), found, failure }
}

struct Seen {
    certificates: Vec<SeenCertificate>,
    things: Vec<SeenThing>,
}

struct SeenCertificate {
    fingerprint: Fingerprint,
    arn: String,
    status: Option<AwsStatus>,
    things: Vec<String>,
    policies: Vec<String>,
}

struct SeenThing {
    name: String,
    principals: Vec<String>,
}

async fn take_back(
    link: &Link,
    holding: &Holding,
    act: Withdrawal,
    by: Instant,
    changed: &mut BTreeSet<&'static str>,
) -> Result<(), Failure> {
    let mut ours: BTreeSet<String> = holding.things.iter().map(ToString::to_string).collect();
    let mut fruitless = 0;
    loop {
        let seen = look(link, holding, &mut ours, act, by).await?;
        judge(link, holding, &seen, act)?;
        if is_done(&seen, act) {
            return Ok(());
        }
        let before = changed.len();
        deactivate(link, &seen, by, changed).await?;
        if act == Withdrawal::Delete {
            delete(link, &seen, by, changed).await?;
        }
        fruitless = if changed.len() > before { 1 } else { fruitless + 1 };
        let pause = pause_after(fruitless);
        if Instant::now() + pause >= by {
            let cause = "taken back, and still there at the deadline";
            return Err(Failure::new(ReasonCode::CLOUD_NOT_YET, cause).with("target", &holding.target));
        }
        tokio::time::sleep(pause).await;
    }
}

/// `ours`: things that may be deleted. One that was only meant is ours once our certificate was seen on it.
async fn look(
    link: &Link,
    holding: &Holding,
    ours: &mut BTreeSet<String>,
    act: Withdrawal,
    by: Instant,
) -> Result<Seen, Failure> {
    let mut seen = Seen { certificates: Vec::new(), things: Vec::new() };
    for fingerprint in &holding.certificates {
        let Some(found) = fetch_certificate(link, fingerprint, by).await? else { continue };
        let (things, policies) = tokio::join!(list_things(link, &found.arn, by), list_policies(link, &found.arn, by));
        let (things, policies) = (things?, policies?);
        ours.extend(things.iter().filter(|thing| is_meant(holding, thing)).cloned());
        let (fingerprint, arn, status) = (*fingerprint, found.arn, found.status);
        seen.certificates.push(SeenCertificate { fingerprint, arn, status, things, policies });
    }
    if act == Withdrawal::Delete {
        for name in ours.iter() {
            if fetch_thing(link, name, by).await?.is_some() {
                let principals = list_principals(link, name, by).await?;
                seen.things.push(SeenThing { name: name.clone(), principals });
            }
        }
    }
    Ok(seen)
}

fn is_meant(holding: &Holding, thing: &str) -> bool {
    holding.things.iter().chain(&holding.intended).any(|ours| ours.as_str() == thing)
}

fn judge(link: &Link, holding: &Holding, seen: &Seen, act: Withdrawal) -> Result<(), Failure> {
    let told = |code, cause: String, thing: &str, other: &str| {
        let failure = Failure::new(code, cause).with("target", &link.target);
        Err(failure.with("thing", thing).with("other", other))
    };
    for SeenCertificate { fingerprint, things, policies, status, .. } in &seen.certificates {
        if let Some(other) = things.iter().find(|thing| !is_meant(holding, thing)) {
            let cause = format!("certificate {fingerprint} is attached to thing {other:?}, which is not the unit's");
            return told(ReasonCode::CERTIFICATE_FOREIGN, cause, other, other);
        }
        if *status == Some(AwsStatus::PendingTransfer) {
            let cause = format!("certificate {fingerprint} is being given to another account");
            return told(ReasonCode::CLOUD_STATUS, cause, "", AwsStatus::PendingTransfer.as_str());
        }
        let foreign = |name: &&String| !holding.policies.iter().any(|ours| ours.as_str() == name.as_str());
        if let (Withdrawal::Delete, Some(other)) = (act, policies.iter().find(foreign)) {
            let cause = format!("certificate {fingerprint} also has the policy {other:?}, which is not the unit's");
            return told(ReasonCode::CLOUD_STATUS, cause, "", other);
        }
    }
    for SeenThing { name, principals } in &seen.things {
        let ours = |principal: &str| holding.certificates.iter().any(|own| is_certificate(principal, own));
        if let Some(other) = principals.iter().find(|principal| !ours(principal)) {
            let cause = format!("thing {name} has the principal {other:?}, which is not the unit's");
            return told(ReasonCode::THING_FOREIGN, cause, name, other);
        }
    }
    Ok(())
}

fn is_done(seen: &Seen, act: Withdrawal) -> bool {
    match act {
        Withdrawal::Deactivate => !seen.certificates.iter().any(connects),
        Withdrawal::Delete => seen.certificates.is_empty() && seen.things.is_empty(),
    }
}

/// REVOKED connects as little as INACTIVE, and is not ours to undo.
fn connects(certificate: &SeenCertificate) -> bool {
    matches!(certificate.status, Some(AwsStatus::Active | AwsStatus::PendingActivation))
}

async fn deactivate(
    link: &Link,
    seen: &Seen,
    by: Instant,
    changed: &mut BTreeSet<&'static str>,
) -> Result<(), Failure> {
    for certificate in seen.certificates.iter().filter(|certificate| connects(certificate)) {
        write::deactivate(link, &certificate.fingerprint, by).await?;
        changed.insert("inactive");
    }
    Ok(())
}

async fn delete(link: &Link, seen: &Seen, by: Instant, changed: &mut BTreeSet<&'static str>) -> Result<(), Failure> {
    let mut note = |wrote: Wrote, what| {
        if wrote == Wrote::Made {
            changed.insert(what);
        }
    };
    for SeenCertificate { fingerprint, arn, things, policies, .. } in &seen.certificates {
        for thing in things {
            note(write::detach_thing(link, thing, arn, by).await?, "detached");
        }
        for policy in policies {
            note(write::detach_policy(link, policy, arn, by).await?, "detached");
        }
        note(write::delete_certificate(link, fingerprint, by).await?, "certificate-deleted");
    }
    for thing in &seen.things {
        note(write::delete_thing(link, &thing.name, by).await?, "thing-deleted");
    }
    Ok(())
}
