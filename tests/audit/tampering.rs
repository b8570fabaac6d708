//! Whoever holds the database: what they change below a checkpoint that is kept elsewhere is found,
//! and where.

use std::path::Path;

use lineseal::adapters::sqlite;
use lineseal::adapters::store::LogStore;
use lineseal::audit::event::{LabelKind, LogKeyRole, Ruling};
use lineseal::audit::note::{Checkpoint, NoteKey, SignedCheckpoint};
use lineseal::audit::{Body, Event, LeafHash, LineEvent, RunEvent, TreeHead, TreeState};
use lineseal::domain::{Persons, ReasonCode, Role, Sha256, Verdict};
use lineseal::ports::{
    AuditStore as _, Broken, Checkpoints as _, Progress, Promise, StoredCheckpoint, Verification, Verified, Witness,
};
use proptest::prelude::*;
use rusqlite::Connection;
use secrecy::SecretBox;

use crate::store_contract::{
    self, claim, closed, event, failed, identity, imported, line, opened, proven, run_id, sealed,
};

const ORIGIN: &str = "plant.example/line-1";

fn key(seed: u8) -> NoteKey {
    NoteKey::from_seed(ORIGIN.parse().unwrap(), &SecretBox::new(Box::new([seed; 32]))).unwrap()
}

fn signed(head: TreeHead, key: &NoteKey) -> SignedCheckpoint {
    SignedCheckpoint::sign(Checkpoint::new(ORIGIN.parse().unwrap(), head), key).unwrap()
}

/// A log with everything in it that is derived from, and checkpoints at two sizes.
struct Log {
    folder: tempfile::TempDir,
    /// Of the smaller size and of the larger; events follow on the latter.
    kept: [SignedCheckpoint; 2],
}

impl Log {
    async fn written(units: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = sqlite::open(&folder.path().join(sqlite::FILE)).unwrap();
        let added =
            LineEvent::LogKeyAdded { key: key(1).verifier().to_string(), role: LogKeyRole::Station, replaces: None };
        store.append(vec![line(LineEvent::LogOpened { origin: ORIGIN.to_owned() }), line(added)]).await.unwrap();
        store_contract::officials(&store).await;
        store.append(vec![opened("WO-1", 9), opened("WO-2", 3), closed("WO-2")]).await.unwrap();
        let ruling =
            store_contract::typed(&store, "はんだ不良", Ruling::Scrap { unit: store_contract::unit("S1") }).await;
        store.append(vec![ruling]).await.unwrap();
        lineseal::ports::Imports::import(&store, vec![imported(2, "I1", 900), imported(3, "I2", 900)]).await.unwrap();
        for n in 0..units {
            run(&store, n).await;
        }
        let first = keep(&store).await;
        run(&store, 700).await;
        let second = keep(&store).await;
        for n in 800..803 {
            run(&store, n).await;
        }
        let withdrawal = store_contract::withdrawal("A802");
        let withdrawal = store_contract::committed(&store, "lost in transit", withdrawal).await;
        let left = lineseal::domain::Failure::new(ReasonCode::CLOUD_UNREACHABLE, "away");
        let results = [Some(left), None].map(|failure| store_contract::withdrawn(&withdrawal, "A802", failure));
        store.append([vec![withdrawal], results.to_vec()].concat()).await.unwrap();
        Self { folder, kept: [first, second] }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join(sqlite::FILE)
    }

    fn raw(&self) -> Connection {
        let raw = Connection::open(self.path()).unwrap();
        raw.execute_batch(
            "DROP TRIGGER events_are_never_changed; DROP TRIGGER events_are_never_deleted;
             DROP TRIGGER events_are_only_appended; DROP TRIGGER tree_head_never_shrinks;
             DROP TRIGGER tree_head_is_never_deleted; DROP TRIGGER hashes_are_never_changed;
             DROP TRIGGER hashes_are_never_deleted; DROP TRIGGER checkpoints_are_never_deleted;",
        )
        .unwrap();
        raw
    }

    fn verify(&self) -> Result<Verified, Broken> {
        verify(&self.path(), &[&self.kept[1]])
    }

    fn broken(&self) -> Broken {
        self.verify().expect_err("the change went unnoticed")
    }
}

fn verify(path: &Path, kept: &[&SignedCheckpoint]) -> Result<Verified, Broken> {
    verify_with(path, kept, &[])
}

fn verify_with(path: &Path, since: &[&SignedCheckpoint], copies: &[&SignedCheckpoint]) -> Result<Verified, Broken> {
    let witnesses = |place: &str, kept: &[&SignedCheckpoint]| {
        kept.iter().map(|one| Witness { place: place.to_owned(), checkpoint: (*one).clone() }).collect()
    };
    let scratch = tempfile::tempdir().unwrap();
    let mut verifier = sqlite::verifier(path, scratch.path()).unwrap();
    let (since, copies) = (witnesses("the auditor's own", since), witnesses("the share", copies));
    let what = Verification { since, copies, projections: true, ..Verification::default() };
    let mut last = Progress { stage: lineseal::ports::Stage::Events, done: 0, total: 0 };
    let verified = lineseal::ports::Verifier::verify(&mut verifier, &what, &mut |progress| last = progress).unwrap();
    drop(verifier);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "the scratch database is gone");
    verified
}

async fn keep(store: &LogStore) -> SignedCheckpoint {
    let checkpoint = signed(store.head().await.unwrap(), &key(1));
    let size = checkpoint.checkpoint().head().size;
    store.keep(&StoredCheckpoint { size, note: checkpoint.to_string() }).await.unwrap();
    checkpoint
}

async fn run(store: &LogStore, n: u32) {
    let serial = format!("A{n}");
    let mut claim = claim(&serial, identity(n));
    claim.run = run_id();
    store.append(proven(claim.run, &serial, n)).await.unwrap();
    store.claim(claim.clone()).await.unwrap();
    let end = match n % 4 {
        0 => vec![
            failed(claim.run, ReasonCode::THING_FOREIGN),
            store_contract::typed(store, "reworked", Ruling::Release { unit: store_contract::unit(&serial) }).await,
        ],
        1 => vec![
            sealed(claim.run, Verdict::Held, Some(LabelKind::Slip)),
            event(claim.run, RunEvent::LabelIntended { kind: LabelKind::Slip }),
        ],
        _ => vec![sealed(claim.run, Verdict::Pass, Some(LabelKind::Unit))],
    };
    store.append(end).await.unwrap();
}

#[tokio::test]
async fn an_untouched_log_verifies_and_its_uncovered_tail_is_told() {
    let log = Log::written(5).await;
    let verified = log.verify().unwrap();
    let store = sqlite::open(&log.path()).unwrap();
    let head = store.head().await.unwrap();
    let covered = log.kept[1].checkpoint().head().size;
    assert_eq!((verified.head, verified.covered, verified.checkpoints), (head, Some(covered), 2));
    assert!(covered < head.size);
    assert!(verified.rows.unwrap() > 20);
    assert_eq!((verified.archived, verified.forgotten_people, verified.forgotten_texts), (0, 0, 0));
    // With no checkpoint from outside nothing is covered.
    assert_eq!(verify(&log.path(), &[]).unwrap().covered, None);
    assert_eq!(verify(&log.path(), &[&log.kept[0]]).unwrap().covered, Some(log.kept[0].checkpoint().head().size));
}

/// One statement each, by someone who knows SQL and not the tree.
#[tokio::test]
async fn every_single_change_is_found() {
    let changes: &[(&str, Promise)] = &[
        (
            "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), 'A1', 'A9') AS BLOB) WHERE seq = (SELECT min(seq) FROM events WHERE CAST(bytes AS TEXT) LIKE '%\"A1\"%')",
            Promise::Bytes,
        ),
        ("UPDATE events SET leaf_hash = zeroblob(32) WHERE seq = 3", Promise::Bytes),
        ("UPDATE events SET id = zeroblob(16) WHERE seq = 4", Promise::Bytes),
        ("DELETE FROM events WHERE seq = 7", Promise::Bytes),
        ("DELETE FROM events WHERE seq = 0", Promise::Bytes),
        ("DELETE FROM events WHERE seq = (SELECT max(seq) FROM events)", Promise::Tree),
        ("DELETE FROM events WHERE seq > 10", Promise::Tree),
        (
            "UPDATE events SET seq = -1 WHERE seq = 5; UPDATE events SET seq = 5 WHERE seq = 6; UPDATE events SET seq = 6 WHERE seq = -1",
            Promise::Tree,
        ),
        ("INSERT INTO events SELECT max(seq) + 1, randomblob(16), x'7b7d', zeroblob(32) FROM events", Promise::Bytes),
        ("UPDATE hashes SET hash = zeroblob(32) WHERE position = 2", Promise::Tree),
        ("DELETE FROM hashes WHERE position = 2", Promise::Tree),
        ("INSERT INTO hashes VALUES (3, zeroblob(32))", Promise::Tree),
        ("UPDATE tree_head SET root = zeroblob(32)", Promise::Tree),
        ("UPDATE tree_head SET size = size - 1", Promise::Tree),
        ("UPDATE tree_head SET edge = zeroblob(length(edge))", Promise::Tree),
        (
            "UPDATE checkpoints SET note = (SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1)",
            Promise::Checkpoint,
        ),
        ("UPDATE checkpoints SET note = replace(note, char(10) || '— ', char(10) || '— x')", Promise::Checkpoint),
        ("UPDATE runs SET verdict = 'PASS' WHERE verdict = 'FAIL'", Promise::Projection),
        ("UPDATE bindings SET open = 0 WHERE serial = 'A1'", Promise::Projection),
        ("DELETE FROM bindings WHERE serial = 'A1'", Promise::Projection),
        ("DELETE FROM locks", Promise::Projection),
        ("DELETE FROM locks WHERE kind = 'withdrawn'", Promise::Projection),
        ("UPDATE withdrawals SET reason = NULL", Promise::Projection),
        ("DELETE FROM withdrawals", Promise::Projection),
        ("DELETE FROM labels WHERE kind = 'slip'", Promise::Projection),
        ("UPDATE records SET serial = 'A2' WHERE serial = 'A1'", Promise::Projection),
        ("UPDATE rulings SET used_seq = 1", Promise::Projection),
        ("INSERT INTO operators VALUES (randomblob(16), 'administrator', 0, 1, NULL, NULL)", Promise::Projection),
        ("DELETE FROM run_events WHERE seq = (SELECT max(seq) FROM run_events)", Promise::Projection),
        ("DELETE FROM run_events WHERE run = (SELECT max(run) FROM run_events)", Promise::Projection),
        ("INSERT INTO run_events SELECT max(run), max(seq) + 1 FROM run_events", Promise::Projection),
        ("PRAGMA ignore_check_constraints = ON; INSERT INTO run_events VALUES (x'00', 1)", Promise::Projection),
        (
            "UPDATE run_events SET run = (SELECT max(o.run) FROM run_events o WHERE o.run <> run_events.run) WHERE seq = (SELECT min(seq) FROM run_events)",
            Promise::Projection,
        ),
        ("UPDATE texts SET words = 'never mind'", Promise::People),
        ("DELETE FROM texts WHERE id = (SELECT min(id) FROM texts)", Promise::People),
        ("DELETE FROM people WHERE name = 'Official 2'", Promise::People),
        ("UPDATE people SET name = NULL, salt = NULL WHERE name = 'Official 2'", Promise::People),
        ("UPDATE credentials SET pin_hash = 'Official 1' WHERE pin_hash = 'Official 2'", Promise::People),
        ("DELETE FROM credentials WHERE pin_hash = 'Official 2'", Promise::People),
        ("UPDATE credentials SET badge_hash = 'of another' WHERE pin_hash = 'Official 2'", Promise::People),
        ("UPDATE operators SET pin_sha256 = NULL", Promise::Projection),
        ("UPDATE operators SET badge_sha256 = randomblob(32) WHERE pin_sha256 IS NOT NULL", Promise::Projection),
    ];
    for (sql, promise) in changes {
        let log = Log::written(5).await;
        log.raw().execute_batch(sql).unwrap();
        let Err(broken) = log.verify() else { panic!("{sql}: went unnoticed") };
        assert_eq!(broken.promise, *promise, "{sql}: {broken}");
        assert!(!broken.place.is_empty() && !broken.found.is_empty());
    }
}

#[tokio::test]
async fn the_exact_place_is_told() {
    let log = Log::written(5).await;
    log.raw()
        .execute_batch(
            "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"v\":', '\"w\":') AS BLOB) WHERE seq = 23",
        )
        .unwrap();
    assert_eq!(log.broken().to_string(), "bytes: event 23: its bytes are not those that were hashed");
    let log = Log::written(5).await;
    log.raw().execute_batch("UPDATE bindings SET serial = 'A77' WHERE serial = 'A3'").unwrap();
    let broken = log.broken();
    assert!(broken.place.starts_with("table bindings, row "), "{broken}");
    assert!(broken.found.contains("\"A77\"") && broken.found.contains("\"A3\""), "{broken}");
    // Of these only a sum is derived: it takes the rows to say which of them is gone, the very last one here.
    let log = Log::written(5).await;
    let last = "WHERE (run, seq) = (SELECT run, seq FROM run_events ORDER BY run DESC, seq DESC LIMIT 1)";
    let raw = log.raw();
    let (rows, seq): (i64, i64) = raw
        .query_row(&format!("SELECT (SELECT count(*) FROM run_events), seq FROM run_events {last}"), [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    raw.execute_batch(&format!("DELETE FROM run_events {last}")).unwrap();
    let broken = log.broken();
    assert!(broken.place.starts_with(&format!("table run_events, row {rows} (run ")), "{broken}");
    assert!(broken.place.ends_with(&format!(" seq {seq})")), "{broken}");
    assert!(broken.found.starts_with("stored: no row; the events say: run "), "{broken}");
}

/// The whole log written anew: every hash, the head, the derived tables and the stored checkpoints
/// follow, signed by the station's own key. Only what is kept elsewhere tells.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let raw = Connection::open(path).unwrap();
    let guards: Vec<(String, String)> = {
        let mut statement = raw.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for (name, _) in &guards {
        raw.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let mut bytes: Vec<Vec<u8>> = {
        let mut statement = raw.prepare("SELECT bytes FROM events ORDER BY seq").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let sizes: Vec<u64> = {
        let mut statement = raw.prepare("SELECT size FROM checkpoints ORDER BY size").unwrap();
        statement.query_map([], |row| row.get::<_, i64>(0)).unwrap().map(|size| size.unwrap().unsigned_abs()).collect()
    };
    change(&mut bytes);
    raw.execute_batch("DELETE FROM events; DELETE FROM hashes; DELETE FROM checkpoints;").unwrap();
    let mut tree = TreeState::default();
    for leaf_bytes in &bytes {
        let event = Event::decode(leaf_bytes).unwrap();
        let leaf = LeafHash::of(leaf_bytes);
        let seq = i64::try_from(tree.size()).unwrap();
        raw.execute(
            "INSERT INTO events VALUES (?1, ?2, ?3, ?4)",
            (seq, event.id.as_uuid().as_bytes(), leaf_bytes, leaf.0),
        )
        .unwrap();
        for (node, hash) in tree.append(leaf) {
            raw.execute("INSERT INTO hashes VALUES (?1, ?2)", (i64::try_from(node.position()).unwrap(), hash)).unwrap();
        }
        if sizes.contains(&tree.size()) {
            let note = signed(tree.head(), &key(1)).to_string();
            raw.execute("INSERT INTO checkpoints VALUES (?1, ?2)", (i64::try_from(tree.size()).unwrap(), note))
                .unwrap();
        }
    }
    let head = tree.head();
    raw.execute(
        "UPDATE tree_head SET size = ?1, edge = ?2, root = ?3",
        (i64::try_from(head.size).unwrap(), tree.edge_bytes(), head.root),
    )
    .unwrap();
    // Derived anew at the next start, of a database that looks as it should.
    raw.pragma_update(None, "user_version", 0).unwrap();
    for (_, guard) in &guards {
        raw.execute_batch(guard).unwrap();
    }
    drop(raw);
    drop(sqlite::open(path).unwrap());
}

#[derive(Debug, Clone)]
enum Forgery {
    Bit { event: prop::sample::Index, bit: prop::sample::Index },
    Delete(prop::sample::Index),
    Swap(prop::sample::Index),
    Duplicate(prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn forgery() -> impl Strategy<Value = Forgery> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), at()).prop_map(|(event, bit)| Forgery::Bit { event, bit }),
        at().prop_map(Forgery::Delete),
        at().prop_map(Forgery::Swap),
        at().prop_map(Forgery::Duplicate),
        at().prop_map(Forgery::Truncate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// A forger who holds the database and the signing key, and writes everything anew.
    #[test]
    fn a_forger_with_the_key_is_found_below_the_kept_checkpoint(units in 1u32..6, forgery in forgery()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = runtime.block_on(Log::written(units));
        let covered = usize::try_from(log.kept[1].checkpoint().head().size).unwrap();
        let mut changed = true;
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rewrite(&log.path(), |bytes| match &forgery {
            Forgery::Bit { event, bit } => {
                // A digit of a time: what stays a readable event.
                let bytes = &mut bytes[event.index(covered)];
                let at = bytes.windows(4).position(|part| part == b"\"at\"").unwrap() + 8 + bit.index(2);
                bytes[at] = if bytes[at] == b'1' { b'0' } else { b'1' };
            }
            Forgery::Delete(at) => drop(bytes.remove(at.index(covered))),
            Forgery::Swap(at) => {
                let at = at.index(covered - 1);
                changed = bytes[at] != bytes[at + 1];
                bytes.swap(at, at + 1);
            }
            Forgery::Duplicate(at) => {
                let copy = bytes[at.index(covered)].clone();
                let text = String::from_utf8(copy).unwrap();
                let id = text[13..49].to_owned();
                let other = text.replacen(&id, &uuid::Uuid::from_u128(7).to_string(), 1);
                bytes.insert(at.index(covered), other.into_bytes());
            }
            Forgery::Truncate(at) => bytes.truncate(at.index(covered)),
        })));
        // What cannot even be derived from is refused at the start of the station.
        if attempt.is_ok() && changed {
            let broken = log.broken();
            prop_assert!(matches!(broken.promise, Promise::Checkpoint | Promise::Claims), "{broken}");
        }
    }
}

/// Every cell of the log itself.
const CELLS: &[(&str, &str)] = &[
    ("events", "bytes"),
    ("events", "leaf_hash"),
    ("events", "id"),
    ("hashes", "hash"),
    ("tree_head", "edge"),
    ("tree_head", "root"),
    ("checkpoints", "note"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_single_bit_that_flips_is_found(
        units in 1u32..4,
        cell in prop::sample::select(CELLS),
        row in any::<prop::sample::Index>(),
        bit in any::<prop::sample::Index>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let log = runtime.block_on(Log::written(units));
        let raw = log.raw();
        raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        let (table, column) = cell;
        let rows: usize = raw.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs().try_into().unwrap();
        let (id, mut bytes): (i64, Vec<u8>) = raw
            .query_row(&format!("SELECT rowid, CAST({column} AS BLOB) FROM {table} LIMIT 1 OFFSET {}", row.index(rows)), [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let at = bit.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        let kind = if column == "note" { "TEXT" } else { "BLOB" };
        raw.execute(&format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE rowid = ?2"), (&bytes, id)).unwrap();
        drop(raw);
        prop_assert!(log.verify().is_err(), "bit {at} of {column} in row {id} of {table}");
    }
}

/// No event tells of a trigger that swallows bindings, or of a key that is gone.
#[tokio::test]
async fn a_schema_that_was_changed_is_found_and_no_station_starts_on_it() {
    for sql in [
        "CREATE TRIGGER evil BEFORE INSERT ON bindings BEGIN SELECT RAISE(IGNORE); END",
        "DROP INDEX bindings_unit",
        "DROP TRIGGER events_are_never_deleted",
        "CREATE TABLE notes (text TEXT)",
    ] {
        let log = Log::written(2).await;
        Connection::open(log.path()).unwrap().execute_batch(sql).unwrap();
        let broken = log.broken();
        assert_eq!(broken.promise, Promise::Schema, "{sql}: {broken}");
        assert_eq!(sqlite::open(&log.path()).err().unwrap().code, ReasonCode::STORE_CORRUPT, "{sql}");
    }
}

/// A record that the search does not find is as good as gone, and one that it finds under another's name
/// is worse.
#[tokio::test]
async fn an_index_of_words_that_was_changed_is_found_and_the_record_is_named() {
    let words = "(SELECT words FROM records WHERE seq = (SELECT min(seq) FROM records))";
    for change in [
        format!("('delete', (SELECT min(seq) FROM records), {words})"),
        format!("('delete', (SELECT min(seq) FROM records), substr({words}, 1, instr({words}, ' ')))"),
        "(NULL, (SELECT min(seq) FROM records), 'planted')".to_owned(),
        "(NULL, (SELECT min(seq) FROM records), '植え込')".to_owned(),
        format!("(NULL, 999999, {words})"),
        "(NULL, -1, 'planted')".to_owned(),
        "('delete-all', NULL, NULL)".to_owned(),
    ] {
        let log = Log::written(3).await;
        log.verify().unwrap();
        let raw = Connection::open(log.path()).unwrap();
        let all = change.starts_with("('delete-all'");
        let columns = if all { "record_words" } else { "record_words, rowid, words" };
        let change = if all { "('delete-all')".to_owned() } else { change };
        raw.execute_batch(&format!("INSERT INTO record_words ({columns}) VALUES {change}")).unwrap();
        drop(raw);
        let broken = log.verify().err().unwrap_or_else(|| panic!("{change}: went unnoticed"));
        assert_eq!((broken.promise, broken.place.as_str()), (Promise::Projection, "the index of words"), "{change}");
        assert!(broken.found.starts_with("record "), "{change}: {broken}");
    }
}

/// A table whose rows are all there, and an index that has lost one of them: deleted with its entries, and
/// put back through a second table over the same pages.
fn hollow(raw: &Connection, table: &str, columns: &str, key: &str) {
    let root = |name: &str| -> i64 {
        raw.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?1", [name], |row| row.get(0)).unwrap()
    };
    raw.execute_batch(&format!("CREATE TABLE twin ({columns}); PRAGMA writable_schema = ON")).unwrap();
    let (own, shared) = (root("twin"), root(table));
    let lay_over = |root: i64| {
        raw.execute("UPDATE sqlite_schema SET rootpage = ?1 WHERE name = 'twin'", [root]).unwrap();
        raw.execute_batch("PRAGMA writable_schema = RESET").unwrap();
    };
    lay_over(shared);
    raw.execute_batch(&format!(
        "CREATE TEMP TABLE kept AS SELECT * FROM twin ORDER BY {key} LIMIT 1;
         DELETE FROM {table} WHERE {key} = (SELECT {key} FROM kept); INSERT INTO twin SELECT * FROM kept;
         PRAGMA writable_schema = ON"
    ))
    .unwrap();
    lay_over(own);
    raw.execute_batch("DROP TABLE twin").unwrap();
}

/// Burned chips would be free, and nothing that is read row by row tells.
#[tokio::test]
async fn an_index_that_has_lost_a_row_of_its_table_is_found() {
    let log = Log::written(3).await;
    let raw = Connection::open(log.path()).unwrap();
    let columns = "claimed_seq INTEGER PRIMARY KEY, product, serial, fingerprint, spki, uid, run, open, imported";
    hollow(&raw, "bindings", columns, "claimed_seq");
    let burned = |bindings: &str| -> i64 {
        let row = "(SELECT fingerprint FROM bindings NOT INDEXED LIMIT 1)";
        let asked = format!("SELECT count(*) FROM {bindings} WHERE fingerprint = {row}");
        raw.query_row(&asked, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((burned("bindings"), burned("bindings NOT INDEXED")), (0, 1));
    drop(raw);
    let broken = log.broken();
    assert_eq!((broken.promise, broken.place.as_str()), (Promise::Schema, "the indexes"), "{broken}");
    assert!(broken.found.starts_with("row 1 missing from index "), "{broken}");
}

/// What is looked up goes from page to page by their order.
#[tokio::test]
async fn an_index_whose_entries_were_changed_or_exchanged_is_found() {
    for (sql, of) in [
        ("UPDATE twin SET a = a || '9' WHERE a = (SELECT max(a) FROM twin)", "records_serial"),
        ("DELETE FROM twin WHERE a = (SELECT max(a) FROM twin)", "records_serial"),
        ("UPDATE twin SET b = b + 1 WHERE a = (SELECT max(a) FROM twin)", "records_serial"),
        ("INSERT INTO twin SELECT a || '7', b FROM twin LIMIT 1", "records_serial"),
    ] {
        let log = Log::written(3).await;
        let raw = Connection::open(log.path()).unwrap();
        // An index is written like a table that is sorted by all of its columns.
        raw.execute_batch(
            "CREATE TABLE twin (a, b, c, PRIMARY KEY (a, b, c)) WITHOUT ROWID; PRAGMA writable_schema = ON",
        )
        .unwrap();
        let own: i64 =
            raw.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'twin'", [], |row| row.get(0)).unwrap();
        raw.execute(
            "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = ?1)
             WHERE name = 'twin'",
            [of],
        )
        .unwrap();
        raw.execute_batch("PRAGMA writable_schema = RESET").unwrap();
        raw.execute_batch(sql.replace("SELECT a || '7', b FROM", "SELECT a || '7', b, c FROM").as_str()).unwrap();
        raw.execute_batch("PRAGMA writable_schema = ON").unwrap();
        raw.execute("UPDATE sqlite_schema SET rootpage = ?1 WHERE name = 'twin'", [own]).unwrap();
        raw.execute_batch("PRAGMA writable_schema = RESET; DROP TABLE twin").unwrap();
        drop(raw);
        let broken = log.verify().err().unwrap_or_else(|| panic!("{sql}: went unnoticed"));
        assert_eq!((broken.promise, broken.place.as_str()), (Promise::Schema, "the indexes"), "{sql}: {broken}");
        assert!(broken.found.contains(of), "{sql}: {broken}");
    }
}

/// The last word of a search is perhaps cut off, and is looked for among the beginnings of words.
#[tokio::test]
async fn a_record_that_no_beginning_of_its_words_leads_to_is_found() {
    let log = Log::written(3).await;
    let raw = Connection::open(log.path()).unwrap();
    let (row, words): (i64, String) = raw
        .query_row("SELECT seq, words FROM records ORDER BY seq DESC LIMIT 1", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let word = words.split(' ').next_back().unwrap().to_owned();
    raw.execute("INSERT INTO record_words (record_words, rowid, words) VALUES ('delete', ?1, ?2)", (row, &words))
        .unwrap();
    let whole: String =
        raw.query_row("SELECT sql FROM sqlite_schema WHERE name = 'record_words'", [], |row| row.get(0)).unwrap();
    let (before, _) = whole.split_once(",\n    prefix").unwrap();
    for (sql, entry) in [(format!("{before}\n)"), Some(&words)), (whole.clone(), None)] {
        raw.execute_batch("PRAGMA writable_schema = ON").unwrap();
        raw.execute("UPDATE sqlite_schema SET sql = ?1 WHERE name = 'record_words'", [sql]).unwrap();
        drop(raw.execute_batch("PRAGMA writable_schema = RESET"));
        let raw = Connection::open(log.path()).unwrap();
        if let Some(words) = entry {
            raw.execute("INSERT INTO record_words (rowid, words) VALUES (?1, ?2)", (row, words)).unwrap();
        }
    }
    drop(raw);
    let raw = Connection::open(log.path()).unwrap();
    let found = |asked: String| -> i64 {
        let sql = "SELECT count(*) FROM record_words WHERE record_words MATCH ?1 AND rowid = ?2";
        raw.query_row(sql, (asked, row), |row| row.get(0)).unwrap()
    };
    assert_eq!((found(format!("\"{word}\"")), found(format!("\"{word}\" *"))), (1, 0));
    drop(raw);
    let broken = log.broken();
    assert_eq!((broken.promise, broken.place.as_str()), (Promise::Projection, "the index of words"), "{broken}");
    assert_eq!(broken.found, format!("record {row} is indexed under other words than it has"));
}

/// A whole page of it and more, written in many pieces, with words that were taken out again.
#[tokio::test]
async fn a_large_index_of_words_is_read_as_fts5_reads_it() {
    let log = Log::written(1).await;
    let store = sqlite::open(&log.path()).unwrap();
    for n in 0..60 {
        let text = (0..40).map(|m| format!("{}word{m}", n * 977 % 61)).collect::<Vec<_>>().join(" 手直し ");
        let ruling = Ruling::Scrap { unit: store_contract::unit(&format!("B{n}")) };
        let typed = store_contract::typed(&store, &text, ruling).await;
        let Body::Line(LineEvent::Ruled { reason, .. }) = &typed.body else { panic!() };
        let text = reason.id;
        store.append(vec![typed]).await.unwrap();
        if n % 3 == 0 {
            lineseal::ports::People::forget_text(&store, text).await.unwrap();
            store.append(vec![line(LineEvent::TextForgotten { text })]).await.unwrap();
        }
    }
    drop(store);
    log.verify().unwrap();
    // And once more when it is one piece.
    let raw = Connection::open(log.path()).unwrap();
    raw.execute_batch("INSERT INTO record_words (record_words) VALUES ('optimize')").unwrap();
    log.verify().unwrap();
    // A search that is led to another page finds nothing there.
    let pages: i64 = raw.query_row("SELECT count(*) FROM record_words_idx", [], |row| row.get(0)).unwrap();
    assert!(pages > 2, "{pages}");
    raw.execute_batch("CREATE TEMP TABLE whole AS SELECT * FROM record_words_idx").unwrap();
    for change in [
        "DELETE FROM record_words_idx",
        "UPDATE record_words_idx SET pgno = 0",
        "DELETE FROM record_words_idx WHERE pgno = (SELECT max(pgno) FROM record_words_idx)",
        "UPDATE record_words_idx SET term = x'7a7a' WHERE pgno = (SELECT max(pgno) FROM record_words_idx)",
    ] {
        raw.execute_batch(change).unwrap();
        assert!(log.verify().is_err(), "{change}: went unnoticed");
        raw.execute_batch("DELETE FROM record_words_idx; INSERT INTO record_words_idx SELECT * FROM whole").unwrap();
        log.verify().unwrap();
    }
}

/// Whoever signs in, or ruled, would be another one.
#[tokio::test]
async fn a_name_that_was_exchanged_is_found_and_nobody_is_told_by_it() {
    for sql in [
        "UPDATE people SET name = 'Mallory', salt = NULL WHERE name = 'Official 1'",
        "UPDATE people SET name = NULL WHERE name = 'Official 1'",
        "UPDATE people SET name = 'Mallory' WHERE name = 'Official 1'",
        "UPDATE people SET name = CASE name WHEN 'Official 1' THEN 'Mallory' ELSE 'Official 1' END, salt = NULL
         WHERE name IN ('Official 1', 'Official 2')",
    ] {
        let log = Log::written(2).await;
        let raw = Connection::open(log.path()).unwrap();
        raw.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        raw.execute_batch(sql).unwrap();
        drop(raw);
        let broken = log.broken();
        assert_eq!(broken.promise, Promise::People, "{sql}: {broken}");
        let store = sqlite::open(&log.path()).unwrap();
        for name in ["Mallory", "Official 1"] {
            match lineseal::ports::People::person(&store, name).await {
                Ok(person) => assert!(person.is_none(), "{sql}: {name}"),
                Err(failure) => assert_eq!(failure.code, ReasonCode::STORE_CORRUPT, "{sql}: {name}"),
            }
        }
    }
}

/// FTS5 folds more than our own cutting does: what it writes down must not be taken for a change.
#[tokio::test]
async fn words_in_any_script_are_indexed_as_they_are_written() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    for text in
        ["ΣΊΣΥΦΟΣ ς σ", "Straße STRASSE ẞ", "ſ s K k İ i̇ ı", "手直し済み、基板Ａ－１", "é e\u{301} ﬁ Ǆ ǆ ǅ ٣ ½ ก็"]
    {
        let ruling = Ruling::Release { unit: store_contract::unit("A4") };
        let typed = store_contract::typed(&store, text, ruling).await;
        store.append(vec![typed]).await.unwrap();
    }
    drop(store);
    log.verify().unwrap();
}

#[tokio::test]
async fn a_name_that_is_gone_without_a_word_was_not_forgotten() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    let person = store.operator("Aoki", (uuid::Uuid::from_u128(1), [1; 32])).await.unwrap();
    let mut named = line(LineEvent::OperatorNamed {});
    named.operator = Some(person.clone());
    store.append(vec![named]).await.unwrap();
    log.verify().unwrap();
    lineseal::ports::People::forget(&store, person.id).await.unwrap();
    assert_eq!(log.broken().promise, Promise::People);
    store.append(vec![line(LineEvent::PersonForgotten { person: person.id })]).await.unwrap();
    assert_eq!(log.verify().unwrap().forgotten_people, 1);
}

#[tokio::test]
async fn words_that_are_gone_without_a_word_were_not_forgotten() {
    let log = Log::written(5).await;
    let store = sqlite::open(&log.path()).unwrap();
    let ruling = store_contract::typed(&store, "x", Ruling::Scrap { unit: store_contract::unit("S2") }).await;
    let Body::Line(LineEvent::Ruled { reason, .. }) = &ruling.body else { panic!() };
    let text = reason.id;
    let seq = store.append(vec![ruling]).await.unwrap()[0].seq;
    lineseal::ports::People::forget_text(&store, text).await.unwrap();
    let broken = log.broken();
    assert_eq!((broken.promise, broken.place), (Promise::People, format!("text {text} of event {seq}")));
    store.append(vec![line(LineEvent::TextForgotten { text })]).await.unwrap();
    assert_eq!(log.verify().unwrap().forgotten_texts, 1);
}

#[tokio::test]
async fn a_pin_that_the_log_says_nothing_of_is_told_and_broken_by_nothing() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    let person = store.operator("Aoki", (uuid::Uuid::from_u128(1), [1; 32])).await.unwrap();
    let added = line(LineEvent::OperatorAdded { person: person.clone(), role: Role::Qa, pin_sha256: None });
    lineseal::ports::People::give_pin(&store, person.id, "an older program's", added).await.unwrap();
    assert_eq!(log.verify().unwrap().uncommitted_pins, 1);
    // Once it is committed to, nothing but an event changes it; and who may not sign in is not asked.
    let reset = line(LineEvent::OperatorReset { person: person.clone(), pin_sha256: Some(Sha256::of(b"own")) });
    store.append(vec![reset]).await.unwrap();
    let broken = log.broken();
    assert_eq!((broken.promise, broken.place), (Promise::People, format!("PIN of person {}", person.id)));
    store.append(vec![line(LineEvent::OperatorDisabled { person: person.clone() })]).await.unwrap();
    assert_eq!(log.verify().unwrap().uncommitted_pins, 0);
    lineseal::ports::People::forget(&store, person.id).await.unwrap();
    store.append(vec![line(LineEvent::PersonForgotten { person: person.id })]).await.unwrap();
    assert_eq!(log.verify().unwrap().forgotten_people, 1);
}

/// Written past the program, with every hash in order.
#[tokio::test]
async fn a_ruling_by_who_could_not_have_ruled_is_found() {
    let log = Log::written(2).await;
    let pristine = std::fs::read(log.path()).unwrap();
    let people = [("Tomo", Role::Technician), ("Aiko", Role::Qa), ("Gone", Role::Qa)];
    for case in
        ["nobody", "a stranger", "one alone", "twice the same", "technician", "disabled", "supervisor", "ran it"]
    {
        std::fs::write(log.path(), &pristine).unwrap();
        let store = sqlite::open(&log.path()).unwrap();
        let mut who = Vec::new();
        for (n, (name, role)) in people.into_iter().enumerate() {
            let person = store.operator(name, (uuid::Uuid::from_u128(n as u128 + 1), [1; 32])).await.unwrap();
            let added = LineEvent::OperatorAdded { person: person.clone(), role, pin_sha256: None };
            store.append(vec![line(added)]).await.unwrap();
            who.push(person);
        }
        store.append(vec![line(LineEvent::OperatorDisabled { person: who[2].clone() })]).await.unwrap();
        let unit = store_contract::unit("S9");
        let mut starts = store_contract::started(run_id(), "S9", None);
        // Whoever did anything in a run operated it.
        starts[1].operator = Some(who[1].clone());
        store.append(starts).await.unwrap();
        let scrap = Ruling::Scrap { unit: if case == "ran it" { unit } else { store_contract::unit("S8") } };
        let mut event = match case {
            "supervisor" => {
                let head = store.head().await.unwrap();
                let (size, root) = (head.size, Sha256::from_bytes(head.root));
                store_contract::typed(&store, "x", Ruling::Rollback { size, root, known: Vec::new() }).await
            }
            _ => store_contract::typed(&store, "x", scrap).await,
        };
        let Body::Line(LineEvent::Ruled { second, .. }) = &mut event.body else { panic!() };
        let expected = match case {
            "nobody" => {
                event.operator = None;
                "nobody stands behind"
            }
            "a stranger" => {
                *second = Some(store.operator("Nemo", (uuid::Uuid::from_u128(9), [1; 32])).await.unwrap());
                "was no operator then"
            }
            "one alone" => {
                *second = None;
                "two persons had to rule"
            }
            "twice the same" => {
                *second = event.operator.clone();
                "as the first person and the second"
            }
            "technician" => {
                *second = Some(who[0].clone());
                "ruled as technician"
            }
            "disabled" => {
                event.operator = Some(who[2].clone());
                "was disabled then"
            }
            "supervisor" => {
                event.operator = Some(who[1].clone());
                "ruled as qa"
            }
            _ => {
                event.operator = Some(who[1].clone());
                "acted in one of its runs"
            }
        };
        let seq = store.append(vec![event]).await.unwrap()[0].seq;
        drop(store);
        let broken = log.broken();
        assert_eq!((broken.promise, &broken.place), (Promise::Claims, &format!("event {seq}")), "{case}: {broken}");
        assert!(broken.found.contains(expected), "{case}: {broken}");
    }
}

/// Also where the log says that one was enough: whoever types the command chooses the configuration.
#[tokio::test]
async fn a_ruling_of_one_person_is_told() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    for (asked, told) in [(Some(Persons::One), 1), (None, 2)] {
        let mut event = store_contract::typed(&store, "x", Ruling::Scrap { unit: store_contract::unit("S7") }).await;
        let Body::Line(LineEvent::Ruled { second, persons, .. }) = &mut event.body else { panic!() };
        (*second, *persons) = (None, asked);
        store.append(vec![event]).await.unwrap();
        assert_eq!(log.verify().unwrap().ruled_alone, told);
    }
}

/// By hand, or with a backup of before: that is no forgery, and no forgetting.
#[tokio::test]
async fn what_was_forgotten_and_is_here_again_is_told() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    let event = store_contract::typed(&store, "zanzibar", Ruling::Scrap { unit: store_contract::unit("S7") }).await;
    let Body::Line(LineEvent::Ruled { reason, .. }) = &event.body else { panic!() };
    let text = reason.id;
    store.append(vec![event, line(LineEvent::TextForgotten { text })]).await.unwrap();
    assert_eq!(log.verify().unwrap().remembered, 1);
    lineseal::ports::People::forget_text(&store, text).await.unwrap();
    let verified = log.verify().unwrap();
    assert_eq!((verified.remembered, verified.forgotten_texts), (0, 1));
}

/// Nothing that a statement stumbles over is a fault of the disk.
#[tokio::test]
async fn tables_that_are_not_those_of_the_program_are_named() {
    for change in ["ALTER TABLE tree_head RENAME COLUMN size TO sise", "ALTER TABLE bindings RENAME TO bonds"] {
        let log = Log::written(2).await;
        log.raw().execute_batch(change).unwrap();
        assert_eq!(log.broken().promise, Promise::Schema, "{change}");
    }
}

#[tokio::test]
async fn a_checkpoint_that_was_deleted_is_told_by_its_copies() {
    let log = Log::written(2).await;
    assert_eq!(log.verify().unwrap().unstored, 0);
    log.raw().execute_batch("DELETE FROM checkpoints").unwrap();
    // Guards are gone with it, and are put back.
    let fresh = tempfile::tempdir().unwrap();
    drop(sqlite::open(&fresh.path().join(sqlite::FILE)).unwrap());
    let guards: Vec<String> = {
        let fresh = Connection::open(fresh.path().join(sqlite::FILE)).unwrap();
        let mut statement = fresh.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let raw = Connection::open(log.path()).unwrap();
    for guard in guards {
        // Some are there still.
        let _ = raw.execute_batch(&guard);
    }
    drop(raw);
    let verified = verify(&log.path(), &[&log.kept[0], &log.kept[1], &log.kept[1]]).unwrap();
    assert_eq!((verified.checkpoints, verified.unstored), (0, 2));
    assert_eq!(verified.covered, Some(log.kept[1].checkpoint().head().size));
}

/// A log that was put back, and on which two persons ruled, verifies again, and says so.
#[tokio::test]
async fn what_was_ruled_on_is_told_and_no_longer_broken() {
    let log = Log::written(2).await;
    let beyond = TreeHead { size: 4000, root: [7; 32] };
    let newest = signed(beyond, &key(1));
    assert_eq!(verify(&log.path(), &[&newest]).unwrap_err().promise, Promise::Checkpoint);
    let store = sqlite::open(&log.path()).unwrap();
    let head = store.head().await.unwrap();
    let root = lineseal::domain::Sha256::from_bytes(head.root);
    let known = vec![newest.to_string()];
    let ruling = Ruling::Rollback { size: head.size, root, known };
    store.append(vec![store_contract::typed(&store, "the disk died", ruling).await]).await.unwrap();
    drop(store);
    let verified = verify_with(&log.path(), &[&log.kept[1]], &[&newest]).unwrap();
    assert_eq!((verified.ruled, verified.covered), (1, Some(log.kept[1].checkpoint().head().size)));
    // Another one, that nobody ruled on.
    let other = signed(TreeHead { size: 4001, root: [8; 32] }, &key(1));
    assert_eq!(verify_with(&log.path(), &[], &[&newest, &other]).unwrap_err().promise, Promise::Checkpoint);
}

/// Whoever holds database and key can write everything anew, and a ruling that excuses it.
#[tokio::test]
async fn no_ruling_in_the_log_excuses_it_from_the_checkpoint_that_an_auditor_brings() {
    let log = Log::written(2).await;
    let head = log.kept[1].checkpoint().head();
    let shown = signed(TreeHead { root: [7; 32], ..head }, &key(1));
    let store = sqlite::open(&log.path()).unwrap();
    let root = lineseal::domain::Sha256::from_bytes(head.root);
    let ruling = Ruling::Rollback { size: head.size, root, known: vec![shown.to_string()] };
    store.append(vec![store_contract::typed(&store, "the disk died", ruling).await]).await.unwrap();
    drop(store);
    for since in [&[&shown][..], &[&log.kept[1], &shown]] {
        let broken = verify_with(&log.path(), since, &[&shown]).unwrap_err();
        assert_eq!((broken.promise, broken.place.as_str()), (Promise::Checkpoint, "the auditor's own"));
        assert!(broken.found.contains("a ruling in the log names it"), "{broken}");
    }
}

#[tokio::test]
async fn an_old_backup_put_back_is_found_by_what_is_kept_elsewhere() {
    let log = Log::written(3).await;
    let old = log.folder.path().join("old.db");
    std::fs::copy(log.path(), &old).unwrap();
    let store = sqlite::open(&log.path()).unwrap();
    run(&store, 901).await;
    let newest = keep(&store).await;
    drop(store);
    std::fs::copy(&old, log.path()).unwrap();
    let broken = verify(&log.path(), &[&newest]).unwrap_err();
    assert_eq!(broken.promise, Promise::Checkpoint);
    assert!(broken.found.contains("leaves, and the log has"), "{broken}");
}

#[tokio::test]
async fn a_checkpoint_of_another_key_or_another_log_vouches_for_nothing() {
    let log = Log::written(3).await;
    let head = log.kept[1].checkpoint().head();
    let stranger = signed(head, &key(9));
    let broken = verify(&log.path(), &[&stranger]).unwrap_err();
    assert_eq!(broken.promise, Promise::Checkpoint, "{broken}");
    let other: NoteKey = NoteKey::from_seed("elsewhere".parse().unwrap(), &SecretBox::new(Box::new([1; 32]))).unwrap();
    let swapped = SignedCheckpoint::sign(Checkpoint::new("elsewhere".parse().unwrap(), head), &other).unwrap();
    let broken = verify(&log.path(), &[&swapped]).unwrap_err();
    assert_eq!(broken.found, "it is of the log elsewhere");
}

#[tokio::test]
async fn a_key_that_was_replaced_signs_nothing_newer() {
    let log = Log::written(2).await;
    let store = sqlite::open(&log.path()).unwrap();
    let replaces = Some(key(1).verifier().to_string());
    let added = LineEvent::LogKeyAdded { key: key(2).verifier().to_string(), role: LogKeyRole::Station, replaces };
    store.append(vec![line(added)]).await.unwrap();
    let replaced = store.head().await.unwrap();
    run(&store, 950).await;
    let head = store.head().await.unwrap();
    drop(store);
    assert_eq!(verify(&log.path(), &[&log.kept[0], &signed(head, &key(2))]).unwrap().covered, Some(head.size));
    // Its last word is that it was.
    assert_eq!(verify(&log.path(), &[&signed(replaced, &key(1))]).unwrap().covered, Some(replaced.size));
    let broken = verify(&log.path(), &[&signed(head, &key(1))]).unwrap_err();
    assert_eq!(broken.found, "only cosigners and keys that had been replaced signed it");
}

/// A claim that the store would have refused, written past it with every hash in order.
#[tokio::test]
async fn a_claim_that_could_not_have_been_made_is_found() {
    let log = Log::written(4).await;
    let store = sqlite::open(&log.path()).unwrap();
    let unit = store_contract::unit("A0");
    let forged = RunEvent::Claimed {
        unit,
        identity: identity(0),
        standing: lineseal::audit::event::Standing::Known,
        ruling: None,
        replaces: Vec::new(),
        entry: None,
    };
    // A0 failed and was released, and that release is used up by this claim; a second one is a lie.
    let head_before = store.head().await.unwrap();
    store.append(vec![event(run_id(), forged)]).await.unwrap();
    assert_ne!(store.head().await.unwrap(), head_before);
    drop(store);
    let broken = log.broken();
    assert_eq!(broken.promise, Promise::Claims, "{broken}");
    assert_eq!(broken.place, format!("event {}", head_before.size));
}
