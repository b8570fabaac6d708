//! The process between the station and a worker: it loads no module, and sees to it that nothing which
//! a module starts outlives its worker.
//!
//! A program that a module forks may leave the worker's process group (setsid(2)), so that no signal to
//! the group reaches it. The guardian is the "child subreaper" (prctl(2)) of all of them: whatever its
//! descendants leave behind becomes its own child, to be killed and reaped. It needs no privileges.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process,
    set_child_subreaper, set_dumpable_behavior, setrlimit, setsid, wait,
};

use super::remote::{self, Remote};

/// What the guardian starts itself once more with.
pub(super) const INNER_ARGUMENT: &str = "inner";

/// Added to the number of the signal that ended the worker, as shells do.
pub(super) const SIGNALLED: i32 = 128;

/// Memory for one module's own data; what the largest need is a tenth of it. A module that asks for more
/// ends its worker, not the station.
const MOST_DATA: u64 = 512 << 20;

/// What it may map, whatever kind of memory that is; threads' stacks and arenas are mapped without being used.
const MOST_MAPPED: u64 = 4 << 30;

/// Ends with the worker, by its status, once nothing of it is left; or when the station goes away.
pub(super) fn guard(arguments: impl Iterator<Item = std::ffi::OsString>) -> io::Result<ExitCode> {
    let station = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // Fails unless it is a connected socket, e.g. a terminal.
    station.peer_addr()?;
    // Neither a module nor a command can open the operator's terminal, nor do its signals come here.
    setsid()?;
    set_child_subreaper(Some(getpid()))?;
    // A crash must not leave the PIN in a core file.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    setrlimit(Resource::Data, Rlimit { current: Some(MOST_DATA), maximum: Some(MOST_DATA) })?;
    setrlimit(Resource::As, Rlimit { current: Some(MOST_MAPPED), maximum: Some(MOST_MAPPED) })?;
    // Should memory run short all the same, the kernel takes these first, and not the station.
    if let Err(error) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        let _ = writeln!(io::stderr(), "the worker cannot be made the first to go when memory runs short: {error}");
    }
    // After it: from here on not even /proc/self belongs to this user.
    keep_memory_private()?;
    let remote = Remote::of_environment(&station)?;
    let mut worker = Command::new("/proc/self/exe");
    worker
        .args(arguments)
        .arg(INNER_ARGUMENT)
        .env_remove(remote::COMMAND)
        .stdin(Stdio::from(station.as_fd().try_clone_to_owned()?));
    if let Some(remote) = &remote {
        remote.lead(&mut worker);
    }
    let worker = worker.spawn()?;
    std::thread::spawn(move || end_with_station(&station));
    std::thread::spawn(end_what_grows);
    let code = reap_until(worker.id())?;
    if let Some(remote) = &remote {
        remote.close();
    }
    end_all();
    drop(remote);
    Ok(ExitCode::from(code))
}

/// No other process of this user opens this one's memory, environment or descriptors, nor traces it.
pub fn keep_memory_private() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// The worker's own status; others that end meanwhile are reaped.
fn reap_until(worker: u32) -> io::Result<u8> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_pid().unsigned_abs() == worker => return Ok(code(status)),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn code(status: WaitStatus) -> u8 {
    let signalled = status.terminating_signal().map(|signal| SIGNALLED + signal);
    signalled.or(status.exit_status()).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// The station that lets its end go, or was killed, wants no more of this worker. The worker cannot see
/// to that itself: it may hang in its module.
fn end_with_station(station: &UnixStream) {
    loop {
        let mut watched = [PollFd::new(station, PollFlags::RDHUP)];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            _ => break,
        }
    }
    kill_descendants();
}

/// Data is bounded by process and shared memory is no data: what all of them use together is bounded here.
fn end_what_grows() {
    const EVERY: Duration = Duration::from_millis(100);
    loop {
        std::thread::sleep(EVERY);
        if descendants().iter().map(|pid| memory(*pid)).sum::<u64>() > MOST_DATA {
            let _ = writeln!(io::stderr(), "the module and what it started use too much memory: they are ended");
            kill_descendants();
        }
    }
}

/// What the process has written to, in bytes, files it maps apart (proc_pid_status(5)).
fn memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    ["RssAnon:", "RssShmem:"].into_iter().filter_map(of).sum::<u64>() << 10
}

/// Kills and reaps until nobody is left; what a process leaves behind comes here when it dies.
fn end_all() {
    const MOMENT: Duration = Duration::from_millis(2);
    loop {
        kill_descendants();
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => std::thread::sleep(MOMENT),
            Err(_) => return,
        }
    }
}

fn kill_descendants() {
    for pid in descendants().into_iter().filter_map(Pid::from_raw) {
        // Gone already is as good.
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Sixteen guardians ask ten times a second: only their own are looked at, where the kernel says who they are.
fn descendants() -> BTreeSet<i32> {
    let mine = getpid().as_raw_pid();
    let Ok(children) = children(mine) else { return among_all(mine) };
    let mut found = BTreeSet::new();
    let mut unasked = children;
    while let Some(pid) = unasked.pop() {
        if found.insert(pid) {
            // Gone meanwhile: what it left behind comes to this process.
            unasked.extend(self::children(pid).unwrap_or_default());
        }
    }
    found
}

/// proc_pid_task_children(5): a kernel may be built without it.
fn children(pid: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let told = std::fs::read_to_string(thread?.path().join("children"))?;
        found.extend(told.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(found)
}

fn among_all(mine: i32) -> BTreeSet<i32> {
    let parents = parents();
    let descends = |mut pid: i32| {
        // A number that was given away again while /proc was read could close a circle.
        for _ in 0..parents.len() {
            match parents.get(&pid) {
                Some(parent) if *parent == mine => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().copied().filter(|pid| descends(*pid)).collect()
}

/// Every process and its parent (proc_pid_stat(5)).
fn parents() -> BTreeMap<i32, i32> {
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The program's name, in brackets, may hold anything.
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect()
}
