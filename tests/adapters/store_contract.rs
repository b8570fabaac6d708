//! What every audit store promises, told against the port alone. A store joins with
//! `store_contract!(peer)`, where `peer` is an expression that makes a fresh [`Peer`].

use std::sync::Arc;

use jiff::Timestamp;
use lineseal::adapters::system::SystemClock;
use lineseal::audit::event::{
    ConflictRule, Decision, Evidence, FreeText, Holding, ImportConflict, ImportSource, IssuedCertificate, IssuedOrigin,
    LabelKind, LabelStatus, Purpose, Reading, Ruling, SignatureScheme, Standing, TokenFacts, VERSION, Withdrawal,
};
use lineseal::audit::{Body, Event, LeafHash, LineEvent, Node, RunEvent, TreeState};
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{
    BatchName, Bytes, ChipUid, Device, EntryPlace, EventId, Failure, Fingerprint, Identity, KnownIdentity, LaneNumber,
    ManifestEntry, OperatorRef, Persons, ReasonCode, ReportScope, Role, RunId, Sha256, SpkiHash, StationName, Step,
    TRIES, TargetName, Unit, Variables, Verdict, lockout,
};
use lineseal::ports::{
    AuditStore, BatchTally, Checkpoints, Claim, ClaimAnswer, Clock as _, Collision, CollisionRule, Credential, Cursor,
    Found, History, Imports, Lock, LockKind, MadeBefore, ManifestTally, Manifests, Obstacle, People, ReportPlace,
    Reports, RunLog, Search, StoredCheckpoint, Unlisted,
};

/// One log, empty at first, that can be opened any number of times.
#[async_trait::async_trait]
pub trait Peer: Send + Sync {
    /// Another instance over the same log.
    async fn open(&self) -> Arc<dyn Store>;
}

/// All that a store is asked for.
pub trait Store: AuditStore + History + People + Checkpoints + Imports + Manifests + Reports {}
impl<T: AuditStore + History + People + Checkpoints + Imports + Manifests + Reports> Store for T {}

/// Runs the whole contract, a test a promise.
#[macro_export]
macro_rules! store_contract {
    ($peer:expr) => {
        $crate::store_contract!(@each $peer;
            what_is_appended_is_read_back
            order_is_the_order_of_appending
            an_event_id_is_written_once
            the_head_is_the_tree_over_all_bytes
            a_refused_batch_leaves_nothing
            a_run_is_sealed_once_unless_held
            of_two_stations_that_resume_one_run_one_goes_on
            of_two_stations_that_take_one_run_in_one_begins_it_and_one_claims
            of_two_runs_that_pass_one_unit_one_owes_its_label
            a_free_identity_is_bound
            a_certificate_that_was_made_for_a_unit_is_nobody_elses
            what_was_asked_for_and_not_recorded_is_told_to_the_next_run
            a_rebind_takes_what_was_made_for_the_old_chips_key
            the_same_identity_on_the_same_unit_is_known
            an_identity_without_uid_is_bound_and_known
            a_lost_answer_is_given_again
            a_copied_certificate_collides
            a_new_certificate_over_an_old_key_collides
            a_second_key_of_the_same_chip_collides_by_uid
            a_chip_changed_on_a_known_board_collides
            every_broken_rule_is_told
            any_mixture_of_identities_binds_only_where_it_is_new_or_the_units_own
            a_chip_without_a_uid_is_known_by_its_certificate_and_key_alone
            other_chips_on_other_boards_do_not_collide
            a_claim_event_that_breaks_uniqueness_is_refused
            of_sixteen_claims_one_wins
            two_instances_racing_bind_once
            boards_of_one_serial_at_two_stations_neither_claim_nor_pass
            a_station_that_died_keeps_no_board_from_the_next_one
            runs_without_a_verdict_are_unfinished
            held_runs_stay_until_decided
            what_was_held_for_its_board_is_over_once_the_board_passed
            a_label_is_unsettled_until_its_fate_is_known
            a_slip_is_overtaken_by_the_verdict
            a_claim_tells_of_an_earlier_label
            the_latest_runs_come_first
            people_are_known_by_exact_name
            batches_open_and_close
            a_batch_opened_again_is_open_again
            of_two_products_one_opens_a_batch_of_that_name
            the_tally_counts_units_by_the_field_rule
            a_report_has_every_run_with_a_verdict_once_and_those_of_a_unit_together
            a_failed_unit_is_locked_until_a_ruling_opens_one_run
            a_ruling_opens_the_unit_until_a_run_of_it_has_a_verdict_of_its_own
            a_ruling_opens_no_lock_that_its_persons_have_not_seen
            a_resumed_run_that_fails_uses_up_what_was_ruled_before
            what_failed_before_the_log_was_opened_by_name_is_not_locked
            a_failure_before_the_proof_locks_nobody
            a_board_that_fails_under_anothers_serial_locks_nobody_out
            a_scrapped_unit_stays_scrapped_whatever_is_ruled
            a_withdrawn_unit_is_claimed_by_nobody_until_it_is_released
            a_rebind_moves_the_binding_once_and_burns_the_old_chip
            a_rebind_bars_the_old_chip_before_the_new_one_comes
            a_run_that_waited_does_not_pass_a_unit_that_was_locked_meanwhile
            a_run_whose_chip_a_ruling_took_does_not_pass_any_more
            a_unit_that_is_rebound_twice_names_both_its_pasts
            a_binding_and_what_stands_against_another_are_told
            an_imported_history_protects_and_is_completed_by_a_claim
            contradictions_of_an_import_bind_nothing_and_lock_both
            what_a_contradicting_row_names_is_burned_for_every_other_unit
            an_import_takes_no_certificate_that_was_made_for_another_unit
            an_import_may_lock_a_unit_that_has_passed
            a_chip_on_the_batchs_list_uses_its_entry
            a_chip_that_was_not_shipped_for_the_batch_is_refused
            a_chip_that_was_listed_otherwise_is_told_apart
            two_stations_use_one_entry_once
            a_late_list_and_a_ruling_let_a_refused_chip_pass
            what_is_listed_since_counts_for_a_run_that_waits
            a_list_counts_once_it_is_there_whole
            stored_hashes_are_those_of_the_tree
            a_search_finds_by_every_part
            a_search_comes_in_pages
            japanese_words_are_found_by_their_parts
            a_forgotten_text_is_found_no_more
            a_ruling_is_found_by_what_it_refers_to_until_that_is_forgotten
            locked_units_come_in_pages_and_none_is_lost_between_two
            what_no_log_can_count_to_is_refused_as_asked_for_wrongly
            operators_and_their_credentials
            checkpoints_gather_signatures_and_never_contradict
            pieces_that_are_refused_leave_the_others_be
        );
    };
    (@each $peer:expr; $($promise:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                store_contract::$promise(&$peer).await;
            }
        )*
    };
}

pub async fn what_is_appended_is_read_back(peer: &dyn Peer) {
    let store = peer.open().await;
    let run = run_id();
    let mut events = started(run, "A1", None);
    events.push(event(run, RunEvent::StepBegan { step: Step::Read }));
    events.push(event(
        run,
        RunEvent::StepFailed {
            step: Step::Read,
            failure: Failure::new(ReasonCode::TOKEN_SILENT, "日本語 \u{1F512} \"quoted\"").with("seconds", 5),
            untouched: true,
        },
    ));
    let receipts = store.append(events.clone()).await.unwrap();
    let log = peer.open().await.run(run).await.unwrap().unwrap();
    assert_eq!(log.run, run);
    assert_eq!(log.events.iter().map(|logged| logged.event.clone()).collect::<Vec<_>>(), events);
    assert_eq!(log.events.iter().map(|logged| logged.receipt).collect::<Vec<_>>(), receipts);
    for logged in &log.events {
        assert_eq!(logged.receipt.leaf, LeafHash::of(&logged.event.encode().unwrap()));
    }
    assert_eq!(store.run(run_id()).await.unwrap(), None);
}

pub async fn order_is_the_order_of_appending(peer: &dyn Peer) {
    let (a, b) = (peer.open().await, peer.open().await);
    let mut expected = 0;
    for round in 0..6 {
        let store = if round % 2 == 0 { &a } else { &b };
        // A clock set back an hour changes nothing.
        let mut events: Vec<Event> = (0..3).map(|_| line(LineEvent::StationStopped {})).collect();
        events[1].at = Timestamp::from_second(events[1].at.as_second() - 3600).unwrap();
        for receipt in store.append(events).await.unwrap() {
            assert_eq!(receipt.seq, expected);
            expected += 1;
        }
    }
    assert_eq!(a.head().await.unwrap().size, 18);
}

pub async fn an_event_id_is_written_once(peer: &dyn Peer) {
    let store = peer.open().await;
    let (first, second) = (line(LineEvent::StationStopped {}), line(LineEvent::OperatorNamed {}));
    let once = store.append(vec![first.clone(), second.clone()]).await.unwrap();
    let head = store.head().await.unwrap();
    let again = store.append(vec![second.clone(), first.clone()]).await.unwrap();
    assert_eq!(again, [once[1], once[0]]);
    assert_eq!(store.head().await.unwrap(), head);
    // Known and new in one go, and one id twice in one go.
    let third = line(LineEvent::StationStopped {});
    let mixed = store.append(vec![third.clone(), first, third]).await.unwrap();
    assert_eq!(mixed.iter().map(|receipt| receipt.seq).collect::<Vec<_>>(), [2, 0, 2]);
    assert_eq!(store.append(vec![]).await.unwrap(), []);
    assert_eq!(store.head().await.unwrap().size, 3);
}

pub async fn the_head_is_the_tree_over_all_bytes(peer: &dyn Peer) {
    let store = peer.open().await;
    let mut tree = TreeState::default();
    assert_eq!(store.head().await.unwrap(), tree.head());
    for size in [1, 2, 1, 4, 7] {
        let events: Vec<Event> = (0..size).map(|_| line(LineEvent::StationStopped {})).collect();
        for event in &events {
            tree.append(LeafHash::of(&event.encode().unwrap()));
        }
        store.append(events).await.unwrap();
        assert_eq!(store.head().await.unwrap(), tree.head());
        assert_eq!(peer.open().await.head().await.unwrap(), tree.head());
    }
}

pub async fn a_refused_batch_leaves_nothing(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    let head = store.head().await.unwrap();
    let run = run_id();
    let mut events = started(run, "A1", None);
    let mut nameless = event(run, RunEvent::Resumed {});
    nameless.run = None;
    events.push(nameless);
    assert_eq!(store.append(events).await.unwrap_err().code, ReasonCode::STORE_FAILED);
    assert_eq!(store.head().await.unwrap(), head);
    assert_eq!(store.run(run).await.unwrap(), None);
    assert_eq!(store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap()[0].seq, 1);
}

pub async fn a_run_is_sealed_once_unless_held(peer: &dyn Peer) {
    let store = peer.open().await;
    for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Error, Verdict::Aborted] {
        let run = run_id();
        store.append(started(run, "A1", None)).await.unwrap();
        store.append(vec![sealed(run, verdict, None)]).await.unwrap();
        let head = store.head().await.unwrap();
        let refused = store.append(vec![sealed(run, Verdict::Pass, None)]).await.unwrap_err();
        assert_eq!(refused.code, ReasonCode::STORE_FAILED, "{refused}");
        assert_eq!(store.head().await.unwrap(), head);
    }
    let held = run_id();
    store.append(started(held, "A1", None)).await.unwrap();
    store.append(vec![sealed(held, Verdict::Held, None)]).await.unwrap();
    store.append(vec![sealed(held, Verdict::Pass, None)]).await.unwrap();
    store.append(vec![sealed(run_id(), Verdict::Pass, None)]).await.unwrap_err();
}

pub async fn of_two_stations_that_resume_one_run_one_goes_on(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    let run = run_id();
    here.append(started(run, "A1", None)).await.unwrap();
    let held = here.append(vec![sealed(run, Verdict::Held, None)]).await.unwrap()[0].seq;
    let resumed = || vec![event(run, RunEvent::Resumed {})];
    let mine = resumed();
    let (a, b) = tokio::join!(here.append_to_run(run, held, mine.clone()), there.append_to_run(run, held, resumed()),);
    let overtaken = match (&a, &b) {
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => failure,
        both => panic!("one of them: {both:?}"),
    };
    assert_eq!(overtaken.code, ReasonCode::RUN_OVERTAKEN, "{overtaken}");
    let head = here.head().await.unwrap();
    assert_eq!(head.size, held + 2);
    // Neither does the loser get a verdict in; and the winner's lost answer is read back.
    let late = there.append_to_run(run, held, vec![sealed(run, Verdict::Pass, None)]).await.unwrap_err();
    assert_eq!(late.code, ReasonCode::RUN_OVERTAKEN);
    if let Ok(receipts) = a {
        assert_eq!(here.append_to_run(run, held, mine).await.unwrap(), receipts);
    }
    assert_eq!(here.head().await.unwrap(), head);
    here.append_to_run(run, held + 1, vec![sealed(run, Verdict::Pass, None)]).await.unwrap();
    // What was in the log once and is not was lost with it, be it the run's latest events or the whole of it.
    for (lost, known) in [(run, held + 9), (run_id(), held)] {
        let resumed = vec![event(lost, RunEvent::Resumed {})];
        let failure = here.append_to_run(lost, known, resumed).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::LOG_ROLLED_BACK, "{failure}");
    }
    // An event of another run is a mistake.
    let other = run_id();
    here.append(started(other, "A2", None)).await.unwrap();
    let last = here.head().await.unwrap().size - 1;
    assert_eq!(here.append_to_run(other, last, resumed()).await.unwrap_err().code, ReasonCode::STORE_FAILED);
}

pub async fn of_two_stations_that_take_one_run_in_one_begins_it_and_one_claims(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    let run = run_id();
    let beginnings = [started(run, "A1", None), started(run, "A1", None)];
    let (a, b) = tokio::join!(here.append(beginnings[0].clone()), there.append(beginnings[1].clone()));
    let (begun, receipts, overtaken) = match (a, b) {
        (Ok(receipts), Err(failure)) => (0, receipts, failure),
        (Err(failure), Ok(receipts)) => (1, receipts, failure),
        both => panic!("one of them: {both:?}"),
    };
    assert_eq!(overtaken.code, ReasonCode::RUN_OVERTAKEN, "{overtaken}");
    assert_eq!(there.append(beginnings[begun].clone()).await.unwrap(), receipts, "a lost answer");
    // Both know it by now, and both want its claim: a second one makes the run unreadable.
    let known = Some(receipts[1].seq);
    let wish = || Claim { run, known, ..claim("A1", identity(1)) };
    let (mine, other) = (wish(), wish());
    let (a, b) = tokio::join!(here.claim(mine.clone()), there.claim(other.clone()));
    let (won, lost, overtaken) = match (a, b) {
        (Ok(_), Err(failure)) => (mine, other, failure),
        (Err(failure), Ok(_)) => (other, mine, failure),
        both => panic!("one of them: {both:?}"),
    };
    assert_eq!(overtaken.code, ReasonCode::RUN_OVERTAKEN, "{overtaken}");
    assert_eq!(bound(here.claim(won).await).1, Standing::New, "a lost answer");
    assert_eq!(here.claim(lost).await.unwrap_err().code, ReasonCode::RUN_OVERTAKEN);
    let log = here.run(run).await.unwrap().unwrap();
    let claims = log.events.iter().filter(|logged| matches!(logged.event.body, Body::Run(RunEvent::Claimed { .. })));
    assert_eq!((log.events.len(), claims.count()), (3, 1));
    // What the log had and has not any more was lost, and binds nothing.
    let gone = Claim { known: Some(receipts[1].seq), ..claim("A2", identity(2)) };
    assert_eq!(here.claim(gone).await.unwrap_err().code, ReasonCode::LOG_ROLLED_BACK);
}

pub async fn of_two_runs_that_pass_one_unit_one_owes_its_label(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    let (first, second) = (run_id(), run_id());
    let mut known = Vec::new();
    for run in [first, second] {
        known.push(here.append(started(run, "A1", None)).await.unwrap()[1].seq);
    }
    let pass = |run, label| vec![sealed(run, Verdict::Pass, label)];
    let unit_label = Some(LabelKind::Unit);
    let (a, b) = tokio::join!(
        here.append_to_run(first, known[0], pass(first, unit_label)),
        there.append_to_run(second, known[1], pass(second, unit_label)),
    );
    let (loser, at, taken) = match (a, b) {
        (Ok(_), Err(failure)) => (second, known[1], failure),
        (Err(failure), Ok(_)) => (first, known[0], failure),
        both => panic!("one label: {both:?}"),
    };
    assert_eq!(taken.code, ReasonCode::LABEL_TAKEN, "{taken}");
    // It passes all the same, without paper.
    there.append_to_run(loser, at, pass(loser, None)).await.unwrap();
    assert_eq!(here.unsettled_labels(&station()).await.unwrap().len(), 1);
}

pub async fn a_free_identity_is_bound(peer: &dyn Peer) {
    let store = peer.open().await;
    let claim = claim("A1", identity(1));
    let (event, standing, label) = bound(store.claim(claim.clone()).await);
    assert_eq!((standing, label), (Standing::New, None));
    assert_eq!((event.id, event.run, event.at), (claim.id, Some(claim.run), claim.at));
    let body = RunEvent::Claimed {
        unit: claim.unit.clone(),
        identity: claim.identity.clone(),
        standing: Standing::New,
        ruling: None,
        replaces: Vec::new(),
        entry: None,
    };
    assert_eq!(event.body, Body::Run(body));
    assert_eq!(store.run(claim.run).await.unwrap().unwrap().events[0].event, event);
}

/// A run of the unit that has claimed the chip, and comes to ask for a certificate.
async fn asking(store: &dyn Store, serial: &str, chip: u32, expected: Standing) -> RunId {
    let claim = claim(serial, identity(chip));
    store.append(started(claim.run, serial, None)).await.unwrap();
    assert_eq!(bound(store.claim(claim.clone()).await).1, expected);
    claim.run
}

fn target() -> TargetName {
    "production".parse().unwrap()
}

fn requested(run: RunId, at: Timestamp) -> Event {
    let body = RunEvent::CertificateRequested { target: target(), request: Bytes(b"request".to_vec()) };
    Event { at, ..event(run, body) }
}

fn made(run: RunId, certificate: &[u8]) -> Event {
    let issued = IssuedCertificate {
        target: target(),
        fingerprint: Fingerprint::of(certificate),
        certificate: Bytes(certificate.to_vec()),
        chain: Vec::new(),
        request: Some(Sha256::of(b"request")),
        origin: IssuedOrigin::Made,
        endpoint: None,
        write_back: None,
    };
    event(run, RunEvent::CertificateIssued { issued })
}

pub async fn a_certificate_that_was_made_for_a_unit_is_nobody_elses(peer: &dyn Peer) {
    let store = begun(peer).await;
    let first = asking(&*store, "A1", 1, Standing::New).await;
    let second = asking(&*store, "A2", 2, Standing::New).await;
    store.append(vec![requested(first, now()), made(first, b"for A1")]).await.unwrap();
    let head = store.head().await.unwrap();
    // Neither made for another unit, nor another chip's own, nor what a history gives to another.
    let refused = store.append(vec![made(second, b"for A1")]).await.unwrap_err();
    assert_eq!((refused.code, refused.args["unit"].as_str()), (ReasonCode::CERTIFICATE_BOUND, "A1"));
    assert_eq!(store.head().await.unwrap(), head, "nothing was written");
    let own = identity_of(3, b"for A1");
    assert_eq!(rules(&collides(store.claim(claim("A3", own)).await)), [CollisionRule::Certificate]);
    let twin = Claim { twin: Some(Fingerprint::of(b"for A1")), ..claim("A3", identity(3)) };
    assert_eq!(rules(&collides(store.claim(twin).await)), [CollisionRule::Certificate]);
    // And none that is a chip's own is made for anybody else.
    bound(store.claim(claim("A4", identity_of(4, b"of a chip"))).await);
    let refused = store.append(vec![made(second, b"of a chip")]).await.unwrap_err();
    assert_eq!(refused.args["unit"], "A4");
    // The unit's own later runs find it, and record it again.
    let again = asking(&*store, "A1", 1, Standing::Known).await;
    let before = store.made_before(again, &unit("A1"), &target()).await.unwrap();
    assert_eq!(before, MadeBefore { certificates: vec![Bytes(b"for A1".to_vec())], ..MadeBefore::default() });
    store.append(vec![made(again, b"for A1"), made(again, b"for A1, anew")]).await.unwrap();
    let before = store.made_before(run_id(), &unit("A1"), &target()).await.unwrap();
    let newest_first = [&b"for A1, anew"[..], b"for A1"].map(|der| Bytes(der.to_vec()));
    assert_eq!(before.certificates, newest_first);
    let elsewhere = "staging".parse().unwrap();
    let renamed = newest_first.map(|der| (target(), der)).to_vec();
    let expected = MadeBefore { elsewhere: renamed, ..MadeBefore::default() };
    assert_eq!(store.made_before(again, &unit("A1"), &elsewhere).await.unwrap(), expected);
}

fn identity_of(chip: u32, certificate: &[u8]) -> Identity {
    Identity { fingerprint: Fingerprint::of(certificate), ..identity(chip) }
}

pub async fn what_was_asked_for_and_not_recorded_is_told_to_the_next_run(peer: &dyn Peer) {
    let store = begun(peer).await;
    let at = |n: i64| Timestamp::from_second(1_700_000_000 + n).unwrap();
    let [cut, cut_too] = [1, 2].map(|n| at(n * 100));
    let first = asking(&*store, "A1", 1, Standing::New).await;
    store.append(vec![requested(first, cut)]).await.unwrap();
    let of = async |run| store.made_before(run, &unit("A1"), &target()).await.unwrap().unanswered;
    assert_eq!(of(first).await, None, "its own request is no other's");
    let second = asking(&*store, "A1", 1, Standing::Known).await;
    store.append(vec![requested(second, cut_too)]).await.unwrap();
    assert_eq!((of(second).await, of(run_id()).await), (Some(cut), Some(cut)));
    store.append(vec![made(second, b"made")]).await.unwrap();
    assert_eq!(of(run_id()).await, None, "whoever records one has looked for all");
}

pub async fn a_rebind_takes_what_was_made_for_the_old_chips_key(peer: &dyn Peer) {
    let store = begun(peer).await;
    let first = asking(&*store, "A1", 1, Standing::New).await;
    store.append(vec![made(first, b"for the old key"), sealed(first, Verdict::Pass, None)]).await.unwrap();
    let repaired = attempt(&*store, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let (old, new) = (identity(1).into(), identity(2));
    store.append(vec![ruled(Ruling::Rebind { unit: unit("A1"), old, new, run: repaired.run })]).await.unwrap();
    let both = [identity(1).fingerprint, Fingerprint::of(b"for the old key")];
    for standing in [Standing::Rebound, Standing::Known] {
        let claim = claim("A1", identity(2));
        store.append(started(claim.run, "A1", None)).await.unwrap();
        let (event, found, _) = bound(store.claim(claim.clone()).await);
        assert_eq!(found, standing);
        let Body::Run(RunEvent::Claimed { replaces, .. }) = event.body else { panic!("{event:?}") };
        assert_eq!(replaces, both);
        store.append(vec![made(claim.run, b"for the new key")]).await.unwrap();
    }
}

pub async fn the_same_identity_on_the_same_unit_is_known(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("A1", identity(1))).await);
    for _ in 0..2 {
        let again = claim("A1", identity(1));
        let (event, standing, _) = bound(store.claim(again.clone()).await);
        assert_eq!(standing, Standing::Known);
        assert_eq!(event.run, Some(again.run));
    }
    assert_eq!(store.head().await.unwrap().size, 3);
}

pub async fn an_identity_without_uid_is_bound_and_known(peer: &dyn Peer) {
    let store = peer.open().await;
    // Two of them: an absent UID is not a UID that two chips share.
    for n in [1, 2] {
        let bare = Identity { uid: None, ..identity(n) };
        let serial = format!("A{n}");
        assert_eq!(bound(store.claim(claim(&serial, bare.clone())).await).1, Standing::New);
        assert_eq!(bound(store.claim(claim(&serial, bare)).await).1, Standing::Known);
    }
    // The profile asks for the UID from here on: the board adds it, and is known with it and without.
    let first = store.run(claim_run(&*store, "A1", identity(1), Standing::Completed).await).await.unwrap().unwrap();
    assert_eq!(first.events.len(), 1);
    for again in [identity(1), Identity { uid: None, ..identity(1) }] {
        claim_run(&*store, "A1", again, Standing::Known).await;
    }
    // Another chip's UID is still another chip, whether it is somebody's or nobody's.
    let mixed = |n| Identity { uid: identity(n).uid, ..identity(1) };
    assert_eq!(rules(&collides(store.claim(claim("A1", mixed(9))).await)), [CollisionRule::Unit]);
    let taken = Identity { uid: identity(1).uid, ..identity(2) };
    assert_eq!(rules(&collides(store.claim(claim("A2", taken)).await)), [CollisionRule::Uid]);
}

async fn claim_run(store: &dyn Store, serial: &str, identity: Identity, expected: Standing) -> RunId {
    let claim = claim(serial, identity);
    assert_eq!(bound(store.claim(claim.clone()).await).1, expected);
    claim.run
}

pub async fn a_lost_answer_is_given_again(peer: &dyn Peer) {
    let store = peer.open().await;
    let claim = claim("A1", identity(1));
    let first = store.claim(claim.clone()).await.unwrap();
    let head = store.head().await.unwrap();
    assert_eq!(store.claim(claim.clone()).await.unwrap(), first);
    assert_eq!(peer.open().await.claim(claim.clone()).await.unwrap(), first);
    assert_eq!(store.head().await.unwrap(), head);
    // The same id for another claim is a mistake, not an answer.
    store.claim(Claim { identity: identity(2), ..claim }).await.unwrap_err();
    assert_eq!(store.head().await.unwrap(), head);
}

pub async fn a_copied_certificate_collides(peer: &dyn Peer) {
    let store = peer.open().await;
    let holder = claim("A1", identity(1));
    bound(store.claim(holder.clone()).await);
    let head = store.head().await.unwrap();
    let collisions = collides(store.claim(claim("A2", identity(1))).await);
    assert_eq!(rules(&collisions), [CollisionRule::Certificate, CollisionRule::Key, CollisionRule::Uid]);
    for collision in collisions {
        let Collision { unit, fingerprint, run, seq, .. } = collision;
        assert_eq!((unit, fingerprint), (holder.unit.clone(), holder.identity.fingerprint));
        assert_eq!((run, seq), (Some(holder.run), 0));
    }
    assert_eq!(store.head().await.unwrap(), head, "nothing was written");
    // The same serial of another product is another unit.
    let mut other_product = claim("A1", identity(1));
    other_product.unit.product = "other".parse().unwrap();
    assert_eq!(rules(&collides(store.claim(other_product).await))[0], CollisionRule::Certificate);
}

pub async fn a_new_certificate_over_an_old_key_collides(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("A1", identity(1))).await);
    let renewed = Identity { fingerprint: Fingerprint::of(b"renewed"), uid: identity(7).uid, ..identity(1) };
    assert_eq!(rules(&collides(store.claim(claim("A2", renewed.clone())).await)), [CollisionRule::Key]);
    let collisions = collides(store.claim(claim("A1", renewed)).await);
    assert_eq!(rules(&collisions), [CollisionRule::Key, CollisionRule::Unit]);
}

pub async fn a_second_key_of_the_same_chip_collides_by_uid(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("A1", identity(1))).await);
    let second_key = Identity { uid: identity(1).uid, ..identity(2) };
    assert_eq!(rules(&collides(store.claim(claim("A2", second_key.clone())).await)), [CollisionRule::Uid]);
    let collisions = collides(store.claim(claim("A1", second_key)).await);
    assert_eq!(rules(&collisions), [CollisionRule::Uid, CollisionRule::Unit]);
}

pub async fn a_chip_changed_on_a_known_board_collides(peer: &dyn Peer) {
    let store = peer.open().await;
    let holder = claim("A1", identity(1));
    bound(store.claim(holder.clone()).await);
    let collisions = collides(store.claim(claim("A1", identity(2))).await);
    assert_eq!(rules(&collisions), [CollisionRule::Unit]);
    assert_eq!(collisions[0].fingerprint, holder.identity.fingerprint);
    // What was refused burned nothing: the new chip is free for another board.
    assert_eq!(bound(store.claim(claim("A2", identity(2))).await).1, Standing::New);
}

pub async fn every_broken_rule_is_told(peer: &dyn Peer) {
    let store = peer.open().await;
    for n in 1..=4 {
        bound(store.claim(claim(&format!("A{n}"), identity(n))).await);
    }
    // One chip stitched together from three, on the board of a fourth.
    let stitched = Identity { fingerprint: identity(1).fingerprint, spki: identity(2).spki, uid: identity(3).uid };
    let collisions = collides(store.claim(claim("A4", stitched)).await);
    let told: Vec<_> = collisions.iter().map(|c| (c.rule, c.unit.serial.as_str().to_owned())).collect();
    let expected = [
        (CollisionRule::Certificate, "A1".to_owned()),
        (CollisionRule::Key, "A2".to_owned()),
        (CollisionRule::Uid, "A3".to_owned()),
        (CollisionRule::Unit, "A4".to_owned()),
    ];
    assert_eq!(told, expected);
}

/// Every certificate, key and UID, alone and with every other: a fresh one, the unit's own, a neighbour's,
/// one that a rebind took away; on a board that is known, one that is new and one that is scrapped.
pub async fn any_mixture_of_identities_binds_only_where_it_is_new_or_the_units_own(peer: &dyn Peer) {
    const OWN: u32 = 1;
    const NEIGHBOURS: u32 = 2;
    const BURNED: u32 = 3;
    const FRESH: u32 = 4;
    const ANEW: u32 = 5;
    let store = peer.open().await;
    for (serial, chip) in [("OWN", OWN), ("NEIGHBOUR", NEIGHBOURS), ("REPAIRED", BURNED)] {
        bound(store.claim(claim(serial, identity(chip))).await);
    }
    let (old, new) = (identity(BURNED).into(), identity(ANEW));
    store.append(vec![ruled(Ruling::Rebind { unit: unit("REPAIRED"), old, new, run: run_id() })]).await.unwrap();
    bound(store.claim(claim("REPAIRED", identity(ANEW))).await);
    store.append(vec![ruled(Ruling::Scrap { unit: unit("SCRAPPED") })]).await.unwrap();
    let head = store.head().await.unwrap();

    let parts = [OWN, NEIGHBOURS, BURNED, FRESH];
    let all = (0..64).map(|n: usize| (parts[n % 4], parts[n / 4 % 4], parts[n / 16]));
    for (certificate, key, uid) in all {
        let mixed = Identity {
            fingerprint: identity(certificate).fingerprint,
            spki: identity(key).spki,
            uid: identity(uid).uid,
        };
        for serial in ["OWN", "REPAIRED", "NEW", "SCRAPPED"] {
            let mixture = format!("certificate {certificate}, key {key}, UID {uid} on {serial}");
            let told = rules(&store.collisions(&unit(serial), &mixed, None).await.unwrap());
            let may = match serial {
                "OWN" => (certificate, key, uid) == (OWN, OWN, OWN),
                "REPAIRED" => false,
                _ => (certificate, key, uid) == (FRESH, FRESH, FRESH),
            };
            assert_eq!(told.is_empty(), may, "{mixture}: {told:?}");
            if may && serial != "SCRAPPED" {
                continue;
            }
            // The same refusal however often it is asked, the gravest rule first, and nothing written.
            for _ in 0..2 {
                match store.claim(claim(serial, mixed.clone())).await.unwrap() {
                    ClaimAnswer::Collides(collisions) => assert_eq!(rules(&collisions), told, "{mixture}"),
                    ClaimAnswer::Locked(lock) => {
                        assert_eq!((lock.kind, may), (LockKind::Scrapped, true), "{mixture}");
                    }
                    other => panic!("{other:?}: {mixture}"),
                }
            }
            assert!(told.is_sorted(), "{mixture}: {told:?}");
            let gravest =
                [(CollisionRule::Certificate, certificate), (CollisionRule::Key, key), (CollisionRule::Uid, uid)];
            let own = |part| serial == "OWN" && part == OWN;
            let gravest = gravest.into_iter().find(|(_, part)| *part != FRESH && !own(*part));
            match gravest {
                Some((rule, _)) => assert!(told[0] <= rule, "{mixture}: {told:?}"),
                None => assert!(may || told.last() == Some(&CollisionRule::Unit), "{mixture}: {told:?}"),
            }
        }
    }
    assert_eq!(store.head().await.unwrap(), head, "nothing of it was written");
    // The bystanders.
    assert_eq!(bound(store.claim(claim("OWN", identity(OWN))).await).1, Standing::Known);
    assert_eq!(bound(store.claim(claim("NEW", identity(FRESH))).await).1, Standing::New);
}

/// Where the profile asks for no UID, a second key pair of the same chip is another identity; where it
/// asks for one, a unit bound without it is not silently known by more.
pub async fn a_chip_without_a_uid_is_known_by_its_certificate_and_key_alone(peer: &dyn Peer) {
    let store = peer.open().await;
    let without = |n: u32| Identity { uid: None, ..identity(n) };
    bound(store.claim(claim("A1", without(1))).await);
    assert_eq!(bound(store.claim(claim("A2", without(2))).await).1, Standing::New);
    assert_eq!(bound(store.claim(claim("A1", without(1))).await).1, Standing::Known);
    let copied = collides(store.claim(claim("A3", without(1))).await);
    assert_eq!(rules(&copied), [CollisionRule::Certificate, CollisionRule::Key]);
    assert_eq!(rules(&collides(store.claim(claim("A1", without(3))).await)), [CollisionRule::Unit]);
    // A profile that asks for the UID from here on adds it.
    assert_eq!(bound(store.claim(claim("A1", identity(1))).await).1, Standing::Completed);
}

pub async fn other_chips_on_other_boards_do_not_collide(peer: &dyn Peer) {
    let store = peer.open().await;
    for n in 0..20 {
        assert_eq!(bound(store.claim(claim(&format!("A{n}"), identity(n))).await).1, Standing::New);
    }
    // The same serial under another product is another board.
    let mut other_product = claim("A1", identity(77));
    other_product.unit.product = "other".parse().unwrap();
    assert_eq!(bound(store.claim(other_product).await).1, Standing::New);
}

pub async fn a_claim_event_that_breaks_uniqueness_is_refused(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("A1", identity(1))).await);
    let head = store.head().await.unwrap();
    // Past the claim, straight into the log.
    let forged = event(
        run_id(),
        RunEvent::Claimed {
            unit: unit("A2"),
            identity: identity(1),
            standing: Standing::New,
            ruling: None,
            replaces: Vec::new(),
            entry: None,
        },
    );
    store.append(vec![forged]).await.unwrap_err();
    assert_eq!(store.head().await.unwrap(), head);
}

pub async fn of_sixteen_claims_one_wins(peer: &dyn Peer) {
    let store = peer.open().await;
    for round in 0..4 {
        let claims = (0..16).map(|n| claim(&format!("R{round}-{n}"), identity(round)));
        let tasks: Vec<_> = claims
            .map(|claim| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.claim(claim).await.unwrap() })
            })
            .collect();
        let mut winners = Vec::new();
        let mut losers = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                ClaimAnswer::Bound(bound) => {
                    assert_eq!(bound.standing, Standing::New);
                    winners.push(bound.event.event.run.unwrap());
                }
                ClaimAnswer::Collides(collisions) => losers.push(collisions),
                refused => panic!("{refused:?}"),
            }
        }
        assert_eq!((winners.len(), losers.len()), (1, 15));
        assert!(losers.iter().flatten().all(|collision| collision.run == Some(winners[0])));
    }
}

pub async fn two_instances_racing_bind_once(peer: &dyn Peer) {
    let stores = [peer.open().await, peer.open().await];
    for round in 0..10 {
        let tasks: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(n, store)| {
                let (store, claim) = (Arc::clone(store), claim(&format!("R{round}-{n}"), identity(round)));
                tokio::spawn(async move { store.claim(claim).await.unwrap() })
            })
            .collect();
        let mut won = 0;
        for task in tasks {
            won += u32::from(matches!(task.await.unwrap(), ClaimAnswer::Bound(_)));
        }
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(stores[0].head().await.unwrap().size, 10);
}

/// A run at another station, which is `minutes` behind.
fn elsewhere(run: RunId, serial: &str, chip: u32, minutes: i64) -> Vec<Event> {
    let there = |event: Event| Event {
        station: "L1-ST2".parse().unwrap(),
        at: event.at - jiff::SignedDuration::from_mins(minutes),
        ..event
    };
    proven(run, serial, chip).into_iter().map(there).collect()
}

/// Nobody can say which of them is the unit; the first to ask is no better than the other.
pub async fn boards_of_one_serial_at_two_stations_neither_claim_nor_pass(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    let (one, two) = (claim("A1", identity(1)), claim("A1", identity(2)));
    here.append(proven(one.run, "A1", 1)).await.unwrap();
    there.append(elsewhere(two.run, "A1", 2, 0)).await.unwrap();
    for (store, claim) in [(&here, &one), (&there, &two)] {
        let twin = store.claim(claim.clone()).await.unwrap_err();
        assert_eq!(twin.code, ReasonCode::BOARD_TWIN, "{twin}");
        store.append(vec![sealed(claim.run, Verdict::Error, None)]).await.unwrap();
    }
    // Alone, the same board claims; and a twin that comes before its verdict keeps it from passing, until it
    // is gone.
    let alone = claim("A1", identity(1));
    here.append(proven(alone.run, "A1", 1)).await.unwrap();
    bound(here.claim(alone.clone()).await);
    let late = run_id();
    there.append(elsewhere(late, "A1", 2, 0)).await.unwrap();
    let head = here.head().await.unwrap();
    let pass = || vec![sealed(alone.run, Verdict::Pass, None)];
    assert_eq!(here.append(pass()).await.unwrap_err().code, ReasonCode::BOARD_TWIN);
    assert_eq!(here.head().await.unwrap(), head);
    there.append(vec![sealed(late, Verdict::Aborted, None)]).await.unwrap();
    here.append(pass()).await.unwrap();
    // Another serial number is no twin.
    let other = claim("A2", identity(3));
    there.append(elsewhere(run_id(), "A1", 2, 0)).await.unwrap();
    here.append(proven(other.run, "A2", 3)).await.unwrap();
    bound(here.claim(other).await);
}

/// Its run stays open until somebody starts it again; the board was carried on.
pub async fn a_station_that_died_keeps_no_board_from_the_next_one(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(elsewhere(run_id(), "A1", 1, 6)).await.unwrap();
    let here = claim("A1", identity(1));
    store.append(proven(here.run, "A1", 1)).await.unwrap();
    bound(store.claim(here.clone()).await);
    store.append(vec![sealed(here.run, Verdict::Pass, None)]).await.unwrap();
}

pub async fn runs_without_a_verdict_are_unfinished(peer: &dyn Peer) {
    let store = peer.open().await;
    let here = station();
    let (first, second, third) = (run_id(), run_id(), run_id());
    for run in [first, second, third] {
        store.append(started(run, "A1", None)).await.unwrap();
    }
    let mut elsewhere = started(run_id(), "A1", None);
    elsewhere.iter_mut().for_each(|event| event.station = "other".parse().unwrap());
    store.append(elsewhere).await.unwrap();
    store.append(vec![sealed(second, Verdict::Error, None)]).await.unwrap();
    assert_eq!(ids(&store.unfinished(&here).await.unwrap()), [first, third]);
    assert_eq!(store.unfinished(&here).await.unwrap()[0].events.len(), 2);
    assert_eq!(store.unfinished(&"other".parse().unwrap()).await.unwrap().len(), 1);
    store.append(vec![sealed(first, Verdict::Held, None), sealed(third, Verdict::Aborted, None)]).await.unwrap();
    assert_eq!(store.unfinished(&here).await.unwrap(), []);
    // A HELD run that was taken up stays HELD.
    store.append(vec![event(first, RunEvent::Resumed {})]).await.unwrap();
    assert_eq!(store.unfinished(&here).await.unwrap(), []);
}

pub async fn held_runs_stay_until_decided(peer: &dyn Peer) {
    let store = peer.open().await;
    let (first, second) = (run_id(), run_id());
    for run in [first, second] {
        store.append(started(run, "A1", None)).await.unwrap();
    }
    store.append(vec![sealed(second, Verdict::Held, None)]).await.unwrap();
    store.append(vec![sealed(first, Verdict::Held, None)]).await.unwrap();
    assert_eq!(ids(&store.held().await.unwrap()), [first, second]);
    assert_eq!(store.held_count().await.unwrap(), 2);
    store.append(vec![event(first, RunEvent::Resumed {})]).await.unwrap();
    assert_eq!(ids(&store.held().await.unwrap()), [first, second]);
    store.append(vec![sealed(first, Verdict::Held, None)]).await.unwrap();
    assert_eq!(ids(&store.held().await.unwrap()), [first, second]);
    store.append(vec![event(first, RunEvent::Resumed {}), sealed(first, Verdict::Pass, None)]).await.unwrap();
    assert_eq!(ids(&store.held().await.unwrap()), [second]);
    assert_eq!(store.held_count().await.unwrap(), 1);
    store.append(vec![event(second, RunEvent::Resumed {}), sealed(second, Verdict::Fail, None)]).await.unwrap();
    assert_eq!(store.held().await.unwrap(), []);
    assert_eq!(store.held_count().await.unwrap(), 0);
}

pub async fn what_was_held_for_its_board_is_over_once_the_board_passed(peer: &dyn Peer) {
    let store = peer.open().await;
    let held = |run, code| {
        let reason = Some(Failure::new(code, "as the test has it"));
        event(run, RunEvent::Sealed { verdict: Verdict::Held, reason, slip: None, label: None })
    };
    let (before, waits, other) = (run_id(), run_id(), run_id());
    for (run, serial) in [(before, "A1"), (waits, "A1"), (other, "B1")] {
        store.append(started(run, serial, None)).await.unwrap();
    }
    store.append(vec![sealed(before, Verdict::Pass, None)]).await.unwrap();
    store.append(vec![held(waits, ReasonCode::CONNECT_NEEDS_BOARD)]).await.unwrap();
    store.append(vec![held(other, ReasonCode::CLOUD_UNREACHABLE)]).await.unwrap();
    assert_eq!(ids(&store.held().await.unwrap()), [waits, other], "what passed before is another story");
    for (serial, left) in [("C1", 2), ("B1", 2), ("A1", 1)] {
        let run = run_id();
        store.append(started(run, serial, None)).await.unwrap();
        store.append(vec![sealed(run, Verdict::Pass, None)]).await.unwrap();
        assert_eq!(store.held_count().await.unwrap(), left, "{serial} passed");
    }
    assert_eq!(ids(&store.held().await.unwrap()), [other], "which still waits for the cloud");
}

pub async fn a_label_is_unsettled_until_its_fate_is_known(peer: &dyn Peer) {
    let store = peer.open().await;
    let kind = LabelKind::Unit;
    let intended = RunEvent::LabelIntended { kind };
    let ended = |status| RunEvent::LabelEnded { kind, status, failure: None };
    let settled = |printed| RunEvent::LabelSettled { kind, printed };
    // What happens after the verdict, and whether the label is unsettled then.
    let stories: [(&str, Vec<RunEvent>, bool); 10] = [
        ("owed", vec![], true),
        ("of unknown fate", vec![intended.clone()], true),
        ("printed", vec![intended.clone(), ended(LabelStatus::Printed)], false),
        ("pending", vec![intended.clone(), ended(LabelStatus::Pending)], true),
        (
            "pending, then printed",
            vec![intended.clone(), ended(LabelStatus::Pending), intended.clone(), ended(LabelStatus::Printed)],
            false,
        ),
        ("failed", vec![intended.clone(), ended(LabelStatus::Failed)], true),
        ("failed, found", vec![intended.clone(), ended(LabelStatus::Failed), settled(true)], false),
        ("unknown, found", vec![intended.clone(), settled(true)], false),
        ("unknown, print again", vec![intended.clone(), settled(false)], true),
        ("none owed after all", vec![intended.clone(), ended(LabelStatus::None)], false),
    ];
    let mut expected = Vec::new();
    for (name, events, unsettled) in stories {
        let run = run_id();
        store.append(started(run, "A1", None)).await.unwrap();
        store.append(vec![sealed(run, Verdict::Pass, Some(kind))]).await.unwrap();
        for body in events {
            store.append(vec![event(run, body)]).await.unwrap();
        }
        if unsettled {
            expected.push(run);
        }
        let found = ids(&store.unsettled_labels(&station()).await.unwrap());
        assert_eq!(found, expected, "{name}");
    }
    // A run that owes none, and another station's.
    let run = run_id();
    store.append(started(run, "A2", None)).await.unwrap();
    store.append(vec![sealed(run, Verdict::Fail, None)]).await.unwrap();
    assert_eq!(ids(&store.unsettled_labels(&station()).await.unwrap()), expected);
    assert_eq!(store.unsettled_labels(&"other".parse().unwrap()).await.unwrap(), []);
}

pub async fn a_slip_is_overtaken_by_the_verdict(peer: &dyn Peer) {
    let store = peer.open().await;
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    store.append(vec![sealed(run, Verdict::Held, Some(LabelKind::Slip))]).await.unwrap();
    store.append(vec![event(run, RunEvent::LabelIntended { kind: LabelKind::Slip })]).await.unwrap();
    assert_eq!(ids(&store.unsettled_labels(&station()).await.unwrap()), [run]);
    store.append(vec![sealed(run, Verdict::Pass, Some(LabelKind::Unit))]).await.unwrap();
    assert_eq!(ids(&store.unsettled_labels(&station()).await.unwrap()), [run], "once, for its label");
    let printed = RunEvent::LabelEnded { kind: LabelKind::Unit, status: LabelStatus::Printed, failure: None };
    store
        .append(vec![event(run, RunEvent::LabelIntended { kind: LabelKind::Unit }), event(run, printed)])
        .await
        .unwrap();
    assert_eq!(store.unsettled_labels(&station()).await.unwrap(), []);
}

pub async fn a_claim_tells_of_an_earlier_label(peer: &dyn Peer) {
    let store = peer.open().await;
    let kind = LabelKind::Unit;
    let ended = |status| RunEvent::LabelEnded { kind, status, failure: None };
    let stories: [(Option<LabelKind>, Vec<RunEvent>, Option<LabelStatus>); 7] = [
        (None, vec![], None),
        (Some(LabelKind::Unit), vec![], Some(LabelStatus::Pending)),
        (Some(LabelKind::Unit), vec![RunEvent::LabelIntended { kind }], Some(LabelStatus::Failed)),
        (
            Some(LabelKind::Unit),
            vec![RunEvent::LabelIntended { kind }, ended(LabelStatus::Printed)],
            Some(LabelStatus::Printed),
        ),
        (
            Some(LabelKind::Unit),
            vec![RunEvent::LabelIntended { kind }, ended(LabelStatus::Failed)],
            Some(LabelStatus::Failed),
        ),
        (Some(LabelKind::Unit), vec![RunEvent::LabelIntended { kind }, ended(LabelStatus::None)], None),
        (Some(LabelKind::Slip), vec![], None),
    ];
    for (n, (label, events, expected)) in stories.into_iter().enumerate() {
        let (n, serial) = (u32::try_from(n).unwrap(), format!("A{n}"));
        let first = Claim { run: run_id(), ..claim(&serial, identity(n)) };
        store.append(started(first.run, &serial, None)).await.unwrap();
        let verdict = if label == Some(LabelKind::Slip) { Verdict::Held } else { Verdict::Pass };
        assert_eq!(bound(store.claim(first.clone()).await).2, None);
        store.append(vec![sealed(first.run, verdict, label)]).await.unwrap();
        store.append(events.into_iter().map(|body| event(first.run, body)).collect()).await.unwrap();
        // The same board once more, and a neighbour that must not inherit it.
        let again = claim(&serial, identity(n));
        store.append(started(again.run, &serial, None)).await.unwrap();
        let (_, standing, told) = bound(store.claim(again).await);
        assert_eq!((standing, told), (Standing::Known, expected), "{serial}");
        let neighbour = claim(&format!("B{n}"), identity(100 + n));
        assert_eq!(bound(store.claim(neighbour).await).2, None);
    }
}

pub async fn the_latest_runs_come_first(peer: &dyn Peer) {
    let store = peer.open().await;
    let runs: Vec<RunId> = (0..4).map(|_| run_id()).collect();
    for run in &runs {
        store.append(started(*run, "A1", None)).await.unwrap();
    }
    for n in [2, 0, 1] {
        store.append(vec![sealed(runs[n], Verdict::Fail, None)]).await.unwrap();
    }
    assert_eq!(ids(&store.latest(10).await.unwrap()), [runs[1], runs[0], runs[2]]);
    assert_eq!(ids(&store.latest(2).await.unwrap()), [runs[1], runs[0]]);
    assert_eq!(store.latest(0).await.unwrap(), []);
    assert_eq!(store.latest(1).await.unwrap()[0].events.len(), 3);
}

pub async fn people_are_known_by_exact_name(peer: &dyn Peer) {
    let store = peer.open().await;
    let new = |n: u8| (uuid::Uuid::from_bytes([n; 16]), [n; 32]);
    let made = store.operator("Sato 佐藤", new(1)).await.unwrap();
    assert_eq!(made.id, new(1).0);
    let salted: Vec<u8> = [[1; 32].as_slice(), "Sato 佐藤".as_bytes()].concat();
    assert_eq!(made.name_sha256, Fingerprint::of(&salted).to_string());
    assert_eq!(peer.open().await.operator("Sato 佐藤", new(2)).await.unwrap(), made);
    for (n, other) in [(3, "sato 佐藤"), (4, "Sato 佐藤 "), (5, "Sato"), (6, "' OR 1=1 --")] {
        assert_eq!(store.operator(other, new(n)).await.unwrap().id, new(n).0);
    }
    assert_eq!(store.head().await.unwrap().size, 0, "names stay outside of the log");
}

pub async fn batches_open_and_close(peer: &dyn Peer) {
    let store = peer.open().await;
    let here = station();
    assert_eq!(store.open_batch(&here).await.unwrap(), None);
    let first = opened("WO-1", 100);
    store.append(vec![first.clone()]).await.unwrap();
    let batch = store.open_batch(&here).await.unwrap().unwrap();
    assert_eq!((batch.name.as_str(), batch.profile.as_str(), batch.planned), ("WO-1", "practice", 100));
    assert_eq!((batch.product.as_str(), batch.opened, batch.closed), ("gateway", first.at, None));
    assert_eq!(store.open_batch(&"other".parse().unwrap()).await.unwrap(), None);

    store.append(vec![opened("WO-2", 5)]).await.unwrap();
    assert_eq!(store.open_batch(&here).await.unwrap().unwrap().name.as_str(), "WO-2");
    let end = closed("WO-2");
    store.append(vec![end.clone()]).await.unwrap();
    assert_eq!(store.open_batch(&here).await.unwrap().unwrap().name.as_str(), "WO-1");
    store.append(vec![closed("WO-1")]).await.unwrap();
    assert_eq!(store.open_batch(&here).await.unwrap(), None);

    let batches = store.batches().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.name.as_str()).collect::<Vec<_>>(), ["WO-2", "WO-1"]);
    assert_eq!(batches[0].closed, Some(end.at));
    assert!(batches[1].closed.is_some());
}

pub async fn a_batch_opened_again_is_open_again(peer: &dyn Peer) {
    let store = peer.open().await;
    let first = opened("WO-1", 100);
    store
        .append(vec![first.clone(), closed("WO-1"), opened("WO-2", 1), closed("WO-2"), opened("WO-1", 120)])
        .await
        .unwrap();
    let batch = store.open_batch(&station()).await.unwrap().unwrap();
    assert_eq!((batch.planned, batch.opened, batch.closed), (120, first.at, None));
    // Two stations on one work order: whoever closes it closes it for both.
    let mut second = opened("WO-1", 120);
    second.station = "other".parse().unwrap();
    store.append(vec![second]).await.unwrap();
    assert!(store.open_batch(&"other".parse().unwrap()).await.unwrap().is_some());
    store.append(vec![closed("WO-1")]).await.unwrap();
    assert_eq!(store.open_batch(&station()).await.unwrap(), None);
    assert_eq!(store.open_batch(&"other".parse().unwrap()).await.unwrap(), None);
    assert_eq!(store.batches().await.unwrap().len(), 2);
}

pub async fn of_two_products_one_opens_a_batch_of_that_name(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    let opening = |station: &str, made_as: &str, made: &str| {
        let body = LineEvent::BatchOpened {
            batch: "WO-1".parse().unwrap(),
            profile: made_as.to_owned(),
            product: made.parse().unwrap(),
            planned: 9,
        };
        Event { station: station.parse().unwrap(), ..line(body) }
    };
    let (mine, other) = (opening("L1-ST1", "practice", "gateway"), opening("L1-ST2", "meters", "meter"));
    let (a, b) = tokio::join!(here.append(vec![mine.clone()]), there.append(vec![other.clone()]));
    let (won, receipts, lost, refused) = match (a, b) {
        (Ok(receipts), Err(failure)) => (mine, receipts, other, failure),
        (Err(failure), Ok(receipts)) => (other, receipts, mine, failure),
        both => panic!("one of them: {both:?}"),
    };
    assert_eq!((refused.code, refused.cause.as_str()), (ReasonCode::NOT_NOW, "there was a batch WO-1 before"));
    assert_eq!(here.open_batch(&lost.station).await.unwrap(), None);
    let batch = there.open_batch(&won.station).await.unwrap().unwrap();
    let opened_as = Body::Line(LineEvent::BatchOpened {
        batch: batch.name.clone(),
        profile: batch.profile.clone(),
        product: batch.product.clone(),
        planned: batch.planned,
    });
    assert_eq!(opened_as, won.body);
    assert_eq!(there.append(vec![won.clone()]).await.unwrap(), receipts, "a lost answer");
    // Not even once it is closed, nor by another profile of its product, nor in one go; and nothing else goes in with it.
    here.append(vec![closed("WO-1")]).await.unwrap();
    let size = here.head().await.unwrap().size;
    let by_another = opening(won.station.as_str(), "another", batch.product.as_str());
    for refused in [lost, by_another] {
        let both = vec![line(LineEvent::OperatorNamed {}), refused];
        assert_eq!(there.append(both).await.unwrap_err().code, ReasonCode::NOT_NOW);
    }
    let at_once = |profile: &str| match opening("L1-ST1", profile, "gateway") {
        Event { body: Body::Line(LineEvent::BatchOpened { profile, product, planned, .. }), .. } => {
            line(LineEvent::BatchOpened { batch: "WO-2".parse().unwrap(), profile, product, planned })
        }
        other => other,
    };
    here.append(vec![at_once("practice"), at_once("another")]).await.unwrap_err();
    assert_eq!(here.head().await.unwrap().size, size);
}

pub async fn the_tally_counts_units_by_the_field_rule(peer: &dyn Peer) {
    use Verdict::{Aborted, Error, Fail, Held, Pass};
    let store = peer.open().await;
    let batch: BatchName = "WO-1".parse().unwrap();
    assert_eq!(store.tally(&batch).await.unwrap(), BatchTally::default());
    let attempt = async |serial: &str, batch: &str, verdict: Verdict| {
        let run = run_id();
        store.append(started(run, serial, Some(batch))).await.unwrap();
        store.append(vec![sealed(run, verdict, None)]).await.unwrap();
        run
    };
    // Passed at once; passed at the second attempt; aborted first, then passed; failed for good.
    attempt("A1", "WO-1", Pass).await;
    attempt("A2", "WO-1", Error).await;
    attempt("A2", "WO-1", Pass).await;
    attempt("A3", "WO-1", Aborted).await;
    attempt("A3", "WO-1", Pass).await;
    attempt("A4", "WO-1", Fail).await;
    // Passed, then pulled out while it was tried again: the pass stands.
    attempt("A5", "WO-1", Pass).await;
    attempt("A5", "WO-1", Aborted).await;
    // Only ever aborted; of another batch; still running; never identified.
    attempt("A6", "WO-1", Aborted).await;
    attempt("A7", "WO-2", Pass).await;
    store.append(started(run_id(), "A8", Some("WO-1"))).await.unwrap();
    let nameless = run_id();
    store.append(vec![started(nameless, "?", Some("WO-1")).remove(0)]).await.unwrap();
    store.append(vec![sealed(nameless, Error, None)]).await.unwrap();
    let mut expected = BatchTally { passed: 4, failed: 1, errors: 0, held: 0, first_attempts: 5, first_passes: 3 };
    assert_eq!(store.tally(&batch).await.unwrap(), expected);

    // HELD is left out until it is decided.
    let held = attempt("A9", "WO-1", Held).await;
    expected.held = 1;
    assert_eq!(store.tally(&batch).await.unwrap(), expected);
    store.append(vec![event(held, RunEvent::Resumed {}), sealed(held, Pass, None)]).await.unwrap();
    expected = BatchTally { passed: 5, held: 0, first_attempts: 6, first_passes: 4, ..expected };
    assert_eq!(store.tally(&batch).await.unwrap(), expected);

    // Decided late, it is still the first attempt: FAIL before the second attempt's PASS.
    let held = attempt("B1", "WO-1", Held).await;
    attempt("B1", "WO-1", Error).await;
    store.append(vec![sealed(held, Fail, None)]).await.unwrap();
    expected = BatchTally { failed: 2, first_attempts: 7, ..expected };
    assert_eq!(store.tally(&batch).await.unwrap(), expected);
    attempt("B2", "WO-1", Error).await;
    expected = BatchTally { errors: 1, first_attempts: 8, ..expected };
    assert_eq!(store.tally(&batch).await.unwrap(), expected);
}

pub async fn a_report_has_every_run_with_a_verdict_once_and_those_of_a_unit_together(peer: &dyn Peer) {
    use Verdict::{Aborted, Error, Fail, Held, Pass};
    let store = peer.open().await;
    let attempt = async |serial: &str, batch: &str, verdict: Verdict| {
        let run = run_id();
        store.append(started(run, serial, Some(batch))).await.unwrap();
        store.append(vec![sealed(run, verdict, None)]).await.unwrap();
        run
    };
    attempt("A2", "WO-1", Error).await;
    attempt("A1", "WO-1", Fail).await;
    attempt("A2", "WO-2", Pass).await;
    attempt("A2", "WO-1", Pass).await;
    let held = attempt("A3", "WO-1", Held).await;
    store.append(vec![event(held, RunEvent::Resumed {}), sealed(held, Pass, None)]).await.unwrap();
    attempt("A1", "WO-1", Aborted).await;
    // Still running, and never identified.
    store.append(started(run_id(), "A4", Some("WO-1"))).await.unwrap();
    for batch in ["WO-1", "WO-1", "WO-2"] {
        let nameless = run_id();
        store.append(vec![started(nameless, "?", Some(batch)).remove(0)]).await.unwrap();
        store.append(vec![sealed(nameless, Error, None)]).await.unwrap();
    }
    store.append(vec![ruled(Ruling::Scrap { unit: unit("A1") })]).await.unwrap();

    let size = store.head().await.unwrap().size;
    let walk = async |scope: &ReportScope, limit: u32, mut after: Option<ReportPlace>, before: u64| {
        let mut told = Vec::new();
        loop {
            let page = store.runs(scope, before, after.as_ref(), limit).await.unwrap();
            told.extend(page.runs.into_iter().map(|run| {
                assert!(run.finished >= run.started && run.sealed > run.seq);
                assert_eq!(run.scrapped, run.serial.as_deref() == Some("A1"));
                assert_eq!(run.resumed, run.run == held);
                format!("{} {}", run.serial.unwrap_or_default(), run.verdict.as_str())
            }));
            match page.next {
                Some(next) => after = Some(next),
                None => return told,
            }
        }
    };
    let first = Some(ReportPlace::Unit { product: String::new(), serial: String::new(), seq: 0 });
    let batch = ReportScope { batch: Some("WO-1".parse().unwrap()), ..ReportScope::default() };
    let of_batch =
        ["A1 FAIL", "A1 ABORTED", "A2 ERROR", "A2 PASS", "A3 PASS", " ERROR", " ERROR"].map(str::to_owned).to_vec();
    for limit in [1, 2, 3, 100] {
        assert_eq!(walk(&batch, limit, None, size).await, of_batch);
    }
    assert_eq!(store.extent(&batch).await.unwrap(), 8);
    let all = ["A1 FAIL", "A1 ABORTED", "A2 ERROR", "A2 PASS", "A2 PASS", "A3 PASS", " ERROR", " ERROR", " ERROR"];
    let all = all.map(str::to_owned).to_vec();
    let everything = ReportScope::default();
    // Of a short time, and as more runs are led.
    for (limit, after) in [(1, None), (100, None), (1, first.clone()), (2, first.clone()), (100, first)] {
        assert_eq!(walk(&everything, limit, after, size).await, all);
    }
    // What began since the report did is not in it.
    assert_eq!(walk(&everything, 2, None, 3).await, ["A2 ERROR"]);
    let now = now();
    let until_now = ReportScope { until: Some(now), ..ReportScope::default() };
    assert_eq!(walk(&until_now, 2, None, size).await, all);
    let since = ReportScope { from: Some(now), ..batch.clone() };
    assert_eq!(walk(&since, 2, None, size).await, Vec::<String>::new());
    assert_eq!(store.extent(&ReportScope { from: Some(now), ..everything }).await.unwrap(), 0);
}

/// A log as a station opens it, by name: from there on what fails is locked.
async fn begun(peer: &dyn Peer) -> Arc<dyn Store> {
    let store = peer.open().await;
    open_log(&*store).await;
    store
}

async fn open_log(store: &dyn Store) {
    store.append(vec![line(LineEvent::LogOpened { origin: "factory.example/line".to_owned() })]).await.unwrap();
}

/// A run that proved its chip, claimed (or was refused) and got this verdict.
async fn attempt(
    store: &dyn Store,
    serial: &str,
    chip: u32,
    verdict: Verdict,
    code: ReasonCode,
) -> Result<Claim, Lock> {
    let mut claim = claim(serial, identity(chip));
    claim.run = run_id();
    store.append(proven(claim.run, serial, chip)).await.unwrap();
    let answer = store.claim(claim.clone()).await.unwrap();
    let seal = match &answer {
        ClaimAnswer::Locked(_) => failed(claim.run, ReasonCode::UNIT_LOCKED),
        ClaimAnswer::Collides(collisions) => failed(
            claim.run,
            match collisions[0].rule {
                CollisionRule::Entry => ReasonCode::ENTRY_CONSUMED,
                CollisionRule::Certificate => ReasonCode::CERTIFICATE_BOUND,
                CollisionRule::Key => ReasonCode::KEY_BOUND,
                CollisionRule::Uid => ReasonCode::UID_BOUND,
                CollisionRule::Unit => ReasonCode::UNIT_BOUND,
            },
        ),
        ClaimAnswer::Unlisted(_) => failed(claim.run, ReasonCode::CHIP_NOT_SHIPPED),
        ClaimAnswer::Bound(_) if verdict == Verdict::Fail => failed(claim.run, code),
        ClaimAnswer::Bound(_) => sealed(claim.run, verdict, None),
    };
    store.append(vec![seal]).await.unwrap();
    match answer {
        ClaimAnswer::Locked(lock) => Err(lock),
        _ => Ok(claim),
    }
}

pub async fn a_failed_unit_is_locked_until_a_ruling_opens_one_run(peer: &dyn Peer) {
    let store = begun(peer).await;
    let first = attempt(&*store, "A1", 1, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    for _ in 0..2 {
        let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
        assert_eq!((lock.kind, lock.run), (LockKind::Failed, Some(first.run)));
        assert_eq!(lock.reason, Some(ReasonCode::THING_FOREIGN), "what it failed with first");
    }
    // The neighbour is free.
    attempt(&*store, "A2", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();

    let release = ruled(Ruling::Release { unit: unit("A1") });
    store.append(vec![release.clone()]).await.unwrap();
    let second = attempt(&*store, "A1", 1, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    let claimed = store.run(second.run).await.unwrap().unwrap().events;
    let names_it = |event: &Event| matches!(&event.body, Body::Run(RunEvent::Claimed { ruling, .. }) if *ruling == Some(release.id));
    assert!(claimed.iter().any(|logged| names_it(&logged.event)), "the claim says which ruling it used up");
    let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
    assert_eq!(lock.run, Some(second.run), "one ruling, one run");
    assert_eq!(store.locks(&unit("A1")).await.unwrap(), [lock]);

    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let history = store.unit(&unit("A1")).await.unwrap().unwrap();
    assert_eq!((history.runs.len(), history.rulings.len(), history.locks.len()), (7, 2, 0));
    assert_eq!(store.locks(&unit("A1")).await.unwrap(), []);
    assert_eq!(store.locked(None, 10).await.unwrap().items, []);
}

/// A board that is pulled while its released unit is worked on needs no two persons once more.
pub async fn a_ruling_opens_the_unit_until_a_run_of_it_has_a_verdict_of_its_own(peer: &dyn Peer) {
    let store = begun(peer).await;
    attempt(&*store, "A1", 1, Verdict::Fail, ReasonCode::CHIP_CHANGED).await.unwrap();
    let release = ruled(Ruling::Release { unit: unit("A1") });
    store.append(vec![release.clone()]).await.unwrap();
    let mut named = Vec::new();
    for verdict in [Verdict::Aborted, Verdict::Error, Verdict::Fail] {
        let run = attempt(&*store, "A1", 1, verdict, ReasonCode::CHIP_CHANGED).await.unwrap().run;
        for logged in store.run(run).await.unwrap().unwrap().events {
            if let Body::Run(RunEvent::Claimed { ruling, .. }) = logged.event.body {
                named.push(ruling);
            }
        }
    }
    assert_eq!(named, [Some(release.id), None, None], "it is used up by the first claim");
    let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::CHIP_CHANGED).await.unwrap_err();
    assert_eq!(lock.kind, LockKind::Failed);
}

/// A ruling that was there before the run was taken up again is answered by how that ended.
pub async fn a_ruling_opens_no_lock_that_its_persons_have_not_seen(peer: &dyn Peer) {
    let (here, there) = (begun(peer).await, peer.open().await);
    let newest = async || here.locks(&unit("A1")).await.unwrap().iter().map(|lock| lock.seq).max();
    let release = || ruled(Ruling::Release { unit: unit("A1") });
    let first = attempt(&*here, "A1", 1, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    let seen = newest().await;
    // While they sign, another chip comes under this unit's name, at another station.
    attempt(&*here, "A2", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*there, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let since = newest().await.unwrap();
    assert!(seen.is_some_and(|seen| seen < since));
    for seen in [seen, None] {
        let refused = here.append_ruling(&unit("A1"), seen, release()).await.unwrap_err();
        assert_eq!((refused.code, refused.args["unit"].as_str()), (ReasonCode::RULING_REFUSED, "A1"));
        assert!(refused.cause.starts_with(&format!("event {since} locks ")), "{refused}");
    }
    let lock = attempt(&*here, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
    assert_eq!(lock.run, Some(first.run), "nothing was opened");
    // Whoever knows of it may.
    let known = release();
    let written = here.append_ruling(&unit("A1"), Some(since), known.clone()).await.unwrap();
    attempt(&*there, "A1", 1, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    let again = there.append_ruling(&unit("A1"), Some(since), known).await.unwrap();
    assert_eq!(again, written, "a lost answer");
    // A neighbour's lock is not this unit's.
    attempt(&*here, "A3", 3, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    here.append_ruling(&unit("A1"), newest().await, release()).await.unwrap();
    attempt(&*here, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
}

pub async fn a_resumed_run_that_fails_uses_up_what_was_ruled_before(peer: &dyn Peer) {
    let store = begun(peer).await;
    let held = attempt(&*store, "A1", 1, Verdict::Held, ReasonCode::THING_FOREIGN).await.unwrap();
    let ruling = store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap()[0].seq;
    assert!(store.newest_run().await.unwrap().unwrap() < ruling);
    let resumed = store.append(vec![event(held.run, RunEvent::Resumed {})]).await.unwrap()[0].seq;
    // A ruling on the log itself does not outlive it, either.
    assert_eq!(store.newest_run().await.unwrap(), Some(resumed));
    store.append(vec![failed(held.run, ReasonCode::THING_FOREIGN)]).await.unwrap();
    let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
    assert_eq!(lock.run, Some(held.run));
    // What is ruled while it is at work is about what comes after.
    let held = attempt(&*store, "A2", 2, Verdict::Held, ReasonCode::THING_FOREIGN).await.unwrap();
    store.append(vec![event(held.run, RunEvent::Resumed {})]).await.unwrap();
    store.append(vec![ruled(Ruling::Release { unit: unit("A2") })]).await.unwrap();
    store.append(vec![failed(held.run, ReasonCode::THING_FOREIGN)]).await.unwrap();
    attempt(&*store, "A2", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
}

/// As a program wrote it that knew no locks: what it claimed stands, and nothing locks it afterwards.
pub async fn what_failed_before_the_log_was_opened_by_name_is_not_locked(peer: &dyn Peer) {
    let store = peer.open().await;
    attempt(&*store, "A1", 1, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*store, "A2", 2, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    open_log(&*store).await;
    attempt(&*store, "A2", 2, Verdict::Fail, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*store, "A2", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
}

pub async fn a_failure_before_the_proof_locks_nobody(peer: &dyn Peer) {
    let store = begun(peer).await;
    // Anybody can show a certificate: without the proof it says nothing about the unit.
    let run = run_id();
    let mut sighting = proven(run, "A1", 1);
    sighting.pop();
    store.append(sighting).await.unwrap();
    store.append(vec![failed(run, ReasonCode::CHIP_LACKS_KEY)]).await.unwrap();
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
}

pub async fn a_board_that_fails_under_anothers_serial_locks_nobody_out(peer: &dyn Peer) {
    let store = begun(peer).await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    // A proven chip of ours, on a board that says it is A1.
    attempt(&*store, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let last = store.latest(1).await.unwrap();
    assert!(matches!(
        &last[0].events.last().unwrap().event.body,
        Body::Run(RunEvent::Sealed { verdict: Verdict::Fail, .. })
    ));
    // The genuine board goes on.
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    // Nor does it lock out one that never came before, and it uses up no ruling that waits for it.
    attempt(&*store, "B1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let [seen] = store.locks(&unit("B1")).await.unwrap().try_into().unwrap();
    assert_eq!(seen.reason, Some(ReasonCode::CERTIFICATE_BOUND), "QA is told");
    attempt(&*store, "B1", 3, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    // A board that failed without ever being bound, and was released.
    let run = run_id();
    store.append(proven(run, "B3", 5)).await.unwrap();
    store.append(vec![failed(run, ReasonCode::THING_FOREIGN)]).await.unwrap();
    store.append(vec![ruled(Ruling::Release { unit: unit("B3") })]).await.unwrap();
    attempt(&*store, "B3", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    attempt(&*store, "B3", 5, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
}

pub async fn a_scrapped_unit_stays_scrapped_whatever_is_ruled(peer: &dyn Peer) {
    let store = begun(peer).await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    store
        .append(vec![ruled(Ruling::Release { unit: unit("A1") }), ruled(Ruling::Scrap { unit: unit("A1") })])
        .await
        .unwrap();
    for chip in [1, 2] {
        let lock = attempt(&*store, "A1", chip, Verdict::Pass, ReasonCode::THING_FOREIGN).await;
        match (chip, lock) {
            (1, lock) => assert_eq!(lock.unwrap_err().kind, LockKind::Scrapped, "an older release does not count"),
            // Another chip collides: the graver finding is told.
            (_, lock) => drop(lock.unwrap()),
        }
    }
    let (scrapped, lock) = store.locked(None, 10).await.unwrap().items.pop().unwrap();
    assert_eq!((scrapped, lock.kind), (unit("A1"), LockKind::Scrapped));
    // Rulings that came in beside it, and a contradiction that an import finds, change nothing.
    let rebind = Ruling::Rebind { unit: unit("A1"), old: identity(1).into(), new: identity(2), run: run_id() };
    store.import(vec![imported(2, "A1", 7)]).await.unwrap();
    for ruling in [Ruling::Release { unit: unit("A1") }, rebind] {
        store.append(vec![ruled(ruling)]).await.unwrap();
        let answer = store.claim(claim("A1", identity(1))).await.unwrap();
        assert!(matches!(&answer, ClaimAnswer::Locked(Lock { kind: LockKind::Scrapped, .. })), "{answer:?}");
        assert_eq!(rules(&collides(store.claim(claim("A1", identity(2))).await)), [CollisionRule::Unit]);
    }
}

pub async fn a_withdrawn_unit_is_claimed_by_nobody_until_it_is_released(peer: &dyn Peer) {
    let store = begun(peer).await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    // A run that is at work, and one that waits for the cloud.
    let (open, held) = (claim("A1", identity(1)), claim("A1", identity(1)));
    for (claim, verdict) in [(&open, None), (&held, Some(Verdict::Held))] {
        store.append(proven(claim.run, "A1", 1)).await.unwrap();
        assert!(matches!(store.claim(claim.clone()).await.unwrap(), ClaimAnswer::Bound(_)));
        let seal = verdict.map(|verdict| sealed(claim.run, verdict, None));
        store.append(seal.into_iter().collect()).await.unwrap();
    }
    // Ruled before the unit was withdrawn: it opens nothing.
    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    let withdrawal = withdrawal("A1");
    store.append(vec![withdrawal.clone()]).await.unwrap();
    for waiting in [&open, &held] {
        let obstacle = store.obstacle(None, &waiting.unit, &waiting.identity, None).await.unwrap();
        assert!(matches!(obstacle, Some(Obstacle::Locked(Lock { kind: LockKind::Withdrawn, .. }))), "{obstacle:?}");
        store.append(vec![sealed(waiting.run, Verdict::Pass, None)]).await.unwrap_err();
    }
    // Refused, it is no more locked than it was.
    for _ in 0..2 {
        let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
        assert_eq!((lock.kind, lock.run), (LockKind::Withdrawn, None));
        assert_eq!(store.locks(&unit("A1")).await.unwrap(), [lock]);
    }
    // Its chip is nobody else's for all that.
    assert_eq!(rules(&collides(store.claim(claim("A2", identity(1))).await))[0], CollisionRule::Certificate);

    let failure = Failure::new(ReasonCode::CLOUD_UNREACHABLE, "away");
    let results = [withdrawn(&withdrawal, "A1", Some(failure)), withdrawn(&withdrawal, "A1", None)];
    for result in &results {
        store.append(vec![result.clone()]).await.unwrap();
    }
    let known: Vec<Event> = store.withdrawn(&unit("A1")).await.unwrap().into_iter().map(|it| it.event).collect();
    assert_eq!(known, results);
    // By no ruling, by another unit's, or by one that is no withdrawal.
    let release = ruled(Ruling::Release { unit: unit("A1") });
    store.append(vec![release.clone()]).await.unwrap();
    for (ruling, serial) in
        [(&ruled(Ruling::Release { unit: unit("A1") }), "A1"), (&withdrawal, "A2"), (&release, "A1")]
    {
        store.append(vec![withdrawn(ruling, serial, None)]).await.unwrap_err();
    }
    // The release opens a run, and none of those that were there before.
    let still_barred = async || {
        let obstacle = store.obstacle(Some(held.run), &held.unit, &held.identity, None).await.unwrap();
        assert!(matches!(obstacle, Some(Obstacle::Locked(Lock { kind: LockKind::Withdrawn, .. }))), "{obstacle:?}");
        let refused = store.append(vec![sealed(held.run, Verdict::Pass, None)]).await.unwrap_err();
        assert_eq!(refused.code, ReasonCode::PASS_BARRED, "{refused}");
    };
    assert_eq!(store.obstacle(None, &held.unit, &held.identity, None).await.unwrap(), None);
    still_barred().await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    still_barred().await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let history = store.unit(&unit("A1")).await.unwrap().unwrap();
    assert_eq!((history.rulings.len(), history.withdrawn.len(), history.locks.len()), (3, 2, 0));
}

pub async fn a_run_that_waited_does_not_pass_a_unit_that_was_locked_meanwhile(peer: &dyn Peer) {
    let store = peer.open().await;
    let held = attempt(&*store, "A1", 1, Verdict::Held, ReasonCode::THING_FOREIGN).await.unwrap();
    assert_eq!(store.obstacle(Some(held.run), &held.unit, &held.identity, None).await.unwrap(), None);
    store.append(vec![ruled(Ruling::Scrap { unit: unit("A1") })]).await.unwrap();
    let obstacle = store.obstacle(Some(held.run), &held.unit, &held.identity, None).await.unwrap();
    assert!(matches!(obstacle, Some(Obstacle::Locked(Lock { kind: LockKind::Scrapped, .. }))), "{obstacle:?}");
    // Whoever did not ask is refused where it counts.
    let head = store.head().await.unwrap();
    let barred = store.append(vec![sealed(held.run, Verdict::Pass, None)]).await.unwrap_err();
    assert_eq!(barred.code, ReasonCode::PASS_BARRED, "{barred}");
    assert_eq!(store.head().await.unwrap(), head);
    // Another chip is the unit's by now: the one that was claimed then is burned.
    let other = attempt(&*store, "B1", 5, Verdict::Held, ReasonCode::THING_FOREIGN).await.unwrap();
    let foreign = Identity { fingerprint: Fingerprint::of(b"other"), ..other.identity.clone() };
    assert!(matches!(store.obstacle(None, &other.unit, &foreign, None).await.unwrap(), Some(Obstacle::Collides(_))));
}

pub async fn a_rebind_moves_the_binding_once_and_burns_the_old_chip(peer: &dyn Peer) {
    let store = peer.open().await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let repaired = attempt(&*store, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let rebind = |old: u32, new: u32, run: RunId| {
        ruled(Ruling::Rebind { unit: unit("A1"), old: identity(old).into(), new: identity(new), run })
    };
    // A ruling that names another chip than the one that is there moves nothing.
    store.append(vec![rebind(3, 2, repaired.run)]).await.unwrap();
    assert_eq!(rules(&collides(store.claim(claim("A1", identity(2))).await)), [CollisionRule::Unit]);
    store.append(vec![rebind(1, 2, repaired.run)]).await.unwrap();
    // Neither does it open the unit to a third chip.
    assert_eq!(rules(&collides(store.claim(claim("A1", identity(9))).await)), [CollisionRule::Unit]);
    let moved = claim("A1", identity(2));
    let (event, standing, _) = bound(store.claim(moved.clone()).await);
    assert_eq!(standing, Standing::Rebound);
    let Body::Run(RunEvent::Claimed { ruling: Some(_), replaces, .. }) = event.body else { panic!("{event:?}") };
    assert_eq!(replaces, [identity(1).fingerprint]);
    // The answer that was lost is given again, and uses nothing up.
    assert_eq!(bound(store.claim(moved).await).1, Standing::Rebound);
    let (event, standing, _) = bound(store.claim(claim("A1", identity(2))).await);
    assert_eq!(standing, Standing::Known);
    // The run that was opened may have ended before it came to the cloud: every later one goes on.
    let Body::Run(RunEvent::Claimed { ruling: None, replaces, .. }) = event.body else { panic!("{event:?}") };
    assert_eq!(replaces, [identity(1).fingerprint]);
    // The old chip is burned for everyone, its own board among them.
    for serial in ["A1", "A2"] {
        let collisions = collides(store.claim(claim(serial, identity(1))).await);
        assert_eq!(rules(&collisions)[..3], [CollisionRule::Certificate, CollisionRule::Key, CollisionRule::Uid]);
    }
}

/// A board that was HELD came back with another chip, and was ruled to have it: neither the run that waits nor
/// the old board, plugged in once more, makes a PASS of the chip that is gone.
pub async fn a_rebind_bars_the_old_chip_before_the_new_one_comes(peer: &dyn Peer) {
    let store = begun(peer).await;
    let held = attempt(&*store, "A1", 1, Verdict::Held, ReasonCode::THING_FOREIGN).await.unwrap();
    let repaired = attempt(&*store, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    assert_eq!(store.obstacle(Some(held.run), &held.unit, &held.identity, None).await.unwrap(), None);
    let rebind = Ruling::Rebind { unit: unit("A1"), old: identity(1).into(), new: identity(2), run: repaired.run };
    let ruling = store.append(vec![ruled(rebind)]).await.unwrap()[0].seq;
    for run in [Some(held.run), None] {
        let obstacle = store.obstacle(run, &held.unit, &held.identity, None).await.unwrap();
        let Some(Obstacle::Collides(collisions)) = obstacle else { panic!("{obstacle:?}") };
        assert_eq!(rules(&collisions), [CollisionRule::Unit]);
        assert_eq!((collisions[0].seq, collisions[0].fingerprint), (ruling, identity(2).fingerprint));
    }
    let barred = store.append(vec![sealed(held.run, Verdict::Pass, None)]).await.unwrap_err();
    assert_eq!(barred.code, ReasonCode::PASS_BARRED, "{barred}");
    // The old board once more, and the run that waited: each FAIL, and the ruling stands.
    let old = claim("A1", identity(1));
    store.append(proven(old.run, "A1", 1)).await.unwrap();
    assert_eq!(rules(&collides(store.claim(old.clone()).await)), [CollisionRule::Unit]);
    store.append(vec![failed(old.run, ReasonCode::UNIT_BOUND)]).await.unwrap();
    store.append(vec![event(held.run, RunEvent::Resumed {}), failed(held.run, ReasonCode::UNIT_BOUND)]).await.unwrap();
    // The nearest: the board as it was repaired.
    let new = claim("A1", identity(2));
    store.append(proven(new.run, "A1", 2)).await.unwrap();
    assert_eq!(bound(store.claim(new.clone()).await).1, Standing::Rebound);
    store.append(vec![sealed(new.run, Verdict::Pass, None)]).await.unwrap();
    assert_eq!(store.locks(&unit("A1")).await.unwrap(), []);
}

/// Asked by nobody: the rebind, and the claim of the new chip, came between a run's last look and its verdict.
pub async fn a_run_whose_chip_a_ruling_took_does_not_pass_any_more(peer: &dyn Peer) {
    let (here, there) = (begun(peer).await, peer.open().await);
    let claimed = async |serial: &str, chip: u32| {
        let claim = claim(serial, identity(chip));
        here.append(proven(claim.run, serial, chip)).await.unwrap();
        bound(here.claim(claim.clone()).await);
        claim
    };
    let old = claimed("A1", 1).await;
    let refused = attempt(&*there, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let rebind = Ruling::Rebind { unit: unit("A1"), old: identity(1).into(), new: identity(2), run: refused.run };
    there.append(vec![ruled(rebind)]).await.unwrap();
    attempt(&*there, "A1", 2, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    let head = here.head().await.unwrap();
    let barred = here.append(vec![sealed(old.run, Verdict::Pass, None)]).await.unwrap_err();
    assert_eq!(barred.code, ReasonCode::PASS_BARRED, "{barred}");
    assert!(barred.cause.contains(&identity(2).fingerprint.to_string()), "{barred}");
    assert_eq!(here.head().await.unwrap(), head);
    // The nearest: its unit holds what it held.
    let other = claimed("A2", 3).await;
    here.append(vec![sealed(other.run, Verdict::Pass, None)]).await.unwrap();
}

pub async fn a_unit_that_is_rebound_twice_names_both_its_pasts(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("A1", identity(1))).await);
    for chip in [2, 3] {
        let unit = unit("A1");
        let (old, new) = (identity(chip - 1).into(), identity(chip));
        let rebind = ruled(Ruling::Rebind { unit, old, new, run: run_id() });
        // Said twice, it is one past.
        store.append(vec![Event { id: EventId::from_random(rand::random()), ..rebind.clone() }, rebind]).await.unwrap();
        assert_eq!(bound(store.claim(claim("A1", identity(chip))).await).1, Standing::Rebound);
    }
    // A ruling that nobody used took nothing from anybody.
    let unused = Ruling::Rebind { unit: unit("A1"), old: identity(3).into(), new: identity(4), run: run_id() };
    store.append(vec![ruled(unused)]).await.unwrap();
    // Ruled otherwise since, its chip is the unit's as before.
    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    let (event, ..) = bound(store.claim(claim("A1", identity(3))).await);
    let Body::Run(RunEvent::Claimed { replaces, .. }) = event.body else { panic!("{event:?}") };
    assert_eq!(replaces, [identity(1).fingerprint, identity(2).fingerprint]);
    // The neighbour has no past.
    let (event, ..) = bound(store.claim(claim("A2", identity(5))).await);
    let Body::Run(RunEvent::Claimed { replaces, .. }) = event.body else { panic!("{event:?}") };
    assert_eq!(replaces, []);
}

/// What a ruling on a repair is checked against.
pub async fn a_binding_and_what_stands_against_another_are_told(peer: &dyn Peer) {
    let store = peer.open().await;
    let told =
        async |serial: &str, chip: u32| rules(&store.collisions(&unit(serial), &identity(chip), None).await.unwrap());
    assert_eq!(store.binding(&unit("A1")).await.unwrap(), None);
    assert_eq!(told("A1", 1).await, []);
    bound(store.claim(claim("A1", identity(1))).await);
    assert_eq!(store.binding(&unit("A1")).await.unwrap(), Some(identity(1).into()));
    assert_eq!(told("A1", 1).await, []);
    assert_eq!(told("A1", 2).await, [CollisionRule::Unit]);
    assert_eq!(told("A2", 1).await, [CollisionRule::Certificate, CollisionRule::Key, CollisionRule::Uid]);
    // Of an imported history, what it told.
    store.import(vec![imported(2, "A3", 3)]).await.unwrap();
    let known = KnownIdentity { fingerprint: identity(3).fingerprint, spki: None, uid: None };
    assert_eq!(store.binding(&unit("A3")).await.unwrap(), Some(known.clone()));
    let rebind = Ruling::Rebind { unit: unit("A3"), old: known, new: identity(4), run: run_id() };
    store.append(vec![ruled(rebind)]).await.unwrap();
    bound(store.claim(claim("A3", identity(4))).await);
    assert_eq!(store.binding(&unit("A3")).await.unwrap(), Some(identity(4).into()));
    // Its own past is burned for it, too.
    assert_eq!(told("A3", 3).await, [CollisionRule::Certificate, CollisionRule::Unit]);
}

pub async fn an_imported_history_protects_and_is_completed_by_a_claim(peer: &dyn Peer) {
    let store = peer.open().await;
    let rows = store.import(vec![imported(2, "A1", 1), imported(3, "A2", 2)]).await.unwrap();
    assert!(rows.iter().all(|row| conflicts_of(&row.event).is_empty()), "{rows:?}");
    // Its chips are taken.
    assert_eq!(rules(&collides(store.claim(claim("B1", identity(1))).await)), [CollisionRule::Certificate]);
    assert_eq!(rules(&collides(store.claim(claim("A2", identity(3))).await)), [CollisionRule::Unit]);
    // Anyone can write a certificate in its other form, and of these no key is known.
    let other_form = |serial: &str| Claim { twin: Some(identity(2).fingerprint), ..claim(serial, identity(9)) };
    assert_eq!(rules(&collides(store.claim(other_form("B1")).await)), [CollisionRule::Certificate]);
    assert_eq!(rules(&collides(store.claim(other_form("A2")).await)), [CollisionRule::Unit]);
    // Also where the unit has a chip of its own, so that no ruling moves it to another unit's.
    bound(store.claim(claim("B9", identity(8))).await);
    let both = [CollisionRule::Certificate, CollisionRule::Unit];
    assert_eq!(rules(&collides(store.claim(other_form("B9")).await)), both);
    let twin = Some(identity(2).fingerprint);
    assert_eq!(rules(&store.collisions(&unit("B9"), &identity(9), twin).await.unwrap()), both);
    // The very board is known, and from then on by key and UID, too.
    assert_eq!(bound(store.claim(claim("A1", identity(1))).await).1, Standing::Completed);
    assert_eq!(bound(store.claim(claim("A1", identity(1))).await).1, Standing::Known);
    let second_key = Identity { uid: identity(1).uid, ..identity(7) };
    assert_eq!(rules(&collides(store.claim(claim("B2", second_key)).await)), [CollisionRule::Uid]);
    // The same file again says nothing new, and contradicts nothing.
    let again = store.import(vec![imported(2, "A1", 1)]).await.unwrap();
    assert!(conflicts_of(&again[0].event).is_empty());
}

pub async fn contradictions_of_an_import_bind_nothing_and_lock_both(peer: &dyn Peer) {
    let store = peer.open().await;
    bound(store.claim(claim("Z1", identity(9))).await);
    let rows =
        [imported(2, "A1", 1), imported(3, "A2", 1), imported(4, "A3", 3), imported(5, "A3", 4), imported(6, "A4", 9)];
    // A2 was said to have A1's chip, and is now said to have another.
    let rows = [rows.as_slice(), &[imported(7, "A2", 5)]].concat();
    let logged = store.import(rows).await.unwrap();
    let found: Vec<Vec<_>> = logged
        .iter()
        .map(|row| conflicts_of(&row.event).iter().map(|c| (c.rule, c.unit.serial.to_string())).collect())
        .collect();
    let held = |rule, serial: &str| vec![(rule, serial.to_owned())];
    assert_eq!(
        found,
        [
            vec![],
            held(ConflictRule::Certificate, "A1"),
            vec![],
            held(ConflictRule::Unit, "A3"),
            held(ConflictRule::Certificate, "Z1"),
            held(ConflictRule::Unit, "A2"),
        ]
    );
    let listed = store.conflicts(None, 10).await.unwrap().items;
    assert_eq!(
        listed.iter().map(|row| row.source.line).collect::<Vec<_>>(),
        [7, 6, 5, 3],
        "each is listed, none dropped"
    );
    for (serial, chip) in [("A1", 1), ("A2", 5), ("A3", 3), ("Z1", 9)] {
        let answer = store.claim(claim(serial, identity(chip))).await.unwrap();
        let ClaimAnswer::Locked(lock) = answer else { panic!("{serial}: {answer:?}") };
        assert_eq!(lock.kind, LockKind::Conflict);
    }
    // QA rules which one is right.
    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    assert_eq!(bound(store.claim(claim("A1", identity(1))).await).1, Standing::Completed);
    store.append(vec![ruled(Ruling::Release { unit: unit("A2") })]).await.unwrap();
    assert_eq!(bound(store.claim(claim("A2", identity(5))).await).1, Standing::Completed);
}

pub async fn what_a_contradicting_row_names_is_burned_for_every_other_unit(peer: &dyn Peer) {
    let store = peer.open().await;
    let with_key = |line, serial: &str, chip| {
        let mut row = imported(line, serial, chip);
        if let Body::Line(LineEvent::Imported { spki, .. }) = &mut row.body {
            *spki = Some(identity(chip).spki);
        }
        row
    };
    // A3 is said to have chip 3 and chip 4.
    store.import(vec![imported(2, "A3", 3), with_key(3, "A3", 4)]).await.unwrap();
    assert_eq!(
        rules(&collides(store.claim(claim("B1", identity(4))).await)),
        [CollisionRule::Certificate, CollisionRule::Key]
    );
    let renewed = Identity { fingerprint: Fingerprint::of(b"renewed"), ..identity(4) };
    assert_eq!(rules(&collides(store.claim(claim("B1", renewed)).await)), [CollisionRule::Key]);
    // A third unit that is said to have it contradicts that, too.
    let [third] = store.import(vec![imported(4, "A6", 4)]).await.unwrap().try_into().unwrap();
    assert_eq!(conflicts_of(&third.event).iter().map(|c| c.unit.clone()).collect::<Vec<_>>(), [unit("A3")]);
    // The key of a certificate that was known by its fingerprint only, told later.
    store.import(vec![with_key(5, "A3", 3)]).await.unwrap();
    let renewed = Identity { fingerprint: Fingerprint::of(b"anew"), ..identity(3) };
    assert_eq!(rules(&collides(store.claim(claim("B1", renewed)).await)), [CollisionRule::Key]);
    // A history with whole certificates names chips, too: another certificate of one is nobody else's.
    let with_chip = |line, serial: &str, chip| {
        let mut row = with_key(line, serial, chip);
        if let Body::Line(LineEvent::Imported { uid, .. }) = &mut row.body {
            *uid = identity(chip).uid;
        }
        row
    };
    let second_key = |n| Identity { uid: identity(n).uid, ..identity(n + 1000) };
    store.import(vec![with_chip(6, "A8", 8), with_chip(7, "A8", 9)]).await.unwrap();
    for chip in [8, 9] {
        assert_eq!(rules(&collides(store.claim(claim("B1", second_key(chip))).await)), [CollisionRule::Uid], "{chip}");
    }
    let mut other = with_chip(8, "A9", 1008);
    if let Body::Line(LineEvent::Imported { uid, .. }) = &mut other.body {
        *uid = identity(8).uid;
    }
    let [other] = store.import(vec![other]).await.unwrap().try_into().unwrap();
    assert_eq!(
        conflicts_of(&other.event).iter().map(|c| (c.rule, c.unit.clone())).collect::<Vec<_>>(),
        [(ConflictRule::Uid, unit("A8"))]
    );
    // The unit is the chip's all the same, once QA has ruled which of the two it has.
    store.append(vec![ruled(Ruling::Release { unit: unit("A8") })]).await.unwrap();
    assert_eq!(bound(store.claim(claim("A8", identity(8))).await).1, Standing::Completed);
    // QA may rule that the unit has the other one; then the first is burned for it, and it says so again.
    assert_eq!(rules(&store.collisions(&unit("A3"), &identity(4), None).await.unwrap()), [CollisionRule::Unit]);
    let old = store.binding(&unit("A3")).await.unwrap().unwrap();
    store.append(vec![ruled(Ruling::Rebind { unit: unit("A3"), old, new: identity(4), run: run_id() })]).await.unwrap();
    assert_eq!(bound(store.claim(claim("A3", identity(4))).await).1, Standing::Rebound);
    assert_eq!(bound(store.claim(claim("A3", identity(4))).await).1, Standing::Known);
    assert_eq!(rules(&store.collisions(&unit("A3"), &identity(3), None).await.unwrap())[0], CollisionRule::Certificate);
}

pub async fn an_import_takes_no_certificate_that_was_made_for_another_unit(peer: &dyn Peer) {
    let store = begun(peer).await;
    let first = asking(&*store, "A1", 1, Standing::New).await;
    store
        .append(vec![requested(first, now()), made(first, b"for A1"), sealed(first, Verdict::Pass, None)])
        .await
        .unwrap();
    let said_of = |line, serial: &str| {
        let mut row = imported(line, serial, 7);
        if let Body::Line(LineEvent::Imported { fingerprint, .. }) = &mut row.body {
            *fingerprint = Fingerprint::of(b"for A1");
        }
        row
    };
    let [row] = store.import(vec![said_of(2, "B1")]).await.unwrap().try_into().unwrap();
    let conflicts = conflicts_of(&row.event);
    assert_eq!(
        conflicts.iter().map(|c| (c.rule, c.unit.clone())).collect::<Vec<_>>(),
        [(ConflictRule::Certificate, unit("A1"),)]
    );
    for (serial, chip) in [("A1", 1), ("B1", 7)] {
        let answer = store.claim(claim(serial, identity(chip))).await.unwrap();
        assert!(matches!(answer, ClaimAnswer::Locked(Lock { kind: LockKind::Conflict, .. })), "{serial}: {answer:?}");
    }
    // QA rules: it stays A1's, and B1 has a chip of its own.
    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    let again = asking(&*store, "A1", 1, Standing::Known).await;
    store.append(vec![made(again, b"for A1")]).await.unwrap();
    store.append(vec![ruled(Ruling::Release { unit: unit("B1") })]).await.unwrap();
    assert_eq!(bound(store.claim(claim("B1", identity(7))).await).1, Standing::New);
    assert!(store.append(vec![made(again, b"anew")]).await.is_ok());
}

/// Neither side of a contradiction is believed, not even the one that a run has proven.
pub async fn an_import_may_lock_a_unit_that_has_passed(peer: &dyn Peer) {
    let store = begun(peer).await;
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
    store.import(vec![imported(2, "A2", 1)]).await.unwrap();
    let lock = attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap_err();
    assert_eq!(lock.kind, LockKind::Conflict);
    store.append(vec![ruled(Ruling::Release { unit: unit("A1") })]).await.unwrap();
    attempt(&*store, "A1", 1, Verdict::Pass, ReasonCode::THING_FOREIGN).await.unwrap();
}

/// One list of these chips by UID, certificate and key, from line 2 on.
async fn list(store: &dyn Store, batch: &str, chips: &[u32]) -> (u64, u64) {
    let entries: Vec<ManifestEntry> = chips.iter().zip(2..).map(|(chip, line)| listed(*chip, line)).collect();
    list_of(store, batch, entries).await
}

/// Returns the events' numbers: that which lists the entries, and that which takes them in.
async fn list_of(store: &dyn Store, batch: &str, entries: Vec<ManifestEntry>) -> (u64, u64) {
    let (list, count) = (Sha256::of(&rand::random::<[u8; 32]>()), entries.len() as u64);
    let listed = line(LineEvent::ManifestListed { list, before: 0, entries });
    let receipts = store.append(vec![listed, taken_in(batch, list, count)]).await.unwrap();
    (receipts[0].seq, receipts[1].seq)
}

pub fn listed(chip: u32, line: u64) -> ManifestEntry {
    let Identity { fingerprint, spki, uid } = identity(chip);
    ManifestEntry { line, uid, fingerprint: Some(fingerprint), spki: Some(spki) }
}

pub fn taken_in(batch: &str, list: Sha256, entries: u64) -> Event {
    let (batch, name) = (batch.parse().unwrap(), "chips.csv".to_owned());
    line(LineEvent::ManifestImported { batch, list, file: list, name, entries, signers: Vec::new() })
}

/// A run of the batch that has proven the chip, and its claim.
async fn ready(store: &dyn Store, batch: &str, serial: &str, chip: u32) -> Claim {
    let claim = claim(serial, identity(chip));
    let mut events = started(claim.run, serial, Some(batch));
    events.extend(proven(claim.run, serial, chip).split_off(2));
    store.append(events).await.unwrap();
    claim
}

fn entry_of(answer: Result<ClaimAnswer, Failure>) -> Option<EntryPlace> {
    match bound(answer).0.body {
        Body::Run(RunEvent::Claimed { entry, .. }) => entry,
        other => panic!("{other:?}"),
    }
}

fn unlisted(answer: Result<ClaimAnswer, Failure>) -> Unlisted {
    match answer.unwrap() {
        ClaimAnswer::Unlisted(why) => why,
        other => panic!("it is listed: {other:?}"),
    }
}

async fn figures(store: &dyn Store, batch: &str) -> [u64; 5] {
    let ManifestTally { entries, consumed, matched, unknown, .. } =
        store.manifest(&batch.parse().unwrap()).await.unwrap().unwrap();
    [entries, matched, consumed, entries - consumed, unknown]
}

pub async fn a_chip_on_the_batchs_list_uses_its_entry(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![opened("WO 1", 9), opened("WO 2", 9)]).await.unwrap();
    assert_eq!(store.manifest(&"WO 1".parse().unwrap()).await.unwrap(), None);
    // A batch that has no list takes any chip, as do boards of no batch.
    let free = ready(&*store, "WO 2", "A9", 9).await;
    assert_eq!(entry_of(store.claim(free).await), None);
    let (seq, imported) = list(&*store, "WO 1", &[1, 2, 3]).await;
    assert_eq!(figures(&*store, "WO 1").await, [3, 0, 0, 3, 0]);
    for _ in 0..2 {
        // Again, by the same unit, is the same entry.
        let claim = ready(&*store, "WO 1", "A1", 2).await;
        assert_eq!(entry_of(store.claim(claim.clone()).await), Some(EntryPlace { seq, imported, line: 3 }));
        assert_eq!(entry_of(store.claim(claim).await), Some(EntryPlace { seq, imported, line: 3 }), "a lost answer");
        assert_eq!(figures(&*store, "WO 1").await, [3, 1, 1, 2, 0]);
    }
    // A list of less than all of it, and a second one that adds.
    let by_uid = ManifestEntry { fingerprint: None, spki: None, ..listed(4, 7) };
    let by_key = ManifestEntry { fingerprint: None, uid: None, ..listed(5, 8) };
    list_of(&*store, "WO 1", vec![by_uid, by_key]).await;
    for (serial, chip, line) in [("A4", 4, 7), ("A5", 5, 8)] {
        let claim = ready(&*store, "WO 1", serial, chip).await;
        assert_eq!(entry_of(store.claim(claim).await).unwrap().line, line);
    }
    assert_eq!(figures(&*store, "WO 1").await, [5, 3, 3, 2, 0]);
    // Another batch with a list of its own: what was used there is not used here.
    list(&*store, "WO 2", &[2]).await;
    let again = ready(&*store, "WO 2", "A1", 2).await;
    assert_eq!(entry_of(store.claim(again).await).unwrap().line, 2);
    assert_eq!(figures(&*store, "WO 2").await, [1, 1, 1, 0, 1]);
    assert_eq!(figures(&*store, "WO 1").await, [5, 3, 3, 2, 0]);
    assert!(store.batches().await.unwrap().iter().all(|batch| batch.manifest));
}

pub async fn a_chip_that_was_not_shipped_for_the_batch_is_refused(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![opened("WO 1", 9), opened("WO 2", 9)]).await.unwrap();
    list(&*store, "WO 1", &[1]).await;
    list(&*store, "WO 2", &[2]).await;
    let claim = ready(&*store, "WO 1", "A2", 2).await;
    let head = store.head().await.unwrap();
    assert_eq!(unlisted(store.claim(claim).await), Unlisted::Absent { batch: "WO 1".parse().unwrap() });
    assert_eq!(store.head().await.unwrap(), head, "nothing was written");
    assert_eq!(figures(&*store, "WO 1").await, [1, 0, 0, 1, 1]);
    // What was only seen uses nothing, whatever it shows.
    let seen = run_id();
    let mut events = started(seen, "A3", Some("WO 1"));
    events.push(proven(seen, "A3", 1).remove(2));
    store.append(events).await.unwrap();
    assert_eq!(figures(&*store, "WO 1").await, [1, 0, 0, 1, 1]);
    let good = ready(&*store, "WO 1", "A1", 1).await;
    assert!(entry_of(store.claim(good).await).is_some());
}

pub async fn a_chip_that_was_listed_otherwise_is_told_apart(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![opened("WO 1", 9)]).await.unwrap();
    let other_certificate = ManifestEntry { fingerprint: Some(identity(7).fingerprint), ..listed(1, 2) };
    let other_key = ManifestEntry { spki: Some(identity(7).spki), ..listed(2, 3) };
    let other_uid = ManifestEntry { uid: identity(7).uid, ..listed(3, 4) };
    let entries = vec![other_certificate, other_key, other_uid, listed(4, 5)];
    let (seq, imported) = list_of(&*store, "WO 1", entries.clone()).await;
    for (chip, expected) in [1, 2, 3].into_iter().zip(&entries) {
        let claim = ready(&*store, "WO 1", &format!("A{chip}"), chip).await;
        let place = EntryPlace { seq, imported, line: expected.line };
        assert_eq!(unlisted(store.claim(claim).await), Unlisted::Differs { entry: expected.clone(), place });
    }
    assert_eq!(figures(&*store, "WO 1").await, [4, 0, 0, 4, 3]);
    // A chip that tells no UID is not shown to be the one that is named by it.
    let bare = Claim { identity: Identity { uid: None, ..identity(4) }, ..ready(&*store, "WO 1", "A4", 4).await };
    assert!(matches!(unlisted(store.claim(bare).await), Unlisted::Differs { .. }));
    let good = ready(&*store, "WO 1", "A4", 4).await;
    assert!(entry_of(store.claim(good).await).is_some());
    assert_eq!(figures(&*store, "WO 1").await, [4, 1, 1, 3, 3]);
    // A list that says of the same chips no more than their UIDs takes nothing back of what the other one says.
    let by_uid = |chip, line| ManifestEntry { fingerprint: None, spki: None, ..listed(chip, line) };
    list_of(&*store, "WO 1", vec![by_uid(1, 2), by_uid(2, 3)]).await;
    assert_eq!(figures(&*store, "WO 1").await, [6, 1, 1, 5, 3]);
}

pub async fn two_stations_use_one_entry_once(peer: &dyn Peer) {
    let (here, there) = (peer.open().await, peer.open().await);
    here.append(vec![opened("WO 1", 9)]).await.unwrap();
    list(&*here, "WO 1", &[1, 2]).await;
    let (first, second) = (ready(&*here, "WO 1", "A1", 1).await, ready(&*here, "WO 1", "A2", 1).await);
    let (a, b) = tokio::join!(here.claim(first.clone()), there.claim(second.clone()));
    let (winner, loser) = match (a.unwrap(), b.unwrap()) {
        (ClaimAnswer::Bound(_), ClaimAnswer::Collides(collisions)) => (first, collisions),
        (ClaimAnswer::Collides(collisions), ClaimAnswer::Bound(_)) => (second, collisions),
        both => panic!("one of them has it: {both:?}"),
    };
    // Which entry, and everything else that both share.
    use CollisionRule::{Certificate, Entry, Key, Uid};
    assert_eq!(rules(&loser), [Entry, Certificate, Key, Uid]);
    assert_eq!((&loser[0].unit, loser[0].run), (&winner.unit, Some(winner.run)));
    assert_eq!(loser[0].fingerprint, winner.identity.fingerprint);
    assert_eq!(figures(&*there, "WO 1").await, [2, 1, 1, 1, 0]);
}

pub async fn a_late_list_and_a_ruling_let_a_refused_chip_pass(peer: &dyn Peer) {
    let store = begun(peer).await;
    store.append(vec![opened("WO 1", 9)]).await.unwrap();
    list(&*store, "WO 1", &[1]).await;
    let refused = ready(&*store, "WO 1", "A2", 2).await;
    unlisted(store.claim(refused.clone()).await);
    store.append(vec![failed(refused.run, ReasonCode::CHIP_NOT_SHIPPED)]).await.unwrap();
    let release = || ruled(Ruling::Release { unit: unit("A2") });
    // A ruling alone puts nothing on a vendor's list.
    store.append(vec![release()]).await.unwrap();
    let early = ready(&*store, "WO 1", "A2", 2).await;
    unlisted(store.claim(early.clone()).await);
    store.append(vec![failed(early.run, ReasonCode::CHIP_NOT_SHIPPED)]).await.unwrap();
    list(&*store, "WO 1", &[2]).await;
    // Nor does a list open what failed.
    let locked = ready(&*store, "WO 1", "A2", 2).await;
    assert!(matches!(store.claim(locked).await.unwrap(), ClaimAnswer::Locked(_)));
    store.append(vec![release()]).await.unwrap();
    let good = ready(&*store, "WO 1", "A2", 2).await;
    assert!(entry_of(store.claim(good).await).is_some());
}

pub async fn what_is_listed_since_counts_for_a_run_that_waits(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![opened("WO 1", 9), opened("WO 2", 9)]).await.unwrap();
    let mut held = Vec::new();
    for (batch, chip) in [("WO 1", 1), ("WO 1", 2), ("WO 1", 3), ("WO 2", 4)] {
        let claim = ready(&*store, batch, &format!("A{chip}"), chip).await;
        assert_eq!(entry_of(store.claim(claim.clone()).await), None);
        store.append(vec![sealed(claim.run, Verdict::Held, None)]).await.unwrap();
        held.push(claim);
    }
    let stands =
        async |claim: &Claim| store.obstacle(Some(claim.run), &claim.unit, &claim.identity, None).await.unwrap();
    for claim in &held {
        assert_eq!(stands(claim).await, None);
    }
    let otherwise = ManifestEntry { uid: identity(7).uid, ..listed(3, 3) };
    let (seq, imported) = list_of(&*store, "WO 1", vec![listed(1, 2), otherwise.clone()]).await;
    let absent = Unlisted::Absent { batch: "WO 1".parse().unwrap() };
    let differs = Unlisted::Differs { entry: otherwise, place: EntryPlace { seq, imported, line: 3 } };
    let expected = [None, Some(Obstacle::Unlisted(absent)), Some(Obstacle::Unlisted(differs)), None];
    for (claim, expected) in held.iter().zip(expected) {
        assert_eq!(stands(claim).await, expected, "{}", claim.unit);
    }
    // Whoever looked before the list came is told at the verdict.
    let pass = async |claim: &Claim| store.append(vec![sealed(claim.run, Verdict::Pass, None)]).await;
    for claim in &held[1..3] {
        assert_eq!(pass(claim).await.unwrap_err().code, ReasonCode::PASS_BARRED, "{}", claim.unit);
    }
    for claim in [&held[0], &held[3]] {
        pass(claim).await.unwrap();
    }
    // A further list has it after all.
    list(&*store, "WO 1", &[2]).await;
    assert_eq!(stands(&held[1]).await, None);
    pass(&held[1]).await.unwrap();
}

pub async fn a_list_counts_once_it_is_there_whole(peer: &dyn Peer) {
    let store = peer.open().await;
    store.append(vec![opened("WO 1", 9)]).await.unwrap();
    let list = Sha256::of(b"list");
    let part = |before, entries| line(LineEvent::ManifestListed { list, before, entries });
    store.append(vec![part(0, vec![listed(1, 2)])]).await.unwrap();
    assert_eq!(store.manifest(&"WO 1".parse().unwrap()).await.unwrap(), None);
    let head = store.head().await.unwrap();
    // Cut short, of no batch, empty.
    store.append(vec![taken_in("WO 1", list, 2)]).await.unwrap_err();
    store.append(vec![taken_in("WO 9", list, 1)]).await.unwrap_err();
    store.append(vec![taken_in("WO 1", Sha256::of(b"none"), 0)]).await.unwrap_err();
    assert_eq!(store.head().await.unwrap(), head);
    store.append(vec![part(1, vec![listed(2, 3)]), taken_in("WO 1", list, 2)]).await.unwrap();
    assert_eq!(figures(&*store, "WO 1").await, [2, 0, 0, 2, 0]);
    // Nothing is put on it behind anybody's back.
    store.append(vec![part(2, vec![listed(3, 4)])]).await.unwrap_err();
    let batch = "WO 1".parse().unwrap();
    assert_eq!(store.imported(&batch, list).await.unwrap(), Some(3));
    let asked = vec![listed(3, 1), ManifestEntry { uid: None, spki: None, ..listed(2, 1) }];
    let known = store.known(&batch, asked).await.unwrap();
    assert_eq!(known, [None, Some(EntryPlace { seq: 2, imported: 3, line: 3 })]);
}

pub async fn stored_hashes_are_those_of_the_tree(peer: &dyn Peer) {
    let store = peer.open().await;
    let mut tree = TreeState::default();
    let mut expected = Vec::new();
    for size in [1, 6, 1, 9, 30] {
        let events: Vec<Event> = (0..size).map(|_| line(LineEvent::StationStopped {})).collect();
        for event in &events {
            let leaf = LeafHash::of(&event.encode().unwrap());
            expected.push((Node { level: 0, index: tree.size() }, leaf.0));
            expected.extend(tree.append(leaf));
        }
        store.append(events).await.unwrap();
        let nodes: Vec<Node> = expected.iter().map(|(node, _)| *node).collect();
        let hashes: Vec<[u8; 32]> = expected.iter().map(|(_, hash)| *hash).collect();
        assert_eq!(store.hashes(&nodes).await.unwrap(), hashes);
    }
    let missing = Node { level: 0, index: tree.size() };
    assert_eq!(store.hashes(&[missing]).await.unwrap_err().code, ReasonCode::STORE_CORRUPT);
}

pub async fn a_search_finds_by_every_part(peer: &dyn Peer) {
    let store = peer.open().await;
    let person = store.operator("佐藤", (uuid::Uuid::from_u128(5), [1; 32])).await.unwrap();
    let mut runs = Vec::new();
    for n in 0..6_u32 {
        let serial = format!("GW4-00{n}");
        let run = run_id();
        let mut events = proven(run, &serial, n);
        let batch = if n < 3 { "WO-1" } else { "WO-2" };
        if let Body::Run(RunEvent::RunStarted { batch: of, .. }) = &mut events[0].body {
            *of = Some(batch.parse().unwrap());
        }
        if n == 4 {
            events[0].operator = Some(person.clone());
        }
        events.push(event(
            run,
            RunEvent::RegisterIntended {
                fingerprint: identity(n).fingerprint,
                thing: format!("gw-{serial}").parse().unwrap(),
                targets: vec!["production".parse().unwrap()],
                connect: None,
            },
        ));
        events.push(match n {
            1 => failed(run, ReasonCode::CERTIFICATE_BOUND),
            _ => sealed(run, Verdict::Pass, None),
        });
        for event in &mut events {
            event.at = Timestamp::from_second(1_700_000_000 + i64::from(n) * 100).unwrap();
        }
        store.append(events).await.unwrap();
        runs.push(run);
    }
    let found = async |search: Search| -> Vec<usize> {
        let page = store.search(&search, None, 50).await.unwrap();
        assert_eq!(page.next, None);
        page.items
            .iter()
            .map(|found| match found {
                Found::Run(run) => runs.iter().position(|known| *known == run.run).unwrap(),
                other => panic!("{other:?}"),
            })
            .collect()
    };
    let at = |n: i64| Some(Timestamp::from_second(1_700_000_000 + n * 100).unwrap());
    let text = |text: &str| Some(text.to_owned());
    let sha = identity_certificate(4).to_string();
    let cases: Vec<(Search, Vec<usize>)> = vec![
        (Search::default(), vec![5, 4, 3, 2, 1, 0]),
        (Search { serial: text("GW4-004"), ..Search::default() }, vec![4]),
        (Search { serial: text("GW4-00"), ..Search::default() }, vec![0, 1, 2, 3, 4, 5]),
        (Search { serial: text("GW5"), ..Search::default() }, vec![]),
        (Search { thing: text("gw-GW4-002"), ..Search::default() }, vec![2]),
        (Search { fingerprint: text(&sha), ..Search::default() }, vec![4]),
        (Search { fingerprint: text(&sha[..7]), ..Search::default() }, vec![4]),
        (Search { uid: identity(3).uid.map(|uid| uid.to_string()), ..Search::default() }, vec![3]),
        (Search { batch: Some("WO-1".parse().unwrap()), ..Search::default() }, vec![2, 1, 0]),
        (Search { reason: Some(ReasonCode::CERTIFICATE_BOUND), ..Search::default() }, vec![1]),
        (Search { verdict: Some(Verdict::Fail), ..Search::default() }, vec![1]),
        (Search { operator: Some(person.id), ..Search::default() }, vec![4]),
        (Search { from: at(2), until: at(4), ..Search::default() }, vec![4, 3, 2]),
        (Search { words: text("gateway bound"), ..Search::default() }, vec![1]),
        (Search { words: text("0040"), ..Search::default() }, vec![]),
        (Search { words: text("gw4 00"), ..Search::default() }, vec![5, 4, 3, 2, 1, 0]),
        (Search { words: text("\"' OR *"), ..Search::default() }, vec![]),
        (Search { words: text("--"), ..Search::default() }, vec![]),
        // All that is given must hold.
        (Search { words: text("gateway"), batch: Some("WO-2".parse().unwrap()), ..Search::default() }, vec![5, 4, 3]),
        (Search { serial: text("GW4"), verdict: Some(Verdict::Fail), ..Search::default() }, vec![1]),
        (Search { batch: Some("WO-1".parse().unwrap()), from: at(2), ..Search::default() }, vec![2]),
        (Search { product: Some("other".parse().unwrap()), ..Search::default() }, vec![]),
    ];
    for (search, expected) in cases {
        assert_eq!(found(search.clone()).await, expected, "{search:?}");
    }
    let nonsense = Search { fingerprint: text("xyz"), ..Search::default() };
    assert_eq!(store.search(&nonsense, None, 5).await.unwrap_err().code, ReasonCode::ARGUMENT_REFUSED);
    assert_eq!(store.units("GW4-004").await.unwrap(), [unit("GW4-004")]);
    assert_eq!(store.units("GW4 004").await.unwrap(), []);
}

pub async fn a_search_comes_in_pages(peer: &dyn Peer) {
    let store = peer.open().await;
    for n in 0..25_u32 {
        let run = run_id();
        let mut events = proven(run, &format!("A{:02}", (n * 7) % 25), n);
        events.push(sealed(run, Verdict::Pass, None));
        store.append(events).await.unwrap();
    }
    let now = Some(Timestamp::UNIX_EPOCH);
    let searches = [
        Search::default(),
        Search { serial: Some("A".to_owned()), ..Search::default() },
        Search { fingerprint: Some(String::new()), ..Search::default() },
        Search { verdict: Some(Verdict::Pass), ..Search::default() },
        Search { words: Some("gate".to_owned()), ..Search::default() },
        Search { from: now, ..Search::default() },
    ];
    for search in searches {
        let whole = store.search(&search, None, 50).await.unwrap().items;
        assert_eq!(whole.len(), 25, "{search:?}");
        let mut gathered = Vec::new();
        let mut after = None;
        loop {
            let page = store.search(&search, after.as_ref(), 10).await.unwrap();
            gathered.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(gathered, whole, "{search:?}");
    }
}

pub async fn japanese_words_are_found_by_their_parts(peer: &dyn Peer) {
    let store = peer.open().await;
    let ruling = typed(&*store, "はんだ不良のため再加工した", Ruling::Release { unit: unit("A1") }).await;
    let seq = store.append(vec![ruling]).await.unwrap()[0].seq;
    for words in ["不良", "再加工", "はんだ 不良", "release A1"] {
        let page = store.search(&Search { words: Some(words.to_owned()), ..Search::default() }, None, 5).await.unwrap();
        assert_eq!(page.items.iter().map(Found::seq).collect::<Vec<_>>(), [seq], "{words}");
    }
    let other = Search { words: Some("良品".to_owned()), ..Search::default() };
    assert_eq!(store.search(&other, None, 5).await.unwrap().items, []);
}

pub async fn a_ruling_is_found_by_what_it_refers_to_until_that_is_forgotten(peer: &dyn Peer) {
    let store = peer.open().await;
    let mut ruling = typed(&*store, "solder joint", Ruling::Scrap { unit: unit("A1") }).await;
    let words = "ticket T-77 in locker Q9";
    let salt = [7; 32];
    let sha256 = Sha256::of(&[&salt[..], words.as_bytes()].concat()).to_string();
    let ticket = FreeText { id: uuid::Uuid::from_u128(rand::random()), text_sha256: sha256 };
    store.keep_text(&ticket, salt, words).await.unwrap();
    let Body::Line(LineEvent::Ruled { reason, evidence, references, .. }) = &mut ruling.body else { panic!() };
    let reason = reason.id;
    references.push(ticket.clone());
    evidence.push(Evidence { name: "photo-of-U7.jpg".to_owned(), sha256: Sha256::of(b"photo") });
    let other = typed(&*store, "solder joint", Ruling::Scrap { unit: unit("A2") }).await;
    store.append(vec![other, ruling]).await.unwrap();
    let found = async |words: &str| {
        let search = Search { words: Some(words.to_owned()), ..Search::default() };
        store.search(&search, None, 5).await.unwrap().items.len()
    };
    for words in ["T-77", "locker q9", "U7.jpg", "solder t-7"] {
        assert_eq!(found(words).await, 1, "{words}");
    }
    assert!(store.forget_text(ticket.id).await.unwrap());
    assert_eq!((found("T-77").await, found("solder").await, found("U7.jpg").await), (0, 2, 1));
    store.append(vec![line(LineEvent::TextForgotten { text: ticket.id })]).await.unwrap();
    assert!(store.forget_text(reason).await.unwrap());
    store.append(vec![line(LineEvent::TextForgotten { text: reason })]).await.unwrap();
    assert_eq!((found("solder").await, found("scrap A1").await), (1, 1));
}

pub async fn locked_units_come_in_pages_and_none_is_lost_between_two(peer: &dyn Peer) {
    let store = peer.open().await;
    for chip in 0..3 {
        let (one, other) = (format!("a{chip}:1"), format!("B{chip}"));
        let rows = vec![imported(2, &one, 900 + chip), imported(3, &other, 900 + chip)];
        store.import(rows).await.unwrap();
    }
    let whole = store.locked(None, 50).await.unwrap();
    assert_eq!((whole.items.len(), whole.next), (6, None));
    let serials: Vec<&str> = whole.items.iter().map(|(unit, _)| unit.serial.as_str()).collect();
    assert_eq!(serials, ["a2:1", "B2", "a1:1", "B1", "a0:1", "B0"], "the same in every database");
    for limit in 1..6 {
        let (mut gathered, mut after) = (Vec::new(), None);
        loop {
            let page = store.locked(after.as_ref(), limit).await.unwrap();
            gathered.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(gathered, whole.items, "{limit} at a time");
    }
    let refused = Cursor { value: Some("no lock".to_owned()), seq: 3 };
    assert_eq!(store.locked(Some(&refused), 5).await.unwrap_err().code, ReasonCode::ARGUMENT_REFUSED);
}

pub async fn what_no_log_can_count_to_is_refused_as_asked_for_wrongly(peer: &dyn Peer) {
    let store = peer.open().await;
    let beyond = Some(Cursor { value: None, seq: 1 << 63 });
    let refused = store.search(&Search::default(), beyond.as_ref(), 5).await.unwrap_err();
    assert_eq!(refused.code, ReasonCode::ARGUMENT_REFUSED, "{refused}");
    let refused = store.conflicts(beyond.as_ref(), 5).await.unwrap_err();
    assert_eq!(refused.code, ReasonCode::ARGUMENT_REFUSED, "{refused}");
}

pub async fn a_forgotten_text_is_found_no_more(peer: &dyn Peer) {
    let store = peer.open().await;
    let ruling = typed(&*store, "because Jane said so", Ruling::Scrap { unit: unit("A1") }).await;
    let Body::Line(LineEvent::Ruled { reason, .. }) = &ruling.body else { panic!() };
    let id = reason.id;
    store.append(vec![ruling.clone()]).await.unwrap();
    let jane = Search { words: Some("jane".to_owned()), ..Search::default() };
    assert_eq!(store.search(&jane, None, 5).await.unwrap().items.len(), 1);
    let head = store.tree_head().await.unwrap();
    assert!(store.forget_text(id).await.unwrap());
    assert!(!store.forget_text(id).await.unwrap());
    assert_eq!(store.text(id).await.unwrap(), None);
    assert_eq!(store.search(&jane, None, 5).await.unwrap().items, []);
    let scrap = Search { words: Some("scrap A1".to_owned()), ..Search::default() };
    assert_eq!(store.search(&scrap, None, 5).await.unwrap().items.len(), 1, "the ruling itself stays");
    assert_eq!(store.tree_head().await.unwrap(), head);
}

pub async fn operators_and_their_credentials(peer: &dyn Peer) {
    let store = peer.open().await;
    let who = store.operator("Aoki", (uuid::Uuid::from_u128(1), [1; 32])).await.unwrap();
    assert_eq!(store.operators().await.unwrap(), []);
    assert!(store.credential(who.id).await.unwrap().is_none());
    let pin_hash = "$argon2id$…";
    let committed = Some(Sha256::of(pin_hash.as_bytes()));
    let added = line(LineEvent::OperatorAdded { person: who.clone(), role: Role::Qa, pin_sha256: committed });
    store.give_pin(who.id, pin_hash, added.clone()).await.unwrap();
    let person = store.person("Aoki").await.unwrap().unwrap();
    assert_eq!((person.role, person.disabled, person.name.as_deref()), (Some(Role::Qa), false, Some("Aoki")));
    assert_eq!(store.operators().await.unwrap(), std::slice::from_ref(&person));
    // The answer was lost, and it is done again.
    store.give_pin(who.id, pin_hash, added).await.unwrap();
    let credential = Credential {
        pin_hash: pin_hash.to_owned(),
        failures: 0,
        locked_until: None,
        committed,
        badge_hash: None,
        badge_committed: None,
    };
    assert!(store.credential(who.id).await.unwrap() == Some(credential.clone()) && credential.is_as_committed());
    assert_eq!(store.tree_head().await.unwrap().size, 1);
    let other = Some(Sha256::of(b"another"));
    let reset = line(LineEvent::OperatorReset { person: who.clone(), pin_sha256: other });
    store.append(vec![reset]).await.unwrap();
    assert!(!store.credential(who.id).await.unwrap().unwrap().is_as_committed());
    let reset = line(LineEvent::OperatorReset { person: who.clone(), pin_sha256: None });
    store.append(vec![reset]).await.unwrap();
    assert!(store.credential(who.id).await.unwrap().unwrap().is_as_committed(), "nothing is committed to");
    let now = Timestamp::from_second(2_000_000_000).unwrap();
    for failures in 1..=TRIES + 1 {
        let counted = store.count_wrong_pin(who.id, now).await.unwrap();
        assert_eq!((counted.failures, counted.locked_until), (failures, lockout(failures).map(|wait| now + wait)));
    }
    badges(&*store, &who).await;
    store.append(vec![line(LineEvent::OperatorDisabled { person: who.clone() })]).await.unwrap();
    assert!(store.person("Aoki").await.unwrap().unwrap().disabled);
    assert!(store.forget(who.id).await.unwrap());
    assert_eq!(store.person("Aoki").await.unwrap(), None);
    assert!(store.credential(who.id).await.unwrap().is_none());
    assert_eq!(store.person_by_id(who.id).await.unwrap().unwrap().name, None);
}

/// A badge comes and goes with the event that says so, and is one person's.
async fn badges(store: &dyn Store, who: &OperatorRef) {
    let given = |who: &OperatorRef, hash: &str| {
        line(LineEvent::BadgeGiven { person: who.clone(), badge_sha256: Sha256::of(hash.as_bytes()) })
    };
    let event = given(who, "one");
    store.give_badge(who.id, Some("one"), event.clone()).await.unwrap();
    // The answer was lost, and it is done again.
    store.give_badge(who.id, Some("one"), event).await.unwrap();
    let kept = store.credential(who.id).await.unwrap().unwrap();
    assert!(kept.badge_hash.as_deref() == Some("one") && kept.badge_is_as_committed());
    assert_eq!(store.person_by_badge("one").await.unwrap().unwrap().who, *who);
    assert_eq!(store.person_by_badge("two").await.unwrap(), None);
    // A new PIN takes no badge away.
    let pin_sha256 = Some(Sha256::of(b"$argon2id$2"));
    let reset = line(LineEvent::OperatorReset { person: who.clone(), pin_sha256 });
    store.give_pin(who.id, "$argon2id$2", reset).await.unwrap();
    assert!(store.person_by_badge("one").await.unwrap().is_some());

    let other = store.operator("Baba", (uuid::Uuid::from_u128(77), [77; 32])).await.unwrap();
    let added = LineEvent::OperatorAdded { person: other.clone(), role: Role::Technician, pin_sha256 };
    store.give_pin(other.id, "$argon2id$2", line(added)).await.unwrap();
    let before = store.tree_head().await.unwrap().size;
    store.give_badge(other.id, Some("one"), given(&other, "one")).await.unwrap_err();
    assert_eq!(store.tree_head().await.unwrap().size, before, "nor is the event there without the badge");
    let role = LineEvent::OperatorRole { person: other.clone(), role: Role::Supervisor };
    store.append(vec![line(role)]).await.unwrap();
    assert_eq!(store.person("Baba").await.unwrap().unwrap().role, Some(Role::Supervisor));

    store.give_badge(who.id, None, line(LineEvent::BadgeRevoked { person: who.clone() })).await.unwrap();
    store.give_badge(other.id, Some("one"), given(&other, "one")).await.unwrap();
    assert_eq!(store.person_by_badge("one").await.unwrap().unwrap().who, other);
    // Whoever is taken back has none from before.
    let back = LineEvent::OperatorAdded { person: other.clone(), role: Role::Qa, pin_sha256 };
    store.give_pin(other.id, "$argon2id$2", line(back)).await.unwrap();
    assert_eq!(store.person_by_badge("one").await.unwrap(), None);
    assert!(store.credential(other.id).await.unwrap().unwrap().badge_is_as_committed());
    assert!(store.forget(other.id).await.unwrap());
}

pub async fn checkpoints_gather_signatures_and_never_contradict(peer: &dyn Peer) {
    let store = peer.open().await;
    assert_eq!(store.latest_checkpoint().await.unwrap(), None);
    let note = |root: &str, who: &str| format!("origin\n3\n{root}\n\n— {who} AAAA\n");
    let keep = async |size, note: String| store.keep(&StoredCheckpoint { size, note }).await;
    keep(3, note("abc=", "one")).await.unwrap();
    keep(3, note("abc=", "two")).await.unwrap();
    keep(3, note("abc=", "one")).await.unwrap();
    keep(7, note("def=", "one")).await.unwrap();
    let kept = store.checkpoints(0, 10).await.unwrap();
    assert_eq!(kept.iter().map(|c| c.size).collect::<Vec<_>>(), [3, 7]);
    assert_eq!(kept[0].note, "origin\n3\nabc=\n\n— one AAAA\n— two AAAA\n");
    assert_eq!(store.latest_checkpoint().await.unwrap().unwrap().size, 7);
    assert_eq!(keep(3, note("xyz=", "one")).await.unwrap_err().code, ReasonCode::STORE_CORRUPT);
    assert_eq!(store.checkpoints(4, 10).await.unwrap().len(), 1);
}

pub async fn pieces_that_are_refused_leave_the_others_be(peer: &dyn Peer) {
    let store = peer.open().await;
    let once = run_id();
    store.append(started(once, "A1", None)).await.unwrap();
    store.append(vec![sealed(once, Verdict::Pass, None)]).await.unwrap();
    let before = store.head().await.unwrap().size;
    // All at once, so that they share transactions: every third one is refused.
    let tasks: Vec<_> = (0..48_u32)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                match n % 3 {
                    0 => store.append(vec![sealed(once, Verdict::Pass, None)]).await.is_err(),
                    1 => store.append(vec![line(LineEvent::StationStopped {})]).await.is_ok(),
                    _ => store.claim(claim(&format!("C{n}"), identity(n))).await.is_ok(),
                }
            })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap());
    }
    let head = store.head().await.unwrap();
    assert_eq!(head.size, before + 32);
    let mut tree = TreeState::default();
    for (logged, bytes) in store.events(0, 1000).await.unwrap() {
        assert_eq!(logged.receipt.seq, tree.size());
        tree.append(LeafHash::of(&bytes));
    }
    assert_eq!(tree.head(), head);
}

// ---- The words of the stories above; other tests of stores use them, too.

pub fn station() -> StationName {
    "L1-ST1".parse().unwrap()
}

pub fn unit(serial: &str) -> Unit {
    Unit { product: "gateway".parse().unwrap(), serial: serial.parse().unwrap() }
}

pub fn run_id() -> RunId {
    RunId::from_random(rand::random())
}

/// The chip number `n`: the same number, the same identity.
pub fn identity(n: u32) -> Identity {
    Identity {
        fingerprint: Fingerprint::of(format!("certificate {n}").as_bytes()),
        spki: SpkiHash::of(format!("key {n}").as_bytes()),
        uid: Some(ChipUid::from_bytes(&u128::from(n).to_be_bytes()).unwrap()),
    }
}

pub fn claim(serial: &str, identity: Identity) -> Claim {
    Claim {
        id: EventId::from_random(rand::random()),
        at: now(),
        station: station(),
        operator: None,
        run: run_id(),
        unit: unit(serial),
        identity,
        known: None,
        twin: None,
    }
}

pub fn event(run: RunId, body: RunEvent) -> Event {
    Event { run: Some(run), body: Body::Run(body), ..line(LineEvent::StationStopped {}) }
}

pub fn line(body: LineEvent) -> Event {
    Event {
        v: VERSION,
        id: EventId::from_random(rand::random()),
        at: now(),
        station: station(),
        operator: None,
        run: None,
        body: Body::Line(body),
    }
}

/// A run's first two events: its start and the unit's serial number.
pub fn started(run: RunId, serial: &str, batch: Option<&str>) -> Vec<Event> {
    let device = Device {
        path: "pci-0000:00:14.0-usb-0:3:1.0".parse().unwrap(),
        instance: run.to_string(),
        node: Some("/dev/ttyUSB0".to_owned()),
        usb: Some("0403:6001".parse().unwrap()),
        usb_serial: None,
        interface: Some(0),
        product: None,
        denied: None,
    };
    let begin = RunEvent::RunStarted {
        lane: LaneNumber::try_from(1).unwrap(),
        device,
        profile: "practice".to_owned(),
        product: "gateway".parse().unwrap(),
        batch: batch.map(|name| name.parse().unwrap()),
    };
    let mut events = vec![event(run, begin)];
    if serial.parse::<lineseal::domain::BoardSerial>().is_ok() {
        events.push(event(run, RunEvent::Identified { unit: unit(serial), variables: Variables::new(), again: false }));
    }
    events
}

/// A run up to the proof of the chip number `chip`.
pub fn proven(run: RunId, serial: &str, chip: u32) -> Vec<Event> {
    let certificate = Bytes(format!("certificate {chip}").into_bytes());
    let decision = Decision {
        key: KeyKind::EcP256,
        spki: identity(chip).spki,
        subject: format!("CN=chip {chip}"),
        issuer: "CN=vendor".to_owned(),
        serial: "01".to_owned(),
        not_before: "2020-01-01T00:00:00Z".to_owned(),
        not_after: "9999-12-31T23:59:59Z".to_owned(),
        path: vec![Fingerprint::of(&certificate)],
        uid_in_certificate: None,
        path_as_of: None,
        crls: Vec::new(),
    };
    let reading = Reading { certificate, uid: identity(chip).uid, token: TokenFacts::default() };
    let mut events = started(run, serial, None);
    events.push(event(run, RunEvent::ChipRead { reading }));
    events.push(event(
        run,
        RunEvent::ChallengeAnswered {
            purpose: Purpose::First,
            signature: Bytes(vec![1; 70]),
            scheme: SignatureScheme::EcdsaSecp256r1Sha256,
            decision,
        },
    ));
    events
}

/// The fingerprint of the certificate that [`proven`] reads.
pub fn identity_certificate(chip: u32) -> Fingerprint {
    Fingerprint::of(format!("certificate {chip}").as_bytes())
}

pub fn failed(run: RunId, code: ReasonCode) -> Event {
    let reason = Some(Failure::new(code, "held by another, bound since"));
    event(run, RunEvent::Sealed { verdict: Verdict::Fail, reason, slip: None, label: None })
}

pub fn ruled(ruling: Ruling) -> Event {
    let reason = FreeText { id: uuid::Uuid::from_u128(rand::random()), text_sha256: "0".repeat(64) };
    by_officials(ruling, reason)
}

/// Those in whose names rulings are made here.
const OFFICIALS: [(&str, u128); 2] = [("Official 1", 0x0ff1), ("Official 2", 0x0ff2)];

fn official(n: usize) -> OperatorRef {
    let (name, id) = OFFICIALS[n];
    let name_sha256 = Sha256::of(&[&[n as u8; 32][..], name.as_bytes()].concat()).to_string();
    OperatorRef { id: uuid::Uuid::from_u128(id), name_sha256 }
}

fn by_officials(ruling: Ruling, reason: FreeText) -> Event {
    let mut event = line(LineEvent::Ruled {
        ruling,
        second: Some(official(1)),
        persons: Some(Persons::Two),
        reason,
        evidence: Vec::new(),
        references: Vec::new(),
    });
    event.operator = Some(official(0));
    event
}

/// Of what `chip`'s unit has in one target.
pub fn withdrawal(serial: &str) -> Event {
    let holding = Holding {
        target: "main".parse().unwrap(),
        certificates: vec![identity(1).fingerprint],
        things: vec![format!("gw-{serial}").parse().unwrap()],
        intended: Vec::new(),
        policies: vec!["device".parse().unwrap()],
        unanswered: Vec::new(),
    };
    ruled(Ruling::Withdraw { unit: unit(serial), act: Withdrawal::Deactivate, targets: vec![holding] })
}

pub fn withdrawn(by: &Event, serial: &str, failure: Option<Failure>) -> Event {
    let changed = failure.is_none().then(|| "inactive".to_owned());
    let (unit, target, changed) = (unit(serial), "main".parse().unwrap(), changed.into_iter().collect());
    line(LineEvent::Withdrawn { by: by.id, unit, target, changed, found: Vec::new(), failure })
}

/// Makes the log know those who rule here.
pub async fn officials(store: &dyn Store) {
    for (n, (name, id)) in OFFICIALS.into_iter().enumerate() {
        let person = store.operator(name, (uuid::Uuid::from_u128(id), [n as u8; 32])).await.unwrap();
        assert_eq!(person, official(n));
        let pin_sha256 = Some(Sha256::of(name.as_bytes()));
        let added = line(LineEvent::OperatorAdded { person, role: Role::Administrator, pin_sha256 });
        store.give_pin(uuid::Uuid::from_u128(id), name, added).await.unwrap();
    }
}

/// A ruling whose reason is kept.
pub async fn typed(store: &dyn Store, words: &str, ruling: Ruling) -> Event {
    committed(store, words, ruled(ruling)).await
}

/// With a reason that is kept.
pub async fn committed(store: &dyn Store, words: &str, mut event: Event) -> Event {
    let salt: [u8; 32] = rand::random();
    let salted = [&salt[..], words.as_bytes()].concat();
    let id = uuid::Uuid::from_u128(rand::random());
    let reason = FreeText { id, text_sha256: Sha256::of(&salted).to_string() };
    store.keep_text(&reason, salt, words).await.unwrap();
    let Body::Line(LineEvent::Ruled { reason: unkept, .. }) = &mut event.body else { panic!("{event:?}") };
    *unkept = reason;
    event
}

pub fn imported(line_number: u64, serial: &str, chip: u32) -> Event {
    line(LineEvent::Imported {
        source: ImportSource { file: Sha256::of(b"history.csv"), line: line_number },
        unit: unit(serial),
        fingerprint: identity(chip).fingerprint,
        spki: None,
        certificate: None,
        uid: None,
        thing: None,
        date: None,
        conflicts: Vec::new(),
    })
}

fn conflicts_of(event: &Event) -> &[ImportConflict] {
    match &event.body {
        Body::Line(LineEvent::Imported { conflicts, .. }) => conflicts,
        other => panic!("{other:?}"),
    }
}

pub fn sealed(run: RunId, verdict: Verdict, label: Option<LabelKind>) -> Event {
    let reason = (verdict != Verdict::Pass).then(|| Failure::new(ReasonCode::CLOUD_UNREACHABLE, "no route"));
    event(run, RunEvent::Sealed { verdict, reason, slip: (verdict == Verdict::Held).then_some(7), label })
}

pub fn opened(batch: &str, planned: u64) -> Event {
    line(LineEvent::BatchOpened {
        batch: batch.parse().unwrap(),
        profile: "practice".to_owned(),
        product: "gateway".parse().unwrap(),
        planned,
    })
}

pub fn closed(batch: &str) -> Event {
    line(LineEvent::BatchClosed { batch: batch.parse().unwrap() })
}

fn now() -> Timestamp {
    SystemClock.now()
}

fn ids(logs: &[RunLog]) -> Vec<RunId> {
    logs.iter().map(|log| log.run).collect()
}

fn rules(collisions: &[Collision]) -> Vec<CollisionRule> {
    collisions.iter().map(|collision| collision.rule).collect()
}

pub fn bound(answer: Result<ClaimAnswer, Failure>) -> (Event, Standing, Option<LabelStatus>) {
    match answer.unwrap() {
        ClaimAnswer::Bound(bound) => (bound.event.event, bound.standing, bound.label),
        refused => panic!("{refused:?}"),
    }
}

pub fn collides(answer: Result<ClaimAnswer, Failure>) -> Vec<Collision> {
    match answer.unwrap() {
        ClaimAnswer::Collides(collisions) => collisions,
        other => panic!("no collision: {other:?}"),
    }
}
