use super::memory::{Memory, name, pin};
use crate::audit::LineEvent;
use crate::domain::{Failure, ReasonCode, Role, TRIES};
use crate::ports::People as _;
use crate::runner::LogWriter;
use crate::runner::people::{SignedIn, add, disable, forget, reset, sign_in};

const LOCK: jiff::SignedDuration = jiff::SignedDuration::from_mins(61);

fn code<T: std::fmt::Debug>(answer: Result<T, Failure>) -> ReasonCode {
    answer.unwrap_err().code
}

/// As what `who` signs in with this PIN.
async fn role(log: &LogWriter, memory: &Memory, who: &str, text: &str) -> Result<Role, ReasonCode> {
    let signed = sign_in(log, memory, who, &pin(text), &Role::ALL).await;
    signed.map(|signed| signed.role()).map_err(|failure| failure.code)
}

#[tokio::test]
async fn the_first_operator_is_an_administrator_and_the_only_one_nobody_vouches_for() {
    let (memory, log) = Memory::new();
    let aiko = name("Aiko");
    for other in [Role::Technician, Role::Qa, Role::Supervisor] {
        assert_eq!(code(add(&log, &*memory, None, &aiko, other, &pin("aiko-pin")).await), ReasonCode::NOT_NOW);
    }
    assert!(memory.events().is_empty());
    add(&log, &*memory, None, &aiko, Role::Administrator, &pin("aiko-pin")).await.unwrap();
    let second = add(&log, &*memory, None, &name("Ben"), Role::Administrator, &pin("bens-pin")).await;
    assert_eq!(code(second), ReasonCode::OPERATOR_ROLE);
    assert!(memory.person("Ben").await.unwrap().is_none());
}

#[tokio::test]
async fn only_an_administrator_changes_people() {
    let (memory, log, root) = Memory::with_administrator().await;
    for (who, role) in [("Tech", Role::Technician), ("Qa", Role::Qa), ("Super", Role::Supervisor)] {
        add(&log, &*memory, Some(&root), &name(who), role, &pin("some-pin")).await.unwrap();
        let by = sign_in(&log, &*memory, who, &pin("some-pin"), &Role::ALL).await.unwrap();
        let before = memory.events().len();
        let friend = add(&log, &*memory, Some(&by), &name("Friend"), Role::Administrator, &pin("some-pin")).await;
        assert_eq!(code(friend), ReasonCode::OPERATOR_ROLE);
        assert_eq!(code(disable(&log, &*memory, &by, "Root").await), ReasonCode::OPERATOR_ROLE);
        assert_eq!(code(reset(&log, &*memory, &by, "Root", &pin("some-pin")).await), ReasonCode::OPERATOR_ROLE);
        assert_eq!(code(forget(&log, &*memory, &by, "Root").await), ReasonCode::OPERATOR_ROLE);
        assert_eq!(memory.events().len(), before);
    }
}

#[tokio::test]
async fn every_change_is_an_event_in_the_name_of_who_made_it() {
    let (memory, log, root) = Memory::with_administrator().await;
    let person = add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    reset(&log, &*memory, &root, "Aiko", &pin("new-aiko-pin")).await.unwrap();
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    add(&log, &*memory, Some(&root), &name("Aiko"), Role::Supervisor, &pin("newer-pin")).await.unwrap();
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    forget(&log, &*memory, &root, "Aiko").await.unwrap();
    let by_root = |event| (Some("Root".to_owned()), event);
    let expected = [
        // Nobody had signed in who could vouch for the first.
        (Some("Root".to_owned()), LineEvent::OperatorNamed {}),
        (
            None,
            LineEvent::OperatorAdded { person: root.operator().clone(), role: Role::Administrator, pin_sha256: None },
        ),
        (Some("forgotten".to_owned()), LineEvent::OperatorNamed {}),
        by_root(LineEvent::OperatorAdded { person: person.clone(), role: Role::Qa, pin_sha256: None }),
        by_root(LineEvent::OperatorReset { person: person.clone(), pin_sha256: None }),
        by_root(LineEvent::OperatorDisabled { person: person.clone() }),
        by_root(LineEvent::OperatorAdded { person: person.clone(), role: Role::Supervisor, pin_sha256: None }),
        by_root(LineEvent::OperatorDisabled { person: person.clone() }),
        by_root(LineEvent::PersonForgotten { person: person.id }),
    ];
    let mut events = memory.events();
    let mut committed = std::collections::BTreeSet::new();
    for (_, event) in &mut events {
        if let LineEvent::OperatorAdded { pin_sha256, .. } | LineEvent::OperatorReset { pin_sha256, .. } = event {
            assert!(committed.insert(pin_sha256.take().unwrap()), "each PIN has a salt of its own");
        }
    }
    assert_eq!(events, expected);
    assert!(!memory.bytes().contains("Aiko"));
}

#[tokio::test]
async fn an_operator_is_not_added_twice_and_comes_back_with_a_new_pin_and_role() {
    let (memory, log, root) = Memory::with_administrator().await;
    let aiko = name("Aiko");
    add(&log, &*memory, Some(&root), &aiko, Role::Technician, &pin("aiko-pin")).await.unwrap();
    // Nobody's PIN or role is changed by adding.
    let again = add(&log, &*memory, Some(&root), &aiko, Role::Administrator, &pin("other-pin")).await;
    assert_eq!(code(again), ReasonCode::NOT_NOW);
    assert_eq!(role(&log, &memory, "Aiko", "aiko-pin").await, Ok(Role::Technician));
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    assert_eq!(code(disable(&log, &*memory, &root, "Aiko").await), ReasonCode::NOT_NOW);
    add(&log, &*memory, Some(&root), &aiko, Role::Qa, &pin("other-pin")).await.unwrap();
    assert_eq!(role(&log, &memory, "Aiko", "other-pin").await, Ok(Role::Qa));
    assert_eq!(role(&log, &memory, "Aiko", "aiko-pin").await, Err(ReasonCode::OPERATOR_PIN));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let (memory, log, root) = Memory::with_administrator().await;
    assert_eq!(code(disable(&log, &*memory, &root, "Root").await), ReasonCode::NOT_NOW);
    add(&log, &*memory, Some(&root), &name("Deputy"), Role::Administrator, &pin("some-pin")).await.unwrap();
    disable(&log, &*memory, &root, "Deputy").await.unwrap();
    // One who is disabled is none.
    assert_eq!(code(disable(&log, &*memory, &root, "Root").await), ReasonCode::NOT_NOW);
    add(&log, &*memory, Some(&root), &name("Deputy"), Role::Administrator, &pin("some-pin")).await.unwrap();
    disable(&log, &*memory, &root, "Root").await.unwrap();
}

#[tokio::test]
async fn a_reset_replaces_the_pin_and_ends_the_lock() {
    let (memory, log, root) = Memory::with_administrator().await;
    add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    for _ in 0..TRIES {
        assert_eq!(role(&log, &memory, "Aiko", "no-idea").await, Err(ReasonCode::OPERATOR_PIN));
    }
    assert_eq!(role(&log, &memory, "Aiko", "aiko-pin").await, Err(ReasonCode::OPERATOR_LOCKED));
    reset(&log, &*memory, &root, "Aiko", &pin("new-aiko-pin")).await.unwrap();
    assert_eq!(role(&log, &memory, "Aiko", "new-aiko-pin").await, Ok(Role::Qa));
    assert_eq!(role(&log, &memory, "Aiko", "aiko-pin").await, Err(ReasonCode::OPERATOR_PIN));

    // It brings nobody back, and makes nobody an operator.
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    for who in ["Aiko", "Nobody"] {
        assert_eq!(code(reset(&log, &*memory, &root, who, &pin("some-pin")).await), ReasonCode::NOT_NOW);
    }
}

#[tokio::test]
async fn an_operator_is_forgotten_only_after_being_disabled_and_never_known_again() {
    let (memory, log, root) = Memory::with_administrator().await;
    let person = add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    assert_eq!(code(forget(&log, &*memory, &root, "Aiko").await), ReasonCode::NOT_NOW);
    disable(&log, &*memory, &root, "Aiko").await.unwrap();
    forget(&log, &*memory, &root, "Aiko").await.unwrap();
    assert!(memory.person("Aiko").await.unwrap().is_none());
    assert!(memory.credential(person.id).await.unwrap().is_none());
    assert_eq!(memory.person_by_id(person.id).await.unwrap().unwrap().name, None);
    assert_eq!(code(forget(&log, &*memory, &root, "Aiko").await), ReasonCode::NOT_NOW);
    // The same name is somebody else from here on.
    let other = add(&log, &*memory, Some(&root), &name("Aiko"), Role::Qa, &pin("aiko-pin")).await.unwrap();
    assert_ne!(other.id, person.id);
    // Somebody who was only ever named with --as can go as well.
    log.clone().named("Passer-by").await.unwrap();
    forget(&log, &*memory, &root, "Passer-by").await.unwrap();
}

/// Power fails before the n-th write, for each n: what is left gives nobody more than was theirs
/// before, and the same command, repeated, brings it to its end.
#[tokio::test]
async fn a_command_cut_off_anywhere_leaves_nothing_unsafe_and_can_be_repeated() {
    #[derive(Debug, Clone, Copy)]
    enum Act {
        AddNew,
        AddBack,
        Disable,
        Reset,
        Forget,
    }
    async fn act(act: Act, log: &LogWriter, memory: &Memory, root: &SignedIn) -> Result<(), Failure> {
        match act {
            Act::AddNew => {
                add(log, memory, Some(root), &name("New"), Role::Administrator, &pin("new-pin")).await.map(drop)
            }
            Act::AddBack => {
                add(log, memory, Some(root), &name("Gone"), Role::Administrator, &pin("new-pin")).await.map(drop)
            }
            Act::Disable => disable(log, memory, root, "Here").await,
            Act::Reset => reset(log, memory, root, "Here", &pin("new-pin")).await,
            Act::Forget => forget(log, memory, root, "Gone").await,
        }
    }
    for case in [Act::AddNew, Act::AddBack, Act::Disable, Act::Reset, Act::Forget] {
        for writes in 0.. {
            let (memory, log, root) = Memory::with_administrator().await;
            for who in ["Here", "Gone"] {
                add(&log, &*memory, Some(&root), &name(who), Role::Technician, &pin("old-pin")).await.unwrap();
            }
            disable(&log, &*memory, &root, "Gone").await.unwrap();
            let events = memory.events().len();
            memory.fail_after(Some(writes));
            let cut_off = act(case, &log, &memory, &root).await.is_err();
            memory.fail_after(None);
            if cut_off {
                // The disabled stay so, under either PIN, and nobody new may do anything.
                for (who, text) in [("New", "new-pin"), ("Gone", "new-pin"), ("Gone", "old-pin")] {
                    let answer = role(&log, &memory, who, text).await;
                    assert_eq!(answer, Err(ReasonCode::OPERATOR_UNKNOWN), "{case:?} cut off at {writes}: {who}");
                }
                // Whoever has a PIN that counts has it by an event.
                let known = role(&log, &memory, "Here", "new-pin").await;
                assert_eq!(known, Err(ReasonCode::OPERATOR_PIN), "{case:?} cut off at {writes}");
                // A name is gone only where the log says so.
                if memory.person("Gone").await.unwrap().is_none() {
                    assert!(memory.events().len() > events, "{case:?} cut off at {writes}");
                }
                memory.wait(LOCK);
                act(case, &log, &memory, &root).await.unwrap();
            }
            let done = match case {
                Act::AddNew => role(&log, &memory, "New", "new-pin").await == Ok(Role::Administrator),
                Act::AddBack => role(&log, &memory, "Gone", "new-pin").await == Ok(Role::Administrator),
                Act::Disable => role(&log, &memory, "Here", "old-pin").await == Err(ReasonCode::OPERATOR_UNKNOWN),
                Act::Reset => role(&log, &memory, "Here", "new-pin").await == Ok(Role::Technician),
                Act::Forget => memory.person("Gone").await.unwrap().is_none(),
            };
            assert!(done, "{case:?} cut off at {writes}");
            if !cut_off {
                break;
            }
        }
    }
}

/// A ruling takes two persons, and whoever reads it has to see that they are two.
#[tokio::test]
async fn nobody_is_added_under_a_name_that_looks_like_anothers() {
    let (memory, log, root) = Memory::with_administrator().await;
    add(&log, &*memory, Some(&root), &name("qa1"), Role::Qa, &pin("some-pin")).await.unwrap();
    for alike in ["QA1", "qal", "q\u{430}1"] {
        let refused = add(&log, &*memory, Some(&root), &name(alike), Role::Qa, &pin("some-pin")).await.unwrap_err();
        assert_eq!(refused.code, ReasonCode::NOT_NOW, "{alike}");
        assert!(refused.cause.contains("looks like qa1"), "{refused}");
        assert!(memory.person(alike).await.unwrap().is_none());
    }
    // Under one's own name one comes back.
    disable(&log, &*memory, &root, "qa1").await.unwrap();
    add(&log, &*memory, Some(&root), &name("qa1"), Role::Qa, &pin("some-pin")).await.unwrap();
    add(&log, &*memory, Some(&root), &name("qa2"), Role::Qa, &pin("some-pin")).await.unwrap();
}
