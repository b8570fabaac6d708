//! A token behind a command: `p11-kit remote`, here or through something that gets in its way.

use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::audit::event::SignatureScheme;
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{Failure, ReasonCode};
use lineseal::ports::{TokenAccess, Tokens as _};

use crate::hostile;
use crate::pkcs11::bench::{self, Bench, verify};

const SCHEME: SignatureScheme = SignatureScheme::EcdsaSecp256r1Sha256;
const CALL: Duration = Duration::from_secs(3);
const OPEN: Duration = Duration::from_secs(6);

struct Remote {
    bench: Bench,
    access: TokenAccess,
}

impl Remote {
    fn by(command: impl FnOnce(&Bench) -> Vec<String>) -> Self {
        let bench = Bench::new(KeyKind::EcP256);
        let mut access = bench.access();
        access.command = Some(command(&bench));
        access.module = hostile::p11_kit_client();
        (access.call_timeout, access.open_timeout) = (CALL, OPEN);
        Self { bench, access }
    }

    fn plain() -> Self {
        Self::by(|bench| remote_of(bench.token.module()))
    }

    /// `plan` as in `relay.c`.
    fn relayed(plan: &str) -> Self {
        Self::by(|bench| {
            let file = bench.dir.path().join("plan");
            std::fs::write(&file, plan).unwrap();
            let relay = [hostile::relay(), &file].map(|path| path.display().to_string());
            relay.into_iter().chain(remote_of(bench.token.module())).collect()
        })
    }

    async fn run(&self) -> Result<(), Failure> {
        let mut token = bench::tokens().open(&self.access).await?;
        for message in ["first", "before register"].map(str::as_bytes) {
            let reading = token.read().await?;
            assert_eq!(reading.certificate.0, self.bench.certificate);
            let signature = token.sign(message, SCHEME).await?;
            verify(&self.bench.spki, SCHEME, message, &signature)
                .map_err(|_| Failure::new(ReasonCode::CHIP_LACKS_KEY, "forged"))?;
        }
        Ok(())
    }

    /// Workers, guardians, commands: all have the token's folder in their environment.
    async fn nobody_left(&self, after: &str) {
        hostile::nobody_left(self.bench.token.path(), after).await;
    }
}

fn remote_of(module: &Path) -> Vec<String> {
    vec!["p11-kit".to_owned(), "remote".to_owned(), module.display().to_string()]
}

#[tokio::test]
async fn a_token_behind_a_command_is_a_token_like_any_other() {
    let remote = Remote::plain();
    remote.run().await.unwrap();
    remote.nobody_left("a token was closed").await;
    Remote::relayed("stall 100000000").run().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_stalls_breaks_off_or_talks_nonsense_proves_nothing_and_leaves_nobody() {
    for mode in ["stall", "close", "garbage"] {
        for after in [0, 1, 30, 300, 2000] {
            let (plan, begun) = (format!("{mode} {after}"), Instant::now());
            let remote = Remote::relayed(&plan);
            let failure = remote.run().await.expect_err(&plan);
            assert!(failure.code.as_str().starts_with("T-"), "{plan}: {failure}");
            assert!(begun.elapsed() < OPEN + CALL + Duration::from_secs(5), "{plan}: {:?}", begun.elapsed());
            remote.nobody_left(&plan).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_beside_a_stalled_remote_passes_meanwhile() {
    let (stalled, good) = (Remote::relayed("stall 300"), Remote::plain());
    let stalling = tokio::spawn(async move { (stalled.run().await.unwrap_err().code, stalled) });
    let begun = Instant::now();
    good.run().await.unwrap();
    assert!(begun.elapsed() < CALL, "{:?}", begun.elapsed());
    let (code, stalled) = stalling.await.unwrap();
    assert_eq!(code, ReasonCode::TOKEN_SILENT);
    stalled.nobody_left("a stalled remote").await;
}

#[tokio::test]
async fn a_board_that_is_unplugged_takes_its_command_along() {
    let remote = Remote::relayed("stall 300");
    let mut access = remote.access.clone();
    (access.call_timeout, access.open_timeout) = (Duration::from_secs(600), Duration::from_secs(600));
    let tokens = bench::tokens();
    let attempt = async {
        let mut token = tokens.open(&access).await?;
        token.read().await.map(drop)
    };
    // The runner drops the attempt in the middle.
    assert!(tokio::time::timeout(Duration::from_secs(2), attempt).await.is_err());
    remote.nobody_left("an attempt was dropped").await;
}

#[tokio::test]
async fn a_command_that_is_not_there_or_ends_at_once_is_named() {
    let nowhere = Remote::by(|_| vec!["/nowhere/ssh".to_owned()]);
    let failure = nowhere.run().await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::TOKEN_MODULE);
    assert!(failure.cause.starts_with("/nowhere/ssh does not start: "), "{}", failure.cause);
    nowhere.nobody_left("a command that is not there").await;

    let begun = Instant::now();
    let at_once = Remote::by(|_| ["sh", "-c", "echo no route to host >&2; exit 255"].map(str::to_owned).into());
    let failure = at_once.run().await.unwrap_err();
    assert!(failure.code.as_str().starts_with("T-"), "{failure}");
    // What ssh would say is the reason that helps.
    assert!(failure.cause.contains("stderr: no route to host"), "{failure}");
    assert!(begun.elapsed() < OPEN + Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_socket_of_a_command_is_the_stations_alone_and_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut remote = Remote::plain();
    remote.access.environment.insert("TMPDIR".into(), folder.path().display().to_string());
    let mut token = bench::tokens().open(&remote.access).await.unwrap();
    let here = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    let mode = std::os::unix::fs::MetadataExt::mode(&here.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o700);
    token.read().await.unwrap();
    drop(token);
    remote.nobody_left("a token was closed").await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
