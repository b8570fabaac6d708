//! The three printers against real sockets, device files and folders.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lineseal::adapters::printer::{DevicePrinter, FolderPrinter, Pictures, TcpPrinter, from_config};
use lineseal::config::Printer;
use lineseal::domain::{ReasonCode, Template, Variables, label};
use lineseal::ports::{LabelPictures, LabelPrinter, Readiness};
use lineseal::practice::printer::PracticePrinter;
use lineseal::provisioning::label::render_label;
use rustix::fs::{CWD, FileType, Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ZPL: &str = "^XA^PW400^LL240^FO20,20^A0N,40,40^FDSN1^FS^XZ";

async fn code(printer: &dyn LabelPrinter, zpl: &str) -> ReasonCode {
    printer.print("label", zpl).await.expect_err("a failure was expected").code
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_tcp_printer_gets_the_label_to_its_last_byte() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let printer = TcpPrinter::new(listener.local_addr().unwrap().to_string()).without_status();
    // Larger than the buffers in between, so that it takes several writes.
    let zpl = format!("^XA^FX{}^FS^XZ", "x".repeat(8 << 20));
    let taken = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        // Ends because the station closes its side.
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    printer.print("label", &zpl).await.unwrap();
    assert!(taken.await.unwrap() == zpl.as_bytes());
}

#[tokio::test]
async fn a_tcp_printer_that_keeps_the_connection_open_is_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let printer = TcpPrinter::new(listener.local_addr().unwrap().to_string());
    let kept = tokio::spawn(async move { listener.accept().await.unwrap() });
    let started = Instant::now();
    printer.print("label", ZPL).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    drop(kept.await.unwrap());
}

#[tokio::test]
async fn a_tcp_printer_that_is_not_there_is_p_401() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let printer = TcpPrinter::new(listener.local_addr().unwrap().to_string());
    drop(listener);
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_UNREACHABLE);
    let nowhere = TcpPrinter::new("printer.invalid:9100".into());
    assert_eq!(code(&nowhere, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
}

#[tokio::test]
async fn a_tcp_printer_that_stops_taking_bytes_is_p_402() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let printer = TcpPrinter::new(address).without_status().with_write_timeout(Duration::from_millis(300));
    let kept = tokio::spawn(async move { listener.accept().await.unwrap() });
    let zpl = "x".repeat(32 << 20);
    assert_eq!(code(&printer, &zpl).await, ReasonCode::PRINTER_INTERRUPTED);
    drop(kept.await.unwrap());
}

/// A ZPL printer of a few lines: what it was sent, and how it is.
struct Zebra {
    address: String,
    /// `None`: it does not answer.
    state: Arc<Mutex<Option<[&'static str; 2]>>>,
    labels: Arc<Mutex<Vec<String>>>,
}

const WELL: [&str; 2] = ["030,0,0,0240,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000"];
const PAPER_OUT: [&str; 2] = ["030,1,1,0240,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000"];
const HEAD_OPEN: [&str; 2] = ["030,0,1,0240,000,0,0,0,000,0,0,0", "000,0,1,0,0,2,4,0,00000000,1,000"];
const PAUSED: [&str; 2] = ["030,0,1,0240,000,0,0,0,000,0,0,0", "000,0,0,0,0,2,4,0,00000000,1,000"];

impl Zebra {
    async fn start() -> Zebra {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (state, labels) = (Arc::new(Mutex::new(Some(WELL))), Arc::new(Mutex::new(Vec::new())));
        let (now, taken) = (state.clone(), labels.clone());
        tokio::spawn(async move {
            // One connection at a time, as many of them.
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut bytes = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut bytes).await {
                    if bytes.starts_with(b"~HS") {
                        bytes.drain(..3);
                        let state = *now.lock().unwrap();
                        if let Some([first, second]) = state {
                            let answer = format!("\x02{first}\x03\r\n\x02{second}\x03\r\n\x020000,0\x03\r\n");
                            let _ = stream.write_all(answer.as_bytes()).await;
                        }
                    }
                }
                if !bytes.is_empty() {
                    taken.lock().unwrap().push(String::from_utf8(bytes).unwrap());
                }
            }
        });
        Zebra { address, state, labels }
    }

    fn is(&self, state: Option<[&'static str; 2]>) {
        *self.state.lock().unwrap() = state;
    }
}

#[tokio::test]
async fn a_zpl_printer_says_what_keeps_a_label_from_coming_out_before_it_is_given_it() {
    let zebra = Zebra::start().await;
    let printer = TcpPrinter::new(zebra.address.clone());
    assert_eq!(printer.ready().await.unwrap(), Readiness::Ready);
    for (state, expected) in [
        (PAPER_OUT, ReasonCode::PRINTER_EMPTY),
        (HEAD_OPEN, ReasonCode::PRINTER_OPEN),
        (PAUSED, ReasonCode::PRINTER_PAUSED),
    ] {
        zebra.is(Some(state));
        assert_eq!(printer.ready().await.unwrap_err().code, expected);
        assert_eq!(code(&printer, ZPL).await, expected);
        assert!(expected.leaves_no_paper());
    }
    assert_eq!(*zebra.labels.lock().unwrap(), Vec::<String>::new());
    zebra.is(Some(WELL));
    printer.print("label", ZPL).await.unwrap();
    assert_eq!(*zebra.labels.lock().unwrap(), [ZPL]);
}

#[tokio::test]
async fn a_zpl_printer_that_does_not_answer_prints_all_the_same() {
    let zebra = Zebra::start().await;
    let printer = TcpPrinter::new(zebra.address.clone());
    zebra.is(None);
    assert_eq!(printer.ready().await.unwrap(), Readiness::Unknown);
    let started = Instant::now();
    printer.print("label", ZPL).await.unwrap();
    printer.print("label", ZPL).await.unwrap();
    // It is not asked before each label what it does not say.
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
    assert_eq!(*zebra.labels.lock().unwrap(), [ZPL, ZPL]);
    let unasked = TcpPrinter::new(zebra.address.clone()).without_status();
    zebra.is(Some(PAPER_OUT));
    assert_eq!(unasked.ready().await.unwrap(), Readiness::Unknown);
}

#[tokio::test]
async fn the_practice_printer_prints_goes_down_comes_up_and_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("labels");
    let mut peer = PracticePrinter::start(folder.clone()).await.unwrap();
    assert!(peer.address().ip().is_loopback());
    let printer = TcpPrinter::new(peer.address().to_string());

    printer.ready().await.unwrap();
    printer.print("first", ZPL).await.unwrap();
    assert_eq!((peer.printed(), names(&folder)), (1, vec!["label-0001.png".to_owned(), "label-0001.zpl".to_owned()]));
    assert_eq!(fs::read_to_string(folder.join("label-0001.zpl")).unwrap(), ZPL);

    peer.switch_off().await;
    assert!(!peer.is_up());
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_UNREACHABLE);

    peer.switch_on().await.unwrap();
    printer.print("second", ZPL).await.unwrap();

    peer.cut_next();
    assert_eq!(code(&printer, &ZPL.repeat(10)).await, ReasonCode::PRINTER_INTERRUPTED);
    printer.print("third", ZPL).await.unwrap();
    assert_eq!(peer.printed(), 3);
    let zpl: Vec<_> = names(&folder).into_iter().filter(|name| name.ends_with(".zpl")).collect();
    assert_eq!(zpl, ["label-0001.zpl", "label-0002.zpl", "label-0003.zpl"]);
}

#[tokio::test]
async fn a_device_gets_the_label_and_one_that_is_not_there_is_p_401() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lp0");
    let printer = DevicePrinter::new(path.clone());
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);

    // A plain file at the device's place would swallow labels.
    fs::write(&path, "").unwrap();
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(fs::read(&path).unwrap(), b"");
    fs::remove_file(&path).unwrap();

    // A pipe behaves like a device file: without anyone at the other end it can't be opened.
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    let mut reader =
        fs::OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(&path);
    let reader = reader.as_mut().unwrap();
    printer.ready().await.unwrap();
    printer.print("label", ZPL).await.unwrap();
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, ZPL.as_bytes());
}

#[tokio::test]
async fn a_device_that_stops_taking_bytes_is_p_402_and_busy_until_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lp0");
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let mut reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&path)
        .unwrap();
    let printer = DevicePrinter::new(path).with_write_timeout(Duration::from_millis(200));
    // More than a pipe holds.
    let long = "x".repeat(1 << 20);
    assert_eq!(code(&printer, &long).await, ReasonCode::PRINTER_INTERRUPTED);
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_UNREACHABLE);

    // Paper is back: the label that was given up comes out after all, which is why it was P-402.
    let deadline = Instant::now() + Duration::from_secs(10);
    let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
    while total < long.len() {
        assert!(Instant::now() < deadline, "{total} bytes came");
        match reader.read(&mut buffer) {
            Ok(size) => total += size,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    while printer.ready().await.is_err() {
        assert!(Instant::now() < deadline, "the printer stayed busy");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    printer.print("label", ZPL).await.unwrap();
}

#[tokio::test]
async fn a_folder_keeps_every_label_and_its_picture() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/labels");
    let printer = FolderPrinter::new(folder.clone());
    printer.ready().await.unwrap();
    printer.print("gw-1", ZPL).await.unwrap();
    printer.print("gw-1", "^XA^FDno picture can be made of nothing").await.unwrap();
    printer.print("../../gw/2", ZPL).await.unwrap();
    // Nothing temporary stays, nothing is overwritten, nothing leaves the folder.
    assert_eq!(names(&folder), ["_.._gw_2.png", "_.._gw_2.zpl", "gw-1-2.zpl", "gw-1.png", "gw-1.zpl"]);
    assert_eq!(fs::read_to_string(folder.join("gw-1.zpl")).unwrap(), ZPL);
    assert!(fs::read(folder.join("gw-1.png")).unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_folder_that_can_not_be_written_is_p_401() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let printer = FolderPrinter::new(file.join("labels"));
    assert_eq!(code(&printer, ZPL).await, ReasonCode::PRINTER_UNREACHABLE);
    assert_eq!(printer.ready().await.unwrap_err().code, ReasonCode::PRINTER_UNREACHABLE);
}

#[tokio::test]
async fn the_configuration_names_the_printer() {
    assert!(from_config(&Printer::None).is_none());
    let dir = tempfile::tempdir().unwrap();
    let printer = from_config(&Printer::Folder { path: dir.path().to_owned() }).unwrap();
    printer.print("a", ZPL).await.unwrap();
    assert_eq!(names(dir.path()), ["a.png", "a.zpl"]);
    assert!(from_config(&Printer::Tcp { address: "127.0.0.1:9".into(), status: true }).is_some());
    assert!(from_config(&Printer::Device { path: "/dev/usb/lp0".into() }).is_some());
}

/// Renders a shipped template as the station does, and by software that is not ours, and reads the codes of both, and
/// of our PDF, with a third one's.
fn code_on(template: &str, variables: &Variables) -> (String, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/labels").join(template);
    let template = Template::parse(&fs::read_to_string(path).unwrap()).unwrap();
    let zpl = render_label(&template, variables).unwrap();
    assert_eq!(label::undrawable(&zpl), []);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    fs::write(file("label.zpl"), &zpl).unwrap();
    fs::write(file("label.png"), Pictures.png(&zpl).unwrap()).unwrap();
    fs::write(file("label.pdf"), Pictures.pdf(&zpl).unwrap()).unwrap();
    let drawn = Command::new("node")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/zpl-renderer/render.mjs"))
        .args([file("label.zpl"), file("other.png")])
        .args(["50", "30"])
        .env("LINESEAL_TEST_NODE", renderer())
        .output()
        .expect("node, and tests/peers/zpl-renderer installed in LINESEAL_TEST_NODE");
    assert!(drawn.status.success(), "{}", String::from_utf8_lossy(&drawn.stderr));
    if let Some(keep) = std::env::var_os("LINESEAL_TEST_KEEP_LABELS") {
        for name in ["label.png", "other.png", "label.pdf"] {
            fs::copy(file(name), Path::new(&keep).join(format!("{}-{name}", variables["verdict"]))).unwrap();
        }
    }
    let read = ["label.png", "label.pdf", "other.png"].map(|name| match codes_of(&file(name)).as_slice() {
        [code] => code.clone(),
        codes => panic!("one code was expected on {name}: {codes:?}"),
    });
    assert!(read.iter().all(|code| *code == read[0]), "{read:?}");
    // What the station itself believes to be on it.
    assert_eq!(label::codes(&zpl), [read[0].1.clone()]);
    read[0].clone()
}

/// Format and text of each code on a picture or a PDF's page.
pub fn codes_of(picture: &Path) -> Vec<(String, String)> {
    let output = Command::new(venv().join("bin/python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/read_codes.py"))
        .arg(picture)
        .output()
        .expect("a Python environment with tests/peers/requirements-labels.txt in LINESEAL_TEST_VENV");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let codes: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |code: &serde_json::Value, key: &str| code[key].as_str().unwrap().to_owned();
    codes.as_array().unwrap().iter().map(|code| (text(code, "format").replace(' ', ""), text(code, "text"))).collect()
}

fn renderer() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-node");
    std::env::var_os("LINESEAL_TEST_NODE").map_or(default, PathBuf::from)
}

fn venv() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv");
    std::env::var_os("LINESEAL_TEST_VENV").map_or(default, PathBuf::from)
}

fn variables(values: &[(&str, &str)]) -> Variables {
    let all = lineseal::domain::profile::RUN_VARIABLES.iter().chain(&lineseal::domain::profile::LABEL_VARIABLES);
    let empty = all.map(|name| ((*name).to_owned(), String::new()));
    empty.chain(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

#[test]
fn the_units_label_can_be_scanned() {
    let fingerprint = "0123456789abcdef".repeat(4);
    for (file, format) in [("unit.zpl", "DataMatrix"), ("unit-qr.zpl", "QRCode")] {
        for (thing, practice) in [("practice-SN_00012345", "PRACTICE"), ("gw:SN~1^FS", "")] {
            let values = [
                ("serial", "SN_00012345"),
                ("thing", thing),
                ("fingerprint", fingerprint.as_str()),
                ("verdict", if practice.is_empty() { "PASS" } else { "PASS practice" }),
                ("time", "2025-11-23T03:41:00Z"),
                ("product", "ゲートウェイ-g4"),
                ("batch", "WO-4711"),
                ("copy", "2"),
                ("practice", practice),
            ];
            let code = code_on(file, &variables(&values));
            assert_eq!(code, (format.to_owned(), format!("{thing} {fingerprint}")));
        }
    }
}

#[test]
fn the_longest_thing_name_still_fits_the_shipped_labels() {
    let (thing, fingerprint) = ("t".repeat(128), "f".repeat(64));
    let values = [("serial", "S1"), ("thing", thing.as_str()), ("fingerprint", fingerprint.as_str())];
    for file in ["unit.zpl", "unit-qr.zpl"] {
        let (_, text) = code_on(file, &variables(&[&values[..], &[("verdict", "PASS long")]].concat()));
        assert_eq!(text, format!("{thing} {fingerprint}"));
    }
}

#[test]
fn slips_can_be_scanned() {
    let values = [
        ("serial", "SN00012345"),
        ("slip", "4217"),
        ("verdict", "HELD"),
        ("reason", "A-301"),
        ("time", "2025-11-23T03:41:00Z"),
        ("product", "gateway-g4"),
        ("practice", "PRACTICE"),
    ];
    assert_eq!(code_on("slip.zpl", &variables(&values)), ("DataMatrix".to_owned(), "SLIP-4217".to_owned()));

    let run = "01939f3a-7c51-7b0e-9d5a-3f0a9c17be54";
    let failed = [("serial", "SN00012345"), ("verdict", "FAIL"), ("reason", "S-105"), ("run", run), ("lane", "3")];
    assert_eq!(code_on("fail.zpl", &variables(&failed)), ("DataMatrix".to_owned(), run.to_owned()));
}
