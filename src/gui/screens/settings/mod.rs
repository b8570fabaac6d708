//! The station's settings, for its administrators: beside the lanes, like the people. What is changed is asked of the
//! station, which writes it into its own file; the panel says what became of it, and when it holds.

mod pages;
mod panel;
mod targets;

use egui::{Key, Modifiers, Ui};

use crate::config::{Change, Look, PrinterChoice, PrinterKind};
use crate::domain::{Failure, LaneNumber, Role};
use crate::runner::view::{Command, DeskState, SettingsOrder, SettingsView, TeachView};
use crate::texts::{Language, Texts, fl};

use super::View;

/// As the buttons show it.
pub const KEY: &str = "Shift F1";

/// The panel's own state.
#[derive(Default)]
pub struct SettingsPanel {
    page: Page,
    form: Form,
    /// What the last change came to.
    said: Option<Said>,
    /// What was asked, and is not answered yet.
    asked: Option<Asked>,
    /// The number of the last answer that was seen.
    seen: u64,
    /// A text field has the focus.
    typing: bool,
    /// Each by its own name.
    languages: Vec<(Language, String)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Page {
    #[default]
    Closed,
    Menu,
    Lanes,
    Profiles,
    Printer,
    Targets,
    Language,
    Theme,
}

impl Page {
    const SECTIONS: [Page; 6] =
        [Page::Lanes, Page::Profiles, Page::Printer, Page::Targets, Page::Language, Page::Theme];
}

#[derive(Default)]
struct Form {
    /// The lane that is looked at.
    lane: Option<LaneNumber>,
    kind: Option<PrinterKind>,
    place: String,
    /// The first control has been given the focus.
    begun: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// The change holds from now on.
    InEffect,
    /// … from the station's next start on.
    AtNextStart,
    Refused(Failure),
}

enum Asked {
    Change(Change),
    /// The port that a board has shown.
    Port,
    /// Something that is shown elsewhere, or nowhere.
    Other,
}

/// What happens in the panel.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    Close,
    Go(Page),
    Lane(LaneNumber),
    Kind(PrinterKind),
    SavePrinter,
    Ask(SettingsOrder),
    /// The window, which somebody has switched by key, is to be as the file has it.
    Follow(Change),
}

/// What the window itself does about a change, once the station has written it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Language(Language),
    Theme(Look),
}

impl Effect {
    fn of(change: &Change) -> Option<Effect> {
        match change {
            Change::Language(tag) => tag.parse().ok().map(Effect::Language),
            Change::Theme(look) => Some(Effect::Theme(*look)),
            _ => None,
        }
    }
}

/// May whoever is here change anything?
pub fn is_administrator(view: &View) -> bool {
    matches!(&view.snapshot.desk.state,
        DeskState::SignedIn { role: Role::Administrator, proof, .. } if proof.has_pin())
}

impl SettingsPanel {
    /// A text field of the panel has the focus: keys are its own.
    pub fn is_typing(&self) -> bool {
        self.typing && self.is_open()
    }

    /// It stands beside the lanes.
    pub fn is_open(&self) -> bool {
        self.page != Page::Closed
    }

    /// Its key was pressed, or its button.
    pub fn toggle(&mut self, view: &View, asked: &mut Vec<Command>) {
        if self.is_open() {
            return self.close(asked);
        }
        self.go(Page::Menu);
        if self.languages.is_empty() {
            let named = |language: Language| {
                let name = Texts::load(language.clone()).map(|texts| fl!(texts.loader(), "language-name"));
                (language.clone(), name.unwrap_or_else(|_| language.tag()))
            };
            self.languages = Language::available().into_iter().map(named).collect();
        }
        if is_administrator(view) {
            self.ask(SettingsOrder::Show, asked);
        }
    }

    /// Somebody turns to another panel.
    pub fn close(&mut self, asked: &mut Vec<Command>) {
        if self.is_open() {
            self.go(Page::Closed);
            asked.push(Command::Settings(SettingsOrder::Hide));
        }
    }

    /// Takes in what the station answered, and the keys that are the panel's.
    pub fn prepare(&mut self, ui: &Ui, view: &View, asked: &mut Vec<Command>) -> Option<Effect> {
        // Before F1: a pattern without Shift takes both.
        if ui.input_mut(|input| input.consume_key(Modifiers::SHIFT, Key::F1)) {
            self.toggle(view, asked);
        }
        if !self.is_open() {
            return None;
        }
        if !is_administrator(view) && self.page != Page::Menu {
            self.go(Page::Menu);
        }
        if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Escape)) {
            self.update(Message::Close, view, asked);
        }
        self.answered(view)
    }

    /// The panel to the right of the lanes, while it is open.
    pub fn side(&mut self, ui: &mut Ui, view: &View, asked: &mut Vec<Command>) -> Option<Effect> {
        self.typing = false;
        if !self.is_open() {
            return None;
        }
        let mut messages = Vec::new();
        self.typing = panel::show(ui, view, self, &mut messages);
        let mut effect = None;
        for message in messages {
            match message {
                Message::Follow(change) => effect = Effect::of(&change),
                message => self.update(message, view, asked),
            }
        }
        effect
    }

    fn answered(&mut self, view: &View) -> Option<Effect> {
        let settings = view.snapshot.settings.as_ref()?;
        let answer = settings.answer.as_ref().filter(|answer| answer.number != self.seen)?;
        self.seen = answer.number;
        let asked = self.asked.take()?;
        self.form.begun = false;
        match (&answer.result, asked) {
            (Err(failure), _) => self.said = Some(Said::Refused(failure.clone())),
            (Ok(()), Asked::Other) => {}
            (Ok(()), Asked::Port) => self.said = Some(Said::AtNextStart),
            (Ok(()), Asked::Change(change)) => {
                let at_once = change.setting().is_taken_up_at_once();
                self.said = Some(if at_once { Said::InEffect } else { Said::AtNextStart });
                return Effect::of(&change);
            }
        }
        None
    }

    fn go(&mut self, page: Page) {
        self.page = page;
        self.form = Form::default();
        self.said = None;
    }

    fn ask(&mut self, order: SettingsOrder, asked: &mut Vec<Command>) {
        self.asked = Some(match &order {
            SettingsOrder::Change(change) => Asked::Change(change.clone()),
            SettingsOrder::TakePort => Asked::Port,
            _ => Asked::Other,
        });
        self.said = None;
        self.form.begun = false;
        asked.push(Command::Settings(order));
    }

    fn update(&mut self, message: Message, view: &View, asked: &mut Vec<Command>) {
        let settings = view.snapshot.settings.as_ref();
        match message {
            Message::Close if settings.is_some_and(|settings| settings.teaching.is_some()) => {
                self.ask(SettingsOrder::StopTeaching, asked);
            }
            Message::Close if self.page == Page::Menu => self.close(asked),
            Message::Close => self.go(Page::Menu),
            Message::Go(page) => {
                self.go(page);
                if let (Page::Printer, Some(settings)) = (page, settings) {
                    self.form.kind = Some(settings.printer.kind);
                    self.form.place.clone_from(&settings.printer.place);
                }
                if let (Page::Lanes, Some(settings)) = (page, settings) {
                    self.form.lane = settings.lanes.first().map(|lane| lane.number);
                }
            }
            Message::Lane(lane) => {
                self.form.lane = Some(lane);
                self.said = None;
            }
            Message::Kind(kind) => {
                let known = settings.map(|settings| &settings.printer).filter(|printer| printer.kind == kind);
                self.form.place = known.map(|printer| printer.place.clone()).unwrap_or_default();
                self.form.kind = Some(kind);
                self.said = None;
            }
            Message::SavePrinter => {
                if let Some(kind) = self.form.kind {
                    let place = match kind {
                        PrinterKind::None => String::new(),
                        _ => self.form.place.trim().to_owned(),
                    };
                    let choice = PrinterChoice { kind, place };
                    self.ask(SettingsOrder::Change(Change::Printer(choice)), asked);
                }
            }
            Message::Ask(order) => self.ask(order, asked),
            Message::Follow(_) => {}
        }
    }
}

/// The lane that is being taught its port.
fn teaching(settings: &SettingsView) -> Option<(LaneNumber, &TeachView)> {
    settings.teaching.as_ref().map(|(lane, stage)| (*lane, stage))
}
