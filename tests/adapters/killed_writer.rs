//! A test that is its own victim: started again as another process, it writes until it is killed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lineseal::adapters::store::LogStore;
use lineseal::audit::LineEvent;
use lineseal::domain::{EventId, Failure, ReasonCode};
use lineseal::ports::{AuditStore as _, ClaimAnswer};

use crate::store_contract::{claim, identity, line, run_id, started};

/// Where the victim writes what the store has acknowledged, in a folder of the test's own.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// `test` again in a process of its own, with `variable` set.
pub fn victim(test: &str, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Some appends on from here, and then no particular moment of the next.
pub fn let_it_write(child: &mut Child, acknowledged: &Path) {
    let before = acks(acknowledged).len();
    let deadline = Instant::now() + Duration::from_secs(120);
    while acks(acknowledged).len() < before + 10 {
        if let Some(status) = child.try_wait().unwrap() {
            panic!("the writer ended by itself: {status}");
        }
        if Instant::now() > deadline {
            kill_9(child);
            panic!("the writer is stuck");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_micros(rand::random_range(0..5000)));
}

pub fn kill_9(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whole lines only: the last one may have been cut off by the kill.
pub fn acks(path: &Path) -> Vec<(String, i64)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let (id, seq) = line.split_once(' ').unwrap();
            (id.to_owned(), seq.parse().unwrap())
        })
        .collect()
}

/// Rounds of one batch of three events and one claim, each acknowledged in a file only after the
/// store has answered.
pub fn write_for_ever(store: &LogStore, acknowledged: &Path) -> ! {
    let mut acks = OpenOptions::new().create(true).append(true).open(acknowledged).unwrap();
    runtime().block_on(async {
        loop {
            let chip: u32 = rand::random();
            let serial = format!("A{chip}");
            let mut events = started(run_id(), &serial, None);
            events.push(line(LineEvent::OperatorNamed {}));
            let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
            let receipts = until_answered(|| store.append(events.clone())).await;
            for (id, receipt) in ids.iter().zip(&receipts) {
                acks.write_all(format!("{id} {}\n", receipt.seq).as_bytes()).unwrap();
            }
            let claim = claim(&serial, identity(chip));
            match until_answered(|| store.claim(claim.clone())).await {
                ClaimAnswer::Bound(bound) => {
                    let (id, seq) = (bound.event.event.id, bound.event.receipt.seq);
                    acks.write_all(format!("{id} {seq}\n").as_bytes()).unwrap();
                }
                refused => panic!("{refused:?}"),
            }
        }
    })
}

/// A station asks again for what it could not record, under the same id.
async fn until_answered<T, F: Future<Output = Result<T, Failure>>>(ask: impl Fn() -> F) -> T {
    loop {
        match ask().await {
            Err(failure) if failure.code == ReasonCode::STORE_AWAY => {}
            answer => return answer.unwrap(),
        }
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
