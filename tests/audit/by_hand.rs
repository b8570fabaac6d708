//! A bundle in the hands of someone without Lineseal: `verify.py`, and the commands of its README.

use std::path::Path;
use std::process::{Command, Output};

use lineseal::adapters::bundles;
use lineseal::audit::bundle::{BundleError, File, verify, write};
use lineseal::audit::note::{NoteKey, NoteKeyError, SignedCheckpoint};
use lineseal::domain::Bytes;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::bundle::{filled, resummed, stolen};
use crate::independent::venv;
use crate::sample::{
    Chip, ORIGIN, bundles_of_two, contents, contents_where, few_files, files, first_key, key, qa_key, station_key,
};

#[test]
fn verify_py_and_the_readme_accept_what_is_honest() {
    let files = files();
    let folder = folder(&files);
    let output = verify_py(&files, folder.path(), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for line in ["unit: gateway-g4 F0000111", "chips' signatures verified: 8", "compare them."] {
        assert!(said.contains(line), "{line:?} in {said}");
    }
    for key in [station_key(), qa_key()] {
        assert!(said.contains(&format!("signed by: {}", key.verifier())), "{said}");
    }

    let output = readme(&files, folder.path());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(said.matches("is in the log").count(), 36, "{said}");
    assert_eq!(said.matches("Signature Verified Successfully").count(), 3, "{said}");
    assert_eq!(said.matches("Verified OK").count(), 8 + 4 + 1, "of 8 answers, 4 chips and an intermediate: {said}");
}

/// Each of the three tells the verdict, and none tells one board's as another's.
#[test]
fn a_bundle_that_is_filled_with_another_units_run_is_refused_by_verify_py_and_by_hand() {
    let [passed, failed] = bundles_of_two();
    for (files, verdict) in [(&passed, "PASS"), (&failed, "FAIL S-105")] {
        let folder = folder(files);
        let told = format!("run 0190a000-0000-7000-8000-00000000000{}: {verdict}\n", u8::from(verdict != "PASS"));
        for output in [verify_py(files, folder.path(), &[]), readme(files, folder.path())] {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains(&told), "{said}{output:?}");
        }
    }
    let files = filled(&passed, &failed, true, "identified");
    refused_by_verify_py(&passed, &files, "bundle.json");
    // As the forger's own README would have it.
    let seqs = |files: &[File]| {
        let manifest: Value = serde_json::from_slice(content(files, "bundle.json")).unwrap();
        manifest["events"].as_array().unwrap().iter().map(Value::to_string).collect::<Vec<_>>().join(" ")
    };
    let mut led = passed.clone();
    let at = led.iter().position(|file| file.name == "README.md").unwrap();
    let text = String::from_utf8(led[at].bytes.clone()).unwrap();
    led[at].bytes = text.replace(&seqs(&passed), &seqs(&files)).into_bytes();
    let folder = folder(&files);
    let output = readme(&led, folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nothing here says that event"), "{said}");
}

/// An old answer, whose signature holds, in the place of one that was made for this.
#[test]
fn an_answer_to_another_challenge_is_refused_by_hand() {
    let honest = few_files();
    let folder = folder(&honest);
    let text = String::from_utf8(content(&honest, "README.md").to_vec()).unwrap();
    let asked: Vec<&str> = text.lines().filter(|line| line.starts_with("asked ")).collect();
    let challenge = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    assert_ne!(challenge(asked[0]), challenge(asked[1]));
    let other = asked[1].replacen(&challenge(asked[1]), &challenge(asked[0]), 1);
    let mut led = honest.clone();
    let at = led.iter().position(|file| file.name == "README.md").unwrap();
    led[at].bytes = text.replace(asked[1], &other).into_bytes();
    assert!(readme_without_sums(&honest, folder.path()).status.success());
    assert!(!readme_without_sums(&led, folder.path()).status.success());
}

/// The commonest substitution, a copied certificate: whoever doubts the FAIL checks the answer that it was for.
#[test]
fn a_wrong_answer_is_there_to_be_checked_and_a_good_one_is_not_refused() {
    for (spoilt, holds) in [(true, true), (false, false)] {
        let contents = contents_where(vec![Chip::p256()], |body| {
            let failure = |args: Value| json!({ "code": "S-101", "args": args, "cause": "it does not verify" });
            match (body["event"].as_str(), body["purpose"].as_str()) {
                (Some("challenge-answered"), Some("before-register")) => {
                    let signature: Bytes = serde_json::from_value(body["signature"].clone()).unwrap();
                    let mut answer = signature.0;
                    answer[7] ^= u8::from(spoilt);
                    let failure = failure(json!({ "answer": hex::encode(answer), "key": "ec-p256" }));
                    *body = json!({ "event": "step-failed", "step": "register", "failure": failure });
                }
                (Some("sealed"), _) => {
                    *body = json!({ "event": "sealed", "verdict": "FAIL", "reason": failure(json!({})) });
                }
                _ => {}
            }
        });
        let written = write(&contents);
        if !holds {
            assert!(matches!(written, Err(BundleError::Refused { .. })), "a good answer that is said to be wrong");
            continue;
        }
        let files = written.unwrap();
        verify(&files, None).unwrap();
        for form in ["-refused.bin", "-refused.der"] {
            assert_eq!(files.iter().filter(|file| file.name.ends_with(form)).count(), 1);
        }
        let folder = folder(&files);
        assert!(verify_py(&files, folder.path(), &[]).status.success());
        let by_hand = readme(&files, folder.path());
        assert!(by_hand.status.success(), "{by_hand:?}");
        let said = String::from_utf8_lossy(&by_hand.stdout);
        assert!(said.contains("refuses does not verify"), "{said}");
    }
}

/// Whoever hands it on may have packed it again: into a pipe, stored or deflated.
#[test]
fn a_bundle_that_another_program_packed_is_read_and_holds() {
    let honest = files();
    let folder = folder(&honest);
    let pack = "import os, sys, zipfile
class Pipe:
    def write(self, part): return sys.stdout.buffer.write(part)
    def flush(self): pass
to = Pipe() if sys.argv[1] == 'pipe' else sys.argv[1]
with zipfile.ZipFile(to, 'w', int(sys.argv[2])) as out:
    for place, folders, names in os.walk('.'):
        for name in folders + names: out.write(os.path.join(place, name))";
    let elsewhere = tempfile::tempdir().unwrap();
    for (number, (way, method)) in [("pipe", "0"), ("pipe", "8"), ("file", "0"), ("file", "8")].into_iter().enumerate()
    {
        let archive = elsewhere.path().join(format!("{number}.zip"));
        let to = if way == "pipe" { way.as_ref() } else { archive.as_os_str() };
        let mut python = Command::new(venv().join("bin/python"));
        let output = python.args(["-c", pack]).arg(to).arg(method).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        if way == "pipe" {
            std::fs::write(&archive, output.stdout).unwrap();
        }
        let read = bundles::read(&archive).unwrap_or_else(|error| panic!("{way} {method}: {error}"));
        assert_eq!(read, honest);
        verify(&read, None).unwrap();
    }
}

#[test]
fn verify_py_counts_only_the_key_that_it_was_given() {
    let files = few_files();
    let folder = folder(&files);
    let run = |key: &str| verify_py(&files, folder.path(), &["--key", key]);
    let output = run(&station_key().verifier().to_string());
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("under a key that you gave"));
    let output = run(&qa_key().verifier().to_string());
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stdout).contains("a cosigner"));
    let output = run(&first_key().verifier().to_string());
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("under a successor of a key that you gave"));
    let output = run(&key("plant.example/lineseal", 9).verifier().to_string());
    assert_eq!(output.status.code(), Some(1));
}

/// A thief's bundle under the list of `audit key show`, which says up to where the stolen key counts.
#[test]
fn a_key_that_was_replaced_vouches_for_nothing_after_that_in_verify_py_and_by_hand() {
    let stolen = stolen();
    let size = stolen.checkpoint.checkpoint().head().size;
    let files = write(&stolen).unwrap();
    let thiefs = folder(&files);
    let list = tempfile::NamedTempFile::new().unwrap();
    let path = list.path().to_str().unwrap();
    for (until, holds) in [(size - 1, false), (size, true)] {
        let (old, new) = (first_key().verifier().clone(), station_key().verifier().clone());
        std::fs::write(path, format!("{old} until {until}\n{new}\n")).unwrap();
        let output = verify_py(&files, thiefs.path(), &["--key", path]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!((output.status.success(), said.contains("was replaced")), (holds, !holds), "{said}");
        let old = format!("{old} until {until}");
        assert_eq!(verify_py(&files, thiefs.path(), &["--key", &old]).status.success(), holds);
    }
    // By hand the event that replaced it says so, where it is here.
    let honest = few_files();
    let (old, new) = (first_key().verifier().to_string(), station_key().verifier().to_string());
    let folder = folder(&honest);
    let event = std::fs::read_dir(folder.path().join("events")).unwrap().map(|entry| entry.unwrap().path());
    let replaces = format!("\"replaces\":\"{old}\"");
    let event = event.into_iter().find(|path| std::fs::read_to_string(path).unwrap().contains(&replaces)).unwrap();
    let told = std::fs::read_to_string(&event).unwrap().replace(&replaces, &format!("\"replaces\":\"{new}\""));
    std::fs::write(&event, told).unwrap();
    let output = readme_without_sums(&honest, folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no key of the log's own signed this"), "{said}");
}

/// `bundle.json` and the keys are not signed; what they say is what the signed files say.
#[test]
fn what_a_forger_writes_into_the_list_or_a_key_is_refused_by_hand() {
    let honest = few_files();
    let (key, other) = (station_key().verifier().to_string(), key(ORIGIN, 9).verifier().to_string());
    let size = format!("\"size\": {}", contents_size(&honest));
    for (name, from, to) in [
        ("bundle.json", size.as_str(), "\"size\": 9"),
        ("bundle.json", "\"root\": \"", "\"root\": \"00"),
        ("bundle.json", "    1,\n", ""),
        ("bundle.json", &key, &other),
        ("bundle.json", "F0000111", "F0000112"),
        ("keys/", &key, &other),
        ("keys/", &key, &key.to_uppercase()),
    ] {
        let mut forged = honest.clone();
        let is = |file: &&mut File| file.name.starts_with(name) && String::from_utf8_lossy(&file.bytes).contains(from);
        let file = forged.iter_mut().find(is).unwrap_or_else(|| panic!("{from:?} in {name}"));
        file.bytes = String::from_utf8(file.bytes.clone()).unwrap().replacen(from, to, 1).into_bytes();
        let folder = folder(&resummed(forged));
        assert!(!readme(&honest, folder.path()).status.success(), "{from:?} in {name}");
    }
}

fn contents_size(files: &[File]) -> u64 {
    let manifest: Value = serde_json::from_slice(content(files, "bundle.json")).unwrap();
    manifest["checkpoint"]["size"].as_u64().unwrap()
}

#[test]
fn one_flipped_bit_in_any_file_is_refused_by_verify_py_and_by_hand() {
    let files = few_files();
    for at in 0..files.len() {
        let mut flipped = files.clone();
        let middle = files[at].bytes.len() / 2;
        flipped[at].bytes[middle] ^= 1;
        let name = &files[at].name;
        refused_by_verify_py(&files, &flipped, name);
        let folder = folder(&flipped);
        assert!(!readme(&files, folder.path()).status.success(), "{name}");
    }
}

/// The list of sums is written anew: what is left is the proof.
#[test]
fn a_forgers_bit_is_refused_by_verify_py_and_by_hand() {
    let files = few_files();
    let proven = |name: &str| !["README.md", "verify.py", "bundle.json", "SHA256SUMS"].contains(&name);
    for at in (0..files.len()).filter(|at| proven(&files[*at].name)) {
        let mut flipped = files.clone();
        let middle = files[at].bytes.len() / 2;
        flipped[at].bytes[middle] ^= 1;
        let name = &files[at].name;
        let flipped = resummed(flipped);
        refused_by_verify_py(&files, &flipped, name);
        let folder = folder(&flipped);
        assert!(!readme(&files, folder.path()).status.success(), "{name}");
    }
}

#[test]
fn a_file_too_few_or_too_many_is_named_by_verify_py() {
    let files = few_files();
    let mut without = files.clone();
    let gone = without.remove(4).name;
    refused_by_verify_py(&files, &without, &gone);
    refused_by_verify_py(&files, &resummed(without), &gone);
    let mut more = files.clone();
    more.push(File { name: "events/0.json".to_owned(), bytes: b"{}".to_vec() });
    refused_by_verify_py(&files, &more, "events/0.json");
    refused_by_verify_py(&files, &resummed(more), "events/0.json");
}

/// A key that openssl made signs our checkpoints, and one that we made is openssl's to use: in between
/// stands a signer that we never see.
#[test]
fn keys_and_signatures_pass_between_us_and_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let ours = station_key();
    std::fs::write(path("ours.pem"), ours.to_pem().unwrap().expose_secret()).unwrap();
    let public = openssl(&["pkey", "-in", &path("ours.pem"), "-pubout"]);
    assert_eq!(String::from_utf8(public).unwrap(), ours.verifier().to_spki_pem());

    let head = contents().checkpoint.checkpoint().clone();
    std::fs::write(path("note"), head.to_string()).unwrap();
    let signature = openssl(&["pkeyutl", "-sign", "-inkey", &path("ours.pem"), "-rawin", "-in", &path("note")]);
    let signed = SignedCheckpoint::attach(head, ours.verifier(), &signature).unwrap();
    assert_eq!(signed.verify(&[ours.verifier().clone()]).unwrap(), [ours.verifier()]);

    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path("theirs.pem")]);
    let theirs = std::fs::read_to_string(path("theirs.pem")).unwrap();
    let theirs = NoteKey::from_pem(ORIGIN.parse().unwrap(), &theirs.into()).unwrap();
    let public = openssl(&["pkey", "-in", &path("theirs.pem"), "-pubout"]);
    assert_eq!(String::from_utf8(public).unwrap(), theirs.verifier().to_spki_pem());
    openssl(&["genpkey", "-algorithm", "x25519", "-out", &path("other.pem")]);
    let other = std::fs::read_to_string(path("other.pem")).unwrap();
    assert_eq!(NoteKey::from_pem(ORIGIN.parse().unwrap(), &other.into()).unwrap_err(), NoteKeyError::NotEd25519);
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().expect("openssl (Debian: apt-get install openssl)");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// `bundle.json` is nobody's word: what it says is not to look like a verdict.
#[test]
fn what_a_forger_writes_stays_in_its_line() {
    let mut files = few_files();
    let at = files.iter().position(|file| file.name == "bundle.json").unwrap();
    let text = String::from_utf8(files[at].bytes.clone()).unwrap();
    files[at].bytes = text.replace("\"format\": \"", "\"format\": \"\\u001b[2J\\nOK: everything holds").into_bytes();
    let folder = folder(&resummed(files.clone()));
    let output = verify_py(&files, folder.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.lines().count() == 1 && said.starts_with("WRONG: ") && !said.contains('\u{1b}'), "{said}");
}

fn refused_by_verify_py(honest: &[File], files: &[File], name: &str) {
    let folder = folder(files);
    let output = verify_py(honest, folder.path(), &[]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name}: {said}");
    assert!(said.contains("WRONG: ") && !said.contains("OK"), "{name}: {said}");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{name}: {errors}");
}

pub fn folder(files: &[File]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(&file.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.bytes).unwrap();
    }
    folder
}

fn content<'f>(files: &'f [File], name: &str) -> &'f [u8] {
    &files.iter().find(|file| file.name == name).unwrap().bytes
}

/// The honest script, from elsewhere, without anything that is installed beside Python's own library.
pub fn verify_py(honest: &[File], folder: &Path, arguments: &[&str]) -> Output {
    let elsewhere = tempfile::tempdir().unwrap();
    let script = elsewhere.path().join("verify.py");
    std::fs::write(&script, content(honest, "verify.py")).unwrap();
    Command::new(venv().join("bin/python"))
        .args(["-I", "-S"])
        .arg(script)
        .args(arguments)
        .arg(folder)
        .output()
        .expect("a Python environment in LINESEAL_TEST_VENV")
}

/// The commands of the honest README, in their order.
pub fn readme(honest: &[File], folder: &Path) -> Output {
    commands(honest, folder, |_| true)
}

fn readme_without_sums(honest: &[File], folder: &Path) -> Output {
    commands(honest, folder, |line| !line.starts_with("sha256sum"))
}

fn commands(honest: &[File], folder: &Path, wanted: fn(&str) -> bool) -> Output {
    let text = std::str::from_utf8(content(honest, "README.md")).unwrap();
    let blocks: Vec<&str> = text.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert_eq!(blocks.len(), 10, "{text}");
    let lines: Vec<&str> = blocks.iter().flat_map(|block| block.lines()).filter(|line| wanted(line)).collect();
    Command::new("sh").arg("-c").arg(lines.join("\n")).current_dir(folder).output().expect("sh")
}
