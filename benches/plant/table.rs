//! What was measured, beside what was promised.

use std::fmt;
use std::time::Duration;

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    figure: String,
    target: String,
    kept: Option<bool>,
}

impl Table {
    /// A time that must not be exceeded.
    pub fn at_most(&mut self, name: impl Into<String>, took: Duration, target: Duration) {
        self.row(name, format!("{:.2} ms", millis(took)), format!("≤ {} ms", millis(target)), Some(took <= target));
    }

    pub fn ratio_at_most(&mut self, name: impl Into<String>, ratio: f64, target: f64) {
        self.row(name, format!("{ratio:.2} ×"), format!("≤ {target} ×"), Some(ratio <= target));
    }

    /// A rate or a ratio that must be reached.
    pub fn at_least(&mut self, name: impl Into<String>, figure: f64, unit: &str, target: f64) {
        self.row(name, format!("{figure:.1} {unit}"), format!("≥ {target} {unit}"), Some(figure >= target));
    }

    /// What is only told.
    pub fn note(&mut self, name: impl Into<String>, figure: impl Into<String>) {
        self.row(name, figure, "", None);
    }

    pub fn kept(&self) -> bool {
        self.rows.iter().all(|row| row.kept != Some(false))
    }

    fn row(
        &mut self,
        name: impl Into<String>,
        figure: impl Into<String>,
        target: impl Into<String>,
        kept: Option<bool>,
    ) {
        let row = Row { name: name.into(), figure: figure.into(), target: target.into(), kept };
        println!("{row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = match self.kept {
            Some(true) => "kept",
            Some(false) => "NOT KEPT",
            None => "",
        };
        write!(f, "{:<62}{:>16}  {:<12}{kept}", self.name, self.figure, self.target)
    }
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Times of one thing that was done again and again.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn push(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// The smallest time that `share` of them do not exceed; 0 for none.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}
