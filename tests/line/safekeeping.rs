//! The log as a whole: verified, copied, put back, archived, by command.

use std::path::PathBuf;

use lineseal::adapters::sqlite;
use lineseal::audit::LineEvent;
use lineseal::domain::Verdict;
use lineseal::ports::AuditStore as _;
use serde_json::json;

use crate::office::Office;
use crate::store_contract::{bound, claim, identity, line, proven, run_id, sealed};

/// Some units' runs, a year old.
async fn units(office: &Office, numbers: std::ops::Range<u32>) {
    let store = sqlite::open(&office.data().join(sqlite::FILE)).unwrap();
    for n in numbers {
        let mut claim = claim(&format!("A{n}"), identity(n));
        claim.run = run_id();
        let mut events = proven(claim.run, &format!("A{n}"), n);
        for event in &mut events {
            event.at = "2025-06-01T00:00:00Z".parse().unwrap();
        }
        store.append(events).await.unwrap();
        bound(store.claim(claim.clone()).await);
        store.append(vec![sealed(claim.run, Verdict::Pass, None)]).await.unwrap();
    }
}

async fn size(office: &Office) -> u64 {
    sqlite::open_reader(&office.data().join(sqlite::FILE)).unwrap().head().await.unwrap().size
}

fn root(office: &Office) -> Vec<String> {
    vec!["--as".into(), "Root".into(), "--pin-file".into(), office.dir.path().join("root").display().to_string()]
}

/// `audit …` as `Root`.
fn as_root(office: &Office, args: &[&str], status: i32) -> crate::program::Ended {
    let root = root(office);
    office.audit(&[args, &root.iter().map(String::as_str).collect::<Vec<_>>()].concat(), status)
}

fn file(office: &Office, name: &str) -> (PathBuf, String) {
    let path = office.dir.path().join(name);
    (path.clone(), path.display().to_string())
}

#[tokio::test]
async fn a_log_verifies_and_a_changed_one_does_not() {
    let office = Office::with_administrator();
    units(&office, 0..4).await;
    let told = office.audit(&["verify", "--json"], 0).json().remove(0);
    assert_eq!((&told["verified"], &told["covered"]), (&json!(true), &json!(null)));
    assert_eq!((told["size"].as_u64(), told["uncovered"].as_u64()), (Some(size(&office).await), told["size"].as_u64()));
    let text = office.audit(&["verify"], 0).out;
    assert!(text.contains("could have rewritten all of it"), "{text}");

    // An auditor keeps a checkpoint; then somebody edits.
    let store = sqlite::open(&office.data().join(sqlite::FILE)).unwrap();
    let kept = lineseal::ports::History::latest_checkpoint(&store).await.unwrap().unwrap();
    drop(store);
    let (path, since) = file(&office, "kept.checkpoint");
    std::fs::write(path, &kept.note).unwrap();
    let told = office.audit(&["verify", "--json", "--since", &since], 0).json().remove(0);
    assert_eq!(told["covered"].as_u64(), Some(kept.size));
    let raw = rusqlite::Connection::open(office.data().join(sqlite::FILE)).unwrap();
    raw.execute_batch(
        "DROP TRIGGER events_are_never_changed;
         UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"A2\"', '\"A7\"') AS BLOB) WHERE seq > 12;",
    )
    .unwrap();
    drop(raw);
    let broken = office.audit(&["verify", "--json", "--since", &since], 1);
    let told = broken.json().remove(0);
    assert_eq!((&told["verified"], &told["promise"]), (&json!(false), &json!("bytes")));
    assert!(broken.err.contains("L-526"), "{}", broken.err);

    let nonsense = office.audit(&["verify", "--since", &office.config.display().to_string()], 2);
    assert!(nonsense.err.contains("lineseal.toml"), "{}", nonsense.err);
}

#[tokio::test]
async fn a_backup_is_made_while_somebody_writes_and_verified() {
    let office = Office::with_administrator();
    units(&office, 0..3).await;
    let store = sqlite::open(&office.data().join(sqlite::FILE)).unwrap();
    let before = store.head().await.unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..200 {
            store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
        }
    });
    let (path, to) = file(&office, "copy.db");
    let told = office.lineseal(&["audit", "backup", "--json", &to]).run().await.expect(0).json().remove(0);
    writing.await.unwrap();
    assert!(told["size"].as_u64().unwrap() >= before.size);
    let copy = sqlite::open_reader(&path).unwrap().head().await.unwrap();
    assert_eq!((Some(copy.size), told["root"].as_str()), (told["size"].as_u64(), Some(&*hex::encode(copy.root))));
    let names: Vec<_> = std::fs::read_dir(office.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("copy.db.")), "{names:?}");
    // Nothing is overwritten.
    let again = office.audit(&["backup", &to], 2);
    assert!(again.err.contains("exist"), "{}", again.err);
}

#[tokio::test]
async fn a_backup_is_put_back_by_somebody_who_may_and_the_log_that_was_there_is_kept() {
    let office = Office::with_administrator();
    units(&office, 0..2).await;
    let (path, backup) = file(&office, "copy.db");
    office.audit(&["backup", &backup], 0);
    units(&office, 2..5).await;
    let full = size(&office).await;

    let refused = as_root(&office, &["restore", &backup], 2);
    assert!(refused.err.contains("--replace"), "{}", refused.err);
    let wrong = office.pin("wrong", "not the pin");
    office.audit(&["restore", &backup, "--replace", "--as", "Root", "--pin-file", &wrong], 3);
    assert_eq!(size(&office).await, full, "the log is still there");
    let bytes = std::fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    let at = damaged.windows(4).rposition(|part| part == b"\"A1\"").unwrap();
    damaged[at + 2] = b'7';
    let (other, damaged_backup) = file(&office, "damaged.db");
    std::fs::write(other, damaged).unwrap();
    as_root(&office, &["restore", &damaged_backup, "--replace"], 1);
    assert_eq!(size(&office).await, full);

    let told = as_root(&office, &["restore", &backup, "--replace", "--json"], 0).json().remove(0);
    let copied = sqlite::open_reader(&path).unwrap().head().await.unwrap().size;
    assert_eq!(told["size"].as_u64(), Some(copied));
    assert_eq!(size(&office).await, copied + 1, "one event says who put it back");
    let before = sqlite::open_reader(PathBuf::from(told["before"].as_str().unwrap()).as_path()).unwrap();
    assert!(before.head().await.unwrap().size >= full);
    office.audit(&["verify"], 0);
    // Nor is the log that a second restore of it finds lost.
    let again = as_root(&office, &["restore", &backup, "--replace", "--json"], 0).json().remove(0);
    assert_ne!(again["before"], told["before"]);
    let newest = crate::log::read(&office.data()).pop().unwrap();
    assert_eq!((newest.kind(), &newest.event["replaced"]), ("restored", &serde_json::json!(true)));
}

/// What a restore leaves in the data directory besides the logs.
fn scratch(office: &Office) -> Vec<String> {
    let names = std::fs::read_dir(office.data()).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.contains("incoming") || name.contains("unfinished") || name.contains("verify")).collect()
}

/// It is the log that the next board is judged by: also what is derived from the events.
#[tokio::test]
async fn a_backup_whose_derived_tables_were_changed_is_not_put_back_and_leaves_nothing_behind() {
    let office = Office::with_administrator();
    units(&office, 0..2).await;
    let (path, backup) = file(&office, "copy.db");
    office.audit(&["backup", &backup], 0);
    let full = size(&office).await;
    let raw = rusqlite::Connection::open(&path).unwrap();
    assert!(raw.execute("UPDATE runs SET verdict = 'FAIL' WHERE verdict = 'PASS'", []).unwrap() > 0);
    drop(raw);
    let refused = as_root(&office, &["restore", &backup, "--replace"], 1);
    assert!(refused.err.contains("L-526") && refused.err.contains("table runs"), "{}", refused.err);
    assert_eq!(scratch(&office), [] as [&str; 0]);
    // Nor where somebody may not, or the file is none of ours.
    let (path, sound) = file(&office, "sound.db");
    office.audit(&["backup", &sound], 0);
    let wrong = office.pin("wrong", "not the pin");
    office.audit(&["restore", &sound, "--replace", "--as", "Root", "--pin-file", &wrong], 3);
    std::fs::write(path, b"no database").unwrap();
    as_root(&office, &["restore", &sound, "--replace"], 2);
    assert_eq!(scratch(&office), [] as [&str; 0]);
    assert!(size(&office).await > full, "the log is still there");
}

/// As somebody copies them who has no `lineseal audit backup`: the newest events are in the second file.
#[tokio::test]
async fn a_write_ahead_log_beside_a_backup_is_taken_in_or_refused() {
    let office = Office::with_administrator();
    // It stays open, so that nothing is folded into the file.
    let open = sqlite::open(&office.data().join(sqlite::FILE)).unwrap();
    units(&office, 0..2).await;
    let full = size(&office).await;
    let (path, backup) = file(&office, "dead.db");
    let with = |path: &std::path::Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    for suffix in ["", "-wal"] {
        std::fs::copy(with(&office.data().join(sqlite::FILE), suffix), with(&path, suffix)).unwrap();
    }
    drop(open);
    let (other, made) = file(&office, "made.db");
    office.audit(&["backup", &made], 0);
    let told = as_root(&office, &["restore", &backup, "--replace", "--json"], 0);
    assert!(told.err.contains("dead.db-wal is taken in"), "{}", told.err);
    assert_eq!(told.json()[0]["size"].as_u64(), Some(full));

    // One that was made whole has none: this is another database's, or half of this one.
    for suffix in ["-wal", "-journal"] {
        std::fs::copy(with(&path, "-wal"), with(&other, suffix)).unwrap();
        let refused = as_root(&office, &["restore", &made, "--replace"], 2);
        assert!(refused.err.contains(&format!("made.db{suffix} lies beside")), "{}", refused.err);
        std::fs::remove_file(with(&other, suffix)).unwrap();
    }
    as_root(&office, &["restore", &made, "--replace"], 0);
    office.audit(&["verify"], 0);
}

/// The computer died with events in the second file, and somebody moves the broken database away before a backup is
/// put back: what is left of it must not be read with the backup, nor be lost.
#[tokio::test]
async fn what_a_lost_database_left_beside_it_neither_mixes_with_a_backup_nor_is_deleted() {
    let office = Office::with_administrator();
    let path = office.data().join(sqlite::FILE);
    units(&office, 0..2).await;
    let (_, backup) = file(&office, "sound.db");
    let full = size(&office).await;
    office.audit(&["backup", &backup], 0);
    let (rest, kept) = (office.data().join("lineseal.db-wal"), office.dir.path().join("wal"));
    let open = sqlite::open(&path).unwrap();
    units(&office, 2..6).await;
    std::fs::copy(&rest, &kept).unwrap();
    drop(open);
    let leave_the_rest = || {
        std::fs::rename(&path, office.dir.path().join("broken.db")).unwrap();
        std::fs::copy(&kept, &rest).unwrap();
    };
    leave_the_rest();
    // Nor does a new log begin over it.
    let refused = as_root(&office, &["archive", "--before", "2099-01-01"], 3);
    assert!(refused.err.contains("lineseal.db-wal is part of a log"), "{}", refused.err);
    assert_eq!(std::fs::read(&rest).unwrap(), std::fs::read(&kept).unwrap());
    let told = as_root(&office, &["restore", &backup, "--json"], 0).json().remove(0);
    assert_eq!(told["size"].as_u64(), Some(full));
    assert_eq!(size(&office).await, full + 1, "the backup, and the event that says who put it back");
    office.audit(&["verify"], 0);
    let names = std::fs::read_dir(office.data()).unwrap().map(|entry| entry.unwrap().path());
    let aside = names.into_iter().find(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains(".before-") && name.ends_with("-wal")
    });
    assert_eq!(std::fs::read(aside.expect("the rest is kept")).unwrap(), std::fs::read(&kept).unwrap());
}

#[tokio::test]
async fn old_events_are_archived_and_verified_with_and_without_their_archive() {
    let office = Office::with_administrator();
    units(&office, 0..3).await;
    let nothing = as_root(&office, &["archive", "--before", "2025-01-01"], 0);
    assert!(nothing.err.contains("nothing is old enough"), "{}", nothing.err);
    // A checkpoint that covers them, and a run of today.
    office.root(&["add", "Mori", "--role", "qa", "--new-pin-file", &office.pin("mori", "mori's pin")], 0);
    let (folder, to) = file(&office, "vault");
    let told = as_root(&office, &["archive", "--before", "2099-01-01", "--json", "--to", &to], 0).json().remove(0);
    assert!(told["events"].as_u64().unwrap() >= 12, "{told}");
    let archive = told["file"].as_str().unwrap().to_owned();
    assert!(PathBuf::from(&archive).starts_with(folder));
    let refused = office.audit(&["verify"], 3);
    assert!(refused.err.contains("L-527"), "{}", refused.err);
    let fast = office.audit(&["verify", "--fast", "--json"], 0).json().remove(0);
    assert_eq!(fast["archived"], told["events"]);
    // Nor does anybody vouch for what is derived in a copy, and none is put back on somebody's word.
    let (_, copy) = file(&office, "copy.db");
    let partly = office.audit(&["backup", &copy, "--json"], 3);
    assert!(partly.err.contains("L-527"), "{}", partly.err);
    assert_eq!(partly.json()[0]["derived"], json!(false));
    let refused = as_root(&office, &["restore", &copy, "--replace"], 3);
    assert!(refused.err.contains("L-527"), "{}", refused.err);
    let whole = office.audit(&["verify", "--archive", &archive, "--json"], 0).json().remove(0);
    assert_eq!(whole["archived"], json!(0));
    // The archive is not what was archived.
    let text = std::fs::read_to_string(&archive).unwrap();
    std::fs::write(&archive, text.replacen("\"A1\"", "\"A9\"", 1)).unwrap();
    office.audit(&["verify", "--archive", &archive], 1);
    let misnamed = office.audit(&["verify", "--archive", &office.config.display().to_string()], 2);
    assert!(misnamed.err.contains("lineseal-<first>-<past>-<hash>.archive"), "{}", misnamed.err);
}
