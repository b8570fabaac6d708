use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{PrintError, picture};
use crate::domain::Failure;
use crate::ports::{LabelPrinter, Readiness};

/// Labels as files: `<name>.zpl` and its picture `<name>.png`. A name that is there already gets a
/// number: a second label is a second piece of paper.
#[derive(Debug, Clone)]
pub struct FolderPrinter {
    folder: PathBuf,
}

impl FolderPrinter {
    /// The folder is made when the first label comes.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }
}

#[async_trait::async_trait]
impl LabelPrinter for FolderPrinter {
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure> {
        let printer = || self.folder.display().to_string();
        let (folder, stem, bytes) = (self.folder.clone(), file_stem(name), zpl.as_bytes().to_vec());
        let written = tokio::task::spawn_blocking(move || write_label(&folder, &stem, &bytes));
        let path = written.await.map_err(|_| PrintError::Thread { printer: printer() })??;
        // The label is out; its picture is a courtesy.
        let (text, picture) = (zpl.to_owned(), path.with_extension("png"));
        let drawn = tokio::task::spawn_blocking(move || {
            let png = picture::png(&text)?;
            write_new(&picture, &png, true).map_err(|error| error.to_string())
        });
        match drawn.await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => tracing::warn!(label = %path.display(), cause, "no picture of the label"),
            Err(cause) => tracing::warn!(label = %path.display(), %cause, "no picture of the label"),
        }
        Ok(())
    }

    async fn ready(&self) -> Result<Readiness, Failure> {
        let folder = self.folder.clone();
        let printer = folder.display().to_string();
        let checked = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&folder)?;
            tempfile::tempfile_in(&folder).map(drop)
        });
        match checked.await {
            Ok(Ok(())) => Ok(Readiness::Ready),
            Ok(Err(cause)) => Err(PrintError::Folder { printer, cause }.into()),
            Err(_) => Err(PrintError::Thread { printer }.into()),
        }
    }
}

/// A file name that stays in its folder: what is not a letter, digit, `.`, `-` or `_` becomes `_`.
fn file_stem(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' };
    let stem: String = name.chars().take(100).map(plain).collect();
    // Neither hidden nor `..`.
    match stem.trim_start_matches('.') {
        "" => "label".to_owned(),
        rest => rest.to_owned(),
    }
}

/// Writes the label under a name of its own. Once it has the name, it counts as printed.
fn write_label(folder: &Path, stem: &str, bytes: &[u8]) -> Result<PathBuf, PrintError> {
    let printer = || folder.display().to_string();
    std::fs::create_dir_all(folder).map_err(|cause| PrintError::Folder { printer: printer(), cause })?;
    let mut number = 1_u32;
    let path = loop {
        let name = if number == 1 { format!("{stem}.zpl") } else { format!("{stem}-{number}.zpl") };
        let path = folder.join(name);
        match write_new(&path, bytes, false) {
            Ok(()) => break path,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(cause) => return Err(PrintError::Folder { printer: printer(), cause }),
        }
    };
    // The name is in the directory, so the directory has to reach the disk as well.
    File::open(folder)
        .and_then(|directory| directory.sync_all())
        .map_err(|cause| PrintError::FolderSync { printer: printer(), cause })?;
    Ok(path)
}

/// All of the file or none of it, on disk before it has its name.
fn write_new(path: &Path, bytes: &[u8], replace: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(".label-").permissions(Permissions::from_mode(0o644)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    if replace {
        file.persist(path).map(drop)?
    } else {
        file.persist_noclobber(path).map(drop)?
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::file_stem;

    #[test]
    fn a_name_can_not_leave_the_folder() {
        assert_eq!(file_stem("../../etc/passwd"), "_.._etc_passwd");
        assert_eq!(file_stem(".."), "label");
        assert_eq!(file_stem(""), "label");
        assert_eq!(file_stem("/abs/é n"), "_abs___n");
        assert_eq!(file_stem("gw-SN1_a.b"), "gw-SN1_a.b");
        assert_eq!(file_stem(&"x".repeat(300)).len(), 100);
    }
}
