//! What opens below the lanes when asked for: QA's detail of a lane, the form for a batch, a
//! question before something ends. The lanes move up; nothing covers them.

use egui::{Align, Align2, Frame, Layout, Margin, Panel, Rect, RichText, ScrollArea, TextEdit, Ui, vec2};

use crate::domain::{BatchName, Failure, LaneNumber, RunId, Verdict};
use crate::gui::screens::{View, say};
use crate::gui::theme::{Paint, Weight, font, size};
use crate::gui::widgets::button::Button;
use crate::gui::widgets::text::{Pen, fit_line, place};
use crate::runner::view::{Command, CopyPlace, Health, LaneState};
use crate::texts::reasons;

use super::label::{self, LabelForm};
use super::{Message, Service, lanes};

#[derive(Debug, Default, PartialEq)]
pub enum Drawer {
    #[default]
    Closed,
    Lane(LaneNumber),
    /// What a lane's label looks like, and the form for another copy.
    Label(LabelForm),
    Health(Service),
    OpenBatch(BatchForm),
    /// Close the batch: once more to confirm.
    CloseBatch,
    /// This board was put in by mistake: once more to take it out.
    WrongBoard(LaneNumber, RunId),
    /// Close the window while boards are running.
    Leave,
}

/// The form for a new batch.
#[derive(Debug, PartialEq)]
pub struct BatchForm {
    name: String,
    profile: Option<String>,
    planned: String,
    /// What is wrong with it, once someone has tried.
    fault: Option<FormFault>,
    /// The first field has been given the focus.
    begun: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum FormFault {
    Name,
    Profile,
    Planned,
}

impl BatchForm {
    /// What a scanner read is the batch's name, whichever field is open.
    pub fn name_is(&mut self, name: String) {
        self.name = name;
    }

    pub fn new(profiles: &[String]) -> BatchForm {
        let profile = match profiles {
            [only] => Some(only.clone()),
            _ => None,
        };
        BatchForm { name: String::new(), profile, planned: String::new(), fault: None, begun: false }
    }

    /// The command, or nothing: then the form says what is wrong.
    pub fn submit(&mut self) -> Option<Command> {
        match self.check() {
            Ok(command) => Some(command),
            Err(fault) => {
                self.fault = Some(fault);
                None
            }
        }
    }

    fn check(&self) -> Result<Command, FormFault> {
        let name: BatchName = self.name.trim().parse().map_err(|_| FormFault::Name)?;
        let profile = self.profile.clone().ok_or(FormFault::Profile)?;
        let planned = self.planned.trim().parse().ok().filter(|planned| *planned > 0).ok_or(FormFault::Planned)?;
        Ok(Command::OpenBatch { name, profile, planned })
    }
}

/// Draws the drawer if it is open; true while a text field in it has the focus.
pub fn show(ui: &mut Ui, view: &View, drawer: &mut Drawer, messages: &mut Vec<Message>) -> bool {
    let height = match drawer {
        Drawer::Closed => return false,
        Drawer::CloseBatch | Drawer::WrongBoard(..) | Drawer::Leave => size::TOUCH + 28.0,
        Drawer::Label(_) => label::height(ui.available_height()),
        Drawer::Lane(_) | Drawer::Health(_) | Drawer::OpenBatch(_) => {
            (ui.available_height() * 0.27).clamp(168.0, 250.0)
        }
    };
    let frame = Frame::new().fill(view.theme.surface).inner_margin(Margin::symmetric(20, 12));
    let mut typing = false;
    Panel::bottom("drawer").exact_size(height).resizable(false).show_separator_line(false).frame(frame).show(
        ui,
        |ui| {
            let edge = ui.max_rect().top() - 11.5;
            ui.painter().hline(ui.max_rect().x_range(), edge, view.theme.hairline());
            match drawer {
                Drawer::Closed => {}
                Drawer::Lane(lane) => lane_detail(ui, view, *lane, messages),
                Drawer::Label(form) => typing = label::show(ui, view, form, messages),
                Drawer::Health(service) => health_detail(ui, view, *service, messages),
                Drawer::OpenBatch(form) => typing = batch_form(ui, view, form, messages),
                Drawer::CloseBatch => close_batch(ui, view, messages),
                Drawer::WrongBoard(lane, run) => wrong_board(ui, view, *lane, *run, messages),
                Drawer::Leave => leave(ui, view, messages),
            }
        },
    );
    typing
}

fn lane_detail(ui: &mut Ui, view: &View, number: LaneNumber, messages: &mut Vec<Message>) {
    let lane = view.snapshot.lanes.iter().find(|lane| lane.number == number);
    let title = say!(view, "drawer-lane", lane = number.get());
    match lane.map(|lane| &lane.state) {
        Some(LaneState::Finished { run, serial, verdict, reason, took_ms, label, .. }) => {
            let beside = label::open(ui, view, number, *label, messages);
            let serial = serial.as_ref().map_or_else(|| say!(view, "lane-no-serial"), ToString::to_string);
            let mut parts = vec![title, serial, lanes::word(view, *verdict)];
            let code = lanes::code_word(view, *verdict);
            if !code.is_empty() {
                parts.push(code);
            }
            let took = say!(view, "seconds", seconds = format!("{:.1}", *took_ms as f64 / 1000.0));
            let foot = format!("{} {run} · {} {took}", say!(view, "drawer-run"), say!(view, "drawer-took"));
            explain(ui, view, (&parts.join(" · "), beside), reason.as_ref(), &foot, messages);
        }
        Some(LaneState::Running { run, serial, step, claimed, .. }) => {
            let serial = serial.as_ref().map_or_else(|| say!(view, "lane-no-serial"), ToString::to_string);
            head(ui, view, &[title, serial, lanes::step_name(view, *step)].join(" · "), messages);
            if *claimed {
                paragraph(ui, view, &say!(view, "wrong-too-late"));
            } else {
                let label = say!(view, "button-wrong-board");
                let button = Button::new(&label).key("Del").show(ui, view.theme);
                if button.clicked() {
                    messages.push(Message::WrongBoard(number, *run));
                }
                caption(ui, view, &say!(view, "wrong-explained"));
            }
        }
        Some(LaneState::Refused { failure }) => {
            let parts = [title, say!(view, "verdict-unrecorded")];
            explain(ui, view, (&parts.join(" · "), 0.0), Some(failure), "", messages);
        }
        _ => {
            head(ui, view, &title, messages);
            paragraph(ui, view, &say!(view, "drawer-nothing"));
        }
    }
}

fn health_detail(ui: &mut Ui, view: &View, service: Service, messages: &mut Vec<Message>) {
    let (name, health) = match service {
        Service::Cloud => (say!(view, "health-cloud"), &view.snapshot.cloud),
        Service::Log => (say!(view, "health-log"), &view.snapshot.log),
        Service::Copies => (say!(view, "health-copies"), &view.snapshot.copies.health),
        Service::Printer => (say!(view, "health-printer"), &view.snapshot.printer),
        Service::Signals => (say!(view, "health-signals"), &view.snapshot.signals),
    };
    match health {
        Health::Bad(failure) => explain(ui, view, (&name, 0.0), Some(failure), "", messages),
        _ if service == Service::Copies && view.snapshot.copies.place != CopyPlace::Elsewhere => {
            head(ui, view, &say!(view, "a11y-copies-none", name = say!(view, "health-no-copies")), messages);
            let why = match view.snapshot.copies.place {
                CopyPlace::SameDisk => say!(view, "copies-same-disk"),
                _ => say!(view, "copies-nowhere"),
            };
            paragraph(ui, view, &why);
        }
        Health::Good => head(ui, view, &say!(view, "a11y-health-good", name = name), messages),
        Health::Unknown => head(ui, view, &say!(view, "a11y-health-unknown", name = name), messages),
    }
}

/// Title (which ends `beside` before the button that closes), and in three columns what the technician does, what QA
/// looks at, and the cause.
fn explain(
    ui: &mut Ui,
    view: &View,
    (title, beside): (&str, f32),
    failure: Option<&Failure>,
    foot: &str,
    messages: &mut Vec<Message>,
) {
    let Some(failure) = failure else {
        head_beside(ui, view, title, beside, messages);
        paragraph(ui, view, &say!(view, "drawer-no-reason"));
        caption(ui, view, foot);
        return;
    };
    let texts = reasons().text(view.texts.language(), failure);
    head_beside(ui, view, &format!("{title} · {} {}", failure.code, texts.title), beside, messages);
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        let parts = [
            (say!(view, "drawer-todo"), &texts.technician),
            (say!(view, "drawer-qa"), &texts.qa),
            (say!(view, "drawer-cause"), &failure.cause),
        ];
        ui.spacing_mut().item_spacing = vec2(28.0, 2.0);
        ui.columns(parts.len(), |columns| {
            for (column, (name, text)) in columns.iter_mut().zip(&parts) {
                column.with_layout(Layout::top_down(Align::LEFT), |ui| {
                    caption(ui, view, name);
                    paragraph(ui, view, text);
                });
            }
        });
        caption(ui, view, foot);
    });
}

/// Returns whether a text field has the focus.
fn batch_form(ui: &mut Ui, view: &View, form: &mut BatchForm, messages: &mut Vec<Message>) -> bool {
    head(ui, view, &say!(view, "batch-title"), messages);
    let ink = Paint { fill: view.theme.ink, text: view.theme.surface };
    let mut typing = false;
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing = vec2(14.0, 6.0);
        // Labels stand in the middle of rows as high as the fields and buttons in them.
        ui.spacing_mut().interact_size.y = size::TOUCH;
        ui.horizontal_wrapped(|ui| {
            let name = field(ui, view, &say!(view, "batch-name"), &mut form.name, 280.0);
            if !form.begun {
                name.request_focus();
                form.begun = true;
            }
            let planned = field(ui, view, &say!(view, "batch-planned"), &mut form.planned, 120.0);
            typing = name.has_focus() || planned.has_focus();
            let entered = ui.input(|input| input.key_pressed(egui::Key::Enter));
            if entered && (name.lost_focus() || planned.lost_focus()) {
                messages.push(Message::OpenBatch);
            }
            let label = say!(view, "batch-open");
            if Button::new(&label).filled(ink).show(ui, view.theme).clicked() {
                messages.push(Message::OpenBatch);
            }
        });
        ui.horizontal_wrapped(|ui| {
            ui.label(regular(view, &say!(view, "batch-profile")));
            if view.snapshot.profiles.is_empty() {
                ui.label(regular(view, &say!(view, "batch-no-profiles")));
            }
            for profile in &view.snapshot.profiles {
                let mut button = Button::new(profile);
                if form.profile.as_ref() == Some(profile) {
                    button = button.filled(ink);
                }
                if button.show(ui, view.theme).clicked() {
                    form.profile = Some(profile.clone());
                }
            }
        });
        if let Some(fault) = form.fault {
            let text = match fault {
                FormFault::Name => say!(view, "batch-name-rule"),
                FormFault::Profile => say!(view, "batch-profile-rule"),
                FormFault::Planned => say!(view, "batch-planned-rule"),
            };
            ui.label(RichText::new(text).font(font(Weight::Bold, size::BODY)).color(view.theme.mark(Verdict::Fail)));
        }
    });
    typing
}

pub(super) fn field(ui: &mut Ui, view: &View, name: &str, text: &mut String, width: f32) -> egui::Response {
    let label = ui.label(regular(view, name));
    let edit = TextEdit::singleline(text)
        .font(font(Weight::Regular, size::BODY))
        .desired_width(width)
        .char_limit(64)
        .align(Align2::LEFT_CENTER)
        .margin(Margin::symmetric(10, 10))
        .min_size(vec2(width, size::TOUCH));
    ui.add(edit).labelled_by(label.id)
}

fn close_batch(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let Some(batch) = &view.snapshot.batch else {
        messages.push(Message::CloseDrawer);
        return;
    };
    let question = say!(view, "close-title", name = batch.name.as_str(), done = batch.passed, planned = batch.planned);
    let (yes, no) = (say!(view, "close-yes"), say!(view, "button-close"));
    let answers =
        [(Button::new(&yes).key("F9"), Message::CloseBatch), (Button::new(&no).key("Esc"), Message::CloseDrawer)];
    ask(ui, view, &question, answers, messages);
}

/// Asked as long as it can still be done: once the run has claimed the board's identity, or is over, it is not.
fn wrong_board(ui: &mut Ui, view: &View, number: LaneNumber, asked: RunId, messages: &mut Vec<Message>) {
    let lane = view.snapshot.lanes.iter().find(|lane| lane.number == number);
    let Some(LaneState::Running { run, serial, claimed: false, .. }) = lane.map(|lane| &lane.state) else {
        messages.push(Message::TooLate(number));
        return;
    };
    if *run != asked {
        messages.push(Message::CloseDrawer);
        return;
    }
    let serial = serial.as_ref().map_or_else(|| say!(view, "lane-no-serial"), ToString::to_string);
    let question = say!(view, "wrong-title", lane = number.get(), serial = serial);
    let (yes, no) = (say!(view, "wrong-yes"), say!(view, "button-close"));
    let answers = [
        (Button::new(&yes).key("Del"), Message::WrongBoard(number, asked)),
        (Button::new(&no).key("Esc"), Message::CloseDrawer),
    ];
    ask(ui, view, &question, answers, messages);
}

fn leave(ui: &mut Ui, view: &View, messages: &mut Vec<Message>) {
    let running = |lane: &&crate::runner::view::LaneView| matches!(lane.state, LaneState::Running { .. });
    let count = view.snapshot.lanes.iter().filter(running).count();
    let question = say!(view, "leave-title", count = count);
    let (yes, no) = (say!(view, "leave-yes"), say!(view, "leave-no"));
    let answers = [(Button::new(&yes), Message::Quit), (Button::new(&no).key("Esc"), Message::CloseDrawer)];
    ask(ui, view, &question, answers, messages);
}

/// A question and its answers in one row, the answers at the right.
fn ask(ui: &mut Ui, view: &View, question: &str, answers: [(Button, Message); 2], messages: &mut Vec<Message>) {
    let mut rect = ui.max_rect();
    for (at, (button, message)) in answers.into_iter().enumerate().rev() {
        let width = button.width(ui);
        let place_of_button =
            Rect::from_center_size(egui::pos2(rect.right() - width / 2.0, rect.center().y), vec2(width, size::TOUCH));
        if button.at(ui, view.theme, ("answer", at), place_of_button).clicked() {
            messages.push(message);
        }
        rect.max.x = place_of_button.left() - 14.0;
    }
    let galley = fit_line(ui.painter(), question, Pen::bold(20.0, view.theme.ink), rect.width());
    place(ui.painter(), galley, rect, Align2::LEFT_CENTER);
}

/// The drawer's title and the button that closes it.
pub(super) fn head(ui: &mut Ui, view: &View, title: &str, messages: &mut Vec<Message>) {
    head_beside(ui, view, title, 0.0, messages);
}

fn head_beside(ui: &mut Ui, view: &View, title: &str, beside: f32, messages: &mut Vec<Message>) {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), size::TOUCH));
    let label = say!(view, "button-close");
    let close = Button::new(&label).key("Esc");
    let width = close.width(ui);
    let (left, right) = rect.split_left_right_at_x(rect.right() - width);
    if close.at(ui, view.theme, "close", right).clicked() {
        messages.push(Message::CloseDrawer);
    }
    let galley = fit_line(ui.painter(), title, Pen::bold(size::LARGE, view.theme.ink), left.width() - beside - 14.0);
    place(ui.painter(), galley, left, Align2::LEFT_CENTER);
}

pub(super) fn regular(view: &View, text: &str) -> RichText {
    let font = font(Weight::Regular, size::BODY);
    RichText::new(text).font(font).line_height(Some(size::BODY * 1.3)).color(view.theme.ink)
}

pub(super) fn paragraph(ui: &mut Ui, view: &View, text: &str) {
    ui.label(regular(view, text));
}

pub(super) fn caption(ui: &mut Ui, view: &View, text: &str) {
    if !text.is_empty() {
        ui.label(RichText::new(text).font(font(Weight::Regular, size::SMALL)).color(view.theme.muted));
    }
}
