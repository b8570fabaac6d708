//! What people type, kept so that it can be forgotten.

use crate::audit::event::FreeText;
use crate::domain::{Failure, Sha256};
use crate::ports::People;
use crate::runner::LogWriter;

/// Keeps `words` apart from the log and returns what the log is to say of them. Kept first: a text
/// that no event names is harmless, an event whose text was never kept looks forgotten.
pub async fn commit_text(log: &LogWriter, people: &dyn People, words: &str) -> Result<FreeText, Failure> {
    let salt: [u8; 32] = log.random()?;
    let text = FreeText {
        id: uuid::Builder::from_random_bytes(log.random()?).into_uuid(),
        text_sha256: Sha256::of(&[&salt, words.as_bytes()].concat()).to_string(),
    };
    people.keep_text(&text, salt, words).await?;
    Ok(text)
}
