//! A complete, correct configuration in a temporary folder, to be spoilt.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::{Config, load};

pub(super) const STATION: &str = r#"profiles = ["profiles/gateway.toml"]

[station]
name = "L3-ST2"
practice = false
language = "ja"

[detection]
links = ["/dev/serial/by-path"]
serial_ports = false
usb = true
debounce_ms = 200

[[lanes]]
number = 1
name = "left"
port = 'usb-0:1:1\.0'

[[lanes]]
number = 2

[printer]
kind = "tcp"
address = "192.0.2.7"

[[targets]]
name = "staging"
region = "ap-northeast-1"
aws_profile = "plant"
endpoint = "https://iot.example.com"
account = "111111111111"
[[targets]]
name = "production"
region = "eu-west-1"
account = "222222222222"
"#;

pub(super) const PROFILE: &str = r#"product = "gateway-g4"

[match]
usb = ["1fc9:0094", "0403:6001"]
path = 'usb'
usb_serial = '^A'
usb_product = 'Gateway'
interface = 0
serial_port = true

[[prepare]]
command = ["./wake", "{port}", "{address}"]
timeout_ms = 2000

[[prepare]]
send = "wake {serial}\n"
expect = 'OK'
baud = 9600
timeout_ms = 100
retries = 0

[identify]
source = "question"
send = "id?\n"
expect = 'SN=(?P<serial>[A-Z0-9-]+) IP=(?P<address>[0-9.]+)\r?\n'
baud = 115200
timeout_ms = 1000
retries = 2
serial = '[A-Z0-9-]+'

[token]
module = "/usr/lib/module.so"
environment = { EX_SSS_BOOT_SSS_PORT = "{port}" }
slot = "only"
certificate = "pkcs11:object=dev%20cert;id=%01;type=cert"
key = 0xF0000110
uid = "0x7FFF0206"
pin_file = "pin"
call_timeout_ms = 5000
open_timeout_ms = 20000

[trust]
roots = ["root.pem"]
intermediates = ["root.pem"]
keys = ["ec-p256", "rsa-2048"]
uid = "required"
uid_from_cn = '-(?P<uid>[0-9a-f]{36})$'

[register]
method = "without-ca"
targets = ["staging", "production"]
thing_name = "gw-{serial}"
thing_type = "gateway"
attributes = { product = "{product}", address = "{address}" }
certificate_status = "INACTIVE"
policy = { name = "device", file = "policy.json" }
deadline_ms = 30000

[label]
template = "unit.zpl"
slip = "slip.zpl"
"#;

pub(super) const POLICY: &str =
    r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}"#;
pub(super) const UNIT: &str = "^XA\n^FO1,1^FH^FD{serial} {thing}^FS\n^FO9,9^FD{{}}^FS\n^XZ\n";
pub(super) const SLIP: &str = "^XA^FO1,1^FH_^FD{slip}^FS^XZ";

/// A self-signed certificate in PEM form.
pub(super) fn root_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&key).unwrap().pem()
}

pub(super) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(fixture.path("profiles")).unwrap();
        fixture.write("lineseal.toml", STATION);
        fixture.write("profiles/gateway.toml", PROFILE);
        fixture.write("profiles/policy.json", POLICY);
        fixture.write("profiles/unit.zpl", UNIT);
        fixture.write("profiles/slip.zpl", SLIP);
        fixture.write("profiles/root.pem", root_pem());
        fixture
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn load(&self) -> Config {
        load(&self.path("lineseal.toml")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The messages, with the temporary folder taken off.
    pub fn mistakes(&self) -> Vec<String> {
        mistakes_of(&self.path("lineseal.toml"), self.dir.path())
    }
}

pub(super) fn mistakes_of(station: &Path, folder: &Path) -> Vec<String> {
    let errors = load(station).expect_err("a mistake was expected");
    let folder = format!("{}/", folder.display());
    errors.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
}

/// The station's file with one piece of text replaced.
pub(super) fn station_mistakes(from: &str, to: &str) -> Vec<String> {
    let fixture = Fixture::new();
    fixture.write("lineseal.toml", replaced(STATION, from, to));
    fixture.mistakes()
}

/// The profile's file with one piece of text replaced.
pub(super) fn profile_mistakes(from: &str, to: &str) -> Vec<String> {
    let fixture = Fixture::new();
    fixture.write("profiles/gateway.toml", replaced(PROFILE, from, to));
    fixture.mistakes()
}

pub(super) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} is to be there once");
    text.replace(from, to)
}
