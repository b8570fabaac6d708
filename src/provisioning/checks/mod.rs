//! The proof: certificate against the profile's pinned CAs, challenge against the certificate's key.

mod certificate;
mod challenge;
mod signature;

pub use certificate::{Checked, check_certificate};
pub use challenge::{ChallengeFacts, challenge};
pub use signature::{scheme_for, verify_signature};
