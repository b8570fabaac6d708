//! Killed with SIGKILL at any moment and started again: nothing lost, nothing registered twice, no
//! second label without asking. And a store that fails: no PASS that was never stored.
//!
//! The station is a process of its own: this test program, started again, with the real adapters (see
//! `child`). The boards, the cloud and the printer of the practice line live on in the test.
//!
//! Every intent and every result of a step is one write to the store. So killing the station right
//! before and right after its n-th write, for every n, is before the intent, after the intent, after
//! the effect and after the result of every step.
//!
//! Needs SoftHSM and `LINESEAL_TEST_VENV`. `LINESEAL_SEED` repeats the random moments,
//! `LINESEAL_LONG` makes hundreds of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests say what is wrong, and die")]

mod bench;
mod child;
mod failing_store;
#[path = "../peers/fleet.rs"]
mod fleet_peer;
mod held;
mod matrix;
mod random;
#[path = "../peers/register_thing.rs"]
mod register_thing;
mod stores;
