//! Which profile a device belongs to.

use crate::domain::profile::{Match, Profile};
use crate::domain::{Device, Failure, ReasonCode};

/// The one profile that matches.
///
/// Fails with `B-101` when none does (normal for a keyboard or a modem: nothing is made of it),
/// `B-110` when several do, and `B-107` when the one that does belongs to a port that may not be
/// opened.
pub fn match_profile<'a>(profiles: &'a [Profile], device: &Device) -> Result<&'a Profile, Failure> {
    let fail = |code, cause: String| Err(Failure::new(code, cause).with("port", &device.path));
    let mut matching = profiles.iter().filter(|profile| matches(&profile.matches, device));
    let Some(profile) = matching.next() else {
        return fail(ReasonCode::BOARD_UNKNOWN, format!("no profile matches {}", describe(device)));
    };
    let others: Vec<&str> = matching.map(|other| other.name.as_str()).collect();
    if !others.is_empty() {
        let names = format!("{}, {}", profile.name, others.join(", "));
        let cause = format!("several profiles match {}: {names}", describe(device));
        return fail(ReasonCode::BOARD_AMBIGUOUS, cause).map_err(|failure: Failure| failure.with("profiles", names));
    }
    match &device.denied {
        Some(cause) => fail(ReasonCode::PORT_DENIED, cause.clone()),
        None => Ok(profile),
    }
}

/// Every condition that is given holds, and at least one is given.
fn matches(wanted: &Match, device: &Device) -> bool {
    let Match { usb, path, usb_serial, usb_product, interface, serial_port } = wanted;
    let text =
        |expression: &regex::Regex, text: &Option<String>| text.as_ref().is_some_and(|text| expression.is_match(text));
    let conditions = [
        (!usb.is_empty()).then(|| device.usb.is_some_and(|ids| usb.contains(&ids))),
        path.as_ref().map(|path| path.is_match(device.path.as_str())),
        usb_serial.as_ref().map(|serial| text(serial, &device.usb_serial)),
        usb_product.as_ref().map(|product| text(product, &device.product)),
        interface.map(|interface| device.interface == Some(interface)),
        serial_port.map(|wanted| device.node.is_some() == wanted),
    ];
    let mut given = conditions.into_iter().flatten().peekable();
    given.peek().is_some() && given.all(|holds| holds)
}

fn describe(device: &Device) -> String {
    let mut text = device.path.to_string();
    let optional = |value: &Option<String>| value.as_ref().map(|value| format!(" {value:?}")).unwrap_or_default();
    text += &device.usb.map(|ids| format!(" {ids}")).unwrap_or_default();
    text += &optional(&device.product);
    text += &device.interface.map(|number| format!(" interface {number}")).unwrap_or_default();
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile::*;
    use crate::domain::{Template, UsbIds};
    use std::time::Duration;

    fn profile(name: &str, matches: Match) -> Profile {
        let object = || ObjectName::Se050(1);
        Profile {
            name: name.to_owned(),
            product: "gateway".parse().unwrap(),
            matches,
            prepare: vec![],
            identify: Identify {
                source: IdentifySource::UsbSerial,
                again: false,
                serial: regex::Regex::new(".").unwrap(),
            },
            token: TokenPlan {
                module: "m.so".into(),
                environment: Default::default(),
                command: None,
                slot: SlotChoice::Only,
                certificate: object(),
                key: object(),
                uid: None,
                pin: None,
                call_timeout: Duration::from_secs(1),
                open_timeout: Duration::from_secs(1),
            },
            trust: Trust {
                roots: vec![],
                intermediates: vec![],
                issuer: None,
                expired_intermediate: Default::default(),
                crls: vec![],
                crl_coverage: Default::default(),
                keys: vec![],
                uid: UidRule::None,
                uid_from_cn: None,
            },
            register: Register {
                method: Method::WithoutCa,
                targets: vec![],
                thing_name: Template::parse("t").unwrap(),
                thing_type: None,
                attributes: Default::default(),
                thing_groups: Vec::new(),
                certificate_status: CertificateStatus::Active,
                policy: PolicyPlan { name: "p".parse().unwrap(), document: String::new() },
                offline: crate::domain::profile::Offline::Hold,
                deadline: Duration::from_secs(1),
                configure: None,
            },
            connect: None,
            label: None,
            manifest: None,
        }
    }

    fn board() -> Device {
        Device {
            path: "pci-0000:00:14.0-usb-0:3:1.2".parse().unwrap(),
            instance: "1".into(),
            node: Some("/dev/ttyACM1".into()),
            usb: Some(UsbIds { vid: 0x1fc9, pid: 0x00a2 }),
            usb_serial: Some("A/B C#é\"x".into()),
            interface: Some(2),
            product: Some("Gateway".into()),
            denied: None,
        }
    }

    fn one(edit: impl FnOnce(&mut Match)) -> Match {
        let mut wanted = Match::default();
        edit(&mut wanted);
        wanted
    }

    fn expression(text: &str) -> Option<regex::Regex> {
        Some(regex::Regex::new(text).unwrap())
    }

    #[test]
    fn a_profile_without_conditions_matches_nothing() {
        let failure = match_profile(&[profile("any", Match::default())], &board()).unwrap_err();
        assert_eq!(failure.code, ReasonCode::BOARD_UNKNOWN);
        assert_eq!(failure.cause, "no profile matches pci-0000:00:14.0-usb-0:3:1.2 1fc9:00a2 \"Gateway\" interface 2");
    }

    #[test]
    fn each_condition_alone_decides() {
        let ids = |text: &str| vec![text.parse::<UsbIds>().unwrap()];
        type Edit = Box<dyn Fn(&mut Match)>;
        let pairs: Vec<(Edit, Edit)> = vec![
            (Box::new(move |m| m.usb = ids("1fc9:00a2")), Box::new(move |m| m.usb = ids("1fc9:00a3"))),
            (Box::new(|m| m.path = expression("usb-0:3:")), Box::new(|m| m.path = expression("usb-0:4:"))),
            (Box::new(|m| m.usb_serial = expression("#é\"x$")), Box::new(|m| m.usb_serial = expression("^x"))),
            (Box::new(|m| m.usb_product = expression("^Gate")), Box::new(|m| m.usb_product = expression("^gate"))),
            (Box::new(|m| m.interface = Some(2)), Box::new(|m| m.interface = Some(0))),
            (Box::new(|m| m.serial_port = Some(true)), Box::new(|m| m.serial_port = Some(false))),
        ];
        for (holds, fails) in &pairs {
            assert!(matches(&one(holds), &board()));
            assert!(!matches(&one(fails), &board()));
            // And one that fails outweighs any that hold.
            for (other, _) in &pairs {
                let both = one(|m| {
                    other(m);
                    fails(m);
                });
                assert!(!matches(&both, &board()));
            }
        }
    }

    #[test]
    fn a_condition_on_what_a_device_does_not_have_fails() {
        let mut bare = board();
        (bare.usb, bare.usb_serial, bare.product, bare.interface, bare.node) = (None, None, None, None, None);
        let wanted: [fn(&mut Match); 5] = [
            |m| m.usb = vec!["1fc9:00a2".parse().unwrap()],
            |m| m.usb_serial = expression(""),
            |m| m.usb_product = expression(""),
            |m| m.interface = Some(0),
            |m| m.serial_port = Some(true),
        ];
        assert!(wanted.iter().all(|edit| !matches(&one(edit), &bare)));
        assert!(matches(&one(|m| m.serial_port = Some(false)), &bare));
    }

    #[test]
    fn two_matching_profiles_are_both_named() {
        let both = ["a", "b"].map(|name| profile(name, one(|m| m.interface = Some(2))));
        let failure = match_profile(&both, &board()).unwrap_err();
        assert_eq!(failure.code, ReasonCode::BOARD_AMBIGUOUS);
        assert_eq!(failure.args["profiles"], "a, b");
    }

    #[test]
    fn a_denied_port_is_refused_only_where_a_profile_wants_it() {
        let mut denied = board();
        denied.denied = Some("/dev/ttyACM1: Permission denied".into());
        let wanted = [profile("gw", one(|m| m.interface = Some(2)))];
        let failure = match_profile(&wanted, &denied).unwrap_err();
        assert_eq!(
            (failure.code, failure.cause.as_str()),
            (ReasonCode::PORT_DENIED, "/dev/ttyACM1: Permission denied")
        );
        assert_eq!(match_profile(&[], &denied).unwrap_err().code, ReasonCode::BOARD_UNKNOWN);
        assert_eq!(match_profile(&wanted, &board()).unwrap().name, "gw");
    }
}
