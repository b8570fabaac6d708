use crate::domain::Device;
use std::time::Duration;
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Arrived { arrival: u64, device: Device },
    Departed { arrival: u64, device: Device },
}
pub struct Arrivals;
impl Arrivals {
    pub fn new(_d: Duration) -> Self {
        Self
    }
    pub fn observe(&mut self, _now: Duration, _d: Vec<Device>) -> Vec<Change> {
        vec![]
    }
    pub fn next_deadline(&self) -> Option<Duration> {
        None
    }
}
