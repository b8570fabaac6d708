//! A token bucket per API action, below the account's default quotas: the plant's, or this station's own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::{Asked, Ration, Rations};

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

/// What a bucket holds: a second's worth of calls.
const A_BUCKET: Duration = Duration::from_secs(1);
/// What calls that no board waits for leave of it.
const HALF: Duration = Duration::from_millis(500);
/// After a call that AWS throttled, so much of the rate is left, …
const BACK_OFF: f64 = 0.7;
const LEAST: f64 = 0.1;
/// … and comes back, of the whole, with each second.
const RECOVERY: f64 = 0.1;
/// Calls that were under way together are throttled together: that is told once.
const ONE_WAVE: Duration = Duration::from_millis(500);
/// Of the shared bucket, at once: more would make the other stations wait in spurts.
const MOST_AT_ONCE: u32 = 8;
/// A call that was taken from the shared bucket and not made is not kept for later.
const STALE: Duration = Duration::from_secs(1);
/// Where the shared bucket is away, this station keeps to its own part for so long before it asks again.
const AWAY_FOR: Duration = Duration::from_secs(2);
/// Where nobody has said yet how many stations there are.
const UNKNOWN_STATIONS: u32 = 8;

/// The buckets of one target: the plant's where its stations share one, else this station's own.
#[derive(Debug, Default)]
pub(super) struct Quota {
    buckets: Mutex<BTreeMap<Action, Bucket>>,
    shared: Option<Shared>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When it will be full again: all that a token bucket has to remember.
    full_at: Instant,
    /// Of the rate, what AWS took when it throttled last, and when that was.
    slowed: Option<(f64, Instant)>,
}

#[derive(Debug)]
struct Shared {
    rations: Arc<dyn Rations>,
    /// Of the account and Region, to the other stations.
    place: String,
    lines: Mutex<BTreeMap<Action, Arc<Line>>>,
    /// How many stations there were when anybody said so last.
    stations: AtomicU32,
    away_until: Mutex<Option<Instant>>,
}

/// Those who wait for one action: whoever is first asks for all of them.
#[derive(Debug, Default)]
struct Line {
    waiting: AtomicU32,
    /// The turns that were taken and are nobody's yet.
    turns: tokio::sync::Mutex<VecDeque<Instant>>,
}

impl Quota {
    /// `place`: as every station that uses the same account and Region names them.
    pub(super) fn shared(rations: Arc<dyn Rations>, place: String) -> Self {
        let shared = Shared {
            rations,
            place,
            lines: Mutex::default(),
            stations: AtomicU32::new(UNKNOWN_STATIONS),
            away_until: Mutex::default(),
        };
        Self { buckets: Mutex::default(), shared: Some(shared) }
    }

    /// Waits for the next call's turn. `false`, at once, if that would be after `by`; then nothing
    /// was taken.
    pub(super) async fn take(&self, action: Action, pace: Pace, by: Instant) -> bool {
        if let Some(shared) = &self.shared
            && let Some(taken) = self.take_shared(shared, action, pace, by).await
        {
            return taken;
        }
        if pace == Pace::Patient {
            return self.take_patiently(action, by).await;
        }
        let Some(turn) = self.reserve(action, Instant::now(), by) else {
            return false;
        };
        comes(turn).await;
        true
    }

    /// AWS said that it was too much: fewer calls from now on, and step by step as many as before (AIMD, as the
    /// SDK's adaptive retry mode has it).
    pub(super) fn throttled(&self, action: Action, now: Instant) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(action).or_insert(Bucket { full_at: now, slowed: None });
        if bucket.slowed.is_none_or(|(_, since)| now.duration_since(since) >= ONE_WAVE) {
            bucket.slowed = Some(((bucket.share(now) * BACK_OFF).max(LEAST), now));
        }
    }

    /// `None`: the shared bucket is away, and this station keeps to its part.
    async fn take_shared(&self, shared: &Shared, action: Action, pace: Pace, by: Instant) -> Option<bool> {
        let turn = match pace {
            Pace::Prompt => shared.turn(action, || self.asked(shared, action, Instant::now()), by).await?,
            Pace::Patient => {
                let mut asked = self.asked(shared, action, Instant::now());
                asked.at_most = HALF.max(asked.a_call);
                loop {
                    let Ration { taken, full_in, .. } = shared.ask(asked.clone()).await?;
                    if taken {
                        return Some(true);
                    }
                    // Whoever comes meanwhile goes first.
                    let again = (full_in + asked.a_call).saturating_sub(asked.at_most).max(A_MOMENT);
                    let again = Instant::now() + again;
                    if again > by {
                        return Some(false);
                    }
                    tokio::time::sleep_until(again).await;
                }
            }
        };
        let Some(turn) = turn else { return Some(false) };
        comes(turn).await;
        Some(true)
    }

    fn asked(&self, shared: &Shared, action: Action, now: Instant) -> Asked {
        let bucket = self.buckets.lock().unwrap_or_else(PoisonError::into_inner).get(&action).copied();
        let share = bucket.map_or(1.0, |bucket| bucket.share(now));
        Asked {
            place: shared.place.clone(),
            action: action.iam_name(),
            calls: 1,
            a_call: (Duration::from_secs(1) / action.rate()).div_f64(share),
            at_most: A_BUCKET,
        }
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
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(action).or_insert(Bucket { full_at: now, slowed: None });
        let a_call = self.a_call(action, bucket, now);
        let (full, spare) = (bucket.full_at.max(now) + a_call, HALF.max(a_call));
        if full.duration_since(now) > spare {
            // Never at once, however the durations are rounded.
            return Err((full - spare).max(now + A_MOMENT));
        }
        bucket.full_at = full;
        Ok(())
    }

    fn reserve(&self, action: Action, now: Instant, by: Instant) -> Option<Instant> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(action).or_insert(Bucket { full_at: now, slowed: None });
        let full = bucket.full_at.max(now) + self.a_call(action, bucket, now);
        let turn = full.checked_sub(A_BUCKET).unwrap_or(now).max(now);
        if turn > by {
            return None;
        }
        bucket.full_at = full;
        Some(turn)
    }

    /// What a call costs this station's own bucket. Where the stations share one that is away, each keeps to an
    /// equal part.
    fn a_call(&self, action: Action, bucket: &Bucket, now: Instant) -> Duration {
        let stations = self.shared.as_ref().map_or(1, |shared| shared.stations.load(Ordering::Relaxed));
        (Duration::from_secs(1) * stations / action.rate()).div_f64(bucket.share(now))
    }
}

/// The runtime's timer is coarse: even a turn that has come would wait for its next millisecond, each call anew.
async fn comes(turn: Instant) {
    if turn > Instant::now() {
        tokio::time::sleep_until(turn).await;
    }
}

/// Never at once.
const A_MOMENT: Duration = Duration::from_millis(1);

impl Bucket {
    /// Of the whole rate, what is used now.
    fn share(&self, now: Instant) -> f64 {
        let Some((share, since)) = self.slowed else { return 1.0 };
        (share + RECOVERY * now.duration_since(since).as_secs_f64()).min(1.0)
    }
}

impl Shared {
    /// The next turn that is free; inner `None`: it comes after `by`. Outer: nobody can say.
    async fn turn(&self, action: Action, asked: impl Fn() -> Asked, by: Instant) -> Option<Option<Instant>> {
        let line = Arc::clone(self.lines.lock().unwrap_or_else(PoisonError::into_inner).entry(action).or_default());
        let waits = Waiting::on(&line);
        let mut turns = line.turns.lock().await;
        while turns.pop_front_if(|turn| turn.elapsed() > STALE).is_some() {}
        if turns.is_empty() {
            let one = asked();
            let mut calls = line.waiting.load(Ordering::Relaxed).clamp(1, MOST_AT_ONCE);
            let at_most = A_BUCKET + by.saturating_duration_since(Instant::now());
            let mut ration = self.ask(Asked { calls, at_most, ..one.clone() }).await?;
            if !ration.taken && calls > 1 {
                calls = 1;
                ration = self.ask(Asked { at_most, ..one.clone() }).await?;
            }
            if !ration.taken {
                return Some(None);
            }
            let now = Instant::now();
            let before = |later: u32| ration.full_in.saturating_sub(one.a_call * later + A_BUCKET);
            turns.extend((0..calls).rev().map(|later| now + before(later)));
        }
        drop(waits);
        match turns.front() {
            Some(turn) if *turn <= by => Some(turns.pop_front()),
            _ => Some(None),
        }
    }

    async fn ask(&self, asked: Asked) -> Option<Ration> {
        let away = || self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        let is_away = away().is_some_and(|until| Instant::now() < until);
        if is_away {
            return None;
        }
        match self.rations.take(asked).await {
            Ok(ration) => {
                self.stations.store(ration.stations.max(1), Ordering::Relaxed);
                Some(ration)
            }
            Err(failure) => {
                tracing::debug!(%failure, "this station keeps to its part of the rate");
                *away() = Some(Instant::now() + AWAY_FOR);
                None
            }
        }
    }
}

/// Counted as long as it lives: a lane that is stopped waits no more.
struct Waiting<'l>(&'l Line);

impl<'l> Waiting<'l> {
    fn on(line: &'l Line) -> Self {
        line.waiting.fetch_add(1, Ordering::Relaxed);
        Self(line)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
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
    fn after_a_throttled_call_fewer_are_made_and_step_by_step_as_many_as_before() {
        let quota = Quota::default();
        let action = Action::RegisterCertificateWithoutCa;
        let now = Instant::now();
        let a_call = |at: Instant| {
            let bucket = quota.buckets.lock().unwrap()[&action];
            quota.a_call(action, &bucket, at).as_millis()
        };
        // Sixteen lanes are throttled by one wave.
        for late in 0..16 {
            quota.throttled(action, now + Duration::from_millis(late));
        }
        assert_eq!(
            (a_call(now), a_call(now + Duration::from_secs(2)), a_call(now + Duration::from_secs(4))),
            (178, 138, 125)
        );
        // It goes on being too much: a tenth is always left, and everything comes back.
        let mut at = now;
        for _ in 0..40 {
            at += ONE_WAVE;
            quota.throttled(action, at);
        }
        assert!((800..=1250).contains(&a_call(at)), "{}", a_call(at));
        assert_eq!(a_call(at + Duration::from_secs(10)), 125);
        assert!(quota.take_spare(action, at + Duration::from_secs(60)).is_ok(), "what nobody waits for gets its turn");
    }

    #[tokio::test]
    async fn what_no_board_waits_for_leaves_half_of_the_shared_bucket_too() {
        let table = Arc::new(Table::default());
        let quota = Quota::shared(table.clone(), "plant".into());
        let (action, now) = (Action::RegisterCertificateWithoutCa, Instant::now());
        let mut taken = 0;
        while quota.take(action, Pace::Patient, Instant::now() + Duration::from_millis(1)).await {
            taken += 1;
        }
        assert!((4..=5).contains(&taken), "{taken}");
        for _ in 0..4 {
            assert!(quota.take(action, Pace::Prompt, Instant::now() + Duration::from_millis(20)).await);
        }
        assert!(now.elapsed() < Duration::from_millis(300), "a board waits for nobody");
        assert!(quota.take(action, Pace::Patient, Instant::now() + Duration::from_secs(3)).await, "its turn comes");
    }

    /// What the database would do: one bucket, or none.
    #[derive(Debug, Default)]
    struct Table {
        full_at: Mutex<Option<Instant>>,
        away: std::sync::atomic::AtomicBool,
        asked: AtomicU32,
    }

    #[async_trait::async_trait]
    impl Rations for Table {
        async fn take(&self, asked: Asked) -> Result<Ration, crate::domain::Failure> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.away.load(Ordering::Relaxed) {
                return Err(crate::domain::Failure::new(crate::domain::ReasonCode::STORE_AWAY, "away"));
            }
            let mut full_at = self.full_at.lock().unwrap();
            let now = Instant::now();
            let full = full_at.unwrap_or(now).max(now) + asked.a_call * asked.calls;
            let taken = full - now <= asked.at_most;
            if taken {
                *full_at = Some(full);
            }
            Ok(Ration { taken, full_in: full_at.unwrap_or(now) - now, stations: 4 })
        }
    }

    async fn calls_in(quota: &Arc<Quota>, seconds: u64) -> usize {
        let by = Instant::now() + Duration::from_secs(seconds);
        let lane = |quota: Arc<Quota>| async move {
            let mut calls = 0;
            while quota.take(Action::RegisterCertificateWithoutCa, Pace::Prompt, by).await {
                calls += 1;
            }
            calls
        };
        let mut lanes = tokio::task::JoinSet::new();
        for _ in 0..16 {
            lanes.spawn(lane(Arc::clone(quota)));
        }
        lanes.join_all().await.into_iter().sum()
    }

    #[tokio::test]
    async fn lanes_ask_the_shared_bucket_together_and_keep_to_their_part_of_it_while_it_is_away() {
        let table = Arc::new(Table::default());
        let quota = Arc::new(Quota::shared(table.clone(), "plant".into()));
        let calls = calls_in(&quota, 2).await;
        assert!((20..=24).contains(&calls), "{calls}");
        let asked = table.asked.load(Ordering::Relaxed) as usize;
        assert!(asked <= calls + 16, "{asked} questions for {calls} calls");
        // One of four stations: two calls a second, and at first the two that its bucket held.
        table.away.store(true, Ordering::Relaxed);
        let calls = calls_in(&quota, 2).await;
        assert!((5..=6).contains(&calls), "{calls}");
        table.away.store(false, Ordering::Relaxed);
        tokio::time::sleep(AWAY_FOR).await;
        assert!(calls_in(&quota, 2).await >= 16);
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
