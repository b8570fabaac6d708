use std::collections::BTreeSet;

use super::memory::{Memory, name, pin};
use crate::domain::{Failure, Persons, ReasonCode, Role, Sha256};
use crate::ports::People as _;
use crate::runner::people::{Signatories, SignedIn, add, commit_text, sign_in};

const RULE: [Role; 2] = [Role::Qa, Role::Supervisor];

/// Signed in: two of QA and a technician.
async fn people() -> [SignedIn; 3] {
    let (memory, log, root) = Memory::with_administrator().await;
    let mut signed = Vec::new();
    for (who, role) in [("Aiko", Role::Qa), ("Ben", Role::Supervisor), ("Tomo", Role::Technician)] {
        add(&log, &*memory, Some(&root), &name(who), role, &pin("some-pin")).await.unwrap();
        signed.push(sign_in(&log, &*memory, who, &pin("some-pin"), &Role::ALL).await.unwrap());
    }
    signed.try_into().unwrap()
}

fn sign(first: &SignedIn, second: Option<&SignedIn>, needed: Persons, operated: &[&SignedIn]) -> Result<(), Failure> {
    let operated: BTreeSet<_> = operated.iter().map(|person| person.operator().id).collect();
    let signed = Signatories::new(first.clone(), second.cloned(), needed, &RULE, &operated)?;
    assert_eq!(signed.first(), first);
    assert_eq!(signed.second(), second.map(SignedIn::operator));
    Ok(())
}

#[tokio::test]
async fn a_ruling_has_two_different_persons_of_the_right_role_who_did_not_operate_the_run() {
    let [aiko, ben, tomo] = people().await;
    let two = Persons::default();
    sign(&aiko, Some(&ben), two, &[&tomo]).unwrap();
    sign(&ben, Some(&aiko), two, &[]).unwrap();
    let refused =
        |first, second, needed, operated: &[&SignedIn]| sign(first, second, needed, operated).expect_err("signed").code;
    // Missing, the same, or somebody who operated it, in either place.
    assert_eq!(refused(&aiko, None, two, &[]), ReasonCode::OPERATOR_SECOND);
    assert_eq!(refused(&aiko, Some(&aiko), two, &[]), ReasonCode::OPERATOR_SECOND);
    assert_eq!(refused(&aiko, Some(&ben), two, &[&aiko]), ReasonCode::OPERATOR_SECOND);
    assert_eq!(refused(&aiko, Some(&ben), two, &[&tomo, &ben]), ReasonCode::OPERATOR_SECOND);
    // A role that does not rule, in either place.
    assert_eq!(refused(&tomo, Some(&ben), two, &[]), ReasonCode::OPERATOR_ROLE);
    assert_eq!(refused(&aiko, Some(&tomo), two, &[]), ReasonCode::OPERATOR_ROLE);
}

#[tokio::test]
async fn where_one_person_is_enough_that_one_is_held_to_the_same() {
    let [aiko, ben, tomo] = people().await;
    sign(&aiko, None, Persons::One, &[&tomo]).unwrap();
    sign(&aiko, Some(&ben), Persons::One, &[&tomo]).unwrap();
    let code = |answer: Result<(), Failure>| answer.unwrap_err().code;
    assert_eq!(code(sign(&aiko, None, Persons::One, &[&aiko])), ReasonCode::OPERATOR_SECOND);
    assert_eq!(code(sign(&tomo, None, Persons::One, &[])), ReasonCode::OPERATOR_ROLE);
    assert_eq!(code(sign(&aiko, Some(&ben), Persons::One, &[&ben])), ReasonCode::OPERATOR_SECOND);
    assert_eq!(code(sign(&aiko, Some(&aiko), Persons::One, &[])), ReasonCode::OPERATOR_SECOND);
}

#[tokio::test]
async fn the_log_commits_to_a_text_without_holding_it() {
    let (memory, log) = Memory::new();
    let words = "再はんだ付け後に再試験";
    let text = commit_text(&log, &*memory, words).await.unwrap();
    let (salt, kept) = memory.text(text.id).await.unwrap().unwrap();
    assert_eq!(kept, words);
    assert_eq!(text.text_sha256, Sha256::of(&[&salt, words.as_bytes()].concat()).to_string());
    // The same words a second time are another commitment: nobody guesses them by their hash.
    let again = commit_text(&log, &*memory, words).await.unwrap();
    assert_ne!((again.id, again.text_sha256), (text.id, text.text_sha256));
}
