//! `lineseal audit search`: finds what is known in part.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::super::output::say;
use super::super::{Global, exit};
use super::found;
use super::paging::{self, Next, Paging};
use super::reader::{self, Reader};
use crate::config::Config;
use crate::domain::{BatchName, Failure, Product, ReasonCode, Verdict};
use crate::ports::{Page, Search};

#[derive(clap::Args)]
pub struct Options {
    /// Words that occur in it, all of them; of the last one its beginning will do.
    words: Vec<String>,
    /// The board's serial number, or its beginning.
    #[arg(long, value_name = "PREFIX")]
    serial: Option<String>,
    /// The thing's name, or its beginning.
    #[arg(long, value_name = "PREFIX")]
    thing: Option<String>,
    /// The certificate's SHA-256, or its beginning; colons, spaces and capitals don't matter.
    #[arg(long, value_name = "PREFIX", value_parser = fingerprint)]
    fingerprint: Option<String>,
    /// The chip's UID, or its beginning; as above.
    #[arg(long, value_name = "PREFIX", value_parser = digits)]
    uid: Option<String>,
    /// The product of the board.
    #[arg(long)]
    product: Option<Product>,
    /// The work order, by its whole name.
    #[arg(long)]
    batch: Option<BatchName>,
    /// A reason code such as S-105.
    #[arg(long, value_name = "CODE", value_parser = code)]
    reason: Option<ReasonCode>,
    /// PASS, FAIL, ERROR, ABORTED or HELD.
    #[arg(long, value_parser = verdict)]
    verdict: Option<Verdict>,
    /// Who operated the run, or made the ruling.
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Not before this time (RFC 3339), or the beginning of this day (UTC).
    #[arg(long, value_name = "TIME", value_parser = from)]
    from: Option<Timestamp>,
    /// Not after this time (RFC 3339), or the end of this day (UTC).
    #[arg(long, value_name = "TIME", value_parser = until)]
    until: Option<Timestamp>,
    #[command(flatten)]
    paging: Paging,
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    reader::perform(global, config, async |reader, _| {
        let Paging { limit, after } = &options.paging;
        let search = search(reader, options).await?;
        let Page { items, next } = reader.history.search(&search, after.as_ref(), *limit).await?;
        found::print(reader, &items, global.json).await?;
        if items.is_empty() {
            say("nothing in the log is like that");
        }
        paging::tell(next.map(Next::After).as_ref(), global.json);
        Ok(exit::DONE)
    })
}

async fn search(reader: &Reader, options: &Options) -> Result<Search, Failure> {
    let operator = match &options.operator {
        None => None,
        Some(name) => {
            let person = reader.people.person(name).await?;
            let unknown = || {
                Failure::new(ReasonCode::NOT_IN_LOG, format!("--operator {name}: nobody of that name was ever added"))
            };
            Some(person.ok_or_else(unknown)?.who.id)
        }
    };
    Ok(Search {
        serial: options.serial.clone(),
        thing: options.thing.clone(),
        uid: options.uid.clone(),
        fingerprint: options.fingerprint.clone(),
        product: options.product.clone(),
        batch: options.batch.clone(),
        reason: options.reason,
        verdict: options.verdict,
        operator,
        from: options.from,
        until: options.until,
        words: Some(options.words.join(" ")).filter(|words| !words.is_empty()),
    })
}

fn fingerprint(text: &str) -> Result<String, String> {
    digits(text).and_then(|digits| match digits.len() {
        ..=64 => Ok(digits),
        count => Err(format!("a certificate's SHA-256 has 64 hexadecimal digits; these are {count}")),
    })
}

/// As other tools print it: `SHA256 Fingerprint=3A:F0:…`.
fn digits(text: &str) -> Result<String, String> {
    let value = text.rsplit('=').next().unwrap_or_default();
    let digits: String = value.chars().filter(|c| !c.is_whitespace() && *c != ':').collect::<String>().to_lowercase();
    match digits.len() {
        1..=128 if digits.chars().all(|c| c.is_ascii_hexdigit()) => Ok(digits),
        _ => Err("hexadecimal digits are asked for".to_owned()),
    }
}

fn code(text: &str) -> Result<ReasonCode, String> {
    text.to_uppercase().parse().map_err(|error: crate::domain::Invalid| error.to_string())
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let all = [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted, Verdict::Held];
    let wanted = |verdict: &Verdict| verdict.as_str().eq_ignore_ascii_case(text);
    all.into_iter().find(wanted).ok_or_else(|| "a verdict is PASS, FAIL, ERROR, ABORTED or HELD".to_owned())
}

fn from(text: &str) -> Result<Timestamp, String> {
    time(text, start_of)
}

fn until(text: &str) -> Result<Timestamp, String> {
    time(text, |day| {
        // The last day that there is has none after it.
        let Ok(next) = day.tomorrow() else { return Ok(Timestamp::MAX) };
        start_of(next)?.checked_sub(jiff::SignedDuration::from_nanos(1))
    })
}

fn start_of(day: Date) -> Result<Timestamp, jiff::Error> {
    Ok(day.to_zoned(TimeZone::UTC)?.timestamp())
}

fn time(text: &str, of_day: impl FnOnce(Date) -> Result<Timestamp, jiff::Error>) -> Result<Timestamp, String> {
    // A date's parser would take a time, too, and drop it.
    let is_day = text.len() == "2026-11-24".len();
    let time = if is_day { text.parse().and_then(of_day) } else { text.parse() };
    time.map_err(|_| "a time is 2026-11-24T09:00:00Z, or a day 2026-11-24".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_the_whole_day_and_a_time_needs_its_offset() {
        let nanoseconds = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(from("2026-11-24"), Ok(nanoseconds("2026-11-24T00:00:00Z")));
        assert_eq!(until("2026-11-24"), Ok(nanoseconds("2026-11-24T23:59:59.999999999Z")));
        assert_eq!(from("2026-11-24T09:00:00+09:00"), Ok(nanoseconds("2026-11-24T00:00:00Z")));
        assert_eq!(until("2026-11-24T09:00:00Z"), Ok(nanoseconds("2026-11-24T09:00:00Z")));
        for bad in ["2026-11-24T09:00", "2026-13-01", "yesterday", ""] {
            assert!(from(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fingerprint_is_taken_as_other_tools_print_it() {
        for pasted in ["3AF0", "3a:f0", "3A F0", "sha256 Fingerprint=3A:F0"] {
            assert_eq!(digits(pasted).as_deref(), Ok("3af0"), "{pasted}");
        }
        assert!(fingerprint(&"a".repeat(64)).is_ok() && fingerprint(&"a".repeat(65)).is_err());
        assert!(digits("xyz").is_err());
        assert!(digits("::").is_err());
    }

    #[test]
    fn verdicts_and_codes_are_taken_in_small_letters() {
        assert_eq!(verdict("fail"), Ok(Verdict::Fail));
        assert!(verdict("GOOD").is_err());
        assert_eq!(code("s-105"), Ok(ReasonCode::CERTIFICATE_BOUND));
        assert!(code("S-999").is_err());
    }
}
