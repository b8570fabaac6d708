//! Reports out of the log: figures for a screen, and files for whoever takes them home.
//!
//! One walk over the runs, a page at a time, gives both. [`figures`] and [`export`] block between pages only as long as
//! a page takes to write; whoever draws a window meanwhile spawns them on the runtime.

mod names;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::keeper::checkpoint_and_copy;
use super::{Custody, LogWriter};
use crate::audit::LineEvent;
use crate::domain::{Failure, ReasonCode, ReportFormat, ReportScope, RunId};
use crate::ports::{People, ReportFile, Reports, Written};
use crate::provisioning::{Run, UnitRecord};
use crate::reports::{self, BatchHead, Calendar, Document, Fold, Head, Line, Report, Seen, Style, Timed};
use names::Names;

/// Where reports come from.
#[derive(Clone)]
pub struct Source {
    /// In the name of whoever asks.
    pub log: LogWriter,
    pub people: Arc<dyn People>,
    pub reports: Arc<dyn Reports>,
    pub custody: Custody,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub scope: ReportScope,
    pub calendar: Calendar,
    /// Persons get names that only this log can tell the persons by.
    pub pseudonymous: bool,
}

/// How far it is: so many runs of about so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Whom a report tells how far it is, and who may stop it: O-601 then, and nothing is left of it.
#[derive(Clone, Copy)]
pub struct Told<'t> {
    pub progress: &'t (dyn Fn(Progress) + Send + Sync),
    pub stop: &'t AtomicBool,
}

/// A report that is in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    pub report: Report,
    pub written: Written,
}

/// Runs of a page: some milliseconds of the database's time, some megabytes of ours.
const PAGE: u32 = 4096;

/// O-616 where there is no such batch, O-601 where it was stopped.
pub async fn figures(source: &Source, asked: &Asked, told: Told<'_>) -> Result<Report, Failure> {
    let head = head(source, asked).await?;
    let figures = walk(source, asked, &head, told, &mut |_| Ok(())).await?;
    Ok(Report { head, figures })
}

/// Writes it to `file`, says so in the log, and puts it in its place: a report that somebody holds is in the log.
/// Failures as of [`figures`]; O-630 where the file cannot be written, O-606 where its place is taken by now.
pub async fn export(
    source: &Source,
    asked: &Asked,
    format: ReportFormat,
    style: &Style,
    file: Box<dyn ReportFile>,
    told: Told<'_>,
) -> Result<Exported, Failure> {
    // What the report says of the log stands in a checkpoint then, as far as there is a key for one.
    for failure in checkpoint_and_copy(&source.log, &source.custody).await.unwrap_or_else(|failure| vec![failure]) {
        tracing::warn!(code = %failure.code, cause = %failure.cause, "the report's checkpoint");
    }
    let head = head(source, asked).await?;
    let mut document = reports::document(format, style, file).map_err(unwritten)?;
    let figures = walk(source, asked, &head, told, &mut |line| document.line(line).map_err(unwritten)).await?;
    let report = Report { head, figures };
    let (report, mut file) = ended(document, report).await?;
    let written = tokio::task::spawn_blocking(move || file.finish().map(|written| (file, written)));
    let (file, written) = written.await.map_err(|error| unwritten(std::io::Error::other(error)))??;
    stopped(told)?;
    let exported = LineEvent::Exported {
        scope: asked.scope.clone(),
        format,
        pseudonymous: asked.pseudonymous,
        runs: report.figures.runs,
        file: written.sha256,
    };
    source.log.line(exported).await?;
    file.keep()?;
    Ok(Exported { report, written })
}

/// What a document still has to do may be all of it.
async fn ended(document: Box<dyn Document>, report: Report) -> Result<(Report, Box<dyn ReportFile>), Failure> {
    let ended = tokio::task::spawn_blocking(move || document.end(&report).map(|file| (report, file)));
    ended.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(unwritten)
}

async fn walk(
    source: &Source,
    asked: &Asked,
    head: &Head,
    told: Told<'_>,
    each: &mut (dyn FnMut(&Line) -> Result<(), Failure> + Send),
) -> Result<reports::Figures, Failure> {
    let total = source.reports.extent(&asked.scope).await?;
    let mut names = Names::new(&*source.people, asked.pseudonymous);
    let mut fold = Fold::new(asked.calendar.clone());
    let (mut after, mut done) = (None, 0);
    loop {
        stopped(told)?;
        let page = source.reports.runs(&asked.scope, head.log_size, after.as_ref(), PAGE).await?;
        done += page.runs.len() as u64;
        for run in page.runs {
            let operator = names.of(run.operator).await?;
            fold.take(Seen { run, operator }).iter().try_for_each(&mut *each)?;
        }
        (told.progress)(Progress { done, total: total.max(done) });
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    fold.end_unit().iter().try_for_each(each)?;
    let timed = timed(source, fold.sample(), told).await?;
    Ok(fold.figures(&timed))
}

/// What the log has of these runs' steps. Runs whose events were archived are left out.
async fn timed(source: &Source, runs: Vec<RunId>, told: Told<'_>) -> Result<Vec<Timed>, Failure> {
    let mut timed = Vec::with_capacity(runs.len());
    for run in runs {
        stopped(told)?;
        let log = match source.log.store.run(run).await {
            Err(failure) if failure.code == ReasonCode::LOG_ARCHIVED => continue,
            log => log?,
        };
        let record = log.and_then(|log| Run::fold(&log.events).ok()).and_then(|run| UnitRecord::of(&run));
        timed.extend(record.map(|record| times_of(&record)));
    }
    Ok(timed)
}

fn times_of(record: &UnitRecord) -> Timed {
    let millis = |millis: i64| u64::try_from(millis).unwrap_or_default();
    let mut timed =
        Timed { run: millis(record.finished.duration_since(record.started).as_millis() as i64), ..Timed::default() };
    for step in record.steps.iter().filter(|step| step.outcome == "ok") {
        *timed.steps.entry(step.step).or_default() += millis(step.ms);
    }
    timed
}

async fn head(source: &Source, asked: &Asked) -> Result<Head, Failure> {
    let Source { log, people, custody, .. } = source;
    let batch = match &asked.scope.batch {
        None => None,
        Some(name) => {
            let known = log.store.batches().await?.into_iter().find(|batch| batch.name == *name);
            let unknown = || Failure::new(ReasonCode::NOT_IN_LOG, format!("there is no batch {name}"));
            Some(known.ok_or_else(unknown)?)
        }
    };
    let head = log.store.head().await?;
    let checkpoint = custody.history.latest_checkpoint().await?;
    let by = Names::new(&**people, asked.pseudonymous).of(log.operator.as_ref().map(|person| person.id)).await?;
    Ok(Head {
        made: log.clock.now(),
        by,
        station: log.station.clone(),
        scope: asked.scope.clone(),
        batch: batch.map(|batch| BatchHead {
            name: batch.name,
            product: batch.product,
            profile: batch.profile,
            planned: batch.planned,
            opened: batch.opened,
            closed: batch.closed,
        }),
        time_zone: asked.calendar.zone_name(),
        pseudonymous: asked.pseudonymous,
        log_size: head.size,
        log_root: hex::encode(head.root),
        checkpoint: checkpoint.map(|stored| stored.note.to_string()),
        rollback_unprovable: custody.places.is_empty(),
    })
}

fn stopped(told: Told<'_>) -> Result<(), Failure> {
    match told.stop.load(Ordering::Relaxed) {
        true => Err(Failure::new(ReasonCode::OPERATOR_STOPPED, "the report was stopped; nothing of it is left")),
        false => Ok(()),
    }
}

fn unwritten(error: std::io::Error) -> Failure {
    Failure::new(ReasonCode::REPORT_UNWRITTEN, error.to_string())
}
