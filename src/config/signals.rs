//! `[signals]`: commands for sounds and a signal tower.

use super::section::{Entry, Section};
use super::station::all;

/// A program and its arguments.
pub type Words = Vec<String>;

/// Which command is run for what; none for what is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signals {
    pub pass: Option<Words>,
    pub fail: Option<Words>,
    pub error: Option<Words>,
    pub aborted: Option<Words>,
    pub held: Option<Words>,
    /// Is given what it has to show, as a further argument.
    pub tower: Option<Words>,
}

impl Signals {
    pub fn is_empty(&self) -> bool {
        *self == Signals::default()
    }
}

pub(super) fn read(entry: &Entry<'_>) -> Option<Signals> {
    let section = entry.section("[signals]")?;
    let [pass, fail, error, aborted, held, tower] =
        ["pass", "fail", "error", "aborted", "held", "tower"].map(|key| words(&section, key));
    Some(Signals { pass: pass?, fail: fail?, error: error?, aborted: aborted?, held: held?, tower: tower? })
}

/// A program with a slash is relative to the file, like every path; one without is looked for in PATH.
fn words(section: &Section<'_>, key: &'static str) -> Option<Option<Words>> {
    let Some(entry) = section.optional(key) else { return Some(None) };
    let items = entry.some_items()?;
    let mut first = true;
    let words = all(&items, |item| {
        let program = std::mem::take(&mut first);
        let text = item.string()?;
        if text.contains('\0') || (program && text.trim().is_empty()) {
            item.refuse("is no program that could be run: [\"program\", \"argument\", …]");
            return None;
        }
        match program && text.contains('/') {
            true => Some(item.module()?.to_string_lossy().into_owned()),
            false => Some(text.to_owned()),
        }
    });
    words.map(Some)
}
