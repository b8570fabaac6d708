//! What stands behind p11-kit's client: a socket, and for each connection to it a command whose standard
//! input and output are a `p11-kit remote` (p11-kit(8)), here or at the other end of an ssh.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::TempDir;

use super::wire::{Report, send};
use crate::domain::{Failure, ReasonCode};

/// In the guardian's environment, as a list in JSON.
pub(super) const COMMAND: &str = "LINESEAL_P11_KIT_COMMAND";

/// Where p11-kit's client looks for its server.
const ADDRESS: &str = "P11_KIT_SERVER_ADDRESS";

/// A client makes one; one that makes them without end gets no more processes for it.
const MOST_CONNECTIONS: usize = 8;

/// The socket, as long as this lives. Its folder is nobody else's (mode 0700).
pub(super) struct Remote {
    folder: TempDir,
    /// Held while a command is started, so that none is once all of them are being ended.
    serving: Arc<Mutex<bool>>,
}

impl Remote {
    /// Listens, if the environment names a command. `station` hears of one that can't be started.
    pub(super) fn of_environment(station: &UnixStream) -> io::Result<Option<Self>> {
        let Some(command) = std::env::var_os(COMMAND) else { return Ok(None) };
        let command: Vec<String> = serde_json::from_slice(command.as_encoded_bytes())?;
        let alone = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("lineseal-p11-").permissions(alone).tempdir()?;
        let remote = Self { folder, serving: Arc::new(Mutex::new(true)) };
        let (listener, station) = (UnixListener::bind(remote.socket())?, station.try_clone()?);
        let serving = remote.serving.clone();
        std::thread::spawn(move || serve(&listener, &command, &station, &serving));
        Ok(Some(remote))
    }

    /// Has the worker's module come here.
    pub(super) fn lead(&self, worker: &mut Command) {
        let mut address = std::ffi::OsString::from("unix:path=");
        address.push(self.socket());
        worker.env(ADDRESS, address);
    }

    /// From here on no command is started.
    pub(super) fn close(&self) {
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("p11-kit")
    }
}

/// What is started here is the guardian's child: it is killed and reaped with the worker.
fn serve(listener: &UnixListener, command: &[String], station: &UnixStream, serving: &Mutex<bool>) {
    for connection in listener.incoming().take(MOST_CONNECTIONS) {
        let serving = serving.lock().unwrap_or_else(PoisonError::into_inner);
        if !*serving {
            return;
        }
        // Open until the station knows: the module must not hear of it first.
        let (started, _open) = match connection {
            Ok(connection) => (start(command, &connection), Some(connection)),
            Err(error) => (Err(error), None),
        };
        if let Err(error) = started {
            let program = command.first().map_or("the command", String::as_str);
            let cause = format!("{program} does not start: {error}");
            let _ = writeln!(io::stderr(), "{cause}");
            // The worker is silent meanwhile: it waits for its module, and the module for this connection.
            let failure = Failure::new(ReasonCode::TOKEN_MODULE, cause);
            let _ = send(&mut &*station, &Report::Failed(failure));
            return;
        }
    }
}

fn start(command: &[String], connection: &UnixStream) -> io::Result<()> {
    let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let (input, output) = (connection.try_clone()?, connection.try_clone()?);
    let started = Command::new(program)
        .args(args)
        .env_remove(COMMAND)
        .stdin(Stdio::from(OwnedFd::from(input)))
        .stdout(Stdio::from(OwnedFd::from(output)))
        .spawn();
    started.map(drop)
}
