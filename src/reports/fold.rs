//! Runs become figures, one unit at a time.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::Calendar;
use super::figures::{By, Figures, Group, Hour, Reason, Yield, counts};
use super::line::Line;
use super::steps::{self, Sample, Timed};
use crate::domain::{ReasonCode, Verdict};
use crate::ports::ReportedRun;

/// A run, and how its report names who operated it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub run: ReportedRun,
    pub operator: Option<String>,
}

/// Takes runs as [`Reports::runs`](crate::ports::Reports::runs) has them: those of a unit together, in their order.
pub struct Fold {
    calendar: Calendar,
    /// Those of the unit that is being taken.
    unit: Vec<Seen>,
    figures: Figures,
    groups: BTreeMap<By, BTreeMap<Key, Yield>>,
    reasons: BTreeMap<&'static str, Reason>,
    hours: BTreeMap<String, Hour>,
    sample: Sample,
}

/// Groups are ordered by it and named by it.
type Key = (Option<String>, Option<String>, u8);

impl Fold {
    pub fn new(calendar: Calendar) -> Self {
        let groups = By::ALL.into_iter().map(|by| (by, BTreeMap::new())).collect();
        Self {
            calendar,
            unit: Vec::new(),
            figures: Figures::default(),
            groups,
            reasons: BTreeMap::new(),
            hours: BTreeMap::new(),
            sample: Sample::default(),
        }
    }

    /// The lines of the unit before, once another one begins.
    pub fn take(&mut self, seen: Seen) -> Vec<Line> {
        let same = self.unit.last().is_some_and(|last| {
            last.run.serial.is_some() && last.run.serial == seen.run.serial && last.run.product == seen.run.product
        });
        let lines = if same { Vec::new() } else { self.end_unit() };
        self.unit.push(seen);
        lines
    }

    /// The last unit's lines.
    pub fn end_unit(&mut self) -> Vec<Line> {
        let unit = std::mem::take(&mut self.unit);
        self.count_unit(&unit);
        let mut days = Vec::<(Date, Vec<usize>)>::new();
        let mut lines = Vec::with_capacity(unit.len());
        for (at, Seen { run, operator }) in unit.into_iter().enumerate() {
            let day = self.calendar.day_of(run.started);
            let counted = run.serial.is_some() && counts(run.verdict);
            if counted {
                match days.iter_mut().find(|(known, _)| *known == day) {
                    Some((_, attempts)) => attempts.push(at),
                    None => days.push((day, vec![at])),
                }
            }
            self.count_run(&run);
            let (shift_day, shift) = self.calendar.shift_of(run.started);
            lines.push(Line { run, operator, day, shift_day, shift, counted, first_of_day: false });
        }
        for (_, attempts) in &days {
            let first = attempts.first().copied().unwrap_or_default();
            // The first that began; the last that was decided: a HELD run may be decided after later ones.
            let last = attempts.iter().copied().max_by_key(|at| lines[*at].run.sealed).unwrap_or(first);
            lines[first].first_of_day = true;
            let count = Yield {
                attempts: attempts.len() as u64,
                units: 1,
                first_passes: u64::from(lines[first].run.verdict == Verdict::Pass),
                final_passes: u64::from(lines[last].run.verdict == Verdict::Pass),
                retested: u64::from(attempts.len() > 1),
            };
            self.count_day(&lines[first], count);
        }
        lines
    }

    /// The runs whose steps' times are to be looked up for [`figures`](Self::figures).
    pub fn sample(&self) -> Vec<crate::domain::RunId> {
        self.sample.runs()
    }

    /// `timed`: what the log has of the sample's steps.
    pub fn figures(mut self, timed: &[Timed]) -> Figures {
        self.end_unit();
        let mut figures = self.figures;
        figures.groups = self.groups.into_iter().map(|(by, groups)| (by, named(by, groups))).collect();
        figures.reasons = self.reasons.into_values().collect();
        // Codes that are as frequent stay in their own order.
        figures.reasons.sort_by_key(|reason| std::cmp::Reverse(reason.runs()));
        figures.hours = self.hours.into_values().collect();
        figures.steps = steps::times(timed);
        figures
    }

    fn count_run(&mut self, run: &ReportedRun) {
        self.figures.runs += 1;
        *self.figures.verdicts.entry(run.verdict.as_str()).or_default() += 1;
        if !counts(run.verdict) {
            return;
        }
        let passed = run.verdict == Verdict::Pass;
        if let Some(code) = run.reason.filter(|_| !passed) {
            let reason = self.reasons.entry(ReasonCode::as_str(code)).or_insert(Reason { code, failed: 0, errors: 0 });
            match run.verdict {
                Verdict::Fail => reason.failed += 1,
                _ => reason.errors += 1,
            }
        }
        let hour = self.calendar.hour_of(run.finished);
        let entry = self.hours.entry(hour.clone()).or_insert(Hour { hour, attempts: 0, passes: 0 });
        entry.attempts += 1;
        entry.passes += u64::from(passed);
        if !run.resumed {
            self.sample.offer(run.run);
        }
    }

    /// By the verdict that came last, as the batch's tally has it.
    fn count_unit(&mut self, unit: &[Seen]) {
        let decided = |seen: &&Seen| seen.run.verdict != Verdict::Aborted && !seen.run.came_back;
        let unit_has_serial = unit.first().is_some_and(|seen| seen.run.serial.is_some());
        if !unit_has_serial {
            return;
        }
        let latest = unit.iter().filter(decided).max_by_key(|seen| seen.run.sealed);
        let units = &mut self.figures.units;
        match latest.map(|seen| seen.run.verdict) {
            Some(Verdict::Pass) => units.passed += 1,
            Some(Verdict::Fail) => units.failed += 1,
            Some(Verdict::Error) => units.errors += 1,
            Some(Verdict::Held) => units.held += 1,
            Some(Verdict::Aborted) | None => {}
        }
        units.scrapped += u64::from(unit.iter().any(|seen| seen.run.scrapped));
    }

    fn count_day(&mut self, first: &Line, count: Yield) {
        add(&mut self.figures.total, count);
        let run = &first.run;
        for (by, groups) in &mut self.groups {
            let key = match by {
                By::Day => (Some(first.day.to_string()), None, 0),
                By::Shift => (Some(first.shift_day.to_string()), first.shift.clone(), 0),
                By::Lane => (Some(run.station.to_string()), None, run.lane.get()),
                By::Station => (Some(run.station.to_string()), None, 0),
                By::Operator => (first.operator.clone(), None, 0),
                By::Product => (Some(run.product.to_string()), None, 0),
            };
            add(groups.entry(key).or_default(), count);
        }
    }
}

fn named(by: By, groups: BTreeMap<Key, Yield>) -> Vec<Group> {
    let name = |(first, second, lane): Key| match (by, first, second) {
        (By::Lane, Some(station), _) => Some(format!("{station}/{lane}")),
        (By::Shift, Some(day), Some(shift)) => Some(format!("{day} {shift}")),
        (_, first, _) => first,
    };
    groups.into_iter().map(|(key, count)| Group { name: name(key), count }).collect()
}

fn add(to: &mut Yield, count: Yield) {
    to.attempts += count.attempts;
    to.units += count.units;
    to.first_passes += count.first_passes;
    to.final_passes += count.final_passes;
    to.retested += count.retested;
}
