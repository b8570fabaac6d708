use std::time::Duration;

use super::fixture::{Fixture, STATION};
use crate::config::{Log, LogKey};
use crate::domain::profile::{ObjectName, Pin, SlotChoice};

fn with(log: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.write("lineseal.toml", format!("{STATION}\n{log}"));
    fixture
}

fn mistakes(log: &str) -> Vec<String> {
    // The line numbers are the fixture's own affair.
    let line = regex::Regex::new(r"^lineseal.toml:\d+: ").unwrap();
    with(log).mistakes().iter().map(|mistake| line.replace(mistake, "").into_owned()).collect()
}

#[test]
fn a_station_without_a_log_section_keeps_its_own_log_with_a_key_file_and_no_copies() {
    let log = Fixture::new().load().log;
    assert_eq!(log, Log::default());
    assert_eq!(with("[log]\n[log.key]").load().log, log);
    assert_eq!((log.key, log.persons, log.checkpoint_every), (LogKey::File(None), 2, Duration::from_secs(60)));
}

#[test]
fn a_log_section_is_read_whole() {
    let fixture = with(
        "[log]\norigin = 'plant.example/1'\ncopies = ['copies', '/mnt/share']\ncheckpoint_seconds = 5\npersons = 1\n\
         postgres = 'postgresql://lineseal@db.example/lineseal?sslmode=verify-full'\npassword_file = 'db-password'\n\
         [log.s3]\nbucket = 'plant-1'\nprefix = 'log'\nregion = 'eu-west-1'\naws_profile = 'copies'\n\
         endpoint = 'https://s3.example'\n\
         [log.key]\nmodule = '/usr/lib/hsm.so'\nenvironment = { HSM = 'one' }\n\
         uri = 'pkcs11:token=plant;object=log;type=private'\npin_file = 'pin'",
    );
    let log = fixture.load().log;
    assert_eq!(log.origin.unwrap().as_str(), "plant.example/1");
    assert_eq!(log.copies, [fixture.path("copies"), "/mnt/share".into()]);
    assert_eq!((log.checkpoint_every, log.persons), (Duration::from_secs(5), 1));
    let postgres = log.postgres.unwrap();
    assert_eq!(postgres.connection, "postgresql://lineseal@db.example/lineseal?sslmode=verify-full");
    assert_eq!(postgres.password_file, Some(fixture.path("db-password")));
    let s3 = log.s3.unwrap();
    assert_eq!((s3.bucket.as_str(), s3.prefix.as_str(), s3.region.as_str()), ("plant-1", "log/", "eu-west-1"));
    assert_eq!((s3.aws_profile.as_deref(), s3.endpoint.as_deref()), (Some("copies"), Some("https://s3.example")));
    let LogKey::Token(token) = log.key else { panic!("{:?}", log.key) };
    assert_eq!(token.slot, SlotChoice::TokenLabel("plant".into()));
    assert_eq!(token.key, ObjectName::Attributes { label: Some("log".into()), id: None });
    assert_eq!(token.environment["HSM"], "one");
    assert_eq!(token.pin, Some(Pin::File(fixture.path("pin"))));
}

#[test]
fn what_is_wrong_in_the_log_section_is_said_key_by_key() {
    assert_eq!(
        mistakes("[log]\norign = 'a'\ncheckpoint_seconds = 4\npersons = 3\ncopies = 'x'"),
        [
            r#"unknown key "orign" in [log]; did you mean "origin"?"#,
            r#""checkpoint_seconds" in [log] is 4: allowed are 5 to 3600"#,
            r#""persons" in [log] is 3: allowed are 1 to 2"#,
            r#""copies" in [log] must be a list, not a string"#,
        ]
    );
    let said = mistakes("[log]\norigin = 'plant 1'");
    assert!(said[0].starts_with(r#""origin" in [log]: "plant 1" is not a name"#), "{said:?}");
    assert_eq!(
        mistakes("[log.s3]\nbucket = 'Plant'\nprefix = '/x'"),
        [
            r#""region" in [log.s3] is missing"#,
            r#""bucket" in [log.s3] is "Plant": a bucket's name is 3 to 63 of a-z 0-9 . -, with a letter or digit at both ends"#,
            r#""prefix" in [log.s3] is "/x": up to 512 of a-z A-Z 0-9 / ! - _ . * ' ( ), not beginning with /"#,
        ]
    );
    assert_eq!(
        mistakes("[log.key]\nfile = 'k'\nuri = 'pkcs11:object=a'"),
        [
            r#""uri" in [log.key] has no meaning here: the key is a file: either name that, or a token's "module" and "uri""#
        ]
    );
    assert_eq!(mistakes("[log.key]\nuri = 'pkcs11:object=a'"), [r#""module" in [log.key] is missing"#]);
    assert_eq!(
        mistakes("[log]\npassword_file = 'p'"),
        [r#""password_file" in [log] has no meaning here: there is no "postgres" whose password it could be"#]
    );
}

#[test]
fn a_database_password_in_the_file_is_refused_and_not_repeated() {
    for connection in [
        "postgresql://lineseal:hunter2@db/lineseal",
        "postgres://lineseal@db/lineseal?sslmode=require&password=hunter2",
        "host=db user=lineseal password=hunter2",
        "host = db password = hunter2",
    ] {
        let said = mistakes(&format!("[log]\npostgres = '{connection}'"));
        assert_eq!(said.len(), 1, "{connection}: {said:?}");
        assert!(said[0].contains("password_file") && !said[0].contains("hunter2"), "{said:?}");
    }
}

#[test]
fn a_practice_lines_copies_stay_on_this_machine() {
    let fixture = Fixture::new();
    let practice = STATION
        .replace("practice = false", "practice = true")
        .replace("https://iot.example.com", "http://127.0.0.1:1")
        .replace("region = \"eu-west-1\"", "region = \"eu-west-1\"\nendpoint = \"http://127.0.0.1:1\"");
    fixture.write("lineseal.toml", format!("{practice}\n[log.s3]\nbucket = 'plant'\nregion = 'eu-west-1'"));
    let said = fixture.mistakes().join("\n");
    assert!(said.contains("\"endpoint\" in [log.s3]"), "{said}");
}
