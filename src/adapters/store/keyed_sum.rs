//! A sum over rows in whatever order they come. Two sets of rows with one sum are the same rows.
//!
//! SHA-256 of each row behind a key is a number, and the numbers are added: MSet-Add-Hash of Clarke et al.,
//! "Incremental Multiset Hash Functions", ASIACRYPT 2003. The key is made for one comparison: whoever wrote the
//! rows did not know it, and could choose none that make up for one another.

use aws_lc_rs::digest::{SHA256, digest};

use super::error::StoreError;

pub struct KeyedSum {
    key: [u8; 16],
    sum: [u64; 4],
    rows: u64,
}

impl KeyedSum {
    /// Of no rows, under a key of its own.
    pub fn new() -> Result<Self, StoreError> {
        let mut key = [0; 16];
        let none = |_| StoreError::Settings("the operating system gave no random bytes".to_owned());
        aws_lc_rs::rand::fill(&mut key).map_err(none)?;
        Ok(Self { key, sum: [0; 4], rows: 0 })
    }

    /// Of no rows, to be compared with this one.
    pub fn begin_again(&self) -> Self {
        Self { key: self.key, sum: [0; 4], rows: 0 }
    }

    /// A row of fixed length: no two are written alike.
    pub fn add(&mut self, run: &[u8; 16], seq: i64) {
        let mut row = [0; 40];
        row[..16].copy_from_slice(&self.key);
        row[16..32].copy_from_slice(run);
        row[32..].copy_from_slice(&seq.to_be_bytes());
        let hash = digest(&SHA256, &row);
        for (sum, lane) in self.sum.iter_mut().zip(hash.as_ref().as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*lane));
        }
        self.rows += 1;
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Both of one key.
    pub fn is_of_the_same_rows(&self, other: &Self) -> bool {
        self.key == other.key && self.sum == other.sum && self.rows == other.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_count_and_everything_else_does() {
        let sum = KeyedSum::new().unwrap();
        let of = |rows: &[(u8, i64)]| {
            let mut sum = sum.begin_again();
            rows.iter().for_each(|(run, seq)| sum.add(&[*run; 16], *seq));
            sum
        };
        let rows = of(&[(1, 1), (2, 2), (1, 3)]);
        assert!(rows.is_of_the_same_rows(&of(&[(1, 3), (1, 1), (2, 2)])));
        let different: [&[(u8, i64)]; 6] = [
            &[(1, 1), (2, 2)],
            &[(1, 1), (2, 2), (1, 4)],
            &[(1, 1), (1, 2), (1, 3)],
            &[(1, 1), (2, 2), (1, 3), (1, 3)],
            &[(1, 1), (2, 2), (1, 3), (2, 2), (2, 2)],
            &[(1, 2), (2, 1), (1, 3)],
        ];
        for others in different {
            assert!(!rows.is_of_the_same_rows(&of(others)), "{others:?}");
        }
        // Another comparison has another key.
        let mut other = KeyedSum::new().unwrap();
        [(1, 1), (2, 2), (1, 3)].iter().for_each(|(run, seq)| other.add(&[*run; 16], *seq));
        assert!(!rows.is_of_the_same_rows(&other));
        assert_ne!(rows.sum, other.sum);
    }
}
