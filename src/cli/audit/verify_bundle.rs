//! `lineseal audit verify-bundle`: for whoever was handed one. Every word of it is a stranger's.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::{Global, exit};
use super::ended;
use crate::audit::bundle::{self, BundleReport, Signers};
use crate::audit::note::VerifierKey;
use crate::bootstrap;
use crate::domain::{Failure, ReasonCode};

#[derive(clap::Args)]
pub struct Options {
    /// What `lineseal audit prove` wrote.
    #[arg(value_name = "FILE.zip|DIR")]
    bundle: PathBuf,
    /// A verifier key that you had before, or a file with some, one a line: only these count.
    #[arg(long, value_name = "FILE|KEY")]
    key: Vec<String>,
}

pub fn main(global: &Global, options: &Options) -> ExitCode {
    ended(global, None, perform(global, options))
}

fn perform(global: &Global, options: &Options) -> Result<ExitCode, Failure> {
    let mut keys = Vec::new();
    for key in &options.key {
        keys.extend(read_keys(key)?);
    }
    let pinned = (!options.key.is_empty()).then_some(keys.as_slice());
    let files = match bootstrap::read_bundle(&options.bundle) {
        Ok(files) => files,
        Err(failure) if failure.code == ReasonCode::LOG_BROKEN => return Ok(refuse(global, &failure.cause)),
        Err(failure) => return Err(failure),
    };
    match bundle::verify(&files, pinned) {
        Ok(report) => {
            tell(&report, global.json);
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ok(refuse(global, &error.in_full())),
    }
}

/// A key, or a file of them: what `audit key show` prints, or a bundle's `keys/….vkey`.
fn read_keys(given: &str) -> Result<Vec<VerifierKey>, Failure> {
    if let Ok(key) = given.parse() {
        return Ok(vec![key]);
    }
    let bad = |cause: String| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("--key {given}: {cause}"));
    let text = std::fs::read_to_string(given)
        .map_err(|error| bad(format!("neither a verifier key nor a file of them: {error}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<VerifierKey> =
        lines.map(|line| line.parse().map_err(|error| bad(format!("{error}")))).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(bad("no verifier key in it".to_owned())) } else { Ok(keys) }
}

fn refuse(global: &Global, cause: &str) -> ExitCode {
    let cause = escaped(cause);
    say(&format!("this bundle proves nothing: {cause}"));
    if global.json {
        output::json(&json!({ "verified": false, "cause": cause })).unwrap_or_default();
    }
    ExitCode::from(exit::BROKEN)
}

fn tell(report: &BundleReport, as_json: bool) {
    let BundleReport { unit, origin, head, events, signers, chip_answers, paths, forgotten } = report;
    let none = Vec::new();
    let (keys, pinned, by) = match signers {
        Signers::Pinned(keys) => (keys, true, &none),
        Signers::Successors { keys, by } => (keys, true, by),
        Signers::FromBundle(keys) => (keys, false, &none),
    };
    if as_json {
        let told = json!({
            "verified": true, "unit": unit, "origin": origin, "size": head.size, "root": hex::encode(head.root),
            "events": events, "keys": keys, "pinned": pinned, "rotations": by, "chip_answers": chip_answers, "paths": paths, "forgotten": forgotten,
        });
        output::json(&told).unwrap_or_default();
        return;
    }
    let (unit, origin) = (escaped(&unit.to_string()), escaped(origin.as_str()));
    data(&format!("{} events of {unit} are in the log {origin}, as it was with {} events", events.len(), head.size));
    data(&format!("{chip_answers} signatures of chips verify under the certificates shown"));
    data(&format!("{paths} of them with the whole path to a certificate that the factory pinned, and it holds"));
    if *forgotten > 0 {
        data(&format!("{forgotten} names and texts are forgotten"));
    }
    for key in keys {
        data(&format!("signed by {}", escaped(&key.to_string())));
    }
    if !by.is_empty() {
        let events: Vec<String> = by.iter().map(u64::to_string).collect();
        data(&format!("a successor of a key that you gave, which signed for it itself (event {})", events.join(", ")));
    } else if pinned {
        data("under a key that you gave");
    } else {
        data(
            "the keys came with the bundle: compare them with some that you have from elsewhere, and give them with --key",
        );
    }
}

/// Nothing in it moves a cursor or passes for a line of ours.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if matches!(c, '"' | '\'') { vec![c] } else { c.escape_debug().collect() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_strangers_wrote_stays_in_its_line() {
        assert_eq!(escaped("events/1.json"), "events/1.json");
        assert_eq!(escaped("a\n\u{1b}[2Jverified\u{202e} \"基板\""), "a\\n\\u{1b}[2Jverified\\u{202e} \"基板\"");
    }
}
