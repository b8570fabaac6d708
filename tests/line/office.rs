//! A station without a line, and the program at work there.

use serde_json::Value;

use crate::log;
pub use crate::office_folder::Office;
use crate::program::{Ended, Program};

impl Office {
    /// With `Root` as its administrator, whose PIN file is `root`.
    pub fn with_administrator() -> Office {
        let office = Self::unstaffed();
        let root = office.pin("root", "root's own pin");
        office.run(&["add", "Root", "--role", "administrator", "--new-pin-file", &root], 0);
        office
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
        let file = self.path("root");
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
