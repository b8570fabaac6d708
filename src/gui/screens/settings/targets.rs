//! Are the targets there, and do they let the station do what it has to?

use egui::Ui;

use crate::gui::doctor_words::{about, mark};
use crate::gui::screens::{View, fields, say};
use crate::gui::widgets::button::Button;
use crate::runner::doctor::{Finding, State};
use crate::runner::view::{SettingsOrder, SettingsView, TargetsLook};
use crate::texts::reasons;

use super::panel::{back, focus, title, told};
use super::{Form, Message, Page, Said};

pub(super) fn show(
    ui: &mut Ui,
    view: &View,
    settings: &SettingsView,
    form: &mut Form,
    said: Option<&Said>,
    messages: &mut Vec<Message>,
) {
    fields::title(ui, view, &title(view, Page::Targets));
    let names: Vec<&str> = settings.targets.iter().map(|target| target.as_str()).collect();
    fields::words(ui, view, &names.join(", "));
    if !settings.can_look {
        fields::words(ui, view, &say!(view, "doctor-air-gapped"));
        return back(ui, view, messages);
    }
    match &settings.look {
        TargetsLook::Looking => fields::strong(ui, view, &say!(view, "settings-looking")),
        TargetsLook::None | TargetsLook::Found(_) => {
            let label = say!(view, "settings-look");
            let button = fields::wide(ui, view, Button::new(&label).filled(fields::ink(view)));
            focus(form, &button);
            if button.clicked() {
                messages.push(Message::Ask(SettingsOrder::LookAtTargets));
            }
        }
    }
    told(ui, view, said, "");
    back(ui, view, messages);
    if let TargetsLook::Found(found) = &settings.look {
        let count = |is: fn(&State) -> bool| found.iter().filter(|finding| is(&finding.state)).count();
        let (bad, unknown) =
            (count(|state| matches!(state, State::Bad(_))), count(|state| matches!(state, State::Unknown(_))));
        let end = say!(view, "doctor-end", checks = found.len(), bad = bad, unknown = unknown);
        fields::strong(ui, view, &end);
        // What stops the line is read first.
        let rank = |finding: &&Finding| match finding.state {
            State::Bad(_) => 0,
            State::Unknown(_) => 1,
            State::Remark(_) => 2,
            State::Good => 3,
        };
        let mut found: Vec<&Finding> = found.iter().collect();
        found.sort_by_key(rank);
        found.into_iter().for_each(|finding| line(ui, view, finding));
    }
}

fn line(ui: &mut Ui, view: &View, finding: &Finding) {
    let text = format!("{} {}", mark(&finding.state, view.texts).trim_end(), about(&finding.about, view.texts));
    let failure = match &finding.state {
        State::Bad(failure) => {
            fields::fault(ui, view, &text);
            Some(failure)
        }
        State::Good => {
            fields::small(ui, view, &text);
            None
        }
        State::Remark(failure) | State::Unknown(failure) => {
            fields::words(ui, view, &text);
            failure.as_ref()
        }
    };
    if let Some(failure) = failure {
        let told = reasons().text(view.texts.language(), failure);
        fields::small(ui, view, &format!("{} {}: {} ({})", failure.code, told.title, told.qa, failure.cause));
    }
}
