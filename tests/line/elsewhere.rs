//! The identity, or the board's name, is somebody's already: in the cloud, or in the records of a plant
//! that worked without this log.

use aws_sdk_iot::types::CertificateStatus;
use lineseal::domain::certificate_pem;
use lineseal::domain::profile::KeyKind;

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::rulings::root;
use crate::station::{Station, assert_outcome};

async fn attempt(bench: &mut Bench<'_>, station: &mut Station, name: &str, chip: &Chip, expected: &str) -> String {
    bench.plug(1, name, chip);
    let record = station.unit().await;
    assert_outcome(&record, expected);
    bench.unplug(1);
    station.until_gone(&[1]).await;
    record.cause.unwrap_or_default()
}

/// A chip of the grey market: in the cloud it is another device's, and this log has never seen it.
#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_is_another_things_in_the_cloud_fails_and_one_that_is_only_registered_passes() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(1, cloud).await;
    let [used, registered] = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let (aws, theirs) = (root(cloud), bench.thing("THEIRS"));
    for chip in [&used, &registered] {
        let made = aws
            .register_certificate_without_ca()
            .certificate_pem(certificate_pem(&chip.certificate))
            .status(CertificateStatus::Active)
            .send()
            .await
            .unwrap();
        if chip.certificate == used.certificate {
            aws.create_thing().thing_name(&theirs).send().await.unwrap();
            let arn = made.certificate_arn.unwrap();
            aws.attach_thing_principal().thing_name(&theirs).principal(arn).send().await.unwrap();
        }
    }
    let mut station = Station::start(&bench).await;
    let cause = attempt(&mut bench, &mut station, "USED", &used, "FAIL S-112").await;
    assert!(cause.contains(&theirs), "{cause}");
    attempt(&mut bench, &mut station, "REGISTERED", &registered, "PASS").await;
    station.stop().await;
    let seen = cloud.witness();
    assert_eq!(seen.certificates[&used.fingerprint()].things, [theirs]);
    assert!(!seen.things.contains_key(&bench.thing("USED")));
    assert_eq!(seen.certificates[&registered.fingerprint()].things, [bench.thing("REGISTERED")]);
}

/// An engineer edits the profile between two runs: what the board holds in the cloud is its own, by the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_thing_that_was_the_units_own_under_an_older_profile_is_no_substitution() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    Program::on(&bench, ["run", "--units", "1"]).run().await.expect(0);
    let files = std::fs::read_dir(bench.dir.path().join("assets")).unwrap().map(|entry| entry.unwrap().path());
    let profile = files.into_iter().find(|path| path.extension().is_some_and(|it| it == "toml")).unwrap();
    let (text, old) = (std::fs::read_to_string(&profile).unwrap(), "\"practice-{serial}\"");
    assert!(text.contains(old), "{text}");
    std::fs::write(&profile, text.replace(old, "\"renamed-{serial}\"")).unwrap();
    for _ in 0..2 {
        let record = Program::on(&bench, ["run", "--units", "1", "--json"]).run().await.expect(3).json().remove(0);
        assert_eq!((&record["verdict"], &record["reason"]), (&"ERROR".into(), &"K-730".into()), "{record}");
        assert_eq!(record["reason_args"]["other"].as_str(), Some(bench.thing("A").as_str()), "{record}");
    }
    let seen = bench.cloud.witness();
    assert_eq!(seen.certificates[&chip.fingerprint()].things, [bench.thing("A")]);
    assert_eq!(seen.certificates[&chip.fingerprint()].status, "ACTIVE");
    // As it was, it passes as it did: nothing is locked.
    std::fs::write(&profile, text).unwrap();
    Program::on(&bench, ["run", "--units", "1"]).run().await.expect(0);
}

/// Two old boards are on record with one certificate: neither is believed until QA has ruled.
#[tokio::test(flavor = "multi_thread")]
async fn boards_of_whom_the_old_records_disagree_fail_and_those_of_one_voice_pass_as_they_are_recorded() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let [doubtful, recorded, fresh] = [(); 3].map(|()| bench.chip(KeyKind::EcP256));
    let file = |name: &str, text: String| {
        let path = bench.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let pin = file("pin", "73509182645\n".to_owned());
    let rows = [("OLD-1", &doubtful), ("OLD-2", &doubtful), ("OLD-3", &recorded)];
    let rows: String = rows.map(|(name, chip)| format!("{},{}\n", bench.serial(name), chip.fingerprint())).concat();
    let history = file("history.csv", format!("board_serial,fingerprint\n{rows}"));
    let add = ["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &pin];
    Program::on(&bench, add).run().await.expect(0);
    let import =
        ["audit", "import", &history, "--product", "practice-board", "--as", "Root", "--pin-file", &pin, "--json"];
    // One letter would hold the whole history against the boards that it is of.
    let mistyped = import.map(|word| if word == "practice-board" { "practice-bord" } else { word });
    let refused = Program::on(&bench, mistyped).run().await.expect(2);
    assert!(refused.err.contains("O-6") && refused.err.contains("only for practice-board"), "{}", refused.err);
    let spreadsheet = format!("board_serial,fingerprint\n1.23E+10,{}\n", "11".repeat(32));
    let spreadsheet = file("sheet.csv", spreadsheet);
    let damaged = import.map(|word| if word == history { &spreadsheet } else { word });
    let refused = Program::on(&bench, damaged).run().await.expect(2);
    assert!(refused.err.contains("line 2: \"1.23E+10\" is no serial number of practice-board"), "{}", refused.err);
    Program::on(&bench, damaged.into_iter().chain(["--any-serial"])).run().await.expect(0);
    Program::on(&bench, import).run().await.expect(1);

    let mut station = Station::start(&bench).await;
    let own = bench.chip(KeyKind::EcP256);
    attempt(&mut bench, &mut station, "OLD-2", &own, "FAIL S-115").await;
    let cause = attempt(&mut bench, &mut station, "NEW", &recorded, "FAIL S-105").await;
    assert!(cause.contains(&bench.serial("OLD-3")), "{cause}");
    attempt(&mut bench, &mut station, "OLD-3", &recorded, "PASS").await;
    attempt(&mut bench, &mut station, "NEW", &fresh, "PASS").await;
    let log = station.stop().await;
    let standings: Vec<_> = log::all(&log, "claimed").iter().map(|claim| claim["standing"].clone()).collect();
    assert_eq!(standings, ["completed", "new"]);
}
