//! What a batch, a shift, a unit looks like on paper: runs become figures and documents.
//!
//! Runs come in as [`Reports`](crate::ports::Reports) has them, one unit after the other; a [`Fold`] makes
//! [`Figures`] of them and a [`Document`] writes them down, neither of which keeps more than one unit's. Every
//! format has the same figures because there is this one fold.
//!
//! The rules of yield (per unit and day, by attempt, as TofuPilot counts it): an attempt is a run that ended PASS,
//! FAIL or ERROR. ABORTED is none, nor is HELD until it is decided. A unit counts once for each day on which it has an
//! attempt, by the one that began first for first-pass yield and by the one decided last for final yield; it is a
//! retest where it has several. A unit's day counts for the lane, station, person, product and shift of its first attempt.

mod calendar;
mod csv;
mod document;
mod figures;
mod fold;
mod json;
mod line;
mod steps;
#[cfg(test)]
mod tests;

pub use calendar::Calendar;
pub use document::{Document, Style, document};
pub use figures::{BatchHead, By, Figures, Group, Head, Hour, Reason, Report, StepTimes, Units, Yield};
pub use fold::{Fold, Seen};
pub use line::{Cell, Column, Line, columns};
pub use steps::Timed;
