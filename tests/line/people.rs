//! `lineseal operator`: people come, prove who they are, and go. No board, chip or cloud is asked.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;

use crate::log::{self, all};
use crate::office::Office;

#[test]
fn people_are_added_listed_disabled_taken_back_and_forgotten() {
    let office = Office::unstaffed();
    assert_eq!(office.list(), [] as [String; 0]);
    // Nobody is there who could vouch for a technician.
    let pin = office.pin("root", "root's own pin");
    let refused = office.run(&["add", "Root", "--role", "technician", "--new-pin-file", &pin], 2);
    assert!(refused.err.contains("O-606") && refused.err.contains("first operator"), "{}", refused.err);
    office.run(&["add", "Root", "--role", "administrator", "--new-pin-file", &pin], 0);

    let aiko = office.pin("aiko", "aiko's own pin");
    office.root(&["add", "山田 愛子", "--role", "qa", "--new-pin-file", &aiko], 0);
    assert_eq!(office.list(), ["Root administrator active", "山田 愛子 qa active"]);
    let twice = office.root(&["add", "山田 愛子", "--role", "administrator", "--new-pin-file", &aiko], 2);
    assert!(twice.err.contains("operator already"), "{}", twice.err);
    let last = office.root(&["disable", "Root"], 2);
    assert!(last.err.contains("last administrator"), "{}", last.err);
    let active = office.root(&["forget", "山田 愛子"], 2);
    assert!(active.err.contains("disable first"), "{}", active.err);

    office.root(&["disable", "山田 愛子"], 0);
    assert_eq!(office.list(), ["Root administrator active", "山田 愛子 qa disabled"]);
    office.root(&["add", "山田 愛子", "--role", "supervisor", "--new-pin-file", &aiko], 0);
    assert_eq!(office.list(), ["Root administrator active", "山田 愛子 supervisor active"]);
    office.root(&["disable", "山田 愛子"], 0);
    office.root(&["forget", "山田 愛子"], 0);
    assert!(!office.run(&["list"], 0).out.contains('愛'));
    let gone = office.root(&["forget", "山田 愛子"], 2);
    assert!(gone.err.contains("O-606"), "{}", gone.err);

    let events = office.events();
    let expected = [
        "operator-named",
        "operator-added",
        // The first command's own checkpoint.
        "log-opened",
        "log-key-added",
        "operator-named",
        "operator-added",
        "operator-disabled",
        "operator-added",
        "operator-disabled",
        "person-forgotten",
    ];
    assert_eq!(events, expected);
    // The log never knew the name; it knows who forgot whom.
    let log = log::read(&office.data());
    assert!(log.iter().all(|logged| !String::from_utf8_lossy(&logged.bytes).contains("愛子")));
    // Nor is it left over in what the database no longer uses.
    assert!(!office.files().iter().any(|bytes| holds(bytes, "愛子")));
    assert!(office.files().iter().any(|bytes| holds(bytes, "Root")));
    let (added, forgotten) = (all(&log, "operator-added"), all(&log, "person-forgotten"));
    assert_eq!(forgotten[0]["person"], added[1]["person"]["id"]);
    assert_eq!(forgotten[0]["operator"], added[0]["person"]);
    assert_eq!(added[1]["role"], json!("qa"));
}

#[test]
fn five_wrong_pins_lock_a_person_out_until_an_administrator_resets_the_pin() {
    let office = Office::with_administrator();
    let (deputy, wrong) = (office.pin("deputy", "deputy's own pin"), office.pin("wrong", "no idea"));
    office.root(&["add", "Deputy", "--role", "administrator", "--new-pin-file", &deputy], 0);
    let attempt = |file: &str, status| {
        let new = office.dir.path().join("root").display().to_string();
        office.run(&["reset", "Root", "--new-pin-file", &new, "--as", "Deputy", "--pin-file", file], status)
    };
    for _ in 0..5 {
        let refused = attempt(&wrong, 3);
        assert!(refused.err.contains("O-608"), "{}", refused.err);
    }
    let locked = attempt(&deputy, 3);
    assert!(locked.err.contains("O-609") && locked.err.contains("Wait 1 minutes"), "{}", locked.err);
    assert_eq!(office.list(), ["Deputy administrator locked", "Root administrator active"]);
    let log = log::read(&office.data());
    let refused = all(&log, "sign-in-refused");
    assert_eq!(
        refused.iter().map(|event| event["locked"] == true).collect::<Vec<_>>(),
        [false, false, false, false, true]
    );
    assert!(refused.iter().all(|event| event["person"] == all(&log, "operator-added")[1]["person"]));

    let new = office.pin("deputy", "deputy's new pin");
    office.root(&["reset", "Deputy", "--new-pin-file", &new], 0);
    attempt(&new, 0);
    assert_eq!(office.events().last().unwrap(), "operator-reset");
}

#[test]
fn nobody_but_an_administrator_who_signed_in_changes_anything() {
    let office = Office::with_administrator();
    let pin = office.pin("qa", "aiko's own pin");
    office.root(&["add", "Aiko", "--role", "qa", "--new-pin-file", &pin], 0);
    let before = office.events();
    for command in [
        ["add", "Friend", "--role", "administrator", "--new-pin-file", &pin].as_slice(),
        &["disable", "Root"],
        &["reset", "Root", "--new-pin-file", &pin],
        &["forget", "Root"],
    ] {
        let refused = |by: &[&str], status, code: &str| {
            let ended = office.run(&[command, by].concat(), status);
            assert!(ended.err.contains(code), "{command:?}: {}", ended.err);
        };
        refused(&["--as", "Aiko", "--pin-file", &pin], 3, "O-610");
        refused(&["--as", "Nobody", "--pin-file", &pin], 3, "O-607");
        refused(&[], 2, "--as");
        refused(&["--as", "Root"], 2, "standard input ended");
    }
    assert_eq!(office.events(), before);
    // Not even a name was made known to the log.
    assert_eq!(office.list().len(), 2);
}

#[test]
fn a_pin_file_that_others_may_read_is_refused_by_name() {
    let office = Office::with_administrator();
    let pin = office.pin("aiko", "73509182645");
    std::fs::set_permissions(&pin, Permissions::from_mode(0o644)).unwrap();
    let refused = office.root(&["add", "Aiko", "--role", "qa", "--new-pin-file", &pin], 2);
    assert!(refused.err.contains(&format!("others may read the PIN file {pin} (mode 0644)")), "{}", refused.err);
    let signing = office.run(&["disable", "Root", "--as", "Root", "--pin-file", &pin], 2);
    assert!(signing.err.contains("mode 0644"), "{}", signing.err);
    let short = office.root(&["add", "Aiko", "--role", "qa", "--new-pin-file", &office.pin("short", "123")], 2);
    assert!(short.err.contains("4 to 64 printable characters"), "{}", short.err);
    assert_eq!(office.list(), ["Root administrator active"]);
}

#[test]
fn pins_come_one_a_line_where_nobody_types_and_come_out_nowhere() {
    let office = Office::with_administrator();
    let add = office.program(&["-vv", "add", "Aiko", "--role", "qa", "--as", "Root"]);
    let added = add.input("root's own pin\n73509182645\n").start().wait().expect(0);
    let again = office.program(&["-vv", "disable", "Root", "--as", "Aiko"]).input("73509182645\n");
    let refused = again.start().wait().expect(3);
    assert!(refused.err.contains("O-610"), "{}", refused.err);

    let mut places = vec![added.out.into_bytes(), added.err.into_bytes(), refused.err.into_bytes()];
    places.extend(office.files());
    for secret in ["73509182645", "root's own pin", &hex::encode("73509182645")] {
        assert!(!places.iter().any(|bytes| holds(bytes, secret)), "{secret}");
    }
    assert!(places.iter().any(|bytes| holds(bytes, "$argon2id$")), "the search finds what is there");
}

#[test]
fn a_terminal_shows_no_pin_and_is_left_as_it_was() {
    let office = Office::unstaffed();
    let (mut person, terminal) = terminal();
    let add = || {
        let stdin = terminal.try_clone().unwrap();
        office.program(&["add", "Root", "--role", "administrator"]).stdin(stdin).start()
    };
    let silent = || !tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);

    // The two differ.
    let running = add();
    running.until_said("New PIN of Root: ");
    assert!(silent());
    person.write_all(b"73509182645\r").unwrap();
    running.until_said("The same once more: ");
    person.write_all(b"73509182646\r").unwrap();
    let differ = running.wait().expect(2);
    assert!(differ.err.contains("differ"), "{}", differ.err);

    // Ctrl-C ends it and gives the terminal back.
    let running = add();
    running.until_said("New PIN of Root: ");
    person.write_all(b"7350\x03").unwrap();
    let interrupted = running.wait().expect(2);
    assert!(interrupted.err.contains("interrupted"), "{}", interrupted.err);
    assert!(!silent());

    // With slips of the finger: one key back over two bytes of UTF-8, and the whole line at once.
    let running = add();
    running.until_said("New PIN of Root: ");
    person.write_all("73509ü\x7f182645\r".as_bytes()).unwrap();
    running.until_said("The same once more: ");
    person.write_all(b"oops\x1573509182645\r").unwrap();
    running.wait().expect(0);
    assert!(!silent());
    let pin = office.pin("root", "73509182645");
    assert!(office.run(&["disable", "Root", "--as", "Root", "--pin-file", &pin], 2).err.contains("last administrator"));

    let mut shown = Vec::new();
    drop(terminal);
    // It ends with an error once the terminal is closed.
    let _ = person.read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(!shown.contains("735") && !shown.contains("oops"), "{shown}");
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A person's end and a program's end of one terminal.
fn terminal() -> (File, File) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
    (person.into(), terminal.into())
}
