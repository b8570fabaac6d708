//! Every way in which a run can end that is not PASS.

use super::world::{CHIPS, Call, World, failing, failure, refused, run_id, unit};
use crate::audit::RunEvent;
use crate::domain::{Failure, ReasonCode, Step, Variables, Verdict};
use crate::ports::{Collision, CollisionRule, Lock, LockKind};
use crate::provisioning::{Effect, Input, Label, Run, Stage};

/// The calls of a good run, with the step that each belongs to.
const CALLS: [(Call, Step); 11] = [
    (Call::Identify, Step::Identify),
    (Call::Read, Step::Read),
    (Call::Sign, Step::Prove),
    (Call::Claim, Step::Check),
    (Call::Read, Step::Register),
    (Call::Sign, Step::Register),
    (Call::Register, Step::Register),
    (Call::Read, Step::Seal),
    (Call::Sign, Step::Seal),
    (Call::IdentifyAgain, Step::Seal),
    (Call::Print, Step::Print),
];

/// What design, section 1, makes of a cause: HELD needs a proof, a claim and the intent to register.
fn expected(code: ReasonCode, call: usize) -> Verdict {
    match code.verdict() {
        Verdict::Held if CALLS[call].0 != Call::Register => Verdict::Error,
        Verdict::Pass => Verdict::Error,
        verdict => verdict,
    }
}

fn reason(run: &Run) -> Option<ReasonCode> {
    run.sealed.as_ref()?.reason.as_ref().map(|failure| failure.code)
}

#[test]
fn a_good_run_makes_these_calls() {
    let mut world = World::new();
    world.begin();
    assert_eq!(world.calls, CALLS.map(|(call, _)| call));
}

#[test]
fn every_call_fails_with_every_code_and_each_run_ends_once_for_that_reason() {
    for (nth, (call, step)) in CALLS.into_iter().enumerate().filter(|(_, (call, _))| *call != Call::Print) {
        for code in ReasonCode::ALL.iter().copied() {
            let mut world = World::new().answering(nth, move |effect| failing(effect, failure(code)));
            let run = world.begin();
            let context = format!("{call:?} (call {nth}) fails with {code}:\n{}", world.told.join("\n"));
            assert_eq!(world.seals(), [expected(code, nth)], "{context}");
            assert_eq!(reason(&run), Some(code), "{context}");
            assert_eq!(run.stage, Stage::Sealed, "{context}");
            let failed: Vec<Step> = world
                .events()
                .filter_map(|event| match event {
                    RunEvent::StepFailed { step, .. } => Some(*step),
                    _ => None,
                })
                .collect();
            assert_eq!(failed, [step], "{context}");
            let held = run.verdict() == Some(Verdict::Held);
            assert_eq!(run.slip, held.then_some(run.first_seq), "{context}");
            // Nothing is touched after that, but for what the cloud holds of a unit that failed; a HELD
            // unit gets its slip.
            let failed = run.verdict() == Some(Verdict::Fail);
            let later: &[Call] = match () {
                () if held => &[Call::Print],
                () if failed && step == Step::Seal => &[Call::Deactivate],
                () => &[],
            };
            assert_eq!(&world.calls[nth + 1..], later, "{context}");
            assert_eq!(run.steps.iter().filter(|record| record.ended.is_none()).count(), 0, "{context}");
        }
    }
}

#[test]
fn another_board_that_answers_before_the_verdict_is_a_substitution_and_is_switched_off() {
    let other = Variables::from([("serial".into(), "B-0002".into())]);
    let mut world = World::new().answering(9, move |_| Input::IdentifiedAgain(Ok(other)));
    let run = world.begin();
    assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::CHIP_CHANGED)));
    assert_eq!(&world.calls[9..], [Call::IdentifyAgain, Call::Deactivate]);
}

#[test]
fn a_board_that_is_not_to_be_asked_again_passes_without() {
    let mut world = World::new();
    world.profile.identify.again = false;
    assert_eq!(world.begin().verdict(), Some(Verdict::Pass));
    assert_eq!(world.count(Call::IdentifyAgain), 0);
}

#[test]
fn every_answer_given_twice_counts_once() {
    let nothing = |world: &mut World| drop(world.begin());
    let stories: [fn(&mut World); 4] = [
        nothing,
        |world| {
            world.script = Box::new(|_, effect| {
                matches!(effect, crate::provisioning::Effect::Register(_))
                    .then(|| failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE)))
            });
            world.begin();
            world.script = Box::new(|_, _| None);
            world.go(Input::Resume);
            world.go(Input::PrintLabel);
        },
        |world| {
            world.profile = super::world::profile(&["one", "two", "three"]);
            world.begin();
        },
        |world| {
            world.profile = super::world::profile(&["one", "two", "three"]);
            world.script = Box::new(|_, effect| match effect {
                crate::provisioning::Effect::Register(asked) if asked.target.as_str() == "three" => {
                    Some(super::world::refused(asked, failure(ReasonCode::THING_FOREIGN), true))
                }
                _ => None,
            });
            world.begin();
        },
    ];
    for (index, tell) in stories.into_iter().enumerate() {
        let mut plain = World::new();
        tell(&mut plain);
        let mut repeated = World::new();
        repeated.repeat = true;
        tell(&mut repeated);
        assert_eq!(repeated.told, plain.told, "story {index}");
        assert_eq!(repeated.calls, plain.calls, "story {index}");
        assert!(repeated.repeats_refused >= plain.calls.len(), "story {index}: {}", repeated.repeats_refused);
    }
}

#[test]
fn every_stage_interrupted_ends_as_aborted_once() {
    for (nth, (call, _)) in CALLS.into_iter().enumerate() {
        let unplugged = || Failure::new(ReasonCode::BOARD_UNPLUGGED, "gone").with("port", "p");
        let mut world = World::new().answering(nth, move |_| Input::Interrupted(unplugged()));
        let run = world.begin();
        assert_eq!(world.calls.len(), nth + 1, "nothing more after {call:?}");
        if call == Call::Print {
            // It passed, and nobody saw the end of its label.
            assert_eq!(world.seals(), [Verdict::Pass]);
            assert_eq!(run.label, Label::Intended(crate::audit::event::LabelKind::Unit));
            continue;
        }
        assert_eq!(world.seals(), [Verdict::Aborted], "{call:?}");
        assert_eq!(run.sealed.unwrap().reason, Some(unplugged()));
        // Said again, nothing comes of it.
        let events = world.log.len();
        world.go(Input::Interrupted(unplugged()));
        assert_eq!(world.log.len(), events);
    }
}

#[test]
fn a_second_board_with_the_serial_is_an_error_at_every_stage() {
    for nth in 0..CALLS.len() - 1 {
        let mut world = World::new().answering(nth, |_| Input::Interrupted(failure(ReasonCode::BOARD_TWIN)));
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Error], Some(ReasonCode::BOARD_TWIN)));
    }
}

#[test]
fn recovery_closes_a_run_that_was_cut_off_after_any_event() {
    let mut good = World::new();
    good.begin();
    let whole = good.log.len();
    for count in 1..=whole {
        let mut world = World::new();
        world.begin();
        world.cut(count);
        world.calls.clear();
        let before = world.seals();
        let run = world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
        assert_eq!(world.calls, [], "recovery touches neither board nor cloud");
        match before[..] {
            [] => {
                assert_eq!(world.seals(), [Verdict::Aborted], "after {count} events");
                assert_eq!(reason(&run), Some(ReasonCode::STATION_STOPPED));
            }
            _ => assert_eq!((world.seals(), world.log.len()), (vec![Verdict::Pass], count)),
        }
        // And the recovery itself may be cut off: once more from the same log.
        let events = world.log.len();
        world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
        assert_eq!(world.log.len(), events);
    }
}

#[test]
fn recovery_of_a_run_that_had_failed_keeps_its_reason() {
    for nth in 0..CALLS.len() - 1 {
        let code = ReasonCode::TOKEN_NO_KEY;
        let mut world = World::new().answering(nth, move |effect| failing(effect, failure(code)));
        world.begin();
        let failed = world.events().position(|event| matches!(event, RunEvent::StepFailed { .. })).unwrap();
        world.cut(failed + 1);
        let run = world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(code)));
    }
}

#[test]
fn a_chip_without_the_key_fails_at_any_challenge() {
    for nth in [2, 5, 8] {
        for signature in [CHIPS[1].key.answer(b"another message"), vec![0; 64], vec![], vec![0xff; 100_000]] {
            let mut world = World::new().answering(nth, move |_| Input::Signed(Ok(signature)));
            let run = world.begin();
            assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::CHIP_LACKS_KEY)));
            assert_eq!(world.count(Call::Register), usize::from(nth == 8));
            assert_eq!(world.count(Call::Deactivate), usize::from(nth == 8));
        }
    }
}

/// A genuine answer to the first challenge is none to the second.
#[test]
fn an_old_answer_is_not_taken_again() {
    let mut first = None;
    let mut world = World::new();
    world.script = Box::new(move |_, effect| match effect {
        Effect::Sign { message, .. } => {
            let answer = first.get_or_insert_with(|| CHIPS[0].key.answer(message)).clone();
            Some(Input::Signed(Ok(answer)))
        }
        _ => None,
    });
    let run = world.begin();
    assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::CHIP_LACKS_KEY)));
    assert_eq!((world.count(Call::Sign), world.count(Call::Register)), (2, 0));
}

#[test]
fn another_chip_at_a_later_look_is_a_substitution() {
    let other_uid = {
        let mut reading = CHIPS[0].reading.clone();
        reading.uid = CHIPS[1].reading.uid.clone();
        reading
    };
    for again in [CHIPS[1].reading.clone(), other_uid] {
        for nth in [4, 7] {
            let again = again.clone();
            let mut world = World::new().answering(nth, move |_| Input::Read(Ok(again)));
            let run = world.begin();
            assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::CHIP_CHANGED)));
            // What the cloud took of the first chip is taken back.
            assert_eq!((world.count(Call::Register), world.count(Call::Deactivate)), (nth / 7, nth / 7));
        }
    }
}

#[test]
fn a_serial_number_must_fit_whole() {
    for text in ["", "A-1", "xA-0001", "A-0001x", "A-0001\nA-0002", "Ａ-0001"] {
        let answer = Variables::from([("serial".into(), text.into())]);
        let mut world = World::new().answering(0, move |_| Input::Identified(Ok(answer)));
        let run = world.begin();
        assert_eq!(reason(&run), Some(ReasonCode::BOARD_SERIAL), "{text:?}");
        assert_eq!(world.calls, [Call::Identify]);
    }
    let mut world = World::new().answering(0, |_| Input::Identified(Ok(Variables::new())));
    assert_eq!(reason(&world.begin()), Some(ReasonCode::BOARD_SERIAL));
}

/// What AWS would refuse is found before the chip is touched.
#[test]
fn a_value_that_aws_refuses_is_found_before_any_effect() {
    let answer = Variables::from([("serial".into(), "A-0001".into()), ("site".into(), "two words".into())]);
    let mut world = World::new().answering(0, move |_| Input::Identified(Ok(answer)));
    let attribute = crate::domain::Template::parse("{site}").unwrap();
    world.profile.register.attributes.insert("site".parse().unwrap(), attribute);
    let run = world.begin();
    assert_eq!((reason(&run), &world.calls[..]), (Some(ReasonCode::CONFIG_VALUE), &[Call::Identify][..]));
}

#[test]
fn a_claim_that_collides_fails_for_the_gravest_rule() {
    let collision = |rule| Collision {
        rule,
        unit: unit("B-0002"),
        fingerprint: CHIPS[0].fingerprint(),
        run: Some(run_id()),
        seq: 3,
    };
    let rules = [
        (CollisionRule::Entry, ReasonCode::ENTRY_CONSUMED),
        (CollisionRule::Certificate, ReasonCode::CERTIFICATE_BOUND),
        (CollisionRule::Key, ReasonCode::KEY_BOUND),
        (CollisionRule::Uid, ReasonCode::UID_BOUND),
        (CollisionRule::Unit, ReasonCode::UNIT_BOUND),
    ];
    for (from, (_, code)) in rules.into_iter().enumerate() {
        let collisions: Vec<_> = rules[from..].iter().rev().map(|(rule, _)| collision(*rule)).collect();
        let mut world = World::new().answering(3, move |_| Input::Collided(collisions));
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(code)));
        let reason = run.sealed.unwrap().reason.unwrap();
        assert_eq!(reason.args["unit"], "B-0002");
        assert_eq!(world.count(Call::Register), 0);
    }
    let mut world = World::new().answering(3, |_| Input::Collided(vec![]));
    assert_eq!(reason(&world.begin()), Some(ReasonCode::STORE_FAILED));
    assert_eq!(world.seals(), [Verdict::Error]);
}

#[test]
fn a_unit_that_failed_before_fails_until_somebody_rules() {
    let kinds = [
        (LockKind::Failed, ReasonCode::UNIT_LOCKED),
        (LockKind::Scrapped, ReasonCode::UNIT_SCRAPPED),
        (LockKind::Conflict, ReasonCode::IMPORT_CONFLICT),
        (LockKind::Withdrawn, ReasonCode::UNIT_WITHDRAWN),
    ];
    for (kind, code) in kinds {
        let lock = Lock { kind, run: Some(run_id()), reason: Some(ReasonCode::THING_FOREIGN), seq: 3 };
        let mut world = World::new().answering(3, move |_| Input::Locked(lock));
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(code)));
        assert_eq!(run.sealed.unwrap().reason.unwrap().args["unit"], "A-0001");
        assert_eq!(world.count(Call::Register), 0);
    }
}

/// What a counterfeiter may do to one run, in the order in which it is found out.
const ATTACKS: [(&str, ReasonCode); 9] = [
    ("a certificate of nobody's", ReasonCode::CERTIFICATE_FOREIGN_CA),
    ("another chip's UID", ReasonCode::UID_MISMATCH),
    ("no key", ReasonCode::CHIP_LACKS_KEY),
    ("another unit's certificate", ReasonCode::CERTIFICATE_BOUND),
    ("another chip before register", ReasonCode::CHIP_CHANGED),
    ("an old answer before register", ReasonCode::CHIP_LACKS_KEY),
    ("a foreign thing", ReasonCode::THING_FOREIGN),
    ("another chip before the verdict", ReasonCode::CHIP_CHANGED),
    ("an old answer before the verdict", ReasonCode::CHIP_LACKS_KEY),
];

/// A world in which these attacks are made at once.
fn attacked(which: &[usize]) -> World {
    let made = |name| which.iter().any(|index| ATTACKS[*index].0 == name);
    let mut first = CHIPS[0].reading.clone();
    if made("another chip's UID") {
        first.uid = CHIPS[1].reading.uid.clone();
    }
    let foreign = made("a certificate of nobody's");
    if foreign {
        // One bit of the vendor's signature.
        *first.certificate.0.last_mut().unwrap() ^= 1;
    }
    let (no_key, bound) = (made("no key"), made("another unit's certificate"));
    let other = [made("another chip before register"), made("another chip before the verdict")];
    let old = [made("an old answer before register"), made("an old answer before the verdict")];
    let refused_there = made("a foreign thing");
    let mut world = World::new();
    let (mut reads, mut signs) = (0, 0);
    world.script = Box::new(move |_, effect| match effect {
        Effect::Read => {
            reads += 1;
            let other = reads > 1 && other[reads - 2];
            Some(Input::Read(Ok(if other { CHIPS[1].reading.clone() } else { first.clone() })))
        }
        Effect::Sign { .. } => {
            signs += 1;
            let wrong = if signs == 1 { no_key } else { old[signs - 2] };
            wrong.then(|| Input::Signed(Ok(CHIPS[0].key.answer(b"an earlier challenge"))))
        }
        Effect::Claim { .. } if bound => Some(Input::Collided(vec![Collision {
            rule: CollisionRule::Certificate,
            unit: unit("B-0002"),
            fingerprint: CHIPS[0].fingerprint(),
            run: Some(run_id()),
            seq: 3,
        }])),
        Effect::Register(asked) if refused_there => Some(refused(asked, failure(ReasonCode::THING_FOREIGN), false)),
        _ => None,
    });
    world
}

/// Of attacks that come together, the one that is found first gives the reason, and the later ones are
/// never come to: what is not proven claims nothing, and what is not claimed is not in the cloud.
#[test]
fn two_attacks_at_once_never_pass_and_end_for_the_first_that_is_found() {
    for (first, (name, code)) in ATTACKS.iter().enumerate() {
        for (second, (also, _)) in ATTACKS.iter().enumerate().skip(first) {
            let mut world = attacked(&[second, first]);
            let run = world.begin();
            let both = format!("{name} and {also}");
            assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(*code)), "{both}");
            assert_eq!(world.count(Call::Claim), usize::from(first >= 3), "{both}");
            assert_eq!(run.claim.is_some(), first >= 4, "{both}");
            assert_eq!(world.count(Call::Register), usize::from(first >= 6), "{both}");
            // What the cloud took before it was found out is switched off.
            assert_eq!(world.count(Call::Deactivate), usize::from(first >= 7), "{both}");
            assert_eq!(world.count(Call::Print), 0, "{both}");
        }
    }
    // The nearest legitimate board.
    let mut world = attacked(&[]);
    world.begin();
    assert_eq!(world.seals(), [Verdict::Pass]);
}
