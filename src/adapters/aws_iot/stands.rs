//! The last look at a target, beside the last look at the chip.

use std::time::Duration;

use tokio::time::Instant;

use super::call::{Link, pause_after};
use super::judge::is_certificate;
use super::look::{fetch_policy, list_policies, list_principals, list_things};
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::ports::ReadBack;

/// The board waits for it, and only for the verdict.
const WITHIN: Duration = Duration::from_secs(10);

/// What hangs on a unit, as lists have it.
struct Lists {
    principals: Vec<String>,
    things: Vec<String>,
    policies: Vec<String>,
    /// The document of the unit's own.
    document: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Whole,
    /// Each list may come from where it is not known yet.
    Short(&'static str),
}

/// See [`Cloud::stands`](crate::ports::Cloud::stands).
pub(super) async fn stands(link: &Link, held: &ReadBack) -> Result<(), Failure> {
    let by = Instant::now() + held.deadline.min(WITHIN);
    let mut fruitless = 0;
    loop {
        let lists = look(link, held, by).await.map_err(unseen)?;
        let Standing::Short(of) = judge(&lists, held)? else { return Ok(()) };
        fruitless += 1;
        let pause = pause_after(fruitless);
        if Instant::now() + pause >= by {
            let cause = format!("it was there when it was read back, and is not there now: {of}");
            return Err(Failure::new(ReasonCode::CLOUD_UNSEEN, cause).with("target", &held.target));
        }
        tokio::time::sleep(pause).await;
    }
}

/// One round trip.
async fn look(link: &Link, held: &ReadBack, by: Instant) -> Result<Lists, Failure> {
    let arn = &held.certificate_arn;
    let (principals, things, policies, document) = tokio::join!(
        list_principals(link, held.thing.as_str(), by),
        list_things(link, arn, by),
        list_policies(link, arn, by),
        fetch_policy(link, held.policy.name.as_str(), by),
    );
    Ok(Lists { principals: principals?, things: things?, policies: policies?, document: document? })
}

/// The unit is registered: what keeps one from being registered waits for nothing any more.
fn unseen(failure: Failure) -> Failure {
    match failure.code.verdict() {
        Verdict::Held => {
            Failure { code: ReasonCode::CLOUD_UNSEEN, cause: format!("{}: {}", failure.code, failure.cause), ..failure }
        }
        _ => failure,
    }
}

fn judge(lists: &Lists, held: &ReadBack) -> Result<Standing, Failure> {
    let ReadBack { thing, fingerprint, policy, .. } = held;
    let refused = |code, cause| Failure::new(code, cause).with("target", &held.target).with("thing", thing);
    if let Some(other) = lists.things.iter().find(|other| other.as_str() != thing.as_str()) {
        let cause = format!("certificate {fingerprint} is attached to thing {other:?} by now");
        return Err(refused(ReasonCode::CERTIFICATE_FOREIGN, cause).with("other", other));
    }
    if let Some(other) = lists.principals.iter().find(|other| !is_certificate(other, fingerprint)) {
        let cause = format!("thing {thing} has the principal {other:?} by now");
        return Err(refused(ReasonCode::THING_FOREIGN, cause).with("other", other));
    }
    if let Some(other) = lists.policies.iter().find(|other| other.as_str() != policy.name.as_str()) {
        let cause = format!("certificate {fingerprint} also has the policy {other:?} by now");
        return Err(refused(ReasonCode::CLOUD_STATUS, cause).with("other", other));
    }
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    if lists.document.as_deref().is_some_and(|found| parsed(found) != parsed(&policy.document)) {
        let cause = format!("policy {} holds another document than the profile's by now", policy.name);
        return Err(refused(ReasonCode::POLICY_DIFFERS, cause).with("policy", &policy.name));
    }
    let short = [
        (lists.things.is_empty() || lists.principals.is_empty(), "thing-attachment"),
        (lists.policies.is_empty(), "policy-attachment"),
        (lists.document.is_none(), "policy"),
    ];
    Ok(short.into_iter().find_map(|(is, of)| is.then_some(Standing::Short(of))).unwrap_or(Standing::Whole))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Fingerprint;
    use crate::domain::profile::PolicyPlan;

    fn held() -> (ReadBack, Lists) {
        let fingerprint = Fingerprint::of(b"the unit's");
        let arn = format!("arn:aws:iot:eu-west-1:000000000000:cert/{fingerprint}");
        let policy = PolicyPlan { name: "device".parse().unwrap(), document: r#"{"a": 1}"#.to_owned() };
        let lists = Lists {
            principals: vec![arn.clone()],
            things: vec!["gw-1".to_owned()],
            policies: vec!["device".to_owned()],
            document: Some(r#"{ "a":1 }"#.to_owned()),
        };
        let (target, thing) = ("plant".parse().unwrap(), "gw-1".parse().unwrap());
        let deadline = Duration::from_secs(20);
        (ReadBack { target, thing, fingerprint, certificate_arn: arn, policy, deadline }, lists)
    }

    #[test]
    fn whatever_has_come_to_a_unit_since_is_told_and_what_is_gone_is_waited_for() {
        let (unit, whole) = held();
        assert_eq!(judge(&whole, &unit).unwrap(), Standing::Whole);
        let changed = |change: fn(&mut Lists)| {
            let (unit, mut lists) = held();
            change(&mut lists);
            judge(&lists, &unit).map_err(|failure| failure.code)
        };
        let cases: [(fn(&mut Lists), _); 8] = [
            (|lists| lists.things.push("gw-2".into()), Err(ReasonCode::CERTIFICATE_FOREIGN)),
            (|lists| lists.principals.push("eu-west-1:cognito".into()), Err(ReasonCode::THING_FOREIGN)),
            (|lists| lists.policies.push("wider".into()), Err(ReasonCode::CLOUD_STATUS)),
            (|lists| lists.document = Some("{}".into()), Err(ReasonCode::POLICY_DIFFERS)),
            (|lists| lists.things.clear(), Ok(Standing::Short("thing-attachment"))),
            (|lists| lists.principals.clear(), Ok(Standing::Short("thing-attachment"))),
            (|lists| lists.policies.clear(), Ok(Standing::Short("policy-attachment"))),
            (|lists| lists.document = None, Ok(Standing::Short("policy"))),
        ];
        for (number, (change, told)) in cases.into_iter().enumerate() {
            assert_eq!(changed(change), told, "{number}");
        }
    }

    #[test]
    fn what_keeps_others_waiting_is_an_error_of_a_unit_that_is_registered() {
        for (code, told) in [
            (ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_UNSEEN),
            (ReasonCode::CLOUD_THROTTLED, ReasonCode::CLOUD_UNSEEN),
            (ReasonCode::CLOUD_PERMISSION, ReasonCode::CLOUD_PERMISSION),
        ] {
            assert_eq!(unseen(Failure::new(code, "as the test has it")).code, told);
        }
    }
}
