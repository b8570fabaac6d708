use std::path::Path;
use std::time::{Duration, Instant};

use lineseal::adapters::boards::StationPorts;
use lineseal::config::Detection;
use lineseal::domain::Device;
use lineseal::ports::BoardSource;
use lineseal::practice::board::{Behaviour, PtyBoard};

fn station(links: &[&Path]) -> StationPorts {
    StationPorts::new(&Detection {
        links: links.iter().map(|path| path.to_path_buf()).collect(),
        serial_ports: false,
        usb: false,
        debounce: Duration::from_millis(100),
    })
}

fn plug(ports: &Path, name: &str) -> PtyBoard {
    PtyBoard::plug(ports, name, "1", Behaviour::Normal).unwrap()
}

fn present(station: &mut StationPorts) -> Vec<Device> {
    station.present().unwrap()
}

fn paths(station: &mut StationPorts) -> Vec<String> {
    present(station).into_iter().map(|device| device.path.to_string()).collect()
}

#[test]
fn a_directory_of_links_may_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let ports = dir.path().join("ports");
    let mut station = station(&[&ports]);
    assert_eq!(present(&mut station), []);
    let board = plug(&ports, "lane1");
    let seen = present(&mut station);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].path.as_str(), "lane1");
    assert_eq!(seen[0].node.as_deref(), board.node().to_str());
    assert_eq!((&seen[0].usb, &seen[0].usb_serial, &seen[0].denied), (&None, &None, &None));
    board.unplug();
    assert_eq!(present(&mut station), []);
    std::fs::remove_dir(&ports).unwrap();
    assert_eq!(present(&mut station), []);
}

#[test]
fn a_board_that_stays_is_the_same_instance_and_every_replug_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut station = station(&[dir.path()]);
    let mut instances = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let board = plug(dir.path(), "lane1");
        let seen = present(&mut station).remove(0);
        assert_eq!(seen, present(&mut station).remove(0));
        instances.insert(seen.instance);
        board.unplug();
    }
    assert_eq!(instances.len(), 20);
}

#[test]
fn one_board_under_two_names_is_one_board() {
    let dir = tempfile::tempdir().unwrap();
    let (jig, by_path) = (dir.path().join("jig"), dir.path().join("by-path"));
    let board = plug(&by_path, "usb-port-a");
    std::fs::create_dir(&jig).unwrap();
    std::os::unix::fs::symlink(by_path.join("usb-port-a"), jig.join("slot-7")).unwrap();
    std::os::unix::fs::symlink(board.node(), jig.join("slot-8")).unwrap();
    assert_eq!(paths(&mut station(&[&jig, &by_path])), ["slot-7"]);
    assert_eq!(paths(&mut station(&[&by_path, &jig])), ["usb-port-a"]);
}

#[test]
fn sixteen_boards_are_listed_in_a_stable_order() {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (1..=16).map(|n| format!("lane{n:02}")).collect();
    let _boards: Vec<_> = names.iter().rev().map(|name| plug(dir.path(), name)).collect();
    let mut station = station(&[dir.path()]);
    assert_eq!(paths(&mut station), names);
    assert_eq!(paths(&mut station), names);
}

#[test]
fn waiting_ends_soon_after_a_change_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut station = station(&[dir.path()]);
    present(&mut station);
    let start = Instant::now();
    station.wait(Duration::from_millis(400));
    assert!(start.elapsed() >= Duration::from_millis(400));

    let board = plug(dir.path(), "lane1");
    let start = Instant::now();
    station.wait(Duration::from_secs(60));
    assert!(start.elapsed() < Duration::from_secs(20), "plugging was not noticed");
    assert_eq!(present(&mut station).len(), 1);
    // A replug between two looks changes no name.
    board.unplug();
    let _again = plug(dir.path(), "lane1");
    let start = Instant::now();
    station.wait(Duration::from_secs(60));
    assert!(start.elapsed() < Duration::from_secs(20), "replugging was not noticed");
}

#[test]
fn at_rest_it_takes_next_to_no_processor_time() {
    let dir = tempfile::tempdir().unwrap();
    let _boards: Vec<_> = (1..=16).map(|n| plug(dir.path(), &format!("lane{n}"))).collect();
    let mut station = StationPorts::new(&Detection {
        links: vec![dir.path().to_path_buf()],
        serial_ports: true,
        usb: true,
        debounce: Duration::from_millis(100),
    });
    let start = Instant::now();
    while {
        present(&mut station);
        station.unsettled()
    } && start.elapsed() < Duration::from_secs(10)
    {
        station.wait(Duration::from_millis(100));
    }
    let busy = || {
        let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap())
    };
    let before = busy();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        station.wait(Duration::from_secs(2));
        present(&mut station);
    }
    let share = (busy() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    eprintln!("{:.2} % of a processor", share * 100.0);
    assert!(share < 0.03, "{:.1} % of a processor at rest", share * 100.0);
}
