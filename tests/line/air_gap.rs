//! Captured on an air-gapped line, registered elsewhere: the file, its signature, and what becomes of its units.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lineseal::domain::profile::KeyKind;
use serde_json::{Value, json};

use crate::bench::{Bench, Chip};
use crate::log::{self, all};
use crate::peers::Cloud;
use crate::program::{Ended, Program};

/// A bench whose boards are plugged in at an air-gapped station, beside one that has the cloud. Both know the
/// same vendor and product.
struct Lines {
    bench: Bench<'static>,
    air_config: PathBuf,
    air_data: PathBuf,
}

impl Lines {
    async fn new() -> Lines {
        let quick = |text: String| text.replace("deadline_ms = 10000", "deadline_ms = 2000");
        let bench = Bench::with_profile(1, Cloud::shared().await, quick).await;
        let own = std::fs::read_to_string(&bench.config_file).unwrap();
        let air = own.replace("name = \"PRACTICE\"", "name = \"AIR-1\"\nair_gapped = true");
        assert_ne!(air, own);
        let air_config = bench.dir.path().join("air.toml");
        std::fs::write(&air_config, air).unwrap();
        let air_data = bench.dir.path().join("air");
        Lines { bench, air_config, air_data }
    }

    /// At the air-gapped station, which has no credentials for any cloud.
    fn air(&self, args: &[&str]) -> Program {
        Program::new(args.iter().copied()).config(&self.air_config).data_dir(&self.air_data)
    }

    fn here(&self, args: &[&str]) -> Program {
        Program::on(&self.bench, args.iter().copied())
    }

    /// Held there; its slip.
    async fn capture(&mut self, name: &str, chip: &Chip) -> u64 {
        self.bench.plug(1, name, chip);
        let held = self.air(&["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
        self.bench.unplug(1);
        assert_eq!((&held["verdict"], &held["reason"]), (&json!("HELD"), &json!("A-305")));
        held["slip"].as_u64().unwrap()
    }

    async fn export(&self, name: &str) -> PathBuf {
        let file = self.bench.dir.path().join(name);
        self.air(&["export-held", "--out", file.to_str().unwrap()]).run().await.expect(0);
        file
    }

    /// The air-gapped station's key is known here from now on.
    async fn trust(&self) {
        let shown = self.air(&["audit", "key", "show"]).run().await.expect(0);
        let key = shown.out.split_whitespace().find(|word| word.matches('+').count() >= 2).unwrap().to_owned();
        let own = std::fs::read_to_string(&self.bench.config_file).unwrap();
        std::fs::write(&self.bench.config_file, format!("{own}\n[log]\nair_gapped_keys = [{key:?}]\n")).unwrap();
    }

    async fn import(&self, file: &Path, status: i32) -> Ended {
        self.here(&["import-held", "--json", file.to_str().unwrap()]).run().await.expect(status)
    }

    fn log(&self) -> Vec<log::Logged> {
        log::read(&self.bench.data_dir())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_an_air_gapped_line_are_registered_where_their_file_is_taken_in() {
    let mut lines = Lines::new().await;
    let chips = [(); 2].map(|()| lines.bench.chip(KeyKind::EcP256));
    let slips = [lines.capture("A", &chips[0]).await, lines.capture("B", &chips[1]).await];
    // It never asks the cloud, and never passes.
    let seen = lines.bench.cloud.witness();
    assert!(chips.iter().all(|chip| !seen.certificates.contains_key(&chip.fingerprint())));
    let refused = lines.air(&["resume"]).run().await.expect(2);
    assert!(refused.err.contains("O-606") && refused.err.contains("export-held"), "{}", refused.err);
    let other_way = lines.bench.dir.path().join("other.zip").display().to_string();
    let refused = lines.here(&["export-held", "--out", &other_way]).run().await.expect(2);
    assert!(refused.err.contains("O-606"), "{}", refused.err);

    let file = lines.export("held.zip").await;
    let nothing = lines.air(&["export-held", "--out", &other_way]).run().await.expect(0);
    assert!(nothing.err.contains("nothing waits"), "{}", nothing.err);
    let air_log = log::read(&lines.air_data);
    assert_eq!(all(&air_log, "held-exported")[0]["runs"].as_array().unwrap().len(), 2);

    let unknown = lines.import(&file, 1).await;
    assert!(unknown.err.contains("L-542"), "{}", unknown.err);
    lines.trust().await;
    let passed = lines.import(&file, 0).await.json();
    assert_eq!(passed.iter().map(|record| record["verdict"].clone()).collect::<Vec<_>>(), ["PASS", "PASS"]);
    let seen = lines.bench.cloud.witness();
    for (name, chip) in ["A", "B"].iter().zip(&chips) {
        assert_eq!(seen.certificates[&chip.fingerprint()].things, [lines.bench.thing(name)]);
    }
    let log = lines.log();
    assert_eq!(all(&log, "captured").len(), 2);
    assert_eq!(all(&log, "captured")[0]["capture"]["slip"], slips[0]);
    assert_eq!(all(&log, "held-imported")[0]["runs"], 2);

    // Once more changes nothing.
    let again = lines.import(&file, 0).await.json();
    assert_eq!(again.len(), 2);
    assert_eq!(lines.log().len(), log.len());
    // The slip on the board is that station's, and brings the label of that unit.
    let slip = format!("{}@AIR-1", slips[1]);
    let before = lines.bench.printer.printed();
    let labelled = lines.here(&["resume", "--json", "--slip", &slip]).run().await.expect(0).json().remove(0);
    assert_eq!((&labelled["label"]["status"], &labelled["run"]), (&json!("printed"), &passed[1]["run"]));
    assert_eq!(lines.bench.printer.printed(), before + 1);
    lines.here(&["audit", "verify"]).run().await.expect(0);
    lines.air(&["audit", "verify"]).run().await.expect(0);
}

/// The file has the unit's run alone: what was ruled on the line would never be heard of where it is taken in.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_was_scrapped_on_the_line_does_not_leave_it() {
    let mut lines = Lines::new().await;
    let chips = [(); 2].map(|()| lines.bench.chip(KeyKind::EcP256));
    let slip = lines.capture("A", &chips[0]).await;
    lines.capture("B", &chips[1]).await;
    let pin = |name: &str| {
        let path = lines.bench.dir.path().join(format!("pin-{name}"));
        std::fs::write(&path, format!("{name}'s own pin\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let [root, aiko, ben] = ["Root", "Aiko", "Ben"].map(pin);
    lines.air(&["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &root]).run().await.expect(0);
    for (name, file) in [("Aiko", &aiko), ("Ben", &ben)] {
        let add =
            ["operator", "add", name, "--role", "qa", "--new-pin-file", file, "--as", "Root", "--pin-file", &root];
        lines.air(&add).run().await.expect(0);
    }
    let serial = lines.bench.serial("A");
    let by = ["--as", "Aiko", "--pin-file", &aiko, "--second", "Ben", "--second-pin-file", &ben];
    let scrap = ["audit", "rule", "scrap", &serial, "--reason", "burnt", "--evidence-text", "ticket 1"];
    lines.air(&[&scrap[..], &by].concat()).run().await.expect(0);

    let path = lines.bench.dir.path().join("held.zip").display().to_string();
    let told = lines.air(&["export-held", "--json", "--out", &path]).run().await.expect(0);
    assert!(told.err.contains("S-114") && told.err.contains(&serial), "{}", told.err);
    let runs = told.json().remove(0)["runs"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 1);
    assert_ne!(runs[0]["slip"], json!(slip));
    lines.trust().await;
    assert_eq!(
        lines.import(Path::new(&path), 0).await.json().remove(0)["board"]["serial"],
        json!(lines.bench.serial("B"))
    );
}

/// A key counts as far as the log's own rotation says, and a cosigner's never by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_replaced_vouches_for_no_later_file() {
    let mut lines = Lines::new().await;
    let chips = [(); 2].map(|()| lines.bench.chip(KeyKind::EcP256));
    lines.capture("A", &chips[0]).await;
    lines.trust().await;
    let text = std::fs::read_to_string(&lines.bench.config_file).unwrap();
    let size = log::read(&lines.air_data).len();
    let before = lines.export("before.zip").await;
    // As `audit key show` writes it once the key was replaced when the log had so many events.
    let limited = |until: usize| {
        let own = text.strip_suffix("\"]\n").unwrap();
        std::fs::write(&lines.bench.config_file, format!("{own} until {until}\"]\n")).unwrap();
    };
    limited(size);
    let refused = lines.import(&before, 1).await;
    assert!(refused.err.contains("L-542"), "{}", refused.err);
    lines.here(&["config", "check"]).run().await.expect(0);
    limited(log::read(&lines.air_data).len());
    assert_eq!(lines.import(&before, 0).await.json().remove(0)["verdict"], json!("PASS"));
    // What is no key is told before a file comes.
    std::fs::write(&lines.bench.config_file, text.replace("air_gapped_keys = [\"", "air_gapped_keys = [\"no key"))
        .unwrap();
    let told = lines.here(&["config", "check"]).run().await.expect(2);
    assert!(told.err.contains("air_gapped_keys"), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_chip_that_is_another_units_fails_where_it_is_taken_in_and_waits_for_qa() {
    let mut lines = Lines::new().await;
    let chip = lines.bench.chip(KeyKind::EcP256);
    lines.bench.plug(1, "A", &chip);
    lines.here(&["run", "--units", "1"]).run().await.expect(0);
    lines.bench.unplug(1);
    lines.capture("B", &lines.bench.copy(&chip)).await;
    lines.trust().await;
    let failed = lines.import(&lines.export("held.zip").await, 1).await;
    let record = failed.json().remove(0);
    assert_eq!((&record["verdict"], &record["reason"]), (&json!("FAIL"), &json!("S-105")));
    let locked = lines.here(&["audit", "list", "--locked"]).run().await.expect(0);
    assert!(locked.out.contains(&lines.bench.serial("B")) && locked.out.contains("S-105"), "{}", locked.out);
    assert_eq!(lines.bench.cloud.witness().certificates[&chip.fingerprint()].things, [lines.bench.thing("A")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_edited_or_cut_short_is_refused_whole() {
    let mut lines = Lines::new().await;
    for name in ["A", "B"] {
        let chip = lines.bench.chip(KeyKind::EcP256);
        lines.capture(name, &chip).await;
    }
    lines.trust().await;
    let file = lines.export("held.zip").await;
    let genuine = lineseal::bootstrap::read_bundle(&file).unwrap();
    let run = |name: &str| name.split_once('/').map(|(folder, _)| folder.to_owned()).filter(|it| it != "export");
    let one = genuine.iter().find_map(|file| run(&file.name)).unwrap();
    type Forge = Box<dyn Fn(&mut Vec<lineseal::audit::bundle::File>)>;
    let edit = |ends: &'static str| -> Forge {
        Box::new(move |files| {
            let file = files.iter_mut().find(|file| file.name.ends_with(ends)).unwrap();
            let last = file.bytes.len() - 3;
            file.bytes[last] ^= 1;
        })
    };
    let without = one.clone();
    let forgeries: Vec<(&str, Forge)> = vec![
        ("the export's event", edit("export/event.json")),
        ("a proof", edit(".tlog-proof")),
        ("the checkpoint", edit("/checkpoint.txt")),
        (
            "an event",
            Box::new(|files| {
                let file = files.iter_mut().find(|file| file.name.contains("/events/")).unwrap();
                file.bytes[40] ^= 1;
            }),
        ),
        ("a run left out", Box::new(move |files| files.retain(|file| !file.name.starts_with(&without)))),
        (
            "a run under another's name",
            Box::new(move |files| {
                for file in files.iter_mut().filter(|file| file.name.starts_with(&one)) {
                    file.name = file.name.replace(&one, "stray");
                }
            }),
        ),
    ];
    for (at, (what, forge)) in forgeries.into_iter().enumerate() {
        let mut files = genuine.clone();
        forge(&mut files);
        let forged = lines.bench.dir.path().join(format!("forged-{at}.zip"));
        lineseal::bootstrap::write_bundle(&forged, &files).unwrap();
        let refused = lines.import(&forged, 1).await;
        assert!(refused.err.contains("L-541"), "{what}: {}", refused.err);
    }
    let cut = lines.bench.dir.path().join("cut.zip");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(lines.import(&cut, 1).await.err.contains("L-541"));
    assert!(!lines.bench.data_dir().join("lineseal.db").exists() || all(&lines.log(), "captured").is_empty());
    // The nearest legitimate case.
    assert_eq!(lines.import(&file, 0).await.json().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_was_cut_off_is_finished_by_the_same_command() {
    let mut lines = Lines::new().await;
    let chip = lines.bench.chip(KeyKind::EcP256);
    lines.capture("A", &chip).await;
    lines.trust().await;
    let file = lines.export("held.zip").await;
    lines.bench.proxy.down().await;
    let importing = lines.here(&["import-held", file.to_str().unwrap()]).start();
    let by = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !lines.bench.data_dir().join("lineseal.db").exists() || all(&lines.log(), "captured").is_empty() {
        assert!(std::time::Instant::now() < by, "nothing taken in within a minute");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    importing.kill();
    lines.bench.proxy.up().await.unwrap();
    // A station that begins meanwhile closes nothing of it.
    let other = lines.bench.chip(KeyKind::EcP256);
    lines.bench.plug(1, "B", &other);
    lines.here(&["run", "--units", "1"]).run().await.expect(0);
    lines.bench.unplug(1);
    let passed = lines.import(&file, 0).await.json().remove(0);
    assert_eq!(passed["verdict"], "PASS");
    let log = lines.log();
    let of_unit = |kind: &str| all(&log, kind).iter().filter(|event| event["run"] == passed["run"]).count();
    assert_eq!((of_unit("captured"), of_unit("claimed"), of_unit("registered")), (1, 1, 1));
    let verdicts: Vec<Value> = all(&log, "sealed").iter().map(|event| event["verdict"].clone()).collect();
    assert!(!verdicts.contains(&json!("ABORTED")), "{verdicts:?}");
    lines.here(&["audit", "verify"]).run().await.expect(0);
}
