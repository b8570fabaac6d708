//! A log and its people in memory, with a plug that can be pulled between two writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use tokio::sync::Barrier;
use uuid::Uuid;

use crate::audit::event::{FreeText, LabelStatus};
use crate::audit::{Body, Event, LeafHash, LineEvent, TreeHead};
use crate::domain::{
    BadgeCode, BatchName, Failure, Fingerprint, Identity, OperatorRef, PersonName, Pin, ReasonCode, Role, RunId,
    Sha256, StationName, TargetName, Unit, lockout,
};
use crate::ports::{
    AuditStore, BadgeKey, Batch, BatchTally, Claim, ClaimAnswer, Clock, Credential, Entropy, MadeBefore, ManifestTally,
    Obstacle, People, Person, Receipt, RunLog,
};
use crate::runner::LogWriter;
use crate::runner::people::{SignedIn, add, sign_in};

/// What is in the store, and the clock.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    events: Vec<Event>,
    /// Name and salt; `None`: forgotten.
    names: BTreeMap<Uuid, (OperatorRef, Option<String>)>,
    credentials: BTreeMap<Uuid, Credential>,
    texts: BTreeMap<Uuid, ([u8; 32], String)>,
    passed: SignedDuration,
    random: u64,
    /// Writes before the power fails.
    writes_left: Option<u32>,
    /// Whoever reads a credential waits here for the others who do.
    meeting: Option<Arc<Barrier>>,
}

impl Memory {
    pub fn new() -> (Arc<Memory>, LogWriter) {
        let memory = Arc::new(Memory::default());
        let log = LogWriter {
            store: memory.clone(),
            clock: memory.clone(),
            entropy: memory.clone(),
            station: "L1-ST1".parse().unwrap(),
            operator: None,
        };
        (memory, log)
    }

    /// With `Root` as its administrator, PIN `root-pin`, signed in.
    pub async fn with_administrator() -> (Arc<Memory>, LogWriter, SignedIn) {
        let (memory, log) = Self::new();
        add(&log, &*memory, None, &name("Root"), Role::Administrator, &pin("root-pin")).await.unwrap();
        let root = sign_in(&log, &*memory, "Root", &pin("root-pin"), &Role::ALL).await.unwrap();
        (memory, log, root)
    }

    pub fn wait(&self, time: SignedDuration) {
        self.state().passed += time;
    }

    pub fn fail_after(&self, writes: Option<u32>) {
        self.state().writes_left = writes;
    }

    /// So many read a credential at the same moment.
    pub fn meet(&self, count: usize) {
        self.state().meeting = Some(Arc::new(Barrier::new(count)));
    }

    /// As somebody could who writes to the database.
    pub fn put_pin_hash(&self, who: Uuid, pin_hash: &str) {
        self.state().credentials.get_mut(&who).unwrap().pin_hash = pin_hash.to_owned();
    }

    /// The same with a badge.
    pub fn put_badge_hash(&self, who: Uuid, badge_hash: Option<String>) {
        self.state().credentials.get_mut(&who).unwrap().badge_hash = badge_hash;
    }

    pub fn pin_hash(&self, who: Uuid) -> String {
        self.state().credentials[&who].pin_hash.clone()
    }

    /// As an older program left it, which committed to nothing.
    pub fn uncommit(&self, who: Uuid) {
        self.state().credentials.get_mut(&who).unwrap().committed = None;
    }

    /// What happened, with who did it.
    pub fn events(&self) -> Vec<(Option<String>, LineEvent)> {
        let state = self.state();
        let name = |who: &OperatorRef| state.names[&who.id].1.clone().unwrap_or_else(|| "forgotten".to_owned());
        let happened = state.events.iter().map(|event| match &event.body {
            Body::Line(line) => (event.operator.as_ref().map(name), line.clone()),
            Body::Run(_) => panic!("no run here"),
        });
        happened.collect()
    }

    /// Every byte that the log has.
    pub fn bytes(&self) -> String {
        let encoded = self.state().events.iter().map(|event| event.encode().unwrap()).collect::<Vec<_>>().concat();
        String::from_utf8(encoded).unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn write(&self) -> Result<MutexGuard<'_, State>, Failure> {
        let mut state = self.state();
        match &mut state.writes_left {
            Some(0) => return Err(Failure::new(ReasonCode::STORE_FAILED, "the power failed")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(state)
    }
}

impl State {
    fn person(&self, id: Uuid) -> Option<Person> {
        let (who, name) = self.names.get(&id)?.clone();
        let (mut role, mut disabled) = (None, false);
        for event in &self.events {
            match &event.body {
                Body::Line(LineEvent::OperatorAdded { person, role: given, .. }) if person.id == id => {
                    (role, disabled) = (Some(*given), false);
                }
                Body::Line(LineEvent::OperatorRole { person, role: given }) if person.id == id => role = Some(*given),
                Body::Line(LineEvent::OperatorDisabled { person }) if person.id == id => disabled = true,
                _ => {}
            }
        }
        Some(Person { who, name, role, disabled })
    }
}

pub fn pin(text: &str) -> Pin {
    SecretString::from(text).try_into().unwrap()
}

pub fn name(text: &str) -> PersonName {
    text.parse().unwrap()
}

/// A key that lies beside the database.
#[derive(Default)]
pub struct Key(Mutex<Option<[u8; 32]>>);

#[async_trait::async_trait]
impl BadgeKey for Key {
    async fn read(&self) -> Result<Option<SecretBox<[u8; 32]>>, Failure> {
        Ok(self.0.lock().unwrap().map(|key| SecretBox::new(Box::new(key))))
    }

    async fn keep(&self, key: SecretBox<[u8; 32]>) -> Result<SecretBox<[u8; 32]>, Failure> {
        let kept = *self.0.lock().unwrap().get_or_insert(*key.expose_secret());
        Ok(SecretBox::new(Box::new(kept)))
    }
}

pub fn badge(text: &str) -> BadgeCode {
    SecretString::from(text).try_into().unwrap()
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.state().passed
    }
}

impl Entropy for Memory {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), Failure> {
        let mut state = self.state();
        for chunk in bytes.chunks_mut(32) {
            state.random += 1;
            chunk.copy_from_slice(&Sha256::of(&state.random.to_ne_bytes()).as_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl People for Memory {
    async fn operators(&self) -> Result<Vec<Person>, Failure> {
        let state = self.state();
        let mut all: Vec<_> = state.names.keys().filter_map(|id| state.person(*id)).collect();
        all.retain(|person| person.role.is_some());
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    async fn person(&self, name: &str) -> Result<Option<Person>, Failure> {
        let state = self.state();
        let id = state.names.iter().find(|(_, (_, known))| known.as_deref() == Some(name)).map(|(id, _)| *id);
        Ok(id.and_then(|id| state.person(id)))
    }

    async fn person_by_id(&self, who: Uuid) -> Result<Option<Person>, Failure> {
        Ok(self.state().person(who))
    }

    async fn credential(&self, who: Uuid) -> Result<Option<Credential>, Failure> {
        let read = self.state().credentials.get(&who).cloned();
        let meeting = self.state().meeting.clone();
        if let Some(meeting) = meeting {
            meeting.wait().await;
        }
        Ok(read)
    }

    async fn give_pin(&self, who: Uuid, pin_hash: &str, event: Event) -> Result<(), Failure> {
        let mut state = self.write()?;
        let committed = match &event.body {
            Body::Line(LineEvent::OperatorAdded { pin_sha256, .. } | LineEvent::OperatorReset { pin_sha256, .. }) => {
                *pin_sha256
            }
            other => panic!("{other:?} gives no PIN"),
        };
        state.events.push(event);
        let added =
            matches!(state.events.last().map(|event| &event.body), Some(Body::Line(LineEvent::OperatorAdded { .. })));
        let before = state.credentials.remove(&who).filter(|_| !added);
        let (badge_hash, badge_committed) = before.map_or((None, None), |it| (it.badge_hash, it.badge_committed));
        let pin_hash = pin_hash.to_owned();
        let credential =
            Credential { pin_hash, failures: 0, locked_until: None, committed, badge_hash, badge_committed };
        state.credentials.insert(who, credential);
        Ok(())
    }

    async fn person_by_badge(&self, badge_hash: &str) -> Result<Option<Person>, Failure> {
        let state = self.state();
        let mut known = state.credentials.iter();
        let id = known.find(|(_, known)| known.badge_hash.as_deref() == Some(badge_hash)).map(|(id, _)| *id);
        Ok(id.and_then(|id| state.person(id)))
    }

    async fn give_badge(&self, who: Uuid, badge_hash: Option<&str>, event: Event) -> Result<(), Failure> {
        let mut state = self.write()?;
        let committed = match &event.body {
            Body::Line(LineEvent::BadgeGiven { badge_sha256, .. }) => Some(*badge_sha256),
            Body::Line(LineEvent::BadgeRevoked { .. }) => None,
            other => panic!("{other:?} gives no badge"),
        };
        state.events.push(event);
        let credential = state.credentials.get_mut(&who).unwrap();
        (credential.badge_hash, credential.badge_committed) = (badge_hash.map(str::to_owned), committed);
        Ok(())
    }

    async fn count_wrong_pin(&self, who: Uuid, now: Timestamp) -> Result<Credential, Failure> {
        let mut state = self.write()?;
        let credential = state.credentials.get_mut(&who).unwrap();
        credential.failures += 1;
        if let Some(wait) = lockout(credential.failures) {
            credential.locked_until = Some(now + wait);
        }
        Ok(credential.clone())
    }

    async fn clear_wrong_pins(&self, who: Uuid) -> Result<(), Failure> {
        let mut state = self.write()?;
        let credential = state.credentials.get_mut(&who).unwrap();
        (credential.failures, credential.locked_until) = (0, None);
        Ok(())
    }

    async fn forget(&self, who: Uuid) -> Result<bool, Failure> {
        let mut state = self.write()?;
        state.credentials.remove(&who);
        Ok(state.names.get_mut(&who).is_some_and(|(_, name)| name.take().is_some()))
    }

    async fn keep_text(&self, text: &FreeText, salt: [u8; 32], words: &str) -> Result<(), Failure> {
        self.write()?.texts.insert(text.id, (salt, words.to_owned()));
        Ok(())
    }

    async fn text(&self, id: Uuid) -> Result<Option<([u8; 32], String)>, Failure> {
        Ok(self.state().texts.get(&id).cloned())
    }

    async fn forget_text(&self, id: Uuid) -> Result<bool, Failure> {
        Ok(self.write()?.texts.remove(&id).is_some())
    }
}

/// Units and batches are not what is tested here.
fn not_here<T>() -> Result<T, Failure> {
    panic!("people ask the store for people only")
}

#[async_trait::async_trait]
impl AuditStore for Memory {
    async fn append(&self, events: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        let mut state = self.write()?;
        let first = state.events.len() as u64;
        let receipt = |(seq, event): (u64, &Event)| Receipt { seq, leaf: LeafHash::of(&event.encode().unwrap()) };
        let receipts = (first..).zip(&events).map(receipt).collect();
        state.events.extend(events);
        Ok(receipts)
    }

    async fn operator(&self, name: &str, (id, salt): (Uuid, [u8; 32])) -> Result<OperatorRef, Failure> {
        let mut state = self.write()?;
        if let Some((who, _)) = state.names.values().find(|(_, known)| known.as_deref() == Some(name)) {
            return Ok(who.clone());
        }
        let who = OperatorRef { id, name_sha256: Sha256::of(&[&salt, name.as_bytes()].concat()).to_string() };
        state.names.insert(id, (who.clone(), Some(name.to_owned())));
        Ok(who)
    }

    async fn append_to_run(&self, _: RunId, _: u64, _: Vec<Event>) -> Result<Vec<Receipt>, Failure> {
        not_here()
    }
    async fn append_ruling(&self, _: &Unit, _: Option<u64>, _: Event) -> Result<Receipt, Failure> {
        not_here()
    }
    async fn claim(&self, _: Claim) -> Result<ClaimAnswer, Failure> {
        not_here()
    }
    async fn head(&self) -> Result<TreeHead, Failure> {
        not_here()
    }
    async fn unfinished(&self, _: &StationName) -> Result<Vec<RunLog>, Failure> {
        not_here()
    }
    async fn held(&self) -> Result<Vec<RunLog>, Failure> {
        not_here()
    }
    async fn held_count(&self) -> Result<u64, Failure> {
        not_here()
    }
    async fn unsettled_labels(&self, _: &StationName) -> Result<Vec<RunLog>, Failure> {
        not_here()
    }
    async fn run(&self, _: RunId) -> Result<Option<RunLog>, Failure> {
        not_here()
    }
    async fn run_of_slip(&self, _: u64) -> Result<Option<RunLog>, Failure> {
        not_here()
    }
    async fn unit_label(&self, _: &Unit, _: RunId) -> Result<Option<LabelStatus>, Failure> {
        not_here()
    }
    async fn made_before(&self, _: RunId, _: &Unit, _: &TargetName) -> Result<MadeBefore, Failure> {
        not_here()
    }
    async fn obstacle(
        &self,
        _: Option<RunId>,
        _: &Unit,
        _: &Identity,
        _: Option<Fingerprint>,
    ) -> Result<Option<Obstacle>, Failure> {
        not_here()
    }
    async fn latest(&self, _: u32) -> Result<Vec<RunLog>, Failure> {
        not_here()
    }
    async fn open_batch(&self, _: &StationName) -> Result<Option<Batch>, Failure> {
        not_here()
    }
    async fn batches(&self) -> Result<Vec<Batch>, Failure> {
        not_here()
    }
    async fn manifest(&self, _: &BatchName) -> Result<Option<ManifestTally>, Failure> {
        not_here()
    }
    async fn tally(&self, _: &BatchName) -> Result<BatchTally, Failure> {
        not_here()
    }
}
