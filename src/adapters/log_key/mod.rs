//! The key that signs the log's checkpoints: a file here, or an object in a PKCS#11 token
//! ([`TokenSigner`](super::pkcs11::TokenSigner)); and a cosigner's.

mod cosigner;
mod file;

pub use cosigner::{read_cosigner, write_cosigner};
pub use file::{KeyFile, read_private};
