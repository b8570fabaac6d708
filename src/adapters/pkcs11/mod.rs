//! PKCS#11 tokens, each behind a process of its own.
//!
//! Vendor modules keep one global connection chosen by environment variables, hang for ever when the
//! link breaks, print on stdout and crash. So every [`Tokens::open`](crate::ports::Tokens::open)
//! starts a fresh copy of this program that loads the module, with that board's environment; the two
//! speak length-prefixed JSON over a socket. A worker that errs, hangs or dies is killed, reaped and
//! never used again, and so is all that its module started: a second process stands guard over it.
//!
//! A module shares the worker's memory and can say anything in its name. So nothing that a worker says
//! decides: certificate and signature are verified in the station, and of the failures it may name only
//! those of a token count.
//!
//! ```text
//! station                                     worker (this program, `pkcs11-worker`, twice)
//!   WorkerTokens::open ── spawn ─▶ guard ────▶ worker_main
//!   WorkerToken        ── Request ───────────▶ TokenSession ──▶ the vendor's module
//!                      ◀── Calling, Calling … ──                (one function at a time)
//!                      ◀── Opened/Read/Signed/Failed ──
//! ```
//!
//! Where a command leads to the token, the guard listens for p11-kit's client, the module then, and starts
//! the command behind each of its connections: `remote.rs`.

mod at_hand;
mod confine;
mod der;
mod failure;
mod guardian;
mod heard;
mod keep;
mod listening;
mod log_key;
mod mechanism;
mod objects;
mod opening;
mod own_key;
mod parent;
mod remote;
mod session;
mod sign_once;
mod wire;
mod worker;

pub use at_hand::at_hand;
pub use guardian::keep_memory_private;
pub use heard::heard;
pub use log_key::TokenSigner;
pub(in crate::adapters) use own_key::{access_to, refuse_open_pin};
pub use parent::{WORKER_ARGUMENT, WorkerTokens};
pub use wire::{Report, receive};
pub use worker::worker_main;
