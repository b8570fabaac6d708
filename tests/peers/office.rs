//! A station's folder without a line: for commands that ask no board, chip or cloud.
//!
//! Several suites include this file with `#[path]`; each adds how it runs the program there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lineseal::practice::setup;
use lineseal::practice::vendor::VendorCa;
use tempfile::TempDir;

/// With PINs in files beside its configuration.
pub struct Office {
    pub dir: TempDir,
    pub config: PathBuf,
}

impl Office {
    /// Nobody works there yet.
    pub fn unstaffed() -> Office {
        let dir = tempfile::tempdir().unwrap();
        VendorCa::create(&dir.path().join(setup::VENDOR)).unwrap();
        let config = setup::write(&setup::Wiring {
            dir: dir.path(),
            module: Path::new("/nowhere/module.so"),
            endpoint: "http://127.0.0.1:9",
            region: &"us-east-1".parse().unwrap(),
            printer: ([127, 0, 0, 1], 9).into(),
            lanes: 1,
            broker: None,
        })
        .unwrap();
        Office { dir, config }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The path of a file with this PIN.
    pub fn pin(&self, name: &str, pin: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, format!("{pin}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Adds to the station's configuration.
    pub fn configure(&self, section: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, format!("{text}\n{section}\n")).unwrap();
    }
}
