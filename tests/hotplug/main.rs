//! Real USB hot-plug on a real kernel with a real udev, in a machine of its own: `lineseal boards
//! --watch` must see every board where it physically is, whatever the kernel calls it.
//!
//! Needs `qemu-system-x86`, `cpio`, `kmod` and apt's package lists; fails without.
#![allow(clippy::unwrap_used, reason = "what a test does when it is wrong is to say so and die")]

mod machine;
mod station;

use std::process::Command;

use serde_json::Value;

use machine::Machine;
use station::{Watch, port, socket};

/// What udev drops and the kernel knows.
const ODD: &str = "A/B C#é\"x";

#[test]
fn lanes_by_physical_path_stay_right() {
    let mut machine = Machine::boot(17);
    let [mut sixteen, mut bench, mut stranger] = start_stations(&mut machine);

    sixteen_adapters_take_their_sixteen_lanes(&mut machine, &mut sixteen);
    who_may_not_open_them_is_told(&mut machine, &mut stranger);
    boards_replugged_the_other_way_round_keep_the_lanes_of_their_sockets(&mut machine, &mut sixteen);
    a_board_swapped_at_once_is_another_arrival(&mut machine, &mut sixteen);
    a_hub_that_is_pulled_takes_its_boards_along(&mut machine, &mut sixteen);
    without_links_the_same_is_seen_under_the_same_names(&sixteen, &mut bench);
    a_board_with_two_serial_ports_is_taken_by_the_right_one(&mut machine, &mut bench);
    a_board_without_a_serial_port_is_taken_too(&mut machine, &mut bench);
    no_hub_was_ever_taken_for_a_board(&bench);
    a_cable_pulled_in_the_middle_of_a_run_aborts_it(&mut machine);

    machine.order(
        "kill -TERM $(cat /tmp/*.pid) && for f in sixteen bench stranger; do
        while [ ! -e /tmp/$f.code ]; do sleep 0.1; done; [ $(cat /tmp/$f.code) = 0 ] || exit 1; done",
    );
    machine.power_off();
}

/// Three stations on one computer: two run by the operator, one by a user who is not in `dialout`.
fn start_stations(machine: &mut Machine) -> [Watch; 3] {
    // Without debugging information it loads in half the time.
    let program = machine.shared.join("lineseal");
    let strip = Command::new("strip").arg("-o").arg(&program).arg(env!("CARGO_BIN_EXE_lineseal")).status();
    if !strip.is_ok_and(|status| status.success()) {
        std::fs::copy(env!("CARGO_BIN_EXE_lineseal"), &program).unwrap();
    }
    station::write_configurations(&machine.shared.join("station"));
    let gadget = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hotplug/machine/gadget.sh");
    std::fs::copy(gadget, machine.shared.join("gadget.sh")).unwrap();
    machine
        .order("cp -r /host/lineseal /host/station /host/gadget.sh /tmp/ && chmod -R a+rX /tmp/station /tmp/lineseal");
    machine.order("sh /tmp/gadget.sh ready 2");
    // udev takes a second to get round to lane 8's permissions and link, much longer than the debounce.
    machine.order(
        r#"mkdir -p /etc/udev/rules.d
        echo 'SUBSYSTEM=="tty", ATTRS{serial}=="BRD-0008", PROGRAM="/usr/bin/sleep 1"' >/etc/udev/rules.d/10-slow.rules
        udevadm control --reload"#,
    );
    let stations = [("sixteen", "operator", station::SIXTEEN), ("bench", "operator", station::BENCH)];
    let stranger = ("stranger", "nobody", station::SIXTEEN);
    stations.into_iter().chain([stranger]).for_each(|(name, user, config)| {
        machine.order(&format!(
            "(su -s /bin/sh {user} -c '/tmp/lineseal boards --watch --json --config /tmp/station/{config} &
                echo $! >/tmp/{name}.pid; wait $!; echo $? >/tmp/{name}.code' \
              </dev/null >/host/{name}.jsonl 2>/host/{name}.log) &"
        ));
    });
    ["sixteen", "bench", "stranger"].map(|name| {
        let mut watch = Watch::new(machine.shared.join(format!("{name}.jsonl")));
        // The computer's own serial port, the console: it is there, and it is no board.
        let lines = watch.next(1);
        assert_eq!((&lines[0]["node"], &lines[0]["reason"]["code"]), (&"/dev/ttyS0".into(), &"B-101".into()));
        watch
    })
}

fn serial(lane: usize) -> String {
    match lane {
        // Two boards with one serial number, and one that udev has no name for.
        4 | 5 => "TWIN".into(),
        6 => ODD.into(),
        lane => format!("BRD-{lane:04}"),
    }
}

fn plug(machine: &mut Machine, lane: usize, serial: &str) {
    let (bus, port) = socket(lane);
    machine.plug(&format!("board-{lane}"), bus, &port, serial, lane);
}

fn unplug(machine: &mut Machine, lane: usize) {
    machine.unplug(&format!("board-{lane}"));
}

fn find<'a>(lines: &'a [Value], event: &str, port: &str) -> &'a Value {
    let found = lines.iter().find(|line| line["event"] == event && line["port"] == port);
    found.unwrap_or_else(|| panic!("no {event} at {port} in {lines:#?}"))
}

fn sixteen_adapters_take_their_sixteen_lanes(machine: &mut Machine, sixteen: &mut Watch) {
    machine.plug_hub("hub", "15");
    // In an order that has nothing to do with the lanes.
    for step in 0..16 {
        let lane = 1 + (step * 7 + 3) % 16;
        plug(machine, lane, &serial(lane));
    }
    let lines = sixteen.next(16);
    for lane in 1..=16 {
        let line = find(&lines, "arrived", &port(lane));
        assert_eq!(line["lane"], lane, "{line}");
        // QEMU makes a UTF-16 unit of each byte of UTF-8.
        let sent: String = serial(lane).bytes().map(char::from).collect();
        assert_eq!(line["usb_serial"], sent, "{line}");
        assert_eq!((&line["vid"], &line["pid"]), (&"0403".into(), &"6001".into()), "{line}");
        assert_eq!(line["profile"], "adapter", "{line}");
    }
    let nodes: std::collections::BTreeSet<_> = lines.iter().map(|line| line["node"].as_str().unwrap()).collect();
    assert_eq!(nodes.len(), 16);
    // The same as udev's own links, found by another way.
    let links = machine.order("for l in /dev/serial/by-path/*; do echo ${l##*/} $(readlink -f $l); done");
    for line in &lines {
        let link = format!("{} {}", line["port"].as_str().unwrap(), line["node"].as_str().unwrap());
        assert!(links.lines().any(|known| known == link), "{link} is not in\n{links}");
    }
}

fn who_may_not_open_them_is_told(machine: &mut Machine, stranger: &mut Watch) {
    let lines = stranger.next(16);
    for line in &lines {
        assert_eq!((&line["event"], &line["reason"]["code"]), (&"arrived".into(), &"B-107".into()), "{line}");
        assert_eq!(line.get("lane"), None, "{line}");
    }
    let allowed = find(&lines, "arrived", &port(9));
    machine.order(&format!("chmod 666 {}", allowed["node"].as_str().unwrap()));
    let lines = stranger.next(2);
    assert_eq!(find(&lines, "departed", &port(9))["arrival"], allowed["arrival"]);
    assert_eq!(find(&lines, "arrived", &port(9))["lane"], 9);
}

fn boards_replugged_the_other_way_round_keep_the_lanes_of_their_sockets(machine: &mut Machine, sixteen: &mut Watch) {
    let before = sixteen.all();
    let (first, second) = (find(&before, "arrived", &port(2)), find(&before, "arrived", &port(3)));
    unplug(machine, 2);
    unplug(machine, 3);
    let gone = sixteen.next(2);
    for (lane, arrived) in [(2, first), (3, second)] {
        let line = find(&gone, "departed", &port(lane));
        assert_eq!((&line["arrival"], &line["lane"]), (&arrived["arrival"], &lane.into()), "{line}");
    }
    // The kernel gives the lowest free number: whoever had the higher one comes first and takes the lower.
    let number = |line: &Value| line["node"].as_str().unwrap().replace("/dev/ttyUSB", "").parse::<u32>().unwrap();
    let order = if number(first) < number(second) { [3, 2] } else { [2, 3] };
    let mut lines = Vec::new();
    for lane in order {
        plug(machine, lane, &serial(lane));
        lines.extend(sixteen.next(1));
    }
    let (again_first, again_second) = (find(&lines, "arrived", &port(2)), find(&lines, "arrived", &port(3)));
    assert_eq!(
        (&again_first["node"], &again_second["node"]),
        (&second["node"], &first["node"]),
        "the numbers did not swap"
    );
    assert_eq!((&again_first["lane"], &again_second["lane"]), (&2.into(), &3.into()));
    assert_eq!(
        (again_first["usb_serial"].as_str(), again_second["usb_serial"].as_str()),
        (Some("BRD-0002"), Some("BRD-0003"))
    );
}

fn a_board_swapped_at_once_is_another_arrival(machine: &mut Machine, sixteen: &mut Watch) {
    let before = sixteen.all();
    unplug(machine, 7);
    plug(machine, 7, "OTHER");
    let lines = sixteen.next(2);
    assert_eq!(lines[0]["event"], "departed");
    assert_eq!(find(&lines, "departed", &port(7))["arrival"], find(&before, "arrived", &port(7))["arrival"]);
    let line = find(&lines, "arrived", &port(7));
    assert_eq!((&line["lane"], &line["usb_serial"]), (&7.into(), &"OTHER".into()));
}

fn a_hub_that_is_pulled_takes_its_boards_along(machine: &mut Machine, sixteen: &mut Watch) {
    machine.unplug("hub");
    let lines = sixteen.next(2);
    for lane in [14, 15] {
        assert_eq!(find(&lines, "departed", &port(lane))["lane"], lane);
    }
}

fn without_links_the_same_is_seen_under_the_same_names(sixteen: &Watch, bench: &mut Watch) {
    let told = |lines: &[Value]| {
        let mut told: Vec<_> =
            lines.iter().map(|line| ["event", "port", "node"].map(|key| line[key].clone())).collect();
        told.sort_by_key(|line| line.each_ref().map(Value::to_string));
        told
    };
    let lines = sixteen.all();
    // The console both have already told.
    assert_eq!(told(&bench.next(lines.len() - 1)), told(&lines[1..]));
}

fn a_board_with_two_serial_ports_is_taken_by_the_right_one(machine: &mut Machine, bench: &mut Watch) {
    machine.order("sh /tmp/gadget.sh plug 0 1fc9 00a2 GW-0001 acm acm");
    let lines = bench.next(2);
    let other = find(&lines, "arrived", "platform-dummy_hcd.0-usb-0:1:1.0");
    assert_eq!((&other["interface"], &other["reason"]["code"]), (&0.into(), &"B-101".into()), "{other}");
    let right = find(&lines, "arrived", "platform-dummy_hcd.0-usb-0:1:1.2");
    assert_eq!((&right["interface"], &right["lane"]), (&2.into(), &1.into()), "{right}");
    assert_eq!((&right["profile"], &right["usb_serial"]), (&"gateway".into(), &"GW-0001".into()), "{right}");
    // It never was a board without a serial port, not even while its drivers were looking at it.
    assert!(bench.all().iter().all(|line| line["port"] != "platform-dummy_hcd.0-usb-0:1"));
    machine.order("sh /tmp/gadget.sh unplug 0");
    assert_eq!(find(&bench.next(2), "departed", "platform-dummy_hcd.0-usb-0:1:1.2")["lane"], 1);
}

fn a_board_without_a_serial_port_is_taken_too(machine: &mut Machine, bench: &mut Watch) {
    for _ in 0..2 {
        machine.order("sh /tmp/gadget.sh plug 1 1fc9 0143 PL-0001 loopback");
        let lines = bench.next(1);
        let line = find(&lines, "arrived", "platform-dummy_hcd.1-usb-0:1");
        assert_eq!((&line["lane"], &line["profile"]), (&2.into(), &"portless".into()), "{line}");
        assert_eq!((line.get("node"), &line["usb_serial"]), (None, &"PL-0001".into()), "{line}");
        machine.order("sh /tmp/gadget.sh unplug 1");
        assert_eq!(find(&bench.next(1), "departed", "platform-dummy_hcd.1-usb-0:1")["lane"], 2);
    }
}

/// The whole station, with a board that does not answer its question before the cable is pulled.
fn a_cable_pulled_in_the_middle_of_a_run_aborts_it(machine: &mut Machine) {
    unplug(machine, 7);
    // Without root certificates a station can't know AWS by its certificate: it says so and ends.
    let refused = machine.order(&format!(
        "/tmp/lineseal run --data-dir /tmp/none --config /tmp/station/{} 2>&1 || echo status $?",
        station::ASKED
    ));
    assert!(refused.contains("A-314") && refused.contains("status 3"), "{refused}");
    machine.order(&format!(
        "export SSL_CERT_FILE=/tmp/station/root.pem; (su -s /bin/sh operator -c '/tmp/lineseal run --units 1 --json --data-dir /tmp/data \
            --config /tmp/station/{config}; echo $? >/tmp/run.code' \
          </dev/null >/host/run.jsonl 2>/host/run.log) &
        while ! grep -q 'station is ready' /host/run.log; do
            [ ! -e /tmp/run.code ] || {{ cat /host/run.log; exit 1; }}; sleep 0.1; done",
        config = station::ASKED
    ));
    let mut run = Watch::new(machine.shared.join("run.jsonl"));
    plug(machine, 7, "BRD-0007");
    // The lane has its board within a second; the question then waits for half a minute.
    machine.order("sleep 3");
    unplug(machine, 7);
    let lines = run.next(1);
    assert_eq!((&lines[0]["verdict"], &lines[0]["reason"]), (&"ABORTED".into(), &"B-105".into()), "{}", lines[0]);
    assert_eq!((&lines[0]["lane"], &lines[0]["board"]["port"]), (&7.into(), &port(7).into()));
    machine.order("while [ ! -e /tmp/run.code ]; do sleep 0.1; done; [ $(cat /tmp/run.code) = 3 ]");
}

fn no_hub_was_ever_taken_for_a_board(bench: &Watch) {
    let linux_foundation = "1d6b";
    let qemus_hub = "0409";
    for line in bench.all() {
        assert!(line["vid"] != linux_foundation && line["vid"] != qemus_hub, "{line}");
    }
}
