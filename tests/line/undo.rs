//! What a unit registered is taken back by two supervisors: through the whole line, in every target, and
//! whatever happens in the middle.

use std::time::{Duration, Instant};

use lineseal::audit::RunEvent;
use lineseal::domain::profile::KeyKind;
use serde_json::{Value, json};

use crate::gate::gated;
use crate::killed::LossyWay;
use crate::log::all;
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::rulings::{Line, root};
use crate::station::assert_outcome;
use crate::taken_back::{led_through, status, until};

/// With `Sora` and `Saki`, who are supervisors.
async fn line(cloud: &'static Cloud) -> Line<'static> {
    let line = Line::new(cloud).await;
    for name in ["Sora", "Saki"] {
        line.operator(name, "supervisor", &["--as", "Root", "--pin-file", &line.pin("Root")]).await;
    }
    line
}

fn undo(line: &Line<'_>, what: &[&str], first: &str, second: Option<&str>) -> Program {
    let mut args = [&["undo"], what].concat();
    let first_pin = line.pin(first);
    args.extend(["--json", "--reason", "stolen in transit", "--as", first, "--pin-file", &first_pin]);
    let second_pin = second.map(|second| line.pin(second));
    if let (Some(second), Some(pin)) = (second, &second_pin) {
        args.extend(["--second", second, "--second-pin-file", pin]);
    }
    Program::on(&line.bench, args)
}

async fn undone(line: &Line<'_>, what: &[&str], status: i32) -> Ended {
    undo(line, what, "Sora", Some("Saki")).run().await.expect(status)
}

/// What came of each target: its changes, or the code of what kept it.
fn targets(ended: &Ended) -> Vec<(String, Value)> {
    let [shown] = ended.json().try_into().unwrap_or_else(|_| panic!("{ended:?}"));
    let of = |target: &Value| {
        let code = target["failure"]["code"].clone();
        (target["target"].as_str().unwrap().to_owned(), if code.is_null() { target["changed"].clone() } else { code })
    };
    shown["targets"].as_array().unwrap().iter().map(of).collect()
}

fn practice(what: Value) -> Vec<(String, Value)> {
    vec![("practice".to_owned(), what)]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_unit_registered_is_switched_off_by_two_supervisors_and_only_a_release_lets_it_back() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    let what = [serial.as_str(), "--deactivate"];

    let refused = async |first: &str, second: Option<&str>, code: &str| {
        let ended = undo(&line, &what, first, second).run().await.expect(3);
        assert!(ended.err.contains(code), "{first} {second:?}: {}", ended.err);
    };
    refused("Sora", None, "O-611").await;
    refused("Sora", Some("Sora"), "O-611").await;
    refused("Aiko", Some("Sora"), "O-610").await;
    refused("Sora", Some("Tess"), "O-610").await;
    // Neither of them may have operated it.
    line.operator("Olga", "supervisor", &["--as", "Root", "--pin-file", &line.pin("Root")]).await;
    line.bench.plug(1, "A", &chip);
    let pin = line.pin("Olga");
    Program::on(&line.bench, ["run", "--units", "1", "--as", "Olga", "--pin-file", &pin]).run().await.expect(0);
    line.bench.unplug(1);
    let refused = async |first: &str, second: Option<&str>, code: &str| {
        let ended = undo(&line, &what, first, second).run().await.expect(3);
        assert!(ended.err.contains(code), "{first} {second:?}: {}", ended.err);
    };
    refused("Sora", Some("Olga"), "O-611").await;
    refused("Olga", Some("Sora"), "O-611").await;
    // Nor is anything taken back that nobody knows.
    for (what, code) in [(["NEVER-SEEN", "--delete"], "O-616"), ([serial.as_str(), "--target=mars"], "required")] {
        assert!(undone(&line, &what, 2).await.err.contains(code));
    }
    let elsewhere = [serial.as_str(), "--delete", "--target", "mars"];
    assert!(undone(&line, &elsewhere, 2).await.err.contains("O-615"));
    assert_eq!(all(&line.log(), "ruled").len(), 0);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("ACTIVE"));

    assert_eq!(targets(&undone(&line, &what, 0).await), practice(json!(["inactive"])));
    let seen = cloud.witness();
    let certificate = &seen.certificates[&chip.fingerprint()];
    assert_eq!((certificate.status.as_str(), &certificate.things), ("INACTIVE", &vec![line.bench.thing("A")]));
    let log = line.log();
    let [ruling] = all(&log, "ruled").try_into().unwrap();
    assert_eq!((&ruling["ruling"], &ruling["act"]), (&json!("withdraw"), &json!("deactivate")));
    assert_ne!(ruling["operator"]["id"], ruling["second"]["id"]);
    let [result] = all(&log, "withdrawn").try_into().unwrap();
    assert_eq!((&result["by"], &result["changed"]), (&ruling["id"], &json!(["inactive"])));

    // Whoever looks, sees it.
    for (args, said) in [
        (["show", serial.as_str()], "S-119"),
        (["show", serial.as_str()], "inactive (event "),
        (["list", "--locked"], "S-119"),
        (["search", "withdraw"], "withdraw"),
    ] {
        let told = Program::on(&line.bench, [&["audit"], args.as_slice()].concat()).run().await.expect(0);
        assert!(told.out.contains(&serial) && told.out.contains(said), "{args:?} {said}: {}", told.out);
    }
    let (outcome, _, ended) = line.run("A", &chip).await;
    assert_eq!(outcome, "FAIL S-119");
    assert!(ended.err.contains(&format!("{serial} was withdrawn")), "{}", ended.err);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("INACTIVE"));
    // Once more changes nothing.
    assert_eq!(targets(&undone(&line, &what, 0).await), practice(json!([])));
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-119");

    line.ruled(&["release", &serial]).await;
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("ACTIVE"));
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
    let bundle = line.bench.dir.path().join("unit.zip").display().to_string();
    Program::on(&line.bench, ["audit", "prove", &serial, "--out", &bundle]).run().await.expect(0);
    Program::new(["audit", "verify-bundle", &bundle]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_is_deleted_with_its_thing_and_what_is_somebody_elses_is_never_touched() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    let what = [serial.as_str(), "--delete"];
    let (id, thing) = (chip.fingerprint(), line.bench.thing("A"));
    let arn = cloud.witness().certificates[&id].arn.clone();
    let ours = |seen: &crate::peers::Witness| {
        let SeenPair { status, things, policies } = SeenPair::of(seen, &id);
        (status, things, policies, seen.things[&thing].attributes.clone())
    };

    // Somebody's certificate is on the unit's thing.
    let before = ours(&cloud.witness());
    let foreign = line.foreign_principal("A").await;
    assert_eq!(targets(&undone(&line, &what, 3).await), practice(json!("S-111")));
    assert_eq!(ours(&cloud.witness()), before);
    line.detach("A", &foreign).await;
    // The unit's certificate is on somebody's thing; then it is not even switched off.
    let theirs = line.bench.thing("THEIRS");
    line.cloud.create_thing().thing_name(&theirs).send().await.unwrap();
    line.attach("THEIRS", &arn).await;
    for act in ["--delete", "--deactivate"] {
        assert_eq!(targets(&undone(&line, &[&serial, act], 3).await), practice(json!("S-112")));
    }
    assert_eq!(status(cloud, &id).as_deref(), Some("ACTIVE"));
    line.detach("THEIRS", &arn).await;
    // It has a policy that the station did not give it.
    let document = r#"{"Version":"2012-10-17","Statement":[]}"#;
    let policy = format!("theirs-{serial}");
    line.cloud.create_policy().policy_name(&policy).policy_document(document).send().await.unwrap();
    line.cloud.attach_policy().policy_name(&policy).target(&arn).send().await.unwrap();
    assert_eq!(targets(&undone(&line, &what, 3).await), practice(json!("A-325")));
    assert_eq!(status(cloud, &id).as_deref(), Some("ACTIVE"));
    line.cloud.detach_policy().policy_name(&policy).target(&arn).send().await.unwrap();
    // It stays withdrawn, and visibly so, until it is.
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-119");
    let told = Program::on(&line.bench, ["audit", "show", &serial]).run().await.expect(0);
    assert!(told.out.contains("not finished") && told.out.contains("A-325"), "{}", told.out);

    let done = json!(["certificate-deleted", "detached", "inactive", "thing-deleted"]);
    assert_eq!(targets(&undone(&line, &what, 0).await), practice(done));
    let seen = cloud.witness();
    assert!(!seen.certificates.contains_key(&id) && !seen.things.contains_key(&thing));
    assert!(seen.things.contains_key(&theirs) && seen.policies.contains_key("practice-device"));
    // What was left was gone on with: nobody ruled on that again, save where the other act was asked for.
    let acts: Vec<Value> = all(&line.log(), "ruled").iter().map(|event| event["act"].clone()).collect();
    assert_eq!(acts, [json!("delete"), json!("deactivate"), json!("delete")]);

    line.ruled(&["release", &serial]).await;
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    assert_eq!(cloud.witness().certificates[&id].things, [thing]);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

#[derive(Debug, PartialEq)]
struct SeenPair {
    status: String,
    things: Vec<String>,
    policies: Vec<String>,
}

impl SeenPair {
    fn of(seen: &crate::peers::Witness, id: &str) -> Self {
        let seen = &seen.certificates[id];
        Self { status: seen.status.clone(), things: seen.things.clone(), policies: seen.policies.clone() }
    }
}

/// Two targets; one is away when it is asked, and the program is killed over it. The next one finishes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_that_was_cut_off_leaves_the_unit_withdrawn_and_is_finished_by_the_same_command() {
    let (cloud, other) = (Cloud::shared().await, Cloud::moto().await);
    let mut line = line(cloud).await;
    let (region, endpoint) = (other.region.as_str(), other.endpoint());
    // Before `practice` by name.
    let target = format!("\n[[targets]]\nname = \"other\"\nregion = \"{region}\"\nendpoint = \"{endpoint}\"\n");
    for (file, change) in [
        (line.bench.config_file.clone(), &(|text: String| text + &target) as &dyn Fn(String) -> String),
        (line.bench.dir.path().join("assets/practice.toml"), &|text: String| {
            text.replace("targets = [\"practice\"]", "targets = [\"practice\", \"other\"]")
        }),
    ] {
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
    }
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    let both = || [status(&other, &chip.fingerprint()), status(cloud, &chip.fingerprint())].map(Option::unwrap);
    let what = [serial.as_str(), "--deactivate"];

    line.bench.proxy.down().await;
    let running = undo(&line, &what, "Sora", Some("Saki")).start();
    let by = Instant::now() + Duration::from_secs(60);
    while all(&line.log(), "withdrawn").is_empty() {
        assert!(Instant::now() < by, "no target within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.kill();
    line.bench.proxy.up().await.unwrap();
    assert_eq!(both(), ["INACTIVE", "ACTIVE"]);
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-119");
    let told = Program::on(&line.bench, ["audit", "show", &serial]).run().await.expect(0);
    assert_eq!(told.out.matches("not finished").count(), 1, "{}", told.out);

    assert_eq!(targets(&undone(&line, &what, 0).await), practice(json!(["inactive"])));
    assert_eq!(both(), ["INACTIVE", "INACTIVE"]);
    assert_eq!(all(&line.log(), "ruled").len(), 1);
    line.ruled(&["release", &serial]).await;
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    assert_eq!(both(), ["ACTIVE", "ACTIVE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_unit_that_was_withdrawn_is_registered_by_no_resume() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let profile = line.bench.dir.path().join("assets/practice.toml");
    let quick = std::fs::read_to_string(&profile).unwrap().replace("deadline_ms = 10000", "deadline_ms = 2000");
    std::fs::write(&profile, quick).unwrap();
    let chip = line.bench.chip(KeyKind::EcP256);
    line.bench.proxy.down().await;
    let (outcome, held, _) = line.run("A", &chip).await;
    assert_eq!(outcome, "HELD A-301");
    line.bench.proxy.up().await.unwrap();
    // By its run.
    let run = held["run"].as_str().unwrap();
    assert_eq!(targets(&undone(&line, &[run, "--delete"], 0).await), practice(json!([])));
    let resumed = Program::on(&line.bench, ["resume", "--json"]).run().await.expect(1).json().remove(0);
    assert_eq!((&resumed["verdict"], &resumed["reason"]), (&json!("FAIL"), &json!("S-119")));
    assert_eq!(status(cloud, &chip.fingerprint()), None);
}

/// Of a unit whose certificate was made for its key, that one is taken back; released, it is set ACTIVE again where it
/// is still there, and else another one is made.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_a_chips_key_is_taken_back_and_made_again_after_a_release() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let profile = line.bench.dir.path().join("assets/practice.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, crate::csr::csr(text)).unwrap();
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    let id = |record: &Value| record["issued"]["sha256"].as_str().unwrap().to_owned();
    let (outcome, record, _) = line.run("A", &chip).await;
    let first = id(&record);
    assert_eq!((outcome.as_str(), status(cloud, &first).as_deref()), ("PASS", Some("ACTIVE")));

    assert_eq!(targets(&undone(&line, &[&serial, "--deactivate"], 0).await), practice(json!(["inactive"])));
    assert_eq!(status(cloud, &first).as_deref(), Some("INACTIVE"));
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-119");
    line.ruled(&["release", &serial]).await;
    let (outcome, record, _) = line.run("A", &chip).await;
    assert_eq!((outcome.as_str(), id(&record)), ("PASS", first.clone()));
    assert_eq!(status(cloud, &first).as_deref(), Some("ACTIVE"));

    undone(&line, &[&serial, "--delete"], 0).await;
    assert_eq!(status(cloud, &first), None);
    line.ruled(&["release", &serial]).await;
    let (outcome, record, _) = line.run("A", &chip).await;
    let second = id(&record);
    assert_eq!((outcome.as_str(), status(cloud, &second).as_deref()), ("PASS", Some("ACTIVE")));
    assert!(second != first && record["issued"]["origin"] == "made", "{record}");
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// A run of the unit is writing to the cloud when it is taken back: what it made is gone all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_under_a_run_is_not_there_again_after_it() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let way = LossyWay::start(line.bench.proxy.address(), b"/certificate/register-no-ca").await;
    led_through(&line, &way);
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    line.bench.plug(1, "A", &chip);
    let pin = line.pin("Tomo");
    let operated = ["run", "--json", "--units", "1", "--as", "Tomo", "--pin-file", &pin];
    let station = Program::on(&line.bench, operated).start();
    until("the certificate in the cloud", || status(cloud, &chip.fingerprint()).is_some()).await;
    let undoing = undo(&line, &[&serial, "--delete"], "Sora", Some("Saki")).start();
    until("the ruling", || !all(&line.log(), "ruled").is_empty()).await;
    way.repair();
    let undone = undoing.wait().expect(0);
    let record = station.wait().expect(1).json().remove(0);
    assert_eq!((&record["verdict"], &record["reason"]), (&json!("FAIL"), &json!("S-119")), "{undone:?}");
    let seen = cloud.witness();
    assert!(!seen.certificates.contains_key(&chip.fingerprint()) && !seen.things.contains_key(&line.bench.thing("A")));
    let log = line.log();
    let of = |name: &str| log.iter().rposition(|logged| logged.event["event"] == name);
    assert!(of("sealed") < of("withdrawn"), "first the run, then what it made");
}

/// What was left of a withdrawal is taken up again while the run that QA's release opened has begun and claimed
/// nothing yet: its PASS keeps its certificate.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_released_since_is_not_taken_back_from_the_run_that_the_release_opened() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    let what = [serial.as_str(), "--deactivate"];
    line.bench.proxy.down().await;
    assert_eq!(targets(&undone(&line, &what, 3).await), practice(json!("A-301")));
    line.bench.proxy.up().await.unwrap();
    line.ruled(&["release", &serial]).await;
    let about_to_claim: fn(&RunEvent) -> bool = |event| matches!(event, RunEvent::ChallengeAnswered { .. });
    let (mut station, gate) = gated(&line.bench, about_to_claim).await;
    line.bench.plug(1, "A", &chip);
    gate.reached_by(1).await;
    let undoing = undo(&line, &what, "Sora", Some("Saki")).start();
    tokio::task::block_in_place(|| undoing.until_said("waiting for the end of run"));
    gate.open();
    assert_outcome(&station.unit().await, "PASS");
    let undone = tokio::task::spawn_blocking(move || undoing.wait()).await.unwrap().expect(3);
    assert_eq!(targets(&undone), practice(json!("O-606")));
    assert!(undone.err.contains("was released meanwhile"), "{}", undone.err);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("ACTIVE"));
    station.stop().await;
    assert_eq!(all(&line.log(), "withdrawn").len(), 1);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// The station is killed in the middle of a run and its unit withdrawn before it starts again: what the run did may
/// have come last.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_did_after_the_withdrawal_is_set_inactive_by_the_next_start() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let way = LossyWay::start(line.bench.proxy.address(), b"/certificate/register-no-ca").await;
    led_through(&line, &way);
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    line.bench.plug(1, "A", &chip);
    let pin = line.pin("Tomo");
    let operated = ["run", "--json", "--as", "Tomo", "--pin-file", &pin];
    let station = Program::on(&line.bench, operated).start();
    until("the certificate in the cloud", || status(cloud, &chip.fingerprint()).is_some()).await;
    station.kill();
    line.bench.unplug(1);
    way.repair();
    let what = [serial.as_str(), "--deactivate"];
    let open = undone(&line, &what, 3).await;
    assert!(open.err.contains("O-606") && open.err.contains("is not over"), "{}", open.err);
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("INACTIVE"), "nobody waits for it with that");
    let active = line.cloud.update_certificate().certificate_id(chip.fingerprint());
    active.new_status(aws_sdk_iot::types::CertificateStatus::Active).send().await.unwrap();

    let station = Program::on(&line.bench, operated).start();
    until("the deactivation", || !all(&line.log(), "deactivated").is_empty()).await;
    station.kill();
    assert_eq!(all(&line.log(), "sealed")[0]["reason"]["code"], json!("L-511"));
    assert_eq!(status(cloud, &chip.fingerprint()).as_deref(), Some("INACTIVE"));
    assert_eq!(targets(&undone(&line, &what, 0).await), practice(json!([])));
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// The answer never came: no run knows what AWS made, and nobody's next run is to find it.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_was_made_unseen_is_found_and_taken_back_too() {
    let cloud = Cloud::shared().await;
    let mut line = line(cloud).await;
    let profile = line.bench.dir.path().join("assets/practice.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, crate::csr::csr(text)).unwrap();
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    let way = LossyWay::start(line.bench.proxy.address(), b"POST /certificates").await;
    led_through(&line, &way);
    line.bench.plug(1, "A", &chip);
    let station = Program::on(&line.bench, ["run", "--json"]).start();
    let by = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while crate::csr::of_key(cloud, &chip.spki).await.is_empty() {
        assert!(std::time::Instant::now() < by, "nothing was made within a minute");
    }
    assert_eq!(station.kill().status, -9);
    way.repair();
    line.bench.unplug(1);

    // A stranger's certificate of the same time stays.
    let theirs = root(cloud).create_keys_and_certificate().send().await.unwrap().certificate_id.unwrap();
    let made: Vec<String> = crate::csr::of_key(cloud, &chip.spki).await.into_iter().map(|(id, _)| id).collect();
    let ended = undone(&line, &[&serial, "--delete"], 3).await;
    assert!(ended.err.contains("O-606"), "the killed run is not closed yet: {}", ended.err);
    assert!(made.iter().all(|id| ended.err.contains(&format!("found certificate {id}"))), "{}", ended.err);
    assert!(crate::csr::of_key(cloud, &chip.spki).await.is_empty());
    assert!(status(cloud, &theirs).is_some());
    let events = crate::log::read(&line.bench.data_dir());
    let withdrawn = crate::log::all(&events, "withdrawn");
    assert_eq!(withdrawn[0]["found"].as_array().unwrap().len(), made.len());
    let shown = Program::on(&line.bench, ["audit", "show", &serial]).run().await.expect(0);
    assert!(shown.out.contains(&made[0]), "{}", shown.out);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}
