//! The thread that watches the ports, and what it tells the station.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

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

/// What the latest look at the ports has seen.
#[derive(Debug, Default)]
pub struct Looks {
    /// Looks that are over.
    number: u64,
    /// `None`: the ports can't be listed.
    here: Option<BTreeSet<u64>>,
}

/// Waits for a look that begins after this and sees the arrival's board. One that is out of sight comes
/// back, or is told to have departed; blind eyes, and nobody looking, vouch for nothing and keep nobody
/// waiting.
pub async fn is_seen_again(mut looks: watch::Receiver<Looks>, arrival: u64) {
    // The next one to end may have begun before.
    let from = looks.borrow().number + 2;
    let seen = |looks: &Looks| looks.number >= from && looks.here.as_ref().is_none_or(|here| here.contains(&arrival));
    let _ = looks.wait_for(seen).await;
}

/// Watches until dropped.
pub struct Scanner {
    stop: Arc<AtomicBool>,
    pub events: mpsc::Receiver<BoardEvent>,
}

/// An upper bound on how long a stop may take to be seen.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

impl Scanner {
    pub fn start(
        source: Box<dyn BoardSource>,
        debounce: Duration,
        looks: watch::Sender<Looks>,
    ) -> std::io::Result<Scanner> {
        let (sender, events) = mpsc::channel(64);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        std::thread::Builder::new()
            .name("ports".into())
            .spawn(move || watch(source, Arrivals::new(debounce), &sender, &looks, &seen))?;
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
    looks: &watch::Sender<Looks>,
    stop: &AtomicBool,
) {
    let mut blind = None;
    while !stop.load(Ordering::Relaxed) {
        match source.present() {
            Ok(devices) => {
                if blind.take().is_some() && events.blocking_send(BoardEvent::Blind(None)).is_err() {
                    return;
                }
                let changes = arrivals.observe(Instant::now(), devices);
                looked(looks, Some(arrivals.here().collect()));
                for change in changes {
                    if events.blocking_send(BoardEvent::Changed(change)).is_err() {
                        return;
                    }
                }
            }
            // Blind is not empty: boards that were there are not reported as gone.
            Err(failure) => {
                looked(looks, None);
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

fn looked(looks: &watch::Sender<Looks>, here: Option<BTreeSet<u64>>) {
    looks.send_modify(|looks| *looks = Looks { number: looks.number + 1, here });
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};

    use super::*;

    async fn is_over(waiting: &mut Pin<&mut impl Future<Output = ()>>) -> bool {
        tokio::select! {
            biased;
            () = waiting => true,
            () = std::future::ready(()) => false,
        }
    }

    /// However late the look comes that a pulled cable is seen by: until then a failed reading is no verdict.
    #[tokio::test]
    async fn a_board_is_vouched_for_only_by_a_look_that_began_later_and_saw_it() {
        let (looks, receiver) = watch::channel(Looks::default());
        looked(&looks, Some([7].into()));
        let mut waiting = pin!(is_seen_again(receiver.clone(), 7));
        assert!(!is_over(&mut waiting).await);
        looked(&looks, Some([7].into())); // may have begun before
        assert!(!is_over(&mut waiting).await);
        for _ in 0..3 {
            looked(&looks, Some([8].into()));
            assert!(!is_over(&mut waiting).await);
        }
        looked(&looks, Some([7, 8].into()));
        assert!(is_over(&mut waiting).await);

        let mut blind = pin!(is_seen_again(receiver.clone(), 7));
        assert!(!is_over(&mut blind).await);
        looked(&looks, None);
        assert!(!is_over(&mut blind).await);
        looked(&looks, None);
        assert!(is_over(&mut blind).await);
        let mut alone = pin!(is_seen_again(receiver, 7));
        assert!(!is_over(&mut alone).await);
        drop(looks);
        assert!(is_over(&mut alone).await);
    }
}
