//! HELD: proven and claimed, waiting for the cloud; a slip, a resume, a label on scanning the slip.

use super::world::{Call, World, another_root, asked, failing, failure, refused};
use crate::audit::RunEvent;
use crate::audit::event::{LabelKind, LabelStatus};
use crate::domain::profile::{
    CsrPlan, Issuer, KeyKind, ManifestEncoding, ManifestField, ManifestForm, ManifestFormat, ManifestPlan, Method,
};
use crate::domain::{ReasonCode, Template, Verdict};
use crate::ports::{Lock, LockKind, Obstacle, Unlisted};
use crate::provisioning::{Effect, Input, Label, Run};

/// A unit that is HELD since the cloud was down; the cloud is back.
fn held() -> World {
    held_with(ReasonCode::CLOUD_UNREACHABLE, |_| {})
}

fn held_with(code: ReasonCode, edit: impl FnOnce(&mut World)) -> World {
    let mut world = World::new().answering(6, move |effect| failing(effect, failure(code)));
    edit(&mut world);
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Held));
    world.told.clear();
    world.calls.clear();
    world
}

fn reason(run: &Run) -> Option<ReasonCode> {
    run.sealed.as_ref()?.reason.as_ref().map(|failure| failure.code)
}

#[test]
fn from_held_to_a_label_in_every_effect_and_event() {
    let mut world = World::new().answering(6, |effect| failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE)));
    world.begin();
    let first = world.told.iter().position(|line| line.starts_with("register")).unwrap();
    world.told.drain(..first);
    world.told.push("--- the cloud is back".into());
    world.go(Input::Resume);
    world.told.push("--- the slip is scanned".into());
    world.go(Input::PrintLabel);
    world.told.push("--- and once more".into());
    let run = world.go(Input::PrintLabel);
    let told = world.told.join("\n").replace(&run.id.to_string(), "RUN");
    assert_eq!(
        told,
        "register gw-A-0001 in one
  Registered(TargetName(\"one\"), Err(Refusal { failure: Failure
record step-failed register A-301
record sealed HELD A-301 slip 40 owes slip
print next
record label-intended slip
print slip-40
record label-ended slip printed
finish
--- the cloud is back
record resumed, register-intended gw-A-0001 in one
register gw-A-0001 in one
record registered one
record sealed PASS owes unit
finish
--- the slip is scanned
record label-intended unit
print A-0001-RUN
record label-ended unit printed
finish
--- and once more
finish"
    );
    assert_eq!((run.verdict(), run.slip, reason(&run)), (Some(Verdict::Pass), Some(40), None));
}

#[test]
fn held_again_keeps_number_and_paper() {
    for code in [ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_THROTTLED, ReasonCode::CLOUD_NOT_YET] {
        let mut world = held().answering(0, move |effect| failing(effect, failure(code)));
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), reason(&run), run.slip), (Some(Verdict::Held), Some(code), Some(40)));
        assert_eq!(world.calls, [Call::Register], "no second slip");
        assert_eq!(run.label, Label::Ended(LabelKind::Slip, LabelStatus::Printed, None));
        assert_eq!(world.go(Input::Resume).verdict(), Some(Verdict::Pass));
    }
}

/// What passes by itself lets the line go on; what somebody has to put right is told at the next board. What waits
/// already goes on waiting in either case.
#[test]
fn each_way_in_which_the_cloud_is_away_holds_or_stops_and_takes_no_held_unit_along() {
    use ReasonCode as Code;
    let away = [Code::CLOUD_UNREACHABLE, Code::CLOUD_THROTTLED, Code::CLOUD_UNRESOLVED, Code::CLOUD_PORTAL];
    let to_be_mended = [
        Code::CLOUD_CREDENTIALS,
        Code::CLOUD_PERMISSION,
        Code::CLOUD_CLOCK,
        Code::CLOUD_ROOTS,
        Code::CLOUD_INTERCEPTED,
        Code::CLOUD_EXPIRED,
    ];
    let table = away.map(|code| (code, Verdict::Held)).into_iter();
    for (code, verdict) in table.chain(to_be_mended.map(|code| (code, Verdict::Error))) {
        let mut world = World::new().answering(6, move |effect| failing(effect, failure(code)));
        assert_eq!(world.begin().verdict(), Some(verdict), "{code}");
        let mut world = held().answering(0, move |effect| failing(effect, failure(code)));
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(code)));
    }
}

#[test]
fn a_slip_that_is_still_owed_stays_owed_when_the_unit_is_held_again() {
    let printer_off = |effect: &Effect| failing(effect, failure(ReasonCode::PRINTER_UNREACHABLE));
    let mut world = held_with(ReasonCode::CLOUD_FAILED, |world| {
        let before = std::mem::replace(&mut world.script, Box::new(|_, _| None));
        let mut before = before;
        world.script = Box::new(move |nth, effect| match effect {
            Effect::Print { .. } => Some(printer_off(effect)),
            _ => before(nth, effect),
        });
    });
    assert_eq!(world.run().label.status(), LabelStatus::Pending);
    world.script = Box::new(|_, effect| {
        matches!(effect, Effect::Register(_)).then(|| failing(effect, failure(ReasonCode::CLOUD_FAILED)))
    });
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), run.label.status()), (Some(Verdict::Held), LabelStatus::Pending));
    let run = world.go(Input::PrintLabel);
    assert_eq!(run.label, Label::Ended(LabelKind::Slip, LabelStatus::Printed, None));
    assert_eq!(world.told.last_chunk::<4>().unwrap()[1], "print slip-40");
}

#[test]
fn a_slip_of_unknown_fate_stays_a_question_when_the_unit_is_held_again() {
    let mut world = held();
    let intended =
        world.events().position(|event| matches!(event, RunEvent::LabelIntended { .. })).expect("a slip was intended");
    world.cut(intended + 1);
    world.script = Box::new(|_, effect| Some(failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE))));
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), run.label), (Some(Verdict::Held), Label::Intended(LabelKind::Slip)));
    world.calls.clear();
    world.go(Input::PrintLabel);
    assert_eq!(world.calls, [], "no second slip without asking");
}

/// Whatever the station's or the line's fault is: the unit goes on waiting. Its own fault ends it.
#[test]
fn resume_ends_as_pass_held_or_fail_and_as_nothing_else() {
    for code in ReasonCode::ALL.iter().copied() {
        let mut world = held().answering(0, move |effect| refused(asked(effect), failure(code), true));
        let run = world.go(Input::Resume);
        let fails = code.verdict() == Verdict::Fail;
        let expected = if fails { Verdict::Fail } else { Verdict::Held };
        assert_eq!(world.seals(), [Verdict::Held, expected], "{code}");
        assert_eq!(reason(&run), Some(code));
        assert_eq!(world.count(Call::Deactivate), usize::from(fails), "{code}");
        assert_eq!(world.try_go(Input::Resume).is_err(), fails, "{code}: only HELD is taken up again");
    }
}

/// Since it was proven its CA was given up, say, or its certificate revoked.
#[test]
fn a_unit_that_would_not_be_taken_today_is_not_finished_and_nothing_is_registered() {
    let mut world = held();
    world.profile.trust.roots = vec![another_root()];
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Fail), Some(ReasonCode::CERTIFICATE_FOREIGN_CA)));
    assert!(world.calls.is_empty(), "{:?}", world.calls);

    // What was not asked of it then it has not failed.
    let mut world = held();
    world.profile.trust.keys = vec![KeyKind::Rsa2048];
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONFIG_INVALID)));
    assert!(world.calls.is_empty(), "{:?}", world.calls);

    // A method that has never registered the chip's own certificate does not begin to now.
    let mut world = held();
    world.profile.register.method = Method::Csr(CsrPlan { issuer: Issuer::Aws, write_back: None });
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONFIG_INVALID)));
    assert!(world.calls.is_empty(), "{:?}", world.calls);

    // What is wrong with the profile is not the unit's fault: it goes on waiting.
    let mut world = held();
    world.profile.trust.roots = vec![b"no certificate".to_vec()];
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONFIG_INVALID)));
    assert!(world.calls.is_empty(), "{:?}", world.calls);
}

#[test]
fn a_resume_that_is_cut_off_is_held_again_after_any_event() {
    let mut whole = held();
    let before = whole.log.len();
    whole.go(Input::Resume);
    let sealed = whole.log.len() - 1;
    for count in before + 1..sealed {
        let mut world = held();
        world.go(Input::Resume);
        world.cut(count);
        world.calls.clear();
        let run = world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
        assert_eq!(world.seals(), [Verdict::Held, Verdict::Held], "after {count} events");
        assert_eq!((run.slip, reason(&run)), (Some(40), Some(ReasonCode::CLOUD_UNREACHABLE)));
        assert_eq!(world.calls, [], "recovery prints no second slip");

        let run = world.go(Input::Resume);
        assert_eq!(run.verdict(), Some(Verdict::Pass), "after {count} events");
        // What is read back and recorded is not asked for again.
        let registered = world.events().filter(|event| matches!(event, RunEvent::Registered { .. })).count();
        assert_eq!(registered, 1);
        assert!(run.steps.iter().all(|record| record.ended.is_some()));
    }
}

#[test]
fn a_resume_that_is_stopped_is_held_again() {
    let mut world = held().answering(0, |_| Input::Interrupted(failure(ReasonCode::OPERATOR_STOPPED)));
    let run = world.go(Input::Resume);
    assert_eq!((world.seals(), run.slip), (vec![Verdict::Held, Verdict::Held], Some(40)));
}

#[test]
fn only_a_held_run_is_taken_up_again() {
    let mut passed = World::new();
    passed.begin();
    assert!(passed.try_go(Input::Resume).is_err());
    assert!(passed.append(RunEvent::Resumed {}).is_err());
    for code in [ReasonCode::THING_FOREIGN, ReasonCode::CLOUD_CREDENTIALS, ReasonCode::BOARD_UNPLUGGED] {
        let mut world = World::new().answering(6, move |effect| failing(effect, failure(code)));
        world.begin();
        assert!(world.try_go(Input::Resume).is_err(), "{code}");
        assert!(world.append(RunEvent::Resumed {}).is_err(), "{code}");
    }
}

#[test]
fn the_thing_stays_what_was_promised_whatever_the_profile_says_now() {
    let mut world = held();
    world.profile.register.thing_name = Template::parse("other-{serial}").unwrap();
    let run = world.go(Input::Resume);
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    assert!(world.told.contains(&"register gw-A-0001 in one".to_owned()), "{:?}", world.told);
    assert_eq!(run.intent.unwrap().thing.as_str(), "gw-A-0001");
}

#[test]
fn a_profile_that_can_not_serve_leaves_the_unit_held() {
    let spoilt: [fn(&mut World); 2] = [
        |world| world.profile.register.thing_name = Template::parse("{gone}").unwrap(),
        |world| world.profile.register.targets.clear(),
    ];
    for spoil in spoilt {
        let mut world = held();
        spoil(&mut world);
        let events = world.log.len();
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), world.log.len()), (Some(Verdict::Held), events));
        assert_eq!(world.calls, []);
    }
}

/// Keys, roots, lists and dates are today's profile's when a HELD unit goes on, and so is what its chip is listed by.
#[test]
fn a_unit_that_no_manifest_had_waits_for_its_board_where_the_profile_demands_one_by_now() {
    let plan = |required| ManifestPlan {
        required,
        format: ManifestFormat::Csv { separator: None, encoding: ManifestEncoding::Utf8 },
        uid: None,
        fingerprint: Some(ManifestField { at: "fingerprint".to_owned(), form: ManifestForm::Hex }),
        certificate: None,
        key: None,
    };
    for (required, ends) in [(false, Verdict::Pass), (true, Verdict::Held)] {
        let mut world = held();
        world.profile.manifest = Some(plan(required));
        let run = world.go(Input::Resume);
        assert_eq!(run.verdict(), Some(ends), "required: {required}");
        let missing = reason(&run) == Some(ReasonCode::MANIFEST_MISSING);
        assert_eq!((missing, world.count(Call::Register) == 0), (required, required));
    }
}

#[test]
fn without_a_printer_or_a_label_nothing_is_owed() {
    let without: [fn(&mut World); 2] = [|world| world.printer = false, |world| world.profile.label = None];
    for edit in without {
        let mut world = held_with(ReasonCode::CLOUD_THROTTLED, edit);
        assert_eq!((world.run().label, world.run().slip), (Label::NotOwed, Some(40)));
        let run = world.go(Input::Resume);
        assert_eq!((run.verdict(), run.label), (Some(Verdict::Pass), Label::NotOwed));
        assert_eq!(world.count(Call::Print), 0);
    }
}

/// The board failed in another run, or was scrapped, while this run waited for the cloud.
#[test]
fn a_held_run_whose_unit_was_locked_meanwhile_ends_as_fail_and_registers_nothing() {
    let lock = Lock { kind: LockKind::Scrapped, run: None, reason: None, seq: 99 };
    let mut world = held();
    let run = world.go(Input::Barred(Obstacle::Locked(lock)));
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Fail), Some(ReasonCode::UNIT_SCRAPPED)));
    assert_eq!(world.count(Call::Register), 0);
}

/// Its batch got a list while it waited, as it could have had from the beginning.
#[test]
fn a_held_run_whose_chip_is_not_on_a_list_of_today_ends_as_fail_like_any_other_and_registers_nothing() {
    let absent = Unlisted::Absent { batch: "WO-1".parse().unwrap() };
    let mut world = held();
    let run = world.go(Input::Barred(Obstacle::Unlisted(absent)));
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Fail), Some(ReasonCode::CHIP_NOT_SHIPPED)));
    assert_eq!(world.count(Call::Register), 0);
}

/// … or after it had been registered, and before its verdict.
#[test]
fn what_was_registered_for_a_unit_that_was_locked_meanwhile_is_set_inactive() {
    let lock = Lock { kind: LockKind::Failed, run: None, reason: None, seq: 99 };
    let mut world = World::new().answering(6, move |_| Input::Barred(Obstacle::Locked(lock)));
    let run = world.begin();
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Fail), Some(ReasonCode::UNIT_LOCKED)));
    assert_eq!(world.count(Call::Deactivate), 1);
}
