//! The world behind the ports: one folder a kind, each with its own errors.

pub mod aws_iot;
pub mod boards;
pub mod pkcs11;
pub mod postgres;
pub mod printer;
pub mod sqlite;
pub mod store;
pub mod system;
