//! Whatever a unit that failed had registered ends INACTIVE: also what was left by a run that was killed, and where
//! the target was away when it was to be taken back.

use std::time::{Duration, Instant};

use aws_sdk_iot::types::CertificateStatus;
use lineseal::domain::profile::KeyKind;
use serde_json::json;

use crate::killed::LossyWay;
use crate::log::{all, read};
use crate::peers::Cloud;
use crate::program::Program;
use crate::rulings::{Line, root};

pub fn status(cloud: &Cloud, fingerprint: &str) -> Option<String> {
    cloud.witness().certificates.get(fingerprint).map(|seen| seen.status.clone())
}

/// Puts `way` before the line's cloud.
pub fn led_through(line: &Line<'_>, way: &LossyWay) {
    let configured = std::fs::read_to_string(&line.bench.config_file).unwrap();
    std::fs::write(&line.bench.config_file, configured.replace(&line.bench.proxy.endpoint(), &way.endpoint())).unwrap();
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < by, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Nobody recorded what the killed run had registered, and the run that fails registers nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_active_is_set_inactive_when_the_unit_fails() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud).await;
    let way = LossyWay::start(line.bench.proxy.address(), b"/certificate/register-no-ca").await;
    led_through(&line, &way);
    let chip = line.bench.chip(KeyKind::EcP256);
    line.bench.plug(1, "A", &chip);
    let pin = line.pin("Tomo");
    let operated = ["run", "--json", "--as", "Tomo", "--pin-file", &pin];
    let station = Program::on(&line.bench, operated).start();
    until("the certificate in the cloud", || status(cloud, &chip.fingerprint()).is_some()).await;
    station.kill();
    assert!(all(&line.log(), "registered").is_empty());
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("ACTIVE"));
    way.repair();

    let thing = line.bench.thing("A");
    if !cloud.witness().things.contains_key(&thing) {
        line.cloud.create_thing().thing_name(&thing).send().await.unwrap();
    }
    line.foreign_principal("A").await;
    // What the kill left open is closed first, and counts as none of them.
    let ended = Program::on(&line.bench, operated.into_iter().chain(["--units", "1"])).run().await.expect(3);
    let outcomes: Vec<_> = ended.json().iter().map(|it| (it["verdict"].clone(), it["reason"].clone())).collect();
    assert_eq!(outcomes, [(json!("ABORTED"), json!("L-511")), (json!("FAIL"), json!("S-111"))]);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("INACTIVE"));
    assert_eq!(all(&line.log(), "deactivated").len(), 1);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// Two targets; the second is somebody else's, and the first can't be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_failed_is_shown_and_tried_until_it_is_done() {
    let (cloud, other) = (Cloud::shared().await, Cloud::moto().await);
    let mut line = Line::new(cloud).await;
    let way = LossyWay::start(line.bench.proxy.address(), b"newStatus=INACTIVE").await;
    led_through(&line, &way);
    let (region, endpoint) = (other.region.as_str(), other.endpoint());
    let target = format!("\n[[targets]]\nname = \"other\"\nregion = \"{region}\"\nendpoint = \"{endpoint}\"\n");
    let configured = std::fs::read_to_string(&line.bench.config_file).unwrap() + &target;
    std::fs::write(&line.bench.config_file, configured).unwrap();
    let profile = line.bench.dir.path().join("assets/practice.toml");
    let both = std::fs::read_to_string(&profile)
        .unwrap()
        .replace("targets = [\"practice\"]", "targets = [\"practice\", \"other\"]");
    std::fs::write(&profile, both).unwrap();
    let (theirs, thing) = (root(&other), line.bench.thing("A"));
    theirs.create_thing().thing_name(&thing).send().await.unwrap();
    let made = theirs.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
    theirs.attach_thing_principal().thing_name(&thing).principal(made.certificate_arn.unwrap()).send().await.unwrap();

    let chip = line.bench.chip(KeyKind::EcP256);
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!((outcome.as_str(), &record["targets"][0]["status"]), ("FAIL S-111", &json!("ACTIVE")));
    // Whatever became of it: nobody has heard of it.
    let active =
        || line.cloud.update_certificate().certificate_id(chip.fingerprint()).new_status(CertificateStatus::Active);
    active().send().await.unwrap();
    let left = Program::on(&line.bench, ["resume"]).run().await.expect(3);
    assert!(left.err.contains("A-340") && left.err.contains(&line.bench.serial("A")), "{}", left.err);
    let told = Program::on(&line.bench, ["audit", "list", "--locked"]).run().await.expect(0);
    assert!(told.out.contains("may be ACTIVE in practice"), "{}", told.out);
    active().send().await.unwrap();

    way.repair();
    let done = Program::on(&line.bench, ["resume"]).run().await.expect(0);
    assert!(done.err.contains("is not ACTIVE in practice any more"), "{}", done.err);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("INACTIVE"));
    let again = Program::on(&line.bench, ["resume"]).run().await.expect(0);
    assert!(again.err.contains("nothing waits"), "{}", again.err);
    let ends: Vec<bool> =
        all(&read(&line.bench.data_dir()), "deactivated").iter().map(|it| it["failure"].is_null()).collect();
    assert_eq!(ends, [false, false, true]);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}
