//! Copies of the checkpoints: what tells, years later, that the log was put back or rewritten.
//!
//! A copy is named `<station>-<size, 20 digits>.checkpoint` and is never overwritten or deleted: in a
//! folder or bucket where this station may add but not change anything, not even this station can take
//! back what it has signed.

mod directory;
mod s3;

pub use directory::Directory;
pub use s3::Bucket;

use aws_lc_rs::digest;

use crate::config::Log;
use crate::domain::{Failure, ReasonCode, StationName};

/// A checkpoint is some 200 bytes, cosigned some 100 more a signature. What is longer is none.
const LONGEST_NOTE: u64 = 65_536;

const SUFFIX: &str = ".checkpoint";

/// `<station>-<size>`, and what tells this note from another one that has that name already.
fn name(station: &StationName, size: u64, beside: Option<&str>) -> String {
    let hash = beside.map(|note| format!(".{}", short_hash(note))).unwrap_or_default();
    format!("{station}-{size:020}{hash}{SUFFIX}")
}

fn short_hash(note: &str) -> String {
    hex::encode(&digest::digest(&digest::SHA256, note.as_bytes()).as_ref()[..8])
}

/// The size in a copy's name; `None`: no name of ours.
fn size_in(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(SUFFIX)?;
    let (_, digits) = stem.rsplit_once('-')?;
    let (digits, hash) = digits.split_at_checked(20)?;
    let ours = hash.is_empty() || hash.starts_with('.');
    (ours && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

fn unwritten(place: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::COPY_FAILED, format!("{place}: {cause}")).with("place", place)
}

fn unread(place: &str, cause: impl std::fmt::Display) -> Failure {
    Failure::new(ReasonCode::COPIES_UNREADABLE, format!("{place}: {cause}")).with("place", place)
}

/// The configured folders, each judged by where `data_dir` is.
pub fn directories(log: &Log, data_dir: &std::path::Path) -> Vec<Directory> {
    log.copies.iter().map(|path| Directory::new(path, data_dir)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copys_name_tells_its_size_and_two_notes_of_one_size_have_two() {
        let station: StationName = "L3-ST2".parse().unwrap();
        assert_eq!(name(&station, 7, None), "L3-ST2-00000000000000000007.checkpoint");
        let other = name(&station, 7, Some("another note"));
        assert_ne!(other, name(&station, 7, Some("a third note")));
        for name in [name(&station, 7, None), other] {
            assert_eq!(size_in(&name), Some(7), "{name}");
        }
        assert_eq!(size_in(&name(&station, u64::MAX, None)), Some(u64::MAX));
        for stranger in [
            "L3-ST2-7.checkpoint",
            ".L3-00000000000000000007.checkpoint.1.0.tmp",
            "7",
            "a-99999999999999999999.checkpoint",
        ] {
            assert_eq!(size_in(stranger), None, "{stranger}");
        }
    }
}
