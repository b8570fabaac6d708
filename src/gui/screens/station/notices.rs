//! What concerns no lane, one at a time in a bar above the lanes: questions about labels, boards that
//! no lane took, what is not well. It never covers a lane and nothing waits for it.

use egui::{Align, Align2, Frame, Panel, Rect, Ui, pos2, vec2};

use crate::audit::event::LabelKind;
use crate::domain::{Device, Failure};
use crate::gui::screens::{View, say};
use crate::gui::theme::size;
use crate::gui::widgets::button::Button;
use crate::gui::widgets::text::{Pen, fit_block, line, place};
use crate::runner::view::{LabelQuestion, ScanBack};
use crate::texts::reasons;

use super::Message;

/// A remark that goes away by itself.
pub struct Passing {
    pub text: PassingText,
    /// In the seconds of egui's clock.
    pub until: f64,
}

pub enum PassingText {
    Busy,
    NothingToRetry(u8),
    NoLane(u8),
    /// A line that does not bear the scanner's marks.
    NotScanned,
    /// The board of this lane has its identity already, or its verdict.
    TooLate(u8),
}

enum Notice<'a> {
    Gone,
    Passing(&'a PassingText),
    /// Why the station did not do what was asked last.
    Refusal(&'a Failure),
    Question(&'a LabelQuestion),
    ScanBack(&'a ScanBack),
    Pulled(&'a Failure),
    Refused(&'a Device, &'a Failure),
}

/// What the bar shows of, besides the snapshot.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    pub passing: Option<&'a Passing>,
    /// A person has read why the last command was refused.
    pub read: bool,
    /// Which of the notices, counted on and on.
    pub turn: usize,
}

pub fn show(ui: &mut Ui, view: &View, shown: Shown, messages: &mut Vec<Message>) {
    let notices = notices(view, shown);
    let turn = shown.turn;
    let Some(notice) = notices.get(turn % notices.len().max(1)) else { return };
    let paint = view.theme.notice;
    let frame = Frame::new().fill(paint.fill);
    Panel::top("notices").exact_size(size::TOUCH + 14.0).resizable(false).show_separator_line(false).frame(frame).show(
        ui,
        |ui| {
            let rect = ui.max_rect();
            ui.painter().hline(rect.x_range(), rect.bottom() - 0.5, view.theme.hairline());
            let mut inner = rect.shrink2(vec2(20.0, 0.0));
            if notices.len() > 1 {
                let at = turn % notices.len() + 1;
                let label = say!(view, "button-next");
                inner.max.x = button(ui, view, Button::new(&label).key("F7"), inner, Message::NextNotice, messages);
                let position = say!(view, "notice-position", at = at, count = notices.len());
                let galley = line(ui.painter(), &position, Pen::regular(size::SMALL, paint.text));
                inner.max.x = place(ui.painter(), galley, inner, Align2::RIGHT_CENTER).left() - 16.0;
            }
            if let Notice::Refusal(_) = notice {
                let label = say!(view, "button-close");
                inner.max.x = button(ui, view, Button::new(&label).key("Esc"), inner, Message::ReadRefusal, messages);
            }
            if let Notice::Question(question) = notice {
                let again = say!(view, "question-again");
                let message = Message::Settle { run: question.run, printed: false };
                inner.max.x = button(ui, view, Button::new(&again).key("F11"), inner, message, messages);
                let there = say!(view, "question-yes");
                let message = Message::Settle { run: question.run, printed: true };
                inner.max.x = button(ui, view, Button::new(&there).key("F10"), inner, message, messages);
            }
            let text = text(view, notice);
            let galley = fit_block(ui.painter(), &text, Pen::regular(20.0, paint.text), inner.size(), Align::LEFT);
            place(ui.painter(), galley, inner, Align2::LEFT_CENTER);
        },
    );
}

/// The question that the bar shows right now: what its keys answer.
pub fn question_shown<'a>(view: &'a View, shown: Shown<'a>) -> Option<&'a LabelQuestion> {
    let notices = notices(view, shown);
    match notices.get(shown.turn % notices.len().max(1)) {
        Some(Notice::Question(question)) => Some(question),
        _ => None,
    }
}

fn notices<'a>(view: &'a View, shown: Shown<'a>) -> Vec<Notice<'a>> {
    let mut notices = Vec::new();
    if view.runner_gone {
        notices.push(Notice::Gone);
    }
    notices.extend(shown.passing.map(|passing| Notice::Passing(&passing.text)));
    notices.extend(view.snapshot.notice.as_ref().filter(|_| !shown.read).map(Notice::Refusal));
    notices.extend(view.snapshot.questions.iter().map(Notice::Question));
    notices.extend(view.snapshot.scan_back.iter().map(Notice::ScanBack));
    notices.extend(view.snapshot.pulled.iter().map(Notice::Pulled));
    notices.extend(view.snapshot.refused.iter().map(|(device, failure)| Notice::Refused(device, failure)));
    notices
}

fn text(view: &View, notice: &Notice) -> String {
    match notice {
        Notice::Gone => say!(view, "notice-gone"),
        Notice::Passing(PassingText::Busy) => say!(view, "notice-busy"),
        Notice::Passing(PassingText::NothingToRetry(lane)) => say!(view, "notice-not-retry", lane = lane),
        Notice::Passing(PassingText::NoLane(lane)) => say!(view, "notice-no-lane", lane = lane),
        Notice::Passing(PassingText::NotScanned) => say!(view, "notice-not-scanned"),
        Notice::Passing(PassingText::TooLate(lane)) => say!(view, "notice-too-late", lane = lane),
        Notice::Refusal(failure) => {
            let text = reasons().text(view.texts.language(), failure).technician;
            format!("{text} ({})", failure.code)
        }
        Notice::Question(question) => {
            let unit = match &question.serial {
                Some(serial) => serial.to_string(),
                None => say!(view, "unknown-unit"),
            };
            match question.kind {
                LabelKind::Slip => say!(view, "question-slip", unit = unit),
                _ => say!(view, "question-label", unit = unit),
            }
        }
        Notice::ScanBack(ScanBack { lane, serial, .. }) => {
            let unit = serial.as_ref().map_or_else(|| say!(view, "unknown-unit"), ToString::to_string);
            say!(view, "notice-scan-back", lane = lane.get(), unit = unit)
        }
        Notice::Pulled(failure) => reasons().text(view.texts.language(), failure).technician,
        Notice::Refused(device, failure) => {
            let text = reasons().text(view.texts.language(), failure).technician;
            say!(view, "notice-refused", port = device.path.as_str(), text = format!("{text} ({})", failure.code))
        }
    }
}

/// At the right end of `rect`; returns where the rest of it ends.
fn button(ui: &Ui, view: &View, button: Button, rect: Rect, message: Message, messages: &mut Vec<Message>) -> f32 {
    let width = button.width(ui);
    let at = Rect::from_center_size(pos2(rect.right() - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
    if button.at(ui, view.theme, ("notice", button.key), at).clicked() {
        messages.push(message);
    }
    at.left() - 12.0
}
