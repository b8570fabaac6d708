//! The configurations that the machine's stations run with, and what their `boards --watch` said.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::machine::deadline;

/// Sixteen lanes, each at its own socket, seen through udev's links: xHCI ports 1 to 13, two ports of
/// the hub in port 15, and port 1 of the UHCI controller.
pub const SIXTEEN: &str = "sixteen.toml";
/// No links: serial ports and USB, for boards with two serial ports or none.
pub const BENCH: &str = "bench.toml";

/// Lane 7's socket alone, with boards that are asked for their serial number.
pub const ASKED: &str = "asked-station.toml";

/// The socket of each lane, as `bus` and `port`.
pub fn socket(lane: usize) -> (&'static str, String) {
    match lane {
        14 => ("xhci.0", "15.1".into()),
        15 => ("xhci.0", "15.2".into()),
        16 => ("uhci.0", "1".into()),
        port => ("xhci.0", port.to_string()),
    }
}

/// What udev calls the adapter in this lane's socket.
pub fn port(lane: usize) -> String {
    let (bus, port) = socket(lane);
    let controller = if bus == "xhci.0" { "0000:00:10.0" } else { "0000:00:11.0" };
    format!("pci-{controller}-usb-0:{port}:1.0-port0")
}

/// Writes both configurations, with their profiles and what those name, into `folder`.
pub fn write_configurations(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let lanes: String = (1..=16)
        .map(|lane| {
            let port = port(lane).replace(".0-usb", "\\.0-usb").replace(":1.0-port0", ":");
            format!("[[lanes]]\nnumber = {lane}\nport = '^{port}'\n")
        })
        .collect();
    write(
        SIXTEEN,
        station("links = [\"/dev/serial/by-path\"]\nserial_ports = true\nusb = false", &["adapter"]) + &lanes,
    );
    write(
        BENCH,
        station("links = []\nserial_ports = true\nusb = true", &["gateway", "portless"])
            + "[[lanes]]\nnumber = 1\nport = 'dummy_hcd\\.0'\n[[lanes]]\nnumber = 2\nport = 'dummy_hcd\\.1'\n",
    );
    write(
        ASKED,
        station("links = [\"/dev/serial/by-path\"]\nserial_ports = false\nusb = false", &["asked"])
            + &format!("[[lanes]]\nnumber = 7\nport = '^{}$'\n", port(7).replace('.', "\\.")),
    );
    let question = "source = \"question\"\nsend = \"id?\\n\"\nexpect = 'SN=(?P<serial>[A-Z0-9-]+)\\r?\\n'\ntimeout_ms = 30000\nretries = 0";
    let asked = format!("path = '^{}$'", port(7).replace('.', "\\."));
    write("asked.toml", profile(&asked).replace("source = \"usb-serial\"", question));
    write("adapter.toml", profile("usb = [\"0403:6001\"]\nserial_port = true"));
    write("gateway.toml", profile("usb = [\"1fc9:00a2\"]\nserial_port = true\ninterface = 2"));
    write("portless.toml", profile("usb = [\"1fc9:0143\"]\nserial_port = false"));
    let key = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    write("root.pem", root.pem());
    let statement = r#"{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}"#;
    write("policy.json", format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#));
}

fn station(detection: &str, profiles: &[&str]) -> String {
    let profiles: Vec<String> = profiles.iter().map(|name| format!("{name}.toml")).collect();
    format!(
        "profiles = {profiles:?}\n[station]\nname = \"VM\"\n[detection]\n{detection}\ndebounce_ms = 100\n\
         [[targets]]\nname = \"cloud\"\nregion = \"eu-west-1\"\naccount = \"123456789012\"\n"
    )
}

fn profile(matches: &str) -> String {
    format!(
        "product = \"board\"\n[match]\n{matches}\n[identify]\nsource = \"usb-serial\"\nserial = '.+'\n\
         [token]\nmodule = \"/usr/lib/none.so\"\ncertificate = 0xF0000101\nkey = 0xF0000100\npin = \"\"\n\
         [trust]\nroots = [\"root.pem\"]\nkeys = [\"ec-p256\"]\nuid = \"none\"\n\
         [register]\ntargets = [\"cloud\"]\nthing_name = \"board-{{serial}}\"\n\
         policy = {{ name = \"device\", file = \"policy.json\" }}\n"
    )
}

/// The output of a `lineseal boards --watch --json`, as it grows.
pub struct Watch {
    file: PathBuf,
    /// How many lines have been looked at.
    seen: usize,
}

impl Watch {
    pub fn new(file: PathBuf) -> Watch {
        Watch { file, seen: 0 }
    }

    /// Every line so far.
    pub fn all(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
    }

    /// Waits for `count` more lines and returns them; looks for a moment whether there are others.
    pub fn next(&mut self, count: usize) -> Vec<Value> {
        let end = deadline();
        loop {
            let lines = self.all().split_off(self.seen);
            if lines.len() >= count {
                break;
            }
            let found = lines.len();
            assert!(Instant::now() < end, "{found} lines instead of {count}: {lines:#?}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(300));
        let lines = self.all().split_off(self.seen);
        self.seen += lines.len();
        assert_eq!(lines.len(), count, "{lines:#?}\n{}", self.log());
        lines
    }

    /// What the program had to say besides.
    fn log(&self) -> String {
        fs::read_to_string(self.file.with_extension("log")).unwrap_or_default()
    }
}
