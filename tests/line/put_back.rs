//! A plant's database that is put back to what it was before, below a station that runs and has no copies
//! elsewhere: nothing that was shown is taken back, and what was forgotten passes nothing. And a station's
//! own file that is taken from under it.

use std::sync::Arc;

use lineseal::audit::event::Purpose;
use lineseal::audit::{LineEvent, RunEvent};
use lineseal::bootstrap;
use lineseal::domain::profile::KeyKind;
use lineseal::domain::{ReasonCode, Verdict};
use lineseal::runner::view::{Health, Snapshot};

use crate::bench::{Bench, Chip};
use crate::custody::{labels, refused, rule};
use crate::gate::Gate;
use crate::log;
use crate::peers::Cloud;
use crate::plant::{events, join};
use crate::postgres_server::{Database, Postgres};
use crate::program::Program;
use crate::station::{Station, assert_outcome};

/// A station of a plant, its chips, and the plant's database.
async fn plant(chips: usize) -> (Bench<'static>, Vec<Chip>, Database) {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let database = Postgres::shared().fresh_database();
    join(&bench, &database, "ST-1");
    let chips = (0..chips).map(|_| bench.chip(KeyKind::EcP256)).collect();
    (bench, chips, database)
}

async fn started(bench: &Bench<'_>, gates: &[Arc<Gate>]) -> Station {
    let mut station = Station::start_with(bench, |equipment| {
        for gate in gates {
            equipment.log.store = gate.before(equipment.log.store.clone());
        }
    })
    .await;
    station.until("the start", |snapshot| snapshot.log == Health::Good).await;
    station
}

/// Returns once the station takes no board for this reason, and says that its log is not good.
async fn until_it_stops(station: &mut Station) -> Arc<Snapshot> {
    let put_back = ReasonCode::LOG_ROLLED_BACK;
    let bad = |snapshot: &Snapshot| matches!(&snapshot.log, Health::Bad(failure) if failure.code == put_back);
    station.until("L-521", |snapshot| bad(snapshot) && refused(snapshot, put_back)).await
}

/// Neither a new start nor anything but a ruling gets past it; then the board passes, and a run that was
/// cut off ends.
async fn until_it_is_ruled_on(bench: &Bench<'_>, station: Station) {
    station.stop().await;
    let mut station = Station::start(bench).await;
    until_it_stops(&mut station).await;
    rule(&bench.config(), &bench.data_dir()).await;
    let mut unit = station.unit().await;
    while unit.verdict == Verdict::Aborted {
        unit = station.unit().await;
    }
    assert_outcome(&unit, "PASS");
    station.stop().await;
}

/// Of two boards, the one that passed is forgotten: by its size the log tells it, or by its root.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_forgets_a_pass_between_two_boards_takes_no_further_board() {
    for grown in [false, true] {
        let (mut bench, chips, database) = plant(2).await;
        let mut station = started(&bench, &[]).await;
        let dump = database.dump();
        bench.plug(1, "A", &chips[0]);
        assert_outcome(&station.unit().await, "PASS");
        bench.unplug(1);
        station.until_gone(&[1]).await;
        let size = events(&database).len();
        database.put_back(&dump);
        if grown {
            let (writer, _) = bootstrap::open_kept_log(&bench.config(), &bench.data_dir(), None).await.unwrap();
            writer.lines(vec![LineEvent::StationStopped {}; size]).await.unwrap();
        }
        // The very chip that was forgotten, on another board.
        bench.plug(1, "B", &chips[0]);
        let shown = until_it_stops(&mut station).await;
        assert_eq!(shown.recent.len(), 1, "{:?}", shown.recent);
        assert!(log::all(&events(&database), "claimed").is_empty(), "grown: {grown}");
        bench.plug(1, "C", &chips[1]);
        until_it_is_ruled_on(&bench, station).await;
    }
}

/// A red tray is opened by a ruling, and not by an administrator of databases.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_forgets_a_failure_between_two_boards_takes_no_further_board() {
    let (mut bench, chips, database) = plant(1).await;
    let mut station = started(&bench, &[]).await;
    let counterfeit = bench.counterfeit(&chips[0]);
    let dump = database.dump();
    bench.plug(1, "A", &counterfeit);
    assert_eq!(station.unit().await.verdict, Verdict::Fail);
    bench.unplug(1);
    station.until_gone(&[1]).await;
    database.put_back(&dump);
    bench.plug(1, "A", &chips[0]);
    let shown = until_it_stops(&mut station).await;
    assert_eq!(shown.recent.len(), 1, "{:?}", shown.recent);
    until_it_is_ruled_on(&bench, station).await;
}

/// What a run has written, and where it is held while the database forgets it.
#[derive(Debug, Clone, Copy)]
struct Moment {
    kept: fn(&RunEvent) -> bool,
    held: fn(&RunEvent) -> bool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_forgets_what_a_run_has_written_passes_nothing() {
    let begun: fn(&RunEvent) -> bool = |event| matches!(event, RunEvent::RunStarted { .. });
    let proven = |event: &RunEvent| matches!(event, RunEvent::ChallengeAnswered { purpose: Purpose::First, .. });
    let claimed_and_about_to_register = |event: &RunEvent| matches!(event, RunEvent::RegisterIntended { .. });
    let sealed = |event: &RunEvent| matches!(event, RunEvent::Sealed { .. });
    let moments: [Moment; 4] = [
        // The claim would follow a proof that the log does not have.
        Moment { kept: begun, held: proven },
        Moment { kept: begun, held: claimed_and_about_to_register },
        Moment { kept: proven, held: claimed_and_about_to_register },
        // The verdict itself is gone before anybody was shown it.
        Moment { kept: proven, held: sealed },
    ];
    for (number, moment) in moments.into_iter().enumerate() {
        let (mut bench, chips, database) = plant(1).await;
        let gates = [Gate::new(moment.kept), Gate::new(moment.held)];
        let mut station = started(&bench, &gates).await;
        bench.plug(1, "A", &chips[0]);
        gates[0].reached_by(1).await;
        let dump = database.dump();
        gates[0].open();
        gates[1].reached_by(1).await;
        database.put_back(&dump);
        gates[1].open();
        let shown = until_it_stops(&mut station).await;
        assert!(shown.recent.is_empty(), "{number}: {:?}", shown.recent);
        assert_eq!(labels(&bench), 0, "{number}");
        let verdicts = log::all(&events(&database), "sealed").len();
        assert_eq!(verdicts, 0, "{number}");
        until_it_is_ruled_on(&bench, station).await;
    }
}

/// Not one of its events is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_forgets_a_whole_run_before_its_verdict_passes_nothing() {
    let registering: fn(&RunEvent) -> bool = |event| matches!(event, RunEvent::RegisterIntended { .. });
    let sealed: fn(&RunEvent) -> bool = |event| matches!(event, RunEvent::Sealed { .. });
    for held in [registering, sealed] {
        let (mut bench, chips, database) = plant(1).await;
        let gate = Gate::new(held);
        let mut station = started(&bench, std::slice::from_ref(&gate)).await;
        let dump = database.dump();
        bench.plug(1, "A", &chips[0]);
        gate.reached_by(1).await;
        database.put_back(&dump);
        gate.open();
        let shown = until_it_stops(&mut station).await;
        assert!(shown.recent.is_empty(), "{:?}", shown.recent);
        assert_eq!(labels(&bench), 0);
        until_it_is_ruled_on(&bench, station).await;
    }
}

/// SQLite would go on writing to a file that nobody finds any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_file_that_is_taken_from_under_the_station_passes_nothing_until_it_is_put_back() {
    type Act = fn(&std::path::Path);
    let acts: [(Act, Act); 2] = [
        (
            |file| std::fs::rename(file, file.with_file_name("moved.db")).unwrap(),
            |file| std::fs::rename(file.with_file_name("moved.db"), file).unwrap(),
        ),
        (
            |file| {
                std::fs::rename(file, file.with_file_name("moved.db")).unwrap();
                std::fs::copy(file.with_file_name("moved.db"), file).unwrap();
            },
            |file| std::fs::rename(file.with_file_name("moved.db"), file).unwrap(),
        ),
    ];
    for (take, give_back) in acts {
        let mut bench = Bench::new(1, Cloud::shared().await).await;
        let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
        let file = bench.data_dir().join(lineseal::adapters::sqlite::FILE);
        let mut station = started(&bench, &[]).await;
        bench.plug(1, "A", &chips[0]);
        assert_outcome(&station.unit().await, "PASS");
        bench.unplug(1);
        station.until_gone(&[1]).await;
        take(&file);
        bench.plug(1, "B", &chips[1]);
        let moved =
            |snapshot: &Snapshot| matches!(&snapshot.log, Health::Bad(why) if why.code == ReasonCode::STORE_MOVED);
        station.until("L-509", |snapshot| moved(snapshot)).await;
        let printed = bench.printer.printed();
        assert_eq!(printed, 1);
        give_back(&file);
        assert_outcome(&station.unit().await, "PASS");
        let log = station.stop().await;
        assert_eq!(log::all(&log, "sealed").len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_that_is_deleted_passes_nothing_nor_does_one_without_its_index() {
    for part in ["lineseal.db-wal", "lineseal.db-shm"] {
        let mut bench = Bench::new(1, Cloud::shared().await).await;
        let chip = bench.chip(KeyKind::EcP256);
        let file = bench.data_dir().join(lineseal::adapters::sqlite::FILE);
        let mut station = started(&bench, &[]).await;
        std::fs::remove_file(file.with_file_name(part)).unwrap();
        bench.plug(1, "A", &chip);
        let moved =
            |snapshot: &Snapshot| matches!(&snapshot.log, Health::Bad(why) if why.code == ReasonCode::STORE_MOVED);
        station.until("L-509", |snapshot| moved(snapshot)).await;
        assert_eq!(bench.printer.printed(), 0);
        // What was only there is gone, and no last word is written after it.
        station.end().await.unwrap_err();
    }
}

/// Two programs with an index each know nothing of each other: the one that closes last must not fold away what
/// the other has written.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_program_writes_while_the_index_is_gone_is_still_there_when_the_station_ends() {
    let bench = Bench::new(1, Cloud::shared().await).await;
    let file = bench.data_dir().join(lineseal::adapters::sqlite::FILE);
    let station = started(&bench, &[]).await;
    std::fs::remove_file(file.with_file_name("lineseal.db-shm")).unwrap();
    let pin = bench.dir.path().join("pin");
    std::fs::write(&pin, "73509182645").unwrap();
    std::fs::set_permissions(&pin, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let add = ["operator", "add", "A. Sato", "--role", "administrator", "--new-pin-file", pin.to_str().unwrap()];
    Program::on(&bench, add).run().await.expect(0);
    station.end().await.unwrap_err();
    let listed = Program::on(&bench, ["operator", "list"]).run().await.expect(0);
    assert!(listed.out.contains("A. Sato"), "{}", listed.out);
    Program::on(&bench, ["audit", "verify"]).run().await.expect(0);
}

/// A browser of databases, or whoever counts rows for a dashboard: the last to close a database takes its
/// write-ahead log away, unless the station's own lock says that it is not the last.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_tool_beside_a_running_station_takes_nothing_away() {
    let mut bench = Bench::new(1, Cloud::shared().await).await;
    let chips = [(); 2].map(|()| bench.chip(KeyKind::EcP256));
    let file = bench.data_dir().join(lineseal::adapters::sqlite::FILE);
    let mut station = started(&bench, &[]).await;
    for (name, chip) in ["A", "B"].iter().zip(&chips) {
        bench.plug(1, name, chip);
        assert_outcome(&station.unit().await, "PASS");
        bench.unplug(1);
        station.until_gone(&[1]).await;
        let count = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                     print(c.execute('select count(*) from events').fetchone()); c.close()";
        let counted = std::process::Command::new(crate::peers::venv().join("bin/python"))
            .args(["-c", count])
            .arg(&file)
            .output()
            .unwrap();
        assert!(counted.status.success(), "{}", String::from_utf8_lossy(&counted.stderr));
        assert!(file.with_file_name("lineseal.db-wal").exists());
    }
    station.stop().await;
}
