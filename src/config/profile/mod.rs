//! A profile's file: how one product is recognised, read, trusted, registered and labelled.

mod board;
mod connect;
pub(super) mod csr;
mod fleet;
mod label;
mod manifest;
mod register;
mod template;
pub(super) mod token;
pub(super) mod trust;

use std::path::Path;

use super::Ca;
use super::problem::Mistake;
use super::section::{Entry, Known, Section};
use super::source::Source;
use crate::domain::Product;
use crate::domain::profile::{Method, Profile, RUN_VARIABLES, Register, TokenPlan};

/// What the station's file names, and a profile may refer to.
pub(super) struct Named<'a> {
    pub targets: &'a [String],
    /// Those that could be read.
    pub cas: &'a [Ca],
    /// All of them.
    pub ca_names: &'a [String],
    /// Labels are drawn here: its printer takes pictures.
    pub draws: bool,
}

/// Reads the profile at `path`, which the station's file names by `named_by`.
pub(super) fn read(path: &Path, name: &str, known_names: &Named<'_>, named_by: &Entry<'_>) -> Option<Profile> {
    if let Err(error) = std::fs::metadata(path) {
        let because = format!("cannot be read: {error}");
        named_by.report(Mistake::BadFile { key: named_by.name.clone(), path: path.to_owned(), because });
        return None;
    }
    let source = Source::open(path, named_by.source.problems)?;
    let tables = source.tables()?;
    let top = Section::top(&source, tables.get_ref());

    let product = top.required("product").and_then(|entry| entry.parsed());
    let matches = top.required("match").and_then(|entry| board::read_match(&entry));
    let serial_port = matches.as_ref().and_then(|matches| matches.serial_port);
    let (identify, groups) = match top.required("identify") {
        Some(entry) => board::read_identify(&entry, serial_port),
        None => (None, None),
    };
    let known = Known {
        complete: groups.is_some(),
        values: product.iter().map(|product: &Product| ("product", product.to_string())).collect(),
        names: RUN_VARIABLES
            .iter()
            .filter(|name| **name != "port" || serial_port != Some(false))
            .map(|name| (*name).to_owned())
            .chain(groups.into_iter().flatten())
            .collect(),
    };
    let prepare = match top.optional("prepare") {
        Some(entry) => board::read_prepare(&entry, serial_port, &known),
        None => Some(Vec::new()),
    };
    let (mut trust, uid) = match top.required("trust") {
        Some(entry) => trust::read(&entry),
        None => (None, None),
    };
    let token = top.required("token").and_then(|entry| token::read(&entry, &known, uid));
    let register = top
        .required("register")
        .and_then(|entry| register::read(&entry, serial_port, &known, known_names, trust.as_ref()));
    if let (Some(trust), Some(register)) = (&mut trust, &register) {
        trust.issuer = register.method.chips_ca().map(|ca| ca.fingerprint);
    }
    if let (Some(token), Some(register), Some(entry)) = (&token, &register, top.optional("register")) {
        spare_the_chips_own(token, register, &entry);
    }
    let status = register.as_ref().map(|register| register.certificate_status);
    let connect = top.optional("connect").map_or(Some(None), |entry| connect::read(&entry, &known, status));
    let label = top.optional("label").map(|entry| label::read(&entry, &known, known_names.draws));

    let manifest = top.optional("manifest").map(|entry| manifest::read(&entry, uid));

    Some(Profile {
        name: name.to_owned(),
        product: product?,
        matches: matches?,
        prepare: prepare?,
        identify: identify?,
        token: token?,
        trust: trust?,
        register: register?,
        connect: connect?,
        label: label.map_or(Some(None), |label| label.map(Some))?,
        manifest: manifest.map_or(Some(None), |manifest| manifest.map(Some))?,
    })
}

/// What proves the chip is never written over.
fn spare_the_chips_own(token: &TokenPlan, register: &Register, entry: &Entry<'_>) {
    let Method::Csr(plan) = &register.method else { return };
    if plan.write_back.as_ref().is_some_and(|plan| plan.object == token.certificate) {
        entry.refuse(
            "has the certificate written to the very object of [token] that proves the chip: name another under \
             \"certificate\" in [register.csr]",
        );
    }
}
