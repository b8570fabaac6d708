//! Having AWS make a certificate for a unit's key, and never two.
//!
//! The same request makes another certificate each time it arrives, so a call whose answer is lost is not simply
//! sent again: what it may have made is looked for by its key among the newest certificates. They are made
//! INACTIVE and become ACTIVE only once they are recorded, so an ACTIVE one is nobody's orphan.

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::time::{Duration, Instant};

use super::LONGEST_DEADLINE;
use super::call::{Link, Refused, pause_after};
use super::look::{SeenCertificate, fetch_certificate, holds, incomplete};
use super::quota::Action;
use super::write;
use crate::audit::event::IssuedOrigin;
use crate::audit::x509;
use crate::domain::{Bytes, Failure, Fingerprint, ReasonCode, SpkiHash, request_pem};
use crate::ports::{Issuance, Made, MadeBefore};
use aws_sdk_iot::types::CertificateStatus as AwsStatus;

/// AWS refuses requests of a clock that is further off than five minutes.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);
/// What was made is to be seen by then.
const SEEN_WITHIN: Duration = Duration::from_secs(4);
/// A recorded certificate that is not to be seen so often was deleted.
const LOOKS: u32 = 3;
/// How often a certificate is asked for anew after an answer was lost.
const LOST_ATTEMPTS: u32 = 3;
const PAGE: i32 = 250;

/// See [`Cloud::issue`](crate::ports::Cloud::issue).
pub(super) async fn issue(link: &Link, wanted: &Issuance, before: &MadeBefore) -> Result<Made, Failure> {
    let by = Instant::now() + wanted.deadline.min(LONGEST_DEADLINE);
    // What was made for a chip that a ruling took from the unit is no answer for this one.
    for certificate in before.certificates.iter().filter(|der| is_of(der, &wanted.spki)) {
        if is_there(link, certificate, by).await? {
            return Ok(made(certificate.clone(), IssuedOrigin::Known));
        }
    }
    if let Some(since) = before.unanswered
        && let Some(found) = only_one(link, wanted, before, since, None, by).await?
    {
        return Ok(made(found, IssuedOrigin::Found));
    }
    let mut lost = 0;
    loop {
        let Refused { failure, lost: unknown, .. } = match create(link, wanted, by).await {
            Ok(certificate) if lost == 0 => return Ok(made(certificate, IssuedOrigin::Made)),
            Ok(certificate) => {
                let kept = only_one(link, wanted, before, wanted.asked, Some(certificate.clone()), by).await?;
                return Ok(made(kept.unwrap_or(certificate), IssuedOrigin::Made));
            }
            Err(refused) => refused,
        };
        if !unknown {
            return Err(failure);
        }
        lost += 1;
        if let Some(found) = appears(link, wanted, before, by).await? {
            return Ok(made(found, IssuedOrigin::Made));
        }
        if lost >= LOST_ATTEMPTS || Instant::now() >= by {
            return Err(failure);
        }
    }
}

/// See [`Cloud::made_before`](crate::ports::Cloud::made_before). What waits for its activation was given to a
/// connection that is over.
pub(super) async fn registered_before(
    link: &Link,
    wanted: &Issuance,
    before: &MadeBefore,
) -> Result<Option<Made>, Failure> {
    let by = Instant::now() + wanted.deadline.min(LONGEST_DEADLINE);
    let mut known = None;
    for certificate in &before.certificates {
        let fingerprint = Fingerprint::of(certificate);
        match fetch_certificate(link, &fingerprint, by).await? {
            Some(seen) if seen.status == Some(AwsStatus::PendingActivation) => {
                write::delete_certificate(link, &fingerprint, by).await?;
            }
            Some(seen) if known.is_none() && is_of(certificate, &wanted.spki) && holds(&seen.pem, certificate) => {
                known = Some(made(certificate.clone(), IssuedOrigin::Known));
            }
            _ => {}
        }
    }
    if let Some(since) = before.unanswered {
        let pending = Some(AwsStatus::PendingActivation);
        for certificate in unrecorded(link, &wanted.spki, &recorded(before), since, pending, by).await? {
            write::delete_certificate(link, &Fingerprint::of(&certificate), by).await?;
        }
    }
    Ok(known)
}

fn made(certificate: Bytes, origin: IssuedOrigin) -> Made {
    Made { certificate, chain: Vec::new(), origin }
}

async fn create(
    link: &Link,
    wanted: &Issuance,
    by: Instant,
) -> Result<Bytes, Refused<aws_sdk_iot::operation::create_certificate_from_csr::CreateCertificateFromCsrError>> {
    let none = || Refused {
        failure: Failure::new(ReasonCode::CONFIG_INVALID, "there is no request").with("target", &link.target),
        answer: None,
        lost: false,
    };
    let pem = request_pem(wanted.request.as_ref().ok_or_else(none)?);
    let send =
        || link.client.create_certificate_from_csr().certificate_signing_request(&pem).set_as_active(false).send();
    let action = Action::CreateCertificateFromCsr;
    let answer = link.call_until_lost(action, by, send).await?;
    let der = answer.certificate_pem.as_deref().and_then(der_of);
    // What it made is there, by whatever name.
    let unread = || Refused { failure: incomplete(link, action), answer: None, lost: true };
    let der = der.ok_or_else(unread)?;
    let (id, own) = (answer.certificate_id.unwrap_or_default(), Fingerprint::of(&der));
    if id == own.to_string() {
        return Ok(Bytes(der));
    }
    let cause = format!("AWS calls the certificate that it made {id}, its DER hashes to {own}");
    let failure = Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &link.target);
    Err(Refused { failure, answer: None, lost: false })
}

/// One certificate.
fn der_of(pem: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}

/// Is a recorded one still there? AWS may take a moment to show what it has.
async fn is_there(link: &Link, certificate: &Bytes, by: Instant) -> Result<bool, Failure> {
    let fingerprint = Fingerprint::of(certificate);
    for look in 1..=LOOKS {
        match fetch_certificate(link, &fingerprint, by).await? {
            Some(seen) if holds(&seen.pem, certificate) => return Ok(true),
            Some(_) => {
                let cause = format!("what AWS holds as {fingerprint} is another certificate");
                return Err(Failure::new(ReasonCode::CLOUD_CERTIFICATE, cause).with("target", &link.target));
            }
            None if look < LOOKS => tokio::time::sleep(pause_after(look)).await,
            None => {}
        }
    }
    Ok(false)
}

/// What a call made whose answer was lost, once it shows.
async fn appears(link: &Link, wanted: &Issuance, before: &MadeBefore, by: Instant) -> Result<Option<Bytes>, Failure> {
    let until = by.min(Instant::now() + SEEN_WITHIN);
    let mut looks = 0;
    loop {
        if let Some(found) = only_one(link, wanted, before, wanted.asked, None, by).await? {
            return Ok(Some(found));
        }
        looks += 1;
        let pause = pause_after(looks);
        if Instant::now() + pause >= until {
            return Ok(None);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Of all that was made for this key since then and recorded by nobody: `kept`, or the newest. The others are
/// deleted.
async fn only_one(
    link: &Link,
    wanted: &Issuance,
    before: &MadeBefore,
    since: Timestamp,
    kept: Option<Bytes>,
    by: Instant,
) -> Result<Option<Bytes>, Failure> {
    let inactive = Some(AwsStatus::Inactive);
    let mut unrecorded = unrecorded(link, &wanted.spki, &recorded(before), since, inactive, by).await?;
    let kept = kept.or_else(|| unrecorded.first().cloned());
    unrecorded.retain(|certificate| Some(certificate) != kept.as_ref());
    for double in unrecorded {
        let fingerprint = Fingerprint::of(&double);
        tracing::warn!(target_name = %link.target, certificate = %fingerprint, "a second certificate of one key is deleted");
        // INACTIVE and attached to nothing; what AWS keeps all the same is found by whoever asks next.
        write::delete_certificate(link, &fingerprint, by).await?;
    }
    Ok(kept)
}

fn recorded(before: &MadeBefore) -> Vec<Fingerprint> {
    before.certificates.iter().map(|der| Fingerprint::of(der)).collect()
}

/// Certificates of this key and status (`None`: any) that are not `recorded`, newest first.
pub(super) async fn unrecorded(
    link: &Link,
    key: &SpkiHash,
    recorded: &[Fingerprint],
    since: Timestamp,
    status: Option<AwsStatus>,
    by: Instant,
) -> Result<Vec<Bytes>, Failure> {
    let since = since.saturating_sub(CLOCKS_DIFFER).unwrap_or(Timestamp::MIN).as_second();
    let is_of_status = |found: Option<&AwsStatus>| status.is_none() || found == status.as_ref();
    let mut found: Vec<(i64, Bytes)> = Vec::new();
    let mut page = None;
    loop {
        let send = || {
            let request = link.client.list_certificates().ascending_order(false).page_size(PAGE);
            request.set_marker(page.clone()).send()
        };
        let answer = link.call(Action::ListCertificates, by, send).await.map_err(|refused| refused.failure)?;
        let listed = answer.certificates.unwrap_or_default();
        let mut newer = false;
        for certificate in listed {
            let made = certificate.creation_date.map_or(i64::MAX, |date| date.secs());
            newer |= made >= since;
            let id = certificate.certificate_id.unwrap_or_default();
            let may_be = made >= since && is_of_status(certificate.status.as_ref());
            let fingerprint = id.parse::<Fingerprint>().ok().filter(|id| may_be && !recorded.contains(id));
            let Some(fingerprint) = fingerprint else { continue };
            let Some(SeenCertificate { pem, status: now, .. }) = fetch_certificate(link, &fingerprint, by).await?
            else {
                continue;
            };
            let der = der_of(&pem).filter(|der| is_of_status(now.as_ref()) && is_of(der, key));
            found.extend(der.map(|der| (made, Bytes(der))));
        }
        page = answer.next_marker.filter(|marker| !marker.is_empty());
        if page.is_none() || !newer {
            break;
        }
    }
    found.sort_by_key(|(made, _)| std::cmp::Reverse(*made));
    Ok(found.into_iter().map(|(_, der)| der).collect())
}

fn is_of(der: &[u8], key: &SpkiHash) -> bool {
    x509::spki(der).is_some_and(|(spki, _)| SpkiHash::of(spki) == *key)
}
