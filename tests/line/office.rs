//! A station without a line: commands that ask no board, chip or cloud.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lineseal::practice::setup;
use lineseal::practice::vendor::VendorCa;
use serde_json::Value;
use tempfile::TempDir;

use crate::log;
use crate::program::{Ended, Program};

/// A station's folder, and PINs in files beside it.
pub struct Office {
    pub dir: TempDir,
    pub config: PathBuf,
}

impl Office {
    pub fn new() -> Office {
        let dir = tempfile::tempdir().unwrap();
        VendorCa::create(&dir.path().join(setup::VENDOR)).unwrap();
        let config = setup::write(&setup::Wiring {
            dir: dir.path(),
            module: Path::new("/nowhere/module.so"),
            endpoint: "http://127.0.0.1:9",
            region: &"us-east-1".parse().unwrap(),
            printer: ([127, 0, 0, 1], 9).into(),
            lanes: 1,
        })
        .unwrap();
        Office { dir, config }
    }

    /// With `Root` as its administrator, whose PIN file is `root`.
    pub fn with_administrator() -> Office {
        let office = Self::new();
        let root = office.pin("root", "root's own pin");
        office.run(&["add", "Root", "--role", "administrator", "--new-pin-file", &root], 0);
        office
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The path of a file with this PIN.
    pub fn pin(&self, name: &str, pin: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, format!("{pin}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// `lineseal operator …`
    pub fn program(&self, args: &[&str]) -> Program {
        self.lineseal(&[&["operator"], args].concat())
    }

    pub fn lineseal(&self, args: &[&str]) -> Program {
        Program::new(args.iter().copied()).config(&self.config).data_dir(&self.data())
    }

    pub fn run(&self, args: &[&str], status: i32) -> Ended {
        self.program(args).start().wait().expect(status)
    }

    /// `lineseal audit …`
    pub fn audit(&self, args: &[&str], status: i32) -> Ended {
        self.lineseal(&[&["audit"], args].concat()).start().wait().expect(status)
    }

    /// As `Root`, with the right PIN.
    pub fn root(&self, args: &[&str], status: i32) -> Ended {
        let file = self.dir.path().join("root").display().to_string();
        self.run(&[args, &["--as", "Root", "--pin-file", &file]].concat(), status)
    }

    /// `name role state`, by name.
    pub fn list(&self) -> Vec<String> {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let lines = self.run(&["list", "--json"], 0).json();
        lines.iter().map(|one| ["name", "role", "state"].map(|field| word(&one[field])).join(" ")).collect()
    }

    /// Every file of the data directory.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.data()).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }

    pub fn events(&self) -> Vec<String> {
        log::read(&self.data()).iter().map(|logged| logged.kind().to_owned()).collect()
    }
}
