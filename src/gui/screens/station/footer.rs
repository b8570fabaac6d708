//! The last results, what is being typed, and the keys.

use egui::{Align2, Color32, Frame, Panel, Rect, Role, Sense, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use crate::config::Look;
use crate::domain::Verdict;
use crate::gui::screens::settings::{KEY, is_administrator};
use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::gui::widgets::shapes;
use crate::gui::widgets::text::{Pen, fit_line, line, place};
use crate::runner::view::FinishedView;

use super::{Message, lanes, scale};

pub fn show(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let k = scale(ui.available_width());
    let height = (84.0 * k).max(size::TOUCH + 14.0);
    let frame = Frame::new().fill(view.theme.surface);
    Panel::bottom("footer").exact_size(height).resizable(false).show_separator_line(false).frame(frame).show(
        ui,
        |ui| {
            let rect = ui.max_rect();
            ui.painter().hline(rect.x_range(), rect.top() + 0.5, view.theme.hairline());
            let inner = rect.shrink2(vec2(28.0 * k, 0.0));
            let right = keys(ui, view, inner, k, messages);
            let hint = hint(ui, view, inner, right - 16.0 * k, k);
            last_results(ui, view, Rect::from_min_max(inner.min, pos2(hint - 16.0 * k, inner.bottom())), k);
        },
    );
}

/// From the right edge to the left; returns where they begin.
fn keys(ui: &mut Ui, view: &View, rect: Rect, k: f32, messages: &mut Vec<Message>) -> f32 {
    let snapshot = view.snapshot;
    let mut keys = Vec::new();
    let held = snapshot.held > 0;
    if snapshot.practice {
        keys.push(("F12", say!(view, "key-practice"), false, Message::TogglePractice));
    }
    if is_administrator(view) {
        keys.push((KEY, say!(view, "key-settings"), false, Message::Settings));
    }
    keys.push(("Shift F8", theme_name(view, view.theme.look.next()), false, Message::NextTheme));
    // In the language that it leads to: who can't read this one finds the other.
    keys.push(("F8", view.texts.next_name().to_owned(), false, Message::NextLanguage));
    match snapshot.batch {
        Some(_) => keys.push(("F9", say!(view, "key-close-batch"), false, Message::CloseBatch)),
        None => keys.push(("F6", say!(view, "key-open-batch"), true, Message::OpenForm)),
    }
    if held {
        keys.push(("F5", say!(view, "key-finish-held"), false, Message::FinishHeld));
    }
    let pause = if snapshot.paused { say!(view, "key-continue") } else { say!(view, "key-pause") };
    keys.push(("F2", pause, snapshot.paused, Message::PauseOrContinue));

    let ink = crate::gui::theme::Paint { fill: view.theme.ink, text: view.theme.surface };
    let mut right = rect.right();
    for (key, label, filled, message) in keys {
        let mut button = Button::new(&label).key(key).text((18.0 * k).max(size::SMALL));
        if filled {
            button = button.filled(ink);
        }
        let width = button.width(ui);
        let at = Rect::from_center_size(pos2(right - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
        if button.at(ui, view.theme, ("key", key), at).clicked() {
            messages.push(message);
        }
        right = at.left() - 12.0 * k;
    }
    right
}

/// What the scanner or a person is typing; returns where it begins.
fn hint(ui: &Ui, view: &View, rect: Rect, right: f32, k: f32) -> f32 {
    let (text, colour) = match (view.typed, view.snapshot.paused) {
        ("", true) => (say!(view, "footer-paused"), view.theme.ink),
        ("", false) => (say!(view, "footer-scanner"), view.theme.muted),
        (typed, _) => (say!(view, "footer-typed", text = typed), view.theme.ink),
    };
    let galley = fit_line(ui.painter(), &text, Pen::regular((17.0 * k).max(size::SMALL - 1.0), colour), 340.0 * k);
    let at = Rect::from_min_max(pos2(right - galley.size().x, rect.top()), pos2(right, rect.bottom()));
    let left = at.left();
    place(ui.painter(), galley, at, Align2::RIGHT_CENTER);
    left
}

fn theme_name(view: &View, look: Look) -> String {
    match look {
        Look::Light => say!(view, "theme-light"),
        Look::Dark => say!(view, "theme-dark"),
        Look::Contrast => say!(view, "theme-contrast"),
    }
}

/// As many as there is room for, newest first.
fn last_results(ui: &Ui, view: &View, rect: Rect, k: f32) {
    if view.snapshot.recent.is_empty() {
        return;
    }
    let text = (16.0 * k).max(13.0);
    let caption = line(ui.painter(), &say!(view, "footer-last"), Pen::regular(text, view.theme.muted));
    let caption = place(ui.painter(), caption, rect, Align2::LEFT_CENTER);
    let mut left = caption.right() + 12.0 * k;
    for (at, finished) in view.snapshot.recent.iter().enumerate() {
        let label = line(ui.painter(), &short(view, finished), Pen::regular(text, view.theme.ink));
        let mark = text * 0.9;
        let width = label.size().x + mark + text * 2.0;
        if left + width > rect.right() {
            return;
        }
        let chip = Rect::from_min_size(pos2(left, rect.center().y - text * 1.1), vec2(width, text * 2.2));
        let response = ui.interact(chip, ui.scope_id().with(("recent", at)), Sense::hover());
        let unit = finished.serial.as_ref().map_or_else(|| say!(view, "unknown-unit"), |serial| serial.to_string());
        let (lane, verdict) = (finished.lane.get(), lanes::word(view, finished.verdict));
        let spoken = say!(view, "a11y-result", lane = lane, unit = unit, verdict = verdict);
        response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &spoken));
        let painter = ui.painter();
        painter.rect_stroke(chip, size::RADIUS * 0.7, view.theme.hairline(), StrokeKind::Inside);
        let place_of_mark =
            Rect::from_center_size(pos2(chip.left() + text * 0.6 + mark / 2.0, chip.center().y), vec2(mark, mark));
        shapes::mark(painter, finished.verdict, place_of_mark, colour(view, finished.verdict), view.theme.surface);
        let mut rest = chip;
        rest.min.x = place_of_mark.right() + text * 0.5;
        place(painter, label, rest, Align2::LEFT_CENTER);
        left = chip.right() + 8.0 * k;
    }
}

/// The lane, and the end of the serial number, which tells boards of one batch apart.
fn short(view: &View, finished: &FinishedView) -> String {
    let lane = finished.lane.get();
    let serial = match &finished.serial {
        Some(serial) => {
            let text = serial.as_str();
            // A board serial is ASCII, so bytes are characters.
            if text.len() > 5 { format!("…{}", &text[text.len() - 4..]) } else { text.to_owned() }
        }
        None => say!(view, "lane-no-serial"),
    };
    say!(view, "footer-result", lane = lane, serial = serial)
}

fn colour(view: &View, verdict: Verdict) -> Color32 {
    view.theme.mark(verdict)
}
