//! Everything plugged in, from three sources, as one list by physical path.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nusb::MaybeFuture;

use super::hotplug::Hotplug;
use super::links::{self, Link};
use super::sysfs::{Sysfs, Tty};
use crate::config::Detection;
use crate::domain::{Device, Failure, PortPath, ReasonCode};
use crate::ports::BoardSource;

/// How often names are compared where nothing announces a change (a directory of links).
const POLL: Duration = Duration::from_millis(150);
/// udev sets a new node's permissions and links. When it has nothing more to do and still said nothing
/// about a node, it never will; and it may hang.
const UDEV_IDLE: Duration = Duration::from_secs(3);
const UDEV_BUSY: Duration = Duration::from_secs(30);
/// A USB device is announced before its serial port exists: 45 ms in a slow machine, more when a
/// driver must be loaded first. Only then is it a board without a serial port.
const MAY_BECOME_SERIAL: Duration = Duration::from_secs(1);
const WILL_NOT_BECOME_SERIAL: Duration = Duration::from_millis(300);

/// USB class codes (usb.org, Defined Class Codes).
const COMMUNICATIONS: u8 = 0x02;
const HUB: u8 = 0x09;
const CDC_DATA: u8 = 0x0a;
const VENDOR_SPECIFIC: u8 = 0xff;

/// The station's ports: links to serial devices, serial ports, and USB devices without one.
///
/// A serial device seen by several sources is one [`Device`]. Its path is its link's name, from the
/// first configured directory that has one; else the name udev would give its link. A USB device
/// with serial ports is represented by these, each interface a device of its own.
pub struct StationPorts {
    links: Vec<PathBuf>,
    serial_ports: bool,
    usb: bool,
    sysfs: Sysfs,
    hotplug: Hotplug,
    /// By instance: what has been present since when.
    sightings: HashMap<String, Sighting>,
    /// The names at the last look.
    names: u64,
    /// Something is there that is not shown yet, or a port that may soon be allowed.
    unsettled: bool,
    denied: bool,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    first: Instant,
    ready: bool,
    /// Seen in the current look.
    current: bool,
}

impl StationPorts {
    pub fn new(detection: &Detection) -> Self {
        Self {
            links: detection.links.clone(),
            serial_ports: detection.serial_ports,
            usb: detection.usb,
            sysfs: Sysfs::default(),
            hotplug: Hotplug::new(),
            sightings: HashMap::new(),
            names: 0,
            unsettled: false,
            denied: false,
        }
    }

    /// Is something plugged in that [`present`](BoardSource::present) did not list because udev or a
    /// driver may not be done with it?
    pub fn unsettled(&self) -> bool {
        self.unsettled
    }

    fn names(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for directory in &self.links {
            for link in links::scan(directory).unwrap_or_default() {
                (link.name, link.node, link.made).hash(&mut hasher);
            }
        }
        if self.serial_ports || self.usb {
            self.sysfs.names().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Every serial device of the links and of the enumeration, with the links that lead to it.
    fn nodes(&self) -> Result<BTreeMap<PathBuf, Vec<(usize, Link)>>, Failure> {
        let mut nodes: BTreeMap<PathBuf, Vec<(usize, Link)>> = BTreeMap::new();
        for (directory, path) in self.links.iter().enumerate() {
            for link in links::scan(path)? {
                nodes.entry(link.node.clone()).or_default().push((directory, link));
            }
        }
        // serialport takes a system without this folder for a bug.
        if self.serial_ports && self.sysfs.has_ttys() {
            let ports = serialport::available_ports()
                .map_err(|error| Failure::new(ReasonCode::PORT_FAILED, format!("cannot list serial ports: {error}")))?;
            for port in ports {
                if let Ok(node) = Path::new(&port.port_name).canonicalize() {
                    nodes.entry(node).or_default();
                }
            }
        }
        Ok(nodes)
    }

    /// The device behind `node`, and which directory named it. `None`: it has gone, it is no board,
    /// or it is not ready to be shown.
    fn port(&mut self, node: &Path, links: Vec<(usize, Link)>) -> Option<(usize, Device)> {
        let metadata = node.metadata().ok()?;
        let device = match self.sysfs.tty(metadata.rdev()) {
            Some(tty) => {
                if tty.phantom && links.is_empty() {
                    return None;
                }
                let done = self.sysfs.udev_is_done(&metadata);
                let patience = if self.sysfs.udev_is_busy() { UDEV_BUSY } else { UDEV_IDLE };
                if !self.ready(&tty.instance, |age| done || age >= patience) {
                    return None;
                }
                let (directory, path) = self.named(&tty, links)?;
                let (usb, usb_serial, product) = match tty.usb {
                    Some(usb) => (Some(usb.ids), usb.serial, usb.product),
                    None => (None, None, None),
                };
                let Tty { instance, interface, .. } = tty;
                (directory, Device { path, instance, node: None, usb, usb_serial, interface, product, denied: None })
            }
            None => {
                let (directory, link) = links.into_iter().next()?;
                // A pseudo-terminal's inode number is its own number, which comes back; its time does not.
                let (inode, time, nanos) = (metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
                let instance = format!("link-{}-{inode:x}.{time:x}.{nanos:x}", link.made);
                (directory, bare(link.name, instance))
            }
        };
        let (directory, mut device) = device;
        device.node = Some(node.to_str()?.to_owned());
        match rustix::fs::access(node, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK) {
            Ok(()) => {}
            Err(rustix::io::Errno::NOENT) => return None,
            Err(error) => {
                let (mode, owner, group) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
                device.denied =
                    Some(format!("{} (mode {mode:o}, user {owner}, group {group}): {error}", node.display()));
                // A port that becomes allowed is an arrival.
                device.instance.push_str("-denied");
            }
        }
        Some((directory, device))
    }

    /// The path of a port with hardware behind it: from its links, or derived.
    fn named(&self, tty: &Tty, links: Vec<(usize, Link)>) -> Option<(usize, PortPath)> {
        let linked = links
            .into_iter()
            .filter(|(_, link)| !contradicts(link.name.as_str(), &tty.path))
            // Newer udev names a port twice (`usb-0:…`, `usbv2-0:…`).
            .min_by_key(|(directory, link)| (*directory, link.name.as_str() != tty.path, link.name.clone()));
        match linked {
            Some((directory, link)) => Some((directory, link.name)),
            None if self.serial_ports => Some((usize::MAX, tty.path.parse().ok()?)),
            None => None,
        }
    }

    /// USB devices that have no serial port and will not get one.
    fn portless(&mut self) -> Vec<Device> {
        // No USB at all is no failure.
        let Ok(devices) = nusb::list_devices().wait() else { return Vec::new() };
        let devices: Vec<_> = devices.collect();
        let ttys = self.sysfs.tty_folders();
        let mut boards = Vec::new();
        for device in devices {
            let folder = device.sysfs_path();
            let classes: Vec<u8> = device.interfaces().map(|interface| interface.class()).collect();
            let is_hub = device.class() == HUB || classes.contains(&HUB);
            if is_hub || ttys.iter().any(|tty| tty.starts_with(folder)) {
                continue;
            }
            let Some((path, instance, usb)) = self.sysfs.usb_device(folder) else { continue };
            let Ok(path) = path.parse() else { continue };
            let (connected, settled) = (self.sysfs.connected(folder), settled_after(&classes));
            if self.ready(&instance, |age| age.max(connected) >= settled) {
                let mut board = bare(path, instance);
                (board.usb, board.usb_serial, board.product) = (Some(usb.ids), usb.serial, usb.product);
                boards.push(board);
            }
        }
        boards
    }

    /// Notes that `instance` is there and whether it may be shown; once ready, it stays so.
    fn ready(&mut self, instance: &str, ready: impl FnOnce(Duration) -> bool) -> bool {
        let new = Sighting { first: Instant::now(), ready: false, current: true };
        let sighting = self.sightings.entry(instance.to_owned()).or_insert(new);
        sighting.current = true;
        sighting.ready = sighting.ready || ready(sighting.first.elapsed());
        self.unsettled |= !sighting.ready;
        sighting.ready
    }
}

impl BoardSource for StationPorts {
    fn present(&mut self) -> Result<Vec<Device>, Failure> {
        // Before the look: what changes during it is then noticed by `wait`.
        self.names = self.names();
        self.unsettled = false;
        self.sightings.values_mut().for_each(|sighting| sighting.current = false);
        let mut found = Vec::new();
        for (node, links) in self.nodes()? {
            found.extend(self.port(&node, links));
        }
        if self.usb {
            found.extend(self.portless().into_iter().map(|board| (usize::MAX, board)));
        }
        self.sightings.retain(|_, sighting| sighting.current);
        self.denied = found.iter().any(|(_, device)| device.denied.is_some());
        Ok(distinct(found, &self.links))
    }

    fn wait(&mut self, at_most: Duration) {
        // Nothing announces that permissions changed.
        let at_most = if self.denied { at_most.min(Duration::from_secs(1)) } else { at_most };
        let end = Instant::now() + at_most;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let announced = self.hotplug.wait(left.min(POLL));
            if announced || left <= POLL || self.unsettled || self.names() != self.names {
                return;
            }
        }
    }
}

/// A udev link to a USB port that names another place than the kernel does: left over from the
/// device that had this tty number before.
fn contradicts(link: &str, derived: &str) -> bool {
    let place = |name: &str| name.split_once("-0:").map(|(_, place)| place.to_owned());
    let is_udevs = link.contains("usb-0:") || link.contains("usbv");
    is_udevs && derived.contains("usb-0:") && place(link) != place(derived)
}

/// How long a USB device with these interfaces is given to get a serial port.
fn settled_after(classes: &[u8]) -> Duration {
    let may = |class: &u8| matches!(*class, COMMUNICATIONS | CDC_DATA | VENDOR_SPECIFIC);
    if classes.is_empty() || classes.iter().any(may) { MAY_BECOME_SERIAL } else { WILL_NOT_BECOME_SERIAL }
}

fn bare(path: PortPath, instance: String) -> Device {
    Device { path, instance, node: None, usb: None, usb_serial: None, interface: None, product: None, denied: None }
}

/// By path. Where two directories have a link of the same name to different devices, the later one's
/// goes by directory and name.
fn distinct(mut found: Vec<(usize, Device)>, directories: &[PathBuf]) -> Vec<Device> {
    found.sort_by(|(a, x), (b, y)| (a, &x.path).cmp(&(b, &y.path)));
    let mut devices: BTreeMap<PortPath, Device> = BTreeMap::new();
    for (directory, mut device) in found {
        if devices.contains_key(&device.path) {
            let place = directories.get(directory).map(|path| path.join(device.path.as_str()));
            let Some(Ok(path)) = place.map(|place| place.to_string_lossy().parse()) else { continue };
            device.path = path;
        }
        devices.entry(device.path.clone()).or_insert(device);
    }
    devices.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_udev_link_left_over_from_another_port_is_not_believed() {
        let derived = "pci-0000:00:10.0-usb-0:3:1.0-port0";
        assert!(contradicts("pci-0000:00:10.0-usb-0:2:1.0-port0", derived));
        assert!(!contradicts(derived, derived));
        assert!(!contradicts("pci-0000:00:10.0-usbv2-0:3:1.0-port0", derived));
        assert!(!contradicts("lane7", derived));
        assert!(!contradicts("pci-0000:00:10.0-usb-0:2:1.0-port0", "pnp-00:04-ttyS0"));
    }

    #[test]
    fn a_device_that_may_get_a_serial_port_is_given_longer() {
        assert_eq!(settled_after(&[]), MAY_BECOME_SERIAL);
        assert_eq!(settled_after(&[0x03, 0xff]), MAY_BECOME_SERIAL);
        assert_eq!(settled_after(&[0x03]), WILL_NOT_BECOME_SERIAL);
    }

    #[test]
    fn the_same_name_in_two_directories_is_two_ports() {
        let named = |name: &str, instance: &str| bare(name.parse().unwrap(), instance.into());
        let found = vec![(1, named("lane1", "b")), (0, named("lane1", "a")), (usize::MAX, named("lane1", "c"))];
        let devices = distinct(found, &["/dev/jig".into(), "/dev/other".into()]);
        let seen: Vec<_> = devices.iter().map(|device| (device.path.as_str(), device.instance.as_str())).collect();
        assert_eq!(seen, [("/dev/other/lane1", "b"), ("lane1", "a")]);
    }
}
