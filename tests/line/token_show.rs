//! `lineseal token show`: what is said of chips of every sort, and that nothing comes of it.

use lineseal::audit::RunEvent;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_LABEL, UID_LABEL};
use lineseal::practice::token::TokenDir;
use lineseal::practice::vendor::{Validity, VendorCa};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;

use crate::bench::{Bench, Chip, new_uid, port_name};
use crate::gate;
use crate::hostile;
use crate::log;
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::station::{Station, assert_outcome};

async fn bench(lanes: u8) -> Bench<'static> {
    Bench::new(lanes, Cloud::shared().await).await
}

async fn show(bench: &Bench<'_>, args: &[&str], status: i32) -> Ended {
    let args = [&["token", "show"], args].concat();
    Program::on(bench, args).run().await.expect(status)
}

async fn seen(bench: &Bench<'_>, status: i32) -> Value {
    show(bench, &["--json"], status).await.json().remove(0)
}

/// `issuer C-102`, in order.
fn bad(seen: &Value) -> Vec<String> {
    let bad = seen["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "bad");
    bad.map(|check| format!("{} {}", check["check"].as_str().unwrap(), check["failure"]["code"].as_str().unwrap()))
        .collect()
}

fn open(seen: &Value) -> Vec<&str> {
    let open = seen["checks"].as_array().unwrap().iter().filter(|check| check["outcome"] == "open");
    open.map(|check| check["check"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_chip_is_shown_whole_and_nothing_is_written() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "GOOD", &chip);
    let seen = seen(&bench, 0).await;
    assert_eq!((bad(&seen), open(&seen)), (vec![], vec![]));
    assert_eq!(seen["board"]["serial"], bench.serial("GOOD"));
    assert_eq!((&seen["proven"], &seen["verdict"]), (&true.into(), &Value::Null));
    assert_eq!(seen["chip_uid"], chip.uid.as_str());
    assert_eq!(seen["certificate"]["sha256"], chip.fingerprint());
    assert_eq!(seen["certificate"]["uid"], chip.uid.as_str());
    assert_eq!(seen["certificate"]["key"], "ec-p256");
    assert_eq!(seen["found"]["certificate"]["form"], "label");
    assert_eq!(seen["found"]["key"]["name"], KEY_LABEL);
    let classes: Vec<&str> =
        seen["objects"].as_array().unwrap().iter().map(|it| it["class"].as_str().unwrap()).collect();
    for class in ["certificate", "private-key", "data"] {
        assert!(classes.contains(&class), "{classes:?}");
    }

    // For a person, in both languages; the sentences name module, label and every check.
    let told = show(&bench, &["--board", &port_name(1)], 0).await.out;
    for part in
        ["libsofthsm2.so", CERTIFICATE_LABEL, "since version 4.4", "has proved", "None of these checks would fail"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = show(&bench, &["--language", "ja"], 0).await.out;
    assert!(told.contains("証明しました") && told.contains(CERTIFICATE_LABEL), "{told}");
    // The certificate alone, for other tools; a device's name does as well as its port's.
    let node = bench.board(1).node().display().to_string();
    let shown = show(&bench, &["--pem", "--board", &node], 0).await;
    assert_eq!(CertificateDer::from_pem_slice(shown.out.as_bytes()).unwrap().as_ref(), chip.certificate);
    assert!(shown.out.starts_with("-----BEGIN") && shown.err.contains("has proved"));
    assert!(!bench.data_dir().exists(), "looking makes no log");
}

/// A chip of `vendor`, whose certificate names `certified`.
fn chip(bench: &Bench<'_>, kind: KeyKind, vendor: &VendorCa, certified: &lineseal::domain::ChipUid) -> Chip {
    let (token, spki) = bench.blank(kind, KEY_LABEL);
    let (uid, certificate) = (new_uid(), vendor.issue(&spki, certified, Validity::Good).unwrap());
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&uid));
    Chip { token, spki, uid, certificate }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_check_that_would_fail_is_named_and_the_others_are_made_all_the_same() {
    let mut bench = bench(1).await;
    let foreign = VendorCa::create_foreign().unwrap();
    // A foreign CA, another chip's UID, and a kind of key that the profile does not list.
    let all_wrong = chip(&bench, KeyKind::EcP384, &foreign, &new_uid());
    bench.plug(1, "A", &all_wrong);
    let all = seen(&bench, 1).await;
    assert_eq!(bad(&all), ["issuer C-102", "key C-105", "uid S-102"]);
    assert_eq!(open(&all), ["path", "revocation"]);
    // The key in it is its certificate's, whoever signed that.
    assert_eq!((&all["proven"], &all["verdict"], &all["reason"]), (&true.into(), &"FAIL".into(), &"C-102".into()));
    let told = show(&bench, &[], 1).await.out;
    assert!(told.contains("C-102") && told.contains("C-105") && told.contains("S-102"), "{told}");
    assert!(told.contains("A run would end FAIL C-102"), "{told}");

    let other_uid = chip(&bench, KeyKind::EcP256, &bench.vendor, &new_uid());
    bench.plug(1, "B", &other_uid);
    let seen = seen(&bench, 1).await;
    assert_eq!((bad(&seen), open(&seen)), (vec!["uid S-102".to_owned()], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_certificate_a_missing_key_and_an_empty_token_are_told_apart() {
    let mut bench = bench(1).await;
    let genuine = bench.chip(KeyKind::EcP256);
    let counterfeit = bench.counterfeit(&genuine);
    bench.plug(1, "COPY", &counterfeit);
    let copied = seen(&bench, 1).await;
    assert_eq!((bad(&copied), &copied["proven"]), (vec!["proof S-101".to_owned()], &false.into()));
    let told = show(&bench, &[], 1).await.out;
    assert!(told.contains("may be a copy"), "{told}");

    let keyless = bench.copy(&genuine);
    keyless.token.delete_key(KEY_LABEL).unwrap();
    bench.plug(1, "KEYLESS", &keyless);
    let keyless = seen(&bench, 1).await;
    assert_eq!((bad(&keyless), &keyless["found"]["key"]), (vec!["proof T-207".to_owned()], &Value::Null));
    // What is there is listed although the key's absence ended the first look.
    assert!(keyless["objects"].as_array().unwrap().iter().any(|it| it["label"] == UID_LABEL), "{keyless}");

    let empty = TokenDir::create(
        &bench.soft_hsm,
        std::path::Path::new(crate::program::PROGRAM),
        &bench.dir.path().join("empty"),
        lineseal::practice::setup::TOKEN_LABEL,
    )
    .unwrap();
    bench.plug(1, "EMPTY", &Chip { token: empty, ..genuine });
    let empty = seen(&bench, 1).await;
    assert_eq!((bad(&empty), open(&empty)), (vec!["certificate T-203".to_owned()], vec!["proof"]));
    assert_eq!(empty["objects"].as_array().unwrap().len(), 0);
    assert_eq!(empty["token"]["token_label"], lineseal::practice::setup::TOKEN_LABEL);
    assert!(show(&bench, &[], 1).await.out.contains("shows no object"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_that_answered_tells_which_module_it_is() {
    let mut bench = bench(1).await;
    for (label, id, form, words) in [
        ("sss:110100F0", vec![0x77], "swapped-label", "up to version 4.2"),
        ("another", vec![0x11, 0x01, 0x00, 0xf0], "little-endian-id", "up to version 4.6"),
        ("another", vec![0xf0, 0x00, 0x01, 0x11], "big-endian-id", "since version 4.7"),
    ] {
        let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
        let uid = new_uid();
        let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
        token.import_certificate(label, &id, &certificate).unwrap();
        token.import_data(UID_LABEL, &hex::decode(uid.as_str()).unwrap()).unwrap();
        bench.plug(1, "A", &Chip { token, spki, uid, certificate });
        assert_eq!(seen(&bench, 0).await["found"]["certificate"]["form"], form);
        assert!(show(&bench, &[], 0).await.out.contains(words));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_hangs_is_told_within_its_deadline_and_leaves_nobody() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug_hung(1, "HUNG", &chip);
    let begun = std::time::Instant::now();
    let hung = seen(&bench, 3).await;
    assert_eq!(bad(&hung), ["token T-204"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
    hostile::nobody_left(&bench.token_dir(1), "a look at a token that hangs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_manifest_are_asked_and_not_changed() {
    let profile = |profile: String| profile + "\n[manifest]\nformat = \"csv\"\nuid = \"UID\"\n";
    let mut bench = Bench::with_profile(1, Cloud::shared().await, profile).await;
    let [good, smuggled] = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let list = bench.dir.path().join("chips.csv");
    std::fs::write(&list, format!("UID,Name\n{},a chip\n", good.uid)).unwrap();
    let list = list.display().to_string();
    let open = ["batch", "open", "WO 1", "--planned", "3", "--manifest", &list];
    Program::on(&bench, open).run().await.expect(0);
    bench.plug(1, "GOOD", &good);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    let before = log::read(&bench.data_dir()).len();
    // The unit's own chip, as often as one likes.
    assert_eq!(bad(&seen(&bench, 0).await), Vec::<String>::new());
    let copy = bench.copy(&good);
    bench.plug(1, "OTHER", &copy);
    assert_eq!(bad(&seen(&bench, 1).await), ["manifest S-118", "log S-105"]);
    bench.plug(1, "OTHER", &smuggled);
    assert_eq!(bad(&seen(&bench, 1).await), ["manifest S-116"]);
    assert!(show(&bench, &["--batch", "WO 9"], 2).await.err.contains("there is no batch WO 9"));
    assert_eq!(log::read(&bench.data_dir()).len(), before);
    // And that it was looked at stands in nobody's way.
    Program::on(&bench, ["batch", "close"]).run().await.expect(0);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

/// The station takes no such board: K-706.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_demanded_and_a_batch_that_is_not_open_are_told() {
    let profile = |profile: String| profile + "\n[manifest]\nformat = \"csv\"\nuid = \"UID\"\nrequired = true\n";
    let mut bench = Bench::with_profile(1, Cloud::shared().await, profile).await;
    let chip = bench.chip(KeyKind::EcP256);
    // There has to be a log: without one no station was ever here.
    Station::start(&bench).await.stop().await;
    bench.plug(1, "A", &chip);
    assert_eq!(bad(&seen(&bench, 3).await), ["manifest K-706"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_the_station_works_with_is_left_to_it_until_its_verdict_stands() {
    let mut bench = bench(1).await;
    let busy = bench.chip(KeyKind::EcP256);
    let (mut station, gate) = gate::gated(&bench, |event| matches!(event, RunEvent::RegisterIntended { .. })).await;
    bench.plug(1, "BUSY", &busy);
    gate.reached_by(1).await;
    let told = show(&bench, &["--board", &port_name(1)], 2).await;
    assert!(told.err.contains("O-606") && told.err.contains("one owner"), "{}", told.err);
    assert_eq!(told.out, "");
    gate.open();
    assert_outcome(&station.unit().await, "PASS");
    // Its run is over, and the station goes on.
    show(&bench, &["--board", &port_name(1)], 0).await;
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_while_the_station_took_the_board_is_not_told() {
    let patient = |profile: String| profile.replace("open_timeout_ms = 5000", "open_timeout_ms = 100000");
    let mut bench = Bench::with_profile(1, Cloud::shared().await, patient).await;
    let chip = bench.chip(KeyKind::EcP256);
    // There has to be a log: without one no station was ever here.
    Station::start(&bench).await.stop().await;
    bench.plug(1, "A", &chip);
    let token = TokenDir::reopen(&bench.soft_hsm, std::path::Path::new(crate::program::PROGRAM), &bench.token_dir(1));
    let (token, file) = (token.unwrap(), bench.token_dir(1).join("softhsm2.conf"));
    let configuration = std::fs::read(&file).unwrap();
    token.hang().unwrap();
    let looking = Program::on(&bench, ["token", "show"]).start();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while hostile::processes(&bench.token_dir(1)).is_empty() {
        assert!(std::time::Instant::now() < end, "the look does not come to the token");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (mut station, gate) = gate::gated(&bench, |event| matches!(event, RunEvent::RunStarted { .. })).await;
    gate.reached_by(1).await;
    // The token that hung for the look alone answers.
    let told = tokio::task::spawn_blocking(move || {
        std::fs::write(file, configuration).unwrap();
        token.unhang().unwrap();
        looking.wait().expect(2)
    });
    let told = told.await.unwrap();
    assert!(told.err.contains("O-606"), "{}", told.err);
    assert_eq!(told.out, "");
    gate.open();
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_program_has_is_told_as_taken_and_its_chip_is_left_alone() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let terminal = serialport::new(bench.board(1).node().display().to_string(), 115_200).open().unwrap();
    let taken = seen(&bench, 3).await;
    assert_eq!((bad(&taken), open(&taken)), (vec!["identify B-107".to_owned()], vec!["token", "proof"]));
    assert!(show(&bench, &[], 3).await.out.contains("Another program has this port"));
    drop(terminal);
    show(&bench, &[], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_is_shown_although_the_log_can_not_be_read() {
    let mut bench = bench(1).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    std::fs::create_dir(bench.data_dir()).unwrap();
    let log = bench.data_dir().join(lineseal::adapters::sqlite::FILE);
    std::fs::write(&log, "no database at all ".repeat(1000)).unwrap();
    let shown = seen(&bench, 3).await;
    assert_eq!((bad(&shown), &shown["proven"]), (vec!["log L-505".to_owned()], &true.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_port_there_is_one_board_or_it_has_to_be_named() {
    let mut bench = bench(2).await;
    assert!(show(&bench, &[], 2).await.err.contains("no board that a profile knows"));
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    show(&bench, &[], 0).await;
    bench.plug(2, "B", &chip);
    assert!(show(&bench, &[], 2).await.err.contains("--board"));
    show(&bench, &["--board", &port_name(2)], 0).await;
    assert!(show(&bench, &["--board", "jig-77"], 2).await.err.contains("jig-77"));
}
