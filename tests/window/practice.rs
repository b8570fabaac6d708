//! The whole product in one window: real boards, tokens, cloud and log, no scene.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::screen::{Picture, Screen};
use crate::tests::{EVERYTHING, FAIL, PASS};

/// MiniStack's start, two chips made, two runs, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// One good board and one with an expired certificate, each at rest on its verdict.
pub fn shows_a_real_pass_and_a_real_fail() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new(1280, 800);
    let venv = std::env::var_os("LINESEAL_TEST_VENV")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-venv"), PathBuf::from);
    let child = screen
        .program(env!("CARGO_BIN_EXE_lineseal"))
        .args(["practice", "--lanes", "2", "--units", "1", "--fault", "expired", "--language", "en", "--data-dir"])
        .arg(folder.path().join("line"))
        .arg("--venv")
        .arg(venv)
        .stdin(Stdio::null())
        .spawn()
        .expect("lineseal starts");
    let mut practice = Practice(child);
    let picture = practice
        .until(&screen, |picture| picture.share(PASS, EVERYTHING) > 0.1 && picture.share(FAIL, EVERYTHING) > 0.1);
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

struct Practice(Child);

impl Practice {
    fn until(&mut self, screen: &Screen, holds: impl Fn(&Picture) -> bool) -> Picture {
        let began = Instant::now();
        loop {
            let picture = screen.capture();
            if holds(&picture) {
                return picture;
            }
            if let Some(status) = self.0.try_wait().expect("its state") {
                panic!("the practice line ended: {status}");
            }
            if began.elapsed() > PATIENCE {
                picture.keep("practice-in-vain");
                panic!("no PASS and FAIL within {PATIENCE:?}: see target/window/practice-in-vain.png");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        // The station writes its end into the log, MiniStack ends with it.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        for _ in 0..50 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
