//! A PIN and the cloud's secret key go in, the log's signing key is made, and none comes out anywhere.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::KEY_LABEL;

use crate::bench::Bench;
use crate::peers::{Cloud, pkcs11_tool};
use crate::program::{PROGRAM, Program};

/// Like no other number on the line.
const PIN: &str = "73509182645";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_logged_or_stored() {
    let mut bench = Bench::new(3, Cloud::shared().await).await;
    std::fs::write(bench.dir.path().join("assets/pin"), PIN).unwrap();
    for (lane, name) in [(1, "GOOD"), (2, "KEYLESS"), (3, "WRONGPIN")] {
        let chip = bench.chip(if lane == 1 { KeyKind::Rsa2048 } else { KeyKind::EcP256 });
        if name == "KEYLESS" {
            chip.token.delete_key(KEY_LABEL).unwrap();
        }
        if name != "WRONGPIN" {
            pkcs11_tool(chip.token.path(), &["--login", "--pin", "1234", "--change-pin", "--new-pin", PIN]);
        }
        bench.plug(lane, name, &chip);
    }
    let ended = Program::on(&bench, ["run", "-vv", "--json", "--units", "3"]).run().await.expect(3);
    let mut outcomes: Vec<String> = ended
        .json()
        .iter()
        .map(|record| format!("{} {}", record["verdict"].as_str().unwrap(), record["reason"]))
        .collect();
    outcomes.sort();
    // The PIN was used: without it, there is no PASS.
    assert_eq!(outcomes, ["ERROR \"T-206\"", "FAIL \"T-207\"", "PASS null"]);

    let mut places = vec![("stdout".to_owned(), ended.out.into_bytes()), ("stderr".to_owned(), ended.err.into_bytes())];
    for folder in [bench.data_dir(), bench.labels()] {
        collect(&folder, &mut places);
    }
    let secret = bench.cloud.credentials.secret_access_key();
    assert!(secret.len() > 10);
    // The last 32 bytes of the key that signs the log are all of it (RFC 8410 §7).
    let is_key = |(name, _): &(String, Vec<u8>)| name.ends_with("/log.key");
    let key = places.remove(places.iter().position(is_key).unwrap()).1;
    let key = STANDARD.decode(String::from_utf8(key).unwrap().lines().nth(1).unwrap()).unwrap();
    let seed = &key[key.len() - 32..];
    let mut said = Vec::new();
    for (name, bytes) in &places {
        for forbidden in [PIN, secret] {
            assert!(!holds(bytes, forbidden.as_bytes()), "{name} holds a secret");
            assert!(!holds(bytes, hex::encode(forbidden).as_bytes()), "{name} holds a secret in hexadecimal");
        }
        let written = [seed.to_vec(), hex::encode(seed).into_bytes(), STANDARD.encode(&key).into_bytes()];
        assert!(!written.iter().any(|form| holds(bytes, form)), "{name} holds the log's key");
        if holds(bytes, bench.serial("GOOD").as_bytes()) {
            said.push(name.as_str());
        }
    }
    // What is no secret is found in all of them: the search works.
    for place in ["stdout", "stderr", "lineseal.db", ".zpl"] {
        assert!(said.iter().any(|name| name.contains(place)), "{place} among {said:?}");
    }
}

/// A module is a program of the same user: it reads no key of AWS's from the station, and writes no root
/// certificate of its own into it.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_program_of_the_same_user_reads_what_the_station_holds() {
    const SECRET: &str = "for-nobody-else";
    let bench = Bench::new(1, Cloud::shared().await).await;
    // Root may do it all the same, unless that is taken from it.
    let as_a_user = |program: &str| {
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            command = Command::new("setpriv");
            command.arg("--bounding-set=-all").arg(program);
        }
        command.env("AWS_SECRET_ACCESS_KEY", SECRET).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let reads = |of: &std::process::Child| {
        let read = as_a_user("cat").arg(format!("/proc/{}/environ", of.id())).output().unwrap();
        holds(&read.stdout, SECRET.as_bytes())
    };
    let other = as_a_user("sleep").arg("600").spawn().unwrap();
    let mut station = as_a_user(PROGRAM);
    station.arg("--config").arg(&bench.config_file).arg("--data-dir").arg(bench.data_dir()).args(["boards", "--watch"]);
    let mut station = station.spawn().unwrap();
    let by = Instant::now() + Duration::from_secs(30);
    let until = |what: &str, mut holds: Box<dyn FnMut() -> bool + '_>| {
        while !holds() {
            assert!(Instant::now() < by, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until("any other program can be read", Box::new(|| reads(&other)));
    until("the station cannot", Box::new(|| !reads(&station)));
    assert!(station.try_wait().unwrap().is_none(), "it runs");
    for mut child in [station, other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

pub fn collect(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, places);
        } else {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

pub fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
