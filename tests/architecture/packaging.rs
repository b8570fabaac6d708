//! What stands outside the source and has to agree with it: the role that the station asks of AWS,
//! the packages that its tests install.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;

use crate::{collect, root};

#[test]
fn the_stations_role_allows_the_calls_it_makes_and_nothing_more() {
    let role = serde_json::from_str(&read(&root().join("assets/packaging/station-role.json"))).expect("JSON");
    let (called, allowed) = (calls(&sources("src/adapters/aws_iot")), allowed(&role));
    assert!(called.len() > 10, "{called:?}");
    assert_eq!(called, allowed);
}

#[test]
fn the_role_for_own_cas_allows_the_calls_that_keep_them_and_nothing_more() {
    let role = serde_json::from_str(&read(&root().join("assets/packaging/ca-role.json"))).expect("JSON");
    let called = calls(&sources("src/adapters/own_ca"));
    assert!(called.contains("iot:DescribeCACertificate"), "{called:?}");
    assert_eq!(called, allowed(&role));
}

#[test]
fn the_role_for_templates_and_claims_allows_the_calls_that_make_them_and_nothing_more() {
    let role = serde_json::from_str(&read(&root().join("assets/packaging/fleet-role.json"))).expect("JSON");
    let called = calls(&sources("src/adapters/fleet"));
    assert!(called.contains("iot:CreateKeysAndCertificate"), "{called:?}");
    assert_eq!(called, allowed(&role));
}

#[test]
fn the_role_for_copies_allows_the_calls_that_keep_them_and_nothing_more() {
    let role = serde_json::from_str(&read(&root().join("assets/packaging/copies-role.json"))).expect("JSON");
    let called = calls(&sources("src/adapters/copies"));
    // The one call whose action has another name.
    let called = called.iter().map(|call| call.replace("iot:", "s3:").replace("ListObjectsV2", "ListBucket"));
    assert_eq!(called.collect::<BTreeSet<_>>(), allowed(&role));
}

#[test]
fn sdk_calls_are_found_as_the_actions_they_are() {
    let text = "link.client.register_certificate_without_ca().send();\n self.client\n    .create_thing()\n\
                // client.delete_thing()\n Self { client, quota: Quota::default() } client.config()";
    assert_eq!(calls(text), ["iot:CreateThing", "iot:RegisterCertificateWithoutCA"].map(str::to_owned).into());
}

#[test]
fn every_program_that_tests_start_is_installed_by_their_script() {
    let script = read(&root().join("tests/run.sh"));
    let started = programs(&(sources("tests") + &sources("src/practice")));
    assert!(started.contains("p11-kit") && started.contains("initdb"), "{started:?}");
    let missing: Vec<&String> = started
        .iter()
        .filter(|program| !HERE_ANYWAY.contains(&program.as_str()) && !script.contains(&format!("{program}=")))
        .collect();
    assert!(missing.is_empty(), "not among the packages of tests/run.sh: {missing:?}");
}

#[test]
fn programs_are_found_however_their_command_is_written() {
    let text = "Command::new(\"ss\") tokio::process::Command::new(\n    \"setpriv\",\n) Command::new(&program)\
                Command::new(program(\"initdb\"))";
    assert_eq!(programs(text), ["initdb", "setpriv", "ss"].map(str::to_owned).into());
}

/// Without these there is no building, or no system.
const HERE_ANYWAY: &[&str] = &["bash", "cargo", "cc", "git", "kill", "rustc", "sh"];

/// The actions behind `client.some_call()`, as IAM names them.
fn calls(text: &str) -> BTreeSet<String> {
    let call = Regex::new(r"\bclient\s*\.\s*([a-z]+(?:_[a-z0-9]+)+)\(\)").expect("a regular expression");
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    call.captures_iter(&code).map(|found| format!("iot:{}", pascal(&found[1]))).collect()
}

fn pascal(snake: &str) -> String {
    let word = |word: &str| match word {
        "ca" => "CA".to_owned(),
        word => word[..1].to_uppercase() + &word[1..],
    };
    snake.split('_').map(word).collect()
}

fn allowed(role: &serde_json::Value) -> BTreeSet<String> {
    let statements = role["Statement"].as_array().expect("statements");
    let actions = statements.iter().flat_map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        statement["Action"].as_array().expect("actions")
    });
    actions.map(|action| action.as_str().expect("a name").to_owned()).collect()
}

/// Programs that are started by their names, or looked up by them where they are off the PATH.
fn programs(text: &str) -> BTreeSet<String> {
    let start = Regex::new(r#"(?:Command::new|\bprogram)\(\s*"([A-Za-z0-9_.+-]+)""#).expect("a regular expression");
    start.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Every Rust file below `folder`, one after the other; this one left out.
fn sources(folder: &str) -> String {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder}");
    files.iter().filter(|file| !file.ends_with("architecture/packaging.rs")).map(|file| read(file)).collect()
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}
