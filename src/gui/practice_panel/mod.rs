//! The practice line's controls: plug and unplug boards, make them bad, take the cloud or the
//! printer down. Plain data in, plain commands out; what they do lies with the practice line.

mod tour;

use egui::{Align2, Frame, Margin, Panel, Rect, ScrollArea, Ui, vec2};
use tokio::sync::{mpsc, watch};

use crate::gui::screens::{View, say};
use crate::gui::theme::{self, size};
use crate::gui::widgets::button::Button;
use crate::gui::widgets::text::{Pen, fit_line, place};
use tour::Tour;

/// The practice line as its controls show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PracticeView {
    pub ports: Vec<PracticePort>,
    /// Names of the faults that a board can be given. The window translates
    /// `practice-fault-<name>` and shows the name itself where there is no such message.
    pub faults: Vec<String>,
    pub cloud_up: bool,
    pub printer_up: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PracticePort {
    pub name: String,
    /// The board that is plugged in, by its serial number.
    pub plugged: Option<String>,
    /// The HELD board that was taken out of this port, by its serial number: it is the next to be plugged in.
    pub again: Option<String>,
    /// What is wrong with the board of this port.
    pub fault: Option<String>,
}

/// What the controls ask of the practice line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PracticeCommand {
    Plug {
        port: String,
    },
    Unplug {
        port: String,
    },
    /// A board into every empty port, at one stroke.
    PlugAll,
    UnplugAll,
    /// Gives the board of this port a fault, or (`None`) makes it good again.
    Fault {
        port: String,
        fault: Option<String>,
    },
    Cloud {
        up: bool,
    },
    Printer {
        up: bool,
    },
    /// The newcomer has had enough of the guided tour, or all of it.
    TourEnded,
}

/// The window's end of the practice line's channels.
pub struct PracticeBridge {
    pub views: watch::Receiver<PracticeView>,
    pub commands: mpsc::Sender<PracticeCommand>,
    /// Begins with the guided tour.
    pub tour: bool,
}

/// The panel at the window's right side.
pub(super) struct PracticePanel {
    bridge: PracticeBridge,
    state: State,
    tour: TourState,
    /// The last press was not taken: the practice line's queue was full.
    busy: bool,
}

enum TourState {
    /// Begins with the first snapshot that is shown.
    Due,
    Shown(Tour),
    Over,
}

enum State {
    Folded,
    Ports,
    /// Which fault for the board of this port?
    Faults {
        port: String,
    },
}

impl PracticePanel {
    pub(super) fn new(bridge: PracticeBridge) -> PracticePanel {
        let tour = if bridge.tour { TourState::Due } else { TourState::Over };
        PracticePanel { bridge, state: State::Ports, tour, busy: false }
    }

    pub(super) fn toggle(&mut self) {
        self.state = match self.state {
            State::Folded => State::Ports,
            State::Ports | State::Faults { .. } => State::Folded,
        };
    }

    pub(super) fn show(&mut self, ui: &mut Ui, view: &View) {
        match &mut self.tour {
            TourState::Due => self.tour = TourState::Shown(Tour::new(view.snapshot)),
            TourState::Shown(tour) => tour.watch(view.snapshot),
            TourState::Over => {}
        }
        if matches!(self.state, State::Folded) {
            return;
        }
        let practice = self.bridge.views.borrow().clone();
        let frame = Frame::new().fill(view.theme.surface).stroke(view.theme.hairline()).inner_margin(Margin::same(12));
        let width = (ui.ctx().content_rect().width() * 0.18).clamp(250.0, size::PRACTICE_PANEL);
        Panel::right("practice").exact_size(width).resizable(false).frame(frame).show(ui, |ui| {
            ui.spacing_mut().item_spacing = vec2(8.0, 8.0);
            let ended = self.tour(ui, view);
            heading(ui, view, &say!(view, "practice-title"));
            if self.busy {
                heading(ui, view, &say!(view, "notice-busy"));
            }
            let asked = match &self.state {
                State::Faults { port } => self.faults(ui, view, &practice, port.clone()),
                State::Ports | State::Folded => self.ports(ui, view, &practice),
            };
            if let Some(command) = ended.or(asked) {
                self.busy = self.bridge.commands.try_send(command).is_err();
            }
        });
    }

    /// The guided tour above everything.
    fn tour(&mut self, ui: &mut Ui, view: &View) -> Option<PracticeCommand> {
        let TourState::Shown(tour) = &self.tour else { return None };
        let ended = tour.show(ui, view);
        ui.separator();
        if !ended {
            return None;
        }
        self.tour = TourState::Over;
        Some(PracticeCommand::TourEnded)
    }

    fn ports(&mut self, ui: &mut Ui, view: &View, practice: &PracticeView) -> Option<PracticeCommand> {
        let mut asked = None;
        let cloud = if practice.cloud_up { say!(view, "practice-cloud-up") } else { say!(view, "practice-cloud-down") };
        if service(ui, view, "cloud", &cloud, practice.cloud_up) {
            asked = Some(PracticeCommand::Cloud { up: !practice.cloud_up });
        }
        let printer =
            if practice.printer_up { say!(view, "practice-printer-up") } else { say!(view, "practice-printer-down") };
        if service(ui, view, "printer", &printer, practice.printer_up) {
            asked = Some(PracticeCommand::Printer { up: !practice.printer_up });
        }
        if matches!(self.tour, TourState::Over) {
            let (_, rect) = ui.allocate_space(vec2(ui.available_width(), size::TOUCH));
            let [left, right] = halves(rect);
            let (plug, unplug) = (say!(view, "practice-plug-all"), say!(view, "practice-unplug-all"));
            if Button::new(&plug).text(size::SMALL).at(ui, view.theme, "plug-all", left).clicked() {
                asked = Some(PracticeCommand::PlugAll);
            }
            if Button::new(&unplug).text(size::SMALL).at(ui, view.theme, "unplug-all", right).clicked() {
                asked = Some(PracticeCommand::UnplugAll);
            }
            let tour = say!(view, "practice-tour-begin");
            if Button::new(&tour).text(size::SMALL).show(ui, view.theme).clicked() {
                self.tour = TourState::Due;
            }
        }
        ui.add_space(4.0);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for port in &practice.ports {
                asked = asked.take().or(self.port(ui, view, port));
            }
        });
        asked
    }

    fn port(&mut self, ui: &mut Ui, view: &View, port: &PracticePort) -> Option<PracticeCommand> {
        let width = ui.available_width();
        let (_, rect) = ui.allocate_space(vec2(width, 26.0 + size::TOUCH));
        let (mut top, buttons) = rect.split_top_bottom_at_y(rect.top() + 26.0);
        let board = match (&port.plugged, &port.again) {
            (Some(serial), _) => serial.clone(),
            (None, Some(serial)) => say!(view, "practice-again", serial = serial.clone()),
            (None, None) => say!(view, "practice-empty"),
        };
        let state = match &port.fault {
            // The serial number is on the tile; what is wrong with the board is only here.
            Some(fault) => fault_name(view, fault),
            None => board,
        };
        let painter = ui.painter();
        let name = fit_line(painter, &port.name, Pen::bold(size::SMALL, view.theme.ink), width * 0.4);
        top.min.x = place(painter, name, top, Align2::LEFT_CENTER).right() + 8.0;
        let state = fit_line(painter, &state, Pen::regular(13.0, view.theme.muted), top.width());
        place(painter, state, top, Align2::RIGHT_CENTER);

        let [left, right] = halves(buttons);
        let plugged = port.plugged.is_some();
        let plug = if plugged { say!(view, "practice-unplug") } else { say!(view, "practice-plug") };
        let bad = say!(view, "practice-make-bad");
        let mut asked = None;
        if Button::new(&plug).text(size::SMALL).at(ui, view.theme, ("plug", &port.name), left).clicked() {
            let port = port.name.clone();
            asked = Some(if plugged { PracticeCommand::Unplug { port } } else { PracticeCommand::Plug { port } });
        }
        if Button::new(&bad).text(size::SMALL).at(ui, view.theme, ("bad", &port.name), right).clicked() {
            self.state = State::Faults { port: port.name.clone() };
        }
        asked
    }

    fn faults(&mut self, ui: &mut Ui, view: &View, practice: &PracticeView, port: String) -> Option<PracticeCommand> {
        heading(ui, view, &say!(view, "practice-choose", port = port.clone()));
        let current = practice.ports.iter().find(|known| known.name == port).and_then(|known| known.fault.clone());
        let mut chosen = None;
        let choices = std::iter::once(None).chain(practice.faults.iter().cloned().map(Some));
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            for fault in choices {
                let label = match &fault {
                    None => say!(view, "practice-good"),
                    Some(name) => fault_name(view, name),
                };
                let mut button = Button::new(&label).text(size::SMALL);
                if fault == current {
                    button = button.filled(view.theme.practice);
                }
                let (_, rect) = ui.allocate_space(vec2(ui.available_width(), size::TOUCH));
                if button.at(ui, view.theme, ("fault", &fault), rect).clicked() {
                    chosen = Some(PracticeCommand::Fault { port: port.clone(), fault });
                }
            }
            let close = say!(view, "button-close");
            if Button::new(&close).text(size::SMALL).show(ui, view.theme).clicked() {
                self.state = State::Ports;
            }
        });
        if chosen.is_some() {
            self.state = State::Ports;
        }
        chosen
    }
}

/// For two buttons side by side.
fn halves(row: Rect) -> [Rect; 2] {
    let half = vec2((row.width() - 8.0) / 2.0, size::TOUCH);
    [Rect::from_min_size(row.min, half), Rect::from_min_size(row.min + vec2(half.x + 8.0, 0.0), half)]
}

fn heading(ui: &mut Ui, view: &View, text: &str) {
    ui.label(egui::RichText::new(text).font(theme::font(theme::Weight::Bold, size::BODY)).color(view.theme.ink));
}

/// A line with a state and the button that turns it over; true when that is pressed.
fn service(ui: &mut Ui, view: &View, id: &str, state: &str, up: bool) -> bool {
    let (_, rect) = ui.allocate_space(vec2(ui.available_width(), size::TOUCH));
    let label = if up { say!(view, "practice-take-down") } else { say!(view, "practice-bring-up") };
    let mut button = Button::new(&label).text(size::SMALL);
    if !up {
        button = button.filled(view.theme.error);
    }
    let (text, place_of_button) = rect.split_left_right_at_x(rect.right() - 100.0);
    let painter = ui.painter();
    place(
        painter,
        fit_line(painter, state, Pen::regular(size::SMALL, view.theme.ink), text.width() - 8.0),
        text,
        Align2::LEFT_CENTER,
    );
    button.at(ui, view.theme, ("service", id), place_of_button).clicked()
}

fn fault_name(view: &View, name: &str) -> String {
    view.texts.lookup(&format!("practice-fault-{name}")).unwrap_or_else(|| name.to_owned())
}
