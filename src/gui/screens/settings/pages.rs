//! Lanes, profiles, printer, language and theme.

use egui::{Key, Ui};

use crate::config::{Change, Look, PrinterKind};
use crate::domain::LaneNumber;
use crate::gui::screens::{View, fields, say};
use crate::gui::widgets::button::Button;
use crate::runner::view::{Health, SettingsOrder, SettingsView, TeachView, TestLabel};
use crate::texts::{Language, reasons};

use super::panel::{back, focus, title, told};
use super::{Form, Message, Page, Said, teaching};

/// Lanes in a row.
const ROW: usize = 4;

pub(super) fn lanes(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    if let Some((lane, stage)) = teaching(settings) {
        return teach(ui, view, lane, stage, form, said, messages);
    }
    fields::title(ui, view, &title(view, Page::Lanes));
    let width = (ui.available_width() - 8.0 * (ROW - 1) as f32) / ROW as f32;
    for row in settings.lanes.chunks(ROW) {
        ui.horizontal(|ui| {
            for lane in row {
                let label = lane.number.to_string();
                let chosen = form.lane == Some(lane.number);
                let mut button = Button::new(&label);
                if chosen {
                    button = button.filled(fields::ink(view));
                }
                let response = fields::sized(ui, view, button, width);
                if chosen {
                    focus(form, &response);
                }
                if response.clicked() {
                    messages.push(Message::Lane(lane.number));
                }
            }
        });
    }
    if let Some(lane) = settings.lanes.iter().find(|lane| form.lane == Some(lane.number)) {
        let mut name = say!(view, "drawer-lane", lane = lane.number.get());
        if lane.name != lane.number.to_string() {
            name = format!("{name} · {}", lane.name);
        }
        fields::strong(ui, view, &name);
        match &lane.port {
            Some(port) => {
                fields::words(ui, view, &say!(view, "settings-lane-port"));
                fields::small(ui, view, port);
            }
            None => fields::words(ui, view, &say!(view, "settings-lane-any")),
        }
        let label = say!(view, "settings-teach");
        if fields::wide(ui, view, Button::new(&label).filled(fields::ink(view))).clicked() {
            messages.push(Message::Ask(SettingsOrder::Teach(lane.number)));
        }
    }
    told(ui, view, said, &say!(view, "settings-next-start"));
    back(ui, view, messages);
}

fn teach(
    ui: &mut Ui,
    view: &View,
    lane: LaneNumber,
    stage: &TeachView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    let number = lane.get();
    match stage {
        TeachView::Waiting { refused } => {
            fields::title(ui, view, &say!(view, "settings-teach-now", lane = number));
            fields::words(ui, view, &say!(view, "settings-teach-how"));
            if let Some(failure) = refused {
                let text = reasons().text(view.texts.language(), failure);
                fields::fault(ui, view, &format!("{} ({})", text.technician, failure.code));
            }
        }
        TeachView::Offered(port) => {
            fields::title(ui, view, &say!(view, "settings-teach-found", lane = number));
            fields::words(ui, view, &say!(view, "settings-teach-where"));
            fields::strong(ui, view, port.as_str());
            let label = say!(view, "settings-teach-take", lane = number);
            let take = fields::wide(ui, view, Button::new(&label).filled(fields::ink(view)));
            focus(form, &take);
            if take.clicked() {
                messages.push(Message::Ask(SettingsOrder::TakePort));
            }
            again(ui, view, lane, messages);
            fields::small(ui, view, &say!(view, "settings-teach-left"));
        }
        TeachView::NobodyCame => {
            fields::title(ui, view, &say!(view, "settings-teach-nobody", lane = number));
            again(ui, view, lane, messages);
        }
    }
    told(ui, view, said, "");
    let label = say!(view, "settings-cancel");
    if fields::wide(ui, view, Button::new(&label).key("Esc")).clicked() {
        messages.push(Message::Close);
    }
}

fn again(ui: &mut Ui, view: &View, lane: LaneNumber, messages: &mut Vec<Message>) {
    let label = say!(view, "settings-teach-again");
    if fields::wide(ui, view, Button::new(&label)).clicked() {
        messages.push(Message::Ask(SettingsOrder::Teach(lane)));
    }
}

pub(super) fn profiles(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    fields::title(ui, view, &title(view, Page::Profiles));
    fields::words(ui, view, &say!(view, "settings-profiles-how"));
    for profile in &settings.profiles {
        let file = profile.file.rsplit('/').next().unwrap_or(&profile.file);
        let file = file.strip_suffix(".toml").unwrap_or(file);
        let label = match profile.taken {
            true => say!(view, "settings-profile-taken", name = file),
            false => say!(view, "settings-profile-left", name = file),
        };
        let mut button = Button::new(&label);
        if profile.taken {
            button = button.filled(fields::ink(view));
        }
        let response = fields::wide(ui, view, button);
        focus(form, &response);
        if response.clicked() {
            let change = Change::Profile { file: profile.file.clone(), taken: !profile.taken };
            messages.push(Message::Ask(SettingsOrder::Change(change)));
        }
    }
    told(ui, view, said, &say!(view, "settings-next-start"));
    back(ui, view, messages);
}

/// Returns whether the text field has the focus.
pub(super) fn printer(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) -> bool {
    fields::title(ui, view, &title(view, Page::Printer));
    test(ui, view, settings, form, messages);
    ui.add_space(6.0);
    fields::strong(ui, view, &say!(view, "settings-printer-other"));
    ui.horizontal_wrapped(|ui| {
        for kind in PrinterKind::ALL {
            let label = kind_name(view, kind);
            let mut button = Button::new(&label);
            let chosen = form.kind == Some(kind);
            if chosen {
                button = button.filled(fields::ink(view));
            }
            let response = button.show(ui, view.theme);
            if chosen {
                focus(form, &response);
            }
            if response.clicked() {
                messages.push(Message::Kind(kind));
            }
        }
    });
    let caption = match form.kind {
        Some(PrinterKind::Tcp) => Some(say!(view, "settings-printer-address")),
        Some(PrinterKind::Ipp) => Some(say!(view, "settings-printer-uri")),
        Some(PrinterKind::Device) => Some(say!(view, "settings-printer-device")),
        Some(PrinterKind::Folder) => Some(say!(view, "settings-printer-folder")),
        Some(PrinterKind::None) | None => None,
    };
    let place = caption.map(|caption| fields::text(ui, view, &caption, &mut form.place));
    let entered = place.as_ref().is_some_and(|place| place.lost_focus() && ui.input(|it| it.key_pressed(Key::Enter)));
    let same = form.kind == Some(settings.printer.kind) && form.place.trim() == settings.printer.place;
    if !same {
        let label = say!(view, "settings-save");
        let save = fields::wide(ui, view, Button::new(&label).filled(fields::ink(view)));
        if save.clicked() || entered {
            messages.push(Message::SavePrinter);
        }
    }
    told(ui, view, said, &say!(view, "settings-next-start"));
    back(ui, view, messages);
    place.is_some_and(|place| place.has_focus())
}

/// The printer that the station has now, and a label to see whether one comes out.
fn test(ui: &mut Ui, view: &View, settings: &SettingsView, form: &mut Form, messages: &mut Vec<Message>) {
    if !settings.prints {
        return fields::words(ui, view, &say!(view, "settings-printer-none-now"));
    }
    match &view.snapshot.printer {
        Health::Good => fields::words(ui, view, &say!(view, "settings-printer-ready")),
        Health::Unknown => fields::words(ui, view, &say!(view, "settings-printer-unknown")),
        Health::Bad(failure) => {
            let text = reasons().text(view.texts.language(), failure);
            fields::fault(ui, view, &format!("{} ({})", text.technician, failure.code));
            fields::small(ui, view, &failure.cause);
        }
    }
    match &settings.test {
        TestLabel::Printing => return fields::strong(ui, view, &say!(view, "settings-test-printing")),
        TestLabel::Ended(Ok(())) => fields::strong(ui, view, &say!(view, "settings-test-done")),
        TestLabel::Ended(Err(_)) => fields::strong(ui, view, &say!(view, "settings-test-failed")),
        TestLabel::None => {}
    }
    let label = say!(view, "settings-test");
    let button = fields::wide(ui, view, Button::new(&label));
    focus(form, &button);
    if button.clicked() {
        messages.push(Message::Ask(SettingsOrder::TestLabel));
    }
}

fn kind_name(view: &View, kind: PrinterKind) -> String {
    match kind {
        PrinterKind::Tcp => say!(view, "settings-printer-tcp"),
        PrinterKind::Ipp => "IPP".to_owned(),
        PrinterKind::Device => say!(view, "settings-printer-device-kind"),
        PrinterKind::Folder => say!(view, "settings-printer-folder-kind"),
        PrinterKind::None => say!(view, "settings-printer-none"),
    }
}

pub(super) fn language(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    languages: &[(Language, String)],
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    fields::title(ui, view, &title(view, Page::Language));
    if settings.language.is_none() {
        fields::words(ui, view, &say!(view, "settings-language-of-desktop"));
    }
    for (language, name) in languages {
        let tag = language.tag();
        let change = Change::Language(tag.clone());
        one_of(ui, view, name, settings.language.as_ref() == Some(&tag), change, form, messages);
    }
    told(ui, view, said, &say!(view, "settings-at-once"));
    back(ui, view, messages);
}

pub(super) fn theme(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    fields::title(ui, view, &title(view, Page::Theme));
    for look in Look::ALL {
        let name = match look {
            Look::Light => say!(view, "theme-light"),
            Look::Dark => say!(view, "theme-dark"),
            Look::Contrast => say!(view, "theme-contrast"),
        };
        one_of(ui, view, &name, settings.theme == look, Change::Theme(look), form, messages);
    }
    told(ui, view, said, &say!(view, "settings-at-once"));
    back(ui, view, messages);
}

/// One of several, of which the file has one.
fn one_of(
    ui: &mut Ui,
    view: &View,
    name: &str,
    chosen: bool,
    change: Change,
    form: &mut Form,
    messages: &mut Vec<Message>,
) {
    let label = if chosen { say!(view, "settings-chosen", name = name) } else { name.to_owned() };
    let mut button = Button::new(&label);
    if chosen {
        button = button.filled(fields::ink(view));
    }
    let response = fields::wide(ui, view, button);
    focus(form, &response);
    if response.clicked() {
        messages.push(if chosen { Message::Follow(change) } else { Message::Ask(SettingsOrder::Change(change)) });
    }
}
