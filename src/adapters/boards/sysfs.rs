//! What the kernel says about a serial device or a USB device in sysfs, and where udev would say it
//! is plugged in (the `path_id` builtin and 60-serial.rules of systemd).

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::UsbIds;

/// sysfs and udev's run-time folder; tests put a small tree of their own here.
#[derive(Debug, Clone)]
pub(super) struct Sysfs {
    sys: PathBuf,
    udev: PathBuf,
}

/// A serial device that has hardware behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tty {
    /// The name its link in `/dev/serial/by-path` has; for a port that is no USB port, its bus
    /// address and name.
    pub path: String,
    /// Never the same again once the device has gone.
    pub instance: String,
    pub usb: Option<Usb>,
    /// The number of the USB interface it belongs to.
    pub interface: Option<u8>,
    /// An 8250 port that the kernel reserved and no hardware answers to.
    pub phantom: bool,
}

/// A USB device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usb {
    pub ids: UsbIds,
    /// iSerial as the kernel read it, also where udev and others would drop it.
    pub serial: Option<String>,
    pub product: Option<String>,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self { sys: "/sys".into(), udev: "/run/udev".into() }
    }
}

impl Sysfs {
    /// The serial device with this device number; `None` for a pseudo-terminal, which has no
    /// hardware and no place in sysfs.
    pub fn tty(&self, device_number: u64) -> Option<Tty> {
        let (major, minor) = (rustix::fs::major(device_number), rustix::fs::minor(device_number));
        let folder = self.sys.join(format!("dev/char/{major}:{minor}")).canonicalize().ok()?;
        let node = folder.file_name()?.to_str()?.to_owned();
        let chain = self.chain(&folder);
        let usb_folder = chain.iter().find(|device| device.folder.join("idVendor").exists());
        let interface = chain.iter().find_map(|device| attribute(&device.folder, "bInterfaceNumber"));
        let port = chain.iter().find(|device| device.subsystem.as_deref() == Some("usb-serial"));
        let port = port.and_then(|device| attribute(&device.folder, "port_number"));
        let place = path_id(&chain);
        let path = match (usb_folder.is_some(), place, port) {
            (true, Some(place), Some(port)) => format!("{place}-port{port}"),
            (true, Some(place), None) => place,
            (_, Some(place), _) => format!("{place}-{node}"),
            // A port on the board itself keeps its number.
            (_, None, _) => format!("{}-{node}", bus_address(&chain)?),
        };
        Some(Tty {
            path,
            instance: instance(&folder, usb_folder.map(|device| device.folder.as_path()))?,
            usb: usb_folder.and_then(|device| usb(&device.folder)),
            interface: interface.and_then(|number| u8::from_str_radix(&number, 16).ok()),
            phantom: attribute(&folder, "type").as_deref() == Some("0"),
        })
    }

    /// The physical path, facts and instance of the USB device in `folder`, for boards that have no
    /// serial port: `pci-0000:00:14.0-usb-0:8.3`.
    pub fn usb_device(&self, folder: &Path) -> Option<(String, String, Usb)> {
        let folder = folder.canonicalize().ok()?;
        Some((path_id(&self.chain(&folder))?, instance(&folder, Some(&folder))?, usb(&folder)?))
    }

    /// How long the kernel has known the USB device in `folder`; zero where it does not say.
    pub fn connected(&self, folder: &Path) -> Duration {
        let text = attribute(folder, "power/connected_duration");
        Duration::from_millis(text.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// The folders of all serial devices, to see which USB devices have one.
    pub fn tty_folders(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.sys.join("class/tty")) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.path().canonicalize().ok()).collect()
    }

    /// Has udev finished with this device: are its permissions and links as they will stay?
    ///
    /// Its database entry is written last. An entry older than the node belongs to the device that
    /// had this number before.
    pub fn udev_is_done(&self, node: &std::fs::Metadata) -> bool {
        if !self.udev.join("control").exists() {
            return true;
        }
        let (major, minor) = (rustix::fs::major(node.rdev()), rustix::fs::minor(node.rdev()));
        let entry = self.udev.join(format!("data/c{major}:{minor}"));
        entry.metadata().is_ok_and(|entry| (entry.mtime(), entry.mtime_nsec()) >= (node.ctime(), node.ctime_nsec()))
    }

    /// Has udev events that it has not worked through? Sixteen boards at once keep it busy for seconds.
    pub fn udev_is_busy(&self) -> bool {
        self.udev.join("queue").exists()
    }

    /// What changes whenever a serial or USB device comes or goes; cheap enough to ask for often.
    pub fn names(&self) -> Vec<(std::ffi::OsString, u64)> {
        use std::os::unix::fs::DirEntryExt;
        let folders = ["class/tty", "bus/usb/devices"].map(|folder| self.sys.join(folder));
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        entries.map(|entry| (entry.file_name(), entry.ino())).collect()
    }

    pub fn has_ttys(&self) -> bool {
        self.sys.join("class/tty").is_dir()
    }

    /// The device in `folder` and all that it hangs on, innermost first.
    fn chain(&self, folder: &Path) -> Vec<Ancestor> {
        let Ok(top) = self.sys.join("devices").canonicalize() else { return Vec::new() };
        let inside = folder.ancestors().take_while(|folder| folder.starts_with(&top) && *folder != top);
        let devices = inside.filter(|folder| folder.join("uevent").exists());
        devices
            .map(|folder| Ancestor {
                folder: folder.to_owned(),
                name: folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
                subsystem: std::fs::read_link(folder.join("subsystem"))
                    .ok()
                    .and_then(|link| Some(link.file_name()?.to_str()?.to_owned())),
            })
            .collect()
    }
}

struct Ancestor {
    folder: PathBuf,
    name: String,
    subsystem: Option<String>,
}

/// systemd's `path_id`: of each bus on the way up, one part.
fn path_id(chain: &[Ancestor]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = chain;
    while let Some(device) = rest.first() {
        let bus = device.subsystem.as_deref();
        let part = match bus {
            // `3-8.3:1.0` is port 3 of the hub in port 8 of bus 3; the bus number moves.
            Some("usb") => device.name.split_once('-').map(|(_, port)| format!("usb-0:{port}")),
            Some(bus @ ("pci" | "platform" | "acpi" | "amba")) => Some(format!("{bus}-{}", device.name)),
            _ => None,
        };
        let same_bus = rest.iter().take_while(|device| device.subsystem.as_deref() == bus).count();
        // A bus speaks once, whatever number of bridges or hubs it has.
        rest = &rest[if part.is_some() { same_bus } else { 1 }..];
        parts.extend(part);
    }
    parts.reverse();
    if parts.is_empty() { None } else { Some(parts.join("-")) }
}

fn bus_address(chain: &[Ancestor]) -> Option<String> {
    chain.iter().find_map(|device| match device.subsystem.as_deref() {
        None | Some("tty" | "serial-base") => None,
        Some(bus) => Some(format!("{bus}-{}", device.name)),
    })
}

/// kernfs gives every object a number that does not come back (`kernfs_node.id`), and USB counts
/// its devices up.
fn instance(folder: &Path, usb: Option<&Path>) -> Option<String> {
    let number = folder.metadata().ok()?.ino();
    let usb = usb.and_then(|usb| Some((attribute(usb, "busnum")?, attribute(usb, "devnum")?)));
    Some(match usb {
        Some((bus, device)) => format!("usb-{bus}-{device}-{number:x}"),
        None => format!("sys-{number:x}"),
    })
}

fn usb(folder: &Path) -> Option<Usb> {
    let id = |name| u16::from_str_radix(&attribute(folder, name)?, 16).ok();
    Some(Usb {
        ids: UsbIds { vid: id("idVendor")?, pid: id("idProduct")? },
        serial: attribute(folder, "serial"),
        product: attribute(folder, "product"),
    })
}

/// A sysfs attribute without the blanks around it; `None` when it is missing or empty.
fn attribute(folder: &Path, name: &str) -> Option<String> {
    let bytes = std::fs::read(folder.join(name)).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() { None } else { Some(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A sysfs with what is written into it.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new() -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            fs::create_dir_all(tree.0.path().join("sys/dev/char")).unwrap();
            fs::create_dir_all(tree.0.path().join("sys/class/tty")).unwrap();
            tree
        }
        fn sysfs(&self) -> Sysfs {
            Sysfs { sys: self.0.path().join("sys"), udev: self.0.path().join("udev") }
        }
        /// A device below `/sys/devices`, in its subsystem, with its attributes.
        fn device(&self, path: &str, subsystem: &str, attributes: &[(&str, &str)]) -> PathBuf {
            let folder = self.0.path().join("sys/devices").join(path);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("uevent"), "").unwrap();
            if !subsystem.is_empty() {
                symlink(format!("/sys/bus/{subsystem}"), folder.join("subsystem")).unwrap();
            }
            for (name, value) in attributes {
                fs::write(folder.join(name), format!("{value}\n")).unwrap();
            }
            folder
        }
        fn tty(&self, path: &str, number: &str, attributes: &[(&str, &str)]) {
            let folder = self.device(path, "tty", attributes);
            symlink(&folder, self.0.path().join("sys/dev/char").join(number)).unwrap();
            symlink(&folder, self.0.path().join("sys/class/tty").join(folder.file_name().unwrap())).unwrap();
        }
        fn host(&self) -> &'static str {
            self.device("pci0000:00", "", &[]);
            self.device("pci0000:00/0000:00:1c.0", "pci", &[]);
            self.device("pci0000:00/0000:00:1c.0/0000:03:00.0", "pci", &[]);
            let bus = "pci0000:00/0000:00:1c.0/0000:03:00.0/usb1";
            self.device(bus, "usb", &[("idVendor", "1d6b"), ("idProduct", "0002")]);
            bus
        }
    }

    const ODD: &str = "A/B C#é\"x";

    fn board(tree: &Tree, device: &str) {
        let facts = [("idVendor", "0403"), ("idProduct", "6001"), ("serial", ODD), ("product", "Board")];
        tree.device(device, "usb", &[&facts[..], &[("busnum", "1"), ("devnum", "7")]].concat());
    }

    #[test]
    fn a_usb_serial_adapter_behind_a_hub_has_udevs_own_path() {
        let tree = Tree::new();
        let bus = tree.host();
        tree.device(&format!("{bus}/1-8"), "usb", &[("idVendor", "0409"), ("idProduct", "55aa")]);
        board(&tree, &format!("{bus}/1-8/1-8.3"));
        let interface = format!("{bus}/1-8/1-8.3/1-8.3:1.1");
        tree.device(&interface, "usb", &[("bInterfaceNumber", "01")]);
        tree.device(&format!("{interface}/ttyUSB4"), "usb-serial", &[("port_number", "0")]);
        tree.tty(&format!("{interface}/ttyUSB4/tty/ttyUSB4"), "188:4", &[]);
        let tty = tree.sysfs().tty(rustix::fs::makedev(188, 4)).unwrap();
        assert_eq!(tty.path, "pci-0000:03:00.0-usb-0:8.3:1.1-port0");
        assert_eq!(tty.interface, Some(1));
        let usb = tty.usb.unwrap();
        assert_eq!(usb.ids.to_string(), "0403:6001");
        assert_eq!(usb.serial.as_deref(), Some(ODD));
        assert_eq!(usb.product.as_deref(), Some("Board"));
        assert!(tty.instance.starts_with("usb-1-7-"), "{}", tty.instance);
    }

    #[test]
    fn an_acm_port_on_a_platform_controller_has_no_port_suffix() {
        let tree = Tree::new();
        tree.device("platform", "", &[]);
        tree.device("platform/soc", "platform", &[]);
        tree.device("platform/soc/xhci-hcd.0.auto", "platform", &[]);
        tree.device("platform/soc/xhci-hcd.0.auto/usb3", "usb", &[("idVendor", "1d6b"), ("idProduct", "2")]);
        board(&tree, "platform/soc/xhci-hcd.0.auto/usb3/3-1");
        let interface = "platform/soc/xhci-hcd.0.auto/usb3/3-1/3-1:1.2";
        tree.device(interface, "usb", &[("bInterfaceNumber", "02")]);
        tree.tty(&format!("{interface}/tty/ttyACM1"), "166:1", &[]);
        let tty = tree.sysfs().tty(rustix::fs::makedev(166, 1)).unwrap();
        assert_eq!(tty.path, "platform-xhci-hcd.0.auto-usb-0:1:1.2");
        assert_eq!(tty.interface, Some(2));
    }

    #[test]
    fn ports_that_are_no_usb_ports_are_named_by_their_bus_address() {
        let tree = Tree::new();
        tree.device("pnp0/00:04", "pnp", &[]);
        tree.device("pnp0/00:04/00:04:0", "serial-base", &[]);
        tree.tty("pnp0/00:04/00:04:0/tty/ttyS0", "4:64", &[("type", "4")]);
        tree.host();
        tree.device("pci0000:00/0000:00:16.3", "pci", &[]);
        tree.tty("pci0000:00/0000:00:16.3/tty/ttyS4", "4:68", &[("type", "0")]);
        let sysfs = tree.sysfs();
        let port = sysfs.tty(rustix::fs::makedev(4, 64)).unwrap();
        assert_eq!((port.path.as_str(), port.phantom, port.usb), ("pnp-00:04-ttyS0", false, None));
        let port = sysfs.tty(rustix::fs::makedev(4, 68)).unwrap();
        assert_eq!((port.path.as_str(), port.phantom), ("pci-0000:00:16.3-ttyS4", true));
    }

    #[test]
    fn a_pseudo_terminal_has_no_hardware() {
        assert_eq!(Tree::new().sysfs().tty(rustix::fs::makedev(136, 3)), None);
    }

    #[test]
    fn a_usb_device_without_a_serial_port_is_named_without_an_interface() {
        let tree = Tree::new();
        let bus = tree.host();
        board(&tree, &format!("{bus}/1-2"));
        let folder = tree.0.path().join("sys/devices").join(bus).join("1-2");
        let (path, instance, usb) = tree.sysfs().usb_device(&folder).unwrap();
        assert_eq!(path, "pci-0000:03:00.0-usb-0:2");
        assert!(instance.starts_with("usb-1-7-"), "{instance}");
        assert_eq!(usb.serial.as_deref(), Some(ODD));
    }

    #[test]
    fn udev_is_waited_for_where_it_runs_and_an_older_entry_is_not_this_devices() {
        let tree = Tree::new();
        let sysfs = tree.sysfs();
        let node = fs::metadata("/dev/null").unwrap();
        assert!(sysfs.udev_is_done(&node), "no udev, nothing to wait for");
        fs::create_dir_all(tree.0.path().join("udev/data")).unwrap();
        fs::write(tree.0.path().join("udev/control"), "").unwrap();
        assert!(!sysfs.udev_is_done(&node) && !sysfs.udev_is_busy());
        fs::write(tree.0.path().join("udev/queue"), "").unwrap();
        assert!(sysfs.udev_is_busy());
        let entry = fs::File::create(tree.0.path().join("udev/data/c1:3")).unwrap();
        assert!(sysfs.udev_is_done(&node));
        let before = std::time::UNIX_EPOCH + std::time::Duration::from_secs(node.ctime() as u64 - 1);
        entry.set_modified(before).unwrap();
        assert!(!sysfs.udev_is_done(&node));
    }
}
