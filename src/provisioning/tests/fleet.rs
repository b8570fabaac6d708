//! A unit of a fleet: what AWS is told of it, and what its board is told by AWS.

use super::world::{Call, World, failing, failure, record_of};
use crate::audit::RunEvent;
use crate::audit::event::TargetRecord;
use crate::domain::{ReasonCode, Verdict};
use crate::provisioning::{Effect, Input};

/// AWS answers with a device configuration.
fn configured(world: &mut World) {
    world.script = Box::new(|_, effect| match effect {
        Effect::Register(asked) => {
            let device_configuration = [("Broker".to_owned(), "plant-7".to_owned())].into();
            let record =
                TargetRecord { device_configuration, ..record_of(&asked.target, asked.fingerprint, &asked.thing) };
            Some(Input::Registered(asked.target.clone(), Box::new(Ok(record))))
        }
        _ => None,
    });
}

#[test]
fn aws_is_told_the_units_parameters_and_the_board_what_aws_answered_after_its_chip_was_seen_for_the_last_time() {
    let mut world = World::in_a_fleet();
    configured(&mut world);
    let (sender, seen) = std::sync::mpsc::sync_channel(8);
    let mut before = std::mem::replace(&mut world.script, Box::new(|_, _| None));
    world.script = Box::new(move |call, effect| {
        match effect {
            Effect::Register(asked) => sender.send(asked.parameters[&"Serial".parse().unwrap()].clone()).unwrap(),
            Effect::Configure { variables, .. } => {
                sender.send(variables["Broker"].clone()).unwrap();
                sender.send(variables["configuration"].clone()).unwrap();
                assert!(variables["certificate_pem"].starts_with("-----BEGIN CERTIFICATE-----"));
            }
            _ => {}
        }
        before(call, effect)
    });
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["A-0001", "plant-7", "{\"Broker\":\"plant-7\"}"]);
    let events: Vec<&RunEvent> = world.events().collect();
    let at = |wanted: fn(&RunEvent) -> bool| events.iter().position(|event| wanted(event)).unwrap();
    let told = at(|event| matches!(event, RunEvent::BoardConfigured {}));
    assert!(at(|event| matches!(event, RunEvent::Registered { .. })) < told);
    assert!(at(|event| matches!(event, RunEvent::Sealed { .. })) > told);
    assert_eq!(world.calls.iter().rev().find(|call| **call != Call::Print), Some(&Call::Configure), "nothing follows");
}

#[test]
fn a_board_that_is_not_told_does_not_pass_and_its_certificate_stays_good() {
    let mut world = World::in_a_fleet();
    world.script = Box::new(|_, effect| match effect {
        Effect::Configure { .. } => Some(failing(effect, failure(ReasonCode::BOARD_PREPARE))),
        _ => None,
    });
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Error));
    assert!(!world.calls.contains(&Call::Deactivate));
    assert!(!world.events().any(|event| matches!(event, RunEvent::BoardConfigured {})));
}

#[test]
fn a_unit_of_a_fleet_is_never_held() {
    for call in [Call::Issue, Call::Register] {
        let mut world = World::in_a_fleet();
        world.script = Box::new(move |_, effect| {
            let is_it = match effect {
                Effect::Issue(_) => call == Call::Issue,
                Effect::Register(_) => call == Call::Register,
                _ => false,
            };
            is_it.then(|| failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE)))
        });
        assert_eq!(world.begin().verdict(), Some(Verdict::Error), "{call:?}");
    }
}
