//! Who operates: signing in and out, and the people of the station. It lies beside the lanes, and a bar above
//! them says what is missing; neither covers a lane, and boards that run go on.
//!
//! One key, [`KEY`], leads to whatever is next: signing in, or out.

mod bar;
mod corner;
mod panel;
mod people;

use egui::{Key, Modifiers, Ui};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use crate::domain::{BadgeCode, Failure, PersonName, Pin, Role};
use crate::runner::view::{Command, DeskState, PeopleOrder};

use super::View;

pub use corner::corner;

/// As the buttons show it.
const KEY: &str = "F1";

/// Seconds between two words to the station that a person is there.
const HERE_EVERY: f64 = 20.0;

/// The panel's own state.
#[derive(Default)]
pub struct SignIn {
    panel: Panel,
    /// What is typed into its fields.
    form: Form,
    /// What is wrong, once somebody has tried.
    fault: Option<Fault>,
    /// The number of the last answer that was seen.
    seen: u64,
    /// A text field has the focus.
    typing: bool,
    /// When the station was told last that a person is there; seconds of egui's clock.
    here: f64,
    /// The offer to create an administrator was put aside.
    later: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
enum Panel {
    #[default]
    Closed,
    /// Name and PIN.
    SignIn,
    /// The PIN of whoever showed their badge.
    BadgePin,
    /// Whoever signed in: out again, or on to the people.
    Person,
    /// The first administrator.
    First,
    /// All of them; the chosen one by place.
    People(usize),
    Add,
    NewPin(String),
    Role(String),
    /// The next badge that is scanned is this person's.
    Badge(String),
    Disable(String),
}

#[derive(Default)]
struct Form {
    name: String,
    pin: Zeroizing<String>,
    again: Zeroizing<String>,
    role: Option<Role>,
    /// The first field has been given the focus.
    begun: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Fault {
    Name,
    Pin,
    /// The two PINs differ.
    Differ,
    Role,
    /// The station refused.
    Refused(Failure),
}

/// What happens in the panel.
#[derive(Debug, Clone, PartialEq)]
enum Message {
    Close,
    /// The bar's offer, and the corner.
    Open,
    Later,
    Submit,
    SignOut,
    People,
    Choose(usize),
    Go(Panel),
    SetRole(Role),
    Disable,
    RevokeBadge(String),
}

impl SignIn {
    /// A text field of the panel has the focus: keys are its own.
    pub fn is_typing(&self) -> bool {
        self.typing && self.is_open()
    }

    /// It stands beside the lanes.
    pub fn is_open(&self) -> bool {
        self.panel != Panel::Closed
    }

    /// What a scanned line asks of the station: while somebody is given a badge, it is that badge.
    pub fn scanned(&self, line: &str, badge_prefix: &str) -> Command {
        let code = line.strip_prefix(badge_prefix).unwrap_or(line);
        match (&self.panel, BadgeCode::try_from(SecretString::from(code))) {
            (Panel::Badge(name), Ok(code)) => Command::People(PeopleOrder::GiveBadge { name: name.clone(), code }),
            _ => Command::scanned(line, badge_prefix),
        }
    }

    /// Another panel takes its place.
    pub fn make_room(&mut self, asked: &mut Vec<Command>) {
        match self.panel {
            Panel::People(_) => asked.push(Command::People(PeopleOrder::Hide)),
            // As in `Close`.
            Panel::BadgePin => asked.push(Command::SignOut),
            _ => {}
        }
        self.go(Panel::Closed);
    }

    /// The person's key was pressed, or their corner.
    pub fn toggle(&mut self, view: &View, asked: &mut Vec<Command>) {
        match (&self.panel, &view.snapshot.desk.state) {
            (Panel::Person, _) => self.update(Message::SignOut, view, asked),
            (Panel::Closed, _) => self.update(Message::Open, view, asked),
            _ => self.update(Message::Close, view, asked),
        }
    }

    /// Takes in what the station answered, and the keys that are the panel's.
    pub fn prepare(&mut self, ui: &Ui, view: &View, asked: &mut Vec<Command>) {
        self.answered(view);
        self.follow(view);
        let pressed = |key| ui.input_mut(|input| input.consume_key(Modifiers::NONE, key));
        if pressed(Key::F1) {
            self.toggle(view, asked);
        }
        if self.is_open() && pressed(Key::Escape) {
            self.update(Message::Close, view, asked);
        }
        if let (Panel::People(at), Some(people)) = (&self.panel, &view.snapshot.desk.people) {
            let (at, last) = (*at, people.len().saturating_sub(1));
            if pressed(Key::ArrowDown) {
                self.panel = Panel::People((at + 1).min(last));
            }
            if pressed(Key::ArrowUp) {
                self.panel = Panel::People(at.saturating_sub(1));
            }
        }
        let now = ui.input(|input| input.time);
        let somebody = ui.input(|input| !input.raw.events.is_empty());
        let signed_in = matches!(view.snapshot.desk.state, DeskState::SignedIn { .. });
        if somebody && signed_in && now - self.here > HERE_EVERY {
            self.here = now;
            asked.push(Command::Here);
        }
    }

    /// The bar above the lanes.
    pub fn bar(&mut self, ui: &mut Ui, view: &View, asked: &mut Vec<Command>) {
        let mut messages = Vec::new();
        bar::show(ui, view, self.later, self.is_open(), &mut messages);
        for message in messages {
            self.update(message, view, asked);
        }
    }

    /// The panel to the right of the lanes, while it is open.
    pub fn side(&mut self, ui: &mut Ui, view: &View, asked: &mut Vec<Command>) {
        self.typing = false;
        if !self.is_open() {
            return;
        }
        let mut messages = Vec::new();
        self.typing = panel::show(ui, view, &self.panel, &mut self.form, self.fault.as_ref(), &mut messages);
        for message in messages {
            self.update(message, view, asked);
        }
    }

    fn answered(&mut self, view: &View) {
        let Some(answer) = view.snapshot.desk.answer.as_ref().filter(|answer| answer.number != self.seen) else {
            return;
        };
        self.seen = answer.number;
        match &answer.result {
            Ok(()) => {
                self.fault = None;
                match &self.panel {
                    Panel::SignIn | Panel::BadgePin | Panel::First => self.go(Panel::Closed),
                    Panel::Add | Panel::NewPin(_) | Panel::Role(_) | Panel::Badge(_) | Panel::Disable(_) => {
                        self.go(Panel::People(0));
                    }
                    Panel::Closed | Panel::Person | Panel::People(_) => {}
                }
            }
            // The PIN that is asked for now is no mistake of anybody's.
            Err(_) if matches!(view.snapshot.desk.state, DeskState::BadgeShown { .. }) => {}
            Err(failure) => {
                if self.panel == Panel::Closed {
                    self.go(Panel::SignIn);
                }
                self.form.pin = Zeroizing::default();
                self.form.again = Zeroizing::default();
                self.form.begun = false;
                self.fault = Some(Fault::Refused(failure.clone()));
            }
        }
    }

    /// What the station shows may leave nothing for the panel to ask.
    fn follow(&mut self, view: &View) {
        use DeskState as D;
        match (&view.snapshot.desk.state, &self.panel) {
            (D::BadgeShown { .. }, panel) if *panel != Panel::BadgePin => self.go(Panel::BadgePin),
            (D::Nobody { .. } | D::Locked { .. } | D::SignedIn { .. }, Panel::BadgePin) => {
                let fault = self.fault.take();
                self.go(if fault.is_some() { Panel::SignIn } else { Panel::Closed });
                self.fault = fault;
            }
            (D::Nobody { .. } | D::Locked { .. } | D::SignedIn { .. }, Panel::First) => self.go(Panel::Closed),
            (D::Nobody { .. } | D::Locked { .. }, panel) if !matches!(panel, Panel::Closed | Panel::SignIn) => {
                self.go(Panel::Closed);
            }
            _ => {}
        }
    }

    fn go(&mut self, panel: Panel) {
        self.panel = panel;
        self.form = Form::default();
        self.fault = None;
    }

    fn update(&mut self, message: Message, view: &View, asked: &mut Vec<Command>) {
        let state = &view.snapshot.desk.state;
        match message {
            Message::Open => match state {
                DeskState::Unknown => {}
                DeskState::NoPeople => self.go(Panel::First),
                DeskState::Nobody { .. } => self.go(Panel::SignIn),
                DeskState::Locked { name, .. } => {
                    self.go(Panel::SignIn);
                    self.form.name = name.clone();
                }
                DeskState::BadgeShown { .. } => self.go(Panel::BadgePin),
                DeskState::SignedIn { .. } => self.go(Panel::Person),
            },
            Message::Close => match &self.panel {
                Panel::Add | Panel::NewPin(_) | Panel::Role(_) | Panel::Badge(_) | Panel::Disable(_) => {
                    self.go(Panel::People(0));
                }
                Panel::People(_) => {
                    asked.push(Command::People(PeopleOrder::Hide));
                    self.go(Panel::Closed);
                }
                Panel::BadgePin => {
                    // Whoever walks away from it leaves no half of a sign-in behind.
                    asked.push(Command::SignOut);
                    self.go(Panel::Closed);
                }
                _ => self.go(Panel::Closed),
            },
            Message::Later => self.later = true,
            Message::SignOut => {
                asked.push(Command::SignOut);
                self.go(Panel::Closed);
            }
            Message::People => {
                asked.push(Command::People(PeopleOrder::Show));
                self.go(Panel::People(0));
            }
            Message::Choose(at) => self.panel = Panel::People(at),
            Message::Go(panel) => self.go(panel),
            Message::SetRole(role) => match &self.panel {
                Panel::Role(name) => {
                    asked.push(Command::People(PeopleOrder::Role { name: name.clone(), role }));
                }
                _ => self.form.role = Some(role),
            },
            Message::Disable => {
                if let Panel::Disable(name) = &self.panel {
                    asked.push(Command::People(PeopleOrder::Disable(name.clone())));
                }
            }
            Message::RevokeBadge(name) => asked.push(Command::People(PeopleOrder::RevokeBadge(name))),
            Message::Submit => match self.submit() {
                Ok(command) => asked.push(command),
                Err(fault) => {
                    if matches!(fault, Fault::Pin | Fault::Differ) {
                        // What was typed blindly is typed anew, and not mended.
                        (self.form.pin, self.form.again) = (Zeroizing::default(), Zeroizing::default());
                    }
                    self.form.begun = false;
                    self.fault = Some(fault);
                }
            },
        }
    }

    /// The command that the fields make.
    fn submit(&mut self) -> Result<Command, Fault> {
        let form = &mut self.form;
        let pin = |text: &str| Pin::try_from(SecretString::from(text)).map_err(|_| Fault::Pin);
        let new_pin = |form: &Form| match form.pin == form.again {
            true => pin(&form.pin),
            false => Err(Fault::Differ),
        };
        let name = |text: &str| text.trim().parse::<PersonName>().map_err(|_| Fault::Name);
        let command = match &self.panel {
            Panel::SignIn => {
                let name = form.name.trim().to_owned();
                if name.is_empty() {
                    return Err(Fault::Name);
                }
                Command::SignIn { name, pin: pin(&form.pin)? }
            }
            Panel::BadgePin => Command::BadgePin(pin(&form.pin)?),
            Panel::First => {
                let (name, role) = (name(&form.name)?, Role::Administrator);
                Command::People(PeopleOrder::Add { name, role, pin: new_pin(form)? })
            }
            Panel::Add => {
                let (name, role) = (name(&form.name)?, form.role.ok_or(Fault::Role)?);
                Command::People(PeopleOrder::Add { name, role, pin: new_pin(form)? })
            }
            Panel::NewPin(name) => Command::People(PeopleOrder::NewPin { name: name.clone(), pin: new_pin(form)? }),
            _ => return Err(Fault::Name),
        };
        // It is typed anew for the next try.
        (form.pin, form.again) = (Zeroizing::default(), Zeroizing::default());
        self.fault = None;
        Ok(command)
    }
}
