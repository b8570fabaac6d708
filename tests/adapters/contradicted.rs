//! Logs that contradict themselves: an earlier program let an event pass, or somebody put it there. A station
//! starts on any of them, on either database; what they contradict is named by a verification, and helps
//! nobody.

use std::path::PathBuf;
use std::sync::LazyLock;

use lineseal::adapters::store::LogStore;
use lineseal::adapters::{postgres, sqlite};
use lineseal::audit::event::{ConflictRule, ImportConflict, LabelKind, LabelStatus, Ruling, Standing};
use lineseal::audit::{Body, Event, LineEvent, RunEvent};
use lineseal::domain::{EntryPlace, EventId, Identity, ReasonCode, RunId, Sha256, Verdict};
use lineseal::ports::{
    AuditStore as _, Broken, ClaimAnswer, CollisionRule, History as _, Lock, LockKind, Promise, Verification,
    Verifier as _,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::postgres_server::Postgres;
use crate::store_contract::{
    claim, closed, event, failed, identity, line, listed, opened, proven, ruled, run_id, sealed, started, taken_in,
    unit,
};

/// An empty log that is opened again and again.
enum Place {
    File(tempfile::TempDir),
    Server(crate::postgres_server::Database),
}

impl Place {
    fn both() -> [Self; 2] {
        [Self::file(), Self::Server(Postgres::shared().fresh_database())]
    }

    fn file() -> Self {
        Self::File(tempfile::tempdir().unwrap())
    }

    fn path(directory: &tempfile::TempDir) -> PathBuf {
        directory.path().join(sqlite::FILE)
    }

    fn open(&self) -> LogStore {
        match self {
            Self::File(directory) => sqlite::open(&Self::path(directory)).unwrap(),
            Self::Server(database) => postgres::open(database.config()).unwrap(),
        }
    }

    /// As an earlier program left it, which checked nothing.
    async fn holding(&self, events: &[Event]) -> LogStore {
        let store = self.open();
        let written: Vec<_> = events.iter().map(|event| (event.id, event.encode().unwrap())).collect();
        let write = store.write(move |session, appender| {
            written.iter().try_for_each(|(id, bytes)| appender.push_bytes(session, *id, bytes).map(drop))?;
            session.set_projection(1)
        });
        write.await.unwrap();
        drop(store);
        self.open()
    }

    fn verify(&self) -> Option<Broken> {
        let folder = tempfile::tempdir().unwrap();
        let mut verifier = match self {
            Self::File(directory) => sqlite::verifier(&Self::path(directory), folder.path()).unwrap(),
            Self::Server(database) => postgres::verifier(database.config(), folder.path()).unwrap(),
        };
        let what = Verification { projections: true, ..Verification::default() };
        std::thread::spawn(move || verifier.verify(&what, &mut |_| {}).unwrap().err()).join().unwrap()
    }
}

fn claimed(run: RunId, serial: &str, identity: Identity, standing: Standing) -> Event {
    let (ruling, replaces, entry) = (None, Vec::new(), None);
    event(run, RunEvent::Claimed { unit: unit(serial), identity, standing, ruling, replaces, entry })
}

fn conflict(lock: &Lock) -> bool {
    lock.kind == LockKind::Conflict
}

/// Two units that passed with one chip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chip_that_two_units_claimed_stays_burned_and_both_are_locked() {
    for place in Place::both() {
        let mut events = Vec::new();
        for serial in ["A1", "A2"] {
            let run = run_id();
            events.extend(proven(run, serial, 1));
            events.push(claimed(run, serial, identity(1), Standing::New));
            events.push(sealed(run, Verdict::Pass, Some(LabelKind::Unit)));
        }
        let store = place.holding(&events).await;
        assert_eq!(store.latest(9).await.unwrap().len(), 2);
        for serial in ["A1", "A2"] {
            assert!(store.locks(&unit(serial)).await.unwrap().iter().all(conflict));
            assert!(!matches!(store.claim(claim(serial, identity(1))).await.unwrap(), ClaimAnswer::Bound(_)));
            let held = store.run(events[if serial == "A1" { 0 } else { 6 }].run.unwrap()).await.unwrap().unwrap();
            assert_eq!(held.events.len(), 6);
        }
        let another = store.claim(claim("A3", identity(1))).await.unwrap();
        let ClaimAnswer::Collides(collisions) = another else { panic!("{another:?}") };
        assert_eq!(collisions.len(), 3, "{collisions:?}");
        let named = place.verify().unwrap();
        assert_eq!((named.promise, named.place.as_str()), (Promise::Claims, "event 10"), "{named}");
    }
}

/// An earlier program asked whether the unit still held the chip before the verdict, and not in writing it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_of_a_unit_that_does_not_hold_the_chip_is_named() {
    for place in Place::both() {
        let mut events = Vec::new();
        for (serial, holds) in [("A1", true), ("A2", false)] {
            let run = run_id();
            events.extend(proven(run, serial, if holds { 1 } else { 2 }));
            if holds {
                events.push(claimed(run, serial, identity(1), Standing::New));
            }
            events.push(sealed(run, Verdict::Pass, None));
        }
        place.holding(&events).await;
        let named = place.verify().unwrap();
        assert_eq!((named.promise, named.place.as_str()), (Promise::Claims, "event 10"), "{named}");
        assert!(named.found.contains("gateway A2 is not bound"), "{named}");
    }
}

/// A row that contradicted something named a chip, and a unit claimed it later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chip_that_was_claimed_over_a_contradicting_row_stays_burned_and_its_unit_is_locked() {
    for place in Place::both() {
        let (run, mut row) = (run_id(), crate::store_contract::imported(2, "OLD", 1));
        let first = crate::store_contract::imported(1, "OLD", 7);
        if let Body::Line(LineEvent::Imported { conflicts, .. }) = &mut row.body {
            let (unit, fingerprint) = (unit("OLD"), identity(7).fingerprint);
            conflicts.push(ImportConflict { rule: ConflictRule::Unit, unit, fingerprint, seq: 0 });
        }
        let mut events = vec![first, row];
        events.extend(proven(run, "NEW", 1));
        events.push(claimed(run, "NEW", identity(1), Standing::New));
        let store = place.holding(&events).await;
        assert!(store.locks(&unit("NEW")).await.unwrap().iter().any(conflict));
        let collisions = store.collisions(&unit("THIRD"), &identity(1), None).await.unwrap();
        let rules: Vec<_> = collisions.iter().map(|collision| collision.rule).collect();
        assert_eq!(rules, [CollisionRule::Certificate, CollisionRule::Key, CollisionRule::Uid]);
        assert_eq!(place.verify().unwrap().place, "event 6");
    }
}

/// What completes a binding is the same chip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_completes_a_binding_with_another_chip_burns_both() {
    for place in Place::both() {
        let events = [(1, Standing::New), (2, Standing::Completed), (3, Standing::Known)]
            .map(|(chip, standing)| claimed(run_id(), "A1", identity(chip), standing));
        let store = place.holding(&events).await;
        for chip in [1, 2, 3] {
            let collisions = store.collisions(&unit("A2"), &identity(chip), None).await.unwrap();
            assert_eq!(collisions.len(), 3, "chip {chip}: {collisions:?}");
        }
        assert!(store.locks(&unit("A1")).await.unwrap().iter().any(conflict));
    }
}

/// What was said to be taken in, and is not there whole, lets no chip through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_whose_list_is_not_whole_takes_no_chip() {
    for place in Place::both() {
        let run = run_id();
        let mut events = vec![opened("WO-1", 1), taken_in("WO-1", Sha256::of(b"list"), 5)];
        events.extend(started(run, "A1", Some("WO-1")));
        let store = place.holding(&events).await;
        let mut claim = claim("A1", identity(1));
        claim.run = run;
        assert!(matches!(store.claim(claim).await.unwrap(), ClaimAnswer::Unlisted(_)));
        assert_eq!(place.verify().unwrap().place, "event 1");
    }
}

static RUNS: LazyLock<[RunId; 3]> = LazyLock::new(|| [(); 3].map(|()| run_id()));

/// Anything that can be written down, of few runs, units and chips, so that it contradicts itself soon.
fn anything() -> impl Strategy<Value = Event> {
    (0..25_u8, 0..3_usize, 0..3_usize, 0..4_u32, 0..4_u32, 0..4_u32).prop_map(|(kind, run, serial, a, b, c)| {
        let (run, serial) = (RUNS[run], ["A1", "A2", "A3"][serial]);
        let mixed = Identity { fingerprint: identity(a).fingerprint, spki: identity(b).spki, uid: identity(c).uid };
        let label = [LabelKind::Unit, LabelKind::Slip][a as usize % 2];
        match kind {
            0 => started(run, serial, Some("WO-0")).remove(0),
            1 => started(run, serial, None).remove(1),
            2 => proven(run, serial, a).remove(2),
            3 => proven(run, serial, a).remove(3),
            4..=6 => claimed(run, serial, mixed, Standing::New),
            7 => claimed(run, serial, mixed, Standing::Completed),
            8 => claimed(run, serial, mixed, Standing::Rebound),
            9 => claimed(run, serial, mixed, Standing::Known),
            10 => sealed(run, [Verdict::Pass, Verdict::Held, Verdict::Error][a as usize % 3], Some(label)),
            11 => failed(run, [ReasonCode::CERTIFICATE_BOUND, ReasonCode::CHIP_LACKS_KEY][a as usize % 2]),
            12 => event(run, RunEvent::Resumed {}),
            13 => event(run, RunEvent::LabelIntended { kind: label }),
            14 => event(run, RunEvent::LabelEnded { kind: label, status: LabelStatus::Printed, failure: None }),
            15 | 16 => {
                let mut row = crate::store_contract::imported(u64::from(c), serial, a);
                if let Body::Line(LineEvent::Imported { conflicts, spki, .. }) = &mut row.body {
                    *spki = (c % 2 == 0).then(|| identity(b).spki);
                    let (unit, fingerprint) = (unit("A1"), identity(b).fingerprint);
                    let other = ImportConflict { rule: ConflictRule::Certificate, unit, fingerprint, seq: c.into() };
                    conflicts.extend((kind == 16).then_some(other));
                }
                row
            }
            17 => ruled(match a {
                0 => Ruling::Scrap { unit: unit(serial) },
                1 => Ruling::Release { unit: unit(serial) },
                _ => Ruling::Rebind { unit: unit(serial), old: identity(b).into(), new: mixed, run },
            }),
            18 => opened(["WO-0", "WO-1"][a as usize % 2], [1, u64::MAX][b as usize % 2]),
            19 => closed("WO-0"),
            20 => {
                let entries = vec![listed(b, 1), listed(c, 1 + u64::from(a))];
                line(LineEvent::ManifestListed { list: Sha256::of(&[a as u8]), before: 0, entries })
            }
            21 => taken_in(["WO-0", "WO-1"][b as usize % 2], Sha256::of(&[a as u8]), [2, u64::MAX][c as usize % 2]),
            22 => {
                let (first, end) = (a.into(), [b.into(), u64::MAX][c as usize % 2]);
                line(LineEvent::Archived { first, end, file: Sha256::of(b"archive") })
            }
            23 => {
                let mut used = claimed(run, serial, mixed, Standing::New);
                if let Body::Run(RunEvent::Claimed { ruling, entry, .. }) = &mut used.body {
                    *ruling = Some(EventId::from_random(rand::random()));
                    let line = [1, u64::MAX][c as usize % 2];
                    *entry = Some(EntryPlace { seq: a.into(), imported: b.into(), line });
                }
                used
            }
            _ => {
                let nobody = line(LineEvent::OperatorNamed {});
                Event { run: None, ..Event { id: nobody.id, ..sealed(run, Verdict::Pass, None) } }
            }
        }
    })
}

/// Every chip that a claim or a row named is burned for a unit that no event names.
async fn assert_burned(store: &LogStore, events: &[Event]) {
    for logged in events {
        let named = match &logged.body {
            Body::Run(RunEvent::Claimed { identity, .. }) if logged.run.is_some() => identity.clone(),
            Body::Line(LineEvent::Imported { fingerprint, spki, .. }) => {
                let nobodys = identity(99);
                let spki = spki.unwrap_or(nobodys.spki);
                Identity { fingerprint: *fingerprint, spki, uid: nobodys.uid }
            }
            _ => continue,
        };
        assert!(!store.collisions(&unit("FRESH"), &named, None).await.unwrap().is_empty(), "{logged:?}");
    }
}

fn on_any_log(cases: u32, longest: usize, place: fn() -> Place) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = if std::env::var_os("LINESEAL_LONG").is_some() { cases * 10 } else { cases };
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let log = proptest::collection::vec(anything(), 1..longest);
    // A short run says the same each time; the long one looks further.
    let mut runner = match std::env::var_os("LINESEAL_LONG") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let held = runner.run(&log, |events| {
        let place = place();
        runtime.block_on(async {
            let store = place.holding(&events).await;
            assert_eq!(store.head().await.unwrap().size, events.len() as u64);
            store.rebuild_projections().await.unwrap();
            assert_burned(&store, &events).await;
            // What contradicts its past is named, and the unit that it is about is open to nobody.
            if let Some(named) = place.verify().filter(|named| named.found.contains("cannot follow")) {
                let seq: usize = named.place.strip_prefix("event ").unwrap().parse().unwrap();
                let opened =
                    |event: &Event| matches!(&event.body, Body::Run(RunEvent::Claimed { ruling: Some(_), .. }));
                if let Body::Run(RunEvent::Claimed { unit, ruling: None, .. }) = &events[seq].body
                    && events[seq].run.is_some()
                    && !events[seq..].iter().any(opened)
                {
                    assert!(!store.locks(unit).await.unwrap().is_empty(), "{named}");
                }
            }
        });
        Ok(())
    });
    held.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_station_starts_on_any_log_in_a_file() {
    on_any_log(100, 60, Place::file);
}

#[test]
fn a_station_starts_on_any_log_in_a_plants_database() {
    on_any_log(12, 120, || Place::Server(Postgres::shared().fresh_database()));
}
