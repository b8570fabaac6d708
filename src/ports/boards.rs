use std::time::Duration;

use crate::domain::{Device, Failure};

/// What is plugged in. Driven by one thread of its own, so calls may block.
pub trait BoardSource: Send {
    /// Everything present now, one entry a physical port (and interface), in a stable order.
    fn present(&mut self) -> Result<Vec<Device>, Failure>;

    /// Returns when something may have changed, or after `at_most`.
    fn wait(&mut self, at_most: Duration);
}
