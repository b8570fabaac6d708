//! What is missing before boards are begun, in a bar above the lanes; and at a new station the offer to make it
//! known who works here.

use egui::{Align, Align2, Frame, Panel, Rect, Ui, pos2, vec2};

use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::gui::widgets::text::{Pen, fit_block, place};
use crate::runner::view::{DeskState, Health};

use super::{KEY, Message};

pub fn show(ui: &mut Ui, view: &View, later: bool, open: bool, messages: &mut Vec<Message>) {
    let snapshot = view.snapshot;
    let (text, button, put_aside) = match &snapshot.desk.state {
        // While the log is away nobody could be added to it.
        DeskState::NoPeople if !snapshot.practice && !later && !open && snapshot.log == Health::Good => {
            (say!(view, "signin-bar-first"), say!(view, "signin-first-title"), true)
        }
        DeskState::Nobody { required: true } => (say!(view, "signin-bar-nobody"), say!(view, "signin-title"), false),
        DeskState::Locked { name, required: true } => {
            (say!(view, "signin-bar-locked", name = name.as_str()), say!(view, "signin-title"), false)
        }
        _ => return,
    };
    let paint = view.theme.notice;
    let frame = Frame::new().fill(paint.fill);
    Panel::top("sign-in-bar")
        .exact_size(size::TOUCH + 14.0)
        .resizable(false)
        .show_separator_line(false)
        .frame(frame)
        .show(ui, |ui| {
            let rect = ui.max_rect();
            ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, view.theme.hairline());
            let mut inner = rect.shrink2(vec2(20.0, 0.0));
            if put_aside {
                let label = say!(view, "signin-later");
                inner.max.x = at_the_end(ui, view, &Button::new(&label), inner, Message::Later, messages);
            }
            if !open {
                inner.max.x = at_the_end(ui, view, &Button::new(&button).key(KEY), inner, Message::Open, messages);
            }
            let galley = fit_block(ui.painter(), &text, Pen::regular(20.0, paint.text), inner.size(), Align::LEFT);
            place(ui.painter(), galley, inner, Align2::LEFT_CENTER);
        });
}

/// Returns where the rest of `rect` ends.
fn at_the_end(ui: &Ui, view: &View, button: &Button, rect: Rect, message: Message, messages: &mut Vec<Message>) -> f32 {
    let width = button.width(ui);
    let at = Rect::from_center_size(pos2(rect.right() - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
    if button.at(ui, view.theme, ("sign-in-bar", button.label), at).clicked() {
        messages.push(message);
    }
    at.left() - 12.0
}
