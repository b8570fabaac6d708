//! Whose events they are: all of one unit's, or the bundle is none; and how its runs ended.

use serde::Deserialize as _;
use serde_json::Value;

use super::event_name;
use super::verify::BundleError;
use crate::domain::{RunId, Unit, Verdict};

/// A run of the unit, as far as the bundle has it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RunShown {
    pub run: RunId,
    /// What was sealed last; `None`: that event is not here.
    pub verdict: Option<Verdict>,
    /// The code of the verdict's reason, which may be one of a later version.
    pub reason: Option<String>,
}

/// The unit's runs, in the order in which they begin here. Read as JSON, since an event of a later version
/// belongs to somebody, too.
///
/// # Errors
/// [`BundleError::Foreign`] for an event of a run that nothing here ties to the unit, and for a ruling or an
/// imported row of another one; [`BundleError::NotOfUnit`] where nothing is the unit's.
pub(super) fn runs_of<'e>(
    unit: &Unit,
    events: impl Iterator<Item = (u64, &'e [u8])>,
) -> Result<Vec<RunShown>, BundleError> {
    // Of each run, the first of its events, and whether one says that it is the unit's.
    let mut runs: Vec<(u64, bool, RunShown)> = Vec::new();
    let mut others = 0;
    for (seq, bytes) in events {
        let event: Value = read(seq, serde_json::from_slice(bytes))?;
        let kind = event["event"].as_str().unwrap_or_default();
        let names_the_unit = || Unit::deserialize(&event["unit"]).is_ok_and(|named| named == *unit);
        let foreign = || BundleError::Foreign { seq, unit: unit.clone() };
        if event["run"].is_null() {
            if matches!(kind, "ruled" | "withdrawn" | "imported") {
                others += 1;
                names_the_unit().then_some(()).ok_or_else(foreign)?;
            }
            continue;
        }
        let run: RunId = read(seq, RunId::deserialize(&event["run"]))?;
        let at = runs.iter().position(|(_, _, shown)| shown.run == run).unwrap_or_else(|| {
            runs.push((seq, false, RunShown { run, verdict: None, reason: None }));
            runs.len() - 1
        });
        let (_, identified, shown) = &mut runs[at];
        match kind {
            "identified" | "claimed" if !names_the_unit() => return Err(foreign()),
            "identified" => *identified = true,
            "sealed" => {
                shown.verdict = Some(read(seq, Verdict::deserialize(&event["verdict"]))?);
                shown.reason = event.pointer("/reason/code").and_then(Value::as_str).map(str::to_owned);
            }
            _ => {}
        }
    }
    if let Some((seq, ..)) = runs.iter().find(|(_, identified, _)| !identified) {
        return Err(BundleError::Foreign { seq: *seq, unit: unit.clone() });
    }
    if runs.is_empty() && others == 0 {
        return Err(BundleError::NotOfUnit(unit.clone()));
    }
    Ok(runs.into_iter().map(|(_, _, shown)| shown).collect())
}

fn read<T>(seq: u64, value: Result<T, serde_json::Error>) -> Result<T, BundleError> {
    value.map_err(|error| BundleError::Unreadable { name: event_name(seq), cause: error.to_string() })
}
