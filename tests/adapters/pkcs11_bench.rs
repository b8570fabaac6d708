//! One board's chip on the bench: a SoftHSM token of its own, and modules between it and the worker.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
};
use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, WorkerTokens};
use lineseal::audit::event::SignatureScheme;
use lineseal::domain::profile::{KeyKind, ObjectName, SlotChoice};
use lineseal::ports::TokenAccess;
use lineseal::practice::token::{SoftHsm, TokenDir};
use tempfile::TempDir;
use x509_cert::der::Decode as _;
use x509_cert::spki::SubjectPublicKeyInfoRef;

pub const KEY_ID: u32 = 0xF000_0110;
pub const KEY: &str = "sss:F0000110";
pub const CERTIFICATE_ID: u32 = 0xF000_0111;
pub const CERTIFICATE: &str = "sss:F0000111";
pub const UID_ID: &str = "sss:7FFF0206";
/// Eighteen bytes, as an SE050's.
pub const UID: [u8; 18] = *b"\x04\x00\x50\x01eighteen bytes";

pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lineseal"))
}

pub fn tokens() -> WorkerTokens {
    WorkerTokens::new(program(), [WORKER_ARGUMENT.into()])
}

/// A certificate of nobody's key: the adapter looks at its length only.
pub fn some_certificate() -> Vec<u8> {
    rcgen::generate_simple_self_signed(["chip".to_owned()]).unwrap().cert.der().to_vec()
}

pub fn swapped_label(id: u32) -> String {
    format!("sss:{:08X}", id.swap_bytes())
}

pub struct Bench {
    pub dir: TempDir,
    pub token: TokenDir,
    pub spki: Vec<u8>,
    pub certificate: Vec<u8>,
}

impl Bench {
    /// A token without objects.
    pub fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = TokenDir::create(&SoftHsm::find().unwrap(), program(), &dir.path().join("token"), "chip").unwrap();
        Self { dir, token, spki: Vec::new(), certificate: Vec::new() }
    }

    /// Key, certificate and UID under an SE050's labels.
    pub fn new(kind: KeyKind) -> Self {
        let mut bench = Self::empty();
        bench.spki = bench.token.generate_key(kind, KEY, &KEY_ID.to_be_bytes()).unwrap();
        bench.certificate = some_certificate();
        bench.token.import_certificate(CERTIFICATE, &CERTIFICATE_ID.to_be_bytes(), &bench.certificate).unwrap();
        bench.token.import_data(UID_ID, &UID).unwrap();
        bench
    }

    pub fn access(&self) -> TokenAccess {
        TokenAccess {
            module: self.token.module().to_owned(),
            environment: self.token.environment(),
            command: None,
            slot: SlotChoice::Only,
            certificate: ObjectName::Se050(CERTIFICATE_ID),
            key: ObjectName::Se050(KEY_ID),
            uid: Some(ObjectName::Se050(0x7FFF_0206)),
            pin: Some(self.token.pin()),
            port: None,
            call_timeout: Duration::from_secs(20),
            open_timeout: Duration::from_secs(20),
        }
    }

    /// The same through a module that misbehaves; see `pkcs11_shim.c` for the words.
    pub fn shim(&self, faults: &str) -> Shim {
        let dir = tempfile::tempdir().unwrap();
        let (source, module, log) = (dir.path().join("shim.c"), dir.path().join("shim.so"), dir.path().join("log"));
        std::fs::write(&source, include_str!("pkcs11_shim.c")).unwrap();
        // -std=gnu17: the forwarder calls functions of unstated parameters.
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu17", "-shared", "-fPIC", "-w", "-o"]).arg(&module).arg(&source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success());
        let mut access = self.access();
        access.environment.insert("SHIM_REAL".into(), access.module.display().to_string());
        access.environment.insert("SHIM_FAULTS".into(), faults.into());
        access.environment.insert("SHIM_LOG".into(), log.display().to_string());
        access.module = module;
        Shim { access, log, _dir: dir }
    }

    /// The same through `p11-kit server` and its client module (Debian: p11-kit, p11-kit-modules).
    pub fn p11_kit_server(&self) -> Remote {
        let socket = self.dir.path().join("p11-kit.socket");
        let server = Command::new("p11-kit")
            .args(["server", "--foreground", "--sh", "--name"])
            .arg(&socket)
            .arg("--provider")
            .arg(self.token.module())
            .arg("pkcs11:")
            .envs(self.token.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("p11-kit is installed");
        let mut remote = Remote { access: self.access(), server };
        let end = Instant::now() + Duration::from_secs(10);
        while !socket.exists() {
            assert!(Instant::now() < end, "p11-kit server shows no socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        remote.access.module = crate::hostile::p11_kit_client();
        remote.access.environment =
            [("P11_KIT_SERVER_ADDRESS".to_owned(), format!("unix:path={}", socket.display()))].into();
        remote
    }
}

pub struct Shim {
    pub access: TokenAccess,
    log: PathBuf,
    _dir: TempDir,
}

impl Shim {
    /// The number that each call of `function` noted, in order.
    pub fn calls(&self, function: &str) -> Vec<i64> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(name, _)| *name == function)
            .map(|(_, number)| number.parse().unwrap())
            .collect()
    }
}

pub struct Remote {
    pub access: TokenAccess,
    server: Child,
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Everything that is traced.
#[derive(Clone, Default)]
pub struct DebugLog(Arc<Mutex<Vec<u8>>>);

impl DebugLog {
    /// Takes what this thread logs, as long as what is returned lives.
    pub fn listen(&self) -> impl Sized + use<> {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || log.clone())
            .finish();
        // With one dispatcher in the process, tracing asks only the thread that comes first to a line of
        // code whether anyone listens there, and keeps the answer: that may be another test's thread.
        // With two it asks them all.
        let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
        (tracing::subscriber::set_default(subscriber), second)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for DebugLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `message` under the SubjectPublicKeyInfo `spki` (DER).
pub fn verify(
    spki: &[u8],
    scheme: SignatureScheme,
    message: &[u8],
    signature: &[u8],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    let key = SubjectPublicKeyInfoRef::from_der(spki).unwrap().subject_public_key.raw_bytes();
    let algorithm: &dyn signature::VerificationAlgorithm = match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => &ECDSA_P256_SHA256_FIXED,
        SignatureScheme::EcdsaSecp384r1Sha384 => &ECDSA_P384_SHA384_FIXED,
        SignatureScheme::EcdsaSecp521r1Sha512 => &ECDSA_P521_SHA512_FIXED,
        SignatureScheme::RsaPkcs1Sha256 => &RSA_PKCS1_2048_8192_SHA256,
        SignatureScheme::RsaPssRsaeSha256 => &RSA_PSS_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(algorithm, key).verify(message, signature)
}

/// The process is gone, and not left as a zombie either.
pub fn gone_within(pid: i64, patience: Duration) {
    wait_until(|| state(pid).is_none(), pid, patience);
}

/// The process runs no more; a zombie is its new parent's affair.
pub fn dead_within(pid: i64, patience: Duration) {
    wait_until(|| matches!(state(pid), None | Some('Z')), pid, patience);
}

/// As [`gone_within`], while the runtime goes on and reaps.
pub async fn gone_soon(pid: i64) {
    let end = Instant::now() + Duration::from_secs(5);
    while state(pid).is_some() {
        assert!(Instant::now() < end, "process {pid} is still there: {:?}", state(pid));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn wait_until(done: impl Fn() -> bool, pid: i64, patience: Duration) {
    let end = Instant::now() + patience;
    while !done() {
        assert!(Instant::now() < end, "process {pid} is still there: {:?}", state(pid));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The process's state letter (proc_pid_stat(5)).
fn state(pid: i64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
