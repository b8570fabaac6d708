//! Bundles, checked by the library that made them.

use lineseal::audit::bundle::{BundleError, Contents, Disclosure, File, GivenKey, Signers, verify, write};
use lineseal::audit::note::{Checkpoint, SignatureError, SignedCheckpoint, VerifierKey};
use lineseal::domain::Verdict;

use crate::sample::{
    Chip, bundles_of_two, contents, contents_where, files, first_key, key, qa_key, sha256, station_key, unit,
};

#[test]
fn a_bundle_holds_and_says_whose_word_that_is() {
    let files = files();
    let report = verify(&files, None).unwrap();
    assert_eq!(report.unit, unit());
    assert_eq!((report.events.len(), report.chip_answers, report.forgotten), (36, 8, 1));
    assert_eq!(report.paths, 8, "each with the vendor's certificates");
    let keys = [station_key(), qa_key()].map(|key| key.verifier().clone());
    assert_eq!(report.signers, Signers::FromBundle(keys.to_vec()));

    let report = verify(&files, Some(&given(&keys))).unwrap();
    assert_eq!(report.signers, Signers::Pinned(keys.to_vec()));
    let by = vec![contents().rotations[0].index];
    let report = verify(&files, Some(&given(&[first_key().verifier().clone()]))).unwrap();
    assert_eq!(report.signers, Signers::Successors { keys: vec![keys[0].clone()], by });
    let stranger = [key("plant.example/lineseal", 9).verifier().clone()];
    let refused = verify(&files, Some(&given(&stranger)));
    assert_eq!(refused, Err(BundleError::Signature(SignatureError::NoKnownKey)));
    assert_eq!(verify(&files, Some(&[])), Err(BundleError::Signature(SignatureError::NoKnownKey)));
}

/// QA adds its word to a station's and sees nothing of what is appended: with QA's key anybody could have
/// written a log of his own.
#[test]
fn a_cosigner_alone_vouches_for_nothing() {
    let keys = [station_key(), qa_key()].map(|key| key.verifier().clone());
    let alone = BundleError::CosignerAlone(keys[1].name().clone());
    assert_eq!(verify(&files(), Some(&given(&keys[1..]))), Err(alone.clone()));
    // Signed by a key that nobody knows, and by QA's.
    let mut forged = contents();
    let text = forged.checkpoint.checkpoint().clone();
    let stranger = key("plant.example/lineseal", 9);
    forged.checkpoint = SignedCheckpoint::sign(text, &stranger).unwrap();
    forged.checkpoint.cosign(&qa_key()).unwrap();
    forged.keys = vec![keys[1].clone()];
    assert_eq!(write(&forged), Err(alone.clone()));
    forged.keys.push(stranger.verifier().clone());
    assert_eq!(verify(&write(&forged).unwrap(), Some(&given(&keys))), Err(alone));
}

/// Whoever stole a key goes on signing when it has been replaced: with the list that `key show` prints, its
/// word ends where it was.
#[test]
fn a_key_that_was_replaced_vouches_for_nothing_after_that() {
    let (old, new) = (first_key().verifier().clone(), station_key().verifier().clone());
    let stolen = stolen();
    let (size, replaced) = (stolen.checkpoint.checkpoint().head().size, contents().rotations[0].index + 1);
    let files = write(&stolen).unwrap();
    let list = |until| [GivenKey { key: old.clone(), until: Some(until) }, new.clone().into()];
    let outlived = |until| BundleError::Outlived { id: old.id(), until, size };
    for until in [replaced, size - 1] {
        assert_eq!(verify(&files, Some(&list(until))).unwrap_err(), outlived(until));
    }
    verify(&files, Some(&list(size))).unwrap();
    // Where the event that replaced it is in the bundle, nobody has to be told.
    let mut told = contents();
    told.checkpoint = SignedCheckpoint::sign(told.checkpoint.checkpoint().clone(), &first_key()).unwrap();
    told.keys = vec![old.clone()];
    assert_eq!(write(&told).unwrap_err(), outlived(replaced));

    // Nor does it say which key came after it, where that is known: the thief's own would.
    let honest = crate::sample::files();
    let only_old = [GivenKey { key: old.clone(), until: Some(replaced) }];
    assert!(verify(&honest, Some(&only_old)).is_err());
    verify(&honest, Some(&list(replaced))).unwrap();
}

/// What the thief of the first key makes: a log in which it was never replaced.
pub fn stolen() -> Contents {
    let mut stolen = contents();
    let replaced = stolen.rotations.remove(0).index;
    stolen.events.retain(|event| event.seq != replaced);
    stolen.checkpoint = SignedCheckpoint::sign(stolen.checkpoint.checkpoint().clone(), &first_key()).unwrap();
    stolen.keys = vec![first_key().verifier().clone()];
    stolen
}

#[test]
fn a_key_is_given_as_it_is_shown() {
    let key = station_key().verifier().to_string();
    for line in [key.clone(), format!("{key} until 17")] {
        assert_eq!(line.parse::<GivenKey>().unwrap().to_string(), line);
    }
    for line in ["until 17", " until 17", "x until 17"] {
        line.parse::<GivenKey>().unwrap_err();
    }
    for line in [
        format!("{key} until"),
        format!("{key} until 017"),
        format!("{key} until +17"),
        format!("{key} until 1 7"),
        format!("{key}  until 17"),
    ] {
        line.parse::<GivenKey>().unwrap_err();
    }
}

fn given(keys: &[VerifierKey]) -> Vec<GivenKey> {
    keys.iter().cloned().map(GivenKey::from).collect()
}

#[test]
fn a_flipped_bit_anywhere_is_found() {
    let files = files();
    for at in 0..files.len() {
        let length = files[at].bytes.len();
        for byte in (0..length).step_by(1 + length / 64) {
            let mut flipped = files.clone();
            flipped[at].bytes[byte] ^= 1 << (byte % 8);
            let name = &files[at].name;
            let error = verify(&flipped, None).unwrap_err();
            if name != "SHA256SUMS" {
                assert_eq!(error, BundleError::Changed(name.clone()));
            }
        }
    }
}

/// A forger writes SHA256SUMS anew; only what the signature does not reach can be his.
#[test]
fn a_flipped_bit_under_a_new_list_of_sums_is_found_wherever_proof_is_claimed() {
    let files = files();
    for at in 0..files.len() {
        let name = &files[at].name;
        if ["README.md", "verify.py", "bundle.json", "SHA256SUMS"].contains(&name.as_str()) {
            continue;
        }
        let length = files[at].bytes.len();
        for byte in (0..length).step_by(1 + length / 64) {
            let mut flipped = files.clone();
            flipped[at].bytes[byte] ^= 1 << (byte % 8);
            assert!(verify(&resummed(flipped), None).is_err(), "{name}, byte {byte}");
        }
    }
}

#[test]
fn every_file_is_accounted_for() {
    let files = files();
    for at in 0..files.len() {
        let mut without = files.clone();
        let gone = without.remove(at).name;
        assert_eq!(verify(&without, None), Err(BundleError::Missing(gone.clone())));
        if gone != "SHA256SUMS" && gone != "bundle.json" {
            assert_eq!(verify(&resummed(without), None), Err(BundleError::Missing(gone)));
        }
    }
    for name in ["events/0.json", "evidence/3-certificate.der", "keys/me.vkey", "note.txt"] {
        let mut more = files.clone();
        more.push(File { name: name.to_owned(), bytes: b"{}".to_vec() });
        assert_eq!(verify(&more, None), Err(BundleError::Extra(name.to_owned())));
        assert_eq!(verify(&resummed(more), None), Err(BundleError::Extra(name.to_owned())));
    }
    let twice = [files.as_slice(), &files[..1]].concat();
    assert_eq!(verify(&twice, None), Err(BundleError::Twice(files[0].name.clone())));
}

#[test]
fn what_does_not_hold_is_not_packed() {
    let mut wrong = contents();
    wrong.events[3].bytes.push(b' ');
    assert!(matches!(write(&wrong), Err(BundleError::Proof { name, .. }) if name == "proofs/5.tlog-proof"));

    // A key is replaced by its own word, in this log.
    for (origin, number) in [("plant.example/lineseal", 9), ("plant.example/other", 3)] {
        let mut wrong = contents();
        let text = Checkpoint::new(origin.parse().unwrap(), wrong.rotations[0].checkpoint.checkpoint().head());
        wrong.rotations[0].checkpoint = SignedCheckpoint::sign(text, &key(origin, number)).unwrap();
        assert!(write(&wrong).is_err(), "{origin}");
    }
    let mut wrong = contents();
    wrong.rotations[0].index += 2;
    assert!(write(&wrong).is_err());

    let mut wrong = contents();
    wrong.keys.push(key("plant.example/lineseal", 9).verifier().clone());
    assert!(matches!(write(&wrong), Err(BundleError::Signature(SignatureError::NoSignature { .. }))));

    let mut wrong = contents();
    wrong.unit.serial = "F0000112".parse().unwrap();
    assert!(matches!(write(&wrong), Err(BundleError::Foreign { .. })));
    wrong.events.truncate(3);
    wrong.disclosures.clear();
    assert_eq!(write(&wrong), Err(BundleError::NotOfUnit(wrong.unit)));

    let mut wrong = contents();
    let Disclosure::Revealed { text, .. } = &mut wrong.disclosures[0] else { panic!("the first is revealed") };
    text.push('!');
    assert!(matches!(write(&wrong), Err(BundleError::Disclosure { .. })));

    let mut wrong = contents();
    wrong.disclosures.push(Disclosure::Forgotten { sha256: "ab".repeat(32).parse().unwrap() });
    assert!(matches!(write(&wrong), Err(BundleError::Disclosure { .. })));

    let mut wrong = contents();
    wrong.events.push(wrong.events[0].clone());
    assert!(matches!(write(&wrong), Err(BundleError::Twice(_))));
}

/// A signature is one run's, under one certificate, of one vendor.
#[test]
fn what_the_chip_did_not_sign_for_this_run_is_not_packed() {
    let one = |change: fn(&mut serde_json::Value)| write(&contents_where(vec![Chip::p256()], change));
    assert!(one(|_| ()).is_ok());
    for (event, pointer, other) in
        [("run-started", "/device/path", "pci-0000:00:14.0-usb-0:4:1.0"), ("identified", "/unit/serial", "F0000112")]
    {
        let moved = contents_where(vec![Chip::p256()], |body| {
            if body["event"] == event {
                *body.pointer_mut(pointer).unwrap() = other.into();
            }
        });
        assert!(matches!(write(&moved), Err(BundleError::Challenge { .. })), "{event}");
    }
    let swapped = one(|body| {
        let purpose = match body["purpose"].as_str() {
            Some("first") => "before-register",
            Some(_) => "first",
            None => return,
        };
        body["purpose"] = purpose.into();
    });
    assert!(matches!(swapped, Err(BundleError::Challenge { .. })));
    // The issuers in the wrong order; another key than the certificate's.
    let unsorted = one(|body| {
        if let Some(path) = body.pointer_mut("/decision/path") {
            path.as_array_mut().unwrap()[1..].reverse();
        }
    });
    assert!(matches!(unsorted, Err(BundleError::Path { .. })));
    let another = one(|body| {
        if let Some(spki) = body.pointer_mut("/decision/spki") {
            *spki = "00".repeat(32).into();
        }
    });
    assert!(matches!(another, Err(BundleError::Path { .. })));
}

/// Every proof of another log's checkpoint holds for itself; it is not this bundle's.
#[test]
fn proofs_of_two_checkpoints_do_not_mix() {
    let honest = files();
    let mut signed_again = contents();
    signed_again.checkpoint =
        SignedCheckpoint::sign(signed_again.checkpoint.checkpoint().clone(), &station_key()).unwrap();
    signed_again.keys.truncate(1);
    let other = write(&signed_again).unwrap();
    let mut mixed = honest.clone();
    let name = "proofs/5.tlog-proof";
    let at = |files: &[File]| files.iter().position(|file| file.name == name).unwrap();
    let place = at(&mixed);
    mixed[place] = other[at(&other)].clone();
    assert_eq!(verify(&resummed(mixed), None), Err(BundleError::OtherCheckpoint { name: name.to_owned() }));
}

/// A unit that failed is not to be certified with the run of one that passed.
#[test]
fn a_bundle_that_is_filled_with_another_units_run_is_refused() {
    let [passed, failed] = bundles_of_two();
    let ended = |files| verify(files, None).unwrap().runs.into_iter().map(|run| (run.verdict, run.reason)).collect();
    let ends: [Vec<_>; 2] = [ended(&passed), ended(&failed)];
    assert_eq!(ends[0], [(Some(Verdict::Pass), None)]);
    assert_eq!(ends[1], [(Some(Verdict::Fail), Some("S-105".to_owned()))]);
    for (whole, taken) in [(true, "identified"), (false, "identified"), (false, "run-started")] {
        let error = verify(&filled(&passed, &failed, whole, taken), None).unwrap_err();
        // A run whose board is not told has no challenge that is its own.
        let told = matches!(error, BundleError::Challenge { .. }) && !whole;
        assert!(told || matches!(error, BundleError::Foreign { .. }), "{taken}: {error}");
    }
}

/// A ruling's and an imported row's unit is looked at, too, and no other that such a row happens to name.
#[test]
fn a_row_of_another_unit_is_refused_though_it_names_this_one() {
    let mut wrong = contents();
    let row = wrong.events.last().unwrap().bytes.clone();
    wrong.disclosures.clear();
    wrong.events.retain(|event| event.bytes == row || !String::from_utf8_lossy(&event.bytes).contains("\"run\":"));
    write(&wrong).unwrap();
    wrong.unit.serial = "F0000112".parse().unwrap();
    assert!(matches!(write(&wrong), Err(BundleError::Foreign { .. })));
}

/// The bundle of `passed` told as `failed`'s: with the event of this kind out of the other's run, and without
/// most of its own run, or with the `whole` of it.
pub fn filled(passed: &[File], failed: &[File], whole: bool, taken: &str) -> Vec<File> {
    let event = |files: &[File]| {
        let is = |file: &&File| {
            let text = String::from_utf8_lossy(&file.bytes);
            file.name.starts_with("events/") && text.contains(&format!("\"event\":\"{taken}\""))
        };
        files.iter().find(is).unwrap().clone()
    };
    let number = |file: &File| number_of(file).unwrap().to_owned();
    let mut files = passed.to_vec();
    if !whole {
        let gone = number(&event(passed));
        files.retain(|file| number_of(file) != Some(gone.as_str()));
    }
    let event = event(failed);
    let proof = format!("proofs/{}.tlog-proof", number(&event));
    files.extend(failed.iter().filter(|file| file.name == proof).cloned());
    files.push(event);
    let mut seqs: Vec<u64> = files
        .iter()
        .filter(|file| file.name.starts_with("events/"))
        .map(|file| number(file).parse().unwrap())
        .collect();
    seqs.sort_unstable();
    let lines: Vec<String> = seqs.iter().map(|seq| format!("    {seq}")).collect();
    let manifest = files.iter_mut().find(|file| file.name == "bundle.json").unwrap();
    let text = String::from_utf8(manifest.bytes.clone()).unwrap().replace("F0000111", "F0000222");
    let (before, rest) = text.split_once("\"events\": [\n").unwrap();
    let (_, after) = rest.split_once("\n  ]").unwrap();
    manifest.bytes = format!("{before}\"events\": [\n{}\n  ]{after}", lines.join(",\n")).into_bytes();
    resummed(files)
}

/// Of an event or its proof.
fn number_of(file: &File) -> Option<&str> {
    let numbered = file.name.starts_with("events/") || file.name.starts_with("proofs/");
    file.name.split(['/', '.']).nth(1).filter(|_| numbered)
}

/// As a forger would: every file fits the list of sums again.
pub fn resummed(mut files: Vec<File>) -> Vec<File> {
    files.retain(|file| file.name != "SHA256SUMS");
    files.sort_by(|one, other| one.name.cmp(&other.name));
    let line = |file: &File| format!("{}  {}\n", sha256(&file.bytes), file.name);
    let bytes = files.iter().map(line).collect::<String>().into_bytes();
    files.push(File { name: "SHA256SUMS".to_owned(), bytes });
    files
}
