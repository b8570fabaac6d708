use super::*;
use crate::domain::profile::{Method, PolicyPlan};
use crate::domain::{Bytes, Fingerprint};
use base64::Engine as _;
use std::time::Duration;

const DER: &[u8] = b"any bytes: nothing here parses the certificate";

fn wanted() -> Registration {
    Registration {
        target: "plant".parse().unwrap(),
        method: Method::WithoutCa,
        certificate: Bytes(DER.to_vec()),
        fingerprint: Fingerprint::of(DER),
        twin: None,
        certificate_status: CertificateStatus::Active,
        thing: "gw-1".parse().unwrap(),
        thing_type: Some("gateway".parse().unwrap()),
        attributes: BTreeMap::from([("serial".parse().unwrap(), "1".parse().unwrap())]),
        groups: BTreeSet::from(["meters".parse().unwrap()]),
        policy: PolicyPlan { name: "device".parse().unwrap(), document: r#"{"a":1,"b":[2]}"#.into() },
        parameters: BTreeMap::new(),
        replaces: Vec::new(),
        patient: false,
        deadline: Duration::from_secs(1),
    }
}

fn arn() -> String {
    format!("arn:aws:iot:eu-west-1:123456789012:cert/{}", Fingerprint::of(DER))
}

/// All of it there.
fn whole() -> Seen {
    let text = base64::engine::general_purpose::STANDARD.encode(DER);
    Seen {
        certificate: Some(SeenCertificate {
            arn: arn(),
            id: Fingerprint::of(DER).to_string(),
            status: Some(AwsStatus::Active),
            ca: None,
            pem: format!("-----BEGIN CERTIFICATE-----\r\n{text}\r\n-----END CERTIFICATE-----"),
        }),
        ca: SeenCa::Unasked,
        twin: None,
        thing: Some(SeenThing {
            arn: "arn:aws:iot:eu-west-1:123456789012:thing/gw-1".into(),
            id: "7".into(),
            thing_type: Some("gateway".into()),
            attributes: BTreeMap::from([("serial".into(), "1".into())]),
        }),
        thing_type: SeenThingType::Usable,
        policy: Some(r#"{ "b": [2], "a": 1 }"#.into()),
        principals: vec![arn()],
        things: vec!["gw-1".into()],
        attached_policies: vec!["device".into()],
        groups: vec!["jobs".into(), "meters".into()],
        replaced: vec![],
        endpoint: "abc-ats.iot.eu-west-1.amazonaws.com".into(),
    }
}

fn judged(seen: &Seen) -> Result<Vec<&'static str>, ReasonCode> {
    let wanted = wanted();
    let document = serde_json::from_str(&wanted.policy.document).unwrap();
    judge(seen, &wanted, &document)
        .map(|missing| missing.into_iter().map(Part::as_str).collect())
        .map_err(|failure| failure.code)
}

fn changed(change: impl FnOnce(&mut Seen)) -> Result<Vec<&'static str>, ReasonCode> {
    let mut seen = whole();
    change(&mut seen);
    judged(&seen)
}

#[test]
fn nothing_is_missing_from_the_whole() {
    assert_eq!(judged(&whole()), Ok(vec![]));
}

#[test]
fn what_is_missing_is_named_in_the_order_in_which_it_can_be_made() {
    let nothing = Seen {
        certificate: None,
        ca: SeenCa::Unasked,
        twin: None,
        thing: None,
        thing_type: SeenThingType::Absent,
        policy: None,
        principals: vec![],
        things: vec![],
        attached_policies: vec![],
        groups: vec!["jobs".into()],
        replaced: vec![],
        endpoint: String::new(),
    };
    let all = ["thing-type", "certificate", "thing", "policy", "policy-attachment", "thing-attachment", "thing-groups"];
    assert_eq!(judged(&nothing), Ok(all.to_vec()));
}

#[test]
fn another_form_of_the_certificate_is_foreign_unless_a_ruling_took_it_from_the_unit() {
    let other = Fingerprint::of(b"the other form");
    let arn = format!("arn:aws:iot:eu-west-1:123456789012:cert/{other}");
    let twin = SeenCertificate { arn, id: other.to_string(), status: None, pem: String::new(), ca: None };
    let seen = Seen { twin: Some(twin), ..whole() };
    let document = serde_json::from_str(&wanted().policy.document).unwrap();
    assert_eq!(judge(&seen, &wanted(), &document).unwrap_err().code, ReasonCode::CERTIFICATE_FOREIGN);
    let ruled = Registration { replaces: vec![other], ..wanted() };
    assert_eq!(judge(&seen, &ruled, &document).unwrap(), BTreeSet::new());
}

#[test]
fn an_attachment_that_only_one_of_the_lists_shows_is_still_missing() {
    assert_eq!(changed(|seen| seen.principals.clear()), Ok(vec!["thing-attachment"]));
    assert_eq!(changed(|seen| seen.things.clear()), Ok(vec!["thing-attachment"]));
}

#[test]
fn foreign_data_is_told_before_anything_that_merely_differs() {
    let policy_differs = |seen: &mut Seen| seen.policy = Some("{}".into());
    assert_eq!(changed(policy_differs), Err(ReasonCode::POLICY_DIFFERS));
    let both = changed(|seen| {
        policy_differs(seen);
        seen.things.push("gw-2".into());
    });
    assert_eq!(both, Err(ReasonCode::CERTIFICATE_FOREIGN));
    let both = changed(|seen| {
        policy_differs(seen);
        seen.principals.push("arn:aws:iot:eu-west-1:123456789012:cert/00".into());
    });
    assert_eq!(both, Err(ReasonCode::THING_FOREIGN));
}

#[test]
fn a_thing_that_differs_is_foreign_unless_it_carries_our_certificate() {
    let other_attributes = |seen: &mut Seen| seen.thing.as_mut().unwrap().attributes.clear();
    let other_type = |seen: &mut Seen| seen.thing.as_mut().unwrap().thing_type = None;
    assert_eq!(changed(other_attributes), Err(ReasonCode::CLOUD_STATUS));
    assert_eq!(changed(other_type), Err(ReasonCode::CLOUD_THING_TYPE));
    for change in [other_attributes as fn(&mut Seen), other_type] {
        let unattached = changed(|seen| {
            change(seen);
            seen.principals.clear();
            seen.things.clear();
        });
        assert_eq!(unattached, Err(ReasonCode::THING_FOREIGN));
    }
}

#[test]
fn only_inactive_to_active_is_ours_to_change() {
    let status = |status: AwsStatus| changed(|seen| seen.certificate.as_mut().unwrap().status = Some(status));
    assert_eq!(status(AwsStatus::Inactive), Ok(vec!["certificate-status"]));
    for other in
        [AwsStatus::Revoked, AwsStatus::PendingTransfer, AwsStatus::PendingActivation, AwsStatus::RegisterInactive]
    {
        assert_eq!(status(other), Err(ReasonCode::CLOUD_STATUS));
    }
    assert_eq!(changed(|seen| seen.certificate.as_mut().unwrap().status = None), Err(ReasonCode::CLOUD_STATUS));
}

#[test]
fn the_certificate_in_the_cloud_is_compared_byte_for_byte() {
    let pem = |change: &dyn Fn(&str) -> String| {
        changed(|seen| {
            let certificate = seen.certificate.as_mut().unwrap();
            certificate.pem = change(&certificate.pem);
        })
    };
    assert_eq!(pem(&|_| String::new()), Err(ReasonCode::CLOUD_CERTIFICATE));
    assert_eq!(pem(&|pem| pem.replacen('A', "B", 1)), Err(ReasonCode::CLOUD_CERTIFICATE));
    assert_eq!(pem(&|pem| format!("{pem}\n{pem}")), Err(ReasonCode::CLOUD_CERTIFICATE));
    let id = changed(|seen| seen.certificate.as_mut().unwrap().id = "00".repeat(32));
    assert_eq!(id, Err(ReasonCode::CLOUD_CERTIFICATE));
}

#[test]
fn a_deprecated_type_stops_new_things_only() {
    assert_eq!(changed(|seen| seen.thing_type = SeenThingType::Deprecated), Ok(vec![]));
    let new = changed(|seen| {
        seen.thing_type = SeenThingType::Deprecated;
        seen.thing = None;
        seen.principals.clear();
    });
    assert_eq!(new, Err(ReasonCode::CLOUD_THING_TYPE));
}

#[test]
fn a_policy_beside_ours_is_an_error() {
    assert_eq!(changed(|seen| seen.attached_policies.push("admin".into())), Err(ReasonCode::CLOUD_STATUS));
    assert_eq!(changed(|seen| seen.attached_policies = vec!["admin".into()]), Err(ReasonCode::CLOUD_STATUS));
}

const PAST: &[u8] = b"the certificate of the unit's past";

/// The whole, and all that is left of the certificate that it had before.
fn repaired(change: impl FnOnce(&mut Seen)) -> Result<Vec<&'static str>, ReasonCode> {
    let past = Fingerprint::of(PAST);
    let wanted = Registration { replaces: vec![past], ..wanted() };
    let arn = arn().replace(&wanted.fingerprint.to_string(), &past.to_string());
    let mut seen = whole();
    seen.principals.push(arn.clone());
    seen.replaced.push(SeenReplaced {
        fingerprint: past,
        arn,
        status: Some(AwsStatus::Active),
        things: vec!["gw-1".into()],
        policies: vec!["device".into()],
    });
    change(&mut seen);
    let document = serde_json::from_str(&wanted.policy.document).unwrap();
    judge(&seen, &wanted, &document)
        .map(|missing| missing.into_iter().map(Part::as_str).collect())
        .map_err(|failure| failure.code)
}

#[test]
fn a_certificate_of_the_units_past_is_taken_off_before_anything_is_made() {
    let [thing, policy, status] =
        ["replaced-thing-attachment", "replaced-policy-attachment", "replaced-certificate-status"];
    assert_eq!(repaired(|_| {}), Ok(vec![thing, policy, status]));
    let new = repaired(|seen| {
        seen.certificate = None;
        seen.principals.remove(0);
        seen.things.clear();
        seen.attached_policies.clear();
    });
    let made = ["certificate", "policy-attachment", "thing-attachment"];
    assert_eq!(new, Ok([&[thing, policy, status], made.as_slice()].concat()));
}

#[test]
fn a_certificate_of_the_units_past_is_off_when_both_lists_say_so() {
    let but_for_the_thing = |change: fn(&mut Seen)| {
        repaired(|seen| {
            seen.replaced[0].policies.clear();
            seen.replaced[0].status = Some(AwsStatus::Inactive);
            change(seen);
        })
    };
    let off_thing = |seen: &mut Seen| drop(seen.principals.pop());
    let off_certificate = |seen: &mut Seen| seen.replaced[0].things.clear();
    assert_eq!(but_for_the_thing(|_| {}), Ok(vec!["replaced-thing-attachment"]));
    assert_eq!(but_for_the_thing(off_thing), Ok(vec!["replaced-thing-attachment"]));
    assert_eq!(but_for_the_thing(off_certificate), Ok(vec!["replaced-thing-attachment"]));
    let off = |change: fn(&mut Seen)| {
        repaired(|seen| {
            off_thing(seen);
            off_certificate(seen);
            seen.replaced[0].policies.clear();
            seen.replaced[0].status = Some(AwsStatus::Inactive);
            change(seen);
        })
    };
    assert_eq!(off(|_| {}), Ok(vec![]));
    assert_eq!(off(|seen| seen.replaced.clear()), Ok(vec![]), "the cloud does not know it any more");
    // What others gave it, and what cannot connect anyhow, is not ours to change.
    assert_eq!(off(|seen| seen.replaced[0].policies.push("admin".into())), Ok(vec![]));
    assert_eq!(off(|seen| seen.replaced[0].status = Some(AwsStatus::Revoked)), Ok(vec![]));
}

#[test]
fn only_exactly_the_certificates_that_rulings_took_are_taken_off() {
    let stranger = "arn:aws:iot:eu-west-1:123456789012:cert/00";
    assert_eq!(repaired(|seen| seen.principals.push(stranger.into())), Err(ReasonCode::THING_FOREIGN));
    let elsewhere = repaired(|seen| seen.replaced[0].things.push("gw-2".into()));
    assert_eq!(elsewhere, Err(ReasonCode::CERTIFICATE_FOREIGN));
    let given_away = repaired(|seen| seen.replaced[0].status = Some(AwsStatus::PendingTransfer));
    assert_eq!(given_away, Err(ReasonCode::CLOUD_STATUS));
    // The same thing without a ruling.
    let past = Fingerprint::of(PAST);
    let unruled = changed(|seen| seen.principals.push(format!("arn:aws:iot:eu-west-1:123456789012:cert/{past}")));
    assert_eq!(unruled, Err(ReasonCode::THING_FOREIGN));
}

/// As [`changed`], of a unit that is registered in the name of an own CA.
fn with_ca(change: impl FnOnce(&mut Seen, &str)) -> Result<Vec<&'static str>, ReasonCode> {
    let ca =
        SigningCa { name: "own".parse().unwrap(), certificate: Bytes(vec![1]), fingerprint: Fingerprint::of(&[1]) };
    let id = ca.fingerprint.to_string();
    let wanted = Registration { method: Method::WithCa(ca), ..wanted() };
    let mut seen = whole();
    seen.ca = SeenCa::Active { joins: false };
    seen.certificate.as_mut().unwrap().ca = Some(id.clone());
    change(&mut seen, &id);
    let document = serde_json::from_str(&wanted.policy.document).unwrap();
    judge(&seen, &wanted, &document)
        .map(|missing| missing.into_iter().map(Part::as_str).collect())
        .map_err(|failure| failure.code)
}

#[test]
fn a_certificate_that_is_registered_under_another_ca_or_none_is_not_adopted() {
    assert_eq!(with_ca(|_, _| {}), Ok(vec![]));
    let under =
        |other: Option<&str>| with_ca(|seen, _| seen.certificate.as_mut().unwrap().ca = other.map(str::to_owned));
    assert_eq!(under(None), Err(ReasonCode::CERTIFICATE_OTHER_CA));
    assert_eq!(under(Some(&"0".repeat(64))), Err(ReasonCode::CERTIFICATE_OTHER_CA));
}

#[test]
fn nothing_is_registered_in_the_name_of_a_ca_that_may_not_sign_there() {
    let asked = |ca: SeenCa| {
        with_ca(|seen, _| {
            seen.ca = ca;
            seen.certificate = None;
        })
    };
    assert_eq!(asked(SeenCa::Active { joins: false }), Ok(vec!["certificate"]));
    assert_eq!(asked(SeenCa::Absent), Err(ReasonCode::CA_ABSENT));
    assert_eq!(asked(SeenCa::NotActive("INACTIVE".into())), Err(ReasonCode::CA_INACTIVE));
    assert_eq!(asked(SeenCa::Other), Err(ReasonCode::CLOUD_CERTIFICATE));
    // What is registered stays so when its CA is switched off later.
    assert_eq!(with_ca(|seen, _| seen.ca = SeenCa::NotActive("INACTIVE".into())), Ok(vec![]));
}
