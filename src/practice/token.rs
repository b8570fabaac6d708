//! SoftHSM tokens that stand in for the boards' chips.
//!
//! SoftHSM chooses its store by a process-wide variable, so each change is made by a short-lived
//! child of this program ([`maker_main`]) that gets one JSON request on stdin and answers on stdout.
//! Keys are generated inside the token and never leave it. All calls here block: seconds for a large
//! RSA key, milliseconds otherwise.

mod maker;
mod spki;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::domain::Bytes;
use crate::domain::profile::{KeyKind, Pin};

pub use maker::maker_main;

/// The hidden argument on which this program becomes a token maker.
pub const MAKER_ARGUMENT: &str = "practice-token-maker";

/// The user PIN of every practice token: SoftHSM wants four characters, and these protect nothing.
pub(super) const PIN: &str = "1234";

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("SoftHSM is not installed: none of {0:?} exists (Debian: apt-get install softhsm2)")]
    NoSoftHsm(&'static [&'static str]),
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("the token maker {} does not run", program.display())]
    Maker { program: PathBuf, source: io::Error },
    #[error("the token maker answered nonsense ({status}): {output:?}")]
    Answer { status: std::process::ExitStatus, output: String },
    #[error("SoftHSM refused to {what}: {cause}")]
    Refused { what: &'static str, cause: String },
}

/// SoftHSM's module on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoftHsm {
    pub module: PathBuf,
}

impl SoftHsm {
    /// Looks where Debian and its relatives put it.
    pub fn find() -> Result<Self, TokenError> {
        const PLACES: &[&str] = &[
            "/usr/lib/softhsm/libsofthsm2.so",
            "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
            "/usr/lib64/softhsm/libsofthsm2.so",
            "/usr/local/lib/softhsm/libsofthsm2.so",
        ];
        let module = PLACES.iter().map(PathBuf::from).find(|place| place.is_file());
        module.map(|module| Self { module }).ok_or(TokenError::NoSoftHsm(PLACES))
    }
}

/// One chip: a folder with a SoftHSM configuration, a token store of one token, and its PIN.
#[derive(Debug, Clone)]
pub struct TokenDir {
    soft_hsm: SoftHsm,
    maker: PathBuf,
    dir: PathBuf,
}

impl TokenDir {
    /// A fresh token `label` in the new folder `dir`. `maker`: the program that ends up in
    /// [`maker_main`] when it is run with [`MAKER_ARGUMENT`].
    pub fn create(soft_hsm: &SoftHsm, maker: &Path, dir: &Path, label: &str) -> Result<Self, TokenError> {
        let token = Self { soft_hsm: soft_hsm.clone(), maker: maker.to_owned(), dir: dir.to_owned() };
        fs::create_dir_all(token.store()).map_err(in_file(&token.store()))?;
        token.write_configuration()?;
        write_private(&token.pin_file(), PIN)?;
        token.make(Task::Init { label: label.to_owned() })?;
        Ok(token)
    }

    /// A token that [`TokenDir::create`] made earlier.
    pub fn reopen(soft_hsm: &SoftHsm, maker: &Path, dir: &Path) -> Result<Self, TokenError> {
        let token = Self { soft_hsm: soft_hsm.clone(), maker: maker.to_owned(), dir: dir.to_owned() };
        fs::metadata(token.configuration()).map_err(in_file(&token.configuration()))?;
        Ok(token)
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }

    pub fn module(&self) -> &Path {
        &self.soft_hsm.module
    }

    /// What leads a process to this token.
    pub fn environment(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("SOFTHSM2_CONF".to_owned(), self.configuration().display().to_string())])
    }

    /// The user PIN, as a profile names it.
    pub fn pin(&self) -> Pin {
        Pin::File(self.pin_file())
    }

    /// A file that holds the user PIN, mode 0600.
    pub fn pin_file(&self) -> PathBuf {
        self.dir.join("pin")
    }

    /// A key pair made inside the token; only its DER SubjectPublicKeyInfo comes out. The private
    /// key wants a login, the public key is not kept.
    pub fn generate_key(&self, kind: KeyKind, label: &str, id: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.make(Task::Generate { kind, label: label.to_owned(), id: id.to_vec().into() })
    }

    /// Stores `der` as it is, valid or not; readable without login.
    pub fn import_certificate(&self, label: &str, id: &[u8], der: &[u8]) -> Result<(), TokenError> {
        let task = Task::Certificate { label: label.to_owned(), id: id.to_vec().into(), der: der.to_vec().into() };
        self.make(task).map(drop)
    }

    /// The fault `certificate-copied`: what `label` named is gone, `der` stands in its place.
    pub fn replace_certificate(&self, label: &str, id: &[u8], der: &[u8]) -> Result<(), TokenError> {
        self.make(Task::Delete { class: Class::Certificate, label: label.to_owned() })?;
        self.import_certificate(label, id, der)
    }

    /// A data object, e.g. the chip's UID; readable without login.
    pub fn import_data(&self, label: &str, value: &[u8]) -> Result<(), TokenError> {
        self.make(Task::Data { label: label.to_owned(), value: value.to_vec().into() }).map(drop)
    }

    /// The fault `key-missing`.
    pub fn delete_key(&self, label: &str) -> Result<(), TokenError> {
        self.make(Task::Delete { class: Class::PrivateKey, label: label.to_owned() }).map(drop)
    }

    /// The fault `duplicate`: the same chip, key and all, in the new folder `dir`.
    pub fn copy_to(&self, dir: &Path) -> Result<Self, TokenError> {
        copy_folder(&self.dir, dir)?;
        let copy = Self { soft_hsm: self.soft_hsm.clone(), maker: self.maker.clone(), dir: dir.to_owned() };
        copy.write_configuration()?;
        Ok(copy)
    }

    /// The fault `hung-token`: the configuration becomes a pipe that nobody writes to, and C_Initialize
    /// blocks in opening it until the process is killed.
    pub fn hang(&self) -> Result<(), TokenError> {
        let path = self.configuration();
        fs::remove_file(&path).map_err(in_file(&path))?;
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0)
            .map_err(|error| in_file(&path)(error.into()))
    }

    /// Ends [`hang`](Self::hang).
    pub fn unhang(&self) -> Result<(), TokenError> {
        let path = self.configuration();
        fs::remove_file(&path).map_err(in_file(&path))?;
        self.write_configuration()
    }

    fn store(&self) -> PathBuf {
        self.dir.join("tokens")
    }

    fn configuration(&self) -> PathBuf {
        self.dir.join("softhsm2.conf")
    }

    fn write_configuration(&self) -> Result<(), TokenError> {
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            self.store().display()
        );
        fs::write(self.configuration(), text).map_err(in_file(&self.configuration()))
    }

    /// Runs the maker. It ends by itself within its own deadline.
    fn make(&self, task: Task) -> Result<Vec<u8>, TokenError> {
        let what = task.what();
        let request = Request { module: self.soft_hsm.module.clone(), pin: PIN.to_owned(), task };
        let in_maker = |source| TokenError::Maker { program: self.maker.clone(), source };
        let mut child = Command::new(&self.maker)
            .arg(MAKER_ARGUMENT)
            .envs(self.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(in_maker)?;
        let request = serde_json::to_vec(&request).map_err(|error| in_maker(error.into()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A maker that went away says more by its status than by this pipe.
            let _ = stdin.write_all(&request);
        }
        let output = child.wait_with_output().map_err(in_maker)?;
        match serde_json::from_slice::<Answer>(&output.stdout) {
            Ok(Answer::Done(bytes)) => Ok(bytes.0),
            Ok(Answer::Refused(cause)) => Err(TokenError::Refused { what, cause }),
            Err(_) => Err(TokenError::Answer {
                status: output.status,
                output: String::from_utf8_lossy(&output.stdout).into_owned(),
            }),
        }
    }
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Request {
    module: PathBuf,
    pin: String,
    task: Task,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum Task {
    Init { label: String },
    Generate { kind: KeyKind, label: String, id: Bytes },
    Certificate { label: String, id: Bytes, der: Bytes },
    Data { label: String, value: Bytes },
    Delete { class: Class, label: String },
}

impl Task {
    fn what(&self) -> &'static str {
        match self {
            Task::Init { .. } => "make a token",
            Task::Generate { .. } => "generate a key pair",
            Task::Certificate { .. } => "store a certificate",
            Task::Data { .. } => "store a data object",
            Task::Delete { .. } => "delete an object",
        }
    }
}

#[derive(Debug, Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Class {
    Certificate,
    PrivateKey,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
enum Answer {
    /// The SubjectPublicKeyInfo of a generated key, else nothing.
    Done(Bytes),
    Refused(String),
}

fn in_file(path: &Path) -> impl Fn(io::Error) -> TokenError + use<> {
    let path = path.to_owned();
    move |source| TokenError::File { path: path.clone(), source }
}

fn write_private(path: &Path, text: &str) -> Result<(), TokenError> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(in_file(path))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), TokenError> {
    fs::create_dir_all(to).map_err(in_file(to))?;
    let mode = fs::metadata(from).map_err(in_file(from))?.permissions().mode();
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).map_err(in_file(to))?;
    for entry in fs::read_dir(from).map_err(in_file(from))? {
        let entry = entry.map_err(in_file(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(in_file(&source))?;
        if kind.is_dir() {
            copy_folder(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(in_file(&source))?;
        }
    }
    Ok(())
}
