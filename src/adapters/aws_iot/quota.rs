//! A token bucket per API action, below the account's default quotas.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The API actions that a station calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::adapters) enum Action {
    AttachPolicy,
    AttachThingPrincipal,
    CreateCertificateFromCsr,
    CreateKeysAndCertificate,
    CreatePolicy,
    CreateProvisioningClaim,
    CreateProvisioningTemplate,
    CreateThing,
    CreateThingType,
    DeleteCaCertificate,
    DeleteCertificate,
    DeleteThing,
    DescribeCaCertificate,
    DescribeCertificate,
    DescribeEndpoint,
    DescribeProvisioningTemplate,
    DescribeThing,
    DescribeThingType,
    DetachPolicy,
    DetachThingPrincipal,
    GetPolicy,
    GetRegistrationCode,
    ListAttachedPolicies,
    ListCaCertificates,
    ListCertificates,
    ListPrincipalThings,
    ListPrincipalThingsV2,
    ListProvisioningTemplates,
    ListTargetsForPolicy,
    ListThingPrincipals,
    RegisterCaCertificate,
    RegisterCertificate,
    RegisterCertificateWithoutCa,
    RegisterThing,
    UpdateCaCertificate,
    UpdateCertificate,
}

impl Action {
    /// As an IAM policy names it.
    pub(in crate::adapters) fn iam_name(self) -> &'static str {
        match self {
            Action::AttachPolicy => "iot:AttachPolicy",
            Action::AttachThingPrincipal => "iot:AttachThingPrincipal",
            Action::CreateCertificateFromCsr => "iot:CreateCertificateFromCsr",
            Action::CreateKeysAndCertificate => "iot:CreateKeysAndCertificate",
            Action::CreatePolicy => "iot:CreatePolicy",
            Action::CreateProvisioningClaim => "iot:CreateProvisioningClaim",
            Action::CreateProvisioningTemplate => "iot:CreateProvisioningTemplate",
            Action::CreateThing => "iot:CreateThing",
            Action::CreateThingType => "iot:CreateThingType",
            Action::DeleteCaCertificate => "iot:DeleteCACertificate",
            Action::DescribeCaCertificate => "iot:DescribeCACertificate",
            Action::DeleteCertificate => "iot:DeleteCertificate",
            Action::DeleteThing => "iot:DeleteThing",
            Action::DescribeCertificate => "iot:DescribeCertificate",
            Action::DescribeEndpoint => "iot:DescribeEndpoint",
            Action::DescribeProvisioningTemplate => "iot:DescribeProvisioningTemplate",
            Action::DescribeThing => "iot:DescribeThing",
            Action::DescribeThingType => "iot:DescribeThingType",
            Action::DetachPolicy => "iot:DetachPolicy",
            Action::DetachThingPrincipal => "iot:DetachThingPrincipal",
            Action::GetPolicy => "iot:GetPolicy",
            Action::GetRegistrationCode => "iot:GetRegistrationCode",
            Action::ListAttachedPolicies => "iot:ListAttachedPolicies",
            Action::ListCaCertificates => "iot:ListCACertificates",
            Action::ListCertificates => "iot:ListCertificates",
            Action::ListPrincipalThings => "iot:ListPrincipalThings",
            Action::ListPrincipalThingsV2 => "iot:ListPrincipalThingsV2",
            Action::ListProvisioningTemplates => "iot:ListProvisioningTemplates",
            Action::ListTargetsForPolicy => "iot:ListTargetsForPolicy",
            Action::ListThingPrincipals => "iot:ListThingPrincipals",
            Action::RegisterCaCertificate => "iot:RegisterCACertificate",
            Action::RegisterCertificate => "iot:RegisterCertificate",
            Action::RegisterCertificateWithoutCa => "iot:RegisterCertificateWithoutCA",
            Action::RegisterThing => "iot:RegisterThing",
            Action::UpdateCaCertificate => "iot:UpdateCACertificate",
            Action::UpdateCertificate => "iot:UpdateCertificate",
        }
    }

    /// Calls a second: four fifths of the account's default quota (AWS General Reference, AWS IoT
    /// Core endpoints and quotas), so that a console or a second program still gets through.
    pub(super) fn rate(self) -> u32 {
        match self {
            Action::DescribeThing => 280,
            Action::CreateThing | Action::DeleteThing | Action::AttachThingPrincipal | Action::DetachThingPrincipal => {
                80
            }
            Action::AttachPolicy | Action::CreateCertificateFromCsr | Action::DetachPolicy => 12,
            Action::CreateKeysAndCertificate
            | Action::CreatePolicy
            | Action::CreateProvisioningClaim
            | Action::CreateProvisioningTemplate
            | Action::CreateThingType
            | Action::DeleteCaCertificate
            | Action::DescribeCaCertificate
            | Action::DeleteCertificate
            | Action::DescribeCertificate
            | Action::DescribeEndpoint
            | Action::DescribeProvisioningTemplate
            | Action::DescribeThingType
            | Action::GetPolicy
            | Action::GetRegistrationCode
            | Action::ListAttachedPolicies
            | Action::ListCaCertificates
            | Action::ListCertificates
            | Action::ListPrincipalThings
            | Action::ListPrincipalThingsV2
            | Action::ListProvisioningTemplates
            | Action::ListTargetsForPolicy
            | Action::ListThingPrincipals
            | Action::RegisterCaCertificate
            | Action::RegisterCertificate
            | Action::RegisterCertificateWithoutCa
            | Action::RegisterThing
            | Action::UpdateCaCertificate
            | Action::UpdateCertificate => 8,
        }
    }
}

/// Whether a board waits for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Prompt,
    /// Takes from a bucket only what leaves half of it to those that a board waits for.
    Patient,
}

/// The buckets of one target. A bucket holds one second's worth of calls.
#[derive(Debug, Default)]
pub(super) struct Quota {
    /// When each action's bucket will be full again: all that a token bucket has to remember.
    full_at: Mutex<BTreeMap<Action, Instant>>,
}

impl Quota {
    /// Waits for the next call's turn. `false`, at once, if that would be after `by`; then nothing
    /// was taken.
    pub(super) async fn take(&self, action: Action, pace: Pace, by: Instant) -> bool {
        if pace == Pace::Patient {
            return self.take_patiently(action, by).await;
        }
        let Some(turn) = self.reserve(action, Instant::now(), by) else {
            return false;
        };
        tokio::time::sleep_until(turn).await;
        true
    }

    /// Nothing is taken before its turn: whoever comes meanwhile goes first.
    async fn take_patiently(&self, action: Action, by: Instant) -> bool {
        loop {
            let Err(again) = self.take_spare(action, Instant::now()) else { return true };
            if again > by {
                return false;
            }
            tokio::time::sleep_until(again).await;
        }
    }

    /// Or when to ask again.
    fn take_spare(&self, action: Action, now: Instant) -> Result<(), Instant> {
        let a_call = Duration::from_secs(1) / action.rate();
        let half = Duration::from_millis(500);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.get(&action).copied().unwrap_or(now).max(now) + a_call;
        if full.duration_since(now) > half {
            // Never at once, however the durations are rounded.
            return Err((full - half).max(now + Duration::from_millis(1)));
        }
        full_at.insert(action, full);
        Ok(())
    }

    fn reserve(&self, action: Action, now: Instant, by: Instant) -> Option<Instant> {
        let a_call = Duration::from_secs(1) / action.rate();
        let a_bucket = Duration::from_secs(1);
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let full = full_at.get(&action).copied().unwrap_or(now).max(now) + a_call;
        let turn = full.checked_sub(a_bucket).unwrap_or(now).max(now);
        if turn > by {
            return None;
        }
        full_at.insert(action, full);
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_lets_a_second_of_calls_through_then_paces_them() {
        let quota = Quota::default();
        let now = Instant::now();
        let by = now + Duration::from_secs(60);
        let turns: Vec<_> = (0..24)
            .map(|_| quota.reserve(Action::RegisterCertificateWithoutCa, now, by).unwrap().duration_since(now))
            .collect();
        assert!(turns[..8].iter().all(Duration::is_zero));
        assert_eq!(turns[8], Duration::from_millis(125));
        assert_eq!(turns[23], Duration::from_secs(2));
    }

    #[test]
    fn what_no_board_waits_for_leaves_half_of_the_bucket_and_yields_to_those_that_one_waits_for() {
        let quota = Quota::default();
        let now = Instant::now();
        let by = now + Duration::from_secs(60);
        let action = Action::RegisterCertificateWithoutCa;
        let taken = (0..24).filter(|_| quota.take_spare(action, now).is_ok()).count();
        assert_eq!(taken, 4);
        // A board that comes now waits for nobody; and while boards take all there is, nothing is spare.
        for _ in 0..4 {
            assert_eq!(quota.reserve(action, now, by), Some(now));
        }
        let mut at = now;
        for _ in 0..16 {
            at += Duration::from_millis(125);
            assert!(quota.take_spare(action, at).is_err());
            assert_eq!(quota.reserve(action, at, by), Some(at));
        }
        // Alone, it goes on at the action's own rate.
        let mut taken = 0;
        let until = at + Duration::from_secs(4);
        at += Duration::from_secs(1);
        while at < until {
            match quota.take_spare(action, at) {
                Ok(()) => taken += 1,
                Err(again) => at = again,
            }
        }
        assert!((24..=28).contains(&taken), "{taken}");
    }

    #[test]
    fn one_action_does_not_wait_for_another() {
        let quota = Quota::default();
        let now = Instant::now();
        let by = now + Duration::from_secs(60);
        for _ in 0..40 {
            quota.reserve(Action::GetPolicy, now, by).unwrap();
        }
        assert_eq!(quota.reserve(Action::DescribeThing, now, by), Some(now));
    }

    #[test]
    fn a_turn_after_the_deadline_is_refused_and_takes_nothing() {
        let quota = Quota::default();
        let now = Instant::now();
        while quota.reserve(Action::GetPolicy, now, now).is_some() {}
        assert_eq!(quota.reserve(Action::GetPolicy, now, now), None);
        let later = now + Duration::from_millis(125);
        assert_eq!(quota.reserve(Action::GetPolicy, later, later), Some(later));
    }
}
