//! Sounds and the signal tower: told on the side, each by a task of its own. No lane waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::domain::{Failure, StationName, Verdict};
use crate::ports::{Ended, Light, Signals, Tower};
use crate::runner::view::{Health, LaneState, Snapshot};

/// Sounds that wait for one that is being played; of each verdict only the latest is played.
const QUEUE: usize = 64;

pub(super) struct Signalling {
    ended: mpsc::Sender<Ended>,
    tower: watch::Sender<Option<Tower>>,
    /// How the last sound and the last light went.
    health: watch::Receiver<[Health; 2]>,
    lights: JoinHandle<()>,
    _sounds: JoinHandle<()>,
}

impl Signalling {
    pub(super) fn start(signals: Arc<dyn Signals>) -> Self {
        let (ended, ended_receiver) = mpsc::channel(QUEUE);
        let (tower, tower_receiver) = watch::channel(None);
        let (news, health) = watch::channel([Health::Unknown, Health::Unknown]);
        let news = Arc::new(news);
        let _sounds = tokio::spawn(sounds(signals.clone(), ended_receiver, news.clone()));
        let lights = tokio::spawn(lights(signals, tower_receiver, news));
        Self { ended, tower, health, lights, _sounds }
    }

    pub(super) fn ended(&self, ended: Ended) {
        // So many that wait already say as much.
        let _ = self.ended.try_send(ended);
    }

    pub(super) fn show(&self, tower: Tower) {
        self.tower.send_if_modified(|shown| {
            let changed = shown.as_ref() != Some(&tower);
            *shown = Some(tower);
            changed
        });
    }

    pub(super) async fn news(&mut self) -> Health {
        match self.health.changed().await {
            Ok(()) => worse(&self.health.borrow_and_update()),
            Err(_) => std::future::pending().await,
        }
    }

    /// The tower goes dark; a command that hangs is not waited for longer than it may take.
    pub(super) async fn finish(self, station: StationName) {
        self.show(Tower { station, light: Light::Off, lanes: Vec::new() });
        drop((self.tower, self.ended));
        let _ = self.lights.await;
    }
}

fn worse(health: &[Health; 2]) -> Health {
    let bad = health.iter().find(|one| matches!(one, Health::Bad(_)));
    bad.or(health.iter().find(|one| **one == Health::Good)).cloned().unwrap_or(Health::Unknown)
}

async fn sounds(signals: Arc<dyn Signals>, mut ended: mpsc::Receiver<Ended>, news: Arc<watch::Sender<[Health; 2]>>) {
    let mut waiting: BTreeMap<u8, Ended> = BTreeMap::new();
    loop {
        if waiting.is_empty() {
            match ended.recv().await {
                Some(next) => drop(waiting.insert(urgency(next.verdict), next)),
                None => return,
            }
        }
        while let Ok(next) = ended.try_recv() {
            waiting.insert(urgency(next.verdict), next);
        }
        if let Some((_, next)) = waiting.pop_first() {
            note(&news, 0, signals.ended(&next).await);
        }
    }
}

/// Whatever was shown last is shown at the end, too.
async fn lights(
    signals: Arc<dyn Signals>,
    mut tower: watch::Receiver<Option<Tower>>,
    news: Arc<watch::Sender<[Health; 2]>>,
) {
    while tower.changed().await.is_ok() {
        let next = tower.borrow_and_update().clone();
        if let Some(next) = next {
            note(&news, 1, signals.tower(&next).await);
        }
    }
}

fn note(news: &watch::Sender<[Health; 2]>, which: usize, result: Result<(), Failure>) {
    if let Err(failure) = &result {
        tracing::warn!(%failure, "a signal");
    }
    let health = result.map_or_else(Health::Bad, |()| Health::Good);
    news.send_if_modified(|known| {
        let changed = known[which] != health;
        known[which] = health;
        changed
    });
}

/// The first is played first.
fn urgency(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 0,
        Verdict::Error => 1,
        Verdict::Held => 2,
        Verdict::Aborted => 3,
        Verdict::Pass => 4,
    }
}

/// What the tower shows of `view`.
pub(super) fn tower(view: &Snapshot) -> Tower {
    let verdict = |state: &LaneState| match state {
        LaneState::Finished { verdict, present: true, .. } => Some(*verdict),
        LaneState::Refused { .. } => Some(Verdict::Error),
        _ => None,
    };
    let lanes: Vec<_> = view.lanes.iter().filter_map(|lane| Some((lane.number, verdict(&lane.state)?))).collect();
    let any = |wanted| lanes.iter().any(|(_, verdict)| *verdict == wanted);
    let running = view.lanes.iter().any(|lane| matches!(lane.state, LaneState::Running { .. }));
    let light = match () {
        () if any(Verdict::Fail) => Light::Fail,
        () if any(Verdict::Error) || matches!(view.log, Health::Bad(_)) => Light::Error,
        () if running => Light::Running,
        () if view.paused => Light::Paused,
        () => Light::Ready,
    };
    Tower { station: view.station.clone(), light, lanes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::time::Duration;

    #[derive(Default)]
    struct Heard {
        sounds: Mutex<Vec<Verdict>>,
        lights: Mutex<Vec<Light>>,
    }

    #[async_trait::async_trait]
    impl Signals for Heard {
        async fn ended(&self, ended: &Ended) -> Result<(), Failure> {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.sounds.lock().unwrap().push(ended.verdict);
            Ok(())
        }

        async fn tower(&self, tower: &Tower) -> Result<(), Failure> {
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.lights.lock().unwrap().push(tower.light);
            Ok(())
        }
    }

    fn ended(verdict: Verdict) -> Ended {
        Ended { station: "A".parse().unwrap(), lane: 1.try_into().unwrap(), serial: None, verdict, code: None }
    }

    fn light(light: Light) -> Tower {
        Tower { station: "A".parse().unwrap(), light, lanes: Vec::new() }
    }

    #[tokio::test]
    async fn sixteen_boards_at_once_are_told_in_a_few_sounds_the_most_urgent_first() {
        let heard = Arc::new(Heard::default());
        let signalling = Signalling::start(heard.clone());
        for _ in 0..16 {
            signalling.ended(ended(Verdict::Pass));
        }
        signalling.ended(ended(Verdict::Fail));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let sounds = heard.sounds.lock().unwrap().clone();
        assert_eq!(sounds, [Verdict::Fail, Verdict::Pass]);
    }

    #[tokio::test]
    async fn the_tower_shows_the_latest_and_goes_dark_at_the_end() {
        let heard = Arc::new(Heard::default());
        let signalling = Signalling::start(heard.clone());
        signalling.show(light(Light::Running));
        tokio::time::sleep(Duration::from_millis(50)).await;
        for next in [Light::Fail, Light::Running, Light::Ready, Light::Ready] {
            signalling.show(light(next));
        }
        tokio::time::sleep(Duration::from_millis(1000)).await;
        signalling.finish("A".parse().unwrap()).await;
        assert_eq!(*heard.lights.lock().unwrap(), [Light::Running, Light::Ready, Light::Off]);
    }
}
