//! The one place that writes to stdout and stderr.
#![allow(clippy::print_stderr, reason = "this is the place")]

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::EnvFilter;

use crate::domain::{Failure, ReasonCode, Verdict};
use crate::provisioning::UnitRecord;
use crate::texts::{Language, Texts, reasons};

/// Data was to be written to stdout, and somebody who still waits for it does not have it.
static LOST: AtomicBool = AtomicBool::new(false);

/// Data, on stdout. A reader that went away ends no command that has nothing else to say.
pub fn data(line: &str) {
    let _ = write(line);
}

fn write(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).inspect_err(|error| {
        if error.kind() != io::ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) {
            say(&format!("stdout: {error}"));
        }
    })
}

/// What a command ends with that otherwise did its work: a full disk is not a reader that has seen enough.
pub fn unless_lost(code: ExitCode) -> ExitCode {
    match LOST.load(Ordering::Relaxed) && code == ExitCode::SUCCESS {
        true => ExitCode::from(super::exit::NOTHING_DONE),
        false => code,
    }
}

/// Text for a person, on stderr. Nobody reading it is no reason to end.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A question, on stderr; the answer stands on the same line.
pub fn ask(question: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}").and_then(|()| err.flush());
}

/// One JSON object a line. Error: stdout takes no more.
pub fn json(value: &impl serde::Serialize) -> io::Result<()> {
    write(&serde_json::to_string(value)?)
}

/// A finished unit: for the script, and for the person beside it. Error: stdout takes no more.
pub fn unit(record: &UnitRecord, as_json: bool, language: &Language) -> io::Result<()> {
    say(&unit_line(record, language));
    if let Some(pulled) = record.pulled_out() {
        failure(&pulled, language);
    }
    if as_json { json(record) } else { Ok(()) }
}

/// `lane 3  PR-0007  FAIL  S-101  Red tray. …`
fn unit_line(record: &UnitRecord, language: &Language) -> String {
    let serial = record.board.serial.as_deref().unwrap_or("-");
    let mut line = format!("lane {:>2}  {serial:<16} {:<7}", record.lane, record.verdict.as_str());
    if let (Some(code), Some(cause)) = (&record.reason, &record.cause) {
        let sentence = match code.parse() {
            Ok(code) => {
                let failure = Failure { code, args: record.reason_args.clone(), cause: cause.clone() };
                reasons().text(language, &failure).technician
            }
            Err(_) => cause.clone(),
        };
        line.push_str(&format!("  {code}  {sentence}"));
    }
    if let (Verdict::Pass, Some(thing)) = (record.verdict, &record.thing) {
        line.push_str(&format!("  {thing}"));
    }
    if let Some(slip) = record.slip.filter(|_| record.verdict == Verdict::Held) {
        line.push_str(&format!("  slip {slip}"));
    }
    line
}

/// What a person reads of a failure: the sentence, the code, the cause.
pub fn failure(failure: &Failure, language: &Language) {
    say(&sentence(failure, language));
}

pub fn sentence(failure: &Failure, language: &Language) -> String {
    let text = reasons().text(language, failure);
    let told = format!("{}: {} ({})", failure.code, text.technician, failure.cause);
    // A cause may have lines of its own.
    told.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Text out of the log may be a forger's: what would steer the terminal, or write backwards, is shown
/// as a replacement character.
pub fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(steers) { Cow::Owned(text.replace(steers, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// The sentences of this language.
pub fn texts(language: &Language) -> Result<Texts, Failure> {
    Texts::load(language.clone()).map_err(|error| Failure::new(ReasonCode::CONFIG_INVALID, error.to_string()))
}

/// Logs to stderr. `RUST_LOG` overrides what `-v` says.
pub fn start_tracing(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "lineseal=info,warn",
        _ => "lineseal=debug,info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    // A second call in one process keeps the first subscriber.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}

/// The language asked for, or the environment's.
pub fn language(asked: Option<&str>, configured: Option<&str>) -> Language {
    let environment = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|name| std::env::var(name).ok());
    let locale = asked.or(configured).map(str::to_owned).or(environment).unwrap_or_default();
    Language::of_locale(&locale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_can_neither_steer_the_terminal_nor_make_a_line_of_its_own() {
        assert_eq!(plain("a\u{1b}[2J\nPASS\u{9b}1m\u{202e}x"), "a\u{fffd}[2J\u{fffd}PASS\u{fffd}1m\u{fffd}x");
        assert!(matches!(plain("山田 PASS"), Cow::Borrowed(_)));
    }
}
