//! What the panels beside the lanes are made of: fields, buttons and words under each other.

use egui::text_edit::TextEditState;
use egui::{Align2, Color32, Margin, Response, RichText, TextEdit, Ui, vec2};

use crate::gui::screens::View;
use crate::gui::theme::{Paint, Weight, font, size};
use crate::gui::widgets::button::Button;

/// A button as wide as the panel.
pub fn wide(ui: &mut Ui, view: &View, button: Button) -> Response {
    let (id, rect) = ui.allocate_space(vec2(ui.available_width(), size::TOUCH));
    button.at(ui, view.theme, id, rect)
}

/// A button of this width in a row.
pub fn sized(ui: &mut Ui, view: &View, button: Button, width: f32) -> Response {
    let (id, rect) = ui.allocate_space(vec2(width, size::TOUCH));
    button.at(ui, view.theme, id, rect)
}

/// What is meant to be pressed.
pub fn ink(view: &View) -> Paint {
    Paint { fill: view.theme.ink, text: view.theme.surface }
}

pub fn title(ui: &mut Ui, view: &View, text: &str) {
    label(ui, text, Weight::Bold, size::LARGE, view.theme.ink);
}

pub fn words(ui: &mut Ui, view: &View, text: &str) {
    label(ui, text, Weight::Regular, size::BODY, view.theme.ink);
}

/// What matters now.
pub fn strong(ui: &mut Ui, view: &View, text: &str) {
    label(ui, text, Weight::Bold, size::BODY, view.theme.ink);
}

/// What is read by whoever wants to know more; empty: nothing.
pub fn small(ui: &mut Ui, view: &View, text: &str) {
    if !text.is_empty() {
        label(ui, text, Weight::Regular, size::SMALL, view.theme.muted);
    }
}

/// What is wrong.
pub fn fault(ui: &mut Ui, view: &View, text: &str) {
    label(ui, text, Weight::Bold, size::BODY, view.theme.fail.fill);
}

/// The typeface's own rows touch one another.
fn label(ui: &mut Ui, text: &str, weight: Weight, size: f32, colour: Color32) {
    ui.label(RichText::new(text).font(font(weight, size)).line_height(Some((size * 1.25).round())).color(colour));
}

/// A text with its name above it.
pub fn text(ui: &mut Ui, view: &View, name: &str, text: &mut String) -> Response {
    let label = ui.label(RichText::new(name).font(font(Weight::Regular, size::SMALL)).color(view.theme.muted));
    ui.add(edit(ui, text)).labelled_by(label.id)
}

/// The same for a secret: shown as dots, and kept nowhere once it was handed on.
pub fn secret(ui: &mut Ui, view: &View, name: &str, text: &mut String) -> Response {
    let label = ui.label(RichText::new(name).font(font(Weight::Regular, size::SMALL)).color(view.theme.muted));
    let response = ui.add(edit(ui, text).password(true)).labelled_by(label.id);
    // What was typed before a correction must not stay in memory.
    if let Some(mut state) = TextEditState::load(ui.ctx(), response.id) {
        state.clear_undoer();
        state.store(ui.ctx(), response.id);
    }
    response
}

fn edit<'t>(ui: &Ui, text: &'t mut String) -> TextEdit<'t> {
    let width = ui.available_width();
    TextEdit::singleline(text)
        .font(font(Weight::Regular, size::BODY))
        .desired_width(width)
        .char_limit(64)
        .align(Align2::LEFT_CENTER)
        .margin(Margin::symmetric(10, 10))
        .min_size(vec2(width, size::TOUCH))
}
