//! A good unit, whole.

use super::world::{SERIAL, World, run_id};
use crate::audit::event::LabelStatus;
use crate::domain::Verdict;
use crate::provisioning::{Stage, UnitRecord};

#[test]
fn a_good_unit_in_every_effect_and_event() {
    let mut world = World::new();
    let run = world.begin();
    let expected = format!(
        "record step-began identify
identify
record identified gateway A-0001, step-began read
read
record chip-read chip 1, step-began prove, challenge-made first
sign EcdsaSecp256r1Sha256
record challenge-answered first, step-began check
claim gateway A-0001
  claimed chip 1 new
record step-began register
read
record read-again chip 1, challenge-made before-register
sign EcdsaSecp256r1Sha256
record challenge-answered before-register, register-intended gw-A-0001 in one
register gw-A-0001 in one
record registered one, step-began seal
read
record read-again chip 1, challenge-made after-connect
sign EcdsaSecp256r1Sha256
record challenge-answered after-connect
identify again
record identified-again {SERIAL}
record sealed PASS owes unit
print next
record label-intended unit
print {SERIAL}-{}
record label-ended unit printed
finish",
        run_id()
    );
    assert_eq!(world.told.join("\n"), expected);
    assert_eq!((run.stage, run.slip), (Stage::Sealed, None));

    let record = UnitRecord::of(&world.run()).unwrap();
    assert_eq!((record.verdict, record.reason, record.label.status), (Verdict::Pass, None, LabelStatus::Printed));
    assert_eq!(record.certificate.unwrap().sha256, world.chip.fingerprint().to_string());
    let steps: Vec<String> =
        record.steps.iter().map(|step| format!("{} {}", step.step.as_str(), step.outcome)).collect();
    assert_eq!(
        steps,
        ["detect ok", "identify ok", "read ok", "prove ok", "check ok", "register ok", "seal ok", "print ok"]
    );
}

#[test]
fn no_two_challenges_are_alike_and_each_says_what_it_is_for() {
    let mut world = World::new();
    world.begin();
    let challenges: Vec<&[u8]> = world
        .events()
        .filter_map(|event| match event {
            crate::audit::RunEvent::ChallengeMade { challenge, .. } => Some(&challenge.0[..]),
            _ => None,
        })
        .collect();
    assert_eq!(challenges.len(), super::world::PURPOSES.len());
    assert!(challenges.iter().enumerate().all(|(n, one)| !challenges[..n].contains(one)));
    for (challenge, purpose) in challenges.iter().zip(super::world::PURPOSES) {
        let said = purpose.as_str().as_bytes();
        assert!(challenge.windows(said.len()).any(|window| window == said));
    }
}

#[test]
fn a_run_without_a_verdict_has_no_record() {
    let mut world = World::new();
    world.begin();
    for count in 1..world.log.len() {
        let sealed = world.log[..count]
            .iter()
            .any(|logged| matches!(logged.event.body, crate::audit::Body::Run(crate::audit::RunEvent::Sealed { .. })));
        let run = crate::provisioning::Run::fold(&world.log[..count]).unwrap();
        assert_eq!(UnitRecord::of(&run).is_some(), sealed);
        assert_eq!(run.verdict().is_some(), sealed, "a verdict before it is in the log");
    }
}

/// A log outlives the program that wrote it: what was promised is what its own version promised.
#[test]
fn a_pass_from_before_the_last_look_is_still_read_and_none_is_written() {
    let mut world = World::new();
    world.begin();
    let looks = |logged: &crate::ports::Logged| {
        use crate::audit::RunEvent as E;
        let crate::audit::Body::Run(event) = &logged.event.body else { return true };
        let purpose = crate::audit::event::Purpose::AfterConnect;
        match event {
            E::StepBegan { step } => *step == crate::domain::Step::Seal,
            E::ChallengeMade { purpose: made, .. } | E::ChallengeAnswered { purpose: made, .. } => *made == purpose,
            E::IdentifiedAgain { .. } => true,
            E::ReadAgain { .. } => logged.receipt.seq > 40 + 14,
            _ => false,
        }
    };
    world.log.retain(|logged| !looks(logged));
    assert!(crate::provisioning::Run::fold(&world.log).is_err(), "a PASS without the last look");
    world.log.iter_mut().for_each(|logged| logged.event.v = 1);
    assert_eq!(world.run().verdict(), Some(Verdict::Pass));
}
