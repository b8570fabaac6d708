//! A cursor over one TOML table: typed getters that report what is wrong and go on.
//!
//! A section remembers every key it was asked for. When it is dropped, the keys that nobody asked for
//! are unknown; so a reader asks for all of a section's keys before it gives up on any.

use std::cell::{Cell, RefCell};
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Mistake, nearest};
use super::source::Source;
use crate::domain::{Invalid, Template};

/// One table: the file itself, `[token]`, or one of `[[lanes]]`.
pub(super) struct Section<'a> {
    pub source: &'a Source<'a>,
    table: &'a DeTable<'a>,
    /// `[token]`; empty for the file itself.
    title: String,
    /// `None` for the file itself.
    span: Option<Range<usize>>,
    known: RefCell<Vec<&'static str>>,
    missing: RefCell<Vec<&'static str>>,
    /// Its keys are the user's own.
    free: Cell<bool>,
}

impl<'a> Section<'a> {
    pub fn top(source: &'a Source<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            source,
            table,
            title: String::new(),
            span: None,
            known: RefCell::default(),
            missing: RefCell::default(),
            free: Cell::default(),
        }
    }

    /// A key that may be absent.
    pub fn optional(&self, key: &'static str) -> Option<Entry<'a>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        drop(known);
        let (spanned, value) = self.table.get_key_value(key)?;
        Some(Entry { source: self.source, name: self.name(key), key_span: spanned.span(), value })
    }

    /// A key that has to be there; its absence is reported when the section is dropped.
    pub fn required(&self, key: &'static str) -> Option<Entry<'a>> {
        let entry = self.optional(key);
        if entry.is_none() {
            self.missing.borrow_mut().push(key);
        }
        entry
    }

    /// These keys exist, but not together with what was chosen elsewhere.
    pub fn meaningless(&self, keys: &[&'static str], because: &str) {
        for key in keys {
            if let Some(entry) = self.optional(key) {
                entry.report(Mistake::Meaningless { key: entry.name.clone(), because: because.to_owned() });
            }
        }
    }

    /// All entries, for tables whose keys are the user's own: none of them is unknown.
    pub fn user_entries(&self) -> Vec<(&'a str, Entry<'a>)> {
        self.free.set(true);
        self.table
            .iter()
            .map(|(key, value)| {
                let name = self.name(key.get_ref());
                (key.get_ref().as_ref(), Entry { source: self.source, name, key_span: key.span(), value })
            })
            .collect()
    }

    /// Reports against the section as a whole.
    pub fn report(&self, mistake: Mistake) {
        self.source.report(self.span.clone(), mistake);
    }

    /// `"baud" in [identify]`.
    pub fn name(&self, key: &str) -> String {
        if self.title.is_empty() { format!("{key:?}") } else { format!("{key:?} in {}", self.title) }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.free.get() {
            return;
        }
        let known = self.known.borrow();
        let mut meant = Vec::new();
        for key in self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            // A key that is already there was not meant.
            let free = known.iter().copied().filter(|right| !self.table.contains_key(*right));
            let guess = nearest(key.get_ref(), free).or_else(|| nearest(key.get_ref(), known.iter().copied()));
            meant.extend(guess.clone());
            let mistake = Mistake::UnknownKey {
                key: self.name(key.get_ref()),
                nearest: guess,
                known: known.iter().map(|key| (*key).to_owned()).collect(),
            };
            self.source.report(Some(key.span()), mistake);
        }
        // A misspelt key is one mistake, not two.
        for key in self.missing.borrow().iter().filter(|key| !meant.iter().any(|name| name == **key)) {
            self.report(Mistake::Missing { key: self.name(key) });
        }
    }
}

/// One key and its value, or one item of a list.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub source: &'a Source<'a>,
    /// `"baud" in [identify]`.
    pub name: String,
    key_span: Range<usize>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    pub fn string(&self) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.wrong_type("a string"),
        }
    }

    /// A string with something in it.
    pub fn text(&self) -> Option<&'a str> {
        let text = self.string()?;
        if text.trim().is_empty() {
            self.report(Mistake::Empty { key: self.name.clone() });
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.wrong_type("true or false"),
        }
    }

    pub fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        self.integer_of(range, "")
    }

    /// A duration, written in milliseconds.
    pub fn millis(&self, range: RangeInclusive<i64>) -> Option<Duration> {
        let millis = self.integer_of(range, " milliseconds")?;
        u64::try_from(millis).ok().map(Duration::from_millis)
    }

    fn integer_of(&self, range: RangeInclusive<i64>, unit: &'static str) -> Option<i64> {
        let DeValue::Integer(integer) = self.value.get_ref() else {
            return self.wrong_type("an integer");
        };
        // Too long for 64 bits is out of range like anything else.
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|value| range.contains(value));
        if value.is_none() {
            let (min, max) = (*range.start(), *range.end());
            self.report(Mistake::OutOfRange { key: self.name.clone(), value: integer.to_string(), min, max, unit });
        }
        value
    }

    /// An integer as such or nothing, without a complaint.
    pub fn is_integer(&self) -> bool {
        self.value.get_ref().is_integer()
    }

    /// A domain value, by its own parser.
    pub fn parsed<T: FromStr<Err = Invalid>>(&self) -> Option<T> {
        match self.string()?.parse() {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.report(Mistake::Invalid { key: self.name.clone(), invalid });
                None
            }
        }
    }

    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string()?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        self.report(Mistake::NotAChoice {
            key: self.name.clone(),
            value: text.to_owned(),
            nearest: nearest(text, choices.iter().map(|(name, _)| *name)),
            allowed: choices.iter().map(|(name, _)| (*name).to_owned()).collect(),
        });
        None
    }

    pub fn regex(&self) -> Option<regex::Regex> {
        let text = self.text()?;
        regex::Regex::new(text).map_err(|error| self.bad_regex(&error)).ok()
    }

    /// On bytes, as they come from a board.
    pub fn bytes_regex(&self) -> Option<regex::bytes::Regex> {
        let text = self.text()?;
        regex::bytes::Regex::new(text).map_err(|error| self.bad_regex(&error)).ok()
    }

    /// A regular expression that has to match the whole text.
    pub fn whole_regex(&self) -> Option<regex::Regex> {
        self.regex()?;
        let whole = format!(r"\A(?:{})\z", self.string()?);
        regex::Regex::new(&whole).map_err(|error| self.bad_regex(&error)).ok()
    }

    /// A template whose variables are all among `known`.
    pub fn template(&self, known: &Known) -> Option<Template> {
        let template = self.parse_template(self.string()?)?;
        self.knows(&template, known).then_some(template)
    }

    pub fn parse_template(&self, text: &str) -> Option<Template> {
        match Template::parse(text) {
            Ok(template) => Some(template),
            Err(error) => {
                self.report(Mistake::BadTemplate { key: self.name.clone(), error });
                None
            }
        }
    }

    /// Reports the variables of `template` that do not exist.
    pub fn knows(&self, template: &Template, known: &Known) -> bool {
        let mut all = true;
        for name in known.strange(template) {
            all = false;
            self.report(known.mistake(&self.name, name));
        }
        all
    }

    /// A path that is not empty, relative to the file that names it.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.module()?;
        self.source.problems.named(&path);
        Some(path)
    }

    /// The same for a PKCS#11 module, which may see itself.
    pub fn module(&self) -> Option<PathBuf> {
        Some(self.source.resolve(self.text()?))
    }

    /// The items of a list; `None`: it is no list.
    pub fn items(&self) -> Option<Vec<Entry<'a>>> {
        let DeValue::Array(array) = self.value.get_ref() else {
            return self.wrong_type("a list");
        };
        let item = |value: &'a Spanned<DeValue<'a>>| Entry { value, key_span: value.span(), ..self.clone() };
        Some(array.iter().map(item).collect())
    }

    /// The items of a list that has to hold some.
    pub fn some_items(&self) -> Option<Vec<Entry<'a>>> {
        let items = self.items()?;
        if items.is_empty() {
            self.report(Mistake::Empty { key: self.name.clone() });
            return None;
        }
        Some(items)
    }

    /// The table below this key.
    pub fn section(&self, title: impl Into<String>) -> Option<Section<'a>> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return self.wrong_type("a table");
        };
        Some(Section {
            source: self.source,
            table,
            title: title.into(),
            span: Some(self.value.span()),
            known: RefCell::default(),
            missing: RefCell::default(),
            free: Cell::default(),
        })
    }

    /// Reports against this key.
    pub fn report(&self, mistake: Mistake) {
        self.source.report(Some(self.key_span.clone()), mistake);
    }

    pub fn refuse(&self, because: impl Into<String>) {
        self.report(Mistake::Refused { key: self.name.clone(), because: because.into() });
    }

    /// Line and column of this key.
    pub fn place(&self) -> String {
        format!("line {}", self.source.position(self.key_span.start).0)
    }

    fn wrong_type<T>(&self, expected: &'static str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(Mistake::WrongType { key: self.name.clone(), expected, found });
        None
    }

    fn bad_regex(&self, error: &regex::Error) {
        // The crate draws a picture over several lines; its last line says what is wrong.
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        let message = last.trim().strip_prefix("error: ").unwrap_or(last.trim()).to_owned();
        self.report(Mistake::BadRegex { key: self.name.clone(), message });
    }
}

/// The variables that a template may name.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub names: Vec<String>,
    /// `false`: where they come from could not be read, so a strange name is not held against anyone.
    pub complete: bool,
    /// Of those that are known by now.
    pub values: Vec<(&'static str, String)>,
}

impl Known {
    /// The names in `template` that do not exist.
    pub fn strange<'t>(&'t self, template: &'t Template) -> impl Iterator<Item = &'t str> {
        template.variables().filter(|name| self.complete && !self.names.iter().any(|known| known == name))
    }

    pub fn mistake(&self, key: &str, name: &str) -> Mistake {
        Mistake::UnknownVariable {
            key: key.to_owned(),
            name: name.to_owned(),
            nearest: nearest(name, self.names.iter().map(String::as_str)),
            known: self.names.clone(),
        }
    }
}
