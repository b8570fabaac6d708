//! A repaired unit: the certificate of its past comes off the thing, and only that one.

use lineseal::domain::{Failure, ReasonCode};
use lineseal::ports::{Prepared, Refusal};

use super::responder::{Do, Responder, error, found};
use super::*;

/// A unit that is registered, and the same unit with the chip that a ruling gave it.
async fn repaired(peer: &Peer) -> (Registration, Registration) {
    let old = unit(Key::P256);
    peer.cloud().register(&old).await.unwrap();
    let certificate = certificate(Key::P256, old.thing.as_str());
    let fingerprint = Fingerprint::of(&certificate);
    let new = Registration { certificate, fingerprint, replaces: vec![old.fingerprint], ..old.clone() };
    (old, new)
}

/// INACTIVE, on nothing, with nothing.
async fn assert_retired(raw: &Client, old: &Registration) {
    let held = held(raw, old).await;
    assert_eq!(held.certificate_status.as_deref(), Some("INACTIVE"));
    assert_eq!((held.things_of_certificate, held.attached_policies), (vec![], vec![]));
}

const NEW_PARTS: [&str; 3] = ["certificate", "policy-attachment", "thing-attachment"];

pub(super) async fn the_certificate_of_a_units_past_comes_off_and_the_new_one_takes_its_place(peer: &Peer) {
    let (old, new) = repaired(peer).await;
    let record = peer.cloud().register(&new).await.unwrap();
    assert_eq!(record.created, NEW_PARTS);
    assert_eq!(record.replaced, [old.fingerprint]);
    assert_whole(&peer.raw(), &new).await;
    assert_retired(&peer.raw(), &old).await;

    // Every later run of the unit says so, too, and finds nothing to do.
    let again = peer.cloud().register(&new).await.unwrap();
    assert_eq!((again.created, again.replaced), (vec![], vec![]));
    assert_whole(&peer.raw(), &new).await;
}

pub(super) async fn after_a_crash_while_a_certificate_comes_off_the_rest_is_done(peer: &Peer) {
    for done in 0..=4 {
        let (old, new) = repaired(peer).await;
        let raw = peer.raw();
        let arn = held(&raw, &old).await.principals.remove(0);
        if done >= 1 {
            raw.detach_thing_principal().thing_name(old.thing.as_str()).principal(&arn).send().await.unwrap();
        }
        if done >= 2 {
            raw.detach_policy().policy_name(old.policy.name.as_str()).target(&arn).send().await.unwrap();
        }
        if done >= 3 {
            peer.cloud().deactivate(&old.target, &old.fingerprint).await.unwrap();
        }
        if done >= 4 {
            Hand { raw: peer.raw(), unit: &new }.certificate(AwsStatus::Active).await;
        }
        let record = peer.cloud().register(&new).await.unwrap();
        assert_eq!(record.replaced.len(), usize::from(done < 3), "{done}");
        assert_whole(&raw, &new).await;
        assert_retired(&raw, &old).await;
    }
}

/// Cut off before the first repair reached the cloud, repaired again: both are of its past.
pub(super) async fn a_unit_repaired_twice_loses_both_certificates(peer: &Peer) {
    let (first, second) = repaired(peer).await;
    let certificate = certificate(Key::P256, first.thing.as_str());
    let fingerprint = Fingerprint::of(&certificate);
    let replaces = vec![first.fingerprint, second.fingerprint];
    let third = Registration { certificate, fingerprint, replaces, ..first.clone() };
    let record = peer.cloud().register(&third).await.unwrap();
    // The cloud never heard of the second.
    assert_eq!(record.replaced, [first.fingerprint]);
    assert_whole(&peer.raw(), &third).await;
    assert_retired(&peer.raw(), &first).await;
}

pub(super) async fn any_other_certificate_on_the_thing_stays_foreign(peer: &Peer) {
    let (old, new) = repaired(peer).await;
    // Without a ruling the old one is as foreign as any.
    let unruled = Registration { replaces: Vec::new(), ..new.clone() };
    assert_eq!(code(&peer.cloud().register(&unruled).await.unwrap_err()), ReasonCode::THING_FOREIGN);

    let other = unit(Key::P256);
    let arn = Hand { raw: peer.raw(), unit: &other }.certificate(AwsStatus::Active).await;
    Hand { raw: peer.raw(), unit: &old }.attach_thing(old.thing.as_str(), &arn).await;
    let refusal = peer.cloud().register(&new).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::THING_FOREIGN);
    assert_eq!(refusal.failure.args["other"], arn);
    // Nothing was taken off, and nothing made.
    let held_by = held(&peer.raw(), &old).await;
    assert_eq!(held_by.certificate_status.as_deref(), Some("ACTIVE"));
    assert_eq!(held_by.principals.len(), 2);
    assert_eq!(held(&peer.raw(), &new).await.certificates_with_this_id, 0);
}

pub(super) async fn a_certificate_of_a_units_past_that_another_thing_uses_is_foreign(peer: &Peer) {
    let (old, new) = repaired(peer).await;
    let arn = held(&peer.raw(), &old).await.principals.remove(0);
    let other = format!("{}-other", old.thing);
    let hand = Hand { raw: peer.raw(), unit: &old };
    hand.bare_thing(&other).await;
    hand.attach_thing(&other, &arn).await;
    let refusal = peer.cloud().register(&new).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CERTIFICATE_FOREIGN);
    assert_eq!(refusal.failure.args["other"], other);
    let held = held(&peer.raw(), &old).await;
    assert_eq!((held.certificate_status.as_deref(), held.things_of_certificate.len()), (Some("ACTIVE"), 2));
}

pub(super) async fn what_others_gave_a_certificate_of_a_units_past_is_left_on_it(peer: &Peer) {
    let (old, new) = repaired(peer).await;
    let arn = held(&peer.raw(), &old).await.principals.remove(0);
    let other = unit(Key::P256);
    let hand = Hand { raw: peer.raw(), unit: &other };
    hand.policy(POLICY_WIDER).await;
    hand.attach_policy(&arn).await;
    let id = old.fingerprint.to_string();
    peer.raw().update_certificate().certificate_id(&id).new_status(AwsStatus::Revoked).send().await.unwrap();
    let record = peer.cloud().register(&new).await.unwrap();
    assert_eq!(record.replaced, [old.fingerprint]);
    assert_whole(&peer.raw(), &new).await;
    let held = held(&peer.raw(), &old).await;
    // Revoked is no state that INACTIVE would better.
    assert_eq!(held.certificate_status.as_deref(), Some("REVOKED"));
    assert_eq!((held.things_of_certificate, held.attached_policies), (vec![], vec![other.policy.name.to_string()]));
}

/// What taking a certificate off calls, besides what every registration does.
const CALLS: [&str; 3] = ["DetachThingPrincipal", "DetachPolicy", "UpdateCertificate"];

#[tokio::test]
async fn a_call_that_is_denied_while_a_certificate_comes_off_leaves_no_new_one_and_heals() {
    let peer = ministack().await;
    for denied in CALLS {
        let rule = move |action, _| if action == denied { error(403, "AccessDeniedException") } else { Do::Pass };
        let responder = Responder::before(&peer.endpoint, rule).await;
        let (old, new) = repaired(peer).await;
        let refusal = peer.cloud_at(&responder.endpoint()).register(&new).await.unwrap_err();
        assert_eq!(code(&refusal), ReasonCode::CLOUD_PERMISSION, "{denied}");
        assert_eq!(refusal.failure.args["action"], format!("iot:{denied}"));
        assert_eq!(held(&peer.raw(), &new).await.certificates_with_this_id, 0, "{denied}");
        assert!(!refusal.certificate_left);

        peer.cloud().register(&new).await.unwrap();
        assert_whole(&peer.raw(), &new).await;
        assert_retired(&peer.raw(), &old).await;
    }
}

#[tokio::test]
async fn answers_that_are_lost_or_come_late_while_a_certificate_comes_off_change_nothing() {
    let peer = ministack().await;
    for troubled in CALLS {
        for lost in [false, true] {
            let rule = move |action, count| match count {
                1 if action == troubled && lost => Do::PassAndCut,
                1 if action == troubled => error(500, "InternalFailureException"),
                2 if action == troubled && !lost => error(400, "ThrottlingException"),
                _ => Do::Pass,
            };
            let responder = Responder::before(&peer.endpoint, rule).await;
            let (old, new) = repaired(peer).await;
            let record = peer.cloud_at(&responder.endpoint()).register(&new).await.unwrap();
            assert_eq!(
                (record.created.as_slice(), record.replaced.as_slice()),
                (NEW_PARTS.map(str::to_owned).as_slice(), [old.fingerprint].as_slice()),
                "{troubled}"
            );
            assert_whole(&peer.raw(), &new).await;
            assert_retired(&peer.raw(), &old).await;
        }
    }
}

/// "This call is asynchronous. It might take several seconds for the detachment to propagate." (AWS IoT
/// API reference, DetachThingPrincipal.)
#[tokio::test]
async fn a_certificate_that_is_seen_on_the_thing_for_a_while_is_waited_for() {
    let peer = ministack().await;
    let (old, new) = repaired(peer).await;
    let arn = held(&peer.raw(), &old).await.principals.remove(0);
    let new_arn = arn.replace(&old.fingerprint.to_string(), &new.fingerprint.to_string());
    let responder = Responder::before(&peer.endpoint, move |action, count| match (action, count) {
        ("ListThingPrincipals", 2..=4) => found(format!(r#"{{"principals":["{arn}","{new_arn}"]}}"#)),
        _ => Do::Pass,
    })
    .await;
    let record = peer.cloud_at(&responder.endpoint()).register(&new).await.unwrap();
    assert_eq!(record.replaced, [old.fingerprint]);
    assert_eq!((responder.count("DetachThingPrincipal"), responder.count("ListThingPrincipals")), (1, 5));
    assert_whole(&peer.raw(), &new).await;
    assert_retired(&peer.raw(), &old).await;
}

#[test]
fn a_certificate_that_a_failed_introduction_may_have_left_goes_inactive_and_one_that_stood_before_does_not() {
    let failed =
        |left| Err(Refusal { failure: Failure::new(ReasonCode::CHIP_LACKS_KEY, "exchanged"), certificate_left: left });
    for (stood, set_active, signed, left) in [
        (false, false, true, true),
        (false, true, false, true),
        (false, false, false, false),
        (true, false, true, false),
    ] {
        let prepared = Prepared { stood, certificate_left: set_active, ..Prepared::default() };
        assert_eq!(prepared.and_then(failed(signed)).unwrap_err().certificate_left, left);
    }
}
