//! A PIN and the cloud's secret key go in, the log's signing key is made, and none comes out anywhere.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::KEY_LABEL;

use crate::bench::Bench;
use crate::peers::{Cloud, pkcs11_tool};
use crate::program::Program;

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

fn collect(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, places);
        } else {
            places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
