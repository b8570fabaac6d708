//! Tokens that are not what the profile says, and the nearest that are.

use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup::{CERTIFICATE_LABEL, KEY_LABEL};
use lineseal::practice::token::SoftHsm;
use lineseal::practice::vendor::Validity;
use lineseal::provisioning::UnitRecord;

use crate::bench::{Bench, Chip, new_uid};
use crate::log::{self, Logged};
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// One board, one run, and the log of it.
async fn one(mut bench: Bench<'_>, chip: &Chip) -> (UnitRecord, Vec<Logged>) {
    bench.plug(1, "A", chip);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    let log = station.stop().await;
    if record.verdict != lineseal::domain::Verdict::Pass {
        assert!(log::all(&log, "claimed").is_empty());
        assert!(!Cloud::shared().await.witness().things.contains_key(&bench.thing("A")));
    }
    (record, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_is_the_stations_fault_and_never_repeated() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    std::fs::write(bench.dir.path().join("assets/pin"), "98765").unwrap();
    let (record, log) = one(bench, &chip).await;
    assert_outcome(&record, "ERROR T-206");
    assert!(!record.cause.unwrap().contains("98765"));
    // A chip that counts wrong PINs is asked once.
    assert_eq!(log::all(&log, "step-failed").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_module_is_the_stations_fault_and_is_named() {
    let module = SoftHsm::find().unwrap().module.display().to_string();
    let nowhere = |text: String| text.replace(&module, "/nowhere/libsss_pkcs11.so");
    let bench = Bench::with_profile(1, Cloud::shared().await, nowhere).await;
    let chip = bench.chip(KeyKind::EcP256);
    let (record, _) = one(bench, &chip).await;
    assert_outcome(&record, "ERROR T-201");
    assert!(record.cause.unwrap().contains("/nowhere/libsss_pkcs11.so"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_certificate_fails() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let uid = new_uid();
    let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
    // It is there, by another name and id.
    token.import_certificate("sss:F0000101", &[0x77], &certificate).unwrap();
    token.import_data("sss:7FFF0206", &hex::decode(uid.as_str()).unwrap()).unwrap();
    let (record, _) = one(bench, &Chip { token, spki, uid, certificate }).await;
    assert_outcome(&record, "FAIL T-203");
}

/// NXP's middleware up to 4.2 writes object ids byte-swapped into labels, 4.4 and later as they are.
#[tokio::test(flavor = "multi_thread")]
async fn both_forms_of_an_se050s_labels_pass() {
    for (certificate_label, key_label) in [(CERTIFICATE_LABEL, KEY_LABEL), ("sss:110100F0", "sss:100100F0")] {
        let bench = Bench::new(1, Cloud::shared().await).await;
        let (token, spki) = bench.blank(KeyKind::EcP256, key_label);
        let uid = new_uid();
        let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
        bench.fill(&token, certificate_label, &certificate, Some(&uid));
        let (record, log) = one(bench, &Chip { token, spki, uid, certificate }).await;
        assert_outcome(&record, "PASS");
        let read = log::all(&log, "chip-read");
        assert_eq!(read[0]["reading"]["token"]["certificate_found_as"], certificate_label);
    }
}

/// What a reading rests on is in the log, and told by it: the module, its version, the names that answered,
/// and how long it took.
#[tokio::test(flavor = "multi_thread")]
async fn the_record_says_which_module_answered_under_which_names_and_how_long_it_took() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let (token, spki) = bench.blank(KeyKind::EcP256, "sss:100100F0");
    let uid = new_uid();
    let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
    token.import_certificate("by its id", &[0xf0, 0x00, 0x01, 0x11], &certificate).unwrap();
    token.import_data("sss:7FFF0206", &hex::decode(uid.as_str()).unwrap()).unwrap();
    bench.plug(1, "A", &Chip { token, spki, uid, certificate });
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    let log = station.stop().await;
    // Each time that the chip was read.
    for (kind, count) in [("chip-read", 1), ("read-again", 2)] {
        let read = log::all(&log, kind);
        assert_eq!(read.len(), count);
        for token in read.iter().map(|event| &event["reading"]["token"]) {
            assert_eq!(token["module"], bench.soft_hsm.module.display().to_string());
            assert!(token["module_version"].as_str().unwrap().contains(" 2."), "{token}");
            let names = [&token["certificate_found_as"], &token["key_found_as"], &token["uid_found_as"]];
            assert_eq!(names, ["id=f0000111", "sss:100100F0", "sss:7FFF0206"]);
            assert!(token["open_ms"].is_u64() && token["read_ms"].is_u64());
        }
    }
    let shown = Program::on(&bench, ["audit", "show", &record.run]).run().await.expect(0).out;
    let module = format!("{} ", bench.soft_hsm.module.display());
    for part in
        [module.as_str(), " 2.", "certificate id=f0000111, key sss:100100F0, UID sss:7FFF0206", "opened in", "read in"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_uid_object_fails() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let uid = new_uid();
    let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, None);
    let (record, _) = one(bench, &Chip { token, spki, uid, certificate }).await;
    assert_outcome(&record, "FAIL T-208");
}

/// The nearest legitimate case: a profile that takes the UID from the certificate alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_uid_object_passes_where_the_certificate_speaks_for_it() {
    let alone =
        |text: String| text.replace("uid = \"required\"", "uid = \"certificate\"").replace("uid = 0x7FFF0206\n", "");
    let bench = Bench::with_profile(1, Cloud::shared().await, alone).await;
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let uid = new_uid();
    let certificate = bench.vendor.issue(&spki, &uid, Validity::Good).unwrap();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, None);
    let (record, _) = one(bench, &Chip { token, spki, uid: uid.clone(), certificate }).await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.chip_uid.as_deref(), Some(uid.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_chips_uid_fails() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let (token, spki) = bench.blank(KeyKind::EcP256, KEY_LABEL);
    let certificate = bench.vendor.issue(&spki, &new_uid(), Validity::Good).unwrap();
    let uid = new_uid();
    bench.fill(&token, CERTIFICATE_LABEL, &certificate, Some(&uid));
    let (record, _) = one(bench, &Chip { token, spki, uid, certificate }).await;
    assert_outcome(&record, "FAIL S-102");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_profile_does_not_list_fails() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP384);
    let (record, _) = one(bench, &chip).await;
    assert_outcome(&record, "FAIL C-105");
}
