//! `lineseal doctor`: is everything here that the line needs? Nothing is changed by asking.

use std::process::ExitCode;

use serde_json::json;

use super::ca::{Where, targets};
use super::output::{self, data, say};
use super::{Global, check, exit, places};
use crate::bootstrap::{self, StationPolicy};
use crate::config::Config;
use crate::domain::{Failure, ReasonCode};
use crate::gui;
use crate::runner::doctor::{self, Finding, State};
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
    let failure = match &finding.state {
        State::Good => None,
        State::Remark(failure) | State::Unknown(failure) => failure.as_ref(),
        State::Bad(failure) => Some(failure),
    };
    data(&format!("{}  {}", gui::check_mark(&finding.state, texts), gui::check_words(&finding.about, texts)));
    if let Some(failure) = failure {
        // Who asks is whoever can put it right.
        let text = reasons().text(texts.language(), failure);
        data(&format!("      {} {}: {} ({})", failure.code, text.title, text.qa, failure.cause));
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
