//! A record for a person: what a value is, then the value, one below the other.

use super::super::output::{data, plain};
use crate::domain::Failure;
use crate::texts::{Language, reasons};

/// Hexadecimal digits in a line.
const DIGITS: usize = 64;

pub fn heading(text: &str) {
    data("");
    data(&plain(text));
}

pub fn field(label: &str, value: impl std::fmt::Display) {
    data(format!("  {label:<15} {}", plain(&value.to_string())).trim_end());
}

/// The first value stands beside the label, the others below it.
pub fn fields(label: &str, values: impl IntoIterator<Item = String>) {
    for (at, value) in values.into_iter().enumerate() {
        field(if at == 0 { label } else { "" }, value);
    }
}

pub fn bytes(label: &str, bytes: &[u8]) {
    let digits = hex::encode(bytes);
    let lines = digits.as_bytes().chunks(DIGITS).map(|line| String::from_utf8_lossy(line).into_owned());
    fields(label, lines);
}

/// `S-105 Certificate used twice`
pub fn reason(failure: &Failure, language: &Language) -> String {
    format!("{} {}", failure.code, reasons().text(language, failure).title)
}

/// `2026-11-24 09:00:00`, in UTC as everywhere.
pub fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A word of the log's own vocabulary, as it stands there.
pub fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}
