//! The file: separated values under a header (RFC 4180, and what spreadsheets make of it).

use std::collections::BTreeMap;

use ::csv::{ByteRecord, ReaderBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::domain::profile::Trust;
use crate::domain::{Bytes, ChipUid, Fingerprint, Product, Sha256, SpkiHash, ThingName, Unit};
use crate::provisioning::checks::{certified_uid, spki_hash};

/// A whole file.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Its SHA-256.
    pub file: Sha256,
    pub rows: Vec<Row>,
}

impl Rows {
    /// With the chip's UID, where a certificate has it as one of the product's profiles says.
    pub fn with_uids(mut self, trusts: &[&Trust]) -> Self {
        for row in &mut self.rows {
            let certified = |der: &Bytes| trusts.iter().find_map(|trust| certified_uid(der, trust));
            row.uid = row.certificate.as_ref().and_then(certified);
        }
        self
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Where it begins, from 1; the header is line 1.
    pub line: u64,
    pub unit: Unit,
    pub fingerprint: Fingerprint,
    pub spki: Option<SpkiHash>,
    pub certificate: Option<Bytes>,
    /// By the certificate: [`Rows::with_uids`].
    pub uid: Option<ChipUid>,
    pub thing: Option<ThingName>,
    pub date: Option<Timestamp>,
}

/// A line that cannot be taken in. What the file says is escaped in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct BadLine {
    pub line: u64,
    pub wrong: String,
}

impl BadLine {
    /// The file is in another encoding, as spreadsheets save it unless told otherwise.
    pub fn is_encoding(&self) -> bool {
        self.wrong.ends_with(NOT_UTF8)
    }
}

const NOT_UTF8: &str = "is not UTF-8: save the file as such";

/// Which columns hold what, where their names are not the usual ones: `serial=Board,date=Made on`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(BTreeMap<&'static str, String>);

/// Why a text names no columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnsError {
    #[error("{0:?} is not of the form serial=NAME,…")]
    Form(String),
    #[error("{0:?} is none of serial, fingerprint, certificate, thing, date")]
    Unknown(String),
    #[error("{0} is named twice")]
    Twice(&'static str),
}

const SERIAL: &str = "serial";
const FINGERPRINT: &str = "fingerprint";
const CERTIFICATE: &str = "certificate";
const THING: &str = "thing";
const DATE: &str = "date";

/// What a column holds, and what it is usually called.
const USUAL: [(&str, &[&str]); 5] = [
    (SERIAL, &["board_serial", "serial"]),
    (FINGERPRINT, &["fingerprint", "certificate_sha256"]),
    (CERTIFICATE, &["certificate"]),
    (THING, &["thing"]),
    (DATE, &["date", "time"]),
];

impl std::str::FromStr for Columns {
    type Err = ColumnsError;
    fn from_str(text: &str) -> Result<Self, ColumnsError> {
        let mut columns = BTreeMap::new();
        for part in text.split(',') {
            let (what, name) = part.split_once('=').ok_or_else(|| ColumnsError::Form(part.to_owned()))?;
            let known = USUAL.iter().find(|(known, _)| *known == what.trim());
            let (known, _) = known.ok_or_else(|| ColumnsError::Unknown(what.to_owned()))?;
            if columns.insert(*known, name.trim().to_owned()).is_some() {
                return Err(ColumnsError::Twice(known));
            }
        }
        Ok(Self(columns))
    }
}

/// Every row, or everything that is wrong. `file` reads a certificate's file by the name that a row gives.
pub fn read(
    bytes: &[u8],
    product: &Product,
    columns: &Columns,
    file: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
) -> Result<Rows, Vec<BadLine>> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // What is read is counted in fields, so that a row that is too short is a bad line and not an error.
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator(text)).from_reader(text);
    let mut lines = Lines { text, at: 0, line: 1 };
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| {
        let begins = reader.position().byte();
        let found = reader.read_byte_record(record);
        let line = lines.line_of(usize::try_from(begins).unwrap_or(usize::MAX));
        match found {
            Ok(true) => Ok(Some(line)),
            Ok(false) => Ok(None),
            Err(error) => Err(vec![BadLine { line, wrong: error.to_string() }]),
        }
    };
    let bad = |line: u64, wrong: String| BadLine { line, wrong };
    let Some(line) = next(&mut record)? else { return Err(vec![bad(1, "the file is empty".to_owned())]) };
    let header = Header::of(&record, columns).map_err(|wrong| vec![bad(line, wrong)])?;
    let (mut rows, mut wrong) = (Vec::new(), Vec::new());
    while let Some(line) = next(&mut record)? {
        match header.row(line, &record, product, file) {
            Ok(row) => rows.push(row),
            Err(cause) => wrong.push(bad(line, cause)),
        }
    }
    if wrong.is_empty() { Ok(Rows { file: Sha256::of(bytes), rows }) } else { Err(wrong) }
}

/// The one that the first line has most of, outside of quotes.
fn separator(text: &[u8]) -> u8 {
    let first = text.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.is_empty()).unwrap_or_default();
    let plain: Vec<&[u8]> = first.split(|byte| *byte == b'"').step_by(2).collect();
    let count = |wanted: u8| plain.iter().map(|part| part.iter().filter(|byte| **byte == wanted).count()).sum();
    // The first of the greatest: a comma where there is no separator at all.
    let counts: [(usize, u8); 3] = [b'\t', b';', b','].map(|separator| (count(separator), separator));
    counts.into_iter().max_by_key(|(count, _)| *count).map_or(b',', |(_, separator)| separator)
}

/// Counts lines as an editor does.
struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of the first row from `begins` on: a reader stands before the rest of a line's end, and
    /// before empty lines.
    fn line_of(&mut self, begins: usize) -> u64 {
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let begins = begins.clamp(self.at, self.text.len());
        let empty = self.text[begins..].iter().take_while(|byte| is_end(byte)).count();
        let passed = &self.text[self.at..begins + empty];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.at = begins + empty;
        self.line
    }
}

/// Which field holds what.
struct Header {
    fields: usize,
    at: BTreeMap<&'static str, usize>,
}

impl Header {
    fn of(record: &ByteRecord, columns: &Columns) -> Result<Self, String> {
        let mut names = Vec::with_capacity(record.len());
        for field in record {
            names.push(utf8(field)?.trim());
        }
        let mut at = BTreeMap::new();
        for (what, usual) in USUAL {
            let asked = columns.0.get(what);
            let is = |name: &str| match asked {
                Some(asked) => name == asked,
                None => usual.iter().any(|usual| name.eq_ignore_ascii_case(usual)),
            };
            let found: Vec<usize> = (0..names.len()).filter(|index| is(names[*index])).collect();
            match (found.as_slice(), asked) {
                ([one], _) => {
                    at.insert(what, *one);
                }
                ([], Some(asked)) => return Err(format!("no column is called {asked:?}")),
                ([], None) => {}
                ([first, second, ..], _) => {
                    let both = (names[*first], names[*second]);
                    return Err(format!(
                        "{:?} and {:?} are both for the {what}: say which with --columns",
                        both.0, both.1
                    ));
                }
            }
        }
        if !at.contains_key(SERIAL) {
            return Err(format!("no column is called board_serial or serial, among {names:?}"));
        }
        if !at.contains_key(FINGERPRINT) && !at.contains_key(CERTIFICATE) {
            return Err(format!("no column is called fingerprint, certificate_sha256 or certificate, among {names:?}"));
        }
        Ok(Self { fields: names.len(), at })
    }

    fn row(
        &self,
        line: u64,
        record: &ByteRecord,
        product: &Product,
        file: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Row, String> {
        if record.len() != self.fields {
            return Err(format!("{} fields where the header has {}", record.len(), self.fields));
        }
        let field = |what: &str| -> Result<Option<&str>, String> {
            let bytes = self.at.get(what).and_then(|at| record.get(*at)).unwrap_or_default();
            let text = utf8(bytes)?.trim();
            Ok((!text.is_empty()).then_some(text))
        };
        let serial = field(SERIAL)?.ok_or("no serial number")?;
        let unit = Unit { product: product.clone(), serial: serial.parse().map_err(told)? };
        let given = field(FINGERPRINT)?.map(fingerprint).transpose()?;
        let certificate = field(CERTIFICATE)?.map(|text| certificate(text, file)).transpose()?;
        let (fingerprint, spki) = match (&certificate, given) {
            (Some(der), given) => {
                let spki = spki_hash(der).map_err(|failure| failure.cause)?;
                let own = Fingerprint::of(der);
                if let Some(given) = given.filter(|given| *given != own) {
                    return Err(format!("the fingerprint {given} is not the certificate's, {own}"));
                }
                (own, Some(spki))
            }
            (None, Some(given)) => (given, None),
            (None, None) => return Err("neither fingerprint nor certificate".to_owned()),
        };
        let thing = field(THING)?.map(str::parse::<ThingName>).transpose().map_err(told)?;
        let date = field(DATE)?.map(date).transpose()?;
        Ok(Row { line, unit, fingerprint, spki, certificate: certificate.map(Bytes), uid: None, thing, date })
    }
}

/// A spreadsheet of another encoding looks like nonsense and is better refused.
fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| format!("{:?} {NOT_UTF8}", String::from_utf8_lossy(bytes)))
}

fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// As AWS, openssl and browsers write it.
fn fingerprint(text: &str) -> Result<Fingerprint, String> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    digits.parse().map_err(|_| format!("{text:?} is not a certificate fingerprint: SHA-256, 64 hexadecimal digits"))
}

/// PEM, DER in base64, or the name of a file with either PEM or DER.
fn certificate(text: &str, file: &mut dyn FnMut(&str) -> Result<Vec<u8>, String>) -> Result<Vec<u8>, String> {
    if text.starts_with("-----BEGIN") {
        return pem(text.as_bytes());
    }
    let joined: String = text.split_whitespace().collect();
    if let Some(der) = STANDARD.decode(joined).ok().filter(|der| begins_as_der(der)) {
        return Ok(der);
    }
    let bytes = file(text).map_err(|cause| format!("the certificate {text:?}: {cause}"))?;
    if begins_as_der(&bytes) { Ok(bytes) } else { pem(&bytes).map_err(|cause| format!("{text:?}: {cause}")) }
}

/// A SEQUENCE of more than 127 bytes, as every certificate is.
fn begins_as_der(bytes: &[u8]) -> bool {
    matches!(bytes, [0x30, 0x81 | 0x82, ..])
}

fn pem(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut found = CertificateDer::pem_slice_iter(text);
    match (found.next(), found.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        (Some(Ok(_)), Some(_)) => Err("more than one certificate in PEM".to_owned()),
        _ => Err("not a certificate in PEM or DER".to_owned()),
    }
}

/// A day without a time is its first moment in UTC.
fn date(text: &str) -> Result<Timestamp, String> {
    let whole = text.parse::<Timestamp>();
    let day = || text.parse::<Date>().ok().filter(|day| day.to_string() == text);
    let first = |day: Date| day.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let found = whole.ok().or_else(|| day().and_then(first));
    found.ok_or_else(|| format!("{text:?} is no date: RFC 3339 or YYYY-MM-DD"))
}

#[cfg(test)]
mod tests;
