//! Why the cloud can't be had, each cause with a code of its own, before peers that really fail so.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::practice::{again, iam, tag};
use super::*;

/// What each registration before `endpoint` ends with, without having sent anything that stays.
async fn ends(endpoint: &str) -> Refusal {
    let began = Instant::now();
    let refusal = ministack().await.cloud_at(endpoint).register(&unit(Key::P256)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(15), "the lane waits for nothing");
    assert!(!refusal.certificate_left);
    refusal
}

/// Serves each connection in turn, until the process ends.
fn server(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(serve));
    port
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_such_and_waits_for_the_network() {
    let refusal = ends("http://no-such-host.invalid:1").await;
    assert_eq!(code(&refusal), ReasonCode::CLOUD_UNRESOLVED, "{refusal}");
}

/// One that takes TLS connections, and what became of each: whether its handshake came to an end.
fn tls_server(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> (u16, std::sync::mpsc::Receiver<bool>) {
    let (chain, key) = (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::Pkcs8(key)).unwrap());
    let (heard, hears) = std::sync::mpsc::sync_channel(64);
    let port = server(move |mut socket| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let _ = heard.try_send(tls.complete_io(&mut socket).is_ok() && !tls.is_handshaking());
    });
    (port, hears)
}

/// As TLS inspection, or a portal that answers for every host.
#[tokio::test]
async fn a_server_with_a_certificate_of_its_own_is_sent_nothing() {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let (port, hears) = tls_server(&params.self_signed(&key).unwrap(), &key);
    let refusal = ends(&format!("https://localhost:{port}")).await;
    assert_eq!(code(&refusal), ReasonCode::CLOUD_INTERCEPTED, "{refusal}");
    let connections: Vec<bool> = hears.try_iter().collect();
    assert!(!connections.is_empty() && connections.len() <= 8, "asked again: {}", connections.len());
}

/// To a clock that is years ahead, AWS's own certificate is this one. In a process of its own, which trusts the root.
#[tokio::test]
async fn a_certificate_of_a_trusted_root_that_is_out_of_date_is_the_clocks() {
    let keys = [(); 2].map(|()| rcgen::KeyPair::generate().unwrap());
    let [root_key, key] = keys;
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let home = tempfile::tempdir().unwrap();
    let roots = home.path().join("roots.pem");
    std::fs::write(&roots, params.self_signed(&root_key).unwrap().pem()).unwrap();
    let mut server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    server.not_before = rcgen::date_time_ymd(2020, 1, 1);
    server.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let (port, _) = tls_server(&server.signed_by(&key, &rcgen::Issuer::new(params, root_key)).unwrap(), &key);
    let probe = again(&format!("https://localhost:{port}"), "")
        .envs([("AWS_ACCESS_KEY_ID", "AKIANOBODYNOBODYNOBO"), ("AWS_SECRET_ACCESS_KEY", "nothing")])
        .env("SSL_CERT_FILE", &roots)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&probe.stdout).into_owned();
    assert!(told.contains("A-313"), "{told}");
}

#[tokio::test]
async fn a_captive_portal_is_told_with_what_it_answered() {
    let answers = [
        ("302 Found", "location: http://portal.example/sign-in?mac=00:11\r\n", "", "http://portal.example/sign-in"),
        ("200 OK", "content-type: text/html\r\n", "<html>Welcome</html>", "HTTP 200 (text/html)"),
        ("200 OK", "content-type: application/json\r\n", "[1]", "HTTP 200 (application/json)"),
        ("404 Not Found", "content-type: text/html\r\n", "<html>", "HTTP 404"),
        ("511 Network Authentication Required", "", "<html>", "HTTP 511"),
    ];
    for (status, headers, body, told) in answers {
        let port = server(move |mut socket| {
            let mut head = [0; 8192];
            let _ = socket.read(&mut head);
            let length = body.len();
            let answer =
                format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
            let _ = socket.write_all(answer.as_bytes());
        });
        let refusal = ends(&format!("http://127.0.0.1:{port}")).await;
        assert_eq!(code(&refusal), ReasonCode::CLOUD_PORTAL, "{status}: {refusal}");
        assert!(refusal.failure.cause.contains(told), "{refusal}");
        assert!(!refusal.failure.cause.contains("00:11"), "{refusal}");
    }
    // The same behind the port of HTTPS.
    let port = server(|mut socket| {
        let _ = socket.write_all(b"HTTP/1.1 302 Found\r\nlocation: http://portal.example/\r\n\r\n");
        let _ = socket.read(&mut [0; 8192]);
    });
    let refusal = ends(&format!("https://localhost:{port}")).await;
    assert_eq!(code(&refusal), ReasonCode::CLOUD_PORTAL, "{refusal}");
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_no_wrong_one() {
    let peer = ministack().await;
    let session = iam(peer, "Action=GetSessionToken&DurationSeconds=1&Version=2011-06-15", "sts").await;
    let [key, secret, token] = ["AccessKeyId", "SecretAccessKey", "SessionToken"].map(|name| tag(&session, name));
    let told = async |token: &str| {
        let credentials = Credentials::new(key, secret, Some(token.to_owned()), None, "test");
        let cloud = AwsCloud::with_credentials(&peer.targets(&peer.endpoint), credentials);
        cloud.probe(&"plant".parse().unwrap()).await.unwrap_err()
    };
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let failure = told(token).await;
    assert_eq!(failure.code, ReasonCode::CLOUD_EXPIRED, "{failure}");
    assert!(!failure.cause.contains(token) && !failure.cause.contains(secret));
}

/// `aws sso login` was yesterday. In a process of its own: the SDK looks for the session under HOME.
#[tokio::test]
async fn a_sign_on_whose_time_is_over_is_told_before_anything_is_sent() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let config = "[profile line]\nregion = us-east-1\nsso_session = line\nsso_account_id = 000000000000\n\
                  sso_role_name = station\n[sso-session line]\nsso_region = us-east-1\n\
                  sso_start_url = https://plant.example/start\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let session = r#"{"accessToken":"of-yesterday","expiresAt":"2020-01-01T00:00:00Z","region":"us-east-1",
        "startUrl":"https://plant.example/start"}"#;
    // SHA-1 of "line", as the AWS CLI names the file.
    std::fs::write(cache.join("264f39cab871e4cfd65b3a002f7255888bb5ed97.json"), session).unwrap();
    let ended = again(&ministack().await.endpoint, "line").env("HOME", home.path()).output().await.unwrap();
    let told = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(told.contains("A-318") && !told.contains("of-yesterday"), "{told}");
}
