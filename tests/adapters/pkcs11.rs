//! Tokens in worker processes, against SoftHSM, against a module that misbehaves between the two
//! (`pkcs11_shim.c`), and against p11-kit's remote client.

#[path = "pkcs11_bench.rs"]
pub mod bench;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, CERTIFICATE, CERTIFICATE_ID, KEY, KEY_ID, UID, UID_ID, gone_within, swapped_label, verify};
use lineseal::adapters::pkcs11::{WORKER_ARGUMENT, WorkerTokens};
use lineseal::audit::event::SignatureScheme;
use lineseal::domain::profile::{KeyKind, ObjectName, Pin, SlotChoice};
use lineseal::domain::{ChipUid, Failure, ReasonCode};
use lineseal::ports::{Kept, Token, TokenAccess, Tokens};

const MESSAGE: &[u8] = b"lineseal challenge v1";

async fn open(access: &TokenAccess) -> Result<Box<dyn Token>, Failure> {
    bench::tokens().open(access).await
}

/// The error of `open`: `dyn Token` has no `Debug` for `unwrap_err`.
async fn refused(access: &TokenAccess) -> Failure {
    match open(access).await {
        Ok(_) => panic!("the token opened"),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn every_key_kind_is_read_and_signs_what_the_host_verifies() {
    for (kind, scheme) in [
        (KeyKind::EcP256, SignatureScheme::EcdsaSecp256r1Sha256),
        (KeyKind::EcP384, SignatureScheme::EcdsaSecp384r1Sha384),
        (KeyKind::EcP521, SignatureScheme::EcdsaSecp521r1Sha512),
        (KeyKind::Rsa2048, SignatureScheme::RsaPkcs1Sha256),
        (KeyKind::Rsa2048, SignatureScheme::RsaPssRsaeSha256),
    ] {
        let bench = Bench::new(kind);
        let mut token = open(&bench.access()).await.unwrap();
        let reading = token.read().await.unwrap();
        assert_eq!(reading.certificate.0, bench.certificate);
        assert_eq!(reading.uid, Some(ChipUid::from_bytes(&UID).unwrap()));
        assert_eq!(reading.token.certificate_found_as, CERTIFICATE);
        assert_eq!(reading.token.key_found_as.as_deref(), Some(KEY));
        assert_eq!(reading.token.uid_found_as.as_deref(), Some(UID_ID));
        assert_eq!(reading.token.manufacturer, "SoftHSM project");
        assert_eq!(reading.token.token_label, "chip");
        assert_eq!(reading.token.module, bench.token.module().display().to_string());
        assert!(reading.token.module_version.contains(" 2."), "{}", reading.token.module_version);

        let signature = token.sign(MESSAGE, scheme).await.unwrap();
        verify(&bench.spki, scheme, MESSAGE, &signature).unwrap();
        verify(&bench.spki, scheme, b"another message", &signature).unwrap_err();
    }
}

#[tokio::test]
async fn reading_again_asks_the_token_again() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut token = open(&bench.access()).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, bench.certificate);
    let other = bench::some_certificate();
    bench.token.replace_certificate(CERTIFICATE, &[], &other).unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, other);
}

/// Another certificate of the same key takes the place of the first; what proves the chip is never written over.
#[tokio::test]
async fn a_certificate_is_kept_in_the_place_of_its_own_keys_and_of_nothing_else() {
    const KEPT_ID: u32 = 0xF000_0113;
    let key = rcgen::KeyPair::generate().unwrap();
    let of_key = |name: &str| {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    };
    let (first, second) = (of_key("first"), of_key("second"));
    // As modules name their objects, and as NXP's did up to 4.2.
    for label in [CERTIFICATE.to_owned(), swapped_label(CERTIFICATE_ID)] {
        let mut bench = Bench::empty();
        bench.spki = bench.token.generate_key(KeyKind::EcP256, KEY, &KEY_ID.to_be_bytes()).unwrap();
        bench.certificate = bench::some_certificate();
        bench.token.import_certificate(&label, &[], &bench.certificate).unwrap();
        let name = ObjectName::Se050(KEPT_ID);
        let mut token = open(&bench.access()).await.unwrap();
        token.read().await.unwrap();
        assert_eq!(token.keep(&name, &first).await.unwrap(), Kept::Written);
        assert_eq!(token.keep(&name, &first).await.unwrap(), Kept::Found);
        assert_eq!(token.keep(&name, &second).await.unwrap(), Kept::Written);
        let Kept::Refused(why) = token.keep(&name, &bench.certificate).await.unwrap() else { panic!("written over") };
        assert!(why.contains("not written over"), "{why}");
        assert_eq!(token.keep(&name, &second).await.unwrap(), Kept::Found);
        let own = ObjectName::Se050(CERTIFICATE_ID);
        assert!(matches!(token.keep(&own, &first).await.unwrap(), Kept::Refused(_)));
        // The token goes on.
        let signature = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap();
        verify(&bench.spki, SignatureScheme::EcdsaSecp256r1Sha256, MESSAGE, &signature).unwrap();
        let shown = token.contents().await.unwrap();
        let labels: Vec<&str> = shown.objects.iter().filter_map(|object| object.label.as_deref()).collect();
        let kept_as = if label == CERTIFICATE { "sss:F0000113".to_owned() } else { swapped_label(KEPT_ID) };
        assert_eq!(labels.iter().filter(|known| **known == kept_as).count(), 1, "{labels:?}");
    }
}

#[tokio::test]
async fn an_se050_object_is_found_under_each_of_its_names() {
    let little = |id: u32| id.to_le_bytes().to_vec();
    let big = |id: u32| id.to_be_bytes().to_vec();
    for (label, id, found_as) in [
        ("sss:F0000111", vec![], "sss:F0000111"),
        ("sss:110100F0", vec![], "sss:110100F0"),
        ("a label of its own", little(CERTIFICATE_ID), "id=110100f0"),
        ("a label of its own", big(CERTIFICATE_ID), "id=f0000111"),
    ] {
        let bench = Bench::empty();
        let spki = bench.token.generate_key(KeyKind::EcP256, &swapped_label(KEY_ID), &[]).unwrap();
        let certificate = bench::some_certificate();
        bench.token.import_certificate(label, &id, &certificate).unwrap();
        let mut token = open(&bench.access()).await.unwrap();
        let reading = token.read().await.unwrap();
        assert_eq!(reading.certificate.0, certificate, "{found_as}");
        assert_eq!(reading.token.certificate_found_as, found_as);
        assert_eq!(reading.token.key_found_as, Some(swapped_label(KEY_ID)));
        let signature = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap();
        verify(&spki, SignatureScheme::EcdsaSecp256r1Sha256, MESSAGE, &signature).unwrap();
    }
}

#[tokio::test]
async fn a_module_that_finds_nothing_by_name_is_enumerated() {
    let bench = Bench::new(KeyKind::EcP256);
    let shim = bench.shim("blind");
    let mut token = open(&shim.access).await.unwrap();
    let reading = token.read().await.unwrap();
    assert_eq!(reading.certificate.0, bench.certificate);
    assert_eq!(reading.token.certificate_found_as, CERTIFICATE);
    assert!(reading.uid.is_some());
}

#[tokio::test]
async fn the_class_of_what_nxps_module_returns_is_checked() {
    // Key and certificate share a label, the module ignores the class, answers the class of the key
    // pair in turns, and fails on an id that is not there.
    let bench = Bench::empty();
    let spki = bench.token.generate_key(KeyKind::EcP256, KEY, &[]).unwrap();
    let certificate = bench::some_certificate();
    bench.token.import_certificate(KEY, &[], &certificate).unwrap();
    let mut shim = bench.shim("nxp");
    shim.access.certificate = ObjectName::Se050(KEY_ID);
    let mut token = open(&shim.access).await.unwrap();
    for _ in 0..3 {
        let reading = token.read().await.unwrap();
        assert_eq!(reading.certificate.0, certificate);
        assert_eq!(reading.uid, None, "named, but not in the token");
        let signature = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap();
        verify(&spki, SignatureScheme::EcdsaSecp256r1Sha256, MESSAGE, &signature).unwrap();
    }
}

#[tokio::test]
async fn objects_are_named_by_label_and_id_of_a_uri() {
    let bench = Bench::empty();
    let spki = bench.token.generate_key(KeyKind::Rsa2048, "device key", &[7]).unwrap();
    let certificate = bench::some_certificate();
    bench.token.import_certificate("device cert", &[7], &certificate).unwrap();
    let mut access = bench.access();
    access.certificate = ObjectName::Attributes { label: Some("device cert".into()), id: Some(vec![7]) };
    access.key = ObjectName::Attributes { label: None, id: Some(vec![7]) };
    access.uid = None;
    let mut token = open(&access).await.unwrap();
    let reading = token.read().await.unwrap();
    assert_eq!(reading.certificate.0, certificate);
    assert_eq!(reading.token.certificate_found_as, "object=device cert;id=07");
    let signature = token.sign(MESSAGE, SignatureScheme::RsaPkcs1Sha256).await.unwrap();
    verify(&spki, SignatureScheme::RsaPkcs1Sha256, MESSAGE, &signature).unwrap();
}

#[tokio::test]
async fn two_objects_of_one_name_are_refused_not_guessed() {
    let bench = Bench::new(KeyKind::EcP256);
    bench.token.import_certificate(CERTIFICATE, &[], &bench::some_certificate()).unwrap();
    let failure = open(&bench.access()).await.unwrap().read().await.unwrap_err();
    assert_eq!(failure.to_string(), "T-203: 2 objects match sss:F0000111");
}

#[tokio::test]
async fn a_missing_certificate_key_or_uid_has_its_own_answer() {
    let bench = Bench::empty();
    let failure = open(&bench.access()).await.unwrap().read().await.unwrap_err();
    assert_eq!(failure.to_string(), "T-203: no certificate 0xF0000111 in the token");

    bench.token.import_certificate(CERTIFICATE, &[], &bench::some_certificate()).unwrap();
    let mut token = open(&bench.access()).await.unwrap();
    assert_eq!(token.read().await.unwrap().uid, None);
    let failure = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap_err();
    assert_eq!(failure.to_string(), "T-207: no private key 0xF0000110 in the token");

    // After an error the worker is gone, and the token with it.
    assert_eq!(token.read().await.unwrap_err().code, ReasonCode::TOKEN_CRASHED);
}

#[tokio::test]
async fn the_practice_faults_do_what_they_say() {
    let bench = Bench::new(KeyKind::EcP256);
    let scheme = SignatureScheme::EcdsaSecp256r1Sha256;

    // duplicate: the same chip on two boards.
    let twin = Bench { token: bench.token.copy_to(&bench.dir.path().join("twin")).unwrap(), ..Bench::empty() };
    let mut token = open(&twin.access()).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, bench.certificate);
    let signature = token.sign(MESSAGE, scheme).await.unwrap();
    verify(&bench.spki, scheme, MESSAGE, &signature).unwrap();

    // key-missing, on the twin only.
    twin.token.delete_key(KEY).unwrap();
    let failure = open(&twin.access()).await.unwrap().sign(MESSAGE, scheme).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::TOKEN_NO_KEY);
    open(&bench.access()).await.unwrap().sign(MESSAGE, scheme).await.unwrap();

    // hung-token.
    bench.token.hang().unwrap();
    let mut access = bench.access();
    access.open_timeout = Duration::from_secs(1);
    let failure = refused(&access).await;
    assert_eq!(failure.code, ReasonCode::TOKEN_SILENT);
    assert!(failure.cause.starts_with("C_Initialize did not return"), "{}", failure.cause);
    bench.token.unhang().unwrap();
    open(&bench.access()).await.unwrap();
}

#[tokio::test]
async fn a_stale_tail_behind_the_certificate_is_cut_and_what_is_no_der_is_refused() {
    let bench = Bench::empty();
    let certificate = bench::some_certificate();
    let with_tail = [&certificate[..], &[0x30, 0x82, 0xff, 0x00, 0x17]].concat();
    bench.token.import_certificate(CERTIFICATE, &[], &with_tail).unwrap();
    let reading = open(&bench.access()).await.unwrap().read().await.unwrap();
    assert_eq!(reading.certificate.0, certificate);

    bench.token.replace_certificate(CERTIFICATE, &[], b"-----BEGIN CERTIFICATE-----").unwrap();
    let failure = open(&bench.access()).await.unwrap().read().await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CERTIFICATE_UNREADABLE);
}

#[tokio::test]
async fn a_uid_object_that_holds_no_uid_is_refused() {
    let bench = Bench::empty();
    bench.token.import_certificate(CERTIFICATE, &[], &bench::some_certificate()).unwrap();
    bench.token.import_data(UID_ID, &[1, 2]).unwrap();
    let failure = open(&bench.access()).await.unwrap().read().await.unwrap_err();
    assert_eq!(failure.to_string(), "T-208: sss:7FFF0206 holds 2 bytes, not a UID");
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once_and_shown_nowhere() {
    let bench = Bench::new(KeyKind::EcP256);
    let file = bench.dir.path().join("wrong");
    std::fs::write(&file, "864209753\r\n").unwrap();
    let mut shim = bench.shim("");
    shim.access.pin = Some(Pin::File(file));
    let failure = refused(&shim.access).await;
    assert_eq!(failure.to_string(), "T-206: C_Login returned CKR_PIN_INCORRECT");
    // Nine characters: the line end is not part of it.
    assert_eq!(shim.calls("C_Login"), [9]);
}

#[tokio::test]
async fn a_pin_that_cannot_be_had_never_reaches_the_token() {
    let bench = Bench::new(KeyKind::EcP256);
    for pin in [Pin::File(bench.dir.path().join("nowhere")), Pin::Environment("LINESEAL_TEST_NO_SUCH_PIN".into())] {
        let mut shim = bench.shim("");
        shim.access.pin = Some(pin);
        assert_eq!(refused(&shim.access).await.code, ReasonCode::TOKEN_PIN);
        assert!(shim.calls("C_OpenSession").is_empty() && shim.calls("C_Login").is_empty());
    }
}

#[tokio::test]
async fn without_a_pin_the_certificate_is_read_and_the_private_key_is_not_seen() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut access = bench.access();
    access.pin = None;
    let mut token = open(&access).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, bench.certificate);
    let failure = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::TOKEN_NO_KEY);
}

#[tokio::test]
async fn a_module_that_is_missing_or_no_module_is_named() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut access = bench.access();
    access.module = "/nowhere/libsss_pkcs11.so".into();
    let failure = refused(&access).await;
    assert_eq!(failure.code, ReasonCode::TOKEN_MODULE);
    assert!(failure.cause.contains("/nowhere/libsss_pkcs11.so"), "{}", failure.cause);

    access.module = "libm.so.6".into();
    assert_eq!(refused(&access).await.to_string(), "T-201: libm.so.6: the module has no C_GetFunctionList");

    let mut access = bench.access();
    access.environment.insert("SOFTHSM2_CONF".into(), "/nowhere/softhsm2.conf".into());
    let failure = refused(&access).await;
    assert_eq!(failure.to_string(), "T-201: C_Initialize returned CKR_GENERAL_ERROR");
}

#[tokio::test]
async fn the_slot_is_the_only_one_or_the_labelled_one() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut access = bench.access();
    access.slot = SlotChoice::TokenLabel("chip".into());
    open(&access).await.unwrap();
    access.slot = SlotChoice::TokenLabel("another".into());
    let failure = refused(&access).await;
    assert_eq!(failure.to_string(), r#"T-202: wanted one token "another", the module shows: "chip""#);

    let empty = Bench::empty();
    std::fs::remove_dir_all(empty.token.path().join("tokens")).unwrap();
    std::fs::create_dir(empty.token.path().join("tokens")).unwrap();
    assert_eq!(refused(&empty.access()).await.code, ReasonCode::TOKEN_ABSENT);
}

#[tokio::test]
async fn a_module_that_hangs_ends_at_the_deadline_with_its_children() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut shim = bench.shim("hang-open with-child");
    shim.access.open_timeout = Duration::from_secs(1);
    let begun = Instant::now();
    let failure = refused(&shim.access).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(failure.code, ReasonCode::TOKEN_SILENT);
    assert!(failure.cause.starts_with("C_OpenSession did not return"), "{}", failure.cause);
    gone_within(shim.calls("C_OpenSession")[0], Duration::ZERO);
    // Its parent is dead: whoever adopts the child reaps it.
    bench::dead_within(shim.calls("child")[0], Duration::from_secs(5));
}

#[tokio::test]
async fn a_signature_that_never_comes_ends_at_the_call_deadline() {
    let bench = Bench::new(KeyKind::EcP256);
    let mut shim = bench.shim("hang-sign");
    shim.access.call_timeout = Duration::from_secs(1);
    let mut token = open(&shim.access).await.unwrap();
    token.read().await.unwrap();
    let failure = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::TOKEN_SILENT);
    assert!(failure.cause.starts_with("C_Sign did not return"), "{}", failure.cause);
    gone_within(shim.calls("C_OpenSession")[0], Duration::ZERO);
}

#[tokio::test]
async fn a_module_that_crashes_or_exits_takes_only_its_worker_along() {
    let bench = Bench::new(KeyKind::EcP256);
    let shim = bench.shim("crash-open");
    let failure = refused(&shim.access).await;
    assert_eq!(failure.to_string(), "T-210: the worker died of signal 6 in C_OpenSession");
    gone_within(shim.calls("C_OpenSession")[0], Duration::ZERO);

    let failure = refused(&bench.shim("exit-open").access).await;
    assert_eq!(failure.to_string(), "T-210: the worker ended by itself with status 7 in C_OpenSession");

    // And the next attempt is a fresh process.
    open(&bench.shim("").access).await.unwrap().read().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_cannot_start_or_speaks_nonsense_is_t_210() {
    let bench = Bench::new(KeyKind::EcP256);
    for (program, arguments) in [
        ("/nowhere/lineseal", vec![]),
        ("/bin/true", vec![]),
        ("/bin/sh", vec!["-c".into(), "printf 'not a frame at all' >&0; sleep 5".into()]),
    ] {
        let tokens = WorkerTokens::new(program, arguments);
        let Err(failure) = tokens.open(&bench.access()).await else { panic!("{program} opened a token") };
        assert_eq!(failure.code, ReasonCode::TOKEN_CRASHED, "{failure}");
    }
}

#[tokio::test]
async fn workers_of_this_program_are_this_program() {
    // This test binary takes the hidden argument for the name of a test that it does not have.
    let Err(failure) =
        WorkerTokens::of_this_program(&std::env::temp_dir(), &[]).open(&Bench::new(KeyKind::EcP256).access()).await
    else {
        panic!("a test binary opened a token")
    };
    assert_eq!(failure.to_string(), "T-210: the worker ended by itself with status 0 in the worker's start");
}

#[tokio::test]
async fn a_lost_token_is_t_205_in_any_call() {
    let bench = Bench::new(KeyKind::EcP256);
    let failure = refused(&bench.shim("lost-open").access).await;
    assert_eq!(failure.to_string(), "T-205: C_OpenSession returned CKR_DEVICE_ERROR");
    let mut token = open(&bench.shim("lost-sign").access).await.unwrap();
    let failure = token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap_err();
    assert_eq!(failure.to_string(), "T-205: C_Sign returned CKR_DEVICE_ERROR");
}

#[tokio::test]
async fn what_the_module_prints_disturbs_nothing_and_is_the_debug_log() {
    let log = bench::DebugLog::default();
    let _listening = log.listen();
    let bench = Bench::new(KeyKind::Rsa2048);
    let mut token = open(&bench.shim("noise").access).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, bench.certificate);
    let signature = token.sign(MESSAGE, SignatureScheme::RsaPkcs1Sha256).await.unwrap();
    verify(&bench.spki, SignatureScheme::RsaPkcs1Sha256, MESSAGE, &signature).unwrap();

    let log = log.text();
    for line in ["App   :INFO :printed on stdout, line 17", "smCom :ERROR:printed on stderr, line 17"] {
        assert!(log.contains(line), "{line:?} is not in the log");
    }
}

#[tokio::test]
async fn a_module_without_the_digesting_mechanism_gets_the_digest_info() {
    let bench = Bench::new(KeyKind::Rsa2048);
    let shim = bench.shim("raw-rsa");
    let signature = open(&shim.access).await.unwrap().sign(MESSAGE, SignatureScheme::RsaPkcs1Sha256).await.unwrap();
    verify(&bench.spki, SignatureScheme::RsaPkcs1Sha256, MESSAGE, &signature).unwrap();
    // Nineteen bytes of DigestInfo and the hash.
    assert_eq!(shim.calls("C_Sign"), [51]);
}

#[test]
fn a_module_never_sees_the_stations_credentials() {
    const NAME: &str = "pkcs11::a_module_never_sees_the_stations_credentials";
    // In the order in which the shim looks for them.
    const SECRETS: [&str; 6] =
        ["AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "PGPASSFILE", "DATABASE_URL", "LINESEAL_PIN", "DB_PASSWORD"];
    if std::env::var("LINESEAL_TEST_INNER").is_err() {
        // The variable must stand in this process's own environment: once more, in a child.
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", NAME]).env("LINESEAL_TEST_INNER", "1").envs(SECRETS.map(|name| (name, "secret")));
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
        return;
    }
    assert!(SECRETS.iter().all(|name| std::env::var(name).is_ok()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = Bench::new(KeyKind::EcP256);
    let mut shim = bench.shim("");
    runtime.block_on(async { open(&shim.access).await.map(drop) }).unwrap();
    assert!(shim.calls("secrets seen").is_empty());
    // Unless the profile itself says so.
    shim.access.environment.insert("PGPASSWORD".into(), "the profile's".into());
    runtime.block_on(async { open(&shim.access).await.map(drop) }).unwrap();
    assert_eq!(shim.calls("secrets seen"), [1]);
}

#[tokio::test]
async fn one_signature_costs_the_chip_one_signature() {
    let bench = Bench::new(KeyKind::EcP256);
    let shim = bench.shim("");
    let mut token = open(&shim.access).await.unwrap();
    token.sign(MESSAGE, SignatureScheme::EcdsaSecp256r1Sha256).await.unwrap();
    // A SHA-256 hash, and no call with a NULL buffer.
    assert_eq!(shim.calls("C_Sign"), [32]);
    assert!(shim.calls("C_Sign length query").is_empty());
}

#[tokio::test]
async fn a_key_is_never_asked_for_the_other_algorithm() {
    for (kind, scheme) in
        [(KeyKind::EcP256, SignatureScheme::RsaPkcs1Sha256), (KeyKind::Rsa2048, SignatureScheme::EcdsaSecp256r1Sha256)]
    {
        let bench = Bench::new(kind);
        let shim = bench.shim("");
        let failure = open(&shim.access).await.unwrap().sign(MESSAGE, scheme).await.unwrap_err();
        assert_eq!(failure.code, ReasonCode::CHIP_LACKS_KEY, "{failure}");
        assert!(shim.calls("C_SignInit").is_empty());
    }
}

#[tokio::test]
async fn a_dropped_token_and_a_dropped_attempt_leave_no_process() {
    let bench = Bench::new(KeyKind::EcP256);
    let shim = bench.shim("");
    let token = open(&shim.access).await.unwrap();
    drop(token);
    bench::gone_soon(shim.calls("C_OpenSession")[0]).await;

    let shim = bench.shim("hang-open");
    // The board was unplugged: the runner drops the attempt in the middle.
    let attempt = tokio::time::timeout(Duration::from_secs(2), open(&shim.access)).await;
    assert!(attempt.is_err());
    bench::gone_soon(shim.calls("C_OpenSession")[0]).await;
}

#[test]
fn a_worker_whose_station_was_killed_ends_even_while_its_module_hangs() {
    let bench = Bench::new(KeyKind::EcP256);
    let shim = bench.shim("hang-open");
    let (mut station, worker) = UnixStream::pair().unwrap();
    let mut child = Command::new(bench::program())
        .arg(WORKER_ARGUMENT)
        .envs(&shim.access.environment)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(worker)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let open = serde_json::json!({"Open": {
        "module": shim.access.module, "slot": "Only", "pin": null, "uid": null,
        "certificate": {"Se050": CERTIFICATE_ID}, "key": {"Se050": KEY_ID}, "ports": [],
    }})
    .to_string();
    station.write_all(&u32::try_from(open.len()).unwrap().to_be_bytes()).unwrap();
    station.write_all(open.as_bytes()).unwrap();
    // Up to the call that hangs.
    station.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("C_OpenSession") {
        let mut chunk = [0; 256];
        let count = station.read(&mut chunk).unwrap();
        assert!(count > 0, "the worker ended early");
        said.extend_from_slice(&chunk[..count]);
    }
    drop(station);
    let end = Instant::now() + Duration::from_secs(10);
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > end => {
                child.kill().unwrap();
                panic!("the worker outlived its station");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    // Its guardian's: 128 and the signal that ended it.
    assert_eq!(status.code(), Some(128 + 9));
}

#[test]
fn a_person_who_starts_the_worker_is_told_so() {
    let output = Command::new(bench::program()).arg(WORKER_ARGUMENT).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("by itself"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_boards_at_once_answer_each_for_themselves() {
    let benches: Vec<Bench> = std::iter::repeat_with(|| Bench::new(KeyKind::EcP256)).take(16).collect();
    let scheme = SignatureScheme::EcdsaSecp256r1Sha256;
    let lanes: Vec<_> = benches
        .iter()
        .map(|bench| {
            let access = bench.access();
            tokio::spawn(async move {
                let mut token = open(&access).await?;
                Ok::<_, Failure>((token.read().await?, token.sign(MESSAGE, scheme).await?))
            })
        })
        .collect();
    for (lane, bench) in lanes.into_iter().zip(&benches) {
        let (reading, signature) = lane.await.unwrap().unwrap();
        assert_eq!(reading.certificate.0, bench.certificate);
        verify(&bench.spki, scheme, MESSAGE, &signature).unwrap();
    }
}

#[tokio::test]
async fn a_token_behind_p11_kits_remote_is_a_token_like_any_other() {
    let bench = Bench::new(KeyKind::EcP256);
    let remote = bench.p11_kit_server();
    let mut token = open(&remote.access).await.unwrap();
    assert_eq!(token.read().await.unwrap().certificate.0, bench.certificate);
    let scheme = SignatureScheme::EcdsaSecp256r1Sha256;
    let signature = token.sign(MESSAGE, scheme).await.unwrap();
    verify(&bench.spki, scheme, MESSAGE, &signature).unwrap();
}
