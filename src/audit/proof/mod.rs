//! Proofs of RFC 6962 §2.1.1 and §2.1.2: made from stored nodes, verified from nothing but themselves.

mod prove;
mod verify;

pub use prove::{ProveError, prove_consistency, prove_inclusion, root_at};
pub use verify::{ProofError, verify_consistency, verify_inclusion};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;
