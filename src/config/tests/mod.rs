//! Every mistake with its message, word for word.

mod fixture;
mod profile;
mod random;
mod shipped;
mod station;
