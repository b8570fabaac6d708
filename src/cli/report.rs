//! `lineseal report`: yield, reasons and runs in a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;

use super::output::{self, data, say};
use super::sign_in::Acting;
use super::{Global, checkpoint, exit, places};
use crate::audit::event::EXPORT_REPORTS;
use crate::bootstrap::{self, Records};
use crate::config::Config;
use crate::domain::{BatchName, Failure, ReasonCode, ReportFormat, ReportScope};
use crate::reports::{Calendar, Style};
use crate::runner::LogWriter;
use crate::runner::people;
use crate::runner::reports::{self, Asked, Exported, Progress, Source, Told};
use crate::texts::{Language, Texts, fl};

#[derive(clap::Args)]
pub struct Options {
    /// Only the runs of this batch.
    batch: Option<BatchName>,
    /// What the file is to be: csv or json.
    #[arg(long)]
    format: ReportFormat,
    /// Where it goes; what is there is not replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only runs that began on this day or later, by the plant's clock (or an instant: 2026-11-30T06:00:00Z).
    #[arg(long, value_name = "YYYY-MM-DD")]
    from: Option<Moment>,
    /// Only runs that began on this day or before (or before this instant).
    #[arg(long, value_name = "YYYY-MM-DD")]
    until: Option<Moment>,
    /// Begins a CSV file with a byte order mark, by which Excel knows UTF-8.
    #[arg(long)]
    bom: bool,
    /// Names persons by what only this log can tell who they are.
    #[arg(long)]
    pseudonymous: bool,
    #[command(flatten)]
    acting: Acting,
}

/// A day, or an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Day(Date),
    Instant(Timestamp),
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let instant = || text.parse().map(Moment::Instant);
        // A time of day without an offset is no instant, and no day either.
        let day = if text.len() == 10 { text.parse().map(Moment::Day) } else { instant() };
        day.map_err(|_| "write a day like 2026-11-30, or an instant like 2026-11-30T06:00:00Z".to_owned())
    }
}

pub fn main(global: &Global, config: &Config, options: &Options) -> ExitCode {
    let language = output::language(global.language.as_deref(), config.station.language.as_deref());
    exit::report(bootstrap::block_on(perform(global, config, options, &language)), &language)
}

async fn perform(global: &Global, config: &Config, options: &Options, language: &Language) -> Result<(), Failure> {
    let stop = bootstrap::stop_flag();
    let texts = output::texts(language)?;
    let calendar = Calendar::new(jiff::tz::TimeZone::system());
    let scope = scope(options, &calendar)?;
    let records = bootstrap::open_records(config, &places(global).data_dir).await?;
    let log = in_whose_name(global, config, options, &records).await?;
    let file = bootstrap::report_file(&options.out)?;
    let Records { people, reports, custody, .. } = records;
    let source = Source { log, people, reports, custody };
    let asked = Asked { scope, calendar, pseudonymous: options.pseudonymous };
    let progress = progress(&texts);
    let told = Told { progress: &progress, stop: &stop };
    let style = Style { bom: options.bom };
    let exported = reports::export(&source, &asked, options.format, &style, file, told).await?;
    tell(&exported, global, options, &texts);
    checkpoint(&source.log, &source.custody, language).await;
    Ok(())
}

/// Whoever takes a report out of the log answers for it, once there are people.
async fn in_whose_name(
    global: &Global,
    config: &Config,
    options: &Options,
    records: &Records,
) -> Result<LogWriter, Failure> {
    if people::are_known(&*records.people).await? {
        let person = options.acting.sign_in(global, records, &EXPORT_REPORTS).await?;
        return Ok(records.log.by(&person));
    }
    options.acting.operating(global, records, config.sign_in.required).await
}

fn scope(options: &Options, calendar: &Calendar) -> Result<ReportScope, Failure> {
    let no_day = |day: Date| Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{day} never begins"));
    let start_of = |day: Date| calendar.start_of(day).ok_or_else(|| no_day(day));
    let from = match options.from {
        Some(Moment::Day(day)) => Some(start_of(day)?),
        Some(Moment::Instant(instant)) => Some(instant),
        None => None,
    };
    let until = match options.until {
        Some(Moment::Day(day)) => Some(start_of(day.tomorrow().map_err(|_| no_day(day))?)?),
        Some(Moment::Instant(instant)) => Some(instant),
        None => None,
    };
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        let cause = "--until is not after --from: there is no time between them";
        return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
    }
    Ok(ReportScope { batch: options.batch.clone(), from, until })
}

/// Every tenth of the way is a word; a terminal is no film.
fn progress(texts: &Texts) -> impl Fn(Progress) + Send + Sync {
    let told = AtomicU64::new(0);
    move |Progress { done, total }| {
        let tenth = (done * 10).checked_div(total).unwrap_or(10);
        if told.fetch_max(tenth, Ordering::Relaxed) < tenth {
            say(&fl!(texts.loader(), "cli-report-progress", done = done, total = total));
        }
    }
}

fn tell(exported: &Exported, global: &Global, options: &Options, texts: &Texts) {
    let Exported { report, written } = exported;
    let (path, runs) = (options.out.display().to_string(), report.figures.runs);
    say(&fl!(texts.loader(), "cli-report-done", runs = runs, path = path.clone()));
    if report.head.rollback_unprovable {
        say(&fl!(texts.loader(), "cli-no-copies"));
    }
    if global.json {
        let told = json!({
            "file": path, "format": options.format, "sha256": written.sha256, "bytes": written.bytes, "report": report,
        });
        let _ = output::json(&told);
    } else {
        data(&format!("{}  {path}", written.sha256));
    }
}
