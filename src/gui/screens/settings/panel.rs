//! The panel beside the lanes: what is in it, and what all of its pages have.

use egui::{Frame, Key, Margin, Response, ScrollArea, Ui, vec2};

use crate::config::Setting;
use crate::gui::screens::{View, fields, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::runner::view::SettingsView;
use crate::texts::reasons;

use super::{Form, Message, Page, Said, SettingsPanel, is_administrator, pages, targets};

/// Returns whether a text field has the focus.
pub(super) fn show(ui: &mut Ui, view: &View, panel: &mut SettingsPanel, messages: &mut Vec<Message>) -> bool {
    let width = (ui.available_width() * 0.27).clamp(340.0, 520.0);
    let frame = Frame::new().fill(view.theme.surface).stroke(view.theme.hairline()).inner_margin(Margin::same(16));
    let mut typing = false;
    egui::Panel::right("settings").exact_size(width).resizable(false).frame(frame).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            // Without a field in it, nothing else takes these.
            let page = ui.available_height() * 0.8;
            for (key, by) in [(Key::PageDown, -page), (Key::PageUp, page)] {
                if ui.input(|input| input.key_pressed(key)) {
                    ui.scroll_with_delta(vec2(0.0, by));
                }
            }
            match &view.snapshot.settings {
                Some(settings) if is_administrator(view) => typing = page_of(ui, view, settings, panel, messages),
                _ => nobodys(ui, view, messages),
            }
        });
    });
    typing
}

fn page_of(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    panel: &mut SettingsPanel,
    messages: &mut Vec<Message>,
) -> bool {
    let SettingsPanel { page, form, said, languages, .. } = panel;
    let said = said.as_ref();
    match page {
        Page::Closed => {}
        Page::Menu => menu(ui, view, settings, form, messages),
        Page::Lanes => pages::lanes(ui, view, settings, form, said, messages),
        Page::Profiles => pages::profiles(ui, view, settings, form, said, messages),
        Page::Printer => return pages::printer(ui, view, settings, form, said, messages),
        Page::Targets => targets::show(ui, view, settings, form, said, messages),
        Page::Language => pages::language(ui, view, settings, languages, form, said, messages),
        Page::Theme => pages::theme(ui, view, settings, form, said, messages),
    }
    false
}

/// Before an administrator is there, and until the file was read.
fn nobodys(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    fields::title(ui, view, &say!(view, "settings-title"));
    let text = match is_administrator(view) {
        true => say!(view, "settings-reading"),
        false => say!(view, "settings-administrators"),
    };
    fields::words(ui, view, &text);
    close(ui, view, messages);
}

fn menu(ui: &mut Ui, view: &View, settings: &SettingsView, form: &mut Form, messages: &mut Vec<Message>) {
    fields::title(ui, view, &say!(view, "settings-title"));
    for section in Page::SECTIONS {
        let label = title(view, section);
        let button = fields::wide(ui, view, Button::new(&label));
        focus(form, &button);
        if button.clicked() {
            messages.push(Message::Go(section));
        }
    }
    if !settings.pending.is_empty() && !view.snapshot.practice {
        let names: Vec<String> = settings.pending.iter().map(|setting| name(view, *setting)).collect();
        fields::strong(ui, view, &say!(view, "settings-pending", what = names.join(" · ")));
    }
    fields::small(ui, view, &say!(view, "settings-file", file = settings.file.as_str()));
    close(ui, view, messages);
}

pub(super) fn title(view: &View, page: Page) -> String {
    match page {
        Page::Closed | Page::Menu => say!(view, "settings-title"),
        Page::Lanes => say!(view, "settings-lanes"),
        Page::Profiles => say!(view, "settings-profiles"),
        Page::Printer => say!(view, "settings-printer"),
        Page::Targets => say!(view, "settings-targets"),
        Page::Language => say!(view, "settings-language"),
        Page::Theme => say!(view, "settings-theme"),
    }
}

fn name(view: &View, setting: Setting) -> String {
    match setting {
        Setting::Port(lane) => say!(view, "drawer-lane", lane = lane.get()),
        Setting::Profiles => say!(view, "settings-profiles"),
        Setting::Printer => say!(view, "settings-printer"),
        Setting::Language => say!(view, "settings-language"),
        Setting::Theme => say!(view, "settings-theme"),
    }
}

/// What became of the last change; before that, when one holds.
pub(super) fn told(ui: &mut Ui, view: &View, said: Option<&Said>, hint: &str) {
    match said {
        None if view.snapshot.practice && !hint.is_empty() => {
            fields::small(ui, view, &say!(view, "settings-practice"));
        }
        Some(Said::AtNextStart) if view.snapshot.practice => {
            fields::strong(ui, view, &say!(view, "settings-practice"));
        }
        None => fields::small(ui, view, hint),
        Some(Said::InEffect) => fields::strong(ui, view, &say!(view, "settings-in-effect")),
        Some(Said::AtNextStart) => fields::strong(ui, view, &say!(view, "settings-at-next-start")),
        Some(Said::Refused(failure)) => {
            let text = reasons().text(view.texts.language(), failure);
            fields::fault(ui, view, &format!("{} ({})", text.technician, failure.code));
            // Who is here puts it right.
            fields::small(ui, view, &failure.cause);
        }
    }
}

/// The keyboard leads to it when the page opens.
pub(super) fn focus(form: &mut Form, control: &Response) {
    if !std::mem::replace(&mut form.begun, true) {
        control.request_focus();
    }
}

pub(super) fn close(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let label = say!(view, "button-close");
    ui.add_space(size::GAP / 2.0);
    if fields::wide(ui, view, Button::new(&label).key("Esc")).clicked() {
        messages.push(Message::Close);
    }
}

pub(super) fn back(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let label = say!(view, "settings-back");
    ui.add_space(size::GAP / 2.0);
    if fields::wide(ui, view, Button::new(&label).key("Esc")).clicked() {
        messages.push(Message::Close);
    }
}
