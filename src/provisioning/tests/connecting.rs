//! The unit's own connections: required, tried, or not asked for; and a board that has to come back for them.

use super::world::{Call, World, connection_of, failing, failure};
use crate::audit::RunEvent;
use crate::audit::event::LabelKind;
use crate::domain::profile::ConnectMode;
use crate::domain::{ReasonCode, Step, TargetName, Verdict};
use crate::provisioning::{Effect, Input, Run, Stage, UnitRecord};

const ONE_AND_TWO: [&str; 2] = ["one", "two"];

fn reason(run: &Run) -> Option<ReasonCode> {
    run.sealed.as_ref()?.reason.as_ref().map(|failure| failure.code)
}

/// The answer of each connection to `target` is this failure.
fn refusing(mode: ConnectMode, target: &'static str, code: ReasonCode) -> World {
    let mut world = World::connecting(mode, &ONE_AND_TWO);
    world.script = Box::new(move |_, effect| match effect {
        Effect::Connect(trial) if trial.target.as_str() == target => Some(failing(effect, failure(code))),
        _ => None,
    });
    world
}

/// HELD before anything was registered; then the cloud is back.
fn held(mode: ConnectMode) -> World {
    let mut world = World::connecting(mode, &ONE_AND_TWO);
    world.script = Box::new(|_, effect| {
        matches!(effect, Effect::Register(_)).then(|| failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE)))
    });
    assert_eq!(world.begin().verdict(), Some(Verdict::Held));
    world.script = Box::new(|_, _| None);
    world.told.clear();
    world.calls.clear();
    world
}

#[test]
fn the_chip_connects_to_each_target_in_turn_and_is_looked_at_again_after_that() {
    let mut world = World::connecting(ConnectMode::Required, &ONE_AND_TWO);
    let run = world.begin();
    let from = world.told.iter().position(|line| line.starts_with("register gw")).unwrap();
    let told = world.told[from..from + 8].join("\n");
    assert_eq!(
        told,
        "register gw-A-0001 in one
record registered one
register gw-A-0001 in two
record registered two, step-began connect
connect as gw-A-0001 to one
record connected one
connect as gw-A-0001 to two
record connected two, step-began seal"
    );
    assert_eq!((run.verdict(), run.connected.len()), (Some(Verdict::Pass), 2));
    let step = run.steps.iter().find(|record| record.step == Step::Connect).unwrap();
    assert!(step.ended.is_some() && !step.failed);
    let record = UnitRecord::of(&run).unwrap();
    let summary = record.targets[1].connection.as_ref().unwrap();
    assert_eq!((summary.outcome.as_str(), summary.tls.as_deref()), ("ok", Some("TLSv1_3")));
}

#[test]
fn what_a_connection_shall_show_is_made_of_this_unit() {
    let mut world = World::connecting(ConnectMode::Required, &["one"]);
    let (sender, trials) = std::sync::mpsc::sync_channel(4);
    world.script = Box::new(move |_, effect| {
        if let Effect::Connect(trial) = effect {
            sender.send(trial.clone()).unwrap();
        }
        None
    });
    let run = world.begin();
    let seen: Vec<_> = trials.try_iter().collect();
    let [trial] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(trial.endpoint, "example.iot.eu-west-1.amazonaws.com");
    assert_eq!(trial.chain, [run.reading.as_ref().unwrap().certificate.clone()]);
    assert_eq!(trial.topics[0].as_str(), "devices/gw-A-0001/test");
    assert_eq!(trial.refused_topic.as_ref().unwrap().as_str(), "elsewhere/A-0001");
    let message = String::from_utf8(trial.message.0.clone()).unwrap();
    assert!(message.contains(&run.id.to_string()), "another run's message is not this one's: {message}");
}

#[test]
fn a_connection_that_is_required_and_fails_is_the_lines_fault_and_nothing_passes() {
    for code in [
        ReasonCode::CONNECT_UNREACHABLE,
        ReasonCode::CONNECT_UNTRUSTED,
        ReasonCode::CONNECT_REFUSED,
        ReasonCode::CONNECT_TOO_BROAD,
        ReasonCode::CONNECT_BROKEN,
        ReasonCode::CLOUD_ROOTS,
    ] {
        let mut world = refusing(ConnectMode::Required, "two", code);
        let run = world.begin();
        assert_eq!((world.seals(), reason(&run)), (vec![Verdict::Error], Some(code)));
        assert_eq!(world.count(Call::Deactivate), 0, "{code}: the unit has done nothing wrong");
        assert_eq!(run.connected.len(), 1, "what the first target showed stays written");
    }
}

#[test]
fn a_connection_that_is_optional_and_fails_is_recorded_and_the_run_goes_on() {
    let mut world = refusing(ConnectMode::Optional, "one", ReasonCode::CONNECT_REFUSED);
    let run = world.begin();
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Pass), None));
    assert_eq!((run.unconnected.len(), run.connected.len()), (1, 1));
    let record = UnitRecord::of(&run).unwrap();
    let summaries: Vec<_> = record.targets.iter().map(|target| target.connection.clone().unwrap()).collect();
    assert_eq!((summaries[0].outcome.as_str(), summaries[0].reason.as_deref()), ("failed", Some("A-343")));
    assert_eq!(summaries[1].outcome, "ok");
    let step = record.steps.iter().find(|step| step.step == Step::Connect).unwrap();
    assert_eq!(step.outcome, "failed");
}

/// `optional` is about the way to the broker, never about the chip.
#[test]
fn a_chip_that_does_not_sign_ends_the_run_whatever_the_mode_is() {
    for mode in [ConnectMode::Optional, ConnectMode::Required] {
        for (code, verdict, deactivated) in [
            (ReasonCode::CHIP_LACKS_KEY, Verdict::Fail, 2),
            (ReasonCode::TOKEN_SILENT, Verdict::Error, 0),
            (ReasonCode::TOKEN_MECHANISM, Verdict::Error, 0),
        ] {
            let mut world = refusing(mode, "one", code);
            let run = world.begin();
            assert_eq!((world.seals(), reason(&run)), (vec![verdict], Some(code)), "{mode:?}");
            assert_eq!(world.count(Call::Deactivate), deactivated, "{mode:?} {code}");
        }
    }
}

#[test]
fn a_connection_to_another_target_or_as_another_thing_is_none() {
    for (target, thing) in [("two", "gw-A-0001"), ("one", "gw-B-0002")] {
        let mut world = World::connecting(ConnectMode::Required, &ONE_AND_TWO);
        world.script = Box::new(move |_, effect| match effect {
            Effect::Connect(trial) => {
                let connection = connection_of(&target.parse().unwrap(), thing);
                Some(Input::Connected(trial.target.clone(), Box::new(Ok(connection))))
            }
            _ => None,
        });
        let run = world.begin();
        assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Error), Some(ReasonCode::CONNECT_BROKEN)));
        assert!(run.connected.is_empty());
    }
}

#[test]
fn the_log_takes_no_pass_without_the_connection_that_was_promised() {
    for mode in [ConnectMode::Optional, ConnectMode::Required] {
        let mut world = World::connecting(mode, &["one"]);
        world.begin();
        let connected = world.events().position(|event| matches!(event, RunEvent::Connected { .. })).unwrap();
        let seal = RunEvent::StepBegan { step: Step::Seal };
        let pass = RunEvent::Sealed { verdict: Verdict::Pass, reason: None, slip: None, label: None };
        // Once the step has begun, and before.
        let mut before = World::connecting(mode, &["one"]);
        before.log = world.log[..connected - 1].to_vec();
        world.cut(connected);
        for world in [&mut world, &mut before] {
            for event in [&seal, &pass] {
                assert!(world.append(event.clone()).is_err(), "{event:?} in {:?}", world.run().stage);
            }
        }
        let target: TargetName = "one".parse().unwrap();
        let tried = RunEvent::NotConnected { target, failure: failure(ReasonCode::CONNECT_REFUSED) };
        assert!(before.append(tried.clone()).is_err());
        let goes_on = [tried, seal].map(|event| world.append(event).is_ok());
        assert_eq!(goes_on, [mode == ConnectMode::Optional; 2], "{mode:?}");
    }
}

#[test]
fn a_unit_that_was_held_waits_for_its_board_once_the_cloud_has_everything() {
    let mut world = held(ConnectMode::Required);
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONNECT_NEEDS_BOARD)));
    assert_eq!((run.registered.len(), run.slip), (2, Some(40)));
    assert_eq!(world.count(Call::Connect), 0);

    let events = world.log.len();
    for _ in 0..3 {
        assert_eq!(world.go(Input::Resume).verdict(), Some(Verdict::Held));
    }
    assert_eq!(world.log.len(), events, "a station that looks again every minute fills no log");
}

#[test]
fn another_profile_takes_no_promise_back() {
    let mut world = held(ConnectMode::Required);
    world.profile.connect = None;
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONNECT_NEEDS_BOARD)));

    // … and one that demands more is heard.
    let mut world = held(ConnectMode::Optional);
    world.profile = World::connecting(ConnectMode::Required, &ONE_AND_TWO).profile;
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONNECT_NEEDS_BOARD)));
}

#[test]
fn a_unit_that_was_held_passes_where_its_connection_is_optional() {
    let mut world = held(ConnectMode::Optional);
    let run = world.go(Input::Resume);
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    assert_eq!(run.label, crate::provisioning::Label::Owed(LabelKind::Unit));
}

#[test]
fn a_resume_that_is_cut_off_after_the_last_target_still_waits_for_the_board() {
    let mut world = held(ConnectMode::Required);
    world.go(Input::Resume);
    let last = world.events().filter(|event| matches!(event, RunEvent::Registered { .. })).count();
    assert_eq!(last, 2);
    let at = world.log.len() - 2;
    world.cut(at);
    assert_eq!(world.go(Input::Recover(failure(ReasonCode::STATION_STOPPED))).verdict(), Some(Verdict::Held));
    let run = world.go(Input::Resume);
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Held), Some(ReasonCode::CONNECT_NEEDS_BOARD)));
}

#[test]
fn a_station_that_dies_while_the_chip_connects_aborts_the_run_and_the_next_one_connects_anew() {
    let mut world = World::connecting(ConnectMode::Required, &ONE_AND_TWO);
    world.begin();
    let first = world.events().position(|event| matches!(event, RunEvent::Connected { .. })).unwrap();
    for count in [first, first + 1] {
        let mut cut = World::connecting(ConnectMode::Required, &ONE_AND_TWO);
        cut.begin();
        cut.cut(count);
        cut.calls.clear();
        assert_eq!(cut.run().stage, Stage::Connecting);
        let run = cut.go(Input::Recover(failure(ReasonCode::STATION_STOPPED)));
        assert_eq!(run.verdict(), Some(Verdict::Aborted));
        assert_eq!(cut.calls, []);
    }
}

#[test]
fn a_topic_that_the_boards_answer_spoils_is_found_before_anything_is_touched() {
    let mut world = World::connecting(ConnectMode::Required, &["one"]);
    let long = "a".repeat(300);
    world.profile.connect.as_mut().unwrap().refused_topic =
        crate::domain::Template::parse(&format!("{{serial}}/{long}")).unwrap();
    let run = world.begin();
    assert_eq!((run.verdict(), reason(&run)), (Some(Verdict::Error), Some(ReasonCode::CONFIG_VALUE)));
    assert_eq!(world.calls, [Call::Identify]);
}
