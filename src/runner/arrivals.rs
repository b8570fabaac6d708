//! From "what is plugged in now" to arrivals and departures.
//!
//! A run is bound to one arrival. A port that flaps makes one arrival, not ten; a board that was
//! replaced, however quickly, makes another one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::domain::{Device, Failure, PortPath};
use crate::ports::BoardSource;

/// Something happened at a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A device has been steady for the debounce time. `arrival` is never used again.
    Arrived { arrival: u64, device: Device },
    /// The device of this arrival has gone, or is not the same device any more.
    Departed { arrival: u64, device: Device },
}

/// What is plugged in, once it is steady; or what is known of it when `stop` is set.
pub fn settled(source: &mut dyn BoardSource, debounce: Duration, stop: &AtomicBool) -> Result<Vec<Device>, Failure> {
    const PATIENCE: Duration = Duration::from_millis(500);
    let mut arrivals = Arrivals::new(debounce);
    let mut here = BTreeMap::new();
    loop {
        for change in arrivals.observe(Instant::now(), source.present()?) {
            match change {
                Change::Arrived { arrival, device } => here.insert(arrival, device),
                Change::Departed { arrival, .. } => here.remove(&arrival),
            };
        }
        let Some(due) = arrivals.due().filter(|_| !stop.load(Ordering::Relaxed)) else {
            return Ok(here.into_values().collect());
        };
        source.wait(due.saturating_duration_since(Instant::now()).min(PATIENCE));
    }
}

/// Compares one look at the ports with the next.
#[derive(Debug)]
pub struct Arrivals {
    debounce: Duration,
    next: u64,
    ports: BTreeMap<PortPath, Port>,
}

/// A port at which something is or lately was.
#[derive(Debug)]
enum Port {
    /// Plugged in, not yet for long enough.
    Settling {
        device: Device,
        since: Instant,
    },
    Here {
        arrival: u64,
        device: Device,
    },
    /// Out of sight, not yet for long enough.
    Leaving {
        arrival: u64,
        device: Device,
        since: Instant,
    },
}

impl Arrivals {
    /// `debounce`: how long a device must be seen without a gap to have arrived, and be out of sight
    /// to have departed.
    pub fn new(debounce: Duration) -> Self {
        Self { debounce, next: 1, ports: BTreeMap::new() }
    }

    /// Takes the whole list of what is present at `now`; times never run backwards from call to call.
    /// Departures come before arrivals, each in the order of the ports' paths.
    ///
    /// A port whose device has another [`instance`](Device::instance) departs at once: nothing of the
    /// old board's run may reach the new one.
    pub fn observe(&mut self, now: Instant, present: Vec<Device>) -> Vec<Change> {
        let mut present: BTreeMap<PortPath, Device> =
            present.into_iter().rev().map(|device| (device.path.clone(), device)).collect();
        let mut departed = Vec::new();
        let mut arrived = Vec::new();
        for (path, port) in std::mem::take(&mut self.ports) {
            let next = match (port, present.remove(&path)) {
                (Port::Settling { device, since }, Some(seen)) if device.instance == seen.instance => {
                    Some(Port::Settling { device: seen, since })
                }
                (Port::Here { arrival, device } | Port::Leaving { arrival, device, .. }, Some(seen))
                    if device.instance == seen.instance =>
                {
                    Some(Port::Here { arrival, device: seen })
                }
                (Port::Settling { .. }, seen) => seen.map(|device| Port::Settling { device, since: now }),
                (Port::Here { arrival, device } | Port::Leaving { arrival, device, .. }, Some(seen)) => {
                    departed.push(Change::Departed { arrival, device });
                    Some(Port::Settling { device: seen, since: now })
                }
                (Port::Here { arrival, device }, None) => Some(Port::Leaving { arrival, device, since: now }),
                (leaving @ Port::Leaving { .. }, None) => Some(leaving),
            };
            self.ports.extend(next.map(|port| (path, port)));
        }
        self.ports.extend(present.into_iter().map(|(path, device)| (path, Port::Settling { device, since: now })));

        for (path, port) in std::mem::take(&mut self.ports) {
            let over = |since| now.saturating_duration_since(since) >= self.debounce;
            match port {
                Port::Settling { device, since } if over(since) => {
                    let arrival = self.next;
                    self.next += 1;
                    arrived.push(Change::Arrived { arrival, device: device.clone() });
                    self.ports.insert(path, Port::Here { arrival, device });
                }
                Port::Leaving { arrival, device, since } if over(since) => {
                    departed.push(Change::Departed { arrival, device });
                }
                port => {
                    self.ports.insert(path, port);
                }
            }
        }
        departed.extend(arrived);
        departed
    }

    /// When the next look is due although nothing announced a change: a debounce time ends.
    pub fn due(&self) -> Option<Instant> {
        let ends = self.ports.values().filter_map(|port| match port {
            Port::Settling { since, .. } | Port::Leaving { since, .. } => Some(*since + self.debounce),
            Port::Here { .. } => None,
        });
        ends.min()
    }

    /// The arrivals that the last look has seen.
    pub fn here(&self) -> impl Iterator<Item = u64> {
        self.ports.values().filter_map(|port| match port {
            Port::Here { arrival, .. } => Some(*arrival),
            Port::Settling { .. } | Port::Leaving { .. } => None,
        })
    }

    /// The device of an arrival that has not departed, as it was last seen.
    pub fn device(&self, arrival: u64) -> Option<&Device> {
        self.ports.values().find_map(|port| match port {
            Port::Here { arrival: here, device } | Port::Leaving { arrival: here, device, .. } if *here == arrival => {
                Some(device)
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEBOUNCE: Duration = Duration::from_millis(100);

    fn device(path: &str, instance: &str) -> Device {
        Device {
            path: path.parse().unwrap(),
            instance: instance.to_owned(),
            node: None,
            usb: None,
            usb_serial: None,
            interface: None,
            product: None,
            denied: None,
        }
    }

    /// Looks at given milliseconds, and what came of them as `+arrival instance` and `-arrival`.
    fn story(looks: &[(u64, &[(&str, &str)])]) -> Vec<String> {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(DEBOUNCE);
        let mut told = Vec::new();
        for (at, present) in looks {
            let present = present.iter().map(|(path, instance)| device(path, instance)).collect();
            for change in arrivals.observe(start + Duration::from_millis(*at), present) {
                told.push(match change {
                    Change::Arrived { arrival, device } => format!("{at}: +{arrival} {}", device.instance),
                    Change::Departed { arrival, device } => format!("{at}: -{arrival} {}", device.instance),
                });
            }
        }
        told
    }

    #[test]
    fn a_board_arrives_after_the_debounce_and_departs_after_it() {
        let here: &[(&str, &str)] = &[("p1", "a")];
        let told = story(&[(0, here), (99, here), (100, here), (150, here), (200, &[]), (299, &[]), (300, &[])]);
        assert_eq!(told, ["100: +1 a", "300: -1 a"]);
    }

    #[test]
    fn a_flapping_port_arrives_once_it_is_steady() {
        let here: &[(&str, &str)] = &[("p1", "a")];
        let told = story(&[(0, here), (60, &[]), (90, here), (150, &[]), (160, here), (259, here), (260, here)]);
        assert_eq!(told, ["260: +1 a"]);
    }

    #[test]
    fn a_short_absence_of_the_same_instance_is_no_departure() {
        let here: &[(&str, &str)] = &[("p1", "a")];
        let told = story(&[(0, here), (100, here), (200, &[]), (290, here), (350, &[]), (440, here), (1000, here)]);
        assert_eq!(told, ["100: +1 a"]);
    }

    #[test]
    fn another_board_in_the_same_port_departs_the_first_at_once() {
        let told = story(&[
            (0, &[("p1", "a")]),
            (100, &[("p1", "a")]),
            (110, &[("p1", "b")]),
            (209, &[("p1", "b")]),
            (210, &[("p1", "b")]),
        ]);
        assert_eq!(told, ["100: +1 a", "110: -1 a", "210: +2 b"]);
    }

    #[test]
    fn another_board_after_a_short_gap_departs_the_first_too() {
        let told =
            story(&[(0, &[("p", "a")]), (100, &[("p", "a")]), (150, &[]), (160, &[("p", "b")]), (260, &[("p", "b")])]);
        assert_eq!(told, ["100: +1 a", "160: -1 a", "260: +2 b"]);
    }

    #[test]
    fn two_boards_swapped_are_two_departures_and_two_arrivals() {
        let before: &[(&str, &str)] = &[("p1", "a"), ("p2", "b")];
        let after: &[(&str, &str)] = &[("p1", "b'"), ("p2", "a'")];
        let told = story(&[(0, before), (100, before), (101, after), (201, after)]);
        assert_eq!(told, ["100: +1 a", "100: +2 b", "101: -1 a", "101: -2 b", "201: +3 b'", "201: +4 a'"]);
    }

    #[test]
    fn due_names_the_next_end_of_a_debounce_and_nothing_when_all_is_steady() {
        let start = Instant::now();
        let mut arrivals = Arrivals::new(DEBOUNCE);
        assert_eq!(arrivals.due(), None);
        arrivals.observe(start, vec![device("p1", "a")]);
        assert_eq!(arrivals.due(), Some(start + DEBOUNCE));
        arrivals.observe(start + DEBOUNCE, vec![device("p1", "a")]);
        assert_eq!(arrivals.due(), None);
        assert_eq!(arrivals.device(1).unwrap().instance, "a");
        arrivals.observe(start + DEBOUNCE * 2, vec![]);
        assert_eq!(arrivals.due(), Some(start + DEBOUNCE * 3));
    }

    proptest! {
        /// Whatever comes and goes: arrivals and departures of a port alternate and match, numbers
        /// never repeat, an instance never changes within an arrival, and both take the debounce time.
        #[test]
        fn arrivals_and_departures_pair_up(
            looks in prop::collection::vec((0u64..80, prop::collection::btree_map(0u8..3, 0u8..3, 0..3)), 1..60)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut arrivals = Arrivals::new(DEBOUNCE);
            let mut here: BTreeMap<String, (u64, String)> = BTreeMap::new();
            let mut seen_since: BTreeMap<String, (String, Instant)> = BTreeMap::new();
            let mut highest = 0;
            for (pause, present) in looks {
                now += Duration::from_millis(pause);
                let present: Vec<_> =
                    present.iter().map(|(path, instance)| device(&format!("p{path}"), &format!("i{instance}"))).collect();
                seen_since.retain(|path, (instance, _)| {
                    present.iter().any(|device| device.path.as_str() == path && device.instance == *instance)
                });
                for device in &present {
                    seen_since.entry(device.path.to_string()).or_insert((device.instance.clone(), now));
                }
                for change in arrivals.observe(now, present.clone()) {
                    match change {
                        Change::Arrived { arrival, device } => {
                            prop_assert!(arrival > highest);
                            highest = arrival;
                            prop_assert!(present.contains(&device));
                            let (_, since) = &seen_since[device.path.as_str()];
                            prop_assert!(now.duration_since(*since) >= DEBOUNCE);
                            prop_assert!(here.insert(device.path.to_string(), (arrival, device.instance)).is_none());
                        }
                        Change::Departed { arrival, device } => {
                            let gone = here.remove(device.path.as_str());
                            prop_assert_eq!(gone, Some((arrival, device.instance.clone())));
                            prop_assert!(!present.contains(&device));
                        }
                    }
                }
                // A device that is here and in sight is the one that arrived.
                for device in &present {
                    if let Some((_, instance)) = here.get(device.path.as_str()) {
                        prop_assert_eq!(instance, &device.instance);
                    }
                }
            }
            for at in [now + DEBOUNCE, now + DEBOUNCE * 2] {
                for change in arrivals.observe(at, vec![]) {
                    match change {
                        Change::Departed { device, .. } => here.remove(device.path.as_str()),
                        Change::Arrived { .. } => return Err(TestCaseError::fail("an arrival of nothing")),
                    };
                }
            }
            prop_assert!(here.is_empty());
        }
    }
}
