//! The people at the line: who they are, how they prove it, what they may decide together.

mod manage;
mod pin;
mod sign_in;
mod signatories;
#[cfg(test)]
mod tests;
mod words;

pub use manage::{add, disable, forget, reset};
pub use sign_in::{LOCK, SignedIn, TRIES, sign_in};
pub use signatories::Signatories;
pub use words::{commit_text, forget_text};
