//! Is everything here that the line needs? Each thing that is not is told with its reason, and what can't be
//! told is told as that.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use super::custody::Custody;
use super::rollback;
use crate::config::Config;
use crate::domain::profile::Method;
use crate::domain::{AccountId, CaName, Failure, ReasonCode, SigningCa, TargetName};
pub use crate::ports::Need;
use crate::ports::{Clock, Cloud, Examined, Examiner, LabelPrinter, Pace, Permission, Permitted, Readiness, Skew};

/// AWS refuses what is 5 minutes off; long before that a clock that nobody sets is a clock that goes wrong.
const SKEW_MAX_MS: i64 = 60_000;
/// To have a CA's successor issued, registered and pinned.
const CA_RENEWAL: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is looked with.
pub struct Instruments {
    pub clock: Arc<dyn Clock>,
    pub at_hand: Vec<AtHand>,
    /// `Ok(None)`: there is no log yet.
    pub log: Result<Option<Custody>, Failure>,
    /// Some copies of its checkpoints are on another disk, or in a bucket.
    pub copies_elsewhere: bool,
    pub printer: Option<Arc<dyn LabelPrinter>>,
    /// `None`: the station is air-gapped.
    pub examiner: Option<Arc<dyn Examiner>>,
    pub cloud: Arc<dyn Cloud>,
}

/// What one profile needs of this computer.
pub struct AtHand {
    pub profile: String,
    pub module: PathBuf,
    pub trust: Result<(), Failure>,
    /// `None`: it enters no fleet by files.
    pub claim: Option<Result<(), Failure>>,
    pub token: Result<(), Failure>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Finding {
    #[serde(flatten)]
    pub about: About,
    #[serde(flatten)]
    pub state: State,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "check", rename_all = "kebab-case")]
pub enum About {
    /// The profile's own CAs and revocation lists.
    Trust {
        profile: String,
    },
    /// The certificate and key by which its fleet is entered.
    Claim {
        profile: String,
    },
    /// The token's module and PIN.
    Module {
        profile: String,
        module: PathBuf,
    },
    /// `None`: there is none yet.
    Log {
        events: Option<u64>,
    },
    /// Places where a log that was put back would be found out; on its own disk it would not.
    Copies {
        places: usize,
        elsewhere: bool,
    },
    Printer {},
    AirGapped {},
    Credentials {
        target: TargetName,
        source: Option<String>,
        expires: Option<Timestamp>,
    },
    Account {
        target: TargetName,
        account: Option<AccountId>,
        caller: Option<String>,
    },
    Endpoint {
        target: TargetName,
        endpoint: Option<String>,
    },
    Clock {
        target: TargetName,
        ahead_ms: Option<i64>,
        within_ms: Option<i64>,
    },
    Permission {
        target: TargetName,
        action: String,
        resource: String,
        need: Need,
    },
    /// By AWS's default quotas: the account's own are not asked for.
    Pace {
        target: TargetName,
        units_per_second: u32,
        slowest: String,
    },
    OwnCa {
        ca: CaName,
        not_after: Option<Timestamp>,
    },
    /// An own CA in a target.
    CaThere {
        target: TargetName,
        ca: CaName,
    },
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(tag = "state", content = "failure", rename_all = "kebab-case")]
pub enum State {
    Good,
    /// Worth knowing, and no line stops for it.
    Remark(Option<Failure>),
    /// Could not be told, and why.
    Unknown(Option<Failure>),
    Bad(Failure),
}

impl From<Result<(), Failure>> for State {
    fn from(result: Result<(), Failure>) -> Self {
        result.map_or_else(State::Bad, |()| State::Good)
    }
}

/// All of it, in the order in which a line needs it. `only`: of this target alone, besides what is no target's.
pub async fn examine(config: &Config, with: &Instruments, only: Option<&TargetName>) -> Vec<Finding> {
    let mut found = Vec::new();
    for AtHand { profile, module, trust, claim, token } in &with.at_hand {
        let (profile, module) = (profile.clone(), module.clone());
        found.push(Finding { about: About::Trust { profile: profile.clone() }, state: trust.clone().into() });
        let claim = claim.iter().map(|claim| claim.clone().into());
        found.extend(claim.map(|state| Finding { about: About::Claim { profile: profile.clone() }, state }));
        found.push(Finding { about: About::Module { profile, module }, state: token.clone().into() });
    }
    found.extend(log(config, with).await);
    let printer = match &with.printer {
        Some(printer) => match printer.ready().await {
            Ok(Readiness::Ready) => State::Good,
            // It is there, and a label printer that says nothing of its paper is no fault.
            Ok(Readiness::Unknown) => State::Good,
            Err(failure) => State::Bad(failure),
        },
        None => State::Remark(None),
    };
    found.push(Finding { about: About::Printer {}, state: printer });
    let now = with.clock.now();
    found.extend(config.cas.iter().map(|ca| own_ca(&ca.signing, now)));
    let Some(examiner) = &with.examiner else {
        found.push(Finding { about: About::AirGapped {}, state: State::Remark(None) });
        return found;
    };
    found.extend(examine_targets(config, &**examiner, &*with.cloud, only).await);
    found
}

/// The targets alone.
pub async fn examine_targets(
    config: &Config,
    examiner: &dyn Examiner,
    cloud: &dyn Cloud,
    only: Option<&TargetName>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    for target in config.targets.iter().map(|target| &target.name).filter(|name| only.is_none_or(|it| it == *name)) {
        let examined = examiner.examine(target).await;
        let reached = examined.caller.is_ok();
        found.extend(of_target(target, examined));
        if reached {
            found.extend(cas_there(config, cloud, target).await);
        }
    }
    found
}

async fn log(config: &Config, with: &Instruments) -> Vec<Finding> {
    let of_log = |events, state| Finding { about: About::Log { events }, state };
    let custody = match &with.log {
        Ok(Some(custody)) => custody,
        Ok(None) => {
            let places = config.log.copies.len() + usize::from(config.log.s3.is_some());
            return vec![of_log(None, State::Remark(None)), copies(places, with, None)];
        }
        Err(failure) => return vec![of_log(None, State::Bad(failure.clone()))],
    };
    let standing = match rollback::found(&config.station.name, custody).await {
        Ok(standing) => standing,
        Err(failure) => return vec![of_log(None, State::Bad(failure))],
    };
    let state = standing.failure().map_or(State::Good, State::Bad);
    let unread = standing.unread.iter().find(|failure| failure.code == ReasonCode::COPIES_UNREADABLE);
    vec![of_log(Some(standing.head.size), state), copies(custody.places.len(), with, unread)]
}

fn copies(places: usize, with: &Instruments, unread: Option<&Failure>) -> Finding {
    let elsewhere = places > 0 && with.copies_elsewhere;
    let state = match unread {
        Some(failure) => State::Bad(failure.clone()),
        None if elsewhere => State::Good,
        None => State::Remark(None),
    };
    Finding { about: About::Copies { places, elsewhere }, state }
}

fn own_ca(ca: &SigningCa, now: Timestamp) -> Finding {
    let name = &ca.name;
    let not_after = Certificate::from_der(&ca.certificate).ok().and_then(|certificate| {
        let since: Duration = certificate.tbs_certificate().validity().not_after.to_unix_duration();
        // RFC 5280 §4.1.2.5: 99991231235959Z is no end at all.
        Some(Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).unwrap_or(Timestamp::MAX))
    });
    let ends = |cause: String| Failure::new(ReasonCode::CA_EXPIRES, cause).with("ca", name);
    let state = match not_after {
        None => State::Unknown(Some(ends("its notAfter can't be read".to_owned()))),
        Some(end) if end <= now => State::Bad(ends(format!("{name} was valid until {end}"))),
        Some(end) if end.duration_since(now) < CA_RENEWAL => {
            State::Remark(Some(ends(format!("{name} is valid until {end}"))))
        }
        Some(_) => State::Good,
    };
    Finding { about: About::OwnCa { ca: name.clone(), not_after }, state }
}

fn of_target(target: &TargetName, examined: Examined) -> Vec<Finding> {
    let Examined { credentials, caller, endpoint, clock, permissions, pace } = examined;
    let name = || target.clone();
    let mut found = Vec::new();
    let (source, expires, state) = match credentials {
        // When they end is told; the chain fetches others before that, where it can.
        Ok(credentials) => (Some(credentials.source), credentials.expires, State::Good),
        Err(failure) => (None, None, State::Bad(failure)),
    };
    let known = source.is_some();
    found.push(Finding { about: About::Credentials { target: name(), source, expires }, state });
    if !known {
        // Whatever else would be asked, nothing could be signed.
        return found;
    }
    let (account, arn, state) = match caller {
        Ok(caller) => (Some(caller.account), Some(caller.arn), State::Good),
        Err(failure) => (None, None, State::Bad(failure)),
    };
    let ours = account.is_some();
    found.push(Finding { about: About::Account { target: name(), account, caller: arn }, state });
    if !ours {
        return found;
    }
    let (endpoint, state) = match endpoint {
        Ok(endpoint) => (Some(endpoint), State::Good),
        Err(failure) => (None, State::Bad(failure)),
    };
    found.push(Finding { about: About::Endpoint { target: name(), endpoint }, state });
    found.push(skew(target, clock));
    found.extend(permissions.into_iter().map(|permission| allowed(target, permission)));
    found.extend(pace.map(|Pace { units_per_second, slowest }| Finding {
        about: About::Pace { target: name(), units_per_second, slowest },
        state: State::Remark(None),
    }));
    found
}

fn skew(target: &TargetName, clock: Option<Skew>) -> Finding {
    let state = match clock {
        None => State::Unknown(None),
        Some(Skew { ahead_ms, within_ms }) if ahead_ms.abs() - within_ms > SKEW_MAX_MS => {
            let seconds = ahead_ms / 1_000;
            let which = if seconds < 0 { "behind" } else { "ahead of" };
            let cause = format!("this computer's clock is {} s {which} AWS's", seconds.abs());
            State::Bad(
                Failure::new(ReasonCode::CLOCK_SKEWED, cause).with("target", target).with("seconds", seconds.abs()),
            )
        }
        Some(_) => State::Good,
    };
    let (ahead_ms, within_ms) = clock.map(|skew| (skew.ahead_ms, skew.within_ms)).unzip();
    Finding { about: About::Clock { target: target.clone(), ahead_ms, within_ms }, state }
}

fn allowed(target: &TargetName, permission: Permission) -> Finding {
    let Permission { action, resource, need, answer } = permission;
    let state = match (answer, need) {
        (Permitted::Allowed, _) => State::Good,
        (Permitted::Denied(failure), Need::Always) => State::Bad(failure),
        (Permitted::Denied(failure), Need::UntilMade | Need::Undo | Need::Telling) => State::Remark(Some(failure)),
        (Permitted::Unknown(failure), _) => State::Unknown(Some(failure)),
    };
    Finding { about: About::Permission { target: target.clone(), action, resource, need }, state }
}

/// Where a profile registers in the name of a CA.
async fn cas_there(config: &Config, cloud: &dyn Cloud, target: &TargetName) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for profile in config.profiles.iter().filter(|profile| profile.register.targets.contains(target)) {
        let Some(ca) = profile.register.method.ca().filter(|ca| seen.insert(ca.fingerprint)) else { continue };
        let joining = matches!(profile.register.method, Method::JustInTime(_));
        let state = cloud.takes_from(target, ca, joining).await.into();
        found.push(Finding { about: About::CaThere { target: target.clone(), ca: ca.name.clone() }, state });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Bytes, Fingerprint};

    fn target() -> TargetName {
        "production".parse().unwrap()
    }

    #[test]
    fn an_own_ca_that_ends_soon_is_a_remark_and_one_that_is_over_stops_the_line() {
        let mut params = rcgen::CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let signing =
            SigningCa { name: "plant".parse().unwrap(), fingerprint: Fingerprint::of(&der), certificate: Bytes(der) };
        let state = |now: &str| own_ca(&signing, now.parse().unwrap()).state;
        assert_eq!(state("2029-10-02T00:00:00Z"), State::Good, "91 days");
        let State::Remark(Some(soon)) = state("2029-10-04T00:00:00Z") else { panic!() };
        let State::Bad(over) = state("2030-01-01T00:00:00Z") else { panic!() };
        assert_eq!([soon.code, over.code], [ReasonCode::CA_EXPIRES; 2]);
    }

    #[test]
    fn a_clock_is_wrong_only_where_it_certainly_is() {
        let state = |ahead_ms, within_ms| skew(&target(), Some(Skew { ahead_ms, within_ms })).state;
        assert_eq!(state(60_400, 500), State::Good);
        assert_eq!(state(-60_400, 500), State::Good);
        for ahead_ms in [60_600, -60_600, 3_600_000] {
            let State::Bad(failure) = state(ahead_ms, 500) else { panic!("{ahead_ms}") };
            assert_eq!(failure.code, ReasonCode::CLOCK_SKEWED);
        }
        assert_eq!(skew(&target(), None).state, State::Unknown(None));
    }

    #[test]
    fn what_is_denied_stops_a_line_unless_it_is_for_later_and_what_is_not_known_is_never_good() {
        let failure = Failure::new(ReasonCode::CLOUD_PERMISSION, "denied");
        let state = |need, answer| {
            let permission = Permission { action: "iot:X".into(), resource: "*".into(), need, answer };
            allowed(&target(), permission).state
        };
        assert_eq!(state(Need::Always, Permitted::Denied(failure.clone())), State::Bad(failure.clone()));
        for need in [Need::UntilMade, Need::Undo, Need::Telling] {
            assert_eq!(state(need, Permitted::Denied(failure.clone())), State::Remark(Some(failure.clone())));
        }
        assert_eq!(state(Need::Always, Permitted::Unknown(failure.clone())), State::Unknown(Some(failure)));
        assert_eq!(state(Need::Always, Permitted::Allowed), State::Good);
    }
}
