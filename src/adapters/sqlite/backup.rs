//! Copies of the log's file: made while the station works, and put back.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::open::{self, Limits, directory_of, sync_directory};
use crate::adapters::durable;
use crate::adapters::store::copy::{self as leaf_by_leaf, Copying};
use crate::adapters::store::error::StoreError;
use crate::adapters::store::log;
use crate::adapters::store::session::{Mode, Session};
use crate::audit::{Event, TreeHead};
use crate::domain::{Failure, ReasonCode, Sha256};

/// A copy that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub head: TreeHead,
    pub file: Sha256,
}

/// Copies the log in `path` to the new file `to` (mode 0600): one moment of it, whoever writes
/// meanwhile. It is on disk under its name only when it is whole.
pub fn back_up(path: &Path, to: &Path) -> Result<Copy, Failure> {
    Ok(copy(path, to)?)
}

/// The same from any other database: leaf by leaf, and everything derived anew.
pub fn back_up_from(source: &mut dyn Session, to: &Path) -> Result<Copy, Failure> {
    Ok(make(to, |unfinished| {
        let mut target = open::writer(unfinished, Limits::default())?;
        leaf_by_leaf::copy(source, &mut target, &mut Silent).map(drop)
    })?)
}

struct Silent;

impl Copying for Silent {
    fn progress(&mut self, _: u64, _: u64) {}
    fn closing(&mut self, _: TreeHead) -> Result<Option<Event>, StoreError> {
        Ok(None)
    }
}

fn copy(path: &Path, to: &Path) -> Result<Copy, StoreError> {
    make(to, |unfinished| {
        let source = open::reader(path, Limits::default())?;
        let mut target = Connection::open(unfinished)?;
        // All pages in one step are all of one moment; in smaller steps a busy station would have it begin
        // again and again.
        match Backup::new(source.connection(), &mut target)?.step(-1)? {
            StepResult::Done => Ok(()),
            _ => Err(StoreError::Held { path: path.to_owned(), holder: String::new() }),
        }
    })
}

/// A new file with a log in it, under its name once it is whole and on disk.
fn make(to: &Path, fill: impl FnOnce(&Path) -> Result<(), StoreError>) -> Result<Copy, StoreError> {
    refuse_as_part(to)?;
    if to.exists() {
        let source = std::io::ErrorKind::AlreadyExists.into();
        return Err(failed("make a copy there", to)(source));
    }
    let unfinished = beside(to, ".unfinished");
    remove_with_companions(&unfinished).map_err(unusable("remove an unfinished copy", &unfinished))?;
    let scratch = Scratch(unfinished);
    let unfinished = scratch.0.as_path();
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(unusable("create the copy", unfinished))?;
    fill(unfinished)?;
    // One file, without a write-ahead log beside it.
    Connection::open(unfinished)?.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    File::open(unfinished).and_then(|file| file.sync_all()).map_err(failed("sync the copy", unfinished))?;
    let copy = look(unfinished)?;
    std::fs::rename(unfinished, to).map_err(failed("name the copy", to))?;
    sync_directory(&directory_of(to))?;
    Ok(copy)
}

/// Under such a name SQLite would take the copy for a part of another database and delete it, or what lies there
/// for a part of the copy.
fn refuse_as_part(to: &Path) -> Result<(), StoreError> {
    let name = to.to_string_lossy();
    let of = COMPANIONS.into_iter().find_map(|suffix| name.strip_suffix(suffix));
    if let Some(database) = of.filter(|database| Path::new(database).exists()) {
        return Err(StoreError::Asked(format!("{name}: SQLite keeps parts of {database} under that name")));
    }
    match left_beside(to) {
        Some(part) => Err(StoreError::Asked(format!("{} lies there: give the copy another name", part.display()))),
        None => Ok(()),
    }
}

/// What a copy holds, and its hash.
fn look(path: &Path) -> Result<Copy, StoreError> {
    let mut session = open::reader(path, Limits::default())?;
    session.begin(Mode::Read)?;
    let head = log::head(&mut session)?;
    session.commit()?;
    Ok(Copy { head, file: hash(path)? })
}

fn hash(path: &Path) -> Result<Sha256, StoreError> {
    let failed = || failed("read the copy", path);
    let mut file = File::open(path).map_err(failed())?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed())? {
            0 => break,
            count => context.update(&buffer[..count]),
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    Ok(Sha256::from_bytes(hash))
}

/// A file that is gone, with what SQLite put beside it, unless it was given another name.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_with_companions(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "left behind");
        }
    }
}

/// A backup's copy beside the log, not yet in its place. Dropped, it is gone.
pub struct BroughtIn {
    file: Scratch,
    pub copy: Copy,
    /// What lay in a write-ahead log beside the backup is in it.
    pub with_wal: bool,
}

impl BroughtIn {
    pub fn path(&self) -> &Path {
        &self.file.0
    }
}

/// A copy of `backup` beside the log `path`, for the caller to open, write to, close and
/// [`take_in`]. An earlier one that was left there goes.
pub fn bring_in(backup: &Path, path: &Path) -> Result<BroughtIn, Failure> {
    let with_wal = comes_with_wal(backup)?;
    let incoming = beside(path, ".incoming");
    let removed = remove_with_companions(&incoming);
    removed.map_err(failed("remove an unfinished copy", &incoming))?;
    open::create_directory(&directory_of(path))?;
    let file = Scratch(incoming);
    let copy = copy(backup, &file.0).map_err(|error| match Failure::from(error) {
        // It is the backup that is none: the log is what it was.
        failure if failure.code == ReasonCode::STORE_CORRUPT => {
            let cause = format!("{} is no backup of a log: {}", backup.display(), failure.cause);
            Failure::new(ReasonCode::ARGUMENT_REFUSED, cause)
        }
        failure => failure,
    })?;
    Ok(BroughtIn { file, copy, with_wal })
}

/// Is a part of this database in a write-ahead log beside it? SQLite reads what lies beside a file as a
/// part of it, so what can't be one is refused.
fn comes_with_wal(backup: &Path) -> Result<bool, Failure> {
    // Bytes 18 and 19 of the header: 2 stands for a write-ahead log (SQLite, file format, 1.3.3).
    let mut header = [0; 20];
    let read = File::open(backup).and_then(|mut file| file.read_exact(&mut header));
    let in_wal = match read {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
        read => read.map(|()| header[18..] == [2, 2]).map_err(unusable("read the backup", backup))?,
    };
    let lies_there = |suffix| std::fs::metadata(beside(backup, suffix)).is_ok_and(|file| file.len() > 0);
    let foreign = COMPANIONS.into_iter().find(|suffix| {
        let own = in_wal && *suffix != "-journal";
        lies_there(suffix) && !own
    });
    if let Some(suffix) = foreign {
        let cause = format!(
            "{} lies beside the backup and is no part of one that `lineseal audit backup` made: SQLite would take it \
             for one. Move it away if it is another database's; else restore a backup that is whole",
            beside(backup, suffix).display()
        );
        return Err(Failure::new(ReasonCode::ARGUMENT_REFUSED, cause));
    }
    Ok(in_wal && lies_there("-wal"))
}

/// Puts what was brought in, and is closed again, in the place of the log `path`. The log that is
/// there is kept beside it, under the name that is returned. The caller holds the station's lock.
pub fn take_in(incoming: BroughtIn, path: &Path) -> Result<Option<PathBuf>, Failure> {
    // The log first: cut off in between, its newest events lie beside no file, and no station starts on what is
    // left without them. They go before the backup comes, and must never be read with it.
    let parts = std::iter::once("").chain(COMPANIONS).filter(|part| beside(path, part).exists());
    let parts: Vec<_> = parts.collect();
    let is_free = |kept: &PathBuf| !std::iter::once("").chain(COMPANIONS).any(|part| beside(kept, part).exists());
    // A backup may be restored more than once, and each time there is a log to keep.
    let before = format!(".before-{}", &incoming.copy.file.to_string()[..12]);
    let names = (1..).map(|n| if n == 1 { before.clone() } else { format!("{before}-{n}") });
    let mut names = names.map(|name| beside(path, &name));
    let note = beside(path, KEEPING);
    let kept = match begun(path, &note)?.filter(|kept| !parts.iter().any(|part| beside(kept, part).exists())) {
        Some(kept) => kept,
        None => names.find(is_free).unwrap_or_default(),
    };
    let name = kept.file_name().unwrap_or_default().as_bytes();
    durable::replace(&note, name, 0o600).map_err(failed("note where the log is kept", &note))?;
    for part in &parts {
        let from = beside(path, part);
        std::fs::rename(&from, beside(&kept, part)).map_err(failed("keep the log that is there", &from))?;
        sync_directory(&directory_of(path))?;
    }
    std::fs::remove_file(&note).map_err(failed("remove", &note))?;
    let before = parts.first().filter(|part| part.is_empty()).map(|_| kept);
    std::fs::rename(incoming.path(), path).map_err(failed("put the backup in its place", path))?;
    sync_directory(&directory_of(path))?;
    Ok(before)
}

/// Beside the log while it is moved away part by part: the name that it gets.
const KEEPING: &str = ".keeping";

/// Where a restore that was cut off has begun to put the log: the rest of it belongs there, and nowhere else.
fn begun(path: &Path, note: &Path) -> Result<Option<PathBuf>, StoreError> {
    match std::fs::read(note) {
        Ok(name) if name.is_empty() || name.contains(&b'/') => Ok(None),
        Ok(name) => Ok(Some(path.with_file_name(OsStr::from_bytes(&name)))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", note)(error)),
    }
}

/// What SQLite may put beside a database, by the ends of the names.
const COMPANIONS: [&str; 3] = ["-wal", "-journal", "-shm"];

/// What SQLite put beside the database `path` and is not empty.
pub(super) fn left_beside(path: &Path) -> Option<PathBuf> {
    let files = ["-wal", "-journal"].map(|part| beside(path, part));
    files.into_iter().find(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 0))
}

fn failed<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> StoreError + 'p {
    move |source| StoreError::File { doing, path: path.to_owned(), source }
}

/// A file that was named by whoever asked.
fn unusable<'p>(doing: &'static str, path: &'p Path) -> impl FnOnce(std::io::Error) -> StoreError + 'p {
    move |source| StoreError::Asked(format!("{}: could not {doing}: {source}", path.display()))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn remove_with_companions(path: &Path) -> std::io::Result<()> {
    for suffix in std::iter::once("").chain(COMPANIONS) {
        match std::fs::remove_file(beside(path, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
