//! The end of the header: who operates, or the way in.

use egui::{Rect, Ui, pos2, vec2};

use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::runner::view::DeskState;

use super::KEY;

/// At the right end of `rect`. Where the rest of it ends, and whether it was pressed.
pub fn corner(ui: &Ui, view: &View, rect: Rect, k: f32) -> (f32, bool) {
    let operator = view.snapshot.operator.as_deref();
    let (label, urgent) = match &view.snapshot.desk.state {
        DeskState::Unknown => return (rect.right(), false),
        DeskState::NoPeople => (operator.map_or_else(|| say!(view, "signin-nobody-known"), str::to_owned), false),
        DeskState::SignedIn { name, .. } => (name.clone(), false),
        // By a name that nobody proved, where that is enough.
        DeskState::Nobody { required: false } => {
            (operator.map_or_else(|| say!(view, "signin-title"), str::to_owned), false)
        }
        DeskState::Nobody { required } | DeskState::Locked { required, .. } => (say!(view, "signin-title"), *required),
        DeskState::BadgeShown { .. } => (say!(view, "signin-title"), true),
    };
    let mut button = Button::new(&label).key(KEY).text((18.0 * k).max(size::SMALL));
    if urgent {
        button = button.filled(view.theme.error);
    }
    let width = button.width(ui).min((260.0 * k).max(150.0));
    let at = Rect::from_center_size(pos2(rect.right() - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
    (at.left() - 24.0 * k, button.at(ui, view.theme, "person", at).clicked())
}
