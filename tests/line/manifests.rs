//! Shipment manifests: which chips a vendor says were sent, and what becomes of the others.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use lineseal::domain::profile::KeyKind;
use lineseal::domain::{ReasonCode, SpkiHash};
use lineseal::runner::view::{Command, LaneState, Snapshot};
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::log;
use crate::peers::Cloud;
use crate::program::{Ended, Program};
use crate::station::{Station, assert_outcome};

const CSV: &str = "\n[manifest]\nformat = \"csv\"\nuid = \"Chip UID\"\nfingerprint = \"Certificate SHA-256\"\n";

async fn bench(more: &str) -> Bench<'static> {
    let more = format!("{CSV}{more}");
    Bench::with_profile(1, Cloud::shared().await, move |profile| profile + &more).await
}

fn list(bench: &Bench<'_>, name: &str, lines: &[String]) -> String {
    let path = bench.dir.path().join(name);
    std::fs::write(&path, format!("Chip UID;Certificate SHA-256\n{}\n", lines.join("\n"))).unwrap();
    path.to_str().unwrap().to_owned()
}

fn line(chip: &Chip) -> String {
    format!("{};{}", chip.uid.as_str().to_uppercase(), chip.fingerprint())
}

async fn run(bench: &Bench<'_>, args: &[&str], status: i32) -> Ended {
    Program::on(bench, args.iter().copied()).run().await.expect(status)
}

async fn figures(bench: &Bench<'_>, batch: &str) -> Value {
    let shown = run(bench, &["batch", "show", batch, "--json"], 0).await.json().remove(0);
    let fields = ["entries", "matched", "consumed", "missing", "unknown"];
    json!(fields.map(|field| shown["manifest"][field].clone()))
}

async fn attempt(bench: &mut Bench<'_>, station: &mut Station, name: &str, chip: &Chip, outcome: &str) {
    bench.plug(1, name, chip);
    assert_outcome(&station.unit().await, outcome);
    bench.unplug(1);
    station.until_gone(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chip_that_the_vendor_never_shipped_fails_and_the_nearest_that_was_passes() {
    let mut bench = bench("").await;
    let [good, smuggled, swapped] = [(); 3].map(|()| bench.chip(KeyKind::EcP256));
    // The list has the third chip's UID with the certificate that was meant to be in it.
    let meant = format!("{};{}", swapped.uid, "ab".repeat(32));
    let file = list(&bench, "chips.csv", &[line(&good), meant]);
    run(&bench, &["batch", "open", "WO 1", "--planned", "3", "--manifest", &file], 0).await;
    assert_eq!(figures(&bench, "WO 1").await, json!([2, 0, 0, 2, 0]));

    let mut station = Station::start(&bench).await;
    attempt(&mut bench, &mut station, "SMUGGLED", &smuggled, "FAIL S-116").await;
    attempt(&mut bench, &mut station, "SWAPPED", &swapped, "FAIL S-117").await;
    attempt(&mut bench, &mut station, "GOOD", &good, "PASS").await;
    attempt(&mut bench, &mut station, "GOOD", &good, "PASS").await;
    let copy = bench.copy(&good);
    attempt(&mut bench, &mut station, "COPY", &copy, "FAIL S-118").await;
    assert_eq!(figures(&bench, "WO 1").await, json!([2, 1, 1, 1, 2]));
    let view = station.until("the manifest's figures", |snapshot| {
        snapshot.batch.as_ref().and_then(|batch| batch.manifest).is_some_and(|manifest| manifest.unknown == 2)
    });
    assert_eq!(view.await.batch.as_ref().unwrap().manifest.unwrap().consumed, 1);
    let log = station.stop().await;

    // Nothing of them is in the cloud.
    let cloud = Cloud::shared().await.witness();
    for (name, chip) in [("SMUGGLED", &smuggled), ("SWAPPED", &swapped)] {
        assert!(!cloud.certificates.contains_key(&chip.fingerprint()), "{name}");
        assert!(!cloud.things.contains_key(&bench.thing(name)), "{name}");
    }
    assert!(!cloud.things.contains_key(&bench.thing("COPY")));
    assert_eq!(log::all(&log, "claimed").len(), 2);
    let causes: Vec<&str> =
        log::all(&log, "step-failed").iter().map(|event| event["failure"]["cause"].as_str().unwrap()).collect();
    assert!(causes[0].contains("WO 1") && causes[1].contains(&"ab".repeat(32)), "{causes:?}");

    // The next batch has its own list: of the same chip, for the same board.
    run(&bench, &["batch", "close"], 0).await;
    let file = list(&bench, "next.csv", &[line(&good)]);
    run(&bench, &["batch", "open", "WO 2", "--planned", "1", "--manifest", &file], 0).await;
    let mut station = Station::start(&bench).await;
    attempt(&mut bench, &mut station, "GOOD", &good, "PASS").await;
    station.stop().await;
    assert_eq!(figures(&bench, "WO 2").await, json!([1, 1, 1, 0, 0]));
    assert_eq!(figures(&bench, "WO 1").await, json!([2, 1, 1, 1, 2]));

    // What the vendor said goes along with the proof of the unit.
    let out = bench.dir.path().join("bundle");
    let serial = bench.serial("GOOD");
    run(&bench, &["audit", "prove", &serial, "--out", out.to_str().unwrap()], 0).await;
    run(&bench, &["audit", "verify-bundle", out.to_str().unwrap()], 0).await;
    let mut proven = 0;
    for entry in walk(&out) {
        let text = String::from_utf8_lossy(&std::fs::read(entry).unwrap()).into_owned();
        proven += usize::from(text.contains("\"manifest-listed\"") && text.contains(good.uid.as_str()));
    }
    assert!(proven > 0, "no event of the bundle lists the chip");
    run(&bench, &["audit", "verify"], 0).await;
}

/// A list may come while units of its batch wait for the cloud: what is on none of them is as foreign as a board that
/// comes today.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_asked_by_the_lists_that_its_batch_got_meanwhile() {
    let mut bench = bench("").await;
    run(&bench, &["batch", "open", "WO 1", "--planned", "2"], 0).await;
    let [good, smuggled] = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    bench.proxy.down().await;
    let mut station = Station::start(&bench).await;
    attempt(&mut bench, &mut station, "GOOD", &good, "HELD A-301").await;
    attempt(&mut bench, &mut station, "SMUGGLED", &smuggled, "HELD A-301").await;
    station.stop().await;
    let file = list(&bench, "late.csv", &[line(&good)]);
    run(&bench, &["batch", "manifest", "WO 1", &file], 0).await;
    bench.proxy.up().await.unwrap();
    let ends = run(&bench, &["resume", "--json"], 1).await.json();
    let ends: Vec<Value> =
        ends.iter().map(|end| json!([end["board"]["serial"], end["verdict"], end["reason"]])).collect();
    let [kept, out] = ["GOOD", "SMUGGLED"].map(|name| bench.serial(name));
    assert_eq!(ends, [json!([kept, "PASS", null]), json!([out, "FAIL", "S-116"])]);
    let cloud = Cloud::shared().await.witness();
    assert!(!cloud.certificates.contains_key(&smuggled.fingerprint()));
    assert!(!cloud.things.contains_key(&bench.thing("SMUGGLED")));
    run(&bench, &["audit", "verify"], 0).await;
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_list_is_demanded_no_board_is_touched_without_one() {
    let mut bench = bench("required = true\n").await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut station = Station::start(&bench).await;
    let refused = |snapshot: &Arc<Snapshot>| {
        let plugged = snapshot.lanes.iter().find(|lane| lane.port.is_some());
        let state = plugged.map(|lane| &lane.state);
        matches!(state, Some(LaneState::Refused { failure }) if failure.code == ReasonCode::MANIFEST_MISSING)
    };
    bench.plug(1, "A", &chip);
    station.until("a refusal without a batch", refused).await;
    run(&bench, &["batch", "open", "WO 1", "--planned", "1"], 0).await;
    bench.unplug(1);
    station.until_gone(&[1]).await;
    bench.plug(1, "A", &chip);
    station.until("a refusal without a list", refused).await;
    let file = list(&bench, "chips.csv", &[line(&chip)]);
    run(&bench, &["batch", "manifest", "WO 1", &file], 0).await;
    station.command(Command::Retry(1.try_into().unwrap())).await;
    assert_outcome(&station.unit().await, "PASS");
    let log = station.stop().await;
    assert_eq!(log::all(&log, "run-started").len(), 1);
    assert_eq!(log::all(&log, "board-refused").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_mistakes_is_refused_whole_and_the_same_file_twice_changes_nothing() {
    let bench = bench("").await;
    let chips: Vec<Chip> = (0..3).map(|_| bench.chip(KeyKind::EcP256)).collect();
    let good = list(&bench, "good.csv", &[line(&chips[0])]);
    let wrong = list(
        &bench,
        "wrong.csv",
        &[
            line(&chips[1]),
            "zz;".to_owned(),
            line(&chips[1]),
            line(&chips[0]),
            ";".to_owned(),
            format!("00112233;{}", "ab".repeat(32)),
        ],
    );
    // A batch is not opened with a list that is not taken.
    let refused = run(&bench, &["batch", "open", "WO 1", "--planned", "1", "--manifest", &wrong], 2).await;
    assert!(refused.err.contains("line 3: ") && refused.err.contains("line 6: "), "{}", refused.err);
    assert!(run(&bench, &["batch", "show"], 2).await.err.contains("no batch is open"));

    run(&bench, &["batch", "open", "WO 1", "--planned", "1", "--manifest", &good], 0).await;
    let before = log::read(&bench.data_dir()).len();
    let refused = run(&bench, &["batch", "manifest", "WO 1", &wrong, "--json"], 2).await;
    for part in [
        "line 3: \"zz\"",
        "line 4: its chip UID is that of line 2",
        "line 5: the batch has",
        "line 6: says neither",
        "line 7: its chip UID has 4 bytes, and that of line 2 has 18",
    ] {
        assert!(refused.err.contains(part), "{part} in {}", refused.err);
    }
    assert_eq!(refused.json().len(), 6, "the certificate of line 4 is told, too");
    let same = run(&bench, &["batch", "manifest", "WO 1", &good, "--json"], 0).await;
    assert_eq!(same.json()[0]["new"], json!(false));
    assert_eq!(log::read(&bench.data_dir()).len(), before, "nothing was written");
    assert_eq!(figures(&bench, "WO 1").await, json!([1, 0, 0, 1, 0]));

    let more = list(&bench, "more.csv", &[line(&chips[1]), line(&chips[2])]);
    assert_eq!(run(&bench, &["batch", "manifest", "WO 1", &more, "--json"], 0).await.json()[0]["entries"], json!(2));
    assert_eq!(figures(&bench, "WO 1").await, json!([3, 0, 0, 3, 0]));
    assert!(run(&bench, &["batch", "manifest", "WO 9", &more], 2).await.err.contains("there is no batch WO 9"));
    run(&bench, &["batch", "close"], 0).await;
    assert!(run(&bench, &["batch", "manifest", "WO 1", &more], 2).await.err.contains("is closed"));
}

/// What the vendor signed, by key alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_list_is_taken_from_its_signer_and_from_nobody_else() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let mapping = "\n[manifest]\nformat = \"signed-json\"\nsigner = [\"signer.pem\"]\nkey = \"/key\"\n";
    let mut bench = Bench::with_profile(1, Cloud::shared().await, |profile| profile + mapping).await;
    let chip = bench.chip(KeyKind::EcP256);
    let mut files = Vec::new();
    for name in ["signer", "stranger"] {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        std::fs::write(bench.dir.path().join(format!("assets/{name}.pem")), certificate.pem()).unwrap();
        let protected = URL_SAFE_NO_PAD.encode(json!({ "typ": "JWT", "alg": "ES256" }).to_string());
        let payload = URL_SAFE_NO_PAD.encode(json!({ "key": SpkiHash::of(&chip.spki) }).to_string());
        let signing = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
        let message = format!("{protected}.{payload}");
        let signature = signing.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        let file = bench.dir.path().join(format!("{name}.json"));
        let entry = json!({ "protected": protected, "payload": payload, "signature": signature });
        std::fs::write(&file, json!([entry]).to_string()).unwrap();
        files.push(file.to_str().unwrap().to_owned());
    }
    let refused = run(&bench, &["batch", "open", "WO 1", "--planned", "1", "--manifest", &files[1]], 2).await;
    assert!(refused.err.contains("entry 1: the signature does not verify"), "{}", refused.err);
    let taken = run(&bench, &["batch", "open", "WO 1", "--planned", "1", "--manifest", &files[0], "--json"], 0).await;
    assert_eq!(taken.json()[0]["signers"].as_array().unwrap().len(), 1);
    let mut station = Station::start(&bench).await;
    attempt(&mut bench, &mut station, "A", &chip, "PASS").await;
    let other = bench.chip(KeyKind::EcP256);
    attempt(&mut bench, &mut station, "B", &other, "FAIL S-116").await;
    station.stop().await;
}

/// A file of so many chips.
fn reel(bench: &Bench<'_>, chips: u64) -> String {
    use std::io::Write as _;
    let path = bench.dir.path().join(format!("reel-{chips}.csv"));
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    writeln!(file, "Chip UID;Certificate SHA-256").unwrap();
    for number in 0..chips {
        writeln!(file, "{number:036x};{:064x}", number + (1 << 40)).unwrap();
    }
    drop(file.into_inner().unwrap());
    path.to_str().unwrap().to_owned()
}

/// What a large order has. It is read as it goes: the station PC may be small, and the file need not be.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_lines_are_taken_in_and_in_little_more_memory_than_a_hundred() {
    let mut peaks = Vec::new();
    for chips in [100, 100_000] {
        let bench = bench("").await;
        let path = reel(&bench, chips);
        let args = ["batch", "open", "WO 1", "--planned", "9", "--manifest", &path, "--json"];
        let running = Program::on(&bench, args).start();
        let (taken, peak) = tokio::task::spawn_blocking(move || running.wait_and_watch()).await.unwrap();
        assert_eq!(taken.expect(0).json()[0]["entries"], json!(chips));
        assert_eq!(figures(&bench, "WO 1").await, json!([chips, 0, 0, chips, 0]));
        peaks.push(peak);
    }
    let [few, many] = peaks[..] else { panic!() };
    // The list alone has ten megabytes of text, and 22 of events.
    assert!(many < few + 32 * 1024, "{few} KiB for a hundred, {many} KiB for a hundred thousand");
}

/// Power fails while a list is taken in. Nothing of it counts until it is whole, and the same file once more
/// goes on where it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_was_cut_off_counts_for_nothing_until_it_was_taken_in_whole() {
    let bench = bench("required = true\n").await;
    run(&bench, &["batch", "open", "WO 1", "--planned", "9"], 0).await;
    let path = reel(&bench, 100_000);
    let args = ["batch", "manifest", "WO 1", &path, "--json"];
    let events = |kind: &str| log::count(&bench.data_dir(), kind);
    let by = std::time::Instant::now() + std::time::Duration::from_secs(120);
    let running = Program::on(&bench, args).start();
    while events("manifest-listed") == 0 {
        assert!(std::time::Instant::now() < by, "no entry is in the log");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(running.kill().status, -9);
    let (kept, taken) = (events("manifest-listed"), events("manifest-imported"));
    assert!(kept > 0 && taken == 0, "{kept} {taken}: it was killed too late to say anything");
    // As if there were none.
    let shown = run(&bench, &["batch", "show", "WO 1", "--json"], 0).await.json().remove(0);
    assert_eq!(shown["manifest"], json!(null));
    run(&bench, &["audit", "verify"], 0).await;

    let again = run(&bench, &args, 0).await.json().remove(0);
    assert_eq!((&again["entries"], &again["new"]), (&json!(100_000), &json!(true)));
    assert_eq!(figures(&bench, "WO 1").await, json!([100_000, 0, 0, 100_000, 0]));
    let log = log::read(&bench.data_dir());
    let listed = log::all(&log, "manifest-listed");
    let entries: usize = listed.iter().map(|event| event["entries"].as_array().unwrap().len()).sum();
    assert_eq!((entries, log::all(&log, "manifest-imported").len()), (100_000, 1), "nothing is listed twice");
    // What was kept is what the first one wrote.
    assert!(listed.len() > kept);
    run(&bench, &["audit", "verify"], 0).await;
}

/// Nobody looks at a lane where there is no window.
#[tokio::test(flavor = "multi_thread")]
async fn a_board_that_is_not_begun_with_is_told_without_a_window_too() {
    let mut bench = bench("required = true\n").await;
    let chip = bench.chip(KeyKind::EcP256);
    let station = Program::on(&bench, ["run", "--units", "1"]).start();
    bench.plug(1, "A", &chip);
    let told = tokio::task::spawn_blocking(move || {
        station.until_said(ReasonCode::MANIFEST_MISSING.as_str());
        station.interrupt()
    });
    assert_eq!(told.await.unwrap().err.matches(ReasonCode::MANIFEST_MISSING.as_str()).count(), 1, "once");
}

/// Or whoever brought a chip of their own would write its list, too.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_people_only_a_supervisor_or_qa_takes_in_a_list_and_the_log_names_them() {
    let bench = bench("required = true\n").await;
    let chip = bench.chip(KeyKind::EcP256);
    let pin = |name: &str| {
        let path = bench.dir.path().join(format!("pin-{name}"));
        std::fs::write(&path, format!("{name}'s own pin\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (root, sato, tess) = (pin("Root"), pin("Sato"), pin("Tess"));
    run(&bench, &["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &root], 0).await;
    for (name, role, own) in [("Sato", "supervisor", &sato), ("Tess", "technician", &tess)] {
        let by = ["--as", "Root", "--pin-file", &root];
        let add = ["operator", "add", name, "--role", role, "--new-pin-file", own];
        run(&bench, &[&add[..], &by].concat(), 0).await;
    }
    let file = list(&bench, "mine.csv", &[line(&chip)]);
    let open = ["batch", "open", "WO 1", "--planned", "1", "--manifest", &file];
    let add = ["batch", "manifest", "WO 1", &file];
    let taken = || {
        let log = log::read(&bench.data_dir());
        let count = |kind| log::all(&log, kind).len();
        (count("manifest-listed"), count("manifest-imported"))
    };
    run(&bench, &open, 2).await;
    run(&bench, &[&open[..], &["--as", "Tess", "--pin-file", &tess]].concat(), 3).await;
    // A batch without a list is anybody's to open, and takes no board where a list is demanded.
    run(&bench, &["batch", "open", "WO 1", "--planned", "1"], 0).await;
    run(&bench, &add, 2).await;
    let refused = run(&bench, &[&add[..], &["--as", "Tess", "--pin-file", &tess]].concat(), 3).await;
    assert!(refused.err.contains("O-610"), "{}", refused.err);
    assert_eq!(taken(), (0, 0));
    run(&bench, &[&add[..], &["--as", "Sato", "--pin-file", &sato]].concat(), 0).await;
    assert_eq!(taken(), (1, 1));
    let log = log::read(&bench.data_dir());
    let supervisor = log::all(&log, "operator-added")[1]["person"]["id"].clone();
    for kind in ["manifest-listed", "manifest-imported"] {
        assert_eq!(log::all(&log, kind)[0]["operator"]["id"], supervisor, "{kind}");
    }
}
