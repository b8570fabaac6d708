//! Who operates a line: in the window and without one, by PIN and by badge. A ruling asks who did.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use lineseal::audit::RunEvent;
use lineseal::config::{BadgeUse, Config};
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{BadgeCode, Pin, ReasonCode, Role, Step};
use lineseal::runner::people::Named;
use lineseal::runner::view::{Command, DeskState, LaneState, PeopleOrder, Snapshot};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::gate::Gate;
use crate::log::{self, all};
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::rulings::Line;
use crate::station::{Station, assert_outcome};

/// Like nothing else on the line.
const BADGE: &str = "00417350918";

fn pin(who: &str) -> Pin {
    SecretString::from(format!("{who}'s own pin")).try_into().unwrap()
}

fn badge(text: &str) -> BadgeCode {
    SecretString::from(text).try_into().unwrap()
}

fn file(bench: &Bench<'_>, name: &str, text: &str) -> String {
    let path = bench.dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// A station with a window, as a real line has it: somebody has to sign in.
async fn station(bench: &Bench<'_>, change: impl FnOnce(&mut Config), gate: Option<&Arc<Gate>>) -> Station {
    let mut config = bench.config();
    config.sign_in.required = true;
    change(&mut config);
    let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
    Station::start_at(Arc::new(config), bench.data_dir(), credentials, |equipment| {
        equipment.operator = Named::default();
        if let Some(gate) = gate {
            equipment.log.store = gate.before(equipment.log.store.clone());
        }
    })
    .await
}

fn refused(snapshot: &Snapshot) -> Option<ReasonCode> {
    snapshot.lanes.iter().find_map(|lane| match &lane.state {
        LaneState::Refused { failure } => Some(failure.code),
        _ => None,
    })
}

/// What the station answers to this.
async fn ask(station: &mut Station, command: Command) -> Result<(), ReasonCode> {
    let number = |snapshot: &Snapshot| snapshot.desk.answer.as_ref().map_or(0, |answer| answer.number);
    let before = number(&*station.until("a snapshot", |_| true).await);
    station.command(command).await;
    let answered = station.until("an answer", |snapshot| number(snapshot) > before).await;
    answered.desk.answer.clone().unwrap().result.map_err(|failure| failure.code)
}

async fn sign_in(station: &mut Station, who: &str, text: &str) -> Result<(), ReasonCode> {
    let pin = SecretString::from(text).try_into().unwrap();
    ask(station, Command::SignIn { name: who.to_owned(), pin }).await
}

fn person(log: &[log::Logged], name: &str, bench: &Bench<'_>) -> Value {
    let connection = rusqlite::Connection::open(bench.data_dir().join("lineseal.db")).unwrap();
    let id: Vec<u8> = connection.query_row("SELECT id FROM people WHERE name = ?1", [name], |row| row.get(0)).unwrap();
    let id = uuid::Uuid::from_slice(&id).unwrap().to_string();
    let named = all(log, "operator-added").into_iter().find(|event| event["person"]["id"] == id.as_str());
    named.unwrap_or_else(|| panic!("{name} was never added"))["person"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_named_proves_it_once_the_log_knows_people() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let run = |bench: &Bench<'_>, more: &[&str]| {
        Program::on(bench, [&["run", "--json", "--units", "1"], more].concat().into_iter()).run()
    };
    // Before that, a name is all there is.
    let named = run(&bench, &["--as", "Olga"]).await.expect(0);
    assert_eq!(named.json()[0]["operator"], "Olga");

    let line = Line::of(bench).await;
    let runs = |line: &Line<'_>| all(&line.log(), "run-started").len();
    let before = runs(&line);
    // Nor by somebody's name without their PIN.
    let none = run(&line.bench, &["--as", "Tess"]).await.expect(2);
    assert!(none.err.contains("standard input ended"), "{}", none.err);
    assert_eq!(runs(&line), before);
    // A line whose log came to know people goes on, named or not.
    let named = run(&line.bench, &["--as", "Olga"]).await.expect(0);
    assert_eq!(named.json()[0]["operator"], "Olga");
    let nobody = run(&line.bench, &[]).await.expect(0);
    assert_eq!(nobody.json()[0]["operator"], Value::Null);
    // Unless its configuration says otherwise.
    let config = std::fs::read_to_string(&line.bench.config_file).unwrap();
    std::fs::write(&line.bench.config_file, format!("{config}\n[sign_in]\nrequired = true\n")).unwrap();
    let before = runs(&line);
    let none = run(&line.bench, &["--as", "Olga"]).await.expect(2);
    assert!(none.err.contains("standard input ended"), "{}", none.err);
    // Nor one who was only ever named.
    let (tess, wrong) = (line.pin("Tess"), file(&line.bench, "wrong", "no idea"));
    for (who, pin, code) in [("Tess", &wrong, "O-608"), ("Nobody", &tess, "O-607"), ("Olga", &tess, "O-607")] {
        let refused = run(&line.bench, &["--as", who, "--pin-file", pin]).await.expect(3);
        assert!(refused.err.contains(code), "{who}: {}", refused.err);
    }
    for command in [&["batch", "open", "WO-1", "--planned", "5"][..], &["batch", "close"], &["resume"]] {
        let args = [command, &["--as", "Tess", "--pin-file", &wrong]].concat();
        let refused = Program::on(&line.bench, args).run().await.expect(3);
        assert!(refused.err.contains("O-608"), "{command:?}: {}", refused.err);
    }
    assert_eq!(runs(&line), before);
    let right = run(&line.bench, &["--as", "Tess", "--pin-file", &tess]).await.expect(0);
    assert_eq!(right.json()[0]["operator"], "Tess");
    // From a scanner's line, too: the first is the PIN.
    let args = ["run", "--json", "--units", "1", "--as", "Tess"];
    let typed = Program::on(&line.bench, args).input("Tess's own pin\n").run().await.expect(0);
    assert_eq!(typed.json()[0]["operator"], "Tess");

    let log = line.log();
    let tess_ref = person(&log, "Tess", &line.bench);
    let last = all(&log, "run-started").pop().unwrap();
    assert_eq!(last["operator"], tess_ref);
    let (came, left) = (all(&log, "signed-in"), all(&log, "signed-out"));
    assert_eq!((came.len(), left.len()), (2, 2));
    assert_eq!((&came[0]["person"], &came[0]["proof"], &left[0]["why"]), (&tess_ref, &json!("pin"), &json!("stopped")));

    // Five in a row, all of them counted before they were looked at.
    for _ in 0..5 {
        let refused = run(&line.bench, &["--as", "Tess", "--pin-file", &wrong]).await.expect(3);
        assert!(refused.err.contains("O-608"), "{}", refused.err);
    }
    let locked = run(&line.bench, &["--as", "Tess", "--pin-file", &tess]).await.expect(3);
    assert!(locked.err.contains("O-609") && locked.err.contains("Wait 1 minutes"), "{}", locked.err);
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_board_is_begun_before_somebody_signs_in_and_then_none_has_to_be_plugged_again() {
    let mut line = Line::new(Cloud::shared().await).await;
    let chips = [(); 4].map(|()| line.bench.chip(KeyKind::EcP256));
    let mut station = station(&line.bench, |_| {}, None).await;
    line.bench.plug(1, "A", &chips[0]);
    let nobody = |snapshot: &Arc<Snapshot>| refused(snapshot) == Some(ReasonCode::NOBODY_SIGNED_IN);
    let snapshot = station.until("a lane that says why", nobody).await;
    assert_eq!(snapshot.desk.state, DeskState::Nobody { required: true });
    // Nor is anything else done in nobody's name.
    station.command(Command::ResumeHeld).await;
    let told = |snapshot: &Arc<Snapshot>| {
        snapshot.notice.as_ref().is_some_and(|notice| notice.code == ReasonCode::NOBODY_SIGNED_IN)
    };
    station.until("why nothing is resumed", told).await;

    assert_eq!(sign_in(&mut station, "Tess", "no idea").await, Err(ReasonCode::OPERATOR_PIN));
    assert_eq!(sign_in(&mut station, "Nobody", "no idea").await, Err(ReasonCode::OPERATOR_UNKNOWN));
    assert_eq!(sign_in(&mut station, "Tess", "Tess's own pin").await, Ok(()));
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.operator.as_deref(), Some("Tess"));
    line.bench.unplug(1);
    station.until_gone(&[1]).await;

    // Another takes over, and signs out; a technician manages nobody.
    let order = Command::People(PeopleOrder::Disable("Ben".to_owned()));
    assert_eq!(ask(&mut station, order).await, Err(ReasonCode::OPERATOR_ROLE));
    assert_eq!(sign_in(&mut station, "Aiko", "Aiko's own pin").await, Ok(()));
    line.bench.plug(1, "B", &chips[1]);
    assert_eq!(station.unit().await.operator.as_deref(), Some("Aiko"));
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    assert_eq!(ask(&mut station, Command::SignOut).await, Ok(()));
    line.bench.plug(1, "C", &chips[2]);
    station.until("nobody again", nobody).await;
    line.bench.unplug(1);
    station.until_gone(&[1]).await;

    // Who is disabled elsewhere begins no board any more.
    assert_eq!(sign_in(&mut station, "Tess", "Tess's own pin").await, Ok(()));
    let root = line.pin("Root");
    let disable = ["operator", "disable", "Tess", "--as", "Root", "--pin-file", &root];
    Program::on(&line.bench, disable).run().await.expect(0);
    line.bench.plug(1, "D", &chips[3]);
    station.until("a lane that says why", nobody).await;
    let log = station.stop().await;
    let why: Vec<_> = all(&log, "signed-out").iter().map(|event| event["why"].clone()).collect();
    assert_eq!(why, ["replaced", "asked", "disabled"]);
    let refusals: Vec<_> = all(&log, "board-refused").iter().map(|event| event["failure"]["code"].clone()).collect();
    assert_eq!(refusals, ["O-620", "O-620", "O-620"]);
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_station_is_locked_while_its_board_goes_on_and_anybody_unlocks_it() {
    let mut line = Line::new(Cloud::shared().await).await;
    let chips = [(); 3].map(|()| line.bench.chip(KeyKind::EcP256));
    let gate = Gate::new(|event| matches!(event, RunEvent::StepBegan { step: Step::Register }));
    let idle = |config: &mut Config| config.sign_in.idle = Some(Duration::from_secs(2));
    let mut station = station(&line.bench, idle, Some(&gate)).await;
    // What a slow machine takes to see the board and its cloud is over before anybody is idle.
    line.bench.plug(1, "A", &chips[0]);
    station.until("a board that waits", |snapshot| refused(snapshot) == Some(ReasonCode::NOBODY_SIGNED_IN)).await;
    sign_in(&mut station, "Tess", "Tess's own pin").await.unwrap();
    gate.reached_by(1).await;
    let locked = DeskState::Locked { name: "Tess".to_owned(), required: true };
    let snapshot = station.until("a locked station", |snapshot| snapshot.desk.state == locked).await;
    // Its lanes are shown, and its board is still Tess's.
    assert!(matches!(snapshot.lanes[0].state, LaneState::Running { .. }));
    gate.open();
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.operator.as_deref(), Some("Tess"));
    line.bench.unplug(1);
    station.until_gone(&[1]).await;
    line.bench.plug(1, "B", &chips[1]);
    station.until("a refused board", |snapshot| refused(snapshot) == Some(ReasonCode::STATION_LOCKED)).await;
    // Another person unlocks it, in whose name the board begins.
    sign_in(&mut station, "Ben", "Ben's own pin").await.unwrap();
    assert_eq!(station.unit().await.operator.as_deref(), Some("Ben"));
    station.until("locked again", |snapshot| matches!(snapshot.desk.state, DeskState::Locked { .. })).await;
    // The same person does, too.
    sign_in(&mut station, "Ben", "Ben's own pin").await.unwrap();
    let log = station.stop().await;
    let kinds: Vec<_> = log.iter().map(|logged| logged.kind()).filter(|kind| kind.contains("sign")).collect();
    // Tess is replaced; Ben comes back to what is theirs, and leaves with the station.
    assert_eq!(kinds, ["signed-in", "signed-out", "signed-in", "signed-in", "signed-out"]);
    assert_eq!(all(&log, "station-locked").len(), 2);
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_badge_operates_until_it_is_revoked_and_does_nothing_else() {
    let mut line = Line::new(Cloud::shared().await).await;
    let (root, chip) = (line.pin("Root"), line.bench.chip(KeyKind::EcP256));
    let operator = async |args: &[&str], status: i32| {
        let by = ["--as", "Root", "--pin-file", root.as_str()];
        Program::on(&line.bench, [&["operator"], args, &by].concat()).run().await.expect(status)
    };
    let badge_file = file(&line.bench, "badge", &format!("BADGE-{BADGE}\n"));
    operator(&["badge", "Tess", "--badge-file", &badge_file], 0).await;
    let taken = operator(&["badge", "Ben", "--badge-file", &badge_file], 3).await;
    assert!(taken.err.contains("O-626"), "{}", taken.err);
    let other = file(&line.bench, "badge-of-root", "00417350000");
    operator(&["badge", "Root", "--badge-file", &other], 0).await;
    let short = operator(&["badge", "Ben", "--badge-file", &file(&line.bench, "short", "BADGE-1234")], 2).await;
    assert!(short.err.contains("8 to 128") && !short.err.contains("1234"), "{}", short.err);

    let mut station = station(&line.bench, |_| {}, None).await;
    assert_eq!(ask(&mut station, Command::Badge(badge("00417359999"))).await, Err(ReasonCode::BADGE_UNKNOWN));
    line.bench.plug(1, "A", &chip);
    assert_eq!(ask(&mut station, Command::scanned(&format!("BADGE-{BADGE}"), "BADGE-")).await, Ok(()));
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.operator.as_deref(), Some("Tess"));
    // A copy of the administrator's badge manages nobody.
    assert_eq!(ask(&mut station, Command::Badge(badge("00417350000"))).await, Ok(()));
    let show = || Command::People(PeopleOrder::Show);
    assert_eq!(ask(&mut station, show()).await, Err(ReasonCode::PIN_NEEDED));
    assert_eq!(sign_in(&mut station, "Root", "Root's own pin").await, Ok(()));
    assert_eq!(ask(&mut station, show()).await, Ok(()));
    let people = station.until("the people", |snapshot| snapshot.desk.people.is_some()).await;
    let people = people.desk.people.clone().unwrap();
    assert_eq!(
        people.iter().filter(|person| person.badge).map(|person| &person.name).collect::<Vec<_>>(),
        ["Root", "Tess"]
    );
    let revoke = Command::People(PeopleOrder::RevokeBadge("Tess".to_owned()));
    assert_eq!(ask(&mut station, revoke).await, Ok(()));
    assert_eq!(ask(&mut station, Command::Badge(badge(BADGE))).await, Err(ReasonCode::BADGE_UNKNOWN));
    // In the window it is given to another, with another role.
    let give = PeopleOrder::GiveBadge { name: "Ben".to_owned(), code: badge(BADGE) };
    assert_eq!(ask(&mut station, Command::People(give)).await, Ok(()));
    let role = PeopleOrder::Role { name: "Ben".to_owned(), role: Role::Supervisor };
    assert_eq!(ask(&mut station, Command::People(role)).await, Ok(()));
    assert_eq!(ask(&mut station, Command::Badge(badge(BADGE))).await, Ok(()));
    let ben = |snapshot: &Arc<Snapshot>| matches!(&snapshot.desk.state, DeskState::SignedIn { name, role: Role::Supervisor, .. } if name == "Ben");
    let snapshot = station.until("Ben", ben).await;
    assert_eq!(snapshot.desk.people, None, "what was the administrator's to see is not Ben's");
    let log = station.stop().await;
    assert_eq!(all(&log, "badge-given").len(), 3);
    assert_eq!(all(&log, "badge-refused").len(), 2);
    let proofs: Vec<_> = all(&log, "signed-in").iter().map(|event| event["proof"].clone()).collect();
    assert_eq!(proofs, ["badge", "badge", "pin", "badge"]);
    line.verified().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_badge_and_pin_are_asked_for_a_badge_alone_is_half_of_it() {
    let line = Line::new(Cloud::shared().await).await;
    let (root, badge_file) = (line.pin("Root"), file(&line.bench, "badge", BADGE));
    let give = ["operator", "badge", "Tess", "--badge-file", &badge_file, "--as", "Root", "--pin-file", &root];
    Program::on(&line.bench, give).run().await.expect(0);
    let both = |config: &mut Config| config.sign_in.badge = BadgeUse::WithPin;
    let mut station = station(&line.bench, both, None).await;
    assert_eq!(ask(&mut station, Command::BadgePin(pin("Tess"))).await, Err(ReasonCode::NOT_NOW));
    assert_eq!(ask(&mut station, Command::Badge(badge(BADGE))).await, Err(ReasonCode::BADGE_NEEDS_PIN));
    let shown = DeskState::BadgeShown { name: "Tess".to_owned() };
    let snapshot = station.until("the badge's person", |snapshot| snapshot.desk.state == shown).await;
    assert_eq!(snapshot.operator, None);
    assert_eq!(ask(&mut station, Command::BadgePin(pin("Ben"))).await, Err(ReasonCode::OPERATOR_PIN));
    // The badge is shown anew.
    assert_eq!(ask(&mut station, Command::BadgePin(pin("Tess"))).await, Err(ReasonCode::NOT_NOW));
    assert_eq!(ask(&mut station, Command::Badge(badge(BADGE))).await, Err(ReasonCode::BADGE_NEEDS_PIN));
    assert_eq!(ask(&mut station, Command::BadgePin(pin("Tess"))).await, Ok(()));
    let log = station.stop().await;
    assert_eq!(all(&log, "signed-in")[0]["proof"], "badge-and-pin");
}

/// Whoever sits there when the cloud is back has no hand in what the station does then; whoever asks for it has.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_station_does_by_itself_is_in_the_name_of_whoever_operated_the_unit() {
    let mut line = Line::of(crate::held::bench(|text| text).await).await;
    line.bench.proxy.down().await;
    let mut station = station(&line.bench, |_| {}, None).await;
    sign_in(&mut station, "Tess", "Tess's own pin").await.unwrap();
    crate::held::hold(&mut line.bench, &mut station, &["A"]).await;
    sign_in(&mut station, "Aiko", "Aiko's own pin").await.unwrap();
    line.bench.proxy.up().await.unwrap();
    assert_outcome(&station.unit().await, "PASS");
    station.until("nothing held", |shown| shown.held == 0).await;

    line.bench.proxy.down().await;
    crate::held::hold(&mut line.bench, &mut station, &["B"]).await;
    sign_in(&mut station, "Ben", "Ben's own pin").await.unwrap();
    // It is HELD once more, or PASS: Ben wanted to know.
    station.command(Command::ResumeHeld).await;
    station.until("an absent cloud", |shown| format!("{:?}", shown.cloud).contains("A-301")).await;
    line.bench.proxy.up().await.unwrap();
    assert_outcome(&station.unit().await, "PASS");
    let log = station.stop().await;
    let id = |who: &str| person(&log, who, &line.bench)["id"].clone();
    let resumed = all(&log, "resumed");
    assert_eq!(resumed[0]["operator"]["id"], id("Tess"));
    let of_second = |event: &&&Value| event["run"] != resumed[0]["run"];
    assert_eq!(resumed.iter().find(of_second).unwrap()["operator"]["id"], id("Ben"));
    for event in log.iter().filter(|logged| logged.event["run"] == resumed[0]["run"]) {
        assert_eq!(event.event["operator"]["id"], id("Tess"));
    }
    line.verified().await;
}

/// Who operated a unit's run rules on nothing of it, by whichever way they came to the line.
#[tokio::test(flavor = "multi_thread")]
async fn who_operated_in_the_window_is_none_of_the_two_who_rule() {
    let mut line = Line::new(Cloud::shared().await).await;
    let chip = line.bench.chip(KeyKind::EcP256);
    let mut station = station(&line.bench, |_| {}, None).await;
    sign_in(&mut station, "Aiko", "Aiko's own pin").await.unwrap();
    line.bench.plug(1, "A", &chip);
    assert_outcome(&station.unit().await, "PASS");
    station.stop().await;
    line.bench.unplug(1);
    let serial = line.bench.serial("A");
    let rule = async |first: &str, second: &str, status: i32| -> Ended {
        let (one, two) = (line.pin(first), line.pin(second));
        let ruling = ["audit", "rule", "scrap", &serial, "--reason", "dropped", "--evidence-text", "photo 17"];
        let by = ["--as", first, "--pin-file", &one, "--second", second, "--second-pin-file", &two];
        Program::on(&line.bench, ruling.into_iter().chain(by)).run().await.expect(status)
    };
    for (first, second) in [("Aiko", "Ben"), ("Ben", "Aiko")] {
        let refused = rule(first, second, 3).await;
        assert!(refused.err.contains("O-611") && refused.err.contains("Aiko operated"), "{}", refused.err);
    }
    // And nobody was made to have operated it: Tomo could say so of nobody, and Tomo may rule.
    rule("Ben", "Tomo", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_administrator_is_created_in_the_window_and_a_name_alone_is_nobody_s_from_then_on() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let mut config = bench.config();
    config.sign_in.required = true;
    let credentials = SharedCredentialsProvider::new(bench.cloud.credentials.clone());
    let mut station = Station::start_at(Arc::new(config), bench.data_dir(), credentials, |_| {}).await;
    let known = |snapshot: &Arc<Snapshot>| snapshot.desk.state == DeskState::NoPeople;
    station.until("a station without people", known).await;
    bench.plug(1, "A", &chips[0]);
    let record = station.unit().await;
    assert_outcome(&record, "PASS");
    assert_eq!(record.operator.as_deref(), Some("tester"));
    bench.unplug(1);
    station.until_gone(&[1]).await;
    let add =
        |name: &str, role| Command::People(PeopleOrder::Add { name: name.parse().unwrap(), role, pin: pin(name) });
    assert_eq!(ask(&mut station, add("Tess", Role::Technician)).await, Err(ReasonCode::NOT_NOW));
    assert_eq!(ask(&mut station, add("Root", Role::Administrator)).await, Ok(()));
    let root = station.until("Root", |snapshot| snapshot.operator.as_deref() == Some("Root")).await;
    assert!(matches!(&root.desk.state, DeskState::SignedIn { role: Role::Administrator, .. }));
    assert_eq!(ask(&mut station, add("Tess", Role::Technician)).await, Ok(()));
    assert_eq!(ask(&mut station, Command::SignOut).await, Ok(()));
    // Nobody adds an administrator of their own now.
    assert_eq!(ask(&mut station, add("Evil", Role::Administrator)).await, Err(ReasonCode::OPERATOR_ROLE));
    bench.plug(1, "B", &chips[1]);
    station.until("a refused board", |snapshot| refused(snapshot) == Some(ReasonCode::NOBODY_SIGNED_IN)).await;
    let log = station.stop().await;
    assert_eq!(all(&log, "run-started").len(), 1);
}

/// What is typed and scanned is in no place that outlives it.
#[tokio::test(flavor = "multi_thread")]
async fn no_pin_and_no_badge_is_printed_logged_or_stored() {
    const PIN: &str = "73509182645";
    let mut line = Line::new(Cloud::shared().await).await;
    let chip = line.bench.chip(KeyKind::EcP256);
    let root = line.pin("Root");
    let mut said = Vec::new();
    let new = format!("Root's own pin\n{PIN}\n");
    let operator = |args: &[&str], input: &str| {
        Program::on(&line.bench, [&["-vv", "operator"], args, &["--as", "Root"]].concat()).input(input).run()
    };
    said.push(operator(&["reset", "Tess"], &new).await.expect(0));
    said.push(operator(&["badge", "Tess"], &format!("Root's own pin\nBADGE-{BADGE}\n")).await.expect(0));
    said.push(operator(&["badge", "Ben"], &format!("Root's own pin\nBADGE-{BADGE}\n")).await.expect(3));
    drop(root);
    line.bench.plug(1, "A", &chip);
    let args = ["-vv", "run", "--json", "--units", "1"];
    let by_badge = Program::on(&line.bench, args).input(&format!("BADGE-{BADGE}0\nBADGE-{BADGE}\nBADGE-0041\n"));
    said.push(by_badge.run().await.expect(0));
    let by_pin = Program::on(&line.bench, [&args[..], &["--as", "Tess"]].concat()).input(&format!("{PIN}\n"));
    said.push(by_pin.run().await.expect(0));
    let wrong = Program::on(&line.bench, [&args[..], &["--as", "Tess"]].concat()).input(&format!("{PIN}0\n"));
    said.push(wrong.run().await.expect(3));
    assert!(all(&line.log(), "signed-in").len() >= 2, "both were used");

    let mut places: Vec<Vec<u8>> =
        said.into_iter().flat_map(|ended| [ended.out.into_bytes(), ended.err.into_bytes()]).collect();
    collect(&line.bench.data_dir(), &mut places);
    let holds = |text: &str| places.iter().any(|bytes| bytes.windows(text.len()).any(|it| it == text.as_bytes()));
    for secret in [PIN, BADGE, &PIN[1..], &BADGE[1..]] {
        assert!(!holds(secret) && !holds(&hex::encode(secret)), "{secret}");
    }
    assert!(holds("$argon2id$") && holds("Tess"), "the search finds what is there");
}

fn collect(folder: &std::path::Path, places: &mut Vec<Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => collect(&path, places),
            false => places.push(std::fs::read(&path).unwrap()),
        }
    }
}

impl Line<'_> {
    /// `lineseal audit verify` has nothing to say against the log.
    pub async fn verified(&self) {
        Program::on(&self.bench, ["audit", "verify"]).run().await.expect(0);
    }
}
