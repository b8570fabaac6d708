//! `[register.fleet]`: the claim by which a fleet is entered, its template's name and parameters, and what the board
//! is given afterwards.

use super::board::read_one_prepare;
use super::template::parameters;
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Known, Section};
use crate::domain::profile::{CONFIGURE_VARIABLES, ClaimSource, FleetKeys, FleetPlan, PRIVATE_KEY, Prepare};

pub(super) fn read(register: &Section<'_>, known: &Known) -> Option<FleetPlan> {
    let section = register.required("fleet")?.section("[register.fleet]")?;
    let _ = section.optional("configure");
    let template = section.required("template").and_then(|entry| entry.parsed());
    let claim = claim(&section);
    let parameters = match section.optional("parameters") {
        Some(entry) => parameters(&entry, known, "[register.fleet.parameters]"),
        None => Some(Default::default()),
    };
    let keys = [("chip", FleetKeys::Chip), ("aws", FleetKeys::Aws)];
    let keys = section.optional("keys").map_or(Some(FleetKeys::Chip), |entry| entry.choice(&keys));
    Some(FleetPlan { template: template?, claim: claim?, keys: keys?, parameters: parameters? })
}

/// `Some(None)`: the board is told nothing.
pub(super) fn configure(
    register: &Section<'_>,
    plan: &FleetPlan,
    serial_port: Option<bool>,
    known: &Known,
) -> Option<Option<Prepare>> {
    let Some(entry) = register.optional("fleet") else { return Some(None) };
    let section = entry.section("[register.fleet]")?;
    for key in ["template", "claim", "trusted_user", "parameters", "keys"] {
        let _ = section.optional(key);
    }
    let configure = section.optional("configure");
    let told = configure.as_ref().map(|entry| told(entry, serial_port, known));
    let named = |prepare: &Prepare| prepare.variables().any(|name| name == PRIVATE_KEY);
    match (plan.keys, &told) {
        (FleetKeys::Aws, None | Some(Some(_))) if !told.iter().flatten().any(named) => {
            let because = format!(
                "has to give the board {{{PRIVATE_KEY}}}, by `send` or `stdin`: with keys = \"aws\" AWS makes it, and \
                 nobody else has it"
            );
            section.report(Mistake::Refused { key: section.name("configure"), because });
            None
        }
        (FleetKeys::Chip, Some(Some(prepare))) if named(prepare) => {
            let because =
                format!("names {{{PRIVATE_KEY}}}, which there is with keys = \"aws\" only: the chip's own stays in it");
            section.report(Mistake::Refused { key: section.name("configure"), because });
            None
        }
        _ => told.map_or(Some(None), |told| told.map(Some)),
    }
}

fn told(entry: &Entry<'_>, serial_port: Option<bool>, known: &Known) -> Option<Prepare> {
    let mut known = known.clone();
    known.names.extend(CONFIGURE_VARIABLES.map(str::to_owned));
    // The keys of the device configuration are the template's own, and that is in AWS.
    known.complete = false;
    read_one_prepare(entry, "[register.fleet.configure]", serial_port, &known)
}

fn claim(section: &Section<'_>) -> Option<ClaimSource> {
    let trusted = section.optional("trusted_user").map(|entry| (entry.boolean(), entry));
    match (section.optional("claim"), trusted) {
        (Some(claim), None | Some((Some(false), _))) => files(&claim),
        (Some(claim), Some((Some(true), trusted))) => {
            trusted.report(Mistake::Exclusive { key: trusted.name.clone(), other: claim.name.clone() });
            None
        }
        (None, Some((Some(true), _))) => Some(ClaimSource::TrustedUser),
        (None, None | Some((Some(false), _))) => {
            let because = "is missing: name a claim's certificate and key (`lineseal claim create`), or write \
                           trusted_user = true"
                .to_owned();
            section.report(Mistake::Refused { key: section.name("claim"), because });
            None
        }
        (claim, Some((None, _))) => {
            let _ = claim.map(|claim| files(&claim));
            None
        }
    }
}

fn files(entry: &Entry<'_>) -> Option<ClaimSource> {
    let section = entry.section("[register.fleet.claim]")?;
    let certificate = section.required("certificate").and_then(|entry| entry.path());
    let key = section.required("key").and_then(|entry| entry.path());
    Some(ClaimSource::Files { certificate: certificate?, key: key? })
}
