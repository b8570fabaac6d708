/// Wall time, for the record only: it never decides what is correct.
pub trait Clock: Send + Sync {
    fn now(&self) -> jiff::Timestamp;
}

/// The operating system's random bytes.
pub trait Entropy: Send + Sync {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), crate::domain::Failure>;
}
