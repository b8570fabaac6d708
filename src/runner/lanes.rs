//! Which lane a board takes: the one its physical path belongs to.

use crate::config::Lane;
use crate::domain::{Device, Failure, LaneNumber, PortPath, ReasonCode};

/// The station's lanes and who holds them.
///
/// A lane with a port expression takes the ports that match it and no others. A lane without one
/// takes the first port that comes and keeps it. Without any lane in the configuration there are 16
/// of the second kind.
#[derive(Debug, Clone)]
pub struct LaneTable {
    slots: Vec<Slot>,
    /// Counts releases, to find the lane that has been free for longest.
    released: u64,
}

#[derive(Debug, Clone)]
struct Slot {
    number: LaneNumber,
    name: String,
    port: Option<regex::Regex>,
    /// The path that holds the lane, or held it last.
    path: Option<PortPath>,
    taken: bool,
    freed: u64,
}

impl LaneTable {
    pub fn new(lanes: &[Lane]) -> Self {
        let slot = |number, name, port| Slot { number, name, port, path: None, taken: false, freed: 0 };
        let mut slots: Vec<Slot> =
            lanes.iter().map(|lane| slot(lane.number, lane.name.clone(), lane.port.clone())).collect();
        if slots.is_empty() {
            let numbers = (1..=LaneNumber::MAX).filter_map(|number| LaneNumber::try_from(number).ok());
            slots = numbers.map(|number| slot(number, number.to_string(), None)).collect();
        }
        slots.sort_by_key(|slot| slot.number);
        Self { slots, released: 0 }
    }

    /// Number and name of every lane, in order.
    pub fn lanes(&self) -> impl Iterator<Item = (LaneNumber, &str)> {
        self.slots.iter().map(|slot| (slot.number, slot.name.as_str()))
    }

    /// Gives the device's path a lane, which it holds until [`release`](Self::release): the one it had
    /// before, else the one whose expression matches, else one that no port has had yet, else the one
    /// that has been free for longest.
    ///
    /// Fails with `B-111` when the lane of this path is taken, or none is left.
    pub fn assign(&mut self, device: &Device) -> Result<LaneNumber, Failure> {
        let path = &device.path;
        let own = self.slots.iter().position(|slot| slot.path.as_ref() == Some(path));
        let fits = |slot: &Slot| slot.port.as_ref().is_some_and(|port| port.is_match(path.as_str()));
        let chosen = own.or_else(|| match self.slots.iter().any(fits) {
            true => self.slots.iter().position(|slot| fits(slot) && !slot.taken),
            false => self.unclaimed(),
        });
        let Some(slot) = chosen.and_then(|index| self.slots.get_mut(index)) else {
            let cause = format!("no lane is free for {path}: {}", self.holders());
            return Err(Failure::new(ReasonCode::BOARD_NO_LANE, cause).with("port", path));
        };
        slot.path = Some(path.clone());
        slot.taken = true;
        Ok(slot.number)
    }

    /// The path's device has gone; the path keeps its lane as long as no other port needs it.
    pub fn release(&mut self, path: &PortPath) {
        self.released += 1;
        for slot in self.slots.iter_mut().filter(|slot| slot.path.as_ref() == Some(path)) {
            slot.taken = false;
            slot.freed = self.released;
        }
    }

    /// A lane for a path that has none: a new one, else the longest free.
    fn unclaimed(&self) -> Option<usize> {
        let free = self.slots.iter().enumerate().filter(|(_, slot)| slot.port.is_none() && !slot.taken);
        free.min_by_key(|(_, slot)| (slot.path.is_some(), slot.freed, slot.number)).map(|(index, _)| index)
    }

    fn holders(&self) -> String {
        let holder = |slot: &Slot| match (&slot.path, &slot.port) {
            (Some(path), _) if slot.taken => format!("{} has {path}", slot.number),
            (_, Some(port)) => format!("{} takes {:?}", slot.number, port.as_str()),
            _ => format!("{} is free", slot.number),
        };
        self.slots.iter().map(holder).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn device(path: &str) -> Device {
        Device {
            path: path.parse().unwrap(),
            instance: String::new(),
            node: None,
            usb: None,
            usb_serial: None,
            interface: None,
            product: None,
            denied: None,
        }
    }

    fn lane(number: u8, port: Option<&str>) -> Lane {
        let port = port.map(|port| regex::Regex::new(port).unwrap());
        Lane { number: LaneNumber::try_from(number).unwrap(), name: format!("J{number}"), port }
    }

    fn take(table: &mut LaneTable, path: &str) -> u8 {
        table.assign(&device(path)).unwrap().get()
    }

    #[test]
    fn lanes_with_an_expression_are_found_by_it_whatever_the_order() {
        let mut table = LaneTable::new(&[lane(2, Some("usb-0:2:")), lane(1, Some("usb-0:1:"))]);
        assert_eq!(
            table.lanes().map(|(number, name)| (number.get(), name)).collect::<Vec<_>>(),
            [(1, "J1"), (2, "J2")]
        );
        assert_eq!(take(&mut table, "pci-usb-0:2:1.0"), 2);
        assert_eq!(take(&mut table, "pci-usb-0:1:1.0"), 1);
    }

    #[test]
    fn a_port_that_no_lane_matches_gets_none() {
        let mut table = LaneTable::new(&[lane(1, Some("usb-0:1:"))]);
        let failure = table.assign(&device("pci-usb-0:9:1.0")).unwrap_err();
        assert_eq!(failure.code, ReasonCode::BOARD_NO_LANE);
        assert_eq!(failure.args["port"], "pci-usb-0:9:1.0");
        assert_eq!(failure.cause, "no lane is free for pci-usb-0:9:1.0: 1 takes \"usb-0:1:\"");
    }

    #[test]
    fn a_second_port_in_a_taken_lane_is_refused_until_the_first_has_gone() {
        let mut table = LaneTable::new(&[lane(1, Some("usb-0:1:")), lane(2, None)]);
        assert_eq!(take(&mut table, "usb-0:1:1.0"), 1);
        assert_eq!(table.assign(&device("usb-0:1:1.2")).unwrap_err().code, ReasonCode::BOARD_NO_LANE);
        table.release(&"usb-0:1:1.0".parse().unwrap());
        assert_eq!(take(&mut table, "usb-0:1:1.2"), 1);
        assert_eq!(take(&mut table, "elsewhere"), 2);
    }

    #[test]
    fn without_lanes_paths_get_them_in_order_of_arrival_and_keep_them() {
        let mut table = LaneTable::new(&[]);
        assert_eq!(take(&mut table, "b"), 1);
        assert_eq!(take(&mut table, "a"), 2);
        table.release(&"b".parse().unwrap());
        assert_eq!(take(&mut table, "c"), 3);
        assert_eq!(take(&mut table, "b"), 1);
    }

    #[test]
    fn sixteen_fit_and_the_seventeenth_waits_for_the_longest_free_lane() {
        let mut table = LaneTable::new(&[]);
        for number in 1..=16 {
            assert_eq!(take(&mut table, &format!("p{number:02}")), number);
        }
        assert_eq!(table.assign(&device("p17")).unwrap_err().code, ReasonCode::BOARD_NO_LANE);
        table.release(&"p09".parse().unwrap());
        table.release(&"p03".parse().unwrap());
        assert_eq!(take(&mut table, "p17"), 9);
        assert_eq!(take(&mut table, "p03"), 3);
    }

    proptest! {
        /// No two devices that are there share a lane, a matching lane is never another's, and in a
        /// station that never has more than 16 paths each keeps its lane for good.
        #[test]
        fn a_lane_has_one_board(steps in prop::collection::vec((0u8..24, any::<bool>()), 1..200), fixed in 0u8..4) {
            let mut lanes: Vec<Lane> = (1..=fixed).map(|n| lane(n, Some(&format!("^p{n:02}$")))).collect();
            lanes.extend((fixed + 1..=16).map(|n| lane(n, None)));
            let mut table = LaneTable::new(&lanes);
            let mut here: BTreeMap<u8, u8> = BTreeMap::new();
            let mut ever: BTreeMap<u8, u8> = BTreeMap::new();
            for (port, arrives) in steps {
                let path = format!("p{port:02}");
                if !arrives {
                    here.remove(&port);
                    table.release(&path.parse().unwrap());
                    continue;
                }
                match table.assign(&device(&path)) {
                    Ok(number) => {
                        let number = number.get();
                        prop_assert!(here.iter().all(|(other, lane)| *other == port || *lane != number));
                        prop_assert!(here.insert(port, number).is_none_or(|lane| lane == number));
                        if (1..=fixed).contains(&port) {
                            prop_assert_eq!(number, port);
                        } else {
                            prop_assert!(number > fixed);
                        }
                        let open = usize::from(16 - fixed);
                        let before = ever.insert(port, number);
                        if ever.keys().filter(|port| !(1..=fixed).contains(*port)).count() <= open {
                            prop_assert!(before.is_none_or(|lane| lane == number));
                        }
                    }
                    Err(failure) => {
                        prop_assert_eq!(failure.code, ReasonCode::BOARD_NO_LANE);
                        let open = here.keys().filter(|port| !(1..=fixed).contains(*port)).count();
                        prop_assert_eq!(open, usize::from(16 - fixed));
                    }
                }
            }
        }
    }
}
