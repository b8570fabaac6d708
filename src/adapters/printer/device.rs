use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::sync::oneshot;

use super::PrintError;
use crate::domain::Failure;
use crate::ports::{LabelPrinter, Readiness};

const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// A printer behind a device file, e.g. `/dev/usb/lp0`.
#[derive(Debug, Clone)]
pub struct DevicePrinter {
    path: PathBuf,
    write_timeout: Duration,
    /// A write is on its way, perhaps one that was given up waiting for.
    busy: Arc<AtomicBool>,
}

impl DevicePrinter {
    pub fn new(path: PathBuf) -> Self {
        Self { path, write_timeout: WRITE_TIMEOUT, busy: Arc::default() }
    }

    /// Gives up on a printer that does not take the whole label within this time.
    pub fn with_write_timeout(self, write_timeout: Duration) -> Self {
        Self { write_timeout, ..self }
    }

    async fn send(&self, zpl: &str) -> Result<(), PrintError> {
        let printer = || self.path.display().to_string();
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(PrintError::Busy { printer: printer() });
        }
        let guard = BusyGuard(Arc::clone(&self.busy));
        let (path, bytes, size) = (self.path.clone(), zpl.as_bytes().to_vec(), zpl.len());
        let sent = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&sent);
        let (tell, told) = oneshot::channel();
        // A thread of its own rather than one of tokio's: a printer without paper holds it for as long as
        // it likes, and the station must be able to end meanwhile.
        let thread = std::thread::Builder::new().name("label printer".into()).spawn(move || {
            let result = write(&path, &bytes, &counter);
            // Before the answer: whoever has it may print the next label at once.
            drop(guard);
            let _ = tell.send(result);
        });
        thread.map_err(|cause| PrintError::Open { printer: printer(), cause })?;
        match tokio::time::timeout(self.write_timeout, told).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(PrintError::Thread { printer: printer() }),
            Err(_) => {
                let (sent, seconds) = (sent.load(Ordering::Acquire), self.write_timeout.as_secs());
                Err(PrintError::WriteTimeout { printer: printer(), sent, size, seconds })
            }
        }
    }
}

#[async_trait::async_trait]
impl LabelPrinter for DevicePrinter {
    async fn print(&self, name: &str, zpl: &str) -> Result<(), Failure> {
        tracing::debug!(label = name, printer = %self.path.display(), bytes = zpl.len(), "label to device");
        Ok(self.send(zpl).await?)
    }

    async fn ready(&self) -> Result<Readiness, Failure> {
        if self.busy.load(Ordering::Acquire) {
            return Err(PrintError::Busy { printer: self.path.display().to_string() }.into());
        }
        open(&self.path)?;
        Ok(Readiness::Unknown)
    }
}

struct BusyGuard(Arc<AtomicBool>);

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn write(path: &Path, bytes: &[u8], sent: &AtomicUsize) -> Result<(), PrintError> {
    let mut file = open(path)?;
    let printer = || path.display().to_string();
    // Blocking from here on: Linux's usblp lets a non-blocking write return with its transfer still on
    // the bus and cancels that transfer when the file is closed.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())
        .map_err(|cause| PrintError::Open { printer: printer(), cause: cause.into() })?;
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&bytes[done..]) {
            Ok(0) => {
                let cause = std::io::ErrorKind::WriteZero.into();
                return Err(PrintError::Write { printer: printer(), sent: done, size: bytes.len(), cause });
            }
            Ok(taken) => {
                done += taken;
                sent.store(done, Ordering::Release);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(PrintError::Write { printer: printer(), sent: done, size: bytes.len(), cause }),
        }
    }
    Ok(())
}

/// Opens for writing only, without waiting for a carrier or a reader, without making anything, and
/// without taking a terminal as one's own.
fn open(path: &Path) -> Result<File, PrintError> {
    let printer = || path.display().to_string();
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map(File::from)
        .map_err(|cause| PrintError::Open { printer: printer(), cause: cause.into() })?;
    let kind = file.metadata().map_err(|cause| PrintError::Open { printer: printer(), cause })?.file_type();
    // A plain file where the device should be would swallow every label.
    if kind.is_char_device() || kind.is_fifo() { Ok(file) } else { Err(PrintError::NoDevice { printer: printer() }) }
}
