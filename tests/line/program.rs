//! The real program as a child process.

use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::bench::Bench;
use crate::peers::venv;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_lineseal");

const PATIENCE: Duration = Duration::from_secs(120);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; a signal's number is negative.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Stdout as one JSON object a line.
    pub fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    /// Panics with everything that was said unless it ended so.
    pub fn expect(self, status: i32) -> Ended {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

/// A program that runs. Dropping it kills it.
pub struct Running {
    child: Child,
    output: TempDir,
}

/// `lineseal` with nothing of this process's environment but where programs are.
pub struct Program {
    command: Command,
    output: TempDir,
}

impl Program {
    pub fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Program {
        let output = tempfile::tempdir().unwrap();
        let mut command = Command::new(PROGRAM);
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", output.path())
            .env("LANG", "C.UTF-8")
            .env("LINESEAL_PRACTICE_VENV", venv())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(File::create(output.path().join("out")).unwrap())
            .stderr(File::create(output.path().join("err")).unwrap());
        Program { command, output }
    }

    /// On a bench's line, with the station's keys where the AWS default chain finds them.
    pub fn on<'a>(bench: &Bench<'_>, args: impl IntoIterator<Item = &'a str>) -> Program {
        let mut program = Self::new(args);
        program
            .command
            .arg("--config")
            .arg(&bench.config_file)
            .arg("--data-dir")
            .arg(bench.data_dir())
            .env("AWS_ACCESS_KEY_ID", bench.cloud.credentials.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", bench.cloud.credentials.secret_access_key());
        program
    }

    pub fn data_dir(mut self, dir: &Path) -> Program {
        self.command.arg("--data-dir").arg(dir);
        self
    }

    pub fn current_dir(mut self, dir: &Path) -> Program {
        self.command.current_dir(dir);
        self
    }

    pub fn config(mut self, file: &Path) -> Program {
        self.command.arg("--config").arg(file);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Program {
        self.command.env(name, value);
        self
    }

    /// With this text to read from standard input.
    pub fn input(self, text: &str) -> Program {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        self.stdin(file)
    }

    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Program {
        self.command.stdin(stdin);
        self
    }

    pub fn start(mut self) -> Running {
        Running { child: self.command.spawn().unwrap(), output: self.output }
    }

    /// To its end; off the runtime's threads.
    pub async fn run(self) -> Ended {
        let running = self.start();
        tokio::task::spawn_blocking(move || running.wait()).await.unwrap()
    }
}

impl Running {
    /// Until it ends by itself.
    pub fn wait(mut self) -> Ended {
        let by = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                let status = status.code().or(status.signal().map(|signal| -signal)).unwrap();
                return Ended { status, out: self.read("out"), err: self.read("err") };
            }
            if Instant::now() > by {
                panic!("no end within {PATIENCE:?}:\n{}\n{}", self.read("out"), self.read("err"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until it has said this on stderr.
    pub fn until_said(&self, text: &str) {
        let by = Instant::now() + PATIENCE;
        while !self.read("err").contains(text) {
            assert!(Instant::now() < by, "no {text:?} within {PATIENCE:?}: {}", self.read("err"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Until it ends by itself, and the most memory it had at once, in KiB, as often as it could be asked.
    pub fn wait_and_watch(mut self) -> (Ended, u64) {
        let status = format!("/proc/{}/status", self.child.id());
        let mut peak = 0;
        while self.child.try_wait().unwrap().is_none() {
            // Of one that has just ended there is no such line.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok());
            peak = peak.max(kib.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        (self.wait(), peak)
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// As Ctrl-C does it.
    pub fn interrupt(self) -> Ended {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::INT)
            .unwrap();
        self.wait()
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.output.path().join(name);
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
