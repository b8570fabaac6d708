//! Directories whose links point at serial devices: `/dev/serial/by-path`, or any other.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::domain::{Failure, PortPath, ReasonCode};

/// One link that points at a character device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    /// The link's own name: a port's physical path.
    pub name: PortPath,
    /// What it points at, free of further links.
    pub node: PathBuf,
    /// The link's inode and time of creation: a link that was made anew is another one.
    pub made: String,
}

/// The links of `directory`, by name. A directory that is not there (udev makes it with the first
/// port and removes it with the last) has none; links that dangle, that do not point at a character
/// device, or whose name starts with a dot are not listed.
///
/// Fails with `B-107` when the directory is there and may not be read.
pub(super) fn scan(directory: &Path) -> Result<Vec<Link>, Failure> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => {
            let cause = format!("cannot read the link directory {}: {error}", directory.display());
            return Err(Failure::new(ReasonCode::PORT_DENIED, cause).with("port", directory.display()));
        }
    };
    let mut links: Vec<Link> = entries.flatten().filter_map(|entry| link(&entry)).collect();
    links.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(links)
}

fn link(entry: &std::fs::DirEntry) -> Option<Link> {
    let name = entry.file_name().into_string().ok()?;
    if name.starts_with('.') || !entry.file_type().ok()?.is_symlink() {
        return None;
    }
    let name = name.parse().ok()?;
    // Anything may vanish between two of these calls: then the link is not there.
    let own = entry.path().symlink_metadata().ok()?;
    let node = entry.path().canonicalize().ok()?;
    if !node.metadata().ok()?.file_type().is_char_device() {
        return None;
    }
    let made = format!("{:x}.{:x}.{:x}", own.ino(), own.ctime(), own.ctime_nsec());
    Some(Link { name, node, made })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_directory_that_is_not_there_has_no_links() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(scan(&dir.path().join("by-path")).unwrap(), []);
    }

    #[test]
    fn only_links_to_character_devices_count() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        symlink("/dev/null", at("lane2")).unwrap();
        symlink("/dev/null", at("lane1")).unwrap();
        symlink("/dev/null", at(".lane3.new")).unwrap();
        symlink("/nowhere/at/all", at("dangling")).unwrap();
        symlink("/etc/passwd", at("file")).unwrap();
        std::fs::write(at("plain"), "").unwrap();
        let names: Vec<_> = scan(dir.path()).unwrap().into_iter().map(|link| link.name.to_string()).collect();
        assert_eq!(names, ["lane1", "lane2"]);
    }

    #[test]
    fn a_link_made_anew_is_another_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lane1");
        symlink("/dev/null", &path).unwrap();
        let before = scan(dir.path()).unwrap();
        assert_eq!(before, scan(dir.path()).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        symlink("/dev/null", &path).unwrap();
        assert_ne!(before, scan(dir.path()).unwrap());
    }
}
