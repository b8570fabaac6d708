//! The proof: certificate against the profile's pinned CAs, challenge against the certificate's key.
//!
//! Pure: the certificate, the trust, the time, the message and the answer are all inputs, so that an
//! outsider can repeat every decision from what the log holds.

mod certificate;
mod crl;
mod examine;
mod extensions;
mod fields;
mod issuing;
mod key;
mod names;
mod path;
mod policies;
mod revocation;
mod shown;
mod signature;
#[cfg(test)]
pub(super) mod tests;
mod texts;
mod twin;
mod uid;

pub use certificate::{
    Checked, Pin, Pins, check_certificate, check_trust, is_valid_at, key_kind, lists_in_use, spki_hash, spki_of,
};
pub use examine::{CertificateFacts, Check, Examined, Finding, Outcome, examine};
pub use key::is_a_chips;
pub use revocation::ListInUse;
pub use signature::{ANSWER, scheme_for, verify_as, verify_signature, verify_under};
pub use twin::twin;
pub use uid::certified_uid;
