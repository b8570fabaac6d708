//! What scripts get to see of the outcome.

use std::process::ExitCode;

use crate::domain::{Failure, ReasonCode, Verdict};

/// Usage or configuration.
pub const USAGE: u8 = 2;

/// For a command that could not do its work at all.
pub fn of_failure(failure: &Failure) -> u8 {
    match failure.code {
        ReasonCode::CONFIG_INVALID | ReasonCode::CONFIG_VALUE => USAGE,
        _ => 3,
    }
}

/// The worst of what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Worst {
    error: bool,
    failed: bool,
    held: bool,
}

impl Worst {
    pub fn note(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Pass => {}
            Verdict::Fail => self.failed = true,
            Verdict::Error | Verdict::Aborted => self.error = true,
            Verdict::Held => self.held = true,
        }
    }

    /// 3 if any ERROR or ABORTED, else 1 if any FAIL, else 4 if any HELD, else 0.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    fn number(self) -> u8 {
        match self {
            Worst { error: true, .. } => 3,
            Worst { failed: true, .. } => 1,
            Worst { held: true, .. } => 4,
            Worst { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_decides() {
        let of = |verdicts: &[Verdict]| {
            let mut worst = Worst::default();
            verdicts.iter().for_each(|verdict| worst.note(*verdict));
            worst.number()
        };
        assert_eq!(of(&[]), 0);
        assert_eq!(of(&[Verdict::Pass]), 0);
        assert_eq!(of(&[Verdict::Held, Verdict::Pass]), 4);
        assert_eq!(of(&[Verdict::Held, Verdict::Fail]), 1);
        assert_eq!(of(&[Verdict::Fail, Verdict::Error]), 3);
        assert_eq!(of(&[Verdict::Aborted]), 3);
    }
}
