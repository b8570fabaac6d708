//! A small PC in QEMU (plain emulation: no KVM, no root) with a real kernel and udev, whose USB
//! sockets are ours: `machine/build.sh` makes it, QMP plugs and unplugs.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// When to give up waiting: emulation is slow and this computer may be busy, but all of it together
/// ends within four minutes.
pub fn deadline() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    let all = *START.get_or_init(Instant::now) + Duration::from_secs(230);
    all.min(Instant::now() + PATIENCE)
}

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Machine {
    qemu: Child,
    qmp: Qmp,
    orders: u32,
    /// What the machine sees as /host.
    pub shared: PathBuf,
    dir: tempfile::TempDir,
}

impl Machine {
    /// Boots; `sockets` adapters at most may be plugged at one time.
    ///
    /// Controllers: `xhci.0` at PCI 00:10.0 with USB 2 ports 1 to 15, `uhci.0` at 00:11.0 with 1 and 2.
    pub fn boot(sockets: usize) -> Machine {
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hotplug-machine");
        build(&built);
        // A socket's path holds 107 characters: not below target.
        let dir = tempfile::tempdir().unwrap();
        let shared = dir.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let mut command = Command::new("qemu-system-x86_64");
        command
            .args(["-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "768"])
            .args(["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-kernel".as_ref(), built.join("kernel").as_os_str()])
            .args(["-initrd".as_ref(), built.join("initramfs").as_os_str()])
            .args(["-append", "console=ttyS0 quiet panic=-1 mitigations=off rdinit=/init"])
            .args(["-chardev", &format!("file,id=console,path={}", at("console")), "-serial", "chardev:console"])
            .args(["-qmp", &format!("unix:{},server=on,wait=off", at("qmp"))])
            .args(["-fsdev", &format!("local,id=shared,path={},security_model=none", shared.display())])
            .args(["-device", "virtio-9p-pci,fsdev=shared,mount_tag=host"])
            .args(["-device", "qemu-xhci,id=xhci,p2=15,p3=4,addr=0x10"])
            .args(["-device", "ich9-usb-uhci1,id=uhci,addr=0x11"]);
        for socket in 0..sockets {
            command.args(["-chardev", &format!("null,id=far-end-{socket}")]);
        }
        let mut qemu = command
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-system-x86_64 is needed (Debian: qemu-system-x86), and could not be started");
        let qmp = Qmp::connect(&dir.path().join("qmp"), &mut qemu);
        let machine = Machine { qemu, qmp, orders: 0, shared, dir };
        machine.wait_for("the machine to come up", || machine.shared.join("up").exists().then_some(()));
        machine
    }

    /// Plugs a USB serial adapter (FTDI 0403:6001) into `port` of `bus`; `15.2` is port 2 of the hub in 15.
    pub fn plug(&mut self, name: &str, bus: &str, port: &str, serial: &str, socket: usize) {
        let device = json!({
            "driver": "usb-serial", "id": name, "bus": bus, "port": port, "serial": serial,
            "chardev": format!("far-end-{socket}"), "always-plugged": true,
        });
        let end = deadline();
        loop {
            match self.qmp.ask("device_add", device.clone()) {
                Ok(_) => return,
                // QEMU lets go of an unplugged adapter's socket a moment after saying that it has.
                Err(error) if error.contains("in use") && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => panic!("cannot plug {name}: {error}"),
            }
        }
    }

    pub fn plug_hub(&mut self, name: &str, port: &str) {
        let hub = json!({ "driver": "usb-hub", "id": name, "bus": "xhci.0", "port": port });
        self.qmp.ask("device_add", hub).unwrap();
    }

    /// Pulls the cable: the machine is not asked.
    pub fn unplug(&mut self, name: &str) {
        self.qmp.ask("device_del", json!({ "id": name })).unwrap();
        self.qmp.wait_deleted(name);
    }

    /// Has the machine's shell run `script` and returns what it printed; it must end with 0.
    pub fn order(&mut self, script: &str) -> String {
        self.orders += 1;
        let at = |ending: &str| self.shared.join(format!("{}.{ending}", self.orders));
        std::fs::write(at("new"), script).unwrap();
        std::fs::rename(at("new"), at("do")).unwrap();
        let code = self.wait_for(script, || std::fs::read_to_string(at("rc")).ok());
        let said = std::fs::read_to_string(at("out")).unwrap();
        assert_eq!(code.trim(), "0", "{script}\n{said}");
        said
    }

    /// Powers off and waits until QEMU has ended.
    pub fn power_off(mut self) {
        std::fs::write(self.shared.join("off"), "").unwrap();
        let end = deadline();
        while self.qemu.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the machine does not power off\n{}", self.console());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for<T>(&self, what: &str, mut done: impl FnMut() -> Option<T>) -> T {
        let end = deadline();
        loop {
            if let Some(value) = done() {
                return value;
            }
            assert!(Instant::now() < end, "waited in vain for {what}\n{}", self.console());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn console(&self) -> String {
        let text = std::fs::read(self.dir.path().join("console")).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn build(folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hotplug/machine/build.sh");
    let status = Command::new("bash").arg(script).arg(folder).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "the test machine could not be built");
}

/// QEMU's machine protocol: one JSON object a line.
struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    deleted: Vec<String>,
}

impl Qmp {
    fn connect(path: &Path, qemu: &mut Child) -> Qmp {
        let end = deadline();
        let writer = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
                Err(error) => panic!("QMP: {error}"),
            }
            if let Some(status) = qemu.try_wait().unwrap() {
                panic!("QEMU ended at once: {status}");
            }
            assert!(Instant::now() < end, "QEMU opens no QMP socket");
            std::thread::sleep(Duration::from_millis(10));
        };
        writer.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        let mut qmp = Qmp { reader, writer, deleted: Vec::new() };
        assert!(qmp.read().get("QMP").is_some());
        qmp.ask("qmp_capabilities", json!({})).unwrap();
        qmp
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, String> {
        writeln!(self.writer, "{}", json!({ "execute": command, "arguments": arguments })).unwrap();
        loop {
            let mut answer = self.read();
            if let Some(error) = answer.get("error") {
                return Err(error["desc"].as_str().unwrap_or_default().to_owned());
            }
            if let Some(value) = answer.get_mut("return") {
                return Ok(value.take());
            }
        }
    }

    fn wait_deleted(&mut self, device: &str) {
        while !self.deleted.iter().any(|deleted| deleted == device) {
            self.read();
        }
        self.deleted.retain(|deleted| deleted != device);
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("QMP is silent");
        let message: Value = serde_json::from_str(&line).expect("QMP speaks JSON");
        if message["event"] == "DEVICE_DELETED"
            && let Some(device) = message["data"]["device"].as_str()
        {
            self.deleted.push(device.to_owned());
        }
        message
    }
}
