//! What screens are made of. A widget knows the theme and its own content, never a snapshot.

pub mod button;
pub mod health;
pub mod shapes;
pub mod steps;
pub mod text;
pub mod tile;
mod wrap;
