//! One API call: its turn, its attempts, its end.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_iot::Client;
use aws_sdk_iot::config::http::HttpResponse;
use aws_sdk_iot::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use super::dates::Dates;
use super::failure::{Again, Trouble, classify};
use super::look::Cache;
use super::quota::{Action, Pace, Quota};
use crate::adapters::aws_account::Access;
use crate::config::Target;
use crate::domain::{AccountId, Failure, ReasonCode, Region, TargetName, arn_place};
use crate::ports::Rations;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One target: its client, its rates, and what rarely changes there.
#[derive(Debug, Clone)]
pub(in crate::adapters) struct Link {
    pub target: TargetName,
    pub region: Region,
    /// Whose the target is, where that is configured.
    pub account: Option<AccountId>,
    pub client: Client,
    /// What its calls are made with.
    pub access: Access,
    pub(super) dates: Dates,
    quota: Arc<Quota>,
    cache: Arc<Mutex<Cache>>,
    pace: Pace,
}

/// A call that ended without the answer that was asked for.
#[derive(Debug)]
pub(in crate::adapters) struct Refused<E> {
    pub failure: Failure,
    /// AWS's own error, where it answered; boxed because the SDK's are large.
    pub answer: Option<Box<E>>,
    /// Some attempt may have had its effect: no answer came, or one that settles nothing.
    pub lost: bool,
}

impl Link {
    pub(super) fn new(target: &Target, access: Access, dates: Dates, client: Client) -> Self {
        Self {
            target: target.name.clone(),
            region: target.region.clone(),
            account: target.account.clone(),
            client,
            access,
            dates,
            quota: Arc::default(),
            cache: Arc::default(),
            pace: Pace::Prompt,
        }
    }

    /// The same for what no board waits for.
    pub(super) fn patient(&self) -> Self {
        Self { pace: Pace::Patient, ..self.clone() }
    }

    /// What an ARN in an answer says of itself: account and Region that are not the target's are `A-371`.
    pub(in crate::adapters) fn is_at_home(&self, arn: &str) -> Result<(), Failure> {
        let (region, account) = arn_place(arn);
        let other_account = self.account.as_ref().is_some_and(|wanted| account.as_ref() != Some(wanted));
        if !other_account && region.as_ref() == Some(&self.region) {
            return Ok(());
        }
        let found = format!(
            "{} {}",
            account.as_ref().map_or("-", AccountId::as_str),
            region.as_ref().map_or("-", Region::as_str)
        );
        Err(self.elsewhere(arn, &found))
    }

    /// AWS's own endpoints are named after their Region; a stand-in's are not.
    pub(super) fn is_endpoint_at_home(&self, endpoint: &str) -> Result<(), Failure> {
        let of_aws = endpoint.split_once(".iot.").and_then(|(_, rest)| rest.split_once(".amazonaws.com"));
        match of_aws {
            Some((region, _)) if region != self.region.as_str() => Err(self.elsewhere(endpoint, region)),
            _ => Ok(()),
        }
    }

    fn elsewhere(&self, said: &str, found: &str) -> Failure {
        let account = self.account.as_ref().map_or("-", AccountId::as_str);
        let wanted = format!("{account} {}", self.region);
        let cause = format!("AWS answered with {said}, and the target is {wanted}");
        let failure = Failure::new(ReasonCode::CLOUD_ELSEWHERE, cause).with("target", &self.target);
        failure.with("found", found).with("account", wanted)
    }

    /// Its rates are those that all stations share, by account and Region; on a practice line, which need not name an
    /// account, by the target's name.
    pub(super) fn sharing(self, rations: Arc<dyn Rations>) -> Self {
        let whose = self.account.as_ref().map_or(self.target.as_str(), |account| account.as_str());
        let place = format!("{whose}/{}", self.region);
        Self { quota: Arc::new(Quota::shared(rations, place)), ..self }
    }

    /// The same for a person's command: no board waits for it, and boards go first.
    pub(in crate::adapters) fn sharing_behind_boards(self, rations: Arc<dyn Rations>) -> Self {
        self.sharing(rations).patient()
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until there is an answer, a refusal that another attempt would not change, or `by`.
    /// Never returns later than `by`.
    pub(in crate::adapters) async fn call<T, E, F>(
        &self,
        action: Action,
        by: Instant,
        send: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Refused<E>>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        self.repeat(action, by, false, send).await
    }

    /// The same for a call that must not have its effect twice: it ends with the first attempt that may have had it.
    pub(in crate::adapters) async fn call_until_lost<T, E, F>(
        &self,
        action: Action,
        by: Instant,
        send: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Refused<E>>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        self.repeat(action, by, true, send).await
    }

    async fn repeat<T, E, F>(
        &self,
        action: Action,
        by: Instant,
        once: bool,
        send: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Refused<E>>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        T: Send,
    {
        let mut lost = false;
        let mut attempts = 0;
        let mut last: Option<Failure> = None;
        loop {
            if !self.quota.take(action, self.pace, by).await {
                let failure = last.unwrap_or_else(|| no_turn(by));
                return Err(self.refused(action, failure, None, lost));
            }
            let error = match tokio::time::timeout_at(by, send()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(_) => {
                    let late = || Failure::new(ReasonCode::CLOUD_UNREACHABLE, "no answer before the deadline");
                    return Err(self.refused(action, last.unwrap_or_else(late), None, true));
                }
            };
            let trouble: Trouble = classify(&error);
            tracing::debug!(target_name = %self.target, action = action.iam_name(), failure = %trouble.failure, "AWS call");
            lost |= trouble.lost;
            if trouble.failure.code == ReasonCode::CLOUD_THROTTLED {
                self.quota.throttled(action, Instant::now());
            }
            attempts += 1;
            let pause = pause_after(attempts);
            let again = match trouble.again {
                Again::Never => false,
                Again::Attempts(most) => attempts < most,
                Again::UntilDeadline => true,
            };
            if !again || (once && lost) || Instant::now() + pause >= by {
                return Err(self.refused(action, trouble.failure, answered(error), lost));
            }
            last = Some(trouble.failure);
            tokio::time::sleep(pause).await;
        }
    }

    fn refused<E>(&self, action: Action, failure: Failure, answer: Option<E>, lost: bool) -> Refused<E> {
        let cause = format!("{}: {}", action.iam_name(), failure.cause);
        let mut failure = Failure { cause, ..failure }.with("target", &self.target);
        failure.args.entry("action".to_owned()).or_insert_with(|| action.iam_name().to_owned());
        Refused { failure, answer: answer.map(Box::new), lost }
    }
}

fn no_turn(by: Instant) -> Failure {
    if Instant::now() >= by {
        return Failure::new(ReasonCode::CLOUD_UNREACHABLE, "what came before took all the time until the deadline");
    }
    Failure::new(ReasonCode::CLOUD_THROTTLED, "this station's own rate limit")
}

/// Exponential with jitter, so that lanes that failed together do not come back together.
pub(in crate::adapters) fn pause_after(attempts: u32) -> Duration {
    let whole = FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(10)).min(LONGEST_PAUSE);
    let mut random = [0; 2];
    // Without random bytes there is no jitter: the pause is as good.
    let share = match aws_lc_rs::rand::fill(&mut random) {
        Ok(()) => f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX),
        Err(_) => 1.0,
    };
    whole / 2 + (whole / 2).mul_f64(share)
}

fn answered<E>(error: SdkError<E, HttpResponse>) -> Option<E> {
    match error {
        SdkError::ServiceError(context) => Some(context.into_err()),
        _ => None,
    }
}
