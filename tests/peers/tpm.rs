//! A board with a TPM 2.0: swtpm, the resource manager before it (tpm2-abrmd) on a bus of its own, and
//! tpm2-pkcs11's token with an EC P-256 and an RSA 2048 key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub const PIN: &str = "123456";
pub const TOKEN: &str = "device";
/// The labels of its keys, and of their certificates.
pub const KEYS: [&str; 2] = ["ec", "rsa"];

const BUS: &str = "bus";
const STORE: &str = "store";
const TCTI: &str = "tabrmd:bus_type=session";
/// A software TPM makes its first primary key in a second.
const WITHIN: Duration = Duration::from_secs(60);

/// It ends with this value.
pub struct Tpm {
    folder: TempDir,
    /// The last one started is the first to go.
    running: Vec<Child>,
}

impl Tpm {
    pub fn start() -> Tpm {
        let folder = tempfile::tempdir().unwrap();
        let mut tpm = Tpm { folder, running: Vec::new() };
        for name in ["state", STORE] {
            std::fs::create_dir(tpm.path(name)).unwrap();
        }
        let bus = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            tpm.path(BUS).display()
        );
        std::fs::write(tpm.path("bus.conf"), bus).unwrap();
        let file = |name: &str| tpm.path(name).display().to_string();
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--nofork", "--nopidfile", "--config-file", &file("bus.conf")]);
        let mut chip = Command::new("swtpm");
        chip.args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &format!("dir={}", file("state"))])
            .args(["--server", &format!("type=unixio,path={}", file("tpm"))])
            .args(["--ctrl", &format!("type=unixio,path={}", file("tpm.ctrl"))]);
        let mut manager = Command::new("tpm2-abrmd");
        manager.args(["--session", "--allow-root", &format!("--tcti=swtpm:path={}", file("tpm"))]);
        manager.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", file(BUS)));
        for (mut program, makes) in [(daemon, Some(BUS)), (chip, Some("tpm.ctrl")), (manager, None)] {
            program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            tpm.running.push(program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}")));
            let end = Instant::now() + WITHIN;
            while makes.is_some_and(|makes| !tpm.path(makes).exists()) {
                assert!(Instant::now() < end, "{program:?} makes no {makes:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // The manager says nothing when it is there.
        let end = Instant::now() + WITHIN;
        while !tpm.tool(&["init"]).status.success() {
            assert!(Instant::now() < end, "no TPM behind tpm2-abrmd");
            std::thread::sleep(Duration::from_millis(50));
        }
        tpm.done(&["addtoken", "--pid", "1", "--label", TOKEN, "--sopin", "so-pin-1", "--userpin", PIN]);
        for (label, algorithm) in KEYS.into_iter().zip(["ecc256", "rsa2048"]) {
            let key = ["addkey", "--label", TOKEN, "--userpin", PIN, "--algorithm", algorithm, "--key-label", label];
            tpm.done(&key);
        }
        tpm
    }

    /// The SubjectPublicKeyInfo of one of its keys.
    pub fn spki(&self, label: &str) -> Vec<u8> {
        let to = self.path("spki");
        let _ = std::fs::remove_file(&to);
        let mut reader = Command::new("pkcs11-tool");
        reader.arg("--module").arg(self.module()).args(["--token-label", TOKEN, "--read-object", "--type", "pubkey"]);
        reader.args(["--label", label, "--output-file"]).arg(&to).envs(self.environment());
        let read = reader.output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        std::fs::read(to).unwrap()
    }

    /// Puts a certificate beside a key.
    pub fn certify(&self, label: &str, pem: &str) {
        let file = self.path("certificate.pem");
        std::fs::write(&file, pem).unwrap();
        self.done(&["addcert", "--label", TOKEN, "--key-label", label, file.to_str().unwrap()]);
    }

    pub fn module(&self) -> PathBuf {
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
            .iter()
            .map(|place| Path::new(place).join("pkcs11/libtpm2_pkcs11.so"))
            .find(|module| module.is_file())
            .expect("libtpm2_pkcs11.so (Debian: apt-get install libtpm2-pkcs11-1)")
    }

    /// What leads a process to this token.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("TPM2_PKCS11_STORE", self.path(STORE).display().to_string()),
            ("TPM2_PKCS11_TCTI", TCTI.to_owned()),
            ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", self.path(BUS).display())),
        ])
    }

    fn done(&self, args: &[&str]) {
        let done = self.tool(args);
        assert!(done.status.success(), "tpm2_ptool {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn tool(&self, args: &[&str]) -> std::process::Output {
        let mut tool = Command::new("tpm2_ptool");
        tool.args(args).arg("--path").arg(self.path(STORE)).envs(self.environment()).env("TPM2TOOLS_TCTI", TCTI);
        tool.stdin(Stdio::null()).output().expect("tpm2_ptool (Debian: apt-get install libtpm2-pkcs11-tools)")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        for program in self.running.iter_mut().rev() {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}
