//! MiniStack as the practice line starts it: on loopback, signatures verified, keys of its own,
//! contents kept where asked; and the credentials' way into the adapter.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[tokio::test]
async fn everything_it_listens_on_is_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), None);
    let (one, other) = tokio::join!(MiniStack::start(&plan), MiniStack::start(&plan));
    let (one, other) = (one.unwrap(), other.unwrap());
    for running in [&one, &other] {
        let listening = listening(running.pid());
        assert!(listening.contains(&format!("127.0.0.1:{}", running.address().port())), "{listening:?}");
        assert!(listening.contains(&format!("127.0.0.1:{}", running.mtls_port().unwrap())), "{listening:?}");
        assert!(listening.iter().all(|address| address.starts_with("127.0.0.1:")), "{listening:?}");
    }
    assert_ne!(one.mtls_port(), other.mtls_port());
}

#[tokio::test]
async fn what_it_held_is_there_after_a_restart_and_its_old_keys_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), Some(folder.path().join("state")));
    let unit = unit(Key::P256);
    let first = MiniStack::start(&plan).await.unwrap();
    let old = first.credentials();
    peer(&first, old.clone()).cloud().register(&unit).await.unwrap();
    first.stop().await;

    let second = MiniStack::start(&plan).await.unwrap();
    let again = peer(&second, second.credentials()).cloud().register(&unit).await.unwrap();
    assert_eq!(again.adopted, ALL_PARTS);
    let target = "plant".parse().unwrap();
    let failure = peer(&second, old).cloud().probe(&target).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_CREDENTIALS);
}

#[tokio::test]
async fn it_ends_with_whoever_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let running = MiniStack::start(&plan(folder.path(), None)).await.unwrap();
    let process = PathBuf::from(format!("/proc/{}", running.pid()));
    assert!(process.exists());
    drop(running);
    assert!(!process.exists());
    // The keys are in nobody's file.
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("ready")), "{left:?}");
}

/// Killed with SIGKILL, the station drops nothing: the cloud notices by itself, and saves. A process
/// of its own is killed: this very test, once more.
#[tokio::test]
async fn it_ends_and_saves_when_whoever_started_it_is_killed() {
    const ROLE: &str = "LINESEAL_TEST_KILLED";
    if let Ok(folder) = std::env::var(ROLE) {
        let folder = Path::new(&folder);
        let running = MiniStack::start(&plan(folder, Some(folder.join("state")))).await.unwrap();
        let unit = unit(Key::P256);
        peer(&running, running.credentials()).cloud().register(&unit).await.unwrap();
        let told = format!("{} {}", running.pid(), unit.thing);
        std::fs::write(folder.join("told.partial"), told).unwrap();
        std::fs::rename(folder.join("told.partial"), folder.join("told")).unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        panic!("nobody killed this process");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut station = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "aws_iot::practice::it_ends_and_saves_when_whoever_started_it_is_killed"])
        .env(ROLE, folder.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let told = folder.path().join("told");
    within(Duration::from_secs(60), || told.exists()).await;
    station.kill().await.unwrap();

    let told = std::fs::read_to_string(told).unwrap();
    let (pid, thing) = told.split_once(' ').unwrap();
    let process = PathBuf::from(format!("/proc/{pid}"));
    within(Duration::from_secs(10), || !process.exists()).await;
    let saved = std::fs::read_to_string(folder.path().join("state/iot.json")).unwrap();
    assert!(saved.contains(thing));
}

async fn within(time: Duration, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < by, "not within {time:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_missing_environment_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let plan = MiniStackPlan { venv: folder.path().join("none"), ..plan(folder.path(), None) };
    let error = MiniStack::start(&plan).await.unwrap_err();
    assert_eq!(error.to_string(), "MiniStack could not be started");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("there is no Python at ") && source.contains("none/bin/python"), "{source}");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_key_are_credentials_and_are_not_shown() {
    let peer = ministack().await;
    let secret = "wrong-secret-that-nobody-may-see";
    let key = peer.station.access_key_id();
    for credentials in [
        Credentials::new(key, secret, None, None, "test"),
        Credentials::new("AKIANOBODYNOBODYNOBO", secret, None, None, "test"),
    ] {
        let unit = unit(Key::P256);
        let cloud = AwsCloud::with_credentials(&peer.targets(&peer.endpoint), credentials);
        let refusal = cloud.register(&unit).await.unwrap_err();
        assert_eq!(code(&refusal), ReasonCode::CLOUD_CREDENTIALS, "{refusal}");
        assert!(!format!("{refusal:?} {cloud:?}").contains(secret));
        assert!(!refusal.certificate_left);
        assert_eq!(held(&peer.raw(), &unit).await.certificates_with_this_id, 0);
    }
}

#[tokio::test]
async fn no_credentials_at_all_are_told_without_waiting_for_the_deadline() {
    #[derive(Debug, Clone)]
    struct Nothing;
    impl ProvideCredentials for Nothing {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("no providers in chain")))
        }
    }
    let peer = ministack().await;
    let began = Instant::now();
    let refusal = AwsCloud::with_credentials(&peer.targets(&peer.endpoint), Nothing)
        .register(&unit(Key::P256))
        .await
        .unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_CREDENTIALS, "{refusal}");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn a_user_without_a_right_is_told_which_one_is_missing_and_on_what() {
    let peer = ministack().await;
    let name = format!("guest-{}", std::process::id());
    iam(peer, &format!("Action=CreateUser&UserName={name}&Version=2010-05-08"), "iam").await;
    let keys = iam(peer, &format!("Action=CreateAccessKey&UserName={name}&Version=2010-05-08"), "iam").await;
    let guest = Credentials::new(tag(&keys, "AccessKeyId"), tag(&keys, "SecretAccessKey"), None, None, "test");
    let cloud = AwsCloud::with_credentials(&peer.targets(&peer.endpoint), guest);
    let failure = cloud.probe(&"plant".parse().unwrap()).await.unwrap_err();
    assert_eq!(failure.code, ReasonCode::CLOUD_PERMISSION, "{failure}");
    assert_eq!(failure.args["action"], "iot:DescribeEndpoint");
    let refusal = cloud.register(&unit(Key::P256)).await.unwrap_err();
    assert_eq!(code(&refusal), ReasonCode::CLOUD_PERMISSION);
    assert!(refusal.failure.args["resource"].starts_with("arn:aws:iot:us-east-1:000000000000:"), "{refusal:?}");
}

const CHAIN: &str = "LINESEAL_TEST_DEFAULT_CHAIN";

/// The next test in a process of its own, with nothing in its environment but what the caller adds.
pub(super) fn again(endpoint: &str, profile: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "aws_iot::practice::the_default_chain_finds_keys_in_the_environment_and_in_a_profile"])
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(CHAIN, format!("{endpoint} {profile}"));
    command
}

/// The default chain reads the process's environment, so this runs in a process of its own: this
/// very test, once more, with the keys in its environment.
#[tokio::test]
async fn the_default_chain_finds_keys_in_the_environment_and_in_a_profile() {
    if let Ok(role) = std::env::var(CHAIN) {
        let (endpoint, profile) = role.split_once(' ').unwrap();
        let target = Target {
            name: "plant".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            aws_profile: Some(profile.to_owned()).filter(|profile| !profile.is_empty()),
            endpoint: Some(endpoint.to_owned()),
            account: None,
            role: None,
            sts_endpoint: None,
            mqtt: None,
        };
        AwsCloud::new(std::slice::from_ref(&target)).await.probe(&target.name).await.unwrap();
        return;
    }
    let peer = ministack().await;
    let (key, secret) = (peer.station.access_key_id(), peer.station.secret_access_key());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, format!("[line]\naws_access_key_id={key}\naws_secret_access_key={secret}\n")).unwrap();
    let again = |profile: &str| again(&peer.endpoint, profile);
    let passed = |output: std::process::Output| {
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    };
    let environment =
        again("").env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", secret).output().await.unwrap();
    passed(environment);
    passed(again("line").env("AWS_SHARED_CREDENTIALS_FILE", &file).output().await.unwrap());
    let nothing = again("").env("HOME", folder.path()).output().await.unwrap();
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("A-311"), "{nothing:?}");
}

fn plan(folder: &Path, state: Option<PathBuf>) -> MiniStackPlan {
    MiniStackPlan { venv: venv(), folder: folder.to_owned(), state, port: None, mtls: true }
}

fn peer(running: &MiniStack, station: Credentials) -> Peer {
    Peer { endpoint: running.endpoint(), region: running.region().to_string(), station }
}

/// Addresses of all listening TCP sockets of a process, as `ss` tells them.
fn listening(pid: u32) -> Vec<String> {
    let output = std::process::Command::new("ss").args(["-Hltnp"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let mine = text.lines().filter(|line| line.contains(&format!("pid={pid},")));
    mine.map(|line| line.split_whitespace().nth(3).unwrap().to_owned()).collect()
}

/// A call of IAM or STS under MiniStack's root key, whose signature it does not check. The SDK's crates
/// would be 20 MB for three calls.
pub(super) async fn iam(peer: &Peer, form: &str, service: &str) -> String {
    let host = peer.endpoint.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\nx-amz-date: 20260101T000000Z\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=00\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

pub(super) fn tag<'a>(xml: &'a str, name: &str) -> &'a str {
    xml.split_once(&format!("<{name}>")).unwrap().1.split_once(&format!("</{name}>")).unwrap().0
}
