//! The core against a scripted world: every step made to fail, every answer repeated, every stage
//! interrupted, and events in any order.

mod connecting;
mod csr;
mod endings;
mod fleet;
mod held;
mod labels;
mod left;
mod properties;
mod story;
mod targets;
mod world;
