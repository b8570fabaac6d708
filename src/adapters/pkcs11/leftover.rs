//! What a module started and its guardian can no longer end, being dead or stopped. All of it carries a mark
//! in its environment, by which the station finds it (proc_pid_environ(5)). A program that was started with an
//! environment of its own, by a module that kills its guardian as well, gets away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The variable.
pub(super) const MARK: &str = "LINESEAL_WORKER";

/// Of one worker: nobody else's on this machine.
pub(super) fn mark() -> String {
    static WORKERS: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), WORKERS.fetch_add(1, Ordering::Relaxed))
}

/// Again and again, since a process may be starting another one meanwhile; not for ever. Blocks.
pub(super) fn kill(mark: &str) {
    const ROUNDS: usize = 50;
    const MOMENT: Duration = Duration::from_millis(10);
    for _ in 0..ROUNDS {
        let marked = marked(mark);
        if marked.is_empty() {
            return;
        }
        for pid in marked {
            // Gone already is as good.
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(MOMENT);
    }
    tracing::warn!(mark, "a worker's processes may be left");
}

/// A process that has ended and waits for its parent has no environment any more.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let bears = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let pid = |entry: std::fs::DirEntry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
    numbers.filter(bears).filter_map(pid).collect()
}
