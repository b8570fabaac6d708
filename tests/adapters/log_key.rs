//! The log's signing key: a file that only its owner can read, or a token's.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use lineseal::adapters::log_key::{KeyFile, read_private};
use lineseal::adapters::pkcs11::TokenSigner;
use lineseal::config::TokenKey;
use lineseal::domain::profile::{KeyKind, ObjectName, Pin, SlotChoice};
use lineseal::domain::{Failure, ReasonCode};
use lineseal::ports::LogSigner;

use crate::pkcs11::bench::{self, Bench};

const TEXT: &[u8] = b"plant.example/1\n7\nroot\n";

fn verifies(public: [u8; 32], signature: [u8; 64]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(TEXT, &signature).is_ok()
}

fn assert_unusable(failure: &Failure, part: &str) {
    assert_eq!(failure.code, ReasonCode::LOG_KEY, "{failure}");
    assert!(failure.cause.contains(part), "{failure}");
}

#[tokio::test]
async fn a_key_file_is_made_once_and_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(KeyFile::FILE);
    let key = KeyFile::new(&path);
    assert_eq!(key.public().await.unwrap(), None);
    let public = key.create().await.unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(KeyFile::new(&path).public().await.unwrap(), Some(public));
    assert!(verifies(public, key.sign(TEXT).await.unwrap()));

    let before = std::fs::read(&path).unwrap();
    assert_unusable(&key.create().await.unwrap_err(), "can't be made");
    assert_eq!(std::fs::read(&path).unwrap(), before, "a key that is there is never replaced");
    let beside: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(beside.len(), 1, "no copy of the key is left lying about: {beside:?}");
}

#[tokio::test]
async fn openssl_reads_the_key_and_verifies_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(KeyFile::FILE);
    let key = KeyFile::new(&path);
    let public = key.create().await.unwrap();
    let output =
        Command::new("openssl").args(["pkey", "-pubout", "-outform", "DER", "-in"]).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout[output.stdout.len() - 32..], public);

    // And the other way round: a key that openssl made.
    let theirs = dir.path().join("theirs.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&theirs).status();
    assert!(made.unwrap().success());
    std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(0o600)).unwrap();
    let theirs = KeyFile::new(&theirs);
    let public = theirs.public().await.unwrap().unwrap();
    assert!(verifies(public, theirs.sign(TEXT).await.unwrap()));
}

#[tokio::test]
async fn a_key_that_others_could_read_is_not_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(KeyFile::FILE);
    let key = KeyFile::new(&path);
    key.create().await.unwrap();
    for mode in [0o640, 0o604, 0o660, 0o601] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_unusable(&key.sign(TEXT).await.unwrap_err(), "open to others");
        assert_unusable(&key.public().await.unwrap_err(), "open to others");
        assert_unusable(&read_private(&path).unwrap_err(), "open to others");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    key.sign(TEXT).await.unwrap();
}

#[tokio::test]
async fn a_damaged_or_foreign_key_file_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(KeyFile::FILE);
    let ec = rcgen::KeyPair::generate().unwrap().serialize_pem();
    for damaged in ["", "-----BEGIN PRIVATE KEY-----\nMC4CAQ==\n-----END PRIVATE KEY-----\n", &ec, "\u{0}"] {
        std::fs::write(&path, damaged).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = KeyFile::new(&path);
        assert_unusable(&key.public().await.unwrap_err(), "no Ed25519 private key");
        assert_unusable(&key.sign(TEXT).await.unwrap_err(), "no Ed25519 private key");
        key.create().await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
    }
}

#[tokio::test]
async fn a_successor_waits_beside_the_key_until_it_takes_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyFile::new(dir.path().join(KeyFile::FILE));
    let first = key.create().await.unwrap();
    assert_eq!(key.successor().await.unwrap(), None);
    let second = key.make_successor().await.unwrap();
    assert_ne!(first, second);
    // Interrupted and begun again: the same one waits.
    assert_eq!(key.make_successor().await.unwrap(), second);
    assert_eq!((key.public().await.unwrap(), key.successor().await.unwrap()), (Some(first), Some(second)));
    key.succeed().await.unwrap();
    assert_eq!((key.public().await.unwrap(), key.successor().await.unwrap()), (Some(second), None));
    assert!(verifies(second, key.sign(TEXT).await.unwrap()));
}

/// A SoftHSM token with an Ed25519 key pair, made by someone else's tool.
fn token_with_key() -> Bench {
    let bench = Bench::empty();
    let pin = std::fs::read_to_string(bench.token.pin_file()).unwrap();
    let made = Command::new("pkcs11-tool")
        .args(["--module".as_ref(), bench.token.module().as_os_str()])
        .args(["--token-label", "chip", "--login", "--pin", &pin])
        .args(["--keypairgen", "--key-type", "EC:edwards25519", "--label", "log", "--id", "01"])
        .envs(bench.token.environment())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    bench
}

fn plan(bench: &Bench, label: &str) -> TokenKey {
    TokenKey {
        module: bench.token.module().to_owned(),
        environment: bench.token.environment(),
        slot: SlotChoice::TokenLabel("chip".into()),
        key: ObjectName::Attributes { label: Some(label.into()), id: None },
        pin: Some(bench.token.pin()),
    }
}

#[tokio::test]
async fn a_tokens_key_signs_what_its_public_key_verifies() {
    let bench = token_with_key();
    let signer = TokenSigner::new(bench::tokens(), &plan(&bench, "log"));
    let public = signer.public().await.unwrap().unwrap();
    for _ in 0..3 {
        assert!(verifies(public, signer.sign(TEXT).await.unwrap()));
    }
    assert_eq!(signer.public().await.unwrap(), Some(public));
    assert_unusable(&signer.create().await.unwrap_err(), "token's own tools");
    assert_unusable(&signer.make_successor().await.unwrap_err(), "token");
}

#[tokio::test]
async fn a_token_that_was_away_signs_again_when_it_is_back() {
    let bench = token_with_key();
    let signer = TokenSigner::new(bench::tokens(), &plan(&bench, "log"));
    let public = signer.public().await.unwrap().unwrap();
    let pin = std::fs::read(bench.token.pin_file()).unwrap();
    std::fs::write(bench.token.pin_file(), "wrong").unwrap();
    let other = TokenSigner::new(bench::tokens(), &plan(&bench, "log"));
    assert_unusable(&other.sign(TEXT).await.unwrap_err(), "T-206");
    std::fs::write(bench.token.pin_file(), pin).unwrap();
    assert!(verifies(public, other.sign(TEXT).await.unwrap()));
    assert!(verifies(public, signer.sign(TEXT).await.unwrap()));
}

#[tokio::test]
async fn what_is_no_ed25519_key_of_this_token_is_refused() {
    let bench = token_with_key();
    let absent = TokenSigner::new(bench::tokens(), &plan(&bench, "other"));
    assert_unusable(&absent.public().await.unwrap_err(), "object=other");
    let mut wrong = plan(&bench, "log");
    wrong.slot = SlotChoice::TokenLabel("another".into());
    assert_unusable(&TokenSigner::new(bench::tokens(), &wrong).sign(TEXT).await.unwrap_err(), "T-202");
    wrong = plan(&bench, "log");
    let pin = bench.dir.path().join("open-to-others");
    std::fs::copy(bench.token.pin_file(), &pin).unwrap();
    for (mode, open) in [(0o644, true), (0o640, true), (0o600, false)] {
        std::fs::set_permissions(&pin, std::fs::Permissions::from_mode(mode)).unwrap();
        wrong.pin = Some(Pin::File(pin.clone()));
        let signed = TokenSigner::new(bench::tokens(), &wrong).sign(TEXT).await;
        assert_eq!(signed.is_err(), open, "{mode:o}");
        if let Err(failure) = signed {
            assert_unusable(&failure, "chmod 600");
        }
    }
    wrong.pin = Some(Pin::Environment("LINESEAL_TEST_NO_SUCH_PIN".into()));
    assert_unusable(&TokenSigner::new(bench::tokens(), &wrong).sign(TEXT).await.unwrap_err(), "T-206");

    let ec = Bench::new(KeyKind::EcP256);
    assert_unusable(&TokenSigner::new(bench::tokens(), &plan(&ec, bench::KEY)).sign(TEXT).await.unwrap_err(), "");
}
