//! Proof bundles as a zip archive or a folder. What is read was made by strangers.

mod layout;
mod read;
mod write;

pub use read::{ReadError, archive, read};
pub use write::{WriteError, write, write_text};
