//! An office printer: CUPS's own `ippeveprinter`, on a D-Bus of its own and on this machine alone. What it
//! prints is what its command is given.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const WITHIN: Duration = Duration::from_secs(20);

/// It ends with this value.
pub struct OfficePrinter {
    folder: TempDir,
    bus: Child,
    printer: Child,
    port: u16,
}

impl OfficePrinter {
    /// One that takes these formats. Its sheets come out in `sheets`, after `work` (a shell's words) went well.
    pub fn start(formats: &str, work: &str) -> OfficePrinter {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let shown = |name: &str| path(name).display().to_string();
        fs::create_dir(path("spool")).unwrap();
        fs::create_dir(path("sheets")).unwrap();
        let command = format!(
            "#!/bin/sh\ncd '{}'\necho begun >>begun\n{work}\nextension=${{CONTENT_TYPE##*/}}\n\
             cp \"spool/${{1##*/}}\" \"sheets/.$$\"\nmv \"sheets/.$$\" \"sheets/$$.$extension\"\n",
            folder.path().display()
        );
        fs::write(path("print.sh"), command).unwrap();
        fs::set_permissions(path("print.sh"), Permissions::from_mode(0o755)).unwrap();
        let bus = format!(
            "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN\" \
             \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n\
             <busconfig><type>system</type><listen>unix:path={}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
             <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>",
            shown("bus")
        );
        fs::write(path("bus.conf"), bus).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.args(["--nofork", "--nopidfile", "--config-file", &shown("bus.conf")]);
        let bus = quiet(daemon);
        let end = Instant::now() + WITHIN;
        while !path("bus").exists() {
            assert!(Instant::now() < end, "dbus-daemon made no bus");
            std::thread::sleep(Duration::from_millis(10));
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/loopback.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-o"]).arg(path("loopback.so")).arg(source).arg("-ldl");
        assert!(compiler.status().unwrap().success());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut program = Command::new("ippeveprinter");
        program
            .env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", shown("bus")))
            .env("LD_PRELOAD", path("loopback.so"))
            .args(["-r", "off", "-n", "localhost", "-p", &port.to_string(), "-f", formats, "-k"])
            .args(["-d", &shown("spool"), "-c", &shown("print.sh"), "labels"]);
        let printer = quiet(program);
        let office = OfficePrinter { folder, bus, printer, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "ippeveprinter does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        office
    }

    pub fn uri(&self) -> String {
        format!("ipp://127.0.0.1:{}/ipp/print", self.port)
    }

    /// Labels that somebody loaded, by the printer's own page.
    pub fn load(&self, sheets: u32) {
        let of_tray = |tray: u32| format!("size{tray}=na_letter_8.5x11in&type{tray}=labels&level{tray}={sheets}");
        let (main, by_pass) = (of_tray(1), of_tray(3));
        let page = format!("GET /media?{main}&{by_pass} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut line = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        line.write_all(page.as_bytes()).unwrap();
        let mut answer = String::new();
        line.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("Media updated"), "{answer}");
    }

    /// Jobs that it began to print.
    pub fn begun(&self) -> usize {
        fs::read_to_string(self.folder.path().join("begun")).unwrap_or_default().lines().count()
    }

    pub fn sheets_folder(&self) -> PathBuf {
        self.folder.path().join("sheets")
    }

    /// What came out.
    pub fn sheets(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.sheets_folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut sheets: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
        sheets.sort();
        sheets
    }

    /// Its power is gone.
    pub fn kill(&mut self) {
        let _ = self.printer.kill();
        let _ = self.printer.wait();
    }
}

impl Drop for OfficePrinter {
    fn drop(&mut self) {
        self.kill();
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

fn quiet(mut program: Command) -> Child {
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"))
}
