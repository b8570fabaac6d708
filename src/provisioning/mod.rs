//! The decision core: what a run is, what it does next, and what makes a certificate good.
//!
//! `decide(&Run, Input, &Context) -> Vec<Effect>` is pure: time, random bytes and whatever the world
//! answered are inputs. The runner performs the effects and feeds the results back. Intent is
//! committed before an effect, the result after it; after a crash a started step without an end is
//! indeterminate, and `Input::Recover` says what happens.

pub mod checks;
pub mod csr;
mod decide;
pub mod label;
pub mod left;
pub mod matching;
mod record;
mod run;
#[cfg(test)]
mod tests;
mod values;
pub mod verification;

pub use decide::{COLLIDES, Context, Effect, Input, Unexpected, barred, collision, decide, serial_of, unlisted};
pub use record::{ConnectionSummary, IssuedSummary, UnitRecord};
pub use run::{Illegal, Label, Mark, Run, Sealed, Stage, StepRecord, verdict_of};
pub use values::{RegisterValues, device_variables, label_variables, register_values, variables_of};
