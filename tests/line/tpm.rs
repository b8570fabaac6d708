//! A TPM 2.0 behind tpm2-pkcs11, as a second make of chip: read, proven and checked like any other.

use lineseal::domain::ChipUid;
use lineseal::domain::certificate_pem;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::token::SoftHsm;
use lineseal::practice::vendor::{Validity, VendorCa};

use crate::bench::{Bench, new_uid};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};
use crate::tpm_peer::{PIN, TOKEN, Tpm};

/// A line whose boards have this TPM, with the key of this label; a TPM tells no UID.
async fn bench(tpm: &Tpm, label: &'static str) -> Bench<'static> {
    let real = SoftHsm::find().unwrap().module.display().to_string();
    let environment: Vec<String> =
        tpm.environment().iter().map(|(name, value)| format!("{name} = \"{value}\"")).collect();
    let module = format!(
        "module = \"{}\"\nenvironment = {{ {} }}\ntoken_label = \"{TOKEN}\"",
        tpm.module().display(),
        environment.join(", ")
    );
    let by_tpm = move |profile: String| {
        let (head, tail) = profile.split_once("environment = {").unwrap();
        let profile = format!("{head}{}", tail.split_once('\n').unwrap().1);
        profile
            .replace(&format!("module = \"{real}\""), &module)
            .replace("certificate = 0xF0000111", &format!("certificate = \"pkcs11:object={label};type=cert\""))
            .replace("key = 0xF0000110", &format!("key = \"pkcs11:object={label};type=private\""))
            .replace("uid = 0x7FFF0206\n", "")
            .replace("uid = \"required\"", "uid = \"certificate\"")
            .replace("call_timeout_ms = 3000", "call_timeout_ms = 20000")
            .replace("open_timeout_ms = 5000", "open_timeout_ms = 20000")
    };
    let bench = Bench::with_profile(1, Cloud::shared().await, by_tpm).await;
    std::fs::write(bench.dir.path().join("assets/pin"), PIN).unwrap();
    bench
}

fn certify(tpm: &Tpm, label: &str, over: &str, vendor: &VendorCa) -> ChipUid {
    let uid = new_uid();
    let certificate = vendor.issue(&tpm.spki(over), &uid, Validity::Good).unwrap();
    tpm.certify(label, &certificate_pem(&certificate));
    uid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tpms_keys_are_read_proven_and_checked_like_any_chips() {
    let tpm = Tpm::start();
    for (label, key) in [("ec", "ec-p256"), ("rsa", "rsa-2048")] {
        let mut bench = bench(&tpm, label).await;
        let uid = certify(&tpm, label, label, &bench.vendor);
        // The board; what lies in its folder for a chip is not looked at.
        let aside = bench.chip(KeyKind::EcP256);
        bench.plug(1, "TPM", &aside);
        let shown = Program::on(&bench, ["token", "show", "--json"]).run().await.expect(0).json().remove(0);
        assert_eq!((&shown["certificate"]["key"], &shown["proven"]), (&key.into(), &true.into()), "{shown}");
        assert_eq!(shown["found"]["key"]["form"], "uri");
        let mut station = Station::start(&bench).await;
        let record = station.unit().await;
        assert_outcome(&record, "PASS");
        assert_eq!(record.chip_uid.as_deref(), Some(uid.as_str()));
        let log = station.stop().await;
        let read = log::all(&log, "chip-read");
        let token = &read[0]["reading"]["token"];
        assert_eq!(token["token_label"], TOKEN);
        assert!(token["module_version"].as_str().unwrap().contains("TPM2.0"), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_key_is_refused_from_a_tpm_too() {
    let tpm = Tpm::start();
    let mut bench = bench(&tpm, "ec").await;
    // The certificate of a genuine chip, over a key of the TPM's own.
    let genuine = bench.chip(KeyKind::EcP256);
    tpm.certify("ec", &certificate_pem(&genuine.certificate));
    bench.plug(1, "COPY", &genuine);
    let mut station = Station::start(&bench).await;
    assert_outcome(&station.unit().await, "FAIL S-101");
    station.stop().await;
}
