//! The command line: one file a subcommand, thin.

pub mod boards;
