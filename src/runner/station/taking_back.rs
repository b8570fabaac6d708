//! What is left ACTIVE of units that failed or were withdrawn is looked for in the log at start, and set INACTIVE as
//! soon as its target lets it: by the station whose runs left it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Station;
use crate::domain::{Failure, ReasonCode, Verdict};
use crate::provisioning::Run;
use crate::runner::take_back::{TookBack, take_back_all};
use crate::runner::view::Health;

/// After a pass that left something, doubled with each further one.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// What others ruled meanwhile is found by then.
const AT_LEAST_EVERY: Duration = Duration::from_secs(15 * 60);

pub(super) struct TakingBack {
    pass: Option<JoinHandle<Result<TookBack, Failure>>>,
    not_before: Instant,
    /// Passes in a row that left something.
    fruitless: u32,
    /// what the latest pass left.
    left: Vec<Failure>,
}

impl TakingBack {
    pub(super) fn new() -> Self {
        Self { pass: None, not_before: Instant::now(), fruitless: 0, left: Vec::new() }
    }

    /// For the header: that there is any is what counts.
    pub(super) fn left(&self) -> Option<&Failure> {
        self.left.first()
    }

    /// A run that is over may have left something that could not be set INACTIVE just then.
    pub(super) fn note(&mut self, run: &Run) {
        if run.verdict() == Some(Verdict::Fail) && !run.left.is_empty() {
            self.not_before = self.not_before.min(Instant::now() + AGAIN_AFTER);
        }
    }

    /// The pass that is under way; none ends while there is none.
    pub(super) async fn took(&mut self) -> Result<TookBack, Failure> {
        let Some(pass) = &mut self.pass else { return std::future::pending().await };
        let took = pass.await;
        self.pass = None;
        took.unwrap_or_else(|error| Err(Failure::new(ReasonCode::STATION_STOPPED, error.to_string())))
    }

    /// What it was at is in the log, and goes on from there.
    pub(super) fn give_up(&mut self) {
        if let Some(pass) = self.pass.take() {
            pass.abort();
        }
    }
}

impl Station {
    pub(super) fn take_back_by_itself(&mut self, came_back: bool) {
        let due = came_back || Instant::now() >= self.taking_back.not_before;
        if !due || self.taking_back.pass.is_some() || self.blocked.is_some() || self.config.station.air_gapped {
            return;
        }
        let (shared, config) = (self.shared.clone(), Arc::clone(&self.config));
        self.taking_back.pass = Some(tokio::spawn(async move {
            let station = shared.log.station.clone();
            take_back_all(&shared, &config, Some(&station)).await
        }));
    }

    pub(super) fn took_back(&mut self, took: Result<TookBack, Failure>) {
        match took {
            Ok(TookBack { done, left }) => {
                for (unit, target) in done {
                    tracing::info!(%unit, %target, "its certificate is not ACTIVE any more");
                }
                if let Some(failure) = left.first() {
                    tracing::error!(%failure, count = left.len(), "left ACTIVE");
                    self.view.cloud = Health::Bad(failure.clone());
                }
                let pause = match left.is_empty() {
                    true => AT_LEAST_EVERY,
                    false => AGAIN_AFTER.saturating_mul(1 << self.taking_back.fruitless.min(10)).min(AT_LEAST_EVERY),
                };
                self.taking_back.fruitless = if left.is_empty() { 0 } else { self.taking_back.fruitless + 1 };
                self.taking_back.not_before = Instant::now() + pause;
                self.taking_back.left = left;
            }
            Err(failure) => {
                self.taking_back.not_before = Instant::now() + AGAIN_AFTER;
                self.note_log(Err(failure));
            }
        }
    }
}
