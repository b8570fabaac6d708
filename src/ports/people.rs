use jiff::Timestamp;
use uuid::Uuid;

use crate::audit::Event;
use crate::audit::event::FreeText;
use crate::domain::{Failure, OperatorRef, Role, Sha256};

/// Someone who was named in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub who: OperatorRef,
    /// `None`: forgotten.
    pub name: Option<String>,
    /// `None`: named by somebody, never added as an operator.
    pub role: Option<Role>,
    pub disabled: bool,
}

/// What a person signs in with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Argon2id, as a PHC string: algorithm, parameters, salt and hash.
    pub pin_hash: String,
    /// Wrong PINs since the last right one.
    pub failures: u32,
    pub locked_until: Option<Timestamp>,
    /// What the log says of `pin_hash`: its SHA-256, where the event that gave the PIN has one.
    pub committed: Option<Sha256>,
    /// What a scanned badge is looked up by: keyed, with a key that is not in the database.
    pub badge_hash: Option<String>,
    /// What the log says of `badge_hash`: its SHA-256, while the person has a badge.
    pub badge_committed: Option<Sha256>,
}

impl Credential {
    /// Is it what the log has committed to? Where the log has not, whatever is there is believed.
    pub fn is_as_committed(&self) -> bool {
        self.committed.is_none_or(|committed| committed == Sha256::of(self.pin_hash.as_bytes()))
    }

    /// Does the person have the badge that is on record here? No badge is older than what the log says of it.
    pub fn badge_is_as_committed(&self) -> bool {
        self.badge_committed == self.badge_hash.as_ref().map(|hash| Sha256::of(hash.as_bytes()))
    }
}

/// The people behind the ids in the log, and the words they typed: the only data that may be
/// forgotten. Every method is one transaction; an answer means the data is on disk.
#[async_trait::async_trait]
pub trait People: Send + Sync {
    /// Everyone who was added as an operator, by name.
    async fn operators(&self) -> Result<Vec<Person>, Failure>;

    /// The person of this exact name.
    async fn person(&self, name: &str) -> Result<Option<Person>, Failure>;

    /// The person behind an id, where one was ever named.
    async fn person_by_id(&self, who: Uuid) -> Result<Option<Person>, Failure>;

    async fn credential(&self, who: Uuid) -> Result<Option<Credential>, Failure>;

    /// Gives a person a PIN in the transaction that appends the event which commits to it: the one is
    /// never there without the other. Nothing wrong was typed since, and no lock stands. Whoever is added
    /// has no badge.
    async fn give_pin(&self, who: Uuid, pin_hash: &str, event: Event) -> Result<(), Failure>;

    /// Whose badge this is, disabled or not.
    async fn person_by_badge(&self, badge_hash: &str) -> Result<Option<Person>, Failure>;

    /// Gives an operator a badge, or takes it away (`None`), in the transaction that appends the event which
    /// says so. A badge is one person's: another's is refused.
    async fn give_badge(&self, who: Uuid, badge_hash: Option<&str>, event: Event) -> Result<(), Failure>;

    /// Counts one more wrong PIN at `now` and says what stands afterwards; how long the person has to wait
    /// is [`lockout`](crate::domain::lockout)'s to say. Of two tries at once each counts.
    async fn count_wrong_pin(&self, who: Uuid, now: Timestamp) -> Result<Credential, Failure>;

    /// After a right PIN: no wrong ones since, and no lock. The PIN itself is not touched, as it may
    /// have been reset at the same moment.
    async fn clear_wrong_pins(&self, who: Uuid) -> Result<(), Failure>;

    /// Deletes name, salt and credential; `false`: nothing was there to delete.
    async fn forget(&self, who: Uuid) -> Result<bool, Failure>;

    /// Keeps a text that a person typed, under the commitment that the log has of it.
    async fn keep_text(&self, text: &FreeText, salt: [u8; 32], words: &str) -> Result<(), Failure>;

    /// The text, with its salt; `None`: forgotten.
    async fn text(&self, id: Uuid) -> Result<Option<([u8; 32], String)>, Failure>;

    /// Deletes a text; `false`: nothing was there to delete.
    async fn forget_text(&self, id: Uuid) -> Result<bool, Failure>;
}
