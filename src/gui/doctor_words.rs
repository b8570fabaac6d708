//! What was looked at by `doctor`, in words: the same in the window and on the command line.

use crate::runner::doctor::{About, State};
use crate::texts::{Texts, fl};

/// How it is, in words of one width.
pub fn mark(state: &State, texts: &Texts) -> String {
    let loader = texts.loader();
    match state {
        State::Good => fl!(loader, "doctor-good"),
        State::Remark(_) => fl!(loader, "doctor-remark"),
        State::Unknown(_) => fl!(loader, "doctor-unknown"),
        State::Bad(_) => fl!(loader, "doctor-bad"),
    }
}

/// What it is.
pub fn about(about: &About, texts: &Texts) -> String {
    let loader = texts.loader();
    let or_dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    match about {
        About::Trust { profile } => fl!(loader, "doctor-trust", profile = profile.as_str()),
        About::Claim { profile } => fl!(loader, "doctor-claim", profile = profile.as_str()),
        About::Module { profile, module } => {
            fl!(loader, "doctor-module", profile = profile.as_str(), module = module.display().to_string())
        }
        About::Log { events: Some(events) } => {
            let events: u64 = *events;
            fl!(loader, "doctor-log", events = events)
        }
        About::Log { events: None } => fl!(loader, "doctor-no-log"),
        About::Copies { places: 0, .. } => fl!(loader, "doctor-no-copies"),
        About::Copies { elsewhere: false, .. } => fl!(loader, "doctor-copies-same-disk"),
        About::Copies { places, .. } => {
            let places: usize = *places;
            fl!(loader, "doctor-copies", places = places)
        }
        About::Printer {} => fl!(loader, "doctor-printer"),
        About::AirGapped {} => fl!(loader, "doctor-air-gapped"),
        About::Credentials { target, source, expires } => {
            let (target, source) = (target.as_str(), or_dash(source));
            match expires {
                Some(expires) => {
                    let expires = expires.to_string();
                    fl!(loader, "doctor-credentials-until", target = target, source = source, expires = expires)
                }
                None => fl!(loader, "doctor-credentials", target = target, source = source),
            }
        }
        About::Account { target, account, caller } => {
            let account = account.as_ref().map_or("-".to_owned(), ToString::to_string);
            fl!(loader, "doctor-account", target = target.as_str(), account = account, caller = or_dash(caller))
        }
        About::Endpoint { target, endpoint } => {
            fl!(loader, "doctor-endpoint", target = target.as_str(), endpoint = or_dash(endpoint))
        }
        About::Clock { target, ahead_ms: Some(ahead), within_ms: Some(within) } => {
            let (ahead, within) = (ahead.to_string(), within.to_string());
            fl!(loader, "doctor-clock", target = target.as_str(), ahead = ahead, within = within)
        }
        About::Clock { target, .. } => fl!(loader, "doctor-no-clock", target = target.as_str()),
        About::Permission { target, action, resource, .. } => {
            let (action, resource) = (action.as_str(), resource.as_str());
            fl!(loader, "doctor-permission", target = target.as_str(), action = action, resource = resource)
        }
        About::Pace { target, units_per_second, slowest } => {
            let (units, slowest) = (*units_per_second, slowest.as_str());
            fl!(loader, "doctor-pace", target = target.as_str(), units = units, slowest = slowest)
        }
        About::OwnCa { ca, not_after } => {
            let until = not_after.map_or("-".to_owned(), |end| end.to_string());
            fl!(loader, "doctor-ca", ca = ca.as_str(), until = until)
        }
        About::CaThere { target, ca } => fl!(loader, "doctor-ca-there", target = target.as_str(), ca = ca.as_str()),
    }
}
