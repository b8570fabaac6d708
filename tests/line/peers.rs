//! What the tests talk to and did not write: clouds, and other eyes on clouds, tokens and labels.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_credential_types::Credentials;
use lineseal::domain::Region;
use lineseal::practice::cloud::{MiniStack, MiniStackPlan, PythonServer};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A cloud and the keys of the station's user in it.
pub struct Cloud {
    pub port: u16,
    pub region: Region,
    pub credentials: Credentials,
    /// The port of its MQTT listener, and whom that one's certificate comes from, PEM.
    pub mqtt: Option<(u16, String)>,
    /// Ends with this value.
    _server: Server,
    _folder: TempDir,
}

enum Server {
    MiniStack {
        _running: MiniStack,
    },
    /// Another cloud's.
    Shared,
    Moto {
        _running: PythonServer,
    },
}

impl Cloud {
    /// One MiniStack for all tests that don't mind each other's things in it.
    pub async fn shared() -> &'static Cloud {
        static SHARED: OnceCell<Cloud> = OnceCell::const_new();
        SHARED.get_or_init(Cloud::ministack).await
    }

    /// One with a broker, likewise.
    pub async fn shared_with_broker() -> &'static Cloud {
        static SHARED: OnceCell<Cloud> = OnceCell::const_new();
        SHARED.get_or_init(Cloud::with_broker).await
    }

    /// This one, reached at another port.
    pub fn behind(&self, port: u16) -> Cloud {
        Cloud {
            port,
            region: self.region.clone(),
            credentials: self.credentials.clone(),
            mqtt: self.mqtt.clone(),
            _server: Server::Shared,
            _folder: tempfile::tempdir().unwrap(),
        }
    }

    /// An empty MiniStack, signatures verified.
    pub async fn ministack() -> Cloud {
        Self::ministack_with(false).await
    }

    /// The same, and its MQTT broker, which holds devices to their policies.
    pub async fn with_broker() -> Cloud {
        Self::ministack_with(true).await
    }

    async fn ministack_with(mtls: bool) -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let plan = MiniStackPlan { mtls, ..plan(folder.path(), None) };
        let running = MiniStack::start(&plan).await.unwrap();
        Cloud {
            port: running.address().port(),
            region: running.region().clone(),
            credentials: running.credentials(),
            mqtt: running.mtls_port().zip(running.mtls_ca().map(str::to_owned)),
            _server: Server::MiniStack { _running: running },
            _folder: folder,
        }
    }

    /// What a practice line's MiniStack left behind in its folder, up again.
    pub async fn left_by_practice(practice_dir: &Path) -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let plan = plan(folder.path(), Some(practice_dir.join("cloud/state")));
        let running = MiniStack::start(&plan).await.unwrap();
        Cloud {
            port: running.address().port(),
            region: running.region().clone(),
            credentials: running.credentials(),
            mqtt: running.mtls_port().zip(running.mtls_ca().map(str::to_owned)),
            _server: Server::MiniStack { _running: running },
            _folder: folder,
        }
    }

    /// An empty moto.
    pub async fn moto() -> Cloud {
        let folder = tempfile::tempdir().unwrap();
        let script = include_str!("../peers/moto_loopback.py");
        let within = Duration::from_secs(60);
        let running = PythonServer::start("moto", &venv(), folder.path(), script, &[], within).await.unwrap();
        Cloud {
            port: running.announcement::<BTreeMap<String, u16>>().unwrap()["port"],
            region: "us-east-1".parse().unwrap(),
            credentials: Credentials::new("AKIAMOTOMOTOMOTO", "moto-secret", None, None, "test"),
            mqtt: None,
            _server: Server::Moto { _running: running },
            _folder: folder,
        }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that boto3 sees in it.
    pub fn witness(&self) -> Witness {
        witness(&self.endpoint(), self.region.as_str())
    }
}

/// All that boto3 sees at an endpoint.
pub fn witness(endpoint: &str, region: &str) -> Witness {
    let output = Command::new(venv().join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/look_at_iot.py"))
        .args([endpoint, region])
        .env_clear()
        .output()
        .expect("a Python environment with boto3 in LINESEAL_TEST_VENV");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn plan(folder: &Path, state: Option<PathBuf>) -> MiniStackPlan {
    MiniStackPlan { venv: venv(), folder: folder.to_owned(), state, port: None, mtls: false }
}

pub fn venv() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv");
    std::env::var_os("LINESEAL_TEST_VENV").map_or(default, PathBuf::from)
}

/// What `tests/peers/look_at_iot.py` prints: everything in IoT, as boto3 lists it.
#[derive(Debug, PartialEq, serde::Deserialize)]
pub struct Witness {
    pub things: BTreeMap<String, SeenThing>,
    /// By certificate id.
    pub certificates: BTreeMap<String, SeenCertificate>,
    pub policies: BTreeMap<String, SeenPolicy>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
pub struct SeenThing {
    pub thing_type: Option<String>,
    pub attributes: BTreeMap<String, String>,
    pub principals: Vec<String>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
pub struct SeenCertificate {
    pub arn: String,
    pub status: String,
    /// SHA-256 of the DER in its PEM.
    pub der_sha256: String,
    pub things: Vec<String>,
    pub policies: Vec<String>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
pub struct SeenPolicy {
    pub document: serde_json::Value,
    pub targets: Vec<String>,
}

/// An object's value in a token, as OpenSC reads it. `kind`: `cert` or `data`.
pub fn read_object(token: &Path, kind: &str, label: &str) -> Vec<u8> {
    let out = tempfile::NamedTempFile::new().unwrap();
    pkcs11_tool(
        token,
        &["--read-object", "--type", kind, "--label", label, "--output-file", out.path().to_str().unwrap()],
    );
    std::fs::read(out.path()).unwrap()
}

/// Runs OpenSC's tool on the token whose folder this is.
pub fn pkcs11_tool(token: &Path, args: &[&str]) -> String {
    let module = lineseal::practice::token::SoftHsm::find().unwrap().module;
    let output = Command::new("pkcs11-tool")
        .arg("--module")
        .arg(module)
        .args(args)
        .env("SOFTHSM2_CONF", token.join("softhsm2.conf"))
        .output()
        .expect("pkcs11-tool (Debian: apt-get install opensc)");
    assert!(output.status.success(), "pkcs11-tool {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a scanner reads off a picture of a label.
pub fn scan(picture: &Path) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Code {
        text: String,
    }
    let output = Command::new(venv().join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/read_codes.py"))
        .arg(picture)
        .output()
        .expect("a Python environment with zxing-cpp in LINESEAL_TEST_VENV");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let codes: Vec<Code> = serde_json::from_slice(&output.stdout).unwrap();
    codes.into_iter().map(|code| code.text).collect()
}
