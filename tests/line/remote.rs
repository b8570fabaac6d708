//! A board whose chip is reached by a command, as a Linux gateway's is by ssh: whole runs.

use lineseal::domain::profile::KeyKind;
use lineseal::practice::token::SoftHsm;

use crate::bench::{Bench, port_name};
use crate::hostile;
use crate::log;
use crate::peers::Cloud;
use crate::program::Program;
use crate::station::{Station, assert_outcome, is_pass, outcome};

/// Through `relay.c`, which does as the file `plan` beside the board's token says, with `more` after it.
async fn bench(lanes: u8, more: &'static str) -> Bench<'static> {
    let by_command = move |profile: String| {
        let real = SoftHsm::find().unwrap().module.display().to_string();
        let tokens =
            profile.split_once("SOFTHSM2_CONF = \"").unwrap().1.split_once("/{usb_path}").unwrap().0.to_owned();
        let command = format!(
            "module = \"{}\"\ncommand = [\"{}\", \"{tokens}/{{usb_path}}/plan\", \"p11-kit\", \"remote\", \"{real}\"{more}]",
            hostile::p11_kit_client().display(),
            hostile::relay().display(),
        );
        profile.replace(&format!("module = \"{real}\""), &command)
    };
    Bench::with_profile(lanes, Cloud::shared().await, by_command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remote_that_gets_in_the_way_is_an_error_and_its_neighbour_passes() {
    for (plan, expected) in [
        ("stall 300", "ERROR T-204"),
        ("stall 4000", "ERROR T-204"),
        ("close 4000", "ERROR T-205"),
        ("garbage 4000", "ERROR"),
    ] {
        let mut bench = bench(2, "").await;
        let [good, bad] = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
        std::fs::write(bad.token.path().join("plan"), plan).unwrap();
        bench.plug(1, "BAD", &bad);
        bench.plug(2, "GOOD", &good);
        let mut station = Station::start(&bench).await;
        let records = station.units(2).await;
        station.stop().await;
        let of_lane = |lane| records.iter().find(|record| record.lane == lane).unwrap();
        assert_outcome(of_lane(2), "PASS");
        assert!(!is_pass(of_lane(1)) && outcome(of_lane(1)).starts_with(expected), "{plan}: {}", outcome(of_lane(1)));
        hostile::nobody_left(&bench.token_dir(1), plan).await;
        assert!(!Cloud::shared().await.witness().things.contains_key(&bench.thing("BAD")), "{plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_board_says_becomes_no_option_of_a_command() {
    let mut bench = bench(1, ", \"{serial}\"").await;
    let chip = bench.chip(KeyKind::EcP256);
    // It is what a serial number of this product looks like.
    bench.plug_serial(1, "-OPROXY", &chip);
    let mut station = Station::start(&bench).await;
    let record = station.unit().await;
    assert_outcome(&record, "ERROR K-702");
    assert!(record.cause.unwrap().contains("{serial} is \"-OPROXY\""));
    let log = station.stop().await;
    assert!(log::all(&log, "chip-read").is_empty());
    let shown = Program::on(&bench, ["token", "show", "--board", &port_name(1)]).run().await.expect(2);
    assert!(shown.out.contains("K-702"), "{}", shown.out);
}
