//! Several accounts and Regions: all or none, one after the other, and from where it stopped.

use super::world::{CHIPS, Call, World, failure, profile, record_of, refused};
use crate::audit::RunEvent;
use crate::domain::profile::CertificateStatus;
use crate::domain::{ReasonCode, TargetName, Template, Verdict};
use crate::ports::Registration;
use crate::provisioning::{Effect, Input, Run, Stage, UnitRecord};

/// `name` refuses the unit for `code`; all others take it.
fn refusing(mut world: World, name: &'static str, code: ReasonCode, certificate_left: bool) -> World {
    world.script = Box::new(move |_, effect| match effect {
        Effect::Register(asked) if asked.target.as_str() == name => {
            Some(refused(asked, failure(code), certificate_left))
        }
        _ => None,
    });
    world
}

/// Of a target, what `spoil` makes of the good record.
fn answering_with(
    name: &'static str,
    spoil: impl Fn(&Registration) -> crate::audit::event::TargetRecord + 'static,
) -> World {
    let mut world = World::with_targets(&["one", "two"]);
    world.script = Box::new(move |_, effect| match effect {
        Effect::Register(asked) if asked.target.as_str() == name => {
            Some(Input::Registered(asked.target.clone(), Box::new(Ok(spoil(asked)))))
        }
        _ => None,
    });
    world
}

fn reason(run: &Run) -> Option<ReasonCode> {
    run.sealed.as_ref()?.reason.as_ref().map(|failure| failure.code)
}

fn since<'a>(world: &'a World, start: &str) -> Vec<&'a str> {
    let from = world.told.iter().position(|line| line.starts_with(start)).expect(start);
    world.told[from..].iter().map(String::as_str).filter(|line| !line.starts_with("  ")).collect()
}

fn names(run: &Run) -> Vec<&str> {
    run.registered.iter().map(|record| record.target.as_str()).collect()
}

#[test]
fn all_targets_in_order() {
    let mut world = World::with_targets(&["one", "two", "three"]);
    let run = world.begin();
    assert_eq!((run.verdict(), names(&run)), (Some(Verdict::Pass), vec!["one", "two", "three"]));
    assert_eq!(
        since(&world, "register ")[..7],
        [
            "register gw-A-0001 in one",
            "record registered one",
            "register gw-A-0001 in two",
            "record registered two",
            "register gw-A-0001 in three",
            "record registered three, step-began seal",
            "read",
        ]
    );
}

#[test]
fn a_foreign_second_target_takes_the_first_back_before_it_fails() {
    for left in [true, false] {
        let mut world = refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::CERTIFICATE_FOREIGN, left);
        let run = world.begin();
        let expected: &[&str] = if left {
            &[
                "record step-failed register S-112, deactivate-intended one, deactivate-intended two",
                "deactivate in one",
                "record deactivated one",
                "deactivate in two",
                "record deactivated two",
                "record sealed FAIL S-112",
                "finish",
            ]
        } else {
            &[
                "record step-failed register S-112, deactivate-intended one",
                "deactivate in one",
                "record deactivated one",
                "record sealed FAIL S-112",
                "finish",
            ]
        };
        assert_eq!(since(&world, "record step-failed"), expected);
        assert_eq!(run.deactivate, []);
    }
}

#[test]
fn what_is_no_fault_of_the_unit_takes_nothing_back() {
    for code in [ReasonCode::CLOUD_CREDENTIALS, ReasonCode::CLOUD_UNREACHABLE, ReasonCode::POLICY_DIFFERS] {
        let mut world = refusing(World::with_targets(&["one", "two"]), "two", code, true);
        world.begin();
        assert_eq!(world.count(Call::Deactivate), 0, "{code}");
    }
}

#[test]
fn a_deactivation_that_fails_is_recorded_and_the_unit_fails_all_the_same() {
    for code in ReasonCode::ALL.iter().copied() {
        let mut world = World::with_targets(&["one", "two"]);
        world.script = Box::new(move |_, effect| match effect {
            Effect::Register(asked) if asked.target.as_str() == "two" => {
                Some(refused(asked, failure(ReasonCode::THING_FOREIGN), true))
            }
            Effect::Deactivate { target, .. } => Some(Input::Deactivated(target.clone(), Err(failure(code)))),
            _ => None,
        });
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::THING_FOREIGN)));
        let recorded = world.events().filter(
            |event| matches!(event, RunEvent::Deactivated { failure: Some(failure), .. } if failure.code == code),
        );
        assert_eq!(recorded.count(), 2);
    }
}

/// Whoever reads the unit's record must not take a red tray's certificate for a live one.
#[test]
fn what_was_set_inactive_is_shown_as_that_and_what_could_not_be_as_it_was() {
    let mut world = refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::THING_FOREIGN, true);
    let record = UnitRecord::of(&world.begin()).unwrap();
    assert_eq!(record.targets.iter().map(|target| target.status).collect::<Vec<_>>(), [CertificateStatus::Inactive]);
    let mut world = World::with_targets(&["one", "two"]);
    world.script = Box::new(|_, effect| match effect {
        Effect::Register(asked) if asked.target.as_str() == "two" => {
            Some(refused(asked, failure(ReasonCode::THING_FOREIGN), true))
        }
        Effect::Deactivate { target, .. } => {
            Some(Input::Deactivated(target.clone(), Err(failure(ReasonCode::CLOUD_UNREACHABLE))))
        }
        _ => None,
    });
    let record = UnitRecord::of(&world.begin()).unwrap();
    assert_eq!(record.targets.iter().map(|target| target.status).collect::<Vec<_>>(), [CertificateStatus::Active]);
}

#[test]
fn recovery_finishes_the_deactivations_that_were_cut_off() {
    let tell = || refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::THING_FOREIGN, true);
    let mut whole = tell();
    whole.begin();
    let failed = whole.events().position(|event| matches!(event, RunEvent::StepFailed { .. })).unwrap();
    for recover in [Input::Recover, Input::Interrupted] {
        // All of a recorded group is there, or none: failed and both intents are one group.
        for count in failed + 3..whole.log.len() {
            let mut world = tell();
            world.begin();
            world.cut(count);
            world.calls.clear();
            let pending = world.run().deactivate.len();
            let run = world.go(recover(failure(ReasonCode::STATION_STOPPED)));
            assert_eq!(world.calls, vec![Call::Deactivate; pending]);
            assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Fail], Some(ReasonCode::THING_FOREIGN)));
        }
    }
}

#[test]
fn a_run_with_something_to_take_back_is_not_sealed() {
    let mut world = refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::THING_FOREIGN, true);
    world.begin();
    let failed = world.events().position(|event| matches!(event, RunEvent::StepFailed { .. })).unwrap();
    let seal = world.events().last().unwrap().clone();
    world.cut(failed + 3);
    for name in ["two", "one"] {
        assert!(world.append(seal.clone()).is_err(), "{name} is still to be set INACTIVE");
        let deactivated = RunEvent::Deactivated { target: name.parse().unwrap(), failure: None };
        world.append(deactivated.clone()).unwrap();
        assert!(world.append(deactivated).is_err(), "{name} twice");
    }
    world.append(seal).unwrap();
}

#[test]
fn resume_goes_on_at_the_target_that_has_not_passed() {
    for code in [ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_NOT_YET] {
        let mut world = refusing(World::with_targets(&["one", "two", "three"]), "two", code, false);
        let run = world.begin();
        assert_eq!((run.verdict(), names(&run)), (Some(Verdict::Held), vec!["one"]));
        world.script = Box::new(|_, _| None);
        world.told.clear();
        // The profile's name for things has changed meanwhile: every target still gets the promised one.
        world.profile.register.thing_name = Template::parse("new-{serial}").unwrap();
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), names(&run)), (Some(Verdict::Pass), vec!["one", "two", "three"]));
        assert_eq!(
            world.told,
            [
                "record resumed, register-intended gw-A-0001 in one and two and three",
                "register gw-A-0001 in two",
                "record registered two",
                "register gw-A-0001 in three",
                "record registered three",
                "record sealed PASS owes unit",
                "finish",
            ]
        );
    }
}

#[test]
fn resume_takes_the_targets_that_the_profile_has_now() {
    let held = || {
        let mut world = refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::CLOUD_UNREACHABLE, false);
        world.begin();
        world.script = Box::new(|_, _| None);
        world.calls.clear();
        world
    };
    for (targets, asked) in [
        (&["one", "two", "three"][..], 2),
        (&["three", "one"], 1),
        (&["two"], 1),
        // Everything that is asked for now was done before.
        (&["one"], 0),
    ] {
        let mut world = held();
        world.profile = profile(targets);
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), world.count(Call::Register)), (Some(Verdict::Pass), asked), "{targets:?}");
        assert!(targets.iter().all(|target| names(&run).contains(target)), "{targets:?}");
    }
}

#[test]
fn a_unit_that_fails_when_it_is_resumed_is_taken_back_everywhere() {
    let mut world = refusing(World::with_targets(&["one", "two"]), "two", ReasonCode::CLOUD_UNREACHABLE, true);
    world.begin();
    let mut world = refusing(world, "two", ReasonCode::CERTIFICATE_FOREIGN, true);
    let run = world.go(Input::Resume);
    assert_eq!((world.seals(), world.count(Call::Deactivate)), (vec![Verdict::Held, Verdict::Fail], 2));
    assert_eq!(run.slip, Some(40));
}

#[test]
fn a_record_of_another_certificate_thing_or_target_never_passes() {
    type Spoil = fn(&Registration) -> crate::audit::event::TargetRecord;
    let spoils: [Spoil; 4] = [
        |asked| record_of(&asked.target, CHIPS[1].fingerprint(), &asked.thing),
        |asked| record_of(&asked.target, asked.fingerprint, &"gw-A-0002"),
        |asked| record_of(&asked.target, asked.fingerprint, &format!("x{}", asked.thing)),
        |asked| {
            let record = record_of(&asked.target, asked.fingerprint, &asked.thing);
            crate::audit::event::TargetRecord { certificate_arn: String::new(), ..record }
        },
    ];
    for target in ["one", "two"] {
        for spoil in spoils {
            let mut world = answering_with(target, spoil);
            let run = world.begin();
            assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Error], Some(ReasonCode::CLOUD_REFUSED)));
        }
    }
    // A record that is about another target than the one that answered.
    for (asked_of, about) in [("one", "two"), ("two", "one"), ("two", "three")] {
        let mut world =
            answering_with(asked_of, move |asked| record_of(&about.parse().unwrap(), asked.fingerprint, &asked.thing));
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Error], Some(ReasonCode::CLOUD_REFUSED)));
    }
}

#[test]
fn a_target_that_was_not_asked_is_not_heard() {
    let mut world = World::with_targets(&["one", "two"]);
    world.begin();
    let intended = world.events().position(|event| matches!(event, RunEvent::RegisterIntended { .. })).unwrap();
    world.cut(intended + 1);
    assert_eq!(world.run().stage, Stage::Registering);
    for name in ["two", "three"] {
        let target: TargetName = name.parse().unwrap();
        let good = record_of(&target, world.chip.fingerprint(), &"gw-A-0001");
        assert!(world.try_go(Input::Registered(target, Box::new(Ok(good)))).is_err(), "{name}");
    }
}
