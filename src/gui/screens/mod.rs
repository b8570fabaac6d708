//! One screen a person. A screen turns input into its private `Message`s, keeps its own state, and
//! asks for what lies outside of it by its public `Event`s.

mod fields;
pub mod settings;
pub mod sign_in;
pub mod station;

use crate::runner::view::Snapshot;
use crate::texts::Texts;

use super::theme::Theme;

/// What a screen draws from.
pub struct View<'a> {
    pub theme: &'a Theme,
    pub texts: &'a Texts,
    pub snapshot: &'a Snapshot,
    /// What was typed without a field, so far.
    pub typed: &'a str,
    /// Where the station stands.
    pub zone: &'a jiff::tz::TimeZone,
    /// The runner has ended: the snapshot is the last.
    pub runner_gone: bool,
}

/// `say!(view, "id", argument = value)`: a message in the window's language.
macro_rules! say {
    ($view:expr, $($message:tt)+) => {
        $crate::texts::fl!($view.texts.loader(), $($message)+)
    };
}
pub(in crate::gui) use say;
