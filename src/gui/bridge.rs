//! The channels between the window's thread and the runner's: snapshots in, commands out. Neither
//! side ever waits for the other.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::runner::view::{Command, Snapshot};

/// The window's end of the runner's channels.
pub struct Bridge {
    runtime: Handle,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    commands: mpsc::Sender<Command>,
}

/// What the runner has to say right now.
pub struct Latest {
    pub snapshot: Arc<Snapshot>,
    /// The runner's end is gone: nothing new will come.
    pub gone: bool,
}

/// The runner did not take a command: its queue is full, or it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTaken;

impl Bridge {
    /// `runtime` is where the runner lives: a task there wakes the window for each new snapshot.
    pub fn new(runtime: Handle, snapshots: watch::Receiver<Arc<Snapshot>>, commands: mpsc::Sender<Command>) -> Bridge {
        Bridge { runtime, snapshots, commands }
    }

    /// From here on `ctx` is repainted when, and only when, there is something new.
    pub(super) fn wake(&self, ctx: &egui::Context) {
        forward(&self.runtime, self.snapshots.clone(), ctx.clone());
    }

    /// The same for a further channel of the window, e.g. the practice line's.
    pub(super) fn wake_for<T: Send + Sync + 'static>(&self, receiver: &watch::Receiver<T>, ctx: &egui::Context) {
        forward(&self.runtime, receiver.clone(), ctx.clone());
    }

    pub(super) fn latest(&self) -> Latest {
        Latest { snapshot: self.snapshots.borrow().clone(), gone: self.snapshots.has_changed().is_err() }
    }

    pub(super) fn send(&self, command: Command) -> Result<(), NotTaken> {
        self.commands.try_send(command).map_err(|_| NotTaken)
    }
}

/// Ends when the sender is gone, after a last repaint that shows so.
fn forward<T: Send + Sync + 'static>(runtime: &Handle, mut receiver: watch::Receiver<T>, ctx: egui::Context) {
    runtime.spawn(async move {
        while receiver.changed().await.is_ok() {
            ctx.request_repaint();
        }
        ctx.request_repaint();
    });
}
