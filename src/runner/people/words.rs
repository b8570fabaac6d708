//! What people type, kept so that it can be forgotten.

use super::SignedIn;
use crate::audit::event::FreeText;
use crate::audit::{Body, Event, LineEvent, RunEvent};
use crate::domain::{Failure, ReasonCode, Role, Sha256};
use crate::ports::{History, People};
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

/// Deletes what was typed for a ruling, its reason and what it refers to, or why a label was printed again; the
/// event keeps commitments that nobody can open. O-606 where event `seq` is none of these, or its words are gone already.
pub async fn forget_text(
    log: &LogWriter,
    history: &dyn History,
    people: &dyn People,
    by: &SignedIn,
    seq: u64,
) -> Result<(), Failure> {
    by.has_one_of(&[Role::Administrator])?;
    let not_now = |cause: String| Failure::new(ReasonCode::NOT_NOW, cause);
    let typed = match history.events(seq, 1).await?.into_iter().map(|(logged, _)| logged).next() {
        Some(logged) if logged.receipt.seq == seq => typed_for(logged.event),
        _ => None,
    };
    let mut kept = Vec::new();
    for text in typed.ok_or_else(|| not_now(format!("event {seq} is no ruling")))? {
        if people.text(text.id).await?.is_some() {
            kept.push(text.id);
        }
    }
    if kept.is_empty() {
        return Err(not_now(format!("the words of ruling {seq} are forgotten already")));
    }
    // The other way round, words would be missing and nothing would say why.
    log.by(by).lines(kept.iter().map(|text| LineEvent::TextForgotten { text: *text }).collect()).await?;
    for text in kept {
        // Somebody else may have finished it meanwhile: gone is gone.
        people.forget_text(text).await?;
    }
    Ok(())
}

fn typed_for(event: Event) -> Option<Vec<FreeText>> {
    match event.body {
        Body::Line(LineEvent::Ruled { reason, references, .. }) => {
            Some(std::iter::once(reason).chain(references).collect())
        }
        Body::Run(RunEvent::LabelReplaced { reason, .. }) => Some(vec![reason]),
        _ => None,
    }
}
