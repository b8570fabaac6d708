//! The vendor's revocation lists: before the line starts, and for a chip in it.

use std::path::Path;
use std::time::Duration;

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
use crate::log;
use crate::peers::Cloud;
use crate::plant::{events, join};
use crate::postgres_server::Postgres;
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// Signed by the practice vendor's intermediate.
fn write_list(dir: &Path, until: i32, revoked: &[&[u8]]) {
    write_list_of(dir, 2020, until, revoked);
}

fn write_list_of(dir: &Path, year: i32, until: i32, revoked: &[&[u8]]) {
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
        this_update: date_time_ymd(year, 1, 1),
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
    // Who was refused by it sees it as well.
    for name in ["GOOD", "REVOKED"] {
        let bundle = bench.dir.path().join(name);
        let out = bundle.display().to_string();
        Program::on(&bench, ["audit", "prove", &bench.serial(name), "--out", &out]).run().await.expect(0);
        let files = std::fs::read_dir(bundle.join("evidence")).unwrap();
        let mut lists =
            files.map(|file| file.unwrap().path()).filter(|file| file.to_string_lossy().ends_with("-crl.der"));
        let list = std::fs::read(bench.dir.path().join("vendor/vendor.crl")).unwrap();
        assert_eq!(std::fs::read(lists.next().expect("the list that was asked")).unwrap(), list);
    }
}

/// A backup that was restored, a careless copy: the chip that the newer list named must not pass by the older,
/// neither at a station that starts with it nor at one that was at work before the newer one came.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_older_than_one_that_the_log_has_used_decides_nothing() {
    let with_lists = |profile: String| {
        let vendor_list = "crl_coverage = \"leaf\"\ncrls = [\"../vendor/vendor.crl\"]\nuid = \"required\"";
        profile.replace("uid = \"required\"", vendor_list)
    };
    let mut bench = Bench::with_profile(1, Cloud::shared().await, with_lists).await;
    let database = Postgres::shared().fresh_database();
    join(&bench, &database, "ST-1");
    let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let serial = Certificate::from_der(&chips[1].certificate).unwrap().tbs_certificate().serial_number().clone();
    write_list(bench.dir.path(), 2090, &[]);
    bench.plug(1, "GOOD", &chips[0]);
    let station = Program::on(&bench, ["run", "--units", "2", "--json"]).start();
    while log::all(&events(&database), "sealed").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Another station of the plant has the list of the year after.
    let there = bench.config_file.with_file_name("there.toml");
    std::fs::write(&there, std::fs::read_to_string(&bench.config_file).unwrap().replace("\"ST-1\"", "\"ST-2\""))
        .unwrap();
    write_list_of(bench.dir.path(), 2021, 2090, &[serial.as_bytes()]);
    let elsewhere = tempfile::tempdir().unwrap();
    Program::new(["resume"]).config(&there).data_dir(elsewhere.path()).run().await.expect(0);
    bench.unplug(1);
    bench.plug(1, "REVOKED", &chips[1]);
    let ended = tokio::task::spawn_blocking(move || station.wait()).await.unwrap().expect(3);
    let record = ended.json().remove(1);
    assert_eq!((&record["verdict"], &record["reason"]), (&"ERROR".into(), &"K-705".into()), "{record}");
    assert!(record["cause"].as_str().unwrap().contains("has used list 2a of 2021-01-01T00:00:00Z"), "{record}");
    // The nearest: the newer list, and this station goes on.
    let failed = Program::on(&bench, ["run", "--units", "1", "--json"]).run().await.expect(1).json().remove(0);
    assert_eq!(failed["reason"], "C-109", "{failed}");
    write_list(bench.dir.path(), 2090, &[]);
    for command in [["run", "--units", "1"].as_slice(), &["resume"]] {
        let refused = Program::on(&bench, command.iter().copied()).run().await.expect(2);
        assert!(refused.err.contains("K-705") && refused.err.contains("vendor.crl"), "{}", refused.err);
    }
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
