//! The vendor's revocation lists: before the line starts, and for a chip in it.

use std::path::Path;

use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup;
use lineseal::practice::vendor::INTERMEDIATE_NAME;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::bench::Bench;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// Signed by the practice vendor's intermediate.
fn write_list(dir: &Path, until: i32, revoked: &[&[u8]]) {
    let vendor = dir.join(setup::VENDOR);
    let key = KeyPair::from_pem(&std::fs::read_to_string(vendor.join("intermediate.key")).unwrap()).unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::CrlSign];
    ca.distinguished_name = DistinguishedName::new();
    ca.distinguished_name.push(DnType::OrganizationName, "Lineseal PRACTICE");
    ca.distinguished_name.push(DnType::CommonName, INTERMEDIATE_NAME);
    let entry = |serial: &&[u8]| RevokedCertParams {
        serial_number: SerialNumber::from_slice(serial),
        revocation_time: date_time_ymd(2021, 1, 1),
        reason_code: Some(rcgen::RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(until, 1, 1),
        crl_number: SerialNumber::from(0x2a),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    std::fs::write(vendor.join("vendor.crl"), list.signed_by(&Issuer::new(ca, key)).unwrap().der()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_list_stops_the_line_and_a_current_one_the_revoked_chip() {
    let with_lists = |profile: String| {
        let vendor_list = "crl_coverage = \"leaf\"\ncrls = [\"../vendor/vendor.crl\"]\nuid = \"required\"";
        profile.replace("uid = \"required\"", vendor_list)
    };
    let mut bench = Bench::with_profile(1, Cloud::shared().await, with_lists).await;

    write_list(bench.dir.path(), 2021, &[]);
    for command in [["config", "check"].as_slice(), &["run", "--units", "1"]] {
        let stopped = Program::on(&bench, command.iter().copied()).run().await.expect(2);
        for part in ["K-705", "vendor.crl", "2021-01-01T00:00:00Z"] {
            assert!(stopped.err.contains(part), "{part} in {}", stopped.err);
        }
    }

    let (good, revoked) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    let serial = Certificate::from_der(&revoked.certificate).unwrap().tbs_certificate().serial_number().clone();
    write_list(bench.dir.path(), 2090, &[serial.as_bytes()]);
    for (language, word) in [("en", "revocation list"), ("ja", "失効リスト")] {
        let check = Program::on(&bench, ["config", "check", "--language", language]).run().await.expect(0);
        for part in [word, INTERMEDIATE_NAME, "ec-p", "2090-01-01T00:00:00Z", "2a"] {
            assert!(check.err.contains(part), "{part} in {}", check.err);
        }
    }
    let mut station = Station::start(&bench).await;
    bench.plug(1, "GOOD", &good);
    assert_outcome(&station.unit().await, "PASS");
    bench.unplug(1);
    station.until_gone(&[1]).await;
    bench.plug(1, "REVOKED", &revoked);
    let record = station.unit().await;
    assert_outcome(&record, "FAIL C-109");
    assert!(record.cause.is_some_and(|cause| cause.contains("KeyCompromise") && cause.contains("list 2a")));
    drop(station);
    let shown = Program::on(&bench, ["audit", "show", &bench.serial("GOOD")]).run().await.expect(0);
    assert!(shown.out.contains("list 2a of CN=Lineseal PRACTICE Vendor Intermediate"), "{}", shown.out);
    let bundle = bench.dir.path().join("bundle");
    let out = bundle.display().to_string();
    Program::on(&bench, ["audit", "prove", &bench.serial("GOOD"), "--out", &out]).run().await.expect(0);
    let files = std::fs::read_dir(bundle.join("evidence")).unwrap();
    let mut lists = files.map(|file| file.unwrap().path()).filter(|file| file.to_string_lossy().ends_with("-crl.der"));
    let list = std::fs::read(bench.dir.path().join("vendor/vendor.crl")).unwrap();
    assert_eq!(std::fs::read(lists.next().expect("the list that was asked")).unwrap(), list);
}

/// The list came while the unit waited for the cloud; the same board, plugged in, would fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_whose_chip_was_revoked_meanwhile_is_pulled_out() {
    let quick = |text: String| text.replace("deadline_ms = 10000", "deadline_ms = 2000");
    let mut bench = Bench::with_profile(1, Cloud::shared().await, quick).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    Program::on(&bench, ["run", "--units", "1"]).run().await.expect(4);
    bench.unplug(1);
    bench.proxy.up().await.unwrap();
    let serial = Certificate::from_der(&chip.certificate).unwrap().tbs_certificate().serial_number().clone();
    write_list(bench.dir.path(), 2090, &[serial.as_bytes()]);
    let profile = std::fs::read_dir(bench.dir.path().join("assets")).unwrap().map(|entry| entry.unwrap().path());
    let profile = profile.into_iter().find(|path| path.extension().is_some_and(|it| it == "toml")).unwrap();
    let text = std::fs::read_to_string(&profile).unwrap();
    let lists = "crl_coverage = \"leaf\"\ncrls = [\"../vendor/vendor.crl\"]\nuid = \"required\"";
    std::fs::write(&profile, text.replace("uid = \"required\"", lists)).unwrap();
    let resumed = Program::on(&bench, ["resume", "--json"]).run().await.expect(1);
    let record = resumed.json().remove(0);
    assert_eq!((&record["verdict"], &record["reason"]), (&"FAIL".into(), &"C-109".into()), "{}", resumed.err);
    assert!(!bench.cloud.witness().certificates.contains_key(&chip.fingerprint()));
    assert_eq!(bench.printer.printed(), 1, "its slip");
}
