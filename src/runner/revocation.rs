//! A revocation list counts until a newer one of its CA was used: an older one that is put back (out of a backup, by a
//! careless copy) would let a chip pass that the log knows to be revoked. The log says which was the newest,
//! in events whose ids count the lists of a CA, so that it is found without a search.

use std::collections::HashMap;
use std::sync::Mutex;

use super::log::LogWriter;
use crate::audit::event::CrlFacts;
use crate::audit::{Body, LineEvent};
use crate::domain::profile::Trust;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::ports::History;
use crate::provisioning::checks::{ListInUse, lists_in_use};

/// How many lists of each series the log was seen to have.
#[derive(Debug, Default)]
pub struct Series(Mutex<HashMap<Sha256, u64>>);

/// Makes the profile's lists the newest that the log knows.
///
/// # Errors
/// `K-705` where it knows a newer one.
pub async fn take_up(
    log: &LogWriter,
    history: &dyn History,
    seen: &Series,
    trusts: impl Iterator<Item = &Trust>,
) -> Result<(), Failure> {
    for trust in trusts {
        for list in lists_in_use(trust, log.clock.now())? {
            // Another station may take up one at the same moment: whoever comes second looks again.
            while let Some(nth) = next(history, seen, &list).await? {
                let taken = LineEvent::CrlTakenUp { series: list.series, nth, list: list.facts.clone() };
                log.append(vec![log.line_event_as(LineEvent::taken_up_as(&list.series, nth), taken)]).await?;
            }
        }
    }
    Ok(())
}

/// # Errors
/// `K-705` where another station has used a newer list of the same CA since.
pub async fn still_newest(log: &LogWriter, history: &dyn History, seen: &Series, trust: &Trust) -> Result<(), Failure> {
    for list in lists_in_use(trust, log.clock.now())? {
        next(history, seen, &list).await?;
    }
    Ok(())
}

/// The place of this list in its series; `None`: it has one.
async fn next(history: &dyn History, seen: &Series, list: &ListInUse) -> Result<Option<u64>, Failure> {
    let newest = newest(history, seen, &list.series).await?;
    let Some(known) = last(history, &list.series, newest).await? else { return Ok(Some(newest + 1)) };
    if known.age() > list.facts.age() {
        let CrlFacts { issuer, number, this_update, .. } = known;
        let number = number.unwrap_or_else(|| "-".to_owned());
        let (file, own) = (list.file.display(), &list.facts.this_update);
        let cause = format!(
            "{file}: this list of {issuer} is of {own}, and the log has used list {number} of {this_update}: an older one \
             was put back"
        );
        return Err(Failure::new(ReasonCode::CRL_UNUSABLE, cause).with("file", file));
    }
    Ok((known.sha256 != list.facts.sha256).then_some(newest + 1))
}

/// The number of the last list of the series; 0: the log has none.
async fn newest(history: &dyn History, seen: &Series, series: &Sha256) -> Result<u64, Failure> {
    let before = seen.known(series);
    let (mut has, mut step) = (before, 1);
    // In steps that double, then halve.
    while exists(history, series, has + step).await? {
        has += step;
        step *= 2;
    }
    while step > 1 {
        step /= 2;
        if exists(history, series, has + step).await? {
            has += step;
        }
    }
    if has > before {
        seen.note(series, has);
    }
    Ok(has)
}

async fn exists(history: &dyn History, series: &Sha256, nth: u64) -> Result<bool, Failure> {
    match history.event(LineEvent::taken_up_as(series, nth)).await {
        Ok(found) => Ok(found.is_some()),
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// `None`: there is none, or it is in an archive that is not at hand, and the profile's is taken up anew.
async fn last(history: &dyn History, series: &Sha256, nth: u64) -> Result<Option<CrlFacts>, Failure> {
    let logged = match history.event(LineEvent::taken_up_as(series, nth)).await {
        Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => None,
        logged => logged?,
    };
    Ok(logged.and_then(|logged| match logged.event.body {
        Body::Line(LineEvent::CrlTakenUp { list, .. }) => Some(list),
        _ => None,
    }))
}

impl Series {
    fn known(&self, series: &Sha256) -> u64 {
        let seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.get(series).copied().unwrap_or_default()
    }

    fn note(&self, series: &Sha256, nth: u64) {
        let mut seen = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.insert(*series, nth);
    }
}
