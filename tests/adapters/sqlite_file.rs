//! The file: its rights, its durability, its schema, and what happens when it cannot be written.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lineseal::adapters::sqlite::{self, Limits, StationLock};
use lineseal::audit::event::Ruling;
use lineseal::audit::{Body, LineEvent};
use lineseal::domain::{Failure, ReasonCode};
use lineseal::ports::{AuditStore, People};
use rusqlite::Connection;

use super::store_contract::{self, bound, claim, identity, line, run_id, started};
use super::{Fresh, recomputed};

mod schema {
    refinery::embed_migrations!("migrations/sqlite");
}

#[tokio::test]
async fn the_file_is_durable_and_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/yet").join(sqlite::FILE);
    let store = sqlite::open(&path).unwrap();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    let durability = sqlite::durability(&store).await.unwrap();
    assert_eq!((durability.journal_mode.as_str(), durability.synchronous), ("wal", 2));
    assert!(durability.foreign_keys);
    assert_eq!(durability.busy, Duration::from_secs(5));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_file_name("lineseal.db-wal")), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    drop(store);
    // A copy that somebody left open to all is closed again.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(sqlite::open(&path).unwrap());
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test]
async fn a_reader_looks_and_changes_nothing() {
    let fresh = Fresh::new();
    assert_eq!(code(sqlite::open_reader(&fresh.path())), ReasonCode::STORE_FAILED);
    assert!(!fresh.path().exists(), "nothing is created by looking");
    let store = fresh.store();
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    let reader = sqlite::open_reader(&fresh.path()).unwrap();
    assert_eq!(reader.run(run).await.unwrap().unwrap().events.len(), 2);
    assert_eq!(reader.head().await.unwrap(), store.head().await.unwrap());
    let refused = reader.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err();
    assert_eq!(refused.code, ReasonCode::STORE_READ_ONLY);
    assert_eq!(reader.claim(claim("A1", identity(1))).await.unwrap_err().code, ReasonCode::STORE_READ_ONLY);
    assert_eq!(reader.rebuild_projections().await.unwrap_err().code, ReasonCode::STORE_READ_ONLY);
    // It sees what is written later, too.
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    assert_eq!(reader.head().await.unwrap().size, 3);
}

#[tokio::test]
async fn a_migrated_schema_is_a_fresh_one() {
    let mut versions: Vec<_> = schema::migrations::runner().get_migrations().iter().map(|one| one.version()).collect();
    versions.sort_unstable();
    versions.pop();
    let fresh = Fresh::new();
    drop(fresh.store());
    for version in versions {
        let older = Fresh::new();
        let mut raw = older.raw();
        schema::migrations::runner().set_target(refinery::Target::Version(version)).run(&mut raw).unwrap();
        assert_ne!(schema_of(&raw), schema_of(&fresh.raw()));
        drop(older.store());
        assert_eq!(schema_of(&raw), schema_of(&fresh.raw()), "from version {version}");
        older.store().append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    }
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let fresh = Fresh::new();
    drop(fresh.store());
    let raw = fresh.raw();
    raw.execute(
        "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         VALUES (99, 'from_the_future', '2031-01-01T00:00:00Z', '1')",
        [],
    )
    .unwrap();
    let refused = sqlite::open(&fresh.path()).err().unwrap();
    assert_eq!(refused.code, ReasonCode::STORE_NEWER);
    assert_eq!(refused.cause, "schema version 99 is newer than 16, the latest this program knows");
    assert_eq!(refused.args["path"], fresh.path().display().to_string());
    assert_eq!(code(sqlite::open_reader(&fresh.path())), ReasonCode::STORE_NEWER);

    raw.execute("DELETE FROM refinery_schema_history WHERE version = 99", []).unwrap();
    raw.pragma_update(None, "user_version", 1000).unwrap();
    assert_eq!(code(sqlite::open(&fresh.path())), ReasonCode::STORE_NEWER);
}

/// A newer command migrates the file under a station that has it open.
#[tokio::test]
async fn an_older_program_that_has_the_file_open_neither_writes_nor_reads_what_a_newer_one_laid_out() {
    let fresh = Fresh::new();
    let older = fresh.store();
    older.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    let raw = fresh.raw();
    let number: i64 = raw.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    for (newer, back) in [
        ("PRAGMA user_version = 99".to_owned(), format!("PRAGMA user_version = {number}")),
        (
            "INSERT INTO refinery_schema_history VALUES (99, 'from_the_future', '2031-01-01T00:00:00Z', '1')"
                .to_owned(),
            "DELETE FROM refinery_schema_history WHERE version = 99".to_owned(),
        ),
    ] {
        raw.execute_batch(&newer).unwrap();
        let refused = older.append(vec![line(LineEvent::StationStopped {})]).await.unwrap_err();
        assert_eq!(refused.code, ReasonCode::STORE_NEWER, "{refused}");
        assert_eq!(older.claim(claim("A1", identity(1))).await.unwrap_err().code, ReasonCode::STORE_NEWER);
        assert_eq!(older.head().await.unwrap_err().code, ReasonCode::STORE_NEWER);
        raw.execute_batch(&back).unwrap();
    }
    assert_eq!(older.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, 1);
}

#[test]
fn what_is_not_our_database_is_refused() {
    let fresh = Fresh::new();
    std::fs::write(fresh.path(), "not a database at all, but long enough to be looked at as one".repeat(20)).unwrap();
    assert_eq!(code(sqlite::open(&fresh.path())), ReasonCode::STORE_CORRUPT);

    let foreign = Fresh::new();
    foreign.raw().execute_batch("CREATE TABLE shopping (item TEXT)").unwrap();
    assert_eq!(code(sqlite::open(&foreign.path())), ReasonCode::STORE_CORRUPT);
    let tables: i64 = foreign.raw().query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 1, "nothing was added to it");

    let edited = Fresh::new();
    drop(edited.store());
    edited.raw().execute("UPDATE refinery_schema_history SET checksum = '7' WHERE version = 1", []).unwrap();
    assert_eq!(code(sqlite::open(&edited.path())), ReasonCode::STORE_CORRUPT);
}

#[tokio::test]
async fn a_damaged_page_is_said_to_be_one() {
    let fresh = Fresh::new();
    let store = fresh.store();
    for _ in 0..120 {
        store.append((0..20).map(|_| line(LineEvent::StationStopped {})).collect()).await.unwrap();
    }
    drop(store);
    assert!(!fresh.path().with_file_name("lineseal.db-wal").exists(), "a closed store is one whole file");
    let mut bytes = std::fs::read(fresh.path()).unwrap();
    // Everything but the first pages, which hold the schema.
    let from = bytes.len() / 2;
    bytes[from..].fill(0xa5);
    std::fs::write(fresh.path(), bytes).unwrap();
    let store = fresh.store();
    assert_eq!(store.rebuild_projections().await.unwrap_err().code, ReasonCode::STORE_CORRUPT);
}

#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written() {
    let fresh = Fresh::new();
    drop(fresh.store());
    let pages: u32 = fresh.raw().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limits = Limits { max_pages: Some(pages + 6), ..Limits::default() };
    let store = sqlite::open_with(&fresh.path(), limits).unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        let events = (0..10).map(|_| line(LineEvent::StationStarted { version: "1".repeat(200) })).collect();
        match store.append(events).await {
            Ok(_) => acknowledged += 10,
            Err(refused) => break refused,
        }
        assert!(acknowledged < 100_000, "the limit is not kept");
    };
    assert_eq!(refused.code, ReasonCode::STORE_FULL, "{refused}");
    assert_eq!(store.head().await.unwrap().size, acknowledged);
    assert_eq!(store.head().await.unwrap(), recomputed(&fresh.path()));
    let refused = loop {
        let n: u32 = rand::random();
        if let Err(refused) = store.claim(claim(&format!("A{n}"), identity(n))).await {
            break refused;
        }
        acknowledged += 1;
    };
    assert_eq!(refused.code, ReasonCode::STORE_FULL, "{refused}");
    drop(store);
    // There is room again.
    let store = fresh.store();
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, acknowledged);
    assert_eq!(store.head().await.unwrap(), recomputed(&fresh.path()));
}

#[tokio::test]
async fn a_database_locked_for_too_long_is_busy_and_goes_on_afterwards() {
    let fresh = Fresh::new();
    let limits = Limits { busy: Duration::from_millis(200), ..Limits::default() };
    let store = sqlite::open_with(&fresh.path(), limits).unwrap();
    let holder = fresh.raw();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    let event = line(LineEvent::StationStopped {});
    assert_eq!(store.append(vec![event.clone()]).await.unwrap_err().code, ReasonCode::STORE_BUSY);
    assert_eq!(store.claim(claim("A1", identity(1))).await.unwrap_err().code, ReasonCode::STORE_BUSY);
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(400) && waited < Duration::from_secs(10), "{waited:?}");
    // Reading goes on meanwhile.
    assert_eq!(store.head().await.unwrap().size, 0);
    holder.execute_batch("COMMIT").unwrap();
    assert_eq!(store.append(vec![event]).await.unwrap()[0].seq, 0);
    bound(store.claim(claim("A1", identity(1))).await);
}

/// Names the data directory to the child that must not be able to write it.
const CHILD: &str = "LINESEAL_TEST_READ_ONLY";
const SELF: &str = "sqlite::file::a_file_that_cannot_be_written_is_said_to_be_read_only";

/// Root may write any file, so the test starts itself again without that privilege.
#[test]
fn a_file_that_cannot_be_written_is_said_to_be_read_only() {
    if let Some(directory) = std::env::var_os(CHILD) {
        return find_it_read_only(Path::new(&directory));
    }
    let fresh = Fresh::new();
    drop(fresh.store());
    let set = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for (file, directory) in [(0o400, 0o700), (0o600, 0o500), (0o000, 0o700)] {
        set(&fresh.path(), file);
        set(fresh.directory.path(), directory);
        let mut child = if rustix::process::geteuid().is_root() {
            let mut privileged = Command::new("setpriv");
            privileged.arg("--bounding-set=-dac_override,-dac_read_search");
            privileged.arg(std::env::current_exe().unwrap());
            privileged
        } else {
            Command::new(std::env::current_exe().unwrap())
        };
        let output = child.args(["--exact", SELF, "--nocapture"]).env(CHILD, fresh.directory.path()).output().unwrap();
        set(fresh.directory.path(), 0o700);
        // A child that found no test of this name would also end well.
        let said = String::from_utf8_lossy(&output.stdout);
        let passed = output.status.success() && said.contains("1 passed");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(passed, "file {file:o}, directory {directory:o}: {said}{complaint}");
    }
}

fn find_it_read_only(directory: &Path) {
    let refused = sqlite::open(&directory.join(sqlite::FILE)).err().unwrap();
    assert_eq!(refused.code, ReasonCode::STORE_READ_ONLY, "{refused}");
}

/// By each name a write-ahead log of its own would grow: a chip that is burned in one would pass in the other.
#[test]
fn a_log_that_has_two_names_is_opened_by_neither() {
    let fresh = Fresh::new();
    drop(fresh.store());
    let other = tempfile::tempdir_in(fresh.path().parent().unwrap().parent().unwrap()).unwrap();
    let other = other.path().join(sqlite::FILE);
    std::fs::hard_link(fresh.path(), &other).unwrap();
    for path in [&fresh.path(), &other] {
        let refused = sqlite::open(path).err().unwrap();
        assert_eq!(refused.code, ReasonCode::STATION_TWICE, "{refused}");
        assert!(refused.cause.contains("hard link"), "{refused}");
    }
    std::fs::remove_file(other).unwrap();
    sqlite::open(&fresh.path()).unwrap();
}

/// Whoever may write to it could put a log of their own in the place of the station's.
#[test]
fn a_directory_that_others_may_write_to_is_refused_and_named() {
    let fresh = Fresh::new();
    drop(fresh.store());
    let directory = fresh.path();
    let directory = directory.parent().unwrap();
    let set = |mode| std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o707, 0o777, 0o1777, 0o702] {
        set(mode);
        let refused = sqlite::open(&fresh.path()).err().unwrap();
        assert_eq!(refused.code, ReasonCode::DIRECTORY_SHARED, "{mode:o}");
        assert!(refused.cause.contains(directory.to_str().unwrap()), "{refused}");
        assert_eq!(code(StationLock::take(directory)), ReasonCode::DIRECTORY_SHARED, "{mode:o}");
        // An auditor looks at whatever there is.
        sqlite::open_reader(&fresh.path()).unwrap();
    }
    // Of a group that is the user's own, as `mkdir` makes it where the umask is 002.
    for mode in [0o770, 0o775, 0o755, 0o700] {
        set(mode);
        drop(fresh.store());
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(directory, None, Some(1)).unwrap();
        set(0o770);
        let refused = sqlite::open(&fresh.path()).err().unwrap();
        assert_eq!(refused.code, ReasonCode::DIRECTORY_SHARED);
        assert!(refused.cause.contains("group 1"), "{refused}");
        set(0o750);
        drop(fresh.store());
    }
}

#[test]
fn many_processes_may_open_a_new_directory_at_once() {
    let fresh = Fresh::new();
    let openers: Vec<_> = (0..8)
        .map(|_| {
            let path = fresh.path();
            std::thread::spawn(move || sqlite::open(&path).map(drop))
        })
        .collect();
    for opener in openers {
        opener.join().unwrap().unwrap();
    }
}

#[test]
fn one_station_drives_a_data_directory() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let lock = StationLock::take(&data).unwrap();
    let refused = StationLock::take(&data).unwrap_err();
    assert_eq!(refused.code, ReasonCode::STATION_TWICE);
    assert_eq!(refused.args["pid"], std::process::id().to_string());
    let path = data.join("station.lock");
    let held = format!("{} is held by another process ({})", path.display(), std::process::id());
    assert_eq!(refused.cause, held);
    // Whoever deletes what the lock is called has not the lock.
    std::fs::remove_file(&path).unwrap();
    assert_eq!(StationLock::take(&data).unwrap_err().code, ReasonCode::STATION_TWICE);
    assert!(StationLock::is_held(&data));
    // Nor does an older program, which knows no other lock, let one of today in.
    let elsewhere = directory.path().join("old");
    std::fs::create_dir(&elsewhere).unwrap();
    let old = std::fs::File::create(elsewhere.join("station.lock")).unwrap();
    old.lock().unwrap();
    assert_eq!(StationLock::take(&elsewhere).unwrap_err().code, ReasonCode::STATION_TWICE);
    // Another directory is another station, and the database is open to commands meanwhile.
    StationLock::take(&directory.path().join("other")).unwrap();
    sqlite::open(&data.join(sqlite::FILE)).unwrap();
    drop(lock);
    StationLock::take(&data).unwrap();
}

/// A trigger that unlocks whatever fails, under the cover of what may lie there.
#[test]
fn what_hides_behind_statistics_or_an_older_number_is_found() {
    let unlock = "CREATE TRIGGER zz AFTER INSERT ON locks BEGIN DELETE FROM locks; END";
    let refused = |sql: &str| {
        let fresh = Fresh::new();
        drop(fresh.store());
        fresh.raw().execute_batch(sql).unwrap();
        code(sqlite::open(&fresh.path()))
    };
    for sql in [
        format!("ANALYZE; {unlock}"),
        format!("{unlock}; PRAGMA user_version = 9"),
        "ANALYZE; CREATE VIEW zz AS SELECT 1".to_owned(),
        "ANALYZE; CREATE TABLE zz (a)".to_owned(),
    ] {
        assert_eq!(refused(&sql), ReasonCode::STORE_CORRUPT, "{sql}");
    }
    let fresh = Fresh::new();
    drop(fresh.store());
    fresh.raw().execute_batch("ANALYZE").unwrap();
    drop(fresh.store());
    // Nor is an emptied file one that an older program laid out.
    let empty = tempfile::tempdir().unwrap();
    let file = empty.path().join(sqlite::FILE);
    std::fs::write(&file, "").unwrap();
    assert_eq!(code(sqlite::open_reader(&file)), ReasonCode::STORE_CORRUPT);
    // Nor is a pipe waited for.
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(code(sqlite::open_reader(&file)), ReasonCode::STORE_CORRUPT);
}

/// A restore that is cut off after its first step: no station works on what is left, and the next one ends it.
#[tokio::test]
async fn a_restore_that_was_cut_off_loses_nothing_of_the_log_that_was_there() {
    let fresh = Fresh::new();
    let store = fresh.store();
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.db");
    sqlite::back_up(&fresh.path(), &backup).unwrap();
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    // As a kill leaves it: the newest event is in the write-ahead log alone.
    let path = folder.path().join(sqlite::FILE);
    let part = |path: &Path, suffix: &str| std::path::PathBuf::from(format!("{}{suffix}", path.display()));
    for suffix in ["", "-wal"] {
        std::fs::copy(part(&fresh.path(), suffix), part(&path, suffix)).unwrap();
    }
    let incoming = sqlite::bring_in(&backup, &path).unwrap();
    let kept = part(&path, &format!(".before-{}", &incoming.copy.file.to_string()[..12]));
    std::fs::write(part(&path, ".keeping"), kept.file_name().unwrap().to_str().unwrap()).unwrap();
    std::fs::rename(&path, &kept).unwrap();
    assert_eq!(code(sqlite::open(&path)), ReasonCode::STORE_FAILED);
    sqlite::take_in(incoming, &path).unwrap();
    assert_eq!(sqlite::open(&path).unwrap().head().await.unwrap().size, 0);
    assert_eq!(sqlite::open(&kept).unwrap().head().await.unwrap().size, 1);

    // What a database that was lost has left is no part of the log that was kept before.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(part(&path, "-wal"), "the rest").unwrap();
    sqlite::take_in(sqlite::bring_in(&backup, &path).unwrap(), &path).unwrap();
    assert!(!part(&kept, "-wal").exists());
    assert_eq!(std::fs::read(part(&kept, "-2-wal")).unwrap(), b"the rest");
    assert!(!part(&path, ".keeping").exists());
}

fn code<T>(answer: Result<T, Failure>) -> ReasonCode {
    answer.err().unwrap().code
}

/// Everything the schema consists of, and which migrations it came from.
fn schema_of(connection: &Connection) -> Vec<String> {
    let sql = "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema
        UNION ALL SELECT version || ' ' || name || ' ' || checksum FROM refinery_schema_history
        UNION ALL SELECT 'user_version ' || user_version FROM pragma_user_version ORDER BY 1";
    let mut statement = match connection.prepare(sql) {
        Ok(statement) => statement,
        Err(error) => panic!("{error}"),
    };
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// An index of words keeps what was deleted from it until it is merged.
#[tokio::test]
async fn words_that_were_forgotten_are_nowhere_in_the_file() {
    let fresh = Fresh::new();
    let store = fresh.store();
    let mut texts = Vec::new();
    for word in ["zanzibarquux", "xylophonefrob"] {
        let ruled = store_contract::typed(&store, word, Ruling::Scrap { unit: store_contract::unit("A1") }).await;
        let Body::Line(LineEvent::Ruled { reason, .. }) = &ruled.body else { panic!() };
        texts.push((word, reason.id));
        store.append(vec![ruled]).await.unwrap();
    }
    let kept = |word: &str| {
        let bytes = std::fs::read(fresh.path()).unwrap();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    };
    drop(store);
    assert!(texts.iter().all(|(word, _)| kept(word)));
    let store = fresh.store();
    assert!(store.forget_text(texts[0].1).await.unwrap());
    store.append(vec![line(LineEvent::TextForgotten { text: texts[0].1 })]).await.unwrap();
    // Not in what was last written, either, while a station goes on working.
    let wal = std::fs::read(fresh.path().with_extension("db-wal")).unwrap();
    assert!(!wal.windows(texts[0].0.len()).any(|window| window == texts[0].0.as_bytes()));
    drop(store);
    assert_eq!(texts.iter().map(|(word, _)| kept(word)).collect::<Vec<_>>(), [false, true]);
}
