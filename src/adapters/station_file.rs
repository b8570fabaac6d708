//! The station's file, read and replaced while the station works.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::durable;
use crate::domain::{Failure, ReasonCode};
use crate::ports::SettingsFile;

#[derive(Debug)]
pub struct StationFile {
    path: PathBuf,
}

impl StationFile {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where a link leads: the link stays.
    fn place(&self) -> Result<PathBuf, Failure> {
        std::fs::canonicalize(&self.path).map_err(|error| self.unread(&error))
    }

    fn unread(&self, error: &std::io::Error) -> Failure {
        let cause = format!("{} can't be read: {error}", self.path.display());
        Failure::new(ReasonCode::CONFIG_INVALID, cause)
    }

    fn unwritten(&self, error: impl std::fmt::Display) -> Failure {
        let cause = format!("{} can't be written: {error}", self.path.display());
        Failure::new(ReasonCode::CONFIG_READ_ONLY, cause)
    }
}

impl SettingsFile for StationFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self) -> Result<String, Failure> {
        std::fs::read_to_string(&self.path).map_err(|error| self.unread(&error))
    }

    fn may_be_written(&self) -> Result<(), Failure> {
        let place = self.place()?;
        let folder = place.parent().unwrap_or(Path::new("/"));
        // Another file is put in its place: it takes both.
        [place.as_path(), folder]
            .into_iter()
            .try_for_each(|path| access(path, Access::WRITE_OK).map_err(|e| self.unwritten(e)))
    }

    fn replace(&self, known: &str, text: &str) -> Result<(), Failure> {
        let place = self.place()?;
        if self.read()? != known {
            let cause = format!("{} is no longer what was read", self.path.display());
            return Err(Failure::new(ReasonCode::CONFIG_CHANGED, cause));
        }
        let mode = std::fs::metadata(&place).map_err(|error| self.unread(&error))?.permissions().mode() & 0o7777;
        durable::replace(&place, text.as_bytes(), mode).map_err(|error| self.unwritten(error))
    }

    fn beside(&self, folder: &str) -> Vec<String> {
        let folder = self.path.parent().unwrap_or(Path::new("")).join(folder);
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(".toml") && !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_somebody_edited_meanwhile_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lineseal.toml");
        std::fs::write(&path, "a = 1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let file = StationFile::at(&link);
        file.may_be_written().unwrap();
        file.replace("a = 1\n", "a = 2\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        // By hand, meanwhile.
        std::fs::write(&path, "a = 3 # mine\n").unwrap();
        assert_eq!(file.replace("a = 2\n", "a = 4\n").unwrap_err().code, ReasonCode::CONFIG_CHANGED);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a = 3 # mine\n");
        assert_eq!(file.beside("."), ["lineseal.toml", "link.toml"]);
        let gone = StationFile::at(&folder.path().join("none.toml"));
        assert_eq!(gone.read().unwrap_err().code, ReasonCode::CONFIG_INVALID);
    }
}
