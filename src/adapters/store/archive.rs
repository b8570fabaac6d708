//! Old events out of the database: their bytes in a file, their hashes where they were.
//!
//! An archive is a text: line n holds the bytes of leaf `first + n`, as they were written (JSON has
//! no line breaks inside). It is named `lineseal-<first>-<past>-<hash>.archive` after its range and the
//! beginning of its SHA-256, so that archives of several logs can lie in one folder.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;

use super::error::StoreError;
use super::log::{self, Appender};
use super::session::{Session, stored, values};
use super::sql;
use crate::audit::{Body, Event, LeafHash, LineEvent};
use crate::domain::Sha256;

/// Archives that are at hand.
#[derive(Default, Clone)]
pub struct Archives {
    /// Where more of them may have come to lie since.
    folder: Option<PathBuf>,
    files: Vec<Archive>,
}

struct Archive {
    path: PathBuf,
    first: u64,
    past: u64,
    /// Where each line begins; read when the first one is asked for.
    lines: Option<(File, Vec<u64>)>,
}

impl Clone for Archive {
    fn clone(&self) -> Self {
        Self { path: self.path.clone(), first: self.first, past: self.past, lines: None }
    }
}

impl Archives {
    /// Those in `folder`, where there is one, now or later.
    pub fn in_folder(folder: PathBuf) -> Self {
        let mut archives = Self { folder: Some(folder), files: Vec::new() };
        archives.look();
        archives
    }

    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn look(&mut self) {
        let entries = self.folder.as_ref().and_then(|folder| std::fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().filter_map(Result::ok) {
            // Whatever else lies there is none.
            let _ = self.add(&entry.path());
        }
    }

    /// One more; the error says what its name should be.
    pub fn add(&mut self, path: &Path) -> Result<(), StoreError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let range = name.strip_prefix("lineseal-").and_then(|name| name.strip_suffix(".archive")).and_then(|range| {
            let mut parts = range.splitn(3, '-');
            // What follows keeps apart what several logs wrote; each leaf's hash says which is meant.
            Some((parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?))
        });
        let Some((first, past)) = range.filter(|(first, past)| first < past) else {
            let right = name_of("<first>", "<past>", "<hash>");
            let cause = format!("{} is not named as an archive is: {right}", path.display());
            return Err(StoreError::Asked(cause));
        };
        if !self.files.iter().any(|known| known.path == path) {
            self.files.push(Archive { path: path.to_owned(), first, past, lines: None });
        }
        Ok(())
    }

    /// The bytes of a leaf; `None`: no archive at hand has it. Two archives may begin with the same leaf,
    /// of this log or of another one: the leaf's hash says which is meant. Where none has it so, what one
    /// of them has in its place.
    pub fn bytes(&mut self, seq: u64, leaf: LeafHash) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(bytes) = self.right_bytes(seq, leaf)?.filter(|bytes| LeafHash::of(bytes) == leaf) {
            return Ok(Some(bytes));
        }
        self.look();
        self.right_bytes(seq, leaf)
    }

    fn right_bytes(&mut self, seq: u64, leaf: LeafHash) -> Result<Option<Vec<u8>>, StoreError> {
        let mut wrong = None;
        for archive in self.files.iter_mut().filter(|archive| (archive.first..archive.past).contains(&seq)) {
            let line = usize::try_from(seq - archive.first).unwrap_or(usize::MAX);
            match archive.line(line).map(Some) {
                Ok(Some(bytes)) if LeafHash::of(&bytes) == leaf => return Ok(Some(bytes)),
                other => wrong = Some(other),
            }
        }
        wrong.unwrap_or(Ok(None))
    }
}

fn name_of(first: impl Display, past: impl Display, hash: impl Display) -> String {
    format!("lineseal-{first}-{past}-{hash}.archive")
}

/// Enough of the file's hash for a name.
fn short(file: Sha256) -> String {
    file.to_string().chars().take(16).collect()
}

/// Every archive of the log is at hand: for whoever is about to read all of it, and to empty the table that
/// says which there are.
pub fn require_all(session: &mut dyn Session) -> Result<(), StoreError> {
    for past in session.rows(sql::ARCHIVES, &[], |row| row.count(1))? {
        let last = past.saturating_sub(1);
        let row = session.row(sql::EVENT_BY_SEQ, values![stored(last)?], log::stored_event)?;
        let Some(row) = row.filter(|row| row.bytes.is_empty()) else { continue };
        if session.archives().bytes(last, row.leaf)?.is_none_or(|bytes| LeafHash::of(&bytes) != row.leaf) {
            return Err(missing(session, last)?);
        }
    }
    Ok(())
}

/// The archive that has the leaf is not at hand: which one, who made it, and where it is looked for.
pub fn missing(session: &mut dyn Session, seq: u64) -> Result<StoreError, StoreError> {
    let archives =
        session.rows(sql::ARCHIVES, &[], |row| Ok((row.count(0)?, row.count(1)?, row.array::<32>(2)?, row.i64(3)?)))?;
    let Some((first, past, file, told)) = archives.into_iter().find(|(first, past, ..)| (*first..*past).contains(&seq))
    else {
        return Ok(StoreError::Archived { seq, whence: String::new() });
    };
    let station = session.row(sql::EVENT_BY_SEQ, values![told], log::logged)?.map(|told| told.event.station);
    let by = station.map(|station| format!("station {station}")).unwrap_or_else(|| "a station".to_owned());
    let into = match session.archives().folder() {
        Some(folder) => format!("; copy it into {}", folder.display()),
        None => String::new(),
    };
    let file = Sha256::from_bytes(file);
    let whence = format!(": {by} wrote {} (SHA-256 {file}){into}", name_of(first, past, short(file)));
    Ok(StoreError::Archived { seq, whence })
}

impl Archive {
    fn line(&mut self, line: usize) -> Result<Vec<u8>, StoreError> {
        let failed = |source| StoreError::File { doing: "read the archive", path: self.path.clone(), source };
        if self.lines.is_none() {
            let mut reader = BufReader::new(File::open(&self.path).map_err(failed)?);
            let (mut starts, mut at, mut bytes) = (Vec::new(), 0, Vec::new());
            loop {
                bytes.clear();
                let count = reader.read_until(b'\n', &mut bytes).map_err(failed)?;
                if count == 0 {
                    break;
                }
                starts.push(at);
                at += count as u64;
            }
            starts.push(at);
            self.lines = Some((reader.into_inner(), starts));
        }
        let too_short = || StoreError::Corrupt(format!("{} has no line {}", self.path.display(), line + 1));
        let Some((file, starts)) = &mut self.lines else { return Err(too_short()) };
        let (Some(from), Some(to)) = (starts.get(line), starts.get(line + 1)) else { return Err(too_short()) };
        let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(0)];
        file.seek(SeekFrom::Start(*from)).and_then(|_| file.read_exact(&mut bytes)).map_err(failed)?;
        bytes.pop_if(|last| *last == b'\n');
        Ok(bytes)
    }
}

/// How far the log may be archived: before what a run, a label or a person still needs, and not beyond
/// the newest checkpoint.
pub fn limit(session: &mut dyn Session) -> Result<u64, StoreError> {
    let covered = session.row(sql::LATEST_CHECKPOINT, &[], |row| row.count(0))?.unwrap_or(0);
    let open = session.one(sql::OLDEST_OPEN_RUN, &[], |row| row.opt_count(0))?.unwrap_or(u64::MAX);
    let owed = session.one(sql::OLDEST_UNSETTLED, &[], |row| row.opt_count(0))?.unwrap_or(u64::MAX);
    Ok(covered.min(open).min(owed))
}

/// Where the next archive begins.
pub fn begin(session: &mut dyn Session) -> Result<u64, StoreError> {
    let archived = session.rows(sql::ARCHIVES, &[], |row| row.count(1))?;
    Ok(archived.into_iter().max().unwrap_or(0))
}

/// What may be archived now: all of it, or what stands before the first event of this time or later.
pub fn range(session: &mut dyn Session, before: Option<Timestamp>) -> Result<(u64, u64), StoreError> {
    let (first, limit) = (begin(session)?, limit(session)?.max(begin(session)?));
    let Some(before) = before else { return Ok((first, limit)) };
    let mut past = first;
    while past < limit {
        let page = log::events(session, sql::EVENTS_FROM, values![stored(past)?, 1000])?;
        let old = page.iter().take_while(|logged| logged.event.at < before).count() as u64;
        past += old;
        if old == 0 || old < page.len() as u64 {
            break;
        }
    }
    Ok((first, past.min(limit)))
}

/// Writes leaves `first..past` to a new file in `folder` (mode 0600), on disk when this returns. A file of the
/// same name has the same bytes; no other is touched.
pub fn write(session: &mut dyn Session, first: u64, past: u64, folder: &Path) -> Result<(PathBuf, Sha256), StoreError> {
    let failed = |source| StoreError::File { doing: "write the archive", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let unfinished = tempfile::Builder::new().prefix("lineseal-").suffix(".unfinished").tempfile_in(folder);
    let mut unfinished = unfinished.map_err(failed)?;
    let mut out = BufWriter::new(unfinished.as_file_mut());
    let mut context = Context::new(&SHA256);
    let mut next = first;
    while next < past {
        let page = session.rows(sql::EVENTS_FROM, values![stored(next)?, 1000], log::stored_event)?;
        let before = next;
        for row in page.into_iter().take_while(|row| row.seq < past) {
            if row.seq != next || row.bytes.is_empty() {
                return Err(StoreError::Corrupt(format!("event {next} is missing")));
            }
            // Where they go, they are the only ones.
            if LeafHash::of(&row.bytes) != row.leaf {
                return Err(StoreError::Corrupt(format!("the bytes of event {next} are not those that were hashed")));
            }
            for part in [&row.bytes[..], b"\n"] {
                context.update(part);
                out.write_all(part).map_err(failed)?;
            }
            next += 1;
        }
        if next == before {
            return Err(StoreError::Corrupt(format!("event {next} is missing")));
        }
    }
    out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    let file = Sha256::from_bytes(hash);
    let path = folder.join(name_of(first, past, short(file)));
    unfinished.persist(&path).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok((path, file))
}

/// Records the archive and lets go of the bytes of runs in it, in one transaction. What people decided,
/// keys and imported rows stay in the database, too: they are few, and asked for without notice.
pub fn let_go(session: &mut dyn Session, appender: &mut Appender, archived: &Event) -> Result<u64, StoreError> {
    let Body::Line(LineEvent::Archived { first, end, .. }) = &archived.body else {
        return Err(StoreError::Illegal(format!("event {} tells of no archive", archived.id)));
    };
    if *first != begin(session)? || *end > limit(session)? {
        return Err(StoreError::Illegal(format!("events {first} to {end} can't be archived now")));
    }
    appender.push(session, archived)?;
    let mut gone = 0;
    let mut next = *first;
    while next < *end {
        let page = session.rows(sql::EVENTS_FROM, values![stored(next)?, 1000], log::logged)?;
        let Some(last) = page.last() else { break };
        next = last.receipt.seq + 1;
        for logged in page.into_iter().filter(|logged| logged.receipt.seq < *end) {
            if matches!(logged.event.body, Body::Run(_)) {
                let nothing: &[u8] = &[];
                gone += session.execute(sql::FORGET_BYTES, values![stored(logged.receipt.seq)?, nothing])?;
            }
        }
    }
    Ok(gone)
}
