//! A label after it is out: looked at, printed once more, read back from its board.

use jiff::Timestamp;

use super::driver::Shared;
use super::errands::fold;
use super::people::commit_text;
use crate::audit::RunEvent;
use crate::audit::event::{LabelKind, LabelStatus};
use crate::domain::profile::Profile;
use crate::domain::{Failure, ReasonCode, RulingReason, StationName, Template, Unit, Verdict, label};
use crate::ports::{Found, History, People, Search};
use crate::provisioning::label::{paper, render_label};
use crate::provisioning::{Label, Run};

const TEST: &str = include_str!("../../assets/labels/test.zpl");

/// A label that is no unit's.
pub fn test(station: &StationName, now: Timestamp, practice: bool) -> Result<String, Failure> {
    let template = Template::parse(TEST);
    let template = template.map_err(|error| Failure::new(ReasonCode::LABEL_UNRENDERABLE, error.to_string()))?;
    let practice = if practice { "PRACTICE" } else { "" };
    let values = [("station", station.to_string()), ("time", now.to_string()), ("practice", practice.to_owned())];
    render_label(&template, &values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Whose labels they are, and who may be named on them.
#[derive(Clone, Copy)]
pub struct Desk<'d> {
    pub people: &'d dyn People,
    pub practice: bool,
    pub air_gapped: bool,
}

impl Desk<'_> {
    /// The label as it was, or is to be, printed. O-606: the run has none.
    pub async fn filled(self, profile: &Profile, run: &Run) -> Result<String, Failure> {
        let none = || Failure::new(ReasonCode::NOT_NOW, format!("run {} has no label", run.id));
        let kind = kind_of(run).ok_or_else(none)?;
        let operator = operator_of(self.people, run).await?;
        let of_station = (self.practice, self.air_gapped);
        paper(run, profile, kind, of_station, operator.as_deref()).ok_or_else(none)?.zpl
    }

    /// Is this what a scanner reads off that label?
    pub async fn is_on_label(self, profile: &Profile, run: &Run, scan: &str) -> Result<bool, Failure> {
        // White space at an end is what scanners add and cut off.
        Ok(label::codes(&self.filled(profile, run).await?).iter().any(|code| code.trim() == scan.trim()))
    }
}

/// The name of whoever operated the run; forgotten, it is on no label any more.
pub async fn operator_of(people: &dyn People, run: &Run) -> Result<Option<String>, Failure> {
    let Some(operator) = &run.operator else { return Ok(None) };
    Ok(people.person_by_id(operator.id).await?.and_then(|person| person.name))
}

fn kind_of(run: &Run) -> Option<LabelKind> {
    match &run.label {
        Label::NotOwed => None,
        Label::Owed(kind) | Label::Intended(kind) | Label::Ended(kind, ..) => Some(*kind),
    }
}

/// The label that is out becomes void, and another copy is owed. O-606 where none is out: one that is owed comes
/// by itself, and one of which nobody knows is asked about.
pub async fn replace(shared: &Shared, run: &Run, reason: &RulingReason) -> Result<Run, Failure> {
    let log = &shared.log;
    let Label::Ended(kind, LabelStatus::Printed, _) = &run.label else {
        let cause = format!("no label of run {} is out that another one could take the place of", run.id);
        return Err(Failure::new(ReasonCode::NOT_NOW, cause));
    };
    let reason = commit_text(log, &*shared.people, reason.as_str()).await?;
    record(shared, run, RunEvent::LabelReplaced { kind: *kind, copy: run.copy.saturating_add(1), reason }).await
}

/// The label on this run's board was scanned, and is the right one.
pub async fn confirm(shared: &Shared, run: &Run) -> Result<Run, Failure> {
    let unconfirmed = || Failure::new(ReasonCode::NOT_NOW, format!("no label of run {} waits to be scanned", run.id));
    let kind = kind_of(run).ok_or_else(unconfirmed)?;
    record(shared, run, RunEvent::LabelConfirmed { kind, copy: run.copy }).await
}

async fn record(shared: &Shared, run: &Run, event: RunEvent) -> Result<Run, Failure> {
    let event = shared.log.run_event(run.id, event)?;
    let mut changed = run.clone();
    for logged in shared.log.append_to(run, vec![event]).await? {
        changed.apply(&logged).map_err(|error| Failure::new(ReasonCode::STORE_FAILED, error.to_string()))?;
    }
    Ok(changed)
}

/// Is this run's label to be scanned back, and has not been?
pub fn waits_to_be_scanned(run: &Run, profile: &Profile) -> bool {
    let out = matches!(run.label, Label::Ended(LabelKind::Unit, LabelStatus::Printed, _));
    out && !run.confirmed && profile.label.as_ref().is_some_and(|plan| plan.scan_back)
}

/// Whose label a scan was taken from, by what is on labels: fingerprint, thing name, serial number.
pub async fn unit_of_scan(history: &dyn History, scan: &str) -> Result<Option<Unit>, Failure> {
    let words = || scan.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|word| !word.is_empty());
    for word in words().filter(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        let search = Search { fingerprint: Some(word.to_ascii_lowercase()), ..Search::default() };
        if let Some(unit) = newest(history, &search).await? {
            return Ok(Some(unit));
        }
    }
    for word in words() {
        let search = Search { thing: Some(word.to_owned()), ..Search::default() };
        if let Some(unit) = newest_named(history, &search, word).await? {
            return Ok(Some(unit));
        }
        if let [unit] = &history.units(word).await?[..] {
            return Ok(Some(unit.clone()));
        }
    }
    Ok(None)
}

async fn newest(history: &dyn History, search: &Search) -> Result<Option<Unit>, Failure> {
    let page = history.search(search, None, 1).await?;
    Ok(page.items.into_iter().find_map(|found| match found {
        Found::Run(run) => run.unit,
        Found::Imported(row) => Some(row.unit),
        Found::Ruling(_) => None,
    }))
}

/// A search is for a beginning: what is longer is another thing.
async fn newest_named(history: &dyn History, search: &Search, thing: &str) -> Result<Option<Unit>, Failure> {
    let page = history.search(search, None, 1).await?;
    Ok(page.items.into_iter().find_map(|found| match found {
        Found::Run(run) if run.thing.as_ref().is_some_and(|name| name.as_str() == thing) => run.unit,
        _ => None,
    }))
}

/// The run that has the unit's label; else its latest one with any paper.
pub async fn run_with_label(history: &dyn History, unit: &Unit) -> Result<Run, Failure> {
    let known = history.unit(unit).await?.map(|history| history.runs).unwrap_or_default();
    let runs = known.iter().map(fold).collect::<Result<Vec<_>, _>>()?;
    let labelled = |run: &&Run| run.verdict() == Some(Verdict::Pass) && kind_of(run) == Some(LabelKind::Unit);
    let run = runs.iter().rev().find(labelled).or_else(|| runs.iter().rev().find(|run| kind_of(run).is_some()));
    run.cloned().ok_or_else(|| Failure::new(ReasonCode::NOT_NOW, format!("{unit} has no label")))
}
