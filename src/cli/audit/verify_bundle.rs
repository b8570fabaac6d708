//! `lineseal audit verify-bundle`: for whoever was handed one. Every word of it is a stranger's.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::output::{self, data, say};
use super::super::{Global, exit};
use super::ended;
use crate::audit::bundle::{self, BundleReport, GivenKey, RunShown, Signers};
use crate::bootstrap;
use crate::domain::{Failure, ReasonCode};
use crate::texts::{Texts, fl};

#[derive(clap::Args)]
pub struct Options {
    /// What `lineseal audit prove` wrote.
    #[arg(value_name = "FILE.zip|DIR")]
    bundle: PathBuf,
    /// A verifier key that you had before, or a file with some, one a line: only these count, and one with `until
    /// SIZE` behind it only so far.
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
        Err(failure) if failure.code == ReasonCode::LOG_BROKEN => return refuse(global, &failure.cause),
        Err(failure) => return Err(failure),
    };
    match bundle::verify(&files, pinned) {
        Ok(report) => {
            tell(&report, global)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => refuse(global, &error.in_full()),
    }
}

/// A key, or a file of them: what `audit key show` prints, or a bundle's `keys/….vkey`.
fn read_keys(given: &str) -> Result<Vec<GivenKey>, Failure> {
    if let Ok(key) = given.parse() {
        return Ok(vec![key]);
    }
    let bad = |cause: String| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("--key {given}: {cause}"));
    let text = std::fs::read_to_string(given)
        .map_err(|error| bad(format!("neither a verifier key nor a file of them: {error}")))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<GivenKey> =
        lines.map(|line| line.parse().map_err(|error| bad(format!("{error}")))).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(bad("no verifier key in it".to_owned())) } else { Ok(keys) }
}

fn refuse(global: &Global, cause: &str) -> Result<ExitCode, Failure> {
    let cause = escaped(cause);
    say(&fl!(texts(global)?.loader(), "cli-bundle-refused", cause = cause.as_str()));
    if global.json {
        output::json(&json!({ "verified": false, "cause": cause })).unwrap_or_default();
    }
    Ok(ExitCode::from(exit::BROKEN))
}

fn tell(report: &BundleReport, global: &Global) -> Result<(), Failure> {
    let BundleReport { unit, origin, head, events, runs, signers, chip_answers, paths, forgotten } = report;
    let none = Vec::new();
    let (keys, pinned, by) = match signers {
        Signers::Pinned(keys) => (keys, true, &none),
        Signers::Successors { keys, by } => (keys, true, by),
        Signers::FromBundle(keys) => (keys, false, &none),
    };
    if global.json {
        let told = json!({
            "verified": true, "unit": unit, "origin": origin, "size": head.size, "root": hex::encode(head.root),
            "events": events, "runs": runs, "keys": keys, "pinned": pinned, "rotations": by,
            "chip_answers": chip_answers, "paths": paths, "forgotten": forgotten,
        });
        output::json(&told).unwrap_or_default();
        return Ok(());
    }
    let texts = texts(global)?;
    let loader = texts.loader();
    let (unit, origin, count) = (escaped(&unit.to_string()), escaped(origin.as_str()), events.len());
    data(&fl!(loader, "cli-bundle-events", events = count, unit = unit, origin = origin, size = head.size));
    for RunShown { run, verdict, reason } in runs {
        let (run, reason) = (run.to_string(), escaped(reason.as_deref().unwrap_or_default()));
        data(&match verdict {
            None => fl!(loader, "cli-bundle-run-open", run = run),
            Some(verdict) => {
                let verdict = [verdict.as_str(), &reason].join(" ");
                fl!(loader, "cli-bundle-run", run = run, verdict = verdict.trim_end())
            }
        });
    }
    let (answers, paths, forgotten) = (*chip_answers, *paths, *forgotten);
    data(&fl!(loader, "cli-bundle-answers", count = answers));
    data(&fl!(loader, "cli-bundle-paths", count = paths));
    if forgotten > 0 {
        data(&fl!(loader, "cli-bundle-forgotten", count = forgotten));
    }
    for key in keys {
        data(&fl!(loader, "cli-bundle-signed", key = escaped(&key.to_string())));
    }
    if !by.is_empty() {
        let events: Vec<String> = by.iter().map(u64::to_string).collect();
        data(&fl!(loader, "cli-bundle-successor", events = events.join(", ")));
    } else if pinned {
        data(&fl!(loader, "cli-bundle-pinned"));
    } else {
        data(&fl!(loader, "cli-bundle-unpinned"));
    }
    Ok(())
}

fn texts(global: &Global) -> Result<Texts, Failure> {
    output::texts(&output::language(global.language.as_deref(), None))
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
