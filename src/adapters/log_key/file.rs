//! An Ed25519 key as PKCS#8 in PEM (RFC 8410 §7), readable by its owner only.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use crate::adapters::durable;
use crate::domain::{Failure, ReasonCode};
use crate::ports::LogSigner;

/// A station's key in a file. It is read anew for every use: another process may put a new key there.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The file's name within a data directory, where the configuration names no other.
    pub const FILE: &str = "log.key";

    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The next key waits beside the present one.
    fn next(&self) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".next");
        self.path.with_file_name(name)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(Self) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(this)).await;
        done.unwrap_or_else(|error| Err(refused(error.to_string())))
    }
}

#[async_trait::async_trait]
impl LogSigner for KeyFile {
    async fn public(&self) -> Result<Option<[u8; 32]>, Failure> {
        self.blocking(|this| load(&this.path)?.as_ref().map(public_of).transpose()).await
    }

    async fn create(&self) -> Result<[u8; 32], Failure> {
        self.blocking(|this| make(&this.path)).await
    }

    async fn sign(&self, text: &[u8]) -> Result<[u8; 64], Failure> {
        let text = text.to_vec();
        self.blocking(move |this| {
            let missing = || refused(format!("{} is gone", this.path.display()));
            let pair = load(&this.path)?.ok_or_else(missing)?;
            let signature = pair.sign(&text);
            // A fault in the arithmetic must not leave this computer, where it could give the key away.
            UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref())
                .verify(&text, signature.as_ref())
                .map_err(|_| refused("the signature just made does not verify".to_owned()))?;
            signature.as_ref().try_into().map_err(|_| refused("an Ed25519 signature has 64 bytes".to_owned()))
        })
        .await
    }

    async fn successor(&self) -> Result<Option<[u8; 32]>, Failure> {
        self.blocking(|this| load(&this.next())?.as_ref().map(public_of).transpose()).await
    }

    async fn make_successor(&self) -> Result<[u8; 32], Failure> {
        self.blocking(|this| match load(&this.next())? {
            Some(waiting) => public_of(&waiting),
            None => make(&this.next()),
        })
        .await
    }

    async fn succeed(&self) -> Result<(), Failure> {
        self.blocking(|this| {
            let moved = std::fs::rename(this.next(), &this.path).and_then(|()| durable::sync_directory(&this.path));
            moved.map_err(|error| refused(format!("{} can't be replaced: {error}", this.path.display())))
        })
        .await
    }
}

/// The text of a private file. `None`: it is not there. L-525: it can't be read, or others could read
/// it, too.
pub fn read_private(path: &Path) -> Result<Option<SecretString>, Failure> {
    let in_file = |what: String| refused(format!("{} {what}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(in_file(format!("can't be read: {error}"))),
    };
    let metadata = file.metadata().map_err(|error| in_file(format!("can't be read: {error}")))?;
    if !metadata.is_file() {
        return Err(in_file("is no file".to_owned()));
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(in_file(format!("is open to others (mode {mode:o}): chmod 600, or better make a new key")));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_KEY).read_to_string(&mut text).map_err(|error| in_file(format!("can't be read: {error}")))?;
    Ok(Some(SecretString::from(text.as_str())))
}

/// A PEM with one Ed25519 key has some 120 bytes; comments around it are welcome.
const LONGEST_KEY: u64 = 16_384;

fn load(path: &Path) -> Result<Option<Ed25519KeyPair>, Failure> {
    let Some(pem) = read_private(path)? else { return Ok(None) };
    let damaged = || refused(format!("{} holds no Ed25519 private key as PKCS#8 in PEM", path.display()));
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| damaged())?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map(Some).map_err(|_| damaged())
}

fn make(path: &Path) -> Result<[u8; 32], Failure> {
    let unmade = |_| refused("the operating system gave no key".to_owned());
    let pair = Ed25519KeyPair::generate().map_err(unmade)?;
    // Version 1: OpenSSL before 3 knows no other.
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(unmade)?;
    let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
    let pem = Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", &*text));
    durable::create(path, pem.as_bytes(), 0o600)
        .map_err(|error| refused(format!("{} can't be made: {error}", path.display())))?;
    public_of(&pair)
}

fn public_of(pair: &Ed25519KeyPair) -> Result<[u8; 32], Failure> {
    pair.public_key().as_ref().try_into().map_err(|_| refused("an Ed25519 public key has 32 bytes".to_owned()))
}

fn refused(cause: String) -> Failure {
    Failure::new(ReasonCode::LOG_KEY, cause)
}
