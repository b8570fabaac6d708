//! A vendor's file, entry by entry, however long it is.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::{csv, jws};
use crate::domain::profile::{ManifestFormat, ManifestPlan};
use crate::domain::{Fingerprint, ManifestEntry};

/// An entry that cannot be taken in. What the file says is escaped in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {line}: {wrong}")]
pub struct BadEntry {
    /// `line` or `entry`.
    pub what: &'static str,
    /// From 1; the header of a table is line 1.
    pub line: u64,
    pub wrong: String,
}

/// Takes entries as they come.
pub(super) type Each<'e> = dyn FnMut(Result<ManifestEntry, BadEntry>) -> ControlFlow<()> + 'e;

/// Hands over every entry and everything that is wrong, in the file's order; returns whose signatures
/// vouch for the entries. Reads on until the end, or until `each` has had enough.
pub(super) fn read(source: &mut dyn Read, plan: &ManifestPlan, each: &mut Each<'_>) -> Vec<Fingerprint> {
    match &plan.format {
        ManifestFormat::Csv { separator, encoding } => {
            csv::read(source, plan, *separator, *encoding, each);
            Vec::new()
        }
        ManifestFormat::SignedJson { signers } => jws::read(source, plan, signers, each),
    }
}

/// What one entry may take: certificates have one or two kilobytes.
pub(super) const LONGEST: usize = 1 << 20;

/// A quote or bracket that is never closed must not read the whole file into memory.
pub(super) struct Metered<R> {
    inner: R,
    since: Rc<Cell<usize>>,
}

impl<R> Metered<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, since: Rc::default() }
    }

    /// Bytes since it was last set to 0.
    pub fn since(&self) -> Rc<Cell<usize>> {
        self.since.clone()
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > LONGEST {
            return Err(io::Error::other(format!(
                "one entry is longer than {LONGEST} bytes: is something not closed?"
            )));
        }
        let read = self.inner.read(out)?;
        self.since.set(self.since.get() + read);
        Ok(read)
    }
}
