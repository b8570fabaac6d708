//! Every mistake with its message, word for word.

mod ca;
mod csr;
mod edit;
mod fixture;
mod fleet;
mod log;
mod manifest;
mod profile;
mod random;
mod shipped;
mod station;
mod template;
