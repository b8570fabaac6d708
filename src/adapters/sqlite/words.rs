//! Whether the index of words holds what `records.words` says, row by row, for every word and every
//! beginning of one: a row that is missing from it is in the log and found by nobody.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::Connection;

use super::open;
use super::segments::{self, Met};
use crate::adapters::store::error::StoreError;

/// Rows that are compared by one sum.
const CHUNK: i64 = 4096;
/// What is known of how words are folded, at most.
const KNOWN: usize = 100_000;

/// Characters of a word's beginning that has a list of its own, at most (`prefix` in `record_words`).
const LONGEST_BEGINNING: usize = 16;
/// The prime that sums are taken by.
const PRIME: u64 = (1 << 61) - 1;

/// Sums over lists and rows in any order: the index is read by lists, the table by rows.
#[derive(Default, PartialEq, Eq)]
struct Sums(BTreeMap<i64, u64>);

/// What is indexed otherwise than `records.words` says; `None`: nothing. The connection only reads.
pub(super) fn foreign_words(connection: &Connection) -> Result<Option<String>, StoreError> {
    // Whoever changes the index must not be able to choose what adds up to the same.
    let secret = Secret(RandomState::new(), RandomState::new());
    let chunk = |row: i64| Some(row.div_euclid(CHUNK));
    let (indexed, written) = (indexed(connection, &secret, chunk)?, written(connection, &secret, chunk)?);
    let Some(differs) = first_difference(&indexed, &written) else { return Ok(None) };
    let of_chunk = |row: i64| (row.div_euclid(CHUNK) == differs).then_some(row);
    let rows = (self::indexed(connection, &secret, of_chunk)?, self::written(connection, &secret, of_chunk)?);
    let row = first_difference(&rows.0, &rows.1);
    Ok(row.map(|row| format!("record {row} is indexed under other words than it has")))
}

fn indexed(connection: &Connection, secret: &Secret, sum_of: impl Fn(i64) -> Option<i64>) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    let mut list = 0;
    segments::walk(connection, &mut |met| match met {
        Met::Term(term) => list = secret.of_list(term),
        Met::Row(row) => {
            if let Some(sum) = sum_of(row) {
                sums.add(sum, multiplied(list, secret.of_row(row)));
            }
        }
    })?;
    Ok(sums)
}

fn written(connection: &Connection, secret: &Secret, sum_of: impl Fn(i64) -> Option<i64>) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    let mut folding = Folding::new()?;
    let mut statement = connection.prepare("SELECT seq, words FROM records")?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let row: i64 = found.get(0)?;
        let Some(sum) = sum_of(row) else { continue };
        let words = found.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        // Two words may be one once they are folded, and the index has it once.
        let mut terms = BTreeSet::new();
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
                terms.insert(Cow::Borrowed(word));
            } else {
                terms.extend(folding.fold(word)?.iter().cloned().map(Cow::Owned));
            }
        }
        sums.add(sum, multiplied(lists(&terms, secret), secret.of_row(row)));
    }
    Ok(sums)
}

/// The sum of all lists that a row of these terms is in: one for each term, and one for each of its beginnings.
fn lists(terms: &BTreeSet<Cow<'_, str>>, secret: &Secret) -> u64 {
    let mut all = 0;
    let mut list = Vec::new();
    let mut before = "";
    for term in terms {
        list.clear();
        list.push(b'0');
        list.extend_from_slice(term.as_bytes());
        all = added(all, secret.of_list(&list));
        // What the term before begins with, too, is in the sum already: they are in order.
        let shared = before.bytes().zip(term.bytes()).take_while(|(a, b)| a == b).count();
        let ends = term.char_indices().map(|(at, c)| at + c.len_utf8());
        for (end, digit) in ends.take(LONGEST_BEGINNING).zip(b'1'..) {
            if end > shared {
                list[0] = digit;
                all = added(all, secret.of_list(&list[..=end]));
            }
        }
        before = term;
    }
    all
}

fn first_difference(one: &Sums, other: &Sums) -> Option<i64> {
    let keys: BTreeSet<&i64> = one.0.keys().chain(other.0.keys()).collect();
    keys.into_iter().find(|key| one.0.get(key) != other.0.get(key)).copied()
}

impl Sums {
    fn add(&mut self, sum: i64, value: u64) {
        let sum = self.0.entry(sum).or_default();
        *sum = added(*sum, value);
    }
}

fn added(one: u64, other: u64) -> u64 {
    (one + other) % PRIME
}

fn multiplied(one: u64, other: u64) -> u64 {
    // Less than the prime, and so less than 2^64.
    (u128::from(one) * u128::from(other) % u128::from(PRIME)) as u64
}

/// A row in a list is the product of two numbers that nobody can know beforehand. Two different sets of such
/// have the same sum once in 2^60.
struct Secret(RandomState, RandomState);

impl Secret {
    fn of_list(&self, term: &[u8]) -> u64 {
        self.0.hash_one(term) % PRIME
    }

    fn of_row(&self, row: i64) -> u64 {
        self.1.hash_one(row) % PRIME
    }
}

/// How FTS5 writes a word down is asked of FTS5 itself, with an index of the same kind.
struct Folding {
    index: Connection,
    known: HashMap<String, Vec<String>>,
}

impl Folding {
    fn new() -> Result<Self, StoreError> {
        let index = open::in_memory()?;
        index.execute_batch("CREATE VIRTUAL TABLE temp.folded USING fts5vocab (main, record_words, row)")?;
        Ok(Self { index, known: HashMap::new() })
    }

    fn fold(&mut self, word: &str) -> Result<&[String], StoreError> {
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        if !self.known.contains_key(word) {
            self.index.prepare_cached("INSERT INTO record_words (rowid, words) VALUES (1, ?1)")?.execute([word])?;
            let mut statement = self.index.prepare_cached("SELECT term FROM temp.folded")?;
            let folded = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            drop(statement);
            self.index.prepare_cached("INSERT INTO record_words (record_words) VALUES ('delete-all')")?.execute([])?;
            self.known.insert(word.to_owned(), folded);
        }
        Ok(self.known.get(word).map_or(&[], Vec::as_slice))
    }
}
