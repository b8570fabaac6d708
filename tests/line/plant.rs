//! Stations of a plant: one log in PostgreSQL, which goes away and comes back; and the way there from a
//! station's own file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::audit::RunEvent;
use lineseal::audit::event::Purpose;
use lineseal::domain::profile::KeyKind;
use lineseal::practice::setup;
use lineseal::runner::view::{Health, Snapshot};
use serde_json::Value;

use crate::bench::Bench;
use crate::gate::Gate;
use crate::killed::LossyWay;
use crate::log::{self, Logged};
use crate::peers::Cloud;
use crate::postgres_server::{Database, Postgres};
use crate::program::{Ended, Program};
use crate::station::{Station, assert_outcome};

/// The bench's station writes to this database from here on, under a name of its own.
pub fn join(bench: &Bench<'_>, database: &Database, station: &str) {
    let password = bench.dir.path().join("db-password");
    private(&password, "of-a-test\n");
    let own = std::fs::read_to_string(&bench.config_file).unwrap();
    let Database { name, port } = database;
    let joined = format!(
        "{}\n[log]\npostgres = \"host=127.0.0.1 port={port} user=lineseal dbname={name}\"\n\
         password_file = {password:?}\n",
        own.replace("name = \"PRACTICE\"", &format!("name = \"{station}\"")),
    );
    std::fs::write(&bench.config_file, joined).unwrap();
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    mode(path, 0o600);
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// As `psql` would read it; nothing before a station has laid it out.
pub fn events(database: &Database) -> Vec<Logged> {
    let database = database.clone();
    let read = move || {
        let mut client = database.connect();
        let known = client.query_one("SELECT to_regclass('hashes') IS NOT NULL", &[]).unwrap();
        if !known.get::<_, bool>(0) {
            return Vec::new();
        }
        let rows = client.query("SELECT seq, bytes, leaf_hash FROM events ORDER BY seq", &[]).unwrap();
        let logged = |row: &::postgres::Row| {
            let bytes: Vec<u8> = row.get(1);
            let event = serde_json::from_slice(&bytes).unwrap();
            Logged { seq: u64::try_from(row.get::<_, i64>(0)).unwrap(), bytes, leaf_hash: row.get(2), event }
        };
        rows.iter().map(logged).collect()
    };
    std::thread::spawn(read).join().unwrap()
}

fn outcomes(ended: &Ended) -> Vec<String> {
    let outcome = |record: Value| {
        let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        format!("{} {}", word("verdict"), word("reason")).trim().to_owned()
    };
    let mut outcomes: Vec<String> = ended.json().into_iter().map(outcome).collect();
    outcomes.sort();
    outcomes
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let by = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < by, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_dies_in_a_run_is_waited_for_and_the_board_is_taken_again_by_itself() {
    let mut bench = Bench::new(2, Cloud::shared().await).await;
    let server = Postgres::start();
    let database = server.fresh_database();
    join(&bench, &database, "ST-1");
    let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    // So that the run is in the middle of something for a while.
    let way = LossyWay::start(bench.proxy.address(), b"/certificate/register-no-ca").await;
    let configured = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, configured.replace(&bench.proxy.endpoint(), &way.endpoint())).unwrap();
    bench.plug(1, "A", &chips[0]);
    let station = Program::on(&bench, ["run", "--json", "--units", "2"]).start();
    until("the registration's intent", || !log::all(&events(&database), "register-intended").is_empty()).await;
    server.kill_9();
    way.repair();
    station.until_said("L-507");
    // This one comes while there is no log to write to.
    bench.plug(2, "B", &chips[1]);
    server.restart();
    let ended = tokio::task::spawn_blocking(move || station.wait()).await.unwrap().expect(3);
    assert!(ended.err.contains("the station goes on"), "{}", ended.err);
    assert_eq!(outcomes(&ended), ["ABORTED L-511", "PASS", "PASS"], "{}", ended.err);

    let log = events(&database);
    assert!(log.iter().enumerate().all(|(index, logged)| logged.seq == index as u64));
    assert_eq!(log::all(&log, "run-started").len(), 3);
    let returned = log::all(&log, "log-returned");
    assert_eq!(returned.len(), 1, "{returned:?}");
    assert_eq!(returned[0]["failure"]["code"], "L-507");
    assert_eq!(log::all(&log, "sealed").len(), 3);
    assert_eq!(log::all(&log, "registered").len(), 2);
}

/// Whoever counts the units, and writes them down, reads them here: the log has the verdict.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_whose_label_could_not_be_recorded_any_more_is_told_all_the_same() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let server = Postgres::start();
    let database = server.fresh_database();
    join(&bench, &database, "ST-1");
    let chip = bench.chip(KeyKind::EcP256);
    let gate = Gate::new(|event| matches!(event, RunEvent::LabelIntended { .. }));
    let mut station =
        Station::start_with(&bench, |equipment| equipment.log.store = gate.before(equipment.log.store.clone())).await;
    bench.plug(1, "A", &chip);
    gate.reached_by(1).await;
    server.kill_9();
    gate.open();
    assert_outcome(&station.unit().await, "PASS");
    server.restart();
    let good = |snapshot: &std::sync::Arc<Snapshot>| snapshot.log == Health::Good;
    station.until("the log is back", good).await;
    station.end().await.unwrap();
    let log = events(&database);
    assert_eq!(log::all(&log, "sealed").len(), 1);
    assert_eq!(log::all(&log, "label-intended").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_that_starts_before_its_database_waits_and_a_command_does_not() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let server = Postgres::start();
    let database = server.fresh_database();
    join(&bench, &database, "ST-1");
    server.stop();
    let listed = Program::on(&bench, ["batch", "list"]).run().await.expect(3);
    assert!(listed.err.contains("L-507"), "{}", listed.err);
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    let station = Program::on(&bench, ["run", "--json", "--units", "1", "--as", "A. Sato"]).start();
    station.until_said("L-507");
    server.restart();
    let ended = tokio::task::spawn_blocking(move || station.wait()).await.unwrap().expect(0);
    assert_eq!(outcomes(&ended), ["PASS"]);
    let log = events(&database);
    assert_eq!(log::all(&log, "operator-named").len(), 1);
    assert!(log::all(&log, "run-started")[0]["operator"]["id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_chip_at_two_stations_at_once_passes_at_one_and_fails_at_the_other() {
    let cloud = Cloud::shared().await;
    let (mut first, mut second, database) = two_stations(cloud).await;
    let chip = first.chip(KeyKind::EcP256);
    first.plug(1, "A", &chip);
    second.plug(1, "B", &chip);
    let run = |bench: &Bench<'_>| Program::on(bench, ["run", "--json", "--units", "1"]).run();
    let (one, two) = tokio::join!(run(&first), run(&second));
    let mut seen = [outcomes(&one), outcomes(&two)].concat();
    seen.sort();
    assert_eq!(seen, ["FAIL S-105", "PASS"], "{}\n{}", one.err, two.err);
    let log = events(&database);
    assert_eq!(log::all(&log, "claimed").len(), 1);
    // One log with one name, and a key for each that signs it.
    assert_eq!((log::all(&log, "log-opened").len(), log::all(&log, "log-key-added").len()), (1, 2));
    // Their calls were counted together.
    let counted = "SELECT count(*) FROM rations WHERE action = 'iot:RegisterCertificateWithoutCA'";
    let count = move || database.connect().query_one(counted, &[]).unwrap().get::<_, i64>(0);
    assert_eq!(std::thread::spawn(count).join().unwrap(), 1);
}

/// Two computers were given one name: each would close the other's runs as its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_station_of_the_same_name_is_refused_at_start_and_says_so() {
    let cloud = Cloud::shared().await;
    let (mut first, second, database) = two_stations(cloud).await;
    let text = std::fs::read_to_string(&second.config_file).unwrap();
    std::fs::write(&second.config_file, text.replace("\"ST-2\"", "\"ST-1\"")).unwrap();
    let station = Program::on(&first, ["run", "--json", "--units", "1"]).start();
    until("the first station's start", || !log::all(&events(&database), "station-started").is_empty()).await;
    for command in ["run", "resume"] {
        let refused = Program::on(&second, [command]).run().await.expect(3);
        assert!(refused.err.contains("L-508") && refused.err.contains("runs already"), "{}", refused.err);
    }
    // Whoever only looks, or writes beside the station, is let in.
    Program::on(&second, ["audit", "verify"]).run().await.expect(0);
    Program::on(&second, ["batch", "list"]).run().await.expect(0);
    let chip = first.chip(KeyKind::EcP256);
    first.plug(1, "A", &chip);
    let ended = tokio::task::spawn_blocking(move || station.wait()).await.unwrap().expect(0);
    assert_eq!(outcomes(&ended), ["PASS"], "{}", ended.err);
    assert_eq!(log::all(&events(&database), "station-started").len(), 1);
}

/// Both stations have asked their chips, and neither has an answer.
fn challenged(event: &RunEvent) -> bool {
    matches!(event, RunEvent::ChallengeMade { purpose: Purpose::First, .. })
}

/// Neither station sees the other's boards; the log sees both, and nobody can say which of them is the unit.
#[tokio::test(flavor = "multi_thread")]
async fn one_serial_number_at_two_stations_at_once_is_an_error_at_both_and_neither_claims() {
    let cloud = Cloud::shared().await;
    let (mut first, mut second, database) = two_stations(cloud).await;
    let chips = [(); 2].map(|()| first.chip(KeyKind::EcP256));
    let serial = first.serial("TWIN");
    first.plug(1, "TWIN", &chips[0]);
    second.plug_serial(1, &serial, &chips[1]);
    let gate = Gate::new(challenged);
    let station = async |bench: &Bench<'_>| {
        Station::start_with(bench, |equipment| equipment.log.store = gate.before(equipment.log.store.clone())).await
    };
    let (mut left, mut right) = (station(&first).await, station(&second).await);
    gate.reached_by(2).await;
    gate.open();
    for (record, other) in [(left.unit().await, "ST-2"), (right.unit().await, "ST-1")] {
        assert_outcome(&record, "ERROR B-106");
        assert!(record.cause.as_ref().unwrap().contains(other), "{record:?}");
    }
    left.stop().await;
    right.stop().await;
    assert!(log::all(&events(&database), "claimed").is_empty());
    assert!(!cloud.witness().things.contains_key(&first.thing("TWIN")));
    // The only board of that serial number.
    second.unplug(1);
    first.plug(1, "TWIN", &chips[0]);
    let run = Program::on(&first, ["run", "--json", "--units", "1"]).run().await;
    assert_eq!(outcomes(&run), ["PASS"]);
}

/// A unit that waits for the cloud, and the number of its slip: out of the first station's printer.
async fn held(bench: &mut Bench<'static>) -> (Value, String) {
    give(bench, 2000);
    let chip = bench.chip(KeyKind::EcP256);
    bench.proxy.down().await;
    bench.plug(1, "A", &chip);
    let held = Program::on(bench, ["run", "--json", "--units", "1"]).run().await.expect(4).json().remove(0);
    bench.unplug(1);
    let slip = held["slip"].as_u64().unwrap().to_string();
    (held["run"].clone(), slip)
}

/// How long the station may take to register a unit.
fn give(bench: &Bench<'_>, milliseconds: u32) {
    let file = bench.dir.path().join("assets/practice.toml");
    let line = |line: &str| match line.starts_with("deadline_ms = ") {
        true => format!("deadline_ms = {milliseconds}"),
        false => line.to_owned(),
    };
    let lines: Vec<String> = std::fs::read_to_string(&file).unwrap().lines().map(line).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
}

/// Both at once: each has read the log, and both wait to write to it, before one of them may.
async fn at_the_same_moment(stations: [&Bench<'_>; 2], database: &Database, args: &[&str]) -> [Ended; 2] {
    let (held, holds) = tokio::sync::oneshot::channel();
    let holding = {
        let database = database.clone();
        std::thread::spawn(move || {
            let (mut holder, mut observer) = (database.connect(), database.connect());
            holder.batch_execute("BEGIN; SELECT size FROM tree_head FOR UPDATE").unwrap();
            held.send(()).unwrap();
            let by = Instant::now() + Duration::from_secs(60);
            let waiting = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while observer.query_one(waiting, &[]).unwrap().get::<_, i64>(0) < 2 {
                assert!(Instant::now() < by, "the stations do not come to write");
                std::thread::sleep(Duration::from_millis(5));
            }
        })
    };
    holds.await.unwrap();
    let run = |bench| Program::on(bench, args.iter().copied()).run();
    let (one, two) = tokio::join!(run(stations[0]), run(stations[1]));
    tokio::task::spawn_blocking(move || holding.join().unwrap()).await.unwrap();
    [one.expect(0), two.expect(0)]
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stations_that_finish_one_held_unit_at_the_same_moment_one_does_and_one_label_comes_out() {
    let (mut first, second, database) = two_stations(Cloud::shared().await).await;
    let (run, slip) = held(&mut first).await;
    first.proxy.up().await.unwrap();
    // The log knows the second one's key, so that the first thing that either writes is of the unit.
    Program::on(&second, ["resume", "--slip", "999999"]).run().await.expect(3);
    let printed = || first.printer.printed() + second.printer.printed();
    assert_eq!(printed(), 1);

    let before = log::all(&events(&database), "sealed").len();
    let both = at_the_same_moment([&first, &second], &database, &["resume", "--json"]).await;
    let told = both.iter().map(|ended| ended.err.as_str()).collect::<Vec<_>>().join("\n");
    let records: Vec<Value> = both.iter().flat_map(Ended::json).collect();
    assert_eq!(records.len(), 1, "{told}");
    assert_eq!((&records[0]["run"], &records[0]["verdict"]), (&run, &"PASS".into()));
    let left = both.iter().find(|ended| ended.json().is_empty()).unwrap();
    assert!(left.err.contains("L-531") && !left.err.contains("nothing waits"), "{}", left.err);
    let log = events(&database);
    for (event, count) in [("resumed", 1), ("registered", 1), ("sealed", before + 1)] {
        assert_eq!(log::all(&log, event).len(), count, "{event}: {told}");
    }

    let both = at_the_same_moment([&first, &second], &database, &["resume", "--json", "--slip", &slip]).await;
    let told = both.iter().map(|ended| ended.err.as_str()).collect::<Vec<_>>().join("\n");
    assert_eq!(printed(), 2, "{told}");
    assert_eq!(both.iter().filter(|ended| ended.err.contains("L-531")).count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_another_station_is_finishing_is_left_alone_until_its_time_is_over() {
    let (mut first, second, database) = two_stations(Cloud::shared().await).await;
    let (run, _) = held(&mut first).await;
    give(&first, 600_000);
    let finishing = Program::on(&first, ["resume"]).start();
    until("the resume", || !log::all(&events(&database), "resumed").is_empty()).await;
    // For all that anybody else can see, it may still be at work.
    finishing.kill();
    let of_run = || events(&database).into_iter().filter(|logged| logged.event["run"] == run).count();
    let before = of_run();
    give(&second, 600_000);
    for _ in 0..2 {
        let left = Program::on(&second, ["resume", "--json"]).run().await.expect(0);
        assert!(left.json().is_empty() && left.err.contains("L-531") && left.err.contains("ST-1"), "{}", left.err);
        assert_eq!(of_run(), before);
    }
    // Twice this, by the clock, since the other one's last word.
    give(&second, 3000);
    let by = Instant::now() + Duration::from_secs(60);
    let taken = loop {
        let resumed = Program::on(&second, ["resume", "--json"]).run().await;
        if let Some(record) = resumed.json().pop() {
            break record;
        }
        assert!(resumed.err.contains("L-531") && Instant::now() < by, "{}", resumed.err);
        assert_eq!(of_run(), before);
    };
    assert_eq!((&taken["run"], &taken["station"]), (&run, &"ST-1".into()), "{taken}");
    assert_eq!(taken["verdict"], "PASS", "{taken}");
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_practice_station_writes_to_no_plants_database_nor_a_plants_to_its() {
    let cloud = Cloud::shared().await;
    for real_first in [true, false] {
        let database = Postgres::shared().fresh_database();
        let (practice, real) = (Bench::new(1, cloud).await, Bench::new(1, cloud).await);
        join(&practice, &database, "ST-1");
        join(&real, &database, "ST-2");
        let text = std::fs::read_to_string(&real.config_file).unwrap();
        std::fs::write(&real.config_file, crate::commands::real_of(&text)).unwrap();
        let (first, second) = if real_first { (&real, &practice) } else { (&practice, &real) };
        Program::on(first, ["batch", "list"]).run().await.expect(0);
        let refused = Program::on(second, ["batch", "list"]).run().await.expect(3);
        assert!(refused.err.contains("K-704"), "{}", refused.err);
        assert!(events(&database).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_others_may_read_is_refused_and_the_environments_will_do() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    join(&bench, &Postgres::shared().fresh_database(), "ST-1");
    mode(&bench.dir.path().join("db-password"), 0o644);
    let refused = Program::on(&bench, ["batch", "list"]).run().await.expect(2);
    assert!(refused.err.contains("K-701") && refused.err.contains("chmod 600"), "{}", refused.err);
    let text = std::fs::read_to_string(&bench.config_file).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with("password_file")).collect();
    std::fs::write(&bench.config_file, without.join("\n")).unwrap();
    let refused = Program::on(&bench, ["batch", "list"]).run().await.expect(3);
    assert!(refused.err.contains("L-507"), "{}", refused.err);
    Program::on(&bench, ["batch", "list"]).env("PGPASSWORD", "of-a-test").run().await.expect(0);
}

/// A station that was on its own joins the plant, and what its log proved before stays proven.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_moves_into_the_plants_database_leaves_the_log_beside_it_in_use() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let pin = bench.dir.path().join("pin");
    private(&pin, "73509182645");
    let pin = pin.to_str().unwrap().to_owned();
    let add = ["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &pin];
    Program::on(&bench, add).run().await.expect(0);
    let backup = bench.data_dir().join("backup.db").to_str().unwrap().to_owned();
    Program::on(&bench, ["audit", "backup", &backup]).run().await.expect(0);
    let alone = std::fs::read_to_string(&bench.config_file).unwrap();
    join(&bench, &Postgres::shared().fresh_database(), "PRACTICE");
    let migrate = ["audit", "migrate", "--from", &backup, "--as", "Root", "--pin-file", &pin];
    // Also when it is found done.
    for _ in 0..2 {
        Program::on(&bench, migrate).run().await.expect(0);
        assert!(!bench.data_dir().join("MIGRATED").exists());
    }
    std::fs::write(&bench.config_file, alone).unwrap();
    Program::on(&bench, ["batch", "list"]).run().await.expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stations_log_moves_into_the_plants_database_and_is_written_there_alone() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chip = bench.chip(KeyKind::EcP256);
    bench.plug(1, "A", &chip);
    Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0);
    let pin = bench.dir.path().join("pin");
    private(&pin, "73509182645");
    let pin = pin.to_str().unwrap().to_owned();
    let add = ["operator", "add", "Root", "--role", "administrator", "--new-pin-file", &pin];
    Program::on(&bench, add).run().await.expect(0);
    let before = log::read(&bench.data_dir());
    let checkpoint = newest_checkpoint(&bench.data_dir());

    let alone = std::fs::read_to_string(&bench.config_file).unwrap();
    let database = Postgres::shared().fresh_database();
    join(&bench, &database, "PRACTICE");
    let data_dir = bench.data_dir().to_str().unwrap().to_owned();
    let unsigned = Program::on(&bench, ["audit", "migrate", "--from", &data_dir]).run().await.expect(2);
    assert!(unsigned.err.contains("--as"), "{}", unsigned.err);
    let migrate = ["audit", "migrate", "--from", &data_dir, "--as", "Root", "--pin-file", &pin];
    let moved = Program::on(&bench, migrate).run().await.expect(0);
    assert!(moved.err.contains(&format!("{} events", before.len())), "{}", moved.err);
    let after = events(&database);
    assert_eq!(after.len(), before.len() + 1);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((old.seq, &old.bytes, &old.leaf_hash), (new.seq, &new.bytes, &new.leaf_hash));
    }
    let last = &after.last().unwrap().event;
    assert_eq!((&last["event"], &last["size"]), (&"log-migrated".into(), &before.len().into()));
    assert!(last["operator"]["id"].is_string());

    // Once more finds it done; another log finds the place taken.
    let again = Program::on(&bench, migrate).run().await.expect(0);
    assert!(again.err.contains("already"), "{}", again.err);
    let other = Bench::new(1, bench.cloud).await;
    Program::on(&other, ["batch", "list"]).run().await.expect(0);
    join(&other, &database, "ST-2");
    let other_dir = other.data_dir().to_str().unwrap().to_owned();
    let taken = Program::on(&other, ["audit", "migrate", "--from", &other_dir]).run().await.expect(3);
    assert!(taken.err.contains("only into an empty one"), "{}", taken.err);
    assert!(!other.data_dir().join("MIGRATED").exists());
    assert_eq!(events(&database).len(), after.len());

    // The old file is left as it was, and nobody goes on in it.
    let plant = std::fs::read_to_string(&bench.config_file).unwrap();
    std::fs::write(&bench.config_file, alone).unwrap();
    let refused = Program::on(&bench, ["run", "--units", "1"]).run().await.expect(2);
    assert!(refused.err.contains("K-701") && refused.err.contains("moved to PostgreSQL"), "{}", refused.err);
    assert_eq!(log::read(&bench.data_dir()).len(), before.len());

    // The board is known where the log is now, and the checkpoint from before is one of this log.
    std::fs::write(&bench.config_file, plant).unwrap();
    let ended = Program::on(&bench, ["run", "--json", "--units", "1"]).run().await.expect(0);
    assert_eq!(outcomes(&ended), ["PASS"]);
    let standings: Vec<_> = log::all(&events(&database), "claimed").iter().map(|c| c["standing"].clone()).collect();
    assert_eq!(standings, ["new", "known"]);
    let kept = bench.dir.path().join("kept.checkpoint");
    std::fs::write(&kept, checkpoint).unwrap();
    let verify = ["audit", "verify", "--since", kept.to_str().unwrap()];
    Program::on(&bench, verify).run().await.expect(0);
}

fn newest_checkpoint(data_dir: &Path) -> String {
    let connection = rusqlite::Connection::open(data_dir.join("lineseal.db")).unwrap();
    connection.query_row("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1", [], |row| row.get(0)).unwrap()
}

/// Of one plant. Their boards come from one vendor.
pub async fn two_stations(cloud: &'static Cloud) -> (Bench<'static>, Bench<'static>, Database) {
    let (first, second) = (Bench::new(1, cloud).await, Bench::new(1, cloud).await);
    copy_files(&first.dir.path().join(setup::VENDOR), &second.dir.path().join(setup::VENDOR));
    let database = Postgres::shared().fresh_database();
    join(&first, &database, "ST-1");
    join(&second, &database, "ST-2");
    (first, second, database)
}
