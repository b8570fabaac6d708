//! Each adapter against its real peer. A peer that is missing is a failure, never a skip.
#![allow(clippy::unwrap_used, reason = "what a test does when it is wrong is to say so and die")]

#[macro_use]
mod store_contract;

mod aws_iot;
mod boards;
mod contradicted;
mod copies;
#[path = "../hostile/mod.rs"]
mod hostile;
mod killed_writer;
mod log_key;
mod mark;
mod mqtt;
#[path = "../peers/ipp.rs"]
mod office_printer;
mod pkcs11;
mod pkcs11_hostile;
mod pkcs11_remote;
mod postgres_peer;
#[path = "../peers/postgres.rs"]
mod postgres_server;
mod postgres_store;
mod printer;
mod printer_ipp;
#[path = "../peers/register_thing.rs"]
mod register_thing;
mod sqlite;
mod store_copy;
