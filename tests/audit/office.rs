//! The real program over a log that tests fill: an office without a board, a chip or a cloud.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::practice::setup;
use lineseal::practice::vendor::VendorCa;
use serde_json::Value;
use tempfile::TempDir;

pub struct Office {
    pub dir: TempDir,
    config: PathBuf,
}

pub struct Ended {
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Stdout as one JSON object a line.
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }
}

impl Office {
    /// With `Root`, an administrator, and `Aiko` of QA.
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
        let office = Office { dir, config };
        for name in ["Root", "Aiko"] {
            std::fs::write(office.path(name), format!("the pin of {name}\n")).unwrap();
            std::fs::set_permissions(office.path(name), Permissions::from_mode(0o600)).unwrap();
        }
        let (root, aiko) = (office.path("Root"), office.path("Aiko"));
        office.run(&["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &root], 0);
        let add = ["operator", "add", "Aiko", "--role", "qa", "--new-pin-file", &aiko];
        office.run(&[&add[..], &["--as", "Root", "--pin-file", &root]].concat(), 0);
        office
    }

    /// Adds to the station's configuration.
    pub fn configure(&self, section: &str) {
        let text = std::fs::read_to_string(&self.config).unwrap();
        std::fs::write(&self.config, format!("{text}\n{section}\n")).unwrap();
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub fn database(&self) -> PathBuf {
        self.dir.path().join("data").join(sqlite::FILE)
    }

    pub fn store(&self) -> LogStore {
        sqlite::open(&self.database()).unwrap()
    }

    /// `lineseal …` at this station.
    pub fn run(&self, arguments: &[&str], status: i32) -> Ended {
        let mut command = program(arguments);
        ended(self.at_this_station(&mut command).output().unwrap(), arguments, status)
    }

    /// In somebody's name, with the right PIN.
    pub fn run_as(&self, name: &str, arguments: &[&str], status: i32) -> Ended {
        let pin = self.path(name);
        self.run(&[arguments, &["--as", name, "--pin-file", &pin]].concat(), status)
    }

    pub fn at_this_station<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command.arg("--config").arg(&self.config).arg("--data-dir").arg(self.dir.path().join("data"))
    }
}

/// `lineseal …` where nobody has a station: there is no configuration and no log to find.
pub fn stranger(arguments: &[&str], status: i32) -> Ended {
    ended(program(arguments).output().unwrap(), arguments, status)
}

pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lineseal"));
    command.args(arguments).env_clear().env("HOME", "/nowhere").env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

fn ended(output: Output, arguments: &[&str], status: i32) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let ended = Ended { out: text(output.stdout), err: text(output.stderr) };
    let said = format!("{arguments:?}\nstdout:\n{}\nstderr:\n{}", ended.out, ended.err);
    assert_eq!(output.status.code(), Some(status), "{said}");
    ended
}
