//! The window. It draws snapshots and sends commands; it waits for nothing and polls nothing.
//!
//! ```text
//! runner ──watch──▶ bridge ──request_repaint──▶ app ──▶ screens ──▶ widgets ◀── theme
//!        ◀──mpsc── bridge ◀──────────────────── app ◀── screens (events)
//! ```
//!
//! A screen has a private `Message` and a public `Event`; `app` alone knows the bridge.

mod app;
mod bridge;
mod doctor_words;
pub mod practice_panel;
#[cfg(test)]
mod scenes;
mod screens;
#[cfg(test)]
mod tests;
pub mod theme;
mod wedge;
mod widgets;

pub use app::{WindowOptions, app, open};
pub use bridge::Bridge;
pub use doctor_words::{about as check_words, mark as check_mark};
pub use practice_panel::PracticeBridge;

/// Why there is no window.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the window's texts can't be loaded")]
    Texts(#[from] crate::texts::TextsError),
    /// No display, no OpenGL, or the window system broke off.
    #[error("no window can be opened here")]
    Window(#[source] eframe::Error),
}
