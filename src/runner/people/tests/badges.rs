use jiff::SignedDuration;

use super::memory::{Key, Memory, badge, name, pin};
use crate::audit::LineEvent;
use crate::domain::{Failure, OperatorRef, Proof, ReasonCode, Role, Sha256, TRIES};
use crate::ports::{BadgeKey as _, People as _};
use crate::runner::LogWriter;
use crate::runner::people::{
    Guesses, SignedIn, add, by_badge, change_role, disable, forget, give_badge, reset, revoke_badge, sign_in,
};

const CODE: &str = "00417350918";

fn code<T: std::fmt::Debug>(answer: Result<T, Failure>) -> ReasonCode {
    answer.unwrap_err().code
}

/// A technician with a badge, beside the administrator.
struct Line {
    memory: std::sync::Arc<Memory>,
    log: LogWriter,
    root: SignedIn,
    tess: OperatorRef,
    key: Key,
    guesses: Guesses,
}

impl Line {
    async fn new() -> Line {
        let (memory, log, root) = Memory::with_administrator().await;
        let role = Role::Technician;
        let tess = add(&log, &*memory, Some(&root), &name("Tess"), role, &pin("tess-pin")).await.unwrap();
        let key = Key::default();
        give_badge(&log, &*memory, &key, &root, "Tess", &badge(CODE)).await.unwrap();
        Line { memory, log, root, tess, key, guesses: Guesses::default() }
    }

    async fn scan(&mut self, text: &str) -> Result<SignedIn, Failure> {
        by_badge(&self.log, &*self.memory, &self.key, &mut self.guesses, &badge(text)).await
    }

    async fn give(&self, who: &str, text: &str) -> Result<(), Failure> {
        give_badge(&self.log, &*self.memory, &self.key, &self.root, who, &badge(text)).await
    }
}

#[tokio::test]
async fn a_badge_is_one_person_who_operates_and_does_nothing_else() {
    let mut line = Line::new().await;
    let signed = line.scan(CODE).await.unwrap();
    assert_eq!((signed.name(), signed.role(), signed.proof()), ("Tess", Role::Technician, Proof::Badge));
    assert_eq!(signed.operator(), &line.tess);
    assert_eq!(code(line.scan("00417350919").await), ReasonCode::BADGE_UNKNOWN);

    // Of an administrator, too, a badge alone manages nobody, and rules on nothing.
    line.give("Root", "00417350000").await.unwrap();
    let by_copy = line.scan("00417350000").await.unwrap();
    assert_eq!(code(by_copy.has_one_of(&[Role::Administrator])), ReasonCode::PIN_NEEDED);
    let (log, memory) = (&line.log, &*line.memory);
    assert_eq!(code(disable(log, memory, &by_copy, "Tess").await), ReasonCode::PIN_NEEDED);
    assert_eq!(code(reset(log, memory, &by_copy, "Tess", &pin("evil-pin")).await), ReasonCode::PIN_NEEDED);
    // With the PIN after it, it does.
    let whole = sign_in(log, memory, "Root", &pin("root-pin"), &Role::ALL).await.unwrap().with_badge();
    assert_eq!(whole.proof(), Proof::BadgeAndPin);
    disable(log, memory, &whole, "Tess").await.unwrap();
}

#[tokio::test]
async fn a_badge_that_was_revoked_lost_its_person_or_was_replaced_opens_nothing() {
    let mut line = Line::new().await;
    line.give("Tess", "00417350777").await.unwrap();
    assert_eq!(code(line.scan(CODE).await), ReasonCode::BADGE_UNKNOWN);
    line.scan("00417350777").await.unwrap();
    revoke_badge(&line.log, &*line.memory, &line.root, "Tess").await.unwrap();
    assert_eq!(code(line.scan("00417350777").await), ReasonCode::BADGE_UNKNOWN);
    assert_eq!(code(revoke_badge(&line.log, &*line.memory, &line.root, "Tess").await), ReasonCode::NOT_NOW);
    // Nobody's again, it may be given to anybody.
    line.give("Root", "00417350777").await.unwrap();
    assert_eq!(code(line.give("Tess", "00417350777").await), ReasonCode::BADGE_TAKEN);

    line.give("Tess", CODE).await.unwrap();
    disable(&line.log, &*line.memory, &line.root, "Tess").await.unwrap();
    assert_eq!(code(line.scan(CODE).await), ReasonCode::BADGE_UNKNOWN);
    assert_eq!(code(line.give("Tess", "00417351111").await), ReasonCode::NOT_NOW);
    // Who is taken back has no badge from before.
    let role = Role::Qa;
    add(&line.log, &*line.memory, Some(&line.root), &name("Tess"), role, &pin("tess-pin")).await.unwrap();
    assert_eq!(code(line.scan(CODE).await), ReasonCode::BADGE_UNKNOWN);
    disable(&line.log, &*line.memory, &line.root, "Tess").await.unwrap();
    forget(&line.log, &*line.memory, &line.root, "Tess").await.unwrap();
    line.give("Root", CODE).await.unwrap();
}

/// Whoever can write to the database has no badge made by that; whoever can read it finds none by trying.
#[tokio::test]
async fn what_is_in_the_database_alone_opens_nothing_and_tells_nothing() {
    let mut line = Line::new().await;
    let root = line.root.operator().id;
    let own = line.memory.credential(line.tess.id).await.unwrap().unwrap().badge_hash.unwrap();
    // The thief of the database tries the right code, with a key of their own.
    let other = Key::default();
    other.keep(secrecy::SecretBox::new(Box::new([9; 32]))).await.unwrap();
    let stolen = by_badge(&line.log, &*line.memory, &other, &mut Guesses::default(), &badge(CODE)).await;
    assert_eq!(code(stolen), ReasonCode::BADGE_UNKNOWN);
    let without = by_badge(&line.log, &*line.memory, &Key::default(), &mut Guesses::default(), &badge(CODE)).await;
    assert_eq!(code(without), ReasonCode::BADGE_UNKNOWN);
    assert_ne!(own, Sha256::of(CODE.as_bytes()).to_string());
    // A technician with a database tool becomes no administrator.
    line.memory.put_badge_hash(line.tess.id, None);
    line.memory.put_badge_hash(root, Some(own));
    assert_eq!(code(line.scan(CODE).await), ReasonCode::BADGE_ALTERED);
}

#[tokio::test]
async fn badges_can_not_be_tried_one_after_the_other_and_an_own_one_in_between_does_not_help() {
    let mut line = Line::new().await;
    for at in 1..TRIES {
        assert_eq!(code(line.scan(&format!("9041735091{at}")).await), ReasonCode::BADGE_UNKNOWN);
        line.scan(CODE).await.unwrap();
    }
    for minutes in [1, 5, 15, 60] {
        assert_eq!(code(line.scan("90417350999").await), ReasonCode::BADGE_UNKNOWN);
        let locked = line.scan(CODE).await.unwrap_err();
        assert_eq!((locked.code, &locked.args["minutes"]), (ReasonCode::BADGES_LOCKED, &minutes.to_string()));
        line.memory.wait(SignedDuration::from_mins(minutes));
        line.scan(CODE).await.unwrap();
    }
    line.memory.wait(SignedDuration::from_hours(3));
    assert_eq!(code(line.scan("90417350999").await), ReasonCode::BADGE_UNKNOWN);
    line.scan(CODE).await.unwrap();
    let refused = line.memory.events().into_iter().filter_map(|(_, event)| match event {
        LineEvent::BadgeRefused { person, locked } => Some((person, locked)),
        _ => None,
    });
    let locked: Vec<_> = refused.map(|(person, locked)| (person.is_none(), locked)).collect();
    assert_eq!(locked[..5], [(true, false), (true, false), (true, false), (true, false), (true, true)]);
    assert_eq!(locked[5..], [(true, true), (true, true), (true, true), (true, false)]);
}

#[tokio::test]
async fn a_role_is_changed_by_an_administrator_and_the_last_one_stays_one() {
    let line = Line::new().await;
    let (log, memory, root) = (&line.log, &*line.memory, &line.root);
    change_role(log, memory, root, "Tess", Role::Qa).await.unwrap();
    assert_eq!(code(change_role(log, memory, root, "Tess", Role::Qa).await), ReasonCode::NOT_NOW);
    let tess = sign_in(log, memory, "Tess", &pin("tess-pin"), &[Role::Qa]).await.unwrap();
    assert_eq!(code(change_role(log, memory, &tess, "Tess", Role::Administrator).await), ReasonCode::OPERATOR_ROLE);
    assert_eq!(code(change_role(log, memory, root, "Root", Role::Qa).await), ReasonCode::NOT_NOW);
    change_role(log, memory, root, "Tess", Role::Administrator).await.unwrap();
    change_role(log, memory, root, "Root", Role::Qa).await.unwrap();
    let by_root = (Some("Root".to_owned()), LineEvent::OperatorRole { person: line.tess.clone(), role: Role::Qa });
    assert!(line.memory.events().contains(&by_root));
}

#[tokio::test]
async fn no_badge_is_in_an_event_an_error_or_what_is_kept() {
    let mut line = Line::new().await;
    let signed = line.scan(CODE).await.unwrap();
    let wrong = line.scan(&format!("{CODE}0")).await.unwrap_err();
    let taken = line.give("Root", CODE).await.unwrap_err();
    let kept = line.memory.credential(line.tess.id).await.unwrap().unwrap().badge_hash.unwrap();
    let bytes = line.memory.bytes();
    let said = format!("{signed:?} {wrong:?} {wrong} {taken:?} {kept} {bytes} {:?}", badge(CODE));
    for secret in [CODE.to_owned(), hex::encode(CODE), Sha256::of(CODE.as_bytes()).to_string()] {
        assert!(!said.contains(&secret), "{said}");
    }
    // The log commits to what is kept, and does not have it.
    assert!(!bytes.contains(&kept) && bytes.contains(&Sha256::of(kept.as_bytes()).to_string()));
}
