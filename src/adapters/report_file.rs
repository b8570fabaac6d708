//! A report's file: beside its place, under a name of its own, until all of it is on the disk.

use std::fs::File;
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use tempfile::NamedTempFile;

use super::durable;
use crate::domain::{Failure, ReasonCode, Sha256};
use crate::ports::{ReportFile, Written};

pub struct FileBeside {
    place: PathBuf,
    file: NamedTempFile,
}

impl FileBeside {
    /// O-606 where something is in its place, O-630 where nothing can be written there.
    pub fn begin(place: &Path) -> Result<Self, Failure> {
        if place.symlink_metadata().is_ok() {
            return Err(taken(place));
        }
        let folder = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if place.file_name().is_none() {
            return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, format!("{} names no file", place.display())));
        }
        let file = tempfile::Builder::new().prefix(".report-").suffix(".tmp").tempfile_in(folder);
        let file = file.map_err(|error| unwritten(place, &error))?;
        Ok(Self { place: place.to_owned(), file })
    }

    fn hash(&mut self) -> io::Result<Written> {
        let file = self.file.as_file_mut();
        file.sync_all()?;
        // From its beginning, as it is by now: some formats go back in their file.
        file.seek(SeekFrom::Start(0))?;
        let (mut context, mut buffer, mut bytes) = (Context::new(&SHA256), vec![0; 1 << 16], 0);
        loop {
            let read = match file.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                break;
            }
            context.update(&buffer[..read]);
            bytes += read as u64;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Ok(Written { sha256: Sha256::from_bytes(hash), bytes })
    }
}

impl Write for FileBeside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Seek for FileBeside {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.as_file_mut().seek(to)
    }
}

impl ReportFile for FileBeside {
    fn finish(&mut self) -> Result<Written, Failure> {
        self.hash().map_err(|error| unwritten(&self.place, &error))
    }

    fn keep(self: Box<Self>) -> Result<(), Failure> {
        let Self { place, file } = *self;
        allow_others(file.as_file()).map_err(|error| unwritten(&place, &error))?;
        match file.persist_noclobber(&place) {
            Ok(_) => durable::sync_directory(&place).map_err(|error| unwritten(&place, &error)),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(&place)),
            Err(error) => Err(unwritten(&place, &error.error)),
        }
    }
}

/// A temporary file is its owner's alone; a report is what the folder's other files are.
fn allow_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

fn taken(place: &Path) -> Failure {
    Failure::new(ReasonCode::NOT_NOW, format!("{} is there already", place.display()))
}

fn unwritten(place: &Path, error: &io::Error) -> Failure {
    Failure::new(ReasonCode::REPORT_UNWRITTEN, format!("{}: {error}", place.display()))
}
