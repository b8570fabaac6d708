//! A PKCS#11 module that means harm (`module.c`), built once a test run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The name of the file, beside a token, that says what the module does.
pub const PLAN: &str = "plan";

/// The module. It lies in the target folder, where every test of this process finds it.
pub fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let module = folder.join(format!("hostile-{}.so", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/module.c");
        // -std=gnu17: the forwarder calls functions of unstated parameters.
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu17", "-shared", "-fPIC", "-w", "-pthread", "-o"]).arg(&module).arg(source).arg("-ldl");
        assert!(compiler.status().expect("a C compiler").success());
        module
    })
}

/// What stands between p11-kit's client and its remote (`relay.c`).
pub fn relay() -> &'static Path {
    static RELAY: OnceLock<PathBuf> = OnceLock::new();
    RELAY.get_or_init(|| {
        let relay = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("relay-{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/relay.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-std=gnu17", "-o"]).arg(&relay).arg(source);
        assert!(compiler.status().expect("a C compiler").success());
        relay
    })
}

/// p11-kit's client (Debian: p11-kit-modules).
pub fn p11_kit_client() -> PathBuf {
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
        .iter()
        .map(|place| Path::new(place).join("pkcs11/p11-kit-client.so"))
        .find(|module| module.is_file())
        .expect("p11-kit-client.so (Debian: apt-get install p11-kit-modules)")
}

/// Every process whose environment names `mark`: a worker, and whatever a module started there.
pub fn processes(mark: &Path) -> Vec<String> {
    let mark = mark.as_os_str().as_encoded_bytes();
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let marked = numbers.filter(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|part| part == mark)
    });
    marked.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Nothing of that is left, within a bounded while.
pub async fn nobody_left(mark: &Path, after: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let left = processes(mark);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "after {after}, processes are left: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
