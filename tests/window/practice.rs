//! The whole product in one window: real boards, tokens, cloud and log, no scene.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::screen::{Picture, Rgb, Screen};
use crate::tests::{EVERYTHING, FAIL, PASS};

/// MiniStack's start, two chips made, two runs, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// From one button to the next.
const HAND: Duration = Duration::from_millis(1500);

const HELD: Rgb = [0x0B, 0x4F, 0x9E];
const INK: Rgb = [0x14, 0x17, 0x1C];

/// One good board and one with an expired certificate, each at rest on its verdict.
pub fn shows_a_real_pass_and_a_real_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new(1280, 800);
    let mut practice = Practice::start(&screen, folder.path(), &["--lanes", "2", "--units", "1", "--fault", "expired"]);
    let picture =
        practice.until(|picture| picture.share(PASS, EVERYTHING) > 0.1 && picture.share(FAIL, EVERYTHING) > 0.1);
    picture.keep("practice-pass-and-fail");
    let labels = std::fs::read_dir(folder.path().join("line/labels")).expect("a folder of labels");
    let labels: Vec<PathBuf> = labels
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "zpl"))
        .collect();
    assert_eq!(labels.len(), 1, "the board that passed has a label, the other has none: {labels:?}");
    let label = std::fs::read_to_string(&labels[0]).expect("a label");
    assert!(label.contains("^FDPASS^FS") && label.contains("^FDPRACTICE^FS"), "{label}");
}

/// Five steps on the real line, by the buttons that a newcomer presses.
pub fn leads_a_newcomer_through_five_steps() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new(1280, 800);
    let mut practice = Practice::start(&screen, folder.path(), &["--lanes", "4"]);
    // The lanes' tiles, and beside them, from the top: the tour, the cloud, a row of buttons a port.
    let lanes = [[0.02, 0.2, 0.39, 0.5], [0.41, 0.2, 0.78, 0.5], [0.02, 0.6, 0.39, 0.88]];
    let (plug_or_unplug, make_bad) = ([483, 561, 639].map(|y| (1098, y)), (1213, 561));
    let cloud = (1213, 350);
    let filled = |with: Rgb, lane: usize| move |picture: &Picture| picture.share(with, lanes[lane]) > 0.5;

    practice.until(|picture| picture.share(INK, [0.81, 0.57, 0.99, 0.64]) > 0.005);
    practice.click(plug_or_unplug[0]);
    practice.until(filled(PASS, 0)).keep("tour-2");
    // Copied certificate is third of the choices.
    practice.click(make_bad);
    practice.click((1150, 494));
    practice.until(filled(FAIL, 1)).keep("tour-3");
    practice.click(plug_or_unplug[1]);
    practice.click(plug_or_unplug[1]);
    practice.until(filled(PASS, 1)).keep("tour-4");
    practice.click(cloud);
    practice.click(plug_or_unplug[2]);
    practice.until(filled(HELD, 2)).keep("tour-4-held");
    practice.click(cloud);
    practice.click(plug_or_unplug[2]);
    practice.click(plug_or_unplug[2]);
    practice.until(filled(PASS, 2));
    // The run that was HELD is finished by the station, and with it the key for that goes.
    practice.until(|picture| picture.share(INK, [0.40, 0.93, 0.466, 0.98]) == 0.0).keep("tour-5");
    practice.press("F2");
    practice.press("F2");
    // "End the tour" is longer than "Close", which is there only when all is done.
    let taken = folder.path().join("line/tour-taken");
    practice.click((1145, 258));
    screen.capture().keep("tour-over");
    assert!(!taken.exists(), "the tour was not over: see target/window/tour-over.png");
    practice.click((1065, 258));
    practice.until(|_| taken.exists());
}

/// Sixteen boards at one stroke, beside a window that draws them all.
pub fn passes_sixteen_boards_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new(1280, 800);
    let mut practice = Practice::start(&screen, folder.path(), &["--lanes", "16", "--units", "0"]);
    let labels = || std::fs::read_dir(folder.path().join("line/labels")).map_or(0, |labels| labels.count() / 2);
    practice.until(|picture| picture.share(INK, [0.81, 0.29, 0.99, 0.36]) > 0.005);
    practice.click((1098, 258));
    // A label is a file to print and a picture.
    practice.until(|picture| labels() == 16 && picture.share(PASS, EVERYTHING) > 0.25).keep("practice-sixteen");
    let mut audit = Command::new(env!("CARGO_BIN_EXE_lineseal"));
    audit.arg("--config").arg(folder.path().join("line/lineseal.toml"));
    audit.arg("--data-dir").arg(folder.path().join("line/data")).args(["audit", "list", "--json"]);
    let listed = String::from_utf8(audit.output().expect("it runs").stdout).expect("text");
    let runs: Vec<serde_json::Value> =
        listed.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let of = |field: &str| runs.iter().map(|run| run[field].to_string()).collect::<BTreeSet<_>>();
    assert_eq!((runs.len(), of("verdict").len(), of("chip_uid").len(), of("thing").len()), (16, 1, 16, 16), "{listed}");
    assert!(runs.iter().all(|run| run["verdict"] == "PASS"), "{listed}");
}

struct Practice<'a> {
    process: Child,
    screen: &'a Screen,
}

impl<'a> Practice<'a> {
    fn start(screen: &'a Screen, folder: &Path, args: &[&str]) -> Practice<'a> {
        let venv = std::env::var_os("LINESEAL_TEST_VENV")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv"), PathBuf::from);
        let process = screen
            .program(env!("CARGO_BIN_EXE_lineseal"))
            .args(["practice", "--language", "en", "--data-dir"])
            .arg(folder.join("line"))
            .arg("--venv")
            .arg(venv)
            .args(args)
            .stdin(Stdio::null())
            .spawn()
            .expect("lineseal starts");
        Practice { process, screen }
    }

    /// Presses, and leaves the line the time that a hand takes to the next button.
    fn click(&self, (x, y): (u32, u32)) {
        let [x, y] = [x, y].map(|at: u32| at.to_string());
        self.screen.run("xdotool", &["mousemove", &x, &y, "sleep", "0.2", "click", "1"]);
        std::thread::sleep(HAND);
    }

    fn press(&self, key: &str) {
        self.screen.run("xdotool", &["search", "--name", "PRACTICE", "windowfocus", "key", key]);
        std::thread::sleep(HAND);
    }

    fn until(&mut self, holds: impl Fn(&Picture) -> bool) -> Picture {
        let began = Instant::now();
        loop {
            let picture = self.screen.capture();
            if holds(&picture) {
                return picture;
            }
            if let Some(status) = self.process.try_wait().expect("its state") {
                panic!("the practice line ended: {status}");
            }
            if began.elapsed() > PATIENCE {
                picture.keep("practice-in-vain");
                panic!("it is not shown within {PATIENCE:?}: see target/window/practice-in-vain.png");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Practice<'_> {
    fn drop(&mut self) {
        // The station writes its end into the log, MiniStack ends with it.
        let pid = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..50 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
