//! `lineseal doctor` on a line: what is there, what is missing, and by name; and the policy that it prints is what a
//! station needs, before a peer that holds users to theirs.

use lineseal::domain::profile::KeyKind;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::iam::{self, ACCOUNT, Keys};
use crate::peers::Cloud;
use crate::program::{Ended, Program};

/// AWS authorises these on a certificate or a CA; MiniStack names no resource for them, and allows them on `*` alone.
const ON_ANYTHING_IN_MINISTACK: [&str; 3] = ["iot:AttachPolicy", "iot:DetachPolicy", "iot:DescribeCACertificate"];

fn configure(bench: &Bench<'_>, from: &str, to: &str) {
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&bench.config_file, text.replace(from, to)).unwrap();
}

/// A target's account stands in its configuration, as outside of practice it has to.
fn of_account(bench: &Bench<'_>, account: &str) {
    configure(bench, "name = \"practice\"\n", &format!("name = \"practice\"\naccount = \"{account}\"\n"));
}

async fn doctor(bench: &Bench<'_>, keys: Option<&Keys>, more: &[&str], status: i32) -> Ended {
    let program = Program::on(bench, [&["doctor"], more].concat());
    let program = match keys {
        Some(keys) => program.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret),
        None => program,
    };
    program.run().await.expect(status)
}

fn of<'f>(found: &'f [Value], check: &str) -> Vec<&'f Value> {
    found.iter().filter(|finding| finding["check"] == check).collect()
}

fn permission<'f>(found: &'f [Value], action: &str) -> &'f Value {
    let of_action = of(found, "permission").into_iter().find(|finding| finding["action"] == action);
    of_action.unwrap_or_else(|| panic!("{action}: {found:#?}"))
}

fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Action"].as_array_mut().unwrap().retain(|known| known != action);
    }
    policy["Statement"].as_array_mut().unwrap().retain(|it| !it["Action"].as_array().unwrap().is_empty());
    policy
}

/// What MiniStack takes for the same.
fn for_ministack(policy: &Value) -> Value {
    let mut policy = policy.clone();
    let known = actions(&policy);
    let wide: Vec<&str> = ON_ANYTHING_IN_MINISTACK.into_iter().filter(|it| known.iter().any(|k| k == it)).collect();
    for action in &wide {
        policy = without(&policy, action);
    }
    let statement = json!({ "Effect": "Allow", "Action": wide, "Resource": "*" });
    policy["Statement"].as_array_mut().unwrap().push(statement);
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_policy_is_enough_for_a_unit_and_each_right_that_is_taken_away_is_named() {
    let cloud = Cloud::ministack().await;
    let mut bench = Bench::new(1, &cloud).await;
    of_account(&bench, ACCOUNT);
    let printed = doctor(&bench, None, &["--policy"], 0).await;
    let policy: Value = serde_json::from_str(&printed.out).unwrap();
    assert!(printed.err.contains("iot:RegisterCertificateWithoutCA"), "{}", printed.err);
    let resources = policy["Statement"].to_string();
    for resource in ["thing/practice-*", "policy/practice-device", "thingtype/practice-board", "cert/*"] {
        let arn = format!("arn:aws:iot:{}:{ACCOUNT}:{resource}", cloud.region);
        assert!(resources.contains(&arn), "{arn}: {resources}");
    }
    assert!(!actions(&policy).contains(&"iot:RegisterCertificate".to_owned()), "of a method that nobody chose");

    // Nobody is there yet who may do anything, and nothing is made by asking.
    let before = cloud.witness();
    let keys = iam::user(&cloud, "exact", &for_ministack(&policy)).await;
    let found = doctor(&bench, Some(&keys), &["--json"], 0).await.json();
    assert_eq!(cloud.witness(), before);
    let kind = permission(&found, "iot:CreateThingType");
    assert_eq!((&kind["state"], &kind["failure"]["code"]), (&json!("unknown"), &json!("A-373")), "{kind}");
    assert!(found.iter().all(|finding| finding["state"] != "bad"), "{found:#?}");

    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "EXACT", &chip);
    let run = Program::on(&bench, ["run", "--json", "--units", "1"]);
    let run = run.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    assert_eq!(run.run().await.expect(0).json().remove(0)["verdict"], "PASS");
    bench.unplug(1);
    let before = cloud.witness();
    let found = doctor(&bench, Some(&keys), &["--json"], 0).await.json();
    for permission in of(&found, "permission") {
        // MiniStack has no such call.
        let state = if permission["action"] == "iot:ListPrincipalThingsV2" { "unknown" } else { "good" };
        assert_eq!(permission["state"], state, "{permission}");
    }

    let all = actions(&policy);
    assert!(all.len() > 15, "{all:?}");
    for action in &all {
        iam::allow(&cloud, "exact", &for_ministack(&without(&policy, action))).await;
        let for_later =
            ["CreatePolicy", "CreateThingType", "DeleteCertificate", "DeleteThing", "ListPrincipalThingsV2"];
        let for_later = for_later.map(|action| format!("iot:{action}"));
        let later = for_later.contains(action);
        // Without it, the target itself is not reached.
        let status = if later { 0 } else { 3 };
        let found = doctor(&bench, Some(&keys), &["--json"], status).await.json();
        let told = permission(&found, action);
        assert_eq!(told["state"], if later { "remark" } else { "bad" }, "{told}");
        assert_eq!((&told["failure"]["code"], &told["failure"]["args"]["action"]), (&json!("A-312"), &json!(action)));
    }
    // Nor was anything changed by so many questions.
    assert_eq!(cloud.witness(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_is_told_by_itself_and_one_of_another_account_is_asked_nothing_more() {
    let cloud = Cloud::shared().await;
    let bench = Bench::new(1, cloud).await;
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let target = text.split("[[targets]]").nth(1).unwrap().split("\n\n").next().unwrap().trim_end().to_owned();
    let other = target.replace("\"practice\"", "\"other\"");
    let away = target.replace("\"practice\"", "\"away\"").replace(&bench.proxy.endpoint(), "http://127.0.0.1:9");
    let more = format!("\n[[targets]]{other}\naccount = \"333333333333\"\n[[targets]]{away}\n");
    std::fs::write(&bench.config_file, text + &more).unwrap();
    let profile = bench.dir.path().join("assets/practice.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let text = text.replace("targets = [\"practice\"]", "targets = [\"practice\", \"other\", \"away\"]");
    std::fs::write(&profile, text).unwrap();

    let found = doctor(&bench, None, &["--json"], 3).await.json();
    let of_target = |name: &str| found.iter().filter(|it| it["target"] == name).cloned().collect::<Vec<_>>();
    let (good, other, away) = (of_target("practice"), of_target("other"), of_target("away"));
    assert!(good.iter().all(|finding| finding["state"] != "bad"), "{good:#?}");
    let account = of(&good, "account")[0];
    assert_eq!((&account["account"], &account["state"]), (&json!(ACCOUNT), &json!("good")));
    assert!(account["caller"].as_str().unwrap().contains(":user/"), "{account}");
    assert_eq!(of(&good, "credentials")[0]["source"], "CredentialsEnvVars");
    let clock = of(&good, "clock")[0];
    assert!(clock["ahead_ms"].as_i64().unwrap().abs() < 2_000 && clock["state"] == "good", "{clock}");
    assert_eq!(of(&good, "pace")[0]["units_per_second"], 2);
    for (asked, code) in [(&other, "A-371"), (&away, "A-301")] {
        assert_eq!(of(asked, "account")[0]["failure"]["code"], code);
        assert!(of(asked, "permission").is_empty(), "{asked:#?}");
    }
    let one = doctor(&bench, None, &["--json", "--target", "practice"], 0).await.json();
    assert!(one.iter().all(|it| it["target"].is_null() || it["target"] == "practice"));
    assert!(doctor(&bench, None, &["--target", "nowhere"], 2).await.err.contains("O-615"));
    let policies: Value = serde_json::from_str(&doctor(&bench, None, &["--policy"], 0).await.out).unwrap();
    assert_eq!(policies.as_object().unwrap().keys().collect::<Vec<_>>(), ["away", "other", "practice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_station_itself_lacks_is_told_with_its_remedy_in_both_languages() {
    let cloud = Cloud::shared().await;
    let mut bench = Bench::new(1, cloud).await;
    let first = doctor(&bench, None, &[], 0).await;
    assert!(first.out.contains("the log: none"), "{}", first.out);
    assert!(first.out.contains("a rollback could not be proven"), "{}", first.out);

    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "DOC", &chip);
    Program::on(&bench, ["run", "--units", "1"]).run().await.expect(0);
    bench.unplug(1);
    let good = doctor(&bench, None, &["--json"], 0).await.json();
    let log = of(&good, "log")[0];
    assert!(log["events"].as_u64().unwrap() > 5 && log["state"] == "good", "{log}");
    assert_eq!((&of(&good, "copies")[0]["places"], &of(&good, "copies")[0]["state"]), (&json!(0), &json!("remark")));
    for check in ["trust", "module", "printer"] {
        assert_eq!(of(&good, check)[0]["state"], "good", "{check}");
    }

    // The mark is gone, the printer is off, the module is nowhere, and a place for copies is not mounted.
    std::fs::remove_file(bench.data_dir().join("high-water-mark")).unwrap();
    configure(&bench, &bench.printer.address().to_string(), "127.0.0.1:9");
    let module = bench.soft_hsm.module.display().to_string();
    let profile = bench.dir.path().join("assets/practice.toml");
    let text = std::fs::read_to_string(&profile).unwrap();
    std::fs::write(&profile, text.replace(&module, "/usr/lib/none.so")).unwrap();
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, text + "\n[log]\ncopies = [\"/nonexistent/share\"]\n").unwrap();
    let ended = doctor(&bench, None, &["--json"], 3).await;
    let found = ended.json();
    for (check, code) in [("module", "T-201"), ("log", "L-52"), ("copies", "L-522"), ("printer", "P-401")] {
        let told = of(&found, check)[0];
        assert_eq!(told["state"], "bad", "{told}");
        assert!(told["failure"]["code"].as_str().unwrap().starts_with(code), "{told}");
    }
    let english = doctor(&bench, None, &[], 3).await.out;
    let missing = english.lines().filter(|line| line.starts_with("NO")).count();
    assert!(missing >= 4 && english.contains("T-201") && english.contains("/usr/lib/none.so"), "{english}");
    let japanese = doctor(&bench, None, &["--language", "ja"], 3).await.out;
    assert!(japanese.contains("不可") && japanese.contains("記録の控え: "), "{japanese}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_told_and_an_air_gapped_station_asks_no_target() {
    let cloud = Cloud::shared().await;
    let bench = Bench::new(1, cloud).await;
    let config = std::fs::read_to_string(&bench.config_file).unwrap();
    let away = "\n[log]\npostgres = \"postgresql://lineseal@127.0.0.1:9/lineseal?sslmode=disable\"\n";
    std::fs::write(&bench.config_file, config.clone() + away).unwrap();
    let found = doctor(&bench, None, &["--json"], 3).await.json();
    assert_eq!(of(&found, "log")[0]["failure"]["code"], "L-507", "{found:#?}");
    std::fs::write(&bench.config_file, config.replace("practice = true", "practice = true\nair_gapped = true"))
        .unwrap();
    bench.proxy.down().await;
    let found = doctor(&bench, None, &["--json"], 0).await.json();
    assert!(of(&found, "permission").is_empty() && of(&found, "air-gapped").len() == 1, "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_own_ca_is_told_with_its_end_and_whether_the_target_knows_it() {
    let cloud = Cloud::shared().await;
    let change = |profile: String| profile.replace("method = \"without-ca\"", "method = \"with-ca\"\nca = \"own\"");
    let bench = Bench::with_profile(1, cloud, change).await;
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, text + "\n[ca.own]\ncertificate = \"vendor/intermediate.pem\"\n").unwrap();
    let found = doctor(&bench, None, &["--json"], 3).await.json();
    assert!(of(&found, "own-ca")[0]["not_after"].is_string(), "{found:#?}");
    let there = of(&found, "ca-there")[0];
    assert_eq!((&there["ca"], &there["failure"]["code"]), (&json!("own"), &json!("A-331")));
    // The method's own calls are among those that are asked for, and the other's are not.
    assert_eq!(permission(&found, "iot:RegisterCertificate")["state"], "good");
    assert!(!of(&found, "permission").iter().any(|it| it["action"] == "iot:RegisterCertificateWithoutCA"));
    let id = lineseal::domain::Fingerprint::of(bench.vendor.intermediate()).to_string();
    let resource = permission(&found, "iot:DescribeCACertificate")["resource"].as_str().unwrap();
    assert!(resource.ends_with(&format!(":cacert/{id}")), "{resource}");
}

/// Answers for MiniStack, word for word, but for the time that it says it is: no peer has a clock of its own.
async fn in_the_past(cloud: &Cloud) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const THEN: &[u8] = b"Sun, 01 Nov 2020 00:00:00 GMT";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), cloud.port);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut asks, mut told) = stream.into_split();
                let there = tokio::net::TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let (mut answers, mut asked) = there.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
                let mut chunk = [0; 65536];
                while let Ok(count @ 1..) = answers.read(&mut chunk).await {
                    let name = b"\r\ndate: ";
                    let found = chunk[..count].windows(name.len()).position(|it| it.eq_ignore_ascii_case(name));
                    if let Some(at) = found.map(|at| at + name.len()).filter(|at| at + THEN.len() <= count) {
                        chunk[at..at + THEN.len()].copy_from_slice(THEN);
                    }
                    if told.write_all(&chunk[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_not_awss_is_told_by_how_much() {
    let cloud = Cloud::shared().await;
    let bench = Bench::new(1, cloud).await;
    let port = in_the_past(cloud).await;
    configure(&bench, &bench.proxy.endpoint(), &format!("http://127.0.0.1:{port}"));
    let found = doctor(&bench, None, &["--json"], 3).await.json();
    let clock = of(&found, "clock")[0];
    assert_eq!((&clock["state"], &clock["failure"]["code"]), (&json!("bad"), &json!("A-374")), "{clock}");
    assert!(clock["ahead_ms"].as_i64().unwrap() > 150_000_000_000, "{clock}");
}
