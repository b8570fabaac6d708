//! Each adapter against its real peer. A peer that is missing is a failure, never a skip.

mod aws_iot;
mod boards;
mod pkcs11;
mod printer;
mod sqlite;
