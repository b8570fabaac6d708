//! The worker against a module that means harm: nothing that it does proves a chip, lasts longer than
//! its deadlines, disturbs the board beside it or leaves a process behind.

use std::time::{Duration, Instant};

use lineseal::audit::event::SignatureScheme;
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{ChipUid, Failure, ReasonCode};
use lineseal::ports::{TokenAccess, Tokens as _};

use crate::hostile;
use crate::pkcs11::bench::{self, Bench, UID, verify};

const SCHEME: SignatureScheme = SignatureScheme::EcdsaSecp256r1Sha256;
/// Long enough for an honest answer on a machine that does much else.
const CALL: Duration = Duration::from_secs(3);
const OPEN: Duration = Duration::from_secs(6);

/// Every function that a board's run calls.
const FUNCTIONS: [&str; 13] = [
    "C_GetFunctionList",
    "C_Initialize",
    "C_GetInfo",
    "C_GetSlotList",
    "C_GetTokenInfo",
    "C_OpenSession",
    "C_Login",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_GetAttributeValue",
    "C_GetMechanismList",
    "C_SignInit",
    "C_Sign",
];

struct Hostile {
    bench: Bench,
    access: TokenAccess,
}

impl Hostile {
    fn new(plan: &str) -> Self {
        let bench = Bench::new(KeyKind::EcP256);
        let mut access = bench.access();
        access.environment.insert("HOSTILE_REAL".into(), access.module.display().to_string());
        access.environment.insert("HOSTILE_PLAN".into(), bench.dir.path().join(hostile::PLAN).display().to_string());
        access.module = hostile::module().to_owned();
        (access.call_timeout, access.open_timeout) = (CALL, OPEN);
        std::fs::write(bench.dir.path().join(hostile::PLAN), plan).unwrap();
        Self { bench, access }
    }

    fn beside(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.bench.dir.path().join(name), bytes).unwrap();
    }

    /// As a run does: read, prove, read again, prove again.
    async fn run(&self) -> Result<(), Failure> {
        let mut token = bench::tokens().open(&self.access).await?;
        for message in ["first", "before register"].map(str::as_bytes) {
            let reading = token.read().await?;
            let changed = |what: &str| Failure::new(ReasonCode::CHIP_CHANGED, what.to_owned());
            if reading.certificate.0 != self.bench.certificate {
                return Err(changed("certificate"));
            }
            if reading.uid != self.access.uid.as_ref().map(|_| ChipUid::from_bytes(&UID).unwrap()) {
                return Err(changed("uid"));
            }
            let signature = token.sign(message, SCHEME).await?;
            verify(&self.bench.spki, SCHEME, message, &signature)
                .map_err(|_| Failure::new(ReasonCode::CHIP_LACKS_KEY, "signature"))?;
        }
        Ok(())
    }

    /// The run's end, within its deadlines, with nobody left.
    async fn outcome(&self, what: &str) -> Result<(), Failure> {
        let begun = Instant::now();
        let outcome = self.run().await;
        // Two calls' worth for ending the worker; a request has ten calls' time.
        let most = OPEN + CALL * 10 * 4 + CALL * 2;
        assert!(begun.elapsed() < most, "{what} took {:?}", begun.elapsed());
        hostile::nobody_left(self.bench.dir.path(), what).await;
        outcome
    }
}

/// One plan after the other in each of a few hands, while a good board passes again and again beside them.
async fn each(plans: Vec<String>, judge: impl Fn(&str, Result<(), Failure>) + Send + Sync + 'static) {
    let over = std::sync::Arc::new(tokio::sync::Notify::new());
    let neighbour = tokio::spawn({
        let over = over.clone();
        async move {
            let good = Hostile::new("");
            let mut passed = 0;
            let over = over.notified();
            tokio::pin!(over);
            loop {
                good.run().await.unwrap_or_else(|failure| panic!("the good board beside it: {failure}"));
                passed += 1;
                tokio::select! {
                    () = &mut over => return passed,
                    () = tokio::time::sleep(Duration::from_millis(100)) => {}
                }
            }
        }
    });
    let judge = std::sync::Arc::new(judge);
    let plans = std::sync::Arc::new(std::sync::Mutex::new(plans.into_iter()));
    let hands: Vec<_> = std::iter::repeat_with(|| {
        let (plans, judge) = (plans.clone(), judge.clone());
        tokio::spawn(async move {
            loop {
                let Some(plan) = plans.lock().unwrap().next() else { return };
                let hostile = Hostile::new(&plan);
                hostile.beside("other", b"other");
                let outcome = hostile.outcome(&plan).await;
                judge(&plan, outcome);
            }
        })
    })
    .take(4)
    .collect();
    for hand in hands {
        hand.await.unwrap();
    }
    over.notify_one();
    assert!(neighbour.await.unwrap() > 0);
}

fn everywhere(does: &str) -> Vec<String> {
    FUNCTIONS.iter().map(|function| format!("{function} 1 {does}")).collect()
}

fn code_is(wanted: ReasonCode) -> impl Fn(&str, Result<(), Failure>) + Send + Sync + 'static {
    move |plan, outcome| {
        assert_eq!(outcome.as_ref().map_err(|failure| failure.code), Err(wanted), "{plan}: {outcome:?}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_plan_it_is_an_honest_module() {
    Hostile::new("").outcome("no plan").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_in_any_function_ends_at_its_deadline() {
    each(everywhere("stall"), |plan, outcome| {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.code, ReasonCode::TOKEN_SILENT, "{plan}: {failure}");
        // Calls that are made in one go are told by the one that matters.
        let told = match plan.split(' ').next().unwrap() {
            "C_FindObjectsInit" => "C_FindObjects",
            "C_SignInit" => "C_Sign",
            function => function,
        };
        assert!(failure.cause.starts_with(told), "{plan}: {failure}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_any_function_takes_only_its_worker_along() {
    for does in ["segv", "abort", "exit", "exit-now"] {
        each(everywhere(does), code_is(ReasonCode::TOKEN_CRASHED)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_return_value_in_any_function_is_the_tokens_refusal() {
    each(everywhere("unknown"), |plan, outcome| {
        let failure = outcome.unwrap_err();
        assert!([ReasonCode::TOKEN_REFUSED, ReasonCode::TOKEN_MODULE].contains(&failure.code), "{plan}: {failure}");
        assert!(failure.cause.contains("0x1234"), "{plan}: {failure}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_that_leave_group_and_session_end_with_the_worker() {
    let plans = ["children", "children-stall", "children-exit"];
    each(plans.map(|does| format!("C_OpenSession 1 {does}")).to_vec(), |plan, outcome| match plan {
        "C_OpenSession 1 children" => outcome.unwrap(),
        "C_OpenSession 1 children-stall" => code_is(ReasonCode::TOKEN_SILENT)(plan, outcome),
        _ => code_is(ReasonCode::TOKEN_CRASHED)(plan, outcome),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_disturbs_only_the_worker_itself_disturbs_nothing() {
    let plans = ["elsewhere", "noise"].iter().flat_map(|does| everywhere(does)).collect();
    each(plans, |plan, outcome| outcome.unwrap_or_else(|failure| panic!("{plan}: {failure}"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signal_handler_or_thread_keeps_a_worker_alive() {
    let plans = ["unheard-stall", "threads-spin"].map(|does| format!("C_OpenSession 1 {does}")).to_vec();
    each(plans, code_is(ReasonCode::TOKEN_SILENT)).await;
    each(vec!["C_OpenSession 1 kill-guardian".into(), "C_Sign 1 kill-guardian".into()], |plan, outcome| {
        let failure = outcome.unwrap_err();
        assert_eq!(failure.code, ReasonCode::TOKEN_CRASHED, "{plan}: {failure}");
    })
    .await;
}

/// It can find its guardian by number, and what it started goes on without one: with the board's port, say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_module_started_does_not_outlive_a_guardian_that_it_killed_or_stopped() {
    let ends = ["children-kill-guardian", "children-kill-group", "children-stop-guardian"];
    let plans = ends.iter().flat_map(|does| ["C_Initialize", "C_Sign"].map(|at| format!("{at} 1 {does}")));
    each(plans.collect(), |plan, outcome| {
        let failure = outcome.unwrap_err();
        assert!([ReasonCode::TOKEN_CRASHED, ReasonCode::TOKEN_SILENT].contains(&failure.code), "{plan}: {failure}");
    })
    .await;
}

/// Nobody waits for this one's end: its board was pulled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_where_the_run_was_given_up() {
    let hostile = Hostile::new("C_Sign 1 children-kill-guardian");
    let mut token = bench::tokens().open(&hostile.access).await.unwrap();
    token.read().await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(500), token.sign(b"first", SCHEME)).await;
    drop(token);
    hostile::nobody_left(hostile.bench.dir.path(), "a run that was given up").await;
}

/// Shared memory is no data of a process, and each of several processes has a bound of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kind_of_memory_is_taken_without_bound() {
    let plans = ["shared-memory", "children-memory"].map(|does| format!("C_OpenSession 1 {does}"));
    each(plans.to_vec(), code_is(ReasonCode::TOKEN_CRASHED)).await;
    // And should it run short, the kernel takes a worker first.
    let hostile = Hostile::new("C_Sign 1 stall");
    let mut token = bench::tokens().open(&hostile.access).await.unwrap();
    token.read().await.unwrap();
    for pid in hostile::processes(hostile.bench.dir.path()) {
        let score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(score.trim(), "1000", "process {pid}");
    }
    token.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guardian_that_is_killed_or_stopped_leaves_nobody_behind_and_keeps_no_lane() {
    // The children hold the socket: nothing is heard of the worker's end before the deadline.
    for does in ["children-kill-guardian", "children-stop-guardian"] {
        let hostile = Hostile::new(&format!("C_OpenSession 1 {does}"));
        let begun = Instant::now();
        assert_eq!(hostile.run().await.unwrap_err().code, ReasonCode::TOKEN_SILENT, "{does}");
        // The deadline and a second, on a machine that does much else.
        let most = OPEN + Duration::from_secs(2);
        assert!(begun.elapsed() < most, "{does} took {:?}", begun.elapsed());
        hostile::nobody_left(hostile.bench.dir.path(), does).await;
    }
}

/// Another session than the test's, whose terminal it would have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_has_no_terminal() {
    let hostile = Hostile::new("");
    let _token = bench::tokens().open(&hostile.access).await.unwrap();
    let session = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<String> = stat.rsplit_once(") ").unwrap().1.split(' ').map(str::to_owned).collect();
        // Session and controlling terminal (proc_pid_stat(5)).
        (fields[3].clone(), fields[4].clone())
    };
    let own = session("self").0;
    let workers = hostile::processes(hostile.bench.dir.path());
    assert_eq!(workers.len(), 2, "guardian and worker");
    for pid in workers {
        let (its, terminal) = session(&pid);
        assert!(its != own && terminal == "0", "{its} {terminal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_length_count_or_text_gets_past_the_worker() {
    let plans = [
        "C_GetFunctionList 1 null",
        "C_GetFunctionList 1 no-functions",
        "C_GetSlotList 1 endless",
        "C_GetSlotList 1 many",
        "C_GetMechanismList 1 endless",
        "C_GetMechanismList 1 none",
        "C_FindObjects 1 endless",
        "C_FindObjects 1 more-than-asked",
        "C_FindObjects 1 nobody",
        "CKA_VALUE 1 unavailable",
        "CKA_VALUE 1 nearly-endless",
        "CKA_VALUE 1 gigabyte",
        "CKA_VALUE 1 three-hundred-megabytes",
        "CKA_VALUE 1 grow-much",
        "CKA_VALUE 2 shrink",
        // The UID: the certificate's two calls are before it.
        "CKA_VALUE 3 grow",
        "CKA_VALUE 3 shrink",
        "C_GetInfo 1 memory",
        "C_Sign 1 memory",
    ];
    each(plans.map(str::to_owned).to_vec(), |plan, outcome| {
        let failure = outcome.expect_err(plan);
        let of_the_chip = [ReasonCode::CERTIFICATE_UNREADABLE, ReasonCode::CHIP_CHANGED].contains(&failure.code);
        assert!(failure.code.as_str().starts_with("T-") || of_the_chip, "{plan}: {failure}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_answers_that_harm_nobody_are_taken() {
    let plans =
        ["C_GetFunctionList 1 version", "C_GetInfo 1 no-text", "C_GetTokenInfo 1 no-text", "C_OpenSession 1 thrice"];
    each(plans.map(str::to_owned).to_vec(), |plan, outcome| {
        outcome.unwrap_or_else(|failure| panic!("{plan}: {failure}"));
    })
    .await;
    // A stale tail behind the certificate.
    let mut hostile = Hostile::new("CKA_VALUE 1 tail");
    hostile.access.uid = None;
    let mut token = bench::tokens().open(&hostile.access).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, hostile.bench.certificate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_signature_but_the_chips_own_over_this_challenge_verifies() {
    let lies = ["other-data", "zeros", "other-key", "long", "short", "der", "replay"];
    let plans = [1, 2].iter().flat_map(|from| lies.map(|does| format!("C_Sign {from} {does}")));
    // The second signature of a run is the first that "replay" from 2 on sees.
    each(plans.filter(|plan| plan != "C_Sign 2 replay").collect(), code_is(ReasonCode::CHIP_LACKS_KEY)).await;
    let plans = ["longer-than-given", "longer-than-anything"].map(|does| format!("C_Sign 1 {does}")).to_vec();
    each(plans, |plan, outcome| {
        let failure = outcome.expect_err(plan);
        assert!([ReasonCode::TOKEN_REFUSED, ReasonCode::CHIP_LACKS_KEY].contains(&failure.code), "{plan}: {failure}");
    })
    .await;
    let earlier = Hostile::new("C_Sign 1 replay");
    earlier.run().await.unwrap_err();
    assert_eq!(earlier.run().await.unwrap_err().code, ReasonCode::CHIP_LACKS_KEY, "a signature of an earlier process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_value_in_a_later_reading_is_seen() {
    // A reading asks for values five times: the certificate's length and value, the UID's length twice and value.
    for (from, of_the_uid) in [(1, false), (3, false), (3, true), (8, true)] {
        let mut hostile = Hostile::new(&format!("CKA_VALUE {from} other"));
        let other = if of_the_uid { vec![0x55; 18] } else { bench::some_certificate() };
        hostile.beside("other", &other);
        if !of_the_uid {
            hostile.access.uid = None;
        }
        assert_eq!(hostile.outcome("other").await.unwrap_err().code, ReasonCode::CHIP_CHANGED, "from value {from}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_frame_proves_anything() {
    let frames: [(&str, &str); 8] = [
        ("forge", r#""Opened""#),
        ("forge", r#"{"Signed":"AAAA"}"#),
        ("forge-stall", r#"{"Signed":"AAAA"}"#),
        ("forge", r#"{"Failed":{"code":"P-401","cause":"printed"}}"#),
        ("forge", r#"{"Failed":{"code":"A-301","cause":"the cloud is away"}}"#),
        ("forge", r#"{"LogKey":"AAAA"}"#),
        ("forge", "not JSON"),
        ("flood", r#"{"Calling":"C_Sign"}"#),
    ];
    for (does, frame) in frames {
        for at in ["C_OpenSession", "C_GetAttributeValue", "C_Sign"] {
            let mut hostile = Hostile::new(&format!("{at} 1 {does}"));
            hostile.access.call_timeout = Duration::from_secs(1);
            hostile.beside("frame", frame.as_bytes());
            let failure = hostile.outcome(frame).await.expect_err(frame);
            let expected = failure.code.as_str().starts_with("T-") || failure.code == ReasonCode::CHIP_LACKS_KEY;
            assert!(expected, "{frame} in {at}: {failure}");
        }
    }
    for does in ["garbage", "huge-frame", "half-frame-stall", "close-all"] {
        for at in ["C_OpenSession", "C_Sign"] {
            let failure = Hostile::new(&format!("{at} 1 {does}")).outcome(does).await.expect_err(does);
            assert!(failure.code.as_str().starts_with("T-"), "{does} in {at}: {failure}");
        }
    }
}

/// What a person is shown of a token decides nothing; it ends in time all the same, and is no terminal's ruin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_all_that_a_token_shows_ends_in_time_and_leaves_nobody() {
    for (plan, good) in [
        ("", true),
        ("C_FindObjects 1 endless", true),
        ("C_FindObjects 1 stall", false),
        ("C_FindObjects 1 nobody", false),
        ("C_FindObjects 1 segv", false),
        ("C_GetAttributeValue 1 stall", false),
        ("C_GetAttributeValue 1 memory", false),
        ("C_GetAttributeValue 1 unknown", false),
    ] {
        let hostile = Hostile::new(plan);
        hostile.bench.token.import_data("\u{1b}[2J\u{7}", b"a value").unwrap();
        let begun = Instant::now();
        let seen = match bench::tokens().open(&hostile.access).await {
            Ok(mut token) => token.contents().await,
            Err(failure) => Err(failure),
        };
        assert!(begun.elapsed() < OPEN + CALL * 12, "{plan} took {:?}", begun.elapsed());
        assert_eq!(seen.is_ok(), good, "{plan}: {seen:?}");
        hostile::nobody_left(hostile.bench.dir.path(), plan).await;
        let objects = seen.map(|seen| seen.objects).unwrap_or_default();
        assert!(!format!("{objects:?}").contains("\\u{1b}"), "{plan}: {objects:?}");
        assert!(!plan.is_empty() || objects.len() >= 4, "{objects:?}");
    }
}
