//! What can be wrong with a configuration, and how it is said.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::{Failure, Invalid, ReasonCode, TemplateError};

/// Every mistake of one [`load`](super::load): never empty, in the order of the files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }

    pub(super) fn unread(path: &Path) -> Self {
        let mistake = Mistake::Unreadable { cause: "nothing could be read from it".into() };
        Self(vec![Problem { file: path.to_owned(), line: None, column: None, mistake }])
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Failure::new(ReasonCode::CONFIG_INVALID, errors.to_string()).with("count", errors.0.len())
    }
}

/// One mistake and where it stands. Shown as `file:line: mistake`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; `None` where the mistake is that something is not there at all.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    pub mistake: Mistake,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.mistake)
    }
}

/// `key` fields already name the section: `"baud" in [identify]`. Values that may be secret are never
/// part of a mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    #[error("cannot be read: {cause}")]
    Unreadable { cause: String },
    #[error("is not UTF-8 text")]
    NotUtf8,
    #[error("not TOML: {message}")]
    Syntax { message: String },
    #[error("unknown key {key}{}", hint(.nearest.as_deref(), .known))]
    UnknownKey { key: String, nearest: Option<String>, known: Vec<String> },
    #[error("{key} is missing")]
    Missing { key: String },
    #[error("{key} must be {expected}, not {found}")]
    WrongType { key: String, expected: &'static str, found: &'static str },
    #[error("{key} is empty")]
    Empty { key: String },
    #[error("{key} is {value}: allowed are {min} to {max}{unit}")]
    OutOfRange { key: String, value: String, min: i64, max: i64, unit: &'static str },
    #[error("{key} is {value:?}{}", hint(.nearest.as_deref(), .allowed))]
    NotAChoice { key: String, value: String, nearest: Option<String>, allowed: Vec<String> },
    #[error("{key}: {invalid}")]
    Invalid { key: String, invalid: Invalid },
    #[error("{key} is no regular expression: {message}")]
    BadRegex { key: String, message: String },
    #[error("{key} has no named group (?P<{group}>…)")]
    NoGroup { key: String, group: &'static str },
    #[error("{key} has a group {group:?}, which would hide the variable of that name")]
    HidingGroup { key: String, group: String },
    #[error("{key} matches an empty answer: it would not wait for the board")]
    MatchesEmpty { key: String },
    #[error("{key}: {error}")]
    BadTemplate { key: String, error: TemplateError },
    #[error("{key}: there is no variable {{{name}}}{}", hint(.nearest.as_deref(), .known))]
    UnknownVariable { key: String, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("{key} {value:?} is there twice; first in {first}")]
    Duplicate { key: String, value: String, first: String },
    #[error("{key} names the {what} {name:?}, which does not exist{}", hint(.nearest.as_deref(), .known))]
    Dangling { key: String, what: &'static str, name: String, nearest: Option<String>, known: Vec<String> },
    #[error("{key} has no meaning here: {because}")]
    Meaningless { key: String, because: String },
    #[error("{key} and {other} exclude each other")]
    Exclusive { key: String, other: String },
    #[error("{key}: {because}")]
    Refused { key: String, because: String },
    #[error("{key} is {value:?}: {because}")]
    BadValue { key: String, value: String, because: String },
    #[error("{key}: {path} {because}", path = .path.display())]
    BadFile { key: String, path: PathBuf, because: String },
}

/// `; did you mean "x"?`, or what there is to choose from.
fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean {nearest:?}?"),
        None if known.is_empty() => String::new(),
        None => {
            let list: Vec<String> = known.iter().map(|name| format!("{name:?}")).collect();
            format!("; there {} {}", if list.len() == 1 { "is" } else { "are" }, list.join(", "))
        }
    }
}

/// The right word that was most likely meant by `wrong`, if any is near.
pub(super) fn nearest<'a>(wrong: &str, right: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Swapped and forgotten letters count by edits; forgotten endings ("timeout") by common prefix.
    let likeness = |word: &str| {
        let edits = strsim::normalized_damerau_levenshtein(&wrong.to_lowercase(), &word.to_lowercase());
        let prefix = strsim::jaro_winkler(&wrong.to_lowercase(), &word.to_lowercase());
        (edits >= 0.6 || prefix >= 0.85).then(|| edits.max(prefix))
    };
    right
        .into_iter()
        .filter_map(|word| likeness(word).map(|score| (score, word)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word.to_owned())
}

/// Where all mistakes of one load are gathered.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: RefCell<Vec<Problem>>,
    /// In the order in which they were opened.
    files: RefCell<Vec<PathBuf>>,
    /// Whatever else they name.
    named: RefCell<Vec<PathBuf>>,
}

impl Problems {
    pub fn opened(&self, file: &Path) {
        self.files.borrow_mut().push(file.to_owned());
    }

    pub fn named(&self, path: &Path) {
        self.named.borrow_mut().push(path.to_owned());
    }

    /// What the configuration consists of, and what it trusts or keeps secret.
    pub fn files(&self) -> Vec<PathBuf> {
        let (opened, named) = (self.files.borrow(), self.named.borrow());
        opened.iter().chain(named.iter().filter(|path| path.is_file())).cloned().collect()
    }

    pub fn push(&self, problem: Problem) {
        self.list.borrow_mut().push(problem);
    }

    pub fn into_errors(self) -> Option<ConfigErrors> {
        let files = self.files.into_inner();
        let mut list = self.list.into_inner();
        // Stable: mistakes at one place stay in the order in which they were found.
        list.sort_by_key(|problem| {
            let file = files.iter().position(|file| *file == problem.file).unwrap_or(usize::MAX);
            (file, problem.line, problem.column)
        });
        if list.is_empty() { None } else { Some(ConfigErrors(list)) }
    }
}
