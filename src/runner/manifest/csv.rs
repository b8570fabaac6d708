//! Separated values under a header (RFC 4180, and what spreadsheets make of it).

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;

use ::csv::{ByteRecord, ReaderBuilder};

use super::list::{BadEntry, Each, LONGEST, Metered};
use super::value::{Said, entry};
use crate::domain::profile::{ManifestEncoding, ManifestField, ManifestPlan};

pub(super) fn read(
    source: &mut dyn Read,
    plan: &ManifestPlan,
    separator: Option<u8>,
    encoding: ManifestEncoding,
    each: &mut Each<'_>,
) {
    if let Err(bad) = read_lines(source, plan, separator, encoding, each) {
        let _ = each(Err(bad));
    }
}

/// Error: nothing can be read after it.
fn read_lines(
    source: &mut dyn Read,
    plan: &ManifestPlan,
    separator: Option<u8>,
    encoding: ManifestEncoding,
    each: &mut Each<'_>,
) -> Result<(), BadEntry> {
    let bad = |line, wrong| BadEntry { what: "line", line, wrong };
    let mut lines = Lines::new(BufReader::new(source));
    let (first, before) = first_line(&mut lines).map_err(|error| bad(1, error.to_string()))?;
    let separator = separator.unwrap_or_else(|| most_used(&first));
    let meter = Metered::new(io::Cursor::new(first).chain(lines));
    let since = meter.since();
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(meter);
    let mut record = ByteRecord::new();
    let mut columns: Option<Columns> = None;
    loop {
        since.set(0);
        let found = reader.read_byte_record(&mut record);
        let inside = record.iter().flatten().filter(|byte| **byte == b'\n').count() as u64;
        // Every line ends, so the reader stands on the next one; in a quote that is never closed, the file's last
        // line end is inside.
        let open =
            columns.is_some() && spread(&record, &columns) && record.iter().next_back().is_some_and(ends_in_line);
        let line = (before + reader.position().line()).saturating_sub(inside + u64::from(!open)).max(1);
        let next = match (found, &columns) {
            (Err(error), _) => {
                let wrong = match error.into_kind() {
                    ::csv::ErrorKind::Io(error) => error.to_string(),
                    other => format!("{other:?}"),
                };
                return Err(bad(before + reader.position().line(), wrong));
            }
            (Ok(false), None) => return Err(bad(1, "the file is empty".to_owned())),
            (Ok(false), Some(_)) => return Ok(()),
            (Ok(true), None) => {
                columns = Some(Columns::of(&record, plan, encoding).map_err(|wrong| bad(line, wrong))?);
                ControlFlow::Continue(())
            }
            (Ok(true), found @ Some(_)) if spread(&record, found) => {
                let wrong = format!(
                    "a quote is opened here and not closed before the line ends, {inside} lines on or never: only a \
                     certificate or a key in PEM may go over several lines"
                );
                each(Err(bad(line, wrong)))
            }
            (Ok(true), Some(columns)) => {
                let entry = columns.entry(line, &record, plan);
                each(entry.map_err(|wrong| bad(line, wrong)))
            }
        };
        if next.is_break() {
            return Ok(());
        }
    }
}

/// Does a field go over lines that must not? What stands behind a quote that somebody forgot to close would be
/// lost in it, chips among it.
fn spread(record: &ByteRecord, columns: &Option<Columns>) -> bool {
    let pem = |field: &[u8]| {
        let field = field.trim_ascii();
        field.starts_with(b"-----BEGIN") && field.ends_with(b"-----")
    };
    let may = |at: usize| columns.as_ref().is_some_and(|columns| columns.pem.contains(&at));
    record.iter().enumerate().any(|(at, field)| field.contains(&b'\n') && !(may(at) && pem(field)))
}

fn ends_in_line(field: &[u8]) -> bool {
    field.ends_with(b"\n")
}

/// The first line with something on it, and how many empty ones come before.
fn first_line<R: BufRead>(lines: &mut Lines<R>) -> io::Result<(Vec<u8>, u64)> {
    let mut before = 0;
    loop {
        let mut first = Vec::new();
        let mut byte = [0];
        while first.last() != Some(&b'\n') && lines.read(&mut byte)? == 1 {
            first.push(byte[0]);
            if first.len() > LONGEST {
                return Err(io::Error::other("the first line does not end"));
            }
        }
        if first != b"\n" {
            let text = first.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec);
            return Ok((text.unwrap_or(first), before));
        }
        before += 1;
    }
}

/// The separator that the header has most of, outside of quotes; a comma where it has none.
fn most_used(header: &[u8]) -> u8 {
    let plain: Vec<&[u8]> = header.split(|byte| *byte == b'"').step_by(2).collect();
    let count =
        |wanted: &u8| plain.iter().map(|part| part.iter().filter(|byte| *byte == wanted).count()).sum::<usize>();
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// Ends every line, the last one too, with one line feed: then lines can be counted by them.
struct Lines<R> {
    inner: R,
    /// The last byte that was given out.
    last: u8,
    /// A carriage return was read, and a line feed given out for it.
    returned: bool,
}

impl<R: BufRead> Lines<R> {
    fn new(inner: R) -> Self {
        Self { inner, last: b'\n', returned: false }
    }
}

impl<R: BufRead> Read for Lines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let available = self.inner.fill_buf()?;
            if available.is_empty() {
                if self.last == b'\n' {
                    return Ok(0);
                }
                (self.last, out[0]) = (b'\n', b'\n');
                return Ok(1);
            }
            let (mut taken, mut given) = (0, 0);
            for byte in available {
                if given == out.len() {
                    break;
                }
                taken += 1;
                let follows = std::mem::replace(&mut self.returned, *byte == b'\r');
                if *byte == b'\n' && follows {
                    continue;
                }
                out[given] = if *byte == b'\r' { b'\n' } else { *byte };
                given += 1;
            }
            self.inner.consume(taken);
            if given > 0 {
                self.last = out[given - 1];
                return Ok(given);
            }
        }
    }
}

/// Where the columns are that the profile names.
struct Columns {
    fields: usize,
    at: Vec<(String, usize)>,
    /// Those of certificates and keys.
    pem: Vec<usize>,
}

impl Columns {
    fn of(header: &ByteRecord, plan: &ManifestPlan, encoding: ManifestEncoding) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(|name| decoded(name, encoding)).collect::<Result<_, _>>()?;
        let mut at = Vec::new();
        for field in [&plan.uid, &plan.fingerprint, &plan.certificate, &plan.key].into_iter().flatten() {
            let wanted = field.at.trim();
            let mut found = names.iter().enumerate().filter(|(_, name)| name.as_str() == wanted);
            match (found.next(), found.next()) {
                (Some((index, _)), None) => at.push((field.at.clone(), index)),
                (Some(_), Some(_)) => return Err(format!("two columns are called {wanted:?}")),
                (None, _) => return Err(format!("no column is called {wanted:?}, among {names:?}")),
            }
        }
        let of = |field: &Option<ManifestField>| {
            at.iter().find(|(name, _)| field.as_ref().is_some_and(|field| field.at == *name)).map(|(_, at)| *at)
        };
        let pem = [of(&plan.certificate), of(&plan.key)].into_iter().flatten().collect();
        Ok(Self { fields: names.len(), at, pem })
    }

    fn entry(
        &self,
        line: u64,
        record: &ByteRecord,
        plan: &ManifestPlan,
    ) -> Result<crate::domain::ManifestEntry, String> {
        if record.len() != self.fields {
            return Err(format!("{} fields where the header has {}", record.len(), self.fields));
        }
        entry(line, plan, |field: &ManifestField| {
            let at = self.at.iter().find(|(name, _)| *name == field.at).map(|(_, at)| *at);
            let bytes = at.and_then(|at| record.get(at)).unwrap_or_default();
            // All that is read of a line is digits and letters of ASCII, whatever its encoding.
            let text = std::str::from_utf8(bytes);
            let text =
                text.map_err(|_| format!("{:?} in the column {:?}", String::from_utf8_lossy(bytes), field.at))?;
            Ok(Some(text.trim()).filter(|text| !text.is_empty()).map(Said::Text))
        })
    }
}

fn decoded(bytes: &[u8], encoding: ManifestEncoding) -> Result<String, String> {
    let encoding = match encoding {
        ManifestEncoding::Utf8 => encoding_rs::UTF_8,
        ManifestEncoding::ShiftJis => encoding_rs::SHIFT_JIS,
        ManifestEncoding::Windows1252 => encoding_rs::WINDOWS_1252,
    };
    let text: Option<Cow<'_, str>> = encoding.decode_without_bom_handling_and_without_replacement(bytes);
    let text = text.ok_or_else(|| format!("{:?} is not {}", String::from_utf8_lossy(bytes), encoding.name()))?;
    Ok(text.trim().to_owned())
}
