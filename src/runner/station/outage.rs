//! A log that can't be written for a while, or can't be shown to be what it was: nothing begins here, it
//! is looked at from time to time, and once it is good again the station goes on by itself.
//!
//! What was under way when the log went away is told to its end from the log, as after a crash: a run
//! may have got its verdict in it although the answer never came here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{Errand, RECENT, Station};
use crate::audit::{Body, LineEvent, RunEvent};
use crate::domain::{Failure, ReasonCode};
use crate::ports::Logged;
use crate::provisioning::{Input, Stage};
use crate::runner::custody::Custody;
use crate::runner::driver::Outcome;
use crate::runner::log::LogWriter;
use crate::runner::rollback;
use crate::runner::view::Health;

/// Between two looks; none is made while the log is good.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

pub(super) struct Outage {
    since: Timestamp,
    failure: Failure,
}

/// What is looked at next.
#[derive(Debug, Clone)]
pub(super) enum Look {
    /// The station could not begin: does the log answer, so that it is tried again?
    Answers,
    /// Does it take this event? Whatever was asked of the log before and given up has been done by then,
    /// or never will be.
    Takes(Box<LineEvent>),
    /// Is it what it was?
    Passes,
}

/// The log may be well again without anything being done about the station.
pub(super) fn is_watched(failure: &Failure) -> bool {
    is_outage(failure) || rollback::blocks(failure)
}

/// It can't be written, for a reason that passes.
fn is_outage(failure: &Failure) -> bool {
    use ReasonCode as Code;
    let away = [Code::STORE_AWAY, Code::STORE_MOVED, Code::STATION_TWICE];
    let refusing = [Code::STORE_FULL, Code::STORE_BUSY, Code::STORE_READ_ONLY];
    away.contains(&failure.code) || refusing.contains(&failure.code)
}

/// What the look told; nothing, while there is none.
pub(super) async fn looked(looking: &mut Option<JoinHandle<Result<Look, Failure>>>) -> Result<Look, Failure> {
    let Some(task) = looking else { return std::future::pending().await };
    let looked = task.await;
    *looking = None;
    looked.unwrap_or_else(|error| Err(Failure::new(ReasonCode::STATION_STOPPED, error.to_string())))
}

async fn look(look: Look, after: Duration, log: LogWriter, custody: Custody) -> Result<Look, Failure> {
    sleep(after).await;
    match &look {
        Look::Answers => {
            log.store.head().await?;
        }
        Look::Takes(event) => {
            log.store.head().await?;
            log.line(LineEvent::clone(event)).await?;
        }
        Look::Passes => rollback::pass(&log, &custody).await?,
    }
    Ok(look)
}

impl Station {
    /// Nothing begins from here on.
    pub(super) fn block(&mut self, failure: Failure) {
        if self.blocked.as_ref() != Some(&failure) {
            tracing::error!(%failure, "no board is taken");
        }
        if self.started && is_outage(&failure) && self.outage.is_none() {
            self.outage = Some(Outage { since: self.shared.log.clock.now(), failure: failure.clone() });
        }
        self.view.log = Health::Bad(failure.clone());
        self.blocked = Some(failure);
        if self.looking.is_none() {
            self.look(AGAIN_AFTER);
        }
    }

    fn look(&mut self, after: Duration) {
        let next = match &self.outage {
            _ if !self.started => Look::Answers,
            Some(Outage { since, failure }) => {
                Look::Takes(Box::new(LineEvent::LogReturned { since: *since, failure: failure.clone() }))
            }
            None => Look::Passes,
        };
        self.looking = Some(tokio::spawn(look(next, after, self.shared.log.clone(), self.custody.clone())));
    }

    /// Nothing can be written, so nothing is tried.
    pub(super) fn log_is_away(&self) -> bool {
        self.blocked.is_some() && (!self.started || self.outage.is_some())
    }

    pub(super) async fn looked_again(
        &mut self,
        looked: Result<Look, Failure>,
        updates: &mut mpsc::Receiver<(u64, Outcome)>,
    ) -> Result<(), Failure> {
        let opened = match looked {
            Err(failure) => Err(failure),
            Ok(Look::Answers) => self.begin_log(updates).await,
            Ok(Look::Takes(_)) => {
                self.outage = None;
                self.look(Duration::ZERO);
                return Ok(());
            }
            Ok(Look::Passes) => {
                let why = "the log could not be written in the middle of the run";
                self.open(updates, Failure::new(ReasonCode::STATION_STOPPED, why)).await
            }
        };
        match opened {
            Ok(()) if self.blocked.is_none() => {
                tracing::info!("boards are taken again");
                self.take_boards_again(is_watched).await;
            }
            Ok(()) => {}
            Err(failure) if is_watched(&failure) => self.block(failure),
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Tells the log that the station has started, unless that is not the log it was.
    pub(super) async fn begin_log(&mut self, updates: &mut mpsc::Receiver<(u64, Outcome)>) -> Result<(), Failure> {
        let log = self.shared.log.clone();
        let open = log.store.unfinished(&log.station).await?;
        let latest = log.store.latest(RECENT as u32).await?;
        // Before anything is written by a clock that nobody has looked at yet.
        self.newest = open.iter().chain(&latest).flat_map(|run| &run.events).map(|logged| logged.event.at).max();
        // A start that is refused is none: a log that was put back is not written to before somebody ruled.
        rollback::pass(&log, &self.custody).await?;
        self.sit_down().await?;
        let log = self.shared.log.clone();
        log.line(LineEvent::StationStarted { version: env!("CARGO_PKG_VERSION").to_owned() }).await?;
        self.started = true;
        let why = "the station ended in the middle of the run";
        self.open(updates, Failure::new(ReasonCode::STATION_STOPPED, why)).await
    }

    /// Closes the runs that nobody drives, and takes from the log what became of those whose last answer
    /// was lost.
    pub(super) async fn close_runs(
        &mut self,
        updates: &mut mpsc::Receiver<(u64, Outcome)>,
        why: Failure,
    ) -> Result<(), Failure> {
        let log = self.shared.log.clone();
        while !self.starting.is_empty() {
            let Some((arrival, outcome)) = updates.recv().await else { break };
            self.take_update(arrival, outcome).await;
        }
        for unfinished in log.store.unfinished(&log.station).await? {
            // One that another station made is closed by whoever takes its file in.
            let captured = |logged: &Logged| matches!(logged.event.body, Body::Run(RunEvent::Captured { .. }));
            if !self.is_driven(unfinished.run) && !unfinished.events.iter().any(captured) {
                self.errand(&unfinished, Errand::Recover, Input::Recover(why.clone()), false);
            }
        }
        while self.errands.values().any(|errand| *errand == Errand::Recover) {
            let Some((arrival, outcome)) = updates.recv().await else { break };
            self.take_update(arrival, outcome).await;
        }
        for (run, arrival) in self.cut.clone() {
            let known = log.store.run(run).await?;
            self.cut.remove(&run);
            let told = known.and_then(|known| self.fold(&known));
            if let Some(run) = told.filter(|run| run.stage == Stage::Sealed) {
                self.take_update(arrival, Outcome::Done(Arc::new(run))).await;
            }
        }
        Ok(())
    }

    /// What was refused for a reason that is over: runs begin without anybody plugging anything again.
    pub(super) async fn take_boards_again(&mut self, is_over: fn(&Failure) -> bool) {
        let waits = |refused: &Option<Failure>| refused.as_ref().is_some_and(is_over);
        let lanes: Vec<_> = self.shown.iter().filter(|(_, now)| waits(&now.refused)).map(|(lane, _)| *lane).collect();
        for lane in lanes {
            let Some(now) = self.shown.get_mut(&lane) else { continue };
            now.refused = None;
            let arrival = now.arrival;
            let verdict = now.run.as_ref().and_then(|run| run.sealed.as_ref());
            let stopped = |reason: &Failure| reason.code == ReasonCode::STATION_STOPPED;
            let over = verdict.is_some_and(|sealed| !sealed.reason.as_ref().is_some_and(stopped));
            match self.boards.get_mut(&arrival) {
                // Its verdict came after all.
                _ if over => {}
                Some(board) if self.view.paused => board.waiting = true,
                Some(_) => self.begin_again(arrival).await,
                None if verdict.is_some() => {}
                None => drop(self.shown.remove(&lane)),
            }
        }
    }
}
