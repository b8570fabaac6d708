//! A run as every document has it: the same columns by the same names.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::ports::ReportedRun;

/// A run and what its report says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub run: ReportedRun,
    /// How the report names who operated it.
    pub operator: Option<String>,
    /// On which it began.
    pub day: Date,
    /// On which its shift began; where no shift is planned, the day.
    pub shift_day: Date,
    pub shift: Option<String>,
    /// It is an attempt at a unit.
    pub counted: bool,
    /// It decides its unit's first-pass yield of the day.
    pub first_of_day: bool,
}

/// A value with its type, for documents that have types.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell<'l> {
    Nothing,
    Text(Cow<'l, str>),
    Count(u64),
    Yes(bool),
    Day(Date),
    Time(Timestamp),
}

impl std::fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Nothing => Ok(()),
            Cell::Text(text) => f.write_str(text),
            Cell::Count(count) => count.fmt(f),
            Cell::Yes(yes) => yes.fmt(f),
            Cell::Day(day) => day.fmt(f),
            Cell::Time(time) => time.fmt(f),
        }
    }
}

/// What kind of [`Cell`] a column has, apart from those with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Count,
    Yes,
    Day,
    Time,
}

pub struct Column {
    /// In CSV, JSON and Parquet: scripts rely on it.
    pub name: &'static str,
    pub kind: Kind,
    pub cell: for<'l> fn(&'l Line) -> Cell<'l>,
}

fn text<'l>(text: impl Into<Cow<'l, str>>) -> Cell<'l> {
    Cell::Text(text.into())
}

fn may<'l>(value: Option<impl Into<Cow<'l, str>>>) -> Cell<'l> {
    value.map_or(Cell::Nothing, text)
}

/// In their order.
pub fn columns() -> &'static [Column] {
    const fn column(name: &'static str, kind: Kind, cell: for<'l> fn(&'l Line) -> Cell<'l>) -> Column {
        Column { name, kind, cell }
    }
    const COLUMNS: &[Column] = &[
        column("product", Kind::Text, |line| text(line.run.product.as_str())),
        column("serial", Kind::Text, |line| may(line.run.serial.as_deref())),
        column("batch", Kind::Text, |line| may(line.run.batch.as_ref().map(|batch| batch.as_str()))),
        column("station", Kind::Text, |line| text(line.run.station.as_str())),
        column("lane", Kind::Count, |line| Cell::Count(line.run.lane.get().into())),
        column("operator", Kind::Text, |line| may(line.operator.as_deref())),
        column("started", Kind::Time, |line| Cell::Time(line.run.started)),
        column("finished", Kind::Time, |line| Cell::Time(line.run.finished)),
        column("day", Kind::Day, |line| Cell::Day(line.day)),
        column("shift", Kind::Text, |line| may(line.shift.as_deref())),
        column("verdict", Kind::Text, |line| text(line.run.verdict.as_str())),
        column("reason", Kind::Text, |line| may(line.run.reason.map(|reason| reason.as_str()))),
        column("counted", Kind::Yes, |line| Cell::Yes(line.counted)),
        column("first_of_day", Kind::Yes, |line| Cell::Yes(line.first_of_day)),
        column("thing", Kind::Text, |line| may(line.run.thing.as_ref().map(|thing| thing.as_str()))),
        column("certificate_sha256", Kind::Text, |line| may(line.run.fingerprint.map(|print| print.to_string()))),
        column("chip_uid", Kind::Text, |line| may(line.run.uid.as_ref().map(|uid| uid.as_str()))),
        column("run", Kind::Text, |line| text(line.run.run.to_string())),
        column("log_seq", Kind::Count, |line| Cell::Count(line.run.sealed)),
    ];
    COLUMNS
}
