//! The disk below the measurements.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Trouble;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2): a sync there costs nothing and means nothing.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

pub fn refuse_memory(folder: &Path) -> Result<(), Trouble> {
    if IN_MEMORY.contains(&rustix::fs::statfs(folder)?.f_type) {
        return Err(format!("{} is in memory: nothing is durable there; --dir names a disk", folder.display()).into());
    }
    Ok(())
}

/// A file that is written like SQLite's write-ahead log: frame after frame, from the start again when
/// it is long enough, one sync at the end of each commit.
pub struct Baseline {
    file: File,
    at: u64,
}

/// A page and its header (SQLite's file format, §4.1).
const FRAME: usize = 4096 + 24;
/// As many frames as SQLite lets its log have before it starts again.
const FRAMES: u64 = 1000;

impl Baseline {
    pub fn new(path: &Path) -> Result<Self, Trouble> {
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        file.write_all_at(&vec![0x5a; FRAME * FRAMES as usize], 0)?;
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Writes so many bytes, frame by frame, and syncs them.
    pub fn commit(&mut self, bytes: u64) -> Result<Duration, Trouble> {
        let frame = vec![self.at as u8; FRAME];
        let began = Instant::now();
        for _ in 0..bytes.div_ceil(FRAME as u64) {
            self.file.write_all_at(&frame[..24], self.at % FRAMES * FRAME as u64)?;
            self.file.write_all_at(&frame[24..], self.at % FRAMES * FRAME as u64 + 24)?;
            self.at += 1;
        }
        self.file.sync_data()?;
        Ok(began.elapsed())
    }
}

/// Bytes that this process has handed to write calls so far.
pub fn written() -> Result<u64, Trouble> {
    field("/proc/self/io", "wchar:")
}

/// From now on only (proc(5), clear_refs).
pub fn forget_high_water() -> Result<(), Trouble> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// The most memory that this process had, as people read it.
pub fn high_water() -> Result<String, Trouble> {
    Ok(format!("{} MiB", field("/proc/self/status", "VmHWM:")? / 1024))
}

/// Processor time of the thread that asks (Documentation/scheduler/sched-stats.rst of Linux).
pub fn thread_time() -> Result<Duration, Trouble> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(stat.split_whitespace().next().ok_or("an empty line")?.parse()?))
}

/// Processor time that this process has used, and the programs that it has run to their end.
pub fn processor_time() -> Result<[Duration; 2], Trouble> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Past the name, which may hold anything: utime, stime, cutime, cstime are the fields 14 to 17.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| Ok::<f64, Trouble>(fields.get(field - 3).ok_or("a short line")?.parse()?);
    let time = |ticks: f64| Duration::from_secs_f64(ticks / rustix::param::clock_ticks_per_second() as f64);
    Ok([time(ticks(14)? + ticks(15)?), time(ticks(16)? + ticks(17)?)])
}

fn field(file: &str, name: &str) -> Result<u64, Trouble> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
    Ok(line.split_whitespace().next().ok_or("an empty line")?.parse()?)
}
