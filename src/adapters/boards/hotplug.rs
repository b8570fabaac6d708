//! Waiting for USB devices to come and go.

use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::Stream;

/// nusb's watch of the kernel's announcements, for a thread that may block.
pub(super) struct Hotplug {
    watch: Option<nusb::hotplug::HotplugWatch>,
    bell: Arc<Bell>,
}

impl Hotplug {
    /// Where the kernel's announcements cannot be had, waiting just takes its time.
    pub fn new() -> Self {
        let watch = nusb::watch_devices()
            .inspect_err(|error| tracing::debug!(%error, "no USB announcements; ports are polled"))
            .ok();
        Self { watch, bell: Arc::default() }
    }

    /// Waits for at most `at_most`; `true` when a USB device came or went.
    pub fn wait(&mut self, at_most: Duration) -> bool {
        self.heard() || {
            self.bell.wait(at_most);
            self.heard()
        }
    }

    /// Takes every announcement there is, and asks to be woken by the next.
    fn heard(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        let waker = Waker::from(self.bell.clone());
        let mut heard = false;
        loop {
            match Pin::new(&mut *watch).poll_next(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some(_)) => heard = true,
                Poll::Ready(None) => {
                    self.watch = None;
                    return heard;
                }
                Poll::Pending => return heard,
            }
        }
    }
}

#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, at_most: Duration) {
        let waited = self.changed.wait_timeout_while(self.lock(), at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.lock() = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_bell_rung_before_the_wait_is_heard_and_only_once() {
        let bell = Arc::new(Bell::default());
        bell.clone().wake();
        let start = Instant::now();
        bell.wait(Duration::from_secs(60));
        assert!(start.elapsed() < Duration::from_secs(30));
        bell.wait(Duration::from_millis(1));
    }

    #[test]
    fn waiting_ends_without_announcements() {
        let start = Instant::now();
        Hotplug::new().wait(Duration::from_millis(20));
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}
