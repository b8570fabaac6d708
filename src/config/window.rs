//! How the window begins, and what the barcode scanner types around a code.

use super::section::Entry;

/// `[window]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// Until another one is chosen by key.
    pub theme: Look,
}

/// A set of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    #[default]
    Light,
    Dark,
    /// Black and white, for weak eyes and bad light.
    Contrast,
}

impl Look {
    pub const ALL: [Look; 3] = [Look::Light, Look::Dark, Look::Contrast];

    /// As it stands in files.
    pub fn name(self) -> &'static str {
        match self {
            Look::Light => "light",
            Look::Dark => "dark",
            Look::Contrast => "contrast",
        }
    }

    pub fn of_name(name: &str) -> Option<Look> {
        Look::ALL.into_iter().find(|look| look.name() == name)
    }

    /// The one after this, round and round: what one key switches through.
    pub fn next(self) -> Look {
        match self {
            Look::Light => Look::Dark,
            Look::Dark => Look::Contrast,
            Look::Contrast => Look::Light,
        }
    }
}

/// `[scanner]`: what the scanner is set up to type around each code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scanner {
    /// Empty: a code is told from typed text by its speed alone.
    pub prefix: String,
    /// After the code and before `end`; mostly empty.
    pub suffix: String,
    pub end: ScanEnd,
}

impl Scanner {
    /// The code in `typed`, which stands between prefix and suffix; a key that somebody touched may stand before.
    pub fn code<'a>(&self, typed: &'a str) -> Option<&'a str> {
        let (_, rest) = typed.split_once(self.prefix.as_str())?;
        let code = rest.trim_end().strip_suffix(self.suffix.as_str())?.trim();
        (!code.is_empty()).then_some(code)
    }
}

/// The key that ends a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanEnd {
    #[default]
    Enter,
    Tab,
    /// None: the suffix itself ends it.
    Suffix,
}

pub(super) fn window(entry: &Entry<'_>) -> Option<Window> {
    let section = entry.section("[window]")?;
    let choices = Look::ALL.map(|look| (look.name(), look));
    let theme = section.optional("theme").map_or(Some(Look::default()), |entry| entry.choice(&choices));
    Some(Window { theme: theme? })
}

pub(super) fn scanner(entry: &Entry<'_>) -> Option<Scanner> {
    let section = entry.section("[scanner]")?;
    let prefix = section.optional("prefix").map_or(Some(String::new()), |entry| typed(&entry).map(str::to_owned));
    let end = section.optional("suffix").map_or(Some((String::new(), ScanEnd::Enter)), |entry| suffix(&entry));
    let (suffix, end) = end?;
    Some(Scanner { prefix: prefix?, suffix, end })
}

/// What a keyboard can type as text.
fn typed<'a>(entry: &Entry<'a>) -> Option<&'a str> {
    let text = entry.string()?;
    if text.chars().any(char::is_control) || text.starts_with(' ') || text.chars().count() > LONGEST {
        entry.refuse(format!("write 1 to {LONGEST} characters that a keyboard types, the first no space"));
        return None;
    }
    Some(text)
}

const LONGEST: usize = 8;

/// `"\r"` or `"\n"` is the Enter key and `"\t"` the Tab key; text before it, or alone, is typed.
fn suffix(entry: &Entry<'_>) -> Option<(String, ScanEnd)> {
    let text = entry.string()?;
    let (text, end) = match text.strip_suffix(['\r', '\n']) {
        Some(text) => (text.strip_suffix('\r').unwrap_or(text), ScanEnd::Enter),
        None => match text.strip_suffix('\t') {
            Some(text) => (text, ScanEnd::Tab),
            None => (text, ScanEnd::Suffix),
        },
    };
    if text.chars().any(char::is_control)
        || text.chars().count() > LONGEST
        || (text.is_empty() && end == ScanEnd::Suffix)
    {
        entry.refuse("write what the scanner types after a code: \"\\r\" (the Enter key), \"\\t\" (Tab), or text");
        return None;
    }
    Some((text.to_owned(), end))
}
