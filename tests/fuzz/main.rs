//! Everything that is read from outside, fed with genuine inputs that were bent: it never panics, never
//! hangs, and what comes of it is never worth more than what went in.
//!
//! `LINESEAL_FUZZ_MINUTES=60` tries for so long instead of a fixed number, from a random seed that it
//! prints; `LINESEAL_SEED` repeats it; `LINESEAL_FUZZ_INPUT=FILE` tries one input.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong, and dies")]

mod certificates;
mod configuration;
mod corpus;
mod engine;
mod events;
mod manifests;
mod serial;
#[path = "../adapters/store_contract.rs"]
#[allow(dead_code, unused_macros, reason = "its stories belong to the stores; its events are used here")]
mod store_contract;
mod worker;
