//! The files of a practice line: its station configuration, profile, labels and policy, made from the
//! same shipped assets that a real station starts from.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::domain::profile::ConnectMode;
use crate::domain::{LaneNumber, Region};

/// The folders and files of a practice line.
pub const MARKER: &str = "PRACTICE";
pub const PORTS: &str = "ports";
pub const TOKENS: &str = "tokens";
pub const CHIPS: &str = "chips";
pub const VENDOR: &str = "vendor";
pub const CLOUD: &str = "cloud";
pub const LABELS: &str = "labels";
pub const DATA: &str = "data";
/// Beside the profile.
const BROKER_CA: &str = "broker-ca.pem";
pub const STATION_FILE: &str = "lineseal.toml";

/// As an SE050 names its objects (the labels that NXP's module gives since 4.4).
pub const CERTIFICATE_LABEL: &str = "sss:F0000111";
pub const KEY_LABEL: &str = "sss:F0000110";
pub const UID_LABEL: &str = "sss:7FFF0206";
pub const KEY_ID: &[u8] = &[0x10];
pub const TOKEN_LABEL: &str = "PRACTICE";

/// What the files are wired to.
pub struct Wiring<'a> {
    pub dir: &'a Path,
    pub module: &'a Path,
    pub endpoint: &'a str,
    pub region: &'a Region,
    pub printer: SocketAddr,
    pub lanes: u8,
    /// `None`: no connection is tried.
    pub broker: Option<Broker<'a>>,
}

/// The cloud's MQTT listener, on this machine.
pub struct Broker<'a> {
    pub port: u16,
    /// PEM.
    pub ca: &'a str,
    pub mode: ConnectMode,
}

/// The link's name, which is the physical path of a practice port.
pub fn port_name(lane: LaneNumber) -> String {
    format!("jig-{:02}", lane.get())
}

/// Writes all of them and returns the station's file.
pub fn write(wiring: &Wiring) -> io::Result<PathBuf> {
    let assets = wiring.dir.join("assets");
    std::fs::create_dir_all(&assets)?;
    for (name, content) in [
        ("unit.zpl", include_str!("../../assets/labels/unit.zpl")),
        ("slip.zpl", include_str!("../../assets/labels/slip.zpl")),
        ("device.json", include_str!("../../assets/policies/device.json")),
        ("pin", super::token::PIN),
        (BROKER_CA, wiring.broker.as_ref().map_or("", |broker| broker.ca)),
        ("practice.toml", &profile(wiring, include_str!("../../assets/profiles/practice.toml"))),
    ] {
        std::fs::write(assets.join(name), content)?;
    }
    let station = wiring.dir.join(STATION_FILE);
    std::fs::write(&station, station_file(wiring))?;
    Ok(station)
}

fn profile(wiring: &Wiring, template: &str) -> String {
    let text = |path: PathBuf| path.display().to_string();
    let assets = wiring.dir.join("assets");
    let connect = match wiring.broker.as_ref().map(|broker| broker.mode) {
        Some(ConnectMode::Required) => "required",
        Some(ConnectMode::Optional) => "optional",
        None => "off",
    };
    [
        ("@MODULE@", text(wiring.module.to_owned())),
        ("@TOKENS@", text(wiring.dir.join(TOKENS))),
        ("@PIN@", text(assets.join("pin"))),
        ("@VENDOR@", text(wiring.dir.join(VENDOR))),
        ("@POLICY@", text(assets.join("device.json"))),
        ("@LABELS@", text(assets)),
        ("@CONNECT@", connect.to_owned()),
    ]
    .into_iter()
    .fold(template.to_owned(), |filled, (name, value)| filled.replace(name, &value))
}

fn station_file(wiring: &Wiring) -> String {
    let quoted = |text: &str| format!("{text:?}");
    let lanes: String = (1..=wiring.lanes)
        .filter_map(|number| LaneNumber::try_from(number).ok())
        .map(|lane| format!("\n[[lanes]]\nnumber = {lane}\nname = \"{lane}\"\nport = \"^{}$\"\n", port_name(lane)))
        .collect();
    format!(
        "# Written by `lineseal practice` at every start. It points at stand-ins on this machine only.\n\
         profiles = [\"assets/practice.toml\"]\n\n\
         [station]\nname = \"PRACTICE\"\npractice = true\n\n\
         [detection]\nlinks = [{ports}]\nserial_ports = false\nusb = false\ndebounce_ms = 150\n\n\
         [printer]\nkind = \"tcp\"\naddress = \"{printer}\"\n\n\
         [[targets]]\nname = \"practice\"\nregion = \"{region}\"\nendpoint = {endpoint}\n{broker}{lanes}",
        ports = quoted(&wiring.dir.join(PORTS).display().to_string()),
        printer = wiring.printer,
        region = wiring.region,
        endpoint = quoted(wiring.endpoint),
        broker = wiring.broker.as_ref().map_or_else(String::new, |broker| {
            format!("mqtt = \"localhost:{}\"\nmqtt_roots = [\"assets/{BROKER_CA}\"]\n", broker.port)
        }),
    )
}
