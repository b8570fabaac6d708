//! The thread that watches the ports, and what it tells the station.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::arrivals::{Arrivals, Change};
use crate::domain::Failure;
use crate::ports::BoardSource;

/// Boards that came and went.
#[derive(Debug, Clone, PartialEq)]
pub enum BoardEvent {
    Changed(Change),
    /// The ports can't be listed; said once until it changes.
    Blind(Option<Failure>),
}

/// Watches until dropped.
pub struct Scanner {
    stop: Arc<AtomicBool>,
    pub events: mpsc::Receiver<BoardEvent>,
}

/// An upper bound on how long a stop may take to be seen.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

impl Scanner {
    pub fn start(source: Box<dyn BoardSource>, debounce: Duration) -> std::io::Result<Scanner> {
        let (sender, events) = mpsc::channel(64);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        std::thread::Builder::new()
            .name("ports".into())
            .spawn(move || watch(source, Arrivals::new(debounce), &sender, &seen))?;
        Ok(Scanner { stop, events })
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(
    mut source: Box<dyn BoardSource>,
    mut arrivals: Arrivals,
    events: &mpsc::Sender<BoardEvent>,
    stop: &AtomicBool,
) {
    let mut blind = None;
    while !stop.load(Ordering::Relaxed) {
        match source.present() {
            Ok(devices) => {
                if blind.take().is_some() && events.blocking_send(BoardEvent::Blind(None)).is_err() {
                    return;
                }
                for change in arrivals.observe(Instant::now(), devices) {
                    if events.blocking_send(BoardEvent::Changed(change)).is_err() {
                        return;
                    }
                }
            }
            // Blind is not empty: boards that were there are not reported as gone.
            Err(failure) => {
                if blind.as_ref() != Some(&failure) {
                    blind = Some(failure.clone());
                    if events.blocking_send(BoardEvent::Blind(Some(failure))).is_err() {
                        return;
                    }
                }
            }
        }
        let settle = arrivals.due().map(|at| at.saturating_duration_since(Instant::now()));
        source.wait(settle.unwrap_or(LONGEST_WAIT).clamp(Duration::from_millis(5), LONGEST_WAIT));
    }
}
