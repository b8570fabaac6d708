//! Paper: printed once, again only when a person says so, and no part of the verdict.

use super::world::{Call, World, failing, failure};
use crate::audit::RunEvent;
use crate::audit::event::{LabelKind, LabelStatus};
use crate::domain::{ReasonCode, Template, Verdict};
use crate::provisioning::{Input, Label};

#[test]
fn no_failure_of_the_printer_changes_the_verdict() {
    for code in ReasonCode::ALL.iter().copied() {
        let mut world = World::new().answering(10, move |effect| failing(effect, failure(code)));
        let run = world.begin();
        assert_eq!((world.seals(), run.verdict()), (vec![Verdict::Pass], Some(Verdict::Pass)));
        // Only a printer that was never given it has certainly printed nothing.
        let nothing = ["P-401", "P-411", "P-412", "P-413", "P-414", "P-415"].contains(&code.as_str());
        let expected = if nothing { LabelStatus::Pending } else { LabelStatus::Failed };
        assert_eq!(run.label.status(), expected, "{code}");
        world.calls.clear();
        let run = world.go(Input::PrintLabel);
        let again: &[Call] = if expected == LabelStatus::Pending { &[Call::Print] } else { &[] };
        assert_eq!(world.calls, again, "{code}");
        assert_eq!(run.verdict(), Some(Verdict::Pass));
    }
}

#[test]
fn a_label_of_unknown_fate_is_printed_again_only_when_a_person_says_it_is_not_there() {
    for printed in [true, false] {
        let mut world = World::new();
        world.begin();
        let intended = world.events().position(|event| matches!(event, RunEvent::LabelIntended { .. })).unwrap();
        world.cut(intended + 1);
        world.calls.clear();
        assert_eq!(world.run().label, Label::Intended(LabelKind::Unit));
        assert_eq!(world.run().label.status(), LabelStatus::Failed);
        world.go(Input::PrintLabel);
        assert_eq!(world.calls, [], "not without asking");

        world.append(RunEvent::LabelSettled { kind: LabelKind::Unit, printed }).unwrap();
        world.go(Input::PrintLabel);
        world.go(Input::PrintLabel);
        assert_eq!(world.count(Call::Print), usize::from(!printed));
        assert_eq!(world.run().label.status(), LabelStatus::Printed);
    }
}

#[test]
fn a_unit_with_an_earlier_label_gets_none() {
    for earlier in [LabelStatus::Printed, LabelStatus::Pending, LabelStatus::Failed] {
        let mut world = World::new();
        world.earlier_label = Some(earlier);
        let run = world.begin();
        assert_eq!((run.verdict(), run.label), (Some(Verdict::Pass), Label::NotOwed));
        world.go(Input::PrintLabel);
        assert_eq!(world.count(Call::Print), 0);
    }
}

#[test]
fn a_template_that_can_not_be_filled_is_a_failed_label() {
    let mut world = World::new();
    if let Some(label) = &mut world.profile.label {
        label.template = Template::parse("^XA{nothing}^XZ").unwrap();
    }
    let run = world.begin();
    assert_eq!((run.verdict(), world.count(Call::Print)), (Some(Verdict::Pass), 0));
    match run.label {
        Label::Ended(LabelKind::Unit, LabelStatus::Failed, Some(failure)) => {
            assert_eq!(failure.code, ReasonCode::LABEL_UNRENDERABLE);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_what_passed_or_is_held_gets_paper() {
    for code in [ReasonCode::TOKEN_NO_KEY, ReasonCode::TOKEN_SILENT, ReasonCode::BOARD_UNPLUGGED] {
        let mut world = World::new().answering(2, move |effect| failing(effect, failure(code)));
        world.begin();
        world.go(Input::PrintLabel);
        assert_eq!((world.count(Call::Print), world.run().label), (0, Label::NotOwed));
        for kind in [LabelKind::Unit, LabelKind::Slip] {
            assert!(world.append(RunEvent::LabelIntended { kind }).is_err());
        }
    }
}

#[test]
fn a_unit_that_failed_gets_a_slip_where_the_profile_has_one() {
    let fail = |world: &mut World| {
        let slip = "^XA^FO1,1^FH^FD{verdict} {reason} {serial}{lane}^FS^XZ";
        world.profile.label.as_mut().unwrap().fail_slip = Some(Template::parse(slip).unwrap());
    };
    let mut world = World::new().answering(2, |effect| failing(effect, failure(ReasonCode::TOKEN_NO_KEY)));
    fail(&mut world);
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Fail));
    assert_eq!(run.label, Label::Ended(LabelKind::Slip, LabelStatus::Printed, None));
    assert_eq!((world.count(Call::Print), run.slip), (1, None));
    world.go(Input::PrintLabel);
    assert_eq!(world.count(Call::Print), 1);

    // Neither ERROR nor ABORTED: the same board is tried again.
    for code in [ReasonCode::TOKEN_SILENT, ReasonCode::BOARD_UNPLUGGED] {
        let mut world = World::new().answering(2, move |effect| failing(effect, failure(code)));
        fail(&mut world);
        world.begin();
        assert_eq!((world.count(Call::Print), world.run().label), (0, Label::NotOwed));
    }
}

#[test]
fn the_log_takes_no_end_without_intent_and_no_answer_without_question() {
    let ended = |status| RunEvent::LabelEnded { kind: LabelKind::Unit, status, failure: None };
    let settled = |printed| RunEvent::LabelSettled { kind: LabelKind::Unit, printed };
    let mut world = World::new();
    world.begin();
    // Printed: nothing more follows.
    for event in [ended(LabelStatus::Printed), settled(true), settled(false)] {
        assert!(world.append(event).is_err());
    }
    // Owed: not before it was intended.
    let intended = world.events().position(|event| matches!(event, RunEvent::LabelIntended { .. })).unwrap();
    world.cut(intended);
    for event in [ended(LabelStatus::Printed), ended(LabelStatus::Pending), settled(true), settled(false)] {
        assert!(world.append(event).is_err());
    }
    assert!(world.append(RunEvent::LabelIntended { kind: LabelKind::Slip }).is_err());
    assert!(world.append(RunEvent::LabelIntended { kind: LabelKind::Unit }).is_ok());
    // Sent: not a second time, and not to another end.
    assert!(world.append(RunEvent::LabelIntended { kind: LabelKind::Unit }).is_err());
    let slip = RunEvent::LabelEnded { kind: LabelKind::Slip, status: LabelStatus::Printed, failure: None };
    assert!(world.append(slip).is_err());
    assert!(world.append(ended(LabelStatus::Printed)).is_ok());
}
