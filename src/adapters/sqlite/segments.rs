//! The index of words as FTS5 wrote it down: sorted segments, of which the newest word on a row counts.
//!
//! FTS5 lists whole words only (`fts5vocab`), and answers every search from lists of words' beginnings, too.
//! So its pages are read as they are: fts5_index.c, structure record and leaves, `detail=none`.

use rusqlite::{Connection, OptionalExtension as _};

use crate::adapters::store::error::StoreError;

/// What is met on the way through the index.
pub(super) enum Met<'i> {
    /// A list begins: `0` and a word, or a digit more for each character of a beginning.
    Term(&'i [u8]),
    /// A row that the list has.
    Row(i64),
}

/// Where the structure record is.
const STRUCTURE: i64 = 10;
/// Marks a structure record of tables that know origins. Ours does not.
const WITH_ORIGINS: [u8; 4] = [0xff, 0, 0, 1];
/// A leaf's key: segment, and page.
const SEGMENT_BITS: u32 = 37;

/// All lists in order, each with its rows in order.
pub(super) fn walk(connection: &Connection, each: &mut dyn FnMut(Met<'_>)) -> Result<(), StoreError> {
    let mut segments = segments(connection)?;
    for segment in &mut segments {
        segment.advance()?;
    }
    let mut term = Vec::new();
    while let Some(least) = segments.iter().filter(|segment| !segment.ended).map(|segment| &segment.term).min() {
        term.clear();
        term.extend_from_slice(least);
        each(Met::Term(&term));
        rows(&mut segments, &term, each)?;
    }
    Ok(())
}

/// One list, out of all segments that have a part of it, newest first.
fn rows(segments: &mut [Segment<'_>], term: &[u8], each: &mut dyn FnMut(Met<'_>)) -> Result<(), StoreError> {
    loop {
        let of_term = |segment: &Segment<'_>| !segment.ended && segment.term == term;
        let rows = segments.iter().filter(|segment| of_term(segment)).map(|segment| segment.row);
        let Some(row) = rows.min() else { return Ok(()) };
        let mut newest = true;
        for segment in segments.iter_mut().filter(|segment| of_term(segment) && segment.row == row) {
            if newest && !segment.gone {
                each(Met::Row(row));
            }
            newest = false;
            segment.advance()?;
        }
    }
}

fn segments(connection: &Connection) -> Result<Vec<Segment<'_>>, StoreError> {
    let record = block(connection, STRUCTURE)?;
    let mut at = 4;
    if record.get(at..at + 4) == Some(&WITH_ORIGINS) {
        return Err(unreadable("its structure is of another kind"));
    }
    let levels = varint(&record, &mut at)?;
    let (_count, _writes) = (varint(&record, &mut at)?, varint(&record, &mut at)?);
    let mut newest_first = Vec::new();
    for _ in 0..levels {
        let (_merging, count) = (varint(&record, &mut at)?, varint(&record, &mut at)?);
        let mut level = Vec::new();
        for _ in 0..count {
            let mut next = || -> Result<i64, StoreError> {
                i64::try_from(varint(&record, &mut at)?).map_err(|_| unreadable("a segment's number is none"))
            };
            let (id, first, last) = (next()?, next()?, next()?);
            if id >= 1 << 16 || first > last || last >= 1 << 31 {
                return Err(unreadable("a segment's pages are none"));
            }
            level.push(Segment::new(connection, id, first, last));
        }
        newest_first.extend(level.into_iter().rev());
    }
    Ok(newest_first)
}

/// A sorted part of the index, and the entry that its reader has come to.
struct Segment<'c> {
    connection: &'c Connection,
    id: i64,
    first_page: i64,
    next_page: i64,
    last_page: i64,
    /// The last page that a term begins on.
    term_page: i64,
    page: Vec<u8>,
    /// Where the page's terms and rows end, and the list of where its terms are begins.
    leaf: usize,
    at: usize,
    listed: usize,
    /// Where the next term on the page is; past its end: nowhere.
    next_term: usize,
    first_of_page: bool,
    term: Vec<u8>,
    row: i64,
    /// The entry says that an older one counts no more.
    gone: bool,
    ended: bool,
}

impl<'c> Segment<'c> {
    fn new(connection: &'c Connection, id: i64, first: i64, last: i64) -> Self {
        Self {
            connection,
            id,
            first_page: first,
            next_page: first,
            last_page: last,
            term_page: first,
            page: Vec::new(),
            leaf: 0,
            at: 0,
            listed: 0,
            next_term: 0,
            first_of_page: false,
            term: Vec::new(),
            row: 0,
            gone: false,
            ended: false,
        }
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        // A list that goes on from page to page has its first row on each of them whole.
        let turned = self.turn_to_entry()?;
        if self.ended {
            return Ok(());
        }
        if self.at < self.next_term {
            let step = varint(&self.page, &mut self.at)?.cast_signed();
            let row = if turned { step } else { self.row.wrapping_add(step) };
            if row <= self.row {
                return Err(unreadable("a list's rows are not in order"));
            }
            self.row = row;
        } else {
            self.read_term()?;
            if (self.turn_to_entry()? && self.at >= self.next_term) || self.ended {
                return Err(unreadable("a term has no row"));
            }
            self.row = varint(&self.page, &mut self.at)?.cast_signed();
        }
        let end = self.next_term.min(self.leaf);
        let zero = |at: usize| at < end && self.page.get(at) == Some(&0);
        self.gone = zero(self.at) && !zero(self.at + 1);
        self.at += usize::from(zero(self.at)) + usize::from(zero(self.at) && zero(self.at + 1));
        Ok(())
    }

    /// Turns pages until there is something to be read: were there any to turn?
    fn turn_to_entry(&mut self) -> Result<bool, StoreError> {
        let mut turned = false;
        while self.at >= self.leaf {
            if self.next_page > self.last_page {
                self.is_led_to(&self.term, self.term_page)?;
                self.ended = true;
                break;
            }
            self.page = block(self.connection, (self.id << SEGMENT_BITS) + self.next_page)?;
            self.next_page += 1;
            self.leaf = match self.page.get(2..4) {
                Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
                _ => 0,
            };
            if self.leaf < 4 || self.leaf > self.page.len() {
                return Err(unreadable("a page has no end"));
            }
            (self.at, self.listed, self.next_term, self.first_of_page) = (4, self.leaf, 0, true);
            self.find_next_term()?;
            turned = true;
        }
        Ok(turned)
    }

    /// A search begins on the page of the greatest entry that is not past the term (fts5_index.c,
    /// `fts5SegIterSeekInit`); before the segment's first page is on it.
    fn is_led_to(&self, term: &[u8], page: i64) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT pgno FROM record_words_idx WHERE segid = ?1 AND term <= ?2 ORDER BY term DESC LIMIT 1",
        )?;
        let led: Option<i64> = statement.query_row((self.id, term), |row| row.get(0)).optional()?;
        match led.map_or(self.first_page, |number| (number >> 1).max(self.first_page)) == page {
            true => Ok(()),
            false => Err(unreadable("a search for a term is led to another page")),
        }
    }

    fn find_next_term(&mut self) -> Result<(), StoreError> {
        self.next_term = match self.listed >= self.page.len() {
            true => self.page.len() + 1,
            false => size(varint(&self.page, &mut self.listed)?)?.saturating_add(self.next_term),
        };
        Ok(())
    }

    fn read_term(&mut self) -> Result<(), StoreError> {
        let begins = std::mem::take(&mut self.first_of_page);
        let keep = match begins {
            true => 0,
            false => size(varint(&self.page, &mut self.at)?)?,
        };
        let added = size(varint(&self.page, &mut self.at)?)?;
        let end = self.at.saturating_add(added);
        let wrong = || unreadable("a term goes beyond its page");
        let added = self.page.get(self.at..end).filter(|added| !added.is_empty() && end <= self.leaf);
        let kept = self.term.get(..keep).ok_or_else(wrong)?;
        let term = [kept, added.ok_or_else(wrong)?].concat();
        if term <= self.term {
            return Err(unreadable("its terms are not in order"));
        }
        let page = self.next_page - 1;
        if begins && page > self.term_page {
            // Where the first and the last of a page are found on it, those between them are.
            self.is_led_to(&self.term, self.term_page)?;
            self.is_led_to(&term, page)?;
            self.term_page = page;
        }
        (self.term, self.at) = (term, end);
        self.find_next_term()
    }
}

fn block(connection: &Connection, id: i64) -> Result<Vec<u8>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT block FROM record_words_data WHERE id = ?1")?;
    statement.query_row([id], |row| row.get(0)).optional()?.ok_or_else(|| unreadable("a page is missing"))
}

fn size(number: u64) -> Result<usize, StoreError> {
    usize::try_from(number).map_err(|_| unreadable("a size is none"))
}

/// SQLite's: seven bits a byte, most significant first, eight in the ninth.
fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, StoreError> {
    let mut number = 0;
    for count in 1..=9 {
        let byte = *bytes.get(*at).ok_or_else(|| unreadable("a number is cut off"))?;
        *at += 1;
        if count == 9 {
            return Ok((number << 8) | u64::from(byte));
        }
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte < 0x80 {
            break;
        }
    }
    Ok(number)
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Corrupt(format!("the index of words cannot be read: {what}"))
}
