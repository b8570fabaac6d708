//! The panel beside the lanes.

use egui::{Frame, Key, Margin, Response, ScrollArea, Ui, vec2};

use crate::domain::{Proof, Role};
use crate::gui::screens::{View, fields, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::runner::view::DeskState;
use crate::texts::reasons;

use super::{Fault, Form, KEY, Message, Panel, people};

/// Points.
const WIDTH: f32 = 330.0;

/// Returns whether a text field has the focus.
pub(super) fn show(
    ui: &mut Ui,
    view: &View,
    panel: &Panel,
    form: &mut Form,
    fault: Option<&Fault>,
    messages: &mut Vec<Message>,
) -> bool {
    let frame = Frame::new().fill(view.theme.surface).stroke(view.theme.hairline()).inner_margin(Margin::same(16));
    let mut typing = false;
    egui::Panel::right("sign-in").exact_size(WIDTH).resizable(false).frame(frame).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            typing = match panel {
                Panel::Closed => false,
                Panel::SignIn => sign_in(ui, view, form, fault, messages),
                Panel::BadgePin => badge_pin(ui, view, form, fault, messages),
                Panel::Person => person(ui, view, messages),
                Panel::First => first(ui, view, form, fault, messages),
                Panel::People(at) => people::list(ui, view, *at, fault, messages),
                Panel::Add => people::add(ui, view, form, fault, messages),
                Panel::NewPin(name) => people::new_pin(ui, view, name, form, fault, messages),
                Panel::Role(name) => people::role(ui, view, name, fault, messages),
                Panel::Badge(name) => people::badge(ui, view, name, fault, messages),
                Panel::Disable(name) => people::disable(ui, view, name, fault, messages),
            };
        });
    });
    typing
}

fn sign_in(ui: &mut Ui, view: &View, form: &mut Form, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    fields::title(ui, view, &say!(view, "signin-title"));
    let known = !form.name.is_empty();
    let name = fields::text(ui, view, &say!(view, "signin-name"), &mut form.name);
    let pin = fields::secret(ui, view, &say!(view, "signin-pin"), &mut form.pin);
    focus(form, if known { &pin } else { &name });
    told(ui, view, fault);
    submit(ui, view, &say!(view, "signin-title"), &[&name, &pin], messages);
    fields::words(ui, view, &say!(view, "signin-or-badge"));
    close(ui, view, messages);
    name.has_focus() || pin.has_focus()
}

fn badge_pin(ui: &mut Ui, view: &View, form: &mut Form, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    let DeskState::BadgeShown { name } = &view.snapshot.desk.state else { return false };
    fields::title(ui, view, &say!(view, "signin-title"));
    fields::words(ui, view, name);
    let pin = fields::secret(ui, view, &say!(view, "signin-pin"), &mut form.pin);
    focus(form, &pin);
    told(ui, view, fault);
    submit(ui, view, &say!(view, "signin-title"), &[&pin], messages);
    close(ui, view, messages);
    pin.has_focus()
}

fn person(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) -> bool {
    let DeskState::SignedIn { name, role, proof } = &view.snapshot.desk.state else { return false };
    fields::title(ui, view, name);
    fields::words(ui, view, &role_name(view, *role));
    let how = match proof {
        Proof::Pin => say!(view, "signin-by-pin"),
        Proof::Badge => say!(view, "signin-by-badge"),
        Proof::BadgeAndPin => say!(view, "signin-by-both"),
    };
    fields::words(ui, view, &how);
    let out = say!(view, "signin-out");
    if fields::wide(ui, view, Button::new(&out).key(KEY).filled(fields::ink(view))).clicked() {
        messages.push(Message::SignOut);
    }
    if *role == Role::Administrator && proof.has_pin() {
        let label = say!(view, "people-title");
        if fields::wide(ui, view, Button::new(&label)).clicked() {
            messages.push(Message::People);
        }
    }
    close(ui, view, messages);
    false
}

fn first(ui: &mut Ui, view: &View, form: &mut Form, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    fields::title(ui, view, &say!(view, "signin-first-title"));
    fields::words(ui, view, &say!(view, "signin-first-text"));
    let named = !form.name.is_empty();
    let name = fields::text(ui, view, &say!(view, "signin-name"), &mut form.name);
    let pins = pin_twice(ui, view, form);
    focus(form, if named { &pins[0] } else { &name });
    told(ui, view, fault);
    submit(ui, view, &say!(view, "signin-first-go"), &[&name, &pins[0], &pins[1]], messages);
    close(ui, view, messages);
    name.has_focus() || pins.iter().any(Response::has_focus)
}

/// What is typed blindly is typed twice.
pub(super) fn pin_twice(ui: &mut Ui, view: &View, form: &mut Form) -> [Response; 2] {
    let pin = fields::secret(ui, view, &say!(view, "signin-pin"), &mut form.pin);
    let again = fields::secret(ui, view, &say!(view, "signin-pin-again"), &mut form.again);
    [pin, again]
}

/// The keyboard leads to it when the panel opens.
pub(super) fn focus(form: &mut Form, field: &Response) {
    if !std::mem::replace(&mut form.begun, true) {
        field.request_focus();
    }
}

/// Enter in the last field presses it; in another it leads to the next.
pub(super) fn submit(ui: &mut Ui, view: &View, label: &str, fields: &[&Response], messages: &mut Vec<Message>) {
    let entered = ui.input(|input| input.key_pressed(Key::Enter));
    for (at, field) in fields.iter().enumerate() {
        if !(entered && field.lost_focus()) {
            continue;
        }
        match fields.get(at + 1) {
            Some(next) => next.request_focus(),
            None => messages.push(Message::Submit),
        }
    }
    if fields::wide(ui, view, Button::new(label).filled(fields::ink(view))).clicked() {
        messages.push(Message::Submit);
    }
}

pub(super) fn close(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let label = say!(view, "button-close");
    ui.add_space(size::GAP / 2.0);
    if fields::wide(ui, view, Button::new(&label).key("Esc")).clicked() {
        messages.push(Message::Close);
    }
}

pub(super) fn told(ui: &mut Ui, view: &View, fault: Option<&Fault>) {
    let text = match fault {
        None => return,
        Some(Fault::Name) => say!(view, "signin-name-rule"),
        Some(Fault::Pin) => say!(view, "signin-pin-rule"),
        Some(Fault::Differ) => say!(view, "signin-pins-differ"),
        Some(Fault::Role) => say!(view, "signin-role-rule"),
        Some(Fault::Refused(failure)) => {
            let text = reasons().text(view.texts.language(), failure);
            format!("{} ({})", text.technician, failure.code)
        }
    };
    fields::fault(ui, view, &text);
}

pub(super) fn role_name(view: &View, role: Role) -> String {
    match role {
        Role::Technician => say!(view, "role-technician"),
        Role::Qa => say!(view, "role-qa"),
        Role::Supervisor => say!(view, "role-supervisor"),
        Role::Administrator => say!(view, "role-administrator"),
    }
}
