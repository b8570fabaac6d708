//! `lineseal audit list|search|show`: what QA and programs read of a log, through the real program.

use lineseal::adapters::sqlite;
use lineseal::adapters::store::{LogStore, archive};
use lineseal::audit::event::{Evidence, LabelKind, LabelStatus, Purpose, Ruling, SignatureScheme, TargetRecord};
use lineseal::audit::{Body, Event, LineEvent, RunEvent};
use lineseal::domain::profile::CertificateStatus;
use lineseal::domain::{Bytes, Failure, Fingerprint, OperatorRef, ReasonCode, RunId, Sha256, Step, Unit, Verdict};
use lineseal::ports::{AuditStore as _, Checkpoints as _, Imports as _, People as _, StoredCheckpoint};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::office::Office;
use crate::program::Ended;
use crate::store_contract::{
    bound, claim, event, failed, identity, imported, line, proven, run_id, sealed, typed, unit,
};

/// What stands behind a label, and in the lines below that have none.
fn field(ended: &Ended, label: &str) -> String {
    let start = format!("  {label} ");
    let mut lines = ended.out.lines().skip_while(|line| !line.starts_with(&start));
    let first = lines.next().unwrap_or_else(|| panic!("no {label:?}:\n{}", ended.out));
    let more = lines.take_while(|line| line.starts_with(&" ".repeat(18)));
    let values: Vec<&str> = std::iter::once(&first[start.len()..]).chain(more).map(str::trim).collect();
    values.join("\n")
}

fn store(office: &Office) -> LogStore {
    sqlite::open(&office.data().join(sqlite::FILE)).unwrap()
}

/// A person whom events may name.
async fn person(store: &LogStore, name: &str) -> OperatorRef {
    store.operator(name, (uuid::Uuid::from_u128(rand::random()), rand::random())).await.unwrap()
}

/// As a station opens it: what fails from here on is locked.
async fn opened_by_name(store: &LogStore) {
    store.append(vec![line(LineEvent::LogOpened { origin: "factory.example/line".to_owned() })]).await.unwrap();
}

/// A run as a station writes it, up to its claim.
async fn claimed(store: &LogStore, serial: &str, chip: u32, operator: Option<&OperatorRef>) -> RunId {
    let run = run_id();
    let named = |mut events: Vec<Event>| {
        events.iter_mut().for_each(|event| event.operator = operator.cloned());
        events
    };
    let [begun, identified, read, answered] = proven(run, serial, chip).try_into().unwrap();
    let step = |step| event(run, RunEvent::StepBegan { step });
    let challenge = RunEvent::ChallengeMade { purpose: Purpose::First, challenge: Bytes(vec![0xab; 70]) };
    let events = vec![
        begun,
        step(Step::Identify),
        identified,
        step(Step::Read),
        read,
        step(Step::Prove),
        event(run, challenge),
        answered,
        step(Step::Check),
    ];
    store.append(named(events)).await.unwrap();
    let mut wish = claim(serial, identity(chip));
    (wish.run, wish.operator) = (run, operator.cloned());
    bound(store.claim(wish).await);
    run
}

/// … and to its PASS, with a label on paper.
async fn passed(store: &LogStore, serial: &str, chip: u32, operator: Option<&OperatorRef>) -> RunId {
    let run = claimed(store, serial, chip, operator).await;
    let fingerprint = identity(chip).fingerprint;
    let [.., read, answered] = <[Event; 4]>::try_from(proven(run, serial, chip)).unwrap();
    let Body::Run(RunEvent::ChipRead { reading }) = read.body else { panic!() };
    let Body::Run(RunEvent::ChallengeAnswered { decision, .. }) = answered.body else { panic!() };
    let purpose = Purpose::BeforeRegister;
    let target = TargetRecord {
        target: "production".parse().unwrap(),
        account: "123456789012".parse().unwrap(),
        region: "eu-central-1".parse().unwrap(),
        certificate_arn: format!("arn:aws:iot:eu-central-1:123456789012:cert/{fingerprint}"),
        thing_arn: format!("arn:aws:iot:eu-central-1:123456789012:thing/gw-{serial}"),
        policy: "gateway".to_owned(),
        endpoint: "x-ats.iot.eu-central-1.amazonaws.com".to_owned(),
        status: CertificateStatus::Active,
        created: vec!["certificate".to_owned(), "thing".to_owned()],
        adopted: Vec::new(),
        replaced: Vec::new(),
        device_configuration: Default::default(),
        attachment: None,
    };
    let kind = LabelKind::Unit;
    let bodies = [
        RunEvent::StepBegan { step: Step::Register },
        RunEvent::ReadAgain { reading: reading.clone() },
        RunEvent::ChallengeMade { purpose, challenge: Bytes(vec![0xcd; 70]) },
        RunEvent::ChallengeAnswered {
            purpose,
            signature: Bytes(vec![2; 64]),
            scheme: SignatureScheme::EcdsaSecp256r1Sha256,
            decision: decision.clone(),
        },
        RunEvent::RegisterIntended {
            fingerprint,
            thing: format!("gw-{serial}").parse().unwrap(),
            targets: vec!["production".parse().unwrap()],
            connect: None,
        },
        RunEvent::Registered { target },
        RunEvent::StepBegan { step: Step::Seal },
        RunEvent::ReadAgain { reading },
        RunEvent::ChallengeMade { purpose: Purpose::AfterConnect, challenge: Bytes(vec![0xef; 70]) },
        RunEvent::ChallengeAnswered {
            purpose: Purpose::AfterConnect,
            signature: Bytes(vec![3; 64]),
            scheme: SignatureScheme::EcdsaSecp256r1Sha256,
            decision,
        },
    ];
    let mut events: Vec<Event> = bodies.into_iter().map(|body| event(run, body)).collect();
    events.push(sealed(run, Verdict::Pass, Some(kind)));
    events.push(event(run, RunEvent::LabelIntended { kind }));
    events.push(event(run, RunEvent::LabelEnded { kind, status: LabelStatus::Printed, failure: None }));
    events.iter_mut().for_each(|event| event.operator = operator.cloned());
    store.append(events).await.unwrap();
    run
}

/// … and to a FAIL after it was proven: the unit is locked.
async fn refused(store: &LogStore, serial: &str, chip: u32, operator: Option<&OperatorRef>) -> RunId {
    let run = claimed(store, serial, chip, operator).await;
    let failure = Failure::new(ReasonCode::THING_FOREIGN, "held by another").with("thing", "gw-other");
    let mut events = vec![
        event(run, RunEvent::StepFailed { step: Step::Register, failure: failure.clone(), untouched: false }),
        event(run, RunEvent::Sealed { verdict: Verdict::Fail, reason: Some(failure), slip: None, label: None }),
    ];
    events.iter_mut().for_each(|event| event.operator = operator.cloned());
    store.append(events).await.unwrap();
    run
}

/// A release by two persons, on evidence.
async fn released(store: &LogStore, serial: &str, by: &OperatorRef, second: &OperatorRef, words: &str) -> Event {
    let mut event = typed(store, words, Ruling::Release { unit: unit(serial) }).await;
    event.operator = Some(by.clone());
    let Body::Line(LineEvent::Ruled { second: other, evidence, .. }) = &mut event.body else { panic!() };
    *other = Some(second.clone());
    evidence.push(Evidence { name: "x-ray.png".to_owned(), sha256: Sha256::of(b"picture") });
    store.append(vec![event.clone()]).await.unwrap();
    event
}

/// The numbers of what was listed, and the next page's option.
fn page(ended: &Ended) -> (Vec<u64>, Option<Value>) {
    let mut lines = ended.json();
    let next = lines.pop_if(|line| line.get("next").is_some()).map(|line| line["next"].clone());
    (lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect(), next)
}

#[tokio::test]
async fn a_folder_without_a_log_is_told_and_stays_empty() {
    let office = Office::unstaffed();
    for command in [&["list"][..], &["search", "solder"], &["show", "A1"]] {
        let ended = office.audit(command, 3);
        assert!(ended.err.contains("there is no log in"), "{}", ended.err);
        assert_eq!(ended.out, "");
    }
    assert!(!office.data().exists(), "reading makes no log");
}

#[tokio::test]
async fn the_list_is_newest_first_and_its_pages_meet() {
    let office = Office::unstaffed();
    let store = store(&office);
    let (sato, mori) = (person(&store, "佐藤").await, person(&store, "Mori").await);
    for n in 0..7 {
        passed(&store, &format!("GW4-000{n}"), n, Some(&sato)).await;
    }
    let failing = refused(&store, "GW4-0090", 90, Some(&sato)).await;
    released(&store, "GW4-0090", &mori, &sato, "solder bridge removed").await;
    store.import(vec![imported(2, "I1", 900)]).await.unwrap();

    let (all, next) = page(&office.audit(&["list", "--json"], 0));
    assert_eq!((all.len(), next), (10, None));
    assert!(all.is_sorted_by(|earlier, later| earlier > later), "{all:?}");
    let (mut gathered, mut arguments) = (Vec::new(), vec!["list".to_owned()]);
    loop {
        let mut command: Vec<&str> = arguments.iter().map(String::as_str).collect();
        command.extend(["--json", "--limit", "4"]);
        let ended = office.audit(&command, 0);
        let (part, next) = page(&ended);
        gathered.extend(part);
        let Some(next) = next else { break };
        let after = next["after"].as_str().unwrap().to_owned();
        assert!(ended.err.contains(&format!("--after {after}")), "{}", ended.err);
        arguments = vec!["list".to_owned(), "--after".to_owned(), after];
    }
    assert_eq!(gathered, all);

    let shown = office.audit(&["list"], 0);
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(shown.out.lines().chain(shown.err.lines()).all(|line| line.chars().count() <= 100), "{}", shown.out);
    assert!(shown.err.contains("event") && shown.err.contains("verdict"), "the heading is no data: {}", shown.err);
    assert!(lines[1].contains("release") && lines[1].ends_with("solder bridge removed"), "{}", lines[1]);
    assert!(lines[2].contains("GW4-0090") && lines[2].contains("FAIL      S-111"), "{}", lines[2]);
    assert!(lines[3].contains("PASS") && lines[3].ends_with("gw-GW4-0006"), "{}", lines[3]);
    let run = &office.audit(&["list", "--json"], 0).json()[2];
    assert_eq!((&run["kind"], &run["run"]), (&json!("run"), &json!(failing)));
    assert_eq!(run["operator"], json!({ "id": sato.id, "name": "佐藤", "forgotten": false }));

    assert!(office.audit(&["list", "--after", "yesterday"], 2).err.contains("a page's end is a number"));
    office.audit(&["list", "--limit", "0"], 2);
    office.audit(&["list", "--locked", "--events"], 2);
    office.audit(&["list", "--from", "3"], 2);
}

#[tokio::test]
async fn units_that_wait_and_rows_that_contradict_are_listed_with_both_sides() {
    let office = Office::unstaffed();
    let store = store(&office);
    assert!(office.audit(&["list"], 0).err.contains("nothing is in the log yet"));
    assert!(office.audit(&["list", "--locked"], 0).err.contains("no unit waits"));
    assert!(office.audit(&["list", "--conflicts"], 0).err.contains("no imported row contradicts"));
    opened_by_name(&store).await;
    let run = refused(&store, "A1", 1, None).await;
    store.import(vec![imported(2, "I1", 900), imported(3, "I2", 900)]).await.unwrap();

    let locked = office.audit(&["list", "--locked"], 0);
    assert!(locked.out.lines().any(|line| line.contains("A1") && line.contains("FAIL S-111")), "{}", locked.out);
    assert!(locked.out.lines().any(|line| line.contains("I2") && line.contains("S-115")), "{}", locked.out);
    let japanese = office.audit(&["list", "--locked", "--language", "ja"], 0);
    assert!(japanese.out.contains("S-111") && !japanese.out.is_ascii(), "{}", japanese.out);
    let locks = office.audit(&["list", "--locked", "--json"], 0).json();
    let of_a1 = locks.iter().find(|lock| lock["serial"] == "A1").unwrap();
    assert_eq!((&of_a1["lock"], &of_a1["run"], &of_a1["reason"]), (&json!("failed"), &json!(run), &json!("S-111")));

    let conflicts = office.audit(&["list", "--conflicts", "--json"], 0).json();
    assert_eq!(conflicts.len(), 1);
    assert_eq!((&conflicts[0]["serial"], &conflicts[0]["line"]), (&json!("I2"), &json!(3)));
    let other = &conflicts[0]["conflicts"][0];
    assert_eq!((&other["serial"], &other["rule"]), (&json!("I1"), &json!("certificate")));
    let told = office.audit(&["list", "--conflicts"], 0).out;
    assert!(told.contains("I2") && told.trim_end().ends_with("I1"), "{told}");
}

#[tokio::test]
async fn events_go_back_from_the_end_or_on_from_a_number() {
    let office = Office::unstaffed();
    let store = store(&office);
    let sato = person(&store, "佐藤").await;
    passed(&store, "A1", 1, Some(&sato)).await;
    let size = store.head().await.unwrap().size;
    let (back, next) = page(&office.audit(&["list", "--events", "--json", "--limit", "5"], 0));
    assert_eq!(back, (size - 5..size).rev().collect::<Vec<_>>());
    let after = next.unwrap()["after"].as_str().unwrap().to_owned();
    let (more, _) = page(&office.audit(&["list", "--events", "--json", "--limit", "3", "--after", &after], 0));
    assert_eq!(more, (size - 8..size - 5).rev().collect::<Vec<_>>());

    let on = office.audit(&["list", "--events", "--from", "0", "--json", "--limit", "5"], 0);
    assert_eq!(page(&on), ((0..5).collect(), Some(json!({ "from": "5" }))));
    assert!(on.err.contains("--from 5"), "{}", on.err);
    assert_eq!(on.json()[0]["event"]["event"], "run-started");
    let rest = office.audit(&["list", "--events", "--from", "5", "--json"], 0);
    assert_eq!(page(&rest), ((5..size).collect(), None));
    let told = office.audit(&["list", "--events", "--from", "0"], 0);
    let identified = told.out.lines().nth(2).unwrap();
    assert!(["identified", "佐藤", "A1"].iter().all(|word| identified.contains(word)), "{identified}");
    assert!(office.audit(&["list", "--events", "--from", "999"], 0).err.contains("no such events"));
}

#[tokio::test]
async fn a_search_takes_what_people_have_at_hand() {
    let office = Office::unstaffed();
    let store = store(&office);
    let (sato, mori) = (person(&store, "佐藤").await, person(&store, "Mori").await);
    let runs = [
        passed(&store, "GW4-0001", 1, Some(&sato)).await,
        passed(&store, "GW4-0002", 2, Some(&mori)).await,
        refused(&store, "GW4-0003", 3, Some(&mori)).await,
    ];
    released(&store, "GW4-0003", &mori, &sato, "はんだ不良のため再加工した").await;
    let found = |arguments: &[&str]| {
        let ended = office.audit(&[&["search", "--json"], arguments].concat(), 0);
        let name = |line: &Value| match runs.iter().position(|run| line["run"] == json!(run)) {
            Some(at) => at.to_string(),
            None => line["ruling"].as_str().unwrap().to_owned(),
        };
        ended.json().iter().map(name).collect::<Vec<_>>().join(" ")
    };
    let sha = identity(2).fingerprint.to_string();
    let pairs: Vec<String> = sha.as_bytes().chunks(2).map(|two| String::from_utf8_lossy(two).to_uppercase()).collect();
    let uid = identity(1).uid.unwrap().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["--serial", "GW4-0002"], "1"),
        (&["--thing", "gw-GW4-0001"], "0"),
        (&["--fingerprint", &sha], "1"),
        (&["--fingerprint", &pairs.join(":")], "1"),
        (&["--fingerprint", &pairs[..6].join(" ")], "1"),
        (&["--uid", &uid.to_uppercase()], "0"),
        (&["--reason", "s-111"], "2"),
        (&["--verdict", "pass"], "1 0"),
        (&["--operator", "佐藤"], "0"),
        (&["--operator", "Mori"], "release 2 1"),
        (&["--product", "gateway", "--verdict", "FAIL"], "2"),
        (&["--from", "2020-01-01", "--verdict", "PASS"], "1 0"),
        (&["--until", "2020-01-01"], ""),
        (&["再加工"], "release"),
        (&["gateway", "foreign"], ""),
        (&["gateway", "another"], "2"),
    ];
    for (arguments, expected) in cases {
        assert_eq!(found(arguments), *expected, "{arguments:?}");
    }
    let nothing = office.audit(&["search", "--serial", "GW5"], 0);
    assert_eq!((nothing.out.as_str(), nothing.err.trim()), ("", "nothing in the log is like that"));
    let first = office.audit(&["search", "--serial", "GW4", "--limit", "1", "--json"], 0);
    let (_, next) = page(&first);
    let after = next.unwrap()["after"].as_str().unwrap().to_owned();
    let second = office.audit(&["search", "--serial", "GW4", "--limit", "1", "--json", "--after", &after], 0);
    assert_eq!(second.json()[0]["serial"], "GW4-0002");

    assert!(office.audit(&["search", "--operator", "Nobody"], 2).err.contains("O-616"));
    for bad in [["--fingerprint", "xyz"], ["--reason", "S-999"], ["--verdict", "GOOD"], ["--from", "yesterday"]] {
        office.audit(&[&["search"], &bad[..]].concat(), 2);
    }
}

#[tokio::test]
async fn a_units_history_is_whole_for_people_and_for_programs() {
    let office = Office::unstaffed();
    let store = store(&office);
    opened_by_name(&store).await;
    let (sato, mori) = (person(&store, "佐藤").await, person(&store, "Mori").await);
    store.import(vec![imported(2, "A1", 1)]).await.unwrap();
    let first = refused(&store, "A1", 1, Some(&sato)).await;
    assert!(field(&office.audit(&["show", "A1"], 0), "locked").starts_with("FAIL S-111"));
    let ruling = released(&store, "A1", &mori, &sato, "solder bridge removed").await;
    let second = passed(&store, "A1", 1, Some(&sato)).await;
    // The next serial number begins like this one.
    passed(&store, "A11", 11, None).await;

    let told = office.audit(&["show", "A1"], 0);
    let headings: Vec<&str> = told.out.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    let (failed, passing) = (format!("run {first}  FAIL"), format!("run {second}  PASS"));
    assert_eq!(headings, ["gateway A1", "imported row", &failed, "ruling: release", &passing]);
    let fingerprint = identity(1).fingerprint;
    for (label, value) in [
        ("locked", "no"),
        ("bound to", &fingerprint.to_string()),
        ("operator", "佐藤"),
        ("cause", "held by another"),
        ("challenge", "to prove the chip"),
        ("  bytes", &"ab".repeat(32)),
        ("  signature", &"01".repeat(32)),
        ("  scheme", "ecdsa_secp256r1_sha256"),
        ("  issuer", "CN=vendor"),
        ("  path", &fingerprint.to_string()),
        ("  SPKI SHA-256", &identity(1).spki.to_string()),
        ("chip UID", identity(1).uid.unwrap().as_str()),
        ("by", "Mori"),
        ("second", "佐藤"),
        ("evidence", "x-ray.png"),
        ("target", "production: account 123456789012, eu-central-1"),
    ] {
        assert!(field(&told, label).contains(value), "{label}: {}", field(&told, label));
    }
    assert!(told.out.contains("solder bridge removed") && told.out.contains("  used up         by event "));
    assert!(told.out.contains("  label           printed") && !told.out.contains("out of order"), "{}", told.out);
    let last_steps = told.out.rsplit("  steps ").next().unwrap();
    assert!(last_steps.contains("register  ") && last_steps.contains("print  "), "{last_steps}");

    let lines = office.audit(&["show", "A1", "--json"], 0).json();
    assert_eq!(
        lines.iter().map(|line| line["kind"].as_str().unwrap()).collect::<Vec<_>>(),
        ["imported", "run", "ruling", "run"]
    );
    let (row, ruled, run) = (&lines[0], &lines[2], &lines[3]);
    assert_eq!((&row["line"], &row["event"]["event"]), (&json!(2), &json!("imported")));
    assert_eq!((&ruled["by"]["name"], &ruled["reason"]["text"]), (&json!("Mori"), &json!("solder bridge removed")));
    assert_eq!(ruled["event"]["id"], json!(ruling.id));
    assert!(ruled["used_by"].is_u64());
    assert_eq!(
        (&run["run"], &run["verdict"], &run["label"]["status"]),
        (&json!(second), &json!("PASS"), &json!("printed"))
    );
    assert_eq!(run["certificate"]["sha256"], json!(fingerprint));
    assert_eq!(run["people"], json!([{ "id": sato.id, "name": "佐藤", "forgotten": false }]));
    let events = run["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["event"]["event"], "label-ended");
    let at = events.iter().find(|event| event["event"]["event"] == "sealed").unwrap();
    assert_eq!((&at["seq"], &at["leaf"]), (&run["log"]["seq"], &run["log"]["leaf"]));

    let one = office.audit(&["show", &first.to_string()], 0);
    assert!(one.out.contains(&failed) && !one.out.contains("ruling"), "{}", one.out);
    assert_eq!(office.audit(&["show", &second.to_string(), "--json"], 0).json()[0], *run);
}

#[tokio::test]
async fn the_reason_is_told_in_the_readers_language() {
    let office = Office::unstaffed();
    let run = refused(&store(&office), "A1", 1, None).await;
    let told = office.audit(&["show", &run.to_string(), "--language", "ja"], 0);
    let texts = lineseal::texts::reasons()
        .text(&"ja".parse().unwrap(), &Failure::new(ReasonCode::THING_FOREIGN, "").with("thing", "gw-other"));
    assert_eq!(field(&told, "reason"), format!("S-111 {}", texts.title));
    assert_eq!(field(&told, "for QA"), texts.qa);
}

#[tokio::test]
async fn a_serial_number_of_two_products_has_to_be_said_more_closely() {
    let office = Office::unstaffed();
    let store = store(&office);
    passed(&store, "A1", 1, None).await;
    let sensor = Unit { product: "sensor".parse().unwrap(), ..unit("A1") };
    store.append(vec![typed(&store, "broken", Ruling::Scrap { unit: sensor }).await]).await.unwrap();
    let several = office.audit(&["show", "A1"], 2);
    assert!(["O-615", "--product", "gateway, sensor"].iter().all(|part| several.err.contains(part)), "{}", several.err);
    assert_eq!(several.out, "");
    let told = office.audit(&["show", "A1", "--product", "sensor"], 0);
    assert!(told.out.starts_with("sensor A1\n") && field(&told, "locked").contains("S-114"), "{}", told.out);
    for unknown in [&["A2"][..], &["A1", "--product", "lamp"], &["#9999"], &["A 1"]] {
        assert!(office.audit(&[&["show"], unknown].concat(), 2).err.contains("O-616"), "{unknown:?}");
    }
    assert!(office.audit(&["show", "#x"], 2).err.contains("O-615"));
}

#[tokio::test]
async fn who_and_what_was_forgotten_is_told_as_forgotten() {
    let office = Office::unstaffed();
    let store = store(&office);
    let (sato, mori) = (person(&store, "佐藤").await, person(&store, "Mori").await);
    refused(&store, "A1", 1, Some(&sato)).await;
    let ruling = released(&store, "A1", &mori, &sato, "Sato's mistake").await;
    let Body::Line(LineEvent::Ruled { reason, .. }) = &ruling.body else { panic!() };
    assert!(store.forget(sato.id).await.unwrap() && store.forget_text(reason.id).await.unwrap());
    let told = office.audit(&["show", "A1"], 0);
    assert_eq!(
        (field(&told, "operator"), field(&told, "second"), field(&told, "by")),
        ("forgotten".to_owned(), "forgotten".to_owned(), "Mori".to_owned())
    );
    assert!(told.out.contains("  reason          forgotten"), "{}", told.out);
    assert!(office.audit(&["list"], 0).out.lines().next().unwrap().ends_with("forgotten"));
    let lines = office.audit(&["show", "A1", "--json"], 0).json();
    assert_eq!(lines[0]["people"][0], json!({ "id": sato.id, "name": null, "forgotten": true }));
    assert_eq!((&lines[1]["reason"]["forgotten"], &lines[1]["reason"]["text"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn one_event_is_shown_as_it_was_written() {
    let office = Office::unstaffed();
    let store = store(&office);
    let sato = person(&store, "佐藤").await;
    passed(&store, "A1", 1, Some(&sato)).await;
    let (logged, bytes) = lineseal::ports::History::events(&store, 2, 1).await.unwrap().remove(0);
    let told = office.audit(&["show", "#2"], 0);
    assert_eq!(
        (field(&told, "leaf hash"), field(&told, "operator")),
        (logged.receipt.leaf.to_hex(), "佐藤".to_owned())
    );
    let text = told.out.split_once("\n\n").unwrap().1;
    let written: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), written);
    assert!(text.lines().count() > 5, "{text}");
    let exact = office.audit(&["show", "#2", "--json"], 0);
    assert!(exact.out.contains(std::str::from_utf8(&bytes).unwrap()), "{}", exact.out);
}

#[tokio::test]
async fn certificates_come_as_pem_and_nothing_else() {
    let office = Office::unstaffed();
    let store = store(&office);
    passed(&store, "A1", 1, None).await;
    // Somebody else's certificate, seen on this board and refused: it is not the unit's.
    let run = run_id();
    store.append(proven(run, "A1", 2)).await.unwrap();
    store.append(vec![failed(run, ReasonCode::UNIT_BOUND)]).await.unwrap();
    let of = |ended: &Ended| -> Vec<Fingerprint> {
        CertificateDer::pem_slice_iter(ended.out.as_bytes()).map(|der| Fingerprint::of(&der.unwrap())).collect()
    };
    let unit = office.audit(&["show", "A1", "--certificate"], 0);
    assert_eq!(of(&unit), [identity(1).fingerprint]);
    assert!(unit.out.starts_with("-----BEGIN") && unit.out.ends_with("CERTIFICATE-----\n"), "{}", unit.out);
    assert_eq!(of(&office.audit(&["show", &run.to_string(), "--certificate"], 0)), [identity(2).fingerprint]);
    assert_eq!(of(&office.audit(&["show", "#4", "--certificate"], 0)), [identity(1).fingerprint]);
    let none = office.audit(&["show", "#0", "--certificate"], 3);
    assert!(none.out.is_empty() && none.err.contains("no certificate"), "{}", none.err);
}

#[tokio::test]
async fn of_archived_events_what_is_still_known_is_told() {
    let office = Office::unstaffed();
    let store = store(&office);
    let sato = person(&store, "佐藤").await;
    let run = passed(&store, "A1", 1, Some(&sato)).await;
    let scrap = typed(&store, "dropped", Ruling::Scrap { unit: unit("A1") }).await;
    let past = store.head().await.unwrap().size;
    store.append(vec![scrap]).await.unwrap();
    store.keep(&StoredCheckpoint { size: past, note: format!("o\n{past}\nx\n\n— o AAAA\n") }).await.unwrap();
    let folder = office.dir.path().join("far-away");
    let elsewhere = folder.clone();
    let file = store.read(move |session| archive::write(session, 0, past, &elsewhere)).await.unwrap().1;
    let event = line(LineEvent::Archived { first: 0, end: past, file });
    store.write(move |session, appender| archive::let_go(session, appender, &event)).await.unwrap();

    let told = office.audit(&["show", "A1"], 3);
    assert!(told.err.contains("L-527"), "{}", told.err);
    assert!(told.out.contains(&format!("run {run}  PASS")), "{}", told.out);
    assert_eq!((field(&told, "thing"), field(&told, "operator")), ("gw-A1".to_owned(), "佐藤".to_owned()));
    assert!(field(&told, "locked").contains("S-114") && told.out.contains("dropped"), "{}", told.out);
    let lines = office.audit(&["show", "A1", "--json"], 3).json();
    assert_eq!((&lines[0]["archived"], &lines[0]["verdict"]), (&json!(true), &json!("PASS")));
    assert!(office.audit(&["show", &run.to_string()], 3).err.contains("L-527"));
    let one = office.audit(&["show", "#2", "--json"], 3);
    assert_eq!((&one.json()[0]["archived"], one.json()[0]["leaf"].as_str().unwrap().len()), (&json!(true), 64));
    let list = office.audit(&["list", "--events", "--from", "0"], 0).out;
    assert!(list.contains(&format!("0-{}", past - 1)) && list.contains("not at hand"), "{list}");
    assert_eq!(page(&office.audit(&["list", "--json"], 0)).0.len(), 2, "the list needs no bytes of theirs");

    // Where the archive is beside the log, everything is as it was.
    std::fs::rename(folder, office.data().join(sqlite::ARCHIVES)).unwrap();
    assert!(field(&office.audit(&["show", "A1"], 0), "  scheme").contains("ecdsa"));
}
