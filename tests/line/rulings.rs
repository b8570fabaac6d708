//! What two persons of QA may put right, through the whole line: a failed unit is released to one more
//! run or scrapped, a repaired one moves to its new chip. And nobody else may, nor anything more.

use std::os::unix::fs::PermissionsExt as _;

use aws_credential_types::Credentials;
use aws_sdk_iot::Client;
use lineseal::audit::RunEvent;
use lineseal::domain::Step;
use lineseal::domain::profile::KeyKind;
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::gate::Gate;
use crate::log::{self, all, of_run};
use crate::peers::{Cloud, Witness};
use crate::program::{Ended, Program};
use crate::station::{Station, assert_outcome};

const REASON: &str = "foreign thing removed by IT, ticket 4711";

/// A line, its people with their PINs, and root's hand in the cloud.
pub struct Line<'a> {
    pub bench: Bench<'a>,
    pub cloud: Client,
}

impl<'a> Line<'a> {
    /// `Aiko` and `Ben` of QA, and `Tomo`, who is of QA, too, and operates the line.
    pub async fn new(cloud: &'a Cloud) -> Line<'a> {
        Line::of(Bench::new(1, cloud).await).await
    }

    pub async fn of(bench: Bench<'a>) -> Line<'a> {
        let line = Line { cloud: root(bench.cloud), bench };
        line.operator("Root", "administrator", &[]).await;
        for name in ["Aiko", "Ben", "Tomo"] {
            line.operator(name, "qa", &["--as", "Root", "--pin-file", &line.pin("Root")]).await;
        }
        line.operator("Tess", "technician", &["--as", "Root", "--pin-file", &line.pin("Root")]).await;
        line
    }

    pub async fn operator(&self, name: &str, role: &str, by: &[&str]) {
        let pin = self.pin(name);
        let args = [&["operator", "add", name, "--role", role, "--new-pin-file", &pin], by].concat();
        Program::on(&self.bench, args).run().await.expect(0);
    }

    /// The file with the person's PIN.
    pub fn pin(&self, name: &str) -> String {
        self.file(&format!("pin-{name}"), &format!("{name}'s own pin\n"))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.bench.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    }

    /// What the real program makes of this board, operated by Tomo.
    pub async fn run(&mut self, name: &str, chip: &Chip) -> (String, Value, Ended) {
        self.bench.plug(1, name, chip);
        let pin = self.pin("Tomo");
        let args = ["run", "--json", "--units", "1", "--as", "Tomo", "--pin-file", &pin];
        let ended = Program::on(&self.bench, args).run().await;
        self.bench.unplug(1);
        let [record] = ended.json().try_into().unwrap_or_else(|_| panic!("{ended:?}"));
        let outcome = match record["reason"].as_str() {
            Some(reason) => format!("{} {reason}", record["verdict"].as_str().unwrap()),
            None => record["verdict"].as_str().unwrap().to_owned(),
        };
        (outcome, record, ended)
    }

    /// `lineseal audit rule …` in the name of these.
    async fn rule(&self, what: &[&str], first: &str, second: Option<&str>) -> Ended {
        let first_pin = self.pin(first);
        let mut args = [&["audit", "rule"], what].concat();
        args.extend(["--json", "--reason", REASON, "--as", first, "--pin-file", &first_pin]);
        if !what.contains(&"--evidence") {
            args.extend(["--evidence-text", "photo 17 in the folder of ticket 4711"]);
        }
        let second_pin = second.map(|second| self.pin(second));
        if let (Some(second), Some(pin)) = (second, &second_pin) {
            args.extend(["--second", second, "--second-pin-file", pin]);
        }
        Program::on(&self.bench, args).run().await
    }

    pub async fn ruled(&self, what: &[&str]) -> Value {
        self.rule(what, "Aiko", Some("Ben")).await.expect(0).json().remove(0)
    }

    async fn refused(&self, what: &[&str], code: &str, cause: &str) {
        let ended = self.rule(what, "Aiko", Some("Ben")).await.expect(3);
        assert!(ended.err.contains(code) && ended.err.contains(cause), "{code} {cause}: {}", ended.err);
    }

    /// Puts a certificate on the unit's thing that is nobody's here; the ARN.
    pub async fn foreign_principal(&self, name: &str) -> String {
        let made = self.cloud.create_keys_and_certificate().set_as_active(true).send().await.unwrap();
        let arn = made.certificate_arn.unwrap();
        self.attach(name, &arn).await;
        arn
    }

    pub async fn attach(&self, name: &str, arn: &str) {
        self.attach_to(&self.bench.thing(name), arn).await;
    }

    pub async fn attach_to(&self, thing: &str, arn: &str) {
        self.cloud.attach_thing_principal().thing_name(thing).principal(arn).send().await.unwrap();
    }

    pub async fn detach(&self, name: &str, arn: &str) {
        let thing = self.bench.thing(name);
        self.cloud.detach_thing_principal().thing_name(thing).principal(arn).send().await.unwrap();
    }

    pub fn log(&self) -> Vec<log::Logged> {
        log::read(&self.bench.data_dir())
    }
}

pub fn root(cloud: &Cloud) -> Client {
    let config = aws_sdk_iot::Config::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(cloud.region.as_str().to_owned()))
        .endpoint_url(cloud.endpoint())
        .credentials_provider(Credentials::new("test", "unchecked", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// Registered and then failed, so that its certificate was set INACTIVE; then released, as the rules say.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_unit_is_locked_until_two_persons_of_qa_release_it_to_one_run() {
    let mut line = Line::new(Cloud::shared().await).await;
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    // The unit's thing is somebody's already.
    line.cloud.create_thing().thing_name(line.bench.thing("A")).send().await.unwrap();
    let foreign = line.foreign_principal("A").await;
    let (outcome, failed, _) = line.run("A", &chip).await;
    assert_eq!(outcome, "FAIL S-111");
    line.detach("A", &foreign).await;
    line.cloud.delete_thing().thing_name(line.bench.thing("A")).send().await.unwrap();

    // Put right in the cloud it is still QA's to decide, and the sentence says which board.
    let (outcome, _, ended) = line.run("A", &chip).await;
    assert_eq!(outcome, "FAIL S-113");
    assert!(ended.err.contains(&format!("Red tray. {serial} failed before; QA has to decide.")), "{}", ended.err);

    let release = ["release", serial.as_str()];
    let expect = async |first: &str, second: Option<&str>, code: &str| {
        let ended = line.rule(&release, first, second).await.expect(3);
        assert!(ended.err.contains(code), "{first} {second:?}: {}", ended.err);
    };
    expect("Aiko", None, "O-611").await;
    expect("Aiko", Some("Aiko"), "O-611").await;
    // Tomo operated it.
    expect("Aiko", Some("Tomo"), "O-611").await;
    expect("Tomo", Some("Ben"), "O-611").await;
    expect("Tess", Some("Ben"), "O-610").await;
    expect("Aiko", Some("Tess"), "O-610").await;
    expect("Nobody", Some("Ben"), "O-607").await;
    let wrong = line.file("wrong", "no idea");
    let (aiko, ben) = (line.pin("Aiko"), line.pin("Ben"));
    for (first, second) in [(&wrong, &ben), (&aiko, &wrong)] {
        let pins = ["--pin-file", first, "--second-pin-file", second];
        let who = ["--as", "Aiko", "--second", "Ben", "--reason", REASON, "--evidence-text", "photo 17"];
        let args = [&["audit", "rule"], release.as_slice(), &who, &pins].concat();
        let ended = Program::on(&line.bench, args).run().await.expect(3);
        assert!(ended.err.contains("O-608"), "{}", ended.err);
    }
    // Nor without a reason.
    for reason in [[].as_slice(), &["--reason", " \n"], &["--reason", &"x".repeat(2001)]] {
        let who = ["--as", "Aiko", "--second", "Ben", "--pin-file", &aiko, "--second-pin-file", &ben];
        let args = [&["audit", "rule"], release.as_slice(), &who, &["--evidence-text", "photo 17"], reason].concat();
        Program::on(&line.bench, args).run().await.expect(2);
    }
    // Nor without evidence.
    for what in [release.as_slice(), &["scrap", &serial], &["rebind", &serial, "--run", &uuid::Uuid::nil().to_string()]]
    {
        let who =
            ["--as", "Aiko", "--second", "Ben", "--pin-file", &aiko, "--second-pin-file", &ben, "--reason", REASON];
        let ended = Program::on(&line.bench, [&["audit", "rule"], what, &who].concat()).run().await.expect(2);
        assert!(ended.err.contains("--evidence"), "{}", ended.err);
    }
    assert_eq!(all(&line.log(), "ruled").len(), 0);
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-113");

    let photo = line.file("photo.jpg", "of the label in the console");
    let ruled = line.ruled(&[release.as_slice(), &["--evidence", &photo]].concat()).await;
    let log = line.log();
    let [event] = all(&log, "ruled").try_into().unwrap();
    assert_eq!(log[ruled["seq"].as_u64().unwrap() as usize].event, *event);
    assert_eq!((&event["ruling"], &event["unit"]["serial"]), (&json!("release"), &json!(serial)));
    let added = all(&log, "operator-added");
    assert_eq!((&event["operator"], &event["second"]), (&added[1]["person"], &added[2]["person"]));
    let sha256 = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"of the label in the console"));
    assert_eq!(event["evidence"], json!([{ "name": "photo.jpg", "sha256": sha256 }]));
    // What was typed can be forgotten: the log has nothing but its salted hash.
    assert!(log.iter().all(|logged| !String::from_utf8_lossy(&logged.bytes).contains("ticket 4711")));

    let (outcome, passed, _) = line.run("A", &chip).await;
    assert_eq!(outcome, "PASS");
    let log = line.log();
    let claimed = of_run(&log, passed["run"].as_str().unwrap());
    let claimed = claimed.iter().find(|logged| logged.kind() == "claimed").unwrap();
    assert_eq!(claimed.event["ruling"], event["id"]);
    // The run that failed is what it was.
    let verdicts: Vec<_> = of_run(&log, failed["run"].as_str().unwrap())
        .iter()
        .filter(|logged| logged.kind() == "sealed")
        .map(|logged| logged.event["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["FAIL"]);
    // It is as good as any other now, and there is nothing left to release.
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    line.refused(&release, "O-612", "is not locked").await;

    // The next failure takes a ruling of its own.
    let foreign = line.foreign_principal("A").await;
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-111");
    line.detach("A", &foreign).await;
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-113");
    line.ruled(&["scrap", &serial]).await;
    let (outcome, _, ended) = line.run("A", &chip).await;
    assert_eq!(outcome, "FAIL S-114");
    assert!(ended.err.contains(&format!("{serial} was scrapped by QA")), "{}", ended.err);
    // What it refers to is kept like the reason: committed to, and found only beside the log.
    let log = line.log();
    let scrapped = all(&log, "ruled")[1].clone();
    assert_eq!(scrapped["references"].as_array().unwrap().len(), 1, "{scrapped}");
    assert!(log.iter().all(|logged| !String::from_utf8_lossy(&logged.bytes).contains("photo 17")));
    assert_eq!(scrapped["persons"], json!("two"));
    let shown = Program::on(&line.bench, ["audit", "show", &serial]).run().await.expect(0);
    assert!(shown.out.contains("photo 17 in the folder of ticket 4711"), "{}", shown.out);
    let scrapped_run = failed["run"].as_str().unwrap();
    line.refused(&release, "O-612", "no ruling takes it back").await;
    line.refused(&["rebind", &serial, "--run", scrapped_run], "O-612", "no ruling takes it back").await;
    let kinds = ["release", "scrap"].map(Value::from);
    assert_eq!(all(&line.log(), "ruled").iter().map(|event| event["ruling"].clone()).collect::<Vec<_>>(), kinds);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_on_what_the_log_does_not_know_is_refused() {
    let mut line = Line::new(Cloud::shared().await).await;
    let (chip, serial) = (line.bench.chip(KeyKind::EcP256), line.bench.serial("A"));
    let (outcome, passed, _) = line.run("A", &chip).await;
    assert_eq!(outcome, "PASS");
    for unknown in [&["scrap", "NEVER-SEEN"][..], &["scrap", &serial, "--product", "another"]] {
        let ended = line.rule(unknown, "Aiko", Some("Ben")).await.expect(2);
        assert!(ended.err.contains("O-616") && ended.err.contains("does not know the unit"), "{}", ended.err);
    }
    line.refused(&["release", &serial], "O-612", "is not locked").await;
    let run = passed["run"].as_str().unwrap();
    line.refused(&["rebind", &serial, "--run", run], "O-612", "ended PASS").await;
    let nobodys = uuid::Uuid::nil().to_string();
    line.refused(&["rebind", &serial, "--run", &nobodys], "O-612", "the log knows no run").await;
    assert_eq!(all(&line.log(), "ruled").len(), 0);
    // The nearest legitimate case: what was seen once may be scrapped, whatever became of it.
    line.ruled(&["scrap", &serial, "--product", "practice-board"]).await;
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-114");
}

/// The old certificate is on nothing and INACTIVE; the thing has the new one alone.
fn has_moved(bench: &Bench<'_>, seen: &Witness, old: &Chip, new: &Chip) {
    let (thing, old) = (bench.thing("A"), &seen.certificates[&old.fingerprint()]);
    assert_eq!((old.status.as_str(), old.things.len(), old.policies.len()), ("INACTIVE", 0, 0));
    let new = &seen.certificates[&new.fingerprint()];
    assert_eq!((new.status.as_str(), new.things.as_slice()), ("ACTIVE", [thing.clone()].as_slice()));
    assert_eq!(seen.things[&thing].principals, std::slice::from_ref(&new.arn));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repaired_unit_moves_to_its_new_chip_and_the_old_one_is_burned() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud).await;
    let serial = line.bench.serial("A");
    let [old, new, third, others] = [(); 4].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(line.run("A", &old).await.0, "PASS");
    let (outcome, refused, _) = line.run("A", &new).await;
    assert_eq!(outcome, "FAIL S-108");
    let run = refused["run"].as_str().unwrap();

    // A rebind names the run that proved this unit's new chip, and no other.
    assert_eq!(line.run("B", &others).await.0, "PASS");
    let (outcome, copied, _) = line.run("A", &others).await;
    assert_eq!(outcome, "FAIL S-105");
    let copied = copied["run"].as_str().unwrap();
    line.refused(&["rebind", &serial, "--run", copied], "O-612", "ended FAIL S-105").await;
    line.refused(
        &["rebind", &line.bench.serial("B"), "--run", run],
        "O-612",
        &format!("was of practice-board {serial}"),
    )
    .await;
    let ended = line.rule(&["rebind", &serial, "--run", run], "Aiko", Some("Tomo")).await.expect(3);
    assert!(ended.err.contains("O-611"), "{}", ended.err);

    let ruled = line.ruled(&["rebind", &serial, "--run", run]).await;
    assert_eq!(ruled["ruled"]["old"]["fingerprint"], old.fingerprint());
    assert_eq!(ruled["ruled"]["new"]["fingerprint"], new.fingerprint());
    // It opens the unit to that chip and to no third.
    assert_eq!(line.run("A", &third).await.0, "FAIL S-108");
    // Which is a failure, and used the ruling up.
    assert_eq!(line.run("A", &new).await.0, "FAIL S-108");
    line.ruled(&["rebind", &serial, "--run", run]).await;
    let (outcome, passed, _) = line.run("A", &new).await;
    assert_eq!(outcome, "PASS");
    has_moved(&line.bench, &cloud.witness(), &old, &new);
    let log = line.log();
    let events = of_run(&log, passed["run"].as_str().unwrap());
    let registered = events.iter().find(|logged| logged.kind() == "registered").unwrap();
    assert_eq!(registered.event["target"]["replaced"], json!([old.fingerprint()]));
    // The run that it rests on is what it was.
    let sealed = of_run(&log, run).into_iter().filter(|logged| logged.kind() == "sealed").collect::<Vec<_>>();
    assert_eq!(sealed.iter().map(|logged| &logged.event["verdict"]).collect::<Vec<_>>(), ["FAIL"]);

    // The old chip is nobody's any more, and a rebind cannot bring it back.
    let (outcome, burned, _) = line.run("A", &old).await;
    assert_eq!(outcome, "FAIL S-105");
    assert_eq!(line.run("C", &old).await.0, "FAIL S-105");
    let burned = burned["run"].as_str().unwrap();
    line.refused(&["rebind", &serial, "--run", burned], "O-612", "ended FAIL S-105").await;
    line.refused(&["rebind", &serial, "--run", run], "O-612", "is bound to no other chip now").await;
    // The repaired board goes on.
    assert_eq!(line.run("A", &new).await.0, "PASS");
    has_moved(&line.bench, &cloud.witness(), &old, &new);
    // And every claim follows from the rulings before it.
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// The printer is away when the board passes, and back when nobody is to take the unit any more.
#[tokio::test(flavor = "multi_thread")]
async fn the_label_of_a_unit_that_was_scrapped_before_it_was_printed_does_not_come_out() {
    let mut line = Line::new(Cloud::shared().await).await;
    let [one, two] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    line.bench.printer.switch_off().await;
    let (outcome, record, _) = line.run("A", &one).await;
    assert_eq!((outcome.as_str(), &record["label"]["status"]), ("PASS", &json!("pending")));
    let scrapped = line.rule(&["scrap", &line.bench.serial("A")], "Aiko", Some("Ben")).await.expect(0);
    assert!(scrapped.err.contains("will not be"), "{}", scrapped.err);
    line.bench.printer.switch_on().await.unwrap();
    let (outcome, other, _) = line.run("B", &two).await;
    assert_eq!((outcome.as_str(), &other["label"]["status"]), ("PASS", &json!("printed")));
    assert_eq!(line.bench.printer.printed(), 1);
    let run = record["run"].as_str().unwrap();
    let log = line.log();
    let last = &of_run(&log, run).last().unwrap().event;
    assert_eq!((&last["event"], &last["status"]), (&json!("label-ended"), &json!("none")), "{last}");
    assert_eq!(last["failure"]["code"], "S-114");
    // Nor when somebody asks for it.
    Program::on(&line.bench, ["resume", "--print-label", run]).run().await;
    assert_eq!(line.bench.printer.printed(), 1);
    Program::on(&line.bench, ["audit", "verify"]).run().await.expect(0);
}

/// The new chip passed on another board between its failure and the ruling.
#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_became_anothers_meanwhile_is_not_rebound() {
    let mut line = Line::new(Cloud::shared().await).await;
    let [old, new] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(line.run("A", &old).await.0, "PASS");
    let (outcome, refused, _) = line.run("A", &new).await;
    assert_eq!(outcome, "FAIL S-108");
    assert_eq!(line.run("B", &new).await.0, "PASS");
    let (a, b) = (line.bench.serial("A"), line.bench.serial("B"));
    let run = refused["run"].as_str().unwrap();
    line.refused(&["rebind", &a, "--run", run], "O-612", &format!("burned: bound to practice-board {b}")).await;
}

/// What an old history knows of the new chip is its certificate in the other form, which anyone can write.
#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_is_another_units_in_its_certificates_other_form_is_not_rebound() {
    let mut line = Line::new(Cloud::shared().await).await;
    let [old, foreign] = [(); 2].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(line.run("A", &old).await.0, "PASS");
    let (outcome, refused, _) = line.run("A", &foreign).await;
    assert_eq!(outcome, "FAIL S-108");
    let other_form = lineseal::provisioning::checks::twin(&foreign.certificate).unwrap();
    let history = format!("board_serial,fingerprint\n{},{other_form}\n", line.bench.serial("U9"));
    let (file, pin) = (line.file("history.csv", &history), line.pin("Root"));
    let import = ["audit", "import", &file, "--product", "practice-board", "--as", "Root", "--pin-file", &pin];
    Program::on(&line.bench, import).run().await.expect(0);
    let (a, u9) = (line.bench.serial("A"), line.bench.serial("U9"));
    let run = refused["run"].as_str().unwrap();
    line.refused(&["rebind", &a, "--run", run], "O-612", &format!("burned: bound to practice-board {u9}")).await;
    // Whose it is comes before what the unit has of its own, and the cause names both.
    let (outcome, told, _) = line.run("A", &foreign).await;
    assert_eq!(outcome, "FAIL S-105");
    let cause = told["cause"].as_str().unwrap();
    assert!(cause.contains(&u9) && cause.contains(&old.fingerprint()), "{cause}");
    // The unit and its own chip are what they were.
    assert_eq!(line.run("A", &old).await.0, "PASS");
}

fn claimed(event: &RunEvent) -> bool {
    matches!(event, RunEvent::StepBegan { step: Step::Register })
}

/// The ruling is used up by a claim whose run never came to the cloud: the next run of the unit goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebind_whose_run_was_cut_off_or_held_is_finished_by_the_next() {
    let cloud = Cloud::shared().await;
    let mut line = Line::new(cloud).await;
    let serial = line.bench.serial("A");
    let [first, second, third] = [(); 3].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(line.run("A", &first).await.0, "PASS");
    let (_, refused, _) = line.run("A", &second).await;
    line.ruled(&["rebind", &serial, "--run", refused["run"].as_str().unwrap()]).await;

    // Pulled right after the claim.
    let gate = Gate::new(claimed);
    line.bench.plug(1, "A", &second);
    let mut station = Station::start_with(&line.bench, |equipment| {
        equipment.log.store = gate.before(equipment.log.store.clone());
    })
    .await;
    gate.reached_by(1).await;
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    gate.open();
    assert_outcome(&station.unit().await, "ABORTED B-105");
    station.stop().await;
    assert_eq!(line.run("A", &second).await.0, "PASS");
    has_moved(&line.bench, &cloud.witness(), &first, &second);

    // Repaired once more, and the cloud is away.
    let (_, refused, _) = line.run("A", &third).await;
    line.ruled(&["rebind", &serial, "--run", refused["run"].as_str().unwrap()]).await;
    line.bench.proxy.down().await;
    assert_eq!(line.run("A", &third).await.0, "HELD A-301");
    line.bench.proxy.up().await.unwrap();
    Program::on(&line.bench, ["resume"]).run().await.expect(0);
    let seen = cloud.witness();
    has_moved(&line.bench, &seen, &first, &third);
    has_moved(&line.bench, &seen, &second, &third);
    let log = line.log();
    let replaces: Vec<_> = all(&log, "claimed").iter().map(|event| event["replaces"].clone()).collect();
    let (one, two) = (json!([first.fingerprint()]), json!([first.fingerprint(), second.fingerprint()]));
    assert_eq!(replaces, [Value::Null, one.clone(), one, two]);
}

/// Two targets: the first has it, the second refuses, and what the first has is set INACTIVE. Released,
/// the unit becomes ACTIVE again in the same places.
#[tokio::test(flavor = "multi_thread")]
async fn a_released_unit_passes_over_what_its_failed_run_had_set_inactive() {
    let (cloud, other) = (Cloud::shared().await, Cloud::moto().await);
    let mut line = Line::new(cloud).await;
    let target = format!(
        "\n[[targets]]\nname = \"other\"\nregion = \"{}\"\nendpoint = \"{}\"\n",
        other.region.as_str(),
        other.endpoint()
    );
    for (file, change) in [
        (line.bench.config_file.clone(), &(|text: String| text + &target) as &dyn Fn(String) -> String),
        (line.bench.dir.path().join("assets/practice.toml"), &|text: String| {
            text.replace("targets = [\"practice\"]", "targets = [\"practice\", \"other\"]")
        }),
    ] {
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
    }
    let chip = line.bench.chip(KeyKind::EcP256);
    let elsewhere = root(&other);
    // Made by hand, with no attributes: not what the station would make.
    elsewhere.create_thing().thing_name(line.bench.thing("A")).send().await.unwrap();
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-111");
    let status = |cloud: &Cloud| cloud.witness().certificates.get(&chip.fingerprint()).map(|seen| seen.status.clone());
    assert_eq!((status(cloud).as_deref(), status(&other)), (Some("INACTIVE"), None));
    assert_eq!(all(&line.log(), "deactivated").len(), 1);

    elsewhere.delete_thing().thing_name(line.bench.thing("A")).send().await.unwrap();
    assert_eq!(line.run("A", &chip).await.0, "FAIL S-113");
    line.ruled(&["release", &line.bench.serial("A")]).await;
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    assert_eq!((status(cloud).as_deref(), status(&other).as_deref()), (Some("ACTIVE"), Some("ACTIVE")));
    let log = line.log();
    let created: Vec<_> = all(&log, "registered").iter().map(|event| event["target"]["created"].clone()).collect();
    assert_eq!(created[1], json!(["certificate-status"]));
}

/// Somebody puts an old backup in the log's place: a supervisor and another have to say that they know.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_put_back_is_ruled_on_by_two_supervisors_before_a_station_starts_on_it() {
    let mut line = Line::new(Cloud::shared().await).await;
    let root = line.pin("Root");
    for name in ["Sora", "Saki"] {
        line.operator(name, "supervisor", &["--as", "Root", "--pin-file", &root]).await;
    }
    let [a, b, c] = [(); 3].map(|()| line.bench.chip(KeyKind::EcP256));
    assert_eq!(line.run("A", &a).await.0, "PASS");
    let nothing = line.rule(&["rollback"], "Sora", Some("Saki")).await.expect(3);
    assert!(nothing.err.contains("O-612") && nothing.err.contains("nothing speaks against"), "{}", nothing.err);

    let database = line.bench.data_dir().join("lineseal.db");
    let backup = std::fs::read(&database).unwrap();
    assert_eq!(line.run("B", &b).await.0, "PASS");
    std::fs::write(&database, backup).unwrap();
    line.bench.plug(1, "C", &c);
    let pin = line.pin("Tomo");
    let run = || Program::on(&line.bench, ["run", "--json", "--units", "1", "--as", "Tomo", "--pin-file", &pin]).run();
    assert!(run().await.expect(2).err.contains("L-521"));

    let refused = async |first: &str, second: Option<&str>, code: &str| {
        let ended = line.rule(&["rollback"], first, second).await.expect(3);
        assert!(ended.err.contains(code), "{first} {second:?}: {}", ended.err);
    };
    refused("Aiko", Some("Ben"), "O-610").await;
    refused("Sora", Some("Ben"), "O-610").await;
    refused("Sora", None, "O-611").await;
    refused("Sora", Some("Sora"), "O-611").await;
    assert_eq!(all(&line.log(), "claimed").len(), 1);

    let ruled = line.rule(&["rollback"], "Sora", Some("Saki")).await.expect(0).json().remove(0);
    assert_eq!(run().await.expect(0).json()[0]["verdict"], "PASS");
    let log = line.log();
    let event = &log[ruled["seq"].as_u64().unwrap() as usize].event;
    assert_eq!((&event["ruling"], &event["size"]), (&json!("rollback"), &ruled["ruled"]["size"]));
    assert_eq!(event["known"].as_array().unwrap().len(), 1, "{event}");
    assert_eq!(all(&log, "claimed").len(), 2, "B is not known any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_is_enough_where_the_configuration_says_so() {
    let mut line = Line::new(Cloud::shared().await).await;
    let chip = line.bench.chip(KeyKind::EcP256);
    assert_eq!(line.run("A", &chip).await.0, "PASS");
    let serial = line.bench.serial("A");
    let scrap = ["scrap", serial.as_str()];
    let ended = line.rule(&scrap, "Aiko", None).await.expect(3);
    assert!(ended.err.contains("O-611"), "{}", ended.err);
    let text = std::fs::read_to_string(&line.bench.config_file).unwrap();
    std::fs::write(&line.bench.config_file, text + "\n[log]\npersons = 1\n").unwrap();
    // One who operated it is still not enough.
    let ended = line.rule(&scrap, "Tomo", None).await.expect(3);
    assert!(ended.err.contains("O-611"), "{}", ended.err);
    let ruled = line.rule(&scrap, "Aiko", None).await.expect(0).json().remove(0);
    assert_eq!(ruled["second"], Value::Null);
}
