//! Certificates that are made for the chips' own keys, through the whole line: requested by the key in the token,
//! made by AWS, recorded, and used from then on.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use lineseal::domain::Fingerprint;
use lineseal::domain::profile::{ConnectMode, KeyKind};
use lineseal::practice::token::SoftHsm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use x509_cert::der::{Decode as _, Encode as _};

use crate::bench::Bench;
use crate::hostile::{self, PLAN};
use crate::killed::LossyWay;
use crate::log;
use crate::peers::{Cloud, read_object};
use crate::program::Program;
use crate::rulings::Line;
use crate::station::{Station, assert_outcome};

pub fn csr(profile: String) -> String {
    profile.replace("method = \"without-ca\"", "method = \"csr\"")
}

fn root(cloud: &Cloud) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// All certificates in the cloud that carry this key, by id, with their status.
pub async fn of_key(cloud: &Cloud, spki: &[u8]) -> Vec<(String, String)> {
    let client = root(cloud);
    let mut found = Vec::new();
    for id in cloud.witness().certificates.into_keys() {
        // Another test's, deleted since the list was made.
        let Ok(seen) = client.describe_certificate().certificate_id(&id).send().await else { continue };
        let seen = seen.certificate_description.unwrap();
        let pem = seen.certificate_pem.unwrap();
        let (_, der) = x509_cert::der::pem::decode_vec(pem.as_bytes()).unwrap();
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        if certificate.tbs_certificate().subject_public_key_info().to_der().unwrap() == spki {
            found.push((id, seen.status.unwrap().as_str().to_owned()));
        }
    }
    found
}

async fn run_one(bench: &Bench<'_>, status: i32) -> Value {
    Program::on(bench, ["run", "--json", "--units", "1"]).run().await.expect(status).json().remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_made_for_each_chips_key_and_is_what_connects() {
    let cloud = Cloud::shared_with_broker().await;
    for (name, kind) in [("EC", KeyKind::EcP256), ("RSA", KeyKind::Rsa2048)] {
        let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, csr).await;
        let chip = bench.chip(kind);
        bench.plug(1, name, &chip);
        let record = run_one(&bench, 0).await;
        assert_eq!(
            (&record["verdict"], &record["certificate"]["sha256"]),
            (&json!("PASS"), &json!(chip.fingerprint()))
        );
        let issued = &record["issued"];
        let id = issued["sha256"].as_str().unwrap().to_owned();
        assert_eq!(
            (&issued["origin"], &issued["subject"]),
            (&json!("made"), &json!(format!("CN={}", bench.thing(name))))
        );
        assert_eq!(issued["spki_sha256"], record["certificate"]["spki_sha256"]);
        assert_eq!(record["targets"][0]["connection"]["outcome"], "ok");
        assert!(record["targets"][0]["certificate_arn"].as_str().unwrap().ends_with(&format!(":cert/{id}")));

        let seen = cloud.witness();
        assert_eq!(of_key(cloud, &chip.spki).await, [(id.clone(), "ACTIVE".to_owned())]);
        assert!(!seen.certificates.contains_key(&chip.fingerprint()), "the factory certificate stays where it is");
        assert_eq!(seen.certificates[&id].things, [bench.thing(name)]);
        assert_eq!(seen.certificates[&id].policies, ["practice-device"]);

        let events = log::read(&bench.data_dir());
        let run = log::of_run(&events, record["run"].as_str().unwrap());
        let kinds = log::kinds(&run);
        let order = [
            "request-made",
            "certificate-requested",
            "certificate-issued",
            "register-intended",
            "registered",
            "connected",
        ];
        let at = order.map(|kind| kinds.iter().position(|known| known == kind).unwrap_or_else(|| panic!("{kinds:?}")));
        assert!(at.is_sorted(), "{kinds:?}");
        let der = hex_or_base64(&log::all(&events, "certificate-issued")[0]["issued"]["certificate"]);
        assert_eq!(Fingerprint::of(&der).to_string(), id);
        assert!(log::all(&events, "certificate-requested")[0]["request"].is_string());

        // Once more: nothing new is made.
        bench.unplug(1);
        bench.plug(1, name, &chip);
        let again = run_one(&bench, 0).await;
        assert_eq!((&again["issued"]["sha256"], &again["issued"]["origin"]), (&json!(id), &json!("known")));
        assert_eq!(of_key(cloud, &chip.spki).await.len(), 1);

        // By the id that AWS's console shows.
        let found = Program::on(&bench, ["audit", "search", &id[..12], "--json"]).run().await.expect(0);
        assert!(found.out.contains(record["run"].as_str().unwrap()), "{found:?}");
        let shown = Program::on(&bench, ["audit", "show", record["run"].as_str().unwrap()]).run().await.expect(0);
        let told = shown.out + &shown.err;
        assert!(told.contains("was made for the chip's key") && told.contains(&id), "{told}");
        Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
        let bundle = bench.dir.path().join("bundle.zip").display().to_string();
        let serial = bench.serial(name);
        Program::on(&bench, ["audit", "prove", &serial, "--out", &bundle]).run().await.expect(0);
        Program::on(&bench, ["audit", "verify-bundle", &bundle]).run().await.expect(0);
        let folder = bench.dir.path().join("bundle");
        Program::on(&bench, ["audit", "prove", &serial, "--out", folder.to_str().unwrap()]).run().await.expect(0);
        by_strangers(&folder);
    }
}

/// What came with the bundle, and OpenSSL by the README's commands, accept it.
fn by_strangers(folder: &Path) {
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap());
    let by_hand = blocks.collect::<String>();
    assert!(by_hand.contains("made evidence/"), "{readme}");
    let run = |program: &str, args: &[&str]| {
        std::process::Command::new(program).args(args).current_dir(folder).output().unwrap()
    };
    let python = crate::peers::venv().join("bin/python").display().to_string();
    for (program, args) in [("sh", ["-c", by_hand.as_str()]), (python.as_str(), ["-B", "verify.py"])] {
        let output = run(program, &args);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn hex_or_base64(value: &Value) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// What was made and never recorded is found by its key, and taken: INACTIVE until then.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_before_a_crash_is_found_and_taken_by_the_next_run() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::with_profile(1, cloud, csr).await;
    let chip = bench.chip(KeyKind::EcP256);
    let way = LossyWay::start(bench.proxy.address(), b"POST /certificates").await;
    let configured = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, configured.replace(&bench.proxy.endpoint(), &way.endpoint())).unwrap();
    bench.plug(1, "A", &chip);
    // Killed between AWS's answer and its record.
    let station = Program::on(&bench, ["run", "--json"]).start();
    let by = std::time::Instant::now() + Duration::from_secs(60);
    while of_key(cloud, &chip.spki).await.is_empty() {
        assert!(std::time::Instant::now() < by, "nothing was made within a minute");
    }
    assert_eq!(station.kill().status, -9);
    let events = log::read(&bench.data_dir());
    assert!(log::all(&events, "certificate-issued").is_empty());
    // And a second one of the same request, as a retry would have made it.
    let request = hex_or_base64(&log::all(&events, "certificate-requested")[0]["request"]);
    let pem = lineseal::domain::request_pem(&request);
    root(cloud).create_certificate_from_csr().certificate_signing_request(pem).send().await.unwrap();
    let before = of_key(cloud, &chip.spki).await;
    assert_eq!(before.iter().map(|(_, status)| status.as_str()).collect::<Vec<_>>(), ["INACTIVE", "INACTIVE"]);

    way.repair();
    // The run that was cut off, and the board's next one.
    let ended = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(3);
    let record = ended.json().into_iter().find(|record| record["verdict"] == "PASS");
    let record = record.unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!(record["issued"]["origin"], "found");
    let id = record["issued"]["sha256"].as_str().unwrap().to_owned();
    assert!(before.iter().any(|(made, _)| *made == id));
    assert_eq!(of_key(cloud, &chip.spki).await, [(id, "ACTIVE".to_owned())], "the double is gone");
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}

/// moto makes the certificate for a key of its own, whatever the request says: the very thing that must not pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_makes_it_for_another_key_is_not_believed() {
    let cloud = Cloud::moto().await;
    for kind in [KeyKind::EcP256, KeyKind::Rsa2048] {
        let mut bench = Bench::with_profile(1, &cloud, csr).await;
        let chip = bench.chip(kind);
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, 3).await;
        assert_eq!((&record["verdict"], &record["reason"]), (&json!("ERROR"), &json!("A-351")), "{record}");
        assert!(record["issued"].is_null() && !cloud.witness().things.contains_key(&bench.thing("A")));
        let events = log::read(&bench.data_dir());
        assert!(log::all(&events, "register-intended").is_empty());
    }
}

/// Its board is needed to go on: nothing is HELD.
#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_that_is_away_stops_the_line_and_the_board_is_tried_again() {
    let cloud = Cloud::shared().await;
    let quick = |profile: String| csr(profile).replace("deadline_ms = 10000", "deadline_ms = 1500");
    let mut bench = Bench::with_profile(1, cloud, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let stopped = run_one(&bench, 3).await;
    assert_eq!((&stopped["verdict"], &stopped["reason"]), (&json!("ERROR"), &json!("A-306")));
    bench.unplug(1);
    bench.proxy.up().await.unwrap();
    bench.plug(1, "A", &chip);
    assert_eq!(run_one(&bench, 0).await["verdict"], "PASS");
    assert_eq!(of_key(cloud, &chip.spki).await.len(), 1);
}

/// Somebody else's certificate is on the thing: what was made for this unit never became ACTIVE.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_a_unit_that_fails_stays_inactive() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::with_profile(1, cloud, csr).await;
    let chip = bench.chip(KeyKind::EcP256);
    let client = root(cloud);
    let other = client.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
    client.create_thing().thing_name(bench.thing("A")).send().await.unwrap();
    let attach = client.attach_thing_principal().thing_name(bench.thing("A"));
    attach.principal(other.certificate_arn.unwrap()).send().await.unwrap();
    bench.plug(1, "A", &chip);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "FAIL S-111");
    station.stop().await;
    let ours = of_key(cloud, &chip.spki).await;
    assert_eq!(ours.iter().map(|(_, status)| status.as_str()).collect::<Vec<_>>(), ["INACTIVE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_board_gets_a_certificate_for_its_new_chip_and_never_the_old_chips() {
    let cloud = Cloud::shared().await;
    let mut line = Line::of(Bench::with_profile(1, cloud, csr).await).await;
    let [old, new] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    let (outcome, first, _) = line.run("A", &old).await;
    assert_eq!(outcome, "PASS");
    let (outcome, refused, _) = line.run("A", &new).await;
    assert_eq!(outcome, "FAIL S-108");
    line.ruled(&["rebind", &line.bench.serial("A"), "--run", refused["run"].as_str().unwrap()]).await;
    let (outcome, moved, _) = line.run("A", &new).await;
    assert_eq!((outcome.as_str(), &moved["issued"]["origin"]), ("PASS", &json!("made")), "{moved}");
    let [was, is] = [&first, &moved].map(|record| record["issued"]["sha256"].as_str().unwrap().to_owned());
    assert_eq!(of_key(cloud, &old.spki).await, [(was, "INACTIVE".to_owned())]);
    assert_eq!(of_key(cloud, &new.spki).await, [(is.clone(), "ACTIVE".to_owned())]);
    assert_eq!(cloud.witness().certificates[&is].things, [line.bench.thing("A")]);
    let (outcome, again, _) = line.run("A", &new).await;
    assert_eq!((outcome.as_str(), &again["issued"]["sha256"]), ("PASS", &json!(is)), "{again}");
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// With more under `[register.csr]`.
fn csr_with(profile: String, section: &str) -> String {
    let profile = csr(profile);
    let (before, after) = profile.split_once("\n[connect]").unwrap();
    format!("{before}\n[register.csr]\n{section}\n\n[connect]{after}")
}

/// Read by OpenSC: the chip's own certificate stays where it is, and the other one is beside it.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_keeps_what_was_made_for_its_key() {
    let cloud = Cloud::shared().await;
    for kind in [KeyKind::EcP256, KeyKind::Rsa2048] {
        let change = |profile| csr_with(profile, "certificate = 0xF0000113");
        let mut bench = Bench::with_profile(1, cloud, change).await;
        let chip = bench.chip(kind);
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, 0).await;
        assert_eq!((&record["verdict"], &record["issued"]["kept_as"]), (&json!("PASS"), &json!("0xF0000113")));
        let kept = read_object(&bench.token_dir(1), "cert", "sss:F0000113");
        assert_eq!(json!(Fingerprint::of(&kept).to_string()), record["issued"]["sha256"]);
        assert_eq!(read_object(&bench.token_dir(1), "cert", "sss:F0000111"), chip.certificate);
        let events = log::read(&bench.data_dir());
        assert_eq!(log::all(&events, "certificate-kept")[0]["written"], true);
        // The same board once more: it has it.
        let again = run_one_more(&bench).await;
        assert_eq!((&again["verdict"], &again["issued"]["origin"]), (&json!("PASS"), &json!("known")));
        let events = log::read(&bench.data_dir());
        assert_eq!(log::all(&events, "certificate-kept")[1]["written"], false);
        // Deleted in the cloud by a person: another one takes the place of the first.
        let client = root(cloud);
        let id = record["issued"]["sha256"].as_str().unwrap();
        let arn = &cloud.witness().certificates[id].arn;
        client.detach_thing_principal().thing_name(bench.thing("A")).principal(arn).send().await.unwrap();
        client.detach_policy().policy_name("practice-device").target(arn).send().await.unwrap();
        client.update_certificate().certificate_id(id).new_status("INACTIVE".into()).send().await.unwrap();
        client.delete_certificate().certificate_id(id).send().await.unwrap();
        let anew = run_one_more(&bench).await;
        assert_eq!((&anew["verdict"], &anew["issued"]["origin"]), (&json!("PASS"), &json!("made")));
        let kept = read_object(&bench.token_dir(1), "cert", "sss:F0000113");
        assert_eq!(json!(Fingerprint::of(&kept).to_string()), anew["issued"]["sha256"]);
    }
}

/// With what is in the token by now: it is not mounted anew.
async fn run_one_more(bench: &Bench<'_>) -> Value {
    run_one(bench, 0).await
}

/// The second session that is opened is the one to write in.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_does_not_write_is_an_error_or_a_note() {
    let cloud = Cloud::shared().await;
    for (mode, outcome, status) in [("required", "ERROR A-355", 3), ("optional", "PASS ", 0)] {
        let change = |profile: String| {
            let profile = csr_with(profile, &format!("certificate = 0xF0000113\nwrite_back = \"{mode}\""));
            let real = SoftHsm::find().unwrap().module.display().to_string();
            let module = format!("module = \"{}\"", hostile::module().display());
            let tokens =
                profile.split_once("SOFTHSM2_CONF = \"").unwrap().1.split_once("/{usb_path}").unwrap().0.to_owned();
            let plan = format!("HOSTILE_PLAN = \"{tokens}/{{usb_path}}/{PLAN}\"");
            profile
                .replace(&format!("module = \"{real}\""), &module)
                .replace("environment = { ", &format!("environment = {{ HOSTILE_REAL = \"{real}\", {plan}, "))
        };
        let mut bench = Bench::with_profile(1, cloud, change).await;
        let chip = bench.chip(KeyKind::EcP256);
        std::fs::write(chip.token.path().join(PLAN), "C_OpenSession 2 unknown\n").unwrap();
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, status).await;
        let told = format!("{} {}", record["verdict"].as_str().unwrap(), record["reason"].as_str().unwrap_or_default());
        assert_eq!(told, outcome, "{record}");
        if mode == "optional" {
            assert_eq!(record["issued"]["not_kept"], "A-355");
        } else {
            assert!(record["cause"].as_str().unwrap().contains("C_OpenSession"), "{record}");
        }
    }
}

/// What a service of the user's own answers. No peer is one: it is written after README, and OpenSSL makes its
/// certificates.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    Well,
    WithChain,
    ForAnotherKey,
    NoJson,
    NoCertificate,
    Refused,
    Endless,
    Never,
}

/// Headers and body.
type Asked = (BTreeMap<String, String>, Value);

struct Service {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: tokio::task::AbortHandle,
}

impl Service {
    /// `ca.pem` and `ca.key` in the folder are its CA.
    async fn start(folder: &Path, answers: Answers) -> Service {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "The plant's own service");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(folder.join("ca.key"), key.serialize_pem()).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let (folder, noted) = (folder.to_owned(), asked.clone());
        let serve = async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let Some((headers, body)) = question(&mut client).await else { continue };
                let question: Value = serde_json::from_slice(&body).unwrap();
                noted.lock().unwrap().push((headers, question.clone()));
                let (status, body) = match answers {
                    Answers::Never => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        continue;
                    }
                    Answers::Refused => (403, "{\"message\": \"who are you?\"}".to_owned()),
                    Answers::NoJson => (200, "<html>log in</html>".to_owned()),
                    Answers::NoCertificate => (200, json!({ "certificatePem": "none" }).to_string()),
                    Answers::Endless => (200, "x".repeat(1 << 20)),
                    Answers::ForAnotherKey => {
                        let other = rcgen::KeyPair::generate().unwrap();
                        let other = rcgen::CertificateParams::default().serialize_request(&other).unwrap();
                        (200, json!({ "certificatePem": made(&folder, &other.pem().unwrap()) }).to_string())
                    }
                    Answers::Well | Answers::WithChain => {
                        let pem = made(&folder, question["certificateSigningRequest"].as_str().unwrap());
                        let chain = std::fs::read_to_string(folder.join("ca.pem")).unwrap();
                        let chain = (answers == Answers::WithChain).then_some(chain);
                        (201, json!({ "certificatePem": pem, "chainPem": chain }).to_string())
                    }
                };
                let head =
                    format!("HTTP/1.1 {status} Answer\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = client.write_all((head + &body).as_bytes()).await;
            }
        };
        Service { port, asked, task: tokio::spawn(serve).abort_handle() }
    }

    fn section(&self, more: &str) -> String {
        format!("endpoint = \"http://127.0.0.1:{}/sign\"\ntimeout_ms = 1500\n{more}", self.port)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn question(client: &mut tokio::net::TcpStream) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let mut all = Vec::new();
    let end = loop {
        if let Some(at) = all.windows(4).position(|part| part == b"\r\n\r\n") {
            break at + 4;
        }
        let mut piece = [0; 4096];
        match client.read(&mut piece).await.ok()? {
            0 => return None,
            size => all.extend_from_slice(&piece[..size]),
        }
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    assert!(head.starts_with("POST /sign "), "{head}");
    let headers: BTreeMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().unwrap();
    while all.len() < end + length {
        let mut piece = [0; 4096];
        match client.read(&mut piece).await.ok()? {
            0 => return None,
            size => all.extend_from_slice(&piece[..size]),
        }
    }
    Some((headers, all[end..].to_vec()))
}

/// OpenSSL refuses a request whose signature is not its own key's.
fn made(folder: &Path, request: &str) -> String {
    use std::io::Write as _;
    let args = ["x509", "-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "365"];
    let mut openssl = std::process::Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_the_users_own_makes_the_certificate_and_the_station_registers_it() {
    let cloud = Cloud::shared_with_broker().await;
    for (kind, answers) in [(KeyKind::EcP256, Answers::Well), (KeyKind::Rsa2048, Answers::WithChain)] {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path(), answers).await;
        let token = folder.path().join("token");
        std::fs::write(&token, "s3cret.token\n").unwrap();
        let section = service.section(&format!("token_file = {:?}", token.display().to_string()));
        let mut bench = Bench::connecting(1, cloud, ConnectMode::Required, |profile| csr_with(profile, &section)).await;
        let chip = bench.chip(kind);
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, 0).await;
        let id = record["issued"]["sha256"].as_str().unwrap().to_owned();
        assert_eq!((&record["verdict"], &record["issued"]["origin"]), (&json!("PASS"), &json!("made")));
        assert!(record["issued"]["issuer"].as_str().unwrap().contains("The plant's own service"), "{record}");
        assert_eq!(of_key(cloud, &chip.spki).await, [(id.clone(), "ACTIVE".to_owned())]);
        {
            let asked = service.asked.lock().unwrap();
            let [(headers, question)] = asked.as_slice() else { panic!("{asked:?}") };
            assert_eq!(headers["authorization"], "Bearer s3cret.token");
            assert_eq!(question["thingName"], bench.thing("A"));
        }
        // What it made is registered again, and not asked for.
        bench.unplug(1);
        bench.plug(1, "A", &chip);
        assert_eq!(run_one(&bench, 0).await["issued"]["origin"], "known");
        assert_eq!(service.asked.lock().unwrap().len(), 1);
        Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
        let log = log::read(&bench.data_dir());
        assert!(!log.iter().any(|logged| String::from_utf8_lossy(&logged.bytes).contains("s3cret")));
    }
}

/// Registered in the name of the CA that made it, which AWS knows; and one that another CA made is none.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_makes_is_registered_in_its_cas_name() {
    let cloud = Cloud::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), Answers::Well).await;
    let section = service.section("ca = \"pki\"");
    let mut bench = Bench::with_profile(1, cloud, |profile| csr_with(profile, &section)).await;
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let ca = folder.path().join("ca.pem");
    let text = format!("{text}\n[ca.pki]\ncertificate = {:?}\n", ca.display().to_string());
    std::fs::write(&bench.config_file, text).unwrap();
    let pem = std::fs::read_to_string(&ca).unwrap();
    let request = root(cloud).register_ca_certificate().ca_certificate(pem);
    let mode = aws_sdk_iot::types::CertificateMode::SniOnly;
    let registered = request.certificate_mode(mode).set_as_active(true).send().await.unwrap();
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let record = run_one(&bench, 0).await;
    assert_eq!(record["verdict"], "PASS");
    let id = record["issued"]["sha256"].as_str().unwrap();
    let seen = root(cloud).describe_certificate().certificate_id(id).send().await.unwrap();
    assert_eq!(seen.certificate_description.unwrap().ca_certificate_id, registered.certificate_id);

    // Another CA's by now.
    let other = tempfile::tempdir().unwrap();
    let _other = Service::start(other.path(), Answers::Well).await;
    for name in ["ca.pem", "ca.key"] {
        std::fs::copy(other.path().join(name), folder.path().join(format!("other-{name}"))).unwrap();
    }
    let kept = std::fs::read(&ca).unwrap();
    std::fs::rename(folder.path().join("other-ca.key"), folder.path().join("ca.key")).unwrap();
    std::fs::rename(folder.path().join("other-ca.pem"), &ca).unwrap();
    let pinned = folder.path().join("pinned.pem");
    std::fs::write(&pinned, kept).unwrap();
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, text.replace("ca.pem", "pinned.pem")).unwrap();
    let stranger = bench.chip(KeyKind::EcP256);
    bench.unplug(1);
    bench.plug(1, "B", &stranger);
    let record = run_one(&bench, 3).await;
    assert_eq!((&record["verdict"], &record["reason"]), (&json!("ERROR"), &json!("A-352")));
    assert!(of_key(cloud, &stranger.spki).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_certificate_is_not_taken_any_more_is_not_failed_by_that_certificate() {
    let cloud = Cloud::shared().await;
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), Answers::Well).await;
    let section = service.section("ca = \"pki\"");
    let mut bench = Bench::with_profile(1, cloud, |profile| csr_with(profile, &section)).await;
    let ca = folder.path().join("ca.pem");
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let text = format!("{text}\n[ca.pki]\ncertificate = {:?}\n", ca.display().to_string());
    std::fs::write(&bench.config_file, &text).unwrap();
    let registers = async || {
        let pem = std::fs::read_to_string(&ca).unwrap();
        let request = root(cloud).register_ca_certificate().ca_certificate(pem);
        let mode = aws_sdk_iot::types::CertificateMode::SniOnly;
        request.certificate_mode(mode).set_as_active(true).send().await.unwrap();
    };
    registers().await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let mut ids = vec![run_one(&bench, 0).await["issued"]["sha256"].as_str().unwrap().to_owned()];
    // The plant's CA is exchanged; then the target gets another name in the configuration.
    let _other = Service::start(folder.path(), Answers::Well).await;
    registers().await;
    for renamed in [false, true] {
        if renamed {
            let profile = bench.dir.path().join("assets/practice.toml");
            let told = std::fs::read_to_string(&profile).unwrap();
            std::fs::write(&profile, told.replace("targets = [\"practice\"]", "targets = [\"anew\"]")).unwrap();
            std::fs::write(&bench.config_file, text.replace("name = \"practice\"", "name = \"anew\"")).unwrap();
        }
        bench.unplug(1);
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, 0).await;
        assert_eq!((&record["verdict"], &record["issued"]["origin"]), (&json!("PASS"), &json!("made")), "{record}");
        ids.push(record["issued"]["sha256"].as_str().unwrap().to_owned());
        let seen = cloud.witness();
        let (now, past) = ids.split_last().unwrap();
        assert_eq!(seen.things[&bench.thing("A")].principals, [seen.certificates[now].arn.clone()]);
        assert!(past.iter().all(|id| seen.certificates[id].status == "INACTIVE"), "{past:?}");
    }
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}

/// Whatever it says, nothing is registered that is not the very key's.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_lies_hangs_or_talks_nonsense_is_an_error_and_registers_nothing() {
    let cloud = Cloud::shared().await;
    for (answers, code) in [
        (Answers::ForAnotherKey, "A-351"),
        (Answers::NoJson, "A-354"),
        (Answers::NoCertificate, "A-354"),
        (Answers::Endless, "A-354"),
        (Answers::Refused, "A-354"),
        (Answers::Never, "A-353"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path(), answers).await;
        let section = service.section("");
        let mut bench = Bench::with_profile(1, cloud, |profile| csr_with(profile, &section)).await;
        let chip = bench.chip(KeyKind::EcP256);
        bench.plug(1, "A", &chip);
        let record = run_one(&bench, 3).await;
        assert_eq!((&record["verdict"], &record["reason"]), (&json!("ERROR"), &json!(code)), "{answers:?} {record}");
        assert!(of_key(cloud, &chip.spki).await.is_empty(), "{answers:?}");
        assert!(log::all(&log::read(&bench.data_dir()), "certificate-issued").is_empty());
    }
    // And one that is not there.
    let section = "endpoint = \"http://127.0.0.1:9/sign\"";
    let mut bench = Bench::with_profile(1, cloud, |profile| csr_with(profile, section)).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    assert_eq!(run_one(&bench, 3).await["reason"], "A-353");
}
