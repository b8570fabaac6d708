//! `lineseal audit prove|verify-bundle|checkpoint|key|import|forget-text`, through the real program.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use lineseal::adapters::{bundles, sqlite};
use lineseal::audit::bundle::File;
use lineseal::audit::event::{Purpose, Ruling};
use lineseal::audit::note::{Checkpoint, SignedCheckpoint};
use lineseal::audit::{Body, Event, LineEvent, RunEvent, TreeHead};
use lineseal::domain::{Fingerprint, Identity, RunId, Verdict};
use lineseal::ports::{AuditStore as _, Claim, ClaimAnswer, History as _, Imports as _};
use serde_json::json;

use crate::bundle::resummed;
use crate::by_hand::{folder, verify_py};
use crate::office::{Office, program, stranger};
use crate::sample::{self, Chip};
use crate::store_contract::{
    bound, claim, event, identity, identity_certificate, imported, line, officials, run_id, sealed, started, typed,
    unit,
};

/// A log with other units before and after the run of a board, whose chip answers.
async fn office_with_run(serial: &str) -> (Office, RunId) {
    let office = Office::new();
    let store = office.store();
    store.append(started(run_id(), "Z1", None)).await.unwrap();
    let run = run_id();
    store.append(started(run, serial, None)).await.unwrap();
    let mut read = None;
    for body in sample::run(&Chip::p256(), run, &unit(serial)).into_iter().skip(2) {
        // In an envelope of its own, as the log has it.
        let mut told = event(run, RunEvent::Resumed {}).to_json().unwrap();
        told.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let event = Event::decode(told.to_string().as_bytes()).unwrap();
        store.append(vec![event.clone()]).await.unwrap();
        match event.body {
            Body::Run(RunEvent::ChipRead { reading }) => read = Some(reading),
            Body::Run(RunEvent::ChallengeAnswered { purpose: Purpose::First, decision, .. }) => {
                // A PASS is of a chip that the unit holds.
                let reading = read.take().unwrap();
                let fingerprint = Fingerprint::of(&reading.certificate);
                let identity = Identity { fingerprint, spki: decision.spki, uid: reading.uid };
                bound(store.claim(Claim { run, ..claim(serial, identity) }).await);
            }
            _ => {}
        }
    }
    store.append(started(run_id(), "Z2", None)).await.unwrap();
    (office, run)
}

#[tokio::test]
async fn what_is_proven_holds_for_a_stranger_and_for_his_own_tools() {
    let (office, run) = office_with_run("A1").await;
    let store = office.store();
    store.import(vec![imported(2, "A1", 5)]).await.unwrap();
    let (zip, dir) = (office.path("a1.zip"), office.path("a1"));
    office.run(&["audit", "prove", "A1", "--out", &zip], 0);
    let told = office.run(&["audit", "prove", "A1", "--out", &dir, "--json"], 0).json();
    assert_eq!(told[0]["unit"]["serial"], json!("A1"));

    for bundle in [&zip, &dir] {
        let verified = stranger(&["audit", "verify-bundle", bundle], 0);
        assert!(
            verified.out.contains("events of gateway A1 and of the log itself are in the log lineseal/PRACTICE"),
            "{}",
            verified.out
        );
        assert!(verified.out.contains("2 signatures of chips verify") && verified.out.contains("compare them"));
    }
    // How the run ended is told in every language, to programs, too.
    for (language, told) in [("en", format!("run {run}: PASS\n")), ("ja", format!("実行 {run}: PASS\n"))] {
        let verified = stranger(&["audit", "verify-bundle", &dir, "--language", language], 0);
        assert!(verified.out.contains(&told), "{}", verified.out);
    }
    let told = stranger(&["audit", "verify-bundle", &dir, "--json"], 0).json();
    assert_eq!(told[0]["runs"], json!([{ "run": run, "verdict": "PASS", "reason": null }]));
    let files = bundles::read(dir.as_ref()).unwrap();
    let output = verify_py(&files, dir.as_ref(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // Only this unit's events, and who signs: nobody else's boards are handed over.
    let text: String = files.iter().map(|file| String::from_utf8_lossy(&file.bytes)).collect();
    assert!(!text.contains("\"Z1\"") && !text.contains("\"Z2\""));
    for kind in ["log-opened", "log-key-added", "imported", "sealed"] {
        assert!(text.contains(&format!("\"event\":\"{kind}\"")), "{kind}");
    }
    // The same again gives the same bytes, and nothing is written over.
    let again = office.path("again.zip");
    office.run(&["audit", "prove", "A1", "--out", &again], 0);
    assert_eq!(std::fs::read(&zip).unwrap(), std::fs::read(&again).unwrap());
    for there in [&zip, &dir] {
        let refused = office.run(&["audit", "prove", "A1", "--out", there], 2);
        assert!(refused.err.contains("is there already"), "{}", refused.err);
    }
}

#[tokio::test]
async fn one_run_alone_is_proven_and_an_unknown_or_ambiguous_unit_is_not() {
    let (office, run) = office_with_run("A1").await;
    let store = office.store();
    let second = run_id();
    store.append(started(second, "A1", None)).await.unwrap();
    let prove = |arguments: &[&str], status| office.run(&[&["audit", "prove"], arguments].concat(), status);
    prove(&["A1", "--run", &run.to_string(), "--out", &office.path("one.zip")], 0);
    let files = bundles::read(office.path("one.zip").as_ref()).unwrap();
    let text: String = files.iter().map(|file| String::from_utf8_lossy(&file.bytes)).collect();
    assert!(text.contains(&run.to_string()) && !text.contains(&second.to_string()));
    let other = prove(&["A1", "--run", &run_id().to_string(), "--out", &office.path("x.zip")], 2);
    assert!(other.err.contains("is no run of the unit gateway A1"), "{}", other.err);
    assert!(prove(&["A9", "--out", &office.path("x.zip")], 2).err.contains("does not know the unit A9"));

    let mut row = imported(3, "A1", 6);
    let Body::Line(LineEvent::Imported { unit, .. }) = &mut row.body else { panic!("{row:?}") };
    unit.product = "sensor".parse().unwrap();
    store.import(vec![row]).await.unwrap();
    let ambiguous = prove(&["A1", "--out", &office.path("x.zip")], 2);
    assert!(ambiguous.err.contains("gateway, sensor") && ambiguous.err.contains("--product"), "{}", ambiguous.err);
    prove(&["A1", "--product", "sensor", "--out", &office.path("sensor.zip")], 0);
    stranger(&["audit", "verify-bundle", &office.path("sensor.zip")], 0);
    assert!(!std::path::Path::new(&office.path("x.zip")).exists());
}

#[tokio::test]
async fn a_unit_in_an_archive_is_proven_once_the_archive_is_at_hand() {
    let office = Office::new();
    let store = office.store();
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    store.append(vec![sealed(run, Verdict::Pass, None)]).await.unwrap();
    office.run(&["audit", "checkpoint", "--make"], 0);
    let (before, elsewhere) = (office.path("before"), office.path("elsewhere"));
    office.run(&["audit", "prove", "A1", "--out", &before], 0);
    office.run_as("Root", &["audit", "archive", "--before", "9999-01-01", "--to", &elsewhere], 0);
    let prove = ["audit", "prove", "A1", "--out", &office.path("after")];
    let missing = office.run(&prove, 3);
    assert!(missing.err.contains("L-527"), "{}", missing.err);
    std::fs::rename(&elsewhere, office.dir.path().join("data").join(sqlite::ARCHIVES)).unwrap();
    office.run(&prove, 0);
    stranger(&["audit", "verify-bundle", &office.path("after")], 0);
    // What was archived is what was written.
    let events = |name: &str| {
        let files = bundles::read(office.path(name).as_ref()).unwrap();
        files.into_iter().filter(|file| file.name.starts_with("events/")).collect::<Vec<_>>()
    };
    assert_eq!(events("before"), events("after"));
}

#[tokio::test]
async fn a_bundle_with_a_flipped_byte_is_refused_at_its_place() {
    let (office, _) = office_with_run("A1").await;
    let dir = office.path("a1");
    office.run(&["audit", "prove", "A1", "--out", &dir], 0);
    let honest = bundles::read(dir.as_ref()).unwrap();
    for (number, file) in honest.iter().enumerate() {
        let mut flipped = honest.clone();
        let middle = file.bytes.len() / 2;
        flipped[number].bytes[middle] ^= 1;
        let folder = folder(&flipped);
        let refused = stranger(&["audit", "verify-bundle", &folder.path().display().to_string()], 1);
        assert!(refused.err.contains("proves nothing") && refused.out.is_empty(), "{}", refused.err);
        assert!(file.name == "SHA256SUMS" || refused.err.contains(&file.name), "{}: {}", file.name, refused.err);
    }
    // Under sums that fit again the proof names the event.
    let mut forged = honest.clone();
    let at =
        forged.iter().position(|file| String::from_utf8_lossy(&file.bytes).contains("\"verdict\":\"PASS\"")).unwrap();
    let name = forged[at].name.replace("events/", "proofs/").replace(".json", ".tlog-proof");
    let text = String::from_utf8(forged[at].bytes.clone()).unwrap();
    forged[at].bytes = text.replace("PASS", "FAIL").into_bytes();
    let folder = folder(&resummed(forged));
    let refused = stranger(&["audit", "verify-bundle", &folder.path().display().to_string(), "--json"], 1);
    assert!(refused.err.contains(&name), "{name}: {}", refused.err);
    assert_eq!(refused.json()[0]["verified"], json!(false));
}

#[tokio::test]
async fn only_a_key_that_was_given_counts() {
    let (office, _) = office_with_run("A1").await;
    let zip = office.path("a1.zip");
    office.run(&["audit", "prove", "A1", "--out", &zip], 0);
    let shown = office.run(&["audit", "key", "show"], 0);
    let keys = office.file("keys", &shown.out);
    for key in [keys.as_str(), shown.out.trim()] {
        let verified = stranger(&["audit", "verify-bundle", &zip, "--key", key], 0);
        assert!(verified.out.contains("under a key that you gave"), "{}", verified.out);
    }
    let strange = sample::key("lineseal/PRACTICE", 7).verifier().to_string();
    let refused = stranger(&["audit", "verify-bundle", &zip, "--key", &strange], 1);
    assert!(refused.err.contains("none of the known keys signed the checkpoint"), "{}", refused.err);
    for (key, cause) in
        [("/nowhere/key", "neither a verifier key nor a file"), (&office.file("empty", ""), "no verifier key in it")]
    {
        let unusable = stranger(&["audit", "verify-bundle", &zip, "--key", key], 2);
        assert!(unusable.err.contains(cause), "{}", unusable.err);
    }
    stranger(&["audit", "verify-bundle", "/nowhere/a1.zip"], 2);
}

/// An archive is unpacked nowhere; still nobody is to be shown a name that leads out of it.
#[test]
fn an_archive_that_leads_elsewhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evil.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("../x", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(b"x").unwrap();
    zip.finish().unwrap();
    let refused = stranger(&["audit", "verify-bundle", &path.display().to_string()], 1);
    assert!(refused.err.contains("../x") && refused.err.contains("leads out of the bundle"), "{}", refused.err);
    let escape = File { name: "\u{1b}[2Jverified".to_owned(), bytes: Vec::new() };
    let folder = folder(&[escape]);
    let refused = stranger(&["audit", "verify-bundle", &folder.path().display().to_string()], 1);
    assert!(!refused.err.contains('\u{1b}'), "{:?}", refused.err);
}

#[tokio::test]
async fn words_are_handed_over_only_when_asked_for_and_never_once_forgotten() {
    let (office, _) = office_with_run("A1").await;
    let store = office.store();
    officials(&store).await;
    let ruled = typed(&store, "the solder joint of Mr Sato", Ruling::Scrap { unit: unit("A1") }).await;
    let seq = store.append(vec![ruled]).await.unwrap()[0].seq;
    let text = |name: &str, more: &[&str]| {
        let path = office.path(name);
        office.run(&[&["audit", "prove", "A1", "--out", &path], more].concat(), 0);
        let files = bundles::read(path.as_ref()).unwrap();
        stranger(&["audit", "verify-bundle", &path], 0);
        files.iter().map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).collect::<String>()
    };
    assert!(!text("without.zip", &[]).contains("Mr Sato"));
    assert!(text("with.zip", &["--with-texts"]).contains("the solder joint of Mr Sato"));

    let number = seq.to_string();
    let refused = office.run_as("Aiko", &["audit", "forget-text", "--ruling", &number], 3);
    assert!(refused.err.contains("O-610"), "{}", refused.err);
    assert!(office.run_as("Root", &["audit", "forget-text", "--ruling", "0"], 2).err.contains("is no ruling"));
    assert!(office.run_as("Root", &["audit", "forget-text", "--ruling", "9999"], 2).err.contains("is no ruling"));
    office.run_as("Root", &["audit", "forget-text", "--ruling", &number], 0);
    let again = office.run_as("Root", &["audit", "forget-text", "--ruling", &number], 2);
    assert!(again.err.contains("forgotten already"), "{}", again.err);
    let forgotten = text("forgotten.zip", &["--with-texts"]);
    assert!(!forgotten.contains("Mr Sato") && forgotten.contains("\"state\": \"forgotten\""));
    let verified = office.run(&["audit", "verify", "--json"], 0).json();
    assert_eq!(verified[0]["forgotten_texts"], json!(1));
}

#[tokio::test]
async fn a_checkpoint_is_signed_cosigned_and_kept_by_an_auditor() {
    let office = Office::new();
    let store = office.store();
    let latest = office.run(&["audit", "checkpoint"], 0).out;
    store.append(started(run_id(), "A1", None)).await.unwrap();
    assert_eq!(office.run(&["audit", "checkpoint"], 0).out, latest, "it signs nothing unless asked");
    let made = office.run(&["audit", "checkpoint", "--make"], 0).out;
    let signed: SignedCheckpoint = made.parse().unwrap();
    assert_eq!(signed.checkpoint().head(), store.tree_head().await.unwrap());

    let qa = office.path("qa.key");
    let key = stranger(&["audit", "key", "new", &qa, "--name", "plant.example/qa"], 0).out;
    assert!(key.starts_with("plant.example/qa+"), "{key}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&qa).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    stranger(&["audit", "key", "new", &qa, "--name", "plant.example/qa"], 3);
    let public = Command::new("openssl").args(["pkey", "-noout", "-in", &qa]).status().unwrap();
    assert!(public.success(), "an auditor's tools read it");

    let cosign = ["audit", "checkpoint", "--cosign-with", &qa];
    office.run(&cosign, 2);
    let cosigned = office.run_as("Aiko", &cosign, 0).out;
    let cosigned: SignedCheckpoint = cosigned.parse().unwrap();
    let keys = [key.trim().parse().unwrap()];
    assert_eq!(cosigned.verify(&keys).unwrap(), [&keys[0]]);
    assert_eq!(cosigned.checkpoint(), signed.checkpoint());
    let shown = office.run(&["audit", "key", "show", "--json"], 0).json();
    assert_eq!(shown.iter().map(|key| key["role"].as_str().unwrap()).collect::<Vec<_>>(), ["station", "cosigner"]);
    // The second time it is known.
    let head = store.tree_head().await.unwrap();
    office.run_as("Aiko", &cosign, 0);
    assert_eq!(store.tree_head().await.unwrap(), head);
    // A name of the log's own would pass for the log's word.
    let own = office.path("own.key");
    stranger(&["audit", "key", "new", &own, "--name", "lineseal/PRACTICE"], 0);
    let refused = office.run_as("Aiko", &["audit", "checkpoint", "--cosign-with", &own], 3);
    assert!(refused.err.contains("a name of its own"), "{}", refused.err);

    let kept = office.path("kept.checkpoint");
    let told = office.run(&["audit", "checkpoint", "--out", &kept], 0);
    assert_eq!(told.out, "");
    office.run(&["audit", "verify", "--since", &kept], 0);
}

#[tokio::test]
async fn another_key_signs_after_a_rotation_and_what_was_signed_stays() {
    let (office, _) = office_with_run("A1").await;
    let before = office.path("before.checkpoint");
    office.run(&["audit", "checkpoint", "--make", "--out", &before], 0);
    let old = office.path("old.zip");
    office.run(&["audit", "prove", "A1", "--out", &old], 0);
    let first = office.run(&["audit", "key", "show"], 0).out;
    assert!(office.run_as("Aiko", &["audit", "key", "rotate"], 3).err.contains("O-610"));
    let second = office.run_as("Root", &["audit", "key", "rotate"], 0).out;
    assert_ne!(first, second);
    let shown = office.run(&["audit", "key", "show"], 0);
    let told = office.run(&["audit", "key", "show", "--json"], 0).json();
    let until = told[0]["until"].as_u64().unwrap();
    assert_eq!(told[0]["replaced_seq"].as_u64(), Some(until - 1));
    assert_eq!(shown.out, format!("{} until {until}\n{second}", first.trim()));
    assert!(shown.err.contains("replaced by event"), "{}", shown.err);

    let made: SignedCheckpoint = office.run(&["audit", "checkpoint"], 0).out.parse().unwrap();
    let keys = [second.trim().parse().unwrap()];
    assert_eq!(made.verify(&keys).unwrap(), [&keys[0]]);
    office.run(&["audit", "verify", "--since", &before], 0);
    stranger(&["audit", "verify-bundle", &old, "--key", first.trim()], 0);
    stranger(&["audit", "verify-bundle", &old, "--key", second.trim()], 1);
    office.store().append(started(run_id(), "A1", None)).await.unwrap();
    let new = office.path("new.zip");
    office.run(&["audit", "prove", "A1", "--out", &new], 0);
    stranger(&["audit", "verify-bundle", &new, "--key", second.trim()], 0);

    // The list leads to both, and the old key no further than it could see.
    let list = office.file("list", &shown.out);
    stranger(&["audit", "verify-bundle", &old, "--key", &list], 0);
    let held = stranger(&["audit", "verify-bundle", &new, "--key", &list], 0);
    assert!(held.out.contains("under a key that you gave"), "{}", held.out);
    let short = format!("{} until 1", first.trim());
    assert!(stranger(&["audit", "verify-bundle", &old, "--key", &short], 1).err.contains("was replaced"));

    // Whoever pinned the first key comes to the second one by the first one's own word.
    let led = stranger(&["audit", "verify-bundle", &new, "--key", first.trim()], 0);
    assert!(led.out.contains("a successor of a key that you gave"), "{}", led.out);
    let files = bundles::read(new.as_ref()).unwrap();
    let folder = folder(&files);
    let output = verify_py(&files, folder.path(), &["--key", first.trim()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(shown.err.contains("signed for its successor"), "{}", shown.err);

    // A third one comes while the second is gone: nothing leads there, and it is said what would.
    std::fs::remove_file(office.database().with_file_name("log.key")).unwrap();
    let third = office.run_as("Root", &["audit", "key", "rotate"], 0).out;
    office.store().append(started(run_id(), "A1", None)).await.unwrap();
    let newer = office.path("newer.zip");
    office.run(&["audit", "prove", "A1", "--out", &newer], 0);
    stranger(&["audit", "verify-bundle", &newer, "--key", third.trim()], 0);
    for pinned in [&first, &second] {
        let lost = stranger(&["audit", "verify-bundle", &newer, "--key", pinned.trim()], 1);
        assert!(lost.err.contains("did not sign that itself") && lost.err.contains(third.trim()), "{}", lost.err);
    }
    let shown = office.run(&["audit", "key", "show"], 0).err;
    assert!(shown.contains("without signing for its successor"), "{shown}");
    office.run(&["audit", "verify", "--since", &before], 0);
}

/// Whoever can write to the share must not be able to have an honest log called a broken one.
#[tokio::test]
async fn junk_among_the_copies_is_told_and_passed_over() {
    let (office, _) = office_with_run("A1").await;
    let share = tempfile::tempdir_in("/dev/shm").unwrap();
    office.configure(&format!("[log]\ncopies = [{:?}]", share.path()));
    office.run(&["audit", "checkpoint", "--make"], 0);
    let copies = || std::fs::read_dir(share.path()).unwrap().map(|entry| entry.unwrap().path());
    let copy = copies().next().unwrap();
    let honest = std::fs::read_to_string(&copy).unwrap();
    let beside = |size: u64, text: &str| {
        let name = copy.file_name().unwrap().to_str().unwrap();
        let digits = name.find(|c: char| c.is_ascii_digit()).unwrap();
        let name = format!("{}{size:020}{}", &name[..digits], &name[digits + 20..]);
        std::fs::write(share.path().join(name), text).unwrap();
    };
    let head = honest.parse::<SignedCheckpoint>().unwrap().checkpoint().head();
    let forged = Checkpoint::new("lineseal/PRACTICE".parse().unwrap(), TreeHead { size: 900, ..head });
    let forged = SignedCheckpoint::sign(forged, &sample::key("lineseal/PRACTICE", 7)).unwrap();
    beside(900, &forged.to_string());
    beside(901, "good morning");
    beside(902, "");
    // Of a longer log: the one that is here may have been put back to before that key.
    let verified = office.run(&["audit", "verify"], 3);
    assert!(verified.err.contains("a checkpoint of 900 leaves that no key of the log signed"), "{}", verified.err);
    assert!(verified.err.contains("2 files that are named as copies of this log"), "{}", verified.err);
    assert!(verified.out.contains("covered"), "{}", verified.out);
    let told = office.run(&["audit", "verify", "--json"], 3).json();
    assert_eq!((&told[0]["covered"], &told[0]["unread_places"][0]["reason"]), (&json!(head.size), &json!("L-521")));
    // Of no longer one it tells nothing.
    let name = |size: u64| copies().find(|path| path.to_str().unwrap().contains(&format!("{size:020}"))).unwrap();
    let no_longer = Checkpoint::new("lineseal/PRACTICE".parse().unwrap(), TreeHead { size: 1, ..head });
    let no_longer = SignedCheckpoint::sign(no_longer, &sample::key("lineseal/PRACTICE", 7)).unwrap();
    std::fs::remove_file(name(900)).unwrap();
    beside(1, &no_longer.to_string());
    let verified = office.run(&["audit", "verify"], 0);
    assert!(verified.err.contains("a checkpoint of 1 leaves that no key of the log signed"), "{}", verified.err);
}

/// Not as a log that can't be written, nor as one that an older program laid out.
#[tokio::test]
async fn what_is_typed_wrongly_and_what_was_taken_from_the_records_of_a_log_are_told_as_such() {
    let (office, _) = office_with_run("A1").await;
    for after in ["9223372036854775808", "18446744073709551615"] {
        let refused = office.run(&["audit", "search", "A1", "--after", after], 2);
        assert!(refused.err.contains("O-615"), "{}", refused.err);
    }
    office.run(&["audit", "search", "--until", "9999-12-31"], 0);
    let raw = rusqlite::Connection::open(office.database()).unwrap();
    raw.execute_batch("UPDATE record_words_config SET v = v + 90 WHERE k = 'version'").unwrap();
    office.run(&["audit", "verify"], 1);
    raw.execute_batch("UPDATE record_words_config SET v = v - 90 WHERE k = 'version'").unwrap();
    office.run(&["audit", "verify"], 0);
    raw.execute_batch("DELETE FROM refinery_schema_history WHERE version = 9").unwrap();
    drop(raw);
    let found = office.run(&["audit", "verify"], 1);
    assert!(found.err.contains("schema versions are on record"), "{}", found.err);
    // Nor does a station lay it out again.
    office.run(&["batch", "list"], 3);
    assert!(office.run(&["run"], 3).err.contains("L-505"));
}

/// A full disk behind stdout, or a mark that is damaged, keeps no script from being told, and no auditor from the log.
#[tokio::test]
async fn a_list_that_was_cut_off_is_no_success_and_a_damaged_mark_is_told_beside_what_was_verified() {
    let (office, _) = office_with_run("A1").await;
    for arguments in [&["audit", "verify"][..], &["audit", "list", "--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = crate::office::program(arguments);
        let status = office.at_this_station(&mut command).stdout(full).status().unwrap();
        assert_eq!(status.code(), Some(3), "{arguments:?}");
    }
    std::fs::write(office.database().with_file_name("high-water-mark"), "").unwrap();
    let told = office.run(&["audit", "verify", "--json"], 3);
    assert!(told.err.contains("L-524"), "{}", told.err);
    assert_eq!(told.json()[0]["verified"], json!(true));
}

/// What it would have said against the log is not known: no script may take that for a clean log.
#[tokio::test]
async fn a_verification_that_could_not_read_a_place_says_so_and_does_not_end_as_a_whole_one() {
    let (office, _) = office_with_run("A1").await;
    let share = tempfile::tempdir_in("/dev/shm").unwrap();
    office.configure(&format!("[log]\ncopies = [{:?}]", share.path()));
    office.run(&["audit", "checkpoint", "--make"], 0);
    assert_eq!(office.run(&["audit", "verify", "--json"], 0).json()[0]["unread_places"], json!([]));
    drop(share);
    let told = office.run(&["audit", "verify", "--json"], 3).json();
    assert_eq!((&told[0]["verified"], &told[0]["unread_places"][0]["reason"]), (&json!(true), &json!("L-522")));
}

/// A disk died, and the new computer has the backup and the station's own file.
#[tokio::test]
async fn the_log_is_verified_and_restored_where_no_products_files_are() {
    let (office, _) = office_with_run("A1").await;
    let backup = office.path("backup.db");
    office.run(&["audit", "backup", &backup], 0);
    std::fs::remove_dir_all(office.dir.path().join("assets")).unwrap();
    std::fs::remove_dir_all(office.dir.path().join(lineseal::practice::setup::VENDOR)).unwrap();
    office.run(&["config", "check"], 2);
    office.run(&["audit", "verify"], 0);
    office.run(&["audit", "key", "show"], 0);
    office.run_as("Root", &["audit", "restore", &backup, "--replace"], 0);
    office.run(&["audit", "list"], 0);
}

const COLUMNS: &str = "serial;fingerprint;thing;date";

fn row(serial: &str, chip: u32) -> String {
    format!("{serial};{};thing-{chip};2024-02-03\r\n", identity_certificate(chip))
}

/// What a spreadsheet saves: BOM, semicolons, CRLF.
fn history(rows: impl Iterator<Item = (String, u32)>) -> String {
    let rows: String = rows.map(|(serial, chip)| row(&serial, chip)).collect();
    format!("\u{feff}{COLUMNS}\r\n{rows}")
}

fn import(office: &Office, file: &str, status: i32) -> crate::office::Ended {
    office.run_as("Root", &["audit", "import", file, "--product", "gateway", "--new-product", "--json"], status)
}

#[tokio::test]
async fn a_history_from_elsewhere_protects_and_is_taken_in_once() {
    let office = Office::new();
    let store = office.store();
    let file = office.file("history.csv", history((1..=1200).map(|n| (format!("A{n}"), n))));
    let refused = office.run_as("Aiko", &["audit", "import", &file, "--product", "gateway", "--new-product"], 3);
    assert!(refused.err.contains("O-610"), "{}", refused.err);
    assert_eq!(import(&office, &file, 0).json(), [json!({ "rows": 1200, "new": 1200, "conflicts": 0 })]);
    // The chip of A7 on another board, and another chip on A7.
    for claim in [claim("B1", identity(7)), claim("A7", identity(5000))] {
        assert!(matches!(store.claim(claim).await.unwrap(), ClaimAnswer::Collides(_)));
    }
    bound(store.claim(claim("A7", identity(7))).await);
    let size = store.head().await.unwrap().size;
    assert_eq!(import(&office, &file, 0).json(), [json!({ "rows": 1200, "new": 0, "conflicts": 0 })]);
    assert_eq!(store.head().await.unwrap().size, size, "not even that it ended is told twice");
    office.run(&["audit", "verify"], 0);
    // The same rows of another product are other boards: their chips are taken.
    let other = office.run_as("Root", &["audit", "import", &file, "--product", "sensor", "--new-product"], 1);
    assert!(other.err.contains("1200 of them new, 1200 contradict others"), "{}", other.err);
}

#[tokio::test]
async fn bad_lines_are_all_listed_and_nothing_is_taken() {
    let office = Office::new();
    let store = office.store();
    let text =
        history((1..=3).map(|n| (format!("A{n}"), n))) + "no serial\r\n" + &row("A 4", 4) + &row("A5\u{1b}[2J", 5);
    let size = store.head().await.unwrap().size;
    let refused = import(&office, &office.file("bad.csv", text), 2);
    assert!(refused.err.contains("O-613") && refused.err.contains("3 bad lines"), "{}", refused.err);
    assert!(!refused.err.contains('\u{1b}'), "{:?}", refused.err);
    let lines: Vec<u64> = refused.json().iter().map(|bad| bad["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [5, 6, 7]);
    assert_eq!(store.head().await.unwrap().size, size);
    // A certificate outside of the history's folder is nobody's business.
    std::fs::create_dir(office.path("import")).unwrap();
    std::fs::write(office.path("secret.pem"), "x").unwrap();
    let file = office.file("import/paths.csv", "serial,certificate\nA1,../secret.pem\nA2,/etc/hostname\n");
    let refused = import(&office, &file, 2);
    assert_eq!(refused.err.matches("outside of the history's folder").count(), 2, "{}", refused.err);
}

#[tokio::test]
async fn contradictions_are_listed_with_both_sides_and_none_is_dropped() {
    let office = Office::new();
    let store = office.store();
    bound(store.claim(claim("C1", identity(9))).await);
    let rows = [("A1", 1), ("A2", 1), ("A1", 3), ("A4", 9), ("A5", 5)];
    let file = office.file("history.csv", history(rows.iter().map(|(serial, chip)| ((*serial).to_owned(), *chip))));
    let told = import(&office, &file, 1).json();
    assert_eq!(told.last().unwrap(), &json!({ "rows": 5, "new": 5, "conflicts": 3 }));
    let sides: Vec<String> = told[..3]
        .iter()
        .map(|row| {
            let conflict = &row["conflicts"][0];
            let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            format!(
                "{} {} {}",
                word(&row["unit"]["serial"]),
                word(&conflict["rule"]),
                word(&conflict["unit"]["serial"])
            )
        })
        .collect();
    assert_eq!(sides, ["A2 certificate A1", "A1 unit A1", "A4 certificate C1"]);
    // For people, on one line each; the second time it says the same.
    let table = office.run_as("Root", &["audit", "import", &file, "--product", "gateway", "--new-product"], 1);
    assert_eq!(table.out.lines().count(), 3, "{}", table.out);
    assert!(
        table.out.starts_with("line 3      certificate gateway A2") && table.out.contains(": gateway A1"),
        "{}",
        table.out
    );
    office.run(&["audit", "verify"], 0);
}

#[tokio::test]
async fn an_import_that_was_killed_is_whole_after_it_was_repeated() {
    const ROWS: u32 = 6000;
    let office = Office::new();
    let store = office.store();
    let file = office.file("history.csv", history((1..=ROWS).map(|n| (format!("A{n}"), n))));
    let before = store.head().await.unwrap().size;
    let pin = office.path("Root");
    let mut command = program(&[
        "audit",
        "import",
        &file,
        "--product",
        "gateway",
        "--new-product",
        "--as",
        "Root",
        "--pin-file",
        &pin,
    ]);
    let mut child = office.at_this_station(&mut command).stderr(std::process::Stdio::null()).spawn().unwrap();
    let by = Instant::now() + Duration::from_secs(60);
    while store.head().await.unwrap().size == before && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < by, "no row came within a minute");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let told = import(&office, &file, 0).json();
    assert_eq!(told[0]["rows"], json!(ROWS));
    let mut lines = Vec::new();
    let mut next = 0;
    loop {
        let page = store.events(next, 1000).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        next = last.receipt.seq + 1;
        lines.extend(page.iter().filter_map(|(logged, _)| match &logged.event.body {
            Body::Line(LineEvent::Imported { source, .. }) => Some(source.line),
            _ => None,
        }));
    }
    assert_eq!(lines, (2..=u64::from(ROWS) + 1).collect::<Vec<_>>(), "each once, in the file's order");
    office.run(&["audit", "verify"], 0);
}

/// As an administrator with a database tool would: one letter, in one event.
#[tokio::test]
async fn a_letter_that_was_changed_with_sqlite3_is_found_and_an_honest_log_says_how_far_it_is_covered() {
    let (office, _) = office_with_run("A1").await;
    let kept = office.path("kept.checkpoint");
    office.run(&["audit", "checkpoint", "--make", "--out", &kept], 0);
    let store = office.store();
    let covered = store.head().await.unwrap().size;
    store.append(vec![line(LineEvent::StationStopped {})]).await.unwrap();
    drop(store);
    let verified = office.run(&["audit", "verify", "--since", &kept], 0);
    let tail = format!("events {covered} to {covered} (1) are not covered by a checkpoint held elsewhere");
    assert!(verified.out.contains(&tail), "{}", verified.out);

    let sqlite3 = |statement: &str| {
        let output = Command::new("sqlite3").arg("-bail").arg(office.database()).arg(statement).output();
        output.expect("sqlite3 (Debian: apt-get install sqlite3)")
    };
    let find = "SELECT seq FROM events WHERE CAST(bytes AS TEXT) LIKE '%\"verdict\":\"PASS\"%' LIMIT 1";
    let found = String::from_utf8(sqlite3(find).stdout).unwrap();
    let seq = found.trim();
    let change = format!(
        "UPDATE events SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"PASS\"', '\"PASs\"') AS BLOB) WHERE seq = {seq}"
    );
    let guarded = sqlite3(&change);
    assert!(!guarded.status.success(), "an accident is refused");
    let guard = sqlite3("SELECT sql FROM sqlite_master WHERE name = 'events_are_never_changed'").stdout;
    let guard = String::from_utf8(guard).unwrap();
    let changed = sqlite3(&format!("DROP TRIGGER events_are_never_changed; {change}"));
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    let broken = office.run(&["audit", "verify", "--since", &kept], 1);
    assert!(broken.err.contains(&format!("event {seq}")), "{}", broken.err);
    // Nor does a proof come out of it, with the guard in its place again or without it.
    let refuted = || office.run(&["audit", "prove", "A1", "--out", &office.path("a1.zip")], 1).err;
    assert!(refuted().contains("L-526"), "{}", refuted());
    assert!(sqlite3(&guard).status.success());
    assert!(refuted().contains("L-526"), "{}", refuted());
}

#[tokio::test]
async fn a_derived_row_that_was_changed_is_told_by_its_key_its_column_and_both_values() {
    let (office, run) = office_with_run("A1").await;
    let change = "UPDATE runs SET verdict = 'FAIL' WHERE verdict = 'PASS'";
    let changed = Command::new("sqlite3").arg("-bail").arg(office.database()).arg(change).output().unwrap();
    assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
    let broken = office.run(&["audit", "verify"], 1).err;
    assert!(broken.contains("table runs, row ") && broken.contains("(first_seq "), "{broken}");
    assert!(broken.contains(r#"verdict is "FAIL"; the events say "PASS""#), "{broken}");
    assert!(!broken.contains(&hex::encode(run.to_string())), "{broken}");
}

#[tokio::test]
async fn events_in_an_archive_are_one_line_of_the_list_and_it_goes_on() {
    let office = Office::new();
    let store = office.store();
    let run = run_id();
    store.append(started(run, "A1", None)).await.unwrap();
    store.append(vec![sealed(run, Verdict::Pass, None)]).await.unwrap();
    office.run(&["audit", "checkpoint", "--make"], 0);
    let whole = office.run(&["audit", "list", "--events", "--json"], 0).json().len();
    let elsewhere = office.path("elsewhere");
    let archived = office.run_as("Root", &["audit", "archive", "--before", "9999-01-01", "--to", &elsewhere], 0);
    assert!(
        archived.err.contains("are in the archive") && archived.err.contains("their hashes stay"),
        "{}",
        archived.err
    );
    let table = office.run(&["audit", "list", "--events"], 0).out;
    assert!(table.contains("in an archive that is not at hand"), "{table}");
    let listed = office.run(&["audit", "list", "--events", "--json"], 0).json();
    let gone: u64 = listed
        .iter()
        .filter(|event| event["kind"] == "archived")
        .map(|range| range["last"].as_u64().unwrap() - range["first"].as_u64().unwrap() + 1)
        .sum();
    let here = listed.iter().filter(|event| event["kind"] != "archived").count();
    assert!(gone > 0 && here > 0 && here + gone as usize > whole, "{listed:?}");
}

#[test]
fn a_wrong_argument_is_named_and_is_no_wrong_configuration() {
    let office = Office::new();
    let (nowhere, folder) = (office.path("nowhere"), office.path("folder"));
    std::fs::create_dir(&folder).unwrap();
    let no_checkpoint = office.file("no.checkpoint", "good morning");
    let (unmade, root) = (office.path("nowhere/copy.db"), office.path("Root"));
    let companion = format!("{}-wal", office.database().display());
    let cases: &[(&[&str], &str)] = &[
        (&["audit", "verify", "--since", &nowhere], "--since"),
        (&["audit", "verify", "--since", &no_checkpoint], "--since"),
        (&["audit", "verify", "--archive", &folder], "is a folder"),
        (&["audit", "verify", "--archive", &nowhere], "--archive"),
        (&["audit", "verify", "--archive", &no_checkpoint], "not named as an archive is"),
        (&["audit", "backup", &unmade], "could not create the copy"),
        (&["audit", "backup", &companion], "SQLite keeps parts of"),
        (&["audit", "restore", &no_checkpoint, "--replace", "--as", "Root"], "is no backup of a log"),
        (&["audit", "restore", &nowhere, "--replace", "--as", "Root"], "could not read the backup"),
        (&["audit", "checkpoint", "--cosign-with", &nowhere, "--as", "Root", "--pin-file", &root], "no such file"),
        (&["audit", "verify-bundle", &nowhere], "nowhere"),
        (&["audit", "verify-bundle", &folder, "--key", "rubbish"], "--key rubbish"),
        (&["operator", "disable", "Aiko"], "say who acts: --as OPERATOR"),
        (&["operator", "disable", "Aiko", "--as", "Root", "--pin-file", &nowhere], "nowhere can't be read"),
    ];
    for (arguments, named) in cases {
        let refused = office.run(arguments, 2).err;
        assert!(refused.contains("O-615") && refused.contains(named), "{arguments:?}: {refused}");
    }
    for unknown in [&["prove", "A9", "--out", &nowhere][..], &["show", "A9"], &["search", "--operator", "Nobody"]] {
        let refused = office.run(&[&["audit"], unknown].concat(), 2).err;
        assert!(refused.contains("O-616"), "{unknown:?}: {refused}");
    }
    let steered = office.run(&["audit", "search", "--operator", "\u{1b}[2J"], 2).err;
    assert!(!steered.contains('\u{1b}') && steered.contains("[2J"), "{steered:?}");
    let role = office.run_as("Aiko", &["operator", "disable", "Root"], 3).err;
    assert!(role.contains("another role: administrator. ") && role.contains("(Aiko has the role qa)"), "{role}");
}

#[test]
fn an_import_is_told_in_the_readers_language_and_what_excel_saves_by_itself_is_explained() {
    let office = Office::new();
    let excel = [b"serial,fingerprint,".as_slice(), b"\x94\xf5\x8d\x6c\n"].concat();
    let excel = office.file("excel.csv", excel);
    let import = |file: &str, language: &str, status| {
        office
            .run_as(
                "Root",
                &["audit", "import", file, "--product", "gateway", "--new-product", "--language", language],
                status,
            )
            .err
    };
    assert!(import(&excel, "en", 2).contains("CSV UTF-8 (Comma delimited)"));
    assert!(import(&excel, "ja", 2).contains("CSV UTF-8（コンマ区切り）"));
    let one = office.file("one.csv", format!("serial,fingerprint\nA1,{}\n", "ab".repeat(32)));
    assert!(import(&one, "en", 0).contains("1 row, 1 of them new, 0 contradict others"));
    assert!(import(&one, "ja", 0).contains("1 行、うち新規 0 行、矛盾 0 行"));
}
