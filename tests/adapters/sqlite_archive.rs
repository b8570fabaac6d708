//! Old events in a file: the hashes stay, and so do the proofs.

use std::path::Path;

use lineseal::adapters::sqlite;
use lineseal::adapters::store::{LogStore, archive};
use lineseal::audit::event::LabelKind;
use lineseal::audit::proof::{prove_inclusion, verify_inclusion};
use lineseal::audit::{LeafHash, LineEvent, RunEvent};
use lineseal::domain::{ReasonCode, RunId, Verdict};
use lineseal::ports::{
    AuditStore as _, Checkpoints as _, History as _, Search, StoredCheckpoint, Verification, Verified, Verifier as _,
};

use super::Fresh;
use crate::store_contract::{bound, claim, event, identity, line, proven, run_id, sealed};

pub async fn unit(store: &LogStore, n: u32, verdict: Verdict, label: Option<LabelKind>) -> RunId {
    let mut claim = claim(&format!("A{n}"), identity(n));
    claim.run = run_id();
    store.append(proven(claim.run, &format!("A{n}"), n)).await.unwrap();
    bound(store.claim(claim.clone()).await);
    store.append(vec![sealed(claim.run, verdict, label)]).await.unwrap();
    claim.run
}

pub async fn archived(store: &LogStore, past: u64, folder: &Path) -> Result<u64, lineseal::domain::Failure> {
    let folder = folder.to_owned();
    let (first, file) = store
        .read(move |session| {
            let first = archive::begin(session)?;
            Ok((first, archive::write(session, first, past, &folder)?.1))
        })
        .await?;
    let event = line(LineEvent::Archived { first, end: past, file });
    store.write(move |session, appender| archive::let_go(session, appender, &event)).await
}

/// The signature is not what these tests are about.
pub async fn checkpoint(store: &LogStore) {
    let size = store.head().await.unwrap().size;
    store.keep(&StoredCheckpoint { size, note: format!("o\n{size}\nx\n\n— o AAAA\n") }).await.unwrap();
}

fn verify(fresh: &Fresh, projections: bool) -> Result<Verified, String> {
    let scratch = tempfile::tempdir().unwrap();
    // Without the checkpoints, which are no real ones here.
    let raw = fresh.raw();
    let guard = "SELECT sql FROM sqlite_schema WHERE name = 'checkpoints_are_never_deleted'";
    let guard: String = raw.query_row(guard, [], |row| row.get(0)).unwrap();
    raw.execute_batch(&format!("DROP TRIGGER checkpoints_are_never_deleted; DELETE FROM checkpoints; {guard}"))
        .unwrap();
    let mut verifier = sqlite::verifier(&fresh.path(), scratch.path()).unwrap();
    let what = Verification { projections, ..Verification::default() };
    match verifier.verify(&what, &mut |_| {}) {
        Ok(Ok(verified)) => Ok(verified),
        Ok(Err(broken)) => Err(broken.to_string()),
        Err(failure) => Err(failure.to_string()),
    }
}

/// Two stations that have as many events, and one share.
#[tokio::test]
async fn archives_of_two_logs_lie_in_one_folder() {
    let share = tempfile::tempdir().unwrap();
    let logs = [Fresh::new(), Fresh::new()];
    let mut stores = Vec::new();
    for fresh in &logs {
        let store = fresh.store();
        unit(&store, 1, Verdict::Pass, None).await;
        checkpoint(&store).await;
        let past = store.head().await.unwrap().size;
        let (first, second) = (store.leaves(&[0]).await.unwrap(), store.leaves(&[past - 1]).await.unwrap());
        assert_eq!(archived(&store, past, share.path()).await.unwrap(), past);
        stores.push((fresh, past, first, second));
    }
    let files: Vec<_> = std::fs::read_dir(share.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for (fresh, past, first, last) in stores {
        let beside = fresh.path().parent().unwrap().join(sqlite::ARCHIVES);
        std::fs::create_dir_all(&beside).unwrap();
        for file in &files {
            std::fs::copy(file, beside.join(file.file_name().unwrap())).unwrap();
        }
        let store = fresh.store();
        assert_eq!(store.leaves(&[0]).await.unwrap(), first);
        assert_eq!(store.leaves(&[past - 1]).await.unwrap(), last);
    }
}

#[tokio::test]
async fn proofs_and_claims_go_on_without_the_bytes() {
    let fresh = Fresh::new();
    let store = fresh.store();
    let mut runs = Vec::new();
    for n in 0..8 {
        runs.push(unit(&store, n, Verdict::Pass, None).await);
    }
    let past = store.head().await.unwrap().size - 6;
    let before = store.leaves(&[3]).await.unwrap().remove(0);
    checkpoint(&store).await;
    let elsewhere = tempfile::tempdir().unwrap();
    assert_eq!(archived(&store, past, elsewhere.path()).await.unwrap(), past);

    // The bytes are not at hand.
    assert_eq!(store.leaves(&[3]).await.unwrap_err().code, ReasonCode::LOG_ARCHIVED);
    assert_eq!(store.run(runs[0]).await.unwrap_err().code, ReasonCode::LOG_ARCHIVED);
    assert_eq!(store.latest(20).await.unwrap().len(), 1, "a station starts all the same");
    // The proof, the search and the substitution check are.
    let head = store.head().await.unwrap();
    let nodes = std::cell::RefCell::new(Vec::new());
    let wanted = prove_inclusion(3, head.size, |asked| {
        nodes.borrow_mut().extend_from_slice(asked);
        Err::<Vec<[u8; 32]>, ()>(())
    });
    assert!(wanted.is_err());
    let hashes = store.hashes(&nodes.into_inner()).await.unwrap();
    let proof = prove_inclusion(3, head.size, |_| Ok::<_, ()>(hashes)).unwrap();
    verify_inclusion(LeafHash::of(&before), 3, head, &proof).unwrap();
    let search = Search { serial: Some("A3".to_owned()), ..Search::default() };
    assert_eq!(store.search(&search, None, 5).await.unwrap().items.len(), 1);
    let copied = store.claim(claim("B1", identity(3))).await.unwrap();
    assert!(matches!(copied, lineseal::ports::ClaimAnswer::Collides(_)));
    // It verifies, and says what it could not look at.
    assert_eq!(verify(&fresh, false).unwrap().archived, past);
    assert!(verify(&fresh, true).unwrap_err().starts_with("L-527"));

    // Back at hand, beside the log, everything is as it was.
    drop(store);
    let folder = fresh.path().with_file_name(sqlite::ARCHIVES);
    std::fs::create_dir(&folder).unwrap();
    let file = std::fs::read_dir(elsewhere.path()).unwrap().next().unwrap().unwrap();
    std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    let store = fresh.store();
    assert_eq!(store.leaves(&[3]).await.unwrap(), [before]);
    assert_eq!(store.run(runs[0]).await.unwrap().unwrap().events.len(), 6);
    store.rebuild_projections().await.unwrap();
    let verified = verify(&fresh, true).unwrap();
    assert_eq!((verified.archived, verified.rows.is_some()), (0, true));
    // One letter of it changed: it is not that event any more.
    let path = folder.join(file.file_name());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"A1\"", "\"A9\"", 1)).unwrap();
    assert!(verify(&fresh, true).unwrap_err().starts_with("bytes: event "));
}

#[tokio::test]
async fn what_is_still_needed_is_not_archived() {
    let fresh = Fresh::new();
    let store = fresh.store();
    let folder = tempfile::tempdir().unwrap();
    unit(&store, 1, Verdict::Pass, None).await;
    let refused = async |store: &LogStore, past: u64| {
        let failure = archived(store, past, folder.path()).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::STORE_FAILED, "{failure}");
    };
    refused(&store, 2).await; // no checkpoint covers it
    let held = store.head().await.unwrap().size;
    let run = unit(&store, 2, Verdict::Held, None).await;
    checkpoint(&store).await;
    refused(&store, held + 1).await;
    archived(&store, held, folder.path()).await.unwrap();
    store.append(vec![sealed(run, Verdict::Pass, Some(LabelKind::Unit))]).await.unwrap();
    checkpoint(&store).await;
    refused(&store, held + 2).await; // a label is owed
    let kind = LabelKind::Unit;
    store.append(vec![event(run, RunEvent::LabelSettled { kind, printed: true })]).await.unwrap();
    archived(&store, held + 2, folder.path()).await.unwrap();
    // A gap between archives, or the same leaves twice.
    let file = lineseal::domain::Sha256::of(b"x");
    for (first, end) in [(0, held + 3), (held + 3, held + 4)] {
        let event = line(LineEvent::Archived { first, end, file });
        store.write(move |session, appender| archive::let_go(session, appender, &event)).await.unwrap_err();
    }
}

/// Bytes emptied by hand are no archive.
#[tokio::test]
async fn bytes_that_nobody_archived_are_missed() {
    let fresh = Fresh::new();
    let store = fresh.store();
    unit(&store, 1, Verdict::Pass, None).await;
    let raw = fresh.raw();
    assert!(raw.execute("UPDATE events SET bytes = x'' WHERE seq = 2", []).is_err(), "the guard");
    raw.execute_batch("DROP TRIGGER events_are_never_changed; UPDATE events SET bytes = x'' WHERE seq = 2").unwrap();
    assert_eq!(verify(&fresh, false).unwrap_err(), "bytes: event 2: its bytes are gone, and no archive has them");
}
