//! The world behind the ports: one folder a kind, each with its own errors.

pub mod air_gap;
mod aws_account;
pub mod aws_iot;
pub mod badge_key;
pub mod boards;
pub mod bundles;
pub mod copies;
mod durable;
pub mod fleet;
pub mod issuing;
pub mod log_key;
pub mod mark;
pub mod mqtt;
pub mod own_ca;
pub mod pkcs11;
pub mod postgres;
pub mod printer;
pub mod report_file;
pub mod signals;
pub mod sqlite;
pub mod station_file;
pub mod store;
pub mod system;
mod tls;
pub mod window_file;
