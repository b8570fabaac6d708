//! The practice line: the real adapters on local stand-ins. Boards on pseudo-terminals, SoftHSM
//! tokens under a practice vendor CA, MiniStack as AWS, a printer that is a socket.
//!
//! Faults are made in the stand-ins: no product code knows their names.

pub mod board;
pub mod cloud;
pub mod fault;
pub mod line;
pub mod panel;
pub mod printer;
pub mod proxy;
pub mod setup;
pub mod show;
pub mod token;
pub mod vendor;
