//! `lineseal boards`: what is plugged in, which profile and lane it would take, and why not.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::domain::{Device, Failure, LaneNumber, PortPath};
use crate::ports::BoardSource;
use crate::provisioning::matching::match_profile;
use crate::runner::arrivals::{Arrivals, Change};
use crate::runner::lanes::LaneTable;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Go on with a line for each arrival and departure.
    pub watch: bool,
    /// One JSON object a line: `event` (`present`, `arrived`, `departed`), `arrival`, `port`, `node`,
    /// `vid`, `pid`, `usb_serial`, `interface`, `product`, `profile`, `lane`, and, where the board would
    /// not be taken, `reason` with `code`, `args`, `cause`. What is not known is left out.
    pub json: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum BoardsError {
    #[error("cannot look at the ports")]
    Ports(#[source] Failure),
    #[error("cannot write the list")]
    Output(#[source] io::Error),
}

/// Lists what `source` shows once it is steady; with `watch`, goes on until `stop` is set, which is
/// noticed within half a second. A reader that closes `out` ends it without an error.
pub fn run(
    source: &mut dyn BoardSource,
    config: &Config,
    options: Options,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<(), BoardsError> {
    let mut list = List {
        config,
        lanes: LaneTable::new(&config.lanes),
        seats: BTreeMap::new(),
        event: if options.watch { "arrived" } else { "present" },
        json: options.json,
        out,
    };
    match follow(source, config.detection.debounce, options.watch, stop, &mut list) {
        Err(BoardsError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// How late a stop may be noticed.
const PATIENCE: Duration = Duration::from_millis(500);

fn follow(
    source: &mut dyn BoardSource,
    debounce: Duration,
    watch: bool,
    stop: &AtomicBool,
    list: &mut List<'_>,
) -> Result<(), BoardsError> {
    let mut arrivals = Arrivals::new(debounce);
    while !stop.load(Ordering::Relaxed) {
        let present = source.present().map_err(BoardsError::Ports)?;
        for change in arrivals.observe(Instant::now(), present) {
            list.show(change).map_err(BoardsError::Output)?;
        }
        let due = arrivals.due();
        if due.is_none() && !watch {
            return Ok(());
        }
        let left = due.map_or(PATIENCE, |due| due.saturating_duration_since(Instant::now()));
        source.wait(left.min(PATIENCE));
    }
    Ok(())
}

struct List<'a> {
    config: &'a Config,
    lanes: LaneTable,
    /// Which lane each arrival took.
    seats: BTreeMap<u64, LaneNumber>,
    /// What a device that is there is called.
    event: &'static str,
    json: bool,
    out: &'a mut dyn Write,
}

/// A line of output.
#[derive(serde::Serialize)]
struct Line<'a> {
    event: &'static str,
    arrival: u64,
    port: &'a PortPath,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usb_serial: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<LaneNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Failure>,
}

impl List<'_> {
    fn show(&mut self, change: Change) -> io::Result<()> {
        match change {
            Change::Arrived { arrival, device } => {
                let profile = match_profile(&self.config.profiles, &device);
                let lane = profile.as_ref().map_err(Clone::clone).and_then(|_| self.lanes.assign(&device));
                if let Ok(lane) = lane {
                    self.seats.insert(arrival, lane);
                }
                let name = profile.ok().map(|profile| profile.name.as_str());
                self.print(self.event, arrival, &device, name, lane.as_ref().copied().ok(), lane.as_ref().err())
            }
            Change::Departed { arrival, device } => {
                let lane = self.seats.remove(&arrival);
                if lane.is_some() {
                    self.lanes.release(&device.path);
                }
                self.print("departed", arrival, &device, None, lane, None)
            }
        }
    }

    fn print(
        &mut self,
        event: &'static str,
        arrival: u64,
        device: &Device,
        profile: Option<&str>,
        lane: Option<LaneNumber>,
        reason: Option<&Failure>,
    ) -> io::Result<()> {
        let line = Line {
            event,
            arrival,
            port: &device.path,
            node: device.node.as_deref(),
            vid: device.usb.map(|usb| format!("{:04x}", usb.vid)),
            pid: device.usb.map(|usb| format!("{:04x}", usb.pid)),
            usb_serial: device.usb_serial.as_deref(),
            interface: device.interface,
            product: device.product.as_deref(),
            profile,
            lane,
            reason,
        };
        if self.json {
            serde_json::to_writer(&mut *self.out, &line)?;
            writeln!(self.out)?;
        } else {
            writeln!(self.out, "{}", sentence(&line))?;
        }
        // Whoever reads a pipe reads it now.
        self.out.flush()
    }
}

fn sentence(line: &Line<'_>) -> String {
    let mut words = match line.event {
        "present" => String::new(),
        event => format!("{event:<9}"),
    };
    words += &line.lane.map_or_else(|| " no lane".to_owned(), |lane| format!("lane {lane:>2} ", lane = lane.get()));
    words += &format!(" {}", line.port);
    let ids = line.vid.as_ref().zip(line.pid.as_ref()).map(|(vid, pid)| format!("{vid}:{pid}"));
    let quoted = |text: Option<&str>| text.map(|text| format!("{text:?}"));
    let known = [line.node.map(str::to_owned), ids, quoted(line.product), quoted(line.usb_serial)];
    for word in known.into_iter().flatten() {
        words += &format!("  {word}");
    }
    if let Some(profile) = line.profile {
        words += &format!("  profile {profile}");
    }
    if let Some(reason) = line.reason {
        words += &format!("\n         {reason}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Detection, Log, Printer, Scanner, Signals, Station, Window};

    /// Shows one list after the other, then asks to stop.
    struct Script<'a> {
        looks: std::vec::IntoIter<Vec<Device>>,
        now: Vec<Device>,
        stop: &'a AtomicBool,
    }

    impl BoardSource for Script<'_> {
        fn present(&mut self) -> Result<Vec<Device>, Failure> {
            match self.looks.next() {
                Some(look) => self.now = look,
                None => self.stop.store(true, Ordering::Relaxed),
            }
            Ok(self.now.clone())
        }
        fn wait(&mut self, _: Duration) {}
    }

    fn config() -> Config {
        let debounce = Duration::ZERO;
        Config {
            station: Station { name: "ST1".parse().unwrap(), practice: false, air_gapped: false, language: None },
            detection: Detection { links: vec![], serial_ports: false, usb: false, debounce },
            lanes: vec![],
            printer: Printer::None,
            sign_in: crate::config::SignIn::of(false),
            window: Window::default(),
            scanner: Scanner::default(),
            signals: Signals::default(),
            log: Log::default(),
            targets: vec![],
            cas: vec![],
            profiles: vec![],
            files: vec![],
        }
    }

    fn device(path: &str) -> Device {
        Device {
            path: path.parse().unwrap(),
            instance: "1".into(),
            node: Some("/dev/ttyUSB0".into()),
            usb: Some("0403:6001".parse().unwrap()),
            usb_serial: Some("A/B C#é\"x".into()),
            interface: Some(0),
            product: None,
            denied: None,
        }
    }

    fn output(looks: Vec<Vec<Device>>, options: Options) -> String {
        let stop = AtomicBool::new(false);
        let mut source = Script { looks: looks.into_iter(), now: vec![], stop: &stop };
        let mut out = Vec::new();
        run(&mut source, &config(), options, &stop, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_board_that_no_profile_wants_is_shown_with_its_reason() {
        let text = output(vec![vec![device("usb-port")]], Options::default());
        assert_eq!(
            text,
            " no lane usb-port  /dev/ttyUSB0  0403:6001  \"A/B C#é\\\"x\"\n         \
             B-101: no profile matches usb-port 0403:6001 interface 0\n"
        );
    }

    #[test]
    fn json_has_one_object_a_line_for_arrivals_and_departures() {
        let text = output(vec![vec![device("p")], vec![]], Options { watch: true, json: true });
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["event"], &lines[1]["event"]), (&"arrived".into(), &"departed".into()));
        assert_eq!(lines[0]["usb_serial"], "A/B C#é\"x");
        assert_eq!(lines[0]["reason"]["code"], "B-101");
        assert_eq!(lines[0]["vid"], "0403");
        assert!(lines[1].get("reason").is_none());
    }

    #[test]
    fn a_reader_that_went_away_ends_it_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let stop = AtomicBool::new(false);
        let mut source = Script { looks: vec![vec![device("p")]].into_iter(), now: vec![], stop: &stop };
        run(&mut source, &config(), Options { watch: true, json: true }, &stop, &mut Closed).unwrap();
    }
}
