//! `[trust]`: what a certificate must satisfy.

use std::path::Path;

use crate::config::pem;
use crate::config::problem::Mistake;
use crate::config::section::Entry;
use crate::domain::profile::{Crl, CrlCoverage, ExpiredIntermediate, KeyKind, Trust, UidRule};

/// What could be read, and the UID rule on its own, which `[token]` has to agree with.
pub(super) fn read(entry: &Entry<'_>) -> (Option<Trust>, Option<UidRule>) {
    let Some(section) = entry.section("[trust]") else {
        return (None, None);
    };
    let roots = section.required("roots").and_then(|entry| certificates(&entry.some_items()?));
    let intermediates = match section.optional("intermediates") {
        Some(entry) => entry.items().and_then(|items| certificates(&items)),
        None => Some(Vec::new()),
    };
    let expired = [("refuse", ExpiredIntermediate::Refuse), ("accept", ExpiredIntermediate::Accept)];
    let expired_intermediate = match section.optional("expired_intermediate") {
        Some(entry) => entry.choice(&expired),
        None => Some(ExpiredIntermediate::default()),
    };
    let crls = match section.optional("crls") {
        Some(entry) => entry.some_items().and_then(|items| revocation_lists(&items)),
        None => {
            section.meaningless(&["crl_coverage"], "there are no crls");
            Some(Vec::new())
        }
    };
    let coverages = [("chain", CrlCoverage::Chain), ("leaf", CrlCoverage::Leaf), ("listed", CrlCoverage::Listed)];
    let crl_coverage = match section.optional("crl_coverage") {
        Some(entry) => entry.choice(&coverages),
        None => Some(CrlCoverage::default()),
    };
    let keys = section.required("keys").and_then(|entry| {
        let choices = KeyKind::ALL.map(|kind| (kind.as_str(), kind));
        let items = entry.some_items()?;
        items.iter().map(|item| item.choice(&choices)).collect::<Vec<_>>().into_iter().collect()
    });
    let rules = [("required", UidRule::Required), ("certificate", UidRule::Certificate), ("none", UidRule::None)];
    let uid = section.required("uid").and_then(|entry| entry.choice(&rules));
    let from_cn = section.optional("uid_from_cn");
    match (uid, &from_cn) {
        (Some(UidRule::Certificate), None) => section.report(Mistake::Refused {
            key: section.name("uid_from_cn"),
            because: "is missing: uid = \"certificate\" has no other place to take the UID from".into(),
        }),
        (Some(UidRule::None), Some(entry)) => {
            entry.report(Mistake::Meaningless { key: entry.name.clone(), because: "uid = \"none\"".into() });
        }
        _ => {}
    }
    let uid_from_cn = match &from_cn {
        Some(entry) => uid_regex(entry).map(Some),
        None => Some(None),
    };
    let trust = || {
        Some(Trust {
            roots: roots?,
            intermediates: intermediates?,
            issuer: None,
            expired_intermediate: expired_intermediate?,
            crls: crls?,
            crl_coverage: crl_coverage?,
            keys: keys?,
            uid: uid?,
            uid_from_cn: uid_from_cn?,
        })
    };
    (trust(), uid)
}

/// All certificates of all files, DER.
pub(in crate::config) fn certificates(items: &[Entry<'_>]) -> Option<Vec<Vec<u8>>> {
    of_files(items, pem::certificates)
}

/// All revocation lists of all files.
fn revocation_lists(items: &[Entry<'_>]) -> Option<Vec<Crl>> {
    of_files(items, |path| {
        let lists = pem::revocation_lists(path)?;
        Ok(lists.into_iter().map(|der| Crl { file: path.to_owned(), der }).collect())
    })
}

fn of_files<T>(items: &[Entry<'_>], read: impl Fn(&Path) -> Result<Vec<T>, String>) -> Option<Vec<T>> {
    let read = |item: &Entry<'_>| {
        let path = item.path()?;
        match read(&path) {
            Ok(found) => Some(found),
            Err(because) => {
                item.report(Mistake::BadFile { key: item.name.clone(), path, because });
                None
            }
        }
    };
    let all: Option<Vec<Vec<T>>> = items.iter().map(read).collect::<Vec<_>>().into_iter().collect();
    all.map(|files| files.into_iter().flatten().collect())
}

fn uid_regex(entry: &Entry<'_>) -> Option<regex::Regex> {
    let regex = entry.regex()?;
    if !regex.capture_names().flatten().any(|name| name == "uid") {
        entry.report(Mistake::NoGroup { key: entry.name.clone(), group: "uid" });
        return None;
    }
    Some(regex)
}
