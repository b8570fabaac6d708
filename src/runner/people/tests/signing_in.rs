use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::SignedDuration;

use super::memory::{Memory, name, pin};
use crate::audit::LineEvent;
use crate::domain::{Failure, ReasonCode, Role, TRIES};
use crate::ports::People as _;
use crate::runner::LogWriter;
use crate::runner::people::{SignedIn, add, disable, reset, sign_in};

/// The longest lock, and a little more.
const LOCK: SignedDuration = SignedDuration::from_mins(61);

/// `Root` signs in with this PIN, as anything.
async fn root(log: &LogWriter, memory: &Memory, text: &str) -> Result<SignedIn, Failure> {
    sign_in(log, memory, "Root", &pin(text), &Role::ALL).await
}

fn code<T: std::fmt::Debug>(answer: Result<T, Failure>) -> ReasonCode {
    answer.unwrap_err().code
}

#[tokio::test]
async fn a_name_and_its_pin_are_one_person_and_nothing_else_is() {
    let (memory, log, signed) = Memory::with_administrator().await;
    assert_eq!((signed.name(), signed.role()), ("Root", Role::Administrator));
    assert_eq!(signed.operator(), &memory.person("Root").await.unwrap().unwrap().who);

    assert_eq!(code(root(&log, &memory, "root-pim").await), ReasonCode::OPERATOR_PIN);
    let unknown = sign_in(&log, &*memory, "root", &pin("root-pin"), &Role::ALL).await;
    assert_eq!(code(unknown), ReasonCode::OPERATOR_UNKNOWN);
    // Named in the log once, but never added.
    log.clone().named("Passer-by").await.unwrap();
    let named = sign_in(&log, &*memory, "Passer-by", &pin("root-pin"), &Role::ALL).await;
    assert_eq!(code(named), ReasonCode::OPERATOR_UNKNOWN);
}

#[tokio::test]
async fn who_was_disabled_signs_in_no_more() {
    let (memory, log, root) = Memory::with_administrator().await;
    add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    sign_in(&log, &*memory, "Aiko", &pin("aiko-pin"), &[Role::Qa]).await.unwrap();
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    let refused = sign_in(&log, &*memory, "Aiko", &pin("aiko-pin"), &[Role::Qa]).await;
    assert_eq!(code(refused), ReasonCode::OPERATOR_UNKNOWN);
}

/// Whoever can write to the database gives somebody a PIN of their own choice.
#[tokio::test]
async fn a_pin_that_was_put_past_the_log_opens_nothing_and_an_administrator_mends_it() {
    let (memory, log, root) = Memory::with_administrator().await;
    let aiko = add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    let mallory = add(&log, &*memory, Some(&root), &name("Mallory"), Role::Technician, &pin("evil-pin")).await.unwrap();
    let own = memory.pin_hash(aiko.id);
    memory.put_pin_hash(aiko.id, &memory.pin_hash(mallory.id));
    for text in ["evil-pin", "aiko-pin"] {
        let refused = sign_in(&log, &*memory, "Aiko", &pin(text), &[Role::Qa]).await;
        assert_eq!(code(refused), ReasonCode::OPERATOR_PIN_ALTERED);
    }
    memory.put_pin_hash(aiko.id, &own);
    sign_in(&log, &*memory, "Aiko", &pin("aiko-pin"), &[Role::Qa]).await.unwrap();
    // An old PIN put back is none, either.
    reset(&log, &*memory, &root, "Aiko", &pin("new-pin")).await.unwrap();
    memory.put_pin_hash(aiko.id, &own);
    let refused = sign_in(&log, &*memory, "Aiko", &pin("aiko-pin"), &[Role::Qa]).await;
    assert_eq!(code(refused), ReasonCode::OPERATOR_PIN_ALTERED);
    reset(&log, &*memory, &root, "Aiko", &pin("new-pin")).await.unwrap();
    sign_in(&log, &*memory, "Aiko", &pin("new-pin"), &[Role::Qa]).await.unwrap();
}

#[tokio::test]
async fn a_pin_that_an_older_program_gave_opens_what_it_opened() {
    let (memory, log, root) = Memory::with_administrator().await;
    memory.uncommit(root.operator().id);
    sign_in(&log, &*memory, "Root", &pin("root-pin"), &Role::ALL).await.unwrap();
}

#[tokio::test]
async fn another_role_is_refused_and_told_which() {
    let (memory, log, _) = Memory::with_administrator().await;
    let refused = sign_in(&log, &*memory, "Root", &pin("root-pin"), &[Role::Qa, Role::Supervisor]).await.unwrap_err();
    assert_eq!((refused.code, refused.args["roles"].as_str()), (ReasonCode::OPERATOR_ROLE, "qa / supervisor"));
}

#[tokio::test]
async fn five_wrong_pins_in_a_row_lock_and_each_further_one_for_longer() {
    let (memory, log, person) = Memory::with_administrator().await;
    for _ in 1..TRIES {
        assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::OPERATOR_PIN);
    }
    for minutes in [1, 5, 15, 60, 60] {
        assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::OPERATOR_PIN);
        // The right one is not even looked at.
        let locked = root(&log, &memory, "root-pin").await.unwrap_err();
        assert_eq!((locked.code, &locked.args["minutes"]), (ReasonCode::OPERATOR_LOCKED, &minutes.to_string()));
        memory.wait(SignedDuration::from_mins(minutes) - SignedDuration::from_secs(1));
        let locked = root(&log, &memory, "root-pin").await.unwrap_err();
        assert_eq!((locked.code, locked.args["minutes"].as_str()), (ReasonCode::OPERATOR_LOCKED, "1"));
        memory.wait(SignedDuration::from_secs(1));
    }
    root(&log, &memory, "root-pin").await.unwrap();

    // Each wrong PIN is in the log, from the fifth on as one that locked.
    let who = person.operator().clone();
    let refused = |locked| (None, LineEvent::SignInRefused { person: who.clone(), locked });
    let events = memory.events();
    let last: Vec<_> = events[events.len() - 9..].to_vec();
    let expected: Vec<_> = [false, false, false, false, true, true, true, true, true].map(refused).to_vec();
    assert_eq!(last, expected);
}

#[tokio::test]
async fn a_right_pin_sets_the_count_to_zero_and_a_lock_that_is_over_gives_one_try() {
    let (memory, log, _) = Memory::with_administrator().await;
    for _ in 0..3 {
        for _ in 0..TRIES - 1 {
            assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::OPERATOR_PIN);
        }
        root(&log, &memory, "root-pin").await.unwrap();
    }
    for _ in 0..TRIES {
        assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::OPERATOR_PIN);
    }
    memory.wait(LOCK);
    assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::OPERATOR_PIN);
    assert_eq!(code(root(&log, &memory, "root-pin").await), ReasonCode::OPERATOR_LOCKED);
}

#[tokio::test]
async fn of_many_tries_at_once_no_more_are_looked_at_than_one_after_the_other() {
    const AT_ONCE: usize = 20;
    let (memory, log, _) = Memory::with_administrator().await;
    memory.meet(AT_ONCE);
    // After a lock there is one.
    for expected in [TRIES, 1, 1] {
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..AT_ONCE {
            let (log, memory) = (log.clone(), memory.clone());
            tries.spawn(async move { code(root(&log, &memory, "wrong-pin").await) });
        }
        let mut looked_at = 0;
        for answer in tries.join_all().await {
            looked_at += u32::from(answer == ReasonCode::OPERATOR_PIN);
        }
        assert_eq!(looked_at, expected);
        memory.wait(LOCK);
    }
}

#[tokio::test]
async fn a_try_that_is_killed_counts() {
    let (memory, log, signed) = Memory::with_administrator().await;
    memory.fail_after(Some(1));
    assert_eq!(code(root(&log, &memory, "wrong-pin").await), ReasonCode::STORE_FAILED);
    // Nor does anybody sign in whose try could not be counted.
    memory.fail_after(Some(0));
    assert_eq!(code(root(&log, &memory, "root-pin").await), ReasonCode::STORE_FAILED);
    assert_eq!(memory.credential(signed.operator().id).await.unwrap().unwrap().failures, 1);
}

#[tokio::test]
async fn a_stored_hash_that_is_none_is_damage_and_no_wrong_pin() {
    let (memory, log, signed) = Memory::with_administrator().await;
    let who = signed.operator().id;
    let pin_hash = memory.pin_hash(who);
    assert!(pin_hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{pin_hash}");
    memory.uncommit(who);
    memory.put_pin_hash(who, "root-pin");
    assert_eq!(code(root(&log, &memory, "root-pin").await), ReasonCode::STORE_CORRUPT);
}

/// The time that a refusal takes must not tell who exists: a hash is computed either way.
#[test]
fn a_hash_is_computed_for_people_who_do_not_exist_as_well() {
    for name in ["Root", "Nobody"] {
        let threads = Arc::new(AtomicU32::new(0));
        let counter = threads.clone();
        // The one thing that is given a thread of its own is a hash.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .on_thread_start(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            })
            .build()
            .unwrap();
        let (memory, log, _) = tokio::runtime::Runtime::new().unwrap().block_on(Memory::with_administrator());
        runtime.block_on(sign_in(&log, &*memory, name, &pin("wrong-pin"), &Role::ALL)).unwrap_err();
        assert_eq!(threads.load(Ordering::Relaxed), 1, "{name}");
    }
}

#[tokio::test]
async fn no_pin_is_in_an_event_an_error_or_what_is_kept() {
    let secret = "73509182645";
    let (memory, log) = Memory::new();
    let person = name("Root");
    add(&log, &*memory, None, &person, Role::Administrator, &pin(secret)).await.unwrap();
    let signed = root(&log, &memory, secret).await.unwrap();
    let wrong = root(&log, &memory, "735091826450").await.unwrap_err();
    let role = sign_in(&log, &*memory, "Root", &pin(secret), &[]).await.unwrap_err();
    let unknown = sign_in(&log, &*memory, "Nobody", &pin(secret), &Role::ALL).await.unwrap_err();
    let kept = memory.credential(signed.operator().id).await.unwrap().unwrap().pin_hash;
    let said = format!("{signed:?} {wrong:?} {wrong} {role:?} {unknown:?} {kept} {} {:?}", memory.bytes(), pin(secret));
    assert!(!said.contains(secret), "{said}");
}
