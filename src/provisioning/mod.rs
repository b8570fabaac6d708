//! The decision core: what a run is, what it does next, and what makes a certificate good.
//!
//! `decide(&Run, Input, Context) -> Vec<Effect>` is pure: time, random bytes and whatever the world
//! answered are inputs. The runner performs the effects and feeds the results back.

pub mod checks;
pub mod matching;
