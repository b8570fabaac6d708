//! The technician's screen: lanes as tiles, the batch above them, keys below. Nothing on it ever
//! covers a lane or waits for an answer.

mod drawer;
mod footer;
mod header;
mod label;
mod lanes;
mod notices;

use std::time::Duration;

use egui::{Key, Modifiers, Ui};

use crate::domain::{LaneNumber, RunId, Verdict};
use crate::runner::view::{Command, LaneState, LaneView, Snapshot};

use super::View;
use drawer::{BatchForm, Drawer};
use label::LabelForm;
use notices::{Passing, PassingText, Shown};

/// How long a remark such as "the station is busy" stays, seconds.
const REMARK: f64 = 6.0;

/// What the screen asks of the window.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Ask(Command),
    NextLanguage,
    NextTheme,
    /// Fold the practice line's controls away, or out again.
    TogglePractice,
    /// What was typed without a field has been used up as a lane's number.
    ForgetTyped,
    /// Whoever operates, or the way in.
    Person,
    Settings,
    Quit,
}

/// What happens on the screen.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    PauseOrContinue,
    FinishHeld,
    Details(LaneNumber),
    Retry(LaneNumber),
    /// What the lane's label looks like.
    Label(LaneNumber),
    /// Print the label that is shown once more.
    Reprint,
    /// The same by the keys: the lane whose number was typed, else the one in focus.
    DetailsHere,
    RetryHere,
    LabelHere,
    /// The board of this run was put in by mistake: the first time asks, the second time does.
    WrongBoard(LaneNumber, RunId),
    WrongBoardHere,
    TooLate(LaneNumber),
    Health(Service),
    OpenForm,
    OpenBatch,
    CloseBatch,
    Settle {
        run: RunId,
        printed: bool,
    },
    SettleFirst {
        printed: bool,
    },
    NextNotice,
    ReadRefusal,
    NextLanguage,
    NextTheme,
    TogglePractice,
    Person,
    Settings,
    CloseDrawer,
    FocusLanes,
    Quit,
}

/// What the station needs besides boards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Cloud,
    Log,
    Copies,
    Printer,
    /// Sounds and the signal tower.
    Signals,
}

/// The screen's own state: nothing of it is worth keeping.
#[derive(Default)]
pub struct Station {
    drawer: Drawer,
    /// Which of the notices is shown, counted on and on.
    notice: usize,
    passing: Option<Passing>,
    /// Why the last command was refused has been read.
    read: bool,
    focused: Option<LaneNumber>,
    focus_lanes: bool,
    /// A text field has the focus.
    typing: bool,
    /// One of a panel beside the lanes has it.
    typing_beside: bool,
}

/// Draws something to the right of the lanes.
pub type Side<'a> = Option<&'a mut dyn FnMut(&mut Ui)>;

impl Station {
    pub fn show(&mut self, ui: &mut Ui, view: &View, side: Side, asked: &mut Vec<Event>) {
        let mut messages = keys(ui, view, self.typing || self.typing_beside);
        let now = ui.input(|input| input.time);
        self.expire(ui, now);

        header::show(ui, view, &mut messages);
        notices::show(ui, view, self.shown(), &mut messages);
        footer::show(ui, view, &mut messages);
        self.typing = drawer::show(ui, view, &mut self.drawer, &mut messages);
        if let Some(side) = side {
            side(ui);
        }
        self.focused = lanes::show(ui, view, std::mem::take(&mut self.focus_lanes), &mut messages);

        for message in messages {
            self.update(message, view, now, asked);
        }
    }

    /// Keys belong to a text field now, not to the scanner.
    pub fn is_typing(&self) -> bool {
        self.typing
    }

    /// Keys belong to a text field of a panel beside the lanes.
    pub fn is_typed_beside(&mut self, typing: bool) {
        self.typing_beside = typing;
    }

    /// A command was not taken; `now` in the seconds of egui's clock.
    pub fn say_busy(&mut self, now: f64) {
        self.remark(PassingText::Busy, now);
    }

    /// A line was typed that the scanner did not type.
    pub fn say_not_scanned(&mut self, now: f64) {
        self.remark(PassingText::NotScanned, now);
    }

    /// Something is asked of the station now: what it says to that is new.
    pub fn asked(&mut self) {
        self.read = false;
    }

    /// A code that was scanned, wherever the focus is. What means nothing to the screen itself comes back: it is for
    /// the station.
    pub fn scanned(&mut self, code: String, snapshot: &Snapshot) -> Option<String> {
        let waits = |lane: &LaneView| matches!(lane.state, LaneState::Running { waits_for_scan: true, .. });
        let batch = code.strip_prefix("BATCH-").map(str::to_owned);
        let waited_for = snapshot.lanes.iter().any(waits) || !snapshot.scan_back.is_empty();
        if waited_for && batch.is_none() || code.starts_with("SLIP-") || code.starts_with("LANE-") {
            return Some(code);
        }
        match (&mut self.drawer, batch) {
            (Drawer::OpenBatch(form), batch) => form.name_is(batch.unwrap_or(code)),
            (_, Some(name)) if snapshot.batch.is_none() => {
                let mut form = BatchForm::new(&snapshot.profiles);
                form.name_is(name);
                self.drawer = Drawer::OpenBatch(form);
            }
            _ => return Some(code),
        }
        None
    }

    fn shown(&self) -> Shown<'_> {
        Shown { passing: self.passing.as_ref(), read: self.read, turn: self.notice }
    }

    /// Boards are running and the window shall close: ask first, beside the lanes.
    pub fn ask_to_leave(&mut self) {
        self.drawer = Drawer::Leave;
    }

    fn update(&mut self, message: Message, view: &View, now: f64, asked: &mut Vec<Event>) {
        let snapshot = view.snapshot;
        match message {
            Message::PauseOrContinue => {
                asked.push(Event::Ask(if snapshot.paused { Command::Continue } else { Command::Pause }));
            }
            Message::FinishHeld => asked.push(Event::Ask(Command::ResumeHeld)),
            Message::Details(lane) => {
                self.drawer = if self.drawer == Drawer::Lane(lane) { Drawer::Closed } else { Drawer::Lane(lane) };
            }
            Message::Retry(lane) => self.retry(lane, view, now, asked),
            Message::DetailsHere => {
                if let Some(lane) = self.lane_meant(view, now, asked) {
                    self.update(Message::Details(lane), view, now, asked);
                }
            }
            Message::RetryHere => {
                if let Some(lane) = self.lane_meant(view, now, asked) {
                    self.retry(lane, view, now, asked);
                }
            }
            Message::Label(lane) => {
                if let Some(run) = label::run_in(view, lane) {
                    self.drawer = Drawer::Label(LabelForm::new(run));
                    asked.push(Event::Ask(Command::ShowLabel(run)));
                }
            }
            Message::LabelHere => {
                if let Some(lane) = self.lane_meant(view, now, asked) {
                    self.update(Message::Label(lane), view, now, asked);
                }
            }
            Message::Reprint => {
                if let Drawer::Label(form) = &mut self.drawer {
                    asked.extend(form.submit().map(Event::Ask));
                }
            }
            Message::WrongBoard(lane, run) if self.drawer == Drawer::WrongBoard(lane, run) => {
                asked.push(Event::Ask(Command::WrongBoard { lane, run }));
                self.drawer = Drawer::Closed;
            }
            Message::WrongBoard(lane, run) => self.drawer = Drawer::WrongBoard(lane, run),
            Message::WrongBoardHere => {
                let confirms = match self.drawer {
                    Drawer::WrongBoard(lane, run) if view.typed.is_empty() => Some((lane, run)),
                    _ => None,
                };
                if let Some((lane, run)) = confirms {
                    self.update(Message::WrongBoard(lane, run), view, now, asked);
                } else if let Some(lane) = self.lane_meant(view, now, asked) {
                    self.wrong_board(lane, view, now);
                }
            }
            Message::TooLate(lane) => {
                self.drawer = Drawer::Closed;
                self.remark(PassingText::TooLate(lane.get()), now);
            }
            Message::Health(service) => {
                let same = self.drawer == Drawer::Health(service);
                self.drawer = if same { Drawer::Closed } else { Drawer::Health(service) };
            }
            Message::OpenForm => self.drawer = Drawer::OpenBatch(BatchForm::new(&snapshot.profiles)),
            Message::OpenBatch => {
                if let Drawer::OpenBatch(form) = &mut self.drawer
                    && let Some(command) = form.submit()
                {
                    asked.push(Event::Ask(command));
                    self.drawer = Drawer::Closed;
                }
            }
            // The first time asks, the second time does.
            Message::CloseBatch if self.drawer == Drawer::CloseBatch => {
                asked.push(Event::Ask(Command::CloseBatch));
                self.drawer = Drawer::Closed;
            }
            Message::CloseBatch => self.drawer = Drawer::CloseBatch,
            Message::Settle { run, printed } => asked.push(Event::Ask(Command::SettleLabel { run, printed })),
            Message::SettleFirst { printed } => {
                if let Some(question) = notices::question_shown(view, self.shown()) {
                    asked.push(Event::Ask(Command::SettleLabel { run: question.run, printed }));
                }
            }
            Message::NextNotice => self.notice = self.notice.wrapping_add(1),
            Message::NextLanguage => asked.push(Event::NextLanguage),
            Message::NextTheme => asked.push(Event::NextTheme),
            Message::TogglePractice => asked.push(Event::TogglePractice),
            Message::Person => asked.push(Event::Person),
            Message::Settings => asked.push(Event::Settings),
            Message::ReadRefusal => self.read = true,
            Message::CloseDrawer if self.drawer == Drawer::Closed => self.read = true,
            Message::CloseDrawer => self.drawer = Drawer::Closed,
            Message::FocusLanes => self.focus_lanes = self.focused.is_none(),
            Message::Quit => asked.push(Event::Quit),
        }
    }

    fn retry(&mut self, lane: LaneNumber, view: &View, now: f64, asked: &mut Vec<Event>) {
        let state = view.snapshot.lanes.iter().find(|known| known.number == lane).map(|known| &known.state);
        match state {
            Some(
                LaneState::Finished { verdict: Verdict::Error | Verdict::Aborted, present: true, .. }
                | LaneState::Refused { .. },
            ) => {
                asked.push(Event::Ask(Command::Retry(lane)));
            }
            Some(_) => self.remark(PassingText::NothingToRetry(lane.get()), now),
            None => self.remark(PassingText::NoLane(lane.get()), now),
        }
    }

    fn wrong_board(&mut self, lane: LaneNumber, view: &View, now: f64) {
        let state = view.snapshot.lanes.iter().find(|known| known.number == lane).map(|known| &known.state);
        match state {
            Some(LaneState::Running { run, claimed: false, .. }) => self.drawer = Drawer::WrongBoard(lane, *run),
            Some(_) => self.remark(PassingText::TooLate(lane.get()), now),
            None => self.remark(PassingText::NoLane(lane.get()), now),
        }
    }

    /// The lane whose number was typed before the key, else the lane in focus.
    fn lane_meant(&mut self, view: &View, now: f64, asked: &mut Vec<Event>) -> Option<LaneNumber> {
        if view.typed.is_empty() {
            return self.focused;
        }
        let number = view.typed.parse::<u8>().ok()?;
        asked.push(Event::ForgetTyped);
        let lane = view.snapshot.lanes.iter().map(|lane| lane.number).find(|lane| lane.get() == number);
        if lane.is_none() {
            self.remark(PassingText::NoLane(number), now);
        }
        lane
    }

    fn remark(&mut self, text: PassingText, now: f64) {
        self.passing = Some(Passing { text, until: now + REMARK });
    }

    fn expire(&mut self, ui: &Ui, now: f64) {
        match &self.passing {
            Some(passing) if passing.until <= now => self.passing = None,
            Some(passing) => ui.ctx().request_repaint_after(Duration::from_secs_f64(passing.until - now)),
            None => {}
        }
    }
}

/// What the keyboard asks for: the same as the buttons, each of which names its key.
fn keys(ui: &Ui, view: &View, typing: bool) -> Vec<Message> {
    let snapshot = view.snapshot;
    // Before the others: `consume_key` without modifiers takes the key with Shift, too.
    let theme = ui.input_mut(|input| input.consume_key(Modifiers::SHIFT, Key::F8));
    let batch = if snapshot.batch.is_some() { (Key::F9, Message::CloseBatch) } else { (Key::F6, Message::OpenForm) };
    let table = [
        (Key::F2, Message::PauseOrContinue),
        (Key::F4, Message::RetryHere),
        (Key::Delete, Message::WrongBoardHere),
        (Key::F5, Message::FinishHeld),
        batch,
        (Key::F7, Message::NextNotice),
        (Key::F8, Message::NextLanguage),
        (Key::F10, Message::SettleFirst { printed: true }),
        (Key::F11, Message::SettleFirst { printed: false }),
        (Key::F12, Message::TogglePractice),
        (Key::Escape, Message::CloseDrawer),
    ];
    // With Shift first: a pattern without it takes both.
    let pressed = |modifiers, key| ui.input_mut(|input| input.consume_key(modifiers, key));
    let mut messages = Vec::new();
    if pressed(Modifiers::SHIFT, Key::F3) {
        messages.push(Message::LabelHere);
    } else if pressed(Modifiers::NONE, Key::F3) {
        messages.push(Message::DetailsHere);
    }
    // In a text field it deletes.
    let table = table.into_iter().filter(|(key, _)| *key != Key::Delete || !typing);
    messages.extend(table.filter(|(key, _)| pressed(Modifiers::NONE, *key)).map(|(_, message)| message));
    messages.extend(theme.then_some(Message::NextTheme));
    let arrows = [Key::ArrowUp, Key::ArrowDown, Key::ArrowLeft, Key::ArrowRight];
    if ui.memory(|memory| memory.focused().is_none())
        && ui.input(|input| arrows.iter().any(|key| input.key_pressed(*key)))
    {
        messages.push(Message::FocusLanes);
    }
    messages
}

/// How much smaller than designed headers and footers are drawn in a narrow window.
fn scale(width: f32) -> f32 {
    (width / crate::gui::theme::size::DESIGN_WIDTH).clamp(0.7, 1.0)
}
