//! A server written in Python, as a child process that cannot outlive this one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(20);
/// For an orderly end; after it comes SIGKILL.
const END_WITHIN: Duration = Duration::from_secs(4);

/// A child that was started with `--announce FILE`, made that file when it was ready, and ends when
/// its standard input does. Dropping it ends it and waits for the end.
#[derive(Debug)]
pub struct PythonServer {
    child: Child,
    announced: String,
    log: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum PythonServerError {
    #[error("there is no Python at {path}: is the virtual environment made?")]
    NoPython { path: PathBuf },
    #[error("{path} cannot be written")]
    Folder { path: PathBuf, source: io::Error },
    #[error("{path} cannot be started")]
    Start { path: PathBuf, source: io::Error },
    #[error("it ended ({status}) before it was ready; its log is {log}")]
    Ended { status: std::process::ExitStatus, log: PathBuf },
    #[error("it was not ready within {within:?}; its log is {log}")]
    Late { within: Duration, log: PathBuf },
}

impl PythonServer {
    /// Runs `script` with the `venv`'s Python and `args`. Script, log and announcement are files in
    /// `folder`, called after `name`. Nothing of this process's environment reaches the child, so
    /// that no AWS setting of whoever is logged in does.
    pub async fn start(
        name: &str,
        venv: &Path,
        folder: &Path,
        script: &str,
        args: &[OsString],
        within: Duration,
    ) -> Result<Self, PythonServerError> {
        let python = venv.join("bin/python");
        if !python.exists() {
            return Err(PythonServerError::NoPython { path: python });
        }
        let unwritable = |path: &Path, source| PythonServerError::Folder { path: path.to_owned(), source };
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
        // The child works elsewhere than this process may: paths are made absolute.
        let folder = &fs::canonicalize(folder).map_err(|error| unwritable(folder, error))?;
        // Not called after the package that it imports: Python looks beside the script first.
        let script_path = folder.join(format!("start_{name}.py"));
        fs::write(&script_path, script).map_err(|error| unwritable(&script_path, error))?;
        // It may hold keys, so it lives in a folder of its own (mode 0700), and no longer than needed.
        let private = tempfile::Builder::new().prefix("ready-").tempdir_in(folder);
        let private = private.map_err(|error| unwritable(folder, error))?;
        let announce = private.path().join("announcement");
        let log = folder.join(format!("{name}.log"));
        let log_file = File::options().create(true).append(true).open(&log).map_err(|error| unwritable(&log, error))?;
        let log_twin = log_file.try_clone().map_err(|error| unwritable(&log, error))?;

        let child = Command::new(&python)
            .arg(&script_path)
            .arg("--announce")
            .arg(&announce)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", folder)
            .env("TMPDIR", folder)
            .stdin(Stdio::piped())
            .stdout(log_file)
            .stderr(log_twin)
            // Ctrl-C in the terminal is for the station; this one ends when the station has.
            .process_group(0)
            .spawn()
            .map_err(|source| PythonServerError::Start { path: python, source })?;
        let mut server = Self { child, announced: String::new(), log };
        server.announced = server.wait_ready(&announce, within).await?;
        Ok(server)
    }

    /// What the child announced.
    pub fn announcement<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.announced)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Ends it in order, then by force.
    pub async fn stop(mut self) {
        self.ask_to_end();
        let by = Instant::now() + END_WITHIN;
        while self.is_running() && Instant::now() < by {
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wait_ready(&mut self, announce: &Path, within: Duration) -> Result<String, PythonServerError> {
        let by = Instant::now() + within;
        loop {
            match fs::read_to_string(announce) {
                Ok(text) => return Ok(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(PythonServerError::Folder { path: announce.to_owned(), source }),
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(PythonServerError::Ended { status, log: self.log.clone() });
            }
            if Instant::now() > by {
                return Err(PythonServerError::Late { within, log: self.log.clone() });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn ask_to_end(&mut self) {
        drop(self.child.stdin.take());
        if self.is_running() {
            // It may end by itself meanwhile; it is not reaped yet, so the id is still its own.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
    }

    fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        self.ask_to_end();
        let by = Instant::now() + END_WITHIN;
        while self.is_running() && Instant::now() < by {
            std::thread::sleep(POLL);
        }
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
