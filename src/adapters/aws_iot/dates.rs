//! What time AWS says it is, in the Date of its answers.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use jiff::{SignedDuration, Timestamp};

use crate::ports::Skew;

/// A Date counts whole seconds.
const SECOND_MS: i64 = 1_000;

/// Keeps the newest one of a client's answers, refusals among them.
#[derive(Debug, Clone, Default)]
pub(in crate::adapters) struct Dates(Arc<Mutex<Option<Timestamp>>>);

impl Dates {
    /// Of the newest answer; `sent` and `received` by this computer's clock.
    pub(super) fn skew(&self, sent: Timestamp, received: Timestamp) -> Option<Skew> {
        let date = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(skew(date, sent, received))
    }
}

impl Intercept for Dates {
    fn name(&self) -> &'static str {
        "Dates"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // RFC 9110 §5.6.7: the form that RFC 5322 has, in GMT.
        let date = context.response().headers().get("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(date) = date {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(date.timestamp());
        }
        Ok(())
    }
}

/// The target's clock stood somewhere in the second of `date` while the answer was made, between `sent` and
/// `received`: this computer's is ahead by something between the two extremes.
fn skew(date: Timestamp, sent: Timestamp, received: Timestamp) -> Skew {
    let ms = |duration: SignedDuration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let least = ms(sent.duration_since(date)).saturating_sub(SECOND_MS);
    let most = ms(received.duration_since(date));
    let ahead_ms = least.saturating_add(most) / 2;
    Skew { ahead_ms, within_ms: most.saturating_sub(ahead_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_right_is_told_to_be_within_what_can_be_known() {
        let at = |ms: i64| Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap();
        // Made at .300, when the Date said .000.
        let right = skew(at(0), at(280), at(320));
        assert!(right.ahead_ms.abs() <= right.within_ms, "{right:?}");
        assert_eq!(right.within_ms, 520);
        // An hour ahead, and two minutes behind.
        assert_eq!(skew(at(0), at(3_600_480), at(3_600_520)).ahead_ms, 3_600_000);
        assert_eq!(skew(at(0), at(-119_520), at(-119_480)).ahead_ms, -120_000);
    }
}
