//! Who operates the station. Once the log knows people, that is somebody who signed in here; a run that has begun
//! stays in the name of whoever operated then.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Station;
use crate::audit::LineEvent;
use crate::audit::event::SignOut;
use crate::config::{BadgeUse, SignIn};
use crate::domain::{BadgeCode, Failure, OperatorRef, Pin, Proof, ReasonCode, Role};
use crate::ports::{BadgeKey, People, Person};
use crate::runner::equipment::Equipment;
use crate::runner::people::{self, Guesses, Named, SignedIn};
use crate::runner::view::{Answer, Command, DeskState, PeopleOrder, PersonView};

pub(super) struct Desk {
    pub people: Arc<dyn People>,
    badges: Arc<dyn BadgeKey>,
    plan: SignIn,
    /// Who was named at the start, until the log was asked.
    named: Named,
    /// Does the log know anybody who could sign in? `None`: it was not asked yet.
    known: Option<bool>,
    who: Who,
    /// Whose badge was shown, and when: their PIN is next.
    shown: Option<(SignedIn, Instant)>,
    /// When somebody did something here.
    touched: Instant,
    guesses: Guesses,
    answers: u64,
}

enum Who {
    Nobody,
    /// By name alone, where that is enough.
    Named(String),
    Person(SignedIn),
    Locked(SignedIn),
}

/// A badge that somebody left in the scanner's way is not waited for.
const PIN_AFTER_BADGE: Duration = Duration::from_secs(60);

/// Is it about who operates?
pub(super) fn is_asked(command: &Command) -> bool {
    use Command as C;
    matches!(command, C::Badge(_) | C::SignIn { .. } | C::BadgePin(_) | C::SignOut | C::People(_))
}

/// For ever, where there is no such moment.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Is a board left alone for want of somebody who operates?
pub(super) fn for_want_of_a_person(failure: &Failure) -> bool {
    [ReasonCode::NOBODY_SIGNED_IN, ReasonCode::STATION_LOCKED].contains(&failure.code)
}

impl Desk {
    pub fn new(plan: &SignIn, equipment: &Equipment) -> Self {
        Self {
            people: equipment.people.clone(),
            badges: equipment.badges.clone(),
            plan: plan.clone(),
            named: equipment.operator.clone(),
            known: None,
            who: Who::Nobody,
            shown: None,
            touched: Instant::now(),
            guesses: Guesses::default(),
            answers: 0,
        }
    }

    /// Somebody is there.
    pub fn touch(&mut self) {
        self.touched = Instant::now();
    }

    /// When the desk changes by itself: it is locked, or a badge is not waited for any more.
    pub fn idle_at(&self) -> Option<Instant> {
        let locked = match (&self.who, self.plan.idle) {
            (Who::Person(_), Some(idle)) => Some(self.touched + idle),
            _ => None,
        };
        let forgotten = self.shown.as_ref().map(|(_, at)| *at + PIN_AFTER_BADGE);
        locked.into_iter().chain(forgotten).min()
    }

    /// In whose name boards are begun.
    pub fn operator(&self) -> Option<&str> {
        match &self.who {
            Who::Named(name) => Some(name),
            Who::Person(person) => Some(person.name()),
            Who::Nobody | Who::Locked(_) => None,
        }
    }

    pub fn state(&self) -> DeskState {
        let required = self.plan.required;
        match (&self.who, &self.shown, self.known) {
            (_, _, None) => DeskState::Unknown,
            (_, _, Some(false)) => DeskState::NoPeople,
            (_, Some((person, _)), _) => DeskState::BadgeShown { name: person.name().to_owned() },
            (Who::Person(person), ..) => {
                DeskState::SignedIn { name: person.name().to_owned(), role: person.role(), proof: person.proof() }
            }
            (Who::Locked(person), ..) => DeskState::Locked { name: person.name().to_owned(), required },
            (Who::Nobody | Who::Named(_), ..) => DeskState::Nobody { required },
        }
    }

    fn person(&self) -> Option<&SignedIn> {
        match &self.who {
            Who::Person(person) => Some(person),
            _ => None,
        }
    }

    /// At the desk, locked or not.
    fn last(&self) -> Option<&SignedIn> {
        match &self.who {
            Who::Person(person) | Who::Locked(person) => Some(person),
            _ => None,
        }
    }
}

impl Station {
    /// Whoever was named at the start operates. O-608 and its like end the station: nobody would know that it
    /// works for nobody.
    pub(super) async fn sit_down(&mut self) -> Result<(), Failure> {
        let known = people::are_known(&*self.desk.people).await?;
        self.desk.known = Some(known);
        let Named { name: Some(name), pin, required } = self.desk.named.clone() else { return Ok(()) };
        match pin {
            Some(pin) if known => {
                let log = self.shared.log.by_nobody();
                let person = people::prove(&log, &*self.desk.people, &name, &pin).await?;
                self.seat(person).await?;
            }
            // A window asks for it; without one, the lanes say what is missing.
            None if people::must_prove(&*self.desk.people, &name, required).await? => {}
            _ => {
                self.shared.log = self.shared.log.by_nobody().named(&name).await?;
                self.desk.who = Who::Named(name);
            }
        }
        self.desk.named = Named::default();
        Ok(())
    }

    /// Why no board may be begun, as the log has it now: people come into it elsewhere, too.
    pub(super) async fn why_nobody_operates(&mut self) -> Result<Option<Failure>, Failure> {
        if self.desk.known != Some(true) {
            self.desk.known = Some(people::are_known(&*self.desk.people).await?);
        }
        if let Who::Named(name) = &self.desk.who
            && people::must_prove(&*self.desk.people, name, self.desk.plan.required).await?
        {
            self.desk.who = Who::Nobody;
            self.shared.log = self.shared.log.by_nobody();
        }
        if let Some(person) = self.desk.person() {
            match self.desk.people.person_by_id(person.operator().id).await? {
                Some(Person { role: Some(role), disabled: false, name: Some(_), .. }) if role == person.role() => {}
                Some(Person { role: Some(role), disabled: false, name: Some(_), .. }) => {
                    self.desk.who = Who::Person(person.clone().with_role(role));
                }
                _ => self.unseat(SignOut::Disabled).await?,
            }
        }
        Ok(self.nobody_operates())
    }

    /// The same, as far as it is known here.
    pub(super) fn nobody_operates(&self) -> Option<Failure> {
        if self.desk.known != Some(true) || !self.desk.plan.required {
            return None;
        }
        match &self.desk.who {
            Who::Person(_) => None,
            Who::Locked(person) => {
                let cause = format!("nobody did anything since {} did", person.name());
                Some(Failure::new(ReasonCode::STATION_LOCKED, cause).with("name", person.name()))
            }
            Who::Nobody | Who::Named(_) => {
                Some(Failure::new(ReasonCode::NOBODY_SIGNED_IN, "the log knows people, and nobody has signed in here"))
            }
        }
    }

    /// Nobody did anything for a while.
    pub(super) async fn lock_desk(&mut self) {
        if self.desk.shown.as_ref().is_some_and(|(_, at)| at.elapsed() >= PIN_AFTER_BADGE) {
            self.desk.shown = None;
            return;
        }
        let Some(person) = self.desk.person().cloned() else { return };
        // Whoever comes next must not be taken for this person, whether or not the log can be told now.
        let event = LineEvent::StationLocked { person: person.operator().clone() };
        let log = self.shared.log.by_nobody();
        (self.desk.who, self.shared.log, self.view.desk.people) = (Who::Locked(person), log.clone(), None);
        if !self.log_is_away() {
            // Nobody did it.
            let told = log.line(event).await.map(drop);
            self.note_log(told);
        }
    }

    /// The station ends.
    pub(super) async fn leave_desk(&mut self) -> Result<(), Failure> {
        match self.desk.last() {
            Some(_) => self.unseat(SignOut::Stopped).await,
            None => Ok(()),
        }
    }

    pub(super) async fn at_the_desk(&mut self, command: Command) {
        let result = match command {
            Command::Badge(code) => self.badge_shown(&code).await,
            Command::SignIn { name, pin } => self.sign_in(&name, &pin, Proof::Pin).await,
            Command::BadgePin(pin) => match self.desk.shown.take() {
                Some((person, _)) => self.sign_in(person.name(), &pin, Proof::BadgeAndPin).await,
                None => Err(Failure::new(ReasonCode::NOT_NOW, "no badge was shown, or too long ago")),
            },
            // Who showed a badge and went away is not the one who is here.
            Command::SignOut if self.desk.shown.take().is_some() => Ok(()),
            Command::SignOut => self.unseat(SignOut::Asked).await,
            Command::People(order) => self.people_ordered(order).await,
            _ => return,
        };
        self.view.notice = result.as_ref().err().cloned();
        if let Err(failure) = &result
            && super::outage::is_watched(failure)
        {
            self.note_log(Err(failure.clone()));
        }
        self.desk_answers(result);
    }

    pub(super) fn desk_answers(&mut self, result: Result<(), Failure>) {
        self.desk.answers += 1;
        self.view.desk.answer = Some(Answer { number: self.desk.answers, result });
    }

    async fn badge_shown(&mut self, code: &BadgeCode) -> Result<(), Failure> {
        self.desk.shown = None;
        let log = self.shared.log.by_nobody();
        let Desk { people, badges, guesses, .. } = &mut self.desk;
        let person = people::by_badge(&log, &**people, &**badges, guesses, code).await?;
        if self.desk.person().is_some_and(|here| here.operator().id == person.operator().id) {
            // They are here, and may have proved more.
            return Ok(());
        }
        match self.desk.plan.badge {
            BadgeUse::Alone => self.welcome(person).await,
            BadgeUse::WithPin => {
                let cause = format!("the badge of {} was shown, and here their PIN follows", person.name());
                self.desk.shown = Some((person, Instant::now()));
                Err(Failure::new(ReasonCode::BADGE_NEEDS_PIN, cause))
            }
        }
    }

    async fn sign_in(&mut self, name: &str, pin: &Pin, proof: Proof) -> Result<(), Failure> {
        self.desk.shown = None;
        let log = self.shared.log.by_nobody();
        let person = people::prove(&log, &*self.desk.people, name, pin).await?;
        self.welcome(if proof == Proof::BadgeAndPin { person.with_badge() } else { person }).await
    }

    /// Somebody signed in: what waited for that begins.
    async fn welcome(&mut self, person: SignedIn) -> Result<(), Failure> {
        self.desk.known = Some(true);
        self.seat(person).await?;
        if self.blocked.is_none() {
            self.take_boards_again(for_want_of_a_person).await;
        }
        Ok(())
    }

    /// In the log first: whoever is not in it has not signed in.
    async fn seat(&mut self, person: SignedIn) -> Result<(), Failure> {
        let nobody = self.shared.log.by_nobody();
        let mut events = Vec::new();
        if let Some(last) = self.desk.last().filter(|last| last.operator().id != person.operator().id) {
            let left = LineEvent::SignedOut { person: last.operator().clone(), why: SignOut::Replaced };
            events.push(nobody.by(last).line_event(left)?);
        }
        let log = nobody.by(&person);
        events.push(log.line_event(LineEvent::SignedIn { person: person.operator().clone(), proof: person.proof() })?);
        log.append(events).await?;
        self.view.desk.people = None;
        self.shared.log = log;
        self.desk.who = Who::Person(person);
        self.desk.touch();
        Ok(())
    }

    /// Nobody operates from here on, whether or not the log can be told.
    async fn unseat(&mut self, why: SignOut) -> Result<(), Failure> {
        self.desk.shown = None;
        let Some(person) = self.desk.last().cloned() else { return Ok(()) };
        let log = self.shared.log.by_nobody();
        let event = LineEvent::SignedOut { person: person.operator().clone(), why };
        (self.desk.who, self.shared.log, self.view.desk.people) = (Who::Nobody, log.clone(), None);
        log.by(&person).line(event).await.map(drop)
    }

    async fn people_ordered(&mut self, order: PeopleOrder) -> Result<(), Failure> {
        let log = self.shared.log.by_nobody();
        let (people, badges) = (self.desk.people.clone(), self.desk.badges.clone());
        match order {
            PeopleOrder::Hide => {
                self.view.desk.people = None;
                return Ok(());
            }
            PeopleOrder::Show => {
                self.administrator()?.has_one_of(&[Role::Administrator])?;
                return self.show_people().await;
            }
            PeopleOrder::Add { name, role, pin } => {
                let by = self.desk.person().cloned();
                people::add(&log, &*people, by.as_ref(), &name, role, &pin).await?;
                if by.is_none() {
                    // The first one: they have just shown that they know their PIN.
                    self.sign_in(name.as_str(), &pin, Proof::Pin).await?;
                }
            }
            PeopleOrder::Disable(name) => {
                let by = self.administrator()?;
                people::disable(&log, &*people, &by, &name).await?;
                if by.name() == name {
                    self.unseat(SignOut::Disabled).await?;
                }
            }
            PeopleOrder::Role { name, role } => {
                people::change_role(&log, &*people, &self.administrator()?, &name, role).await?;
                if let Who::Person(person) = &self.desk.who
                    && person.name() == name
                {
                    self.desk.who = Who::Person(person.clone().with_role(role));
                }
            }
            PeopleOrder::NewPin { name, pin } => {
                people::reset(&log, &*people, &self.administrator()?, &name, &pin).await?;
            }
            PeopleOrder::GiveBadge { name, code } => {
                people::give_badge(&log, &*people, &*badges, &self.administrator()?, &name, &code).await?;
            }
            PeopleOrder::RevokeBadge(name) => {
                people::revoke_badge(&log, &*people, &self.administrator()?, &name).await?;
            }
        }
        if let Some(keeper) = &self.keeper {
            keeper.checkpoint_soon();
        }
        match self.view.desk.people {
            Some(_) if self.administrator().is_ok_and(|person| person.role() == Role::Administrator) => {
                self.show_people().await
            }
            _ => {
                self.view.desk.people = None;
                Ok(())
            }
        }
    }

    /// Whoever is here: what they may do is asked where it is done.
    pub(super) fn administrator(&self) -> Result<SignedIn, Failure> {
        let nobody = || Failure::new(ReasonCode::NOBODY_SIGNED_IN, "an administrator has to sign in for that");
        self.desk.person().cloned().ok_or_else(nobody)
    }

    async fn show_people(&mut self) -> Result<(), Failure> {
        let now = self.shared.log.clock.now();
        let mut shown = Vec::new();
        for person in self.desk.people.operators().await? {
            if let Person { who, name: Some(name), role: Some(role), disabled } = person {
                shown.push(self.view_of(who, name, role, disabled, now).await?);
            }
        }
        self.view.desk.people = Some(shown);
        Ok(())
    }

    async fn view_of(
        &self,
        who: OperatorRef,
        name: String,
        role: Role,
        disabled: bool,
        now: Timestamp,
    ) -> Result<PersonView, Failure> {
        let credential = self.desk.people.credential(who.id).await?;
        let badge = credential.as_ref().is_some_and(|credential| credential.badge_hash.is_some());
        let locked_until = credential.and_then(|credential| credential.locked_until).filter(|until| *until > now);
        Ok(PersonView { name, role, disabled, badge, locked_until })
    }
}
