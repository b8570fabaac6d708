//! Lineseal: the factory-line provisioning station for devices with a secure element.
//!
//! The rooms, and the arrows between them:
//!
//! ```text
//! domain ← provisioning, audit, ports ← runner ← gui, cli
//!                   ports ← reports ← runner
//!                                ports ← adapters
//! bootstrap sees all; practice builds local stand-ins around it
//! ```
//!
//! `domain`, `provisioning`, `audit`, `ports` and `reports` know no tokio, egui, SQL, AWS, file system or
//! clock: time and bytes are inputs. `tests/architecture` fails on an arrow that runs backwards.

// The window suite draws `gui/scenes.rs`, too, and there the crate has its outer name.
#[cfg(test)]
extern crate self as lineseal;

pub mod adapters;
pub mod audit;
pub mod bootstrap;
pub mod cli;
pub mod config;
pub mod domain;
pub mod gui;
pub mod ports;
pub mod practice;
pub mod provisioning;
pub mod reports;
pub mod runner;
pub mod texts;
