//! `lineseal doctor`: is everything here that the line needs? Nothing is changed by asking.

use std::process::ExitCode;

use serde_json::json;

use super::ca::{Where, targets};
use super::output::{self, data, say};
use super::{Global, check, exit, places};
use crate::bootstrap::{self, StationPolicy};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode};
use crate::runner::doctor::{self, About, Finding, State};
use crate::texts::{Texts, fl, reasons};

#[derive(clap::Args)]
pub struct Options {
    /// Print the IAM policy that the station's credentials need, and no more than that; nothing is asked.
    #[arg(long)]
    policy: bool,
    #[command(flatten)]
    place: Where,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    let done = output::texts(&language).and_then(|texts| {
        if options.place.target.is_some() {
            targets(config, &options.place)?;
        }
        match options.policy {
            true => policy(global, config, options, &texts),
            false => examine(global, config, options, &texts),
        }
    });
    exit::ended(done, &language)
}

fn examine(global: &Global, config: &Config, options: &Options, texts: &Texts) -> Result<ExitCode, Failure> {
    let data_dir = places(global).data_dir;
    if !global.json {
        check::profiles(config, texts);
    }
    let found = bootstrap::block_on(async {
        let instruments = bootstrap::instruments(config, &data_dir).await?;
        Ok(doctor::examine(config, &instruments, options.place.target.as_ref()).await)
    })?;
    for finding in &found {
        if global.json {
            // Whoever stopped reading has seen enough of it.
            output::json(finding).unwrap_or_default();
        } else {
            tell(finding, texts);
        }
    }
    let count = |is: fn(&State) -> bool| found.iter().filter(|finding| is(&finding.state)).count();
    let (bad, unknown) =
        (count(|state| matches!(state, State::Bad(_))), count(|state| matches!(state, State::Unknown(_))));
    say(&fl!(texts.loader(), "doctor-end", checks = found.len(), bad = bad, unknown = unknown));
    Ok(code(&found))
}

/// The gravest of what is missing; what could not be told, and remarks, stop no line.
fn code(found: &[Finding]) -> ExitCode {
    let codes = found.iter().filter_map(|finding| match &finding.state {
        State::Bad(failure) => Some(exit::of_failure(failure)),
        _ => None,
    });
    let rank = |code: &u8| match *code {
        exit::USAGE => 3,
        exit::NOTHING_DONE => 2,
        _ => 1,
    };
    ExitCode::from(codes.max_by_key(rank).unwrap_or(exit::DONE))
}

fn tell(finding: &Finding, texts: &Texts) {
    let loader = texts.loader();
    let (mark, failure) = match &finding.state {
        State::Good => (fl!(loader, "doctor-good"), None),
        State::Remark(failure) => (fl!(loader, "doctor-remark"), failure.as_ref()),
        State::Unknown(failure) => (fl!(loader, "doctor-unknown"), failure.as_ref()),
        State::Bad(failure) => (fl!(loader, "doctor-bad"), Some(failure)),
    };
    data(&format!("{mark}  {}", about(&finding.about, texts)));
    if let Some(failure) = failure {
        // Who asks is whoever can put it right.
        let text = reasons().text(texts.language(), failure);
        data(&format!("      {} {}: {} ({})", failure.code, text.title, text.qa, failure.cause));
    }
}

fn about(about: &About, texts: &Texts) -> String {
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

/// Stdout has nothing but JSON: of one target its policy, to be handed to AWS; of several an object by name.
fn policy(global: &Global, config: &Config, options: &Options, texts: &Texts) -> Result<ExitCode, Failure> {
    let mut policies = bootstrap::station_policies(config);
    policies.retain(|policy| options.place.target.as_ref().is_none_or(|target| policy.target == *target));
    for StationPolicy { target, unscoped, role, .. } in &policies {
        let (name, actions) = (target.as_str(), unscoped.join(", "));
        say(&fl!(texts.loader(), "doctor-policy-unscoped", target = name, actions = actions));
        if let Some(role) = role {
            say(&fl!(texts.loader(), "doctor-policy-role", target = name, role = role.as_str()));
        }
    }
    say(&fl!(texts.loader(), "doctor-policy-later"));
    let told = match policies.as_slice() {
        [] => {
            let cause = "no profile registers in any such target: there is nothing to allow";
            return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
        }
        [only] => only.document.clone(),
        several => several.iter().map(|policy| (policy.target.to_string(), json!(policy.document))).collect(),
    };
    let text = if global.json { serde_json::to_string(&told) } else { serde_json::to_string_pretty(&told) };
    data(&text.map_err(|error| Failure::new(ReasonCode::CONFIG_INVALID, error.to_string()))?);
    Ok(ExitCode::SUCCESS)
}
