//! The log as a stranger sees it: proofs, checkpoints and bundles that the library makes, judged by
//! programs that share no line with it.
//!
//! Needs `sh`, coreutils, `openssl`, `sqlite3` and the Python environment of `tests/peers`; fails without them.
#![allow(clippy::unwrap_used, reason = "what a test does when it is wrong is to say so and die")]

mod bundle;
mod by_hand;
mod commands;
mod independent;
mod office;
#[path = "../peers/office.rs"]
mod office_folder;
mod paths;
mod reports;
mod sample;
#[path = "../adapters/store_contract.rs"]
#[allow(dead_code, unused_macros, reason = "its stories belong to the stores; its words are used here")]
mod store_contract;
mod tampering;
mod vendors;
