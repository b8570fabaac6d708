//! `[register.csr]`: who makes the certificate for the chip's key, and whether the token gets it.

use std::time::Duration;

use super::Named;
use super::board::millis;
use super::register::known_ca;
use super::token::object;
use super::trust::certificates;
use crate::config::pkcs11_uri::ObjectType;
use crate::config::problem::Mistake;
use crate::config::section::{Entry, Section};
use crate::config::{host, is_this_machine};
use crate::domain::profile::{CsrPlan, Issuer, IssuingEndpoint, Pin, WriteBack, WriteBackPlan};

const TIMEOUT: Duration = Duration::from_millis(10_000);

pub(super) fn read(register: &Section<'_>, named: &Named<'_>) -> Option<CsrPlan> {
    let Some(entry) = register.optional("csr") else {
        return Some(CsrPlan { issuer: Issuer::Aws, write_back: None });
    };
    let section = entry.section("[register.csr]")?;
    let issuer = issuer(&section, named);
    let write_back = write_back(&section);
    Some(CsrPlan { issuer: issuer?, write_back: write_back? })
}

fn issuer(section: &Section<'_>, named: &Named<'_>) -> Option<Issuer> {
    let Some(entry) = section.optional("endpoint") else {
        let because = "without an endpoint the target makes the certificate";
        section.meaningless(&["token_file", "token_env", "ca", "roots", "timeout_ms"], because);
        return Some(Issuer::Aws);
    };
    let url = entry.text().map(str::to_owned);
    let token = token(section);
    let ca = section.optional("ca").map(|entry| known_ca(&entry, named));
    let roots = section.optional("roots").map(|entry| entry.some_items().and_then(|items| certificates(&items)));
    let timeout = millis(section, "timeout_ms", TIMEOUT, 500, 120_000);
    let endpoint = IssuingEndpoint {
        url: url?,
        token: token?,
        ca: ca.map_or(Some(None), |ca| ca.map(Some))?,
        roots: roots.map_or(Some(None), |roots| roots.map(Some))?,
        timeout: timeout?,
    };
    reached(&entry, &endpoint).map(|()| Issuer::Endpoint(endpoint))
}

/// `https://host…`; without TLS only this very machine.
fn reached(entry: &Entry<'_>, endpoint: &IssuingEndpoint) -> Option<()> {
    let text = &endpoint.url;
    let bad = |because: &str| {
        let (key, value) = (entry.name.clone(), text.clone());
        entry.report(Mistake::BadValue { key, value, because: because.to_owned() });
        None
    };
    let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return bad("write https://host/path"),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || authority.contains('@') || text.contains(char::is_whitespace) {
        return bad("write https://host/path, without a user or spaces");
    }
    if text.contains(['?', '#']) {
        return bad("write https://host/path, without a query: the address stands in the log, and a key in it would");
    }
    if !secure && !is_here(endpoint) {
        return bad("without TLS only this very machine may be used");
    }
    Some(())
}

/// On this very machine.
pub(in crate::config) fn is_here(endpoint: &IssuingEndpoint) -> bool {
    is_this_machine(host(&endpoint.url))
}

/// `None` inside: it wants none.
fn token(section: &Section<'_>) -> Option<Option<Pin>> {
    match (section.optional("token_file"), section.optional("token_env")) {
        (Some(file), Some(variable)) => {
            variable.report(Mistake::Exclusive { key: variable.name.clone(), other: file.name.clone() });
            None
        }
        (Some(file), None) => file.path().map(|path| Some(Pin::File(path))),
        (None, Some(variable)) => {
            let name = variable.text()?;
            if name.contains(['=', '\0']) {
                variable.refuse("is no name of an environment variable");
                return None;
            }
            Some(Some(Pin::Environment(name.to_owned())))
        }
        (None, None) => Some(None),
    }
}

fn write_back(section: &Section<'_>) -> Option<Option<WriteBackPlan>> {
    let Some(entry) = section.optional("certificate") else {
        section.meaningless(&["write_back"], "no \"certificate\" names the object to be written");
        return Some(None);
    };
    let object = object(&entry, ObjectType::Certificate);
    let modes = [("required", WriteBack::Required), ("optional", WriteBack::Optional)];
    let mode = section.optional("write_back").map_or(Some(WriteBack::Required), |entry| entry.choice(&modes));
    Some(Some(WriteBackPlan { object: object?, mode: mode? }))
}
