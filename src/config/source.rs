//! A configuration file: its text, where in it a mistake stands, and its TOML.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::problem::{Mistake, Problem, Problems};

/// One file that was read whole.
#[derive(Debug)]
pub(super) struct Source<'p> {
    pub path: PathBuf,
    pub text: String,
    /// Where each line begins: a file may have as many mistakes as lines.
    lines: Vec<usize>,
    pub problems: &'p Problems,
}

impl<'p> Source<'p> {
    /// `None`: it could not be read, and that is a problem of the file itself.
    pub fn open(path: &Path, problems: &'p Problems) -> Option<Self> {
        problems.opened(path);
        let report = |mistake| problems.push(Problem { file: path.to_owned(), line: None, column: None, mistake });
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                report(Mistake::Unreadable { cause: error.to_string() });
                return None;
            }
        };
        match String::from_utf8(bytes) {
            Ok(text) => Some(Self::of(path, text, problems)),
            Err(_) => {
                report(Mistake::NotUtf8);
                None
            }
        }
    }

    pub fn of(path: &Path, text: String, problems: &'p Problems) -> Self {
        Self { path: path.to_owned(), lines: beginnings(&text), text, problems }
    }

    /// The file's tables. Every syntax error is reported; with one, nothing else of this file is, since
    /// what follows it may be misread.
    pub fn tables(&self) -> Option<Spanned<DeTable<'_>>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if errors.is_empty() {
            return Some(table);
        }
        for error in errors {
            // The error's own Display quotes the line, which may hold a PIN: its message does not.
            let message = error.message().lines().collect::<Vec<_>>().join("; ");
            self.report(error.span(), Mistake::Syntax { message });
        }
        None
    }

    pub fn report(&self, at: Option<Range<usize>>, mistake: Mistake) {
        let position = at.map(|range| self.position(range.start));
        self.problems.push(Problem {
            file: self.path.clone(),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            mistake,
        });
    }

    /// `path` as this file means it.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.directory().join(path)
    }

    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Line and column from 1, the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|begins| *begins <= offset);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        // UTF-8 continuation bytes (0b10xx_xxxx) start no character.
        let column = self.text.as_bytes()[start..offset].iter().filter(|b| **b & 0xc0 != 0x80).count() + 1;
        (line, column)
    }
}

fn beginnings(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1)).collect()
}
