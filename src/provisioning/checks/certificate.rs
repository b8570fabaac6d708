//! X.509 (RFC 5280): path to the pinned roots, validity, key, UID rule.

use jiff::Timestamp;

use crate::audit::event::Decision;
use crate::domain::profile::Trust;
use crate::domain::{ChipUid, Failure, Identity};

/// A certificate that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub identity: Identity,
    pub decision: Decision,
    /// The SubjectPublicKeyInfo's DER: what a signature is verified under.
    pub spki: Vec<u8>,
}

/// Checks `der` (one certificate, exactly) against `trust` at time `now`; `uid` is what the chip
/// said of itself.
pub fn check_certificate(
    _der: &[u8],
    _uid: Option<&ChipUid>,
    _trust: &Trust,
    _now: Timestamp,
) -> Result<Checked, Failure> {
    todo!()
}
