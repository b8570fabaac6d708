//! A bundle is there whole, under its own name, or not at all.

use std::fs::File as Handle;
use std::io::{self, Cursor, Write as _};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::adapters::durable;
use crate::audit::bundle::File;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("{} can't be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the archive {} can't be packed", path.display())]
    Pack { path: PathBuf, source: zip::result::ZipError },
}

/// A zip archive where `path` ends so, else a folder; neither replaces anything but an empty folder. The
/// same files give the same bytes.
pub fn write(path: &Path, files: &[File]) -> Result<(), WriteError> {
    let is_zip = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
    let written = if is_zip {
        let bytes = zipped(files).map_err(|source| WriteError::Pack { path: path.to_owned(), source })?;
        durable::create(path, &bytes, 0o644)
    } else {
        folder(path, files)
    };
    written.map_err(|source| refused(path, source))
}

/// A new file with this text: a checkpoint that somebody is to keep.
pub fn write_text(path: &Path, text: &str) -> Result<(), WriteError> {
    durable::create(path, text.as_bytes(), 0o644).map_err(|source| refused(path, source))
}

fn refused(path: &Path, source: io::Error) -> WriteError {
    match source.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
            WriteError::Exists(path.to_owned())
        }
        _ => WriteError::Write { path: path.to_owned(), source },
    }
}

fn zipped(files: &[File]) -> Result<Vec<u8>, zip::result::ZipError> {
    // A file's own time would tell when the bundle was packed, and nothing else.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::DEFAULT)
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        zip.start_file(file.name.as_str(), options)?;
        zip.write_all(&file.bytes)?;
    }
    Ok(zip.finish()?.into_inner())
}

fn folder(path: &Path, files: &[File]) -> io::Result<()> {
    let place = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = tempfile::Builder::new().prefix(".bundle-").suffix(".tmp").tempdir_in(place)?;
    for file in files {
        let to = beside.path().join(&file.name);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut handle = Handle::create_new(&to)?;
        handle.write_all(&file.bytes)?;
        handle.sync_all()?;
        durable::sync_directory(&to)?;
    }
    std::fs::set_permissions(beside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    // rename(2): in the place of an empty folder, and of nothing else.
    std::fs::rename(beside.path(), path)?;
    let _ = beside.keep();
    durable::sync_directory(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<File> {
        let file = |name: &str| File { name: name.to_owned(), bytes: name.as_bytes().to_vec() };
        vec![file("README.md"), file("events/1.json"), file("events/2.json")]
    }

    #[test]
    fn what_was_written_is_read_back_and_the_same_again() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.zip", "b.ZIP", "folder"] {
            let path = dir.path().join(name);
            write(&path, &files()).unwrap();
            assert_eq!(crate::adapters::bundles::read(&path).unwrap(), files(), "{name}");
        }
        let bytes = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        assert_eq!(bytes("a.zip"), bytes("b.ZIP"));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "nothing is left beside them");
    }

    #[test]
    fn nothing_but_an_empty_folder_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("full/inner")).unwrap();
        std::fs::create_dir(path("empty")).unwrap();
        std::fs::write(path("file"), b"mine").unwrap();
        std::fs::write(path("file.zip"), b"mine").unwrap();
        write(&path("empty"), &files()).unwrap();
        for name in ["full", "file", "file.zip"] {
            assert!(matches!(write(&path(name), &files()), Err(WriteError::Exists(_))), "{name}");
        }
        assert!(matches!(write(&path("nowhere/a.zip"), &files()), Err(WriteError::Write { .. })));
        assert_eq!(std::fs::read(path("file")).unwrap(), b"mine");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
