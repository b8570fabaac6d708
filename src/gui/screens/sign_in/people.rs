//! The people of the station, for its administrators.

use egui::{Response, Ui};

use crate::domain::Role;
use crate::gui::screens::{View, fields, say};
use crate::gui::widgets::button::Button;
use crate::runner::view::PersonView;

use super::panel::{close, focus, pin_twice, role_name, submit, told};
use super::{Fault, Form, Message, Panel};

pub(super) fn list(ui: &mut Ui, view: &View, at: usize, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    fields::title(ui, view, &say!(view, "people-title"));
    told(ui, view, fault);
    let people = view.snapshot.desk.people.as_deref().unwrap_or_default();
    for (place, person) in people.iter().enumerate() {
        let label = row(view, person);
        let mut button = Button::new(&label);
        if place == at {
            button = button.filled(fields::ink(view));
        }
        if fields::wide(ui, view, button).clicked() {
            messages.push(Message::Choose(place));
        }
        if place == at {
            acts(ui, view, person, messages);
        }
    }
    let add = say!(view, "people-add");
    if fields::wide(ui, view, Button::new(&add)).clicked() {
        messages.push(Message::Go(Panel::Add));
    }
    close(ui, view, messages);
    false
}

/// Name, role, and what is special.
fn row(view: &View, person: &PersonView) -> String {
    let mut parts = vec![person.name.clone(), role_name(view, person.role)];
    if person.disabled {
        parts.push(say!(view, "people-disabled"));
    } else if person.locked_until.is_some() {
        parts.push(say!(view, "people-locked"));
    }
    if person.badge {
        parts.push(say!(view, "people-has-badge"));
    }
    parts.join(" · ")
}

/// What may be done with the person who is chosen.
fn acts(ui: &mut Ui, view: &View, person: &PersonView, messages: &mut Vec<Message>) {
    let name = || person.name.clone();
    let mut acts = Vec::new();
    if !person.disabled {
        acts.push((say!(view, "people-new-pin"), Message::Go(Panel::NewPin(name()))));
        acts.push((say!(view, "people-role"), Message::Go(Panel::Role(name()))));
        acts.push((say!(view, "people-badge"), Message::Go(Panel::Badge(name()))));
    }
    if person.badge {
        acts.push((say!(view, "people-revoke"), Message::RevokeBadge(name())));
    }
    if !person.disabled {
        acts.push((say!(view, "people-disable"), Message::Go(Panel::Disable(name()))));
    }
    ui.horizontal_wrapped(|ui| {
        for (label, message) in acts {
            if Button::new(&label).text(crate::gui::theme::size::SMALL).show(ui, view.theme).clicked() {
                messages.push(message);
            }
        }
    });
}

pub(super) fn add(
    ui: &mut Ui,
    view: &View,
    form: &mut Form,
    fault: Option<&Fault>,
    messages: &mut Vec<Message>,
) -> bool {
    fields::title(ui, view, &say!(view, "people-add"));
    let named = !form.name.is_empty();
    let name = fields::text(ui, view, &say!(view, "signin-name"), &mut form.name);
    let pins = pin_twice(ui, view, form);
    focus(form, if named { &pins[0] } else { &name });
    roles(ui, view, form.role, messages);
    told(ui, view, fault);
    submit(ui, view, &say!(view, "people-add"), &[&name, &pins[0], &pins[1]], messages);
    close(ui, view, messages);
    name.has_focus() || pins.iter().any(Response::has_focus)
}

pub(super) fn new_pin(
    ui: &mut Ui,
    view: &View,
    name: &str,
    form: &mut Form,
    fault: Option<&Fault>,
    messages: &mut Vec<Message>,
) -> bool {
    fields::title(ui, view, &say!(view, "people-new-pin-of", name = name));
    let pins = pin_twice(ui, view, form);
    focus(form, &pins[0]);
    told(ui, view, fault);
    submit(ui, view, &say!(view, "people-new-pin"), &[&pins[0], &pins[1]], messages);
    close(ui, view, messages);
    pins.iter().any(Response::has_focus)
}

pub(super) fn role(ui: &mut Ui, view: &View, name: &str, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    fields::title(ui, view, &say!(view, "people-role-of", name = name));
    let people = view.snapshot.desk.people.as_deref().unwrap_or_default();
    roles(ui, view, people.iter().find(|person| person.name == name).map(|person| person.role), messages);
    told(ui, view, fault);
    close(ui, view, messages);
    false
}

fn roles(ui: &mut Ui, view: &View, chosen: Option<Role>, messages: &mut Vec<Message>) {
    for role in Role::ALL {
        let label = role_name(view, role);
        let mut button = Button::new(&label);
        if chosen == Some(role) {
            button = button.filled(fields::ink(view));
        }
        if fields::wide(ui, view, button).clicked() {
            messages.push(Message::SetRole(role));
        }
    }
}

pub(super) fn badge(ui: &mut Ui, view: &View, name: &str, fault: Option<&Fault>, messages: &mut Vec<Message>) -> bool {
    fields::title(ui, view, &say!(view, "people-badge-of", name = name));
    fields::words(ui, view, &say!(view, "people-scan-now"));
    told(ui, view, fault);
    close(ui, view, messages);
    false
}

pub(super) fn disable(
    ui: &mut Ui,
    view: &View,
    name: &str,
    fault: Option<&Fault>,
    messages: &mut Vec<Message>,
) -> bool {
    fields::title(ui, view, &say!(view, "people-disable-of", name = name));
    told(ui, view, fault);
    let label = say!(view, "people-disable");
    if fields::wide(ui, view, Button::new(&label).filled(fields::ink(view))).clicked() {
        messages.push(Message::Disable);
    }
    close(ui, view, messages);
    false
}
