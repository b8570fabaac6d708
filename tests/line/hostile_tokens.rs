//! A module that means harm behind one board, a good board behind the same module in the lane beside it.

use lineseal::domain::profile::KeyKind;
use lineseal::domain::{ReasonCode, Verdict};
use lineseal::practice::token::SoftHsm;

use crate::bench::{Bench, Chip};
use crate::hostile::{self, PLAN};
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome, is_pass, outcome};

/// The profile whose module is the hostile one, with a plan beside each token.
fn through_it(profile: String) -> String {
    let real = SoftHsm::find().unwrap().module.display().to_string();
    let module = format!("module = \"{}\"", hostile::module().display());
    let tokens = profile.split_once("SOFTHSM2_CONF = \"").unwrap().1.split_once("/{usb_path}").unwrap().0.to_owned();
    let environment =
        format!("environment = {{ HOSTILE_REAL = \"{real}\", HOSTILE_PLAN = \"{tokens}/{{usb_path}}/{PLAN}\", ");
    profile
        .replace(&format!("module = \"{real}\""), &module)
        .replace("environment = { ", &environment)
        .replace("call_timeout_ms = 3000", "call_timeout_ms = 2000")
}

/// Both boards at once; the hostile one's outcome.
async fn beside_a_good_one(plan: &str, files: &[(&str, &[u8])]) -> String {
    let mut bench = Bench::with_profile(2, Cloud::shared().await, through_it).await;
    let (good, bad): (Chip, Chip) = (bench.chip(KeyKind::EcP256), bench.chip(KeyKind::EcP256));
    for (name, bytes) in files.iter().copied().chain([(PLAN, plan.as_bytes())]) {
        std::fs::write(bad.token.path().join(name), bytes).unwrap();
    }
    bench.plug(1, "BAD", &bad);
    bench.plug(2, "GOOD", &good);
    let mut station = Station::start(&bench).await;
    let records = station.units(2).await;
    let events = station.stop().await;
    hostile::nobody_left(&bench.token_dir(1), plan).await;
    let of_lane = |lane| records.iter().find(|record| record.lane == lane).unwrap();
    assert_outcome(of_lane(2), "PASS");
    let bad = of_lane(1);
    assert!(!is_pass(bad) && bad.verdict != Verdict::Held, "{plan}: {}", outcome(bad));
    assert_eq!(log::all(&events, "registered").len(), 1, "{plan}");
    assert!(!Cloud::shared().await.witness().things.contains_key(&bench.thing("BAD")), "{plan}");
    outcome(bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_lies_about_a_chip_ends_in_fail() {
    for (plan, expected) in [
        ("C_Sign 1 other-data", "FAIL S-101"),
        ("C_Sign 1 replay", "FAIL S-101"),
        ("C_Sign 1 der", "FAIL S-101"),
        ("C_Sign 2 zeros", "FAIL S-101"),
        // The UID of the first reading: another chip's than its certificate names.
        ("CKA_VALUE 3 other", "FAIL S-102"),
        // The UID of the second.
        ("CKA_VALUE 8 other", "FAIL S-109"),
    ] {
        let mut files: Vec<(&str, &[u8])> = vec![("other", &[0x55; 18])];
        if plan.ends_with("replay") {
            files.push(("replayed", &[0x33; 64]));
        }
        assert_eq!(beside_a_good_one(plan, &files).await, expected, "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_does_to_its_worker_ends_in_error_and_leaves_nobody() {
    for (plan, expected) in [
        ("C_Sign 2 stall", ReasonCode::TOKEN_SILENT),
        ("C_Sign 2 segv", ReasonCode::TOKEN_CRASHED),
        ("C_OpenSession 1 children-stall", ReasonCode::TOKEN_SILENT),
        ("C_Sign 2 close-all", ReasonCode::TOKEN_CRASHED),
        ("C_GetAttributeValue 1 memory", ReasonCode::TOKEN_CRASHED),
    ] {
        assert_eq!(beside_a_good_one(plan, &[]).await, format!("ERROR {expected}"), "{plan}");
    }
}

/// The claim stands when the module says that the cloud is away: nothing may wait for it, HELD.
#[tokio::test(flavor = "multi_thread")]
async fn no_frame_that_a_module_forges_passes_or_holds_a_board() {
    for (frame, expected) in [
        (&br#"{"Signed":"AAAA"}"#[..], "FAIL S-101"),
        (br#"{"Failed":{"code":"A-301","cause":"the cloud is away"}}"#, "ERROR T-210"),
        (br#"{"Failed":{"code":"P-401","cause":"printed"}}"#, "ERROR T-210"),
    ] {
        for plan in ["C_Sign 1 forge", "C_Sign 2 forge"] {
            assert_eq!(beside_a_good_one(plan, &[("frame", frame)]).await, expected, "{plan}");
        }
    }
}

/// It runs as the station's user, to whom log, key and mark belong. Landlock has files since Linux 5.13, and
/// signals since 6.12.
#[tokio::test(flavor = "multi_thread")]
async fn a_module_gets_at_nothing_that_is_the_stations_alone() {
    let mut bench = Bench::with_profile(2, Cloud::shared().await, through_it).await;
    let chip = bench.chip(KeyKind::EcP256);
    let folder = bench.data_dir();
    // A way around, as where a folder is named after its year.
    std::os::unix::fs::symlink(&folder, folder.with_file_name("by-a-link")).unwrap();
    std::fs::write(chip.token.path().join("folder"), folder.to_str().unwrap()).unwrap();
    std::fs::create_dir_all(folder.join("archives")).unwrap();
    std::fs::write(folder.join("archives/log.zip"), "all that is left of it").unwrap();
    let root = bench.dir.path().join("vendor/root.pem");
    assert!(root.exists());
    std::fs::write(chip.token.path().join("pinned"), root.to_str().unwrap()).unwrap();
    std::fs::write(chip.token.path().join(PLAN), "C_Initialize 1 intrude").unwrap();
    let neighbour = bench.chip(KeyKind::EcP256);
    bench.plug(2, "B", &neighbour);
    std::fs::write(chip.token.path().join("neighbour"), bench.port(2)).unwrap();
    bench.plug(1, "A", &chip);
    std::fs::write(bench.token_dir(1).join("port"), bench.port(1)).unwrap();
    Program::on(&bench, ["run", "--units", "2"]).run().await.expect(0);
    let told = std::fs::read_to_string(bench.token_dir(1).join("reached")).unwrap();
    let mut told: Vec<&str> = told.lines().collect();
    assert_eq!(told.pop(), Some("open-own done"), "{told:?}");
    // Whoever reads there takes the next board's answers away.
    assert_eq!(told.pop(), Some("open-neighbour refused"), "{told:?}");
    assert_eq!(told.len(), 14, "{told:?}");
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let kernel: Vec<u32> = release.split(['.', '-']).take(2).map(|part| part.parse().unwrap()).collect();
    if kernel < vec![6, 12] {
        told.pop();
    }
    assert!(told.iter().all(|line| line.ends_with(" refused")), "Linux {release}: {told:?}");
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
    assert!(!folder.join("MIGRATED").exists());
}
