//! The people at the line: who they are, how they prove it, what they may decide together.

mod badge;
mod manage;
mod operating;
mod pin;
mod sign_in;
mod signatories;
#[cfg(test)]
mod tests;
mod words;

pub use badge::{Guesses, by_badge};
pub use manage::{add, change_role, disable, forget, give_badge, reset, revoke_badge};
pub use operating::{Named, are_known, must_prove, name_in, operating, prove};
pub use sign_in::{SignedIn, sign_in};
pub use signatories::Signatories;
pub use words::{commit_text, forget_text};
