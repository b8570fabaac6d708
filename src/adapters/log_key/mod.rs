//! The key that signs the log's checkpoints: a file here, or an object in a PKCS#11 token
//! ([`TokenSigner`](super::pkcs11::TokenSigner)).

mod file;

pub use file::{KeyFile, read_private};
