//! Copies of the checkpoints: what tells, years later, that the log was put back or rewritten.
//!
//! A copy is named `<station>-<size, 20 digits>.<log>.checkpoint`, where `<log>` tells the copies of
//! several logs in one place apart without reading them, and is never overwritten or deleted: in a
//! folder or bucket where this station may add but not change anything, not even this station can take
//! back what it has signed.

mod directory;
mod kept;
mod s3;

pub use directory::Directory;
pub use kept::Memory;
pub use s3::Bucket;

use aws_lc_rs::digest;

use crate::config::Log;
use crate::domain::{Failure, ReasonCode, StationName};

/// A checkpoint is some 200 bytes, cosigned some 100 more a signature. What is longer is none.
const LONGEST_NOTE: u64 = 65_536;

const SUFFIX: &str = ".checkpoint";

/// So many files are read before a place counts as unreadable: whoever can write to it could otherwise
/// have a start last for ever, or hide the log's own copies below others.
const LOOKED: usize = 1024;

fn flooded() -> String {
    format!("the newest {LOOKED} files there that are named as copies of this log are mostly none")
}

/// `<station>-<size>.<log>`, and what tells this note from another one that has that name already.
fn name(station: &StationName, size: u64, note: &str, beside: bool) -> String {
    format!("{station}-{size:020}{}{SUFFIX}", tags(note, beside))
}

fn tags(note: &str, beside: bool) -> String {
    let log = tag(note.lines().next().unwrap_or_default());
    if beside { format!(".{log}.{}", short_hash(note)) } else { format!(".{log}") }
}

/// A log's, by its origin.
fn tag(origin: &str) -> String {
    short_hash(origin)
}

/// May a copy of this name, its suffix gone, be of the log `tag`? One without a tag was put there by hand.
fn may_be_of(stem: &str, tag: &str) -> bool {
    let is_hash = |part: &&str| part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let mut tags = stem.rsplit('.').take_while(is_hash).peekable();
    tags.peek().is_none() || tags.any(|known| known == tag)
}

fn short_hash(note: &str) -> String {
    hex::encode(&digest::digest(&digest::SHA256, note.as_bytes()).as_ref()[..8])
}

/// The size in a copy's name; `None`: no name of ours, or of another log's.
fn size_in(name: &str, log: &str) -> Option<u64> {
    let stem = name.strip_suffix(SUFFIX).filter(|stem| may_be_of(stem, log))?;
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
        let (log, note) = (tag("plant"), "plant\n7\na\n");
        assert_eq!(name(&station, 7, note, false), format!("L3-ST2-00000000000000000007.{log}.checkpoint"));
        let other = name(&station, 7, "plant\n7\nb\n", true);
        assert_ne!(other, name(&station, 7, note, true));
        for name in [name(&station, 7, note, false), other, "L3-ST2-00000000000000000007.checkpoint".to_owned()] {
            assert_eq!(size_in(&name, &log), Some(7), "{name}");
        }
        assert_eq!(size_in(&name(&station, u64::MAX, note, false), &log), Some(u64::MAX));
        assert_eq!(size_in(&name(&station, 7, "other\n7\na\n", false), &log), None, "another log's");
        for stranger in [
            "L3-ST2-7.checkpoint",
            ".L3-00000000000000000007.checkpoint.1.0.tmp",
            "7",
            "a-99999999999999999999.checkpoint",
        ] {
            assert_eq!(size_in(stranger, &log), None, "{stranger}");
        }
    }
}
