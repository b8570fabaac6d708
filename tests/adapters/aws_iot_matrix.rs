//! Every call × every fault: registering, taking back, and the CAs. Each ends well after another attempt, or with a
//! code that says so and leaves what the next attempt finishes; the cloud is listed afterwards.

use lineseal::audit::event::{Holding, Withdrawal};
use lineseal::domain::{CaEnd, CaMode, Failure};
use lineseal::ports::{Authorities as _, TakenBack};
use tokio::task::JoinSet;

use super::ca::{Own, authorities};
use super::faults::CALLS;
use super::responder::{Do, Responder, error};
use super::*;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    Late,
    Cut,
    AnswerLost,
    Throttled,
    Failed,
    Unavailable,
    HalfBody,
    WrongJson,
    EmptyJson,
}

const FAULTS: [Fault; 9] = [
    Fault::Late,
    Fault::Cut,
    Fault::AnswerLost,
    Fault::Throttled,
    Fault::Failed,
    Fault::Unavailable,
    Fault::HalfBody,
    Fault::WrongJson,
    Fault::EmptyJson,
];

impl Fault {
    fn at_work(self) -> Do {
        match self {
            // Later than an attempt is waited for.
            Fault::Late => Do::PassLate(Duration::from_millis(5500)),
            Fault::Cut => Do::Cut,
            Fault::AnswerLost => Do::PassAndCut,
            Fault::Throttled => error(400, "ThrottlingException"),
            Fault::Failed => error(500, "InternalFailureException"),
            Fault::Unavailable => error(503, "ServiceUnavailableException"),
            Fault::HalfBody => Do::PassHalf,
            Fault::WrongJson => Do::PassWrong("[7]"),
            Fault::EmptyJson => Do::PassWrong("{}"),
        }
    }

    /// What it may be told as, where it goes on; an empty answer is believed of lists, and waited out.
    fn codes(self) -> &'static [ReasonCode] {
        match self {
            Fault::Late | Fault::Cut | Fault::AnswerLost => &[ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_NOT_YET],
            Fault::Throttled => &[ReasonCode::CLOUD_THROTTLED],
            Fault::HalfBody => &[ReasonCode::CLOUD_FAILED, ReasonCode::CLOUD_UNREACHABLE, ReasonCode::CLOUD_NOT_YET],
            Fault::Failed | Fault::Unavailable => &[ReasonCode::CLOUD_FAILED],
            Fault::WrongJson | Fault::EmptyJson => &[ReasonCode::CLOUD_FAILED, ReasonCode::CLOUD_NOT_YET],
        }
    }

    /// `endpoint`: the peer's, or of what stands before it.
    pub(super) async fn before(self, endpoint: &str, call: &'static str, times: u32) -> Responder {
        let rule = move |action, count| if action == call && count <= times { self.at_work() } else { Do::Pass };
        Responder::before(endpoint, rule).await
    }
}

/// Once, and for as long as it is tried.
const TIMES: [u32; 2] = [1, u32::MAX];

/// As many as there are lanes, side by side: most of the time is waited for late answers.
const AT_A_TIME: usize = 16;

pub(super) async fn each_fault_at_each_of<F>(
    calls: &'static [&'static str],
    case: impl Fn(&'static str, Fault, u32) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut cases = JoinSet::new();
    for call in calls {
        for fault in FAULTS {
            for times in TIMES {
                while cases.len() >= AT_A_TIME {
                    cases.join_next().await.unwrap().unwrap();
                }
                cases.spawn(case(call, fault, times));
            }
        }
    }
    while let Some(ended) = cases.join_next().await {
        ended.unwrap();
    }
}

pub(super) fn is_told(failure: &Failure, fault: Fault, call: &str) {
    // Another call had no time left, or no turn, within the few seconds that these cases have.
    let out_of_time = ["before the deadline", "until the deadline", "own rate limit"];
    let out_of_time = out_of_time.iter().any(|end| failure.cause.ends_with(end));
    assert!(out_of_time || fault.codes().contains(&failure.code), "{call} {fault:?}: {failure}");
}

#[tokio::test]
async fn a_registration_under_each_fault_at_each_call_passes_or_is_told_and_the_next_attempt_makes_it_whole() {
    each_fault_at_each_of(&CALLS, |call, fault, times| async move {
        let peer = ministack().await;
        let responder = fault.before(&peer.endpoint, call, times).await;
        let unit = Registration { deadline: Duration::from_secs(if times == 1 { 30 } else { 5 }), ..unit(Key::P256) };
        let began = Instant::now();
        let ended = peer.cloud_at(&responder.endpoint()).register(&unit).await;
        assert!(responder.count(call) > 0, "{call} was never made");
        assert!(began.elapsed() < unit.deadline + Duration::from_secs(3), "{call} {fault:?} {times}");
        if let Err(refusal) = ended {
            is_told(&refusal.failure, fault, call);
            assert!(times > 1 || fault == Fault::EmptyJson, "{call} {fault:?} once: {refusal}");
        }
        let unit = Registration { deadline: Duration::from_secs(30), ..unit };
        peer.cloud().register(&unit).await.unwrap();
        assert_whole(&peer.raw(), &unit).await;
    })
    .await;
}

const WITHDRAWALS: [&str; 10] = [
    "DescribeCertificate",
    "ListPrincipalThings",
    "ListAttachedPolicies",
    "DescribeThing",
    "ListThingPrincipals",
    "UpdateCertificate",
    "DetachThingPrincipal",
    "DetachPolicy",
    "DeleteCertificate",
    "DeleteThing",
];

#[tokio::test]
async fn a_withdrawal_under_each_fault_at_each_call_ends_or_is_told_and_the_next_one_leaves_nothing() {
    each_fault_at_each_of(&WITHDRAWALS, |call, fault, times| async move {
        let peer = ministack().await;
        let unit = unit(Key::P256);
        peer.cloud().register(&unit).await.unwrap();
        let holding = Holding {
            target: unit.target.clone(),
            certificates: vec![unit.fingerprint],
            things: vec![unit.thing.clone()],
            intended: Vec::new(),
            policies: vec![unit.policy.name.clone()],
            unanswered: Vec::new(),
        };
        let responder = fault.before(&peer.endpoint, call, times).await;
        let cloud = peer.cloud_at(&responder.endpoint());
        // It has a minute; what is to be seen is to be seen sooner.
        let within = Duration::from_secs(if times == 1 { 30 } else { 7 });
        let ended = tokio::time::timeout(within, cloud.withdraw(&holding, Withdrawal::Delete)).await;
        assert!(responder.count(call) > 0, "{call} was never made");
        match ended {
            Ok(TakenBack { failure: Some(failure), .. }) => {
                is_told(&failure, fault, call);
                assert!(times > 1 || fault == Fault::EmptyJson, "{call} {fault:?} once: {failure}");
            }
            Ok(_) => {}
            Err(_) => assert!(times > 1, "{call} {fault:?} once"),
        }
        // Killed in the middle, or told: either way the same command goes on with what is left.
        assert_eq!(peer.cloud().withdraw(&holding, Withdrawal::Delete).await.failure, None, "{call} {fault:?}");
        let left = held(&peer.raw(), &unit).await;
        assert_eq!((left.certificates_with_this_id, left.things_with_this_name), (0, 0), "{call} {fault:?}");
    })
    .await;
}

const OF_CAS: [&str; 6] = [
    "GetRegistrationCode",
    "RegisterCACertificate",
    "DescribeCACertificate",
    "UpdateCACertificate",
    "DeleteCACertificate",
    "ListCACertificates",
];

#[tokio::test]
async fn a_cas_life_under_each_fault_at_each_call_goes_on_or_is_told_and_ends_with_none_left() {
    each_fault_at_each_of(&OF_CAS, |call, fault, times| async move {
        let peer = ministack().await;
        let (own, direct) = (Own::new(), authorities(peer, &peer.endpoint));
        let plan = own.plan(CaMode::Default);
        let proof = own.proof(&direct).await;
        let responder = fault.before(&peer.endpoint, call, times).await;
        let under = authorities(peer, &responder.endpoint());
        let told = |failure: Failure| {
            is_told(&failure, fault, call);
            assert!(times > 1 || fault == Fault::EmptyJson, "{call} {fault:?} once: {failure}");
        };
        let here = async || direct.find(&plan.target, &own.signing.fingerprint).await.unwrap();
        let steps = async {
            under.registration_code(&plan.target).await.map_err(&told).ok();
            if under.register(&plan, Some(&proof)).await.map_err(&told).is_err() {
                let end = direct.register(&plan, Some(&proof)).await.unwrap();
                assert!([CaEnd::Done, CaEnd::Found].contains(&end), "{call} {fault:?}");
            }
            under.all(&plan.target).await.map_err(&told).ok();
            assert!(here().await.unwrap().active, "{call} {fault:?}");
            let listed = direct.all(&plan.target).await.unwrap();
            assert_eq!(listed.iter().filter(|held| held.id == own.signing.fingerprint).count(), 1);
            if under.deactivate(&plan).await.map_err(&told).is_err() {
                direct.deactivate(&plan).await.unwrap();
            }
            assert!(!here().await.unwrap().active, "{call} {fault:?}");
            if under.delete(&plan).await.map_err(&told).is_err() {
                direct.delete(&plan).await.unwrap();
            }
            assert_eq!(here().await, None, "{call} {fault:?}");
        };
        steps.await;
        assert!(responder.count(call) > 0, "{call} was never made");
    })
    .await;
}
