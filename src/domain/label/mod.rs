//! Labels in ZPL II: what is on one, and what no printer could make of it.
//!
//! Only what is needed to say so is read: where a field stands, which size and kind it has, and what it
//! holds. How a label looks is the business of whoever draws it.

mod faults;
mod zpl;

pub use faults::{Fault, faults, undrawable};
pub use zpl::codes;

/// A picture, a byte a dot: 0 is black. Row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dots {
    pub width: usize,
    pub height: usize,
    pub grey: Vec<u8>,
}
