//! The real program over a log that tests fill: an office without a board, a chip or a cloud.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use serde_json::Value;

pub use crate::office_folder::Office;

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
        let office = Office::unstaffed();
        for name in ["Root", "Aiko"] {
            office.pin(name, &format!("the pin of {name}"));
        }
        let (root, aiko) = (office.path("Root"), office.path("Aiko"));
        office.run(&["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &root], 0);
        let add = ["operator", "add", "Aiko", "--role", "qa", "--new-pin-file", &aiko];
        office.run(&[&add[..], &["--as", "Root", "--pin-file", &root]].concat(), 0);
        office
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub fn database(&self) -> PathBuf {
        self.data().join(sqlite::FILE)
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
        command.arg("--config").arg(&self.config).arg("--data-dir").arg(self.data())
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
