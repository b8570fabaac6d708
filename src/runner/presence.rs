//! Which units are plugged in right now: two boards with one serial number are both refused, since
//! nobody can say which of them is the unit.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::mpsc;

use super::driver::Order;
use crate::domain::{Failure, ReasonCode, Unit};

#[derive(Default)]
pub struct Presence {
    boards: Mutex<HashMap<Unit, Vec<Present>>>,
}

/// One arrival of a board, and who to tell when it is not the only one.
#[derive(Clone)]
struct Present {
    arrival: u64,
    orders: mpsc::Sender<Order>,
}

impl Presence {
    /// A board said who it is. With a twin already there, the twin's run is told, and so is the caller.
    pub fn enter(&self, unit: &Unit, arrival: u64, orders: mpsc::Sender<Order>) -> Result<(), Failure> {
        let mut boards = self.boards.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let present = boards.entry(unit.clone()).or_default();
        present.retain(|known| known.arrival != arrival);
        let twins = present.clone();
        present.push(Present { arrival, orders });
        for twin in &twins {
            // A full or closed channel belongs to a run that is over or being ended already.
            let _ = twin.orders.try_send(Order::Interrupt(twin_of(unit)));
        }
        if twins.is_empty() { Ok(()) } else { Err(twin_of(unit)) }
    }

    pub fn leave(&self, arrival: u64) {
        let mut boards = self.boards.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        boards.retain(|_, present| {
            present.retain(|known| known.arrival != arrival);
            !present.is_empty()
        });
    }
}

fn twin_of(unit: &Unit) -> Failure {
    Failure::new(ReasonCode::BOARD_TWIN, format!("two boards present themselves as {unit}"))
        .with("serial", &unit.serial)
}
