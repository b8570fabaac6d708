//! Reading what strangers packed: nothing is unpacked to a disk, no name is followed, and what it may
//! take of memory is settled first.

use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use super::layout::{self, Listed};
use crate::audit::bundle::File;
use crate::domain::Sha256;

/// A unit's bundle has some hundred files of some hundred kilobytes in all.
const MOST_FILES: usize = 100_000;
const MOST_BYTES: u64 = 1 << 30;

/// Why there is nothing to check.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{} can't be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("not a zip archive as this program reads them")]
    Zip(#[source] ZipError),
    #[error("{name:?} can't be unpacked")]
    Unpack { name: String, source: io::Error },
    #[error("{0:?} is a name that leads out of the bundle")]
    Name(String),
    #[error("{0:?} is neither a file nor a folder")]
    NoFile(String),
    #[error("the archive's list and its content differ: two programs could unpack two bundles")]
    TwoStories,
    #[error("more than {MOST_FILES} files")]
    TooMany,
    #[error("more than {MOST_BYTES} bytes")]
    TooLarge,
}

/// The files of a bundle, sorted by name, whatever they hold.
pub fn read(path: &Path) -> Result<Vec<File>, ReadError> {
    let unread = |source| ReadError::Read { path: path.to_owned(), source };
    let mut files = if std::fs::metadata(path).map_err(unread)?.is_dir() {
        let mut files = Vec::new();
        folder(path, "", &mut Budget::WHOLE.clone(), &mut files)?;
        files
    } else {
        return Ok(archive(path)?.0);
    };
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

/// Those of a zip archive, and the SHA-256 of the very bytes that they came from.
pub fn archive(path: &Path) -> Result<(Vec<File>, Sha256), ReadError> {
    let unread = |source| ReadError::Read { path: path.to_owned(), source };
    let bytes = Budget::WHOLE.clone().take(std::fs::File::open(path).map_err(unread)?, unread)?;
    let mut files = zipped(&bytes, Budget::WHOLE)?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((files, Sha256::of(&bytes)))
}

/// What may still come.
#[derive(Clone)]
struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    const WHOLE: Self = Self { files: MOST_FILES, bytes: MOST_BYTES };

    fn count(&mut self) -> Result<(), ReadError> {
        self.files = self.files.checked_sub(1).ok_or(ReadError::TooMany)?;
        Ok(())
    }

    /// All of it, by what comes and not by what its maker says.
    fn take(&mut self, from: impl io::Read, failed: impl FnOnce(io::Error) -> ReadError) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        from.take(self.bytes + 1).read_to_end(&mut bytes).map_err(failed)?;
        self.bytes = self.bytes.checked_sub(bytes.len() as u64).ok_or(ReadError::TooLarge)?;
        Ok(bytes)
    }
}

fn folder(path: &Path, prefix: &str, budget: &mut Budget, files: &mut Vec<File>) -> Result<(), ReadError> {
    let unread = |source| ReadError::Read { path: path.to_owned(), source };
    for entry in std::fs::read_dir(path).map_err(unread)? {
        let entry = entry.map_err(unread)?;
        let kind = entry.file_type().map_err(unread)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| ReadError::Name(format!("{prefix}{}", name.to_string_lossy())))?;
        let name = format!("{prefix}{name}");
        budget.count()?;
        if kind.is_dir() {
            folder(&entry.path(), &format!("{name}/"), budget, files)?;
        } else if kind.is_file() {
            let unread = |source| ReadError::Read { path: entry.path(), source };
            let bytes = budget.take(std::fs::File::open(entry.path()).map_err(unread)?, unread)?;
            files.push(File { name, bytes });
        } else {
            return Err(ReadError::NoFile(name));
        }
    }
    Ok(())
}

fn zipped(bytes: &[u8], mut budget: Budget) -> Result<Vec<File>, ReadError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(ReadError::Zip)?;
    let mut files = Vec::new();
    let mut listed = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(ReadError::Zip)?;
        let name = std::str::from_utf8(entry.name_raw())
            .map_err(|_| ReadError::Name(String::from_utf8_lossy(entry.name_raw()).into_owned()))?
            .to_owned();
        if !is_plain(&name) {
            return Err(ReadError::Name(name));
        }
        let says = Listed::of(&entry);
        let size = says.size();
        listed.push(says);
        budget.count()?;
        if entry.is_dir() {
            continue;
        }
        if !entry.is_file() || entry.is_symlink() || entry.unix_mode().is_some_and(is_special) {
            return Err(ReadError::NoFile(name));
        }
        let bytes = budget.take(entry, |source| ReadError::Unpack { name: name.clone(), source })?;
        if bytes.len() as u64 != size {
            return Err(ReadError::TwoStories);
        }
        files.push(File { name, bytes });
    }
    if !layout::is_one_story(bytes, archive.central_directory_start(), listed) {
        return Err(ReadError::TwoStories);
    }
    Ok(files)
}

/// Relative, and nothing in it goes up, on no system.
fn is_plain(name: &str) -> bool {
    let name = name.strip_suffix('/').unwrap_or(name);
    !name.contains(['\\', '\0', ':']) && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// A device, a pipe, a link: anything with a type that is not a file's (stat(2)).
fn is_special(mode: u32) -> bool {
    !matches!(mode & 0o170_000, 0 | 0o100_000)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(build: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        build(&mut zip);
        zip.finish().unwrap().into_inner()
    }

    fn zipped(bytes: &[u8]) -> Result<Vec<File>, ReadError> {
        super::zipped(bytes, Budget::WHOLE)
    }

    fn named(names: &[&str]) -> Vec<u8> {
        zip(|zip| {
            for name in names {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(b"x").unwrap();
            }
        })
    }

    /// Under a name of the same length that the writer would have refused.
    fn renamed(names: &[&str], from: &str, to: &str) -> Vec<u8> {
        let text = named(names);
        let mut bytes = text.clone();
        for at in (0..text.len() - from.len()).filter(|at| text[*at..].starts_with(from.as_bytes())) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for name in ["../x", "a/../../x", "/etc/x", "a//x", "./x", "a\\..\\x", "C:x", "a/.."] {
            let bytes = renamed(&["z".repeat(name.len()).as_str()], &"z".repeat(name.len()), name);
            assert!(matches!(zipped(&bytes), Err(ReadError::Name(said)) if said == name), "{name}");
        }
        assert_eq!(zipped(&named(&["a/b.json", "..c"])).unwrap().len(), 2);
    }

    #[test]
    fn links_are_refused_in_archives_and_in_folders() {
        let bytes = zip(|zip| zip.add_symlink("x", "/etc/passwd", SimpleFileOptions::default()).unwrap());
        assert!(matches!(zipped(&bytes), Err(ReadError::NoFile(name)) if name == "x"));
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("events")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("events/1.json")).unwrap();
        assert!(matches!(read(dir.path()), Err(ReadError::NoFile(name)) if name == "events/1.json"));
    }

    #[test]
    fn one_name_twice_is_two_bundles() {
        let bytes = renamed(&["first", "other"], "other", "first");
        assert!(matches!(zipped(&bytes), Err(ReadError::TwoStories)), "{:?}", zipped(&bytes));
    }

    /// A flipped bit in what a zip archive says about itself either is refused or makes no difference to
    /// any other program that unpacks it.
    #[test]
    fn what_another_program_could_unpack_otherwise_is_refused() {
        let bytes = named(&["a", "b"]);
        let list = ZipArchive::new(Cursor::new(&bytes)).unwrap().central_directory_start() as usize;
        let flipped = |at: usize, bit: u8| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            zipped(&bytes)
        };
        // Of an entry's own header: the version needed, and the time.
        let harmless = |at: usize| matches!(at, 4 | 5 | 10..=13);
        for (at, bit) in (0..31).filter(|at| !harmless(*at)).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            assert!(flipped(at, bit).is_err(), "byte {at}, bit {bit} of the first entry's header");
        }
        // Of the list: flags, method, sums, lengths, and where the entry is.
        for (at, bit) in (8..12).chain(16..34).chain(42..47).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
            assert!(flipped(list + at, bit).is_err(), "byte {at}, bit {bit} of the first entry in the list");
        }
    }

    #[test]
    fn nothing_hides_before_or_between_what_is_listed() {
        let (one, both) = (named(&["a"]), named(&["a", "b"]));
        assert!(matches!(zipped(&[&b"#!/bin/sh\n"[..], &one].concat()), Err(ReadError::TwoStories)));
        // The list forgets the second entry, whose header a program that unpacks on the way still meets.
        let list = |bytes: &[u8]| ZipArchive::new(Cursor::new(bytes)).unwrap().central_directory_start() as usize;
        let mut hiding = [&both[..list(&both)], &one[list(&one)..]].concat();
        let offset = hiding.len() - 6;
        hiding[offset..offset + 4].copy_from_slice(&(list(&both) as u32).to_le_bytes());
        assert!(matches!(zipped(&hiding), Err(ReadError::TwoStories)), "{:?}", zipped(&hiding));
    }

    #[test]
    fn what_grows_without_end_is_refused_by_what_comes() {
        let bytes = zip(|zip| {
            for number in 0..5 {
                zip.start_file(format!("{number}"), SimpleFileOptions::default()).unwrap();
                zip.write_all(&[0; 1000]).unwrap();
            }
        });
        let read = |files, most| super::zipped(&bytes, Budget { files, bytes: most });
        assert_eq!(read(5, 5000).unwrap().len(), 5);
        assert!(matches!(read(5, 4999), Err(ReadError::TooLarge)));
        assert!(matches!(read(4, 5000), Err(ReadError::TooMany)));
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let whole = named(&["a", "b"]);
        for bytes in [&b""[..], b"PK", &whole[..whole.len() - 1], &[b'x'; 100]] {
            assert!(zipped(bytes).is_err());
        }
    }
}
