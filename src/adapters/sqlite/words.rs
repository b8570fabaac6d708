//! Whether the index of words holds what `records.words` says, row by row: a row that is missing from it
//! is in the log and found by nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};

use rusqlite::Connection;

use super::open;
use crate::adapters::store::error::StoreError;

/// Rows that are compared by one sum.
const CHUNK: i64 = 4096;
/// What is known of how words are folded, at most.
const KNOWN: usize = 100_000;

/// Sums over words and rows in any order: the index is read by words, the table by rows.
#[derive(Default, PartialEq, Eq)]
struct Sums(BTreeMap<i64, u128>);

/// What is indexed otherwise than `records.words` says; `None`: nothing. The connection only reads.
pub(super) fn foreign_words(connection: &Connection) -> Result<Option<String>, StoreError> {
    read_index(connection)?;
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

/// FTS5 §6.2: one row a word and record. A temporary table: the log's own file is not written to.
fn read_index(connection: &Connection) -> Result<(), StoreError> {
    let only: bool = connection.pragma_query_value(None, "query_only", |row| row.get(0))?;
    connection.pragma_update(None, "query_only", false)?;
    let made = connection.execute_batch(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.indexed_words USING fts5vocab (main, record_words, instance)",
    );
    connection.pragma_update(None, "query_only", only)?;
    Ok(made?)
}

fn indexed(connection: &Connection, secret: &Secret, sum_of: impl Fn(i64) -> Option<i64>) -> Result<Sums, StoreError> {
    let mut sums = Sums::default();
    let mut statement = connection.prepare("SELECT term, doc FROM temp.indexed_words")?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let row: i64 = found.get(1)?;
        if let Some(sum) = sum_of(row) {
            let word = found.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
            sums.add(sum, secret.of(word, row));
        }
    }
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
        let mut odd = BTreeSet::new();
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
                sums.add(sum, secret.of(word.as_bytes(), row));
            } else {
                odd.extend(folding.fold(word)?.iter().cloned());
            }
        }
        // Nothing that is not ASCII folds to what is, but for two letters (U+017F, U+212A).
        odd.retain(|folded| !folded.is_ascii() || !words.split(' ').any(|word| word == folded));
        for folded in odd {
            sums.add(sum, secret.of(folded.as_bytes(), row));
        }
    }
    Ok(sums)
}

fn first_difference(one: &Sums, other: &Sums) -> Option<i64> {
    let keys: BTreeSet<&i64> = one.0.keys().chain(other.0.keys()).collect();
    keys.into_iter().find(|key| one.0.get(key) != other.0.get(key)).copied()
}

impl Sums {
    fn add(&mut self, sum: i64, hash: u128) {
        let sum = self.0.entry(sum).or_default();
        *sum = sum.wrapping_add(hash);
    }
}

struct Secret(RandomState, RandomState);

impl Secret {
    fn of(&self, word: &[u8], row: i64) -> u128 {
        (u128::from(self.0.hash_one((word, row))) << 64) | u128::from(self.1.hash_one((word, row)))
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
