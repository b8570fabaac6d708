//! The machine's own clock and random bytes.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use jiff::Timestamp;

use crate::domain::{Failure, ReasonCode};
use crate::ports::{Clock, Entropy};

/// Wall time, UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The operating system's random bytes through AWS-LC's generator.
#[derive(Debug, Clone)]
pub struct SystemEntropy {
    source: SystemRandom,
}

impl SystemEntropy {
    pub fn new() -> Self {
        Self { source: SystemRandom::new() }
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    /// Fills all of `bytes`, or fails with L-501: without random bytes no event can be named.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Failure> {
        self.source
            .fill(bytes)
            .map_err(|_| Failure::new(ReasonCode::STORE_FAILED, "the operating system gave no random bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_differ_and_fill_everything() {
        let entropy = SystemEntropy::new();
        let (mut a, mut b) = ([0; 64], [0; 64]);
        entropy.fill(&mut a).unwrap();
        entropy.fill(&mut b).unwrap();
        assert_ne!(a, b);
        assert_ne!(a[32..], [0; 32]);
    }

    #[test]
    fn the_clock_goes_on() {
        let before = SystemClock.now();
        assert!(SystemClock.now() >= before);
        assert!(before.as_second() > 1_700_000_000);
    }
}
