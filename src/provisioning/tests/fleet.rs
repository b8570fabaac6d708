//! A unit of a fleet: what AWS is told of it, and what its board is told by AWS.

use super::world::{Call, OF_AWS, World, failing, failure, made, provisioned};
use crate::audit::RunEvent;
use crate::domain::{ReasonCode, Verdict};
use crate::provisioning::{Effect, Input};

#[test]
fn aws_is_told_the_units_parameters_and_the_board_what_aws_answered_after_its_chip_was_seen_for_the_last_time() {
    let mut world = World::in_a_fleet();
    let (sender, seen) = std::sync::mpsc::sync_channel(8);
    world.script = Box::new(move |_, effect| {
        match effect {
            Effect::Provision(asked) => sender.send(asked.parameters[&"Serial".parse().unwrap()].clone()).unwrap(),
            Effect::Configure { variables, .. } => {
                sender.send(variables["Broker"].clone()).unwrap();
                sender.send(variables["configuration"].clone()).unwrap();
                assert!(variables["certificate_pem"].starts_with("-----BEGIN CERTIFICATE-----"));
            }
            _ => {}
        }
        None
    });
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), ["A-0001", "plant-7", "{\"Broker\":\"plant-7\"}"]);
    let events: Vec<&RunEvent> = world.events().collect();
    let at = |wanted: fn(&RunEvent) -> bool| events.iter().position(|event| wanted(event)).unwrap();
    let told = at(|event| matches!(event, RunEvent::BoardConfigured {}));
    assert!(at(|event| matches!(event, RunEvent::Registered { .. })) < told);
    assert!(
        at(|event| matches!(event, RunEvent::Provisioned { .. }))
            < at(|event| matches!(event, RunEvent::Registered { .. }))
    );
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
    for call in [Call::Issue, Call::Provision, Call::Register] {
        let mut world = World::in_a_fleet();
        world.script = Box::new(move |_, effect| {
            let is_it = match effect {
                Effect::Issue(_) => call == Call::Issue,
                Effect::Provision(_) => call == Call::Provision,
                Effect::Register(_) => call == Call::Register,
                _ => false,
            };
            is_it.then(|| failing(effect, failure(ReasonCode::CLOUD_UNREACHABLE)))
        });
        assert_eq!(world.begin().verdict(), Some(Verdict::Error), "{call:?}");
    }
}

#[test]
fn a_key_of_the_template_hides_no_variable_of_the_run() {
    let mut world = World::in_a_fleet();
    let (sender, seen) = std::sync::mpsc::sync_channel(1);
    world.script = Box::new(move |_, effect| match effect {
        Effect::Provision(asked) => {
            let names =
                ["serial", "port", "product", "station", "usb_path", "thing", "certificate_id", "configuration"];
            Some(provisioned(asked, &names.map(|name| (name, "../../other"))))
        }
        Effect::Configure { variables, .. } => {
            sender.send(variables.clone()).unwrap();
            None
        }
        _ => None,
    });
    let run = world.begin();
    let told = seen.recv().unwrap();
    for (name, value) in &run.variables {
        assert_eq!(told[name], *value, "{name}");
    }
    assert_eq!(told["thing"], "gw-A-0001");
    assert!(told["configuration"].starts_with('{') && told["certificate_id"].len() == 64, "{told:?}");
}

#[test]
fn what_the_template_answered_is_in_the_log_though_nothing_can_be_read_back() {
    let mut world = World::in_a_fleet();
    world.script = Box::new(|_, effect| match effect {
        Effect::Register(_) => Some(failing(effect, failure(ReasonCode::CLOUD_FAILED))),
        _ => None,
    });
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Error));
    assert_eq!(run.provisioned.unwrap()["Broker"], "plant-7");
}

#[test]
fn with_a_key_of_aws_the_chip_proves_and_that_key_connects_and_there_is_no_pass_before_the_board_has_it() {
    let mut world = World::in_a_fleet_of_keys();
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Pass));
    let issued = run.issued.clone().unwrap();
    assert_eq!((issued.request, run.configured), (None, true));
    assert_ne!(run.claim.as_ref().unwrap().0.fingerprint, issued.fingerprint, "the chip's own is what is claimed");
    assert_eq!(world.count(Call::Sign), 3, "the chip signs its challenges and no request");

    // Without the board's word for it there is none.
    let mut world = World::in_a_fleet_of_keys();
    world.script = Box::new(|_, effect| match effect {
        Effect::Configure { .. } => Some(failing(effect, failure(ReasonCode::BOARD_PREPARE))),
        _ => None,
    });
    assert_eq!(world.begin().verdict(), Some(Verdict::Error));
    let mut world = World::in_a_fleet_of_keys();
    world.profile.register.configure = None;
    let run = world.begin();
    assert_eq!(run.verdict(), Some(Verdict::Error), "the run's own rules forbid PASS");
    assert_eq!(run.sealed.unwrap().reason.unwrap().code, ReasonCode::CONFIG_INVALID);
}

#[test]
fn a_certificate_for_the_chips_own_key_is_none_of_a_new_one() {
    let mut world = World::in_a_fleet_of_keys();
    let chips = made(&world.chip.key);
    world.script = Box::new(move |_, effect| match effect {
        Effect::Issue(asked) => Some(Input::Issued(asked.target.clone(), Box::new(Ok(chips.clone())))),
        _ => None,
    });
    let run = world.begin();
    assert_eq!(run.sealed.unwrap().reason.unwrap().code, ReasonCode::ISSUED_UNUSABLE);
    // Nor the other way round.
    let mut world = World::in_a_fleet();
    world.script = Box::new(|_, effect| match effect {
        Effect::Issue(asked) => Some(Input::Issued(asked.target.clone(), Box::new(Ok(made(&OF_AWS))))),
        _ => None,
    });
    assert_eq!(world.begin().sealed.unwrap().reason.unwrap().code, ReasonCode::ISSUED_OTHER_KEY);
}
